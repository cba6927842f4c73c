"""From a text to pairs of neighbours: thin out the frequent words, then pair each word with those in a window around it.

Both steps are random, and drawn anew in each epoch.
"""

import numbers

import numpy as np


def keep_probability(counts, threshold=1e-3):
    """With which probability an occurrence of each word stays in the text: subsampling of frequent words.

    Parameters
    ----------
    counts : array, shape (n,)
        How often each word occurs.
    threshold : float
        t: words with a share of the text up to t always stay.

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    ValueError
        If a count is not above 0, or t is not.

    Notes
    -----
    min(1, √(t / f)), f the share of the word in the text (Mikolov et al. 2013, arXiv:1310.4546, section 2.3). A word that
    is thinned out keeps a share of √(t f): frequent words stay more frequent, but by less. The published program has
    √(t / f) + t / f, which is a little more.

    Examples
    --------
    >>> keep_probability(np.array([9600, 400]), threshold=0.01)
    array([0.10206207, 0.5       ])
    """
    counts = np.asarray(counts)
    if counts.dtype.kind not in "iuf" or counts.ndim != 1 or not counts.size or not (counts > 0).all():
        raise ValueError(
            f"keep_probability: counts are numbers above 0 in one list, got {counts.dtype} of shape {counts.shape}."
        )
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real) or not threshold > 0:
        raise ValueError(f"keep_probability: threshold must be above 0, got {threshold!r}.")
    return np.minimum(1.0, np.sqrt(threshold / (counts / counts.sum())))


def window_pairs(words, window, rng, sentences=None, start=0, stop=None):
    """Each word with the words around it, in a window whose size is drawn for each word.

    Parameters
    ----------
    words : integer array, shape (T,)
        The text, a number for each word.
    window : int
        The largest distance between a word and its context.
    rng : NumPy Generator
    sentences : integer array, shape (T,), optional
        The number of the sentence that each word stands in; no pair reaches from one into another.
    start, stop : int
        Centres are the words in this part of the text alone; contexts may lie beyond.

    Returns
    -------
    centers, contexts : integer arrays, shape (P,)

    Raises
    ------
    ValueError
        If the window is smaller than 1, or shapes do not fit.

    Notes
    -----
    The size is drawn from 1 … `window` with equal chances, so a context at distance δ is taken with probability
    (window − δ + 1) / window: near words count more (Mikolov et al. 2013, arXiv:1301.3781).

    Examples
    --------
    >>> window_pairs(np.array([7, 8, 9]), 1, np.random.default_rng(0))
    (array([7, 8, 8, 9]), array([8, 7, 9, 8]))
    """
    words = np.asarray(words)
    if words.ndim != 1 or words.dtype.kind not in "iu":
        raise ValueError(f"window_pairs: words are integers of shape (T,), got {words.dtype} of shape {words.shape}.")
    if isinstance(window, bool) or not isinstance(window, numbers.Real) or not window >= 1 or window % 1:
        raise ValueError(f"window_pairs: window must be a whole number, at least 1, got {window!r}.")
    window = int(window)
    if sentences is not None and np.shape(sentences) != words.shape:
        raise ValueError(f"window_pairs: sentences have shape {np.shape(sentences)}, the words {words.shape}.")
    center = np.arange(len(words))[start:stop, None]
    size = rng.integers(1, window + 1, size=center.shape)
    offset = np.array([d for d in range(-window, window + 1) if d])
    context = center + offset
    taken = (np.abs(offset) <= size) & (context >= 0) & (context < len(words))
    if sentences is not None:
        sentences = np.asarray(sentences)
        taken &= sentences[center] == sentences[np.clip(context, 0, len(words) - 1)]
    return words[np.broadcast_to(center, taken.shape)[taken]], words[context[taken]]
