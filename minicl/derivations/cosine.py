"""Cosine, distance and inner product of embeddings: identities on the unit sphere, gradients, and two tempting errors.

z holds n vectors in d dimensions, u the same vectors at length 1, and s the cosine of each pair.
"""

from fractions import Fraction

import numpy as np

from ..functional import cosine_matrix, normalize, pairwise_distances
from . import (
    Derivation,
    Identity,
    Index,
    Sum,
    Symbol,
    absolute,
    arccos,
    cos,
    define,
    derivative,
    dot,
    exp,
    norm,
    outer,
    sin,
    symbols,
)

n, d, tau, alpha, beta, theta, r, q = symbols("n d tau alpha beta theta r q")
i, j, k, m = (Index(c, n) for c in "ijkm")
z, c = Symbol("z"), Symbol("c")

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
chord = define("delta", (i, k), norm(u[i] - u[k]), latex=r"\delta")
J = define("J", (i,), (Identity(d) - outer(u[i], u[i])) / norm(z[i]))
D_cos = define("D", (i, k), 1 - s[i, k])


def embeddings(rng, count=None, dimensions=None, scale=1.0):
    """Vectors of every length, a stretching of each, a temperature, and two angles."""
    count, dimensions = count or int(rng.integers(2, 4)), dimensions or int(rng.integers(1, 4))
    return {
        "n": count,
        "d": dimensions,
        "z": scale * rng.standard_normal((count, dimensions)),
        "c": 10 ** rng.uniform(-3, 3, count),
        "tau": 10 ** rng.uniform(-1.5, 1),
        "alpha": rng.uniform(-np.pi, np.pi),
        "beta": rng.uniform(-np.pi, np.pi),
        "theta": rng.uniform(0, np.pi),
        "r": 10 ** rng.uniform(-2, 2),
        "q": 10 ** rng.uniform(-2, 2),
    }


def _equal(rng):
    made = embeddings(rng, 3, 3)
    return {**made, "z": np.repeat(made["z"][:1], 3, axis=0)}


def _opposite(rng):
    made = embeddings(rng, 2, 3)
    return {**made, "z": np.stack([made["z"][0], -2 * made["z"][0]])}


def _lengths(rng):
    made = embeddings(rng, 4, 3)
    return {**made, "z": made["z"] * np.logspace(-3, 3, 4)[:, None]}


def _few(count):
    """Two-dimensional vectors of small whole numbers, for counterexamples that can be worked by hand."""

    def samples(rng):
        corner = [(a, b) for a in range(-3, 4) for b in range(-3, 4) if a or b]
        return {"n": count, "d": 2, "z": rng.choice(corner, count).astype(float)}

    return samples


def _three(rng):
    """Three directions in a plane or in space."""
    return embeddings(rng, 3, int(rng.integers(2, 4)))


def _symbols():
    import sympy

    names = "n d tau alpha beta theta r q".split()
    real = dict(zip(names, sympy.symbols(names, real=True)))
    positive = {name: sympy.Symbol(name, positive=True) for name in ("tau", "r", "q")}
    return {
        **real,
        **positive,
        "n": 2,
        "d": 2,
        "z": np.array(sympy.symbols("z1:5", real=True), dtype=object).reshape(2, 2),
        "c": np.array(sympy.symbols("c1:3", positive=True), dtype=object),
    }


DERIVATION = D = Derivation(
    "cosine",
    "Cosine, distance and inner product",
    samples=embeddings,
    adversarial={
        "equal embeddings": _equal,
        "opposite embeddings": _opposite,
        "norms from 1e-3 to 1e3": _lengths,
        "norms of 1e-3": lambda rng: embeddings(rng, 3, 3, 1e-3),
        "norms of 1e3": lambda rng: embeddings(rng, 3, 3, 1e3),
        "τ = 0.01": lambda rng: {**embeddings(rng, 4, 3), "tau": 0.01},
        "one dimension": lambda rng: embeddings(rng, 4, 1),
    },
    symbols=_symbols,
    intro="How similar are two embeddings? Scaled to length 1 they are points on a sphere, and there three measures become one.",
    sources="Wu et al. 2018 (arXiv:1805.01978) and Chen et al. 2020 (arXiv:2002.05709) compare embeddings in this way.",
)

# ------------------------------------------------------------------------------------------------------ definitions

D.definition(
    "a point on the sphere",
    u[i],
    "An embedding divided by its length: what is left is its direction.",
    code=lambda env: normalize(env["z"])[env["at"]["i"]],
)
D.step("its length is one", dot(u[i], u[i]), 1, "The length was divided out.")
D.definition(
    "cosine",
    s[i, k],
    "The inner product of two directions.",
    code=lambda env: cosine_matrix(env["z"])[env["at"]["i"], env["at"]["k"]],
)
D.step(
    "with both lengths",
    s[i, k],
    dot(z[i], z[k]) / (norm(z[i]) * norm(z[k])),
    "The formula in most texts. The brackets matter: both lengths are divided out.",
    scale=1,
)
D.step(
    "it is the cosine of the angle",
    (r * cos(alpha) * q * cos(beta) + r * sin(alpha) * q * sin(beta)) / (r * q),
    cos(alpha - beta),
    "Two vectors of a plane with lengths r and q, at the angles α and β: the addition theorem.",
    exactly="prove",
)
D.inequality("between −1 and 1", absolute(s[i, k]), dot(u[i], u[i]), "Cauchy and Schwarz; equal for parallel vectors.")
D.step(
    "lengths do not count",
    dot(c[i] * z[i], c[k] * z[k]) / (norm(c[i] * z[i]) * norm(c[k] * z[k])),
    s[i, k],
    "Stretch each embedding by a positive number of its own: all cosines stay.",
    scale=1,
)

# ------------------------------------------------------------------------------------- three measures on the sphere

D.step(
    "distance and inner product",
    norm(z[i] - z[k]) ** 2,
    dot(z[i], z[i]) + dot(z[k], z[k]) - 2 * dot(z[i], z[k]),
    "Multiply out the square.",
    scale=dot(z[i], z[i]) + dot(z[k], z[k]),
)
D.definition(
    "distance on the sphere",
    chord[i, k],
    "The straight way between two points of the sphere.",
    code=lambda env: pairwise_distances(normalize(env["z"]))[env["at"]["i"], env["at"]["k"]],
    scale=1,  # where two points coincide, nothing but rounding is left of the difference
)
D.step(
    "distance and cosine",
    chord[i, k] ** 2,
    2 - 2 * s[i, k],
    "The line above with both lengths 1. So on the sphere a small distance **is** a large cosine.",
)
D.step(
    "one softmax",
    exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m),
    exp(-(chord[i, k] ** 2) / (2 * tau)) / Sum(exp(-(chord[i, m] ** 2) / (2 * tau)), m),
    "Above and below the line, the distance differs from the cosine by one and the same factor, the exponential of −1/τ.",
)

# -------------------------------------------------------------------------------------------------------- gradients

D.step(
    "Jacobian of normalisation",
    derivative(u[i], z[i]),
    (Identity(d) - outer(u[i], u[i])) / norm(z[i]),
    "A step along z changes only its length, and is taken away. A step across turns u, the less the longer z is.",
    scale=1 / norm(z[i]),
)
D.definition("a name for it", J[i], "The projection on the plane at right angles to u, divided by the length of z.")
D.step(
    "nothing along u",
    J[i] @ u[i],
    0,
    "A step along u itself is lost: the sphere has no room for it.",
    scale=1 / norm(z[i]),
)
D.step("twice is once", norm(z[i]) * J[i] @ J[i], J[i], "What was projected stays where it is.", scale=1 / norm(z[i]))
D.step(
    "gradient of the cosine",
    derivative(s[i, k], z[i]),
    (u[k] - s[i, k] * u[i]) / norm(z[i]),
    "Jacobian times the other direction: go towards u of the other, less its part along your own.",
    where=k != i,
    scale=1 / norm(z[i]),
)
D.step(
    "at right angles",
    dot(z[i], derivative(s[i, k], z[i])),
    0,
    "So the length of z does not change at first order, and a step of any size makes z longer, never shorter (Pythagoras).",
    where=k != i,
    scale=1,
)
D.step(
    "length of the gradient",
    norm(derivative(s[i, k], z[i])) ** 2,
    (1 - s[i, k] ** 2) / norm(z[i]) ** 2,
    "Largest at a right angle, zero for parallel vectors; and a tenfold length makes it a tenth.",
    where=k != i,
    scale=1 / norm(z[i]) ** 2,
)
D.step(
    "gradient of the inner product",
    derivative(dot(z[i], z[k]), z[i]),
    z[k],
    "It points to z of the other, wherever one is: the inner product grows without end.",
    where=k != i,
)
D.step(
    "gradient of the distance",
    derivative(norm(z[i] - z[k]), z[i]),
    (z[i] - z[k]) / norm(z[i] - z[k]),
    "Straight away from the other, with length 1. At distance 0 there is no such direction, and no gradient.",
    where=k != i,
    samples=lambda rng: embeddings(rng),
)
D.false(
    "no projection",
    derivative(s[1, 2], z[1]),
    u[2] / norm(z[1]),
    "The length of z stands below the line and depends on z: its derivative was forgotten.",
    samples=_few(2),
)
D.false(
    "lengths do not count for gradients either",
    derivative(s[1, 2], z[1]),
    u[2] - s[1, 2] * u[1],
    "The cosine does not see the length, but its gradient does: 1/length is missing.",
    samples=_few(2),
)

# ------------------------------------------------------------------------------------- largest at itself; triangles

D.inequality(
    "the cosine is largest at itself", s[i, k], s[i, i], "Nothing is more similar to a vector than the vector itself."
)
D.false(
    "the inner product is largest at itself",
    dot(z[1], z[2]),
    dot(z[1], z[1]),
    "A longer vector in about the same direction has a larger inner product.",
    relation="<=",
    samples=_few(2),
)
D.definition("cosine distance", D_cos[i, k], "Zero for the same direction, 2 for the opposite one.")
D.step(
    "half a square",
    D_cos[i, k],
    chord[i, k] ** 2 / 2,
    "So it is a square of a distance; and squares break triangles.",
    scale=1,
)
D.false(
    "the cosine distance is a metric",
    D_cos[1, 3],
    D_cos[1, 2] + D_cos[2, 3],
    "The way over a vector in between can be shorter than the direct one.",
    relation="<=",
    samples=_few(3),
)
D.step(
    "by how much, at two equal angles",
    (1 - cos(2 * theta)) - 2 * (1 - cos(theta)),
    2 * cos(theta) * (1 - cos(theta)),
    "Three directions of a plane, each θ after the other. Positive for every θ below a right angle.",
    exactly="prove",
)
D.inequality(
    "never by more than a half",
    2 * cos(theta) * (1 - cos(theta)),
    Fraction(1, 2),
    "x(1 − x) is largest at x = ½, so at an angle of 60°.",
)
D.inequality(
    "the straight way is a metric",
    chord[i, k],
    chord[i, j] + chord[j, k],
    "A Euclidean distance between points of the sphere.",
)
D.inequality(
    "the angle is a metric",
    arccos(s[i, k]),
    arccos(s[i, j]) + arccos(s[j, k]),
    "A great circle is the shortest way on the sphere.",
    samples=_three,
    where=(k != i, k != j, j != i),
)
