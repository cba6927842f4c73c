"""The methods of training: each keeps its promise exactly, can be stopped and continued bit for bit, and learns."""

import copy
import gc
import json
import math
import re
import tracemalloc
from collections import deque

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl import nn
from minicl.data import views
from minicl.train import (
    Batch,
    FineTune,
    LargeBatch,
    MemoryBank,
    MoCo,
    MultiView,
    Queue,
    SimCLR,
    SupCon,
    cached_gradient,
    checkpoints,
    two_stage,
)
from minicl.train.places import places

VIEW = views.Compose([views.RandomAffine(15, 1, (0.8, 1.2)), views.GaussianNoise(0.1)])


@pytest.fixture(scope="module")
def digits():
    images, labels = mc.data.digits("train")
    return images[:70], labels[:70]


def networks(dropout=True, dtype=np.float32):
    encoder = nn.MLP([64, 16, 8], rng=0, dtype=dtype)
    if dropout:
        encoder = nn.Sequential(encoder, nn.Dropout(0.1, rng=7))
    return encoder, nn.ProjectionHead(8, 8, 4, rng=1, dtype=dtype)


def moco(view=VIEW, dropout=True, dtype=np.float32, **changed):
    chosen = {"dim": 4, "queue_size": 50, "momentum": 0.9, "batch_size": 32, "seed": 3, **changed}
    return MoCo(*networks(dropout, dtype), view, **chosen)


def bank(view=VIEW, dropout=True, dtype=np.float32, **changed):
    return MemoryBank(
        *networks(dropout, dtype),
        view,
        **{"size": 70, "dim": 4, "batch_size": 32, "seed": 3, "negatives": 20, **changed},
    )


def large(view=VIEW, dropout=True, dtype=np.float32, **changed):
    return LargeBatch(
        *networks(dropout, dtype), view, **{"chunk_size": 12, "batch_size": 32, "seed": 3, "lr": 1e-3, **changed}
    )


def multi(view=VIEW, dropout=True, dtype=np.float32, **changed):
    return MultiView(*networks(dropout, dtype), view, **{"n_views": 3, "batch_size": 32, "seed": 3, **changed})


def supcon(view=VIEW, dropout=True, dtype=np.float32, **changed):
    return SupCon(*networks(dropout, dtype), view, **{"batch_size": 32, "seed": 3, **changed})


def finetune(view=VIEW, dropout=True, dtype=np.float32, **changed):
    encoder, _ = networks(dropout, dtype)
    return FineTune(encoder, **{"width": 8, "classes": 10, "view": view, "batch_size": 32, "seed": 3, **changed})


MAKERS = {"moco": moco, "bank": bank, "large": large, "multi": multi, "supcon": supcon, "finetune": finetune}
EVERY = pytest.mark.parametrize("name", MAKERS)


def fit(method, digits, epochs, **settings):
    images, labels = digits
    return method.fit(images, epochs, labels=labels, progress=False, **settings)


def batch_of(digits, rows):
    return Batch(digits[0][rows], digits[1][rows], np.asarray(rows))


def everything(method):
    arrays, notes = method._snapshot()
    return {name: a.tobytes() for name, a in arrays.items()} | {"notes": repr(notes)}


# ------------------------------------------------------------------------------------------------------------ the queue


@given(k=st.integers(1, 9), sizes=st.lists(st.integers(0, 12), max_size=12))
@settings(max_examples=300, deadline=None)
def test_the_queue_is_first_in_first_out(k, sizes):
    """Against a deque of tags, for batches of any size, and K that no batch divides."""
    queue, model, tag = Queue(np.full((k, 1), -1.0)), deque([-1.0] * k, maxlen=k), 0
    for n in sizes:
        new = np.arange(tag, tag + n, dtype=float)
        tag += n
        queue.put(new[:, None])
        model.extend(new)
        assert queue.oldest_first().ravel().tolist() == list(model)
        assert int(queue.count) == tag
    for t in range(max(tag - k, 0), tag):
        assert queue.rows[t % k, 0] == t


def test_the_queue_of_a_run_holds_the_last_keys(digits):
    seen = []

    class Seen(MoCo):
        def after_step(self, batch, queries, keys):
            seen.extend(mc.normalize(keys))
            super().after_step(batch, queries, keys)

    fit(method := Seen(*networks(), VIEW, 4, 50, batch_size=32), digits, 3)
    assert len(seen) == 192 and np.array_equal(method.queue.oldest_first(), seen[-50:])


def test_the_queue_starts_with_unit_noise_and_never_holds_zeros(digits):
    method = moco(queue_size=4000)
    rows = method.queue.rows
    assert_close(np.linalg.norm(rows, axis=1), np.ones(4000), 1e-6)
    assert np.abs(rows.mean(axis=0)).max() < 0.05
    loss, outputs = method.loss(batch_of(digits, range(32)))
    assert method.measure(*outputs)["top1"] < 0.9  # with zeros there, each key would come first


# ----------------------------------------------------------------------------------------------------------------- MoCo


def key_parameters(method):
    return {name: p for name, p in method.named_parameters() if name.startswith("key_")}


def test_keys_get_no_gradient(digits):
    method = moco()
    keys = list(key_parameters(method).values())
    trained = [id(p) for p in method.optimizer.parameters]
    assert trained == [id(p) for p in method.trained()]
    assert len(keys) == len(trained) == 8 and not {id(p) for p in keys} & set(trained)
    loss, (queries, k) = method.loss(batch_of(digits, range(32)))
    assert isinstance(k, np.ndarray)
    assert all(not g.any() for g in mc.grad(loss, keys))
    assert all(g.any() for g in mc.grad(loss, method.optimizer.parameters)[:-1])


def test_the_gradient_of_moco_is_the_closed_form(digits):
    """dL/du = (−(1 − p) k + Σ_j p_j n_j) / (τN), by hand, and then the Jacobian of the normalisation."""
    method = moco(dropout=False, dtype=np.float64)
    loss, (queries, k) = method.loss(batch_of(digits, range(32)))
    tau, n = method.temperature, method.queue.rows
    length = np.linalg.norm(queries.data, axis=1, keepdims=True)
    u, k = queries.data / length, k / np.linalg.norm(k, axis=1, keepdims=True)
    scores = np.concatenate([(u * k).sum(axis=1, keepdims=True), u @ n.T], axis=1) / tau
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    g = ((p[:, :1] - 1) * k + p[:, 1:] @ n) / (tau * len(u))
    assert_close(mc.grad(loss, queries), (g - (g * u).sum(axis=1, keepdims=True) * u) / length, 1e-12)


@pytest.mark.parametrize("m", [0.0, 0.7, 0.99, 1.0])
def test_the_key_encoder_changes_by_averaging_alone(m, digits):
    method = moco(momentum=m, dtype=np.float64, optimizer=mc.optim.SGD, lr=0.1)
    start = {name: p.data.copy() for name, p in key_parameters(method).items()}
    partner = dict(method.named_parameters())
    history = {name: [] for name in start}
    for step in range(6):
        method.step(batch_of(digits, range(5 * step, 5 * step + 32)))
        for name in start:
            history[name].append(partner[name.removeprefix("key_")].data.copy())
    for name, p in key_parameters(method).items():
        average = m**6 * start[name] + sum((1 - m) * m ** (5 - t) * q for t, q in enumerate(history[name]))
        assert_close(p.data, average, 1e-13, what=name)
        if m == 0:
            assert np.array_equal(p.data, history[name][-1])
        if m == 1:
            assert np.array_equal(p.data, start[name])
    assert any((q[0] != q[-1]).any() for q in history.values())


def test_buffers_are_averaged_too():
    class Counting(nn.Module):
        def __init__(self):
            self.mean, self.seen = np.array([2.0]), np.array(7)

        def forward(self, x):
            return x

    encoder = nn.Sequential(nn.Linear(3, 4, rng=0), Counting())
    method = MoCo(encoder, None, VIEW, 4, 5, momentum=0.75)
    encoder[1].mean[...], encoder[1].seen[...] = 6.0, 9
    method.follow()
    assert method.key_encoder[1].mean == [3.0] and method.key_encoder[1].seen == 9
    assert encoder[1].mean == [6.0]


def test_keys_come_in_after_the_loss():
    """Perfect keys: the loss is near 0. A key that is in the queue already is its own negative, at best log 2."""

    class TooEarly(MoCo):
        def keys(self, images):
            keys = super().keys(images)
            self.queue.put(mc.normalize(keys))
            return keys

    def loss_of(kind):
        encoder = nn.Linear(12, 12, bias=False, rng=0)
        encoder.weight.data = np.eye(12, dtype=np.float32)
        method = kind(
            encoder,
            None,
            lambda x, rng: x + 1e-4 * rng.standard_normal(x.shape).astype(x.dtype),
            12,
            queue_size=6,
            temperature=0.05,
            optimizer=mc.optim.SGD,
            lr=0.0,
            batch_size=6,
        )
        return method.fit(np.eye(12, dtype=np.float32), 1, progress=False).history["loss"][0]

    assert loss_of(MoCo) < 0.1
    assert loss_of(TooEarly) > math.log(2) - 1e-6


def test_key_and_query_draw_their_own_dropout(digits):
    method = moco()
    states = [rng.bit_generator.state["state"] for name, rng in method.named_generators() if "encoder" in name]
    assert len(states) == 2 and states[0] != states[1]
    x = digits[0][:5]
    assert not np.array_equal(method(x).data, method.keys(x))
    method.eval()
    assert np.array_equal(method(x).data, method.keys(x))


def test_shuffled_groups_are_put_back_in_order(digits):
    x = digits[0][:32]
    for groups in (1, 2, 5, 40):
        assert_close(moco(dropout=False, groups=groups).keys(x), moco(dropout=False).keys(x), 1e-6)

    seen = []

    class Watched(nn.Module):
        def __init__(self):
            self.net = nn.MLP([64, 4], rng=0)

        def forward(self, x):
            seen.append(x)
            return self.net(x)

    method = MoCo(Watched(), None, VIEW, 4, 50, groups=4, batch_size=32)
    method.keys(x)
    assert [len(part) for part in seen] == [8] * 4
    keys_of = {row.tobytes() for row in x}
    assert {row.tobytes() for part in seen for row in part} == keys_of and not np.array_equal(seen[0], x[:8])
    seen.clear()
    method._in_groups(method, x, shuffled=False)
    assert np.array_equal(np.concatenate(seen), x)


def test_shuffling_hides_which_keys_are_of_the_same_batch(digits):
    """With BatchNorm the key of an image depends on its group: its query's neighbours, unless they are shuffled."""
    x = digits[0][:32].copy()
    encoder = nn.Sequential(nn.MLP([64, 8], rng=0), nn.BatchNorm1d(8))
    other = x.copy()
    other[8:] = 1 - other[8:]  # all but the first group
    alone = [f.keys for f in (MoCo(encoder, None, VIEW, 8, 50, groups=4, batch_size=32) for _ in range(2))]
    assert (np.abs(alone[0](x)[:8] - alone[1](other)[:8]) > 1e-3).any(axis=1).all()
    queries = [MoCo(encoder, None, VIEW, 8, 50, groups=4)._in_groups(encoder, v, False).data[:8] for v in (x, other)]
    assert np.array_equal(*queries)


def test_batch_statistics_give_a_key_away_unless_groups_are_shuffled(digits):
    """The worst encoder there is: all that it gives is what its group has in common."""

    class Common(nn.Module):
        def forward(self, x):
            x = x.reshape((len(x), 64))
            return x.mean(axis=0, keepdims=True) * np.ones((len(x), 1))

    method = MoCo(nn.Sequential(nn.Linear(64, 64, rng=0), Common()), None, VIEW, 64, 50, groups=4, batch_size=64)
    images, rng = mc.data.digits("train").images.reshape((-1, 64)), np.random.default_rng(0)
    rows = np.arange(64)

    def guessed(shuffled):
        """How often a key of its own group is the nearest to a query, where one in four is chance."""
        hits = []
        for _ in range(20):
            v1, v2 = (images[64 * k : 64 * k + 64] for k in rng.integers(0, 20, 1).repeat(2))
            queries, keys = (method._in_groups(Common(), v, s) for v, s in ((v1, False), (v2, shuffled)))
            scores = -((queries[:, None] - keys) ** 2).sum(axis=2)
            hits.append((scores[rows, rows] == scores.max(axis=1)).mean())
        return np.mean(hits)

    assert guessed(False) == 1
    assert guessed(True) < 0.35


def test_a_norm_that_leaks_is_told(recwarn):
    def make(norm, **changed):
        return MoCo(nn.Sequential(nn.Linear(64, 8, rng=0), norm), None, VIEW, 8, 50, **changed)

    with pytest.warns(
        UserWarning, match=r"MoCo: encoder.layers.1 is BatchNorm1d\(8\): .*Give groups=8, or use LayerNorm"
    ):
        make(nn.BatchNorm1d(8))
    recwarn.clear()
    make(nn.BatchNorm1d(8), groups=8)
    make(nn.LayerNorm(8))
    make(nn.GroupNorm(2, 8))
    assert not recwarn.list


# ------------------------------------------------------------------------------------------------------------- the bank


@pytest.mark.parametrize("negatives", [None, 7])
@pytest.mark.parametrize("m", [0.0, 0.5, 1.0])
def test_exactly_the_seen_slots_are_overwritten(m, negatives, digits, rng):
    method = bank(momentum=m, negatives=negatives, dtype=np.float64)
    embedded = []
    after_step = method.after_step
    method.after_step = lambda batch, z, *rest: (embedded.append(z.data), after_step(batch, z, *rest))
    seen = set()
    for _ in range(3):
        rows = rng.choice(70, 11, replace=False)
        before = method.bank.copy()
        method.step(batch_of(digits, rows))
        changed = {int(i) for i in np.flatnonzero((method.bank != before).any(axis=1))}
        assert changed == (set() if m == 1 else set(rows.tolist()))
        u = embedded[-1] / np.linalg.norm(embedded[-1], axis=1, keepdims=True)
        expected = m * before[rows] + (1 - m) * u
        assert_close(method.bank[rows], expected / np.linalg.norm(expected, axis=1, keepdims=True), 1e-13)
        seen |= changed
    assert_close(np.linalg.norm(method.bank, axis=1), np.ones(70), 1e-12)


def test_an_epoch_reaches_every_slot_when_batches_do(digits):
    method = bank(batch_size=35, momentum=0.0)
    before = method.bank.copy()
    fit(method, digits, 1)
    assert (method.bank != before).any(axis=1).all()


def test_the_update_of_a_slot_is_a_proximal_step(digits, rng):
    """Among unit vectors, the new slot has the smallest m ‖b − old‖² + (1 − m) ‖b − u‖²."""
    method = bank(momentum=0.3, dtype=np.float64)
    old = method.bank[:9].copy()
    z = mc.tensor(rng.standard_normal((9, 4)))
    method.after_step(None, z, np.arange(9), None)
    u = mc.normalize(z.data)

    def cost(b):
        return 0.3 * ((b - old) ** 2).sum(axis=1) + 0.7 * ((b - u) ** 2).sum(axis=1)

    for _ in range(200):
        near = mc.normalize(method.bank[:9] + 0.1 * rng.standard_normal((9, 4)))
        assert (cost(near) >= cost(method.bank[:9])).all()


def test_drawn_slots_are_any_but_the_own():
    method = bank(size=5, negatives=4000)
    drawn = method.others(np.arange(5))
    for i in range(5):
        counts = np.bincount(drawn[i], minlength=5)
        assert counts[i] == 0 and (np.abs(np.delete(counts, i) - 1000) < 150).all()


@pytest.mark.parametrize("negatives", [None, 20])
def test_an_embedding_in_its_slot_comes_first(negatives, digits):
    """The own slot is no candidate beside itself."""
    method = bank(negatives=negatives, dropout=False, dtype=np.float64)
    _, outputs = method.loss(batch_of(digits, range(32)))
    method.bank[:32] = mc.normalize(outputs[0].data)
    assert method.measure(*outputs) == {"rank": 1.0, "top1": 1.0}


def test_the_proximal_term_pulls_towards_the_slot(digits):
    with_it, without = (bank(proximal=p, dropout=False, dtype=np.float64) for p in (2.0, 0.0))
    batch = batch_of(digits, range(32))
    (a, (z, *_)), (b, _) = with_it.loss(batch), without.loss(batch)
    distance = ((mc.normalize(z.data) - with_it.bank[:32]) ** 2).sum(axis=1).mean()
    assert abs((a - b).item() - 2 * distance) < 1e-12


# ----------------------------------------------------------------------------------------------------- gradient caching


class Noise(nn.Module):
    """Draws straight from its Generator, without mc.once."""

    def __init__(self, rng):
        self.rng = np.random.default_rng(rng)

    def forward(self, x):
        return x + 0.1 * self.rng.standard_normal(x.shape)


def encoder64(*more):
    return nn.Sequential(nn.MLP([6, 7, 5], mc.tanh, rng=0, dtype=np.float64), *more)


def in_parts(module, x, size):
    return mc.concatenate([module(x[k : k + size]) for k in range(0, len(x), size)])


def relative(found, expected):
    a, b = (np.concatenate([g.ravel() for g in gs]) for gs in (found, expected))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("size", [1, 3, 11, 22, 1000])
def test_caching_gives_the_gradient_of_the_whole_batch(size, rng):
    net, x = encoder64(), rng.standard_normal((22, 6))
    whole = mc.nt_xent(net(x))
    expected = mc.grad(whole, net.parameters())
    value, found, z = cached_gradient(net, x, mc.nt_xent, size)
    assert abs(value - whole.item()) < 1e-13 and np.allclose(z, net(x).data, rtol=1e-13)
    for g, e in zip(found, expected):
        assert_close(g, e, 1e-12)


def test_adding_up_the_losses_of_parts_is_something_else(rng):
    net, v1, v2 = encoder64(), rng.standard_normal((12, 6)), rng.standard_normal((12, 6))
    whole = mc.grad(mc.nt_xent(net(v1), net(v2)), net.parameters())
    loss = sum(mc.nt_xent(net(v1[k : k + 3]), net(v2[k : k + 3])) for k in range(0, 12, 3)) / 4
    assert relative(mc.grad(loss, net.parameters()), whole) > 0.1
    cached = cached_gradient(net, np.concatenate([v1, v2]), mc.nt_xent, 6)[1]
    assert relative(cached, whole) < 1e-13


@pytest.mark.parametrize("more", ["dropout", "noise", "both", "checkpoint"])
def test_caching_draws_once(more, rng):
    """The second pass has the draws of the first, and the Generators then stand where one pass would leave them."""

    class Recomputed(nn.Module):
        def __init__(self, f):
            self.f = f

        def forward(self, x):
            return mc.checkpoint(self.f, x)

    def make():
        layers = {"dropout": [nn.Dropout(0.4, rng=7)], "noise": [Noise(8)]}
        layers["both"] = layers["dropout"] + layers["noise"]
        layers["checkpoint"] = [Recomputed(nn.Sequential(nn.Dropout(0.4, rng=7), mc.tanh))]
        return encoder64(*layers[more])

    x = rng.standard_normal((22, 6))
    one, other = make(), make()
    expected = mc.grad(mc.nt_xent(in_parts(one, x, 5)), one.parameters())
    value, found, _ = cached_gradient(other, x, mc.nt_xent, 5)
    for g, e in zip(found, expected):
        assert_close(g, e, 1e-12)
    for (_, a), (_, b) in zip(one.named_generators(), other.named_generators()):
        assert a.bit_generator.state == b.bit_generator.state
    assert cached_gradient(other, x, mc.nt_xent, 5)[0] != value  # the next step has new draws


def test_draws_from_elsewhere_are_found_out(rng):
    hidden = np.random.default_rng(3)
    net = encoder64(lambda x: x * hidden.random(x.shape))
    with pytest.raises(RuntimeError, match="second pass gave other embeddings.*mc.once"):
        cached_gradient(net, rng.standard_normal((8, 6)), mc.nt_xent, 3)


def test_what_goes_through_once_happens_once(rng):
    """A draw from a place that nobody knows, and an effect."""
    hidden, calls = np.random.default_rng(3), []

    def draw(shape):
        calls.append(shape)
        return hidden.random(shape)

    net, x = encoder64(lambda x: x * mc.once(lambda: draw(x.shape))), rng.standard_normal((8, 6))
    _, found, _ = cached_gradient(net, x, mc.nt_xent, 3)
    assert calls == [(3, 5), (3, 5), (2, 5)]
    hidden = np.random.default_rng(3)
    for g, e in zip(found, mc.grad(mc.nt_xent(in_parts(net, x, 3)), net.parameters())):
        assert_close(g, e, 1e-12)


def test_batch_statistics_are_refused(rng):
    net = nn.Sequential(nn.Linear(6, 4, rng=0), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match=r"layers.1 is BatchNorm1d.*LayerNorm or GroupNorm"):
        cached_gradient(net, np.zeros((4, 6), np.float32), mc.nt_xent, 2)
    with pytest.raises(ValueError, match=r"LargeBatch: encoder.layers.1 is BatchNorm1d"):
        LargeBatch(net, None, VIEW)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_run_with_large_batches_is_that_of_simclr(size, digits):
    images = digits[0][:40]
    run = large(dropout=False, dtype=np.float64, chunk_size=size, batch_size=20).fit(images, 3, progress=False)
    whole = SimCLR(*networks(False, np.float64), VIEW, batch_size=20, seed=3).fit(images, 3, progress=False)
    for key in whole.history:
        assert_close(np.array(run.history[key]), np.array(whole.history[key]), 1e-10, what=key)
    for p, q in zip(run.parameters(), whole.parameters()):
        assert_close(p.data, q.data, 1e-8)


def test_caching_needs_the_memory_of_a_part(rng):
    net, x = nn.MLP([8, 1000, 1000, 8], rng=0), rng.standard_normal((1024, 8)).astype(np.float32)

    def peak(f):
        gc.collect()
        tracemalloc.start()
        f()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    whole = peak(lambda: mc.grad(mc.nt_xent(net(x)), net.parameters()))
    assert peak(lambda: cached_gradient(net, x, mc.nt_xent, 64)) < 0.7 * whole


# ----------------------------------------------------------------------------------------------------------- many views


@pytest.mark.parametrize("form", ["out", "in"])
def test_two_views_are_nt_xent(form, digits):
    two = multi(n_views=2, form=form, dropout=False, dtype=np.float64)
    simclr = SimCLR(*networks(False, np.float64), VIEW, batch_size=32, seed=3)
    batch = batch_of(digits, range(32))
    (a, za), (b, zb) = two.loss(batch), simclr.loss(batch)
    assert abs((a - b).item()) < 1e-13 and two.collapse == simclr.collapse
    for g, e in zip(mc.grad(a, two.parameters()), mc.grad(b, simclr.parameters())):
        assert_close(g, e, 1e-11, floor=1e-15)
    assert np.allclose(list(two.measure(*za).values()), list(simclr.measure(*zb).values()), rtol=1e-12)
    two, simclr = (m.fit(digits[0], 2, progress=False) for m in (two, simclr))
    assert_close(np.array(two.history["loss"]), np.array(simclr.history["loss"]), 1e-10)


def test_views_of_several_sizes(digits):
    class Pooled(nn.Module):
        def __init__(self):
            self.net, self.sizes = nn.Linear(2, 4, rng=0), []

        def forward(self, x):
            self.sizes.append(tuple(x.shape))
            return self.net(np.stack([x.mean(axis=(1, 2, 3)), x.std(axis=(1, 2, 3))], axis=1))

    method = MultiView(Pooled(), None, mc.data.multi_crop(n_local=3, local_size=5), batch_size=32)
    assert method.n_views == 5 and method.collapse == math.log(159)
    fit(method, digits, 1)
    assert method.encoder.sizes[:2] == [(64, 8, 8, 1), (96, 5, 5, 1)]


@pytest.mark.parametrize("v", [2, 3, 5])
def test_collapse_gives_the_values_of_chance(v, digits):
    method = multi(n_views=v, dropout=False, dtype=np.float64)
    last = method.head.layers[-1]
    last.weight.data = 0 * last.weight.data
    last.bias.data = [1.0, 2.0, -1.0, 0.5]
    loss, outputs = method.loss(batch_of(digits, range(32)))
    assert abs(loss.item() - method.collapse) < 1e-13
    measured = method.measure(*outputs)
    assert abs(measured["rank"] - 32) < 1e-12 and abs(measured["top1"] - (v - 1) / (32 * v - 1)) < 1e-12


# --------------------------------------------------------------------------------------------------------------- places


@given(
    p=st.lists(st.integers(-2, 2), min_size=1, max_size=4),
    n=st.lists(st.integers(-2, 2), max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_places_are_the_mean_over_orders_of_equals(p, n):
    rank, top1 = places(np.array([p], float), np.array([n], float).reshape(1, len(n)))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        order = sorted([(-x, rng.random(), True) for x in p] + [(-x, rng.random(), False) for x in n])
        found.append(1 + [right for *_, right in order].index(True))
    assert abs(rank - np.mean(found)) <= 5 * np.std(found) / math.sqrt(300) + 0.05
    assert abs(top1 - np.mean(np.array(found) == 1)) <= 0.16


def test_places_agree_with_positive_rank(rng):
    z1, z2 = rng.standard_normal((2, 20, 3))
    u = mc.normalize(np.concatenate([z1, z2]))
    partner = (np.arange(40) + 20) % 40
    scores = u @ u.T
    own = scores[np.arange(40), partner][:, None]
    scores[np.arange(40), partner] = scores[np.arange(40), np.arange(40)] = -np.inf
    assert np.allclose(places(own, scores), mc.evaluate.positive_rank(z1, z2), rtol=1e-14)


# ---------------------------------------------------------------------------------------------------------- with labels


def test_supcon_with_a_label_for_each_image_is_simclr(digits):
    images, n = digits[0], len(digits[0])
    own = supcon(dropout=False, dtype=np.float64, temperature=0.5).fit(images, 2, labels=np.arange(n), progress=False)
    simclr = SimCLR(*networks(False, np.float64), VIEW, batch_size=32, seed=3).fit(images, 2, progress=False)
    for key in simclr.history:
        assert_close(np.array(own.history[key]), np.array(simclr.history[key]), 1e-10, what=key)


def test_supcon_sees_the_labels(digits):
    method = supcon(dropout=False, dtype=np.float64)
    loss, (z, labels) = method.loss(batch_of(digits, range(32)))
    assert np.array_equal(labels, np.tile(digits[1][:32], 2))
    value, _ = mc.formulas.supcon(z.data, labels, 0.1)
    assert abs(loss.item() - value) < 1e-12


def test_layers_have_their_rates(digits):
    encoder = nn.MLP([64, 16, 12, 8], rng=0, dtype=np.float64)
    method = FineTune(encoder, 8, 10, encoder_lr=0.5, decay=0.1, optimizer=mc.optim.SGD, lr=0.2, batch_size=32)
    rates = method.rates()
    assert list(rates) == ["encoder.layers.0", "encoder.layers.2", "encoder.layers.4", "head"]
    assert np.allclose(list(rates.values()), [0.001, 0.01, 0.1, 0.2], rtol=1e-12)
    batch = batch_of(digits, range(32))
    before = {name: p.data.copy() for name, p in method.named_parameters()}
    gradients = dict(zip(before, mc.grad(method.loss(batch)[0], method.parameters())))
    method.step(batch)
    for name, p in method.named_parameters():
        layer = name.rpartition(".")[0]
        assert_close(before[name] - p.data, rates[layer] * gradients[name], 1e-10, what=name)


def test_a_frozen_encoder_stays_as_it_is(digits):
    method = finetune(encoder_lr=0.0, lr=0.05)
    before = method.encoder.state_dict()
    state = [rng.bit_generator.state for _, rng in method.encoder.named_generators()]
    fit(method, digits, 5)
    assert all(np.array_equal(a, method.encoder.state_dict()[name]) for name, a in before.items())
    assert state == [rng.bit_generator.state for _, rng in method.encoder.named_generators()]
    assert method.history["loss"][-1] < method.history["loss"][0] and method.training and method.encoder.training


def test_prediction_and_score(digits):
    images, labels = digits
    method = fit(finetune(view=None, dropout=False, encoder_lr=1.0, lr=1e-2), digits, 60)
    found = method.predict(images)
    assert found.shape == (70,) and method.score(images, labels) == np.mean(found == labels) > 0.8
    with pytest.raises(ValueError, match="70 images need as many labels"):
        method.score(images, labels[:3])


def test_two_stages_side_by_side(digits):
    train, test = mc.data.digits("train"), mc.data.digits("test")
    encoder = nn.MLP([64, 32], mc.relu, rng=0)
    before = encoder.state_dict()
    few, many = (
        two_stage(encoder, *train, *test, fraction=f, fresh=nn.MLP([64, 32], rng=1), epochs=8, lr=1e-2)
        for f in (0.02, 0.5)
    )
    assert all(np.array_equal(a, encoder.state_dict()[name]) for name, a in before.items())
    known = [len(mc.data.stratified_split(train.labels, f, 0)[1]) for f in (0.02, 0.5)]
    assert [few["labels"], many["labels"]] == known
    assert all(0.1 < few[key] < many[key] for key in ("probe", "finetune", "scratch"))
    assert two_stage(encoder, *train, *test, fraction=1, epochs=1)["labels"] == len(train.labels)
    with pytest.raises(ValueError, match=r"fraction lies in \(0, 1\], got 0"):
        two_stage(encoder, *train, *test, fraction=0)


# ---------------------------------------------------------------------------------------------- the same run, in pieces


def stop_at(when):
    calls = iter(range(1, 1000))

    class Stopping(type(VIEW)):
        def __call__(self, x, rng=None):
            if next(calls) == when:
                raise KeyboardInterrupt
            return super().__call__(x, rng)

        __repr__ = views.Compose.__repr__

    return Stopping(VIEW.views)


@EVERY
def test_a_run_continues_bit_for_bit(name, digits, tmp_path):
    make, path = MAKERS[name], tmp_path / "run.safetensors"
    calls = {"moco": 2, "bank": 1, "large": 2, "multi": 3, "supcon": 2, "finetune": 1}[name]
    whole = everything(fit(make(), digits, 4))
    method = make(view=stop_at(3 * calls + 1))  # within the second epoch, after one of its steps
    with pytest.raises(KeyboardInterrupt):
        fit(method, digits, 4, checkpoint=path)
    assert method.epoch == 1 and everything(method) == everything(fit(make(), digits, 1))
    assert everything(fit(make(), digits, 4, checkpoint=path)) == whole  # from the file
    method.view = VIEW
    assert everything(fit(method, digits, 4)) == whole  # from memory
    assert everything(fit(make(seed=4), digits, 4)) != whole


@EVERY
def test_one_flipped_bit_anywhere_is_found_and_the_file_before_loads(name, digits, tmp_path, rng):
    """In the length, the header, each parameter, buffer, generator, state of the optimiser, queue or bank."""
    path = tmp_path / "run.safetensors"
    fit(MAKERS[name](), digits, 2, checkpoint=path)
    whole, method = path.read_bytes(), MAKERS[name]()
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    regions = {
        "length": (0, 8),
        "header": (8, start),
        "notes": (whole.index(b"generators"), whole.index(b"data_offsets")),
    }
    for key, entry in header.items():
        if key != "__metadata__" and entry["data_offsets"][0] < entry["data_offsets"][1]:
            regions[key] = tuple(start + offset for offset in entry["data_offsets"])
    assert len(regions) >= 3 + 2 * len(method.parameters())
    before = everything(method)
    for region, (low, high) in regions.items():
        flipped = bytearray(whole)
        flipped[rng.integers(low, high)] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        for attempt in (lambda: method.load(path), lambda: fit(method, digits, 3, checkpoint=path)):
            with pytest.raises(
                ValueError, match=r"(?s)(damaged|no checkpoint|format is).*can be read \(epoch 1\): .*\.previous"
            ):
                attempt()
        assert everything(method) == before, region
    for content in (whole[: len(whole) // 2], whole[:-1], whole + b"\0", b"", b"a text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged, or no checkpoint .*can be read \(epoch 1\): .*\.previous"):
            method.load(path)
    checkpoints.previous(path).rename(path)
    whole = everything(fit(MAKERS[name](), digits, 3))
    assert everything(fit(method, digits, 3, checkpoint=path)) == whole


@EVERY
def test_a_checkpoint_with_other_settings_is_refused(name, digits, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(MAKERS[name](), digits, 1, checkpoint=path)
    other = {
        "moco": [{"momentum": 0.8}, {"queue_size": 51}, {"groups": 2}],
        "bank": [{"momentum": 0.8}, {"negatives": None}, {"proximal": 0.1}],
        "large": [{"chunk_size": 13}],
        "multi": [{"n_views": 4}, {"form": "in"}],
        "supcon": [{"form": "in"}],
        "finetune": [{"encoder_lr": 0.2}, {"decay": 0.5}, {"view": None}],
    }[name]
    for changed in other:
        with pytest.raises(ValueError, match="another run"):
            fit(MAKERS[name](**changed), digits, 2, checkpoint=path)


@EVERY
def test_a_copy_goes_its_own_way(name, digits):
    method = fit(MAKERS[name](), digits, 1)
    other, before = copy.deepcopy(method), everything(method)
    fit(other, digits, 2)
    assert everything(method) == before != everything(other)
    assert everything(fit(method, digits, 2)) == everything(other)


@EVERY
def test_measures_are_numbers_in_their_range(name, digits):
    method = fit(MAKERS[name](), digits, 2)
    assert all(type(x) is float for values in method.history.values() for x in values)
    assert all(0 <= x <= 1 for x in method.history["top1"])
    assert all(1 <= x <= math.exp(method.collapse) for x in method.history.get("rank", [1]))
    text = method.report({key: values[-1] for key, values in method.history.items()})
    assert f"(collapse {method.collapse:.3f})" in text and "top-1" in text


@EVERY
def test_the_bar_says_how_it_goes_and_how_long_it_takes(name, digits, capsys):
    method = MAKERS[name]()
    method.fit(digits[0], 2, labels=digits[1])
    shown = capsys.readouterr().err
    parts = ["epoch 2/2", "loss ", f"(collapse {method.collapse:.3f})", "top-1 ", "image/s", "100%"]
    assert all(part in shown for part in parts + ["rank "] * ("rank" in method.history))
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown)  # the time that has gone, and what is left


@EVERY
def test_training_is_the_same_in_every_library(name, xp, digits):
    images, labels = digits

    def run(f):
        method = MAKERS[name]()
        method.to("cpu" if f is np.asarray else "gpu")
        return method.fit(f(images), 2, labels=labels, progress=False)

    expected, method = run(np.asarray), run(xp.asarray if xp is not np else np.asarray)
    assert isinstance(method.encode(xp.asarray(images)), xp.ndarray)
    assert_close(np.array(method.history["loss"]), np.array(expected.history["loss"]), 1e-3)
    assert_close(mc.to_numpy(method.encode(images)), expected.encode(images), 1e-2)


# ------------------------------------------------------------------------------------------------------ what is learned


LEARNING = {
    "simclr": (lambda e, h, s: SimCLR(e, h, VIEW, lr=3e-3, batch_size=100, seed=s), 12),
    "moco": (
        lambda e, h, s: MoCo(e, h, VIEW, 32, 1450, 0.99, temperature=0.2, lr=3e-3, batch_size=100, seed=s),
        15,
    ),
    "bank": (lambda e, h, s: MemoryBank(e, h, VIEW, 700, 32, temperature=0.2, lr=3e-3, batch_size=100, seed=s), 22),
    "large": (lambda e, h, s: LargeBatch(e, h, VIEW, 128, lr=5e-3, batch_size=350, seed=s), 15),
    "multi": (lambda e, h, s: MultiView(e, h, VIEW, 4, lr=3e-3, batch_size=100, seed=s), 8),
    "supcon": (lambda e, h, s: SupCon(e, h, VIEW, lr=3e-3, batch_size=100, seed=s), 5),
    "finetune": (lambda e, h, s: FineTune(e, 64, 10, 0.5, view=VIEW, lr=3e-3, batch_size=100, seed=s), 5),
}


@pytest.mark.parametrize("name", LEARNING)
def test_each_method_learns(name):
    """On images that were not trained on, with two labels a class, beside the same encoder before training."""
    (images, labels), (test_images, test_labels) = mc.data.digits("train"), mc.data.digits("test")
    images, labels = images[:700], labels[:700]
    make, epochs = LEARNING[name]

    def probe(method):
        h, test_h = method.encode(images), method.encode(test_images)
        few = [mc.data.few_labels(labels, 2, seed) for seed in range(10)]
        found = [mc.evaluate.linear_probe(h[c], labels[c], test_h, test_labels, model="ridge") for c in few]
        return np.mean(found)

    for seed in range(3):
        method = make(nn.MLP([64, 128, 64], rng=seed), nn.ProjectionHead(64, 64, 32, rng=seed + 10), seed)
        before = probe(method)
        method.fit(images, epochs, labels=labels, progress=False)
        after = probe(method)
        assert after > before, f"seed {seed}: {before:.3f} before, {after:.3f} after"
        assert method.history["loss"][-1] < method.collapse


# ----------------------------------------------------------------------------------------------------------- bad input


@EVERY
def test_a_batch_larger_than_the_set_is_refused(name, digits):
    with pytest.raises(ValueError, match="batch_size is 32, and there are 20 images"):
        fit(MAKERS[name](), (digits[0][:20], digits[1][:20]), 1)


@pytest.mark.parametrize("name", ["supcon", "finetune"])
def test_labels_are_looked_at(name, digits):
    images, labels = digits
    for given_labels, error, text in (
        (None, ValueError, "labels are missing"),
        (0 * labels + 4, ValueError, "all 70 labels are 4.*one class only"),
        (labels.astype(float), TypeError, "labels are integers, got dtype float64"),
        (labels[:5], ValueError, r"70 images need labels of shape \(70,\), got \(5,\)"),
    ):
        with pytest.raises(error, match=text):
            MAKERS[name]().fit(images, 1, labels=given_labels, progress=False)
    with pytest.raises(ValueError, match="labels lie between 0 and 9; with classes=4 they are 0 to 3"):
        fit(finetune(classes=4), digits, 1)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: moco(momentum=1.5), r"the momentum m lies in \[0, 1\], got 1.5"),
        (lambda: moco(momentum=-0.1), r"the momentum m lies in \[0, 1\], got -0.1"),
        (lambda: moco(momentum=math.nan), r"the momentum m lies in"),
        (lambda: moco(queue_size=0), "queue_size K must be a whole number, at least 1, got 0"),
        (lambda: moco(queue_size=2.5), "queue_size K must be a whole number"),
        (lambda: moco(dim=0), "dim must be a whole number"),
        (lambda: moco(groups=0), "groups must be a whole number"),
        (lambda: bank(momentum=2), r"MemoryBank: the momentum m lies in \[0, 1\], got 2"),
        (lambda: bank(size=1), "size must be a whole number, at least 2"),
        (lambda: bank(negatives=0), "negatives must be a whole number, at least 1"),
        (lambda: bank(proximal=-1), "proximal must not be negative"),
        (lambda: large(chunk_size=0), "chunk_size must be a whole number, at least 1"),
        (lambda: multi(n_views=1), "n_views must be a whole number, at least 2, got 1"),
        (lambda: multi(view=[VIEW, VIEW]), "n_views=3, but the list has 2 views"),
        (lambda: multi(form="mean"), 'form must be "out" or "in"'),
        (lambda: supcon(form="mean"), 'form must be "out" or "in"'),
        (lambda: finetune(classes=1), "classes must be a whole number, at least 2"),
        (lambda: finetune(encoder_lr=-1), r"encoder_lr lies in \[0, 1\]"),
        (lambda: Queue(np.zeros((0, 3))), r"K ≥ 1, got shape \(0, 3\)"),
        (lambda: Queue(np.zeros((2, 3))).put(np.zeros((2, 4))), r"rows of shape \(3,\), got \(2, 4\)"),
    ],
)
def test_settings_out_of_range_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_lengths_that_do_not_fit_are_named(digits):
    for make in (moco, bank):
        with pytest.raises(ValueError, match=r"dim=5, but the embeddings have shape \(32, 4\); give dim=4"):
            fit(make(dim=5), digits, 1)
    with pytest.raises(ValueError, match="70 images, and size=60 slots"):
        fit(bank(size=60), digits, 1)


@EVERY
def test_a_loss_that_is_nan_puts_the_last_state_back(name, digits):
    def spoil(method):
        method.optimizer.lr = 1e30

    method = MAKERS[name](optimizer=mc.optim.SGD)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="after epoch 1 is put back"):
        fit(method, digits, 4, callbacks=[spoil])
    method.optimizer.lr = 1e-3
    reference = fit(MAKERS[name](optimizer=mc.optim.SGD), digits, 1)
    reference.optimizer.lr = 1e-3
    assert everything(method) == everything(reference)
