"""Right answers to notebook 06, each in ways that share little, and wrong ones that the grader has not seen."""

import math

import numpy as np
from scipy.special import log_expit, log_softmax, logsumexp
from scipy.stats import multivariate_normal, norm

# ------------------------------------------------------------------------------------------------------------- InfoNCE


def info_nce_matrix(queries, keys, queue, temperature):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    candidates = np.concatenate([unit(keys), unit(queue)])
    scores = unit(queries) @ candidates.T / temperature
    top = scores.max(axis=1, keepdims=True)
    log_p = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(queries)), np.arange(len(queries))])


def info_nce_loops(queries, keys, queue, temperature):
    """One query after the other, all in double precision."""
    cosine = lambda a, b: float(np.dot(a, b)) / math.sqrt(float(np.dot(a, a)) * float(np.dot(b, b)))
    total = 0.0
    for i, q in enumerate(queries.astype(float)):
        own = cosine(q, keys[i].astype(float)) / temperature
        gaps = [cosine(q, c.astype(float)) / temperature - own for c in [*keys, *queue]]
        top = max(gaps)
        total += top + math.log(sum(math.exp(g - top) for g in gaps))
    return total / len(queries)


def info_nce_queue_first(queries, keys, queue, temperature):
    """The queue may stand first where the label moves with it."""
    scores = np.concatenate([queue, keys]) @ queries.T
    lengths = np.outer(np.linalg.norm(np.concatenate([queue, keys]), axis=1), np.linalg.norm(queries, axis=1))
    scores = (scores / lengths / temperature).T
    return (logsumexp(scores, axis=1) - np.diagonal(scores, offset=len(queue))).mean()


def info_nce_scipy(queries, keys, queue, temperature):
    q, c = queries / np.sqrt((queries**2).sum(1))[:, None], np.vstack([keys, queue])
    c = (c.T / np.linalg.norm(c, axis=1)).T
    return -np.trace(log_softmax(np.einsum("id,jd->ij", q, c) / temperature, axis=1)) / len(q)


# ----------------------------------------------------------------------------------------------------- Gaussians


def mi_densities(x, y, negatives, rho):
    """Each density by its name."""
    deviation = math.sqrt(1 - rho**2)
    ratio = lambda a, b: (norm.logpdf(b, rho * a, deviation) - norm.logpdf(b)).sum(-1)
    scores = np.concatenate([ratio(x, y)[:, None], ratio(x[:, None, :], negatives)], axis=1)
    return -x.shape[1] * math.log(deviation), math.log(scores.shape[1]) + log_softmax(scores, axis=1)[:, 0].mean()


def mi_quadratic(x, y, negatives, rho):
    """Without the terms that all candidates share: they cancel in the softmax."""
    n, k = len(x), negatives.shape[1] + 1
    slope, bend = rho / (1 - rho**2), rho**2 / (2 * (1 - rho**2))
    estimate = math.log(k)
    for i in range(n):
        candidates = np.vstack([y[i : i + 1], negatives[i]])
        scores = slope * candidates @ x[i] - bend * (candidates**2).sum(axis=1)
        estimate -= (logsumexp(scores) - scores[0]) / n
    return -0.5 * x.shape[1] * math.log(1 - rho**2), estimate


def mi_joint(x, y, negatives, rho):
    """From the joint density of (x, y), coordinate by coordinate."""
    joint = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    pairs = np.concatenate([y[:, None], negatives], axis=1)
    both = np.stack(np.broadcast_arrays(x[:, None], pairs), axis=-1)
    log_joint = joint.logpdf(both).reshape(pairs.shape)
    scores = (log_joint - norm.logpdf(pairs)).sum(-1)  # p(x) is the same for all candidates
    loss = np.mean([np.logaddexp.reduce(row) - row[0] for row in scores])
    return np.array([x.shape[1] * -0.5 * np.log((1 - rho) * (1 + rho)), np.log(pairs.shape[1]) - loss]).tolist()


# ------------------------------------------------------------------------------------------------------ cross-entropies


def readings_softplus(scores, temperature):
    s = scores / temperature
    softplus = lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    others = softplus(logsumexp(s[1:]) - s[0])  # one question against the log-sum-exp of the negatives
    return softplus(s[1] - s[0]), softplus(-s[0]) + np.sum(softplus(s[1:])), others


def readings_labels(scores, temperature):
    """Each as −Σ label × log probability."""
    s = np.asarray(scores) / temperature
    yes, no = log_expit(s), log_expit(-s)
    label = np.arange(len(s)) == 0
    return [-log_expit(s[0] - s[1]), -np.where(label, yes, no).sum(), -log_softmax(s)[0]]


def readings_loop(scores, temperature):
    s = [float(x) / temperature for x in scores]
    soft = lambda x: x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))
    binary, total = soft(-s[0]), 0.0
    for x in s[1:]:
        binary += soft(x)
    top = max(s)
    for x in s:
        total += math.exp(x - top)
    return soft(s[1] - s[0]), binary, math.log(total) + top - s[0]


RIGHT = {
    "info_nce": [info_nce_matrix, info_nce_loops, info_nce_queue_first, info_nce_scipy],
    "gaussian_mi": [mi_densities, mi_quadratic, mi_joint],
    "cross_entropy_readings": [readings_softplus, readings_labels, readings_loop],
}

UNKNOWN = {
    "info_nce": lambda q, k, n, t: info_nce_matrix(q, k, n, math.sqrt(t)),
    "gaussian_mi": lambda x, y, n, rho: mi_densities(x, y, n, 0.9 * rho),
    "cross_entropy_readings": lambda s, t: readings_softplus(np.sort(s)[::-1], t),
}

OTHERS = [
    (
        "info_nce",
        lambda q, k, n, t: info_nce_matrix(k, q, n, t),
        "roles-exchanged",
    ),
    ("info_nce", lambda q, k, n, t: info_nce_loops(q, k, n[:0], t), "queue-missing"),
    ("info_nce", lambda q, k, n, t: info_nce_loops(q, k, np.vstack([n, k[:1]]), t) if len(q) == 1
        else np.mean([info_nce_loops(q[i : i + 1], k[i : i + 1], np.vstack([k, n]), t) for i in range(len(q))]),
        "positive-twice"),
    ("info_nce", lambda q, k, n, t: len(q) * info_nce_matrix(q, k, n, t), "summed"),
    ("gaussian_mi", lambda x, y, n, rho: (mi_densities(x, y, n, rho)[0], math.log(n.shape[1] + 1)
        - mi_densities(x, y, n, rho)[1]), "loss-returned"),
    ("gaussian_mi", lambda x, y, n, rho: (2 * mi_joint(x, y, n, rho)[0], mi_joint(x, y, n, rho)[1]), "half-forgotten"),
    ("cross_entropy_readings", lambda s, t: readings_labels(s * t, 1.0), "temperature-multiplied"),
    ("cross_entropy_readings", lambda s, t: (readings_loop(s, t)[0], readings_loop(s, t)[1] / len(s),
        readings_loop(s, t)[2]), "binary-mean"),
]  # fmt: skip
