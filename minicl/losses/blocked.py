"""NT-Xent in blocks: the (2N, 2N) scores are made a block at a time, used and forgotten, so memory grows with N, not N².

The scores are symmetric. So only the blocks on and above the diagonal are made, and each serves its rows and its columns.
The definition stands in `nt_xent.py`; a test holds the two together.
"""

import math

import numpy as np

from ..engine import Saved, primitive
from ..ops import PRIMITIVES
from ..threads import in_parallel
from .candidates import partners

BLOCK = 256  # rows and columns of a block on the CPU: with its gradient it stays in the cache
ON_GPU = 4096
KEEP = 2**28  # bytes of blocks that may be kept for the way back; above that they are made again
PARTS = 8  # the work is cut into so many parts, whatever the number of threads, so that sums have one order


@primitive(fix="u has shape (2N, d).")
def nt_xent_in_blocks(xp, u, temperature, layout="stacked"):
    """ℓᵢ = log(1 + Dᵢ / e^{s_ij/τ}),  Dᵢ = Σ_{k≠i,j} e^{s_ik/τ}            Ū = (W U − C U_partner) / τ, see the vjp"""
    scores = _Scores(xp, u, temperature, layout)
    if not scores.safe:
        scores.offset = _largest(scores)
    sums, kept = _sums(scores, keep=scores.safe and len(u) ** 2 // 2 * u.dtype.itemsize <= KEEP)
    with np.errstate(divide="ignore"):
        others = xp.log(sums)  # −inf where an anchor has no other candidate
    others = others if scores.offset is None else others + scores.offset
    return Saved(xp.logaddexp(xp.zeros_like(others), others - scores.partners), (scores, sums, kept))


def _vjp(g, losses, saved, needed, u, temperature, layout):
    """With aᵢ = ḡᵢ / (Dᵢ + e^{s_ij/τ}):  W_ik = e^{s_ik/τ} (aᵢ + a_k) for the others,  Cᵢ = aᵢ Dᵢ + a_j D_j for the partner.

    aᵢ Dᵢ = ḡᵢ (1 − P_ij) without the difference, so a tiny loss has all digits in its gradient too.
    """
    scores, sums, kept = saved
    xp, partner = scores.xp, scores.partner
    with np.errstate(over="ignore"):  # a partner that is so near that all others have weight 0
        right = xp.exp(scores.partners if scores.offset is None else scores.partners - scores.offset)
    a = g / (sums + right)
    share = a * sums
    gu = _weighted(scores, kept, a)
    gu -= (share + share[partner])[:, None] * u[partner]
    gu /= temperature
    # Each score s_ik/τ counts in the gradients of two rows, so ½ Σ uᵢ·ūᵢ is the sum over all of s_ik/τ and its gradient.
    return gu, xp.asarray(-0.5 * (u * gu).sum() / temperature) if needed[1] else None


nt_xent_in_blocks.defvjp_joint(_vjp)  # nt_xent.py adds the definition, from which all higher derivatives come
PRIMITIVES["nt_xent_in_blocks"] = nt_xent_in_blocks


class _Scores:
    """The scores s_ik/τ, of which one block at a time is in memory."""

    def __init__(self, xp, u, temperature, layout):
        n = len(u)
        size = BLOCK if xp is np else ON_GPU
        parts = [slice(start, min(start + size, n)) for start in range(0, n, size)]
        self.xp, self.u = xp, u
        self.scaled = u / temperature
        self.position = partners(np, n, layout)
        self.partner = xp.asarray(self.position)
        self.partners = (self.scaled * u[self.partner]).sum(axis=1)
        self.blocks = [(r, c) for k, r in enumerate(parts) for c in parts[k:]]
        # Exponentials of scores within ± a bound neither overflow nor vanish, so nothing need be subtracted from them.
        self.safe = float((self.scaled * u).sum(axis=1).max()) < 0.8 * math.log(float(np.finfo(u.dtype).max))
        self.offset = None

    def block(self, r, c, out):
        """The scores of rows r and columns c, −∞ where a view meets itself or its partner."""
        scores = self.xp.matmul(self.scaled[r], self.u[c].T, out=out[: r.stop - r.start, : c.stop - c.start])
        if r == c:
            self.xp.fill_diagonal(scores, -math.inf)
        there = self.position[r]
        rows = np.flatnonzero((c.start <= there) & (there < c.stop))
        if len(rows):
            scores[self.xp.asarray(rows), self.xp.asarray(there[rows] - c.start)] = -math.inf
        return scores

    def exponentials(self, r, c, out):
        """e^{s_ik/τ} of a block, for its rows and for its columns: the same array, unless each row has its offset."""
        scores, exp = self.block(r, c, out), self.xp.exp
        if self.offset is None:
            exp(scores, out=scores)
            return scores, scores
        return exp(scores - self.offset[r][:, None]), exp(scores - self.offset[c])

    def room(self):
        size = min(BLOCK if self.xp is np else ON_GPU, len(self.u))
        return self.xp.empty((size, size), dtype=self.u.dtype)

    def in_parts(self, work):
        """work(numbers of blocks) for each part of the blocks, in parallel on the CPU."""
        parts = [range(k, len(self.blocks), PARTS) for k in range(min(PARTS, len(self.blocks)))]
        return in_parallel(work, parts) if self.xp is np else [work(part) for part in parts]


def _largest(scores):
    """The largest score of each anchor: the offset, where exponentials could overflow."""

    def work(numbers):
        largest, room = scores.xp.full(len(scores.u), -math.inf, dtype=scores.u.dtype), scores.room()
        for r, c in (scores.blocks[k] for k in numbers):
            block = scores.block(r, c, room)
            largest[r] = scores.xp.maximum(largest[r], block.max(axis=1))
            largest[c] = scores.xp.maximum(largest[c], block.max(axis=0))
        return largest

    largest = scores.xp.stack(scores.in_parts(work)).max(axis=0)
    return scores.xp.where(largest == -math.inf, scores.partners, largest)  # where there are no others


def _sums(scores, keep):
    """Dᵢ = Σ e^{s_ik/τ} over the others of each anchor, and the blocks, if they shall be kept."""

    def work(numbers):
        sums, blocks, room = scores.xp.zeros(len(scores.u), dtype=scores.u.dtype), {}, scores.room()
        ones = scores.xp.ones(len(room), dtype=room.dtype)
        for k in numbers:
            r, c = scores.blocks[k]
            rows, columns = scores.exponentials(r, c, scores.room() if keep else room)
            sums[r] += rows @ ones[: rows.shape[1]]  # a product with ones is a sum, and fast
            if r != c:
                sums[c] += ones[: len(columns)] @ columns
            if keep:
                blocks[k] = rows
        return sums, blocks

    found = scores.in_parts(work)
    return sum(sums for sums, _ in found), {k: block for _, blocks in found for k, block in blocks.items()}


def _weighted(scores, kept, a):
    """W U, with W_ik = e^{s_ik/τ} (aᵢ + a_k)."""
    xp, u = scores.xp, scores.u

    def work(numbers):
        total, room, weights = xp.zeros_like(u), scores.room(), scores.room()
        for k in numbers:
            r, c = scores.blocks[k]
            rows, columns = (kept[k], kept[k]) if kept else scores.exponentials(r, c, room)
            w = weights[: r.stop - r.start, : c.stop - c.start]
            if rows is columns:
                xp.add(a[r][:, None], a[c], out=w)
                w *= rows
            else:
                xp.multiply(rows, a[r][:, None], out=w)
                w += columns * a[c]
            total[r] += w @ u[c]
            if r != c:
                total[c] += w.T @ u[r]
        return total

    return sum(scores.in_parts(work))
