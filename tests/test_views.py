"""Views of photographs and of vectors, many views and multi-crop: known answers, SciPy as a witness, statistics within
four standard deviations, the same draws in every array library, and bad data refused by name.
"""

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

import minicl as mc
from minicl.data import multi_crop, multi_views, two_views, vectors, views
from minicl.data.views import images as image_views
from minicl.data.views import photos as photo_views

PHOTO = {
    "RandomHorizontalFlip": lambda: views.RandomHorizontalFlip(),
    "RandomGrayscale": lambda: views.RandomGrayscale(0.5),
    "GaussianBlur": lambda: views.GaussianBlur((0.3, 2.0)),
    "ColorJitter": lambda: views.ColorJitter(0.4, 0.4, 0.4, 0.2),
    "simclr_view": lambda: views.simclr_view(strength=0.5),
}
VECTOR = {
    "Jitter": lambda: vectors.Jitter(0.3),
    "Mask": lambda: vectors.Mask(0.3, fill=0.5),
    "SpanMask": lambda: vectors.SpanMask(1),
    "Corrupt": lambda: vectors.Corrupt(0.5),
    "Mixup": lambda: vectors.Mixup(0.4),
}


def share_is(found, expected, n):
    """A share among n independent draws, within four standard deviations."""
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / n), (found, expected)


def test_every_view_is_in_a_table():
    def classes(module):
        return {n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__}

    assert classes(photo_views) | {"simclr_view", "ColorJitter"} == set(PHOTO)
    assert classes(vectors) - {"VectorView"} == set(VECTOR)
    assert set(PHOTO) <= set(dir(views))
    with pytest.raises(AttributeError, match="RandomSolarize"):
        _ = views.RandomSolarize


# --------------------------------------------------------------------------------------------- what all views must keep


photos = st.tuples(st.integers(0, 4), st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3])).flatmap(
    lambda shape: st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, shape, elements=st.floats(0, 1, width=16))
    )
)


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("name", PHOTO)
@given(x=photos, seed=st.integers(0, 2**32))
def test_photo_views_keep_shape_dtype_and_range_and_the_input(name, x, seed):
    view, kept = PHOTO[name](), x.copy()
    y = view(x, np.random.default_rng(seed))
    assert y.shape == x.shape and y.dtype == x.dtype
    assert not np.shares_memory(x, y) and np.array_equal(x, kept)
    assert y.size == 0 or (0 <= y.min() and y.max() <= 1)
    assert np.array_equal(y, view(x, seed))


tables = st.tuples(st.integers(0, 6), st.integers(1, 5), st.integers(1, 4), st.booleans()).flatmap(
    lambda s: st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, s[:2] if s[3] else s[:3], elements=st.floats(-8, 8, width=16))
    )
)


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("name", VECTOR)
@given(x=tables, seed=st.integers(0, 2**32))
@pytest.mark.filterwarnings("ignore:Degrees of freedom|invalid value:RuntimeWarning")
def test_vector_views_keep_shape_dtype_and_the_input(name, x, seed):
    view, kept = VECTOR[name](), x.copy()
    y = view(x, np.random.default_rng(seed))
    assert y.shape == x.shape and y.dtype == x.dtype and np.isfinite(y).all()
    assert not np.shares_memory(x, y) and np.array_equal(x, kept)
    assert np.array_equal(y, view(x, seed))


@pytest.mark.parametrize("name", PHOTO)
def test_photo_views_are_the_same_in_every_library(name, xp):
    x = np.random.default_rng(0).random((7, 8, 9, 3), dtype=np.float32)
    y = PHOTO[name]()(xp.asarray(x), 3)
    assert isinstance(y, xp.ndarray)
    assert_close(mc.to_numpy(y), PHOTO[name]()(x, 3), 1e-6)


@pytest.mark.parametrize("name", VECTOR)
@pytest.mark.parametrize("shape", [(7, 5), (7, 4, 3)])
def test_vector_views_are_the_same_in_every_library(name, shape, xp):
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    y = VECTOR[name]()(xp.asarray(x), 3)
    assert isinstance(y, xp.ndarray)
    assert_close(mc.to_numpy(y), VECTOR[name]()(x, 3), 1e-6)


def test_a_crop_of_another_size_and_many_views_are_the_same_in_every_library(xp):
    x = np.random.default_rng(0).random((5, 8, 9, 1), dtype=np.float32)
    crops = multi_crop(n_local=2, global_size=(6, 10), local_size=4, view=views.GaussianNoise(0.1))
    there, here = (multi_views(a, crops, 3) for a in (xp.asarray(x), x))
    assert [v.shape for v in here] == [(5, 6, 10, 1)] * 2 + [(5, 4, 4, 1)] * 2
    for v, expected in zip(there, here):
        assert isinstance(v, xp.ndarray)
        assert_close(mc.to_numpy(v), expected, 1e-6)


def test_a_view_fitted_on_either_device_serves_both(gpu):
    x = np.random.default_rng(0).standard_normal((20, 3)) * [1, 10, 100]
    for fitted in (vectors.vector_view(x, mix=0.2), vectors.vector_view(gpu.asarray(x), mix=0.2)):
        on_gpu, on_cpu = fitted(gpu.asarray(x), 5), fitted(x, 5)
        assert isinstance(on_gpu, gpu.ndarray) and isinstance(on_cpu, np.ndarray)
        assert_close(mc.to_numpy(on_gpu), on_cpu, 1e-12)


@pytest.mark.parametrize("name", [*PHOTO, *VECTOR])
def test_two_views_are_independent_and_seeded(name):
    table = PHOTO if name in PHOTO else VECTOR
    x = np.random.default_rng(0).random((60, 6, 6, 3) if name in PHOTO else (60, 8))
    v1, v2 = two_views(x, table[name](), 0)
    assert not np.array_equal(v1, v2)
    again = two_views(x, table[name](), np.random.default_rng(0))
    assert np.array_equal(v1, again[0]) and np.array_equal(v2, again[1])
    assert not np.array_equal(v1, two_views(x, table[name](), 1)[0])


# ------------------------------------------------------------------------------------------------------------- bad data


@pytest.mark.parametrize("name", PHOTO)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_number_are_refused(name, value, xp):
    x = np.full((5, 4, 4, 3), 0.5)
    x[3, 1, 2, 0] = x[4] = value
    named = "Compose" if name == "simclr_view" else name
    with pytest.raises(ValueError, match=f"{named}: 2 of 5 images hold NaN or infinity, the first is number 3"):
        PHOTO[name]()(xp.asarray(x), 0)


@pytest.mark.parametrize("name", VECTOR)
@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros(3), r"vectors are a float array .*; got float64 \(3,\)"),
        (np.zeros((3, 2), int), r".* got int64 \(3, 2\)"),
        ([[1.0]], ".* got list"),
        (np.array([[0.0], [np.nan]]), "1 of 2 vectors hold NaN or infinity, the first is number 1"),
    ],
)
def test_what_is_no_table_is_refused(name, bad, message):
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        VECTOR[name]()(bad, 0)


def test_nan_is_refused_by_the_older_views_too():
    x = np.full((2, 4, 4, 1), np.nan)
    for view in (views.RandomShift(1), views.Cutout(2), views.RandomApply(views.Cutout(2)), views.Compose([])):
        with pytest.raises(ValueError, match=f"{type(view).__name__}: 2 of 2 images hold NaN"):
            view(x, 0)


def test_colours_need_three_channels():
    x = np.zeros((2, 4, 4, 2))
    for view in (views.RandomGrayscale(), views.ColorJitter(saturation=0.1), views.ColorJitter(hue=0.1)):
        with pytest.raises(ValueError, match=r"colours are 3 channels .*got \(2, 4, 4, 2\)"):
            view(x, 0)
    assert views.ColorJitter(0.1, 0.1)(x, 0).shape == x.shape


def test_vector_views_compose_and_apply():
    x = np.random.default_rng(0).standard_normal((200, 4))
    view = views.Compose([vectors.Jitter(0.1), views.RandomApply(vectors.Mask(1.0), p=0.3)])
    masked = (view(x, 0) == 0).all(axis=1)
    share_is(masked.mean(), 0.3, 200)
    with pytest.raises(ValueError, match="Compose: vectors are a float array"):
        view(x[0], 0)
    with pytest.raises(ValueError, match="RandomApply: vectors are a float array"):
        views.RandomApply(vectors.Mask(1.0))(x[0], 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: views.RandomHorizontalFlip(1.5),
        lambda: views.RandomGrayscale(-0.1),
        lambda: views.GaussianBlur(-1.0),
        lambda: views.GaussianBlur((2.0, 1.0)),
        lambda: views.GaussianBlur(np.inf),
        lambda: views.ColorJitter(saturation=1.5),
        lambda: views.ColorJitter(hue=0.6),
        lambda: views.simclr_view(strength=2),
        lambda: views.RandomResizedCrop(size=0),
        lambda: multi_crop(n_local=1, n_global=0),
        lambda: multi_crop(n_local=-1),
        lambda: vectors.Jitter(-0.1),
        lambda: vectors.Jitter(np.nan),
        lambda: vectors.Mask(1.1),
        lambda: vectors.SpanMask(0),
        lambda: vectors.Corrupt(-0.1),
        lambda: vectors.Mixup(0.6),
        lambda: vectors.SpanMask(5)(np.zeros((2, 4)), 0),
        lambda: vectors.Jitter(0.1, scale=[1.0, 2.0])(np.zeros((2, 3)), 0),
        lambda: vectors.Mask(0.1, fill=[1.0, 2.0])(np.zeros((2, 3)), 0),
        lambda: vectors.vector_view(np.zeros((0, 3))),
        lambda: vectors.vector_view(np.zeros(3)),
        lambda: views.RandomApply(views.RandomResizedCrop(size=2))(np.zeros((2, 4, 4, 1)), 0),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ValueError, match=r"^\w+: "):
        make()


def test_constant_images_stay_constant():
    for value in (0.0, 0.3, 1.0):
        x = np.full((9, 6, 7, 3), value)
        for view in (
            views.RandomHorizontalFlip(),
            views.RandomGrayscale(1.0),
            views.GaussianBlur((0.1, 4.0)),
            views.RandomResizedCrop((0.1, 0.9)),
            views.ColorJitter(saturation=1.0, hue=0.5),
        ):
            assert_close(view(x, 0), x, 1e-14)
    same = np.full((9, 4), 2.5)
    for view in (vectors.Jitter(0.5), vectors.Corrupt(0.5), vectors.Mixup(0.5), vectors.vector_view(same)):
        assert_close(view(same, 0), same, 1e-15)


# --------------------------------------------------------------------------------------------------- what each one does


def test_a_flip_is_numpys_and_happens_in_its_share():
    x = np.random.default_rng(0).random((2000, 3, 4, 2))
    assert np.array_equal(views.RandomHorizontalFlip(1.0)(x, 0), x[:, :, ::-1])
    assert np.array_equal(views.RandomHorizontalFlip(0.0)(x, 0), x)
    y = views.RandomHorizontalFlip(0.3)(x, 0)
    flipped, kept = ((y == z).all(axis=(1, 2, 3)) for z in (x[:, :, ::-1], x))
    assert np.all(flipped ^ kept), "each image is flipped or it is not"
    share_is(flipped.mean(), 0.3, 2000)


def test_grey_by_hand_and_in_its_share():
    colors = np.eye(3).reshape(1, 1, 3, 3)
    y = views.RandomGrayscale(1.0)(colors, 0)
    assert_close(y[0, 0], np.array([[0.299] * 3, [0.587] * 3, [0.114] * 3]), 1e-15)
    x = np.random.default_rng(0).random((2000, 2, 2, 3))
    y = views.RandomGrayscale(0.2)(x, 0)
    grey, kept = (y == y[..., :1]).all(axis=(1, 2, 3)), (y == x).all(axis=(1, 2, 3))
    assert np.all(grey ^ kept)
    share_is(grey.mean(), 0.2, 2000)
    assert np.array_equal(views.RandomGrayscale(1.0)(x[..., :1], 0), x[..., :1]), "grey images are grey already"
    assert np.array_equal(views.RandomGrayscale(1.0)(y[grey], 0), y[grey]), "and twice is once"


def test_full_and_no_saturation():
    x = np.random.default_rng(0).random((1, 5, 5, 3))
    grey = views.RandomGrayscale(1.0)(x, 0)
    matrices = image_views._color_matrix(np.array([0.0, 1.0, 1.5]), np.zeros(3))
    assert_close(x @ matrices[0], grey, 1e-14)
    assert_close(x @ matrices[1], x, 1e-14)
    assert_close(x @ matrices[2], grey + 1.5 * (x - grey), 1e-14)


def test_turning_colours_leaves_grey_values_and_comes_round():
    angle = np.array([0.0, 2 * np.pi, 0.7, 2 * np.pi / 3])
    none, whole, some, third = image_views._color_matrix(np.ones(4), angle)
    x = np.random.default_rng(0).random((50, 3))
    assert_close(x @ none, x, 1e-14)
    assert_close(x @ whole, x, 1e-14)
    assert_close(x @ third @ third @ third, x, 1e-13)
    assert_close((x @ some) @ image_views.LUMA, x @ image_views.LUMA, 1e-14)
    assert_close(np.full((1, 3), 0.4) @ some, np.full((1, 3), 0.4), 1e-14)
    assert np.abs(x @ some - x).max() > 0.1


def test_the_new_settings_of_color_jitter_leave_the_old_draws_alone():
    x = np.random.default_rng(0).random((5, 4, 4, 3))
    plain, hue = (views.ColorJitter(0.2, 0.2, hue=h, limits=None) for h in (0.0, 1e-12))
    assert_close(plain(x, 7), hue(x, 7), 1e-10)
    assert np.array_equal(views.ColorJitter(hue=0.3)(x[..., :1], 7), views.ColorJitter()(x[..., :1], 7))


@given(height=st.integers(1, 12), width=st.integers(1, 12), sigma=st.floats(0.2, 4.0), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_blur_is_scipys(height, width, sigma, seed):
    """SciPy adds zeros around the image; divided by what becomes of an image of ones, only the inside counts."""
    x = np.random.default_rng(seed).random((2, height, width, 2))
    given_widths = {"sigma": (0, sigma, sigma, 0), "mode": "constant", "truncate": 12 / sigma + 1}
    expected = ndimage.gaussian_filter(x, **given_widths) / ndimage.gaussian_filter(np.ones_like(x), **given_widths)
    assert_close(views.GaussianBlur(sigma)(x, 0), expected, 1e-12)


def test_blur_far_from_the_border_is_the_plain_one():
    x = np.zeros((1, 41, 41, 1))
    x[0, 20, 20] = 1
    y = views.GaussianBlur(1.5)(x, 0)[0, :, :, 0]
    assert_close(y, ndimage.gaussian_filter(x[0, :, :, 0], 1.5, truncate=12), 1e-12)
    variance = (y.sum(axis=1) * (np.arange(41) - 20) ** 2).sum()
    assert_close(variance, 1.5**2, 1e-6)
    assert np.array_equal(views.GaussianBlur(0.0)(x, 0), x)


def test_each_image_gets_its_own_blur():
    x = np.zeros((500, 15, 1, 1))
    x[:, 7] = 1
    peak = views.GaussianBlur((0.5, 1.0))(x, 0)[:, 7, 0, 0]
    low, high = (1 / np.exp(-0.5 * (np.arange(-7, 8) / s) ** 2).sum() for s in (1.0, 0.5))
    assert low <= peak.min() < peak.max() <= high and len(np.unique(peak)) == 500


def test_turning_by_0_degrees_is_the_identity():
    x = np.random.default_rng(0).random((3, 6, 7, 3))
    assert np.array_equal(views.RandomRotation(0)(x, 0), x)


def window(seed, **params):
    """The area of the window and the ratio of its sides, read from what a crop does to two ramps."""
    n, size = 4000, 64
    i, j = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    ramps = np.broadcast_to(np.stack([i, j], axis=-1).astype(float), (n, size, size, 2))
    y = views.RandomResizedCrop(size=3, **params)(ramps, seed)
    # The middle pixel and its neighbours: steps of one third of the window.
    height, width = 1.5 * (y[:, 2, 1, 0] - y[:, 0, 1, 0]), 1.5 * (y[:, 1, 2, 1] - y[:, 1, 0, 1])
    middle = y[:, 1, 1] + 0.5
    return height / size, width / size, middle / size


def test_the_area_of_crops_is_uniform_and_the_ratio_too_on_its_scale():
    height, width, middle = window(0, area=(0.2, 0.6), ratio=(3 / 4, 4 / 3))
    area, ratio = height * width, np.log(width / height) / np.log(4 / 3)
    for found, (low, high) in ((area, (0.2, 0.6)), (ratio, (-1, 1))):
        assert low - 1e-9 <= found.min() and found.max() <= high + 1e-9
        for q in (0.1, 0.25, 0.5, 0.75, 0.9):
            share_is((found < low + q * (high - low)).mean(), q, len(found))
    assert abs(np.corrcoef(area, ratio)[0, 1]) < 4 / np.sqrt(len(area))
    for axis, side in enumerate((height, width)):
        place = (middle[:, axis] - side / 2) / (1 - side)  # where the window starts, among where it can
        assert -1e-9 <= place.min() and place.max() <= 1 + 1e-9
        for q in (0.1, 0.5, 0.9):
            share_is((place < q).mean(), q, len(place))


def test_a_crop_of_all_in_half_the_size_takes_every_mean():
    x = np.random.default_rng(0).random((2, 8, 6, 1))
    y = views.RandomResizedCrop((1, 1), (1, 1), size=(4, 3))(x, 0)
    assert_close(y, x.reshape(2, 4, 2, 3, 2, 1).mean(axis=(2, 4)), 1e-14)


def test_simclrs_recipe():
    names = [type(view).__name__ for view in views.simclr_view().views]
    assert names == ["RandomResizedCrop", "RandomHorizontalFlip", "RandomApply", "RandomGrayscale", "RandomApply"]
    assert len(views.simclr_view(blur=False).views) == 4
    photos = mc.data.photos().images[:, :64, :96]
    assert views.simclr_view(size=32)(photos, 0).shape == (2, 32, 32, 3)


# -------------------------------------------------------------------------------------------------------------- vectors


def test_jitter_is_measured_in_units_of_the_columns():
    x = np.random.default_rng(0).standard_normal((4000, 3)) * [1.0, 100.0, 0.0]
    for view in (vectors.Jitter(0.1), vectors.Jitter(0.1, scale=x.std(axis=0))):
        noise = view(x, 1) - x
        assert np.all(np.abs(noise[:, :2].std(axis=0) / x[:, :2].std(axis=0) - 0.1) < 4 * 0.1 / np.sqrt(8000))
        assert np.all(noise[:, 2] == 0)
        assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 4 / np.sqrt(4000)
    assert_close(vectors.Jitter(0.1, scale=2.0)(x, 1) - x, 2 * (vectors.Jitter(0.1, scale=1.0)(x, 1) - x), 1e-12)


def test_the_masked_share_and_what_is_put_there():
    x = np.random.default_rng(0).random((2000, 4)) + 1
    y = vectors.Mask(0.3, fill=[0.0, 5.0, 6.0, 7.0])(x, 0)
    chosen = y != x
    assert np.all(y[chosen] == np.broadcast_to([0.0, 5.0, 6.0, 7.0], x.shape)[chosen])
    share_is(chosen.mean(), 0.3, x.size)
    assert np.array_equal(vectors.Mask(0.0)(x, 0), x)


def test_a_span_is_one_run_at_any_place():
    x = np.ones((3000, 6, 2))
    gone = vectors.SpanMask(2)(x, 0) == 0
    assert np.array_equal(gone[..., 0], gone[..., 1])
    start = gone[..., 0].argmax(axis=1)
    assert np.all(gone[..., 0].sum(axis=1) == 2) and np.all(gone[np.arange(3000), start + 1, 0])
    for place in range(5):
        share_is((start == place).mean(), 0.2, 3000)
    assert np.all(vectors.SpanMask(6)(x, 0) == 0)


def test_corrupted_values_are_those_of_other_rows():
    x = np.arange(3000.0).reshape(1000, 3)
    y = vectors.Corrupt(0.4)(x, 0)
    assert np.array_equal(y % 3, x % 3), "they stay in their column"
    share_is((y != x).mean(), 0.4, x.size)  # never its own row
    assert np.array_equal(vectors.Corrupt(1.0)(x[:1], 0), x[:1]), "one row has no other"
    everywhere = vectors.Corrupt(1.0)(np.repeat(np.eye(4), 1000, axis=0)[:, :1], 0)
    share_is(everywhere.mean(), 0.25, 4000)


def test_mixup_goes_less_than_half_of_the_way():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    weights = [vectors.Mixup(0.4)(x, seed)[0] for seed in range(500)]
    weight = np.array(weights)[:, 0]
    assert np.all(np.array(weights)[:, 1] == 2 * weight), "one weight for a row"
    assert 0 <= weight.min() and weight.max() <= 0.4
    assert abs(weight.mean() - 0.2) < 4 * 0.4 / np.sqrt(12 * 500)
    assert np.array_equal(vectors.Mixup(0.4)(x[:1], 0), x[:1])


def test_the_view_of_a_table_fits_its_columns():
    x = np.random.default_rng(0).standard_normal((5000, 2)) * [1, 50] + [3, -20]
    y = vectors.vector_view(x, jitter=0.1, mask=0.25)(x, 1)
    masked = np.abs(y - x.mean(axis=0)) < 1e-12
    share_is(masked.mean(), 0.25, x.size)
    noise = (y - x) / x.std(axis=0)
    assert abs(noise[~masked].std() - 0.1) < 4 * 0.1 / np.sqrt(2 * (~masked).sum())
    series = np.random.default_rng(0).standard_normal((6, 5, 2))
    assert vectors.vector_view(series)(series, 0).shape == series.shape


# ----------------------------------------------------------------------------------------------------------- many views


def test_the_first_two_of_many_views_are_the_two_views():
    x = np.random.default_rng(0).random((6, 5, 5, 1))
    many, two = multi_views(x, views.GaussianNoise(0.1), 3, n_views=5), two_views(x, views.GaussianNoise(0.1), 3)
    assert len(many) == 5 and all(np.array_equal(a, b) for a, b in zip(many, two))
    assert all(not np.array_equal(many[i], many[j]) for i in range(5) for j in range(i))
    assert len(multi_views(x, views.GaussianNoise(0.1), 3)) == 2


def test_each_view_may_have_its_own_generator():
    x = np.random.default_rng(0).random((6, 5, 5, 1))
    view = views.GaussianNoise(0.1)
    three = multi_views(x, view, [5, 6, 7], n_views=3)
    for seed, v in zip((5, 6, 7), three):
        assert np.array_equal(v, view(x, seed))
    shared = np.random.default_rng(5)
    assert not np.array_equal(*multi_views(x, view, [shared, shared])), "one Generator, named twice, goes on"


def test_many_views_are_not_correlated():
    x = np.full((60, 10, 10, 1), 0.5)
    noise = [v.ravel() - 0.5 for v in multi_views(x, views.GaussianNoise(0.1, limits=None), 0, n_views=4)]
    between = np.corrcoef(noise) - np.eye(4)
    assert np.abs(between).max() < 4 / np.sqrt(6000)


def test_many_views_that_cannot_be_are_refused():
    x, view = np.ones((5, 8, 8, 1)), views.GaussianNoise()
    for bad in ({"n_views": 1}, {"view": [view]}, {"view": [view] * 3, "n_views": 4}):
        with pytest.raises(ValueError, match="multi_views: there must be 2 views or more"):
            multi_views(**{"images": x, "view": view, "rng": 0, **bad})
    with pytest.raises(ValueError, match="3 views need as many generators, or one for all; got 2"):
        multi_views(x, view, [0, 1], n_views=3)
    with pytest.raises(ValueError, match="multi_views: generators are in the same state"):
        multi_views(x, view, [0, 1, 0], n_views=3)
    with pytest.raises(ValueError, match="drawn nothing from the generator"):
        multi_views(x, [view, lambda images, rng: images, lambda images, rng: images], 0)
    plain = multi_views(x, [view, lambda images, rng: images], 0)
    assert np.array_equal(plain[1], x), "one view may be the image itself"


def test_multi_crop_is_two_large_and_several_small_windows():
    x = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)
    crops = multi_crop(n_local=6, local_size=12)
    found = multi_views(x, crops, 0)
    assert [v.shape[1:3] for v in found] == [(28, 28)] * 2 + [(12, 12)] * 6
    assert all(v.dtype == np.float32 for v in found)
    areas = [np.multiply(*window(seed, area=crop.area)[:2]) for seed, crop in ((0, crops[0]), (1, crops[-1]))]
    assert 0.39 < areas[0].min() and 0.05 - 1e-9 < areas[1].min() and areas[1].max() < 0.4 + 1e-9
    noisy = multi_crop(n_local=1, view=views.GaussianNoise(0.1))
    assert [type(view).__name__ for view in noisy] == ["Compose"] * 3


def test_many_views_of_vectors():
    x = np.random.default_rng(0).standard_normal((6, 5))
    assert len(multi_views(x, vectors.vector_view(x), 0, n_views=3)) == 3
