"""Views: random changes of an image that leave its meaning as it is.

`images` has those that serve any image, `photos` those that matter for photographs.
"""

from .images import (
    ColorJitter,
    Compose,
    Cutout,
    GaussianNoise,
    RandomAffine,
    RandomApply,
    RandomResizedCrop,
    RandomRotation,
    RandomShift,
    View,
    multi_views,
    two_views,
)
from .photos import GaussianBlur, RandomGrayscale, RandomHorizontalFlip, simclr_view

__all__ = [
    "ColorJitter",
    "Compose",
    "Cutout",
    "GaussianBlur",
    "GaussianNoise",
    "RandomAffine",
    "RandomApply",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShift",
    "View",
    "multi_views",
    "simclr_view",
    "two_views",
]
