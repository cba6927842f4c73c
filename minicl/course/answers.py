"""What a learner's function returned, taken for what it is: an array, a truth value, a list, or a plain refusal.

Every exercise takes and gives plain NumPy arrays and numbers. Whatever else comes back is named, never an error of
ours.
"""

import itertools

import numpy as np

_MOST_ENTRIES, _MOST_ITEMS = 10_000_000, 100_000


class Failed(Exception):
    """A test failed: what was observed, and what was expected instead."""

    def __init__(self, observed, expected=""):
        super().__init__(observed, expected)
        self.observed, self.expected = observed, expected


def arrays(value, names):
    """One array for one name, a tuple of arrays for several."""
    if len(names) == 1:
        return _array(value, names[0])
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        raise Failed(f"returned {_a(value)}", f"the {len(names)} arrays ({', '.join(names)})")
    return tuple(_array(part, name) for part, name in zip(value, names))


def boolean(value, names):
    """True or False; NumPy's truth values are taken too."""
    if isinstance(value, (bool, np.bool_)) or (
        isinstance(value, np.ndarray) and value.shape == () and value.dtype == bool
    ):
        return bool(value)
    raise Failed(f"returned {_a(value)}", "True or False")


def sequence(value, names):
    """A list of words or numbers; any other iterable is read to its end, or to a length that nothing here can have."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise Failed(f"returned {_a(value)}", "a list")
    items = [x.item() if isinstance(x, np.generic) else x for x in itertools.islice(value, _MOST_ITEMS)]
    for x in items:
        if not isinstance(x, (str, int, float)):  # others may refuse to be compared
            raise Failed(f"the list holds {_a(x)}", "words or numbers")
    return items


def _array(value, name):
    if not isinstance(value, (np.ndarray, np.generic, bool, int, float, complex, list, tuple)):
        raise Failed(f"{name} is {_a(value)}", "a NumPy array or a number")
    if isinstance(value, np.ndarray) and value.size > _MOST_ENTRIES:
        raise Failed(f"{name} has shape {value.shape}", "a small array")
    try:
        x = np.array(value)  # a copy: what is judged must not change when the function is called again
    except Exception:  # whatever stands in the list may raise what it likes
        x = np.array(None)
    if x.dtype.kind == "c":
        raise Failed(f"{name} is complex", "real numbers: take the part that is meant")
    if x.dtype.kind not in "biuf":
        raise Failed(f"{name} is {_a(value)} that does not hold numbers only", "a NumPy array or a number")
    return x


def _a(value):
    """A value by its type, with the usual reason where there is one."""
    if value is None:
        return "None (is there a return at the end?)"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    name = type(value).__name__
    article = "an" if name[0].lower() in "aeiou" else "a"
    return f"{article} {name}" + (" (call its .numpy())" if hasattr(type(value), "numpy") else "")
