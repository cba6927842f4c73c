"""Checkpoints: what is read is what was written, or an error; and whenever a run is killed, it goes on bit for bit."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from minicl.train import checkpoints

ROOT = Path(__file__).resolve().parent.parent
NOTES = {"epoch": 3, "history": {"loss": [0.1 + 0.2, 1e-300, 3.0]}, "text": "τ → ∞", "large": 2**127 + 1}


def arrays(rng):
    return {
        "matrix": rng.standard_normal((5, 3)),
        "small": rng.standard_normal(7).astype(np.float32),
        "half": rng.standard_normal((2, 3, 5)).astype(np.float16),
        "count": np.array(12),
        "bytes": rng.integers(0, 255, (3, 4)).astype(np.uint8),
        "mask": rng.random(11) < 0.5,
        "none": np.zeros((0, 3), np.float32),
        "queue.rows": np.arange(12)[::3],
        "transposed": rng.standard_normal((4, 6)).T,
        "backwards": rng.standard_normal(9)[::-1],
        "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    }


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, a in expected.items():
        assert found[name].dtype == a.dtype and found[name].shape == a.shape, name
        assert found[name].tobytes() == a.tobytes(), name
        assert found[name].flags.writeable and found[name].flags.c_contiguous


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "run.safetensors"


def test_what_is_read_is_what_was_written(path, rng):
    given = arrays(rng)
    checkpoints.save(path, given, NOTES)
    found, notes = checkpoints.load(path)
    assert_same(found, given)
    assert notes == NOTES
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    checkpoints.save(str(path), {}, {})
    assert checkpoints.load(str(path)) == ({}, {})


def test_equal_states_give_equal_files(path, rng):
    given = arrays(rng)
    checkpoints.save(path, given, NOTES)
    first = path.read_bytes()
    code = (
        "import sys; sys.path[:0] = ['tests']; import numpy as np, test_checkpoints as t\n"
        f"t.checkpoints.save({str(path)!r}, dict(reversed(t.arrays(np.random.default_rng(5)).items())), t.NOTES)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # another process, another hash seed
    assert path.read_bytes() == first == checkpoints.previous(path).read_bytes()


def test_the_file_is_one_that_safetensors_reads(path, rng):
    """No pickle, and no format of our own: the arrays are there for any reader."""
    safetensors = pytest.importorskip("safetensors")
    given = arrays(rng)
    checkpoints.save(path, given, NOTES)
    with safetensors.safe_open(path, framework="np") as file:
        assert np.array_equal(file.get_tensor("matrix"), given["matrix"])
        header = json.loads(file.metadata()["minicl"])
    assert header["format"] == checkpoints.FORMAT and json.loads(header["notes"]) == NOTES
    assert len(header["sha256"]) == 64


def test_every_flipped_bit_is_found(path, rng):
    given = {"a": rng.standard_normal(2).astype(np.float32), "b": np.arange(1)}
    checkpoints.save(path, given, {"epoch": 1})
    whole = path.read_bytes()
    for k in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[k // 8] ^= 1 << k % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="damaged|no checkpoint|format is"):
            checkpoints.load(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged|no checkpoint"):
            checkpoints.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        checkpoints.load(path)


@pytest.mark.parametrize("change", ["value", "shape", "dtype", "name", "missing", "more", "notes"])
def test_a_change_that_keeps_the_format_valid_is_found(change, path, rng):
    """As by another program, which knows nothing of the checksum."""
    numpy = pytest.importorskip("safetensors.numpy")
    given = {"a": rng.standard_normal((2, 3)), "b": np.arange(4)}
    checkpoints.save(path, given, NOTES)
    content = path.read_bytes()
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    if change == "value":
        given["a"][1, 2] = np.nextafter(given["a"][1, 2], 9)
    elif change == "shape":
        given["a"] = given["a"].reshape(3, 2)
    elif change == "dtype":
        given["b"] = given["b"].view(np.float64)
    elif change == "name":
        given["c"] = given.pop("b")
    elif change == "missing":
        del given["b"]
    elif change == "more":
        given["c"] = np.zeros(0)
    else:
        header = json.loads(metadata["minicl"])
        metadata["minicl"] = json.dumps({**header, "notes": header["notes"].replace("3", "4", 1)})
    path.write_bytes(numpy.save(given, metadata))
    with pytest.raises(ValueError, match="damaged: its content does not have the checksum"):
        checkpoints.load(path)


def test_foreign_files_are_refused(path, rng):
    numpy = pytest.importorskip("safetensors.numpy")
    path.parent.mkdir()
    others = {
        b"": "damaged, or no checkpoint",
        b"a text": "damaged, or no checkpoint",
        b"\0" * 1000: "damaged, or no checkpoint",
        b"\xff" * 1000: "damaged, or no checkpoint",
        b"PK\x03\x04" + bytes(rng.integers(0, 255, 500, dtype=np.uint8)): "damaged, or no checkpoint",
        numpy.save({"weight": np.ones(3)}): "no checkpoint of minicl",
        numpy.save({"weight": np.ones(3)}, {"format": "pt"}): "no checkpoint of minicl",
        numpy.save({}, {"minicl": "no json"}): "no checkpoint of minicl",
        numpy.save({}, {"minicl": "[1]"}): "no checkpoint of minicl",
        numpy.save({}, {"minicl": json.dumps({"format": "minicl checkpoint 9", "sha256": "", "notes": ""})}): (
            "format is 'minicl checkpoint 9'; this version reads 'minicl checkpoint 2'"
        ),
    }
    for content, message in others.items():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            checkpoints.load(path)
    with pytest.raises(FileNotFoundError):
        checkpoints.load(path.with_name("none"))
    with pytest.raises(OSError):
        checkpoints.load(path.parent)


def test_the_previous_file_is_named_if_it_can_be_read(path):
    for epoch in (1, 2, 3):
        checkpoints.save(path, {"x": np.full(2, epoch)}, {"epoch": epoch})
    older = checkpoints.previous(path)
    assert checkpoints.load(older)[1] == {"epoch": 2}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"damaged.*The one before it can be read \(epoch 2\): .*\.previous"):
        checkpoints.load(path)
    checkpoints.save(path, {"x": np.full(2, 4)}, {"epoch": 4})  # the damaged file does not become the previous one
    assert checkpoints.load(path)[1] == {"epoch": 4} and checkpoints.load(older)[1] == {"epoch": 2}
    path.write_bytes(b"")
    older.write_bytes(b"")
    with pytest.raises(ValueError) as found:
        checkpoints.load(path)
    assert "before it" not in str(found.value)


def test_what_cannot_be_written_is_refused_before_anything_is(path):
    checkpoints.save(path, {"x": np.ones(2)}, {"epoch": 1})
    for given, notes in (({"x": np.array(["a"])}, {}), ({"x": np.array([None])}, {}), ({}, {"f": len}), ({}, {1j: 2})):
        with pytest.raises(TypeError):
            checkpoints.save(path, given, notes)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_without_second_names_the_previous_file_is_a_copy(path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(checkpoints.os, "link", refuse)
    for epoch in (1, 2):
        checkpoints.save(path, {"x": np.full(2, epoch)}, {"epoch": epoch})
    assert checkpoints.load(path)[1] == {"epoch": 2}
    assert checkpoints.load(checkpoints.previous(path))[1] == {"epoch": 1}


def test_what_a_killed_process_left_is_no_hindrance(path):
    checkpoints.save(path, {}, {"epoch": 1})
    for rest in (".tmp", ".previous.tmp"):
        path.with_name(path.name + rest).write_bytes(b"half a file")
    checkpoints.save(path, {}, {"epoch": 2})
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".previous"]
    assert checkpoints.load(checkpoints.previous(path))[1] == {"epoch": 1}


# ------------------------------------------------------------------------------------------------------------ disk full

FULL = """
    import resource, sys
    import numpy as np
    from minicl.train import checkpoints

    path, limit = sys.argv[1], int(sys.argv[2])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        checkpoints.save(path, {"x": np.zeros(200_000)}, {"epoch": 2})
    except OSError as error:
        print(error.errno)
"""


def save_large(path, limit=0):
    code = textwrap.dedent(FULL)
    done = subprocess.run([sys.executable, "-c", code, str(path), str(limit)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout or 0)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files")
def test_a_file_that_may_not_grow_loses_nothing(path):
    checkpoints.save(path, {"x": np.ones(3)}, {"epoch": 1})
    assert save_large(path, limit=100_000) == errno.EFBIG
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert checkpoints.load(path)[1] == {"epoch": 1}


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root may mount a small disk"
)
def test_a_full_disk_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        path = disk / "run.safetensors"
        for epoch in (0, 1):
            checkpoints.save(path, {"x": np.ones(3)}, {"epoch": epoch})
        assert save_large(path) == errno.ENOSPC
        assert sorted(p.name for p in disk.iterdir()) == [path.name, path.name + ".previous"]
        assert checkpoints.load(path)[1] == {"epoch": 1}
        assert checkpoints.load(checkpoints.previous(path))[1] == {"epoch": 0}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --------------------------------------------------------------------------------------------------------------- killed

# For each line on its input this process makes a copy of itself, which trains and saves: so libraries are loaded once.
# Before and after each step and each system call of a save stands an event. After the one whose number is given, the
# copy says who it is and goes on for at most twelve more, so that it is killed anywhere, and yet never ends.
RUN = """
    import os, signal, sys
    import minicl as mc
    from minicl.data import views

    images, epochs = mc.data.digits("train").images[:192], int(sys.argv[1])

    def train(path, last):
        events = 0

        def event():
            nonlocal events
            events += 1
            if events == last:
                os.write(1, b"%d\\n" % os.getpid())
            if events == last + 12:
                signal.pause()

        def watched(f):
            def g(*args, **params):
                event()
                result = f(*args, **params)
                event()
                return result
            return g

        for name in ("fsync", "link", "replace"):
            setattr(os, name, watched(getattr(os, name)))
        encoder = mc.nn.Sequential(mc.nn.MLP([64, 32, 16], rng=0), mc.nn.Dropout(0.1, rng=7))
        view = views.Compose([views.RandomAffine(15, 1, (0.8, 1.2)), views.GaussianNoise(0.1)])

        def optimizer(parameters, lr):
            return mc.optim.AdamW(mc.optim.no_decay(parameters), lr, weight_decay=0.1, clip_norm=1.0)

        head = mc.nn.ProjectionHead(16, 16, 8, rng=1)
        method = mc.train.SimCLR(encoder, head, view, batch_size=48, lr=0.01, seed=3, optimizer=optimizer)
        method.step = watched(method.step)
        schedule = mc.optim.Warmup(8).then(mc.optim.Cosine(4 * epochs))
        method.fit(images, epochs, progress=False, checkpoint=path, schedule=schedule)
        return events

    for line in sys.stdin:
        path, last = line.rsplit(" ", 1)
        child = os.fork()
        if not child:
            os.write(1, b"%d\\n" % train(path, int(last)))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, b"%d\\n" % status)
"""
EPOCHS, KILLS = 45, 20


class Runs:
    """The process that trains: a number of the event to be killed after, or none."""

    def __enter__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-c", textwrap.dedent(RUN), str(EPOCHS)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, bufsize=1, **pipes)
        return self

    def run(self, path, last=-100):
        self.process.stdin.write(f"{path} {last}\n")
        return int(self.process.stdout.readline())

    def status(self):
        return int(self.process.stdout.readline())

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be copied and killed like this here")
def test_a_run_killed_at_twenty_moments_ends_as_the_unbroken_one(tmp_path):
    whole, again, path = (tmp_path / f"{name}.safetensors" for name in ("whole", "again", "run"))
    rng, reached = np.random.default_rng(11), []
    with Runs() as runs:
        events = runs.run(whole)
        assert runs.status() == 0
        for _ in range(KILLS):
            # An epoch has at least 16 events (four steps, and a save), and a life at most 36: so 20 lives cannot end it.
            pid = runs.run(path, int(rng.integers(1, 25)))
            time.sleep(rng.random() * 0.01)
            os.kill(pid, signal.SIGKILL)
            assert runs.status() == -signal.SIGKILL
            reached.append(checkpoints.load(path)[1]["epoch"] if path.exists() else 0)
        assert events >= 16 * EPOCHS and reached == sorted(reached)
        assert 5 < len(set(reached)) and reached[-1] < EPOCHS
        runs.run(path)
        assert runs.status() == 0
    with Runs() as runs:  # the same seed in another process
        runs.run(again)
        assert runs.status() == 0
    assert path.read_bytes() == whole.read_bytes() == again.read_bytes()
