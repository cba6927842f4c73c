"""Encoders turn images into representations h, and projection heads turn these into the embeddings z that the loss
sees.

The head is thrown away after training: what the loss asks for (to forget the views) costs information, and the head is
where it is lost (Chen et al. 2020, section 4.2).
"""

import math

import numpy as np

from ..functional import pad
from ..ops import relu
from .images import Conv2d, GlobalAvgPool
from .initializers import glorot_uniform, kaiming_normal, kaiming_uniform
from .layers import Function, Linear, ReLU, Sequential, as_layer
from .module import Module
from .norms import BatchNorm2d


class MLP(Sequential):
    """A multilayer perceptron: linear maps with an activation between them, and none after the last.

    Parameters
    ----------
    sizes : list of int
        Lengths from the input to the output: `[64, 256, 128]` has one hidden layer of 256.
    activation : function or Module
    output_activation : function or Module, optional
        Applied to the output too.
    rng : Generator or seed
    dtype : dtype

    Notes
    -----
    The input has shape (N, ...), with sizes[0] numbers for each of the N: images are flattened. A layer with an
    activation after it starts with Kaiming weights, a last one without it with Glorot weights.

    Examples
    --------
    >>> net = MLP([64, 32, 16], rng=0)
    >>> net(np.zeros((5, 8, 8, 1), dtype=np.float32)).shape
    (5, 16)
    """

    def __init__(self, sizes, activation=relu, output_activation=None, rng=None, dtype=np.float32):
        if len(sizes) < 2:
            raise ValueError(f"MLP: sizes {list(sizes)} must name at least an input and an output.")
        rng = np.random.default_rng(rng)
        layers = []
        for k, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            after = activation if k < len(sizes) - 2 else output_activation
            init = glorot_uniform if after is None else kaiming_uniform
            layers.append(Linear(inputs, outputs, init=init, rng=rng, dtype=dtype))
            if after is not None:
                layers.append(after)
        super().__init__(*layers)

    def forward(self, x):
        inputs = self[0].weight.shape[0]
        if not x.ndim or math.prod(x.shape[1:]) != inputs:
            name = type(self).__name__
            raise ValueError(
                f"{name}: got shape {tuple(x.shape)}; give (N, ...) with {inputs} numbers for each of the N."
            )
        return super().forward(x if x.ndim == 2 else x.reshape((x.shape[0], inputs)))


class ProjectionHead(MLP):
    """The head of SimCLR: z = W₂ relu(W₁ h + b₁) + b₂.

    Parameters
    ----------
    inputs, hidden, outputs : int
    rng : Generator or seed
    dtype : dtype

    Examples
    --------
    >>> ProjectionHead(128, 128, 64, rng=0)(np.zeros((5, 128), dtype=np.float32)).shape
    (5, 64)
    """

    def __init__(self, inputs, hidden, outputs, rng=None, dtype=np.float32):
        super().__init__([inputs, hidden, outputs], rng=rng, dtype=dtype)


class _Network(Sequential):
    """Layers, one after the other, where BatchNorm and the relu after it are computed in one go."""

    def forward(self, x):
        layers = list(self.layers)
        while layers:
            layer = layers.pop(0)
            x = normed(layer, layers.pop(0), x) if layers and isinstance(layer, BatchNorm2d) else layer(x)
        return x


def normed(norm, activation, x):
    """activation(norm(x)). In training, BatchNorm and relu are one primitive: half the passes over the memory.

    Only these two themselves: what somebody put in their place, or derived from them, is called as it is.
    """
    plain = type(activation) is ReLU or (type(activation) is Function and activation.f is relu)
    fused = plain and getattr(type(norm), "forward", None) is BatchNorm2d.forward and norm.training
    return norm(x, rectify=True) if fused else activation(norm(x))


class ConvNet(_Network):
    """A plain convolutional encoder: 3 x 3 convolutions with BatchNorm and activation, then the mean over all places.

    Parameters
    ----------
    inputs : int
        Channels of the images: 1 for grey, 3 for colour.
    channels : sequence of int
        Channels after each convolution; the last one is the length of the representation.
    strides : sequence of int
        2 halves the image. By default the second and the third convolution do.
    activation : function or Module
    rng : Generator or seed
    dtype : dtype

    Raises
    ------
    ValueError
        If there are not as many strides as channels.

    Notes
    -----
    Images have shape (N, H, W, inputs), the result (N, channels[-1]). Any H and W will do. The convolutions have no bias,
    since BatchNorm would take it off again.

    Examples
    --------
    >>> net = ConvNet(rng=0)
    >>> net(np.zeros((2, 28, 28, 1), dtype=np.float32)).shape
    (2, 128)
    """

    def __init__(
        self, inputs=1, channels=(32, 64, 128, 128), strides=None, activation=relu, rng=None, dtype=np.float32
    ):
        if strides is None:
            strides = [2 if k in (1, 2) else 1 for k in range(len(channels))]
        if len(strides) != len(channels) or not channels:
            raise ValueError(
                f"ConvNet: channels {tuple(channels)} and strides {tuple(strides)} must have one entry a convolution."
            )
        rng = np.random.default_rng(rng)
        layers = []
        for before, after, stride in zip([inputs, *channels], channels, strides):
            layers += [
                Conv2d(before, after, 3, stride, padding=1, bias=False, init=kaiming_normal, rng=rng, dtype=dtype),
                BatchNorm2d(after, dtype=dtype),
                activation,
            ]
        super().__init__(*layers, GlobalAvgPool())
        self.outputs = channels[-1]


class ResidualBlock(Module):
    """Two 3 x 3 convolutions whose result is added to the input: y = relu(f(x) + shortcut(x)).

    Parameters
    ----------
    inputs, outputs : int
        Numbers of channels.
    stride : int
        Of the first convolution and of the shortcut.
    shortcut : {"pad", "conv"}
        Where the shape changes: take every `stride`-th pixel and add channels of zeros, which has no parameters (option A
        of the paper), or a 1 x 1 convolution with BatchNorm (option B).
    activation : function or Module
    rng : Generator or seed
    dtype : dtype

    Raises
    ------
    ValueError
        If `shortcut` has another value, or "pad" would have to take channels away.

    Notes
    -----
    f = BatchNorm ∘ Conv ∘ relu ∘ BatchNorm ∘ Conv (He et al. 2015, arXiv:1512.03385, section 3).

    Examples
    --------
    >>> ResidualBlock(4, 8, stride=2, rng=0)(np.zeros((2, 6, 6, 4), dtype=np.float32)).shape
    (2, 3, 3, 8)
    """

    def __init__(self, inputs, outputs, stride=1, shortcut="pad", activation=relu, rng=None, dtype=np.float32):
        if shortcut not in ("pad", "conv"):
            raise ValueError(f'ResidualBlock: shortcut is "pad" or "conv", not {shortcut!r}.')
        if shortcut == "pad" and outputs < inputs:
            raise ValueError(
                f'ResidualBlock: {inputs} inputs cannot be padded to {outputs} outputs; use shortcut="conv".'
            )
        rng = np.random.default_rng(rng)
        options = {"bias": False, "init": kaiming_normal, "rng": rng, "dtype": dtype}
        self.conv1 = Conv2d(inputs, outputs, 3, stride, padding=1, **options)
        self.norm1 = BatchNorm2d(outputs, dtype=dtype)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1, **options)
        self.norm2 = BatchNorm2d(outputs, dtype=dtype)
        self.inputs, self.outputs, self.stride, self.kind = inputs, outputs, stride, shortcut
        self.activation, self.shortcut = as_layer(activation), None
        if shortcut == "conv" and (stride != 1 or inputs != outputs):
            self.shortcut = Sequential(Conv2d(inputs, outputs, 1, stride, **options), BatchNorm2d(outputs, dtype=dtype))

    def forward(self, x):
        y = normed(self.norm1, self.activation, self.conv1(x))
        y = self.norm2(self.conv2(y))
        return self.activation(y + (self._padded(x) if self.shortcut is None else self.shortcut(x)))

    def _padded(self, x):
        if self.stride != 1:
            x = x[:, :: self.stride, :: self.stride]
        more = self.outputs - self.inputs
        return pad(x, ((0, 0), (0, 0), (0, 0), (0, more))) if more else x

    def describe(self):
        options = ("" if self.stride == 1 else f", stride={self.stride}") + (
            "" if self.kind == "pad" else f", shortcut={self.kind!r}"
        )
        return f"{self.inputs}, {self.outputs}{options}"


class ResNet(_Network):
    """The residual network for small images, of any depth 6n + 2: ResNet-8, 14, 20, 32, 44, 56, 110.

    Parameters
    ----------
    depth : int
        6n + 2: the first convolution, three stages of n blocks with two convolutions, and the linear layer that a
        classifier would put on top. It is not part of the encoder.
    inputs : int
        Channels of the images.
    width : int
        Channels of the first stage; the second and the third have 2 and 4 times as many, at half and a quarter of the
        size.
    shortcut : {"pad", "conv"}
        See `ResidualBlock`.
    activation : function or Module
    rng : Generator or seed
    dtype : dtype

    Raises
    ------
    ValueError
        If the depth is not 6n + 2.

    Notes
    -----
    Images have shape (N, H, W, inputs), the result (N, 4·width) (He et al. 2015, arXiv:1512.03385, section 4.2).

    Examples
    --------
    >>> net = ResNet(20, rng=0)
    >>> net(np.zeros((2, 32, 32, 3), dtype=np.float32)).shape
    (2, 64)
    >>> sum(p.size for p in net.parameters())  # the paper says 0.27 million
    269072
    """

    def __init__(self, depth=20, inputs=3, width=16, shortcut="pad", activation=relu, rng=None, dtype=np.float32):
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"ResNet: the depth is 6n + 2 (8, 14, 20, 32, 44, 56, ...), got {depth}.")
        rng = np.random.default_rng(rng)
        layers = [
            Conv2d(inputs, width, 3, padding=1, bias=False, init=kaiming_normal, rng=rng, dtype=dtype),
            BatchNorm2d(width, dtype=dtype),
            activation,
        ]
        before = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride, after = 2 if stage and not block else 1, width * 2**stage
                layers.append(ResidualBlock(before, after, stride, shortcut, activation, rng=rng, dtype=dtype))
                before = after
        super().__init__(*layers, GlobalAvgPool())
        self.depth, self.outputs = depth, before
