"""What minicl can show: figures under their claims, tables, and widgets that need no kernel."""

from .backward_stepper import backward_stepper
from .noise_classifier import noise_classifier
from .notebook import BLUE, GREEN, GREY, ORANGE, RED, show, style, table
from .temperature_bars import temperature_bars
from .three_bars import three_bars
from .widget import Widget

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "RED",
    "Widget",
    "backward_stepper",
    "noise_classifier",
    "show",
    "style",
    "table",
    "temperature_bars",
    "three_bars",
]
