"""Initialisers: the random weights a network starts with. Both are scaled so that signals neither die out nor blow up
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
