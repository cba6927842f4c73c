"""Training: one loop that all methods share, and the methods."""

from . import checkpoints
from .loop import Batch, Method
from .simclr import SimCLR

__all__ = ["SimCLR", "Method", "Batch", "checkpoints"]
