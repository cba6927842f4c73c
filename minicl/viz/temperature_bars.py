"""A widget with a temperature slider: how the push is shared out among the negatives of one anchor, on a fixed batch.

The embeddings never move, so what changes is what the temperature alone does. In the page the numbers are computed by the
widget's own script; a test holds that script to `minicl.nt_xent` and its gradient.
"""

from html import escape

import numpy as np

from .. import graph
from ..arrays import to_numpy
from .widget import Widget


def _views(middle, noise, seed):
    """Two views of each image: its direction with noise."""
    rng = np.random.default_rng(seed)
    return [(middle + noise * rng.standard_normal(middle.shape)).round(3) for _ in range(2)]


def _examples():
    at_random = np.random.default_rng(3).standard_normal((6, 3))
    apart = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], dtype=float)
    alike = apart.copy()
    alike[1] = [0.9, 0.4, 0.0]
    return [
        _batch(
            "before training: directions at random",
            *_views(at_random, 0.9, 0),
            "The partner is no nearer than others. A low temperature gives all the push to the nearest negative, and the "
            "gradient grows like 1/τ.",
        ),
        _batch(
            "after training: pairs together, images apart",
            *_views(apart, 0.15, 1),
            "All partners are nearer than all negatives. A low temperature sees that nothing is left to do: the gradient "
            "vanishes. A high one goes on pushing.",
        ),
        _batch(
            "after training, but image B looks like image A",
            *_views(alike, 0.15, 1),
            "Images A and B may be of one class, which the loss does not know. At a low temperature nearly all of the push "
            "goes against B (orange); at a high one B is pushed hardly more than others.",
            special=(1, 7),
        ),
    ]


def _batch(title, z1, z2, note="", anchor=0, special=()):
    n = len(z1)
    names = [f"image {chr(65 + k % n) if n <= 26 else k % n + 1}, view {1 + k // n}" for k in range(2 * n)]
    z = np.concatenate([z1, z2]).tolist()
    return {"title": title, "note": note, "z": z, "anchor": anchor, "names": names, "special": list(special)}


def temperature_bars(z1=None, z2=None, anchor=0):
    """A widget with a slider for the temperature: the share of each negative, entropy, and length of the gradient.

    It needs no kernel and no network. The slider, or the arrow keys, move the temperature from 0.01 to 10.

    Parameters
    ----------
    z1, z2 : array, shape (N, d), optional
        A batch of your own, N from 2 to 16; it is shown first. Row i of both belongs to image i.
    anchor : int
        Whose negatives are shown: 0 to N − 1 for the first views, N to 2N − 1 for the second.

    Returns
    -------
    Widget
        With `.html()`, `.page()` and `.save(path)`; a notebook shows it.

    Raises
    ------
    ValueError
        If the shapes do not fit, N is not between 2 and 16, a row is zero or not finite, or there is no such anchor.

    Notes
    -----
    With the cosine s, the partner j of anchor i, and the softmax P over all candidates: the share of negative k is
    ρ_k = exp(s_ik/τ) / Σ exp(s_im/τ), the sum over the negatives; all of the push is (1 − P_ij)/τ. The number of negatives
    that take part is e^H, with the entropy H of ρ.

    Examples
    --------
    >>> temperature_bars().data[0]["title"]
    'before training: directions at random'
    """
    examples = _examples()
    if z1 is not None or z2 is not None:
        examples = [_own(z1, z2, anchor), *examples]
    return Widget("temperature_bars", "The temperature on a fixed batch", examples, _still(examples[0]))


def _own(z1, z2, anchor):
    if z1 is None or z2 is None:
        raise ValueError("temperature_bars: give both z1 and z2, of one shape (N, d).")
    z1, z2 = (np.asarray(to_numpy(z), dtype=np.float64) for z in (z1, z2))
    if z1.ndim != 2 or z1.shape != z2.shape or not 2 <= len(z1) <= 16:
        raise ValueError(
            f"temperature_bars: shapes {z1.shape} and {z2.shape}; give two of one shape (N, d), N from 2 to 16."
        )
    z = np.concatenate([z1, z2])
    if not np.isfinite(z).all() or not z.any(axis=1).all():
        raise ValueError("temperature_bars: a row is zero, NaN or infinite; it has no direction.")
    if not 0 <= anchor < len(z):
        raise ValueError(f"temperature_bars: anchor {anchor} is none of the {len(z)} views, 0 to {len(z) - 1}.")
    return _batch("your batch", z1, z2, anchor=int(anchor))


def shares(batch, temperature):
    """The negatives of a batch (row numbers), the nearest first, with their cosines and shares of the push."""
    z = np.array(batch["z"])
    u = z / np.sqrt((z * z).sum(axis=1, keepdims=True))
    anchor, n = batch["anchor"], len(u)
    rows = np.array([k for k in range(n) if k not in (anchor, (anchor + n // 2) % n)])
    s = u[rows] @ u[anchor]
    order = np.argsort(-s)
    weights = np.exp((s[order] - s.max()) / temperature)
    return rows[order], s[order], weights / weights.sum()


def _still(batch):
    """Bars at three temperatures, for where scripts do not run."""
    blocks, words = [], []
    for column, temperature in enumerate((0.1, 0.5, 2.0)):
        rows, s, share = shares(batch, temperature)
        x, text = 8 + 220 * column, []
        blocks.append(f'<text x="{x}" y="16" font-weight="bold">temperature {temperature:g}</text>')
        for line, (k, cosine, part) in enumerate(zip(rows, s, share)):
            y = 26 + 20 * line
            cosine = graph.number(round(float(cosine), 2))
            blocks.append(
                f'<text x="{x}" y="{y + 12}">{escape(cosine)}</text>'
                f'<rect x="{x + 44}" y="{y + 2}" width="{max(120 * part, 0.5):.1f}" height="13" fill="#1971C2"/>'
                f'<text x="{x + 48 + 120 * part:.1f}" y="{y + 12}">{100 * part:.0f} %</text>'
            )
            text.append(f"{batch['names'][k]} (cosine {cosine}) {100 * part:.0f} %")
        words.append(f"at temperature {temperature:g}: {', '.join(text)}")
    height = 34 + 20 * len(rows)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{height}" viewBox="0 0 680 {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="680" height="{height}" fill="#fff"/>{"".join(blocks)}</svg>'
    )
    words = "; ".join(words)
    return (
        f"{graph.image(picture, 'Shares of the push: ' + words)}"
        f"<p>Cosine of each negative and its share of the push, {escape(words)}. {escape(batch['note'])}</p>"
        "<p>To move the temperature, open this where scripts run: in Jupyter, or in the documentation.</p>"
    )
