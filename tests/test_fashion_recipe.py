"""The Fashion-MNIST recipe in small: it runs, it goes on where it was, and its parts do what they say."""

import numpy as np

import minicl as mc
from tests.benchmarks import fashion_recipe as recipe


def test_it_runs_and_a_second_run_computes_nothing_again(tmp_path, capsys, monkeypatch):
    arguments = ["--quick", "--seeds", "0", "--no-progress", "--folder", str(tmp_path)]
    known = recipe.main(arguments)
    first = capsys.readouterr().out
    for row in (recipe.PIXELS, recipe.UNTRAINED, recipe.LEARNED, recipe.ALONE):
        assert f"| {row} |" in first and 0 <= known[0][f"{row}|10|0"]["value"] <= 1
    for name in ("probe", "network"):
        monkeypatch.setattr(recipe, name, None)  # calling it would raise
    monkeypatch.setattr(mc.train.SimCLR, "step", None)
    recipe.main(arguments)
    assert capsys.readouterr().out == first


def test_quarters_are_means_of_the_quarters(rng):
    x = rng.standard_normal((2, 4, 6, 3))
    found = recipe.Quarters()(mc.tensor(x)).data.reshape(2, 4, 3)
    for k, (rows, columns) in enumerate(((0, 0), (0, 3), (2, 0), (2, 3))):
        expected = x[:, rows : rows + 2, columns : columns + 3].mean(axis=(1, 2))
        assert np.allclose(found[:, k], expected, rtol=1e-12, atol=0)


def test_a_middle_row_belongs_to_both_sides(rng):
    x = rng.standard_normal((1, 3, 3, 1))
    found = recipe.Quarters()(mc.tensor(x)).data.ravel()
    expected = [x[0, r : r + 2, c : c + 2].mean() for r in (0, 1) for c in (0, 1)]
    assert np.allclose(found, expected, rtol=1e-12, atol=0)


def test_gains_are_between_the_same_labels():
    """Rows that swing together have an exact difference."""
    known = {
        seed: {
            f"{row}|10|{draw}": {"value": 0.1 * draw + 0.05 * seed + lead}
            for row, lead in ((recipe.PIXELS, 0.5), (recipe.LEARNED, 0.53))
            for draw in range(3)
        }
        for seed in (0, 1)
    }
    line = next(row for row in recipe.table(known, [10]).splitlines() if "−" in row)
    assert "3.0 ± 0.0 (seeds: 3.0 ± 0.0)" in line


def test_the_probe_chooses_its_strength_without_the_test_rows(rng):
    """Where it is asked for, the test labels change the score and nothing that was fitted."""
    y = np.repeat(np.arange(3), 10)
    x = rng.standard_normal((30, 20)) + 3 * np.eye(3, 20)[y]
    assert recipe.probe(x, y, x, y) + recipe.probe(x, y, x, (y + 1) % 3) <= 1
    assert recipe.probe(x, y, x, y) > 0.9
