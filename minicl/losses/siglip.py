"""SigLIP: each of the N² pairs of a batch is asked by itself whether it belongs together. There is no softmax.

A cosine alone cannot say "surely not", so a temperature and a bias turn it into a logit, and both are learned. Since
pairs do not meet in a denominator, a block of them can be computed and forgotten.
"""

import numpy as np

from ..arrays import is_array, namespace
from ..engine import primitive
from ..functional import normalize
from ..ops import PRIMITIVES, _raw, sigmoid, softplus, sum, where
from ..threads import in_parallel, one_blas_thread
from .blocked import BLOCK, METHODS, ON_GPU, PARTS
from .classification import reduce_loss
from .inputs import floats, one_of, positive_temperature, scalar

MANY = 512  # rows from which "auto" computes in blocks


def siglip(z1, z2, temperature=0.1, bias=-10.0, reduction="mean", method="auto"):
    """Sigmoid loss of pairs (Zhai et al. 2023, arXiv:2303.15343).

    Parameters
    ----------
    z1, z2 : Tensor or array, shape (N, d)
        Row i of both belongs together. Normalised here.
    temperature : float or Tensor of shape (), positive
        τ; the paper's t is 1/τ.
    bias : float or Tensor of shape ()
        b, added to all logits. It starts low, since N² − N of N² pairs do not belong together.
    reduction : {"mean", "sum", "none"}
        "none" gives N losses, the sums of the rows; "mean" divides by N, not by N².
    method : {"auto", "composed", "blocked"}
        "composed" has all N² logits in memory, as the formula has; "blocked" makes them a block at a time, with memory that
        grows with N. "auto" is "blocked" for float32 and float64 from 512 rows on.

    Returns
    -------
    Tensor or array, shape () or (N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If shapes do not fit, N is 0, a value is NaN or infinite, or the temperature is not positive.

    Notes
    -----
    L = −(1/N) Σ_ij log σ(Y_ij (s_ij/τ + b)), with the cosine s and Y_ij = 1 for i = j, else −1.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(siglip(np.eye(2), np.eye(2), bias=0.0), np.log1p(np.exp(-10)) + np.log(2)))
    True
    """
    name = "siglip"
    one_of(name, "method", method, METHODS)
    z1, z2 = floats(name, z1=(z1, "N d"), z2=(z2, "N d"))
    temperature = positive_temperature(name, temperature, like=z1)
    bias = scalar(name, "bias", bias, like=z1)
    u, v = normalize(z1), normalize(z2)
    arrays = [_raw(x) for x in (u, v, temperature, bias) if is_array(_raw(x))]
    alike = all(x.dtype == arrays[0].dtype and x.dtype in ("float32", "float64") for x in arrays)
    if method == "blocked" and not alike:
        raise TypeError(
            f'{name}: method="blocked" computes with arrays that are all float32 or all float64, not '
            f"{', '.join(str(x.dtype) for x in arrays)}; leave out method, or convert them."
        )
    in_blocks = alike and (method == "blocked" or (method == "auto" and len(u) >= MANY))
    losses = (siglip_in_blocks if in_blocks else siglip_by_definition)(u, v, temperature, bias)
    return reduce_loss(losses, reduction, name=name)


def siglip_by_definition(u, v, temperature, bias):
    """The sums of the rows, from all N² logits at once."""
    logits = u @ v.T / temperature + bias
    together = namespace(_raw(logits)).eye(len(u), dtype=bool)
    return sum(softplus(where(together, -logits, logits)), axis=1)  # −log σ(Yx) = softplus(−Yx)


@primitive
def siglip_in_blocks(xp, u, v, temperature, bias):
    """Lᵢ = Σ_j softplus(−Y_ij x_ij),  x = U Vᵀ/τ + b        Ū = G V/τ,  V̄ = Gᵀ U/τ,  G_ij = L̄ᵢ (σ(x_ij) − [i = j])"""
    losses = xp.zeros(len(u), dtype=u.dtype)

    def work(blocks):
        for r, c in blocks:
            logits = u[r] @ v[c].T / temperature + bias
            if r == c:
                k = xp.arange(len(logits))
                logits[k, k] *= -1
            losses[r] += softplus.forward(xp, logits).sum(axis=1)

    _in_rows(xp, len(u), work)
    return losses


def _siglip_vjp(g, y, saved, needed, u, v, temperature, bias):
    xp = namespace(u, v)
    gu = xp.zeros_like(u)

    def work(blocks):
        gv, gb = xp.zeros_like(v), 0.0
        for r, c in blocks:
            weights = sigmoid.forward(xp, u[r] @ v[c].T / temperature + bias)
            if r == c:
                k = xp.arange(len(weights))
                # σ(x) − 1 = −σ(−x), which keeps its digits where a pair is recognised
                weights[k, k] = -sigmoid.forward(xp, -((u[r] * v[c]).sum(axis=1) / temperature + bias))
            weights *= g[r][:, None]
            gu[r] += weights @ v[c]
            gv[c] += weights.T @ u[r]
            gb = gb + weights.sum()
        return gv, gb

    found = _in_rows(xp, len(u), work)
    gv, gb = found[0]
    for more_v, more_b in found[1:]:  # in this order, always
        gv += more_v
        gb = gb + more_b
    gu /= temperature
    gv /= temperature
    gt = -(gu * u).sum() / temperature if needed[2] else None  # Σ G s = τ Σ Ū·u
    return gu, gv, gt, xp.asarray(gb, dtype=u.dtype)


siglip_in_blocks.defvjp_joint(_siglip_vjp, composed=siglip_by_definition)
PRIMITIVES["siglip_in_blocks"] = siglip_in_blocks


def _in_rows(xp, n, work):
    """[work(blocks) for each part]: all blocks of a row are in one part, which alone writes to that row."""
    size = BLOCK if xp is np else ON_GPU
    slices = [slice(k, min(k + size, n)) for k in range(0, n, size)]
    parts = [[(r, c) for r in slices[k::PARTS] for c in slices] for k in range(min(PARTS, len(slices)))]
    if xp is not np:
        return [work(part) for part in parts]
    with one_blas_thread:
        return in_parallel(work, parts)
