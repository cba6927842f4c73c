"""What several processes cost and gain: SimCLR on synthetic images of 28 × 28 in float32.

    python -m tests.benchmarks.parallel ratio     2 processes of 1 thread against 1 process of 2 threads
    python -m tests.benchmarks.parallel cost      time per step by its parts, and the model for 2 ... 1024 workers

Run it on an idle machine: the load is printed. Times are the best of several steps. `ratio` interleaves the two,
several times. `cost` measures the constants of `minicl.parallel.cost.Costs` on one process, those of messages between
two, and says how well the model foretells the others. With `--out docs/parallel.md` what was found is put at the end of
that page, in the place of what stood there.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import time

MEASURED = "<!-- measured -->"
ENCODERS = ("ConvNet", "MLP")
# Seconds and bytes a second of networks, from what their makers say and common benchmarks find; measure yours.
NETWORKS = {"Ethernet, 10 Gbit/s": (3e-5, 1.1e9), "InfiniBand, 200 Gbit/s": (2e-6, 2.2e10)}


def built(encoder, batch, workers):
    """A method and a batch."""
    import numpy as np

    import minicl as mc
    from minicl import parallel
    from minicl.train import Batch

    rng = np.random.default_rng(0)
    if encoder == "ConvNet":
        net, width = mc.nn.ConvNet(1, (32, 64, 128, 128), rng=0), 128
    else:
        net, width = mc.nn.MLP([784, 512, 256], rng=0), 256
    head, view = mc.nn.ProjectionHead(width, width, 64, rng=1), mc.data.views.RandomResizedCrop(area=(0.5, 1.0))
    images = rng.random((batch, 28, 28, 1), dtype=np.float32)
    if workers is None:  # the class of one process
        method = mc.train.SimCLR(net, head, view, 0.2, batch_size=batch)
    else:
        method = parallel.SimCLR(net, head, view, 0.2, batch_size=batch, workers=workers)
    return method, Batch(images, None, np.arange(batch))


def timed(f, repeats, workers):
    """The best of the times of f() on this worker; all begin together."""
    import numpy as np

    times = []
    for k in range(repeats + 2):
        workers.sum(np.zeros(1))
        start = time.perf_counter()
        f()
        if k > 1:  # the first two warm up
            times.append(time.perf_counter() - start)
    return min(times)


def measure(options):
    """What one worker does: prints seconds as JSON (worker 0)."""
    import numpy as np

    import minicl as mc
    from minicl import parallel
    from minicl.losses.blocked import lse_of_others
    from minicl.nn.norms import _BatchNorm
    from minicl.parallel.ring import _pull, _visitors

    workers = parallel.everybody()
    plain = workers.size == 1 and options.plain
    method, batch = built(options.encoder, options.batch, None if plain else workers)
    found = {"workers": workers.size}
    with method.mode(training=True):
        found["step"] = timed(lambda: method.step(batch), options.repeats, workers)
        if not plain:
            n = sum(rows.stop - rows.start for rows in method._rows(options.batch))
            rng = np.random.default_rng(0)
            z1, z2 = (mc.tensor(rng.standard_normal((n, 64)).astype(np.float32)) for _ in range(2))

            def encode():
                both = [mc.data.views.two_views(batch.images[r], method.view, rng) for r in method._rows(options.batch)]
                z = method(np.concatenate([np.concatenate(v) for v in zip(*both)]))
                mc.grad(z, method.optimizer.parameters, cotangent=np.ones(z.shape, z.dtype))

            def loss():
                mc.grad(parallel.nt_xent(z1, z2, 0.2, workers), [z1, z2])
                method.measure(z1, z2)

            def visit():  # what a worker does with a visitor that has as many rows
                u = mc.normalize(np.concatenate([z1.data, z2.data]))
                level = lse_of_others("cost", "auto", u, u[::-1], 0.2, np.zeros(2 * n, int), np.ones(2 * n, int))
                packed = np.concatenate([u, level[:, None], level[:, None]], axis=1)
                _pull(np, packed, packed[::-1], 0.2, None)
                scores = u @ u[::-1].T
                return (scores > 0.5).sum(axis=1), (scores >= 0.4).sum(axis=1)

            visitor = np.zeros((2 * n, 66), np.float32)
            counts = workers.counts("cost", visitor)
            gradients = [p.data for p in method.optimizer.parameters]
            word, mb = np.zeros(1, np.float32), np.zeros(2**20, np.uint8)
            parts = {
                "encoder": encode,
                "loss": loss,
                "visit": visit,
                "visits": lambda: [list(_visitors(workers, visitor, counts)) for _ in range(3)],
                "gradients": lambda: parallel.sum_gradients(gradients, workers),
                "word": lambda: [workers.pass_on(word, 1)() for _ in range(100)],
                "mb": lambda: [workers.pass_on(mb, len(mb))() for _ in range(10)],
            }
            found |= {name: timed(f, options.repeats, workers) for name, f in parts.items()}
            found["parameters"] = int(sum(g.size for g in gradients))
            found["norms"] = sum(isinstance(m, _BatchNorm) for _, m in method.named_modules())
    if workers.rank == 0:
        print(json.dumps(found))


def process(workers, threads, encoder, options, plain=False):
    """One run of `measure`, as processes of so many threads; what it found."""
    arguments = [sys.executable, "-m", "tests.benchmarks.parallel", "measure", "--encoder", encoder]
    arguments += ["--batch", str(options.batch), "--repeats", str(options.repeats)] + ["--plain"] * plain
    if workers > 1:
        arguments = [str(pathlib.Path(sys.executable).parent / "mpiexec"), "-n", str(workers), *arguments]
    threads = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(arguments, env=os.environ | threads, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def ratio(options):
    """2 processes of 1 thread against 1 process of 2 threads, for each encoder."""
    for encoder in ENCODERS:
        ones, twos = [], []
        for _ in range(options.rounds):
            ones.append(process(1, 2, encoder, options, plain=True)["step"] * 1e3)
            twos.append(process(2, 1, encoder, options)["step"] * 1e3)
            print(f"  {encoder}: 1 process, 2 threads {ones[-1]:7.1f} ms; 2 processes {twos[-1]:7.1f} ms", flush=True)
        print(f"{encoder}, batch {options.batch}: ratio {min(twos) / min(ones):.2f} (best step of each)")


def cost(options):
    """The constants, what they say of the runs that were measured, and what they predict."""
    from minicl.parallel.cost import Costs

    for encoder in ENCODERS:
        runs = {workers: process(workers, 1, encoder, options) for workers in sorted({1, 2, *options.workers})}
        small = argparse.Namespace(batch=options.batch // 4, repeats=options.repeats)
        one, two, quarter = runs[1], runs[2], process(1, 1, encoder, small)
        image = (one["encoder"] - quarter["encoder"]) / (options.batch * 3 / 4)
        costs = Costs(
            image=image,
            step=max(0.0, one["step"] - one["loss"] - image * options.batch),
            alone=one["loss"] / (2 * options.batch) ** 2,
            ring=one["visit"] / (2 * options.batch) ** 2,
            latency=two["word"] / 100,
            bandwidth=2**20 * 10 / two["mb"],
            dim=64,
            parameters=one["parameters"],
            norms=one["norms"],
        )
        print(f"\n{encoder}, {costs.parameters} parameters, {options.batch} images, processes of one thread")
        print(f"  e = {costs.image * 1e6:.0f} µs an image, s = {costs.step * 1e3:.2f} ms a step, ", end="")
        print(f"a score c₀ = {costs.alone * 1e9:.2f} ns, in the ring c₁ = {costs.ring * 1e9:.2f} ns")
        print(f"  between two processes here α = {costs.latency * 1e6:.0f} µs, β = {costs.bandwidth / 1e9:.2f} GB/s")
        print("  measured, ms  encoder     loss  (visits)  gradients     step    model   model / measured")
        for workers, run in runs.items():
            parts = "".join(f"{run[key] * 1e3:9.2f}" for key in ("encoder", "loss", "visits", "gradients", "step"))
            model = costs.total(workers, options.batch)
            print(f"  R = {workers:<8}{parts}{model * 1e3:9.2f}{model / run['step']:12.2f}")
        for network, (latency, bandwidth) in NETWORKS.items():
            predicted(costs, network, latency, bandwidth, options)


def predicted(costs, network, latency, bandwidth, options):
    """Two tables in one: the batch stays as it is, and the batch grows with R."""
    import dataclasses

    costs = dataclasses.replace(costs, latency=latency, bandwidth=bandwidth)
    alone = costs.total(1, options.batch)
    print(f"\npredicted with {network} (α {latency * 1e6:g} µs, β {bandwidth / 1e9:g} GB/s), ms a step")
    print(f"       {options.batch} images in all        {options.batch} images on each worker")
    print("   R      all   speedup        all  encoder     loss  visits + gradients + norms  efficiency")
    for k in range(1, 11):
        workers = 2**k
        strong = costs.total(workers, options.batch) if workers <= options.batch else None
        parts = costs.parts(workers, options.batch * workers)
        talk = parts["visits"] + parts["gradients"] + parts["norms"]
        total = sum(parts.values())
        left = f"{strong * 1e3:9.2f}{alone / strong:9.1f}x" if strong else " " * 19
        print(
            f"{workers:4d}{left}{total * 1e3:12.1f}{parts['encoder'] * 1e3:9.1f}{parts['loss'] * 1e3:9.1f}"
            f"{talk * 1e3:20.1f}{alone / total:20.0%}"
        )
    print(
        f"The loss takes as long as the encoder at R = {costs.balance(options.batch):.0f}, if the batch grows with R."
    )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["ratio", "cost", "measure"])
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--repeats", type=int, default=15, help="steps in a run")
    p.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    p.add_argument("--workers", type=int, nargs="*", default=[], help="more numbers of processes to measure")
    p.add_argument("--out", type=pathlib.Path, help="a page that ends with what was found")
    p.add_argument("--encoder", choices=ENCODERS, default="ConvNet", help=argparse.SUPPRESS)
    p.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.what == "measure":
        measure(options)
    elif options.out is None:
        report(options)
    else:
        publish(options)


def report(options):
    """What the command found, below what it ran on."""
    print(f"{os.cpu_count()} cores; load as it began {os.getloadavg()[0]:.1f} (0 is idle)")
    {"ratio": ratio, "cost": cost}[options.what](options)


def publish(options):
    """The same, as the last part of a page."""
    with contextlib.redirect_stdout(io.StringIO()) as found:
        report(options)
    kept = options.out.read_text().partition(MEASURED)[0]
    options.out.write_text(f"{kept}{MEASURED}\n\n```text\n{found.getvalue().strip()}\n```\n")


if __name__ == "__main__":
    main()
