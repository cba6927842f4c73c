"""Losses that tell data from noise: binary NCE, its ranking form, Skip-gram with negative sampling, SigLIP.

The binary ones ask of each candidate alone "is it data?", the ranking one asks which of them is.
"""

import numpy as np

from .pieces import choice, floats, no, number, scalar, term_weights, through_unit, unit_rows, yes, zeros


def nce(scores, noise_scores, log_q, noise_log_q, *, weights=None):
    """Noise-contrastive estimation, the binary form (Gutmann and Hyvärinen 2012, JMLR 13:307–361).

    Parameters
    ----------
    scores : array, shape (N,)
        log of the unnormalised model density at the data points.
    noise_scores : array, shape (N, ν)
        The same at the ν noise points of each data point.
    log_q, noise_log_q : array, shapes (N,) and (N, ν)
        log of the noise density at those points: constants.
    weights : array, shape (N,), optional
        Of the data points; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂scores, ∂L/∂noise_scores)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    h(x) = σ(s(x) − log(ν q(x))), ℓᵢ = −log h(xᵢ) − Σ_j log(1 − h(x_ij)).
    ∂ℓᵢ/∂sᵢ = h(xᵢ) − 1 and ∂ℓᵢ/∂s_ij = h(x_ij).

    Examples
    --------
    >>> value, (ds, dn) = nce([0.0], [[0.0]], [0.0], [[0.0]])
    >>> ds.tolist(), dn.tolist()
    ([-0.5], [[0.5]])
    """
    s, t, log_q, noise_log_q = _noise("nce", scores, noise_scores, log_q, noise_log_q)
    w = term_weights(weights, len(s), "nce")
    log_nu = np.log(t.shape[1])
    value, ds, dt = 0.0, zeros(s.shape, s, t), zeros(t.shape, s, t)
    for i in range(len(s)):
        loss, slope = yes(s[i] - log_nu - log_q[i])
        value += w[i] * loss
        ds[i] = w[i] * slope
        for j in range(t.shape[1]):
            loss, slope = no(t[i, j] - log_nu - noise_log_q[i, j])
            value += w[i] * loss
            dt[i, j] = w[i] * slope
    return number(value), (ds, dt)


def ranking_nce(scores, noise_scores, log_q=None, noise_log_q=None, *, weights=None):
    """The ranking form of NCE: which of the ν + 1 points is the data? (Ma and Collins 2018, arXiv:1809.01812)

    Parameters
    ----------
    scores, noise_scores, log_q, noise_log_q, weights
        As of `nce`; without log_q the scores stand for themselves.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂scores, ∂L/∂noise_scores)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    r = s − log q; ℓᵢ = log(exp rᵢ + Σ_j exp r_ij) − rᵢ; ∂ℓᵢ/∂sᵢ = P_i0 − 1 and ∂ℓᵢ/∂s_ij = P_ij.

    Examples
    --------
    >>> value, (ds, dn) = ranking_nce([0.0], [[0.0, 0.0, 0.0]])
    >>> ds.tolist(), dn.tolist()
    ([-0.75], [[0.25, 0.25, 0.25]])
    """
    s, t, log_q, noise_log_q = _noise("ranking_nce", scores, noise_scores, log_q, noise_log_q)
    w = term_weights(weights, len(s), "ranking_nce")
    value, ds, dt = 0.0, zeros(s.shape, s, t), zeros(t.shape, s, t)
    for i in range(len(s)):
        loss, slope = choice(np.array([s[i] - log_q[i], *(t[i] - noise_log_q[i])]), 0)
        value += w[i] * loss
        ds[i], dt[i] = w[i] * slope[0], w[i] * slope[1:]
    return number(value), (ds, dt)


def _noise(who, scores, noise_scores, log_q, noise_log_q):
    """Scores of data and noise, and the log densities (0 where they are left out)."""
    s = floats(scores, who, "scores", 1)
    t = floats(noise_scores, who, "noise_scores", 2)
    if len(s) != len(t):
        raise ValueError(f"{who}: noise_scores has shape {t.shape}; give {len(s)} rows, one for each score.")
    if (log_q is None) != (noise_log_q is None):
        raise ValueError(f"{who}: give log_q and noise_log_q both, or neither.")
    if log_q is None:
        return s, t, np.zeros(s.shape), np.zeros(t.shape)
    return s, t, floats(log_q, who, "log_q", 1, s.shape), floats(noise_log_q, who, "noise_log_q", 2, t.shape)


def skip_gram(centers, contexts, negatives, *, weights=None):
    """Skip-gram with negative sampling (Mikolov et al. 2013, arXiv:1310.4546, Eq. 4).

    Parameters
    ----------
    centers, contexts : array, shape (N, d)
        Vectors of N words and of one word near each. Not normalised.
    negatives : array, shape (N, k, d)
        Vectors of k words drawn from the noise for each.
    weights : array, shape (N,), optional
        Of the words; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂centers, ∂L/∂contexts, ∂L/∂negatives)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    ℓᵢ = −log σ(cᵢ·vᵢ) − Σ_j log σ(−n_ij·cᵢ), with the center c and the context v.
    ∂ℓ/∂v = (σ(c·v) − 1) c, ∂ℓ/∂n_j = σ(n_j·c) c, ∂ℓ/∂c = (σ(c·v) − 1) v + Σ_j σ(n_j·c) n_j.

    Examples
    --------
    >>> value, (dc, dv, dn) = skip_gram([[2.0]], [[0.0]], [[[0.0]]])
    >>> dc.tolist(), dv.tolist(), dn.tolist()
    ([[0.0]], [[-1.0]], [[[1.0]]])
    """
    c = floats(centers, "skip_gram", "centers", 2)
    v = floats(contexts, "skip_gram", "contexts", 2, c.shape)
    n = floats(negatives, "skip_gram", "negatives", 3)
    if (n.shape[0], n.shape[2]) != c.shape:
        raise ValueError(f"skip_gram: negatives have shape {n.shape}; give ({c.shape[0]}, k, {c.shape[1]}).")
    w = term_weights(weights, len(c), "skip_gram")
    value = 0.0
    dc, dv, dn = (zeros(x.shape, c, v, n) for x in (c, v, n))
    for i in range(len(c)):
        loss, slope = yes(c[i] @ v[i])
        value += w[i] * loss
        dc[i] += w[i] * slope * v[i]
        dv[i] += w[i] * slope * c[i]
        for j in range(n.shape[1]):
            loss, slope = no(n[i, j] @ c[i])
            value += w[i] * loss
            dc[i] += w[i] * slope * n[i, j]
            dn[i, j] += w[i] * slope * c[i]
    return number(value), (dc, dv, dn)


def siglip(z1, z2, temperature=0.1, bias=-10.0, *, weights=None, parameters=False):
    """The sigmoid loss: each of the N² pairs alone is a match or is not (Zhai et al. 2023, arXiv:2303.15343).

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
    temperature : float, positive
    bias : float
        b, which begins at −10 because most pairs are no match.
    weights : array, shape (N,), optional
        Of the rows of z1; by default 1/N each.
    parameters : bool
        Append ∂L/∂τ and ∂L/∂b.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂z1, ∂L/∂z2)

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or τ is not positive.

    Notes
    -----
    L = −(1/N) Σ_ij log σ(Y_ij (s_ij/τ + b)), Y = 1 on the diagonal and −1 elsewhere: N² terms, divided by N.
    With c_ij = −wᵢ Y_ij σ(−Y_ij (s_ij/τ + b)): ∂L/∂s_ij = c_ij/τ, ∂L/∂b = Σ c_ij, ∂L/∂τ = −Σ c_ij s_ij/τ².

    Examples
    --------
    >>> value, (d1, d2, dtau, db) = siglip([[1.0, 0.0]], [[0.0, 1.0]], bias=0.0, parameters=True)
    >>> db
    -0.5
    """
    tau, b = scalar(temperature, "siglip"), scalar(bias, "siglip", "bias", positive=False)
    z1 = floats(z1, "siglip", "z1", 2)
    z2 = floats(z2, "siglip", "z2", 2, z1.shape)
    w = term_weights(weights, len(z1), "siglip")
    u, u_lengths = unit_rows(z1)
    v, v_lengths = unit_rows(z2)
    value, du, dv, dtau, db = 0.0, zeros(u.shape, u, v, tau, b), zeros(v.shape, u, v, tau, b), 0.0, 0.0
    for i in range(len(u)):
        for k in range(len(v)):
            s = u[i] @ v[k]
            loss, c = (yes if i == k else no)(s / tau + b)
            value += w[i] * loss
            c = w[i] * c
            du[i] += c / tau * v[k]
            dv[k] += c / tau * u[i]
            dtau -= c * s / tau**2
            db += c
    gradients = (through_unit(du, u, u_lengths), through_unit(dv, v, v_lengths))
    return number(value), (*gradients, number(dtau), number(db)) if parameters else gradients
