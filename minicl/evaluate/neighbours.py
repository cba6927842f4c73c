"""Nearest neighbours: what stands near a row, whether it has the same label, and where its partner stands.

No row is ever its own neighbour: with itself in the set, random labels would score 1.
"""

import numpy as np

from ..arrays import namespace, to_numpy
from ..functional import normalize
from . import inputs
from .inputs import labels_of, pair_of, rows_of, two_classes


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
    queries, keys = rows_of(queries, "nearest", "queries"), rows_of(keys, "nearest", "keys")
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
    for start in range(0, len(queries), inputs.BLOCK):
        block = queries[start : start + inputs.BLOCK]
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
        If shapes do not fit, all training labels are equal, or both sets are the same array: each row would be its own neighbour, and random labels
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
    train_y, test_y = labels_of(train_y, train_x, "knn", "train_y"), labels_of(test_y, test_x, "knn", "test_y")
    two_classes(train_y, "knn")
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

    Raises
    ------
    ValueError
        If shapes do not fit, all labels are equal, or there are no k others.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> knn_leave_one_out(x, np.array([0, 0, 1, 1]), k=1)
    1.0
    """
    y = labels_of(y, x, "knn_leave_one_out", "y")
    two_classes(y, "knn_leave_one_out")
    return _vote(nearest(x, x, k, metric, exclude_self=True), y, y)


def _vote(neighbours, train_y, test_y):
    classes, numbers = np.unique(train_y, return_inverse=True)
    ballots = numbers[to_numpy(neighbours)]
    votes = np.zeros((len(ballots), len(classes)), dtype=int)
    np.add.at(votes, (np.arange(len(ballots))[:, None], ballots), 1)
    return float(np.mean(classes[votes.argmax(axis=1)] == test_y))


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

    Raises
    ------
    ValueError
        If the shapes differ, or a number is not finite.

    Notes
    -----
    rank(i) = 1 + |{j ≠ i : s(i, j) > s(i, i⁺)}| + ½ |{j ≠ i, i⁺ : s(i, j) = s(i, i⁺)}|, with cosine similarities s over
    the 2N views and the partner i⁺: the mean rank of information retrieval, with ties at their mean place.

    Examples
    --------
    >>> positive_rank(np.eye(3), np.eye(3))
    (1.0, 1.0)
    >>> positive_rank(np.ones((3, 2)), np.ones((3, 2)))
    (3.0, 0.2)
    """
    u1, u2 = pair_of(z1, z2, "positive_rank")
    xp = namespace(u1, u2, op="positive_rank")
    n = len(u1)
    u = xp.concatenate([u1, u2])
    slack = 8 * float(np.finfo(u.dtype).eps)  # equal vectors may give products that differ in the last digits
    rank, top1 = 0.0, 0.0
    for start in range(0, 2 * n, inputs.BLOCK):
        anchors = xp.arange(start, min(start + inputs.BLOCK, 2 * n))
        scores = u[start : start + inputs.BLOCK] @ u.T
        partner = scores[xp.arange(len(anchors)), (anchors + n) % (2 * n)][:, None]
        scores[xp.arange(len(anchors)), anchors] = -np.inf  # itself
        better = (scores > partner + slack).sum(axis=1)
        equal = (scores >= partner - slack).sum(axis=1) - better  # with the partner itself
        rank += float((better + (equal + 1) / 2).sum())
        top1 += float(((better == 0) / equal).sum())
    return rank / (2 * n), top1 / (2 * n)


def precision_at_k(z, y, k=10, metric="cosine", keys=None, key_labels=None):
    """Retrieval: the share of rows with the right label among the k nearest, averaged over all queries.

    Parameters
    ----------
    z : array, shape (M, d)
        The queries.
    y : labels, shape (M,)
    k : int
    metric : {"cosine", "euclidean"}
    keys : array, shape (N, d), optional
        What is searched. Without it, the other queries: no row finds itself.
    key_labels : labels, shape (N,)
        Those of the keys.

    Returns
    -------
    float
        Between 0 and 1. Embeddings without any order give the share of pairs with equal labels.

    Raises
    ------
    ValueError
        If shapes do not fit, k is larger than what can be found, all labels are equal (nothing could be wrong), or the
        keys are the queries themselves.

    Notes
    -----
    P@k = 1/(Mk) Σᵢ |{j among the k nearest of i : yⱼ = yᵢ}| (Manning, Raghavan, Schütze 2008, Introduction to
    Information Retrieval, section 8.4). A class with fewer than k others cannot reach 1.

    Examples
    --------
    >>> z = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.0, 1.0], [0.1, 0.9], [0.2, 0.8]])
    >>> precision_at_k(z, [0, 0, 0, 1, 1, 1], k=2), precision_at_k(z, [0, 0, 0, 1, 1, 1], k=4)
    (1.0, 0.5)
    """
    if (keys is None) != (key_labels is None):
        raise ValueError("precision_at_k: give keys and key_labels together, or neither.")
    if keys is z:
        raise ValueError("precision_at_k: keys are the queries, so each would find itself. Leave keys out.")
    y = labels_of(y, z, "precision_at_k", "y")
    others = y if keys is None else labels_of(key_labels, keys, "precision_at_k", "key_labels")
    two_classes(others, "precision_at_k")
    found = to_numpy(nearest(z, z if keys is None else keys, k, metric, exclude_self=keys is None))
    return float(np.mean(others[found] == y[:, None]))
