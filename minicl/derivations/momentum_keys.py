"""How old a momentum encoder is, how far it lags behind, how fast its keys drift; and what few negatives cost.

The key encoder is a mean over the past of the query encoder. Its weights are a geometric series, and all follows from it.
"""

from fractions import Fraction

import numpy as np

from . import Derivation, Index, Mean, Number, Sum, Symbol, define, exp, log, symbols

m, T, v, K, start, epsilon = symbols("m T v K start epsilon")
start.shown = r"\theta_0"
epsilon.shown = r"\varepsilon"
t, a = Index("t", T), Index("a", T - 1, first=0)
s = Index("s", t)
delta = Symbol("delta", r"\delta")
query = define("q", (t,), start + Sum(delta[s], s))
weight = define("omega", (a,), (1 - m) * m**a, r"\omega")
slow = define("slow", (), m**T * start + Sum((1 - m) * m ** (T - t) * query[t], t), "k")

x = Symbol("x")
b, c, d = (Index(name, K) for name in "bcd")
value = define("e", (b,), exp(epsilon * x[b]))
mean = define("mean", (), Mean(value[b], b), r"\bar e")
spread = define("spread", (), Mean((value[b] - mean) ** 2, b) / mean**2, "V")
two = define("two", (), Mean(Mean(log((value[b] + value[c]) / 2), c), b), r"\Lambda_2")
three = define("three", (), Mean(Mean(Mean(log((value[b] + value[c] + value[d]) / 3), d), c), b), r"\Lambda_3")


def _run(rng, steps=None, momentum=None, scores=None):
    steps = steps or int(rng.integers(1, 7))
    count = int(rng.integers(2, 5)) if scores is None else len(scores)
    return {
        "T": steps,
        "m": float(rng.uniform(0.05, 0.99)) if momentum is None else momentum,
        "v": float(rng.normal()),
        "start": float(rng.normal()),
        "delta": rng.standard_normal(steps),
        "K": count,
        "x": rng.standard_normal(count) if scores is None else np.array(scores, float),
        "epsilon": float(rng.uniform(0.3, 3)),
    }


def _straight(rng):
    """The query encoder moves by the same step each time."""
    made = _run(rng)
    return {**made, "delta": np.full(made["T"], made["v"])}


def _symbols():
    import sympy

    return {
        "T": 3,
        "m": sympy.Symbol("m", positive=True),
        "v": sympy.Symbol("v", real=True),
        "start": sympy.Symbol("theta0", real=True),
        "delta": np.array(sympy.symbols("delta1:4", real=True), dtype=object),
        "K": 2,
        "x": np.array(sympy.symbols("x1:3", real=True), dtype=object),
        "epsilon": sympy.Symbol("epsilon", positive=True),
    }


def _in_steps(env):
    """θ_k ← m θ_k + (1 − m) θ_q, step by step."""
    slow, fast = env["start"], env["start"]
    for move in env["delta"]:
        fast = fast + move
        slow = env["m"] * slow + (1 - env["m"]) * fast
    return slow


DERIVATION = D = Derivation(
    "momentum_keys",
    "How old the keys are, and how many are enough",
    samples=_run,
    adversarial={
        "m = 0.999, 6 steps": lambda rng: _run(rng, 6, 0.999),
        "m = 0.01": lambda rng: _run(rng, 4, 0.01),
        "one step": lambda rng: _run(rng, 1),
        "scores that differ much": lambda rng: {**_run(rng, scores=[-8.0, 0.0, 8.0]), "epsilon": 1.0},
        "scores that are nearly equal": lambda rng: {**_run(rng, scores=[0.0, 1e-3, -1e-3]), "epsilon": 1.0},
    },
    symbols=_symbols,
    intro="One parameter stands for all. The query encoder moves by δ_t in step t. After each step the key encoder becomes "
    "k ← m k + (1 − m) q. In the last part the negatives of a query have the K scores ε x, and two or three of them are "
    "drawn, each of the K with equal chance.",
    sources="He et al. 2019 (arXiv:1911.05722) for the momentum encoder. The last part is Jensen's inequality.",
)

# -------------------------------------------------------------------------------------------------- age, lag

D.definition("the query encoder", query[t], "Where it is after t steps.")
D.definition(
    "the key encoder", slow, "All updates at once: a mean over the past, the younger the heavier.", code=_in_steps
)
D.definition("weight of a past", weight[a], "How much the query encoder of a steps ago counts.")
D.step(
    "the weights sum to nearly 1",
    Sum(weight[a], a),
    1 - m**T,
    "A geometric series. The rest is the weight of the start.",
    exactly="prove",
)
D.step(
    "mean age",
    Sum(a * weight[a], a),
    m / (1 - m) * (1 - m**T) - T * m**T,
    "After many steps m/(1 − m): 9 steps for m = 0.9, 999 for m = 0.999.",
    exactly="prove",
    scale=T,
)
D.false(
    "mean age and half-life are the same",
    m ** (m / (1 - m)),
    Number(Fraction(1, 2)),
    "After the mean age a good third of the old is still there, not a half. The half-life is shorter, log 2/log(1/m).",
)
D.step(
    "lag",
    query[T] - slow,
    Sum(m ** (T - t + 1) * delta[t], t),
    "What is missing in the keys: every step of the query encoder, fading by m each time.",
    exactly="prove",
    scale=1,
)
D.step(
    "lag behind a straight walk",
    query[T] - slow,
    v * m / (1 - m) * (1 - m**T),
    "Equal steps v: the lag is the mean age times the speed.",
    samples=_straight,
    scale=1,
    given=r"\delta_{t} = v",
)
D.step(
    "size of the lag behind a random walk",
    Sum(m ** (2 * (T - t + 1)), t),
    m**2 * (1 - m ** (2 * T)) / (1 - m**2),
    "Independent steps of variance 1: their squares add up. About 1/(2(1 − m)) after many steps, so the lag grows like "
    "the root of the age.",
    exactly="prove",
)
D.step(
    "how far the keys move in one step",
    m * slow + (1 - m) * query[T] - slow,
    (1 - m) * (query[T] - slow),
    "An update moves the keys by a part 1 − m of the lag. So a large m gives keys of one kind, and they are old.",
    scale=1,
)
D.false(
    "momentum the other way round",
    (1 - m) * slow + m * query[T],
    m * slow + (1 - m) * query[T],
    "With m = 0.999 this copies the query encoder. Test it: m = 1 must freeze, m = 0 must copy.",
    scale=1,
)

# ----------------------------------------------------------------------------------------------- few negatives

D.definition("exponential of a score", value[b], "The scores are ε x, so that ε makes them differ more or less.")
D.definition("their mean", mean, "Over all K: what a sample estimates.")
D.definition("log-partition with two negatives", two, "Its mean over all draws of two, with replacement.")
D.definition("log-partition with three negatives", three, "The same with three.")
D.step(
    "the partition itself is right on average",
    Mean(Mean((value[b] + value[c]) / 2, c), b),
    mean,
    "A mean of a sample is unbiased.",
)
D.inequality(
    "its logarithm is too small on average",
    two,
    log(mean),
    "Jensen: a logarithm bends down, so the low samples cost more than the high ones bring.",
)
D.inequality("more negatives are less wrong", two, three, "The mean of three is the mean of its three means of two.")
D.inequality("and never too large", three, log(mean), "Jensen again, for any number of negatives.")
D.false(
    "unbiased",
    two,
    log(mean),
    "The logarithm of an unbiased estimate is not unbiased.",
)
D.definition(
    "squared coefficient of variation", spread, "Variance over squared mean: how much the exponentials differ."
)
D.approximation(
    "how much too small",
    two - log(mean),
    -spread / 4,
    "−V/2M with M = 2: the second-order term of the logarithm. Scores that differ much (a low temperature) need many "
    "negatives.",
    variable=epsilon,
    order=3,
    start=0.1,
)
