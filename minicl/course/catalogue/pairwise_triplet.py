"""Notebook 03: the pairwise margin loss, the triplet loss, semi-hard mining, and what becomes of a soft triplet as τ → 0.

Right answers are known here from triangles with sides 3, 4, 5, and from points on a line.
"""

import numpy as np

from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw, speed
from ..numeric import central_difference


def _rotation(d):
    return np.linalg.qr(np.arange(1.0, d * d + 1).reshape(d, d) ** 0.5)[0]


def _relu(x):
    return np.maximum(x, 0.0)


def _length(x):
    return np.sqrt((x * x).sum(1, keepdims=True))


def _unit(x):
    """Rows of length 1; a row of zeros stays."""
    return x / np.where(_length(x) > 0, _length(x), 1.0)


def _finite_shapes(count):
    """The law that the first answer is a number and the others are shaped like the first `count` arguments."""

    def law(f, *args):
        wanted = ((), *(x.shape for x in args[:count]))
        for name, answer, shape in zip(f.exercise.results, f(*args), wanted):
            if answer.shape != shape:
                raise Failed(f"{name} has shape {answer.shape}", f"shape {shape}")
            if not np.isfinite(answer).all():
                place = tuple(np.argwhere(~np.isfinite(answer))[0].tolist())
                where = f"{name}[{', '.join(map(str, place))}]" if place else name
                raise Failed(f"{where} is {answer[place]}", "finite numbers")

    return law


def _slopes(count):
    """The law that the gradients are the slopes of the value, measured by central differences."""

    def law(f, *args):
        measured = []
        for k in range(count):
            value = lambda x, k=k: f(*args[:k], x, *args[k + 1 :])[0]
            measured.append(central_difference(value, args[k]))
        return f(*args)[1:], tuple(measured)

    return law


def _moved(move, count, turned=lambda g, d: g):
    """The law that moving all points changes no value, and turns the gradients."""

    def law(f, *args):
        value, *gradients = f(*args)
        there = f(*(move(x) for x in args[:count]), *args[count:])
        return there, (value, *(turned(g, args[0].shape[1]) for g in gradients))

    return law


def _shift(x):
    return x + np.arange(1.0, x.shape[1] + 1)


def _rotate(x):
    return x @ _rotation(x.shape[1])


def _rotated(g, d):
    return g @ _rotation(d)


def _reversed_rows(count):
    """The law that the rows may change places, together with what belongs to them."""

    def law(f, *args):
        value, *gradients = f(*args)
        turn = lambda x: x[::-1].copy() if isinstance(x, np.ndarray) and x.ndim else x
        return f(*map(turn, args)), (value, *(g[::-1] for g in gradients))

    return law


def _alone(count):
    """The law that the value of a batch is the mean of the values of its rows."""

    def law(f, *args):
        cut = lambda x, i: x[i : i + 1] if isinstance(x, np.ndarray) and x.ndim else x
        rows = [f(*(cut(x, i) for x in args)) for i in range(len(args[0]))]
        n = len(rows)
        return f(*args), (
            np.mean([row[0] for row in rows]),
            *(np.concatenate([row[k + 1] for row in rows]) / n for k in range(count)),
        )

    return law


# --------------------------------------------------------------------------------------------------- the pairwise loss

_KINDS = np.array([True, False, False, True, False, False, False])
_ONE = np.zeros((1, 2))


def _pairs():
    """Seven pairs in 1 and 3 dimensions: similar ones, and others on both sides of the margin."""
    return [call(draw(7, d, scale=1.0), draw(7, d, scale=1.0), _KINDS, m) for d, m in ((1, 1.0), (3, 2.5))]


def _few_pairs():
    """Four pairs, where every entry is moved."""
    return [call(draw(4, d, scale=1.0), draw(4, d, scale=1.0), _KINDS[:4], 1.5) for d in (1, 2)]


def _mean_of(values, towards):
    """The mean of the losses, with the gradients of a batch whose x1 has the slopes `towards`."""
    return values.mean(), towards / len(towards), -towards / len(towards)


def _push(x1, x2, margin):
    """The slopes of ½ max(0, m − D)² with respect to x1."""
    return -_relu(margin - _length(x1 - x2)) * _unit(x1 - x2)


def _half_square(x1, x2, margin):
    """Both losses of every pair: if it is similar, and if it is not."""
    d = _length(x1 - x2)[:, 0]
    return 0.5 * d**2, 0.5 * _relu(margin - d) ** 2


def _pw_flipped(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    return _mean_of(np.where(similar, far, near), np.where(similar[:, None], _push(x1, x2, margin), x1 - x2))


def _pw_no_half(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    return _mean_of(2 * np.where(similar, near, far), 2 * np.where(similar[:, None], x1 - x2, _push(x1, x2, margin)))


def _pw_no_half_value(x1, x2, similar, margin):
    value, *gradients = _pw_no_half(x1, x2, similar, margin)
    return value, *(g / 2 for g in gradients)


def _pw_double_gradient(x1, x2, similar, margin):
    value, *gradients = _pw_no_half(x1, x2, similar, margin)
    return value / 2, *gradients


def _pw_margin_on_square(x1, x2, similar, margin):
    d2 = _length(x1 - x2) ** 2
    far = np.where(d2 < margin, -(x1 - x2), 0.0)
    values = np.where(similar, 0.5 * d2[:, 0], 0.5 * _relu(margin - d2[:, 0]))
    return _mean_of(values, np.where(similar[:, None], x1 - x2, far))


def _pw_margin_squared(x1, x2, similar, margin):
    d2 = _length(x1 - x2) ** 2
    far = np.where(d2 < margin**2, -(x1 - x2), 0.0)
    values = np.where(similar, 0.5 * d2[:, 0], 0.5 * _relu(margin**2 - d2[:, 0]))
    return _mean_of(values, np.where(similar[:, None], x1 - x2, far))


def _pw_square_of_square(x1, x2, similar, margin):
    d2 = _length(x1 - x2) ** 2
    far = -2 * _relu(margin - d2) * (x1 - x2)
    values = np.where(similar, 0.5 * d2[:, 0], 0.5 * _relu(margin - d2[:, 0]) ** 2)
    return _mean_of(values, np.where(similar[:, None], x1 - x2, far))


def _pw_no_clamp(x1, x2, similar, margin):
    d = _length(x1 - x2)
    values = np.where(similar, 0.5 * d[:, 0] ** 2, 0.5 * (margin - d[:, 0]) ** 2)
    return _mean_of(values, np.where(similar[:, None], x1 - x2, -(margin - d) * _unit(x1 - x2)))


def _pw_gradient_open(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    open_ = -(margin - _length(x1 - x2)) * _unit(x1 - x2)
    return _mean_of(np.where(similar, near, far), np.where(similar[:, None], x1 - x2, open_))


def _pw_linear_hinge(x1, x2, similar, margin):
    d = _length(x1 - x2)
    values = np.where(similar, 0.5 * d[:, 0] ** 2, _relu(margin - d[:, 0]))
    return _mean_of(values, np.where(similar[:, None], x1 - x2, -(d < margin) * _unit(x1 - x2)))


def _pw_linear(x1, x2, similar, margin):
    d = _length(x1 - x2)
    values = np.where(similar, d[:, 0], _relu(margin - d[:, 0]))
    return _mean_of(values, np.where(similar[:, None], 1.0, -(d < margin)) * _unit(x1 - x2))


def _pw_zero_over_zero(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    d = _length(x1 - x2)
    return _mean_of(
        np.where(similar, near, far), np.where(similar[:, None], x1 - x2, -_relu(margin - d) * (x1 - x2) / d)
    )


def _pw_eps(x1, x2, similar, margin, eps=1e-6):
    d = np.sqrt(_length(x1 - x2) ** 2 + eps)
    values = np.where(similar, 0.5 * d[:, 0] ** 2, 0.5 * _relu(margin - d[:, 0]) ** 2)
    return _mean_of(values, np.where(similar[:, None], x1 - x2, -_relu(margin - d) * (x1 - x2) / d))


def _pw_not_divided(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    d = _length(x1 - x2)
    return _mean_of(np.where(similar, near, far), np.where(similar[:, None], x1 - x2, -_relu(margin - d) * (x1 - x2)))


def _pw_pull(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    return _mean_of(np.where(similar, near, far), np.where(similar[:, None], x1 - x2, -_push(x1, x2, margin)))


def _pw_same_sign(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    towards = np.where(similar[:, None], x1 - x2, _push(x1, x2, margin)) / len(x1)
    return np.where(similar, near, far).mean(), towards, towards


def _pw_one_gradient(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    towards = np.where(similar[:, None], x1 - x2, _push(x1, x2, margin)) / len(x1)
    return np.where(similar, near, far).mean(), towards, 0 * towards


def _pw_sum(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, margin)
    towards = np.where(similar[:, None], x1 - x2, _push(x1, x2, margin))
    return np.where(similar, near, far).sum(), towards, -towards


def _pw_gradient_of_sum(x1, x2, similar, margin):
    value, *gradients = _pw_sum(x1, x2, similar, margin)
    return value / len(x1), *gradients


def _pw_mean_of_features(x1, x2, similar, margin):
    d = np.sqrt(((x1 - x2) ** 2).mean(1, keepdims=True))
    width = x1.shape[1]
    values = np.where(similar, 0.5 * d[:, 0] ** 2, 0.5 * _relu(margin - d[:, 0]) ** 2)
    far = -_relu(margin - d) * (x1 - x2) / np.where(d > 0, d, 1.0)
    return _mean_of(values, np.where(similar[:, None], x1 - x2, far) / width)


def _pw_margin_one(x1, x2, similar, margin):
    near, far = _half_square(x1, x2, 1.0)
    return _mean_of(np.where(similar, near, far), np.where(similar[:, None], x1 - x2, _push(x1, x2, 1.0)))


def _pw_expanded(x1, x2, similar, margin):
    d = np.sqrt(_relu((x1**2).sum(1) + (x2**2).sum(1) - 2 * (x1 * x2).sum(1)))[:, None]
    values = np.where(similar, 0.5 * d[:, 0] ** 2, 0.5 * _relu(margin - d[:, 0]) ** 2)
    far = -_relu(margin - d) * (x1 - x2) / np.where(d > 0, d, 1.0)
    return _mean_of(values, np.where(similar[:, None], x1 - x2, far))


def _pw_normalised(x1, x2, similar, margin):
    u1, u2 = _unit(x1), _unit(x2)
    near, far = _half_square(u1, u2, margin)
    return _mean_of(np.where(similar, near, far), np.where(similar[:, None], u1 - u2, _push(u1, u2, margin)))


contrastive = Exercise(
    name="contrastive",
    notebook="03",
    signature="f(x1, x2, similar, margin) -> (value, dx1, dx2)",
    statement="""The pairwise margin loss (Hadsell, Chopra and LeCun 2006) and its gradients.

    x1 and x2 have shape (N, d): row i of both is one pair, at the Euclidean distance D_i. similar is an array of N
    truth values. The loss of a pair is D^2 / 2 if it is similar, and max(0, margin - D)^2 / 2 if it is not; value is
    the mean over the N pairs. dx1 and dx2 are the gradients of value. Nothing is normalised. Two points of a pair that
    is not similar can coincide; there, where no gradient exists, return zeros. (The paper has Y = 0 for similar pairs.
    Here similar is True for them.)
    """,
    tests=[
        Test("returns a number and two arrays of the shape of x1", "T0", _pairs(), law=_finite_shapes(2)),
        Test(
            "knows similar pairs",
            "T1",
            [
                call(np.array([[3.0, 4.0]]), _ONE, np.array([True]), 1.0).gives(
                    (12.5, np.array([[3.0, 4.0]]), np.array([[-3.0, -4.0]]))
                ),
                call(_ONE, np.array([[0.6, 0.8]]), np.array([True]), 5.0).gives(
                    (0.5, np.array([[-0.6, -0.8]]), np.array([[0.6, 0.8]]))
                ),
            ],
        ),
        Test(
            "knows a dissimilar pair inside the margin",
            "T1",
            [
                call(np.array([[0.3, 0.4]]), _ONE, np.array([False]), 2.0).gives(
                    (1.125, np.array([[-0.9, -1.2]]), np.array([[0.9, 1.2]]))
                ),
                call(np.array([[3.0, 4.0]]), _ONE, np.array([False]), 6.0).gives(
                    (0.5, np.array([[-0.6, -0.8]]), np.array([[0.6, 0.8]]))
                ),
            ],
        ),
        Test(
            "leaves a dissimilar pair beyond the margin alone",
            "T1",
            [
                call(np.array([[3.0, 4.0]]), _ONE, np.array([False]), m).gives(
                    (0.0, np.zeros((1, 2)), np.zeros((1, 2)))
                )
                for m in (1.0, 4.5)
            ],
        ),
        Test(
            "takes the mean over the pairs",
            "T1",
            [
                call(np.array([[3.0, 4.0], [0.3, 0.4]]), np.zeros((2, 2)), np.array([True, False]), 2.0).gives(
                    (
                        6.8125,
                        np.array([[1.5, 2.0], [-0.45, -0.6]]),
                        np.array([[-1.5, -2.0], [0.45, 0.6]]),
                    )
                )
            ],
        ),
        Test("does not change when all points are moved", "T2", _pairs(), law=_moved(_shift, 2)),
        Test("turns its gradients when space is rotated", "T2", _pairs(), law=_moved(_rotate, 2, _rotated)),
        Test(
            "exchanges its gradients when x1 and x2 change places",
            "T2",
            _pairs(),
            law=lambda f, x1, x2, y, m: (f(x2, x1, y, m), tuple(f(x1, x2, y, m)[k] for k in (0, 2, 1))),
        ),
        Test("follows the pairs when they change places", "T2", _pairs(), law=_reversed_rows(2)),
        Test("is the mean of its pairs, taken alone", "T2", _pairs(), law=_alone(2)),
        Test("returns the slopes of its own value", "T3", _few_pairs(), law=_slopes(2), tolerance=1e-6),
        Test(
            "stays finite where two points coincide",
            "T4",
            [
                call(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]), np.array([False]), 3.0).gives(
                    (4.5, np.zeros((1, 2)), np.zeros((1, 2)))
                ),
                call(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]), np.array([True]), 3.0).gives(
                    (0.0, np.zeros((1, 2)), np.zeros((1, 2)))
                ),
            ],
        ),
        Test(
            "keeps its digits far from the origin",
            "T4",
            [
                call(np.array([[1e8 + 3, 4.0]]), np.array([[1e8, 0.0]]), np.array([True]), 1.0).gives(
                    (12.5, np.array([[3.0, 4.0]]), np.array([[-3.0, -4.0]]))
                ),
                call(np.array([[1e8 + 3, 4.0]]), np.array([[1e8, 0.0]]), np.array([False]), 6.0).gives(
                    (0.5, np.array([[-0.6, -0.8]]), np.array([[0.6, 0.8]]))
                ),
            ],
        ),
        speed(
            "takes less than 60 times as long as the distances",
            call(draw(2000, 16, scale=1.0), draw(2000, 16, scale=1.0), np.arange(2000) % 2 == 0, 5.0),
            than=lambda x1, x2, y, m: np.sqrt(((x1 - x2) ** 2).sum(1)),
            ratio=60,
        ),
    ],
    mistakes=[
        Mistake(
            "similar-flipped",
            "pulls dissimilar pairs together and pushes similar ones apart",
            _pw_flipped,
            (
                "A similar pair at distance 5 with margin 1 costs you nothing. It should cost 12.5.",
                "Which of the two terms belongs to similar? The paper's Y is 0 for similar pairs.",
                "Where similar is True the distance itself is the cost; else the margin counts.",
            ),
        ),
        Mistake(
            "half-missing",
            "has no ½ in front of the squares",
            _pw_no_half,
            (
                "A similar pair at distance 5 costs 12.5; you say 25.",
                "Look at the factor before each square, and at what the derivative of a square brings.",
                "With ½ in the value the 2 of the derivative goes away.",
            ),
            variants=(_pw_no_half_value,),
        ),
        Mistake(
            "gradient-twice",
            "keeps the 2 of the square's derivative although the value has a ½",
            _pw_double_gradient,
            (
                "Your value is right, and your gradients are twice the slopes of it.",
                "Derive D²/2 once more.",
                "The ½ of the value and the 2 of the derivative cancel.",
            ),
        ),
        Mistake(
            "margin-on-squared-distance",
            "compares the margin with the squared distance",
            _pw_margin_on_square,
            (
                "A dissimilar pair at distance 0.5 with margin 2 should cost 1.5²/2.",
                "From what is the margin subtracted: from D, or from D²? And what is squared?",
                "First the difference margin − D, then the clamp, then the square.",
            ),
            variants=(_pw_margin_squared, _pw_square_of_square),
        ),
        Mistake(
            "no-clamp",
            "has no clamp: dissimilar pairs beyond the margin are pulled back",
            _pw_no_clamp,
            (
                "A dissimilar pair at distance 5 with margin 1 should cost nothing.",
                "(margin − D)² is positive on both sides of the margin.",
                "Cut off what is negative before it is squared.",
            ),
        ),
        Mistake(
            "gradient-beyond-margin",
            "clamps the value but not the gradient",
            _pw_gradient_open,
            (
                "Beyond the margin your value is 0 and your gradient is not.",
                "Does the gradient of a dissimilar pair know the clamp?",
                "Where margin − D is negative nothing moves.",
            ),
        ),
        Mistake(
            "hinge-not-squared",
            "does not square the hinge",
            _pw_linear_hinge,
            (
                "A dissimilar pair costs you margin − D.",
                "Other libraries have such a loss. Which exponent does the statement ask for?",
                "Square the clamped difference and take half of it; then its slope shrinks towards the margin.",
            ),
            variants=(_pw_linear,),
        ),
        Mistake(
            "zero-over-zero",
            "divides zero by zero where two points coincide",
            _pw_zero_over_zero,
            (
                "Where the two points of a dissimilar pair coincide your gradient is not a number.",
                "Which division has D below it?",
                "Divide by D only where it is positive; elsewhere return zeros.",
            ),
        ),
        Mistake(
            "eps-in-root",
            "adds a small number under the root of the distance",
            _pw_eps,
            (
                "You are right to some six digits only.",
                "Look for an eps in the distance.",
                "Leave the distance as it is, and treat D = 0 by itself.",
            ),
            variants=(lambda x1, x2, similar, margin: _pw_eps(x1, x2, similar, margin, 1e-12),),
        ),
        Mistake(
            "not-divided-by-distance",
            "pushes along the difference of the points, not along its direction",
            _pw_not_divided,
            (
                "The length of your gradient of a dissimilar pair is (margin − D) D / N.",
                "What is the gradient of the distance D itself? It has length 1.",
                "Divide the difference of the points by D.",
            ),
        ),
        Mistake(
            "pulls-dissimilar",
            "has the wrong sign in the gradient of dissimilar pairs",
            _pw_pull,
            (
                "A step against your gradient brings a dissimilar pair nearer.",
                "margin − D falls when D grows: the chain rule brings a minus.",
                "For a dissimilar pair dx1 points from x1 to x2, so that a step against it moves x1 away.",
            ),
        ),
        Mistake(
            "same-sign",
            "returns the same gradient for both points",
            _pw_same_sign,
            (
                "Moving both points together cannot change the value, but your two gradients do not add up to zero.",
                "How does x1 − x2 change with x2?",
                "The two gradients of a pair are opposite.",
            ),
        ),
        Mistake(
            "second-without-gradient",
            "returns zeros for dx2",
            _pw_one_gradient,
            (
                "Your dx2 is zero.",
                "Both points of a pair move: the value depends on x2 as much as on x1.",
                "The distance depends on x1 − x2 only: what does that say about dx2?",
            ),
        ),
        Mistake(
            "sum-not-mean",
            "adds the pairs up instead of averaging",
            _pw_sum,
            (
                "For N pairs your value is N times too large.",
                "Sum or mean?",
                "Divide the value and both gradients by N.",
            ),
        ),
        Mistake(
            "gradient-of-sum",
            "averages the value but returns the gradients of the sum",
            _pw_gradient_of_sum,
            (
                "Your value is right, and your gradients are N times too large.",
                "value is a mean. What does that do to the gradients?",
                "Divide the gradients by N too.",
            ),
        ),
        Mistake(
            "mean-over-features",
            "averages over the features where the distance sums",
            _pw_mean_of_features,
            (
                "In one dimension you are right, in two your D² is half of what it should be.",
                "Look at the axis over features: sum or mean?",
                "A distance adds up the squares of all features.",
            ),
        ),
        Mistake(
            "margin-ignored",
            "uses the margin 1 whatever is asked",
            _pw_margin_one,
            (
                "Your answer does not depend on margin.",
                "Look for a 1 where margin belongs.",
                "Use the argument.",
            ),
        ),
        Mistake(
            "expanded-square",
            "computes D² as |x1|² + |x2|² − 2 x1·x2, which cancels far from the origin",
            _pw_expanded,
            (
                "Near the origin you are right; moved by 1e8 you are not.",
                "Two large numbers are subtracted to give a small one. Where?",
                "Subtract the points first, then square.",
            ),
        ),
        Mistake(
            "normalised",
            "scales the points to length 1 first",
            _pw_normalised,
            (
                "Moving all points by the same amount changes your answer.",
                "Something is divided by its length that should not be.",
                "This loss takes the points as they are.",
            ),
        ),
    ],
    advice="Work one pair by hand: D, the clamped margin − D, and the direction from x2 to x1.",
)

# --------------------------------------------------------------------------------------------------- the triplet loss

_A, _P = np.zeros((1, 2)), np.array([[3.0, 4.0]])


def _triplets():
    """Seven triplets in 1 and 3 dimensions, of which some are inactive."""
    return [
        call(draw(7, d, scale=1.0), draw(7, d, scale=1.0), draw(7, d, scale=1.0), m) for d, m in ((1, 0.4), (3, 0.7))
    ]


def _few_triplets():
    """Three triplets, where every entry is moved."""
    return [call(*(draw(3, d, scale=1.0) for _ in range(3)), 0.5) for d in (1, 2)]


def _sides(a, p, n):
    return _length(a - p)[:, 0], _length(a - n)[:, 0]


def _mean_triplet(values, active, da, dp, dn):
    """The mean of the losses; `active` weighs the gradients of the rows."""
    share = np.asarray(active, float)[:, None] / len(values)
    return values.mean(), share * da, share * dp, share * dn


def _directions(a, p, n):
    return _unit(a - p), _unit(a - n)


def _tr_squared(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v = dp**2 - dn**2 + margin
    return _mean_triplet(_relu(v), v > 0, 2 * (n - p), 2 * (p - a), 2 * (a - n))


def _tr_swapped(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dn - dp + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, w - u, u, -w)


def _tr_no_clamp(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    u, w = _directions(a, p, n)
    return _mean_triplet(dp - dn + margin, np.ones(len(a)), u - w, -u, w)


def _tr_gradient_open(a, p, n, margin):
    value, da, dp, dn = _tr_no_clamp(a, p, n, margin)
    p_side, n_side = _sides(a, p, n)
    return _relu(p_side - n_side + margin).mean(), da, dp, dn


def _tr_clamp_after_mean(a, p, n, margin):
    value, *gradients = _tr_no_clamp(a, p, n, margin)
    return _relu(value), *((value > 0) * g for g in gradients)


def _tr_anchor_pull_only(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u, -u, w)


def _tr_anchor_push_only(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, -w, -u, w)


def _tr_negative_pulled(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u + w, -u, -w)


def _tr_negative_fixed(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u - w, -u, 0 * w)


def _tr_squared_gradient(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v = dp - dn + margin
    return _mean_triplet(_relu(v), v > 0, 2 * (n - p), 2 * (p - a), 2 * (a - n))


def _tr_active_mean(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    share = len(a) / max((v > 0).sum(), 1)
    return tuple(share * part for part in _mean_triplet(_relu(v), v > 0, u - w, -u, w))


def _tr_sum(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return tuple(len(a) * part for part in _mean_triplet(_relu(v), v > 0, u - w, -u, w))


def _tr_gradient_of_sum(a, p, n, margin):
    value, *gradients = _tr_sum(a, p, n, margin)
    return value / len(a), *gradients


def _tr_margin_one(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + 1.0, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _tr_margin_minus(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn - margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _tr_from_positive(a, p, n, margin):
    v = _length(a - p)[:, 0] - _length(p - n)[:, 0] + margin
    u, w = _unit(a - p), _unit(p - n)
    return _mean_triplet(_relu(v), v > 0, u, -u - w, w)


def _tr_zero_over_zero(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, u, w = dp - dn + margin, (a - p) / dp[:, None], (a - n) / dn[:, None]
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _tr_eps(a, p, n, margin):
    return _tr_eps_inside(a, p, n, margin, lambda x: x + 1e-6)


def _tr_eps_root(a, p, n, margin):
    dp, dn = (np.sqrt(side**2 + 1e-12) for side in _sides(a, p, n))
    v, u, w = dp - dn + margin, (a - p) / dp[:, None], (a - n) / dn[:, None]
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _tr_eps_inside(a, p, n, margin, add):
    dp, dn = _length(add(a - p))[:, 0], _length(add(a - n))[:, 0]
    v, u, w = dp - dn + margin, _unit(add(a - p)), _unit(add(a - n))
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _tr_at_the_kink(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v >= 0, u - w, -u, w)


def _tr_soft(a, p, n, margin):
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(np.logaddexp(0, v), 1 / (1 + np.exp(-v)), u - w, -u, w)


def _tr_normalised(a, p, n, margin):
    a, p, n = map(_unit, (a, p, n))
    dp, dn = _sides(a, p, n)
    v, (u, w) = dp - dn + margin, _directions(a, p, n)
    return _mean_triplet(_relu(v), v > 0, u - w, -u, w)


def _nothing(v=0.0):
    return (v, *(np.zeros((1, 2)) for _ in range(3)))


triplet = Exercise(
    name="triplet",
    notebook="03",
    signature="f(anchor, positive, negative, margin) -> (value, da, dp, dn)",
    statement="""The triplet loss with Euclidean distances, not squared, and its gradients.

    anchor, positive and negative have shape (N, d); row i of the three is one triplet. With the distances d_p from
    anchor to positive and d_n from anchor to negative, the loss of a triplet is max(0, d_p - d_n + margin); value is
    the mean over all N triplets, inactive ones included. da, dp and dn are the gradients of value. Nothing is
    normalised. A triplet with d_p - d_n + margin exactly 0 is inactive, and a distance of 0 has the gradient 0.
    """,
    tests=[
        Test("returns a number and three arrays of the shape of anchor", "T0", _triplets(), law=_finite_shapes(3)),
        Test(
            "knows active triplets",
            "T1",
            [
                call(_A, _P, np.array([[0.0, 2.0]]), 1.0).gives(
                    (4.0, np.array([[-0.6, 0.2]]), np.array([[0.6, 0.8]]), np.array([[0.0, -1.0]]))
                ),
                call(_A, _P, np.array([[0.0, 5.5]]), 1.0).gives(
                    (0.5, np.array([[-0.6, 0.2]]), np.array([[0.6, 0.8]]), np.array([[0.0, -1.0]]))
                ),
                call(_A, _P, np.array([[0.0, 8.0]]), 5.0).gives(
                    (2.0, np.array([[-0.6, 0.2]]), np.array([[0.6, 0.8]]), np.array([[0.0, -1.0]]))
                ),
            ],
        ),
        Test(
            "leaves triplets alone whose negative is far enough",
            "T1",
            [
                call(_A, _P, np.array([[6.0, 8.0]]), 1.0).gives(_nothing()),
                call(_A, _P, np.array([[0.0, 7.0]]), 1.5).gives(_nothing()),
            ],
        ),
        Test(
            "takes the mean over all triplets",
            "T1",
            [
                call(
                    np.zeros((2, 2)), np.array([[3.0, 4.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [6.0, 8.0]]), 1.0
                ).gives(
                    (
                        2.0,
                        np.array([[-0.3, 0.1], [0.0, 0.0]]),
                        np.array([[0.3, 0.4], [0.0, 0.0]]),
                        np.array([[0.0, -0.5], [0.0, 0.0]]),
                    )
                )
            ],
        ),
        Test("does not change when all points are moved", "T2", _triplets(), law=_moved(_shift, 3)),
        Test("turns its gradients when space is rotated", "T2", _triplets(), law=_moved(_rotate, 3, _rotated)),
        Test("follows the triplets when they change places", "T2", _triplets(), law=_reversed_rows(3)),
        Test("is the mean of its triplets, taken alone", "T2", _triplets(), law=_alone(3)),
        Test(
            "has gradients that add up to zero",
            "T2",
            _triplets(),
            law=lambda f, a, p, n, m: (sum(f(a, p, n, m)[1:]), np.zeros_like(a), 1.0),
        ),
        Test("returns the slopes of its own value", "T3", _few_triplets(), law=_slopes(3), tolerance=1e-6),
        Test(
            "stays finite where points coincide",
            "T4",
            [
                call(_A, _A, _P, 6.0).gives((1.0, np.array([[0.6, 0.8]]), np.zeros((1, 2)), np.array([[-0.6, -0.8]]))),
                call(_A, _A, _A, 2.0).gives(_nothing(2.0)),
            ],
        ),
        Test(
            "counts a triplet at exactly zero as inactive",
            "T4",
            [call(_A, _P, np.array([[0.0, 6.0]]), 1.0).gives(_nothing())],
        ),
        speed(
            "takes less than 60 times as long as the distances",
            call(*(draw(2000, 16, scale=1.0) for _ in range(3)), 0.5),
            than=lambda a, p, n, m: np.sqrt(((a - p) ** 2).sum(1)) - np.sqrt(((a - n) ** 2).sum(1)),
            ratio=60,
        ),
    ],
    mistakes=[
        Mistake(
            "squared",
            "squares the distances",
            _tr_squared,
            (
                "Sides 5 and 2 with margin 1 give you 25 − 4 + 1.",
                "FaceNet squares its distances. Does the statement?",
                "Take the roots, and derive the roots too.",
            ),
        ),
        Mistake(
            "roles-swapped",
            "exchanges positive and negative",
            _tr_swapped,
            (
                "You push the positive away and pull the negative.",
                "Which distance has the minus in the loss?",
                "The loss rises with d_p and falls with d_n.",
            ),
        ),
        Mistake(
            "no-clamp",
            "has no clamp",
            _tr_no_clamp,
            (
                "A negative that is far enough should be left alone; your value is negative there.",
                "Look for the max with 0, in the value and in the gradients.",
                "Clamp each triplet at 0; an inactive triplet moves nothing.",
            ),
        ),
        Mistake(
            "inactive-moves",
            "clamps the value but moves the points of inactive triplets",
            _tr_gradient_open,
            (
                "Your value is right, but inactive triplets have a gradient.",
                "Does the gradient know which triplets are active?",
                "Multiply the gradients of a triplet by 1 or 0.",
            ),
        ),
        Mistake(
            "clamp-after-mean",
            "clamps the mean instead of each triplet",
            _tr_clamp_after_mean,
            (
                "One easy triplet in the batch cancels a hard one.",
                "In which order do you average and clamp?",
                "First clamp each triplet, then average.",
            ),
        ),
        Mistake(
            "anchor-not-pushed",
            "forgets that the anchor moves away from the negative",
            _tr_anchor_pull_only,
            (
                "Your da is only half of the story: it ignores the negative.",
                "The anchor stands in both distances.",
                "Add the part of da that comes from − d_n.",
            ),
        ),
        Mistake(
            "anchor-not-pulled",
            "forgets that the anchor moves towards the positive",
            _tr_anchor_push_only,
            (
                "Your da is only half of the story: it ignores the positive.",
                "The anchor stands in both distances.",
                "Add the part of da that comes from d_p.",
            ),
        ),
        Mistake(
            "negative-pulled",
            "has the wrong sign in the gradient of d_n",
            _tr_negative_pulled,
            (
                "A step against your gradients brings the negative nearer.",
                "d_n has a minus in the loss. Is it in da and in dn?",
                "Moving the negative away lowers the loss: dn points from the negative to the anchor.",
            ),
        ),
        Mistake(
            "negative-fixed",
            "returns zeros for dn",
            _tr_negative_fixed,
            (
                "Your dn is zero, and the three gradients do not add up to zero.",
                "The negative moves as well.",
                "Derive d_n with respect to the negative.",
            ),
        ),
        Mistake(
            "squared-gradients",
            "returns the gradients of squared distances with the value of plain ones",
            _tr_squared_gradient,
            (
                "Your value is right; your gradients grow with the distances.",
                "The gradient of a distance has length 1, wherever the point is.",
                "Divide each difference by its distance, not by ½.",
            ),
        ),
        Mistake(
            "mean-over-active",
            "divides by the number of active triplets",
            _tr_active_mean,
            (
                "Easy triplets in the batch do not lower your value.",
                "What do you divide by?",
                "The statement says: the mean over all N triplets.",
            ),
        ),
        Mistake(
            "sum-not-mean",
            "adds the triplets up instead of averaging",
            _tr_sum,
            (
                "For N triplets you are N times too large.",
                "Sum or mean?",
                "Divide the value and the gradients by N.",
            ),
        ),
        Mistake(
            "gradient-of-sum",
            "averages the value but returns the gradients of the sum",
            _tr_gradient_of_sum,
            (
                "Your value is right, and your gradients are N times too large.",
                "value is a mean. What does that do to the gradients?",
                "Divide the gradients by N too.",
            ),
        ),
        Mistake(
            "margin-ignored",
            "uses the margin 1 whatever is asked",
            _tr_margin_one,
            (
                "Your answer does not depend on margin.",
                "Look for a 1 where margin belongs.",
                "Use the argument.",
            ),
        ),
        Mistake(
            "margin-subtracted",
            "subtracts the margin",
            _tr_margin_minus,
            (
                "A larger margin makes your loss smaller.",
                "The negative must be further than the positive by the margin. Which sign makes that a demand?",
                "The margin is added.",
            ),
        ),
        Mistake(
            "negative-from-positive",
            "measures the negative from the positive",
            _tr_from_positive,
            (
                "Your second distance does not start at the anchor.",
                "Between which two points is d_n?",
                "Both distances start at the anchor.",
            ),
        ),
        Mistake(
            "zero-over-zero",
            "divides zero by zero where points coincide",
            _tr_zero_over_zero,
            (
                "Where anchor and positive coincide your gradient is not a number.",
                "Which division has a distance below it?",
                "Divide only where the distance is positive; elsewhere the gradient is 0.",
            ),
        ),
        Mistake(
            "eps",
            "adds a small number inside the distances",
            _tr_eps,
            (
                "You are right to some six digits only, and a triplet of equal points gets a direction.",
                "Look for an eps. torch adds one inside the difference.",
                "Leave the distances as they are, and treat 0 by itself.",
            ),
            variants=(_tr_eps_root,),
        ),
        Mistake(
            "active-at-zero",
            "counts a triplet at exactly zero as active",
            _tr_at_the_kink,
            (
                "You fail only where d_p − d_n + margin is exactly 0.",
                "Look at the comparison with 0: > or ≥?",
                "The statement calls such a triplet inactive.",
            ),
        ),
        Mistake(
            "soft",
            "takes log(1 + e^v) instead of max(0, v)",
            _tr_soft,
            (
                "Triplets that are far from active still cost you something.",
                "That is the soft triplet loss. Which function cuts off sharply?",
                "Take the max with 0.",
            ),
        ),
        Mistake(
            "normalised",
            "scales the points to length 1 first",
            _tr_normalised,
            (
                "Moving all points by the same amount changes your answer.",
                "Something is divided by its length that should not be.",
                "This loss takes the points as they are.",
            ),
        ),
    ],
    advice="Work one triplet by hand: both distances, whether it is active, and a unit vector for each distance.",
)

# --------------------------------------------------------------------------------------------------- semi-hard mining


def _between(*points):
    """Distances of points on a line: whole numbers, so ties are exact."""
    x = np.array(points, float)
    return np.abs(x[:, None] - x)


def _in_the_plane(n, seed):
    """Distances of random points, rounded to one digit so that they can be read."""
    x = np.random.default_rng(seed).standard_normal((n, 2))
    return np.sqrt(((x[:, None] - x) ** 2).sum(-1)).round(1)


_MINED = [
    call(_between(0, 2, 1, 5), np.array([0, 0, 1, 1])).gives(
        np.array([[-1, 3, -1, -1], [3, -1, -1, -1], [-1, -1, -1, -1], [-1, -1, 0, -1]])
    ),
    call(_between(0, 1, 3, 4), np.array([7, 7, 7, 2])).gives(
        np.array([[-1, 3, 3, -1], [3, -1, 3, -1], [-1, -1, -1, -1], [-1, -1, -1, -1]])
    ),
]
_UNTIED = [
    call(_in_the_plane(5, 4), np.array([0, 1, 0, 1, 0])),
    call(_in_the_plane(7, 1), np.array([0, 1, 2, 0, 1, 2, 0])),
    call(_in_the_plane(11, 2), np.arange(11) % 2),
]
_TIED = [
    call(_between(0, 2, -2, 3, -3), np.array([0, 0, 1, 1, 1])).gives(
        np.array([[-1, 3, -1, -1, -1], [2, -1, -1, -1, -1], [-1] * 3 + [-1, -1], [-1] * 5, [-1] * 5])
    ),
    call(_between(0, 1, 2, -2, 1), np.array([5, 5, 3, 3, 4])),
]


def _is_semi_hard(f, distances, labels):
    """The definition, entry by entry."""
    mined = f(distances, labels)
    if mined.shape != distances.shape:
        raise Failed(f"shape {mined.shape}", f"shape {distances.shape}")
    if mined.dtype.kind not in "iu":
        raise Failed(f"entries of dtype {mined.dtype}", "whole numbers: indices, or -1")
    n = len(labels)
    for a, p in np.ndindex(n, n):
        k, where = int(mined[a, p]), f"entry ({a}, {p}) is {mined[a, p]}"
        if not -1 <= k < n:
            raise Failed(where, f"an index below {n}, or -1")
        if a == p or labels[a] != labels[p]:
            if k != -1:
                raise Failed(where, f"-1: {p} is no positive of {a}")
            continue
        further = [int(i) for i in np.flatnonzero((labels != labels[a]) & (distances[a] > distances[a, p]))]
        if not further and k != -1:
            raise Failed(where, f"-1: no negative of {a} is further than {p}")
        if further:
            nearest = min(distances[a, i] for i in further)
            first = next(i for i in further if distances[a, i] == nearest)
            if k not in further:
                raise Failed(where, f"a negative of {a} that is further than {p}, at {distances[a, p]:g}")
            if k != first:
                raise Failed(where, f"{first}: the closest of them, at {nearest:g}")


def _mine(distances, labels, allowed, pick=np.argmin, none=-1, worst=np.inf):
    """For each pair of equal labels, pick among the candidates that `allowed` leaves."""
    n = len(labels)
    found = np.full((n, n), -1)
    for a, p in np.ndindex(n, n):
        if a == p or labels[a] != labels[p]:
            continue
        mask = allowed(a, p)
        found[a, p] = pick(np.where(mask, distances[a], worst)) if mask.any() else none
    return found


def _sh_hardest(distances, labels):
    return _mine(distances, labels, lambda a, p: labels != labels[a])


def _sh_furthest(distances, labels):
    further = lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p])
    return _mine(distances, labels, further, np.argmax, worst=-np.inf)


def _sh_fallback(distances, labels):
    n = len(labels)
    found = np.full((n, n), -1)
    for a, p in np.ndindex(n, n):
        other = labels != labels[a]
        if a == p or other[p] or not other.any():
            continue
        further = other & (distances[a] > distances[a, p])
        row = distances[a]
        found[a, p] = (
            np.argmin(np.where(further, row, np.inf)) if further.any() else np.argmax(np.where(other, row, -1))
        )
    return found


def _sh_none_is_zero(distances, labels):
    return _mine(distances, labels, lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p]), none=0)


def _sh_not_strict(distances, labels):
    return _mine(distances, labels, lambda a, p: (labels != labels[a]) & (distances[a] >= distances[a, p]))


def _sh_any_label(distances, labels):
    return _mine(distances, labels, lambda a, p: distances[a] > distances[a, p])


def _sh_same_label(distances, labels):
    return _mine(distances, labels, lambda a, p: (labels == labels[a]) & (distances[a] > distances[a, p]))


def _sh_from_positive(distances, labels):
    n = len(labels)
    found = np.full((n, n), -1)
    for a, p in np.ndindex(n, n):
        mask = (labels != labels[a]) & (distances[p] > distances[a, p])
        if a != p and labels[a] == labels[p] and mask.any():
            found[a, p] = np.argmin(np.where(mask, distances[p], np.inf))
    return found


def _sh_self_pair(distances, labels):
    n = len(labels)
    found = _mine(distances, labels, lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p]))
    for a in range(n):
        mask = (labels != labels[a]) & (distances[a] > 0)
        found[a, a] = np.argmin(np.where(mask, distances[a], np.inf)) if mask.any() else -1
    return found


def _sh_every_pair(distances, labels):
    n = len(labels)
    found = np.full((n, n), -1)
    for a, p in np.ndindex(n, n):
        mask = (labels != labels[a]) & (distances[a] > distances[a, p])
        if a != p and mask.any():
            found[a, p] = np.argmin(np.where(mask, distances[a], np.inf))
    return found


def _last_smallest(row):
    return len(row) - 1 - int(np.argmin(row[::-1]))


def _sh_last_wins(distances, labels):
    further = lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p])
    return _mine(distances, labels, further, _last_smallest)


def _sh_position(distances, labels):
    """The place among the candidates, not the index in the batch."""
    n = len(labels)
    found = np.full((n, n), -1)
    for a, p in np.ndindex(n, n):
        mask = (labels != labels[a]) & (distances[a] > distances[a, p])
        if a != p and labels[a] == labels[p] and mask.any():
            found[a, p] = np.argmin(distances[a][mask])
    return found


def _sh_band(distances, labels):
    inside = lambda a, p: (
        (labels != labels[a]) & (distances[a] > distances[a, p]) & (distances[a] < distances[a, p] + 0.2)
    )
    return _mine(distances, labels, inside)


def _sh_transposed(distances, labels):
    further = lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p])
    return np.ascontiguousarray(_mine(distances, labels, further).T)


def _sh_distances(distances, labels):
    further = lambda a, p: (labels != labels[a]) & (distances[a] > distances[a, p])
    mined = _mine(distances, labels, further)
    return np.where(mined < 0, -1.0, np.take_along_axis(distances, np.maximum(mined, 0), axis=1))


semi_hard = Exercise(
    name="semi_hard",
    notebook="03",
    signature="f(distances, labels) -> indices",
    statement="""For each anchor and positive, the index of the semi-hard negative (Schroff et al. 2015).

    distances is a symmetric array of shape (n, n) with zeros on its diagonal, labels holds n whole numbers. Row p is a
    positive of anchor a if p is not a and has the same label; the negatives of a are the rows with another label.
    Return an array of whole numbers of shape (n, n). Entry (a, p) is the index of the closest negative of a that is
    strictly further from a than p is; of equally close ones, the smallest index. It is -1 where p is no positive of a,
    and where a has no such negative. No upper limit is set: a semi-hard negative may lie outside the margin.
    """,
    tests=[
        Test("returns an index or -1 for every pair", "T0", [*_MINED, *_UNTIED], law=_is_semi_hard),
        Test("knows the negatives of points on a line", "T1", _MINED),
        Test("decides ties as the statement says", "T1", _TIED, law=_is_semi_hard),
        Test(
            "does not change when all distances are scaled or squared",
            "T2",
            _UNTIED,
            law=lambda f, d, y: ((f(7 * d, y), f(d * d, y)), (f(d, y), f(d, y))),
        ),
        Test(
            "does not depend on what the labels are called",
            "T2",
            _UNTIED,
            law=lambda f, d, y: (f(d, 90 - 7 * y), f(d, y)),
        ),
        Test(
            "leaves -1 where there are no negatives, or no positives",
            "T4",
            [
                call(_between(0, 1, 3), np.zeros(3, int)).gives(np.full((3, 3), -1)),
                call(_between(0, 1, 3), np.arange(3)).gives(np.full((3, 3), -1)),
            ],
        ),
        speed(
            "takes less than 600 times as long as sorting the distances",
            call(_in_the_plane(60, 3), np.arange(60) % 6),
            than=lambda d, y: np.argsort(d, axis=1),
            ratio=600,
        ),
    ],
    mistakes=[
        Mistake(
            "hardest",
            "takes the closest negative, also where it is closer than the positive",
            _sh_hardest,
            (
                "Some of your negatives are closer to the anchor than the positive.",
                "That is the hardest negative. What makes a negative only semi-hard?",
                "Leave out those that are not further than the positive, then take the closest.",
            ),
        ),
        Mistake(
            "furthest",
            "takes the furthest negative",
            _sh_furthest,
            (
                "You return the easiest negative of all.",
                "argmax or argmin?",
                "Of the negatives that are further than the positive, the closest is wanted.",
            ),
        ),
        Mistake(
            "fallback",
            "takes the furthest negative where none is further than the positive",
            _sh_fallback,
            (
                "Where no negative is further than the positive you still return one.",
                "Some libraries fall back on another negative there. What does the statement say?",
                "Return -1 there.",
            ),
        ),
        Mistake(
            "none-is-zero",
            "returns 0 where there is no semi-hard negative",
            _sh_none_is_zero,
            (
                "Where nothing is left to choose from you return 0, which is the index of a row.",
                "argmin of a row of infinities is 0.",
                "Ask whether any candidate is left, and return -1 if not.",
            ),
        ),
        Mistake(
            "not-strict",
            "takes a negative that is just as far as the positive",
            _sh_not_strict,
            (
                "You fail only where a negative is exactly as far as the positive.",
                "Look at the comparison of the distances.",
                "Strictly further is asked.",
            ),
        ),
        Mistake(
            "any-label",
            "takes rows of any label as negatives",
            _sh_any_label,
            (
                "Some of your negatives have the label of the anchor.",
                "Do the candidates know the labels?",
                "Only rows with another label are negatives.",
            ),
        ),
        Mistake(
            "same-label",
            "takes positives as negatives",
            _sh_same_label,
            (
                "Your negatives all have the label of the anchor.",
                "Look at the comparison of the labels.",
                "A negative has another label.",
            ),
        ),
        Mistake(
            "self-pair",
            "takes the anchor for a positive of its own",
            _sh_self_pair,
            (
                "Your diagonal is not -1.",
                "Has the anchor the same label as itself?",
                "Leave out p = a.",
            ),
        ),
        Mistake(
            "every-pair",
            "fills in pairs of different labels",
            _sh_every_pair,
            (
                "You return a negative for pairs that have different labels.",
                "Which p are positives of a?",
                "Where the labels of a and p differ the entry is -1.",
            ),
        ),
        Mistake(
            "last-wins-ties",
            "takes the largest index of equally close ones",
            _sh_last_wins,
            (
                "Only ties are wrong.",
                "Of equally close negatives, which one do you take?",
                "The statement says: the smallest index.",
            ),
        ),
        Mistake(
            "position",
            "returns the place among the candidates instead of the index of the row",
            _sh_position,
            (
                "Your entries are small: they count the candidates, not the rows.",
                "After rows were left out, position 0 is not row 0.",
                "Translate positions back to rows, or leave the others in with an infinite distance.",
            ),
        ),
        Mistake(
            "inside-the-margin",
            "leaves out negatives beyond a margin",
            _sh_band,
            (
                "You return -1 where there are negatives further than the positive.",
                "There is an upper limit in your condition.",
                "The statement sets no upper limit; the loss itself will be 0 there.",
            ),
        ),
        Mistake(
            "anchor-exchanged",
            "exchanges anchor and positive",
            _sh_from_positive,
            (
                "Your result is the transpose of the right one.",
                "Which index is the anchor, and which row of distances do you look at?",
                "Entry (a, p) belongs to anchor a: both distances are in row a.",
            ),
            variants=(_sh_transposed,),
        ),
        Mistake(
            "distances-returned",
            "returns the distances of the negatives instead of their indices",
            _sh_distances,
            (
                "Your entries are distances.",
                "min or argmin?",
                "The index of the row is wanted.",
            ),
        ),
    ],
    advice="Take one anchor: sort its row by hand, cross out its own label and all that is not beyond the positive.",
)

# ------------------------------------------------------------------------------------ the soft triplet and its limit


def _ratio(*numbers, t=0.5):
    """Scores of negatives whose exp(s/τ) stand in the given ratios to that of a positive with score 0."""
    return t * np.log(np.array([numbers], float))


def _limit_cases():
    return [call(draw(5, scale=1.0), draw(5, m, scale=1.0), t) for m, t in ((1, 1.0), (2, 0.5), (7, 0.3), (3, 2.0))]


def _over(positive, negatives, temperature):
    return (negatives - positive[:, None]) / temperature


def _hinge(positive, negatives):
    return _relu((negatives - positive[:, None]).max(1))


def _log_one_plus(x):
    """log(1 + Σ exp x) along the last axis, with the largest exponent taken out."""
    top = _relu(x.max(-1))
    return top + np.log(np.exp(-top) + np.exp(x - top[..., None]).sum(-1))


def _with_gap(soft, hinge):
    return soft, soft - hinge


def _li_naive(positive, negatives, temperature):
    soft = temperature * np.log(1 + np.exp(_over(positive, negatives, temperature)).sum(1))
    return _with_gap(soft, _hinge(positive, negatives))


def _li_naive_ratio(positive, negatives, temperature):
    p, n = np.exp(positive / temperature), np.exp(negatives / temperature)
    return _with_gap(-temperature * np.log(p / (p + n.sum(1))), _hinge(positive, negatives))


def _li_clipped(positive, negatives, temperature):
    x = np.minimum(_over(positive, negatives, temperature), 50.0)
    return _with_gap(temperature * np.log(1 + np.exp(x).sum(1)), _hinge(positive, negatives))


def _li_no_positive(positive, negatives, temperature):
    x = _over(positive, negatives, temperature)
    top = x.max(1)
    soft = temperature * (top + np.log(np.exp(x - top[:, None]).sum(1)))
    return _with_gap(soft, _hinge(positive, negatives))


def _li_open_hinge(positive, negatives, temperature):
    soft = temperature * _log_one_plus(_over(positive, negatives, temperature))
    return _with_gap(soft, (negatives - positive[:, None]).max(1))


def _li_not_scaled(positive, negatives, temperature):
    return _with_gap(_log_one_plus(_over(positive, negatives, temperature)), _hinge(positive, negatives))


def _li_multiplied(positive, negatives, temperature):
    soft = _log_one_plus((negatives - positive[:, None]) * temperature) / temperature
    return _with_gap(soft, _hinge(positive, negatives))


def _li_sum_of_pairs(positive, negatives, temperature):
    soft = temperature * np.logaddexp(0, _over(positive, negatives, temperature)).sum(1)
    return _with_gap(soft, _hinge(positive, negatives))


def _li_hardest(positive, negatives, temperature):
    soft = temperature * np.logaddexp(0, _over(positive, negatives, temperature).max(1))
    return _with_gap(soft, _hinge(positive, negatives))


def _li_mean_negative(positive, negatives, temperature):
    soft = temperature * _log_one_plus(_over(positive, negatives, temperature))
    return _with_gap(soft, _relu(negatives.mean(1) - positive))


def _li_averaged(positive, negatives, temperature):
    x = _over(positive, negatives, temperature) - np.log(negatives.shape[1])
    return _with_gap(temperature * _log_one_plus(x), _hinge(positive, negatives))


def _li_sign(positive, negatives, temperature):
    soft = temperature * _log_one_plus(-_over(positive, negatives, temperature))
    return _with_gap(soft, _relu((positive[:, None] - negatives).max(1)))


def _li_gap_sign(positive, negatives, temperature):
    soft = temperature * _log_one_plus(_over(positive, negatives, temperature))
    return soft, _hinge(positive, negatives) - soft


def _li_bound(positive, negatives, temperature):
    soft = temperature * _log_one_plus(_over(positive, negatives, temperature))
    return soft, np.full(len(positive), temperature * np.log(1 + negatives.shape[1]))


def _li_mean(positive, negatives, temperature):
    soft = temperature * _log_one_plus(_over(positive, negatives, temperature))
    return soft.mean(), (soft - _hinge(positive, negatives)).mean()


def _within_bound(f, positive, negatives, temperature):
    _, gap = f(positive, negatives, temperature)
    bound = temperature * np.log(negatives.shape[1] + 1)
    if gap.shape == positive.shape and (gap < -1e-12 * temperature).any():
        raise Failed(f"a gap of {gap.min():.3g}", "a gap that is not negative")
    if (gap > bound * (1 + 1e-12)).any():
        raise Failed(f"a gap of {gap.max():.3g}", f"at most τ log(M + 1) = {bound:.3g}")


def _temperature_scale(positive, negatives, temperature):
    return temperature, temperature


triplet_limit = Exercise(
    name="triplet_limit",
    notebook="03",
    signature="f(positive, negatives, temperature) -> (soft, gap)",
    statement="""The soft triplet loss with many negatives, and how far it is from the hinge.

    positive has shape (N,): the score s_p of each anchor with its positive. negatives has shape (N, M): its scores s_k
    with M negatives. Return two arrays of shape (N,). soft is temperature * log(1 + sum_k exp((s_k - s_p) /
    temperature)), which is temperature times the NT-Xent loss of that anchor. gap is soft - max(0, max_k s_k - s_p):
    the distance to the hinge of the hardest negative. It is never negative and at most temperature * log(M + 1): try
    it. temperature may be as small as 1e-4.
    """,
    tests=[
        Test(
            "returns two finite arrays of the shape of positive",
            "T0",
            _limit_cases(),
            law=lambda f, p, n, t: (np.array([x.shape for x in f(p, n, t)], int), np.array([p.shape] * 2, int)),
        ),
        Test(
            "knows the value where scores are equal",
            "T1",
            [
                call(np.zeros(1), np.zeros((1, m)), t).gives((np.array([t * np.log(m + 1)]),) * 2)
                for m, t in ((1, 1.0), (1, 0.1), (3, 0.5))
            ],
        ),
        Test(
            "knows the value at simple ratios",
            "T1",
            [
                call(np.zeros(1), _ratio(3), 0.5).gives((np.array([0.5 * np.log(4)]), np.array([0.5 * np.log(4 / 3)]))),
                call(np.zeros(1), _ratio(1 / 3), 0.5).gives((np.array([0.5 * np.log(4 / 3)]),) * 2),
                call(np.zeros(1), _ratio(1, 2), 0.5).gives((np.array([0.5 * np.log(4)]), np.array([0.5 * np.log(2)]))),
                call(np.array([1.0, 2.0]), np.array([[1.0, 1.0], [2.0, 2.0]]), 0.5).gives(
                    (np.full(2, 0.5 * np.log(3)),) * 2
                ),
            ],
        ),
        Test(
            "does not change when all scores of an anchor are shifted",
            "T2",
            _limit_cases(),
            law=lambda f, p, n, t: (f(p + 5, n + 5, t), f(p, n, t), (1.0, 1.0)),
        ),
        Test(
            "grows like the scores when scores and temperature are doubled",
            "T2",
            _limit_cases(),
            law=lambda f, p, n, t: (f(2 * p, 2 * n, 2 * t), tuple(2 * x for x in f(p, n, t)), (1.0, 1.0)),
        ),
        Test(
            "does not depend on the order of the negatives",
            "T2",
            _limit_cases(),
            law=lambda f, p, n, t: (f(p, n[:, ::-1].copy(), t), f(p, n, t), (1.0, 1.0)),
        ),
        Test("keeps the gap between 0 and its bound", "T2", _limit_cases(), law=_within_bound),
        Test(
            "neither overflows nor saturates at a small temperature",
            "T4",
            [
                call(np.array([0.0]), np.array([[1.0]]), 1e-3).gives((np.array([1.0]), np.zeros(1)), scale=(1.0, 1e-3)),
                call(np.array([0.5]), np.array([[-0.5, -1.0]]), 1e-4).gives(
                    (np.zeros(1), np.zeros(1)), scale=(1e-4, 1e-4)
                ),
                call(np.array([-1.0]), np.array([[1.0, 1.0]]), 1e-4).gives(
                    (np.array([2.0 + 1e-4 * np.log(2)]), np.array([1e-4 * np.log(2)])), scale=(1.0, 1e-4)
                ),
            ],
            tolerance=1e-8,
        ),
    ],
    mistakes=[
        Mistake(
            "overflow",
            "takes exponentials of large numbers",
            _li_naive,
            (
                "At temperature 1e-3 a difference of 1 is an exponent of 1000: exp overflows.",
                "Which exponent is the largest, and does the sum need it?",
                "Take the largest exponent (0 among them) out of the log before exp is called.",
            ),
            variants=(_li_naive_ratio,),
        ),
        Mistake(
            "clipped",
            "clips the exponents",
            _li_clipped,
            (
                "At small temperatures your loss stops growing.",
                "Clipping hides the overflow, and the hardest negatives with it.",
                "Take the largest exponent out of the log instead of cutting it.",
            ),
        ),
        Mistake(
            "positive-left-out",
            "leaves the positive out of the sum",
            _li_no_positive,
            (
                "With one negative of the same score you return 0. It should be τ log 2.",
                "Where is the 1 in log(1 + Σ ...)?",
                "The positive is a candidate too, with exponent 0.",
            ),
        ),
        Mistake(
            "hinge-not-clamped",
            "subtracts a hinge that was not clamped at 0",
            _li_open_hinge,
            (
                "Where the positive wins your gap is larger than τ log(M + 1).",
                "Look at the hinge where all negatives score lower.",
                "The hinge is never below 0.",
            ),
        ),
        Mistake(
            "not-scaled",
            "does not multiply the logarithm by the temperature",
            _li_not_scaled,
            (
                "As the temperature falls your soft loss grows without limit.",
                "Which factor stands before the log?",
                "Multiply by the temperature.",
            ),
        ),
        Mistake(
            "temperature-inverted",
            "multiplies the scores by the temperature",
            _li_multiplied,
            (
                "A small temperature makes your loss flat instead of sharp.",
                "Are the scores divided by the temperature, or multiplied?",
                "Divide inside the exponential, multiply outside the log.",
            ),
        ),
        Mistake(
            "sum-of-pairs",
            "adds up one soft triplet loss for each negative",
            _li_sum_of_pairs,
            (
                "With three negatives of equal score you return 3 τ log 2 instead of τ log 4.",
                "Is the sum inside or outside the logarithm?",
                "All negatives stand in one sum under one log.",
            ),
        ),
        Mistake(
            "hardest-only",
            "uses the hardest negative only, also in the soft loss",
            _li_hardest,
            (
                "Your soft loss does not change when an easier negative is taken away.",
                "max or sum in the soft loss?",
                "All negatives count in the soft loss; only the hinge looks at the hardest.",
            ),
        ),
        Mistake(
            "mean-negative",
            "takes the mean negative in the hinge",
            _li_mean_negative,
            (
                "As the temperature falls your gap does not vanish.",
                "Which negative does the hinge look at?",
                "The hardest one: the largest score.",
            ),
        ),
        Mistake(
            "averaged",
            "averages over the negatives where they should be added",
            _li_averaged,
            (
                "With three negatives of equal score you return τ log 2 instead of τ log 4.",
                "Sum or mean under the log?",
                "The exponentials of all negatives are added.",
            ),
        ),
        Mistake(
            "sign",
            "exchanges positive and negatives",
            _li_sign,
            (
                "Your loss falls when a negative scores higher.",
                "Look at the sign of the difference of the scores.",
                "It is s_k − s_p: scores are similarities, not distances.",
            ),
        ),
        Mistake(
            "gap-sign",
            "subtracts the soft loss from the hinge",
            _li_gap_sign,
            (
                "Your gap is negative.",
                "Which of the two is larger?",
                "gap = soft − hinge.",
            ),
        ),
        Mistake(
            "bound-returned",
            "returns the bound in place of the gap",
            _li_bound,
            (
                "Your gap is the same for every anchor.",
                "τ log(M + 1) is the most that the gap can be.",
                "Subtract the hinge from soft.",
            ),
        ),
        Mistake(
            "mean-over-anchors",
            "averages over the anchors",
            _li_mean,
            (
                "You return numbers, not arrays.",
                "Look for a mean at the end.",
                "One entry for each anchor is wanted.",
            ),
        ),
    ],
    advice="Work one anchor with one negative: the difference of the scores, its exponent, and log(1 + exp).",
)
