"""Right answers to the exercise `backward` of notebook 01."""

import numpy as np


def reverse_loop(parents, slopes, grads):
    new = np.where([len(ends) > 0 for ends in parents], 0.0, grads)
    new[-1] = 1
    for k in reversed(range(len(new))):
        for p, s in zip(parents[k], slopes[k]):
            new[p] += s * new[k]
    return new


def by_children(parents, slopes, grads):
    """Each node asks those that were computed from it."""
    n = len(parents)
    slope = np.zeros(n)
    slope[-1] = 1
    for p in range(n - 2, -1, -1):
        slope[p] = sum(s * slope[k] for k in range(n) for end, s in zip(parents[k], slopes[k]) if end == p)
    return [slope[k] + (grads[k] if not parents[k] and k < n - 1 else 0) for k in range(n)]


def forward_slopes(parents, slopes, grads):
    """Forward mode from each node: no backward pass at all."""
    n, new = len(parents), np.array(grads)
    for start in range(n):
        by = np.zeros(n)
        for k in range(n):
            by[k] = 1.0 if k == start else sum(s * by[p] for p, s in zip(parents[k], slopes[k]))
        keeps = not parents[start] and start < n - 1
        new[start] = by[-1] + (grads[start] if keeps else 0)
    return new


RIGHT = {"backward": [reverse_loop, by_children, forward_slopes]}
UNKNOWN = {"backward": lambda parents, slopes, grads: np.clip(reverse_loop(parents, slopes, grads), -6, 6)}


def other_overwrites(parents, slopes, grads):
    new = {k: 0.0 if ends else grads[k] for k, ends in enumerate(parents)}
    new[len(parents) - 1] = 1.0
    for k in range(len(parents) - 1, -1, -1):
        for j, p in enumerate(parents[k]):
            new[p] = slopes[k][j] * new[k]
    return np.array([new[k] for k in range(len(parents))])


OTHERS = [("backward", other_overwrites, "overwritten")]
