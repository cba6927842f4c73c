"""Supervised contrastive training: the views of all images of a class are positives of each other.

P. Khosla et al. 2020, Supervised Contrastive Learning (arXiv:2004.11362).
"""

from ..arrays import namespace, to_numpy
from ..data import two_views
from ..losses import supcon
from ..losses.inputs import one_of
from ..optim import Adam
from .loop import refuse_no_integers
from .multi_view import of_groups
from .simclr import SimCLR


class SupCon(SimCLR):
    """SimCLR that is told which images belong together: `fit(images, epochs, labels=labels)`.

    Parameters
    ----------
    encoder : Module
    head : Module or None
    view : view
        Two views of each image, so each anchor has a positive even if its class is in the batch once.
    temperature : float
    form : {"out", "in"}
        Whether the positives are averaged outside or inside the logarithm; see `mc.losses.supcon`.
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    history : dict of lists
        For each epoch the mean "loss", the mean "rank" of the first candidate of the same class, and "top1", the share
        of anchors whose first candidate has their class.
    collapse : float
        log(2N − 1), the loss when all embeddings are equal.

    Raises
    ------
    ValueError
        If the labels are missing or all equal, or the form is unknown.
    TypeError
        If the labels are no integers.

    Notes
    -----
    The loss does not go to 0: with P positives that all agree, "out" is at least log P for each anchor.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = SupCon(encoder, head, view).fit(images, epochs=3, labels=labels, progress=False)
    >>> method.history["top1"][-1] > method.history["top1"][0] > 0.1
    True
    """

    def __init__(
        self, encoder, head, view, temperature=0.1, form="out", optimizer=Adam, lr=1e-3, batch_size=256, seed=0
    ):
        self.form = one_of("SupCon", "form", form, ("out", "in"))
        super().__init__(encoder, head, view, temperature, optimizer, lr, batch_size, seed)

    def loss(self, batch):
        xp = namespace(batch.images)
        z = self(xp.concatenate(two_views(batch.images, self.view, self.view_rng)))
        labels = xp.concatenate([batch.labels, batch.labels])
        return supcon(z, labels, self.temperature, self.form), (z, labels)

    def measure(self, z, labels):
        return of_groups(z.data, labels)

    def config(self):
        return super().config() | {"form": self.form}

    def _checked(self, images, labels):
        return super()._checked(images, class_labels("SupCon.fit", labels))


def class_labels(name, labels):
    """Labels as a NumPy array of integers with two classes or more."""
    if labels is None:
        raise ValueError(f"{name}: the labels are missing; give labels=labels, one integer for each image.")
    labels = to_numpy(labels)
    refuse_no_integers(name, labels)
    if labels.size and (labels == labels.flat[0]).all():
        raise ValueError(
            f"{name}: all {labels.size} labels are {labels.flat[0]}; there is nothing to tell apart with one class only. "
            "Give at least two classes; SimCLR needs no labels."
        )
    return labels
