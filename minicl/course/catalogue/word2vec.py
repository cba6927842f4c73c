"""Notebook 05: what word2vec draws, what it leaves out, and the few rows that its gradient changes.

Chance is given as an argument (uniform numbers), so that a right answer is one answer.
"""

import numpy as np

from ..exercise import Exercise, Mistake, Test, call, draw

_RNG = np.random.default_rng(5)

# -------------------------------------------------------------------------------------------------------- the sampler

_EVEN = (np.arange(1000) + 0.5) / 1000


def _sampler(weights, side="right", shift=0, last=True):
    """A version of the sampler in which any part can be the wrong one."""

    def words(counts, uniform, exponent=0.75):
        ladder = np.cumsum(weights(counts.astype(float), exponent))
        found = np.searchsorted(ladder, uniform, side=side) + shift
        return np.minimum(found, len(counts) - 1) if last else found

    return words


def _shares(power):
    def shares(c, exponent):
        w = c ** power(exponent)
        return w / w.sum()

    return shares


_right_noise = _sampler(_shares(lambda a: a))
_COUNTS = np.array([900, 400, 200, 100, 81, 16, 1])


def _noise(counts, uniform, *exponent):
    return call(np.array(counts), np.array(uniform), *exponent)


def _sorted_noise(counts, uniform, exponent=0.75):
    return _right_noise(np.sort(counts), uniform, exponent)


noise_words = Exercise(
    name="noise_words",
    notebook="05",
    signature="f(counts, uniform, exponent=0.75) -> words",
    statement="""Draws noise words with a probability proportional to count^exponent.

    counts has shape (n,): how often each of the n words occurs, all at least 1, in no order. uniform has shape (m,):
    numbers in [0, 1) that somebody drew. Lay the probabilities q of the words 0, 1, 2, … side by side on the line from
    0 to 1, where q is count^exponent divided by its sum. Return for each number of uniform the word on whose piece it
    falls, as an integer array of shape (m,). The left end belongs to a piece, the right end to the next one. Also for
    the largest number below 1 the answer is one of 0, …, n − 1.
    """,
    tests=[
        Test(
            "returns a word for each number",
            "T0",
            [_noise([1], [0.3]), _noise([3, 1], [0.1, 0.9, 0.5])],
            law=lambda f, c, x: (np.array(np.shape(f(c, x)), int), np.array(x.shape, int)),
        ),
        Test(
            "knows two words",
            "T1",
            [
                _noise([16, 1], [0.85, 0.9], 0.75).gives(np.array([0, 1])).noting("The pieces are 8/9 and 1/9."),
                _noise([81, 16], [0.1, 0.76, 0.78])
                .gives(np.array([0, 0, 1]))
                .noting("27 : 8, so the cut is at 27/35."),
                _noise([1, 81], [0.03, 0.05]).gives(np.array([0, 1])).noting("1 : 27, so the cut is at 1/28."),
            ],
        ),
        Test(
            "takes the exponent that it is given",
            "T1",
            [
                _noise([3, 1], [0.74, 0.76], 1.0).gives(np.array([0, 1])),
                _noise([900, 100, 1], [0.3, 0.35, 0.65, 0.7], 0.0).gives(np.array([0, 1, 1, 2])),
                _noise([16, 1], [0.79, 0.81], 0.5).gives(np.array([0, 1])).noting("4 : 1."),
            ],
        ),
        Test(
            "gives the left end to a piece",
            "T1",
            [
                _noise([5, 5], [0.0, 0.5]).gives(np.array([0, 1])),
                _noise([1, 1, 2], [0.25, 0.5], 1.0).gives(np.array([1, 2])),
            ],
        ),
        Test(
            "draws each word as often as it should",
            "T2",
            [
                call(_COUNTS, _EVEN).noting("A thousand numbers, evenly spread, so the shares must be q."),
                call(_COUNTS[::-1].copy(), _EVEN, 0.5),
                call(_COUNTS, _EVEN, 1.0),
            ],
            law=lambda f, c, x, *a: (
                np.bincount(f(c, x, *a).astype(int), minlength=len(c))[: len(c)],
                np.bincount(_right_noise(c, x, *a), minlength=len(c)),
            ),
        ),
        Test(
            "does not change when all counts grow tenfold",
            "T2",
            [call(_COUNTS, _EVEN[::37]), call(np.array([2, 7, 3]), _EVEN[::91], 0.5)],
            law=lambda f, c, x, *a: (f(10 * c, x, *a), _right_noise(c, x, *a)),
        ),
        Test(
            "answers with a word for the largest number below 1",
            "T4",
            [
                call(np.ones(10, int), np.array([np.nextafter(1, 0)]))
                .gives(np.array([9]))
                .noting("Ten times 0.1, added up one after the other, is 0.9999999999999999.")
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "unigram",
            "draws words as often as they occur",
            _sampler(_shares(lambda a: 1.0)),
            (
                "Fitted exponent 1.00, expected 0.75: your rare words come too seldom.",
                "Where does the exponent stand in your code?",
                "Raise the counts to the exponent before you divide by their sum.",
            ),
        ),
        Mistake(
            "exponent-half",
            "takes the square root of the counts",
            _sampler(_shares(lambda a: 0.5)),
            (
                "Fitted exponent 0.50, whatever is asked for.",
                "Look for a square root.",
                "The exponent is an argument.",
            ),
        ),
        Mistake(
            "exponent-fixed",
            "takes ¾ whatever exponent it is given",
            _sampler(_shares(lambda a: 0.75)),
            (
                "With the usual exponent all is right; with another one it is not.",
                "Is 0.75 written twice?",
                "Use the argument.",
            ),
        ),
        Mistake(
            "exponent-inverted",
            "raises to 1 / exponent",
            _sampler(_shares(lambda a: 1 / a if a else 1.0)),
            (
                "Fitted exponent 1.33, expected 0.75: your frequent words come too often.",
                "Compare 16 ** 0.75 with what you compute.",
                "The exponent flattens: it is below 1, and is used as it is.",
            ),
        ),
        Mistake(
            "uniform-noise",
            "draws all words alike",
            _sampler(_shares(lambda a: 0.0)),
            (
                "Fitted exponent 0.00: all your words are equally likely.",
                "Are the counts used?",
                "A word with more occurrences has a longer piece.",
            ),
        ),
        Mistake(
            "not-renormalised",
            "raises the shares to the exponent and does not divide by their sum",
            _sampler(lambda c, a: (c / c.sum()) ** a),
            (
                "The pieces of your line are longer than the line: the last words are never drawn.",
                "Shares that were raised to ¾ do not sum to 1 any more. Print their sum.",
                "First the power, then the division by the sum.",
            ),
        ),
        Mistake(
            "power-of-the-ladder",
            "raises the cumulative sums to the exponent",
            _sampler(lambda c, a: np.diff(np.cumsum(c / c.sum()) ** a, prepend=0.0)),
            (
                "Your first words come too often, whatever they are.",
                "What do you raise to the exponent: pieces, or their sums?",
                "First the power of each count, then the cumulative sum.",
            ),
        ),
        Mistake(
            "right-end-taken",
            "gives the right end to a piece",
            _sampler(_shares(lambda a: a), side="left"),
            (
                "Only a number that falls exactly on a cut is wrong.",
                "Which side of the cut does your search take?",
                "Two words with equal counts: 0.5 belongs to the second.",
            ),
        ),
        Mistake(
            "next-word",
            "returns the word after the right one",
            _sampler(_shares(lambda a: a), shift=1),
            (
                "Your words are one too far.",
                "Count with two words: which index does your search return for 0?",
                "Words are counted from 0.",
            ),
            variants=(_sampler(_shares(lambda a: a), shift=1, last=False),),
        ),
        Mistake(
            "outside",
            "returns n for a number near 1",
            _sampler(_shares(lambda a: a), last=False),
            (
                "For the largest number below 1 you return a word that does not exist.",
                "Print the last of your cumulative sums: rounding leaves it below 1.",
                "Let the last word take what is left.",
            ),
        ),
        Mistake(
            "sorted",
            "sorts the counts",
            _sorted_noise,
            (
                "Your shares are right, for the wrong words.",
                "Are the counts in the order that you were given?",
                "The answer is a position in counts: leave their order alone.",
            ),
            variants=(lambda counts, uniform, exponent=0.75: _right_noise(np.sort(counts)[::-1], uniform, exponent),),
        ),
    ],
    advice="Take two words with counts 16 and 1, work out the cut by hand, and try a number on either side.",
)

# -------------------------------------------------------------------------------------------------------- subsampling


def _thinning(keep):
    """A version in which keep(f, t) says how likely a word with the share f stays."""

    def kept(words, counts, uniform, threshold=1e-3):
        f = counts / counts.sum()
        return words[uniform < np.minimum(keep(f, threshold), 1)[words]]

    return kept


_right_thinning = _thinning(lambda f, t: np.sqrt(t / f))
_MANY = np.array([5000, 2500, 1200, 800, 400, 99, 1])
_TEXT = _RNG.choice(7, size=300, p=_MANY / _MANY.sum())
_CHANCE = _RNG.random(300)


def _thin(words, counts, uniform, *threshold):
    return call(np.array(words), np.array(counts), np.array(uniform), *threshold)


def _shares_of_text(words, counts, uniform, threshold=1e-3):
    f = np.maximum(np.bincount(words, minlength=len(counts)), 1) / len(words)
    return words[uniform < np.sqrt(threshold / f)[words]]


subsample = Exercise(
    name="subsample",
    notebook="05",
    signature="f(words, counts, uniform, threshold=1e-3) -> kept",
    statement="""Thins out the frequent words of a text.

    words has shape (T,): a text as numbers of words. counts has shape (n,): how often each word occurs in the whole
    corpus, of which this text may be a part; the share of word w is f(w) = counts[w] / counts.sum(). An occurrence stays
    with the probability sqrt(threshold / f(w)), and always if that is above 1. uniform has shape (T,): a number in
    [0, 1) for each occurrence, which stays if its number is below its probability. Return the words that stay, in their
    order, as an integer array.
    """,
    tests=[
        Test(
            "returns a list of words of the text",
            "T0",
            [_thin([0], [1], [0.0]), _thin([0, 1, 1], [1, 2], [0.0, 0.0, 0.0])],
            law=lambda f, w, c, x: (f(w, c, x), w),
        ),
        Test(
            "knows when a frequent word stays",
            "T1",
            [
                _thin([0, 0], [1, 3], [0.59, 0.61], 0.09).gives(np.array([0])).noting("f = ¼: √(0.09 / 0.25) = 0.6."),
                _thin([1, 1, 0], [1, 99], [0.1, 0.11, 0.5], 0.01)
                .gives(np.array([1, 0]))
                .noting("√(0.01/0.99) = 0.1005."),
                _thin([0], [5], [0.0317]).gives(np.zeros(0, int)).noting("√0.001 = 0.0316: nothing is left."),
            ],
        ),
        Test(
            "keeps rare words always",
            "T1",
            [_thin([1, 1, 0], [999, 1], [0.999, 0.5, 0.9], 0.002).gives(np.array([1, 1]))],
        ),
        Test(
            "treats each occurrence by itself",
            "T2",
            [
                _thin([0] * 5, [4, 12], [0.1, 0.9, 0.2, 0.8, 0.3], 0.0625)
                .gives(np.array([0, 0, 0]))
                .noting("√(1/16 : 1/4) = ½.")
            ],
        ),
        Test(
            "keeps the text in order",
            "T2",
            [
                call(_TEXT, _MANY, _CHANCE, 0.01).gives(_right_thinning),
                call(_TEXT, _MANY, _CHANCE, 0.1).gives(_right_thinning),
            ],
        ),
        Test(
            "takes the shares of the corpus, not of this text",
            "T2",
            [
                _thin([1, 1, 1, 1], [90, 10], [0.3, 0.31, 0.32, 0.2], 0.01)
                .gives(np.array([1, 1, 1]))
                .noting("f = 0.1: 0.3162.")
            ],
        ),
        Test(
            "does not change when all counts grow tenfold",
            "T2",
            [call(_TEXT[:40], _MANY, _CHANCE[:40], 0.01)],
            law=lambda f, w, c, x, t: (f(w, 10 * c, x, t), _right_thinning(w, c, x, t)),
        ),
    ],
    mistakes=[
        Mistake(
            "complement",
            "keeps what should go, and drops what should stay",
            lambda w, c, x, threshold=1e-3: w[x >= np.minimum(1, np.sqrt(threshold / (c / c.sum())))[w]],
            (
                "Your rare words are gone.",
                "The paper gives the probability to discard, 1 − √(t/f). Which one do you compare with?",
                "An occurrence stays if its number is below √(t/f).",
            ),
            variants=(lambda w, c, x, threshold=1e-3: w[x < 1 - np.minimum(1, np.sqrt(threshold / (c / c.sum())))[w]],),
        ),
        Mistake(
            "no-root",
            "forgets the square root",
            _thinning(lambda f, t: t / f),
            (
                "Too few of your frequent words stay.",
                "Compare 0.36 and 0.6 in the first known answer.",
                "The square root of t / f.",
            ),
        ),
        Mistake(
            "published-program",
            "uses √(t/f) + t/f, the formula of the published program",
            _thinning(lambda f, t: np.sqrt(t / f) + t / f),
            (
                "A few too many words stay.",
                "The program that came with the paper adds a second term.",
                "Here the formula of the paper is asked for.",
            ),
        ),
        Mistake(
            "counts-for-shares",
            "divides by the count instead of the share",
            lambda w, c, x, threshold=1e-3: w[x < np.sqrt(threshold / c)[w]],
            (
                "Growing all counts tenfold changes your text.",
                "What is f: a number of occurrences, or a share?",
                "Divide the counts by their sum.",
            ),
        ),
        Mistake(
            "upside-down",
            "takes √(f/t)",
            _thinning(lambda f, t: np.sqrt(f / t)),
            (
                "Your frequent words all stay, and rare ones go.",
                "Is the fraction upside down?",
                "The larger f, the smaller the chance to stay.",
            ),
        ),
        Mistake(
            "shares-of-this-text",
            "counts the words of the text that it is given",
            _shares_of_text,
            (
                "A text with one word only is thinned wrongly.",
                "Where does f come from: from counts, or from words?",
                "The shares are those of the corpus: counts / counts.sum().",
            ),
        ),
        Mistake(
            "largest-count",
            "divides the counts by the largest one",
            lambda w, c, x, threshold=1e-3: w[x < np.sqrt(threshold / (c / c.max()))[w]],
            (
                "Too few words stay.",
                "Do your shares sum to 1?",
                "Divide by the sum of the counts.",
            ),
        ),
        Mistake(
            "one-number-per-word",
            "uses one random number for all occurrences of a word",
            lambda w, c, x, threshold=1e-3: w[(np.resize(x, len(c)) < np.sqrt(threshold / (c / c.sum())))[w]],
            (
                "Of each word, all occurrences stay or none.",
                "Which index do you use for uniform?",
                "uniform[i] belongs to the i-th place of the text.",
            ),
        ),
        Mistake(
            "each-word-once",
            "returns each word once, sorted",
            lambda w, c, x, threshold=1e-3: np.unique(_right_thinning(w, c, x, threshold)),
            (
                "Your text has lost its order and its repetitions.",
                "Look for unique, set, or sort.",
                "It is still a text: windows will be laid over it.",
            ),
        ),
        Mistake(
            "mask",
            "returns which words stay, and not the words",
            lambda w, c, x, threshold=1e-3: x < np.sqrt(threshold / (c / c.sum()))[w],
            (
                "You return True and False.",
                "A mask is an index: what is it an index of?",
                "words[mask].",
            ),
            variants=(lambda w, c, x, threshold=1e-3: np.flatnonzero(x < np.sqrt(threshold / (c / c.sum()))[w]),),
        ),
    ],
    advice="Take one word with f = ¼ and threshold = 0.09: it must stay with probability 0.6.",
)

# -------------------------------------------------------------------------------------------------------- the gradient


def _sigmoid(t):
    return 0.5 * (1 + np.tanh(t / 2))


def _gradient(
    error=lambda s, y: _sigmoid(s) - y, add=np.add.at, negatives=lambda c, n: np.ones(n.shape), scale=lambda n: 1.0
):
    """A version of the gradient in which any part can be the wrong one."""

    def gradient(v, u, centers, contexts, noise):
        dv, du = np.zeros_like(v), np.zeros_like(u)
        there = np.column_stack([contexts, noise])
        y = np.zeros(there.shape)
        y[:, 0] = 1
        s = (u[there] * v[centers][:, None, :]).sum(axis=2)
        e = error(s, y) * np.column_stack([np.ones(len(contexts)), negatives(contexts, noise)]) * scale(noise)
        add(dv, centers, (e[:, :, None] * u[there]).sum(axis=1))
        add(du, there, e[:, :, None] * v[centers][:, None, :])
        return dv, du

    return gradient


def _overwrite(x, index, g):
    x[index] = g


def _fancy(x, index, g):
    x[index] += g


_right_gradient = _gradient()


def _lost_apart(v, u, centers, contexts, noise):
    """Contexts and negatives are written one after the other; each loses its own duplicates."""
    dv, du = np.zeros_like(v), np.zeros_like(u)
    pull = _sigmoid((v[centers] * u[contexts]).sum(axis=1)) - 1
    push = _sigmoid((u[noise] * v[centers][:, None]).sum(axis=2))
    dv[centers] += pull[:, None] * u[contexts] + (push[:, :, None] * u[noise]).sum(axis=1)
    du[contexts] += pull[:, None] * v[centers]
    du[noise] += push[:, :, None] * v[centers][:, None]
    return dv, du


def _softmax_gradient(v, u, centers, contexts, noise):
    """Of the full softmax: each row of u is pushed."""
    dv, du = np.zeros_like(v), np.zeros_like(u)
    for c, o in zip(centers, contexts):
        s = u @ v[c]
        p = np.exp(s - s.max())
        p /= p.sum()
        p[o] -= 1
        dv[c] += p @ u
        du += p[:, None] * v[c]
    return dv, du


def _every_row(v, u, centers, contexts, noise):
    """All words but the context are taken for negatives."""
    everything = np.array([np.setdiff1d(np.arange(len(u)), [o]) for o in contexts])
    return _right_gradient(v, u, centers, contexts, everything)


def _swapped_tables(v, u, centers, contexts, noise):
    du, dv = _right_gradient(u, v, centers, contexts, noise)
    return dv, du


def _one_table(v, u, centers, contexts, noise):
    dv, du = _right_gradient(v, u, centers, contexts, noise)
    return dv + du, np.zeros_like(u)


def _tables(n, d, batch, k, scale=1.0, rng=_RNG):
    indices = rng.integers(n, size=batch), rng.integers(n, size=batch), rng.integers(n, size=(batch, k))
    return call(draw(n, d, scale=scale), draw(n, d, scale=scale), *indices)


def _rows(centers, contexts, noise, n=5, d=3):
    return call(draw(n, d, scale=1.0), draw(n, d, scale=1.0), np.array(centers), np.array(contexts), np.array(noise))


def _touched(f, v, u, centers, contexts, noise):
    dv, du = f(v, u, centers, contexts, noise)
    outside_v = np.setdiff1d(np.arange(len(v)), centers)
    outside_u = np.setdiff1d(np.arange(len(u)), np.concatenate([contexts, noise.ravel()]))
    return (dv[outside_v], du[outside_u]), (
        np.zeros((len(outside_v), v.shape[1])),
        np.zeros((len(outside_u), u.shape[1])),
    )


_E = np.eye(3)

sgns_gradient = Exercise(
    name="sgns_gradient",
    notebook="05",
    signature="f(v, u, centers, contexts, negatives) -> (dv, du)",
    statement="""The gradient of skip-gram with negative sampling in both tables: at most k + 2 rows for each pair.

    v has shape (n, d): a vector for each word as a centre. u has shape (n, d): one for each word as a context. centers
    and contexts have shape (B,), negatives has shape (B, k): numbers of rows. The loss is the sum over the B pairs of
    −log σ(u_o · v_c) − Σ_j log σ(−u_j · v_c), with the centre c, the context o and the k negatives j. Return its
    gradients, of the shapes of v and u. Rows that do not occur stay 0. A row may occur many times, as a negative of the
    same pair too, and a negative may be the context itself: each occurrence counts. Scores may be as large as ±800.
    """,
    tests=[
        Test(
            "returns two tables of the right shapes",
            "T0",
            [_rows([0], [1], [[2]]), _tables(5, 3, 2, 4)],
            law=lambda f, *args: (
                np.array([x.shape for x in f(*args)]),
                np.array([args[0].shape, args[1].shape]),
            ),
        ),
        Test(
            "knows the gradient where all contexts are 0",
            "T1",
            [
                call(_E, 0 * _E, np.array([0]), np.array([1]), np.array([[2]]))
                .gives((0 * _E, np.array([[0.0, 0, 0], [-0.5, 0, 0], [0.5, 0, 0]])), scale=(1.0, 1.0))
                .noting("All scores are 0, and σ(0) = ½: the context is pulled by half, the negative pushed by half.")
            ],
        ),
        Test(
            "knows the gradient from the odds",
            "T1",
            [
                call(np.log(3) * _E[:2], _E[:2], np.array([0]), np.array([0]), np.array([[0, 1]]))
                .gives(
                    (
                        np.array([[-1 / 4 + 3 / 4, 1 / 2, 0], [0, 0, 0]]),
                        np.log(3) * np.array([[1 / 2, 0, 0], [1 / 2, 0, 0]]),
                    )
                )
                .noting("σ(log 3) = ¾. The negative 0 is the context itself, and counts as a negative too.")
            ],
        ),
        Test(
            "changes no row that does not occur",
            "T2",
            [_rows([0], [1], [[2]]), _rows([3, 3], [0, 1], [[1], [0]])],
            law=_touched,
        ),
        Test(
            "adds up what falls on one row",
            "T2",
            [
                _rows([0, 0], [1, 2], [[3], [4]])
                .gives(_right_gradient)
                .noting("Row 0 of v is the centre of both pairs."),
                _rows([0], [1], [[2, 2]]).gives(_right_gradient).noting("Row 2 of u is drawn twice."),
                _rows([0, 1], [2, 3], [[4], [2]]).gives(_right_gradient).noting("Row 2 is a context, and a negative."),
            ],
        ),
        Test(
            "doubles when every pair is listed twice",
            "T2",
            [_rows([0], [1], [[2]]), _tables(4, 3, 3, 2)],
            law=lambda f, v, u, c, o, n: (
                f(v, u, np.concatenate([c, c]), np.concatenate([o, o]), np.concatenate([n, n])),
                tuple(2 * x for x in _right_gradient(v, u, c, o, n)),
            ),
        ),
        Test(
            "is the gradient of the loss",
            "T3",
            [
                _tables(n, d, b, k, s).gives(_right_gradient)
                for n, d, b, k, s in ((5, 3, 1, 2, 1.0), (7, 2, 4, 3, 0.3), (6, 4, 9, 5, 1.0))
            ],
        ),
        Test(
            "is exact at scores of ±800",
            "T4",
            [
                call(
                    np.array([[40.0]]), np.array([[20.0], [-20.0]]), np.array([0]), np.array([1]), np.array([[0]])
                ).gives((np.array([[40.0]]), np.array([[40.0], [-40.0]]))),
                call(
                    np.array([[40.0]]), np.array([[20.0], [-20.0]]), np.array([0]), np.array([0]), np.array([[1]])
                ).gives((np.array([[0.0]]), np.array([[0.0], [0.0]])), scale=(1.0, 1.0)),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "duplicates-overwritten",
            "loses what falls on one row more than once",
            _gradient(add=_fancy),
            (
                "Row 2 was used twice, and got one of its two gradients.",
                "x[index] += g writes each row once, however often it stands in index.",
                "np.add.at adds for each occurrence; a loop over pairs does, too.",
            ),
            variants=(_gradient(add=_overwrite), _lost_apart),
        ),
        Mistake(
            "all-contexts-pushed",
            "gives a gradient to every context word",
            _softmax_gradient,
            (
                "Rows outside {context, negatives} changed.",
                "You push all n words. That is the full softmax, or all words as negatives.",
                "Only the context and the k drawn words of a pair get a gradient in u, and its centre in v.",
            ),
            variants=(_every_row,),
        ),
        Mistake(
            "one-table",
            "uses one table for centres and contexts",
            _one_table,
            (
                "The gradient of u is 0, and that of v has too many rows.",
                "Which table do the contexts and the negatives come from?",
                "Centres are rows of v; contexts and negatives are rows of u.",
            ),
            variants=(lambda v, u, c, o, n: _one_table(v, v, c, o, n),),
        ),
        Mistake(
            "tables-swapped",
            "takes centres from u, and contexts from v",
            _swapped_tables,
            (
                "Rows changed that should not, in both tables.",
                "Which table do you index with centers?",
                "Centres are rows of v.",
            ),
        ),
        Mistake(
            "ascent",
            "returns the gradient with the wrong sign",
            _gradient(error=lambda s, y: y - _sigmoid(s)),
            (
                "Your gradient is the right one with the other sign.",
                "The derivative of −log σ(s) is σ(s) − 1, which is negative.",
                "The gradient, not the step: the step has the minus.",
            ),
        ),
        Mistake(
            "positive-not-told",
            "treats the context like a negative",
            _gradient(error=lambda s, y: _sigmoid(s)),
            (
                "The context is pushed away from its centre.",
                "σ(s) − y: what is y for the context?",
                "The true context has y = 1, the negatives have y = 0.",
            ),
        ),
        Mistake(
            "negatives-pulled",
            "pulls the negatives towards the centre",
            _gradient(error=lambda s, y: _sigmoid(s) - 1),
            (
                "The negatives come nearer.",
                "σ(s) − y: what is y for a negative?",
                "The true context has y = 1, the negatives have y = 0.",
            ),
        ),
        Mistake(
            "softmax-weights",
            "weighs the candidates of a pair by a softmax",
            _gradient(
                error=lambda s, y: (
                    np.exp(s - s.max(1, keepdims=True)) / np.exp(s - s.max(1, keepdims=True)).sum(1, keepdims=True) - y
                )
            ),
            (
                "The errors of each pair sum to 0. They should not.",
                "Your candidates compete with each other. That is InfoNCE (notebook 06).",
                "Each candidate is judged by itself, by a sigmoid.",
            ),
        ),
        Mistake(
            "collisions-skipped",
            "leaves out a negative that is the context itself",
            _gradient(negatives=lambda o, n: (n != o[:, None]).astype(float)),
            (
                "Only pairs whose negative is their context are wrong.",
                "Look for a comparison of negatives with contexts.",
                "A noise that rejects draws is another noise, with another optimum. Here each draw counts.",
            ),
        ),
        Mistake(
            "negatives-averaged",
            "divides the gradient of the negatives by k",
            _gradient(negatives=lambda o, n: np.full(n.shape, 1 / n.shape[1])),
            (
                "With one negative all is right; with more they push too weakly.",
                "Over what do you take a mean?",
                "The loss has a sum over the k negatives.",
            ),
        ),
        Mistake(
            "pairs-averaged",
            "divides by the number of pairs",
            _gradient(scale=lambda n: 1 / len(n)),
            (
                "Listing every pair twice leaves your gradient as it is.",
                "The statement asks for the gradient of a sum.",
                "Do not divide by B.",
            ),
        ),
        Mistake(
            "naive-exp",
            "overflows at scores of 800",
            _gradient(error=lambda s, y: np.exp(s) / (1 + np.exp(s)) - y),
            (
                "Usual scores are right; at 800 you get nan.",
                "exp(800) is inf, and inf / inf is nan.",
                "Divide by it: 1 / (1 + exp(−s)) has no inf / inf.",
            ),
        ),
    ],
    advice="Take one pair with one negative and write down the three rows that change. Then let two of them be the same row.",
)
