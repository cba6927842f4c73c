"""Hidden tests of assignment 1: one function for each test cell, called with what the student wrote."""

import numpy as np
from hidden_tests import NO_HINTS, NotYet, choice, four_digits, number, require

from minicl.course.answers import Failed
from minicl.course.catalogue.vjp import vjp_tests
from minicl.course.exercise import Exercise, Mistake, Test, call, draw
from minicl.course.numeric import complex_step

# ------------------------------------------------------------------------------------------------- predict and measure


def predict(guess):
    """Any guess counts, if it is one."""
    if not isinstance(guess, dict) or set(guess) != set("ABCD"):
        raise NotYet("not-predicted", "guess is a dictionary with the keys A, B, C and D.")
    if not isinstance(guess["B"], (tuple, list)):
        raise NotYet("not-predicted", "A guess for B is a shape, such as (5, 3).")
    for letter in "ACD":
        if isinstance(guess[letter], bool) or not isinstance(guess[letter], (int, float, np.number)):
            raise NotYet("not-predicted", f"A guess for {letter} is a number.")


def _entry(measured, letter):
    if not isinstance(measured, dict) or letter not in measured:
        raise NotYet("missing", f"measured is a dictionary, and has the key {letter}.")
    return measured[letter]


def measured_a(measured):
    mistakes = {
        "paths-not-added": (12.0, "c is b squared, and b feels a through both of its terms: add over the two paths."),
        "only-one-use": (6.0, "Both products use two things: each of them has a slope."),
        "recursion": (48.0, "b has sent all of its gradient twice: once for each use, before all of it had come."),
    }
    number(_entry(measured, "A"), 24.0, mistakes)


def measured_b(measured):
    mistakes = {
        (5, 2): ("broadcast-not-undone", "That is the shape of y. A gradient has the shape of its own input."),
        (3, 2): ("shape-of-another", "That is the shape of w."),
        (2,): ("", ""),
    }
    shape = _entry(measured, "B")
    choice(tuple(shape) if isinstance(shape, list) else shape, (2,), mistakes)


def measured_c(measured):
    y = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    mistakes = {
        "not-the-sum": ((y * (1 - y)).max(), "This is the slope of one entry of y. Ask for the slope of their sum."),
        "output-for-slope": (y.max(), "This is an entry of y. Ask for the slope of the sum of all of them."),
    }
    four_digits(_entry(measured, "C"), 0.0, mistakes)


def measured_d(measured):
    mistakes = {
        "one-sided": (1000, "A central difference has two points."),
        "one-sided-with-base": (1001, "A central difference has two points, and does not need the middle."),
        "walk-back": (1, "This is what a walk back would cost. Differences nudge one parameter at a time."),
        "with-base": (2001, "A central difference does not need the middle."),
    }
    number(_entry(measured, "D"), 2000, mistakes)


# ---------------------------------------------------------------------------------------- functions of the catalogue


def topological_order(function):
    require("topological_order", function)


def unbroadcast(function):
    require("unbroadcast", function)


def logsumexp_vjp(function):
    require("logsumexp_vjp", function, tiers="T0 T1 T2 T3", without=["three scales"])  # one of them is 1000


def logsumexp_vjp_large(function):
    require("logsumexp_vjp", function, tiers="T0 T1 T3 T4")


def gradcheck(function):
    require("gradcheck", function, tiers="T0 T1 T3")


def gradcheck_form(function):
    require("gradcheck", function, tiers="T0 T1 T4")


# ----------------------------------------------------------------------------------------------------- functions of ours

AFFINE = Exercise(
    name="affine_vjp",
    notebook="A1",
    signature="f(g, x, w, b) -> (dx, dw, db)",
    statement="Gradients of Σ g (x @ w + b).",
    tests=vjp_tests(
        lambda x, w, b: x @ w + b,
        call(draw(2, 2), draw(2, 2), draw(2)),
        call(draw(1, 2), draw(2, 3), draw(3)),
        call(draw(5, 2), draw(2, 3), draw(3)),
        call(draw(3, 3), draw(3, 3), draw(3)),
    ),
    mistakes=[
        Mistake(
            "not-transposed",
            "multiplies by w and x without transposing them",
            lambda g, x, w, b: (g @ w, x @ g, g.sum(axis=0)),
            NO_HINTS,
            variants=(
                lambda g, x, w, b: (g @ w, x.T @ g, g.sum(axis=0)),
                lambda g, x, w, b: (g @ w.T, x @ g, g.sum(axis=0)),
            ),
        ),
        Mistake(
            "order-exchanged",
            "multiplies in the wrong order",
            lambda g, x, w, b: (w.T @ g, g @ x.T, g.sum(axis=0)),
            NO_HINTS,
            variants=(lambda g, x, w, b: (g @ w.T, g.T @ x, g.sum(axis=0)),),
        ),
        Mistake(
            "broadcast-not-undone",
            "does not sum the gradient of b over the rows that used it",
            lambda g, x, w, b: (g @ w.T, x.T @ g, g),
            NO_HINTS,
        ),
        Mistake(
            "averaged",
            "takes the mean over the rows for a sum",
            lambda g, x, w, b: (g @ w.T, x.T @ g, g.mean(axis=0)),
            NO_HINTS,
            variants=(lambda g, x, w, b: (g @ w.T, x.T @ g / len(x), g.mean(axis=0)),),
        ),
        Mistake(
            "first-copy",
            "takes the gradient of the first use of b only",
            lambda g, x, w, b: (g @ w.T, x.T @ g, g[0]),
            NO_HINTS,
        ),
        Mistake(
            "wrong-axis",
            "sums the gradient of b over its own axis",
            lambda g, x, w, b: (g @ w.T, x.T @ g, g.sum(axis=1)),
            NO_HINTS,
        ),
        Mistake(
            "results-exchanged",
            "returns the gradients in another order",
            lambda g, x, w, b: (x.T @ g, g @ w.T, g.sum(axis=0)),
            NO_HINTS,
        ),
        Mistake(
            "g-left-out",
            "leaves g out",
            lambda g, x, w, b: (np.ones_like(g) @ w.T, x.T @ np.ones_like(g), np.full(b.shape, float(len(g)))),
            NO_HINTS,
        ),
    ],
    advice="Think of one entry.",
)


def affine_vjp(function):
    require(AFFINE, function)


def _pair_parts(W, x, p, n):
    u = np.tanh(W @ x)
    return u, u @ n - u @ p


def _sigmoid(s):
    return np.exp(-np.logaddexp(0.0, -s))


def _pair_with(formula):
    """A wrong version: formula(u, σ(s), x, p, n)."""

    def gradient(W, x, p, n):
        u, s = _pair_parts(W, x, p, n)
        return formula(u, _sigmoid(s), x, p, n)

    return gradient


def _pair_naive(W, x, p, n):
    u, s = _pair_parts(W, x, p, n)
    return np.outer(np.exp(s) / (1 + np.exp(s)) * (n - p) * (1 - u * u), x)


def _pair_naive_other_side(W, x, p, n):
    # 1 / (1 + e^-s) is right in the limit; a product with e^-s is not.
    u, s = _pair_parts(W, x, p, n)
    return np.outer((1 - np.exp(-s) / (1 + np.exp(-s))) * (n - p) * (1 - u * u), x)


def _pair_measured(W, x, p, n):
    return complex_step(lambda W: np.log1p(np.exp(np.tanh(W @ x) @ (n - p))), W)


def _antisymmetric(f, W, x, p, n):
    """σ(s) + σ(−s) = 1: what the two orders of p and n give differs by the gradient of s."""
    u = np.tanh(W @ x)
    return f(W, x, p, n) - f(W, x, n, p), np.outer((n - p) * (1 - u * u), x)


_SMALL = [
    call(draw(d, k, scale=0.7), draw(k, scale=0.7), draw(d, scale=1.0), draw(d, scale=1.0))
    for d, k in [(1, 1), (2, 2), (3, 2), (2, 4)]
]
_T = float(np.tanh(1.0))


def _has_the_shape_of_w(f, W, x, p, n):
    answer = f(W, x, p, n)
    if np.shape(answer) != W.shape:
        raise Failed(f"shape {np.shape(answer)}", f"shape {W.shape}, that of W")
    if not np.isfinite(answer).all():
        raise Failed(answer, "finite numbers")


PAIR = Exercise(
    name="pair_gradient",
    notebook="A1",
    signature="f(W, x, p, n) -> dW",
    statement="Gradient of log(1 + exp(u n - u p)), u = tanh(W x), with respect to W.",
    tests=[
        Test("returns finite numbers in the shape of W", "T0", _SMALL, law=_has_the_shape_of_w),
        Test(
            "knows the gradient at W = 0, and that of equal p and n",
            "T1",
            [
                call(np.zeros((2, 1)), np.array([2.0]), np.array([1.0, 0.0]), np.array([0.0, 3.0])).gives(
                    np.array([[-1.0], [3.0]])
                ),
                call(np.ones((2, 1)), np.array([1.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0])).gives(
                    np.zeros((2, 1)), scale=1.0
                ),
            ],
        ),
        Test("gives the slope of s when p and n change places", "T2", _SMALL, law=_antisymmetric),
        Test("equals the numerical derivative", "T3", [case.gives(_pair_measured) for case in _SMALL]),
        Test(
            "is exact for long embeddings",
            "T4",
            [
                call(np.array([[1.0]]), np.array([1.0]), np.array([-2e3]), np.array([2e3])).gives(
                    np.array([[4e3 * (1 - _T * _T)]])
                ),
                call(np.array([[1.0]]), np.array([1.0]), np.array([2e3]), np.array([-2e3])).gives(
                    np.zeros((1, 1)), scale=1.0
                ),
            ],
        ),
    ],
    mistakes=[
        Mistake("naive-exp", "takes exp of s as it is", _pair_naive, NO_HINTS, variants=(_pair_naive_other_side,)),
        Mistake(
            "tanh-slope-missing",
            "leaves out the slope of tanh",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (n - p), x)),
            NO_HINTS,
        ),
        Mistake(
            "paths-not-added",
            "follows one of the two uses of u only",
            _pair_with(lambda u, q, x, p, n: np.outer(q * n * (1 - u * u), x)),
            NO_HINTS,
            variants=(_pair_with(lambda u, q, x, p, n: np.outer(-q * p * (1 - u * u), x)),),
        ),
        Mistake(
            "wrong-sign",
            "climbs: its gradient has the opposite sign",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (p - n) * (1 - u * u), x)),
            NO_HINTS,
        ),
        Mistake(
            "sigmoid-of-minus",
            "takes σ(−s) for σ(s)",
            _pair_with(lambda u, q, x, p, n: np.outer((1 - q) * (n - p) * (1 - u * u), x)),
            NO_HINTS,
            variants=(_pair_with(lambda u, q, x, p, n: np.outer((q - 1) * (n - p) * (1 - u * u), x)),),
        ),
        Mistake(
            "sigmoid-missing",
            "leaves out the slope of the logarithm",
            _pair_with(lambda u, q, x, p, n: np.outer((n - p) * (1 - u * u), x)),
            NO_HINTS,
            variants=(_pair_with(lambda u, q, x, p, n: np.outer(q / (1 - q) * (n - p) * (1 - u * u), x)),),
        ),
        Mistake(
            "sigmoid-slope",
            "takes the slope of σ where σ itself belongs",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (1 - q) * (n - p) * (1 - u * u), x)),
            NO_HINTS,
        ),
        Mistake(
            "signs-added",
            "adds p where it is subtracted",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (n + p) * (1 - u * u), x)),
            NO_HINTS,
        ),
        Mistake(
            "tanh-of-value",
            "takes the slope of tanh at u and not at W x",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (n - p) * (1 - np.tanh(u) ** 2), x)),
            NO_HINTS,
        ),
        Mistake(
            "x-left-out",
            "does not multiply by x",
            _pair_with(lambda u, q, x, p, n: np.outer(q * (n - p) * (1 - u * u), np.ones_like(x))),
            NO_HINTS,
        ),
        Mistake(
            "result-transposed",
            "returns the transpose",
            _pair_with(lambda u, q, x, p, n: np.outer(x, q * (n - p) * (1 - u * u))),
            NO_HINTS,
        ),
    ],
    advice="Take d = k = 1.",
)


def pair_gradient(function):
    require(PAIR, function, tiers="T0 T1 T2 T3")


def pair_gradient_large(function):
    require(PAIR, function, tiers="T0 T1 T4")


# --------------------------------------------------------------------------------------------------------- witnesses


def _pair(pair):
    """The arrays g and x of an answer."""
    try:
        g, x = (np.array(part, float) for part in pair)
    except (TypeError, ValueError):
        raise NotYet("no-pair", "A pair (g, x) of arrays is asked for.") from None
    if g.shape != (3, 3) or x.shape != (3, 2):
        raise NotYet("wrong-shape", f"g is {g.shape} and x is {x.shape}; they should be (3, 3) and (3, 2).")
    if not (np.isfinite(g).all() and np.isfinite(x).all() and g.any() and x.any()):
        raise NotYet("zero-or-infinite", "g and x are finite, and neither is zero.")
    return g, x


def _off(g, x):
    """How far the suspect is off, relative to the largest entry of the right gradient or of its own."""
    right, suspect = (g + g.T) @ x, 2 * g @ x
    return np.abs(suspect - right).max() / max(np.abs(right).max(), np.abs(suspect).max(), 1e-300)


def exposing(pair):
    g, x = _pair(pair)
    if _off(g, x) < 0.1:
        if np.abs(g - g.T).max() < 1e-9 * np.abs(g).max():
            raise NotYet("symmetric-cotangent", "This g is its own transpose, and every such g hides the mistake.")
        raise NotYet("not-exposed", "Here the suspect is right, or nearly so.")


def hiding(pair):
    g, x = _pair(pair)
    if _off(g, x) > 1e-8:
        raise NotYet("exposed", "Here the suspect is wrong: this pair exposes it.")
