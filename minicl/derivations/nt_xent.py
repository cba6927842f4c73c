"""NT-Xent from its definition to its gradient: what it counts, what leaves it alone, and how it pulls and pushes.

The half of the gradient that is lost most often is the one a view gets as a candidate of the other anchors.
"""

import numpy as np

from .. import losses
from . import (
    LSE,
    Derivation,
    Identity,
    Index,
    Indicator,
    Mean,
    Number,
    Sum,
    Symbol,
    at,
    define,
    derivative,
    dot,
    excluding,
    exp,
    log,
    norm,
    outer,
)
from . import symbols as letters

N, d, tau, eta, c = letters("N d tau eta c")
eta.shown = r"\eta"
i, k, m = (Index(name, 2 * N) for name in "ikm")
first = Index("k", N)
z, Q, D_, Pi = Symbol("z"), Symbol("Q"), Symbol("D"), Symbol("Pi", r"\Pi")
shift = Symbol("b")
partner = Symbol("j", call=True)
j = partner[i]

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
loss = define("ell", (i,), -log(exp(s[i, j] / tau) / Sum(exp(s[i, k] / tau), k, k != i)), r"\ell")
L = define("L", (), Mean(loss[i], i), r"\mathcal{L}")
literal = define("lit", (i,), -log(exp(s[i, j] / tau) / Sum(exp(s[i, first] / tau), first, first != i)), r"\hat\ell")
P = define("P", (i, k), Indicator(k != i) * exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, m != i))
Y = define("Y", (i, k), Indicator(k == j))
G = define("G", (i, k), (P[i, k] - Y[i, k]) / (2 * N * tau))
pull = define("g", (i,), Sum((G[i, k] + G[k, i]) * u[k], k))
decoupled = define("dcl", (i,), -(s[i, j] / tau) + LSE(s[i, k] / tau, k, excluding(k, i, j)), r"\tilde\ell")


def _batch(rng, n, d, temperature, z=None):
    z = rng.standard_normal((2 * n, d)) if z is None else z
    images = rng.permutation(n)
    order = np.concatenate([images + n, images])  # images change places, and so do the two views
    return {
        "N": n,
        "d": d,
        "tau": temperature,
        "z": z,
        "j": (np.arange(2 * n) + n) % (2 * n),
        "Q": np.linalg.qr(rng.standard_normal((d, d)))[0],
        "D": np.diag(2.0 ** rng.integers(-6, 7, 2 * n)),
        "Pi": np.eye(2 * n)[order],
        "b": rng.uniform(-5, 5, (2 * n, 1)),
        "c": float(2.0 ** rng.integers(-6, 7)),
        "eta": float(rng.uniform(0.01, 1)),
    }


def samples(rng):
    """One or two images at a temperature between 0.05 and 5."""
    n = int(rng.choice([1, 2, 2, 2, 2]))
    return _batch(rng, n, 2, float(np.exp(rng.uniform(-3, 1.6))))


def several(rng):
    """Two or three images."""
    return _batch(rng, int(rng.choice([2, 2, 2, 3])), 2, float(rng.uniform(0.1, 2)))


def short(rng):
    """Two images in the plane, in small whole numbers: an input that can be printed where a FALSE step fails."""
    z = rng.integers(0, 4, (4, 2)).astype(float)
    z[~z.any(axis=1)] = 1, 0
    return {"N": 2, "tau": 0.5, "z": z, "j": np.array([2, 3, 0, 1])}


def collapsed(rng):
    """All directions equal, lengths free."""
    n, size = int(rng.integers(1, 3)), 2
    z = np.tile(rng.standard_normal(size), (2 * n, 1)) * 2.0 ** rng.integers(-3, 4, (2 * n, 1))
    return _batch(rng, n, size, float(rng.uniform(0.05, 2)), z)


ADVERSARIAL = {
    "τ = 0.01": lambda rng: _batch(rng, 2, 3, 0.01),
    "N = 1": lambda rng: _batch(rng, 1, 3, 0.5),
    "equal embeddings": lambda rng: _batch(rng, 2, 2, 0.5, np.ones((4, 2))),
    "lengths from 0.001 to 1000": lambda rng: _batch(
        rng, 2, 3, 0.5, rng.standard_normal((4, 3)) * np.logspace(-3, 3, 4).reshape(-1, 1)
    ),
    "partners opposite": lambda rng: _batch(rng, 2, 2, 0.05, np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])),
}


def symbols():
    """N = 2, with cosines that are free symbols."""
    import sympy

    cosines = np.array(sympy.symbols("s1:17", real=True), dtype=object).reshape(4, 4)
    return {"N": 2, "tau": sympy.Symbol("tau", positive=True), "s": cosines, "j": np.array([2, 3, 0, 1])}


DERIVATION = D = Derivation(
    "nt_xent",
    "NT-Xent and its gradient",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="N images, 2N views, embeddings z. View i has the partner j(i), and all other views are its candidates.",
    sources="Chen et al. 2020 (arXiv:2002.05709) for the loss; Yeh et al. 2021 (arXiv:2110.06848) for the decoupled loss.",
)

# ------------------------------------------------------------------------------------------------------- what it counts

D.definition("unit vector", u[i], "An embedding divided by its length.")
D.definition("score", s[i, k], "The cosine of two embeddings.")
D.definition(
    "loss of one anchor",
    loss[i],
    "Minus the log of the probability of the partner among all candidates.",
    code=lambda e: losses.nt_xent(e["z"], temperature=e["tau"], reduction="none")[e["at"]["i"]],
)
D.definition(
    "NT-Xent",
    L,
    "The mean over all 2N views: each of them is an anchor once.",
    code=lambda e: losses.nt_xent(e["z"], temperature=e["tau"]),
    scale=1 / tau,
)
D.step(
    "candidates",
    Sum(Number(1), k, k != i),
    1 + (2 * N - 2),
    "The sum in the denominator has 2N − 1 terms: the partner, and 2N − 2 negatives.",
)
D.inequality("never negative", 0, loss[i], "The partner is one of the candidates, so its probability is at most 1.")
D.definition(
    "the sum to N, to the letter",
    literal[i],
    "What is printed where N counts images and the sum ends at N.",
    samples=several,
)
D.false(
    "the sum ends at N",
    0,
    literal[i],
    "For the first views the partner is not in the sum, so this is no probability, and the loss can be negative.",
    relation="<=",
    samples=short,
)
D.definition(
    "the decoupled loss",
    decoupled[i],
    "The denominator holds negatives alone.",
    code=lambda e: losses.dcl(e["z"], temperature=e["tau"], reduction="none")[e["at"]["i"]],
    samples=several,
    given=(N, ">", 1),
)
D.false(
    "the sum is over the negatives",
    loss[i],
    decoupled[i],
    "The partner stands in the denominator too. Without it one has another loss, DCL.",
    samples=short,
)
D.false(
    "the decoupled loss is never negative",
    0,
    decoupled[i],
    "Without the partner in the denominator there is no floor.",
    relation="<=",
    samples=short,
)

# --------------------------------------------------------------------------------------------- what leaves it as it is

D.step(
    "lengths do not count",
    at(L, z, D_ @ z),
    L,
    "A diagonal matrix of positive numbers changes lengths alone.",
    scale=1 / tau,
)
D.step(
    "rotations do not count",
    at(L, z, z @ Q),
    L,
    "An orthogonal matrix keeps all inner products.",
    scale=1 / tau,
    exactly=None,
)
D.step(
    "order does not count",
    at(L, z, Pi @ z),
    L,
    "A permutation of the images, in both views alike, and an exchange of the views keep who is whose partner.",
    scale=1 / tau,
)
D.step(
    "a constant in all scores of an anchor does not count",
    at(loss[i], s, s + shift),
    loss[i],
    "Only differences of scores are compared.",
    scale=1 / tau,
)

# -------------------------------------------------------------------------------------------------------- its gradient

D.definition("probability of a candidate", P[i, k], "The softmax over the candidates; the anchor itself has none.")
D.definition("target", Y[i, k], "One at the partner.")
D.definition("slope in a score", G[i, k], "Probability minus target: cross-entropy, its mean, and the factor 1/τ.")
D.step(
    "gradient in a score",
    derivative(L, s[i, k]),
    G[i, k],
    "Positive for a negative, which is pushed away; negative for the partner, which is pulled.",
    where=k != i,
    scale=1 / (2 * N * tau),
    exactly="prove",
)
D.step(
    "as an anchor",
    1 / (2 * N) * derivative(loss[i], u[i]),
    Sum(G[i, k] * u[k], k),
    "In its own loss view i meets all its candidates.",
    scale=1 / (2 * N * tau),
)
D.step(
    "as a candidate",
    1 / (2 * N) * derivative(Sum(loss[m], m, m != i), u[i]),
    Sum(G[k, i] * u[k], k),
    "In the losses of all other anchors view i is a candidate: a negative of most, and the partner of one.",
    scale=1 / (2 * N * tau),
)
D.definition(
    "pull on a unit vector",
    pull[i],
    "Both halves together: what view i gets as an anchor, and what it gets as a candidate.",
)
D.step(
    "gradient in a unit vector",
    derivative(L, u[i]),
    pull[i],
    "So dL/dU = (G + Gᵀ) U.",
    scale=1 / (2 * N * tau),
)
D.false(
    "the anchor's half alone",
    derivative(L, u[i]),
    Sum(G[i, k] * u[k], k),
    "The form in which SimCLR compares losses (its Table 2) has the anchor's part alone. It is not the gradient.",
    samples=short,
)
D.false(
    "twice the anchor's half",
    pull[i],
    2 * Sum(G[i, k] * u[k], k),
    "Scores are symmetric, probabilities are not: each row has its own denominator.",
    samples=short,
)
D.step(
    "Jacobian of the normalisation",
    derivative(u[i], z[i]),
    (Identity(d) - outer(u[i], u[i])) / norm(z[i]),
    "What points along z changes the length alone; what is left is divided by the length.",
)
D.step(
    "gradient in an embedding",
    derivative(L, z[i]),
    ((Identity(d) - outer(u[i], u[i])) @ pull[i]) / norm(z[i]),
    "The chain rule.",
    scale=1 / (tau * norm(z[i])),
)
D.false(
    "gradient without the projection",
    derivative(L, z[i]),
    pull[i] / norm(z[i]),
    "The part along z has to go: lengths do not count.",
    samples=short,
)
D.step(
    "nothing along z",
    dot(z[i], derivative(L, z[i])),
    0,
    "Making z longer does not change the loss.",
    scale=1 / tau,
)
D.step(
    "longer vectors turn more slowly",
    c * at(derivative(L, z[i]), z, c * z),
    derivative(L, z[i]),
    "Make all embeddings c times as long: the loss stays, and its slope is a c-th.",
    scale=1 / (tau * norm(z[i])),
)
D.step(
    "a plain step makes each vector longer",
    norm(z[i] - eta * derivative(L, z[i])) ** 2,
    norm(z[i]) ** 2 + eta**2 * norm(derivative(L, z[i])) ** 2,
    "A step at right angles to z: Pythagoras. This is for free embeddings; behind an encoder only some grow.",
)
D.step(
    "the decoupled loss pulls and pushes harder",
    derivative(loss[i], s[i, k]),
    (1 - P[i, j]) * derivative(decoupled[i], s[i, k]),
    "One factor for all candidates: NT-Xent eases off where the partner is found already, DCL does not.",
    scale=1 / tau,
    where=k != i,
    samples=several,
    given=(N, ">", 1),
)
D.step(
    "collapse is a critical point",
    derivative(L, z[i]),
    0,
    "All views pull along the one direction, and the projection takes that away.",
    samples=collapsed,
    given=r"u_{1} = \dots = u_{2 N}",
    scale=1 / (tau * norm(z[i])),
)
