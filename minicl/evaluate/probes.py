"""Linear classifiers on frozen representations, and how their accuracy grows with the number of labels."""

from typing import NamedTuple

import numpy as np

from ..arrays import to_numpy
from ..data import few_labels
from .inputs import labels_of, rows_of, two_classes


def linear_probe(train_x, train_y, test_x, test_y, model="logistic", C=1.0, max_iter=1000):
    """Test accuracy of a linear classifier on frozen representations.

    Parameters
    ----------
    train_x, test_x : array, shapes (N, d) and (M, d); images are flattened
    train_y, test_y : labels, shapes (N,) and (M,)
    model : {"logistic", "ridge"}
        scikit-learn's LogisticRegression, or RidgeClassifier (a closed form, faster).
    C : float
        The inverse of the penalty on the weights: smaller is stronger.
    max_iter : int
        For "logistic".

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit, or the training labels name one class only.

    Notes
    -----
    Columns are standardised with mean and deviation of the training rows alone. The ridge penalty is α = 1 / (2C):
    W = (XᵀX + αI)⁻¹ XᵀY, with X centred and Y centred columns of ±1, one for each class; the largest score decides
    (Hoerl & Kennard 1970). The logistic one minimises ½‖W‖² + C Σ cross-entropy.

    Examples
    --------
    >>> x, y = np.array([[0.0, 5.0], [1.0, 5.0], [4.0, 5.0], [5.0, 5.0]]), np.array([0, 0, 1, 1])
    >>> linear_probe(x, y, x + 0.3, y)
    1.0
    """
    from sklearn.linear_model import LogisticRegression, RidgeClassifier  # here, since it takes a second to load

    if model not in ("logistic", "ridge"):
        raise ValueError(f'linear_probe: the model is "logistic" or "ridge", not {model!r}.')
    train_x, test_x = (
        to_numpy(rows_of(x, "linear_probe", which)) for x, which in ((train_x, "train_x"), (test_x, "test_x"))
    )
    train_y = labels_of(train_y, train_x, "linear_probe", "train_y")
    test_y = labels_of(test_y, test_x, "linear_probe", "test_y")
    if train_x.shape[1] != test_x.shape[1]:
        raise ValueError(
            f"linear_probe: shapes {train_x.shape} and {test_x.shape}; both must have the same number of columns."
        )
    if len(np.unique(train_y)) < 2:
        raise ValueError(
            f"linear_probe: all training labels are {train_y[0]}; a classifier needs at least two classes."
        )
    mean, deviation = train_x.mean(axis=0, dtype=np.float64), train_x.std(axis=0, dtype=np.float64)
    deviation[deviation <= 1e-7 * np.abs(mean)] = 1.0  # a constant column, up to rounding
    deviation[deviation == 0] = 1.0
    probe = LogisticRegression(C=C, max_iter=max_iter) if model == "logistic" else RidgeClassifier(alpha=1 / (2 * C))
    probe.fit((train_x - mean) / deviation, train_y)
    return float(probe.score((test_x - mean) / deviation, test_y))


class LabelEfficiency(NamedTuple):
    """Accuracy for each number of labels a class; prints as a table."""

    per_class: np.ndarray  # (K,)
    mean: np.ndarray  # (K,)
    low: np.ndarray  # (K,), the lower end of the interval
    high: np.ndarray  # (K,)
    scores: np.ndarray  # (K, seeds)

    def __repr__(self):
        lines = [f"labels a class   accuracy, mean of {self.scores.shape[1]} seeds and interval"]
        for k, mean, low, high in zip(self.per_class, self.mean, self.low, self.high):
            lines.append(f"{k:14d}   {mean:.3f}  [{low:.3f}, {high:.3f}]")
        return "\n".join(lines)


def label_efficiency(
    train_x, train_y, test_x, test_y, per_class=(1, 5, 10), seeds=5, level=0.95, model="logistic", C=1.0, max_iter=1000
):
    """The accuracy of a linear probe when only a few labels of each class are known.

    Parameters
    ----------
    train_x, test_x : array, shapes (N, d) and (M, d)
    train_y, test_y : labels, shapes (N,) and (M,)
    per_class : sequence of K ints
        How many labels of each class are known.
    seeds : int or sequence of ints
        Each draws its own labels; an int n stands for 0 to n − 1. The same seed draws the same labels for every
        representation, so that two curves can be compared seed by seed.
    level : float in (0, 1)
        Of the intervals.
    model, C, max_iter
        As in `linear_probe`.

    Returns
    -------
    LabelEfficiency
        With `.per_class, .mean, .low, .high` of shape (K,) and `.scores` of shape (K, seeds).

    Raises
    ------
    ValueError
        If shapes do not fit, there is one class or one seed only, or a class has too few labels.

    Notes
    -----
    The interval is that of `t_interval`, over the draws of the labels. The representation and the test rows stay the
    same, so it does not say how much another training run, or another test set, would change.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> x = rng.standard_normal((200, 2)) + 6 * y[:, None]
    >>> label_efficiency(x[:100], y[:100], x[100:], y[100:], per_class=(5, 20)).mean
    array([1., 1.])
    """
    name = "label_efficiency"
    seeds = range(seeds) if isinstance(seeds, (int, np.integer)) else list(seeds)
    per_class = np.atleast_1d(np.asarray(per_class, dtype=int))
    if len(seeds) < 2:
        raise ValueError(f"{name}: an interval needs at least two seeds, got {len(seeds)}.")
    if not per_class.size:
        raise ValueError(f"{name}: per_class is empty; name at least one number of labels.")
    train_x, train_y = rows_of(train_x, name, "train_x"), labels_of(train_y, train_x, name, "train_y")
    two_classes(train_y, name)
    scores = np.zeros((len(per_class), len(seeds)))
    for i, k in enumerate(per_class):
        for j, seed in enumerate(seeds):
            known = few_labels(train_y, int(k), np.random.default_rng([seed, int(k)]))
            scores[i, j] = linear_probe(train_x[known], train_y[known], test_x, test_y, model, C, max_iter)
    mean, half = np.array([t_interval(row, level) for row in scores]).T
    return LabelEfficiency(per_class, mean, mean - half, mean + half, scores)


def t_interval(values, level=0.95):
    """The mean of a few measurements, and half the width of its interval by Student's t.

    Parameters
    ----------
    values : array, shape (n,), n ≥ 2
    level : float in (0, 1)

    Returns
    -------
    mean, half : float
        The interval is mean − half to mean + half.

    Raises
    ------
    ValueError
        If there are fewer than two values, one is not finite, or the level is not between 0 and 1.

    Notes
    -----
    half = t s / √n, with the standard deviation s over n − 1 and the quantile t of Student's distribution with n − 1
    degrees of freedom at (1 + level) / 2 (Student 1908, The probable error of a mean). It is exact for normal values.

    Examples
    --------
    >>> t_interval([1.0, 2.0, 3.0])
    (2.0, 2.48)
    """
    from scipy.special import stdtrit

    values = np.asarray(to_numpy(values), dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"t_interval: give at least two finite numbers (n,), got shape {values.shape}.")
    if not 0 < level < 1:
        raise ValueError(f"t_interval: the level lies between 0 and 1, got {level}.")
    half = stdtrit(len(values) - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)
