"""Settings of a method: numbers that are looked at when the method is built, and not when it fails in the first step."""

import numbers


def whole(name, what, value, low):
    """A whole number that is `low` or more, as an int."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not value >= low or value % 1:
        raise ValueError(f"{name}: {what} must be a whole number, at least {low}, got {value!r}.")
    return int(value)


def share(name, what, value):
    """A number in [0, 1], as a float."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name}: {what} lies in [0, 1], got {value!r}.")
    return float(value)


def views(name, view):
    """A view, or several: functions of images and a Generator."""
    for f in view if isinstance(view, (list, tuple)) else [view]:
        if not callable(f):
            raise TypeError(
                f"{name}: a view is a function of images and a Generator, such as mc.data.views.GaussianNoise(0.1), got "
                f"{f!r}."
            )
    return view
