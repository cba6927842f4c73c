"""NT-Xent, the loss of SimCLR: each view must find the other view of its image among all other views.

It is a cross-entropy: one class for each other view of the batch, and the right class is the partner.
"""

import numpy as np

from ..arrays import namespace
from ..functional import concatenate, normalize
from ..ops import _as_arrays, _raw, where
from .classification import cross_entropy


def nt_xent(z1, z2, temperature=0.5, reduction="mean"):
    """Normalised temperature-scaled cross-entropy (Chen et al. 2020, arXiv:2002.05709, Eq. 1).

    Parameters
    ----------
    z1, z2 : Tensor or array, shape (N, d)
        Embeddings of the first and the second view: row i of both belongs to image i. They are normalised here.
    temperature : float or Tensor, positive
        τ, by which the cosines are divided.
    reduction : {"mean", "sum", "none"}
        "none" gives the 2N losses, first view first.

    Returns
    -------
    Tensor or array, shape () or (2N,)

    Raises
    ------
    ValueError
        If the shapes differ or are not (N, d), N is 0, or the temperature is not positive.

    Notes
    -----
    ℓᵢ = −log( exp(s_ij/τ) / Σ_{k≠i} exp(s_ik/τ) ), with the cosine s and the partner j of i; L = (1/2N) Σ ℓᵢ.
    The sum has 2N − 1 terms: the partner and 2N − 2 others. If all embeddings are equal, L = log(2N − 1).

    Examples
    --------
    >>> z = np.ones((3, 2))
    >>> bool(np.isclose(nt_xent(z, z), np.log(5), rtol=1e-12))
    True
    """
    z1, z2 = _as_arrays(z1), _as_arrays(z2)
    if z1.ndim != 2 or z1.shape != z2.shape:
        raise ValueError(
            f"nt_xent: shapes {tuple(z1.shape)} and {tuple(z2.shape)}; give two views of one shape (N, d)."
        )
    n = len(z1)
    if not n:
        raise ValueError("nt_xent: the batch is empty; give at least one image.")
    if not bool(_raw(temperature) > 0):
        raise ValueError(f"nt_xent: the temperature must be positive, got {temperature}.")
    u = normalize(concatenate([z1, z2]))
    xp = namespace(_raw(u))
    itself = xp.eye(2 * n, dtype=bool)
    scores = where(
        itself, -np.inf, u @ u.T / temperature
    )  # −inf before the softmax: an anchor is no candidate of its own
    partner = (xp.arange(2 * n) + n) % (2 * n)
    return cross_entropy(scores, partner, reduction=reduction)
