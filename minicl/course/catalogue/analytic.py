"""Notebook 02: two traps of numerical derivatives: a complex step needs an analytic function, a difference no kink.

The first exercise is judged by the derivatives that its answers give by a complex step; the second by where the kinks
of a function lie.
"""

import math

import numpy as np

from ..answers import Failed, arrays
from ..exercise import Code, Exercise, Mistake, Test, call, draw


def _both_parts(value, names):
    """A real or complex number as two: an imaginary part of 1e-30 has to be judged by itself."""
    if isinstance(value, (complex, np.complexfloating)) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "c" and value.shape == ()
    ):
        return np.array(value.real, float), np.array(value.imag, float)
    value = arrays(value, names)
    if value.shape != ():
        raise Failed(f"shape {value.shape}", "one number")
    return np.array(value, float), np.array(0.0)


def _is_number(f, z, t):
    return np.isfinite(f(z, t)[0]), np.array(True)


def _slopes_agree(f, z, t):
    """The derivatives by a complex step are those by differences."""
    steps = np.eye(z.size).reshape(z.size, *z.shape)
    exact = np.array([f(z + 1e-30j * step, t)[1] / 1e-30 for step in steps])
    rough = np.array([(f(z + 1e-5 * step, t)[0] - f(z - 1e-5 * step, t)[0]) / 2e-5 for step in steps])
    return exact, rough, 1 / t


def _long(f, z, t):
    c = np.array([3.0, *[0.2] * (len(z) - 1)]).reshape(-1, 1)
    return f(c * z, t)[0], f(z, t)[0], 1 / t


def _alike(n, d, t):
    return call(np.ones((n, d)), t).gives((1 / t + math.log(n - 1), 0.0)).noting("All rows are equal.")


def _apart(n, t):
    return call(np.eye(n), t).gives((math.log(n - 1), 0.0)).noting("All rows are orthogonal.")


def _logits(z, t, length=lambda z: np.sqrt((z * z).sum(1, keepdims=True)), inner=lambda u: u[1:] @ u[0]):
    return inner(z / length(z)) / t


def _lse(x):
    top = x.real.max()
    return top + np.log(np.exp(x - top).sum())


analytic_loss = Exercise(
    name="analytic_loss",
    notebook="02",
    signature="f(z, temperature) -> value",
    statement="""A loss that a complex step can be taken through.

    z has shape (n, d), n ≥ 2. Return log Σ_{k ≥ 1} exp(cos(z_0, z_k) / τ), the log-sum-exp of the cosines of row 0 with
    all other rows, divided by τ = temperature: a real number for real z. z may be complex, with tiny imaginary parts
    (1e-30). Then return the complex number that the same formula gives when nothing but sums, products, quotients,
    square roots, exp and log are used: its imaginary part carries the derivative. τ may be 0.001.
    """,
    answer=_both_parts,
    tests=[
        Test("returns one finite number", "T0", [call(draw(2, 2), 0.5), call(draw(3, 2), 1.0)], law=_is_number),
        Test(
            "knows equal and orthogonal rows",
            "T1",
            [_alike(2, 2, 0.5), _alike(4, 3, 2.0), _apart(3, 0.5), _apart(5, 1.0)],
        ),
        Test(
            "does not change with the lengths of rows", "T2", [call(draw(3, 2), 0.5), call(draw(4, 3), 1.0)], law=_long
        ),
        Test(
            "gives by a complex step what differences give",
            "T3",
            [call(draw(2, 2), 1.0), call(draw(3, 2), 0.5), call(draw(4, 3), 2.0)],
            law=_slopes_agree,
            tolerance=1e-7,
        ),
        Test("stays right at τ = 0.001", "T4", [_alike(3, 2, 0.001), _apart(3, 0.001)]),
    ],
    mistakes=[
        Mistake(
            "length-by-norm",
            "takes lengths from absolute values, as np.linalg.norm does",
            lambda z, t: _lse(_logits(z, t, lambda z: np.linalg.norm(z, axis=1, keepdims=True))),
            (
                "Your values are right, and the derivatives by a complex step are not.",
                "np.linalg.norm and abs use |z|, which is not analytic: the imaginary part is lost in them.",
                "Write the length with sums, products and a square root.",
            ),
        ),
        Mistake(
            "conjugate",
            "takes conjugates in its inner products, as np.vdot does",
            lambda z, t: _lse(_logits(z, t, inner=lambda u: u[1:] @ u[0].conj())),
            (
                "Your values are right, and some derivatives have the wrong sign.",
                "A conjugate turns the imaginary part round. Look at vdot, conj and .H.",
                "The plain product of entries, without a conjugate.",
            ),
            variants=(lambda z, t: _lse(_logits(z, t, inner=lambda u: u[1:].conj() @ u[0])),),
        ),
        Mistake(
            "imaginary-part-dropped",
            "drops the imaginary part on the way",
            lambda z, t: _lse(_logits(z.real, t)),
            (
                "All derivatives by a complex step are zero.",
                "Is there an array of real dtype, a .real or a float() on the way?",
                "Let every array have the dtype of z.",
            ),
            variants=(lambda z, t: float(_lse(_logits(z, t)).real),),
        ),
        Mistake(
            "absolute-value",
            "returns an absolute value",
            lambda z, t: abs(_lse(_logits(z, t))),
            (
                "All derivatives by a complex step are zero, and no value is below zero.",
                "Look at the last line.",
                "abs is not analytic. The complex number itself is wanted.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials of the logits as they are",
            lambda z, t: np.log(np.exp(_logits(z, t)).sum()),
            (
                "At τ = 0.001 a logit is 1000.",
                "Where is exp called, and how large can its argument be?",
                "Take out the largest real part, and add it again: a constant does no harm to derivatives.",
            ),
        ),
        Mistake(
            "not-normalised",
            "uses inner products and not cosines",
            lambda z, t: _lse(_logits(z, t, lambda z: 1.0)),
            (
                "Making a row longer changes your value.",
                "What is the score of a row with itself?",
                "Divide each row by its length.",
            ),
        ),
        Mistake(
            "self-included",
            "counts row 0 among the others",
            lambda z, t: _lse(_logits(z, t, inner=lambda u: u @ u[0])),
            (
                "For n equal rows you return log n more than 1/τ, and log(n − 1) is right.",
                "Which rows are in the sum?",
                "The sum begins at k = 1.",
            ),
        ),
        Mistake(
            "temperature-multiplied",
            "multiplies by the temperature",
            lambda z, t: _lse(_logits(z, 1 / t)),
            (
                "Your value grows with τ, where it should fall.",
                "What happens to a cosine on its way to a logit?",
                "It is divided by τ.",
            ),
        ),
    ],
    advice="Print the imaginary part after each line for z + 1e-30j in one entry: where does it vanish, or change its sign?",
)

# ------------------------------------------------------------------------------------------------------------- kinks


def _at(func, x, h, *answer, note=""):
    return call(Code(func), np.array(x, float), h).gives(np.array(answer).reshape(np.shape(x))).noting(note)


_RELU = "lambda x: np.maximum(x, 0).sum()"
_ABS = "lambda x: np.abs(x).sum()"
_SMOOTH = "lambda x: (x**2 + 3 * x).sum()"


def _move(x, i, step):
    moved = np.array(x, float)
    moved[i] += step
    return moved


def _each(judge):
    """judge(slope, i): slope(a, b) is the difference quotient of entry i between x + a h and x + b h."""

    def function(func, x, h):
        found = np.zeros(x.shape, bool)
        for i in np.ndindex(x.shape):
            slope = lambda a, b, i=i: (func(_move(x, i, b * h)) - func(_move(x, i, a * h))) / ((b - a) * h)
            found[i] = judge(slope, x[i], h)
        return found

    return function


def _differ(p, q, limit=0.01):
    return abs(p - q) > limit * max(abs(p), abs(q))


def _all_moved(func, x, h):
    right, left = (func(x + h) - func(x)) / h, (func(x) - func(x - h)) / h
    return np.full(x.shape, _differ(right, left))


def _rows_as_a_whole(func, x, h):
    found = _each(lambda slope, x, h: _differ(slope(0, 1), slope(-1, 0)))(func, x, h)
    return np.full(x.shape, found.any())


kinks = Exercise(
    name="kinks",
    notebook="02",
    signature="f(func, x, h) -> mask",
    statement="""Where a difference quotient is taken across a kink.

    func takes an array of the shape of x and returns one number. Return an array of truth values of that shape: True
    where func, along that entry alone, has a kink within h of x, so that no difference quotient with step h can be
    trusted there. The slopes on the two sides of a kink differ by more than half of the larger one; where there is no
    kink the slope changes by less than one thousandth of itself within h. No kink lies between h/2 and 2h from x.
    func may be large or small: judge slopes relative to their own size. x stays as it was.
    """,
    tests=[
        Test(
            "returns truth values like x", "T0", [_at(_SMOOTH, [1.0], 1e-4, False), _at(_SMOOTH, [1.0, 2], 1e-4, 0, 0)]
        ),
        Test(
            "sees the kink of max(x, 0) and of |x|",
            "T1",
            [
                _at(_RELU, [0.0], 1e-4, True, note="At 0 the slopes are 0 and 1; the quotient of both sides says ½."),
                _at(_ABS, [0.0], 1e-4, True, note="At 0 the slopes are −1 and 1; the quotient of both sides says 0."),
                _at(_RELU, [1.0], 1e-4, False),
                _at(_ABS, [-2.0, 0.0, 3.0], 1e-4, False, True, False),
            ],
        ),
        Test(
            "sees kinks on either side",
            "T1",
            [
                _at(_RELU, [0.4e-4], 1e-4, True, note="The kink lies 0.4 h to the left."),
                _at(_RELU, [-0.4e-4], 1e-4, True, note="The kink lies 0.4 h to the right."),
                _at("lambda x: np.abs(x - 1).sum()", [1.00003, 0.99997, 0.0], 1e-4, True, True, False),
            ],
        ),
        Test(
            "sees no kink where there is none",
            "T2",
            [_at(_SMOOTH, [[1.0, 2], [3, -4]], 1e-4, 0, 0, 0, 0), _at(_ABS, [3e-4, -3e-4], 1e-4, 0, 0)],
        ),
        Test(
            "takes each entry by itself",
            "T2",
            [
                _at("lambda x: np.maximum(x[0], x[1])", [1.0, 1.0], 1e-4, True, True),
                _at("lambda x: np.maximum(x[0] * 5, 0) + 7 * x[1]", [0.0, 0.0], 1e-4, True, False),
            ],
        ),
        Test(
            "judges small and large functions alike",
            "T4",
            [
                _at("lambda x: 1e-6 * np.maximum(x, 0).sum()", [0.0, 2.0], 1e-4, True, False),
                _at("lambda x: 1e6 * (x**2 + 3 * x).sum()", [1.0, 2.0], 1e-4, False, False),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "central-only",
            "compares quotients of both sides, with h and with h/2",
            _each(lambda slope, x, h: _differ(slope(-1, 1), slope(-0.5, 0.5))),
            (
                "You do not see a kink that lies at x itself.",
                "At a kink the quotient of both sides is the mean of two slopes, for each h.",
                "Compare the quotient to the right with the one to the left.",
            ),
        ),
        Mistake(
            "one-side",
            "looks at the right side only",
            _each(lambda slope, x, h: _differ(slope(0, 1), slope(0, 0.5))),
            (
                "You do not see a kink to the left of x.",
                "From where to where do your quotients go?",
                "One goes from x to x + h. The other has to go to the left.",
            ),
            variants=(_each(lambda slope, x, h: _differ(slope(-1, 0), slope(-0.5, 0))),),
        ),
        Mistake(
            "absolute-limit",
            "compares the difference of slopes with a fixed number",
            _each(lambda slope, x, h: abs(slope(0, 1) - slope(-1, 0)) > 0.1),
            (
                "Multiplying func by a constant changes your answer.",
                "With what do you compare the difference of the two slopes?",
                "Compare it with the larger of the two slopes.",
            ),
            variants=(_each(lambda slope, x, h: abs(slope(0, 1) - slope(-1, 0)) > 1e-3),),
        ),
        Mistake(
            "kink-at-zero",
            "looks at x and not at func",
            _each(lambda slope, x, h: abs(x) < h),
            (
                "You see kinks at 0 only, whatever func is.",
                "Does your answer use func?",
                "The slopes of func on the two sides of x tell.",
            ),
        ),
        Mistake(
            "all-moved",
            "moves all entries at once",
            _all_moved,
            (
                "All entries get the same answer.",
                "How many entries move between two calls of func?",
                "One at a time.",
            ),
            variants=(_rows_as_a_whole,),
        ),
        Mistake(
            "limit-too-tight",
            "takes every change of the slope for a kink",
            _each(lambda slope, x, h: _differ(slope(0, 1), slope(-1, 0), 1e-6)),
            (
                "You see kinks in x² + 3x.",
                "The slope of a smooth function changes too. By how much within h?",
                "Between one thousandth and one half there is room for a limit.",
            ),
        ),
        Mistake(
            "never",
            "sees no kink anywhere",
            lambda func, x, h: np.zeros(x.shape, bool),
            (
                "You say that |x| has no kink at 0.",
                "Which comparison decides your answer?",
                "Compare the slopes on the two sides of x.",
            ),
        ),
    ],
    advice="Take |x| at 0 and at 0.4 h, and write down the quotients to the right and to the left.",
)
