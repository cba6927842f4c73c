"""A widget that shows one map of embeddings among many, with a control beside it: choose the perplexity and the seed, and
what is coloured.

The maps are made beforehand, in Python. The page only looks them up, and counts how often neighbours in a map agree.
"""

from html import escape

import numpy as np

from .. import graph
from ..arrays import to_numpy
from .widget import Widget

SIDE = 1000  # a map is stored in whole numbers from 0 to this
NEIGHBOURS = 5
HUES = ("#1971c2", "#d9480f", "#2b8a3e", "#c2255c", "#7048e8", "#0b7285", "#a0620a", "#5c6b7a", "#9c36b5", "#5c940d")


def embedding_maps(sets, colours, notes=None):
    """A widget over tables of maps: every data set at several perplexities and seeds, coloured in several ways.

    It needs no kernel and no network. The last data set is the control: it stands beside whichever is chosen.

    Parameters
    ----------
    sets : dict
        Title of a data set → its maps: a dict (perplexity, seed) → (places, trust), where places has shape (n, 2) and trust
        is a number that says how well the map keeps neighbourhoods. All data sets have the same keys and the same n,
        between 7 and 500. At least two data sets.
    colours : dict
        What is coloured → the n labels of the points: whole numbers or short texts, 2 to 10 different ones.
    notes : dict, optional
        Title of a data set, or name of a colour → a sentence about it.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If there is no control, data sets have different maps, shapes or labels do not fit, or a place is not finite.

    Notes
    -----
    Below each map stands the share of the 5 nearest neighbours in the map that have the same label as the point, beside
    what chance gives; see `agreement`.

    Examples
    --------
    >>> line = np.column_stack([np.arange(8.0), np.zeros(8)])
    >>> table = {(5, 0): (line, 0.9), (30, 0): (line[::-1], 0.8)}
    >>> widget = embedding_maps({"data": table, "noise": table}, {"half": [0, 0, 0, 0, 1, 1, 1, 1]})
    >>> widget.data["perplexities"], widget.data["seeds"]
    ([5, 30], [0])
    """
    if len(sets) < 2:
        raise ValueError("embedding_maps: give at least two data sets; the last one is the control.")
    notes = notes or {}
    keys = sorted(next(iter(sets.values())))
    perplexities, seeds = (sorted({key[part] for key in keys}) for part in (0, 1))
    if len(keys) != len(perplexities) * len(seeds):
        raise ValueError("embedding_maps: each perplexity needs a map for each seed.")
    shown, n = [], None
    for title, maps in sets.items():
        if sorted(maps) != keys:
            raise ValueError(f"embedding_maps: {title!r} has other perplexities or seeds than the first data set.")
        table = []
        for key in keys:
            places, trust = maps[key]
            places = np.asarray(to_numpy(places), dtype=np.float64)
            n = len(places) if n is None else n
            if places.shape != (n, 2) or not 7 <= n <= 500 or not np.isfinite(places).all():
                raise ValueError(
                    f"embedding_maps: the map {key} of {title!r} has shape {places.shape}; give finite numbers of shape "
                    f"(n, 2), the same n from 7 to 500 everywhere."
                )
            table.append({"places": whole(places).ravel().tolist(), "trust": round(float(trust), 4)})
        shown.append({"title": title, "note": notes.get(title, ""), "maps": table})
    painted = [_colour(title, values, n, notes.get(title, "")) for title, values in colours.items()]
    if not painted:
        raise ValueError("embedding_maps: give something to colour by.")
    data = {"perplexities": perplexities, "seeds": seeds, "sets": shown, "colours": painted}
    return Widget("embedding_maps", "Maps of embeddings, with a control", data, _still(data))


def _colour(title, values, n, note):
    values = np.asarray(values)
    names = np.unique(values)
    if values.shape != (n,) or not 2 <= len(names) <= len(HUES):
        raise ValueError(f"embedding_maps: the labels {title!r} must be {n}, with 2 to {len(HUES)} different ones.")
    return {
        "title": title,
        "note": note,
        "names": [str(x) for x in names],
        "values": np.searchsorted(names, values).tolist(),
    }


def whole(places):
    """A map in whole numbers from 0 to 1000, in its own proportions."""
    low, high = places.min(axis=0), places.max(axis=0)
    size = float((high - low).max()) or 1.0
    middle = (low + high) / 2
    return np.rint(SIDE * ((places - middle) / size + 0.5)).astype(int)


def agreement(places, labels, k=NEIGHBOURS):
    """The share of the k nearest neighbours in a map that have the label of the point, on average.

    Parameters
    ----------
    places : array, shape (n, 2)
    labels : sequence, length n
    k : int
        Less than n. Among equally near points the first ones count.

    Returns
    -------
    float

    Examples
    --------
    >>> agreement(np.array([[0, 0], [1, 0], [9, 0], [10, 0]]), ["a", "a", "b", "b"], k=1)
    1.0
    """
    places, labels = np.asarray(places), np.asarray(labels)
    squares = ((places[:, None] - places) ** 2).sum(axis=-1).astype(float)
    np.fill_diagonal(squares, np.inf)
    nearest = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return float((labels[nearest] == labels[:, None]).mean())


def chance(labels):
    """The agreement of a map that knows nothing: the chance that two points have the same label.

    Examples
    --------
    >>> chance(["a", "a", "b", "b"])
    0.3333333333333333
    """
    _, counts = np.unique(np.asarray(labels), return_counts=True)
    n = counts.sum()
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))


def _still(data):
    """The first data set and the control at up to three perplexities, for where scripts do not run."""
    colour, width = data["colours"][0], 226
    chosen = sorted({0, len(data["perplexities"]) // 2, len(data["perplexities"]) - 1})
    parts, words = [], []
    for row, item in enumerate((data["sets"][0], data["sets"][-1])):
        for column, at in enumerate(chosen):
            found = item["maps"][at * len(data["seeds"])]
            places = np.array(found["places"]).reshape(-1, 2)
            x, y = 8 + width * column, 18 + (width + 12) * row
            perplexity = data["perplexities"][at]
            parts.append(
                f'<text x="{x}" y="{y}" font-weight="bold">{escape(item["title"])}, perplexity {perplexity}</text>'
            )
            for (px, py), value in zip(places * (width - 24) / SIDE, colour["values"]):
                parts.append(f'<circle cx="{x + px:.0f}" cy="{y + 10 + py:.0f}" r="2" fill="{HUES[value]}"/>')
            share = agreement(places, colour["values"])
            words.append(
                f"{item['title']} at perplexity {perplexity}: {100 * share:.0f} % of neighbours agree, trustworthiness "
                f"{found['trust']:.2f}"
            )
    height = 26 + 2 * (width + 12)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * len(chosen)}" height="{height}" viewBox="0 0 '
        f'{width * len(chosen)} {height}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" '
        f'fill="#fff"/>{"".join(parts)}</svg>'
    )
    words = f"Coloured by {colour['title']} ({100 * chance(colour['values']):.0f} % is chance). {'; '.join(words)}."
    return (
        f"{graph.image(picture, words)}<p>{escape(words)}</p>"
        "<p>To choose perplexity and seed, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
