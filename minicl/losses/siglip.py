"""SigLIP: each of the N² pairs of a batch is asked by itself whether it belongs together. There is no softmax.

A cosine alone cannot say "surely not", so a temperature and a bias turn it into a logit, and both are learned.
"""

from ..arrays import namespace
from ..functional import normalize
from ..ops import _raw, softplus, sum, where
from .classification import reduce_loss
from .inputs import floats, positive_temperature, scalar


def siglip(z1, z2, temperature=0.1, bias=-10.0, reduction="mean"):
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
    z1, z2 = floats(name, z1=(z1, "N d"), z2=(z2, "N d"))
    temperature = positive_temperature(name, temperature, like=z1)
    bias = scalar(name, "bias", bias, like=z1)
    logits = normalize(z1) @ normalize(z2).T / temperature + bias
    together = namespace(_raw(logits)).eye(len(z1), dtype=bool)
    losses = sum(softplus(where(together, -logits, logits)), axis=1)  # −log σ(Yx) = softplus(−Yx)
    return reduce_loss(losses, reduction, name=name)
