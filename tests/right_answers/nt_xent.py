"""Right versions of NT-Xent and of its gradient, written as differently as learners write them."""

import cmath
import math

import numpy as np
from scipy.special import log_softmax, logsumexp

import minicl as mc

try:
    import torch  # before the grader's clock runs
except ImportError:
    torch = None

# ---------------------------------------------------------------------------------------------------------------- value


def plain_loops(z1, z2, temperature):
    rows = [list(map(float, row)) for row in [*z1, *z2]]
    n, cut = len(rows), len(z1)
    total = 0.0
    for i in range(n):
        logits = {}
        for k in range(n):
            if k != i:
                dot = sum(a * b for a, b in zip(rows[i], rows[k]))
                logits[k] = dot / math.hypot(*rows[i]) / math.hypot(*rows[k]) / temperature
        top = max(logits.values())
        total += top + math.log(math.fsum(math.exp(s - top) for s in logits.values())) - logits[(i + cut) % n]
    return total / n


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def matrix(z1, z2, temperature):
    u = unit(np.vstack([z1, z2]))
    n = len(u)
    s = u @ u.T / temperature
    np.fill_diagonal(s, -np.inf)
    top = s.max(axis=1, keepdims=True)
    lse = top[:, 0] + np.log(np.exp(s - top).sum(axis=1))
    return np.mean(lse - s[np.arange(n), np.r_[n // 2 : n, 0 : n // 2]])


def along_columns(z1, z2, temperature):
    """The softmax over axis 0: the matrix of scores is symmetric, and so is the relation of partners."""
    u = unit(np.vstack([z1, z2]))
    n = len(u)
    s = u @ u.T / temperature
    s[np.diag_indices(n)] = -np.inf
    top = s.max(axis=0)
    return (np.log(np.exp(s - top).sum(axis=0)) + top - s[(np.arange(n) + n // 2) % n, np.arange(n)]).mean()


def interleaved(z1, z2, temperature):
    z = np.empty((2 * len(z1), z1.shape[1]))
    z[0::2], z[1::2] = z1, z2
    u = z / np.sqrt(np.einsum("ij,ij->i", z, z))[:, None]
    s = np.einsum("id,kd->ik", u, u) / temperature
    s -= np.diag([np.inf] * len(s))
    return np.mean(logsumexp(s, axis=1) - s[np.arange(len(s)), np.arange(len(s)) ^ 1])


def interleaved_without_inf(z1, z2, temperature):
    return interleaved_blocks(np.stack([z1, z2], axis=1), temperature)


def interleaved_blocks(z, temperature):
    u = z / np.linalg.norm(z, axis=2, keepdims=True)
    n = len(u)
    losses = []
    for i in range(n):
        for view in range(2):
            scores = u.reshape(2 * n, -1) @ u[i, view] / temperature
            others = np.delete(scores, 2 * i + view)
            losses.append(np.logaddexp.reduce(others) - scores[2 * i + 1 - view])
    return np.array(losses).mean()


def diagonal_deleted(z1, z2, temperature):
    u = unit(np.concatenate((z1, z2)))
    n, half = len(u), len(z1)
    logits = (u @ u.T)[~np.eye(n, dtype=bool)].reshape(n, n - 1) / temperature
    label = np.concatenate([np.arange(half) + half - 1, np.arange(half)])
    return -log_softmax(logits, axis=1)[range(n), label].mean()


def softplus_form(z1, z2, temperature):
    u = unit(np.concatenate((z1, z2)))
    n, half = len(u), len(z1)
    if half == 1:
        return 0.0
    s = u @ u.T / temperature
    losses = []
    for i in range(n):
        j = (i + half) % n
        margin = logsumexp([s[i, k] for k in range(n) if k not in (i, j)]) - s[i, j]
        losses.append(max(margin, 0) + math.log1p(math.exp(-abs(margin))))
    return float(np.mean(losses))


def scipy_weights(z1, z2, temperature):
    u = unit(np.concatenate((z1, z2)))
    n = len(u)
    s = u @ u.T / temperature
    candidates = 1.0 - np.eye(n)
    partner = np.roll(np.arange(n), n // 2)
    return (logsumexp(s, b=candidates, axis=1) - np.take_along_axis(s, partner[:, None], 1)[:, 0]).mean()


def single_precision(z1, z2, temperature):
    z = np.concatenate((z1, z2)).astype(np.float32)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = u @ u.T / np.float32(temperature)
    s[np.eye(len(s), dtype=bool)] = np.float32(-np.inf)
    s = s - s.max(1)[:, None]
    return np.log(np.exp(s).sum(1)).mean(dtype=np.float32) - s[np.arange(len(s)), np.arange(len(s)) - len(z1)].mean()


def four_blocks(z1, z2, temperature):
    """The blocks aa, ab, ba, bb, and a large number for infinity: the habit of the official code."""
    a, b = unit(z1), unit(z2)
    n = len(a)
    mask = np.eye(n) * 1e9
    aa, bb = a @ a.T / temperature - mask, b @ b.T / temperature - mask
    ab = a @ b.T / temperature
    total = 0
    for logits in (np.hstack([ab, aa]), np.hstack([ab.T, bb])):
        logits = logits - logits.max(1, keepdims=True)
        total += np.log(np.exp(logits).sum(1)).mean() - np.diagonal(logits).mean()
    return total / 2


def chunked(z1, z2, temperature, block=2):
    """The candidates come in blocks; of each row only the largest logit and a sum are kept."""
    u = unit(np.concatenate((z1, z2)))
    n = len(u)
    top, total = np.full(n, -np.inf), np.zeros(n)
    for start in range(0, n, block):
        s = u @ u[start : start + block].T / temperature
        s[np.arange(n)[:, None] == np.arange(start, min(start + block, n))] = -np.inf
        new = np.maximum(top, s.max(1))
        safe = np.where(np.isfinite(new), new, 0)
        total = total * np.exp(top - safe) + np.exp(s - safe[:, None]).sum(1)
        top = new
    partner = np.concatenate([u[n // 2 :], u[: n // 2]])
    return np.mean(np.log(total) + top - (u * partner).sum(1) / temperature)


def by_distance(z1, z2, temperature):
    """On the sphere cos = 1 − d²/2: the constant cancels."""
    u = unit(np.concatenate((z1, z2)))
    n = len(u)
    squared = ((u[:, None] - u[None]) ** 2).sum(2)
    logits = -squared / (2 * temperature)
    logits[range(n), range(n)] = -math.inf
    return np.mean([logsumexp(row) - row[(i + n // 2) % n] for i, row in enumerate(logits)])


def comparisons(z1, z2, temperature):
    """Each candidate against the partner, the largest difference in front."""
    u = unit(np.concatenate((z1, z2)))
    n, losses = len(u), []
    for i in range(n):
        partner = u[i] @ u[i - n // 2]
        gaps = [(float(u[i] @ u[k]) - partner) / temperature for k in range(n) if k != i]
        top = max(gaps)
        losses.append(top + math.log(sum(math.exp(gap - top) for gap in gaps)))
    return np.float64(sum(losses) / n)


def on_the_circle(z1, z2, temperature):
    """In two dimensions by angles; otherwise as above."""
    if z1.shape[1] != 2:
        return matrix(z1, z2, temperature)
    angles = [cmath.phase(complex(*row)) for row in np.concatenate((z1, z2))]
    s = np.cos(np.subtract.outer(angles, angles)) / temperature
    n = len(s)
    losses = [logsumexp(np.delete(s[i], i)) - s[i, i - n // 2] for i in range(n)]
    return np.array(losses).mean()


def with_minicl(z1, z2, temperature):
    return mc.to_numpy(mc.losses.nt_xent(mc.tensor(z1), mc.tensor(z2), temperature))


def with_cross_entropy(z1, z2, temperature):
    u = mc.normalize(mc.tensor(np.concatenate((z1, z2))))
    scores = mc.where(np.eye(len(u), dtype=bool), -np.inf, u @ mc.swapaxes(u, 0, 1) / temperature)
    return mc.losses.cross_entropy(scores, (np.arange(len(u)) + len(z1)) % len(u)).item()


def with_torch(z1, z2, temperature):
    u = torch.nn.functional.normalize(torch.cat([torch.tensor(z1), torch.tensor(z2)]), dim=1)
    s = (u @ u.T / temperature).masked_fill(torch.eye(len(u), dtype=torch.bool), -torch.inf)
    return torch.nn.functional.cross_entropy(s, torch.arange(len(u)).roll(len(z1))).item()


# ------------------------------------------------------------------------------------------------------------- gradient


def gradient_matrices(z1, z2, temperature):
    z = np.concatenate((z1, z2))
    size = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / size
    n = len(u)
    s = u @ u.T / temperature
    np.fill_diagonal(s, -np.inf)
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    g = p.copy()
    g[np.arange(n), np.roll(np.arange(n), n // 2)] -= 1
    du = (g + g.T) @ u / (n * temperature)
    dz = (du - (du * u).sum(1, keepdims=True) * u) / size
    return dz[: n // 2], dz[n // 2 :]


def gradient_by_entries(z1, z2, temperature):
    """Anchor by anchor: what it does to itself, and what it does to each candidate."""
    z = np.concatenate((z1, z2)).astype(np.float64)
    n, half = len(z), len(z1)
    u = np.array([row / math.sqrt(row @ row) for row in z])
    du = np.zeros_like(u)
    for i in range(n):
        others = [k for k in range(n) if k != i]
        logits = np.array([u[i] @ u[k] / temperature for k in others])
        p = np.exp(logits - logits.max())
        p = p / p.sum()
        for k, weight in zip(others, p):
            pull = (weight - (k == (i + half) % n)) / (n * temperature)
            du[i] += pull * u[k]
            du[k] += pull * u[i]
    dz = np.zeros_like(z)
    for i in range(n):
        length = math.sqrt(z[i] @ z[i])
        jacobian = (np.eye(z.shape[1]) - np.outer(u[i], u[i])) / length
        dz[i] = jacobian @ du[i]
    return [dz[:half], dz[half:]]


def gradient_with_2y(z1, z2, temperature):
    """(P + Pᵀ − 2Y) U, since the matrix of partners is symmetric; the projection by a difference of products."""
    z = np.concatenate((z1, z2))
    squares = np.einsum("ij,ij->i", z, z)[:, None]
    u = z / np.sqrt(squares)
    n = len(u)
    s = np.where(np.eye(n, dtype=bool), -np.inf, u @ u.T / temperature)
    p = np.exp(log_softmax(s, axis=1))
    pull = (p + p.T) @ u - 2 * np.roll(u, n // 2, axis=0)
    pull /= n * temperature
    dz = pull / np.sqrt(squares) - z * np.einsum("ij,ij->i", pull, u)[:, None] / squares
    return dz[: n // 2], dz[n // 2 :]


def gradient_with_minicl(z1, z2, temperature):
    a, b = mc.tensor(z1), mc.tensor(z2)
    return tuple(mc.grad(mc.losses.nt_xent(a, b, temperature), [a, b]))


def gradient_with_torch(z1, z2, temperature):
    a, b = (torch.tensor(z, requires_grad=True) for z in (z1, z2))
    u = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    s = (u @ u.T / temperature).masked_fill(torch.eye(len(u), dtype=torch.bool), -torch.inf)
    torch.nn.functional.cross_entropy(s, torch.arange(len(u)).roll(len(z1))).backward()
    return a.grad.numpy(), b.grad.numpy()


RIGHT = {
    "nt_xent": [
        plain_loops,
        matrix,
        along_columns,
        interleaved,
        interleaved_without_inf,
        diagonal_deleted,
        softplus_form,
        scipy_weights,
        single_precision,
        four_blocks,
        chunked,
        by_distance,
        comparisons,
        on_the_circle,
        with_minicl,
        with_cross_entropy,
    ],
    "nt_xent_gradient": [gradient_matrices, gradient_by_entries, gradient_with_2y, gradient_with_minicl],
}
if torch is not None:
    RIGHT["nt_xent"].append(with_torch)
    RIGHT["nt_xent_gradient"].append(gradient_with_torch)


# ------------------------------------------------------------------------------------- wrong answers of somebody else


def other_keeps_itself(z1, z2, temperature):
    z = np.vstack((z1, z2))
    u = z / np.linalg.norm(z, axis=-1)[:, None]
    p = np.exp(log_softmax(u.dot(u.T) / temperature, axis=-1))
    return -np.mean([math.log(p[i, i - len(z1)]) for i in range(len(z))])


def other_decoupled(z1, z2, temperature):
    u = unit(np.vstack((z1, z2)))
    n, total = len(u), 0.0
    for i in range(n):
        j = (i + len(z1)) % n
        negatives = [k for k in range(n) if k not in (i, j)]
        total += -u[i] @ u[j] / temperature
        total += logsumexp([u[i] @ u[k] / temperature for k in negatives]) if negatives else -math.inf
    return total / n


def other_naive(z1, z2, temperature):
    u = unit(np.vstack((z1, z2)))
    e = np.exp(u @ u.T / temperature) * (1 - np.eye(len(u)))
    positive = np.exp((u * np.roll(u, len(z1), 0)).sum(1) / temperature)
    return np.mean(np.log(e.sum(1)) - np.log(positive))


def other_article(z1, z2, temperature):
    """Rows in the order of the article, and the sum to N."""
    z = [row for pair in zip(z1, z2) for row in pair]
    n = len(z1)
    cosine = lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    ell = lambda i, j: (
        -math.log(
            math.exp(cosine(z[i], z[j]) / temperature)
            / sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(n) if k != i)
        )
    )
    return sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


def other_anchor_only(z1, z2, temperature):
    """What SimCLR prints in its Table 2, summed over the anchors."""
    z = np.concatenate((z1, z2))
    n, half = len(z), len(z1)
    dz = []
    for i in range(n):
        u = unit(z)
        logits = u @ u[i] / temperature
        logits[i] = -np.inf
        p = np.exp(logits - logits.max())
        p /= p.sum()
        pull = (p @ u - u[(i + half) % n]) / temperature / n
        dz.append((pull - u[i] * (u[i] @ pull)) / np.linalg.norm(z[i]))
    return np.array(dz[:half]), np.array(dz[half:])


OTHERS = [
    ("nt_xent", other_keeps_itself, "self-not-masked"),
    ("nt_xent", other_decoupled, "partner-not-in-sum"),
    ("nt_xent", other_naive, "naive-exp"),
    ("nt_xent", other_article, "sum-to-n"),
    ("nt_xent", lambda z1, z2, t: 2 * matrix(z1, z2, t), "divided-by-n"),
    ("nt_xent", lambda z1, z2, t: matrix(z1, z2, 1.0), "temperature-ignored"),
    ("nt_xent", lambda z1, z2, t: matrix(z1 - z1.mean(0) * 0, z1, t), "second-view-ignored"),
    ("nt_xent_gradient", other_anchor_only, "candidates-constant"),
    ("nt_xent_gradient", lambda z1, z2, t: [t * g for g in gradient_matrices(z1, z2, t)], "temperature-missing"),
    ("nt_xent_gradient", lambda z1, z2, t: [len(z1) * 2 * g for g in gradient_matrices(z1, z2, t)], "mean-missing"),
    ("nt_xent_gradient", lambda z1, z2, t: [-g for g in gradient_with_2y(z1, z2, t)], "sign"),
]
UNKNOWN = {
    "nt_xent": lambda z1, z2, t: matrix(np.abs(z1), z2, t),
    "nt_xent_gradient": lambda z1, z2, t: tuple(g.round(3) for g in gradient_matrices(z1, z2, t)),
}
