"""Exercises that name the mistake: `check("mul_vjp", f)` tests a function and says what is wrong with it.

A wrong answer is found by known answers, invariances and numerical derivatives, and recognised by comparing it with
those of known wrong versions. No right version is needed for either, and none is in the package.
"""

import difflib

from .catalogue import EXERCISES
from .diagnosis import diagnose
from .exercise import Exercise, Mistake, Test, call, draw
from .grading import run
from .report import Report, Text

__all__ = ["EXERCISES", "Exercise", "Mistake", "Report", "Test", "call", "check", "describe", "draw", "exercises"]


def check(exercise, function, seed=0):
    """Test a function that answers an exercise, and name the mistake where it is known.

    Nothing that the function does in Python stops the grader: an exception, an endless loop, a changed argument or a
    result of another type is a failed test with a plain text. One thing does: a single call into compiled code that
    takes for ever, such as `np.linalg.svd` of a huge matrix or `10**10**10`. No exception gets into it, so the cell
    hangs: restart the kernel. `python -m minicl.course grade` and `make grade` run a notebook in a process of its own,
    and end that.

    What a report says beyond right and wrong: three versions of one loss, in loops, in arrays, and in arrays that no
    temperature breaks, are all right on ordinary numbers (T1 to T3). T5 tells how many times as long each takes as a
    reference that is timed beside it (never part of `passed`), and T4 whether it holds at extreme numbers.

    Parameters
    ----------
    exercise : str or Exercise
        A name out of `exercises()`, or an exercise of your own.
    function : callable
        It takes and returns plain NumPy arrays and numbers.
    seed : int
        Of the random inputs; printed in the report.

    Returns
    -------
    Report
        `.passed`, `.tests`, `.failure`, `.diagnosis`, `.hints` and `.hint(level)`.

    Raises
    ------
    ValueError
        If there is no exercise of that name; the text names the nearest ones.

    Examples
    --------
    >>> report = check("mul_vjp", lambda g, a, b: (g * a, g * b))
    >>> report.passed
    False
    >>> report.diagnosis[0].name
    'own-factor'
    >>> report.failure
    'f(np.array(2.), np.array(3.), np.array(5.))'
    >>> report.hint(1)
    At a = 3, b = 5 a step of a changes a b by 5 per unit. Yours says 3.
    """
    exercise = _find(exercise)
    record = run(exercise, function, seed)
    passed = all(row.passed for row in record.rows if row.required)
    return Report(exercise, record, [] if passed else diagnose(exercise, record, seed), seed)


def exercises():
    """The exercises by name, each with its summary.

    Examples
    --------
    >>> exercises()["mul_vjp"]
    'Gradients of the product a b, entry by entry.'
    """
    return Listing({name: exercise.summary for name, exercise in EXERCISES.items()})


def describe(name):
    """The question of an exercise: its signature, its statement with every convention, and its tests.

    Raises
    ------
    ValueError
        If there is no exercise of that name; the text names the nearest ones.

    Examples
    --------
    >>> print(describe("mul_vjp").splitlines()[2])
        f(g, a, b) -> (da, db)
    """
    return Text(_find(name).describe())


class Listing(dict):
    """A dictionary that prints one line per entry."""

    def __repr__(self):
        width = max(map(len, self), default=0)
        return "\n".join(f"{name.ljust(width)}  {summary}" for name, summary in self.items())


def _find(exercise):
    if isinstance(exercise, Exercise):
        return exercise
    if not isinstance(exercise, str):
        raise ValueError(f'the name of the exercise comes first: check("mul_vjp", f); got {type(exercise).__name__}')
    if exercise in EXERCISES:
        return EXERCISES[exercise]
    nearest = difflib.get_close_matches(exercise, EXERCISES, n=len(EXERCISES), cutoff=0)
    raise ValueError(f"there is no exercise {exercise!r}. Did you mean {nearest[0]!r}? There are: {', '.join(nearest)}")
