"""`make bench-gpu`: operations, losses, layers and training steps on the GPU, beside the CPU and PyTorch on the same GPU.

Each row is forward and backward in float32, the median of repeats taken by turns. The residual is the largest difference
between GPU and CPU, over values and gradients, each relative to its largest entry. A row above LIMIT ends the command with
1; without a GPU it says so and ends with 2.
"""

import argparse
import functools
import importlib.util
import statistics
import sys
import time

import numpy as np

import minicl as mc
from minicl.arrays import gpu_library, wait_for_gpu
from tests.benchmarks.speed import steps

LIMIT = 1e-3  # sums of thousands of float32, added in another order


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chain(f, *arrays):
    """What runs f forward and backward on a device, and gives its value and gradients."""

    def setup(device):
        x = [mc.tensor(a, device=device) if a.dtype.kind == "f" else mc.to_device(a, device) for a in arrays]
        leaves = [t for t in x if isinstance(t, mc.Tensor)]
        ones = mc.to_device(np.ones(f(*x).shape, np.float32), device)

        def run():
            y = f(*x)
            return [y.data, *mc.grad(y, leaves, cotangent=ones)]

        return run

    return setup


def torch_chain(f, *arrays):
    def setup(torch, device):
        x = [torch.tensor(a, device=device, requires_grad=a.dtype.kind == "f") for a in arrays]
        leaves = [t for t in x if t.requires_grad]

        def run():
            y = f(torch, *x)
            return [y.detach(), *torch.autograd.grad(y.sum(), leaves)]

        return run

    return setup


def torch_nt_xent(torch, z1, z2, temperature=0.1):
    u, n = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1), 2 * len(z1)
    itself = torch.eye(n, dtype=torch.bool, device=u.device)
    target = (torch.arange(n, device=u.device) + n // 2) % n
    return torch.nn.functional.cross_entropy((u @ u.T / temperature).masked_fill(itself, -torch.inf), target)


def torch_info_nce(torch, q, k):
    q, k = (torch.nn.functional.normalize(x, dim=1) for x in (q, k))
    return torch.nn.functional.cross_entropy(q @ k.T / 0.1, torch.arange(len(q), device=q.device))


def layer(make, *shape):
    """A layer or network, with the gradients of its input and its parameters."""

    def setup(device):
        net = make().to(device)
        x = mc.tensor(draw(*shape), device=device)
        g = mc.to_device(draw(*net(x).shape, seed=1), device)

        def run():
            y = net(x)
            return [y.data, *mc.grad(y, [x, *net.parameters()], cotangent=g)]

        return run

    return setup


def torch_layer(make, *shape):
    def setup(torch, device):
        net = make(torch.nn).to(device)
        x = torch.tensor(draw(*shape), device=device)
        x = (x.permute(0, 3, 1, 2) if x.ndim == 4 else x).requires_grad_()  # channels last in memory, as here
        g = torch.randn_like(net(x))

        def run():
            y = net(x)
            return [y.detach(), *torch.autograd.grad(y, [x, *net.parameters()], g)]

        return run

    return setup


def given_views(kind):
    """Encoder, head, NT-Xent and Adam, on views that are there already."""

    def setup(device):
        net, x = steps.network(kind).to(device), mc.to_device(steps.views(kind), device)
        optimizer = mc.optim.Adam(net.parameters(), lr=steps.LR)

        def run():
            loss = mc.losses.nt_xent(net(x), temperature=steps.TEMPERATURE)
            optimizer.step(mc.grad(loss, optimizer.parameters))
            return [loss.data]

        return run

    return setup


def torch_given_views(kind):
    def setup(torch, device):
        net = steps._torch_network(kind).to(device)
        x = torch.tensor(steps.views(kind), device=device)
        x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
        optimizer = torch.optim.Adam(net.parameters(), lr=steps.LR)

        def run():
            optimizer.zero_grad()
            loss = torch_nt_xent(torch, *net(x).chunk(2), steps.TEMPERATURE)
            loss.backward()
            optimizer.step()
            return [loss.detach()]

        return run

    return setup


def method(name, n, **settings):
    """A whole step of a method, views included. What is compared are the numbers that it reports."""

    def setup(device):
        encoder, head = mc.nn.ConvNet(1, rng=0), mc.nn.ProjectionHead(128, 128, 64, rng=1)
        view = mc.data.views.RandomResizedCrop(area=(0.5, 1.0))
        built = getattr(mc.train, name)(encoder, head, view, batch_size=n, **settings).to(device)
        images = np.random.default_rng(0).random((n, 28, 28, 1), dtype=np.float32)
        batch = mc.train.Batch(mc.to_device(images, device), None, np.arange(n))

        def run():
            with built.mode(training=True):
                return [np.array(list(built.step(batch).values()))[:1]]  # the loss

        return run

    return setup


def rows(size):
    """{part: {name: (minicl, PyTorch or None)}}; `size` is the number of rows of most arrays."""
    x, w = draw(size, 512), draw(512, 512, seed=1) / 20
    z1, z2, labels = draw(size, 128), draw(size, 128, seed=1), np.arange(size) % 10
    image = (size // 16, 28, 28, 32)

    def both(name, ours, theirs, *arrays):
        return {name: (chain(ours, *arrays), theirs and torch_chain(theirs, *arrays))}

    def built(name, ours, theirs, *shape):
        return {name: (layer(ours, *shape), theirs and torch_layer(theirs, *shape))}

    nn, views = mc.nn, lambda kind: (given_views(kind), torch_given_views(kind))
    return {
        "operations": both("multiply", mc.multiply, lambda t, a, b: a * b, x, x + 1)
        | both("tanh", mc.tanh, lambda t, a: t.tanh(a), x)
        | both("sum over rows", lambda a: mc.sum(a, axis=0), lambda t, a: a.sum(0), x)
        | both("log-sum-exp", lambda a: mc.logsumexp(a, axis=1), lambda t, a: t.logsumexp(a, 1), x)
        | both("matmul", mc.matmul, lambda t, a, b: a @ b, x, w),
        "losses (d = 128)": both(
            "NT-Xent", functools.partial(mc.losses.nt_xent, temperature=0.1), torch_nt_xent, z1, z2
        )
        | both("InfoNCE", functools.partial(mc.losses.info_nce, temperature=0.1), torch_info_nce, z1, z2)
        | both("SupCon", mc.losses.supcon, None, z1, labels)
        | both("SigLIP", mc.losses.siglip, None, z1, z2)
        | both(
            "triplet",
            mc.losses.triplet,
            lambda t, *a: t.nn.functional.triplet_margin_loss(*a),
            z1,
            z2,
            draw(size, 128, seed=2),
        ),
        "layers and networks": built(
            "Linear", lambda: nn.Linear(512, 512, rng=0), lambda t: t.Linear(512, 512), size, 512
        )
        | built("Conv2d 3 × 3", lambda: nn.Conv2d(32, 64, 3, rng=0), lambda t: t.Conv2d(32, 64, 3), *image)
        | built("BatchNorm2d", lambda: nn.BatchNorm2d(32), lambda t: t.BatchNorm2d(32), *image)
        | built("ConvNet", lambda: nn.ConvNet(32, rng=0), None, *image),
        "training steps": {"SimCLR, MLP, views given": views("MLP"), "SimCLR, ConvNet, views given": views("ConvNet")}
        | {"SimCLR, ConvNet": (method("SimCLR", size // 4), None)}
        | {"MoCo, ConvNet": (method("MoCo", size // 4, dim=64, queue_size=size, groups=8), None)},
    }


def residual(found, expected):
    """Of lists of arrays."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        a, b = mc.to_numpy(a).astype(float), mc.to_numpy(b).astype(float)
        worst = max(worst, float(np.abs(a - b).max() / (np.abs(b).max() or 1.0)))
    return worst


def measure(runs, seconds):
    """Median seconds of each; `runs` has pairs (run, what waits until the device has done it)."""
    times = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, (run, wait) in runs.items():
            start = time.perf_counter()
            run()
            wait()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def torch_on_gpu():
    """PyTorch, if it sees the GPU."""
    if importlib.util.find_spec("torch"):
        torch = importlib.import_module("torch")
        return torch if torch.cuda.is_available() else None


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4096, help="of most arrays")
    parser.add_argument("--seconds", type=float, default=2, help="for each row of the table")
    options = parser.parse_args(arguments)
    try:
        cupy = gpu_library()
    except RuntimeError as error:
        print(f"Nothing was measured on a GPU. {error}", file=sys.stderr)
        return 2
    torch, failed = torch_on_gpu(), []
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    beside = f"PyTorch {torch.__version__}" if torch else "PyTorch sees no GPU here, so it is left out"
    print(
        f"{name}, CuPy {cupy.__version__}, NumPy {np.__version__}, {beside}. Milliseconds, float32, {options.rows} rows."
    )
    for part, found in rows(options.rows).items():
        print(f"\n| {part} | CPU | GPU | PyTorch | residual |\n|---|---:|---:|---:|---:|")
        for label, (ours, theirs) in found.items():
            here, there = ours("cpu"), ours("gpu")
            error = residual(there(), here())
            if not error < LIMIT:
                failed.append(label)
            runs = {"CPU": (here, lambda: None), "GPU": (there, wait_for_gpu)}
            if torch and theirs:
                runs["PyTorch"] = (theirs(torch, "cuda"), torch.cuda.synchronize)
                runs["PyTorch"][0]()  # the first run of the others was compared
            times = measure(runs, options.seconds)
            cells = [f"{1e3 * times[peer]:.3f}" if peer in times else "–" for peer in ("CPU", "GPU", "PyTorch")]
            print(f"| {label} | {' | '.join(cells)} | {error:.0e} |", flush=True)
    if failed:
        print(f"\nGPU and CPU differ by more than {LIMIT:g} in: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
