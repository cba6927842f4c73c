"""The usual losses of regression and classification, in the names of torch.nn.functional.

Classes lie along the last axis, as features do everywhere in minicl.
"""

from .. import functional as F
from ..arrays import is_array, namespace
from ..engine import Tensor
from ..ops import _as_arrays, _raw, log_softmax, softplus
from ..ops import mean as _mean
from ..ops import sum as _sum


def reduce_loss(values, reduction, weights=None, name="loss"):
    """The mean (weighted, if weights are given), the sum, or the values themselves.

    Raises
    ------
    ValueError
        If `reduction` is not "mean", "sum" or "none".
    """
    if reduction == "none":
        return values
    if reduction == "sum":
        return _sum(values)
    if reduction == "mean":
        if weights is not None:
            return _mean(values) / _mean(weights)
        return _mean(values) if values.size else _sum(values) / float("nan")  # a sum would overflow float16
    raise ValueError(f'{name}: reduction is "mean", "sum" or "none", not {reduction!r}.')


def _same_shape(a, b, name):
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(
            f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)} must be equal; nothing is broadcast here."
        )


def mse_loss(prediction, target, reduction="mean"):
    """Mean squared error: (prediction − target)².

    Parameters
    ----------
    prediction, target : Tensor or array, one shape
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    prediction, target = _as_arrays(prediction), _as_arrays(target)
    _same_shape(prediction, target, "mse_loss")
    difference = prediction - target
    return reduce_loss(difference * difference, reduction, name="mse_loss")


def _labels(scores, labels, name):
    raw = _as_arrays(_raw(labels))
    namespace(_raw(scores), *([raw] if is_array(labels) else []), op=name)
    raw = namespace(_raw(scores)).asarray(raw)
    if raw.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {raw.dtype}.")
    if raw.shape != scores.shape[:-1]:
        raise ValueError(
            f"{name}: scores of shape {scores.shape} need labels of shape {scores.shape[:-1]}, got {raw.shape}."
        )
    classes = scores.shape[-1]
    if raw.size and (int(raw.min()) < 0 or int(raw.max()) >= classes):
        raise ValueError(
            f"{name}: labels lie between {raw.min()} and {raw.max()}, the {classes} classes from 0 to {classes - 1}."
        )
    return raw


def nll_loss(log_probabilities, labels, weight=None, reduction="mean"):
    """Negative log likelihood: −log p[label].

    Parameters
    ----------
    log_probabilities : Tensor or array, shape (..., classes)
    labels : integer array, shape (...)
    weight : array, shape (classes,), optional
        A weight for each class; the mean is then weighted too.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    TypeError, ValueError
        If labels are no integers, have another shape, or name a class that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> float(nll_loss(np.log(np.array([[0.5, 0.5]])), np.array([0]))) == float(np.log(2))
    True
    """
    return _label_loss(_as_arrays(log_probabilities), labels, weight, reduction, "nll_loss")


def _label_loss(scores, labels, weight, reduction, name):
    labels = _labels(scores, labels, name)
    values = -F.squeeze(F.take_along_axis(scores, labels[..., None]), axis=-1)
    weights = None if weight is None else F.take(weight, labels)
    return reduce_loss(values if weights is None else values * weights, reduction, weights, name)


def cross_entropy(logits, target, weight=None, label_smoothing=0.0, reduction="mean"):
    """Cross-entropy between softmax(logits) and the target.

    Parameters
    ----------
    logits : Tensor or array, shape (..., classes)
        Not probabilities: the softmax is taken here.
    target : integer array, shape (...), or probabilities, shape (..., classes)
    weight : array, shape (classes,), optional
    label_smoothing : float in [0, 1]
        This share of the target is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    TypeError, ValueError
        If the target fits neither form.

    Notes
    -----
    ℓ = −Σ_c t_c log softmax(x)_c, which is log Σ eˣ − x[label] for a label. Computed with the largest logit subtracted.

    Examples
    --------
    >>> import numpy as np
    >>> float(cross_entropy(np.zeros((1, 4)), np.array([2]))) == float(np.log(4))
    True
    """
    logits = _as_arrays(logits)
    if not logits.ndim:
        raise ValueError("cross_entropy: the logits have shape (); give (..., classes).")
    log_p = log_softmax(logits, axis=-1)
    if not (isinstance(target, Tensor) or is_array(target)):
        target = namespace(_raw(logits)).asarray(target)  # a list of labels goes where the logits are
    if target.dtype.kind in "iu":
        if not label_smoothing:
            return _label_loss(log_p, target, weight, reduction, "cross_entropy")
        labels = _labels(logits, target, "cross_entropy")
        weights = None if weight is None else F.take(weight, labels)
        target = F.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    else:
        _same_shape(logits, target, "cross_entropy")
        weights = None
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    terms = target * log_p if weight is None else target * log_p * weight
    return reduce_loss(-_sum(terms, axis=-1), reduction, weights, "cross_entropy")


def binary_cross_entropy_with_logits(logits, target, weight=None, pos_weight=None, reduction="mean"):
    """Cross-entropy of independent yes/no answers: −t log σ(x) − (1 − t) log σ(−x).

    Parameters
    ----------
    logits : Tensor or array
    target : Tensor or array in [0, 1], the shape of the logits
    weight : array that broadcasts, optional
        For each entry.
    pos_weight : array that broadcasts, optional
        Multiplies the first term.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import numpy as np
    >>> float(binary_cross_entropy_with_logits(np.array([800.0]), np.array([0.0])))
    800.0
    """
    logits, target = _as_arrays(logits), _as_arrays(target)
    _same_shape(logits, target, "binary_cross_entropy_with_logits")
    yes = target * softplus(-logits)
    values = (yes if pos_weight is None else yes * pos_weight) + (1 - target) * softplus(logits)
    return reduce_loss(
        values if weight is None else values * weight, reduction, name="binary_cross_entropy_with_logits"
    )
