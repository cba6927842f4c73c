"""The lessons in the browser: `make lite` builds a JupyterLite site in build/lite, with a wheel of minicl for its kernel.

    python -m docs.lite          the site in build/lite
    python -m docs.lite serve    shows it on this machine

The site is a folder of files for any web server. The kernel is Pyodide, Python compiled for the browser. It is not part of
the folder: Pyodide and its builds of NumPy, SciPy, Matplotlib and scikit-learn come from the network when a notebook starts.
"""

import argparse
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SITE, WORK = ROOT / "build" / "lite", ROOT / "build" / "lite_parts"
KERNEL = "@jupyterlite/pyodide-kernel-extension"

# What Pyodide 314 has, of what minicl needs (from the list of packages that comes with it). The kernel loads no others.
PYODIDE = {
    "python": "3.14.2",
    "numpy": "2.4.6",
    "scipy": "1.18.0",
    "scikit-learn": "1.8.0",
    "matplotlib": "3.10.8",
    "sympy": "1.14.0",
    "tqdm": "4.67.3",
    "safetensors": "0.7.0",
    "threadpoolctl": "3.6.0",
    "ipython": "9.12.0",
}

FIRST = "# In the browser: run this cell first. It loads minicl and what it needs, about a minute.\n%pip install minicl"


def lesson(path):
    """A notebook as it stands in the browser: the same, and first a cell that loads minicl.

    Examples
    --------
    >>> lesson(ROOT / "notebooks" / "07_nt_xent.ipynb").cells[0].source.splitlines()[-1]
    '%pip install minicl'
    """
    notebook = nbformat.read(path, as_version=4)
    cell = nbformat.v4.new_code_cell(FIRST)
    cell.id = "in-the-browser"
    notebook.cells.insert(0, cell)
    notebook.metadata["kernelspec"] = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    return notebook


def wheel(folder):
    """Builds the wheel of this checkout in a folder and returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    _run("hatchling", "build", "-t", "wheel", "-d", str(folder), folder=ROOT)
    (path,) = folder.glob("*.whl")
    return path


def _run(program, *arguments, folder, **environment):
    command = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"docs.lite: {program} stopped with an error:\n{(done.stdout + done.stderr)[-3000:]}")


def put_together(folder):
    """The files that the site is made from: the lessons with what they read, and the settings of the kernel."""
    shutil.rmtree(folder, ignore_errors=True)
    files = folder / "files"
    shutil.copytree(ROOT / "notebooks" / "data", files / "data")
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        text = json.dumps(lesson(path), ensure_ascii=False)  # no lists of lines, which the page's contents cannot read
        (files / path.name).write_text(text, encoding="utf-8")
    # Nothing may come in minicl's place from a registry, where somebody else could take the name.
    settings = {"litePluginSettings": {f"{KERNEL}:kernel": {"disablePyPIFallback": True}}}
    config = {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"appName": "minicl", **settings}}
    (folder / "jupyter-lite.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    extension = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / KERNEL
    build = {
        "apps": ["lab"],
        "contents": [str(files)],
        "federated_extensions": [str(extension)],  # those of this Python's own JupyterLab would ask for its server
        "ignore_sys_prefix": ["federated_extensions"],
        "no_sourcemaps": True,
    }
    lite = {"LiteBuildConfig": build, "PipliteAddon": {"piplite_urls": [str(wheel(folder / "wheel"))]}}
    (folder / "jupyter_lite_config.json").write_text(json.dumps(lite, indent=2), encoding="utf-8")
    return folder


def build(site=SITE, parts=WORK):
    """Builds the site in one folder, out of parts that it lays in another; returns the first.

    Raises
    ------
    RuntimeError
        If the wheel or the site could not be built; with the end of what the builder wrote.
    """
    put_together(parts)
    shutil.rmtree(site, ignore_errors=True)
    places = {f"JUPYTER_{name}_DIR": str(parts / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    _run("jupyterlite_core", "build", "--lite-dir", ".", "--output-dir", str(site), folder=parts, **places)
    return site


def serve(port=8000):
    """Shows the site at http://localhost:port until it is interrupted."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://localhost:{port}/lab/index.html (end with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


def main(arguments=None):
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.lite", description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="?", choices=["build", "serve"], default="build")
    options = parser.parse_args(arguments)
    if options.what == "serve":
        serve()
        return 0
    site = build()
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(
        f"{len(list((site / 'files').glob('*.ipynb')))} notebooks and the wheel of minicl, {size / 1e6:.0f} MB, in {site}\n"
        "Put the folder on a web server, or look at it here: python -m docs.lite serve\n"
        "It needs the network: Pyodide, NumPy, SciPy, Matplotlib and scikit-learn are loaded from Pyodide's CDN,\n"
        "cdn.jsdelivr.net, when a notebook starts. Reading the notebooks needs no network."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
