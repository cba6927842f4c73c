"""Counts the displayed equations of the course, and how many of them are executed: `make equations`.

A displayed equation is a statement of a derivation, which its check executes; or it stands between double dollars in the
text of a notebook, and counts as executed only where it is, letter for letter, a statement of a derivation.
"""

import re
import sys

from minicl.derivations import ALL
from notebooks import build

DISPLAYED = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\begin\{(?:equation|align)\*?\}(.+?)\\end\{", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$(?!\$)([^$]+?)\$(?!\$)")


def plain(latex):
    """An equation without what does not show: the space between its signs, and a final stop."""
    return re.sub(r"\s+", "", latex).rstrip(".,")


def statements(derivations=ALL):
    """All statements by their equation, each with its derivation."""
    return {
        plain(s.latex): (derivation, s) for derivation in derivations.values() for s in derivation.statements.values()
    }


def displayed(notebook):
    """The displayed equations in the text of a notebook, and the number of formulas in its lines."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    found = [next(filter(None, groups)) for groups in DISPLAYED.findall(text)]
    return found, len(INLINE.findall(DISPLAYED.sub("", text)))


def count(sources, derivations=ALL):
    """For each place: displayed equations, those executed with the outcome that is stated, and what is left over."""
    known = statements(derivations)
    for key, derivation in derivations.items():
        rows = derivation.check().rows
        yield (
            f"derivation {key}",
            len(rows),
            sum(row.passed for row in rows),
            [r.statement.latex for r in rows if not r.passed],
            0,
        )
    for name, notebook in sources:
        found, inline = displayed(notebook)
        left = []
        for latex in found:
            derivation, statement = known.get(plain(latex), (None, None))
            if statement is None or not derivation.outcome(statement).passed:
                left.append(latex)
        yield f"notebook {name}", len(found), len(found) - len(left), left, inline


def main():
    total = executed = 0
    print(f"{'':38}displayed  executed")
    for place, shown, run, left, inline in count((path.stem, build.read(path)) for path in build.sources()):
        total, executed = total + shown, executed + run
        print(f"{place:38}{shown:9}{run:10}" + (f"   and {inline} formulas within lines of text" if inline else ""))
        for latex in left:
            print(f"    not executed: {' '.join(latex.split())}")
    print(f"{'all':38}{total:9}{executed:10}")
    return total == executed


if __name__ == "__main__":
    sys.exit(not main())
