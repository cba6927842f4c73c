"""The files around the package say the same thing. requirements.txt repeats pyproject.toml for readers, and may not
drift from it; what a newcomer and the checks start must be executable.
"""

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
