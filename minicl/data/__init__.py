"""Data: images with labels, how they are split, and the views that contrastive learning makes of them."""

from . import views
from .digits import Dataset, digits
from .splits import few_labels, stratified_split
from .text import Vocabulary, text, tokenize
from .views import two_views

__all__ = [
    "digits",
    "Dataset",
    "few_labels",
    "stratified_split",
    "views",
    "two_views",
    "text",
    "tokenize",
    "Vocabulary",
]
