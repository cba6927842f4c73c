"""Wrong answers that no one wrote the catalogue for: 40 functions as a student might hand them in; none may pass.

They were written after the exercises and without a look at the wrong versions there. `SENSIBLE` lists the diagnoses
that would help whoever wrote the function; where it is None no known mistake fits, and the general hints have to do.
"""

import math

import numpy as np
import pytest
from right_answers.gradient_checking import gradient_unit_vectors
from right_answers.nt_xent import gradient_matrices, matrix
from right_answers.simclr import knn_matrix, probe_centred

from minicl.course import check


def scores(z1, z2, t):
    z = np.vstack([z1, z2])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = z @ z.T / t
    np.fill_diagonal(s, -np.inf)
    return s, np.roll(np.arange(len(z)), len(z) // 2)


def logsumexp(s, axis=1):
    top = s.max(axis, keepdims=True)
    return np.log(np.exp(s - top).sum(axis)) + np.squeeze(top, axis)


# ------------------------------------------------------------------------------------------------------------ nt_xent


def masked_with_a_small_number(z1, z2, t):
    """A mask of −1e9 would do; −10 is no infinity."""
    s, partner = scores(z1, z2, t)
    np.fill_diagonal(s, -10.0)
    return (logsumexp(s) - s[np.arange(len(s)), partner]).mean()


def median_of_anchors(z1, z2, t):
    s, partner = scores(z1, z2, t)
    return np.median(logsumexp(s) - s[np.arange(len(s)), partner])


def squared_cosine(z1, z2, t):
    s, partner = scores(z1, z2, 1.0)
    np.fill_diagonal(s, 0)
    s = s * s / t
    np.fill_diagonal(s, -np.inf)
    return (logsumexp(s) - s[np.arange(len(s)), partner]).mean()


def length_of_the_batch(z1, z2, t):
    z1, z2 = z1 / np.linalg.norm(z1), z2 / np.linalg.norm(z2)
    s = np.vstack([z1, z2]) @ np.vstack([z1, z2]).T / t
    np.fill_diagonal(s, -np.inf)
    return (logsumexp(s) - s[np.arange(len(s)), np.roll(np.arange(len(s)), len(z1))]).mean()


def sum_of_absolute_values_as_length(z1, z2, t):
    z = np.vstack([z1, z2])
    z = z / np.abs(z).sum(1, keepdims=True)
    s = z @ z.T / t
    np.fill_diagonal(s, -np.inf)
    return (logsumexp(s) - s[np.arange(len(s)), np.roll(np.arange(len(s)), len(z1))]).mean()


def root_of_the_temperature(z1, z2, t):
    return matrix(z1, z2, math.sqrt(t))


def hardest_candidate_only(z1, z2, t):
    s, partner = scores(z1, z2, t)
    return (s.max(1) - s[np.arange(len(s)), partner]).mean()


def partner_rolled_the_wrong_way(z1, z2, t):
    s, _ = scores(z1, z2, t)
    partner = np.roll(np.arange(len(s)), len(z1) - 1)
    partner[partner == np.arange(len(s))] = 0
    return (logsumexp(s) - s[np.arange(len(s)), partner]).mean()


def half_weight_for_negatives(z1, z2, t):
    s, partner = scores(z1, z2, t)
    rows = np.arange(len(s))
    e = np.exp(s - s.max(1, keepdims=True))
    own = e[rows, partner]
    return -np.log(own / (own + (e.sum(1) - own) / 2)).mean()


def clipped_logits(z1, z2, t):
    s, partner = scores(z1, z2, t)
    own = s[np.arange(len(s)), partner]
    return (logsumexp(np.clip(s, -50, 50) + np.where(np.isinf(s), -np.inf, 0)) - np.clip(own, -50, 50)).mean()


# --------------------------------------------------------------------------------------------------- nt_xent_gradient


def without_length(z1, z2, t):
    """The norm of the whole view divides, and not that of a row."""
    d1, d2 = gradient_matrices(z1, z2, t)
    return d1 * np.linalg.norm(z1, axis=1, keepdims=True) / np.linalg.norm(z1), d2


def temperature_squared(z1, z2, t):
    return tuple(g / t for g in gradient_matrices(z1, z2, t))


def averaged_views(z1, z2, t):
    d1, d2 = gradient_matrices(z1, z2, t)
    return (d1 + d2) / 2, (d1 + d2) / 2


def forward_differences(z1, z2, t):
    found = []
    for which in (0, 1):
        z, value = (z1, z2)[which], matrix(z1, z2, t)
        d = np.zeros_like(z)
        for i in np.ndindex(z.shape):
            e = np.zeros_like(z)
            e[i] = 1e-4
            d[i] = ((matrix(z1 + e, z2, t) if which == 0 else matrix(z1, z2 + e, t)) - value) / 1e-4
        found.append(d)
    return tuple(found)


def unit_length(z1, z2, t):
    return tuple(g / (np.linalg.norm(g) + 1e-12) for g in gradient_matrices(z1, z2, t))


# ------------------------------------------------------------------------------------------------------- other losses


def info(queries, keys, queue, t, candidates=None, squash=lambda s: s):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    q = unit(queries)
    c = unit(np.vstack([keys, queue])) if len(queue) else unit(keys)
    s = squash(q @ c.T) / t
    return (logsumexp(s) - s[np.arange(len(q)), np.arange(len(q))]).mean()


def info_queue_twice(queries, keys, queue, t):
    return info(queries, keys, np.vstack([queue, queue]), t)


def info_first_query_only(queries, keys, queue, t):
    return info(queries[:1], keys, queue, t)


def info_queue_unscaled(queries, keys, queue, t):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    a, b = unit(queries) @ unit(keys).T / t, unit(queries) @ unit(queue).T
    s = np.hstack([a, b])
    return (logsumexp(s) - np.diag(a)).mean()


def info_rectified(queries, keys, queue, t):
    return info(queries, keys, queue, t, squash=lambda s: np.maximum(s, 0))


def sup(z, labels, t, same=None, weigh=None):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = u @ u.T / t
    np.fill_diagonal(s, -np.inf)
    own = labels[:, None] == labels
    np.fill_diagonal(own, False)
    has = own.any(1)
    log = s - logsumexp(s)[:, None]
    rows = [-(log[i][own[i]]).mean() for i in np.flatnonzero(has)]
    return np.mean(rows) if weigh is None else weigh(rows, own, log)


def sup_first_positive(z, labels, t):
    return sup(
        z, labels, t, weigh=lambda rows, own, log: -np.mean([log[i][own[i]][0] for i in np.flatnonzero(own.any(1))])
    )


def sup_neighbouring_labels(z, labels, t):
    return sup(z, labels // 2, t)


def sup_largest(z, labels, t):
    return sup(z, labels, t, weigh=lambda rows, own, log: max(rows))


# ------------------------------------------------------------------------------------------------------ the other ones


def checker_rounded(forward, vjp, x):
    g = np.random.default_rng(1).standard_normal(np.shape(forward(x)))
    slopes = gradient_unit_vectors(lambda z: np.sum(g * forward(z)), x)
    dx = vjp(g, x)
    return np.shape(dx) == x.shape and bool(np.all(np.round(dx, 3) == np.round(slopes, 3)))


def checker_positive_cotangent(forward, vjp, x):
    g = 2 * np.ones(np.shape(forward(x)))
    slopes = gradient_unit_vectors(lambda z: np.sum(g * forward(z)), x)
    dx = np.asarray(vjp(g, x))
    return dx.shape == x.shape and bool(np.abs(dx - slopes).max() <= 1e-6 * np.abs(slopes).max())


def checker_median(forward, vjp, x):
    g = np.random.default_rng(1).standard_normal(np.shape(forward(x)))
    slopes = gradient_unit_vectors(lambda z: np.sum(g * forward(z)), x)
    dx = np.asarray(vjp(g, x))
    return dx.shape == x.shape and bool(np.median(np.abs(dx - slopes)) <= 1e-6 * np.abs(slopes).max())


def checker_last_row(forward, vjp, x):
    g = np.random.default_rng(1).standard_normal(np.shape(forward(x)))
    slopes = gradient_unit_vectors(lambda z: np.sum(g * forward(z)), x)
    dx = np.asarray(vjp(g, x))
    return dx.shape == x.shape and bool(np.abs(dx - slopes)[-1].max() <= 1e-6 * np.abs(slopes).max())


def put_dequeues_newest(queue, count, keys):
    queue = queue.copy()
    for k in keys:
        queue[min(count, len(queue) - 1)] = k
        count += 1
    return queue, count


def put_random_slot(queue, count, keys):
    queue, rng = queue.copy(), np.random.default_rng(0)
    for k in keys:
        queue[count if count < len(queue) else rng.integers(len(queue))] = k
        count += 1
    return queue, count


def put_skips_known(queue, count, keys):
    queue = queue.copy()
    for k in keys:
        if not (queue == k).all(1).any():
            queue[count % len(queue)] = k
            count += 1
    return queue, count


def lse_clipped(g, x):
    p = np.exp(np.clip(x, -30, 30))
    return g[..., None] * p / p.sum(-1, keepdims=True)


def lse_subtracts_mean(g, x):
    p = np.exp(x - x.mean(-1, keepdims=True))
    return g[..., None] * p / p.sum(-1, keepdims=True)


def lse_log_softmax(g, x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return g[..., None] * np.log(p / p.sum(-1, keepdims=True))


def probe_rounds(train_x, train_y, test_x, ridge):
    return probe_centred(np.round(train_x), train_y, np.round(test_x), ridge)


def probe_nearest_mean(train_x, train_y, test_x, ridge):
    classes = np.unique(train_y)
    means = np.array([train_x[train_y == c].mean(0) for c in classes])
    return classes[((test_x[:, None] - means) ** 2).sum(-1).argmin(1)]


def probe_whitened(train_x, train_y, test_x, ridge):
    size = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    return probe_centred(size(train_x), train_y, size(test_x), ridge)


def knn_of_manhattan(features, labels, k):
    d = np.abs(features[:, None] - features).sum(-1)
    np.fill_diagonal(d, np.inf)
    near = labels[np.argsort(d, axis=1, kind="stable")[:, :k]]
    return np.array([np.bincount(row).argmax() for row in near])


def matmul_broadcast(g, a, b):
    return g.sum(1, keepdims=True) * b.sum(1), a.sum(0)[:, None] * g.sum(0)


SENSIBLE = [
    ("nt_xent", masked_with_a_small_number, None),
    ("nt_xent", median_of_anchors, None),
    ("nt_xent", squared_cosine, None),
    ("nt_xent", length_of_the_batch, {"not-normalised", "columns-normalised"}),
    ("nt_xent", sum_of_absolute_values_as_length, {"not-normalised", "columns-normalised"}),
    ("nt_xent", root_of_the_temperature, {"temperature-twice", "temperature-ignored", "temperature-multiplied"}),
    ("nt_xent", hardest_candidate_only, None),
    ("nt_xent", partner_rolled_the_wrong_way, {"next-row", "interleaved-index", "partner-clipped", "label-shift"}),
    ("nt_xent", half_weight_for_negatives, None),
    ("nt_xent", clipped_logits, {"naive-exp", "eps-in-log", "global-max"}),
    ("nt_xent_gradient", without_length, {"length-missing", "factor"}),
    ("nt_xent_gradient", temperature_squared, {"factor"}),
    ("nt_xent_gradient", averaged_views, {"one-view-detached", "views-exchanged"}),
    ("nt_xent_gradient", forward_differences, {"seven-digits"}),
    ("nt_xent_gradient", unit_length, {"factor"}),
    ("info_nce", info_queue_twice, None),
    ("info_nce", info_first_query_only, None),
    ("info_nce", info_queue_unscaled, {"temperature-ignored", "temperature-in-denominator-only"}),
    ("info_nce", info_rectified, None),
    ("supcon", sup_first_positive, {"nearest-positive"}),
    ("supcon", sup_neighbouring_labels, None),
    ("supcon", sup_largest, None),
    ("gradcheck", checker_rounded, {"absolute-tolerance", "allclose-defaults"}),
    ("gradcheck", checker_positive_cotangent, {"all-ones-cotangent"}),
    ("gradcheck", checker_median, {"one-random-index", "first-entry", "tolerance-one-percent", "nan-accepted"}),
    ("gradcheck", checker_last_row, {"first-entry", "one-random-index"}),
    ("fifo_queue", put_dequeues_newest, {"takes-nothing-when-full"}),
    ("fifo_queue", put_random_slot, None),
    ("fifo_queue", put_skips_known, None),
    ("logsumexp_vjp", lse_clipped, {"naive-exp"}),
    ("logsumexp_vjp", lse_subtracts_mean, {"naive-exp", "global-shift"}),
    ("logsumexp_vjp", lse_log_softmax, None),
    ("linear_probe", probe_rounds, None),
    ("linear_probe", probe_nearest_mean, {"no-bias", "standardised"}),
    ("linear_probe", probe_whitened, {"standardised"}),
    ("knn", knn_of_manhattan, {"euclidean"}),
    ("knn", lambda features, labels, k: knn_matrix(features, labels, k + 1), {"self-included", "k-ignored"}),
    ("matmul_vjp", matmul_broadcast, None),
    ("cosine_matrix", lambda x, y: np.corrcoef(x, y)[: len(x), len(x) :], None),
    ("uniformity", lambda z, t: 0.5 * math.log(max(float(np.mean(np.exp(-t * (z - z[::-1]) ** 2))), 1e-300)), None),
]


@pytest.mark.parametrize("name, function, helpful", SENSIBLE, ids=[f"{i}-{row[0]}" for i, row in enumerate(SENSIBLE)])
def test_a_wrong_answer_that_no_one_foresaw_is_failed(name, function, helpful):
    report = check(name, function)
    assert not report.passed and report.failure.startswith("f(") and len(report.hints) == 3


def test_how_many_of_them_get_a_diagnosis_that_helps():
    """Few: who makes an unknown mistake sees the failing input and general hints, and is hardly ever misled."""
    found = [(check(name, function).diagnosis, helpful) for name, function, helpful in SENSIBLE]
    first = [(diagnosis[0], helpful) for diagnosis, helpful in found if diagnosis]
    helped = [d for d, helpful in first if helpful and d.name in helpful]
    misled = [d for d, helpful in first if not (helpful and d.name in helpful) and d.sure > 0.9]
    assert len(helped) >= 5 and not misled, (len(helped), misled)
