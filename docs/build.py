"""Builds the site: `make docs` puts the pages together, runs Sphinx with warnings as errors, and reads what came out.

    python -m docs.build           the site in build/docs/html
    python -m docs.build --fresh   the same from nothing

Pages written by hand lie in this folder. The notebooks, the derivations and the reference are made into pages here.
"""

import argparse
import re
import shutil
import sys
import time
from pathlib import Path

import nbformat

from docs import generated, inspect_pages, reference

ROOT = Path(__file__).resolve().parent.parent
DOCS, BUILD = ROOT / "docs", ROOT / "build" / "docs"


def written():
    """The pages and files of this folder that belong on the site, by their path there."""
    keep = [*DOCS.rglob("*.md"), *DOCS.glob("*.svg"), *DOCS.glob("_static/**/*"), DOCS / "conf.py"]
    return {path.relative_to(DOCS).as_posix(): path for path in keep if path.is_file()}


def relinked(text):
    """Links of a page in docs/ to other parts of the repository, as links within the site.

    On a code host `../notebooks/07_nt_xent.ipynb` leads to the notebook, here to its page. What the site does not have loses
    its link.

    Examples
    --------
    >>> relinked("[07](../notebooks/07_nt_xent.ipynb), [the loss](../minicl/losses/nt_xent.py), [all](../README.md)")
    '[07](notebooks/07_nt_xent.ipynb), the loss, [all](index.md)'
    """
    text = re.sub(r"\]\(\.\./notebooks/(\d\d_\w+\.ipynb)", r"](notebooks/\1", text)
    text = re.sub(r"\]\(\.\./notebooks/?\)", r"](lessons.md)", text)
    text = re.sub(r"\]\(\.\./README\.md\)", r"](index.md)", text)
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", text)


def put_together(source=BUILD / "source", cache=BUILD / "derivations"):
    """Writes all sources of the site into a folder; a file that did not change is left alone, so that Sphinx skips it."""
    pages = {}
    for name, path in written().items():
        pages[name] = relinked(path.read_text(encoding="utf-8")) if name.endswith(".md") else path.read_bytes()
    repo = generated.repository()
    for path in generated.lessons():
        pages[f"notebooks/{path.name}"] = nbformat.writes(generated.lesson(path, repo))
    pages["training_movie.html"] = generated.movie()
    pages |= {f"derivations/{name}": text for name, text in generated.derivations(cache).items()}
    pages |= {f"api/{name}": text for name, text in reference.files().items()}
    for name, text in pages.items():
        path, data = source / name, text if isinstance(text, bytes) else text.encode()
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in source.rglob("*"):
        if path.is_file() and path.relative_to(source).as_posix() not in pages:
            path.unlink()
    return source


def main(arguments=None):
    """Reads the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description=__doc__.split("\n\n")[0])
    parser.add_argument("--fresh", action="store_true", help="forget what was built before")
    options = parser.parse_args(arguments)
    from sphinx.cmd.build import main as sphinx

    if options.fresh:
        shutil.rmtree(BUILD, ignore_errors=True)
    start = time.perf_counter()
    print("Checking the derivations and putting the pages together", flush=True)
    source = put_together()
    html = BUILD / "html"
    # Sphinx remembers where code stood; and a build that was broken off leaves pages that are not whole.
    mark, made = generated.fingerprint() + (DOCS / "conf.py").read_text(encoding="utf-8"), BUILD / "made_from"
    known = made.read_text(encoding="utf-8") if made.exists() else ""
    if known != mark or not (html / "searchindex.js").exists():
        for old in (html, BUILD / "doctrees"):
            shutil.rmtree(old, ignore_errors=True)
    made.write_text(mark, encoding="utf-8")
    status = sphinx(["-q", "-W", "--keep-going", "-b", "html", "-d", str(BUILD / "doctrees"), str(source), str(html)])
    if status:
        return status
    found = inspect_pages.inspect(html)
    for problem in found["problems"]:
        print(f"Error: {problem}", file=sys.stderr)
    print(
        f"{found['pages']} pages, {found['links']} links within the site, {len(found['problems'])} problems; "
        f"{time.perf_counter() - start:.0f} s\nOpen {html / 'index.html'}"
    )
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
