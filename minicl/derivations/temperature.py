"""What the temperature does: how the push is shared out, the entropy law, the slope in τ, and the limits at both ends.

All of it happens at fixed embeddings. The cosines do not change with τ; what changes is the weight of each candidate.
"""

import numpy as np

from .. import losses
from . import LSE, Derivation, Index, Max, Mean, Sum, Symbol, define, derivative, dot, excluding, exp, log, norm
from . import positive as plus
from . import symbols as letters

N, tau = letters("N tau")
i, k, m = (Index(name, 2 * N) for name in "ikm")
z = Symbol("z")
partner = Symbol("j", call=True)
j = partner[i]
other = excluding(k, i, j)  # the negatives of anchor i
first = i == 1  # embeddings are drawn at random, so the first anchor is any anchor

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
loss = define("ell", (i,), -s[i, j] / tau + LSE(s[i, k] / tau, k, k != i), r"\ell")
P = define("P", (i, k), exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, m != i))
share = define("rho", (i, k), exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, excluding(m, i, j)), r"\rho")
H = define("H", (i,), -Sum(share[i, k] * log(share[i, k]), k, other))
mean_negative = define("mu", (i,), Sum(share[i, k] * s[i, k], k, other), r"\mu")
variance = define("V", (i,), Sum(share[i, k] * (s[i, k] - mean_negative[i]) ** 2, k, other))
expected = define("E", (i,), Sum(P[i, k] * s[i, k], k, k != i))
spread = define("W", (i,), Sum(P[i, k] * (s[i, k] - expected[i]) ** 2, k, k != i))
even = define("sbar", (i,), Sum(s[i, k], k, k != i) / (2 * N - 1), r"\bar s")
even_spread = define("v", (i,), Sum((s[i, k] - even[i]) ** 2, k, k != i) / (2 * N - 1))
L = define("L", (), Mean(loss[i], i))
hinge = plus(Max(s[i, k], k, other) - s[i, j])


def _batch(rng, n, d, temperature, z=None):
    z = rng.standard_normal((2 * n, d)) if z is None else z
    return {"N": n, "tau": temperature, "z": z, "j": (np.arange(2 * n) + n) % (2 * n)}


def samples(rng):
    """A batch of 2 or 3 images at a temperature between 0.05 and 5."""
    return _batch(rng, int(rng.choice([2, 2, 2, 2, 3])), int(rng.integers(2, 4)), float(np.exp(rng.uniform(-3, 1.6))))


def _aligned(n):
    return np.concatenate([np.eye(n), np.eye(n)])


def few(rng):
    """Two images: an order is measured at six temperatures."""
    return _batch(rng, 2, 2, 1.0)


ADVERSARIAL = {
    "temperature 0.01": lambda rng: _batch(rng, 3, 3, 0.01),
    "temperature 100": lambda rng: _batch(rng, 3, 3, 100.0),
    "collapse: all embeddings equal": lambda rng: _batch(rng, 3, 2, 0.5, np.ones((6, 2))),
    "pairs together, images orthogonal": lambda rng: _batch(rng, 3, 3, 0.1, _aligned(3)),
    "opposite partners": lambda rng: _batch(rng, 2, 2, 0.1, np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])),
}


def symbols():
    """N = 2, with cosines that are free symbols."""
    import sympy

    cosines = np.array(sympy.symbols("s1:17", real=True), dtype=object).reshape(4, 4)
    return {
        "N": 2,
        "tau": sympy.Symbol("tau", positive=True),
        "s": cosines,
        "j": np.array([2, 3, 0, 1]),
    }


def _library(env):
    """The loss of the library at anchor i."""
    return losses.nt_xent(env["z"], temperature=env["tau"], reduction="none")[env["at"]["i"]]


DERIVATION = D = Derivation(
    "temperature",
    "What the temperature does",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="View i has the partner j(i), 2N − 1 candidates, and 2N − 2 negatives. Embeddings are fixed; τ alone moves.",
    sources="Wang & Liu 2021 (arXiv:2012.09740) for the shares and the limits; Chen et al. 2020 (arXiv:2002.05709) for the loss.",
)

D.definition("cosine", s[i, k], "u = z/‖z‖ are embeddings of length 1. No τ stands here.")
D.definition("loss of one view", loss[i], "NT-Xent in logarithms.", code=_library)
D.definition(
    "probability of a candidate",
    P[i, k],
    "The softmax over all candidates, the partner among them.",
    where=(k != i, first),
)

D.step(
    "the cosine does not know the temperature",
    derivative(s[i, k], tau),
    0,
    "At fixed embeddings a similarity is what it is, at each τ.",
    scale=1,
)
D.false(
    "smoother similarities",
    derivative(s[i, k], tau),
    -s[i, k] / tau**2,
    "“A larger τ makes the similarities smoother”: this is the slope of the logit s/τ. The cosine itself stays.",
    where=(k != i, first),
)

D.step(
    "pull on the partner",
    derivative(loss[i], s[i, j]),
    -(1 - P[i, j]) / tau,
    "The slope of the loss in the similarity of the partner.",
    exactly="prove",
)
D.step(
    "push on a negative",
    derivative(loss[i], s[i, k]),
    P[i, k] / tau,
    "The derivative of a log-sum-exp is a softmax; 1/τ is the inner derivative.",
    where=other,
    exactly="prove",
)
D.step(
    "all of the push is the pull",
    Sum(P[i, k] / tau, k, other),
    (1 - P[i, j]) / tau,
    "Probabilities sum to 1. What pulls the partner is shared out among the negatives.",
)
D.definition("share of a negative", share[i, k], "The softmax over the negatives alone.", where=(other, first))
D.step(
    "the share is the part of the push",
    P[i, k] / tau,
    share[i, k] * (1 - P[i, j]) / tau,
    "Whether the partner is found sets the size of the push; ρ says whom it hits.",
    where=(other, first),
)
D.false(
    "all negatives are pushed alike",
    P[i, k] / tau,
    (1 - P[i, j]) / ((2 * N - 2) * tau),
    "Only at τ → ∞. At a low temperature nearly all of it goes to the nearest.",
    where=(other, first),
)

D.definition("entropy of the shares", H[i], "e to this power is the number of negatives that take part.")
D.step(
    "entropy without logarithms of shares",
    H[i],
    LSE(s[i, k] / tau, k, other) - mean_negative[i] / tau,
    "log ρ is the logit minus the log-sum-exp.",
)
D.definition("mean similarity of the negatives", mean_negative[i], "Weighted by the shares.")
D.definition("their variance", variance[i], "Weighted by the shares too.")
D.step(
    "entropy law",
    derivative(H[i], tau),
    variance[i] / tau**3,
    "A higher temperature spreads the push, and the faster the more the similarities differ.",
    exactly="prove",
    scale=1 / tau**3,
)
D.inequality(
    "a higher temperature is never sharper", 0, derivative(H[i], tau), "A variance is not negative.", scale=1 / tau**3
)

D.definition("expected similarity", expected[i], "Over all candidates, the partner among them.")
D.definition("loss of the batch", L, "The mean over the 2N views.")
D.step(
    "slope of the loss in the temperature",
    derivative(L, tau),
    Mean(s[i, j] - expected[i], i) / tau**2,
    "Positive where partners are nearer than expected: then a lower temperature would make the loss smaller.",
    scale=1 / tau**2,
)
D.false(
    "slope with the negatives alone",
    derivative(L, tau),
    Mean(s[i, j] - mean_negative[i], i) / tau**2,
    "The partner is a candidate too, and stands in the sum below.",
    scale=1 / tau**2,
)
D.definition("variance over all candidates", spread[i], "With the probabilities P.")
D.step(
    "the expected similarity falls",
    derivative(expected[i], tau),
    -spread[i] / tau**2,
    "So τ² ∂L/∂τ only grows with τ: it crosses zero at most once, and there the loss has its minimum in τ.",
    scale=1 / tau**2,
)

D.inequality(
    "low temperature, from below",
    hinge,
    tau * loss[i],
    "A log-sum-exp is at least its largest term.",
)
D.inequality(
    "low temperature, from above",
    tau * loss[i],
    hinge + tau * log(2 * N - 1),
    "And at most its largest term plus the logarithm of their number. As τ → 0 both ends meet at the hinge.",
)
D.false(
    "a bound that forgets the partner",
    tau * loss[i],
    hinge + tau * log(2 * N - 2),
    "There are 2N − 1 candidates: at collapse the loss is log(2N − 1).",
    relation="<=",
)

D.definition("mean over the candidates", even[i], "With equal weights, the partner among them.")
D.definition("variance over the candidates", even_spread[i], "With equal weights.")
D.approximation(
    "high temperature: weights",
    P[i, k],
    1 / (2 * N - 1),
    "All candidates weigh alike, and the slopes P/τ vanish like 1/τ.",
    variable=tau, order=1, toward="infinity", start=16.0, samples=few, where=(k != i, first),
)  # fmt: skip
D.approximation(
    "high temperature: first order",
    loss[i],
    log(2 * N - 1) + (even[i] - s[i, j]) / tau,
    "The first term of the expansion in 1/τ.",
    variable=tau, order=2, toward="infinity", start=16.0, samples=few, where=first,
)  # fmt: skip
D.approximation(
    "high temperature: second order",
    loss[i],
    log(2 * N - 1) + (even[i] - s[i, j]) / tau + even_spread[i] / (2 * tau**2),
    "The second derivative of a log-sum-exp is a variance.",
    variable=tau, order=3, toward="infinity", start=8.0, samples=few, where=first,
)  # fmt: skip
D.false(
    "first order with the negatives alone",
    tau * (loss[i] - log(2 * N - 1)),
    Sum(s[i, k], k, other) / (2 * N - 2) - s[i, j],
    "Tried at τ = 10⁴, where the second order is too small to matter. The mean has to include the partner.",
    samples=lambda rng: {**few(rng), "tau": 1e4},
    scale=1,
)
D.step(
    "why easy candidates pull little",
    norm(u[k] - s[i, k] * u[i]) ** 2,
    1 - s[i, k] ** 2,
    "The part of u_k at right angles to u_i is what moves u_i on the sphere. It vanishes at cosine 1 and −1.",
    where=k != i,
)
