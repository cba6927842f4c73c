"""Notebook 08: what the temperature does, in three numbers: how many negatives take part, the slope of the loss in τ, and
the loss at a high temperature.

Right answers are known here from equal scores, from orthogonal images, and from a complex step.
"""

import numpy as np

from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw, speed


def _log_sum_exp(x):
    """Along the last axis; the shift is by a real number, so a complex step passes."""
    top = np.real(x).max(axis=-1, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]


def _softmax(x):
    e = np.exp(x - np.real(x).max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _entropy(p):
    return -np.sum(p[p > 0] * np.log(p[p > 0]))


# ------------------------------------------------------------------------------------------------ effective negatives

_TEN = np.array([0.3, 0.9, 0.3, -0.2, 0.3])


def _effective(s, positive, temperature):
    return np.exp(_entropy(_softmax(np.delete(s, positive) / temperature)))


def _random_scores():
    """f(s, positive, temperature) for 3 to 19 candidates."""
    return [
        call(draw(n, scale=0.4), positive, temperature)
        for n, positive, temperature in ((3, 0, 1.0), (5, 4, 0.3), (11, 3, 0.1), (19, 7, 2.0))
    ]


def _slope_is_variance(f, s, positive, temperature):
    """d log f / dτ = Var_p(s)/τ³, by central differences."""
    h = 1e-5 * temperature
    slope = (np.log(f(s, positive, temperature + h)) - np.log(f(s, positive, temperature - h))) / (2 * h)
    negatives = np.delete(s, positive)
    p = _softmax(negatives / temperature)
    return slope, np.sum(p * (negatives - np.sum(p * negatives)) ** 2) / temperature**3


def _naive_effective(s, positive, temperature):
    e = np.exp(np.delete(s, positive) / temperature)
    p = e / e.sum()
    return np.exp(-np.sum(p * np.log(p)))


def _zero_times_log(s, positive, temperature):
    p = _softmax(np.delete(s, positive) / temperature)
    return np.exp(-np.sum(p * np.log(p)))


def _positive_zeroed(s, positive, temperature):
    s = s.copy()
    s[positive] = 0
    return np.exp(_entropy(_softmax(s / temperature)))


def _share_left_in(s, positive, temperature):
    return np.exp(_entropy(np.delete(_softmax(s / temperature), positive)))


effective_negatives = Exercise(
    name="effective_negatives",
    notebook="08",
    signature="f(s, positive, temperature) -> count",
    statement="""How many negatives take part: e^H of the softmax over the negatives.

    s holds the scores of one anchor with its K candidates (K ≥ 2, not the anchor itself), s[positive] is that of its
    partner, and the K − 1 others are negatives. The share of negative k is ρ_k = exp(s_k/τ) / Σ exp(s_m/τ), the sum over
    the negatives alone. Return e^H, where H = −Σ ρ_k log ρ_k with the natural logarithm, and 0 log 0 = 0. Equal negatives
    give K − 1; if one has all the weight, 1. It must hold at temperature 0.001 too.
    """,
    tests=[
        Test("returns one number", "T0", _random_scores(), law=lambda f, *a: (np.ndim(f(*a)), 0)),
        Test(
            "counts equal negatives",
            "T1",
            [
                call(np.array([0.5, 0.5]), 0, 1.0).gives(1.0),
                call(np.array([0.9, 0.2, 0.2]), 0, 0.5).gives(2.0),
                call(np.array([0.1, 0.1, -0.4, 0.1, 0.1]), 2, 0.1).gives(4.0),
                call(_TEN, 1, 100.0).gives(_effective),
            ],
        ),
        Test("equals the definition", "T1", [case.gives(_effective) for case in _random_scores()]),
        Test(
            "does not depend on the score of the partner",
            "T2",
            _random_scores(),
            law=lambda f, s, p, t: (f(np.where(np.arange(len(s)) == p, s + 0.7, s), p, t), f(s, p, t)),
        ),
        Test(
            "does not change when all scores are shifted",
            "T2",
            _random_scores(),
            law=lambda f, s, p, t: (f(s + 0.3, p, t), f(s, p, t)),
        ),
        Test(
            "does not change when scores and temperature are doubled",
            "T2",
            _random_scores(),
            law=lambda f, s, p, t: (f(2 * s, p, 2 * t), f(s, p, t)),
        ),
        Test(
            "doubles when each negative stands twice",
            "T2",
            _random_scores(),
            law=lambda f, s, p, t: (f(np.concatenate([s, np.delete(s, p)]), p, t), 2 * f(s, p, t)),
        ),
        Test(
            "obeys the entropy law dH/dτ = Var(s)/τ³",
            "T3",
            _random_scores(),
            law=_slope_is_variance,
            tolerance=1e-6,
        ),
        Test(
            "holds at temperature 0.001",
            "T4",
            [
                call(_TEN, 1, 0.001).gives(3.0),
                call(np.array([0.1, 0.2, -1.0, 1.0]), 0, 0.001).gives(1.0),
                call(np.array([1.0, -1.0, -1.0]), 0, 0.001).gives(2.0),
            ],
        ),
        speed(
            "takes less than 30 times as long as one softmax",
            call(draw(20_000, scale=0.4), 5, 0.5),
            than=lambda s, positive, temperature: _softmax(s / temperature),
            ratio=30,
        ),
    ],
    mistakes=[
        Mistake(
            "positive-included",
            "counts the partner among the negatives",
            lambda s, positive, temperature: np.exp(_entropy(_softmax(s / temperature))),
            (
                "Your answer changes when only the score of the partner changes.",
                "Over how many candidates does your softmax run: K or K − 1?",
                "Take the partner out before you take the softmax.",
            ),
        ),
        Mistake(
            "share-left-in",
            "takes the partner out after the softmax, so the shares do not sum to 1",
            _share_left_in,
            (
                "Your shares do not sum to 1.",
                "Is the partner taken out before or after the softmax?",
                "ρ is a distribution over the negatives alone: leave the partner out of the denominator too.",
            ),
        ),
        Mistake(
            "positive-zeroed",
            "sets the score of the partner to zero instead of leaving it out",
            _positive_zeroed,
            (
                "With K − 1 equal negatives you do not return K − 1.",
                "A score of zero still gives exp(0) = 1.",
                "Delete the entry, or make its weight zero and not its score.",
            ),
        ),
        Mistake(
            "log-base-2",
            "measures H in bits and then raises e to it",
            lambda s, positive, temperature: np.exp(
                _entropy(_softmax(np.delete(s, positive) / temperature)) / np.log(2)
            ),
            (
                "Two equal negatives give 2.72 with yours, which is more than two.",
                "Which base has your logarithm, and which number is raised to H?",
                "Both must be the same: natural logarithm and e.",
            ),
        ),
        Mistake(
            "temperature-multiplied",
            "multiplies the scores by the temperature",
            lambda s, positive, temperature: np.exp(_entropy(_softmax(np.delete(s, positive) * temperature))),
            (
                "Your count falls when the temperature rises.",
                "Look at how the temperature enters the softmax.",
                "The logit is the score divided by the temperature.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "does not use the temperature",
            lambda s, positive, temperature: np.exp(_entropy(_softmax(np.delete(s, positive)))),
            (
                "Your count is the same at every temperature.",
                "Where does the temperature stand in your code?",
                "The logit is the score divided by the temperature.",
            ),
        ),
        Mistake(
            "entropy-returned",
            "returns the entropy and not e to its power",
            lambda s, positive, temperature: _entropy(_softmax(np.delete(s, positive) / temperature)),
            (
                "One negative gives 0 with yours, and it is one negative.",
                "Look at the return line.",
                "An entropy is a logarithm of a count.",
            ),
        ),
        Mistake(
            "sign-of-entropy",
            "forgets the minus of the entropy",
            lambda s, positive, temperature: np.exp(-_entropy(_softmax(np.delete(s, positive) / temperature))),
            (
                "Two equal negatives give ½ with yours.",
                "log ρ is negative. What is the sign of your H?",
                "The entropy has a minus in front of the sum.",
            ),
        ),
        Mistake(
            "inverse-of-squares",
            "returns 1/Σρ², another count",
            lambda s, positive, temperature: 1 / np.sum(_softmax(np.delete(s, positive) / temperature) ** 2),
            (
                "You are right where all negatives are equal, and too low elsewhere.",
                "There are several effective numbers. Which one does the statement ask for?",
                "1/Σρ² is another one (it weighs large shares more); here it is e^H.",
            ),
        ),
        Mistake(
            "share-of-count",
            "divides by the number of negatives",
            lambda s, positive, temperature: _effective(s, positive, temperature) / (len(s) - 1),
            (
                "Equal negatives give 1 with yours, however many there are.",
                "Look for a division at the end.",
                "The count is wanted, not the share that it is of all.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exp of the logits as they are",
            _naive_effective,
            (
                "At temperature 0.001 your answer is not finite.",
                "The largest logit there is 1000, and exp overflows at 710.",
                "Subtract the largest logit before exp: the shares stay the same. And mind 0 log 0.",
            ),
        ),
        Mistake(
            "zero-times-log-zero",
            "computes 0 log 0, which is not a number",
            _zero_times_log,
            (
                "At temperature 0.001 your answer is not finite.",
                "Some shares are 0 there. What is 0 · log 0 for NumPy?",
                "Leave shares of zero out of the sum, or compute log ρ from the logits.",
            ),
        ),
    ],
    advice="Take two negatives with scores 0 and τ log 3: the shares are ¼ and ¾. Work out e^H by hand, and compare.",
)

# ----------------------------------------------------------------------------------------------- temperature gradient


def _unit(z):
    return z / np.sqrt((z * z).sum(axis=-1, keepdims=True))


def _rows(z1, z2):
    """Cosines of the 2N views without the diagonal (2N, 2N − 1), and the cosine of each with its partner."""
    u = np.concatenate([_unit(z1), _unit(z2)])
    s, n = u @ u.T, len(u)
    others = s[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return others, s[np.arange(n), (np.arange(n) + n // 2) % n]


def _nt_xent(z1, z2, temperature):
    others, partner = _rows(z1, z2)
    return np.mean(_log_sum_exp(others / temperature) - partner / temperature)


def _slope(z1, z2, temperature):
    """By a complex step in τ."""
    return np.imag(_nt_xent(z1, z2, temperature + 1e-30j)) / 1e-30


def _slope_of(z1, z2, temperature, weights=_softmax, power=2, take=slice(None), mean=np.mean):
    """The closed form, with places for mistakes."""
    others, partner = _rows(z1, z2)
    expected = (weights(others / temperature) * others).sum(axis=1)
    return mean((partner - expected)[take]) / temperature**power


def _slope_scale(z1, z2, temperature):
    return 1 / temperature**2


def _negatives_alone(z1, z2, temperature):
    others, partner = _rows(z1, z2)
    n = len(others)
    place = (np.arange(n) + n // 2) % n
    place = place - (place > np.arange(n))
    negatives = np.ones(others.shape, dtype=bool)
    negatives[np.arange(n), place] = False
    negatives = others[negatives].reshape(n, n - 2)
    if not negatives.size:
        return 0.0
    return np.mean(partner - (_softmax(negatives / temperature) * negatives).sum(axis=1)) / temperature**2


def _self_included(z1, z2, temperature):
    u = np.concatenate([_unit(z1), _unit(z2)])
    s = u @ u.T
    _, partner = _rows(z1, z2)
    return np.mean(partner - (_softmax(s / temperature) * s).sum(axis=1)) / temperature**2


def _not_normalised(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    s, n = z @ z.T, len(z)
    others = s[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    partner = s[np.arange(n), (np.arange(n) + n // 2) % n]
    return np.mean(partner - (_softmax(others / temperature) * others).sum(axis=1)) / temperature**2


def _interleaved(z1, z2, temperature):
    u = np.concatenate([_unit(z1), _unit(z2)])
    others, _ = _rows(z1, z2)
    partner = (u * u[np.arange(len(u)) ^ 1]).sum(axis=1)
    return np.mean(partner - (_softmax(others / temperature) * others).sum(axis=1)) / temperature**2


def _naive_softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def _first_half(z1, z2, temperature):
    return _slope_of(z1, z2, temperature, take=slice(None, len(z1)))


_TURN = np.array([[0.0, 1.0], [-1.0, 0.0]])


def _random_views():
    """f(z1, z2, temperature)."""
    return [
        call(draw(n, d, scale=scale), draw(n, d, scale=scale), temperature)
        for n, d, scale, temperature in ((2, 2, 1.0, 0.5), (3, 5, 3.0, 0.2), (7, 3, 0.01, 1.5), (5, 2, 1.0, 0.07))
    ]


def _orthogonal(n, temperature):
    """The slope for aligned pairs and orthogonal images, where L = log(1 + (2N − 2) exp(−1/τ))."""
    rest = (2 * n - 2) * np.exp(-1 / temperature)
    return rest / (1 + rest) / temperature**2


temperature_gradient = Exercise(
    name="temperature_gradient",
    notebook="08",
    signature="f(z1, z2, temperature) -> slope",
    statement="""dL/dτ of the NT-Xent loss, in closed form.

    z1 and z2 have shape (N, d): row i of both belongs to image i. L is the mean over the 2N views of
    −log( exp(s_ij/τ) / Σ_{k≠i} exp(s_ik/τ) ), with the cosine s and the partner j of view i. Return the derivative of L
    with respect to the temperature τ, at fixed embeddings, as one number. Derive it on paper: no differences, no
    automatic differentiation. It must hold at temperature 0.001 too.
    """,
    tests=[
        Test("returns one number", "T0", _random_views(), law=lambda f, *a: (np.ndim(f(*a)), 0)),
        Test(
            "knows the slope where images are orthogonal",
            "T1",
            [
                call(np.eye(n), np.eye(n), temperature).gives(_orthogonal(n, temperature))
                for n, temperature in ((2, 1.0), (2, 0.5), (3, 0.3), (5, 2.0))
            ],
        ),
        Test(
            "is zero where the temperature cannot matter",
            "T1",
            [
                call(np.ones((2, 2)), np.ones((2, 2)), 0.5).gives(0.0, 4.0).noting("All views are equal: collapse."),
                call(np.array([[1.0, 0.0]]), np.array([[1.0, 2.0]]), 0.5)
                .gives(0.0, 4.0)
                .noting("One image: one candidate, and the loss is 0 at every temperature."),
            ],
        ),
        Test("equals a complex step", "T3", [case.gives(_slope, _slope_scale) for case in _random_views()]),
        Test(
            "does not change when embeddings are made longer",
            "T2",
            _random_views(),
            law=lambda f, a, b, t: (f(3 * a, b * np.arange(1, len(b) + 1)[:, None], t), f(a, b, t), 1 / t**2),
        ),
        Test(
            "does not change when the views change places",
            "T2",
            _random_views(),
            law=lambda f, a, b, t: (f(b, a, t), f(a, b, t), 1 / t**2),
        ),
        Test(
            "does not change when images change places",
            "T2",
            _random_views(),
            law=lambda f, a, b, t: (f(np.roll(a, 1, axis=0), np.roll(b, 1, axis=0), t), f(a, b, t), 1 / t**2),
        ),
        Test(
            "holds at temperature 0.001",
            "T4",
            [
                call(np.eye(3), np.eye(3), 0.001).gives(0.0, _slope_scale),
                call(np.eye(2), _TURN, 0.001)
                .gives(_slope, _slope_scale)
                .noting("Partners are at a right angle, and other views at 0 and 180 degrees."),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "sign",
            "has the sign turned round",
            lambda a, b, t: -_slope_of(a, b, t),
            (
                "Your slope is the negative of the true one.",
                "d(s/τ)/dτ = −s/τ². Which of the two terms of the loss has a minus already?",
                "Check with orthogonal images: a higher temperature makes that loss larger.",
            ),
        ),
        Mistake(
            "one-over-temperature",
            "divides by τ and not by τ²",
            lambda a, b, t: _slope_of(a, b, t, power=1),
            (
                "Your slope is τ times the true one.",
                "What is the derivative of s/τ with respect to τ?",
                "It has the square of τ below.",
            ),
        ),
        Mistake(
            "partner-alone",
            "has the term of the partner alone",
            lambda a, b, t: np.mean(_rows(a, b)[1]) / t**2,
            (
                "With orthogonal images you return 1/τ², however many negatives there are.",
                "The loss of a view has two terms with τ in them. You have the slope of one.",
                "The log-sum-exp depends on τ too.",
            ),
        ),
        Mistake(
            "no-temperature-below",
            "does not divide by τ² at all",
            lambda a, b, t: _slope_of(a, b, t, power=0),
            (
                "Your slope is τ² times the true one.",
                "What is the derivative of s/τ with respect to τ?",
                "The inner derivative is missing.",
            ),
        ),
        Mistake(
            "logits-for-cosines",
            "averages s/τ and divides by τ² again",
            lambda a, b, t: _slope_of(a, b, t, power=3),
            (
                "Your slope is the true one divided by τ.",
                "Are the numbers that you average cosines, or cosines over τ?",
                "One division by τ is in the logits already.",
            ),
        ),
        Mistake(
            "negatives-alone",
            "averages over the negatives without the partner",
            _negatives_alone,
            (
                "With one image your slope should be 0, and with orthogonal images it is too large.",
                "Over which candidates does the sum in the denominator run?",
                "All but the anchor itself: the partner is one of them.",
            ),
        ),
        Mistake(
            "self-included",
            "lets the anchor be a candidate of its own",
            _self_included,
            (
                "One image must give 0: there is one candidate only.",
                "Is the diagonal of the similarity matrix in your sum?",
                "k ≠ i: take the diagonal out before the softmax.",
            ),
        ),
        Mistake(
            "uniform-weights",
            "averages the cosines with equal weights",
            lambda a, b, t: _slope_of(a, b, t, weights=lambda x: np.full(x.shape, 1 / x.shape[1])),
            (
                "Your answer times τ² is the same at every temperature.",
                "Which weights does the derivative of a log-sum-exp give?",
                "Each candidate counts with its softmax probability.",
            ),
        ),
        Mistake(
            "temperature-out-of-softmax",
            "takes the softmax of cosines that were not divided by τ",
            lambda a, b, t: _slope_of(a, b, 1.0) / t**2,
            (
                "You are right at τ = 1 only.",
                "Look at what goes into the softmax.",
                "The logits are cosines divided by τ.",
            ),
        ),
        Mistake(
            "sum",
            "adds over the views instead of taking the mean",
            lambda a, b, t: _slope_of(a, b, t, mean=np.sum),
            (
                "Your slope is 2N times the true one.",
                "Is the loss a sum or a mean over the views?",
                "The mean over all 2N views.",
            ),
        ),
        Mistake(
            "divided-by-images",
            "divides by N and not by 2N",
            lambda a, b, t: 2 * _slope_of(a, b, t),
            (
                "Your slope is twice the true one.",
                "How many anchors are there for N images?",
                "Each view is an anchor: 2N of them.",
            ),
        ),
        Mistake(
            "first-view-only",
            "takes anchors from the first view only",
            _first_half,
            (
                "Your answer changes when the two views change places.",
                "How many anchors do you average over: N or 2N?",
                "Views of both kinds are anchors.",
            ),
        ),
        Mistake(
            "not-normalised",
            "uses inner products of embeddings that were not normalised",
            _not_normalised,
            (
                "Your answer changes when an embedding is made longer.",
                "A cosine depends on directions only.",
                "Scale the rows to length 1 first.",
            ),
        ),
        Mistake(
            "interleaved",
            "takes neighbouring rows for partners",
            _interleaved,
            (
                "Your answer changes when images change places.",
                "The views are stacked: all first views, then all second ones. Where is the partner of row i?",
                "It stands N rows further, modulo 2N.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exp of the logits as they are",
            lambda a, b, t: _slope_of(a, b, t, weights=_naive_softmax),
            (
                "At temperature 0.001 your answer is not finite.",
                "The largest logit there is 1000, and exp overflows at 710.",
                "Subtract the largest logit of each row before exp.",
            ),
        ),
    ],
    advice="Write the loss of one view as log Σ exp(s/τ) − s_p/τ, and derive each of the two terms by τ.",
)

# -------------------------------------------------------------------------------------------------- large temperature


def _loss(s, positive, temperature):
    return float(_log_sum_exp(s / temperature) - s[positive] / temperature)


def _expansion(s, positive, temperature, first=1.0, second=0.5):
    return np.log(len(s)) + first * (s.mean() - s[positive]) / temperature + second * s.var() / temperature**2


def _negatives_mean(s, positive, temperature):
    negatives = np.delete(s, positive)
    return np.log(len(s)) + (negatives.mean() - s[positive]) / temperature + s.var() / (2 * temperature**2)


def _negatives_both(s, positive, temperature):
    negatives = np.delete(s, positive)
    return np.log(len(s)) + (negatives.mean() - s[positive]) / temperature + negatives.var() / (2 * temperature**2)


def _negatives_variance(s, positive, temperature):
    return _expansion(s, positive, temperature, second=0) + np.delete(s, positive).var() / (2 * temperature**2)


def _sample_variance(s, positive, temperature):
    return _expansion(s, positive, temperature, second=0) + s.var(ddof=1) / (2 * temperature**2)


def _mean_square(s, positive, temperature):
    return _expansion(s, positive, temperature, second=0) + np.mean(s**2) / (2 * temperature**2)


def _distance_to_partner(s, positive, temperature):
    return _expansion(s, positive, temperature, second=0) + np.mean((s - s[positive]) ** 2) / (2 * temperature**2)


def _decoupled(s, positive, temperature):
    negatives = np.delete(s, positive)
    spread = negatives.var() / (2 * temperature**2)
    return np.log(len(negatives)) + (negatives.mean() - s[positive]) / temperature + spread


_FOUR = np.array([1.0, 0.5, 0.0, -1.0])
_FAR = 10.0 * 2.0 ** np.arange(5)


def _candidates():
    """f(s, positive, temperature) for 3 to 19 candidates."""
    return [
        call(draw(n, scale=0.4), positive, temperature)
        for n, positive, temperature in ((3, 0, 1.0), (4, 3, 0.5), (11, 3, 3.0), (19, 7, 20.0))
    ]


def _error_order(f, s, positive, temperature):
    """The error of a second-order expansion falls like τ⁻³: eight times smaller for twice the temperature."""
    errors = np.array([abs(f(s, positive, float(t)) - _loss(s, positive, t)) for t in _FAR])
    if (errors < 1e-15).all():
        raise Failed("no error at all", "the error of an expansion: this is the loss itself")
    order = -np.polyfit(np.log(_FAR), np.log(np.maximum(errors, 1e-17)), 1)[0]
    if not 2.7 < order < 3.3:
        raise Failed(f"an error that falls like τ^−{order:.2f}", "τ^−3")


def _is_quadratic(f, s, positive, temperature):
    """The third difference in 1/τ of a quadratic is zero."""
    values = [float(f(s, positive, 1 / b)) for b in (0.5, 1.0, 1.5, 2.0)]
    return values[3] - 3 * values[2] + 3 * values[1] - values[0], 0.0, max(map(abs, values))


large_temperature = Exercise(
    name="large_temperature",
    notebook="08",
    signature="f(s, positive, temperature) -> approximation",
    statement="""The loss at a high temperature, to second order in 1/τ.

    s holds the scores of one anchor with its K candidates, partner included, and s[positive] is that of the partner. The
    loss is ℓ(τ) = log Σ_k exp(s_k/τ) − s[positive]/τ. Return the Taylor polynomial of ℓ in 1/τ up to and including
    (1/τ)², at the given temperature. Its error must fall like τ⁻³, and it must not be the loss itself.
    """,
    tests=[
        Test("returns one number", "T0", _candidates(), law=lambda f, *a: (np.ndim(f(*a)), 0)),
        Test(
            "knows the expansion of small examples",
            "T1",
            [
                call(np.array([1.0, -1.0]), 0, 2.0).gives(np.log(2) - 0.5 + 0.125),
                call(np.array([0.3, 0.3, 0.3]), 1, 0.5).gives(np.log(3)),
                call(_FOUR, 0, 1.0).gives(np.log(4) + (0.125 - 1.0) + (2.25 / 4 - 0.125**2) / 2),
                call(_FOUR, 3, 10.0).gives(np.log(4) + (0.125 + 1.0) / 10 + (2.25 / 4 - 0.125**2) / 200),
            ],
        ),
        Test("equals the polynomial", "T1", [case.gives(_expansion) for case in _candidates()]),
        Test(
            "does not change when all scores are shifted",
            "T2",
            _candidates(),
            law=lambda f, s, p, t: (f(s + 0.3, p, t), f(s, p, t)),
        ),
        Test(
            "does not change when scores and temperature are doubled",
            "T2",
            _candidates(),
            law=lambda f, s, p, t: (f(2 * s, p, 2 * t), f(s, p, t)),
        ),
        Test(
            "is a quadratic in 1/τ",
            "T2",
            _candidates(),
            law=_is_quadratic,
        ),
        Test(
            "has an error that falls like τ⁻³",
            "T3",
            [call(np.array([0.9, 0.1, -0.3]), 0, 10.0), call(_FOUR, 1, 10.0)],
            law=_error_order,
        ),
    ],
    mistakes=[
        Mistake(
            "first-order-only",
            "stops after the first order",
            lambda s, positive, temperature: _expansion(s, positive, temperature, second=0),
            (
                "Your error falls like τ⁻², and τ⁻³ is asked for.",
                "How many terms has your polynomial?",
                "The second derivative of a log-sum-exp is a variance.",
            ),
        ),
        Mistake(
            "half-missing",
            "forgets the ½ of the second order",
            lambda s, positive, temperature: _expansion(s, positive, temperature, second=1),
            (
                "Your error falls like τ⁻²: the second order is not right.",
                "Which number stands before the second derivative in a Taylor polynomial?",
                "x²/2! is the factor of the second derivative.",
            ),
        ),
        Mistake(
            "mean-of-negatives",
            "takes the mean over the negatives alone",
            _negatives_mean,
            (
                "Your error falls like 1/τ only, so the first order is not right.",
                "Over how many candidates does the log-sum-exp run?",
                "The partner is a candidate too: the mean is over all K.",
            ),
            variants=(_negatives_both,),
        ),
        Mistake(
            "variance-of-negatives",
            "takes the variance over the negatives alone",
            _negatives_variance,
            (
                "Your error falls like τ⁻²: the second order is not right.",
                "Over how many candidates does the log-sum-exp run?",
                "The partner is a candidate too: the variance is over all K.",
            ),
        ),
        Mistake(
            "decoupled",
            "leaves the partner out of the log-sum-exp altogether",
            _decoupled,
            (
                "At a very high temperature you tend to log(K − 1), the loss to log K.",
                "Is the partner among the candidates in your sum?",
                "It is: count, mean and variance are over all K.",
            ),
        ),
        Mistake(
            "sample-variance",
            "divides the variance by K − 1",
            _sample_variance,
            (
                "Your error falls like τ⁻²: the second order is not right.",
                "By which number do you divide the squares: K or K − 1?",
                "This is the variance of a distribution, with weights 1/K, not an estimate.",
            ),
        ),
        Mistake(
            "mean-of-squares",
            "takes the mean of s² for the variance",
            _mean_square,
            (
                "Shifting all scores changes your answer, and it may not change the loss.",
                "Your second order is the mean of the squares. What is missing?",
                "The square of the mean goes off: log(1 + x) = x − x²/2.",
            ),
        ),
        Mistake(
            "spread-around-partner",
            "takes the mean square distance from the partner for the variance",
            _distance_to_partner,
            (
                "Your error falls like τ⁻²: the second order is not right.",
                "log(1 + x) = x − x²/2: where is the second part?",
                "The square of the first order goes off, and leaves a variance around the mean.",
            ),
        ),
        Mistake(
            "sign-of-first-order",
            "turns the sign of the first order round",
            lambda s, positive, temperature: _expansion(s, positive, temperature, first=-1),
            (
                "A partner that is nearer makes your value larger.",
                "Which of the two has the minus: the mean or the partner?",
                "The loss falls when s[positive] grows.",
            ),
        ),
        Mistake(
            "temperature-above",
            "expands in τ and not in 1/τ",
            lambda s, positive, temperature: _expansion(s, positive, 1 / temperature),
            (
                "Your value runs away at a high temperature, and the loss tends to log K.",
                "Which quantity is small when τ is large?",
                "Expand in 1/τ.",
            ),
        ),
        Mistake(
            "no-constant",
            "leaves out the constant log K",
            lambda s, positive, temperature: _expansion(s, positive, temperature) - np.log(len(s)),
            (
                "At a very high temperature you tend to 0.",
                "What is the loss when all logits are zero?",
                "K equal candidates: one in K is a loss of log K.",
            ),
        ),
        Mistake(
            "exact-loss",
            "returns the loss itself",
            _loss,
            (
                "Your value has no error at all: it is the loss.",
                "A polynomial in 1/τ is asked for.",
                "Three terms: a constant, one over τ, one over τ².",
            ),
        ),
    ],
    advice="Put b = 1/τ. What are ℓ, its slope and its second derivative at b = 0, where all weights are 1/K?",
)
