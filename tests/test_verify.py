"""The verifier is verified: wrong losses and wrong formulas are handed to it, and it must name what is wrong."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import minicl as mc
from minicl.verify import __main__ as command

TORCH = importlib.util.find_spec("torch") is not None
N, D, TAU = 5, 3, 0.1
Z1, Z2 = np.random.default_rng(0).normal(size=(2, N, D))


def nt_xent(z1, z2, temperature=0.5):
    """A loss under another roof: nothing is known of it."""
    return mc.losses.nt_xent(z1, z2, temperature)


def torch_nt_xent(z1, z2, temperature=0.5):
    from minicl.verify import torch_losses

    return torch_losses.nt_xent(z1, z2, temperature)


def altered(change):
    """The closed form of nt_xent with a mistake."""

    def formula(z1, z2, temperature=0.5):
        value, gradients = mc.formulas.nt_xent(z1, z2, temperature)
        return change(value, [np.array(g) for g in gradients])

    return formula


def one_entry(value, gradients):
    gradients[0][2, 1] *= 1.001
    return value, gradients


def smallest_entry(value, gradients):
    i = np.unravel_index(np.argmin(np.abs(gradients[1])), (N, D))
    gradients[1][i] *= 1.001
    return value, gradients


def swapped_sign(value, gradients):
    return value, [gradients[0], -gradients[1]]


def twice(value, gradients):
    return value, [2 * g for g in gradients]


def sum_and_not_mean(value, gradients):
    return 2 * N * value, [2 * N * g for g in gradients]


def nan(value, gradients):
    gradients[0][0, 0] = np.nan
    return value, gradients


def swapped_views(value, gradients):
    return value, gradients[::-1]


def zeros(value, gradients):
    return value, [gradients[0], 0 * gradients[1]]


def one_image_off(value, gradients):
    return value + 1e-10, gradients


def without_the_candidate_half(z1, z2, temperature=0.5):
    """(P − Y) U and not (P − Y + (P − Y)ᵀ) U: the mistake of most gradients by hand."""
    z = np.concatenate([z1, z2])
    partner = (np.arange(2 * N) + N) % (2 * N)
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / lengths
    scores = u @ u.T / temperature
    np.fill_diagonal(scores, -np.inf)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(2 * N), partner] -= 1
    g = p @ u / (2 * N * temperature)
    g = (g - np.sum(g * u, axis=1, keepdims=True) * u) / lengths
    return mc.formulas.nt_xent(z1, z2, temperature)[0], (g[:N], g[N:])


def without_the_jacobian(z1, z2, temperature=0.5):
    """The gradient of normalised rows handed back as that of z."""
    value, (d1, d2) = mc.formulas.nt_xent(z1, z2, temperature)
    return value, (d1 * np.linalg.norm(z1, axis=1, keepdims=True), d2)


WRONG = {
    "0.1 % at one entry": (altered(one_entry), "off at 1 of 15 entries (at z1[2, 1] it is 0.69575 and not 0.695055)"),
    "0.1 % at the smallest entry": (altered(smallest_entry), "off at 1 of 15 entries"),
    "swapped sign": (altered(swapped_sign), "of the other sign in z2"),
    "factor 2": (altered(twice), "2 times the others in z1 and z2"),
    "not finite": (altered(nan), "not finite at 1 of 15 entries in z1"),
    "swapped views": (altered(swapped_views), "off at 15 of 15 entries"),
    "zeros": (altered(zeros), "0 where the others are not in z2"),
    "no candidate half": (without_the_candidate_half, "off at 15 of 15 entries"),
    "no Jacobian": (without_the_jacobian, "off at 15 of 15 entries"),
}


@pytest.mark.parametrize(
    "torch", [False, pytest.param(torch_nt_xent, marks=pytest.mark.skipif(not TORCH, reason="torch"))]
)
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_formula_is_named(what, torch):
    formula, words = WRONG[what]
    result = mc.verify.compare(nt_xent, Z1, Z2, formula=formula, torch=torch, temperature=TAU)
    assert not result.passed and result.odd == "closed form"
    assert words in result.verdict and "the closed form stands alone" in result.verdict
    agreed = (
        "engine, differences, complex step and torch agree" if torch else "engine, differences and complex step agree"
    )
    assert result.verdict.startswith(agreed)
    assert "FAILED" in str(result) and " !" in str(result)
    assert "closed form" in (result.worst.first, result.worst.second)


def gradient_times(change):
    """nt_xent with a right value and a wrong gradient: a primitive whose vjp lies."""

    def loss(z1, z2, temperature=0.5):
        return mc.losses.nt_xent(lie(z1, change=change), z2, temperature)

    return loss


@mc.primitive
def lie(xp, x, *, change):
    return xp.array(x)


lie.defvjp(lambda g, y, x, change: change(g))


def first_entry(g):
    return g * (1 + 1e-3 * (np.arange(g.size).reshape(g.shape) == 0))


LIES = {"0.1 % at one entry": first_entry, "factor 2": lambda g: 2 * g, "sign": lambda g: -g, "zeros": lambda g: 0 * g}


@pytest.mark.parametrize(
    "torch", [False, pytest.param(torch_nt_xent, marks=pytest.mark.skipif(not TORCH, reason="torch"))]
)
@pytest.mark.parametrize("what", LIES)
def test_a_wrong_gradient_of_the_engine_is_named(what, torch):
    loss = gradient_times(LIES[what])
    result = mc.verify.compare(loss, Z1, Z2, formula=mc.formulas.nt_xent, torch=torch, temperature=TAU)
    assert not result.passed and result.odd == "engine"
    others = (
        "closed form, differences, complex step and torch" if torch else "closed form, differences and complex step"
    )
    assert result.verdict.startswith(f"{others} agree; the engine stands alone: it is ")
    assert result.verdict.endswith(" in z1.")
    assert [row.name for row in result.rows if not row.passed] == ["z1"]


@pytest.mark.skipif(not TORCH, reason="torch is the third definition")
def test_a_wrong_definition_is_named_where_a_third_one_is_there():
    twice_the_loss = lambda z1, z2, temperature: 2 * mc.losses.nt_xent(z1, z2, temperature)
    result = mc.verify.compare(
        twice_the_loss, Z1, Z2, formula=mc.formulas.nt_xent, torch=torch_nt_xent, temperature=TAU
    )
    assert not result.passed and result.odd == "engine"
    assert "the loss itself is in doubt" in result.verdict
    wrong = lambda z1, z2, temperature: 2 * torch_nt_xent(z1, z2, temperature)
    result = mc.verify.compare("nt_xent", Z1, Z2, torch=wrong, temperature=TAU)
    assert not result.passed and result.odd == "torch" and "2 times the others" in result.verdict
    result = mc.verify.compare("nt_xent", Z1, Z2, formula=altered(sum_and_not_mean), temperature=TAU)
    assert not result.passed and result.odd == "closed form" and "10 times the others in value" in result.verdict


def test_two_definitions_that_differ_are_not_judged_without_a_third():
    result = mc.verify.compare("nt_xent", Z1, Z2, formula=altered(sum_and_not_mean), torch=False, temperature=TAU)
    assert not result.passed and result.odd is None
    assert "different functions" in result.verdict and "third definition" in result.verdict
    # a formula whose gradient does not even belong to its value is wrong without a doubt
    wrong = lambda z1, z2, temperature: (2 * mc.formulas.nt_xent(z1, z2, temperature)[0], (Z1, Z2))
    result = mc.verify.compare("nt_xent", Z1, Z2, formula=wrong, torch=False, temperature=TAU)
    assert not result.passed and result.odd == "closed form"


def test_a_value_that_is_off_by_little_is_seen():
    result = mc.verify.compare("nt_xent", Z1, Z2, formula=altered(one_image_off), torch=False, temperature=TAU)
    assert not result.passed and result.differs_in_value


def test_a_wrong_gradient_of_the_temperature_is_named():
    def formula(z1, z2, temperature=0.5, parameters=False):
        value, (d1, d2, dtau) = mc.formulas.nt_xent(z1, z2, temperature, parameters=True)
        return value, (d1, d2, -dtau * temperature)

    result = mc.verify.compare("nt_xent", Z1, Z2, formula=formula, torch=False, temperature=TAU)
    assert result.odd == "closed form" and "-0.1 times the others in temperature" in result.verdict


def test_no_two_agree():
    result = mc.verify.compare(
        gradient_times(lambda g: 3 * g), Z1, Z2, formula=altered(twice), torch=False, temperature=TAU
    )
    assert not result.passed and result.odd is None and "camps" in result.verdict


# ------------------------------------------------------------------------------------------------------- right answers


def test_all_losses_pass_with_another_seed():
    result = mc.verify.compare_all(seed=1, torch=False)
    assert result.passed and {row.short.split()[0] for row in result.rows} == set(mc.formulas.__all__)
    assert result.worst.difference <= result.worst.allowed
    text = str(result).splitlines()
    assert all(len(line) <= 120 for line in text)


def test_what_a_result_holds():
    result = mc.verify.compare("siglip", torch=False)
    assert result.passed and result.odd is None and not result.kinks
    assert [row.name for row in result.rows] == ["value", "z1", "z2", "temperature", "bias"]
    assert set(result.rows[1].told) == {"engine", "closed form", "differences", "complex step"}
    assert result.pairs["engine", "closed form"].allowed == 1e-12
    assert result.pairs["engine", "differences"].allowed == 1e-8
    assert result.pairs["closed form", "complex step"].allowed == 1e-12
    assert "torch: left out (torch=False)" in result.notes
    assert result.worst.difference < result.worst.allowed


def test_lists_tensors_and_float32_are_taken_in_float64():
    for first in (Z1.tolist(), mc.tensor(Z1), Z1.astype(np.float32)):
        assert mc.verify.compare("nt_xent", first, Z2, torch=False).passed


def test_options_reach_all_witnesses():
    both = np.random.default_rng(2).normal(size=(6, 3))
    assert mc.verify.compare("nt_xent", both, layout="interleaved", temperature=0.2).passed
    assert mc.verify.compare("info_nce", Z1, Z2, 0.3, negatives=both).passed
    result = mc.verify.compare("nt_xent", Z1, Z2, reduction="none")
    assert result.passed and "torch: its definition gives the mean only" in result.notes or not TORCH
    with pytest.raises(ValueError, match="gives the mean only"):
        mc.verify.compare(nt_xent_rows, Z1, Z2, formula=altered(twice), reduction="none")


def nt_xent_rows(z1, z2, temperature=0.5, reduction="mean"):
    return mc.losses.nt_xent(z1, z2, temperature, reduction=reduction)


def test_a_loss_of_mine_without_formula_or_torch():
    result = mc.verify.compare(lambda x: (x * x).sum(), [1.0, 2.0])
    assert result.passed and "closed form: no formula is given (formula=)" in result.notes
    assert result.verdict == "engine, differences and complex step agree."


def test_constants_get_no_gradient():
    weighted = lambda x, w: (x * w).sum()
    formula = lambda x, w: (float(x @ w), (w,))
    assert mc.verify.compare(weighted, [1.0, 2.0], [3.0, -1.0], formula=formula, constants=("w",)).passed
    with pytest.raises(ValueError, match="returned 1 gradients for x, w"):
        mc.verify.compare(weighted, [1.0, 2.0], [3.0, -1.0], formula=formula)


def test_entries_are_a_sample():
    rng = np.random.default_rng(0)
    z1, z2 = rng.normal(size=(2, 17, 11))
    result = mc.verify.compare("nt_xent", z1, z2, entries=3, torch=False)
    assert result.passed and np.count_nonzero(~np.isnan(result.rows[1].told["differences"])) == 3


def test_kinks_are_reported_and_not_judged():
    origin = np.zeros((2, 3))
    result = mc.verify.compare("contrastive", origin, origin, np.array([False, True]), torch=False)
    assert len(result.kinks) == 6 and all("no derivative at x" in line and "[0, " in line for line in result.kinks)
    assert result.passed and "kinks" in result.verdict and "kink: " in str(result)
    on_the_hinge = mc.verify.compare("triplet", [[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 2.0]], margin=1.0)
    assert on_the_hinge.passed and len(on_the_hinge.kinks) == 4  # torch and the engine choose different slopes there
    only_kinks = mc.verify.compare(lambda x: mc.relu(x).sum(), [0.0, 0.0])
    assert not only_kinks.passed and "nothing could be compared" in only_kinks.verdict


def test_a_loss_that_is_not_analytic_says_so():
    result = mc.verify.compare("triplet", torch=False)
    assert any("complex step: the loss is not analytic: relu" in line for line in result.notes)
    assert "complex step" not in result.verdict
    through_abs = lambda x: mc.sqrt((x * mc.tensor(np.conj(mc.to_numpy(x)))).sum())  # |z|² is not analytic
    result = mc.verify.compare(through_abs, [1.0, -2.0])
    assert not result.passed and any("it is not" in line or "not analytic" in line for line in result.notes)


def test_without_torch(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    result = mc.verify.compare("nt_xent")
    assert result.passed and "torch: not installed" in result.notes


def test_torch_is_imported_only_when_it_is_asked():
    code = (
        "import sys, minicl as mc; assert mc.verify.compare('align', torch=False).passed; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_tables_fit_a_terminal_and_a_notebook():
    result = mc.verify.compare("info_nce", negatives=np.random.default_rng(0).normal(size=(7, 3)), torch=False)
    lines = str(result).splitlines()
    assert all(len(line) <= 120 for line in lines)
    rows = [line for line in lines if line.startswith(("engine ", "closed form ", "differences "))]
    assert len({len(line) for line in rows[:3]}) == 1
    for shown in (result._repr_html_(), mc.verify.compare_all(names=["align"], torch=False)._repr_html_()):
        assert "|" not in shown and "color" not in shown and shown.count("<td") and "<table>" in shown
    wrong = mc.verify.compare(lambda x: x.sum(), [1.0], formula=lambda x: (1.0, (2 * x,)))
    assert "<script>" not in wrong._repr_html_() and "stands alone" in wrong._repr_html_()
    assert "&lt;lambda&gt;" in wrong._repr_html_()


# ---------------------------------------------------------------------------------------------- errors, and the command


def test_errors_name_the_fix():
    with pytest.raises(ValueError, match="there is no loss 'ntxent'; the losses are align"):
        mc.verify.compare("ntxent")
    with pytest.raises(TypeError, match="no array of floats"):
        mc.verify.compare(lambda x: x, np.array([1, 2]))
    with pytest.raises(TypeError, match="must return a Tensor"):
        mc.verify.compare(lambda x: 1.0, [1.0])
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for x of shape \(2,\)"):
        mc.verify.compare(lambda x: x.sum(), [1.0, 2.0], formula=lambda x: (3.0, (np.ones(3),)))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ((1.0, Z1, Z2), r"\(number, array \(5, 3\), array \(5, 3\)\)"),
        (1.0, "number"),
        ((1.0, Z1), r"\(number, array \(5, 3\)\)"),
        (None, "NoneType"),
        ((Z1, (Z1, Z2)), r"\(array \(5, 3\), \(array"),
    ],
)
def test_a_formula_that_returns_another_form_is_told_which(told, words):
    form = r"formula must return value, \(grad1, grad2, ...\): one gradient for each array; .* returned "
    with pytest.raises(ValueError, match=form + words):
        mc.verify.compare(nt_xent, Z1, Z2, formula=lambda z1, z2: told)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_fails_and_says_where(value):
    result = mc.verify.compare(lambda x: (x * value).sum(), [1.0, 2.0], formula=lambda x: (3.0, (np.ones(2),)))
    assert not result.passed and f"the loss is {value} here" in result.verdict
    assert "engine: not finite at value, ∂x[0] and 1 more" in result.notes
    assert not any(line.startswith("closed form: not finite") for line in result.notes)
    assert "FAILED" in str(result) and "not finite" in result._repr_html_()
    assert not mc.verify.compare(lambda x: (x * value).sum(), [1.0, 2.0]).passed


def test_a_loss_that_is_finite_at_its_point_alone_fails():
    spike = lambda x: mc.where(mc.to_numpy(x).real == 1.0, x, x * np.nan).sum()
    result = mc.verify.compare(spike, [1.0], torch=False)
    assert not result.passed and "differences: not finite at ∂x[0]" in result.notes
    assert "not finite" in str(result) and result.verdict


def test_gradients_that_are_all_0_are_noted():
    note = "all gradients are 0 here, so nothing was compared; choose another point"
    assert note in mc.verify.compare(lambda x: (x * 0).sum(), [1.0, 2.0]).notes
    far = mc.verify.compare("triplet", [[0.0, 0.0]], [[0.1, 0.0]], [[0.0, 9.0]], margin=1.0)
    assert far.passed and note in far.notes
    assert note not in mc.verify.compare("align", torch=False).notes


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e300])
def test_embeddings_of_any_scale(scale):
    result = mc.verify.compare("nt_xent", Z1 * scale, Z2 * scale, temperature=TAU)
    assert result.passed, str(result)
    assert str(result)


def test_what_errors_are_relative_to_is_said():
    assert "relative to the largest entry of each gradient (allowed)" in str(mc.verify.compare("align", torch=False))


def test_the_command(capsys, monkeypatch):
    assert command.main(["align", "uniform", "--no-torch", "--seed", "3"]) == 0
    text = capsys.readouterr().out
    assert "align(z1 (5, 3), z2 (5, 3), alpha=2): passed" in text and "uniform(z (7, 3)): passed" in text
    assert command.main(["no_loss"]) == 2
    monkeypatch.setattr(mc.formulas, "align", lambda z1, z2, alpha=2: (0.0, (z1, z2)))
    assert command.main(["align", "--no-torch"]) == 1
    assert "FAILED" in capsys.readouterr().out
