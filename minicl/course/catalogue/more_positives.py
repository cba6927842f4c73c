"""Notebook 13: a loss with several positives and its gradient, a denominator cleared of false negatives, and a first step
of fine-tuning.

Right answers are known here from classes in one place, from a world that can be counted through, and from a complex
step.
"""

import itertools

import numpy as np

from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw, speed


def _log_sum_exp(x):
    """Along the last axis; the shift is by a real number, so a complex step passes."""
    top = np.real(x).max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]


def _unit(z):
    return z / np.sqrt((z * z).sum(axis=-1, keepdims=True))


# ------------------------------------------------------------------------------------------------------------- supcon


def _pieces(z, labels, temperature):
    """Logits with −inf on the diagonal, the mask of positives, and how many there are."""
    u = _unit(z)
    own = np.eye(len(z), dtype=bool)
    logits = np.where(own, -np.inf, u @ u.T / temperature)
    positive = (labels[:, None] == labels) & ~own
    return logits, positive, positive.sum(axis=1)


def _supcon(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    mean = np.where(positive, logits, 0).sum(axis=1)[some] / count[some]
    return np.mean(_log_sum_exp(logits)[some] - mean)


def _supcon_in(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    inside = _log_sum_exp(np.where(positive, logits, -np.inf)[some]) - np.log(count[some])
    return np.mean(_log_sum_exp(logits)[some] - inside)


def _nt_xent(z, temperature):
    u, n = _unit(z), len(z)
    logits = np.where(np.eye(n, dtype=bool), -np.inf, u @ u.T / temperature)
    return np.mean(_log_sum_exp(logits) - logits[np.arange(n), (np.arange(n) + n // 2) % n])


_LABELS = {
    4: np.array([0, 1, 1, 0]),
    5: np.array([2, 7, 2, 7, 2]),
    6: np.array([0, 3, 1, 0, 3, 0]),
    7: np.array([1, 0, 0, 1, 2, 2, 0]),
}


def _labelled():
    """f(z, labels, temperature) for five to seven rows; with six, one class has a single row."""
    return [
        call(draw(n, d, scale=scale), _LABELS[n], temperature)
        for n, d, scale, temperature in ((4, 2, 1.0, 1.0), (5, 3, 1.0, 0.5), (6, 2, 3.0, 0.2), (7, 5, 0.01, 1.5))
    ]


def _one_place(labels):
    """Each class in one place, and all at right angles."""
    classes, number = np.unique(labels, return_inverse=True)
    return np.eye(len(classes))[number], np.array(labels)


def _self_positive(z, labels, temperature):
    u = _unit(z)
    s = u @ u.T / temperature
    logits, _, _ = _pieces(z, labels, temperature)
    same = labels[:, None] == labels
    return np.mean(_log_sum_exp(logits) - np.where(same, s, 0).sum(axis=1) / same.sum(axis=1))


def _self_candidate(z, labels, temperature):
    u = _unit(z)
    s = u @ u.T / temperature
    _, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    return np.mean(_log_sum_exp(s)[some] - (np.where(positive, s, 0).sum(axis=1)[some] / count[some]))


def _total(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    return np.mean((count * _log_sum_exp(logits) - np.where(positive, logits, 0).sum(axis=1))[some])


def _all_pairs(z, labels, temperature):
    logits, positive, _ = _pieces(z, labels, temperature)
    return (_log_sum_exp(logits)[:, None] - logits)[positive].mean()


def _singles_counted(z, labels, temperature):
    _, _, count = _pieces(z, labels, temperature)
    return _supcon(z, labels, temperature) * np.mean(count > 0)


def _singles_nan(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    with np.errstate(invalid="ignore"):
        return np.mean(_log_sum_exp(logits) - np.where(positive, logits, 0).sum(axis=1) / count)


def _singles_pushed(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    return np.mean(_log_sum_exp(logits) - np.where(positive, logits, 0).sum(axis=1) / np.maximum(count, 1))


def _negatives_only(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    rest = _log_sum_exp(np.where(positive, -np.inf, logits))
    return np.mean(rest[some] - np.where(positive, logits, 0).sum(axis=1)[some] / count[some])


def _this_positive_only(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    losses = []
    for i in np.flatnonzero(count):
        rest = logits[i][~positive[i]]
        losses.append(np.mean([_log_sum_exp(np.append(rest, x)) - x for x in logits[i][positive[i]]]))
    return np.mean(losses)


def _not_normalised(z, labels, temperature):
    own = np.eye(len(z), dtype=bool)
    logits = np.where(own, -np.inf, z @ z.T / temperature)
    positive = (labels[:, None] == labels) & ~own
    some = positive.any(axis=1)
    mean = np.where(positive, logits, 0).sum(axis=1)[some] / positive.sum(axis=1)[some]
    return np.mean(_log_sum_exp(logits)[some] - mean)


def _masked_to_zero(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    zeroed = np.where(np.eye(len(z), dtype=bool), 0, logits)
    return np.mean(_log_sum_exp(zeroed)[some] - np.where(positive, logits, 0).sum(axis=1)[some] / count[some])


def _naive(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    p = np.exp(logits)
    p = p / p.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.mean(np.where(positive, np.log(p), 0).sum(axis=1)[some] / count[some])


def _global_shift(z, labels, temperature):
    logits, _, _ = _pieces(z, labels, temperature)
    top = logits.max()
    with np.errstate(divide="ignore"):
        lse = np.log(np.exp(logits - top).sum(axis=1)) + top
    _, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    return np.mean(lse[some] - np.where(positive, logits, 0).sum(axis=1)[some] / count[some])


def _eps_in_log(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    p = np.exp(logits - _log_sum_exp(logits)[:, None])
    return -np.mean(np.where(positive, np.log(p + 1e-6), 0).sum(axis=1)[some] / count[some])


def _nearest_only(z, labels, temperature):
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    return np.mean(_log_sum_exp(logits)[some] - np.where(positive, logits, -np.inf).max(axis=1)[some])


_ISOLATED = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), np.array([0, 0, 0]), 0.001

supcon = Exercise(
    name="supcon",
    notebook="13",
    signature="f(z, labels, temperature) -> loss",
    statement="""The supervised contrastive loss, with the mean over the positives outside the logarithm.

    z has shape (n, d): all views of all images, none of them zero; labels has shape (n,). Scores are cosines divided by
    temperature. The positives P of row i are the other rows with its label; its candidates are all other rows. The loss of
    row i is the mean over p in P of −log( exp(s_ip) / Σ_{k≠i} exp(s_ik) ). Return the mean over the rows that have a
    positive, as one number: a row whose label occurs once has no loss of its own, but is a candidate of the others. At
    least one row has a positive. It must hold at temperature 0.001 too.
    """,
    tests=[
        Test("returns one number", "T0", _labelled(), law=lambda f, *a: (np.ndim(f(*a)), 0)),
        Test(
            "knows the loss where all rows are equal: log(n − 1)",
            "T1",
            [
                call(np.ones((3, 2)), np.array([5, 5, 5]), 0.5).gives(np.log(2)),
                call(np.ones((4, 2)), np.array([0, 1, 1, 0]), 0.5).gives(np.log(3)),
                call(2 * np.ones((5, 3)), np.array([0, 0, 0, 1, 1]), 2.0).gives(np.log(4)),
            ],
        ),
        Test(
            "knows the loss of two classes at right angles",
            "T1",
            [
                call(*_one_place([0, 0, 1, 1]), 1.0).gives(np.log(1 + 2 * np.exp(-1.0))),
                call(*_one_place([0, 0, 0, 1, 1, 1]), 0.5).gives(np.log(2 + 3 * np.exp(-2.0))),
            ],
        ),
        Test(
            "leaves a row without a positive out of the mean, and keeps it as a candidate",
            "T1",
            [
                call(*_one_place([0, 0, 1]), 1.0).gives(np.log(1 + np.exp(-1.0))),
                call(*_one_place([4, 4, 2, 4]), 0.5).gives(np.log(2 + np.exp(-2.0))),
            ],
        ),
        Test("equals the definition", "T1", [case.gives(_supcon) for case in _labelled()]),
        Test(
            "is NT-Xent where each image has a label of its own",
            "T2",
            [call(draw(2 * n, 3, scale=1.0), np.tile(np.arange(n), 2), t) for n, t in ((2, 1.0), (3, 0.5), (5, 0.2))],
            law=lambda f, z, labels, t: (f(z, labels, t), _nt_xent(z, t)),
        ),
        Test(
            "does not change when rows are made longer",
            "T2",
            _labelled(),
            law=lambda f, z, labels, t: (f(z * np.arange(1, len(z) + 1)[:, None], labels, t), f(z, labels, t)),
        ),
        Test(
            "does not change when the rows change places",
            "T2",
            _labelled(),
            law=lambda f, z, labels, t: (f(z[::-1].copy(), labels[::-1].copy(), t), f(z, labels, t)),
        ),
        Test(
            "does not look at the names of the classes",
            "T2",
            _labelled(),
            law=lambda f, z, labels, t: (f(z, 10 - 3 * labels, t), f(z, labels, t)),
        ),
        Test(
            "holds at temperature 0.001",
            "T4",
            [
                call(*_ISOLATED).gives((2000 + np.log(2)) / 3),
                call(*_one_place([0, 0, 1, 1]), 0.001).gives(0.0, 1.0),
            ],
        ),
        speed(
            "takes less than 60 times as long as the exponentials of its scores",
            call(draw(300, 16, scale=1.0), np.arange(300) % 10, 0.5),
            than=lambda z, labels, t: np.exp(z @ z.T / 100),
            ratio=60,
        ),
    ],
    mistakes=[
        Mistake(
            "self-positive",
            "counts a row among its own positives",
            _self_positive,
            (
                "A row alone in its class has a loss with yours, and it has no positive.",
                "labels[:, None] == labels is true on the diagonal.",
                "Take the diagonal out of the mask of positives.",
            ),
        ),
        Mistake(
            "self-candidate",
            "leaves the row itself among its candidates",
            _self_candidate,
            (
                "With n equal rows you return log n, not log(n − 1).",
                "Over how many rows does your denominator run?",
                "A row is no candidate of itself: its logit is −inf.",
            ),
        ),
        Mistake(
            "masked-to-zero",
            "masks the row itself by a logit of 0",
            _masked_to_zero,
            (
                "Your denominator has one term too many, of size 1.",
                "A masked logit of 0 still adds exp(0) = 1.",
                "A masked logit is −inf; a masked exponential is 0.",
            ),
        ),
        Mistake(
            "mean-inside",
            "takes the mean over the positives inside the logarithm",
            _supcon_in,
            (
                "You are right where all positives of a row are equally near, and too low elsewhere.",
                "Is your logarithm taken before or after the mean over the positives?",
                "First −log for each positive, then the mean.",
            ),
        ),
        Mistake(
            "sum-over-positives",
            "takes the sum over the positives and not their mean",
            _total,
            (
                "Three equal rows of one class give 2 log 2 with yours.",
                "How many terms has the sum over the positives of a row?",
                "Divide by the number of positives of that row.",
            ),
        ),
        Mistake(
            "mean-over-pairs",
            "takes one mean over all pairs instead of a mean for each row",
            _all_pairs,
            (
                "You are right where all classes have one size.",
                "Which weight has a row of a large class in your mean? And in the statement?",
                "First the mean over the positives of a row, then the mean over rows.",
            ),
        ),
        Mistake(
            "singles-in-the-mean",
            "counts a row without a positive in the mean, with a loss of 0",
            _singles_counted,
            (
                "A row that is alone in its class makes your loss smaller.",
                "By which number do you divide at the end?",
                "The mean is over the rows that have a positive.",
            ),
        ),
        Mistake(
            "zero-over-zero",
            "divides 0 by 0 where a row has no positive",
            _singles_nan,
            (
                "Your loss is not a number where a class has one row.",
                "By how many positives do you divide for that row?",
                "Leave rows without a positive out before you divide.",
            ),
        ),
        Mistake(
            "singles-pushed",
            "gives a row without a positive the log of its denominator as a loss",
            _singles_pushed,
            (
                "A row that is alone in its class adds to your loss.",
                "What is left of your formula where the sum over the positives is empty?",
                "Leave rows without a positive out of the mean.",
            ),
        ),
        Mistake(
            "negatives-only",
            "leaves the positives out of the denominator",
            _negatives_only,
            (
                "Your loss is negative for two classes at right angles. A −log of a probability cannot be.",
                "Which rows stand in your denominator?",
                "All but the row itself: the positives too.",
            ),
        ),
        Mistake(
            "one-positive-at-a-time",
            "has only one positive at a time in the denominator",
            _this_positive_only,
            (
                "Three equal rows of one class give 0 with yours: the positives do not compete.",
                "Which of the other positives stand in your denominator?",
                "The candidates are all other rows, the other positives too.",
            ),
        ),
        Mistake(
            "nearest-positive",
            "looks at the nearest positive alone",
            _nearest_only,
            (
                "Only the nearest positive matters to your loss.",
                "How do you put the positives of a row together?",
                "By a mean, not by a maximum.",
            ),
        ),
        Mistake(
            "not-normalised",
            "uses inner products and not cosines",
            _not_normalised,
            (
                "Your loss changes when a row is made longer.",
                "Scores are cosines. Where do you divide by the lengths?",
                "Divide each row by its length first.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "does not use the temperature",
            lambda z, labels, temperature: _supcon(z, labels, 1.0),
            (
                "Your loss is the same at every temperature.",
                "Where does the temperature stand in your code?",
                "The logit is the cosine divided by the temperature.",
            ),
        ),
        Mistake(
            "base-temperature",
            "multiplies the loss by τ/0.07",
            lambda z, labels, temperature: _supcon(z, labels, temperature) * temperature / 0.07,
            (
                "Your loss is the right one times a factor that depends on the temperature.",
                "Look for a base temperature. It changes the size of a step, not the direction.",
                "Leave out the factor: then equal rows give log(n − 1).",
            ),
        ),
        Mistake(
            "sign",
            "has the wrong sign",
            lambda z, labels, temperature: -_supcon(z, labels, temperature),
            (
                "Your loss is negative.",
                "The logarithm of a probability is negative. Where is the minus?",
                "It is −log.",
            ),
        ),
        Mistake(
            "sum-over-rows",
            "takes the sum over the rows",
            lambda z, labels, t: _supcon(z, labels, t) * np.count_nonzero(_pieces(z, labels, t)[2]),
            (
                "Your loss grows with the number of rows.",
                "Look at the last reduction.",
                "A mean over rows is asked for.",
            ),
        ),
        Mistake(
            "eps-in-the-log",
            "adds 1e-6 inside the logarithm",
            _eps_in_log,
            (
                "Your loss never exceeds 13.8, however far a positive is.",
                "Which number is added before the logarithm?",
                "Without it, from logits: log exp(s) is s, and the denominator is a log-sum-exp.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest logit",
            _naive,
            (
                "At temperature 0.001 your answer is not finite.",
                "The largest logit there is 1000, and exp overflows at 710.",
                "Subtract the largest logit of each row before exp.",
            ),
        ),
        Mistake(
            "one-shift-for-all",
            "subtracts the largest logit of the whole matrix from every row",
            _global_shift,
            (
                "At temperature 0.001 your answer is not finite.",
                "One row may lie far below the largest logit of all. What is the sum of its exponentials?",
                "Each row is shifted by its own largest logit.",
            ),
        ),
    ],
    advice="Take three rows by hand: two equal ones of one class, and a third of another at right angles.",
)

# -------------------------------------------------------------------------------------------------- supcon's gradient


def _numerical(z, labels, temperature):
    """By a complex step in each entry."""
    dz = np.empty(z.shape)
    for i in np.ndindex(z.shape):
        moved = z.astype(complex)
        moved[i] += 1e-30j
        dz[i] = np.imag(_supcon(moved, labels, temperature)) / 1e-30
    return dz


def _unit_size(z, labels, temperature):
    """The natural size of the gradient: 1/(τ‖z‖)."""
    return 1 / (temperature * np.sqrt((z * z).sum(axis=1)).min())


def _gradient(z, labels, temperature, target="out", weights=None, projected=True, divided=True, both=True, shift=True):
    """The closed form, with places for mistakes."""
    size = np.sqrt((z * z).sum(axis=1, keepdims=True))
    u = z / size
    logits, positive, count = _pieces(z, labels, temperature)
    some = count > 0
    top = logits.max(axis=1, keepdims=True) if shift else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(logits - top)
        p = e / e.sum(axis=1, keepdims=True)
    if target == "out":
        y = positive / np.maximum(count, 1)[:, None]
    elif target == "in":
        y = np.where(positive, p, 0)
        y = y / np.maximum(y.sum(axis=1, keepdims=True), 1e-300)
    else:
        y = positive.astype(float)
    g = (p - y) / temperature
    g = g * (some[:, None] / some.sum()) if weights is None else weights(g, some)
    du = {True: g + g.T, False: g, "candidates": g.T, "double": 2 * g}[both] @ u
    if projected:
        du = du - u * (u * du).sum(axis=1, keepdims=True)
    return du / size if divided else du


def _with(**changed):
    return lambda z, labels, temperature: _gradient(z, labels, temperature, **changed)


def _self_in_softmax(z, labels, temperature):
    size = np.sqrt((z * z).sum(axis=1, keepdims=True))
    u = z / size
    _, positive, count = _pieces(z, labels, temperature)
    s = u @ u.T / temperature
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    some = count > 0
    g = (p - positive / np.maximum(count, 1)[:, None]) * (some[:, None] / some.sum()) / temperature
    du = (g + g.T) @ u
    return (du - u * (u * du).sum(axis=1, keepdims=True)) / size


def _turns(f, z, labels, temperature):
    q = np.linalg.qr(np.arange(1.0, z.shape[1] ** 2 + 1).reshape(z.shape[1], -1) ** 0.5)[0]
    return f(z @ q, labels, temperature), f(z, labels, temperature) @ q, _unit_size(z, labels, temperature)


def _checked(cases):
    return [case.gives(_numerical, _unit_size) for case in cases]


_SHARP = np.array([[1.0, 0.0], [0.8, 0.6], [-0.6, 0.8], [0.0, -2.0], [0.6, -0.8]]), _LABELS[5], 0.001

supcon_gradient = Exercise(
    name="supcon_gradient",
    notebook="13",
    signature="f(z, labels, temperature) -> dz",
    statement="""The gradient of the supervised contrastive loss by hand.

    The loss is that of the exercise supcon: the positives of row i are the other rows with its label, its candidates are
    all other rows, scores are cosines divided by temperature, the mean over the positives stands outside the logarithm, and
    the mean over rows is over those that have a positive. Return the derivatives with respect to z, of shape (n, d): with
    respect to the rows as they are given, before they are normalised. No row is zero.
    """,
    tests=[
        Test("has the shape of z", "T0", _labelled(), law=lambda f, z, y, t: (np.shape(f(z, y, t))[0], len(z))),
        Test(
            "is zero where all rows are equal",
            "T1",
            [
                call(np.ones((4, 2)), np.array([0, 1, 1, 0]), 0.5).gives(np.zeros((4, 2)), 1.0),
                call(3 * np.ones((5, 3)), np.array([0, 0, 0, 1, 1]), 0.1).gives(np.zeros((5, 3)), 1.0),
            ],
        ),
        Test(
            "has no part along z: z · dz = 0",
            "T2",
            _labelled(),
            law=lambda f, z, y, t: ((z * f(z, y, t)).sum(axis=1), np.zeros(len(z)), 1 / t),
        ),
        Test(
            "shrinks as 1/‖z‖ when rows are made longer",
            "T2",
            _labelled(),
            law=lambda f, z, y, t: (10 * f(10 * z, y, t), f(z, y, t), _unit_size(z, y, t)),
        ),
        Test("turns with space", "T2", _labelled(), law=_turns),
        Test(
            "is zero where the one row that is moved has neither positive nor weight",
            "T2",
            [call(np.eye(3) + 0.1, np.array([0, 0, 1]), 0.5)],
            law=lambda f, z, y, t: (f(z, y, t)[2], _numerical(z, y, t)[2], _unit_size(z, y, t)),
        ),
        Test("equals the numerical derivative", "T3", _checked(_labelled())),
        Test(
            "equals the numerical derivative (whole numbers)",
            "T3",
            _checked([call(draw(n, 3), _LABELS[n], t) for n, t in ((5, 0.5), (6, 1.0), (7, 0.3))]),
        ),
        Test("stays right at τ = 0.001", "T4", _checked([call(*_SHARP)])),
        speed(
            "takes less than 60 times as long as the exponentials of its scores",
            call(draw(200, 16, scale=1.0), np.arange(200) % 10, 0.5),
            than=lambda z, labels, t: np.exp(z @ z.T / 100),
            ratio=60,
        ),
    ],
    mistakes=[
        Mistake(
            "candidates-constant",
            "takes the candidates for constants",
            _with(both=False),
            (
                "Your direction is nearly right, and your gradient is too short.",
                "Row i is an anchor once, and a candidate of all other anchors.",
                "The weight of row k in the gradient of row i has two parts: what i says of k, and what k says of i.",
            ),
        ),
        Mistake(
            "anchors-constant",
            "lets a row count as a candidate of others, and not as an anchor",
            _with(both="candidates"),
            (
                "Your gradient is too short.",
                "Row i stands in its own loss too.",
                "The weight of row k in the gradient of row i has two parts: what i says of k, and what k says of i.",
            ),
        ),
        Mistake(
            "doubled",
            "doubles one half, as if the softmax were symmetric",
            _with(both="double"),
            (
                "The length is about right, and the direction is a little off.",
                "Scores are symmetric. Are the probabilities, each row with its own denominator?",
                "P and its transpose are two different matrices.",
            ),
        ),
        Mistake(
            "target-not-shared",
            "has the target 1 for each positive",
            _with(target="ones"),
            (
                "The weights of a row do not sum to 0 with yours: shifting all its scores would change its loss.",
                "A softmax minus a target: what do the targets of a row sum to?",
                "The n positives of a row share the target 1.",
            ),
        ),
        Mistake(
            "mean-inside",
            "differentiates the loss with the mean inside the logarithm",
            _with(target="in"),
            (
                "Your far positives are hardly pulled.",
                "Do your targets depend on the scores?",
                "With the mean outside the logarithm all positives of a row have equal targets.",
            ),
        ),
        Mistake(
            "singles-push",
            "lets rows without a positive push as anchors",
            _with(weights=lambda g, some: g / some.sum()),
            (
                "You are wrong only where a class has one row.",
                "Which rows of the matrix of weights belong to anchors that have a loss?",
                "The row of an anchor without a positive is 0; its column is not.",
            ),
            variants=(_with(weights=lambda g, some: g / len(some)),),
        ),
        Mistake(
            "singles-counted",
            "divides by all rows and not by those that have a positive",
            _with(weights=lambda g, some: g * some[:, None] / len(some)),
            (
                "You are too short by one factor where a class has one row, and right elsewhere.",
                "By which number do you divide: all rows, or those with a positive?",
                "The mean is over the rows that have a positive.",
            ),
        ),
        Mistake(
            "singles-vanish",
            "takes rows without a positive out altogether",
            _with(weights=lambda g, some: g * some[:, None] * some / some.sum()),
            (
                "A row that is alone in its class gets no gradient with yours.",
                "It has no loss of its own. Is it a candidate of others?",
                "Set its row of weights to 0, and leave its column.",
            ),
        ),
        Mistake(
            "self-in-softmax",
            "leaves the row itself among its candidates",
            _self_in_softmax,
            (
                "Your probabilities are too small.",
                "Over how many rows does your softmax run?",
                "A row is no candidate of itself: its logit is −inf.",
            ),
        ),
        Mistake(
            "temperature-missing",
            "leaves out the factor 1/τ",
            lambda z, labels, t: t * _gradient(z, labels, t),
            (
                "Your gradient is the right one times τ.",
                "The softmax is over s/τ. What is the derivative of s/τ by s?",
                "The chain rule brings the factor 1/τ.",
            ),
        ),
        Mistake(
            "mean-missing",
            "differentiates the sum over the rows and not the mean",
            _with(weights=lambda g, some: g * some[:, None]),
            (
                "Your gradient is too long by a whole number.",
                "The loss is a mean. Over how many rows?",
                "A factor in front of the loss stands in front of its gradient.",
            ),
        ),
        Mistake(
            "length-missing",
            "leaves out the factor 1/‖z‖",
            _with(divided=False),
            (
                "Making a row longer should shrink its gradient. Yours stays.",
                "A step of fixed length turns a long vector less than a short one.",
                "The Jacobian of z/‖z‖ has two factors: a projection, and one over a length.",
            ),
        ),
        Mistake(
            "no-projection",
            "leaves out the projection I − u uᵀ",
            _with(projected=False),
            (
                "Your gradient has a part along z. Making z longer does not change the loss.",
                "Differentiate z/‖z‖: z stands in the numerator and in the length.",
                "Take the part along u away.",
            ),
        ),
        Mistake(
            "no-jacobian",
            "returns the gradient with respect to the unit vectors",
            _with(projected=False, divided=False),
            (
                "Your gradient has a part along z, and does not shrink when z grows.",
                "You stopped at u. The question is about z.",
                "One more factor of the chain rule: the Jacobian of z/‖z‖.",
            ),
        ),
        Mistake(
            "sign",
            "has the wrong sign",
            lambda z, labels, t: -_gradient(z, labels, t),
            (
                "Your gradient points the other way.",
                "Softmax minus target, or target minus softmax?",
                "Descent goes against the gradient: positives must come nearer then.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest logit",
            _with(shift=False),
            (
                "At temperature 0.001 your answer is not finite.",
                "The largest logit there is about 1000, and exp overflows at 710.",
                "Subtract the largest logit of each row before exp.",
            ),
        ),
    ],
    advice="Write down the weight of row k in the loss of row i first: softmax minus target. Then count who is whose candidate.",
)

# ------------------------------------------------------------------------------------------------------------ debiased


def _debiased(s_pos, s_neg, prior, temperature):
    """In one scale: all exponentials are divided by that of the largest score of the row."""
    top = np.maximum(s_pos, s_neg.max(axis=1))
    partner, negatives = np.exp((s_pos - top) / temperature), np.exp((s_neg - top[:, None]) / temperature)
    g = np.maximum((negatives.mean(axis=1) - prior * partner) / (1 - prior), np.exp((-1 - top) / temperature))
    log_odds = np.log(s_neg.shape[1] * g) + (top - s_pos) / temperature
    return np.logaddexp(0, log_odds)


def _plain(s_pos, s_neg, prior, temperature, clear=None, least=None, count=True, inside=True):
    """As it is written, with places for mistakes."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        partner, negatives = np.exp(s_pos / temperature), np.exp(s_neg / temperature)
        g = (negatives.mean(axis=1) - prior * partner) / (1 - prior) if clear is None else clear(negatives, partner)
        lowest = np.exp(-1 / temperature) if least is None else least
        g = np.maximum(g, lowest) if lowest is not False else g
        m = s_neg.shape[1] if count else 1
        return np.log((partner * inside + m * g) / partner)


def _bent(**changed):
    """`clear` is given the prior too."""
    clear = changed.pop("clear", None)

    def wrong(s_pos, s_neg, prior, temperature):
        bound = None if clear is None else lambda negatives, partner: clear(negatives, partner, prior)
        chosen = {k: v(temperature) if callable(v) else v for k, v in changed.items()}
        return _plain(s_pos, s_neg, prior, temperature, bound, **chosen)

    return wrong


def _lists():
    """f(s_pos, s_neg, prior, temperature), partners near enough and negatives at random."""
    return [
        call(draw(n, scale=0.3), draw(n, m, scale=0.4), prior, temperature)
        for n, m, prior, temperature in ((1, 2, 0.1, 1.0), (3, 5, 0.2, 0.5), (4, 3, 0.5, 0.3), (7, 11, 0.05, 2.0))
    ]


def _unbiased(f, own, other, scores, prior, temperature):
    """The mean of g over all lists of two negatives and all partners, against the mean over the other classes."""
    places = range(len(scores))
    data = prior * own + (1 - prior) * other
    lists = np.array(list(itertools.product(places, repeat=3)))
    weight = own[lists[:, 0]] * data[lists[:, 1]] * data[lists[:, 2]]
    losses = f(scores[lists[:, 0]], scores[lists[:, 1:]], prior, temperature)
    g = np.expm1(losses) * np.exp(scores[lists[:, 0]] / temperature) / 2
    return np.sum(weight * g), np.sum(other * np.exp(scores / temperature))


debiased_info_nce = Exercise(
    name="debiased_info_nce",
    notebook="13",
    signature="f(s_pos, s_neg, prior, temperature) -> losses",
    statement="""InfoNCE with a denominator that is cleared of false negatives.

    s_pos has shape (n,): the cosine of each anchor with its partner. s_neg has shape (n, M): its cosines with M draws from
    all data, of which a share prior (η) has the class of the anchor. With a = exp(s_pos/τ), the mean over the true
    negatives is estimated by g = (mean_k exp(s_neg_k/τ) − η a) / (1 − η), but by no less than exp(−1/τ), since no cosine
    is below −1. Return −log( a / (a + M g) ) for each anchor, shape (n,). It must hold at temperature 0.001 too.
    """,
    tests=[
        Test(
            "returns a loss for each anchor",
            "T0",
            _lists(),
            law=lambda f, p, n, e, t: (np.shape(f(p, n, e, t)), p.shape),
        ),
        Test(
            "knows the loss where all scores are equal: log(1 + M), whatever the prior",
            "T1",
            [
                call(np.array([0.2]), np.array([[0.2, 0.2]]), 0.0, 1.0).gives(np.array([np.log(3)])),
                call(np.array([0.5, 0.5]), 0.5 * np.ones((2, 4)), 0.3, 0.5).gives(np.log(5) * np.ones(2)),
            ],
        ),
        Test(
            "knows the loss where negatives are at right angles",
            "T1",
            [
                call(np.array([1.0]), np.zeros((1, 3)), 0.1, 1.0).gives(
                    np.array([np.log(1 + 3 * (1 - 0.1 * np.e) / 0.9 / np.e)])
                ),
            ],
        ),
        Test(
            "is bounded where the estimate is below exp(−1/τ)",
            "T1",
            [
                call(np.array([1.0]), np.zeros((1, 3)), 0.5, 1.0).gives(np.array([np.log1p(3 * np.exp(-2.0))])),
                call(np.array([1.0, 0.0]), -np.ones((2, 5)), 0.2, 0.5).gives(
                    np.array([np.log1p(5 * np.exp(-4.0)), np.log1p(5 * np.exp(-2.0))])
                ),
            ],
        ),
        Test("equals the definition", "T1", [case.gives(_debiased) for case in _lists()]),
        Test(
            "is InfoNCE where the prior is 0",
            "T2",
            _lists(),
            law=lambda f, p, n, e, t: (
                f(p, n, 0.0, t),
                _log_sum_exp(np.column_stack([p, n]) / t) - p / t,
            ),
        ),
        Test(
            "does not look at the order of the negatives",
            "T2",
            _lists(),
            law=lambda f, p, n, e, t: (f(p, n[:, ::-1].copy(), e, t), f(p, n, e, t)),
        ),
        Test(
            "has an unbiased g, in a world that can be counted through",
            "T2",
            [
                call(np.array([0.75, 0.25]), np.array([0.25, 0.75]), np.array([0.3, -0.2]), 0.25, 1.0),
                call(np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.375, 0.5]), np.array([0.4, 0.1, 0.0]), 0.1, 0.5),
            ],
            law=_unbiased,
        ),
        Test(
            "holds at temperature 0.001",
            "T4",
            [
                call(np.array([1.0, 0.5]), np.array([[0.9, 1.0], [0.5, 0.5]]), 0.1, 0.001).gives(
                    np.array([np.log1p(2 * (0.5 - 0.1) / 0.9), np.log(3)])
                ),
                call(np.array([-1.0]), np.array([[1.0, -1.0]]), 0.5, 0.001).gives(np.array([2000 + np.log(2)])),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "no-bound",
            "does not bound the estimate from below",
            _bent(least=False),
            (
                "Your loss is negative, or not a number, where the partner is near and the negatives are far.",
                "What is g there? Can a mean of exponentials be negative?",
                "Take the larger one of g and exp(−1/τ).",
            ),
        ),
        Mistake(
            "bound-at-zero",
            "bounds the estimate by 0",
            _bent(least=0.0),
            (
                "Your loss is 0 where the estimate is too small.",
                "What is the smallest value that a mean of exp(s/τ) can have, if s is a cosine?",
                "The bound is exp(−1/τ).",
            ),
        ),
        Mistake(
            "bound-without-temperature",
            "bounds the estimate by exp(−1)",
            _bent(least=np.exp(-1.0)),
            (
                "Your bound is the same at every temperature.",
                "The exponentials are those of s/τ. Which is the smallest of them?",
                "The bound is exp(−1/τ).",
            ),
        ),
        Mistake(
            "not-divided",
            "does not divide by 1 − η",
            _bent(clear=lambda negatives, partner, prior: negatives.mean(axis=1) - prior * partner),
            (
                "Equal scores do not give log(1 + M) with yours.",
                "What is taken off has a share η. Which share is left?",
                "Divide by the share that is left.",
            ),
        ),
        Mistake(
            "added",
            "adds the share of the own class instead of taking it off",
            _bent(clear=lambda negatives, partner, prior: (negatives.mean(axis=1) + prior * partner) / (1 - prior)),
            (
                "Your loss grows with the prior where the partner is near.",
                "Solve the mixture for the mean over the other classes: which sign?",
                "The own class goes off.",
            ),
        ),
        Mistake(
            "prior-swapped",
            "takes η for the share of the other classes",
            _bent(
                clear=lambda negatives, partner, prior: (
                    (negatives.mean(axis=1) - (1 - prior) * partner) / prior if prior else 0 * partner
                )
            ),
            (
                "With the prior 0 you should return InfoNCE.",
                "η is the share of the anchor's own class.",
                "With η = 0 nothing is taken off.",
            ),
        ),
        Mistake(
            "sum-for-mean",
            "takes η a off the sum over the negatives, as if it were a mean",
            _bent(
                clear=lambda negatives, partner, prior: (
                    (negatives.sum(axis=1) - prior * partner) / (1 - prior) / negatives.shape[1]
                )
            ),
            (
                "Equal scores do not give log(1 + M) with yours.",
                "Of M negatives, how many are false on average?",
                "Take η a off the mean, or M η a off the sum.",
            ),
        ),
        Mistake(
            "count-missing",
            "has g once in the denominator, and not M times",
            _bent(count=False),
            (
                "Equal scores give log 2 with yours, however many negatives there are.",
                "g is a mean. What stood in the denominator of InfoNCE?",
                "The denominator has M times the mean.",
            ),
        ),
        Mistake(
            "partner-left-out",
            "leaves the partner out of the denominator",
            _bent(inside=0.0),
            (
                "Your loss can be negative.",
                "Which terms stand in the denominator?",
                "a stands there too: the partner is a candidate.",
            ),
        ),
        Mistake(
            "not-cleared",
            "returns InfoNCE",
            lambda s_pos, s_neg, prior, t: _log_sum_exp(np.column_stack([s_pos, s_neg]) / t) - s_pos / t,
            (
                "Your loss does not depend on the prior.",
                "Where does η stand in your code?",
                "Take the share of the own class off the mean.",
            ),
        ),
        Mistake(
            "mean-returned",
            "returns the mean over the anchors",
            lambda s_pos, s_neg, prior, t: np.mean(_debiased(s_pos, s_neg, prior, t)),
            (
                "You return one number.",
                "Look at the last reduction.",
                "One loss for each anchor is asked for.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "does not use the temperature",
            lambda s_pos, s_neg, prior, t: _debiased(s_pos, s_neg, prior, 1.0),
            (
                "Your losses are the same at every temperature.",
                "Where does the temperature stand in your code?",
                "The exponentials are those of cosines divided by the temperature.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes the exponentials as they are",
            _plain,
            (
                "At temperature 0.001 your answer is not finite.",
                "The largest logit there is 1000, and exp overflows at 710.",
                "Divide a, the mean and the bound by the same exponential, that of the largest score of the row.",
            ),
        ),
    ],
    advice="Take one anchor with a = e and two negatives with exp(s/τ) = 1, and η = 0.1. Work g out by hand.",
)

# ------------------------------------------------------------------------------------------------------ layerwise step


def _step(weights, gradients, lr, scale, decay, rates=None, normalised=True, sign=-1, eps=1e-8):
    """One step of all layers, with places for mistakes."""
    top = len(weights) - 1
    rate = [scale * decay ** (top - 1 - layer) for layer in range(top)] + [1.0] if rates is None else rates
    rate = lr * np.array(rate, dtype=float)[:, None]
    move = gradients / (np.abs(gradients) + eps) if normalised else gradients
    return weights + sign * rate * move


def _layers():
    """f(weights, gradients, lr, scale, decay) for two to five layers; the last row is the head."""
    return [
        call(draw(rows, d), draw(rows, d), lr, scale, decay)
        for rows, d, lr, scale, decay in (
            (2, 3, 0.1, 0.5, 0.5),
            (3, 2, 0.01, 0.1, 0.4),
            (4, 5, 1.0, 1.0, 0.7),
            (5, 3, 0.3, 0.2, 0.5),
        )
    ]


def _rated(rate, **more):
    """A wrong rate for each layer: rate(layer, layers, scale, decay)."""

    def wrong(weights, gradients, lr, scale, decay):
        rows = len(weights)
        return _step(
            weights, gradients, lr, scale, decay, [rate(layer, rows, scale, decay) for layer in range(rows)], **more
        )

    return wrong


def _gradient_scaled(weights, gradients, lr, scale, decay):
    top = len(weights) - 1
    share = np.array([scale * decay ** (top - 1 - layer) for layer in range(top)] + [1.0])[:, None]
    scaled = share * gradients
    return weights - lr * scaled / (np.abs(scaled) + 1e-8)


def _bitwise_still(f, weights, gradients, lr, scale, decay):
    after = np.asarray(f(weights, gradients, lr, scale, decay))
    if after.shape != weights.shape:
        raise Failed(f"shape {after.shape}", f"shape {weights.shape}")
    if not np.array_equal(after[:-1], weights[:-1]):
        raise Failed(
            f"the encoder moved by {np.abs(after[:-1] - weights[:-1]).max():.1e}", "a frozen encoder, bit for bit"
        )


_SMALL = np.array([[0.5, -0.5], [2.0, 1.0], [0.0, 1.0]])
_PUSH = np.array([[3.0, -1.0], [-0.5, 2.0], [1.0, 0.0]])


def _overwritten(weights, gradients, lr, scale, decay):
    weights[...] = _step(weights, gradients, lr, scale, decay)
    return weights


def _divided(weights, gradients, lr, scale, decay):
    with np.errstate(invalid="ignore"):
        return _step(weights, gradients, lr, scale, decay, eps=0.0)


layerwise_step = Exercise(
    name="layerwise_step",
    notebook="13",
    signature="f(weights, gradients, lr, scale, decay) -> new_weights",
    statement="""Adam's first step when a trained encoder is fine-tuned: each layer has a rate of its own.

    weights and gradients have shape (L, d): row l holds the numbers of layer l, and the last row is the new head. The head
    has the rate lr. The last layer of the encoder, the row before it, has lr · scale, and each layer below has decay times
    the rate of the one above. In its first step Adam moves each weight by −rate · g / (|g| + 1e-8). Return the new
    weights. With scale = 0 the encoder stays as it is, bit for bit.
    """,
    tests=[
        Test("keeps the shape", "T0", _layers(), law=lambda f, w, *rest: (np.shape(f(w, *rest)), w.shape)),
        Test(
            "knows a step of three layers",
            "T1",
            [
                call(_SMALL, _PUSH, 0.1, 1.0, 1.0).gives(np.array([[0.4, -0.4], [2.1, 0.9], [-0.1, 1.0]])),
                call(_SMALL, _PUSH, 0.1, 0.5, 1.0).gives(np.array([[0.45, -0.45], [2.05, 0.95], [-0.1, 1.0]])),
                call(_SMALL, _PUSH, 0.1, 0.5, 0.2).gives(np.array([[0.49, -0.49], [2.05, 0.95], [-0.1, 1.0]])),
            ],
            tolerance=1e-7,
        ),
        Test("equals the definition", "T1", [case.gives(_step) for case in _layers()]),
        Test(
            "moves the last layer of the encoder by scale times what the head moves",
            "T2",
            _layers(),
            law=lambda f, w, g, lr, scale, decay: (
                np.abs(f(w, g, lr, scale, decay) - w)[-2].max(),
                scale * np.abs(f(w, g, lr, scale, decay) - w)[-1].max(),
            ),
            tolerance=1e-7,
        ),
        Test(
            "leaves the encoder as it is where scale is 0, bit for bit",
            "T2",
            [call(draw(n, 3), draw(n, 3), lr, 0.0, decay) for n, lr, decay in ((2, 0.1, 0.5), (4, 1.0, 0.3))],
            law=_bitwise_still,
        ),
        Test(
            "takes the same step when all gradients are a thousand times longer",
            "T2",
            _layers(),
            law=lambda f, w, g, lr, scale, decay: (
                f(w, 1000 * g, lr, scale, decay) - w,
                f(w, g, lr, scale, decay) - w,
            ),
            tolerance=1e-7,
        ),
        Test(
            "looks at tiny gradients as Adam does",
            "T4",
            [
                call(_SMALL, 1e-8 * _PUSH, 0.1, 0.5, 0.2).gives(_step),
                call(_SMALL, 0 * _PUSH, 0.1, 0.5, 0.2).gives(_SMALL),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "gradient-scaled",
            "scales the gradients and not the rates",
            _gradient_scaled,
            (
                "All your layers move equally far.",
                "Adam divides by the size of the gradient. What becomes of a factor in the gradient?",
                "Scale the step, after the division.",
            ),
        ),
        Mistake(
            "no-scaling",
            "has one rate for all layers",
            _rated(lambda layer, rows, scale, decay: 1.0),
            (
                "Your encoder moves as far as the head.",
                "Where do scale and decay stand in your code?",
                "Each row has a rate of its own.",
            ),
        ),
        Mistake(
            "order-reversed",
            "gives the first layer the highest rate of the encoder",
            _rated(lambda layer, rows, scale, decay: 1.0 if layer == rows - 1 else scale * decay**layer),
            (
                "Your first layer moves most.",
                "Which layers hold what serves every task: the early ones or the late ones?",
                "The power of decay is 0 at the last layer of the encoder, and grows downwards.",
            ),
        ),
        Mistake(
            "head-scaled",
            "scales the rate of the head too",
            _rated(lambda layer, rows, scale, decay: scale * decay ** max(rows - 2 - layer, 0)),
            (
                "Your head moves too little.",
                "The head is new: it has everything to learn.",
                "The last row has the rate lr.",
            ),
        ),
        Mistake(
            "decay-one-too-many",
            "starts to decay one layer too early",
            _rated(lambda layer, rows, scale, decay: 1.0 if layer == rows - 1 else scale * decay ** (rows - 1 - layer)),
            (
                "All layers of your encoder move too little, by one factor.",
                "Which power of decay has the last layer of the encoder?",
                "It has the power 0: its rate is lr · scale.",
            ),
        ),
        Mistake(
            "scale-only",
            "does not decay",
            _rated(lambda layer, rows, scale, decay: 1.0 if layer == rows - 1 else scale),
            (
                "All layers of your encoder move equally far.",
                "Where does decay stand in your code?",
                "Each layer has decay times the rate of the one above.",
            ),
        ),
        Mistake(
            "decay-only",
            "decays from the head on, and ignores scale",
            _rated(lambda layer, rows, scale, decay: 1.0 if layer == rows - 1 else decay ** (rows - 2 - layer)),
            (
                "With scale = 0 your encoder still moves.",
                "Where does scale stand in your code?",
                "The rate of the last layer of the encoder is lr · scale.",
            ),
        ),
        Mistake(
            "linear-decay",
            "multiplies by decay times the distance instead of by a power",
            _rated(
                lambda layer, rows, scale, decay: (
                    1.0 if layer == rows - 1 else scale * (decay * (rows - 2 - layer) if layer < rows - 2 else 1.0)
                )
            ),
            (
                "Two layers below you are right, three layers below you are not.",
                "What is decay times decay?",
                "The rate falls by the same factor at each layer: a power.",
            ),
        ),
        Mistake(
            "plain-descent",
            "takes a step of plain gradient descent",
            lambda w, g, lr, scale, decay: _step(w, g, lr, scale, decay, normalised=False),
            (
                "Your step grows with the gradient.",
                "Adam divides. By what?",
                "The first step of Adam has the size of the rate, whatever the gradient.",
            ),
        ),
        Mistake(
            "ascent",
            "goes uphill",
            lambda w, g, lr, scale, decay: _step(w, g, lr, scale, decay, sign=1),
            (
                "Your weights move along the gradient.",
                "Is the loss to grow or to fall?",
                "Descent goes against the gradient.",
            ),
        ),
        Mistake(
            "step-returned",
            "returns the step and not the new weights",
            lambda w, g, lr, scale, decay: _step(0 * w, g, lr, scale, decay),
            (
                "You return how far the weights move.",
                "Look at the return line.",
                "Add the step to the weights.",
            ),
        ),
        Mistake(
            "zero-over-zero",
            "divides by |g| alone",
            _divided,
            (
                "Where a gradient is 0 your weight is not a number.",
                "What is 0/0 for NumPy?",
                "Adam adds a small number to the divisor.",
            ),
        ),
        Mistake(
            "weights-overwritten",
            "writes into weights",
            _overwritten,
            (
                "After the call weights is not what it was.",
                "Look for weights[...] = or for an in-place operation such as -=.",
                "Make a new array.",
            ),
        ),
    ],
    advice="Write down the rates of three layers for lr = 1, scale = 0.5 and decay = 0.1: 0.05, 0.5, 1.",
)
