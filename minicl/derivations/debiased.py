"""False negatives: how many there are, why more negatives do not help against them, and how a mean is cleared of them.

Classes and places take few values, so that each expectation is a sum over all batches that can be drawn. Nothing is
sampled.
"""

import itertools

import numpy as np

from ..losses import debiased as library_debiased
from ..losses import nt_xent as library_nt_xent
from . import LSE, Derivation, Index, Indicator, Mean, Product, Sum, Symbol, define, dot, exp, log, norm, positive
from . import symbols as letters

A, C, M, N, tau = letters("A C M N tau")
eta = Symbol("eta", r"\eta")

c, k = Index("c", C), Index("k", N - 1)
a = Index("a", C ** (N - 1))
share = Symbol("q")
classes = Symbol("classes", "y")
batch = define("batch", (a,), Product(share[classes[a, k]], k), latex="w", call=True)

x, v, h = Index("x", A), Index("v", A), Index("h", M)
t = Index("t", A**M)
same, other, F = Symbol("same", "p^+", call=True), Symbol("other", "p^-", call=True), Symbol("F", call=True)
negatives = Symbol("negatives", "u")
p = define("p", (x,), eta * same[x] + (1 - eta) * other[x], call=True)
mean = define("mean", (), Sum(p[x] * exp(F[x]), x), latex="m")
mean_same = define("mean_same", (), Sum(same[x] * exp(F[x]), x), latex="m^+")
mean_other = define("mean_other", (), Sum(other[x] * exp(F[x]), x), latex="m^-")
drawn = define("drawn", (t,), Product(p[negatives[t, h]], h), latex="w", call=True)
average = define("average", (t,), Mean(exp(F[negatives[t, h]]), h), latex="r", call=True)
estimate = define("estimate", (t, v), (average[t] - eta * exp(F[v])) / (1 - eta), latex="g", call=True)
lowest = define("lowest", (), exp(-1 / tau), latex="b")
bounded = define("bounded", (t, v), lowest + positive(estimate[t, v] - lowest), latex=r"\hat g", call=True)

i, o, l = (Index(name, 2 * N) for name in "iol")  # noqa: E741  (views of a batch)
z, partner = Symbol("z"), Symbol("j", call=True)
j = partner[i]
u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, o), dot(u[i], u[o]))
rest = define("rest", (i,), Sum(exp(s[i, o] / tau) * (1 - Indicator(o == j)), o, o != i) / (2 * N - 2), latex="r")
cleared = define("cleared", (i,), (rest[i] - eta * exp(s[i, j] / tau)) / (1 - eta), latex="g")
kept = define("kept", (i,), lowest + positive(cleared[i] - lowest), latex=r"\hat g")
loss = define("ell", (i,), log(1 + (2 * N - 2) * kept[i] / exp(s[i, j] / tau)), latex=r"\ell")
nt_xent = define("nt", (i,), -s[i, j] / tau + LSE(s[i, o] / tau, o, o != i), latex=r"\ell^{\mathrm{NT}}")


def _density(rng, count):
    """Shares in 1024ths, none of them zero: they sum to exactly 1."""
    return (1 + rng.multinomial(1024 - count, rng.dirichlet(np.ones(count)))) / 1024


def samples(rng, eta=None, places=3, negatives=None, temperature=None, images=None, scores=None):
    """Three places, one to three negatives; two or three classes, two to four images."""
    number = int(rng.integers(1, 4)) if negatives is None else negatives
    images = int(rng.integers(2, 5)) if images is None else images
    count = int(rng.integers(2, 4))
    temperature = float(np.exp(rng.uniform(-1.5, 1.0))) if temperature is None else temperature
    return {
        "A": places,
        "C": count,
        "M": number,
        "N": images,
        "eta": float(rng.uniform(0.05, 0.6)) if eta is None else eta,
        "tau": temperature,
        "q": _density(rng, count),
        "classes": np.array(list(itertools.product(range(count), repeat=images - 1))),
        "same": _density(rng, places),
        "other": _density(rng, places),
        "F": (rng.uniform(-1, 1, places) if scores is None else np.array(scores)) / temperature,
        "negatives": np.array(list(itertools.product(range(places), repeat=number))),
        "z": rng.standard_normal((2 * images, 3)),
        "j": (np.arange(2 * images) + images) % (2 * images),
    }


def near(rng):
    """Places of the own class are near the anchor, as training makes them."""
    world = samples(rng, negatives=4, places=2, scores=[0.8, -0.3])
    return world | {"same": np.array([0.875, 0.125]), "other": np.array([0.25, 0.75])}


def no_prior(rng):
    return samples(rng, eta=0.0)


def symbols():
    import sympy

    array = lambda name, shape, **kind: np.array(
        sympy.symbols(f"{name}1:{int(np.prod(shape)) + 1}", **kind), dtype=object
    ).reshape(shape)
    return {
        "A": 2,
        "C": 2,
        "M": 2,
        "N": 3,
        "eta": sympy.Symbol("eta", positive=True),
        "q": np.array([sympy.Symbol("q"), 1 - sympy.Symbol("q")], dtype=object),
        "classes": np.array(list(itertools.product(range(2), repeat=2))),
        "same": array("a", (2,), positive=True),
        "other": array("b", (2,), positive=True),
        "F": array("F", (2,), real=True),
        "negatives": np.array(list(itertools.product(range(2), repeat=2))),
    }


DERIVATION = D = Derivation(
    "debiased",
    "False negatives, and a mean cleared of them",
    samples=samples,
    adversarial={
        "nearly every negative is false": lambda rng: samples(rng, eta=0.95),
        "hardly any is": lambda rng: samples(rng, eta=1e-6),
        "scores of ±30": lambda rng: samples(rng, temperature=1 / 30, scores=[1.0, -1.0, 0.3]),
        "four negatives": lambda rng: samples(rng, negatives=4),
        "two images": lambda rng: samples(rng, images=2),
    },
    symbols=symbols,
    intro="First: N images with the classes y, drawn one by one with the shares q. Then: negatives u, drawn from the density "
    "p of all data, of which a part η has the class of the anchor; F(x) is the score of a candidate at x, its cosine over τ.",
    sources="Chuang et al. 2020 (arXiv:2007.00224).",
)

# -------------------------------------------------------------------------------------------------- how many there are

D.definition(
    "probability of the other classes", batch[a], "The classes of the N − 1 other images, drawn independently."
)
D.step(
    "no false negative at all",
    Sum(batch[a] * Product(1 - Indicator(c == classes[a, k]), k), a),
    (1 - share[c]) ** (N - 1),
    "Each other image must miss the class c of the anchor. The two views of an image have one class, so N − 1 stands here.",
    exactly="prove",
)
D.step(
    "expected number of false negatives",
    Sum(batch[a] * Sum(2 * Indicator(c == classes[a, k]), k), a),
    2 * (N - 1) * share[c],
    "Two views for each image of the class. Of the 2N − 2 negatives that is the share q, whatever N is.",
)

# ------------------------------------------------------------------------------------------------ what they do to a mean

D.definition("density of the data", p[x], "A part η of it has the class of the anchor.")
D.definition("mean over all data", mean, "Of the exponential that stands in the denominator of the loss.")
D.definition("mean over the own class", mean_same, "Its false negatives.")
D.definition("mean over the other classes", mean_other, "Its true negatives: the one that is wanted.")
D.step(
    "the wanted mean",
    mean_other,
    (mean - eta * mean_same) / (1 - eta),
    "The mean over all data is a mixture of the two others. Solve for the one that is wanted.",
)
D.definition("probability of a list of negatives", drawn[t], "M independent draws from all data.")
D.definition("mean over a list", average[t], "What NT-Xent has in its denominator, over M.")
D.step(
    "its expectation",
    Sum(drawn[t] * average[t], t),
    mean,
    "Each of the M terms has the mean over all data.",
)
D.step(
    "its bias",
    Sum(drawn[t] * average[t], t) - mean_other,
    eta * (mean_same - mean_other),
    "There is no M in it. It grows when training brings the own class near.",
    scale=mean + mean_other,
)
D.step(
    "its variance",
    Sum(drawn[t] * (average[t] - mean) ** 2, t),
    (Sum(p[x] * exp(2 * F[x]), x) - mean**2) / M,
    "This is what more negatives are good for.",
    scale=Sum(p[x] * exp(2 * F[x]), x),
)
D.false(
    "more negatives cure false negatives",
    Sum(drawn[t] * average[t], t),
    mean_other,
    "They cure the noise and leave the bias: the share of false negatives is the same in a list of any length.",
    samples=near,
)

# --------------------------------------------------------------------------------------------------- a mean cleared of them

D.definition(
    "estimate of the wanted mean",
    estimate[t, v],
    "The list stands for all data, and the partner v stands for the own class. No label is needed, only η.",
)
D.step(
    "it is unbiased",
    Sum(drawn[t] * Sum(same[v] * estimate[t, v], v), t),
    mean_other,
    "An expectation goes through a linear formula. The partner must be a draw from the own class.",
)
D.false(
    "any partner will do",
    Sum(drawn[t] * Sum(p[v] * estimate[t, v], v), t),
    mean_other,
    "Here the partner is drawn from all data and not from the own class, and the estimate is off again. An altered copy of "
    "the image itself is not quite a draw from its class either.",
    samples=near,
)
D.definition("the lowest mean there can be", lowest, "All cosines at −1.")
D.definition("estimate with a bound", bounded[t, v], "A mean of exponentials cannot be below b, but an estimate can.")
D.inequality(
    "the bound makes it too large",
    mean_other,
    Sum(drawn[t] * Sum(same[v] * bounded[t, v], v), t),
    "Only what was too small is changed. So this estimate errs on one side, less with longer lists.",
)
D.false(
    "with the bound it is unbiased still",
    Sum(drawn[t] * Sum(same[v] * bounded[t, v], v), t),
    mean_other,
    "A maximum is not linear.",
)

# ------------------------------------------------------------------------------------------------------------ the loss

D.definition("cosine", s[i, o], "Now N images with two views each, u = z/‖z‖; j(i) is the partner of view i.")
D.definition("mean over the negatives of a view", rest[i], "All views but i and its partner.")
D.definition("the same, cleared", cleared[i], "With the partner for the own class.")
D.definition("the same, with the bound", kept[i], "So that the logarithm below exists.")
D.definition(
    "debiased loss",
    loss[i],
    "NT-Xent with the cleared mean in its denominator.",
    code=lambda e: library_debiased(e["z"], temperature=e["tau"], class_prior=e["eta"], reduction="none")[e["at"]["i"]],
)
D.definition(
    "loss of one view",
    nt_xent[i],
    "NT-Xent itself.",
    code=lambda e: library_nt_xent(e["z"], temperature=e["tau"], reduction="none")[e["at"]["i"]],
)
D.step(
    "without a prior it is NT-Xent",
    loss[i],
    nt_xent[i],
    "With η = 0 nothing is taken off, and no mean of exponentials is below b.",
    samples=no_prior,
)
