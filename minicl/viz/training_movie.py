"""A widget that shows how embeddings move while a method learns: the stored maps of its epochs, to be scrubbed or played.

The maps are made beforehand, in Python (`EarlyPictures` makes them). The page only shows what was stored, nothing in between,
and counts how many points have a nearest neighbour of their own label.
"""

from html import escape

import numpy as np

from .. import graph
from ..arrays import to_numpy
from .embedding_maps import HUES, SIDE, agreement, chance
from .widget import Widget


def training_movie(panels, labels, about=""):
    """A widget with one map for each stored epoch.

    It needs no kernel and no network. A slider or the arrow keys choose the epoch, a button plays them all, and one label
    can be followed alone.

    Parameters
    ----------
    panels : list of (str, array)
        For each stored moment its title, and the places of the points, shape (n, 2): `EarlyPictures.panels`. Two or more;
        n is the same everywhere, from 2 to 500.
    labels : sequence, length n
        Whole numbers or short texts, 2 to 10 different ones. Their first character is what is drawn.
    about : str, optional
        A sentence about the run.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If there are fewer than two maps, their shapes or the labels do not fit, or a place is not finite.

    Notes
    -----
    All maps have one scale, so that embeddings that draw together are seen to do so.

    Examples
    --------
    >>> places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> widget = training_movie([("epoch 1", places), ("epoch 2", places * [1, 9])], [0, 1, 0, 1])
    >>> widget
    <A training movie: shown in a notebook, or written by .save('page.html')>
    """
    if len(panels) < 2:
        raise ValueError(f"training_movie: {len(panels)} maps make no movie; give at least two.")
    labels = np.asarray(labels)
    names = np.unique(labels)
    maps = [np.asarray(to_numpy(places), dtype=np.float64) for _, places in panels]
    for (title, _), places in zip(panels, maps):
        if places.shape != (labels.size, 2) or not 2 <= labels.size <= 500 or not np.isfinite(places).all():
            raise ValueError(
                f"training_movie: the map {title!r} has shape {places.shape} with {labels.size} labels; give finite numbers "
                "of shape (n, 2) and n labels, n from 2 to 500."
            )
    if labels.ndim != 1 or not 2 <= len(names) <= len(HUES):
        raise ValueError(f"training_movie: there are {len(names)} different labels; give 2 to {len(HUES)}, in one row.")
    frames = [{"title": title, "places": w.ravel().tolist()} for (title, _), w in zip(panels, one_scale(maps))]
    data = {"frames": frames, "names": [str(x) for x in names], "about": about}
    data["values"] = np.searchsorted(names, labels).tolist()
    return Widget("training_movie", "A training movie", data, _still(data))


def one_scale(maps):
    """Maps (n, 2) in whole numbers from 0 to 1000, all in the scale and around the middle of all together.

    Examples
    --------
    >>> [m.tolist() for m in one_scale([np.array([[0.0, 0.0], [4.0, 2.0]]), np.array([[2.0, 1.0], [2.0, 1.0]])])]
    [[[0, 250], [1000, 750]], [[500, 500], [500, 500]]]
    """
    together = np.concatenate(maps)
    low, high = together.min(axis=0), together.max(axis=0)
    size = float((high - low).max()) or 1.0
    return [np.rint(SIDE * ((places - (low + high) / 2) / size + 0.5)).astype(int) for places in maps]


def _share(frame, values):
    return agreement(np.array(frame["places"]).reshape(-1, 2), values, k=1)


def _still(data):
    """The first, a middle and the last map, for where scripts do not run."""
    frames, values, width = data["frames"], data["values"], 226
    parts, words = [], []
    for column, at in enumerate(sorted({0, len(frames) // 2, len(frames) - 1})):
        x = 8 + width * column
        title = frames[at]["title"]
        parts.append(f'<text x="{x}" y="18" font-weight="bold">{escape(title)}</text>')
        for (px, py), value in zip(np.array(frames[at]["places"]).reshape(-1, 2) * (width - 24) / SIDE, values):
            parts.append(f'<circle cx="{x + px:.0f}" cy="{28 + py:.0f}" r="2" fill="{HUES[value]}"/>')
        words.append(f"{title}: {100 * _share(frames[at], values):.0f} % have a nearest neighbour of their own label")
    size = f'width="{3 * width}" height="{width + 20}" viewBox="0 0 {3 * width} {width + 20}"'
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )
    words = f"{data['about']} {'; '.join(words)} (by chance {100 * chance(values):.0f} %).".strip()
    return (
        f"{graph.image(picture, words)}<p>{escape(words)}</p>"
        "<p>To move through the epochs, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
