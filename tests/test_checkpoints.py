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
LINUX = sys.platform.startswith("linux")
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


@pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="only root may mount a small disk")
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


STAGES = ["mkdir", "create", "write", "fsync", "link", "replace"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("partly", [0.0, 0.5, 1.0])
def test_a_disk_that_is_full_at_any_stage_loses_nothing(partly, links, path, monkeypatch):
    """The k-th call of any kind fails, for each k; what a failing write wrote before (a part, or all of it) stays."""
    calls, fails = [], None

    def stage(what):
        calls.append(what)
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, "No space left on device")

    class File:
        def __init__(self, path, mode):
            stage("create")
            self.file = open(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            self.file.write(content[: int(partly * len(content))])
            stage("write")
            self.file.write(content[int(partly * len(content)) :])

        flush = lambda self: self.file.flush()
        fileno = lambda self: self.file.fileno()

    def staged(what, f):
        def g(*args, **params):
            stage(what)
            return f(*args, **params)

        return g

    monkeypatch.setattr(checkpoints, "open", File, raising=False)
    monkeypatch.setattr(checkpoints.pathlib.Path, "mkdir", staged("mkdir", Path.mkdir))
    refuse = lambda *args: (_ for _ in ()).throw(OSError(errno.EPERM, "no second names"))
    monkeypatch.setattr(checkpoints.os, "link", staged("link", os.link if links else refuse))
    for name in ("fsync", "replace"):
        monkeypatch.setattr(checkpoints.os, name, staged(name, getattr(os, name)))

    for epoch in (1, 2, 3):
        calls.clear()
        checkpoints.save(path, {"x": np.full(50, epoch)}, {"epoch": epoch})
    assert set(calls) == set(STAGES)
    epoch = 3
    for k in range(1, len(calls) + 1):
        calls.clear()
        fails, epoch = k, epoch + 1
        kept = checkpoints.load(path), checkpoints.load(checkpoints.previous(path))
        try:
            checkpoints.save(path, {"x": np.full(50, epoch)}, {"epoch": epoch})
        except OSError as error:
            assert error.errno == errno.ENOSPC
            found = checkpoints.load(path)[1]["epoch"], checkpoints.load(checkpoints.previous(path))[1]["epoch"]
            old = kept[0][1]["epoch"], kept[1][1]["epoch"]
            # The new one is there only where all that failed was to force the names to the disk.
            assert found in (old, (old[0], old[0]), (epoch, old[0])), calls[-1]
        else:
            assert calls[k - 1] == "link"  # a copy took its place
        assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".previous"]
        fails = None
        checkpoints.save(path, {"x": np.full(50, epoch)}, {"epoch": epoch})  # there is room again
        assert checkpoints.load(path)[1]["epoch"] == epoch


def test_a_place_that_cannot_be_written_to_is_refused_at_once(path):
    with pytest.raises(IsADirectoryError, match="a checkpoint is a file, and this is a folder; name a file within it"):
        checkpoints.prepare(ROOT)
    checkpoints.save(path, {}, {"epoch": 1})
    checkpoints.prepare(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name] and checkpoints.load(path)[1] == {"epoch": 1}
    for bad in (path / "below a file", path.with_name("x" * 300), *([Path("/proc/none/run")] if LINUX else [])):
        with pytest.raises(OSError, match="no checkpoint can be written there .*name a file in a folder of yours"):
            checkpoints.prepare(bad)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_refused_at_once(path):
    path.parent.mkdir()
    path.parent.chmod(0o500)
    with pytest.raises(PermissionError, match="no checkpoint can be written there .*Permission denied"):
        checkpoints.prepare(path)


WRITER = """
    import sys
    import numpy as np
    from minicl.train import checkpoints

    path, mark, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for k in range(times):
        checkpoints.save(path, {"x": np.full(2000 * mark, mark)}, {"epoch": mark})
"""


def test_two_runs_that_write_one_file_leave_it_whole(path):
    """Of other lengths, so that a mixture would be no checkpoint; read all the time."""
    checkpoints.save(path, {}, {"epoch": 0})
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    writers = [subprocess.Popen([*command, str(mark), "60"], cwd=ROOT) for mark in (1, 2, 3)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        found, notes = checkpoints.load(path)
        assert notes["epoch"] == 0 or found["x"].tolist() == [notes["epoch"]] * 2000 * notes["epoch"]
        seen.add(notes["epoch"])
        time.sleep(0.002)
    assert [writer.returncode for writer in writers] == [0, 0, 0] and seen >= {1, 2, 3}
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".previous"]
    assert checkpoints.load(checkpoints.previous(path))[1]["epoch"] in (1, 2, 3)


# --------------------------------------------------------------------------------------------------------------- killed

# For each line on its input this process makes a copy of itself, which trains and saves: so libraries are loaded once.
# Before and after each step and each system call of a save stands an event. After the one whose number is given, the
# copy says who it is and goes on for at most twelve more, so that it is killed anywhere, and yet never ends.
RUN = """
    import os, signal, sys
    import minicl as mc
    from minicl import nn, optim
    from minicl.data import views
    from minicl.train import (
        FineTune, LargeBatch, MemoryBank, MoCo, MultiCrop, MultiView, SimCLR, SupCon, Word2Vec,
    )

    (images, labels), epochs = mc.data.digits("train"), int(sys.argv[1])
    images, labels = images[:96], labels[:96]
    view = views.Compose([views.RandomAffine(15, 1, (0.8, 1.2)), views.GaussianNoise(0.1)])
    schedule = optim.Warmup(8).then(optim.Cosine(4 * epochs))
    words = mc.data.tokenize(mc.data.text()[:2000])[:150]

    def adamw(parameters, lr):
        return optim.AdamW(optim.no_decay(parameters), lr, weight_decay=0.1, clip_norm=1.0)

    def sgd(parameters, lr):
        return optim.SGD(parameters, lr, momentum=0.9, nesterov=True)

    def make(name):
        encoder = nn.Sequential(nn.MLP([64, 32, 16], rng=0), nn.Dropout(0.1, rng=7))
        if name == "MoCo":
            encoder = nn.Sequential(encoder, nn.BatchNorm1d(16))
        head = nn.ProjectionHead(16, 16, 8, rng=1)
        common = {"batch_size": 24, "lr": 0.01, "seed": 3}
        return {
            "SimCLR": lambda: SimCLR(encoder, head, view, optimizer=adamw, **common),
            "MoCo": lambda: MoCo(encoder, head, view, 8, 100, 0.9, groups=3, optimizer=sgd, **common),
            "MemoryBank": lambda: MemoryBank(encoder, head, view, 96, 8, 30, 0.5, 0.1, optimizer=optim.LARS, **common),
            "LargeBatch": lambda: LargeBatch(encoder, head, view, 20, **common),
            "MultiView": lambda: MultiView(encoder, head, view, 3, optimizer=adamw, **common),
            "MultiCrop": lambda: MultiCrop(encoder, head, 2, view=view, **common),
            "SupCon": lambda: SupCon(encoder, head, view, optimizer=sgd, **common),
            "FineTune": lambda: FineTune(encoder, 16, 10, 0.5, 0.5, view, **common),
            "Word2Vec": lambda: Word2Vec(mc.data.Vocabulary(words), 8, 3, epochs=epochs, subsample=0.1, batch_size=60),
        }[name]()

    def train(name, path, last):
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

        for call in ("fsync", "link", "replace"):
            setattr(os, call, watched(getattr(os, call)))
        method = make(name)
        method.step = watched(method.step)
        common = {"progress": False, "checkpoint": path}
        if name == "Word2Vec":
            method.fit(words, **common)
        else:
            method.fit(images, epochs, labels=labels, schedule=schedule, **common)
        return events

    for line in sys.stdin:
        name, path, last = line.split(" ")
        child = os.fork()
        if not child:
            os.write(1, b"%d\\n" % train(name, path, int(last)))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, b"%d\\n" % status)
"""
EPOCHS, KILLS = 45, 20
METHODS = ["SimCLR", "MoCo", "MemoryBank", "LargeBatch", "MultiView", "MultiCrop", "SupCon", "FineTune", "Word2Vec"]


class Runs:
    """The process that trains: a method, and the number of the event to be killed after, or none."""

    def __init__(self, hash_seed):
        self.hash_seed = hash_seed

    def __enter__(self):
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": self.hash_seed}
        command = [sys.executable, "-c", textwrap.dedent(RUN), str(EPOCHS)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | one, text=True, bufsize=1, **pipes)
        return self

    def run(self, name, path, last=-100):
        self.process.stdin.write(f"{name} {path} {last}\n")
        return int(self.process.stdout.readline())

    def status(self):
        return int(self.process.stdout.readline())

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def two_processes():
    """Two, in which sets and dicts of texts have other orders of their hashes."""
    with Runs("1") as one, Runs("2") as other:
        yield one, other


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be copied and killed like this here")
@pytest.mark.parametrize("name", METHODS)
def test_a_run_killed_at_twenty_moments_ends_as_the_unbroken_one(name, two_processes, tmp_path):
    """Bit for bit: parameters, optimiser, queue or bank, generators and history. And so does one of another process."""
    whole, again, path = (tmp_path / f"{part}.safetensors" for part in ("whole", "again", "run"))
    rng, reached = np.random.default_rng(11 + METHODS.index(name)), []
    one, other = two_processes
    events = one.run(name, whole)
    assert one.status() == 0
    for _ in range(KILLS):
        # An epoch has at least 16 events (four steps, and a save), and a life at most 36: so 20 lives cannot end it.
        pid = one.run(name, path, int(rng.integers(1, 25)))
        time.sleep(rng.random() * 0.01)
        os.kill(pid, signal.SIGKILL)
        assert one.status() == -signal.SIGKILL
        reached.append(checkpoints.load(path)[1]["epoch"] if path.exists() else 0)
    assert events >= 16 * EPOCHS and reached == sorted(reached)
    assert 5 < len(set(reached)) and reached[-1] < EPOCHS
    one.run(name, path)
    assert one.status() == 0
    other.run(name, again)
    assert other.status() == 0
    assert path.read_bytes() == whole.read_bytes() == again.read_bytes()
    assert len(checkpoints.load(whole)[1]["history"]["loss"]) == EPOCHS
