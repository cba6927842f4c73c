"""The formulas once more, in plain NumPy and without the library: what the checks compare with.

An anchor is a row; `partner[i]` is the row of the other view of its image. Views are stacked: first all first views.
"""

import numpy as np
from scipy.special import expit, logsumexp, softmax

__all__ = [
    "expit",
    "logsumexp",
    "softmax",
    "unit",
    "cosines",
    "partners",
    "anchors",
    "negatives",
    "nt_xent",
    "slope",
    "binary",
    "ranking",
]


def unit(z):
    return z / np.sqrt((z * z).sum(axis=-1, keepdims=True))


def cosines(z):
    return unit(z) @ unit(z).T


def partners(n):
    """The other view of each of the 2N rows."""
    return (np.arange(2 * n) + n) % (2 * n)


def anchors(scores, partner, candidates):
    """ℓᵢ = −s_ij + log Σ e^{s_ik} over candidates(i), for each anchor i with its partner j."""
    return np.array([logsumexp(scores[i, candidates(i)]) - scores[i, j] for i, j in enumerate(partner)])


def negatives(scores, partner):
    """Of each row of a square of scores, all but its own place and its partner's."""
    return np.array([np.delete(row, [i, partner[i]]) for i, row in enumerate(scores)])


def nt_xent(z, tau):
    """The 2N losses of NT-Xent: all rows but the anchor itself are candidates."""
    rows = np.arange(len(z))
    return anchors(cosines(z) / tau, partners(len(z) // 2), lambda i: rows[rows != i])


def slope(f, x, h=1e-6):
    """The derivative of a number in each entry of x, by central differences."""
    g = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[k] += h
        down[k] -= h
        g[k] = (f(up) - f(down)) / (2 * h)
    return g


def binary(own, others):
    """−log σ(s_p) − Σ log σ(−s_k)."""
    return np.logaddexp(0, -own) + np.logaddexp(0, others).sum(axis=-1)


def ranking(own, others):
    """−log( e^{s_p} / (e^{s_p} + Σ e^{s_k}) )."""
    return logsumexp(np.concatenate([own[..., None], others], axis=-1), axis=-1) - own
