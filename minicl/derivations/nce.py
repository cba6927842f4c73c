"""Noise-contrastive estimation, from Bayes' rule to the gradient of maximum likelihood.

The world has K points, so that every expectation is a sum and every statement is exact. A point is data with the density
p, or noise with the density q, and noise is ν times as frequent. The scores s are the log of a model p̃ that nobody has
normalised.
"""

import numpy as np

from ..losses import nce
from ..ops import softmax
from . import (
    Derivation,
    Expectation,
    Index,
    Sum,
    Symbol,
    absolute,
    define,
    derivative,
    exp,
    log,
    positive,
    sigmoid,
    softplus,
    symbols,
)

K, nu, t, k = symbols("K nu t k")
x, y = Index("x", K), Index("y", K)
p, q, s, theta = (
    Symbol("p", call=True),
    Symbol("q", call=True),
    Symbol("s", call=True),
    Symbol("theta", r"\theta", call=True),
)

prior = define("prior", (), 1 / (1 + nu), latex=r"\pi_1")
prior_0 = define("prior_0", (), nu / (1 + nu), latex=r"\pi_0")
joint = define("joint", (x,), prior * p[x], latex="J_1", call=True)
joint_0 = define("joint_0", (x,), prior_0 * q[x], latex="J_0", call=True)
posterior = define("posterior", (x,), joint[x] / (joint[x] + joint_0[x]), latex="P_1", call=True)
posterior_0 = define("posterior_0", (x,), joint_0[x] / (joint[x] + joint_0[x]), latex="P_0", call=True)
ratio = define("ratio", (x,), p[x] / q[x], latex="f", call=True)

corrected = s[x] - log(nu * q[x])
h = define("h", (x,), sigmoid(corrected), call=True)
loss = define(
    "L", (), Expectation(softplus(log(nu * q[x]) - s[x]), x, p[x]) + nu * Expectation(softplus(corrected), x, q[x])
)
slope = define("g", (x,), nu * q[x] * h[x] - p[x] * (1 - h[x]), call=True)
at_log_p = log(p[x]) - log(nu * q[x])
bare = define(
    "L_k", (), Expectation(softplus(log(k) - s[x]), x, p[x]) + nu * Expectation(softplus(s[x] - log(k)), x, q[x])
)

learned = k * p[x] / (nu * q[x])

model = define("model", (x,), exp(theta[x]) / Sum(exp(theta[y]), y), latex=r"p_\theta", call=True)
likelihood = define("ML", (), -Expectation(log(model[x]), x, p[x]), latex=r"L_{\mathrm{ML}}")
of_model = log(model[x]) - log(nu * q[x])
model_loss = define(
    "L_theta",
    (),
    Expectation(softplus(log(nu * q[x]) - log(model[x])), x, p[x]) + nu * Expectation(softplus(of_model), x, q[x]),
    latex=r"L_\theta",
)


def world(rng, points=None, ratio=None, scale=2.0):
    """Densities at a few points, scores, and a logit t by itself."""
    count = points or int(rng.integers(2, 6))
    return {
        "K": count,
        "p": rng.dirichlet(np.ones(count)),
        "q": rng.dirichlet(2 * np.ones(count)),
        "nu": float(ratio or rng.integers(1, 20)),
        "s": scale * rng.standard_normal(count),
        "theta": rng.standard_normal(count),
        "t": 5 * rng.standard_normal(),
        "k": rng.uniform(0.1, 5.0),
    }


def _same_densities(rng):
    made = world(rng, 3)
    return {**made, "q": made["p"]}


def _extreme(rng):
    return {**world(rng, 4), "s": np.array([800.0, -800.0, 800.0, -800.0]), "t": 800.0}


def _logits(rng):
    """A logit anywhere from −800 to 800."""
    return {"t": float(rng.choice([-800.0, -40.0, 0.0, 40.0, 800.0, 30 * rng.standard_normal()]))}


def _moderate(rng):
    return {"t": rng.uniform(-30, 30)}


def _large_ratio(rng):
    """Densities that are nowhere tiny: the order in 1/ν shows only where νq is large."""
    made = world(rng, int(rng.integers(2, 4)))
    even = lambda v: (v + 0.2) / (v + 0.2).sum()
    return {**made, "p": even(made["p"]), "q": even(made["q"]), "s": 0.5 * made["s"]}


def _symbols():
    import sympy

    array = lambda name, **kind: np.array(sympy.symbols(f"{name}1:3", **kind), dtype=object)
    return {
        "K": 2,
        "p": array("p", positive=True),
        "q": array("q", positive=True),
        "s": array("s", real=True),
        "theta": array("theta", real=True),
        "nu": sympy.Symbol("nu", positive=True),
        "t": sympy.Symbol("t", real=True),
        "k": sympy.Symbol("k", positive=True),
    }


def _by_library(env):
    """The expected loss from `minicl.losses.nce`: the part of the data, then that of the noise; the rest is silenced."""
    scores, log_q, ratio = env["s"], np.log(env["q"]), int(env["nu"])
    nothing = np.full((len(scores), ratio), -5000.0), np.zeros((len(scores), ratio))
    of_data = nce(scores, nothing[0], log_q, nothing[1], reduction="none")
    spread = lambda v: np.repeat(v[:, None], ratio, axis=1)
    sure = np.full(len(scores), 5000.0)
    of_noise = nce(sure, spread(scores), np.zeros(len(scores)), spread(log_q), reduction="none")
    return env["p"] @ of_data + env["q"] @ of_noise


def _softmax_of_library(env):
    return softmax(env["theta"])[env["at"]["x"]]


DERIVATION = D = Derivation(
    "nce",
    "Noise-contrastive estimation",
    samples=world,
    adversarial={
        "two points, ν = 1": lambda rng: world(rng, 2, 1),
        "one point": lambda rng: world(rng, 1),
        "noise like the data": _same_densities,
        "ν = 1000": lambda rng: world(rng, 3, 1000),
        "scores of ±800": _extreme,
        "k = 1": lambda rng: {**world(rng, 3, 5), "k": 1.0},
    },
    symbols=_symbols,
    intro="Somebody mixes data with noise: ν noise points for each data point. You see a point x and have to say which of the "
    "two it is. The noise density q is known. Whoever answers well knows the data density p.",
    sources="Gutmann & Hyvärinen 2010, 2012; Mnih & Teh 2012 (arXiv:1206.6426); Dyer 2014 (arXiv:1410.8251).",
)

# ------------------------------------------------------------------------------------------------ the posterior

D.definition("share of the data", prior, "One point in 1 + ν is data.")
D.definition("share of the noise", prior_0, "The other ν in 1 + ν are noise.")
D.definition(
    "joint probability of data", joint[x], "The point is data, **and** it lies at x: the share times the density."
)
D.definition("joint probability of noise", joint_0[x], "The point is noise, **and** it lies at x.")
D.definition(
    "posterior",
    posterior[x],
    "Bayes: the point lies at x; how likely is it data? Of all that could have put it there, take the share of the data.",
)
D.step(
    "the shares cancel",
    posterior[x],
    p[x] / (p[x] + nu * q[x]),
    "Multiply above and below by 1 + ν. What remains of the shares is ν, how many noise points there are for one of data.",
    exactly="prove",
)
D.step(
    "as a sigmoid",
    posterior[x],
    sigmoid(at_log_p),
    "Divide above and below by p. So the logit of the classifier is log p minus log(νq), and knowing it is knowing p.",
)
D.definition("posterior of noise", posterior_0[x], "Bayes again, for the other answer.")
D.step("the two sum to one", posterior[x] + posterior_0[x], 1, "A point is data or noise.", exactly="prove")
D.definition("density ratio", ratio[x], "How much likelier the data make this point than the noise does.")
D.step(
    "with a density ratio",
    posterior[x],
    ratio[x] / (ratio[x] + nu),
    "If f = p/q is the ratio of the two densities, what is left beside it is ν. So the article's k is ν here, a constant.",
    exactly="prove",
)
D.step(
    "the other answer, with a density ratio",
    posterior_0[x],
    nu / (ratio[x] + nu),
    "The rest to 1. For ν = 1 it is 1/(f + 1), as the article writes it.",
    exactly="prove",
)
D.false(
    "joint probability",
    posterior[x],
    joint[x],
    "The article calls the posterior a joint probability. The joint one also asks how likely it is to find a point at x at all.",
)
D.false(
    "k may be any constant",
    posterior[x],
    p[x] / (p[x] + k),
    "The article puts a constant k in place of νq, and says that 1 will do. The noise is not constant.",
)

# ----------------------------------------------------------------------------------------------------- the loss

D.step(
    "minus log sigma is a softplus",
    -log(sigmoid(t)),
    softplus(-t),
    "The loss of a data point with logit t.",
    samples=_moderate,
)
D.step(
    "the article's loss of a positive",
    -log(exp(t) / (exp(t) + 1)),
    softplus(-t),
    "The same with the fraction that the article writes.",
    samples=_moderate,
)
D.step(
    "the article's loss of a negative",
    -log(1 / (exp(t) + 1)),
    softplus(t),
    "A noise point is judged by the probability of the other answer.",
    samples=_moderate,
)
D.step(
    "a softplus that never overflows",
    softplus(-t),
    positive(-t) + log(1 + exp(-absolute(t))),
    "At t = −800 the fraction is 0 and its log is −∞; this form takes the exp of negative numbers only, and gives 800.",
    samples=_logits,
    exactly=None,
)
D.inequality(
    "never far from a hinge",
    softplus(-t),
    positive(-t) + log(2),
    "The second term is largest at t = 0.",
    samples=_logits,
)
D.definition("the classifier", h[x], "It uses the scores in place of log p.")
D.definition(
    "the loss",
    loss,
    "Data should be called data, and noise should be called noise. **Both** log-probabilities are made large.",
    code=_by_library,
)
D.definition("noise against data", slope[x], "h where it should be 0, minus 1 − h where it should be 0.")
D.step(
    "the slope",
    derivative(loss, s[x]),
    slope[x],
    "σ′ = σ(1 − σ), and one factor cancels against the logarithm. What is left is the probability of the wrong answer.",
    tolerance=1e-10,
)
D.step(
    "on one denominator",
    slope[x],
    nu * q[x] * (exp(s[x]) - p[x]) / (exp(s[x]) + nu * q[x]),
    "1 − h = νq / (eˢ + νq). So the sign is that of eˢ − p: the loss falls until the model equals the data, at each point.",
    samples=world,
)
D.step(
    "zero at the data",
    nu * q[x] * sigmoid(at_log_p) - p[x] * (1 - sigmoid(at_log_p)),
    0,
    "Put s = log p into the slope. At its zero the model sums to 1, though nothing forced it to: NCE normalises by itself.",
)
D.step(
    "no other zero",
    derivative(slope[x], s[x]),
    (p[x] + nu * q[x]) * h[x] * (1 - h[x]),
    "The slope of the slope is positive: the loss is a bowl in each score.",
    scale=p[x] + nu * q[x],
)
D.inequality(
    "the article's words",
    -(p[x] * (1 - h[x])) - nu * q[x] * h[x],
    0,
    "“Minimise the log-probability of negative pairs” gives this slope: negative everywhere, so that all scores rise without end.",
    strict=True,
)

# -------------------------------------------------------------------------------------- without the correction

D.definition(
    "a loss with a constant k",
    bare,
    "The article's classifier f/(f + k) with f = eˢ: log k stands where log(νq) should.",
)
D.step(
    "its slope",
    derivative(bare, s[x]),
    nu * q[x] * sigmoid(s[x] - log(k)) - p[x] * (1 - sigmoid(s[x] - log(k))),
    "As before, with the other logit.",
    tolerance=1e-10,
)
D.step(
    "what it learns",
    nu * q[x] * sigmoid(log(learned) - log(k)) - p[x] * (1 - sigmoid(log(learned) - log(k))),
    0,
    "The slope vanishes at eˢ = k p/(νq). Leaving the noise out does not break learning. It learns a **ratio** of densities.",
)
D.false(
    "a constant k, and the data all the same",
    nu * q[x] * sigmoid(log(p[x]) - log(k)) - p[x] * (1 - sigmoid(log(p[x]) - log(k))),
    0,
    "At s = log p the slope is not zero: with a constant, the data density is not what is learned.",
)

# --------------------------------------------------------------------------------------------------- much noise

D.definition(
    "a normalised model", model[x], "Dividing by the sum over the world makes it a density.", code=_softmax_of_library
)
D.definition("its likelihood loss", likelihood, "What one would minimise if the sum were cheap.")
D.definition("its NCE loss", model_loss, "The same model inside the loss of NCE: its scores are log-probabilities.")
D.step(
    "maximum likelihood",
    derivative(likelihood, theta[x]),
    model[x] - p[x],
    "For a model that is normalised by its sum: what the model says minus what the data say.",
    scale=1,
    exactly=None,  # it needs Σ p = 1, which float64 inputs fulfil to 16 digits
)
D.approximation(
    "much noise is maximum likelihood",
    derivative(model_loss, theta[x]),
    derivative(likelihood, theta[x]),
    "As ν grows, the gradient of NCE becomes that of maximum likelihood; the gap halves when ν doubles.",
    variable=nu,
    order=1,
    toward="infinity",
    start=2000.0,
    samples=_large_ratio,
)
D.approximation(
    "also without a sum",
    slope[x],
    exp(s[x]) - p[x],
    "The scores by themselves are pulled to log p as if somebody had normalised them.",
    variable=nu,
    order=1,
    toward="infinity",
    start=2000.0,
    samples=_large_ratio,
)
