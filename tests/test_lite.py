"""The lessons in the browser: the site has all of them and a wheel for its kernel, minicl needs nothing that Pyodide lacks,
and it does without threads. Pyodide itself comes from the network, so no cell is run here in a browser.
"""

import ast
import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

from docs import lite

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("jupyterlite_pyodide_kernel", reason="needs jupyterlite (extra: test)")
    folder = tmp_path_factory.mktemp("lite")
    return lite.build(folder / "site", folder / "parts")


# ------------------------------------------------------------------------------------------------------- what it has


def test_the_wheel_is_python_alone_and_has_every_file_of_the_package(site):
    (path,) = (site / "pypi").glob("*.whl")
    assert path.name == f"minicl-{PROJECT['version']}-py3-none-any.whl"
    tracked = {str(p.relative_to(ROOT)) for p in (ROOT / "minicl").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    with zipfile.ZipFile(path) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        about = file.read(next(n for n in file.namelist() if n.endswith("/WHEEL"))).decode()
    assert "Root-Is-Purelib: true" in about
    assert names == tracked and not any(name.endswith((".so", ".pyd", ".dylib")) for name in names)


def test_the_kernel_finds_this_wheel_and_asks_no_registry(site):
    settings = json.loads((site / "jupyter-lite.json").read_text())["jupyter-config-data"]["litePluginSettings"]
    kernel = settings["@jupyterlite/pyodide-kernel-extension:kernel"]
    assert kernel["disablePyPIFallback"] is True
    assert kernel["pipliteUrls"][0].startswith("./pypi/all.json?sha256=")
    index = json.loads((site / "pypi" / "all.json").read_text())
    (entry,) = index["minicl"]["releases"][PROJECT["version"]]
    data = (site / "pypi" / entry["filename"]).read_bytes()
    assert entry["digests"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_every_lesson_is_there_and_first_loads_minicl(site):
    assert {path.name for path in (site / "files").glob("*.ipynb")} == {path.name for path in LESSONS}
    for path in LESSONS:
        there = nbformat.read(site / "files" / path.name, as_version=4)
        nbformat.validate(there)
        assert there.cells[0].source == lite.FIRST
        assert there.cells[1:] == nbformat.read(path, as_version=4).cells
    stored = {path.name for path in (ROOT / "notebooks" / "data").iterdir()}
    assert {path.name for path in (site / "files" / "data").iterdir()} == stored


# ----------------------------------------------------------------------------------------------------- what it needs


def test_pyodide_has_what_minicl_needs():
    from jupyterlite_pyodide_kernel import constants

    major = constants.PYODIDE_VERSION.split(".")[0]
    assert major == "314", "another Pyodide: look up its packages, and mend docs/lite.py"
    for needed in map(Requirement, PROJECT["dependencies"]):
        assert needed.specifier.contains(lite.PYODIDE[needed.name]), f"Pyodide has no {needed}"
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(lite.PYODIDE["python"])


IMPORTED = {"sklearn": "scikit-learn", "IPython": "ipython"}


def test_notebooks_import_nothing_else():
    known = {"minicl", *sys.stdlib_module_names, *lite.PYODIDE}
    for path in LESSONS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code":
                continue
            for node in ast.walk(ast.parse(cell.source)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) else []
                for name in (name.split(".")[0] for name in names):
                    assert IMPORTED.get(name, name) in known, f"{path.name} imports {name}, which Pyodide lacks"


# As in the browser: no thread can be started, and what is installed beside minicl is what Pyodide has.
BROWSER = """
import importlib.abc, importlib.metadata, sys, threading, warnings
lacking = set(sys.argv[1].split())
class Lacking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in lacking:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking())
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
warnings.filterwarnings("ignore", "(?s).*disabling monitor", module="minicl")  # tqdm's, once
import matplotlib
matplotlib.use("agg")
"""
# What this Python may have and Pyodide lacks.
LACKING = "mpi4py nbformat nbclient nbconvert jupyter_client jupytext ipywidgets torch jax cupy zmq"
USES = """
import threading
import numpy as np
import minicl as mc
images, labels = mc.data.digits("train")
view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
method = mc.train.SimCLR(mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1), view)
print(method.fit(images[:300], epochs=1).history["loss"])
net, x = mc.nn.ConvNet(rng=0), np.random.default_rng(0).normal(size=(70, 12, 12, 1)).astype(np.float32)
print(mc.grad(mc.sum(net(mc.tensor(x)) ** 2), list(net.parameters()))[0].tobytes().hex())
for factor in (0, 1):
    report = mc.course.check("mul_vjp", lambda g, a, b: (g * (b if factor else a), g * (a if factor else b)))
    print(report.passed, [d.name for d in report.diagnosis])
print(mc.verify.compare("nt_xent", np.eye(4), np.eye(4)[::-1], torch=False).verdict)
print(mc.derivations.ALL["cosine"].check().summary())
print(len(mc.viz.circle_forces().html()))
"""


def printed_by(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, done.stderr


def test_without_threads_and_what_pyodide_lacks_all_is_as_elsewhere():
    here, _ = printed_by(USES + "assert mc.conv.in_parallel(lambda _: threading.active_count(), [1, 2]) != [1, 1]")
    there, noise = printed_by(BROWSER + USES + "assert threading.active_count() == 1", LACKING)
    assert there == here and "True []" in there and "own-factor" in there
    assert "Warning" not in noise


def test_the_first_cell_of_each_lesson_runs_there():
    first = [next(c.source for c in nbformat.read(p, as_version=4).cells if c.cell_type == "code") for p in LESSONS]
    assert all("import minicl as mc" in cell for cell in first)
    printed_by(BROWSER + "".join(f"exec({cell!r}, {{}})\n" for cell in first), LACKING)


# ---------------------------------------------------------------------------------------------------------- the page


class Chromium:
    """A headless browser that is watched: what its console says, and what it asks for."""

    def __init__(self, program, profile):
        import websocket

        options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking".split()
        options += ["--disable-component-update", "--disable-sync", "--remote-debugging-port=0"]
        options += ["--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = profile / "DevToolsActivePort"
        wait_for(lambda: port.exists() and "\n" in port.read_text(), "Chromium did not start")
        address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json/list"
        with urllib.request.urlopen(address) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=120)
        self.count, self.said, self.asked = 0, [], []
        for domain in ("Runtime", "Log", "Network", "Page"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        """Sends a command, takes down what happens until it is answered, and returns the answer."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                return message["result"]
            event, about = message.get("method"), message.get("params", {})
            if event == "Network.requestWillBeSent":
                self.asked.append(about["request"]["url"])
            elif event == "Runtime.exceptionThrown":
                self.said.append(json.dumps(about["exceptionDetails"]))
            elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
                self.said.append(json.dumps(about["args"]))
            elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
                self.said.append(f"{about['entry']['text']} {about['entry'].get('url')}")

    def value(self, code):
        return self("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)


def wait_for(condition, complaint, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, complaint
        time.sleep(0.2)
    return found


@pytest.fixture
def address(site):
    """The site behind a web server on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_page_opens_with_no_error_and_asks_for_nothing_outside(address, tmp_path):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here")
    page = Chromium(program, tmp_path)
    try:
        page("Page.navigate", url=f"{address}/lab/index.html")
        names = "[...document.querySelectorAll('.jp-DirListing-itemText')].map((e) => e.textContent.trim())"
        there = wait_for(
            lambda: (found := page.value(names)) and len(found) > len(LESSONS) and found, "no list of files"
        )
        assert set(there) == {"data", *(path.name for path in LESSONS)}
        outside = [url for url in page.asked if not url.startswith((address, "data:", "blob:"))]
        said = [text for text in page.said if not text.endswith("/favicon.ico")]  # of the server, not of the site
        assert not outside and not said

        page("Page.navigate", url=f"{address}/lab/index.html?path=08_temperature.ipynb")
        title = "document.querySelector('.jp-Notebook h1')?.textContent"
        wait_for(lambda: "Temperature" in (page.value(title) or ""), "the notebook does not open")
        # Now its kernel starts, which is not in the folder.
        assert all("/pyodide/v" in text or text.endswith("/favicon.ico") for text in page.said)
    finally:
        page.close()
