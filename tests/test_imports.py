"""Imports run one way, read from the text of the files: no circle, and none hidden in a function."""

import ast
from pathlib import Path

import pytest

import minicl

ROOT = Path(minicl.__file__).parent
# Each part may import those above it. What stands in one line does not import its neighbours.
ORDER = [
    ["arrays", "threads", "buffers"],
    ["engine"],
    ["ops", "winograd"],
    ["functional", "conv", "recompute", "derivatives", "gradcheck", "formulas"],
    ["losses", "nn"],
    ["optim", "profiling", "graph"],
    ["data"],
    ["evaluate"],
    ["train"],
    ["parallel", "estimator"],
    ["verify", "viz", "course", "derivations"],
]
RANK = {part: k for k, parts in enumerate(ORDER) for part in parts}
LEAVES = {"viz", "course", "derivations"}  # nothing imports them
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path, *, only_top=False):
    """What a file imports: ("minicl", part) for parts of minicl, (library, None) for others."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in tree.body if only_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        found += [(n[0], n[1] if n[0] == "minicl" and len(n) > 1 else None) for n in names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_stands_before_it(path):
    if path.name == "__main__.py":
        return  # a command: nothing imports it, so it may use whatever there is
    here = part_of(path)
    assert here in RANK, f"{here} has no place in the order of imports yet"
    for library, part in imports(path):
        if library != "minicl":
            continue
        assert part in RANK, f"{path.name} imports {part!r} from minicl itself: name the part it stands in"
        if part != here:
            assert part not in LEAVES, f"{here} imports {part}, which nothing may import"
            assert RANK[part] < RANK[here], f"{here} imports {part}, which comes later"


def test_gradcheck_and_formulas_stand_apart():
    """Witnesses share as little as they can: the closed forms import no engine."""
    for path in FILES:
        parts = {part for library, part in imports(path) if library == "minicl"}
        if part_of(path) == "formulas":
            assert parts <= {"arrays", "formulas"}
        if part_of(path) == "gradcheck":
            assert parts <= {"arrays", "engine", "ops"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_plots_know_matplotlib_and_only_arrays_knows_cupy(path):
    libraries = {library for library, _ in imports(path)}
    if part_of(path) != "viz":
        assert not libraries & {"matplotlib", "IPython", "ipywidgets", "anywidget"}
    if part_of(path) != "arrays":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        strings = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert "cupy" not in libraries | strings and not any("cupy" in name for name in names)


@pytest.mark.parametrize("part", ["arrays", "engine", "ops", "functional", "recompute", "derivatives", "losses"])
def test_the_core_loads_numpy_and_the_standard_library_alone(part):
    import sys

    for path in FILES:
        if part_of(path) == part:
            libraries = {library for library, _ in imports(path, only_top=True)}
            assert libraries <= {"numpy", "minicl", *sys.stdlib_module_names}


def test_the_public_face_imports_no_heavy_part():
    top = {part for library, part in imports(ROOT / "__init__.py", only_top=True) if library == "minicl"}
    heavy = {"viz", "course", "train", "estimator", "parallel", "derivations", "data", "nn", "evaluate"}
    assert not top & heavy
