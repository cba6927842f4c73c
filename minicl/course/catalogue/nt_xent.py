"""Notebook 07: the value of NT-Xent, and its gradient by hand.

The value is judged by known answers and by what must not change it, and needs no second implementation. The gradient
is judged by a complex step of the value, written here as a comparison of every candidate with the partner.
"""

import functools
import math

import numpy as np

from .. import numeric
from ..answers import Failed
from ..exercise import Exercise, Mistake, Remembers, Test, call, draw, speed

# ------------------------------------------------------------------------------------------------- where it is known


def _known(z1, z2, temperature, answer, dtype=np.float64, note=""):
    """A call with its closed value; near zero the unit of rounding is that of a logit."""
    z1, z2 = np.array(z1, dtype), np.array(z2, dtype)
    return call(z1, z2, temperature).gives(answer, scale=max(answer, 0.1 / temperature)).noting(note)


def _collapsed(n, t, **kind):
    ones = np.ones((n, 2))
    return _known(ones, ones, t, math.log(2 * n - 1), note="All embeddings are equal.", **kind)


def _orthogonal(n, t, **kind):
    """Pairs aligned, images orthogonal."""
    answer = math.log1p((2 * n - 2) * math.exp(-1 / t))
    return _known(np.eye(n), np.eye(n), t, answer, note="Pairs are aligned, and images are orthogonal.", **kind)


def _simplex(t, **kind):
    z = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    answer = math.log1p(6 * math.exp(-4 / (3 * t)))
    return _known(z, z, t, answer, note="Pairs are aligned, and images are corners of a regular simplex.", **kind)


def _polygon(n, t, **kind):
    angles = 2 * np.pi * np.arange(n) / n
    z = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    answer = math.log1p(2 * sum(math.exp((math.cos(2 * math.pi * m / n) - 1) / t) for m in range(1, n)))
    return _known(z, z, t, answer, note="Pairs are aligned, and images are corners of a regular polygon.", **kind)


def _lse(x, y):
    return max(x, y) + math.log1p(math.exp(-abs(x - y)))


def _broken(n, t, **kind):
    """Orthonormal pairs, and the partner of image 0 on the other side."""
    other = np.eye(n)
    other[0, 0] = -1
    rest = math.log(2 * n - 2)
    answer = (2 * (_lse(-1 / t, rest) + 1 / t) + (2 * n - 2) * (_lse(1 / t, rest) - 1 / t)) / (2 * n)
    return _known(np.eye(n), other, t, answer, note="Orthonormal pairs, and one of them is broken.", **kind)


def _apart(n, t, **kind):
    """2N vectors at right angles: no candidate is better than another."""
    z1, z2 = np.split(np.eye(2 * n), 2)
    return _known(z1, z2, t, math.log(2 * n - 1), note="All views are orthogonal, partners too.", **kind)


def _at_an_angle(n, t, **kind):
    """Each pair in a plane of its own, with cosine 3/5."""
    first, second = np.split(np.eye(2 * n), 2)
    answer = math.log1p((2 * n - 2) * math.exp(-0.6 / t))
    return _known(first, 3 * first + 4 * second, t, answer, note="Partners have cosine 3/5, all others 0.", **kind)


def _by_view(n, t, **kind):
    """All first views alike, all second views alike."""
    z1, z2 = np.tile([1, 0], (n, 1)), np.tile([0, 1], (n, 1))
    answer = 1 / t + math.log(n - 1 + n * math.exp(-1 / t))
    return _known(z1, z2, t, answer, note="All first views are alike, and all second views are alike.", **kind)


def _rolled(n, t, **kind):
    """Orthonormal images whose partners were exchanged."""
    answer = 1 / t + math.log1p((2 * n - 2) * math.exp(-1 / t))
    return _known(np.eye(n), np.roll(np.eye(n), 1, 0), t, answer, note="Partners of images were exchanged.", **kind)


def _crowded(t, **kind):
    """Two images of which three views coincide."""
    alike = math.log(2 + math.exp(-1 / t))
    lonely = 1 / t + math.log(2 + math.exp(-1 / t))
    answer = (2 * alike + lonely + math.log(3)) / 4
    return _known([[1, 0], [1, 0]], [[1, 0], [0, 1]], t, answer, note="Three of four views coincide.", **kind)


def _alone(d, t):
    return call(draw(1, d), draw(1, d), t).gives(0.0).noting("One image: its partner is the only candidate.")


def _unequal(t, **kind):
    """A pair with cosine 1 and a pair with cosine 9/41: the best logit of the second lies far below that of the first."""
    first, second = np.eye(3)[:2], np.array([[1.0, 0.0, 0.0], [0.0, 9.0, 40.0]])
    answer = np.mean([math.log1p(2 * math.exp(-1 / t)), math.log1p(2 * math.exp(-9 / 41 / t))])
    return _known(first, second, t, answer, note="One pair is equal, the other has cosine 9/41, all others 0.", **kind)


def _everywhere(t, **kind):
    """All configurations in which a row may lie far below the largest logit."""
    return [
        _orthogonal(2, t, **kind),
        _apart(2, t, **kind),
        _crowded(t, **kind),
        _broken(2, t, **kind),
        _by_view(2, t, **kind),
        _unequal(t, **kind),
    ]


def _zero_rows():
    """A zero row has u = 0, and so cosine 0 with everything."""
    z = np.eye(3)
    z[0] = 0
    answer = (2 * math.log(5) + 4 * math.log1p(4 * math.exp(-2))) / 6
    return [_known(z, z, 0.5, answer)]


# ------------------------------------------------------------------------------------------- what must not change it


def _random(scale=1.0, dtype=np.float64, temperatures=(0.5, 0.1, 2.0)):
    shapes = ((2, 3), (3, 2), (5, 7))
    return [
        call(draw(n, d, scale=scale, dtype=dtype), draw(n, d, scale=scale, dtype=dtype), t)
        for (n, d), t in zip(shapes, temperatures)
    ]


def _rotation(d):
    return np.linalg.qr(np.arange(1.0, d * d + 1).reshape(d, d) ** 0.5)[0]


def _embedding(d):
    """Orthonormal rows in a space with two more dimensions."""
    return _rotation(d + 2)[:d]


def _lengths(n):
    return np.logspace(-3, math.log10(50), n).reshape(-1, 1)


def _one_number(f, z1, z2, t):
    value = f(z1, z2, t)
    if np.shape(value) != ():
        raise Failed(f"shape {np.shape(value)}", "one number: the mean over all anchors")
    if not np.isfinite(value):
        raise Failed(value, "a finite number")


# ------------------------------------------------------------------------------------------ parts of the wrong versions


def _unit(z):
    return z / np.sqrt((z * z).sum(1, keepdims=True))


def _cosines(z1, z2):
    u = _unit(np.concatenate([z1, z2]))
    return u @ u.T


def _masked(scores, value=-np.inf):
    return np.where(np.eye(len(scores), dtype=bool), value, scores)


def _partner(n):
    return (np.arange(n) + n // 2) % n


def _row_lse(logits):
    top = logits.max(1, keepdims=True)
    return np.log(np.exp(logits - top).sum(1)) + top[:, 0]


def _at(scores, partner=None):
    """The entry of the partner in each row."""
    return scores[np.arange(len(scores)), _partner(len(scores)) if partner is None else partner]


def _losses(logits, partner=None):
    return _row_lse(logits) - _at(logits, partner)


def _right_losses(z1, z2, t):
    return _losses(_masked(_cosines(z1, z2)) / t)


def _of_vectors(z, t):
    return _losses(_masked(z @ z.T) / t).mean()


# ------------------------------------------------------------------------------------------------ wrong versions: value


def _without_partner(logits):
    """The logits of the negatives."""
    n = len(logits)
    negative = logits.copy()
    negative[np.arange(n), _partner(n)] = -np.inf
    return negative


def _v_label_shift(z1, z2, t):
    s = _cosines(z1, z2) / t
    n = len(s)
    rows = s[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return _losses(rows, _partner(n) - 1).mean()


def _v_wrong_max(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    e = np.exp(s - s.max(1))
    return -np.log(_at(e) / e.sum(1)).mean()


def _v_naive(z1, z2, t):
    e = np.exp(_masked(_cosines(z1, z2)) / t)
    return -np.log(_at(e) / e.sum(1)).mean()


def _v_naive_zeroed(z1, z2, t):
    s = _cosines(z1, z2) / t
    e = np.exp(s) * (1 - np.eye(len(s), dtype=s.dtype))
    return (np.log(e.sum(1)) - np.log(np.exp(_at(s)))).mean()


def _v_naive_sum(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    return (np.log(np.exp(s).sum(1)) - _at(s)).mean()


def _v_naive_loops(z1, z2, t):
    """math.exp, which raises where np.exp says inf; Python's numbers are float64, also for float32 rows."""
    s, total = (_cosines(z1, z2) / t).tolist(), 0.0
    for i, row in enumerate(s):
        others = sum(math.exp(x) for k, x in enumerate(row) if k != i)
        total += math.log(others) - row[(i + len(z1)) % len(s)]
    return total / len(s)


def _v_log_of_probability(z1, z2, t):
    logits = _masked(_cosines(z1, z2)) / t
    p = np.exp(logits - logits.max(1, keepdims=True))
    with np.errstate(divide="ignore"):
        return -np.log(_at(p / p.sum(1, keepdims=True))).mean()


def _v_global_max(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    e = np.exp(s - s.max())
    return (np.log(e.sum(1)) - _at(s) + s.max()).mean()


def _v_global_max_quotient(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    e = np.exp(s - s.max())
    return -np.log(_at(e) / e.sum(1)).mean()


def _v_largest_possible(z1, z2, t):
    s = (_masked(_cosines(z1, z2)) - 1) / t
    return (np.log(np.exp(s).sum(1)) - _at(s)).mean()


def _v_products(z1, z2, t):
    """Two mistakes of a beginner: no normalisation, and the exponential as it stands."""
    z = np.concatenate([z1, z2])
    e = np.exp(_masked(z @ z.T) / t)
    return -np.log(_at(e) / e.sum(1)).mean()


def _v_products_subtracted(z1, z2, t):
    z = np.concatenate([z1, z2])
    e = np.exp(z @ z.T / t)
    return -np.log(_at(e) / (e.sum(1) - np.diag(e))).mean()


def _v_subtracted(z1, z2, t):
    e = np.exp(_cosines(z1, z2) / t)
    return -np.log(_at(e) / (e.sum(1) - np.exp(1 / t))).mean()


def _v_shifted_and_subtracted(z1, z2, t):
    e = np.exp((_cosines(z1, z2) - 1) / t)
    return -np.log(_at(e) / (e.sum(1) - 1)).mean()


def _v_cross_view(z1, z2, t):
    s = _cosines(z1, z2)[: len(z1), len(z1) :] / t
    own = np.arange(len(s))
    return (_losses(s, own).mean() + _losses(s.T, own).mean()) / 2


def _v_one_direction(z1, z2, t):
    s = _cosines(z1, z2)[: len(z1), len(z1) :] / t
    return _losses(s, np.arange(len(s))).mean()


def _v_twice_in_sum(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    return _losses(np.concatenate([s, _at(s)[:, None]], 1), _partner(len(s))).mean()


def _v_mean_probability(z1, z2, t):
    return -np.log(np.exp(-_right_losses(z1, z2, t)).mean())


def _v_eps(z1, z2, t, eps):
    return -np.log(np.exp(-_right_losses(z1, z2, t)) + eps).mean()


def _v_softmax_twice(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    return _losses(np.exp(s - _row_lse(s)[:, None])).mean()


def _v_distance(z1, z2, t):
    u = _unit(np.concatenate([z1, z2]))
    d = np.sqrt(((u[:, None] - u) ** 2).sum(-1))
    return _losses(_masked(d) / t).mean()


def _v_in_place(z1, z2, t):
    z1 /= np.sqrt((z1 * z1).sum(1, keepdims=True))
    z2 /= np.sqrt((z2 * z2).sum(1, keepdims=True))
    return _right_losses(z1, z2, t).mean()


def _v_cached_mask(put):
    """put(scores, mask): the mask of the first batch is kept."""

    def make():
        first = []

        def loss(z1, z2, t):
            s = _cosines(z1, z2) / t
            if not first:
                first.append(np.eye(len(s), dtype=bool))
            return _losses(put(s, first[0])).mean()

        return loss

    return Remembers(make)


def _put_in(s, mask):
    s[mask] = -np.inf
    return s


def _v_coarse(z1, z2, t, dtype):
    return np.float64(_right_losses(z1.astype(dtype), z2.astype(dtype), dtype(t)).mean())


def _v_sum_to_n(z1, z2, t, interleaved):
    """The article's formula to the letter: the sum ends at N, the number of images."""
    z = np.stack([z1, z2], 1).reshape(-1, z1.shape[1]) if interleaved else np.concatenate([z1, z2])
    u, n = _unit(z), len(z)
    s = _masked(u @ u.T) / t
    partner = np.arange(n) ^ 1 if interleaved else _partner(n)
    return (np.log(np.exp(s[:, : n // 2]).sum(1)) - _at(s, partner)).mean()


def _v_whole_matrix(z1, z2, t):
    s = _masked(_cosines(z1, z2)) / t
    return (_row_lse(s.reshape(1, -1)) - _at(s)).mean()


nt_xent = Exercise(
    name="nt_xent",
    notebook="07",
    signature="f(z1, z2, temperature) -> loss",
    statement="""The NT-Xent loss of a batch: one number.

    z1 and z2 have shape (N, d): row i of both comes from image i. temperature is the number τ > 0. Each of the 2N rows
    is an anchor once. Its candidates are the other 2N − 1 rows of both views, never itself. The score of a candidate
    is its cosine with the anchor, divided by τ. The loss of an anchor is minus the log of the softmax, over its
    candidates, at its partner: the other view of the same image. Return the mean over the 2N anchors.

    Natural logarithm. No row is zero. z1 and z2 stay as they were. The result is right for float64, and in float32
    as good as float32 allows, down to τ = 0.001. Where a row is zero (no one asks for it here) its cosines are 0.
    """,
    tests=[
        Test("returns one finite number", "T0", _random()[:2], law=_one_number),
        Test("is 0 for a single image", "T1", [_alone(2, 0.5), _alone(3, 0.1)]),
        Test(
            "knows the collapse: all embeddings equal",
            "T1",
            [_collapsed(2, 0.5), _collapsed(3, 0.1), _collapsed(7, 2.0)],
        ),
        Test(
            "knows aligned pairs: orthogonal, simplex, polygon",
            "T1",
            [
                _orthogonal(2, 0.5),
                _orthogonal(3, 0.3),
                _simplex(0.2),
                _polygon(5, 0.4),
            ],
        ),
        Test(
            "knows pairs that are not aligned",
            "T1",
            [
                _apart(2, 0.5),
                _at_an_angle(3, 2.0),
                _rolled(3, 0.3),
                _by_view(3, 0.4),
            ],
        ),
        Test(
            "knows batches whose anchors have unequal losses",
            "T1",
            [_crowded(0.5), _crowded(2.0), _broken(2, 0.5), _broken(3, 0.2)],
        ),
        Test(
            "does not change when rows are made longer or shorter",
            "T2",
            _random()[:2],
            law=lambda f, a, b, t: (f(a * _lengths(len(a)), b * _lengths(len(b))[::-1], t), f(a, b, t)),
        ),
        Test(
            "does not change when space is rotated, or gets more dimensions",
            "T2",
            _random()[:2],
            law=lambda f, a, b, t: (f(a @ _embedding(a.shape[1]), b @ _embedding(a.shape[1]), t), f(a, b, t)),
        ),
        Test(
            "does not change when images change places",
            "T2",
            _random()[:2],
            law=lambda f, a, b, t: (f(np.roll(a, 1, 0), np.roll(b, 1, 0), t), f(a, b, t)),
        ),
        Test(
            "does not change when the views change places",
            "T2",
            _random()[:2],
            law=lambda f, a, b, t: (f(b, a, t), f(a, b, t)),
        ),
        Test("stays right at τ = 0.02 and τ = 0.001", "T4", [_apart(2, 0.02), *_everywhere(0.001)]),
        Test("stays right in float32 at τ = 0.005", "T4", _everywhere(0.005, dtype=np.float32)),
        Test("takes a zero row for one with cosine 0", "T4", _zero_rows(), required=False),
        Test(
            "survives rows of length 1e-200 and 1e200",
            "T4",
            [call(draw(3, 2), draw(3, 2), 0.5)],
            law=lambda f, a, b, t: (f(a * 1e-200, b * 1e200, t), f(a, b, t)),
            required=False,
        ),
        speed(
            "takes less than 25 times as long as the exponentials of its scores",
            call(draw(150, 16, scale=1.0), draw(150, 16, scale=1.0), 0.5),
            than=lambda a, b, t: np.exp(np.concatenate([a, b]) @ np.concatenate([a, b]).T / 100),
            ratio=25,
        ),
    ],
    mistakes=[
        Mistake(
            "self-not-masked",
            "keeps the anchor among its own candidates",
            lambda z1, z2, t: _losses(_cosines(z1, z2) / t).mean(),
            (
                "At collapse you return log(2N). Count the terms of one denominator: 2N, or 2N − 1?",
                "Look at the diagonal of the matrix of scores before the sum over k.",
                "The indicator [k ≠ i] takes one entry out of each row. A logit that must not count is −inf.",
            ),
        ),
        Mistake(
            "logit-zeroed",
            "masks the anchor by setting its logit to zero",
            lambda z1, z2, t: _losses(_masked(_cosines(z1, z2) / t, 0.0)).mean(),
            (
                "One image must give 0, and at τ = 2 you are wrong by more than rounding.",
                "Your masked entry still adds exp(0) = 1 to each denominator.",
                "A masked logit is −inf; a masked exponential is 0.",
            ),
        ),
        Mistake(
            "next-row",
            "takes the next row for the partner",
            lambda z1, z2, t: _losses(
                _masked(_cosines(z1, z2)) / t, (np.arange(2 * len(z1)) + 1) % (2 * len(z1))
            ).mean(),
            (
                "For aligned pairs your loss is far too high: the partner is not found.",
                "Print your index of partners `pos`, and `pos[pos]`: that must be 0, 1, 2, ...",
                "After stacking z1 over z2, how many rows lie between the two views of an image?",
            ),
        ),
        Mistake(
            "interleaved-index",
            "takes the partner's index from the interleaved order, while the views are stacked",
            lambda z1, z2, t: _losses(_masked(_cosines(z1, z2)) / t, np.arange(2 * len(z1)) ^ 1).mean(),
            (
                "For aligned pairs your loss is far too high, although pos[pos] is 0, 1, 2, ...",
                "There are two storage orders: views side by side (2k, 2k + 1), or view 1 over view 2. Which do you have?",
                "Make the index of partners fit the way in which you put z1 and z2 together.",
            ),
        ),
        Mistake(
            "partner-clipped",
            "takes the last row for the partner of every second view",
            lambda z1, z2, t: _losses(
                _masked(_cosines(z1, z2)) / t,
                np.where(
                    np.arange(2 * len(z1)) == 2 * len(z1) - 1,
                    0,
                    np.minimum(np.arange(2 * len(z1)) + len(z1), 2 * len(z1) - 1),
                ),
            ).mean(),
            (
                "Exchanging the two views changes your loss.",
                "Print your index of partners: the second half must be 0, 1, 2, ...",
                "Beyond the last row the count begins again: what does the remainder of a division do?",
            ),
        ),
        Mistake(
            "label-shift",
            "takes the wrong column for the partner after the diagonal was deleted",
            _v_label_shift,
            (
                "Half of your anchors have the wrong partner.",
                "Deleting entry i of row i moves some columns to the left, and others not.",
                "Only columns to the right of the diagonal move. On which side is the partner of a first view? Of a second?",
            ),
        ),
        Mistake(
            "not-normalised",
            "uses inner products of rows that were not normalised",
            lambda z1, z2, t: _of_vectors(np.concatenate([z1, z2]), t),
            (
                "Making a row longer changes your loss.",
                "What is the score of a row with itself? A cosine gives 1.",
                "Scale each row to length 1 before the product.",
            ),
            variants=(_v_products, _v_products_subtracted),
        ),
        Mistake(
            "columns-normalised",
            "normalises columns instead of rows",
            lambda z1, z2, t: _of_vectors(
                np.concatenate([z1, z2]) / np.sqrt((np.concatenate([z1, z2]) ** 2).sum(0)), t
            ),
            (
                "Rotating space changes your loss.",
                "Look at the axis of the norm: over which index is the sum?",
                "Each row is one embedding; its own length is divided out.",
            ),
            variants=(
                lambda z1, z2, t: _of_vectors(
                    np.concatenate([z1 / np.sqrt((z1**2).sum(0)), z2 / np.sqrt((z2**2).sum(0))]), t
                ),
            ),
        ),
        Mistake(
            "eps-added-to-norm",
            "adds a small constant to each norm",
            lambda z1, z2, t: _of_vectors(_eps_unit(z1, z2, 1e-3), t),
            (
                "Making a row shorter changes your loss a little.",
                "A constant that is added to a length biases short vectors most.",
                "Guard the division at zero alone: a maximum of the norm and a tiny number changes nothing elsewhere.",
            ),
            variants=tuple(
                functools.partial(lambda z1, z2, t, eps: _of_vectors(_eps_unit(z1, z2, eps), t), eps=eps)
                for eps in (1e-6, 1e-8)
            ),
        ),
        Mistake(
            "centred",
            "takes the mean of the batch away before it normalises",
            lambda z1, z2, t: _of_vectors(_unit(_centred(z1, z2)), t),
            (
                "Adding features or images changes what you return for others; at collapse you divide 0 by 0.",
                "Look for a mean over the batch.",
                "The score of two rows depends on these two rows alone.",
            ),
            variants=(
                lambda z1, z2, t: _of_vectors(_unit(_centred(z1, z2) / np.concatenate([z1, z2]).std(0)), t),
                lambda z1, z2, t: _of_vectors(
                    _unit(_centred(z1, z2) / np.sqrt(np.concatenate([z1, z2]).var(0) + 1e-5)), t
                ),
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest logit",
            _v_naive,
            (
                "At τ = 0.005 the largest logit is 200, and float32 ends at exp(88.7).",
                "Where is exp called, and how large can its argument be?",
                "A constant that is taken from all logits of a row cancels in the softmax. Choose it so that no exp is large.",
            ),
            variants=(_v_naive_zeroed, _v_naive_sum, _v_naive_loops),
        ),
        Mistake(
            "wrong-max-axis",
            "subtracts the maximum of row k from column k",
            _v_wrong_max,
            (
                "You are right where all rows have the same maximum, and wrong elsewhere.",
                "Row maxima of shape (2N,) are broadcast along the rows: entry (i, k) loses the maximum of row k.",
                "They must have shape (2N, 1).",
            ),
        ),
        Mistake(
            "global-max",
            "subtracts one maximum from all rows",
            _v_global_max,
            (
                "An anchor whose best logit lies 200 below the largest of the batch loses all its exponentials: log 0.",
                "Over which entries do you take the maximum?",
                "Each row has its own softmax, and needs its own maximum. It stands outside of the log again.",
            ),
            variants=(_v_global_max_quotient, _v_largest_possible),
        ),
        Mistake(
            "log-of-probability",
            "takes the log of a probability that was rounded to 0",
            _v_log_of_probability,
            (
                "At a small τ you return inf: the partner's probability is below the smallest number, and its log is −∞.",
                "You take each row's own maximum, and that is right. But then you divide, and only then take the log.",
                "Stay with logarithms: log p = logit − log Σ exp. The quotient need not be made.",
            ),
        ),
        Mistake(
            "self-subtracted",
            "sums over all rows and subtracts exp(1/τ)",
            _v_subtracted,
            (
                "You are right in exact arithmetic. At τ = 0.02 you subtract 5e21 from 5e21.",
                "Look for a minus between a sum of exponentials and one of its terms.",
                "Leave the term out before the sum.",
            ),
            variants=(_v_shifted_and_subtracted,),
        ),
        Mistake(
            "sum",
            "returns the sum over the anchors",
            lambda z1, z2, t: _right_losses(z1, z2, t).sum(),
            (
                "Your value is 2N times the right one.",
                "Look at the last line: sum or mean?",
                "The loss is the mean over the 2N anchors.",
            ),
        ),
        Mistake(
            "divided-by-n",
            "divides by the number of images instead of the number of anchors",
            lambda z1, z2, t: _right_losses(z1, z2, t).sum() / len(z1),
            (
                "Your value is twice the right one.",
                "By which count do you divide? (The official code of SimCLR returns this.)",
                "There are 2N anchors.",
            ),
        ),
        Mistake(
            "temperature-multiplied",
            "multiplies by the temperature",
            lambda z1, z2, t: _losses(_masked(_cosines(z1, z2)) * t).mean(),
            (
                "A lower temperature should make aligned pairs cheaper. Yours makes them dearer.",
                "What happens to a score on its way to a logit?",
                "A logit is s/τ: between −1/τ and 1/τ.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "ignores the temperature",
            lambda z1, z2, t: _losses(_masked(_cosines(z1, z2))).mean(),
            (
                "Your loss is the same at every temperature.",
                "Where does τ stand in your code?",
                "Every score is divided by it.",
            ),
        ),
        Mistake(
            "temperature-twice",
            "divides by the temperature twice",
            lambda z1, z2, t: _losses(_masked(_cosines(z1, z2)) / t / t).mean(),
            (
                "Your loss at τ = 0.5 is the right one at τ = 0.25.",
                "How often are the scores divided on their way?",
                "Once.",
            ),
        ),
        Mistake(
            "temperature-forgotten-at-partner",
            "does not divide the score of the partner by the temperature",
            lambda z1, z2, t: (_row_lse(_masked(_cosines(z1, z2)) / t) - _at(_cosines(z1, z2))).mean(),
            (
                "One image must give 0, and yours depends on τ.",
                "The loss is a difference of two terms. Is τ in both?",
                "The logit is s/τ for every candidate, the partner included.",
            ),
        ),
        Mistake(
            "one-view-anchors",
            "takes the rows of one view alone as anchors",
            lambda z1, z2, t: _right_losses(z1, z2, t)[: len(z1)].mean(),
            (
                "Exchanging the two views changes your loss: ℓ(i, j) is not ℓ(j, i).",
                "How many losses are in your mean?",
                "Both views of an image are anchors once.",
            ),
            variants=(lambda z1, z2, t: _right_losses(z1, z2, t)[len(z1) :].mean(),),
        ),
        Mistake(
            "cross-view-only",
            "compares views of different kind alone",
            _v_cross_view,
            (
                "At collapse you return log N: you have N candidates, and NT-Xent has 2N − 1.",
                "Which rows does a first view see? (This is the loss of CLIP.)",
                "The other first views are candidates too.",
            ),
            variants=(_v_one_direction,),
        ),
        Mistake(
            "partner-not-in-sum",
            "leaves the partner out of the denominator",
            lambda z1, z2, t: (
                _row_lse(_without_partner(_masked(_cosines(z1, z2)) / t)) - _at(_cosines(z1, z2) / t)
            ).mean(),
            (
                "Your loss can be negative. A minus log of a probability cannot.",
                "Count the terms of the denominator: 2N − 2, or 2N − 1? (This is the decoupled loss, DCL.)",
                "The softmax is over all candidates, and the partner is one of them.",
            ),
        ),
        Mistake(
            "partner-twice-in-sum",
            "counts the partner twice in the denominator",
            _v_twice_in_sum,
            (
                "One image must give 0. Yours gives log 2.",
                "Count how often the partner stands in the denominator.",
                "If the sum runs over all k ≠ i, the partner is in it already.",
            ),
        ),
        Mistake(
            "log-of-mean",
            "takes the mean of the probabilities before the logarithm",
            _v_mean_probability,
            (
                "You are right where all anchors have one loss, and too low elsewhere (Jensen).",
                "Which comes first, the mean or the logarithm?",
                "Each anchor has its own loss; the mean comes last.",
            ),
        ),
        Mistake(
            "eps-in-log",
            "adds a small constant inside the logarithm",
            functools.partial(_v_eps, eps=1e-6),
            (
                "Your loss of a hard anchor has a ceiling, and its gradient vanishes where it should be largest.",
                "Look for a constant inside the logarithm.",
                "log(exp(a) / Σ exp(b)) = a − log Σ exp(b): no probability has to be made, so none can be zero.",
            ),
            variants=tuple(functools.partial(_v_eps, eps=eps) for eps in (1e-8, 1e-12)),
        ),
        Mistake(
            "softmax-twice",
            "gives probabilities to a cross-entropy that takes a softmax itself",
            _v_softmax_twice,
            (
                "Your loss hardly falls when the pairs are aligned.",
                "What do you give to the cross-entropy: logits or probabilities?",
                "One softmax is enough.",
            ),
        ),
        Mistake(
            "sign",
            "has the wrong sign",
            lambda z1, z2, t: -_right_losses(z1, z2, t).mean(),
            (
                "Your loss is negative, and falls when pairs are pulled apart.",
                "Look at the minus in front of the logarithm.",
                "A probability below 1 has a negative logarithm.",
            ),
        ),
        Mistake(
            "log-base-2",
            "takes logarithms to base 2",
            lambda z1, z2, t: _right_losses(z1, z2, t).mean() / math.log(2),
            (
                "All your values are too large by the factor 1.4427.",
                "That is 1 / ln 2. Which logarithm do you use?",
                "The natural one belongs to exp.",
            ),
        ),
        Mistake(
            "rescaled-by-temperature",
            "multiplies the loss by the temperature, or by τ / 0.07",
            lambda z1, z2, t: _right_losses(z1, z2, t).mean() * t,
            (
                "At collapse the loss is log(2N − 1) at every temperature. Yours grows with τ.",
                "Look for a factor in front of the loss. (The code of SupContrast has one: τ / 0.07.)",
                "The temperature stands in the logits and nowhere else.",
            ),
            variants=(lambda z1, z2, t: _right_losses(z1, z2, t).mean() * t / 0.07,),
        ),
        Mistake(
            "distance",
            "uses the distance as if it were a similarity",
            _v_distance,
            (
                "Your loss falls when partners are exchanged.",
                "A similarity is large for near vectors. What is yours at equal ones?",
                "The statement asks for the cosine.",
            ),
        ),
        Mistake(
            "one-minus-cosine",
            "uses 1 − cosine as if it were a similarity",
            lambda z1, z2, t: _losses(_masked(1 - _cosines(z1, z2)) / t).mean(),
            (
                "Your loss falls when partners are exchanged.",
                "A similarity is large for near vectors. What is yours at equal ones?",
                "Look at the sign of the cosine.",
            ),
            variants=(lambda z1, z2, t: _losses(_masked(-_cosines(z1, z2)) / t).mean() + 0,),
        ),
        Mistake(
            "second-view-ignored",
            "uses the first view twice",
            lambda z1, z2, t: _right_losses(z1, z1, t).mean(),
            (
                "Your loss does not depend on z2.",
                "Follow z2 through your code.",
                "Look for a name that was typed twice.",
            ),
            variants=(lambda z1, z2, t: _right_losses(z2, z2, t).mean(),),
        ),
        Mistake(
            "in-place",
            "normalises the arguments in place",
            _v_in_place,
            (
                "After the call z1 is not what it was.",
                "Look for /= or for z[...] =.",
                "Keep the unit vectors in an array of their own.",
            ),
        ),
        Mistake(
            "mask-cached",
            "keeps the mask of the first batch for all others",
            _v_cached_mask(_put_in),
            (
                "It works for one size of batch, and fails for the next: the last batch of an epoch is smaller.",
                "What outlives a call of your function?",
                "Make the mask from the shape that you are given.",
            ),
            variants=(_v_cached_mask(lambda s, mask: np.where(mask, -np.inf, s)),),
        ),
        Mistake(
            "coarse-numbers",
            "computes in float32 or float16 without saying so",
            functools.partial(_v_coarse, dtype=np.float32),
            (
                "About seven digits are right, or three.",
                "Print the dtype of each intermediate result.",
                "What is given in float64 stays in float64. Look for an array that was made with another dtype.",
            ),
            variants=(functools.partial(_v_coarse, dtype=np.float16),),
        ),
        Mistake(
            "sum-to-n",
            "lets the sum end at N, the number of images, and not at 2N",
            functools.partial(_v_sum_to_n, interleaved=True),
            (
                "Some of your losses are negative: the partner is missing from their sum.",
                "Count the terms of each denominator.",
                "N counts images. There are 2N views, and the sum runs over all of them but the anchor.",
            ),
            variants=(functools.partial(_v_sum_to_n, interleaved=False),),
        ),
        Mistake(
            "one-softmax-for-all",
            "takes one softmax over the whole matrix",
            _v_whole_matrix,
            (
                "At collapse you return log(2N (2N − 1)).",
                "Over which axis is the sum of the exponentials?",
                "Each anchor, that is each row, has a softmax of its own.",
            ),
        ),
        Mistake(
            "mean-in-denominator",
            "takes the mean over the candidates where the formula has a sum",
            lambda z1, z2, t: _right_losses(z1, z2, t).mean() - math.log(2 * len(z1) - 1),
            (
                "At collapse you return 0.",
                "Is the denominator a sum or a mean of exponentials?",
                "Probabilities of all candidates add up to 1.",
            ),
        ),
        Mistake(
            "not-reduced",
            "returns the losses of the anchors one by one",
            _right_losses,
            (
                "You return 2N numbers.",
                "Look at the return line.",
                "One number is wanted: the mean over the anchors.",
            ),
        ),
    ],
    advice="Work with two images and d = 2: write down the four rows of scores, strike out the diagonal, and mark the "
    "partner in each row.",
)


def _eps_unit(z1, z2, eps):
    z = np.concatenate([z1, z2])
    return z / (np.sqrt((z * z).sum(1, keepdims=True)) + eps)


def _centred(z1, z2):
    z = np.concatenate([z1, z2])
    return z - z.mean(0)


# ------------------------------------------------------------------------------------------------------------- gradient


def _value(z1, z2, temperature):
    """NT-Xent as a comparison of each candidate with the partner: log Σ_k exp((s_ik − s_ij)/τ). Analytic."""
    u = _unit(np.concatenate([z1, z2]))
    n = len(u)
    total = 0.0
    for i in range(n):
        others = [k for k in range(n) if k != i]
        total = total + np.log(np.exp((u[others] @ u[i] - u[(i + n // 2) % n] @ u[i]) / temperature).sum())
    return total / n


def _right(z1, z2, temperature):
    z1, z2 = z1.astype(float), z2.astype(float)
    return numeric.vjp(functools.partial(_value, temperature=temperature), 1.0, z1, z2)


def _unit_of_rounding(z1, z2, temperature):
    """What one candidate with probability 1 would pull: the gradient itself can cancel."""
    lengths = np.sqrt((np.concatenate([z1, z2]).astype(float) ** 2).sum(1))
    pull = 1 / (len(lengths) * temperature * lengths.min())
    return float(pull), float(pull)


def _measured(cases):
    return [case.gives(_right, _unit_of_rounding) for case in cases]


def _flat(z1, z2, t, note):
    return call(np.array(z1, float), np.array(z2, float), t).noting(note)


def _vanishes(f, z1, z2, t):
    return f(z1, z2, t), (np.zeros_like(z1), np.zeros_like(z2)), _unit_of_rounding(z1, z2, t)


def _whole():
    return [
        call(draw(n, d), draw(n, d), t) for (n, d), t in zip(((2, 2), (3, 2), (2, 3), (3, 5)), (1.0, 0.5, 0.3, 2.0))
    ]


def _sharp(dtype):
    """Cosines 3/5, 4/5, 0 and −1 at τ = 0.005: some anchors are hard, some are easy."""
    z1, z2 = np.array([[1, 0], [3, 4], [0, -1]], dtype), np.array([[3, 4], [-1, 0], [4, 3]], dtype)
    return call(z1, z2, 0.005)


def _has_shapes(f, z1, z2, t):
    for gradient, z in zip(f(z1, z2, t), (z1, z2)):
        if gradient.shape != z.shape:
            raise Failed(f"shape {gradient.shape}", f"shape {z.shape}, that of the input")
        if not np.isfinite(gradient).all():
            raise Failed(gradient, "finite numbers")


def _tangential(f, z1, z2, t):
    radial = tuple((z * g).sum(1) for z, g in zip((z1, z2), f(z1, z2, t)))
    unit = 1 / (2 * len(z1) * t)
    return radial, tuple(np.zeros_like(part) for part in radial), (unit, unit)


def _shrinks(f, z1, z2, t):
    c, e = 3.0 ** np.arange(len(z1)).reshape(-1, 1), 0.2 ** np.arange(len(z1)).reshape(-1, 1)
    one, two = f(z1, z2, t)
    return f(c * z1, e * z2, t), (one / c, two / e)


def _turns(f, z1, z2, t):
    q = _rotation(z1.shape[1])
    one, two = f(z1, z2, t)
    return f(z1 @ q, z2 @ q, t), (one @ q, two @ q)


def _swaps(f, z1, z2, t):
    one, two = f(z1, z2, t)
    return f(z2, z1, t), (two, one)


def _parts(z1, z2, t):
    """u, the softmax of each row, and the partners as a matrix."""
    u = _unit(np.concatenate([z1, z2]))
    s = _masked(u @ u.T) / t
    p = np.exp(s - _row_lse(s)[:, None])
    return u, p, np.eye(len(u))[_partner(len(u))]


def _down(z1, z2, du, projected=True, divided=True):
    """Through the normalisation, and cut in two."""
    z = np.concatenate([z1, z2])
    size = np.sqrt((z * z).sum(1, keepdims=True))
    u = z / size
    dz = du - u * (u * du).sum(1, keepdims=True) if projected else du
    return tuple(np.split(dz / size if divided else dz, 2))


def _with(weights, projected=True, divided=True):
    """A wrong gradient whose weights on the rows of U are weights(p, y, n, τ)."""

    def gradient(z1, z2, t):
        u, p, y = _parts(z1, z2, t)
        return _down(z1, z2, weights(p, y, len(u), t) @ u, projected, divided)

    return gradient


def _both(g):
    return g + g.T


_true_gradient = _with(lambda p, y, n, t: _both(p - y) / (n * t))


def _g_projected_by_z(z1, z2, t):
    u, p, y = _parts(z1, z2, t)
    z = np.concatenate([z1, z2])
    du = _both(p - y) @ u / (len(u) * t)
    return tuple(np.split((du - z * (z * du).sum(1, keepdims=True)) / np.sqrt((z * z).sum(1, keepdims=True)), 2))


def _g_self_kept(z1, z2, t):
    u, _, y = _parts(z1, z2, t)
    s = u @ u.T / t
    return _down(z1, z2, _both(np.exp(s - _row_lse(s)[:, None]) - y) @ u / (len(u) * t))


def _g_negatives_only(z1, z2, t):
    u, _, y = _parts(z1, z2, t)
    if len(z1) == 1:
        return _down(z1, z2, _both(-y) @ u / (len(u) * t))
    s = _without_partner(_masked(u @ u.T) / t)
    return _down(z1, z2, _both(np.exp(s - _row_lse(s)[:, None]) - y) @ u / (len(u) * t))


def _g_naive(z1, z2, t):
    u, _, y = _parts(z1, z2, t)
    e = np.exp(_masked(u @ u.T) / t)
    return _down(z1, z2, _both(e / e.sum(1, keepdims=True) - y) @ u / (len(u) * t))


def _g_half_zero(which):
    def gradient(z1, z2, t):
        found = list(_true_gradient(z1, z2, t))
        found[which] = np.zeros_like(found[which])
        return tuple(found)

    return gradient


def _g_first_anchors(z1, z2, t):
    u, p, y = _parts(z1, z2, t)
    g = (p - y) / (len(z1) * t)
    g[len(z1) :] = 0
    return _down(z1, z2, _both(g) @ u)


nt_xent_gradient = Exercise(
    name="nt_xent_gradient",
    notebook="07",
    signature="f(z1, z2, temperature) -> (dz1, dz2)",
    statement="""The gradient of the NT-Xent loss by hand.

    The loss is that of the exercise nt_xent: z1 and z2 have shape (N, d), every one of the 2N rows is an anchor once,
    its candidates are the other 2N − 1 rows, scores are cosines divided by temperature, and the loss is the mean over
    the 2N anchors. Return its derivatives with respect to z1 and z2, of shape (N, d) each: with respect to the rows as
    they are given, before they are normalised. No row is zero.
    """,
    tests=[
        Test("returns finite gradients of the right shape", "T0", _whole(), law=_has_shapes),
        Test(
            "is zero for one image, and at collapse",
            "T1",
            [
                _flat([[1, 2]], [[-3, 1]], 0.5, "One image: the loss is 0 whatever the vectors are."),
                _flat(np.ones((2, 2)), np.ones((2, 2)), 0.5, "All embeddings are equal: a critical point."),
                _flat(np.ones((3, 2)), 2 * np.ones((3, 2)), 0.1, "All directions are equal: a critical point."),
            ],
            law=_vanishes,
        ),
        Test("has no part along z: z · dz = 0", "T2", _whole() + _random(), law=_tangential),
        Test("shrinks as 1/‖z‖ when a row is made longer", "T2", _whole(), law=_shrinks),
        Test("turns with space", "T2", _random(), law=_turns),
        Test("follows the views when they change places", "T2", _random(), law=_swaps),
        Test("equals the numerical derivative (whole numbers)", "T3", _measured(_whole())),
        Test(
            "equals the numerical derivative (random numbers, three scales)",
            "T3",
            _measured(_random()[:2] + _random(1e-3)[:2] + _random(1e3)[:2]),
        ),
        Test("stays right at τ = 0.005", "T4", _measured([_sharp(np.float64), _sharp(np.float32)])),
        speed(
            "takes less than 40 times as long as the exponentials of its scores",
            call(draw(150, 16, scale=1.0), draw(150, 16, scale=1.0), 0.5),
            than=lambda a, b, t: np.exp(np.concatenate([a, b]) @ np.concatenate([a, b]).T / 100),
            ratio=40,
        ),
    ],
    mistakes=[
        Mistake(
            "candidates-constant",
            "takes the candidates for constants",
            _with(lambda p, y, n, t: (p - y) / (n * t)),
            (
                "Your direction is almost right, and your gradient is about half as long.",
                "Row i stands in the loss of anchor i, and in the losses of all other anchors too, as their candidate.",
                "The weight of row k in the gradient of row i has two parts: what i says of k, and what k says of i.",
            ),
        ),
        Mistake(
            "anchors-constant",
            "lets a row count as a candidate of others, and not as an anchor",
            _with(lambda p, y, n, t: (p - y).T / (n * t)),
            (
                "Your gradient is about half as long as the right one.",
                "Row i stands in the losses of the other anchors, and in its own.",
                "The weight of row k in the gradient of row i has two parts: what i says of k, and what k says of i.",
            ),
        ),
        Mistake(
            "partners-alone",
            "pulls partners together and pushes nothing apart",
            _with(lambda p, y, n, t: -_both(y) / (n * t)),
            (
                "At collapse, and for one image, your gradient should be zero.",
                "The loss of an anchor is a log-sum-exp minus the score of its partner. You have the slope of the second.",
                "The slope of the log-sum-exp in a score is the probability of that candidate.",
            ),
        ),
        Mistake(
            "doubled",
            "doubles one half, as if the softmax were symmetric",
            _with(lambda p, y, n, t: 2 * (p - y) / (n * t)),
            (
                "The length is about right, and the direction is a little off.",
                "Scores are symmetric. Are the probabilities, each row with its own denominator?",
                "P and its transpose are two different matrices.",
            ),
        ),
        Mistake(
            "one-view-detached",
            "gives one of the views no gradient",
            _g_half_zero(1),
            (
                "One of your two gradients is zero.",
                "Exchange the views: both are treated alike by the loss.",
                "Every row gets a gradient, in either view.",
            ),
            variants=(_g_half_zero(0),),
        ),
        Mistake(
            "temperature-missing",
            "leaves out the factor 1/τ",
            _with(lambda p, y, n, t: _both(p - y) / n),
            (
                "Your gradient is the right one times τ.",
                "The softmax is over s/τ. What is the derivative of s/τ by s?",
                "The chain rule brings the factor 1/τ.",
            ),
        ),
        Mistake(
            "mean-missing",
            "differentiates the sum over the anchors and not the mean",
            _with(lambda p, y, n, t: _both(p - y) / t),
            (
                "Your gradient is the right one times 2N.",
                "The loss is a mean. Over how many anchors?",
                "A factor in front of the loss stands in front of its gradient.",
            ),
        ),
        Mistake(
            "divided-by-n",
            "divides by the number of images, and not by that of the anchors",
            _with(lambda p, y, n, t: 2 * _both(p - y) / (n * t)),
            (
                "Your gradient is twice the right one.",
                "Each image has two views, and each view is an anchor once.",
                "The loss is a mean over 2N anchors. Divide by 2N.",
            ),
        ),
        Mistake(
            "length-missing",
            "leaves out the factor 1/‖z‖",
            _with(lambda p, y, n, t: _both(p - y) / (n * t), divided=False),
            (
                "Making a row longer should shrink its gradient. Yours stays.",
                "A step of fixed length turns a long vector less than a short one.",
                "The Jacobian of z/‖z‖ has two factors: a projection, and one over a length.",
            ),
        ),
        Mistake(
            "no-projection",
            "leaves out the projection I − u uᵀ",
            _with(lambda p, y, n, t: _both(p - y) / (n * t), projected=False),
            (
                "Your gradient has a part along z. Making z longer does not change the loss.",
                "Differentiate z/‖z‖: z stands in the numerator and in the length.",
                "Take the part along u away.",
            ),
        ),
        Mistake(
            "no-jacobian",
            "returns the gradient with respect to the unit vectors",
            _with(lambda p, y, n, t: _both(p - y) / (n * t), projected=False, divided=False),
            (
                "Your gradient has a part along z, and does not shrink when z grows.",
                "You stopped at u. The question is about z.",
                "One more factor of the chain rule: the Jacobian of z/‖z‖.",
            ),
        ),
        Mistake(
            "projected-by-z",
            "projects with z where the unit vector belongs",
            _g_projected_by_z,
            (
                "It is right for rows of length 1, and wrong for others.",
                "Look at the projection. Is the vector in it of length 1?",
                "I − u uᵀ, with u = z/‖z‖.",
            ),
        ),
        Mistake(
            "partner-not-subtracted",
            "forgets the term of the partner",
            _with(lambda p, y, n, t: _both(p) / (n * t)),
            (
                "Your gradient pushes everything apart, partners too.",
                "The derivative of −log softmax by the logits: probabilities minus what?",
                "Minus 1 at the partner.",
            ),
        ),
        Mistake(
            "sign",
            "has the wrong sign",
            _with(lambda p, y, n, t: _both(y - p) / (n * t)),
            (
                "A step along your gradient lowers the loss: it should raise it.",
                "Is it P − Y or Y − P?",
                "The gradient points uphill.",
            ),
        ),
        Mistake(
            "self-not-masked",
            "keeps the anchor among its own candidates",
            _g_self_kept,
            (
                "With one image the gradient must be zero. Yours is not.",
                "Look at the diagonal of P.",
                "The anchor has probability 0 in its own row.",
            ),
        ),
        Mistake(
            "negatives-only",
            "takes the softmax over the negatives alone",
            _g_negatives_only,
            (
                "Your gradient is too long, most of all where the partner is found already.",
                "Which candidates are in the denominator of P? (This is the gradient of the decoupled loss, DCL.)",
                "The partner is a candidate, and has a probability.",
            ),
        ),
        Mistake(
            "views-exchanged",
            "returns the gradients in the wrong order",
            lambda z1, z2, t: _true_gradient(z1, z2, t)[::-1],
            (
                "Your numbers are right, and stand in the wrong array.",
                "Look at the return line.",
                "First the gradient of z1.",
            ),
        ),
        Mistake(
            "one-view-anchors",
            "takes the rows of the first view alone as anchors",
            _g_first_anchors,
            (
                "Exchanging the two views does not exchange your gradients.",
                "How many anchors are in your loss?",
                "Both views of an image are anchors once.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest logit",
            _g_naive,
            (
                "At τ = 0.005 the largest logit is 200, and float32 ends at exp(88.7).",
                "Where is exp called, and how large can its argument be?",
                "A constant that is taken from all logits of a row cancels in the softmax.",
            ),
        ),
        Mistake(
            "stacked",
            "returns both gradients in one array",
            lambda z1, z2, t: np.concatenate(_true_gradient(z1, z2, t)),
            (
                "You return one array of 2N rows.",
                "Look at the return line.",
                "Two arrays are wanted, of N rows each.",
            ),
        ),
    ],
    advice="Go step by step: loss by logits (P − Y), logits by U (row i stands in row i and in column i), U by z.",
)
