"""Parallel programs on threads: R workers find what one process finds. `test_parallel_mpi.py` does so on real processes."""

import re
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest
from differences import assert_close

import minicl as mc
from minicl import parallel
from minicl.parallel.ring import partner_rank
from minicl.train import checkpoints
from minicl.train.__main__ import main

SHARDS = {1: [7], 2: [5, 2], 3: [1, 4, 2], 4: [3, 1, 1, 2]}  # images of each worker: uneven


def shard(x, rank, sizes):
    first = sum(sizes[:rank])
    return x[first : first + sizes[rank]]


def whole(results, key):
    return np.concatenate([r[key] for r in results])


# -------------------------------------------------------------------------------------------------- operations that talk


@pytest.mark.parametrize("size", SHARDS)
def test_gather_and_scatter_are_exact_adjoints(size):
    """Σ_r ⟨(A x)_r, y_r⟩ = Σ_r ⟨x_r, (Aᵀ y)_r⟩ to the last bit, on whole numbers."""
    sizes = SHARDS[size]

    def work(workers):
        rng = np.random.default_rng(workers.rank)
        x = rng.integers(-9, 9, (sizes[workers.rank], 3)).astype(float)
        y = rng.integers(-9, 9, (7, 3)).astype(float)
        forward = (parallel.all_gather(x, workers) * y).sum()
        back = (x * parallel.reduce_scatter(y, rows=len(x), workers=workers)).sum()
        return forward, back

    forward, back = np.sum(parallel.simulate(size, work), axis=0)
    assert forward == back != 0


@pytest.mark.parametrize("size", SHARDS)
def test_total_and_spread_are_exact_adjoints(size):
    """What all workers hold counts once: ⟨Σ_r x_r, y⟩ = Σ_r ⟨x_r, y⟩, where `spread` gives y to each."""
    y = np.random.default_rng(9).integers(-9, 9, 5).astype(float)

    def work(workers):
        x = np.random.default_rng(workers.rank).integers(-9, 9, 5).astype(float)
        return (parallel.total(x, workers) * y).sum(), (x * parallel.spread(y, workers)).sum()

    results = parallel.simulate(size, work)
    assert all(forward == sum(back for _, back in results) for forward, _ in results)


@pytest.mark.parametrize("size", SHARDS)
def test_gradients_of_all_orders_through_the_gather(size):
    """f(x) = Σ of (W · all rows)³ with other weights on each worker; first and second derivative against one process."""
    sizes, rng = SHARDS[size], np.random.default_rng(0)
    x, direction, weights = rng.standard_normal((2, 7, 2)).tolist() + [rng.standard_normal((size, 7, 2))]
    x, direction = np.array(x), np.array(direction)

    def work(workers):
        own = mc.tensor(shard(x, workers.rank, sizes))
        everyone = parallel.all_gather(own, workers)
        loss = parallel.total(mc.sum((weights[workers.rank] * everyone) ** 3), workers)
        g = mc.grad(loss, own, differentiable=True)
        inner = parallel.total(mc.sum(g * shard(direction, workers.rank, sizes)), workers)
        return {"g": g.numpy(), "h": mc.grad(inner, own)}

    results = parallel.simulate(size, work)
    t = mc.tensor(x)
    g = mc.grad(mc.sum((weights * t) ** 3), t, differentiable=True)
    assert_close(whole(results, "g"), g.numpy(), 1e-13)
    assert_close(whole(results, "h"), mc.grad(mc.sum(g * direction), t), 1e-13)


@pytest.mark.parametrize("bucket", [1, 40, 10**6])
def test_buckets_change_nothing(bucket):
    shapes = [(3,), (2, 2), (), (5,), (1,)]
    kinds = [np.float64, np.float64, np.float64, np.float32, np.float64]

    def gradients(rank):
        rng = np.random.default_rng(rank)
        return [np.asarray(rng.standard_normal(s), k) for s, k in zip(shapes, kinds)]

    results = parallel.simulate(3, lambda w: parallel.sum_gradients(gradients(w.rank), w, bucket))
    for found in results:
        for k, (a, b) in enumerate(zip(found, zip(*map(gradients, range(3))))):
            assert a.shape == shapes[k] and a.dtype == kinds[k]
            assert_close(a, b[0] + b[1] + b[2], 1e-15 if kinds[k] is np.float64 else 1e-7)


# ---------------------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("size", SHARDS)
@pytest.mark.parametrize("temperature", [0.5, 0.05, 0.004])  # below 1/213 float64 takes the way that cannot overflow
def test_nt_xent_of_shards_is_that_of_the_batch(size, temperature, rng):
    z1, z2 = rng.standard_normal((2, 7, 3))

    def work(workers):
        a, b = (mc.tensor(shard(z, workers.rank, SHARDS[size])) for z in (z1, z2))
        t = mc.tensor(temperature)
        loss = parallel.nt_xent(a, b, t, workers)
        ga, gb, gt = mc.grad(loss, [a, b, t])
        return {"loss": float(loss), "a": ga, "b": gb, "t": float(workers.sum(gt))}

    a, b, t = mc.tensor(z1), mc.tensor(z2), mc.tensor(temperature)
    loss = mc.nt_xent(a, b, t, method="composed")
    ga, gb, gt = mc.grad(loss, [a, b, t])
    results = parallel.simulate(size, work)
    for r in results:
        assert_close(r["loss"], float(loss), 1e-12)
        assert_close(r["t"], float(gt), 1e-12)
    assert_close(whole(results, "a"), ga, 1e-12)
    assert_close(whole(results, "b"), gb, 1e-12)


def test_the_second_derivative_of_nt_xent(rng):
    z1, z2, direction = rng.standard_normal((3, 7, 3))
    sizes = SHARDS[3]

    def work(workers):
        a, b, v = (shard(z, workers.rank, sizes) for z in (z1, z2, direction))
        a = mc.tensor(a)
        g = mc.grad(parallel.nt_xent(a, b, 0.3, workers), a, differentiable=True)
        return {"h": mc.grad(parallel.total(mc.sum(g * v), workers), a)}

    a = mc.tensor(z1)
    g = mc.grad(mc.nt_xent(a, z2, 0.3), a, differentiable=True)
    assert_close(whole(parallel.simulate(3, work), "h"), mc.grad(mc.sum(g * direction), a), 1e-11)


def test_several_blocks(rng):
    """More rows than a block has, in float32."""
    z1, z2 = rng.standard_normal((2, 700, 8)).astype(np.float32)
    sizes = [400, 300]

    def work(workers):
        a = mc.tensor(shard(z1, workers.rank, sizes))
        loss = parallel.nt_xent(a, shard(z2, workers.rank, sizes), 0.1, workers)
        return {"loss": float(loss), "g": mc.grad(loss, a)}

    results, a = parallel.simulate(2, work), mc.tensor(z1.astype(float))
    loss = mc.nt_xent(a, z2.astype(float), 0.1)
    assert whole(results, "g").dtype == np.float32
    assert_close(results[0]["loss"], float(loss), 1e-6)
    assert_close(whole(results, "g"), mc.grad(loss, a), 1e-5)


def test_no_worker_holds_all_scores(rng):
    """2N = 4096 in float32: all scores are 64 MiB. Each worker has room for its rows, for a visitor, and for some blocks."""
    z1, z2 = rng.standard_normal((2, 2048, 8)).astype(np.float32)

    def work(workers):
        a = mc.tensor(z1[workers.share_of(2048)])
        mc.grad(parallel.nt_xent(a, z2[workers.share_of(2048)], 0.1, workers), a)

    tracemalloc.start()
    try:
        parallel.simulate(4, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20  # of all four workers


def test_without_gradient_through_the_gather_the_norm_halves():
    """Notebook 12's mistake, which "works": rows of others as constants. Direction stays, half of the length is missing."""
    rng = np.random.default_rng(1)
    z1, z2 = rng.standard_normal((2, 512, 64))
    sizes = [64] * 8

    def work(workers, right):
        a, b = (mc.normalize(mc.tensor(shard(z, workers.rank, sizes))) for z in (z1, z2))
        u = mc.concatenate([a, b])
        everyone = parallel.all_gather(u if right else u.data, workers)
        image = np.tile(np.arange(64), 2) + 64 * workers.rank
        images = np.concatenate([np.tile(np.arange(64), 2) + 64 * r for r in range(8)])
        others = mc.losses.blocked.lse_by_definition(u, everyone, 0.5, image, images)
        share = mc.sum(mc.softplus(others)) / 1024  # the repulsion alone: the partner is on the same worker
        return {"g": mc.grad(parallel.total(share, workers), a)}

    exact, wrong = (whole(parallel.simulate(8, lambda w: work(w, right)), "g").ravel() for right in (True, False))
    ratio = np.linalg.norm(wrong) / np.linalg.norm(exact)
    cosine = wrong @ exact / (np.linalg.norm(wrong) * np.linalg.norm(exact))
    assert abs(ratio - 0.5) < 0.01 and cosine > 0.999


@pytest.mark.parametrize("size", SHARDS)
def test_rank_of_the_partner(size, rng):
    z1 = rng.integers(-2, 3, (7, 2)).astype(float) + 0.5  # many ties
    z2 = rng.integers(-2, 3, (7, 2)).astype(float) + 0.5
    sizes = SHARDS[size]

    def work(w):
        return partner_rank(shard(z1, w.rank, sizes), shard(z2, w.rank, sizes), w)

    for found in parallel.simulate(size, work):
        assert found == pytest.approx(mc.evaluate.positive_rank(z1, z2), rel=1e-14)


# ------------------------------------------------------------------------------------------------------------ batch norm


@pytest.mark.parametrize("size", SHARDS)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_over_all_workers(size, rectify, affine, rng):
    x, c, v = rng.standard_normal((3, 7, 2, 2, 3)) * 2 + 1
    sizes = SHARDS[size]

    def passes(layer, x, c, v, total):
        x = mc.tensor(x)
        leaves = [x, *layer.parameters()]
        loss = total(mc.sum(layer(x, rectify=rectify) ** 2 * c))
        first = mc.grad(loss, leaves)
        g = mc.grad(loss, x, differentiable=True)
        return first, mc.grad(total(mc.sum(g * v)), x), layer.state_dict()

    def layer():
        found = mc.nn.BatchNorm2d(3, dtype=np.float64, affine=affine)
        for k, p in enumerate(found.parameters()):
            p.data = np.array([1.0, 2.0, -0.5]) + k
        return found

    def work(w):
        synced = parallel.sync_batch_norm(layer(), w)
        first, second, state = passes(
            synced, *(shard(a, w.rank, sizes) for a in (x, c, v)), lambda a: parallel.total(a, w)
        )
        return {"x": first[0], "others": [w.sum(g) for g in first[1:]], "second": second, "state": state}

    first, second, state = passes(layer(), x, c, v, lambda a: a)
    results = parallel.simulate(size, work)
    assert_close(whole(results, "x"), first[0], 1e-12)
    assert_close(whole(results, "second"), second, 1e-11)
    for r in results:
        assert r["state"].keys() == state.keys()
        for name, a in state.items():
            assert_close(r["state"][name], a, 1e-14)
        for a, b in zip(r["others"], first[1:]):
            assert_close(a, b, 1e-13)


# --------------------------------------------------------------------------------------------------------------- training


def images():
    return np.random.default_rng(3).random((60, 8, 8, 1))


def simclr(workers, dropout=0.0, **settings):
    encoder = mc.nn.ConvNet(1, (3, 5), rng=0, dtype=np.float64)
    head = mc.nn.ProjectionHead(5, 8, 4, rng=1, dtype=np.float64)
    head = mc.nn.Sequential(mc.nn.Dropout(dropout, rng=2), head) if dropout else head
    settings = {"batch_size": 30, "parts": 7, "lr": 1e-2} | settings
    return parallel.SimCLR(encoder, head, mc.data.views.GaussianNoise(0.1), workers=workers, **settings)


def moco(workers, groups=7):
    encoder = mc.nn.ConvNet(1, (3, 5), rng=0, dtype=np.float64)
    head = mc.nn.ProjectionHead(5, 8, 4, rng=1, dtype=np.float64)
    view = mc.data.views.GaussianNoise(0.1)
    options = {"dim": 4, "queue_size": 40, "momentum": 0.9, "batch_size": 30, "lr": 1e-2}
    return parallel.MoCo(encoder, head, view, groups=groups, workers=workers, **options)


@pytest.mark.parametrize("make", [simclr, moco])
def test_training_does_not_depend_on_the_number_of_workers(make):
    """Buffers (statistics, queue, momentum encoder), history and generators too. A batch of 30 in 7 parts: uneven shards."""

    def work(workers):
        method = make(workers).fit(images(), epochs=3, progress=False)
        return method._snapshot()

    expected, notes = work(parallel.Workers())
    for arrays, other in parallel.simulate(3, work):
        for name, a in expected.items():
            assert_close(arrays[name], a, 1e-9, what=name)
        assert other["generators"] == notes["generators"] and other["config"] == notes["config"]
        for name, values in notes["history"].items():
            assert_close(np.array(other["history"][name]), np.array(values), 1e-9)


def test_one_group_of_moco_is_normalised_over_all_workers():
    with pytest.warns(UserWarning, match="BatchNorm"):
        work = lambda w: moco(w, groups=1).fit(images(), epochs=1, progress=False)._snapshot()[0]
        expected = work(parallel.Workers())
        for arrays in parallel.simulate(2, work):
            for name, a in expected.items():
                assert_close(arrays[name], a, 1e-9, what=name)


class Same:
    """A view that leaves images as they are. It draws, so that two views are not taken for one."""

    def __call__(self, images, rng):
        rng.random()
        return images


@pytest.mark.parametrize("name, settings", [("SimCLR", {}), ("MoCo", {"groups": 1}), ("MoCo", {"groups": 7})])
def test_alone_it_is_the_method_of_one_process(name, settings):
    """With groups, too: each query is compared with its own key, whatever the order in which keys were made."""
    if name == "MoCo":
        settings = settings | {"dim": 4, "queue_size": 40, "momentum": 0.9}

    def trained(module):
        encoder = mc.nn.MLP([64, 8, 4], rng=0, dtype=np.float64)
        method = getattr(module, name)(encoder, None, Same(), batch_size=30, lr=1e-2, **settings)
        return method.fit(images(), epochs=2, progress=False)

    a, b = trained(mc.train), trained(parallel)
    expected = a.state_dict()
    for key, value in b.state_dict().items():
        assert_close(value, expected[key], 1e-12, what=key)
    for key, values in a.history.items():
        assert b.history[key] == pytest.approx(values, rel=1e-13)


def test_dropout_draws_other_numbers_on_each_worker_and_states_agree_after_it():
    masks = {}

    def work(workers):
        method = simclr(workers, dropout=0.5)
        layer = method.head[0]
        forward = layer.forward

        def noted(x):
            y = forward(x)
            masks.setdefault(workers.rank, (y.numpy() == 0)[:8])
            return y

        layer.forward = noted
        method.fit(images(), epochs=2, progress=False)  # states are compared before each epoch
        return method._snapshot()[1]["generators"]

    first, second = parallel.simulate(2, work)
    assert first == second
    assert masks[0].any() and not np.array_equal(masks[0], masks[1])


# ------------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "change, text",
    [
        ({"lr": 2e-2}, "worker 1 differs from worker 0 in settings.*0.02"),
        ({"parts": 6}, "in settings.*parts"),
        ({"dtype": np.float32}, "float32"),
        ({"seed": 1}, "seed"),
    ],
)
def test_workers_that_differ_are_refused_by_all(change, text):
    def work(workers):
        settings = dict(change) if workers.rank == 1 else {}
        dtype = settings.pop("dtype", np.float64)
        encoder = mc.nn.MLP([64, 8, 4], rng=0, dtype=dtype)
        view = mc.data.views.GaussianNoise(0.1)
        settings = {"batch_size": 30, "lr": 1e-2} | settings
        method = parallel.SimCLR(encoder, None, view, workers=workers, **settings)
        with pytest.raises(parallel.Refused, match=f"(?s){text}") as error:
            method.fit(images(), epochs=1, progress=False)
        return str(error.value)

    first, second = parallel.simulate(2, work)
    assert first == second


@pytest.mark.parametrize("what", ["data", "state", "generators", "epochs", "versions"])
def test_other_data_states_and_versions_are_refused(what, monkeypatch):
    from minicl.parallel import methods

    def work(workers):
        other = workers.rank == 1
        method = simclr(workers)
        x = images()
        if other and what == "data":
            x[0, 0, 0, 0] += 0.5
        if other and what == "state":
            p = method.parameters()[0]
            p.data = p.data + 1e-9
        if other and what == "generators":
            method.order_rng.random()
        with pytest.raises(parallel.Refused, match=f"worker 1 differs from worker 0 in {what}"):
            method.fit(x, epochs=1 + (other and what == "epochs"), progress=False)

    if what == "versions":
        first = threading.Lock()
        monkeypatch.setattr(methods, "versions", lambda: {"minicl": "0.1" if first.acquire(False) else "0.2"})
        with pytest.raises((parallel.Refused, AssertionError), match="in versions"):
            parallel.simulate(2, lambda w: simclr(w).fit(images(), epochs=1, progress=False))
    else:
        parallel.simulate(2, work)


@pytest.mark.parametrize(
    "other, text",
    [
        (lambda z: (z.astype(np.float32), z.astype(np.float32), 0.5), "float32"),
        (lambda z: (z[:, :2], z[:, :2], 0.5), r"\(rows, 2\)"),
        (lambda z: (z, z, 0.4), "0.4"),
    ],
)
def test_shards_that_differ_are_refused_by_all(other, text, rng):
    z = rng.standard_normal((4, 3))

    def work(workers):
        with pytest.raises(parallel.Refused, match=text):
            parallel.nt_xent(*((z, z, 0.5) if workers.rank == 0 else other(z)), workers)

    parallel.simulate(2, work)


def test_rows_that_do_not_add_up(rng):
    def work(workers):
        with pytest.raises(ValueError, match=r"ask for \[2, 2\] rows of 5"):
            parallel.reduce_scatter(np.ones((5, 1)), rows=2, workers=workers)

    parallel.simulate(2, work)


def test_too_few_parts():
    with pytest.raises(ValueError, match="each worker needs a part"):
        parallel.simulate(3, lambda w: simclr(w, parts=2))
    with pytest.raises(ValueError, match="each part an image"):
        simclr(None, parts=31)


def test_the_error_of_one_simulated_worker_is_raised():
    def work(workers):
        if workers.rank == 1:
            raise KeyError("mine")
        workers.sum(np.ones(1))

    with pytest.raises(KeyError, match="mine"):
        parallel.simulate(3, work)


def test_an_interrupt_from_the_keyboard_ends_simulated_workers():
    def work(workers):
        if workers.rank == 0:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        while True:
            workers.sum(np.ones(1))

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        parallel.simulate(2, work)
    end = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_worker_0_alone_writes_the_file(tmp_path, monkeypatch):
    written = []
    save = checkpoints.save
    monkeypatch.setattr(checkpoints, "save", lambda *state: (written.append(threading.get_ident()), save(*state)))

    def work(workers):
        simclr(workers).fit(images(), epochs=2, progress=False, checkpoint=tmp_path / "run")
        return threading.get_ident()

    assert written == [] and [parallel.simulate(2, work)[0]] * 2 == written


# ------------------------------------------------------------------------------------------------------ the command line

GREY = np.random.default_rng(0).random((6, 4, 4, 1))


@pytest.mark.parametrize(
    "file, text",
    [
        (None, "No such file"),
        (b"0.1, 0.2", "no .npy file of numbers"),
        (np.array([{}]), "no .npy file of numbers"),
        (GREY[..., 0], r"\(N, H, W, C\) are needed, got float64 \(6, 4, 4\)"),
        ((GREY * 255).astype(np.uint8), "uint8.*Divide bytes by 255"),
        (GREY, "--batch-size 256: it lies between 2 and the 6 images"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_line(file, text, tmp_path, capsys):
    path = tmp_path / "images.npy"
    if isinstance(file, bytes):
        path.write_bytes(file)
    elif file is not None:
        np.save(path, file)
    assert main(["simclr", "--images", str(path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    assert re.search(f"^python -m minicl.train: error: .*{text}", err)


@pytest.mark.parametrize(
    "options, text",
    [
        (["--seed", "-1"], "--seed must be a whole number"),
        (["--dim", "0"], "must be at least 1"),
        (["--parts", "7"], "Choose from 1 to 6 parts"),
        (["--lr", "-1"], "learning rate must not be negative"),
        (["--temperature", "0"], "--temperature: a positive, finite number is needed, got 0"),
        (["--temperature", "warm"], "--temperature: invalid positive value: 'warm'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, text, tmp_path, capsys):
    np.save(tmp_path / "images.npy", GREY)
    arguments = ["simclr", "--images", str(tmp_path / "images.npy"), "--batch-size", "6", *options]
    try:
        assert main(arguments) == 2
    except SystemExit as error:  # of the parser, which shows how the command is used
        assert error.code == 2
    assert text in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------- devices


def test_arrays_of_the_other_device_go_through_the_host(gpu, rng):
    """The same program; what comes back is where what went in was."""
    z1, z2 = rng.standard_normal((2, 7, 3))
    sizes = SHARDS[2]

    def work(workers):
        a, b = (mc.tensor(gpu.asarray(shard(z, workers.rank, sizes))) for z in (z1, z2))
        loss = parallel.nt_xent(a, b, 0.5, workers)
        g = mc.grad(loss, a)
        assert isinstance(g, gpu.ndarray)
        x = gpu.asarray(np.ones((sizes[workers.rank], 3)))
        layer = parallel.sync_batch_norm(mc.nn.BatchNorm1d(3, dtype=np.float64), workers).to("gpu")
        assert mc.grad(mc.sum(layer(a)), a).shape == x.shape
        return {"loss": float(loss), "g": mc.to_numpy(g)}

    results, a = parallel.simulate(2, work), mc.tensor(z1)
    loss = mc.nt_xent(a, z2, 0.5)
    assert_close(results[0]["loss"], float(loss), 1e-12)
    assert_close(whole(results, "g"), mc.grad(loss, a), 1e-12)


@pytest.mark.parametrize("make", [simclr, moco])
def test_methods_train_on_the_other_device(make, gpu):
    def work(workers, device="gpu"):
        method = make(workers).to(device).fit(images()[:30], epochs=2, progress=False)
        assert method.device == device
        return method.state_dict()

    expected = work(parallel.Workers(), "cpu")
    for found in parallel.simulate(2, work):
        for name, a in expected.items():
            assert_close(found[name], a, 1e-9, what=name)
