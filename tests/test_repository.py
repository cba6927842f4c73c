"""The files around the package say the same thing. requirements.txt repeats pyproject.toml for readers, and may not
drift from it; what a newcomer and the checks start must be executable.
"""

import contextlib
import io
import os
import re
import tomllib
from pathlib import Path

from minicl.derivations import ALL
from notebooks import equations

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINES = (ROOT / "requirements.txt").read_text().splitlines()


def test_requirements_are_those_of_the_project():
    assert [line for line in LINES if re.match(r"\w", line)] == PROJECT["dependencies"] + EXTRAS["notebooks"]


def test_cupy_is_an_optional_line_for_each_cuda():
    assert [line[2:] for line in LINES if line.startswith("# cupy")] == EXTRAS["cuda12"] + EXTRAS["cuda13"]
    assert not any(re.match(r"cupy", line) for line in LINES)


def test_ci_script_is_executable():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def printed_by(code, scope):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, scope)
    return out.getvalue()


def without_rounding(text):
    """The lines with numbers to 9 digits, and without what is rounding: that differs between processors."""
    text = re.sub(r"-?\b\d(\.\d+)?e-\d\d\b", "tiny", text)
    text = re.sub(r"\d+\.\d{9,}", lambda number: f"{float(number[0]):.9g}", text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def test_each_example_in_the_readme_prints_what_it_says():
    text = (ROOT / "README.md").read_text()
    pairs = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.S)
    scope = {}
    assert len(pairs) == text.count("```python") >= 3
    for code, shown in pairs:
        assert without_rounding(printed_by(code, scope)) == without_rounding(shown)


def test_the_count_of_equations_in_the_readme():
    total = sum(len(derivation) for derivation in ALL.values())
    for _, lesson in equations.stored():
        text, run, _ = equations.displayed(lesson)
        total += len(text) + len(run)
    shown = re.search(r"^all +(\d+) +(\d+)$", (ROOT / "README.md").read_text(), re.M)
    assert (int(shown[1]), int(shown[2])) == (total, total), "make equations prints the count"


MADE = ("api/", "derivations/", "notebooks/")  # pages of the site alone; `make docs` follows the links to them


def test_links_in_readme_and_docs_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]*[./][^)#]*)\)", page.read_text()):
            if page.name != "README.md" and target.startswith(MADE):
                continue
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
