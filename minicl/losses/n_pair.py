"""N-pair loss: one anchor and one positive from each of N classes; the positives of the others are the negatives.

It is InfoNCE before its name: inner products in place of cosines, so lengths matter, and a penalty holds them back.
"""

from ..arrays import namespace
from ..ops import _raw, sum
from .candidates import find_right
from .classification import reduce_loss
from .inputs import between, floats


def n_pair(anchors, positives, l2=0.0, reduction="mean"):
    """Multi-class N-pair loss (Sohn 2016).

    Parameters
    ----------
    anchors, positives : Tensor or array, shape (N, d)
        Row i of both is of class i; each class occurs once. They are not normalised.
    l2 : float, not negative
        Weight of the penalty on lengths.
    reduction : {"mean", "sum", "none"}
        "none" gives N losses, each with its penalty.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N is 0, a value is NaN or infinite, or l2 is negative.

    Notes
    -----
    ℓᵢ = log(1 + Σ_{k≠i} exp(aᵢ·p_k − aᵢ·pᵢ)) + l2 (‖aᵢ‖² + ‖pᵢ‖²)/2.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(n_pair(np.ones((4, 2)), np.ones((4, 2))), np.log(4)))
    True
    """
    name = "n_pair"
    a, p = floats(name, anchors=(anchors, "N d"), positives=(positives, "N d"))
    l2 = between(name, "l2", l2, 0.0)
    losses = find_right(a @ p.T, namespace(_raw(a)).arange(len(a)))
    if l2:
        losses = losses + l2 * (0.5 * sum(a * a + p * p, axis=1))
    return reduce_loss(losses, reduction, name=name)
