"""Each layer there is: equal to torch's in float64, and with second derivatives, alone and in whole networks.

The second derivative is held against differences of the gradient, along a random direction of input and parameters:
H v = (∇L(w + hv) − ∇L(w − hv)) / 2h. In training BatchNorm makes every image depend on every other, so that H is full.
"""

import numpy as np
import pytest
from differences import WEIGHTS, assert_close
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_layers import compare, needs_torch, normals
from test_nn import ELSEWHERE, LAYERS

import minicl as mc
from minicl import nn

try:
    import torch
except ImportError:
    torch = None

small = settings(max_examples=30, deadline=None, derandomize=True)
sizes = st.integers(1, 7)
shapes = st.lists(sizes, min_size=1, max_size=4).map(tuple)


# ----------------------------------------------------------------------------------------------------- against torch


def compare_rows(layer, other, x):
    """As `compare`, for layers that take rows: torch has the weight of a linear map transposed."""
    rng = np.random.default_rng(7)
    for p, q in zip(other.parameters(), layer.parameters(), strict=True):
        q.data = rng.standard_normal(q.shape)
        p.data = torch.tensor(q.data.T)
    leaf, tx = mc.tensor(x), torch.tensor(x, requires_grad=True)
    y, ty = layer(leaf), other(tx)
    c = rng.standard_normal(y.shape)
    ty.backward(torch.tensor(c))
    assert_close(y.numpy(), ty.detach().numpy(), 1e-9, 1e-12)
    gx, *gradients = mc.grad(y, [leaf, *layer.parameters()], cotangent=c)
    assert_close(gx, tx.grad.numpy(), 1e-9, 1e-12)
    for g, p, (name, _) in zip(gradients, other.parameters(), layer.named_parameters(), strict=True):
        assert_close(g, p.grad.numpy().T, 1e-9, 1e-12, what=name)


@needs_torch
@small
@given(shapes, sizes, st.booleans())
def test_linear_equals_torch(shape, outputs, bias):
    layer = nn.Linear(shape[-1], outputs, bias, dtype=np.float64)
    compare_rows(layer, torch.nn.Linear(shape[-1], outputs, bias, dtype=torch.float64), *normals(shape))


ACTIVATIONS = ["ReLU", "LeakyReLU", "GELU", "SiLU", "Tanh", "Sigmoid"]


@needs_torch
@small
@given(shapes, st.sampled_from([1e-3, 1.0, 30.0]))
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_torch(name, shape, scale):
    (x,) = normals(shape)
    compare_rows(getattr(nn, name)(), getattr(torch.nn, name)(), (x - 1) * scale)
    if name == "LeakyReLU":
        compare_rows(nn.LeakyReLU(0.3), torch.nn.LeakyReLU(0.3), x - 1)


@needs_torch
@small
@given(shapes.filter(lambda shape: len(shape) > 1))
def test_flatten_equals_torch(shape):
    compare_rows(nn.Flatten(), torch.nn.Flatten(), *normals(shape))


@needs_torch
@small
@given(st.lists(sizes, min_size=2, max_size=4), st.integers(1, 5), st.booleans())
def test_the_mlp_and_the_head_equal_torch(widths, rows, last):
    def theirs(widths, after_last):
        layers = []
        for before, after in zip(widths, widths[1:]):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        return torch.nn.Sequential(*(layers if after_last else layers[:-1])).double()

    net = nn.MLP(widths, output_activation=mc.relu if last else None, dtype=np.float64)
    compare_rows(net, theirs(widths, last), *normals((rows, widths[0])))
    head = nn.ProjectionHead(widths[0], 5, widths[1], dtype=np.float64)
    compare_rows(head, theirs([widths[0], 5, widths[1]], False), *normals((rows, widths[0])))


@needs_torch
@small
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.sampled_from([(1, 1, 1), (1, 2, 3), (2, 1, 2), (3, 1, 1)]),
)
def test_every_setting_of_a_convolution_equals_torch(images, kernel, stride, padding, dilation, channels):
    groups, inputs, outputs = channels
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(images[1:], padding, dilation, kernel)))
    settings_ = (inputs * groups, outputs * groups, kernel, stride, padding, dilation, groups)
    layer, other = nn.Conv2d(*settings_, dtype=np.float64), torch.nn.Conv2d(*settings_, dtype=torch.float64)
    compare(layer, other, *normals((*images, inputs * groups)))


@needs_torch
@small
@given(
    st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9), st.integers(1, 3)),
    st.sampled_from([(2, None, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (1, 1, 0), (2, 3, 1)]),
    st.sampled_from([1, 2]),
)
def test_every_setting_of_pooling_equals_torch(shape, options, dilation):
    kernel, stride, padding = options
    reach = [dilation * (k - 1) for k in np.broadcast_to(kernel, 2)]
    assume(all(n + 2 * p > r for n, p, r in zip(shape[1:3], np.broadcast_to(padding, 2), reach)))
    (x,) = normals(shape)
    compare(nn.MaxPool2d(*options, dilation), torch.nn.MaxPool2d(*options, dilation), x)
    if dilation == 1:
        compare(nn.AvgPool2d(*options), torch.nn.AvgPool2d(*options), x)
        without = {"count_include_pad": False}
        compare(nn.AvgPool2d(*options, **without), torch.nn.AvgPool2d(*options, **without), x)


@needs_torch
@small
@given(shapes, st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 99))
def test_dropout_equals_torch_with_the_same_mask(shape, p, seed):
    mask = torch.tensor(nn.Dropout(p, rng=seed)(np.ones(shape)))
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - p)}
    (x,) = normals(shape)
    leaf, tx = mc.tensor(x), torch.tensor(x, requires_grad=True)
    y, ty = nn.Dropout(p, rng=seed)(leaf), tx * mask
    (c,) = normals(shape)
    ty.backward(torch.tensor(c))
    assert_close(y.numpy(), ty.detach().numpy(), 1e-12)
    assert_close(mc.grad(y, leaf, cotangent=c), tx.grad.numpy(), 1e-12)


# ------------------------------------------------------------------------------------------------------ higher orders


def norm64(*layers):
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, rng=0, dtype=np.float64), *layers, nn.GlobalAvgPool())


NETWORKS = {
    "ConvNet, ReLU": (lambda: nn.ConvNet(1, (2, 3, 4), rng=0, dtype=np.float64), (4, 6, 5, 1)),
    "ConvNet, evaluated": (lambda: nn.ConvNet(1, (2, 3, 4), rng=0, dtype=np.float64).eval(), (4, 6, 5, 1)),
    "ResNet-8, ReLU": (lambda: nn.ResNet(8, 1, 2, rng=0, dtype=np.float64), (4, 6, 5, 1)),
    "ResNet-8, tanh": (lambda: nn.ResNet(8, 1, 2, activation=mc.tanh, rng=0, dtype=np.float64), (4, 6, 5, 1)),
    "ResNet-8, conv": (lambda: nn.ResNet(8, 1, 2, shortcut="conv", rng=0, dtype=np.float64), (4, 6, 5, 1)),
    "ResNet-14": (lambda: nn.ResNet(14, 1, 2, rng=0, dtype=np.float64), (3, 6, 5, 1)),
    "GroupNorm": (lambda: norm64(nn.GroupNorm(3, 3, dtype=np.float64), nn.GELU), (3, 4, 5, 1)),
    "LayerNorm": (lambda: norm64(nn.LayerNorm(3, dtype=np.float64), nn.SiLU), (3, 4, 5, 1)),
    "pooling": (lambda: norm64(nn.MaxPool2d(2, 1), nn.Tanh, nn.AvgPool2d(2)), (3, 5, 6, 1)),
    "encoder and head": (
        lambda: nn.Sequential(
            nn.ResNet(8, 1, 2, rng=0, dtype=np.float64), nn.ProjectionHead(8, 5, 3, rng=1, dtype=np.float64)
        ),
        (4, 6, 5, 1),
    ),
}


SMALL_STEP = {"h": 1e-7, "tolerance": 1e-6}  # hundreds of ReLUs: no kink may lie within a step


def quadratic(y, c):
    """Not linear in y, so that a layer that is linear has second derivatives too."""
    return (c * y).sum() + 0.5 * (y * y).sum()


def nt_xent(y, c):
    return mc.nt_xent(y, c, 0.5)  # the other views are constants


def assert_second_order(make, shape, loss, rng, h=1e-4, tolerance=1e-8):
    layer = make()
    values = [rng.uniform(0.05, 1.0, shape) * rng.choice([-1, 1], shape)]  # not near a kink at 0
    values += [p.data + 0.1 * rng.standard_normal(p.shape) for p in layer.parameters()]
    direction = [rng.standard_normal(value.shape) for value in values]
    c = rng.standard_normal(layer(values[0]).shape)

    def gradients(step=0.0, **options):
        layer = make()  # anew, so that dropout draws the same mask
        x, *new = (value + step * d for value, d in zip(values, direction))
        for p, value in zip(layer.parameters(), new):
            p.data = value
        leaves = [mc.tensor(x), *layer.parameters()]
        return leaves, mc.grad(loss(layer(leaves[0]), c), leaves, **options)

    leaves, slopes = gradients(differentiable=True)
    found = mc.grad(sum((g * d).sum() for g, d in zip(slopes, direction)), leaves)
    expected = [0.0] * len(values)
    for step, weight in WEIGHTS:
        expected = [e + weight * g / h for e, g in zip(expected, gradients(step * h)[1])]
    top = max(np.abs(e).max() for e in expected)
    assert top > 1e-3  # there is something to be seen
    names = ["x", *(name for name, _ in make().named_parameters())]
    for name, f, e in zip(names, found, expected):
        assert_close(f, e, tolerance, floor=tolerance * top, what=name)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_has_second_derivatives(name, rng):
    assert_second_order(*LAYERS[name], quadratic, rng)


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_have_second_derivatives(name, rng):
    """With BatchNorm in training, unless it says otherwise."""
    assert_second_order(*NETWORKS[name], quadratic, rng, **SMALL_STEP)


@pytest.mark.parametrize("name", ["ConvNet, ReLU", "ResNet-8, ReLU", "encoder and head"])
def test_nt_xent_has_second_derivatives_through_a_network(name, rng):
    assert_second_order(*NETWORKS[name], nt_xent, rng, **SMALL_STEP)


def test_an_embedding_has_second_derivatives(rng):
    """Rows that are taken twice, and one that is not taken."""
    table = nn.Embedding(4, 3, rng=0, dtype=np.float64)
    indices, c, v = np.array([[1, 3], [1, 0]]), rng.standard_normal((2, 2, 3)), rng.standard_normal((4, 3))
    g = mc.grad(quadratic(mc.tanh(table(indices)), c), table.weight, differentiable=True)
    found = mc.grad((g * v).sum(), table.weight)
    w, expected, h = table.weight.data.copy(), 0.0, 1e-4
    for step, weight in WEIGHTS:
        table.weight.data = w + step * h * v
        expected = expected + weight * mc.grad(quadratic(mc.tanh(table(indices)), c), table.weight) / h
    assert_close(found, expected, 1e-8)
    assert not found[2].any() and found[1].all()


def test_no_layer_is_left_out():
    """`LAYERS` holds every layer there is, as test_nn.py shows, but for those that stand here."""
    assert ELSEWHERE == {"Embedding", "ResNet"}
