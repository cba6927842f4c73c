"""Drawing from a given distribution in constant time: Walker's alias table.

Cut the total into n boxes of equal size, each holding at most two outcomes. A draw picks a box, and then one of its two.
"""

import numpy as np


class AliasTable:
    """Draws whole numbers 0 … n − 1 with given probabilities, each draw at the same cost whatever n is.

    Parameters
    ----------
    weights : array, shape (n,)
        Not negative, and not all 0. They are divided by their sum.

    Attributes
    ----------
    probabilities : array, shape (n,)
    share : array, shape (n,)
        How much of box i belongs to outcome i itself.
    other : integer array, shape (n,)
        To whom the rest of box i belongs.

    Raises
    ------
    ValueError
        If the weights are no list of finite numbers that are not negative, or are all 0.

    Notes
    -----
    An outcome with more than its box gives away the rest, to a box that is not full (Vose 1991). So

    p_i = (share_i + Σ_j [other_j = i] (1 − share_j)) / n,

    and a draw takes a box j with equal chances, then j itself with probability share_j, and other_j otherwise
    (Walker 1977).

    Examples
    --------
    >>> table = AliasTable([1, 3])
    >>> table.share, table.other
    (array([0.5, 1. ]), array([1, 1]))
    >>> np.bincount(table.draw(10_000, np.random.default_rng(0)))
    array([2465, 7535])
    """

    def __init__(self, weights):
        weights = np.asarray(weights)
        if weights.ndim != 1 or not weights.size or weights.dtype.kind not in "iuf":
            raise ValueError(
                f"AliasTable: weights are a list of numbers, got {weights.dtype} of shape {weights.shape}."
            )
        if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError("AliasTable: weights must be finite and not negative, and one of them above 0.")
        weights = weights.astype(np.float64)  # of float16 even the sum of shares overflows, or loses most of them
        scaled = weights / weights.max()  # whole numbers may be so large that their sum overflows
        self.probabilities = scaled / scaled.sum()
        self.share, self.other = _fill(self.probabilities * len(weights))

    def __len__(self):
        return len(self.share)

    def draw(self, shape, rng):
        """Independent draws.

        Parameters
        ----------
        shape : int or tuple
        rng : NumPy Generator

        Returns
        -------
        integer array of that shape
        """
        box = rng.integers(len(self), size=shape)
        return np.where(rng.random(shape) < self.share[box], box, self.other[box])


def _fill(heights):
    """What is in each box: the share of its own outcome, and the number of the other one."""
    n = len(heights)
    share, other = heights.copy(), np.arange(n)
    small = [i for i in range(n) if share[i] < 1]
    large = [i for i in range(n) if share[i] >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        share[high] -= 1 - share[low]
        if share[high] < 1:
            small.append(large.pop())
    share[small + large] = 1  # what rounding left over
    return share, other
