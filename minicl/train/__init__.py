"""Training: one loop that all methods share, and the methods."""

from . import checkpoints
from .finetune import FineTune, two_stage
from .large_batch import LargeBatch, cached_gradient
from .loop import Batch, Method
from .memory_bank import MemoryBank
from .moco import MoCo, Queue
from .multi_crop import MultiCrop
from .multi_view import MultiView
from .simclr import SimCLR
from .supcon import SupCon
from .word2vec import Word2Vec

__all__ = [
    "SimCLR",
    "MemoryBank",
    "MoCo",
    "Queue",
    "LargeBatch",
    "cached_gradient",
    "MultiView",
    "MultiCrop",
    "SupCon",
    "Word2Vec",
    "FineTune",
    "two_stage",
    "Method",
    "Batch",
    "checkpoints",
]
