"""A widget about negatives that are none: how likely a batch holds images of the anchor's own class, and what they do to
its loss.

Two sliders say how many classes and how many images there are. The share of false negatives depends on the classes alone,
that there are any at all on both. The formulas are functions here too; a test holds the widget's script to them.
"""

import math

import numpy as np

from .. import graph
from .widget import Widget

CLASSES = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100)
IMAGES = tuple(2**k for k in range(1, 8))
GOLDEN = (math.sqrt(5) - 1) / 2
_APART = 0.03  # half the angle between the two views of an image


def false_negatives(classes=10, images=64, temperature=0.2):
    """A widget with sliders for classes, images and temperature, and a batch on the circle with its false negatives.

    It needs no kernel and no network. The batch is the same each time: image k is of class k mod C, and each class has an
    arc of its own. Beside it stands the probability that a batch drawn at random has a false negative at all.

    Parameters
    ----------
    classes : int
        C, one of `CLASSES`.
    images : int
        N, one of `IMAGES`; there are 2N views.
    temperature : float
        From 0.05 to 1.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If a number is none of those.

    Examples
    --------
    >>> false_negatives(classes=4).data["start"]
    {'classes': 4, 'images': 64, 'temperature': 0.2}
    """
    if classes not in CLASSES or images not in IMAGES:
        raise ValueError(
            f"false_negatives: {classes=} and {images=}; classes are one of {CLASSES}, and images one of {IMAGES}."
        )
    if not 0.05 <= temperature <= 1:
        raise ValueError(f"false_negatives: the temperature lies between 0.05 and 1, got {temperature}.")
    start = {"classes": int(classes), "images": int(images), "temperature": float(temperature)}
    data = {"classes": list(CLASSES), "images": list(IMAGES), "start": start}
    return Widget("false_negatives", "False negatives", data, _still(**start))


def chance(classes, images):
    """The probability that an anchor has a false negative, where N images are drawn at random from C equal classes.

    Notes
    -----
    1 − (1 − 1/C)^(N − 1): each of the other images misses the class of the anchor with probability 1 − 1/C.

    Examples
    --------
    >>> chance(2, 3)
    0.75
    """
    return -math.expm1((images - 1) * math.log1p(-1 / classes))


def angles(classes, images):
    """The angles of the batch in the widget: all first views, then all second views, an array (2N,).

    Examples
    --------
    >>> angles(4, 8).shape
    (16,)
    """
    k = np.arange(images)
    place = (k * GOLDEN + 0.5) % 1 - 0.5  # within the arc of the class, image 0 in its middle
    middle = 2 * math.pi / classes * (k % classes + 0.6 * place)
    return np.concatenate([middle - _APART, middle + _APART])


def losses(classes, images, temperature):
    """What the anchor, the first view of the first image, has in the batch of the widget.

    Parameters
    ----------
    classes, images : int
    temperature : float

    Returns
    -------
    dict
        "all", its NT-Xent loss; "removed", the same without its false negatives; "debiased", with a denominator that is
        cleared of them by the prior 1/C (Chuang et al. 2020, arXiv:2007.00224); "share", the part of the push that hits
        false negatives; "count", how many there are; "bounded", 1 where the
        debiased denominator is at its lowest value.

    Examples
    --------
    >>> found = losses(100, 16, 0.2)
    >>> found["count"], found["all"] == found["removed"]
    (0, True)
    """
    angle = angles(classes, images)
    s = np.cos(angle - angle[0])
    number = np.arange(2 * images) % images
    negative = number != 0
    false = negative & (number % classes == 0)
    e = np.exp((s - s[images]) / temperature)  # relative to the partner
    total, wrong = float(e[negative].sum()), float(e[false].sum())
    m = 2 * images - 2
    estimate, lowest = (total / m - 1 / classes) / (1 - 1 / classes), math.exp((-1 - s[images]) / temperature)
    return {
        "all": math.log1p(total),
        "removed": math.log1p(max(total - wrong, 0.0)) if false.any() else math.log1p(total),
        "debiased": math.log1p(m * max(estimate, lowest)),
        "share": wrong / total,
        "count": int(false.sum()),
        "bounded": int(estimate <= lowest),
    }


def _still(classes, images, temperature):
    """The batch at the start, for where scripts do not run."""
    found, angle = losses(classes, images, temperature), angles(classes, images)
    dots = []
    for k in range(1, 2 * images):
        color = "#1971C2" if k == images else "#C2255C" if (k % images) % classes == 0 else "#999"
        dots.append(
            f'<circle cx="{160 + 130 * math.cos(angle[k]):.1f}" cy="{160 - 130 * math.sin(angle[k]):.1f}" r="5" fill="{color}"/>'
        )
    x, y = 160 + 130 * math.cos(angle[0]), 160 - 130 * math.sin(angle[0])
    dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="#222"/>')
    lines = [
        f"N = {images} images, C = {classes} classes",
        f"at least one false negative: {100 * chance(classes, images):.3g} %",
        f"expected share: {100 / classes:.3g} %",
        f"loss with all negatives: {found['all']:.3f}",
        f"without the false ones: {found['removed']:.3f}",
        f"debiased by the prior 1/C: {found['debiased']:.3f}",
        f"push on the own class: {100 * found['share']:.3g} %",
    ]
    words = "".join(f'<text x="330" y="{60 + 32 * k}">{line}</text>' for k, line in enumerate(lines))
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" viewBox="0 0 640 320" font-family="sans-serif" '
        'font-size="14"><rect width="640" height="320" fill="#fff"/><circle cx="160" cy="160" r="130" fill="none" '
        f'stroke="#ccc"/>{"".join(dots)}{words}</svg>'
    )
    text = f"An anchor (black) with its partner (blue) and false negatives (pink) on the circle. {'; '.join(lines)}"
    return (
        f"{graph.image(picture, text)}<p>{text}.</p>"
        "<p>To change the numbers, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
