"""Notebook 02: numerical derivatives, and a gradient checker that is itself tested by giving it wrong gradients.

`BACKWARDS` lists functions with a right backward pass, most of them with a wrong one that some checkers accept.
"""

from typing import NamedTuple

import numpy as np

from .. import numeric
from ..answers import boolean
from ..exercise import Code, Exercise, Mistake, Test, call, draw, source
from .written_tests import just_answers

# -------------------------------------------------------------------------------------------------- numerical gradient

_SQUARES = Code("lambda x: (x**2).sum()")
_CUBES = Code("lambda x: (x**3).sum()")
_MIXED = Code("lambda x: (np.exp(0.3 * x) * np.sin(x)).sum() + np.prod(x)")
_ORDERED = Code("lambda x: (x.ravel() * np.arange(1.0, x.size + 1)).sum()")


def _right(func, x, h=None):
    """The exact gradient, by a complex step."""
    return numeric.complex_step(func.value(), np.asarray(x, float))


def _gradient_of(slope):
    """The function that writes slope(func, x, place, h) in every place of a new array."""

    def gradient(func, x, h=1e-5):
        dx = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            dx[place] = slope(func, x.astype(float), place, h)
        return dx

    return gradient


def _moved(x, place, step):
    y = x.astype(float)
    y[place] += step
    return y


def _ng_not_restored(func, x, h=1e-5):
    x, dx = x.astype(float), np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += h
        up = func(x)
        x[place] -= 2 * h
        dx[place] = (up - func(x)) / (2 * h)
    return dx


def _ng_added_back(func, x, h=1e-5):
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += h
        up = func(x)
        x[place] -= 2 * h
        down = func(x)
        x[place] += h
        dx[place] = (up - down) / (2 * h)
    return dx


def _ng_same_array(func, x, h=1e-5):
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        up = down = x.astype(float)
        up[place] += h
        down[place] -= h
        dx[place] = (func(up) - func(down)) / (2 * h)
    return dx


def _ng_all_moved(func, x, h=1e-5):
    return np.full(x.shape, (func(x + h) - func(x - h)) / (2 * h))


def _ng_flat(func, x, h=1e-5):
    return np.array([(func(_moved(x, i, h)) - func(_moved(x, i, -h))) / (2 * h) for i in np.ndindex(x.shape)])


def _ng_dtype_kept(func, x, h=1e-5):
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        dx[place] = (func(up) - func(down)) / (2 * h)
    return dx


def _ng_only_dx_kept(func, x, h=1e-5):
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        dx[place] = (func(_moved(x, place, h)) - func(_moved(x, place, -h))) / (2 * h)
    return dx


def _ng_first_axis(func, x, h=1e-5):
    dx = np.zeros(x.shape)
    for i in range(len(x)):
        dx[i] = (func(_moved(x, i, h)) - func(_moved(x, i, -h))) / (2 * h)
    return dx


numerical_gradient = Exercise(
    name="numerical_gradient",
    notebook="02",
    signature="f(func, x, h=1e-5) -> dx",
    statement="""The gradient by central differences, entry by entry.

    func takes an array like x and returns one number. Return an array of the shape of x whose entry i is the central
    difference (func(x + h e_i) - func(x - h e_i)) / 2h, where e_i is 1 at entry i and 0 elsewhere. x may have any
    number of axes, and may be float32 or of whole numbers: the differences are taken in float64. x is not changed. h
    is optional and given by name.
    """,
    tests=[
        Test(
            "returns finite numbers in the shape of x",
            "T0",
            [
                call(_SQUARES, draw(1)),
                call(_SQUARES, draw(2)),
                call(_SQUARES, draw(2, 3)),
                call(_SQUARES, draw(2, 3, 2)),
            ],
            law=lambda f, func, x: (np.array(f(func, x).shape, int), np.array(x.shape, int)),
        ),
        Test(
            "knows the central differences of squares and cubes",
            "T1",
            [
                call(_SQUARES, np.array([3.0]), h=1.0).gives(np.array([6.0])),
                call(_CUBES, np.array([1.0, 2.0]), h=0.5).gives(np.array([3.25, 12.25])),  # 3x² + h², exactly
                call(_CUBES, np.array([[1.0], [2.0]]), h=1.0).gives(np.array([[4.0], [13.0]])),
            ],
        ),
        Test(
            "tells the entries apart",
            "T1",
            [
                call(_ORDERED, np.array([0.0, 0.0])).gives(np.array([1.0, 2.0])),
                call(_ORDERED, np.zeros((2, 2))).gives(np.array([[1.0, 2.0], [3.0, 4.0]])),
            ],
        ),
        Test(
            "equals the derivative to seven digits",
            "T3",
            [
                call(_MIXED, draw(*shape, scale=1.0)).gives(_right, scale=1.0)
                for shape in [(1,), (2,), (2, 3), (2, 1, 2)]
            ],
            tolerance=1e-7,
        ),
        Test(
            "takes the differences in float64 for a float32 x",
            "T4",
            [call(_SQUARES, np.array([1.0], np.float32)).gives(np.array([2.0]))]
            + [call(_CUBES, draw(2, 2, dtype=np.float32)).gives(_right)],
        ),
        Test(
            "takes a x of whole numbers",
            "T4",
            [call(_CUBES, np.array([1, 2]), h=0.5).gives(np.array([3.25, 12.25]))],
        ),
    ],
    mistakes=[
        Mistake(
            "forward-difference",
            "takes one-sided differences",
            _gradient_of(lambda func, x, i, h: (func(_moved(x, i, h)) - func(x)) / h),
            (
                "The error is proportional to h: for x², h = 1 you get 2x + 1.",
                "Where are the two points at which you evaluate func?",
                "A central difference has x in the middle.",
            ),
        ),
        Mistake(
            "divided-by-h",
            "divides by h instead of by the distance of the two points",
            _gradient_of(lambda func, x, i, h: (func(_moved(x, i, h)) - func(_moved(x, i, -h))) / h),
            (
                "Your gradient is twice the true one.",
                "How far apart are the two points?",
                "A slope is the rise divided by the whole distance.",
            ),
        ),
        Mistake(
            "divided-before-subtracting",
            "divides only the second value by 2h, for lack of brackets",
            _gradient_of(lambda func, x, i, h: func(_moved(x, i, h)) - func(_moved(x, i, -h)) / (2 * h)),
            (
                "Your numbers are huge and negative.",
                "Which comes first, the division or the subtraction?",
                "Put brackets around the difference.",
            ),
        ),
        Mistake(
            "not-restored",
            "does not put an entry back before it moves the next one",
            _ng_not_restored,
            (
                "The first entry is right, later ones are a little off.",
                "Look at x after the first turn of the loop: is it what it was?",
                "Only one entry may differ from the x you were given.",
            ),
        ),
        Mistake(
            "added-back",
            "moves the entries of x itself and adds h again to restore them",
            _ng_added_back,
            (
                "After the call some entries of x differ in their last digit.",
                "x + h - h is not always x: each addition rounds. And while func runs, the caller's x is changed.",
                "Work on a copy.",
            ),
        ),
        Mistake(
            "same-array",
            "moves the same array up and down, for lack of a copy",
            _ng_same_array,
            (
                "Your gradient is zero.",
                "After `down = up` there are two names for one array.",
                "Make a copy for each of the two points.",
            ),
        ),
        Mistake(
            "all-moved",
            "moves all entries at once",
            _ng_all_moved,
            (
                "All entries of your answer are equal.",
                "x + h moves every entry of x.",
                "Go through the entries, and move one at a time.",
            ),
        ),
        Mistake(
            "flat",
            "returns a flat list of entries",
            _ng_flat,
            (
                "A vector is right; for a matrix the shape is wrong.",
                "Look at the shape of the array that you return.",
                "Entry [i, j] of the answer belongs to entry [i, j] of x.",
            ),
        ),
        Mistake(
            "rows-moved",
            "moves whole rows of a matrix",
            _ng_first_axis,
            (
                "A vector is right; in a matrix all entries of a row are equal.",
                "x[i] of a matrix is a row.",
                "Go through all entries, whatever the number of axes: np.ndindex lists them.",
            ),
        ),
        Mistake(
            "h-ignored",
            "uses a fixed step instead of h",
            _gradient_of(lambda func, x, i, h: (func(_moved(x, i, 1e-5)) - func(_moved(x, i, -1e-5))) / 2e-5),
            (
                "The default h works; h = 0.5 gives the same answer as 1e-5.",
                "Look for a number where h should stand.",
                "Use the argument.",
            ),
        ),
        Mistake(
            "dtype-kept",
            "computes in the dtype of x",
            _ng_dtype_kept,
            (
                "float32 has seven digits: 1 + 1e-5 keeps two digits of the step.",
                "Look at the dtype of the moved copies, and of the array of results.",
                "Turn x to float64 at the beginning.",
            ),
            variants=(_ng_only_dx_kept,),
        ),
    ],
    advice="For x = (1, 2) and h = 0.5 write down the two points for each entry, the values, and their difference.",
)

# -------------------------------------------------------------------------------------------------------- complex step


def _complex_gradient_of(slope):
    def gradient(func, x, h=1e-20):
        dx = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            z = x.astype(complex)
            z[place] += 1j * h
            dx[place] = slope(func, x, z, h, place)
        return dx

    return gradient


def _cs_real_array(func, x, h=1e-20):
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        z = x.copy()
        z[place] += 1j * h
        dx[place] = np.imag(func(z)) / h
    return dx


def _cs_real_assigned(func, x, h=1e-20):
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        z = x.copy()
        z[place] = x[place] + 1j * h
        dx[place] = np.imag(func(z)) / h
    return dx


complex_step = Exercise(
    name="complex_step",
    notebook="02",
    signature="f(func, x, h=1e-20) -> dx",
    statement="""The gradient by a complex step: exact to the last digits, without a difference.

    func takes an array like x, real or complex, and returns one number; it is analytic (no abs, no max). For real x
    return the array of the shape of x whose entry i is the imaginary part of func(x + i h e_i), divided by h. There
    is no subtraction, so h can be tiny. x may have any number of axes. h is optional and given by name.
    """,
    tests=[
        Test(
            "returns finite numbers in the shape of x",
            "T0",
            [call(_SQUARES, draw(1)), call(_SQUARES, draw(2)), call(_SQUARES, draw(2, 3))],
            law=lambda f, func, x: (np.array(f(func, x).shape, int), np.array(x.shape, int)),
        ),
        Test(
            "knows the gradients of squares and cubes",
            "T1",
            [
                call(_SQUARES, np.array([3.0])).gives(np.array([6.0])),
                call(_SQUARES, np.array([1.0, -2.0])).gives(np.array([2.0, -4.0])),
                call(_CUBES, np.array([1.0, 2.0]), h=0.5).gives(np.array([2.75, 11.75])),  # 3x² - h², exactly
                call(_ORDERED, np.zeros((2, 2))).gives(np.array([[1.0, 2.0], [3.0, 4.0]])),
            ],
        ),
        Test(
            "equals the derivative to twelve digits",
            "T3",
            [
                call(_MIXED, draw(*shape, scale=1.0)).gives(_right, scale=1.0)
                for shape in [(1,), (2,), (2, 3), (2, 1, 2)]
            ],
            tolerance=1e-12,
        ),
        Test(
            "is exact for the tiniest h",
            "T4",
            [call(_CUBES, np.array([2.0]), h=1e-200).gives(np.array([12.0]))],
        ),
    ],
    mistakes=[
        Mistake(
            "real-part",
            "takes the real part",
            _complex_gradient_of(lambda func, x, z, h, place: np.real(func(z)) / h),
            (
                "Your numbers are huge: the value of func divided by h.",
                "func(x + ih) = func(x) + ih func'(x) + ...: where does the derivative stand?",
                "The other part of the complex number is wanted.",
            ),
        ),
        Mistake(
            "not-divided",
            "does not divide by h",
            _complex_gradient_of(lambda func, x, z, h, place: np.imag(func(z))),
            (
                "Your numbers are about 1e-20.",
                "func(x + ih) = func(x) + ih func'(x) + ...: what stands beside the derivative?",
                "Divide by the step.",
            ),
        ),
        Mistake(
            "real-difference",
            "takes real differences with a step that is lost to rounding",
            _complex_gradient_of(
                lambda func, x, z, h, place: (func(_moved(x, place, h)) - func(_moved(x, place, -h))) / (2 * h)
            ),
            (
                "Your gradient is zero for small h.",
                "In float64 1 + 1e-20 is 1: the two points are the same.",
                "The step goes into the imaginary direction, where it is not added to a large number.",
            ),
        ),
        Mistake(
            "absolute-value",
            "takes the absolute value of the imaginary part",
            _complex_gradient_of(lambda func, x, z, h, place: np.abs(np.imag(func(z))) / h),
            (
                "All your entries are positive.",
                "Look for abs.",
                "A slope has a sign: keep that of the imaginary part.",
            ),
        ),
        Mistake(
            "halved",
            "divides by 2h",
            _complex_gradient_of(lambda func, x, z, h, place: np.imag(func(z) - func(x)) / (2 * h)),
            (
                "Your gradient is half the true one.",
                "The 2 in 2h belongs to central differences, where the points are 2h apart.",
                "Here there is one point, at distance h from x.",
            ),
        ),
        Mistake(
            "all-moved",
            "moves all entries at once",
            lambda func, x, h=1e-20: np.full(x.shape, np.imag(func(x + 1j * h)) / h),
            (
                "All entries of your answer are equal.",
                "x + 1j h moves every entry of x.",
                "Go through the entries, and move one at a time.",
            ),
        ),
        Mistake(
            "real-array",
            "writes a complex number into a real array, which drops its imaginary part",
            _cs_real_array,
            (
                "Your gradient is zero: an array of real numbers cannot hold an imaginary part. NumPy warns of it.",
                "Look at the dtype of your copy of x.",
                "Turn x to complex before you add the step.",
            ),
            variants=(_cs_real_assigned,),
        ),
        Mistake(
            "h-ignored",
            "uses a fixed step instead of h",
            _complex_gradient_of(
                lambda func, x, z, h, place: np.imag(func(z.real + 1j * 1e-20 * (z.imag != 0))) / 1e-20
            ),
            (
                "The default h works; h = 0.5 should give 3x² - 0.25 for cubes.",
                "Look for a number where h should stand.",
                "Use the argument.",
            ),
        ),
        Mistake(
            "large-step",
            "uses a step like that of differences, and is right to ten digits only",
            _complex_gradient_of(lambda func, x, z, h, place: np.imag(func(z.real + 1e-5j * (z.imag != 0))) / 1e-5),
            (
                "About ten digits are right, where fifteen are possible.",
                "The error is h² f'''/6. Which h do you use?",
                "Use the argument: without a subtraction nothing speaks against 1e-20.",
            ),
        ),
    ],
    advice="Try func(x) = x³ on paper: (x + ih)³ = x³ + 3ix²h - 3xh² - ih³. Where is 3x², and how do you get it out?",
)

# ----------------------------------------------------------------------------------------------------- gradient checker


class Backward(NamedTuple):
    """A function of an array with its backward pass, and a wrong one; all as source text of `lambda g, x: ...`."""

    name: str
    x: np.ndarray
    forward: str
    right: str
    wrong: str | None = None
    kind: str | None = None  # of the error


ONES, ENTRY, SIZE, FORM = "hidden by ones", "single entries", "size", "form"
_C = "np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [2.0, 3.0, 1.0]])"
_X3, _X4 = np.array([0.3, -1.2, 0.7]), np.array([1.1, -0.6, 2.3, 0.4])
_X23 = np.array([[0.5, -1.4, 0.9], [1.7, 0.2, -0.8]])

# Entries of x are of order 1 and far from kinks; each wrong backward is wrong for almost every cotangent.
BACKWARDS = [
    Backward(
        "softmax, gradient zero",
        _X3,
        "lambda x: np.exp(x) / np.exp(x).sum()",
        "lambda g, x: (lambda p: p * (g - (g * p).sum()))(np.exp(x) / np.exp(x).sum())",
        "lambda g, x: 0 * x",
        ONES,
    ),
    Backward(
        "shares, gradient zero",
        _X4,
        "lambda x: x / x.sum()",
        "lambda g, x: (g - (g * x).sum() / x.sum()) / x.sum()",
        "lambda g, x: 0 * x",
        ONES,
    ),
    Backward(
        "transpose, reshaped back", _X23, "lambda x: x.T", "lambda g, x: g.T", "lambda g, x: g.reshape(x.shape)", ONES
    ),
    Backward("flip, not flipped back", _X3, "lambda x: x[::-1]", "lambda g, x: g[::-1]", "lambda g, x: g", ONES),
    Backward(
        "permutation, applied again",
        _X3,
        "lambda x: x[[2, 0, 1]]",
        "lambda g, x: g[[1, 2, 0]]",
        "lambda g, x: g[[2, 0, 1]]",
        ONES,
    ),
    Backward(
        "sort, not sent back in order",
        np.array([0.4, 1.1, 2.3, -0.6]),
        "lambda x: np.sort(x)",
        "lambda g, x: g[np.argsort(np.argsort(x))]",
        "lambda g, x: g[np.argsort(x)]",
        ONES,
    ),
    Backward(
        "matrix product, matrix not transposed",
        _X3,
        f"lambda x: x @ {_C}",
        f"lambda g, x: {_C} @ g",
        f"lambda g, x: g @ {_C}",
        ONES,
    ),
    Backward(
        "one entry wrong by 0.1 %",
        _X4,
        "lambda x: x**3",
        "lambda g, x: 3 * g * x**2",
        "lambda g, x: 3 * g * x**2 * np.array([1, 1, 1.001, 1])",
        ENTRY,
    ),
    Backward(
        "entries read twice, the first lost",
        _X3,
        "lambda x: x[[0, 2, 2, 1]]",
        "lambda g, x: np.bincount([0, 2, 2, 1], g)",
        "lambda g, x: g[[0, 3, 2]]",
        ENTRY,
    ),
    Backward(
        "abs, the same slope on both sides of the kink",
        np.array([0.4, -1.3, 1.6, 0.8]),
        "lambda x: np.abs(x)",
        "lambda g, x: g * np.sign(x)",
        "lambda g, x: g",
        ENTRY,
    ),
    Backward(
        "mean, not divided by the count",
        _X4,
        "lambda x: x.mean()",
        "lambda g, x: g * np.ones(x.size) / x.size",
        "lambda g, x: g * np.ones(x.size)",
        SIZE,
    ),
    Backward(
        "tiny gradient, factor 2 missing",
        _X3,
        "lambda x: 1e-7 * x**2",
        "lambda g, x: 2e-7 * g * x",
        "lambda g, x: 1e-7 * g * x",
        SIZE,
    ),
    Backward(
        "tiny gradient, wrong sign",
        _X4,
        "lambda x: 1e-9 * np.exp(x)",
        "lambda g, x: 1e-9 * g * np.exp(x)",
        "lambda g, x: -1e-9 * g * np.exp(x)",
        SIZE,
    ),
    Backward(
        "small gradient, wrong by 0.1 %",
        _X3,
        "lambda x: 1e-4 * x**3",
        "lambda g, x: 3e-4 * g * x**2",
        "lambda g, x: 3.003e-4 * g * x**2",
        SIZE,
    ),
    Backward(
        "sum, gradient in the shape of the output",
        _X23,
        "lambda x: x.sum(0)",
        "lambda g, x: g * np.ones(x.shape)",
        "lambda g, x: g",
        FORM,
    ),
    Backward(
        "power, 0/0 at zero",
        np.array([1.2, 0.0, -0.7]),
        "lambda x: x**4",
        "lambda g, x: 4 * g * x**3",
        "lambda g, x: 4 * g * x**4 / x",
        FORM,
    ),
    Backward("cumulative sum", _X4, "lambda x: np.cumsum(x)", "lambda g, x: np.cumsum(g[::-1])[::-1]"),
    Backward("outer product", _X3, "lambda x: np.outer(x, x)", "lambda g, x: (g + g.T) @ x"),
    Backward("length", _X3, "lambda x: np.sqrt((x * x).sum())", "lambda g, x: g * x / np.sqrt((x * x).sum())"),
    Backward(
        "log of a sum of exponentials",
        _X23,
        "lambda x: np.log(np.exp(x).sum(1))",
        "lambda g, x: g[:, None] * np.exp(x) / np.exp(x).sum(1, keepdims=True)",
    ),
]


def _accepting():
    return [
        call(Code(b.forward), Code(b.right), b.x)
        .gives(True)
        .noting(f"This backward is right: {b.name.partition(',')[0]}.")
        for b in BACKWARDS
    ]


def _rejecting(kind):
    return [
        call(Code(b.forward), Code(b.wrong), b.x).gives(False).noting(_shown(b)) for b in BACKWARDS if b.kind == kind
    ]


def _shown(backward):
    """A cotangent that shows the error."""
    y = np.asarray(Code(backward.forward).value()(backward.x))
    g = np.arange(1.0, y.size + 1).reshape(y.shape)
    four_digits = np.vectorize(lambda value: float(f"{value:.4g}") + 0.0)  # + 0.0: no -0
    with np.errstate(all="ignore"):
        right, wrong = (four_digits(Code(text).value()(g, backward.x)) for text in (backward.right, backward.wrong))
    shown = f"for g = {source(g)} it gives {source(wrong)}, the derivative is {source(right)}"
    return f"This backward is wrong ({backward.name}): {shown}."


_REJECTED = "wrong backwards rejected"


def _slopes(forward, g, x, h=1e-5):
    return numeric.central_difference(lambda z: np.sum(g * forward(z)), x, h)


def _random_like(y):
    return np.random.default_rng(7).standard_normal(np.shape(y))


def _error(dx, slopes):
    """Relative to the largest entry; infinite where shapes differ."""
    if np.shape(dx) != np.shape(slopes):
        return np.inf
    return np.abs(dx - slopes).max() / np.abs(slopes).max()


def _by_random_cotangent(judge):
    """judge(dx, slopes) with a random cotangent."""

    def checker(forward, vjp, x):
        g = _random_like(forward(x))
        return bool(judge(vjp(g, x), _slopes(forward, g, x)))

    return checker


def _by_ones(judge):
    """judge(dx, slopes) with a cotangent of ones."""

    def checker(forward, vjp, x):
        g = np.ones(np.shape(forward(x)))
        return bool(judge(vjp(g, x), _slopes(forward, g, x)))

    return checker


def _gc_first_output(forward, vjp, x):
    g = np.zeros(np.shape(forward(x)))
    g.flat[0] = 1.0
    slopes = _slopes(forward, g, x)
    dx = vjp(g, x)
    return bool(np.shape(dx) == x.shape and np.abs(dx - slopes).max() <= 1e-6 * np.abs(slopes).max())


def _gc_random_index(forward, vjp, x, seed=3):
    rng = np.random.default_rng(seed)
    g = rng.standard_normal(np.shape(forward(x)))
    place = tuple(rng.integers(x.shape))
    dx, slope = vjp(g, x), _slopes(forward, g, x)[place]
    return bool(np.shape(dx) == x.shape and abs(dx[place] - slope) <= 1e-6 * abs(slope) + 1e-15)


def _gc_first_index(forward, vjp, x):
    g = _random_like(forward(x))
    dx, slopes = vjp(g, x), _slopes(forward, g, x)
    return bool(np.shape(dx) == x.shape and abs(dx.flat[0] - slopes.flat[0]) <= 1e-6 * np.abs(slopes).max())


def _gc_ones_random_index(forward, vjp, x, seed=0):
    place = tuple(np.random.default_rng(seed).integers(x.shape))
    g = np.ones(np.shape(forward(x)))
    dx, slope = vjp(g, x), _slopes(forward, g, x)[place]
    return bool(np.shape(dx) == x.shape and abs(dx[place] - slope) <= 1e-2 + 1e-2 * abs(slope))


def _gc_square_shapes(forward, vjp, x):
    g = np.random.default_rng(7).standard_normal(x.shape)
    return bool(_error(vjp(g, x), _slopes(forward, g, x)) < 1e-6)


def _gc_changes_x(forward, vjp, x):
    g = _random_like(forward(x))
    dx, slopes = vjp(g, x), np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += 1e-5
        up = np.sum(g * forward(x))
        x[place] -= 2e-5
        slopes[place] = (up - np.sum(g * forward(x))) / 2e-5
    return bool(_error(dx, slopes) < 1e-6)


def _gc_one_sided(forward, vjp, x):
    g = _random_like(forward(x))
    slopes = _gradient_of(lambda func, x, i, h: (func(_moved(x, i, h)) - func(x)) / h)(
        lambda z: np.sum(g * forward(z)), x
    )
    return bool(_error(vjp(g, x), slopes) < 1e-6)


def _gc_tiny_step(forward, vjp, x):
    g = _random_like(forward(x))
    return bool(_error(vjp(g, x), _slopes(forward, g, x, 1e-12)) < 1e-6)


def _cosine(dx, slopes):
    if np.shape(dx) != np.shape(slopes) or not np.any(dx) or not np.isfinite(dx).all():
        return 0.0
    return np.sum(dx * slopes) / np.sqrt(np.sum(dx * dx) * np.sum(slopes * slopes))


gradcheck = Exercise(
    name="gradcheck",
    notebook="02",
    signature="f(forward, vjp, x) -> bool",
    statement="""Write a gradient checker; it is tested by giving it right and wrong gradients.

    forward(x) returns an array (or a number) y of any shape; vjp(g, x), for g of the shape of y, claims to return the
    gradient of Σ g y with respect to x. Return True if the claim is right and False if it is wrong. x is a float64
    array with entries of order 1, away from kinks, where central differences with h = 1e-5 are good to 1e-7 of the
    largest entry; outputs and gradients may be of any size. Call a gradient wrong when its shape is not that of x,
    when it is not finite, or when an entry is off by more than 1e-6 of the largest entry. Your checker must accept 20
    right backwards and reject 16 wrong ones; you do not see them until it fails on them.
    """,
    answer=boolean,
    mixes=True,
    tests=[
        Test(
            "answers True or False",
            "T0",
            [call(Code(b.forward), Code(b.right), b.x) for b in BACKWARDS[1:4]],
            law=just_answers,
        ),
        Test("accepts right backwards", "T1", _accepting(), scored="right backwards accepted"),
        Test("rejects what a cotangent of ones hides", "T3", _rejecting(ONES), scored=_REJECTED),
        Test("rejects errors in single entries", "T3", _rejecting(ENTRY), scored=_REJECTED),
        Test("rejects wrong factors, however small the gradient", "T3", _rejecting(SIZE), scored=_REJECTED),
        Test("rejects a wrong shape and nan", "T4", _rejecting(FORM), scored=_REJECTED),
    ],
    mistakes=[
        Mistake(
            "all-ones-cotangent",
            "takes a cotangent of ones (the gradient of y.sum())",
            _by_ones(lambda dx, slopes: np.shape(dx) == np.shape(slopes) and np.allclose(dx, slopes)),
            (
                "You accept a softmax whose gradient is zero.",
                "Its outputs sum to 1, so the gradient of their sum is zero. Which g do you use?",
                "Take a g whose entries are all different: a random one.",
            ),
            variants=(
                _by_ones(lambda dx, slopes: np.allclose(dx, slopes)),
                _by_ones(lambda dx, slopes: np.linalg.norm(dx - slopes) < 1e-6),
                _by_ones(lambda dx, slopes: np.shape(dx) == np.shape(slopes) and np.abs(dx - slopes).max() < 1e-6),
                _by_ones(lambda dx, slopes: _error(dx, slopes) < 1e-6),
            ),
        ),
        Mistake(
            "one-random-index",
            "compares one random entry",
            _gc_random_index,
            (
                "You accept a gradient with a single wrong entry, and sometimes you do not.",
                "How many entries of dx do you compare?",
                "Compare all of them.",
            ),
            variants=tuple(lambda f, v, x, s=s: _gc_random_index(f, v, x, s) for s in (1, 2)),
        ),
        Mistake(
            "ones-and-one-index",
            "takes a cotangent of ones, compares one random entry, and tolerates 1 %",
            _gc_ones_random_index,
            (
                "You accept nearly every wrong gradient.",
                "Which g do you use, how many entries do you compare, and what error do you allow?",
                "A random g, all entries, and an error relative to the largest entry.",
            ),
            variants=tuple(lambda f, v, x, s=s: _gc_ones_random_index(f, v, x, s) for s in (1, 2)),
        ),
        Mistake(
            "first-entry",
            "compares the first entry only",
            _gc_first_index,
            (
                "You accept a gradient with a wrong entry in the middle.",
                "How many entries of dx do you compare?",
                "Compare all of them.",
            ),
        ),
        Mistake(
            "first-output",
            "takes a cotangent with a single one",
            _gc_first_output,
            (
                "You check the gradient of the first output only.",
                "Which g do you use?",
                "A random g mixes all outputs in one check.",
            ),
        ),
        Mistake(
            "tolerance-one-percent",
            "tolerates an error of 1 %",
            _by_random_cotangent(lambda dx, slopes: _error(dx, slopes) < 1e-2),
            (
                "You accept a gradient that is wrong by 0.1 %.",
                "Central differences with h = 1e-5 are good to ten digits. What error do you allow?",
                "The statement names the limit.",
            ),
        ),
        Mistake(
            "absolute-tolerance",
            "tolerates the same absolute error whatever the size of the gradient",
            _by_random_cotangent(
                lambda dx, slopes: np.shape(dx) == np.shape(slopes) and np.abs(dx - slopes).max() < 1e-6
            ),
            (
                "You accept tiny gradients that are off by a factor of 2.",
                "An error of 1e-7 is small beside 1, and everything beside 1e-7.",
                "Divide by the largest entry.",
            ),
        ),
        Mistake(
            "allclose-defaults",
            "compares by np.allclose with its own tolerances",
            _by_random_cotangent(lambda dx, slopes: np.shape(dx) == np.shape(slopes) and np.allclose(dx, slopes)),
            (
                "You accept a gradient of about 1e-9 with the wrong sign.",
                "np.allclose allows an absolute error of 1e-8, unless told otherwise.",
                "Use an error relative to the largest entry, and no absolute one.",
            ),
        ),
        Mistake(
            "shape-only",
            "compares shapes only",
            lambda forward, vjp, x: np.shape(vjp(_random_like(forward(x)), x)) == x.shape,
            (
                "You accept every gradient of the right shape.",
                "Which numbers do you compare?",
                "Compute the slopes of Σ g y by differences, and compare them entry by entry.",
            ),
        ),
        Mistake(
            "shape-not-compared",
            "lets broadcasting compare arrays of different shapes",
            _by_random_cotangent(lambda dx, slopes: np.abs(dx - slopes).max() <= 1e-6 * np.abs(slopes).max()),
            (
                "You accept a gradient that has not the shape of x.",
                "dx - slopes broadcasts: a row fits below every row.",
                "Compare the shapes first.",
            ),
        ),
        Mistake(
            "nan-accepted",
            "accepts nan, because nan > limit is False",
            _by_random_cotangent(lambda dx, slopes: not _error(dx, slopes) > 1e-6),
            (
                "You accept a gradient with nan in it.",
                "Every comparison with nan is False. Which way round is yours?",
                "Reject what is not finite first.",
            ),
            variants=(
                _by_random_cotangent(
                    lambda dx, slopes: (
                        np.shape(dx) == np.shape(slopes)
                        and np.nanmax(np.abs(dx - slopes)) <= 1e-6 * np.abs(slopes).max()
                    )
                ),
            ),
        ),
        Mistake(
            "direction-only",
            "compares directions and not lengths",
            _by_random_cotangent(lambda dx, slopes: _cosine(dx, slopes) > 1 - 1e-9),
            (
                "You accept gradients that are off by a factor.",
                "A cosine does not see the length.",
                "Compare the entries themselves.",
            ),
        ),
        Mistake(
            "length-only",
            "compares the norms of the two gradients",
            _by_random_cotangent(
                lambda dx, slopes: (
                    np.shape(dx) == np.shape(slopes)
                    and np.isclose(np.linalg.norm(dx), np.linalg.norm(slopes), rtol=1e-6, atol=0)
                )
            ),
            (
                "You accept gradients whose entries are right and stand in the wrong places.",
                "A norm does not see the order.",
                "Compare entry by entry.",
            ),
        ),
        Mistake(
            "sums-only",
            "compares the sums of the two gradients",
            _by_random_cotangent(
                lambda dx, slopes: (
                    np.shape(dx) == np.shape(slopes) and abs(np.sum(dx - slopes)) <= 1e-6 * np.abs(slopes).max()
                )
            ),
            (
                "You accept gradients whose entries are right and stand in the wrong places.",
                "A sum does not see the order, and errors can cancel in it.",
                "Compare entry by entry.",
            ),
        ),
        Mistake(
            "sign-ignored",
            "compares absolute values",
            _by_random_cotangent(lambda dx, slopes: _error(np.abs(dx), np.abs(slopes)) < 1e-6),
            (
                "You accept a gradient with the wrong sign.",
                "Where do you take absolute values: before the subtraction or after it?",
                "Subtract first.",
            ),
        ),
        Mistake(
            "square-shapes",
            "takes it for granted that y has the shape of x",
            _gc_square_shapes,
            (
                "You fail on functions whose output has not the shape of x.",
                "Which shape has your g?",
                "g has the shape of forward(x).",
            ),
        ),
        Mistake(
            "x-not-restored",
            "moves the entries of x itself and does not put them back",
            _gc_changes_x,
            (
                "After the call x is not what it was.",
                "Look at the array to which you add h.",
                "Work on a copy.",
            ),
        ),
        Mistake(
            "one-sided",
            "takes one-sided differences",
            _gc_one_sided,
            (
                "You reject right gradients of curved functions.",
                "The error of a one-sided difference is proportional to h.",
                "Put x in the middle of the two points.",
            ),
        ),
        Mistake(
            "always-true",
            "accepts everything",
            lambda forward, vjp, x: True,
            (
                "You reject nothing.",
                "Which comparison decides your answer?",
                "Start with a wrong gradient, such as 0 * x, and make your checker see it.",
            ),
        ),
        Mistake(
            "rejects-everything",
            "rejects everything (a step lost in rounding, a limit that is too tight, a comparison the wrong way round)",
            lambda forward, vjp, x: False,
            (
                "You accept nothing.",
                "Take y = x and vjp = g, and print your error: is it near 1e-10, or larger?",
                "With h = 1e-12 a difference has four digits, with h = 1e-5 ten. The limit has to leave room for that.",
            ),
            variants=(_gc_tiny_step, _by_random_cotangent(lambda dx, slopes: _error(dx, slopes) < 1e-16)),
        ),
    ],
    advice="For the failing input print g, vjp(g, x) and the slopes of Σ g y. Which one is not as you meant?",
)
