"""Right and wrong versions for notebook 12, in the words of somebody else."""

import collections

import numpy as np
from scipy.special import logsumexp


def queue_loop(queue, count, keys):
    queue = queue.copy()
    for key in keys:
        queue[count % len(queue)] = key
        count += 1
    return queue, count


def queue_slices(queue, count, keys):
    """Two slices, the second from slot 0."""
    size, total = len(queue), count + len(keys)
    kept = keys[-size:]
    start = (total - len(kept)) % size
    room = min(size - start, len(kept))
    new = np.array(queue)
    new[start : start + room] = kept[:room]
    new[: len(kept) - room] = kept[room:]
    return new, total


def queue_deque(queue, count, keys):
    """The standard library's, turned so that each key lies in its slot."""
    line = collections.deque([*np.roll(queue, -(count % len(queue)), axis=0), *keys], maxlen=len(queue))
    line.rotate((count + len(keys)) % len(queue))
    return np.array(line), np.int64(count + len(keys))


def queue_take(queue, count, keys):
    """The last time that each slot was written."""
    size, total = len(queue), count + len(keys)
    back = (total - 1 - np.arange(size)) % size
    new = back < len(keys)
    return np.where(new[:, None], keys[np.where(new, len(keys) - 1 - back, 0)], queue), total


def tester_loop(put):
    for k, sizes in ((1, (1, 2, 1)), (3, (2, 2, 2, 1)), (4, (3, 6, 1, 4)), (5, (1, 2, 11, 3, 2))):
        queue, count, number = np.zeros((k, 3)), 0, 0
        for b in sizes:
            keys = np.arange(number + 1.0, number + b + 1)[:, None] * [1.0, 10.0, -2.0]
            number += b
            q, c = queue.copy(), keys.copy()
            right, total = queue_loop(queue, count, keys)
            queue_, count_ = put(queue, count, keys)
            if not np.array_equal(queue, q) or not np.array_equal(keys, c) or count_ != total:
                return False
            if np.shape(queue_) != right.shape or not (queue_ == right).all():
                return False
            queue, count = np.array(queue_), count_
    return True


def tester_random(put):
    rng = np.random.default_rng(5)
    for _ in range(60):
        size, count = int(rng.integers(1, 7)), int(rng.integers(0, 20))
        queue, keys = rng.normal(size=(size, 2)), rng.normal(size=(int(rng.integers(1, 12)), 2))
        copies = queue.copy(), keys.copy()
        found = put(queue, count, keys)
        right = queue_take(*(copies[0], count, copies[1]))
        same = np.array_equal(found[0], right[0]) and found[1] == right[1]
        if not same or not np.array_equal(queue, copies[0]) or not np.array_equal(keys, copies[1]):
            return np.False_
    return np.True_


def lse_running(scores, n, block):
    m = total = None
    for a in range(0, n, block):
        part = scores(a, min(a + block, n))
        if m is None:
            m, total = np.full(len(part), -np.inf), np.zeros(len(part))
        new = np.maximum(m, part.max(axis=1))
        shift = np.where(new == -np.inf, 0, new)
        total = total * np.exp(m - shift) + np.exp(part - shift[:, None]).sum(axis=1)
        m = new
    return m + np.log(total)


def lse_added(scores, n, block):
    found = -np.inf
    for a in range(0, n, block):
        found = np.logaddexp(found, logsumexp(scores(a, min(a + block, n)), axis=1))
    return found


def lse_columns(scores, n, block):
    found = None
    for start in range(0, n, block):
        part = scores(start, min(start + block, n))
        for column in part.T:
            found = column.copy() if found is None else np.logaddexp(found, column)
    return found


def cached_loops(encode, pull_back, loss_gradient, x, chunk):
    z = np.concatenate([encode(x[a : a + chunk]) for a in range(0, len(x), chunk)])
    g = loss_gradient(z)
    total = 0
    for a in range(0, len(x), chunk):
        total = total + pull_back(x[a : a + chunk], g[a : a + chunk])
    return total


def cached_split(encode, pull_back, loss_gradient, x, chunk):
    cuts = list(range(chunk, len(x), chunk))
    parts = np.split(x, cuts)
    slopes = np.split(loss_gradient(np.vstack([encode(part) for part in parts])), cuts)
    return np.sum([pull_back(*pair) for pair in zip(parts, slopes)], axis=0)


def cached_rows(encode, pull_back, loss_gradient, x, chunk):
    """One row at a time is allowed too."""
    g = loss_gradient(np.array([encode(row[None])[0] for row in x]))
    return sum(pull_back(row[None], own[None]) for row, own in zip(x, g))


def scatter_loops(g):
    ranks = len(g)
    n = g.shape[1] // ranks
    dx = np.zeros((ranks, n, g.shape[2]))
    for owner in range(ranks):
        for user in range(ranks):
            dx[owner] += g[user, owner * n : (owner + 1) * n]
    return dx


RIGHT = {
    "fifo_queue": [queue_loop, queue_slices, queue_deque, queue_take],
    "queue_test": [tester_loop, tester_random],
    "blocked_lse": [lse_running, lse_added, lse_columns],
    "cached_gradient": [cached_loops, cached_split, cached_rows],
    "gather_vjp": [
        scatter_loops,
        lambda g: g.sum(axis=0).reshape(len(g), -1, g.shape[2]),
        lambda g: np.array(np.split(np.add.reduce(g), len(g))),
    ],
}
UNKNOWN = {
    "fifo_queue": lambda queue, count, keys: queue_take(queue, count, np.round(keys[:5])),
    "queue_test": lambda put: np.array_equal(put(np.ones((4, 1)), 3, np.zeros((1, 1)))[0], [[1], [1], [1], [0]]),
    "blocked_lse": lambda scores, n, block: np.clip(lse_added(scores, n, block), -500, 500),
    "cached_gradient": lambda encode, pull_back, loss_gradient, x, chunk: cached_loops(
        encode, lambda x, g: pull_back(x, np.clip(g, -0.3, 0.3)), loss_gradient, x, chunk
    ),
    "gather_vjp": lambda g: scatter_loops(g)[::-1],
}
OTHERS = [
    (
        "fifo_queue",
        lambda queue, count, keys: (np.vstack([queue, keys])[len(keys) :], count + len(keys)),
        "all-moved",
    ),
    ("blocked_lse", lambda scores, n, block: np.log(np.exp(scores(0, n)).sum(1)), "all-at-once"),
    (
        "cached_gradient",
        lambda encode, pull_back, loss_gradient, x, chunk: sum(
            pull_back(x[a : a + chunk], loss_gradient(encode(x[a : a + chunk]))) for a in range(0, len(x), chunk)
        ),
        "parts-by-themselves",
    ),
    (
        "gather_vjp",
        lambda g: np.array([g[r, r * g.shape[1] // len(g) : (r + 1) * g.shape[1] // len(g)] for r in range(len(g))]),
        "own-part-only",
    ),
]
