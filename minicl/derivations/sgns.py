"""Skip-gram with negative sampling: its gradients, and the one matrix of scores that it is after.

The first part is one example: a centre word v, a context word u and k negatives n. The second part is a whole small
language of W words and C contexts with the joint distribution p(w, c), in which all expectations are sums.
"""

from fractions import Fraction

import numpy as np

from ..losses import skip_gram
from ..train.word2vec import best_scores, noise_weights
from . import Derivation, Index, Sum, Symbol, define, derivative, dot, exp, log, sigmoid, softplus, symbols

k, v, u, alpha = symbols("k v u alpha")
j = Index("j", k)
n = Symbol("n")
loss = define("ell", (), softplus(-dot(u, v)) + Sum(softplus(dot(n[j], v)), j), latex=r"\ell")

W, C = symbols("W C")
w, c, a, b = Index("w", W), Index("c", C), Index("a", W), Index("b", C)
p, Q, M = Symbol("p", call=True), Symbol("Q", call=True), Symbol("M")
word = define("word", (w,), Sum(p[w, b], b), latex="p", call=True)
context = define("context", (c,), Sum(p[a, c], a), latex="p", call=True)
pmi = define("PMI", (w, c), log(p[w, c] / (word[w] * context[c])), latex=r"\mathrm{PMI}")
expected = define(
    "L",
    (),
    Sum(Sum(p[w, c] * softplus(-M[w, c]), c), w) + k * Sum(Sum(word[w] * Q[c] * softplus(M[w, c]), c), w),
)
best = define("best", (w, c), log(p[w, c] / (k * word[w] * Q[c])), latex=r"M^\star")
unigram = define("unigram", (w, c), log(p[w, c] / (k * word[w] * context[c])), latex=r"M^{1}")
powered = define(
    "powered", (c,), context[c] ** alpha / Sum(context[b] ** alpha, b), latex=r"q_\alpha", call=True
)
any_power = define("any_power", (w, c), log(p[w, c] / (k * word[w] * powered[c])), latex=r"M^{\alpha}")
flat = define("flat", (c,), context[c] ** Fraction(3, 4) / Sum(context[b] ** Fraction(3, 4), b), latex="q", call=True)
flattened = define("flattened", (w, c), log(p[w, c] / (k * word[w] * flat[c])), latex=r"M^{3/4}")


def language(rng, words=None, contexts=None, negatives=None):
    """A joint distribution, a noise distribution, scores, and the vectors of one example."""
    words, contexts = words or int(rng.integers(1, 4)), contexts or int(rng.integers(2, 4))
    negatives = negatives or int(rng.integers(1, 6))
    d = int(rng.integers(1, 4))
    return {
        "W": words,
        "C": contexts,
        "k": negatives,
        "alpha": float(rng.uniform(0, 1)),
        "p": rng.dirichlet(0.7 * np.ones(words * contexts)).reshape(words, contexts) + 1e-6,
        "Q": rng.dirichlet(2 * np.ones(contexts)),
        "M": 2 * rng.standard_normal((words, contexts)),
        "v": rng.standard_normal(d),
        "u": rng.standard_normal(d),
        "n": rng.standard_normal((negatives, d)),
    }


def _noise_of(env, power):
    """The probability of the context `c` under the noise that the library draws from."""
    weights = noise_weights(env["p"].sum(axis=0), power)
    return weights[env["at"]["c"]] / weights.sum()


def _uneven(rng):
    """One context in nearly all of the text, which the power ¾ flattens most."""
    made = language(rng, 3, 4, 5)
    return {**made, "alpha": 0.0, "p": np.outer([0.5, 0.3, 0.2], [0.9, 0.05, 0.03, 0.02])}


def _far_apart(rng):
    """Scores of ±800, in vectors and in the matrix."""
    made = language(rng, 2, 2, 2)
    vectors = {"v": np.array([20.0, 0.0]), "u": np.array([-40.0, 1.0]), "n": np.array([[40.0, 0.0], [-40.0, 3.0]])}
    return {**made, **vectors, "M": np.array([[800.0, -800.0], [-800.0, 800.0]])}


def _symbols():
    import sympy

    array = lambda name, shape, **kind: np.array(
        sympy.symbols(f"{name}1:{int(np.prod(shape)) + 1}", **kind), dtype=object
    ).reshape(shape)
    return {
        "W": 2,
        "C": 2,
        "k": 2,
        "alpha": sympy.Symbol("alpha", positive=True),
        "p": array("p", (2, 2), positive=True),
        "Q": array("Q", (2,), positive=True),
        "M": array("M", (2, 2), real=True),
        "v": array("v", (2,), real=True),
        "u": array("u", (2,), real=True),
        "n": array("n", (2, 2), real=True),
    }


DERIVATION = D = Derivation(
    "sgns",
    "Skip-gram with negative sampling",
    samples=language,
    adversarial={
        "one word, two contexts, k = 1": lambda rng: language(rng, 1, 2, 1),
        "one context nearly always": _uneven,
        "scores of ±800": _far_apart,
        "k = 20": lambda rng: language(rng, 2, 3, 20),
    },
    symbols=_symbols,
    intro="A text says which word stands near which context: p(w, c). For each true pair, k contexts are drawn from a noise Q, "
    "whatever the word is. A score for each pair has to tell true pairs from drawn ones.",
    sources="Mikolov et al. 2013 (arXiv:1310.4546); Levy & Goldberg 2014; Goldberg & Levy 2014 (arXiv:1402.3722); "
    "Dyer 2014 (arXiv:1410.8251).",
)

# --------------------------------------------------------------------------------------------------- one example

D.definition(
    "loss of one pair",
    loss,
    "The true context should score high, each negative low. A score is an inner product: no length is divided out.",
    code=lambda env: skip_gram(env["v"][None], env["u"][None], env["n"][None], reduction="sum"),
)
D.step(
    "gradient of the centre",
    derivative(loss, v),
    (sigmoid(dot(u, v)) - 1) * u + Sum(sigmoid(dot(n[j], v)) * n[j], j),
    "All 1 + k vectors pull or push the centre, each as much as its answer is wrong.",
)
D.step(
    "gradient of the context",
    derivative(loss, u),
    (sigmoid(dot(u, v)) - 1) * v,
    "The true context moves towards the centre.",
)
D.step(
    "gradient of a negative",
    derivative(loss, n[j]),
    sigmoid(dot(n[j], v)) * v,
    "A negative moves away. Of the table of contexts only 1 + k rows change.",
)

# ------------------------------------------------------------------------------------------------ the whole language

D.definition("how often a word occurs", word[w], "Summed over its contexts.")
D.definition("how often a context occurs", context[c], "Summed over its words.")
D.definition(
    "loss of the language",
    expected,
    "True pairs as often as they occur; k drawn pairs for each, in which the context knows nothing of the word.",
)
D.step(
    "slope in a score",
    derivative(expected, M[w, c]),
    k * word[w] * Q[c] * sigmoid(M[w, c]) - p[w, c] * (1 - sigmoid(M[w, c])),
    "Each score has its own terms: if the vectors are long enough, each pair can be set by itself.",
)
D.definition(
    "the best scores", best[w, c], "The log of how much likelier the pair is in the text than among the k drawn ones."
)
D.step(
    "the slope vanishes there",
    k * word[w] * Q[c] * sigmoid(best[w, c]) - p[w, c] * (1 - sigmoid(best[w, c])),
    0,
    "σ of the best score is p / (p + k p Q): the posterior of “true pair”. The two sides of the slope are then equal.",
)
D.step(
    "they are the logits of NCE",
    best[w, c],
    log(p[w, c] / word[w]) - log(k * Q[c]),
    "NCE would take log(kQ) away from the score before it classifies. Here nobody does, so the score itself becomes the logit.",
    exactly="prove",
)
D.definition(
    "pointwise mutual information", pmi[w, c], "How much likelier the pair is than if word and context were strangers."
)
D.step(
    "for any noise",
    best[w, c],
    pmi[w, c] - log(k) + log(context[c] / Q[c]),
    "The noise leaves its mark: contexts that it draws too often get lower scores.",
    exactly="prove",
)
D.definition(
    "the best scores for unigram noise",
    unigram[w, c],
    "Now Q(c) = p(c): the noise draws contexts as often as they occur.",
)
D.step(
    "shifted PMI",
    unigram[w, c],
    pmi[w, c] - log(k),
    "With unigram noise, and only then, the scores are PMI minus log k.",
    exactly="prove",
)
D.definition(
    "noise to the power of three quarters",
    flat[c],
    "What word2vec draws from: rare contexts more often than they occur.",
)
D.definition("the best scores for this noise", flattened[w, c], "The same formula, with Q = q.")
D.false(
    "shifted PMI for the usual noise",
    flattened[w, c],
    pmi[w, c] - log(k),
    "With the power ¾ the scores are off by log(p(c)/q(c)), another amount for each context.",
)
D.definition(
    "noise to any power",
    powered[c],
    "α = 1 is the unigram noise, α = 0 draws all contexts alike, and word2vec has α = ¾.",
    code=lambda env: _noise_of(env, env["alpha"]),
)
D.definition(
    "the best scores for any power",
    any_power[w, c],
    "The same formula, with this noise.",
    code=lambda env: best_scores(env["p"], env["k"], env["alpha"])[env["at"]["w"], env["at"]["c"]],
)
D.step(
    "shifted PMI for any power",
    any_power[w, c],
    pmi[w, c] - log(k) + (1 - alpha) * log(context[c]) + log(Sum(context[b] ** alpha, b)),
    "The second shift depends on the context alone, and rare contexts are shifted down the most. At α = 1 it is 0.",
)
D.step(
    "the shift of the usual noise",
    flattened[w, c] - (pmi[w, c] - log(k)),
    log(context[c]) / 4 + log(Sum(context[b] ** Fraction(3, 4), b)),
    "For α = ¾: a quarter of the log frequency of the context, and a constant.",
)
D.false(
    "a constant shift",
    any_power[w, c] - pmi[w, c],
    -log(k) + log(Sum(context[b] ** alpha, b)),
    "No other k makes up for another noise: the shift differs from context to context.",
)
D.false(
    "scores are log-probabilities",
    Sum(exp(best[w, c]), c),
    1,
    "Without log(kQ) nothing normalises itself: the exponentials of a row do not sum to 1.",
)
