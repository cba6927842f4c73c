"""The site's pages say what is so: tables are executed, examples run, terms are spelled in one way, and all links lead
somewhere. `make docs` builds the site itself; the faults it must find are planted here.
"""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import minicl as mc

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def prose(text):
    """A page without its code and its links' addresses."""
    text = re.sub(r"^(```|:::).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`", "", text)
    return re.sub(r"\]\([^)]*\)|https?://\S+", "", text)


# ------------------------------------------------------------------------------------------- coming from PyTorch or JAX


def tables(page):
    """The tables of a page: lists of rows, each a list of cells."""
    found, rows = [], []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            found.append(rows[2:])
            rows = []
    return found


SAME, OTHER = tables((DOCS / "coming_from.md").read_text(encoding="utf-8"))
COLUMNS = ["torch", "jax", "minicl"]


def namespace(column):
    """The names that the cells of a column use."""
    names = {"np": np}
    if column == "torch":
        torch = pytest.importorskip("torch", reason="torch is an oracle: make oracles")
        importlib.import_module("torch.utils.checkpoint")
        names |= {"torch": torch, "F": torch.nn.functional}
    elif column == "jax":
        jax = pytest.importorskip("jax", reason="jax is an oracle: make oracles")
        names |= {"jax": jax, "jnp": jax.numpy}
    else:
        names["mc"] = mc
    return names


def arrays():
    rng = np.random.default_rng(7)
    shapes = {
        "x": (5, 3),
        "y": (5, 3),
        "v": (5, 3),
        "logits": (5, 4),
        "w": (3, 4),
        "images": (2, 6, 6, 3),
        "k": (3, 3, 3, 4),
    }
    found = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {**found, "labels": rng.integers(4, size=5), "pos": rng.uniform(0.5, 2.0, size=3)}


def value(code, column):
    """What a cell of the first table gives, as an array."""
    names, given = namespace(column), arrays()
    if column == "torch":
        torch = names["torch"]
        names |= {n: torch.tensor(a, requires_grad=a.dtype.kind == "f") for n, a in given.items()}
    elif column == "jax":
        names |= {n: names["jnp"].asarray(a) for n, a in given.items()}
    else:
        names |= {n: mc.tensor(a) if a.dtype.kind == "f" else a for n, a in given.items()}
    exec("f = lambda x: (x ** 3).sum()", names)
    result = eval(code, names)
    if column == "torch":
        return result.detach().numpy()
    return np.asarray(result) if column == "jax" else mc.to_numpy(result)


def code(cell):
    assert cell.startswith("`") and cell.endswith("`"), f"a cell is one piece of code: {cell}"
    return cell[1:-1]


@pytest.mark.parametrize("row", SAME, ids=[row[0] for row in SAME])
@pytest.mark.parametrize("column", COLUMNS[:2])
def test_a_row_gives_the_same_numbers_in_each_library(row, column):
    if column == "jax":
        jax = namespace("jax")["jax"]
        with jax.enable_x64(True):
            theirs = value(code(row[2]), column)
    else:
        theirs = value(code(row[1]), column)
    ours = value(code(row[3]), "minicl")
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max()
    assert scale > 0 and np.abs(ours - theirs).max() < 1e-12 * scale


@pytest.mark.parametrize("row", OTHER, ids=[row[0] for row in OTHER])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_says_what_each_library_does(row, column):
    cell = row[1 + COLUMNS.index(column)]
    if cell == "–":
        return
    text, verb, result = re.fullmatch(r"`([^`]+)` (gives|raises) `([^`]+)`", cell).groups()
    names = namespace(column)
    *statements, last = ast.parse(text).body

    def run():
        exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        return exec(compile(ast.Module([last], []), "<cell>", "exec"), names)

    if verb == "gives":
        assert repr(run()) == result
    else:
        with pytest.raises(Exception) as caught:
            run()
        assert type(caught.value).__name__ == result
