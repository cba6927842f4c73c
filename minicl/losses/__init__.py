"""Losses: one file for each family. The composed definition is the text to read."""

from .alignment_uniformity import align, uniform
from .classification import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from .info_nce import info_nce, memory_bank, moco
from .n_pair import n_pair
from .nce import nce, ranking_nce
from .nt_xent import dcl, debiased, nt_xent
from .pairwise import contrastive
from .siglip import siglip
from .skip_gram import skip_gram
from .supcon import multi_positive, supcon
from .triplet import mined_triplet, triplet

__all__ = [  # in reading order
    "contrastive",
    "triplet",
    "mined_triplet",
    "n_pair",
    "cross_entropy",
    "nce",
    "ranking_nce",
    "info_nce",
    "nt_xent",
    "dcl",
    "debiased",
    "supcon",
    "multi_positive",
    "skip_gram",
    "siglip",
    "moco",
    "memory_bank",
    "align",
    "uniform",
    "nll_loss",
    "mse_loss",
    "binary_cross_entropy_with_logits",
]
