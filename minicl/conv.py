"""Convolution and pooling of images (N, H, W, C): windows of the image, then a product with the weights or a reduction.

`windows` and its adjoint `unwindows` are the one new idea. What is composed of them has derivatives of every order. Beside
the definition of the convolution stands a kernel that forms the windows of a few images at a time, so that they fit in
the cache, in several threads; a test holds the two together.
"""

import builtins
import math

import numpy as np

from . import winograd
from .arrays import namespace
from .buffers import empty
from .engine import Saved, primitive
from .ops import PRIMITIVES, _as_arrays, _raw, _refuse_complex, matmul, max, mean, scatter
from .threads import BLAS_ALONE, in_parallel, one_blas_thread

# ------------------------------------------------------------------------------------------------------------- windows


@primitive(fix="x has shape (N, H, W, C), and the window fits into it.")
def _windows(xp, x, kernel=(1, 1), stride=(1, 1), dilation=(1, 1)):
    """Y[n, p, q, i, j, c] = X[n, s p + d i, s q + d j, c]            X̄ = unwindows(Ȳ)"""
    (n, h, w, c), (kh, kw), (sh, sw), (dh, dw) = x.shape, kernel, stride, dilation
    shape = (n, *_places((h, w), kernel, stride, dilation), kh, kw, c)
    if xp is np:  # a view: nothing is copied
        a, b, e, f = x.strides
        strides = (a, sh * b, sw * e, dh * b, dw * e, f)
        return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)
    y = xp.empty(shape, dtype=x.dtype)
    for i, j, there in _offsets(shape, stride, dilation):
        y[:, :, :, i, j] = x[there]
    return y


@primitive(fix="x has the shape (N, H', W', kh, kw, C) that windows of an image of `shape` have.")
def _unwindows(xp, x, shape=None, stride=(1, 1), dilation=(1, 1)):
    """Y = zeros of `shape` with each window of X added where it was taken            X̄ = windows(Ȳ)"""
    expected = (shape[0], *_places(shape[1:3], x.shape[3:5], stride, dilation), *x.shape[3:5], shape[3])
    if x.shape != expected:
        raise ValueError(f"the windows of an image of shape {shape} have shape {expected}")
    y = xp.zeros(shape, dtype=x.dtype)
    for i, j, there in _offsets(x.shape, stride, dilation):
        y[there] += x[:, :, :, i, j]
    return y


_windows.defvjp(
    lambda g, y, x, kernel, stride, dilation: _unwindows(g, shape=x.shape, stride=stride, dilation=dilation)
)
_unwindows.defvjp(
    lambda g, y, x, shape, stride, dilation: _windows(g, kernel=x.shape[3:5], stride=stride, dilation=dilation)
)
_windows.__name__, _unwindows.__name__ = "windows", "unwindows"


def _places(size, kernel, stride, dilation):
    """How many windows there are, down and across."""
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(size, kernel, stride, dilation))


def _offsets(shape, stride, dilation):
    """For each entry (i, j) of a window: where in the image that entry of all windows stands."""
    (_, ho, wo, kh, kw, _), (sh, sw), (dh, dw) = shape, stride, dilation
    for i in range(kh):
        for j in range(kw):
            down, across = slice(dh * i, dh * i + sh * (ho - 1) + 1, sh), slice(dw * j, dw * j + sw * (wo - 1) + 1, sw)
            yield i, j, (slice(None), down, across)


def windows(x, kernel_size, stride=1, dilation=1):
    """All windows of images: Y[n, p, q, i, j, c] = X[n, s·p + d·i, s·q + d·j, c].

    Parameters
    ----------
    x : Tensor or array, shape (N, H, W, C)
    kernel_size, stride, dilation : int or pair
        The window's size, the step from window to window (s), and the step within a window (d). A pair is
        (down, across).

    Returns
    -------
    Tensor or array, shape (N, H', W', kh, kw, C)
        H' = ⌊(H − d (kh − 1) − 1) / s⌋ + 1. A NumPy array comes back as a view that cannot be written to.

    Raises
    ------
    ValueError
        If `x` has no four axes, or the window is larger than the image.

    Notes
    -----
    A linear map: each entry is copied to every window that it lies in. The adjoint is `unwindows`.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> windows(x, (1, 2))[0, 0, :, 0, :, 0]
    array([[0., 1.],
           [1., 2.]])
    """
    x = _as_arrays(x)
    kernel, stride, _, dilation = _geometry("windows", x, kernel_size, stride, 0, dilation)
    return _windows(x, kernel=kernel, stride=stride, dilation=dilation)


def unwindows(x, shape, stride=1, dilation=1):
    """The adjoint of `windows`: an image of zeros, with each window added where it was taken.

    Parameters
    ----------
    x : Tensor or array, shape (N, H', W', kh, kw, C)
    shape : tuple (N, H, W, C)
        Of the image.
    stride, dilation : int or pair

    Raises
    ------
    ValueError
        If images of that shape have no such windows.

    Notes
    -----
    ⟨windows(x), y⟩ = ⟨x, unwindows(y)⟩. Where windows overlap, entries add up.

    Examples
    --------
    >>> x = np.ones((1, 2, 3, 1))
    >>> unwindows(windows(x, (1, 2)), x.shape)[0, :, :, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    x = _as_arrays(x)
    if x.ndim != 6 or len(shape) != 4:
        raise ValueError(
            f"unwindows: got x of shape {tuple(x.shape)} and shape={tuple(shape)}; x has the six axes (N, H', W', kh, kw, C), "
            "and shape is (N, H, W, C)."
        )
    stride, dilation = _pair("unwindows", "stride", stride), _pair("unwindows", "dilation", dilation)
    return _unwindows(x, shape=tuple(shape), stride=stride, dilation=dilation)


# ---------------------------------------------------------------------------------------------------------- convolution


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of images with channels last: each window of the image times the weights.

    Parameters
    ----------
    x : Tensor or array, shape (N, H, W, C)
    w : Tensor or array, shape (kh, kw, C / groups, K)
        The window comes first, then in and out: with groups = 1 it is the matrix (kh·kw·C, K) that the windows are
        multiplied by, and no transposition is needed. `torch.nn.functional.conv2d` has (K, C / groups, kh, kw).
    b : Tensor or array, shape (K,), optional
    stride, dilation : int or pair
        Steps from window to window, and within a window; a pair is (down, across).
    padding : int, pair or "same"
        Rows and columns of zeros around the image. "same" gives an output of size ⌈H / stride⌉; where the number of rows
        is odd, the last one comes below (and to the right).
    groups : int
        Channels are split into so many groups, each with weights of its own; `groups = C` is a depthwise convolution.

    Returns
    -------
    Tensor or array, shape (N, H', W', K)
        H' = ⌊(H + 2·padding − dilation (kh − 1) − 1) / stride⌋ + 1.

    Raises
    ------
    TypeError
        If `x` or `w` holds integers.
    ValueError
        If channels, groups or sizes do not fit.

    Notes
    -----
    Y[n, p, q, k] = b_k + Σ_ijc X[n, s p + d i, s q + d j, c] W[i, j, c, k], with X padded: like every library for networks
    it does not mirror the window. As a product: Y = windows(X) W. So X̄ = unwindows(Ȳ Wᵀ) and W̄ = windows(X)ᵀ Ȳ
    (Dumoulin & Visin 2016, arXiv:1603.07285).

    On the CPU the threads of `minicl.threads` share the batch; their number changes no bit. With 3 x 3 weights, stride 1
    and at least 32 channels, `minicl.winograd` does it with a quarter of the multiplications, and in float32 with errors
    of some 1e-5 of the largest entry.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    >>> conv2d(x, np.ones((2, 2, 1, 5)), padding="same", stride=2).shape
    (1, 2, 2, 5)
    """
    x, w = _as_arrays(x), _as_arrays(w)
    if w.ndim != 4:
        raise ValueError(f"conv2d: got weights of shape {tuple(w.shape)}; they have four axes (kh, kw, C / groups, K).")
    kernel, stride, padding, dilation = _geometry("conv2d", x, w.shape[:2], stride, padding, dilation)
    _refuse_integers("conv2d", x)
    _refuse_integers("conv2d", w)
    channels, outputs = x.shape[3], w.shape[3]
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(
            f"conv2d: {groups} groups do not divide the {channels} channels of x {tuple(x.shape)} and the {outputs} of "
            f"the output (w {tuple(w.shape)}); both numbers must be multiples of groups."
        )
    if w.shape[2] * groups != channels:
        raise ValueError(
            f"conv2d: x of shape {tuple(x.shape)} has {channels} channels, but w of shape {tuple(w.shape)} with "
            f"groups={groups} takes {w.shape[2] * groups}. Images are (N, H, W, C), weights (kh, kw, C / groups, K)."
        )
    y = _conv2d(x, w, stride=stride, padding=padding, dilation=dilation, groups=int(groups))
    if b is None:
        return y
    b = _as_arrays(b)
    if tuple(b.shape) != (outputs,):
        raise ValueError(f"conv2d: b has shape {tuple(b.shape)}; w of shape {tuple(w.shape)} needs ({outputs},).")
    return y + b


def conv2d_by_definition(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """The convolution as it is written down: windows and a product. `conv2d` computes the same in less memory.

    Parameters
    ----------
    x : Tensor or array, shape (N, H, W, C)
    w : Tensor or array, shape (kh, kw, C / groups, K)
    stride, dilation : pair of ints
    padding : pair of pairs
        Rows above and below, columns left and right.
    groups : int

    Returns
    -------
    Tensor or array, shape (N, H', W', K)

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d_by_definition(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    patches = _windows(_padded(x, padding), kernel=w.shape[:2], stride=stride, dilation=dilation)
    y = matmul(_columns(patches, groups), _matrix(w, groups))
    return y.transpose(1, 0, 2).reshape((*patches.shape[:3], w.shape[3]))


def _columns(patches, groups):
    """Windows as one matrix for each group: (groups, N·H'·W', kh·kw·C/groups)."""
    n, ho, wo, kh, kw, c = patches.shape
    split = patches.reshape((n * ho * wo, kh * kw, groups, c // groups))
    return split.transpose(2, 0, 1, 3).reshape((groups, n * ho * wo, kh * kw * (c // groups)))


def _matrix(w, groups):
    """Weights as one matrix for each group: (groups, kh·kw·C/groups, K/groups)."""
    kh, kw, c, k = w.shape
    return w.reshape((kh * kw * c, groups, k // groups)).transpose(1, 0, 2)


def _padded(x, padding, value=0.0):
    """Images with a margin around them."""
    if padding == ((0, 0), (0, 0)):
        return x
    shape, inside = _margins(x.shape, padding)
    padded = scatter(x, key=inside, shape=shape)
    if value == 0:
        return padded
    margin = namespace(_raw(x)).full(shape, value, dtype=x.dtype)
    margin[inside] = 0
    return padded + margin


def _margins(shape, padding):
    """The shape with its margin, and where the image stands in it."""
    (n, h, w, c), ((top, bottom), (left, right)) = shape, padding
    inside = (slice(None), slice(top, top + h), slice(left, left + w))
    return (n, top + h + bottom, left + w + right, c), inside


CACHE = 2**21  # bytes of the windows that a thread forms at a time on the CPU: they stay in the cache
ON_GPU = 2**28
PARTS = 16  # at most so many threads have something to do; a constant, since it decides what is added up first


class _Columns:
    """The windows of a few images, as one matrix for each group: memory that one chunk after the other is written to."""

    def __init__(self, xp, most, x, w, places, stride, padding, dilation, groups):
        (n, h, width, c), self.inside = _margins((most, *x.shape[1:]), padding)
        self.kernel, self.stride, self.dilation, self.groups = w.shape[:2], stride, dilation, groups
        self.places = places
        self.width = width
        self.margin = xp.zeros((n, h, width + stride[1], c), dtype=x.dtype)  # `back` needs some columns more
        self.columns = empty((groups, most, *places, *w.shape[:3]), x.dtype, xp)

    def of(self, x):
        """The columns of images: (groups, N·H'·W', kh·kw·C/groups)."""
        n, margin, columns = len(x), self.margin[: len(x), :, : self.width], self.columns[:, : len(x)]
        margin[self.inside] = x
        shape = (n, *self.places, *self.kernel, x.shape[3])
        split = (self.groups, x.shape[3] // self.groups)
        target = columns.transpose(1, 2, 3, 4, 5, 0, 6)
        if columns.shape[5] * columns.shape[6] >= 32:
            patches = _windows(margin, kernel=self.kernel, stride=self.stride, dilation=self.dilation)
            target[:] = patches.reshape((*shape[:5], *split))
        else:  # NumPy copies short runs slowly
            for i, j, there in _offsets(shape, self.stride, self.dilation):
                target[:, :, :, i, j] = margin[there].reshape((*shape[:3], *split))
        return self.matrices(n)

    def matrices(self, n):
        """Where the columns of n images stand."""
        columns = self.columns[:, :n]
        return columns.reshape((self.groups, math.prod(columns.shape[1:4]), math.prod(columns.shape[4:])))

    def back(self, n):
        """The images that the columns are the windows of, added up where windows overlap."""
        margin, columns = self.margin[:n], self.columns[:, :n].transpose(1, 2, 3, 4, 5, 0, 6)
        margin[:] = 0
        (ho, wo), (kh, kw), c = self.places, self.kernel, margin.shape[3]
        (sh, sw), (dh, dw) = self.stride, self.dilation
        together = sw if dw == 1 else 1  # so many entries of a window stand side by side, and overlap with no other's
        for i in range(kh):
            rows = margin[:, dh * i : dh * i + sh * (ho - 1) + 1 : sh]
            for j in range(0, kw, together):
                width = builtins.min(together, kw - j)
                places = rows[:, :, dw * j : dw * j + sw * wo].reshape((n, ho, wo, sw, c))[:, :, :, :width]
                places += columns[:, :, :, i, j : j + width].reshape((n, ho, wo, width, c))
        return margin[self.inside]


def _in_chunks(xp, x, w, places, groups, work):
    """[work(chunks) for some chunks of the batch], in parallel. A chunk is a slice with so few images that their windows
    stay in the cache."""
    each = math.prod(places) * math.prod(w.shape[:3]) * groups * x.dtype.itemsize
    most = builtins.max(1, (CACHE if xp is np else ON_GPU) // builtins.max(each, 1))
    if xp is np and each * len(x) > CACHE // 2:  # small batches too are shared out
        most = builtins.min(most, -(-len(x) // 4))
    chunks = [slice(start, builtins.min(start + most, len(x))) for start in range(0, len(x), most)]
    share = -(-len(chunks) // PARTS) or 1
    parts = [(builtins.min(most, len(x)), chunks[k : k + share]) for k in range(0, len(chunks), share)]
    products = len(x) * math.prod(places) * math.prod(w.shape)
    if xp is not np or (len(parts) == 1 and products <= BLAS_ALONE):
        return [work(part) for part in parts]
    with one_blas_thread:
        return in_parallel(work, parts)


@primitive(fix="x has shape (N, H, W, C), w has (kh, kw, C / groups, K).")
def _conv2d(xp, x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """Y = windows(X) W            X̄ = unwindows(Ȳ Wᵀ),   W̄ = windows(X)ᵀ Ȳ"""
    places = _places(_margins(x.shape, padding)[0][1:3], w.shape[:2], stride, dilation)
    y = empty((len(x), *places, w.shape[3]), xp.result_type(x, w), xp)
    if xp is np and winograd.fits(x, w, y.shape, stride, dilation, groups):
        winograd.forward(x, w, padding, y)
        return y
    beside = _beside(xp, w, places, dilation, groups)
    several, wide = _for_several(w, beside, stride), (stride[0], beside * stride[1])
    _multiply(xp, x, several, _wider(y, beside), wide, padding, dilation, groups)
    return y


def _conv2d_vjp(g, y, saved, needed, x, w, stride, padding, dilation, groups):
    xp = namespace(x, w)
    if xp is np and winograd.fits(x, w, y.shape, stride, dilation, groups):
        return winograd.backward(g, needed, x, w, padding)
    beside = _beside(xp, w, y.shape[1:3], dilation, groups)
    several, wide = _for_several(w, beside, stride), (stride[0], beside * stride[1])
    gx, gw = _multiply_back(_wider(g, beside), needed, x, several, wide, padding, dilation, groups)
    return gx, _from_several(gw, w.shape, stride) if needed[1] else None


# With few channels the windows are short, and copying them takes longer than the product. So some windows side by side are
# taken as one, which is not much longer, and the weights are repeated in it with zeros between them.

COLUMNS = 32  # of the product: up to here more of them cost little


def _beside(xp, w, places, dilation, groups):
    """How many windows are taken as one."""
    if xp is not np or groups > 1 or dilation != (1, 1) or w.shape[2] > 16:
        return 1
    return next(k for k in (7, 4, 3, 2, 1) if places[1] % k == 0 and (k == 1 or k * w.shape[3] <= COLUMNS))


def _for_several(w, beside, stride):
    """Weights (kh, kw + s (G − 1), C, G K) of G windows side by side, from those of one."""
    if beside == 1:
        return w
    kh, kw, c, k = w.shape
    several = np.zeros((kh, kw + stride[1] * (beside - 1), c, beside, k), w.dtype)
    for m in range(beside):
        several[:, stride[1] * m : stride[1] * m + kw, :, m] = w
    return several.reshape((*several.shape[:3], beside * k))


def _from_several(gw, shape, stride):
    """The adjoint of `_for_several`."""
    kh, kw, c, k = shape
    several = gw.reshape((*gw.shape[:3], -1, k))
    return builtins.sum(several[:, stride[1] * m : stride[1] * m + kw, :, m] for m in range(several.shape[3]))


def _wider(y, beside):
    """Images (N, H, W, K) as (N, H, W / G, G K)."""
    return y.reshape((*y.shape[:2], y.shape[2] // beside, beside * y.shape[3]))


def _multiply(xp, x, w, y, stride, padding, dilation, groups):
    """Writes windows(x) w to y, a few images at a time."""
    matrix, each, places = _matrix(w, groups), w.shape[3] // groups, y.shape[1:3]

    def work(part):
        most, chunks = part
        columns = _Columns(xp, most, x, w, places, stride, padding, dilation, groups)
        for images in chunks:
            target = y[images].reshape((-1, groups, each)).transpose(1, 0, 2)
            xp.matmul(columns.of(x[images]), matrix, out=target)

    _in_chunks(xp, x, w, places, groups, work)


def _multiply_back(g, needed, x, w, stride, padding, dilation, groups):
    """The same for its gradient: the windows are formed again, which costs less than keeping them."""
    xp, each = namespace(x, w), w.shape[3] // groups
    matrix, places = _matrix(w, groups), g.shape[1:3]
    gx = empty(x.shape, g.dtype, xp) if needed[0] else None

    def work(part):
        most, chunks = part
        columns = _Columns(xp, most, x, w, places, stride, padding, dilation, groups)
        gw = xp.zeros(matrix.shape, dtype=g.dtype) if needed[1] else None
        for images in chunks:
            gy = g[images].reshape((-1, groups, each)).transpose(1, 0, 2)
            if needed[1]:
                gw += xp.matmul(columns.of(x[images]).transpose(0, 2, 1), gy)
            if needed[0]:
                n = len(x[images])
                xp.matmul(gy, matrix.transpose(0, 2, 1), out=columns.matrices(n))
                gx[images] = columns.back(n)
        return gw

    parts = _in_chunks(xp, x, w, places, groups, work)
    if not needed[1]:
        return gx, None
    gw = builtins.sum(parts, start=xp.zeros(matrix.shape, dtype=g.dtype))  # in this order, always
    return gx, gw.transpose(1, 0, 2).reshape(w.shape)


_conv2d.__name__ = "conv2d"
_conv2d.defvjp_joint(_conv2d_vjp, composed=conv2d_by_definition)


# -------------------------------------------------------------------------------------------------------------- pooling


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    """The largest value in each window, for each channel.

    Parameters
    ----------
    x : Tensor or array, shape (N, H, W, C)
    kernel_size : int or pair
    stride : int or pair, optional
        By default the kernel size: windows side by side.
    padding : int, pair or "same"
        A margin of −∞.
    dilation : int or pair

    Returns
    -------
    Tensor or array, shape (N, H', W', C)

    Raises
    ------
    TypeError
        If `x` holds integers.
    ValueError
        If `x` has no four axes, the window does not fit, or a window lies in the margin alone.

    Notes
    -----
    Ȳ goes to the largest entry. Entries that are equal share it; torch gives it all to the first of them.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x = _as_arrays(x)
    stride = kernel_size if stride is None else stride
    _refuse_integers("max_pool2d", x)
    kernel, stride, padding, dilation = _pooling("max_pool2d", x, kernel_size, stride, padding, dilation)
    return _max_pool2d(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def max_pool2d_by_definition(x, kernel, stride, padding, dilation):
    """Windows and their largest entries; the arguments are pairs, and `padding` a pair of pairs."""
    patches = _windows(_padded(x, padding, value=-math.inf), kernel=kernel, stride=stride, dilation=dilation)
    return max(patches, axis=(3, 4))


@primitive
def _max_pool2d(xp, x, kernel=(1, 1), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1)):
    """Y = max over windows(X)            X̄ = unwindows([windows(X) = Y] Ȳ / number of entries that are equal to Y)"""
    _refuse_complex(x)
    padded = _padded(x, padding, value=-math.inf)
    shape = (len(x), *_places(padded.shape[1:3], kernel, stride, dilation), *kernel, x.shape[3])
    y = empty((*shape[:3], shape[5]), x.dtype, xp)

    def work(images):
        best, image = y[images], padded[images]
        best[:] = -math.inf
        for _, _, there in _offsets(shape, stride, dilation):  # one entry of all windows at a time
            xp.maximum(best, image[there], out=best)

    _over_images(xp, x, work)
    return Saved(y, padded)


def _max_pool2d_vjp(g, y, padded, needed, x, kernel, stride, padding, dilation):
    xp = namespace(x)
    shape = (*y.shape[:3], *kernel, y.shape[3])
    gx = empty(padded.shape, g.dtype, xp)

    def work(images):
        image, best, back = padded[images], y[images], gx[images]
        found = [(there, (image[there] == best).astype(g.dtype)) for _, _, there in _offsets(shape, stride, dilation)]
        with np.errstate(divide="ignore", invalid="ignore"):  # no entry is equal to NaN
            share = g[images] / builtins.sum(f for _, f in found)
            back[:] = 0
            for there, f in found:
                f *= share
                back[there] += f

    _over_images(xp, x, work)
    return (gx[_margins(x.shape, padding)[1]],)


_max_pool2d.__name__ = "max_pool2d"
_max_pool2d.defvjp_joint(_max_pool2d_vjp, composed=max_pool2d_by_definition)


def _over_images(xp, x, work):
    """work(some images) for all of the batch, in parallel."""
    most = builtins.max(1, CACHE // 4 // builtins.max(1, x.nbytes // builtins.max(1, len(x)))) if xp is np else len(x)
    in_parallel(work, [slice(k, k + most) for k in range(0, len(x), most)])


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """The mean of each window, for each channel.

    Parameters
    ----------
    x : Tensor or array, shape (N, H, W, C)
    kernel_size : int or pair
    stride : int or pair, optional
        By default the kernel size: windows side by side.
    padding : int, pair or "same"
        A margin of zeros.
    count_include_pad : bool
        Whether the zeros of the margin count in the mean, as in torch.

    Returns
    -------
    Tensor or array, shape (N, H', W', C)

    Raises
    ------
    TypeError
        If `x` holds integers.
    ValueError
        If `x` has no four axes, the window does not fit, or a window lies in the margin alone.

    Examples
    --------
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    x = _as_arrays(x)
    stride = kernel_size if stride is None else stride
    _refuse_integers("avg_pool2d", x)
    kernel, stride, padding, dilation = _pooling("avg_pool2d", x, kernel_size, stride, padding, 1)

    def averages(x):
        return mean(_windows(_padded(x, padding), kernel=kernel, stride=stride), axis=(3, 4))

    if count_include_pad or padding == ((0, 0), (0, 0)):
        return averages(x)
    inside = namespace(_raw(x)).ones((1, *x.shape[1:3], 1), dtype=x.dtype)
    return averages(x) / averages(inside)  # which share of a window lies in the image


def global_avg_pool(x):
    """The mean over all places of an image: (N, H, W, C) becomes (N, C) (Lin et al. 2013, arXiv:1312.4400).

    Raises
    ------
    ValueError
        If `x` has no four axes, or an image has no pixels.

    Examples
    --------
    >>> global_avg_pool(np.arange(4.0).reshape(1, 2, 2, 1))
    array([[1.5]])
    """
    x = _as_arrays(x)
    _refuse_integers("global_avg_pool", x)
    _check_images("global_avg_pool", x)
    if not x.shape[1] * x.shape[2]:
        raise ValueError(f"global_avg_pool: got shape {tuple(x.shape)}; an image without pixels has no mean.")
    return mean(x, axis=(1, 2))


# ----------------------------------------------------------------------------------------------- what the arguments mean


def _pair(name, what, value, least=1):
    """An int or a pair, as a pair."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(k, (int, np.integer)) and k >= least for k in pair):
        raise ValueError(
            f"{name}: {what} is an int or a pair (down, across) of ints, each at least {least}; got {value!r}."
        )
    return int(pair[0]), int(pair[1])


def _check_images(name, x):
    if x.ndim != 4:
        raise ValueError(
            f"{name}: got shape {tuple(x.shape)}; images have four axes (N, H, W, C), channels last. One grey image of "
            "shape (H, W) is x[None, :, :, None]; images with channels first are x.transpose(0, 2, 3, 1)."
        )


def _refuse_integers(name, x):
    if x.dtype.kind not in "fc":
        raise TypeError(
            f"{name}: got {x.dtype} values of shape {tuple(x.shape)}; it computes with floats: x.astype(np.float32)."
        )


def _geometry(name, x, kernel, stride, padding, dilation):
    """The arguments as pairs, and checked: (kernel, stride, ((top, bottom), (left, right)), dilation)."""
    _check_images(name, x)
    kernel = _pair(name, "the kernel size", kernel)
    stride, dilation = _pair(name, "stride", stride), _pair(name, "dilation", dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    sizes = x.shape[1:3]
    if isinstance(padding, str):
        if padding != "same":
            raise ValueError(f'{name}: padding is an int, a pair or "same"; got {padding!r}.')
        missing = [builtins.max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(sizes, stride, spans)]
        pads = tuple((m // 2, m - m // 2) for m in missing)
    else:
        pads = tuple((p, p) for p in _pair(name, "padding", padding, least=0))
    if any(n + before + after < span for n, span, (before, after) in zip(sizes, spans, pads)):
        padded = tuple(n + before + after for n, (before, after) in zip(sizes, pads))
        raise ValueError(
            f"{name}: the window covers {spans[0]} x {spans[1]} pixels (kernel {kernel}, dilation {dilation}), which is "
            f"larger than the image {padded[0]} x {padded[1]} (x of shape {tuple(x.shape)}, padding included). Use a "
            "smaller kernel, less dilation or more padding."
        )
    return kernel, stride, pads, dilation


def _pooling(name, x, kernel, stride, padding, dilation):
    """As `_geometry`; and no window lies in the margin alone, where there is nothing to pool."""
    kernel, stride, pads, dilation = _geometry(name, x, kernel, stride, padding, dilation)
    for n, k, s, d, (before, after) in zip(x.shape[1:3], kernel, stride, dilation, pads):
        starts = np.arange(-before, n + after - d * (k - 1), s)
        rows = starts[:, None] + d * np.arange(k)
        if not ((rows >= 0) & (rows < n)).any(axis=1).all():
            raise ValueError(
                f"{name}: padding {padding!r} is too much for kernel {kernel} and dilation {dilation} on x of shape "
                f"{tuple(x.shape)}: a window lies in the margin alone. Use less of it."
            )
    return kernel, stride, pads, dilation


PRIMITIVES |= {p.__name__: p for p in (_windows, _unwindows, _conv2d, _max_pool2d)}
