"""Four ways to write the loss of one anchor: a probability, a log-sum-exp, a comparison with the partner, a softplus.

They are equal on paper. In a program the second is safe at every temperature, and the last two show what is compared.
"""

import numpy as np

from .. import losses
from . import LSE, Derivation, Index, Indicator, Max, Sum, Symbol, define, dot, excluding, exp, log, norm
from . import softplus as soft
from . import symbols as letters

N, tau = letters("N tau")
i, k, m = (Index(name, 2 * N) for name in "ikm")
z = Symbol("z")
partner = Symbol("j", call=True)
j = partner[i]
negative = excluding(k, i, j)

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
loss = define("ell", (i,), -log(exp(s[i, j] / tau) / Sum(exp(s[i, k] / tau), k, k != i)), r"\ell")
P = define("P", (i, k), exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, m != i))


def _batch(n, temperature, z):
    return {"N": n, "tau": temperature, "z": z, "j": (np.arange(2 * n) + n) % (2 * n)}


def samples(rng):
    """A batch of 1 to 4 images at a temperature between 0.05 and 5."""
    n, d = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    return _batch(n, float(np.exp(rng.uniform(-3, 1.6))), rng.standard_normal((2 * n, d)))


def several(rng):
    """Two or three images in the plane, at moderate temperatures."""
    n = int(rng.integers(2, 4))
    return _batch(n, float(rng.uniform(0.2, 2)), rng.standard_normal((2 * n, 2)))


def short(rng):
    """Two images in the plane, in small whole numbers: an input that can be printed where a FALSE step fails."""
    z = rng.integers(0, 4, (4, 2)).astype(float)
    z[~z.any(axis=1)] = 1, 0
    return _batch(2, 0.5, z)


def one(rng):
    """One image."""
    return _batch(1, float(rng.uniform(0.05, 2)), rng.standard_normal((2, 3)))


ADVERSARIAL = {
    "τ = 0.01": lambda rng: _batch(3, 0.01, rng.standard_normal((6, 3))),
    "N = 1": one,
    "equal embeddings": lambda rng: _batch(3, 0.5, np.ones((6, 2))),
    "lengths from 0.001 to 1000": lambda rng: _batch(
        3, 0.5, rng.standard_normal((6, 3)) * np.logspace(-3, 3, 6).reshape(-1, 1)
    ),
    "partners opposite": lambda rng: _batch(2, 0.05, np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])),
}


def symbols():
    """N = 2, with cosines that are free symbols."""
    import sympy

    cosines = np.array(sympy.symbols("s1:17", real=True), dtype=object).reshape(4, 4)
    return {"N": 2, "tau": sympy.Symbol("tau", positive=True), "s": cosines, "j": np.array([2, 3, 0, 1])}


def _library(env):
    """The loss of the library at anchor i."""
    return losses.nt_xent(env["z"], temperature=env["tau"], reduction="none")[env["at"]["i"]]


DERIVATION = D = Derivation(
    "nt_xent_forms",
    "Four equal forms of the loss of one anchor",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="N images have 2N views. View i is an anchor; j(i) is its partner, the other view of its image; all views k ≠ i "
    "are its candidates, 2N − 1 of them.",
    sources="Chen et al. 2020 (arXiv:2002.05709) for the loss; Sohn 2016 for the logistic form.",
)

D.definition("unit vector", u[i], "Only the direction of an embedding counts.")
D.definition("score", s[i, k], "The cosine of two embeddings.")
D.definition(
    "a probability", loss[i], "Minus the log of the probability that the anchor picks its partner.", code=_library
)
D.step(
    "a log-sum-exp",
    loss[i],
    -(s[i, j] / tau) + LSE(s[i, k] / tau, k, k != i),
    "The log of a quotient is a difference. No probability has to be made, so none can become zero.",
    exactly="prove",
)
D.definition("probability of a candidate", P[i, k], "The softmax over all candidates of anchor i.", where=k != i)
D.step(
    "a cross-entropy",
    loss[i],
    -Sum(Indicator(k == j) * log(P[i, k]), k, k != i),
    "One class for each candidate; the right class is the partner.",
    exactly="prove",
)
D.step(
    "a comparison",
    loss[i],
    log(1 + Sum(exp((s[i, k] - s[i, j]) / tau), k, negative)),
    "Divide by the numerator. The partner gives the 1; only differences of scores are left.",
    exactly="prove",
)
D.step(
    "a softplus",
    loss[i],
    soft(LSE(s[i, k] / tau, k, negative) - s[i, j] / tau),
    "All negatives act as one: the logistic loss of the partner against their log-sum-exp.",
    exactly="prove",
)
D.step(
    "one image",
    loss[i],
    0,
    "Without negatives the last two forms are log 1 and softplus(−∞): a program has to know this case.",
    samples=one,
    given=(N, "=", 1),
    scale=1,
)
D.inequality("never negative", 0, loss[i], "A probability is at most 1, and the partner is one of the candidates.")
D.inequality(
    "from below: the hardest negative",
    Max(soft((s[i, k] - s[i, j]) / tau), k, negative),
    loss[i],
    "One negative alone costs less than all of them.",
    strict=True,
    samples=several,
    given=(N, ">", 1),
)
D.inequality(
    "from above: a sum over negatives",
    loss[i],
    Sum(soft((s[i, k] - s[i, j]) / tau), k, negative),
    "The product of all (1 + x) has more terms than 1 + Σ x.",
    strict=True,
    samples=several,
    given=(N, ">", 1),
)
D.false(
    "a sum of logistic losses",
    loss[i],
    Sum(soft((s[i, k] - s[i, j]) / tau), k, negative),
    "“The difference between the positive and all negatives by the logistic loss”: one logistic loss of a log-sum-exp, "
    "and not one for each negative.",
    samples=short,
)
