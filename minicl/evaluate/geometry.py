"""The shape of a cloud of embeddings: how near partners are, how evenly the sphere is covered, how many directions are used."""

import numpy as np

from ..arrays import namespace
from ..functional import normalize
from . import inputs
from .inputs import labels_of, pair_of, rows_of


def alignment(z1, z2, alpha=2):
    """How far the two views of an image are apart on the unit sphere, on average: 0 is best.

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
        Row i of both belongs to image i. They are normalised here.
    alpha : float

    Returns
    -------
    float

    Notes
    -----
    E ‖u − u⁺‖^α (Wang & Isola 2020, arXiv:2005.10242, Eq. 3).

    Examples
    --------
    >>> alignment(np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]]))
    2.0
    """
    u1, u2 = pair_of(z1, z2, "alignment")
    squares = ((u1 - u2) ** 2).sum(axis=1)
    return float((squares ** (alpha / 2)).mean())


def uniformity(z, t=2):
    """How unevenly embeddings cover the unit sphere: the smaller, the more evenly; 0 if all are equal.

    Parameters
    ----------
    z : array, shape (N, d), N ≥ 2
        Normalised here.
    t : float

    Returns
    -------
    float

    Notes
    -----
    log E exp(−t ‖u − v‖²) over all pairs of two different rows (Wang & Isola 2020, Eq. 4). A row with itself is no
    pair: with it no value could be below −log N.

    Examples
    --------
    >>> uniformity(np.array([[2.0, 0.0], [-1.0, 0.0]]))
    -8.0
    """
    u = normalize(rows_of(z, "uniformity", "z"))
    n = len(u)
    if n < 2:
        raise ValueError("uniformity: one row has no pair; give (N, d) with N ≥ 2.")
    xp = namespace(u)
    total = 0.0
    for start in range(0, n, inputs.BLOCK):
        block = u[start : start + inputs.BLOCK]
        rows = xp.arange(len(block))
        kernel = xp.exp(t * (2 * (block @ u.T) - 2))  # ‖u − v‖² = 2 − 2 u·v
        kernel[rows, start + rows] = 0
        total += float(kernel.sum(dtype=np.float64))
    return float(np.log(total / (n * (n - 1))))


def tolerance(z, y):
    """How near rows of the same class are to each other: the mean cosine within a class.

    Parameters
    ----------
    z : array, shape (N, d)
        Normalised here.
    y : labels, shape (N,)

    Returns
    -------
    float
        Between −1 and 1. The larger, the more a representation tolerates what differs within a class; collapse gives 1,
        so read it beside `uniformity`.

    Raises
    ------
    ValueError
        If shapes do not fit, or no class has two rows.

    Notes
    -----
    The mean of uᵢ·uⱼ over all pairs i ≠ j with yᵢ = yⱼ (Wang & Liu 2021, arXiv:2012.09740, section 4.4, where pairs of
    different classes count as 0 and so make the number smaller by a factor that depends on the labels alone). The pairs
    of one class have the sum ‖Σ u‖² − Σ ‖u‖², so no table of all pairs is needed. A row of zeros has cosine 0 with all.

    Examples
    --------
    >>> tolerance(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [5.0, 0.0]]), [0, 0, 1, 1])
    0.5
    """
    y = labels_of(y, z, "tolerance", "y")
    u = normalize(rows_of(z, "tolerance", "z")).astype(np.float64)
    total, pairs = 0.0, 0
    for c in np.unique(y):
        members = u[namespace(u).asarray(np.flatnonzero(y == c))]
        total += float((members.sum(axis=0) ** 2).sum() - (members**2).sum())
        pairs += len(members) * (len(members) - 1)
    if not pairs:
        raise ValueError("tolerance: no class has two rows, so there is no pair to compare.")
    return total / pairs


def effective_rank(z, center=False):
    """How many directions the rows use, counted by how much: 1 if all lie on a line, d if all directions are equal.

    Parameters
    ----------
    z : array, shape (N, d)
    center : bool
        Take off the mean first: then rows that are all equal have no rank, and an offset does not count as a direction.

    Returns
    -------
    float
        Between 1 and min(N, d); never above the rank. It does not change when z is scaled, rotated, or its rows are
        permuted.

    Raises
    ------
    ValueError
        If all rows are zero (with `center`: equal).

    Notes
    -----
    exp(−Σ pₖ log pₖ) with pₖ = σₖ / Σ σ over the singular values σ of z (Roy & Vetterli 2007, The effective rank,
    EUSIPCO, section 2; for representations: Garrido et al. 2023, RankMe, arXiv:2210.02885).

    Examples
    --------
    >>> effective_rank(np.eye(4)), effective_rank(np.ones((4, 3)))
    (4.0, 1.0)
    """
    z = rows_of(z, "effective_rank", "z").astype(np.float64)
    xp = namespace(z)
    largest = float(abs(z).max())
    z = z / (largest or 1.0)  # the squares of very small or large numbers would leave the range of floats
    if center:
        z = z - z.mean(axis=0)
    sigma = xp.linalg.svd(z, compute_uv=False)
    if float(sigma[0]) <= 1e-14:
        raise ValueError(f"effective_rank: all rows are {'equal' if center else 'zero'}, so there is no direction.")
    p = sigma / sigma.sum()
    p = p[p > 0]
    return float(xp.exp(-(p * xp.log(p)).sum()))
