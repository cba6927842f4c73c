"""Views of what is no image: rows of a table, or series of measurements. Such data has no mirror and no crop; a view
adds noise, leaves values out, or mixes rows.

A view is called as `view(x, rng)` with vectors (N, d) or series (N, T, d), and gives the same shape and dtype. What it
does is measured in units of the data, column by column, since columns have different units.
"""

import numpy as np

from ..arrays import is_array, namespace, to_numpy
from .views.images import Compose, View, _checked


class VectorView(View):
    """What these views share. A subclass defines `change(xp, x, rng)`."""

    takes = "vectors"


class Jitter(VectorView):
    """Add independent normal noise to each value.

    Parameters
    ----------
    std : float
        Its standard deviation, as a share of `scale`.
    scale : float or array, shape (d,), optional
        Of each column. Without it, the standard deviation of the column in the batch.

    Examples
    --------
    >>> x = np.array([[0.0, 100.0], [1.0, 300.0]])
    >>> Jitter(0.1, scale=x.std(axis=0))(x, rng=0).shape
    (2, 2)
    """

    def __init__(self, std=0.1, scale=None):
        if not std >= 0:
            raise ValueError(f"Jitter: std must not be negative, got {std}.")
        self.std, self.scale = std, scale

    def change(self, xp, x, rng):
        kind = np.float64 if x.dtype == np.float64 else np.float32
        noise = xp.asarray(rng.standard_normal(x.shape, dtype=kind) * kind(self.std))
        if self.scale is None:
            scale = x.astype(kind).std(axis=tuple(range(x.ndim - 1)))
        else:
            scale = _fitting("Jitter", "scale", xp, self.scale, x)
        return (x + noise * scale.astype(kind)).astype(x.dtype)


class Mask(VectorView):
    """Put a fixed value in the place of some values, each with the same probability.

    Parameters
    ----------
    share : float in [0, 1]
        The probability.
    fill : float or array, shape (d,)
        What is put there. 0 is the mean of standardised columns.

    Examples
    --------
    >>> Mask(1.0, fill=[7.0, 8.0])(np.zeros((2, 2)), rng=0)
    array([[7., 8.],
           [7., 8.]])
    """

    def __init__(self, share=0.2, fill=0.0):
        _share("Mask", share, 1)
        self.share, self.fill = share, fill

    def change(self, xp, x, rng):
        chosen = xp.asarray(rng.random(x.shape) < self.share)
        return xp.where(chosen, _fitting("Mask", "fill", xp, self.fill, x), x)


class SpanMask(VectorView):
    """Put a fixed value in the place of a run of steps in each series, at a random place.

    Parameters
    ----------
    length : int
        The number of steps in a run, at most T. For vectors (N, d) a run is one of columns.
    fill : float or array, shape (d,)

    Examples
    --------
    >>> (SpanMask(3)(np.ones((4, 10, 1)), rng=0) == 0).sum(axis=1).ravel()
    array([3, 3, 3, 3])
    """

    def __init__(self, length, fill=0.0):
        if length < 1 or length != int(length):
            raise ValueError(f"SpanMask: the length is a whole number of steps, at least 1, got {length}.")
        self.length, self.fill = int(length), fill

    def change(self, xp, x, rng):
        n, steps = x.shape[:2]
        if self.length > steps:
            raise ValueError(
                f"SpanMask: a run of {self.length} does not fit into the {steps} steps of {tuple(x.shape)}."
            )
        after = np.arange(steps) - rng.integers(0, steps - self.length + 1, n)[:, None]
        chosen = xp.asarray((0 <= after) & (after < self.length)).reshape((n, steps) + (1,) * (x.ndim - 2))
        return xp.where(chosen, _fitting("SpanMask", "fill", xp, self.fill, x), x)


class Corrupt(VectorView):
    """Exchange some values for the value that another row of the batch has in that column.

    Parameters
    ----------
    share : float in [0, 1]
        The probability, the same for each value.

    Notes
    -----
    So each column keeps its distribution, whatever it is (SCARF: Bahri, Jiang, Tay, Metzler 2021, arXiv:2106.15147).

    Examples
    --------
    >>> x = np.arange(8.0).reshape(4, 2)
    >>> bool(np.isin(Corrupt(0.5)(x, rng=0)[:, 1], x[:, 1]).all())
    True
    """

    def __init__(self, share=0.3):
        _share("Corrupt", share, 1)
        self.share = share

    def change(self, xp, x, rng):
        chosen = xp.asarray(rng.random(x.shape) < self.share)
        other = xp.asarray(_others(rng, x.shape))
        return xp.where(chosen, xp.take_along_axis(x, other, axis=0), x)


class Mixup(VectorView):
    """Move each row some way towards another row of the batch: (1 − λ) x + λ x′.

    Parameters
    ----------
    share : float in [0, 0.5]
        λ is drawn from [0, share]. Below one half, so that the row itself stays the larger part.

    Notes
    -----
    Source: mixup (Zhang et al. 2018, arXiv:1710.09412), as a view in Verma et al. (2021, arXiv:2011.04419).

    Examples
    --------
    >>> Mixup(0.2)(np.array([[0.0], [1.0]]), rng=0).shape
    (2, 1)
    """

    def __init__(self, share=0.2):
        _share("Mixup", share, 0.5)
        self.share = share

    def change(self, xp, x, rng):
        first = (len(x),) + (1,) * (x.ndim - 1)
        weight = xp.asarray(rng.uniform(0, self.share, first).astype(x.dtype))
        other = xp.asarray(_others(rng, len(x)))
        return x + weight * (x[other] - x)


def vector_view(x, jitter=0.2, mask=0.2, mix=0.0):
    """A view that fits a table: noise in units of each column, and some values put to the mean of their column.

    Parameters
    ----------
    x : array, shape (N, d) or (N, T, d)
        The data that it is fitted to.
    jitter : float
        The standard deviation of the noise, as a share of that of the column.
    mask : float in [0, 1]
        The share of values that are put to the mean.
    mix : float in [0, 0.5]
        How far a row moves towards another one, at most.

    Returns
    -------
    Compose
        It is used as any view; a constant column stays as it is.

    Raises
    ------
    ValueError
        If x is no float array of this shape, has NaN, or is empty.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3)) * [1, 10, 100]
    >>> view = vector_view(x)
    >>> view(x, rng=0).shape
    (50, 3)
    """
    _checked("vector_view", x, "vectors")
    if not len(x):
        raise ValueError("vector_view: there is no row to measure the columns by.")
    rows = tuple(range(x.ndim - 1))
    views = [Jitter(jitter, scale=x.std(axis=rows)), Mask(mask, fill=x.mean(axis=rows))]
    return Compose([Mixup(mix), *views] if mix else views)


def _share(name, share, most):
    if not 0 <= share <= most:
        raise ValueError(f"{name}: the share lies in [0, {most}], got {share}.")


def _others(rng, shape):
    """For each place (along the first axis) the number of another row; of the same one, if there is only one."""
    n = shape if isinstance(shape, int) else shape[0]
    if n < 2:
        return np.zeros(shape, dtype=np.int64)
    own = np.arange(n) if isinstance(shape, int) else np.arange(n).reshape((n,) + (1,) * (len(shape) - 1))
    return (own + rng.integers(1, n, shape)) % n


def _fitting(name, what, xp, given, x):
    """`given` on the device of x, in its dtype; one number for each column, or one for all."""
    given = given if is_array(given) and namespace(given) is xp else xp.asarray(to_numpy(given))
    if given.ndim and tuple(given.shape) not in (x.shape[-1:], tuple(x.shape[1:])):
        raise ValueError(f"{name}: {what} has shape {tuple(given.shape)}, and the rows have {tuple(x.shape[1:])}.")
    return given.astype(x.dtype)
