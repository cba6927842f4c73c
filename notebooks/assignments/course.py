"""Released assignments and grades: `make course` takes the solutions out of the sources, `make grade` runs submissions.

    python -m notebooks.assignments.course release [a1 ...]              into build/course/release
    python -m notebooks.assignments.course grade FOLDER [a1 ...]         scores and diagnoses, into build/course/grades

The work is nbgrader's (https://nbgrader.readthedocs.io): build/course is an ordinary nbgrader course, so its own tools
run there too. README.md tells the format of the sources and of a folder of submissions.
"""

import argparse
import copy
import csv
import json
import logging
import os
import re
import shutil
import sys
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearHiddenTests,
    ClearOutput,
    DeduplicateIds,
    Execute,
    GetGrades,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade, is_locked, is_solution
from tqdm import tqdm
from traitlets.config import Config

from notebooks import build

HERE = Path(__file__).resolve().parent
COURSE = build.BUILD / "course"
HIDDEN = HERE / "hidden"
CELL_TIMEOUT = 60  # seconds

# ------------------------------------------------------------------------------------------------------------- sources


def sources(names=(), folder=HERE):
    """The sources aN_*.py in order, or those among them whose name starts with one of `names`."""
    found = sorted(folder.glob("a[0-9]_*.py"))
    return [path for path in found if path.stem.startswith(tuple(names))] if names else found


def read(source):
    """A percent source as a notebook for nbgrader: the short metadata of each cell is completed."""
    notebook = build.read(source)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = _completed(cell.metadata["nbgrader"], cell.cell_type)
    return notebook


def _completed(short, cell_type):
    """nbgrader's metadata: a cell with points is graded, and one that is no answer is locked."""
    solution = short.get("solution", False)
    kind = {"task": False, "solution": solution, "grade": "points" in short, "locked": not solution}
    return {"schema_version": 3, "cell_type": cell_type, **kind, **short}


# ------------------------------------------------------------------------------------------------------------- release


def settings(course=COURSE, timeout=CELL_TIMEOUT):
    """nbgrader's configuration: what graded notebooks may take, and what feedback shows."""
    c = Config()
    c.CourseDirectory.root = str(course)
    c.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    c.Run.timeout = timeout
    c.Run.interrupt_on_timeout = False  # a loop can be deaf to it: the kernel is ended, and another one begun
    # An error is one line: a traceback takes seconds, and would show the lines around a hidden test.
    c.Run.extra_arguments = [
        "--log-level=ERROR",
        "--InteractiveShell.xmode=Minimal",
        "--HistoryManager.enabled=False",
        "--IPKernelApp.exec_lines=import graded_kernel",
    ]
    c.Autograde.sanitize_preprocessors = [
        ClearOutput,
        DeduplicateIds,
        OverwriteKernelspec,
        RestoreCells,
        OverwriteCells,
        CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        Run,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    c.GenerateFeedback.preprocessors = [GetGrades, ShortErrors, ClearHiddenTests, CSSHTMLHeaderPreprocessor]
    return c


CONFIG = """# For nbgrader's own commands, run in this folder.
from pathlib import Path

from notebooks.assignments.course import settings

c = get_config()  # noqa: F821
c.merge(settings(Path(__file__).parent))
"""


def api(course=COURSE, timeout=CELL_TIMEOUT):
    """nbgrader for a folder; what it logs is shown only where something goes wrong."""
    log = logging.getLogger("traitlets")
    log.handlers, log.propagate = [logging.NullHandler()], False
    config = settings(course, timeout)
    config.NbGraderAPI.log_level = "ERROR"
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def enter():
    """Puts this process, and the kernels it starts, into the environment of this checkout, with the hidden tests."""
    build.enter("fast")
    os.environ["PYTHONPATH"] = str(HIDDEN)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic
    warnings.filterwarnings("ignore", module="nbgrader")


def release(paths, course=COURSE):
    """Writes sources with complete metadata and released notebooks into `course`; returns the released ones."""
    enter()
    course.mkdir(parents=True, exist_ok=True)
    (course / "nbgrader_config.py").write_text(CONFIG)
    nbgrader, released = api(course), []
    for path in paths:
        folder = course / "source" / path.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        nbformat.write(read(path), folder / f"{path.stem}.ipynb")
        _forget(path.stem, course)
        _checked(nbgrader.generate_assignment(path.stem, force=True, create=True))
        released.append(course / "release" / path.stem / f"{path.stem}.ipynb")
    return released


def _checked(answer):
    if not answer["success"]:
        raise RuntimeError(f"nbgrader stopped: {answer.get('log') or answer.get('error')}")


# ------------------------------------------------------------------------------------------------- steps of nbgrader's


class RestoreCells(NbGraderPreprocessor):
    """Puts cells back that are not the student's to delete: below the one before them, else tests last, others first."""

    def preprocess(self, nb, resources):
        name = resources["nbgrader"]["assignment"]
        root = Path(resources["nbgrader"]["db_url"].removeprefix("sqlite:///")).parent
        released = nbformat.read(root / "release" / name / f"{name}.ipynb", as_version=4)
        above = None
        for cell in released.cells:
            place = _places(nb)
            if (is_grade(cell) or is_locked(cell)) and _id(cell) not in place:
                last = len(nb.cells) - 1
                nb.cells.insert(place.get(above, last if is_grade(cell) else -1) + 1, copy.deepcopy(cell))
            above = _id(cell) or above
        return nb, resources


def _id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _places(nb):
    return {_id(cell): i for i, cell in enumerate(nb.cells) if _id(cell)}


class Run(Execute):
    """Runs all cells. One that ends the kernel, or does not end itself, is left out when the others run again."""

    def preprocess(self, nb, resources, km=None):
        sources = [cell.source for cell in nb.cells]
        for _ in sources:
            self.ended = set()
            try:
                super().preprocess(nb, resources, km)
                break
            except (DeadKernelError, CellTimeoutError) as error:
                why = "does not end" if isinstance(error, CellTimeoutError) else "ended the kernel"
                nb.cells[self.running].source = f'raise RuntimeError("this cell {why}")'
        for i, (cell, source) in enumerate(zip(nb.cells, sources)):
            cell.source = source
            if cell.cell_type == "code" and i not in self.ended:  # without an output it would get its points
                message = {"ename": "RuntimeError", "evalue": "this cell was not run", "traceback": []}
                cell.outputs = [nbformat.v4.new_output("error", **message)]
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        self.running = index
        done = super().preprocess_cell(cell, resources, index)
        self.ended.add(index)
        return done


class ShortErrors(NbGraderPreprocessor):
    """Of an error in a graded cell only the last line is fed back: a traceback shows the lines around it."""

    def preprocess_cell(self, cell, resources, index):
        if is_grade(cell) and cell.cell_type == "code":
            for output in cell.outputs:
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources


# ------------------------------------------------------------------------------------------------------------- grading


@dataclass(frozen=True)
class Grade:
    """One graded cell of one submission.

    Attributes
    ----------
    student, assignment, cell : str
    points : float or None
        None where a person has yet to grade it.
    of : float
    automatic : bool
    diagnosis, sentence : str
        Why points are lost; the diagnosis is a name from `minicl.course` where a known mistake fits.
    """

    student: str
    assignment: str
    cell: str
    points: float | None
    of: float
    automatic: bool
    diagnosis: str = ""
    sentence: str = ""


def submissions(folder, paths):
    """(student, source, notebook) for each notebook in the folder that answers one of the assignments.

    The first folder below it names the student, "ada/a1_engine_and_gradients.ipynb"; without one the beginning of
    the file name does, "ada_a1_engine_and_gradients.ipynb". Of several the newest counts.
    """
    found = {}
    for file in _notebooks(folder):
        parts = file.relative_to(folder).parts
        for path in paths:
            if path.stem in file.stem:
                student = parts[0] if len(parts) > 1 else file.stem.partition(path.stem)[0]
                student = re.sub(r"[^\w.@ -]", "_", student).strip("_-. ") or "unnamed"
                known = found.get((student, path))
                if known is None or file.stat().st_mtime > known.stat().st_mtime:
                    found[student, path] = file
    return [(student, path, file) for (student, path), file in sorted(found.items())]


def _notebooks(folder):
    """All notebooks below a folder; what Jupyter keeps in .ipynb_checkpoints is none."""
    files = sorted(Path(folder).rglob("*.ipynb"))
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def grade(folder, paths, course=COURSE, timeout=CELL_TIMEOUT, seed=None):
    """Grades all submissions in a folder, and writes feedback; returns the grades, and the problems by submission.

    Points given by hand are taken from `manual.csv` in the folder, and from what was entered in nbgrader's own pages.
    `Unreadable` says what is wrong with that file.
    """
    folder = Path(folder)
    handed_in = submissions(folder, paths)
    manual = _manual(folder / "manual.csv")
    release([path for path in paths if any(path == other for _, other, _ in handed_in)], course)
    by_hand = [*_read_csv(course / BY_HAND), *manual]
    if seed is not None:
        os.environ["MINICL_COURSE_SEED"] = str(seed)
    nbgrader, grades, problems = api(course, timeout), [], {}
    for student, path, file in tqdm(handed_in, unit="submission", disable=not sys.stderr.isatty()):
        try:
            _run(nbgrader, path.stem, student, file)
            _enter(nbgrader, path.stem, student, by_hand)
            grades += _grades_of(nbgrader, path.stem, student)
            _checked(nbgrader.generate_feedback(path.stem, student))
        except Exception as error:  # whatever is wrong with one submission, the others are graded
            problems[student, path.stem] = f"{type(error).__name__}: {str(error)[-1000:]}"
    known = {(student, path.stem) for student, path, _ in handed_in}
    others = {path.stem for path in sources()} - {path.stem for path in paths}  # these are not graded this time
    for row in manual:
        pair = row["student"], row["assignment"]
        if pair not in known and row["assignment"] not in others:
            problems[pair] = "manual.csv has points for it, but there is no such submission."
    return grades, problems


def _run(nbgrader, name, student, file):
    course = Path(nbgrader.coursedir.root)
    for stage in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course / stage / student / name, ignore_errors=True)
    target = course / "submitted" / student / name / f"{name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(nbformat.read(file, as_version=4), target)
    _checked(nbgrader.autograde(name, student))


def _enter(nbgrader, name, student, by_hand):
    """Puts the points given by hand into the gradebook."""
    with Gradebook(nbgrader.coursedir.db_url) as book:
        for row in by_hand:
            if (row["student"], row["assignment"]) == (student, name) and row["points"]:
                entry = book.find_grade(row["cell"], name, name, student)
                entry.manual_score, entry.needs_manual_grade = float(row["points"]), False
                if row.get("comment"):
                    book.find_comment(row["cell"], name, name, student).manual_comment = row["comment"]
        book.db.commit()


def _grades_of(nbgrader, name, student):
    """The grades of a submission, in the order of the cells."""
    done = Path(nbgrader.coursedir.root) / "autograded" / student / name / f"{name}.ipynb"
    cells = {_id(cell): cell for cell in nbformat.read(done, as_version=4).cells if _id(cell)}
    with Gradebook(nbgrader.coursedir.db_url) as book:
        (notebook,) = book.find_submission(name, student).notebooks
        entries = {entry.name: entry for entry in notebook.grades}
        return [_grade(student, name, entries[key], cells) for key, cell in cells.items() if is_grade(cell)]


def _grade(student, assignment, entry, cells):
    waiting = entry.needs_manual_grade or (entry.auto_score is None and entry.manual_score is None)
    points = None if waiting else float(entry.score)
    automatic = not is_solution(cells[entry.name])
    lost = automatic and points is not None and points < entry.max_score
    diagnosis = _diagnosis(entry.name, cells) if lost else ("", "")
    return Grade(student, assignment, entry.name, points, float(entry.max_score), automatic, *diagnosis)


def _diagnosis(name, cells):
    """What the errors of a test cell say: (diagnosis, sentence)."""
    error = _error(cells[name])
    if error is None:
        return "wrote-to-stderr", "Something was written to stderr, which nbgrader counts as an error."
    told = re.match(r"\[([^\]]+)\] (.*)", error.evalue, re.S)
    if told:
        return told[1], " ".join(told[2].split())
    answer = cells.get(name.removeprefix("test_").partition("-")[0])
    cause = _error(answer) if answer else None
    if error.ename == "NameError" and cause:  # the answer's own cell says more
        error = cause
    known = {"NameError": "missing", "NotImplementedError": "not-written"}
    diagnosis = "endless" if "does not end" in error.evalue else known.get(error.ename, "error")
    return diagnosis, " ".join(f"{error.ename}: {error.evalue}".split())[:200]


def _error(cell):
    errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    return errors[-1] if errors else None


# ---------------------------------------------------------------------------------------- points that were given by hand

COLUMNS = ["student", "assignment", "cell", "points", "of", "comment"]
BY_HAND = "by_hand.csv"


def _forget(name, course):
    """Removes an assignment from the gradebook; points that somebody entered there are kept in a file."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        if name not in [assignment.name for assignment in book.assignments]:
            return
        kept = {(row["student"], row["assignment"], row["cell"]): row for row in _read_csv(course / BY_HAND)}
        for submission in book.assignment_submissions(name):
            student = submission.student.id
            for notebook in submission.notebooks:
                comments = {comment.name: comment.manual_comment for comment in notebook.comments}
                for entry in notebook.grades:
                    if entry.manual_score is not None:
                        row = [student, name, entry.name, entry.manual_score, entry.max_score, comments.get(entry.name)]
                        kept[student, name, entry.name] = dict(zip(COLUMNS, row))
        if kept:
            _write_csv(course / BY_HAND, kept.values())
        book.remove_assignment(name)


class Unreadable(ValueError):
    """manual.csv has no such columns, or points that are no number."""


def _manual(path):
    """The rows of manual.csv that give points."""
    rows = _read_csv(path)
    for line, row in enumerate(rows, start=2):
        missing = [name for name in ("student", "assignment", "cell", "points") if row.get(name) is None]
        if missing:
            raise Unreadable(f"{path}, line {line}: no column {missing[0]!r}; it must hold {','.join(COLUMNS)}")
        try:
            float(row["points"] or 0)
        except ValueError:
            raise Unreadable(f"{path}, line {line}: points are a number such as 3.5; got {row['points']!r}") from None
    return [row for row in rows if row["points"]]


def _read_csv(path):
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets begin a file with a mark
        return list(csv.DictReader(file))


def _write_csv(path, rows, columns=COLUMNS):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


# ------------------------------------------------------------------------------------------------------------- reports


def totals(grades):
    """(student, assignment) -> automatic points, of how many, points by hand, of how many, cells that wait."""
    sums = {}
    for grade in grades:
        row = sums.setdefault((grade.student, grade.assignment), [0, 0, 0, 0, 0])
        row[0 if grade.automatic else 2] += grade.points or 0
        row[1 if grade.automatic else 3] += grade.of
        row[4] += grade.points is None
    return {key: tuple(row) for key, row in sums.items()}


def markdown(grades, problems):
    """A page for the instructor: the totals, each student's lost points with the diagnosis, and the commonest ones."""
    lines = ["# Grades", "", "| student | assignment | automatic | by hand | waiting |", "|---|---|---|---|---|"]
    for (student, assignment), (auto, of, hand, of_hand, waiting) in totals(grades).items():
        wait = f"{waiting} answer{'s' * (waiting > 1)}" if waiting else ""
        lines.append(f"| {student} | {assignment} | {auto:g} / {of:g} | {hand:g} / {of_hand:g} | {wait} |")
    for pair, why in problems.items():
        what = "graded, but this went wrong" if pair in totals(grades) else "not graded"
        lines += ["", f"**{', '.join(pair)}: {what}.** {' '.join(why.split())[-500:]}"]
    for student, assignment in totals(grades):
        lines += ["", f"## {student} · {assignment}", "", "| cell | points | diagnosis | |", "|---|---|---|---|"]
        for grade in grades:
            if (grade.student, grade.assignment) == (student, assignment):
                points = "waits" if grade.points is None else f"{grade.points:g}"
                words = grade.sentence.replace("|", "\\|").replace("\n", " ")
                lines.append(f"| {grade.cell} | {points} / {grade.of:g} | {grade.diagnosis} | {words} |")
    common = Counter((grade.assignment, grade.cell, grade.diagnosis) for grade in grades if grade.diagnosis)
    if common:
        lines += [
            "",
            "## What went wrong most",
            "",
            "| students | assignment | cell | diagnosis |",
            "|---|---|---|---|",
        ]
        lines += [f"| {n} | {' | '.join(what)} |" for what, n in common.most_common(20)]
    return "\n".join(lines) + "\n"


def write(grades, problems, folder):
    """grades.md, grades.csv, grades.json, and to_grade.csv: the answers that wait, in the form of manual.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(grade) for grade in grades]
    (folder / "grades.md").write_text(markdown(grades, problems), encoding="utf-8")
    _write_csv(folder / "grades.csv", rows, list(Grade.__dataclass_fields__))
    _write_csv(folder / "to_grade.csv", [{**row, "points": ""} for row in rows if row["points"] is None])
    sums = [
        dict(zip(["student", "assignment", "automatic", "of", "by_hand", "of_by_hand", "waiting"], [*key, *row]))
        for key, row in totals(grades).items()
    ]
    not_graded = [{"student": s, "assignment": a, "why": why} for (s, a), why in problems.items()]
    report = {"totals": sums, "grades": rows, "not_graded": not_graded}
    (folder / "grades.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments=None):
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.assignments.course", description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=["release", "grade"])
    parser.add_argument("names", nargs="*", help="for grade the folder of submissions; then assignments, as a1")
    parser.add_argument("--course", type=Path, default=COURSE, help="where everything is written")
    parser.add_argument("--timeout", type=int, default=CELL_TIMEOUT, help="seconds that a cell may take")
    parser.add_argument("--seed", type=int, help="of the hidden inputs")
    options = parser.parse_args(arguments)
    names = list(options.names)
    folder = names.pop(0) if options.command == "grade" and names else None
    paths = sources(names)
    if not paths:
        print(f"Error: there is no assignment {' or '.join(names)} in {HERE}", file=sys.stderr)
        return 2
    if options.command == "release":
        for notebook in release(paths, options.course):
            print(notebook)
        return 0
    if not folder or not Path(folder).is_dir():
        print(f"Error: name the folder of submissions: make grade SUBMISSIONS=folder; got {folder!r}", file=sys.stderr)
        return 2
    if not submissions(folder, paths):
        print(f"Error: no notebook below {folder} has one of these in its name:", file=sys.stderr)
        print("  " + ", ".join(path.stem for path in paths), file=sys.stderr)
        return 2
    try:
        grades, problems = grade(folder, paths, options.course, options.timeout, options.seed)
    except Unreadable as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    write(grades, problems, options.course / "grades")
    print(markdown(grades, problems))
    for file in _notebooks(folder):
        if not any(path.stem in file.stem for path in sources()):
            print(f"Not graded: {file}: no assignment is named in it", file=sys.stderr)
    print(f"Written to {options.course / 'grades'}; pages for the students are in {options.course / 'feedback'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
