"""How time and memory grow: with the rows of NT-Xent, with the batch of a training step, and with the depth of a network.

Each point is the median of some repeats; its memory is measured in a process of its own. `draw` makes the figure, and
refuses to where a title would not hold.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

from . import losses, steps

ROWS, BATCHES, DEPTHS = (256, 512, 1024, 2048, 4096, 8192), (32, 64, 128, 256, 512), (2, 4, 8, 16, 32, 64)
WIDTH = 256


def deep(depth):
    """An MLP of so many layers of 256 numbers, 64 rows, forward and backward."""
    import minicl as mc

    net = mc.nn.MLP([WIDTH] * (depth + 1), rng=0)
    x = np.random.default_rng(0).standard_normal((64, WIDTH)).astype(np.float32)
    parameters = list(net.parameters())
    return lambda: mc.grad((net(x) ** 2).mean(), parameters)


def deep_torch(depth):
    import torch

    layers = [m for _ in range(depth) for m in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())]
    net = torch.nn.Sequential(*layers[:-1])
    x = torch.randn(64, WIDTH)
    parameters = list(net.parameters())
    return lambda: torch.autograd.grad((net(x) ** 2).mean(), parameters)


def step(batch):
    steps.SHAPES["ConvNet"] = (batch, 28, 28, 1)
    return steps.minicl("ConvNet")


def step_torch(batch):
    steps.SHAPES["ConvNet"] = (batch, 28, 28, 1)
    return steps.torch_channels_last("ConvNet")


CURVES = {  # name: (x axis, sizes, {peer: run})
    "rows": (
        "rows 2N of NT-Xent",
        ROWS,
        {"minicl": losses.minicl, "minicl composed": losses.composed, "torch": losses.torch_eager},
    ),
    "batch": ("views in a step of the ConvNet", BATCHES, {"minicl": step, "torch": step_torch}),
    "depth": ("layers of an MLP", DEPTHS, {"minicl": deep, "torch": deep_torch}),
}


def peak(curve, peer, size, memory_above):
    """(MB above what was there before, median seconds), in this process."""
    if peer == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    run = CURVES[curve][2][peer](size)
    run()
    memory = memory_above(run)
    times, end = [], time.perf_counter() + 0.5
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return memory, statistics.median(times)


def measure(root):
    """{curve: {peer: [(size, MB, seconds), ...]}}, each point in a process of its own."""
    found = {}
    for curve, (_, sizes, peers) in CURVES.items():
        for peer in peers:
            for size in sizes:
                point = (curve, peer, size)
                code = "import json; from tests.benchmarks.speed import curves, __main__ as main; "
                code += f"print(json.dumps(curves.peak(*{point}, main.peak_of)))"
                done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
                if done.returncode:
                    print(f"{curve}, {peer}, {size}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                    continue
                memory, seconds = json.loads(done.stdout.splitlines()[-1])
                found.setdefault(curve, {}).setdefault(peer, []).append((size, memory, seconds))
                print(f"\r{curve}, {peer}, {size}          ", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return found


def growth(points, what):
    """The exponent p of size^p, between the two largest sizes that differ by a factor of at least 4."""
    (small, *a), (large, *b) = points[-3], points[-1]
    return float(np.log(b[what] / a[what]) / np.log(large / small))


def draw(found, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    memory = {peer: points[-1][1] for peer, points in found["rows"].items()}
    share = memory["minicl composed"] / memory["minicl"]  # up to 256 MB blocks are kept; above, they are made again
    assert share > 5 and memory["torch"] > 2 * memory["minicl"], memory
    times = {curve: growth(found[curve]["minicl"], 1) for curve in found}
    assert 1.4 < times["rows"] < 2.4 and 0.6 < times["batch"] < 1.4 and 0.6 < times["depth"] < 1.4, times
    titles = {
        "rows": ("time grows with the square of 2N,", f"in blocks it takes 1/{share:.0f} of the memory"),
        "batch": ("time grows with the batch,", "and so does memory"),
        "depth": ("time grows with the depth,", "and so does memory"),
    }
    figure, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
    colours = {"minicl": "#0072b2", "minicl composed": "#56b4e9", "torch": "#d55e00"}
    for column, (curve, (label, _, peers)) in zip(axes.T, CURVES.items()):
        for row, (ax, unit) in enumerate(zip(column, ("ms", "peak MB above the start"))):
            for peer in peers:
                points = found.get(curve, {}).get(peer, [])
                y = [1e3 * p[2] if row == 0 else max(p[1], 0.1) for p in points]
                ax.plot([p[0] for p in points], y, "o-", color=colours[peer], label=peer)
            ax.set(xscale="log", yscale="log", xlabel=label, ylabel=unit, title=titles[curve][row])
            ax.set_xticks(CURVES[curve][1], [str(k) for k in CURVES[curve][1]])
            ax.minorticks_off()
            ax.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(path, metadata={"Date": None})
