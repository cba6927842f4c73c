"""`python -m tests.benchmarks.speed`: times every workload on every peer, and writes docs/benchmarks.md with figures.

Repeats of the peers are interleaved, and the median is taken. A peer that is missing or fails is named with the reason.
Peak memory is measured once for each peer, in a process of its own.
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
import time
import warnings

THREADS = os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", THREADS)
os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(THREADS)]))

import numpy as np  # noqa: E402

from . import chain, curves, losses, steps, words  # noqa: E402

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
MORE = ["large", "words", "import", "curves"]
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


def import_time():
    """Median seconds of `import minicl` in a fresh process, without Python's own start."""
    code = "import time; start = time.perf_counter(); import minicl; print(time.perf_counter() - start)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout)
        for _ in range(11)
    ]
    return statistics.median(times)


# ----------------------------------------------------------------------------------------------------------- the report


def machine():
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    versions = []
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    system = f"{platform.system()}, load average {os.getloadavg()[0]:.1f} at the start"
    return f"{model}, {THREADS} threads, {system}, Python {platform.python_version()}; {', '.join(versions)}"


def table(title, found, sizes):
    best = statistics.median(found["minicl"]["times"])
    lines = [f"### {title}", "", "| | median ms | minicl takes | peak MB |", "|---|---:|---:|---:|"]
    for peer, row in found.items():
        if "missing" in row:
            lines.append(f"| {peer} | – | {row['missing']} | |".replace("\n", " "))
            continue
        median = statistics.median(row["times"])
        share = "" if peer == "minicl" else f"{best / median:.2f} of it"
        size = sizes.get(peer)
        lines.append(f"| {peer} | {1e3 * median:.2f} | {share} | {'' if size is None else f'{size:.0f}'} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[*WORKLOADS, *MORE], help="some of it")
    parser.add_argument("--seconds", type=float, default=20.0, help="at least so long for each workload")
    parser.add_argument("--out", type=pathlib.Path, help="the report is written there too")
    parser.add_argument("--memory", nargs=2, metavar=("WORKLOAD", "PEER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(memory_of(*arguments.memory)))
        return
    wanted = arguments.only or [*WORKLOADS, *MORE]
    parts = [f"Measured on: {machine()}."]
    for workload, (title, peers, _) in WORKLOADS.items():
        if workload in wanted:
            found = measure(workload, arguments.seconds)
            sizes = {peer: memory(workload, peer) for peer in peers if "times" in found[peer]}
            parts.append(table(title, found, sizes))
            print(parts[-1], end="\n\n", flush=True)
    if "large" in wanted:
        seconds, peak, gemms = large(131072)
        parts.append(
            "### NT-Xent, 2N = 131,072\n\n"
            f"{seconds:.1f} s, peak memory {peak:.0f} MB above the embeddings; {seconds / gemms:.2f} times two GEMMs of "
            "this size (measured at 2N = 16,384 and scaled by the number of pairs). All scores would be 69 GB."
        )
        print(parts[-1], end="\n\n", flush=True)
    if "words" in wanted:
        found = words_per_second()
        lines = [
            f"| {peer} | {speed:,.0f} |" if isinstance(speed, float) else f"| {peer} | {speed} |"
            for peer, speed in found.items()
        ]
        parts.append("\n".join(["### word2vec on one thread", "", "| | words/s |", "|---|---:|", *lines]))
        print(parts[-1], end="\n\n", flush=True)
    if "import" in wanted:
        parts.append(f"### `import minicl`\n\n{1e3 * import_time():.0f} ms, median of 11 fresh processes.")
        print(parts[-1], flush=True)
    if "curves" in wanted and arguments.out:
        figure = arguments.out.with_name(f"{arguments.out.stem}_curves.svg")
        curves.draw(curves.measure(ROOT), figure)
        parts.append(
            "### How time and memory grow\n\n"
            f"![Three curves of time and of memory, against the rows of NT-Xent, the batch and the depth]({figure.name})\n\n"
            "Each point is the median of repeats in a process of its own, so that peers do not disturb each other."
        )
    if arguments.out:
        arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
