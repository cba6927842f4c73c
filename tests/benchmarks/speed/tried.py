"""What each idea for more speed gives: the same work without it and with it, by turns in one process.

An idea is a constant or a function of the library, which is set back for the comparison. Beside them stand the rates of
this machine that explain what is left: products of matrices of the shapes that occur, the parts of NT-Xent, and Adam.
"""

import contextlib
import statistics
import time

import numpy as np

D = 128


@contextlib.contextmanager
def put(module, name, value):
    """For a while another value stands there."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def convolution(size, channels, outputs, stride=1):
    """Forward and backward of a 3 × 3 convolution of 512 images."""
    import minicl as mc

    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((512, size, size, channels)).astype(np.float32))
    w = mc.tensor(rng.standard_normal((3, 3, channels, outputs)).astype(np.float32))
    c = mc.conv2d(x, w, stride=stride, padding=1).data.copy()
    return lambda: mc.grad(mc.conv2d(x, w, stride=stride, padding=1), [x, w], cotangent=c)


def batch_norm():
    """Forward and backward on 51 MB, relu included."""
    import minicl as mc

    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((512, 28, 28, 32)).astype(np.float32))
    layer, c = mc.nn.BatchNorm2d(32), rng.standard_normal(x.shape).astype(np.float32)
    return lambda: mc.grad(layer(x, rectify=True), x, cotangent=c)


def max_pool():
    import minicl as mc

    x = mc.tensor(np.random.default_rng(0).standard_normal((256, 28, 28, 32)).astype(np.float32))
    return lambda: mc.grad(mc.max_pool2d(x, 2).sum(), x)


def normalize(rows):
    import minicl as mc

    x = mc.tensor(np.random.default_rng(0).standard_normal((rows, D)).astype(np.float32))
    return lambda: mc.grad(mc.normalize(x), x, cotangent=x.data)


def ideas():
    """(what it is, how it was before, how it is, the work, what stands where in the library without the idea)"""
    from minicl import buffers, conv, functional, winograd
    from minicl.losses import blocked
    from minicl.nn import norms

    from . import losses, steps

    pair, step = losses.minicl(8192), steps.minicl("ConvNet")
    composed, pooled = functional.normalize_by_definition, conv.max_pool2d_by_definition
    alone = lambda *_: 1
    return [
        ("NT-Xent, 2N = 8192: rows of a block", "256", "512", pair, (blocked, "BLOCK", 256)),
        ("NT-Xent, 2N = 8192: blocks", "made again", "kept", pair, (blocked, "KEEP", 0)),
        ("128 unit vectors", "composed", "one operation", normalize(128), (functional, "_normalize", composed)),
        ("ConvNet step: memory", "new", "used again", step, (buffers, "_counts", False)),
        ("BatchNorm, 51 MB: bytes of a block", "128 k", "1 M", batch_norm(), (norms, "BLOCK", 2**17)),
        ("32 → 64 channels: bytes of windows", "512 k", "2 M", convolution(28, 32, 64, 2), (conv, "CACHE", 2**19)),
        ("16 → 16 channels: windows", "one by one", "side by side", convolution(28, 16, 16), (conv, "_beside", alone)),
        ("3 → 16 channels: windows", "one by one", "side by side", convolution(28, 3, 16), (conv, "_beside", alone)),
        ("128 → 128 channels", "windows", "Winograd", convolution(7, 128, 128), (winograd, "AT_LEAST", 10**9)),
        ("max pooling", "all windows", "entry by entry", max_pool(), (conv, "_max_pool2d", pooled)),
    ]


def by_turns(run, before, seconds):
    """Median seconds without the idea, and with it."""
    times = {False: [], True: []}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[True]) < 5:
        for with_it in (False, True):
            with contextlib.nullcontext() if with_it else put(*before):
                run()  # not timed: the caches and the memory of the other way
                start = time.perf_counter()
                run()
                times[with_it].append(time.perf_counter() - start)
    return [statistics.median(times[k]) for k in (False, True)]


def median_of(run, seconds=0.3):
    times, end = [], time.perf_counter() + seconds
    run()
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def rates():
    """{shape: thousand million operations a second of one thread} for products A B of shapes (m, k) and (k, n)."""
    from minicl.threads import one_blas_thread

    rng, found = np.random.default_rng(0), {}
    for label, (m, k, n) in {
        "16 channels": (3584, 144, 16),
        "16 channels, 2 windows side by side": (1792, 192, 32),
        "32 to 64 channels": (1764, 288, 64),
        "128 to 128 channels": (441, 1152, 128),
    }.items():
        a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
        with one_blas_thread:
            found[label] = 2 * m * k * n / median_of(lambda: a @ b) / 1e9
    return found


def parts():
    """{part: its share of the time} of NT-Xent in blocks of 512 rows, forward and backward, on one thread."""
    from minicl.threads import one_blas_thread

    rng, n = np.random.default_rng(0), 512
    a, b = (rng.standard_normal((n, D)).astype(np.float32) for _ in range(2))
    e, p, w, ones = (
        np.empty((n, n), np.float32),
        np.empty((n, n), np.float32),
        rng.random(n, np.float32),
        np.ones(n, np.float32),
    )
    low = -np.abs(a @ b.T)

    def weights():
        np.add(w[:, None], w, out=p)
        np.multiply(p, e, out=p)

    with one_blas_thread:
        seconds = {
            "three products": median_of(lambda: np.matmul(a, b.T, out=e))
            + median_of(lambda: p @ b)
            + median_of(lambda: p.T @ a),
            "exponentials": median_of(lambda: np.exp(low, out=e)),
            "sums": median_of(lambda: (e @ ones, ones @ e)),
            "weights": median_of(weights),
        }
    return {name: t / sum(seconds.values()) for name, t in seconds.items()}


def adam():
    """Milliseconds of a step for the parameters of the MLP, here and (where torch is installed) in its fused kernel."""
    import minicl as mc

    from . import steps

    optimizer = mc.optim.Adam(steps.network("MLP").parameters(), lr=1e-3)
    gradients = [np.ones(p.shape, np.float32) for p in optimizer.parameters]
    found = {"minicl": 1e3 * median_of(lambda: optimizer.step(gradients))}
    with contextlib.suppress(ImportError):
        import torch

        theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in optimizer.parameters]
        for p in theirs:
            p.grad = torch.ones_like(p)
        found["torch, fused"] = 1e3 * median_of(torch.optim.Adam(theirs, lr=1e-3, fused=True).step)
    return found


def measure(seconds=3.0):
    rows = [[what, old, new, *by_turns(run, before, seconds)] for what, old, new, run, before in ideas()]
    return {"ideas": rows, "rates": rates(), "parts": parts(), "adam": adam()}
