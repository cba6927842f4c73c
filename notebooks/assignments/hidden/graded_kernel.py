"""Imported by the kernel of a graded notebook before its first cell: what a cell may not do to the cells after it."""

import sys
import warnings

import hidden_tests  # noqa: F401
from IPython import get_ipython

import minicl.course
from minicl.course.notebook import protect

protect(get_ipython())
sys.stderr = sys.stdout  # nbgrader takes what stands in stderr for a failed test
warnings.simplefilter("ignore")

# Hidden tests, imported above, hold the functions of minicl as they are now, whatever a student's cell puts in their
# place. Reports that are for students to read would take half of the time here, and nobody would see them.
minicl.course.check = lambda exercise, function, seed=0: None
