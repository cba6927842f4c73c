"""The course on the command line: grade a notebook, list the exercises. It needs no network.

    python -m minicl.course list [07]                               the exercises, or those of one notebook
    python -m minicl.course grade notebook.ipynb [--out folder]     a report, printed and as .json and .md

The exit status is 0 if all exercises pass, 1 if some do not, and 2 if the notebook could not be read.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from . import EXERCISES, notebook


def main(arguments=None):
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m minicl.course",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="print the exercises")
    listing.add_argument("notebook", nargs="?", default="", help="only those of this notebook, such as 07")
    grading = commands.add_parser("grade", help="run a notebook and check its answers")
    grading.add_argument("notebook", type=Path)
    grading.add_argument("--out", type=Path, default=Path(), help="folder for the reports (default: this one)")
    grading.add_argument("--exercise", action="append", default=[], help="ask for this one too; may be repeated")
    grading.add_argument("--timeout", type=float, default=60, help="seconds that a cell may take (default: 60)")
    grading.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    options = parser.parse_args(arguments)
    return _list(options) if options.command == "list" else _grade(options)


def _list(options):
    chosen = [e for e in EXERCISES.values() if e.notebook.startswith(options.notebook)]
    if not chosen:
        numbers = ", ".join(sorted({exercise.notebook for exercise in EXERCISES.values()}))
        print(f"Error: no exercise belongs to notebook {options.notebook!r}; there are {numbers}", file=sys.stderr)
        return 2
    width = max(len(exercise.name) for exercise in chosen)
    for exercise in sorted(chosen, key=lambda exercise: exercise.notebook):
        print(f"{exercise.notebook}  {exercise.name.ljust(width)}  {exercise.summary}")
    return 0


def _grade(options):
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it reports a process that ended, which the page says too
    try:
        result = notebook.grade(options.notebook, options.seed, options.timeout, options.exercise)
        page, stem = notebook.markdown(result), options.notebook.stem
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{stem}.grade.md").write_text(page, encoding="utf-8")
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
        (options.out / f"{stem}.grade.json").write_text(text + "\n", encoding="utf-8")
    except (notebook.Unreadable, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(page)
    print(f"Written to {options.out / stem}.grade.md and .grade.json")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
