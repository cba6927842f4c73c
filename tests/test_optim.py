"""Optimisers: first steps worked out by hand, whole paths against PyTorch, and a state that continues where it was
left."""

import copy

import numpy as np
import pytest
from differences import assert_close

import minicl as mc

MAKE = {
    "SGD": lambda p: mc.optim.SGD(p, lr=0.1),
    "momentum": lambda p: mc.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: mc.optim.Adam(p, lr=0.05, betas=(0.8, 0.9)),
}


def test_the_first_step_of_adam_is_the_sign_of_the_gradient(rng):
    for size in (1e-4, 1.0, 1e4):
        x = mc.tensor(np.zeros(7))
        g = rng.standard_normal(7) * size
        mc.optim.Adam([x], lr=0.01).step([g])
        assert_close(x.data, -0.01 * np.sign(g), 1e-3)


def test_two_steps_of_adam_by_hand():
    x = mc.tensor(1.0)
    optimizer = mc.optim.Adam([x], lr=0.1, betas=(0.5, 0.75), eps=1.0)
    optimizer.step([np.array(2.0)])  # m = 1, v = 1, m̂ = 2, v̂ = 4: 0.1 · 2 / (2 + 1)
    assert abs(x.item() - (1 - 0.2 / 3)) < 1e-15
    optimizer.step([np.array(-2.0)])  # m = -1/2, v = 7/4, m̂ = -2/3, v̂ = 4: 0.1 · (-2/3) / (2 + 1)
    assert abs(x.item() - (1 - 0.2 / 3 + 0.2 / 9)) < 1e-15


def test_momentum_by_hand():
    x = mc.tensor(1.0)
    optimizer = mc.optim.SGD([x], lr=0.1, momentum=0.5)
    for g, expected in ((2.0, 0.8), (2.0, 0.5), (0.0, 0.35)):  # velocities 2, 3, 1.5
        optimizer.step([np.array(g)])
        assert abs(x.item() - expected) < 1e-15


@pytest.mark.parametrize("name", MAKE)
def test_paths_are_those_of_torch(name, rng):
    torch = pytest.importorskip("torch", reason="torch is the oracle here: make oracles")
    start = [rng.standard_normal((5, 3)), rng.standard_normal(3)]
    gradients = [[rng.standard_normal(x.shape) for x in start] for _ in range(20)]
    ours = [mc.tensor(x) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    optimizer = MAKE[name](ours)
    oracle = {
        "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "Adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.9)),
    }[name](theirs)
    for step in gradients:
        optimizer.step(step)
        for p, g in zip(theirs, step):
            p.grad = torch.tensor(g)
        oracle.step()
        for p, q in zip(ours, theirs):
            assert_close(p.data, q.detach().numpy(), 1e-13)


@pytest.mark.parametrize("name", MAKE)
def test_every_optimiser_descends_in_every_library(name, xp):
    target = xp.asarray(np.array([1.0, -2.0, 3.0], dtype=np.float32))
    x = mc.tensor(xp.zeros(3, dtype=np.float32))
    optimizer = MAKE[name]([x])
    for _ in range(300):
        optimizer.step(mc.grad(((x - target) ** 2).sum(), [x]))
    assert isinstance(x.data, xp.ndarray) and x.dtype == np.float32
    assert_close(mc.to_numpy(x), mc.to_numpy(target), 1e-2)


@pytest.mark.parametrize("name", MAKE)
def test_a_saved_state_continues_bit_for_bit(name, rng, xp):
    gradients = [xp.asarray(rng.standard_normal(5)) for _ in range(6)]
    straight, first, second = (mc.tensor(xp.ones(5)) for _ in range(3))
    whole, one, two = MAKE[name]([straight]), MAKE[name]([first]), MAKE[name]([second])
    for g in gradients:
        whole.step([g])
    for g in gradients[:3]:
        one.step([g])
    one.lr /= 2
    second.data = first.data
    state = one.state_dict()
    assert all(type(a) is np.ndarray for a in state.values())
    two.load_state_dict(copy.deepcopy(state))
    assert two.lr == one.lr and two.steps == 3
    two.lr *= 2
    one.step([gradients[0]])  # the state was a copy
    for g in gradients[3:]:
        two.step([g])
    assert np.array_equal(mc.to_numpy(straight), mc.to_numpy(second))


def test_a_step_leaves_the_gradient_as_it_was(rng):
    for make in MAKE.values():
        x, g = mc.tensor(np.zeros(5)), rng.standard_normal(5)
        kept, optimizer = g.copy(), make([x])
        optimizer.step([g])
        optimizer.step([g])
        assert np.array_equal(g, kept)


def test_a_step_makes_old_graphs_stale():
    x = mc.tensor(np.ones(3))
    loss = (x * x).sum()
    optimizer = mc.optim.Adam([x])
    optimizer.step(mc.grad(loss, [x]))
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(loss, [x])


def test_a_numpy_learning_rate_keeps_float32():
    x = mc.tensor(np.ones(3, dtype=np.float32))
    optimizer = mc.optim.Adam([x], lr=np.float64(0.1))
    optimizer.step([np.ones(3, np.float32)])
    assert x.dtype == np.float32 and optimizer.change(x.data, x.data, **optimizer.state[0]).dtype == np.float32


def test_one_parameter_needs_no_list():
    x = mc.tensor(np.ones(3))
    mc.optim.SGD(x, lr=1.0).step(mc.grad(x.sum(), x))
    assert x.data.tolist() == [0.0, 0.0, 0.0]


X = mc.tensor(np.ones(3))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: mc.optim.Adam([]), ValueError, "Adam: the list of parameters is empty"),
        (lambda: mc.optim.SGD([X, X]), ValueError, "named twice"),
        (lambda: mc.optim.SGD([np.ones(3)]), TypeError, "parameter 0 is no leaf Tensor"),
        (lambda: mc.optim.SGD([X * 2]), TypeError, "parameter 0 is no leaf Tensor"),
        (lambda: mc.optim.SGD([mc.tensor([1, 2])]), TypeError, "parameter 0 is no leaf Tensor of floats"),
        (lambda: mc.optim.SGD([X], lr=-1.0), ValueError, "must not be negative"),
        (lambda: mc.optim.SGD([X], lr=float("nan")), ValueError, "must not be negative"),
        (lambda: mc.optim.SGD([X], momentum=1.0), ValueError, r"momentum lies in \[0, 1\)"),
        (lambda: mc.optim.Adam([X], betas=(0.9, 1.0)), ValueError, r"betas lie in \[0, 1\)"),
        (lambda: mc.optim.Adam([X]).step([]), ValueError, "0 gradients for 1 parameters"),
        (
            lambda: mc.optim.Adam([X]).step([np.ones(4)]),
            ValueError,
            r"gradient 0 has shape \(4,\), its parameter \(3,\)",
        ),
        (lambda: mc.optim.Adam([X]).step([None]), ValueError, "gradient 0 has shape None"),
        (
            lambda: mc.optim.Adam([X]).load_state_dict(mc.optim.SGD([X]).state_dict()),
            KeyError,
            "missing .*0.mean.* unknown .*0.velocity",
        ),
        (
            lambda: mc.optim.SGD([X]).load_state_dict(mc.optim.SGD([mc.tensor(np.ones(4))]).state_dict()),
            ValueError,
            r"0.velocity has shape \(3,\), the state has \(4,\)",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert X.data.tolist() == [1.0, 1.0, 1.0]


def test_a_step_that_is_refused_changes_nothing():
    x, y = mc.tensor(np.ones(3)), mc.tensor(np.ones(2))
    optimizer = mc.optim.SGD([x, y])
    with pytest.raises(ValueError):
        optimizer.step([np.ones(3), np.ones(3)])
    assert x.data.tolist() == [1.0, 1.0, 1.0] and optimizer.steps == 0


def test_repr_names_the_settings():
    assert repr(mc.optim.SGD([X], lr=0.5)) == "SGD(lr=0.5, momentum=0.0)"
    assert repr(mc.optim.Adam([X])) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08)"
