"""Right answers to the exercises of notebook 05."""

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit


def noise_searchsorted(counts, uniform, exponent=0.75):
    q = counts**exponent
    ladder = np.cumsum(q / q.sum())
    ladder[-1] = 1.0
    return np.searchsorted(ladder, uniform, side="right")


def noise_comparison(counts, uniform, exponent=0.75):
    """How many cuts lie at or below each number."""
    q = np.power(counts, exponent, dtype=float)
    cuts = np.cumsum(q)[:-1] / q.sum()
    return (uniform[:, None] >= cuts).sum(axis=1)


def noise_loop(counts, uniform, exponent=0.75):
    weights = [float(c) ** exponent for c in counts]
    total, words = sum(weights), []
    for x in uniform:
        word, end = 0, weights[0] / total
        while x >= end and word < len(weights) - 1:
            word += 1
            end += weights[word] / total
        words.append(word)
    return np.array(words)


def subsample_mask(words, counts, uniform, threshold=1e-3):
    keep = np.sqrt(threshold * counts.sum() / np.maximum(counts, 1))
    return words[uniform < keep[words]]


def subsample_loop(words, counts, uniform, threshold=1e-3):
    kept = [w for w, x in zip(words, uniform) if x < min(1.0, (threshold / (counts[w] / counts.sum())) ** 0.5)]
    return np.array(kept, dtype=int)


def subsample_discard(words, counts, uniform, threshold=1e-3):
    """By the probability to go, as the paper has it."""
    go = 1 - np.sqrt(threshold / (counts[words] / counts.sum()))
    return np.delete(words, np.flatnonzero(1 - uniform <= go))


def gradient_loop(v, u, centers, contexts, negatives):
    dv, du = np.zeros_like(v), np.zeros_like(u)
    for c, o, drawn in zip(centers, contexts, negatives):
        for row, y in [(o, 1.0), *((j, 0.0) for j in drawn)]:
            e = expit(u[row] @ v[c]) - y
            dv[c] += e * u[row]
            du[row] += e * v[c]
    return dv, du


def gradient_add_at(v, u, centers, contexts, negatives):
    dv, du = np.zeros(v.shape), np.zeros(u.shape)
    center, context, drawn = v[centers], u[contexts], u[negatives]
    pull = expit(np.einsum("bd,bd->b", center, context)) - 1
    push = expit(np.einsum("bd,bkd->bk", center, drawn))
    np.add.at(dv, centers, pull[:, None] * context + np.einsum("bk,bkd->bd", push, drawn))
    np.add.at(du, contexts, pull[:, None] * center)
    np.add.at(du, negatives, push[:, :, None] * center[:, None, :])
    return dv, du


def gradient_sparse(v, u, centers, contexts, negatives):
    """The errors as one sparse matrix of centres and contexts, which adds up its entries."""
    there = np.column_stack([contexts, negatives])
    y = np.zeros(there.shape)
    y[:, 0] = 1
    e = expit((u[there] * v[centers][:, None]).sum(2)) - y
    errors = csr_array((e.ravel(), (np.repeat(centers, there.shape[1]), there.ravel())), shape=(len(v), len(u)))
    return errors @ u, errors.T @ v


RIGHT = {
    "noise_words": [noise_searchsorted, noise_comparison, noise_loop],
    "subsample": [subsample_mask, subsample_loop, subsample_discard],
    "sgns_gradient": [gradient_loop, gradient_add_at, gradient_sparse],
}

UNKNOWN = {
    "noise_words": lambda counts, uniform, exponent=0.75: noise_loop(np.minimum(counts, 300), uniform, exponent),
    "subsample": lambda words, counts, uniform, threshold=1e-3: subsample_mask(words, counts, uniform**2, threshold),
    "sgns_gradient": lambda v, u, c, o, n: gradient_loop(np.clip(v, -0.5, 0.5), u, c, o, n),
}

OTHERS = [
    ("noise_words", lambda counts, uniform, exponent=0.75: noise_loop(counts, uniform, 1), "unigram"),
    (
        "noise_words",
        lambda counts, uniform, exponent=0.75: noise_comparison(np.sqrt(counts), uniform, 1),
        "exponent-half",
    ),
    (
        "subsample",
        lambda words, counts, uniform, threshold=1e-3: subsample_loop(words, counts, np.sqrt(uniform), threshold),
        "no-root",
    ),
    ("sgns_gradient", lambda v, u, c, o, n: tuple(-x for x in gradient_sparse(v, u, c, o, n)), "ascent"),
    ("sgns_gradient", lambda v, u, c, o, n: tuple(x / len(c) for x in gradient_loop(v, u, c, o, n)), "pairs-averaged"),
]
