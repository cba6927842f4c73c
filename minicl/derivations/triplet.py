"""The triplet losses and the soft loss with a temperature: which limit leads from one to the other, and which step is false.

An anchor, one positive, M negatives. Scores are cosines; distances are measured between the points as they are.
"""

import numpy as np

from .. import losses
from . import Derivation, Index, Max, Number, Sum, Symbol, define, derivative, dot, exp, log, norm, sigmoid, softplus
from . import positive as plus
from . import symbols as letters
from .expression import Fraction

M, tau, m, c, x, y = letters("M tau m c x y")
D_p, D_n, E_p, E_n = letters("D_p D_n E_p E_n")
half = Number(Fraction(1, 2))
k = Index("k", M)
a, p, n = Symbol("a"), Symbol("p"), Symbol("n")

u = define("u", (), a / norm(a))
v = define("v", (), p / norm(p))
w = define("w", (k,), n[k] / norm(n[k]))
s_p = define("s_p", (), dot(u, v), "s_p")
s = define("s", (k,), dot(u, w[k]))
loss = define("ell", (), -log(exp(s_p / tau) / (exp(s_p / tau) + Sum(exp(s[k] / tau), k))), r"\ell")
with_margin = define("ell_m", (), log(1 + Sum(exp((s[k] - s_p + m) / tau), k)), r"\ell_m")
hinge = plus(Max(s[k], k) - s_p)
margin_hinge = plus(Max(s[k], k) - s_p + m)

d_p = define("d_p", (), norm(a - p), "d_p")
d = define("d", (k,), norm(a - n[k]))
near = define("A", (), half * d_p**2)
far = define("B", (k,), half * plus(m - d[k]) ** 2)
triplet = define("T", (k,), plus(d_p - d[k] + m))
squared = define("Q", (k,), plus(norm(a - p) ** 2 - norm(a - n[k]) ** 2 + m))


def pair(x, y):
    """The pairwise loss of a similar pair at distance x and another pair at distance y."""
    return half * x**2 + half * plus(m - y) ** 2


def relative(x, y):
    """The triplet loss at the distances x and y."""
    return plus(x - y + m)


def _points(rng, count, temperature, margin, **more):
    made = {name: rng.standard_normal(shape) for name, shape in (("a", 3), ("p", 3), ("n", (count, 3)))}
    distances = {name: float(rng.uniform(0, 2)) for name in ("D_p", "D_n", "E_p", "E_n")}
    numbers = {"M": count, "tau": temperature, "m": margin, "c": float(rng.uniform(0.5, 2)), "y": float(rng.normal())}
    return {**made, **distances, **numbers, "x": float(rng.uniform(0, 1)), **more}


def samples(rng):
    """One to three negatives in space, a temperature between 0.05 and 2, a margin between 0.2 and 1.5."""
    return _points(rng, int(rng.integers(1, 4)), float(np.exp(rng.uniform(-3, 0.7))), float(rng.uniform(0.2, 1.5)))


def one(rng):
    """A single negative."""
    return _points(rng, 1, float(np.exp(rng.uniform(-3, 0.7))), float(rng.uniform(0.2, 1.5)))


def several(rng):
    """Two or three negatives."""
    return _points(rng, int(rng.integers(2, 4)), float(np.exp(rng.uniform(-3, 0.7))), float(rng.uniform(0.2, 1.5)))


def collapsed(rng):
    """All points at one place."""
    env = samples(rng)
    return {**env, "p": env["a"].copy(), "n": np.tile(env["a"], (env["M"], 1))}


def inside(rng):
    """Every negative nearer than the margin."""
    env = samples(rng)
    return {**env, "m": float(np.linalg.norm(env["a"] - env["n"], axis=1).max() + rng.uniform(0.1, 1))}


def beyond(rng):
    """Every negative beyond the margin."""
    env = samples(rng)
    return {**env, "m": float(np.linalg.norm(env["a"] - env["n"], axis=1).min() * rng.uniform(0.1, 0.9))}


def active(rng):
    """Every triplet active, with plain and with squared distances."""
    env = samples(rng)
    gaps = [
        np.linalg.norm(env["a"] - env["n"], axis=1) ** power - np.linalg.norm(env["a"] - env["p"]) ** power
        for power in (1, 2)
    ]
    return {**env, "m": float(max(0.0, np.max(gaps)) + rng.uniform(0.1, 1))}


def resting(rng):
    """No triplet active: the positive is near, the negatives are far."""
    env = samples(rng)
    away = rng.standard_normal((env["M"], 3))
    away *= (env["m"] + 2) / np.linalg.norm(away, axis=1, keepdims=True)
    return {**env, "p": env["a"] + rng.uniform(-0.5, 0.5, 3), "n": env["a"] + away}


def _opposite(rng):
    env = _points(rng, 3, 0.05, 0.5)
    return {**env, "p": 2 * env["a"], "n": -env["a"] * np.array([[1.0], [2.0], [0.5]])}


def _worst(rng):
    env = _points(rng, 3, 0.05, 0.5)
    return {**env, "p": -env["a"], "n": env["a"] * np.array([[1.0], [2.0], [0.5]])}


ADVERSARIAL = {
    "temperature 0.01": lambda rng: _points(rng, 3, 0.01, 0.3),
    "temperature 100": lambda rng: _points(rng, 3, 100.0, 0.3),
    "all points equal": collapsed,
    "positive along the anchor, negatives opposite": _opposite,
    "positive opposite, negatives along the anchor": _worst,
    "lengths from 1e-3 to 1e3": lambda rng: {
        **(env := _points(rng, 2, 0.1, 0.5)),
        "a": 1e3 * env["a"],
        "n": env["n"] * np.array([[1e-3], [1e2]]),
    },
}


def symbols():
    """Scores that are free symbols, two negatives; two points on a line for the distances."""
    import sympy

    real = lambda names: np.array(sympy.symbols(names, real=True), dtype=object)
    names = "m c x y D_p D_n E_p E_n"
    free = dict(zip(names.split(), sympy.symbols(names, positive=True)))
    return {
        **free,
        "M": 2,
        "tau": sympy.Symbol("tau", positive=True),
        "s_p": sympy.Symbol("s_p", real=True),
        "s": real("s1:3"),
        "u": real("u1:3"),
        "a": real("a1:3"),
        "p": real("p1:3"),
        "n": real("n1:5").reshape(2, 2),
    }


def _row(x):
    return np.asarray(x, float)[None]


def _negative(env):
    return _row(env["n"][env["at"]["k"]])


DERIVATION = D = Derivation(
    "triplet",
    "From the temperature to the triplet, and why the triplet is not a pairwise loss",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="An anchor a, a positive p and M negatives. u, v and w have length 1; d is a distance between the points as they are.",
    sources=(
        "Hadsell et al. 2006 for the pairwise loss; Schroff et al. 2015 (arXiv:1503.03832) and Hermans et al. 2017 "
        "(arXiv:1703.07737) for triplets; Khosla et al. 2020 (arXiv:2004.11362), appendix, for the expansion that is examined."
    ),
)

# ------------------------------------------------------------------------------------------------ scores and distances

D.definition("score of the positive", s_p, "A cosine: u and v have length 1.")
D.definition("score of a negative", s[k], "Again a cosine.")
D.step(
    "squared distance on the sphere",
    norm(u - v) ** 2,
    2 - 2 * s_p,
    "Multiply out; both vectors have length 1.",
)
D.step(
    "scores and squared distances",
    s[k] - s_p,
    half * (norm(u - v) ** 2 - norm(u - w[k]) ** 2),
    "So a difference of scores is half a difference of squared distances.",
)

# ---------------------------------------------------------------------------------------- the soft loss and its limits

D.definition(
    "loss of one anchor",
    loss,
    "NT-Xent (or InfoNCE) of one anchor: the positive among M + 1 candidates.",
    code=lambda e: losses.info_nce(_row(e["a"]), _row(e["p"]), e["tau"], negatives=e["n"]),
)
D.step(
    "one sum under the logarithm",
    loss,
    log(1 + Sum(exp((s[k] - s_p) / tau), k)),
    "Divide above and below by the exponential of the positive.",
    exactly="prove",
)
D.step(
    "one negative: the soft triplet loss",
    loss,
    softplus((norm(u - v) ** 2 - norm(u - w[1]) ** 2) / (2 * tau)),
    "With a single negative the loss is a softplus of the difference of two squared distances.",
    samples=one,
)
D.step(
    "its slope",
    derivative(loss, s_p),
    -sigmoid((s[1] - s_p) / tau) / tau,
    "Where the hinge switches between 0 and 1, the soft loss has a sigmoid.",
    samples=one,
)
D.inequality(
    "not less than the hinge",
    hinge,
    tau * loss,
    "A sum of exponentials is at least its largest term, and 1 is one of the terms.",
)
D.inequality(
    "one negative: at most τ log 2 more",
    tau * loss,
    hinge + tau * log(2),
    "Two terms are at most twice the larger one. As τ → 0 the soft triplet becomes the hinge.",
    samples=one,
)
D.inequality(
    "M negatives: at most τ log(M + 1) more",
    tau * loss,
    hinge + tau * log(M + 1),
    "Of M + 1 terms each is at most the largest. As τ → 0 only the hardest negative is left: batch-hard, with margin 0.",
)
D.false(
    "a bound without the positive",
    tau * loss,
    hinge + tau * log(M),
    "The positive is one of the terms: at equal scores there are M + 1 of them.",
    relation="<=",
)
D.step(
    "where the bound is reached",
    tau * loss,
    hinge + tau * log(M + 1),
    "If all points are equal, all terms are 1: the bound cannot be made smaller.",
    samples=collapsed,
    given=(a, "=", p, "=", n[1]),
)
D.definition("loss with a margin", with_margin, "The score of the positive is lowered by m before it is compared.")
D.inequality(
    "with a margin, from below",
    margin_hinge,
    tau * with_margin,
    "The same argument, with s_p − m in place of s_p.",
)
D.inequality(
    "with a margin, from above",
    tau * with_margin,
    margin_hinge + tau * log(M + 1),
    "So the margin has to be put in. The temperature does not make one.",
)
D.inequality(
    "at most the sum of the soft triplets",
    loss,
    Sum(softplus((s[k] - s_p) / tau), k),
    "Multiplied out, the product of all 1 + e has further terms, none of them negative.",
)
D.false(
    "a sum of soft triplets",
    loss,
    Sum(softplus((s[k] - s_p) / tau), k),
    "Many negatives stand under one logarithm. With two or more the sum of the soft triplets is larger.",
    samples=several,
)

# ------------------------------------------------------------- the expansion that gives a margin that is not there

D.approximation(
    "far below zero",
    log(1 + x),
    x,
    "With x = e to the y this is right where y is far below 0: an easy negative.",
    variable=x,
    order=2,
    start=0.1,
)
D.approximation(
    "near zero",
    exp(y),
    1 + y,
    "And this is right where y is near 0. There x = e to the y is near 1, and not small.",
    variable=y,
    order=2,
    start=0.1,
)
D.false(
    "both at once",
    softplus(y),
    1 + y,
    "Each expansion is used where only the other holds. At y = 0 the left side is log 2, the right side 1.",
    samples=lambda rng: {"y": 0.0},
)
D.false(
    "a triplet loss with margin 2τ",
    2 * tau * loss,
    norm(u - v) ** 2 - norm(u - w[1]) ** 2 + 2 * tau,
    "What would follow from it. Easy negatives would make it negative, and a loss is not; the true margin is 0.",
    samples=one,
)
D.approximation(
    "near zero, first order",
    softplus(y),
    log(2) + y / 2,
    "The true expansion: slope ½, and no hinge.",
    variable=y,
    order=2,
    start=0.5,
)
D.approximation(
    "near zero, second order",
    softplus(y),
    log(2) + y / 2 + y**2 / 8,
    "The cubic term is zero: the sigmoid is odd about ½.",
    variable=y,
    order=4,
    start=1.0,
)

# ----------------------------------------------------------------------------------------------------------- gradients

D.definition("distance to the positive", d_p, "Of the points as they are, not of u and v.")
D.definition("distance to a negative", d[k], "The same for each negative.")
D.definition(
    "pairwise loss of a similar pair",
    near,
    "Hadsell, Chopra and LeCun 2006.",
    code=lambda e: losses.contrastive(_row(e["a"]), _row(e["p"]), [True], e["m"]),
)
D.step(
    "pull of a similar pair",
    derivative(near, p),
    p - a,
    "The further away the positive, the stronger the pull.",
)
D.definition(
    "pairwise loss of another pair",
    far[k],
    "Only inside the margin m.",
    code=lambda e: losses.contrastive(_row(e["a"]), _negative(e), [False], e["m"]),
)
D.step(
    "push inside the margin",
    derivative(far[k], n[k]),
    -((m - d[k]) * (n[k] - a) / d[k]),
    "A step against it leads away from the anchor; it weakens towards the margin.",
    samples=inside,
    given=(d[k], "<", m),
)
D.step(
    "no push beyond the margin",
    derivative(far[k], n[k]),
    0,
    "There the loss is 0 all around: the dead zone.",
    samples=beyond,
    scale=1,
    given=(d[k], ">", m),
)
D.definition(
    "triplet loss",
    triplet[k],
    "Distances as they are.",
    code=lambda e: losses.triplet(_row(e["a"]), _row(e["p"]), _negative(e), e["m"]),
)
D.step(
    "pull of an active triplet",
    derivative(triplet[k], p),
    (p - a) / d_p,
    "A vector of length 1: the force does not depend on how far the positive is.",
    samples=active,
    given=(d[k], "<", d_p + m),
)
D.step(
    "push of an active triplet",
    derivative(triplet[k], n[k]),
    -((n[k] - a) / d[k]),
    "Also of length 1.",
    samples=active,
    given=(d[k], "<", d_p + m),
)
D.step(
    "the anchor of an active triplet",
    derivative(triplet[k], a),
    (a - p) / d_p - (a - n[k]) / d[k],
    "It feels both, and minus the sum of the other two: moving all three together changes nothing.",
    samples=active,
    given=(d[k], "<", d_p + m),
)
D.step(
    "an inactive triplet",
    derivative(triplet[k], a),
    0,
    "A negative that is further by the margin teaches nothing: the triplet is dead.",
    samples=resting,
    scale=1,
    given=(d[k], ">", d_p + m),
)
D.definition(
    "triplet loss of squared distances",
    squared[k],
    "FaceNet's form.",
    code=lambda e: losses.triplet(_row(e["a"]), _row(e["p"]), _negative(e), e["m"], squared=True),
)
D.step(
    "the anchor, with squared distances",
    derivative(squared[k], a),
    2 * (n[k] - p),
    "The anchor itself drops out: the squares of a cancel.",
    samples=active,
    given=(d[k] ** 2, "<", d_p**2 + m),
)
D.step(
    "the negative, with squared distances",
    derivative(squared[k], n[k]),
    2 * (a - n[k]),
    "The further the negative, the stronger the push, up to the margin.",
    samples=active,
    given=(d[k] ** 2, "<", d_p**2 + m),
)

# ---------------------------------------------------------------------------------- at collapse, and under a shift

D.step(
    "collapse: the loss with a temperature",
    loss,
    log(M + 1),
    "If all points are equal, all candidates are equally likely.",
    samples=collapsed,
    given=(a, "=", p, "=", n[1]),
)
D.step(
    "collapse: the triplet",
    triplet[k],
    m,
    "Both distances are 0. A loss that stays at the margin says that all points are one.",
    samples=collapsed,
    given=(a, "=", p, "=", n[k]),
)
D.step(
    "collapse: another pair",
    far[k],
    m**2 / 2,
    "The similar pairs cost nothing then.",
    samples=collapsed,
    given=(a, "=", n[k]),
)
D.step(
    "a shift of all distances: the triplet",
    relative(D_p + c, D_n + c),
    relative(D_p, D_n),
    "Its margin is relative: only the difference of the distances counts.",
)
D.false(
    "a shift of all distances: the pairs",
    pair(D_p + c, D_n + c),
    pair(D_p, D_n),
    "Their margin is absolute: similar pairs want distance 0, and others want m.",
)
D.step(
    "exchanged distances: the pairs",
    pair(D_p, D_n) + pair(E_p, E_n),
    pair(D_p, E_n) + pair(E_p, D_n),
    "The pairwise loss is a sum with one term for each pair, so it does not matter who stands beside whom.",
)
D.false(
    "the triplet as a case of the pairwise loss",
    relative(D_p, D_n) + relative(E_p, E_n),
    relative(D_p, E_n) + relative(E_p, D_n),
    "Every sum of losses of pairs, with any margins and functions, would fulfil this. The triplet does not: it is no such sum.",
)
