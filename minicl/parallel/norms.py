"""BatchNorm across workers: mean and variance are those of the whole batch, so that R workers normalise as one would.

Only the numbers of each channel travel, a few kilobytes. The way back needs two sums over the whole batch; the rest is
the kernel of one process.
"""

import numpy as np

from ..arrays import device_of, namespace, to_device, to_numpy
from ..engine import Tensor, primitive
from ..nn import norms
from ..ops import relu, sqrt, sum
from ..recompute import once
from .collectives import spread, total
from .workers import everybody


def sync_batch_norm(module, workers=None):
    """Make each BatchNorm within a module one whose statistics are over the batch of all workers. Returns the module.

    Parameters, buffers and their names stay as they are.

    Parameters
    ----------
    module : Module
    workers : Workers, optional
        Where there is one alone, nothing changes.

    Returns
    -------
    Module

    Notes
    -----
    In the way back X̄ = w/√(σ² + eps) (Ȳ − mean Ȳ − X̂ mean(Ȳ X̂)), both means over the rows of all workers. The gradients of
    weight and bias are this worker's share: add them up with `sum_gradients`, as those of all parameters.

    Examples
    --------
    >>> import minicl as mc
    >>> from minicl.parallel import simulate
    >>> x = np.arange(6.0)[:, None]
    >>> def work(workers):
    ...     layer = sync_batch_norm(mc.nn.BatchNorm1d(1, eps=0, dtype=float), workers)
    ...     return layer(x[workers.share_of(6)]).numpy()
    >>> y = np.concatenate(simulate(2, work))
    >>> bool(np.allclose(y, (x - x.mean()) / x.std()))
    True
    """
    workers = workers or everybody()
    for _, m in module.named_modules() if workers.size > 1 else []:
        if type(m) in _ACROSS:
            m.__class__, m.workers = _ACROSS[type(m)], workers
    return module


class _SyncBatchNorm:
    def _in_training(self, x, weight, bias, rectify):
        raw = x.data if isinstance(x, Tensor) else x
        count, *moments = _moments_of_all(namespace(raw), raw, self.workers)
        once(lambda: self._note(*moments, count))
        params = {"eps": self.eps, "moments": moments, "rectify": rectify, "count": count, "workers": self.workers}
        return _sync_batch_norm(x, weight, bias, **params)


class SyncBatchNorm1d(_SyncBatchNorm, norms.BatchNorm1d):
    """`BatchNorm1d` over the batch of all workers; `sync_batch_norm` makes it."""


class SyncBatchNorm2d(_SyncBatchNorm, norms.BatchNorm2d):
    """`BatchNorm2d` over the batch of all workers; `sync_batch_norm` makes it."""


_ACROSS = {norms.BatchNorm1d: SyncBatchNorm1d, norms.BatchNorm2d: SyncBatchNorm2d}


def _moments_of_all(xp, x, workers):
    """How many rows there are on all workers, and the mean and the variance of each column of them, in float64."""
    mu, variance = norms._moments(xp, x)
    own = xp.concatenate([xp.full_like(mu[:1], len(x)), mu, variance])
    everyone = workers.gather(own[None])
    n, mus, variances = everyone[:, :1], everyone[:, 1 : 1 + len(mu)], everyone[:, 1 + len(mu) :]
    share = n / n.sum()
    mu = (share * mus).sum(axis=0)
    return int(n.sum()), mu, (share * (variances + (mus - mu) ** 2)).sum(axis=0)


def sync_batch_norm_by_definition(x, weight, bias, eps, moments, rectify, count, workers):
    """Columns of X (M, C), of which each worker holds some rows, with mean 0 and variance 1 over all of them."""

    def mean(a):
        return spread(total(sum(a, axis=0), workers=workers), workers=workers) / count

    deviation = x - mean(x)
    y = deviation / sqrt(mean(deviation * deviation) + eps) * weight + bias
    return relu(y) if rectify else y


@primitive
def _sync_batch_norm(xp, x, weight, bias, eps=1e-5, moments=None, rectify=False, count=0, workers=None):
    """Y = W X̂ + B with the mean and the variance of all workers            X̄ as in BatchNorm, with sums over all workers"""
    return norms._batch_norm.forward(xp, x, weight, bias, eps, moments, rectify)


def _vjp(g, y, saved, needed, x, weight, bias, eps, moments, rectify, count, workers):
    def means(*sums):
        return workers.sum(namespace(x).stack(sums)) / count

    return norms._batch_norm_vjp(g, y, saved, needed, x, weight, bias, eps, moments, rectify, means)


_sync_batch_norm.__name__ = "sync_batch_norm"
_sync_batch_norm.defvjp_joint(_vjp, composed=sync_batch_norm_by_definition)


def defer_statistics(module, workers):
    """Where each worker encodes some groups of a batch apart, running statistics must be those of all groups in their order.

    BatchNorms within the module note what they saw. Returns a function that hands the notes around and has each worker
    update by all of them; without another worker they update as usual, and the function does nothing.
    """
    held = []
    for _, m in module.named_modules() if workers.size > 1 else []:
        if isinstance(m, norms._BatchNorm):
            held.append((m, []))
            m._note = lambda mu, variance, rows, notes=held[-1][1]: notes.append([mu, variance, rows])

    def settle():
        for m, notes in held:
            own = [np.concatenate([[rows], to_numpy(mu), to_numpy(variance)]) for mu, variance, rows in notes]
            for rows, *values in workers.gather(np.reshape(own, (len(own), 1 + 2 * m.channels))):
                mu, variance = to_device(np.array(values).reshape((2, -1)), device_of(m.running_mean))
                type(m)._note(m, mu, variance, int(rows))
            notes.clear()

    return settle
