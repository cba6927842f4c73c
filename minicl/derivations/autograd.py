"""The rules that lead gradients backwards, as notebook 01 uses them: one loss followed from its end to its beginning.

A bar in the notebook is the derivative of the loss; here it is written out.
"""

import numpy as np
import sympy

from . import (
    Derivation,
    Index,
    Sum,
    Symbol,
    at,
    define,
    derivative,
    exp,
    log,
    positive,
    symbols,
    tanh,
)

v, p, n, h, m, d, R, C = symbols("v p n h m d R C")
u = define("u", [], tanh(v))
s_p = define("s_p", [], u * p, latex="s_p")
s_n = define("s_n", [], u * n, latex="s_n")
loss = define("loss", [], log(1 + exp(s_n - s_p)), latex="L")

i, j, k = Index("i", R), Index("j", C), Index("k", C)
x, W, b, g = Symbol("x"), Symbol("W"), Symbol("b"), Symbol("g", r"\bar{y}")
z = define("z", [i], tanh(Sum(W[i, k] * x[k], k)), latex="y")
total = define("total", [], Sum(g[i] * z[i], i), latex="L")
X = Symbol("X", "x")
y = define("y", [i, j], X[i, j] + b[j])
G = Symbol("G", r"\bar{y}")
weighted = define("weighted", [], Sum(Sum(G[i, k] * y[i, k], k), i), latex="L")
hinge = define("hinge", [], positive(m - d) ** 2, latex="y")


def samples(rng):
    rows, columns = (int(n) for n in rng.integers(1, 5, 2))
    numbers = {name: float(rng.normal()) for name in ("v", "p", "n", "m", "d")}
    shapes = {"x": columns, "W": (rows, columns), "b": columns, "g": rows, "X": (rows, columns), "G": (rows, columns)}
    return {**numbers, "h": 0.1, "R": rows, "C": columns, **{name: rng.normal(size=s) for name, s in shapes.items()}}


def _large(rng):
    return samples(rng) | {"v": 3.0, "p": -20.0, "n": 20.0}


def _symbols():
    return dict(zip("vpnmd", sympy.symbols("v p n m d", real=True)))


D = DERIVATION = Derivation(
    "autograd",
    "Backwards through a program",
    samples=samples,
    adversarial={"scores ±20": _large, "d = m − 1e-6": lambda rng: samples(rng) | {"m": 1.0, "d": 1 - 1e-6}},
    symbols=_symbols,
    intro="A small loss, and the rules that its gradient is made of.",
)

D.definition(
    "the loss of a pair",
    loss,
    "The loss is small where the positive scores above the negative.",
    code=lambda e: np.logaddexp(0.0, np.tanh(e["v"]) * (e["n"] - e["p"])),
)
D.approximation(
    "the slope",
    (at(loss, v, v + h) - loss) / h,
    derivative(loss, v),
    "A slope is what this ratio tends to as the step shrinks.",
    variable=h,
    order=1,
    start=0.01,
)
D.step(
    "two uses, one sum",
    derivative(loss, u),
    derivative(loss, s_n) * n + derivative(loss, s_p) * p,
    "u is used twice; the effects of both uses add up.",
    exactly="prove",
)
D.step(
    "the chain",
    derivative(loss, v),
    derivative(loss, u) * (1 - u**2),
    "The slope of tanh v is 1 − tanh² v, and slopes along a chain multiply.",
    exactly="prove",
)
D.step(
    "a row of the Jacobian at a time",
    derivative(total, x[j]),
    Sum(g[i] * derivative(z[i], x[j]), i),
    "With a weight for each output, the gradient is the weights times the Jacobian.",
)
D.step(
    "broadcasting is a sum",
    derivative(weighted, b[j]),
    Sum(G[i, j], i),
    "b is used once in each row, so its gradient adds up the rows.",
)
D.step(
    "a squared hinge",
    derivative(hinge, d),
    -(2 * positive(m - d)),
    "Inside the margin the slope is linear, beyond it is 0.",
)
D.false(
    "the last use alone",
    derivative(loss, u),
    derivative(loss, s_p) * p,
    "Overwriting where one should add forgets the first use.",
)
D.false(
    "no slope beyond the margin",
    derivative(hinge, d),
    -(2 * (m - d)),
    "Without the maximum, points beyond the margin are pulled back.",
)
