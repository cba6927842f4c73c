"""Data: images with labels, points, text, how they are split, and the views that contrastive learning makes of them.

Nothing is downloaded unless a function is told to.
"""

from . import vectors, views
from .alias import AliasTable
from .cache import cache_folder
from .crops import multi_crop
from .digits import Dataset, digits
from .idx import read_idx
from .mnist import FASHION_CLASSES, fashion_mnist, fashion_mnist_sample, mnist
from .photos import photos
from .splits import few_labels, stratified_split
from .synthetic import Points, bend, blobs, circle, moons
from .text import Vocabulary, text, tokenize
from .views import multi_views, two_views
from .windows import keep_probability, window_pairs

__all__ = [
    "digits",
    "fashion_mnist",
    "fashion_mnist_sample",
    "FASHION_CLASSES",
    "mnist",
    "photos",
    "Dataset",
    "circle",
    "blobs",
    "moons",
    "bend",
    "Points",
    "few_labels",
    "stratified_split",
    "views",
    "two_views",
    "multi_views",
    "multi_crop",
    "vectors",
    "text",
    "tokenize",
    "Vocabulary",
    "AliasTable",
    "keep_probability",
    "window_pairs",
    "cache_folder",
    "read_idx",
]
