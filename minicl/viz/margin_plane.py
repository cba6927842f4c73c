"""A widget with an anchor, a positive and a negative that can be dragged: what the pairwise loss and the triplet loss do.

Both losses look at the same three points, so what differs is only where they let the negative rest: beyond a fixed
distance, or beyond the positive. In the page the numbers are computed by the widget's own script; a test holds that script
to `minicl.losses`.
"""

import math

from .. import formulas, graph
from .widget import Widget

REACH = 4.0  # the plane goes from −4 to 4
_SCALE = 0.6  # length of an arrow for a force of 1


def margin_plane(positive=(1.6, 0.6), negative=(-0.7, 0.6), margin=1.5):
    """A widget with a margin slider and a negative that is dragged: losses, forces, and the zone without force.

    It needs no kernel and no network. The anchor stands in the middle. Positive and negative are dragged, or moved with the
    arrow keys when they have the focus. Two buttons move both away from the anchor, or nearer, by the same distance.

    Parameters
    ----------
    positive, negative : pair of floats
        Where the points stand at first, between −4 and 4; the anchor is at (0, 0).
    margin : float
        Of both losses, between 0 and 3.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If a point lies outside the plane or the margin outside the slider.

    Notes
    -----
    Left: ½ d_p² + ½ max(0, m − d_n)², the sum of two pairs (Hadsell et al. 2006). Right: max(0, d_p − d_n + m) (Schroff et
    al. 2015, with distances that are not squared). An arrow is minus the gradient with respect to its point.

    Examples
    --------
    >>> margin_plane(margin=1.0).data["margin"]
    1.0
    """
    points = [[float(x) for x in point] for point in (positive, negative)]
    if any(len(point) != 2 or not all(abs(x) <= REACH for x in point) for point in points):
        raise ValueError(f"margin_plane: points are pairs of numbers between −4 and 4; got {positive} and {negative}.")
    if not 0 <= margin <= 3:
        raise ValueError(f"margin_plane: the margin lies between 0 and 3; got {margin}.")
    data = {"positive": points[0], "negative": points[1], "margin": float(margin), "reach": REACH}
    return Widget("margin_plane", "Margins in the plane", data, _still(*points, float(margin)))


def losses(positive, negative, margin):
    """Value and forces (on anchor, positive, negative) of both losses, from their closed forms."""
    a, p, n = [[0.0, 0.0]], [list(positive)], [list(negative)]
    found = {}
    value, (towards, others) = formulas.contrastive(a + a, p + n, [True, False], margin)
    found["pairwise"] = 2 * value, [(-2 * towards).sum(0), -2 * others[0], -2 * others[1]]  # the sum, not the mean
    value, gradients = formulas.triplet(a, p, n, margin)
    found["triplet"] = value, [-g[0] for g in gradients]
    return {name: (float(value), [f.tolist() for f in forces]) for name, (value, forces) in found.items()}


def _still(positive, negative, margin):
    """Both planes as one picture, for where scripts do not run."""
    found = losses(positive, negative, margin)
    rest = {"pairwise": margin, "triplet": math.hypot(*positive) + margin}
    planes, words = [], []
    for k, (name, (value, forces)) in enumerate(found.items()):
        planes.append(
            _plane(170 + 340 * k, rest[name], positive, negative, forces, f"{name} loss {graph.number(value)}")
        )
        words.append(f"{name} loss {graph.number(value)}, no force on a negative beyond {graph.number(rest[name])}")
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="680" height="350" viewBox="0 0 680 350" font-family="sans-serif">'
    ground = '<rect width="680" height="350" fill="#fff"/>'
    text = f"Anchor, positive and negative in the plane, margin {graph.number(margin)}: {'; '.join(words)}."
    return (
        f"{graph.image(head + ground + ''.join(planes) + '</svg>', text)}<p>{text}</p>"
        "<p>To move the points, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )


def _plane(middle, rest, positive, negative, forces, title):
    unit = 160 / REACH
    at = lambda point: (middle + unit * point[0], 185 - unit * point[1])
    marks = [
        f'<circle cx="{middle}" cy="185" r="{min(rest * unit, 160):.1f}" fill="#D9480F" fill-opacity=".1" stroke="#D9480F"/>',
        f'<text x="{middle - 160}" y="16" font-size="14">{title}</text>',
    ]
    for letter, color, point, force in zip("apn", ("#222", "#1971C2", "#D9480F"), ((0, 0), positive, negative), forces):
        x, y = at(point)
        length = math.hypot(*force) or 1.0
        ux, uy = force[0] / length, -force[1] / length
        rim, end = 8, (8 + unit * _SCALE * length) * any(force)  # the arrow starts at the rim of its point
        marks.append(
            f'<line x1="{x + rim * ux:.1f}" y1="{y + rim * uy:.1f}" x2="{x + end * ux:.1f}" y2="{y + end * uy:.1f}" '
            f'stroke="{color}" stroke-width="3"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{color}"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="11" text-anchor="middle" fill="#fff">{letter}</text>'
        )
    return "".join(marks)
