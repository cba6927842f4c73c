"""Right and wrong versions for notebook 08, in the words of somebody else."""

import math

import numpy as np
from scipy.special import entr, logsumexp, softmax


def effective_loops(s, positive, temperature):
    others = [float(x) / temperature for k, x in enumerate(s) if k != positive]
    top = max(others)
    weights = [math.exp(x - top) for x in others]
    total = sum(weights)
    return math.exp(-sum(w / total * math.log(w / total) for w in weights if w))


def effective_scipy(s, positive, temperature):
    return np.exp(entr(softmax(np.delete(s, positive) / temperature)).sum())


def effective_from_logits(s, positive, temperature):
    """H = log Z − E[logit]: no logarithm of a share is taken."""
    logits = s[np.arange(len(s)) != positive] / temperature
    log_z = logsumexp(logits)
    return np.exp(log_z - np.exp(logits - log_z) @ logits)


def gradient_loops(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    count, total = len(u), 0.0
    for i in range(count):
        others = [k for k in range(count) if k != i]
        s = u[others] @ u[i]
        total += u[i] @ u[(i + len(z1)) % count] - softmax(s / temperature) @ s
    return total / (count * temperature**2)


def gradient_matrix(z1, z2, temperature):
    u = np.concatenate([z1, z2])
    u = u / np.sqrt(np.einsum("ij,ij->i", u, u))[:, None]
    s = u @ u.T
    logits = s / temperature
    np.fill_diagonal(logits, -np.inf)
    p = softmax(logits, axis=1)
    partner = np.diag(np.roll(s, len(z1), axis=1))
    return (partner - (p * s).sum(axis=1)).mean() / temperature / temperature


def gradient_by_logits(z1, z2, temperature):
    """dL/dτ = −(1/τ) Σ (∂L/∂logit) logit."""
    u = np.concatenate([z1, z2])
    u = u / np.linalg.norm(u, axis=1)[:, None]
    n = len(u)
    logits = u @ u.T / temperature
    g = softmax(np.where(np.eye(n, dtype=bool), -np.inf, logits), axis=1)
    g[np.arange(n), (np.arange(n) + n // 2) % n] -= 1
    return -(g * logits).sum() / n / temperature


def expansion_moments(s, positive, temperature):
    b = 1 / temperature
    return math.log(len(s)) + b * (np.mean(s) - s[positive]) + b * b * (np.mean(s * s) - np.mean(s) ** 2) / 2


def expansion_shifted(s, positive, temperature):
    d = [float(x - s[positive]) for x in s]
    first = sum(d) / len(d)
    second = sum((x - first) ** 2 for x in d) / len(d)
    return math.log(len(d)) + first / temperature + second / (2 * temperature**2)


def expansion_pairs(s, positive, temperature):
    """The variance is half the mean square difference of two candidates."""
    variance = ((s[:, None] - s) ** 2).mean() / 2
    return np.polyval([variance / 2, s.mean() - s[positive], np.log(len(s))], 1 / temperature)


RIGHT = {
    "effective_negatives": [effective_loops, effective_scipy, effective_from_logits],
    "temperature_gradient": [gradient_loops, gradient_matrix, gradient_by_logits],
    "large_temperature": [expansion_moments, expansion_shifted, expansion_pairs],
}
UNKNOWN = {
    "effective_negatives": lambda s, positive, temperature: effective_loops(s, positive, max(temperature, 0.2)),
    "temperature_gradient": lambda a, b, temperature: gradient_matrix(a, b, temperature + 0.01),
    "large_temperature": lambda s, positive, temperature: expansion_moments(s, positive, temperature) + temperature**-3,
}
OTHERS = [
    (
        "effective_negatives",
        lambda s, positive, temperature: 2 ** (entr(softmax(s / temperature)).sum() / np.log(2)),
        "positive-included",
    ),
    (
        "effective_negatives",
        lambda s, positive, temperature: np.exp(entr(softmax(np.delete(s, positive) / temperature)).sum() / np.log(2)),
        "log-base-2",
    ),
    ("temperature_gradient", lambda a, b, temperature: -gradient_loops(a, b, temperature), "sign"),
    ("temperature_gradient", lambda a, b, temperature: gradient_loops(a, b, temperature) * 2 * len(a), "sum"),
    (
        "large_temperature",
        lambda s, positive, temperature: logsumexp((s - s[positive]) / temperature),
        "exact-loss",
    ),
    (
        "large_temperature",
        lambda s, positive, temperature: (
            np.log(len(s)) + (s.mean() - s[positive]) / temperature + s.var() / temperature**2
        ),
        "half-missing",
    ),
]
