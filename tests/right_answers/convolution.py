"""Right answers to the exercises of notebook 10."""

import math

import numpy as np


def conv_by_offsets(g, x, w, stride):
    """One entry of the window at a time, for all windows."""
    (kh, kw), (_, ho, wo, _) = w.shape[:2], g.shape
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(kh):
        for j in range(kw):
            there = np.s_[:, i : i + stride * (ho - 1) + 1 : stride, j : j + stride * (wo - 1) + 1 : stride]
            dx[there] += g @ w[i, j].T
            dw[i, j] = np.tensordot(x[there], g, ([0, 1, 2], [0, 1, 2]))
    return dx, dw


def conv_by_places(g, x, w, stride):
    """One window at a time."""
    kh, kw = w.shape[:2]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, p, q in np.ndindex(g.shape[:3]):
        window = np.s_[n, stride * p : stride * p + kh, stride * q : stride * q + kw]
        dx[window] += w @ g[n, p, q]
        dw += x[window][..., None] * g[n, p, q]
    return dx, dw


def conv_by_mirror(g, x, w, stride):
    """A convolution of the spread and padded g with the mirrored kernel."""
    (n, h, wd, _), (kh, kw, _, k) = x.shape, w.shape
    spread = np.zeros((n, h + kh - 1, wd + kw - 1, k), g.dtype)
    rows, columns = (slice(a - 1, a + stride * (p - 1), stride) for a, p in ((kh, g.shape[1]), (kw, g.shape[2])))
    spread[:, rows, columns] = g
    see = np.lib.stride_tricks.sliding_window_view
    dx = np.einsum("npqkij,ijck->npqc", see(spread, (kh, kw), axis=(1, 2)), w[::-1, ::-1])
    patches = see(x, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    return dx, np.einsum("npqcij,npqk->ijck", patches, g)


def group_norm_reshaped(x, groups, eps):
    n, h, w, c = x.shape
    y = x.reshape(n, h * w, groups, c // groups)
    y = y - y.mean((1, 3), keepdims=True)
    return (y / np.sqrt((y * y).mean((1, 3), keepdims=True) + eps)).reshape(x.shape)


def group_norm_loops(x, groups, eps):
    y, size = np.empty_like(x), x.shape[3] // groups
    for n in range(len(x)):
        for k in range(groups):
            part = x[n, :, :, k * size : (k + 1) * size]
            y[n, :, :, k * size : (k + 1) * size] = (part - part.mean()) / math.sqrt(part.var() + eps)
    return y


def group_norm_split(x, groups, eps):
    parts = []
    for part in np.split(x, groups, axis=3):
        rows = part.reshape(len(x), -1)
        rows = (rows - rows.mean(1, keepdims=True)) * (rows.var(1, keepdims=True) + eps) ** -0.5
        parts.append(rows.reshape(part.shape))
    return np.concatenate(parts, axis=3)


def rate_by_cases(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    if step >= steps:
        return final
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def rate_by_mixing(step, steps, warmup, peak, final):
    """cos² of half the angle is the share of the peak."""
    share = np.cos(np.clip((step - warmup) / (steps - warmup), 0, 1) * np.pi / 2) ** 2
    return np.where(step < warmup, peak * (step + 1) / max(warmup, 1), share * peak + (1 - share) * final)


def conv_flipped_by_hand(g, x, w, stride):
    """Somebody took the same convolution for its own adjoint."""
    return conv_by_mirror(g, x, w[::-1, ::-1], stride)[0], conv_by_mirror(g, x, w, stride)[1]


RIGHT = {
    "conv_vjp": [conv_by_offsets, conv_by_places, conv_by_mirror],
    "group_norm": [group_norm_reshaped, group_norm_loops, group_norm_split],
    "cosine_rate": [rate_by_cases, rate_by_mixing],
}

UNKNOWN = {
    "conv_vjp": lambda g, x, w, stride: (conv_by_offsets(g, x, w, stride)[0] * (1 + 1e-7), conv_by_places(g, x, w, stride)[1]),
    "group_norm": lambda x, groups, eps: np.clip(group_norm_loops(x, groups, eps), -1.2, 1.2),
    "cosine_rate": lambda *args: rate_by_cases(*args) ** 2 / args[3],
}  # fmt: skip

OTHERS = [
    ("conv_vjp", conv_flipped_by_hand, "not-mirrored"),
    ("group_norm", lambda x, groups, eps: group_norm_reshaped(x, 1, eps), "one-group"),
    ("group_norm", lambda x, groups, eps: group_norm_split(x, groups, 0.0), "no-eps"),
    ("cosine_rate", lambda s, n, w, p, f: p * s / w if s < w else rate_by_cases(s, n, w, p, f), "first-step-lost"),
]
