"""Principal components: the flat picture that loses least, and what it loses.

A direction that keeps much of the variance is one that leaves a small error: both sides of one triangle. The singular
value decomposition gives the best directions in order, but neither their signs nor, among equals, the directions.
"""

import numpy as np

from . import Derivation, Index, Max, Mean, Sum, Symbol, cos, define, dot, norm, outer, sin
from . import symbols as letters

N, r, theta, tau = letters("N r theta tau")
i = Index("i", N)
k, q = Index("k", r), Index("q", r)
m = Index("m", q)  # runs over the directions that are kept
h = Index("m", r - 1)  # all but the last
y, a, b = Symbol("y"), Symbol("a"), Symbol("b")
e, f = Symbol("e"), Symbol("f")  # unit matrices
sigma = Symbol("sigma", r"\sigma")

middle = define("mean", (), Mean(y[i], i), r"\bar y")
c = define("c", (i,), y[i] - middle)
w = define("w", (), a / norm(a))
covariance = define("C", (), Mean(outer(c[i], c[i]), i))
spread = Mean(dot(w, c[i]) ** 2, i)

# Orthonormal vectors to any number of digits: the columns of two reflections. Their making is not shown.
u = define("u", (i, k), f[i, k] - 2 * b[i] * b[k] / dot(b, b))
v = define("v", (k,), e[k] - 2 * a[k] * a / dot(a, a))
x = define("x", (i,), Sum(sigma[k] * u[i, k] * v[k], k))
kept = Sum(v[m] * dot(v[m], x[i]), m)
turned = define("t", (), cos(theta) * v[1] + sin(theta) * v[2])


def _sizes(rng, n, r, sigma=None, y=None):
    found = {
        "N": n,
        "r": r,
        "y": 2 + rng.standard_normal((n, r)) if y is None else y,
        "theta": float(rng.uniform(0.3, 1.2)),
    }
    found |= {"a": rng.standard_normal(r), "b": rng.standard_normal(n), "e": np.eye(r), "f": np.eye(n)}
    return found | {"sigma": np.sort(rng.uniform(0.5, 3, r))[::-1].copy() if sigma is None else np.array(sigma, float)}


def samples(rng):
    """Three or four points in two or three dimensions."""
    r = int(rng.integers(2, 4))
    return _sizes(rng, int(rng.integers(r, 5)), r)


def equal(rng):
    """Two equal singular values."""
    return _sizes(rng, 4, 2, np.full(2, rng.uniform(0.5, 3)))


ADVERSARIAL = {
    "singular values from 1e3 to 1e-3": lambda rng: _sizes(rng, 4, 3, [1e3, 1.0, 1e-3]),
    "a direction without variance": lambda rng: _sizes(rng, 4, 3, [2.0, 1.0, 0.0]),
    "all singular values equal": lambda rng: _sizes(rng, 3, 3, [1.5, 1.5, 1.5]),
    "points far from the origin": lambda rng: _sizes(rng, 4, 2, y=100 + rng.standard_normal((4, 2))),
}


def symbols():
    """Two points in the plane."""
    import sympy

    names = np.array(sympy.symbols("y1:5", real=True), dtype=object).reshape(2, 2)
    a1, a2 = sympy.symbols("a1:3", positive=True)
    return {"N": 2, "r": 2, "y": names, "a": np.array([a1, a2], dtype=object)}


DERIVATION = D = Derivation(
    "pca",
    "Principal components",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="N points y, and a direction w of length 1. Further down, points x whose singular value decomposition is known: "
    "the u and the v are orthonormal, and the singular values σ fall.",
    sources="Pearson 1901; Hotelling 1933; Eckart & Young 1936.",
)

D.definition("mean", middle, "Where the cloud of points lies.")
D.definition(
    "centred point", c[i], "Variance is measured from the mean. Without this step the first direction points at it."
)
D.definition("a direction", w, "Of length 1.")
D.definition("covariance", covariance, "One matrix holds the variance of all directions.")
D.step(
    "variance along a direction",
    spread,
    dot(w, covariance @ w),
    "The square of a product is a quadratic form.",
    exactly="prove",
)
D.step(
    "what is kept and what is lost",
    Mean(norm(c[i]) ** 2, i),
    spread + Mean(norm(c[i] - w * dot(w, c[i])) ** 2, i),
    "Pythagoras for each point. The sum is fixed, so the direction of most variance is that of least error.",
)

D.definition("points by their singular values", x[i], "The decomposition X = U Σ Vᵀ, one row at a time.")
D.step(
    "the score",
    dot(v[k], x[i]),
    sigma[k] * u[i, k],
    "The directions v are orthonormal, so all terms but one vanish.",
    scale=Max(sigma[k], k),
)
D.step(
    "variance explained",
    Sum(dot(v[k], x[i]) ** 2, i),
    sigma[k] ** 2,
    "The columns of U have length 1. Divided by N this is the variance of component k.",
    scale=Max(sigma[k], k) ** 2,
)
D.step(
    "reconstruction error",
    Sum(norm(x[i] - kept) ** 2, i),
    Sum(sigma[k] ** 2, k, k > q),
    "From q components a point comes back without its other ones: the error is the sum of the dropped squares.",
    scale=Max(sigma[k], k) ** 2,
)
D.inequality(
    "no direction keeps more",
    Sum(dot(w, x[i]) ** 2, i),
    Max(sigma[k], k) ** 2,
    "A direction shares itself out among the v, and a weighted mean is at most the largest.",
)
D.inequality(
    "a projection makes no distance larger",
    norm(Sum(v[h] * dot(v[h], x[1] - x[2]), h)) ** 2,
    norm(x[1] - x[2]) ** 2,
    "So points that are far apart in the picture are far apart. Points that are near in it need not be near.",
)
D.step(
    "equal values: any turn is as good",
    Sum(dot(turned, x[i]) ** 2, i),
    sigma[1] ** 2,
    "Where two singular values are equal, every direction in their plane has the same variance.",
    samples=equal,
    given=(sigma[1], "=", sigma[2]),
)
D.false(
    "the first axis is unique",
    turned * dot(turned, x[i]),
    v[1] * dot(v[1], x[i]),
    "Two best pictures that differ. A sign is always free too: −v is as good as v. So a rule must choose.",
    samples=equal,
    given=(sigma[1], "=", sigma[2]),
)
