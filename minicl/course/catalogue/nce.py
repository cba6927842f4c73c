"""Notebook 04: the loss of noise-contrastive estimation, its gradient, and a normaliser that nobody integrated.

Right answers are known here from odds: where the odds of "data" are 3 to 1 the loss is log(4/3), whatever the scores.
"""

import numpy as np

from .. import numeric
from ..answers import Failed, arrays
from ..exercise import Exercise, Mistake, Remembers, Test, call, draw


def _softplus(t):
    return np.logaddexp(0, t)


def _sigmoid(t):
    return 0.5 * (1 + np.tanh(t / 2))


def _logits(scores, noise_scores, log_q, noise_log_q):
    shift = np.log(noise_scores.shape[1])
    return scores - log_q - shift, noise_scores - noise_log_q - shift


def _at_odds(odds, noise_odds, log_q=0.0):
    """The case in which a data point is `odds` times as likely data as noise, and each noise point `noise_odds` times."""
    odds, noise_odds = np.array(odds, float), np.array(noise_odds, float)
    q, noise_q = np.full(odds.shape, log_q), np.full(noise_odds.shape, log_q)
    log_nu = np.log(noise_odds.shape[1])
    return call(np.log(odds) + q + log_nu, np.log(noise_odds) + noise_q + log_nu, q, noise_q)


def _random(*sizes):
    return [
        call(draw(n, scale=2.0), draw(n, nu, scale=2.0), draw(n, scale=1.0), draw(n, nu, scale=1.0)) for n, nu in sizes
    ]


_SIZES = (1, 1), (2, 3), (3, 2), (5, 7)

# ----------------------------------------------------------------------------------------------------------- the loss


def _loss_of(logits, data=lambda t: _softplus(-t), noise=_softplus, collect=lambda d, n: (d + n.sum(1)).mean()):
    """A version of the loss in which any part can be the wrong one."""

    def loss(scores, noise_scores, log_q, noise_log_q):
        t, t_noise = logits(scores, noise_scores, log_q, noise_log_q)
        return collect(data(t), noise(t_noise))

    return loss


def _nu_from_rows(s, n, q, nq):
    return s - q - np.log(len(n)), n - nq - np.log(len(n))


def _nu_total(s, n, q, nq):
    return s - q - np.log(n.size), n - nq - np.log(n.size)


def _nu_factor(s, n, q, nq):
    return s - n.shape[1] * q, n - n.shape[1] * nq


def _added(s, n, q, nq):
    shift = np.log(n.shape[1])
    return s + q + shift, n + nq + shift


def _only_data(s, n, q, nq):
    return _logits(s, n, q, nq)[0], n


def _density(s, n, q, nq):
    return s - n.shape[1] * np.exp(q), n - n.shape[1] * np.exp(nq)


def _z_of_first_batch():
    """The normaliser is estimated from the noise of the first batch, and kept."""
    log_z = []

    def loss(s, n, q, nq):
        if not log_z:
            log_z.append(np.log(np.mean(np.exp(n))))
        return _loss_of(lambda s, n, q, nq: _logits(s - log_z[0], n - log_z[0], q, nq))(s, n, q, nq)

    return loss


def _z_of_each_batch(s, n, q, nq):
    log_z = np.log(np.mean(np.exp(n)))
    return _loss_of(lambda s, n, q, nq: _logits(s - log_z, n - log_z, q, nq))(s, n, q, nq)


nce_loss = Exercise(
    name="nce_loss",
    notebook="04",
    signature="f(scores, noise_scores, log_q, noise_log_q) -> loss",
    statement="""The loss of binary noise-contrastive estimation, safe at scores of ±800.

    scores has shape (N,): log p̃(x) of N data points, under a model that need not be normalised. noise_scores has shape
    (N, ν): the same for ν noise points beside each data point. log_q and noise_log_q, of the same two shapes, are the
    log of the noise density q at these points. A point is data with probability h(x) = σ(log p̃(x) − log(ν q(x))).
    Return one number, the mean over the N data points of −log h(x) − Σ_j log(1 − h(x_j)), the sum over the ν noise
    points of that data point.

    Scores may be as large as ±800, and a loss as small as exp(−40) keeps its digits.
    """,
    tests=[
        Test(
            "returns one finite number",
            "T0",
            _random(*_SIZES),
            law=lambda f, *args: (np.array(f(*args).shape, int), np.array((), int)),
        ),
        Test(
            "knows the loss of a toss of a coin",
            "T1",
            [
                _at_odds([1], [[1]]).gives(2 * np.log(2)),
                _at_odds([1], [[1, 1]])
                .gives(3 * np.log(2))
                .noting("The score is log(νq), so h = ½ for all three points."),
                _at_odds([1, 1], [[1, 1, 1], [1, 1, 1]], -0.5).gives(4 * np.log(2)),
            ],
        ),
        Test(
            "knows the loss where the model equals the noise",
            "T1",
            [
                call(np.full(n, -1.5), np.full((n, nu), -1.5), np.full(n, -1.5), np.full((n, nu), -1.5))
                .gives(np.log(1 + nu) + nu * np.log(1 + 1 / nu))
                .noting(f"Data and noise look alike, so h = 1/(1 + ν) = 1/{1 + nu} everywhere.")
                for n, nu in ((1, 1), (1, 3), (2, 5))
            ],
        ),
        Test(
            "knows the loss from the odds",
            "T1",
            [
                _at_odds([3], [[1 / 3]]).gives(2 * np.log(4 / 3)),
                _at_odds([3], [[1 / 4, 1]], 0.7).gives(-np.log(3 / 4 * 4 / 5 * 1 / 2)),
                _at_odds([3, 1], [[1 / 3, 1], [4, 1 / 4]], -2.0).gives(
                    -np.log(3 / 4 * 1 / 2 * 3 / 4 * 1 / 2 * 1 / 5 * 4 / 5) / 2
                ),
                _at_odds([9, 1, 1 / 9], [[1], [1 / 9], [9]]).gives(
                    -np.log(9 / 10 * 1 / 2 * 1 / 10 * 1 / 2 * 9 / 10 * 1 / 10) / 3
                ),
            ],
        ),
        Test(
            "does not change when a score and its log q grow by the same amount",
            "T2",
            _random(*_SIZES),
            law=lambda f, s, n, q, nq: (
                f(s + np.arange(len(s)), n - 0.5, q + np.arange(len(s)), nq - 0.5),
                f(s, n, q, nq),
            ),
        ),
        Test(
            "does not depend on the order of the points",
            "T2",
            _random(*_SIZES[1:]),
            law=lambda f, s, n, q, nq: (f(s[::-1], n[::-1, ::-1], q[::-1], nq[::-1, ::-1]), f(s, n, q, nq)),
        ),
        Test(
            "does not change when every data point is listed twice, with its noise",
            "T2",
            _random((1, 1), (2, 3), (3, 2)),
            law=lambda f, *args: (f(*(np.concatenate([x, x]) for x in args)), f(*args)),
        ),
        Test(
            "falls with the score of a data point, and rises with that of a noise point",
            "T3",
            _random((1, 1), (2, 3), (3, 2)),
            law=lambda f, s, n, q, nq: (
                (
                    numeric.central_difference(lambda x: float(f(x, n, q, nq)), s),
                    numeric.central_difference(lambda x: float(f(s, x, q, nq)), n),
                ),
                (
                    (_sigmoid(_logits(s, n, q, nq)[0]) - 1) / len(s),
                    _sigmoid(_logits(s, n, q, nq)[1]) / len(s),
                ),
                1.0,
            ),
            tolerance=1e-7,
        ),
        Test(
            "is exact at scores of ±800",
            "T4",
            [
                call(np.array([800.0]), np.array([[-800.0]]), np.zeros(1), np.zeros((1, 1))).gives(0.0, scale=1.0),
                call(np.array([-800.0]), np.array([[800.0]]), np.zeros(1), np.zeros((1, 1))).gives(1600.0),
                call(np.array([800.0, -800.0]), np.array([[800.0], [-800.0]]), np.zeros(2), np.zeros((2, 1))).gives(
                    800.0
                ),
            ],
        ),
        Test(
            "keeps the digits of a tiny loss",
            "T4",
            [
                call(np.array([40.0]), np.array([[-40.0]]), np.zeros(1), np.zeros((1, 1)))
                .gives(2 * np.exp(-40.0))
                .noting("1 + exp(−40) is 1 in float64, and the logarithm of that is 0.")
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "nu-q-missing",
            "leaves log(νq) out",
            _loss_of(lambda s, n, q, nq: (s, n)),
            (
                "Adding 5 to a score and to its log q changes your loss. It must not: p̃ and q both grew by e⁵.",
                "You classify by the score alone. The odds of data against noise are p̃(x) : ν q(x).",
                "The logit is a difference: the score minus the log of ν times the noise density.",
            ),
        ),
        Mistake(
            "nu-missing",
            "takes log q away and forgets log ν",
            _loss_of(lambda s, n, q, nq: (s - q, n - nq)),
            (
                "With one noise point all is right; with more it is wrong.",
                "Where does ν stand in your logits? There is more noise than data, so noise is likelier from the start.",
                "The noise comes ν times as often: its density is ν q, and log(ν q) = log ν + log q.",
            ),
        ),
        Mistake(
            "nu-for-log-nu",
            "takes ν away and not log ν",
            _loss_of(lambda s, n, q, nq: (s - q - n.shape[1], n - nq - n.shape[1])),
            (
                "With one noise point you take 1 away, where log 1 = 0 is right.",
                "A logit is a difference of logarithms. Is each of its terms one?",
                "log(ν q) = log ν + log q.",
            ),
        ),
        Mistake(
            "q-missing",
            "takes log ν away and forgets log q",
            _loss_of(lambda s, n, q, nq: (s - np.log(n.shape[1]), n - np.log(n.shape[1]))),
            (
                "Adding 5 to a score and to its log q changes your loss.",
                "log_q and noise_log_q are not used.",
                "The noise is denser in some places than in others: that is what q says.",
            ),
        ),
        Mistake(
            "nu-factor",
            "multiplies log q by ν",
            _loss_of(_nu_factor),
            (
                "With one noise point all is right; with more it is wrong.",
                "ν log q is the log of q to the power ν.",
                "The logarithm of a product is a sum.",
            ),
        ),
        Mistake(
            "nu-from-rows",
            "takes the number of rows for ν",
            _loss_of(_nu_from_rows),
            (
                "Listing every data point twice changes your loss.",
                "noise_scores has shape (N, ν). Which of the two do you take?",
                "ν is the number of noise points beside one data point.",
            ),
        ),
        Mistake(
            "nu-total",
            "takes the number of all noise points for ν",
            _loss_of(_nu_total),
            (
                "Listing every data point twice changes your loss.",
                "N ν points are noise, but N points are data.",
                "ν is the ratio of noise to data.",
            ),
        ),
        Mistake(
            "correction-added",
            "adds log(νq) instead of taking it away",
            _loss_of(_added),
            (
                "Adding 5 to a score and to its log q moves your loss twice as far, instead of not at all.",
                "Look at the sign before log(νq).",
                "Dense noise makes a point likelier noise: the logit falls where q is large.",
            ),
        ),
        Mistake(
            "noise-not-corrected",
            "corrects the data points alone",
            _loss_of(_only_data),
            (
                "Only a change of noise_log_q is without effect.",
                "One classifier judges all points. Compare your two logits.",
                "Noise points have the same logit as data points: score minus log(νq), each with its own q.",
            ),
        ),
        Mistake(
            "noise-without-nu",
            "takes log ν away for the data and forgets it for the noise",
            _loss_of(lambda s, n, q, nq: (_logits(s, n, q, nq)[0], n - nq)),
            (
                "With one noise point all is right; with more it is wrong.",
                "One classifier judges all points. Compare your two logits, term by term.",
                "Noise points have the same logit as data points: score minus log ν minus log q.",
            ),
        ),
        Mistake(
            "density-subtracted",
            "takes away νq itself, not its logarithm",
            _loss_of(_density),
            (
                "Adding 5 to a score and to its log q changes your loss.",
                "The score is a logarithm. What do you take away from it?",
                "log_q is given as a logarithm: leave it one.",
            ),
        ),
        Mistake(
            "naive-log",
            "takes the logarithm of a sigmoid that was rounded to 0 or 1",
            _loss_of(_logits, lambda t: -np.log(1 / (1 + np.exp(-t))), lambda t: -np.log(1 - 1 / (1 + np.exp(-t)))),
            (
                "Usual scores are right; at ±800 you get inf or nan, and at 40 zero.",
                "exp(800) overflows, σ(−800) is rounded to 0, and log 0 is −inf.",
                "−log σ(t) = log(1 + exp(−t)) is softplus(−t): find a form that never takes the exp of a large number.",
            ),
            variants=(
                _loss_of(_logits, lambda t: -np.log(_sigmoid(t)), lambda t: -np.log(1 - _sigmoid(t))),
                _loss_of(_logits, lambda t: np.log1p(np.exp(-t)), lambda t: np.log1p(np.exp(t))),
                _loss_of(_logits, noise=lambda t: -np.log(1 - _sigmoid(t))),
            ),
        ),
        Mistake(
            "digits-lost",
            "is safe at ±800 and loses the digits of a small loss",
            _loss_of(
                _logits,
                lambda t: np.maximum(-t, 0) + np.log(1 + np.exp(-np.abs(t))),
                lambda t: np.maximum(t, 0) + np.log(1 + np.exp(-np.abs(t))),
            ),
            (
                "Only the smallest losses are wrong: they are 0.",
                "1 + exp(−40) is rounded to 1.",
                "NumPy has a function for log(1 + x) at small x.",
            ),
        ),
        Mistake(
            "clipped",
            "clips the probability, or adds a small number to it",
            _loss_of(
                _logits,
                lambda t: -np.log(np.maximum(_sigmoid(t), 1e-12)),
                lambda t: -np.log(np.maximum(_sigmoid(-t), 1e-12)),
            ),
            (
                "Your loss never rises above 28 for a point; at a score of −800 it is 800.",
                "Look for a small constant: a clip, or an eps.",
                "Write −log σ as a softplus: then there is nothing to clip.",
            ),
            variants=(
                _loss_of(_logits, lambda t: -np.log(_sigmoid(t) + 1e-12), lambda t: -np.log(_sigmoid(-t) + 1e-12)),
                _loss_of(
                    _logits,
                    lambda t: -np.log(np.maximum(_sigmoid(t), 1e-9)),
                    lambda t: -np.log(np.maximum(_sigmoid(-t), 1e-9)),
                ),
            ),
        ),
        Mistake(
            "z-of-first-batch",
            "estimates a normaliser from one batch of noise and divides by it",
            Remembers(_z_of_first_batch),
            (
                "Your loss of a batch depends on the noise scores in another way than the formula says.",
                "Look for a mean of exponentials. In training a normaliser of the first batch is soon stale.",
                "The model need not be normalised: its scores stand in the loss as they are.",
            ),
            variants=(_z_of_each_batch,),
        ),
        Mistake(
            "noise-averaged",
            "averages over the noise points of a data point",
            _loss_of(_logits, collect=lambda d, n: (d + n.mean(1)).mean()),
            (
                "With one noise point all is right; with two, the noise counts half.",
                "Over which axis do you take a mean?",
                "The noise is summed, the data are averaged: there really are ν noise points for each data point.",
            ),
        ),
        Mistake(
            "data-summed",
            "sums over the data points",
            _loss_of(_logits, collect=lambda d, n: d.sum() + n.sum()),
            (
                "Listing every data point twice doubles your loss.",
                "The statement asks for a mean over the N data points.",
                "Divide by N.",
            ),
        ),
        Mistake(
            "all-averaged",
            "averages over all points, data and noise together",
            _loss_of(_logits, collect=lambda d, n: (d.sum() + n.sum()) / (d.size + n.size)),
            (
                "Your loss is the right one divided by 1 + ν.",
                "How many terms does your mean have?",
                "Divide by N, the number of data points, and by nothing else.",
            ),
        ),
        Mistake(
            "not-averaged",
            "returns one loss for each data point",
            _loss_of(_logits, collect=lambda d, n: d + n.sum(1)),
            (
                "You return an array of shape (N,).",
                "One number is wanted.",
                "Take the mean over the data points.",
            ),
        ),
        Mistake(
            "likelihood",
            "returns the log-likelihood, which has the other sign",
            _loss_of(_logits, lambda t: -_softplus(-t), lambda t: -_softplus(t)),
            (
                "Your loss is negative.",
                "log h is negative, as h is below 1. What stands before it?",
                "A loss is minimised, so it is minus the logarithm of the probability.",
            ),
        ),
        Mistake(
            "noise-as-data",
            "treats noise points as if they were data",
            _loss_of(_logits, noise=lambda t: _softplus(-t)),
            (
                "A noise point with a high score should cost much. With yours it costs nothing.",
                "Which probability does your noise term contain, that of D = 1 or that of D = 0?",
                "For a noise point the right answer is 'noise': its probability is 1 − h.",
            ),
        ),
        Mistake(
            "noise-subtracted",
            "minimises the log-probability of the noise, as the words of the article say",
            _loss_of(_logits, noise=lambda t: -_softplus(t)),
            (
                "Your loss falls without end as noise scores rise.",
                "Look at the sign of the noise term.",
                "Both log-probabilities are maximised: that data are called data, and that noise is called noise.",
            ),
        ),
        Mistake(
            "data-only",
            "leaves the noise out",
            _loss_of(_logits, collect=lambda d, n: d.mean()),
            (
                "Your loss does not depend on noise_scores.",
                "Without noise the best model has infinite scores everywhere.",
                "Add, for each data point, the sum over its noise points.",
            ),
        ),
    ],
    advice="Print h for the smallest failing input, once for the data and once for the noise. Is it what you would bet?",
)

# ------------------------------------------------------------------------------------------------------- its gradient


def _gradient_of(logits=_logits, data=lambda t: _sigmoid(t) - 1, noise=_sigmoid, counts=lambda n: (len(n), len(n))):
    def gradient(scores, noise_scores, log_q, noise_log_q):
        t, t_noise = logits(scores, noise_scores, log_q, noise_log_q)
        count, noise_count = counts(noise_scores)
        return data(t) / count, noise(t_noise) / noise_count

    return gradient


def _naive_sigmoid(t):
    return np.exp(t) / (1 + np.exp(t))


def _slopes(s, n, q, nq):
    """The gradient, from the loss by a complex step."""

    def loss(s, n):
        t, t_noise = _logits(s, n, q, nq)
        return (np.log(1 + np.exp(-t)) + np.log(1 + np.exp(t_noise)).sum(1)).mean()

    return numeric.complex_step(lambda s: loss(s, n), s), numeric.complex_step(lambda n: loss(s, n), n)


def _balance(f, s, n, q, nq):
    """Exact sums over a world of K points: at s = log p, what data push up is what noise pushes down, point by point."""
    ds, dn = f(s, n, q, nq)
    return len(s) * (np.exp(s) * ds + np.exp(q) * dn.sum(1)), np.zeros(len(s)), 0.1


def _world(p, q, nu):
    """Each row is one point of the world: once as data, and ν times as noise."""
    log_p, log_q = np.log(p), np.log(q)
    return call(log_p, np.tile(log_p[:, None], nu), log_q, np.tile(log_q[:, None], nu)).noting(
        "Row i is point i of a world, once as data and ν times as noise; its scores are log p. Then p ds + q Σ dn is zero."
    )


nce_gradient = Exercise(
    name="nce_gradient",
    notebook="04",
    signature="f(scores, noise_scores, log_q, noise_log_q) -> (dscores, dnoise)",
    statement="""The gradient of the loss of noise-contrastive estimation by the scores.

    The arguments are those of `nce_loss`: scores and log_q of shape (N,), noise_scores and noise_log_q of shape
    (N, ν), and the loss is the mean over the N data points of −log h(x) − Σ_j log(1 − h(x_j)), with
    h(x) = σ(log p̃(x) − log(ν q(x))). Return its derivatives by scores, shape (N,), and by noise_scores, shape (N, ν).
    Scores may be as large as ±800.
    """,
    tests=[
        Test(
            "returns finite numbers in the shapes of the scores",
            "T0",
            _random(*_SIZES),
            law=lambda f, s, n, q, nq: (
                tuple(np.array(x.shape, int) for x in f(s, n, q, nq)),
                (np.array(s.shape, int), np.array(n.shape, int)),
            ),
        ),
        Test(
            "knows the gradient from the odds",
            "T1",
            [
                _at_odds([1], [[1]]).gives((np.array([-0.5]), np.array([[0.5]]))),
                _at_odds([3], [[1 / 4, 1]], 0.7).gives((np.array([-1 / 4]), np.array([[1 / 5, 1 / 2]]))),
                _at_odds([3, 1], [[1 / 3, 1], [4, 1 / 4]], -2.0).gives(
                    (np.array([-1 / 8, -1 / 4]), np.array([[1 / 8, 1 / 4], [2 / 5, 1 / 10]]))
                ),
            ],
        ),
        Test(
            "does not change when a score and its log q grow by the same amount",
            "T2",
            _random(*_SIZES),
            law=lambda f, s, n, q, nq: (
                f(s + np.arange(len(s)), n - 0.5, q + np.arange(len(s)), nq - 0.5),
                f(s, n, q, nq),
            ),
        ),
        Test(
            "is in balance where the scores are the log-probabilities of the data",
            "T2",
            [
                _world([0.5, 0.5], [0.25, 0.75], 1),
                _world([0.5, 0.3, 0.2], [0.2, 0.2, 0.6], 3),
                _world([0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25], 5),
            ],
            law=_balance,
        ),
        Test(
            "equals the derivative of the loss",
            "T3",
            [case.gives(_slopes, scale=1.0) for case in _random(*_SIZES)],
        ),
        Test(
            "is exact at scores of ±800",
            "T4",
            [
                call(np.array([800.0]), np.array([[800.0]]), np.zeros(1), np.zeros((1, 1))).gives(
                    (np.array([0.0]), np.array([[1.0]])), scale=1.0
                ),
                call(np.array([-800.0]), np.array([[-800.0]]), np.zeros(1), np.zeros((1, 1))).gives(
                    (np.array([-1.0]), np.array([[0.0]])), scale=1.0
                ),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "not-averaged",
            "does not divide by the number of data points",
            _gradient_of(counts=lambda n: (1, 1)),
            (
                "With one data point all is right; with two your gradient is twice the true one.",
                "The loss is a mean over data points. Where did 1/N go?",
                "Both gradients are divided by N.",
            ),
        ),
        Mistake(
            "noise-averaged",
            "divides the gradient of the noise by ν as well",
            _gradient_of(counts=lambda n: (len(n), n.size)),
            (
                "dscores is right; dnoise is right for one noise point and too small for more.",
                "The loss sums over the noise points of a data point.",
                "Divide dnoise by N, not by its number of entries.",
            ),
        ),
        Mistake(
            "one-missing",
            "forgets the −1 in the gradient of the data",
            _gradient_of(data=_sigmoid),
            (
                "Your dscores is positive: descent would lower the scores of the data.",
                "The slope of −log σ(t) is negative. At t = 0 it is −½.",
                "It is the probability of the wrong answer, with a minus.",
            ),
        ),
        Mistake(
            "data-sign",
            "has the wrong sign at the data",
            _gradient_of(data=lambda t: 1 - _sigmoid(t)),
            (
                "Your dscores is positive: descent would lower the scores of the data.",
                "−log σ(t) falls as t grows.",
                "h − 1 and 1 − h: which one is negative?",
            ),
        ),
        Mistake(
            "noise-sign",
            "has the wrong sign at the noise",
            _gradient_of(noise=lambda t: -_sigmoid(t)),
            (
                "Your dnoise is negative: descent would raise the scores of the noise.",
                "−log(1 − σ(t)) rises as t grows.",
                "A noise point with a higher score costs more.",
            ),
        ),
        Mistake(
            "noise-as-data",
            "uses the gradient of a data point for the noise",
            _gradient_of(noise=lambda t: _sigmoid(t) - 1),
            (
                "Your dnoise is negative: descent would raise the scores of the noise.",
                "The right answer for a noise point is D = 0.",
                "The slope of −log(1 − σ(t)) is a probability, and positive.",
            ),
        ),
        Mistake(
            "ascent",
            "returns the direction of descent, minus the gradient",
            _gradient_of(data=lambda t: 1 - _sigmoid(t), noise=lambda t: -_sigmoid(t)),
            (
                "Every number has the right size and the wrong sign.",
                "A gradient points uphill. The minus comes with the step.",
                "Is yours the gradient of the loss, or of the log-likelihood?",
            ),
        ),
        Mistake(
            "nu-q-missing",
            "leaves log(νq) out",
            _gradient_of(lambda s, n, q, nq: (s, n)),
            (
                "Adding 5 to a score and to its log q changes your gradient.",
                "log_q and noise_log_q are not used.",
                "h is σ of the score minus log(νq).",
            ),
        ),
        Mistake(
            "nu-missing",
            "takes log q away and forgets log ν",
            _gradient_of(lambda s, n, q, nq: (s - q, n - nq)),
            (
                "With one noise point all is right; with more it is wrong.",
                "Where does ν stand in your logits?",
                "log(ν q) = log ν + log q.",
            ),
        ),
        Mistake(
            "nu-from-rows",
            "takes the number of rows for ν",
            _gradient_of(_nu_from_rows),
            (
                "It is right only where there are as many noise points in a row as there are rows.",
                "noise_scores has shape (N, ν). Which of the two do you take?",
                "ν is the number of noise points beside one data point.",
            ),
        ),
        Mistake(
            "correction-added",
            "adds log(νq) instead of taking it away",
            _gradient_of(_added),
            (
                "Adding 5 to a score and to its log q changes your gradient.",
                "Look at the sign before log(νq).",
                "Dense noise makes a point likelier noise.",
            ),
        ),
        Mistake(
            "noise-not-corrected",
            "corrects the data points alone",
            _gradient_of(_only_data),
            (
                "dscores is right, and dnoise does not depend on noise_log_q.",
                "One classifier judges all points. Compare your two logits.",
                "Noise points have the same logit: score minus log(νq).",
            ),
        ),
        Mistake(
            "naive-sigmoid",
            "divides inf by inf at a score of 800",
            _gradient_of(data=lambda t: _naive_sigmoid(t) - 1, noise=_naive_sigmoid),
            (
                "Usual scores are right; at 800 you get nan.",
                "exp(800) is inf, and inf / inf is nan.",
                "Divide by exp(t) above and below: then a large t does no harm.",
            ),
            variants=(
                _gradient_of(noise=_naive_sigmoid),
                _gradient_of(data=lambda t: -np.exp(-t) / (1 + np.exp(-t)), noise=_naive_sigmoid),
                _gradient_of(data=lambda t: -np.exp(-t) / (1 + np.exp(-t))),
            ),
        ),
        Mistake(
            "slope-of-sigmoid",
            "takes the slope of σ in place of that of −log σ",
            _gradient_of(
                data=lambda t: -_sigmoid(t) * (1 - _sigmoid(t)), noise=lambda t: _sigmoid(t) * (1 - _sigmoid(t))
            ),
            (
                "At even odds you have ¼ instead of ½.",
                "σ(1 − σ) is the slope of σ itself. The loss has a logarithm around it.",
                "The logarithm divides by σ, and one factor cancels.",
            ),
        ),
    ],
    advice="Take one data point and one noise point at even odds: −log ½ twice. Raise one score a little: which way does "
    "the loss go, and how fast?",
)

# ------------------------------------------------------------------------------------------- a Gaussian without its Z


def _log_q(x, width):
    return -0.5 * (x / width) ** 2 - np.log(width) - 0.5 * np.log(2 * np.pi)


def _fit(
    x, noise, log_q, noise_log_q, log_nu, data_weight=1.0, noise_weight=1.0, free=(True, True), half=0.5, steps=60
):
    """Newton's method on the loss of −half·a·x² − b, with weights of the points and parts of it held fixed."""
    points, label = np.concatenate([x, noise.ravel()]), np.repeat([1.0, 0.0], [x.size, noise.size])
    weights = np.where(label == 1, data_weight, noise_weight) / x.size
    offset = np.concatenate([log_q, noise_log_q.ravel()]) + log_nu
    features = np.stack([-half * points**2, -np.ones_like(points)])[np.array(free)]
    found = np.zeros(len(features))
    value = lambda v: (weights * _softplus((1 - 2 * label) * (v @ features - offset))).sum()
    for _ in range(steps):
        h = _sigmoid(found @ features - offset)
        slope = features @ (weights * (h - label))
        curve = (features * (weights * h * (1 - h))) @ features.T
        step, size = np.linalg.solve(curve + 1e-300, slope), 1.0
        while size > 1e-6 and value(found - size * step) > value(found) + 1e-14:
            size /= 2
        found = found - size * step
        if np.abs(step).max() < 1e-11 * (1 + np.abs(found).max()):
            break
    full = np.zeros(2)
    full[np.array(free)] = found
    return float(full[0]), float(full[1])


def _gaussian_of(log_nu=np.log, log_q=_log_q, back=lambda a, b: (a, b), **options):
    """A version of the fit in which any part can be the wrong one."""

    def fit(x, noise, width):
        weights = {k: (v(noise.shape[1]) if callable(v) else v) for k, v in options.items()}
        return back(*_fit(x, noise, log_q(x, width), log_q(noise, width), log_nu(noise.shape[1]), **weights))

    return fit


def _by_moments(x, noise, width):
    return 1 / np.mean(x**2), 0.5 * np.log(2 * np.pi * np.mean(x**2))


def _descent(steps):
    def fit(x, noise, width):
        a, b = 1.0, 0.0
        for _ in range(steps):
            shift = np.log(noise.shape[1])
            h = _sigmoid(-0.5 * a * x**2 - b - _log_q(x, width) - shift)
            g = _sigmoid(-0.5 * a * noise**2 - b - _log_q(noise, width) - shift)
            da = (-0.5 * x**2 * (h - 1)).mean() + (-0.5 * noise**2 * g).sum() / len(x)
            db = -(h - 1).mean() - g.sum() / len(x)
            a, b = a - 0.1 * da, b - 0.1 * db
        return a, b

    return fit


def _expectations(width, nu):
    """∫ p(1 − h) φφᵀ and ∫ p(1 − h) φ, for p the normal density, φ = (−x²/2, −1), by sums on a fine grid."""
    x = np.linspace(-12, 12, 4801)
    p = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    odds = p / (nu * np.exp(_log_q(x, width)))
    features, mass = np.stack([-0.5 * x * x, -np.ones_like(x)]), p / (1 + odds) * (x[1] - x[0])
    return (features * mass) @ features.T, features @ mass


def _standard_errors(count, width, nu):
    """Of (precision, log_z) for data with precision 1 (Gutmann and Hyvärinen 2012): I⁻¹ − (1 + 1/ν) I⁻¹ m mᵀ I⁻¹."""
    information, mean = _expectations(width, nu)
    inverse = np.linalg.inv(information)
    covariance = inverse - (1 + 1 / nu) * np.outer(inverse @ mean, inverse @ mean)
    return np.sqrt(np.diag(covariance) / count)


def _near_the_truth(f, x, noise, width):
    """In units of the standard error, so that a tolerance of 5 means five of them."""
    errors = _standard_errors(len(x), width, noise.shape[1])
    found = np.array([float(value) for value in f(x, noise, width)])
    return tuple(found), (1.0, 0.5 * np.log(2 * np.pi)), tuple(errors)


def _slope_vanishes(f, x, noise, width):
    a, b = (float(value) for value in f(x, noise, width))
    shift = np.log(noise.shape[1])
    h = _sigmoid(-0.5 * a * x**2 - b - _log_q(x, width) - shift)
    g = _sigmoid(-0.5 * a * noise**2 - b - _log_q(noise, width) - shift)
    slope = np.array(
        [(0.5 * x**2 * (1 - h)).mean() - (0.5 * noise**2 * g).sum() / len(x), (1 - h).mean() - g.sum() / len(x)]
    )
    return slope, np.zeros(2), 1.0


def _rescaled(f, x, noise, width):
    a, b = (float(value) for value in f(x, noise, width))
    a_2, b_2 = (float(value) for value in f(2 * x, 2 * noise, 2 * width))
    return (4 * a_2, b_2 - np.log(2)), (a, b), 1.0


def _to_four_digits(value, names):
    """Answers of a solver: single precision, so that two solvers agree to four digits and not to nine."""
    if isinstance(value, np.ndarray) and value.shape == (len(names),):
        value = tuple(value)
    return tuple(np.asarray(x, np.float32) for x in arrays(value, names))


def _samples(*sizes):
    """f(x, noise, width): x is standard normal."""
    return [call(draw(n, scale=1.0), draw(n, nu, scale=width), width) for n, nu, width in sizes]


def _two_numbers(f, x, noise, width):
    for name, value in zip(("precision", "log_z"), f(x, noise, width)):
        if np.shape(value) != ():
            raise Failed(f"{name} has shape {np.shape(value)}", "one number")
        if not np.isfinite(value):
            raise Failed(f"{name} is not finite", "a finite number")


gaussian_nce = Exercise(
    name="gaussian_nce",
    notebook="04",
    signature="f(x, noise, width) -> (precision, log_z)",
    statement="""Fit a Gaussian and its normaliser by noise-contrastive estimation.

    The model of the data is log p(x) = −½ precision x² − log_z, with two free numbers: nobody tells it that log_z
    belongs to precision. x has shape (N,): the data. noise has shape (N, ν): ν noise points for each data point, drawn
    from the normal distribution with mean 0 and standard deviation width. Return the pair (precision, log_z) at which
    the loss of noise-contrastive estimation (see `nce_loss`) is smallest. It is convex in the two numbers, so there is
    one such pair. It is judged to four digits; a few steps of Newton's method from (1 / mean(x²), 0), or
    scipy.optimize.minimize, are enough.

    For data from the standard normal distribution both come out near 1 and ½ log 2π = 0.9189.
    """,
    answer=_to_four_digits,
    tests=[
        Test("returns two finite numbers", "T0", _samples((24, 2, 1.5)), law=_two_numbers),
        Test(
            "finds precision 1 and log Z = ½ log 2π, within five standard errors",
            "T1",
            _samples((100, 5, 2.0), (200, 3, 2.0)),
            law=_near_the_truth,
            tolerance=5.0,
        ),
        Test(
            "is where the slope of the loss vanishes",
            "T3",
            _samples((24, 2, 1.5), (50, 1, 2.0), (40, 5, 1.2)),
            law=_slope_vanishes,
            tolerance=1e-4,
        ),
        Test(
            "follows the unit in which x is measured",
            "T2",
            [case.noting("Data, noise and width are doubled.") for case in _samples((24, 2, 1.5), (50, 3, 2.0))],
            law=_rescaled,
            tolerance=1e-3,
        ),
        Test(
            "does not depend on the order of the points, nor on their signs",
            "T2",
            _samples((24, 2, 1.0), (50, 3, 1.0)),
            law=lambda f, x, noise, width: (f(-x[::-1], noise[::-1, ::-1], width), f(x, noise, width)),
        ),
    ],
    mistakes=[
        Mistake(
            "nu-missing",
            "takes log q away and forgets log ν",
            _gaussian_of(log_nu=lambda nu: 0.0),
            (
                "The precision is right, and log_z is off by log ν.",
                "You learned p/ν. Which density does the classifier compare p with?",
                "The logit is log p − log(ν q).",
            ),
        ),
        Mistake(
            "nu-q-missing",
            "classifies by log p alone, with a constant in place of νq",
            _gaussian_of(log_nu=lambda nu: 0.0, log_q=lambda x, width: 0 * x),
            (
                "Your precision depends on the width of the noise.",
                "You learned p/(νq), which is another function of x.",
                "Take log(νq) away from log p before you classify.",
            ),
        ),
        Mistake(
            "q-missing",
            "takes log ν away and forgets log q",
            _gaussian_of(log_q=lambda x, width: 0 * x),
            (
                "Your precision depends on the width of the noise.",
                "You learned p/q, which is another function of x.",
                "The density of the noise at each point is known: use it.",
            ),
        ),
        Mistake(
            "q-unnormalised",
            "leaves the normaliser of the noise density out",
            _gaussian_of(log_q=lambda x, width: -0.5 * (x / width) ** 2),
            (
                "The precision is right, and log_z is off by log(width √2π).",
                "Does your q integrate to 1?",
                "The noise lends its normaliser to the model: it must be exact.",
            ),
        ),
        Mistake(
            "width-lost-in-q",
            "forgets the width in the normaliser of the noise density",
            _gaussian_of(log_q=lambda x, width: -0.5 * (x / width) ** 2 - 0.5 * np.log(2 * np.pi)),
            (
                "The precision is right, and log_z is off by log width.",
                "Does your q integrate to 1 for every width?",
                "A wider density is a lower one.",
            ),
        ),
        Mistake(
            "width-ignored",
            "takes the noise for standard normal",
            _gaussian_of(log_q=lambda x, width: _log_q(x, 1.0)),
            (
                "With a width of 1 all is right.",
                "Where does width stand in your log q?",
                "Write the density of a normal distribution with standard deviation width.",
            ),
        ),
        Mistake(
            "width-for-variance",
            "takes width for the variance",
            _gaussian_of(log_q=lambda x, width: _log_q(x, np.sqrt(width))),
            (
                "With a width of 1 all is right.",
                "Is width a standard deviation or a variance?",
                "The exponent is −½ (x / width)².",
            ),
        ),
        Mistake(
            "noise-averaged",
            "averages over the noise points of a data point",
            _gaussian_of(noise_weight=lambda nu: 1 / nu),
            (
                "With ν = 1 all is right; with more, log_z is too small by log ν.",
                "The classifier is told that noise is ν times as frequent, and sees it once.",
                "Sum over the noise points, average over the data.",
            ),
        ),
        Mistake(
            "sign-of-log-z",
            "returns −log_z, the constant that is added",
            _gaussian_of(back=lambda a, b: (a, -b)),
            (
                "Every number has the right size; the second has the wrong sign.",
                "log p(x) = −½ precision x² − log_z.",
                "If your parameter is added, return minus it.",
            ),
        ),
        Mistake(
            "z-not-log",
            "returns Z instead of its logarithm",
            _gaussian_of(back=lambda a, b: (a, np.exp(b))),
            (
                "Your second number is about 2.5.",
                "√2π = 2.5066 is Z.",
                "Its logarithm is asked for.",
            ),
        ),
        Mistake(
            "variance",
            "returns the variance in place of the precision",
            _gaussian_of(back=lambda a, b: (1 / a, b)),
            (
                "Doubling x makes your first number four times as large. It should be a quarter.",
                "Which one stands in the exponent as a factor?",
                "The precision is 1 / variance.",
            ),
        ),
        Mistake(
            "half-missing",
            "uses −precision x² without the ½",
            _gaussian_of(half=1.0),
            (
                "Your precision is half of what it should be.",
                "log p(x) = −½ precision x² − log_z.",
                "Put the ½ into the score.",
            ),
        ),
        Mistake(
            "log-z-fixed",
            "keeps log_z at 0 and fits the precision alone",
            _gaussian_of(free=(True, False)),
            (
                "Your log_z is 0.",
                "Which parameters does your solver move?",
                "The normaliser is a free number like any other: that is the point of the method.",
            ),
        ),
        Mistake(
            "maximum-likelihood",
            "takes the precision from the mean square of x, and log_z from the precision",
            _by_moments,
            (
                "Within the error bars, but the slope of the loss does not vanish there.",
                "You used the formula ½ log(2π / precision), or a mean square. The noise plays no part in it.",
                "Minimise the loss of noise-contrastive estimation over both numbers.",
            ),
        ),
        Mistake(
            "stopped-early",
            "stops after too few small steps",
            _descent(30),
            (
                "Two digits are right, and the slope of the loss is not zero yet.",
                "Print the slope at the end.",
                "Go on until it is below 1e-6; Newton's method needs fewer than ten steps.",
            ),
            variants=(_descent(10), _descent(100)),
        ),
    ],
    advice="Print the mean of h over the data plus ν times its mean over the noise. At the minimum the two errors balance: "
    "Σ (1 − h) over the data equals Σ h over the noise.",
)
