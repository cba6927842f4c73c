"""Optimisers: first steps worked out by hand, whole paths against PyTorch, and a state that continues where it was
left."""

import copy
import math
import tracemalloc

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc

optim = mc.optim
MAKE = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "Nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.05, betas=(0.8, 0.9)),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05, betas=(0.8, 0.9), weight_decay=1e-3),
    "LARS": lambda p: optim.LARS(p, lr=0.05, momentum=0.5, trust=0.1),
    "LARS, Nesterov": lambda p: optim.LARS(p, lr=0.05, momentum=0.5, nesterov=True),
    "clipped": lambda p: optim.SGD(p, lr=0.1, momentum=0.5, clip_norm=2.0),
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


SHAPES = [(5, 3), (3,), ()]


def same_path(ours_of, theirs_of, seed, size=1.0, steps=20, shapes=SHAPES, before=None):
    """Twenty steps along the same random gradients, in float64; `before` clips those of torch."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here: make oracles")
    rng = np.random.default_rng(seed)
    start = [rng.standard_normal(shape) for shape in shapes]
    ours, theirs = [mc.tensor(x) for x in start], [torch.tensor(x, requires_grad=True) for x in start]
    optimizer, oracle = ours_of(ours), theirs_of(torch.optim, theirs)
    for _ in range(steps):
        gradients = [np.array(rng.standard_normal(x.shape) * size) for x in start]
        optimizer.step(gradients)
        for p, g in zip(theirs, gradients):
            p.grad = torch.tensor(g)
        if before is not None:
            before(torch, theirs)
        oracle.step()
        for p, q in zip(ours, theirs):
            assert_close(p.data, q.detach().numpy(), 1e-12)


rates = st.floats(1e-4, 1.0)
decays = st.sampled_from([0.0, 1e-4, 0.1, 0.5])
sizes = st.sampled_from([1e-6, 1.0, 1e6])
oracle = settings(max_examples=25, deadline=None, derandomize=True)


@oracle
@given(rates, st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.booleans(), decays, sizes, st.integers(0, 99))
def test_sgd_is_that_of_torch(lr, momentum, nesterov, decay, size, seed):
    chosen = {"lr": lr, "momentum": momentum, "nesterov": nesterov and momentum > 0, "weight_decay": decay}
    same_path(lambda p: optim.SGD(p, **chosen), lambda torch, p: torch.SGD(p, **chosen), seed, size)


betas = st.tuples(st.sampled_from([0.0, 0.8, 0.9]), st.sampled_from([0.0, 0.9, 0.999]))


@oracle
@given(
    st.sampled_from(["Adam", "AdamW"]), rates, betas, st.sampled_from([1e-8, 1e-3]), decays, sizes, st.integers(0, 99)
)
def test_adam_and_adamw_are_those_of_torch(name, lr, betas, eps, decay, size, seed):
    chosen = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": decay}
    same_path(lambda p: getattr(optim, name)(p, **chosen), lambda t, p: getattr(t, name)(p, **chosen), seed, size)


def test_groups_are_those_of_torch():
    def ours(p):
        groups = [{"parameters": [p[0]], "lr_scale": 0.1}, {"parameters": p[1:], "weight_decay": 0.0}]
        return optim.AdamW(groups, lr=0.05, weight_decay=0.3)

    def theirs(torch, p):
        groups = [{"params": [p[0]], "lr": 0.005}, {"params": p[1:], "weight_decay": 0.0}]
        return torch.AdamW(groups, lr=0.05, weight_decay=0.3)

    same_path(ours, theirs, seed=1)


@pytest.mark.parametrize("largest", [0.5, 3.0, 1e9])
def test_clipping_is_that_of_torch(largest):
    def clip(torch, p):
        total = torch.nn.utils.get_total_norm([x.grad for x in p])
        for x in p:  # torch's own function divides by the norm + 1e-6
            x.grad *= min(1.0, largest / float(total))

    same_path(
        lambda p: optim.SGD(p, 0.1, momentum=0.9, clip_norm=largest),
        lambda torch, p: torch.SGD(p, 0.1, momentum=0.9),
        seed=2,
        before=clip,
    )


# ----------------------------------------------------------------------------------------------------------------- LARS


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lars_is_its_formula(nesterov, decay, rng):
    """As written in the paper's steps, in plain loops: a matrix is adapted, a bias is not, a matrix of zeros is not."""
    lr, mu, eta = 0.3, 0.9, 0.02
    values = {"weight": rng.standard_normal((5, 3)), "bias": rng.standard_normal(3), "zero": np.zeros((2, 7))}
    tensors = {name: mc.tensor(value) for name, value in values.items()}
    velocity = {name: np.zeros_like(value) for name, value in values.items()}
    optimizer = optim.LARS(list(tensors.values()), lr, mu, nesterov, decay, eta)
    for step in range(20):
        gradients = {name: rng.standard_normal(value.shape) for name, value in values.items()}
        if step % 7 == 3:
            gradients["weight"] *= 0
            gradients["zero"] *= 0
        optimizer.step(list(gradients.values()))
        for name, w in values.items():
            beta = 0.0 if name == "bias" else decay
            d = gradients[name] + beta * w
            length, below = math.sqrt(math.fsum((w * w).flat)), math.sqrt(math.fsum((d * d).flat))
            trust = eta * length / below if name != "bias" and length > 0 and below > 0 else 1.0
            velocity[name] = mu * velocity[name] + lr * trust * d
            values[name] = w - (mu * velocity[name] + lr * trust * d if nesterov else velocity[name])
            assert_close(tensors[name].data, values[name], 1e-12, 1e-15)


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1e12, 1e25])
def test_lars_does_not_see_the_size_of_a_gradient(scale, rng):
    w, g = rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal((5, 3)).astype(np.float32)
    one, other = mc.tensor(w), mc.tensor(w)
    optim.LARS([one], lr=0.5, trust=0.1).step([g])
    optim.LARS([other], lr=0.5, trust=0.1).step([g * np.float32(scale)])
    assert_close(other.data, one.data, 1e-6)
    assert abs(np.linalg.norm(one.data - w) / np.linalg.norm(w) - 0.05) < 1e-6  # lr times trust


def test_a_group_may_adapt_or_not(rng):
    w, g = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    x, y = mc.tensor(w), mc.tensor(w)
    optim.LARS([{"parameters": [x], "adapt": False}], lr=0.1).step([g])
    optim.SGD([y], lr=0.1).step([g])
    assert_close(x.data, y.data, 1e-15)
    b = mc.tensor(w[0])
    optim.LARS([{"parameters": [b], "adapt": True, "weight_decay": 0.5}], lr=1.0, trust=0.1).step([g[0]])
    d = g[0] + 0.5 * w[0]
    assert_close(b.data, w[0] - 0.1 * np.linalg.norm(w[0]) * d / np.linalg.norm(d), 1e-14)


# --------------------------------------------------------------------------------------------------------------- groups


class Net(mc.nn.Module):
    def __init__(self):
        self.encoder = mc.nn.MLP([4, 5, 3], rng=0, dtype=np.float64)
        self.norm = mc.nn.Linear(3, 3, rng=1, dtype=np.float64)
        self.head = mc.nn.Linear(3, 2, rng=2, dtype=np.float64)


def decay_of(groups):
    names = [name for group in groups for name, _ in group["parameters"]]
    return dict(zip(names, [o["weight_decay"] for o in optim.SGD(groups, weight_decay=0.5).options]))


def test_no_decay_is_by_name_and_by_axes():
    net = Net()
    by_both = decay_of(optim.no_decay(net))
    assert list(by_both) == [name for name, _ in net.named_parameters()]  # in the order of gradients
    assert {n for n, decay in by_both.items() if decay} == {
        "encoder.layers.0.weight",
        "encoder.layers.2.weight",
        "head.weight",
    }
    by_axes = decay_of(optim.no_decay(net, names=()))
    assert {n for n, decay in by_axes.items() if decay} == {*by_both} - {n for n in by_both if n.endswith("bias")}
    by_name = decay_of(optim.no_decay(net.named_parameters(), names="HEAD", ndim=-1))
    assert {n for n, decay in by_name.items() if not decay} == {"head.weight", "head.bias"}
    without_names = optim.no_decay(net.parameters())
    assert [len(group["parameters"]) for group in without_names] == [1] * 8
    also = optim.LARS(optim.no_decay(net, adapt=False), weight_decay=0.1)
    assert [o["adapt"] for o in also.options] == [o["weight_decay"] > 0 for o in also.options]


def test_layerwise_takes_the_longest_start():
    net = Net()
    groups = optim.layerwise(net, {"encoder": 0.5, "encoder.layers.0": 0.25, "norm": 0.0})
    optimizer = optim.SGD(optim.no_decay(groups), lr=0.1, weight_decay=0.5)
    assert [o["lr_scale"] for o in optimizer.options] == [0.25, 0.25, 0.5, 0.5, 0.0, 0.0, 1.0, 1.0]
    assert [o["weight_decay"] for o in optimizer.options] == [0.5, 0, 0.5, 0, 0, 0, 0.5, 0]
    before = [p.data.copy() for p in net.parameters()]
    optimizer.lr = 0.2  # one number moves all rates
    optimizer.step([np.ones(p.shape) for p in net.parameters()])
    for p, old, o in zip(net.parameters(), before, optimizer.options):
        assert_close(p.data, old - 0.2 * o["lr_scale"] * (1 + o["weight_decay"] * old), 1e-14)


def test_parameters_may_be_given_in_every_way():
    net = Net()
    ways = [net, net.parameters(), net.named_parameters(), iter(net.parameters()), {"parameters": net}]
    ways += [[{"parameters": net.encoder}, *net.norm.parameters(), *net.head.named_parameters()]]
    for way in ways:
        assert [id(p) for p in optim.SGD(way).parameters] == [id(p) for p in net.parameters()]


# ------------------------------------------------------------------------------------------------------------- clipping


def test_clipping_keeps_the_direction_and_the_short(xp, rng):
    start = [rng.standard_normal((5, 3)), np.array(rng.standard_normal()), rng.standard_normal(7)]
    norm = math.sqrt(math.fsum(x for g in start for x in (g * g).flat))
    g = [xp.asarray(x.copy()) for x in start]
    assert abs(optim.clip_norm(g, norm / 4) / norm - 1) < 1e-15
    for new, old in zip(g, start):
        assert isinstance(new, xp.ndarray)
        assert_close(mc.to_numpy(new), old / 4, 1e-15)
    assert abs(optim.global_norm(g) / norm - 0.25) < 1e-15
    kept = [mc.to_numpy(x).copy() for x in g]
    assert optim.clip_norm(g, norm) < norm
    assert all(np.array_equal(mc.to_numpy(x), y) for x, y in zip(g, kept))
    optim.clip_value(g, 0.1)
    for new, old in zip(g, kept):
        assert np.array_equal(mc.to_numpy(new), np.clip(old, -0.1, 0.1))


@pytest.mark.parametrize(
    "dtype, size", [(np.float32, 1e30), (np.float32, 1e-30), (np.float16, 1e3), (np.float64, 1e200)]
)
def test_the_norm_does_not_leave_the_range(dtype, size, xp):
    g = [xp.asarray(np.array([3 * size, 0], dtype)), xp.asarray(np.array([4 * size], dtype))]
    assert abs(optim.global_norm(g) / (5 * size) - 1) < 2e-3
    assert optim.global_norm([xp.zeros(3, dtype=dtype)]) == 0 == optim.global_norm([])
    optim.clip_norm(g, 5e-3 * size)
    assert g[0].dtype == dtype and abs(float(g[0][0]) / (3e-3 * size) - 1) < 2e-3
    x = mc.tensor(xp.zeros(2, dtype=dtype))
    optim.SGD([x], lr=1.0).step([g[0]])  # large is not infinite


def test_clip_value_cuts_infinity():
    g = np.array([np.inf, -np.inf, 0.5])
    optim.clip_value(g, 1.0)
    assert g.tolist() == [1.0, -1.0, 0.5]


# ------------------------------------------------------------------------------------------------------------ schedules


def test_schedules_at_known_points():
    warmup, cosine = optim.Warmup(10), optim.Cosine(90, final=0.1)
    assert warmup(0) == 0.1 and warmup(9) == warmup(10) == 1.0 and abs(warmup(4) - 0.5) < 1e-15
    assert optim.Warmup(4, start=0.2)(1) == pytest.approx(0.6, abs=1e-15)
    assert cosine(0) == 1.0 and cosine(90) == cosine(1000) == 0.1
    assert cosine(45) == pytest.approx(0.55, abs=1e-15) and cosine(30) == pytest.approx(0.1 + 0.9 * 0.75, abs=1e-15)
    assert [optim.Constant(0.3)(k) for k in (0, 10**9)] == [0.3, 0.3]
    decay = optim.StepDecay(30)
    assert [decay(k) for k in (0, 29, 30, 59, 60)] == [1.0, 1.0, 0.1, 0.1, 0.1**2]
    decay = optim.StepDecay([5, 6, 100], gamma=0.5)
    assert [decay(k) for k in (4, 5, 6, 99, 100, 101)] == [1, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_schedules_in_turn_and_together():
    both = optim.Warmup(10).then(optim.Cosine(90))
    assert both.steps == 100 and [both(k) for k in (0, 9, 10)] == [0.1, 1.0, 1.0] and both(100) == 0.0
    assert all(both(k) == optim.Cosine(90)(k - 10) for k in range(10, 120))
    three = optim.Constant(0.5, steps=3).then(both).then(lambda step: step)
    assert [three(k) for k in (2, 3, 103, 110)] == [0.5, 0.1, 0, 7] and three.steps is None
    product = optim.Warmup(4) * optim.StepDecay(2, 0.5)
    assert [product(k) for k in range(5)] == [0.25, 0.5, 0.375, 0.5, 0.25]
    assert product.steps == 4
    assert repr(three).startswith("Constant(value=0.5, steps=3).then(Warmup(steps=10, start=0.0).then(Cosine(steps=90")
    assert repr(product) == "(Warmup(steps=4, start=0.0) * StepDecay(at=2, gamma=0.5))"


def test_schedules_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="torch is the oracle here: make oracles")
    rates = torch.optim.lr_scheduler
    pairs = [
        (optim.Cosine(20, final=0.05), lambda o: rates.CosineAnnealingLR(o, 20, eta_min=0.05 * 0.3)),
        (optim.StepDecay(7, 0.3), lambda o: rates.StepLR(o, 7, 0.3)),
        (optim.StepDecay([3, 4, 11], 0.3), lambda o: rates.MultiStepLR(o, [3, 4, 11], 0.3)),
        (optim.Warmup(8), lambda o: rates.LinearLR(o, 1 / 8, 1.0, total_iters=7)),
    ]
    for ours, make in pairs:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        theirs = make(optimizer)
        for step in range(21):
            assert abs(optimizer.param_groups[0]["lr"] - 0.3 * ours(step)) < 1e-14
            optimizer.step()
            theirs.step()


# ----------------------------------------------------------------------------------------------- descent, state, refusal


@pytest.mark.parametrize("name", MAKE)
def test_every_optimiser_descends_in_every_library(name, xp):
    target = xp.asarray(np.array([1.0, -2.0, 3.0], dtype=np.float32))
    x = mc.tensor(xp.zeros(3, dtype=np.float32))
    optimizer = MAKE[name]([x])
    arrays = {id(x.data), *(id(a) for a in optimizer.state[0].values())}
    for _ in range(300):
        optimizer.step(mc.grad(((x - target) ** 2).sum(), [x]))
    assert isinstance(x.data, xp.ndarray) and x.dtype == np.float32
    assert {id(x.data), *(id(a) for a in optimizer.state[0].values())} == arrays  # all in place
    assert_close(mc.to_numpy(x), mc.to_numpy(target), 1e-2)


@pytest.mark.parametrize("name", MAKE)
def test_both_devices_go_the_same_way(name, gpu, rng):
    start = [rng.standard_normal((3, 5)).astype(np.float32), rng.standard_normal(5).astype(np.float32)]
    here, there = [mc.tensor(x) for x in start], [mc.tensor(gpu.asarray(x)) for x in start]
    one, other = MAKE[name](here), MAKE[name](there)
    for _ in range(5):
        g = [rng.standard_normal(x.shape).astype(np.float32) for x in start]
        one.step(g)
        other.step([gpu.asarray(x) for x in g])
    for p, q in zip(here, there):
        assert isinstance(q.data, gpu.ndarray) and q.dtype == np.float32
        assert_close(mc.to_numpy(q), p.data, 1e-6)
    before = [p.data.copy() for p in here]
    with pytest.raises(TypeError, match="parameter 0 and its gradient.*on the gpu"):
        one.step([gpu.asarray(x) for x in g])
    assert all(np.array_equal(p.data, x) for p, x in zip(here, before))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", MAKE)
def test_the_dtype_is_kept_and_gradients_of_another_fit(name, dtype, rng):
    x = mc.tensor(rng.standard_normal((3, 5)).astype(dtype))
    optimizer = MAKE[name]([x])
    for kind in (dtype, np.float64, int):
        optimizer.step([(4 * rng.standard_normal((3, 5))).astype(kind)])
    assert x.dtype == dtype and all(a.dtype == dtype for a in optimizer.state[0].values())
    assert np.isfinite(x.data).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", MAKE)
def test_pieces_of_a_large_array_are_the_whole(name, order, rng, monkeypatch):
    start = np.asarray(rng.standard_normal((7, 13)).astype(np.float32), order=order)
    whole, pieces = mc.tensor(start), mc.tensor(start)
    one, other = MAKE[name]([whole]), MAKE[name]([pieces])
    for k in range(6):
        g = np.asarray(rng.standard_normal((7, 13)).astype(np.float32), order="CF"[k % 2])
        one.step([g])
        with monkeypatch.context() as patch:
            patch.setattr(optim.optimizer, "BLOCK", 11)
            other.step([g])
    assert np.array_equal(whole.data, pieces.data)
    assert all(np.array_equal(a, other.state[0][slot]) for slot, a in one.state[0].items())
    loss = (pieces * pieces).sum()
    with monkeypatch.context() as patch:
        patch.setattr(optim.optimizer, "BLOCK", 11)
        other.step([g])
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(loss, [pieces])


@pytest.mark.parametrize("name", MAKE)
def test_a_step_makes_no_large_arrays(name, rng):
    x, g = mc.tensor(rng.standard_normal((300, 300))), rng.standard_normal((300, 300))
    optimizer = MAKE[name]([x])
    optimizer.step([g])
    tracemalloc.start()
    try:
        optimizer.step([g])
        assert tracemalloc.get_traced_memory()[1] < 0.05 * g.nbytes
    finally:
        tracemalloc.stop()


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
    optimizer.lr = np.float64(0.2)
    assert x.dtype == np.float32 and type(optimizer.lr) is float
    assert optimizer.change(x.data, x.data, 0.1, 0.0, **optimizer.state[0]).dtype == np.float32


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
        (
            lambda: mc.optim.SGD([X]).load_state_dict(
                mc.optim.SGD([X]).state_dict() | {"0.velocity": np.ones(3, "c16")}
            ),
            ValueError,
            "0.velocity has dtype float64, the state has complex128",
        ),
        (lambda: mc.optim.SGD([X], lr=float("inf")), ValueError, "must not be negative, got inf"),
        (lambda: setattr(mc.optim.SGD([X]), "lr", -0.1), ValueError, "SGD: the learning rate must not be negative"),
        (lambda: mc.optim.SGD([X], nesterov=True), ValueError, "nesterov .* needs a momentum above 0"),
        (lambda: mc.optim.SGD([X], weight_decay=-1), ValueError, "SGD: weight_decay must not be negative"),
        (lambda: mc.optim.SGD([X], clip_norm=0), ValueError, "SGD: clip_norm: the limit must be positive"),
        (lambda: mc.optim.AdamW([X], betas=(0.9,)), ValueError, r"AdamW: betas lie in \[0, 1\)"),
        (lambda: mc.optim.Adam([X], eps=-1e-8), ValueError, "Adam: eps must not be negative"),
        (lambda: mc.optim.LARS([X], trust=0), ValueError, "LARS: trust must be positive"),
        (
            lambda: mc.optim.SGD([{"parameters": [X], "lr": 1}]),
            ValueError,
            "option 'lr'; it may have lr_scale, weight_d",
        ),
        (lambda: mc.optim.SGD([{"params": [X]}]), ValueError, 'has the key "parameters"; this one has .*params'),
        (lambda: mc.optim.SGD([{"parameters": [X], "lr_scale": -1}]), ValueError, "lr_scale must not be negative"),
        (lambda: mc.optim.layerwise([X], {"a": 1}), ValueError, "a parameter has no name"),
        (lambda: mc.optim.layerwise([("a.b", X)], {"a.": 1}), ValueError, r"begins with \['a.'\]"),
        (lambda: mc.optim.Adam([X]).step([np.ones(3) * 1j]), TypeError, "gradient 0 has dtype complex128"),
        (lambda: mc.optim.Adam([X]).step([np.array([1, np.nan, 2])]), FloatingPointError, "gradient 0 has NaN or inf"),
        (lambda: mc.optim.Adam([("w", X)]).step([X.data * np.inf]), FloatingPointError, r"gradient 0 \(w\) has NaN"),
        (lambda: mc.optim.clip_norm([np.ones(2), np.array([np.inf])], 1.0), FloatingPointError, "gradient 1 has NaN"),
        (lambda: mc.optim.clip_norm([np.ones(2)], 0.0), ValueError, "clip_norm: the limit must be positive"),
        (lambda: mc.optim.clip_value([np.array([np.nan])], 1.0), FloatingPointError, "gradient 0 has NaN"),
        (lambda: mc.optim.clip_value([np.ones(2)], -1.0), ValueError, "clip_value: the limit must be positive"),
        (lambda: mc.optim.Warmup(0), ValueError, "Warmup: a number of steps is whole and at least 1, got 0"),
        (lambda: mc.optim.Cosine(2.5), ValueError, "Cosine: a number of steps"),
        (lambda: mc.optim.Cosine(2, final=-1), ValueError, "final must not be negative"),
        (lambda: mc.optim.StepDecay([3, 2]), ValueError, "the steps must grow"),
        (lambda: mc.optim.Cosine(2)(-1), ValueError, "steps count from 0"),
        (lambda: mc.optim.Constant().then(mc.optim.Cosine(2)), ValueError, "Constant.* has no end"),
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
    with pytest.raises(FloatingPointError, match=r"SGD.step: gradient 1 has NaN or infinity; nothing was changed"):
        optimizer.step([np.ones(3), np.array([1.0, np.nan])])
    assert x.data.tolist() == [1.0, 1.0, 1.0] and optimizer.steps == 0
    assert not optimizer.state[0]["velocity"].any()


def test_repr_names_the_settings():
    assert repr(optim.SGD([X], lr=0.5)) == "SGD(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0)"
    assert repr(optim.Adam([X])) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)"
    clipped = optim.SGD([{"parameters": [X], "lr_scale": 0.1}], clip_norm=1.0)
    assert repr(clipped).endswith("weight_decay=0.0, clip_norm=1.0, 1 parameters differ)")
    assert clipped.settings()["different"] == [{"parameter": 0, "lr_scale": 0.1}]
