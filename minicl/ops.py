"""The primitives: each forward with its formula, and below it its vector-Jacobian products.

Ȳ (in code `g`) is the cotangent of the result Y (`y`): the derivative of the final number with respect to Y. Each line
after a forward turns Ȳ into the cotangent of one argument. The lines are written in this library's own operations, which
is why gradients have gradients. Broadcasting is undone by the engine.
"""

import numpy as np

from . import arrays as _arrays
from . import engine as _engine
from .arrays import is_array, namespace
from .engine import Primitive, Tensor, add, astype, broadcast_to, copy, identity, primitive, reshape

_broadcast = "from the right, each pair of axes must be equal or 1. Reshape one, or add an axis with [:, None]."
_float_only = "This function has a kink, so it is not analytic: use central differences, not the complex step"


def _refuse_complex(*values):
    for x in values:
        if getattr(x, "dtype", np.dtype(float)).kind == "c" or isinstance(x, complex):
            raise TypeError(f"complex input. {_float_only}")


# ------------------------------------------------------------------------------------------------------- arithmetic


@primitive(fix=_broadcast)
def subtract(xp, a, b):
    """Y = A − B            Ā = Ȳ,   B̄ = −Ȳ"""
    return xp.subtract(a, b)


subtract.defvjp(lambda g, y, a, b: g, lambda g, y, a, b: -g)


@primitive(fix=_broadcast)
def multiply(xp, a, b):
    """Y = A B, entry by entry            Ā = Ȳ B,   B̄ = Ȳ A"""
    return xp.multiply(a, b)


multiply.defvjp(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)


@primitive(fix=_broadcast)
def divide(xp, a, b):
    """Y = A / B            Ā = Ȳ / B,   B̄ = −Ȳ Y / B"""
    return xp.true_divide(a, b)


divide.defvjp(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)


@primitive
def negative(xp, x):
    """Y = −X            X̄ = −Ȳ"""
    return xp.negative(x)


negative.defvjp(lambda g, y, x: -g)


@primitive(fix=_broadcast)
def power(xp, a, b):
    """Y = A^B            Ā = Ȳ B A^(B−1),   B̄ = Ȳ Y log A

    Where the exponent is 0, Ā is 0; where the base is 0 and the exponent is not negative, B̄ is 0.
    """
    return xp.power(a, b)


def _power_base(g, y, a, b):
    if not is_array(b) and not isinstance(b, Tensor):  # a number: the common case, x ** 2
        return g * b * a ** (b - 1) if b != 0 else g * 0.0
    zero = b == 0
    return g * where(zero, 0.0, b * a ** where(zero, 1.0, b - 1.0))


def _power_exponent(g, y, a, b):
    flat = (a == 0) & (b >= 0)
    return g * where(flat, 0.0, y * log(where(flat, 1.0, a)))


power.defvjp(_power_base, _power_exponent)


# ------------------------------------------------------------------------------------------- functions of one number


@primitive
def exp(xp, x):
    """Y = eˣ            X̄ = Ȳ Y"""
    return xp.exp(x)


exp.defvjp(lambda g, y, x: g * y)


@primitive
def log(xp, x):
    """Y = log X            X̄ = Ȳ / X"""
    return xp.log(x)


log.defvjp(lambda g, y, x: g / x)


@primitive
def log1p(xp, x):
    """Y = log(1 + X), accurate for small X            X̄ = Ȳ / (1 + X)"""
    return xp.log1p(x)


log1p.defvjp(lambda g, y, x: g / (1 + x))


@primitive
def expm1(xp, x):
    """Y = eˣ − 1, accurate for small X            X̄ = Ȳ (Y + 1)"""
    return xp.expm1(x)


expm1.defvjp(lambda g, y, x: g * (y + 1))


@primitive
def sqrt(xp, x):
    """Y = √X            X̄ = Ȳ / 2Y"""
    return xp.sqrt(x)


sqrt.defvjp(lambda g, y, x: g / (2 * y))


@primitive
def square(xp, x):
    """Y = X²            X̄ = 2 Ȳ X"""
    return xp.square(x)


square.defvjp(lambda g, y, x: g * (2 * x))


@primitive
def abs(xp, x):
    """Y = |X|            X̄ = Ȳ sign X   (0 at 0)"""
    _refuse_complex(x)
    return xp.absolute(x)


abs.defvjp(lambda g, y, x: g * sign(x))


@primitive
def sin(xp, x):
    """Y = sin X            X̄ = Ȳ cos X"""
    return xp.sin(x)


sin.defvjp(lambda g, y, x: g * cos(x))


@primitive
def cos(xp, x):
    """Y = cos X            X̄ = −Ȳ sin X"""
    return xp.cos(x)


cos.defvjp(lambda g, y, x: -g * sin(x))


@primitive
def tanh(xp, x):
    """Y = tanh X            X̄ = Ȳ (1 − Y²)"""
    return xp.tanh(x)


tanh.defvjp(lambda g, y, x: g * (1 - y * y))


@primitive
def erf(xp, x):
    """Y = 2/√π ∫₀ˣ exp(−t²) dt            X̄ = Ȳ 2/√π exp(−X²)"""
    y = _arrays.special(xp).erf(x)
    return y.astype(x.dtype) if is_array(x) and x.dtype.kind == "f" else y  # float16 comes back as float32


erf.defvjp(lambda g, y, x: g * (2 / np.sqrt(np.pi).item() * exp(-x * x)))


@primitive
def sigmoid(xp, x):
    """Y = 1 / (1 + e⁻ˣ)            X̄ = Ȳ Y (1 − Y)"""
    left = xp.real(x) < 0
    e = xp.exp(xp.where(left, x, -x))  # at most 1: no overflow, and small values keep their digits
    return xp.where(left, e, 1) / (1 + e)


sigmoid.defvjp(lambda g, y, x: g * y * (1 - y))


@primitive
def softplus(xp, x, beta=1.0):
    """Y = log(1 + e^βX) / β            X̄ = Ȳ sigmoid βX"""
    x = x if beta == 1 else x * beta
    left = xp.real(x) < 0
    y = xp.where(left, 0, x) + xp.log1p(xp.exp(xp.where(left, x, -x)))
    return y if beta == 1 else y / beta


softplus.defvjp(lambda g, y, x, beta: g * sigmoid(x if beta == 1 else x * beta))


# ------------------------------------------------------------------------------------------------ kinks and choices
# Comparisons of Tensors give bare boolean arrays, so a mask is a constant in a gradient of any order.


@primitive
def relu(xp, x):
    """Y = max(X, 0)            X̄ = Ȳ [X > 0]"""
    _refuse_complex(x)
    return xp.maximum(x, 0)


relu.defvjp(lambda g, y, x: g * (x > 0))


@primitive
def leaky_relu(xp, x, negative_slope=0.01):
    """Y = X where X > 0, else cX            X̄ = Ȳ where X > 0, else cȲ"""
    _refuse_complex(x)
    return xp.where(x > 0, x, x * negative_slope)


leaky_relu.defvjp(lambda g, y, x, negative_slope: where(x > 0, g, g * negative_slope))


@primitive
def elu(xp, x, alpha=1.0):
    """Y = X where X > 0, else α(eˣ − 1)            X̄ = Ȳ where X > 0, else Ȳ α eˣ"""
    _refuse_complex(x)
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


elu.defvjp(lambda g, y, x, alpha: where(x > 0, g, g * alpha * exp(where(x < 0, x, 0.0))))


@primitive(fix=_broadcast)
def maximum(xp, a, b):
    """Y = max(A, B), entry by entry            Ȳ goes to the larger; a tie shares it"""
    _refuse_complex(a, b)
    return xp.maximum(a, b)


maximum.defvjp(lambda g, y, a, b: _share(g, a > b, a == b), lambda g, y, a, b: _share(g, b > a, a == b))


@primitive(fix=_broadcast)
def minimum(xp, a, b):
    """Y = min(A, B), entry by entry            Ȳ goes to the smaller; a tie shares it"""
    _refuse_complex(a, b)
    return xp.minimum(a, b)


minimum.defvjp(lambda g, y, a, b: _share(g, a < b, a == b), lambda g, y, a, b: _share(g, b < a, a == b))


def _share(g, wins, ties):
    return where(wins, g, where(ties, g * 0.5, 0.0))


@primitive(fix="the bounds must broadcast against x.")
def _clip(xp, x, low, high):
    """Y = min(max(X, low), high)            X̄ = Ȳ [low ≤ X ≤ high]; a bound gets Ȳ where it is active"""
    _refuse_complex(x)
    if low is not None:
        x = xp.maximum(x, low)
    return x if high is None else xp.minimum(x, high)


def _inside(x, low, high):
    inside = x == x if low is None else x >= low
    return inside if high is None else inside & (x <= high)


def _below(x, low, high):
    return x < low if high is None else (x < low) & (low < high)


def _above(x, low, high):
    return x > high if low is None else (x > high) | (high < low)


_clip.__name__ = "clip"
_clip.defvjp(
    lambda g, y, x, low, high: where(_inside(x, low, high), g, 0.0),
    lambda g, y, x, low, high: where(_below(x, low, high), g, 0.0),
    lambda g, y, x, low, high: where(_above(x, low, high), g, 0.0),
)


def clip(x, min=None, max=None):
    """`x` held between two bounds, as `numpy.clip`; None leaves a side open.

    Parameters
    ----------
    x : Tensor or array
    min, max : Tensor, array or number that broadcasts against x, or None

    Notes
    -----
    Y = min(max(X, low), high),   X̄ = Ȳ [low ≤ X ≤ high]; a bound gets Ȳ where it is active.

    Examples
    --------
    >>> clip(np.array([-2.0, 0.5, 2.0]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    return _clip(x, min, max)


@primitive(fix="condition, a and b must broadcast against each other.")
def where(xp, condition, a, b):
    """Y = A where the condition holds, else B            Ā = Ȳ there, else 0;   B̄ the other way round"""
    return xp.where(xp.asarray(condition), a, b)  # CuPy takes no number here


where.defvjp(None, lambda g, y, c, a, b: where(c, g, 0.0), lambda g, y, c, a, b: where(c, 0.0, g))


# -------------------------------------------------------------------------------------------------------- reductions


def _spread(g, x, axis, keepdims):
    """The cotangent of a reduction, repeated along the axes that were reduced."""
    if not keepdims:
        g = g.reshape(_kept_shape(x.shape, axis))
    return broadcast_to(g, shape=x.shape)


def _kept_shape(shape, axis):
    reduced = {k % len(shape) for k in _axes(axis, len(shape))} if shape else set()
    return tuple(1 if k in reduced else n for k, n in enumerate(shape))


def _axes(axis, ndim):
    return tuple(range(ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def _axis(axis):
    """A tuple, or one axis alone: only so does NumPy take 0 for an array without axes."""
    if isinstance(axis, (list, tuple)):
        return axis[0] if len(axis) == 1 else tuple(axis)
    return axis


def _checked_axis(axis, ndim, name):
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(f"{name}: axis {axis} does not exist; there are {ndim} axes.")
    return axis % ndim


@primitive(fix="axis counts from 0, or from -1 backwards; it may be a tuple.")
def sum(xp, x, axis=None, keepdims=False):
    """Y = Σ X along axes            X̄ = Ȳ, repeated along them"""
    return xp.asarray(x).sum(axis=_axis(axis), keepdims=keepdims)


sum.defvjp(lambda g, y, x, axis, keepdims: _spread(g, x, _axis(axis), keepdims))


@primitive(fix="axis counts from 0, or from -1 backwards; it may be a tuple.")
def mean(xp, x, axis=None, keepdims=False):
    """Y = Σ X / n along axes            X̄ = Ȳ / n, repeated along them"""
    x = xp.asarray(x)
    if x.dtype == np.float16:  # NumPy adds these up in float32
        return xp.mean(x, axis=_axis(axis), keepdims=keepdims)
    total = x.sum(axis=_axis(axis), keepdims=keepdims)
    return xp.true_divide(total, x.size // total.size if total.size else 1)


def _mean_vjp(g, y, x, axis, keepdims):
    return _spread(g / (x.size // y.size if y.size else 1), x, _axis(axis), keepdims)


mean.defvjp(_mean_vjp)


def _extremum_vjp(g, y, x, axis, keepdims):
    axis = _axis(axis)
    if not keepdims:
        g, y = g.reshape(_kept_shape(x.shape, axis)), y.reshape(_kept_shape(x.shape, axis))
    wins = x == y
    xp = namespace(_raw(x))
    count = xp.asarray(xp.sum(wins, axis=axis, keepdims=True), dtype=x.dtype)
    return where(wins, g / count, 0.0)


@primitive(fix="give an axis that exists and is not empty.")
def max(xp, x, axis=None, keepdims=False):
    """Y = the largest X along axes            X̄ = Ȳ there; ties share it"""
    _refuse_complex(x)
    return xp.max(x, axis=_axis(axis), keepdims=keepdims)


@primitive(fix="give an axis that exists and is not empty.")
def min(xp, x, axis=None, keepdims=False):
    """Y = the smallest X along axes            X̄ = Ȳ there; ties share it"""
    _refuse_complex(x)
    return xp.min(x, axis=_axis(axis), keepdims=keepdims)


max.defvjp(_extremum_vjp)
min.defvjp(_extremum_vjp)


@primitive
def cumsum(xp, x, axis=None):
    """Y_k = X_1 + … + X_k along an axis (None: flattened)            X̄ = Ȳ summed from the other end"""
    return xp.cumsum(x, axis=axis)


def _cumsum_vjp(g, y, x, axis):
    flat = axis is None or not x.ndim  # NumPy makes a vector of a number
    back = (slice(None),) * (0 if flat else axis % x.ndim) + (slice(None, None, -1),)
    gx = cumsum(g[back], axis=0 if flat else axis)[back]
    return gx.reshape(x.shape) if flat else gx


cumsum.defvjp(_cumsum_vjp)


def _largest(xp, x, axis):
    """The shift of a log-sum-exp: the largest real part, 0 where that is not finite."""
    if not x.size:
        return 0
    top = xp.max(xp.real(x), axis=axis, keepdims=True)
    return xp.where(xp.isfinite(top), top, 0)


@primitive
def logsumexp(xp, x, axis=None, keepdims=False):
    """Y = log Σ eˣ along axes, shifted by the largest X            X̄ = Ȳ softmax X"""
    axis = _axis(axis)
    top = _largest(xp, x, axis)
    with np.errstate(divide="ignore"):  # the sum of nothing, or of exp(-inf), is 0, and its logarithm is -inf
        y = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else y.reshape(xp.sum(x, axis=axis).shape) if not x.size else xp.squeeze(y, axis=axis)


def _logsumexp_vjp(g, y, x, axis, keepdims):
    kept = _kept_shape(x.shape, _axis(axis))
    slope = _finite(y).reshape(kept)  # a row of -inf has none
    # Not exp(x - y): where x is large, y has lost the digits of log Σ.
    return where(slope, g.reshape(kept) * softmax(where(slope, x, 0.0), axis=axis), 0.0)


logsumexp.defvjp(_logsumexp_vjp)


@primitive
def softmax(xp, x, axis=-1):
    """Y = eˣ / Σ eˣ along axes            X̄ = Y (Ȳ − Σ Ȳ Y)"""
    axis = _axis(axis)
    e = xp.exp(x - _largest(xp, x, axis))
    return e / xp.sum(e, axis=axis, keepdims=True)


softmax.defvjp(lambda g, y, x, axis: y * (g - (g * y).sum(axis=_axis(axis), keepdims=True)))


@primitive
def log_softmax(xp, x, axis=-1):
    """Y = X − log Σ eˣ along axes            X̄ = Ȳ − e^Y Σ Ȳ"""
    axis = _axis(axis)
    shifted = x - _largest(xp, x, axis)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax.defvjp(lambda g, y, x, axis: g - exp(y) * g.sum(axis=_axis(axis), keepdims=True))


# ----------------------------------------------------------------------------------------------------------- products


@primitive(fix="the last axis of the first must equal the second last of the second; axes before broadcast.")
def _matmul(xp, a, b):
    """Y = A B            Ā = Ȳ Bᵀ,   B̄ = Aᵀ Ȳ     (last two axes; the rest broadcast)"""
    return xp.matmul(a, b)


_matmul.__name__ = "matmul"
_matmul.defvjp(
    lambda g, y, a, b: _matmul(g, b.swapaxes(-1, -2)),
    lambda g, y, a, b: _matmul(a.swapaxes(-1, -2), g),
)


def matmul(a, b):
    """Matrix product, as `numpy.matmul`: vectors, matrices, and stacks of matrices that broadcast.

    Parameters
    ----------
    a : Tensor or array, shape (..., n, k) or (k,)
    b : Tensor or array, shape (..., k, m) or (k,)

    Returns
    -------
    Tensor or array, shape (..., n, m), without the axes that a vector lacks

    Raises
    ------
    ValueError
        If k differs, or an argument is a number.

    Notes
    -----
    Y = A B,   Ā = Ȳ Bᵀ,   B̄ = Aᵀ Ȳ.

    Examples
    --------
    >>> matmul(np.eye(2), np.array([1.0, 2.0]))
    array([1., 2.])
    """
    a, b = _as_arrays(a), _as_arrays(b)
    if a.ndim >= 2 and b.ndim >= 2:
        if a.ndim > 2 and b.ndim == 2:  # one tall product instead of a stack: B̄ needs no sum over the stack
            if a.shape[-1] == b.shape[0]:
                return _matmul(a.reshape((-1, a.shape[-1])) if a.size else a, b).reshape(a.shape[:-1] + b.shape[-1:])
        return _matmul(a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape}: a number has no matrix product. Use * instead.")
    if a.ndim == 1 and b.ndim == 1 and a.shape == b.shape:
        return sum(a * b)
    left = a.reshape((1, -1)) if a.ndim == 1 else a
    right = b.reshape((-1, 1)) if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit. Fix: {_matmul.fix}")
    y = _matmul(left, right)
    y = y.reshape(y.shape[:-1]) if b.ndim == 1 else y
    return y.reshape(y.shape[:-2] + y.shape[-1:]) if a.ndim == 1 and b.ndim > 1 else y.reshape(()) if a.ndim == 1 else y


def _as_arrays(x):
    return x if isinstance(x, Tensor) or is_array(x) else np.asarray(x)


@primitive(fix="an index that two operands share must have the same length in both (or 1).")
def contract(xp, *operands, subscripts=""):
    """Y = Σ Π of the operands' entries (einsum); no index is repeated within one operand, none belongs to one alone

    Ō_k = the same contraction with Ȳ in the place of operand k, and its indices as the result's
    """
    return xp.einsum(subscripts, *operands, optimize=len(operands) > 1)


def _contract_vjp(k, g, y, *operands, subscripts):
    left, result = subscripts.split("->")
    names = left.split(",")
    others = [n for i, n in enumerate(names) if i != k]
    wanted = names[k]
    rule = ",".join([result, *others]) + "->" + wanted
    gx = contract(g, *[x for i, x in enumerate(operands) if i != k], subscripts=rule)
    # An index may have length 1 in some operands, so one axis of gx may be too short while another is too long.
    shape = np.broadcast_shapes(gx.shape, operands[k].shape)
    return gx if gx.shape == shape else broadcast_to(gx, shape=shape)


contract.defvjp(_contract_vjp)


# --------------------------------------------------------------------------------------------- shapes and positions


@primitive(fix="axes must be a permutation of all axes.")
def transpose(xp, x, axes=None):
    """Y = X with its axes permuted            X̄ = Ȳ with them permuted back"""
    return xp.transpose(x, axes)


def _transpose_vjp(g, y, x, axes):
    if axes is None:
        return transpose(g)
    back = [0] * len(axes)
    for k, axis in enumerate(axes):
        back[axis] = k
    return transpose(g, axes=tuple(back))


transpose.defvjp(_transpose_vjp)


_takes_once = (slice, int, np.integer, type(None), type(Ellipsis))


def _is_basic(key):
    """Slices, integers, None and Ellipsis take each entry at most once, and masks too; a list of positions may not."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(k.dtype.kind == "b" if is_array(k) else isinstance(k, _takes_once) for k in parts)


@primitive(fix="an index lies between -n and n-1, a mask has the shape of the axes that it covers.")
def index(xp, x, key=None):
    """Y = X[key]            X̄ = scatter(Ȳ): entries taken twice receive twice"""
    return x[key]


@primitive
def scatter(xp, g, key=None, shape=None):
    """Y = zeros of `shape` with X added at `key`            X̄ = Ȳ[key]"""
    y = xp.zeros(shape, dtype=g.dtype)
    if _is_basic(key):
        y[key] = g
    else:
        xp.add.at(y, key, g)
    return y


index.defvjp(lambda g, y, x, key: scatter(g, key=key, shape=x.shape))
scatter.defvjp(lambda g, y, x, key, shape: index(g, key=key))


@primitive(fix="all shapes must agree except along the axis that is joined.")
def _concatenate(xp, *parts, axis=0):
    """Y = the parts, one after the other            each part's cotangent is its slice of Ȳ"""
    return xp.concatenate(parts, axis=axis)


def _concatenate_vjp(k, g, y, *parts, axis):
    axis %= y.ndim
    start = 0
    for part in parts[:k]:
        start += part.shape[axis]
    return g[(slice(None),) * axis + (slice(start, start + parts[k].shape[axis]),)]


_concatenate.__name__ = "concatenate"
_concatenate.defvjp(_concatenate_vjp)


@primitive
def _move(xp, x, device="cpu"):
    """Y = X on another device            X̄ = Ȳ moved back"""
    return _arrays.to_device(x, device)


_move.__name__ = "to_device"
_move.defvjp(lambda g, y, x, device: _move(g, device=_arrays.device_of(_raw(x))))


def to_device(x, device):
    """`x` on `"cpu"` or `"gpu"`; unchanged where it is there already. Gradients pass through and come back.

    Parameters
    ----------
    x : Tensor or array
    device : {"cpu", "gpu"}

    Raises
    ------
    ValueError, RuntimeError
        If the device has another name; if CuPy or the GPU is missing.

    Examples
    --------
    >>> to_device(np.ones(2), "cpu")
    array([1., 1.])
    """
    if not isinstance(x, Tensor):
        return _arrays.to_device(x, device)
    return x if x.device == device else _move(x, device=device)


# ------------------------------------------------------------------------------------- functions without a derivative


def _raw(x):
    return x._data if isinstance(x, Tensor) else x


def _compare(name, fix=_broadcast):
    def comparison(a, b):
        a, b = _raw(a), _raw(b)
        xp = namespace(*(x for x in (a, b) if is_array(x)), op=name)
        try:
            return getattr(xp, name)(a, b)
        except ValueError as error:
            raise ValueError(f"{name}: {error}. Fix: {fix}") from error

    comparison.__name__ = comparison.__qualname__ = name
    comparison.__doc__ = f"`numpy.{name}` of Tensors or arrays: a bare boolean array, since it has no derivative."
    return comparison


equal, not_equal = _compare("equal"), _compare("not_equal")
greater, greater_equal = _compare("greater"), _compare("greater_equal")
less, less_equal = _compare("less"), _compare("less_equal")


def sign(x):
    """−1, 0 or 1 for each entry: a bare array, since it has no derivative."""
    return namespace(_raw(x)).sign(_raw(x))


def _finite(x):
    return namespace(_raw(x)).isfinite(_raw(x))


def argmax(x, axis=None):
    """Where the largest entry stands: a bare integer array."""
    return namespace(_raw(x)).argmax(_raw(x), axis=axis)


def argmin(x, axis=None):
    """Where the smallest entry stands: a bare integer array."""
    return namespace(_raw(x)).argmin(_raw(x), axis=axis)


# ------------------------------------------------------------------------------------- what a Tensor can do by itself


def _plain_key(x, key):
    """An index without Tensors, on the device of `x`."""
    parts = tuple(_raw(k) for k in key) if isinstance(key, tuple) else _raw(key)
    for part in parts if isinstance(parts, tuple) else (parts,):
        if is_array(part):
            namespace(_raw(x), part, op="index")
            if part.dtype.kind == "f":
                raise IndexError(f"index: an index array has dtype {part.dtype}. Fix: make it an integer or a bool.")
    xp = namespace(_raw(x))

    def listed(k):  # a list of positions, or a tuple within the tuple
        return xp.asarray(k, dtype=None if k else int)

    if isinstance(parts, tuple):
        return tuple(listed(k) if isinstance(k, (list, tuple)) else k for k in parts)
    return listed(parts) if isinstance(parts, list) else parts


def _set_item(t, key, value):
    """Assign to entries of a leaf. The array is replaced, so no other holder of the old one sees a change."""
    new = t._data.copy()
    new[_plain_key(t, key)] = _raw(value)
    t.data = new


def _method_reshape(x, *shape):
    return reshape(x, shape=shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)


def _method_transpose(x, *axes):
    axes = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    return transpose(x, axes=tuple(axes) if axes and axes[0] is not None else None)


def swapaxes(x, axis1, axis2):
    """`x` with two axes exchanged, as `numpy.swapaxes`."""
    axis1, axis2 = (_checked_axis(k, x.ndim, "swapaxes") for k in (axis1, axis2))
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, axes=tuple(axes))


METHODS = {
    "__add__": lambda a, b: add(a, b),
    "__radd__": lambda a, b: add(b, a),
    "__sub__": lambda a, b: subtract(a, b),
    "__rsub__": lambda a, b: subtract(b, a),
    "__mul__": lambda a, b: multiply(a, b),
    "__rmul__": lambda a, b: multiply(b, a),
    "__truediv__": lambda a, b: divide(a, b),
    "__rtruediv__": lambda a, b: divide(b, a),
    "__pow__": lambda a, b: power(a, b),
    "__rpow__": lambda a, b: power(b, a),
    "__matmul__": matmul,
    "__rmatmul__": lambda a, b: matmul(b, a),
    "__neg__": lambda x: negative(x),
    "__pos__": identity,
    "__abs__": abs,
    "__eq__": equal,
    "__ne__": not_equal,
    "__lt__": less,
    "__le__": less_equal,
    "__gt__": greater,
    "__ge__": greater_equal,
    "__getitem__": lambda x, key: index(x, key=_plain_key(x, key)),
    "__setitem__": _set_item,
    "T": property(transpose),
    "reshape": _method_reshape,
    "transpose": _method_transpose,
    "flatten": lambda x: reshape(x, shape=(-1,)),
    "swapaxes": swapaxes,
    "to": to_device,
}  # fmt: skip
METHODS |= {
    f.__name__: f
    for f in (add, subtract, multiply, divide, power, exp, log, log1p, expm1, sqrt, square, abs, sin, cos, tanh, erf)
    + (sigmoid, softplus, relu, leaky_relu, elu, clip, sum, mean, max, min, cumsum, logsumexp, softmax, log_softmax)
    + (matmul, copy, astype, argmax, argmin)
}

PRIMITIVES = {p.__name__: p for p in [*vars(_engine).values(), *globals().values()] if isinstance(p, Primitive)}


Tensor._operators = {
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.true_divide: divide,
    np.power: power,
    np.matmul: matmul,
    np.equal: equal,
    np.not_equal: not_equal,
    np.less: less,
    np.less_equal: less_equal,
    np.greater: greater,
    np.greater_equal: greater_equal,
}


def attach(methods):
    """Give Tensor the operators and methods of a table (a plain function becomes a method)."""
    for name, f in methods.items():
        # A Primitive is no function, so Python would not bind it to the Tensor.
        setattr(Tensor, name, _bound(f) if isinstance(f, Primitive) else f)


def _bound(p):
    def method(self, *args, **params):
        return p(self, *args, **params)

    method.__name__, method.__qualname__, method.__doc__ = p.__name__, f"Tensor.{p.__name__}", p.__doc__
    return method


attach(METHODS)
