"""Data and views: splits that never overlap, and views that keep shape, dtype and range, leave the input alone, and
draw anew for each image.
"""

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import minicl as mc
from minicl.data import views

VIEWS = {
    "RandomAffine": lambda: views.RandomAffine(degrees=30, shift=1.5, scale=(0.7, 1.3)),
    "RandomRotation": lambda: views.RandomRotation(20),
    "RandomShift": lambda: views.RandomShift(2),
    "RandomResizedCrop": lambda: views.RandomResizedCrop(area=(0.3, 0.9)),
    "ColorJitter": lambda: views.ColorJitter(0.5, 0.5),
    "GaussianNoise": lambda: views.GaussianNoise(0.3),
    "Cutout": lambda: views.Cutout(3),
    "RandomApply": lambda: views.RandomApply(views.GaussianNoise(0.3), p=0.5),
    "Compose": lambda: views.Compose([views.RandomAffine(10, 1), views.ColorJitter(0.3, 0.3), views.Cutout(2)]),
}


def test_every_view_is_in_the_table():
    found = {
        name
        for name, v in vars(views.images).items()
        if isinstance(v, type) and issubclass(v, views.View) and v is not views.View
    }
    assert found == set(VIEWS)


# --------------------------------------------------------------------------------------------------------------- digits


def test_digits_are_images_between_0_and_1():
    images, labels = mc.data.digits()
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.float32 and labels.shape == (1797,)
    assert images.min() == 0 and images.max() == 1 and set(labels.tolist()) == set(range(10))
    assert np.array_equal(images * 16, np.round(images * 16))
    assert mc.data.digits(dtype=np.float64).images.dtype == np.float64


def test_the_split_is_fixed_stratified_and_complete():
    whole, train, test = (mc.data.digits(split) for split in ("all", "train", "test"))
    assert np.array_equal(test.images, mc.data.digits("test").images)

    def rows(data):
        return sorted((*x.ravel().tolist(), y) for x, y in zip(*data))

    assert sorted(rows(train) + rows(test)) == rows(whole)
    share = np.bincount(test.labels) / np.bincount(whole.labels)
    assert np.all(np.abs(share - 0.25) < 0.003)
    assert len(mc.data.digits("test", test_fraction=0.5).labels) in range(890, 910)
    assert not np.array_equal(test.images[:400], mc.data.digits("test", seed=1).images[:400])


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'validation'"):
        mc.data.digits("validation")


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 9)
)
def test_stratified_splits_share_nothing_and_have_each_class(labels, fraction, seed):
    counts = np.bincount(labels)
    if (counts == 1).any():
        with pytest.raises(ValueError, match="one sample only"):
            mc.data.stratified_split(labels, fraction, seed)
        return
    first, second = mc.data.stratified_split(labels, fraction, seed)
    assert sorted([*first, *second]) == list(range(len(labels)))
    for c in np.flatnonzero(counts):
        part = sum(labels[i] == c for i in second)
        assert 1 <= part < counts[c] and abs(part - fraction * counts[c]) <= 1


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=60), per_class=st.integers(0, 8), seed=st.integers(0, 9))
def test_few_labels_are_as_many_of_each_class(labels, per_class, seed):
    present, counts = np.unique(labels, return_counts=True)
    if not 1 <= per_class <= counts.min():
        with pytest.raises(ValueError, match="few_labels"):
            mc.data.few_labels(labels, per_class, seed)
        return
    chosen = mc.data.few_labels(labels, per_class, seed)
    assert len(set(chosen.tolist())) == len(chosen) == per_class * len(present)
    assert np.array_equal(np.unique(np.array(labels)[chosen], return_counts=True)[1], np.full(len(present), per_class))


def test_bad_labels_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        mc.data.few_labels(np.zeros((2, 2), int), 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        mc.data.stratified_split([0, 0], 1.0)


# --------------------------------------------------------------------------------------------- what all views must keep


shapes = st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
images = shapes.flatmap(lambda shape: st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: arrays(dtype, shape, elements=st.floats(0, 1, width=16))
))  # fmt: skip


@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("name", VIEWS)
@given(x=images, seed=st.integers(0, 2**32))
def test_views_keep_shape_dtype_and_range_and_the_input(name, x, seed):
    view, kept = VIEWS[name](), x.copy()
    y = view(x, np.random.default_rng(seed))
    assert y.shape == x.shape and y.dtype == x.dtype
    assert not np.shares_memory(x, y)
    assert np.array_equal(x, kept)
    assert y.size == 0 or (0 <= y.min() and y.max() <= 1)
    assert np.array_equal(y, view(x, seed))  # a seed is as good as a Generator


@pytest.mark.parametrize("name", VIEWS)
def test_each_image_and_each_call_gets_its_own_draw(name):
    x = np.repeat(np.random.default_rng(0).random((1, 9, 9, 1)), 40, axis=0)
    rng = np.random.default_rng(1)
    y, again = VIEWS[name]()(x, rng), VIEWS[name]()(x, rng)
    assert len(np.unique(y.reshape(40, -1), axis=0)) > 8
    assert not np.array_equal(y, again)


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_the_same_in_every_library(name, xp):
    x = np.random.default_rng(0).random((7, 8, 9, 2), dtype=np.float32)
    y = VIEWS[name]()(xp.asarray(x), 3)
    assert isinstance(y, xp.ndarray)
    assert_close(mc.to_numpy(y), VIEWS[name]()(x, 3), 1e-6)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize(
    "bad, found",
    [
        (np.zeros((3, 8, 8)), r"float64 \(3, 8, 8\)"),
        (np.zeros((3, 8, 8, 1), np.uint8), "uint8 .*Divide bytes by 255"),
        ([[1.0]], "list"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(name, bad, found):
    with pytest.raises(ValueError, match=f"{name}: images are a float array.*got {found}"):
        VIEWS[name]()(bad, 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: views.RandomAffine(degrees=-1),
        lambda: views.RandomAffine(scale=(0.0, 1.0)),
        lambda: views.RandomShift(0.5),
        lambda: views.RandomResizedCrop(area=(0.5, 1.5)),
        lambda: views.ColorJitter(brightness=2.0),
        lambda: views.GaussianNoise(-0.1),
        lambda: views.Cutout(0),
        lambda: views.RandomApply(views.Cutout(2), p=1.5),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_repr_names_the_settings():
    assert (
        repr(views.Compose([views.RandomRotation(5), views.Cutout(2)]))
        == "Compose([RandomRotation(degrees=5), Cutout(size=2)])"
    )


# --------------------------------------------------------------------------------------------------- what each one does


class Chosen:
    """In the place of a Generator: draws that the test has chosen."""

    def __init__(self, **draws):
        self.draws = {name: iter(values) for name, values in draws.items()}

    def __getattr__(self, name):
        return lambda *args, **params: np.asarray(next(self.draws[name]))


def change(view, x, **draws):
    return view.change(np, x, Chosen(**draws))


def test_views_that_change_nothing_are_exact(rng):
    x = rng.random((5, 8, 7, 2))
    for view in (
        views.RandomAffine(),
        views.RandomShift(0),
        views.RandomResizedCrop((1, 1), (1, 1)),
        views.GaussianNoise(0.0),
        views.Compose([]),
    ):
        assert np.array_equal(view(x, 0), x)
    assert_close(views.ColorJitter()(x, 0), x, 1e-15)


def test_a_quarter_turn(rng):
    x = rng.random((1, 7, 7, 2))
    y = change(views.RandomAffine(90), x, uniform=[[90.0], [[0.0, 0.0]], [1.0]])
    assert_close(y, np.rot90(x, axes=(1, 2)), 1e-14)


def test_a_shift_by_whole_pixels(rng):
    x = rng.random((1, 7, 7, 1))
    expected = np.zeros_like(x)
    expected[:, 2:, :-1] = x[:, :-2, 1:]
    assert_close(change(views.RandomAffine(shift=2), x, uniform=[[0.0], [[2.0, -1.0]], [1.0]]), expected, 1e-15)
    # Drawn from 0 to 2p: where the window starts in the padded image, so 0 is a shift by +p.
    assert np.array_equal(change(views.RandomShift(2), x, integers=[[[0], [3]]]), expected)


def test_a_larger_scale_makes_the_image_larger():
    x = np.zeros((1, 9, 9, 1))
    x[:, 3:6, 3:6] = 1
    y = change(views.RandomAffine(scale=(1, 3)), x, uniform=[[0.0], [[0.0, 0.0]], [3.0]])
    assert y.sum() > 5 * x.sum()


def test_affine_views_are_those_of_scipy(rng):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = rng.random((1, 11, 7, 1))
    angle, shift, size = 23.0, np.array([1.3, -0.6]), 1.2
    y = change(views.RandomAffine(30, 2, (0.5, 2)), x, uniform=[[angle], [shift], [size]])
    a = np.deg2rad(angle)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) / size
    centre = np.array([5.0, 3.0])
    expected = ndimage.affine_transform(
        x[0, ..., 0], turn, centre - turn @ (centre + shift), order=1, mode="grid-constant"
    )
    assert_close(y[0, ..., 0], expected, 1e-12)


def test_a_crop_of_one_half_shows_that_half(rng):
    x = np.repeat(rng.random((1, 2, 2, 1)), 4, axis=1).repeat(4, axis=2)  # four fields of 4 × 4 pixels
    y = change(
        views.RandomResizedCrop(area=(0.25, 0.25), ratio=(1, 1)), x, uniform=[[0.25], [0.0]], random=[[[1.0, 0.0]]]
    )
    # On a plane the weights between pixels are exact: pixel i shows the place corner + (i + ½) share − ½.
    plane = np.arange(12.0).reshape(1, 1, 12, 1).repeat(12, axis=1)
    draws = {"uniform": [[0.25], [0.0]], "random": [[[0.0, 0.5]]]}
    ramp = change(views.RandomResizedCrop(area=(0.25, 0.25), ratio=(1, 1)), plane, **draws)[0, 5, :, 0]
    assert_close(ramp, 3 + (np.arange(12) + 0.5) / 2 - 0.5, 1e-12)
    inside = y[0, 1:-1, 1:-1]  # at its edge, half a pixel from beyond the window is blended in
    assert_close(inside, np.full_like(inside, x[0, -1, 0, 0]), 1e-12)


def test_brightness_and_contrast_by_hand():
    x = np.array([0.2, 0.4]).reshape(1, 1, 2, 1)
    y = change(views.ColorJitter(0.5, 0.5), x, uniform=[[[1.0], [-1.0]]])  # factors 1.5 and 0.5
    assert_close(y.ravel(), np.array([0.375, 0.525]), 1e-14)


def test_noise_has_its_deviation():
    x = np.full((50, 20, 20, 1), 0.5)
    y = views.GaussianNoise(0.1, limits=None)(x, 0) - x
    assert abs(y.std() / 0.1 - 1) < 0.03 and abs(y.mean()) < 4 * 0.1 / np.sqrt(y.size)


def test_cutout_removes_a_square_of_its_size(rng):
    x = 0.5 + rng.random((300, 9, 9, 2)) / 2
    removed = views.Cutout(3)(x, 0) == 0
    assert np.array_equal(removed[..., 0], removed[..., 1])
    sizes = removed[..., 0].sum(axis=(1, 2))
    assert sizes.max() == 9 and set(sizes.tolist()) == {4, 6, 9}  # in a corner, at a side, inside
    assert removed.any(axis=0).all()
    y = change(views.Cutout(3), x[:1], integers=[[4], [6]])
    assert np.array_equal(np.argwhere(y[0, ..., 0] == 0), [[i, j] for i in (3, 4, 5) for j in (5, 6, 7)])


def test_random_apply_leaves_about_its_share_alone(rng):
    x = rng.random((1000, 3, 3, 1))
    same = (views.RandomApply(views.GaussianNoise(0.1), p=0.3)(x, 0) == x).all(axis=(1, 2, 3))
    assert abs(same.mean() - 0.7) < 4 * np.sqrt(0.21 / 1000)


# ------------------------------------------------------------------------------------------------------------ two views


@pytest.mark.parametrize("name", VIEWS)
def test_two_views_are_independent_draws(name):
    x = np.random.default_rng(0).random((40, 9, 9, 1))
    v1, v2 = mc.data.two_views(x, VIEWS[name](), 0)
    assert not np.array_equal(v1, v2)
    again = mc.data.two_views(x, VIEWS[name](), np.random.default_rng(0))
    assert np.array_equal(v1, again[0]) and np.array_equal(v2, again[1])


def test_the_noise_of_two_views_is_not_correlated():
    x = np.full((100, 10, 10, 1), 0.5)
    v1, v2 = (v.ravel() - 0.5 for v in mc.data.two_views(x, views.GaussianNoise(0.1, limits=None), 0))
    assert abs(np.corrcoef(v1, v2)[0, 1]) < 4 / np.sqrt(v1.size)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_equal_generators_are_refused(bits):
    x = np.ones((5, 8, 8, 1))
    pair = [np.random.Generator(bits(3)) for _ in range(2)]
    with pytest.raises(ValueError, match="same state"):
        mc.data.two_views(x, views.GaussianNoise(), pair)
    pair = [np.random.Generator(bits(seed)) for seed in (3, 4)]
    v1, v2 = mc.data.two_views(x, views.GaussianNoise(), pair)
    assert not np.array_equal(v1, v2)


def test_a_view_with_a_seed_of_its_own_is_refused():
    x = np.ones((5, 8, 8, 1))
    for view in (lambda images, rng: views.GaussianNoise()(images, 0), lambda images, rng: images):
        with pytest.raises(ValueError, match="drawn nothing from the generator"):
            mc.data.two_views(x, view, 0)


def test_views_that_are_equal_by_chance_are_accepted():
    x = np.zeros((1, 8, 8, 1))
    v1, v2 = mc.data.two_views(x, views.RandomShift(1), 0)
    assert np.array_equal(v1, v2)
