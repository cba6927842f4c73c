"""NT-Xent, the loss of SimCLR: each view must find the other view of its image among all other views.

It is a cross-entropy: one class for each other view of the batch, and the right class is the partner. DCL and the
debiased loss below change one thing each: what stands in the denominator.
"""

import math

from ..arrays import namespace
from ..engine import primitive
from ..functional import normalize
from ..ops import PRIMITIVES, _raw, expm1, log, softplus, where
from .blocked import METHODS, lse_of_others
from .classification import reduce_loss
from .inputs import between, one_of, positive_temperature, two_views


def _compared(name, z1, z2, temperature, layout, method):
    """For each of the 2N anchors: s_ij/τ with its partner, and log Σ e^{s_ik/τ} over all k but itself and the partner."""
    one_of(name, "method", method, METHODS)
    z = two_views(name, z1, z2, layout)
    temperature = positive_temperature(name, temperature, like=z)
    u = normalize(z)
    n = len(u) // 2
    row = namespace(_raw(u)).arange(2 * n)
    image, partner = (row % n, (row + n) % (2 * n)) if layout == "stacked" else (row // 2, row ^ 1)
    others = lse_of_others(name, method, u, None, temperature, image, image)  # views of one image are not others
    return row_dots(u, partner) / temperature, others, temperature


@primitive
def row_dots(xp, u, partner=None):
    """yᵢ = uᵢ · u_p(i), where p pairs the rows up: p(p(i)) = i              Ūᵢ = (ȳᵢ + ȳ_p(i)) u_p(i)"""
    return xp.einsum("ij,ij->i", u, u[partner])


row_dots.defvjp(lambda g, y, u, partner: (g + g[partner])[:, None] * u[partner])
PRIMITIVES["row_dots"] = row_dots


def _several_images(name, anchors):
    if len(anchors) < 4:
        raise ValueError(f"{name}: one image (2 rows) has no negatives, and without them no loss; give N ≥ 2 images.")


def nt_xent(z1, z2=None, temperature=0.5, layout="stacked", reduction="mean", method="auto"):
    """Normalised temperature-scaled cross-entropy (Chen et al. 2020, arXiv:2002.05709, Eq. 1).

    Parameters
    ----------
    z1, z2 : Tensor or array, shape (N, d)
        Embeddings of the first and the second view: row i of both belongs to image i. They are normalised here.
        Without z2, z1 holds all 2N rows in the order of `layout`.
    temperature : float or Tensor of shape (), positive
        τ, by which the cosines are divided.
    layout : {"stacked", "interleaved"}
        How one array is ordered: all first views, then all second views; or rows 2k and 2k + 1 of one image.
    reduction : {"mean", "sum", "none"}
        "none" gives the 2N losses in the order of the rows (of z1, then of z2).
    method : {"auto", "composed", "blocked"}
        "composed" has all (2N)² scores in memory, as the formula has. "blocked" makes them a block at a time
        (`blocked.py`): the same numbers up to rounding, faster, and with memory that grows with N. "auto" is "blocked" for
        float32 and float64.

    Returns
    -------
    Tensor or array, shape () or (2N,)

    Raises
    ------
    TypeError
        If an input holds no floats, or inputs are on different devices.
    ValueError
        If the shapes differ or are not (N, d), N is 0, a value is NaN or infinite, the temperature is not positive, or
        the layout is unknown or given beside z2.

    Notes
    -----
    ℓᵢ = −log( exp(s_ij/τ) / Σ_{k≠i} exp(s_ik/τ) ), with the cosine s and the partner j of i; L = (1/2N) Σ ℓᵢ.

    The sum has 2N − 1 terms: the partner and 2N − 2 others. Divided by its numerator, the fraction shows the form that
    is computed, since it keeps the digits of a small loss: ℓᵢ = log(1 + Σ_{k≠i,j} exp((s_ik − s_ij)/τ)).
    If all embeddings are equal, L = log(2N − 1). For N = 1 the partner is the only candidate, and L = 0.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.ones((3, 2))
    >>> bool(np.isclose(nt_xent(z, z), np.log(5), rtol=1e-12))
    True

    One array, ordered image by image:

    >>> views = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> bool(np.isclose(nt_xent(views, layout="interleaved"), np.log(1 + 2 * np.exp(-1 / 0.5))))
    True
    """
    partner, others, _ = _compared("nt_xent", z1, z2, temperature, layout, method)
    losses = softplus(others - partner)  # log(1 + Σ_{k≠i,j} e^{(s_ik − s_ij)/τ})
    return reduce_loss(losses, reduction, name="nt_xent")


def dcl(z1, z2=None, temperature=0.5, layout="stacked", reduction="mean", method="auto"):
    """Decoupled contrastive loss: NT-Xent without the partner in the denominator (Yeh et al. 2021, arXiv:2110.06848).

    Parameters
    ----------
    z1, z2, temperature, layout, reduction, method
        As in `nt_xent`; at least two images.

    Returns
    -------
    Tensor or array, shape () or (2N,)

    Raises
    ------
    TypeError, ValueError
        As `nt_xent`; also for N = 1, where the denominator is empty.

    Notes
    -----
    ℓᵢ = −log( exp(s_ij/τ) / Σ_{k≠i,j} exp(s_ik/τ) ) = −s_ij/τ + log Σ_{k≠i,j} exp(s_ik/τ), a sum of 2N − 2 terms.

    It is no −log of a probability: it can be negative, and has no lower bound as τ → 0. For each anchor
    NT-Xent = softplus(DCL), so NT-Xent is DCL with its gradient multiplied by 1 − p, p the probability of the partner.

    Examples
    --------
    >>> import numpy as np
    >>> float(dcl(np.eye(2), np.eye(2), temperature=0.1)) < 0
    True
    """
    partner, others, _ = _compared("dcl", z1, z2, temperature, layout, method)
    _several_images("dcl", others)
    return reduce_loss(others - partner, reduction, name="dcl")


def debiased(z1, z2=None, temperature=0.5, class_prior=0.1, layout="stacked", reduction="mean", method="auto"):
    """Debiased contrastive loss: some "negatives" are of the anchor's own class (Chuang et al. 2020, arXiv:2007.00224).

    Parameters
    ----------
    z1, z2, temperature, layout, reduction, method
        As in `nt_xent`; at least two images.
    class_prior : float in [0, 1)
        τ⁺, the probability that a random image has the class of the anchor: 1/C for C balanced classes. 0 is NT-Xent.

    Returns
    -------
    Tensor or array, shape () or (2N,)

    Raises
    ------
    TypeError, ValueError
        As `nt_xent`; also for N = 1, and for a class_prior outside [0, 1).

    Notes
    -----
    ℓᵢ = −log( e^{s_ij/τ} / (e^{s_ij/τ} + M g) ), with the M = 2N − 2 negatives and

    g = max{ (mean_k e^{s_ik/τ} − τ⁺ e^{s_ij/τ}) / (1 − τ⁺),  e^{−1/τ} }.

    The mean over "negatives" holds a share τ⁺ of positives; it is estimated by the partner and taken off again. The
    bound e^{−1/τ} is the smallest value that a true mean can have. All is computed in logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> bool(np.isclose(debiased(z, z, class_prior=0.0), nt_xent(z, z)))
    True
    >>> bool(debiased(z, z, class_prior=0.1) < nt_xent(z, z))
    True
    """
    class_prior = between("debiased", "class_prior", class_prior, 0.0, 1.0)
    partner, others, temperature = _compared("debiased", z1, z2, temperature, layout, method)
    _several_images("debiased", others)
    m = len(others) - 2
    log_mean = others - math.log(m)  # log mean_k e^{s_ik/τ}
    log_share = partner + (math.log(class_prior) if class_prior else -math.inf)  # log τ⁺ e^{s_ij/τ}
    some_left = _raw(log_share - log_mean).real < 0  # the difference of the two is positive
    ratio = where(some_left, log_share - log_mean, -1.0)  # log(eᵃ − eᵇ) = a + log(1 − e^{b−a})
    estimate = log_mean + log(-expm1(ratio)) - math.log1p(-class_prior)
    lowest = -1.0 / temperature
    log_g = where(some_left & (_raw(estimate).real > _raw(lowest).real), estimate, lowest)
    return reduce_loss(softplus(math.log(m) + log_g - partner), reduction, name="debiased")  # log(1 + M g / e^{s_ij/τ})
