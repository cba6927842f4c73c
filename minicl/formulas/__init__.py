"""Every loss in closed form, value and gradient: loops over anchors and candidates, to be read beside a book.

`value, gradients = mc.formulas.nt_xent(z1, z2, temperature)`. They are witnesses for `mc.losses`: they import no engine
and share no code with the losses; every derivative was taken by hand. They are slow on purpose.
"""

from .distances import align, contrastive, mined_triplet, triplet, uniform
from .labels import cross_entropy, multi_positive, n_pair, supcon
from .noise import nce, ranking_nce, siglip, skip_gram
from .views import dcl, debiased, info_nce, memory_bank, moco, nt_xent

__all__ = [
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
]
