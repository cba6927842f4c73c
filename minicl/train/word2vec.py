"""word2vec: vectors of words, learned by telling true neighbours in a text from words that were drawn at random.

T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean 2013, Distributed Representations of Words and Phrases and their
Compositionality (arXiv:1310.4546): skip-gram with negative sampling.
"""

import difflib
import math
import numbers
import zlib
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..arrays import namespace, to_numpy
from ..data import AliasTable, keep_probability, window_pairs
from ..engine import tensor
from ..functional import normalize
from ..losses import skip_gram
from ..ops import sigmoid, softplus
from ..optim.optimizer import Optimizer
from .loop import Method
from .settings import whole

STRETCH = 1 << 16  # words whose pairs are made, and shuffled, at a time
LEAST_LR = 1e-4  # where the learning rate ends, relative to its start


class Pairs(NamedTuple):
    """What one step sees: numbers of words."""

    centers: object  # integer array (B,)
    contexts: object  # integer array (B,): a true neighbour of each
    negatives: object  # integer array (B, k): drawn words


def noise_weights(counts, exponent=0.75):
    """What negatives are drawn by: count^exponent, relative to that of the most frequent word.

    Examples
    --------
    >>> noise_weights(np.array([81, 16]), 0.75).round(4)
    array([1.    , 0.2963])
    """
    counts = np.asarray(counts)
    with np.errstate(over="ignore"):
        return (counts / counts.max()) ** exponent


def best_scores(joint, negatives, exponent=1.0):
    """The scores v · u at which skip-gram with negative sampling ends, if the vectors are long enough.

    Parameters
    ----------
    joint : array, shape (W, C)
        How often each word occurs with each context: counts, or probabilities.
    negatives : float
        k, drawn contexts for each true one.
    exponent : float
        Contexts are drawn with a probability proportional to (frequency of the context)^exponent.

    Returns
    -------
    array, shape (W, C)
        −∞ for pairs that never occur: their scores fall without end.

    Raises
    ------
    ValueError
        If `joint` is no table of numbers that are not negative, or a row or column of it is 0.

    Notes
    -----
    log( P(w, c) / (k P(w) Q(c)) )  (Levy & Goldberg 2014, for any noise Q). With Q = P this is PMI − log k; with
    Q = P^α / Σ P^α it differs from that by (1 − α) log P(c) + log Σ P^α: another amount for each context.

    Examples
    --------
    >>> best_scores([[4, 0], [0, 4]], negatives=1)
    array([[0.69314718,       -inf],
           [      -inf, 0.69314718]])
    """
    joint = np.asarray(joint, dtype=np.float64)
    if joint.ndim != 2 or not np.isfinite(joint).all() or (joint < 0).any():
        raise ValueError(f"best_scores: joint is a table of numbers, none below 0; got shape {joint.shape}.")
    if not joint.size or not joint.any(axis=0).all() or not joint.any(axis=1).all():
        raise ValueError("best_scores: a word or a context of the table never occurs; leave it out.")
    if not negatives > 0:
        raise ValueError(f"best_scores: negatives must be above 0, got {negatives}.")
    p = joint / joint.sum()
    q = noise_weights(p.sum(axis=0), exponent)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log(negatives * p.sum(axis=1)[:, None] * q / q.sum())


def sgns_rows(v, u, pairs):
    """Loss and gradient of skip-gram with negative sampling, summed over a batch: only the rows that are not zero.

    Parameters
    ----------
    v, u : arrays, shape (n, d)
        The tables of centres and of contexts.
    pairs : Pairs
        Centres (B,), contexts (B,) and negatives (B, k), as numbers of rows.

    Returns
    -------
    loss : float
        Summed over the B pairs.
    (rows, gradient) of v, (rows, gradient) of u
        Row numbers, each once and in order, and the gradients of these rows: at most B, and at most B (k + 1), rows.

    Notes
    -----
    With the score s of a pair and y = 1 for the true context, 0 for a negative:  e = σ(s) − y,  ∂ℓ/∂v = Σ e u,
    ∂ℓ/∂u = e v. It equals the gradient of `mc.losses.skip_gram` with `reduction="sum"`.

    Examples
    --------
    >>> v, u = np.eye(4), np.zeros((4, 4))
    >>> loss, (rows_v, gv), (rows_u, gu) = sgns_rows(v, u, Pairs(np.array([3]), np.array([0]), np.array([[1, 1]])))
    >>> rows_v, rows_u
    (array([3]), array([0, 1]))
    >>> gu  # the context is pulled, the word that was drawn twice is pushed twice
    array([[ 0. ,  0. ,  0. , -0.5],
           [ 0. ,  0. ,  0. ,  1. ]])
    """
    xp = namespace(v, u)
    there = np.concatenate([pairs.contexts[:, None], pairs.negatives], axis=1)
    center, other = v[xp.asarray(pairs.centers)], u[xp.asarray(there)]
    score = (other @ center[:, :, None])[:, :, 0]
    sign = xp.ones_like(score[:1])
    sign[:, 0] = -1
    loss = float(softplus(sign * score).sum(dtype=np.float64))
    error = sigmoid(score)
    error[:, 0] -= 1
    pull = (error[:, None, :] @ other)[:, 0, :]
    ones = xp.ones_like(pull[:, :1])
    return loss, _added(len(v), pairs.centers[:, None], ones, pull), _added(len(u), there, error, center)


def _added(n, numbers, weights, vectors):
    """Row numbers (each once), and for each the sum of weights[b, j] · vectors[b] over the places where it stands.

    The same sums in the same order as `np.add.at`, as a product with a sparse matrix: about fifteen times as fast.
    """
    occurs = np.zeros(n, dtype=bool)
    occurs[numbers] = True
    rows = np.flatnonzero(occurs)
    place = (np.cumsum(occurs) - 1)[numbers]
    xp = namespace(weights, vectors)
    if xp is np:
        starts = np.arange(0, place.size + 1, place.shape[1])
        return rows, sparse.csc_array((weights.ravel(), place.ravel(), starts), (len(rows), len(place))) @ vectors
    total = xp.zeros((len(rows), vectors.shape[1]), dtype=vectors.dtype)
    xp.add.at(total, xp.asarray(place), weights[:, :, None] * vectors[:, None, :])
    return rows, total


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


class RowDescent(Optimizer):
    """Plain gradient descent where most rows of a gradient are 0: it is given the others, and changes these alone.

    Examples
    --------
    >>> table = tensor(np.ones((4, 2)))
    >>> RowDescent([table], lr=0.5).step([(np.array([2]), np.array([[1.0, -1.0]]))])
    >>> table.numpy()[1:3]
    array([[1. , 1. ],
           [0.5, 1.5]])
    """

    def step(self, gradients):
        """`gradients` are pairs (row numbers, each once; gradient of these rows), one for each parameter."""
        self.steps += 1
        for p, (rows, g) in zip(self.parameters, gradients):
            table = p.data
            table[namespace(table).asarray(rows)] -= self.lr * g
            p.data = table  # changed in place, and assigned: graphs that used it are stale


class Word2Vec(Method):
    """Skip-gram with negative sampling: each word of the vocabulary gets two vectors, one as a centre and one as a context.

    Parameters
    ----------
    vocabulary : mc.data.Vocabulary
        The words and how often they occur.
    dim : int
        d, the length of the vectors.
    window : int
        The largest distance of a context; the window of each word is drawn from 1 … `window`.
    negatives : int
        k, how many words are drawn for each true pair. A drawn word may be the true context by chance: were such draws
        thrown away, the noise would be another one for each pair, and the optimum below would not hold.
    exponent : float
        The noise draws a word with a probability proportional to count^exponent. 1 is the unigram distribution, 0 draws
        all words alike.
    subsample : float or None
        t of `mc.data.keep_probability`: words with a larger share of the text are thinned out. None keeps all.
    epochs : int
        How often the text is read. The learning rate falls linearly to (nearly) 0 over all of them, so the number
        belongs to the run, and is given here.
    lr : float
        At the start. Each pair makes a step of this size, as in the original program.
    batch_size : int or None
        Pairs whose steps are made from the same vectors and then added up. Where it is not small beside the number of
        words, many steps fall on one vector together, and overshoot. None: a quarter of that number, at most 256.
    seed : int
        From it come the vectors at the start, the windows, the thinning, the order of the pairs and the drawn words.
    dtype : NumPy dtype

    Attributes
    ----------
    centers, contexts : Tensors, shape (number of words, d)
        The two tables. At the start the first holds small random numbers and the second zeros, as in the original.
    noise : mc.data.AliasTable
        Where negatives are drawn from.
    history : dict of lists
        For each epoch the mean "loss" of a pair, and the number of "pairs".
    collapse : float
        (k + 1) log 2, the loss when all scores are 0, as they are at the start.

    Raises
    ------
    ValueError
        If the vocabulary has fewer than two words, or a number is out of its range.
    TypeError
        If `vocabulary` is none.

    Notes
    -----
    The loss of a pair is `mc.losses.skip_gram`. Its gradient has k + 2 rows that are not zero (the centre, the context,
    the negatives), and `step` touches no others; rows that occur more than once in a batch are added up.

    Trained long enough on pairs from P(w, c), with vectors long enough, the scores end at

    v_w · u_c = log( P(w, c) / (k P(w) Q(c)) ),  Q the noise (Levy & Goldberg 2014),

    which `best_scores` computes: with `exponent=1` it is the pointwise mutual information less log k.

    It is a `Method`: loop, checkpoints, resuming and repair after errors are those of the other methods. What differs
    is that an epoch is made of pairs of words in place of images, and that the optimiser is `RowDescent`.

    Examples
    --------
    >>> import minicl as mc
    >>> verses = [mc.data.tokenize(verse) for verse in mc.data.text().splitlines()[:300]]
    >>> vocabulary = mc.data.Vocabulary([word for verse in verses for word in verse])
    >>> model = mc.train.Word2Vec(vocabulary, dim=16, epochs=3).fit(verses, progress=False)
    >>> model.history["loss"][-1] < model.collapse
    True
    >>> model.vector("noah").shape
    (16,)
    >>> len(model.most_similar("noah", 3))
    3
    """

    def __init__(
        self,
        vocabulary,
        dim=64,
        window=5,
        negatives=5,
        exponent=0.75,
        subsample=1e-3,
        epochs=5,
        lr=0.025,
        batch_size=None,
        seed=0,
        dtype=np.float32,
    ):
        name = "Word2Vec"
        if not all(hasattr(vocabulary, part) for part in ("words", "counts", "encode")):
            raise TypeError(f"{name}: vocabulary is a mc.data.Vocabulary(tokens), got {type(vocabulary).__name__}.")
        if len(vocabulary) < 2:
            raise ValueError(
                f"{name}: the vocabulary has {len(vocabulary)} word, and there is nothing to tell it from. Lower its "
                "min_count, or give more text."
            )
        if not _is_number(exponent) or not math.isfinite(exponent):
            raise ValueError(f"{name}: exponent must be a finite number, got {exponent!r}.")
        if not _is_number(lr) or not 0 < lr < math.inf:
            raise ValueError(f"{name}: lr must be a finite number above 0, got {lr!r}.")
        if subsample is not None and (not _is_number(subsample) or not 0 < subsample < math.inf):
            raise ValueError(f"{name}: subsample must be a finite number above 0, or None, got {subsample!r}.")
        seed = whole(name, "seed", seed, 0)
        self.vocabulary = vocabulary
        self.dim, self.window = whole(name, "dim", dim, 1), whole(name, "window", window, 1)
        self.negatives = whole(name, "negatives (k)", negatives, 1)
        self.epochs = whole(name, "epochs", epochs, 1)
        self.exponent, self.subsample = float(exponent), None if subsample is None else float(subsample)
        if batch_size is None:
            batch_size = min(256, max(1, len(vocabulary) // 4))
        weights = noise_weights(vocabulary.counts, self.exponent)
        if not np.isfinite(weights).all():
            raise ValueError(
                f"{name}: exponent={exponent} makes the noise of rare words infinite; it lies between 0 (all words alike) "
                "and 1 (as often as in the text) in practice."
            )
        self.noise = AliasTable(weights)
        start = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
        small = (start.random((len(vocabulary), self.dim)) - 0.5) / self.dim
        self.centers, self.contexts = tensor(small.astype(dtype)), tensor(np.zeros_like(small, dtype=dtype))
        super().__init__(RowDescent, lr, whole(name, "batch_size", batch_size, 1), seed)

    # --------------------------------------------------------------------------------------------------- how it is trained

    def fit(self, text, progress=True, checkpoint=None, save_every=1, callbacks=()):
        """Read the text `epochs` times.

        Parameters
        ----------
        text : list of words, or list of sentences
            A sentence is a list of words, and no pair reaches from one into another. Words that are not in the
            vocabulary are left out.
        progress, checkpoint, save_every, callbacks
            As in `Method.fit`: with a checkpoint that is there already, the run continues from it.

        Returns
        -------
        The method itself.

        Raises
        ------
        TypeError
            If the text is a str, or no list of words.
        ValueError
            If there is no pair of neighbours in it, or the checkpoint is that of another run.
        FloatingPointError
            If a score is no longer finite.
        """
        return super().fit(
            text, self.epochs, progress=progress, checkpoint=checkpoint, save_every=save_every, callbacks=callbacks
        )

    def loss(self, pairs):
        """The mean loss of some `Pairs` on the engine: what `step` computes the gradient of, in the words of the library."""
        there = namespace(self.centers.data).asarray
        v, c = self.centers[there(pairs.centers)], self.contexts[there(pairs.contexts)]
        n = self.contexts[there(pairs.negatives)]
        return skip_gram(v, c, n), (v, c, n)

    def step(self, pairs):
        """A step of size `lr` for each of the pairs: the gradient of their summed loss."""
        loss, *gradients = sgns_rows(self.centers.data, self.contexts.data, pairs)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        self.optimizer.step(gradients)
        return {"loss": loss / len(pairs.centers)}

    def pairs_of(self, words, sentences):
        """One epoch of `Pairs`, and how much of the text was read when each is done. Draws anew at each call."""
        rng, k, size = self.view_rng, self.negatives, self.batch_size
        if self.subsample is not None:
            stays = rng.random(len(words)) < keep_probability(self.vocabulary.counts, self.subsample)[words]
            words, sentences = words[stays], sentences[stays]
        for start in range(0, len(words), STRETCH):
            stop = min(start + STRETCH, len(words))
            centers, contexts = window_pairs(words, self.window, rng, sentences, start, stop)
            order = self.order_rng.permutation(len(centers))
            for first in range(0, len(order), size):
                chosen = order[first : first + size]
                negatives = self.noise.draw((len(chosen), k), rng)
                read = start + (stop - start) * min(1.0, (first + size) / len(order))
                yield Pairs(centers[chosen], contexts[chosen], negatives), read / len(words)

    @property
    def collapse(self):
        return (self.negatives + 1) * math.log(2)

    def report(self, measured):
        return f"loss {measured['loss']:.3f} (at the start {self.collapse:.3f}), rate {self.optimizer.lr:.4f}"

    def config(self):
        v = self.vocabulary
        mark = zlib.crc32("\n".join(v.words).encode()) ^ zlib.crc32(np.ascontiguousarray(v.counts))
        return super().config() | {
            "vocabulary": f"{len(v)} words, {mark:08x}",
            "window": self.window,
            "negatives": self.negatives,
            "exponent": self.exponent,
            "subsample": self.subsample,
            "epochs": self.epochs,
        }

    def _run_epoch(self, words, sentences, steps, bar, schedule):
        bar.unit, bar.total, bar.n = "word", self.epochs * len(words), self.epoch * len(words)
        total, count, before, measured = 0.0, 0, 0, {}
        self.optimizer.lr = self._rate(0.0)
        for pairs, read in self.pairs_of(words, sentences):
            try:
                measured = self.step(pairs)
            except FloatingPointError as error:
                raise self._broken(error) from error
            total, count = total + measured["loss"] * len(pairs.centers), count + len(pairs.centers)
            self.optimizer.lr = self._rate(read)
            bar.set_postfix_str(self.report(measured), refresh=False)
            bar.update(round(read * len(words)) - before)
            before = round(read * len(words))
        for name, p in self.named_parameters():
            if not bool(namespace(p.data).isfinite(p.data).all()):
                raise self._broken(f"{name} has NaN or infinity")
        self.history.setdefault("loss", []).append(total / count if count else math.nan)
        self.history.setdefault("pairs", []).append(count)
        self.epoch += 1

    def _rate(self, read):
        """The learning rate after a share of this epoch: linear over all epochs."""
        return self.lr * max(1 - (self.epoch + read) / self.epochs, LEAST_LR)

    def _broken(self, what):
        return FloatingPointError(
            f"Word2Vec: {what} in epoch {self.epoch + 1}. The state after epoch {self.epoch} is put back. Try a smaller "
            f"batch_size (now {self.batch_size}: so many steps are made together) or lr (now {self.lr:g})."
        )

    def _checked(self, text, labels):
        """The text as numbers of words, and the number of the sentence of each."""
        if isinstance(text, str):
            raise TypeError("Word2Vec.fit: a text is a list of words; mc.data.tokenize(text) makes one of a str.")
        if not hasattr(text, "__iter__"):
            raise TypeError(
                "Word2Vec.fit: a text is a list of words, or a list of lists of words, got "
                f"{'None' if text is None else type(text).__name__}."
            )
        text = list(text)
        if not text:
            raise ValueError("Word2Vec.fit: the text is empty.")
        sentences = [text] if all(isinstance(word, str) for word in text) else text
        for k, sentence in enumerate(sentences):
            words = not isinstance(sentence, str) and hasattr(sentence, "__iter__")
            if not words or not all(isinstance(word, str) for word in sentence):
                raise TypeError(
                    f"Word2Vec.fit: a text is a list of words, or a list of lists of words; its part {k} is "
                    f"{str(sentence)[:40]!r}."
                )
        numbers = [self.vocabulary.encode(sentence) for sentence in sentences]
        lengths = np.array([len(part) for part in numbers])
        if lengths.max() < 2:
            raise ValueError(
                f"Word2Vec.fit: no two words of the vocabulary ({len(self.vocabulary)} words) are neighbours in the text, "
                f"which has {sum(map(len, sentences))} words in {len(sentences)} sentences. Make the vocabulary of this "
                "text, or lower its min_count."
            )
        return np.concatenate(numbers), np.repeat(np.arange(len(numbers)), lengths)

    # ------------------------------------------------------------------------------------------------- what was learned

    def vector(self, word):
        """The vector of a word, from the table of centres: an array (d,)."""
        return to_numpy(self.centers.data[self._number(word)]).copy()

    def most_similar(self, word, count=10, without=()):
        """The words whose vectors point most nearly the same way.

        Parameters
        ----------
        word : str, or array of shape (d,)
            A word is not among its own neighbours.
        count : int
        without : list of str, or a str
            Words to leave out, or one word.

        Returns
        -------
        list of (word, cosine), the nearest first

        Raises
        ------
        KeyError
            If a word is not in the vocabulary; the message names words that are spelt nearly the same.
        ValueError
            If a vector has another shape.
        """
        if isinstance(without, str):
            without = [without]
        if isinstance(word, str):
            v, out = self.centers.data[self._number(word)], [word, *without]
        else:
            v, out = namespace(self.centers.data).asarray(word), list(without)
            if v.shape != (self.dim,):
                raise ValueError(f"Word2Vec.most_similar: a vector has shape ({self.dim},), got {tuple(v.shape)}.")
        cosines = to_numpy(normalize(self.centers.data) @ normalize(v)).copy()
        cosines[[self._number(w) for w in out]] = -np.inf
        order = np.argsort(-cosines, kind="stable")[: max(0, min(int(count), len(cosines) - len(set(out))))]
        return [(self.vocabulary.words[k], float(cosines[k])) for k in order]

    def analogy(self, a, b, c, count=1):
        """`a` is to `b` as `c` is to …: the words nearest to u_b − u_a + u_c, u being vectors of length 1.

        Parameters
        ----------
        a, b, c : str
            None of them is an answer.
        count : int

        Returns
        -------
        list of (word, cosine), the nearest first

        Raises
        ------
        KeyError
            If a word is not in the vocabulary.
        """
        u_a, u_b, u_c = (normalize(self.centers.data[self._number(word)]) for word in (a, b, c))
        return self.most_similar(u_b - u_a + u_c, count, without=[a, b, c])

    def _number(self, word):
        if word in self.vocabulary:
            return self.vocabulary[word]
        near = difflib.get_close_matches(str(word), self.vocabulary.words, n=3)
        raise KeyError(
            f"{word!r} is not among the {len(self.vocabulary)} words of the vocabulary."
            + (f" Spelt nearly the same: {', '.join(near)}." if near else "")
        )
