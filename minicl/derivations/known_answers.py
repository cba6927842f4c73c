"""Known answers: batches so regular that the loss can be written down without computing a matrix.

They need no second implementation, so they are the first tests that a loss should pass. The last part shows why the
regular simplex is the best that any embedding can do.
"""

import numpy as np

from .. import losses
from . import LSE, Derivation, Index, Mean, Sum, Symbol, cos, define, dot, excluding, exp, log, norm, pi
from . import symbols as letters

N, tau = letters("N tau")
i, k = (Index(name, 2 * N) for name in "ik")
m = Index("m", N - 1)
z = Symbol("z")
partner = Symbol("j", call=True)
j = partner[i]
negative = excluding(k, i, j)

u = define("u", (i,), z[i] / norm(z[i]))
s = define("s", (i, k), dot(u[i], u[k]))
loss = define("ell", (i,), -(s[i, j] / tau) + LSE(s[i, k] / tau, k, k != i), r"\ell")
L = define("L", (), Mean(loss[i], i), r"\mathcal{L}")


def _batch(rng, first, second, temperature=None, lengths=True):
    first, second = np.asarray(first, float), np.asarray(second, float)
    n = len(first)
    z = np.concatenate([first, second])
    if lengths:  # powers of two, so that directions stay exact
        z = z * 2.0 ** rng.integers(-4, 5, (2 * n, 1))
    tau = float(np.exp(rng.uniform(-2.3, 1))) if temperature is None else temperature
    return {"N": n, "tau": tau, "z": z, "j": (np.arange(2 * n) + n) % (2 * n)}


def samples(rng):
    """Two to four images anywhere."""
    n, d = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    return _batch(rng, rng.standard_normal((n, d)), rng.standard_normal((n, d)))


def collapse(rng):
    """All directions equal."""
    n = int(rng.integers(1, 6))
    row = np.tile(rng.standard_normal(2), (n, 1))
    return _batch(rng, row, row)


def orthogonal(rng):
    """Pairs aligned, images at right angles."""
    images = np.eye(int(rng.integers(2, 5)))
    return _batch(rng, images, images)


def _corners(n):
    return n * np.eye(n) - 1


def simplex(rng):
    """Pairs aligned, images at the corners of a regular simplex."""
    corners = _corners(int(rng.integers(2, 5)))
    return _batch(rng, corners, corners)


def three_or_four(rng):
    """Pairs aligned, three or four images at the corners of a regular simplex: the best batch."""
    corners = _corners(int(rng.integers(3, 5)))
    return _batch(rng, corners, corners, lengths=False)


def polygon(rng):
    """Pairs aligned, images at the corners of a regular polygon in the plane."""
    n = int(rng.integers(2, 8))
    angles = 2 * np.pi * np.arange(n) / n + rng.uniform(0, 6)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _batch(rng, corners, corners)


def broken(rng):
    """Orthonormal pairs, and the partner of image 1 on the other side."""
    images = np.eye(int(rng.integers(2, 5)))
    others = images.copy()
    others[0] *= -1
    return _batch(rng, images, others)


def one(rng):
    """One image."""
    return _batch(rng, rng.standard_normal((1, 3)), rng.standard_normal((1, 3)))


def short(rng):
    """Two images in the plane, in small whole numbers: an input that can be printed where a FALSE step fails."""
    z = rng.integers(0, 4, (4, 2)).astype(float)
    z[~z.any(axis=1)] = 1, 0
    return _batch(rng, z[:2], z[2:], 0.5, lengths=False)


ADVERSARIAL = {
    "τ = 0.01": lambda rng: _batch(rng, rng.standard_normal((3, 3)), rng.standard_normal((3, 3)), 0.01),
    "equal embeddings": lambda rng: _batch(rng, np.ones((3, 2)), np.ones((3, 2)), 0.5),
    "a regular simplex": lambda rng: _batch(rng, _corners(4), _corners(4), 0.5),
    "two points opposite": lambda rng: _batch(rng, [[1.0], [-1.0]], [[1.0], [-1.0]], 0.2),
    "partners opposite": lambda rng: _batch(rng, np.eye(2), -np.eye(2), 0.05),
}

DERIVATION = D = Derivation(
    "known_answers",
    "Known answers of NT-Xent",
    samples=samples,
    adversarial=ADVERSARIAL,
    intro="Each line sets up a batch, computes its loss from the embeddings, and compares it with a closed value.",
    sources="Wang & Isola 2020 (arXiv:2005.10242) and Graf et al. 2021 (arXiv:2102.08817) on which configurations are best.",
)

D.definition("score", s[i, k], "The cosine of two embeddings.")
D.definition(
    "loss of one anchor",
    loss[i],
    "In logarithms.",
    code=lambda e: losses.nt_xent(e["z"], temperature=e["tau"], reduction="none")[e["at"]["i"]],
)
D.definition(
    "NT-Xent",
    L,
    "The mean over all 2N views.",
    code=lambda e: losses.nt_xent(e["z"], temperature=e["tau"]),
)
D.step("one image", L, 0, "The partner is the only candidate.", samples=one, scale=1, given=(N, "=", 1))
D.step(
    "collapse",
    L,
    log(2 * N - 1),
    "All embeddings are equal: every candidate is as good as the partner, at every temperature.",
    samples=collapse,
    given=r"u_{1} = \dots = u_{2 N}",
    scale=1 / tau,
)
D.false(
    "collapse with the anchor among its candidates",
    L,
    log(2 * N),
    "This value is the sign of a loss that forgot its mask.",
    samples=collapse,
    given=r"u_{1} = \dots = u_{2 N}",
)
D.step(
    "orthogonal images",
    L,
    log(1 + (2 * N - 2) * exp(-(1 / tau))),
    "Pairs are aligned, and all other cosines are 0.",
    samples=orthogonal,
    given=r"s_{i\,j(i)} = 1, \text{ all others } 0",
)
D.step(
    "regular simplex",
    L,
    log(1 + (2 * N - 2) * exp(-N / ((N - 1) * tau))),
    "Pairs are aligned, and all other cosines are −1/(N − 1): as far apart as N directions can all be.",
    samples=simplex,
    given=r"s_{i\,j(i)} = 1, \text{ all others } -1/(N - 1)",
)
D.step(
    "regular polygon",
    L,
    log(1 + 2 * Sum(exp((cos(2 * pi * m / N) - 1) / tau), m)),
    "In the plane, pairs aligned: two views at each of the other N − 1 corners.",
    samples=polygon,
    given=r"s_{ik} = \cos(2 \pi (k - i)/N)",
    exactly=None,  # the corners are rounded
)
D.step(
    "one broken pair",
    L,
    (2 * (log(exp(-(1 / tau)) + 2 * N - 2) + 1 / tau) + (2 * N - 2) * (log(exp(1 / tau) + 2 * N - 2) - 1 / tau))
    / (2 * N),
    "Orthonormal pairs, but the two views of one image are opposite: two anchors lose, all others have a good partner.",
    samples=broken,
    given=r"s_{1\,j(1)} = -1, \text{ other partners } 1, \text{ all others } 0",
)
D.inequality(
    "Jensen",
    log(2 * N - 2) + Sum(s[i, k] / tau, k, negative) / (2 * N - 2),
    LSE(s[i, k] / tau, k, negative),
    "A log-sum-exp is at least the log of the number of its terms plus their mean; equal where all terms are.",
)
D.inequality(
    "directions cannot all avoid each other",
    -(2 * N),
    Sum(Sum(s[i, k], k, k != i), i),
    "All cosines, those with itself included, add up to the square of the length of Σ u.",
)
D.inequality(
    "the simplex is the best",
    log(1 + (2 * N - 2) * exp(-N / ((N - 1) * tau))),
    L,
    "Both bounds together, with all partners at cosine 1. Negatives end at −1/(N − 1), which is −1 for two images alone.",
    given=(N, ">", 1),
)
D.false(
    "collapse is the worst",
    L,
    log(2 * N - 1),
    "A batch whose partners are far apart costs more than collapse: log(2N − 1) is no ceiling.",
    relation="<=",
    samples=short,
)
D.false(
    "negatives at −1",
    L,
    log(1 + (2 * N - 2) * exp(-2 / tau)),
    "So much the best batch would cost if all negatives could be opposite to the anchor. Two that are opposite to it are "
    "not opposite to each other, so from three images on the simplex costs more. (Two opposite pairs do get there.)",
    samples=three_or_four,
    given=r"\text{the regular simplex, } N \ge 3",
)
