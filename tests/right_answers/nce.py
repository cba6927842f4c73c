"""Right answers to the exercises of notebook 04."""

import math

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit


def loss_logaddexp(scores, noise_scores, log_q, noise_log_q):
    log_nu = np.log(noise_scores.shape[1])
    data = np.logaddexp(0, log_q + log_nu - scores)
    noise = np.logaddexp(0, noise_scores - noise_log_q - log_nu)
    return np.mean(data + noise.sum(axis=1))


def loss_log_expit(scores, noise_scores, log_q, noise_log_q):
    n, nu = noise_scores.shape
    logits = np.concatenate([scores - log_q, -(noise_scores - noise_log_q).ravel()])
    logits[:n] -= np.log(nu)
    logits[n:] += np.log(nu)
    return -log_expit(logits).sum() / n


def loss_loops(scores, noise_scores, log_q, noise_log_q):
    """One point at a time, with a softplus by hand."""

    def softplus(t):
        return t + math.log1p(math.exp(-t)) if t > 0 else math.log1p(math.exp(t))

    n, nu = noise_scores.shape
    total = 0.0
    for i in range(n):
        total += softplus(math.log(nu) + log_q[i] - scores[i])
        for j in range(nu):
            total += softplus(noise_scores[i, j] - noise_log_q[i, j] - math.log(nu))
    return total / n


def loss_densities(scores, noise_scores, log_q, noise_log_q):
    """log h = log p − log(p + νq), all in logarithms."""
    log_nu = math.log(noise_scores.shape[1])
    of_data = np.logaddexp(scores, log_q + log_nu) - scores
    of_noise = np.logaddexp(noise_scores, noise_log_q + log_nu) - noise_log_q - log_nu
    ratio = scores - log_q - log_nu
    tiny = ratio > 30  # where the difference above would lose its digits
    of_data = np.where(tiny, np.log1p(np.exp(-np.where(tiny, ratio, 0))), of_data)
    ratio = noise_log_q + log_nu - noise_scores
    tiny = ratio > 30
    of_noise = np.where(tiny, np.log1p(np.exp(-np.where(tiny, ratio, 0))), of_noise)
    return (of_data.sum() + of_noise.sum()) / len(scores)


def gradient_expit(scores, noise_scores, log_q, noise_log_q):
    n, nu = noise_scores.shape
    return -expit(log_q + np.log(nu) - scores) / n, expit(noise_scores - noise_log_q - np.log(nu)) / n


def gradient_tanh(scores, noise_scores, log_q, noise_log_q):
    shift = np.log(len(noise_scores[0]))
    h = lambda s, q: (1 + np.tanh((s - q - shift) / 2)) / 2
    return [(h(scores, log_q) - 1) / len(scores), h(noise_scores, noise_log_q) / len(scores)]


def gradient_loops(scores, noise_scores, log_q, noise_log_q):
    def h(t):
        return 1 / (1 + math.exp(-t)) if t > 0 else math.exp(t) / (1 + math.exp(t))

    n, nu = noise_scores.shape
    ds, dn = np.empty(n), np.empty((n, nu))
    for i in range(n):
        ds[i] = (h(scores[i] - log_q[i] - math.log(nu)) - 1) / n
        for j in range(nu):
            dn[i, j] = h(noise_scores[i, j] - noise_log_q[i, j] - math.log(nu)) / n
    return ds, dn


def log_normal(x, width):
    return -((x / width) ** 2) / 2 - np.log(width * np.sqrt(2 * np.pi))


def gaussian_newton(x, noise, width):
    n, nu = noise.shape
    points = np.concatenate([x, noise.ravel()])
    data = np.arange(points.size) < n
    phi = np.column_stack([-0.5 * points**2, -np.ones(points.size)])
    offset = log_normal(points, width) + np.log(nu)
    theta = np.array([1.0 / np.var(x), 0.0])
    for _ in range(50):
        h = expit(phi @ theta - offset)
        step = np.linalg.solve(phi.T @ (phi * (h * (1 - h))[:, None]), phi.T @ (h - data))
        theta = theta - step
        if np.abs(step).max() < 1e-12:
            break
    return theta[0], theta[1]


def gaussian_bfgs(x, noise, width):
    log_q, noise_log_q = log_normal(x, width), log_normal(noise, width)

    def loss(theta):
        score = lambda x: -0.5 * theta[0] * x**2 - theta[1]
        return loss_logaddexp(score(x), score(noise), log_q, noise_log_q)

    return minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-7}).x


def gaussian_descent(x, noise, width):
    """Plain descent on the loss and its gradient from `nce_gradient`, with halved steps where the loss would rise."""
    log_q, noise_log_q = log_normal(x, width), log_normal(noise, width)
    score = lambda x, t: -0.5 * t[0] * x**2 - t[1]
    theta, rate = np.array([1.0, 0.0]), 1.0
    for _ in range(400):
        ds, dn = gradient_expit(score(x, theta), score(noise, theta), log_q, noise_log_q)
        slope = np.array([-0.5 * (ds @ x**2 + (dn * noise**2).sum()), -ds.sum() - dn.sum()])
        if np.abs(slope).max() < 1e-8:
            break
        before = loss_logaddexp(score(x, theta), score(noise, theta), log_q, noise_log_q)
        while True:
            moved = theta - rate * slope
            if loss_logaddexp(score(x, moved), score(noise, moved), log_q, noise_log_q) <= before:
                break
            rate /= 2
        theta, rate = moved, rate * 1.5
    return theta.tolist()


RIGHT = {
    "nce_loss": [loss_logaddexp, loss_log_expit, loss_loops, loss_densities],
    "nce_gradient": [gradient_expit, gradient_tanh, gradient_loops],
    "gaussian_nce": [gaussian_newton, gaussian_bfgs, gaussian_descent],
}

UNKNOWN = {
    "nce_loss": lambda s, n, q, nq: loss_logaddexp(s, n, q, np.minimum(nq, 1.0)),
    "nce_gradient": lambda s, n, q, nq: gradient_expit(np.clip(s, -3, 3), n, q, nq),
    "gaussian_nce": lambda x, noise, width: gaussian_newton(x, noise, 1.1 * width),
}

OTHERS = [
    ("nce_loss", lambda s, n, q, nq: np.logaddexp(0, -s).mean() + np.logaddexp(0, n).sum(1).mean(), "nu-q-missing"),
    ("nce_loss", lambda s, n, q, nq: -loss_log_expit(s, n, q, nq), "likelihood"),
    ("nce_loss", lambda s, n, q, nq: len(s) * loss_loops(s, n, q, nq), "data-summed"),
    ("nce_gradient", lambda s, n, q, nq: tuple(-x for x in gradient_tanh(s, n, q, nq)), "ascent"),
    ("nce_gradient", lambda s, n, q, nq: tuple(len(s) * x for x in gradient_loops(s, n, q, nq)), "not-averaged"),
    ("gaussian_nce", lambda x, noise, width: (gaussian_bfgs(x, noise, width) * [1, -1]).tolist(), "sign-of-log-z"),
    ("gaussian_nce", lambda x, noise, width: gaussian_newton(x, noise, width) * np.array([0.5, 1]), "half-missing"),
]
