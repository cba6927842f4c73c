"""Running the tests of an exercise on a function: one row per test; the answers are its fingerprint."""

import functools
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .answers import Failed
from .exercise import Case, Exercise, Test
from .guard import Clock, Guarded, quiet
from .numeric import TOLERANCES, distance, tolerance

_EXACT = TOLERANCES[np.dtype(np.float64)]
KEEPS_ARGUMENTS = Test("leaves its arguments as they were", "T2", [None])
ANSWERS_AGAIN = Test("gives the same question the same answer", "T2", [None])
_ASKED_AGAIN = 5  # questions
_PATIENCE = 0.8  # seconds for a test of speed or scale


@dataclass(frozen=True)
class Result:
    """What a function did on one case."""

    case: Case | None  # None where it did not run
    passed: bool
    observed: Any
    expected: Any
    distance: float
    outcomes: list = field(default_factory=list)
    direct: bool = False  # whether observed is the answer itself, not something that a law made of it
    part: str = ""  # the name of the result that observed is, where it is one of several
    asked: list = field(default_factory=list)  # the calls: a law may change what the case gives

    @property
    def clean(self):
        """Right, and no argument changed."""
        return self.passed and not any(isinstance(outcome, tuple) and outcome[1] for outcome in self.outcomes)


@dataclass(frozen=True)
class Row:
    """One row of the report.

    Attributes
    ----------
    name, tier : str
    required : bool
        Whether `report.passed` asks for it.
    passed : bool
    observed, expected
        Values or words: of the first case that fails, else of the first case.
    distance : float
        The largest one; relative to the largest entry, or the share of wrong entries of an exact answer.
    cases : tuple of int
        How many cases pass, and how many there are.
    failures : list of Result
        Every case that fails, the smallest first.
    scored : str
    """

    name: str
    tier: str
    required: bool
    passed: bool
    observed: Any
    expected: Any
    distance: float
    cases: tuple
    failures: list
    scored: str = ""


@dataclass(frozen=True)
class Record:
    """All that a run left behind: the rows, results by test (without T5), what was printed, whether the time was up."""

    rows: list
    results: list
    printed: Any
    time_up: bool

    @property
    def fingerprint(self):
        """The results that identify a function."""
        return [result for _, results in self.results for result in results]


def run(exercise, function, seed, scale=True):
    """The record of a function; without the tests of speed and scale (T5) where not `scale`.

    These come last and have a clock of their own; a function gets there that is right on ordinary numbers, T0 to T3.
    """
    filled = _filled(exercise, seed)
    function = getattr(function, "anew", lambda: function)()  # a wrong version that remembers begins without memory
    with quiet() as printed:
        with Clock(exercise.seconds) as clock:
            f = Guarded(exercise, function, clock)
            results = [(test, [_judge(f, case, test) for case in cases]) for test, cases in filled if test.tier != "T5"]
            rows = [_row(test, judged) for test, judged in results]
            rows += [_keeps_arguments(results, f), _answers_again(results, f)]
        if scale and not clock.up and all(row.passed for row in rows if row.required and row.tier < "T4"):
            large = [(test, cases) for test, cases in filled if test.tier == "T5"]
            rows += [_row(test, _at_scale(exercise, function, test, cases)) for test, cases in large]
    return Record(sorted(rows, key=lambda row: row.tier), results, printed, clock.up)


def judge(exercise, function, seed, places):
    """The results of a few cases alone: those at these places of a fingerprint."""
    flat = [(test, case) for test, cases in _filled(exercise, seed) if test.tier != "T5" for case in cases]
    with quiet(), Clock(exercise.seconds) as clock:
        f = Guarded(exercise, function, clock)
        return [_judge(f, case, test) for test, case in (flat[place] for place in places)]


def _at_scale(exercise, function, test, cases):
    with Clock(_PATIENCE) as clock:
        f = Guarded(exercise, function, clock)
        return [_judge(f, case, test) for case in cases]


@functools.lru_cache(maxsize=128)
def _filled(exercise: Exercise, seed):
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        return [(test, [case.filled(rng) for case in test.cases]) for test in exercise.tests]


def _judge(f, case, test=None):
    if f.clock.up:
        return Result(None, False, "not run", "", math.inf)
    f.forget()
    name = ""
    direct = test is None or test.law is None
    try:
        if direct:
            compared = f(*case.args, **case.options), case.expected
        else:
            compared = test.law(f, *case.args, **case.options)
        observed, expected, scale = (*compared, case.scale)[:3] if compared else ("holds", "holds", None)
        apart = 0.0 if not direct and isinstance(observed, str) else distance(observed, expected, scale)
        limit = tolerance(observed, *case.args, *_returned(f.outcomes))
        if test and test.tolerance:
            limit = test.tolerance if limit == _EXACT else max(limit, test.tolerance)
        passed = apart <= limit
    except Failed as failed:
        # Of a law with several calls, the call that failed is the one to show.
        case = replace(getattr(failed, "case", case), expected=case.expected, note=case.note)
        observed, expected, apart, passed = failed.observed, failed.expected, math.inf, False
        part = getattr(failed, "part", None)
        name = f.exercise.results[part] if part is not None and part < len(f.exercise.results) else ""
        if name and isinstance(observed, str):
            observed = f"{name}: {observed}"
    except Exception as error:  # the law could not use the answer: it has a form that was not foreseen
        observed, expected, apart, passed = f"an answer of another form ({error})", "", math.inf, False
    return Result(case, passed, observed, expected, apart, f.outcomes, direct, name, f.asked)


def _returned(outcomes):
    """The arrays that the function returned: what a law makes of them may have another dtype."""
    for outcome in outcomes:
        if isinstance(outcome, tuple):
            yield from outcome[0] if isinstance(outcome[0], tuple) else (outcome[0],)


def _row(test, results):
    failures = [result for result in results if not result.passed]
    shown = (failures or results)[0]
    return Row(
        name=test.name,
        tier=test.tier,
        required=test.counts,
        passed=not failures,
        observed=shown.observed,
        expected=shown.expected,
        distance=max(result.distance for result in results),
        cases=(len(results) - len(failures), len(results)),
        failures=failures,
        scored=test.scored,
    )


def _keeps_arguments(results, f):
    """The row that every exercise has: the arguments are what they were."""
    changed = [Result(case, False, f"{names} changed", "unchanged", math.inf) for case, names in f.changes]
    return _row(KEEPS_ARGUMENTS, changed or [_without_answer(results) or _fine("unchanged")])


def _answers_again(results, f):
    """The row that every exercise has: after all other questions, the first of each test gets the same answer again."""
    firsts = [next(filter(_repeatable, judged), None) for _, judged in results]
    again = [replace(result.asked[0], expected=result.outcomes[0][0]) for result in firsts if result][:_ASKED_AGAIN]
    return _row(ANSWERS_AGAIN, [_judge(f, case) for case in again] or [_without_answer(results) or _fine("same")])


def _repeatable(result):
    """Whether it is one call that got a finite answer."""
    if len(result.outcomes) != 1 or not isinstance(result.outcomes[0], tuple):
        return False
    answer = result.outcomes[0][0]
    parts = answer if isinstance(answer, tuple) else (answer,)
    return all(np.isfinite(part).all() for part in parts if isinstance(part, np.ndarray))


def _without_answer(results):
    """The result of a row that has nothing to look at, or None."""
    everything = [result for _, judged in results for result in judged]
    if any(isinstance(outcome, tuple) for result in everything for outcome in result.outcomes):
        return None
    return Result(everything[0].case, False, "no answer", "an answer", math.inf)


def _fine(word):
    return Result(None, True, word, word, 0.0)
