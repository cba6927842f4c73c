"""Every notebook is one lesson in two files: a percent source and the same cells with their outputs. The tests hold the
two together, and run every source in the fast profile. A fault is planted for each rule, so that no rule is blind.
"""

import ast
import importlib.metadata
import os
import re
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

from notebooks import build
from notebooks.webpage import FORMULA, NOT_PROSE, webpage

SOURCES = build.sources()
SECONDS = 60
every_notebook = pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in SOURCES])

# Folders of a machine (that of this checkout among them), installed packages, and addresses in memory.
FOLDERS = {"home", "root", "Users", "tmp", "opt", "var", "mnt", "usr", "private", "content", build.ROOT.parts[1]}
MACHINE = re.compile(
    rf"""(?<![\w.:/])/(?:{"|".join(sorted(FOLDERS))})/[\w.~-]+"""
    r"""|\b[A-Z]:\\+[A-Za-z]+|site-packages|dist-packages|ipykernel_\d+|\bat 0x[0-9a-fA-F]{6,}"""
)


def stored(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def pair_faults(source, notebook):
    """Where the cells of a source (as read) and of a stored notebook differ."""
    faults = []
    if len(source.cells) != len(notebook.cells):
        faults.append(f"the source has {len(source.cells)} cells, the notebook {len(notebook.cells)}")
    for i, (ours, theirs) in enumerate(zip(source.cells, notebook.cells, strict=False)):
        for part in ("cell_type", "source", "metadata", "id"):
            if ours[part] != theirs[part]:
                faults.append(f"cell {i} differs in its {part}:\n  .py    {ours[part]!r}\n  .ipynb {theirs[part]!r}")
    if {**notebook.metadata, "minicl": None} != {**source.metadata, "minicl": None}:
        faults.append(f"the notebook's metadata is {notebook.metadata}, expected {source.metadata}")
    return faults


def texts(notebook):
    """All that the outputs say, a string with its cell each; pictures are left out."""
    for i, cell in build.code_cells(notebook):
        for output in cell.outputs:
            yield i, output.get("text", "")
            for kind, data in output.get("data", {}).items():
                if not kind.startswith("image/") or kind == "image/svg+xml":
                    yield i, data if isinstance(data, str) else str(data)


def output_faults(notebook):
    """What a reader of the stored notebook would miss, or see of the machine that made it."""
    faults, pictures = [], 0
    if notebook.metadata.get("minicl", {}).get("profile") != "full":
        faults.append("the outputs do not come from the full profile")
    for count, (i, cell) in enumerate(build.code_cells(notebook), start=1):
        if cell.execution_count != count:
            faults.append(f"cell {i} is not run in order: its number is {cell.execution_count}, expected {count}")
        for output in cell.outputs:
            if output.output_type == "error":
                faults.append(f"cell {i} shows an error: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                faults.append(f"cell {i} writes to stderr (a warning or a progress bar): {output.text[:200]!r}")
            pictures += bool({"image/png", "image/svg+xml"} & set(output.get("data", {})))
    if not pictures:
        faults.append("there is no figure")
    for i, text in texts(notebook):
        if found := MACHINE.search(text):
            faults.append(f"cell {i} shows something of this machine: {text[found.start() : found.end() + 60]!r}")
    return faults


def page_faults(html):
    """What a web page would ask of the network, and formulas that are left as LaTeX."""
    page, faults = BeautifulSoup(html, "html.parser"), []
    for tag in page.find_all(True):
        for name, value in tag.attrs.items():
            asks = name in ("src", "srcset", "data", "poster") or (name == "href" and tag.name == "link")
            if asks and re.match(r"\s*(https?:)?//", str(value)):
                faults.append(f"<{tag.name}> asks for {value}")
        if tag.name in ("style", "script"):
            code = re.sub(r"/\*.*?\*/", "", tag.get_text(), flags=re.DOTALL)
            asked = re.findall(r"(?:url\(|@import|import\s*\(|fetch\s*\(|\.src\s*=)\s*[\"'`]?(?:https?:)?//\S+", code)
            faults.extend(f"<{tag.name}> asks for {what}" for what in asked)
    for text in page.body.find_all(string=FORMULA):
        if text.find_parent(NOT_PROSE) is None:
            faults.append(f"a formula is left: {str(text)[:80]!r}")
    return faults


def imports(source):
    """The names of the packages that a source imports."""
    names = set()
    for cell in build.read(source).cells:
        if cell.cell_type == "code":
            code = re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names


def required():
    """The packages in requirements.txt, by their normalised names."""
    lines = (build.ROOT / "requirements.txt").read_text().splitlines()
    names = {re.match(r"[\w-]+", line)[0] for line in lines if re.match(r"\w", line)}
    return {name.lower().replace("_", "-") for name in names} | {"minicl", "ipython"}  # IPython comes with ipykernel


@pytest.fixture
def isolated(monkeypatch):
    """The environment of `make notebooks`, and no way to the network for what honours a proxy."""
    for name, value in build.environment("fast").items():
        monkeypatch.setenv(name, value)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    build.enter("fast")


# ---------------------------------------------------------------------------------------------- every notebook


def test_every_notebook_has_its_source():
    notebooks = {path.stem for path in build.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")}
    assert notebooks == {path.stem for path in SOURCES}, "make sync writes the .ipynb of each .py"


@every_notebook
def test_source_and_notebook_are_the_same_cells(source):
    faults = pair_faults(build.read(source), stored(source))
    assert not faults, "\n".join(["the pair drifted apart; make sync repairs it", *faults])


@every_notebook
def test_stored_outputs_are_whole_and_of_no_machine(source):
    faults = output_faults(stored(source))
    assert not faults, "\n".join(faults)


@every_notebook
def test_web_page_needs_no_network(source):
    faults = page_faults(webpage(stored(source), source.stem))
    assert not faults, "\n".join(faults)


@every_notebook
def test_imports_are_in_requirements(source):
    packages = importlib.metadata.packages_distributions()
    for name in imports(source):
        sold_as = {d.lower().replace("_", "-") for d in packages.get(name, [name])}
        assert sold_as & required(), f"{source.name} imports {name}, which requirements.txt does not bring"


@every_notebook
def test_notebook_runs_in_the_fast_profile(source, isolated, tmp_path):
    notebook, start = build.read(source), time_of_children()
    build.execute(notebook, tmp_path, "fast")
    seconds = time_of_children() - start
    assert seconds < SECONDS, f"{source.name} took {seconds:.0f} s in the fast profile; the limit is {SECONDS} s"
    assert seconds > 0.5, "the kernel's time was not measured"


def time_of_children():
    """Processor seconds of the processes that this one started and that have ended: other work does not lengthen them."""
    spent = os.times()
    return spent.children_user + spent.children_system


# ------------------------------------------------------------------------------------------ the rules themselves

GOOD = """# %% [markdown]
# A formula: $x^2$

# %%
x = 1

# %% tags=["exercise"]
x
"""


@pytest.fixture
def sample(tmp_path):
    """A source, and the notebook that a run of it would store."""
    path = tmp_path / "01_sample.py"
    path.write_text(GOOD)
    source, notebook = build.read(path), build.read(path)
    notebook.metadata.minicl = {"profile": "full"}
    for count, (_, cell) in enumerate(build.code_cells(notebook), start=1):
        cell.execution_count = count
    png = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"}
    notebook.cells[2].outputs = [nbformat.v4.new_output("display_data", data=png)]
    return source, notebook


def test_a_good_pair_has_no_fault(sample):
    assert pair_faults(*sample) == []
    assert output_faults(sample[1]) == []


def drop_cell(notebook):
    del notebook.cells[1]


def edit_source(notebook):
    notebook.cells[1].source = "x = 2"


def edit_metadata(notebook):
    notebook.cells[2].metadata.tags = []


def keep_old_outputs(notebook):
    notebook.cells[1].id = build.identity("x = 0")


def name_a_kernel(notebook):
    notebook.metadata.kernelspec.name = "my-own"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (drop_cell, "3 cells, the notebook 2"),
        (edit_source, "cell 1 differs in its source"),
        (edit_metadata, "cell 2 differs in its metadata"),
        (keep_old_outputs, "cell 1 differs in its id"),
        (name_a_kernel, "my-own"),
    ],
)
def test_a_drifted_pair_is_found(sample, fault, message):
    fault(sample[1])
    assert message in "\n".join(pair_faults(*sample))


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "no figure"),
        ([nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])], "shows an error"),
        ([stream("100%|####| 3/3", "stderr")], "stderr"),
        ([stream("saved to /home/ann/run.npz")], "'/home/ann"),
        ([stream("read /tmp/x.txt")], "'/tmp/x"),
        ([stream("/usr/lib/python3/dist-packages/a.py:3: note")], "'/usr/lib"),
        ([stream(f"in {build.ROOT}")], str(build.ROOT)),
        ([stream("C:\\Users\\ann")], "this machine"),
        ([stream("File lib/site-packages/numpy/a.py")], "site-packages"),
        ([stream("<function f at 0x7f3a52c1d120>")], "at 0x7f3a"),
        ([nbformat.v4.new_output("display_data", data={"text/html": "<a href='/root/a'>"})], "/root/a"),
    ],
)
def test_a_bad_output_is_found(sample, outputs, message):
    sample[1].cells[2].outputs = outputs
    assert message in "\n".join(output_faults(sample[1]))


@pytest.mark.parametrize("text", ["a/home/b", "1/tmp", "x.tmp / 2", "0x10", "https://example.org/home/ann", "N/A"])
def test_a_harmless_output_passes(sample, text):
    sample[1].cells[1].outputs = [stream(text)]
    assert output_faults(sample[1]) == []


def test_a_cell_that_did_not_run_is_found(sample):
    sample[1].cells[1].execution_count = None
    assert "cell 1 is not run" in "\n".join(output_faults(sample[1]))


def test_outputs_of_the_fast_profile_are_found(sample):
    sample[1].metadata.minicl = {"profile": "fast"}
    assert "full profile" in "\n".join(output_faults(sample[1]))


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        '<img src="http://example.org/a.png">',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>p { background: url(https://example.org/a.png) }</style>",
        '<script type="module">await import("https://example.org/a.mjs")</script>',
        "<p>left: $x^2$</p>",
    ],
)
def test_a_page_that_needs_the_network_is_found(html):
    assert page_faults(f"<html><body><p>text</p>{html}</body></html>")


def test_a_page_with_links_and_data_passes():
    page = '<body><a href="https://example.org">a</a><img src="data:image/png;base64,A"><code>$x$</code></body>'
    assert page_faults(page) == []


def test_a_solution_stays_folded_in_the_page():
    text = "<details><summary>The fault</summary>\n\nIt is *here*.\n</details>\n\nAfter."
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    fold = BeautifulSoup(webpage(notebook, "folded"), "html.parser").find("details")
    assert "It is here." in fold.get_text() and "After." not in fold.get_text()
