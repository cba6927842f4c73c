"""Multi-crop training: the windows, what it costs, which encoders take it, its loss, its resume, and that it learns."""

import copy
import math
import re

import numpy as np
import pytest
from differences import assert_close

import minicl as mc
from minicl import nn
from minicl.data import views
from minicl.train import Batch, MultiCrop, MultiView, SimCLR

NOISE = views.GaussianNoise(0.1)


@pytest.fixture(scope="module")
def digits():
    images, labels = mc.data.digits("train")
    return images[:70], labels[:70]


def networks(rng=0, dtype=np.float32, dropout=True):
    encoder = nn.ConvNet(channels=(4, 6), strides=(1, 2), rng=rng, dtype=dtype)
    if dropout:
        encoder = nn.Sequential(encoder, nn.Dropout(0.1, rng=7))
    return encoder, nn.ProjectionHead(6, 6, 4, rng=rng + 1, dtype=dtype)


def crops(dtype=np.float32, dropout=True, **changed):
    chosen = {"n_local": 3, "local_size": 5, "view": NOISE, "batch_size": 32, "seed": 3, **changed}
    return MultiCrop(*networks(dtype=dtype, dropout=dropout), **chosen)


def everything(method):
    arrays, notes = method._snapshot()
    return {name: a.tobytes() for name, a in arrays.items()} | {"notes": repr(notes)}


def fit(method, digits, epochs, **settings):
    return method.fit(digits[0], epochs, progress=False, **settings)


# ------------------------------------------------------------------------------------------------------------- the loss


class Watched(nn.Module):
    """Notes the shapes that go in; gives mean and deviation, so any size will do."""

    def __init__(self):
        self.net, self.shapes = nn.Linear(2, 4, rng=0), []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return self.net(np.stack([x.mean(axis=(1, 2, 3)), x.std(axis=(1, 2, 3))], axis=1))


def test_windows_of_one_size_go_in_together(digits):
    method = MultiCrop(Watched(), None, n_local=3, local_size=(5, 4), batch_size=32)
    assert method.n_views == 5 and method.collapse == math.log(5 * 32 - 1)
    fit(method, digits, 1)
    assert method.encoder.shapes[-2:] == [(64, 8, 8, 1), (96, 5, 4, 1)]
    assert method.pixels(digits[0]) == 2 * 64 + 3 * 20
    equal = MultiCrop(Watched(), None, n_local=3, batch_size=32)
    fit(equal, digits, 1)
    assert equal.encoder.shapes[-1] == (160, 8, 8, 1) and equal.pixels(digits[0]) == 5 * 64
    large = MultiCrop(Watched(), None, n_local=1, local_size=np.int64(3), global_size=6, n_global=3)
    assert large.window_sizes(digits[0]) == [(6, 6)] * 3 + [(3, 3)]
    assert MultiCrop(Watched(), None, local_size=np.array([5, 4])).sizes[-1] == (5, 4)


def test_global_windows_show_more_of_the_image():
    """A ramp from 0 to 1: the spread of the values in a window tells which share of the image it covers."""
    ramp = np.broadcast_to(np.linspace(0, 1, 32)[:, None, None], (200, 32, 32, 1)).copy()
    method = MultiCrop(Watched(), None, n_local=2, local_size=8)
    seen = [v.max(axis=(1, 2, 3)) - v.min(axis=(1, 2, 3)) for v in mc.data.multi_views(ramp, method.view, 0)]
    assert len(seen) == 4 and min(np.median(s) for s in seen[:2]) > 1.6 * max(np.median(s) for s in seen[2:])


@pytest.mark.parametrize("form", ["out", "in"])
def test_the_loss_is_that_of_all_windows_by_the_closed_form(form, digits):
    method = crops(np.float64, dropout=False, form=form, temperature=0.2)
    loss, (z,) = method.loss(Batch(digits[0][:32].astype(np.float64), None, np.arange(32)))
    assert z.shape == (5, 32, 4)
    value, _ = mc.formulas.supcon(z.data.reshape(160, 4), np.tile(np.arange(32), 5), 0.2, form)
    assert abs(loss.item() - value) < 1e-11


def test_its_gradient(digits):
    """Against differences, through encoder and head, for a few entries of each parameter."""
    images = digits[0][:4].astype(np.float64)
    method = MultiCrop(*networks(dtype=np.float64, dropout=False), n_local=2, local_size=5, batch_size=4, seed=1)
    state = method.view_rng.bit_generator.state

    def loss():
        method.view_rng.bit_generator.state = state
        return method.loss(Batch(images, None, np.arange(4)))[0]

    named = method.named_parameters()
    gradients = mc.grad(loss(), [p for _, p in named])
    rng, largest = np.random.default_rng(0), max(np.abs(g).max() for g in gradients)
    for (name, p), g in zip(named, gradients):
        for _ in range(3):
            i, kept, values = tuple(rng.integers(p.shape)), p.data.copy(), []
            for step in (-1e-6, 1e-6):
                moved = kept.copy()
                moved[i] += step
                p.data = moved
                values.append(float(loss()))
            p.data = kept
            assert abs((values[1] - values[0]) / 2e-6 - g[i]) < 1e-6 * largest + 1e-8, (name, i)


def test_without_local_windows_it_is_simclr_on_two_windows(digits):
    window = views.Compose([views.RandomResizedCrop((0.4, 1.0)), NOISE])
    two = crops(np.float64, dropout=False, n_local=0)
    simclr = SimCLR(*networks(dtype=np.float64, dropout=False), window, batch_size=32, seed=3)
    two, simclr = (fit(m, digits, 2) for m in (two, simclr))
    for key in simclr.history:
        assert_close(np.array(two.history[key]), np.array(simclr.history[key]), 1e-10, what=key)


def test_it_is_multi_view_with_a_list_of_windows(digits):
    own = fit(crops(), digits, 2)
    listed = mc.data.multi_crop(n_local=3, local_size=5, view=NOISE)
    other = fit(MultiView(*networks(), listed, batch_size=32, seed=3), digits, 2)
    assert own.history == other.history
    assert all(np.array_equal(a, other.state_dict()[name]) for name, a in own.state_dict().items())


# ------------------------------------------------------------------------------------------------ which encoders take it


def test_an_mlp_takes_windows_of_one_size_only(digits):
    encoder = nn.MLP([64, 16, 8], rng=0)
    with pytest.raises(ValueError, match=r"does not take windows of 5 × 5 pixels.*mc.nn.ConvNet.*local_size=\(8, 8\)"):
        fit(MultiCrop(encoder, None, n_local=2, local_size=5, batch_size=32), digits, 1)
    method = MultiCrop(encoder, None, n_local=2, batch_size=32)  # local windows, stretched to 8 × 8
    assert fit(method, digits, 1).epoch == 1


def test_representations_of_two_lengths_are_refused(digits):
    class Flat(nn.Module):
        def forward(self, x):
            return x.reshape((len(x), -1))

    method = MultiCrop(nn.Sequential(Flat()), nn.MLP([8, 4], rng=0), n_local=1, local_size=5, batch_size=32)
    with pytest.raises(ValueError, match=r"shape \(64,\) for 8 × 8, \(25,\) for 5 × 5; they must be alike"):
        fit(method, digits, 1)


def test_trying_the_encoder_changes_nothing(digits):
    method = crops()
    before = everything(method)
    method._checked(digits[0], None)
    assert everything(method) == before and method.training


def test_bad_input_is_refused(digits):
    net = networks()
    for bad, message in [
        ({"n_local": -1}, "n_local must be a whole number, at least 0"),
        ({"n_local": 1.5}, "n_local must be a whole number"),
        ({"n_local": 0, "n_global": 1}, "too few"),
        ({"local_area": (0.0, 0.4)}, "area"),
        ({"local_size": 0}, "each at least 1"),
        ({"form": "both"}, "form"),
    ]:
        with pytest.raises(ValueError, match=message):
            MultiCrop(*net, **bad)
    with pytest.raises(ValueError, match=r"windows are cut from images \(N, H, W, C\), got \(70, 64\)"):
        crops().fit(digits[0].reshape(70, 64), 1, progress=False)


SIZES = [5.7, True, (5.5, 5), (5,), "a", (5, 6, 7), 0, (5, True), math.nan, np.array([5.0, 5.0]), np.ones((2, 2), int)]


@pytest.mark.parametrize("what", ["local_size", "global_size"])
@pytest.mark.parametrize("size", SIZES, ids=repr)
def test_a_size_is_one_or_two_whole_numbers(what, size):
    with pytest.raises(ValueError, match=f"MultiCrop: {what} is an int or a pair .* got {re.escape(repr(size))}"):
        MultiCrop(*networks(), **{what: size})


@pytest.mark.parametrize("what", ["local_area", "global_area"])
@pytest.mark.parametrize("area", [0.3, (0.5, 0.4), (0.0, 1.0), (0.1,), ("a", "b"), None, (0.1, math.nan)], ids=repr)
def test_an_area_is_two_shares_of_the_image(what, area):
    with pytest.raises(ValueError, match=f"MultiCrop: {what} is a pair .* got {re.escape(repr(area))}"):
        MultiCrop(*networks(), **{what: area})


@pytest.mark.parametrize(
    "temperature, error", [(0, ValueError), (-1.0, ValueError), (math.nan, ValueError), ("a", TypeError)]
)
def test_a_temperature_that_is_none_is_refused_when_the_method_is_built(temperature, error):
    with pytest.raises(error, match="MultiCrop: temperature must be a"):
        MultiCrop(*networks(), temperature=temperature)


# ---------------------------------------------------------------------------------------------- the same run, in pieces


def test_a_run_continues_bit_for_bit(digits, tmp_path):
    path, calls = tmp_path / "run.safetensors", iter(range(1, 1000))

    class Stopping(type(NOISE)):
        def __call__(self, x, rng=None):
            if next(calls) == 5 * 2 + 5 + 3:  # within the second epoch of two steps, and within a step
                raise KeyboardInterrupt
            return super().__call__(x, rng)

        __repr__ = type(NOISE).__repr__

    Stopping.__name__ = type(NOISE).__name__
    whole = everything(fit(crops(), digits, 4))
    method = crops(view=Stopping(0.1))
    with pytest.raises(KeyboardInterrupt):
        fit(method, digits, 4, checkpoint=path)
    assert method.epoch == 1 and everything(method) == everything(fit(crops(), digits, 1))
    assert everything(fit(crops(), digits, 4, checkpoint=path)) == whole  # from the file
    assert everything(fit(method, digits, 4)) == whole  # from memory
    assert everything(fit(crops(seed=4), digits, 4)) != whole


@pytest.mark.parametrize(
    "changed",
    [
        {"n_local": 2},
        {"local_size": 6},
        {"local_area": (0.1, 0.4)},
        {"global_area": (0.5, 1.0)},
        {"global_size": 7},
        {"view": None},
        {"form": "in"},
    ],
)
def test_a_checkpoint_with_other_settings_is_refused(changed, digits, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(crops(), digits, 1, checkpoint=path)
    with pytest.raises(ValueError, match="another run"):
        fit(crops(**changed), digits, 2, checkpoint=path)


def test_a_copy_goes_its_own_way(digits):
    method = fit(crops(), digits, 1)
    other, before = copy.deepcopy(method), everything(method)
    fit(other, digits, 2)
    assert everything(method) == before != everything(other)
    assert everything(fit(method, digits, 2)) == everything(other)


def test_training_is_the_same_in_every_library(xp, digits):
    def run(f):
        method = crops()
        method.to("cpu" if f is np.asarray else "gpu")
        return method.fit(f(digits[0]), 2, progress=False)

    expected, method = run(np.asarray), run(xp.asarray if xp is not np else np.asarray)
    assert_close(np.array(method.history["loss"]), np.array(expected.history["loss"]), 1e-3)
    assert_close(mc.to_numpy(method.encode(digits[0])), expected.encode(digits[0]), 1e-2)


# ------------------------------------------------------------------------------------------------------ what is learned


def test_it_learns():
    """On images that were not trained on, with two labels a class, beside the same encoder before training."""
    (images, labels), (test_images, test_labels) = mc.data.digits("train"), mc.data.digits("test")
    images, labels = images[:700], labels[:700]

    def probe(method):
        h, test_h = method.encode(images), method.encode(test_images)
        few = [mc.data.few_labels(labels, 2, seed) for seed in range(10)]
        found = [mc.evaluate.linear_probe(h[c], labels[c], test_h, test_labels, model="ridge") for c in few]
        return np.mean(found)

    for seed in range(3):
        encoder = nn.ConvNet(channels=(16, 32, 32), strides=(1, 2, 1), rng=seed)
        head = nn.ProjectionHead(32, 32, 32, rng=seed + 10)
        method = MultiCrop(
            encoder, head, n_local=3, local_size=5, local_area=(0.2, 0.5), lr=3e-3, batch_size=100, seed=seed
        )
        before = probe(method)
        method.fit(images, 6, progress=False)
        after = probe(method)
        print(f"seed {seed}: {before:.3f} before, {after:.3f} after")
        assert after > before + 0.05, f"seed {seed}: {before:.3f} before, {after:.3f} after"
        assert method.history["loss"][-1] < method.collapse
