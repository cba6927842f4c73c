"""Where the right one stands among all candidates: a number that, unlike the loss, does not depend on τ."""

import numpy as np

from ..arrays import namespace


def places(positives, negatives):
    """The place of the first positive of each anchor, when all candidates are sorted by similarity: 1 is the first.

    Parameters
    ----------
    positives : array, shape (n, p)
        Similarities; −inf for what is no positive of this anchor.
    negatives : array, shape (n, m)
        Likewise.

    Returns
    -------
    mean_rank : float
        Over the anchors that have a positive. Candidates that are equally similar share their places, as if their order
        were drawn.
    top1 : float
        The share of anchors whose first candidate is a positive (shared first places count in part).

    Raises
    ------
    ValueError
        If no anchor has a positive.

    Notes
    -----
    With p positives that share the first place among positives, and e negatives as similar as these, e / (p + 1)
    negatives stand before the first positive in the mean. With one positive this is `mc.evaluate.positive_rank`.

    Examples
    --------
    >>> places(np.array([[0.9, 0.1]]), np.array([[0.95, 0.5, 0.2]]))
    (2.0, 0.0)
    >>> places(np.ones((1, 1)), np.ones((1, 4)))
    (3.0, 0.2)
    """
    xp = namespace(positives, negatives, op="places")
    slack = 8 * float(np.finfo(positives.dtype).eps)  # equal vectors may give products that differ in the last digits
    best = positives.max(axis=1, keepdims=True)
    has_positive = best[:, 0] > -np.inf
    count = int(has_positive.sum())
    if not count:
        raise ValueError("places: no anchor has a positive.")
    better = (negatives > best + slack).sum(axis=1)
    equal = (negatives >= best - slack).sum(axis=1) - better
    share = (positives >= best - slack).sum(axis=1)
    rank = 1 + better + equal / (share + 1)
    first = (better == 0) * (share / (share + equal))
    return tuple(float(xp.where(has_positive, x, 0).sum()) / count for x in (rank, first))
