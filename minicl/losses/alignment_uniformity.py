"""Alignment and uniformity: partners shall be near each other, and all points spread evenly over the sphere.

These are the two things that a contrastive loss asks for, measured (and if you like trained) one by one.
"""

import math

from ..arrays import namespace
from ..functional import norm, normalize
from ..ops import _raw, logsumexp, mean, power, sum, where
from .inputs import between, floats


def align(z1, z2, alpha=2):
    """Alignment of partners (Wang and Isola 2020, arXiv:2005.10242): smaller is nearer.

    Parameters
    ----------
    z1, z2 : Tensor or array, shape (N, d)
        Row i of both belongs together. Normalised here.
    alpha : float, positive
        α, the power of the distance.

    Returns
    -------
    Tensor or array, shape ()

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N is 0, a value is NaN or infinite, or alpha is not positive.

    Notes
    -----
    L = mean ‖u₁ − u₂‖^α. For α = 2 it is 2 − 2 cos. For α < 2 the gradient at equal views is set to 0.

    Examples
    --------
    >>> import numpy as np
    >>> float(align(np.eye(2), np.eye(2)[::-1]))
    2.0
    """
    z1, z2 = floats("align", z1=(z1, "N d"), z2=(z2, "N d"))
    alpha = between("align", "alpha", alpha, 0.0, open_low=True)
    difference = normalize(z1) - normalize(z2)
    if alpha == 2:
        return mean(sum(difference * difference, axis=1))
    distance = norm(difference, axis=1)
    equal = _raw(distance) == 0
    return mean(where(equal, 0.0, power(where(equal, 1.0, distance), alpha)))


def uniform(z, t=2.0):
    """Uniformity of points on the sphere (Wang and Isola 2020, arXiv:2005.10242): smaller is more even.

    Parameters
    ----------
    z : Tensor or array, shape (n, d)
        n ≥ 2 embeddings, normalised here.
    t : float, positive
        How fast a pair's weight falls with its distance.

    Returns
    -------
    Tensor or array, shape ()

    Raises
    ------
    TypeError
        If z holds no floats.
    ValueError
        If the shape is not (n, d) with n ≥ 2, a value is NaN or infinite, or t is not positive.

    Notes
    -----
    L = log mean_{i<j} e^{−t ‖uᵢ − u_j‖²}. A point is no pair with itself: with the diagonal, n zero distances would be
    counted. ‖u − v‖² = 2 − 2 cos, so e^{−t ‖u − v‖²} is e^{cos/τ} with τ = 1/(2t), up to a factor.

    Examples
    --------
    >>> import numpy as np
    >>> float(uniform(np.ones((3, 2))))
    0.0
    >>> float(uniform(np.array([[1.0, 0.0], [-1.0, 0.0]])))
    -8.0
    """
    (z,) = floats("uniform", z=(z, "n d"))
    t = between("uniform", "t", t, 0.0, open_low=True)
    n = len(z)
    if n < 2:
        raise ValueError(f"uniform: z of shape {tuple(z.shape)} has no pair of rows; give (n, d) with n ≥ 2.")
    u = normalize(z)
    square = sum(u * u, axis=1, keepdims=True)  # 1, or 0 for a zero row
    distance = square + square.T - 2 * (u @ u.T)  # ‖uᵢ − u_j‖²
    row = namespace(_raw(u)).arange(n)
    exponents = where(row[:, None] < row, -t * distance, -math.inf)  # the pairs i < j
    # Along rows, then over them: a single sum of n² terms would overflow float16.
    return logsumexp(logsumexp(exponents, axis=1), axis=0) - math.log(n * (n - 1) / 2)
