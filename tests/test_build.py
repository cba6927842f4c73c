"""The tool that runs the notebooks: what it leaves behind, what it says when a cell fails, and what it keeps of a
reader's own work. It runs on two small notebooks that are written here.
"""

import doctest
import os
import sys

import nbformat
import pytest

from notebooks import build
from notebooks import webpage as webpage_module
from notebooks.webpage import webpage

GOOD = r"""# %% [markdown]
# A formula $x_i^2$, code `$x$`, 5 \$ and 6 \$, [the next](02_bad.ipynb#part), and
#
# $$\bar A = \bar Y B^\top \quad \begin{aligned} a &= b \\ &< c \end{aligned}$$

# %%
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import HTML, Math
from tqdm.auto import tqdm

for _ in tqdm(range(3)):
    print(os.environ["MINICL_PROFILE"], flush=True)

# %%
import minicl

assert sys.executable == os.environ["EXPECTED_PYTHON"]
assert Path(minicl.__file__).parent.parent == Path(os.environ["EXPECTED_ROOT"])

# %%
_, axes = plt.subplots(figsize=(1, 1))
axes.plot([0, 1])
plt.show()

# %%
display(Math(r"\frac{1}{2}"), HTML("<p>$y$</p><script>const a = `${1}$`</script>"))
"""
BAD = """# %%
print("before")

# %%
raise ValueError("planted")

# %%
print("after")
"""


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """A folder with a bad notebook between two good ones, and the folder for the copies."""
    for name in build.environment("fast"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that what `enter` sets is taken back
    monkeypatch.delenv("MINICL_PROFILE")
    monkeypatch.setenv("EXPECTED_PYTHON", sys.executable)
    monkeypatch.setenv("EXPECTED_ROOT", str(build.ROOT))
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "01_good.py").write_text(GOOD)
    (folder / "02_bad.py").write_text(BAD)
    (folder / "03_good.py").write_text(GOOD)
    return folder, tmp_path / "copies"


def test_a_run_goes_on_after_a_failure_and_leaves_all_copies(lessons, capsys):
    folder, copies = lessons
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert build.build_copies(build.sources(folder=folder), copies) == ["02_bad"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    said = capsys.readouterr().out
    assert "in cell 1 of 3" in said and 'raise ValueError("planted")' in said and "ValueError: planted" in said
    assert str(copies) in said and "01_good.ipynb   01_good.html" in said
    names = {"01_good.ipynb", "01_good.html", "02_bad.ipynb", "02_bad.html", "03_good.ipynb", "03_good.html"}
    assert {path.name for path in copies.iterdir()} == names

    good = nbformat.read(copies / "01_good.ipynb", as_version=4)
    assert [cell.execution_count for _, cell in build.code_cells(good)] == [1, 2, 3, 4]
    assert [output.text for output in good.cells[1].outputs] == ["fast\n" * 3], "one stream, and no live widget"
    bad = nbformat.read(copies / "02_bad.ipynb", as_version=4)
    assert [cell.execution_count for _, cell in build.code_cells(bad)] == [1, 2, None]

    page = (copies / "01_good.html").read_text(encoding="utf-8")
    assert page.count("<math") == 4 and "<code>$x$</code>" in page and "const a = `${1}$`" in page
    assert 'src="data:image/png;base64,' in page and 'href="02_bad.html#part"' in page


def test_storing_twice_gives_the_same_bytes_and_a_failure_stores_nothing(lessons):
    folder, _ = lessons
    paths = build.sources(["01", "02"], folder)
    stored = []
    for _ in range(2):
        assert build.store(paths) == ["02_bad"]
        stored.append((folder / "01_good.ipynb").read_bytes())
    assert stored[0] == stored[1]
    assert not (folder / "02_bad.ipynb").exists()
    notebook = nbformat.reads(stored[0].decode(), as_version=4)
    assert notebook.metadata.minicl.profile == "full" and "version" not in notebook.metadata.language_info


def test_the_work_of_a_reader_is_kept(tmp_path, lessons):
    source = lessons[0] / "01_good.py"
    copy = tmp_path / "01_good.ipynb"
    nbformat.write(build.read(source), copy)
    assert build.keep_edited(copy) is None, "an untouched copy may be replaced"
    for expected in ("01_good.edited-1.ipynb", "01_good.edited-2.ipynb"):
        notebook = build.read(source)
        notebook.cells[2].source = "answer = 42"
        nbformat.write(notebook, copy)
        assert build.keep_edited(copy).name == expected
        assert not copy.exists()


def test_cells_with_the_same_source_have_different_ids(tmp_path):
    source = tmp_path / "01_same.py"
    source.write_text("# %%\nx\n\n# %%\nx\n\n# %%\nx\n")
    ids = [cell.id for cell in build.read(source).cells]
    assert len(set(ids)) == 3 and ids[1].startswith(ids[0])


def test_a_formula_that_cannot_be_drawn_is_an_error():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(r"so $\softmaks x$")])
    with pytest.raises(ValueError, match=r"softmaks x' cannot be drawn without MathJax: Unknown command"):
        webpage(notebook, "page")


def test_the_example_in_the_docstring_runs():
    result = doctest.testmod(webpage_module)
    assert result.attempted > 0 and result.failed == 0


def test_a_name_without_a_notebook_is_an_error(capsys):
    assert build.main(["run", "no-such"]) == 2
    assert "no source no-such*.py" in capsys.readouterr().err
