"""What minicl can show: figures under their claims, tables, and widgets that need no kernel."""

from .backward_stepper import backward_stepper
from .circle_forces import circle_forces
from .cluster_steps import cluster_steps
from .early_pictures import EarlyPictures
from .embedding_maps import embedding_maps
from .false_negatives import false_negatives
from .margin_plane import margin_plane
from .momentum_queue import momentum_queue
from .neighbour_gallery import neighbour_gallery
from .noise_classifier import noise_classifier
from .noise_shift import noise_shift
from .notebook import BLUE, GREEN, GREY, ORANGE, RED, show, style, table
from .similarity_plane import similarity_plane
from .temperature_bars import temperature_bars
from .three_bars import three_bars
from .training_movie import training_movie
from .widget import Widget

__all__ = [
    "BLUE",
    "EarlyPictures",
    "GREEN",
    "GREY",
    "ORANGE",
    "RED",
    "Widget",
    "backward_stepper",
    "circle_forces",
    "cluster_steps",
    "embedding_maps",
    "false_negatives",
    "margin_plane",
    "neighbour_gallery",
    "momentum_queue",
    "noise_classifier",
    "noise_shift",
    "show",
    "similarity_plane",
    "style",
    "table",
    "temperature_bars",
    "three_bars",
    "training_movie",
]
