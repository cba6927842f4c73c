"""Memory that is used again: `empty` is `numpy.empty`, but a large array gets memory whose last user is gone.

The system clears each page that it hands out, and a training step asks for hundreds of megabytes of the same sizes again
and again. A piece of memory is free when nobody but the list here refers to it, so no array that is alive can share it.
"""

import math
import sys
import threading

import numpy as np

LARGE = 2**20  # bytes; smaller arrays are left to NumPy
LIMIT = 2**29  # bytes that nobody uses: where there would be more, they are handed back before new ones are asked for

_lock = threading.Lock()
_pieces = []


def empty(shape, dtype, xp=np):
    """An array whose entries are not set, as `numpy.empty`; a large one shares memory with an array that is gone.

    Parameters
    ----------
    shape : tuple of ints
    dtype : dtype
    xp : module
        CuPy has such a list of its own.

    Returns
    -------
    array

    Examples
    --------
    >>> empty((2, 3), np.float32).shape
    (2, 3)
    """
    if xp is not np:
        return xp.empty(shape, dtype)
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    # Nobody waits for the list: another thread may have it, or this one (the garbage collector may call from anywhere), or
    # one that a child process does not have.
    if size < LARGE or not _counts or not _lock.acquire(blocking=False):
        return np.empty(shape, dtype)
    try:
        piece = _free(size)
        if piece is None:
            piece = np.empty(size, np.uint8)
            _pieces.append(piece)
        return piece[:size].view(dtype).reshape(shape)
    finally:
        _lock.release()


def _free(size):
    """The smallest piece that is free and large enough, but not twice as large; and the pieces beyond the limit go."""
    free = [k for k in range(len(_pieces)) if sys.getrefcount(_pieces[k]) == _alone]
    fitting = [k for k in free if size <= _pieces[k].nbytes <= 2 * size]
    if fitting:
        return _pieces[min(fitting, key=lambda k: _pieces[k].nbytes)]
    unused = sum(_pieces[k].nbytes for k in free)
    for k in sorted(free, reverse=True):
        if unused + size > LIMIT:
            unused -= _pieces[k].nbytes
            del _pieces[k]
    return None


def release():
    """Hand the memory that nobody uses back to the system.

    Examples
    --------
    >>> release()
    """
    with _lock:
        _pieces[:] = [piece for piece in _pieces if sys.getrefcount(piece) > _alone + 1]


# What `_free` counts for a piece that is in the list alone. Where references are not counted exactly, nothing is used again.
_alone = next(sys.getrefcount(pieces[k]) for pieces in [[np.empty(1)]] for k in range(1))
_counts = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
