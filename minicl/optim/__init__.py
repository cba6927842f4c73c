"""Optimisers: how a gradient changes the parameters; and what stands around that: groups of parameters, clipping, and
schedules of the learning rate.
"""

from .clipping import clip_norm, clip_value, global_norm
from .groups import layerwise, no_decay
from .optimizer import Optimizer
from .rules import LARS, SGD, Adam, AdamW
from .schedules import Constant, Cosine, Schedule, StepDecay, Warmup

__all__ = [
    "Optimizer",
    "SGD",
    "Adam",
    "AdamW",
    "LARS",
    "no_decay",
    "layerwise",
    "clip_norm",
    "clip_value",
    "global_norm",
    "Schedule",
    "Constant",
    "Warmup",
    "Cosine",
    "StepDecay",
]
