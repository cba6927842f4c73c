"""Convolution and pooling against six loops, against torch, and the kernel against its definition."""

import math

import checks
import numpy as np
import pytest
from differences import assert_close
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import convolved, unwindowed, windowed

import minicl as mc
from minicl import conv, winograd

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed, so it cannot be compared with")

small = settings(max_examples=60, deadline=None, derandomize=True)
pair = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw, stride=pair, dilation=pair):
    """Shapes of x and w that fit each other, and the options."""
    kernel, stride, dilation, groups = draw(pair), draw(stride), draw(dilation), draw(st.integers(1, 3))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    assume(all(n + 2 * p > d * (k - 1) for n, p, k, d in zip(size, padding, kernel, dilation)))
    each, outputs = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    x, w = (draw(st.integers(1, 3)), *size, groups * each), (*kernel, each, outputs)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def normals(*shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape) for shape in shapes]


def both_sides(padding):
    return tuple((p, p) for p in padding)


# ------------------------------------------------------------------------------------------------------------- windows


@small
@given(convolutions())
def test_windows_and_unwindows_are_exact_adjoints(case):
    (shape, w, options), rng = case, np.random.default_rng(3)
    assume(all(n > d * (k - 1) for n, k, d in zip(shape[1:3], w[:2], options["dilation"])))
    steps = {"stride": options["stride"], "dilation": options["dilation"]}
    x = rng.integers(-9, 10, shape).astype(float)
    ax = mc.windows(x, w[:2], **steps)
    y = rng.integers(-9, 10, ax.shape).astype(float)
    assert np.sum(ax * y) == np.sum(x * mc.unwindows(y, shape, **steps))
    assert np.array_equal(ax, windowed(x, w[:2], **steps))
    assert np.array_equal(mc.unwindows(y, shape, **steps), unwindowed(y, shape, **steps))


def test_windows_are_a_view_that_cannot_be_written_to():
    x = np.zeros((1, 4, 4, 1))
    y = mc.windows(x, 3)
    assert np.shares_memory(x, y) and not y.flags.writeable
    t = mc.tensor(x)
    g = mc.grad(mc.windows(t, 3), t, cotangent=np.ones(y.shape))
    assert g.flags.writeable and g[0, :, :, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


# --------------------------------------------------------------------------------------------------------- convolution


@small
@given(convolutions())
def test_a_convolution_is_six_loops(case):
    shape, weights, options = case
    x, w = normals(shape, weights)
    expected = convolved(x, w, **options | {"padding": both_sides(options["padding"])})
    assert_close(mc.conv2d(x, w, **options), expected, 1e-13, 1e-14)


@small
@given(convolutions(), st.sampled_from([1, 2000, 10**9]))
def test_the_kernel_is_its_definition(case, cache):
    """Value and gradients; however few images go through at a time."""
    shape, weights, options = case
    x, w = normals(shape, weights)
    options["padding"] = both_sides(options["padding"])
    before, conv.CACHE = conv.CACHE, cache
    try:
        results = []
        for f in (mc.PRIMITIVES["conv2d"], conv.conv2d_by_definition):
            leaves = [mc.tensor(x), mc.tensor(w)]
            y = f(*leaves, **options)
            results.append([y.data, *mc.grad(y, leaves, cotangent=np.cos(np.arange(y.size)).reshape(y.shape))])
    finally:
        conv.CACHE = before
    for found, expected in zip(*results):
        assert_close(found, expected, 1e-12, 1e-14)


@settings(small, max_examples=30)
@given(
    st.integers(0, 5),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.sampled_from([1, 300_000, 10**9]),
)
def test_winograd_is_the_definition(n, size, margins, cache):
    """Value and gradients; at the edges of tiles and of chunks."""
    padding = (margins[:2], margins[2:])
    assume(all(k + sum(p) >= 3 for k, p in zip(size, padding)))
    x, w = normals((n, *size, 33), (3, 3, 33, 32))
    before, winograd.CACHE = winograd.CACHE, cache
    results = []
    try:
        leaves = [mc.tensor(x), mc.tensor(w)]
        y = conv.conv2d_by_definition(*leaves, padding=padding)
        c = np.cos(np.arange(y.size)).reshape(y.shape)
        results = [y.data, *mc.grad(y, leaves, cotangent=c)]
        found = np.full(y.shape, np.nan)
        winograd.forward(x, w, padding, found)
        gradients = winograd.backward(c, [True, True], x, w, padding)
    finally:
        winograd.CACHE = before
    for a, b in zip([found, *gradients], results):
        assert_close(a, b, 1e-12, 1e-300)


def test_winograd_is_taken_where_it_is_shorter(monkeypatch, rng):
    """Many channels, 3 x 3 weights, stride 1; float32 errors stay near 1e-5; one gradient alone is the same."""
    x, w = rng.standard_normal((20, 7, 7, 64)), rng.standard_normal((3, 3, 64, 32))
    calls = []
    monkeypatch.setattr(winograd, "in_parallel", lambda f, parts: calls.append(1) or [f(part) for part in parts])
    exact = mc.conv2d(x, w, padding=1)
    for options in ({"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": (0, 0)}):
        mc.conv2d(x, w[:, :, : 64 // options.get("groups", 1)], **{"padding": 1} | options)
    mc.conv2d(x[..., :31], w[:, :, :31], padding=1)
    assert len(calls) == 1  # 5 x 5 results would fill 4 tiles of 4 x 4 too badly
    leaves = [mc.tensor(x, np.float32), mc.tensor(w, np.float32)]
    y = mc.conv2d(*leaves, padding=1)
    c = rng.standard_normal(y.shape)
    both = mc.grad(y, leaves, cotangent=c.astype(np.float32))
    doubles = [mc.tensor(x), mc.tensor(w)]
    expected = mc.grad(mc.conv2d(*doubles, padding=1), doubles, cotangent=c)
    for found, exactly in zip([y.data, *both], [exact, *expected]):
        assert found.dtype == np.float32
        assert_close(found, exactly, 2e-5)
    for k in (0, 1):
        constant = [x.astype(np.float32), w.astype(np.float32)]
        constant[k] = leaves[k]
        alone = mc.grad(mc.conv2d(*constant, padding=1), leaves[k], cotangent=c.astype(np.float32))
        assert np.array_equal(alone, both[k])


def test_winograd_takes_any_layout_of_memory(rng):
    x, w = rng.standard_normal((3, 33, 8, 8)).transpose(0, 2, 3, 1), rng.standard_normal((32, 33, 3, 3)).T
    c = rng.standard_normal((8, 8, 3, 32)).transpose(2, 0, 1, 3)
    plain = [np.ascontiguousarray(a) for a in (x, w, c)]
    results = []
    for a, b, g in ((x, w, c), plain):
        y = np.empty((3, 8, 8, 32))
        winograd.forward(a, b, ((1, 1), (1, 1)), y)
        results.append([y, *winograd.backward(g, [True, True], a, b, ((1, 1), (1, 1)))])
    for found, expected in zip(*results):
        assert_close(found, expected, 1e-14)


@pytest.mark.parametrize("channels, outputs", [(1, 4), (3, 5), (16, 16), (16, 40), (17, 4)])
@pytest.mark.parametrize("across, stride", [(7, 1), (8, 1), (9, 1), (8, 2), (14, 3), (5, 1)])
def test_windows_that_are_taken_as_one(channels, outputs, across, stride, rng):
    """With few channels some windows side by side are one; the result is that of the definition all the same."""
    width = stride * (across - 1) + 3 + (stride > 1)  # one column that no window takes
    x, w = rng.standard_normal((3, 5, width, channels)), rng.standard_normal((2, 3, channels, outputs))
    beside = conv._beside(np, w, (4, across), (1, 1), 1)
    assert across % beside == 0
    if (channels, outputs) in ((1, 4), (16, 16)) and across == 8:
        assert beside == (4 if outputs == 4 else 2)
    if channels == 17 or outputs == 40 or across == 5:
        assert beside == 1
    leaves = [mc.tensor(x), mc.tensor(w)]
    options = {"stride": (1, stride), "padding": ((0, 0), (0, 0))}
    y, expected = (f(*leaves, **options) for f in (mc.PRIMITIVES["conv2d"], conv.conv2d_by_definition))
    assert y.shape == (3, 4, across, outputs)
    assert_close(y.data, expected.data, 1e-13)
    c = rng.standard_normal(y.shape)
    for found, wanted in zip(mc.grad(y, leaves, cotangent=c), mc.grad(expected, leaves, cotangent=c)):
        assert_close(found, wanted, 1e-13)


def test_the_kernel_takes_one_gradient_alone(rng):
    """A constant image, or constant weights, cost no gradient, and the other one is the same."""
    x, w = rng.standard_normal((5, 6, 7, 3)), rng.standard_normal((3, 2, 3, 2))
    leaves = [mc.tensor(x), mc.tensor(w)]
    c = rng.standard_normal(mc.conv2d(x, w).shape)
    expected = mc.grad(mc.conv2d(*leaves), leaves, cotangent=c)
    assert np.array_equal(mc.grad(mc.conv2d(leaves[0], w), leaves[0], cotangent=c), expected[0])
    assert np.array_equal(mc.grad(mc.conv2d(x, leaves[1]), leaves[1], cotangent=c), expected[1])


@needs_torch
@small
@given(convolutions(), st.booleans())
def test_convolution_equals_torch(case, with_bias):
    shape, weights, options = case
    x, w, b = normals(shape, weights, weights[3:])
    leaves = [mc.tensor(a) for a in ([x, w, b] if with_bias else [x, w])]
    y = mc.conv2d(*leaves, **options)
    tx = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    tw = torch.tensor(w.transpose(3, 2, 0, 1), requires_grad=True)
    tb = torch.tensor(b, requires_grad=True) if with_bias else None
    ty = torch.nn.functional.conv2d(tx, tw, tb, **options)
    (c,) = normals(y.shape)
    ty.backward(torch.tensor(c.transpose(0, 3, 1, 2)))
    assert_close(y.numpy(), ty.detach().numpy().transpose(0, 2, 3, 1), 1e-12, 1e-13)
    found = mc.grad(y, leaves, cotangent=c)
    assert_close(found[0], tx.grad.numpy().transpose(0, 2, 3, 1), 1e-12, 1e-13)
    assert_close(found[1], tw.grad.numpy().transpose(2, 3, 1, 0), 1e-12, 1e-13)
    if with_bias:
        assert_close(found[2], tb.grad.numpy(), 1e-12, 1e-13)


@small
@given(convolutions())
def test_same_padding_keeps_the_size_up_to_the_stride(case):
    shape, weights, options = case
    x, w = normals(shape, weights)
    y = mc.conv2d(x, w, **options | {"padding": "same"})
    assert y.shape[1:3] == tuple(-(-n // s) for n, s in zip(shape[1:3], options["stride"]))


@needs_torch
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@small
@given(convolutions(stride=st.just((1, 1))))
def test_same_padding_equals_torch_at_stride_1(case):
    shape, weights, options = case
    x, w = normals(shape, weights)
    found = mc.conv2d(x, w, **options | {"padding": "same"})
    args = [torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(w.transpose(3, 2, 0, 1))]
    expected = torch.nn.functional.conv2d(*args, **options | {"padding": "same"})
    assert_close(found, expected.numpy().transpose(0, 2, 3, 1), 1e-12, 1e-13)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"padding": "same", "dilation": (2, 1)},
        {"groups": 2, "stride": (1, 2)},
    ],
    ids=str,
)
def test_convolution_has_second_derivatives(options, rng):
    groups = options.get("groups", 1)
    arrays = rng.standard_normal((2, 4, 5, 2)), rng.standard_normal((2, 3, 2 // groups, 2)), rng.standard_normal(2)
    assert mc.gradcheck.check(lambda x, w, b: mc.conv2d(x, w, b, **options), *arrays, order=2).passed


def test_convolution_has_third_derivatives(rng):
    f = lambda x, w: mc.tanh(mc.conv2d(x, w, stride=2, padding=1))
    assert mc.gradcheck.check(f, rng.standard_normal((1, 3, 2, 2)), rng.standard_normal((2, 2, 2, 1)), order=3).passed


# ------------------------------------------------------------------------------------------------------------- pooling


@st.composite
def poolings(draw):
    kernel, stride, dilation = draw(pair), draw(st.none() | pair), draw(pair)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)))
    assume(all(n + 2 * p > d * (k - 1) for n, p, k, d in zip(shape[1:3], padding, kernel, dilation)))
    assume(all(n >= d for n, d in zip(shape[1:3], dilation)))  # else a window may step over the image
    return shape, kernel, stride, padding, dilation


def compare_with_torch(f, f_torch, x):
    t, leaf = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True), mc.tensor(x)
    y, ty = f(leaf), f_torch(t)
    (c,) = normals(y.shape)
    ty.backward(torch.tensor(c.transpose(0, 3, 1, 2)))
    assert_close(y.numpy(), ty.detach().numpy().transpose(0, 2, 3, 1), 1e-13, 1e-14)
    assert_close(mc.grad(y, leaf, cotangent=c), t.grad.numpy().transpose(0, 2, 3, 1), 1e-13, 1e-14)


@needs_torch
@small
@given(poolings())
def test_max_pooling_equals_torch(case):
    shape, kernel, stride, padding, dilation = case
    f = lambda x: mc.max_pool2d(x, kernel, stride, padding, dilation)
    g = lambda x: torch.nn.functional.max_pool2d(x, kernel, stride, padding, dilation)
    compare_with_torch(f, g, *normals(shape))


@needs_torch
@small
@given(poolings(), st.booleans())
def test_mean_pooling_equals_torch(case, count):
    shape, kernel, stride, padding, _ = case
    assume(all(n + 2 * p >= k for n, p, k in zip(shape[1:3], padding, kernel)))
    f = lambda x: mc.avg_pool2d(x, kernel, stride, padding, count_include_pad=count)
    g = lambda x: torch.nn.functional.avg_pool2d(x, kernel, stride, padding, count_include_pad=count)
    compare_with_torch(f, g, *normals(shape))


def test_equal_entries_of_a_window_share_the_gradient():
    x = mc.tensor(np.array([[3.0, 1.0], [3.0, 3.0]])[None, :, :, None])
    assert_close(mc.grad(mc.max_pool2d(x, 2).sum(), x)[0, :, :, 0], [[1 / 3, 0], [1 / 3, 1 / 3]], 1e-15)


def test_a_margin_never_wins_and_is_never_counted():
    x = np.full((1, 3, 3, 1), -5.0)
    assert (mc.max_pool2d(x, 3, 1, "same") == -5).all()
    assert_close(mc.avg_pool2d(x, 3, 1, "same", count_include_pad=False), x, 1e-15)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mc.max_pool2d(x, 2, 1, 1),
        lambda x: mc.avg_pool2d(x, (2, 3), 2, 1, count_include_pad=False),
        mc.global_avg_pool,
        lambda x: mc.tanh(mc.windows(x, (2, 3), dilation=(2, 1))),
    ],
    ids=["max", "mean", "global", "windows"],
)
def test_pooling_has_second_derivatives(f, rng):
    assert mc.gradcheck.check(f, rng.permutation(48).reshape(2, 4, 3, 2) / 7.0 - 3, order=2).passed


# ------------------------------------------------------------------------------------- libraries, precision and layout

FUNCTIONS = {
    "conv2d": lambda x, w: mc.conv2d(x, w, stride=2, padding="same", dilation=(1, 2)),
    "groups": lambda x, w: mc.conv2d(mc.concatenate([x, x], axis=-1), w, groups=2),
    "max": lambda x, w: mc.max_pool2d(mc.conv2d(x, w), 2, padding=1),
    "mean": lambda x, w: mc.avg_pool2d(mc.conv2d(x, w), 2, padding=1, count_include_pad=False),
    "global": lambda x, w: mc.global_avg_pool(mc.conv2d(x, w)),
    "windows": lambda x, w: mc.windows(x, 2).sum(axis=(3, 4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_library_gives_the_same(name, xp, rng):
    x, w = rng.standard_normal((3, 6, 5, 2)), rng.standard_normal((2, 3, 2, 4))
    results = []
    for library in (np, xp):
        leaves = [mc.tensor(library.asarray(x)), mc.tensor(library.asarray(w))]
        y = FUNCTIONS[name](*leaves)
        found = [y.data, *mc.grad((y * y).sum(), leaves)]
        assert all(isinstance(a, library.ndarray) for a in found)
        again = mc.grad((y * y).sum(), leaves, differentiable=True)
        for a, b in zip(found[1:], again):
            assert_close(mc.to_numpy(a), b.numpy(), 1e-12, 1e-300)
        results.append([mc.to_numpy(a) for a in found])
    for found, expected in zip(*results):
        assert_close(found, expected, 1e-13)


@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 1e-2), (np.float32, 3e-6)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_precision_is_kept(name, dtype, tolerance, rng):
    x, w = rng.standard_normal((3, 6, 5, 2)).astype(dtype), rng.standard_normal((2, 3, 2, 4)).astype(dtype)
    results = []
    for kind in (dtype, float):
        leaves = [mc.tensor(x, kind), mc.tensor(w, kind)]
        y = FUNCTIONS[name](*leaves)
        found = [y.data, *mc.grad(y.sum(), leaves)]
        assert all(a.dtype == kind for a in found)
        results.append(found)
    for low, high in zip(*results):
        assert_close(low, high, tolerance)


def test_layout_of_memory_does_not_matter(rng):
    x, w = rng.standard_normal((2, 3, 6, 7)).transpose(0, 2, 3, 1), rng.standard_normal((4, 3, 2, 2)).T
    leaves = [mc.tensor(np.ones(x.shape)), mc.tensor(np.ones(w.shape))]
    leaves[0]._data, leaves[1]._data = x, w
    plain = [mc.tensor(np.ascontiguousarray(x)), mc.tensor(np.ascontiguousarray(w))]
    for a, b in zip(leaves, plain):
        for f, g in zip(*[mc.grad(mc.conv2d(*ts, stride=2).sum(), ts) for ts in (leaves, plain)]):
            assert f.flags.c_contiguous and f.flags.writeable
            assert_close(f, g, 1e-14)
        assert np.array_equal(a.data, b.data)


def test_an_empty_batch_goes_through():
    x, w = mc.tensor(np.zeros((0, 5, 5, 2))), mc.tensor(np.ones((3, 3, 2, 4)))
    y = mc.conv2d(x, w)
    assert y.shape == (0, 3, 3, 4)
    gx, gw = mc.grad(y.sum(), [x, w])
    assert gx.shape == x.shape and gw.shape == w.shape and not gw.any()
    assert mc.max_pool2d(x, 2).shape == (0, 2, 2, 2) and mc.avg_pool2d(x, 2).shape == (0, 2, 2, 2)


# ----------------------------------------------------------------------------------------------------------- bad input

X, W = np.zeros((2, 5, 4, 6)), np.zeros((3, 3, 6, 4))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: mc.conv2d(X[0], W), ValueError, r"conv2d: got shape \(5, 4, 6\).*\(N, H, W, C\), channels last"),
        (lambda: mc.conv2d(X, W[0]), ValueError, r"weights of shape \(3, 6, 4\).*\(kh, kw, C / groups, K\)"),
        (lambda: mc.conv2d(X, W[:, :, :3]), ValueError, r"\(2, 5, 4, 6\) has 6 channels.*\(3, 3, 3, 4\).*takes 3"),
        (lambda: mc.conv2d(X, W, groups=4), ValueError, "4 groups do not divide the 6 channels"),
        (lambda: mc.conv2d(X, W[:, :, :2], groups=3), ValueError, "3 groups do not divide.*the 4 of the output"),
        (lambda: mc.conv2d(X, W, groups=0), ValueError, "0 groups"),
        (lambda: mc.conv2d(X, W, np.zeros(3)), ValueError, r"b has shape \(3,\).*needs \(4,\)"),
        (lambda: mc.conv2d(X, W, dilation=2), ValueError, r"covers 5 x 5 pixels.*larger than the image 5 x 4.*padding"),
        (lambda: mc.conv2d(X, W, stride=0), ValueError, "stride is an int or a pair.*at least 1; got 0"),
        (lambda: mc.conv2d(X, W, stride=(1, 2, 3)), ValueError, r"stride.*got \(1, 2, 3\)"),
        (lambda: mc.conv2d(X, W, stride=1.5), ValueError, "stride.*got 1.5"),
        (lambda: mc.conv2d(X, W, padding=-1), ValueError, "padding.*at least 0; got -1"),
        (lambda: mc.conv2d(X, W, padding="valid"), ValueError, "an int, a pair or \"same\"; got 'valid'"),
        (lambda: mc.conv2d(X.astype(np.uint8), W), TypeError, r"conv2d: got uint8.*x.astype\(np.float32\)"),
        (lambda: mc.conv2d(X, W.astype(int)), TypeError, r"conv2d: got int64 values of shape \(3, 3, 6, 4\)"),
        (lambda: mc.max_pool2d(X, 7), ValueError, "max_pool2d: the window covers 7 x 7 pixels"),
        (lambda: mc.max_pool2d(X, 3, padding=3), ValueError, "max_pool2d: padding 3 is too much.*in the margin alone"),
        (
            lambda: mc.max_pool2d(X[:, :1], 2, padding=1, dilation=2),
            ValueError,
            "in the margin alone",
        ),  # torch: a crash
        (lambda: mc.avg_pool2d(X.astype(int), 2), TypeError, "avg_pool2d: got int64"),
        (lambda: mc.avg_pool2d(X[0], 2), ValueError, r"avg_pool2d: got shape \(5, 4, 6\)"),
        (lambda: mc.global_avg_pool(X[:, :0]), ValueError, "without pixels"),
        (lambda: mc.windows(X, 7), ValueError, "windows: the window covers"),
        (lambda: mc.unwindows(X, (1, 1, 1, 1)), ValueError, "unwindows: got x of shape.*six axes"),
        (
            lambda: mc.unwindows(np.zeros((1, 3, 3, 2, 2, 1)), (1, 5, 4, 1)),
            ValueError,
            r"windows of an image of shape \(1, 5, 4, 1\) have shape \(1, 4, 3, 2, 2, 1\)",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_mixture_of_devices_is_refused(gpu):
    with pytest.raises(TypeError, match="conv2d.*gpu.*cpu"):
        mc.conv2d(gpu.asarray(X), W)


def test_adjoint_of_the_kernel_to_the_last_bit(rng, xp):
    arrays = [rng.standard_normal((3, 6, 5, 4)), rng.standard_normal((3, 2, 2, 6))]
    for place in (0, 1):
        options = {"stride": (2, 1), "padding": ((1, 1), (0, 2)), "groups": 2}
        checks.check_adjoint(mc.PRIMITIVES["conv2d"], arrays, [place], xp, rng, **options)


def test_memory_stays_small(rng):
    """The windows of 64 images would take 9 times the memory of the images; only some exist at a time."""
    import tracemalloc

    x, w = mc.tensor(rng.standard_normal((64, 28, 28, 16))), mc.tensor(rng.standard_normal((3, 3, 16, 1)))
    windows_size = 9 * x.data.nbytes
    tracemalloc.start()
    try:
        y = mc.conv2d(x, w, padding=1)
        mc.grad(y.sum(), [x, w])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * windows_size, f"{peak / windows_size:.2f} of the windows; {math.ceil(peak / 2**20)} MB"
