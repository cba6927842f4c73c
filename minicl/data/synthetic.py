"""Points made by a formula: a circle, blobs, two moons. What lies behind them is known, so one can see what is learned.

In more than two dimensions they lie on a curved surface, and no column is a coordinate of the plane.
"""

from typing import NamedTuple

import numpy as np


class Points(NamedTuple):
    """Points and their labels; unpacks as `points, labels`."""

    points: np.ndarray  # (N, d)
    labels: np.ndarray  # (N,)

    def __repr__(self):
        return f"Points({self.points.dtype} {self.points.shape}, {len(np.unique(self.labels))} classes)"


def circle(n=500, classes=4, noise=0.05, dimensions=2, seed=0, dtype=np.float64):
    """Points around the unit circle, evenly spread by chance; the class is the arc that a point belongs to.

    Parameters
    ----------
    n : int
    classes : int
        The number of arcs, all of one length; the first begins at (1, 0).
    noise : float
        Standard deviation of what is added to each coordinate in the plane.
    dimensions : int
        Above 2, the plane is bent into so many dimensions (see `bend`).
    seed : int
    dtype : dtype

    Returns
    -------
    Points
        `.points` of shape (n, dimensions), `.labels` of shape (n,).

    Raises
    ------
    ValueError
        If there are fewer points than classes, fewer than two dimensions, or the noise is negative.

    Examples
    --------
    >>> circle(100, dimensions=10)
    Points(float64 (100, 10), 4 classes)
    """
    _checked("circle", n, classes, noise)
    rng = np.random.default_rng(seed)
    turn = rng.random(n)
    plane = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], axis=1)
    return _finished(plane, (turn * classes).astype(np.int64), noise, dimensions, rng, seed, dtype)


def blobs(n=500, classes=4, noise=0.2, dimensions=2, seed=0, dtype=np.float64):
    """Round clouds, whose centres stand evenly on the unit circle.

    Parameters
    ----------
    n : int
        The classes share them evenly.
    classes : int
    noise : float
        Standard deviation of each cloud.
    dimensions : int
        Above 2, the plane is bent into so many dimensions (see `bend`).
    seed : int
    dtype : dtype

    Returns
    -------
    Points
        `.points` of shape (n, dimensions), `.labels` of shape (n,).

    Raises
    ------
    ValueError
        If there are fewer points than classes, fewer than two dimensions, or the noise is negative.

    Examples
    --------
    >>> points, labels = blobs(100, classes=3)
    """
    _checked("blobs", n, classes, noise)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    angle = 2 * np.pi * labels / classes
    return _finished(np.stack([np.cos(angle), np.sin(angle)], axis=1), labels, noise, dimensions, rng, seed, dtype)


def moons(n=500, noise=0.1, dimensions=2, seed=0, dtype=np.float64):
    """Two half circles that reach into each other: no straight line parts them.

    Parameters
    ----------
    n : int
        Both moons have half of them.
    noise : float
        Standard deviation of what is added to each coordinate in the plane.
    dimensions : int
        Above 2, the plane is bent into so many dimensions (see `bend`).
    seed : int
    dtype : dtype

    Returns
    -------
    Points
        `.points` of shape (n, dimensions), `.labels` of shape (n,), 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer points than classes, fewer than two dimensions, or the noise is negative.

    Examples
    --------
    >>> moons(100, dimensions=8)
    Points(float64 (100, 8), 2 classes)
    """
    _checked("moons", n, 2, noise)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    angle = np.pi * rng.random(n)
    side = 1 - 2 * labels  # the second one is turned by half a circle and moved
    plane = np.stack([side * np.cos(angle) + labels, side * np.sin(angle) + labels / 2], axis=1)
    return _finished(plane - [0.5, 0.25], labels, noise, dimensions, rng, seed, dtype)


def bend(points, dimensions, strength=1.0, seed=0):
    """Put points on a curved surface in more dimensions.

    Parameters
    ----------
    points : array, shape (N, d)
    dimensions : int
        Above d.
    strength : float
        0 leaves the surface flat.
    seed : int
        The same seed gives the same surface.

    Returns
    -------
    array, shape (N, dimensions)

    Raises
    ------
    ValueError
        If there are no dimensions to bend into.

    Notes
    -----
    With the other `dimensions` − d coordinates curved, f(x) = Q (x, `strength` · sin(2 W x + b)): W and b are drawn,
    and so is the rotation Q, which mixes the columns. Since x stands in it, different points stay different (an
    embedding), and no distance shrinks.

    Examples
    --------
    >>> flat = circle(50, noise=0).points
    >>> bend(flat, 10).shape
    (50, 10)
    """
    points = np.asarray(points)
    if points.ndim != 2 or not points.shape[1] < dimensions:
        raise ValueError(f"bend: points {points.shape} are (N, d), and dimensions={dimensions} must be above d.")
    rng, d = np.random.default_rng(seed), points.shape[1]
    W, b = rng.standard_normal((d, dimensions - d)), rng.uniform(0, 2 * np.pi, dimensions - d)
    Q = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    return np.concatenate([points, strength * np.sin(2 * points @ W + b)], axis=1) @ Q.T


def _checked(name, n, classes, noise):
    if not 1 <= classes <= n:
        raise ValueError(f"{name}: {n} points cannot be of {classes} classes.")
    if not noise >= 0:
        raise ValueError(f"{name}: the noise must not be negative, got {noise}.")


def _finished(plane, labels, noise, dimensions, rng, seed, dtype):
    points = plane + noise * rng.standard_normal(plane.shape)
    if dimensions != 2:
        points = bend(points, dimensions, seed=seed)
    return Points(points.astype(dtype), labels)
