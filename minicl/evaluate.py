"""How good is a representation? Nearest neighbours and a linear probe ask with labels, alignment, uniformity and rank
without.

All functions take plain arrays (Tensors too) and give plain floats. Accuracy lies between 0 and 1.
"""

import numpy as np

from .arrays import namespace, to_numpy
from .engine import Tensor
from .functional import normalize
from .ops import _as_arrays

_BLOCK = 1024  # queries at a time, so that the table of similarities stays small


def _rows(x, name, which):
    x = x.data if isinstance(x, Tensor) else _as_arrays(x)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: {which} has shape {tuple(x.shape)}; give (N, d) with N ≥ 1.")
    x = x.reshape((x.shape[0], -1))
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError(f"{name}: {which} holds NaN or infinity. Look at the representation first.")
    if x.dtype.kind != "f":
        return x.astype(np.float64)
    return x if x.dtype.itemsize >= 4 else x.astype(np.float32)


def _labels(y, x, name, which):
    y = to_numpy(y)
    if y.shape != (len(x),):
        raise ValueError(
            f"{name}: {which} has shape {y.shape}; give one label for each of the {len(x)} rows: ({len(x)},)."
        )
    return y


def _pair(z1, z2, name):
    u1, u2 = (normalize(_rows(z, name, which)) for z, which in ((z1, "z1"), (z2, "z2")))
    if u1.shape != u2.shape:
        raise ValueError(f"{name}: shapes {u1.shape} and {u2.shape}; give two views of one shape (N, d).")
    return u1, u2


# ---------------------------------------------------------------------------------------------------- asked with labels


def nearest(queries, keys, k=1, metric="cosine", exclude_self=False):
    """The k nearest keys of each query, the nearest first.

    Parameters
    ----------
    queries : array, shape (M, d)
    keys : array, shape (N, d)
    k : int
    metric : {"cosine", "euclidean"}
    exclude_self : bool
        Queries and keys are the same rows, and no row may be its own neighbour.

    Returns
    -------
    integer array, shape (M, k)

    Raises
    ------
    ValueError
        If shapes do not fit, or there are fewer than k keys.

    Examples
    --------
    >>> nearest(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), k=2)
    array([[2, 1]])
    """
    queries, keys = _rows(queries, "nearest", "queries"), _rows(keys, "nearest", "keys")
    xp = namespace(queries, keys, op="nearest")
    if queries.shape[1] != keys.shape[1]:
        raise ValueError(
            f"nearest: shapes {queries.shape} and {keys.shape}; both must have the same number of columns."
        )
    if exclude_self and len(queries) != len(keys):
        raise ValueError(
            f"nearest: {len(queries)} queries and {len(keys)} keys; without itself makes sense for the same rows alone."
        )
    if not 1 <= k <= len(keys) - exclude_self:
        raise ValueError(
            f"nearest: k={k} neighbours are asked for, and there are {len(keys) - exclude_self} keys to choose from."
        )
    if metric == "cosine":
        queries, keys = normalize(queries), normalize(keys)
        offset = 0.0
    elif metric == "euclidean":
        middle = keys.mean(axis=0)  # distances stay, and the squares below lose fewer digits
        queries, keys = queries - middle, keys - middle
        offset = (keys * keys).sum(axis=1) / 2
    else:
        raise ValueError(f'nearest: the metric is "cosine" or "euclidean", not {metric!r}.')
    found = []
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        closeness = (
            block @ keys.T - offset
        )  # euclidean: (‖q‖² − ‖q − k‖²) / 2, of which the first is the same for all keys
        rows = xp.arange(len(block))
        if exclude_self:
            closeness[rows, start + rows] = -np.inf
        best = xp.argpartition(-closeness, k - 1, axis=1)[:, :k]
        order = xp.argsort(-xp.take_along_axis(closeness, best, axis=1), axis=1)
        found.append(xp.take_along_axis(best, order, axis=1))
    return xp.concatenate(found)


def knn(train_x, train_y, test_x, test_y, k=5, metric="cosine"):
    """Accuracy of k nearest neighbours: each test row gets the label that most of its neighbours have.

    Parameters
    ----------
    train_x, test_x : array, shapes (N, d) and (M, d); images are flattened
    train_y, test_y : labels, shapes (N,) and (M,)
    k : int
    metric : {"cosine", "euclidean"}

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit, or both sets are the same array: each row would be its own neighbour, and random labels
        would score 1. Use `knn_leave_one_out`.

    Notes
    -----
    Among labels with the same number of votes the smallest wins, as in scikit-learn.

    Examples
    --------
    >>> x, y = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), np.array([0, 0, 1])
    >>> knn(x, y, np.array([[1.0, 0.2], [0.1, 1.0]]), np.array([0, 1]), k=1)
    1.0
    """
    if train_x is test_x:
        raise ValueError(
            "knn: train_x and test_x are the same array, so each row would find itself. Use knn_leave_one_out(x, y)."
        )
    train_y, test_y = _labels(train_y, train_x, "knn", "train_y"), _labels(test_y, test_x, "knn", "test_y")
    return _vote(nearest(test_x, train_x, k, metric), train_y, test_y)


def knn_leave_one_out(x, y, k=5, metric="cosine"):
    """Accuracy of k nearest neighbours where each row is judged by all others, never by itself.

    Parameters
    ----------
    x : array, shape (N, d)
    y : labels, shape (N,)
    k, metric
        As in `knn`.

    Returns
    -------
    float

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> knn_leave_one_out(x, np.array([0, 0, 1, 1]), k=1)
    1.0
    """
    y = _labels(y, x, "knn_leave_one_out", "y")
    return _vote(nearest(x, x, k, metric, exclude_self=True), y, y)


def _vote(neighbours, train_y, test_y):
    classes, numbers = np.unique(train_y, return_inverse=True)
    ballots = numbers[to_numpy(neighbours)]
    votes = np.zeros((len(ballots), len(classes)), dtype=int)
    np.add.at(votes, (np.arange(len(ballots))[:, None], ballots), 1)
    return float(np.mean(classes[votes.argmax(axis=1)] == test_y))


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
    Columns are standardised with mean and deviation of the training rows alone. The ridge penalty is α = 1 / (2C).

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
        to_numpy(_rows(x, "linear_probe", which)) for x, which in ((train_x, "train_x"), (test_x, "test_x"))
    )
    train_y = _labels(train_y, train_x, "linear_probe", "train_y")
    test_y = _labels(test_y, test_x, "linear_probe", "test_y")
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


# ------------------------------------------------------------------------------------------------- asked without labels


def alignment(z1, z2, alpha=2):
    """How far the two views of an image are apart on the unit sphere, on average: 0 is best.

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
        Row i of both belongs to image i. They are normalised here.
    alpha : float

    Returns
    -------
    float

    Notes
    -----
    E ‖u − u⁺‖^α (Wang & Isola 2020, arXiv:2005.10242, Eq. 3).

    Examples
    --------
    >>> alignment(np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]]))
    2.0
    """
    u1, u2 = _pair(z1, z2, "alignment")
    squares = ((u1 - u2) ** 2).sum(axis=1)
    return float((squares ** (alpha / 2)).mean())


def uniformity(z, t=2):
    """How unevenly embeddings cover the unit sphere: the smaller, the more evenly; 0 if all are equal.

    Parameters
    ----------
    z : array, shape (N, d), N ≥ 2
        Normalised here.
    t : float

    Returns
    -------
    float

    Notes
    -----
    log E exp(−t ‖u − v‖²) over all pairs of two different rows (Wang & Isola 2020, Eq. 4). A row with itself is no
    pair: with it no value could be below −log N.

    Examples
    --------
    >>> uniformity(np.array([[2.0, 0.0], [-1.0, 0.0]]))
    -8.0
    """
    u = normalize(_rows(z, "uniformity", "z"))
    n = len(u)
    if n < 2:
        raise ValueError("uniformity: one row has no pair; give (N, d) with N ≥ 2.")
    xp = namespace(u)
    total = 0.0
    for start in range(0, n, _BLOCK):
        block = u[start : start + _BLOCK]
        rows = xp.arange(len(block))
        kernel = xp.exp(t * (2 * (block @ u.T) - 2))  # ‖u − v‖² = 2 − 2 u·v
        kernel[rows, start + rows] = 0
        total += float(kernel.sum(dtype=np.float64))
    return float(np.log(total / (n * (n - 1))))


def positive_rank(z1, z2):
    """The place of the partner of a view among all candidates, sorted by similarity: 1 is the first.

    Parameters
    ----------
    z1, z2 : array, shape (N, d)
        Row i of both belongs to image i.

    Returns
    -------
    mean_rank : float
        Between 1 and 2N − 1, over all 2N anchors. Equal embeddings share their places: collapse gives N, as chance
        does.
    top1 : float
        The share of anchors whose partner comes first (shared first places count in part).

    Examples
    --------
    >>> positive_rank(np.eye(3), np.eye(3))
    (1.0, 1.0)
    >>> positive_rank(np.ones((3, 2)), np.ones((3, 2)))
    (3.0, 0.2)
    """
    u1, u2 = _pair(z1, z2, "positive_rank")
    xp = namespace(u1, u2, op="positive_rank")
    n = len(u1)
    u = xp.concatenate([u1, u2])
    slack = 8 * float(np.finfo(u.dtype).eps)  # equal vectors may give products that differ in the last digits
    rank, top1 = 0.0, 0.0
    for start in range(0, 2 * n, _BLOCK):
        anchors = xp.arange(start, min(start + _BLOCK, 2 * n))
        scores = u[start : start + _BLOCK] @ u.T
        partner = scores[xp.arange(len(anchors)), (anchors + n) % (2 * n)][:, None]
        scores[xp.arange(len(anchors)), anchors] = -np.inf  # itself
        better = (scores > partner + slack).sum(axis=1)
        equal = (scores >= partner - slack).sum(axis=1) - better  # with the partner itself
        rank += float((better + (equal + 1) / 2).sum())
        top1 += float(((better == 0) / equal).sum())
    return rank / (2 * n), top1 / (2 * n)
