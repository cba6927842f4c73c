"""Which mistake is this? A learner's answers are compared with those of known wrong versions, and with the right ones.

Two functions that answer every telling question alike are the same function for our purposes: this needs no look at
the code. Where no known version fits, the answers themselves may: they are the right ones times a factor, transposed,
and so on.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .grading import judge, run
from .numeric import TOLERANCES

_LEAST = 0.5  # below this a likeness is chance
_BY_PART = 0.97  # where the answers are alike but for extreme numbers
_NO_NUMBER = ("OverflowError", "ValueError", "ZeroDivisionError")  # math.exp raises where np.exp says inf
_ROUNDING = "right in exact arithmetic"  # such a hint is for one who is right on known answers
_PROBES, _MOST = 5, 12  # questions that choose among the known mistakes, and how many are looked at in full


class Diagnosis(NamedTuple):
    """One explanation of a wrong answer: its name, a sentence, how sure it is (0 to 1), and three hints."""

    name: str
    says: str
    sure: float
    hints: tuple

    def __repr__(self):
        return f"{self.says} ({self.sure:.0%} sure)"


def diagnose(exercise, record, seed):
    """Ranked explanations of a record that did not pass; empty where none is known."""
    if record.time_up:
        return []
    known = _fingerprints(exercise, seed) if exercise.mixes else _likeliest(exercise, record, seed)
    found = [*_likenesses(exercise, record, known), *_relations(exercise, record)]
    found.sort(key=lambda diagnosis: -diagnosis.sure)
    certain = [diagnosis for diagnosis in found if diagnosis.sure == 1]
    several = _several(record, known) if exercise.mixes and not certain else []
    return (certain or several or found)[:3]


def _versions(exercise):
    return [(mistake, function) for mistake in exercise.mistakes for function in (mistake.function, *mistake.variants)]


@functools.lru_cache(maxsize=4096)
def _fingerprint(exercise, function, seed):
    return run(exercise, function, seed, scale=False).fingerprint


def _fingerprints(exercise, seed):
    """Pairs of a mistake and one of its fingerprints."""
    return [(mistake, _fingerprint(exercise, function, seed)) for mistake, function in _versions(exercise)]


def _likeliest(exercise, record, seed):
    """The pairs that can matter: of those that answer some of the failed questions as the learner does, up to the first
    that answers all alike.

    A whole fingerprint costs as much as grading the learner, so few of them are taken.
    """
    failed = [i for i, result in enumerate(record.fingerprint) if not result.clean]
    if not failed:
        return _fingerprints(exercise, seed)
    probes = [failed[i] for i in sorted({round(i) for i in np.linspace(0, len(failed) - 1, _PROBES)})]
    mine = [record.fingerprint[i] for i in probes]
    same = _same_verdicts if exercise.verdicts else _same_answers
    scores = []
    for mistake, function in _versions(exercise):
        if hasattr(function, "anew"):  # what it answers depends on what it was asked before
            scores.append((len(probes), mistake, function))
        else:
            theirs = judge(exercise, function, seed, probes)
            scores.append((sum(map(same, mine, theirs)), mistake, function))
    scores.sort(key=lambda entry: -entry[0])
    known = []
    for score, mistake, function in scores:
        if 2 * score < len(probes) or len(known) == _MOST:
            break
        known.append((mistake, _fingerprint(exercise, function, seed)))
        equal, telling = likeness(record.fingerprint, known[-1][1], same)
        if equal == telling:
            break
    return known


def _likenesses(exercise, record, known):
    """The mistakes whose wrong version answers as the learner does on at least half of the cases that tell."""
    same = _same_verdicts if exercise.verdicts else _same_answers
    best, low = {}, [test.tier < "T4" for test, results in record.results for _ in results]
    fails_low = any(is_low and not result.clean for is_low, result in zip(low, record.fingerprint))
    for mistake, other in known:
        equal, telling = likeness(record.fingerprint, other, same)
        whole = telling and equal == telling
        if fails_low and not whole:  # then agreement at extreme numbers explains nothing
            inside = [[result for result, is_low in zip(one, low) if is_low] for one in (record.fingerprint, other)]
            if all(result.clean for result in inside[1]) or _ROUNDING in mistake.hints[0]:
                continue
            equal, telling = likeness(*inside, same)
        if telling and equal >= _LEAST * telling:
            if whole:
                says = f"Your answers equal, to 1e-9, those of an implementation that {mistake.says}."
            elif equal == telling:
                says = f"Apart from extreme numbers your answers equal those of an implementation that {mistake.says}."
            else:
                says = f"On {equal} of {telling} telling inputs your answers equal those of one that {mistake.says}."
            sure = 1.0 if whole else min(equal / telling, _BY_PART)
            diagnosis = Diagnosis(mistake.name, says, sure, tuple(mistake.hints))
            best[mistake.name] = max(best.get(mistake.name, diagnosis), diagnosis, key=lambda entry: entry.sure)
    return list(best.values())


def _several(record, known):
    """Mistakes that together fail where the learner fails: each of them fails nowhere else."""
    failed = _failures(record.fingerprint)
    inside = [(mistake, where) for mistake, other in known if (where := _failures(other)) <= failed]
    left, chosen = failed, {}
    while left:
        mistake, where = max(inside, key=lambda entry: len(entry[1] & left), default=(None, set()))
        if not where & left:
            break
        left = left - where
        chosen[mistake] = len(where)
    sure = 1 - len(left) / max(len(failed), 1)
    if sure < _LEAST:
        return []
    says = "You fail on all {} inputs on which one fails that {}.".format
    return [Diagnosis(m.name, says(count, m.says), sure, tuple(m.hints)) for m, count in chosen.items()]


def _failures(fingerprint):
    return {i for i, result in enumerate(fingerprint) if not result.passed}


# ------------------------------------------------------------------------------------------------------- fingerprints


def likeness(one, other, same):
    """On how many of the cases that either function fails both do the same, and how many such cases there are."""
    telling = [(a, b) for a, b in zip(one, other) if not (a.clean and b.clean)]
    return sum(same(a, b) for a, b in telling), len(telling)


def _same_answers(one, other):
    """Whether all calls of a case ended alike."""
    return (
        one.passed == other.passed
        and len(one.outcomes) == len(other.outcomes)
        and all(map(_ended_alike, one.outcomes, other.outcomes))
    )


def _same_verdicts(one, other):
    """Whether a test said the same of both."""
    return one.clean == other.clean and one.passed == other.passed and _equal(one.observed, other.observed)


def _ended_alike(one, other):
    if isinstance(one, str) and isinstance(other, str):  # the name of an exception
        return one == other
    if isinstance(one, str) or isinstance(other, str):
        name, (answer, _) = (one, other) if isinstance(one, str) else (other, one)
        return name in _NO_NUMBER and isinstance(answer, np.ndarray) and not np.isfinite(answer).all()
    (answer, changed), (answer_2, changed_2) = one, other
    return changed == changed_2 and _equal(answer, answer_2)


def _equal(one, other):
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(_equal, one, other))
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return type(one) is type(other) and one == other
    if one.shape != other.shape:
        return False
    bad, bad_2 = not np.isfinite(one).all(), not np.isfinite(other).all()
    if bad or bad_2:  # which entries overflow depends on how the mistake is written
        return bad and bad_2
    limit = max(map(_limit, (one, other)))
    return bool(np.abs(one - other.astype(float)).max(initial=0) <= limit * np.abs(other).max(initial=0))


# ------------------------------------------------------------------------------------ relations of yours and the right


class Pair(NamedTuple):
    """An answer beside the right one, and the numbers of its question: {"the size of x": 6, "temperature": 0.5}."""

    observed: np.ndarray
    expected: np.ndarray
    quantities: dict


@dataclass(frozen=True)
class Relation:
    """A way in which wrong answers follow from right ones, whatever the exercise."""

    name: str
    says: str
    holds: Callable  # of observed and expected
    hints: tuple


def near(x, y, relative=1e-7):
    return x.shape == y.shape and bool(np.abs(x - y).max(initial=0) <= relative * np.abs(y).max(initial=0))


RELATIONS = [  # the first that holds is named
    Relation(
        "seven-digits",
        "is right to about seven digits only",
        lambda o, e: near(o, e, 1e-5),
        (
            "About seven digits are right, which is what float32 holds, or an eps that was added.",
            "Is there an array made without its dtype, or a small constant?",
            "Print the dtype of every intermediate result.",
        ),
    ),
    Relation(
        "transposed",
        "is the transpose of the right one",
        lambda o, e: near(o, e.T),
        (
            "Rows and columns are exchanged.",
            "Which axis belongs to the output, which to the input?",
            "Compare entry (0, 1) of yours with entry (1, 0) of the right one.",
        ),
    ),
    Relation(
        "wrong-places",
        "has the right entries in the wrong places",
        lambda o, e: near(np.sort(o, axis=None), np.sort(e, axis=None)),
        (
            "Every number is right, and some stand in the wrong place.",
            "Look at the step that moves or orders entries.",
            "Give it entries that are all different, and follow one of them.",
        ),
    ),
    Relation(
        "wrong-signs",
        "has the right sizes and some wrong signs",
        lambda o, e: near(np.abs(o), np.abs(e)),
        (
            "Every number has the right size, and some have the wrong sign.",
            "Which entries are they: the diagonal, the negative inputs?",
            "Write the formula of one such entry and follow its minus.",
        ),
    ),
]


def _relations(exercise, record):
    found = []
    for position, name in enumerate(exercise.results):
        pairs = _pairs(exercise, record, position)
        wrong = [pair for pair in pairs if not near(pair.observed, pair.expected, _limit(pair.observed))]
        if not wrong or len(pairs) < 3:
            continue
        factor = _factor(pairs)
        if factor:
            words, predict = factor
            text = f"Your {name} is {words} in all {len(pairs)} tests with a known answer."
            refuted = _refuting(exercise, record, position, predict)
            if refuted:
                text = f"{text[:-1]}, but not where it {refuted}."
            found.append(Diagnosis("factor", text, _REFUTED if refuted else _BY_RELATION, (text, *_FACTOR_HINTS)))
            continue
        for relation in RELATIONS:
            if all(relation.holds(pair.observed, pair.expected) for pair in pairs):
                found.append(Diagnosis(relation.name, f"Your {name} {relation.says}.", _BY_RELATION, relation.hints))
                break
    return found


_BY_RELATION = 0.95  # a relation is seen where the right answer is known; elsewhere it may not hold
_REFUTED = 0.6  # and this where a law speaks against it
_FACTOR_HINTS = (
    "Look for a factor too many or too few: a sum taken for a mean, a square, one of two equal terms.",
    "Write the formula of one entry of the smallest failing input, and compare it with your code.",
)


def _limit(x):
    return TOLERANCES.get(x.dtype, 1e-9)


def _pairs(exercise, record, position):
    """The finite answers to questions with a known right answer, of one of the results."""
    pairs = []
    for test, results in record.results:
        for result in results:
            if test.law is not None or test.tier not in ("T1", "T2", "T3") or len(result.outcomes) != 1:
                continue
            expected = result.expected[position] if isinstance(result.expected, tuple) else result.expected
            observed = result.observed[position] if isinstance(result.observed, tuple) else result.observed
            if (
                not isinstance(result.outcomes[0], tuple)
                or not isinstance(observed, np.ndarray)
                or observed.dtype.kind != "f"
            ):
                return []
            expected = np.asarray(expected)
            if observed.shape != expected.shape or expected.dtype.kind != "f" or not np.isfinite(observed).all():
                return []
            if expected.any() or observed.any():
                pairs.append(Pair(observed, expected, _quantities(exercise, result.case)))
    return pairs


def _refuting(exercise, record, position, predict):
    """The name of a test whose law compares this result, and finds another factor than predicted; or None."""
    for test, results in record.results:
        for result in results:
            if test.law is None or result.passed or test.tier not in ("T1", "T2", "T3"):
                continue
            both = result.observed, result.expected
            if len(exercise.results) > 1:
                if not all(isinstance(x, tuple) and len(x) == len(exercise.results) for x in both):
                    continue
                both = tuple(x[position] for x in both)
            if not all(isinstance(x, (np.ndarray, np.floating)) for x in both):
                continue
            observed, expected = map(np.asarray, both)
            factor = predict(_quantities(exercise, result.case))
            if not near(observed, expected, 1e-6) and not near(observed, factor * expected, 1e-5):
                return test.name
    return None


def _quantities(exercise, case):
    given = {**dict(zip(exercise.arguments, case.args)), **case.options}
    numbers = {name: float(x) for name, x in given.items() if isinstance(x, (float, np.floating)) or type(x) is int}
    arrays = {name: x for name, x in given.items() if isinstance(x, np.ndarray)}
    sizes = {f"the number of entries of {name}": float(x.size) for name, x in arrays.items()}
    rows = {f"the number of rows of {name}": float(len(x)) for name, x in arrays.items() if x.ndim > 1}
    columns = {f"the number of columns of {name}": float(x.shape[-1]) for name, x in arrays.items() if x.ndim > 1}
    return {**numbers, **sizes, **rows, **columns}


def _factor(pairs):
    """ "0.5 × the true one", "the true one divided by τ": where a factor explains every pair, and the factor of the quantities."""
    factors = []
    for observed, expected, _ in pairs:
        size = float((expected * expected).sum())
        factor = float((observed * expected).sum()) / size if size else np.nan
        if not near(observed, factor * expected, _limit(observed)):
            return None
        factors.append(factor)
    if max(pair.expected.size for pair in pairs) < 2:
        return None
    constant = np.median(factors)
    if np.abs(np.array(factors) - 1).max() < 1e-5:  # too near to the right answer to be a forgotten factor
        return None
    if np.abs(np.array(factors) - constant).max() <= 1e-6 * abs(constant):
        words = {0: "zero", -1: "−1 × the true one"}.get(constant, f"{constant:.4g} × the true one")
        return words, lambda quantities: constant
    common = set.intersection(*(set(pair.quantities) for pair in pairs))
    for name in sorted(common, key=len):
        values = np.array([pair.quantities[name] for pair in pairs])
        for power, words in (
            (1, "times"),
            (-1, "divided by"),
            (2, "times the square of"),
            (-2, "divided by the square of"),
        ):
            with np.errstate(all="ignore"):
                if np.allclose(factors, values**power, rtol=1e-6, atol=0):
                    predict = lambda quantities, name=name, power=power: quantities.get(name, np.nan) ** power
                    return f"the true one {words} {name}", predict
    return None
