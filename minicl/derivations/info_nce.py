"""InfoNCE in a world that can be counted through: its best critic, and how much information it can show.

Anchor and partner take few values with the joint density p(u, v), so that the expected loss is a sum over all pairs and
all lists of negatives. Nothing is sampled.
"""

import itertools

import numpy as np

from ..losses import info_nce, nt_xent, ranking_nce
from . import (
    LSE,
    Derivation,
    Index,
    Indicator,
    Mean,
    Product,
    Sum,
    Symbol,
    define,
    derivative,
    dot,
    exp,
    log,
    norm,
    symbols,
)

A, B, K, N, tau = symbols("A B K N tau")
u, v, x, y = Index("u", A), Index("v", B), Index("x", A), Index("y", B)
k, m, h = Index("k", K), Index("m", K), Index("h", K - 1)
q, t = Index("q", B ** (K - 1)), Index("t", B**K)

p, F = Symbol("p", call=True), Symbol("F", call=True)
c, d = Symbol("c", call=True), Symbol("d", call=True)
negatives, lists = Symbol("n"), Symbol("lists", "v")
first = define("first", (u,), Sum(p[u, y], y), latex="p_U", call=True)
second = define("second", (v,), Sum(p[x, v], x), latex="p_V", call=True)
r = define("r", (u, v), p[u, v] / (first[u] * second[v]), call=True)
information = define("I", (), Sum(Sum(p[u, v] * log(r[u, v]), v), u))

drawn = define("drawn", (q,), Product(second[negatives[q, h]], h), latex="w", call=True)
listed = define("listed", (t,), Product(second[lists[t, k]], k), latex="w", call=True)


def _loss(score):
    """The expected loss: the partner against K − 1 draws from the density of v."""
    ranked = log(1 + Sum(exp(score(u, negatives[q, h]) - score(u, v)), h))
    return Sum(Sum(p[u, v] * Sum(drawn[q] * ranked, q), v), u)


loss = define("L", (), _loss(lambda a, b: F[a, b]))
least = define(
    "least",
    (),
    Sum(Sum(p[u, v] * Sum(drawn[q] * log(1 + Sum(r[u, negatives[q, h]] / r[u, v], h)), q), v), u),
    latex=r"L^\star",
)
anywhere = Sum(
    first[u]
    * Sum(
        listed[t] * Sum(r[u, lists[t, k]] / K * (LSE(F[u, lists[t, m]], m) - F[u, lists[t, k]]), k),
        t,
    ),
    u,
)
total = define("R", (u, t), Sum(r[u, lists[t, m]], m), call=True)
guess = define("guess", (u, t, k), exp(F[u, lists[t, k]]) / Sum(exp(F[u, lists[t, m]]), m), latex="S")
best = define("best", (u, v), log(c[u] * r[u, v]), latex=r"F^\star", call=True)
at_best = define("at_best", (), _loss(lambda a, b: best[a, b]), latex=r"L(F^\star)")
tilted = define("tilted", (u, v), log(d[v] * r[u, v]), latex=r"F^\circ", call=True)
at_tilted = define("at_tilted", (), _loss(lambda a, b: tilted[a, b]), latex=r"L(F^\circ)")
best_guess = exp(best[u, lists[t, k]]) / Sum(exp(best[u, lists[t, m]]), m)
slope = (
    first[u]
    / K
    * Sum(
        listed[t] * Sum(Indicator(v == lists[t, k]) * (total[u, t] * guess[u, t, k] - r[u, lists[t, k]]), k),
        t,
    )
)
gap = define(
    "gap",
    (),
    Sum(first[u] * Sum(listed[t] * (total[u, t] / K) * log(total[u, t] / K), t), u),
    latex=r"\Delta",
)

# ---------------------------------------------------------------------------------------- NT-Xent: negatives in pairs

a, b = Index("a", A), Index("b", B)


def _two_images(own, partner, other, other_partner):
    """Loss of one view of image 1 among the three other views of two images."""
    return log(1 + exp(F[own, other] - F[own, partner]) + exp(F[own, other_partner] - F[own, partner]))


of_first = define(
    "of_first",
    (),
    Sum(Sum(p[u, v] * Sum(Sum(p[a, b] * _two_images(u, v, a, b), b), a), v), u),
    latex=r"L_{\mathrm{NT},1}",
)
of_second = define(
    "of_second",
    (),
    Sum(Sum(p[u, v] * Sum(Sum(p[a, b] * _two_images(v, u, a, b), b), a), v), u),
    latex=r"L_{\mathrm{NT},2}",
)
two_images = define("two_images", (), (of_first + of_second) / 2, latex=r"L_{\mathrm{NT}}")

i, l, n = Index("i", 2 * N), Index("l", 2 * N), Index("n", N)
z, partner, opposite = Symbol("z"), Symbol("j", call=True), Symbol("o", call=True)
w = define("w", (i,), z[i] / norm(z[i]), latex="u")
S = define("S", (i, l), dot(w[i], w[l]), latex="s")
among_all = define("among_all", (i,), -(S[i, partner[i]] / tau) + LSE(S[i, l] / tau, l, l != i), latex=r"\ell")
among_opposite = define(
    "among_opposite", (i,), -(S[i, partner[i]] / tau) + LSE(S[i, opposite[i, n]] / tau, n), latex=r"\ell^{\mathrm{opp}}"
)
batch = define("batch", (), Mean(among_all[i], i), latex=r"\mathcal{L}")
batch_opposite = define("batch_opposite", (), Mean(among_opposite[i], i), latex=r"\mathcal{L}^{\mathrm{opp}}")


def _world(rng, joint=None, candidates=None, scores=None):
    """Two anchors and two partners; a joint density that is exact in binary; a critic; and a batch of vectors."""
    count = candidates or int(rng.choice([2, 2, 2, 2, 3]))
    if joint is None:
        joint = (1 + rng.multinomial(1020, rng.dirichlet(np.ones(4)))).reshape(2, 2) / 1024
    images = int(rng.integers(1, 3))
    return {
        "A": 2,
        "B": 2,
        "K": count,
        "p": np.array(joint, float),
        "F": rng.uniform(-3, 3, (2, 2)) if scores is None else np.array(scores, float),
        "c": rng.uniform(0.1, 10.0, 2),
        "d": np.array([1.0, rng.uniform(1.5, 5.0)]),
        "n": np.array(list(itertools.product(range(2), repeat=count - 1))),
        "lists": np.array(list(itertools.product(range(2), repeat=count))),
        "N": images,
        "tau": float(np.exp(rng.uniform(-2, 1))),
        "z": rng.standard_normal((2 * images, 3)),
        "j": (np.arange(2 * images) + images) % (2 * images),
        "o": np.array([np.arange(images) + images * (i < images) for i in range(2 * images)]),
    }


def _log_ratio(joint):
    return np.log(joint / np.outer(joint.sum(axis=1), joint.sum(axis=0)))


def _views_of_two_kinds(rng):
    """First views are nearly always 1, second views nearly always 2; the critic rules out all views on its own side."""
    return _world(rng, np.array([[1, 1021], [1, 1]]) / 1024, scores=[[-30.0, 0.0], [0.0, -30.0 - rng.random()]])


_INDEPENDENT = [[0.125, 0.375], [0.125, 0.375]]
_NEARLY_ONE_TO_ONE = np.array([[511, 1], [1, 511]]) / 1024


def _symbols():
    import sympy

    array = lambda name, shape, **kind: np.array(
        sympy.symbols(f"{name}1:{int(np.prod(shape)) + 1}", **kind), dtype=object
    ).reshape(shape)
    return {
        "A": 2,
        "B": 2,
        "K": 2,
        "p": array("p", (2, 2), positive=True),
        "F": array("F", (2, 2), real=True),
        "c": array("c", (2,), positive=True),
        "d": array("d", (2,), positive=True),
        "n": np.array([[0], [1]]),
        "lists": np.array(list(itertools.product(range(2), repeat=2))),
    }


def _by_library(env):
    """Every pair and every list through minicl.losses.ranking_nce, weighted by its probability."""
    joint, scores, negatives = (env[name] for name in ("p", "F", "n"))
    weights = np.prod(joint.sum(axis=0)[negatives], axis=1)
    found = 0.0
    for (a, b), share in np.ndenumerate(joint):
        own = np.full(len(negatives), scores[a, b])
        found += share * weights @ ranking_nce(own, scores[a][negatives], reduction="none")
    return found


def _views(env):
    return env["z"][: env["N"]], env["z"][env["N"] :]


DERIVATION = D = Derivation(
    "info_nce",
    "InfoNCE: the best critic, and the information it shows",
    samples=_world,
    adversarial={
        "u and v independent, no critic": lambda rng: _world(rng, _INDEPENDENT, scores=np.zeros((2, 2))),
        "v nearly a function of u": lambda rng: _world(rng, _NEARLY_ONE_TO_ONE),
        "v nearly a function of u, best critic": lambda rng: _world(
            rng, _NEARLY_ONE_TO_ONE, scores=_log_ratio(_NEARLY_ONE_TO_ONE)
        ),
        "scores of ±30": lambda rng: _world(rng, scores=[[30.0, -30.0], [-30.0, 30.0]]),
        "four candidates": lambda rng: _world(rng, candidates=4),
        "τ = 0.01": lambda rng: {**_world(rng), "tau": 0.01},
    },
    symbols=_symbols,
    intro="A pair (u, v) is drawn from p(u, v), and K − 1 negatives from p_V, independently of u. The critic F "
    "scores each "
    "candidate. L is the expected ranking loss: a sum over all pairs and all lists.",
    sources="van den Oord et al. 2018 (arXiv:1807.03748); Ma & Collins 2018 (arXiv:1809.01812); Poole et al. 2019 "
    "(arXiv:1905.06922); McAllester & Stratos 2020.",
)

# -------------------------------------------------------------------------------------------------- the best critic

D.definition("density of the anchor", first[u], "Summed over the partners.")
D.definition("density of the partner", second[v], "Summed over the anchors. The negatives are drawn from it.")
D.definition("density ratio", r[u, v], "How much likelier the pair is than if u and v were strangers.")
D.definition("probability of a list of negatives", drawn[q], "K − 1 independent draws.")
D.definition(
    "expected loss",
    loss,
    "For each pair and each list: minus the log-probability of the partner among its K candidates.",
    code=_by_library,
)
D.definition("probability of a list of candidates", listed[t], "K independent draws, the partner's place among them.")
D.step(
    "the partner at any place",
    loss,
    anywhere,
    "Let the partner stand at a random place k of a list. Seen as a list of draws from p_V, place k then has the "
    "weight r/K.",
)
D.definition("what the critic says", guess[u, t, k], "The softmax of the scores over the list: where is the partner?")
D.definition("sum of the ratios", total[u, t], "The true posterior of place k is r divided by this.")
D.step(
    "slope in a score",
    derivative(loss, F[u, v]),
    slope,
    "The slope of −log softmax is softmax minus one-hot, averaged over all lists in which v stands.",
    scale=first[u],
    exactly=None,  # a complex step has no more digits than float64
)
D.definition("a best critic", best[u, v], "The log ratio, times any factor c(u) inside the logarithm.")
D.step(
    "the best critic says the true posterior",
    total[u, t] * best_guess,
    r[u, lists[t, k]],
    "The factor c(u) cancels in the softmax. So in each list the difference that the slope adds up is 0.",
)
D.step(
    "the slope is zero there",
    derivative(at_best, best[u, v]),
    0,
    "The same by a derivative of the loss itself, at critics with an arbitrary c(u).",
    scale=first[u],
    exactly=None,
)
D.definition("least loss", least, "The expected loss with the ratio r in place of the exponential of F.")
D.step(
    "the factor is free",
    at_best,
    least,
    "At each of the best critics the loss is the same number.",
)
D.step(
    "what a worse critic costs",
    loss - least,
    Sum(
        first[u]
        * Sum(
            listed[t] * Sum(r[u, lists[t, k]] / K * log(r[u, lists[t, k]] / (total[u, t] * guess[u, t, k])), k),
            t,
        ),
        u,
    ),
    "The mean Kullback–Leibler divergence between the true posterior and what the critic says.",
)
D.inequality("no critic does better", least, loss, "A divergence is never negative.")
D.step(
    "differences within a row are learned",
    best[u, v] - best[u, y],
    log(r[u, v]) - log(r[u, y]),
    "For one anchor, which of two partners is likelier, and by how much: that is what the loss can teach.",
    where=v != y,
    exactly="prove",
)
D.false(
    "the best critic is unique",
    best[u, v],
    log(r[u, v]),
    "The offset log c(u) is another one in each row, and no loss sees it. Scores of different anchors cannot be "
    "compared.",
)
D.definition("a tilted critic", tilted[u, v], "Now the factor depends on the partner instead.")
D.false(
    "a factor of v is free too",
    derivative(at_tilted, tilted[u, v]),
    0,
    "A factor for each partner changes the order among the candidates. The slope is not zero there.",
)

# -------------------------------------------------------------------------------------------------- the information

D.definition("mutual information", information, "The mean of the log ratio, in nats.")
D.definition(
    "what is left out",
    gap,
    "The divergence between lists with a partner in them and lists of strangers: how well a list betrays that one is "
    "hidden there.",
)
D.step(
    "information, split exactly",
    information,
    log(K) - least + gap,
    "Chain rule of divergences: place and list together tell I; the place alone tells log K − L; the rest is the gap.",
)
D.inequality("the gap is no less than zero", 0, gap, "It is a divergence.", scale=log(K))
D.inequality(
    "the bound",
    log(K) - loss,
    information,
    "So log K − L never exceeds the information, for any critic and any K.",
)
D.inequality(
    "the ceiling",
    log(K) - loss,
    log(K),
    "A loss is not negative. However much u tells about v, K candidates show at most log K of it.",
    strict=True,
)
D.false(
    "the estimate is the information",
    log(K) - least,
    information,
    "Even the best critic leaves the gap out. The estimate is a bound, not the value.",
)
D.false(
    "one candidate too many",
    log(K + 1) - loss,
    information,
    "K counts the partner and K − 1 negatives. Whoever counts K negatives beside the partner overstates the bound.",
    relation="<=",
)

# ------------------------------------------------------------------------------------------------------- NT-Xent

D.definition("cosine in a batch", S[i, l], "Now N images with two views each, u = z/‖z‖.")
D.definition(
    "an anchor among all views",
    among_all[i],
    "NT-Xent: the candidates are the other 2N − 1 views.",
    code=lambda env: nt_xent(*_views(env), temperature=env["tau"], reduction="none")[env["at"]["i"]],
)
D.definition(
    "an anchor among the views opposite",
    among_opposite[i],
    "Drop one view of each other image: only those on the side of the partner stay, one for each of the N images.",
)
D.definition("NT-Xent", batch, "The mean over 2N anchors.", code=lambda env: nt_xent(*_views(env), env["tau"]))
D.definition(
    "symmetric InfoNCE",
    batch_opposite,
    "The mean of both directions.",
    code=lambda env: info_nce(*_views(env), env["tau"], symmetric=True),
)
D.inequality(
    "fewer rivals, smaller loss",
    among_opposite[i],
    among_all[i],
    "Terms that are dropped were positive.",
)
D.inequality("so for the batch", batch_opposite, batch, "The mean of the above.")
D.definition(
    "first views among two images",
    of_first,
    "NT-Xent for N = 2, counted through: a view u with its partner v, and a second image with the views a and b.",
)
D.definition("second views among two images", of_second, "The same with v as the anchor.")
D.definition("two images", two_images, "Half of the anchors are first views.")
D.inequality(
    "the safe constant",
    log(2) - two_images,
    information,
    "Executed for N = 2. That log N − L is a lower bound for every N is an argument: drop one view of each negative "
    "pair, and N candidates are left whose negatives are independent of the anchor.",
)
D.false(
    "the tempting constant",
    log(3) - two_images,
    information,
    "There are 2N − 1 = 3 candidates. But if first and second views look different, a critic can tell the sides "
    "apart, and half of "
    "the rivals are none. Here u and v share nothing, and nearly log 3 − log 2 nats are shown.",
    relation="<=",
    samples=_views_of_two_kinds,
)
