"""`make test-gpu` and `make bench-gpu`: what they do where there is a GPU, on a pretended one, and what they say without."""

import os
import re
import subprocess
import sys
from pathlib import Path

import fake_cupy
import numpy as np
import pytest
from conftest import REAL_CUPY

from tests.benchmarks import gpu as bench
from tests.benchmarks.speed import steps

ROOT = Path(bench.__file__).parents[2]
without_gpu = pytest.mark.skipif(REAL_CUPY, reason="there is a GPU")


@pytest.fixture
def small(monkeypatch):
    for kind, shape in {"ConvNet": (16, 12, 12, 1), "MLP": (16, 784)}.items():
        monkeypatch.setitem(steps.SHAPES, kind, shape)


def run(*arguments, **environment):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *environment.pop("path", [])])
    environment = os.environ | {"PYTHONPATH": path, "PYTEST_ADDOPTS": ""} | environment
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@without_gpu
@pytest.mark.parametrize("command", [["-m", "pytest", "--gpu"], ["-m", "tests.benchmarks.gpu"]])
def test_without_a_gpu_they_say_so_in_a_line_and_fail(command):
    """They end with 2: who asks for a test on a GPU, and has none, must not be told that it passed."""
    code, out, err = run(*command)
    assert code == 2
    assert re.fullmatch(r"(Exit: n|N)othing was (tested|measured) on a GPU\. to_device: .+\.\s*", out + err)


@without_gpu
def test_the_tests_of_an_array_library_run_on_the_gpu_and_no_others(tmp_path):
    """A pretended GPU that is taken for a real one: everything runs as it would, up to the arrays."""
    (tmp_path / "pretend.py").write_text("import fake_cupy; fake_cupy.install()")
    files = ["tests/test_optim.py", "tests/test_imports.py", "tests/test_tensor.py"]
    code, out, err = run(
        "-m", "pytest", "-p", "no:cacheprovider", "-p", "pretend", "--gpu", *files, path=[str(tmp_path)]
    )
    assert code == 0, out + err
    passed, deselected = map(int, re.search(r"(\d+) passed, (\d+) deselected", out).groups())
    assert 5 < passed < deselected
    assert f"array libraries: numpy 0 tests, fake cupy 0 tests, cupy {passed} tests" in out


def test_the_table(gpu, small, capsys):
    assert bench.main(["--rows", "32", "--seconds", "0"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.endswith(" |")]
    parts = bench.rows(32)
    assert [row[0].strip("| ") for row in rows] == [name for p, found in parts.items() for name in (p, *found)]
    for row in rows:
        if row[-1] != "residual |":
            assert float(row[1]) > 0 and float(row[2]) > 0 and 0 <= float(row[4].strip(" |")) < bench.LIMIT


def test_a_gpu_that_computes_something_else_is_found(small, capsys, monkeypatch):
    monkeypatch.setattr(bench, "residual", lambda found, expected: float(len(found) == 3))
    with fake_cupy.installed():
        assert bench.main(["--rows", "32", "--seconds", "0"]) == 1
    assert "differ by more than 0.001 in: multiply, matmul, NT-Xent" in capsys.readouterr().err


def test_torch_does_the_same(small):
    torch = pytest.importorskip("torch")
    compared = []
    for part, found in bench.rows(32).items():
        for name, (ours, theirs) in found.items():
            if theirs and not part.startswith("layers"):  # which have other weights
                expected, value = ours("cpu")()[0], theirs(torch, "cpu")()[0].numpy()
                np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4, err_msg=name)
                compared.append(name)
    assert len(compared) == 10
