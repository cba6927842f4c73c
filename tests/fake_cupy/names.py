"""`names.txt` read: which names real CuPy has, and which parameters its functions take."""

import ast
import dataclasses
import pathlib
import re


def read(path):
    """`{section: {name: what the line says after the name}}`."""
    sections = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name = line.partition("(")[0].partition(" ")[0]
            section[name] = line[len(name) :].strip()
    return sections


FILE = pathlib.Path(__file__).with_name("names.txt")
NAMES = read(FILE)
VERSION = re.search(r"CuPy (\S+)", FILE.read_text(encoding="utf-8"))[1]


@dataclasses.dataclass(frozen=True)
class Parameters:
    """The parameters of one function of CuPy: names only, plus what is required and what is open-ended."""

    positional: tuple
    required: tuple
    keywords: frozenset
    variadic: str | None = None  # the name of *args
    open: bool = False  # has **kwargs

    @classmethod
    def of(cls, text):
        """Parameters written as `(a, axis=0, *, dtype=None)`."""
        found = ast.parse(f"def f{text}: 0").body[0].args
        positional = tuple(p.arg for p in found.posonlyargs + found.args)
        return cls(
            positional,
            positional[: len(positional) - len(found.defaults)],
            frozenset(positional) | {p.arg for p in found.kwonlyargs},
            found.vararg and found.vararg.arg,
            found.kwarg is not None,
        )
