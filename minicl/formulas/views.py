"""Losses that ask for the other view among candidates: NT-Xent, its kin without the positive below, InfoNCE, MoCo.

Each loop is the formula: over anchors i, and over the candidates of i. What an anchor does to a candidate's gradient is
written beside what it does to its own: most gradients by hand forget that half.
"""

import numpy as np

from .pieces import (
    choice,
    floats,
    integers,
    log_sum_exp,
    number,
    scalar,
    softmax,
    term_weights,
    through_unit,
    two_views,
    unit_rows,
    zeros,
)


def nt_xent(z1, z2=None, temperature=0.5, layout="stacked", *, weights=None, parameters=False):
    """NT-Xent and its gradient (Chen et al. 2020, arXiv:2002.05709, Eq. 1).

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
        Two views; or all 2N rows in z1 and no z2.
    temperature : float, positive
    layout : {"stacked", "interleaved"}
        Order of the rows where z2 is None: partner of i is (i + N) mod 2N, or rows 2k and 2k + 1 are one image.
    weights : array, shape (2N,), optional
        Of the losses of the rows; by default 1/2N each, the mean.
    parameters : bool
        Append ∂L/∂τ to the gradients.

    Returns
    -------
    value : float
    gradients : tuple of arrays
        (∂L/∂z1, ∂L/∂z2), or (∂L/∂z1,) without z2.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or τ is not positive.

    Notes
    -----
    ℓᵢ = log Σ_{k≠i} exp(s_ik/τ) − s_ij/τ with u = z/‖z‖, s_ik = uᵢ·u_k, and the partner j of i.

    P_ik = exp(s_ik/τ) / Σ_{m≠i} exp(s_im/τ), Y_ij = 1 at the partner: G_ik = ∂L/∂s_ik = wᵢ (P_ik − Y_ik)/τ.
    s_ik depends on uᵢ and on u_k alike, so ∂L/∂U = (G + Gᵀ) U: Gᵀ is the role of a row as a candidate of others.
    ∂L/∂zᵢ = (gᵢ − (gᵢ·uᵢ) uᵢ)/‖zᵢ‖ with gᵢ = ∂L/∂uᵢ, and ∂L/∂τ = −Σ_ik G_ik s_ik / τ.

    Examples
    --------
    >>> value, (dz1, dz2) = nt_xent([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]], temperature=0.5)
    >>> bool(abs(value - np.log(1 + 2 * np.exp(-2))) < 1e-15)
    True
    """
    tau = scalar(temperature, "nt_xent")
    z, partner, hand_back = two_views(z1, z2, layout, "nt_xent")
    u, lengths = unit_rows(z)
    w = term_weights(weights, len(z), "nt_xent")
    value, du, dtau = 0.0, zeros(u.shape, u, tau), 0.0
    for i, j in enumerate(partner):
        others = [k for k in range(len(z)) if k != i]
        s = [u[i] @ u[k] for k in others]
        loss, slope = choice(np.array(s) / tau, others.index(j))
        value += w[i] * loss
        for k, s_ik, p_minus_y in zip(others, s, slope):
            g = w[i] * p_minus_y / tau
            du[i] += g * u[k]  # as the anchor
            du[k] += g * u[i]  # as a candidate of anchor i
            dtau -= g * s_ik / tau
    gradients = hand_back(through_unit(du, u, lengths))
    return number(value), (*gradients, number(dtau)) if parameters else gradients


def dcl(z1, z2=None, temperature=0.5, layout="stacked", *, weights=None, parameters=False):
    """Decoupled contrastive loss: NT-Xent whose positive does not stand below (Yeh et al. 2021, arXiv:2110.06848).

    Parameters
    ----------
    z1, z2, temperature, layout, weights, parameters
        As of `nt_xent`; N ≥ 2, since an anchor needs a negative.

    Returns
    -------
    value : float
    gradients : tuple of arrays

    Raises
    ------
    ValueError
        If shapes do not fit, N is 1, an entry is not finite, or τ is not positive.

    Notes
    -----
    ℓᵢ = −s_ij/τ + log Σ_{k≠i,j} exp(s_ik/τ): 2N − 2 terms below.
    ∂ℓᵢ/∂s_ij = −1/τ, however near the positive is; ∂ℓᵢ/∂s_ik = Q_ik/τ, with Q the softmax over the negatives alone.

    Examples
    --------
    >>> value, (dz1, dz2) = dcl([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]], temperature=0.5)
    >>> bool(abs(value - (np.log(2) - 2)) < 1e-15)
    True
    """
    tau = scalar(temperature, "dcl")
    z, partner, hand_back = two_views(z1, z2, layout, "dcl")
    if len(z) < 4:
        raise ValueError("dcl: one image has no negatives; give at least two images.")
    u, lengths = unit_rows(z)
    w = term_weights(weights, len(z), "dcl")
    value, du, dtau = 0.0, zeros(u.shape, u, tau), 0.0
    for i, j in enumerate(partner):
        negatives = [k for k in range(len(z)) if k not in (i, j)]
        s = [u[i] @ u[k] for k in negatives]
        s_ij = u[i] @ u[j]
        value += w[i] * (log_sum_exp(np.array(s) / tau) - s_ij / tau)
        q = softmax(np.array(s) / tau)
        for k, s_ik, slope in [(j, s_ij, -1.0), *zip(negatives, s, q)]:
            g = w[i] * slope / tau
            du[i] += g * u[k]
            du[k] += g * u[i]
            dtau -= g * s_ik / tau
    gradients = hand_back(through_unit(du, u, lengths))
    return number(value), (*gradients, number(dtau)) if parameters else gradients


def debiased(z1, z2=None, temperature=0.5, class_prior=0.1, layout="stacked", *, weights=None, parameters=False):
    """Debiased contrastive loss with one positive sample (Chuang et al. 2020, arXiv:2007.00224).

    Parameters
    ----------
    z1, z2, temperature, layout, weights, parameters
        As of `nt_xent`; N ≥ 2.
    class_prior : float in [0, 1)
        τ⁺, the share of the negatives that are of the anchor's own class.

    Returns
    -------
    value : float
    gradients : tuple of arrays

    Raises
    ------
    ValueError
        If shapes do not fit, N is 1, an entry is not finite, τ is not positive, or τ⁺ is outside [0, 1).

    Notes
    -----
    With M = 2N − 2 negatives, A = exp(s_ij/τ) and B = (1/M) Σ_{k≠i,j} exp(s_ik/τ):
    g = max{ (B − τ⁺ A)/(1 − τ⁺), exp(−1/τ) } and ℓᵢ = log(A + M g) − s_ij/τ.

    Where the first of the two is the larger: ∂ℓᵢ/∂(s_ij/τ) = (A − M τ⁺A/(1 − τ⁺))/(A + M g) − 1 and
    ∂ℓᵢ/∂(s_ik/τ) = exp(s_ik/τ)/(1 − τ⁺)/(A + M g). Elsewhere g does not depend on the embeddings:
    ∂ℓᵢ/∂(s_ij/τ) = −M g/(A + M g), and g depends on τ: ∂ℓᵢ/∂τ has the term M g/(A + M g)/τ². Where both are equal the
    loss has a kink.

    Examples
    --------
    >>> z = np.eye(4)
    >>> value, (dz,) = debiased(z, temperature=0.5, class_prior=0.0)  # no correction: nt_xent
    >>> bool(abs(value - np.log(3)) < 1e-15)
    True
    """
    tau, prior = scalar(temperature, "debiased"), scalar(class_prior, "debiased", "class_prior", positive=False)
    if not 0 <= prior < 1:
        raise ValueError(f"debiased: class_prior is {prior}; give a share in [0, 1).")
    z, partner, hand_back = two_views(z1, z2, layout, "debiased")
    if len(z) < 4:
        raise ValueError("debiased: one image has no negatives; give at least two images.")
    u, lengths = unit_rows(z)
    w = term_weights(weights, len(z), "debiased")
    m = len(z) - 2
    value, du, dtau = 0.0, zeros(u.shape, u, tau), 0.0
    for i, j in enumerate(partner):
        negatives = [k for k in range(len(z)) if k not in (i, j)]
        s = np.array([u[i] @ u[k] for k in negatives])
        s_ij = u[i] @ u[j]
        top = max([s_ij.real, *s.real]) / tau  # taken out of every exponential; it stays in the logarithm alone
        top = top.real
        a, e, floor = np.exp(s_ij / tau - top), np.exp(s / tau - top), np.exp(-1 / tau - top)
        corrected = (np.sum(e) / m - prior * a) / (1 - prior)
        free = corrected.real > floor.real
        g = corrected if free else floor
        below = a + m * g
        value += w[i] * (np.log(below) + top - s_ij / tau)
        if free:
            at_positive = (a - m * prior * a / (1 - prior)) / below - 1
            at_negatives = e / (1 - prior) / below
        else:
            at_positive = -m * g / below
            at_negatives = 0.0 * e
            dtau += w[i] * m * g / below / tau**2
        for k, s_ik, slope in [(j, s_ij, at_positive), *zip(negatives, s, at_negatives)]:
            slope = w[i] * slope / tau
            du[i] += slope * u[k]
            du[k] += slope * u[i]
            dtau -= slope * s_ik / tau
    gradients = hand_back(through_unit(du, u, lengths))
    return number(value), (*gradients, number(dtau)) if parameters else gradients


def info_nce(queries, keys, temperature=0.5, negatives=None, symmetric=False, *, weights=None, parameters=False):
    """InfoNCE from queries to keys (van den Oord et al. 2018, arXiv:1807.03748), on cosines.

    Parameters
    ----------
    queries, keys : array, shape (N, d)
        Key i is the right one of query i; the other N − 1 keys are candidates too.
    temperature : float, positive
    negatives : array, shape (M, d), optional
        More candidates of every query.
    symmetric : bool
        The mean of both directions (not with negatives).
    weights : array, shape (N,), optional
        Of the rows; by default 1/N each.
    parameters : bool
        Append ∂L/∂τ.

    Returns
    -------
    value : float
    gradients : tuple of arrays
        (∂L/∂queries, ∂L/∂keys), and ∂L/∂negatives where there are some.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, τ is not positive, or negatives meet symmetric=True.

    Notes
    -----
    ℓᵢ = log Σ_k exp(qᵢ·c_k/τ) − qᵢ·kᵢ/τ over all candidates c, with unit rows; G_ik = wᵢ (P_ik − Y_ik)/τ.
    ∂L/∂q̂ᵢ = Σ_k G_ik c_k and ∂L/∂c_k = Σᵢ G_ik q̂ᵢ: a query is never a candidate. Then the normalisation.

    Examples
    --------
    >>> value, (dq, dk) = info_nce([[1.0, 0.0]], [[0.0, 1.0]], temperature=0.5)
    >>> value, dq.tolist()
    (0.0, [[0.0, 0.0]])
    """
    tau = scalar(temperature, "info_nce")
    queries = floats(queries, "info_nce", "queries", 2)
    keys = floats(keys, "info_nce", "keys", 2, queries.shape)
    if symmetric and negatives is not None:
        raise ValueError("info_nce: negatives have no direction back; leave them out, or symmetric=False.")
    more = () if negatives is None else (floats(negatives, "info_nce", "negatives", 2),)
    if more and more[0].shape[1] != queries.shape[1]:
        raise ValueError(f"info_nce: negatives have shape {more[0].shape}, queries {queries.shape}; d must be equal.")
    n = len(queries)
    w = term_weights(weights, n, "info_nce")
    q, q_lengths = unit_rows(queries)
    c, c_lengths = unit_rows(np.concatenate([keys, *more]))
    value, dq, dc, dtau = 0.0, zeros(q.shape, q, c, tau), zeros(c.shape, q, c, tau), 0.0
    directions = [(q, c, dq, dc, w / 2), (c, q, dc, dq, w / 2)] if symmetric else [(q, c, dq, dc, w)]
    for a, b, da, db, share in directions:
        for i in range(n):
            s = np.array([a[i] @ b[k] for k in range(len(b))])
            loss, slope = choice(s / tau, i)
            value += share[i] * loss
            for k in range(len(b)):
                g = share[i] * slope[k] / tau
                da[i] += g * b[k]
                db[k] += g * a[i]
                dtau -= g * s[k] / tau
    dc = through_unit(dc, c, c_lengths)
    gradients = (through_unit(dq, q, q_lengths), dc[:n], *((dc[n:],) if more else ()))
    return number(value), (*gradients, number(dtau)) if parameters else gradients


def moco(queries, keys, queue, temperature=0.07, *, weights=None, parameters=False):
    """MoCo's loss: each query has its own key and a queue of old keys (He et al. 2019, arXiv:1911.05722, Eq. 1).

    Parameters
    ----------
    queries, keys : array, shape (N, d)
    queue : array, shape (K, d)
        Keys and queue are constants: they come from the momentum encoder, which gets no gradient.
    temperature : float, positive
    weights : array, shape (N,), optional
    parameters : bool
        Append ∂L/∂τ.

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂queries,)

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or τ is not positive.

    Notes
    -----
    K + 1 candidates: ℓᵢ = log(exp(qᵢ·kᵢ/τ) + Σ_m exp(qᵢ·n_m/τ)) − qᵢ·kᵢ/τ.
    ∂ℓᵢ/∂q̂ᵢ = (−(1 − P⁺) kᵢ + Σ_m P_m n_m)/τ, then the normalisation.

    Examples
    --------
    >>> value, (dq,) = moco([[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]], temperature=0.5)
    >>> bool(abs(value - np.log(1 + np.exp(-2))) < 1e-15)
    True
    """
    tau = scalar(temperature, "moco")
    queries = floats(queries, "moco", "queries", 2)
    keys = floats(keys, "moco", "keys", 2, queries.shape)
    queue = floats(queue, "moco", "queue", 2)
    if queue.shape[1] != queries.shape[1]:
        raise ValueError(f"moco: queue has shape {queue.shape}, queries {queries.shape}; d must be equal.")
    old = unit_rows(queue)[0]
    own = unit_rows(keys)[0]
    return _constant_candidates(
        queries, [([own[i], *old], 0) for i in range(len(queries))], tau, weights, parameters, "moco"
    )


def memory_bank(z, bank, index, temperature=0.07, negatives=None, *, weights=None, parameters=False):
    """Instance discrimination against a memory bank (Wu et al. 2018, arXiv:1805.01978), as a choice among its rows.

    Parameters
    ----------
    z : array, shape (N, d)
    bank : array, shape (K, d)
        A constant: one stored vector for each training image.
    index : integer array, shape (N,)
        The row of the bank that belongs to z[i].
    temperature : float, positive
    negatives : integer array, shape (N, m), optional
        Rows of the bank that z[i] is held against, beside its own; by default the whole bank.
    weights : array, shape (N,), optional
    parameters : bool
        Append ∂L/∂τ.

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂z,)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, an index is no row of the bank, an entry is not finite, or τ is not positive.

    Notes
    -----
    ℓᵢ = log Σ_k exp(uᵢ·b_k/τ) − uᵢ·b_index/τ; ∂ℓᵢ/∂uᵢ = (Σ_k P_k b_k − b_index)/τ, then the normalisation.

    Examples
    --------
    >>> value, (dz,) = memory_bank([[1.0, 0.0]], np.eye(2), [0], temperature=0.5)
    >>> bool(abs(value - np.log(1 + np.exp(-2))) < 1e-15)
    True
    """
    tau = scalar(temperature, "memory_bank")
    z = floats(z, "memory_bank", "z", 2)
    bank = floats(bank, "memory_bank", "bank", 2)
    if bank.shape[1] != z.shape[1]:
        raise ValueError(f"memory_bank: bank has shape {bank.shape}, z {z.shape}; d must be equal.")
    index = integers(index, "memory_bank", "index", (len(z),), below=len(bank))
    rows = unit_rows(bank)[0]
    if negatives is None:
        candidates = [(rows, int(i)) for i in index]
    else:
        negatives = integers(negatives, "memory_bank", "negatives", (len(z), None), below=len(bank))
        candidates = [([rows[i], *rows[others]], 0) for i, others in zip(index, negatives)]
    return _constant_candidates(z, candidates, tau, weights, parameters, "memory_bank")


def _constant_candidates(z, candidates, tau, weights, parameters, who):
    """The choice of the right one among unit vectors that get no gradient."""
    u, lengths = unit_rows(z)
    w = term_weights(weights, len(z), who)
    value, du, dtau = 0.0, zeros(u.shape, u, tau), 0.0
    for i, (rows, right) in enumerate(candidates):
        s = np.array([u[i] @ row for row in rows])
        loss, slope = choice(s / tau, right)
        value += w[i] * loss
        for row, s_ik, p_minus_y in zip(rows, s, slope):
            g = w[i] * p_minus_y / tau
            du[i] += g * row
            dtau -= g * s_ik / tau
    gradients = (through_unit(du, u, lengths),)
    return number(value), (*gradients, number(dtau)) if parameters else gradients
