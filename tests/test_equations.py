"""All displayed equations are executed: `make equations` counts them. Faults are planted, so that the count is not blind."""

import nbformat
import pytest

from minicl.derivations import Derivation, exp, log, softplus, symbols
from notebooks import equations

SOURCES = equations.stored()


@pytest.mark.parametrize(("name", "lesson"), SOURCES, ids=[name for name, _ in SOURCES])
def test_every_displayed_equation_of_a_notebook_is_a_statement_of_a_derivation(name, lesson):
    text, shown, _ = equations.displayed(lesson)
    known = equations.statements()
    left = [latex for latex in [*text, *shown] if equations.plain(latex) not in known]
    assert not left, f"{name} displays what no derivation executes: {left}"


@pytest.fixture(scope="module")
def demo():
    x = symbols("x")
    D = Derivation("demo", "A demonstration", samples=lambda rng: {"x": float(rng.normal())})
    D.step("good", softplus(x), log(1 + exp(x)), "By definition.")
    D.step("bad", softplus(x), log(1 - exp(-x)), "A slip.")
    return D


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in cells])


def test_what_counts_as_displayed():
    text = "Inline $a = b$ and $c$.\n\n$$x = 1$$\n\n\\[ y = 2 \\]\n\n\\begin{align} z = 3 \\end{align}\n\n`$$code$$`"
    lesson = notebook(text)
    cell = nbformat.v4.new_code_cell("D['a']")
    cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/markdown": "**a**\n\n$$\nw = 4\n$$"})]
    lesson.cells.append(cell)
    found, shown, inline = equations.displayed(lesson)
    assert [latex.strip() for latex in found] == ["x = 1", "y = 2", "z = 3"] and inline == 2
    assert [latex.strip() for latex in shown] == ["w = 4"]


def test_only_what_is_executed_and_holds_is_counted(demo):
    good, bad = demo["good"].latex, demo["bad"].latex
    lesson = notebook(f"$$ {good} . $$", f"$$\n{bad}\n$$", "$$E = mc^2$$", f"$${good.replace('+', '-')}$$")
    derivation, lesson = equations.count([("lesson", lesson)], {"demo": demo})
    assert derivation[:3] == ("derivation demo", 2, 1)
    assert lesson[:3] == ("notebook lesson", 4, 1) and len(lesson.left) == 3
