"""From binary noise-contrastive estimation to NT-Xent, in eight steps; and why the two losses are not the same.

One anchor u is fixed. The world has B points, so that every probability is a sum: all 2ᴷ outcomes of K yes/no answers
and all Bᴷ lists of candidates are gone through.
"""

import itertools

import numpy as np

from ..losses import nce, nt_xent, ranking_nce
from . import (
    LSE,
    Derivation,
    Index,
    Mean,
    Number,
    Product,
    Sum,
    Symbol,
    among,
    define,
    derivative,
    dot,
    exp,
    log,
    norm,
    sigmoid,
    softplus,
    symbols,
)

A, B, K, nu, tau, c, kappa = symbols("A B K nu tau c kappa")
j, k, m = (Index(name, K) for name in "jkm")
a = Index("a", A)
y, other = Index("v", B), Index("y", B)

# ------------------------------------------------------------------------------- one pair: densities, odds, a model

p = Symbol("p", call=True)  # the joint density: row 1 is the anchor
data = define("data", (y,), p[1, y] / Sum(p[1, other], other), latex=r"p_d", call=True)
noise = define("noise", (y,), Sum(p[a, y], a), latex=r"p_n", call=True)
posterior = define("posterior", (y,), data[y] / (data[y] + nu * noise[y]), latex="P_1", call=True)
ratio = define("r", (y,), data[y] / noise[y], call=True)

sim, v = Symbol("sim", "s", call=True), Symbol("candidates", "v")  # the cosine with the anchor
g = define("g", (k,), sim[v[k]] / tau)
f = define("f", (k,), exp(g[k]))
yes = define("h", (k,), f[k] / (f[k] + nu))
no = define("hbar", (k,), nu / (f[k] + nu), latex=r"\bar h")

# ------------------------------------------------------------------------------------------- K candidates at once

binary = define(
    "binary",
    (j,),
    softplus(log(nu) - g[j]) + Sum(softplus(g[k] - log(nu)), k, k != j),
    latex=r"\ell^{\mathrm{bin}}",
)
ranking = define("ranking", (j,), -log(f[j] / Sum(f[m], m)), latex=r"\ell^{\mathrm{rank}}")

o = Index("o", Number(2) ** K)
bit, only, exactly_one = Symbol("b"), Symbol("e"), Symbol("E")
outcome = define(
    "outcome", (o,), Product(bit[o, k] * yes[k] + (1 - bit[o, k]) * no[k], k), latex=r"\mathbb{P}", call=True
)
conditioned = outcome[only[j]] / Sum(outcome[o], o, among(o, exactly_one))

t = Index("t", B**K)
lists = Symbol("lists", "v")
drawn = define(
    "drawn", (j, t), data[lists[t, j]] * Product(noise[lists[t, k]], k, k != j) / K, latex=r"\mathbb{G}", call=True
)

# ---------------------------------------------------------------------------------------------------- the batch

N = symbols("N")
i, l = Index("i", 2 * N), Index("l", 2 * N)
n = Index("n", N)
z, partner, opposite = Symbol("z"), Symbol("j", call=True), Symbol("o", call=True)
w = define("w", (i,), z[i] / norm(z[i]), latex="u")
S = define("S", (i, l), dot(w[i], w[l]), latex="s")
G = define("G", (i, l), S[i, l] / tau, latex="g")
of_anchor = define(
    "of_anchor", (i,), -log(exp(S[i, partner[i]] / tau) / Sum(exp(S[i, l] / tau), l, l != i)), latex=r"\ell"
)
batch = define("batch", (), Mean(of_anchor[i], i), latex=r"\mathcal{L}")

# ------------------------------------------------------------------------------------------------ odds and ends

shifted = define("shifted", (k,), g[k] + c, latex=r"\tilde g")
binary_shifted = softplus(log(nu) - shifted[j]) + Sum(softplus(shifted[k] - log(nu)), k, k != j)
share = define("share", (k,), f[k] / Sum(f[m], m), latex="S")
x = define("x", (), nu / f[1])
up = define("up", (k,), f[k] / nu, latex=r"\omega")


def _world(rng, candidates=None, cosines=None, temperature=None, ratio=None, images=None):
    """A joint density whose entries are exact in binary, so that it sums to 1 exactly; cosines; and a small batch."""
    count = candidates or int(rng.integers(1, 4))
    points = 2 if count == 3 else int(rng.integers(2, 4))
    weights = 1 + rng.multinomial(1024 - 2 * points, rng.dirichlet(np.ones(2 * points)))
    bits = np.array(list(itertools.product([0.0, 1.0], repeat=count)))
    single = [int(np.flatnonzero((bits == unit).all(axis=1))[0]) for unit in np.eye(count)]
    images = images or int(rng.integers(1, 3))
    total = 2 * images
    partners = (np.arange(total) + images) % total
    other_side = np.array([np.arange(images) + images * (i < images) for i in range(total)])
    return {
        "A": 2,
        "B": points,
        "p": (weights / 1024).reshape(2, points),
        "nu": float(ratio or rng.integers(1, 8)),
        "K": count,
        "candidates": rng.permutation(np.arange(count) % points),
        "sim": rng.uniform(-1, 1, points) if cosines is None else np.resize(cosines, points),
        "tau": temperature or float(np.exp(rng.uniform(-2, 1))),
        "c": float(rng.choice([-1, 1]) * rng.uniform(0.5, 5)),
        "kappa": rng.uniform(0.1, 10.0),
        "b": bits,
        "e": np.array(single),
        "E": single,
        "lists": np.array(list(itertools.product(range(points), repeat=count))),
        "N": images,
        "z": rng.standard_normal((total, 3)),
        "j": partners,
        "o": other_side,
    }


def _two_negatives(rng):
    return _world(rng, 3)


def _several(rng):
    return _world(rng, int(rng.integers(2, 4)), images=int(rng.integers(2, 4)))


def _norms(rng):
    made = _world(rng, images=3)
    return {**made, "z": made["z"] * np.logspace(-3, 3, 6)[:, None]}


def _collapsed(rng):
    made = _world(rng, 3, images=3)
    return {**made, "candidates": np.zeros(3, dtype=int), "z": np.ones((6, 3))}


def _symbols():
    """Two anchors, three points, three candidates, all different."""
    import sympy

    positive = lambda name, shape: np.array(
        sympy.symbols(f"{name}1:{int(np.prod(shape)) + 1}", positive=True), dtype=object
    ).reshape(shape)
    made = _world(np.random.default_rng(0), 3)
    exact = lambda v: np.array([sympy.Integer(int(b)) for b in v.ravel()], dtype=object).reshape(v.shape)
    return {
        **{name: made[name] for name in ("K", "e", "E")},
        "A": 2,
        "B": 3,
        "p": positive("p", (2, 3)),
        "f": positive("f", (3,)),
        "nu": sympy.Symbol("nu", positive=True),
        "kappa": sympy.Symbol("kappa", positive=True),
        "b": exact(made["b"]),
        "lists": np.array(list(itertools.product(range(3), repeat=3))),
    }


def _binary_by_library(env):
    """minicl.losses.nce, whose noise density is 1 here: the logits are log ratios already, but for ν."""
    right, count = env["at"]["j"], len(env["candidates"])
    logits = env["sim"][env["candidates"]] / env["tau"]
    others = np.delete(logits, right)[None]
    if count == 1:  # no noise point at all, which the library refuses: −log σ(g − log ν)
        return np.logaddexp(0, np.log(env["nu"]) - logits[0])
    # The library takes ν for the number of noise points that it is given; the difference goes into log q.
    log_q = np.log(env["nu"] / (count - 1))
    return nce(logits[[right]], others, np.array([log_q]), np.full(others.shape, log_q))


def _ranking_by_library(env):
    right = env["at"]["j"]
    logits = env["sim"][env["candidates"]] / env["tau"]
    others = np.delete(logits, right)[None]
    return ranking_nce(logits[[right]], others) if others.size else 0.0


DERIVATION = D = Derivation(
    "nce_to_nt_xent",
    "From binary NCE to NT-Xent",
    samples=_world,
    adversarial={
        "one candidate": lambda rng: _world(rng, 1),
        "logits of ±30": lambda rng: _world(rng, 3, cosines=[1.0, -1.0, 1.0], temperature=1 / 30),
        "ν = 1": lambda rng: _world(rng, 3, ratio=1),
        "ν = 1000": lambda rng: _world(rng, 3, ratio=1000),
        "equal candidates, collapsed batch": _collapsed,
        "N = 1": lambda rng: _world(rng, images=1),
        "norms from 1e-3 to 1e3, τ = 0.01": lambda rng: {**_norms(rng), "tau": 0.01},
    },
    symbols=_symbols,
    intro="An anchor u is fixed. Its partner is drawn from p_d(v), the density of v given u; noise is drawn from "
    "p_n(v), the density "
    "of v whatever the anchor is. Noise points are ν times as frequent.",
    sources="Gutmann & Hyvärinen 2010, 2012; Jozefowicz et al. 2016 (arXiv:1602.02410); Ma & Collins 2018 "
    "(arXiv:1809.01812); "
    "van den Oord et al. 2018 (arXiv:1807.03748); Chen et al. 2020 (arXiv:2002.05709).",
)

# ------------------------------------------------------------------------------------------- 1 to 3: one pair

D.definition("density of the partner", data[y], "The joint density along the row of this anchor, made to sum to 1.")
D.definition("density of the noise", noise[y], "The joint density summed over all anchors.")
D.definition(
    "1 posterior of one pair",
    posterior[y],
    "Step 1. One point of data against ν of noise: Bayes says how likely the point v is the partner.",
)
D.step(
    "1 as a sigmoid",
    posterior[y],
    sigmoid(log(data[y]) - log(nu * noise[y])),
    "Divide above and below by p_d. The logit is log p_d − log(ν p_n).",
)
D.definition("density ratio", ratio[y], "How much likelier v is as the partner of u than by itself.")
D.step(
    "2 odds",
    posterior[y] / (1 - posterior[y]),
    ratio[y] / nu,
    "Step 2. For pairs, the odds of data against noise are the density ratio divided by ν.",
)
D.definition(
    "logits",
    g[k],
    "Candidate k is the point v_k, and s is its cosine with the anchor. The logit is the cosine divided by τ.",
)
D.definition("3 a model of the ratio", f[k], "Step 3. The exponential of the logit stands for the ratio r(v_k).")
D.definition("model of the posterior", yes[k], "The probability that candidate k is data, with f in place of r.")
D.definition("model of the other answer", no[k], "The probability that it is noise.")
D.step(
    "model as a sigmoid",
    yes[k],
    sigmoid(g[k] - log(nu)),
    "So ν only shifts the logit: all logits by the same amount.",
)
D.false(
    "the constant may be left out",
    yes[k],
    f[k] / (f[k] + 1),
    "The article sets its constant k, which is ν, to 1. In the posterior of one pair that changes the probability.",
)

# ----------------------------------------------------------------------------------------- 4: independent answers

D.definition(
    "probability of an outcome",
    outcome[o],
    "K yes/no answers have 2 to the K outcomes. Outcome o says yes where b is 1 and no where it is 0, each answer by "
    "itself.",
)
D.step(
    "outcomes sum to one",
    Sum(outcome[o], o),
    1,
    "All 2 to the K outcomes, one after the other: something must happen.",
    exactly=None,  # in float64, as the sum is over rounded numbers
)
D.definition(
    "4 binary loss",
    binary[j],
    "Step 4. K separate questions: candidate j should be called data, the others noise.",
    code=_binary_by_library,
)
D.step(
    "4 it is a likelihood",
    -log(outcome[only[j]]),
    binary[j],
    "Minus the log-probability of the outcome e_j, in which j alone is called data.",
)

# ------------------------------------------------------------------------------------------ 5: exactly one of them

D.step(
    "5 condition on exactly one",
    conditioned,
    f[j] / Sum(f[m], m),
    "Step 5. Of the outcomes keep those with exactly one yes, the set E, to which e_j belongs. A product of K no's "
    "cancels.",
    exactly="prove",
)
D.step(
    "5 the constant cancels",
    derivative(conditioned, nu),
    0,
    "The conditional probability does not depend on ν. This is why the article's k may be set to 1, and it is the "
    "only reason.",
    scale=1 / nu,
    tolerance=1e-10,  # a derivative of a quotient of products
    exactly=None,
)

# ------------------------------------------------------------------------------------------- 6: the same by drawing

D.definition(
    "6 drawing a list",
    drawn[j, t],
    "Step 6. Draw a place j from 1 to K, put the partner there, and noise elsewhere. How likely is it to get place j "
    "and list t?",
)
D.step(
    "6 places and lists sum to one",
    Sum(Sum(drawn[j, t], j), t),
    1,
    "All K places and all B to the K lists.",
)
D.step(
    "6 divide by the noise",
    drawn[j, t] / Product(noise[lists[t, k]], k),
    ratio[lists[t, j]] / K,
    "All factors but one cancel.",
    exactly="prove",
)
D.step(
    "6 posterior of the place",
    drawn[j, t] / Sum(drawn[m, t], m),
    ratio[lists[t, j]] / Sum(ratio[lists[t, m]], m),
    "Bayes for the place: the same softmax as in step 5, with the true ratios. No constant ever appeared.",
    exactly="prove",
)

# --------------------------------------------------------------------------------------------------- 7: InfoNCE

D.definition(
    "7 ranking loss",
    ranking[j],
    "Step 7. Put the model f for the ratio r and take minus the log-likelihood of the right place: InfoNCE.",
    code=_ranking_by_library,
)
D.step(
    "7 in logarithms",
    ranking[j],
    -g[j] + LSE(g[m], m),
    "What a computer should evaluate: nothing overflows.",
)
D.step(
    "7 up to a factor",
    -log(kappa * f[j] / Sum(kappa * f[m], m)),
    ranking[j],
    "A factor that all candidates of an anchor share cancels. So the ratio is learned up to a factor c(u).",
)

# --------------------------------------------------------------------------------------------------- 8: NT-Xent

D.definition("cosine in a batch", S[i, l], "Now 2N views, normalised: u = z/‖z‖. View i has the partner j(i).")
D.definition("logit in a batch", G[i, l], "Again the cosine divided by τ.")
D.definition(
    "loss of an anchor", of_anchor[i], "The candidates are the other 2N − 1 views of the batch, the partner among them."
)
D.definition(
    "8 NT-Xent",
    batch,
    "Step 8. Each view is the anchor once, and the mean is taken over all 2N.",
    code=lambda env: nt_xent(env["z"], temperature=env["tau"]),
)
D.step(
    "8 each anchor ranks 2N − 1 candidates",
    of_anchor[i],
    -G[i, partner[i]] + LSE(G[i, l], l, l != i),
    "The form of step 7. What is new: the negatives are no independent draws. They come as pairs of views of one "
    "image.",
)
D.false(
    "8 one view of each image would do",
    of_anchor[i],
    -G[i, partner[i]] + LSE(G[i, opposite[i, n]], n),
    "Ranking among the N views on the other side only is another loss; o(i, n) is the view of image n on that side.",
    samples=_several,
)

# ------------------------------------------------------------------------------------------- binary against ranking

D.false(
    "merge the two binary terms",
    binary[j],
    ranking[j],
    "The article merges the terms of positive and negatives into NT-Xent. Their sum is the binary loss, and that is "
    "not it.",
    samples=_several,
)
D.inequality(
    "binary is larger",
    ranking[j],
    binary[j],
    "The binary loss also pays for saying how many candidates are data; the ranking loss is told that it is one.",
    strict=True,
)
D.step(
    "what the condition is worth",
    binary[j] - ranking[j],
    -log(Sum(outcome[o], o, among(o, exactly_one))),
    "The gap is minus the log-probability of exactly one yes. It vanishes only where the answers cannot be otherwise.",
)
D.definition("the positive's odds, turned over", x, "Let candidate 1 be the positive.")
D.definition("odds of a candidate", up[k], "The probability of yes over that of no.")
D.step(
    "exponential of the binary loss",
    exp(binary[1]),
    (1 + x) * Product(1 + up[k], k, k != 1),
    "e to a softplus is 1 plus an exponential.",
)
D.step(
    "exponential of the ranking loss",
    exp(ranking[1]),
    1 + x * Sum(up[k], k, k != 1),
    "One over a probability.",
)
D.step(
    "the gap for two negatives",
    (1 + x) * Product(1 + up[k], k, k != 1) - (1 + x * Sum(up[k], k, k != 1)),
    up[2] * up[3] * x + up[2] * up[3] + up[2] + up[3] + x,
    "Multiply out. Every term that is left has a plus sign, so the gap is positive.",
    samples=_two_negatives,
    exactly="prove",
)
D.inequality(
    "the gap for any number",
    x + Sum(up[k], k, k != 1),
    exp(binary[1]) - exp(ranking[1]),
    "A product of factors 1 + ω is at least 1 plus the sum of the ω. So the gap is at least this.",
)

# -------------------------------------------------------------------------------------------- shifts and slopes

D.definition("shifted logits", shifted[k], "The same number c is added to every logit.")
D.step(
    "ranking does not notice a shift",
    -shifted[j] + LSE(shifted[m], m),
    ranking[j],
    "Only differences of logits count.",
)
D.false(
    "binary does not notice a shift",
    binary_shifted,
    binary[j],
    "A yes/no question about one logit has a fixed threshold.",
)
D.step(
    "where binary is best",
    derivative(binary[j], nu),
    (1 - Sum(yes[k], k)) / nu,
    "Changing ν is a shift. The best one makes the K probabilities of yes add up to 1; in a softmax they always do.",
    scale=(1 + Sum(yes[k], k)) / nu,
)
D.definition("softmax", share[k], "The probability of place k.")
D.step(
    "slope of ranking",
    derivative(ranking[j], g[j]),
    -(1 - share[j]),
    "The pull on the positive depends on all logits.",
    scale=1,
)
D.step(
    "slope of binary",
    derivative(binary[j], g[j]),
    -no[j],
    "Here it depends on its own logit alone.",
    scale=1,
)
D.false(
    "the slopes agree",
    derivative(binary[j], g[j]),
    derivative(ranking[j], g[j]),
    "Another loss, and another gradient: training goes another way.",
    samples=_several,
)
