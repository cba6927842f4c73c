"""The first contrastive loss: pull similar pairs together, push other pairs apart until they are a margin away.

It looks at one pair at a time and at absolute distances, so what it asks of a pair does not depend on any other.
"""

from ..functional import norm
from ..ops import relu, sum, where
from .classification import reduce_loss
from .inputs import between, booleans, floats


def contrastive(x1, x2, similar, margin=1.0, reduction="mean"):
    """Contrastive loss of pairs (Hadsell, Chopra and LeCun 2006).

    Parameters
    ----------
    x1, x2 : Tensor or array, shape (N, d)
        Row i of both is a pair. They are not normalised.
    similar : boolean array, shape (N,)
        Which pairs are similar. (The paper's Y is the opposite: 0 for similar. Pass `Y == 0`.)
    margin : float, not negative
        m, the distance from which on other pairs are left alone.
    reduction : {"mean", "sum", "none"}
        "none" gives N losses.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If x1 or x2 holds no floats, or similar no booleans, or inputs are on different devices.
    ValueError
        If shapes do not fit, N is 0, a value is NaN or infinite, or the margin is negative.

    Notes
    -----
    ℓ = ½ D² for a similar pair, ½ max(0, m − D)² for another, with D = ‖x₁ − x₂‖.
    For another pair with D = 0 no gradient exists; it is set to 0.

    Examples
    --------
    >>> import numpy as np
    >>> x1, x2 = np.zeros((3, 2)), np.array([[0.6, 0.8], [0.3, 0.4], [3.0, 4.0]])
    >>> contrastive(x1, x2, [True, False, False], reduction="none")
    array([0.5  , 0.125, 0.   ])
    """
    x1, x2 = floats("contrastive", x1=(x1, "N d"), x2=(x2, "N d"))
    similar = booleans("contrastive", "similar", similar, (len(x1),), x1, "True: the pair is similar; Hadsell's Y == 0")
    margin = between("contrastive", "margin", margin, 0.0)
    difference = x1 - x2
    pull = sum(difference * (0.5 * difference), axis=1)  # ½ D²
    gap = relu(margin - norm(difference, axis=1))
    push = 0.5 * gap * gap  # ½ max(0, m − D)²
    return reduce_loss(where(similar, pull, push), reduction, name="contrastive")
