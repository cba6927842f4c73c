"""Right answers to the exercises of notebook 02."""

import numpy as np


def gradient_ndindex(func, x, h=1e-5):
    x = np.array(x, float)
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        up = func(x)
        x[i] = kept - h
        dx[i] = (up - func(x)) / (2 * h)
        x[i] = kept
    return dx


def gradient_unit_vectors(func, x, h=1e-5):
    x = np.asarray(x, np.float64)
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.reshape([(func(x + e) - func(x - e)) / (2 * h) for e in steps], x.shape)


def checker_all_entries(forward, vjp, x):
    g = np.random.default_rng().standard_normal(np.shape(forward(x)))
    slopes = gradient_ndindex(lambda z: np.sum(g * forward(z)), x)
    dx = np.asarray(vjp(g, x))
    if dx.shape != x.shape or not np.isfinite(dx).all():
        return False
    return bool(np.abs(dx - slopes).max() <= 1e-6 * np.abs(slopes).max())


def checker_jacobian(forward, vjp, x):
    """Every output by itself: no random number at all."""
    y = np.asarray(forward(x))
    columns = [
        (np.asarray(forward(x + e)) - forward(x - e)) / 2e-5 for e in 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
    ]
    jacobian = np.array(columns).reshape(x.size, y.size).T
    rows = []
    for unit in np.eye(y.size):
        dx = np.asarray(vjp(unit.reshape(y.shape), x))
        if dx.shape != x.shape:
            return np.False_
        rows.append(dx.ravel())
    return np.abs(np.array(rows) - jacobian).max() <= 1e-6 * np.abs(jacobian).max()


def checker_two_cotangents(forward, vjp, x):
    rng = np.random.default_rng(11)
    for _ in range(2):
        g = rng.uniform(0.5, 2, np.shape(forward(x))) * rng.choice([-1, 1], np.shape(forward(x)))
        slopes, dx = gradient_unit_vectors(lambda z, g=g: np.vdot(g, forward(z)), x), vjp(g, x)
        if np.shape(dx) != x.shape or not np.abs(dx - slopes).max() < 1e-6 * max(
            np.abs(slopes).max(), np.abs(dx).max()
        ):
            return False
    return True


def complex_ndindex(func, x, h=1e-20):
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        z = np.array(x, complex)
        z[i] += 1j * h
        dx[i] = func(z).imag / h
    return dx


def complex_unit_vectors(func, x, h=1e-20):
    return np.reshape([np.imag(func(x + 1j * h * e.reshape(x.shape))) / h for e in np.eye(x.size)], x.shape)


RIGHT = {
    "numerical_gradient": [gradient_ndindex, gradient_unit_vectors],
    "gradcheck": [checker_all_entries, checker_jacobian, checker_two_cotangents],
    "complex_step": [complex_ndindex, complex_unit_vectors],
}
