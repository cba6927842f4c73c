"""A widget about one question: a point at x, is it data or noise? Sliders move the noise, and the answer moves with it.

The densities and the posterior are also functions here; a test holds the widget's script to them.
"""

import math

import numpy as np

from .. import graph
from ..arrays import to_numpy
from .widget import Widget

DATA = ((0.6, -1.0, 0.5), (0.4, 1.2, 0.7))  # weight, mean and width of each part of the mixture
_LOW, _HIGH = -5.0, 5.0


def noise_classifier(mean=0.0, width=1.5, nu=2, x=0.0, data=DATA):
    """A widget with sliders for the noise of noise-contrastive estimation, and the probability that a point is data.

    It needs no kernel and no network. The upper part draws the density p of the data and ν times the density q of the
    noise; the lower part the posterior. A box shows what the article's f / (f + 1) gives instead.

    Parameters
    ----------
    mean, width : float
        Of the normal noise at the start: mean from −4 to 4, width from 0.2 to 4.
    nu : int
        Noise points for each data point at the start: a power of 2, from 1 to 64.
    x : float
        The point that is asked about at the start, from −5 to 5.
    data : sequence of (weight, mean, width)
        The data: a mixture of normal densities. The weights sum to 1.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If a number is outside its range, or the weights do not sum to 1.

    Notes
    -----
    P(D = 1 | x) = p(x) / (p(x) + ν q(x)) = σ(log p(x) − log(ν q(x)))    (Gutmann & Hyvärinen 2012)

    Examples
    --------
    >>> noise_classifier(nu=8).data["start"]
    {'mean': 0.0, 'width': 1.5, 'nu': 8, 'x': 0.0}
    """
    if not (-4 <= mean <= 4 and 0.2 <= width <= 4 and _LOW <= x <= _HIGH):
        raise ValueError(
            f"noise_classifier: mean {mean}, width {width}, x {x}; they go from −4 to 4, from 0.2 to 4, and from −5 to 5."
        )
    if nu not in [2**k for k in range(7)]:
        raise ValueError(f"noise_classifier: nu is {nu}; give a power of 2 from 1 to 64.")
    parts = [[float(number) for number in part] for part in data]
    if not parts or any(len(part) != 3 or part[0] <= 0 or part[2] <= 0 for part in parts):
        raise ValueError("noise_classifier: data is a list of (weight, mean, width), weights and widths above 0.")
    if abs(sum(weight for weight, _, _ in parts) - 1) > 1e-9:
        raise ValueError(f"noise_classifier: the weights sum to {sum(part[0] for part in parts):g}, not to 1.")
    start = {"mean": float(mean), "width": float(width), "nu": int(nu), "x": float(x)}
    described = {"parts": parts, "low": _LOW, "high": _HIGH, "start": start}
    return Widget("noise_classifier", "Data or noise?", described, _still(described))


def log_noise(x, mean, width):
    """Log density of the normal noise.

    Examples
    --------
    >>> float(log_noise(0.0, 0.0, 1.0))
    -0.918938533...
    """
    x = to_numpy(x)
    return -0.5 * ((x - mean) / width) ** 2 - math.log(width) - 0.5 * math.log(2 * math.pi)


def log_data(x, data=DATA):
    """Log density of the data, a mixture of normal densities (weight, mean, width).

    Examples
    --------
    >>> float(log_data(0.0, [(1.0, 0.0, 1.0)]))
    -0.918938533...
    """
    return np.logaddexp.reduce([math.log(weight) + log_noise(x, mean, width) for weight, mean, width in data])


def posterior(x, mean, width, nu, data=DATA):
    """P(D = 1 | x), the probability that a point at x is data, where noise is ν times as frequent.

    Parameters
    ----------
    x : array or float
    mean, width : float
        Of the noise.
    nu : float
    data : sequence of (weight, mean, width)

    Returns
    -------
    array or float

    Notes
    -----
    σ(log p(x) − log(ν q(x)))    (Gutmann & Hyvärinen 2012)

    Examples
    --------
    >>> float(posterior(0.3, 0.0, 1.0, 3, data=[(1.0, 0.0, 1.0)]))  # noise like the data: one point in 1 + ν
    0.25
    """
    t = log_data(x, data) - log_noise(x, mean, width) - math.log(nu)
    return 0.5 * (1 + np.tanh(t / 2))


def error_share(mean, width, nu, data=DATA):
    """The share of all points, data and noise, that the best classifier gets wrong: ∫ min(p, νq) dx / (1 + ν).

    Examples
    --------
    >>> round(error_share(0.0, 1.0, 3, data=[(1.0, 0.0, 1.0)]), 6)  # it always says "noise"
    0.25
    """
    x = np.linspace(-20, 20, 4001)
    least = np.minimum(np.exp(log_data(x, data)), nu * np.exp(log_noise(x, mean, width)))
    return float(np.trapezoid(least, x) / (1 + nu))


def _still(described):
    """The picture at the start, for where scripts do not run."""
    parts, (mean, width, nu, x) = described["parts"], described["start"].values()
    wide, xs = 600, np.linspace(_LOW, _HIGH, 201)
    right = lambda v: 36 + (v - _LOW) / (_HIGH - _LOW) * (wide - 46)
    upper = lambda v: 146 - 130 * np.minimum(v, 0.62) / 0.62  # what is higher runs along the edge
    lower = lambda v: 282 - 110 * v

    def line(values, place, color, more=""):
        points = " ".join(f"{right(a):.1f},{b:.1f}" for a, b in zip(xs, place(values)))
        return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{more}/>'

    def level(y, word):
        return (
            f'<line x1="36" y1="{y:.1f}" x2="{wide - 10}" y2="{y:.1f}" stroke="#ccc"/>'
            f'<text x="31" y="{y + 4:.1f}" text-anchor="end">{word}</text>'
        )

    p, q = np.exp(log_data(xs, parts)), np.exp(log_noise(xs, mean, width))
    chance = float(posterior(x, mean, width, nu, parts))
    shapes = [
        *(level(upper(v), f"{v:g}") for v in (0.0, 0.2, 0.4, 0.6)),
        *(level(lower(v), f"{v:g}") for v in (0.0, 0.5, 1.0)),
        line(p, upper, "#1971C2"),
        line(nu * q, upper, "#D9480F"),
        line(posterior(xs, mean, width, nu, parts), lower, "#2B8A3E"),
        *(
            f'<text x="{right(v):.1f}" y="298" text-anchor="middle">{graph.number(float(v))}</text>'
            for v in (-4, -2, 0, 2, 4)
        ),
        '<text x="40" y="11" font-weight="bold">densities: data (blue), ν times the noise (orange)</text>',
        '<text x="40" y="164" font-weight="bold">probability that a point at x is data (green)</text>',
    ]
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="306" viewBox="0 0 {wide} 306" '
        f'font-family="sans-serif" font-size="12"><rect width="{wide}" height="306" fill="#fff"/>{"".join(shapes)}</svg>'
    )
    words = (
        f"noise with mean {graph.number(mean)} and width {graph.number(width)}, ν = {nu}: "
        f"a point at x = {graph.number(x)} is data with probability {100 * chance:.1f} %"
    )
    return (
        f"{graph.image(picture, 'Densities of data and noise, and the posterior: ' + words)}<p>{words[0].upper()}{words[1:]}.</p>"
        "<p>To move the noise, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
