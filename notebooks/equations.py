"""Counts the displayed equations of the course, and how many of them are executed: `make equations`.

A displayed equation is a statement of a derivation, which its check executes; or it stands in a notebook, and counts as
executed only where it is, letter for letter, a statement of a derivation that came out as stated.
"""

import re
import sys
from typing import NamedTuple

import nbformat

from minicl.derivations import ALL
from notebooks import build

DISPLAYED = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\begin\{(?:equation|align)\*?\}(.+?)\\end\{", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$(?!\$)([^$]+?)\$(?!\$)")


class Count(NamedTuple):
    """What was counted in one place."""

    place: str
    displayed: int
    executed: int
    left: list  # the LaTeX of what is displayed and not executed
    note: str = ""


def plain(latex):
    """An equation without what does not show: the space between its signs, and a final stop."""
    return re.sub(r"\s+", "", latex).rstrip(".,")


def statements(derivations=ALL):
    """All statements by their equation, each with its derivation."""
    return {
        plain(s.latex): (derivation, s) for derivation in derivations.values() for s in derivation.statements.values()
    }


def displayed(notebook):
    """The displayed equations of a notebook: in its text, in its stored outputs; and the number of formulas in lines."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "\n".join(output.get("data", {}).get("text/markdown", "") for output in outputs)
    return _equations(text), _equations(shown), len(INLINE.findall(DISPLAYED.sub("", text)))


def _equations(text):
    return [next(filter(None, groups)) for groups in DISPLAYED.findall(text)]


def count(notebooks, derivations=ALL):
    """A `Count` for each derivation, and for each of the notebooks (pairs of a name and a notebook)."""
    known = statements(derivations)
    for key, derivation in derivations.items():
        rows = derivation.check().rows
        names = sum(row.outcome.measure == "evaluated" for row in rows)
        note = f"{names} of them names, evaluated and used by the others" if names else ""
        yield Count(
            f"derivation {key}",
            len(rows),
            sum(row.passed for row in rows),
            [row.statement.latex for row in rows if not row.passed],
            note,
        )
    for name, notebook in notebooks:
        text, shown, inline = displayed(notebook)
        left = []
        for latex in [*text, *shown]:
            derivation, statement = known.get(plain(latex), (None, None))
            if statement is None or not derivation.outcome(statement).passed:
                left.append(latex)
        total = len(text) + len(shown)
        note = f"{len(shown)} shown by running them; {inline} more formulas within lines of text"
        yield Count(f"notebook {name}", total, total - len(left), left, note)


def stored():
    """The notebooks with the outputs that a reader sees."""
    return [(path.stem, nbformat.read(path.with_suffix(".ipynb"), as_version=4)) for path in build.sources()]


def main():
    total = executed = 0
    print(f"{'':44}displayed  executed")
    for c in count(stored()):
        total, executed = total + c.displayed, executed + c.executed
        print(f"{c.place:44}{c.displayed:9}{c.executed:10}" + (f"   {c.note}" if c.note else ""))
        for latex in c.left:
            print(f"    not executed: {' '.join(latex.split())}")
    print(f"{'all':44}{total:9}{executed:10}")
    return total == executed


if __name__ == "__main__":
    sys.exit(not main())
