"""A widget about one question: which scores does word2vec end at, if its noise changes? Two sliders move the noise.

A language of six words is given by a table of counts, so that its optimum is a formula and nothing is trained.
"""

import numpy as np

from .. import graph
from ..train.word2vec import best_scores, noise_weights
from .widget import Widget

WORDS = ("the", "and", "water", "fish", "bread", "salt")
COUNTS = (  # how often each word stands beside each other one
    (300, 120, 60, 30, 34, 14),
    (120, 40, 16, 8, 18, 10),
    (60, 16, 4, 20, 3, 9),
    (30, 8, 20, 2, 5, 3),
    (34, 18, 3, 5, 1, 7),
    (14, 10, 9, 3, 7, 1),
)
_COLORS = ("#1971C2", "#1971C2", "#666666", "#666666", "#D9480F", "#D9480F")
_LOW, _HIGH = -5.5, 2.5


def noise_shift(negatives=5, exponent=0.75, counts=COUNTS, words=WORDS):
    """A widget with sliders for the number of negatives and the exponent of the noise, on a language of six words.

    It needs no kernel and no network. The upper part draws how often each word occurs and how often the noise draws it;
    the lower part the best score of each pair against its pointwise mutual information less log k.

    Parameters
    ----------
    negatives : int
        k at the start, from 1 to 20.
    exponent : float
        Of the noise at the start, from 0 to 1.
    counts : table, shape (6, 6)
        How often each word occurs with each context, all above 0 and symmetric. The first two words should be the most
        frequent ones, and the last two the rarest: they have colours.
    words : six str

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If a number is outside its range, or the table does not fit.

    Notes
    -----
    best score = PMI − log k + log p(c) − log q(c),  q = p^α / Σ p^α    (Levy & Goldberg 2014, for any noise)

    Examples
    --------
    >>> noise_shift(negatives=2).data["start"]
    {'negatives': 2, 'exponent': 0.75}
    """
    if not (1 <= negatives <= 20 and int(negatives) == negatives and 0 <= exponent <= 1):
        raise ValueError(
            f"noise_shift: negatives {negatives}, exponent {exponent}; they are a whole number from 1 to 20, and a "
            "number from 0 to 1."
        )
    table = np.asarray(counts, float)
    if table.shape != (6, 6) or len(words) != 6 or not (table > 0).all() or (table != table.T).any():
        raise ValueError("noise_shift: counts is a symmetric table of 6 by 6 numbers above 0, and words are six.")
    described = {
        "counts": table.tolist(),
        "words": [str(word) for word in words],
        "low": _LOW,
        "high": _HIGH,
        "start": {"negatives": int(negatives), "exponent": float(exponent)},
    }
    return Widget("noise_shift", "Which scores does word2vec end at?", described, _still(described))


def shift(counts, exponent):
    """How far the best scores of each context lie from PMI − log k: log p − log q.

    Examples
    --------
    >>> shift(COUNTS, 0.75).round(2)
    array([ 0.21, -0.03, -0.19, -0.32, -0.32, -0.43])
    """
    p = np.asarray(counts, float).sum(axis=0)
    p, q = p / p.sum(), noise_weights(p, exponent)
    return np.log(p) - np.log(q / q.sum())


def _still(described):
    """The picture at the start, for where scripts do not run."""
    counts, words = np.array(described["counts"]), described["words"]
    negatives, exponent = described["start"].values()
    p = counts.sum(axis=0) / counts.sum()
    q = p**exponent / (p**exponent).sum()
    diagonal, best = best_scores(counts, negatives), best_scores(counts, negatives, exponent)
    wide, floor, top = 600, 96, max(p.max(), q.max())
    right = lambda v: 40 + (v - _LOW) / (_HIGH - _LOW) * (wide - 60)
    lower = lambda v: 360 - (v - _LOW) / (_HIGH - _LOW) * 220
    shapes = ['<text x="40" y="12" font-weight="bold">share of the text (grey), share of the noise (colour)</text>']
    for k, word in enumerate(words):
        x = 60 + k * 88
        for left, height, color in ((x, p[k], "#ccc"), (x + 24, q[k], _COLORS[k])):
            tall = 72 * height / top
            shapes.append(f'<rect x="{left}" y="{floor - tall:.1f}" width="22" height="{tall:.1f}" fill="{color}"/>')
        shapes.append(f'<text x="{x + 23}" y="{floor + 14}" text-anchor="middle">{word}</text>')
    shapes += [
        '<text x="40" y="134" font-weight="bold">best score of a pair, against PMI − log k</text>',
        f'<line x1="{right(_LOW)}" y1="{lower(_LOW)}" x2="{right(_HIGH)}" y2="{lower(_HIGH)}" stroke="#999"/>',
    ]
    shapes += [
        f'<circle cx="{right(diagonal[i, j]):.1f}" cy="{lower(best[i, j]):.1f}" r="4" fill="{_COLORS[j]}"/>'
        for i in range(6)
        for j in range(6)
    ]
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="372" viewBox="0 0 {wide} 372" '
        f'font-family="sans-serif" font-size="12"><rect width="{wide}" height="372" fill="#fff"/>{"".join(shapes)}</svg>'
    )
    off = shift(counts, exponent)
    words_ = f"k = {negatives}, exponent {graph.number(exponent)}: the best scores lie off PMI − log k by " + ", ".join(
        f"{graph.number(round(float(v), 2))} ({word})" for word, v in zip(words, off)
    )
    return (
        f"{graph.image(picture, 'Shares of text and noise, and best scores: ' + words_)}<p>{words_}.</p>"
        "<p>To move the noise, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
