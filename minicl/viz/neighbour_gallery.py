"""A widget to look at what a representation holds for similar: choose an image, and see its neighbours in each of several
representations.

The neighbours are found in Python, each image left out of its own list; the page only shows the table.
"""

import base64
import struct
import zlib
from html import escape

import numpy as np

from ..evaluate import nearest
from .widget import Widget

_COLUMNS = 16  # of the sheet that holds all images
_MOST = 400


def neighbour_gallery(images, labels, representations, classes=None, k=8, chosen=0):
    """A widget that shows the nearest neighbours of an image, in one row for each representation.

    It needs no kernel and no network. A click, or the arrow keys, choose the image. A neighbour with the same label has a
    whole frame and a tick, another one a dashed frame and a cross. Two buttons lead to the images for which the last
    representation does most and least better than the first.

    Parameters
    ----------
    images : array, shape (M, H, W) or (M, H, W, 1)
        Grey values in [0, 1], M ≤ 400.
    labels : integer array, shape (M,)
    representations : dict
        From names to features of the same images, shape (M, ...), in the order of the rows.
    classes : sequence of str, optional
        The name of each label.
    k : int
        How many neighbours, by the cosine.
    chosen : int
        The image that is chosen at first.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are too many images, or there is no image `chosen`.

    Examples
    --------
    >>> images = np.eye(9).reshape(9, 3, 3)
    >>> widget = neighbour_gallery(images, np.arange(9) % 2, {"raw pixels": images + 1}, k=2)
    >>> len(widget.data["tables"][0])
    9
    """
    images, labels = np.asarray(images), np.asarray(labels)
    images = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    if images.ndim != 3 or not 0 < len(images) <= _MOST or labels.shape != images.shape[:1]:
        raise ValueError(
            f"neighbour_gallery: images {images.shape} and labels {labels.shape}; give at most {_MOST} grey images (M, H, "
            "W), and a label for each."
        )
    if not -1e-6 <= images.min() <= images.max() <= 1 + 1e-6:
        raise ValueError(
            f"neighbour_gallery: values lie between {images.min():.3g} and {images.max():.3g}; images are in [0, 1]."
        )
    if not representations:
        raise ValueError("neighbour_gallery: give at least one representation: {name: features (M, d)}.")
    if not 0 <= chosen < len(images):
        raise ValueError(f"neighbour_gallery: there is no image {chosen}; they are 0 to {len(images) - 1}.")
    names = [str(c) for c in (range(int(labels.max()) + 1) if classes is None else classes)]
    if not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f"neighbour_gallery: labels lie between {labels.min()} and {labels.max()}, and there are {len(names)} classes."
        )
    tables = []
    for name, features in representations.items():
        if len(features) != len(images):
            raise ValueError(
                f"neighbour_gallery: {name!r} has {len(features)} rows, and there are {len(images)} images."
            )
        rows = np.asarray(features, dtype=np.float64).reshape(len(images), -1)
        tables.append(nearest(rows, rows, k, exclude_self=True).tolist())
    data = {
        "sheet": _address(_sheet(images, range(len(images)), _COLUMNS)),
        "columns": _COLUMNS,
        "rows": -(-len(images) // _COLUMNS),
        "labels": labels.tolist(),
        "classes": names,
        "names": list(representations),
        "tables": tables,
        "chosen": int(chosen),
    }
    return Widget("neighbour_gallery", "Nearest neighbours", data, _still(images, data))


def shares(labels, table):
    """For each image the share of its neighbours that have its label.

    Examples
    --------
    >>> shares([0, 0, 1], [[1, 2], [0, 2], [0, 1]])
    [0.5, 0.5, 0.0]
    """
    return [sum(labels[j] == labels[i] for j in row) / len(row) for i, row in enumerate(table)]


def _sheet(images, which, columns, gap=0):
    """Images side by side, as bytes of one large image."""
    which = list(which)
    _, height, width = images.shape
    rows = -(-len(which) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), 255, np.uint8)
    for place, i in enumerate(which):
        top, left = (height + gap) * (place // columns), (width + gap) * (place % columns)
        sheet[top : top + height, left : left + width] = np.rint(np.clip(images[i], 0, 1) * 255)
    return sheet


def _address(pixels):
    """A grey image as a PNG in a data: address (the PNG specification, third edition)."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = pixels.shape
    # Each line is written as its difference from the line above, which packs better.
    above = np.vstack([np.zeros((1, width), np.uint8), pixels[:-1]])
    lines = np.hstack([np.full((height, 1), 2, np.uint8), pixels - above])
    content = b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
            chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            chunk(b"IEND", b""),
        ]
    )
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _still(images, data):
    """The chosen image and its neighbours, a row for each representation, for where scripts do not run."""
    i, labels = data["chosen"], data["labels"]
    which = [j for table in data["tables"] for j in (i, *table[i])]
    columns = 1 + len(data["tables"][0][i])
    pixels = _sheet(images, which, columns, gap=4)
    parts = []
    for name, table in zip(data["names"], data["tables"]):
        found, everywhere = shares(labels, table)[i], np.mean(shares(labels, table))
        parts.append(f"{name}: {found:.0%} of the neighbours have its label (all images: {everywhere:.0%})")
    words = f"Image {i}, {data['classes'][labels[i]]}, and its nearest neighbours. {'; '.join(parts)}."
    rows = ", ".join(data["names"])
    return (
        f'<img src="{_address(pixels)}" width="{2 * pixels.shape[1]}" alt="{escape(words)}" style="max-width:100%">'
        f"<p>{escape(words)} Rows from above: {escape(rows)}.</p>"
        "<p>To choose another image, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
