"""Jacobian, Hessian and their products with vectors: known answers, each against the others, errors."""

import numpy as np
import pytest
from checks import moved
from differences import assert_close, central

import minicl as mc


def quadratic(a):
    return lambda x: (x * (a @ x)).sum() / 2


def bent(x):
    """From shape (3,) to shape (2, 2), with all derivatives."""
    return mc.stack([mc.sin(x[:2]) * x[2], mc.exp(x[1:]) * x[0] ** 2])


def bent_jacobian(x):
    a, b, c = x
    return np.array(
        [
            [[np.cos(a) * c, 0, np.sin(a)], [0, np.cos(b) * c, np.sin(b)]],
            [[2 * a * np.exp(b), np.exp(b) * a**2, 0], [2 * a * np.exp(c), 0, np.exp(c) * a**2]],
        ]
    )


@pytest.fixture
def x(rng):
    return rng.standard_normal(3)


def test_value_and_grad(x):
    value, gradients = mc.value_and_grad(lambda a, b: (a * b).sum(), x, 2 * x)
    assert isinstance(value, float) and isinstance(gradients, tuple)
    assert_close(value, 2 * (x * x).sum(), 1e-15)
    assert_close(gradients[0], 2 * x, 1e-15)
    assert_close(gradients[1], x, 1e-15)
    value, (g,) = mc.value_and_grad(lambda a: a * a, 3.0)
    assert value == 9.0 and g.shape == () and g == 6.0


def test_value_and_grad_of_a_function_that_ignores_an_argument(x):
    value, (a, b) = mc.value_and_grad(lambda a, b: (a * a).sum(), x, x)
    assert b.tolist() == [0, 0, 0]
    value, (a,) = mc.value_and_grad(lambda a: 3.0, x)
    assert value == 3.0 and a.tolist() == [0, 0, 0]


def test_jacobian(x):
    assert_close(mc.jacobian(bent, x), bent_jacobian(x), 1e-14)
    assert_close(mc.jacobian(lambda t: t * t, x), np.diag(2 * x), 1e-15)


def test_jacobian_of_one_of_several_arguments(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 5))
    for argnum, expected in ((0, np.einsum("ik,lj->ijkl", np.eye(2), b)), (1, np.einsum("ik,jl->ijkl", a, np.eye(5)))):
        found = mc.jacobian(mc.matmul, a, b, argnum=argnum)
        assert found.shape == expected.shape
        assert_close(found, expected, 1e-15)
    assert_close(mc.jacobian(mc.matmul, a, b, argnum=-1), mc.jacobian(mc.matmul, a, b, argnum=1), 0.0)


@pytest.mark.parametrize("f", [mc.softmax, mc.normalize, mc.cumsum, lambda x: mc.norm(x), lambda x: x[None, [1, 1]]])
def test_jacobian_row_by_row_against_differences(f, x):
    found = mc.jacobian(f, x)
    y = f(x)
    for i in np.ndindex(np.shape(y)):
        assert_close(found[i], central(lambda x: np.asarray(f(x))[i], [x], 0), 1e-9, 1e-12)


def test_shapes_of_a_jacobian():
    for out, into in [((), ()), ((), (2,)), ((2,), ()), ((0,), (3,)), ((2,), (0,)), ((2, 3), (5,))]:
        c = mc.tensor(np.ones(out))
        found = mc.jacobian(lambda t: c * t.sum(), np.ones(into))
        assert found.shape == out + into


def test_jacobian_of_a_constant(x):
    assert mc.jacobian(lambda t: np.ones(2), x).tolist() == np.zeros((2, 3)).tolist()
    assert mc.jacobian(lambda t: 5, x).tolist() == [0, 0, 0]


def test_hessian_of_a_quadratic(rng, x):
    a = rng.standard_normal((3, 3))
    assert_close(mc.hessian(quadratic(a), x), (a + a.T) / 2, 1e-14)


def test_hessian_is_symmetric_and_has_the_shape_of_two_inputs(rng):
    x = rng.standard_normal((2, 3))
    h = mc.hessian(lambda t: mc.logsumexp(mc.sin(t) @ np.ones((3, 2)) * t[:, :2]), x)
    assert h.shape == (2, 3, 2, 3)
    assert_close(h, h.transpose(2, 3, 0, 1), 1e-13)


def test_hessian_of_log_sum_exp(x):
    """diag(p) − p pᵀ."""
    p = np.exp(x) / np.exp(x).sum()
    assert_close(mc.hessian(mc.logsumexp, x), np.diag(p) - np.outer(p, p), 1e-14)


def test_hessian_of_what_has_none(x):
    assert mc.hessian(lambda t: t.sum(), x).tolist() == np.zeros((3, 3)).tolist()
    assert mc.hessian(lambda t: 1.0, x).tolist() == np.zeros((3, 3)).tolist()


def test_products_agree_with_the_matrices(rng, x):
    v = rng.standard_normal(3)
    f = lambda t: (mc.exp(t) * t[::-1]).sum() ** 2
    assert_close(mc.hvp(f, x, v), mc.hessian(f, x) @ v, 1e-13)
    assert_close(mc.jvp(bent, x, v), bent_jacobian(x) @ v, 1e-14)
    c = rng.standard_normal((2, 2))
    leaf = mc.tensor(x)
    pulled = mc.grad(bent(leaf), leaf, cotangent=c)
    assert_close(np.sum(c * mc.jvp(bent, x, v)), pulled @ v, 1e-14)


def test_jvp_of_several_arguments(rng):
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 5))
    da, db = rng.standard_normal((2, 3)), rng.standard_normal((3, 5))
    assert_close(mc.jvp(mc.matmul, (a, b), (da, db)), da @ b + a @ db, 1e-14)


@pytest.mark.parametrize("name", ["exp", "softmax", "logsumexp", "cumsum", "max", "abs", "transpose", "index", "norm"])
def test_jvp_against_differences(name, rng):
    x, v = rng.uniform(0.5, 2, (3, 5)), rng.standard_normal((3, 5))
    f = (lambda t: t[1:, [0, 0]]) if name == "index" else getattr(mc, name)
    h = 1e-4
    steps = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
    expected = sum(weight * f(x + k * h * v) for k, weight in steps) / h
    assert_close(mc.jvp(f, x, v), expected, 1e-10)


def test_jvp_and_hvp_through_a_fused_primitive(rng):
    """A joint vjp with a composed definition, and a checkpoint, are differentiable too."""

    @mc.primitive
    def fused(xp, a, b):
        return mc.Saved(a * b, None)

    fused.defvjp_joint(lambda g, y, saved, needed, a, b: (g * b, g * a), composed=lambda a, b: a * b)
    x, v = rng.standard_normal(3), rng.standard_normal(3)
    assert_close(mc.jvp(lambda t: fused(t, t), x, v), 2 * x * v, 1e-14)
    assert_close(mc.hvp(lambda t: fused(t, t * t).sum(), x, v), 6 * x * v, 1e-14)
    assert_close(mc.hvp(lambda t: mc.checkpoint(lambda s: s**3, t).sum(), x, v), 6 * x * v, 1e-14)


def test_derivatives_nest(x):
    """A derivative of a derivative: the Laplacian of the norm of a gradient."""
    leaf = mc.tensor(x)
    g = mc.grad((leaf**4).sum(), leaf, differentiable=True)
    penalty = (g * g).sum()
    assert_close(mc.grad(penalty, leaf), 96 * x**5, 1e-13)
    inner = lambda t: mc.grad((t**4).sum(), t, differentiable=True)
    assert_close(mc.jacobian(inner, x), np.diag(12 * x**2), 1e-14)
    assert_close(mc.hessian(lambda t: inner(t).sum(), x), np.diag(24 * x), 1e-14)


def test_on_each_device(xp, x):
    x = moved(xp, x)
    value, (g,) = mc.value_and_grad(lambda t: (t * t).sum(), x)
    found = [g, mc.jacobian(bent, x), mc.hessian(mc.logsumexp, x), mc.hvp(mc.logsumexp, x, x), mc.jvp(bent, x, x)]
    assert all(type(a) is type(x) for a in found)
    assert_close(mc.to_numpy(found[1]), bent_jacobian(mc.to_numpy(x)), 1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(dtype):
    x = np.array([0.5, 1.5], dtype)
    value, (g,) = mc.value_and_grad(lambda t: (t * t).sum(), x)
    for found in (
        g,
        mc.jacobian(mc.sin, x),
        mc.hessian(mc.logsumexp, x),
        mc.hvp(mc.logsumexp, x, x),
        mc.jvp(mc.sin, x, x),
    ):
        assert found.dtype == dtype


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mc.jacobian(mc.exp, [1, 2]), "jacobian.*int64"),
        (lambda: mc.hessian(mc.sum, [1, 2]), "int64"),
        (lambda: mc.value_and_grad(mc.exp, [1.0, 2.0]), r"\(2,\).*cotangent"),
        (lambda: mc.value_and_grad(lambda t: (t, t), [1.0, 2.0]), "returned 2 values"),
        (lambda: mc.jvp(mc.exp, np.ones(2), np.ones(3)), r"jvp.*\(3,\).*\(2,\)"),
        (lambda: mc.hvp(mc.sum, np.ones(2), np.ones(3)), r"hvp.*\(3,\).*\(2,\)"),
        (lambda: mc.jvp(mc.matmul, (np.eye(2), np.eye(2)), (np.eye(2),)), "2 arrays and 1 direction"),
        (lambda: mc.hessian(mc.exp, np.ones(2)), r"\(2,\).*cotangent"),
    ],
)
def test_errors(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()
