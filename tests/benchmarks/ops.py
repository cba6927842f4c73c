"""What an operation costs: forward and backward on a 32 × 16 array, against torch eager and HIPS autograd, in one run.

Each engine does the same work: a chain of K operations, then the gradients of a fixed combination of the result. The
time of one operation is the slope between a short and a long chain, so that fixed costs drop out. Repeats of the engines
are interleaved, and the median is taken. Run it with `make bench-ops`.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: at this size threads cost more than they give

import numpy as np

import minicl as mc

SHAPE = (32, 16)
SHORT, LONG = 20, 220
rng = np.random.default_rng(0)
X, W, COTANGENT = (rng.uniform(0.5, 1.5, SHAPE) for _ in range(3))
SQUARE = rng.standard_normal((16, 16)) / 4


def minicl_engine(step, n):
    x, w, m = mc.tensor(X), mc.tensor(W), mc.tensor(SQUARE)
    functions = {"add": mc.add, "multiply": mc.multiply, "sin": lambda y, w: mc.sin(y), "matmul": lambda y, w: y @ m}
    functions["tanh"] = lambda y, w: mc.tanh(y)
    f = functions[step]

    def run():
        y = x
        for _ in range(n):
            y = f(y, w)
        return mc.grad(y, [x, w], cotangent=COTANGENT)

    return run


def torch_engine(step, n):
    import torch

    torch.set_num_threads(1)
    x, w = (torch.tensor(a, requires_grad=True) for a in (X, W))
    cotangent, m = torch.tensor(COTANGENT), torch.tensor(SQUARE)
    functions = {
        "add": torch.add,
        "multiply": torch.mul,
        "sin": lambda y, w: torch.sin(y),
        "matmul": lambda y, w: y @ m,
    }
    functions["tanh"] = lambda y, w: torch.tanh(y)
    f = functions[step]

    def run():
        y = x
        for _ in range(n):
            y = f(y, w)
        return torch.autograd.grad(y, [x, w], cotangent, allow_unused=True)

    return run


def autograd_engine(step, n):
    import autograd.numpy as anp
    from autograd import make_vjp

    functions = {
        "add": anp.add,
        "multiply": anp.multiply,
        "sin": lambda y, w: anp.sin(y),
        "matmul": lambda y, w: y @ SQUARE,
    }
    functions["tanh"] = lambda y, w: anp.tanh(y)
    f = functions[step]

    def chain(both):
        y, w = both
        for _ in range(n):
            y = f(y, w)
        return y

    return lambda: make_vjp(chain)((X, W))[0](COTANGENT)


def plain_numpy(step, n):
    """The forward alone, without an engine: what cannot be saved."""
    functions = {
        "add": np.add,
        "multiply": np.multiply,
        "sin": lambda y, w: np.sin(y),
        "matmul": lambda y, w: y @ SQUARE,
    }
    functions["tanh"] = lambda y, w: np.tanh(y)
    f = functions[step]

    def run():
        y = X
        for _ in range(n):
            y = f(y, W)
        return y

    return run


ENGINES = {"minicl": minicl_engine, "torch": torch_engine, "autograd": autograd_engine, "numpy forward": plain_numpy}


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def measure(step, names, repeats):
    """Median seconds of one operation for each engine."""
    runs = {name: [ENGINES[name](step, n) for n in (SHORT, LONG)] for name in names}
    times = {name: [] for name in names}
    for repeat in range(repeats + 2):
        for name, (short, long) in runs.items():
            slope = (seconds(long) - seconds(short)) / (LONG - SHORT)
            if repeat >= 2:  # the first two warm up
                times[name].append(slope)
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=31)
    repeats = parser.parse_args().repeats
    here = [n for n in ENGINES if n in ("minicl", "numpy forward") or importlib.util.find_spec(n)]
    for name in ENGINES.keys() - set(here):
        print(f"{name}: not installed, left out")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, 1 thread, float64 {SHAPE}"
    )
    print(f"microseconds an operation, forward + backward, median of {repeats} interleaved repeats\n")
    print(
        f"{'operation':10s}"
        + "".join(f"{n:>15s}" for n in here)
        + "".join(f"{'ratio to ' + n:>19s}" for n in here[1:-1])
    )
    for step in ("add", "multiply", "sin", "tanh", "matmul"):
        found = measure(step, here, repeats)
        ratios = "".join(f"{found['minicl'] / found[n]:19.2f}" for n in here[1:-1])
        print(f"{step:10s}" + "".join(f"{found[n] * 1e6:15.2f}" for n in here) + ratios, flush=True)


if __name__ == "__main__":
    main()
