"""Derivatives by differences: the witness that gradients are held against. It shares no line with minicl.

Everything here is plain NumPy in float64, and looks at one entry of one input at a time.
"""

import numpy as np

WEIGHTS = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))  # the error is h⁴/30 of the fifth derivative


def central(f, arrays, k, scale=1.0):
    """The gradient of the number f(*arrays) with respect to arrays[k], by differences over five points."""
    h = 1e-3 * min(scale, 1.0)
    gradient = np.zeros_like(arrays[k])
    for i in np.ndindex(gradient.shape):
        for step, weight in WEIGHTS:
            moved = list(arrays)
            moved[k] = arrays[k].copy()
            moved[k][i] += step * h
            gradient[i] += weight * float(f(*moved)) / h
    return gradient


def complex_step(f, arrays, k):
    """The same for an analytic f, to the last digit: Im f(x + ih) / h has no difference of near numbers."""
    h = 1e-30
    gradient = np.zeros_like(arrays[k])
    for i in np.ndindex(gradient.shape):
        moved = [x.astype(complex) for x in arrays]
        moved[k][i] += 1j * h
        gradient[i] = np.imag(f(*moved)) / h
    return gradient


def assert_close(found, expected, tolerance, floor=0.0, what=""):
    """Each entry within `tolerance` of the largest entry, or within `floor`; the message names the worst entry."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    if not found.size:
        return
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(np.asarray(found, float) - expected))
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = max(tolerance * finite.max(initial=0.0), floor)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    assert error[worst] <= allowed, (
        f"{what}: entry {tuple(map(int, worst))} is {found[worst]!r}, expected {expected[worst]!r}; "
        f"off by {error[worst]:.2e}, allowed {allowed:.2e}"
    )
