"""The pages of the site that are made from something else: the notebooks, and the derivations with what came out."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import urlparse

import nbformat

ROOT = Path(__file__).resolve().parent.parent


def repository(settings=ROOT / "pyproject.toml"):
    """What `Repository` in `[project.urls]` of pyproject.toml says, as "owner/name"; None unless it is on GitHub."""
    project = tomllib.loads(Path(settings).read_text(encoding="utf-8"))["project"]
    parts = urlparse(project.get("urls", {}).get("Repository", ""))
    path = re.fullmatch(r"/([\w.-]+/[\w.-]+?)(?:\.git)?/?", parts.path)
    return path[1] if parts.hostname == "github.com" and path else None


def online(notebook, repo):
    """Where a notebook of a repository can be run with nothing installed: (name, address)."""
    yield "Binder", f"https://mybinder.org/v2/gh/{repo}/HEAD?labpath=notebooks%2F{notebook}.ipynb"
    yield "Colab", f"https://colab.research.google.com/github/{repo}/blob/HEAD/notebooks/{notebook}.ipynb"


def lesson(path, repo=None):
    """A notebook as its page shows it: the same, with a line on how to get and run it under the title.

    Jupyter's anchors keep capitals (`#Check-yourself`), those of the site have none.
    """
    notebook = nbformat.read(path, as_version=4)
    places, colab = [f"{{download}}`this notebook <{path.name}>`"], ""
    if repo:
        places += [f"[{name}]({url})" for name, url in online(path.stem, repo)]
        colab = f" In Colab, run this in a cell of its own first: `!pip install -q git+https://github.com/{repo}`."
    note = f":::{{container}} run\nRun it: {', '.join(places)}.{colab} What it shows was stored by a run in the full\nprofile.\n:::"
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{note}\n{rest}"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _anchors(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = _anchors(data["text/markdown"])
    return notebook


def _anchors(text):
    return re.sub(r"\]\(#([^)]+)\)", lambda m: f"](#{m[1].lower()})", text)


def lessons():
    """The notebooks in order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def title(notebook):
    """The heading of a notebook."""
    return next(line[2:] for cell in notebook.cells for line in cell.source.splitlines() if line.startswith("# "))


def fingerprint():
    """A hash of the package: derivations are worked out again where it changed."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "minicl").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def arxiv(text):
    """Markdown in which each arXiv number is a link.

    Examples
    --------
    >>> arxiv("Chen et al. 2020 (arXiv:2002.05709)")
    'Chen et al. 2020 ([arXiv:2002.05709](https://arxiv.org/abs/2002.05709))'
    """
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def derivation(d):
    """The page of a derivation, and what the index says of it. It checks every statement, and refuses one that fails.

    Raises
    ------
    ValueError
        If a statement did not come out as stated.
    """
    report = d.check()
    failed = [row.statement.name for row in report.rows if not row.passed]
    if failed:
        raise ValueError(f"the derivation {d.key} does not hold: {failed}")
    text = [f"# {d.title}", d.intro, f'{report.summary()} Run it: `mc.derivations.ALL["{d.key}"].check()`.']
    text += [d[name]._repr_markdown_() for name in d]
    if d.sources:
        text.append(f"**Sources.** {arxiv(d.sources)}")
    residuals = [
        float(row.outcome.measure.split()[1]) for row in report.rows if row.outcome.measure.startswith("residual")
    ]
    row = {
        "title": d.title,
        "statements": len(report.rows),
        "false": sum(row.statement.kind == "FALSE" for row in report.rows),
        "residual": max(residuals, default=None),
    }
    return "\n\n".join(filter(None, text)) + "\n", row


def derivations(cache, keys=None):
    """All derivations: a dictionary from file name to text, the index among them. Known results are taken from `cache`."""
    from minicl.derivations import ALL

    files, rows, mark = {}, [], fingerprint()
    for key in keys or ALL:
        known = cache / f"{key}.json"
        entry = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
        if entry.get("fingerprint") != mark:
            text, row = derivation(ALL[key])
            entry = {"fingerprint": mark, "text": text, "row": row}
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(entry), encoding="utf-8")
        files[f"{key}.md"] = entry["text"]
        rows.append((key, entry["row"]))
    files["index.md"] = index(rows)
    return files


def index(rows):
    """The table of the derivations."""
    total, false = (sum(row[k] for _, row in rows) for k in ("statements", "false"))
    lines = [
        "# Derivations",
        f"Each of these {total} lines is one expression that is shown, evaluated and held against the other side. A residual is\n"
        f"the largest difference of the two sides over at least 100 random inputs and the hard ones, relative to the terms;\n"
        f"where it says so, both sides were worked out to 50 digits too. {false} of the lines are FALSE: tempting wrong steps,\n"
        "which have to fail, and show an input on which they do. All were run when this page was made.",
        "| derivation | lines | of them FALSE | largest residual |\n|---|---:|---:|---:|\n"
        + "\n".join(
            f"| [{row['title']}]({key}.md) | {row['statements']} | {row['false']} | "
            f"{'–' if row['residual'] is None else format(row['residual'], '.0e')} |"
            for key, row in rows
        ),
        "```{toctree}\n:hidden:\n\n" + "\n".join(key for key, _ in rows) + "\n```",
    ]
    return "\n\n".join(lines) + "\n"


def movie(path=ROOT / "docs" / "learning.json"):
    """The training movie out of the stored run of `docs/learning.py`, as a piece of a page."""
    from minicl.viz import training_movie

    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    about = "SimCLR on digits without labels; 300 test images as points of a sphere, seen from one side, drawn as what they are."
    return training_movie(stored["panels"], stored["labels"], about).html()
