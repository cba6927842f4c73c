"""The array libraries that the tests run under, and the summary that says which of them and which oracles were there."""

import importlib.metadata
import importlib.util
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: the arrays are small, and threads only get in the way

import fake_cupy
import numpy as np
import pytest

from minicl.arrays import gpu_library


def gpu_is_there():
    """A successful import says nothing: the wheel imports well without a GPU."""
    if importlib.util.find_spec("cupy") is None:
        return False
    return importlib.import_module("cupy").is_available()


REAL_CUPY = gpu_is_there()
LIBRARIES = ["numpy", "fake cupy", *(["cupy"] if REAL_CUPY else [])]
ORACLES = ["torch", "autograd", "scipy", "hypothesis"]


def pytest_addoption(parser):
    parser.addoption("--gpu", action="store_true", help="only the tests under real CuPy; 2 if there is no GPU")


def pytest_configure(config):
    if config.getoption("--gpu") and not REAL_CUPY:
        try:
            gpu_library()
        except RuntimeError as error:
            pytest.exit(f"nothing was tested on a GPU. {error}", returncode=2)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--gpu"):
        params = [getattr(item, "callspec", None) and item.callspec.params for item in items]
        chosen = [bool(p) and "cupy" in (str(p.get("xp")), str(p.get("gpu"))) for p in params]
        config.hook.pytest_deselected(items=[item for item, keep in zip(items, chosen) if not keep])
        items[:] = [item for item, keep in zip(items, chosen) if keep]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def library(request):
    request.node.user_properties.append(("library", request.param))
    if request.param == "numpy":
        yield np
    elif request.param == "fake cupy":
        with fake_cupy.installed() as cupy:
            yield cupy
    else:
        yield importlib.import_module("cupy")


@pytest.fixture(params=LIBRARIES)
def xp(request):
    """An array library: arrays made by `xp.asarray` send the whole computation there."""
    yield from library(request)


@pytest.fixture(params=LIBRARIES[1:])
def gpu(request):
    """A library of the other device."""
    yield from library(request)


def pytest_terminal_summary(terminalreporter):
    ran = [dict(report.user_properties).get("library") for report in terminalreporter.stats.get("passed", [])]
    counts = [f"{name} {ran.count(name)} tests" for name in LIBRARIES]
    absent = [] if REAL_CUPY else ["cupy did not run (no GPU)"]
    terminalreporter.write_line("array libraries: " + ", ".join(counts + absent))
    found = {name: importlib.util.find_spec(name) for name in ORACLES}
    versions = [f"{n} {importlib.metadata.version(n)}" if spec else f"{n} is missing" for n, spec in found.items()]
    terminalreporter.write_line("oracles: " + ", ".join(versions))
