"""Losses of distances: Hadsell's pairs, triplets and the mining of them, alignment and uniformity.

A hinge max(0, x) has no derivative at x = 0, and a distance has none at 0: both are given the slope 0 there.
"""

import numpy as np

from .pieces import floats, integers, length, log_sum_exp, number, scalar, term_weights, through_unit, unit_rows, zeros


def _distance(a, b, squared=False):
    """‖a − b‖ or its square, and the derivative with respect to a (that with respect to b is minus this)."""
    if squared:
        return np.sum((a - b) ** 2), 2 * (a - b)
    d = length(a - b)
    return d, ((a - b) / d if d else 0.0 * (a - b))


def contrastive(x1, x2, similar, margin=1.0, *, weights=None):
    """The pairwise loss with a margin (Hadsell, Chopra and LeCun 2006, CVPR).

    Parameters
    ----------
    x1, x2 : array, shape (N, d)
        Not normalised.
    similar : array of bool, shape (N,)
        The paper's Y is 0 for similar pairs; here True says similar.
    margin : float
        m: dissimilar pairs that are further apart cost nothing.
    weights : array, shape (N,), optional
        Of the pairs; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂x1, ∂L/∂x2)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    D = ‖x1 − x2‖; ℓ = ½D² for similar pairs, ½ max(0, m − D)² for others.
    ∂ℓ/∂x1 = x1 − x2, or −(m − D)(x1 − x2)/D where D < m; ∂ℓ/∂x2 = −∂ℓ/∂x1.

    Examples
    --------
    >>> value, (d1, d2) = contrastive([[3.0, 4.0]], [[0.0, 0.0]], [True])
    >>> value, d1.tolist()
    (12.5, [[3.0, 4.0]])
    """
    x1 = floats(x1, "contrastive", "x1", 2)
    x2 = floats(x2, "contrastive", "x2", 2, x1.shape)
    similar = np.asarray(similar)
    if similar.shape != (len(x1),) or not np.isin(similar, (0, 1)).all():
        raise ValueError(f"contrastive: similar has shape {similar.shape}; give one True or False for each pair.")
    m = scalar(margin, "contrastive", "margin", positive=False)
    w = term_weights(weights, len(x1), "contrastive")
    value, d1 = 0.0, zeros(x1.shape, x1, x2)
    for i in range(len(x1)):
        d, direction = _distance(x1[i], x2[i])
        if similar[i]:
            value += w[i] * d**2 / 2
            d1[i] = w[i] * (x1[i] - x2[i])
        elif d.real < m.real:
            value += w[i] * (m - d) ** 2 / 2
            d1[i] = -w[i] * (m - d) * direction
    return number(value), (d1, -d1)


def triplet(anchor, positive, negative, margin=1.0, squared=False, *, weights=None):
    """The triplet loss (Schroff et al. 2015, arXiv:1503.03832).

    Parameters
    ----------
    anchor, positive, negative : array, shape (N, d)
        Not normalised.
    margin : float
    squared : bool
        Squared distances, as in the paper.
    weights : array, shape (N,), optional
        Of the triplets; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂anchor, ∂L/∂positive, ∂L/∂negative)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    ℓ = max(0, d(a, p) − d(a, n) + m). Where it is positive, ∂ℓ/∂a = e_p − e_n, ∂ℓ/∂p = −e_p, ∂ℓ/∂n = e_n with
    e_p = (a − p)/‖a − p‖, e_n = (a − n)/‖a − n‖; squared: e_p = 2(a − p), e_n = 2(a − n), so ∂ℓ/∂a = 2(n − p).

    Examples
    --------
    >>> value, (da, dp, dn) = triplet([[0.0]], [[1.0]], [[3.0]], margin=4.0, squared=True)
    >>> value, da.tolist()
    (0.0, [[0.0]])
    >>> triplet([[0.0]], [[1.0]], [[3.0]], margin=9.0, squared=True)[1][0].tolist()  # 2(n − p)
    [[4.0]]
    """
    a = floats(anchor, "triplet", "anchor", 2)
    p = floats(positive, "triplet", "positive", 2, a.shape)
    n = floats(negative, "triplet", "negative", 2, a.shape)
    m = scalar(margin, "triplet", "margin", positive=False)
    w = term_weights(weights, len(a), "triplet")
    value = 0.0
    da, dp, dn = (zeros(a.shape, a, p, n) for _ in range(3))
    for i in range(len(a)):
        d_p, e_p = _distance(a[i], p[i], squared)
        d_n, e_n = _distance(a[i], n[i], squared)
        x = d_p - d_n + m
        if x.real > 0:
            value += w[i] * x
            da[i] = w[i] * (e_p - e_n)
            dp[i] = -w[i] * e_p
            dn[i] = w[i] * e_n
    return number(value), (da, dp, dn)


def mined_triplet(z, labels, margin=1.0, mining="all", squared=False):
    """Triplets that are chosen in the batch (Schroff et al. 2015, arXiv:1503.03832; Hermans et al. 2017, 1703.07737).

    Parameters
    ----------
    z : array, shape (n, d)
        Not normalised.
    labels : integer array, shape (n,)
    margin : float
    mining : {"all", "semi_hard", "batch_hard"}
        "all": every (anchor, positive, negative). "semi_hard": for each (anchor, positive) the closest negative that is
        further away than the positive; pairs without one are left out. "batch_hard": for each anchor its furthest
        positive and its closest negative.
    squared : bool

    Returns
    -------
    value : float
        The mean over the chosen triplets.
    gradients : tuple of one array, (∂L/∂z,)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, no triplet can be chosen, an entry is not finite, or the mining is unknown.

    Notes
    -----
    Which triplets are chosen is taken as fixed: the choice changes only where two distances are equal, and there the
    loss has a kink ("semi_hard" even jumps). Each chosen triplet then has the derivatives of `triplet`.

    Examples
    --------
    >>> z, labels = [[0.0], [1.0], [3.0]], [0, 0, 1]
    >>> [mined_triplet(z, labels, 3.0, mining)[0] for mining in ("all", "semi_hard", "batch_hard")]
    [1.5, 1.5, 1.5]
    """
    z = floats(z, "mined_triplet", "z", 2)
    labels = integers(labels, "mined_triplet", "labels", (len(z),))
    m = scalar(margin, "mined_triplet", "margin", positive=False)
    if mining not in ("all", "semi_hard", "batch_hard"):
        raise ValueError(f'mined_triplet: mining is "all", "semi_hard" or "batch_hard", not {mining!r}.')
    chosen = []
    for a in range(len(z)):
        d = [_distance(z[a], z[k], squared)[0].real if k != a else 0.0 for k in range(len(z))]
        positives = [k for k in range(len(z)) if k != a and labels[k] == labels[a]]
        negatives = [k for k in range(len(z)) if labels[k] != labels[a]]
        if mining == "all":
            chosen += [(a, p, n) for p in positives for n in negatives]
        elif mining == "semi_hard":
            for p in positives:
                further = [n for n in negatives if d[n] > d[p]]
                chosen += [(a, p, min(further, key=d.__getitem__))] if further else []
        elif positives and negatives:
            chosen += [(a, max(positives, key=d.__getitem__), min(negatives, key=d.__getitem__))]
    if not chosen:
        raise ValueError("mined_triplet: no triplet can be chosen; give two rows of one class and one of another.")
    value, dz = 0.0, zeros(z.shape, z)
    for a, p, n in chosen:
        d_p, e_p = _distance(z[a], z[p], squared)
        d_n, e_n = _distance(z[a], z[n], squared)
        x = d_p - d_n + m
        if x.real > 0:
            value += x / len(chosen)
            dz[a] += (e_p - e_n) / len(chosen)
            dz[p] -= e_p / len(chosen)
            dz[n] += e_n / len(chosen)
    return number(value), (dz,)


def align(z1, z2, alpha=2):
    """Alignment: how far apart two views of an image lie on the sphere (Wang and Isola 2020, arXiv:2005.10242).

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
    alpha : float, positive
        The exponent.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂z1, ∂L/∂z2)

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or alpha is not positive.

    Notes
    -----
    L = (1/N) Σ ‖u1 − u2‖^α; ∂/∂u1 = (α/N) ‖u1 − u2‖^(α−2) (u1 − u2), then the normalisation.

    Examples
    --------
    >>> value, _ = align([[1.0, 0.0]], [[-5.0, 0.0]])
    >>> value
    4.0
    """
    z1 = floats(z1, "align", "z1", 2)
    z2 = floats(z2, "align", "z2", 2, z1.shape)
    alpha = scalar(alpha, "align", "alpha")
    u, u_lengths = unit_rows(z1)
    v, v_lengths = unit_rows(z2)
    n = len(u)
    value, du = 0.0, zeros(u.shape, u, v)
    for i in range(n):
        d, direction = _distance(u[i], v[i])
        value += d**alpha / n
        if d:
            du[i] = alpha * d ** (alpha - 1) * direction / n
    return number(value), (through_unit(du, u, u_lengths), through_unit(-du, v, v_lengths))


def uniform(z, t=2.0):
    """Uniformity: log of the mean potential between points on the sphere (Wang and Isola 2020, arXiv:2005.10242).

    Parameters
    ----------
    z : array, shape (n, d), n ≥ 2
    t : float, positive

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂z,)

    Raises
    ------
    ValueError
        If there is one row only, an entry is not finite, or t is not positive.

    Notes
    -----
    L = log mean_{i<j} exp(−t ‖uᵢ − u_j‖²). With the softmax Q_ij over all pairs of −t ‖uᵢ − u_j‖²:
    ∂L/∂uᵢ = −2t Σ_j Q_ij (uᵢ − u_j), then the normalisation.

    Examples
    --------
    >>> value, _ = uniform([[1.0, 0.0], [-2.0, 0.0]])
    >>> value
    -8.0
    """
    z = floats(z, "uniform", "z", 2)
    t = scalar(t, "uniform", "t")
    if len(z) < 2:
        raise ValueError("uniform: one row has no pair; give at least two.")
    u, lengths = unit_rows(z)
    pairs = [(i, j) for i in range(len(u)) for j in range(i + 1, len(u))]
    exponents = np.array([-t * np.sum((u[i] - u[j]) ** 2) for i, j in pairs])
    total = log_sum_exp(exponents)
    du = zeros(u.shape, u, t)
    for (i, j), q in zip(pairs, np.exp(exponents - total)):
        pull = -2 * t * q * (u[i] - u[j])
        du[i] += pull
        du[j] -= pull
    return number(total - np.log(len(pairs))), (through_unit(du, u, lengths),)
