"""Operations across workers that have a gradient. Two pairs, each the other's vjp: all_gather and reduce_scatter for rows that
are spread over the workers; total and spread for one value that all of them hold.

What is an adjoint, where there are R processes? The inner product of rows that are spread over the workers is the sum over all
workers. A value of which each worker holds a copy counts once. A loss is such a value: so its gradient is exact as it
stands, and there is nothing to divide by R.
"""

from ..arrays import namespace
from ..engine import primitive
from .workers import everybody


@primitive(fix="x has shape (rows, ...), and only the number of rows may differ between workers.")
def all_gather(xp, x, workers=None):
    """Y = the rows of all workers, in order of rank            X̄ = reduce_scatter(Ȳ): the sum of what all want of X"""
    workers = workers or everybody()
    workers.counts("all_gather", x)
    return workers.gather(x)


@primitive(fix="x has the same shape on all workers, and their numbers of rows add up to its length.")
def reduce_scatter(xp, x, rows=None, workers=None):
    """Y = this worker's rows of Σ_r X_r; worker r asks for so many rows            X̄ = all_gather(Ȳ)"""
    workers = workers or everybody()
    counts = [int(n) for n in workers.gather(namespace(x).asarray([len(x) // workers.size if rows is None else rows]))]
    if sum(counts) != len(x):
        raise ValueError(f"the workers ask for {counts} rows of {len(x)}")
    return workers.sum_rows(x, counts)


all_gather.defvjp(lambda g, y, x, workers: reduce_scatter(g, rows=len(x), workers=workers))
reduce_scatter.defvjp(lambda g, y, x, rows, workers: all_gather(g, workers=workers))


@primitive
def total(xp, x, workers=None):
    """Y = Σ_r X_r, one value that all workers hold            X̄ = Ȳ: a loss that all hold is still one loss"""
    return (workers or everybody()).sum(xp.asarray(x))


@primitive
def spread(xp, x, workers=None):
    """Y = X, a value that all hold, which each uses in its own way            X̄ = Σ_r Ȳ_r: all uses count"""
    return x


total.defvjp(lambda g, y, x, workers: spread(g, workers=workers))
spread.defvjp(lambda g, y, x, workers: total(g, workers=workers))

BUCKET = 2**22  # bytes: large enough that the start of a message does not count, small enough to need little memory


def sum_gradients(gradients, workers=None, bucket=BUCKET):
    """Σ_r of each gradient, in buckets: many small arrays are sent as one.

    Parameters: which all workers hold, and each worker's share of a loss has its own gradient with respect to them. The
    sum is the gradient of the whole loss. It is made after the walk back, since parameters are the oldest Tensors, so
    the walk completes them last.

    Parameters
    ----------
    gradients : list of arrays
        As `mc.grad(loss, parameters)` gives them.
    workers : Workers, optional
    bucket : int
        Bytes sent at a time, unless one array is larger.

    Returns
    -------
    list of arrays
        The same bits on all workers.

    Examples
    --------
    >>> import numpy as np
    >>> from minicl.parallel import simulate
    >>> simulate(2, lambda workers: sum_gradients([np.ones(2), np.ones(1)], workers))[0]
    [array([2., 2.]), array([2.])]
    """
    workers = workers or everybody()
    if workers.size == 1:
        return list(gradients)
    sums = []
    for group in _buckets(gradients, bucket):
        xp = namespace(*group)
        flat = workers.sum(xp.concatenate([g.reshape(-1) for g in group]))
        start = 0
        for g in group:
            sums.append(flat[start : start + g.size].reshape(g.shape))
            start += g.size
    return sums


def _buckets(arrays, size):
    """Neighbours of one dtype, as many as fit."""
    group, filled = [], 0
    for a in arrays:
        if group and (filled + a.nbytes > size or a.dtype != group[0].dtype):
            yield group
            group, filled = [], 0
        group.append(a)
        filled += a.nbytes
    if group:
        yield group
