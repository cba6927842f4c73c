"""Losses: one file for each family. The composed definition is the text to read."""

from .classification import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from .nt_xent import nt_xent

__all__ = ["nt_xent", "cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy_with_logits"]
