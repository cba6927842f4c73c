"""The modules `cupy` and `cupyx`, name by name from the snapshot: NumPy's function behind CuPy's parameters.

A name that the real wheel lacks raises AttributeError, so the library cannot come to depend on it.
"""

import importlib
import importlib.machinery
import types
import warnings

import numpy as np

from . import arrays as ours
from .arrays import argument, from_host, guard, ndarray, new, operand, refuse, wrap
from .cuda import MemoryPool
from .cuda import module as cuda_module
from .names import NAMES, VERSION, Parameters

# They answer with a bool or whole numbers of the host.
PLAIN = {
    "can_cast",
    "iscomplexobj",
    "isfortran",
    "isrealobj",
    "isscalar",
    "may_share_memory",
    "ndim",
    "shape",
    "shares_memory",
    "size",
}
STACKS = {"column_stack", "concat", "concatenate", "dstack", "hstack", "row_stack", "stack", "vstack"}
TWO_ARRAYS = {"dot", "inner", "matmul", "outer", "take_along_axis", "tensordot", "vdot"}
# The lists are CuPy 13's, the older of the supported ones: 14 also adds int64.
ATOMIC = {
    "add": "int32 uint32 uint64 float16 float32 float64",
    "subtract": "int32 uint32",
    "maximum": "int32 int64 uint32 uint64 float32 float64",
    "minimum": "int32 int64 uint32 uint64 float32 float64",
    "bitwise_and": "int32 int64 uint32 uint64",
    "bitwise_or": "int32 int64 uint32 uint64",
    "bitwise_xor": "int32 int64 uint32 uint64",
}


class ufunc:
    """An elementwise function. CuPy's knows `out`, `dtype` and `casting`, and no `where`."""

    def __init__(self, name, function, nin, nout):
        self.name, self.__name__ = f"cupy_{name}", name
        self.nin, self.nout, self.nargs = nin, nout, nin + nout
        self._function = function

    def __repr__(self):
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args, out=None, dtype=None, casting=None):
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}: {len(args)} instead of {self.nin}")
        given = [operand(x) for x in args[: self.nin]]
        targets = args[self.nin :]
        if out is not None:
            if targets:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            targets = out if isinstance(out, tuple) else (out,)
        options = {key: x for key, x in {"dtype": dtype, "casting": casting}.items() if x is not None}
        if targets:
            hosts = [None if x is None else x._host if type(x) is ndarray else refuse(x) for x in targets]
            options["out"] = hosts[0] if self.nout == 1 else tuple(hosts)
        return wrap(self._function(*given, **options), [x for x in targets if x is not None])

    def outer(self, A, B, **kwargs):
        A, B = (x if type(x) is ndarray else array(operand(x)) for x in (A, B))
        return self(A.reshape(A.shape + (1,) * B.ndim), B, **kwargs)

    def at(self, a, indices, b=None):
        if self.__name__ not in ATOMIC:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")  # as CuPy itself says it
        if type(a) is not ndarray:
            refuse(a)
        if a.dtype.name not in ATOMIC[self.__name__].split():
            raise TypeError(f"cupy.{self.__name__}.at only supports {ATOMIC[self.__name__]}, not {a.dtype}")
        self._function.at(a._host, ours.index(indices), operand(b))

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        method = array.sum if self.__name__ == "add" else array.prod
        return method(axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        method = array.cumsum if self.__name__ == "add" else array.cumprod
        return method(axis=axis, dtype=dtype, out=out)

    def reduceat(self, array, indices, axis=0, dtype=None, out=None):
        if self.__name__ != "add":
            raise NotImplementedError(f"`{self.name}.reduceat` is not supported yet")
        if out is not None:
            raise NotImplementedError("the stand-in's reduceat knows no out")
        return wrap(np.add.reduceat(operand(array), argument(indices), axis, dtype))


ufunc.__module__ = "cupy"


class Namespace(types.ModuleType):
    """A module that makes each name on first use, from the line of the snapshot."""

    def __init__(self, name, library, own=()):
        super().__init__(name, "A stand-in for tests without a GPU.")
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self._library = library
        vars(self).update(own)

    def __dir__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, of names that it will drop
            return [name for name in NAMES[self.__name__] if hasattr(self, name)]

    def __getattr__(self, name):
        written = NAMES[self.__name__].get(name)
        if written is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        function = getattr(self._library, name, ours.MISSING)
        if function is ours.MISSING or not written:
            raise AttributeError(f"{self.__name__}.{name} exists, but this stand-in does not offer it")
        thing = self._make(name, function, written)
        setattr(self, name, thing)
        return thing

    def _make(self, name, function, written):
        """The stand-in for one name."""
        if written == "= numpy":
            return function
        if written.startswith("= ufunc"):
            return ufunc(name, function, *map(int, written.split()[2:]))
        if name == "einsum":
            written = "(*operands, dtype=None, optimize=False)"
        return guard(
            f"{self.__name__}.{name}",
            OWN_FORMS.get(name, function) if self.__name__ == "cupy" else function,
            Parameters.of(written),
            arrays=2 if name in TWO_ARRAYS else name in NAMES["an array first"] or self.__name__ == "cupy.linalg",
            stacks=name in STACKS,
            plain=name in PLAIN,
        )


def sorted_copy(a, axis=-1, kind=None):
    """A sorted copy."""
    return np.sort(a, axis, kind=ours.stable(kind))


OWN_FORMS = {
    "sort": sorted_copy,
    "argsort": ours.SORTS["argsort"],
    # NumPy's makes a 0-d array 1-d, CuPy's does not.
    "ascontiguousarray": lambda a, dtype=None: np.asarray(a, dtype, order="C"),
    "asfortranarray": lambda a, dtype=None: np.asarray(a, dtype, order="F"),
}


def leaves(x):
    """The entries of nested lists and tuples."""
    if isinstance(x, (list, tuple)):
        for entry in x:
            yield from leaves(entry)
    else:
        yield x


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """The one way in: NumPy arrays, numbers and lists are copied to the pretended GPU."""
    if subok:
        raise NotImplementedError("array: subok")
    if type(obj) is ndarray:
        return new(np.array(obj._host, dtype, copy=copy, order=order or "K", ndmin=ndmin), (obj,))
    if isinstance(obj, (list, tuple)):
        on_gpu = [type(x) is ndarray for x in leaves(obj)]
        if any(on_gpu):
            if not all(on_gpu):
                raise TypeError("Implicit conversion to a NumPy array is not allowed: a list holds arrays or numbers.")
            obj = argument(obj)
    return from_host(obj, dtype, order, ndmin)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """`a` itself if it is an array of ours already, else a copy on the pretended GPU."""
    return array(a, dtype, copy, order)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    """The one way out: a copy as a NumPy array."""
    if type(a) is ndarray:
        return a.get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def get_array_module(*args):
    """`cupy` if an argument is an array of ours, else NumPy."""
    return cupy if any(type(x) is ndarray for x in args) else np


class Random(types.ModuleType):
    """`cupy.random`, refused."""

    def __getattr__(self, name):
        raise AttributeError(f"cupy.random.{name} is refused: draw by a NumPy Generator and move the numbers.")


class Special:
    """SciPy's special functions, imported on first use."""

    def __getattr__(self, name):
        return getattr(importlib.import_module("scipy.special"), name)


def scatter(name):
    """The old spelling of `cupy.add.at` and its kin."""

    def function(a, slices, value):
        warnings.warn(f"cupyx.scatter_* is deprecated. Use `cupy.{name}.at`.", DeprecationWarning, stacklevel=2)
        getattr(cupy, name).at(a, slices, value)

    return function


pool, pinned_pool = MemoryPool(), MemoryPool()
cuda = cuda_module()
linalg = Namespace("cupy.linalg", np.linalg)
random = Random("cupy.random")
cupy = Namespace(
    "cupy",
    np,
    {
        "__version__": VERSION,
        "ndarray": ndarray,
        "ufunc": ufunc,
        "flatiter": ours.flatiter,
        "array": array,
        "asarray": asarray,
        "asanyarray": asarray,
        "asnumpy": asnumpy,
        "get_array_module": get_array_module,
        "is_available": lambda: True,
        "get_default_memory_pool": lambda: pool,
        "get_default_pinned_memory_pool": lambda: pinned_pool,
        "cuda": cuda,
        "linalg": linalg,
        "random": random,
    },
)
special = Namespace("cupyx.scipy.special", Special())
scipy = types.ModuleType("cupyx.scipy")
scipy.special = special
cupyx = Namespace(
    "cupyx",
    None,
    {
        "rsqrt": ufunc("rsqrt", lambda x: 1 / np.sqrt(x), 1, 1),
        "scatter_add": scatter("add"),
        "scatter_max": scatter("maximum"),
        "scatter_min": scatter("minimum"),
        "scipy": scipy,
    },
)
