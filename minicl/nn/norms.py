"""Normalisation layers: values are brought to mean 0 and variance 1, then scaled and shifted by learned numbers.

They differ in what is averaged over. BatchNorm averages over the batch, for each channel, so an image's result depends on
its companions; LayerNorm and GroupNorm average within one image.
"""

import math

import numpy as np

from ..arrays import is_array, namespace
from ..buffers import empty
from ..engine import Saved, Tensor, primitive, tensor
from ..ops import mean, relu, sqrt
from ..recompute import once
from ..threads import in_parallel
from .module import Module


def standardized(x, axis, eps):
    """(x − mean) / √(variance + eps) along axes: the definition that all layers here share."""
    deviation = x - mean(x, axis=axis, keepdims=True)
    return deviation / sqrt(mean(deviation * deviation, axis=axis, keepdims=True) + eps)


# ------------------------------------------------------------------------------------------- rows, normalised by column


def batch_norm_by_definition(x, weight, bias, eps=1e-5, moments=None, rectify=False):
    """Each column of X (M, C) with mean 0 and variance 1, times `weight`, plus `bias`; then relu, if it is asked for."""
    y = standardized(x, 0, eps) * weight + bias
    return relu(y) if rectify else y


@primitive
def _batch_norm(xp, x, weight, bias, eps=1e-5, moments=None, rectify=False):
    """Y = W X̂ + B, X̂ = (X − μ) / √(σ² + eps)   X̄ = W/√(σ² + eps) (Ȳ − mean Ȳ − X̂ mean(Ȳ X̂)), W̄ = Σ Ȳ X̂, B̄ = Σ Ȳ

    `moments` are μ and σ² where the caller has them already. With `rectify` Y is max(Y, 0), and Ȳ is Ȳ [Y > 0].
    """
    mu, variance = _moments(xp, x) if moments is None else moments
    rate = 1 / xp.sqrt(variance + eps)
    dtype = xp.result_type(x, *(p for p in (weight, bias) if is_array(p)))
    wide, repeat, blocks = _blocks(xp, x)
    shift, scale, bias = repeat(mu), repeat(weight * rate), repeat(bias)
    y = empty(wide.shape, dtype, xp)

    def work(rows):
        block = xp.subtract(wide[rows], shift, out=y[rows] if dtype == shift.dtype else None)
        block *= scale
        block += bias
        if rectify:
            xp.maximum(block, 0, out=block)
        if dtype != shift.dtype:
            y[rows] = block

    _over(xp, blocks, work)
    return Saved(y.reshape(x.shape), (mu, rate))


def _batch_norm_vjp(g, y, saved, needed, x, weight, bias, eps, moments, rectify, means=None):
    """`means` makes the means over all rows of the sums over these, where other processes have more rows."""
    xp = namespace(x)
    mu, rate = saved
    wide, repeat, blocks = _blocks(xp, x)
    g, y, shift = g.reshape(wide.shape), y.reshape(wide.shape), repeat(mu)
    gx = empty(wide.shape, g.dtype, xp) if needed[0] else None

    def sums(rows):
        gy = g[rows]
        if rectify:
            gy = xp.multiply(gy, y[rows] > 0, out=None if gx is None else gx[rows])  # kept for the second pass
        return _column_sums(xp, gy), _column_sums(xp, gy, wide[rows] - shift)

    levels, slopes = zip(*_over(xp, blocks, sums)) if blocks else ((), ())
    gb, gw = _folded(xp, levels, x), _folded(xp, slopes, x) * rate
    if not needed[0]:
        return None, gw, gb
    mean_gb, mean_gw = (gb / len(x), gw / len(x)) if means is None else means(gb, gw)
    factor = repeat(weight * rate)
    slope, level = repeat(weight * rate * rate * mean_gw), repeat(weight * rate * mean_gb)

    def work(rows):
        block = wide[rows] - shift
        block *= slope
        block += level
        gy = xp.multiply(gx[rows] if rectify else g[rows], factor)
        xp.subtract(gy, block, out=gx[rows], casting="same_kind")

    _over(xp, blocks, work)
    return gx.reshape(x.shape), gw, gb


_batch_norm.__name__ = "batch_norm"
_batch_norm.defvjp_joint(_batch_norm_vjp, composed=batch_norm_by_definition)

BLOCK = 2**20  # bytes of a block of rows: small enough for the caches, and large enough to keep a thread busy


def _blocks(xp, x):
    """X (M, C) with some rows side by side, a function that repeats a row of C numbers to fit, and slices of rows.

    NumPy spends a while on each row of a matrix, so long rows are faster; a block of them stays in the cache.
    """
    rows, channels = x.shape
    beside = math.gcd(rows, 2 ** max(0, 9 - channels.bit_length())) if channels else 1
    wide = x.reshape((rows // beside, beside * channels)) if rows else x
    size = min(BLOCK, max(BLOCK // 8, x.nbytes // 8))  # small batches too are shared out
    step = max(1, size // max(1, wide.shape[1] * x.dtype.itemsize)) if xp is np else max(1, len(wide))
    kind = xp.result_type(x.dtype, np.float32) if x.dtype != np.float16 else np.float32

    def repeat(row):
        return xp.tile(xp.broadcast_to(xp.asarray(row, dtype=kind), (channels,)), wide.shape[1] // max(1, channels))

    return wide, repeat, [slice(k, k + step) for k in range(0, len(wide), step)]


def _over(xp, blocks, work):
    """[work(rows) for rows in blocks], in parallel: a thread takes two of them at a time."""
    if xp is not np:
        return [work(rows) for rows in blocks]
    parts = [blocks[k : k + 2] for k in range(0, len(blocks), 2)]
    return [result for part in in_parallel(lambda part: [work(rows) for rows in part], parts) for result in part]


def _column_sums(xp, a, b=None):
    """Σ of each column of A, or of A times B, entry by entry."""
    kind = np.float32 if a.dtype == np.float16 else None
    if b is None:
        return a.sum(axis=0, dtype=kind)
    if a.dtype == np.float16 or xp is not np:
        return (a * b).sum(axis=0)
    return np.einsum("ij,ij->j", a, b)  # makes no array for the product


def _folded(xp, sums, x):
    """Sums over blocks, added up to one number a column (in float64, where rounding does not matter)."""
    channels = x.shape[1]
    total = xp.zeros(channels, dtype=xp.result_type(x.dtype, np.float64))
    for row in sums:
        total += row.reshape((-1, channels)).sum(axis=0)
    return total


def _moments(xp, x):
    """Mean and variance of each column, in float64, in one pass over the memory.

    Each block is centred by its own mean; then blocks are put together (Chan, Golub & LeVeque 1979).
    """
    wide, _, blocks = _blocks(xp, x)

    def work(rows):
        block = wide[rows]
        mu = _column_sums(xp, block) / len(block)
        block = block - mu
        return mu, _column_sums(xp, block, block)

    means, squares = zip(*_over(xp, blocks, work))
    counts = np.array([len(wide[rows]) for rows in blocks])
    exact = xp.result_type(x.dtype, np.float64)
    means = xp.stack(means).astype(exact).reshape((len(blocks), -1, x.shape[1]))
    weights = xp.asarray(counts / len(x))[:, None, None]
    mu = (means * weights).sum(axis=(0, 1))
    between = ((means - mu) ** 2 * weights).sum(axis=(0, 1))
    return mu, between + _folded(xp, squares, x) / len(x)


# --------------------------------------------------------------------------------------------------------------- layers


class _BatchNorm(Module):
    def __init__(self, channels, eps=1e-5, momentum=0.1, affine=True, dtype=np.float32):
        if channels < 1:
            raise ValueError(f"{type(self).__name__}: {channels} channels; give at least 1.")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"{type(self).__name__}: momentum lies in [0, 1] or is None, got {momentum}.")
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.weight = tensor(np.ones(channels, dtype)) if affine else None
        self.bias = tensor(np.zeros(channels, dtype)) if affine else None
        self.running_mean = np.zeros(channels, dtype)
        self.running_var = np.ones(channels, dtype)
        self.batches = np.zeros((), np.int64)

    def forward(self, x, rectify=False):
        """With `rectify` the result is relu(y): what training computes in one go, with less memory to pass through."""
        self._check(x)
        raw = x.data if isinstance(x, Tensor) else x
        namespace(raw, self.running_mean, op=str(self))
        weight, bias = (1.0, 0.0) if self.weight is None else (self.weight, self.bias)
        if not self.training:
            xp = namespace(raw)
            rate = 1 / xp.sqrt(self.running_var + self.eps)
            y = (x - self.running_mean) * (weight * rate) + bias
            return relu(y) if rectify else y
        rows = math.prod(x.shape[:-1])
        if rows < 2:
            raise ValueError(
                f"{self}: got shape {tuple(x.shape)} in training, which is {rows} value for each channel; the variance "
                "needs at least 2. Use a larger batch, or evaluate with .eval()."
            )
        return self._in_training(x.reshape((rows, self.channels)), weight, bias, rectify).reshape(x.shape)

    def _in_training(self, x, weight, bias, rectify):
        """The result for rows (M, channels) with their own statistics, which are noted."""
        raw = x.data if isinstance(x, Tensor) else x
        moments = _moments(namespace(raw), raw)
        once(lambda: self._note(*moments, len(raw)))
        return _batch_norm(x, weight, bias, eps=self.eps, moments=moments, rectify=rectify)

    def _note(self, mu, variance, rows):
        self.batches += 1
        share = 1 / int(self.batches) if self.momentum is None else self.momentum
        self.running_mean *= 1 - share
        self.running_mean += (share * mu).astype(self.running_mean.dtype)
        self.running_var *= 1 - share
        self.running_var += (share * rows / (rows - 1) * variance).astype(self.running_var.dtype)

    def _check(self, x):
        if x.ndim not in self.axes or x.shape[-1] != self.channels:
            wanted = " or ".join(self.axes[k].format(self.channels) for k in sorted(self.axes))
            raise ValueError(f"{self}: got shape {tuple(x.shape)}; give {wanted}, channels last.")
        _refuse_integers(self, x)

    def describe(self):
        momentum = "" if self.momentum == 0.1 else f", momentum={self.momentum}"
        return f"{self.channels}{momentum}" + (", affine=False" if self.weight is None else "")


def _refuse_integers(layer, x):
    if x.dtype.kind != "f":
        raise TypeError(
            f"{layer}: got {x.dtype} values of shape {tuple(x.shape)}; it computes with floats: x.astype(np.float32)."
        )


class BatchNorm1d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted.

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance.
    momentum : float or None
        The share of the newest batch in the running statistics; None gives all batches the same share.
    affine : bool
        Without it there is no weight and no bias.
    dtype : dtype

    Attributes
    ----------
    weight, bias : Tensor, shape (channels,), or None
    running_mean, running_var : array, shape (channels,)
        Buffers, used in evaluation.
    batches : array of shape ()
        How many batches they come from.

    Raises
    ------
    TypeError, ValueError
        If x holds integers; if its shape is not (N, channels) or (N, L, channels); if a training batch has one value a
        channel.

    Notes
    -----
    In training y = w (x − μ) / √(σ² + eps) + b with mean μ and variance σ² of the batch, and

        running ← (1 − momentum) running + momentum · (μ, or σ² n / (n − 1)).

    In evaluation the running values stand in their place, so no result depends on the rest of the batch
    (Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithms 1 and 2). Under `mc.checkpoint` the update happens once.

    Examples
    --------
    >>> layer = BatchNorm1d(2)
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]], dtype=np.float32)
    >>> layer(x).numpy().round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean
    array([0.2, 2. ], dtype=float32)
    """

    axes = {2: "(N, {})", 3: "(N, L, {})"}


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d`, for images (N, H, W, channels): the mean is over the batch and all places.

    See `BatchNorm1d` for the parameters and the formula.

    Examples
    --------
    >>> layer = BatchNorm2d(3)
    >>> layer(np.zeros((5, 8, 8, 3), dtype=np.float32)).shape
    (5, 8, 8, 3)
    """

    axes = {4: "(N, H, W, {})"}


class LayerNorm(Module):
    """The last axes of each entry with mean 0 and variance 1, then scaled and shifted.

    Parameters
    ----------
    shape : int or tuple
        The lengths of the last axes, which are normalised together.
    eps : float
        Added to the variance.
    affine : bool
        Without it there is no weight and no bias.
    dtype : dtype

    Attributes
    ----------
    weight, bias : Tensor of that shape, or None

    Raises
    ------
    TypeError, ValueError
        If x holds integers; if its last axes have other lengths.

    Notes
    -----
    y = w (x − μ) / √(σ² + eps) + b, with mean μ and variance σ² of one entry (Ba, Kiros & Hinton 2016,
    arXiv:1607.06450).

    Examples
    --------
    >>> LayerNorm(2)(np.array([[1.0, 3.0], [10.0, 30.0]], dtype=np.float32)).numpy().round(3)
    array([[-1., 1.],
           [-1., 1.]], dtype=float32)
    """

    def __init__(self, shape, eps=1e-5, affine=True, dtype=np.float32):
        self.shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"LayerNorm: shape {shape!r} must name lengths of at least 1.")
        self.eps = eps
        self.weight = tensor(np.ones(self.shape, dtype)) if affine else None
        self.bias = tensor(np.zeros(self.shape, dtype)) if affine else None

    def forward(self, x):
        k = len(self.shape)
        if tuple(x.shape[-k:]) != self.shape:
            lengths = ", ".join(map(str, self.shape))
            raise ValueError(f"{self}: got shape {tuple(x.shape)}; give (..., {lengths}).")
        _refuse_integers(self, x)
        y = standardized(x, tuple(range(-k, 0)), self.eps)
        return y if self.weight is None else y * self.weight + self.bias

    def describe(self):
        shape = self.shape[0] if len(self.shape) == 1 else self.shape
        return f"{shape}" + (", affine=False" if self.weight is None else "")


class GroupNorm(Module):
    """Each group of channels of each image with mean 0 and variance 1, then scaled and shifted for each channel.

    Parameters
    ----------
    groups, channels : int
        `groups=channels` is instance normalisation, `groups=1` normalises the whole image.
    eps : float
        Added to the variance.
    affine : bool
        Without it there is no weight and no bias.
    dtype : dtype

    Attributes
    ----------
    weight, bias : Tensor, shape (channels,), or None

    Raises
    ------
    TypeError, ValueError
        If x holds integers; if its shape is not (N, ..., channels); if groups do not divide the channels.

    Notes
    -----
    y = w (x − μ) / √(σ² + eps) + b, with mean μ and variance σ² over a group's channels and all places of one image
    (Wu & He 2018, arXiv:1803.08494).

    Examples
    --------
    >>> GroupNorm(2, 6)(np.zeros((5, 8, 8, 6), dtype=np.float32)).shape
    (5, 8, 8, 6)
    """

    def __init__(self, groups, channels, eps=1e-5, affine=True, dtype=np.float32):
        if groups < 1 or channels < 1 or channels % groups:
            raise ValueError(f"GroupNorm: {groups} groups do not divide {channels} channels; give a divisor.")
        self.groups, self.channels, self.eps = groups, channels, eps
        self.weight = tensor(np.ones(channels, dtype)) if affine else None
        self.bias = tensor(np.zeros(channels, dtype)) if affine else None

    def forward(self, x):
        if x.ndim < 2 or x.shape[-1] != self.channels:
            raise ValueError(f"{self}: got shape {tuple(x.shape)}; give (N, ..., {self.channels}), channels last.")
        _refuse_integers(self, x)
        split = (x.shape[0], math.prod(x.shape[1:-1]), self.groups, self.channels // self.groups)
        y = standardized(x.reshape(split), (1, 3), self.eps).reshape(x.shape)
        return y if self.weight is None else y * self.weight + self.bias

    def describe(self):
        return f"{self.groups}, {self.channels}" + (", affine=False" if self.weight is None else "")
