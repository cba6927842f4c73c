"""What several closed forms need: the cosine's two halves, a choice among candidates, a yes or no, checks of shapes.

A function that is a sum of exponentials is computed with the largest one taken out: a temperature of .001 works.
All formulas are analytic: a complex number gives a complex result, and Im f(x + ih) / h is a derivative.
"""

import numpy as np

from ..arrays import to_numpy


def floats(x, who, what, ndim, shape=None):
    """`x` as an array of float64 (complex128 if it is complex), with as many axes as said, not empty, finite."""
    x = to_numpy(x)
    if x.dtype.kind not in "iufc":
        raise TypeError(f"{who}: {what} has dtype {x.dtype}; give numbers.")
    x = np.array(x, dtype=complex if x.dtype.kind == "c" else float)
    if x.ndim != ndim or not x.size or (shape is not None and x.shape != shape):
        wanted = f"shape {shape}" if shape is not None else f"{ndim} axes and at least one entry"
        raise ValueError(f"{who}: {what} has shape {x.shape}; give {wanted}.")
    if not np.isfinite(x).all():
        raise ValueError(f"{who}: {what} has an entry that is not finite.")
    return x


def integers(x, who, what, shape, below=None):
    """`x` as an array of whole numbers of a given shape; None in it fits every length."""
    x = to_numpy(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{who}: {what} has dtype {x.dtype}; give whole numbers.")
    if x.ndim != len(shape) or any(b not in (None, a) for a, b in zip(x.shape, shape)):
        raise ValueError(f"{who}: {what} has shape {x.shape}; give {shape}.")
    if below is not None and x.size and not (0 <= x.min() and x.max() < below):
        raise ValueError(f"{who}: {what} lies between {x.min()} and {x.max()}; give 0 to {below - 1}.")
    return x


def scalar(x, who, what="temperature", positive=True):
    """`x` as one number; a temperature must be positive."""
    x = to_numpy(x)
    if x.ndim or not np.isfinite(x) or (positive and not x.real > 0):
        raise ValueError(f"{who}: {what} is {x}; give one {'positive' if positive else 'finite'} number.")
    return x.item()


def term_weights(weights, count, who):
    """The weight of each term: 1/count gives the mean."""
    return np.full(count, 1.0 / count) if weights is None else floats(weights, who, "weights", 1, (count,))


def zeros(*shape_and_sources):
    """Zeros of a shape, complex if a source is."""
    shape, *sources = shape_and_sources
    return np.zeros(shape, np.result_type(float, *sources))


def number(value):
    """A Python number."""
    return complex(value) if np.iscomplexobj(value) else float(value)


def length(z):
    """‖z‖ = √Σ z², with the largest entry taken out: it neither overflows nor underflows."""
    top = np.max(np.abs(z.real))
    return top * np.sqrt(np.sum((z / top) ** 2)) if top else 0.0


def unit_rows(z):
    """uᵢ = zᵢ / ‖zᵢ‖ and the lengths. A row of zeros has no direction: u = 0."""
    lengths = [length(row) for row in z]
    rows = [row / np.max(np.abs(row.real)) if size else row for row, size in zip(z, lengths)]
    return np.array([row / np.sqrt(np.sum(row**2)) if size else row for row, size in zip(rows, lengths)]), lengths


def through_unit(du, u, lengths):
    """From ∂L/∂uᵢ to ∂L/∂zᵢ = (g − (g·u) u) / ‖z‖: what points along u is lost. 0 for a row of zeros."""
    return np.array([(g - (g @ v) * v) / size if size else 0.0 * g for g, v, size in zip(du, u, lengths)])


def log_sum_exp(x):
    """log Σ eˣ."""
    x = np.asarray(x)
    top = x.real.max()
    return top + np.log(np.sum(np.exp(x - top)))


def softmax(x):
    """eˣ / Σ eˣ, the derivative of log Σ eˣ."""
    x = np.asarray(x)
    weights = np.exp(x - x.real.max())
    return weights / np.sum(weights)


def choice(logits, right):
    """−log of the probability of the right candidate, log Σ eˣ − x[right], and its derivative softmax(x) − 1[right].

    Near 0 both are computed from what the other candidates add, so that a right answer that is nearly sure keeps its
    digits: the loss is log(1 + Σ_k exp(x_k − x[right])), and its entry p − 1 is minus the sum of the others.
    """
    slope = softmax(logits)
    slope[right] = -sum(p for k, p in enumerate(slope) if k != right)
    if logits[right].real < logits.real.max():
        return log_sum_exp(logits) - logits[right], slope
    return np.log1p(sum(np.exp(x - logits[right]) for k, x in enumerate(logits) if k != right)), slope


def yes(x):
    """−log σ(x) = log(1 + e⁻ˣ), and its derivative −σ(−x) = −1 / (1 + eˣ)."""
    if x.real > 0:
        e = np.exp(-x)
        return np.log1p(e), -e / (1 + e)
    e = np.exp(x)
    return np.log1p(e) - x, -1 / (1 + e)


def no(x):
    """−log(1 − σ(x)) = log(1 + eˣ), and its derivative σ(x)."""
    value, slope = yes(-x)
    return value, -slope


def two_views(z1, z2, layout, who):
    """All 2N rows, the partner of each, and a function that hands gradients back in the form of the arguments."""
    if layout not in ("stacked", "interleaved"):
        raise ValueError(f'{who}: layout is "stacked" or "interleaved", not {layout!r}.')
    z1 = floats(z1, who, "z1", 2)
    if z2 is not None:
        z2 = floats(z2, who, "z2", 2, z1.shape)
        n = len(z1)
        return np.concatenate([z1, z2]), [*range(n, 2 * n), *range(n)], lambda g: (g[:n], g[n:])
    if len(z1) % 2:
        raise ValueError(f"{who}: z1 has {len(z1)} rows; two views of each image are an even number.")
    n = len(z1) // 2
    if layout == "stacked":
        return z1, [*range(n, 2 * n), *range(n)], lambda g: (g,)
    return z1, [row for k in range(n) for row in (2 * k + 1, 2 * k)], lambda g: (g,)
