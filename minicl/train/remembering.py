"""What the methods share that remember embeddings from step to step, so as to have more candidates than a batch has images.

They start from noise where nothing is remembered yet, and their embeddings have a length that is known beforehand.
"""

import numpy as np

from ..arrays import to_device


def noise(module, rng, rows, dim):
    """Unit vectors in random directions, shape (rows, dim), with the dtype and on the device of a module."""
    z = rng.standard_normal((rows, dim))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return to_device(z.astype(module.dtype or np.float32), module.device)


def fits(name, z, dim):
    """The embeddings have the length that was promised."""
    if z.shape[1:] != (dim,):
        raise ValueError(f"{name}: dim={dim}, but the embeddings have shape {tuple(z.shape)}; give dim={z.shape[-1]}.")
