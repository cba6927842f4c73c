"""t-SNE: the softmax over candidates once more, with a temperature for each anchor, and a map that imitates it.

The perplexity is the effective number of negatives of notebook 08 under another name. The gradient has a short form,
which is held against a complex step.
"""

import numpy as np

from . import Derivation, Index, Sum, Symbol, define, derivative, exp, log, norm
from . import symbols as letters

n, s = letters("n s")
i, k, m, a, b = (Index(name, n) for name in "ikmab")
x, y = Symbol("x"), Symbol("y")
beta = Symbol("beta", r"\beta")  # 1/(2σ²), one for each anchor
first = i == 1  # points are drawn at random, so the first is any point

weight = exp(-(beta[i] * norm(x[i] - x[k]) ** 2))
c = define("c", (i, k), weight / Sum(exp(-(beta[i] * norm(x[i] - x[m]) ** 2)), m, m != i))
H = define("H", (i,), -Sum(c[i, k] * log(c[i, k]), k, k != i))
perplexity = define("Perp", (i,), exp(H[i]), r"\mathrm{Perp}")
delta = define("delta", (i,), Sum(c[i, k] * norm(x[i] - x[k]) ** 2, k, k != i), r"\delta")
V = define("V", (i,), Sum(c[i, k] * (norm(x[i] - x[k]) ** 2 - delta[i]) ** 2, k, k != i))
p = define("p", (i, k), (c[i, k] + c[k, i]) / (2 * n))
w = define("w", (i, k), 1 / (1 + norm(y[i] - y[k]) ** 2))
q = define("q", (i, k), w[i, k] / Sum(Sum(w[a, b], b, b != a), a))
C = define("C", (), Sum(Sum(p[i, k] * log(p[i, k] / q[i, k]), k, k != i), i))
wide = exp(-(beta[i] / s**2 * norm(s * x[i] - s * x[k]) ** 2))
wide_sum = Sum(exp(-(beta[i] / s**2 * norm(s * x[i] - s * x[m]) ** 2)), m, m != i)
gradient = 4 * Sum((p[i, k] - q[i, k]) * w[i, k] * (y[i] - y[k]), k, k != i)


def _cloud(rng, n, d, x=None, beta=None, y=None):
    found = {"n": n, "x": rng.standard_normal((n, d)) if x is None else x, "s": float(rng.uniform(2, 5))}
    found["y"] = rng.standard_normal((n, 2)) if y is None else y
    return found | {"beta": rng.uniform(0.2, 2.0, n) if beta is None else np.full(n, beta)}


def samples(rng):
    """Three points in two or three dimensions, and a map in the plane."""
    return _cloud(rng, 3, int(rng.integers(2, 4)))


def corners(rng):
    """The corners of a regular simplex: all distances are equal."""
    n = int(rng.integers(3, 6))
    return _cloud(rng, n, n, np.eye(n))


ADVERSARIAL = {
    "a map at one point, nearly": lambda rng: _cloud(rng, 4, 3, y=1e-4 * rng.standard_normal((4, 2))),
    "a map far apart": lambda rng: _cloud(rng, 4, 3, y=1e3 * rng.standard_normal((4, 2))),
    "narrow: one neighbour counts": lambda rng: _cloud(rng, 4, 3, beta=20.0),
    "wide: all neighbours count": lambda rng: _cloud(rng, 4, 3, beta=1e-3),
    "two points at one place": lambda rng: _cloud(rng, 4, 2, x=np.array([[0.0, 0], [0, 0], [1, 0], [0, 2]])),
}


DERIVATION = D = Derivation(
    "tsne",
    "t-SNE: neighbours as probabilities",
    samples=samples,
    adversarial=ADVERSARIAL,
    intro="n points x, and a map that gives each a place y in the plane. β = 1/(2σ²) says how narrowly a point looks around.",
    sources="van der Maaten & Hinton 2008 (JMLR 9), where c_{ik} is written p with the index k given i.",
)

D.definition(
    "a neighbour's share",
    c[i, k],
    "The softmax over all other points. Logit is minus the squared distance, and 1/β the temperature.",
    where=(k != i, first),
)
D.step(
    "shares sum to 1",
    Sum(c[i, k], k, k != i),
    1,
    "Each point has one unit of attention to give.",
)
D.definition("entropy of the shares", H[i], "As for the negatives of one anchor, in notebook 08.")
D.definition("perplexity", perplexity[i], "The effective number of neighbours.")
D.step(
    "equal distances count in full",
    perplexity[i],
    n - 1,
    "If all other points are equally far, each of them counts as one, whatever β is.",
    samples=corners,
)
D.definition("mean squared distance", delta[i], "Weighted by the shares.")
D.definition("its variance", V[i], "Weighted by the shares too.")
D.step(
    "entropy law",
    derivative(H[i], beta[i]),
    -(beta[i] * V[i]),
    "The law of notebook 08 for β = 1/τ. The entropy only falls with β, so one β has the wanted perplexity: halving finds it.",
    scale=1,
)
D.step(
    "density is forgotten",
    wide / wide_sum,
    c[i, k],
    "A cloud that is s times as wide takes β/s² for the same perplexity, and has the same shares. So the map cannot know s.",
    where=(k != i, first),
)

D.definition(
    "symmetric shares", p[i, k], "The mean of both directions, so that each outlier has a say.", where=(k != i, first)
)
D.step("they sum to 1", Sum(Sum(p[i, k], k, k != i), i), 1, "n rows of sum 1, twice, over 2n.")
D.definition(
    "nearness in the map", w[i, k], "Student's t with one degree of freedom: a long tail.", where=(k != i, first)
)
D.definition("shares in the map", q[i, k], "One sum for all pairs.", where=(k != i, first))
D.definition("cost", C, "Kullback and Leibler's divergence: what the map's shares lack to be those of the data.")
D.inequality("the cost is never negative", 0, C, "Jensen. It is zero where all shares agree.", scale=1)
D.step(
    "gradient",
    derivative(C, y[i]),
    gradient,
    "Pairs that are too far apart in the map pull, pairs that are too near push. The 4 is for two sums, and a square.",
    scale=Sum(norm((p[1, k] + q[1, k]) * w[1, k] * (y[1] - y[k])), k, k != 1),
)
D.false(
    "a gradient without the long tail",
    derivative(C, y[i]),
    4 * Sum((p[i, k] - q[i, k]) * (y[i] - y[k]), k, k != i),
    "The form with Gaussians in the map (SNE). With the t distribution each force is multiplied by w.",
    where=first,
)
D.false(
    "lost and invented neighbours cost the same",
    C,
    Sum(Sum(q[i, k] * log(q[i, k] / p[i, k]), k, k != i), i),
    "The cost weighs by p. A neighbour that the map loses is dear, one that it invents is cheap: so a map may show "
    "neighbours that are none.",
)
