"""Layers: the modules that networks are put together from. Each is its formula and the parameters that stand in it.

Parameters are float32 unless another dtype is asked for: training needs few digits, and float32 halves time and memory.
Give `dtype=np.float64` where a gradient is to be checked.
"""

import math

import numpy as np

from ..arrays import is_array, namespace
from ..engine import Tensor, tensor
from ..functional import gelu, silu
from ..ops import index, leaky_relu, relu, sigmoid, tanh
from ..recompute import once
from .initializers import kaiming_uniform, standard_normal
from .module import Module


class Linear(Module):
    """The affine map Y = X W + b.

    Parameters
    ----------
    inputs, outputs : int
        Lengths of the last axis, before and after.
    bias : bool
        Without it b is left out.
    init : callable
        Gives the weight: `init(shape, rng, dtype)`. The bias starts at 0.
    rng : Generator or seed
    dtype : dtype

    Attributes
    ----------
    weight : Tensor, shape (inputs, outputs)
    bias : Tensor, shape (outputs,), or None

    Notes
    -----
    X has shape (..., inputs). W̄ = Xᵀ Ȳ,  b̄ = Σ Ȳ,  X̄ = Ȳ Wᵀ.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=0)
    >>> layer(np.zeros((5, 3), dtype=np.float32)).shape
    (5, 2)
    """

    def __init__(self, inputs, outputs, bias=True, init=kaiming_uniform, rng=None, dtype=np.float32):
        if inputs < 1 or outputs < 1:
            raise ValueError(f"Linear: {inputs} inputs and {outputs} outputs; both must be at least 1.")
        self.weight = tensor(init((inputs, outputs), rng, dtype))
        self.bias = tensor(np.zeros(outputs, dtype)) if bias else None

    def forward(self, x):
        if not x.ndim or x.shape[-1] != self.weight.shape[0]:
            raise ValueError(
                f"{self}: got shape {tuple(x.shape)}; the last axis must have length {self.weight.shape[0]}."
            )
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    def describe(self):
        return ", ".join(map(str, self.weight.shape)) + ("" if self.bias is not None else ", bias=False")


class Sequential(Module):
    """Layers, one after the other: each takes the output of the one before.

    Parameters
    ----------
    *layers : Module, or a function of one array such as `mc.relu`

    Examples
    --------
    >>> import minicl as mc
    >>> net = Sequential(Linear(3, 4, rng=0), mc.relu, Linear(4, 2, rng=1))
    >>> net(np.zeros((5, 3), dtype=np.float32)).shape
    (5, 2)
    >>> net[0]
    Linear(3, 4)
    """

    def __init__(self, *layers):
        self.layers = [as_layer(f) for f in layers]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def __getitem__(self, k):
        return Sequential(*self.layers[k]) if isinstance(k, slice) else self.layers[k]

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)


class Function(Module):
    """A function without parameters as a layer.

    Examples
    --------
    >>> import minicl as mc
    >>> Function(mc.tanh)
    tanh
    """

    def __init__(self, f):
        self.f = f

    def forward(self, x):
        return self.f(x)

    def _headline(self):
        return getattr(self.f, "__name__", repr(self.f))


def as_layer(f):
    """A Module as it is, a class of Modules called without arguments, a function wrapped."""
    if isinstance(f, Module):
        return f
    if isinstance(f, type) and issubclass(f, Module):
        return f()
    if callable(f):
        return Function(f)
    raise TypeError(f"a layer is a Module or a function, not {type(f).__name__}.")


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        return relu(x)


class LeakyReLU(Module):
    """x where x > 0, else `negative_slope` · x."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return leaky_relu(x, negative_slope=self.negative_slope)

    def describe(self):
        return str(self.negative_slope)


class GELU(Module):
    """x · Φ(x), with the normal distribution function Φ."""

    def forward(self, x):
        return gelu(x)


class SiLU(Module):
    """x · sigmoid(x)."""

    def forward(self, x):
        return silu(x)


class Tanh(Module):
    """tanh x."""

    def forward(self, x):
        return tanh(x)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ)."""

    def forward(self, x):
        return sigmoid(x)


class Flatten(Module):
    """All axes but the first become one: images (N, H, W, C) become rows (N, H·W·C)."""

    def forward(self, x):
        return x.reshape((x.shape[0], math.prod(x.shape[1:])))


class Dropout(Module):
    """In training each entry is set to 0 with probability p, else multiplied by 1 / (1 − p). In evaluation x is kept.

    Parameters
    ----------
    p : float in [0, 1)
    rng : Generator or seed
        Where the mask is drawn, on the CPU.

    Notes
    -----
    The factor keeps the mean: E[y] = x (Srivastava et al. 2014). Under `mc.checkpoint` the second pass has the mask of
    the first.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=0)
    >>> sorted(set(layer(np.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, p=0.5, rng=None):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: the probability p lies in [0, 1), got {p}.")
        self.p = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x):
        if not self.training or not self.p:
            return x
        # A seed is small, and all that a checkpoint keeps of the mask.
        seed = once(lambda: int(self.rng.integers(2**63)))
        kept = np.random.default_rng(seed).random(x.shape, dtype=np.float32) >= self.p
        xp = namespace(x.data if isinstance(x, Tensor) else x)
        return x * (xp.asarray(kept).astype(x.dtype) / (1 - self.p))

    def describe(self):
        return str(self.p)


class Embedding(Module):
    """A table with a row for each word or class: Y = W[indices].

    Parameters
    ----------
    rows, size : int
        How many rows, and how long they are.
    init : callable
        Gives the weight: `init(shape, rng, dtype)`.
    rng : Generator or seed
    dtype : dtype

    Attributes
    ----------
    weight : Tensor, shape (rows, size)

    Raises
    ------
    TypeError
        If the indices are no integers.
    IndexError
        If an index is negative, or there is no such row.

    Notes
    -----
    Indices have shape (...), the result (..., size). The gradient of a row is the sum over all places where it was
    taken: W̄[k] = Σ Ȳ[i] over indices[i] = k.

    Examples
    --------
    >>> table = Embedding(10, 4, rng=0)
    >>> table(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(self, rows, size, init=standard_normal, rng=None, dtype=np.float32):
        if rows < 1 or size < 1:
            raise ValueError(f"Embedding: {rows} rows of size {size}; both must be at least 1.")
        self.weight = tensor(init((rows, size), rng, dtype))

    def forward(self, indices):
        raw = indices.data if isinstance(indices, Tensor) else indices
        xp = namespace(self.weight.data)
        raw = raw if is_array(raw) else xp.asarray(raw)
        namespace(self.weight.data, raw, op=str(self))
        if raw.dtype.kind not in "iu":
            raise TypeError(f"{self}: got {raw.dtype} values of shape {tuple(raw.shape)}; indices are integers.")
        rows = self.weight.shape[0]
        if raw.size and (int(raw.min()) < 0 or int(raw.max()) >= rows):
            raise IndexError(
                f"{self}: got indices from {int(raw.min())} to {int(raw.max())}; there are rows 0 to {rows - 1}."
            )
        return index(self.weight, key=raw)

    def describe(self):
        return ", ".join(map(str, self.weight.shape))
