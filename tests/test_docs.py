"""The site's pages say what is so: tables are executed, examples run, terms are spelled in one way, and all links lead
somewhere. `make docs` builds the site itself; the faults it must find are planted here.
"""

import ast
import doctest
import importlib
import importlib.util
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import minicl as mc
from docs import build, generated, inspect_pages, learning, reference

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def prose(text):
    """A page without its code and its links' addresses."""
    text = re.sub(r"^(```|:::).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^    .*$|`[^`\n]*`|google-research/simclr", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\([^)]*\)|https?://\S+", "", text)


# ------------------------------------------------------------------------------------------- coming from PyTorch or JAX


def tables(page):
    """The tables of a page: lists of rows, each a list of cells."""
    found, rows = [], []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            found.append(rows[2:])
            rows = []
    return found


SAME, OTHER = tables((DOCS / "coming_from.md").read_text(encoding="utf-8"))
COLUMNS = ["minicl", "torch", "jax"]


def namespace(column):
    """The names that the cells of a column use."""
    names = {"np": np}
    if column == "torch":
        torch = pytest.importorskip("torch", reason="torch is an oracle: make oracles")
        importlib.import_module("torch.utils.checkpoint")
        names |= {"torch": torch, "F": torch.nn.functional}
    elif column == "jax":
        jax = pytest.importorskip("jax", reason="jax is an oracle: make oracles")
        names |= {"jax": jax, "jnp": jax.numpy}
    else:
        names["mc"] = mc
    return names


def arrays():
    rng = np.random.default_rng(7)
    shapes = {
        "x": (5, 3),
        "y": (5, 3),
        "v": (5, 3),
        "logits": (5, 4),
        "w": (3, 4),
        "images": (2, 6, 6, 3),
        "k": (3, 3, 3, 4),
    }
    found = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {**found, "labels": rng.integers(4, size=5), "pos": rng.uniform(0.5, 2.0, size=3)}


def value(code, column):
    """What a cell of the first table gives, as an array."""
    names, given = namespace(column), arrays()
    if column == "torch":
        torch = names["torch"]
        names |= {n: torch.tensor(a, requires_grad=a.dtype.kind == "f") for n, a in given.items()}
    elif column == "jax":
        names |= {n: names["jnp"].asarray(a) for n, a in given.items()}
    else:
        names |= {n: mc.tensor(a) if a.dtype.kind == "f" else a for n, a in given.items()}
    exec("f = lambda x: (x ** 3).sum()", names)
    result = eval(code, names)
    if column == "torch":
        return result.detach().numpy()
    return np.asarray(result) if column == "jax" else mc.to_numpy(result)


def code(cell):
    assert cell.startswith("`") and cell.endswith("`"), f"a cell is one piece of code: {cell}"
    return cell[1:-1]


@pytest.mark.parametrize("row", SAME, ids=[row[0] for row in SAME])
@pytest.mark.parametrize("column", COLUMNS[1:])
def test_a_row_gives_the_same_numbers_in_each_library(row, column):
    if column == "jax":
        jax = namespace("jax")["jax"]
        with jax.enable_x64(True):
            theirs = value(code(row[3]), column)
    else:
        theirs = value(code(row[2]), column)
    ours = value(code(row[1]), "minicl")
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max()
    assert scale > 0 and np.abs(ours - theirs).max() < 1e-12 * scale


@pytest.mark.parametrize("row", OTHER, ids=[row[0] for row in OTHER])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_says_what_each_library_does(row, column):
    cell = row[1 + COLUMNS.index(column)]
    if cell == "–":
        return
    text, verb, result = re.fullmatch(r"`([^`]+)` (gives|raises) `([^`]+)`", cell).groups()
    names = namespace(column)
    *statements, last = ast.parse(text).body

    def run():
        exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        return exec(compile(ast.Module([last], []), "<cell>", "exec"), names)

    if verb == "gives":
        assert repr(run()) == result
    else:
        with pytest.raises(Exception) as caught:
            run()
        assert type(caught.value).__name__ == result


# --------------------------------------------------------------------------------------------------- pages by hand


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_examples_of_a_page_give_what_it_shows(path):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(path), module_relative=False, optionflags=flags).failed == 0


@pytest.mark.parametrize("module", [build, generated, inspect_pages, reference], ids=lambda module: module.__name__)
def test_the_examples_of_the_builder(module):
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.fixture(scope="module")
def sources():
    """The sources of the site by their path, the derivations as empty pages: those are checked elsewhere."""
    from minicl.derivations import ALL

    made = [*ALL, "index"]
    pages = {path.relative_to(DOCS).as_posix(): build.relinked(path.read_text(encoding="utf-8")) for path in PAGES}
    return {
        **pages,
        **{f"notebooks/{path.name}": "" for path in generated.lessons()},
        **{f"derivations/{key}.md": "" for key in made},
        **{f"api/{name}": text for name, text in reference.files().items()},
    }


def test_links_between_pages_lead_somewhere_and_each_page_is_in_a_list(sources):
    listed = {"index"}
    for name, text in sources.items():
        folder = Path(name).parent
        for address in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"`[^`\n]*`", "", text)):
            if not re.match(r"https?:", address):
                picture = address.endswith(".svg") and (DOCS / folder / address).exists()
                assert picture or (folder / address).as_posix() in sources, f"{name} links to {address}"
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            for line in filter(None, (line.strip() for line in block.splitlines())):
                entry = re.sub(r".*<(.*)>", r"\1", line)
                if "*" in entry:
                    listed |= {n.rsplit(".", 1)[0] for n in sources if Path(n).match(entry)}
                elif not line.startswith(":"):
                    assert any(f"{entry}.{end}" in sources for end in ("md", "rst")), f"{name} lists {entry}"
                    listed.add(entry)
    by_hand = {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES}
    assert by_hand <= listed


def test_the_picture_says_what_the_run_gave():
    """The stored numbers, the picture, its text on each page, and the first epochs run again agree."""
    stored = json.loads(learning.MOVIE.read_text(encoding="utf-8"))
    shares = {int(epoch): value for epoch, value in stored["shares"].items()}
    caption, drawn = learning.caption(shares), learning.PICTURE.read_text(encoding="utf-8")
    assert f"<title>{caption}</title>" in drawn and len(drawn) < 100_000
    for page, place in (("README.md", "docs/_static/learning.svg"), ("docs/index.md", "_static/learning.svg")):
        assert f"![{caption}]({place})" in (ROOT / page).read_text(encoding="utf-8")
    assert not inspect_pages.Page(drawn).requests and "prefers-color-scheme:dark" in drawn
    found, labels = learning.run((0, 5))
    assert labels.tolist() == stored["labels"]
    for epoch, z in found.items():  # other processors round otherwise
        assert abs(learning.share(z, labels) - shares[epoch]) < 0.05
    assert shares[0] < 0.4 and shares[100] > 0.8


def test_the_theme_changes_no_widget():
    """The theme stands on Bootstrap, whose `.card` or `.row` would apply in a widget too: site.css takes each of them back."""
    theme = pytest.importorskip("pydata_sphinx_theme", reason="needs the theme of the site (extra: docs)")
    sheets = [path.read_text(encoding="utf-8") for path in Path(theme.__file__).parent.rglob("static/styles/*.css")]
    selectors = re.findall(r"([^{}]+)\{", re.sub(r"(?s)/\*.*?\*/", "", "".join(sheets)))
    alone = re.compile(r"\.([a-zA-Z][\w-]*)(?:>\*)?(?::[\w-]+)?")  # .card, .row>*, .btn:hover
    theirs = {m[1] for text in selectors for part in text.split(",") if (m := alone.fullmatch(part.strip()))}
    assert {"card", "btn", "row"} <= theirs
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "minicl" / "viz" / "js").glob("*.js"))
    said = re.findall(r'class: [`"]([^`"]*)[`"]', scripts)
    said += [name for pair in re.findall(r'class: [^,}]*\? "([\w ]*)" : "([\w ]*)"', scripts) for name in pair]
    ours = {name for names in said for name in names.split()}
    style = (DOCS / "_static" / "site.css").read_text(encoding="utf-8")
    assert len(ours) > 50
    assert {name for name in ours & theirs if f".minicl-widget .{name} " not in style} == set()


def test_turning_the_spheres_moves_nothing_on_them(rng):
    spheres = {k: z / np.linalg.norm(z, axis=1, keepdims=True) for k, z in enumerate(rng.normal(size=(3, 20, 3)))}
    for (_, z), (_, there) in zip(spheres.items(), learning.turned(spheres).items()):
        assert np.abs(there @ there.T - z @ z.T).max() < 1e-12


def test_the_page_of_widgets_names_each_of_them_and_its_example_runs(monkeypatch):
    text = (DOCS / "widgets.md").read_text(encoding="utf-8")
    kinds = {name for name in mc.viz.__all__ if (ROOT / "minicl" / "viz" / "js" / f"{name}.js").exists()}
    rows = {row[0].split("`")[1]: row[2] for row in tables(text)[0]}
    assert set(rows) == kinds
    for name, lesson in rows.items():
        if number := re.match(r"\[(\d\d)\]", lesson):
            (source,) = (ROOT / "notebooks").glob(f"{number[1]}_*.py")
            assert re.search(rf"\b{name}\(", source.read_text(encoding="utf-8")), f"lesson {number[1]} has no {name}"
    widgets = pytest.importorskip("ipywidgets", reason="needs ipywidgets (extra: notebooks)")
    made = []
    monkeypatch.setattr(widgets, "interact", lambda *a, **k: made.append(widgets.interactive(*a, **k)))
    exec(re.findall(r"```python\n(.*?)```", text, re.S)[-1], {})
    (made,) = made
    seen = []
    for tau in (0.1, 2.0):
        made.children[0].value = tau
        made.update()
        seen.append(float(made.result))
    z1, z2 = np.random.default_rng(0).normal(size=(2, 8, 4))
    assert seen == [float(mc.losses.nt_xent(z1, z2, temperature=tau)) for tau in (0.1, 2.0)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_displayed_equation_of_a_page_is_executed(path):
    from notebooks import equations

    known = equations.statements()
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for latex in re.findall(r"(?<!\\)\$\$(.+?)\$\$", text, flags=re.DOTALL):
        assert equations.plain(latex) in known, f"no derivation executes {latex}"


def test_the_version_is_the_same_everywhere():
    version = re.escape(mc.__version__)
    for name, pattern in {
        "CITATION.cff": rf"^version: {version}$",
        "docs/cite.md": rf"version = {{{{?{version}}}",
        "docs/changelog.md": rf"^## {version}$",
        "pyproject.toml": rf'^version = "{version}"$',
    }.items():
        assert re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE), name


# ---------------------------------------------------------------------------------------------------------- notation


def test_symbols_and_words_are_said_once_in_both_languages_and_code_exists():
    import inspect

    *symbols, words = tables((DOCS / "notation.md").read_text(encoding="utf-8"))
    rows = [row for table in symbols for row in table]
    said = [row[0] for row in rows]
    assert len(said) == len(set(said)) and len({row[0] for row in words}) == len(words)
    for row in [*rows, *words]:
        chinese = row[3] if row in rows else row[1]
        assert re.search(r"[\u4e00-\u9fff]", chinese), f"no Chinese term for {row[0]}"
    known = {
        *inspect.signature(mc.losses.nt_xent).parameters,
        *inspect.signature(mc.losses.moco).parameters,
        *inspect.signature(mc.losses.triplet).parameters,
        *inspect.signature(mc.losses.nce).parameters,
        *inspect.signature(mc.grad).parameters,
        *(name for module in (mc.data, mc.nn.Module, mc.ContrastiveEncoder) for name in dir(module)),
    }
    for row in rows:
        for text in re.findall(r"`([^`]+)`", row[2]):
            name = re.search(r"(?:len\()?([A-Za-z_][\w.]*)", text)[1]
            if name.startswith("mc."):
                thing = mc
                for part in name.split(".")[1:]:
                    thing = getattr(thing, part)
            elif name not in ("g", "x", "z.shape", "len"):
                assert name.split(".")[0] in known, f"{row[0]} is called {name!r}, which no code has"


# How a term is written; what the pattern finds and the list does not have is a variant.
SPELLED = {
    r"nt[- ]?x[- ]?ent\b": ["NT-Xent"],
    r"info[- ]?nce\b": ["InfoNCE"],
    r"sim[- ]?clr\b": ["SimCLR"],
    r"\bmo[- ]?co\b": ["MoCo"],
    r"sup[- ]?con\b": ["SupCon"],
    r"sig[- ]?lip\b": ["SigLIP"],
    r"word[- ]?2[- ]?vec\b": ["word2vec", "Word2Vec"],
    r"\bt[- ]?sne\b": ["t-SNE", "TSNE"],
    r"\bskip[- ]?gram\b": ["skip-gram", "Skip-gram"],
    r"\bpy[- ]?torch\b": ["PyTorch"],
    r"\bnum[- ]?py\b": ["NumPy"],
    r"\bcu[- ]?py\b": ["CuPy"],
    r"\bjax\b": ["JAX"],
    r"\bscikit[- ]?learn\b|\bsklearn\b": ["scikit-learn"],
    r"\bfashion[- ]?mnist\b": ["Fashion-MNIST"],
    r"\bbatch[- ]?norm\b": ["BatchNorm"],
    r"\bcos(?:ine)?[- ]sim(?:ilarity|ilarities)?\b": [
        "cosine similarity",
        "cosine similarities",
        "Cosine similarity",
        "Cosine similarities",
    ],
    r"\blog[- ]?sum[- ]?exp\b": ["log-sum-exp", "Log-sum-exp", "LogSumExp", "logsumexp"],
    r"\bsoft[- ]?max\b": ["softmax", "Softmax"],
    r"\bcross[- ]?entropy\b": ["cross-entropy", "Cross-entropy"],
    r"\bfine[- ]?tun(?:e|ed|ing)\b": ["fine-tune", "fine-tuned", "fine-tuning", "Fine-tuning", "Fine-tune", "FineTune"],
    r"\bmemory[- ]?bank\b": ["memory bank", "Memory bank", "MemoryBank"],
    r"\bprojection[- ]head\b": ["projection head", "Projection head"],
    r"\bjacobian\b": ["Jacobian"],
    r"\bhessian\b": ["Hessian"],
    r"\boptimiz(?:e|er|ers|ed|ation)\b": ["Optimizer"],
    r"\bcolor\b": [],
    r"\bgray\b": ["Gray"],  # who has a code and an algorithm
    r"\bjupyter[- ]?lab\b": ["JupyterLab"],
}


def texts():
    """All that a reader reads: pages, README, lessons."""
    for path in [*PAGES, ROOT / "README.md"]:
        yield path.name, prose(path.read_text(encoding="utf-8"))
    for path in generated.lessons():
        cells = nbformat.read(path, as_version=4).cells
        yield path.name, prose("\n\n".join(c.source for c in cells if c.cell_type == "markdown"))


def docstrings():
    """The docstrings of the package, without code."""
    for path in sorted((ROOT / "minicl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and getattr(node, "name", "m")[0] != "_":
                text = re.sub(r"(?s)Examples\n\s*-{5,}.*", "", ast.get_docstring(node) or "")
                text = re.sub(
                    r"^(\s{4,}|\s*>>>).*$|^.* : .*$|^[\w.]+(, [\w.]+)*$|\S*/\S*", "", text, flags=re.MULTILINE
                )
                yield f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}", prose(text)


def variants(text):
    return [
        found[0]
        for pattern, right in SPELLED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
        if found[0] not in right
    ]


def test_each_term_is_spelled_in_one_way():
    found = {where: variants(text) for where, text in [*texts(), *docstrings()]}
    assert not {where: words for where, words in found.items() if words}


def test_a_variant_is_found():
    text = "The NT-XEnt loss, Info-NCE and cosine-similarity in Pytorch, with `sklearn` and `info_nce` as code."
    assert variants(prose(text)) == ["NT-XEnt", "Info-NCE", "Pytorch", "cosine-similarity"]


# --------------------------------------------------------------------------------------------------------- reference


def public():
    """All public names, found without the builder: (module, name, thing)."""
    import pkgutil
    from types import ModuleType

    for name in dir(mc):
        if not name.startswith("_") and not isinstance(getattr(mc, name), ModuleType):
            yield "minicl", name, getattr(mc, name)
    for info in pkgutil.walk_packages(mc.__path__, "minicl."):
        if info.name.endswith("__main__"):
            continue
        part = importlib.import_module(info.name)
        if info.ispkg and hasattr(part, "__all__"):
            for name in part.__all__:
                thing = getattr(part, name)
                if not isinstance(thing, ModuleType):
                    yield info.name, name, thing


def test_every_public_name_stands_on_a_page_of_the_reference():
    entries = {n.full: n.thing for page in reference.pages() for n in page.entries}
    described = {id(thing) for thing in entries.values()}
    missing = [f"{m}.{n}" for m, n, thing in public() if id(thing) not in described and f"{m}.{n}" not in entries]
    assert len(list(public())) > 300 and not missing, "give them a page in docs/reference.py"


def test_derivations_of_losses_are_there():
    assert set(reference.DERIVED) <= set(mc.losses.__all__)
    assert set(reference.DERIVED.values()) <= set(mc.derivations.ALL)


def test_what_is_described_has_a_docstring_that_says_what_it_is():
    silent = [n.full for page in reference.pages() for n in page.entries if len(reference.summary(n)) < 2]
    assert not silent


@pytest.mark.parametrize("name", mc.losses.__all__)
def test_a_loss_says_what_it_takes_and_its_formula_and_shows_an_example(name):
    text = getattr(mc.losses, name).__doc__
    for section in ("Parameters", "Examples"):
        assert re.search(rf"^    {section}\n    -{{{len(section)}}}$", text, re.MULTILINE), f"{name} has no {section}"
    said = re.sub(r"(?s)    Parameters\n.*?(?=    Notes\n|$)", "", text)
    assert re.search(r"ℓ|−log|− t|²|\(1/N\)|mean|log 1|`supcon`", said), f"{name} says no formula"


# -------------------------------------------------------------------------------------------------------- the builder


def test_a_derivation_that_does_not_hold_stops_the_build():
    from minicl.derivations import Derivation, exp, log, softplus, symbols

    x = symbols("x")
    demo = Derivation(
        "demo", "Demonstration", samples=lambda rng: {"x": float(rng.normal())}, sources="arXiv:2002.05709"
    )
    demo.step("good", softplus(x), log(1 + exp(x)), "By definition.")
    text, row = generated.derivation(demo)
    assert r"\log" in text and "residual" in text and "https://arxiv.org/abs/2002.05709" in text
    assert row["statements"] == 1 and row["residual"] < 1e-11
    demo.step("bad", softplus(x), log(2 + exp(x)), "A slip.")
    with pytest.raises(ValueError, match=r"demo does not hold: \['bad'\]"):
        generated.derivation(demo)


def test_a_lesson_keeps_its_outputs_and_finds_its_own_headings():
    path = generated.lessons()[7]
    stored, page = nbformat.read(path, as_version=4), generated.lesson(path)
    figures = [
        sum("image/png" in o.get("data", {}) for c in n.cells for o in c.get("outputs", [])) for n in (stored, page)
    ]
    assert figures[0] == figures[1] > 3
    text = "\n".join(c.source for c in page.cells if c.cell_type == "markdown")
    assert "](#check-yourself)" in text and "](#Check-yourself)" not in text
    assert f"<{path.name}>" in text and not re.search("binder|colab", text, re.IGNORECASE)
    online = generated.lesson(path, "somebody/minicl").cells[0].source
    assert f"https://mybinder.org/v2/gh/somebody/minicl/HEAD?labpath=notebooks%2F{path.stem}.ipynb" in online
    assert f"https://colab.research.google.com/github/somebody/minicl/blob/HEAD/notebooks/{path.stem}.ipynb" in online
    assert "!pip install -q git+https://github.com/somebody/minicl`" in online


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ("", None),
        ('[project.urls]\nRepository = "https://github.com/somebody/minicl"', "somebody/minicl"),
        ('[project.urls]\nRepository = "https://github.com/somebody/minicl.git/"', "somebody/minicl"),
        ('[project.urls]\nRepository = "https://gitlab.com/somebody/minicl"', None),
        ('[project.urls]\nHomepage = "https://github.com/somebody/minicl"', None),
    ],
)
def test_one_setting_names_the_repository(urls, found, tmp_path, monkeypatch):
    """And each page of a lesson then has the links, or says nothing of them."""
    settings = tmp_path / "pyproject.toml"
    settings.write_text(f'[project]\nname = "minicl"\n{urls}\n')
    assert generated.repository(settings) == found
    monkeypatch.setattr(build, "written", dict)
    monkeypatch.setattr(generated, "repository", lambda: found)
    monkeypatch.setattr(generated, "derivations", lambda cache: {})
    monkeypatch.setattr(reference, "files", dict)
    pages = sorted((build.put_together(tmp_path / "source") / "notebooks").glob("*.ipynb"))
    assert len(pages) == len(generated.lessons())
    for page in pages:
        head = nbformat.read(page, as_version=4).cells[0].source
        places = [f"{address}{found}" in head for address in ("mybinder.org/v2/gh/", "google.com/github/")]
        assert places == [found is not None] * 2 and (found is not None or "github" not in head)


GOOD = '<h1 id="a">A</h1><a href="#a">a</a><a href="b.html#b">b</a><a href="https://arxiv.org/abs/2002.05709">paper</a>'
FAULTS = {
    '<a href="c.html">': "index.html: there is nothing at c.html",
    '<a href="b.html#c">': "index.html: b.html#c has no such place in it",
    '<a href="#z">': "index.html: #z has no such place in it",
    '<img src="gone.png">': "index.html: there is nothing at gone.png",
    '<script src="https://cdn.org/x.js"></script>': "index.html: asks for https://cdn.org/x.js",
    '<link rel="stylesheet" href="//cdn.org/x.css">': "index.html: asks for //cdn.org/x.css",
    '<img src="http://cdn.org/x.png">': "index.html: asks for http://cdn.org/x.png",
    "<style>@import url(https://cdn.org/x.css);</style>": "index.html: asks for https://cdn.org/x.css",
    '<p style="background: url(https://cdn.org/x.png)">': "index.html: asks for https://cdn.org/x.png",
    "<script>fetch('https://cdn.org/data')</script>": "index.html: asks for https://cdn.org/data",
}


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_dead_links_and_outside_requests_are_found(tmp_path, fault):
    (tmp_path / "index.html").write_text(GOOD + fault, encoding="utf-8")
    (tmp_path / "b.html").write_text('<h1 id="b">B</h1><script>const svg = "http://www.w3.org/2000/svg"</script>')
    (tmp_path / "site.css").write_text("p { color: red }")
    assert inspect_pages.inspect(tmp_path)["problems"] == ([FAULTS[fault]] if fault else [])


def test_an_empty_page_is_found(tmp_path):
    (tmp_path / "index.html").write_text("<p>nothing</p>")
    assert inspect_pages.inspect(tmp_path)["problems"] == ["index.html: has no heading"]


def test_a_style_sheet_that_loads_a_font_from_outside_is_found(tmp_path):
    (tmp_path / "site.css").write_text('@font-face { src: url("https://fonts.org/a.woff2") }')
    assert inspect_pages.inspect(tmp_path)["problems"] == ["site.css: asks for https://fonts.org/a.woff2"]
