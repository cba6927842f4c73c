"""Inner product, Euclidean distance and cosine: right at every length of the vectors, and known by their laws.

A law needs no second implementation: what scaling, rotation and a zero vector do is known beforehand.
"""

import math

import numpy as np
import pytest
from differences import assert_close, central

import minicl as mc

LENGTHS = {np.float64: (1e-300, 1e-160, 1.0, 1e160, 1e300), np.float32: (1e-30, 1e-20, 1.0, 1e20, 1e30)}
PAIRS = [(kind, a, b) for kind, lengths in LENGTHS.items() for a in lengths for b in lengths]


def cosines(x, y):
    """One pair at a time, by the definition, with exact sums."""
    dot = lambda a, b: math.fsum(float(p) * float(q) for p, q in zip(a, b))
    return np.array([[dot(a, b) / math.sqrt(dot(a, a) * dot(b, b)) for b in y] for a in x])


def rotation(rng, d):
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


# --------------------------------------------------------------------------------------------------------------- values


def test_the_matrix_is_every_pair(rng):
    x, y = rng.standard_normal((7, 5)), rng.standard_normal((3, 5))
    expected = cosines(x, y)
    assert_close(mc.cosine_matrix(x, y), expected, 1e-15)
    assert_close(mc.cosine_similarity(x[:, None], y), expected, 1e-15)
    assert_close(mc.cosine_matrix(x), cosines(x, x), 1e-15)
    assert_close(mc.cosine_matrix(x, y), mc.dot(mc.normalize(x), mc.normalize(y).T), 1e-15)


def test_batches_of_matrices_broadcast(rng):
    x, y = rng.standard_normal((2, 1, 3, 5)), rng.standard_normal((7, 2, 5))
    found = mc.cosine_matrix(x, y)
    assert found.shape == (2, 7, 3, 2)
    for i, k in np.ndindex(2, 7):
        assert_close(found[i, k], cosines(x[i, 0], y[k]), 1e-15)


def test_known_answers():
    angles = np.radians([0.0, 60.0, 90.0, 120.0, 180.0])
    fan = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cosine = np.array([1.0, 0.5, 0.0, -0.5, -1.0])
    assert_close(mc.cosine_matrix(fan[:1], 3 * fan)[0], cosine, 1e-15)
    assert_close(mc.pairwise_distances(fan[:1], fan)[0], np.sqrt(2 - 2 * cosine), 1e-15)
    assert_close(mc.dot(fan[:1], 3 * fan.T)[0], 3 * cosine, 1e-15)


def test_the_laws_of_each_measure(rng):
    """Scaling, rotation, and which v is the most similar to u."""
    x, y, q = rng.standard_normal((5, 3)), rng.standard_normal((7, 3)), rotation(rng, 3)
    scales = np.logspace(-200, 200, 5)[:, None]
    assert_close(mc.cosine_matrix(x * scales, y), mc.cosine_matrix(x, y), 1e-15)
    for measure in (mc.cosine_matrix, mc.pairwise_distances, lambda a, b: mc.dot(a, b.T)):
        assert_close(measure(x @ q, y @ q), measure(x, y), 1e-14)
    u = mc.normalize(x)
    assert_close(mc.pairwise_distances(u, squared=True), 2 - 2 * mc.cosine_matrix(x), 1e-15)
    assert (mc.cosine_matrix(x, np.concatenate([x, y])).argmax(1) == np.arange(5)).all()
    assert (mc.pairwise_distances(x, np.concatenate([x, y])).argmin(1) == np.arange(5)).all()
    assert mc.dot(np.array([1.0, 0.0]), np.array([3.0, 1.0])) > mc.dot(np.array([1.0, 0.0]), np.array([1.0, 0.0]))


# ----------------------------------------------------------------------------------------------- large and tiny vectors


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind, a, b", PAIRS)
def test_cosines_and_their_gradients_at_every_length(kind, a, b, rng):
    """No square overflows or vanishes, and no eps takes over: ∂s/∂x at c x is 1/c times that at x."""
    rounding = np.finfo(kind).eps
    x, y = rng.standard_normal((3, 5)).astype(kind), rng.standard_normal((2, 5)).astype(kind)
    far_x, far_y = mc.tensor(x * kind(a)), mc.tensor(y * kind(b))
    g = rng.standard_normal((3, 2)).astype(kind)
    s = mc.cosine_matrix(far_x, far_y)
    assert s.dtype == kind
    assert_close(s.data, cosines(x, y), 4 * rounding)
    near_x, near_y = mc.tensor(x.astype(float)), mc.tensor(y.astype(float))
    expected = mc.grad(mc.cosine_matrix(near_x, near_y), [near_x, near_y], cotangent=g.astype(float))
    # A cotangent that is as small as the vector is long keeps the gradient itself in range.
    found = (
        mc.grad(mc.cosine_matrix(far_x, far_y.data), far_x, cotangent=g * kind(min(1, a))),
        mc.grad(mc.cosine_matrix(far_x.data, far_y), far_y, cotangent=g * kind(min(1, b))),
    )
    for gradient, right, length in zip(found, expected, (a, b)):
        assert gradient.dtype == kind
        assert_close(gradient.astype(float) * max(1, length), right, 20 * rounding)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind, a, b", PAIRS)
def test_distances_at_every_length(kind, a, b, rng):
    rounding = np.finfo(kind).eps
    x, y = rng.standard_normal((3, 5)).astype(kind), rng.standard_normal((2, 5)).astype(kind)
    unit = max(a, b)
    scaled_x, scaled_y = x.astype(float) * (a / unit), y.astype(float) * (b / unit)
    expected = np.sqrt(((scaled_x[:, None] - scaled_y) ** 2).sum(-1))
    far_x = mc.tensor(x * kind(a))
    d = mc.pairwise_distances(far_x, y * kind(b))
    assert_close(d.data.astype(float) / unit, expected, 4 * rounding)
    slope = (scaled_x[:, None] - scaled_y) / expected[:, :, None]  # (x − y)/‖x − y‖, whatever the lengths
    g = rng.standard_normal((3, 2)).astype(kind)
    assert_close(mc.grad(d, far_x, cotangent=g), (g[:, :, None] * slope).sum(1), 20 * rounding)


@pytest.mark.filterwarnings("error")
def test_entries_of_very_different_size():
    """The largest entry decides; the others may vanish beside it, and nothing breaks."""
    x = np.array([[1e300, 1.0, 1e-300], [5e-324, 0.0, 0.0], [1e-300, 1e-300, 0.0]])
    s = mc.cosine_matrix(x)
    half = math.sqrt(0.5)
    assert_close(s, [[1, 1, half], [1, 1, half], [half, half, 1]], 1e-15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_self_cosine_is_one(kind, rng):
    x = (rng.standard_normal((50, 7)) * np.logspace(-20, 20, 50)[:, None]).astype(kind)
    s = mc.cosine_matrix(x)
    assert np.abs(np.diag(s) - 1).max() <= 4 * np.finfo(kind).eps
    assert np.abs(s - s.T).max() <= 4 * np.finfo(kind).eps


# ----------------------------------------------------------------------------------------------------- the zero vector


@pytest.mark.filterwarnings("error")
def test_a_row_of_zeros_has_cosine_zero_and_gradient_zero(rng):
    x, y = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    x[1] = 0
    g = rng.standard_normal((3, 2))
    a, b = mc.tensor(x), mc.tensor(y)
    s = mc.cosine_matrix(a, b)
    assert s.data[1].tolist() == [0, 0]
    ga, gb = mc.grad(s, [a, b], cotangent=g, differentiable=True)
    assert not ga.data[1].any() and ga.data[[0, 2]].any(axis=1).all()
    without = mc.tensor(np.delete(x, 1, axis=0)), mc.tensor(y)
    expected = mc.grad(mc.cosine_matrix(*without), without, cotangent=np.delete(g, 1, axis=0))
    assert_close(ga.data[[0, 2]], expected[0], 1e-15)
    assert_close(gb.data, expected[1], 1e-15)  # as if the row were not there
    for second in mc.grad((ga * ga).sum() + (gb * gb).sum(), [a, b]):
        assert np.isfinite(second).all()


@pytest.mark.filterwarnings("error")
def test_the_jacobian_of_normalisation(rng):
    """J = (I − u uᵀ)/‖z‖ at every length, so u J = 0; and J = 0 at z = 0, the one place where it is chosen."""
    direction = mc.normalize(rng.standard_normal(4))
    for length in (1e-12, 1e-3, 1.0, 1e3, 1e12):
        j = mc.jacobian(mc.normalize, direction * length)
        assert_close(j * length, np.eye(4) - np.outer(direction, direction), 1e-14)
        assert np.abs(direction @ j).max() * length < 1e-15
    assert not mc.jacobian(mc.normalize, np.zeros(4)).any()


# ------------------------------------------------------------------------------------------------------------ gradients


def test_the_gradient_of_a_cosine_is_the_formula(rng):
    """∂cos/∂u = (v̂ − cos û)/‖u‖, and the same with u and v exchanged."""
    u, v = mc.tensor(3 * rng.standard_normal(5)), mc.tensor(0.2 * rng.standard_normal(5))
    s = mc.cosine_similarity(u, v)
    for g, x, y in zip(mc.grad(s, [u, v]), (u.data, v.data), (v.data, u.data)):
        length = np.sqrt(x @ x)
        assert_close(g, (y / np.sqrt(y @ y) - s.item() * x / length) / length, 1e-14)
        assert abs(g @ x) < 1e-15 * np.abs(g).max() * np.abs(x).max() * 5


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("measure", [mc.cosine_matrix, mc.pairwise_distances, lambda x, y: mc.dot(x, y.T)])
def test_gradients_to_the_second_order(measure, scale, rng):
    x, y, g, v = (rng.standard_normal(shape) for shape in ((3, 5), (2, 5), (3, 2), (3, 5)))
    x, y = x * scale, y * scale
    a, b = mc.tensor(x), mc.tensor(y)
    first = mc.grad(measure(a, b), [a, b], cotangent=g, differentiable=True)
    for k, found in enumerate(first):
        assert_close(found.data, central(lambda *z: (measure(*z) * g).sum(), [x, y], k, scale), 1e-8)

    def slope(*z):
        z = [mc.tensor(part) for part in z]
        return (mc.grad(measure(*z), z[0], cotangent=g) * v).sum()

    for k, found in enumerate(mc.grad((first[0] * v).sum(), [a, b])):
        assert_close(found, central(slope, [x, y], k, scale), 1e-7, 1e-9 / scale)


def test_the_checker_agrees():
    rng = np.random.default_rng(3)
    assert mc.gradcheck.check(mc.cosine_matrix, rng.standard_normal((3, 5)), rng.standard_normal((2, 5))).passed


@pytest.mark.parametrize("shapes", [((3, 5), (2, 7)), ((5,), (2, 5)), ((3, 5), (5,)), ((), (2, 5))])
def test_shapes_that_do_not_fit_are_named(shapes):
    x, y = np.ones(shapes[0]), np.ones(shapes[1])
    for args in ((x, y), (mc.tensor(x), mc.tensor(y))):
        with pytest.raises(ValueError, match="cosine_matrix: shapes") as error:
            mc.cosine_matrix(*args)
        assert str(shapes[0]) in str(error.value) and str(shapes[1]) in str(error.value)
        assert "give (..., n, d) and (..., m, d)" in str(error.value)


def test_on_the_other_library(xp, rng):
    x, y = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    x[1] = 0
    a, b = mc.tensor(xp.asarray(x)), mc.tensor(xp.asarray(y))
    s = mc.cosine_matrix(a, b)
    assert_close(mc.to_numpy(s), mc.cosine_matrix(x, y), 1e-15)
    g = rng.standard_normal((3, 2))
    c, d = mc.tensor(x), mc.tensor(y)
    expected = mc.grad(mc.cosine_matrix(c, d), [c, d], cotangent=g)
    for found, right in zip(mc.grad(s, [a, b], cotangent=xp.asarray(g)), expected):
        assert_close(mc.to_numpy(found), right, 1e-14)
