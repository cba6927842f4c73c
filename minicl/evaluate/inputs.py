"""What the judges take: rows of numbers, finite, and a label for each. What does not fit is refused by name."""

import numpy as np

from ..arrays import namespace, to_numpy
from ..engine import Tensor
from ..functional import normalize
from ..ops import _as_arrays

BLOCK = 1024  # queries at a time, so that the table of similarities stays small


def rows_of(x, name, which):
    x = x.data if isinstance(x, Tensor) else _as_arrays(x)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: {which} has shape {tuple(x.shape)}; give (N, d) with N ≥ 1.")
    x = x.reshape((x.shape[0], -1))
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError(f"{name}: {which} holds NaN or infinity. Look at the representation first.")
    if x.dtype.kind != "f":
        return x.astype(np.float64)
    return x if x.dtype.itemsize >= 4 else x.astype(np.float32)


def labels_of(y, x, name, which):
    y = to_numpy(y)
    if y.shape != (len(x),):
        raise ValueError(
            f"{name}: {which} has shape {y.shape}; give one label for each of the {len(x)} rows: ({len(x)},)."
        )
    missing = sum(label is None or label != label for label in y.tolist()) if y.dtype.kind in "fO" else 0
    if missing:
        raise ValueError(f"{name}: {missing} of {len(y)} labels in {which} are missing (NaN or None).")
    return y


def pair_of(z1, z2, name):
    u1, u2 = (normalize(rows_of(z, name, which)) for z, which in ((z1, "z1"), (z2, "z2")))
    if u1.shape != u2.shape:
        raise ValueError(f"{name}: shapes {u1.shape} and {u2.shape}; give two views of one shape (N, d).")
    return u1, u2


def two_classes(y, name):
    """Refuse labels that are all equal: with one class nothing can be wrong."""
    if (y == y[0]).all():
        raise ValueError(
            f"{name}: all labels are {y[0]}; with one class only every answer is right. Give at least two."
        )
