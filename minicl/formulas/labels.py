"""Losses that know classes: cross-entropy, SupCon and its kin with many views, N-pair.

SupCon has two forms, since a mean may stand outside the logarithm or inside: the first takes the mean of the losses of
the positives, the second the loss of their mean.
"""

import numpy as np

from .pieces import (
    choice,
    floats,
    integers,
    log_sum_exp,
    number,
    scalar,
    softmax,
    term_weights,
    through_unit,
    unit_rows,
    zeros,
)


def cross_entropy(logits, target, *, weights=None):
    """Cross-entropy between softmax(logits) and labels.

    Parameters
    ----------
    logits : array, shape (N, classes)
    target : integer array, shape (N,)
        Labels.
    weights : array, shape (N,), optional
        Of the rows; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂logits,)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a label names no class, or an entry is not finite.

    Notes
    -----
    ℓᵢ = log Σ_c exp(x_ic) − x_i,label; ∂ℓᵢ/∂x_ic = P_ic − 1[c = label].

    Examples
    --------
    >>> value, (dx,) = cross_entropy([[0.0, 0.0]], [1])
    >>> dx.tolist()
    [[0.5, -0.5]]
    """
    x = floats(logits, "cross_entropy", "logits", 2)
    labels = integers(target, "cross_entropy", "target", (len(x),), below=x.shape[1])
    w = term_weights(weights, len(x), "cross_entropy")
    value, dx = 0.0, zeros(x.shape, x)
    for i, label in enumerate(labels):
        loss, slope = choice(x[i], label)
        value += w[i] * loss
        dx[i] = w[i] * slope
    return number(value), (dx,)


def n_pair(anchors, positives, l2=0.0, *, weights=None):
    """The N-pair loss: the right positive among those of all N classes, by inner products (Sohn 2016, NIPS).

    Parameters
    ----------
    anchors, positives : array, shape (N, d)
        One pair of each class. Not normalised.
    l2 : float
        Weight of the mean of (‖a‖² + ‖p‖²)/2, which keeps lengths in check.
    weights : array, shape (N,), optional
        Of the pairs; by default 1/N each.

    Returns
    -------
    value : float
    gradients : tuple of arrays, (∂L/∂anchors, ∂L/∂positives)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    Notes
    -----
    ℓᵢ = log Σ_k exp(aᵢ·p_k) − aᵢ·pᵢ + l2 (‖aᵢ‖² + ‖pᵢ‖²)/2.
    G_ik = wᵢ (P_ik − 1[k = i]): ∂L/∂aᵢ = Σ_k G_ik p_k + wᵢ l2 aᵢ and ∂L/∂p_k = Σᵢ G_ik aᵢ + w_k l2 p_k.

    Examples
    --------
    >>> value, (da, dp) = n_pair([[1.0], [0.0]], [[0.0], [0.0]])
    >>> dp.tolist()
    [[-0.25], [0.25]]
    """
    a = floats(anchors, "n_pair", "anchors", 2)
    p = floats(positives, "n_pair", "positives", 2, a.shape)
    l2 = scalar(l2, "n_pair", "l2", positive=False)
    w = term_weights(weights, len(a), "n_pair")
    value, da, dp = 0.0, zeros(a.shape, a, p), zeros(a.shape, a, p)
    for i in range(len(a)):
        loss, slope = choice(np.array([a[i] @ p[k] for k in range(len(p))]), i)
        value += w[i] * (loss + l2 * (a[i] @ a[i] + p[i] @ p[i]) / 2)
        da[i] += w[i] * l2 * a[i]
        dp[i] += w[i] * l2 * p[i]
        for k in range(len(p)):
            da[i] += w[i] * slope[k] * p[k]
            dp[k] += w[i] * slope[k] * a[i]
    return number(value), (da, dp)


def supcon(z, labels, temperature=0.5, form="out", *, weights=None, parameters=False):
    """The supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, Eq. 2 and 3).

    Parameters
    ----------
    z : array, shape (n, d)
    labels : integer array, shape (n,)
        Every other row of an anchor's class is a positive.
    temperature : float, positive
    form : {"out", "in"}
        Whether the mean over positives stands outside the logarithm or inside.
    weights : array, shape (n,), optional
        Of the anchors; by default 1/m for each of the m anchors that have a positive. The others count nothing.
    parameters : bool
        Append ∂L/∂τ.

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂z,)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, no anchor has a positive, an entry is not finite, τ is not positive, or the form is
        unknown.

    Notes
    -----
    With P(i) the positives of i: "out" ℓᵢ = log Σ_{k≠i} exp(s_ik/τ) − (1/∣P(i)∣) Σ_{p∈P(i)} s_ip/τ,
    "in" ℓᵢ = log Σ_{k≠i} exp(s_ik/τ) − log( (1/∣P(i)∣) Σ_{p∈P(i)} exp(s_ip/τ) ), which is never larger (Jensen).

    ∂ℓᵢ/∂s_ik = (P_ik − X_ik)/τ, where X is 1/∣P(i)∣ at each positive ("out") or the softmax over the positives ("in").
    ∂L/∂U = (G + Gᵀ)U, then the normalisation, as for NT-Xent.

    Examples
    --------
    >>> z = np.eye(4)
    >>> value, (dz,) = supcon(z, [0, 1, 0, 1])
    >>> bool(abs(value - np.log(3)) < 1e-15)
    True
    """
    z = floats(z, "supcon", "z", 2)
    labels = integers(labels, "supcon", "labels", (len(z),))
    tau = scalar(temperature, "supcon")
    if form not in ("out", "in"):
        raise ValueError(f'supcon: form is "out" or "in", not {form!r}.')
    u, lengths = unit_rows(z)
    positives = [[k for k in range(len(z)) if k != i and labels[k] == labels[i]] for i in range(len(z))]
    with_positive = [i for i in range(len(z)) if positives[i]]
    if not with_positive:
        raise ValueError("supcon: no label occurs twice, so no anchor has a positive.")
    if weights is None:
        w = np.full(len(z), 1 / len(with_positive))
    else:
        w = term_weights(weights, len(z), "supcon")
    value, du, dtau = 0.0, zeros(u.shape, u, tau), 0.0
    for i in with_positive:
        others = [k for k in range(len(z)) if k != i]
        x = {k: u[i] @ u[k] / tau for k in others}
        p = dict(zip(others, softmax([x[k] for k in others])))
        at_positives = [x[k] for k in positives[i]]
        if form == "out":
            mean, share = sum(at_positives) / len(at_positives), [1 / len(at_positives)] * len(at_positives)
        else:
            mean, share = log_sum_exp(at_positives) - np.log(len(at_positives)), softmax(at_positives)
        value += w[i] * (log_sum_exp([x[k] for k in others]) - mean)
        wanted = dict(zip(positives[i], share))
        for k in others:
            g = w[i] * (p[k] - wanted.get(k, 0.0)) / tau
            du[i] += g * u[k]
            du[k] += g * u[i]
            dtau -= g * x[k]
    gradients = (through_unit(du, u, lengths),)
    return number(value), (*gradients, number(dtau)) if parameters else gradients


def multi_positive(views, temperature=0.5, form="out", *, weights=None, parameters=False):
    """SupCon with the image as its label: V views of each of N images, and every other view of an image is a positive.

    Parameters
    ----------
    views : array, shape (V, N, d), V ≥ 2
    temperature, form, parameters
        As of `supcon`.
    weights : array, shape (V N,), optional
        Of the anchors, all images of the first view first.

    Returns
    -------
    value : float
    gradients : tuple of one array, (∂L/∂views,)

    Raises
    ------
    ValueError
        If there are fewer than two views, an entry is not finite, τ is not positive, or the form is unknown.

    Notes
    -----
    V = 2 is NT-Xent.

    Examples
    --------
    >>> value, (dviews,) = multi_positive(np.ones((3, 2, 4)))  # all equal: log of the number of candidates
    >>> bool(abs(value - np.log(5)) < 1e-15), dviews.shape
    (True, (3, 2, 4))
    """
    views = floats(views, "multi_positive", "views", 3)
    v, n, d = views.shape
    if v < 2:
        raise ValueError("multi_positive: one view has no positive; give at least two.")
    image = np.arange(v * n) % n
    value, (dz, *rest) = supcon(
        views.reshape(v * n, d), image, temperature, form, weights=weights, parameters=parameters
    )
    return value, (dz.reshape(v, n, d), *rest)
