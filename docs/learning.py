"""The picture of the README and the training movie of the site: one run of SimCLR on digits, without labels, onto a sphere.

python -m docs.learning     trains (a quarter of a minute), checks what it shows, writes docs/_static/learning.svg and
                            docs/learning.json
"""

import json
import sys
from html import escape
from pathlib import Path

import numpy as np

import minicl as mc
from minicl.viz.early_pictures import HUES

DOCS = Path(__file__).resolve().parent
PICTURE, MOVIE = DOCS / "_static" / "learning.svg", DOCS / "learning.json"
EPOCHS = (0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 100)
SHOWN, IN_PICTURE = 300, (0, 5, 100)  # test images; and the epochs of the picture
DARK = "#74b9ff #ff9a63 #69db7c #ff8fb0 #b39dff #4fd1d9 #f0b354 #a9b8c9 #e599f7 #a9d65b".split()


def run(epochs=EPOCHS, seed=0):
    """Trains, and takes down the embeddings of test images. What is learned: three numbers for each image.

    Returns
    -------
    dict
        Epoch → the embeddings, shape (300, 3), rows of length 1.
    labels : array, shape (300,)
        Which digit each image is. The run never sees them.
    """
    train, test = mc.data.digits("train"), mc.data.digits("test")
    views = mc.data.views
    view = [
        views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)),
        views.ColorJitter(0.4, 0.4),
        views.GaussianNoise(0.1),
    ]
    rng = np.random.default_rng(seed)
    encoder, head = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 3, rng=rng)
    method = mc.train.SimCLR(encoder, head, views.Compose(view), temperature=0.5, lr=3e-3, batch_size=128, seed=seed)
    images, labels = test.images[:SHOWN], test.labels[:SHOWN]
    look = lambda: mc.to_numpy(mc.normalize(mc.to_numpy(method.embed(images)).astype(np.float64)))
    found = {0: look()}
    method.fit(
        train.images,
        max(epochs),
        progress=False,
        callbacks=lambda m: found.update({m.epoch: look()}) if m.epoch in epochs else None,
    )
    return found, labels


def share(z, labels):
    """How many images have a nearest neighbour on the sphere that is the same digit."""
    return mc.evaluate.knn_leave_one_out(z, labels, k=1)


def turned(found):
    """All spheres turned so that the last one shows its two main directions, and each lies on the next as well as it can.

    A turn or a reflection changes no distance, and no loss: what moves from one to the next was learned.
    """
    (last, z), *earlier = sorted(found.items(), reverse=True)
    _, _, axes = np.linalg.svd(z - z.mean(axis=0))
    target = z @ axes.T
    there = {last: target}
    for epoch, z in earlier:
        a, _, b = np.linalg.svd(z.T @ target)
        there[epoch] = target = z @ (a @ b)
    return dict(sorted(there.items()))


def caption(shares):
    """The claim, with the numbers of the run."""
    before, early, late = (f"{100 * shares[epoch]:.0f} %" for epoch in IN_PICTURE)
    return (
        f"Three hundred handwritten digits on a sphere, before training and after {IN_PICTURE[1]} and {IN_PICTURE[2]} epochs of "
        f"SimCLR without labels. The nearest neighbour is the same digit for {before}, {early} and {late} of them; by chance it "
        "would be 10 %."
    )


def picture(spheres, labels, shares):
    """The spheres as SVG, those in front on top; readable on light and dark pages, since it brings its own ground."""
    radius, width, top = 138, 320, 58
    light = "".join(f".c{k}{{fill:{hue}}}" for k, hue in enumerate(HUES))
    dark = "".join(f".c{k}{{fill:{hue}}}" for k, hue in enumerate(DARK))
    parts = []
    for column, (epoch, z) in enumerate(spheres.items()):
        x0, y0 = width * (column + 0.5), top + radius + 22
        name = "before training" if epoch == 0 else f"after {epoch} epochs"
        words = f"nearest is the same digit: {100 * shares[epoch]:.0f} %"
        parts.append(
            f'<text class="t" x="{x0}" y="{top - 4}">{name}</text><circle class="s" cx="{x0}" cy="{y0}" r="{radius}"/>'
            f'<text class="n" x="{x0}" y="{y0 + radius + 30}">{words}</text>'
        )
        for side in (False, True):
            signs = "".join(
                f'<text class="c{labels[i]}" x="{x0 + radius * z[i, 0]:.0f}" y="{y0 + 4 - radius * z[i, 1]:.0f}">{labels[i]}</text>'
                for i in np.flatnonzero((z[:, 2] > 0) == side)
            )
            parts.append(f'<g opacity="{1 if side else 0.4}">{signs}</g>')
    size = f"0 0 {3 * width} {top + 2 * radius + 70}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" font-family="system-ui,sans-serif" font-size="11" '
        f'font-weight="600" text-anchor="middle"><title>{escape(caption(shares))}</title><style>.g{{fill:#fff;stroke:#d0d7de}}'
        f".t{{font-size:17px;fill:#1f2328}}.n{{font-size:14px;font-weight:400;fill:#1f2328}}.s{{fill:none;stroke:#c9d1d9}}"
        f".h{{font-size:15px;font-weight:400;fill:#59636e}}{light}@media(prefers-color-scheme:dark){{.g{{fill:#14181f;stroke:#3d444d}}"
        f".t,.n{{fill:#e6edf3}}.s{{stroke:#3d444d}}.h{{fill:#9198a1}}{dark}}}</style>"
        f'<rect class="g" x="0.5" y="0.5" width="{3 * width - 1}" height="{top + 2 * radius + 69}" rx="10"/>'
        f'<text class="h" x="{1.5 * width}" y="27">Digits as points of a sphere, learned without labels (faint: the far side)</text>{"".join(parts)}</svg>\n'
    )


def main():
    """Trains, asserts the claim, and writes both files."""
    found, labels = run()
    shares = {epoch: share(z, labels) for epoch, z in found.items()}
    before, early, late = (shares[epoch] for epoch in IN_PICTURE)
    assert before < 0.4 and early > before + 0.2 and late > early + 0.2 and late > 0.8, shares
    spheres = turned(found)
    assert all(abs(share(z, labels) - shares[epoch]) < 1e-9 for epoch, z in spheres.items())  # turns change nothing
    PICTURE.write_text(picture({e: spheres[e] for e in IN_PICTURE}, labels, shares), encoding="utf-8")
    panels = [
        [f"epoch {e}" if e else "before training", np.rint(1000 * z[:, :2] * [1, -1]).astype(int).tolist()]
        for e, z in spheres.items()
    ]
    movie = {"panels": panels, "labels": labels.tolist(), "shares": {str(e): round(s, 4) for e, s in shares.items()}}
    MOVIE.write_text(json.dumps(movie, separators=(",", ":")) + "\n", encoding="utf-8")
    print(caption(shares))
    return 0


if __name__ == "__main__":
    sys.exit(main())
