"""Initialisers: the random weights a network starts with. All are scaled so that signals neither die out nor blow up
from layer to layer.

A weight has shape (..., in, out); axes before the last two are a window (of a convolution), and multiply both counts.
"""

import math

import numpy as np


def _fans(shape):
    """How many numbers one output is summed from, and how many outputs one input goes into."""
    if len(shape) < 2:
        raise ValueError(f"initialiser: a weight has shape (..., in, out), got {tuple(shape)}.")
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _uniform(rng, bound, shape, dtype):
    return np.random.default_rng(rng).uniform(-bound, bound, shape).astype(dtype)


def _normal(rng, deviation, shape, dtype):
    return (np.random.default_rng(rng).standard_normal(shape) * deviation).astype(dtype)


def kaiming_uniform(shape, rng=None, dtype=np.float32):
    """Uniform weights with variance 2 / in: for layers followed by a ReLU.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ U(−b, b) with b = √(6 / in). A ReLU sets half of its input to 0 and so halves the mean square, and the 2 makes
    up for it (He et al. 2015, arXiv:1502.01852, Eq. 10).

    Examples
    --------
    >>> w = kaiming_uniform((200, 300), rng=0)
    >>> bool(abs(w.var() * 200 / 2 - 1) < 0.01)
    True
    """
    fan_in, _ = _fans(shape)
    return _uniform(rng, math.sqrt(6 / fan_in) if fan_in else 0.0, shape, dtype)


def glorot_uniform(shape, rng=None, dtype=np.float32):
    """Uniform weights with variance 2 / (in + out): for layers followed by tanh, or by nothing.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ U(−b, b) with b = √(6 / (in + out)): between 1 / in, which keeps the variance of the signal, and 1 / out, which
    keeps that of its gradient (Glorot & Bengio 2010, Eq. 16).

    Examples
    --------
    >>> w = glorot_uniform((200, 300), rng=0)
    >>> bool(abs(w.var() * 500 / 2 - 1) < 0.01)
    True
    """
    total = sum(_fans(shape))
    return _uniform(rng, math.sqrt(6 / total) if total else 0.0, shape, dtype)


def kaiming_normal(shape, rng=None, dtype=np.float32):
    """Normal weights with variance 2 / in: for layers followed by a ReLU.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ N(0, 2 / in) (He et al. 2015, arXiv:1502.01852, Eq. 10).

    Examples
    --------
    >>> w = kaiming_normal((200, 300), rng=0)
    >>> bool(abs(w.var() * 200 / 2 - 1) < 0.02)
    True
    """
    fan_in, _ = _fans(shape)
    return _normal(rng, math.sqrt(2 / fan_in) if fan_in else 0.0, shape, dtype)


def glorot_normal(shape, rng=None, dtype=np.float32):
    """Normal weights with variance 2 / (in + out): for layers followed by tanh, or by nothing.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ N(0, 2 / (in + out)) (Glorot & Bengio 2010, Eq. 12).

    Examples
    --------
    >>> w = glorot_normal((200, 300), rng=0)
    >>> bool(abs(w.var() * 500 / 2 - 1) < 0.02)
    True
    """
    total = sum(_fans(shape))
    return _normal(rng, math.sqrt(2 / total) if total else 0.0, shape, dtype)


def lecun_normal(shape, rng=None, dtype=np.float32):
    """Normal weights with variance 1 / in: a linear layer keeps the variance of its signal.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ N(0, 1 / in) (LeCun et al. 1998, Efficient BackProp, Eq. 16).

    Examples
    --------
    >>> w = lecun_normal((200, 300), rng=0)
    >>> bool(abs(w.var() * 200 - 1) < 0.02)
    True
    """
    fan_in, _ = _fans(shape)
    return _normal(rng, math.sqrt(1 / fan_in) if fan_in else 0.0, shape, dtype)


def lecun_uniform(shape, rng=None, dtype=np.float32):
    """Uniform weights with variance 1 / in: a linear layer keeps the variance of its signal.

    Parameters
    ----------
    shape : tuple, (..., in, out)
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    w ~ U(−b, b) with b = √(3 / in) (LeCun et al. 1998, Efficient BackProp, Eq. 16).

    Examples
    --------
    >>> w = lecun_uniform((200, 300), rng=0)
    >>> bool(abs(w.var() * 200 - 1) < 0.01)
    True
    """
    fan_in, _ = _fans(shape)
    return _uniform(rng, math.sqrt(3 / fan_in) if fan_in else 0.0, shape, dtype)


def orthogonal(shape, rng=None, dtype=np.float32):
    """A random matrix with orthonormal rows or columns, whichever are fewer: a linear layer keeps lengths.

    Parameters
    ----------
    shape : tuple, (..., in, out)
        A window counts to the inputs.
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    The Q of a normal matrix, with the signs of R's diagonal, which makes all orthogonal matrices equally likely
    (Saxe, McClelland & Ganguli 2013, arXiv:1312.6120; Mezzadri 2007, arXiv:math-ph/0609050).

    Examples
    --------
    >>> w = orthogonal((5, 3), rng=0, dtype=np.float64)
    >>> bool(abs(w.T @ w - np.eye(3)).max() < 1e-14)
    True
    """
    _fans(shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = np.random.default_rng(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype)


def standard_normal(shape, rng=None, dtype=np.float32):
    """Normal weights with variance 1: for the rows of an embedding.

    Parameters
    ----------
    shape : tuple
    rng : Generator or seed
    dtype : dtype

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> bool(abs(standard_normal((200, 300), rng=0).var() - 1) < 0.02)
    True
    """
    return _normal(rng, 1.0, shape, dtype)
