"""A widget with two vectors in a plane: drag v around u, and three measures say how similar they are.

Each measure shows its value, the curve on which it does not change, and the step of v that makes it more similar fastest.
The page computes with its own script; a test holds that script to minicl's functions and their gradients.
"""

import math

import numpy as np

from .. import graph
from ..derivatives import value_and_grad
from ..functional import cosine_similarity, dot, norm
from .notebook import BLUE, GREEN, ORANGE
from .widget import Widget

MEASURES = {  # as in the script: the value for (u, v), and its gradient in v
    "inner": dot,
    "distance": lambda u, v: norm(u - v),
    "cosine": cosine_similarity,
}
_NAMES = {"inner": "inner product", "distance": "Euclidean distance", "cosine": "cosine"}
_COLORS = {"inner": BLUE, "distance": ORANGE, "cosine": GREEN}
_ARROW = 0.9  # of a gradient of length 1, in units of the plane; the script draws by the same rule
_LONGEST = 1.8
_SIZE = 400  # of the picture, for 2 · reach units


def similarity_plane(u=(1.5, 0.75), v=(-1.2, 1.2), reach=3.0):
    """A widget that shows inner product, Euclidean distance and cosine of two vectors while one is moved.

    It needs no kernel and no network. v moves by dragging, by a click, by the arrow keys, or by two sliders for its
    angle to u and its length.

    Parameters
    ----------
    u, v : pair of float
        The vector that stays, which is not zero, and the one that moves, at the start.
    reach : float
        The picture shows the square from −reach to reach.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If u is zero, or a vector is no pair of numbers that lies in the picture.

    Notes
    -----
    The gradients in v are u, (v − u)/‖v − u‖ and (û − cos v̂)/‖v‖. The arrow of the distance is drawn backwards, since a
    *smaller* distance means more similar. Where no gradient exists (the distance at v = u, the cosine at v = 0) it is 0,
    as everywhere in minicl.

    Examples
    --------
    >>> widget = similarity_plane(u=(1.0, 0.0), v=(2.0, 0.0))
    >>> widget
    <Three similarities in the plane: shown in a notebook, or written by .save('page.html')>
    """
    u, v = (np.asarray(x, dtype=float) for x in (u, v))
    reach = float(reach)
    for name, x in (("u", u), ("v", v)):
        if x.shape != (2,) or not np.abs(x).max() <= reach:
            raise ValueError(
                f"similarity_plane: {name} is {x.tolist()}; give two numbers from −{reach:g} to {reach:g}."
            )
    if not u.any():
        raise ValueError("similarity_plane: u is the zero vector, which has no direction; give another one.")
    data = {"u": u.tolist(), "v": v.tolist(), "reach": reach, "size": _SIZE, "arrow": _ARROW, "longest": _LONGEST}
    return Widget("similarity_plane", "Three similarities in the plane", data, _still(u, v, reach))


def measures(u, v):
    """Value of each measure for two vectors, and its gradient in v."""
    found = {}
    for name, f in MEASURES.items():
        value, (gradient,) = value_and_grad(lambda v, f=f: f(u, v), v)
        found[name] = value, gradient
    return found


def _still(u, v, reach):
    """The picture and its numbers, for where scripts do not run."""
    found = measures(u, v)
    words = "; ".join(
        f"{_NAMES[name]} {_number(value)}, gradient in v ({_number(g[0])}, {_number(g[1])})"
        for name, (value, g) in found.items()
    )
    words = f"u = ({_number(u[0])}, {_number(u[1])}), v = ({_number(v[0])}, {_number(v[1])}): {words}"
    place = lambda x: (_SIZE / 2 * (1 + x[0] / reach), _SIZE / 2 * (1 - x[1] / reach))
    lines = [_arrow(place((0, 0)), place(x), "#666666", name) for x, name in ((u, "u"), (v, "v"))]
    for name, (_, g) in found.items():
        step = g * _ARROW * (-1 if name == "distance" else 1)
        size = math.hypot(*step)
        step = step * min(1, _LONGEST / size) if size else step
        lines.append(_arrow(place(v), place(v + step), _COLORS[name], ""))
    x0, y0 = place((0, 0))
    axes = f'<path d="M0 {y0}H{_SIZE}M{x0} 0V{_SIZE}" stroke="#999999" stroke-width="1"/>'
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE}" height="{_SIZE}" viewBox="0 0 {_SIZE} {_SIZE}">'
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="#ffffff"/>{axes}{"".join(lines)}</svg>'
    )
    return (
        f"{graph.image(picture, 'Two vectors in a plane. ' + words)}<p>{words}.</p>"
        "<p>Blue: gradient of the inner product. Orange: minus that of the distance. Green: that of the cosine.</p>"
        "<p>To move v, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )


def _arrow(start, end, color, name):
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0) or 1
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    tip = f"M{x1:.1f} {y1:.1f}L{x1 - 9 * dx + 4 * dy:.1f} {y1 - 9 * dy - 4 * dx:.1f}"
    tip += f"L{x1 - 9 * dx - 4 * dy:.1f} {y1 - 9 * dy + 4 * dx:.1f}Z"
    label = (
        f'<text x="{x1 + 8:.1f}" y="{y1 - 6:.1f}" font-family="sans-serif" font-size="15">{name}</text>' if name else ""
    )
    line = f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{color}" stroke-width="2.5"/>'
    return f'{line}<path d="{tip}" fill="{color}"/>{label}'


def _number(x):
    return f"{x + 0.0:.2f}".replace("-", "−")
