"""SimCLR: make two views of each image, and train encoder and head so that each view finds its partner in the batch.

T. Chen, S. Kornblith, M. Norouzi, G. Hinton 2020, A Simple Framework for Contrastive Learning (arXiv:2002.05709).
"""

import math

from ..arrays import namespace
from ..data import two_views
from ..evaluate import positive_rank
from ..functional import split
from ..losses import nt_xent
from ..optim import Adam
from .loop import Method
from .settings import views


class SimCLR(Method):
    """Contrastive training of an encoder with NT-Xent.

    Parameters
    ----------
    encoder : Module
        Images (N, H, W, C) to representations h (N, p).
    head : Module or None
        Representations to embeddings z (N, d), which the loss sees. None trains h itself.
    view : view
        Called as `view(images, rng)`, for example `mc.data.views.Compose([...])`.
    temperature : float
        τ of NT-Xent.
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    history : dict of lists
        For each epoch the mean "loss", the mean "rank" of the partner among 2N − 1 candidates, and "top1", the share of
        partners that come first.
    collapse : float
        log(2N − 1), the loss when all embeddings are equal. A loss that stays there has learned nothing.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder = mc.nn.MLP([64, 128, 64], rng=0)
    >>> head = mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = SimCLR(encoder, head, view).fit(images, epochs=2, progress=False)
    >>> method.history["loss"][1] < method.history["loss"][0] < method.collapse
    True
    >>> method.encode(images).shape
    (1347, 64)
    """

    def __init__(self, encoder, head, view, temperature=0.5, optimizer=Adam, lr=1e-3, batch_size=256, seed=0):
        self.encoder, self.head, self.temperature = encoder, head, temperature
        self.view = views(type(self).__name__, view)
        super().__init__(optimizer, lr, batch_size, seed)

    def forward(self, images):
        h = self.encoder(images)
        return h if self.head is None else self.head(h)

    def loss(self, batch):
        v1, v2 = two_views(batch.images, self.view, self.view_rng)
        z1, z2 = split(self(namespace(v1).concatenate([v1, v2])), 2)
        return nt_xent(z1, z2, self.temperature), (z1, z2)

    def measure(self, z1, z2):
        rank, top1 = positive_rank(z1, z2)
        return {"rank": rank, "top1": top1}

    @property
    def collapse(self):
        return math.log(2 * self.batch_size - 1)

    def report(self, measured):
        return "loss {loss:.3f} (collapse {0:.3f}), rank {rank:.1f}, top-1 {top1:.2f}".format(self.collapse, **measured)

    def config(self):
        return super().config() | {"temperature": self.temperature, "view": repr(self.view)}

    def encode(self, images):
        """Representations h, before the head: what a classifier gets.

        Parameters
        ----------
        images : array, shape (N, H, W, C)

        Returns
        -------
        array, shape (N, p)
        """
        return self.in_batches(self.encoder, images)

    def embed(self, images):
        """Embeddings z, after the head and not normalised: what the loss sees.

        Parameters
        ----------
        images : array, shape (N, H, W, C)

        Returns
        -------
        array, shape (N, d)
        """
        return self.in_batches(self, images)
