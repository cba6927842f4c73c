"""Every assignment goes through the whole cycle: source, release, submissions, grades, feedback.

A blank submission scores 0 and the source all automatic points; a wrong one loses the points of its mistake; what a
student does to the tests is undone, and what a student's code does to its kernel costs no other cell's points.
"""

import contextlib
import copy
import csv
import importlib
import io
import json
import os
import re
import sys
import warnings
from unittest import mock

import nbformat
import numpy as np
import pytest

from minicl.course import EXERCISES, Exercise, check
from notebooks.assignments import course

PATHS = course.sources()
STUB = "raise NotImplementedError()"


@contextlib.contextmanager
def untouched():
    """What a run sets for its kernels is taken back: environment and filters of warnings."""
    with mock.patch.dict(os.environ), warnings.catch_warnings():
        yield


def identity(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def kind(cell):
    mark = cell.metadata.get("nbgrader", {})
    return mark.get("grade", False), mark.get("solution", False)


def answers(notebook):
    """The cells that students write and tests grade, by id."""
    return {identity(cell): cell for cell in notebook.cells if kind(cell) == (False, True)}


def checks(notebook):
    return {identity(cell): cell for cell in notebook.cells if kind(cell) == (True, False)}


def texts(notebook):
    return {identity(cell): cell for cell in notebook.cells if kind(cell) == (True, True)}


def checks_of(answer, notebook):
    return [name for name in checks(notebook) if re.fullmatch(rf"test_{answer}(-.*)?", name)]


def replaced(notebook, new):
    """A copy with other answers."""
    notebook = copy.deepcopy(notebook)
    for name, source in new.items():
        answers(notebook)[name].source = source
    return notebook


def tampered(blank):
    """Nothing answered, and every test made to pass: emptied, worth more, of another type; the last one deleted."""
    notebook = copy.deepcopy(blank)
    for cell in checks(notebook).values():
        cell.source = "pass"
        cell.metadata["nbgrader"]["points"] = 1000
    last = list(checks(notebook).values())[-1]
    notebook.cells.remove(last)
    return notebook


def careless(reference):
    """All answers right, but cells that are not the student's to delete are gone, the first one among them."""
    notebook = copy.deepcopy(reference)
    gone = [cell for cell in notebook.cells if identity(cell) and kind(cell) == (False, False)]
    assert "setup" in map(identity, gone)
    notebook.cells = [cell for cell in notebook.cells if cell not in gone]
    return notebook


def broken(reference):
    """An endless loop, an exception and a missing function, in three answers; and the tests that they lose."""
    functions = [name for name, cell in answers(reference).items() if re.search(r"^def ", cell.source, re.M)]
    names = [*functions, *(name for name in answers(reference) if name not in functions)][:3]
    defined = re.search(r"^def (\w+)", answers(reference)[names[0]].source, re.M)[1]
    loop = f"def {defined}(*args, **options):\n    while True:\n        pass\n"
    new = dict(zip(names, [loop, "raise RuntimeError('a mistake in this cell')", ""]))
    lost = [test for name in names for test in checks_of(name, reference)]
    return replaced(reference, new), lost


def hand_in(folder, student, notebook, name):
    (folder / student).mkdir(parents=True)
    nbformat.write(notebook, folder / student / f"{name}.ipynb")


def wrong_submissions(path):
    name = path.stem.partition("_")[0]
    return importlib.import_module(f"wrong_submissions.{name}").WRONG


# ------------------------------------------------------------------------------------------------- the real assignments


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_source_has_the_agreed_form(path):
    notebook = course.read(path)
    names = [identity(cell) for cell in notebook.cells if identity(cell)]
    assert len(set(names)) == len(names), "a grade_id stands twice"
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
    assert all(checks_of(answer, notebook) for answer in answers(notebook)), "an answer has no test"
    assert all("-" not in answer for answer in answers(notebook))
    for name, cell in checks(notebook).items():
        assert cell.metadata["nbgrader"]["points"] > 0
        assert cell.source.count("### BEGIN HIDDEN TESTS") == cell.source.count("### END HIDDEN TESTS") == 1, name
        hidden = cell.source.split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0].split("\n")
        assert len([line for line in hidden if line.strip()]) == 2, f"{name}: an import and a call"
    for name, cell in answers(notebook).items():
        assert cell.source.count("### BEGIN SOLUTION") == cell.source.count("### END SOLUTION") >= 1, name
    assert texts(notebook), "one answer at least is graded by a person"
    assert points_told(notebook) == points_of_parts(notebook)
    assert len(wrong_submissions(path)) >= 5


def points_told(notebook):
    """The points of each part, from the table in the introduction."""
    return {
        part: int(points)
        for part, points in re.findall(r"^\| (\d)\b.*\| (\d+)[^|]*\|$", notebook.cells[0].source, re.M)
    }


def points_of_parts(notebook):
    parts, part = {}, None
    for cell in notebook.cells:
        if heading := re.match(r"## (\d) ·", cell.source):
            part = heading[1]
        if points := cell.metadata.get("nbgrader", {}).get("points"):
            parts[part] = parts.get(part, 0) + points
    return parts


def test_the_guide_tells_the_points_and_the_diagnoses():
    guide = (course.HERE.parent.parent / "docs" / "instructor.md").read_text(encoding="utf-8")
    sums = [
        [sum(cell.metadata["nbgrader"]["points"] for cell in cells.values()) for cells in (checks(each), texts(each))]
        for each in map(course.read, PATHS)
    ]
    assert all(sum(pair) == 100 for pair in sums)
    rubric = re.findall(r"^\| A(\d) .*?\| (\d+) \| (\d+) \|", guide, re.M)
    assert rubric == [(path.stem[1], *map(str, pair)) for path, pair in zip(PATHS, sums)]
    known = [
        sum(
            checks(each)[test].metadata["nbgrader"]["points"]
            for answer in answers(each)
            for test in checks_of(answer, each)
            if any("mc.course.check(" in checks(each)[other].source for other in checks_of(answer, each))
        )
        for each in map(course.read, PATHS)
    ]
    assert "{}, {}, {} and {} points of A1 to A4".format(*known) in guide
    told = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \| (.*) \| (.*) \|$", guide, re.M)
    assert len(told) > 20
    for exercise, name, says, hint in told:
        (mistake,) = [mistake for mistake in EXERCISES[exercise].mistakes if mistake.name == name]
        assert (says, hint) == (f"it {mistake.says}", mistake.hints[0]), name


def test_what_students_run_needs_nothing_that_the_guide_leaves_out_of_their_copy():
    root = course.HERE.parent.parent
    for path in [*root.glob("minicl/**/*.py"), *root.glob("notebooks/*.py")]:
        needed = re.findall(r"^\s*(?:from|import) (?:tests|notebooks.*assignments)\b.*", path.read_text("utf-8"), re.M)
        assert not needed, path


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """One course for all assignments: a new gradebook takes seconds."""
    return tmp_path_factory.mktemp("course")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_whole_cycle(path, room, tmp_path):
    name, reference = path.stem, course.read(path)
    first = path == PATHS[0]  # it shows for all that what is not answered, or answered wrongly, goes this way
    wrong = dict(list(wrong_submissions(path).items())[:2]) if first else {}  # all are run below, in less time
    with untouched():
        (released,) = course.release([path], room)
        blank = nbformat.read(released, as_version=4)
        secret = solutions_and_hidden_tests(reference)
        assert secret and not [line for line in secret if line in everything(blank)], "the release tells too much"
        assert all(STUB in cell.source for cell in answers(blank).values())

        folder = tmp_path / "submissions"
        spoiled, lost = broken(reference)
        if first:  # else the tampered one will do: nothing is answered in it, too
            hand_in(folder, "blank", blank, name)
        hand_in(folder, "right", careless(reference), name)
        hand_in(folder, "tampered", tampered(blank), name)
        hand_in(folder, "broken", spoiled, name)
        for student, submission in wrong.items():
            hand_in(folder, student, replaced(reference, submission["answers"]), name)
        grades, problems = course.grade(folder, [path], room)

    assert not problems
    points = {test: cell.metadata["nbgrader"]["points"] for test, cell in checks(reference).items()}
    graded = {}
    for grade in grades:
        graded.setdefault(grade.student, {})[grade.cell] = grade
    for student, cells in graded.items():
        assert set(cells) == {*points, *texts(reference)}, student
        assert {test: cells[test].of for test in points} == points, student

    def lost_by(student):
        return {
            test: graded[student][test].diagnosis for test in points if graded[student][test].points != points[test]
        }

    assert set(graded) == {*(["blank"] if first else []), "right", "tampered", "broken", *wrong}
    for student in {"blank", "tampered"} & set(graded):
        assert {grade.points for grade in graded[student].values()} == {0}, student
    assert lost_by("right") == {}
    assert all(graded["right"][text].points is None for text in texts(reference)), "a person has to read these"
    assert set(lost_by("broken")) == set(lost)
    for student, submission in wrong.items():
        assert lost_by(student) == submission["loses"], student
        assert all(graded[student][test].points == 0 for test in submission["loses"]), student
    for student in graded:
        page = (room / "feedback" / student / name / f"{name}.html").read_text()
        assert "HIDDEN TESTS" not in page and "hidden_" not in page, f"feedback of {student} shows a hidden test"
        assert student == "blank" or "Score: " in page


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_mistake_of_an_exercise_that_only_hidden_tests_have_is_failed_and_named(path):
    with hidden_tests():
        module = importlib.import_module(f"hidden_{path.stem.partition('_')[0]}")
    for exercise in vars(module).values():
        for mistake in exercise.mistakes if isinstance(exercise, Exercise) else ():
            for function in (mistake.function, *mistake.variants):
                report = check(exercise, function, seed=11)
                assert not report.passed, f"{exercise.name}: {mistake.name}"
                assert report.diagnosis[0].name == mistake.name, (exercise.name, mistake.name, report)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_wrong_submissions_lose_the_points_of_their_mistake(path):
    """As in the whole cycle, without its kernels; and here students' own reports are made, too."""
    reference = course.read(path)
    scopes, lost = run_here(reference.cells, {"__name__": "__main__"})
    assert lost == {}
    for student, submission in wrong_submissions(path).items():
        cells = replaced(reference, submission["answers"]).cells
        first = next(i for i, cell in enumerate(cells) if identity(cell) in submission["answers"])
        assert run_here(cells[first:], scopes[first])[1] == submission["loses"], student


def run_here(cells, scope):
    """Runs cells in this process: the names before each cell, and the test cells that fail with their diagnoses."""
    scopes, scope, lost = [], dict(scope), {}
    with untouched(), hidden_tests(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        for cell in cells:
            scopes.append(dict(scope))
            try:
                exec(cell.source if cell.cell_type == "code" else "", scope)
            except AssertionError as error:
                lost[identity(cell)] = getattr(error, "diagnosis", repr(error))
    return scopes, lost


def test_numbers_that_students_measure_are_told_apart():
    with hidden_tests():
        hidden = importlib.import_module("hidden_a1")
    hidden.predict({"A": 1, "B": [5, 3], "C": 0.5, "D": 7})
    hidden.measured_b({"B": [2]})
    hidden.measured_c({"C": 3e-11})
    y = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    for value, name in ((0.665, "output-for-slope"), (y[2] - y[2] ** 2, "not-the-sum"), (0.5, "unknown")):
        with pytest.raises(AssertionError, match=rf"^\[{name}\]"):
            hidden.measured_c({"C": value})


def hidden_tests():
    return mock.patch.object(sys, "path", [str(course.HIDDEN), *sys.path])


def everything(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def solutions_and_hidden_tests(notebook):
    """The lines that students may not see: those of solutions that stand nowhere else, hidden tests, model answers."""
    lines, public = set(), set()
    for cell in notebook.cells:
        inside = kind(cell) == (True, True)
        for line in cell.source.split("\n"):
            if "BEGIN SOLUTION" in line or "BEGIN HIDDEN TESTS" in line:
                inside = True
            (lines if inside else public).add(line.strip())
            if "END SOLUTION" in line or "END HIDDEN TESTS" in line:
                inside = False
    shown = "\n".join(public)
    return {line for line in lines if len(line) > 3 and line not in shown}


# ------------------------------------------------------------------------------------------------ an assignment of ours

MISHAPS = {  # what stands in the answer: the diagnosis of its test
    "good": ("good = 1", None),
    "loop": ("while True:\n    pass", "endless"),
    "deaf": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        "endless",
    ),
    "kills": ("import os\nos._exit(3)", "error"),
    "leaves": ("exit()", "missing"),
    "raises_exit": ("import sys\nsys.exit()", "error"),
    "flood": ("while True:\n    print('flood ' * 100)", "error"),
    "syntax": ("syntax = = 1", "error"),
    "wrong": ("wrong = 2", "error"),
    "gone": ("", "missing"),
    "last": ("last = 1", None),
}


def source_of_ours(folder):
    """A source with one answer and one test for each mishap, and a text."""
    cells = ["# %%\nimport numpy as np"]
    for name in MISHAPS:
        solution = f"### BEGIN SOLUTION\n{name} = 1\n### END SOLUTION"
        test = f"### BEGIN HIDDEN TESTS\nassert {name} == 1, 'not one'\n### END HIDDEN TESTS"
        cells.append(f'# %% nbgrader={{"grade_id": "{name}", "solution": true}}\n{solution}')
        cells.append(f'# %% nbgrader={{"grade_id": "test_{name}", "points": 2}}\n{test}')
    cells.append('# %% [markdown] nbgrader={"grade_id": "why", "solution": true, "points": 4}\n# Because.')
    path = folder / "a9_mishaps.py"
    path.write_text("\n\n".join(cells) + "\n")
    return path


def test_what_a_cell_does_to_its_kernel_costs_no_other_cell_its_points(room, tmp_path):
    path = source_of_ours(tmp_path)
    spoiled = replaced(course.read(path), {name: answer for name, (answer, _) in MISHAPS.items()})
    hand_in(tmp_path / "in", "eve", spoiled, path.stem)
    with untouched():
        grades, problems = course.grade(tmp_path / "in", [path], room, timeout=4)
    assert not problems
    lost = {grade.cell: grade.diagnosis for grade in grades if grade.points == 0}
    assert lost == {f"test_{name}": diagnosis for name, (_, diagnosis) in MISHAPS.items() if diagnosis}
    done = nbformat.read(room / f"autograded/eve/{path.stem}/{path.stem}.ipynb", as_version=4)
    assert {name: cell.source for name, cell in answers(done).items()} == {n: a for n, (a, _) in MISHAPS.items()}


@pytest.mark.parametrize(
    "text, why",
    [
        ("student;assignment;cell;points\nada;a9_mishaps;why;3", "line 2: no column 'student'"),
        (
            'student,assignment,cell,points\nada,a9_mishaps,why,"3,5"',
            "line 2: points are a number such as 3.5; got '3,5'",
        ),
    ],
)
def test_points_by_hand_that_cannot_be_read_are_refused(text, why, tmp_path, monkeypatch, capsys):
    path = source_of_ours(tmp_path)
    hand_in(tmp_path / "in", "ada", course.read(path), path.stem)
    (tmp_path / "in" / "manual.csv").write_text(text)
    monkeypatch.setattr(course, "sources", lambda names=(): [path])
    assert course.main(["grade", str(tmp_path / "in"), "--course", str(tmp_path / "course")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "course").exists()


def test_points_by_hand_and_files_that_cannot_be_read(room, tmp_path, monkeypatch, capsys):
    path, folder = source_of_ours(tmp_path), tmp_path / "in"
    hand_in(folder, "ada", course.read(path), path.stem)
    (folder / "bob").mkdir()
    (folder / "bob" / f"{path.stem}.ipynb").write_text("not a notebook")
    monkeypatch.setattr(course, "sources", lambda names=(): [path])
    rows = [
        "student,assignment,cell,points,comment",
        f"ada,{path.stem},why,3,Short but right",
        f"ada,{path.stem},test_good,1,",
        f"adda,{path.stem},why,4,A student who handed nothing in",
        f"ada,{path.stem},another,,A row without points says nothing",
    ]
    (folder / "ada" / "notes.ipynb").write_text("{}")
    (folder / "manual.csv").write_text("\n".join(rows))
    with untouched():
        assert course.main(["grade", str(folder), "--course", str(room)]) == 1, "bob's file cannot be read"
    report = json.loads((room / "grades" / "grades.json").read_text())
    (total,) = report["totals"]
    of = 2 * len(MISHAPS)
    assert (total["automatic"], total["of"], total["by_hand"], total["of_by_hand"]) == (of - 1, of, 3, 4)
    assert total["waiting"] == 0
    assert [entry["student"] for entry in report["not_graded"]] == ["bob", "adda"]
    said = capsys.readouterr()
    assert "**bob, a9_mishaps: not graded.**" in said.out and "manual.csv has points for it" in said.out
    assert "notes.ipynb: no assignment is named in it" in said.err
    assert "Short but right" in (room / f"feedback/ada/{path.stem}/{path.stem}.html").read_text()
    waiting = csv.DictReader((room / "grades" / "to_grade.csv").open())
    assert list(waiting) == []


def test_students_are_known_by_folder_or_by_file_name(tmp_path):
    (name,), stem = PATHS[:1], PATHS[0].stem
    for file in (f"ada/{stem}.ipynb", f"bob/a1/{stem}-Copy1.ipynb", f"cy_{stem}.ipynb", "dee/notes.ipynb"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    (tmp_path / "ada/.ipynb_checkpoints").mkdir()
    (tmp_path / f"ada/.ipynb_checkpoints/{stem}-checkpoint.ipynb").write_text("{}")
    found = [(student, str(file.relative_to(tmp_path))) for student, _, file in course.submissions(tmp_path, [name])]
    assert found == [("ada", f"ada/{stem}.ipynb"), ("bob", f"bob/a1/{stem}-Copy1.ipynb"), ("cy", f"cy_{stem}.ipynb")]


def test_nothing_to_grade_is_said(tmp_path, capsys):
    assert course.main(["grade", ""]) == course.main(["grade", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "make grade SUBMISSIONS=folder" in said and PATHS[0].stem in said
