"""The grader's own arithmetic: how far two answers are apart, and derivatives by a complex step.

It shares nothing with what a student uses or writes: a grader that leans on the library under study would share its
errors.
"""

import itertools

import numpy as np

from .answers import Failed

# Relative to the largest entry, by the dtype of the answer: the rounding of a short computation, with room to spare.
TOLERANCES = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4, np.dtype(np.float16): 2e-2}


def distance(observed, expected, scale=None):
    """How far two answers are apart: relative to the largest entry, or the share of wrong entries where they are exact.

    Where the right answer can vanish a relative error means nothing: give the natural unit as `scale`.

    Raises
    ------
    Failed
        If shapes differ or if `observed` is not finite: then there is no distance.
    """
    if isinstance(expected, tuple):
        scales = scale if isinstance(scale, tuple) else [scale] * len(expected)
        return max(itertools.starmap(_part_distance, zip(itertools.count(), observed, expected, scales)))
    if isinstance(expected, list):
        return float(observed != expected)
    observed, expected = np.asarray(observed), np.asarray(expected)
    if observed.shape != expected.shape:
        raise Failed(f"shape {observed.shape}", f"shape {expected.shape}")
    if not np.isfinite(observed).all():
        if expected.dtype.kind == "f" and not np.isfinite(expected).all():  # two calls that both went wrong
            raise Failed("not finite", "finite numbers")
        raise Failed(observed, expected)
    if not expected.size:
        return 0.0
    if expected.dtype.kind in "biu":
        return float(np.mean(observed != expected))
    return float(np.abs(observed - expected).max() / (scale or np.abs(expected).max() or 1.0))


def _part_distance(part, *pair):
    """`distance` of one part of a tuple; the failure knows which part it was."""
    try:
        return distance(*pair)
    except Failed as failed:
        failed.part = part
        raise


def tolerance(observed, *args):
    """What two answers may differ by: that of the coarsest dtype among answer and arguments."""
    parts = observed if isinstance(observed, tuple) else (observed,)
    dtypes = [x.dtype for x in (*parts, *args) if isinstance(x, (np.ndarray, np.generic))]
    return max([TOLERANCES.get(dtype, 1e-9) for dtype in dtypes], default=1e-9)


def complex_step(forward, x, h=1e-30):
    """Derivative of every output of an analytic function with respect to every entry of x, output axes first.

    Notes
    -----
    Im f(x + ih e) / h, exact to rounding for any tiny h (Squire and Trapp 1998).

    Examples
    --------
    >>> complex_step(lambda x: x * x, np.array([3.0, 5.0]))
    array([[ 6.,  0.],
           [ 0., 10.]])
    """
    x = np.asarray(x)
    jacobian = np.empty((*np.shape(forward(x)), *x.shape))
    for index in np.ndindex(x.shape):
        z = x.astype(complex)
        z[index] += 1j * h
        jacobian[..., *index] = np.imag(forward(z)) / h
    return jacobian


def central_difference(func, x, h=1e-5):
    """Gradient of a function with one number as its result, also where it is not analytic.

    Examples
    --------
    >>> central_difference(lambda x: np.abs(x).sum(), np.array([-2.0, 3.0])).round(9)
    array([-1.,  1.])
    """
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(func(x + step) - func(x - step)) / (2 * h) for step in steps]).reshape(x.shape)


def vjp(forward, g, *arrays, count=None, **options):
    """Σ g ∂y/∂x of an analytic function by a complex step, for each of the first `count` arrays."""
    gradients = tuple(np.tensordot(g, j, np.ndim(g)) for j in _jacobians(forward, arrays, count, options))
    return gradients if len(gradients) > 1 else gradients[0]


def vjp_scale(forward, g, *arrays, count=None, **options):
    """The largest entry of Σ |g ∂y/∂x| for each array: the unit of its rounding, also where the sum itself cancels."""
    terms = (np.tensordot(np.abs(g), np.abs(j), np.ndim(g)) for j in _jacobians(forward, arrays, count, options))
    scales = tuple(float(term.max()) for term in terms)
    return scales if len(scales) > 1 else scales[0]


def _jacobians(forward, arrays, count, options):
    for position in range(len(arrays) if count is None else count):
        at = lambda x, i=position: forward(*arrays[:i], x, *arrays[i + 1 :], **options)
        yield complex_step(at, arrays[position])
