"""What the hidden tests of all assignments share: each ends silently, or raises `NotYet` with one short sentence.

Only the instructor has this folder; `make grade` puts it on the path of the notebooks that it runs. The sentence is all
that a student sees of a hidden test, so it names the mistake and neither the inputs nor the right answer.
"""

import dataclasses
import functools
import os
import time

import numpy as np

from minicl.course import EXERCISES, check
from minicl.course.guard import Clock, TimeUp, quiet

NO_HINTS = ("", "", "")  # of a mistake that only hidden tests know
SEED = int(os.environ.get("MINICL_COURSE_SEED", "2026"))  # of all hidden inputs; `make grade ARGS="--seed 7"` sets it


class NotYet(AssertionError):
    """A lost test, as "[diagnosis] sentence"; `make grade` reads the diagnosis out of the brackets.

    Parameters
    ----------
    diagnosis : str
        A mistake's name, as `minicl.course` spells it: "not-transposed". "unknown" where no known mistake fits.
    sentence : str
        What the student reads.
    """

    def __init__(self, diagnosis, sentence):
        super().__init__(f"[{diagnosis}] {sentence}")
        self.diagnosis, self.sentence = diagnosis, sentence


def require(exercise, function, tiers="T0 T1 T2 T3 T4", without=()):
    """Raise `NotYet` unless the function passes those tests of an exercise that are required and belong to `tiers`.

    Two cells can share an exercise: one asks for the formula, "T0 T1 T2 T3", the other for hard numbers, "T4".
    `without` leaves out tests by a part of their name, such as ["three scales"].
    """
    report = _report(exercise, function)
    rows = [row for row in report.tests if row.required and row.tier in tiers.split()]
    rows = [row for row in rows if not any(part in row.name for part in without)]
    if not rows:
        raise ValueError(f"exercise {exercise!r} has no required test in {tiers}")
    lost = [row for row in rows if not row.passed]
    if not lost:
        return
    if report.diagnosis:
        raise NotYet(report.diagnosis[0].name, report.diagnosis[0].says)
    seen = " ".join(lost[0].observed.split()) if isinstance(lost[0].observed, str) else "another answer"
    for start, diagnosis in {"not written": "not-written", "raised ": "error", "not finished": "endless"}.items():
        if seen.startswith(start):
            raise NotYet(diagnosis, f"The function: {seen[:160]}.")
    more = " The report of mc.course.check shows an input that fails." if isinstance(exercise, str) else ""
    raise NotYet("unknown", f"A right function {lost[0].name}. This one: {seen[:160]}.{more}")


@functools.lru_cache(maxsize=8)  # cells that share an exercise share its report
def _report(exercise, function):
    """The report; on a machine so busy that a right answer can be late, an answer that was late gets more time."""
    exercise = EXERCISES[exercise] if isinstance(exercise, str) else exercise
    for patience in (1, 5, 10):
        began = time.process_time()
        patient = dataclasses.replace(exercise, seconds=patience * exercise.seconds) if patience > 1 else exercise
        report = check(patient, function, seed=SEED)
        worked = time.process_time() - began
        late = any(str(row.observed).startswith(("not finished", "not run")) for row in report.tests)
        if not late or worked > 0.8 * exercise.seconds:
            break
    return report


def run(function, *args, seconds=10):
    """What a student's function returns; `NotYet` where it returns nothing or does not end."""
    try:
        with quiet(), Clock(seconds) as clock:
            return clock.call(lambda: function(*args))
    except TimeUp:
        raise NotYet("endless", f"Not finished within {seconds} s.") from None
    except NotImplementedError:
        raise NotYet("not-written", "Not written yet.") from None
    except Exception as error:
        raise NotYet("error", f"It raised {type(error).__name__}: {' '.join(str(error).split())[:160]}") from None


def number(answer, expected, mistakes=(), tolerance=1e-6):
    """Raise `NotYet` unless a student's number equals the expected one, relative to its size.

    Parameters
    ----------
    answer : object
        Whatever the student wrote.
    expected : float
    mistakes : dict of str to (float, str)
        Wrong answers that are known: {"paths-not-added": (2.0, "One of the two ways to a is missing.")}.
    tolerance : float
    """
    try:
        given = float(np.asarray(answer).item())
    except (TypeError, ValueError):
        raise NotYet("no-number", f"A number is asked for; this is {type(answer).__name__}.") from None
    near = lambda value: abs(given - value) <= tolerance * max(1.0, abs(value))
    if near(expected):
        return
    for diagnosis, (value, sentence) in dict(mistakes).items():
        if near(value):
            raise NotYet(diagnosis, sentence)
    raise NotYet("unknown", "Another number is right.")


four_digits = functools.partial(number, tolerance=3e-4)  # for numbers that students may work out by hand


def choice(answer, expected, mistakes=()):
    """Raise `NotYet` unless a student's letter, word, truth value or shape is the expected one.

    `mistakes` are wrong choices that are known: {"B": ("own-factor", "A product's slope is the other factor.")}.
    """
    plain = lambda x: x.strip().casefold() if isinstance(x, str) else x
    if type(plain(answer)) is type(expected) and plain(answer) == plain(expected):
        return
    for value, (diagnosis, sentence) in dict(mistakes).items():
        if type(plain(answer)) is type(value) and plain(answer) == plain(value):
            raise NotYet(diagnosis, sentence)
    raise NotYet("unknown", "Another answer is right.")
