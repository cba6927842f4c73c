"""BatchNorm of one feature: what its output for an image says about the other images of the batch.

That is the leak: a partner in the batch can be found through the statistics, without looking at the image.
"""

import numpy as np

from ..nn import BatchNorm1d
from . import Derivation, Index, Indicator, Mean, Sum, Symbol, absolute, define, derivative, sqrt, symbols

N, eps = symbols("N epsilon")
x = Symbol("x")
i, m, a = Index("i", N), Index("m", N), Index("a", N)
mu = define("mu", [], Mean(x[a], a), latex=r"\mu")
v = define("v", [], Mean((x[a] - mu) ** 2, a))
y = define("y", [i], (x[i] - mu) / sqrt(v + eps))


def batch(rng):
    count = int(rng.integers(2, 6))
    return {"N": count, "x": rng.standard_normal(count), "epsilon": float(10 ** rng.uniform(-5, 0))}


def pair(rng):
    """Two images, and no ε."""
    return {"N": 2, "x": rng.permutation([rng.uniform(0, 1), rng.uniform(2, 9)]), "epsilon": 0.0}


def short(rng):
    """Three images in small whole numbers."""
    return {"N": 3, "x": rng.permutation([1.0, 2.0, 6.0]), "epsilon": 0.0}


def _library(e):
    layer = BatchNorm1d(1, eps=e["epsilon"], dtype=np.float64)
    return layer(e["x"][:, None]).numpy()[e["at"]["i"], 0]


D = DERIVATION = Derivation(
    "batch_norm",
    "BatchNorm and the other images",
    samples=batch,
    adversarial={
        "far from 0": lambda rng: batch(rng) | {"N": 3, "x": 1e3 + rng.standard_normal(3)},
        "one image stands out": lambda rng: batch(rng) | {"N": 4, "x": np.array([1.0, 2.0, 3.0, 1e3])},
        "large ε": lambda rng: batch(rng) | {"epsilon": 1e3},
    },
    intro="One feature x of N images, normalised with the mean and the variance of the batch.",
    sources="Ioffe & Szegedy 2015 (arXiv:1502.03167); He et al. 2019 (arXiv:1911.05722) on the leak.",
)

D.definition("mean", mu, "Over the batch.", code=lambda e: e["x"].mean())
D.definition("variance", v, "The mean of the squared deviations.", code=lambda e: e["x"].var())
D.definition("BatchNorm", y[i], "In training; the learned scale and shift are left out.", code=_library)
D.step(
    "a batch adds up to nothing",
    Sum(y[i], i),
    0,
    "Deviations from a mean cancel. Who knows all outputs but one knows the last.",
    scale=Sum(absolute(x[a] / sqrt(v + eps)), a) + 1,
)
D.step(
    "each image moves all outputs",
    derivative(y[i], x[m]),
    (Indicator(i == m) - 1 / N - y[i] * y[m] / N) / sqrt(v + eps),
    "Directly, through the mean, and through the variance.",
    tolerance=1e-9,  # far from 0 the deviations have lost three digits already
)
D.false(
    "an image is judged alone",
    derivative(y[i], x[m]),
    Indicator(i == m) / sqrt(v + eps),
    "This forgets that the mean and the variance are made of the same images.",
    samples=short,
)
D.step(
    "a pair says nothing but which is larger",
    y[i] ** 2,
    1,
    "Two different images alone become +1 and −1, whatever they are: the one output is the other with its sign turned.",
    samples=pair,
    given=r"N = 2,\ \epsilon = 0,\ x_{1} \ne x_{2}",
)
