"""The Fashion-MNIST benchmark in small: it runs, it goes on where it was, and it never tunes on the test images."""

import json

import numpy as np
import pytest

from tests.benchmarks import fashion_mnist as benchmark

SMALL = ["--sample", "--quick", "--no-progress"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fashion")


def test_it_runs_and_prints_one_table(folder, capsys):
    known = benchmark.main([*SMALL, "--folder", str(folder)])
    printed = capsys.readouterr().out
    for name in ("raw pixels", "untrained encoder", "SimCLR", "labels alone"):
        assert name in printed
        assert all(
            0 <= known[f"{name}|10|{draw}"]["value"][0] <= 1 for draw in range(2 if name != "labels alone" else 1)
        )
    (path,) = folder.glob("results-*.json")
    assert json.loads(path.read_text()) == known


def test_a_second_run_computes_nothing_again(folder, capsys, monkeypatch):
    benchmark.main([*SMALL, "--folder", str(folder)])
    first = capsys.readouterr().out
    for name in ("probe", "labels_alone"):
        monkeypatch.setattr(benchmark, name, None)  # calling it would raise
    benchmark.main([*SMALL, "--folder", str(folder)])
    assert capsys.readouterr().out == first


def test_the_probe_chooses_its_strength_without_the_test_rows(rng):
    """Other test labels give the same choice."""
    y = np.repeat(np.arange(3), 10)
    x = rng.standard_normal((30, 20)) + 2 * np.eye(3, 20)[y]
    chosen = {benchmark.probe(x, y, x, rng.permutation(y))[1] for _ in range(3)}
    assert len(chosen) == 1
