"""The supervised contrastive loss: several positives for one anchor, and two ways to average over them.

The mean may stand outside the logarithm (out) or inside (in). The two differ in value, in gradient, and in what they ask
of a hard positive; with one positive both are NT-Xent.
"""

import numpy as np

from ..losses import multi_positive, supcon
from ..losses import nt_xent as library_nt_xent
from . import LSE, Derivation, Index, Indicator, Mean, Sum, Symbol, among, define, derivative, dot, exp, log, norm
from . import symbols as letters

M, tau = letters("M tau")
i, k, m, q = (Index(name, M) for name in "ikmq")
z, own, partner = Symbol("z"), Symbol("P", call=True), Symbol("j", call=True)
j = partner[i]

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
count = define("n", (i,), Sum(1, q, among(q, own[i])))
prob = define("p", (i, k), exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, m != i))
out = define("lout", (i,), -Sum(log(prob[i, q]), q, among(q, own[i])) / count[i], r"\ell^{\mathrm{out}}")
inside = define("lin", (i,), -log(Sum(prob[i, q], q, among(q, own[i])) / count[i]), r"\ell^{\mathrm{in}}")
loss_out = define("Lout", (), Mean(out[i], i), r"L^{\mathrm{out}}")
loss_in = define("Lin", (), Mean(inside[i], i), r"L^{\mathrm{in}}")
target = define("Y", (i, k), Indicator(among(k, own[i])) / count[i])
weight = define(
    "Q", (i, k), Indicator(among(k, own[i])) * exp(s[i, k] / tau) / Sum(exp(s[i, q] / tau), q, among(q, own[i]))
)
first = i == 1  # samples have their labels in random order, so the first anchor is any anchor
nt_xent = define("ell", (i,), -s[i, j] / tau + LSE(s[i, k] / tau, k, k != i), r"\ell")
loss = define("L", (), Mean(nt_xent[i], i))


def _with_labels(z, labels, temperature):
    sets = [[p for p in range(len(z)) if p != i and labels[p] == labels[i]] for i in range(len(z))]
    return {"M": len(z), "tau": temperature, "z": z, "P": sets, "labels": labels}


def samples(rng):
    """Five views of two classes, at a temperature between 0.1 and 3."""
    z = rng.standard_normal((5, int(rng.integers(2, 4))))
    labels = rng.permutation([0, 0, 0, 1, 1])
    return _with_labels(z, labels, float(np.exp(rng.uniform(-2.3, 1.1))))


def pairs(rng):
    """Each image is its own class: one positive for each anchor."""
    n = int(rng.integers(2, 4))
    z, rows = rng.standard_normal((2 * n, 2)), np.arange(2 * n)
    return _with_labels(z, rows % n, float(np.exp(rng.uniform(-2.3, 1.1)))) | {"j": (rows + n) % (2 * n)}


def one_class(rng):
    """All views are of one class, and in one place."""
    return _with_labels(np.ones((4, 2)), np.zeros(4, dtype=int), float(np.exp(rng.uniform(-2.3, 1.1))))


ADVERSARIAL = {
    "temperature 0.02": lambda rng: _with_labels(rng.standard_normal((5, 3)), np.array([0, 1, 0, 1, 0]), 0.02),
    "temperature 50": lambda rng: _with_labels(rng.standard_normal((4, 3)), np.array([0, 1, 0, 1]), 50.0),
    "all embeddings equal": lambda rng: _with_labels(np.ones((4, 2)), np.array([0, 1, 0, 1]), 0.5),
    "one class": lambda rng: _with_labels(rng.standard_normal((4, 2)), np.zeros(4, dtype=int), 0.5),
    "lengths from 1e-3 to 1e3": lambda rng: _with_labels(
        rng.standard_normal((4, 2)) * np.logspace(-3, 3, 4)[:, None], np.array([0, 0, 1, 1]), 0.5
    ),
}


def symbols():
    """Four views of one class and one of another pair: cosines that are free symbols."""
    import sympy

    cosines = np.array(sympy.symbols("s1:17", real=True), dtype=object).reshape(4, 4)
    sets = [[1, 2], [0, 2], [0, 1], [0]]
    return {"M": 4, "tau": sympy.Symbol("tau", positive=True), "s": cosines, "P": sets}


def _library(form):
    return lambda env: supcon(env["z"], env["labels"], env["tau"], form=form, reduction="none")[env["at"]["i"]]


DERIVATION = D = Derivation(
    "supcon",
    "Several positives: SupCon",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="There are M views with labels. P(i) are the other views with the label of anchor i; all others are candidates too.",
    sources="Khosla et al. 2020 (arXiv:2004.11362).",
)

D.definition("number of positives", count[i], "How many views share the label of anchor i.")
D.definition("probability of a candidate", prob[i, k], "The softmax over all other views.", where=k != i)
D.definition("mean outside the logarithm", out[i], "The mean of the losses of all positives.", code=_library("out"))
D.definition("mean inside the logarithm", inside[i], "The loss of the mean probability.", code=_library("in"))
D.inequality(
    "in is never more than out",
    inside[i],
    out[i],
    "Jensen: the logarithm of a mean is at least the mean of the logarithms.",
)
D.false(
    "in is out",
    inside[i],
    out[i],
    "Equal only where all positives of the anchor are equally near. Inside, one near positive is enough.",
)

D.inequality(
    "the floor",
    log(count[i]),
    inside[i],
    "Probabilities sum to at most 1, so n positives have at most 1/n each on average.",
)
D.false(
    "a perfect class costs nothing",
    out[i],
    0,
    "All views of one class in one place, no negatives at all: the loss is still log n. They compete for the softmax.",
    samples=one_class,
)
D.step(
    "what a perfect class costs",
    out[i],
    log(count[i]),
    "Each of the n positives has probability 1/n.",
    samples=one_class,
)

D.definition("target", target[i, k], "Equal shares for all positives.", where=k != i)
D.step(
    "slope of out",
    derivative(out[i], s[i, k]),
    (prob[i, k] - target[i, k]) / tau,
    "A softmax minus its target, as for a cross-entropy whose target is spread over the positives.",
    where=(k != i, first),
    exactly="prove",
)
D.definition("share of a positive", weight[i, k], "The softmax over the positives alone.", where=k != i)
D.step(
    "slope of in",
    derivative(inside[i], s[i, k]),
    (prob[i, k] - weight[i, k]) / tau,
    "The near positives are pulled most, the far ones hardly: they are given up.",
    where=(k != i, first),
    exactly="prove",
)
D.false(
    "both have one slope",
    derivative(inside[i], s[i, k]),
    derivative(out[i], s[i, k]),
    "Out pulls all positives with one target, in with shares that follow the softmax.",
    where=(k != i, first),
)
D.definition(
    "loss, mean outside",
    loss_out,
    "The mean over all anchors.",
    code=lambda env: supcon(env["z"], env["labels"], env["tau"]),
)
D.definition(
    "loss, mean inside",
    loss_in,
    "The mean over all anchors.",
    code=lambda env: supcon(env["z"], env["labels"], env["tau"], form="in"),
)
D.step(
    "gradient of out",
    derivative(loss_out, u[i]),
    Sum((prob[i, k] - target[i, k] + (prob[k, i] - target[k, i])) * u[k], k, k != i) / (M * tau),
    "Each view acts twice: as an anchor, and as a candidate of the others.",
    where=first,
)
D.step(
    "gradient of in",
    derivative(loss_in, u[i]),
    Sum((prob[i, k] - weight[i, k] + (prob[k, i] - weight[k, i])) * u[k], k, k != i) / (M * tau),
    "The same with the other weights.",
    where=first,
)
D.definition(
    "loss of one view",
    nt_xent[i],
    "NT-Xent, where the partner is the one positive.",
    code=lambda env: library_nt_xent(env["z"], temperature=env["tau"], reduction="none")[env["at"]["i"]],
    samples=pairs,
)
D.step(
    "one positive: out is NT-Xent",
    out[i],
    nt_xent[i],
    "With a label of its own for each image, P(i) is the partner alone, and a mean over one is no mean.",
    samples=pairs,
)
D.step(
    "one positive: in is NT-Xent",
    inside[i],
    nt_xent[i],
    "So where labels are unique, in and out agree.",
    samples=pairs,
)
D.definition(
    "two views of each image",
    loss,
    "The multi-view loss of the library with V = 2 is NT-Xent.",
    code=lambda env: multi_positive(np.stack(np.split(env["z"], 2)), env["tau"]),
    samples=pairs,
)
