"""The training loop that all methods share. A method says what the loss of a batch is; everything else stands here.

After each epoch the whole state is known: parameters, optimiser, generators, history. Whatever goes wrong within an
epoch (a NaN, an interrupt, an error in a view), the state after the last whole epoch is put back, so a run can always
be continued.
"""

import contextlib
import copy
import json
import math
import pathlib
import warnings
import zlib
from typing import NamedTuple

import numpy as np

from ..arrays import is_array, namespace, to_device, to_numpy
from ..engine import grad, no_grad
from ..nn import Module
from ..optim import Adam
from ..optim.schedules import describe
from . import checkpoints
from .settings import whole


class Batch(NamedTuple):
    """What one step sees."""

    images: object  # array (N, ...)
    labels: object  # integer array (N,), or None
    indices: object  # NumPy array (N,): which images of the set these are


class Method(Module):
    """A way to train: modules, an optimiser, and the loss of a batch. A subclass defines `loss`.

    Parameters
    ----------
    optimizer : callable
        `optimizer(parameters, lr=lr)` gives an Optimizer, as the class `mc.optim.Adam` does.
    lr : float
    batch_size : int
    seed : int
        From it come the order of the images and the views. Equal seeds give equal runs, bit for bit.

    Attributes
    ----------
    epoch : int
        How many epochs are done.
    history : dict of lists
        For each epoch the mean of the loss, and of what `measure` gives. It holds no times, so equal runs have equal
        histories.

    Raises
    ------
    ValueError
        If the batch size or the seed is no whole number.

    Notes
    -----
    Assign the modules to attributes before `super().__init__(...)`, which collects their parameters.
    """

    def __init__(self, optimizer=Adam, lr=1e-3, batch_size=256, seed=0):
        name = type(self).__name__
        self.lr, self.batch_size = lr, whole(name, "batch_size", batch_size, 1)
        self.seed = whole(name, "seed", seed, 0)
        self.order_rng, self.view_rng = np.random.default_rng(self.seed).spawn(2)
        self.optimizer = optimizer(self.trained(), lr=lr)
        names = {id(p): name for name, p in self.named_parameters()}
        self.optimizer.names = [names.get(id(p)) for p in self.optimizer.parameters]  # for its errors
        self.epoch = 0
        self.history = {}
        self._run = {"images": None, "schedule": "None"}  # what `fit` was given: a fingerprint, and a description

    # -------------------------------------------------------------------------------------------- what a method defines

    def trained(self):
        """The parameters that the optimiser changes: Tensors, or groups of them."""
        return self.parameters()

    def loss(self, batch):
        """The loss of a batch as a Tensor, and a tuple of what it was computed from, for `measure`."""
        raise NotImplementedError(f"{type(self).__name__}: define loss(self, batch) -> Tensor, tuple of outputs.")

    def measure(self, *outputs):
        """A dict of numbers to look at, besides the loss."""
        return {}

    def after_step(self, batch, *outputs):
        """Called after the step of the optimiser: what a method remembers for later steps changes here, and not before.

        A key that is in a queue already when its own loss is computed would be its own negative.
        """

    def gradients(self, batch):
        """The loss of a batch as a number, its gradients, and what it was computed from."""
        loss, outputs = self.loss(batch)
        return float(loss), grad(loss, self.optimizer.parameters), outputs  # no Tensor, which would hold the graph

    def keep(self, path, arrays, notes):
        """Write the state, which is that after a whole epoch, to the checkpoint of `fit`."""
        checkpoints.save(path, arrays, notes)

    def step(self, batch):
        """One step of the optimiser. Returns a dict of numbers."""
        value, gradients, outputs = self.gradients(batch)
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value}")
        self.optimizer.step(gradients)
        measured = {"loss": value, **self.measure(*outputs)}
        self.after_step(batch, *outputs)
        return measured

    def report(self, measured):
        """What the progress bar says."""
        return ", ".join(f"{name} {value:.3f}" for name, value in measured.items())

    def config(self):
        """What must be the same for a run to be continued: a dict of texts and numbers."""
        return {
            "method": type(self).__name__,
            "modules": Module.__repr__(self),
            "parameters": {name: f"{p.dtype} {tuple(p.shape)}" for name, p in self.named_parameters()},
            "optimizer": f"{type(self.optimizer).__name__} {self.optimizer.settings()}",
            "lr": self.lr,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    # --------------------------------------------------------------------------------------------------------- the loop

    def fit(
        self, images, epochs, labels=None, progress=True, checkpoint=None, save_every=1, callbacks=(), schedule=None
    ):
        """Train until `epochs` epochs are done, counted from the start of the run.

        Parameters
        ----------
        images : array, shape (N, ...)
            N is at least the batch size. What is left over of an epoch after its last full batch is not used: a smaller
            batch has fewer candidates, and so another loss.
        epochs : int
            In total: after `fit(images, 10)`, `fit(images, 15)` trains five more.
        labels : integer array, shape (N,), optional
            For methods that use them; others may be given them too.
        progress : bool
            Show a progress bar.
        checkpoint : str or Path, optional
            A file that the state is written to; its folder is made if need be. If it is there already, the run continues from it, and ends in the same
            state, bit for bit, as a run that was never interrupted. The one before it is kept beside it, with
            ".previous" after its name.
        save_every : int
            Write it after so many epochs.
        callbacks : function, or list of functions
            Each is called as f(method) after each epoch. It may look (`method.epoch`, `method.history`,
            `method.embed(images)`), as `mc.viz.EarlyPictures(images, labels)` does, which draws maps of embeddings; and
            it may change the learning rate: `method.optimizer.lr`.
        schedule : function of the step, optional
            Before each step the learning rate is set to `lr` times `schedule(step)`, counted from 0 at the start of the
            run, for example `mc.optim.Warmup(10).then(mc.optim.Cosine(90))`. One epoch has N // batch_size steps. A
            checkpoint can be continued with the same schedule alone; of a function that is no `mc.optim.Schedule` the
            name is compared.

        Returns
        -------
        The method itself.

        Raises
        ------
        ValueError
            If the images do not fit, a number is out of its range, or the checkpoint is damaged or that of another run.
        TypeError
            If the labels are no integers, or a callback or the schedule is no function.
        OSError
            If the checkpoint cannot be written. Where its folder is the reason, that is found out before training;
            later, the run can be continued from memory, and from the last file.
        FloatingPointError
            If the loss or a parameter is no longer finite.

        Notes
        -----
        After any error, and after an interrupt from the keyboard, the state is that after the last whole epoch. An epoch
        is whole when its callbacks are done.
        """
        images, labels = self._checked(images, labels)
        name = f"{type(self).__name__}.fit"
        epochs, save_every = whole(name, "epochs", epochs, 0), whole(name, "save_every", save_every, 1)
        callbacks = [callbacks] if callable(callbacks) else list(callbacks or ())
        for f in callbacks:
            if not callable(f):
                raise TypeError(f"{name}: a callback is a function of the method, not {f!r}.")
        if schedule is not None and not callable(schedule):
            raise TypeError(f"{name}: a schedule is a function of the step, not {schedule!r}.")
        if checkpoint is not None:
            checkpoints.prepare(checkpoint)
        run = {"images": _fingerprint(images, labels), "schedule": describe(schedule)}
        if epochs <= self.epoch:
            warnings.warn(
                f"{name}: {self.epoch} epochs are done; epochs={epochs} counts from the start, so there is nothing to do.",
                stacklevel=2,
            )
        saved = 0  # the epoch that the file holds
        if checkpoint is not None and pathlib.Path(checkpoint).exists():
            saved = self._resume(checkpoint, run)
        self._run = run
        good = self._snapshot()
        steps = len(images) // self.batch_size
        bar = _bar(
            progress,
            total=max(epochs, self.epoch) * steps * self.batch_size,
            initial=self.epoch * steps * self.batch_size,
        )
        with bar, self.mode(training=True):
            try:
                while self.epoch < epochs:
                    bar.set_description(f"epoch {self.epoch + 1}/{epochs}", refresh=False)
                    self._run_epoch(images, labels, steps, bar, schedule)
                    for f in callbacks:
                        f(self)
                    good = self._snapshot()  # after the callbacks: one of them may have changed the learning rate
                    if checkpoint is not None and (self.epoch % save_every == 0 or self.epoch == epochs):
                        self.keep(checkpoint, *good)
                        saved = self.epoch
            except BaseException as error:  # an interrupt from the keyboard too
                try:
                    self._restore(*good)
                except (KeyError, ValueError) as unfit:
                    error.add_note(
                        f"{name}: the state after the last whole epoch cannot be put back, since arrays among the "
                        f"attributes came, went or changed their shape. {unfit.args[0]}"
                    )
                    raise error from None
                if checkpoint is not None and saved < self.epoch:
                    self.keep(checkpoint, *good)
                raise
        return self

    def _run_epoch(self, images, labels, steps, bar, schedule):
        order = self.order_rng.permutation(len(images))
        total = {}
        for k in range(steps):
            indices = order[k * self.batch_size : (k + 1) * self.batch_size]
            there = namespace(images).asarray(indices)
            batch = Batch(images[there], None if labels is None else labels[there], indices)
            if schedule is not None:
                self.optimizer.lr = self.lr * schedule(self.epoch * steps + k)
            try:
                measured = self.step(batch)
            except FloatingPointError as error:
                raise self._diverged(error, k, steps) from error
            except Exception as error:  # of a layer, a view or a loss, which names itself alone
                error.add_note(
                    f"{type(self).__name__}.fit: in epoch {self.epoch + 1}, step {k + 1} of {steps}, with images of "
                    f"shape {tuple(batch.images.shape)} in a batch."
                )
                raise
            for name, value in measured.items():
                total[name] = total.get(name, 0.0) + value
            bar.set_postfix_str(self.report(measured), refresh=False)
            bar.update(self.batch_size)
        for name, p in self.named_parameters():
            if not bool(namespace(p.data).isfinite(p.data).all()):
                raise self._diverged(f"{name} has NaN or infinity", steps - 1, steps)
        for name, value in total.items():
            self.history.setdefault(name, []).append(value / steps)
        self.epoch += 1

    def _diverged(self, what, k, steps):
        return FloatingPointError(
            f"{type(self).__name__}: {what} in epoch {self.epoch + 1}, step {k + 1} of {steps}. The state after epoch "
            f"{self.epoch} is put back. Try a smaller lr (now {self.optimizer.lr:g}); mc.detect_anomaly() names the op."
        )

    def _checked(self, images, labels):
        name = f"{type(self).__name__}.fit"
        images = _floats(name, images)
        shape = tuple(images.shape)
        if images.ndim < 2 or 0 in shape[1:]:
            raise ValueError(f"{name}: images have shape (N, ...), got {images.dtype} {shape}.")
        if not 2 <= self.batch_size <= len(images):
            raise ValueError(
                f"{name}: batch_size is {self.batch_size}, and there are {len(images)} images of shape {shape[1:]}; it "
                "must lie between 2 and that number."
            )
        xp = namespace(images)
        good = xp.isfinite(images).all(axis=tuple(range(1, images.ndim)))
        if not bool(good.all()):
            raise ValueError(
                f"{name}: {int((~good).sum())} of {len(images)} images of shape {shape[1:]} hold NaN or infinity, first "
                f"images[{int(good.argmin())}]. Leave them out: images[np.isfinite(images).all(axis={_other(shape)})]."
            )
        if bool((images == images[:1]).all()):
            raise ValueError(
                f"{name}: all images are equal, so there is nothing to tell apart: shape {shape}, pixels from "
                f"{float(images.min()):g} to {float(images.max()):g}. Look at how they were loaded."
            )
        if labels is not None:
            labels = to_numpy(labels)
            if labels.shape != (len(images),):
                raise ValueError(
                    f"{name}: {len(images)} images need labels of shape ({len(images)},), got {labels.shape}."
                )
            refuse_no_integers(name, labels)
            labels = to_device(labels, self.device)
        return to_device(images, self.device).astype(self.dtype or images.dtype, copy=False), labels

    # -------------------------------------------------------------------------------------------------------- its state

    def to(self, device):
        """Move everything, the optimiser's state too, to `"cpu"` or `"gpu"`. Returns the method."""
        super().to(device)
        self.optimizer.to(device)
        return self

    def save(self, path):
        """Write the state to a checkpoint file."""
        checkpoints.save(path, *self._snapshot())

    def load(self, path):
        """Take over the state from a checkpoint file of a run with the same settings. Returns the method.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged, or a setting, a shape or a dtype differs; the message names it. Nothing is changed
            then.
        """
        arrays, notes = checkpoints.load(path)
        self._refuse_other(path, notes.get("config", {}), _as_json(self.config()))
        self._refuse_unfit(path, arrays, notes)
        self._restore(arrays, notes)
        return self

    def _resume(self, path, run):
        """Continue from the checkpoint, unless this run is further. Gives the epoch that is in the file."""
        arrays, notes = checkpoints.load(path)
        self._refuse_other(path, notes.get("config", {}) | notes.get("run", {}), _as_json(self.config() | run))
        self._refuse_unfit(path, arrays, notes)
        if notes["epoch"] > self.epoch:
            self._restore(arrays, notes)
        return notes["epoch"]

    def _refuse_other(self, path, theirs, own):
        for key in {**own, **theirs}:
            if own.get(key) != theirs.get(key):
                raise ValueError(
                    f"checkpoint {path} is that of another run. {key} in the file:\n{theirs.get(key)}\n"
                    f"{key} here:\n{own.get(key)}\n"
                    "Build the method with the same settings, or give another file name."
                )

    def _refuse_unfit(self, path, arrays, notes):
        """Each array and each generator, before the first of them is taken over."""

        def kinds(arrays, notes):
            found = {name: f"{a.dtype} {a.shape}" for name, a in arrays.items()}
            return found | {name: state["bit_generator"] for name, state in notes["generators"].items()}

        self._refuse_other(path, kinds(arrays, notes), kinds(*self._snapshot()))

    def _snapshot(self):
        """All of the state: arrays, and notes that JSON can hold."""
        arrays = {f"module.{name}": a for name, a in self.state_dict().items()}
        arrays |= {f"optimizer.{name}": a for name, a in self.optimizer.state_dict().items()}
        notes = {
            "config": self.config(),
            "run": self._run,
            "epoch": self.epoch,
            "history": copy.deepcopy(self.history),
            "generators": {name: rng.bit_generator.state for name, rng in self.named_generators()},
        }
        return arrays, notes

    def _restore(self, arrays, notes):
        def part(prefix):
            return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}

        self.load_state_dict(part("module."))
        self.optimizer.load_state_dict(part("optimizer."))
        for name, rng in self.named_generators():
            rng.bit_generator.state = notes["generators"][name]
        self.epoch, self.history = notes["epoch"], copy.deepcopy(notes["history"])
        self._run = notes["run"]

    # ------------------------------------------------------------------------------------------------------- its output

    def in_batches(self, f, images, size=1024):
        """f(images) as an array: computed in evaluation mode, without recording, `size` images at a time."""
        images = _floats(type(self).__name__, images)
        images = to_device(images, self.device).astype(self.dtype or images.dtype, copy=False)
        with no_grad(), self.mode(training=False):
            parts = [f(images[start : start + size]) for start in range(0, max(len(images), 1), size)]
        return namespace(images).concatenate([part.data for part in parts])


def _floats(name, images):
    """Images as an array of floats, or an error: bytes would be 255 times as large as what a network is used to."""
    try:
        images = images if is_array(images) else np.asarray(images)
    except ValueError as error:
        raise ValueError(f"{name}: images are one array of shape (N, ...), not arrays of several shapes.") from error
    if images.dtype.kind != "f":
        fix = "Divide bytes by 255." if images.dtype.kind in "iub" else "Give numbers, such as float32."
        raise ValueError(
            f"{name}: images are floats of shape (N, ...), got {images.dtype} {tuple(images.shape)}. {fix}"
        )
    return images


def refuse_no_integers(name, labels):
    """Labels are integers; the error says how others become so."""
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: labels are integers, got dtype {labels.dtype}. Where none is missing, "
            "np.unique(labels, return_inverse=True)[1] numbers the classes."
        )


def _other(shape):
    """All axes but the first, as one writes them."""
    axes = tuple(range(1, len(shape)))
    return axes[0] if len(axes) == 1 else axes


def _as_json(notes):
    """As it comes back from a file: tuples as lists, and so on."""
    return json.loads(checkpoints.as_json(notes))


def _fingerprint(images, labels):
    """The same text for the same data, and most likely another for other data."""
    text = f"{images.dtype} {tuple(images.shape)}"
    for x in (images, labels):
        text += "" if x is None else f" {zlib.crc32(np.ascontiguousarray(to_numpy(x))):08x}"
    return text


class _NoBar(contextlib.nullcontext):
    """A progress bar that nobody sees."""

    def set_description(self, *args, **params):
        pass

    set_postfix_str = update = set_description

    def __enter__(self):
        return self


def _bar(progress, total, initial):
    if not progress:
        return _NoBar()
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=initial, unit="image", unit_scale=True)
