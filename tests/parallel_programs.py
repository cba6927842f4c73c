"""What `test_parallel_mpi.py` has the workers do: `mpiexec -n R python tests/parallel_programs.py NAME FILE`.

Worker 0 writes what was found to FILE. Without mpiexec the same program runs on one process. Where the variable FAKE_GPUS
is set, arrays are on so many pretended GPUs.
"""

import os
import sys
import time

import numpy as np

import minicl as mc
from minicl import parallel

SHARDS = {1: [11], 2: [9, 2], 4: [4, 1, 5, 1]}  # images of each worker
STEPS = 20
DEVICE = "gpu" if "FAKE_GPUS" in os.environ else "cpu"


def put(x):
    return mc.to_device(x, DEVICE)


def shard(x, workers):
    sizes = SHARDS[workers.size]
    first = sum(sizes[: workers.rank])
    return x[first : first + sizes[workers.rank]]


def losses(workers):
    """Values and gradients of the loss for a τ of each kind, and each kind of talk beside its definition."""
    z1, z2 = np.random.default_rng(0).standard_normal((2, 11, 5))
    found = {}
    for temperature in (0.5, 0.05, 0.004):
        a, b, t = (mc.tensor(put(x)) for x in (shard(z1, workers), shard(z2, workers), np.array(temperature)))
        loss = parallel.nt_xent(a, b, t, workers)
        ga, gb, gt = mc.grad(loss, [a, b, t])
        found |= {f"{temperature} loss": loss.data, f"{temperature} dt": workers.sum(gt)}
        found |= {f"{temperature} dz1": workers.gather(ga), f"{temperature} dz2": workers.gather(gb)}
        same = workers.exchange(mc.to_numpy(loss)[None])
        assert all((x == same[0]).all() for x in same)
    talk(workers)
    return {name: mc.to_numpy(x) for name, x in found.items()}


def talk(workers):
    """Whole numbers of several kinds: the ways of MPI and NCCL against those that `Workers` defines by one exchange."""

    def agree(found, expected, kind):
        assert found.dtype == kind and mc.to_device(found, DEVICE) is found
        assert np.array_equal(mc.to_numpy(found), mc.to_numpy(expected))

    rng, slow = np.random.default_rng(workers.rank), parallel.Workers
    sizes = SHARDS[workers.size]
    for kind in (np.float64, np.float32, np.float16, np.int64, np.bool_):
        for shape in [(), (3,), (11, 2)]:
            x = put(rng.integers(-9, 9, shape).astype(kind))
            agree(workers.sum(x), slow.sum(workers, x.reshape(-1)).reshape(shape), kind)
        rows = put(rng.integers(-9, 9, (sizes[workers.rank], 2)).astype(kind))
        for order in ("C", "F", "CF"[workers.rank % 2]):  # F: columns one behind the other in memory
            x, own = x.copy(order), rows.copy(order)
            agree(workers.sum(x), slow.sum(workers, x), kind)
            agree(workers.sum_rows(x, sizes), slow.sum_rows(workers, x, sizes), kind)
            agree(workers.gather(own), slow.gather(workers, own), kind)
            agree(workers.pass_on(own, sizes[workers.rank - 1])(), slow.pass_on(workers, own, None)(), kind)
    y = put(rng.integers(-9, 9, (11, 2)).astype(float))
    x = put(rng.integers(-9, 9, (sizes[workers.rank], 2)).astype(float))
    forward = (parallel.all_gather(x, workers) * y).sum()
    back = (x * parallel.reduce_scatter(y, rows=len(x), workers=workers)).sum()
    assert float(workers.sum(forward - back)) == 0


def networks():
    encoder = mc.nn.ConvNet(1, (4, 6), rng=0, dtype=np.float64)
    return encoder, mc.nn.ProjectionHead(6, 8, 5, rng=1, dtype=np.float64), mc.data.views.GaussianNoise(0.1)


def methods(workers):
    """SimCLR and MoCo with BatchNorm, 20 steps, a batch of 30 in 7 parts."""
    images = np.random.default_rng(3).random((150, 8, 8, 1))
    settings = {"batch_size": 30, "lr": 1e-2, "workers": workers}
    simclr = parallel.SimCLR(*networks(), parts=7, **settings)
    moco = parallel.MoCo(*networks(), dim=5, queue_size=70, momentum=0.9, groups=7, **settings)
    found = {}
    for method in (simclr, moco):
        method.to(DEVICE).fit(images, STEPS // 5, progress=False)
        name = type(method).__name__
        assert method.optimizer.steps == STEPS
        found |= {f"{name} {key}": value for key, value in method.state_dict().items()}
        found |= {f"{name} {key}": np.array(values) for key, values in method.history.items()}
    return found


def everything(workers):
    return losses(workers) | methods(workers)


def gpus(workers):
    """Which way arrays go; and what NCCL itself would not see is refused."""
    for other in (np.ones(3, np.float32), np.ones((3, 1)), np.ones(4)) if workers.between else ():
        for talk in (workers.sum, lambda x: workers.sum_rows(x, [1, 2])):
            try:
                talk(put(other if workers.rank else np.ones(3)))
            except parallel.Refused:
                continue
            raise AssertionError(f"{other} was not refused")
    x = put(np.arange(3.0))
    assert np.array_equal(mc.to_numpy(workers.gather(x)), np.tile(np.arange(3.0), workers.size))
    return {"ways": np.array(workers.exchange(np.array([repr(workers)])))}


def fails(workers):
    """Worker 1 alone meets an error; the others wait for it."""
    z = np.ones((4, 3)) + workers.rank * np.eye(4, 3)
    if workers.rank == 1:
        z[2, 1] = np.nan
    parallel.nt_xent(z, z, 0.5, workers)
    return {}


def hangs(workers):
    """Worker 1 does something else for ten minutes."""
    if workers.rank == 1:
        time.sleep(600)
    workers.sum(np.ones(1))
    return {}


def differs(workers):
    """Worker 1 differs in one thing after the other; what all say of it."""
    images = np.random.default_rng(3).random((60, 8, 8, 1))
    cases = {"version": {}, "dtype": {"dtype": np.float32}, "shape": {"hidden": 9}, "data": {}}
    found = {}
    for what, change in cases.items():
        odd = workers.rank == 1
        options = {"dtype": np.float64, "hidden": 8} | (change if odd else {})
        encoder = mc.nn.MLP([64, options["hidden"], 4], rng=0, dtype=options["dtype"])
        settings = {"batch_size": 30, "parts": 7, "workers": workers}
        method = parallel.SimCLR(encoder, None, mc.data.views.GaussianNoise(0.1), **settings)
        before = [p.numpy().copy() for p in method.parameters()]
        version = mc.__version__
        mc.__version__ = "0.0.9" if odd and what == "version" else version
        try:
            method.fit(images[: 50 if odd and what == "data" else 60], 1, progress=False)
        except parallel.Refused as error:
            found[what] = np.array(str(error))
        mc.__version__ = version
        assert all(np.array_equal(p.numpy(), q) for p, q in zip(method.parameters(), before))
    return found


def long(workers):
    """A run that writes a checkpoint, until it is stopped from outside: `FILE.pid1` has the number of a process."""
    path = sys.argv[2]
    with open(f"{path}.pid{workers.rank}", "w") as file:
        file.write(str(os.getpid()))
    method = parallel.SimCLR(*networks(), parts=7, batch_size=30, lr=1e-2, workers=workers)
    images = np.random.default_rng(3).random((60, 8, 8, 1))
    epochs = int(os.environ.get("EPOCHS", 10**6))
    method.fit(images, epochs, progress=False, checkpoint=path)
    return {}


if __name__ == "__main__":
    if DEVICE == "gpu":
        import fake_cupy

        fake_cupy.install()
        fake_cupy.nccl.available = os.environ.get("WITHOUT_NCCL") != os.environ["PMI_RANK"]
    everyone = parallel.everybody(gpu=DEVICE == "gpu")
    results = globals()[sys.argv[1]](everyone)
    if everyone.rank == 0 and results:
        np.savez(sys.argv[2], **results)
