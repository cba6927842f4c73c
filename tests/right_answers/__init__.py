"""Right answers to the exercises, one module for each file of the catalogue: none of them is in the package.

A module here has up to three names, and tests/test_course_catalogue.py gathers them:

RIGHT = {"exercise": [f1, f2, ...]}: at least two versions that are written differently; each must pass.
UNKNOWN = {"exercise": f}: a wrong version that is none of the known mistakes; it must be rejected all the same.
OTHERS = [("exercise", f, "mistake")]: a known mistake in somebody else's words; it must be named.
"""

import importlib
import pkgutil


def modules():
    """All modules of this folder."""
    return [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
