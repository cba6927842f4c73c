"""The profiler counts what ran, leaves results as they are, and leaves nothing behind."""

import time

import numpy as np
import pytest

import minicl as mc
from minicl.engine import Primitive
from minicl.nn import Module


@mc.primitive
def slow(xp, x):
    time.sleep(0.02)
    return x + 0.0


def slow_back(g, y, x):
    time.sleep(0.05)
    return g * 1.0  # an operation within a rule


slow.defvjp(slow_back)


def test_time_goes_to_the_operation_and_its_direction():
    x = mc.tensor(np.ones(3))
    with mc.profile() as p:
        mc.grad(slow(slow(x)).sum(), x)
    row = p.ops["slow"]
    assert row.calls == 2 and 0.04 <= row.forward < 0.1 <= row.backward < 0.2
    assert p.ops["sum"].calls == 1 and p.ops["sum"].forward < 0.01
    assert "multiply" not in p.ops, "what runs within a rule belongs to the rule"
    assert p.seconds >= row.forward + row.backward


def test_layers_have_the_names_seen_from_the_outermost_module(rng):
    net = mc.nn.Sequential(mc.nn.MLP([5, 4, 3], rng=0), mc.nn.Linear(3, 2, rng=1))
    x = rng.random((7, 5), dtype=np.float32)
    with mc.profile() as p:
        mc.grad((net(x) ** 2).sum(), net.parameters())
    assert {"layers.0 MLP", "layers.0.layers.0 Linear", "layers.1 Linear"} <= set(p.layers)
    assert p.layers["layers.1 Linear"].calls == 1 and p.layers["layers.1 Linear"].backward > 0
    assert p.layers["layers.1 Linear"].bytes == 2 * 7 * 2 * 4, "the product and the sum with the bias"
    inside = sum(row.forward + row.backward for row in p.layers.values())
    assert inside < sum(row.forward + row.backward for row in p.ops.values()), "the loss belongs to no layer"


def test_a_view_fills_no_memory():
    x = mc.tensor(np.zeros((4, 8)))
    with mc.profile() as p:
        mc.transpose(x.reshape(8, 4) + 1)
    assert p.ops["reshape"].bytes == p.ops["transpose"].bytes == 0 and p.ops["add"].bytes == 256


@pytest.mark.parametrize("differentiable", [False, True])
def test_results_are_the_same_with_it_and_without(rng, differentiable):
    net = mc.nn.ConvNet(channels=(4, 6), rng=0, dtype=np.float64)
    x, weights = rng.standard_normal((4, 8, 8, 1)), rng.standard_normal((4, 6))

    def second():
        g = mc.grad((net(x) * weights).sum(), net.parameters(), differentiable=differentiable)
        return mc.grad(sum((a * a).sum() for a in g), net.parameters()) if differentiable else g

    without = second()
    with mc.profile():
        measured = second()
    assert all(np.array_equal(a, b) for a, b in zip(without, measured))


def test_an_error_passes_and_nothing_is_left():
    kept = Primitive.__call__, Module.__call__
    with pytest.raises(ValueError, match="matmul"), mc.profile():
        mc.matmul(mc.tensor(np.ones((2, 3))), np.ones((2, 3)))
    assert (Primitive.__call__, Module.__call__) == kept
    with mc.profile() as p:
        pass
    assert not p.ops and "total" in repr(p)


def test_a_gradient_alone_is_measured_by_its_operations():
    x = mc.tensor(np.ones(3))
    y = slow(mc.exp(x)).sum()
    with mc.profile() as p:
        mc.grad(y, x)
    assert p.ops["slow"].backward >= 0.05 and p.ops["slow"].calls == 0
    assert set(p.ops) == {"slow", "exp", "sum"}, "what the rules call is theirs"
    assert sum(row.forward for row in p.ops.values()) == 0


def test_a_profile_that_has_ended_counts_no_more():
    x = mc.tensor(np.ones(3))
    with mc.profile() as first:
        y = slow(x).sum()
    before = repr(first)
    with mc.profile() as second:
        mc.grad(y, x)
    assert repr(first) == before and second.ops["slow"].backward >= 0.05
    assert "total" in repr(mc.profile())


def test_one_at_a_time():
    with mc.profile() as p:
        with pytest.raises(RuntimeError, match="another profile is on"), mc.profile():
            pass
        mc.tensor([1.0]) + 1
    assert p.ops["add"].calls == 1


def test_a_graph_made_inside_can_be_walked_outside():
    x = mc.tensor(2.0)
    with mc.profile() as p:
        y = mc.exp(x) * x
    assert float(mc.grad(y, x)) == pytest.approx(3 * np.exp(2))
    assert y.origin.op.__name__ == "multiply" and p.ops["exp"].calls == 1


def test_the_table_names_all(rng):
    net = mc.nn.MLP([5, 4, 3], rng=0)
    with mc.profile() as p:
        net(rng.random((7, 5), dtype=np.float32))
    lines = repr(p).splitlines()
    assert lines[0].split() == "operation calls forward ms backward ms result MB".split()
    assert lines[[line.startswith("layer ") for line in lines].index(True) + 1].startswith("MLP")
    assert any(line.startswith("matmul") for line in lines) and any(line.startswith("the rest") for line in lines)
