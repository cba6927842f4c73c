"""The same text run by two engines: each function is written once, for NumPy's names, and differentiated by HIPS autograd
and by minicl, to order 2. Indices, branches, loops and networks, as a user writes them.
"""

import numpy as np
import pytest
from differences import assert_close

import minicl as mc

autograd = pytest.importorskip("autograd", reason="HIPS autograd is not installed")
import autograd.numpy as anp  # noqa: E402


def branches(m, x):
    y = x * 2
    while m.sum(y) < 50:
        y = y * y + 1
    return m.sum(y)


def power_series(m, x):
    """log(1 + x) by its series, in a loop that grows the graph."""
    total, term = x * 0.0, x
    for k in range(1, 30):
        total = total + term / k
        term = -term * x
    return m.sum(total)


def recurrent(m, w):
    h = np.zeros(3)
    for t in range(10):
        h = m.tanh(m.dot(w, h) + np.cos(np.arange(3.0) + t))
    return m.sum(h * h)


def network(m, w):
    x = np.sin(np.arange(15.0)).reshape(5, 3)
    h = m.tanh(m.dot(x, w[:, :2]) + w[0, 2])
    h = m.maximum(m.dot(h, w[1:, :]), 0.1)
    scores = h - m.log(m.sum(m.exp(h), axis=1, keepdims=True))
    return -m.mean(scores[np.arange(5), np.array([0, 1, 2, 0, 1])])


def gauss_newton(m, x):
    a = m.stack([x[0], x[1] * 2, x[0] * x[1]])
    return m.sum(m.outer(a, a) * m.reshape(m.concatenate([x, x, x, x, x]), (5, -1))[:3, :1])


def gaussian(m, x):
    mean, deviation = m.mean(x, axis=0), m.std(x, axis=0)
    z = (x - mean) / deviation
    return m.sum(m.exp(-z * z / 2) / deviation) + m.sum(m.var(x, axis=1, ddof=1))


FUNCTIONS = {
    "polynomial": (lambda m, x: m.sum(3 * x**3 - 2 * x**2 + x - 7), (3, 5)),
    "quotients": (lambda m, x: m.sum((1 + x) / (2 + x * x) - 1 / (3 + x**4)), (3, 5)),
    "reflected operators": (lambda m, x: m.sum(2.0**x + 3 - (1 - x) + 2 / (x + 5) + 2 * x), (3,)),
    "elementary": (lambda m, x: m.sum(m.sin(x) * m.cos(x) + m.exp(-m.square(x)) + m.log(1 + m.abs(x)) + m.sqrt(x * x + 1)), (3, 5)),
    "stable": (lambda m, x: m.sum(m.log1p(m.exp(x)) + m.expm1(x / 3) + m.tanh(x)), (7,)),
    "maximum and minimum": (lambda m, x: m.sum(m.maximum(x, 0.3) * m.minimum(x, x[::-1] * 0.5)), (5,)),
    "clip": (lambda m, x: m.sum(m.clip(x, -0.5, 0.5) ** 2 * x), (3, 5)),
    "where": (lambda m, x: m.sum(m.where(np.arange(5) % 2 == 0, x * x, m.sin(x))), (3, 5)),
    "reductions": (lambda m, x: m.sum(m.sum(x, axis=0) * m.mean(x, axis=0) * m.max(x, axis=0) / (3 + m.min(x, axis=0))), (3, 5)),
    "prod": (lambda m, x: m.prod(x[:2]) + m.sum(m.prod(x, axis=1)), (3, 5)),
    "cumsum": (lambda m, x: m.sum(m.cumsum(x * x, axis=1) * m.cumsum(x, axis=0)), (3, 5)),
    "standardised": (gaussian, (5, 3)),
    "dot": (lambda m, x: m.sum(m.dot(x.T, m.dot(x, x.T)) ** 2), (2, 3)),
    "dot of vectors": (lambda m, x: m.dot(x, x) * m.dot(x, np.arange(5.0)), (5,)),
    "matmul": (lambda m, x: m.sum(m.tanh(m.matmul(x, m.transpose(x, (0, 2, 1))))), (2, 3, 5)),
    "outer": (lambda m, x: m.sum(m.outer(x, m.sin(x)) ** 2), (5,)),
    "einsum": (lambda m, x: m.sum(m.einsum("bij,bkj->bik", x, m.sin(x)) ** 2), (2, 3, 5)),
    "shapes": (lambda m, x: m.sum(m.reshape(m.transpose(x), (3, 5))[1:] * x[:2] * m.reshape(x, (3, 5))[::-1][:2]), (3, 5)),
    "new axes": (lambda m, x: m.sum((x[:, None] - x[None, :]) ** 2 * m.exp(-m.abs(x[:, None] + 2))), (5,)),
    "squeeze and expand": (lambda m, x: m.sum(m.squeeze(m.expand_dims(x, 1), axis=1) ** 3 * m.expand_dims(x[0], 0)), (3, 5)),
    "joined": (lambda m, x: m.sum(m.concatenate([x, x * x], axis=1)[:, 2:7] * m.concatenate([x, x]) [:3]), (3, 5)),
    "stacked": (lambda m, x: m.sum(m.stack([x, x * x, m.sin(x)], axis=1)[:, 1] * m.stack([x[0], x[1], x[2]])), (3, 5)),
    "indices that repeat": (lambda m, x: m.sum(x[np.array([0, 0, 2])] ** 2 * x[:, np.array([1])]), (3, 5)),
    "mask": (lambda m, x: m.sum(x[np.eye(3, 5, dtype=bool)] ** 3), (3, 5)),
    "nested slices": (lambda m, x: m.sum(x[1:][:, ::2][0] * x[0, 2:]), (3, 5)),
    "broadcasting": (lambda m, x: m.sum(x * x[0] * x[:, :1] * x[0, 0]), (3, 5)),
    "a number": (lambda m, x: m.sin(x) * x**2 + m.exp(x) / x, ()),
    "one by one": (lambda m, x: sum(a * b for a, b in zip(x, x[1:])), (5,)),
    "branches": (branches, (3,)),
    "series": (lambda m, x: power_series(m, x * 0.1), (3,)),
    "recurrent": (recurrent, (3, 3)),
    "network": (network, (3, 3)),
    "gauss newton": (gauss_newton, (3,)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_agree(name, rng):
    f, shape = FUNCTIONS[name]
    x, v = rng.uniform(0.2, 1.5, shape), rng.standard_normal(shape)
    x = np.asarray(x * rng.choice([-1.0, 1.0], shape))
    value, (g,) = mc.value_and_grad(lambda t: f(mc, t), x)
    theirs = lambda x: f(anp, x)
    assert_close(value, theirs(x), 1e-13, what="value")
    assert_close(g, autograd.grad(theirs)(x), 1e-12, 1e-14, "gradient")
    along = autograd.grad(lambda x: anp.sum(autograd.grad(theirs)(x) * v))
    assert_close(mc.hvp(lambda t: f(mc, t), x, v), along(x), 1e-11, 1e-12, "second order")


@pytest.mark.parametrize("name", ["elementary", "standardised", "network", "recurrent", "a number"])
def test_third_derivatives_agree(name, rng):
    f, shape = FUNCTIONS[name]
    x, v = np.asarray(rng.uniform(0.5, 1.5, shape)), rng.standard_normal(shape)

    def third(x):
        gradient = autograd.grad(lambda x: f(anp, x))
        second = autograd.grad(lambda x: anp.sum(gradient(x) * v))
        return autograd.grad(lambda x: anp.sum(second(x) * v))(x)

    leaf = mc.tensor(x)
    g = mc.grad(f(mc, leaf), leaf, differentiable=True)
    h = mc.grad((g * v).sum(), leaf, differentiable=True)
    assert_close(mc.grad((h * v).sum(), leaf), third(x), 1e-10, 1e-12)
