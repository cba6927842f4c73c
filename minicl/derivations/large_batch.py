"""A batch that does not fit: a log-sum-exp over blocks, a gradient in parts, and a gradient across machines.

All three are exact. What is not exact is to cut the loss itself into parts, or to keep the gradient of one's own part.
"""

import numpy as np

from . import LSE, Derivation, Index, Max, Mean, Sum, Symbol, among, define, derivative, dot, exp, log, symbols, tanh
from . import positive as plus

n, m, N, R, tau = symbols("n m N R tau")
k, l = Index("k", n), Index("l", m)
x, y = Symbol("x"), Symbol("y")

top = define("top", (), Max(x[k], k), "M")
total = define("total", (), Sum(exp(x[k] - top), k), "S")
new_top = define("newtop", (), top + plus(Max(y[l], l) - top), "M'")
new_total = define("newtotal", (), exp(top - new_top) * total + Sum(exp(y[l] - new_top), l), "S'")
lse = define("lse", (), log(Sum(exp(x[k]), k) + Sum(exp(y[l]), l)), r"\Lambda")

i, j = Index("i", N), Index("j", N)
r, p = Index("r", R), Index("p", R)
a, b, w = Symbol("a"), Symbol("b"), Symbol("w")
C = Symbol("C", call=True)
q = define("q", (i,), tanh(dot(w, a[i])))
key = define("c", (i,), tanh(dot(w, b[i])))
ell = define("ell", (i,), LSE(q[i] * key[j] / tau, j) - q[i] * key[i] / tau, r"\ell")
L = define("L", (), Mean(ell[i], i), r"\mathcal{L}")
part = define("part", (r,), Sum(ell[i], i, among(i, C[r])) / N, "L")
alone = define(
    "alone",
    (r,),
    Sum(LSE(q[i] * key[j] / tau, j, among(j, C[r])) - q[i] * key[i] / tau, i, among(i, C[r])) / N,
    r"\tilde{L}",
)


def _case(rng, scores=3.0, rows=None, parts=2, temperature=None, columns=None):
    rows = rows or int(rng.integers(2, 5))
    parts = min(parts, rows)
    first, second = columns or rng.integers(1, 5, 2)
    order = rng.permutation(rows)
    return {
        "n": int(first),
        "m": int(second),
        "x": scores * rng.standard_normal(int(first)),
        "y": scores * rng.standard_normal(int(second)),
        "N": rows,
        "R": parts,
        "tau": float(np.exp(rng.uniform(-1.5, 1))) if temperature is None else temperature,
        "w": rng.standard_normal(2),
        "a": rng.standard_normal((rows, 2)),
        "b": rng.standard_normal((rows, 2)),
        "C": [sorted(int(v) for v in cut) for cut in np.array_split(order, parts)],
    }


def _equal(rng):
    made = _case(rng, columns=(3, 3), rows=4)
    return {**made, "x": np.full(3, 2.0), "y": np.full(3, 2.0), "a": np.ones((4, 2)), "b": np.ones((4, 2))}


def _symbols():
    import sympy

    return {
        "n": 2,
        "m": 1,
        "x": np.array(sympy.symbols("x1:3", real=True), dtype=object),
        "y": np.array([sympy.Symbol("y1", real=True)], dtype=object),
    }


def _streamed(env):
    """The log-sum-exp of x and then y as a loop keeps it: the largest so far, and the sum relative to it."""
    largest, held = -np.inf, 0.0
    for block in (env["x"], env["y"]):
        new = max(largest, block.max())
        held = held * np.exp(largest - new) + np.exp(block - new).sum()
        largest = new
    return largest + np.log(held)


DERIVATION = D = Derivation(
    "large_batch",
    "A batch that does not fit",
    samples=_case,
    adversarial={
        "scores of ±300": lambda rng: {**_case(rng, columns=(2, 2)), "x": np.array([-300.0, 1]), "y": np.array([300.0, 0])},
        "the largest score comes first": lambda rng: {**_case(rng, columns=(2, 2)), "x": np.array([50.0, 1]), "y": np.zeros(2)},
        "everything equal": _equal,
        "temperature 0.01": lambda rng: _case(rng, temperature=0.01),
        "one part": lambda rng: _case(rng, rows=3, parts=1),
        "parts of one row": lambda rng: _case(rng, rows=3, parts=3),
    },
    symbols=_symbols,
    intro="A row of scores comes in two blocks, x and then y. And a batch of N queries q and keys c, both made with weights "
    "w, is cut into parts C(1), …, C(R), so small that an encoder (or a machine) can hold one. The encoder has one output: "
    "enough to see who depends on whom.",
    sources="Milakov & Gimelshein 2018 (arXiv:1805.02867) for the running log-sum-exp; Gao et al. 2021 (arXiv:2101.06983) "
    "for the two passes.",
)  # fmt: skip

# ------------------------------------------------------------------------------------- a log-sum-exp, block by block

D.definition("largest so far", top, "After the first block.")
D.definition("sum so far", total, "Relative to the largest, so that no exponential overflows.")
D.definition("largest after the second block", new_top, "The larger of the two: it can only grow.")
D.definition("log-sum-exp of both blocks", lse, "What is wanted, as it is defined.", code=_streamed)
D.step(
    "rescaling",
    exp(top - new_top) * total,
    Sum(exp(x[k] - new_top), k),
    "One factor makes the old sum relative to the new largest score. The old scores are not needed again.",
)
D.definition("sum after the second block", new_total, "The old sum, rescaled, and the new terms.")
D.step(
    "two numbers are enough",
    new_top + log(new_total),
    lse,
    "So a row of any length needs two numbers, and a block.",
)
D.false(
    "without rescaling",
    new_top + log(total + Sum(exp(y[l] - new_top), l)),
    lse,
    "The old terms are still relative to the old largest score. It is right only where that was the largest of all.",
    samples=lambda rng: _case(rng, rows=4),
)
D.step(
    "going back",
    derivative(lse, x[k]),
    exp(x[k] - lse),
    "The gradient needs one number for each row, too: blocks are computed again, and nothing of size N² is kept.",
    exactly="prove",
)

# --------------------------------------------------------------------------------------------- a gradient, part by part

D.definition("loss of one query", ell[i], "InfoNCE: find the own key among those of the whole batch.")
D.definition("loss of the batch", L, "The mean.")
D.step(
    "through the embeddings",
    derivative(L, w),
    Sum(derivative(L, q[i]) * derivative(q[i], w) + derivative(L, key[i]) * derivative(key[i], w), i),
    "The chain rule: the weights act on the loss through the embeddings, and these are small.",
    scale=1 / tau,
)
D.step(
    "in parts",
    derivative(L, w),
    Sum(
        Sum(
            derivative(L, q[i]) * derivative(q[i], w) + derivative(L, key[i]) * derivative(key[i], w),
            i,
            among(i, C[r]),
        ),
        r,
    ),
    "The sum may be cut anywhere, as long as ∂L/∂q and ∂L/∂c are those of the whole batch. One part's graph at a time.",
    scale=1 / tau,
    exactly=None,
)
D.definition(
    "loss of a part by itself", alone[r], "The candidates are those of the part: the others are not in memory."
)
D.false(
    "adding up the gradients of the parts by themselves",
    derivative(L, w),
    Sum(derivative(alone[r], w), r),
    "Accumulation as for classification. But here a query has lost its negatives in other parts.",
    samples=lambda rng: _case(rng, rows=4, temperature=0.5),
)

# ---------------------------------------------------------------------------------------------- across machines

D.definition("loss on one machine", part[r], "Its own queries, against keys gathered from all machines.")
D.step("the whole is the sum", L, Sum(part[r], r), "Each query is on one machine.")
D.step(
    "gather with gradient",
    derivative(L, key[j]),
    Sum(derivative(part[r], key[j]), r),
    "All machines used the key, so all of them send back a part of its gradient: reduce, and scatter to the owners.",
)
D.false(
    "gather without gradient",
    derivative(L, key[j]),
    Sum(derivative(part[r], key[j]), r, among(r, Symbol("home", "h", call=True)[j])),
    "The machine that owns the key keeps its own part, and those of the others are lost. Here h(j) is the owner of j.",
    samples=lambda rng: (
        lambda made: {**made, "home": [[next(c for c, rows in enumerate(made["C"]) if v in rows)] for v in range(4)]}
    )(_case(rng, rows=4, temperature=0.5)),
)
