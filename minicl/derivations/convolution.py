"""Convolution in one dimension: what it is, how many outputs it has, and its two gradients.

A row of n pixels, a kernel of k weights and a stride s are enough: images have a second direction and channels, and
nothing else is new. The tempting mistake is to take the adjoint for the same convolution.
"""

import numpy as np

from ..conv import conv2d
from ..engine import grad, tensor
from . import Derivation, Index, Indicator, Sum, Symbol, define, derivative, symbols

n, k, s, P = symbols("n k s P")
x, w, g = Symbol("x"), Symbol("w"), Symbol("g", r"\bar{y}")
j, i, p = Index("j", n), Index("i", k), Index("p", P)
m = Index("m", P + 2 * (k - 1))

y = define("y", [p], Sum(w[i] * x[s * (p - 1) + i], i))
L = define("L", [], Sum(g[p] * y[p], p))
adjoint = define("adjoint", [j], Sum(Sum(g[p] * w[i] * Indicator(j == s * (p - 1) + i), i), p), latex=r"\bar{x}")
weights = define("weights", [i], Sum(g[p] * x[s * (p - 1) + i], p), latex=r"\bar{w}")
padded = define("padded", [m], Sum(g[p] * Indicator(p == m - k + 1), p), latex=r"\tilde{y}")


def row(rng, kernel=None, stride=None, outputs=None, left=None):
    """A row of pixels, a kernel and a cotangent; some last pixels may lie in no window."""
    kernel = kernel or int(rng.integers(1, 5))
    stride = stride or int(rng.integers(1, 4))
    outputs = outputs or int(rng.integers(1, 5))
    left = int(rng.integers(0, stride)) if left is None else left
    pixels = stride * (outputs - 1) + kernel + left
    return {
        "n": pixels,
        "k": kernel,
        "s": stride,
        "P": len(np.lib.stride_tricks.sliding_window_view(np.zeros(pixels), kernel)[::stride]),
        "x": rng.standard_normal(pixels),
        "w": rng.standard_normal(kernel),
        "g": rng.standard_normal(outputs),
    }


def dense(rng):
    """Stride 1."""
    return row(rng, stride=1)


def short(rng):
    """Two weights, two outputs, whole numbers: small enough to be printed where a FALSE step fails."""
    made = row(rng, kernel=2, stride=1, outputs=2)
    return made | {name: rng.integers(1, 5, len(made[name])).astype(float) for name in "xwg"}


def _images(e):
    return e["x"].reshape(1, -1, 1, 1), e["w"].reshape(-1, 1, 1, 1), (e["s"], 1)


def _library(e):
    image, kernel, stride = _images(e)
    return conv2d(image, kernel, stride=stride)[0, e["at"]["p"], 0, 0]


def _gradients(e):
    """By the engine: with respect to the row, and to the weights."""
    image, kernel, stride = _images(e)
    image, kernel = tensor(image), tensor(kernel)
    found = grad(conv2d(image, kernel, stride=stride), [image, kernel], e["g"].reshape(1, -1, 1, 1))
    return [gradient.ravel() for gradient in found]


D = DERIVATION = Derivation(
    "convolution",
    "Convolution and its gradients",
    samples=row,
    adversarial={
        "one weight": lambda rng: row(rng, kernel=1),
        "one window": lambda rng: row(rng, outputs=1),
        "stride beyond the kernel": lambda rng: row(rng, kernel=2, stride=3, left=2),
        "sizes from 1e-6 to 1e6": lambda rng: (
            lambda made: made | {"w": made["w"] * 10.0 ** rng.integers(-6, 7, made["k"])}
        )(row(rng)),
    },
    intro="One row of pixels x, one kernel w, and for each output a weight in the loss L, its cotangent.",
    sources="Dumoulin & Visin 2016 (arXiv:1603.07285) on sizes and on transposed convolution.",
)

D.definition("convolution", y[p], "Each window of the row times the kernel.", code=_library)
D.inequality("the last window fits", s * (P - 1) + k, n, "It begins at s(P − 1) + 1 and has k pixels.")
D.inequality(
    "no further window fits",
    n,
    s * P + k,
    "Window P + 1 would end at sP + k. Both together: P is (n − k)/s, rounded down, plus 1.",
    strict=True,
)
D.definition("loss", L, "A weight for each output; what these weights are does not matter.")
D.definition(
    "back into the row",
    adjoint[j],
    "Each output goes back to where its window was, through the same weights.",
    code=lambda e: _gradients(e)[0][e["at"]["j"]],
)
D.step(
    "gradient in a pixel",
    derivative(L, x[j]),
    adjoint[j],
    "A pixel collects from each window that it lies in.",
)
D.definition(
    "into the weights",
    weights[i],
    "Entry i of every window, times what comes back to that window.",
    code=lambda e: _gradients(e)[1][e["at"]["i"]],
)
D.step(
    "gradient in a weight",
    derivative(L, w[i]),
    weights[i],
    "A weight is used once in each window, and all uses add up.",
)
D.step(
    "the adjoint of the windows",
    Sum(g[p] * y[p], p),
    Sum(adjoint[j] * x[j], j),
    "⟨ȳ, Ax⟩ = ⟨Aᵀȳ, x⟩: two inner products that are equal for all x and ȳ, which no slip of an index survives.",
)
D.step(
    "the adjoint in the weights",
    Sum(g[p] * y[p], p),
    Sum(weights[i] * w[i], i),
    "The convolution is linear in its weights too.",
)
D.definition(
    "with zeros around it",
    padded[m],
    "k − 1 zeros on both sides, so that a window of k can slide over the edge.",
    code=lambda e: np.pad(e["g"], e["k"] - 1)[e["at"]["m"]],
)
D.step(
    "the adjoint is a convolution with the mirrored kernel",
    adjoint[j],
    Sum(w[k + 1 - i] * padded[j + i - 1], i),
    "What reached y from the right of its window goes back to the right: the kernel is read from its end.",
    samples=dense,
    given=(s, "=", 1),
)
D.false(
    "the adjoint is the same convolution",
    adjoint[j],
    Sum(w[i] * padded[j + i - 1], i),
    "Unmirrored it is right for kernels that are symmetric, and for no others.",
    samples=short,
    given=(s, "=", 1),
)
