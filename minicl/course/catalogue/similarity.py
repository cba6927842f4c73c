"""Notebook 00: the cosine of every pair of rows, its gradient by hand, and three vectors that break a triangle.

Cosines are known beforehand on a fan of vectors; what scaling and rotation do to them needs no right version.
"""

import math

import numpy as np

from .. import numeric
from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw, speed


def _lengths(x):
    return np.sqrt((x * x).sum(-1, keepdims=True))


def _rotation(d):
    """A fixed rotation of d dimensions."""
    return np.linalg.qr(np.cos(np.arange(d * d).reshape(d, d)) + np.eye(d))[0]


# ------------------------------------------------------------------------------------------------------- cosine matrix

_UP, _SIDE, _FAN = np.array([[3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [-3.0, -4.0]])
_ZERO = np.array([[0.0, 0.0]])
_SHAPES = [((1, 2), (1, 2)), ((2, 3), (1, 3)), ((2, 2), (3, 2)), ((3, 5), (4, 5))]
_PAIRS = [call(draw(*a, scale=1.0), draw(*b, scale=1.0)) for a, b in _SHAPES]


def _divided(x, length):
    """x / length, where a length of 0 gives nan as in any division."""
    with np.errstate(all="ignore"):
        return x / length


def _unit(x):
    """Unit rows, zeros where x has them, at every length."""
    top = np.abs(x).max(-1, keepdims=True)
    x = x / np.where(top > 0, top, 1)
    length = _lengths(x)
    return x / np.where(length > 0, length, 1)


def _matrix_with(left, right=None):
    """The product of rows that are treated by `left` and `right`."""
    return lambda x, y: left(x) @ (right or left)(y).T


def _no_units(x):
    return x


def _stretched(f, x, y):
    """Each row gets a length of its own."""
    stretch = lambda z: z * np.logspace(-3, 3, len(z) + 1)[1:, None]
    return f(stretch(x), stretch(y)), f(x, y), 1.0


cosine_matrix = Exercise(
    name="cosine_matrix",
    notebook="00",
    signature="f(x, y) -> s",
    statement="""The cosine of every row of x with every row of y.

    x has shape (n, d) and y has shape (m, d). Return s of shape (n, m): entry (i, k) is the cosine of the angle between
    row i of x and row k of y. Where one of the two rows holds zeros only, the cosine is 0. No eps is added anywhere:
    rows of every length get their exact cosine.
    """,
    tests=[
        Test(
            "returns one finite number for each pair of rows",
            "T0",
            _PAIRS,
            law=lambda f, x, y: (np.array(f(x, y).shape), np.array([len(x), len(y)])),
        ),
        Test(
            "knows the cosines of (3, 4)",
            "T1",
            [
                call(_UP, np.array([[1.0, 0.0]])).gives(np.array([[0.6]])),
                call(_UP, _SIDE).gives(np.array([[0.6, 0.8]])),
                call(_SIDE, _UP).gives(np.array([[0.6], [0.8]])),
                call(_UP, _FAN).gives(np.array([[0.6, -1.0]])),
                call(_SIDE, np.vstack([_UP, _FAN])).gives(np.array([[0.6, 1.0, -0.6], [0.8, 0.0, -0.8]])),
            ],
        ),
        Test("does not change when rows are made longer or shorter", "T2", _PAIRS, law=_stretched),
        Test(
            "does not change when space is rotated",
            "T2",
            _PAIRS,
            law=lambda f, x, y: (f(x @ _rotation(x.shape[1]), y @ _rotation(x.shape[1])), f(x, y), 1.0),
        ),
        Test("is transposed when x and y change places", "T2", _PAIRS, law=lambda f, x, y: (f(x, y), f(y, x).T, 1.0)),
        Test(
            "looks at the two rows of an entry alone",
            "T2",
            _PAIRS,
            law=lambda f, x, y: (f(x, y)[-1:, -1:], f(x[-1:], y[-1:]), 1.0),
        ),
        Test(
            "gives every row the cosine 1 with itself",
            "T2",
            [call(x, x) for x in (_UP, np.vstack([_UP, _FAN]), np.cos(np.arange(15.0)).reshape(3, 5))],
            law=lambda f, x, y: (np.diagonal(f(x, y)), np.ones(len(x))),
        ),
        Test(
            "gives a row of zeros the cosine 0, and leaves the other rows alone",
            "T4",
            [
                call(_ZERO, _UP).gives(np.array([[0.0]])),
                call(_UP, _ZERO).gives(np.array([[0.0]])),
                call(_ZERO, _ZERO).gives(np.array([[0.0]])),
                call(np.vstack([_UP, _ZERO]), np.vstack([_ZERO, _SIDE])).gives(
                    np.array([[0.0, 0.6, 0.8], [0.0, 0.0, 0.0]])
                ),
            ],
        ),
        Test(
            "is exact for short and long rows",
            "T4",
            [
                call(1e-6 * _UP, _SIDE).gives(np.array([[0.6, 0.8]])),
                call(_UP, 1e-6 * _SIDE).gives(np.array([[0.6, 0.8]])),
                call(1e-6 * _UP, 1e-6 * _SIDE).gives(np.array([[0.6, 0.8]])),
                call(1e9 * _UP, 1e-9 * _SIDE).gives(np.array([[0.6, 0.8]])),
            ],
        ),
        Test(
            "is exact where the square of a length is no longer a number",
            "T4",
            [call(c * _UP, _SIDE / c).gives(np.array([[0.6, 0.8]])) for c in (1e-200, 1e200)],
            required=False,
        ),
        speed(
            "takes less than 30 times as long as the matrix product",
            call(draw(300, 64, scale=1.0), draw(200, 64, scale=1.0)),
            than=lambda x, y: x @ y.T,
            ratio=30,
        ),
    ],
    mistakes=[
        Mistake(
            "columns-normalised",
            "scales columns instead of rows (a norm along axis 0)",
            _matrix_with(lambda x: _divided(x, np.sqrt((x * x).sum(0)))),
            (
                "Making one row longer changes the cosines of the others, and a single row gives whole numbers only.",
                "Look at the axis of the norm: which index is summed over?",
                "A row is one vector: its length sums over the last axis.",
            ),
            variants=(_matrix_with(lambda x: _unit(x.T).T),),
        ),
        Mistake(
            "keepdims-missing",
            "divides by lengths of shape (n,) without keepdims",
            _matrix_with(lambda x: _divided(x, np.sqrt((x * x).sum(1)))),
            (
                "It raises an error for most shapes, and is wrong without an error where n = d.",
                "What shape have the lengths, and how does NumPy lay (n,) against (n, d)?",
                "The lengths must stand in a column: shape (n, 1).",
            ),
        ),
        Mistake(
            "eps",
            "adds a small eps to the lengths, or does not let them fall below it",
            _matrix_with(lambda x: x / (_lengths(x) + 1e-8)),
            (
                "Rows of usual length are right to eight digits or so, short rows to fewer.",
                "Look for a small constant beside a length.",
                "The only length that must not be divided by is 0: treat it as a case of its own.",
            ),
            variants=(
                _matrix_with(lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-12)),
                _matrix_with(lambda x: x / (_lengths(x) + 1e-12)),
                _matrix_with(lambda x: x / np.maximum(_lengths(x), 1e-5)),
                lambda x, y: x @ y.T / (_lengths(x) * _lengths(y).T + 1e-8),
                lambda x, y: x @ y.T / np.maximum(_lengths(x) * _lengths(y).T, 1e-8),
            ),
        ),
        Mistake(
            "one-side",
            "divides by the lengths of one of the two only",
            _matrix_with(_unit, _no_units),
            (
                "Making the rows of one argument longer changes your answer; of the other it does not.",
                "Count the norms: there is one for x and one for y.",
                "Both rows of a pair are scaled to length 1.",
            ),
            variants=(_matrix_with(_no_units, _unit),),
        ),
        Mistake(
            "inner-product",
            "returns inner products, without any length",
            _matrix_with(_no_units),
            (
                "Some of your numbers are larger than 1: no cosine is.",
                "The inner product is the cosine times both lengths.",
                "Divide every row by its length first.",
            ),
        ),
        Mistake(
            "length-squared",
            "divides by the squares of the lengths",
            _matrix_with(lambda x: _divided(x, (x * x).sum(-1, keepdims=True))),
            (
                "Rows of length 1 are right; doubling a row halves its cosines.",
                "Look for a square root.",
                "The length is the root of the sum of squares.",
            ),
        ),
        Mistake(
            "zero-row-divided",
            "divides a row of zeros by its length",
            _matrix_with(lambda x: _divided(x, _lengths(x))),
            (
                "A row of zeros gives nan, and it spreads to nothing else: all other entries are right.",
                "0 / 0: look at the division by the length.",
                "Divide by something harmless where the length is 0; the row itself makes the cosine 0.",
            ),
        ),
        Mistake(
            "whole-array",
            "takes one length for the whole array",
            _matrix_with(lambda x: x / (np.sqrt((x * x).sum()) or 1.0)),
            (
                "One row is right; with several rows all entries are too small.",
                "Look for a norm without an axis.",
                "Every row has a length of its own.",
            ),
        ),
        Mistake(
            "distance",
            "returns 1 − cos, which is large for far rows",
            lambda x, y: 1 - _unit(x) @ _unit(y).T,
            (
                "A row has 0 with itself, and opposite rows have 2.",
                "Is that a similarity or a distance?",
                "Return the cosine itself: 1 for the same direction, −1 for the opposite one.",
            ),
        ),
        Mistake(
            "angle",
            "returns the angle instead of its cosine",
            lambda x, y: np.arccos(np.clip(_unit(x) @ _unit(y).T, -1, 1)),
            (
                "A row has about 0 with itself, and a right angle has 1.57.",
                "Look at the last function that you call.",
                "The inner product of unit rows is the cosine already.",
            ),
        ),
        Mistake(
            "pairs-only",
            "multiplies row i of x with row i of y only",
            lambda x, y: (_unit(x) * _unit(y)).sum(1),
            (
                "You return one number for each row; one for each pair is wanted.",
                "A product entry by entry lays row i beside row i.",
                "Every row with every row: that is a matrix product.",
            ),
        ),
        Mistake(
            "transposed",
            "returns the transpose, of shape (m, n)",
            lambda x, y: _unit(y) @ _unit(x).T,
            (
                "For x of 2 rows and y of 3 your answer has shape (3, 2).",
                "Which of the two stands on the left of the product?",
                "Rows of s belong to rows of x.",
            ),
        ),
    ],
    advice="Two steps: scale every row to length 1, then one matrix product. Print both for the smallest failing input.",
)

# ------------------------------------------------------------------------------------------------- gradient of a cosine


def _cosine(u, v):
    """Analytic, so that the complex step works; at every length."""
    u, v = u / np.abs(u).max(), v / np.abs(v).max()
    return (u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum())


def _right(u, v):
    return numeric.vjp(_cosine, np.array(1.0), u, v)


def _scale(u, v):
    """The largest gradients there can be: a cosine changes by at most 1/length per step."""
    return float(1 / _lengths(u)[0]), float(1 / _lengths(v)[0])


def _gradient_of(rule):
    """Both gradients from a rule for the first: rule(unit u, unit v, length of u, length of v)."""

    def f(u, v):
        a, b = (float(_lengths(z / (np.abs(z).max() or 1))[0] * np.abs(z).max()) for z in (u, v))
        if a == 0 or b == 0:
            return np.zeros_like(u), np.zeros_like(v)
        return rule(u / a, v / b, a, b), rule(v / b, u / a, b, a)

    return f


_exact = _gradient_of(lambda p, q, a, b: (q - (p @ q) * p) / a)


def _zero_divided(u, v):
    with np.errstate(all="ignore"):
        a, b = _lengths(u), _lengths(v)
        s = (u @ v) / (a * b)
        return (v / b - s * u / a) / a, (u / a - s * v / b) / b


def _with_eps(u, v, eps=1e-8):
    a, b = _lengths(u) + eps, _lengths(v) + eps
    s = (u @ v) / (a * b)
    return (v / b - s * u / a) / a, (u / a - s * v / b) / b


_PLANE = [call(draw(2), draw(2)), call(draw(3), draw(3)), call(draw(7), draw(7))]
_E0, _E1, _THREE_FOUR = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([3.0, 4.0])

cosine_gradient = Exercise(
    name="cosine_gradient",
    notebook="00",
    signature="f(u, v) -> (du, dv)",
    statement="""Gradient of a cosine in both of its vectors, by hand.

    s = (u · v) / (|u| |v|) for two vectors u and v of shape (d,); |u| is the Euclidean length. Return du, the gradient
    of s with respect to u, and dv, that with respect to v, both of shape (d,). If one of the vectors is the zero vector,
    both gradients are zero. No eps is added anywhere.
    """,
    tests=[
        Test(
            "returns two finite arrays of shape (d,)",
            "T0",
            _PLANE,
            law=lambda f, u, v: (np.array([z.shape for z in f(u, v)]), np.array([u.shape, v.shape])),
        ),
        Test(
            "knows the gradients of simple vectors",
            "T1",
            [
                call(_E0, _E1).gives((_E1, _E0)),
                call(2 * _E0, _E1).gives((_E1 / 2, _E0)),
                call(_E0, 4 * _E1).gives((_E1, _E0 / 4)),
                call(_E0, _THREE_FOUR).gives((np.array([0.0, 0.8]), np.array([0.128, -0.096]))),
                call(_THREE_FOUR, _E0).gives((np.array([0.128, -0.096]), np.array([0.0, 0.8]))),
            ],
        ),
        Test(
            "is zero where the cosine is 1 or −1: it can rise or fall no further",
            "T1",
            [call(_THREE_FOUR, c * _THREE_FOUR).gives((0 * _E0, 0 * _E0), scale=(0.2, 0.2)) for c in (1.0, 2.0, -0.5)],
        ),
        Test(
            "is at right angles to its own vector",
            "T2",
            _PLANE,
            law=lambda f, u, v: (np.array([f(u, v)[0] @ u, f(u, v)[1] @ v]), np.zeros(2), 1.0),
        ),
        Test(
            "is halved in u when u is doubled, and stays in v",
            "T2",
            _PLANE,
            law=lambda f, u, v: (f(2 * u, v), (f(u, v)[0] / 2, f(u, v)[1]), _scale(u, v)),
        ),
        Test(
            "changes places when u and v do",
            "T2",
            _PLANE,
            law=lambda f, u, v: (f(v, u), f(u, v)[::-1], _scale(v, u)),
        ),
        Test("equals the numerical derivative (whole numbers)", "T3", [case.gives(_right, _scale) for case in _PLANE]),
        Test(
            "equals the numerical derivative (random numbers, three scales)",
            "T3",
            [
                call(draw(d, scale=a), draw(d, scale=b)).gives(_right, _scale)
                for d in (2, 5)
                for a, b in ((1.0, 1.0), (1e-3, 1.0), (1.0, 1e3))
            ],
        ),
        Test(
            "is zero where one of the vectors is the zero vector",
            "T4",
            [call(a, b).gives((0 * _E0, 0 * _E0)) for a, b in ((0 * _E0, _E1), (_E1, 0 * _E0), (0 * _E0, 0 * _E0))],
        ),
        Test(
            "is exact for short and long vectors",
            "T4",
            [
                call(1e-6 * _E0, _THREE_FOUR).gives((np.array([0.0, 8e5]), np.array([0.128, -0.096]))),
                call(1e9 * _E0, 1e-6 * _THREE_FOUR).gives((np.array([0.0, 8e-10]), np.array([1.28e5, -9.6e4]))),
            ],
        ),
        Test(
            "is exact where the square of a length is no longer a number",
            "T4",
            [
                call(1e-200 * _E0, _THREE_FOUR).gives((np.array([0.0, 8e199]), np.array([0.128, -0.096]))),
                call(1e200 * _E0, _THREE_FOUR).gives((np.array([0.0, 8e-201]), np.array([0.128, -0.096]))),
            ],
            required=False,
        ),
    ],
    mistakes=[
        Mistake(
            "no-projection",
            "does not take away the part along the vector itself",
            _gradient_of(lambda p, q, a, b: q / a),
            (
                "Your du has a part along u: yet making u longer does not change the cosine.",
                "|u| stands in the denominator, and it depends on u too.",
                "Use the quotient rule. The second term takes from v/|v| its part along u/|u|.",
            ),
        ),
        Mistake(
            "length-missing",
            "does not divide by the vector's own length",
            _gradient_of(lambda p, q, a, b: q - (p @ q) * p),
            (
                "Vectors of length 1 are right. Doubling u does not halve your du.",
                "A step of the same size turns a long vector less than a short one.",
                "One factor 1/|u| is missing in du, and one 1/|v| in dv.",
            ),
        ),
        Mistake(
            "length-twice",
            "divides by the square of the vector's own length",
            _gradient_of(lambda p, q, a, b: (q - (p @ q) * p) / a**2),
            (
                "Doubling u divides your du by four.",
                "Count how often |u| is divided out.",
                "In v/|v| − s u/|u| each vector has its own length; only one more 1/|u| stands before it.",
            ),
        ),
        Mistake(
            "other-length",
            "divides du by |v| and dv by |u|",
            _gradient_of(lambda p, q, a, b: (q - (p @ q) * p) / b),
            (
                "Doubling v halves your du: it should leave it alone.",
                "Which length stands before the bracket?",
                "The gradient in u falls with the length of u.",
            ),
        ),
        Mistake(
            "other-length-kept",
            "leaves the length of the other vector in",
            _gradient_of(lambda p, q, a, b: b * (q - (p @ q) * p) / a),
            (
                "Doubling v doubles your du: it should leave it alone.",
                "Look at the vector v in your du: what is its length?",
                "Only the direction of v matters: use v/|v|.",
            ),
        ),
        Mistake(
            "sign",
            "adds the part along the vector instead of taking it away",
            _gradient_of(lambda p, q, a, b: (q + (p @ q) * p) / a),
            (
                "The part of your du along u is twice that of v/|v|; it should be zero.",
                "Look at the sign between the two terms.",
                "The derivative of 1/|u| has a minus.",
            ),
        ),
        Mistake(
            "raw-u-projected",
            "takes away s u instead of s u/|u|",
            _gradient_of(lambda p, q, a, b: (q - (p @ q) * a * p) / a),
            (
                "Vectors of length 1 are right, others are not at right angles to your gradient.",
                "Look at the second term: which vectors stand in it?",
                "A projection needs a vector of length 1.",
            ),
        ),
        Mistake(
            "cosine-missing",
            "takes away the whole unit vector, without the factor s",
            _gradient_of(lambda p, q, a, b: (q - p) / a),
            (
                "For u and v at a right angle your du has a part along u.",
                "How much of v/|v| lies along u/|u|?",
                "That share is the cosine s: it multiplies the second term.",
            ),
        ),
        Mistake(
            "projected-on-the-other",
            "takes away the part along the other vector",
            _gradient_of(lambda p, q, a, b: (p - (p @ q) * q) / a),
            (
                "Your du is at right angles to v; it should be so to u.",
                "In du, which vector is followed and which is projected out?",
                "A step of u goes towards v, less its part along u.",
            ),
        ),
        Mistake(
            "swapped",
            "returns (dv, du)",
            lambda u, v: _exact(u, v)[::-1],
            (
                "Your two gradients are right, and each stands in the place of the other.",
                "Look at the order of the results.",
                "First the gradient in u, then that in v.",
            ),
        ),
        Mistake(
            "of-the-distance",
            "differentiates 1 − cos",
            lambda u, v: tuple(-g for g in _exact(u, v)),
            (
                "Both gradients have the wrong sign.",
                "A step along the gradient makes the cosine larger. Does yours?",
                "Differentiate the cosine, not the distance 1 − cos.",
            ),
        ),
        Mistake(
            "second-constant",
            "takes v for a constant: dv is zero",
            lambda u, v: (_exact(u, v)[0], np.zeros_like(v)),
            (
                "Your dv is zero everywhere.",
                "The cosine depends on v as much as on u.",
                "s is the same when u and v are exchanged: so is the rule for its gradient.",
            ),
            variants=(lambda u, v: (np.zeros_like(u), _exact(u, v)[1]),),
        ),
        Mistake(
            "same-twice",
            "returns du for both vectors",
            lambda u, v: (_exact(u, v)[0],) * 2,
            (
                "du is right, and dv is du once more.",
                "s is symmetric in u and v; its two gradients are not equal.",
                "Exchange u and v in your formula for du.",
            ),
        ),
        Mistake(
            "inner-product",
            "differentiates the inner product",
            lambda u, v: (v.copy(), u.copy()),
            (
                "Your du is v itself, whatever the lengths.",
                "That is the gradient of u · v. What about the denominator?",
                "The lengths depend on u and v: use the quotient rule.",
            ),
        ),
        Mistake(
            "eps",
            "adds a small eps to the lengths",
            _with_eps,
            (
                "Vectors of usual length are right to eight digits or so, short ones to fewer.",
                "Look for a small constant beside a length.",
                "Treat the zero vector as a case of its own.",
            ),
            variants=(lambda u, v: _with_eps(u, v, 1e-12),),
        ),
        Mistake(
            "zero-divided",
            "divides by the length of the zero vector",
            _zero_divided,
            (
                "The zero vector gives nan; all else is right.",
                "0 / 0: look at the divisions by a length.",
                "Return zeros where one of the lengths is 0.",
            ),
        ),
    ],
    advice="Write s = (u · v) · 1/|u| · 1/|v| and use the product rule; the derivative of |u| is the unit vector u/|u|.",
)

# ----------------------------------------------------------------------------------------------------- triangle breaker


def _three(f, d):
    """The three vectors, or a plain word about what is no vector of d numbers."""
    vectors = f(d)
    for name, z in zip("abc", vectors):
        if z.shape != (d,):
            raise Failed(f"{name} has shape {z.shape}", f"shape ({d},)")
        if not np.isfinite(z).all():
            raise Failed(f"{name} is not finite", "finite numbers")
    return [z.astype(float) for z in vectors]


def _has_shapes(f, d):
    _three(f, d)


def _has_directions(f, d):
    vectors = _three(f, d)
    for name, z in zip("abc", vectors):
        if not z.any():
            raise Failed(f"{name} is the zero vector", "a vector with a direction")
    return vectors


def _differ(f, d):
    a, b, c = (_unit(z) for z in _has_directions(f, d))
    for names, cosine in (("a and b", a @ b), ("b and c", b @ c), ("a and c", a @ c)):
        if cosine > 1 - 1e-12:
            raise Failed(f"{names} have the same direction", "three directions")


def _sides(f, d):
    """D(a, b), D(b, c) and D(a, c) for D = 1 − cos."""
    a, b, c = (_unit(z) for z in _has_directions(f, d))
    return float(1 - a @ b), float(1 - b @ c), float(1 - a @ c)


def _is_longest(f, d):
    ab, bc, ac = _sides(f, d)
    if ac < max(ab, bc) - 1e-9:
        raise Failed("a and c are not the farthest apart", f"D(a, c) = {ac:.4g} to be the largest of the three")


def _breaks(f, d):
    ab, bc, ac = _sides(f, d)
    wanted = f"D(a, c) = {ac:.4g} to be more than D(a, b) + D(b, c) = {ab:.4g} + {bc:.4g}"
    if ac < ab + bc - 1e-9:
        raise Failed("the way over b is longer: the inequality holds", wanted)
    if ac < ab + bc + 1e-6:
        raise Failed("the way over b is just as long: the inequality holds", wanted)


def _breaks_most(f, d):
    ab, bc, ac = _sides(f, d)
    return np.round(np.array(ac - ab - bc), 9), np.array(0.5)  # rounded, so that answers can be compared


def _in_plane(*angles):
    """Vectors at these angles, in degrees, in the first two of d dimensions."""

    def f(d):
        vectors = np.zeros((3, d))
        vectors[:, 0], vectors[:, 1] = np.cos(np.radians(angles)), np.sin(np.radians(angles))
        return tuple(vectors)

    return f


def _on_a_line(d):
    return np.ones(d), 2 * np.ones(d), 3 * np.ones(d)


def _zero_between(d):
    return np.eye(d)[0], np.zeros(d), np.eye(d)[1]


def _flat(d):
    return tuple(np.array([math.cos(t), math.sin(t)]) for t in (0.0, 1.0, 2.0))


_DIMENSIONS = [call(d) for d in (2, 3, 7)]

triangle_breaker = Exercise(
    name="triangle_breaker",
    notebook="00",
    signature="f(d) -> (a, b, c)",
    statement="""Three vectors that break the triangle inequality of 1 − cos.

    D(x, y) = 1 − cos(x, y) is often called the cosine distance. A distance must obey D(a, c) ≤ D(a, b) + D(b, c): no way
    over b is shorter than the direct one. For a whole number d ≥ 2 return three vectors of shape (d,), none of them
    zero, for which D(a, c) is larger than D(a, b) + D(b, c). If you like, find those for which it is larger by the most:
    by one half.
    """,
    verdicts=True,  # many triples are right
    tests=[
        Test("returns three vectors of d finite numbers", "T0", _DIMENSIONS, law=_has_shapes),
        Test("returns no zero vector", "T0", _DIMENSIONS, law=lambda f, d: (_has_directions(f, d), None)[1]),
        Test("takes three different directions", "T1", _DIMENSIONS, law=_differ),
        Test("sets a and c the farthest apart", "T1", _DIMENSIONS, law=_is_longest),
        Test("breaks the inequality", "T1", _DIMENSIONS, law=_breaks),
        Test(
            "breaks it by as much as can be, one half",
            "T4",
            _DIMENSIONS,
            law=_breaks_most,
            required=False,
            tolerance=1e-6,
        ),
    ],
    mistakes=[
        Mistake(
            "right-angles",
            "takes two right angles in a row",
            _in_plane(0, 90, 180),
            (
                "Your direct way is exactly as long as the way over b.",
                "Which angles lie between a and b, and between b and c?",
                "Make both angles smaller than a right angle.",
            ),
        ),
        Mistake(
            "wide-angles",
            "takes angles of more than 90 degrees between neighbours",
            _in_plane(0, 100, 200),
            (
                "Your way over b is longer than the direct one: nothing is broken.",
                "Plot 1 − cos against the angle. Where does it bend upwards, where downwards?",
                "Near 0 it grows like the square of the angle, so two small steps cost less than one large one.",
            ),
            variants=(_in_plane(0, 120, 190), _in_plane(0, 95, 185)),
        ),
        Mistake(
            "wrong-order",
            "has the middle vector at an end",
            _in_plane(0, 120, 60),
            (
                "D(a, c) is not the largest of your three distances.",
                "The second vector is the one that the detour goes over.",
                "Put the vector that lies between the other two in the middle.",
            ),
            variants=(_in_plane(60, 0, 120), _in_plane(0, 90, 45)),
        ),
        Mistake(
            "one-direction",
            "takes three vectors of one direction",
            _on_a_line,
            (
                "All three of your distances are 0.",
                "1 − cos does not see lengths. What does it see?",
                "Give the three vectors three different directions.",
            ),
        ),
        Mistake(
            "zero-vector",
            "takes the zero vector",
            _zero_between,
            (
                "The zero vector has no direction, so its cosine is a matter of taste.",
                "Which of your vectors is zero?",
                "Choose three directions.",
            ),
        ),
        Mistake(
            "two-dimensions",
            "returns vectors of two numbers, whatever d is",
            _flat,
            (
                "For d = 3 your vectors have two numbers.",
                "What do you do with d?",
                "Leave the other numbers at zero: the plane of the first two is enough.",
            ),
        ),
    ],
    advice="Three directions in a plane are enough. Write D(a, c) − D(a, b) − D(b, c) as a function of the two angles.",
)
