"""`python -m tests.benchmarks.speed --out docs`: times every workload on every peer; writes the page docs/benchmarks.md.

Repeats of the peers are interleaved, and the median is taken. A peer that is missing or fails is named with the reason.
Peak memory is measured once for each peer, in a process of its own. `report` makes the page from the numbers.
"""

import argparse
import contextlib
import ctypes
import importlib.metadata
import io
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

THREADS = os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", THREADS)
os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(THREADS)]))

import numpy as np  # noqa: E402

from . import chain, curves, losses, report, steps, words  # noqa: E402

ROOT = pathlib.Path(__file__).parents[3]
WORKLOADS = {  # name: (title, peers, arguments)
    "nt_xent 128": ("NT-Xent, 2N = 128", losses.PEERS, (128,)),
    "nt_xent 512": ("NT-Xent, 2N = 512", losses.PEERS, (512,)),
    "nt_xent 8192": ("NT-Xent, 2N = 8192", losses.PEERS, (8192,)),
    "convnet": ("SimCLR step, ConvNet 32-64-128-128, 512 views of 28 × 28", steps.PEERS, ("ConvNet",)),
    "resnet": ("SimCLR step, ResNet-8, 256 views of 32 × 32 × 3", steps.PEERS, ("ResNet-8",)),
    "mlp": ("SimCLR step, MLP 784-512-256 with head, 512 views", steps.PEERS, ("MLP",)),
    "chain": ("chain of 200 operations on 32 × 16", chain.PEERS, ()),
}
SLOW = {("nt_xent 8192", "tinygrad"), ("nt_xent 8192", "minicl composed"), ("nt_xent 8192", "HIPS autograd")}
MORE = ["large", "words", "import", "curves", "tried"]
PACKAGES = ["minicl", "numpy", "scipy", "torch", "jax", "autograd", "tinygrad", "gensim"]


def set_up(workload, peer):
    _, peers, arguments = WORKLOADS[workload]
    if peer.startswith("torch"):
        import torch

        torch.set_num_threads(int(THREADS))
    return peers[peer](*arguments)


def why(error):
    """The reason in a line."""
    text = str(error).strip().splitlines()
    if type(error) is LookupError:  # what a peer here says of itself
        return text[0]
    return f"{type(error).__name__}: {text[0] if text else ''}"[:120]


def measure(workload, seconds):
    """{peer: dict(times=[...]) or dict(missing=reason)}"""
    found, runs, first = {}, {}, None
    for peer in WORKLOADS[workload][1]:
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                run = set_up(workload, peer)
                result = run()
                run()
        except Exception as error:  # noqa: BLE001  (whatever a peer raises is reported)
            found[peer] = {"missing": why(error)}
            continue
        first = result if first is None else first
        if result is not None:
            refuse_other(workload, peer, result, first)
        runs[peer], found[peer] = run, {"times": []}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(len(found[peer]["times"]) for peer in runs) < 5:
        for peer, run in runs.items():
            if (workload, peer) in SLOW and len(found[peer]["times"]) >= 5:
                continue
            run()  # not timed: threads of the peer before may still wait for work, busily, and the caches are its own
            for _ in range(3 if len(found[peer]["times"]) or (workload, peer) not in SLOW else 1):
                start = time.perf_counter()
                run()
                found[peer]["times"].append(time.perf_counter() - start)
        print(f"\r{workload}: {len(found['minicl']['times'])} repeats", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return found


def refuse_other(workload, peer, result, first):
    """A peer that computes something else is no peer."""
    for a, b in zip(result, first):
        a, b = np.asarray(a), np.asarray(b)
        difference = float(np.abs(a - b).max()) / float(np.abs(b).max())
        if not difference < 2e-3:
            raise AssertionError(f"{workload}: {peer} differs from minicl by {difference:.1e}")


def peak_of(run):
    """MB that a run takes above what was there before."""
    from minicl import buffers

    buffers.release()  # memory that is kept to be used again counts
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    status = lambda key: int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith(key)))
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / 1024


def memory_of(workload, peer):
    """What one run takes in MB above what was there before, in this process (Linux)."""
    run = set_up(workload, peer)
    run()
    return peak_of(run)


def memory(workload, peer):
    """The same, in a fresh process; None where it cannot be measured."""
    command = [sys.executable, "-m", "tests.benchmarks.speed", "--memory", workload, peer]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def large(n):
    """NT-Xent of a batch that no matrix of scores would fit, once: (seconds, MB, seconds of two GEMMs of this size)."""
    code = (
        "import json, time; from tests.benchmarks.speed import losses, __main__ as main\n"
        f"run = losses.minicl(512); run(); run = losses.minicl({n})\n"
        "start = time.perf_counter(); peak = main.peak_of(run); seconds = time.perf_counter() - start\n"
        "gemm = losses.gemm(16384); gemm(); start = time.perf_counter(); gemm(); two = time.perf_counter() - start\n"
        f"print(json.dumps([seconds, peak, two * ({n} / 16384) ** 2]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def words_per_second():
    """{peer: words a second}, in processes with one thread, the better of three."""
    found = {}
    for peer in words.PEERS:
        code = f"from tests.benchmarks.speed import words; print(max(words.PEERS[{peer!r}]() for _ in range(3)))"
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ | one
        )
        found[peer] = (
            float(done.stdout.splitlines()[-1]) if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:120]
        )
    return found


def in_a_process_of_its_own(call):
    """What a function of this folder returns, where no peer disturbs it."""
    code = f"import json; from tests.benchmarks.speed import tried; print(json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def import_time():
    """Median seconds of `import minicl` and of `import numpy` in fresh processes, without Python's own start.

    Modules are compiled once, as on a user's machine: the first process may write the result, in a folder of ours.
    """
    times = {"minicl": [], "numpy": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        settings["PYTHONPYCACHEPREFIX"] = folder
        for _ in range(12):
            for module, seconds in times.items():
                code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
                run = [sys.executable, "-c", code]
                seconds.append(float(subprocess.run(run, cwd=ROOT, env=settings, stdout=subprocess.PIPE).stdout))
    return {module: statistics.median(seconds[1:]) for module, seconds in times.items()}


# ------------------------------------------------------------------------------------------------------- all of it


def machine():
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    versions = []
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return f"{model}, {THREADS} threads, {platform.system()}, Python {platform.python_version()}; {', '.join(versions)}"


def profile_of(workload):
    """Where the time of a step goes, as `mc.profile()` prints it."""
    import minicl as mc

    run = set_up(workload, "minicl")
    run()
    run()
    with mc.profile() as profile:
        run()
    return str(profile)


def results_of(name, seconds):
    """What is kept of a workload: numbers alone."""
    if name == "large":
        return dict(zip(("seconds", "megabytes", "gemms"), large(131072)))
    if name == "words":
        return words_per_second()
    if name == "import":
        return import_time()
    if name == "tried":
        return in_a_process_of_its_own("tried.measure()")
    if name == "curves":
        return curves.measure(ROOT)
    found = measure(name, seconds)
    rows = {}
    for peer, row in found.items():
        if "missing" in row:
            rows[peer] = row
        else:
            median = statistics.median(row["times"])
            rows[peer] = {"median": median, "repeats": len(row["times"]), "megabytes": memory(name, peer)}
    profile = profile_of(name) if name in report.PROFILED else None
    return {"title": WORKLOADS[name][0], "peers": rows, "profile": profile}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[*WORKLOADS, *MORE], help="some of it; the rest stays as it was")
    parser.add_argument("--seconds", type=float, default=20.0, help="at least so long for each workload")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build", help="folder of benchmarks.json and .md")
    parser.add_argument("--memory", nargs=2, metavar=("WORKLOAD", "PEER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(memory_of(*arguments.memory)))
        return
    arguments.out.mkdir(exist_ok=True)
    kept = arguments.out / "benchmarks.json"
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in arguments.only or [*WORKLOADS, *MORE]:
        load = os.getloadavg()[0]
        found = results_of(name, arguments.seconds)
        results[name] = {"found": found, "machine": machine(), "load": load}
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")  # what is measured stays, should it be stopped
        print(report.section(name, results[name]), end="\n\n", flush=True)
    if "curves" in results:
        curves.draw(results["curves"]["found"], arguments.out / "benchmarks_curves.svg")
    (arguments.out / "benchmarks.md").write_text(report.page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
