"""What every loss asks of its arguments before it computes: shapes that fit, floats, no NaN, a positive temperature.

A loss that is handed nonsense returns a number all the same, and the training that follows is wasted. So each fault is
an error here, whose text names the loss, the shapes and the fix.
"""

import math

import numpy as np

from ..arrays import is_array, namespace
from ..engine import Tensor, astype
from ..functional import concatenate
from ..ops import _as_arrays, _raw


class NotFiniteError(ValueError, FloatingPointError):
    """An input holds NaN or infinity: a wrong value, and in training a sign that it has diverged."""


def floats(name, **arguments):
    """The arguments as Tensors or arrays of floats, each given as `key=(array, "N d")`.

    The letters name the axes: one letter is one length, in all arguments alike, and at least 1.

    Raises
    ------
    TypeError
        If an array holds no floats, or the arrays are on different devices.
    ValueError
        If a shape does not fit the letters, or an array is empty.
    NotFiniteError
        If a value is NaN or infinite. It is a ValueError, and a FloatingPointError too, which training loops look for.

    Examples
    --------
    >>> z1, z2 = floats("a loss", z1=(np.ones((3, 2)), "N d"), z2=(np.ones((3, 2)), "N d"))
    >>> floats("a loss", z1=(np.ones((3, 2)), "N d"), z2=(np.ones((4, 2)), "N d"))
    Traceback (most recent call last):
    ValueError: a loss: z1 of shape (3, 2) and z2 of shape (4, 2) do not fit; give z1 (N, d) and z2 (N, d).
    """
    found = {key: _as_arrays(x) for key, (x, _) in arguments.items()}
    namespace(*map(_raw, found.values()), op=name)
    for key, x in found.items():
        if x.dtype.kind not in "fc":  # complex: the complex step passes through
            raise TypeError(
                f"{name}: {key} of shape {tuple(x.shape)} has dtype {x.dtype}; give floats, for example "
                f"{key}.astype(float)."
            )
    lengths = {}
    for x, (_, letters) in zip(found.values(), arguments.values()):
        axes = letters.split()
        if x.ndim != len(axes) or any(lengths.setdefault(a, n) != n for a, n in zip(axes, x.shape)):
            raise ValueError(f"{name}: {_and(_shapes(found))} do not fit; give {_and(_wanted(arguments))}.")
    empty = [letter for letter, n in lengths.items() if not n]
    if empty:
        raise ValueError(
            f"{name}: {_and(_shapes(found))}: nothing is there to compare, since {empty[0]} = 0 (an empty batch?); "
            f"give {_and(_wanted(arguments))} with {empty[0]} at least 1."
        )
    for key, x in found.items():
        finite = namespace(_raw(x)).isfinite(_raw(x))
        if not bool(finite.all()):
            rows = (~finite).reshape((len(x), -1)).any(axis=1)
            raise NotFiniteError(
                f"{name}: {key} of shape {tuple(x.shape)} holds NaN or inf, first in row {int(rows.argmax())} "
                f"({int(rows.sum())} of {len(x)} rows). Fix what made it: `with mc.detect_anomaly():` names the operation."
            )
    return list(found.values())


def _shapes(found):
    return [f"{key} of shape {tuple(x.shape)}" for key, x in found.items()]


def _wanted(arguments):
    return [
        f"{key} ({letters.replace(' ', ', ')}{'' if ' ' in letters else ','})"
        for key, (_, letters) in arguments.items()
    ]


def _and(words):
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def positive_temperature(name, value, like):
    """A temperature by which cosines can be divided: positive, and not so small that 1/τ overflows; see `scalar`.

    Raises
    ------
    TypeError, ValueError
        If it is no single number, is not above 0, or is too small for the precision of `like`.

    Examples
    --------
    >>> positive_temperature("a loss", 0.0, np.ones(1))
    Traceback (most recent call last):
    ValueError: a loss: temperature must be a positive, finite number, got 0.0.
    """
    number, value = _raw(value), scalar(name, "temperature", value, like)
    number = float(number.real)
    smallest = 2 / float(np.finfo(like.dtype).max)  # two logits differ by as much as 2/τ
    if number <= 0:
        raise ValueError(f"{name}: temperature must be a positive, finite number, got {number}.")
    if number < smallest:
        raise ValueError(
            f"{name}: temperature {number} is too small for {like.dtype}: 1/temperature overflows. Give at least "
            f"{smallest:.1e}, or the embeddings in a higher precision."
        )
    return value


def scalar(name, key, value, like):
    """A number, or a Tensor or array of shape (), in the precision of `like`.

    A Tensor stays one, so that the loss has a gradient with respect to it.

    Raises
    ------
    TypeError, ValueError
        If it is no single number, or is NaN or infinite.
    """
    if isinstance(value, np.generic):
        value = value.item()  # a Python number does not change the dtype of an array; a NumPy scalar does
    raw = _raw(value)
    if isinstance(raw, (str, bytes)):
        raise TypeError(f"{name}: {key} must be a number or a Tensor of shape (), got {raw!r}.")
    if is_array(raw):
        namespace(_raw(like), raw, op=f"{name}, {key}")
        if raw.ndim:
            raise ValueError(f"{name}: {key} has shape {tuple(raw.shape)}; give one number (shape ()).")
    try:
        number = float(getattr(raw, "real", raw))
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {key} must be a number or a Tensor of shape (), got {raw!r}.") from None
    if not math.isfinite(number):
        raise ValueError(
            f"{name}: {key} must be a {'positive, ' if key == 'temperature' else ''}finite number, got {number}."
        )
    if is_array(raw) and raw.dtype.kind in "fiub" and like.dtype.kind == "f" and raw.dtype != like.dtype:
        return astype(value, dtype=like.dtype)  # float32 embeddings keep their dtype beside a float64 temperature
    return value


def constant(x, like):
    """`x` as a bare array, so that nothing is recorded for it and no gradient goes there, in the precision of `like`."""
    raw = _raw(x)
    return raw.astype(like.dtype, copy=False) if raw.dtype.kind == like.dtype.kind == "f" else raw


def between(name, key, value, low, high=math.inf, open_low=False, open_high=True):
    """A constant number between two bounds (a bound that is open is left out).

    Raises
    ------
    TypeError, ValueError
        If it is no number, or does not lie there. A Tensor is refused, since it would get no gradient.
    """
    if isinstance(value, (Tensor, str, bytes)):
        raise TypeError(f"{name}: {key} is a constant here; give a number, not {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {key} must be a number, got {value!r}.") from None
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (above and below):
        interval = f"{'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}"
        raise ValueError(f"{name}: {key} must lie in {interval}, got {value}.")
    return number


def one_of(name, key, value, allowed):
    """`value`, if it is one of the words that are allowed.

    Raises
    ------
    ValueError
        If it is another.
    """
    if value not in allowed:
        words = " or ".join(f'"{word}"' for word in allowed)
        raise ValueError(f"{name}: {key} must be {words}, not {value!r}.")
    return value


def integers(name, key, values, shape, like, below=None):
    """Labels or positions as a bare integer array on the device of `like`.

    Raises
    ------
    TypeError
        If they are not integers, or on another device.
    ValueError
        If the shape differs, or (where `below` is given) one of them is not in 0 ... below − 1.
    """
    return _constants(name, key, values, shape, like, "iu", "integers", below)


def booleans(name, key, values, shape, like, advice):
    """Yes and no as a bare boolean array on the device of `like`; see `integers`."""
    return _constants(name, key, values, shape, like, "b", f"booleans ({advice})", None)


def _constants(name, key, values, shape, like, kinds, kind_name, below):
    raw = _as_arrays(_raw(values))
    xp = namespace(_raw(like), *([raw] if is_array(_raw(values)) else []), op=f"{name}, {key}")
    if raw.dtype.kind not in kinds:
        raise TypeError(f"{name}: {key} of shape {tuple(raw.shape)} has dtype {raw.dtype}; give {kind_name}.")
    if any(m not in (n, None) for n, m in zip(raw.shape, shape)) or raw.ndim != len(shape):
        wanted = tuple("any" if n is None else n for n in shape)
        raise ValueError(
            f"{name}: {key} of shape {tuple(raw.shape)} does not fit an input of shape {tuple(like.shape)}; "
            f"give shape {wanted}."
        )
    if below is not None and raw.size and (int(raw.min()) < 0 or int(raw.max()) >= below):
        raise ValueError(
            f"{name}: {key} of shape {tuple(raw.shape)} lies between {raw.min()} and {raw.max()}; "
            f"give positions from 0 to {below - 1}."
        )
    return xp.asarray(raw)


def two_views(name, z1, z2, layout):
    """Both views in one array (2N, d); which rows belong together, `layout` says.

    Parameters
    ----------
    name : str
    z1, z2 : Tensor or array
        (N, d) each, or z1 alone with 2N rows in `layout`.
    layout : {"stacked", "interleaved"}

    Returns
    -------
    Tensor or array, shape (2N, d)
    """
    one_of(name, "layout", layout, ("stacked", "interleaved"))
    if z2 is None:
        (z,) = floats(name, z1=(z1, "2N d"))
        if len(z) % 2:
            raise ValueError(
                f"{name}: z1 of shape {tuple(z.shape)} has an odd number of rows; give two views an image."
            )
        return z
    if layout != "stacked":
        raise ValueError(
            f"{name}: layout={layout!r} tells how one array is ordered, but two were given, of shapes "
            f"{getattr(z1, 'shape', ())} and {getattr(z2, 'shape', ())}; leave out layout or z2."
        )
    return concatenate(floats(name, z1=(z1, "N d"), z2=(z2, "N d")))
