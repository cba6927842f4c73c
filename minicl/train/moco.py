"""MoCo: many negatives from a queue of keys, made by an encoder that changes so slowly that old keys still compare.

K. He, H. Fan, Y. Wu, S. Xie, R. Girshick 2019, Momentum Contrast (arXiv:1911.05722).
"""

import copy
import math
import warnings

import numpy as np

from .. import losses
from ..arrays import is_array, namespace, to_device
from ..data import two_views
from ..engine import Tensor, no_grad
from ..functional import concatenate, normalize, take
from ..nn import Module
from ..optim import Adam
from .places import places
from .remembering import fits, noise
from .settings import share, whole
from .simclr import SimCLR


class Queue(Module):
    """The last K rows that were put in, first in, first out: a ring, so that nothing is moved.

    Parameters
    ----------
    rows : array, shape (K, d)
        What is there at first. It is taken over, not copied.

    Attributes
    ----------
    rows : array, shape (K, d)
        Row number t (counted from 0, all that were ever put in) lies in slot t mod K.
    count : integer array, shape ()
        How many were put in.

    Examples
    --------
    >>> queue = Queue(np.zeros((3, 1)))
    >>> queue.put(np.array([[1.0], [2.0]]))
    >>> queue.put(np.array([[3.0], [4.0]]))
    >>> queue.rows.ravel(), queue.oldest_first().ravel()
    (array([4., 2., 3.]), array([2., 3., 4.]))
    """

    def __init__(self, rows):
        if not is_array(rows) or rows.ndim != 2 or not len(rows):
            raise ValueError(f"Queue: rows are an array (K, d) with K ≥ 1, got shape {getattr(rows, 'shape', None)}.")
        self.rows = rows
        self.count = np.array(0)

    def put(self, rows):
        """Put rows of shape (B, d) in the places of the oldest. If B > K, the first B − K are pushed out at once."""
        k, new = len(self.rows), len(rows)
        if tuple(rows.shape[1:]) != tuple(self.rows.shape[1:]):
            raise ValueError(f"Queue: it holds rows of shape {self.rows.shape[1:]}, got {tuple(rows.shape)}.")
        total = int(self.count) + new
        kept = min(k, new)
        slots = np.arange(total - kept, total) % k
        self.rows[namespace(self.rows).asarray(slots)] = rows[new - kept :]
        self.count[...] = total

    def oldest_first(self):
        """A copy of the rows in the order in which they will be pushed out, what was there at first before all."""
        return namespace(self.rows).roll(self.rows, -(int(self.count) % len(self.rows)), axis=0)

    def describe(self):
        return f"{len(self.rows)}, {self.rows.shape[1]}"


class MoCo(SimCLR):
    """Each query must find its key among it and the K keys of a queue.

    Parameters
    ----------
    encoder : Module
        Images (N, H, W, C) to representations h (N, p). It makes the queries, and is what is trained.
    head : Module or None
        Representations to embeddings (N, d), which the loss sees.
    view : view
    dim : int
        d, the length of the embeddings.
    queue_size : int
        K, how many keys the queue holds. It need be no multiple of the batch size.
    momentum : float in [0, 1]
        m: how much of the key encoder is kept in a step. 0 copies the encoder, 1 freezes the key encoder.
    temperature : float
    groups : int
        For BatchNorm, whose statistics would tell a query which batch its key was in: queries are encoded in so many
        groups, keys in as many groups of a shuffled order, and then put back in order. 1 is for all other networks;
        LayerNorm and GroupNorm look at one image alone, so that nothing leaks.
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    queue : Queue
        Unit vectors in random directions at first. They are too easy, as zeros would be: embeddings of an untrained
        encoder lie close together, far from random directions. So "loss" and "top1" say little until K keys are in.
    key_encoder, key_head : Module
        Copies of encoder and head. No gradient goes there.
    history : dict of lists
        For each epoch the mean "loss", the mean "rank" of the key among K + 1 candidates, and "top1".
    collapse : float
        log(K + 1), the loss when all queries and keys are equal.

    Raises
    ------
    ValueError
        If m lies outside [0, 1], or K, d or the number of groups is below 1.

    Warns
    -----
    UserWarning
        If there is a BatchNorm and one group only.

    Notes
    -----
    One step: q = f_q(v₁) and k = f_k(v₂); the loss is `mc.losses.moco`, its Eq. 1; the optimiser changes θ_q; then
    θ_k ← m θ_k + (1 − m) θ_q (Eq. 2), for buffers such as running statistics too (whole numbers are copied); and last
    the keys enter the queue. After T steps θ_k = mᵀ θ_k(0) + Σ_t (1 − m) m^(T−t) θ_q(t): half of a change has arrived
    after log 2 / log(1/m) steps, 693 for m = 0.999, which is too slow for a run of a few hundred steps. But if m is too
    small, the queue is told from the new key by its age: rank 1 beside a loss that rises to `collapse`, with nothing
    learned (seen on digits for m = 0.9 and Adam at lr = 3e-3; not for 0.97).

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = MoCo(encoder, head, view, dim=32, queue_size=512, momentum=0.98, temperature=0.2)
    >>> method.fit(images, epochs=4, progress=False).history["top1"][-1] > 10 / 513
    True
    >>> int(method.queue.count) == 4 * 5 * 256
    True
    """

    def __init__(
        self,
        encoder,
        head,
        view,
        dim,
        queue_size=4096,
        momentum=0.999,
        temperature=0.07,
        groups=1,
        optimizer=Adam,
        lr=1e-3,
        batch_size=256,
        seed=0,
    ):
        self.momentum = share("MoCo", "the momentum m", momentum)
        self.groups = whole("MoCo", "groups", groups, 1)
        dim, queue_size = whole("MoCo", "dim", dim, 1), whole("MoCo", "queue_size K", queue_size, 1)
        super().__init__(encoder, head, view, temperature, optimizer, lr, batch_size, seed)
        leaks = [f"{where} is {m}" for where, m in self.named_modules() if "BatchNorm" in type(m).__name__]
        if leaks and self.groups == 1:
            warnings.warn(
                f"MoCo: {leaks[0]}: its statistics tell a query which batch its key was in. Give groups=8, or use "
                "LayerNorm or GroupNorm.",
                stacklevel=2,
            )
        fill, own, self.shuffle_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)[2:])
        self.key_encoder, self.key_head = copy.deepcopy((encoder, head))
        for name, rng in self.named_generators():
            if name.startswith("key_"):  # or its dropout would have the masks of the queries
                rng.bit_generator.state = type(rng.bit_generator)(int(own.integers(2**63))).state
        self.queue = Queue(noise(self, fill, queue_size, dim))

    def trained(self):
        return [p for name, p in self.named_parameters() if not name.startswith("key_")]

    def keys(self, images):
        """Keys of images, as an array (N, d): by the key encoder, without a graph."""
        with no_grad():
            return self._in_groups(self._key, images, shuffled=True).data

    def _key(self, images):
        h = self.key_encoder(images)
        return h if self.key_head is None else self.key_head(h)

    def _in_groups(self, f, images, shuffled):
        if self.groups == 1:
            return f(images)
        xp, n = namespace(images), len(images)
        order = self.shuffle_rng.permutation(n) if shuffled else np.arange(n)
        parts = [f(images[xp.asarray(rows)]) for rows in np.array_split(order, min(self.groups, n))]
        return take(concatenate(parts), xp.asarray(np.argsort(order)), axis=0)

    def loss(self, batch):
        v1, v2 = two_views(batch.images, self.view, self.view_rng)
        queries = self._in_groups(self, v1, shuffled=False)
        fits("MoCo", queries, self.queue.rows.shape[1])
        keys = self.keys(v2)
        return losses.moco(queries, keys, self.queue.rows, self.temperature), (queries, keys)

    def measure(self, queries, keys):
        q, k, n = (normalize(x) for x in (queries.data, keys, self.queue.rows))
        rank, top1 = places((q * k).sum(axis=1, keepdims=True), q @ n.T)
        return {"rank": rank, "top1": top1}

    def after_step(self, batch, queries, keys):
        self.follow()
        self.queue.put(normalize(keys))

    def follow(self):
        """θ_k ← m θ_k + (1 − m) θ_q."""
        m, state = self.momentum, dict(self._state())
        for name, slow in state.items():
            if not name.startswith("key_"):
                continue
            fast = state[name.removeprefix("key_")]
            if isinstance(slow, Tensor):
                slow.data = m * slow.data + (1 - m) * fast.data
            elif slow.dtype.kind == "f":
                slow[...] = m * slow + (1 - m) * fast
            else:
                slow[...] = fast

    @property
    def collapse(self):
        return math.log(len(self.queue.rows) + 1)

    def config(self):
        return super().config() | {"momentum": self.momentum, "groups": self.groups}

    def to(self, device):
        super().to(device)
        self.queue.count = to_device(self.queue.count, "cpu")  # a place to write at is asked for in each step
        return self
