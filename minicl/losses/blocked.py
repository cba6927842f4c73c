"""log Σ exp of many scores, in blocks: the scores are made a block at a time, used and forgotten, so that memory grows with
the number of rows and not with its square.

It is the costly part of every loss with candidates, NT-Xent among them. `lse_by_definition` is what is computed;
`lse_in_blocks` computes it, and a test holds the two together.
"""

import math

import numpy as np

from ..arrays import is_array, namespace
from ..buffers import empty
from ..engine import Saved, Tensor, astype, primitive
from ..ops import PRIMITIVES, _raw, logsumexp, where
from ..threads import in_parallel, one_blas_thread

METHODS = ("auto", "composed", "blocked")
BLOCK = 512  # rows and columns of a block on the CPU: with what is made of it, it stays in the cache
ON_GPU = 4096
KEEP = 2**28  # bytes of blocks that may be kept for the way back; above that they are made again
PARTS = 8  # the work is cut into so many parts, whatever the number of threads, so that sums have one order


def lse_by_definition(a, b, temperature, group_a, group_b, same=False):
    """log Σ_k exp(aᵢ·b_k/τ) over the candidates k of another group than i: all scores at once.

    Parameters
    ----------
    a : Tensor or array, shape (n, d)
    b : Tensor or array, shape (m, d), or None
        The candidates; None for `a` itself.
    temperature : float, or Tensor or array of shape ()
        τ.
    group_a, group_b : integer array, shape (n,) and (m,)
        Rows of one group are no candidates of each other.
    same : bool
        The other way round: only rows of one group are candidates of each other, and none of itself (b is None).

    Returns
    -------
    Tensor or array, shape (n,)
        −∞ where there is no candidate.

    Examples
    --------
    >>> x = np.ones((4, 1))
    >>> np.exp(lse_by_definition(x, None, 1.0, np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1])) - 1).round(12)
    array([1., 1., 1., 3.])
    """
    scores = a @ (a if b is None else b).T / temperature
    hidden = group_a[:, None] == group_b
    if same:
        hidden = ~hidden | namespace(hidden).eye(len(hidden), dtype=bool)
    return logsumexp(where(hidden, -math.inf, scores), axis=1)


def lse_of_others(name, method, a, b, temperature, group_a, group_b, same=False):
    """`lse_by_definition`, in blocks unless the method is "composed" or the numbers are no float32 or float64."""
    arrays = [_raw(x) for x in (a, b, temperature) if is_array(_raw(x))]
    others = [x.dtype for x in arrays if x.dtype not in ("float32", "float64")]
    if method == "blocked" and others:
        raise TypeError(
            f'{name}: method="blocked" computes with float32 and float64, not {others[0]}; leave out method, or give '
            "z.astype(np.float32)."
        )
    if method == "composed" or others:
        return lse_by_definition(a, b, temperature, group_a, group_b, same)
    if b is not None and a.dtype != b.dtype:
        a, b = astype(a, dtype=np.float64), astype(b, dtype=np.float64)
    keep = any(isinstance(x, Tensor) for x in (a, b, temperature))  # without a Tensor there is no way back
    return lse_in_blocks(a, b, temperature, group_a=group_a, group_b=group_b, same=same, keep=keep)


@primitive(fix="a has shape (n, d), b (m, d), and there is a group for each row.")
def lse_in_blocks(xp, a, b, temperature, group_a=None, group_b=None, same=False, keep=True):
    """Lᵢ = log Σ_k e^{s_ik},  s_ik = aᵢ·b_k / τ            Ā = P B / τ,  B̄ = Pᵀ A / τ,  P_ik = L̄ᵢ e^{s_ik − Lᵢ}"""
    if (len(group_a), len(group_b)) != (len(a), len(a if b is None else b)):
        raise ValueError(f"there are {len(group_a)} and {len(group_b)} groups")
    scores = _Scores(xp, a, b, temperature, group_a, group_b, same)
    scores.offset = None if scores.safe else _largest(scores)
    sums, kept = _sums(scores, keep=keep and scores.safe and scores.bytes <= KEEP)
    with np.errstate(divide="ignore"):
        y = xp.log(sums)  # −∞ where there is no candidate
    return Saved(y if scores.offset is None else y + scores.offset, (scores, sums, kept))


def _vjp(g, y, saved, needed, a, b, temperature, **params):
    """P_ik = wᵢ e^{s_ik − offset} with wᵢ = L̄ᵢ / Σ_k e^{s_ik − offset}. Where A = B, both gradients go to A: (P + Pᵀ) A."""
    scores, sums, kept = saved
    xp = scores.xp
    unit = xp.abs(g).max()  # the sums may be near the ends of the range of numbers, so L̄ must not be
    unit = xp.where(unit > 0, unit, 1).astype(a.dtype)
    weights = xp.where(sums > 0, g / unit / xp.where(sums > 0, sums, 1), 0)
    ga, gb = _weighted(scores, kept, weights.astype(a.dtype), needed[1])
    ga *= unit / temperature
    if gb is not None:
        gb *= unit / temperature
    # Σ P_ik s_ik = Σ aᵢ·āᵢ; where A = B each score is in the gradients of two rows.
    gt = -(a * ga).sum() / temperature / (2 if b is None else 1) if needed[2] else None
    return ga, gb, gt


lse_in_blocks.defvjp_joint(_vjp, composed=lambda *args, keep, **params: lse_by_definition(*args, **params))
PRIMITIVES["lse_in_blocks"] = lse_in_blocks


class _Scores:
    """The scores s_ik, of which one block at a time is in memory.

    Where A = B they are symmetric. Then only the blocks on and above the diagonal are made, and each serves its rows and,
    read across, its columns.
    """

    def __init__(self, xp, a, b, temperature, group_a, group_b, same):
        self.symmetric, self.same, self.xp = b is None, same, xp
        self.a, self.b = a, a if b is None else b
        self.scaled = a / temperature
        self.groups = [xp.asarray(group) for group in (group_a, group_b)]
        self.size = BLOCK if xp is np else ON_GPU
        rows, columns = _slices(xp, group_a, self.size), _slices(xp, group_b, self.size)
        blocks = [
            (r, c, low <= high_c and low_c <= high)  # may the block hold pairs of one group?
            for k, (r, low, high) in enumerate(rows)
            for c, low_c, high_c in (columns[k:] if self.symmetric else columns)
        ]
        self.blocks = [block for block in blocks if block[2]] if same else blocks
        self.bytes = len(self.blocks) * self.size**2 * a.dtype.itemsize
        # Exponentials of numbers within ± a bound neither overflow nor vanish, so nothing need be subtracted from them.
        longest = [float(xp.einsum("ij,ij->i", x, x).max()) for x in ((a,) if self.symmetric else (a, b))]
        bound = math.sqrt(longest[0] * longest[-1]) / float(temperature)
        self.safe = bound < 0.8 * math.log(float(np.finfo(a.dtype).max))

    def block(self, k, out):
        """The scores of block k, −∞ for rows of one group."""
        r, c, may_share = self.blocks[k]
        scores = self.xp.matmul(self.scaled[r], self.b[c].T, out=out[: r.stop - r.start, : c.stop - c.start])
        if may_share:
            one_group = self.groups[0][r][:, None] == self.groups[1][c]
            self.xp.putmask(scores, ~one_group if self.same else one_group, -math.inf)
            if self.same and r == c:
                self.xp.fill_diagonal(scores, -math.inf)
        return scores

    def exponentials(self, k, out):
        """e^{s − offset} of a block, with the offsets of its rows and of its columns: one array, if there are none."""
        scores, exp = self.block(k, out), self.xp.exp
        if self.offset is None:
            exp(scores, out=scores)
            return scores, scores
        r, c, _ = self.blocks[k]
        across = exp(scores - self.offset[c]) if self.symmetric and r != c else None
        return exp(scores - self.offset[r][:, None]), across

    def rooms(self, count):
        """Room for so many blocks."""
        shape = count, min(self.size, len(self.a)), min(self.size, len(self.b))
        return empty(shape, self.a.dtype, self.xp)

    def in_parts(self, work):
        """work(numbers of blocks) for each part of the blocks, in parallel on the CPU."""
        parts = [range(k, len(self.blocks), PARTS) for k in range(min(PARTS, len(self.blocks)))]
        if self.xp is not np:
            return [work(part) for part in parts]
        with one_blas_thread:  # where there is one part too, so that its bits are the same for any number of threads
            return in_parallel(work, parts)


def _slices(xp, group, size):
    """The rows of each block, with the smallest and the largest group among them."""
    parts = [slice(start, min(start + size, len(group))) for start in range(0, len(group), size)]
    return [(part, int(group[part].min()), int(group[part].max())) for part in parts]


def _largest(scores):
    """The largest score of each row: the offset, where exponentials could overflow."""
    xp = scores.xp

    def work(numbers):
        largest, room = xp.full(len(scores.a), -math.inf, dtype=scores.a.dtype), scores.rooms(1)[0]
        for k in numbers:
            r, c, _ = scores.blocks[k]
            block = scores.block(k, room)
            largest[r] = xp.maximum(largest[r], block.max(axis=1))
            if scores.symmetric and r != c:
                largest[c] = xp.maximum(largest[c], block.max(axis=0))
        return largest

    largest = xp.stack(scores.in_parts(work)).max(axis=0)
    return xp.where(largest == -math.inf, 0, largest)  # no candidate


def _sums(scores, keep):
    """Σ_k e^{s_ik − offset} of each row, and the blocks, if they shall be kept."""
    xp = scores.xp

    def work(numbers):
        sums, blocks = xp.zeros(len(scores.a), dtype=scores.a.dtype), {}
        rooms = scores.rooms(len(numbers) if keep else 1)
        ones = xp.ones(max(rooms.shape[1:]), dtype=rooms.dtype)
        for i, k in enumerate(numbers):
            r, c, _ = scores.blocks[k]
            e, across = scores.exponentials(k, rooms[i if keep else 0])
            sums[r] += e @ ones[: e.shape[1]]  # a product with ones is a sum, and fast
            if scores.symmetric and r != c:
                sums[c] += ones[: len(across)] @ across
            if keep:
                blocks[k] = e
        return sums, blocks

    found = scores.in_parts(work)
    return sum(sums for sums, _ in found), {k: e for _, blocks in found for k, e in blocks.items()}


def _weighted(scores, kept, w, for_b):
    """P B and, if it is wanted, Pᵀ A, with P_ik = wᵢ e^{s_ik − offset}; where A = B their sum, and None."""
    xp, a, b, symmetric = scores.xp, scores.a, scores.b, scores.symmetric

    def work(numbers):
        ga, (room, weights) = xp.zeros_like(a), scores.rooms(2)
        gb = ga if symmetric else xp.zeros_like(b) if for_b else None
        for k in numbers:
            r, c, _ = scores.blocks[k]
            e, across = (kept[k], kept[k]) if kept else scores.exponentials(k, room)
            p = weights[: e.shape[0], : e.shape[1]]
            if symmetric and r != c and e is across:
                xp.add(w[r][:, None], w[c], out=p)  # both directions of a pair at once
                p *= e
            else:
                xp.multiply(e, w[r][:, None], out=p)
                if symmetric and r != c:
                    p += across * w[c]
            ga[r] += p @ b[c]
            if gb is not None:
                gb[c] += p.T @ a[r]
        return ga, gb

    found = scores.in_parts(work)
    return sum(ga for ga, _ in found), sum(gb for _, gb in found) if for_b else None
