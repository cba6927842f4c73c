"""Notebook 07: a test of NT-Xent that the learner writes; it is graded by giving it right and wrong losses.

`LOSSES` lists them as source text, each made from one right text by replacing a piece.
"""

import math

import numpy as np

from ..answers import boolean
from ..exercise import Exercise, Mistake
from . import nt_xent as single
from .written_tests import Version, written_tests


def _source(
    z="np.concatenate([z1, z2])",
    unit="z / np.sqrt((z * z).sum(1, keepdims=True))",
    logits="u @ u.T / t",
    masked="np.where(np.eye(len(s), dtype=bool), -np.inf, s)",
    partner="(i + len(i) // 2) % len(i)",
    top="m.max(1, keepdims=True)",
    lse="(np.log(np.exp(m - c).sum(1, keepdims=True)) + c)[:, 0]",
    end="(lse - own).mean()",
):
    """The source of a loss, right as it stands; each argument replaces one piece."""
    inner = f"(lambda lse, own: {end})({lse}, s[i, {partner}])"
    return (
        f"lambda z1, z2, t: (lambda z: (lambda u: (lambda s, i: (lambda m: (lambda c: {inner})({top}))({masked}))"
        f"({logits}, np.arange(len(u))))({unit}))({z})"
    )


CANDIDATES, PARTNER, LENGTH, HEAT, COUNT, CARE = "candidates", "partner", "length", "temperature", "count", "care"
_CROSS = _source(masked="np.where((i[:, None] < len(i) // 2) == (i < len(i) // 2), -np.inf, s)")
LOSSES = [
    Version(_source()),
    Version(_source(top="m.max(0)[:, None]")),  # scores are symmetric
    Version(
        "lambda z1, z2, t: (lambda u: (lambda n: sum((lambda d: d.max() + np.log(np.exp(d - d.max()).sum()))(np.array("
        "[(u[k] @ u[i] - u[(i + n // 2) % n] @ u[i]) / t for k in range(n) if k != i])) for i in range(n)) / n)(len(u)))"
        "((lambda z: z / np.linalg.norm(z, axis=1, keepdims=True))(np.vstack([z1, z2])))"
    ),
    Version(_source(z="np.stack([z1, z2], 1).reshape(-1, z1.shape[1])", partner="i ^ 1")),
    Version(_source(masked="s"), "keeps the anchor among its candidates", CANDIDATES),
    Version(_source(masked="np.where(np.eye(len(s), dtype=bool), 0, s)"), "sets the anchor's logit to 0", CANDIDATES),
    Version(_CROSS, "compares views of different kind alone", CANDIDATES),
    Version(
        _source(lse="np.log(np.maximum(np.exp(m).sum(1) - np.exp(s[i, (i + len(i) // 2) % len(i)]), 1e-300))"),
        "leaves the partner out of the denominator",
        CANDIDATES,
    ),
    Version(_source(partner="(i + 1) % len(i)"), "takes the next row for the partner", PARTNER),
    Version(_source(partner="i ^ 1"), "mixes up two orders of the rows", PARTNER),
    Version(_source(z="np.concatenate([z1, z1])"), "uses the first view twice", PARTNER),
    Version(_source(unit="z"), "does not normalise", LENGTH),
    Version(_source(unit="z / np.sqrt((z * z).sum(0))"), "normalises columns", LENGTH),
    Version(
        _source(unit="z / (np.sqrt((z * z).sum(1, keepdims=True)) + 1e-3)"),
        "adds a small constant to each length",
        LENGTH,
    ),
    Version(_source(logits="u @ u.T"), "ignores the temperature", HEAT),
    Version(_source(logits="u @ u.T * t"), "multiplies by the temperature", HEAT),
    Version(_source(end="(lse - own).mean() * t"), "multiplies the loss by the temperature", HEAT),
    Version(_source(end="(lse - own).sum()"), "returns the sum", COUNT),
    Version(_source(end="(lse - own).sum() / len(z1)"), "divides by the number of images", COUNT),
    Version(_source(end="(lse - own)[: len(z1)].mean()"), "takes anchors from the first view only", COUNT),
    Version(_source(end="-np.log(np.exp(own - lse).mean())"), "takes the mean before the logarithm", COUNT),
    Version(_source(end="(lse - own).mean() / np.log(2)"), "takes logarithms to base 2", COUNT),
    Version(_source(top="0"), "overflows at a low temperature in float32", CARE),
    Version(_source(top="m.max()"), "subtracts one maximum from all rows", CARE),
    Version(
        f"lambda z1, z2, t: (z1.__itruediv__(np.sqrt((z1 * z1).sum(1, keepdims=True))), ({_source()})(z1, z2, t))[1]",
        "writes into its argument",
        CARE,
    ),
]


def _batch(n, d, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((2, n, d)) * np.logspace(0, 1, n)[:, None]


def _tested_on(*batches, limit=1e-9, watch=True, low=True):
    """A test that compares with the value inside this grader, on batches (z1, z2, τ)."""

    def test(loss):
        for z1, z2, t in batches:
            a, b = z1.copy(), z2.copy()
            value, right = loss(a, b, t), single._value(z1, z2, t)
            if watch and not (np.array_equal(a, z1) and np.array_equal(b, z2)):
                return False
            if not abs(value - right) <= limit * abs(right):
                return False
        return not low or _low(loss)

    return test


def _low(loss):
    """Two pairs in float32 at τ = 0.005, one of them opposite.

    Its two anchors have the loss 200 + log 2: logits 0, 0 and, at the partner, −200. The other two have 0.
    """
    z1, z2 = np.eye(2, dtype=np.float32), np.array([[-1, 0], [0, 1]], np.float32)
    right = (200 + math.log(2)) / 2
    value = loss(z1, z2, 0.005)
    return bool(abs(value - right) <= 1e-3 * right)


def _collapse_only(loss):
    return all(abs(loss(np.ones((n, 2)), np.ones((n, 2)), 0.5) - math.log(2 * n - 1)) < 1e-9 for n in (2, 3, 5))


def _aligned_only(loss):
    found = []
    for n, t in ((2, 0.5), (3, 0.3), (4, 1.0)):
        found.append(abs(loss(np.eye(n), np.eye(n), t) - math.log1p((2 * n - 2) * math.exp(-1 / t))) < 1e-9)
    return all(found)


_UNIT = tuple(z / np.linalg.norm(z, axis=-1, keepdims=True) for z in _batch(3, 4, 5))
_MANY = [(*_batch(3, 4, 0), 0.5), (*_batch(5, 2, 1), 0.2), (*_batch(2, 3, 2, 0.01), 1.7)]


def _on_copies(loss, z1, z2, t):
    return loss(z1.copy(), z2.copy(), t)


def _finite_only(loss):
    z = np.eye(2, dtype=np.float32)
    batches = [*_MANY, (z, -z, 0.005)]
    return all(np.isfinite(_on_copies(loss, *batch)) and _on_copies(loss, *batch) > 0 for batch in batches)


def _exact(loss):
    return all(_on_copies(loss, *batch) == single._value(*batch) for batch in _MANY)


nt_xent_test = Exercise(
    name="nt_xent_test",
    notebook="07",
    signature="f(loss) -> bool",
    statement="""Write a test of NT-Xent; it is graded by giving it right and wrong losses.

    loss(z1, z2, temperature) -> number claims to do what the exercise `nt_xent` asks for: cosines, all 2N − 1 other
    rows as candidates, the mean over 2N anchors, any lengths of rows, arguments left as they were, and right in float32
    at τ = 0.005 too (to three digits). Return True if the claim is right and False if it is wrong. Choose the batches
    that you try it on: known answers, invariances, or a loss of your own to compare with. Your test must accept 4 right
    losses and reject 21 wrong ones; you do not see them until it fails on them. It has 3 seconds for all of them.
    """,
    answer=boolean,
    mixes=True,
    tests=written_tests(
        LOSSES,
        "loss",
        "losses",
        ("rejects wrong candidates", "T3", CANDIDATES),
        ("rejects a wrong partner", "T3", PARTNER),
        ("rejects wrong lengths", "T3", LENGTH),
        ("rejects a temperature in the wrong place", "T3", HEAT),
        ("rejects a wrong mean or logarithm", "T3", COUNT),
        ("rejects overflow and changed arguments", "T4", CARE),
    ),
    mistakes=[
        Mistake(
            "collapse-only",
            "tries equal embeddings only",
            _collapse_only,
            (
                "You accept a loss that takes the next row for the partner.",
                "With equal embeddings each row is as good a partner as any other.",
                "Add batches whose rows differ.",
            ),
        ),
        Mistake(
            "aligned-only",
            "tries aligned pairs only",
            _aligned_only,
            (
                "You accept a loss that uses the first view twice.",
                "In your batches both views are the same.",
                "Add batches whose views differ, and whose anchors have unequal losses.",
            ),
        ),
        Mistake(
            "unit-rows",
            "tries rows of length 1 only",
            _tested_on((*_UNIT, 0.5), (*_UNIT, 0.2)),
            (
                "You accept a loss that does not normalise.",
                "How long are your rows?",
                "Take rows of unequal lengths.",
            ),
        ),
        Mistake(
            "temperature-one",
            "tries τ = 1 only",
            _tested_on(*[(a, b, 1.0) for a, b, _ in _MANY], low=False),
            (
                "You accept a loss that ignores the temperature.",
                "At τ = 1 a factor of τ does nothing.",
                "Take several temperatures.",
            ),
        ),
        Mistake(
            "no-low-temperature",
            "tries no low temperature in float32",
            _tested_on(*_MANY, low=False),
            (
                "You accept a loss that overflows.",
                "What is your lowest temperature, and which dtype have your arrays?",
                "Take float32 at τ = 0.005: logits reach 200, and exp overflows at 88.7.",
            ),
        ),
        Mistake(
            "arguments-not-watched",
            "does not look at what happened to the arguments",
            _tested_on(*_MANY, watch=False),
            (
                "You accept a loss that writes into its argument.",
                "Who else holds that array?",
                "Keep a copy, and compare afterwards.",
            ),
        ),
        Mistake(
            "limit-too-wide",
            "allows an error of 10 %",
            _tested_on(*_MANY[:2], limit=0.1),
            (
                "You accept a loss that adds 0.001 to each length.",
                "How far from the right value may a loss be in your test?",
                "In float64 nine digits are right.",
            ),
        ),
        Mistake(
            "finite-only",
            "asks for a finite number above zero only",
            _finite_only,
            (
                "You accept nearly everything.",
                "Which values do you compare with?",
                "There are batches whose loss is known: equal rows, orthogonal rows, a single pair.",
            ),
        ),
        Mistake(
            "exact",
            "asks for equality to the last bit",
            _exact,
            (
                "You reject right losses.",
                "Do two right losses agree in the last bit?",
                "Allow for rounding: a limit relative to the value.",
            ),
            variants=(lambda loss: False,),
        ),
        Mistake(
            "always-true",
            "accepts everything",
            lambda loss: True,
            (
                "You reject nothing.",
                "Which comparison decides your answer?",
                "Write a wrong loss yourself, and make your test see it.",
            ),
        ),
    ],
    advice="Write nt_xent as loops over anchors and candidates, and compare with it on batches that are not special.",
)
