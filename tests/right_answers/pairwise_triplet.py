"""Right answers to the exercises of notebook 03."""

import numpy as np


def contrastive_rows(x1, x2, similar, margin):
    difference = x1 - x2
    d = np.linalg.norm(difference, axis=1)
    room = np.maximum(margin - d, 0)
    value = np.where(similar, d**2, room**2).mean() / 2
    direction = np.divide(difference, d[:, None], out=np.zeros_like(difference), where=d[:, None] > 0)
    g = np.where(similar[:, None], difference, -room[:, None] * direction) / len(x1)
    return value, g, -g


def contrastive_loop(x1, x2, similar, margin):
    n, value = len(x1), 0.0
    dx1, dx2 = np.zeros(x1.shape), np.zeros(x2.shape)
    for i in range(n):
        gap = x2[i] - x1[i]
        d = np.sqrt(gap @ gap)
        if similar[i]:
            value += d * d / 2
            dx1[i], dx2[i] = -gap / n, gap / n
        elif d < margin:
            value += (margin - d) ** 2 / 2
            if d > 0:
                dx1[i] = (margin - d) * gap / d / n
                dx2[i] = -dx1[i]
    return value / n, dx1, dx2


def contrastive_hypot(x1, x2, similar, margin):
    """Hadsell's Y, and the slope of each loss by its distance."""
    y = 1.0 - similar
    d = np.sqrt(np.einsum("ij,ij->i", x1 - x2, x1 - x2))
    room = np.clip(margin - d, 0, None)
    slope = (1 - y) * d - y * room
    towards = (x1 - x2) * (slope / np.where(d == 0, 1, d))[:, None] / d.size
    return np.mean((1 - y) * d * d + y * room * room) * 0.5, towards, np.negative(towards)


def triplet_rows(anchor, positive, negative, margin):
    p, n = anchor - positive, anchor - negative
    d_p, d_n = np.linalg.norm(p, axis=1), np.linalg.norm(n, axis=1)
    hinge = d_p - d_n + margin
    w = (hinge > 0) / len(anchor)
    u = p * (w / np.where(d_p > 0, d_p, 1))[:, None]
    v = n * (w / np.where(d_n > 0, d_n, 1))[:, None]
    return np.maximum(hinge, 0).mean(), u - v, -u, v


def triplet_loop(anchor, positive, negative, margin):
    total, gradients = 0.0, np.zeros((3, *anchor.shape))

    def side(a, b):
        length = np.sqrt(((a - b) ** 2).sum())
        return length, (a - b) / length if length else np.zeros_like(a)

    for i, (a, p, n) in enumerate(zip(anchor, positive, negative)):
        (d_p, u), (d_n, v) = side(a, p), side(a, n)
        if d_p + margin > d_n:
            total += d_p - d_n + margin
            gradients[:, i] = u - v, -u, v
    return total / len(anchor), *(gradients / len(anchor))


def semi_hard_loop(distances, labels):
    n = len(labels)
    found = -np.ones((n, n), int)
    for a in range(n):
        for p in range(n):
            if p != a and labels[p] == labels[a]:
                beyond = [(distances[a, k], k) for k in range(n) if labels[k] != labels[a]]
                beyond = [pair for pair in beyond if pair[0] > distances[a, p]]
                if beyond:
                    found[a, p] = min(beyond)[1]
    return found


def semi_hard_cube(distances, labels):
    same = labels[:, None] == labels
    usable = ~same[:, None, :] & (distances[:, None, :] > distances[:, :, None])
    cube = np.where(usable, distances[:, None, :], np.inf)
    pairs = same & ~np.eye(len(labels), dtype=bool) & usable.any(2)
    return np.where(pairs, cube.argmin(2), -1)


def semi_hard_sorted(distances, labels):
    found = np.full(distances.shape, -1)
    for a, row in enumerate(distances):
        order = np.argsort(row, kind="stable")
        others = order[labels[order] != labels[a]]
        for p in np.flatnonzero(labels == labels[a]):
            place = np.searchsorted(row[others], row[p], side="right")
            if p != a and place < len(others):
                found[a, p] = others[place]
    return found


def limit_logaddexp(positive, negatives, temperature):
    over = (negatives - positive[:, None]) / temperature
    soft = temperature * np.logaddexp(0, np.logaddexp.reduce(over, axis=1))
    return soft, soft - np.maximum(0, over.max(1) * temperature)


def limit_candidates(positive, negatives, temperature):
    """The positive as one more candidate; the gap without a subtraction of large numbers."""
    scores = np.concatenate([positive[:, None], negatives], axis=1)
    top = scores.max(1)
    gap = temperature * np.log(np.exp((scores - top[:, None]) / temperature).sum(1))
    return gap + top - positive, gap


def limit_loop(positive, negatives, temperature):
    soft, gap = [], []
    for p, row in zip(positive, negatives):
        x = [0.0, *((s - p) / temperature for s in row)]
        rest = temperature * np.log(sum(np.exp(v - max(x)) for v in x))
        soft.append(rest + temperature * max(x))
        gap.append(rest)
    return soft, gap


RIGHT = {
    "contrastive": [contrastive_rows, contrastive_loop, contrastive_hypot],
    "triplet": [triplet_rows, triplet_loop],
    "semi_hard": [semi_hard_loop, semi_hard_cube, semi_hard_sorted],
    "triplet_limit": [limit_logaddexp, limit_candidates, limit_loop],
}

# ------------------------------------------------------------------------------------------------------ wrong versions


def other_contrastive_paper(x1, x2, similar, margin):
    """Y as in the paper, given as it is."""
    return contrastive_rows(x1, x2, ~similar, margin)


def other_contrastive_nan(x1, x2, similar, margin):
    d = np.linalg.norm(x1 - x2, axis=1, keepdims=True)
    g = np.where(similar[:, None], x1 - x2, np.minimum(0, d - margin) * ((x1 - x2) / d)) / len(x1)
    return contrastive_rows(x1, x2, similar, margin)[0], g, -g


def other_contrastive_open(x1, x2, similar, margin):
    d = np.linalg.norm(x1 - x2, axis=1)
    slope = np.where(similar, d, d - margin)
    g = (x1 - x2) * (slope / np.where(d > 0, d, np.inf))[:, None] / len(d)
    return np.mean(0.5 * slope**2), g, -g


def other_triplet_facenet(anchor, positive, negative, margin):
    v = ((anchor - positive) ** 2).sum(1) - ((anchor - negative) ** 2).sum(1) + margin
    w = 2 * (v > 0)[:, None] / len(v)
    return np.maximum(v, 0).mean(), w * (negative - positive), w * (positive - anchor), w * (anchor - negative)


def other_semi_hard_hardest(distances, labels):
    row = np.where(labels[:, None] != labels, distances, np.inf)
    ok = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool) & np.isfinite(row).any(1)[:, None]
    return np.where(ok, row.argmin(1)[:, None], -1)


def other_limit_softmax(positive, negatives, temperature):
    scores = np.exp(np.concatenate([positive[:, None], negatives], axis=1) / temperature)
    soft = -temperature * np.log(scores[:, 0] / scores.sum(1))
    return soft, soft - np.maximum(0, (negatives - positive[:, None]).max(1))


OTHERS = [
    ("contrastive", other_contrastive_paper, "similar-flipped"),
    ("contrastive", other_contrastive_nan, "zero-over-zero"),
    ("contrastive", other_contrastive_open, "no-clamp"),
    ("triplet", other_triplet_facenet, "squared"),
    ("triplet", lambda a, p, n, m: tuple(triplet_rows(a, n, p, m)[k] for k in (0, 1, 3, 2)), "roles-swapped"),
    ("semi_hard", other_semi_hard_hardest, "hardest"),
    ("semi_hard", lambda d, y: semi_hard_cube(d, y).T.copy(), "anchor-exchanged"),
    ("triplet_limit", other_limit_softmax, "overflow"),
    ("triplet_limit", lambda p, n, t: limit_loop(p, n.max(1, keepdims=True), t), "hardest-only"),
]

UNKNOWN = {
    "contrastive": lambda x1, x2, similar, margin: contrastive_rows(x1, x2, similar, margin * 1.01),
    "triplet": lambda a, p, n, m: triplet_rows(a, p, n, m + 1e-3),
    "semi_hard": lambda d, y: semi_hard_cube(d, np.minimum(y, 1)),
    "triplet_limit": lambda p, n, t: limit_candidates(p, n, t * 1.01),
}
