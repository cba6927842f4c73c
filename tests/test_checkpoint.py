"""Checkpointing: gradients as if nothing had been forgotten, to order 2; draws and effects happen once."""

import tracemalloc

import numpy as np
import pytest
from differences import assert_close

import minicl as mc


def both(f, leaves, c):
    """Gradients of order 1 and 2, plain and checkpointed."""
    results = []
    for run in (lambda f, *a: f(*a), mc.checkpoint):
        y = f(run)
        first = mc.grad(y, leaves, cotangent=c)
        recorded = mc.grad(y, leaves, cotangent=c, differentiable=True)
        for g, same in zip(recorded, first):
            assert_close(g.numpy(), same, 1e-14)
        total = sum((g * g).sum() for g in recorded)
        results.append((y.data, first, mc.grad(total, leaves)))
    (y, first, second), (y2, first2, second2) = results
    assert_close(y2, y, 0.0)
    for g, same in zip([*first2, *second2], [*first, *second]):
        assert_close(g, same, 1e-13)
        assert np.abs(same).max() > 1e-3


@pytest.fixture
def leaves(rng):
    return [mc.tensor(rng.standard_normal((3, 3))) for _ in range(3)]


@pytest.fixture
def c(rng):
    return rng.standard_normal((3, 3))


def test_closed_over_parameters_to_order_2(leaves, c):
    x, w, b = leaves
    both(lambda run: run(lambda x: mc.tanh(x @ w + b) * w, x), leaves, c)


def test_no_argument_at_all(leaves, c):
    x, w, b = leaves
    both(lambda run: run(lambda: mc.tanh(x @ w) * mc.exp(b)), leaves, c)


def test_closed_over_intermediate_results(leaves, c):
    x, w, b = leaves

    def f(run):
        h = mc.sin(x)
        return run(lambda w: mc.tanh(h @ w) * h, w) * h + b * b

    both(f, leaves, c)


def test_arguments_that_depend_on_each_other(leaves, c):
    x, w, b = leaves

    def f(run):
        h = mc.exp(x * w)
        return run(lambda x, h, k: mc.sin(x * h) + k * h * b, x, h, h * x)

    both(f, leaves, c)


def test_one_tensor_passed_twice(leaves, c):
    x, w, b = leaves
    both(lambda run: run(lambda p, q: mc.exp(p) * mc.sin(q) * w + b * b, x, x), leaves, c)


def test_nested(leaves, c):
    x, w, b = leaves

    def f(run):
        inner = lambda h: mc.tanh(h @ w) * b  # noqa: E731
        return run(lambda x: mc.exp(run(inner, mc.sin(run(inner, x)))) * w, x)

    both(f, leaves, c)


def test_a_function_that_returns_its_argument(leaves):
    x = leaves[0]
    y = mc.checkpoint(lambda x: x, x)
    assert_close(mc.grad(y.sum(), x), np.ones((3, 3)), 0.0)


def test_constants_and_keyword_like_arguments(leaves, c):
    x, w, b = leaves
    y = mc.checkpoint(lambda x, k, name, arrays: x * k * arrays[0], x, 3, "name", [c])
    assert_close(mc.grad(y.sum(), x), 3 * c, 1e-15)


def test_without_any_tensor_it_is_a_constant():
    y = mc.checkpoint(lambda: mc.tensor(2.0) * 3)
    assert y.item() == 6.0 and y.origin is None


def test_backward_reaches_closed_over_leaves(leaves):
    x, w, b = leaves
    mc.checkpoint(lambda x: x * w, x).sum().backward()
    assert_close(x.grad, w.data, 0.0)
    assert_close(w.grad, x.data, 0.0)
    assert b.grad is None


def test_draws_are_replayed_and_effects_happen_once(leaves):
    x = leaves[0]
    rng = np.random.default_rng(3)
    runs, effects = [], []

    def f(x):
        runs.append(1)
        mask = np.random.default_rng(mc.once(lambda: int(rng.integers(2**32)))).random((3, 3)) < 0.5
        mc.once(lambda: effects.append(1))
        return x * mask

    y = mc.checkpoint(f, x)
    g = mc.grad(y.sum(), x)
    assert_close(g, (y.data != 0).astype(float), 0.0)
    again = mc.grad(y.sum(), x, differentiable=True)
    assert_close(again.numpy(), g, 0.0)
    assert len(runs) == 3 and len(effects) == 1


def test_draws_in_nested_checkpoints(leaves):
    x = leaves[0]
    rng = np.random.default_rng(3)
    count = []

    def draw():
        count.append(1)
        return rng.standard_normal((3, 3))

    def inner(h):
        return h * mc.once(draw)

    def outer(x):
        return mc.checkpoint(inner, x * mc.once(draw)) * mc.once(draw)

    y = mc.checkpoint(outer, x)
    for differentiable in (False, True):
        g = mc.grad(y.sum(), x, differentiable=differentiable)
        assert_close(mc.to_numpy(g) * x.data, y.data, 1e-14)
    assert len(count) == 3


def test_a_second_pass_that_differs_is_an_error(leaves):
    x = leaves[0]
    passes = []

    def f(x):
        passes.append(1)
        for _ in range(len(passes)):
            x = x * mc.once(lambda: 2.0)
        return x

    y = mc.checkpoint(f, x)
    with pytest.raises(RuntimeError, match="once.*more often"):
        mc.grad(y.sum(), x)


def test_under_no_grad_it_is_a_plain_call(leaves):
    with mc.no_grad():
        y = mc.checkpoint(lambda x: x * 2, leaves[0])
    assert y.origin is None


def test_the_function_must_return_one_tensor(leaves):
    with pytest.raises(TypeError, match="checkpoint.*returned tuple.*one Tensor"):
        mc.checkpoint(lambda x: (x, x), leaves[0])


def test_memory_of_what_lies_between_is_given_back():
    x = mc.tensor(np.ones((100, 100)))

    def deep(x):
        for _ in range(20):
            x = mc.tanh(x) * 1.01
        return x

    kept = []
    for run in (lambda f, x: f(x), mc.checkpoint):
        tracemalloc.start()
        y = run(deep, x)
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del y
    assert kept[0] > 30 * x.data.nbytes and kept[1] < 2 * x.data.nbytes


def test_float32_stays(rng):
    x, w = mc.tensor(rng.standard_normal(3), dtype=np.float32), mc.tensor(rng.standard_normal(3), dtype=np.float32)
    y = mc.checkpoint(lambda x: x * w, x)
    assert y.dtype == np.float32
    assert all(g.dtype == np.float32 for g in mc.grad(y.sum(), [x, w]))
