"""Noise-contrastive estimation: learn a density by telling its data from noise whose density is known.

The binary form asks of each point alone whether it is data; the ranking form asks which one of 1 + ν points is.
"""

import math

from ..arrays import namespace
from ..engine import Tensor
from ..functional import concatenate, expand_dims
from ..ops import _raw, softplus, sum
from .candidates import find_right
from .classification import reduce_loss
from .inputs import constant, floats


def _density(log_q, scores):
    """log q in the precision of the scores, unless it is a Tensor: the density of the noise is rarely learned."""
    return log_q if isinstance(log_q, Tensor) else constant(log_q, like=scores)


def nce(scores, noise_scores, log_q, noise_log_q, reduction="mean"):
    """Binary noise-contrastive estimation (Gutmann and Hyvärinen 2010; Mnih and Teh 2012, arXiv:1206.6426).

    Parameters
    ----------
    scores : Tensor or array, shape (N,)
        s(x) = log p̃(x) of N data points under the model, not normalised.
    noise_scores : Tensor or array, shape (N, ν)
        The same at ν points of noise for each data point.
    log_q, noise_log_q : Tensor or array, shapes (N,) and (N, ν)
        log of the noise's density at those points.
    reduction : {"mean", "sum", "none"}
        "none" gives N losses.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N or ν is 0, or a value is NaN or infinite (the noise must be able to make each point).

    Notes
    -----
    P(data | x) = p̃ / (p̃ + νq) = σ(x′), with x′ = s − log(νq);

    ℓ = −log σ(x′) − Σ_j log(1 − σ(x′_j)), j over the noise.

    As ν grows, its gradient becomes that of maximum likelihood, and p̃ comes out normalised by itself. Without log(νq) the
    same scores would learn p/(νq) instead of p.

    Examples
    --------
    >>> import numpy as np
    >>> one_each = nce(np.zeros(3), np.zeros((3, 1)), np.zeros(3), np.zeros((3, 1)))  # p̃ = q, ν = 1: two fair coins
    >>> bool(np.isclose(one_each, 2 * np.log(2)))
    True
    """
    s, n, log_q, noise_log_q = floats(
        "nce",
        scores=(scores, "N"),
        noise_scores=(noise_scores, "N ν"),
        log_q=(log_q, "N"),
        noise_log_q=(noise_log_q, "N ν"),
    )
    log_ν = math.log(n.shape[1])
    data = s - _density(log_q, s) - log_ν  # the logit of "this is data": log p̃ − log(νq)
    noise = n - _density(noise_log_q, n) - log_ν
    losses = softplus(-data) + sum(softplus(noise), axis=1)  # −log σ(x) = softplus(−x), −log(1 − σ(x)) = softplus(x)
    return reduce_loss(losses, reduction, name="nce")


def ranking_nce(scores, noise_scores, log_q=None, noise_log_q=None, reduction="mean"):
    """Ranking noise-contrastive estimation: which of 1 + ν points is the data? (Ma and Collins 2018, arXiv:1809.01812)

    Parameters
    ----------
    scores, noise_scores, log_q, noise_log_q, reduction
        As in `nce`. Without log_q and noise_log_q they count as 0: the scores then estimate log p/q.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError, ValueError
        As `nce`; also if only one of log_q and noise_log_q is given.

    Notes
    -----
    ℓ = −log( e^{s − log q} / (e^{s − log q} + Σ_j e^{s_j − log q_j}) ), j over the noise.

    A common shift of the scores cancels, so p̃ is learned up to a factor. With the critic s = cos/τ it is InfoNCE.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(ranking_nce(np.zeros(3), np.zeros((3, 4))), np.log(5)))
    True
    """
    name = "ranking_nce"
    given = {"scores": (scores, "N"), "noise_scores": (noise_scores, "N ν")}
    if (log_q is None) != (noise_log_q is None):
        raise ValueError(
            f"{name}: scores of shape {getattr(scores, 'shape', ())}: only {'log_q' if noise_log_q is None else 'noise_log_q'} "
            "is given; give both log_q and noise_log_q, or neither."
        )
    if log_q is not None:
        given |= {"log_q": (log_q, "N"), "noise_log_q": (noise_log_q, "N ν")}
    s, n, *densities = floats(name, **given)
    if densities:
        s, n = s - _density(densities[0], s), n - _density(densities[1], n)
    logits = concatenate([expand_dims(s, 1), n], axis=1)  # the data point first
    right = namespace(_raw(logits)).zeros(len(s), dtype=int)
    return reduce_loss(find_right(logits, right), reduction, name=name)
