"""Skip-gram with negative sampling: a word must like its context words, and dislike words that were drawn at random.

It is binary NCE without the term log(νq): the scores are not log-probabilities, but fit a shifted mutual information.
"""

from ..functional import expand_dims
from ..ops import softplus, sum
from .classification import reduce_loss
from .inputs import floats


def skip_gram(centers, contexts, negatives, reduction="mean"):
    """Skip-gram with negative sampling, SGNS (Mikolov et al. 2013, arXiv:1310.4546, Eq. 4).

    Parameters
    ----------
    centers : Tensor or array, shape (N, d)
        Vectors of the centre words, from one table.
    contexts : Tensor or array, shape (N, d)
        Vectors of a context word each, from the other table.
    negatives : Tensor or array, shape (N, k, d)
        Vectors of k random words each, from that table too. Nothing is normalised.
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
        If shapes do not fit, N or k is 0, or a value is NaN or infinite.

    Notes
    -----
    ℓ = −log σ(c·v) − Σ_j log σ(−n_j·v), with the centre v, the context c and the negatives n.

    Its optimum is c·v = log( P(v, c) / (P(v) Q(c)) ) − log k, Q the distribution of negatives (Levy and Goldberg 2014).

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(skip_gram(np.zeros((2, 3)), np.ones((2, 3)), np.ones((2, 4, 3))), 5 * np.log(2)))
    True
    """
    v, c, n = floats("skip_gram", centers=(centers, "N d"), contexts=(contexts, "N d"), negatives=(negatives, "N k d"))
    liked = sum(c * v, axis=1)
    disliked = sum(n * expand_dims(v, 1), axis=2)
    losses = softplus(-liked) + sum(softplus(disliked), axis=1)  # −log σ(x) = softplus(−x)
    return reduce_loss(losses, reduction, name="skip_gram")
