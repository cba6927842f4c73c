"""Modules and layers: which parameters are found and in what order, every layer's gradient against differences, and a
state that can be saved, loaded, moved and copied.
"""

import copy
import pickle

import numpy as np
import pytest
from differences import assert_close, central

import minicl as mc
from minicl import nn


class Everything(nn.Module):
    """Each kind of thing that a Module can hold, twice nested, one shared, one in a circle."""

    def __init__(self):
        self.second = nn.Linear(3, 2, rng=0)
        self.first = mc.tensor(np.ones(2))
        self.blocks = [nn.Linear(2, 2, bias=False, rng=1), (mc.tensor(np.zeros(5)), {"deep": mc.tensor(np.zeros(7))})]
        self.tied = self.second.weight
        self.again = self.second
        self.running = np.zeros(4)
        self.dropout = nn.Dropout(0.5, rng=2)
        self.name, self.nothing, self.count = "a text", None, 3
        self.parent = self


NAMES = ["second.weight", "second.bias", "first", "blocks.0.weight", "blocks.1.0", "blocks.1.1.deep"]


def test_parameters_are_found_once_in_the_order_of_declaration():
    module = Everything()
    assert [name for name, _ in module.named_parameters()] == NAMES
    assert module.parameters()[0] is module.second.weight
    assert [name for name, _ in module.named_buffers()] == ["running"]
    assert [name for name, _ in module.named_generators()] == ["dropout.rng"]
    assert [name for name, _ in module.named_modules()] == ["", "second", "blocks.0", "dropout"]


def test_a_shared_parameter_has_its_first_name_wherever_that_is_deeper():
    module = nn.Module()
    module.outer = [nn.Linear(2, 2, rng=0)]
    module.tied = module.outer[0].weight
    assert [name for name, _ in module.named_parameters()] == ["outer.0.weight", "outer.0.bias"]


def test_a_result_is_no_parameter():
    module = nn.Module()
    module.weight = mc.tensor(np.ones(3)) * 0.1
    with pytest.raises(ValueError, match="weight is the result of 'multiply'.*leaf"):
        module.parameters()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Everything: define forward"):
        Everything()(1.0)


# ------------------------------------------------------------------------------------------------------------ gradients


def fresh(seed=0):
    return np.random.default_rng(seed)


LAYERS = {
    "Linear": (lambda: nn.Linear(5, 3, rng=fresh(), dtype=np.float64), (7, 5)),
    "Linear, more axes": (lambda: nn.Linear(5, 3, rng=fresh(), dtype=np.float64), (2, 3, 5)),
    "Linear, a vector": (lambda: nn.Linear(5, 3, rng=fresh(), dtype=np.float64), (5,)),
    "Linear without bias": (lambda: nn.Linear(5, 3, bias=False, rng=fresh(), dtype=np.float64), (7, 5)),
    "ReLU": (nn.ReLU, (7, 5)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (7, 5)),
    "GELU": (nn.GELU, (7, 5)),
    "SiLU": (nn.SiLU, (7, 5)),
    "Tanh": (nn.Tanh, (7, 5)),
    "Sigmoid": (nn.Sigmoid, (7, 5)),
    "Flatten": (nn.Flatten, (7, 2, 3, 5)),
    "Function": (lambda: nn.Function(mc.exp), (7, 5)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(5, 3, rng=fresh(), dtype=np.float64), mc.tanh, nn.Tanh), (7, 5)),
    "Dropout": (lambda: nn.Dropout(0.4, rng=fresh()), (7, 5)),
    "MLP": (lambda: nn.MLP([30, 11, 7], mc.tanh, mc.sigmoid, rng=fresh(), dtype=np.float64), (3, 2, 3, 5)),
    "ProjectionHead": (lambda: nn.ProjectionHead(5, 7, 3, rng=fresh(), dtype=np.float64), (11, 5)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, (3, 2), 2, 1, rng=fresh(), dtype=np.float64), (2, 5, 4, 2)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, padding=1), (2, 5, 4, 2)),
    "AvgPool2d": (lambda: nn.AvgPool2d((3, 2), 2, 1, count_include_pad=False), (2, 5, 4, 2)),
    "GlobalAvgPool": (nn.GlobalAvgPool, (2, 5, 4, 2)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(5, dtype=np.float64), (7, 5)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2, dtype=np.float64), (2, 5, 4, 2)),
    "LayerNorm": (lambda: nn.LayerNorm((4, 2), dtype=np.float64), (2, 5, 4, 2)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6, dtype=np.float64), (2, 3, 2, 6)),
    "ConvNet": (lambda: nn.ConvNet(2, (3, 4), activation=mc.tanh, rng=fresh(), dtype=np.float64), (2, 5, 4, 2)),
    "ResidualBlock": (lambda: nn.ResidualBlock(2, 3, 2, "conv", mc.tanh, rng=fresh(), dtype=np.float64), (2, 5, 4, 2)),
}
ELSEWHERE = {"Embedding", "ResNet"}  # test_layers.py: one takes integers, one would take long here


def test_every_layer_is_in_the_table():
    made = {type(make()).__name__ for make, _ in LAYERS.values()}
    layers = {
        name for name in nn.__all__ if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert made == layers - {"Module"} - ELSEWHERE


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_every_layer(name, scale, rng):
    make, shape = LAYERS[name]
    names = [n for n, _ in make().named_parameters()]
    arrays = [rng.uniform(0.05, 1.0, shape) * rng.choice([-1, 1], shape) * scale]  # not within a step of a kink
    arrays += [rng.standard_normal(p.shape) for p in make().parameters()]

    def output(x, *values):
        layer = make()  # anew, so that dropout draws the same mask
        for p, value in zip(layer.parameters(), values):
            p.data = value
        return layer, layer(x)

    x = mc.tensor(arrays[0])
    layer, y = output(x, *arrays[1:])
    cotangent = rng.standard_normal(y.shape)
    found = mc.grad(y, [x, *layer.parameters()], cotangent=cotangent)

    def value(*arrays):
        return float((mc.to_numpy(output(arrays[0], *arrays[1:])[1]) * cotangent).sum())

    for k, what in enumerate(["x", *names]):
        assert_close(found[k], central(value, arrays, k, scale), 1e-7, what=f"{name}: {what}")


def test_an_encoder_has_second_derivatives(rng):
    net = nn.MLP([5, 7, 3], mc.tanh, rng=0, dtype=np.float64)
    x, v = rng.standard_normal((4, 5)), rng.standard_normal((5, 7))
    weight = net[0].weight

    def slope(w):
        weight.data = w
        return float((mc.grad((net(x) ** 2).sum(), weight) * v).sum())

    w = weight.data.copy()
    expected = central(slope, [w], 0)
    weight.data = w
    first = mc.grad((net(x) ** 2).sum(), weight, differentiable=True)
    assert_close(mc.grad((first * v).sum(), weight), expected, 1e-7)


def test_linear_by_hand():
    layer = nn.Linear(2, 1, dtype=np.float64)
    layer.weight.data, layer.bias.data = [[2.0], [3.0]], [10.0]
    assert layer(np.array([[1.0, 1.0], [0.0, 2.0]])).numpy().tolist() == [[15.0], [16.0]]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: nn.Linear(5, 3)(np.ones((7, 4))), r"Linear\(5, 3\): got shape \(7, 4\).*length 5"),
        (lambda: nn.Linear(5, 3)(np.ones(())), r"Linear\(5, 3\): got shape \(\)"),
        (lambda: nn.Linear(0, 3), "0 inputs"),
        (lambda: nn.MLP([5]), "at least an input and an output"),
        (lambda: nn.MLP([5, 3])(np.ones((2, 2, 3))), r"MLP: got shape \(2, 2, 3\).*5 numbers"),
        (lambda: nn.ProjectionHead(5, 3, 2)(np.ones(5)), r"ProjectionHead: got shape \(5,\)"),
        (lambda: nn.Dropout(1.0), r"\[0, 1\)"),
        (lambda: nn.kaiming_uniform((5,)), r"\(\.\.\., in, out\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_layer_must_be_a_function():
    with pytest.raises(TypeError, match="a layer is a Module or a function, not int"):
        nn.Sequential(nn.Linear(2, 2), 3)


def test_an_empty_batch_goes_through():
    assert nn.MLP([30, 11, 7])(np.zeros((0, 2, 3, 5))).shape == (0, 7)
    assert nn.Flatten()(np.zeros((0, 2, 3))).shape == (0, 6)


def test_parameters_are_float32_and_stay_so(rng):
    net = nn.Sequential(nn.MLP([5, 7, 3], rng=0), nn.Dropout(0.5, rng=1), nn.ProjectionHead(3, 3, 2, rng=2))
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)} and net.dtype == np.float32
    assert net(rng.standard_normal((4, 5)).astype(np.float32)).dtype == np.float32


# --------------------------------------------------------------------------------------------------------- initialisers


@pytest.mark.parametrize("shape, fan_in, fan_out", [((300, 200), 300, 200), ((3, 3, 50, 70), 450, 630)])
def test_initialisers_have_the_variance_of_their_paper(shape, fan_in, fan_out):
    for init, variance in ((nn.kaiming_uniform, 2 / fan_in), (nn.glorot_uniform, 2 / (fan_in + fan_out))):
        w = init(shape, rng=0, dtype=np.float64)
        assert w.shape == shape and abs(w.mean()) < 0.02 * np.sqrt(variance)
        assert abs(w.var() / variance - 1) < 0.02
        bound = np.sqrt(3 * variance)
        assert 0.999 * bound < np.abs(w).max() <= bound  # uniform on [-b, b]: variance b²/3


def test_a_deep_relu_network_keeps_the_size_of_its_signal(rng):
    x = rng.standard_normal((200, 128))
    net = nn.MLP([128] * 11, mc.relu, mc.relu, rng=0, dtype=np.float64)
    assert 0.2 < (net(x).numpy() ** 2).mean() / (x**2).mean() < 5


def test_equal_seeds_give_equal_networks_and_one_generator_gives_different_layers():
    a, b = nn.MLP([5, 5, 5], rng=3), nn.MLP([5, 5, 5], rng=np.random.default_rng(3))
    for name, value in a.state_dict().items():
        assert np.array_equal(value, b.state_dict()[name])
    assert not np.array_equal(a[0].weight.data, a[2].weight.data)


# -------------------------------------------------------------------------------------------------------------- dropout


def test_dropout_keeps_the_mean_and_the_dtype():
    y = nn.Dropout(0.25, rng=0)(np.ones((400, 400), dtype=np.float32))
    assert y.dtype == np.float32 and set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / y.size)


def test_dropout_draws_anew_each_time_and_not_at_all_in_evaluation():
    layer, x = nn.Dropout(0.5, rng=0), np.ones(100)
    assert not np.array_equal(layer(x), layer(x))
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


def test_a_checkpoint_gives_dropout_its_mask_again(rng):
    x = rng.standard_normal((13, 5))

    def gradient(wrap):
        net = nn.Sequential(nn.MLP([5, 7, 3], mc.tanh, rng=0, dtype=np.float64), nn.Dropout(0.5, rng=1))
        y = mc.checkpoint(net, x) if wrap else net(x)
        return mc.grad((y * y).sum(), net.parameters())

    for plain, again in zip(gradient(False), gradient(True)):
        assert np.array_equal(plain, again)


# -------------------------------------------------------------------------------------------------- mode, state, device


def test_mode_reaches_all_modules_and_comes_back():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    assert net.eval() is net and not net[1][0].training
    net[1][0].train()
    with pytest.raises(RuntimeError), net.mode(training=True):
        assert net.training and net[0].training
        raise RuntimeError
    assert [m.training for _, m in net.named_modules()] == [False, False, False, True]
    assert nn.Dropout().training


def test_state_goes_round_and_is_a_copy():
    a, b = Everything(), Everything()
    for _, p in a.named_parameters():
        p.data = p.data + 1
    a.running += 5
    state = a.state_dict()
    assert list(state) == [*NAMES, "running"] and all(type(x) is np.ndarray for x in state.values())
    held = b.running
    b.load_state_dict(state)
    assert held is b.running  # changed in place: others may hold it
    for name, value in b.state_dict().items():
        assert np.array_equal(value, state[name])
    state["first"][:] = 77
    a.second.weight.data += 1
    assert b.first.data.tolist() == [2.0, 2.0] and not np.array_equal(state["second.weight"], a.second.weight.data)


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda s: s.pop("first"), KeyError, r"missing \['first'\], unknown nothing"),
        (lambda s: s.update(other=np.ones(2)), KeyError, r"missing nothing, unknown \['other'\]"),
        (lambda s: s.update(first=np.ones(3)), ValueError, r"first has shape \(2,\), the state has \(3,\)"),
        (lambda s: s.update(running=np.ones((2, 2))), ValueError, "running has shape"),
        (
            lambda s: s.update(running=np.ones(4, complex)),
            ValueError,
            "running has dtype float64, the state has complex128",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    module = Everything()
    before, state = module.state_dict(), {name: x + 1 for name, x in module.state_dict().items()}
    change(state)
    with pytest.raises(error, match=message):
        module.load_state_dict(state)
    for name, value in module.state_dict().items():
        assert np.array_equal(value, before[name])


def test_loading_makes_old_graphs_stale():
    net = nn.Linear(3, 2)
    y = net(np.ones(3)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(y, net.bias)


def test_float64_states_are_taken_as_float32():
    net = nn.Linear(3, 2)
    net.load_state_dict({name: x.astype(np.float64) for name, x in net.state_dict().items()})
    assert net.weight.dtype == np.float32


def test_copies_are_independent_and_keep_what_is_shared():
    for copied in (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        a = nn.Sequential(nn.Linear(3, 3, rng=0))
        a.tied = a[0].weight
        b = copied(a)
        assert b.tied is b[0].weight and b[0].weight is not a[0].weight
        b[0].weight.data += 1
        assert not np.array_equal(a[0].weight.data, b[0].weight.data)


def test_modules_move_and_compute_in_every_library(xp, rng):
    cpu = nn.Sequential(nn.MLP([12, 7, 3], rng=0), nn.Dropout(0.5, rng=1), nn.ProjectionHead(3, 5, 2, rng=2), mc.gelu)
    cpu.buffer, cpu.holder = np.ones(2), (np.zeros(3), "text")
    cpu.same = cpu.buffer
    net = copy.deepcopy(cpu)
    device = "cpu" if xp is np else "gpu"
    parameters = net.parameters()
    x = rng.standard_normal((5, 3, 4)).astype(np.float32)
    old, expected = net(x), cpu(x)
    assert np.array_equal(old.data, expected.data)
    assert net.to(device) is net and net.device == device
    assert all(p is q and p.device == device for p, q in zip(parameters, net.parameters()))
    assert net.buffer is net.same and isinstance(net.buffer, xp.ndarray) and isinstance(net.holder[0], xp.ndarray)
    if device == "gpu":
        with pytest.raises(ValueError, match="stale graph"):
            mc.grad(old.sum(), parameters)
    y, expected = net(xp.asarray(x)), cpu(x)
    assert isinstance(y.data, xp.ndarray)
    assert_close(mc.to_numpy(y), expected.numpy(), 1e-5)
    gradients, expected = mc.grad(y.sum(), net.parameters()), mc.grad(expected.sum(), cpu.parameters())
    for g, e in zip(gradients, expected):
        assert isinstance(g, xp.ndarray)
        assert_close(mc.to_numpy(g), e, 1e-5)
    state = net.state_dict()
    assert all(type(a) is np.ndarray for a in state.values())
    net.load_state_dict(state)
    assert net.device == device
    assert repr(net.to("cpu").summary((3, 4))) == repr(cpu.summary((3, 4)))


# ------------------------------------------------------------------------------------------------------------ its looks


def test_summary_counts_and_leaves_no_trace():
    net = nn.Sequential(nn.MLP([64, 32, 16], rng=0), nn.Dropout(0.5), nn.ProjectionHead(16, 16, 8, rng=1))
    state = net[1].rng.bit_generator.state
    table = net.summary((8, 8, 1))
    assert table.parameters == 64 * 32 + 32 + 32 * 16 + 16 + 16 * 16 + 16 + 16 * 8 + 8
    assert table.rows[0] == ("layers.0", "MLP", ("N", 16), 64 * 32 + 32 + 32 * 16 + 16)
    assert ("layers.1", "Dropout(0.5)", ("N", 16), 0) in table.rows
    assert net.training and net[1].rng.bit_generator.state == state
    lines = repr(table).splitlines()
    assert lines[-1].split() == ["total", "3,016"] and {len(line) for line in lines} == {len(lines[0])}


def test_repr_shows_the_tree():
    net = nn.Sequential(nn.MLP([4, 3, 2]), nn.ReLU(), nn.LeakyReLU(), nn.Linear(2, 2, bias=False))
    assert repr(net) == (
        "Sequential(\n"
        "  layers.0: MLP(\n    layers.0: Linear(4, 3)\n    layers.1: relu\n    layers.2: Linear(3, 2)\n  )\n"
        "  layers.1: ReLU()\n  layers.2: LeakyReLU(0.01)\n  layers.3: Linear(2, 2, bias=False)\n)"
    )


def test_sequential_is_a_list_of_layers():
    net = nn.Sequential(nn.Linear(3, 3, rng=0), mc.relu, nn.Linear(3, 2, rng=1))
    assert len(net) == 3 and net[-1] is list(net)[2] and len(net[:2]) == 2 and net[:2][0] is net[0]
