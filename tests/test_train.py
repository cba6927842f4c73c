"""Training: a run can be stopped, killed or spoilt at any moment, and goes on as if nothing had happened, bit for bit.

Beside that: the loss starts where theory says, a tiny set is learned by heart, and collapse stays collapse.
"""

import copy
import errno
import gc
import math
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from differences import assert_close, central

import minicl as mc
from minicl import nn
from minicl.data import views
from minicl.train import Method, SimCLR, checkpoints

ROOT = Path(__file__).resolve().parent.parent
VIEW = views.Compose([views.RandomAffine(15, 1, (0.8, 1.2)), views.GaussianNoise(0.1)])


@pytest.fixture(scope="module")
def images():
    return mc.data.digits("train").images[:70]


def simclr(sizes=(64, 16, 8), view=VIEW, dropout=True, **changed):
    """A small network that draws random numbers of its own."""
    encoder = nn.MLP(list(sizes), rng=0)
    if dropout:
        encoder = nn.Sequential(encoder, nn.Dropout(0.1, rng=7))
    return SimCLR(encoder, nn.ProjectionHead(sizes[-1], 8, 4, rng=1), view, **{"batch_size": 32, "seed": 3, **changed})


def everything(method):
    """All state as one dict of bytes and texts, so that two runs can be held equal bit for bit."""
    arrays, notes = method._snapshot()
    return {name: a.tobytes() for name, a in arrays.items()} | {"notes": repr(notes)}


def trained(images, epochs, **changed):
    return simclr(**changed).fit(images, epochs, progress=False)


# ------------------------------------------------------------------------------------------------------ what is learned


def test_the_loss_starts_near_log_of_the_candidates(images):
    for batch_size in (8, 32, 70):
        method = simclr(batch_size=batch_size, dropout=False, temperature=2.0)
        assert method.collapse == math.log(2 * batch_size - 1)
        method.fit(images, 1, progress=False)
        assert abs(method.history["loss"][0] - method.collapse) < 0.2


def test_a_tiny_batch_is_learned_by_heart(images):
    n, temperature = 6, 0.5
    method = simclr((64, 64, 32), views.GaussianNoise(0.02), False, batch_size=n, lr=1e-2, temperature=temperature)
    method.fit(images[:n], 200, progress=False)
    floor = math.log(1 + (2 * n - 2) * math.exp(-n / ((n - 1) * temperature)))  # aligned pairs on a regular simplex
    assert floor <= method.history["loss"][-1] < floor + 0.35
    assert method.history["top1"][-1] == 1.0 and method.history["rank"][-1] == 1.0
    assert method.history["loss"][0] > method.history["loss"][-1] + 0.5


def test_training_helps_where_labels_are_few():
    (images, labels), (test_images, test_labels) = mc.data.digits("train"), mc.data.digits("test")
    method = SimCLR(nn.MLP([64, 128, 64], rng=0), nn.ProjectionHead(64, 64, 32, rng=1), VIEW, batch_size=128, lr=3e-3)

    def probe():
        h, test_h = method.encode(images), method.encode(test_images)
        few = [mc.data.few_labels(labels, 2, seed) for seed in range(5)]
        return np.mean([mc.evaluate.linear_probe(h[chosen], labels[chosen], test_h, test_labels) for chosen in few])

    before = probe()
    method.fit(images, 20, progress=False)
    assert probe() > before + 0.05
    assert method.history["loss"][-1] < method.history["loss"][0] < method.collapse
    assert method.history["top1"][-1] > method.history["top1"][0]


def collapsed(nudge):
    """An encoder that maps all images to one point, or almost."""
    encoder = nn.MLP([64, 16, 8], rng=0, dtype=np.float64)
    head = nn.Linear(8, 4, rng=1, dtype=np.float64)
    head.weight.data = head.weight.data * nudge
    head.bias.data = [1.0, 2.0, -1.0, 0.5]
    return SimCLR(encoder, head, VIEW, optimizer=mc.optim.SGD, lr=1.0, batch_size=32)


def test_collapse_is_a_critical_point_and_unstable(images):
    method = collapsed(0.0)
    loss, z = method.loss(mc.train.Batch(images[:32].astype(np.float64), None, np.arange(32)))
    assert abs(loss.item() - method.collapse) < 1e-14 and method.measure(*z)["rank"] == 32
    for g in mc.grad(loss, method.parameters()):
        assert np.abs(g).max() < 1e-15
    method.fit(images, 20, progress=False)
    assert max(abs(value - method.collapse) for value in method.history["loss"]) < 1e-13
    method = collapsed(1e-3).fit(images, 200, progress=False)
    assert abs(method.history["loss"][0] - method.collapse) < 1e-4
    assert method.history["loss"][-1] < method.collapse - 0.3


def test_the_gradient_of_the_whole_is_that_of_differences(images, rng):
    batch = mc.train.Batch(images[:5].astype(np.float64), None, np.arange(5))

    def make(*values):
        method = SimCLR(
            nn.MLP([64, 7, 5], mc.tanh, rng=0, dtype=np.float64),
            nn.Linear(5, 3, rng=1, dtype=np.float64),
            VIEW,
            batch_size=5,
            seed=3,
        )
        for p, value in zip(method.parameters(), values):
            p.data = value
        return method

    method = make()
    values = [p.data.copy() for p in method.parameters()]
    found = mc.grad(method.loss(batch)[0], method.parameters())
    for k, (name, _) in enumerate(method.named_parameters()):
        assert_close(found[k], central(lambda *a: make(*a).loss(batch)[0].item(), values, k), 1e-7, what=name)


# ---------------------------------------------------------------------------------------------- the same run, in pieces


def test_equal_seeds_give_equal_runs_and_others_do_not(images):
    one = everything(trained(images, 2))
    assert one == everything(trained(images, 2))
    assert one["module.head.layers.0.weight"] != everything(trained(images, 2, seed=4))["module.head.layers.0.weight"]


CONVOLUTIONS = """
    import sys
    import minicl as mc
    from minicl import nn
    from minicl.data import views

    images = mc.data.fashion_mnist_sample("train").images[:256]
    view = views.Compose([views.RandomResizedCrop((0.4, 1.0)), views.GaussianNoise(0.1)])
    encoder = nn.ConvNet(channels=(8, 16, 16), rng=0)
    method = mc.train.SimCLR(encoder, nn.ProjectionHead(16, 32, 16, rng=1), view, batch_size=128, seed=3)
    method.fit(images, 2, progress=False, checkpoint=sys.argv[1])
"""


def test_two_processes_with_several_threads_give_equal_runs(tmp_path):
    """Convolutions and BatchNorm in blocks, and products of matrices, whoever is done first; and another hash seed."""
    files = []
    for seed in ("1", "2", "3"):
        path = tmp_path / f"{seed}.safetensors"
        threads = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "PYTHONHASHSEED": seed}
        code = textwrap.dedent(CONVOLUTIONS)
        subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, env=os.environ | threads, check=True)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_fit_counts_epochs_from_the_start(images):
    method = trained(images, 2)
    assert method.fit(images, 5, progress=False) is method and method.epoch == 5
    assert {len(values) for values in method.history.values()} == {5} and set(method.history) == {
        "loss",
        "rank",
        "top1",
    }
    assert everything(method) == everything(trained(images, 5))
    with pytest.warns(UserWarning, match="5 epochs are done; epochs=3 counts from the start"):
        method.fit(images, 3, progress=False)
    assert method.epoch == 5


def stop_at(when, error=KeyboardInterrupt):
    """A view that raises in its `when`-th call: two calls for each step, two steps for each epoch."""
    calls = iter(range(1, 1000))

    class Stopping(type(VIEW)):
        def __call__(self, x, rng=None):
            if next(calls) == when:
                raise error("stopped")
            return super().__call__(x, rng)

        __repr__ = views.Compose.__repr__

    return Stopping(VIEW.views)


@pytest.mark.parametrize("when", [1, 2, 5, 7, 8, 12])
def test_an_interrupted_run_continues_bit_for_bit(when, images, tmp_path):
    path = tmp_path / "run.safetensors"
    method = simclr(view=stop_at(when))
    with pytest.raises(KeyboardInterrupt):
        method.fit(images, 4, progress=False, checkpoint=path, save_every=3)
    done = (when - 1) // 4
    assert method.epoch == done and len(method.history.get("loss", [])) == done and method.training
    assert everything(method) == everything(trained(images, done) if done else simclr_on(images))
    whole = everything(trained(images, 4))
    assert everything(simclr().fit(images, 4, progress=False, checkpoint=path)) == whole  # a new process, from the file
    method.view = VIEW
    assert everything(method.fit(images, 4, progress=False)) == whole  # the same object, from memory


def simclr_on(images):
    """A method that has seen the images, and no step."""
    method = simclr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method.fit(images, 0, progress=False)


def test_any_error_puts_the_last_whole_epoch_back(images):
    def divide(method):
        return 1 / (method.epoch - 2)

    for method, callbacks in ((simclr(view=stop_at(7, ZeroDivisionError)), []), (simclr(), [divide])):
        with pytest.raises(ZeroDivisionError):
            method.fit(images, 4, progress=False, callbacks=callbacks)
        assert everything(method) == everything(trained(images, 1))


def test_a_further_run_is_not_thrown_back_by_an_older_file(images, tmp_path):
    path = tmp_path / "run.safetensors"
    simclr().fit(images, 1, progress=False, checkpoint=path)
    seen = []
    method = trained(images, 3).fit(
        images, 4, progress=False, checkpoint=path, callbacks=[lambda m: seen.append(m.epoch)]
    )
    assert seen == [4]
    assert everything(method) == everything(trained(images, 4)) == everything(simclr_on(images).load(path))


def test_an_interrupt_writes_what_the_file_does_not_hold_yet(images, tmp_path):
    """Also epochs from before there was a file, or that an older file lacks."""
    path, older = tmp_path / "run.safetensors", tmp_path / "older.safetensors"
    simclr().fit(images, 1, progress=False, checkpoint=older)
    for file in (path, older):
        method = trained(images, 3)
        method.view = stop_at(2)
        with pytest.raises(KeyboardInterrupt):
            method.fit(images, 5, progress=False, checkpoint=file)
        assert everything(simclr_on(images).load(file)) == everything(trained(images, 3))
    method = simclr(view=stop_at(2))
    with pytest.raises(KeyboardInterrupt):
        method.fit(images, 5, progress=False, checkpoint=tmp_path / "none")
    assert not (tmp_path / "none").exists()  # nothing was learned


def test_a_checkpoint_that_no_method_wrote_is_refused(images, tmp_path):
    """Whole, and with its checksum; but what is in it is no run."""
    path = tmp_path / "mine"
    checkpoints.save(path, {"weight": np.ones(3)}, {"epoch": 9})
    for attempt in (lambda: simclr().load(path), lambda: simclr().fit(images, 10, progress=False, checkpoint=path)):
        with pytest.raises(
            ValueError, match=r"(?s)mine is that of another run. method in the file:\nNone\nmethod here:\nSim"
        ):
            attempt()
    word2vec = mc.train.Word2Vec(mc.data.Vocabulary(["a", "b"] * 9), 4, epochs=1, subsample=None)
    word2vec.fit(["a", "b"] * 9, progress=False).save(path)
    with pytest.raises(ValueError, match=r"(?s)method in the file:\nWord2Vec\nmethod here:\nSimCLR"):
        simclr().load(path)


def test_a_learning_rate_changed_by_a_callback_is_continued(images, tmp_path):
    def halve(method):
        method.optimizer.lr /= 2

    whole = simclr().fit(images, 4, progress=False, callbacks=[halve])
    simclr().fit(images, 2, progress=False, checkpoint=tmp_path / "run.safetensors", callbacks=[halve])
    resumed = simclr().fit(images, 4, progress=False, checkpoint=tmp_path / "run.safetensors", callbacks=[halve])
    assert resumed.optimizer.lr == 1e-3 / 16 and everything(resumed) == everything(whole)


SCHEDULE = mc.optim.Warmup(3).then(mc.optim.Cosine(5))


def test_a_schedule_sets_the_rate_of_each_step(images, monkeypatch):
    rates = []
    step = mc.optim.Adam.step
    monkeypatch.setattr(mc.optim.Adam, "step", lambda self, g: (rates.append(self.lr), step(self, g))[1])
    simclr(lr=0.01).fit(images, 4, progress=False, schedule=SCHEDULE)
    assert rates == [0.01 * SCHEDULE(k) for k in range(8)]


def test_a_run_with_schedule_groups_and_clipping_continues_bit_for_bit(images, tmp_path):
    def make(**changed):
        def optimizer(parameters, lr):
            return mc.optim.AdamW(mc.optim.no_decay(parameters), lr, weight_decay=0.1, clip_norm=0.5)

        return simclr(optimizer=optimizer, lr=0.01, **changed)

    path = tmp_path / "run.safetensors"
    whole = everything(make().fit(images, 4, progress=False, schedule=SCHEDULE))
    for epochs in (1, 2, 4):
        method = make().fit(images, epochs, progress=False, schedule=SCHEDULE, checkpoint=path)
    assert everything(method) == whole
    assert everything(make().fit(images, 2, progress=False, schedule=SCHEDULE).fit(images, 4, progress=False)) != whole
    with pytest.warns(UserWarning, match="nothing to do"), pytest.raises(ValueError, match="schedule in the file"):
        make().fit(images, 0, progress=False, checkpoint=path)
    for other in (mc.optim.Warmup(3).then(mc.optim.Cosine(6)), lambda step: 1.0):
        with pytest.raises(
            ValueError, match=r"(?s)schedule in the file:\nWarmup\(steps=3.*Build the method with the same"
        ):
            make().fit(images, 5, progress=False, schedule=other, checkpoint=path)
    with pytest.raises(ValueError, match=r"optimizer in the file:\n.*'clip_norm': 0.5, 'different'"):
        simclr(optimizer=mc.optim.AdamW, lr=0.01).load(path)


def test_a_schedule_that_is_none_is_refused(images):
    with pytest.raises(TypeError, match="SimCLR.fit: a schedule is a function of the step, not 0.1"):
        simclr().fit(images, 1, progress=False, schedule=0.1)
    with pytest.raises(ValueError, match="learning rate must not be negative, got nan"):
        simclr().fit(images, 1, progress=False, schedule=lambda step: float("nan"))


def test_a_gradient_that_is_nan_is_named(images):
    class Spoiled(SimCLR):
        def loss(self, batch):
            loss, outputs = super().loss(batch)
            if self.epoch == 1:
                loss = loss + mc.sqrt((self.encoder[0].weight * 0.0).sum())  # good is the value, not the gradient
            return loss, outputs

    method = Spoiled(nn.MLP([64, 16, 8], rng=0), None, VIEW, batch_size=32)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError,
            match=r"gradient 0 \(encoder.layers.0.weight\) has NaN .* in epoch 2, step 1 of 2.*epoch 1 is put back",
        ),
    ):
        method.fit(images, 3, progress=False)
    assert method.epoch == 1 and all(np.isfinite(p.data).all() for p in method.parameters())


def test_callbacks_see_each_epoch_and_may_look_without_a_trace(images):
    seen = []

    def look(method):
        seen.append((method.epoch, method.embed(images).shape, method.training))

    method = simclr().fit(images, 3, progress=False, callbacks=[look])
    assert seen == [(k, (70, 4), True) for k in (1, 2, 3)]
    assert everything(method) == everything(trained(images, 3))


def test_one_callback_needs_no_list(images):
    seen = []
    simclr().fit(images, 2, progress=False, callbacks=lambda method: seen.append(method.epoch))
    assert seen == [1, 2]
    simclr().fit(images, 1, progress=False, callbacks=None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupt_in_a_callback_puts_the_epoch_before_back(error, images, tmp_path):
    """An epoch is whole when its callbacks are done: they may have changed something by half."""

    def stop(method):
        method.optimizer.lr /= 2
        if method.epoch == 3:
            method.optimizer.lr = 77.0
            raise error

    def halve(method):
        method.optimizer.lr /= 2

    path = tmp_path / "run.safetensors"
    method = simclr()
    with pytest.raises(error):
        method.fit(images, 4, progress=False, checkpoint=path, save_every=5, callbacks=[stop])
    two, whole = (simclr().fit(images, n, progress=False, callbacks=halve) for n in (2, 4))
    assert method.epoch == 2 and everything(method) == everything(two)
    assert everything(method.fit(images, 4, progress=False, callbacks=halve)) == everything(whole)
    assert everything(simclr().fit(images, 4, progress=False, checkpoint=path, callbacks=halve)) == everything(whole)


def test_what_is_remembered_changes_after_the_step_and_after_the_measures(images):
    order = []

    class Watched(SimCLR):
        def gradients(self, batch):
            order.append("gradients")
            return super().gradients(batch)

        def measure(self, *outputs):
            order.append("measure")
            return super().measure(*outputs)

        def after_step(self, batch, *outputs):
            order.append("after")
            assert len(outputs) == 2 and outputs[0].shape == (32, 8) and self.optimizer.steps == order.count("after")

    Watched(nn.MLP([64, 16, 8], rng=0), None, VIEW, batch_size=32).fit(images, 1, progress=False)
    assert order == ["gradients", "measure", "after"] * 2


def test_arrays_that_come_within_an_epoch_do_not_hide_the_error(images):
    """Arrays among the attributes are state, and so is a list of them."""

    class Recording(SimCLR):
        def loss(self, batch):
            self.record.append(batch.images)
            if len(self.record) == 4:
                raise ZeroDivisionError("the true reason")
            return super().loss(batch)

    method = Recording(nn.MLP([64, 16, 8], rng=0), None, VIEW, batch_size=32)
    method.record = []
    with pytest.raises(ZeroDivisionError, match=r"(?s)^the true reason.*cannot be put back.*record\.2"):
        method.fit(images, 3, progress=False)


def test_an_error_of_a_view_says_where_in_the_run_it_was(images):
    with pytest.raises(
        RuntimeError, match=r"(?s)no view.*SimCLR.fit: in epoch 2, step 2 of 2, with images of shape \(32, "
    ):
        simclr(view=stop_at(7, lambda text: RuntimeError("no view"))).fit(images, 4, progress=False)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(images, tmp_path):
    seen = []
    (tmp_path / "file").write_text("a file")
    for bad, error in ((tmp_path, IsADirectoryError), (tmp_path / "file" / "run", OSError), ("", IsADirectoryError)):
        method = simclr()
        with pytest.raises(
            error, match="a checkpoint is a file, and this is a folder|no checkpoint can be written there"
        ):
            method.fit(images, 1, progress=False, checkpoint=bad, callbacks=seen.append)
        assert method.epoch == 0
    assert not seen and (tmp_path / "file").read_text() == "a file"


def test_two_runs_in_one_file(images, tmp_path):
    """The second goes on from the first; another one, with other settings, is refused and the file stays."""
    path = tmp_path / "run.safetensors"
    first = simclr().fit(images, 2, progress=False, checkpoint=path)
    second = simclr().fit(images, 4, progress=False, checkpoint=path)
    assert everything(second) == everything(trained(images, 4))
    kept = path.read_bytes()
    with pytest.raises(ValueError, match="another run. seed in the file"):
        simclr(seed=8).fit(images, 4, progress=False, checkpoint=path)
    assert path.read_bytes() == kept
    assert everything(first.fit(images, 4, progress=False, checkpoint=path)) == everything(second)  # it catches up

    def within(method):  # one that starts while the other is on its way
        simclr().fit(images, method.epoch + 1, progress=False, checkpoint=path)

    path.unlink()
    outer = simclr().fit(images, 3, progress=False, checkpoint=path, callbacks=within)
    assert everything(outer) == everything(trained(images, 3)) == everything(simclr_on(images).load(path))


# ---------------------------------------------------------------------------------------------------------- what is NaN


def test_a_loss_that_is_nan_keeps_the_last_good_state(images, tmp_path):
    def spoil(method):
        method.optimizer.lr = 1e30 if method.epoch == 2 else 1e-3

    path = tmp_path / "run.safetensors"
    method = simclr()
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError, match=r"SimCLR: .* in epoch 3, step 2 of 2.*after epoch 2 is put back.*smaller lr"
        ),
    ):
        method.fit(images, 4, progress=False, checkpoint=path, callbacks=[spoil])
    from_file = simclr_on(images).load(path)
    method.optimizer.lr = from_file.optimizer.lr = 1e-3
    assert everything(method) == everything(trained(images, 2)) == everything(from_file)


def test_parameters_that_are_nan_after_the_last_step_are_found(images):
    class Spoiled(mc.optim.SGD):
        def change(self, p, g, lr, weight_decay, velocity):
            return velocity + (
                np.nan if self.steps == 4 else 0
            )  # the last step of the second epoch: no loss follows it

    method = simclr(optimizer=Spoiled)
    with pytest.raises(FloatingPointError, match="weight has NaN or infinity in epoch 2"):
        method.fit(images, 2, progress=False)
    assert method.epoch == 1 and all(np.isfinite(p.data).all() for p in method.parameters())


# ---------------------------------------------------------------------------------------------------------- checkpoints


@pytest.fixture
def saved(images, tmp_path):
    path = tmp_path / "folder" / "run.safetensors"
    simclr().fit(images, 2, progress=False, checkpoint=path)
    return path


def test_the_file_before_is_kept_beside_it(saved, images):
    assert sorted(p.name for p in saved.parent.iterdir()) == ["run.safetensors", "run.safetensors.previous"]
    assert everything(simclr().load(saved)) == everything(trained(images, 2))
    assert everything(simclr().load(checkpoints.previous(saved))) == everything(trained(images, 1))


def test_after_damage_the_file_before_continues_the_run(saved, images):
    whole = bytearray(saved.read_bytes())
    whole[-3] ^= 16
    saved.write_bytes(whole)
    with pytest.raises(ValueError, match=r"damaged.*can be read \(epoch 1\): .*run.safetensors.previous.*rename it"):
        simclr().fit(images, 4, progress=False, checkpoint=saved)
    checkpoints.previous(saved).rename(saved)
    assert everything(simclr().fit(images, 4, progress=False, checkpoint=saved)) == everything(trained(images, 4))


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"sizes": (64, 17, 8)}, "modules"),
        ({"dropout": False}, "modules"),
        ({"temperature": 0.3}, "temperature"),
        ({"lr": 0.5}, "lr"),
        ({"batch_size": 16}, "batch_size"),
        ({"seed": 5}, "seed"),
        ({"view": views.GaussianNoise(0.1)}, "view"),
        ({"optimizer": mc.optim.SGD}, "optimizer"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changed, named, saved, images):
    method = simclr(**changed)
    before = everything(method)
    for attempt in (lambda: method.load(saved), lambda: method.fit(images, 4, progress=False, checkpoint=saved)):
        with pytest.raises(
            ValueError,
            match=f"(?s)run.safetensors is that of another run. {named} in the file.*{named} here.*same settings",
        ):
            attempt()
    assert everything(method) == before


def test_a_checkpoint_of_other_images_is_refused(saved, images):
    other = images.copy()
    other[-1, 3, 3] += 0.01
    with pytest.raises(ValueError, match="images in the file"):
        simclr().fit(other, 4, progress=False, checkpoint=saved)
    simclr().load(saved).fit(other, 3, progress=False)  # to go on with other images is no mistake where it is meant


def test_a_damaged_file_is_refused_and_changes_nothing(saved, images, rng):
    whole = saved.read_bytes()
    state = everything(simclr().load(saved))
    damaged = [whole[:n] for n in (0, 10, len(whole) // 2, len(whole) - 1)] + [b"a text", b"\0" * 1000]
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    refused = 0
    for content in damaged:
        saved.write_bytes(content)
        method = simclr()
        before = everything(method)
        try:
            method.load(saved)
        except ValueError as error:
            refused += 1
            assert "damaged" in str(error) or "another run" in str(error)
            assert everything(method) == before
        else:
            assert everything(method) == state  # a bit that carries nothing, such as a date
    assert refused > 50
    saved.write_bytes(whole)
    assert everything(simclr().load(saved)) == state


@pytest.mark.parametrize("fails", ["write", "fsync", "link", "replace"])
def test_when_writing_fails_the_old_files_are_still_there(fails, saved, images, monkeypatch):
    before = {p.name: p.read_bytes() for p in saved.parent.iterdir()}

    def full(*args, **params):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        checkpoints if fails == "write" else checkpoints.os, {"write": "_write"}.get(fails, fails), full
    )
    if fails == "link":  # there is another way; let it fail too
        monkeypatch.setattr(checkpoints.os, "fsync", full)
    method = simclr()
    with pytest.raises(OSError, match="No space"):
        method.fit(images, 4, progress=False, checkpoint=saved)
    assert {p.name: p.read_bytes() for p in saved.parent.iterdir()} == before
    assert everything(method) == everything(trained(images, 3))  # in memory nothing is lost
    monkeypatch.undo()
    assert everything(simclr().fit(images, 4, progress=False, checkpoint=saved)) == everything(trained(images, 4))
    assert everything(method.fit(images, 4, progress=False)) == everything(trained(images, 4))


def test_arrays_and_generators_that_do_not_fit_change_nothing(images, tmp_path):
    """What no setting shows: a buffer of another dtype, and another kind of generator."""

    def counting(dtype, bits=np.random.PCG64):
        method = simclr()
        method.seen = np.zeros(3, dtype)
        method.view_rng = np.random.Generator(bits(3))
        return method

    path = tmp_path / "run.safetensors"
    counting(np.float64).fit(images, 2, progress=False, checkpoint=path)
    for other, named in (
        (counting(np.float32), "module.seen"),
        (counting(np.float64, np.random.MT19937), "view_rng"),
    ):
        before = everything(other)
        for attempt in (lambda: other.load(path), lambda: other.fit(images, 4, progress=False, checkpoint=path)):
            with pytest.raises(ValueError, match=f"another run. {named} in the file"):
                attempt()
        assert everything(other) == before


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_every_generator_goes_through_json(bits, images, tmp_path):
    def make():
        method = simclr()
        method.view_rng = np.random.Generator(bits(3))
        return method

    make().fit(images, 1, progress=False, checkpoint=tmp_path / "run.safetensors")
    assert (
        everything(make().fit(images, 3, progress=False, checkpoint=tmp_path / "run.safetensors"))["notes"]
        == everything(make().fit(images, 3, progress=False))["notes"]
    )


# -------------------------------------------------------------------------------------------------------- what it gives


def test_encode_and_embed_are_in_evaluation_mode(images):
    method = trained(images, 1)
    h, z = method.encode(images), method.embed(images)
    assert h.shape == (70, 8) and z.shape == (70, 4) and h.dtype == np.float32 and type(h) is np.ndarray
    assert np.array_equal(h, method.encode(images)) and method.training
    assert_close(method.in_batches(method.encoder, images, size=9), h, 1e-6)
    with mc.no_grad():
        assert np.array_equal(method.eval()(images).data, z)
    assert np.array_equal(method.encode(images.astype(np.float64)), h)
    assert method.encode(images[:0]).shape == (0, 8)
    without = SimCLR(method.encoder, None, VIEW)
    assert np.array_equal(without.embed(images), h)


def test_history_holds_numbers_and_no_graph_stays(images):
    method = trained(images, 2)
    assert all(type(value) is float for values in method.history.values() for value in values)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(x) is mc.Tensor for x in gc.get_objects()), len(gc.get_objects())
        method.fit(images, 5, progress=False)
        after = sum(type(x) is mc.Tensor for x in gc.get_objects()), len(gc.get_objects())
    finally:
        gc.enable()
    assert after[0] == before[0] and after[1] < before[1] + 100


def test_the_bar_shows_loss_collapse_rank_and_speed(images, capsys):
    simclr().fit(images, 2)
    shown = capsys.readouterr().err
    for part in ("epoch 2/2", "loss ", "(collapse 4.143)", "rank ", "top-1 ", "image/s", "100%"):
        assert part in shown
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", shown)  # the time that has gone, and what is left
    simclr().fit(images, 1, progress=False)
    assert capsys.readouterr().err == ""


def test_training_is_the_same_in_every_library(xp, images):
    def run(f):
        method = simclr()
        method.to("cpu" if f is np.asarray else "gpu")
        return method.fit(f(images), 2, progress=False)

    expected, method = run(np.asarray), run(xp.asarray if xp is not np else np.asarray)
    assert isinstance(method.encode(xp.asarray(images)), xp.ndarray)
    assert_close(np.array(method.history["loss"]), np.array(expected.history["loss"]), 1e-4)
    assert_close(mc.to_numpy(method.encode(images)), expected.encode(images), 1e-3)


# -------------------------------------------------------------------------------------------------------- other methods


class Recording(Method):
    """Learns labels, and writes down what it was given."""

    def __init__(self, encoder, **settings):
        self.encoder, self.batches = encoder, []
        super().__init__(**settings)

    def loss(self, batch):
        self.batches.append(batch.indices)
        assert np.array_equal(batch.images, self.known[0][batch.indices]) and np.array_equal(
            batch.labels, self.known[1][batch.indices]
        )
        return mc.cross_entropy(self.encoder(batch.images), batch.labels), ()


class Known:
    """Two arrays that a Module does not take for its own."""

    def __init__(self, *pair):
        self.pair = pair

    def __getitem__(self, k):
        return self.pair[k]


def test_another_method_needs_its_loss_alone():
    images, labels = mc.data.digits("train")
    method = Recording(nn.MLP([64, 32, 10], rng=0), batch_size=100, lr=1e-2)
    method.known = Known(images, labels)
    method.fit(images, 6, labels=labels, progress=False)
    assert method.history["loss"][0] > 3 * method.history["loss"][-1]
    for k in range(6):
        epoch = np.concatenate(method.batches[13 * k : 13 * (k + 1)])
        assert len(epoch) == len(set(epoch.tolist())) == 1300  # no image twice, and no smaller batch at the end
    assert not np.array_equal(method.batches[0], method.batches[13])
    with pytest.raises(NotImplementedError, match="Recording: define loss"):
        Method.loss(method, None)


X = np.random.default_rng(0).random((40, 8, 8, 1), dtype=np.float32)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: simclr().fit(X[:31], 1), "batch_size is 32, and there are 31 images"),
        (lambda: simclr(batch_size=1).fit(X, 1), "batch_size is 1"),
        (
            lambda: simclr().fit((X * 255).astype(np.uint8), 1),
            r"floats of shape \(N, ...\), got uint8 .*Divide bytes by 255",
        ),
        (lambda: simclr().fit(X[:, 0, 0, 0], 1), r"got float32 \(40,\)"),
        (lambda: simclr().fit(X * np.nan, 1), "NaN or infinity"),
        (lambda: simclr().fit(X * 0 + 0.5, 1), "all images are equal"),
        (lambda: simclr().fit(X, 1, labels=np.zeros(39, int)), r"labels of shape \(40,\), got \(39,\)"),
        (lambda: simclr().fit(X[:, :4], 1, progress=False), "MLP: got shape"),
        (lambda: simclr(view=lambda x, rng: x).fit(X, 1, progress=False), "drawn nothing"),
    ],
)
def test_bad_data_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_copy_of_a_method_is_independent(images):
    method = trained(images, 1)
    other = copy.deepcopy(method)
    other.fit(images, 2, progress=False)
    assert method.epoch == 1 and everything(method) == everything(trained(images, 1))
    assert everything(other) == everything(trained(images, 2))


def test_the_benchmark_on_digits_runs():
    from tests.benchmarks import digits_simclr as bench

    train, test = mc.data.digits("train"), mc.data.digits("test")
    rows = [bench.one_seed(seed, train, test, epochs=1, steps=5, repeats=1) for seed in (0, 1)]
    assert bench.table(rows).count("±") == 8 * len(bench.COLUMNS)
