"""Right and wrong versions for notebook 13, in the words of somebody else."""

import math

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax


def supcon_loops(z, labels, temperature):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(len(u)):
        candidates = [k for k in range(len(u)) if k != i]
        mine = [k for k in candidates if labels[k] == labels[i]]
        if mine:
            lse = logsumexp([u[i] @ u[k] / temperature for k in candidates])
            losses.append(sum(lse - u[i] @ u[p] / temperature for p in mine) / len(mine))
    return math.fsum(losses) / len(losses)


def supcon_matrix(z, labels, temperature):
    u = z / np.sqrt(np.einsum("ij,ij->i", z, z))[:, None]
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    same = np.equal.outer(labels, labels)
    np.fill_diagonal(same, False)
    log_p = np.where(same, log_softmax(logits, axis=1), 0)
    kept = same.any(axis=1)
    return -(log_p[kept].sum(axis=1) / same[kept].sum(axis=1)).mean()


def supcon_cross_entropy(z, labels, temperature):
    """A cross-entropy whose target is spread over the positives; the row itself is deleted."""
    n = len(z)
    off = ~np.eye(n, dtype=bool)
    u = z / np.linalg.norm(z, axis=1)[:, None]
    logits = (u @ u.T)[off].reshape(n, n - 1) / temperature
    same = (labels[:, None] == labels)[off].reshape(n, n - 1)
    some = same.sum(1) > 0
    target = same[some] / same[some].sum(1, keepdims=True)
    top = logits[some].max(1, keepdims=True)
    lse = np.log(np.exp(logits[some] - top).sum(1)) + top[:, 0]
    return np.mean(lse - (target * logits[some]).sum(1))


def gradient_matrix(z, labels, temperature):
    size = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / size
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    count = same.sum(axis=1, keepdims=True)
    weights = np.where(count > 0, softmax(logits, axis=1) - same / np.maximum(count, 1), 0)
    weights /= temperature * np.count_nonzero(count)
    du = weights @ u + weights.T @ u
    return (du - u * np.sum(u * du, axis=1, keepdims=True)) / size


def gradient_loops(z, labels, temperature):
    n, d = z.shape
    length = np.sqrt((z**2).sum(1))
    u = z / length[:, None]
    du, rows = np.zeros((n, d)), [i for i in range(n) if np.sum(labels == labels[i]) > 1]
    for i in rows:
        others = np.delete(np.arange(n), i)
        p = softmax(u[others] @ u[i] / temperature)
        mine = labels[others] == labels[i]
        for k, weight in zip(others, (p - mine / mine.sum()) / temperature / len(rows)):
            du[i] += weight * u[k]
            du[k] += weight * u[i]
    return np.array([(np.eye(d) - np.outer(v, v)) @ g / s for v, g, s in zip(u, du, length)])


def debiased_loops(s_pos, s_neg, prior, temperature):
    losses = []
    for p, negatives in zip(s_pos, s_neg):
        # Relative to a: exp((s − p)/τ) may be huge, so in logarithms.
        log_mean = logsumexp((negatives - p) / temperature) - math.log(len(negatives))
        rest = logsumexp([log_mean, 0.0], b=[1.0, -prior]) if log_mean > math.log(prior or 1e-300) else -math.inf
        log_g = max(rest - math.log(1 - prior), (-1 - p) / temperature)
        losses.append(np.logaddexp(0, math.log(len(negatives)) + log_g))
    return np.array(losses)


def debiased_rows(s_pos, s_neg, prior, temperature):
    top = np.maximum(s_pos, s_neg.max(axis=1))[:, None]
    scaled = lambda s: np.exp((s - top) / temperature)
    a, lowest = scaled(s_pos[:, None]), scaled(-np.ones_like(s_pos)[:, None])
    g = np.clip((scaled(s_neg).mean(axis=1, keepdims=True) - prior * a) / (1 - prior), lowest, None)
    return (np.log(a + s_neg.shape[1] * g) - (s_pos[:, None] - top) / temperature)[:, 0]


def step_loop(weights, gradients, lr, scale, decay):
    new, rate = np.empty_like(weights), lr
    for layer in reversed(range(len(weights))):
        new[layer] = weights[layer] - rate * gradients[layer] / (np.abs(gradients[layer]) + 1e-8)
        rate = rate * (scale if layer == len(weights) - 1 else decay)
    return new


def step_rates(weights, gradients, lr, scale, decay):
    powers = np.arange(len(weights) - 2, -1, -1.0)
    rates = lr * np.append(scale * decay**powers, 1.0)
    return weights - rates[:, None] * (gradients / (np.sqrt(gradients**2) + 1e-8))


RIGHT = {
    "supcon": [supcon_loops, supcon_matrix, supcon_cross_entropy],
    "supcon_gradient": [gradient_matrix, gradient_loops],
    "debiased_info_nce": [debiased_loops, debiased_rows],
    "layerwise_step": [step_loop, step_rates],
}
UNKNOWN = {
    "supcon": lambda z, labels, temperature: supcon_loops(z, labels, temperature + 0.01),
    "supcon_gradient": lambda z, labels, temperature: gradient_matrix(z, labels, temperature + 0.01),
    "debiased_info_nce": lambda p, n, prior, temperature: debiased_rows(p, n, prior, temperature) ** 2,
    "layerwise_step": lambda w, g, lr, scale, decay: step_rates(w, g, 1.1 * lr, scale, decay),
}
OTHERS = [
    (
        "supcon",
        lambda z, labels, temperature: supcon_loops(z, labels, temperature) * temperature / 0.07,
        "base-temperature",
    ),
    ("supcon", lambda z, labels, temperature: -supcon_matrix(z, labels, temperature), "sign"),
    (
        "supcon_gradient",
        lambda z, labels, temperature: gradient_loops(z, labels, temperature) * temperature,
        "temperature-missing",
    ),
    (
        "debiased_info_nce",
        lambda p, n, prior, temperature: debiased_rows(p, n, prior, 1.0),
        "temperature-ignored",
    ),
    ("layerwise_step", lambda w, g, lr, scale, decay: step_loop(w, g, lr, scale, decay) - w, "step-returned"),
    ("layerwise_step", lambda w, g, lr, scale, decay: step_loop(w, g, lr, 1.0, 1.0), "no-scaling"),
]
