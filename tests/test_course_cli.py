"""`python -m minicl.course`: a notebook that does everything wrong is graded to its end, each fault in a clear line."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from minicl.course import EXERCISES, notebook
from minicl.course.__main__ import main
from notebooks import build

OF_07 = [name for name, exercise in EXERCISES.items() if exercise.notebook == "07"]
RIGHT = "def matmul_vjp(g, a, b):\n    return g @ b.T, a.T @ g"
CELLS = [  # (source, exercise, part of what is said)
    ("%precision 4\nimport os\nimport numpy as np\nimport minicl as mc", None, ""),
    (
        'def product(g, a, b):\n    return g @ b.T, a.T @ g\nmc.course.check("matmul_vjp", product)',
        "matmul_vjp",
        "pass",
    ),
    ("def mul_vjp(g, a, b):\n    return g * a, g * b", "mul_vjp", "multiplies g by a"),
    ("def sum_vjp(g, x, axis, keepdims):\n    while True:\n        print('flood')", "sum_vjp", "endless loop"),
    ("def unbroadcast(g, shape):\n    os._exit(3)", "unbroadcast", "ended the process"),
    ("def getitem_vjp(g, x, index):\n    return g[:1]", "getitem_vjp", "shape"),
    ("def normalize_vjp(g, x):\n    g *= 2\n    return g", "normalize_vjp", "in place"),
    (
        "calls = []\ndef nt_xent(z1, z2, temperature):\n    calls.append(1)\n    return 1.0 * len(calls)",
        "nt_xent",
        "second time",
    ),
    ("def supcon(z, labels, temperature):\n    raise KeyError('lost')", "supcon", "KeyError: 'lost'"),
    ("def triplet(a, b, c) return", "triplet", "Code cell 10, which defines it: SyntaxError"),
    ("def blocked_lse(scores, n, block):\n    raise NotImplementedError()", "blocked_lse", "not written"),
    ('mc.course.check("fifo_queue", fifo_queue)', "fifo_queue", "fifo_queue is missing"),
    ("while True:\n    print('flood')", None, ""),
    ("os._exit(1)", None, ""),
    ("while True:\n    pass", None, ""),
    ("exit()", None, ""),
    (RIGHT.replace("matmul_vjp", "g"), None, ""),
]


def write(path, sources):
    cells = [new_markdown_cell('mc.course.check("pca", pca)'), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_every_mishap_ends_in_a_line_and_the_others_are_graded(tmp_path, capsys):
    path = write(tmp_path / "hard.ipynb", [source for source, _, _ in CELLS])
    assert main(["grade", str(path), "--out", str(tmp_path / "out"), "--timeout", "4"]) == 1
    result = json.loads((tmp_path / "out" / "hard.grade.json").read_text())
    reports = {report["exercise"]: report for report in result["exercises"]}
    assert set(reports) == {name for _, name, _ in CELLS if name}
    for _, name, says in CELLS:
        if name:
            assert says in reports[name]["says"] and "\n" not in reports[name]["says"], reports[name]["says"]
    assert [name for name, report in reports.items() if report["passed"]] == ["matmul_vjp"]
    assert result["score"] == {"passed": 1, "of": len(reports)} and not result["passed"]
    assert reports["matmul_vjp"]["function"] == "product"
    assert reports["mul_vjp"]["diagnosis"][0]["name"] == "own-factor" and len(reports["mul_vjp"]["hints"]) == 3
    for report in reports.values():
        assert 0 <= report["score"]["passed"] <= report["score"]["of"] > 0

    told = {entry["cell"]: entry["problem"] for entry in result["cells"]}
    assert told[13] == "RuntimeError: the cell printed more than 200000 characters"
    assert told[14] == "ended the process" and told[15] == "did not end within 4 s" and 16 not in told

    page = (tmp_path / "out" / "hard.grade.md").read_text()
    assert page.strip() in capsys.readouterr().out
    assert page.startswith("# hard.ipynb: 1 of 11 answers pass")
    assert "<details><summary>Hint 1</summary>" in page and "own-factor, 100% sure" in page


def test_a_call_into_compiled_code_that_does_not_end_is_ended_with_its_process(tmp_path, monkeypatch):
    """No exception gets into it, so `check` alone would wait for ever."""
    monkeypatch.setattr(notebook, "CHECKS", 2)
    monkeypatch.setattr(notebook, "PATIENCE", 1)
    forever = "__import__('collections').deque(__import__('itertools').repeat(0), maxlen=0)"
    path = write(tmp_path / "compiled.ipynb", [f"def mul_vjp(g, a, b):\n    return {forever}", RIGHT])
    first, second = notebook.grade(path)["exercises"]
    assert (first["exercise"], first["passed"]) == ("matmul_vjp", True)
    assert second["says"] == "Calling mul_vjp did not end within 2 s."


def test_a_right_notebook_passes_in_its_own_folder(tmp_path):
    (tmp_path / "numbers.txt").write_text("3")
    path = write(tmp_path / "good.ipynb", ["assert open('numbers.txt').read() == '3'", RIGHT])
    result = notebook.grade(path, seed=5)
    assert result["passed"] and result["cells"] == [] and result["seed"] == 5
    assert result["exercises"][0]["score"]["of"] == len(result["exercises"][0]["tests"])


@pytest.mark.parametrize(
    "sources, stem, also, expected",
    [
        ([RIGHT], "", [], [("matmul_vjp", "matmul_vjp")]),
        (["f = 1\ng = 2", 'check("supcon", f)\ncheck("supcon", g)'], "", [], [("supcon", "f"), ("supcon", "g")]),
        (["supcon = 1\ng = 2", 'check("supcon", g)'], "", [], [("supcon", "supcon")]),
        (["f = 1", 'check("supcon", f)\n[check("supcon", h) for h in all]'], "", [], [("supcon", "f")]),
        (['# check("supcon", f)', 'check("no exercise", f)'], "", [], []),
        (['check("nce_loss", lambda *a: 1)'], "", [], [("nce_loss", "nce_loss")]),
        ([], "", ["supcon"], [("supcon", "supcon")]),
        ([], "07_mine", [], [(name, name) for name in OF_07]),
        (["supcon = 1"], "07_mine", [], [(name, name) for name in OF_07]),
        (["supcon = 1"], "2026_mine", [], [("supcon", "supcon")]),
    ],
)
def test_which_functions_are_answers(sources, stem, also, expected):
    assert notebook.answers(sources, stem, also) == expected


def test_what_cannot_be_read_says_why(tmp_path, capsys):
    (tmp_path / "text.ipynb").write_text("hello")
    (tmp_path / "other.ipynb").write_text('{"cells": 3}')
    write(tmp_path / "none.ipynb", ["x = 1"])
    for name, why in {"text": "no Jupyter", "other": "no Jupyter", "none": "no exercise", "gone": "opened"}.items():
        assert main(["grade", str(tmp_path / f"{name}.ipynb"), "--out", str(tmp_path)]) == 2
        assert why in capsys.readouterr().err
    assert main(["grade", str(tmp_path / "none.ipynb"), "--exercise", "nt_exent"]) == 2
    assert "no exercise 'nt_exent'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.grade.*"))


def test_the_list_agrees_with_the_notebooks():
    """Each exercise is asked and checked in its notebook, and what is graded there is the function that is checked."""
    for source in build.sources():
        code = [cell.source for cell in build.read(source).cells if cell.cell_type == "code"]
        text, number = "\n".join(code), source.stem[:2]
        checked = {(name, function) for name, function in notebook._CHECKED.findall(text) if function}
        listed = {name for name, exercise in EXERCISES.items() if exercise.notebook == number}
        assert listed <= {name for name, _ in checked}, f"{source.name} lacks a cell that checks an exercise of its own"
        assert set(notebook.answers(code, source.stem)) <= checked, (
            f"{source.name}: a name of an exercise is used twice"
        )
    assert {exercise.notebook for exercise in EXERCISES.values()} <= {source.stem[:2] for source in build.sources()}


def test_list_names_every_exercise_once(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1] for line in lines) == sorted(EXERCISES)
    assert main(["list", "07"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == OF_07
    assert main(["list", "99"]) == 2
