"""Released assignments and grades: `make course` takes the solutions out of the sources, `make grade` runs submissions.

    python -m notebooks.assignments.course release [a1 ...]              into build/course/release
    python -m notebooks.assignments.course grade FOLDER [a1 ...]         scores and diagnoses, into build/course/grades

The work is nbgrader's (https://nbgrader.readthedocs.io): build/course is an ordinary nbgrader course, so its own tools
run there too. The format of the sources is told in README.md.
"""

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

import jupytext
import nbformat

from notebooks import build

HERE = Path(__file__).resolve().parent
COURSE = build.BUILD / "course"
HIDDEN = HERE / "hidden"


def sources(names=(), folder=HERE):
    """The sources aN_*.py in order, or those among them whose name starts with one of `names`."""
    found = sorted(folder.glob("a[0-9]_*.py"))
    return [path for path in found if path.stem.startswith(tuple(names))] if names else found


def read(source):
    """A percent source as a notebook for nbgrader: the short metadata of each cell is completed."""
    notebook = build.read(source)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = _completed(cell.metadata["nbgrader"], cell.cell_type)
    return notebook


def _completed(short, cell_type):
    """nbgrader's metadata: a cell with points is graded, and one that is no answer is locked."""
    solution, grade = short.get("solution", False), "points" in short
    return {
        "schema_version": 3,
        "task": False,
        "solution": solution,
        "grade": grade,
        "locked": not solution,
        "cell_type": cell_type,
        **short,
    }
