"""Layers and encoders against torch, to order 2, in every array library; normalisation layers also against their definition.

What each layer does for its parameters (order, state, moving) is tested for all of them in test_nn.py.
"""

import copy

import numpy as np
import pytest
from differences import assert_close
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl import nn
from minicl.nn import norms

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed, so it cannot be compared with")

small = settings(max_examples=30, deadline=None, derandomize=True)
sizes = st.integers(1, 7)
images = st.tuples(st.integers(2, 5), sizes, sizes, st.sampled_from([1, 2, 3, 5, 6]))


def normals(*shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape) * 2 + 1 for shape in shapes]


def first(x):
    """Channels first, for torch."""
    return torch.tensor(np.moveaxis(x, -1, 1) if x.ndim > 2 else x)


def last(t):
    """Channels last again."""
    x = t.detach().numpy()
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def to_torch(value):
    """A parameter in torch's layout."""
    return torch.tensor(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value)


def compare(layer, other, x, move=True):
    """Value and all gradients of a layer and of torch's, in float64, with the same random parameters."""
    into, back = (first, last) if move else (torch.tensor, lambda t: t.detach().numpy())
    rng = np.random.default_rng(7)
    parameters = list(other.parameters())
    assert len(parameters) == len(layer.parameters())
    for p, q in zip(parameters, layer.parameters()):
        q.data = rng.standard_normal(q.shape)
        p.data, p.grad = to_torch(q.data), None
    tx = into(x).requires_grad_()
    leaf = mc.tensor(x)
    y, ty = layer(leaf), other(tx)
    c = rng.standard_normal(y.shape)
    ty.backward(into(c))
    assert_close(y.numpy(), back(ty), 1e-9, 1e-12)
    gx, *gradients = mc.grad(y, [leaf, *layer.parameters()], cotangent=c)
    assert_close(gx, back(tx.grad), 1e-9, 1e-12)
    for g, p, (name, _) in zip(gradients, parameters, layer.named_parameters()):
        g_torch = p.grad.numpy()
        expected = g_torch.transpose(2, 3, 1, 0) if g_torch.ndim == 4 else g_torch
        assert_close(g, expected, 1e-9, 1e-12, what=name)


# ----------------------------------------------------------------------------------------------------- against torch


@needs_torch
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@small
@given(images, st.sampled_from([1, 2]), st.sampled_from([0, 1, "same"]), st.booleans(), st.sampled_from([1, 2]))
def test_conv2d_equals_torch(shape, stride, padding, bias, groups):
    assume(min(shape[1:3]) >= 3 and (padding != "same" or stride == 1))
    channels = shape[3] * groups
    layer = nn.Conv2d(channels, 2 * groups, (3, 2), stride, padding, 1, groups, bias, dtype=np.float64)
    other = torch.nn.Conv2d(channels, 2 * groups, (3, 2), stride, padding, 1, groups, bias, dtype=torch.float64)
    compare(layer, other, *normals((*shape[:3], channels)))


@needs_torch
@small
@given(images)
def test_pooling_layers_equal_torch(shape):
    assume(min(shape[1:3]) >= 2)
    (x,) = normals(shape)
    compare(nn.MaxPool2d(2, 1, 1), torch.nn.MaxPool2d(2, 1, 1), x)
    compare(nn.AvgPool2d(2, 1, 1, False), torch.nn.AvgPool2d(2, 1, 1, count_include_pad=False), x)
    compare(nn.GlobalAvgPool(), torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), x)


@needs_torch
@small
@given(images, st.booleans(), st.sampled_from([0.1, 0.3, 1.0, None]), st.sampled_from([1e-5, 0.1]))
def test_batch_norm_equals_torch(shape, affine, momentum, eps):
    """In training over three batches, with the running values after them, and in evaluation."""
    options = {"eps": eps, "momentum": momentum, "affine": affine}
    kinds = [(shape, nn.BatchNorm2d, "BatchNorm2d"), (shape[1:], nn.BatchNorm1d, "BatchNorm1d")]
    kinds += [((shape[0], shape[3]), nn.BatchNorm1d, "BatchNorm1d")]
    for shape, kind, name in kinds:
        assume(np.prod(shape[:-1]) > 1)
        layer = kind(shape[-1], **options, dtype=np.float64)
        other = getattr(torch.nn, name)(shape[-1], **options, dtype=torch.float64)
        for k in range(3):
            compare(layer, other, normals(shape)[0] * (k + 1) + k)
        assert_close(layer.running_mean, other.running_mean.numpy(), 1e-12)
        assert_close(layer.running_var, other.running_var.numpy(), 1e-12)
        assert layer.batches == 3
        compare(layer.eval(), other.eval(), *normals(shape))


@needs_torch
@small
@given(images, st.integers(1, 3), st.booleans())
def test_layer_norm_equals_torch(shape, axes, affine):
    assume(np.prod(shape[-axes:]) > 1)
    options = {"elementwise_affine": affine, "dtype": torch.float64}
    layer, other = (
        nn.LayerNorm(shape[-axes:], affine=affine, dtype=np.float64),
        torch.nn.LayerNorm(shape[-axes:], **options),
    )
    (x,) = normals(shape)
    rng = np.random.default_rng(7)
    for p, q in zip(other.parameters(), layer.parameters()):
        q.data = rng.standard_normal(q.shape)
        p.data = torch.tensor(q.data)
    leaf, tx = mc.tensor(x), torch.tensor(x, requires_grad=True)
    y, ty = layer(leaf), other(tx)
    c = rng.standard_normal(shape)
    ty.backward(torch.tensor(c))
    assert_close(y.numpy(), ty.detach().numpy(), 1e-9)
    for g, t in zip(mc.grad(y, [leaf, *layer.parameters()], cotangent=c), [tx, *other.parameters()]):
        assert_close(g, t.grad.numpy(), 1e-9, 1e-12)


@needs_torch
@small
@given(images, st.sampled_from([1, 2, 3, 6]), st.booleans())
def test_group_norm_equals_torch(shape, groups, affine):
    assume(shape[3] % groups == 0 and shape[1] * shape[2] > 1)
    layer = nn.GroupNorm(groups, shape[3], affine=affine, dtype=np.float64)
    compare(layer, torch.nn.GroupNorm(groups, shape[3], affine=affine, dtype=torch.float64), *normals(shape))


@needs_torch
@small
@given(st.lists(st.integers(0, 4), max_size=12))
def test_embedding_equals_torch(indices):
    """Rows that are taken twice receive twice."""
    layer, other = nn.Embedding(5, 3, rng=0, dtype=np.float64), torch.nn.Embedding(5, 3, dtype=torch.float64)
    other.weight.data = torch.tensor(layer.weight.data)
    indices = np.array(indices, int).reshape(1, -1)
    y, ty = layer(indices), other(torch.tensor(indices))
    (c,) = normals(y.shape)
    ty.backward(torch.tensor(c))
    assert np.array_equal(y.numpy(), ty.detach().numpy())
    assert_close(mc.grad(y, layer.weight, cotangent=c), other.weight.grad.numpy(), 1e-12)


def torch_convnet(channels, strides):
    layers = []
    for before, after, stride in zip([2, *channels], channels, strides):
        layers += [
            torch.nn.Conv2d(before, after, 3, stride, 1, bias=False),
            torch.nn.BatchNorm2d(after),
            torch.nn.ReLU(),
        ]
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).double()


@needs_torch
def test_the_convnet_equals_torch():
    net = nn.ConvNet(2, (3, 5, 7, 6), rng=0, dtype=np.float64)
    other = torch_convnet((3, 5, 7, 6), (1, 2, 2, 1))
    compare(net, other, *normals((5, 11, 8, 2)))
    compare(net.eval(), other.eval(), *normals((5, 11, 8, 2)))


@needs_torch
@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_the_resnet_equals_torch(shortcut):
    class Block(torch.nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.norm1 = torch.nn.BatchNorm2d(after)
            self.conv2 = torch.nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.norm2 = torch.nn.BatchNorm2d(after)
            self.stride, self.more, self.side = stride, after - before, None
            if shortcut == "conv" and (stride > 1 or before != after):
                conv = torch.nn.Conv2d(before, after, 1, stride, bias=False)
                self.side = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(after))

        def forward(self, x):
            y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
            padded = torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            return torch.relu(y + (self.side(x) if self.side is not None else padded))

    blocks = [Block(3, 3, 1), Block(3, 3, 1), Block(3, 6, 2), Block(6, 6, 1), Block(6, 12, 2), Block(12, 12, 1)]
    stem = [torch.nn.Conv2d(2, 3, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(3), torch.nn.ReLU()]
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    net = nn.ResNet(14, 2, 3, shortcut, rng=0, dtype=np.float64)
    compare(net, torch.nn.Sequential(*stem, *blocks, *head).double(), *normals((4, 9, 8, 2)))


# ------------------------------------------------------------------------------------------------------ higher orders

ORDER_2 = {
    "Conv2d": (lambda: nn.Conv2d(2, 2, 2, padding=1, rng=0, dtype=np.float64), (2, 3, 3, 2)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3, dtype=np.float64), (4, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2, dtype=np.float64), (2, 3, 2, 2)),
    "BatchNorm2d, evaluated": (lambda: nn.BatchNorm2d(2, dtype=np.float64).eval(), (2, 3, 2, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(4, dtype=np.float64), (3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, dtype=np.float64), (2, 2, 2, 4)),
    "ConvNet": (lambda: nn.ConvNet(1, (1, 2), activation=mc.tanh, rng=0, dtype=np.float64), (2, 3, 2, 1)),
    "ResidualBlock": (lambda: nn.ResidualBlock(1, 2, 2, activation=mc.tanh, rng=0, dtype=np.float64), (2, 3, 2, 1)),
}


def places(layer):
    """Where the parameters are: pairs (module, attribute)."""
    return [(m, key) for _, m in layer.named_modules() for key, v in vars(m).items() if isinstance(v, mc.Tensor)]


@pytest.mark.parametrize("name", ORDER_2)
def test_layers_have_second_derivatives(name, rng):
    """With respect to the input and to every parameter: the Tensors of the check stand in for the parameters."""
    make, shape = ORDER_2[name]

    def f(x, *values):
        layer = make()
        for (module, key), value in zip(places(layer), values):
            setattr(module, key, value)
        return layer(x)

    parameters = [getattr(m, key).data for m, key in places(make())]
    parameters = [p + 0.3 * rng.standard_normal(p.shape) for p in parameters]
    assert mc.gradcheck.check(f, rng.standard_normal(shape), *parameters, order=2).passed


# ------------------------------------------------------------------------------------------- BatchNorm, what is special


@pytest.mark.parametrize(
    "rows, channels", [(2, 1), (7, 3), (512, 1), (1000, 5), (4096, 32), (3001, 64), (5, 700), (8192, 128)]
)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("block", [1, 2**14, norms.BLOCK])
def test_batch_norm_in_blocks_is_its_definition(rows, channels, rectify, block, rng, monkeypatch):
    """Also at the edges of blocks, and with relu after it: value, gradients, mean and variance."""
    monkeypatch.setattr(norms, "BLOCK", block)
    arrays = rng.standard_normal((rows, channels)) + 3, rng.standard_normal(channels), rng.standard_normal(channels)
    c = rng.standard_normal((rows, channels))
    results = []
    for f in (norms._batch_norm, norms.batch_norm_by_definition):
        leaves = [mc.tensor(a) for a in arrays]
        y = f(*leaves, eps=1e-3, rectify=rectify)
        results.append([y.data, *mc.grad(y, leaves, cotangent=c)])
        results[-1] += mc.grad(y, leaves[1:], cotangent=c)
    for found, expected in zip(*results):
        assert_close(found, expected, 1e-11)
    mean, variance = norms._moments(np, arrays[0])
    assert_close(mean, arrays[0].mean(axis=0), 1e-13)
    assert_close(variance, arrays[0].var(axis=0), 1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5), (np.float16, 2e-2)])
@pytest.mark.parametrize("net", [lambda d: nn.ConvNet(2, (5, 3), rng=0, dtype=d), lambda d: nn.ResNet(8, 2, 4, rng=0, dtype=d)])
def test_a_network_is_its_layers_one_after_the_other(net, dtype, tolerance, rng):
    """BatchNorm and the relu after it are one primitive in training: the same value, gradients and running statistics."""
    x, results = mc.tensor(rng.standard_normal((6, 8, 7, 2)), dtype), []
    for one_by_one in (True, False):
        model = net(dtype)
        if one_by_one:
            for _, m in model.named_modules():
                if isinstance(m, nn.ReLU) or getattr(m, "f", None) is mc.relu:
                    m.f = lambda x: mc.relu(x)  # another function with the same values is not put together
        y = model(x)
        c = np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype)
        results.append([y.data, *mc.grad(y, [x, *model.parameters()], cotangent=c)])
        results[-1] += [a for _, a in model.named_buffers()] + [model.eval()(x).data]
    for found, expected in zip(*results):
        assert found.dtype == expected.dtype
        assert_close(found, expected, tolerance, 1e-2 if dtype == np.float16 else 1e-6 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("activation", [mc.relu, nn.ReLU, nn.ReLU()])
def test_relu_itself_is_computed_together_with_the_norm(activation, monkeypatch):
    kept, seen = norms._batch_norm, []
    monkeypatch.setattr(norms, "_batch_norm", lambda *args, **kw: (seen.append(kw["rectify"]), kept(*args, **kw))[1])
    nn.ConvNet(1, (2, 2), activation=activation, rng=0)(np.zeros((4, 6, 6, 1), np.float32))
    assert seen == [True, True]


class Halved(nn.ReLU):
    def forward(self, x):
        return 0.5 * super().forward(x)


class Twice(nn.Module):
    def __init__(self):
        self.f = mc.relu

    def forward(self, x):
        return 2 * self.f(x)


class Shifted(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) + 3


@pytest.mark.parametrize("activation", [Halved, Twice, nn.LeakyReLU])
def test_an_activation_that_only_looks_like_relu_is_called_as_it_is(activation, rng):
    x = rng.standard_normal((8, 6, 6, 1)).astype(np.float32)
    net = nn.ConvNet(1, (4, 3), activation=activation(), rng=0)
    expected = x
    for layer in net.layers:
        expected = layer(expected)
    assert_close(net(x).data, expected.data, 1e-6)
    block = nn.ResidualBlock(1, 4, activation=activation(), rng=0)
    y = block.norm2(block.conv2(block.activation(block.norm1(block.conv1(x)))))
    assert_close(block(x).data, block.activation(y + block._padded(x)).data, 1e-6)


@pytest.mark.parametrize("norm", [lambda: nn.GroupNorm(2, 4), nn.Sequential, lambda: Shifted(4), lambda: mc.tanh])
@pytest.mark.parametrize("training", [True, False])
def test_another_norm_may_stand_in_a_network(norm, training, rng):
    x = rng.standard_normal((8, 6, 6, 4)).astype(np.float32)
    block, net = nn.ResidualBlock(4, 4, rng=0), nn.ConvNet(4, (4,), rng=0)
    block.norm1, net.layers[1] = norm(), nn.layers.as_layer(norm())
    block.train(training), net.train(training)
    y = block.norm2(block.conv2(mc.relu(block.norm1(block.conv1(x)))))
    assert_close(block(x).data, mc.relu(y + x).data, 1e-6)
    assert_close(net(x).data, net.layers[3](mc.relu(net.layers[1](net.layers[0](x)))).data, 1e-6)


def test_a_network_may_end_with_its_norm(rng):
    x = rng.standard_normal((8, 6, 6, 1)).astype(np.float32)
    net = nn.ConvNet(1, (4,), rng=0)
    net.layers = net.layers[:-2]
    assert_close(net(x).data, net.layers[1](net.layers[0](x)).data, 1e-6)


def test_a_network_has_gradients_of_gradients(rng):
    net = nn.ConvNet(1, (2,), rng=0, dtype=np.float64)
    assert mc.gradcheck.check(lambda x: net(x), rng.standard_normal((2, 3, 3, 1)), order=2).passed


def test_statistics_of_float32_are_accurate_far_from_0(rng):
    x = (rng.standard_normal((60_000, 3)) + 1000).astype(np.float32)
    mean, variance = norms._moments(np, x)
    assert_close(mean, x.astype(float).mean(axis=0), 1e-7)
    assert_close(variance, x.astype(float).var(axis=0), 1e-4)


def test_a_constant_channel_gives_its_bias():
    layer = nn.BatchNorm1d(2, dtype=np.float64)
    layer.bias.data = [3.0, -1.0]
    x = mc.tensor(np.full((5, 2), 0.1))
    y = layer(x)
    assert_close(y.numpy(), np.broadcast_to([3.0, -1.0], (5, 2)), 1e-12)
    assert np.isfinite(mc.grad((y * y).sum(), x)).all()


def test_evaluation_does_not_depend_on_the_batch(rng):
    """Row by row and all at once: for every layer and encoder."""
    for net in (
        nn.ConvNet(2, (3, 4), rng=0),
        nn.ResNet(8, 2, 3, rng=0),
        nn.Sequential(nn.GroupNorm(1, 2), nn.LayerNorm(2)),
    ):
        x = rng.standard_normal((6, 7, 6, 2)).astype(np.float32)
        net(x)  # moves the running statistics
        net.eval()
        alone = np.concatenate([net(x[k : k + 1]).numpy() for k in range(6)])
        assert_close(net(x).numpy(), alone, 1e-6)
    layer = nn.BatchNorm2d(2)
    layer(x)
    before = layer.eval().state_dict()
    layer(x * 5)
    assert all(np.array_equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_checkpoint_updates_the_running_statistics_once(rng):
    x = rng.standard_normal((4, 6, 5, 2))

    def gradient(wrap):
        net = nn.ConvNet(2, (3, 4), rng=0, dtype=np.float64)
        y = mc.checkpoint(net, x) if wrap else net(x)
        gradients = mc.grad((y * y).sum(), net.parameters())
        return [*gradients, *net.state_dict().values()]

    for plain, again in zip(gradient(False), gradient(True)):
        assert np.array_equal(plain, again)


def test_running_statistics_are_state():
    net = nn.ConvNet(1, (3, 4), rng=0)
    names = ["weight", "bias", "running_mean", "running_var", "batches"]
    state = net.state_dict()
    assert {f"layers.1.{name}" for name in names} <= set(state) and state["layers.1.batches"].dtype == np.int64
    assert [n for n, _ in net.named_parameters()] == [
        *["layers.0.weight", "layers.1.weight", "layers.1.bias", "layers.3.weight", "layers.4.weight", "layers.4.bias"]
    ]
    net(normals((3, 5, 5, 1))[0].astype(np.float32))
    other = nn.ConvNet(1, (3, 4), rng=1).load_state_dict(net.state_dict())
    assert all(np.array_equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values()))
    assert other.layers[1].batches == 1 and state["layers.1.batches"] == 0


# --------------------------------------------------------------------------------------- libraries, precision, looks

NETS = {
    "ConvNet": lambda: nn.ConvNet(2, (3, 4), rng=0),
    "ResNet": lambda: nn.ResNet(8, 2, 3, shortcut="conv", rng=0),
    "norms": lambda: nn.Sequential(
        nn.MaxPool2d(2),
        nn.GroupNorm(1, 2),
        nn.LayerNorm(2),
        nn.AvgPool2d(2, padding=1),
        nn.BatchNorm2d(2, affine=False),
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_networks_compute_in_every_library_and_stay_float32(name, training, xp, rng):
    cpu = NETS[name]().train(training)
    net = copy.deepcopy(cpu).to("cpu" if xp is np else "gpu")
    x = rng.standard_normal((3, 8, 6, 2)).astype(np.float32)
    results = []
    for model, library in ((net, xp), (cpu, np)):
        leaf = mc.tensor(library.asarray(x))
        y = model(leaf)
        found = [y.data, *mc.grad((y * y).sum(), [leaf, *model.parameters()])]
        assert all(isinstance(a, library.ndarray) and a.dtype == np.float32 for a in found)
        results.append([mc.to_numpy(a) for a in found] + list(model.state_dict().values()))
    for found, expected in zip(*results):
        assert_close(found, expected, 2e-4, 1e-5)


def test_embedding_in_every_library(xp):
    layer = nn.Embedding(5, 3, rng=0).to("cpu" if xp is np else "gpu")
    y = layer(xp.asarray(np.array([1, 4, 1])))
    g = mc.to_numpy(mc.grad(y.sum(), layer.weight))
    assert g.dtype == np.float32 and g[:, 0].tolist() == [0, 2, 0, 0, 1]
    assert np.array_equal(layer([1, 4, 1]).numpy(), y.numpy())


def test_encoders_say_what_they_are():
    net = nn.ConvNet(rng=0)
    assert (
        net.outputs == 128 and net.summary((28, 28, 1)).parameters == 9 * (32 + 32 * 64 + 64 * 128 + 128**2) + 2 * 352
    )
    assert [row[2] for row in net.summary((28, 28, 1)).rows if row[1].startswith("Conv2d")] == [
        *[("N", 28, 28, 32), ("N", 14, 14, 64), ("N", 7, 7, 128), ("N", 7, 7, 128)]
    ]
    assert repr(nn.Conv2d(4, 8, (3, 2), 2, "same", groups=2, bias=False)) == (
        "Conv2d(4, 8, (3, 2), stride=2, padding='same', groups=2, bias=False)"
    )
    assert repr(nn.MaxPool2d(3, padding=1)) == "MaxPool2d(3, padding=1)"
    assert repr(nn.BatchNorm2d(3, momentum=None)) == "BatchNorm2d(3, momentum=None)"
    assert repr(nn.LayerNorm((2, 3), affine=False)) == "LayerNorm((2, 3), affine=False)"
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4)" and repr(nn.Embedding(5, 3)) == "Embedding(5, 3)"


@pytest.mark.parametrize("depth, million", [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnets_have_the_size_that_the_paper_says(depth, million):
    """Table 6 counts the linear layer for ten classes too."""
    net = nn.ResNet(depth, rng=0)
    count = sum(p.size for p in net.parameters()) + 64 * 10 + 10
    assert abs(count / 1e6 - million) < 0.06 * million
    assert sum(isinstance(m, nn.Conv2d) for _, m in net.named_modules()) == depth - 1 and net.outputs == 64


def test_equal_seeds_give_equal_encoders():
    for make in (nn.ConvNet, lambda rng: nn.ResNet(8, rng=rng)):
        a, b, c = make(rng=3), make(rng=np.random.default_rng(3)), make(rng=4)
        assert all(np.array_equal(p.data, q.data) for p, q in zip(a.parameters(), b.parameters()))
        assert not np.array_equal(a.parameters()[0].data, c.parameters()[0].data)


# --------------------------------------------------------------------------------------------------------- initialisers

FANS = [((300, 200), 300, 200), ((3, 3, 50, 70), 450, 630)]
VARIANCES = {
    "kaiming_normal": lambda fan_in, fan_out: 2 / fan_in,
    "glorot_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
    "lecun_uniform": lambda fan_in, fan_out: 1 / fan_in,
    "standard_normal": lambda fan_in, fan_out: 1.0,
}


@pytest.mark.parametrize("shape, fan_in, fan_out", FANS)
@pytest.mark.parametrize("name", VARIANCES)
def test_initialisers_have_the_variance_of_their_paper(name, shape, fan_in, fan_out):
    variance = VARIANCES[name](fan_in, fan_out)
    w = getattr(nn, name)(shape, rng=0)
    assert w.dtype == np.float32 and w.shape == shape and abs(w.mean()) < 0.02 * np.sqrt(variance)
    assert abs(w.var() / variance - 1) < 0.02
    kurtosis = (w**4).mean() / w.var() ** 2
    assert abs(kurtosis - (1.8 if name.endswith("uniform") else 3)) < 0.1


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (5, 5), (3, 2, 5, 7)])
def test_orthogonal_weights_keep_lengths(shape):
    w = nn.orthogonal(shape, rng=0, dtype=np.float64).reshape(-1, shape[-1])
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    assert_close(gram, np.eye(len(gram)), 1e-13)


# ------------------------------------------------------------------------------------------------------------ bad input

X = np.zeros((2, 6, 5, 3), np.float32)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: nn.Conv2d(4, 8, 3)(X), ValueError, r"Conv2d\(4, 8, 3\): .*\(2, 6, 5, 3\) has 3 channels.*takes 4"),
        (lambda: nn.Conv2d(3, 8, 7)(X), ValueError, r"Conv2d\(3, 8, 7\): .*7 x 7 pixels.*image 6 x 5.*smaller kernel"),
        (lambda: nn.Conv2d(3, 8, 3)(X[0]), ValueError, r"Conv2d\(3, 8, 3\): .*got shape \(6, 5, 3\).*channels last"),
        (lambda: nn.Conv2d(3, 8, 3)(X.astype(int)), TypeError, r"Conv2d\(3, 8, 3\): .*got int64.*astype"),
        (lambda: nn.Conv2d(3, 8, 3, groups=2), ValueError, "3 inputs, 8 outputs and 2 groups"),
        (lambda: nn.Conv2d(0, 8, 3), ValueError, "0 inputs"),
        (lambda: nn.Conv2d(3, 8, (1, 2, 3)), ValueError, r"kernel_size.*got \(1, 2, 3\)"),
        (lambda: nn.MaxPool2d(7)(X), ValueError, r"MaxPool2d\(7\): .*7 x 7"),
        (lambda: nn.AvgPool2d(2)(X[0]), ValueError, r"AvgPool2d\(2\): .*\(6, 5, 3\)"),
        (lambda: nn.GlobalAvgPool()(X[0]), ValueError, r"GlobalAvgPool\(\): .*\(6, 5, 3\)"),
        (lambda: nn.BatchNorm2d(4)(X), ValueError, r"BatchNorm2d\(4\): got shape \(2, 6, 5, 3\); give \(N, H, W, 4\)"),
        (lambda: nn.BatchNorm2d(3)(X[0]), ValueError, r"BatchNorm2d\(3\): got shape \(6, 5, 3\)"),
        (lambda: nn.BatchNorm1d(3)(X), ValueError, r"give \(N, 3\) or \(N, L, 3\)"),
        (lambda: nn.BatchNorm1d(3)(X[0, 0, :1]), ValueError, r"BatchNorm1d\(3\): got shape \(1, 3\) in training.*eval"),
        (lambda: nn.BatchNorm2d(3)(X[:1, :1, :1]), ValueError, r"\(1, 1, 1, 3\) in training.*larger batch"),
        (lambda: nn.BatchNorm2d(3)(X[:0]), ValueError, "0 value for each channel"),
        (lambda: nn.BatchNorm2d(3)(X.astype(np.uint8)), TypeError, r"BatchNorm2d\(3\): got uint8"),
        (lambda: nn.BatchNorm2d(0), ValueError, "0 channels"),
        (lambda: nn.BatchNorm2d(3, momentum=2), ValueError, "momentum lies in"),
        (lambda: nn.LayerNorm(4)(X), ValueError, r"LayerNorm\(4\): got shape \(2, 6, 5, 3\); give \(\.\.\., 4\)"),
        (lambda: nn.LayerNorm(3)(X.astype(int)), TypeError, r"LayerNorm\(3\): got int64"),
        (lambda: nn.LayerNorm(()), ValueError, "at least 1"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "2 groups do not divide 3 channels"),
        (
            lambda: nn.GroupNorm(2, 4)(X),
            ValueError,
            r"GroupNorm\(2, 4\): got shape \(2, 6, 5, 3\); give \(N, \.\.\., 4\)",
        ),
        (lambda: nn.Embedding(5, 2)([1, 5]), IndexError, r"Embedding\(5, 2\): got indices from 1 to 5.*rows 0 to 4"),
        (lambda: nn.Embedding(5, 2)([-1]), IndexError, "from -1 to -1"),
        (lambda: nn.Embedding(5, 2)([1.0]), TypeError, "indices are integers"),
        (lambda: nn.Embedding(0, 2), ValueError, "0 rows"),
        (lambda: nn.ConvNet(1, (3, 4), (1,)), ValueError, r"channels \(3, 4\) and strides \(1,\)"),
        (lambda: nn.ConvNet(1)(X), ValueError, r"Conv2d\(1, 32, 3, .*has 3 channels"),
        (lambda: nn.ResNet(18), ValueError, "depth is 6n.*got 18"),
        (lambda: nn.ResidualBlock(4, 2), ValueError, 'shortcut="conv"'),
        (lambda: nn.ResidualBlock(4, 4, shortcut="none"), ValueError, "not 'none'"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_layer_on_another_device_is_named(gpu):
    x = gpu.asarray(X)
    for layer in (nn.Conv2d(3, 2, 2), nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval()):
        with pytest.raises(TypeError, match=r"2d\(3.*gpu"):
            layer(x)
