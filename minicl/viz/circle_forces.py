"""A widget with pairs of views on a circle: drag one, and NT-Xent says who is pulled where, and how hard.

The page computes with its own script; a test holds that script to `minicl.losses.nt_xent` and its gradient.
"""

import math

import numpy as np

from .. import graph
from ..derivatives import value_and_grad
from ..functional import stack
from ..losses import nt_xent
from ..ops import cos, sin
from .notebook import BLUE, ORANGE
from .widget import Widget

_COLORS = BLUE, ORANGE, "#7048E8", "#0B7285", "#5C940D"
_SIZE, _RADIUS = 400, 128  # of the picture and of its circle
_ARROW, _LONGEST = 110.0, 62.0  # an arrow of a force f·2Nτ, in pixels; the script draws by the same rule
EXAMPLES = {  # angles in degrees: view 1 of all images, then view 2
    "a batch": ((20, 130, 250), (80, 165, 305)),
    "collapse, nearly": ((88, 90, 91), (90, 89, 92)),
    "partners opposite": ((0, 60, 120), (184, 241, 297)),
    "the best: a triangle": ((90, 210, 330), (90, 210, 330)),
}


def circle_forces(first=None, second=None, temperature=0.5):
    """A widget that shows losses, probabilities and forces of NT-Xent on a circle.

    It needs no kernel and no network. A view moves by dragging, or by the arrow keys when it has the focus; a slider
    sets τ; buttons take gradient steps.

    Parameters
    ----------
    first, second : sequence of float, optional
        Angles in degrees of view 1 and of view 2 of each image; one to five images. By default a batch of three, and
        other examples to choose from.
    temperature : float
        τ at the start, from 0.05 to 5.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If the angles are not two equally long lists of one to five numbers, or τ is out of range.

    Notes
    -----
    With u = (cos θ, sin θ) the cosine of two views is s_ik = cos(θ_i − θ_k). The force on view i is −∂L/∂θ_i =
    Σ_k (G_ik + G_ki) sin(θ_i − θ_k), with G = (P − Y)/(2Nτ): one half as an anchor, one half as a candidate.

    Examples
    --------
    >>> widget = circle_forces([0, 90], [10, 80], temperature=0.2)
    >>> widget
    <Forces on a circle: shown in a notebook, or written by .save('page.html')>
    """
    if (first is None) != (second is None):
        raise ValueError("circle_forces: give the angles of both views, or of none.")
    own = {} if first is None else {"your batch": (first, second)}
    examples = []
    for title, views in (own or EXAMPLES).items():
        try:
            angles = np.array(views, dtype=float)
        except ValueError:
            angles = np.zeros(0)
        if angles.ndim != 2 or not 1 <= angles.shape[1] <= len(_COLORS) or not np.isfinite(angles).all():
            raise ValueError(f"circle_forces: {views} are not two equally long lists of 1 to {len(_COLORS)} angles.")
        examples.append({"title": title, "angles": np.radians(angles.ravel()).tolist()})
    if not 0.05 <= temperature <= 5:
        raise ValueError(f"circle_forces: the temperature is {temperature}; give one from 0.05 to 5.")
    data = {"examples": examples, "temperature": float(temperature), "colors": _COLORS, "size": _SIZE}
    data |= {"radius": _RADIUS, "arrow": _ARROW, "longest": _LONGEST}
    return Widget("circle_forces", "Forces on a circle", data, _still(examples[0]["angles"], temperature))


def forces(angles, temperature):
    """The 2N losses of views at some angles (radians; all first views, then all second views), and −∂L/∂angle."""
    angles = np.asarray(angles, float)
    place = lambda a: stack([cos(a), sin(a)], axis=1)
    _, (slope,) = value_and_grad(lambda a: nt_xent(place(a), temperature=temperature), angles)
    return np.asarray(nt_xent(place(angles), temperature=temperature, reduction="none")), -slope


def _names(count):
    return [f"{k + 1}{prime}" for prime in ("", "′") for k in range(count // 2)]


def _still(angles, temperature):
    """The picture and its numbers, for where scripts do not run."""
    losses, force = forces(angles, temperature)
    n, names, middle = len(angles), _names(len(angles)), _SIZE / 2
    words = "; ".join(
        f"view {name} at {math.degrees(a) % 360:.0f}°, loss {l:.2f}, force {f + 0.0:+.2f}".replace("-", "−")
        for name, a, l, f in zip(names, angles, losses, force)
    )
    parts = [f'<circle cx="{middle}" cy="{middle}" r="{_RADIUS}" fill="none" stroke="#999999"/>']
    for k, (a, f) in enumerate(zip(angles, force)):
        x, y = middle + _RADIUS * math.cos(a), middle - _RADIUS * math.sin(a)
        length = max(-_LONGEST, min(_LONGEST, _ARROW * f * n * temperature))
        dx, dy = -math.sin(a) * length, -math.cos(a) * length
        parts.append(
            f'<path d="M{x:.1f} {y:.1f}l{dx:.1f} {dy:.1f}" stroke="#222222" stroke-width="3"/>'
            f'<circle cx="{x + dx:.1f}" cy="{y + dy:.1f}" r="4" fill="#222222"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="13" fill="{_COLORS[k % (n // 2)]}"/>'
            f'<text x="{x:.1f}" y="{y + 5:.1f}" fill="#ffffff" font-family="sans-serif" font-size="14" '
            f'text-anchor="middle">{names[k]}</text>'
        )
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE}" height="{_SIZE}" viewBox="0 0 {_SIZE} {_SIZE}">'
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="#ffffff"/>{"".join(parts)}</svg>'
    )
    return (
        f"{graph.image(picture, 'Views on a circle with their forces. ' + words)}<p>τ = {temperature:g}. {words}. "
        f"Mean loss {losses.mean():.3f}. A positive force turns a view against the clock.</p>"
        "<p>To move the views, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
