"""The checker is checked: it accepts right gradients, and rejects each of many wrong ones, with a report that helps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl.gradcheck import (
    GradientError,
    adjoint,
    check,
    complex_step,
    numerical_gradient,
    numerical_jacobian,
)

rng = np.random.default_rng(0)
X = rng.uniform(0.5, 2.0, (2, 3))
SQUARE = rng.standard_normal((3, 3))


def wrong(forward, *rules):
    """A primitive with a wrong backward."""
    op = mc.primitive(forward)
    op.defvjp(*rules)
    return op


def scaled_entry(g, y, x):
    return g * y * np.where(np.arange(x.size).reshape(x.shape) == 4, 1.001, 1.0)


WRONG = {
    "factor": (wrong(lambda xp, x: xp.exp(x), lambda g, y, x: g * y * 1.001), [X], 1),
    "one entry by 0.1 %": (wrong(lambda xp, x: xp.exp(x), scaled_entry), [X], 1),
    "sign": (wrong(lambda xp, x: xp.exp(x), lambda g, y, x: -g * y), [X], 1),
    "zero": (wrong(lambda xp, x: xp.exp(x), lambda g, y, x: g * 0.0), [X], 1),
    "zero softmax, blind to ones": (
        wrong(lambda xp, x: mc.to_numpy(mc.softmax(x)), lambda g, y, x: g * 0.0),
        [X],
        1,
    ),
    "softmax without its mean": (wrong(lambda xp, x: mc.softmax(x), lambda g, y, x: g * y), [X], 1),
    "transposed": (wrong(lambda xp, x: xp.sin(x).T, lambda g, y, x: g * mc.cos(x)), [SQUARE], 1),
    "permuted": (wrong(lambda xp, x: x[:, ::-1] * 1.0, lambda g, y, x: g), [X], 1),
    "rolled the wrong way": (
        wrong(lambda xp, x: xp.roll(x, 1, axis=1), lambda g, y, x: mc.to_numpy(g)[:, [2, 0, 1]]),
        [X],
        1,
    ),
    "duplicates lost": (
        wrong(lambda xp, x: x[:, [0, 2, 2]], lambda g, y, x: g * np.array([1.0, 0.0, 1.0])),
        [X],
        1,
    ),
    "mean not divided": (wrong(lambda xp, x: x.mean(axis=1), lambda g, y, x: mc.expand_dims(g, 1) + 0 * x), [X], 1),
    "one of two arguments": (
        wrong(lambda xp, a, b: a * b, lambda g, y, a, b: g * b, lambda g, y, a, b: g * b),
        [X, X + 1],
        1,
    ),
    "first branch only": (lambda x: mc.stop_gradient(x) * x, [X], 1),
    "matrix not transposed": (
        wrong(lambda xp, x: x @ SQUARE, lambda g, y, x: g @ SQUARE),
        [X],
        1,
    ),
    "second order cut": (wrong(lambda xp, x: xp.exp(x), lambda g, y, x: g * mc.stop_gradient(y)), [X], 2),
    "second order of a constant": (
        wrong(lambda xp, x: x * x, lambda g, y, x: g * 2 * mc.to_numpy(x)),
        [X],
        2,
    ),
    "not a number": (wrong(lambda xp, x: xp.exp(x), lambda g, y, x: g * np.nan), [X], 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_rejected(name):
    f, arrays, order = WRONG[name]
    with pytest.raises((GradientError, TypeError, ValueError)):
        check(f, *arrays, order=2)
    if order == 2:  # right at first order: only the second shows it
        assert check(f, *arrays, order=1).passed


RIGHT = {
    "exp": (lambda x: mc.exp(x), [X]),
    "softmax": (lambda x: mc.softmax(x), [X]),
    "logsumexp": (lambda x: mc.logsumexp(x, axis=1), [X * 5]),
    "norm": (lambda x: mc.norm(x, axis=1), [X]),
    "near a pole": (lambda x: mc.log(x), [np.array([1e-3, 1.0, 50.0])]),
    "tiny": (lambda x: mc.sin(x), [X * 1e-3]),
    "large": (lambda x: mc.sqrt(x), [X * 1e3]),
    "number": (lambda x: x * x, [np.array(1.5)]),
    "empty": (lambda x: mc.exp(x), [np.zeros((0, 3))]),
    "two arguments": (lambda a, b: mc.tanh(a @ b), [X, SQUARE]),
    "two results": (lambda x: (mc.sin(x), mc.cos(x)), [X]),
    "not analytic": (lambda x: mc.abs(x) * mc.relu(x - 0.1), [X]),
    "NT-Xent": (lambda a, b: mc.nt_xent(a, b, 0.3), [X, X[::-1] + SQUARE[:2]]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_gradient_is_accepted(name):
    f, arrays = RIGHT[name]
    assert check(f, *arrays, order=2).passed


def test_third_order():
    assert check(lambda x: mc.exp(x) * mc.sin(x), X, order=3).passed


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_lower_precision(dtype):
    assert check(lambda x: mc.tanh(x) * x, X.astype(dtype)).passed
    with pytest.raises(GradientError):
        check(WRONG["sign"][0], X.astype(dtype))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4))
def test_any_shape_and_seed(seed, n, m):
    x = np.random.default_rng(seed).uniform(0.2, 2.0, (n, m))
    assert check(lambda x: mc.log(x) * mc.exp(-x), x, seed=seed).passed
    with pytest.raises(GradientError):
        check(WRONG["factor"][0], x, seed=seed)


def test_the_report_says_what_is_wrong():
    with pytest.raises(GradientError) as caught:
        check(WRONG["factor"][0], X)
    text = str(caught.value)
    assert "1.001" in text and "np.array(" in text and "seed=0" in text
    report = caught.value.report
    assert not report.passed and "FAILED" in repr(report)
    assert "<table" in report._repr_html_()


def test_a_kink_is_named_and_not_passed_by_luck():
    for f in (mc.relu, mc.abs):  # at 0 the central difference of |x| is 0, which is what the engine says too
        with pytest.raises(GradientError, match="kink"):
            check(f, np.array([1.0, 0.0, -1.0]))
        assert check(f, np.array([1.0, 0.0, -1.0]), order=1, kinks="ignore").passed


def test_the_complex_step_is_refused_with_a_reason():
    for f in (mc.abs, mc.relu, lambda x: mc.max(x)):
        with pytest.raises(TypeError, match="not analytic"):
            check(f, X, method="complex")
        assert check(f, X).passed


def test_bad_functions_and_points():
    def changes(x):
        x.data[...] = 0
        return x * 1.0

    state = np.random.default_rng(0)
    with pytest.raises((ValueError, TypeError, GradientError)):
        check(changes, X)
    with pytest.raises(ValueError):
        check(lambda x: x * state.standard_normal(), X)
    with pytest.raises(TypeError):
        check(mc.exp, np.array([1, 2]))
    with pytest.raises(ValueError):
        check(mc.exp, np.array([np.nan]))


def test_numerical_gradient():
    f, exact = lambda x: np.sum(np.exp(x) * np.sin(x)), np.exp(X) * (np.sin(X) + np.cos(X))
    before = X.copy()
    errors = [np.abs(numerical_gradient(f, X, h=h) - exact).max() for h in (1e-2, 1e-3)]
    assert 90 < errors[0] / errors[1] < 110  # h² falls a hundredfold
    assert np.abs(numerical_gradient(f, X) - exact).max() < 1e-9 * np.abs(exact).max()
    assert np.abs(complex_step(f, X) - exact).max() < 1e-14 * np.abs(exact).max()
    assert (X == before).all()
    with pytest.raises(TypeError):
        complex_step(lambda x: np.abs(x).sum(), X)


def test_numerical_jacobian():
    assert np.abs(numerical_jacobian(lambda x: SQUARE @ x, X[0]) - SQUARE).max() < 1e-9


def test_adjoint():
    assert adjoint(lambda x: SQUARE @ x, lambda y: SQUARE.T @ y, (3,), (3,)) < 1e-14
    with pytest.raises(AssertionError, match="relative difference"):
        adjoint(lambda x: SQUARE @ x, lambda y: SQUARE @ y, (3,), (3,))
