"""What minicl can show: plots, and widgets that need no kernel."""

from .backward_stepper import backward_stepper
from .widget import Widget

__all__ = ["Widget", "backward_stepper"]
