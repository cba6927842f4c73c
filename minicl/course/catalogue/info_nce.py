"""Notebook 06: the ranking loss, the information it can show, and three losses that are all called cross-entropy.

Right answers are known here from equal and orthogonal vectors, from Gaussians, and from what must not change them.
"""

import math

import numpy as np

from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw

# ------------------------------------------------------------------------------------------------------------- InfoNCE


def _rotation(d):
    return np.linalg.qr(np.arange(1.0, d * d + 1).reshape(d, d) ** 0.5)[0]


def _unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def _lse(x, axis=-1):
    top = x.max(axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(x - top).sum(axis=axis))


def _scores(queries, keys, queue, temperature):
    """Scores of every query with the N keys and then with the rows of the queue."""
    return _unit(queries) @ np.concatenate([_unit(keys), _unit(queue)]).T / temperature


def _of_scores(scores, queries):
    return (_lse(scores) - np.diag(scores)).mean()


_WRONG_PLACE = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
_FAN = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 2.0]])
_ONE_WAY = np.tile([1.0, 0.0], (3, 1))
_EMPTY = np.empty((0, 2))
_AXES = np.eye(5)


def _orthogonal(n, m, temperature):
    """Each query equals its key, and is orthogonal to all else."""
    expected = math.log1p((n - 1 + m) * math.exp(-1 / temperature))
    return call(2 * _AXES[:n], 3 * _AXES[:n], _AXES[n : n + m], temperature).gives(expected)


def _random_info_nce(*extra):
    sizes = (1, 2, 1, 0.5), (3, 2, 2, 0.7), (2, 3, 0, 0.3), (4, 5, 3, 2.0)
    return [
        call(draw(n, d, scale=1.0), draw(n, d, scale=1.0), draw(m, d, scale=1.0), t, *extra) for n, d, m, t in sizes
    ]


def _lonely(dtype, temperature):
    """All of query 0 lies far below the best of query 1: its row needs its own maximum."""
    queries, keys, queue = np.eye(2), np.array([[-1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, -1.0]])
    expected = (math.log(2) + 1 / temperature) / 2
    return call(queries.astype(dtype), keys.astype(dtype), queue.astype(dtype), temperature).gives(expected)


def _stands_alone(f, queries, keys, queue, temperature):
    """For query i the other keys are candidates like those of the queue."""
    alone = [
        f(queries[i : i + 1], keys[i : i + 1], np.concatenate([np.delete(keys, i, axis=0), queue]), temperature)
        for i in range(len(queries))
    ]
    return f(queries, keys, queue, temperature), np.mean(alone), 1.0


def _one_more(f, queries, keys, queue, temperature):
    more = np.concatenate([queue, queries[:1]])
    before, after = f(queries, keys, queue, temperature), f(queries, keys, more, temperature)
    if not after > before:
        raise Failed(f"{before:.4g}, and {after:.4g} with one more row", "a larger loss: one more rival")


def _in_place(queries, keys, queue, temperature):
    for x in (queries, keys, queue):
        x /= np.sqrt((x * x).sum(1, keepdims=True))
    return _of_scores(queries @ np.concatenate([keys, queue]).T / temperature, queries)


def _wrong_axis(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    return (_lse(scores, 0)[: len(queries)] - np.diag(scores)).mean()


def _own_key_only(queries, keys, queue, temperature):
    own = (_unit(queries) * _unit(keys)).sum(1, keepdims=True)
    scores = np.concatenate([own, _unit(queries) @ _unit(queue).T], axis=1) / temperature
    return (_lse(scores) - scores[:, 0]).mean()


def _positive_missing(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    others = np.where(np.eye(*scores.shape, dtype=bool), -np.inf, scores)
    return (_lse(others) - np.diag(scores)).mean()


def _positive_twice(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    right = np.diag(scores)
    return (_lse(np.concatenate([right[:, None], scores], axis=1)) - right).mean()


def _naive(queries, keys, queue, temperature):
    e = np.exp(_scores(queries, keys, queue, temperature))
    return -np.log(np.diag(e) / e.sum(1)).mean()


def _log_of_probability(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    e = np.exp(scores - scores.max(1, keepdims=True))
    with np.errstate(divide="ignore"):
        return -np.log(np.diag(e) / e.sum(1)).mean()


def _one_maximum(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    e = np.exp(scores - scores.max())
    return (np.log(e.sum(1)) + scores.max() - np.diag(scores)).mean()


def _probabilities(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    return np.exp(np.diag(scores) - _lse(scores))


def _queue_first(queries, keys, queue, temperature):
    return _of_scores(_scores(queries, np.concatenate([queue, keys]), queue[:0], temperature), queries)


def _symmetric(queries, keys, queue, temperature):
    both = (queries, keys, queue, temperature), (keys, queries, queue, temperature)
    return sum(_of_scores(_scores(*x), queries) for x in both) / 2


def _queries_too(queries, keys, queue, temperature):
    """The other queries are candidates, as the views of NT-Xent are; each query has others of its own."""
    own = _scores(queries, queries, queue[:0], temperature)
    own[np.diag_indices(len(own))] = -np.inf
    scores = _scores(queries, keys, queue, temperature)
    return (_lse(np.concatenate([scores, own], axis=1)) - np.diag(scores)).mean()


def _negatives_mean(queries, keys, queue, temperature):
    scores = _scores(queries, keys, queue, temperature)
    return (_lse(scores) - math.log(scores.shape[1]) - np.diag(scores)).mean()


def _plain(queries, keys, queue, temperature, unit_queries=False, unit_keys=False):
    queries, keys = (_unit(x) if wanted else x for x, wanted in ((queries, unit_queries), (keys, unit_keys)))
    return _of_scores(queries @ np.concatenate([keys, queue]).T / temperature, queries)


def _by_column(queries, keys, queue, temperature):
    parts = [x / np.maximum(np.sqrt((x * x).sum(0)), 1e-12) for x in (queries, keys, queue)]
    return _of_scores(parts[0] @ np.concatenate(parts[1:]).T / temperature, queries)


info_nce = Exercise(
    name="info_nce",
    notebook="06",
    signature="f(queries, keys, queue, temperature) -> loss",
    statement="""The ranking loss, which asks which of the candidates belongs to the query.

    queries and keys have shape (N, d): key i belongs to query i. queue has shape (M, d) and holds further candidates;
    M may be 0. Every query has the same N + M candidates: all keys and all rows of queue. Score of a query and a
    candidate: the cosine between them, divided by temperature. Return one number: the mean over the queries of
    −log softmax(scores of the query) at its own key. No row is zero. temperature may be as small as 0.001, and the
    arrays may be float32.
    """,
    tests=[
        Test(
            "returns one finite number",
            "T0",
            [call(_FAN[:1], _FAN[1:2], _EMPTY, 0.5), *_random_info_nce()],
            law=lambda f, *args: (np.isfinite(f(*args)), np.array(True)),
        ),
        Test(
            "is zero where there is one candidate",
            "T1",
            [call(_FAN[:1], _FAN[1:2], _EMPTY, 0.5).gives(0.0)],
        ),
        Test(
            "is log(N + M) where all candidates are equal",
            "T1",
            [
                call(_FAN[:1], _ONE_WAY[:1], _ONE_WAY[:1], 0.5).gives(math.log(2)),
                call(_FAN, _ONE_WAY, _ONE_WAY[:2], 0.5).gives(math.log(5)),
                call(_FAN, _ONE_WAY, _EMPTY, 0.1).gives(math.log(3)),
            ],
        ),
        Test(
            "knows orthogonal candidates",
            "T1",
            [_orthogonal(1, 1, 0.5), _orthogonal(2, 0, 0.5), _orthogonal(2, 3, 0.5), _orthogonal(3, 1, 2.0)],
        ),
        Test(
            "knows a query whose own key is the worse one",
            "T1",
            [
                call(*_WRONG_PLACE, 0.5).gives(math.log1p(math.exp(2))),
                call(*_WRONG_PLACE, 2.0).gives(math.log1p(math.exp(0.5))),
            ],
        ),
        Test(
            "does not change when vectors are made longer or shorter",
            "T2",
            _random_info_nce(),
            law=lambda f, q, k, n, t: (
                f(*(x * np.logspace(-2, 1, len(x))[:, None] for x in (q, k, n)), t),
                f(q, k, n, t),
                1.0,
            ),
        ),
        Test(
            "does not change when space is rotated",
            "T2",
            _random_info_nce(),
            law=lambda f, q, k, n, t: (f(*(x @ _rotation(x.shape[1]) for x in (q, k, n)), t), f(q, k, n, t), 1.0),
        ),
        Test(
            "does not change when the pairs, or the rows of queue, change places",
            "T2",
            _random_info_nce(),
            law=lambda f, q, k, n, t: (f(q[::-1].copy(), k[::-1].copy(), n[::-1].copy(), t), f(q, k, n, t), 1.0),
        ),
        Test("asks each query by itself: other keys are rivals like any", "T2", _random_info_nce(), law=_stands_alone),
        Test("grows with each further candidate", "T2", _random_info_nce(), law=_one_more),
        Test(
            "survives scores of ±1000",
            "T4",
            [
                call(*(x.astype(np.float32) for x in _WRONG_PLACE), 0.005).gives(200.0),
                call(*_WRONG_PLACE, 0.001).gives(1000.0),
                call(_AXES[:2], _AXES[:2], _AXES[2:], 0.001).gives(0.0, scale=1.0),
            ],
        ),
        Test(
            "survives a query all of whose scores are low",
            "T4",
            [_lonely(np.float32, 0.005), _lonely(np.float64, 0.001)],
        ),
    ],
    mistakes=[
        Mistake(
            "wrong-axis",
            "takes the softmax over the queries, not over the candidates",
            _wrong_axis,
            (
                "With all candidates equal you do not return the log of their number.",
                "Each query must have probabilities that sum to 1. Which axis do you sum over?",
                "Row i belongs to query i: sum over its entries, which are the candidates.",
            ),
        ),
        Mistake(
            "roles-exchanged",
            "asks for each key which query belongs to it",
            lambda queries, keys, queue, temperature: _of_scores(_scores(keys, queries, queue, temperature), queries),
            (
                "One query by itself has another loss than the formula gives it.",
                "Who asks, and who answers? The queue is compared with the queries.",
                "The first factor of the score matrix is queries, the second is keys and queue.",
            ),
        ),
        Mistake(
            "symmetric",
            "takes the mean of both directions, query to key and key to query",
            _symmetric,
            (
                "With all candidates equal you do not return the log of their number.",
                "How many losses do you average: N or 2N?",
                "CLIP averages both directions. Here only the queries ask.",
            ),
        ),
        Mistake(
            "queries-too",
            "takes the other queries for candidates too, as NT-Xent does",
            _queries_too,
            (
                "With all candidates equal you do not return the log of their number.",
                "How many candidates has a query? N keys and M rows of queue.",
                "A query is compared with keys and the queue. Other queries are no candidates here.",
            ),
        ),
        Mistake(
            "queue-missing",
            "leaves the queue out",
            lambda queries, keys, queue, temperature: _of_scores(
                _scores(queries, keys, queue[:0], temperature), queries
            ),
            (
                "Your loss does not change when the queue grows.",
                "Count the candidates: N + M.",
                "The rows of queue stand beside the keys in every denominator.",
            ),
        ),
        Mistake(
            "own-key-only",
            "compares a query with its own key and the queue, not with the other keys",
            _own_key_only,
            (
                "With an empty queue your loss is zero, whatever the keys are.",
                "Count the candidates: N + M. You have 1 + M.",
                "MoCo does this. Here the keys of the other queries are candidates too.",
            ),
        ),
        Mistake(
            "positive-missing",
            "leaves the own key out of the denominator",
            _positive_missing,
            (
                "With all candidates equal you return log(N + M − 1), and the loss can be negative.",
                "A probability needs its own term in the denominator too.",
                "Sum over all candidates, the right one among them.",
            ),
        ),
        Mistake(
            "positive-twice",
            "counts the own key twice in the denominator",
            _positive_twice,
            (
                "With one candidate the loss must be zero. Yours is log 2.",
                "The own key is one of the N keys already.",
                "Do not put it in front of all keys once more.",
            ),
        ),
        Mistake(
            "queue-first",
            "puts the queue before the keys, and still looks for key i in column i",
            _queue_first,
            (
                "All is right while the queue is empty.",
                "In which column does the own key stand?",
                "Put the keys first, or add M to the index.",
            ),
        ),
        Mistake(
            "not-normalised",
            "does not normalise",
            _plain,
            (
                "Making a vector longer changes your loss.",
                "A cosine is the inner product of vectors of length 1.",
                "Divide each row by its own length, in all three arrays.",
            ),
            variants=(lambda *args: _plain(*args, unit_queries=True),),
        ),
        Mistake(
            "queue-not-normalised",
            "normalises queries and keys, and forgets the queue",
            lambda *args: _plain(*args, unit_queries=True, unit_keys=True),
            (
                "Making a vector of the queue longer changes your loss.",
                "Which of the three arrays have rows of length 1?",
                "Divide the rows of queue by their lengths too.",
            ),
        ),
        Mistake(
            "columns-normalised",
            "normalises columns instead of rows",
            _by_column,
            (
                "Making a vector longer changes your loss.",
                "Look at the axis of the norm.",
                "Each row is one vector: its own length is divided out.",
            ),
        ),
        Mistake(
            "temperature-multiplied",
            "multiplies by the temperature",
            lambda queries, keys, queue, temperature: _of_scores(
                _scores(queries, keys, queue, 1 / temperature), queries
            ),
            (
                "A smaller temperature makes your loss on orthogonal pairs larger. It must fall.",
                "Where does temperature stand in a score?",
                "A score is the cosine divided by it.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "ignores the temperature",
            lambda queries, keys, queue, temperature: _of_scores(_scores(queries, keys, queue, 1.0), queries),
            (
                "Your loss is the same for every temperature.",
                "Where does temperature stand in your code?",
                "A score is the cosine divided by it.",
            ),
        ),
        Mistake(
            "temperature-in-denominator-only",
            "divides the scores in the denominator by the temperature, and not the one of the own key",
            lambda *args: (_lse(_scores(*args)) - args[3] * np.diag(_scores(*args))).mean(),
            (
                "With one candidate the loss must be zero; yours is not, except at temperature 1.",
                "Compare the score of the own key in the numerator with the same one in the denominator.",
                "It is one number, used twice: divide before you use it.",
            ),
        ),
        Mistake(
            "minus-forgotten",
            "returns the log-probability and not its negative",
            lambda *args: -_of_scores(_scores(*args), args[0]),
            (
                "Your loss is negative.",
                "The logarithm of a probability is at most 0.",
                "The loss is minus the logarithm.",
            ),
        ),
        Mistake(
            "summed",
            "sums over the queries",
            lambda *args: _of_scores(_scores(*args), args[0]) * len(args[0]),
            (
                "With N equal queries your loss is N times too large.",
                "Sum or mean?",
                "Divide by the number of queries.",
            ),
        ),
        Mistake(
            "mean-over-candidates",
            "divides the sum in the denominator by the number of candidates",
            _negatives_mean,
            (
                "With all candidates equal you return 0.",
                "Is the denominator of a softmax a sum or a mean?",
                "A sum: then the probabilities of the candidates add up to 1.",
            ),
        ),
        Mistake(
            "log-of-the-mean",
            "takes the mean of the probabilities and then the logarithm",
            lambda *args: -np.log(_probabilities(*args).mean()),
            (
                "Your loss is too small as soon as the queries differ.",
                "Which comes first: the logarithm or the mean?",
                "Each query has a loss of its own; the mean is over these.",
            ),
        ),
        Mistake(
            "eps-in-the-logarithm",
            "adds a small constant inside the logarithm",
            lambda *args: -np.log(_probabilities(*args) + 1e-8).mean(),
            (
                "Your loss cannot exceed 18, where the right answer is 1000.",
                "Look for an eps. It hides just the queries that are worst.",
                "Stay in logarithms: log-sum-exp minus the score of the own key.",
            ),
            variants=tuple(lambda *args, e=e: -np.log(_probabilities(*args) + e).mean() for e in (1e-6, 1e-10, 1e-12)),
        ),
        Mistake(
            "base-two",
            "takes the logarithm to base 2",
            lambda *args: _of_scores(_scores(*args), args[0]) / math.log(2),
            (
                "Your loss is 1.4427 times too large. That is 1 / log 2.",
                "Which logarithm do you use?",
                "The natural one.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials of the scores as they are",
            _naive,
            (
                "At temperature 0.001 you return inf or nan.",
                "exp of 1000 is too large for float64, and exp of 200 for float32.",
                "Take the largest score of the row away before exp, and add it again after log.",
            ),
        ),
        Mistake(
            "log-of-probability",
            "takes the log of a probability that was rounded to 0",
            _log_of_probability,
            (
                "At temperature 0.001 you return inf: the probability of the right key is below the smallest number.",
                "You take each row's own maximum, and that is right. But then you divide, and only then take the log.",
                "Stay with logarithms: log p = score − log Σ exp. The quotient need not be made.",
            ),
        ),
        Mistake(
            "one-maximum",
            "takes the largest score of the whole matrix away from every row",
            _one_maximum,
            (
                "It fails where all scores of one query are far below those of another.",
                "Whose maximum do you take away?",
                "Each row needs its own maximum; keepdims=True keeps the shape.",
            ),
        ),
        Mistake(
            "in-place",
            "normalises the arrays that it was given",
            _in_place,
            (
                "After the call queries is not what it was.",
                "Look for /= or for an assignment to queries[...].",
                "Make new arrays: x = x / length.",
            ),
        ),
    ],
    advice="Write down the score matrix of the smallest failing input, N rows and N + M columns, and mark the right "
    "column "
    "of each row.",
)

# --------------------------------------------------------------------------------- mutual information between Gaussians


def _information(dimensions, rho):
    return -0.5 * dimensions * math.log1p(-rho * rho)


def _critic(x, y, rho):
    """log p(y|x) / p(y), summed over the coordinates."""
    variance = 1 - rho * rho
    return (-0.5 * math.log(variance) - (y - rho * x) ** 2 / (2 * variance) + y * y / 2).sum(-1)


def _all_scores(x, y, negatives, rho, critic=_critic):
    """(N, K): the right partner first."""
    return np.concatenate([critic(x, y, rho)[:, None], critic(x[:, None], negatives, rho)], axis=1)


def _ranked(scores):
    return (_lse(scores) - scores[:, 0]).mean()


def _mi(x, y, negatives, rho, critic=_critic, information=_information):
    scores = _all_scores(x, y, negatives, rho, critic)
    return information(x.shape[1], rho), math.log(scores.shape[1]) - _ranked(scores)


def _instead(estimate):
    """A wrong version: the right information, and `estimate(scores)` in place of the estimate."""
    return lambda x, y, negatives, rho: (_information(x.shape[1], rho), estimate(_all_scores(x, y, negatives, rho)))


def _mi_others_only(scores):
    return math.log(scores.shape[1]) - (_lse(scores[:, 1:]) - scores[:, 0]).mean()


def _mi_naive(scores):
    e = np.exp(scores)
    return math.log(scores.shape[1]) + np.log(e[:, 0] / e.sum(1)).mean()


def _conditional(x, y, rho):
    return _critic(x, y, rho) - (y * y).sum(-1) / 2


def _deviation_for_variance(x, y, rho):
    deviation = math.sqrt(1 - rho * rho)
    return (-0.5 * math.log(deviation) - (y - rho * x) ** 2 / (2 * deviation) + y * y / 2).sum(-1)


def _mi_pooled(x, y, negatives, rho):
    pool = np.broadcast_to(negatives.reshape(1, -1, x.shape[1]), (len(x), negatives[..., 0].size, x.shape[1]))
    return _mi(x, y, pool, rho)


_HALF = math.sqrt(0.5)  # a correlation with ρ² = ½, so that ρ² / (1 − ρ²) = 1


def _points(*rows):
    return np.array(rows, float).reshape(-1, 1)


def _random_mi(*, rho=(0.5, -0.8, 0.3, 0.9)):
    sizes = (1, 1, 1), (2, 1, 3), (3, 2, 4), (5, 3, 7)  # N, D, K − 1
    return [
        call(draw(n, d, scale=1.0), draw(n, d, scale=1.0), draw(n, k, d, scale=1.0), r)
        for (n, d, k), r in zip(sizes, rho)
    ]


def _below_ceiling(f, x, y, negatives, rho):
    estimate, ceiling = float(f(x, y, negatives, rho)[1]), math.log(negatives.shape[1] + 1)
    if not estimate <= ceiling + 1e-12:
        raise Failed(f"{estimate:.4g}", f"at most log K = {ceiling:.4g}")


def _estimates(change):
    """The law that a change of the question leaves the estimate as it is."""
    return lambda f, x, y, negatives, rho: (
        np.asarray(f(*change(x, y, negatives), rho)[1]),
        np.asarray(f(x, y, negatives, rho)[1]),
        1.0,
    )


gaussian_mi = Exercise(
    name="gaussian_mi",
    notebook="06",
    signature="f(x, y, negatives, rho) -> (information, estimate)",
    statement="""The information between two Gaussians, and what InfoNCE with the best critic shows of it.

    x and y are D-dimensional standard normal vectors; coordinate by coordinate they have correlation rho
    (−1 < rho < 1), and different coordinates are independent. You are given N samples: x and y have shape (N, D), and
    row i of both belongs together. negatives has shape (N, K − 1, D): for each x the K − 1 vectors that were drawn
    independently of it, from the distribution of y; K ≥ 2. Return two numbers in nats (natural logarithms):
    information, the exact I(x; y), which does not depend on the samples; and estimate = log K − L, where L is the mean
    over the samples of the ranking loss: −log softmax over the K candidates y[i], negatives[i] at y[i], scored by the
    best critic log p(y | x) / p(y).
    """,
    tests=[
        Test(
            "returns two finite numbers",
            "T0",
            _random_mi(),
            law=lambda f, *args: (np.isfinite(np.array(f(*args))), np.array([True, True])),
        ),
        Test(
            "knows the information",
            "T1",
            [
                call(_points(0), _points(0), np.zeros((1, 1, 1)), 0.6).gives(-math.log(0.8)),
                call(_points(1, 2), _points(2, 1), np.ones((2, 3, 1)), -0.6).gives(-math.log(0.8)),
                call(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3, 3)), _HALF).gives(1.5 * math.log(2)),
            ],
            law=lambda f, *args: (np.asarray(f(*args)[0]), _information(args[0].shape[1], args[3])),
        ),
        Test(
            "knows that independent vectors share nothing",
            "T1",
            [
                call(draw(2, 1), draw(2, 1), draw(2, 1, 1), 0.0).gives((0.0, 0.0), scale=1.0),
                call(draw(3, 2), draw(3, 2), draw(3, 4, 2), 0.0).gives((0.0, 0.0), scale=1.0),
            ],
        ),
        Test(
            "knows two candidates at x = 0",
            "T1",
            [
                call(_points(0), _points(0), np.full((1, 1, 1), a), _HALF).gives(
                    (0.5 * math.log(2), math.log(2) - math.log1p(math.exp(-a * a / 2)))
                )
                for a in (1.0, 2.0)
            ]
            + [
                call(_points(0, 0), _points(0, 1), np.array([[[1.0]], [[2.0]]]), _HALF).gives(
                    (0.5 * math.log(2), math.log(2) - (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1.5))) / 2)
                ),
                call(np.zeros((1, 3)), np.zeros((1, 3)), np.ones((1, 1, 3)), _HALF).gives(
                    (1.5 * math.log(2), math.log(2) - math.log1p(math.exp(-1.5)))
                ),
            ],
        ),
        Test("never shows more than log K", "T2", _random_mi(rho=(0.9, -0.99, 0.99, 0.999)), law=_below_ceiling),
        Test(
            "does not change when space is rotated",
            "T2",
            _random_mi(),
            law=_estimates(lambda *parts: tuple(part @ _rotation(part.shape[-1]) for part in parts)),
        ),
        Test(
            "does not change when samples, or the negatives of a sample, change places",
            "T2",
            _random_mi(),
            law=_estimates(lambda x, y, n: (x[::-1].copy(), y[::-1].copy(), n[::-1, ::-1].copy())),
        ),
        Test(
            "does not change when every sample is there twice",
            "T2",
            _random_mi(),
            law=_estimates(lambda *parts: tuple(np.concatenate([part, part]) for part in parts)),
        ),
        Test(
            "does not change when y and the correlation change their signs",
            "T2",
            _random_mi(),
            law=lambda f, x, y, n, rho: (np.array(f(x, -y, -n, -rho)), np.array(f(x, y, n, rho))),
        ),
        Test(
            "survives log ratios in the thousands, and stops at log K",
            "T4",
            [
                call(30 * np.ones((1, 2)), 30 * np.ones((1, 2)), -30 * np.ones((1, 1, 2)), 0.9999).gives(
                    (_information(2, 0.9999), math.log(2))
                ),
                call(30 * np.ones((1, 2)), 30 * np.ones((1, 2)), -30 * np.ones((1, 3, 2)), 0.9999).gives(
                    (_information(2, 0.9999), math.log(4))
                ),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "positive-not-counted",
            "takes the logarithm of the number of negatives, K − 1",
            _instead(lambda s: math.log(s.shape[1] - 1) - _ranked(s)),
            (
                "With a critic that knows nothing you do not return 0.",
                "How many candidates are there if there are K − 1 negatives?",
                "The right one is a candidate too: the ceiling is log K.",
            ),
        ),
        Mistake(
            "positive-not-a-candidate",
            "leaves the right one out of the denominator",
            _instead(_mi_others_only),
            (
                "Your estimate exceeds log K, which is impossible.",
                "Count the terms of the denominator: K.",
                "The right one is among the candidates.",
            ),
        ),
        Mistake(
            "negatives-pooled",
            "uses the negatives of all samples for each sample",
            _mi_pooled,
            (
                "With two samples your estimate changes when one of them gets other negatives.",
                "Which candidates does sample i have?",
                "Only y[i] and the rows of negatives[i].",
            ),
        ),
        Mistake(
            "loss-returned",
            "returns the loss in place of log K − loss",
            _instead(_ranked),
            (
                "With rho = 0 you return log K. Independent vectors share 0 nats.",
                "A small loss means much information.",
                "The estimate is log K minus the loss.",
            ),
        ),
        Mistake(
            "log-k-missing",
            "forgets log K",
            _instead(lambda s: -_ranked(s)),
            (
                "Your estimate is negative.",
                "What is the loss of a critic that knows nothing? That must be the zero of the estimate.",
                "The estimate is log K minus the loss.",
            ),
        ),
        Mistake(
            "summed",
            "sums the loss over the samples",
            _instead(lambda s: math.log(s.shape[1]) - _ranked(s) * len(s)),
            (
                "Giving every sample twice changes your estimate.",
                "Sum or mean over the samples?",
                "Divide by N.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials of the log ratios as they are",
            _instead(_mi_naive),
            (
                "Where x and y are far apart you return inf or nan.",
                "A log ratio can be in the thousands.",
                "Take the largest one of each sample away before exp, and add it again after log.",
            ),
        ),
        Mistake(
            "not-a-ratio",
            "scores by log p(y | x), not divided by p(y)",
            lambda *args: _mi(*args, critic=_conditional),
            (
                "At rho = 0 your critic prefers some candidates, and nothing tells them apart.",
                "What is divided by what in the best critic?",
                "Subtract log p(y): a standard normal density.",
            ),
        ),
        Mistake(
            "inner-product",
            "scores by the inner product",
            lambda *args: _mi(*args, critic=lambda x, y, rho: (x * y).sum(-1)),
            (
                "At rho = 0 your critic prefers some candidates, and nothing tells them apart.",
                "Does rho stand in your critic?",
                "Write down both densities and take the difference of their logarithms.",
            ),
            variants=(lambda *args: _mi(*args, critic=lambda x, y, rho: rho * (x * y).sum(-1)),),
        ),
        Mistake(
            "deviation-for-variance",
            "uses the standard deviation of y given x where the variance belongs",
            lambda *args: _mi(*args, critic=_deviation_for_variance),
            (
                "At x = 0 with two candidates your estimate is off, and at rho = 0 it is right.",
                "What is the variance of y given x?",
                "It is 1 − rho². In the exponent a square is divided by twice the variance.",
            ),
        ),
        Mistake(
            "mean-over-coordinates",
            "takes the mean of the coordinates of the log ratio",
            lambda *args: _mi(*args, critic=lambda x, y, rho: _critic(x, y, rho) / x.shape[-1]),
            (
                "With one coordinate all is right.",
                "The density of independent coordinates is a product. What is its logarithm?",
                "Sum over the coordinates.",
            ),
        ),
        Mistake(
            "one-coordinate",
            "gives the information of one coordinate",
            lambda *args: _mi(*args, information=lambda d, rho: _information(1, rho)),
            (
                "Your information does not grow with the number of coordinates.",
                "What do independent coordinates share together?",
                "Informations of independent coordinates add up.",
            ),
        ),
        Mistake(
            "half-forgotten",
            "forgets the ½ of the information",
            lambda *args: _mi(*args, information=lambda d, rho: 2 * _information(d, rho)),
            (
                "Your information is twice the right one.",
                "Look at the factor before the logarithm.",
                "A standard deviation is the square root of a variance: that gives the factor.",
            ),
        ),
        Mistake(
            "bits",
            "gives the information in bits",
            lambda *args: _mi(*args, information=lambda d, rho: _information(d, rho) / math.log(2)),
            (
                "Your information is 1.4427 times the right one. That is 1 / log 2.",
                "Which logarithm do you use?",
                "The natural one.",
            ),
        ),
        Mistake(
            "negative-information",
            "gives the information with the wrong sign",
            lambda *args: _mi(*args, information=lambda d, rho: -_information(d, rho)),
            (
                "Your information is negative.",
                "1 − rho² is below 1. What is the sign of its logarithm?",
                "There is a minus in front.",
            ),
        ),
        Mistake(
            "square-forgotten",
            "uses |rho| where rho² belongs in the information",
            lambda *args: _mi(*args, information=lambda d, rho: -0.5 * d * math.log(1 - abs(rho))),
            (
                "At rho = 0.6 the information of one coordinate is −log 0.8. Yours is larger.",
                "Does rho enter the information squared?",
                "What is left of the variance of y when x is known is 1 − rho².",
            ),
        ),
    ],
    advice="Write the two densities at x = 0 first: y given x is normal with mean rho x and variance 1 − rho².",
)

# ----------------------------------------------------------------------------------- three readings of "cross-entropy"


def _softplus(x):
    return np.logaddexp(0.0, x)


def _two(s):
    return _softplus(s[1] - s[0])


def _binary(s):
    return _softplus(-s[0]) + _softplus(s[1:]).sum()


def _categorical(s):
    return _lse(s) - s[0]


def _readings(scores, temperature, two=_two, binary=_binary, categorical=_categorical):
    s = np.asarray(scores, float) / temperature
    return two(s), binary(s), categorical(s)


def _but(**changed):
    return lambda scores, temperature: _readings(scores, temperature, **changed)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _naive_readings(scores, temperature):
    s = scores / temperature
    e = np.exp(s)
    two, binary = -np.log(_sigmoid(s[0] - s[1])), -np.log(_sigmoid(s[0])) - np.log(1 - _sigmoid(s[1:])).sum()
    return two, binary, -np.log(e[0] / e.sum())


_LOG3 = math.log(3)


def _random_readings():
    return [call(draw(k, scale=1.0), t) for k, t in ((2, 0.5), (3, 1.0), (5, 0.2), (7, 3.0))]


def _shifts(f, scores, temperature):
    here, there = (np.array(f(x, temperature), float) for x in (scores, scores + 2 * temperature))
    for place, name in ((0, "two"), (2, "categorical")):
        if abs(there[place] - here[place]) > 1e-9 * max(1, abs(here[place])):
            raise Failed(f"{name} is {here[place]:.6g}, shifted {there[place]:.6g}", f"{name} stays as it is")
    if abs(there[1] - here[1]) < 1e-9 * max(1, abs(here[1])):
        raise Failed(f"binary is {here[1]:.6g} both times", "binary changes")


def _in_order(f, scores, temperature):
    two, binary, categorical = np.array(f(scores, temperature), float)
    if not (0 < two <= categorical * (1 + 1e-12) and categorical < binary):
        raise Failed(f"{two:.4g}, {binary:.4g}, {categorical:.4g}", "0 < two ≤ categorical < binary")


cross_entropy_readings = Exercise(
    name="cross_entropy_readings",
    notebook="06",
    signature="f(scores, temperature) -> (two, binary, categorical)",
    statement="""Three losses of one anchor that are all called cross-entropy.

    scores has shape (K,), K ≥ 2: similarities of the anchor with K candidates. Entry 0 is the positive, the others are
    negatives. First divide them by temperature. Then return three numbers: two, for the positive and the FIRST negative
    alone: the cross-entropy of the yes/no question "is it the positive?", whose logit is the difference of the two
    scores; binary, the SUM over all K candidates of the cross-entropies of K separate yes/no questions "is this one
    data?", whose logit is the score itself; categorical, the cross-entropy of one question with K answers. Natural
    logarithms. Scores may be as large as ±800.
    """,
    tests=[
        Test(
            "returns three finite numbers",
            "T0",
            _random_readings(),
            law=lambda f, *args: (np.isfinite(np.array(f(*args))), np.array([True] * 3)),
        ),
        Test(
            "knows scores of zero",
            "T1",
            [
                call(np.zeros(k), t).gives((math.log(2), k * math.log(2), math.log(k)))
                for k, t in ((2, 1.0), (3, 1.0), (5, 0.5))
            ],
        ),
        Test(
            "knows a positive with three times the odds",
            "T1",
            [
                call(np.array([_LOG3, 0.0]), 1.0).gives((math.log(4 / 3), math.log(8 / 3), math.log(4 / 3))),
                call(np.array([0.5 * _LOG3, 0.0, 0.0]), 0.5).gives(
                    (math.log(4 / 3), math.log(16 / 3), math.log(5 / 3))
                ),
                call(np.array([0.0, _LOG3, 0.0]), 1.0).gives((math.log(4), math.log(16), math.log(5))),
                call(np.array([0.0, 0.0, 2 * _LOG3]), 2.0).gives((math.log(2), math.log(16), math.log(5))),
            ],
        ),
        Test(
            "has two equal to categorical for K = 2",
            "T2",
            [call(draw(2, scale=s), t) for s, t in ((1.0, 1.0), (1.0, 0.3), (4.0, 2.0))],
            law=lambda f, scores, t: (lambda a: (np.asarray(a[0]), np.asarray(a[2])))(f(scores, t)),
        ),
        Test("changes binary alone when all scores are shifted", "T2", _random_readings(), law=_shifts),
        Test("has 0 < two ≤ categorical < binary", "T2", _random_readings(), law=_in_order),
        Test(
            "depends on scores / temperature alone",
            "T2",
            _random_readings(),
            law=lambda f, scores, t: (np.array(f(4 * scores, 4 * t)), np.array(f(scores, t))),
        ),
        Test(
            "survives scores of ±800",
            "T4",
            [
                call(np.array([-800.0, 0.0]), 1.0).gives((800.0, 800.0 + math.log(2), 800.0)),
                call(np.array([-4.0, 4.0, 4.0]), 0.005).gives((1600.0, 2400.0, 1600.0 + math.log(2))),
                call(np.array([800.0, -800.0]), 1.0).gives((0.0, 0.0, 0.0), scale=1.0),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "binary-mean",
            "takes the mean of the yes/no questions",
            _but(binary=lambda s: _binary(s) / len(s)),
            (
                "Your binary loss is K times too small.",
                "Sum or mean over the candidates?",
                "Each candidate is a question of its own; their losses add up.",
            ),
        ),
        Mistake(
            "negatives-as-data",
            "labels every candidate as data",
            _but(binary=lambda s: _softplus(-s).sum()),
            (
                "Your binary loss falls when a negative scores higher.",
                "What is the right answer for a negative: yes or no?",
                "For a negative it is −log(1 − σ(s)), which is softplus(s).",
            ),
        ),
        Mistake(
            "labels-exchanged",
            "labels the positive as noise and the negatives as data",
            _but(binary=lambda s: _softplus(s[0]) + _softplus(-s[1:]).sum()),
            (
                "Your binary loss grows when the positive scores higher.",
                "Which sign does the score have inside softplus?",
                "A yes costs softplus(−s), a no costs softplus(s).",
            ),
        ),
        Mistake(
            "one-negative",
            "asks about the positive and the first negative alone",
            _but(binary=lambda s: _softplus(-s[0]) + _softplus(s[1])),
            (
                "Your binary loss does not look at all candidates.",
                "How many yes/no questions are there?",
                "One for each of the K candidates.",
            ),
        ),
        Mistake(
            "negatives-forgotten",
            "asks about the positive alone",
            _but(binary=lambda s: _softplus(-s[0])),
            (
                "Your binary loss does not change with the negatives: a score that is large everywhere would be best.",
                "How many yes/no questions are there?",
                "One for each of the K candidates.",
            ),
        ),
        Mistake(
            "difference-as-binary",
            "sums the losses of the differences with each negative",
            _but(binary=lambda s: _softplus(s[1:] - s[0]).sum()),
            (
                "Shifting all scores leaves your binary loss as it was. It must change.",
                "Whose logit is a difference, and whose is a score?",
                "In binary, each question sees one score and nothing else.",
            ),
        ),
        Mistake(
            "positive-missing",
            "leaves the positive out of the denominator of categorical",
            _but(categorical=lambda s: _lse(s[1:]) - s[0]),
            (
                "With K equal scores your categorical loss is log(K − 1).",
                "How many answers does the question have?",
                "The positive is one of them.",
            ),
        ),
        Mistake(
            "pairwise-sum",
            "sums the two-candidate loss over the negatives and calls it categorical",
            _but(categorical=lambda s: _softplus(s[1:] - s[0]).sum()),
            (
                "For K = 2 all is right. With three equal scores your categorical loss is 2 log 2, and not log 3.",
                "Several negatives in one question: are their losses added, or their exponentials?",
                "The exponentials are added, and then one logarithm is taken.",
            ),
        ),
        Mistake(
            "score-for-difference",
            "takes the positive's score for the logit of two",
            _but(two=lambda s: _softplus(-s[0])),
            (
                "Your two does not change with the first negative.",
                "What is the logit of the question about two candidates?",
                "The difference of their scores.",
            ),
        ),
        Mistake(
            "difference-reversed",
            "has the difference the wrong way round",
            _but(two=lambda s: _softplus(s[0] - s[1])),
            (
                "Your two grows when the positive scores higher.",
                "Positive minus negative, or negative minus positive?",
                "−log σ(d) is softplus(−d).",
            ),
        ),
        Mistake(
            "hardest-negative",
            "takes the highest negative in place of the first",
            _but(two=lambda s: _softplus(s[1:].max() - s[0])),
            (
                "With two candidates all is right.",
                "Which negative does the statement name?",
                "The first one: entry 1.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "ignores the temperature",
            lambda scores, temperature: _readings(scores, 1.0),
            (
                "Your losses are the same for every temperature.",
                "Where does temperature stand in your code?",
                "Divide all scores by it first.",
            ),
        ),
        Mistake(
            "temperature-multiplied",
            "multiplies by the temperature",
            lambda scores, temperature: _readings(scores, 1 / temperature),
            (
                "A smaller temperature makes your losses flatter. It must make them steeper.",
                "Divided or multiplied?",
                "Divide all scores by it first.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials of the scores as they are",
            _naive_readings,
            (
                "At scores of ±800 you return inf or nan.",
                "The sigmoid of −800 is 0 in float64, and its logarithm is −inf.",
                "−log σ(x) is softplus(−x), and NumPy's logaddexp(0, −x) computes that without overflow.",
            ),
        ),
    ],
    advice="Take K = 2 and scores of zero: the three numbers are log 2, 2 log 2 and log 2. Then change one score.",
)
