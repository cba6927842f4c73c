"""Multi-view: V views of each image instead of two. Each view has V − 1 positives, for one reading of the image.

Two things are called so: more kinds of changes, and more views. This is the second. P. Khosla et al. 2020
(arXiv:2004.11362), with the image as label; small windows beside large ones: M. Caron et al. 2020 (arXiv:2006.09882).
"""

import math

import numpy as np

from ..arrays import namespace
from ..data import multi_views
from ..functional import concatenate, normalize
from ..losses import multi_positive
from ..losses.inputs import one_of
from ..optim import Adam
from .places import places
from .settings import whole
from .simclr import SimCLR


class MultiView(SimCLR):
    """SimCLR with V views of each image, all of which are positives of each other.

    Parameters
    ----------
    encoder : Module
    head : Module or None
    view : view, or list of V views
        A list gives one to each, such as `mc.data.multi_crop(...)`. Views of different sizes need an encoder that takes
        them all (a convolutional network with global pooling).
    n_views : int, optional
        V, at least 2, where there is one view for all; 4 by default.
    temperature : float
    form : {"out", "in"}
        Whether the positives are averaged outside or inside the logarithm; see `mc.losses.multi_positive`.
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    history : dict of lists
        For each epoch the mean "loss", the mean "rank" of the first positive among VN − 1 candidates, and "top1", the
        share of views whose first candidate is a positive.
    collapse : float
        log(VN − 1), the loss when all embeddings are equal.

    Raises
    ------
    ValueError
        If V is below 2 or is not the number of views in the list, or the form is unknown.

    Notes
    -----
    With V = 2 both forms are NT-Xent, and a run is that of `SimCLR`, up to rounding. By chance the first positive has
    the place N, whatever V is.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = MultiView(encoder, head, view, n_views=3).fit(images, epochs=2, progress=False)
    >>> method.history["loss"][1] < method.history["loss"][0] < method.collapse
    True
    """

    def __init__(
        self,
        encoder,
        head,
        view,
        n_views=None,
        temperature=0.5,
        form="out",
        optimizer=Adam,
        lr=1e-3,
        batch_size=256,
        seed=0,
    ):
        listed = isinstance(view, (list, tuple))
        self.n_views = whole("MultiView", "n_views", (len(view) if listed else 4) if n_views is None else n_views, 2)
        if listed and len(view) != self.n_views:
            raise ValueError(f"MultiView: n_views={n_views}, but the list has {len(view)} views.")
        self.form = one_of("MultiView", "form", form, ("out", "in"))
        super().__init__(encoder, head, view, temperature, optimizer, lr, batch_size, seed)

    def loss(self, batch):
        views = multi_views(batch.images, self.view, self.view_rng, n_views=self.n_views)
        z = self.embeddings(views)
        z = z.reshape((len(views), len(batch.images), z.shape[-1]))
        return multi_positive(z, self.temperature, self.form), (z,)

    def embeddings(self, views):
        """The embeddings of all views, in their order, as one Tensor (VN, d). Neighbours of one size go in together."""
        runs = []
        for v in views:
            if runs and runs[-1][0].shape == v.shape:
                runs[-1].append(v)
            else:
                runs.append([v])
        parts = [self(namespace(run[0]).concatenate(run)) for run in runs]
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def measure(self, z):
        v, n, d = z.shape
        return of_groups(z.data.reshape((v * n, d)), namespace(z.data).arange(v * n) % n)

    @property
    def collapse(self):
        return math.log(self.n_views * self.batch_size - 1)

    def config(self):
        return super().config() | {"n_views": self.n_views, "form": self.form}


def of_groups(z, group):
    """Rank and top-1: the other rows of an anchor's group are its positives, all rows but itself its candidates."""
    u = normalize(z)
    xp = namespace(u)
    same, itself = group[:, None] == group, xp.eye(len(u), dtype=bool)
    scores = u @ u.T
    rank, top1 = places(xp.where(same & ~itself, scores, -np.inf), xp.where(same, -np.inf, scores))
    return {"rank": rank, "top1": top1}
