"""Grades a student's notebook: it runs in a process of its own, and each answer in it is checked by itself.

Whatever the notebook does to its process, an endless loop or an exit, costs the answer that did it and no other.
"""

import _thread
import json
import logging
import math
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

from . import EXERCISES, check
from .grading import ANSWERS_AGAIN
from .report import _cells

PRINTS = 200_000  # characters that a cell may print
CHECKS = 30  # seconds that checking one answer may take; `check` has limits of its own, which end most loops before
PATIENCE = 5  # seconds more until the process is ended, where a cell that is too slow cannot be interrupted
_CHECKED = re.compile(r"""^[^#\n]*\bcheck\(\s*["'](\w+)["']\s*,\s*(\w+)?\s*[,)]?""", re.M)
_DEFINED = re.compile(r"^(?:def (\w+)\s*\(|(\w+)\s*=[^=])", re.M)


class Unreadable(ValueError):
    """There is nothing to grade: no such file, no notebook, or no exercise in it."""


def grade(path, seed=0, timeout=60, also=()):
    """Run a notebook and check the answers in it.

    An answer is the function that has the exercise's name. Where there is none, it is each function that a cell hands
    to `mc.course.check("nt_xent", my_function)`. In a notebook of the course, whose name begins with its number, a
    helper that happens to have the name of an exercise of another notebook is no answer.

    Parameters
    ----------
    path : str or Path
    seed : int
        Of the random inputs.
    timeout : float
        Seconds that a cell may take.
    also : sequence of str
        Exercises that must be answered. Those that a cell checks are, and those of the course's notebook 07 where the
        file's name begins with 07.

    Returns
    -------
    dict
        For JSON: "passed", "score", "exercises" with a report for each answer, and "cells" that stopped with an error.

    Raises
    ------
    Unreadable
        If there is nothing to grade; the text says why.
    """
    path = Path(path)
    notebook = _read(path)
    sources = {i: cell.source for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"}
    asked = answers(sources.values(), path.stem, also)
    if not asked:
        raise Unreadable(
            f"{path} has no exercise: no function is named like one, and none is given to mc.course.check(name, function)"
        )
    problems, reports = _run(sources, asked, path.parent, seed, timeout)
    exercises = [reports.get(pair) or _missing(pair, sources, problems) for pair in asked]
    numbers = {i: n for n, i in enumerate(sources, start=1)}
    good = sum(report["passed"] for report in exercises)
    return {
        "notebook": path.name,
        "seed": seed,
        "passed": good == len(exercises),
        "score": {"passed": good, "of": len(exercises)},
        "exercises": exercises,
        "cells": [{"cell": numbers[i], "problem": problems[i]} for i in sorted(problems)],
    }


def answers(sources, stem="", also=()):
    """Pairs (exercise, name of the function) that the cells of a notebook answer, each once.

    Raises
    ------
    Unreadable
        If `also` names no exercise.

    Examples
    --------
    >>> answers(['def loops(z1, z2, t): ...', 'mc.course.check("nt_xent", loops)', 'def supcon(z, labels, t): ...'])
    [('nt_xent', 'loops'), ('supcon', 'supcon')]
    """
    text = "\n".join(sources)
    defined = {a or b for a, b in _DEFINED.findall(text)}
    checked = [(name, function) for name, function in _CHECKED.findall(text) if name in EXERCISES]
    if unknown := [name for name in also if name not in EXERCISES]:
        raise Unreadable(f"there is no exercise {unknown[0]!r}; `python -m minicl.course list` prints them all")
    number = re.match(r"\d\d(?!\d)", stem)
    of_notebook = [name for name, exercise in EXERCISES.items() if number and exercise.notebook == number[0]]
    named = set() if number else defined & EXERCISES.keys()
    asked = dict.fromkeys([*(name for name, _ in checked), *sorted(named), *of_notebook, *also])
    pairs = []
    for name in asked:
        others = [function for other, function in checked if other == name and function in defined]
        by_name = name in defined or not others
        pairs += [(name, function) for function in dict.fromkeys([name] if by_name else others)]
    return pairs


def _read(path):
    try:
        import nbformat
    except ImportError:
        raise Unreadable('grading needs nbformat, nbclient and ipykernel: pip install "minicl[notebooks]"') from None
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise Unreadable(f"{path} cannot be opened: {error.strerror}") from None
    except Exception as error:  # nbformat raises many kinds
        raise Unreadable(f"{path} is no Jupyter notebook: {' '.join(str(error).split())[:200]}") from None
    return notebook


# ----------------------------------------------------------------------------------------------------- running the cells


class _Ended(Exception):
    """The process of the notebook is gone, or does not listen any more; the text completes "this cell"."""


def _run(sources, asked, folder, seed, timeout):
    """Runs all cells, then checks all answers: (what went wrong by cell, reports by answer).

    What ends the process is left out when all is run again, so that the others get their turn.
    """
    left_out, problems, reports = {}, {}, {}
    with tempfile.TemporaryDirectory() as place:
        while len(reports) < len(asked):
            problems = dict(left_out)
            try:
                with _Kernel(folder, timeout) as kernel:
                    for current, source in sources.items():
                        if current not in left_out and (problem := kernel.run(source, timeout)):
                            problems[current] = problem
                    for current in [pair for pair in asked if pair not in reports]:
                        reports[current] = _checked(kernel, current, Path(place) / "report.json", seed)
            except _Ended as ended:
                if current in sources:
                    left_out[current] = str(ended)
                else:
                    reports[current] = _without_tests(current, f"Calling {current[1]} {ended}.")
    return problems, reports


def _checked(kernel, pair, file, seed):
    """The report of one answer; None where there is no such function."""
    problem = kernel.run(f"__import__('sys').modules[{__name__!r}]._answer({pair!r}, {str(file)!r}, {seed})", CHECKS)
    if problem:
        return _without_tests(pair, f"Calling {pair[1]} stopped the grader: {problem}.")
    report = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return report


class _Kernel:
    """A process that runs cells, in the folder of the notebook."""

    def __init__(self, folder, seconds):
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient
        from nbformat.v4 import new_notebook

        # Without the folders of other kernels, "python3" is the Python that runs this line.
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        quiet = ["--log-level=CRITICAL", "--InteractiveShell.xmode=Minimal", "--HistoryManager.enabled=False"]
        self.client = NotebookClient(
            new_notebook(),
            km=manager,
            allow_errors=True,
            store_widget_state=False,
            shutdown_kernel="immediate",
            extra_arguments=quiet,
            resources={"metadata": {"path": str(folder)}},
        )
        self.client.log = logging.getLogger(__name__)
        self.client.log.setLevel(logging.CRITICAL)
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self.seconds = seconds
        self.running = self.client.setup_kernel(cleanup_kc=True, env={**os.environ, "PYTHONPATH": path})

    def __enter__(self):
        self.running.__enter__()
        if problem := self.run(f"import {__name__} as _\n_._begin(get_ipython(), {self.seconds})\ndel _", 120):
            raise Unreadable(f"no notebook can be run here: {problem}")
        return self

    def __exit__(self, *_):
        return self.running.__exit__(None, None, None)

    def run(self, source, seconds):
        """Runs a cell; returns what went wrong in one line, or None.

        Raises
        ------
        _Ended
            If the process does not answer any more.
        """
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from nbformat.v4 import new_code_cell

        cell = new_code_cell(f"{source}\n# run by the grader")
        self.client.nb.cells, self.client.timeout = [cell], math.ceil(seconds + PATIENCE)
        try:
            self.client.execute_cell(cell, 0)
        except DeadKernelError:
            raise _Ended("ended the process") from None
        except CellTimeoutError:
            raise _Ended(f"did not end within {seconds:g} s") from None
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if not errors:
            return None
        if errors[-1].ename == "KeyboardInterrupt":  # by the clock inside
            return f"did not end within {seconds:g} s"
        return _line(f"{errors[-1].ename}: {errors[-1].evalue}")


def _line(text, most=300):
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


# ------------------------------------------------------------------------------------- inside of the notebook's process


class Limited:
    """A stream that refuses to write more than `PRINTS` characters a cell."""

    def __init__(self, stream):
        self._stream, self._left = stream, PRINTS

    def write(self, text):
        self._left -= len(text)
        if self._left < 0:
            raise RuntimeError(f"the cell printed more than {PRINTS} characters")
        return self._stream.write(text)

    def next_cell(self, *_):
        self._left = PRINTS

    def __getattr__(self, name):
        return getattr(self._stream, name)


class _Clock:
    """Interrupts a cell that takes too long."""

    seconds = 60

    def start(self, *_):
        self._timer = threading.Timer(self.seconds, _thread.interrupt_main)
        self._timer.daemon = True
        self._timer.start()

    def stop(self, *_):
        self._timer.cancel()


_clock = _Clock()


def protect(shell):
    """Prepares the process: what a cell may not do to the cells after it."""
    shell.ask_exit = lambda: None  # exit() would end the process a moment later, in the middle of another cell
    sys.stdout = Limited(sys.stdout)
    shell.events.register("pre_run_cell", sys.stdout.next_cell)


def _begin(shell, seconds):
    """Prepares the process for `grade`."""
    _clock.seconds = seconds
    _clock.start()
    protect(shell)
    shell.events.register("pre_run_cell", _clock.start)
    shell.events.register("post_run_cell", _clock.stop)


def _answer(pair, file, seed):
    """Writes the report on one answer, or null where there is no such function."""
    _clock.stop()  # `check` has its own
    name, function = pair
    function = vars(sys.modules["__main__"]).get(function)
    report = None if function is None else _as_dictionary(check(name, function, seed), pair)
    Path(file).write_text(json.dumps(report), encoding="utf-8")


def _as_dictionary(report, pair):
    required = [row for row in report.tests if row.required]
    heads = ("mark", "tier", "test", "cases", "observed", "expected", "distance")
    diagnosis = [{"name": d.name, "says": d.says, "sure": float(d.sure)} for d in report.diagnosis]
    return {
        "exercise": pair[0],
        "function": pair[1],
        "passed": bool(report.passed),
        "score": {"passed": sum(bool(row.passed) for row in required), "of": len(required)},
        "says": _says(report),
        "tests": [
            {**dict(zip(heads, _cells(row))), "passed": bool(row.passed), "required": bool(row.required)}
            for row in report.tests
        ],
        "scores": {words: list(map(int, counts)) for words, counts in report.scores.items()},
        "failure": report.failure,
        "diagnosis": diagnosis,
        "hints": list(report.hints),
        "printed": report.printed,
    }


def _says(report):
    """A report in one line."""
    if report.passed:
        return "All required tests pass."
    if report.diagnosis:
        return _line(report.diagnosis[0].says)
    seen = [row.observed for row in report.tests if row.required and not row.passed and isinstance(row.observed, str)]
    if endless := [words for words in seen if words.startswith("not finished")]:
        return f"It did not come to an end: {endless[0]}. Is there an endless loop?"
    if changed := [words for words in seen if words.endswith(" changed")]:
        return f"It changes an argument in place: {changed[0]}. Work on a copy."
    if any(row.name == ANSWERS_AGAIN.name and not row.passed and row.observed != "no answer" for row in report.tests):
        return "It answers the same question differently the second time: what does it keep between two calls?"
    return _line(report.hints[0])


# ------------------------------------------------------------------------------------------------------------- reports


def _without_tests(pair, says):
    """The report on an answer that could not be tested."""
    required = sum(test.counts for test in EXERCISES[pair[0]].tests) + 2  # with the two that every exercise has
    empty = {"tests": [], "scores": {}, "failure": None, "diagnosis": [], "hints": [], "printed": ""}
    score = {"passed": 0, "of": required}
    return {"exercise": pair[0], "function": pair[1], "passed": False, "score": score, "says": says, **empty}


def _missing(pair, sources, problems):
    """The report on a function that is not there, with the cell that should have made it."""
    function = pair[1]
    for number, (i, source) in enumerate(sources.items(), start=1):
        if any(function in names for names in _DEFINED.findall(source)) and i in problems:
            return _without_tests(pair, f"{function} is missing. Code cell {number}, which defines it: {problems[i]}")
    return _without_tests(pair, f"{function} is missing: after all cells have run there is no function of this name.")


def markdown(result):
    """The result of `grade` as a page."""
    score = "{passed} of {of}".format(**result["score"])
    lines = [f"# {result['notebook']}: {score} answers pass", ""]
    lines += ["| exercise | function | | tests | |", "|---|---|---|---|---|"]
    for report in result["exercises"]:
        tests = "{passed} of {of}".format(**report["score"])
        verdict = "passed" if report["passed"] else "not yet"
        lines.append(_row(f"`{report['exercise']}`", f"`{report['function']}`", verdict, tests, report["says"]))
    if result["cells"]:
        lines += ["", "Code cells that stopped, counted from 1:", ""]
        lines += [f"- cell {entry['cell']}: {_escaped(entry['problem'])}" for entry in result["cells"]]
    for report in result["exercises"]:
        lines += _page(report)
    return "\n".join([*lines, "", f"Random inputs come from seed {result['seed']}."])


def _page(report):
    """What is said about one answer."""
    lines = ["", f"## {report['exercise']}: {report['function']}", "", _escaped(report["says"])]
    lines += [f"\n{words}: {good} of {of}" for words, (good, of) in report["scores"].items()]
    if report["tests"]:
        heads = ("mark", "tier", "test", "cases", "observed", "expected", "distance")
        lines += ["", _row("", *heads[1:]), "|---" * len(heads) + "|"]
        lines += [_row(*(test[head] for head in heads)) for test in report["tests"]]
    if report["failure"]:
        lines += ["", "Smallest failing input, with the function as `f`:", "", "```python", report["failure"], "```"]
    if report["diagnosis"]:
        lines += ["", "Diagnosis:", ""]
        lines += [f"- {d['name']}, {d['sure']:.0%} sure: {_escaped(d['says'])}" for d in report["diagnosis"]]
    for level, hint in enumerate(report["hints"], start=1):
        lines += ["", f"<details><summary>Hint {level}</summary>", "", _escaped(hint), "", "</details>"]
    if report["printed"]:
        lines += ["", "It printed:", "", *(f"    {line}" for line in report["printed"].splitlines()[:10])]
    return lines


def _row(*cells):
    return f"| {' | '.join(_escaped(str(cell)) for cell in cells)} |"


def _escaped(text):
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
