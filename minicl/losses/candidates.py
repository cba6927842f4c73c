"""One right candidate among many: the formula that InfoNCE, NT-Xent, DCL, N-pair and MoCo share.

An anchor has a score for each candidate, and one candidate is the right one. Each of those losses compares the score of
the right one with log Σ exp of the scores of the rest; they differ in who is a candidate.
"""

import math

from ..arrays import namespace
from ..ops import _raw, logsumexp, softplus, where


def right_and_rest(scores, right):
    """The score of the right candidate of each anchor, and log Σ exp over the other candidates.

    Parameters
    ----------
    scores : Tensor or array, shape (n, candidates)
        −inf for what is no candidate of that anchor.
    right : integer array, shape (n,)

    Returns
    -------
    s, rest : Tensor or array, shape (n,)
        rest is −inf for an anchor without another candidate.
    """
    xp = namespace(_raw(scores))
    is_right = xp.arange(scores.shape[1]) == right[:, None]
    return scores[xp.arange(len(right)), right], logsumexp(where(is_right, -math.inf, scores), axis=1)


def find_right(scores, right):
    """Cross-entropy of finding the right candidate: ℓ = −log( e^s / (e^s + Σ_rest e^{s_k}) ).

    Parameters
    ----------
    scores : Tensor or array, shape (n, candidates)
        −inf for what is no candidate of that anchor.
    right : integer array, shape (n,)

    Returns
    -------
    Tensor or array, shape (n,)

    Notes
    -----
    ℓ = log(1 + Σ_rest e^{s_k − s}) = softplus(log Σ_rest e^{s_k} − s). In this form a tiny loss keeps all its digits
    (1 + 10⁻²⁰ is 1 in floating point), a large one does not saturate, and no exponential overflows.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([[0.0, -50.0], [0.0, 1000.0]])
    >>> find_right(scores, np.array([0, 0])) / np.array([np.exp(-50), 1000])
    array([1., 1.])
    """
    s, rest = right_and_rest(scores, right)
    return softplus(rest - s)
