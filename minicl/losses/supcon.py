"""Supervised contrastive loss: all rows of an anchor's class are its positives, not its second view alone.

With several positives there are two ways to average: outside the logarithm ("out") or inside it ("in").
"""

import math

from ..arrays import namespace
from ..functional import normalize, take
from ..ops import _raw, log, logsumexp, scatter, softplus, sum, where
from .blocked import METHODS, lse_of_others
from .classification import reduce_loss
from .inputs import floats, integers, one_of, positive_temperature

MANY = 1024  # rows, from which on the scores are made in blocks


def supcon(z, labels, temperature=0.5, form="out", reduction="mean", method="auto"):
    """Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, Eqs. 2 and 3).

    Parameters
    ----------
    z : Tensor or array, shape (n, d)
        Embeddings, normalised here; usually all views of all images of a batch.
    labels : integer array, shape (n,)
        One for each row of z: repeat the labels for the second views.
    temperature : float or Tensor of shape (), positive
        τ, by which the cosines are divided.
    form : {"out", "in"}
        Whether the positives are averaged outside or inside the logarithm.
    reduction : {"mean", "sum", "none"}
        An anchor without a positive has the term 0 and is left out of the mean. "none" gives n losses.
    method : {"auto", "composed", "blocked"}
        As in `nt_xent`, but that "auto" is "blocked" from 1024 rows on: with few rows memory is no matter, and the
        definition rounds the positives and their mean alike.

    Returns
    -------
    Tensor or array, shape () or (n,)

    Raises
    ------
    TypeError
        If z holds no floats or labels no integers, or they are on different devices.
    ValueError
        If shapes do not fit, n is 0, a value is NaN or infinite, the temperature is not positive, the form is unknown, or
        no anchor has a positive.

    Notes
    -----
    With the positives P of anchor i (its label, not itself):

    out: ℓᵢ = (1/|P|) Σ_{p∈P} −log( e^{s_ip/τ} / Σ_{k≠i} e^{s_ik/τ} ),

    in:  ℓᵢ = −log( (1/|P|) Σ_{p∈P} e^{s_ip/τ} / Σ_{k≠i} e^{s_ik/τ} ).

    Both are computed as two questions. Do the positives stand before the negatives? That is the same in both:
    softplus( log Σ_neg e^{s/τ} − log Σ_P e^{s/τ} ). Are the positives alike? log Σ_P e^{s/τ} − mean_P s/τ for "out", and
    log |P|, its smallest value, for "in". So in ≤ out, and with one positive both are NT-Xent.

    The authors' code multiplies the loss by τ/0.07; here it is not.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.ones((4, 2))
    >>> bool(np.isclose(supcon(z, [0, 0, 1, 1]), np.log(3)))
    True
    """
    (z,) = floats("supcon", z=(z, "n d"))
    labels = integers("supcon", "labels", labels, (len(z),), z)
    return _supcon("supcon", z, labels, temperature, form, reduction, method)


def _supcon(name, z, labels, temperature, form, reduction, method):
    one_of(name, "form", form, ("out", "in"))
    one_of(name, "method", method, METHODS)
    temperature = positive_temperature(name, temperature, like=z)
    xp = namespace(labels)
    _, labels, sizes = xp.unique(labels, return_inverse=True, return_counts=True)
    count = sizes[labels] - 1  # positives of each anchor
    has_positive = count > 0
    if not bool(has_positive.any()):
        raise ValueError(
            f"{name}: z of shape {tuple(z.shape)}: no anchor has a positive, since all labels differ; give labels in which "
            "a class has two rows (for two views of each image, repeat the labels)."
        )
    u = normalize(z)
    count = where(has_positive, count, 1).astype(_raw(u).real.dtype)
    if method == "blocked" or (method == "auto" and len(z) >= MANY):
        positives, mean, negatives = _in_blocks(name, method, u, labels, temperature, count)
    else:
        positives, mean, negatives = _by_definition(u, labels, temperature, count)
    positives = where(has_positive, positives, 0.0)
    unlike = positives - where(has_positive, mean, 0.0) if form == "out" else log(count)
    losses = where(has_positive, softplus(negatives - positives) + unlike, 0.0)
    return reduce_loss(losses, reduction, has_positive.astype(count.dtype), name)


def _by_definition(u, labels, temperature, count):
    """For each anchor: log Σ_P e^{s_ip/τ}, the mean of s_ip/τ over its positives, and log Σ_neg e^{s_ik/τ}."""
    scores = u @ u.T / temperature  # s_ik/τ
    same = labels[:, None] == labels
    positive = same & ~namespace(labels).eye(len(labels), dtype=bool)
    mean = sum(where(positive, scores, 0.0), axis=1) / count
    positives, negatives = (logsumexp(where(x, scores, -math.inf), axis=1) for x in (positive, ~same))
    return positives, mean, negatives


def _in_blocks(name, method, u, labels, temperature, count):
    """The same, without all scores in memory: a mean of products is a product with the mean."""
    positives, negatives = (
        lse_of_others(name, method, u, None, temperature, labels, labels, same) for same in (True, False)
    )
    together = take(scatter(u, key=labels, shape=(int(labels.max()) + 1, u.shape[1])), labels, axis=0)  # Σ of a class
    return positives, sum(u * (together - u), axis=1) / count / temperature, negatives


def multi_positive(views, temperature=0.5, form="out", reduction="mean", method="auto"):
    """Contrastive loss of V views of each image: all other views of the image are positives.

    Parameters
    ----------
    views : Tensor or array, shape (V, N, d)
        V ≥ 2 views of N images, normalised here. (`mc.stack([z1, z2, z3])` joins them.)
    temperature : float or Tensor of shape (), positive
    form : {"out", "in"}
        As in `supcon`.
    reduction : {"mean", "sum", "none"}
        "none" gives V·N losses, first view first.
    method : {"auto", "composed", "blocked"}
        As in `supcon`.

    Returns
    -------
    Tensor or array, shape () or (V·N,)

    Raises
    ------
    TypeError
        If views holds no floats, or inputs are on different devices.
    ValueError
        If the shape is not (V, N, d) with V ≥ 2 and N ≥ 1, a value is NaN or infinite, the temperature is not positive, or
        the form is unknown.

    Notes
    -----
    `supcon` (Khosla et al. 2020, arXiv:2004.11362) with the image as label. Two views are NT-Xent.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(multi_positive(np.ones((3, 4, 2))), np.log(11)))
    True
    """
    name = "multi_positive"
    (views,) = floats(name, views=(views, "V N d"))
    v, n, d = views.shape
    if v < 2:
        raise ValueError(f"{name}: views of shape {tuple(views.shape)} is one view alone; give (V, N, d) with V ≥ 2.")
    image = namespace(_raw(views)).arange(v * n) % n
    return _supcon(name, views.reshape((v * n, d)), image, temperature, form, reduction, method)
