"""Hidden tests of assignment 4: one function for each test cell, called with what the student wrote."""

import math

import numpy as np
from hidden_tests import NO_HINTS, SEED, NotYet, choice, number, require, run
from scipy.stats import t

from minicl.course import Exercise, Mistake, Test, call, draw
from minicl.course.answers import Failed
from minicl.evaluate import linear_probe

# ------------------------------------------------------------------------------------------------- numbers and letters


def oldest(answer):
    mistakes = {
        "the-first": (0.0, "Key 0 came first. More keys than slots came after it."),
        "one-too-old": (4.0, "Its slot was taken by the last key. How many keys remain?"),
        "one-too-young": (6.0, "One more is there: count the slots."),
        "the-newest": (11.0, "This is the newest."),
        "last-batch": (9.0, "The last batch begins there; older ones are there too."),
    }
    number(answer, 5.0, mistakes)


def factor(answer):
    mistakes = {
        "both-sides": (1024.0, "The rows stay: only the columns come in blocks."),
        "images-for-views": (16.0, "Each image has two views."),
        "upside-down": (1 / 32, "A factor by which it shrinks is larger than 1."),
        "block-size": (256.0, "This is the number of columns that are left, of how many?"),
    }
    number(answer, 32.0, mistakes)


def times(answer):
    mistakes = {
        "one-pass": (1.0, "The first pass keeps no intermediate values, so the walk back needs them once more."),
        "backward-counted": (3.0, "The backward pass is not forwards."),
    }
    number(answer, 2.0, mistakes)


def floor(answer):
    mistakes = {
        "zero": (0.0, "The positives compete: each is a candidate in the terms of the others."),
        "self-counted": (math.log(4), "An anchor is not its own candidate: count the views that are left."),
        "probability": (1 / 3, "That is the share of each positive; the loss is minus its logarithm."),
        "sign": (-math.log(3), "A loss of this kind is never negative."),
    }
    number(answer, math.log(3), mistakes, tolerance=1e-3)


def frozen(answer):
    mistakes = {
        "A": (
            "statistics-forgotten",
            "Running means and variances are no parameters, and they change what it returns.",
        ),
        "B": ("statistics-forgotten", "No gradient moves the running means and variances; forward passes do."),
        "D": ("loss-only", "The loss of the layer on top says nothing about what is below."),
    }
    choice(answer, "C", mistakes)


# ---------------------------------------------------------------------------------------- functions of the catalogue


def fifo_queue(function):
    require("fifo_queue", function, tiers="T0 T1 T2")


def fifo_queue_many(function):
    require("fifo_queue", function, tiers="T0 T1 T4")


def blocked_lse(function):
    require("blocked_lse", function, tiers="T0 T1 T2")


def blocked_lse_large(function):
    require("blocked_lse", function, tiers="T0 T1 T4")


def cached_gradient(function):
    require("cached_gradient", function, tiers="T0 T1 T2 T3")


def cached_gradient_rest(function):
    require("cached_gradient", function, tiers="T0 T1 T4")


def supcon(function):
    require("supcon", function, tiers="T0 T1 T2")


def supcon_sharp(function):
    require("supcon", function, tiers="T0 T1 T4")


# ----------------------------------------------------------------------------------------------------- functions of ours


def as_supcon(function):
    views = np.random.default_rng(SEED).permutation(3 * 4 * 2.0 * np.arange(1, 25)).reshape(3, 4, 2)
    kept = views.copy()
    answer = run(function, views)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise NotYet("no-pair", "Two arrays are asked for, z and labels.")
    z, labels = map(np.asarray, answer)
    if not np.array_equal(views, kept):
        raise NotYet("in-place", "It changes its argument.")
    if z.shape != (12, 2) or labels.shape != (12,):
        raise NotYet("wrong-shape", f"For views of shape (3, 4, 2) z is {z.shape} and labels is {labels.shape}.")
    rows, place = [tuple(row) for row in views.reshape(12, 2)], list(map(tuple, z))
    if sorted(rows) != sorted(place):
        raise NotYet("rows-mixed", "The rows of z are not the views: some were cut or mixed on the way.")
    image = np.array([rows.index(row) % 4 for row in place])
    view = np.array([rows.index(row) // 4 for row in place])
    same = lambda x: x[:, None] == x
    if np.array_equal(same(labels), same(image)):
        return
    if np.array_equal(same(labels), same(view)):
        raise NotYet("labels-are-views", "Rows with one label are the same view of different images.")
    if len(np.unique(labels)) == 12:
        raise NotYet("labels-all-different", "No row has a positive: each label occurs once.")
    if sorted(np.unique(labels, return_counts=True)[1]) == [3] * 4:
        raise NotYet(
            "labels-in-another-order", "Each label occurs as often as it should, and stands at the wrong rows."
        )
    raise NotYet("unknown", "Two rows must have one label exactly if they are views of one image.")


def few_rows(function):
    labels = np.random.default_rng(SEED).permutation(np.repeat([3, 5, 8], [4, 6, 9]))
    draws = []
    for seed in range(300):
        rows = np.asarray(run(function, labels, 2, np.random.default_rng([SEED, seed])))
        if rows.shape != (6,) or rows.dtype.kind not in "iu":
            raise NotYet("wrong-shape", f"Six whole numbers are asked for; this is {rows.dtype} of shape {rows.shape}.")
        if rows.min() < 0 or rows.max() >= len(labels):
            raise NotYet("no-rows", "These are no numbers of rows.")
        if len(np.unique(rows)) < 6:
            raise NotYet("with-replacement", "A row is drawn twice.")
        found, counts = np.unique(labels[rows], return_counts=True)
        if len(found) < 3 or (counts != 2).any():
            places = np.isin(rows, np.arange(9)).all()
            raise NotYet("places-for-rows" if places else "not-balanced", "Not every class has k rows among them.")
        draws.append(rows)
    if all(np.array_equal(draws[0], rows) for rows in draws):
        raise NotYet("not-random", "Every generator gives the same rows.")
    again = run(function, labels, 2, np.random.default_rng([SEED, 0]))
    if not np.array_equal(draws[0], again):
        raise NotYet("other-generator", "The same generator gives other rows the second time: draw from rng alone.")
    share = np.bincount(np.concatenate(draws), minlength=len(labels)) / 300
    expected = 2 / np.bincount(labels)[labels]
    if (np.abs(share - expected) > 6 * np.sqrt(expected * (1 - expected) / 300)).any():
        raise NotYet("not-equally-likely", "Some rows of a class are drawn more often than others.")


_ROWS = np.array([[0, 5, 7, 8, 3], [9, 4, 2, 3, 11], [1, 6, 10, 12, 8]])


def _features(seed):
    """Three classes in four dimensions that overlap, so that accuracies differ between draws."""
    rng = np.random.default_rng(seed)
    y, test_y = np.arange(13) % 3, np.arange(40) % 3
    make = lambda y: (1.5 * np.eye(4)[y] + rng.standard_normal((len(y), 4))) * [1.0, 3.0, 0.5, 2.0] + 4
    return make(y), y, make(test_y), test_y


def _probe(*data):
    return linear_probe(*data, model="ridge")


def _curve(train_x, train_y, test_x, test_y, draws):
    return np.array([_probe(train_x[rows], train_y[rows], test_x, test_y) for rows in draws])


def _all_rows(train_x, train_y, test_x, test_y, draws):
    return np.full(len(draws), _probe(train_x, train_y, test_x, test_y))


def _of_rest(train_x, train_y, test_x, test_y, draws):
    rest = [np.setdiff1d(np.arange(len(train_y)), rows) for rows in draws]
    return _curve(train_x, train_y, test_x, test_y, rest)


CURVE = Exercise(
    name="label_curve",
    notebook="A4",
    signature="f(train_x, train_y, test_x, test_y, draws) -> accuracies",
    statement="The accuracy of a ridge probe for each draw of known labels.",
    tests=[
        Test(
            "trains on the rows of the draw alone",
            "T1",
            [call(*_features([SEED, seed]), _ROWS).gives(_curve) for seed in range(3)],
        ),
        Test("takes one draw", "T1", [call(*_features([SEED, 9]), _ROWS[:1]).gives(_curve)]),
    ],
    mistakes=[
        Mistake("all-labels", "trains on all rows, whatever the draw", _all_rows, NO_HINTS),
        Mistake("rest-of-rows", "trains on the rows that are not in the draw", _of_rest, NO_HINTS),
        Mistake(
            "tested-on-training",
            "tests on the rows that it was trained on",
            lambda x, y, tx, ty, draws: np.array([_probe(x[r], y[r], x[r], y[r]) for r in draws]),
            NO_HINTS,
            variants=(lambda x, y, tx, ty, draws: np.array([_probe(x[r], y[r], x, y) for r in draws]),),
        ),
        Mistake(
            "labels-of-other-rows",
            "takes the features of the draw with the labels of the first rows",
            lambda x, y, tx, ty, draws: np.array([_probe(x[r], y[: len(r)], tx, ty) for r in draws]),
            NO_HINTS,
        ),
        Mistake(
            "trained-on-test",
            "trains on the test rows",
            lambda x, y, tx, ty, draws: np.array([_probe(tx, ty, tx, ty) for r in draws]),
            NO_HINTS,
        ),
        Mistake(
            "per-cent",
            "returns per cent",
            lambda *args: 100 * _curve(*args),
            NO_HINTS,
        ),
        Mistake(
            "errors",
            "returns the share of wrong labels",
            lambda *args: 1 - _curve(*args),
            NO_HINTS,
        ),
        Mistake(
            "draws-joined",
            "adds the rows of earlier draws",
            lambda x, y, tx, ty, draws: np.array(
                [_probe(x[r], y[r], tx, ty) for i in range(len(draws)) for r in [draws[: i + 1].ravel()]]
            ),
            NO_HINTS,
        ),
    ],
    advice="Take one draw.",
)


def label_curve(function):
    require(CURVE, function)


def _interval(difference, q, ddof=1, root=True):
    n = len(difference)
    return difference.mean(), q(n) * difference.std(ddof=ddof) / (np.sqrt(n) if root else 1)


def _student(n):
    return t.ppf(0.975, n - 1)


def _gain(a, b):
    return _interval(a - b, _student)


def _swapped(f, a, b):
    one, other = f(a, b), f(b, a)
    return np.array([one[0], one[1]]), np.array([-other[0], other[1]])


def _shared(f, a, b, c):
    one, other = f(a, b), f(a + c, b + c)
    return np.array([*one]), np.array([*other])


def _two_numbers(f, a, b):
    answer = f(a, b)
    if len(answer) != 2 or any(np.ndim(x) for x in answer) or not np.isfinite(answer).all():
        raise Failed("something else", "two finite numbers")


_PAIRS = [call(draw(n, scale=5.0), draw(n, scale=5.0)) for n in (2, 3, 8)]

GAIN = Exercise(
    name="gain",
    notebook="A4",
    signature="f(a, b) -> (mean, half)",
    statement="Mean and half-width of the 95 % interval of a - b.",
    tests=[
        Test("returns two numbers", "T0", _PAIRS, law=_two_numbers),
        Test(
            "knows small cases",
            "T1",
            [
                call(np.array([3.0, 5.0]), np.array([2.0, 2.0])).gives((2.0, float(t.ppf(0.975, 1)))),
                call(np.array([1.0, 9.0, 5.0]), np.array([0.0, 8.0, 4.0])).gives((1.0, 0.0), scale=(1.0, 1.0)),
            ],
        ),
        Test("changes its sign, and not its width, when a and b change places", "T2", _PAIRS, law=_swapped),
        Test(
            "does not change when both get the same added",
            "T2",
            [call(draw(5, scale=1.0), draw(5, scale=1.0), draw(5, scale=9.0))],
            law=_shared,
        ),
        Test("equals the definition", "T3", [case.gives(_gain) for case in _PAIRS]),
    ],
    mistakes=[
        Mistake(
            "not-paired",
            "adds the variances of a and b, as if their draws were not shared",
            lambda a, b: (
                a.mean() - b.mean(),
                _student(len(a)) * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)),
            ),
            NO_HINTS,
            variants=(
                lambda a, b: (
                    a.mean() - b.mean(),
                    t.ppf(0.975, 2 * len(a) - 2) * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a)),
                ),
                lambda a, b: (
                    a.mean() - b.mean(),
                    _student(len(a)) * abs(a.std(ddof=1) - b.std(ddof=1)) / np.sqrt(len(a)),
                ),
            ),
        ),
        Mistake(
            "normal-quantile",
            "takes the factor of a normal distribution, as if there were many draws",
            lambda a, b: _interval(a - b, lambda n: 1.959963984540054),
            NO_HINTS,
            variants=(lambda a, b: _interval(a - b, lambda n: 1.96), lambda a, b: _interval(a - b, lambda n: 2.0)),
        ),
        Mistake("divided-by-n", "divides by n in the deviation", lambda a, b: _interval(a - b, _student, 0), NO_HINTS),
        Mistake(
            "root-missing",
            "gives the spread of single draws and not that of their mean",
            lambda a, b: _interval(a - b, _student, root=False),
            NO_HINTS,
        ),
        Mistake(
            "one-sided",
            "takes the 95 % point, which leaves out 5 % on each side",
            lambda a, b: _interval(a - b, lambda n: t.ppf(0.95, n - 1)),
            NO_HINTS,
        ),
        Mistake(
            "degrees-of-freedom",
            "takes n degrees of freedom",
            lambda a, b: _interval(a - b, lambda n: t.ppf(0.975, n)),
            NO_HINTS,
        ),
        Mistake("sign", "takes b − a", lambda a, b: _gain(b, a), NO_HINTS),
        Mistake(
            "whole-width",
            "returns the whole width",
            lambda a, b: (_gain(a, b)[0], 2 * _gain(a, b)[1]),
            NO_HINTS,
        ),
        Mistake(
            "standard-error",
            "leaves out the factor of Student's t",
            lambda a, b: _interval(a - b, lambda n: 1.0),
            NO_HINTS,
        ),
    ],
    advice="Take two draws.",
)


def gain(function):
    require(GAIN, function)
