"""Methods that remember embeddings from step to step, so that there are more candidates than a batch has images.

What is remembered changes after the loss and the step of the optimiser: a key that is in the queue already when its own
loss is computed would be its own negative.
"""

import math

import numpy as np

from ..arrays import to_device
from ..engine import grad
from .simclr import SimCLR


class Remembering(SimCLR):
    """What `MoCo` and `MemoryBank` share. A subclass defines `remember`, besides the loss."""

    def remember(self, batch, *outputs):
        """Take over what the loss was computed from. Called after the step of the optimiser."""
        raise NotImplementedError(f"{type(self).__name__}: define remember(self, batch, *outputs).")

    def step(self, batch):
        loss, outputs = self.loss(batch)
        value = float(loss)
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value}")
        self.optimizer.step(grad(loss, self.optimizer.parameters))
        measured = {"loss": value, **self.measure(*outputs)}
        self.remember(batch, *outputs)
        return measured

    def noise(self, rng, rows, dim):
        """Unit vectors in random directions, where nothing is remembered yet."""
        z = rng.standard_normal((rows, dim))
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        return to_device(z.astype(self.dtype or np.float32), self.device)


def whole(name, what, value, low):
    """A whole number that is `low` or more."""
    if isinstance(value, bool) or int(value) != value or value < low:
        raise ValueError(f"{name}: {what} must be a whole number, at least {low}, got {value}.")
    return int(value)


def share(name, what, value):
    """A number in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {what} lies in [0, 1], got {value}.")
    return float(value)


def fits(name, z, dim):
    """The embeddings have the length that was promised."""
    if z.shape[1:] != (dim,):
        raise ValueError(f"{name}: dim={dim}, but the embeddings have shape {tuple(z.shape)}; give dim={z.shape[-1]}.")
