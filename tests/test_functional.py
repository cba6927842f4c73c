"""Every composed function and every loss, as in test_ops: against plain NumPy, to order 2, in each dtype and library.

Below the table, what is special to one of them: einsum in all its forms, extreme numbers, zeros, ties.
"""

import inspect
import math

import checks
import numpy as np
import pytest
from differences import assert_close
from samples import MASK, away, distinct, erf, exactly, normal, positive, sample, softmax
from scipy.spatial.distance import cdist

import minicl as mc
from minicl import functional, losses

SMALL = (0.03, 1.0)  # scales for functions whose own differences lose digits at large arguments


def per(f, *, axis=None, keepdims=False, **params):
    """A function of a vector along axes: the definition, one vector at a time."""

    def over(x, **_):
        axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % max(x.ndim, 1)) if x.ndim else ()
        stay = [k for k in range(x.ndim) if k not in axes]
        rows = np.transpose(x, [*stay, *axes]).reshape(*[x.shape[k] for k in stay], math.prod(x.shape[k] for k in axes))
        y = np.array([f(rows[i], **params) for i in np.ndindex(rows.shape[:-1])], x.dtype).reshape(rows.shape[:-1])
        return np.expand_dims(y, axes) if keepdims else y

    return over


def along(f, draw, **params):
    """Samples of a reduction, over each way to name axes."""
    shapes = [
        ((2, 3, 5), {}),
        ((3, 5), {"axis": 0}),
        ((3, 5), {"axis": -1, "keepdims": True}),
        ((2, 3, 5), {"axis": (0, 2)}),
    ]
    return [
        *[sample(per(f, **where, **params), draw(*shape), scales=SMALL, **where, **params) for shape, where in shapes],
        sample(per(f, axis=1, **params), draw(0, 3), axis=1, **params),
    ]


def apart(*shape):
    """No two entries have nearly the same size, whatever their sign."""
    return distinct(*shape, offset=0.3)


def log_softmax(x):
    return np.log(softmax(x))


def of_labels(x, labels, weight=None, reduction="mean", smoothing=0.0):
    """Cross-entropy, one row after the other (weights and smoothing as in torch)."""
    classes = x.shape[-1]
    weight = np.ones(classes) if weight is None else weight
    values, total = [], 0.0
    for row, label in zip(log_softmax(x).reshape(-1, classes), np.ravel(labels)):
        target = np.eye(classes)[label] * (1 - smoothing) + smoothing / classes
        values.append(-(target * weight * row).sum())
        total += weight[label]
    values = np.array(values).reshape(np.shape(labels))
    return {"none": values, "sum": values.sum(), "mean": values.sum() / total}[reduction]


def nt_xent(z1, z2, temperature=0.5, reduction="mean"):
    """Eq. 1 of the SimCLR paper, one anchor and one candidate at a time."""
    z = np.concatenate([z1, z2])
    n, values = len(z1), []
    for i in range(2 * n):
        s = [z[i] @ z[k] / np.sqrt((z[i] @ z[i]) * (z[k] @ z[k])) / temperature for k in range(2 * n)]
        others = sum(np.exp(s[k]) for k in range(2 * n) if k != i)
        values.append(-np.log(np.exp(s[(i + n) % (2 * n)]) / others))
    return {"none": np.array(values), "sum": sum(values), "mean": sum(values) / (2 * n)}[reduction]


def bce(x, t, weight=1.0, pos_weight=1.0):
    p = 1 / (1 + np.exp(-x))
    return -weight * (pos_weight * t * np.log(p) + (1 - t) * np.log(1 - p))


INDEX = np.array([[2, 0, 2, 1, 0]])
LABELS = np.array([2, 0, 1])

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 5)),
    ("ij,jk", (2, 3), (3, 5)),  # the result is implicit: the letters that occur once, in order
    ("ba", (2, 3)),
    ("cab,dc", (2, 3, 5), (7, 2)),
    ("ii", (3, 3)),  # a trace
    ("ii->i", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("iji->j", (3, 2, 3)),
    ("iii->i", (3, 3, 3)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ijk,jk->i", (2, 3, 5), (3, 5)),
    ("bi,bj->", (2, 3), (2, 5)),  # all is dropped
    ("bi,bj->b", (2, 3), (2, 5)),
    ("ij,kl->k", (2, 3), (5, 7)),  # nothing is shared
    ("i,j,k->kji", (2,), (3,), (5,)),
    ("ab,bc,cd,da->", (2, 3), (3, 5), (5, 7), (7, 2)),
    ("ii,ij->j", (3, 3), (3, 5)),
    ("ij,ij,ij->ij", (2, 3), (2, 3), (2, 3)),
    ("i...->...", (2, 3, 5)),
    ("...i->...", (2, 3)),
    ("...", (2, 3)),
    ("...->...", ()),
    ("...ij,...jk->...ik", (7, 2, 3), (7, 3, 5)),
    ("...ij,...jk->...ik", (2, 3), (7, 3, 5)),  # the ellipsis broadcasts
    ("...ij,...jk->...ik", (7, 1, 2, 3), (5, 3, 2)),
    ("...ij,...jk", (7, 2, 3), (7, 3, 5)),
    ("i...,j...->ij...", (2, 5), (3, 5)),
    ("...ii->...i", (2, 3, 3)),
    ("i...j,k...->...ik", (2, 7, 3), (5, 7)),
    ("...,...", (2, 3), (3,)),
    ("...,->...", (2, 3), ()),
    (",", (), ()),
    (" i j , j k -> i k ", (2, 3), (3, 5)),
    ("aA,A->aA", (2, 3), (3,)),
    ("i,i->i", (1,), (3,)),  # a length of 1 broadcasts
    ("i,i->", (3,), (1,)),
    ("ij,jk->ik", (2, 1), (3, 5)),
    ("ij,ij->", (2, 3), (1, 3)),
    ("ij->ji", (0, 3)),
    ("ij->i", (2, 0)),
    ("ij,jk->ik", (2, 0), (0, 3)),
]

FUNCTIONS = {
    # activations
    "log_sigmoid": (
        mc.log_sigmoid,
        [sample(lambda x: -np.log(1 + np.exp(-x)), normal(*s)) for s in [(3, 5), (), (0, 2)]],
    ),
    "silu": (mc.silu, [sample(lambda x: x / (1 + np.exp(-x)), normal(*s)) for s in [(3, 5), ()]]),
    "gelu": (
        mc.gelu,
        [
            sample(lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, normal(3, 5)),
            sample(lambda x, approximate: x * (1 + erf(x / math.sqrt(2))) / 2, normal(), approximate="none"),
            sample(
                lambda x, approximate: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
                normal(3, 5),
                approximate="tanh",
            ),
        ],
    ),
    # reductions
    "var": (
        mc.var,
        [
            *along(lambda v: ((v - v.sum() / v.size) ** 2).sum() / v.size, normal),
            *along(lambda v, ddof: ((v - v.sum() / v.size) ** 2).sum() / (v.size - ddof), normal, ddof=1),
            *along(
                lambda v, correction: ((v - v.sum() / v.size) ** 2).sum() / (v.size - correction),
                normal,
                correction=0.5,
            )[:2],
        ],
    ),
    "std": (
        mc.std,
        [
            *along(lambda v: math.sqrt(((v - v.sum() / v.size) ** 2).sum() / v.size), normal),
            *along(lambda v, ddof: math.sqrt(((v - v.sum() / v.size) ** 2).sum() / (v.size - ddof)), normal, ddof=1),
            sample(np.std, exactly([2.0, 2.0, 2.0]), gradients=lambda g, x: (g * x * 0,)),
        ],
    ),
    "prod": (
        mc.prod,
        [
            *along(lambda v: math.prod(v.tolist()), away),
            sample(lambda x: x[0] * x[1], exactly([0.0, 3.0])),
            sample(np.prod, exactly([2.0, 0.0, 3.0, 0.0, 5.0])),
            sample(lambda x, axis: x[:, 0] * x[:, 1] * x[:, 2], exactly([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]]), axis=1),
            sample(lambda x: np.array(1.0), normal(0)),
            sample(lambda x, axis: np.ones(3), normal(0, 3), axis=0),
            sample(lambda x: x, normal()),
        ],
    ),
    "norm": (
        mc.norm,
        [
            *along(lambda v: math.sqrt((v * v).sum()), normal),
            *along(lambda v, ord: np.abs(v).sum(), away, ord=1),
            *along(lambda v, ord: (np.abs(v) ** 3).sum() ** (1 / 3), away, ord=3),
            *along(lambda v, ord: (np.abs(v) ** 0.5).sum() ** 2, away, ord=0.5)[:2],
            *along(lambda v, ord: (np.abs(v) ** -1.0).sum() ** -1, away, ord=-1)[:2],
            *along(lambda v, ord: np.abs(v).max(), apart, ord=np.inf)[:4],
            *along(lambda v, ord: np.abs(v).min(), apart, ord=-np.inf)[:4],
            *along(lambda v, ord: (v != 0).sum(), away, ord=0)[:2],
            sample(lambda x: np.array(0.0), exactly([0.0, 0.0]), gradients=lambda g, x: (g * x,)),
            sample(lambda x, ord: np.array(0.0), exactly([0.0, 0.0]), ord=3, gradients=lambda g, x: (g * x,)),
            sample(lambda x, ord: np.array(2.0), exactly([0.0, -2.0]), ord=3, gradients=lambda g, x: (g * [0, -1],)),
            sample(lambda x, ord: np.array(2.0), exactly([0.0, -2.0]), ord=1, gradients=lambda g, x: (g * [0, -1],)),
            sample(lambda x: np.abs(x), away()),
        ],
    ),
    "normalize": (
        mc.normalize,
        [
            sample(lambda x: x / np.sqrt((x * x).sum(-1))[:, None], normal(3, 5)),
            sample(lambda x, axis: x / np.sqrt((x * x).sum(0)), normal(2, 3, 5), axis=0),
            sample(lambda x, axis: x / np.sqrt((x * x).sum()), normal(2, 3), axis=(0, 1)),
            sample(lambda x: x, normal(0, 3)),
            sample(lambda x: x * 0, exactly([[0.0, 0.0]]), gradients=lambda g, x: (g * x,)),
        ],
    ),
    "cosine_similarity": (
        mc.cosine_similarity,
        [
            sample(
                lambda a, b: (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1)), normal(2, 3), normal(2, 3)
            ),
            sample(
                lambda a, b: (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1)), normal(2, 1, 3), normal(5, 3)
            ),
            sample(
                lambda a, b, axis: (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(0)),
                normal(2, 3, 5),
                normal(3, 5),
                axis=1,
            ),
            sample(lambda a, b: b.sum(-1) * np.sign(a[:, 0]) / np.sqrt(3 * (b * b).sum(-1)), away(2, 1), normal(2, 3)),
            sample(
                lambda a, b: np.array(0.0), exactly([0.0, 0.0]), normal(2), gradients=lambda g, a, b: (g * a, g * a)
            ),
        ],
    ),
    "cosine_matrix": (
        mc.cosine_matrix,
        [
            sample(lambda x, y: 1 - cdist(x, y, "cosine"), normal(3, 5), normal(2, 5)),
            sample(lambda x: 1 - cdist(x, x, "cosine"), normal(3, 2)),
            sample(
                lambda x, y: np.zeros((1, 1)), exactly([[0.0, 0.0]]), normal(1, 2), gradients=lambda g, x, y: (x, x)
            ),
        ],
    ),
    "pairwise_distances": (
        mc.pairwise_distances,
        [
            sample(cdist, normal(3, 5), normal(2, 5)),
            sample(lambda x, y, squared: cdist(x, y) ** 2, normal(3, 5), normal(2, 5), squared=True),
            sample(lambda x: np.zeros((1, 1)), normal(1, 3), gradients=lambda g, x: (x * 0,)),
            sample(lambda x, squared: cdist(x, x) ** 2, normal(3, 2), squared=True),
        ],
    ),
    # products
    "dot": (
        mc.dot,
        [
            sample(np.dot, normal(*a), normal(*b))
            for a, b in [
                ((3,), (3,)),
                ((2, 3), (3, 5)),
                ((2, 3), (3,)),
                ((3,), (3, 5)),
                ((), (2, 3)),
                ((2, 3), ()),
                ((2, 3, 5), (5,)),
                ((3,), (2, 3, 5)),
                ((2, 3), (7, 3, 5)),
                ((7, 2, 3), (3, 5)),
                ((2, 5, 3), (1, 3, 2)),
            ]
        ],
    ),
    "outer": (
        mc.outer,
        [sample(np.outer, normal(*a), normal(*b)) for a, b in [((2,), (3,)), ((2, 3), (5,)), ((), (3,))]],
    ),
    "einsum": (
        lambda *x, subscripts: mc.einsum(subscripts, *x),
        [
            sample(
                lambda *x, subscripts: np.einsum(subscripts, *x), *[normal(*s) for s in shapes], subscripts=subscripts
            )
            for subscripts, *shapes in EINSUMS
        ],
    ),
    "matmul": (
        mc.matmul,
        [
            sample(np.matmul, normal(*a), normal(*b))
            for a, b in [
                ((3,), (3,)),
                ((2, 3), (3,)),
                ((3,), (3, 5)),
                ((7, 2, 3), (3,)),
                ((3,), (7, 3, 5)),
                ((0,), (0,)),
            ]
        ],
    ),
    # shapes and positions
    "permute": (mc.permute, [sample(lambda x, axes: x.transpose(axes), normal(2, 3, 5), axes=(2, 0, -2))]),
    "swapaxes": (mc.swapaxes, [sample(np.swapaxes, normal(2, 3, 5), 0, -1)]),
    "squeeze": (
        mc.squeeze,
        [
            sample(np.squeeze, normal(2, 1, 3, 1)),
            *[sample(np.squeeze, normal(2, 1, 3, 1), axis=axis) for axis in (1, -1, (1, 3))],
            sample(np.squeeze, normal()),
        ],
    ),
    "expand_dims": (
        mc.expand_dims,
        [sample(np.expand_dims, normal(2, 3), axis=axis) for axis in (0, -1, (0, 2), (-1, 1))],
    ),
    "concatenate": (
        lambda *parts, axis=0: mc.concatenate(parts, axis),
        [
            sample(lambda *parts, axis: np.concatenate(parts, axis), normal(2, 3), normal(2, 5), axis=-1),
            sample(lambda *parts, axis: np.concatenate(parts, axis), normal(2, 3), normal(5), axis=None),
        ],
    ),
    "stack": (
        lambda *parts, axis=0: mc.stack(parts, axis),
        [
            sample(lambda *parts, axis: np.stack(parts, axis), normal(2, 3), normal(2, 3), axis=axis)
            for axis in (0, 1, -1)
        ],
    ),
    "split": (
        lambda x, sections, part, axis=0: mc.split(x, sections, axis)[part],
        [
            sample(
                lambda x, sections, part, axis: np.split(x, sections, axis)[part],
                normal(2, 6),
                axis=1,
                sections=sections,
                part=part,
            )
            for sections, part in [(3, 1), ([1, 4], 0), ([1, 4], 2), ([4, 9], 2), ([-2], 1), ([3, 2], 1), (1, 0)]
        ],
    ),
    "flip": (mc.flip, [sample(np.flip, normal(2, 3, 5), axis=axis) for axis in (None, 1, -1, (0, 2))]),
    "pad": (
        mc.pad,
        [
            *[
                sample(np.pad, normal(2, 3), pad_width=width, mode=mode)
                for width in (1, (2, 1), ((0, 1), (2, 0)))
                for mode in ("constant", "edge", "symmetric", "wrap")
            ],
            sample(np.pad, normal(3, 5), pad_width=((1, 2), (4, 3)), mode="reflect"),
            sample(np.pad, normal(2, 3), pad_width=7, mode="symmetric"),  # longer than the array
            sample(np.pad, normal(2, 3), pad_width=((1, 2),), constant_values=3.5),
            sample(np.pad, normal(), pad_width=1),
            sample(np.pad, normal(0, 2), pad_width=1),
        ],
    ),
    "take": (
        mc.take,
        [
            sample(np.take, normal(3, 5), INDEX),
            sample(np.take, normal(3, 5), INDEX, axis=0),
            sample(np.take, normal(3, 5), INDEX[0] - 3, axis=-1),
            sample(np.take, normal(3, 5), 1, axis=1),
        ],
    ),
    "take_along_axis": (
        mc.take_along_axis,
        [
            sample(np.take_along_axis, normal(3, 5), np.tile(INDEX, (3, 1)), axis=1),
            sample(np.take_along_axis, normal(3, 5), INDEX, axis=0),
            sample(np.take_along_axis, normal(3, 5), INDEX[:, :2] - 3, axis=-1),  # broadcasts along the other axis
        ],
    ),
    "gather": (
        mc.gather,
        [
            sample(lambda x, i, axis: np.take_along_axis(x[:1], i, 1), normal(3, 5), INDEX, axis=1),
            sample(lambda x, i, axis: np.take_along_axis(x[:, :3], i[:, :3], 0), normal(3, 5), INDEX[:, :3], axis=0),
            sample(lambda x, i: np.take_along_axis(x, i, -1), normal(1, 3), INDEX),
        ],
    ),
    "masked_fill": (
        mc.masked_fill,
        [
            sample(lambda x, m, v: np.where(m, v, x), normal(2, 3), MASK, -7.0),
            sample(lambda x, m, v: np.where(m, v, x), normal(7, 2, 3), MASK, normal()),
            sample(lambda x, m, v: np.where(m, v, x), normal(2, 3), MASK[:1], normal(2, 1)),
        ],
    ),
    "clip": (
        mc.clip,
        [
            sample(lambda x, min: np.clip(x, min, None), distinct(3, 5), min=0.1),
            sample(lambda x, max: np.clip(x, None, max), distinct(3, 5), max=0.1),
            sample(np.clip, distinct(3, 5), -0.6, 0.6),
        ],
    ),
    # losses
    "mse_loss": (
        mc.mse_loss,
        [
            sample(lambda a, b: ((a - b) ** 2).mean(), normal(2, 3), normal(2, 3)),
            sample(lambda a, b, reduction: ((a - b) ** 2).sum(), normal(2, 3), normal(2, 3), reduction="sum"),
            sample(lambda a, b, reduction: (a - b) ** 2, normal(2, 3), normal(2, 3), reduction="none"),
        ],
    ),
    "nll_loss": (
        mc.nll_loss,
        [
            sample(lambda x, t: -(x[0, 2] + x[1, 0] + x[2, 1]) / 3, normal(3, 5), LABELS),
            sample(
                lambda x, t, reduction: -np.array([x[0, 2], x[1, 0], x[2, 1]]), normal(3, 5), LABELS, reduction="none"
            ),
            sample(
                lambda x, t, w: -(w[2] * x[0, 2] + w[0] * x[1, 0] + w[1] * x[2, 1]) / (w[0] + w[1] + w[2]),
                normal(3, 5),
                LABELS,
                positive(5),
            ),
            sample(lambda x, t: -x[1], normal(5), 1),
        ],
    ),
    "cross_entropy": (
        mc.cross_entropy,
        [
            sample(of_labels, normal(3, 5), LABELS),
            sample(of_labels, normal(3, 5), LABELS, positive(5)),
            sample(of_labels, normal(3, 5), LABELS, reduction="none"),
            sample(of_labels, normal(3, 5), LABELS, positive(5), reduction="sum"),
            sample(of_labels, normal(2, 3, 5), np.array([LABELS, LABELS[::-1] + 2])),
            sample(
                lambda x, t, label_smoothing: of_labels(x, t, smoothing=label_smoothing),
                normal(3, 5),
                LABELS,
                label_smoothing=0.2,
            ),
            sample(
                lambda x, t, w, label_smoothing: of_labels(x, t, w, smoothing=label_smoothing),
                normal(3, 5),
                LABELS,
                positive(5),
                label_smoothing=0.2,
            ),
            sample(lambda x, t: -(t * log_softmax(x)).sum() / 3, normal(3, 5), positive(3, 5)),
            sample(lambda x, t, w: -(t * log_softmax(x) * w).sum() / 3, normal(3, 5), positive(3, 5), positive(5)),
            sample(
                lambda x, t, label_smoothing: -((0.8 * t + 0.2 / 5) * log_softmax(x)).sum() / 3,
                normal(3, 5),
                positive(3, 5),
                label_smoothing=0.2,
            ),
            sample(lambda x, t: -log_softmax(x)[1], normal(5), 1),
        ],
    ),
    "binary_cross_entropy_with_logits": (
        mc.binary_cross_entropy_with_logits,
        [
            sample(lambda x, t: bce(x, t).mean(), normal(2, 3), positive(2, 3)),
            sample(lambda x, t, w: bce(x, t, w).mean(), normal(2, 3), positive(2, 3), positive(3)),
            sample(
                lambda x, t, w, p: bce(x, t, w, p).mean(), normal(2, 3), positive(2, 3), positive(2, 3), positive(3)
            ),
            sample(lambda x, t, pos_weight: bce(x, t, 1, 2.5).mean(), normal(2, 3), positive(2, 3), pos_weight=2.5),
            sample(lambda x, t, reduction: bce(x, t), normal(2, 3), positive(2, 3), reduction="none"),
            sample(lambda x, t, reduction: bce(x, t).sum(), normal(), positive(), reduction="sum"),
        ],
    ),
    "nt_xent": (
        mc.nt_xent,
        [
            sample(nt_xent, normal(3, 5), normal(3, 5)),
            sample(nt_xent, normal(3, 2), normal(3, 2), exactly(0.7)),
            sample(nt_xent, normal(2, 3), normal(2, 3), 0.2, reduction="none"),
            sample(nt_xent, normal(2, 3), normal(2, 3), reduction="sum"),
            sample(lambda z1, z2: np.array(0.0), normal(1, 3), normal(1, 3)),
        ],
    ),
}
ELSEWHERE = {
    "one_hot": "has no gradient",
    "reduce_loss": "a part of the losses",
    "normalize_by_definition": "in test_a_fast_normalize_is_its_definition",
}
CASES = [
    pytest.param(f, s, id=f"{name}-{k}") for name, (f, samples) in FUNCTIONS.items() for k, s in enumerate(samples)
]
KINKS = ("clip", "norm")  # norm: |x| where the order is not 2


def cases(keep=lambda name: True):
    return pytest.mark.parametrize("f, sample", [c for c in CASES if keep(c.id.split("-")[0])])


def test_every_function_has_samples():
    public = {
        name
        for module in (functional, losses.classification)  # the contrastive losses: test_losses
        for name, f in vars(module).items()
        if inspect.isfunction(f)
        and not name.startswith("_")
        and f.__module__.startswith(("minicl.functional", "minicl.losses"))
    }
    assert public - set(FUNCTIONS) == set(ELSEWHERE)
    assert "nt_xent" in FUNCTIONS


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@cases()
def test_value(f, sample, xp, rng, request):
    checks.check_value(f, sample, xp, rng, request.node.name)


@cases()
def test_gradients_of_order_1_and_2(f, sample, xp, rng, request):
    checks.check_gradients(f, sample, xp, rng, request.node.name)


@cases(lambda name: name not in KINKS)
def test_gradients_to_the_last_digits(f, sample, rng, request):
    checks.check_last_digits(f, sample, rng, request.node.name)


@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 2e-2), (np.float32, 1e-5), (np.float64, 1e-15)])
@cases()
def test_dtype_is_kept(f, sample, dtype, tolerance, xp, rng, request):
    checks.check_dtype(f, sample, dtype, tolerance, xp, rng, request.node.name)


@cases()
def test_layout_of_memory_does_not_matter(f, sample, rng):
    checks.check_layout(f, sample, rng)


POSITIONS = ("permute", "swapaxes", "squeeze", "expand_dims", "concatenate", "stack", "split", "flip", "take", "gather")


@cases(lambda name: name in (*POSITIONS, "take_along_axis", "dot", "outer", "einsum", "matmul", "pad"))
def test_the_gradient_of_a_linear_function_is_its_adjoint(f, sample, xp, rng, request):
    if "constant_values" in sample.params:
        return  # affine
    together = request.node.callspec.id.split("-")[-2] in ("concatenate", "stack")
    for places in [sample.drawn] if together else [[k] for k in sample.drawn]:
        checks.check_adjoint(f, sample.draw(rng), places, xp, rng, **sample.params)


# ------------------------------------------------------------------------------------------------------ extreme numbers


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "f, x, value, slope",
    [
        (mc.sigmoid, [-800.0, 0.0, 800.0], [0, 0.5, 1], [0, 0.25, 0]),
        (mc.softplus, [-800.0, 0.0, 800.0], [0, math.log(2), 800], [0, 0.5, 1]),
        (mc.log_sigmoid, [-800.0, 0.0, 800.0], [-800, -math.log(2), 0], [1, 0.5, 0]),
        (mc.silu, [-800.0, 0.0, 800.0], [0, 0, 800], [0, 0.5, 1]),
        (mc.gelu, [-800.0, 0.0, 800.0], [0, 0, 800], [0, 0.5, 1]),
        (lambda x: mc.gelu(x, approximate="tanh"), [-800.0, 0.0, 800.0], [0, 0, 800], [0, 0.5, 1]),
        (mc.elu, [-800.0, 0.0, 800.0], [-1, 0, 800], [0, 1, 1]),
        (mc.tanh, [-800.0, 0.0, 800.0], [-1, 0, 1], [0, 1, 0]),
        (mc.softplus, [-40.0], [math.log1p(math.exp(-40))], [1 / (1 + math.exp(40))]),
        (mc.sigmoid, [-40.0], [1 / (1 + math.exp(40))], [math.exp(-40)]),
        (mc.log1p, [1e-18], [1e-18], [1]),
        (mc.expm1, [1e-18], [1e-18], [1]),
        (mc.abs, [-1e-300, 0.0], [1e-300, 0], [-1, 0]),
    ],
)
def test_extreme_arguments(f, x, value, slope):
    x = mc.tensor(x)
    y = f(x)
    assert_close(y.data, value, 1e-15)
    first = mc.grad(y, x, cotangent=np.ones(y.shape), differentiable=True)
    assert_close(first.data, slope, 1e-15)
    assert np.isfinite(mc.grad(first.sum(), x)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-20, 1.0, 1e20, 1e160, 1e300])
def test_norms_at_every_length(size, rng):
    """‖cx‖ = c‖x‖ with one gradient, and normalize(cx) = normalize(x): squares neither overflow nor vanish."""
    x = rng.standard_normal((3, 5))
    one, far = mc.tensor(x), mc.tensor(x * size)
    c = rng.standard_normal((3, 5))
    for ord in (2, 3, 0.5):
        assert_close(mc.norm(far, ord, axis=1).data / size, mc.norm(one, ord, axis=1).data, 1e-14)
        expected = mc.grad(mc.norm(one, ord, axis=1), one, cotangent=c[:, 0])
        assert_close(mc.grad(mc.norm(far, ord, axis=1), far, cotangent=c[:, 0]), expected, 1e-14)
    assert_close(mc.normalize(far).data, mc.normalize(one).data, 1e-15)
    expected = mc.grad(mc.normalize(one), one, cotangent=c)
    if size < 1e300:
        assert_close(mc.grad(mc.normalize(far), far, cotangent=c * 1e-9) * 1e9 * size, expected, 1e-13)
    assert_close(mc.cosine_similarity(far, one).data, np.ones(3), 1e-15)


@pytest.mark.parametrize("size", [1e-5, 1.0, 2e4])
def test_normalize_in_half_precision(size, rng):
    x = mc.tensor(rng.uniform(0.5, 1, (3, 5)) * size, dtype=np.float16)
    assert_close((mc.normalize(x).data.astype(float) ** 2).sum(1), np.ones(3), 5e-3)
    assert np.isfinite(mc.grad(mc.normalize(x)[:, 0].sum(), x)).all()


@pytest.mark.filterwarnings("error")
def test_a_zero_row_spoils_nothing():
    """Its result and gradient are 0; the other rows are as if it were not there."""
    rows = np.array([[3.0, 4.0], [0.0, 0.0]])
    for f in (mc.normalize, lambda x: mc.norm(x, axis=-1, keepdims=True), lambda x: mc.std(x, axis=-1, keepdims=True)):
        x, alone = mc.tensor(rows), mc.tensor(rows[:1])
        c = np.array([[1.0, 2.0]])[:, : f(alone).shape[1]]
        g = mc.grad(f(x), x, cotangent=np.concatenate([c, c]), differentiable=True)
        assert_close(g.data[0], mc.grad(f(alone), alone, cotangent=c)[0], 1e-15, floor=1e-16)
        assert g.data[1].tolist() == [0, 0]
        assert np.isfinite(mc.grad((g * g).sum(), x)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2), None])
@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-30, 1.0, 1e30, 1e200])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_a_fast_normalize_is_its_definition(axis, scale, dtype, tolerance, rng):
    if dtype == np.float32:
        scale = scale ** (1 / 6)  # within its range
    rows = (rng.standard_normal((3, 4, 5)) * scale).astype(dtype)
    rows[1, :, 2] = rows[1, 2] = 0
    c = rng.standard_normal(rows.shape).astype(dtype)
    x, y = mc.tensor(rows), mc.tensor(rows)
    u, v = mc.normalize(x, axis=axis), mc.functional.normalize_by_definition(y, axis=axis)
    assert_close(u.numpy(), v.numpy(), tolerance)
    assert u.dtype == dtype
    if 1e-300 < scale:  # a gradient of 1e320 is none
        assert_close(mc.grad(u, x, cotangent=c), mc.grad(v, y, cotangent=c), 10 * tolerance)


@pytest.mark.filterwarnings("error")
def test_log_sum_exp_at_extremes():
    x = mc.tensor([[1000.0, 1000.0], [-1000.0, -1001.0], [-np.inf, 3.0], [-np.inf, -np.inf]])
    y = mc.logsumexp(x, axis=1)
    assert_close(y.data[:3], [1000 + math.log(2), -1000 + math.log1p(math.exp(-1)), 3], 1e-15)
    assert y.data[3] == -np.inf
    p = 1 / (1 + math.exp(-1))
    assert_close(mc.grad(y[:3].sum(), x), [[0.5, 0.5], [p, 1 - p], [0, 1], [0, 0]], 1e-14)
    s = mc.softmax(x[:3])
    assert_close(s.data, [[0.5, 0.5], [p, 1 - p], [0, 1]], 1e-14)
    assert_close(mc.log_softmax(x[:2]).data, np.log([[0.5, 0.5], [p, 1 - p]]), 1e-14)


@pytest.mark.filterwarnings("error")
def test_losses_at_extreme_logits():
    x = mc.tensor([[1000.0, 0.0], [0.0, -1000.0]])
    loss = mc.cross_entropy(x, [1, 0], reduction="none")
    assert loss.data.tolist() == [1000, 0]
    assert mc.grad(loss.sum(), x).tolist() == [[1, -1], [0, 0]]
    loss = mc.binary_cross_entropy_with_logits(x, np.array([[0.0, 1.0], [1.0, 0.0]]), reduction="none")
    assert_close(loss.data, [[1000, math.log(2)], [math.log(2), 0]], 1e-15)
    assert_close(mc.grad(loss.sum(), x), [[1, -0.5], [-0.5, 0]], 1e-15)


def test_distances_of_near_points_keep_their_digits():
    x = np.array([[1.0, 1.0], [1.0 + 1e-9, 1.0]])
    assert_close(mc.pairwise_distances(x)[0, 1], x[1, 0] - 1, 1e-15)


def test_distances_of_a_set_to_itself(rng):
    """The zeros of the diagonal have a gradient of 0, to every order."""
    x = mc.tensor(rng.standard_normal((3, 2)))
    d = mc.pairwise_distances(x)
    assert_close(d.data, cdist(x.data, x.data), 1e-15)
    g = mc.grad((d * d * d).sum(), x, differentiable=True)
    expected = 6 * (d.data[:, :, None] * (x.data[:, None] - x.data)).sum(1)
    assert_close(g.data, expected, 1e-14)
    assert np.isfinite(mc.grad(g.sum(), x)).all()


# -------------------------------------------------------------------------------------------------- meaning, as NumPy's


@pytest.mark.filterwarnings("ignore:Degrees of freedom", "ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize("ddof", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("name", ["var", "std"])
def test_too_few_values_for_a_variance(name, ddof):
    for x in (np.array([1.0, 2.0, 4.0]), np.array([3.0]), np.array([2.0, 2.0])):
        expected = getattr(np, name)(x, ddof=ddof)
        assert_close(getattr(mc, name)(x, ddof=ddof), expected, 1e-15)
        assert_close(getattr(mc, name)(x, correction=ddof), expected, 1e-15)
        assert_close(getattr(mc, name)(mc.tensor(x), ddof=ddof).data, expected, 1e-15)


def test_two_names_for_the_correction():
    with pytest.raises(ValueError, match="two names"):
        mc.var(np.ones(3), ddof=1, correction=1)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.bool_])
def test_functions_of_integers(dtype):
    """As NumPy's: sums stay whole, means and norms do not."""
    x = np.array([[1, 0, 1], [0, 1, 1]], dtype)
    for name in ("sum", "mean", "max", "var", "std", "prod", "cumsum"):
        found, expected = getattr(mc, name)(x, axis=1), getattr(np, name)(x, axis=1)
        assert found.dtype == expected.dtype, name
        assert_close(found, expected, 1e-15, what=name)
    assert_close(mc.norm(x, axis=1), np.sqrt([2, 2]), 1e-15)
    assert mc.prod(np.zeros(0, int)) == 1


def test_one_hot():
    assert mc.one_hot([1, 0]).tolist() == [[0, 1], [1, 0]]
    assert mc.one_hot(np.array([[2], [0]]), 3, dtype=np.float32).shape == (2, 1, 3)
    assert mc.one_hot(np.array([[2], [0]]), 3, dtype=np.float32).dtype == np.float32
    assert mc.one_hot(mc.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert mc.one_hot([], 3).shape == (0, 3)


def test_one_hot_on_each_device(xp):
    y = mc.one_hot(xp.asarray(np.array([1, 0])), 3)
    assert type(y) is type(xp.asarray(np.ones(1))) and mc.to_numpy(y).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_arg_functions_and_sign():
    x = mc.tensor([[1.0, 5.0, -2.0], [7.0, 0.0, 7.0]])
    assert mc.argmax(x, axis=1).tolist() == [1, 0] and mc.argmin(x, axis=0).tolist() == [0, 1, 0]
    assert mc.argmax(x) == 3 and mc.sign(x).tolist() == [[1, 1, -1], [1, 0, 1]]
    assert not isinstance(mc.sign(x), mc.Tensor)


def test_lists_of_tensors_arrays_and_numbers():
    a = mc.tensor([1.0, 2.0])
    y = mc.concatenate([a, np.array([3.0]), [4.0]])
    assert y.data.tolist() == [1, 2, 3, 4] and mc.grad((y * y).sum(), a).tolist() == [2, 4]
    assert mc.stack([a[0], 5.0]).data.tolist() == [1, 5]
    assert mc.concatenate(a for _ in range(2)).shape == (4,)
    assert [p.shape for p in mc.split(np.ones((4, 3)), 2)] == [(2, 3), (2, 3)]
    for f in (mc.concatenate, mc.stack):
        with pytest.raises(ValueError, match="empty"):
            f([])


def test_one_tensor_at_several_places_of_a_contraction(rng):
    x = mc.tensor(rng.standard_normal((3, 3)))
    c = rng.standard_normal((3, 3))
    g = mc.grad(mc.einsum("ij,jk->ik", x, x), x, cotangent=c, differentiable=True)
    assert_close(g.data, c @ x.data.T + x.data.T @ c, 1e-14)
    again = mc.grad(mc.einsum("ii,jj", x, x), x)
    assert_close(again, 2 * np.trace(x.data) * np.eye(3), 1e-14)


def test_masks_as_mask_and_as_boolean_tensor():
    x = mc.tensor([1.0, -2.0, 3.0])
    for mask in (x < 0, mc.tensor(x < 0), [False, True, False]):
        y = mc.masked_fill(x, mask, 0.0)
        assert y.data.tolist() == [1, 0, 3] and mc.grad(y.sum(), x).tolist() == [1, 0, 1]
        assert mc.where(mask, 1.0, x).data.tolist() == [1, 1, 3]


# --------------------------------------------------------------------------------------------------------- known losses


@pytest.mark.parametrize("n", [1, 2, 7])
def test_nt_xent_of_equal_embeddings(n):
    """No candidate is better than another: log of their number, whatever the temperature."""
    for temperature in (0.05, 0.5, 3.0):
        assert_close(mc.nt_xent(np.ones((n, 3)), np.ones((n, 3)), temperature), math.log(2 * n - 1), 1e-14, 1e-14)


def test_nt_xent_of_orthogonal_pairs():
    """Partners agree, all others are orthogonal: −1/τ + log(e^{1/τ} + 2N − 2)."""
    n, temperature = 3, 0.2
    expected = -1 / temperature + math.log(math.exp(1 / temperature) + 2 * n - 2)
    assert_close(mc.nt_xent(np.eye(n), np.eye(n), temperature), expected, 1e-13)


def test_invariances_of_nt_xent(rng):
    z1, z2 = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    loss = mc.nt_xent(z1, z2)
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    order = rng.permutation(5)
    for a, b in [(z2, z1), (z1[order], z2[order]), (z1 @ rotation, z2 @ rotation), (1e9 * z1, 1e-9 * z2)]:
        assert_close(mc.nt_xent(a, b), loss, 1e-14)
    leaf = mc.tensor(z1)
    g = mc.grad(mc.nt_xent(leaf, z2), leaf)
    assert_close((g * z1).sum(1), np.zeros(5), 0, 1e-15)  # the length of an embedding does not count


def test_what_nt_xent_refuses():
    z = np.ones((3, 2))
    for args, words in [
        ((z, z[:2]), "(3, 2)"),
        ((z[0], z[0]), "(N, d)"),
        ((z[:0], z[:0]), "empty"),
        ((z, z, 0.0), "positive"),
    ]:
        with pytest.raises(ValueError, match="nt_xent") as error:
            mc.nt_xent(*args)
        assert words in str(error.value)
    with pytest.raises(ValueError, match="positive"):
        mc.nt_xent(z, z, mc.tensor(-1.0))


@pytest.mark.parametrize(
    "loss",
    [mc.mse_loss, mc.binary_cross_entropy_with_logits, lambda a, b, **k: mc.cross_entropy(a, [0, 1], **k), mc.nt_xent],
)
def test_an_unknown_reduction(loss):
    with pytest.raises(ValueError, match='reduction is "mean", "sum" or "none"'):
        loss(np.ones((2, 2)), np.ones((2, 2)), reduction="average")


def test_a_loss_of_one_hot_targets_is_the_loss_of_labels(rng):
    x = rng.standard_normal((3, 5))
    assert_close(mc.cross_entropy(x, mc.one_hot(LABELS, 5)), mc.cross_entropy(x, LABELS), 1e-15)
    assert_close(mc.nll_loss(mc.log_softmax(x), LABELS), mc.cross_entropy(x, LABELS), 1e-15)
