"""InfoNCE: a query must find its key among candidates. The three losses differ in where the other candidates come from.

From the same batch (`info_nce`), from a queue of older keys (`moco`), or from a bank that has a vector for each image of
the data set (`memory_bank`).
"""

from ..arrays import namespace
from ..functional import concatenate, expand_dims, normalize, take
from ..ops import _raw, softplus, sum
from .blocked import METHODS, lse_of_others
from .candidates import find_right
from .classification import reduce_loss
from .inputs import constant, floats, integers, one_of, positive_temperature


def info_nce(queries, keys, temperature=0.5, negatives=None, symmetric=False, reduction="mean", method="auto"):
    """InfoNCE (van den Oord et al. 2018, arXiv:1807.03748): query i must find key i among all keys.

    Parameters
    ----------
    queries, keys : Tensor or array, shape (N, d)
        Normalised here.
    temperature : float or Tensor of shape (), positive
        τ, by which the cosines are divided.
    negatives : Tensor or array, shape (M, d), optional
        More candidates, wrong for every query.
    symmetric : bool
        The mean of both directions: keys must find their queries too (as in CLIP).
    reduction : {"mean", "sum", "none"}
        "none" gives N losses.
    method : {"auto", "composed", "blocked"}
        As in `nt_xent`.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N or M is 0, a value is NaN or infinite, the temperature is not positive, or negatives are
        given beside symmetric=True.

    Notes
    -----
    ℓᵢ = −log( exp(s_ii/τ) / Σ_k exp(s_ik/τ) ), k over the N keys and the M negatives: N + M candidates.
    Unlike NT-Xent, queries are no candidates, so the direction matters: a softmax over the wrong axis gives another loss.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.ones((4, 2))
    >>> bool(np.isclose(info_nce(z, z), np.log(4)))
    True
    >>> bool(np.isclose(info_nce(z, z, negatives=np.ones((3, 2))), np.log(7)))
    True
    """
    name = "info_nce"
    if symmetric and negatives is not None:
        raise ValueError(
            f"{name}: negatives of shape {getattr(negatives, 'shape', ())} are candidates of the queries alone, so "
            "symmetric=True does not fit; leave out one of the two."
        )
    given = {"queries": (queries, "N d"), "keys": (keys, "N d")}
    if negatives is not None:
        given["negatives"] = (negatives, "M d")
    u, v, *more = (normalize(x) for x in floats(name, **given))
    temperature = positive_temperature(name, temperature, like=u)
    one_of(name, "method", method, METHODS)
    xp = namespace(_raw(u))
    pair = xp.arange(len(u))
    of_keys = xp.concatenate([pair, xp.full(len(more[0]), -1)]) if more else pair
    own = sum(u * v, axis=1) / temperature  # s_ii/τ
    others = lse_of_others(name, method, u, concatenate([v, *more]), temperature, pair, of_keys)
    losses = softplus(others - own)  # log(1 + Σ_{k≠i} e^{(s_ik − s_ii)/τ})
    if symmetric:
        losses = 0.5 * (losses + softplus(lse_of_others(name, method, v, u, temperature, pair, pair) - own))
    return reduce_loss(losses, reduction, name=name)


def moco(queries, keys, queue, temperature=0.07, reduction="mean", method="auto"):
    """The loss of MoCo (He et al. 2019, arXiv:1911.05722, Eq. 1): find your own key among it and the keys of a queue.

    Parameters
    ----------
    queries : Tensor or array, shape (N, d)
    keys : Tensor or array, shape (N, d)
        Made by the momentum encoder. No gradient goes into them.
    queue : Tensor or array, shape (K, d)
        Keys of earlier batches. No gradient goes into them. Add the new keys after the loss, or a key is its own negative.
    temperature : float or Tensor of shape (), positive
    reduction : {"mean", "sum", "none"}
        "none" gives N losses.
    method : {"auto", "composed", "blocked"}
        As in `nt_xent`.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N or K is 0, a value is NaN or infinite, or the temperature is not positive.

    Notes
    -----
    ℓᵢ = −log( exp(qᵢ·kᵢ/τ) / (exp(qᵢ·kᵢ/τ) + Σ_m exp(qᵢ·n_m/τ)) ), all vectors normalised here: K + 1 candidates.
    The other keys of the batch are no candidates.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.ones((4, 2))
    >>> bool(np.isclose(moco(z, z, np.ones((6, 2))), np.log(7)))
    True
    """
    name = "moco"
    queries, keys, queue = floats(name, queries=(queries, "N d"), keys=(keys, "N d"), queue=(queue, "K d"))
    temperature = positive_temperature(name, temperature, like=queries)
    one_of(name, "method", method, METHODS)
    q = normalize(queries)
    k, n = (constant(normalize(_raw(x)), like=q) for x in (keys, queue))
    own = sum(q * k, axis=1) / temperature
    xp = namespace(_raw(q))
    of_queries, of_queue = xp.zeros(len(q), dtype=int), xp.ones(len(n), dtype=int)  # nobody's own key is in the queue
    others = lse_of_others(name, method, q, n, temperature, of_queries, of_queue)
    return reduce_loss(softplus(others - own), reduction, name=name)


def memory_bank(z, bank, index, temperature=0.07, negatives=None, reduction="mean", method="auto"):
    """Instance discrimination against a memory bank (Wu et al. 2018, arXiv:1805.01978): find your own entry.

    Parameters
    ----------
    z : Tensor or array, shape (N, d)
        Embeddings of a batch.
    bank : Tensor or array, shape (n, d)
        One vector for each image of the data set. No gradient goes into it.
    index : integer array, shape (N,)
        Which entry of the bank is each row's own.
    temperature : float or Tensor of shape (), positive
    negatives : integer array, shape (N, m), optional
        The entries that are the other candidates of each row. By default all of the bank.
    reduction : {"mean", "sum", "none"}
        "none" gives N losses.
    method : {"auto", "composed", "blocked"}
        As in `nt_xent`; with `negatives` the few scores are computed as they stand.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input has the wrong kind of numbers, or inputs are on different devices.
    ValueError
        If shapes do not fit, a length is 0, a value is NaN or infinite, a position is not in the bank, or the temperature
        is not positive.

    Notes
    -----
    ℓᵢ = −log( exp(uᵢ·bᵢ/τ) / Σ_k exp(uᵢ·b_k/τ) ), all vectors normalised here; k over the bank, or over the own entry and
    the m negatives. A negative that happens to be the own entry stays in the sum.

    Examples
    --------
    >>> import numpy as np
    >>> bank = np.ones((5, 2))
    >>> bool(np.isclose(memory_bank(bank[:2], bank, [0, 1]), np.log(5)))
    True
    >>> bool(np.isclose(memory_bank(bank[:2], bank, [0, 1], negatives=[[2, 3], [3, 4]]), np.log(3)))
    True
    """
    name = "memory_bank"
    z, bank = floats(name, z=(z, "N d"), bank=(bank, "n d"))
    temperature = positive_temperature(name, temperature, like=z)
    one_of(name, "method", method, METHODS)
    index = integers(name, "index", index, (len(z),), z, below=len(bank))
    bank, u = _raw(bank), normalize(z)
    if negatives is None:
        candidates = constant(normalize(bank), like=u)
        own = sum(u * candidates[index], axis=1) / temperature
        image = namespace(candidates).arange(len(candidates))
        others = lse_of_others(name, method, u, candidates, temperature, index, image)
        losses = softplus(others - own)
    else:
        negatives = integers(name, "negatives", negatives, (len(z), None), z, below=len(bank))
        rows = concatenate([index[:, None], negatives], axis=1)  # (N, 1 + m): the own entry first
        candidates = constant(normalize(take(bank, rows, axis=0)), like=u)  # (N, 1 + m, d)
        scores = sum(expand_dims(u, 1) * candidates, axis=-1) / temperature
        losses = find_right(scores, 0 * index)
    return reduce_loss(losses, reduction, name=name)
