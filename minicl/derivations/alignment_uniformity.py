"""Alignment and uniformity: what NT-Xent asks for when there are very many negatives.

The loss falls apart into two sums: partners shall be near, and all embeddings shall spread over the sphere. For an even
spread the limit is known in closed form, and how fast it is reached is measured.
"""

import numpy as np

from ..losses import align, nt_xent, uniform
from . import Derivation, Index, Mean, Sum, Symbol, define, dot, exp, log, norm, sinh
from . import symbols as letters

N, M, tau, t, c = letters("N M tau t c")
i, k = (Index(name, 2 * N) for name in "ik")
a = Index("a", N)
m = Index("m", M)
z, x, y, partner = Symbol("z"), Symbol("x"), Symbol("y"), Symbol("j", call=True)
j = partner[i]

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
v = define("v", (a,), x[a] / norm(x[a]))
w = define("w", (a,), y[a] / norm(y[a]))
kernel = exp(-(t * norm(u[i] - u[k]) ** 2))
same_kernel = exp(-(norm(u[i] - u[k]) ** 2 / (2 * tau)))  # with t = 1/(2τ)
alignment = define("Lalign", (), Mean(norm(v[a] - w[a]) ** 2, a), r"L_{\mathrm{align}}")
uniformity = define("Lunif", (), log(Sum(Sum(kernel, k, k != i), i) / (2 * N * (2 * N - 1))), r"L_{\mathrm{unif}}")
per_anchor = Mean(log(Sum(kernel, k, k != i) / (2 * N - 1)), i)
loss = define("L", (), Mean(-s[i, j] / tau + log(Sum(exp(s[i, k] / tau), k, k != i)), i))
height = define("h", (m,), (2 * m - 1) / M - 1)
even = define("lM", (), -c / tau + log(exp(c / tau) + Sum(exp(height[m] / tau), m)), r"\ell")


def _batch(rng, n, d, temperature, z=None):
    z = rng.standard_normal((2 * n, d)) if z is None else z
    rows = np.arange(2 * n)
    found = {"N": n, "M": 8, "z": z, "x": z[:n], "y": z[n:], "j": (rows + n) % (2 * n)}
    return found | {"tau": temperature, "t": float(rng.uniform(0.5, 4)), "c": float(rng.uniform(0.5, 1))}


def samples(rng):
    """Two or three images; a cosine c between 0.5 and 1 for the partner of the evenly spread anchor."""
    return _batch(rng, int(rng.integers(2, 4)), int(rng.integers(2, 4)), float(np.exp(rng.uniform(-1.5, 1))))


def warm(rng):
    """A temperature between 0.5 and 3, where the order shows at a few hundred negatives."""
    return samples(rng) | {"tau": float(np.exp(rng.uniform(-0.7, 1.1)))}


ADVERSARIAL = {
    "temperature 0.05": lambda rng: _batch(rng, 3, 3, 0.05),
    "all embeddings equal": lambda rng: _batch(rng, 2, 2, 0.5, np.ones((4, 2))),
    "partners opposite": lambda rng: _batch(rng, 2, 2, 0.5, np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])),
    "lengths from 1e-3 to 1e3": lambda rng: _batch(
        rng, 2, 3, 0.5, rng.standard_normal((4, 3)) * np.logspace(-3, 3, 4)[:, None]
    ),
}


def symbols():
    """Two images in the plane; lengths stay symbols too."""
    import sympy

    names = np.array(sympy.symbols("z1:9", real=True), dtype=object).reshape(4, 2)
    tau, t, c = sympy.symbols("tau t c", positive=True)
    found = {"N": 2, "M": 2, "z": names, "x": names[:2], "y": names[2:], "j": np.array([2, 3, 0, 1])}
    return found | {"tau": tau, "t": t, "c": c}


DERIVATION = D = Derivation(
    "alignment_uniformity",
    "Alignment and uniformity",
    samples=samples,
    adversarial=ADVERSARIAL,
    symbols=symbols,
    intro="All embeddings have length 1 here. View i has the partner j(i); v and w are the two views of the images.",
    sources="Wang & Isola 2020 (arXiv:2005.10242), Theorem 1.",
)

D.definition(
    "alignment",
    alignment,
    "How far the two views of an image are apart.",
    code=lambda env: align(env["x"], env["y"]),
)
D.definition(
    "uniformity",
    uniformity,
    "How crowded the sphere is: over all pairs of two different views.",
    code=lambda env: uniform(env["z"], env["t"]),
)
D.definition(
    "the loss",
    loss,
    "NT-Xent, as a pull on the partner and a crowd of candidates.",
    code=lambda env: nt_xent(env["z"], temperature=env["tau"]),
)
D.step(
    "alignment is the similarity of partners",
    alignment,
    2 - 2 * Mean(dot(v[a], w[a]), a),
    "On the sphere ‖v − w‖² = 2 − 2 v·w.",
    exactly="prove",
)
D.step(
    "one kernel",
    same_kernel,
    exp(s[i, k] / tau) * exp(-(1 / tau)),
    "With t = 1/(2τ) the Gaussian kernel of the distance is the exponential of the cosine, up to a constant.",
    where=(k != i, i == 1),
)
D.step(
    "two parts of the loss",
    loss - log(2 * N - 1),
    -Mean(s[i, j] / tau, i) + Mean(log(Sum(exp(s[i, k] / tau), k, k != i) / (2 * N - 1)), i),
    "Exact for every batch: partners near, and for each anchor a crowd as thin as can be.",
)
D.step(
    "the crowd, in distances",
    Mean(log(Sum(exp(s[i, k] / tau), k, k != i) / (2 * N - 1)), i),
    Mean(log(Sum(same_kernel, k, k != i) / (2 * N - 1)), i) + 1 / tau,
    "The same crowd with the kernel of the distance, t = 1/(2τ).",
)
D.inequality(
    "mean of logarithms, logarithm of a mean",
    per_anchor,
    uniformity,
    "Jensen. The loss has a logarithm for each anchor, uniformity has one logarithm for all pairs.",
)
D.false(
    "uniformity is a mean of logarithms",
    uniformity,
    per_anchor,
    "Only where all anchors are equally crowded. So the loss is not exactly alignment plus uniformity.",
)
D.inequality(
    "and further inside",
    Sum(Sum(-(t * norm(u[i] - u[k]) ** 2), k, k != i), i) / (2 * N * (2 * N - 1)),
    per_anchor,
    "The mean squared distance is a lower bound that does not see crowds: two heaps at the poles satisfy it too.",
)

D.definition(
    "heights on the sphere",
    height[m],
    "Archimedes: on the sphere in three dimensions, evenly spread points have evenly spread heights above any equator.",
)
D.approximation(
    "the crowd of an even sphere",
    Mean(exp(height[m] / tau), m),
    tau * sinh(1 / tau),
    "The integral of the exponential over heights from −1 to 1 is sinh κ / κ with κ = 1/τ.",
    variable=M, order=2, toward="infinity", start=4, steps=3, samples=warm,
)  # fmt: skip
D.definition(
    "an anchor with M negatives, evenly spread",
    even,
    "Its partner has cosine c. The partner stands in the sum too.",
)
D.approximation(
    "many negatives",
    even - log(M),
    -c / tau + log(tau * sinh(1 / tau)),
    "The limit of Theorem 1 for an even sphere. What is left falls like 1/M: it is the partner's own term in the sum.",
    variable=M, order=1, toward="infinity", start=16, steps=3, samples=warm,
)  # fmt: skip
D.false(
    "the limit without the logarithm of the number",
    even,
    -c / tau + log(tau * sinh(1 / tau)),
    "The loss itself grows like log M. What has a limit is the loss minus log M.",
)
