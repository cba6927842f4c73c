"""The contract of the grader: what a report holds and shows, and that no function of a learner breaks it."""

import ast
import builtins
import cProfile
import itertools
import os
import random
import re
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import right_answers

import minicl as mc
from minicl.course import EXERCISES, Exercise, Mistake, Test, call, catalogue, check, describe, draw, exercises, numeric
from minicl.course.answers import Failed
from minicl.course.exercise import Case, Code, source
from minicl.course.grading import _filled, run
from minicl.course.guard import Clock, TimeUp

RIGHT = lambda g, a, b: (g * b, g * a)
WRONG = lambda g, a, b: (g * a, g * b)
HALF = lambda g, a, b: (g * b, g * a / 2)
HASTY = replace(EXERCISES["mul_vjp"], seconds=0.5)


def _jacobian(x):
    p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    return np.diag(p) - np.outer(p, p)


# ------------------------------------------------------------------------------------------------------------ a report


def test_a_right_answer():
    report = mc.course.check("mul_vjp", RIGHT)
    assert report.passed is True
    assert (report.failure, report.diagnosis, report.hints) == (None, [], [])
    assert all(row.passed and row.distance < 1e-9 for row in report.tests if row.tier != "T4")
    assert report.hint(1) == report.hint(3) == "Nothing to mend: all required tests pass."
    assert "mul_vjp: passed, 8 of 8 required tests (seed 0)" in str(report)


def test_a_wrong_answer():
    report = check("mul_vjp", WRONG, seed=3)
    assert report.passed is False
    row = next(row for row in report.tests if row.tier == "T1")
    assert (row.name, row.passed, row.cases) == ("knows the gradients of single products", False, (0, 3))
    assert row.observed == (6.0, 10.0) and row.expected == (10.0, 6.0)
    assert row.distance == pytest.approx(7.0)  # of the worst case: (0, 7) for (7, 0)
    assert report.failure == "f(np.array(2.), np.array(3.), np.array(5.))"
    diagnosis = report.diagnosis[0]
    assert (diagnosis.name, diagnosis.sure) == ("own-factor", 1.0)
    assert "equal, to 1e-9, those of an implementation that multiplies g by a for da and by b for db" in diagnosis.says
    assert report.seed == 3 and "(seed 3)" in str(report)


def test_tiers_come_in_order_and_only_known_ones():
    for name in EXERCISES:
        tiers = [row.tier for row in check(name, lambda *args: None).tests]
        assert tiers == sorted(tiers) and set(tiers) <= {"T0", "T1", "T2", "T3", "T4", "T5"}


def test_hints_are_shown_on_demand_only():
    report = check("mul_vjp", WRONG)
    assert len(report.hints) == 3
    for shown in (str(report), repr(report), report._repr_html_()):
        assert not any(hint in shown for hint in report.hints)
    assert [report.hint(level) for level in (1, 2, 3)] == report.hints
    assert repr(report.hint(1)) == report.hints[0]  # as print would show it
    with pytest.raises(ValueError, match=r"hint\(1\), hint\(2\) and hint\(3\)"):
        report.hint(4)


def test_an_unknown_mistake_has_no_diagnosis_and_general_hints():
    report = check("mul_vjp", lambda g, a, b: (g * b + 0.1 * a, g * a))
    assert report.diagnosis == []
    assert "knows the gradients of single products" in report.hint(1)
    assert report.failure in report.hint(2) and "da is 10.3, expected 10." in report.hint(2)
    assert report.hint(3) == EXERCISES["mul_vjp"].advice


def test_a_constant_factor_is_named():
    report = check("mul_vjp", HALF)
    assert report.diagnosis[0].says == "Your db is 0.5 × the true one in all 14 tests with a known answer."
    assert "−1 × the true one" in check("mul_vjp", lambda g, a, b: (g * b, -g * a)).diagnosis[0].says
    assert "Your da is zero" in check("mul_vjp", lambda g, a, b: (0 * a, g * a)).diagnosis[0].says


def test_general_relations_are_named():
    single = lambda x: x.astype(np.float32).astype(float)
    assert check("matmul_vjp", lambda g, a, b: (single(g @ b.T / 3) * 3, a.T @ g)).diagnosis[0].name == "seven-digits"
    assert check("jacobian_softmax", lambda x: -_jacobian(x)).diagnosis[0].name == "factor"
    assert check("matmul_vjp", lambda g, a, b: (np.abs(g @ b.T), a.T @ g)).diagnosis[0].name == "wrong-signs"
    assert check("jacobian_softmax", lambda x: _jacobian(x)[::-1]).diagnosis[0].name == "wrong-places"


def test_the_same_seed_gives_the_same_report_and_another_seed_other_numbers():
    text = str(check("sum_vjp", lambda g, x, axis, keepdims: g, seed=5))
    assert text == str(check("sum_vjp", lambda g, x, axis, keepdims: g, seed=5))
    drawn = [[case.args for _, cases in _filled(EXERCISES["mul_vjp"], seed) for case in cases] for seed in (5, 6)]
    assert str(drawn[0]) != str(drawn[1])


def test_the_state_of_others_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002

    def careless(g, a, b):
        np.random.seed(0)  # noqa: NPY002
        np.seterr(all="raise")
        return RIGHT(g, a, b)

    np.random.seed(3)  # noqa: NPY002
    before = np.geterr(), sys.stdout
    assert check("mul_vjp", careless).passed
    assert np.random.random() == expected  # noqa: NPY002
    assert (np.geterr(), sys.stdout) == before


def naive_products(z1, z2, t):
    z = np.vstack([z1, z2])
    e = np.exp(z @ z.T / t)
    np.fill_diagonal(e, 0)
    partner = np.roll(np.arange(len(z)), len(z1))
    return np.mean(np.log(e.sum(1)) - np.log(e[np.arange(len(z)), partner]))


def test_a_mistake_on_known_answers_comes_before_one_at_extreme_numbers():
    report = check("nt_xent", naive_products)
    assert report.diagnosis[0].name == "not-normalised"
    assert not any("exact arithmetic" in hint for diagnosis in report.diagnosis for hint in diagnosis.hints)
    lowest = next(row for row in report.tests if row.required and not row.passed)
    assert report.failure in [repr(result.case) for result in lowest.failures]


def test_the_part_of_a_result_is_named():
    assert "dx1[0, 0] is nan" in str(check("contrastive", lambda x1, *rest: (1.0, x1 * np.nan, x1)))


def test_an_error_in_every_test_is_told_once():
    for function, words in ((lambda *args: 1 / 0, "raised ZeroDivisionError"), (lambda *args: None, "is None (")):
        report = check("nt_xent", function)
        assert str(report).count("FAIL") == 1 and "15 more tests" in str(report)
        assert words in report.hint(1)


def test_a_profiler_does_not_stop_the_grader():
    profile = cProfile.Profile()
    report = profile.runcall(check, "mul_vjp", RIGHT)
    assert report.passed


# ---------------------------------------------------------------------------------------------------- code and page


def test_the_failing_input_can_be_run_again():
    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes:
            report = check(name, mistake.function)
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                try:
                    eval(report.failure, {"np": np, "f": mistake.function})
                except Exception:
                    assert "raised" in str(report)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_case_prints_as_the_code_that_makes_it(name):
    """f(...) evaluated with an f that returns its arguments gives the arguments back."""
    for _, cases in _filled(EXERCISES[name], seed=0):
        for case in cases:
            args, options = eval(repr(case), {"np": np, "f": lambda *args, **options: (args, options)})
            assert options == case.options or name == "topological_order"
            for again, arg in zip(args, case.args, strict=True):
                if isinstance(arg, np.ndarray):
                    assert again.dtype == arg.dtype and again.shape == arg.shape
                    assert again.tobytes() == arg.tobytes()
                elif not isinstance(arg, Code):
                    assert again == arg


@pytest.mark.parametrize(
    "x, text",
    [
        (np.array([[1.0, 0.0]]), "np.array([[1., 0.]])"),
        (np.array(2.0), "np.array(2.)"),
        (np.array([0.1, 1e-30]), "np.array([1.e-01, 1.e-30])"),
        (np.array([1, 2]), "np.array([1, 2])"),
        (np.array([np.nan, -np.inf]), "np.array([np.nan, -np.inf])"),
        (np.array([1.5], np.float32), "np.array([1.5], dtype=np.float32)"),
        (np.float64(3), "3.0"),
        ((2, 1), "(2, 1)"),
        (None, "None"),
    ],
)
def test_arguments_print_as_code(x, text):
    assert source(x) == text


def test_the_page_shows_wrong_entries_in_red_beside_the_right_ones():
    page = check("jacobian_softmax", lambda x: np.diag(np.diag(_jacobian(x))))._repr_html_()
    pictures = page[page.index("jacobian (yours)") :]
    yours, right = pictures.split("jacobian (right)")
    cells = lambda text: re.findall(r"<td style='[^']*;(color:#\w+;font-weight:bold|opacity:.7)'>([^<]*)</td>", text)
    assert cells(yours)[:4] == [("opacity:.7", "0.25"), ("color:#c2255c;font-weight:bold", "0")] + [
        ("color:#c2255c;font-weight:bold", "0"),
        ("opacity:.7", "0.25"),
    ]
    assert [value for style, value in cells(right) if "2b8a3e" in style] == ["-0.25", "-0.25"]


def test_the_page_shows_only_a_part_of_a_large_array():
    large = Exercise(
        "large",
        "00",
        "f(x) -> y",
        "Add one.",
        [Test("adds", "T1", [call(draw(40, 30)).gives(lambda x: x + 1)])],
        [],
        "Add.",
    )
    page = check(large, lambda x: x + 1 + (np.arange(30) == 25))._repr_html_()
    assert "a part of 40 × 30, from (0, 14) on" in page and page.count("<td") < 400


def test_a_checker_is_shown_all_that_it_accepted_with_what_shows_the_error():
    report = check("gradcheck", lambda forward, vjp, x: True)
    assert report.scores == {"right backwards accepted": (20, 20), "wrong backwards rejected": (0, 16)}
    assert "wrong backwards rejected: 0 of 16" in str(report)
    for text in (str(report), report._repr_html_()):
        assert text.count("This backward is wrong (") >= 16
        assert (
            "(softmax, gradient zero): for g = np.array([1., 2., 3.]) it gives np.array([0., 0., 0.])"
            in text.replace("-0.", "0.")
        )


def test_text_of_the_learner_is_escaped():
    def shout(g, a, b):
        print("<script>")
        raise ValueError("<b>&")

    page = check("mul_vjp", shout)._repr_html_()
    assert "<script>" not in page and "<b>&" not in page and "&lt;b&gt;&amp;" in page


def test_the_page_of_every_exercise_is_well_formed():
    from html.parser import HTMLParser

    class Balance(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag != "br":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes[:2]:
            parser = Balance()
            parser.feed(check(name, mistake.function)._repr_html_())
            assert parser.open == []


# ------------------------------------------------------------------------------------------------- names and statements


def test_an_unknown_exercise_names_the_known_ones_nearest_first():
    with pytest.raises(ValueError, match=r"no exercise 'matmul_vpj'. Did you mean 'matmul_vjp'\?") as error:
        check("matmul_vpj", RIGHT)
    assert all(name in str(error.value) for name in EXERCISES)
    with pytest.raises(ValueError, match="Did you mean 'gradcheck'"):
        describe("grad_check")
    with pytest.raises(ValueError, match="the name of the exercise comes first"):
        check(RIGHT, "mul_vjp")


def test_the_exercises_of_the_three_notebooks_are_there():
    notebooks = {name: exercise.notebook for name, exercise in EXERCISES.items()}
    vjps = "mul_vjp matmul_vjp sum_vjp getitem_vjp logsumexp_vjp normalize_vjp".split()
    of = lambda number: {name for name, at in notebooks.items() if at == number}
    assert of("01") == {*vjps, "unbroadcast", "jacobian_softmax", "topological_order", "backward"}
    assert of("02") == {"numerical_gradient", "gradcheck", "complex_step", "analytic_loss", "kinks"}
    assert of("09") == {"two_views", "linear_probe", "knn", "frozen_features"}


def test_exercises_lists_names_with_their_summaries():
    listing = exercises()
    assert set(listing) == set(EXERCISES)
    assert all(len(summary) < 100 and summary.endswith(".") for summary in listing.values())
    assert repr(listing).count("\n") == len(EXERCISES) - 1 and "gradcheck " in repr(listing)


@pytest.mark.parametrize("name", EXERCISES)
def test_describe_gives_signature_statement_and_tests(name):
    exercise, text = EXERCISES[name], describe(name)
    assert exercise.signature in text and exercise.summary in text and repr(text) == str(text)
    assert all(test.name in text for test in exercise.tests)
    assert not any(mistake.says in text for mistake in exercise.mistakes)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_is_declared_in_full(name):
    exercise = EXERCISES[name]
    assert {test.tier for test in exercise.tests} >= {"T0", "T1"}
    assert len(exercise.mistakes) >= 5
    for mistake in exercise.mistakes:
        assert len(set(mistake.hints)) == 3
        assert all(hint[-1] in ".?)" and len(hint) < 130 for hint in mistake.hints), mistake.name
    assert exercise.results and exercise.arguments


def test_names_of_arguments_and_results():
    exercise = EXERCISES["numerical_gradient"]
    assert (exercise.arguments, exercise.results) == (["func", "x", "h"], ["dx"])
    assert EXERCISES["mul_vjp"].results == ["da", "db"]


# ------------------------------------------------------------------------------------------- what a learner may hand in


class Rude(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def raises_rudely(*args, **options):
    raise Rude


def leaves(*args, **options):
    sys.exit(3)


def not_yet(*args, **options):
    raise NotImplementedError


def falls(*args, **options):
    return falls(*args, **options)


def returns_tensor(*args, **options):
    return mc.tensor([1.0, 2.0])


ODD = {
    "raises": lambda *args, **options: 1 / 0,
    "raises without text": raises_rudely,
    "exits": leaves,
    "not implemented": not_yet,
    "recursion": falls,
    "None": lambda *args, **options: None,
    "Tensor": returns_tensor,
    "pair of Tensors": lambda *args, **options: (returns_tensor(), returns_tensor()),
    "list of Tensors": lambda *args, **options: [returns_tensor(), returns_tensor()],
    "string": lambda *args, **options: "no",
    "dictionary": lambda *args, **options: {},
    "set": lambda *args, **options: {1, 2},
    "function": lambda *args, **options: lambda: 0,
    "ellipsis": lambda *args, **options: ...,
    "number": lambda *args, **options: 3,
    "huge integer": lambda *args, **options: 10**400,
    "nan": lambda *args, **options: float("nan"),
    "complex": lambda *args, **options: 1j,
    "empty tuple": lambda *args, **options: (),
    "wrong shape": lambda *args, **options: np.zeros((7, 5, 3, 2)),
    "pair of wrong shapes": lambda *args, **options: (np.zeros((7, 5)), np.zeros(())),
    "array of objects": lambda *args, **options: np.array([None, "a"]),
    "array of strings": lambda *args, **options: np.array(["a", "b"]),
    "records": lambda *args, **options: np.zeros(3, [("a", float), ("b", int)]),
    "ragged list": lambda *args, **options: [[1.0], [1.0, 2.0]],
    "endless iterator": lambda *args, **options: itertools.count(),
    "endless iterator of None": lambda *args, **options: itertools.repeat(None),
    "list of lists": lambda *args, **options: [[1], [2]],
    "empty array": lambda *args, **options: np.zeros((0, 3)),
    "masked": lambda *args, **options: np.ma.masked_all((2, 2)),
    "dates": lambda *args, **options: np.array(["2020-01-01"], "datetime64[D]"),
    "too many arguments": lambda a, b, c, d, e, f, g: None,
    "no arguments": lambda: None,
}


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("kind", ODD)
def test_whatever_is_returned_the_report_says_it_plainly(name, kind):
    report = check(name, ODD[kind])
    assert report.passed is False
    assert report.failure.startswith("f(") and len(report.hints) == 3
    assert "Traceback" not in str(report) and report._repr_html_()


@pytest.mark.parametrize(
    "kind, words",
    [
        ("raises", "raised ZeroDivisionError"),
        ("raises without text", "raised Rude"),
        ("exits", "raised SystemExit: 3"),
        ("not implemented", "not written yet"),
        ("recursion", "raised RecursionError"),
        ("None", "returned None (is there a return at the end?)"),
        ("Tensor", "returned a Tensor (call its .numpy())"),
        ("pair of Tensors", "da is a Tensor (call its .numpy())"),
        ("string", "returned a str"),
        ("number", "returned an int"),
        ("wrong shape", "returned an array of shape (7, 5, 3, 2)"),
        ("pair of wrong shapes", "shape (7, 5)"),
        ("no arguments", "takes 0 positional arguments but 3 were given"),
    ],
)
def test_the_plain_text_of_a_failure(kind, words):
    assert words in str(check("mul_vjp", ODD[kind]))


@pytest.mark.parametrize("thing", [None, 3, "f", ..., [RIGHT]])
def test_what_is_not_a_function_is_reported(thing):
    report = check("mul_vjp", thing)
    assert not report.passed and "is not callable" in str(report)


def test_an_exception_is_reported_with_its_line_and_its_input():
    def mine(g, a, b):
        if a.ndim == 2:
            raise ValueError("only vectors")  # this line
        return RIGHT(g, a, b)

    report = check("mul_vjp", mine)
    assert re.search(
        r'raised ValueError: only vectors \(line \d+: raise ValueError\("only vectors"\)  # this line\)', str(report)
    )
    args = eval(report.failure, {"np": np, "f": lambda *args: args})
    assert args[1].shape == (2, 2)


def test_an_array_that_is_changed_is_reported():
    def changes(g, a, b):
        b *= 2
        return g * b / 2, g * a

    report = check("mul_vjp", changes)
    row = next(row for row in report.tests if row.name == "leaves its arguments as they were")
    assert not row.passed and row.observed == "b changed"
    assert [row.passed for row in report.tests].count(False) == 1


def test_a_function_that_remembers_is_reported():
    calls = []

    def first_shape_only(g, a, b):
        calls.append(a)
        return (g * b, g * a) if len(calls) < 22 else (g * a, g * b)

    report = check("mul_vjp", first_shape_only)
    row = next(row for row in report.tests if row.name == "gives the same question the same answer")
    assert not row.passed


def test_results_that_are_overwritten_later_are_kept():
    """A buffer that every call fills anew is judged by what it held when it was returned."""
    buffers = {}

    def buffered(g, a, b):
        da, db = buffers.setdefault(a.shape, (np.empty(a.shape), np.empty(a.shape)))
        da[...], db[...] = g * b, g * a
        return da, db

    assert check("mul_vjp", buffered).passed


def test_a_flood_of_output_is_cut():
    def flood(g, a, b):
        for _ in range(1000):
            print("all work and no play")
        sys.stderr.write("!")
        return WRONG(g, a, b)

    report = check("mul_vjp", flood)
    assert len(report.printed) == 1000 and report.printed.startswith("all work")
    assert re.search(r"\.\.\. and \d+ characters more", str(report)) and len(str(report)) < 5000


def test_what_the_interpreter_says_by_itself_is_not_shown_as_printed(monkeypatch):
    """At the limit of recursion even the handler of errors that nobody can catch has no frame left."""
    monkeypatch.setattr(sys, "unraisablehook", lambda event: None)

    class Noisy:
        def __del__(self):
            raise ValueError

    def deep(g, a, b):
        Noisy()
        return deep(g, a, b)

    report = check("mul_vjp", deep)
    assert report.printed == "" and "Traceback" not in str(report)


def test_printing_does_not_reach_the_notebook(capsys):
    check("mul_vjp", lambda g, a, b: print("x") or RIGHT(g, a, b))
    assert capsys.readouterr() == ("", "")


def endless(g, a, b):
    while True:
        pass


def endless_and_deaf(g, a, b):
    while True:
        try:
            sum(range(100))
        except BaseException:
            pass


def endless_in_a_generator(graph, output):
    while True:
        yield output


def test_what_a_notebook_changes_by_itself_is_not_the_learners_fault(monkeypatch):
    """IPython puts its own `input` and `_` among the builtins in every cell."""
    monkeypatch.setattr(builtins, "input", lambda *args: "")
    monkeypatch.setattr(builtins, "_", 3, raising=False)
    name, (function, *_) = next(iter(next(m.RIGHT for m in right_answers.modules() if hasattr(m, "RIGHT")).items()))
    assert check(name, function).passed


@pytest.mark.parametrize("function", [endless, endless_and_deaf])
def test_an_endless_loop_ends(function):
    start = time.perf_counter()
    report = check(HASTY, function)
    assert time.perf_counter() - start < 20
    assert not report.passed and report.diagnosis == []
    assert report.tests[0].observed == "not finished within 0.5 s"
    assert all(row.observed in ("not run", "no answer") for row in report.tests[1:])
    assert len(report.hints) == 3


def test_an_endless_loop_ends_in_another_thread():
    reports = []
    thread = threading.Thread(target=lambda: reports.append(check(HASTY, endless)))
    thread.start()
    thread.join(10)
    assert reports and not reports[0].passed


def puts_other_things_into_numpy(g, a, b):
    np.exp, np.array = None, lambda *args: 7
    return RIGHT(g, a, b)


def puts_other_things_into_builtins(g, a, b):
    vars(builtins).update(len=lambda x: 3, sum=None, isinstance=None)
    return RIGHT(g, a, b)


@pytest.mark.parametrize(
    "function, words",
    [(puts_other_things_into_numpy, "numpy.exp"), (puts_other_things_into_builtins, "builtins.len")],
)
def test_a_changed_module_is_reported_and_put_back(function, words):
    report = check("mul_vjp", function)
    assert not report.passed and words in str(report) and "changed " in report.tests[0].observed
    assert check("mul_vjp", RIGHT).passed and np.exp(0) == 1 and len([1]) == 1


def test_what_all_share_is_put_back(tmp_path):
    """The folder, the limit of recursion, the standard output, and both global generators."""

    def careless(g, a, b):
        os.chdir(tmp_path)
        sys.setrecursionlimit(60)
        sys.stdout.close()
        sys.stdout = None
        random.seed(0)
        return RIGHT(g, a, b)

    before = os.getcwd(), sys.getrecursionlimit(), sys.stdout, random.getstate()
    check("mul_vjp", careless)
    assert (os.getcwd(), sys.getrecursionlimit(), sys.stdout, random.getstate()) == before
    assert check("mul_vjp", RIGHT).passed


def test_threads_that_were_left_running_end():
    def leaves_a_thread(g, a, b):
        def forever():
            while True:
                sum(range(100))

        if a.size == 1:
            threading.Thread(target=forever, daemon=True).start()
        return RIGHT(g, a, b)

    before = threading.active_count()
    check("mul_vjp", leaves_a_thread)
    deadline = time.perf_counter() + 5
    while threading.active_count() > before and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_sleep_ends():
    start = time.perf_counter()
    report = check(HASTY, lambda g, a, b: time.sleep(60))
    assert time.perf_counter() - start < 20 and report.tests[0].observed == "not finished within 0.5 s"
    assert check("mul_vjp", RIGHT).passed


def test_an_endless_loop_on_some_inputs_leaves_the_tests_before_it():
    large = lambda a: np.abs(a).max() > 100
    report = check(HASTY, lambda g, a, b: endless(g, a, b) if large(a) else RIGHT(g, a, b))
    assert all(row.passed for row in report.tests if row.tier in ("T0", "T1"))
    assert eval(report.failure, {"np": np, "f": lambda g, a, b: large(a)})


def test_an_endless_answer_ends():
    assert "each node" in str(check("topological_order", endless_in_a_generator))


def test_exponential_time_is_seen_where_the_answer_is_right():
    """60 diamonds have 2^60 ways through them; not required."""

    def depth(graph, node):
        return max((1 + depth(graph, parent) for parent in graph[node]), default=0)

    def by_depth(graph, output):
        needed, stack = {output}, [output]
        while stack:
            for parent in graph[stack.pop()]:
                if parent not in needed:
                    needed.add(parent)
                    stack.append(parent)
        return sorted(needed, key=lambda node: -depth(graph, node))

    report = check("topological_order", by_depth)
    slow = [row for row in report.tests if row.tier == "T5"]
    assert report.passed and [row.passed for row in slow] == [False, False]
    assert "not finished within" in slow[1].observed


def test_the_clock_leaves_no_exception_behind():
    for _ in range(20):
        with Clock(0.01) as clock:
            with pytest.raises(TimeUp):
                clock.call(lambda: [None for _ in itertools.count()])
            with pytest.raises(TimeUp):
                clock.call(lambda: None)
        deadline = time.perf_counter() + 0.01
        while time.perf_counter() < deadline:
            pass


def test_an_interrupt_of_the_user_passes_through():
    def interrupted(g, a, b):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("mul_vjp", interrupted)


# ------------------------------------------------------------------------------------------------------- own exercises


def test_an_exercise_of_ones_own():
    double = Exercise(
        name="double",
        notebook="00",
        signature="f(x) -> y",
        statement="Twice x.",
        tests=[
            Test("doubles one", "T1", [call(1.0).gives(2.0)]),
            Test("adds up", "T2", [call(draw(2), draw(2))], law=lambda f, a, b: (f(a + b), f(a) + f(b))),
        ],
        mistakes=[Mistake("square", "squares", lambda x: x * x, ("Four is 16.", "Look at the star.", "Add x to x."))],
        advice="Add.",
    )
    assert check(double, lambda x: x + x).passed
    report = check(double, lambda x: x**2)
    assert report.diagnosis[0].name == "square" and report.hint(1) == "Four is 16."
    assert report.failure == "f(1.0)"


def test_mistakes_in_a_declaration_are_refused():
    test = Test("holds", "T1", [call(1.0).gives(1.0)])
    with pytest.raises(ValueError, match="tier 'T9' is none of T0"):
        Test("holds", "T9", [call(1.0)])
    with pytest.raises(ValueError, match="has no cases"):
        Test("holds", "T1", [])
    with pytest.raises(ValueError, match="has 2 hints; give three"):
        Mistake("m", "is wrong", lambda x: x, ("one", "two"))
    with pytest.raises(ValueError, match="two tests named 'holds'"):
        Exercise("e", "00", "f(x) -> y", "Same.", [test, test], [], "None.")


def test_two_exercises_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two exercises are named"):
        catalogue._collect(catalogue.autograd, catalogue.autograd)


# ------------------------------------------------------------------------------------------------------- its arithmetic


def test_distance():
    assert numeric.distance(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.1)
    assert numeric.distance(np.array([1e-20, 2e-20]), np.array([1e-20, 1e-20])) == pytest.approx(1.0)
    assert numeric.distance(np.array([0.1]), np.array([0.0])) == pytest.approx(0.1)
    assert numeric.distance(np.array([0.1]), np.array([0.0]), 100.0) == pytest.approx(0.001)
    assert numeric.distance(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])) == 0.5
    for wrong in (np.array([np.nan, 1.0]), np.array([1.0]), np.array([[1.0, 1.0]])):
        with pytest.raises(Failed):
            numeric.distance(wrong, np.array([1.0, 1.0]))


def test_tolerance_follows_the_dtype():
    assert numeric.tolerance(np.zeros(1)) == 1e-9
    assert numeric.tolerance(np.zeros(1, np.float32)) == 1e-4
    assert numeric.tolerance((np.zeros(1), np.zeros(1, np.float16))) == 2e-2
    assert numeric.tolerance(np.zeros(1), np.zeros(1, np.float32)) == 1e-4


def test_the_derivatives_of_the_grader(rng):
    a, b, g = rng.normal(size=(3, 2)), rng.normal(size=(2, 5)), rng.normal(size=(3, 5))
    da, db = numeric.vjp(lambda a, b: np.tanh(a @ b), g, a, b)
    slope = g * (1 - np.tanh(a @ b) ** 2)
    assert np.abs(da - slope @ b.T).max() < 1e-14 and np.abs(db - a.T @ slope).max() < 1e-14
    jacobian = numeric.complex_step(lambda x: np.outer(x, x), np.array([2.0, 3.0]))
    assert jacobian.shape == (2, 2, 2) and jacobian[0, 1].tolist() == [3.0, 2.0]
    assert numeric.vjp(lambda x: x, 2.0, np.array(3.0)) == 2.0


# ------------------------------------------------------------------------------------------------------ what is shipped


def test_the_grader_imports_numpy_and_itself_only():
    folder = Path(mc.course.__file__).parent
    allowed = set(sys.stdlib_module_names) | {"numpy"}
    for file in set(folder.rglob("*.py")) - {folder / "notebook.py"}:  # that one runs notebooks
        depth = len(file.relative_to(folder).parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, file
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth if node.level else node.module.partition(".")[0] in allowed, file


ORACLES = {"_right", "_unbroadcast_right", "_jacobian_right"}  # derivatives of the forward function by a complex step


@pytest.mark.parametrize("name", EXERCISES)
def test_no_function_of_the_catalogue_is_a_solution(name):
    for module in (catalogue.autograd, catalogue.gradient_checking, catalogue.simclr):
        for key, function in list(vars(module).items()):
            if callable(function) and getattr(function, "__module__", "") == module.__name__ and key not in ORACLES:
                rows = run(EXERCISES[name], function, 0, scale=False).rows
                assert not all(row.passed for row in rows if row.required), key


def test_a_case_prints_options_by_name():
    assert repr(Case((1.0,), {"axis": 0, "keepdims": True})) == "f(1.0, axis=0, keepdims=True)"
