"""Right answers to the exercise `nt_xent_test` of notebook 07: tests that see every wrong loss."""

import math

import numpy as np


def own_loss(z1, z2, t):
    z = np.concatenate([z1, z2]).astype(float)
    n, total = len(z), 0.0
    for i in range(n):
        cos = lambda k, i=i: z[i] @ z[k] / math.sqrt(z[i] @ z[i]) / math.sqrt(z[k] @ z[k])
        x = np.array([(cos(k) - cos((i + n // 2) % n)) / t for k in range(n) if k != i])
        total += x.max() + math.log(np.exp(x - x.max()).sum())
    return total / n


def compares(loss):
    rng = np.random.default_rng(1)
    for n, d, t, size in ((2, 3, 0.3, 0.01), (4, 2, 1.7, 5.0), (3, 5, 0.1, 1.0)):
        z1, z2 = size * rng.standard_normal((2, n, d))
        copies = z1.copy(), z2.copy()
        value = loss(z1, z2, t)
        if not (np.array_equal(z1, copies[0]) and np.array_equal(z2, copies[1])):
            return False
        if not math.isclose(value, own_loss(*copies, t), rel_tol=1e-8):
            return False
    z1, z2 = np.eye(2, dtype=np.float32), np.array([[-1, 0], [0, 1]], np.float32)
    return math.isclose(loss(z1, z2, 0.005), own_loss(z1, z2, 0.005), rel_tol=1e-3)


def known_answers_and_laws(loss):
    """No second implementation: values that are known, and what must change nothing."""
    near = lambda x, y, limit=1e-9: bool(abs(x - y) <= limit * max(abs(y), 0.1))
    rng, eye = np.random.default_rng(2), np.eye(3)
    a, b = rng.standard_normal((2, 4, 3))
    kept, value = a.copy(), loss(a, b, 0.4)
    if not np.array_equal(a, kept):
        return np.False_
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    lengths = np.array([[0.001], [1], [3], [50]])
    broken = np.diag([-1.0, 1, 1])
    log = lambda *terms: math.log(sum(map(math.exp, terms)))
    odd = (2 * (log(-2, *[0] * 4) + 2) + 4 * (log(2, *[0] * 4) - 2)) / 6
    z1, z2 = np.eye(2, dtype=np.float32), np.diag(np.array([-1, 1], np.float32))
    return all(
        [
            near(loss(np.ones((3, 2)), np.ones((3, 2)), 0.5), math.log(5)),
            near(loss(eye, eye, 0.5), math.log1p(4 * math.exp(-2))),
            near(loss(eye, eye, 0.25), math.log1p(4 * math.exp(-4))),
            near(loss(eye, broken, 0.5), odd),
            near(loss(b, a, 0.4), value),
            near(loss(a * lengths, b * lengths[::-1], 0.4), value),
            near(loss(a @ turn, b @ turn, 0.4), value),
            near(loss(np.roll(a, 1, 0), np.roll(b, 1, 0), 0.4), value),
            near(loss(a[:1], b[:1], 0.4), 0),
            near(loss(z1, z2, 0.005), (400 + 2 * math.log(2)) / 4, 1e-3),
        ]
    )


RIGHT = {"nt_xent_test": [compares, known_answers_and_laws]}
UNKNOWN = {"nt_xent_test": lambda loss: abs(loss(np.eye(2), -np.eye(2), 1.0) - math.log(2 + math.exp(-1)) - 1) < 1e-6}
OTHERS = [
    ("nt_xent_test", lambda loss: compares(lambda z1, z2, t: loss(z1.copy(), z2.copy(), t)), "arguments-not-watched")
]
