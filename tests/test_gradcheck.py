"""The checker is checked: it must accept right gradients and reject wrong ones, whatever hides them.

`WRONG` lists functions with a right and a wrong rule for their gradient; the right rule must pass, so that a rejection
can only come from the error.
"""

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicl as mc
from minicl.course.catalogue.gradient_checking import BACKWARDS
from minicl.gradcheck import GradientError, adjoint, check, complex_step, numerical_gradient, numerical_jacobian

quick = settings(max_examples=25, deadline=None, derandomize=True, database=None)
rng = np.random.default_rng(11)
X3, X4 = np.array([0.3, -1.2, 0.7]), np.array([1.1, -0.6, 2.3, 0.4])
X23 = np.array([[0.5, -1.4, 0.9], [1.7, 0.2, -0.8]])
C = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [2.0, 3.0, 1.0]])
LABELS = np.array([2, 0, 1])
raw, frozen = mc.to_numpy, mc.stop_gradient


def op(forward, *rules, joint=None, composed=None):
    """A primitive from a forward of arrays and its vjps."""
    p = mc.primitive((lambda xp, a, b: forward(a, b)) if len(rules) == 2 else (lambda xp, x: forward(x)))
    return p.defvjp_joint(joint, composed=composed) if joint else p.defvjp(*rules)


# ------------------------------------------------------------------------------------------------ right gradients pass

RIGHT = {
    "polynomial": (lambda x: x**3 - 2 * x, X3),
    "softmax": (lambda x: mc.softmax(x, axis=0), X23),
    "log_softmax": (mc.log_softmax, X23),
    "logsumexp": (lambda x: x.logsumexp(axis=(0, 1)), X23),
    "normalize": (mc.normalize, X23),
    "norm": (mc.norm, X23),
    "distances": (mc.pairwise_distances, X23, rng.standard_normal((5, 3))),
    "cosines": (lambda a, b: mc.cosine_similarity(a[:, None], b), X23, rng.standard_normal((5, 3))),
    "matmul": (mc.matmul, rng.standard_normal((2, 3)), rng.standard_normal((3, 5))),
    "broadcasting": (lambda a, b: a * b + b, rng.standard_normal((5, 3)), X3),
    "duplicates": (lambda x: x[[0, 2, 2, 1]] ** 2, X3),
    "one input twice": (lambda x: mc.einsum("ij,kj->ik", x, x * x), X23),
    "prod": (lambda x: x.prod(axis=1), np.array([[0.0, 2.0, 3.0], [1.0, 0.0, 0.0]])),
    "cumsum": (lambda x: x.cumsum(axis=1), X23),
    "where": (lambda x: mc.where(x > 0, x * x, mc.sin(x)), X23),
    "abs away from 0": (mc.abs, X23),
    "relu away from 0": (lambda x: mc.relu(x) * x, X23),
    "max without ties": (lambda x: x.max(axis=0), X23),
    "clip": (lambda x: mc.clip(x, -1.0, 1.0), X23),
    "elu, gelu, silu": (lambda x: mc.elu(x) + mc.gelu(x) * mc.silu(x), X23),
    "var": (lambda x: x.var(axis=0, ddof=1), X23),
    "std": (lambda x: x.std(), X23),
    "power of two": (lambda a, b: a**b, np.abs(X4), X4),
    "nt_xent": (mc.nt_xent, rng.standard_normal((4, 3)), rng.standard_normal((4, 3))),
    "sharp nt_xent": (lambda a, b: mc.nt_xent(a, b, 0.02), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))),
    "cross_entropy": (lambda x: mc.cross_entropy(x, LABELS), rng.standard_normal((3, 4))),
    "softplus far out": (mc.softplus, np.array([-40.0, 0.3, 800.0])),
    "constant": (lambda x: 0 * x, X3),
    "rows that sum to one": (lambda x: mc.softmax(x).sum(axis=-1), X23),
    "independent of one": (lambda a, b: a * a, X3, X4),
    "linear": (lambda x: 3.0 * x[::-1], X3),
    "large offset": (lambda x: 1e6 + x * x, X3),
    "0-d": (lambda x: mc.exp(x) * x, np.array(0.4)),
    "a number": (lambda x: mc.sin(x), 0.4),
    "a list": (lambda x: mc.sin(x), [0.4, 1.0]),
    "empty": (lambda x: x * x, np.zeros((0, 3))),
    "sum of nothing": (lambda x: (x * x).sum(), np.zeros((2, 0))),
    "gradient inside": (lambda x: mc.grad((x**4).sum(), x, differentiable=True), X3),
    "checkpoint": (lambda x: mc.checkpoint(lambda t: mc.exp(t) * t, x), X3),
    "plain number back": (lambda x: 3.0, X3),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass_to_the_second_order(name):
    f, *arrays = RIGHT[name]
    report = check(f, *arrays)
    assert report.passed and report.failure is None and not report.kinks
    assert {row.order for row in report.rows} == {1, 2}
    assert all(row.error <= row.rtol <= 1e-7 for row in report.rows)
    assert report.asymmetry < 1e-6 or not any(row.expected.any() for row in report.rows if row.order == 2)


@pytest.mark.parametrize("name", ["polynomial", "softmax", "matmul", "normalize", "relu away from 0", "0-d", "empty"])
def test_right_gradients_pass_to_the_third_order(name):
    f, *arrays = RIGHT[name]
    report = check(f, *arrays, order=3)
    assert report.passed and {row.order for row in report.rows} == {1, 2, 3}


@quick
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), elements=st.floats(-3, 3)),
    st.sampled_from([1e-4, 1.0, 1e4]),
    st.integers(0, 99),
)
def test_right_gradients_pass_at_any_point_and_scale(x, scale, seed):
    f = lambda t: mc.sin(t / scale) * mc.exp(-(t * t) / scale**2) + mc.sigmoid(t / scale).sum()
    assert check(f, x * scale, seed=seed).passed


@quick
@given(st.integers(0, 10**6), st.sampled_from([1e-3, 1.0, 1e3]))
def test_arguments_and_outputs_of_different_size(seed, scale):
    draw = np.random.default_rng(seed)
    a, b = draw.standard_normal((2, 3)) * scale, draw.standard_normal(3) / scale
    assert check(lambda a, b: (a @ b, mc.tanh(a / scale) * 1e-3), a, b, seed=seed).passed


@pytest.mark.parametrize("dtype, error", [(np.float32, 1e-3), (np.float16, 0.2)])
@pytest.mark.parametrize("name", ["softmax", "matmul", "nt_xent", "where", "relu away from 0", "rows that sum to one"])
def test_low_precision_has_a_fitting_tolerance(name, dtype, error):
    f, *arrays = RIGHT[name]
    arrays = [x.astype(dtype) for x in arrays]
    assert check(f, *arrays).passed
    off = op(lambda x: x * 1, lambda g, y, x: g * (1 + error))
    if name != "rows that sum to one":
        with pytest.raises(GradientError, match=r"got is 1\.\d* x expected everywhere"):
            check(lambda *a: f(*map(off, a)), *arrays, order=1)


def test_a_function_that_takes_float32_alone():
    def picky(x):
        assert x.dtype == np.float32
        return mc.exp(x)

    report = check(picky, X3.astype(np.float32))
    assert report.passed and any("float64" in note for note in report.notes)
    with pytest.raises(GradientError):
        check(lambda x: picky(op(lambda x: x * 1, lambda g, y, x: g * 1.01)(x)), X3.astype(np.float32))


def test_a_function_that_computes_in_float32_inside():
    report = check(lambda x: mc.exp(x.astype(np.float32)), X3)
    assert report.passed and report.rows[0].rtol == 1e-4 and any("float32" in note for note in report.notes)
    # The same, hidden by a cast back to float64; then hidden by a sum with something precise.
    low = op(lambda x: np.exp(x.astype(np.float32)).astype(float), lambda g, y, x: g * np.exp(raw(x)))
    assert check(low, X3, order=1).notes[0] == "f computes in float32, so small errors cannot be seen"
    with pytest.raises(GradientError, match="cannot tell.*\n.*\n.*low precision"):
        check(lambda x: low(x) + mc.sin(x), X3, order=1, method="central")
    assert check(lambda x: low(x) + mc.sin(x), X3, order=1, method="central", rtol=1e-2).passed
    with pytest.raises(GradientError, match="1.01 x expected"):
        check(lambda x: low(op(lambda x: x * 1, lambda g, y, x: g * 1.01)(x)), X3)


def test_several_outputs():
    assert check(lambda x: (mc.exp(x), x.sum(), 1e-6 * mc.sin(x)), X3).passed
    wrong = op(lambda x: x * x, lambda g, y, x: g * x)
    with pytest.raises(GradientError):
        check(lambda x: (mc.exp(x), 1e-6 * wrong(x)), X3)


def test_tensors_and_other_libraries(xp):
    x, w = xp.asarray(X23), xp.asarray(C)
    assert check(lambda t: mc.relu(t @ w) + mc.softmax(t), mc.tensor(x)).passed
    assert check(mc.matmul, x, w, order=3).passed
    with pytest.raises(GradientError):
        check(op(lambda x: x * x, lambda g, y, x: g * x), x)


# ----------------------------------------------------------------------------------------------- wrong gradients do not


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def similarity(x):
    return x @ x.T


def unit(x):
    return x / np.sqrt((x * x).sum())


def scatter(places, g, n):
    return mc.scatter(g, key=(np.array(places),), shape=(n,))


def last(places, g, n):
    """Each place keeps what came last."""
    raw, found = mc.to_numpy(g), np.zeros(n)
    found[places] = raw
    return found


TWICE, ORDER = [0, 2, 2, 1], [1, 2, 0]
# name: (forward, right rules, wrong rules, arrays, what the message says)
WRONG = {
    "softmax, zero": (
        softmax, [lambda g, y, x: y * (g - (g * y).sum())], [lambda g, y, x: 0 * x], [X3], "got is 0 everywhere: the backw",
    ),
    "shares, zero": (
        lambda x: x / x.sum(),
        [lambda g, y, x: (g - (g * x).sum() / x.sum()) / x.sum()], [lambda g, y, x: 0 * x], [X4], "got is 0 everywhere",
    ),
    "one entry off by 0.1 %": (
        lambda x: x**3,
        [lambda g, y, x: 3 * g * x**2], [lambda g, y, x: 3 * g * x**2 * np.array([1, 1, 1.001, 1])], [X4],
        r"wrong in 1 of 4 entries\n  worst: x0?\[2\].*relative error 1\.0e-03",
    ),
    "transpose, reshaped": (
        lambda x: x.T, [lambda g, y, x: g.T], [lambda g, y, x: g.reshape(x.shape)], [X23], "use .T, not .reshape",
    ),
    "transposed": (lambda x: x * C, [lambda g, y, x: g * C], [lambda g, y, x: (g * C).T], [C - 3.3], "expected transposed"),
    "flip, not flipped back": (
        lambda x: x[::-1], [lambda g, y, x: g[::-1]], [lambda g, y, x: g], [X3], "in reverse order",
    ),
    "permutation, applied again": (
        lambda x: x[ORDER], [lambda g, y, x: g[[2, 0, 1]]], [lambda g, y, x: g[ORDER]], [X3], "right numbers stand in wrong",
    ),
    "matrix not transposed": (lambda x: x @ C, [lambda g, y, x: g @ C.T], [lambda g, y, x: g @ C], [X3], "3 of 3"),
    "duplicates overwritten": (
        lambda x: x[TWICE], [lambda g, y, x: scatter(TWICE, g, 3)], [lambda g, y, x: last(TWICE, g, 3)], [X3],
        r"wrong in 1 of 3 entries\n  worst: x\[2\]",
    ),
    "wrong at duplicates alone": (
        lambda x: x[[0, 1, 2, 2]],
        [lambda g, y, x: scatter([0, 1, 2, 2], g, 3)], [lambda g, y, x: g[:3]], [X3], r"1 of 3 entries\n  worst: x\[2\]",
    ),
    "abs, the same slope on both sides": (np.abs, [lambda g, y, x: g * mc.sign(x)], [lambda g, y, x: g], [X4], "only signs"),
    "mean, not divided": (
        lambda x: x.mean(), [lambda g, y, x: g / 4 + 0 * x], [lambda g, y, x: g + 0 * x], [X4],
        "got is 4 x expected everywhere; 4 is a length",
    ),
    "sum, divided": (
        lambda x: x.sum(0), [lambda g, y, x: g + 0 * x], [lambda g, y, x: g / 2 + 0 * x], [X23],
        "got is 0.5 x expected everywhere; 1/0.5 = 2 is a length",
    ),
    "tiny, factor 2 missing": (
        lambda x: 1e-7 * x**2, [lambda g, y, x: 2e-7 * g * x], [lambda g, y, x: 1e-7 * g * x], [X3], "0.5 x expected",
    ),
    "tiny, sign": (
        lambda x: 1e-9 * np.exp(x), [lambda g, y, x: g * y], [lambda g, y, x: -g * y], [X4], "-expected everywhere: the sign",
    ),
    "small, off by 0.1 %": (
        lambda x: 1e-4 * x**3, [lambda g, y, x: 3e-4 * g * x**2], [lambda g, y, x: 3.003e-4 * g * x**2], [X3], "1.001 x",
    ),
    "0/0": (
        lambda x: x**4, [lambda g, y, x: 4 * g * x**3], [lambda g, y, x: 4 * g * x**4 / x], [np.array([1.2, 0.0, -0.7])],
        r"x\[1\]: expected -?0, got nan",
    ),
    "broadcasting, first row alone": (
        lambda a, b: a * b,
        [lambda g, y, a, b: g * b, lambda g, y, a, b: (g * a).sum(0)],
        [lambda g, y, a, b: g * b, lambda g, y, a, b: (g * a)[0]], [X23, X3], "with respect to (b|x1)",
    ),
    "broadcasting, mean": (
        lambda a, b: a + b,
        [lambda g, y, a, b: g, lambda g, y, a, b: g.sum(0)],
        [lambda g, y, a, b: g, lambda g, y, a, b: g.mean(0)], [X23, X3], "0.5 x expected",
    ),
    "candidates as constants": (
        similarity, [lambda g, y, x: (g + g.T) @ x], [lambda g, y, x: g @ x], [X23], "6 of 6",
    ),
    "one view detached": (
        lambda a, b: (a * b).sum(),
        [lambda g, y, a, b: g * b, lambda g, y, a, b: g * a], [lambda g, y, a, b: g * b, lambda g, y, a, b: 0.0],
        [X3, X4[:3]], "with respect to (b|x1).*\n.*\n.*\n.*got is 0 everywhere",
    ),
    "temperature missing": (lambda x: x / 0.3, [lambda g, y, x: g / 0.3], [lambda g, y, x: g], [X3], "got is 0.3 x expected"),
    "no projection": (
        unit, [lambda g, y, x: (g - (g * y).sum() * y) / mc.sqrt((x * x).sum())],
        [lambda g, y, x: g / mc.sqrt((x * x).sum())], [X3], "3 of 3",
    ),
    "cotangent ignored": (
        lambda x: (x * x).sum(), [lambda g, y, x: g * 2 * x], [lambda g, y, x: 2 * x], [X3], "x expected everywhere",
    ),
    "softmax along the wrong axis": (
        lambda x: np.log(np.exp(x).sum(1)),
        [lambda g, y, x: g[:, None] * mc.softmax(x, axis=1)], [lambda g, y, x: g[:, None] * mc.softmax(x, axis=0)], [X23],
        "6 of 6",
    ),
    "cumsum, not from the other end": (
        np.cumsum, [lambda g, y, x: g[::-1].cumsum()[::-1]], [lambda g, y, x: g.cumsum()], [X4], "wrong in",
    ),
    "max, to the first entry": (
        lambda x: x.max(), [lambda g, y, x: g * (x == y)], [lambda g, y, x: g * np.eye(1, 4)[0]], [X4 - 1.0], "wrong places",
    ),
    "gradient of another variance": (
        lambda x: x.var(ddof=1),
        [lambda g, y, x: g * 2 / 3 * (x - x.mean())], [lambda g, y, x: g * 2 / 4 * (x - x.mean())], [X4], "0.75 x expected",
    ),
    "a constant too much": (lambda x: x * X4, [lambda g, y, x: g * X4], [lambda g, y, x: g * X4 + 1e-5], [X4], "expected \\+ 1e-05"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_rejected(name):
    forward, right, wrong, arrays, says = WRONG[name]
    assert check(op(forward, *right), *arrays).passed
    with np.errstate(all="ignore"), pytest.raises(GradientError, match=says) as caught:
        check(op(forward, *wrong), *arrays)
    assert caught.value.report.rows[-1].order == 1


def test_enough_wrong_gradients():
    assert len(WRONG) >= 16


@pytest.mark.parametrize("name", ["softmax, zero", "shares, zero", "flip, not flipped back", "permutation, applied again"])
def test_a_cotangent_of_ones_would_be_blind(name):
    forward, _, wrong, (x,), _ = WRONG[name]
    leaf = mc.tensor(x)
    by_engine = mc.grad(op(forward, *wrong)(leaf).sum(), leaf)
    assert np.abs(by_engine - numerical_gradient(lambda x: forward(x).sum(), x)).max() < 1e-9


@quick
@given(st.integers(0, 10**6), st.integers(0, 5), st.sampled_from([1e-4, 1.0, 1e4]), st.floats(1e-3, 1.0))
def test_one_wrong_entry_is_found_and_named(seed, place, scale, off):
    x = np.random.default_rng(seed).uniform(0.5, 2.0, (2, 3)) * scale
    factor = np.ones(6)
    factor[place] += off
    wrong = op(lambda x: x * x, lambda g, y, x: 2 * g * x * factor.reshape(2, 3))
    report = check(wrong, x, seed=seed, raises=False)
    assert not report.passed and report.rows[0].worst == divmod(place, 3)
    assert report.rows[0].wrong.sum() == 1 and np.count_nonzero(report.errors[0] > 1e-7) == 1


# name: (f, arrays, order that shows the error, what the message says)

TWICE_OFF = op(lambda x: 2 * x, lambda g, y, x: 2.002 * g)
HIGHER = {
    "stop_gradient": (op(np.exp, lambda g, y, x: g * frozen(y)), [X3], 2, "got is 0 everywhere: a vjp holds for constant"),
    "bare arrays": (op(np.sin, lambda g, y, x: g * np.cos(raw(x))), [X3], 2, "got is 0 everywhere"),
    "off by 0.1 %": (op(np.square, lambda g, y, x: g * TWICE_OFF(x)), [X3], 2, "got is 1.001 x expected"),
    "a constant cotangent": (op(lambda x: 3 * x, lambda g, y, x: frozen(g) * 3), [X3], 2, "respect to cotangent"),
    "not symmetric": (
        op(lambda a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: g * frozen(a)), [X3, X4[:3]], 2, "order 2",
    ),
    "softmax, half of it": (
        op(softmax, lambda g, y, x: y * (g - (g * frozen(y)).sum())), [X3], 2, "order 2.* wrong in 3 of 3",
    ),
    "composed, another value": (
        op(np.exp, joint=lambda g, y, s, needed, x: [g * y], composed=lambda x: 1.001 * mc.exp(x)), [X3], 2, "differ",
    ),
    "composed, another slope": (
        op(np.exp, joint=lambda g, y, s, needed, x: [g * y], composed=lambda x: frozen(mc.exp(x)) * x), [X3], 2, "order 2",
    ),
    "third order": (op(np.exp, lambda g, y, x: g * op(np.exp, lambda g, y, x: g * frozen(y))(x)), [X3], 3, "order 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", HIGHER)
def test_errors_of_higher_order(name):
    f, arrays, order, says = HIGHER[name]
    assert check(f, *arrays, order=order - 1).passed
    with pytest.raises(GradientError, match=says):
        check(f, *arrays, order=order)


def test_the_hessian_is_held_against_its_transpose(monkeypatch):
    f, arrays, _, _ = HIGHER["not symmetric"]
    # Blind the differences of order 2, so that symmetry alone can tell.
    row = mc.gradcheck._row
    blind = lambda scene, place, got, *options: row(scene, place, got, *options)._replace_errors(0 * got)
    monkeypatch.setattr(mc.gradcheck.Row, "_replace_errors", lambda r, e: (setattr(r, "errors", e), r)[1], raising=False)
    monkeypatch.setattr(
        mc.gradcheck, "_row", lambda scene, *rest: (blind if scene.order == 2 else row)(scene, *rest)
    )
    with pytest.raises(GradientError, match="not symmetric"):
        check(f, *arrays)
    assert check(lambda a, b: a * b, *arrays).asymmetry < 1e-14


@pytest.mark.parametrize("backward", BACKWARDS, ids=lambda b: b.name)
def test_gradients_by_hand(backward):
    forward, right, wrong = (eval(text or "None", {"np": np}) for text in backward[2:5])  # noqa: S307
    report = check(forward, backward.x, vjp=right)
    assert report.passed and {row.order for row in report.rows} == {1}
    if wrong:
        with np.errstate(all="ignore"), pytest.raises(GradientError):
            check(forward, backward.x, vjp=wrong)


def test_gradients_by_hand_of_several_arguments():
    forward = lambda a, b, k: (a @ b * k, a.sum())
    right = lambda g, a, b, k: (g[0] @ b.T * k + g[1], a.T @ g[0] * k)
    a, b = X23, rng.standard_normal((3, 2))
    assert check(forward, a, b, 2, vjp=right, argnums=(0, 1)).passed
    for wrong, says in [
        (lambda g, a, b, k: (g[0] @ b.T * k + g[1], a.T @ g[0]), "respect to b(.*\n)*.*0.5 x"),
        (lambda g, a, b, k: g[0] @ b.T * k, "1 gradients for 2"),
        (lambda g, a, b, k: (g[0] @ b.T * k + g[1], g[0].T @ a), r"b has shape \(2, 3\)"),
    ]:
        with pytest.raises(GradientError, match=says):
            check(forward, a, b, 2, vjp=wrong, argnums=(0, 1))


# ------------------------------------------------------------------------------------------------------- complex step

ANALYTIC = ["polynomial", "softmax", "log_softmax", "logsumexp", "normalize", "norm", "distances", "cosines", "matmul",
            "duplicates", "prod", "cumsum", "where", "var", "std", "nt_xent", "sharp nt_xent", "cross_entropy",
            "large offset", "one input twice"]  # fmt: skip
KINKED = {"abs": mc.abs, "max": mc.max, "min": mc.min, "relu": mc.relu, "leaky_relu": mc.leaky_relu, "elu": mc.elu,
          "maximum": lambda x: mc.maximum(x, 0.1), "minimum": lambda x: mc.minimum(x, 0.1),
          "clip": lambda x: mc.clip(x, -1.0, 1.0), "norm, ord 1": lambda x: mc.norm(x, 1)}  # fmt: skip


@pytest.mark.parametrize("name", ANALYTIC)
def test_analytic_functions_are_held_to_the_last_digits(name):
    f, *arrays = RIGHT[name]
    for row in check(f, *arrays, order=1, method="complex").rows:
        assert row.method == "complex step" and row.rtol == 1e-9 and row.error < 1e-13


@pytest.mark.parametrize("name", KINKED)
def test_functions_with_kinks_refuse_the_complex_step_with_a_reason(name):
    f = KINKED[name]
    with pytest.raises(TypeError, match="complex input.*kink.*not analytic"):
        check(f, X23, method="complex")
    report = check(f, X23, order=1)
    assert report.passed and report.rows[0].method == "central differences"
    assert len(report.notes) == 1 and "not analytic" in report.notes[0] and "Fix:" not in report.notes[0]


@pytest.mark.parametrize(
    "divisor", [lambda x: np.linalg.norm(x.data), lambda x: np.abs(x.data).sum(), lambda x: x.data.real.sum()]
)
def test_a_complex_step_that_errs_is_not_believed(divisor):
    by_hand = lambda x: op(lambda x: x / divisor(mc.tensor(x)), lambda g, y, x: g)(x)
    with pytest.raises(TypeError, match="not analytic"):
        check(by_hand, X3, method="complex")
    report = check(by_hand, X3, raises=False)
    assert report.rows[0].method == "central differences" and not report.passed
    slopes = numerical_gradient(lambda x: np.sum(x / divisor(mc.tensor(x))), X3)
    assert np.abs(complex_step(lambda x: np.sum(x / divisor(mc.tensor(x))), X3) - slopes).max() > 0.01


def test_method_central_takes_no_complex_step():
    report = check(mc.exp, X3, method="central")
    assert [row.method for row in report.rows] == 3 * ["central differences"] and not report.notes


def test_the_complex_step_sees_what_differences_cannot():
    off = op(lambda x: 1e9 + x * x, lambda g, y, x: g * 2.00001 * x)
    assert check(off, X3, method="central", order=1).passed
    with pytest.raises(GradientError, match="1.00001? x|1.00000"):
        check(off, X3, order=1)


# --------------------------------------------------------------------------------------------------------------- kinks


@pytest.mark.parametrize(
    "f, x, order, left, right",
    [
        (mc.relu, [-1.0, 0.0, 2.0], 1, 0, 1),
        (mc.abs, [-1.0, 0.0, 2.0], 1, -1, 1),
        (mc.leaky_relu, [-1.0, 0.0, 2.0], 1, 0.01, 1),
        (lambda x: mc.maximum(x, 0.5), [-1.0, 0.5, 2.0], 1, 0, 1),
        (lambda x: mc.minimum(x, 0.5) + 3 * x, [-1.0, 0.5, 2.0], 1, 4, 3),
        (lambda x: mc.where(x > 0, x, 1.001 * x), [-1.0, 0.0, 2.0], 1, 1.001, 1),
        (lambda x: mc.relu(x) ** 2, [-1.0, 0.0, 2.0], 2, 0, 2),
        (mc.elu, [-1.0, 0.0, 2.0], 2, 1, 0),
    ],
)
def test_kinks_are_reported_as_kinks(f, x, order, left, right):
    report = check(f, x, raises=False)
    (kink,) = report.kinks
    assert not report.passed and not any(row.wrong.any() or row.undecided.any() for row in report.rows)
    assert (kink.order, kink.index, kink.value) == (order, (1,), x[1]) and kink.within < 1e-4
    assert abs(kink.left * right - kink.right * left) < 1e-4 * abs(kink.left - kink.right) > 0
    with pytest.raises(GradientError, match=r"no derivative exists here(.*\n)+.*a kink lies within .* of x\[1\] = .*Move"):
        check(f, x)
    ignored = check(f, x, kinks="ignore")
    at_kink = np.isnan(next(row for row in ignored.rows if row.order == order).errors)
    assert ignored.passed and ignored.kinks[0] == kink and at_kink.tolist() == [False, True, False]


def test_ties_are_kinks():
    report = check(mc.max, [2.0, 1.0, 2.0], raises=False)
    assert [kink.index for kink in report.kinks] == [(0,), (2,)]


@quick
@given(st.floats(-12, -1), st.sampled_from([-1.0, 1.0]), st.sampled_from([mc.relu, mc.abs, mc.leaky_relu]))
def test_a_kink_nearby_is_avoided_or_named_but_never_called_an_error(exponent, side, f):
    d = side * 10.0**exponent
    report = check(f, [0.7, d, -1.3], order=1, raises=False)
    assert not report.rows[0].wrong.any() and not report.rows[0].undecided.any()
    assert report.passed or exponent < -8  # shorter steps look past a kink that is not too near


def test_a_wrong_gradient_beside_a_kink_is_still_an_error():
    wrong = op(lambda x: np.maximum(x, 0), lambda g, y, x: 1.001 * g * (x > 0))
    for kinks in ("raise", "ignore"):
        with pytest.raises(GradientError, match=r"wrong in 1 of 3 entries\n  worst: x\[2\](.*\n)+  kink: "):
            check(wrong, [-1.0, 0.0, 2.0], kinks=kinks)


def test_what_is_not_finite_is_an_error_even_at_a_kink():
    nan = op(lambda x: np.abs(x), lambda g, y, x: g * x / mc.abs(x))
    with np.errstate(invalid="ignore"), pytest.raises(GradientError, match="got nan"):
        check(nan, [-1.0, 0.0, 2.0], kinks="ignore")


def test_the_edge_of_a_domain():
    f = op(lambda x: np.sqrt(x) ** 3, lambda g, y, x: g * 1.5 * mc.sqrt(x))
    with np.errstate(invalid="ignore"):
        assert check(f, [1.0, 2.0], order=1).passed
        with pytest.raises(GradientError, match=r"x\[1\] = 0: the function is not finite on the left"):
            check(f, [1.0, 0.0], order=1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mc.tanh(200 * x),
        lambda x: mc.sin(300 * x),
        lambda x: mc.softplus(500 * x) / 500,
        lambda x: mc.log(x + 1.0001),
        lambda x: mc.exp(30 * x),
        lambda x: 1 / (x * x + 1e-4),
    ],
)
def test_steep_functions_are_no_kinks(f):
    for method in ("auto", "central"):
        report = check(f, [0.01, 0.5, -0.9, 0.0], order=2, method=method)
        assert report.passed and not report.kinks


# --------------------------------------------------------------------------------- functions that cannot be checked


def test_a_forward_that_changes_its_input():
    def center(x):
        x.data[...] -= x.data.mean()
        return x * x

    with pytest.raises(ValueError, match=r"f changes its argument x in place, at x\[0\]. Let it work on a copy"):
        check(center, X3)

    def center_bare(x):
        x -= x.mean()
        return x * x

    with pytest.raises(ValueError, match="f changes its argument x in place"):
        check(center_bare, X3, vjp=lambda g, x: g * 2 * x)


def test_a_forward_that_changes_a_constant():
    def count(x, calls):
        calls += 1
        return x * x

    with pytest.raises(ValueError, match="changes its argument argument 1 in place"):
        check(count, X3, np.zeros(2), argnums=0)


@pytest.mark.parametrize("changed, says", [("g", "its cotangent g"), ("y", "the result of f"), ("x", "its argument x")])
def test_a_backward_that_changes_what_it_is_given(changed, says):
    def rule(g, y, x):
        result = 3.0 * g
        array = raw({"g": g, "y": y, "x": x}[changed])
        array *= 2
        return result

    with pytest.raises(ValueError, match=f"the backward of f changes {says} in place"):
        check(op(lambda x: 3 * x, rule), X3)


def test_the_arrays_of_the_caller_stay_as_they_are():
    a, b, labels = X23.copy(), mc.tensor(X23), LABELS.copy()
    check(lambda a, b, k: a * b + k, a, b, labels, argnums=(0, 1))
    assert (a == X23).all() and (b.data == X23).all() and (labels == LABELS).all() and b.grad is None


def test_random_functions_are_refused():
    noise = np.random.default_rng(0)
    with pytest.raises(ValueError, match="f is not deterministic: two calls at one point differ"):
        check(lambda x: x * noise.standard_normal(3), X3)
    with pytest.raises(ValueError, match="the gradient of order 1 is not deterministic|not deterministic"):
        check(op(lambda x: 3 * x, lambda g, y, x: g * (3 + 1e-9 * noise.standard_normal(3))), X3)
    assert check(lambda x: x * np.random.default_rng(0).standard_normal(3), X3).passed


def test_functions_with_a_memory_are_refused():
    calls = []

    def drifts_late(x):
        calls.append(1)
        return x * (1.0 if len(calls) < 12 else 1.5)

    with pytest.raises(ValueError, match="not deterministic"):
        check(drifts_late, X3, order=1, raises=False)


@pytest.mark.parametrize(
    "error, says, arguments, options",
    [
        (TypeError, r"argument 1 \(k\) has dtype int64; only floats.*argnums", (X3, LABELS), {}),
        (TypeError, "has dtype complex128", (X3 + 1j, X3), {}),
        (TypeError, "has dtype bool", (X3 > 0, X3), {}),
        (TypeError, "has dtype int64", ([1, 2, 3], X3), {}),
        (ValueError, r"x\[1\] is nan; a derivative needs a finite point", (np.array([0.0, np.nan, 1.0]), X3), {}),
        (ValueError, "no arrays", (), {}),
        (ValueError, "order=0", (X3, X3), {"order": 0}),
        (ValueError, "method='fast'", (X3, X3), {"method": "fast"}),
        (ValueError, "kinks='skip'", (X3, X3), {"kinks": "skip"}),
        (ValueError, "argnums=2", (X3, X3), {"argnums": 2}),
        (ValueError, "rtol=0", (X3, X3), {"rtol": 0}),
    ],
)
def test_bad_input(error, says, arguments, options):
    with pytest.raises(error, match=says):
        check(lambda x, k: x * k, *arguments, **options)


@pytest.mark.parametrize(
    "error, says, f",
    [
        (ValueError, r"output 0\[1\] of f is nan; differences need finite values", lambda x: mc.log(x)),
        (ValueError, "is inf", lambda x: 1 / (x * [1.0, 1.0, 0.0])),
        (TypeError, "output 1 of f has dtype int64", lambda x: (x, mc.argmax(x))),
        (TypeError, "output 0 of f has dtype bool", lambda x: x > 0),
        (TypeError, "f returned nothing", lambda x: ()),
    ],
)
def test_bad_output(error, says, f):
    with np.errstate(all="ignore"), pytest.raises(error, match=says):
        check(f, X3)


def test_arguments_that_are_no_floats_pass_by():
    f = lambda x, labels, reduction: mc.cross_entropy(x, labels, reduction=reduction)
    report = check(f, rng.standard_normal((3, 4)), LABELS, "sum", argnums=0)
    assert report.passed and [row.name for row in report.rows] == ["x", "x", "cotangent"]
    assert check(lambda a, b: a * b, X3, X3, argnums=-1).rows[0].name == "b"


# -------------------------------------------------------------------------------------------------------- the report

OFF = op(lambda x: x * x, lambda g, y, x: 2.002 * g * x)


@pytest.mark.parametrize(
    "arrays",
    [(X23,), (X3.astype(np.float32),), (np.array(0.3),), (np.array([-0.0, 1e-7, 3.0]),), ([0.5, 2.0],), (0.25,)],
)
def test_the_message_holds_a_line_that_repeats_the_check(arrays):
    def f(x):
        return op(lambda x: x * x, lambda g, y, x: 2.2 * g * x)(x)

    with pytest.raises(GradientError) as first:
        check(f, *arrays, seed=3)
    line = str(first.value).rpartition("again: ")[2]
    with pytest.raises(GradientError) as second:
        eval(line, {"minicl": mc, "np": np, "f": f})  # noqa: S307
    assert str(second.value) == str(first.value) and "seed=3" in line


def test_the_line_holds_options_and_leaves_out_large_arrays():
    report = check(lambda a, k: a * k, np.ones((2, 1)), 3, argnums=(0,), rtol=1e-5, order=1)
    assert report.source.endswith("np.array([[1.0], [1.0]]), 3, order=1, seed=0, rtol=1e-05, argnums=(0,))")
    assert "<array of shape (5, 7)>" in check(mc.sin, np.ones((5, 7)), order=1).source
    assert "sin, np.zeros((0, 2)), " in check(mc.sin, np.zeros((0, 2)), order=1).source


def test_the_error_names_the_worst_entry_and_carries_the_report():
    with pytest.raises(AssertionError) as caught:
        check(OFF, X23)
    report = caught.value.report
    row = report.rows[0]
    i = row.worst
    assert np.abs(row.got - row.expected).argmax() == np.ravel_multi_index(i, (2, 3))
    assert f"x[{i[0]}, {i[1]}]: expected {row.expected[i]:.9g}, got {row.got[i]:.9g}" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(row.error))) and not report.passed


def test_errors_are_relative_to_the_largest_entry():
    x = np.array([[1e-3, 1.0], [0.0, -2.0]])
    report = check(OFF, x, raises=False, order=1)
    (errors,) = report.errors
    weights = report.rows[0].expected / np.where(x, 2 * x, 1)
    exact = np.abs(0.002 * weights * x) / np.abs(2 * weights * x).max()
    assert errors.shape == x.shape and np.abs(errors - exact).max() < 1e-5 * exact.max()


def test_the_same_seed_gives_the_same_numbers():
    a, b, c = (check(mc.softmax, X23, seed=seed).rows[0].got for seed in (0, 0, 1))
    assert (a == b).all() and not (a == c).any()


def test_weights_are_random_and_away_from_zero():
    weights = check(lambda x: x, np.zeros(1000), order=1).rows[0].got
    assert len(np.unique(weights)) == 1000 and 0.5 <= np.abs(weights).min() and np.abs(weights).max() <= 1.5
    assert 400 < np.count_nonzero(weights < 0) < 600


def test_every_entry_is_asked():
    seen = set()

    def f(x):
        seen.update(map(tuple, np.argwhere(raw(x) != X23)))
        return x * x

    check(f, X23, order=1, method="central")
    assert seen == set(np.ndindex(2, 3))


def test_text_and_table():
    report = check(lambda z1, z2: mc.relu(z1) * z2, X23, X23 + 0.3)
    text = repr(report)
    assert text.startswith("gradcheck: passed (seed 0)") and "Hessian symmetric" in text
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines[3:6]] == [["1", "z1"], ["1", "z2"], ["2", "z1"]]
    assert "central differences for z1: relu" in text and "complex step" in lines[4]
    html = report._repr_html_()
    assert html.count("<tr>") == 1 + len(report.rows) and "<b>gradcheck: passed" in html
    failed = check(OFF, X3, raises=False)
    assert "FAILED" in repr(failed) and failed.failure in repr(failed) and failed.pattern == "got is 1.001 x expected everywhere"
    assert "<pre>" in failed._repr_html_() and "<array" not in failed._repr_html_()


def test_a_function_is_called_by_its_parameters():
    assert [row.name for row in check(lambda *a: a[0] * a[1], X3, X3, order=1).rows] == ["x0", "x1"]
    assert [row.name for row in check(mc.matmul, C, C, order=1).rows] == ["a", "b"]


# ------------------------------------------------------------------------------------------------ differences by themselves


def test_numerical_gradient_known_answers():
    f = lambda x: float((x**3).sum())
    assert np.abs(numerical_gradient(f, X23) - 3 * X23**2).max() < 1e-10
    assert np.abs(numerical_gradient(f, X3, h=0.5) - (3 * X3**2 + 0.25)).max() < 1e-13
    assert numerical_gradient(f, np.zeros((0, 2))).shape == (0, 2)
    assert abs(numerical_gradient(lambda x: mc.exp(x), 0.0) - 1) < 1e-11
    assert numerical_gradient(f, X3.astype(np.float32)).dtype == np.float64
    with pytest.raises(TypeError, match=r"numerical_gradient: f returned shape \(3,\)"):
        numerical_gradient(lambda x: x, X3)


def test_the_error_of_central_differences_is_of_second_order():
    error = lambda h: abs(float(numerical_gradient(math.exp, 1.0, h=h)) - math.e)
    assert abs(error(1e-2) / (1e-4 * math.e / 6) - 1) < 1e-3  # h² f‴ / 6
    assert abs(error(1e-2) / error(5e-3) - 4) < 1e-2
    best = min((1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8), key=error)
    assert best in (1e-5, 1e-6) and error(best) < 1e-9 < error(1e-9)


@quick
@given(st.floats(-8, 8), st.floats(-6, 6))
def test_chosen_steps_leave_ten_digits(x, exponent):
    scale = 10.0**exponent
    slope = float(numerical_gradient(lambda t: math.sin(t / scale) + 2 * t / scale, x * scale)) * scale
    assert abs(slope - (math.cos(x) + 2)) < 1e-9


def test_numerical_jacobian():
    found = numerical_jacobian(lambda x: x @ C, X23)
    expected = np.einsum("ik,lj->ijkl", np.eye(2), C)
    assert found.shape == (2, 3, 2, 3) and np.abs(found - expected).max() < 1e-9
    assert numerical_jacobian(lambda x: x[:0], X3).shape == (0, 3)
    assert np.abs(numerical_jacobian(mc.softmax, X3) - mc.jacobian(mc.softmax, X3)).max() < 1e-11


def test_complex_step():
    f = lambda x: (mc.exp(x) * mc.sin(x)).sum() + np.prod(x)
    exact = np.exp(X3) * (np.sin(X3) + np.cos(X3)) + np.prod(X3) / X3
    assert np.abs(complex_step(f, X3) - exact).max() < 1e-15
    assert np.abs(complex_step(f, X3, h=1e-200) - exact).max() < 1e-15
    assert np.abs(complex_step(lambda x: (x**3).sum(), X3, h=0.5) - (3 * X3**2 - 0.25)).max() < 1e-14
    assert complex_step(lambda x: mc.tensor(x).exp(), 0.0) == 1.0


def test_complex_step_refuses_what_is_not_analytic():
    def dropped(x):
        y = np.zeros(3)
        y[:] = x * x
        return y.sum() + 0j

    for f in (lambda x: np.abs(x).sum(), np.linalg.norm, dropped, lambda x: x.real.sum()):
        with pytest.raises(TypeError, match="not analytic"):
            complex_step(f, X3)
    with pytest.raises(TypeError, match="not analytic"):
        complex_step(mc.max, X3)


@pytest.mark.parametrize(
    "A, At, x_shape, y_shape",
    [
        (lambda x: x.sum(0), lambda y: np.broadcast_to(y, (2, 3)), (2, 3), (3,)),
        (lambda x: x[[0, 2, 2, 1]], lambda y: np.array([y[0], y[3], y[1] + y[2]]), (3,), (4,)),
        (lambda x: x @ C, lambda y: y @ C.T, (2, 3), (2, 3)),
        (lambda x: mc.pad(x, 1), lambda y: y[1:-1, 1:-1], (2, 3), (4, 5)),
        (lambda x: x.sum(), lambda y: np.full((2, 0), y), (2, 0), ()),
    ],
)
def test_adjoints(A, At, x_shape, y_shape):
    assert adjoint(A, At, x_shape, y_shape) == 0.0
    irrational = math.pi * rng.standard_normal(x_shape)
    assert adjoint(lambda x: A(x * irrational), lambda y: At(y) * irrational, x_shape, y_shape) < 1e-14


@pytest.mark.parametrize(
    "says, At",
    [
        ("<Ax, y> = .* but <x, At y> = ", lambda y: y @ C),
        ("seed 0", lambda y: y @ C.T * (1 + 1e-9)),
        ("seed 0", lambda y: y @ C.T + 1e-9 * np.eye(2, 3)),
        ("seed 0", lambda y: 0 * y),
        ("seed 0", lambda y: y + np.nan),
        (r"At returned shape \(3, 2\), expected \(2, 3\)", lambda y: (y @ C.T).T),
    ],
)
def test_wrong_adjoints(says, At):
    with pytest.raises(AssertionError, match=says):
        adjoint(lambda x: x @ C, At, (2, 3), (2, 3))


def test_what_a_report_holds_can_be_written_down():
    report = check(mc.normalize, X23)
    json.dumps([[row.order, row.name, row.method, row.error, row.rtol] for row in report.rows])
    assert isinstance(report.passed, bool) and isinstance(report.asymmetry, float)
