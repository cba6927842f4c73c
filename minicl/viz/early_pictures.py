"""A callback that draws what a method has learned so far: a map of its embeddings after 1, 2, 4, 8 ... epochs.

Early pictures are close together, since most happens at the start, and a run that goes wrong is seen within seconds.
"""

import io
import pathlib

import numpy as np

from ..arrays import to_numpy
from ..functional import normalize
from .embedding_maps import HUES


class EarlyPictures:
    """Maps of embeddings while they are learned: `method.fit(images, epochs, callbacks=EarlyPictures(images, labels))`.

    Parameters
    ----------
    images : array, shape (N, ...)
        What is shown: a few hundred, best of those that are not trained on.
    labels : array, shape (N,), optional
        They colour the points, and nothing else.
    path : str or Path, optional
        A file, such as "run.png", that is written anew with each picture. In a notebook the pictures appear by
        themselves.

    Attributes
    ----------
    panels : list of (str, array)
        For each picture its title, and the places of the points, shape (N, 2).

    Raises
    ------
    ValueError
        If there are fewer than two images, or not as many labels.
    FileNotFoundError
        If the folder of `path` does not exist.
    TypeError
        After the first epoch, if the method embeds no images, as Word2Vec.

    Notes
    -----
    A map is that of the two directions in which the embeddings (of unit length) vary most: with centred rows U and
    the singular values U = A Σ Bᵀ, the places are the first two columns of AΣ. Its axes have no direction, so each map is
    turned to lie on the one before as well as it can (orthogonal Procrustes: Schönemann 1966): what moves was learned.
    Embeddings that have collapsed are one point.

    Looking changes nothing: a run with pictures is the same as one without, bit for bit.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> pictures = EarlyPictures(images[:200], labels[:200])
    >>> method = mc.train.SimCLR(encoder, head, view).fit(images, epochs=3, progress=False, callbacks=pictures)
    >>> [title for title, places in pictures.panels]
    ['epoch 1: loss 6.0... (collapse 6.236)', 'epoch 2: loss 5.8... (collapse 6.236)']
    """

    def __init__(self, images, labels=None, path=None):
        if len(images) < 2:
            raise ValueError(f"EarlyPictures: {len(images)} images make no map; give at least two.")
        self.images, self.path, self.panels, self._shown = images, path, [], None
        self.labels = np.zeros(len(images), int) if labels is None else to_numpy(labels)
        if self.labels.shape != (len(images),):
            raise ValueError(
                f"EarlyPictures: {len(images)} images need labels of shape ({len(images)},), got {self.labels.shape}."
            )
        if path is not None and not pathlib.Path(path).parent.is_dir():
            raise FileNotFoundError(
                f"EarlyPictures: the folder {str(pathlib.Path(path).parent)!r} of path={str(path)!r} does not exist; make "
                "it first."
            )

    def __call__(self, method):
        if method.epoch & (method.epoch - 1):  # no power of two
            return
        embed = getattr(method, "embed", None) or getattr(method, "encode", None)
        if embed is None:
            raise TypeError(
                f"EarlyPictures: {type(method).__name__} has neither embed(images) nor encode(images), so there is no map "
                "of its images; fit it without these pictures."
            )
        title = f"epoch {method.epoch}: loss {method.history['loss'][-1]:.3f} (collapse {method.collapse:.3f})"
        before = self.panels[-1][1] if self.panels else None
        self.panels.append((title, flat_map(to_numpy(embed(self.images)), before)))
        picture = self.png()
        if self.path is not None:
            pathlib.Path(self.path).write_bytes(picture)
        self._show(picture)

    def png(self):
        """All pictures so far, side by side, as the bytes of a PNG file."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3 * len(self.panels), 3.2), layout="constrained")
        colours = np.array(HUES)[np.unique(self.labels, return_inverse=True)[1] % len(HUES)]
        for axes, (title, places) in zip(figure.subplots(1, len(self.panels), squeeze=False)[0], self.panels):
            axes.scatter(*places.T, s=6, c=colours)
            axes.set_title(title, fontsize=8)
            axes.set(xticks=[], yticks=[], aspect="equal", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
        file = io.BytesIO()
        figure.savefig(file, dpi=100)
        return file.getvalue()

    def _show(self, picture):
        """In a notebook, in the place of the last one."""
        from IPython import display, get_ipython

        if getattr(get_ipython(), "kernel", None) is None:
            return
        words = "Maps of the embeddings. " + "; ".join(title for title, _ in self.panels)
        image = display.Image(picture, alt=words)
        if self._shown is None:
            self._shown = display.display(image, display_id=True)
        else:
            self._shown.update(image)


def flat_map(z, before=None):
    """Places (N, 2) of embeddings (N, d): their two main directions, turned to lie on `before` (N, 2).

    Examples
    --------
    >>> flat_map(np.array([[3.0, 0.0, 0.0], [0.0, 5.0, 0.0]])).round(3).tolist()
    [[0.707, 0.0], [-0.707, 0.0]]
    """
    u = normalize(np.asarray(z, np.float64).reshape((len(z), -1)))
    left, sizes, _ = np.linalg.svd(u - u.mean(axis=0), full_matrices=False)
    places = np.zeros((len(z), 2))
    places[:, : min(2, len(sizes))] = (left * sizes)[:, :2]
    if before is None:
        return places * np.where(places[0] < 0, -1.0, 1.0)
    a, _, b = np.linalg.svd(places.T @ before)
    return places @ (a @ b)
