"""The exercises of notebook 07: many ways to write NT-Xent pass, and the tests are needed, each for some mistake.

Right versions stand in right_answers/nt_xent.py; that every mistake is named is held by test_course_catalogue.py.
"""

import math
import re

import numpy as np
import pytest
from right_answers.nt_xent import RIGHT, along_columns, gradient_matrices, matrix

import minicl as mc
from minicl.course import EXERCISES, check
from minicl.course.catalogue import nt_xent as catalogue
from notebooks import build

VALUE, GRADIENT = EXERCISES["nt_xent"], EXERCISES["nt_xent_gradient"]


def wrong(exercise):
    return [f for mistake in exercise.mistakes for f in (mistake.function, *mistake.variants)]


def failed(report):
    return {row.name for row in report.tests if row.required and not row.passed}


def test_at_least_ten_right_versions_differ_in_more_than_their_names():
    codes = {f.__code__.co_code for f in RIGHT["nt_xent"]}
    assert len(codes) >= 10 and len(RIGHT["nt_xent_gradient"]) >= 4


def test_known_answers_are_those_of_the_library():
    """The closed values were worked out by hand; the composed loss agrees with each."""
    for test in VALUE.tests:
        for case in test.cases:
            if case.expected is not None and not callable(case.expected):
                case = case.filled(np.random.default_rng(0))
                z1, z2, t = (*map(np.float64, case.args[:2]), case.args[2])
                assert abs(mc.nt_xent(z1, z2, t) - case.expected) < 1e-11 * max(1, 1 / t), case


def test_the_value_inside_the_grader_is_the_loss(rng):
    for n, d, t in ((1, 2, 0.5), (2, 3, 0.1), (5, 4, 2.0)):
        a, b = rng.standard_normal((2, n, d))
        assert abs(catalogue._value(a, b, t) - mc.nt_xent(a, b, t)) < 1e-13


def test_the_softmax_over_columns_is_no_mistake(rng):
    """Scores are symmetric, and so is the relation of partners: an equivalent mutant, shown and not rejected."""
    a, b = rng.standard_normal((2, 5, 3))
    assert abs(along_columns(a, b, 0.1) - matrix(a, b, 0.1)) < 1e-14
    assert check("nt_xent", along_columns).passed


def test_zero_rows_and_speed_are_not_asked_for():
    report = check("nt_xent", matrix)
    rest = {row.name for row in report.tests if not row.required}
    assert report.passed and not failed(report)
    assert {"takes a zero row for one with cosine 0"} <= {r.name for r in report.tests if not r.passed} <= rest
    loops = check("nt_xent", RIGHT["nt_xent"][0])
    assert loops.passed and [row.passed for row in loops.tests if row.tier == "T5"] == [False]


def naive_loops(z1, z2, t):
    """Loops over anchors and candidates; `math.exp`, which raises where np.exp says inf."""
    z, total = [*z1, *z2], 0.0
    for i, a in enumerate(z):
        s = [a @ b / (math.sqrt(a @ a) * math.sqrt(b @ b)) / t for b in z]
        others = sum(math.exp(x) for k, x in enumerate(s) if k != i)
        total += math.log(others) - s[(i + len(z1)) % len(z)]
    return total / len(z)


def test_loops_arrays_and_a_version_that_is_safe_are_told_apart():
    """All are right on ordinary numbers; T4 tells how safe they are and T5 how fast, which takes no part in `passed`."""
    naive = next(mistake for mistake in VALUE.mistakes if mistake.name == "naive-exp")
    versions = {
        "naive loops": naive_loops,
        "naive arrays": naive.function,
        "loops": RIGHT["nt_xent"][0],
        "arrays": matrix,
    }
    reports = {name: check("nt_xent", f) for name, f in versions.items()}
    assert all(report.tiers[tier] == "ok" for report in reports.values() for tier in ("T0", "T1", "T2"))
    assert {name: report.tiers["T4"] for name, report in reports.items()} == {
        "naive loops": "1 of 2", "naive arrays": "0 of 2", "loops": "ok", "arrays": "ok"
    }  # fmt: skip
    assert [report.passed for report in reports.values()] == [False, False, True, True]
    ratio = {name: float(re.search(r"[\d.]+(?= times as long)", r.tiers["T5"])[0]) for name, r in reports.items()}
    assert min(ratio["loops"], ratio["naive loops"]) > 5 * max(ratio["arrays"], ratio["naive arrays"])
    assert f"T4 adversarial numbers: ok; T5 speed and scale: {reports['loops'].tiers['T5']}." in str(reports["loops"])
    assert reports["loops"].tiers["T5"] in reports["loops"]._repr_html_()


def test_who_is_wrong_is_not_timed():
    assert (
        check("cosine_matrix", lambda x, y: np.zeros((len(x), len(y)))).tiers["T5"] == "asked where T0 to T3 are right"
    )


def test_who_reads_the_library_passes_everything():
    report = check("nt_xent", lambda z1, z2, t: mc.to_numpy(mc.nt_xent(z1, z2, t)))
    assert all(row.passed for row in report.tests if row.tier != "T5"), report


@pytest.mark.parametrize("exercise, naive", [(VALUE, "naive-exp"), (GRADIENT, "naive-exp")])
def test_a_naive_exponential_fails_at_low_temperature_alone(exercise, naive):
    mistake = next(m for m in exercise.mistakes if m.name == naive)
    assert {row.tier for row in check(exercise, mistake.function).tests if row.required and not row.passed} == {"T4"}


@pytest.mark.parametrize("exercise", [VALUE, GRADIENT], ids=["value", "gradient"])
def test_every_wrong_version_is_rejected_and_low_temperatures_are_needed(exercise):
    broken = [failed(check(exercise, f)) for f in wrong(exercise)]
    assert all(broken) and len(broken) >= (50 if exercise is VALUE else 18)
    tiers = {test.name: test.tier for test in exercise.tests}
    tiers |= {"leaves its arguments as they were": "purity", "gives the same question the same answer": "purity"}
    alone = {tiers[next(iter(tests))] for tests in broken if len({tiers[t] for t in tests}) == 1}
    assert alone >= ({"T4", "purity"} if exercise is VALUE else {"T4"}), alone


def test_a_key_of_one_value_is_weak():
    """Two images, positive entries, τ = 1, six digits: wrong versions that would get past it."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.1, 1, (2, 2, 3))
    right, past = matrix(a, b, 1.0), 0
    for function in wrong(VALUE):
        try:
            value = np.asarray(function(a.copy(), b.copy(), 1.0))
        except Exception:
            continue
        past += value.shape == () and abs(value - right) < 1e-6
    assert past >= 8


def test_the_gradient_of_anchors_alone_is_half_of_it(rng):
    """What SimCLR's Table 2 shows is one half: nearly the direction, about half of the length."""
    half = next(m for m in GRADIENT.mistakes if m.name == "candidates-constant").function
    a = rng.standard_normal((8, 16))
    b = a + 0.5 * rng.standard_normal((8, 16))
    one, all_ = np.concatenate(half(a, b, 0.5)), np.concatenate(gradient_matrices(a, b, 0.5))
    ratio = np.linalg.norm(one) / np.linalg.norm(all_)
    cosine = (one * all_).sum() / np.linalg.norm(one) / np.linalg.norm(all_)
    assert 0.4 < ratio < 0.65 and 0.95 < cosine < 0.9999


def test_the_factor_that_is_missing_is_printed():
    report = check("nt_xent_gradient", lambda a, b, t: tuple(g * t * 3 for g in gradient_matrices(a, b, t)))
    assert not report.passed
    report = check("nt_xent_gradient", lambda a, b, t: tuple(g * 0.3 for g in gradient_matrices(a, b, t)))
    assert "0.3 × the true one" in report.diagnosis[0].says


STARTERS = {
    "nt_xent_loops": "self-not-masked",
    "nt_xent_matrix": "global-max",
    "nt_xent_gradient": "candidates-constant",
    "nt_xent_test": "aligned-only",
}


@pytest.mark.parametrize("starter", STARTERS)
def test_each_starter_of_the_notebook_is_wrong_in_the_way_that_its_report_names(starter):
    """The learner's cell asserts nothing of it: the report of a mended function has to show."""
    notebook = build.read(build.NOTEBOOKS / "07_nt_xent.py")
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith(f"def {starter}("))
    assert "assert" not in cell.source
    names = {"math": math, "mc": mc, "np": np}
    exec(cell.source, names)
    assert not names["report"].passed and names["report"].diagnosis[0].name == STARTERS[starter]
