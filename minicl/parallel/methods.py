"""Data-parallel training: each worker has a copy of the network and a share of each batch, and all take the step that one
process would take.

A batch is cut into parts, whatever the number of workers: a part has random numbers of its own, and a worker takes some
parts. So R workers see the views that one sees, what is trained does not depend on R, and a checkpoint, which knows
nothing of R, can be continued on another number of workers.
"""

import contextlib
import pathlib
import platform
import sys
import zlib

import numpy as np

from .. import losses, train
from ..arrays import namespace
from ..data import two_views
from ..engine import grad, no_grad
from ..functional import concatenate, normalize, split
from ..train.remembering import fits
from ..train.settings import whole
from .collectives import sum_gradients, total
from .norms import defer_statistics, sync_batch_norm
from .ring import nt_xent, partner_rank
from .workers import everybody

OF_ALL = ("order_rng", "view_rng", "shuffle_rng")  # generators that draw the same on all workers
EPOCH = "epoch (is the checkpoint where all workers see it?)"


class _Parallel:
    """What the parallel methods share; it stands before a method of `mc.train` in the order of classes.

    The gradient of the whole loss is the sum of what the workers have. Nothing is divided by R.
    """

    def _join(self, workers, parts):
        name = type(self).__name__
        self.workers = workers or everybody()
        self.parts = whole(f"parallel.{name}", "parts", parts, 1)
        if not self.workers.size <= self.parts <= self.batch_size:
            raise ValueError(
                f"parallel.{name}: a batch of {self.batch_size} images in {self.parts} parts for {self.workers.size} workers: "
                f"each worker needs a part, and each part an image. Choose from {self.workers.size} to {self.batch_size} parts "
                "(parts=, or MoCo's groups=)."
            )
        self._settle = lambda: None
        self._say = lambda text: None

    def gradients(self, batch):
        with self._own_draws():
            loss, outputs = self.loss(batch)
            gradients = grad(loss, self.optimizer.parameters)
        self._settle()
        return float(loss), sum_gradients(gradients, self.workers), outputs

    def _rng(self, seed, view, part):
        return np.random.default_rng([seed, view, part])

    def _rows(self, n):
        """Which of n images are in this worker's parts: a slice for each part."""
        ends = np.cumsum([len(part) for part in np.array_split(np.arange(n), self.parts)])
        return [slice(ends[p - 1] if p else 0, ends[p]) for p in self.workers.share_of(self.parts)]

    @contextlib.contextmanager
    def _own_draws(self):
        """Within it, layers such as dropout draw other numbers on each worker; afterwards their generators agree again."""
        kept = []
        for name, rng in self.named_generators():
            if name not in OF_ALL:
                seed = int(rng.integers(2**63))
                kept.append((rng, rng.bit_generator.state))
                rng.bit_generator.state = type(rng.bit_generator)([seed, self.workers.rank]).state
        try:
            yield
        finally:
            for rng, state in kept:
                rng.bit_generator.state = state

    def config(self):
        found = super().config() | {"parts": self.parts}
        return found | {"modules": found["modules"].replace("SyncBatchNorm", "BatchNorm")}  # the same for each R

    # --------------------------------------------------------------------------------------------------------- the loop

    def fit(self, images, epochs, labels=None, progress=True, checkpoint=None, **others):
        """As `mc.train.Method.fit`, called by all workers with the same data. Worker 0 shows the bar and writes the file.

        Raises
        ------
        Refused
            If versions, settings, data or states differ between workers; on all of them, before the first step. States are
            compared again before each epoch.
        """
        self._agree(versions=versions(), settings=self.config(), epochs=epochs)
        progress = progress and self.workers.rank == 0
        self._path, self._written = checkpoint, None  # the file, and the epoch that it holds
        with self.workers.last_words() as self._say:
            super().fit(images, epochs, labels, progress, checkpoint, **others)
            self._agree(**{EPOCH: self.epoch})  # nobody goes on before the file is there
        self._say = lambda text: None
        return self

    def _agree(self, **things):
        if self.workers.size > 1:
            self.workers.agree(f"parallel.{type(self).__name__}.fit", **things)

    def _run_epoch(self, *args):
        if self.workers.size > 1:
            arrays, notes = self._snapshot()
            state = {name: zlib.crc32(np.ascontiguousarray(a)) for name, a in arrays.items()}
            self._agree(**{EPOCH: self.epoch}, data=self._run, state=state, generators=notes["generators"])
        self._say(self._how_to_go_on())
        super()._run_epoch(*args)

    def _how_to_go_on(self):
        text = f"minicl: the run was ended by force in epoch {self.epoch + 1}: one of {self.workers.size} workers was "
        text += "lost, failed, or was interrupted. "
        if self._path is None:
            return text + "It had no checkpoint, so it must begin again; fit(..., checkpoint=PATH) keeps one."
        if self._written is None:
            return text + f"No epoch was done, so there is nothing in {self._path} yet."
        return (
            f"{text}The state after epoch {self._written} is in {self._path}: give the same command again, with as many "
            "workers as there are now, and the run goes on from there."
        )

    def keep(self, path, arrays, notes):
        if self.workers.rank == 0:
            super().keep(path, arrays, notes)
        self._written = notes["epoch"]

    def _resume(self, path, run):
        self._written = super()._resume(path, run)
        return self._written


class SimCLR(_Parallel, train.SimCLR):
    """`mc.train.SimCLR` on several workers.

    Parameters
    ----------
    encoder, head, view, temperature, optimizer, lr, batch_size, seed
        As there; the same on all workers. The batch size N is that of all workers together.
    parts : int
        A batch is cut into so many parts. It lies between R and N. Runs with equal `parts` are equal for all R.
    workers : Workers, optional
        By default all that mpiexec started; without it this process alone.

    Notes
    -----
    BatchNorm takes its statistics over all workers (`sync_batch_norm`). Layers with dropout draw numbers of their own on
    each worker, so with them runs for different R are equal in distribution alone.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 64, 32], rng=0), mc.nn.ProjectionHead(32, 32, 16, rng=1)
    >>> method = SimCLR(encoder, head, mc.data.views.RandomAffine(shift=1)).fit(images, epochs=1, progress=False)
    >>> method.history["loss"][0] < method.collapse
    True
    """

    def __init__(self, *args, parts=8, workers=None, **settings):
        super().__init__(*args, **settings)
        self._join(workers, parts)
        sync_batch_norm(self, self.workers)

    def loss(self, batch):
        seed, xp = int(self.view_rng.integers(2**63)), namespace(batch.images)
        views = [
            two_views(batch.images[rows], self.view, (self._rng(seed, 0, p), self._rng(seed, 1, p)))
            for rows, p in zip(self._rows(len(batch.images)), self.workers.share_of(self.parts))
        ]
        v1, v2 = (xp.concatenate(parts) for parts in zip(*views))
        z1, z2 = split(self(xp.concatenate([v1, v2])), 2)
        return nt_xent(z1, z2, self.temperature, self.workers), (z1, z2)

    def measure(self, z1, z2):
        if self.workers.size == 1:
            return super().measure(z1, z2)
        rank, top1 = partner_rank(z1.data, z2.data, self.workers)
        return {"rank": rank, "top1": top1}


class MoCo(_Parallel, train.MoCo):
    """`mc.train.MoCo` on several workers, each of which has a copy of the key encoder and of the queue.

    Parameters
    ----------
    encoder, head, view, dim, queue_size, momentum, temperature, groups, optimizer, lr, batch_size, seed
        As there; the same on all workers. With more than one group the parts of a batch are these groups.
    parts, workers
        As in `SimCLR`.

    Notes
    -----
    *Shuffled BatchNorm* (He et al. 2019, section 3.3): the queries of a group are normalised together, and its keys are
    those of another, shuffled group, so that no statistics tell which key belongs to a query. All workers draw the same
    order, and each makes the views that its groups of that order need: keys travel, images do not.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 64, 32], rng=0), mc.nn.ProjectionHead(32, 32, 16, rng=1)
    >>> method = MoCo(encoder, head, mc.data.views.RandomAffine(shift=1), dim=16, queue_size=512)
    >>> int(method.fit(images, epochs=1, progress=False).queue.count)
    1280
    """

    def __init__(self, *args, parts=8, workers=None, **settings):
        super().__init__(*args, **settings)
        self._join(workers, parts if self.groups == 1 else self.groups)
        if self.groups == 1:
            sync_batch_norm(self, self.workers)
        else:
            self._settle = defer_statistics(self, self.workers)

    def loss(self, batch):
        n, seed = len(batch.images), int(self.view_rng.integers(2**63))
        order = np.arange(n) if self.groups == 1 else self.shuffle_rng.permutation(n)
        queries = self._encoded(self, batch.images, np.arange(n), 0, seed)
        fits("MoCo", queries, self.queue.rows.shape[1])
        with no_grad():
            keys = self._encoded(self._key, batch.images, order, 1, seed).data
        xp = namespace(keys)
        everyone = self.workers.gather(keys)[xp.asarray(np.argsort(order))]
        own = self._rows(n)
        keys = everyone[own[0].start : own[-1].stop]
        share = losses.moco(queries, keys, self.queue.rows, self.temperature, reduction="sum") / n
        return total(share, workers=self.workers), (queries, keys, everyone)

    def _encoded(self, f, images, order, view, seed):
        """This worker's parts of the images in an order, seen and encoded: each group apart, if there are groups."""
        xp = namespace(images)
        parts = [
            self.view(images[xp.asarray(order[rows])], self._rng(seed, view, p))
            for rows, p in zip(self._rows(len(images)), self.workers.share_of(self.parts))
        ]
        return f(xp.concatenate(parts)) if self.groups == 1 else concatenate([f(part) for part in parts])

    def measure(self, queries, keys, everyone):
        found = super().measure(queries, keys)
        share = len(keys) / len(everyone)
        values = self.workers.sum(np.array([share * value for value in found.values()]))
        return dict(zip(found, values.tolist()))

    def after_step(self, batch, queries, keys, everyone):
        self.follow()
        self.queue.put(normalize(everyone))


def versions():
    """What must be the same on all workers, since other versions round differently; of minicl a checksum of its text too."""
    package = sys.modules[__name__.split(".")[0]]
    text = b"".join(path.read_bytes() for path in sorted(pathlib.Path(package.__file__).parent.rglob("*.py")))
    return {
        "minicl": f"{package.__version__} {zlib.crc32(text):08x}",
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
