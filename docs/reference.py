"""The pages of the API reference: which public name stands on which page, and the text that Sphinx makes it from.

A name is public if it stands in `__all__` of a part of minicl, or in `minicl/__init__.py`. In a module without `__all__`
each name without an underscore is.
"""

import importlib
import inspect
import re
from types import ModuleType
from typing import NamedTuple

import minicl
from minicl.engine import Primitive

# file, title, the modules whose names it has. Names that `minicl` itself offers stand under `minicl`.
PAGES = [
    ("tensors", "Tensors and gradients", ["engine", "derivatives", "recompute", "arrays"]),
    ("operations", "Operations", ["ops"]),
    ("functions", "Functions", ["functional"]),
    ("convolution", "Convolution and pooling", ["conv"]),
    ("gradcheck", "Checking gradients", ["gradcheck"]),
    ("losses", "Losses", ["losses"]),
    ("formulas", "Losses in closed form", ["formulas"]),
    ("verify", "Witnesses", ["verify"]),
    ("derivations", "Derivations", ["derivations"]),
    ("nn", "Networks", ["nn"]),
    ("optim", "Optimisers", ["optim"]),
    ("views", "Views of images", ["data.views"]),  # before data, which offers some of them too
    ("vectors", "Views of vectors", ["data.vectors"]),
    ("data", "Data", ["data"]),
    ("train", "Training", ["train"]),
    ("checkpoints", "Checkpoints", ["train.checkpoints"]),
    ("evaluate", "Evaluation", ["evaluate"]),
    ("estimator", "scikit-learn", ["estimator"]),
    ("parallel", "Several processes", ["parallel"]),
    ("profiling", "Time and memory", ["profiling"]),
    ("graph", "Pictures of graphs", ["graph"]),
    ("viz", "Figures and widgets", ["viz"]),
    ("course", "The course's grader", ["course"]),
]

# What is neither a class nor a function has no docstring.
CONSTANTS = {
    "minicl.PRIMITIVES": "Every primitive of minicl by its name. A test gives each of them inputs and checks its gradient.",
    "minicl.derivations.ALL": 'The derivations in reading order: `ALL["nt_xent"].check()`.',
    "minicl.derivations.pi": "The number π in an expression.",
    "minicl.data.FASHION_CLASSES": "The names of the ten classes of Fashion-MNIST, in the order of their labels.",
    "minicl.course.EXERCISES": "The exercises by name.",
    **{
        f"minicl.viz.{name}": f"The {name.lower()} of the figures, of middle lightness: it can be read on white and on black."
        for name in ("BLUE", "GREEN", "GREY", "ORANGE", "RED")
    },
}


# Where a loss is derived line by line.
DERIVED = {
    "contrastive": "triplet",
    "triplet": "triplet",
    "nce": "nce",
    "ranking_nce": "nce_to_nt_xent",
    "info_nce": "info_nce",
    "nt_xent": "nt_xent",
    "dcl": "nt_xent",
    "debiased": "debiased",
    "supcon": "supcon",
    "multi_positive": "supcon",
    "skip_gram": "sgns",
    "moco": "info_nce",
    "memory_bank": "info_nce",
    "align": "alignment_uniformity",
    "uniform": "alignment_uniformity",
}

# These say their names in `minicl` itself.
WITHIN = {"engine", "derivatives", "recompute", "arrays", "ops", "functional", "conv", "estimator", "profiling"}


class Name(NamedTuple):
    """A public name: where it is offered (`minicl.losses`), what it is called there, and the thing itself."""

    module: str
    name: str
    thing: object

    @property
    def full(self):
        return f"{self.module}.{self.name}"


class Page(NamedTuple):
    """A page of the reference. `entries` are described here; `others` were described on an earlier page, `home` says where."""

    file: str
    title: str
    module: str
    entries: list
    others: list
    home: dict


def top():
    """The names that `import minicl as mc` offers, by the module that defines them."""
    found = {}
    for name in sorted(minicl.__dict__.keys() | set(dir(minicl))):
        thing = getattr(minicl, name)
        if not name.startswith("_") and not isinstance(thing, ModuleType):
            module = getattr(thing, "__module__", "minicl.ops").removeprefix("minicl.")
            found.setdefault(module, []).append(Name("minicl", name, thing))
    return found


def within(module):
    """The public names of a part of minicl in reading order; modules among them have pages of their own."""
    part = importlib.import_module(f"minicl.{module}")
    if module in WITHIN:
        order = list(vars(part))
        return sorted(top().get(module, []), key=lambda n: order.index(n.name))
    own = [n for n, thing in vars(part).items() if getattr(thing, "__module__", None) == part.__name__]
    listed = getattr(part, "__all__", [n for n in own if not n.startswith("_")])
    found = [Name(part.__name__, name, getattr(part, name)) for name in listed]
    return [n for n in found if not isinstance(n.thing, ModuleType)]


def pages():
    """The pages in order."""
    home = {}
    for file, title, modules in PAGES:
        found = [name for module in modules for name in within(module)]
        entries = []
        for n in found:
            constant = n.full in CONSTANTS
            if constant or id(n.thing) not in home:
                home[n.full if constant else id(n.thing)] = n.full
                entries.append(n)
        yield Page(file, title, modules[0], entries, [n for n in found if n not in entries], home)


def first_sentence(thing):
    """What a docstring says first, in one line of plain text."""
    text = inspect.getdoc(thing) or ""
    if isinstance(thing, Primitive):
        return re.split(r"\s{4,}", text.split("\n")[0])[0]
    paragraph = " ".join(text.split("\n\n")[0].split("\n"))
    return re.split(r"(?<!\bal\.)(?<=\.)\s(?=[A-Z`])", paragraph)[0]


def summary(name):
    return CONSTANTS.get(name.full) or first_sentence(name.thing)


def plain(text):
    """Plain text with backticks, as reStructuredText."""
    pieces = re.split(r"(`+[^`]*`+)", text)
    pieces[::2] = [re.sub(r"\\|\*|\||(?<=\w)_(?!\w)", r"\\\g<0>", piece) for piece in pieces[::2]]
    return "".join(pieces)


def entry(name):
    """The reStructuredText of one name."""
    if name.full in CONSTANTS:
        return f".. py:data:: {name.full}\n\n   {CONSTANTS[name.full]}\n"
    where = f"{name.module}::{name.name}"  # the colons: nt_xent is a function here, although a file has that name too
    if inspect.isclass(name.thing):
        kind = "exception" if issubclass(name.thing, BaseException) else "class"
        return f".. auto{kind}:: {where}\n   :members:\n"
    text = f".. autofunction:: {where}\n"
    if name.module == "minicl.losses" and name.name in DERIVED:
        text += f"\n   Derived line by line: :doc:`/derivations/{DERIVED[name.name]}`.\n"
    return text


def table(rows):
    """A table of two columns."""
    lines = [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for left, right in rows:
        lines += [f"   * - {left}", f"     - {right}"]
    return "\n".join(lines) + "\n"


def link(name, home):
    return f":py:obj:`{name.name} <{home.get(id(name.thing), name.full)}>`"


def text(page):
    """The source of a page: what its first module says of itself, a table of the names, and the names."""
    called = "mc" if page.module in WITHIN else f"mc.{page.module}"
    said = inspect.getdoc(importlib.import_module(f"minicl.{page.module}")).split("\n\n")[0]
    rows = [(link(n, page.home), plain(summary(n))) for n in [*page.entries, *page.others]]
    lines = [page.title, "=" * len(page.title), "", f"``{called}``: {plain(said)}", "", table(rows)]
    return "\n".join([*lines, *(entry(n) for n in page.entries)])


def files():
    """All pages of the reference, the index among them: a dictionary from file name to text."""
    found = list(pages())
    rows = [
        (f":doc:`{p.title} <{p.file}>`", ", ".join(link(n, p.home) for n in [*p.entries, *p.others])) for p in found
    ]
    index = (
        "API\n===\n\n``import minicl as mc``. Every function says its formula, the shapes it takes, the errors it raises and\n"
        "the paper it comes from. The tests run every example on these pages. A bar over a letter, as in Ȳ, is the derivative\n"
        "of the final number with respect to it.\n\n"
        f"{table(rows)}\n.. toctree::\n   :hidden:\n\n" + "\n".join(f"   {p.file}" for p in found) + "\n"
    )
    return {"index.rst": index, **{f"{p.file}.rst": text(p) for p in found}}
