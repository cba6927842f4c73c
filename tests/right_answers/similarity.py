"""Right answers to the exercises of notebook 00."""

import numpy as np


def matrix_where(x, y):
    def unit(z):
        length = np.linalg.norm(z, axis=1, keepdims=True)
        return z / np.where(length == 0, 1, length)

    return unit(x) @ unit(y).T


def matrix_loops(x, y):
    s = np.zeros((len(x), len(y)))
    for i, a in enumerate(x):
        for k, b in enumerate(y):
            if a.any() and b.any():
                s[i, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return s


def matrix_outer(x, y):
    lengths = np.outer(np.sqrt(np.einsum("id,id->i", x, x)), np.sqrt(np.einsum("id,id->i", y, y)))
    return np.divide(np.einsum("id,kd->ik", x, y), lengths, out=np.zeros_like(lengths), where=lengths > 0)


def matrix_scaled(x, y):
    """Exact where squares overflow, too."""

    def unit(z):
        top = np.max(np.abs(z), axis=-1, keepdims=True)
        z = z / (top + (top == 0))
        return z / np.sqrt((z * z).sum(-1, keepdims=True) + (top == 0))

    return unit(x) @ unit(y).T


def matrix_broadcast(x, y):
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt((x**2).sum(1))[:, None] * np.sqrt((y**2).sum(1))
        return np.nan_to_num((x[:, None] * y).sum(-1) / lengths)


def gradient_units(u, v):
    a, b = np.linalg.norm(u), np.linalg.norm(v)
    if a * b == 0:
        return np.zeros_like(u), np.zeros_like(v)
    p, q = u / a, v / b
    return (q - (p @ q) * p) / a, (p - (p @ q) * q) / b


def gradient_quotient_rule(u, v):
    a, b = np.sqrt(u @ u), np.sqrt(v @ v)
    if a == 0 or b == 0:
        return 0 * u, 0 * v
    return v / (a * b) - (u @ v) * u / (a**3 * b), u / (a * b) - (u @ v) * v / (a * b**3)


def gradient_jacobians(u, v):
    def unit_and_jacobian(z):
        length = np.sqrt((z * z).sum())
        if not length:
            return 0 * z, np.zeros((len(z), len(z)))
        unit = z / length
        return unit, (np.eye(len(z)) - np.outer(unit, unit)) / length

    (p, jp), (q, jq) = unit_and_jacobian(u), unit_and_jacobian(v)
    return [jp @ q, jq @ p]


def gradient_scaled(u, v):
    top_u, top_v = np.abs(u).max(), np.abs(v).max()
    if not top_u or not top_v:
        return np.zeros(u.shape), np.zeros(v.shape)
    du, dv = gradient_units(u / top_u, v / top_v)
    return du / top_u, dv / top_v


def breaker_fan(d):
    a, b, c = np.zeros(d), np.zeros(d), np.zeros(d)
    a[:2], b[:2], c[:2] = (1, 0), (1, 1), (0, 1)
    return a, b, c


def breaker_best(d):
    angles = np.radians([0, 60, 120])
    return tuple(np.pad([np.cos(t), np.sin(t)], (0, d - 2)) for t in angles)


def breaker_axes(d):
    e = np.eye(d)
    return [-3 * e[-1], e[0] - e[-1], 0.1 * e[0]]


RIGHT = {
    "cosine_matrix": [matrix_where, matrix_loops, matrix_outer, matrix_scaled, matrix_broadcast],
    "cosine_gradient": [gradient_units, gradient_quotient_rule, gradient_jacobians, gradient_scaled],
    "triangle_breaker": [breaker_fan, breaker_best, breaker_axes],
}

UNKNOWN = {
    "cosine_matrix": lambda x, y: np.clip(matrix_where(x, y), 0, 1),
    "cosine_gradient": lambda u, v: tuple(g * (1 + 1e-6) for g in gradient_units(u, v)),
    "triangle_breaker": lambda d: (np.ones(d), np.full(d, np.nan), np.eye(d)[0]),
}


def other_axis_zero(x, y):
    with np.errstate(all="ignore"):
        return np.matmul(x / np.linalg.norm(x, axis=0, keepdims=True), (y / np.linalg.norm(y, axis=0)).T)


def other_no_projection(u, v):
    size = np.linalg.norm(u) * np.linalg.norm(v)
    return (v / size, u / size) if size else (0 * u, 0 * v)


def other_gradient_eps(u, v):
    """The eps stands in the product of the lengths."""
    a, b = np.linalg.norm(u) + 1e-12, np.linalg.norm(v) + 1e-12
    return v / (a * b) - (u @ v) * u / (a**3 * b), u / (a * b) - (u @ v) * v / (a * b**3)


OTHERS = [
    ("cosine_matrix", other_axis_zero, "columns-normalised"),
    ("cosine_matrix", lambda x, y: np.einsum("id,kd->ik", x, y), "inner-product"),
    ("cosine_matrix", lambda x, y: matrix_where(x, y).T, "transposed"),
    ("cosine_gradient", other_no_projection, "no-projection"),
    ("cosine_gradient", other_gradient_eps, "eps"),
    ("cosine_gradient", lambda u, v: [-g for g in gradient_scaled(u, v)], "of-the-distance"),
    ("triangle_breaker", lambda d: (np.eye(d)[0], 5 * np.eye(d)[1], -np.eye(d)[0]), "right-angles"),
    ("triangle_breaker", lambda d: (np.ones(d), np.ones(d), np.ones(d)), "one-direction"),
]
