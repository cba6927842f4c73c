"""The Fashion-MNIST benchmark in small: it runs, it goes on where it was, and it never tunes on the test images."""

import json

import numpy as np
import pytest

import minicl as mc
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


def small_simclr(seed):
    encoder, head = mc.nn.MLP([784, 8], rng=[seed, 0]), mc.nn.ProjectionHead(8, 8, 4, rng=[seed, 1])
    return mc.train.SimCLR(encoder, head, mc.data.views.GaussianNoise(0.05), batch_size=256, seed=seed)


def test_the_sample_has_fewer_labels_a_class_and_runs_to_the_end(tmp_path, capsys, monkeypatch):
    """What takes long is left out; a second run goes on from its files, without a step of training."""
    asked = []
    monkeypatch.setattr(benchmark, "simclr", small_simclr)
    monkeypatch.setattr(benchmark, "probe", lambda x, y, test_x, test_y: (0.5, 1.0))
    monkeypatch.setattr(benchmark, "labels_alone", lambda x, *rest: (asked.append((len(x), rest[3])), 0.5)[1])
    arguments = ["--sample", "--epochs", "1", "--no-progress", "--folder", str(tmp_path)]
    known = benchmark.main(arguments)
    assert asked == [(100, 200)] * 3 + [(1000, 100)] * 3
    assert {key.split("|")[1] for key in known if "|" in key} == {"10", "100", "kNN"}
    first = capsys.readouterr().out
    assert "kNN of 2,000" in first and "1,000 images" in first
    monkeypatch.setattr(mc.train.SimCLR, "step", None)  # calling it would raise
    for name in ("probe", "labels_alone"):
        monkeypatch.setattr(benchmark, name, None)
    (tmp_path / "results-seed0-epochs1-images2000-sample-test1000.json").write_text(
        json.dumps({key: value for key, value in known.items() if key != "training"})
    )
    again = benchmark.main(arguments)
    assert capsys.readouterr().out == first
    assert known["training"]["value"]["seconds"] > 0 and again["training"]["value"]["seconds"] is None


def test_a_file_belongs_to_one_run():
    """The full run keeps its name; whatever else numbers depend on has a part of its own."""
    assert benchmark.run_name(0, 4, 60_000, 10_000) == "seed0-epochs4-images60000"
    runs = [(0, 4, 60_000, 10_000), (1, 4, 60_000, 10_000), (0, 1, 512, 10_000), (0, 1, 512, 200, False, True)]
    runs += [(0, 1, 512, 200, True, True), (0, 1, 512, 1000, True), (0, 4, 2000, 1000, True), (0, 4, 2000, 10_000)]
    assert len({benchmark.run_name(*run) for run in runs}) == len(runs)


def test_the_probe_chooses_its_strength_without_the_test_rows(rng):
    """Other test labels give the same choice."""
    y = np.repeat(np.arange(3), 10)
    x = rng.standard_normal((30, 20)) + 2 * np.eye(3, 20)[y]
    chosen = {benchmark.probe(x, y, x, rng.permutation(y))[1] for _ in range(3)}
    assert len(chosen) == 1
