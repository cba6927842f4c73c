"""Write `names.txt`: what CuPy's wheel offers, read from the wheel itself. No GPU is needed, `import cupy` is enough.

Run `python -m fake_cupy.snapshot` within `tests/`, in an environment with the wheel, to renew the file.
"""

import inspect
import platform
import re
import types

import numpy as np

from .names import FILE

MISSING = object()

HEADER = """\
# The names of CuPy {cupy} (read under Python {python} and NumPy {numpy}). Written by snapshot.py; do not edit.
#     NAME              a class, a module or an object
#     NAME = numpy      NumPy's own object
#     NAME = ufunc 2 1  a ufunc: number of inputs, of outputs
#     NAME(a, axis=0)   a function; a default that is not a literal is written ...
# [an array first] lists the functions whose first argument must be an array already.
"""


def sections():
    """The real modules and types whose names are kept, by the name of their section."""
    import cupy
    import cupy.linalg
    import cupyx.distributed
    import cupyx.scipy.special

    return {
        "cupy": (cupy, np),
        "cupy.linalg": (cupy.linalg, np.linalg),
        "cupy.ndarray": (cupy.ndarray, None),
        "cupy.ufunc": (cupy.ufunc, None),
        "cupyx": (cupyx, None),
        "cupyx.distributed": (cupyx.distributed, None),
        "cupyx.distributed.NCCLBackend": (cupyx.distributed.NCCLBackend, None),
        "cupyx.scipy.special": (cupyx.scipy.special, None),
    }


def literal(default):
    """The default as source text, or `...`."""
    if isinstance(default, type) and default.__module__ == "builtins":
        return default.__name__
    return repr(default) if isinstance(default, (bool, int, float, str, tuple, types.NoneType)) else "..."


def parameters(function):
    """`(a, axis=None)` of a function, else None. A compiled one tells them in its docstring's first line."""
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:
        written = re.match(r"[\w.]+\((.*)\)( -> \w+)?$", (function.__doc__ or "").strip().split("\n")[0])
        if not written:
            return None
        untyped = [re.sub(r"^\w+ (?=\w)", "", part) for part in written[1].split(", ")]
        return "({})".format(", ".join(part for part in untyped if part != "self"))
    plain = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else Verbatim(literal(p.default)))
        for p in found
        if p.name != "self"
    ]
    return str(inspect.Signature(plain))


class Verbatim:
    """A default whose repr is its source text."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def line(name, thing, same):
    """One line of the file."""
    if name.startswith("_"):
        return name
    if thing is same or (isinstance(thing, float) and repr(thing) == repr(same)):
        return f"{name} = numpy"
    if hasattr(thing, "nin") and hasattr(thing, "nout") and not isinstance(thing, type) and thing.nin:
        return f"{name} = ufunc {thing.nin} {thing.nout}"
    written = None if isinstance(thing, type) or not callable(thing) else parameters(thing)
    return name + (written or "")


def wants_an_array(function):
    """True for a Python function that refuses a tuple where an array belongs, seen by trying one."""
    required = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    if not required or required[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return False
    try:
        function((1.0, 2.0), *[1] * (len(required) - 1))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        refused = r"^'tuple' object has no attribute|cupy.ndarray|CuPy array|_ndarray_base.*, got .*tuple"
        return bool(re.search(refused, str(error)))  # a CUDA error without a GPU: the tuple came through
    return False


def text():
    """The whole file."""
    import cupy

    out = [HEADER.format(cupy=cupy.__version__, python=platform.python_version(), numpy=np.__version__)]
    for title, (real, library) in sections().items():
        out.append(f"[{title}]")
        out += [line(name, getattr(real, name), getattr(library, name, MISSING)) for name in sorted(dir(real))]
        out.append("")
    touches_files = re.compile("load|save|from|who|disp|show|print")
    out.append("[an array first]")
    out += [
        name
        for name in sorted(dir(cupy))
        if isinstance(getattr(cupy, name), types.FunctionType)
        and not name.startswith("_")
        and not touches_files.search(name)
        and wants_an_array(getattr(cupy, name))
    ]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
