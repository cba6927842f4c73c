"""Inputs for every primitive, each with the same function in plain NumPy.

A sample says what shall be drawn (`normal`, `positive`, `away` from zero, `distinct` values), so that one sample serves
every scale, dtype and array library. Lengths are distinct primes, so that a swapped axis cannot go unnoticed.
"""

import builtins
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """An array to be drawn; a Tensor where it is differentiated."""

    make: Callable
    scaled: bool = True

    def __call__(self, rng, scale=1.0, dtype=np.float64):
        return np.asarray(self.make(rng) * (scale if self.scaled else 1.0), dtype=dtype)


def normal(*shape):
    return Draw(lambda rng: rng.standard_normal(shape))


def positive(*shape):
    return Draw(lambda rng: rng.uniform(0.5, 2.0, shape))


def away(*shape):
    """Not near 0."""
    return Draw(lambda rng: rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def distinct(*shape, offset=0.5):
    """A shuffled grid: steps of 1/4, and as far from a grid with another offset."""
    size = math.prod(shape)
    return Draw(lambda rng: (rng.permutation(size).reshape(shape) - size // 2 + offset) / 4)


def exactly(values):
    """Given values, at every scale: for ties, kinks and zeros."""
    return Draw(lambda rng: np.array(values, dtype=float), scaled=False)


class Sample(NamedTuple):
    """A call op(*args, **params), and `expected(*args, **params)`, the same in plain NumPy."""

    expected: Callable
    args: tuple  # a Draw becomes an array; all else is passed on as it is
    params: dict
    gradients: Callable | None  # (g, *args) -> the gradients by definition, where differences see none
    scales: tuple

    def draw(self, rng, scale=1.0, dtype=np.float64):
        return [a(rng, scale, dtype) if isinstance(a, Draw) else a for a in self.args]

    @property
    def drawn(self):
        """Which arguments are drawn."""
        return [k for k, a in enumerate(self.args) if isinstance(a, Draw)]


SCALES = (0.03, 1.0, 5.0)


def sample(expected, *args, gradients=None, scales=SCALES, **params):
    return Sample(expected, args, params, gradients, scales)


def elementwise(expected, draw=normal, scales=SCALES):
    """Some shapes for a function of one array; 0-d and empty among them."""
    return [sample(expected, draw(*shape), scales=scales) for shape in [(3, 5), (), (0, 3), (2, 3, 5)]]


def pairs(expected, a=normal, b=normal, scales=SCALES):
    """Shapes that broadcast, and a number on either side."""
    shapes = [
        ((3, 5), (3, 5)),
        ((3, 5), (5,)),
        ((3, 1), (1, 5)),
        ((), (2, 3)),
        ((7, 1, 3), (5, 1)),
        ((), ()),
        ((0, 3), (1, 3)),
        ((1, 3), (0, 1)),
    ]
    both = [sample(expected, a(*left), b(*right), scales=scales) for left, right in shapes]
    return [*both, sample(expected, a(2, 3), 2.0, scales=scales), sample(expected, 1.5, b(3, 2), scales=scales)]


def reductions(expected, draw=normal, scales=SCALES, empty=True):
    """Each way to name axes."""
    along = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": (-1, 0), "keepdims": True}]
    return [
        *[sample(expected, draw(2, 3, 5), scales=scales, **params) for params in along],
        sample(expected, draw(2, 3), axis=(), scales=scales),
        sample(expected, draw(3, 1), axis=1, scales=scales),
        sample(expected, draw(), scales=scales),
        sample(expected, draw(0, 3), axis=1, scales=scales),
        *([sample(expected, draw(0, 3), axis=0), sample(expected, draw(0))] if empty else []),
    ]


def of(*arrays, scales=SCALES, **params):
    """The sample of a reduction or a shape function that NumPy has under the same name, filled in by `named`."""
    return Sample(None, arrays, params, None, scales)


def named(expected, *samples):
    return [s._replace(expected=expected) for s in samples]


def sum_to(x, shape):
    """Add up all entries of x that broadcasting would make from one entry."""
    y = np.zeros(shape, x.dtype)
    lead = x.ndim - len(shape)
    for i in np.ndindex(x.shape):
        y[tuple(0 if n == 1 else j for j, n in zip(i[lead:], shape))] += x[i]
    return y


def scattered(g, key, shape):
    """One entry after the other."""
    y = np.zeros(shape, g.dtype)
    place = np.arange(math.prod(shape)).reshape(shape)[key]
    for entry, value in zip(place.ravel(), np.broadcast_to(g, place.shape).ravel()):
        y.flat[entry] += value
    return y


def max_ties(g, x, axis=None):
    """The gradient of max and min where several entries are the largest: each has the same share."""
    wins = x == x.max(axis=axis, keepdims=True)
    return (np.where(wins, g if axis is None else np.expand_dims(g, axis), 0) / wins.sum(axis=axis, keepdims=True),)


def min_ties(g, x, axis=None):
    return max_ties(g, -x, axis)


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x).astype(x.dtype)


def softmax(x, axis=-1):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def windowed(x, kernel, stride=(1, 1), dilation=(1, 1)):
    """One entry after the other."""
    (n, h, w, c), (kh, kw), (sh, sw), (dh, dw) = x.shape, kernel, stride, dilation
    tops, lefts = range(0, h - dh * (kh - 1), sh), range(0, w - dw * (kw - 1), sw)
    y = np.zeros((n, len(tops), len(lefts), kh, kw, c), x.dtype)
    for m, p, q, i, j in np.ndindex(y.shape[:-1]):
        y[m, p, q, i, j] = x[m, tops[p] + dh * i, lefts[q] + dw * j]
    return y


def unwindowed(x, shape, stride=(1, 1), dilation=(1, 1)):
    """Each entry of a window is added where `windowed` takes it."""
    taken = windowed(np.arange(math.prod(shape)).reshape(shape), x.shape[3:5], stride, dilation)
    return scattered(x, np.unravel_index(taken, shape), shape)


def convolved(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """Six loops and no product of matrices."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    (n, h, wide, _), (kh, kw, c, k) = x.shape, w.shape
    tops, lefts = range(0, h - dilation[0] * (kh - 1), stride[0]), range(0, wide - dilation[1] * (kw - 1), stride[1])
    y = np.zeros((n, len(tops), len(lefts), k), np.result_type(x, w))
    for p, q, o in np.ndindex(y.shape[1:]):
        group = o // (k // groups)
        for i in range(kh):
            for j in range(kw):
                for e in range(c):
                    pixel = x[:, tops[p] + dilation[0] * i, lefts[q] + dilation[1] * j, group * c + e]
                    y[:, p, q, o] += pixel * w[i, j, e, o]
    return y


def largest_in_windows(x, kernel, stride, padding=((0, 0), (0, 0)), dilation=(1, 1)):
    """One window after the other, and entries beyond the edge do not count."""
    (top, bottom), (left, right) = padding
    n, h, w, c = x.shape
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    down = range(-top, h + bottom - spans[0] + 1, stride[0])
    across = range(-left, w + right - spans[1] + 1, stride[1])
    y = np.zeros((n, len(down), len(across), c), x.dtype)
    for (p, i), (q, j) in itertools.product(enumerate(down), enumerate(across)):
        rows = [r for r in range(i, i + spans[0], dilation[0]) if 0 <= r < h]
        columns = [r for r in range(j, j + spans[1], dilation[1]) if 0 <= r < w]
        y[:, p, q] = x[:, rows][:, :, columns].max(axis=(1, 2))
    return y


def compared(a, b, temperature, group_a, group_b, same=False):
    """One row after the other, and its candidates one by one."""
    losses = np.zeros(len(a), a.dtype)
    for i in range(len(a)):
        mine = [
            a[i] @ other / temperature
            for k, other in enumerate(a if b is None else b)
            if (group_a[i] == group_b[k]) == same and not (same and i == k)
        ]
        losses[i] = np.logaddexp.reduce(np.array(mine))
    return losses


THREE, IMAGES = np.array([1, 0, 2]), np.array([0, 0, 1, 1, 2, 2, 2])


INTEGERS = np.array([[2, 0, 2], [1, 1, 2]])
MASK = np.array([[True, False, True], [False, False, True]])
TIES = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
KINKS = [-2.0, 0.0, 3.0]

KEYS = [
    ((2, 3, 5), np.s_[1]),
    ((2, 3, 5), np.s_[:, 1:, ::-2]),
    ((2, 3, 5), np.s_[..., None, 4]),
    ((2, 3, 5), np.s_[-1, -2, -3]),
    ((2, 3, 5), np.s_[1:1]),
    ((3, 5), INTEGERS),  # an integer array, with repeats
    ((3, 5), (INTEGERS, INTEGERS[:1])),
    ((2, 3, 5), (slice(None), np.array([2, 2, -1]), slice(1, 4))),
    ((2, 3, 5), (1, slice(None), np.array([0, 0]))),  # the integer and the array stand apart
    ((2, 3), MASK),
    ((2, 3, 5), (slice(None), np.array([True, False, True]), 0)),
    ((3, 2), (MASK[0], np.array([1, 1]))),  # a mask beside integers that repeat
    ((7,), np.array([], dtype=int)),
    ((5,), np.array(3)),
    ((), ()),
    ((), None),
]

EINSUMS = [  # in the form that the primitive takes: nothing repeated in one operand, nothing in one operand alone
    ("ij,jk->ik", (2, 3), (3, 5)),
    ("ij,jk->ki", (2, 3), (3, 5)),
    ("ij->ji", (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->", (3,), (3,)),
    ("bij,bjk,bk->bi", (2, 3, 5), (2, 5, 7), (2, 7)),
    ("ij,jk->ik", (2, 1), (3, 5)),  # a length of 1 broadcasts
    (",i->i", (), (3,)),
    ("ij,jk->ik", (2, 0), (0, 5)),
]

SAMPLES = {
    # what the walk needs
    "add": pairs(lambda a, b: a + b),
    "identity": elementwise(lambda x: x),
    "copy": elementwise(lambda x: x),
    "astype": [sample(lambda x, dtype: x.astype(dtype), normal(2, 3), dtype=np.float64, scales=(1.0,))],
    "reshape": named(
        lambda x, shape: np.array(x.ravel().tolist(), x.dtype).reshape(shape),
        of(normal(2, 3, 5), shape=(5, 6)),
        of(normal(2, 3), shape=-1),
        of(normal(2, 3), shape=(1, -1, 2)),
        of(normal(), shape=(1, 1)),
        of(normal(1), shape=()),
        of(normal(0, 3), shape=(3, 0, 2)),
    ),
    "broadcast_to": named(
        lambda x, shape: x + np.zeros(shape, x.dtype),
        of(normal(3), shape=(2, 3)),
        of(normal(3, 1), shape=(2, 3, 5)),
        of(normal(), shape=(2, 3)),
        of(normal(2, 3), shape=(2, 3)),
        of(normal(1, 3), shape=(0, 3)),
    ),
    "sum_to": named(
        sum_to,
        of(normal(2, 3), shape=(3,)),
        of(normal(2, 3, 5), shape=(3, 1)),
        of(normal(2, 3), shape=()),
        of(normal(2, 3), shape=(2, 3)),
        of(normal(0, 3), shape=(1, 3)),
    ),
    # arithmetic
    "subtract": pairs(lambda a, b: a - b),
    "multiply": pairs(lambda a, b: a * b),
    "divide": pairs(lambda a, b: a / b, b=away),
    "negative": elementwise(lambda x: -x),
    "power": [
        *pairs(lambda a, b: np.exp(b * np.log(a)), a=positive, scales=(0.1, 1.0, 3.0)),
        *[sample(lambda a, b: a**b, away(2, 3), b) for b in (3, 2, 1, 0, -1)],
        *[sample(lambda a, b: a**b, positive(2, 3), b) for b in (0.5, -1.5, 1.0)],
        sample(lambda a, b: a**b, away(2, 3), np.array([2, -1, 3], dtype=np.int8)),
        sample(lambda a, b: a * a, exactly(KINKS), 2),
        sample(lambda a, b: a**b, exactly([0.0, 0.0]), exactly([1.0, 2.0]), gradients=lambda g, a, b: (g * [1, 0], g * 0)),
    ],
    # functions of one number
    "exp": elementwise(np.exp),
    "log": elementwise(np.log, positive),
    "log1p": elementwise(lambda x: np.log(1 + x), positive),
    "expm1": elementwise(lambda x: np.exp(x) - 1),
    "sqrt": elementwise(lambda x: x**0.5, positive),
    "square": elementwise(lambda x: x * x),
    "abs": [
        *elementwise(lambda x: np.sqrt(x * x), away),
        sample(np.abs, exactly(KINKS), gradients=lambda g, x: (g * [-1, 0, 1],)),
    ],
    "sin": elementwise(lambda x: np.cos(x - np.pi / 2)),
    "cos": elementwise(lambda x: np.sin(x + np.pi / 2)),
    "tanh": elementwise(lambda x: 1 - 2 / (np.exp(2 * x) + 1)),
    "erf": elementwise(erf),
    "sigmoid": elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "softplus": [
        *elementwise(lambda x: np.log(1 + np.exp(x))),
        sample(lambda x, beta: np.log(1 + np.exp(3 * x)) / 3, normal(2, 3), beta=3.0),
    ],
    # kinks and choices
    "relu": [
        *elementwise(lambda x: x * (x > 0), away),
        sample(lambda x: x * (x > 0), exactly(KINKS), gradients=lambda g, x: (g * [0, 0, 1],)),
    ],
    "leaky_relu": [
        *elementwise(lambda x: np.where(x > 0, x, x / 100), away),
        sample(lambda x, negative_slope: np.where(x > 0, x, x * 0.2), away(2, 3), negative_slope=0.2),
        sample(lambda x: np.where(x > 0, x, x / 100), exactly(KINKS), gradients=lambda g, x: (g * [0.01, 0.01, 1],)),
    ],
    "elu": [
        *elementwise(lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), away),
        sample(lambda x, alpha: np.where(x > 0, x, 0.7 * (np.exp(np.minimum(x, 0)) - 1)), away(2, 3), alpha=0.7),
        sample(
            lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
            exactly([-800.0, 0.0, 800.0]),
            gradients=lambda g, x: (g * [0, 1, 1],),
        ),
    ],
    "maximum": [
        *pairs(np.maximum, distinct, lambda *shape: distinct(*shape, offset=0.0)),
        sample(np.maximum, exactly(KINKS), exactly([0.0, 0.0, 0.0]), gradients=lambda g, a, b: (g * [0, 0.5, 1], g * [1, 0.5, 0])),
    ],
    "minimum": [
        *pairs(np.minimum, distinct, lambda *shape: distinct(*shape, offset=0.0)),
        sample(np.minimum, exactly(KINKS), exactly([0.0, 0.0, 0.0]), gradients=lambda g, a, b: (g * [1, 0.5, 0], g * [0, 0.5, 1])),
    ],
    "clip": [
        sample(lambda x, low, high: np.where(x < low, low, np.where(x > high, high, x)), distinct(3, 5), -0.6, 0.6),
        sample(lambda x, low, high: np.where(x < low, low, x), distinct(3, 5), 0.1, None),
        sample(lambda x, low, high: np.where(x > high, high, x), distinct(3, 5), None, -0.1),
        sample(np.clip, distinct(3, 5), distinct(5, offset=0.0), 9.3),
        sample(np.clip, distinct(3, 5), -9.3, distinct(3, 1, offset=0.0)),
        sample(np.clip, distinct(2, 3), exactly([-0.3, 0.3, 0.3]), exactly([0.3, -0.3, 0.8]), scales=(1.0,)),  # one crossed
        sample(np.clip, distinct(), -0.6, 0.6),
        sample(np.clip, distinct(0, 3), -0.6, 0.6),
        sample(np.clip, exactly(KINKS), -2.0, 0.0, gradients=lambda g, x, low, high: (g * [1, 1, 0],)),
    ],
    "where": [
        sample(np.where, MASK, normal(2, 3), normal(2, 3)),
        sample(np.where, MASK, normal(3), normal(2, 1)),
        sample(np.where, MASK, normal(), normal(7, 2, 3)),
        sample(np.where, MASK, normal(2, 3), 0.5),
        sample(np.where, MASK, 0.5, normal(3)),
        sample(np.where, True, normal(2, 3), normal(2, 1)),
        sample(np.where, np.zeros((0, 3), bool), normal(1, 3), normal(3)),
    ],
    # reductions
    "sum": reductions(np.sum),
    "mean": reductions(lambda x, axis=None, keepdims=False: np.sum(x, axis, keepdims=keepdims) / (x.size / max(np.sum(x, axis).size, 1)), empty=False),
    "max": [
        *reductions(np.max, distinct, empty=False),
        sample(np.max, exactly(TIES), gradients=max_ties),
        sample(np.max, exactly(TIES), axis=1, gradients=lambda g, x: max_ties(g, x, 1)),
    ],
    "min": [
        *reductions(np.min, distinct, empty=False),
        sample(np.min, exactly(TIES), gradients=min_ties),
        sample(np.min, exactly(TIES), axis=0, gradients=lambda g, x: min_ties(g, x, 0)),
    ],
    "cumsum": named(
        np.cumsum,
        of(normal(3, 5)),
        of(normal(2, 3, 5), axis=1),
        of(normal(2, 3, 5), axis=-1),
        of(normal(2, 3), axis=0),
        of(normal(0, 3), axis=0),
        of(normal()),
    ),
    "logsumexp": [
        *reductions(lambda x, axis=None, keepdims=False: np.log(np.sum(np.exp(x), axis, keepdims=keepdims)), empty=False),
        sample(lambda x: np.array(1000 + np.log(2)), exactly([1000.0, 1000.0, -1000.0]), gradients=lambda g, x: (g * [0.5, 0.5, 0],)),
        sample(lambda x: np.array(-np.inf), exactly([-np.inf, -np.inf]), gradients=lambda g, x: (g * [0.0, 0.0],)),
    ],
    "softmax": [
        *named(softmax, of(normal(3, 5)), of(normal(2, 3, 5), axis=0), of(normal(2, 3), axis=None), of(normal(3, 2, 5), axis=(0, -1))),
        sample(softmax, normal(0, 3)),
        sample(softmax, normal(3, 1)),
        sample(lambda x: np.array([0.5, 0.5, 0]), exactly([1000.0, 1000.0, -np.inf])),
    ],
    "log_softmax": [
        *named(
            lambda x, axis=-1: np.log(softmax(x, axis)),
            of(normal(3, 5)),
            of(normal(2, 3, 5), axis=0),
            of(normal(2, 3), axis=None),
            of(normal(3, 2, 5), axis=(0, -1)),
            of(normal(0, 3)),
            of(normal(3, 1)),
        ),
        sample(lambda x: np.array([-2000.0, 0.0]), exactly([-1000.0, 1000.0])),
    ],
    # products
    "matmul": named(
        lambda a, b: (a[..., :, :, None] * b[..., None, :, :]).sum(-2),
        of(normal(2, 3), normal(3, 5)),
        of(normal(7, 2, 3), normal(7, 3, 5)),
        of(normal(2, 3), normal(7, 3, 5)),
        of(normal(7, 2, 3), normal(3, 5)),
        of(normal(5, 1, 2, 3), normal(7, 3, 2)),
        of(normal(2, 0), normal(0, 3)),
        of(normal(0, 2), normal(2, 3)),
    ),
    "contract": [
        sample(lambda *x, subscripts: np.einsum(subscripts, *x), *[normal(*shape) for shape in shapes], subscripts=subscripts)
        for subscripts, *shapes in EINSUMS
    ],
    # images
    "windows": named(
        windowed,
        of(normal(2, 5, 3, 2), kernel=(3, 2)),
        of(normal(1, 7, 5, 3), kernel=(2, 3), stride=(3, 1), dilation=(2, 2)),
        of(normal(2, 3, 5, 1), kernel=(1, 1), stride=(5, 2)),
        of(normal(0, 3, 5, 2), kernel=(2, 2)),
    ),
    "unwindows": named(
        unwindowed,
        of(normal(2, 3, 2, 3, 2, 2), shape=(2, 5, 3, 2)),
        of(normal(1, 2, 1, 2, 3, 3), shape=(1, 7, 5, 3), stride=(3, 1), dilation=(2, 2)),
        of(normal(2, 1, 3, 1, 1, 1), shape=(2, 3, 5, 1), stride=(5, 2)),
        of(normal(0, 2, 4, 2, 2, 2), shape=(0, 3, 5, 2)),
    ),
    "conv2d": named(
        convolved,
        of(normal(2, 5, 3, 2), normal(3, 2, 2, 3)),
        of(normal(1, 7, 5, 2), normal(2, 3, 2, 3), stride=(3, 1), padding=((1, 2), (0, 1)), dilation=(2, 1)),
        of(normal(2, 3, 5, 4), normal(2, 2, 2, 6), padding=((1, 1), (1, 1)), groups=2),
        of(normal(3, 2, 5, 3), normal(1, 2, 1, 3), stride=(2, 3), groups=3),
        of(normal(0, 3, 5, 2), normal(2, 2, 2, 3)),
    ),
    "max_pool2d": named(
        largest_in_windows,
        of(normal(2, 4, 6, 3), kernel=(2, 2), stride=(2, 2)),
        of(normal(2, 5, 4, 2), kernel=(3, 2), stride=(1, 2), padding=((1, 1), (0, 1))),
        of(normal(1, 7, 5, 2), kernel=(2, 2), stride=(2, 1), dilation=(2, 3)),
    ),
    # losses
    "lse_in_blocks": named(
        compared,
        of(normal(3, 5), normal(7, 5), positive(), group_a=THREE, group_b=IMAGES),
        of(normal(7, 3), None, positive(), group_a=IMAGES, group_b=IMAGES),
        of(normal(7, 3), None, positive(), group_a=IMAGES, group_b=IMAGES, same=True),
        of(normal(3, 2), normal(2, 2), 0.7, group_a=THREE, group_b=np.array([3, 3])),
    ),
    "siglip_in_blocks": named(
        lambda u, v, temperature, bias: np.array(
            [
                builtins.sum(
                    np.logaddexp(0, (-1) ** (i == j) * (a @ b / temperature + bias)) for j, b in enumerate(v)
                )
                for i, a in enumerate(u)
            ]
        ),
        of(normal(4, 3), normal(4, 3), positive(), normal()),
        of(normal(3, 2), normal(3, 2), 0.5, -1.0),
    ),
    "row_dots": named(
        lambda u, partner: np.array([a @ u[k] for a, k in zip(u, partner)]),
        of(normal(6, 3), partner=np.array([3, 4, 5, 0, 1, 2])),
        of(normal(4, 2), partner=np.array([1, 0, 3, 2])),
    ),
    # unit vectors
    "normalize": named(
        lambda x, axis: x / np.sqrt((x * x).sum(axis=axis, keepdims=True)),
        of(normal(3, 5), axis=-1),
        of(normal(3, 5), axis=0),
        of(normal(2, 3, 5), axis=-1),
        of(normal(2, 3, 5), axis=(0, 2)),
        of(normal(4), axis=-1),
    ),
    # shapes and positions
    "transpose": named(
        np.transpose,
        of(normal(2, 3, 5)),
        of(normal(2, 3, 5), axes=(1, 2, 0)),
        of(normal(2, 3, 5), axes=(-1, 0, -2)),
        of(normal(3)),
        of(normal()),
        of(normal(0, 3)),
    ),
    "index": [sample(lambda x, key: x[key], normal(*shape), key=key) for shape, key in KEYS],
    "scatter": [
        sample(scattered, normal(*np.zeros(shape)[key].shape), key=key, shape=shape) for shape, key in KEYS
    ],
    "concatenate": named(
        lambda *parts, axis=0: np.concatenate(parts, axis),
        of(normal(2, 3), normal(5, 3)),
        of(normal(2, 3), normal(2, 1), normal(2, 5), axis=1),
        of(normal(2, 3, 5), normal(2, 7, 5), axis=-2),
        of(normal(2), normal(0), normal(3)),
        of(normal(2)),
    ),
    "to_device": [sample(lambda x, device: x, normal(2, 3), device="cpu"), sample(lambda x, device: x, normal(), device="cpu")],
}  # fmt: skip
