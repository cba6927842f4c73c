"""Triplets: the negative must be further from the anchor than the positive, by a margin.

Only the order of two distances counts, not their size. Most triplets soon fulfil it and teach nothing; so
`mined_triplet` looks for those of a labelled batch that do not.
"""

import math

from ..arrays import namespace
from ..functional import expand_dims, norm, pairwise_distances
from ..ops import _raw, max, min, relu, sum, where
from .classification import reduce_loss
from .inputs import between, floats, integers, one_of


def triplet(anchor, positive, negative, margin=1.0, squared=False, reduction="mean"):
    """Triplet loss (Weinberger and Saul 2009; Schroff et al. 2015, arXiv:1503.03832, with squared distances).

    Parameters
    ----------
    anchor, positive, negative : Tensor or array, shape (N, d)
        Row i of the three is a triplet. They are not normalised (FaceNet's are: pass `mc.normalize(x)`).
    margin : float, not negative
    squared : bool
        Compare squared distances.
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
        If shapes do not fit, N is 0, a value is NaN or infinite, or the margin is negative.

    Notes
    -----
    ℓ = max(0, d_p − d_n + m), with d_p = ‖a − p‖ and d_n = ‖a − n‖, or their squares.
    The gradient of a distance of 0 is set to 0.

    Examples
    --------
    >>> import numpy as np
    >>> a, p, n = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 5.5]])
    >>> float(triplet(a, p, n))
    0.5
    """
    name = "triplet"
    given = {"anchor": (anchor, "N d"), "positive": (positive, "N d"), "negative": (negative, "N d")}
    anchor, positive, negative = floats(name, **given)
    margin = between(name, "margin", margin, 0.0)
    d_p, d_n = _distance(anchor - positive, squared), _distance(anchor - negative, squared)
    return reduce_loss(relu(d_p - d_n + margin), reduction, name=name)


def _distance(difference, squared):
    return sum(difference * difference, axis=-1) if squared else norm(difference, axis=-1)


def mined_triplet(z, labels, margin=1.0, mining="all", squared=False, reduction="mean"):
    """Triplet loss over triplets that are found in a labelled batch.

    Parameters
    ----------
    z : Tensor or array, shape (n, d)
        Not normalised.
    labels : integer array, shape (n,)
        A positive of an anchor has its label, a negative another.
    margin : float, not negative
    mining : {"all", "semi_hard", "batch_hard"}
        "all": every triplet (anchor, positive, negative).
        "semi_hard": for each pair (anchor, positive) the closest negative that is further away than the positive
        (Schroff et al. 2015, arXiv:1503.03832). A pair without such a negative is left out.
        "batch_hard": for each anchor its furthest positive and its closest negative (Hermans et al. 2017,
        arXiv:1703.07737). An anchor without positive or negative is left out.
    squared : bool
        Compare squared distances.
    reduction : {"mean", "sum", "none"}
        The mean is over what is not left out (0 if nothing remains). "none" gives a loss for each triplet, pair or anchor,
        in the order of the rows; 0 for what is left out.

    Returns
    -------
    Tensor or array, shape () or (number of triplets, pairs or anchors,)

    Raises
    ------
    TypeError
        If z holds no floats or labels no integers, or they are on different devices.
    ValueError
        If shapes do not fit, n is 0, a value is NaN or infinite, the mining is unknown, or the labels make no triplet.

    Notes
    -----
    ℓ = max(0, d(a, p) − d(a, n) + m). Which negative is taken is no function with a derivative; it is held fixed.
    Where several are equally hard, they share the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> z, labels = np.array([[0.0], [1.0], [1.5], [9.0]]), np.array([0, 0, 1, 1])
    >>> mined_triplet(z, labels, mining="batch_hard", reduction="none")
    array([0.5, 1.5, 8. , 0.5])
    """
    name = "mined_triplet"
    one_of(name, "mining", mining, ("all", "semi_hard", "batch_hard"))
    margin = between(name, "margin", margin, 0.0)
    (z,) = floats(name, z=(z, "n d"))
    labels = integers(name, "labels", labels, (len(z),), z)
    same = labels[:, None] == labels
    positive, negative = same & ~namespace(labels).eye(len(z), dtype=bool), ~same
    usable = positive.any(axis=1) & negative.any(axis=1)  # the anchors with both
    if not bool(usable.any()):
        raise ValueError(
            f"{name}: z of shape {tuple(z.shape)}: no anchor has both a positive and a negative; give labels in which a "
            "class has two rows and there is another class."
        )
    d = pairwise_distances(z, squared=squared)

    if mining == "batch_hard":
        furthest = max(where(positive, d, -math.inf), axis=1)
        closest = min(where(negative, d, math.inf), axis=1)
        return reduce_loss(relu(furthest - closest + margin), reduction, usable.astype(d.dtype), name)

    d_p, d_n = expand_dims(d, 2), expand_dims(d, 1)  # [a, p, n]
    if mining == "all":
        triplets = positive[:, :, None] & negative[:, None, :]
        return reduce_loss(relu((d_p - d_n + margin)[triplets]), reduction, name=name)

    semi_hard = negative[:, None, :] & (_raw(d_n) > _raw(d_p))
    closest = min(where(semi_hard, d_n, math.inf), axis=2)
    pairs = positive & negative.any(axis=1)[:, None]
    found = semi_hard.any(axis=2)[pairs].astype(d.dtype)
    values = relu((d - closest + margin)[pairs])
    if reduction == "mean" and not bool(found.any()):
        return sum(values)  # 0
    return reduce_loss(values, reduction, found, name)
