"""Every contrastive loss against its definition in plain loops: value, gradients to order 2, dtype, memory, each library.

What a loss is known to be (known answers, invariances, identities) is in test_losses_facts, what it refuses in
test_losses_refusals. The losses of classification are in test_functional.
"""

import inspect
import math

import checks
import numpy as np
import pytest
from samples import exactly, normal, sample

import minicl as mc
from minicl import losses

# ------------------------------------------------------------------- the definitions, one pair and one number at a time


def reduce(values, reduction="mean", count=None):
    values = np.array(values, dtype=float)
    return {"none": values, "sum": values.sum(), "mean": values.sum() / (len(values) if count is None else count)}[
        reduction
    ]


def cos(a, b):
    return sum(a * b) / math.sqrt(sum(a * a) * sum(b * b))


def lse(scores):
    top = max(scores)
    return top + math.log(sum(math.exp(s - top) for s in scores))


def log_sigmoid(x):
    return -lse([0.0, -x])


def anchors(z1, z2, layout="stacked"):
    """Pairs (i, j, others) for each row of all the views, and the rows."""
    if z2 is not None:
        z = [*z1, *z2]
    else:
        z = list(z1)
    n = len(z) // 2
    for i in range(2 * n):
        j = (i + n) % (2 * n) if layout == "stacked" else i + (1 if i % 2 == 0 else -1)
        yield cos(z[i], z[j]), [cos(z[i], z[k]) for k in range(2 * n) if k not in (i, j)]


def nt_xent(z1, z2=None, temperature=0.5, layout="stacked", reduction="mean"):
    values = []
    for s, others in anchors(z1, z2, layout):
        values.append(lse([s / temperature] + [o / temperature for o in others]) - s / temperature)
    return reduce(values, reduction)


def dcl(z1, z2=None, temperature=0.5, layout="stacked", reduction="mean"):
    values = [lse([o / temperature for o in others]) - s / temperature for s, others in anchors(z1, z2, layout)]
    return reduce(values, reduction)


def debiased(z1, z2=None, temperature=0.5, class_prior=0.1, layout="stacked", reduction="mean"):
    values = []
    for s, others in anchors(z1, z2, layout):
        mean = sum(math.exp(o / temperature) for o in others) / len(others)
        g = (mean - class_prior * math.exp(s / temperature)) / (1 - class_prior)
        g = max(g, math.exp(-1 / temperature))
        p = math.exp(s / temperature)
        values.append(-math.log(p / (p + len(others) * g)))
    return reduce(values, reduction)


def info_nce(queries, keys, temperature=0.5, negatives=(), symmetric=False, reduction="mean"):
    values = []
    for i in range(len(queries)):
        value = lse([cos(queries[i], k) / temperature for k in [*keys, *negatives]])
        value -= cos(queries[i], keys[i]) / temperature
        if symmetric:
            value += lse([cos(q, keys[i]) / temperature for q in queries]) - cos(queries[i], keys[i]) / temperature
            value /= 2
        values.append(value)
    return reduce(values, reduction)


def moco(queries, temperature=0.07, reduction="mean"):
    values = []
    for q, k in zip(queries, KEYS):
        scores = [cos(q, c) / temperature for c in [k, *QUEUE]]
        values.append(lse(scores) - scores[0])
    return reduce(values, reduction)


def memory_bank(z, temperature=0.07, negatives=None, reduction="mean"):
    values = []
    for i, own in enumerate(INDEX):
        others = [k for k in range(len(QUEUE)) if k != own] if negatives is None else negatives[i]
        scores = [cos(z[i], QUEUE[k]) / temperature for k in [own, *others]]
        values.append(lse(scores) - scores[0])
    return reduce(values, reduction)


def distance(a, b, squared=False):
    d = sum((a - b) ** 2)
    return d if squared else math.sqrt(d)


def contrastive(x1, x2, similar, margin=1.0, reduction="mean"):
    values = []
    for a, b, same in zip(x1, x2, similar):
        d = distance(a, b)
        values.append(d * d / 2 if same else max(0.0, margin - d) ** 2 / 2)
    return reduce(values, reduction)


def triplet(anchor, positive, negative, margin=1.0, squared=False, reduction="mean"):
    values = [
        max(0.0, distance(a, p, squared) - distance(a, n, squared) + margin)
        for a, p, n in zip(anchor, positive, negative)
    ]
    return reduce(values, reduction)


def mined_triplet(z, labels, margin=1.0, mining="all", squared=False, reduction="mean"):
    n, values, left_out = len(z), [], 0

    def d(i, j):
        return distance(z[i], z[j], squared)

    def hinge(a, p, n):
        return max(0.0, d(a, p) - d(a, n) + margin)

    for a in range(n):
        positives = [p for p in range(n) if p != a and labels[p] == labels[a]]
        negatives = [k for k in range(n) if labels[k] != labels[a]]
        if mining == "all":
            values += [hinge(a, p, k) for p in positives for k in negatives]
        elif mining == "batch_hard":
            if positives and negatives:
                furthest, closest = max(positives, key=lambda p: d(a, p)), min(negatives, key=lambda k: d(a, k))
                values.append(hinge(a, furthest, closest))
            else:
                values.append(0.0)
                left_out += 1
        elif negatives:
            for p in positives:
                further = [k for k in negatives if d(a, k) > d(a, p)]
                if further:
                    values.append(hinge(a, p, min(further, key=lambda k: d(a, k))))
                else:
                    values.append(0.0)
                    left_out += 1
    return reduce(values, reduction, max(len(values) - left_out, 1))


def n_pair(anchors, positives, l2=0.0, reduction="mean"):
    values = []
    for a, own in zip(anchors, positives):
        penalty = l2 * (sum(a * a) + sum(own * own)) / 2
        values.append(math.log(sum(math.exp(sum(a * p) - sum(a * own)) for p in positives)) + penalty)
    return reduce(values, reduction)


def nce(scores, noise_scores, log_q, noise_log_q, reduction="mean"):
    values = []
    for s, row, q, row_q in zip(scores, noise_scores, log_q, noise_log_q):
        k = len(row)
        h = math.exp(s) / (math.exp(s) + k * math.exp(q))
        noise = sum(math.log(1 - math.exp(t) / (math.exp(t) + k * math.exp(r))) for t, r in zip(row, row_q))
        values.append(-math.log(h) - noise)
    return reduce(values, reduction)


def ranking_nce(scores, noise_scores, log_q=None, noise_log_q=None, reduction="mean"):
    log_q = np.zeros_like(scores) if log_q is None else log_q
    noise_log_q = np.zeros_like(noise_scores) if noise_log_q is None else noise_log_q
    values = []
    for s, row, q, row_q in zip(scores, noise_scores, log_q, noise_log_q):
        values.append(lse([s - q, *(row - row_q)]) - (s - q))
    return reduce(values, reduction)


def supcon(z, labels, temperature=0.5, form="out", reduction="mean"):
    n, values, count = len(z), [], 0
    for i in range(n):
        s = [cos(z[i], z[k]) / temperature for k in range(n)]
        total = lse([s[k] for k in range(n) if k != i])
        of_positives = [total - s[p] for p in range(n) if p != i and labels[p] == labels[i]]
        count += bool(of_positives)
        if not of_positives:
            values.append(0.0)
        elif form == "out":
            values.append(sum(of_positives) / len(of_positives))
        else:
            values.append(-math.log(sum(math.exp(-x) for x in of_positives) / len(of_positives)))
    return reduce(values, reduction, count)


def multi_positive(views, temperature=0.5, form="out", reduction="mean"):
    v, n, _ = views.shape
    return supcon([views[a, i] for a in range(v) for i in range(n)], [*range(n)] * v, temperature, form, reduction)


def skip_gram(centers, contexts, negatives, reduction="mean"):
    values = []
    for v, c, row in zip(centers, contexts, negatives):
        values.append(-log_sigmoid(sum(c * v)) - sum(log_sigmoid(-sum(n * v)) for n in row))
    return reduce(values, reduction)


def siglip(z1, z2, temperature=0.1, bias=-10.0, reduction="mean"):
    n = len(z1)
    values = [
        -sum(log_sigmoid((1 if i == j else -1) * (cos(z1[i], z2[j]) / temperature + bias)) for j in range(n))
        for i in range(n)
    ]
    return reduce(values, reduction)


def unit(a):
    return a / math.sqrt(sum(a * a))


def align(z1, z2, alpha=2):
    return np.array(sum(distance(unit(a), unit(b)) ** alpha for a, b in zip(z1, z2)) / len(z1))


def uniform(z, t=2.0):
    pairs = [(i, j) for j in range(len(z)) for i in range(j)]
    return np.array(math.log(sum(math.exp(-t * distance(unit(z[i]), unit(z[j]), True)) for i, j in pairs) / len(pairs)))


# ------------------------------------------------------------------------------------------------------------ the table

FIXED = np.random.default_rng(3)
KEYS, QUEUE, INDEX = FIXED.standard_normal((3, 5)), FIXED.standard_normal((7, 5)), np.array([6, 0, 2])
CLASSES, SIMILAR = np.array([1, 0, 2, 1, 0, 1, 3]), np.array([True, False, False])
NEGATIVES = np.array([[1, 2], [2, 2], [4, 6]])


def beside(z, constant):
    """A constant of the table in the library of z, and in its precision."""
    raw = z.data if isinstance(z, mc.Tensor) else z
    return mc.namespace(raw).asarray(constant, dtype=raw.dtype if constant.dtype == float else int)


def to_moco(queries, *args, **options):
    return losses.moco(queries, beside(queries, KEYS), beside(queries, QUEUE), *args, **options)


def to_bank(z, *args, **options):
    return losses.memory_bank(z, beside(z, QUEUE), beside(z, INDEX), *args, **options)


τ = exactly(0.7)
pair = (normal(3, 5), normal(3, 5))
MINED = [
    sample(mined_triplet, normal(7, 2), CLASSES, mining=mining, **options)
    for mining in ("all", "semi_hard", "batch_hard")
    for options in ({}, {"squared": True, "reduction": "none"}, {"margin": 0.3, "reduction": "sum"})
]
LOSSES = {
    "nt_xent": (
        losses.nt_xent,
        [
            sample(nt_xent, *pair),
            sample(nt_xent, normal(3, 2), normal(3, 2), τ),
            sample(nt_xent, normal(6, 5), None, 0.3, reduction="none"),
            sample(nt_xent, normal(6, 5), None, τ, layout="interleaved", reduction="none"),
            sample(nt_xent, normal(2, 3), normal(2, 3), 0.2, reduction="none"),
            sample(nt_xent, *pair, reduction="sum"),
            sample(nt_xent, normal(1, 3), normal(1, 3), τ),
        ],
    ),
    "dcl": (
        losses.dcl,
        [
            sample(dcl, *pair, τ),
            sample(dcl, normal(6, 5), None, 0.3, layout="interleaved", reduction="none"),
            sample(dcl, normal(2, 3), normal(2, 3), reduction="sum"),
        ],
    ),
    "debiased": (
        losses.debiased,
        [
            sample(debiased, *pair, τ),
            sample(debiased, *pair, τ, class_prior=0.3, reduction="none"),
            sample(debiased, normal(6, 5), None, 0.3, 0.0, layout="interleaved", reduction="sum"),
            sample(debiased, normal(2, 3), normal(2, 3), τ, 0.6, reduction="none"),  # some at the lower bound
        ],
    ),
    "info_nce": (
        losses.info_nce,
        [
            sample(info_nce, *pair),
            sample(info_nce, *pair, τ, normal(2, 5), reduction="none"),
            sample(info_nce, *pair, τ, symmetric=True, reduction="none"),
            sample(info_nce, *pair, 0.3, symmetric=True),
            sample(info_nce, normal(1, 5), normal(1, 5), τ, reduction="sum"),
        ],
    ),
    "moco": (to_moco, [sample(moco, normal(3, 5), τ, reduction=r) for r in ("mean", "sum", "none")]),
    "memory_bank": (
        to_bank,
        [
            sample(memory_bank, normal(3, 5), τ),
            sample(memory_bank, normal(3, 5), 0.3, reduction="none"),
            sample(memory_bank, normal(3, 5), τ, NEGATIVES, reduction="none"),
            sample(memory_bank, normal(3, 5), 0.3, NEGATIVES, reduction="sum"),
        ],
    ),
    "contrastive": (
        losses.contrastive,
        [
            sample(contrastive, *pair, SIMILAR, margin=4.0),
            sample(contrastive, *pair, SIMILAR, reduction="none"),
            sample(contrastive, *pair, SIMILAR, 3.0, reduction="sum"),
        ],
    ),
    "triplet": (
        losses.triplet,
        [
            sample(triplet, *pair, normal(3, 5)),
            sample(triplet, *pair, normal(3, 5), squared=True, reduction="none"),
            sample(triplet, *pair, normal(3, 5), 0.2, reduction="sum"),
        ],
    ),
    "mined_triplet": (losses.mined_triplet, MINED),
    "n_pair": (
        losses.n_pair,
        [
            sample(n_pair, *pair),
            sample(n_pair, *pair, 0.3, reduction="none"),
            sample(n_pair, *pair, l2=0.1, reduction="sum"),
        ],
    ),
    "nce": (
        losses.nce,
        [
            sample(nce, normal(3), normal(3, 2), normal(3), normal(3, 2), scales=(0.03, 1.0)),
            sample(nce, normal(3), normal(3, 5), normal(3), normal(3, 5), scales=(0.03, 1.0), reduction="none"),
            sample(nce, normal(2), normal(2, 1), normal(2), normal(2, 1), scales=(0.03, 1.0), reduction="sum"),
        ],
    ),
    "ranking_nce": (
        losses.ranking_nce,
        [
            sample(ranking_nce, normal(3), normal(3, 2), normal(3), normal(3, 2)),
            sample(ranking_nce, normal(3), normal(3, 5), reduction="none"),
            sample(ranking_nce, normal(3), normal(3, 1), reduction="sum"),
        ],
    ),
    "supcon": (
        losses.supcon,
        [
            sample(supcon, normal(7, 5), CLASSES, temperature, form=form, reduction=reduction)
            for form in ("out", "in")
            for temperature, reduction in ((τ, "mean"), (τ, "sum"), (0.7, "none"))
        ],
    ),
    "multi_positive": (
        losses.multi_positive,
        [
            sample(multi_positive, normal(3, 2, 5), τ),
            sample(multi_positive, normal(3, 2, 5), τ, form="in", reduction="none"),
            sample(multi_positive, normal(2, 3, 5), reduction="sum"),
            sample(multi_positive, normal(3, 1, 5), τ),  # no negatives
        ],
    ),
    "skip_gram": (
        losses.skip_gram,
        [
            sample(skip_gram, normal(3, 5), normal(3, 5), normal(3, 2, 5)),
            sample(skip_gram, normal(2, 3), normal(2, 3), normal(2, 1, 3), reduction="none"),
            sample(skip_gram, normal(2, 3), normal(2, 3), normal(2, 5, 3), reduction="sum"),
        ],
    ),
    "siglip": (
        losses.siglip,
        [
            sample(siglip, *pair),
            sample(siglip, *pair, τ, exactly(-1.5), reduction="none"),
            sample(siglip, *pair, 0.5, 0.3, reduction="sum"),
        ],
    ),
    "align": (losses.align, [sample(align, *pair, *alpha) for alpha in [(), (1,), (3.0,), (0.5,)]]),
    "uniform": (losses.uniform, [sample(uniform, normal(5, 3)), sample(uniform, normal(2, 3), t=0.7)]),
}
for _, rows in LOSSES.values():  # the first at every scale; the others tell options apart
    rows[1:] = [row._replace(scales=(1.0,)) for row in rows[1:]]
KINKS = ("contrastive", "triplet", "mined_triplet")
CASES = [pytest.param(f, s, id=f"{name}-{k}") for name, (f, rows) in LOSSES.items() for k, s in enumerate(rows)]


def cases(keep=lambda name: True):
    return pytest.mark.parametrize("f, sample", [c for c in CASES if keep(c.id.split("-")[0])])


def test_every_loss_has_samples():
    public = {name for name, f in vars(losses).items() if inspect.isfunction(f) and not name.startswith("_")}
    assert public == set(losses.__all__)
    assert public - set(vars(losses.classification)) == set(LOSSES)


@pytest.mark.filterwarnings("error")
@cases()
def test_value(f, sample, xp, rng, request):
    checks.check_value(f, sample, xp, rng, request.node.name)


@pytest.mark.filterwarnings("error")
@cases()
def test_gradients_of_order_1_and_2(f, sample, rng, request):
    checks.check_gradients(f, sample, np, rng, request.node.name)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_order_1_and_2_on_the_other_device(name, gpu, rng, request):
    """The first sample of each loss; the gradients of all samples are taken there in test_dtype_is_kept."""
    f, rows = LOSSES[name]
    checks.check_gradients(f, rows[0], gpu, rng, request.node.name)


@cases(lambda name: name not in KINKS)
def test_gradients_to_the_last_digits(f, sample, rng, request):
    checks.check_last_digits(f, sample, rng, request.node.name)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 2e-2), (np.float32, 1e-5), (np.float64, 1e-15)])
@cases()
def test_dtype_is_kept(f, sample, dtype, tolerance, xp, rng, request):
    checks.check_dtype(f, sample, dtype, tolerance, xp, rng, request.node.name)


@cases()
def test_layout_of_memory_does_not_matter(f, sample, rng):
    checks.check_layout(f, sample, rng)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_checker_to_order_2(name, rng):
    """The library's own checker, with other weights and steps than the tests above; τ and the bias are arguments too."""
    f, rows = LOSSES[name]
    sample = next((row for row in rows if any(a is τ for a in row.args)), rows[0])
    arrays = sample.draw(rng)
    report = mc.gradcheck.check(lambda *args: f(*args, **sample.params), *arrays, argnums=sample.drawn, order=2)
    assert report.passed


def test_the_gradient_checker_to_order_3(rng):
    z1, z2 = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    assert mc.gradcheck.check(losses.nt_xent, z1, z2, 0.5, order=3).passed
    assert mc.gradcheck.check(
        lambda z, t: losses.supcon(z, [0, 0, 1], t), rng.standard_normal((3, 2)), 0.5, order=3
    ).passed


@pytest.mark.parametrize("name", LOSSES)
def test_no_operation_makes_nan_in_any_order(name, rng):
    """The masks hold −inf, and −inf times 0 would be NaN."""
    f, rows = LOSSES[name]
    for row in rows:
        with mc.detect_anomaly():
            y, leaves = checks.call(f, np, row, row.draw(rng))
            g = mc.grad(y, leaves, cotangent=rng.standard_normal(y.shape), differentiable=True)
            second = mc.grad(sum(mc.sum(x * x) for x in g), leaves, differentiable=True)
            mc.grad(sum(mc.sum(x * x) for x in second), leaves)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("align", "uniform")])
def test_reductions_agree(name, rng):
    f, rows = LOSSES[name]
    sample = rows[0]
    arrays = sample.draw(rng)
    options = {key: value for key, value in sample.params.items() if key != "reduction"}
    each = f(*arrays, **options, reduction="none")
    assert each.ndim == 1
    total = f(*arrays, **options, reduction="sum")
    mean = f(*arrays, **options)
    assert abs(total - each.sum()) <= 1e-14 * abs(total)
    count = np.count_nonzero(each) if name == "supcon" else len(each)
    assert abs(mean - total / count) <= 1e-14 * abs(mean)
