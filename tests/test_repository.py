"""The files around the package say the same thing. requirements.txt repeats pyproject.toml for readers, and may not
drift from it; what a newcomer and the checks start must be executable.
"""

import contextlib
import io
import os
import re
import tomllib
from pathlib import Path

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


def test_the_example_in_the_readme_prints_what_it_says():
    text = (ROOT / "README.md").read_text()
    code, shown = re.search(r"```python\n(.*?)```", text, re.S)[1], re.search(r"```text\n(.*?)```", text, re.S)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    lines, expected = printed.getvalue().splitlines(), shown.splitlines()
    assert lines[2] == expected[2] == "True"
    assert [f"{float(x):.12g}" for x in lines[0].split()] == [f"{float(x):.12g}" for x in expected[0].split()]
    assert float(lines[1]) < 1e-15 and float(expected[1]) < 1e-15  # rounding, which differs between processors


def test_links_in_readme_and_docs_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
