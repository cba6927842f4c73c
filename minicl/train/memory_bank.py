"""Memory bank: the data set's own embeddings as negatives, one slot for each image, overwritten when the image is seen.

It is no queue: a slot belongs to an image for ever, and its content is as old as the last epoch.

Z. Wu, Y. Xiong, S. Yu, D. Lin 2018, Unsupervised Feature Learning via Non-Parametric Instance Discrimination
(arXiv:1805.01978).
"""

import math

import numpy as np

from .. import losses
from ..arrays import namespace
from ..functional import normalize
from ..ops import mean, square, sum
from ..optim import Adam
from .places import places
from .remembering import fits, noise
from .settings import share, whole
from .simclr import SimCLR


class MemoryBank(SimCLR):
    """Each view must find the slot of its own image among the slots of other images.

    Parameters
    ----------
    encoder : Module
    head : Module or None
    view : view
        One view of each image in a step.
    size : int
        n, the number of images, each of which has a slot.
    dim : int
        d, the length of the embeddings.
    negatives : int or None
        How many slots of other images are drawn for each row, with equal chances and with replacement. None: all.
    momentum : float in [0, 1]
        m: how much of a slot is kept when it is overwritten. 0 copies the new embedding, 1 never changes the bank.
    proximal : float
        λ: the weight of ‖u − b‖², which keeps an embedding near its slot.
    temperature : float
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    bank : array, shape (n, d)
        Unit vectors, in random directions at first.
    history : dict of lists
        For each epoch the mean "loss", and "rank" and "top1" of the own slot among the candidates.
    collapse : float
        The log of the number of candidates.

    Raises
    ------
    ValueError
        If m lies outside [0, 1], λ is negative, a number is too small, or the images are not as many as slots.

    Notes
    -----
    The loss is `mc.losses.memory_bank`, a softmax over the candidates; the paper approximates it by NCE. To it comes
    λ · mean ‖uᵢ − bᵢ‖² (section 3.3). After the step the slots of the batch become

    bᵢ ← normalize(m bᵢ + (1 − m) uᵢ),

    which minimises m ‖b − bᵢ‖² + (1 − m) ‖b − uᵢ‖² on the unit sphere: a proximal step. The published code has m = 0.5.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = MemoryBank(encoder, head, view, size=len(images), dim=32, temperature=0.2)
    >>> method.fit(images, epochs=3, progress=False).history["loss"][-1] < method.history["loss"][0]
    True
    """

    def __init__(
        self,
        encoder,
        head,
        view,
        size,
        dim,
        negatives=None,
        momentum=0.5,
        proximal=0.0,
        temperature=0.07,
        optimizer=Adam,
        lr=1e-3,
        batch_size=256,
        seed=0,
    ):
        name = "MemoryBank"
        size, dim = whole(name, "size", size, 2), whole(name, "dim", dim, 1)
        self.negatives = None if negatives is None else whole(name, "negatives", negatives, 1)
        self.momentum = share(name, "the momentum m", momentum)
        if not 0 <= proximal < math.inf:
            raise ValueError(f"{name}: proximal must not be negative, got {proximal}.")
        self.proximal = float(proximal)
        super().__init__(encoder, head, view, temperature, optimizer, lr, batch_size, seed)
        fill, self.negative_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)[2:])
        self.bank = noise(self, fill, size, dim)

    def loss(self, batch):
        xp = namespace(self.bank)
        z = self(self.view(batch.images, self.view_rng))
        fits("MemoryBank", z, self.bank.shape[1])
        index = xp.asarray(batch.indices)
        others = None if self.negatives is None else xp.asarray(self.others(batch.indices))
        loss = losses.memory_bank(z, self.bank, index, self.temperature, others)
        if self.proximal:
            loss = loss + self.proximal * mean(sum(square(normalize(z) - self.bank[index]), axis=1))
        return loss, (z, index, others)

    def others(self, indices):
        """Positions of drawn slots, shape (N, m): any but the own one, with equal chances."""
        drawn = self.negative_rng.integers(0, len(self.bank) - 1, (len(indices), self.negatives))
        return drawn + (drawn >= indices[:, None])

    def measure(self, z, index, others):
        u = normalize(z.data)
        own = (u * self.bank[index]).sum(axis=1, keepdims=True)
        xp, rest = namespace(u), u @ self.bank.T
        if others is None:
            rest[xp.arange(len(u)), index] = -np.inf
        else:
            rest = xp.take_along_axis(rest, others, axis=1)
        rank, top1 = places(own, rest)
        return {"rank": rank, "top1": top1}

    def after_step(self, batch, z, index, others):
        m = self.momentum
        if m < 1:  # rounding would move a slot that is to stay
            self.bank[index] = normalize(m * self.bank[index] + (1 - m) * normalize(z.data))

    @property
    def collapse(self):
        return math.log(len(self.bank) if self.negatives is None else self.negatives + 1)

    def config(self):
        chosen = {"negatives": self.negatives, "momentum": self.momentum, "proximal": self.proximal}
        return super().config() | chosen

    def _checked(self, images, labels):
        images, labels = super()._checked(images, labels)
        if len(images) != len(self.bank):
            raise ValueError(
                f"MemoryBank.fit: {len(images)} images, and size={len(self.bank)} slots; each image has one of its own."
            )
        return images, labels
