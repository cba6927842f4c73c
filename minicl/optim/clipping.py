"""Gradient clipping: one batch in a thousand has a gradient so long that it would undo many steps. It is shortened to a
length that is allowed.
"""

import math

import numpy as np

from ..arrays import namespace
from ..engine import Tensor


def global_norm(gradients):
    """The length of all gradients together, as if they were one vector: √(Σ g²), a Python float.

    Parameters
    ----------
    gradients : list of arrays

    Notes
    -----
    Squares that leave the range of the dtype are no fault: the entries are then divided by the largest of them first.
    NaN where an entry is NaN, infinity where one is infinite.

    Examples
    --------
    >>> global_norm([np.array([3.0, 0.0]), np.array([[4.0]])])
    5.0
    """
    arrays = _arrays(gradients)
    total = float(sum(namespace(g).vdot(g, g) for g in arrays))  # one number comes from the device
    if 1e-30 < total < math.inf or total != total:
        return math.sqrt(total)
    largest = max((float(abs(g).max()) for g in arrays if g.size), default=0.0)
    if largest in (0.0, math.inf):
        return largest
    return largest * math.sqrt(sum(float(((g.astype(np.float64) / largest) ** 2).sum()) for g in arrays))


def clip_norm(gradients, largest):
    """Shorten all gradients by one factor, in place, if together they are longer than `largest`.

    Parameters
    ----------
    gradients : list of arrays
        As `mc.grad` gives them; they are changed.
    largest : float
        Their greatest length afterwards.

    Returns
    -------
    float
        The length that they had.

    Raises
    ------
    ValueError
        If `largest` is not positive.
    FloatingPointError
        If a gradient holds NaN or infinity. None is changed then.

    Notes
    -----
    g ← g · min(1, c / ‖g‖), with ‖g‖ over all gradients: the direction is kept (Pascanu, Mikolov & Bengio 2013,
    arXiv:1211.5063, Algorithm 1).

    Examples
    --------
    >>> g = [np.array([3.0, 0.0]), np.array([[4.0]])]
    >>> clip_norm(g, 1.0)
    5.0
    >>> g
    [array([0.6, 0. ]), array([[0.8]])]
    """
    check_limit("clip_norm", largest)
    norm = global_norm(gradients)
    if not math.isfinite(norm):
        raise FloatingPointError(f"clip_norm: {what_is_not_finite(gradients)}")
    if norm > largest:
        for g in _arrays(gradients):
            g *= largest / norm
    return norm


def clip_value(gradients, largest):
    """Cut each entry of the gradients, in place, to the range from −`largest` to `largest`.

    Parameters
    ----------
    gradients : list of arrays
        They are changed.
    largest : float

    Raises
    ------
    ValueError
        If `largest` is not positive.
    FloatingPointError
        If a gradient holds NaN. Infinity is cut like any other number.

    Notes
    -----
    The direction is not kept: entries within the range are as they were, the others lose what is beyond it.

    Examples
    --------
    >>> g = [np.array([3.0, -0.5, -2.0])]
    >>> clip_value(g, 1.0)
    >>> g
    [array([ 1. , -0.5, -1. ])]
    """
    check_limit("clip_value", largest)
    arrays = _arrays(gradients)
    for k, g in enumerate(arrays):
        if bool(namespace(g).isnan(g).any()):
            raise FloatingPointError(f"clip_value: gradient {k} has NaN")
    for g in arrays:
        namespace(g).clip(g, -largest, largest, out=g)


def check_limit(name, largest):
    if not 0 < largest < math.inf:
        raise ValueError(f"{name}: the limit must be positive and finite, got {largest}.")


def what_is_not_finite(gradients, names=()):
    """Which of the gradients hold NaN or infinity, in words; "" where none does."""
    found = [k for k, g in enumerate(_arrays(gradients)) if not bool(namespace(g).isfinite(g).all())]
    if not found:
        return ""
    k = found[0]
    name = f" ({names[k]})" if k < len(names) and names[k] else ""
    return f"gradient {k}{name} has NaN or infinity" + (f", and {len(found) - 1} more" if len(found) > 1 else "")


def _arrays(gradients):
    gradients = gradients if isinstance(gradients, (list, tuple)) else [gradients]
    return [g.data if isinstance(g, Tensor) else g for g in gradients]
