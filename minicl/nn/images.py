"""Layers for images (N, H, W, C): convolution and pooling. Channels come last, as in matplotlib and scikit-image.

The formulas stand in `minicl.conv`; here are the parameters, and errors that name the layer.
"""

import numpy as np

from ..conv import avg_pool2d, conv2d, global_avg_pool, max_pool2d
from ..engine import tensor
from .initializers import kaiming_uniform
from .module import Module


def _named(layer, f, *args, **params):
    """f(*args), with the layer named in its errors."""
    try:
        return f(*args, **params)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{layer}: {error}") from None


def _options(defaults, **values):
    """The arguments that differ from their defaults, as text."""
    return "".join(f", {key}={value!r}" for key, value in values.items() if value != defaults[key])


class Conv2d(Module):
    """Convolution: each window of the image times the weights, Y = windows(X) W + b.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of channels.
    kernel_size, stride, dilation : int or pair
        A pair is (down, across).
    padding : int, pair or "same"
        Zeros around the image; "same" gives an output of size ⌈H / stride⌉.
    groups : int
        Channels are split into so many groups; `groups=inputs` is a depthwise convolution.
    bias : bool
        Without it b is left out: a BatchNorm after it would take it off again.
    init : callable
        Gives the weight: `init(shape, rng, dtype)`. The bias starts at 0.
    rng : Generator or seed
    dtype : dtype

    Attributes
    ----------
    weight : Tensor, shape (kh, kw, inputs / groups, outputs)
    bias : Tensor, shape (outputs,), or None

    Raises
    ------
    TypeError
        If images hold integers.
    ValueError
        If `groups` does not divide both numbers of channels; if an image does not fit.

    Notes
    -----
    See `minicl.conv.conv2d` for the formula. torch's weight is `weight.numpy().transpose(3, 2, 0, 1)`.

    Examples
    --------
    >>> layer = Conv2d(3, 8, 3, stride=2, padding=1, rng=0)
    >>> layer
    Conv2d(3, 8, 3, stride=2, padding=1)
    >>> layer(np.zeros((5, 9, 7, 3), dtype=np.float32)).shape
    (5, 5, 4, 8)
    """

    def __init__(
        self,
        inputs,
        outputs,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        init=kaiming_uniform,
        rng=None,
        dtype=np.float32,
    ):
        if inputs < 1 or outputs < 1 or groups < 1 or inputs % groups or outputs % groups:
            raise ValueError(
                f"Conv2d: {inputs} inputs, {outputs} outputs and {groups} groups; all must be at least 1, and groups must "
                "divide the two others."
            )
        kernel = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
        if len(kernel) != 2 or min(kernel) < 1:
            raise ValueError(f"Conv2d: kernel_size is an int or a pair of ints, at least 1; got {kernel_size!r}.")
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups = dilation, groups
        self.weight = tensor(init((*kernel, inputs // groups, outputs), rng, dtype))
        self.bias = tensor(np.zeros(outputs, dtype)) if bias else None

    def forward(self, x):
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        return _named(self, conv2d, x, self.weight, self.bias, **options)

    def describe(self):
        _, _, inputs, outputs = self.weight.shape
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
        values = {key: getattr(self, key) for key in list(defaults)[:4]}
        options = _options(defaults, **values, bias=self.bias is not None)
        return f"{inputs * self.groups}, {outputs}, {self.kernel_size}{options}"


class MaxPool2d(Module):
    """The largest value in each window, for each channel.

    Parameters
    ----------
    kernel_size : int or pair
    stride : int or pair, optional
        By default the kernel size.
    padding : int, pair or "same"
        A margin of −∞.
    dilation : int or pair

    Examples
    --------
    >>> MaxPool2d(2)(np.zeros((5, 8, 8, 3), dtype=np.float32)).shape
    (5, 4, 4, 3)
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1):
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation

    def forward(self, x):
        return _named(self, max_pool2d, x, self.kernel_size, self.stride, self.padding, self.dilation)

    def describe(self):
        defaults = {"stride": None, "padding": 0, "dilation": 1}
        return f"{self.kernel_size}" + _options(defaults, **{key: getattr(self, key) for key in defaults})


class AvgPool2d(Module):
    """The mean of each window, for each channel.

    Parameters
    ----------
    kernel_size : int or pair
    stride : int or pair, optional
        By default the kernel size.
    padding : int, pair or "same"
        A margin of zeros.
    count_include_pad : bool
        Whether these zeros count in the mean, as in torch.

    Examples
    --------
    >>> AvgPool2d(2)(np.zeros((5, 8, 8, 3), dtype=np.float32)).shape
    (5, 4, 4, 3)
    """

    def __init__(self, kernel_size, stride=None, padding=0, count_include_pad=True):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.count_include_pad = count_include_pad

    def forward(self, x):
        return _named(self, avg_pool2d, x, self.kernel_size, self.stride, self.padding, self.count_include_pad)

    def describe(self):
        defaults = {"stride": None, "padding": 0, "count_include_pad": True}
        return f"{self.kernel_size}" + _options(defaults, **{key: getattr(self, key) for key in defaults})


class GlobalAvgPool(Module):
    """The mean over all places: images (N, H, W, C) become rows (N, C).

    Examples
    --------
    >>> GlobalAvgPool()(np.ones((5, 8, 8, 3), dtype=np.float32)).shape
    (5, 3)
    """

    def forward(self, x):
        return _named(self, global_avg_pool, x)
