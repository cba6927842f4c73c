"""The second stage: a trained encoder gets a new head, and both learn a few labels, the encoder more slowly.

Beside it stands the linear probe, which leaves the encoder as it is. `two_stage` puts both, and an encoder that starts
from nothing, side by side for a share of the labels (Chen et al. 2020, arXiv:2006.10029).
"""

import copy
import math

import numpy as np

from ..arrays import namespace, to_numpy
from ..data import stratified_split
from ..evaluate import linear_probe
from ..losses import cross_entropy
from ..nn import Linear, glorot_uniform
from ..optim import Adam, layerwise
from .loop import Method
from .settings import share, views, whole
from .supcon import class_labels


class FineTune(Method):
    """Training of an encoder and a new linear head on labels: `fit(images, epochs, labels=labels)`.

    Parameters
    ----------
    encoder : Module
        Images to representations (N, p). It is changed; give a copy to keep the old one.
    width : int
        p, the length of the representations.
    classes : int
        C; labels are 0 ... C − 1.
    encoder_lr : float in [0, 1]
        The rate of the encoder's last layer, as a share of `lr`, which is the rate of the head. With 0 the encoder
        stays as it is, and its dropout is off: a linear probe.
    decay : float in [0, 1]
        ξ: each layer below has ξ times the rate of the one above.
    view : view, optional
    optimizer, lr, batch_size, seed
        As in `Method`. `seed` gives the weights of the head, too.

    Attributes
    ----------
    head : Linear
    history : dict of lists
        For each epoch the mean "loss" and "top1", the accuracy on the batches.
    collapse : float
        log C, the loss when all scores are equal.

    Raises
    ------
    ValueError
        If a number is out of its range, or labels are missing, all equal, or not in 0 ... C − 1.
    TypeError
        If the labels are no integers.

    Notes
    -----
    The rate of layer l of L is lr · `encoder_lr` · ξ^(L−l) (Howard & Ruder 2018, arXiv:1801.06146, section 3.2:
    ξ = 1/2.6).
    A layer is a module that holds parameters itself; layers count in the order of declaration.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> method = FineTune(mc.nn.MLP([64, 128, 64], rng=0), width=64, classes=10, encoder_lr=0.5, lr=1e-2)
    >>> method.fit(images, epochs=3, labels=labels, progress=False).score(images, labels) > 0.5
    True
    >>> method.rates()
    {'encoder.layers.0': 0.005, 'encoder.layers.2': 0.005, 'head': 0.01}
    """

    def __init__(
        self,
        encoder,
        width,
        classes,
        encoder_lr=0.1,
        decay=1.0,
        view=None,
        optimizer=Adam,
        lr=1e-3,
        batch_size=64,
        seed=0,
    ):
        name = "FineTune"
        self.encoder, self.view = encoder, None if view is None else views(name, view)
        self.encoder_lr, self.decay = share(name, "encoder_lr", encoder_lr), share(name, "decay", decay)
        self.classes, width = whole(name, "classes", classes, 2), whole(name, "width", width, 1)
        seed = whole(name, "seed", seed, 0)
        rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
        dtype = encoder.dtype or np.float32
        self.head = Linear(width, self.classes, init=glorot_uniform, rng=rng, dtype=dtype).to(encoder.device)
        super().__init__(optimizer, lr, batch_size, seed)

    def scales(self):
        """From the name of each layer to the share of `lr` that it has."""
        names = [name.rpartition(".")[0] for name, _ in self.named_parameters() if name.startswith("encoder")]
        layers = list(dict.fromkeys(names))
        of_encoder = {k: self.encoder_lr * self.decay ** (len(layers) - 1 - n) for n, k in enumerate(layers)}
        return of_encoder | {"head": 1.0}

    def rates(self):
        """From the name of each layer to its learning rate."""
        return {name: self.optimizer.lr * scale for name, scale in self.scales().items()}

    def trained(self):
        named = [(n, p) for n, p in self.named_parameters() if self.encoder_lr or n.startswith("head")]
        scales = self.scales() if self.encoder_lr else {"head": 1.0}
        return layerwise(named, scales)

    def forward(self, images):
        if self.encoder_lr:
            return self.head(self.encoder(images))
        with self.encoder.mode(training=False):
            return self.head(self.encoder(images))

    def loss(self, batch):
        images = batch.images if self.view is None else self.view(batch.images, self.view_rng)
        scores = self(images)
        return cross_entropy(scores, batch.labels), (scores, batch.labels)

    def measure(self, scores, labels):
        return {"top1": float((scores.data.argmax(axis=1) == labels).mean())}

    def report(self, measured):
        return "loss {loss:.3f} (collapse {0:.3f}), top-1 {top1:.2f}".format(self.collapse, **measured)

    @property
    def collapse(self):
        return math.log(self.classes)

    def config(self):
        chosen = {"encoder_lr": self.encoder_lr, "decay": self.decay, "view": repr(self.view)}
        return super().config() | chosen

    def encode(self, images):
        """Representations h of the encoder as it is now: an array (N, p)."""
        return self.in_batches(self.encoder, images)

    def predict(self, images):
        """The class with the highest score for each image: an integer array (N,)."""
        scores = self.in_batches(self, images)
        return namespace(scores).argmax(scores, axis=1)

    def score(self, images, labels):
        """The share of images whose class is predicted rightly."""
        labels, found = to_numpy(labels), to_numpy(self.predict(images))
        if labels.shape != found.shape:
            raise ValueError(f"FineTune.score: {len(found)} images need as many labels, got shape {labels.shape}.")
        return float((found == labels).mean())

    def _checked(self, images, labels):
        labels = class_labels("FineTune.fit", labels)
        if labels.size and not 0 <= labels.min() <= labels.max() < self.classes:
            raise ValueError(
                f"FineTune.fit: labels lie between {labels.min()} and {labels.max()}; "
                f"with classes={self.classes} they are 0 to {self.classes - 1}."
            )
        return super()._checked(images, labels)


def two_stage(
    encoder, images, labels, test_images, test_labels, fraction=0.1, fresh=None, epochs=30, seed=0, **settings
):
    """What an encoder is worth when a share of the labels is known: probe, fine-tuning, and starting from nothing.

    Parameters
    ----------
    encoder : Module
        The trained one. It is not changed.
    images, labels, test_images, test_labels : arrays
        Labels are 0 ... C − 1.
    fraction : float in (0, 1]
        The share of each class whose labels are known; at least one image of each.
    fresh : Module, optional
        An encoder of the same kind that has learned nothing. It is not changed.
    epochs : int
        Of fine-tuning.
    seed : int
        Which labels are known, and the seed of `FineTune`.
    **settings
        More for `FineTune`, such as `encoder_lr`, `decay`, `lr` and `batch_size`.

    Returns
    -------
    dict
        Test accuracies: "probe" (logistic regression on the frozen encoder), "finetune", and with `fresh` "scratch",
        the same training of it, with the full rate for its encoder; and "labels", how many labels were known.

    Raises
    ------
    ValueError
        If the fraction is not in (0, 1], or as `FineTune`.

    Examples
    --------
    >>> import minicl as mc
    >>> train, test = mc.data.digits("train"), mc.data.digits("test")
    >>> found = two_stage(mc.nn.MLP([64, 32], mc.relu, rng=0), *train, *test, fraction=0.1, epochs=2)
    >>> sorted(found), found["labels"]
    (['finetune', 'labels', 'probe'], 136)
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"two_stage: the fraction lies in (0, 1], got {fraction}.")
    labels = class_labels("two_stage", labels)
    known = np.arange(len(labels)) if fraction == 1 else stratified_split(labels, fraction, seed)[1]
    x, y = images[known], labels[known]
    classes = int(labels.max()) + 1
    settings = {"batch_size": min(64, len(known)), "seed": seed, **settings}

    def tuned(encoder, **changed):
        width = encoder(images[:1]).shape[-1]
        method = FineTune(copy.deepcopy(encoder), width, classes, **{**settings, **changed})
        return method, method.fit(x, epochs, labels=y, progress=False).score(test_images, test_labels)

    method, finetuned = tuned(encoder)
    h, test_h = (method.in_batches(encoder, part) for part in (x, test_images))
    result = {"labels": len(known), "probe": linear_probe(h, y, test_h, test_labels), "finetune": finetuned}
    if fresh is not None:
        result["scratch"] = tuned(fresh, encoder_lr=1.0, decay=1.0)[1]
    return result
