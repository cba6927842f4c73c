"""Runs the notebooks from top to bottom: `make notebooks` writes executed copies, `make sync` the tracked .ipynb.
The .py files are the source. A cell's id is a hash of its code, so outputs that belong to older code are found out.

    python -m notebooks.build run  [01 02 ...]     copies and web pages in build/notebooks; tracked files stay
    python -m notebooks.build sync [01 02 ...]     full profile, into notebooks/*.ipynb; twice gives the same bytes
    python -m notebooks.build lab                  JupyterLab on the copies
"""

import argparse
import hashlib
import importlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat.sign import NotebookNotary
from tqdm import tqdm

from notebooks.webpage import webpage

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
COPIES = BUILD / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = {"fast": 120, "full": 900}  # seconds


def sources(names=(), folder=NOTEBOOKS):
    """The sources NN_*.py in order, or those among them whose name starts with one of `names`."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    return [path for path in found if path.stem.startswith(tuple(names))] if names else found


def environment(profile):
    """The variables of a run that depends on this checkout alone: no setting of the user, one thread, one hash seed."""
    home = BUILD / "jupyter"
    return {
        "MINICL_PROFILE": profile,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PATH": "",
        "JUPYTER_CONFIG_PATH": "",
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def enter(profile):
    """Puts this process, and so the kernels it starts, into `environment(profile)`."""
    os.environ.update(environment(profile))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        Path(os.environ[name]).mkdir(parents=True, exist_ok=True)
    # The first import lists the fonts; done inside a cell it can print a line there, and only the first time.
    importlib.import_module("matplotlib.font_manager")


def identity(code, taken=()):
    """The id of a cell: a hash of its source, with a count where the same source stands twice."""
    digest = hashlib.sha256(code.encode()).hexdigest()[:12]
    names = (digest if n == 0 else f"{digest}-{n}" for n in range(len(taken) + 1))
    return next(name for name in names if name not in taken)


def read(source):
    """A percent source as a notebook without outputs, free of all that differs between machines and versions."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {
                "file_extension": ".py",
                "mimetype": "text/x-python",
                "name": "python",
                "pygments_lexer": "ipython3",
            },
        }
    )
    ids = []
    for cell in notebook.cells:
        ids.append(identity(cell.source, ids))
        cell.id = ids[-1]
        for name in ("lines_to_next_cell", "lines_to_end_of_cell_marker"):  # jupytext's notes on blank lines
            cell.metadata.pop(name, None)
    return notebook


def code_cells(notebook):
    """The cells that run, each with its position; an empty one does not."""
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


def execute(notebook, folder, profile, on_cell=lambda **_: None):
    """Runs every cell in place, in a new kernel of this very Python whose working directory is `folder`.

    Raises
    ------
    CellExecutionError, CellTimeoutError, DeadKernelError
        nbclient's; the message shows the cell and the error. The outputs up to there stay in the notebook.
    """
    kept = notebook.metadata.copy()
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_TIMEOUT[profile],
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],  # else a kernel warns that its loopback socket is not encrypted
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=on_cell,
    )
    try:
        client.execute()
    finally:
        # What differs from run to run goes: live widgets have random ids (and show nothing without a kernel), streams
        # arrive in pieces that depend on timing, the kernel reports its version.
        for _, cell in code_cells(notebook):
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        CoalesceStreamsPreprocessor().preprocess(notebook, {})
        notebook.metadata = nbformat.from_dict({**kept, "minicl": {"profile": profile}})


def edited(path):
    """Whether a reader changed the code of an executed copy: then an id is no longer the hash of its cell."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception:
        return True
    return any(cell.get("id", "").split("-")[0] != identity(cell.source) for cell in cells)


def keep_edited(path):
    """Moves a copy that its reader changed out of the way, and returns its new name, or None."""
    if not path.exists() or not edited(path):
        return None
    names = (path.with_name(f"{path.stem}.edited-{n}.ipynb") for n in range(1, 10_000))
    return path.rename(next(name for name in names if not name.exists()))


def run_all(paths, write, profile, folder=None):
    """Runs the notebooks one after the other under a progress bar, hands each to `write(path, notebook, failed)`,
    and returns the names of those that failed. A failure is printed with its cell and does not stop the others.
    """
    notebooks = [(path, read(path)) for path in paths]
    cells, failures = sum(len(code_cells(notebook)) for _, notebook in notebooks), []
    with tqdm(total=cells, unit="cell", disable=not sys.stderr.isatty()) as bar:
        for path, notebook in notebooks:
            bar.set_description(path.stem)
            start, after = time.perf_counter(), bar.n + len(code_cells(notebook))
            problem = _attempt(notebook, folder, profile, on_cell=lambda **_: bar.update())
            bar.n = after  # a failed notebook leaves cells out
            try:
                write(path, notebook, problem is not None)
            except ValueError as error:  # a formula that the page cannot show
                problem = problem or str(error)
            seconds = time.perf_counter() - start
            bar.write(f"  {path.stem:<40} {'FAILED' if problem else 'ok':<6} {seconds:6.1f} s", file=sys.stdout)
            if problem:
                bar.write(_indent(problem), file=sys.stdout)
                failures.append(path.stem)
            sys.stdout.flush()
    return failures


def _attempt(notebook, folder, profile, on_cell):
    """Runs a notebook in `folder`, or in a scratch folder; returns None, or what went wrong and where."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            execute(notebook, folder or scratch, profile, on_cell)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return f"{_failing_cell(notebook)}\n{error}"
    return None


def _failing_cell(notebook):
    """Where a run stopped: the first code cell with an error, else the first that has not run."""
    for i, cell in code_cells(notebook):
        if any(output.output_type == "error" for output in cell.outputs) or cell.execution_count is None:
            return f"in cell {i} of {len(notebook.cells)} (id {cell.id}):"
    return "after the last cell:"


def _indent(text):
    """A message under its notebook's line, without colour codes where nobody sees colours."""
    if not sys.stdout.isatty():
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "\n".join("    " + line for line in text.splitlines())


def build_copies(paths, copies=COPIES, profile=None):
    """Writes an executed copy and a web page of each source into `copies`; returns the names that failed."""
    profile = profile or os.environ.get("MINICL_PROFILE", "fast")
    enter(profile)
    copies.mkdir(parents=True, exist_ok=True)

    def write(path, notebook, failed):
        copy = copies / f"{path.stem}.ipynb"
        moved = keep_edited(copy)
        if moved:
            tqdm.write(f"  your changes to {copy.name} are kept in {moved.name}")
        nbformat.write(notebook, copy)
        NotebookNotary().sign(nbformat.read(copy, as_version=4))  # JupyterLab runs the widgets of a signed copy alone
        copy.with_suffix(".html").write_text(webpage(notebook, path.stem), encoding="utf-8")

    print(f"Notebooks to run: {len(paths)}, {profile} profile")
    failures = run_all(paths, write, profile, copies)
    print(f"\nExecuted copies and web pages are in {copies}:")
    for path in paths:
        print(f"  {path.stem}.ipynb   {path.stem}.html")
    print("To work in them: make lab")
    return failures


def store(paths):
    """Runs the sources in the full profile and stores them as the tracked .ipynb, unless a cell fails."""
    enter("full")

    def write(path, notebook, failed):
        webpage(notebook, path.stem)
        if not failed:
            nbformat.write(notebook, path.with_suffix(".ipynb"))

    print(f"Notebooks to run and store: {len(paths)}, full profile")
    return run_all(paths, write, "full")


def open_lab(arguments):
    """Becomes JupyterLab on the executed copies, with the settings of this checkout."""
    if not any(COPIES.glob("*.ipynb")):
        build_copies(sources())
    enter(os.environ.get("MINICL_PROFILE", "fast"))
    for name in ("TQDM_DISABLE", "MPLBACKEND", "PYTHONHASHSEED"):  # a person at work sees progress bars
        del os.environ[name]
    quiet = [
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        f"--ServerApp.root_dir={COPIES}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet.append("--allow-root")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *quiet, *arguments])


def main(arguments=None):
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.build", description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["run", "sync", "lab"])
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, as 01; for lab, JupyterLab's options")
    options = parser.parse_args(arguments)
    if options.command == "lab":
        return open_lab(options.names)
    paths = sources(options.names)
    if not paths:
        wanted = " or ".join(f"{name}*" for name in options.names) or "NN_*"
        print(f"Error: there is no source {wanted}.py in {NOTEBOOKS}", file=sys.stderr)
        return 2
    failures = build_copies(paths) if options.command == "run" else store(paths)
    if failures:
        print(f"\nError: {len(failures)} of {len(paths)} notebooks failed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
