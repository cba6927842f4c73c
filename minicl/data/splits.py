"""Splits: which samples are for training and which for judging. Each class is split by itself, so that all parts have
the same mix.

Everything returns positions, so that images and labels are cut in the same places.
"""

import numpy as np

from ..arrays import to_numpy


def _labels(labels, name):
    labels = to_numpy(labels)
    if labels.ndim != 1 or not labels.size:
        raise ValueError(f"{name}: the labels have shape {labels.shape}; give one label for each sample: (N,).")
    missing = sum(y is None or y != y for y in labels.tolist()) if labels.dtype.kind in "fO" else 0  # NaN is not itself
    if missing:
        raise ValueError(
            f"{name}: {missing} of {len(labels)} labels are missing (NaN or None). Leave these samples out."
        )
    return labels


def stratified_split(labels, fraction, rng=0):
    """Split at random, with `fraction` of each class in the second part.

    Parameters
    ----------
    labels : array, shape (N,)
    fraction : float in (0, 1)
    rng : Generator or seed

    Returns
    -------
    first, second : integer arrays
        Sorted positions. A class with at least two samples has one in each part or more.

    Raises
    ------
    ValueError
        If a class has one sample only: it cannot be in both parts.

    Examples
    --------
    >>> first, second = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], 0.25)
    >>> len(first), len(second)
    (6, 2)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"stratified_split: the fraction lies between 0 and 1, got {fraction}.")
    labels, rng = _labels(labels, "stratified_split"), np.random.default_rng(rng)
    second = []
    for c in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == c))
        if len(members) < 2:
            raise ValueError(f"stratified_split: class {c} has one sample only, and both parts need one.")
        second.append(members[: min(max(round(fraction * len(members)), 1), len(members) - 1)])
    second = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(labels)), second), second


def few_labels(labels, per_class, rng=0):
    """Choose the same number of samples from each class at random: a small set of labels to learn from.

    Parameters
    ----------
    labels : array, shape (N,)
    per_class : int
    rng : Generator or seed

    Returns
    -------
    integer array, sorted positions

    Raises
    ------
    ValueError
        If a class has fewer samples.

    Examples
    --------
    >>> chosen = few_labels([0, 1, 0, 1, 0], 2)
    >>> len(chosen)
    4
    """
    labels, rng = _labels(labels, "few_labels"), np.random.default_rng(rng)
    chosen = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        if not 1 <= per_class <= len(members):
            raise ValueError(f"few_labels: {per_class} samples of class {c} are asked for; it has {len(members)}.")
        chosen.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(chosen))
