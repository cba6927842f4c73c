"""A widget with three scores as bars: a slider shifts all of them; the binary loss changes, the ranking loss stays.

The first score is that of the positive. In the page the numbers are computed by the widget's own script; a test holds
that script to minicl's losses.
"""

import math

from .. import graph
from .widget import Widget

_NAMES = ["positive", "negative 1", "negative 2"]
_REACH, _OWN = 5, 3  # the shift goes from −5 to 5, the scores from −3 to 3


def three_bars(scores=(2.0, 1.0, -1.0), shift=0.0):
    """A widget that shifts three scores together and shows what two losses make of it.

    It needs no kernel and no network. Sliders, or the arrow keys, move the shift; three more set the scores. A button
    finds the shift at which the binary loss is smallest: there the three sigmoids add up to 1.

    Parameters
    ----------
    scores : sequence of three floats, from −3 to 3
        Of the positive and of two negatives, divided by the temperature already.
    shift : float, from −5 to 5
        What is added to all three at the start.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If there are not three scores, or a number is out of its range.

    Notes
    -----
    Binary: −log σ(s₁) − log σ(−s₂) − log σ(−s₃), three yes/no questions. Ranking: −log softmax(s)₁, one question with
    three answers. The first is larger at every shift.

    Examples
    --------
    >>> three_bars((2.0, 0.0, 0.0)).data["scores"]
    [2.0, 0.0, 0.0]
    """
    scores = [float(s) for s in scores]
    if len(scores) != 3 or not all(abs(s) <= _OWN for s in scores):
        raise ValueError(
            f"three_bars: scores are {scores}; give three numbers from −{_OWN} to {_OWN}, the positive's first."
        )
    if not abs(shift) <= _REACH:
        raise ValueError(f"three_bars: the shift is {shift}; give a number from −{_REACH} to {_REACH}.")
    data = {"names": _NAMES, "scores": scores, "shift": float(shift)}
    return Widget("three_bars", "Shifting three scores", data, _still(scores))


def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def losses(scores):
    """The binary and the ranking loss of scores whose first is the positive's, as plain numbers.

    Examples
    --------
    >>> binary, ranking = losses([0.0, 0.0, 0.0])
    >>> round(math.exp(binary)), round(math.exp(ranking))
    (8, 3)
    """
    top = max(scores)
    binary = _softplus(-scores[0]) + sum(_softplus(s) for s in scores[1:])
    return binary, top + math.log(sum(math.exp(s - top) for s in scores)) - scores[0]


def _still(scores):
    """Both losses against the shift, for where scripts do not run."""
    shifts = [k / 4 for k in range(-4 * _REACH, 4 * _REACH + 1)]
    values = [losses([s + c for s in scores]) for c in shifts]
    most = max(binary for binary, _ in values)
    place = lambda c, loss: (40 + (c + _REACH) * 380 / (2 * _REACH), 200 - 170 * loss / most)
    blocks = []
    for kind, color, dash in ((0, "#D9480F", "none"), (1, "#1971C2", "7 3")):
        points = " ".join("{:.1f},{:.1f}".format(*place(c, v[kind])) for c, v in zip(shifts, values))
        blocks.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        x, y = place(-_REACH if kind else _REACH, values[0 if kind else -1][kind])
        anchor = "start" if kind else "end"
        blocks.append(
            f'<text x="{x:.0f}" y="{y - 6:.0f}" fill="{color}" text-anchor="{anchor}">'
            f"{('binary', 'ranking')[kind]}</text>"
        )
    for c in range(1 - _REACH, _REACH, 2):
        blocks.append(f'<text x="{place(c, 0)[0]:.0f}" y="218" text-anchor="middle">{graph.number(c)}</text>')
    blocks.append('<line x1="40" x2="420" y1="200" y2="200" stroke="#666"/><text x="4" y="14">loss (nats)</text>')
    blocks.append('<text x="420" y="236" text-anchor="end">shift of all three scores</text>')
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="440" height="244" viewBox="0 0 440 244" '
        f'font-family="sans-serif" font-size="12"><rect width="440" height="244" fill="#fff"/>{"".join(blocks)}</svg>'
    )
    at = dict(zip(shifts, values))
    binary = ", ".join(f"{graph.number(at[c][0])} at shift {graph.number(c)}" for c in (-_REACH, 0, _REACH))
    words = (
        f"Scores {', '.join(map(graph.number, scores))}, the positive's first. Binary loss: {binary}. "
        f"Ranking loss: {graph.number(at[0][1])} at every shift."
    )
    return (
        f"{graph.image(picture, 'Two losses against a shift of all scores. ' + words)}<p>{words}</p>"
        "<p>To move the scores, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
