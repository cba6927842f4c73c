"""NT-Xent over the embeddings of all workers. They travel in a ring: each worker compares its rows with those that visit it,
and hands them on, so that nobody ever holds all embeddings or all scores.

On the way back they travel once more, each with what its own loss asks for. Then each worker finds the gradient of its
own rows by itself: both for its anchors, and for its rows where they are candidates of others.
"""

import math

import numpy as np

from .. import losses
from ..arrays import namespace
from ..engine import Saved, primitive
from ..evaluate.inputs import pair_of
from ..functional import concatenate, normalize
from ..losses.blocked import BLOCK, ON_GPU, lse_by_definition, lse_of_others
from ..losses.inputs import positive_temperature, two_views
from ..ops import _raw, softplus, sum
from ..threads import in_parallel
from .collectives import all_gather, total
from .workers import everybody


def nt_xent(z1, z2, temperature=0.5, workers=None):
    """NT-Xent of the whole batch, of which each worker holds a shard.

    Parameters
    ----------
    z1, z2 : Tensor or array, shape (n, d)
        Embeddings of the first and the second view of this worker's n images. n may differ between workers.
    temperature : float or Tensor of shape (), positive
        τ, the same on all workers.
    workers : Workers, optional
        By default all that mpiexec started.

    Returns
    -------
    Tensor or array, shape ()
        The same on all workers.

    Raises
    ------
    Refused
        If the length of the embeddings, their dtype or the temperature differs between workers; on all of them.
    TypeError, ValueError
        As `mc.losses.nt_xent`.

    Notes
    -----
    L = (1/2N) Σ ℓᵢ over the 2N anchors of all workers, ℓᵢ as in `mc.losses.nt_xent`.

    `mc.grad(L, z1)` is ∂L/∂z1 for the rows of this worker. Add up the gradients of parameters that all workers share
    (`sum_gradients`), and do not divide by R: the mean over the batch is in L already.

    A worker needs memory for its own rows, for those of a visitor, and for some blocks of scores: O(N d / R + block²).

    Examples
    --------
    Three workers with 3, 2 and 2 of 7 images find what one process finds:

    >>> import minicl as mc
    >>> from minicl.parallel import simulate
    >>> z1, z2 = np.random.default_rng(0).standard_normal((2, 7, 4))
    >>> def work(workers):
    ...     rows = workers.share_of(7)
    ...     own = mc.tensor(z1[rows])
    ...     loss = nt_xent(own, z2[rows], 0.5, workers)
    ...     return float(loss), mc.grad(loss, own)
    >>> results = simulate(3, work)
    >>> z = mc.tensor(z1)
    >>> loss = mc.nt_xent(z, z2, 0.5)
    >>> np.allclose([value for value, _ in results], float(loss), rtol=1e-14)
    True
    >>> np.allclose(np.concatenate([g for _, g in results]), mc.grad(loss, z), rtol=1e-12)
    True
    """
    name, workers = "parallel.nt_xent", workers or everybody()
    if workers.size == 1:
        return losses.nt_xent(z1, z2, temperature)
    z = two_views(name, z1, z2, "stacked")
    temperature = positive_temperature(name, temperature, like=z)
    counts = workers.counts(name, _raw(z), _raw(temperature))
    u, n = normalize(z), len(z) // 2
    own = sum(u[:n] * u[n:], axis=1)
    partner = concatenate([own, own]) / temperature
    others = lse_in_ring(u, temperature, counts=tuple(counts), workers=workers)
    share = sum(softplus(others - partner)) / int(np.sum(counts))  # of the mean over all 2N anchors
    return total(share, workers=workers)


@primitive
def lse_in_ring(xp, u, temperature, counts=(), workers=None):
    """Lᵢ = log Σ_k e^{s_ik}, s_ik = uᵢ·u_k/τ, over rows k of another image    Ū = (P + Pᵀ) U/τ, P_ik = L̄ᵢ e^{s_ik − Lᵢ}

    U are this worker's rows, its first views above its second ones; k runs over all workers, and worker r has counts[r].
    """
    images, y = _images(xp, counts), None
    for owner, visitor in _visitors(workers, u, counts):
        itself = owner == workers.rank
        groups = images[workers.rank], images[owner]
        found = lse_of_others("parallel.nt_xent", "auto", u, None if itself else visitor, temperature, *groups)
        y = found if y is None else xp.logaddexp(y, found)
    return Saved(y, images[workers.rank])


def lse_by_gathering(u, temperature, counts, workers):
    """The same, as a definition: each worker holds all rows, and all scores of its own ones."""
    images = _images(namespace(_raw(u)), counts)
    everyone = all_gather(u, workers=workers)
    everywhere = namespace(_raw(u)).concatenate(images)
    return lse_by_definition(u, everyone, temperature, images[workers.rank], everywhere)


def _vjp(g, y, image, needed, u, temperature, counts, workers):
    """A visitor brings its L and L̄, so that its P_ki can be made here too, and nothing need be sent back."""
    xp = namespace(u)
    y = xp.where(xp.isinf(y), 0, y)  # no candidate, so no score that would be compared with it
    packed = xp.concatenate([u, y[:, None], g[:, None]], axis=1)
    gu = xp.zeros_like(u)
    for owner, visitor in _visitors(workers, packed, counts):
        gu += _pull(xp, packed, visitor, temperature, image if owner == workers.rank else None)
    gu /= temperature
    # Each score is in the gradients of two rows, here or on another worker: over all workers Σ P_ik s_ik = Σ uᵢ·ūᵢ / 2.
    return gu, -(u * gu).sum() / (2 * temperature) if needed[1] else None


lse_in_ring.defvjp_joint(_vjp, composed=lse_by_gathering)


def _images(xp, counts):
    """Which image each row shows, for each worker: half of its rows are first views, half second ones of the same."""
    firsts = np.cumsum([0, *counts]) // 2
    return [xp.concatenate([xp.arange(a, b)] * 2) for a, b in zip(firsts, firsts[1:])]


def _visitors(workers, mine, counts):
    """Pairs (worker, its rows): this one, then all others in turn. The next is on its way while one is used."""
    owners = [(workers.rank - step) % workers.size for step in range(workers.size)]
    visitor = mine
    for owner, following in zip(owners, [*owners[1:], None]):
        arrived = None if following is None else workers.pass_on(visitor, counts[following])
        yield owner, visitor
        if arrived:
            visitor = arrived()


def _pull(xp, packed, visitor, temperature, image):
    """Σ_k (P_ik + P_ki) v_k of each row i, a block of scores at a time; `image` where the visitor is the worker itself."""
    (u, level, g), (v, its_level, its_g) = ((x[:, :-2], x[:, -2], x[:, -1]) for x in (packed, visitor))
    scaled, v = u / temperature, xp.ascontiguousarray(v)
    size = BLOCK if xp is np else ON_GPU
    # One exponential serves both directions, e^{s − L} = e^s e^{−L}, where neither factor can overflow or vanish.
    safe = 1 / float(temperature) < 0.3 * math.log(float(np.finfo(u.dtype).max))
    if safe:
        w, its_w = g * xp.exp(-level), its_g * xp.exp(-its_level)

    def work(rows):
        pulled = xp.zeros_like(u[rows])
        for start in range(0, len(v), size):
            k = slice(start, start + size)
            p = scaled[rows] @ v[k].T
            if image is not None:
                p[image[rows][:, None] == image[k]] = -math.inf
            if safe:
                xp.exp(p, out=p)
                p *= w[rows][:, None] + its_w[k]
            else:
                p = xp.exp(p - level[rows][:, None]) * g[rows][:, None] + xp.exp(p - its_level[k]) * its_g[k]
            pulled += p @ v[k]
        return pulled

    blocks = [slice(start, start + size) for start in range(0, len(u), size)]
    return xp.concatenate(in_parallel(work, blocks) if xp is np else [work(rows) for rows in blocks])


def partner_rank(z1, z2, workers):
    """`mc.evaluate.positive_rank` of the whole batch, of which each worker holds a shard: mean rank and share of firsts."""
    u1, u2 = pair_of(z1, z2, "parallel.partner_rank")
    xp, n = namespace(u1, u2), len(u1)
    u = xp.concatenate([u1, u2])
    slack = 8 * float(np.finfo(u.dtype).eps)  # equal vectors may give products that differ in the last digits
    partner = xp.tile((u1 * u2).sum(axis=1), 2)[:, None]
    better, equal = xp.zeros(2 * n, dtype=int), xp.zeros(2 * n, dtype=int)
    image = xp.arange(2 * n) % n
    for owner, visitor in _visitors(workers, u, workers.counts("parallel.partner_rank", u)):
        for start in range(0, len(visitor), ON_GPU):
            k = slice(start, start + ON_GPU)
            scores = u @ visitor[k].T
            if owner == workers.rank:
                scores[image[:, None] == image[k]] = -np.inf  # itself and the partner
            above = (scores > partner + slack).sum(axis=1)
            better += above
            equal += (scores >= partner - slack).sum(axis=1) - above
    own = xp.stack([1 + better + equal / 2, (better == 0) / (equal + 1), xp.ones(2 * n)]).sum(axis=1)
    rank, first, count = (float(x) for x in workers.sum(own))
    return rank / count, first / count
