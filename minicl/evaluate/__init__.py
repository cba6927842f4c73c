"""How good is a representation? Nearest neighbours and a linear probe ask with labels, alignment, uniformity and rank
without.

All functions take plain arrays (Tensors too) and give plain floats. Accuracy lies between 0 and 1.
"""

from .geometry import alignment, effective_rank, tolerance, uniformity
from .neighbours import knn, knn_leave_one_out, nearest, positive_rank, precision_at_k
from .probes import LabelEfficiency, label_efficiency, linear_probe, t_interval

__all__ = [
    "nearest",
    "knn",
    "knn_leave_one_out",
    "precision_at_k",
    "positive_rank",
    "linear_probe",
    "label_efficiency",
    "LabelEfficiency",
    "t_interval",
    "alignment",
    "uniformity",
    "tolerance",
    "effective_rank",
]
