"""Functions composed from primitives: their gradients, of every order, follow from those of the parts.

What stands here is the readable definition of each (and, for `normalize`, a faster form of it). Where a formula would
divide by zero at one point (a norm at the zero vector), the text says which value is chosen there.
"""

import builtins
import math

import numpy as np

from .arrays import is_array, namespace
from .engine import Saved, broadcast_to, primitive, reshape
from .ops import (
    PRIMITIVES,
    _as_arrays,
    _axes,
    _axis,
    _checked_axis,
    _concatenate,
    _kept_shape,
    _raw,
    abs,
    attach,
    contract,
    erf,
    index,
    max,
    mean,
    power,
    scatter,
    sigmoid,
    softplus,
    sqrt,
    sum,
    swapaxes,
    tanh,
    transpose,
    where,
)

# -------------------------------------------------------------------------------------------------------- activations


def log_sigmoid(x):
    """log sigmoid(x) = −softplus(−x), without overflow and without log 0.

    Examples
    --------
    >>> float(log_sigmoid(np.array(-800.0)))
    -800.0
    """
    return -softplus(-x)


def silu(x):
    """x · sigmoid(x), also called swish (Elfwing et al. 2018)."""
    return x * sigmoid(x)


def gelu(x, approximate="none"):
    """x · Φ(x), with the normal distribution function Φ (Hendrycks & Gimpel 2016).

    Parameters
    ----------
    x : Tensor or array
    approximate : {"none", "tanh"}
        "tanh" uses Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Raises
    ------
    ValueError
        If `approximate` has another value.

    Examples
    --------
    >>> float(gelu(np.array(0.0)))
    0.0
    """
    if approximate == "none":
        return x * (0.5 * (1 + erf(x * math.sqrt(0.5))))
    if approximate == "tanh":
        from_cdf = math.sqrt(2 / math.pi) * (x + 0.044715 * power(x, 3))
        return x * (0.5 * (1 + tanh(from_cdf)))
    raise ValueError(f'gelu: approximate is "none" or "tanh", not {approximate!r}.')


# ------------------------------------------------------------------------------------------------- more reductions


def _reduced(axis, ndim, name):
    """The axes that a reduction takes away. A number has none, but it takes axis 0 or -1 all the same, as in NumPy."""
    named = _axes(_axis(axis), ndim)
    axes = {_checked_axis(k, ndim or 1, name) for k in named}
    if len(axes) < len(named):
        raise ValueError(f"{name}: axis {axis} names one axis twice.")
    return axes if ndim else set()


def var(x, axis=None, ddof=0, keepdims=False, correction=None):
    """Variance along axes: Σ (x − mean)² / (n − ddof), as `numpy.var`.

    Parameters
    ----------
    x : Tensor or array
    axis : int, tuple or None
    ddof, correction : int
        What is taken off n (two names for one thing). 1 gives the unbiased estimate.
    keepdims : bool

    Examples
    --------
    >>> float(var(np.array([1.0, 3.0])))
    1.0
    """
    x, axis = _as_arrays(x), _axis(axis)
    deviation = x - mean(x, axis=axis, keepdims=True)
    return sum(deviation * deviation, axis=axis, keepdims=keepdims) / _freedom("var", x, axis, ddof, correction)


def std(x, axis=None, ddof=0, keepdims=False, correction=None):
    """Standard deviation along axes, as `numpy.std`: ‖x − mean‖ / √(n − ddof).

    Where all values are equal its gradient is set to 0. See `var` for the parameters.

    Examples
    --------
    >>> float(std(np.array([1.0, 3.0])))
    1.0
    """
    x, axis = _as_arrays(x), _axis(axis)
    deviation = x - mean(x, axis=axis, keepdims=True)
    freedom = _freedom("std", x, axis, ddof, correction)
    return norm(deviation, axis=axis, keepdims=keepdims) / math.sqrt(freedom)


def _freedom(name, x, axis, ddof, correction):
    if correction is not None:
        if ddof:
            raise ValueError(f"{name}: ddof and correction are two names for one number; give one of them.")
        ddof = correction
    n = math.prod(x.shape[k] for k in _reduced(axis, x.ndim, name))
    return builtins.max(n - ddof, 0)  # as NumPy: one value with ddof=1 gives 0/0, which is nan


def prod(x, axis=None, keepdims=False):
    """Product along axes, as `numpy.prod`.

    A tree of products: each level multiplies one half by the other. No division, so zeros need no special case and the
    gradients are exact to every order.

    Examples
    --------
    >>> float(prod(np.array([2.0, 3.0, 4.0])))
    24.0
    """
    x, axis = _as_arrays(x), _axis(axis)
    if x.dtype.kind in "iub":
        x = sum(x, axis=())  # adds nothing up, but widens small integers as NumPy does
    reduced = sorted(_reduced(axis, x.ndim, "prod"))
    stay = [k for k in range(x.ndim) if k not in reduced]
    left = tuple(x.shape[k] for k in stay)
    flat = reshape(transpose(x, axes=(*reduced, *stay)), shape=(math.prod(x.shape[k] for k in reduced), *left))
    while len(flat) > 1:
        half = len(flat) // 2
        pairs = flat[:half] * flat[half : 2 * half]
        flat = concatenate([pairs, flat[2 * half :]]) if len(flat) % 2 else pairs
    if not len(flat):
        flat = sum(flat, axis=0, keepdims=True) + 1  # the product of nothing
    return reshape(flat, shape=_kept_shape(x.shape, axis) if keepdims else left)


def _largest_size(x, axis):
    """max |x| along axes, as a constant; 1 where it is 0 or not finite, so that it can be divided by."""
    raw = _raw(x)
    xp = namespace(raw)
    if not raw.size:
        return xp.ones(_kept_shape(raw.shape, axis), dtype=raw.real.dtype)
    top = xp.max(xp.abs(raw), axis=axis, keepdims=True)
    return xp.where((top == 0) | ~xp.isfinite(top), 1, top).astype(raw.real.dtype)


def norm(x, ord=2, axis=None, keepdims=False):
    """Length of vectors: (Σ |x|^ord)^(1/ord) along axes; the Euclidean norm by default.

    Parameters
    ----------
    x : Tensor or array
    ord : float
        1, 2, inf, -inf, 0 (the number of entries that are not 0) or another power. None is 2.
    axis : int, tuple or None
        None takes all entries as one vector.
    keepdims : bool

    Notes
    -----
    For ord = 2 the entries are divided by the largest first, so that no square overflows or vanishes:
    ‖x‖ = m ‖x/m‖ holds for each constant m, in value and in every derivative. The gradient at x = 0, where none exists,
    is set to 0.

    Examples
    --------
    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    >>> float(norm(np.array([3e-200, 4e-200]))) == 5e-200
    True
    """
    x, axis = _as_arrays(x), _axis(axis)
    gone = _reduced(axis, x.ndim, "norm")
    if x.dtype.kind in "iub":
        x = x * 1.0
    if ord in (None, 2):
        scale = _largest_size(x, axis)
        v = x / scale
        squares = sum(v * v, axis=axis, keepdims=True)
        length = scale * sqrt(squares + (_raw(squares) == 0)) * (_raw(squares) != 0)
    elif ord == math.inf:
        length = max(abs(x), axis=axis, keepdims=True)
    elif ord == -math.inf:
        length = -max(-abs(x), axis=axis, keepdims=True)
    elif ord == 0:
        length = sum(where(_raw(x) != 0, 1.0, 0.0 * x), axis=axis, keepdims=True)
    elif ord == 1:
        length = sum(abs(x), axis=axis, keepdims=True)
    elif isinstance(ord, (int, float)):
        # Divide by the largest entry here too; an entry of 0 gets the gradient 0.
        scale = _largest_size(x, axis)
        sizes = abs(x) / scale
        zero = _raw(sizes) == 0
        powers = where(zero, 0.0 if ord > 0 else math.inf, power(where(zero, 1.0, sizes), ord))
        total = sum(powers, axis=axis, keepdims=True)
        none = _raw(total) == 0
        length = scale * where(none, 0.0, power(where(none, 1.0, total), 1 / ord))
    else:
        raise ValueError(f"norm: ord is a number (1, 2, inf, ...), not {ord!r}. Matrix norms are not offered.")
    return length if keepdims else reshape(length, shape=tuple(n for k, n in enumerate(x.shape) if k not in gone))


def normalize(x, axis=-1):
    """x / ‖x‖ along an axis: a point on the unit sphere.

    At x = 0 the result is 0 with a zero Jacobian. Elsewhere it is exact at every length: no eps is used, the entries are
    divided by the largest first.

    Parameters
    ----------
    x : Tensor or array, shape (..., d)
    axis : int or tuple

    Notes
    -----
    u = x / ‖x‖,   X̄ = (Ū − (Ū·u) u) / ‖x‖.

    Examples
    --------
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x, axis = _as_arrays(x), _axis(axis)
    _reduced(axis, x.ndim, "normalize")
    return normalize_by_definition(x, axis) if x.dtype.kind in "iubc" else _normalize(x, axis=axis)


def normalize_by_definition(x, axis=-1):
    """x / ‖x‖ in the library's own operations: what `normalize` computes, and what is differentiated for higher orders."""
    v = x / _largest_size(x, axis)  # u(x) = u(x/m) for each constant m > 0, in all derivatives too
    squares = sum(v * v, axis=axis, keepdims=True)
    zero = _raw(squares) == 0
    return v * ~zero / sqrt(squares + zero)


@primitive
def _normalize(xp, x, axis=-1):
    """u = x / ‖x‖ in few passes                                                      X̄ = (Ū − (Ū·u) u) / ‖x‖"""
    with np.errstate(over="ignore"):
        squares = _dots(xp, x, x, axis)
    info = xp.finfo(x.dtype)
    scale = None
    if x.size and not (squares.min() > info.tiny / info.eps and squares.max() <= info.max):  # a square may be lost
        scale = _largest_size(x, axis)
        x = x / scale
        squares = _dots(xp, x, x, axis)
    length = xp.sqrt(squares)
    with np.errstate(divide="ignore"):
        inverse = xp.where(length > 0, 1 / length, 0)  # the Jacobian at 0 is set to 0
    u = x * inverse
    return Saved(u, (inverse, scale))


def _normalize_vjp(g, u, saved, needed, x, axis):
    inverse, scale = saved
    gx = g - _dots(namespace(x), g, u, axis) * u
    gx *= inverse
    if scale is not None:
        gx /= scale  # not 1/(‖x/m‖ m) at once, which may overflow where the gradient does not
    return (gx,)


_normalize.defvjp_joint(_normalize_vjp, composed=normalize_by_definition)
_normalize.__name__ = "normalize"
PRIMITIVES["normalize"] = _normalize


def _dots(xp, a, b, axis):
    """Σ a b along axes that stay with length 1."""
    if a.ndim > 1 and axis in (-1, a.ndim - 1):
        return xp.einsum("...i,...i->...", a, b)[..., None]
    return xp.sum(a * b, axis=axis, keepdims=True)


def cosine_similarity(a, b, axis=-1):
    """Cosine of the angle between vectors: u·v / (‖u‖ ‖v‖), 0 where one of them is 0.

    Parameters
    ----------
    a, b : Tensor or array, shapes that broadcast
    axis : int
        Along which the vectors lie, in the shape that results from broadcasting.

    Raises
    ------
    ValueError
        If the shapes do not broadcast, or have no such axis.

    Examples
    --------
    >>> float(cosine_similarity(np.array([1.0, 0.0]), np.array([0.0, 2.0])))
    0.0
    """
    a, b = _as_arrays(a), _as_arrays(b)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape) or (1,)  # a number is a vector of one entry
    except ValueError:
        raise ValueError(
            f"cosine_similarity: shapes {a.shape} and {b.shape} must broadcast against each other."
        ) from None
    axis = _checked_axis(axis, len(shape), "cosine_similarity") - len(shape)  # from the right both shapes count alike

    def unit(x):  # one entry that stands for many along the axis is that many entries in the norm
        whole = x.ndim >= -axis and x.shape[axis] == shape[axis]
        return normalize(x if whole else broadcast_to(x, shape=shape), axis=axis)

    return sum(unit(a) * unit(b), axis=axis)


def cosine_matrix(x, y=None):
    """Cosine of each row of `x` with each row of `y` (with each row of `x` if `y` is None).

    Parameters
    ----------
    x : Tensor or array, shape (..., n, d)
    y : Tensor or array, shape (..., m, d), optional

    Returns
    -------
    Tensor or array, shape (..., n, m)
        Entry (i, k) is the cosine of the angle between x[i] and y[k]; 0 where one of the two is a row of zeros.

    Raises
    ------
    ValueError
        If d differs, or an argument is no matrix.

    Notes
    -----
    S = U Vᵀ with the rows u = x/‖x‖ and v = y/‖y‖: n + m norms and one matrix product. Exact at every length of the
    rows, since `normalize` uses no eps; the length of a row changes neither its cosines nor, but for a factor 1/‖x‖,
    their gradient.

    Examples
    --------
    >>> cosine_matrix(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0], [-6.0, -8.0]]))
    array([[ 0.6,  0.8, -1. ],
           [ 0. ,  0. ,  0. ]])
    """
    x = _as_arrays(x)
    y = x if y is None else _as_arrays(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"cosine_matrix: shapes {x.shape} and {y.shape}; give (..., n, d) and (..., m, d).")
    u = normalize(x)
    v = u if y is x else normalize(y)
    return u @ swapaxes(v, axis1=-1, axis2=-2)


def pairwise_distances(x, y=None, squared=False):
    """Euclidean distance of each row of `x` to each row of `y` (to each row of `x` if `y` is None).

    Parameters
    ----------
    x : Tensor or array, shape (..., n, d)
    y : Tensor or array, shape (..., m, d), optional
    squared : bool
        Return the squares.

    Returns
    -------
    Tensor or array, shape (..., n, m)

    Raises
    ------
    ValueError
        If d differs, or an argument is no matrix.

    Notes
    -----
    Differences are formed before squaring, so near points keep their digits; memory is n·m·d. The gradient of a distance
    of 0 is set to 0.

    Examples
    --------
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[0., 5.],
           [5., 0.]])
    """
    x = _as_arrays(x)
    y = x if y is None else _as_arrays(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"pairwise_distances: shapes {x.shape} and {y.shape}; give (..., n, d) and (..., m, d).")
    difference = expand_dims(x, -2) - expand_dims(y, -3)
    return sum(difference * difference, axis=-1) if squared else norm(difference, axis=-1)


# ----------------------------------------------------------------------------------------------------------- products


def dot(a, b):
    """`numpy.dot`: the last axis of `a` with the second last of `b` (with the only one, if `b` is a vector).

    Examples
    --------
    >>> float(dot(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    a, b = _as_arrays(a), _as_arrays(b)
    if not a.ndim or not b.ndim:
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return a @ b
    if b.ndim == 1:
        return einsum("...i,i->...", a, b)
    left, right = "abcdefghijk"[: a.ndim - 1], "lmnopqrstuv"[: b.ndim - 2]
    return einsum(f"{left}z,{right}zw->{left}{right}w", a, b)


def outer(a, b):
    """`numpy.outer`: each entry of `a` times each entry of `b`, both flattened.

    Examples
    --------
    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    return reshape(_as_arrays(a), shape=(-1, 1)) * reshape(_as_arrays(b), shape=(1, -1))


def einsum(subscripts, *operands):
    """`numpy.einsum` with all its forms: repeated and dropped indices, ellipsis, implicit output.

    Parameters
    ----------
    subscripts : str
        For example `"bij,bjk->bik"`; `"ii"` is a trace; `"i...->..."` sums the first axis.
    *operands : Tensor or array

    Raises
    ------
    ValueError
        If the subscripts do not fit the operands.

    Notes
    -----
    Three steps, each with a simple vjp: a repeated index takes a diagonal, an index that one operand alone has is summed,
    and the rest is a contraction whose vjp is a contraction.

    Examples
    --------
    >>> float(einsum("ii", np.eye(3)))
    3.0
    """
    operands = [_as_arrays(x) for x in operands]
    names, result = _einsum_names(subscripts, operands)
    for k, name in enumerate(names):
        operands[k], names[k] = _diagonals(operands[k], name)
    for k, name in enumerate(names):
        others = set(result).union(*(n for i, n in enumerate(names) if i != k))
        alone = tuple(i for i, letter in enumerate(name) if letter not in others)
        if alone:
            operands[k] = sum(operands[k], axis=alone)
            names[k] = "".join(letter for letter in name if letter in others)
    return contract(*operands, subscripts=",".join(names) + "->" + result)


def _einsum_names(subscripts, operands):
    """One letter for each axis, also for those that an ellipsis stands for, and the letters of the result."""
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: the subscripts are a string such as 'ij,jk->ik', not {subscripts!r}.")
    text = subscripts.replace(" ", "")
    left, arrow, result = text.partition("->")
    names = left.split(",")
    if len(names) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(names)} operands, but {len(operands)} were given.")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    widths = [x.ndim - len(n.replace("...", "")) if "..." in n else 0 for n, x in zip(names, operands)]
    width = builtins.max(widths, default=0)
    spread = "".join(free[:width])
    for k, (name, x) in enumerate(zip(names, operands)):
        names[k] = name.replace("...", spread[width - widths[k] :] if widths[k] > 0 else "")
        if len(names[k]) != x.ndim or "." in names[k]:
            raise ValueError(f"einsum: {name!r} does not name the {x.ndim} axes of an operand of shape {x.shape}.")
    if arrow:
        result = result.replace("...", spread)
    else:
        letters = [c for c in "".join(names) if c not in spread]
        result = spread + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    unknown = [c for c in result if c not in "".join(names)]
    if unknown or len(set(result)) != len(result):
        raise ValueError(
            f"einsum: the result {result!r} of {subscripts!r} must name each index once, and known ones only."
        )
    sizes = {}
    for name, x in zip(names, operands):
        for c, n in zip(name, x.shape):
            if sizes.get(c, 1) != 1 and n not in (1, sizes[c]):
                shapes = ", ".join(str(tuple(x.shape)) for x in operands)
                raise ValueError(
                    f"einsum: {subscripts!r} of shapes {shapes}: index {c!r} has length {sizes[c]} and length {n}; "
                    "they must be equal, or one of them 1."
                )
            sizes[c] = n if n != 1 else sizes.get(c, 1)
    return names, result


def _diagonals(x, name):
    """Take the diagonal for each letter that `name` repeats."""
    for letter in dict.fromkeys(name):
        places = [k for k, c in enumerate(name) if c == letter]
        if len(places) > 1:
            n = x.shape[places[0]]
            if any(x.shape[k] != n for k in places):
                raise ValueError(f"einsum: the repeated index {letter!r} has lengths {[x.shape[k] for k in places]}.")
            rest = [k for k in range(x.ndim) if k not in places]
            along = namespace(_raw(x)).arange(n)
            x = index(transpose(x, axes=tuple(places + rest)), key=(along,) * len(places))
            name = letter + "".join(name[k] for k in rest)
    return x, name


# --------------------------------------------------------------------------------------------- shapes and positions


def permute(x, axes):
    """`x` with its axes in the given order: another name for `transpose`."""
    return transpose(x, axes=tuple(axes))


def squeeze(x, axis=None):
    """Without axes of length 1 (all of them, or those named), as `numpy.squeeze`.

    Raises
    ------
    ValueError
        If a named axis has another length.
    """
    x = _as_arrays(x)
    if axis is None:
        gone = {k for k, n in enumerate(x.shape) if n == 1}
    else:
        gone = _reduced(axis, x.ndim, "squeeze")
        wrong = [k for k in gone if x.shape[k] != 1]
        if wrong:
            raise ValueError(f"squeeze: axis {wrong[0]} of shape {x.shape} has length {x.shape[wrong[0]]}, not 1.")
    return reshape(x, shape=tuple(n for k, n in enumerate(x.shape) if k not in gone))


def expand_dims(x, axis):
    """With new axes of length 1 at the given places of the result, as `numpy.expand_dims`."""
    x = _as_arrays(x)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.ndim + len(axes)
    new = {_checked_axis(k, ndim, "expand_dims") for k in axes}
    if len(new) != len(axes):
        raise ValueError(f"expand_dims: axis {axes} names one place twice.")
    old = iter(x.shape)
    return reshape(x, shape=tuple(1 if k in new else next(old) for k in range(ndim)))


def concatenate(arrays, axis=0):
    """Arrays, one after the other along an axis (None: all flattened), as `numpy.concatenate`.

    Raises
    ------
    ValueError
        If shapes differ elsewhere than along the axis.

    Examples
    --------
    >>> concatenate([np.zeros(1), np.ones(2)])
    array([0., 1., 1.])
    """
    parts = [_as_arrays(x) for x in arrays]
    if not parts:
        raise ValueError("concatenate: got an empty list; give at least one array.")
    if axis is None:
        parts, axis = [reshape(x, shape=(-1,)) for x in parts], 0
    return _concatenate(*parts, axis=axis)


def stack(arrays, axis=0):
    """Arrays of one shape, joined along a new axis, as `numpy.stack`.

    Examples
    --------
    >>> stack([np.zeros(2), np.ones(2)]).shape
    (2, 2)
    """
    parts = [_as_arrays(x) for x in arrays]
    if any(x.shape != parts[0].shape for x in parts):
        raise ValueError(f"stack: all shapes must be equal, got {[tuple(x.shape) for x in parts]}.")
    return concatenate([expand_dims(x, axis) for x in parts], axis=axis)


def split(x, sections, axis=0):
    """A list of parts along an axis: a number of equal parts, or the places where to cut, as `numpy.split`.

    Raises
    ------
    ValueError
        If a number of parts does not divide the length.

    Examples
    --------
    >>> [len(part) for part in split(np.arange(6.0), [1, 3])]
    [1, 2, 3]
    """
    x = _as_arrays(x)
    axis = _checked_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ValueError(f"split: an axis of length {n} (shape {x.shape}) has no {sections} equal parts.")
        cuts = list(range(n // sections, n, n // sections)) if n else [0] * (sections - 1)
    else:
        cuts = [int(c) for c in sections]
    lead = (slice(None),) * axis
    return [index(x, key=(*lead, slice(start, stop))) for start, stop in zip([0, *cuts], [*cuts, n])]


def flip(x, axis=None):
    """In reverse order along axes (None: all), as `numpy.flip`."""
    x = _as_arrays(x)
    turned = {_checked_axis(k, x.ndim, "flip") for k in _axes(_axis(axis), x.ndim)}
    return index(x, key=tuple(slice(None, None, -1) if k in turned else slice(None) for k in range(x.ndim)))


def pad(x, pad_width, mode="constant", constant_values=0.0):
    """With a margin around it, as `numpy.pad`.

    Parameters
    ----------
    x : Tensor or array
    pad_width : int, (before, after), or one such pair for each axis
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
    constant_values : float

    Notes
    -----
    Padding with zeros is the adjoint of cropping. The other modes take entries of `x` again.

    Examples
    --------
    >>> pad(np.ones(2), (1, 2))
    array([0., 1., 1., 0., 0.])
    """
    x = _as_arrays(x)
    pairs = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)) if x.ndim else np.zeros((0, 2), int)
    if pairs.size and (pairs.dtype.kind not in "iu" or pairs.min() < 0):
        raise ValueError(f"pad: pad_width must be integers that are not negative, got {pad_width!r}.")
    pairs = [(int(before), int(after)) for before, after in pairs]
    if mode == "constant":
        shape = tuple(before + n + after for n, (before, after) in zip(x.shape, pairs))
        inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, pairs))
        padded = scatter(x, key=inside, shape=shape)
        if constant_values == 0:
            return padded
        margin = namespace(_raw(x)).full(shape, constant_values, dtype=x.dtype)
        margin[inside] = 0
        return padded + margin
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f'pad: mode {mode!r} is not known; use "constant", "edge", "reflect", "symmetric" or "wrap".')
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x = take(x, np.pad(np.arange(x.shape[axis]), (before, after), mode=mode).tolist(), axis=axis)
    return x


def take(x, indices, axis=None):
    """Entries (or slices along an axis) at integer positions, repeats allowed, as `numpy.take`.

    Examples
    --------
    >>> take(np.array([5.0, 6.0, 7.0]), [2, 2, 0])
    array([7., 7., 5.])
    """
    x = _as_arrays(x)
    if axis is None or not x.ndim:
        x, axis = reshape(x, shape=(-1,)), 0 if axis is None else axis
    axis = _checked_axis(axis, x.ndim, "take")
    return index(x, key=(slice(None),) * axis + (_positions(x, indices, axis, "take"),))


def _positions(x, indices, axis, name):
    """Integer positions on the device of `x`, all within the axis (CuPy itself would wrap them around)."""
    xp = namespace(_raw(x))
    raw = _raw(indices)
    if is_array(raw):
        namespace(_raw(x), raw, op=name)
    else:
        raw = np.asarray(raw)
        raw = xp.asarray(raw.astype(int) if not raw.size else raw)
    if raw.dtype.kind not in "iu":
        raise IndexError(f"{name}: positions must be integers, got {raw.dtype}.")
    n = x.shape[axis]
    if raw.size and (int(raw.min()) < -n or int(raw.max()) >= n):
        raise IndexError(
            f"{name}: positions from {raw.min()} to {raw.max()} do not fit axis {axis} of shape {tuple(x.shape)}."
        )
    return raw


def take_along_axis(x, indices, axis=-1):
    """For each place of `indices`, the entry of `x` at that position along the axis, as `numpy.take_along_axis`.

    Parameters
    ----------
    x : Tensor or array
    indices : integer array with as many axes as `x`; the other axes broadcast against those of `x`
    axis : int or None
        None flattens `x`.

    Examples
    --------
    >>> take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]))
    array([[2.],
           [3.]])
    """
    x = _as_arrays(x)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    axis = _checked_axis(axis, x.ndim, "take_along_axis")
    indices = _positions(x, indices, axis, "take_along_axis")
    if indices.ndim != x.ndim:
        raise ValueError(
            f"take_along_axis: indices of shape {indices.shape} need the {x.ndim} axes of shape {x.shape}."
        )
    return _along(x, indices, axis, lambda k: x.shape[k])


def gather(x, indices, axis=-1):
    """As `take_along_axis`, but the other axes of `indices` may be shorter than those of `x` (`torch.gather`).

    Examples
    --------
    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1, 1, 0]]))
    array([[2., 2., 1.]])
    """
    x = _as_arrays(x)
    if isinstance(indices, int):
        raise TypeError("gather: the order is gather(x, indices, axis); the second argument must be an integer array.")
    axis = _checked_axis(axis, x.ndim or 1, "gather")
    if not x.ndim:
        x = reshape(x, shape=(1,))
    indices = _positions(x, indices, axis, "gather")
    if not indices.ndim:
        return reshape(gather(x, indices.reshape((1,)), axis), shape=())
    if indices.ndim != x.ndim or any(m > n for k, (m, n) in enumerate(zip(indices.shape, x.shape)) if k != axis):
        raise ValueError(f"gather: indices of shape {indices.shape} do not fit into x of shape {x.shape}.")
    return _along(x, indices, axis, lambda k: indices.shape[k])


def _along(x, indices, axis, length):
    xp = namespace(indices)
    key = [xp.arange(length(k)).reshape((-1,) + (1,) * (x.ndim - k - 1)) for k in range(x.ndim)]
    key[axis] = indices
    return index(x, key=tuple(key))


def masked_fill(x, mask, value):
    """`value` where the mask holds, `x` elsewhere."""
    return where(mask, value, x)


def one_hot(labels, num_classes=None, dtype=np.float64):
    """A row for each label, with 1 in its place: a bare array, since labels have no derivative.

    Parameters
    ----------
    labels : integer array, shape (...)
    num_classes : int, optional
        By default the largest label + 1.

    Returns
    -------
    array, shape (..., num_classes)

    Examples
    --------
    >>> one_hot([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    raw = _as_arrays(_raw(labels))
    xp = namespace(raw)
    if raw.size and raw.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, got {raw.dtype}.")
    largest = int(raw.max()) if raw.size else -1
    classes = largest + 1 if num_classes is None else num_classes
    if raw.size and (largest >= classes or int(raw.min()) < 0):
        raise ValueError(
            f"one_hot: labels lie between {int(raw.min())} and {largest}, the classes between 0 and {classes - 1}."
        )
    return (raw[..., None] == xp.arange(classes)).astype(dtype)


METHODS = {
    f.__name__: f
    for f in (log_sigmoid, silu, gelu, var, std, prod, norm, normalize, dot, permute, squeeze, expand_dims, split, flip)
    + (take, take_along_axis, gather, masked_fill, pad)
}
attach(METHODS)
