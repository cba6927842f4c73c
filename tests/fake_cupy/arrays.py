"""`ndarray` is NumPy behind a type that refuses every mixture with NumPy, as an array on a GPU must.

Real CuPy lets `np.exp(x)` pass by a protocol and turns `x[numpy_index]` into a silent transfer. Here both raise: they
are a leaked `np.` that works by luck.
"""

import inspect
import math
import operator

import numpy as np

from .cuda import Device, MemoryPointer
from .names import NAMES, Parameters

DTYPES = frozenset("?bhilqBHILQefdFD")
NUMBERS = (bool, int, float, complex, np.generic)
AS_IS = frozenset([bool, int, float, complex, str, bytes, slice, type, type(None), type(Ellipsis), range])
# The host needs these while it plans the work, so an array on the GPU cannot give them.
SIZES = {
    "axis",
    "axes",
    "axis1",
    "axis2",
    "source",
    "destination",
    "shape",
    "newshape",
    "new_shape",
    "N",
    "M",
    "n",
    "k",
    "num",
    "shift",
    "pad_width",
    "reps",
    "repeats",
    "indices_or_sections",
    "ddof",
}
MISSING = object()


def refuse(x):
    """Raise real CuPy's error for what is neither its array nor a number."""
    raise TypeError(f"Unsupported type {type(x)}. An array goes to the GPU by cupy.asarray(x) only.")


def operand(x):
    """The NumPy value of an operand: an array of ours or a number."""
    if type(x) is ndarray:
        return x._host
    return x if isinstance(x, NUMBERS) else refuse(x)


def argument(x):
    """The NumPy value of any argument; what lists and tuples hold is checked too."""
    kind = type(x)
    if kind is ndarray:
        return x._host
    if kind in AS_IS:
        return x
    if kind is list or kind is tuple:
        return kind([argument(entry) for entry in x])
    return x if isinstance(x, (*NUMBERS, np.dtype, type)) or inspect.isroutine(x) else refuse(x)


def size(x):
    """An argument that tells a size or an axis: plain numbers only."""
    if isinstance(x, (ndarray, np.ndarray)):
        raise TypeError(f"{type(x)} object cannot be interpreted as an integer")
    if isinstance(x, (list, tuple)):
        for entry in x:
            size(entry)
    return x


def index(x):
    """The NumPy index of an index."""
    if type(x) is tuple:
        return tuple([index(entry) for entry in x])
    return argument(x)


def new(host, sources=()):
    """The array around `host`: the very source it belongs to, or a view of the source whose memory it shares."""
    for source in sources:
        if source._host is host:
            return source
    if host.dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {host.dtype}")
    array = object.__new__(ndarray)
    array._host, array._base = host, None
    if host.base is not None:
        for source in sources:
            if np.may_share_memory(host, source._host):
                array._base = source if source._base is None else source._base
                break
    return array


def wrap(result, sources=()):
    """What a NumPy function returned, as CuPy returns it: a number becomes a 0-d array."""
    if isinstance(result, np.ndarray):
        return new(result, sources)
    if isinstance(result, NUMBERS):
        return new(np.asarray(result))
    if isinstance(result, (list, tuple)):
        entries = [wrap(entry, sources) for entry in result]
        return entries if isinstance(result, list) else tuple(entries)
    return result


def agreed(function, parameters):
    """How many leading positional arguments mean the same in NumPy's function and in CuPy's."""
    if parameters.variadic:
        return math.inf
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # a compiled function of an older NumPy
        return len(parameters.positional)
    theirs = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for k, (ours, other) in enumerate(zip(parameters.positional, theirs, strict=False)):
        if ours != other and (ours in theirs or other in parameters.keywords):
            return k
    return min(len(parameters.positional), len(theirs))


def guard(name, function, parameters, *, arrays=0, stacks=False, plain=False):
    """NumPy's `function` under the parameters of CuPy's: arrays of ours in, arrays of ours out.

    The first `arrays` arguments must be arrays already (with `stacks`: what the first one holds), because CuPy calls
    their methods. `plain` functions answer with a number, a bool, a shape or a dtype of the host.
    """
    limit = agreed(function, parameters)
    keywords, required = parameters.keywords, parameters.required
    sizes = frozenset(k for k, p in enumerate(parameters.positional) if p in SIZES)
    first_size = len(parameters.positional) if parameters.variadic in SIZES else math.inf

    def call(*args, **kwargs):
        if len(args) > limit:
            raise TypeError(
                f"{name}: NumPy and CuPy agree on the first {limit} positional arguments, but {len(args)} were given"
            )
        if kwargs and not parameters.open and not keywords.issuperset(kwargs):
            raise TypeError(f"{name}() got an unexpected keyword argument {min(kwargs.keys() - keywords)!r}")
        if len(args) < len(required):
            for missing in required[len(args) :]:
                if missing not in kwargs:
                    raise TypeError(f"{name}() missing a required argument: {missing!r}")
        for x in (args[0] if args else ()) if stacks else args[:arrays]:
            if type(x) is not ndarray:
                raise TypeError(f"{name} needs a cupy.ndarray object, not {type(x)}")
        result = function(
            *[size(x) if k in sizes or k >= first_size else argument(x) for k, x in enumerate(args)],
            **{key: size(x) if key in SIZES else argument(x) for key, x in kwargs.items()},
        )
        if plain:
            return result
        return wrap(result, [x for x in (*args, *kwargs.values()) if type(x) is ndarray])

    call.__name__ = call.__qualname__ = name
    return call


class ndarray:
    """An array that pretends to be on a GPU."""

    __slots__ = ("__weakref__", "_base", "_host")
    __hash__ = None
    # NumPy's operators then give up and ours refuse; np.exp(x) raises at once. Real CuPy answers both.
    __array_ufunc__ = None
    __array_priority__ = 100

    def __new__(cls, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in for CuPy makes no array from a pointer")
        return new(np.empty(size(shape), dtype, order))

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(
            f"{function.__module__}.{function.__name__} was called on a CuPy array. "
            "Call the function of the array's own namespace."
        )

    # What it is

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    base = property(lambda self: self._base)
    flags = property(lambda self: Flags(self))
    device = property(lambda self: Device(0))
    data = property(lambda self: MemoryPointer(self._host.ctypes.data))
    T = property(lambda self: self if self.ndim < 2 else new(self._host.T, (self,)))
    mT = property(lambda self: new(self._host.mT, (self,)))
    flat = property(lambda self: flatiter(self))

    @property
    def real(self):
        return new(self._host.real, (self,))

    @real.setter
    def real(self, value):
        self._host.real = operand(value)

    @property
    def imag(self):
        return new(self._host.imag, (self,))

    @imag.setter
    def imag(self, value):
        self._host.imag = operand(value)

    # To the host and to Python

    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is None:
            return np.array(self._host, order=order)
        if not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        if (out.dtype, out.shape) != (self.dtype, self.shape):
            raise ValueError(f"get: out is {out.dtype}{out.shape}, the array is {self.dtype}{self.shape}")
        out[...] = self._host
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (arr.dtype, arr.shape) != (self.dtype, self.shape):
            raise ValueError(f"set: {arr.dtype}{arr.shape} does not fit {self.dtype}{self.shape}")
        self._host[...] = arr

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._host.item()

    def tolist(self):
        return self._host.tolist()

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host)

    def __float__(self):
        return float(self._host)

    def __complex__(self):
        return complex(self._host)

    def __repr__(self):
        return repr(self._host)

    def __str__(self):
        return str(self._host)

    def __format__(self, spec):
        return format(self._host, spec)

    def __reduce__(self):
        return from_host, (self.get(order="A"),)

    # Copies

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("astype: casting and subok are not supported yet")
        return new(self._host.astype(dtype, order=order or "K", copy=bool(copy)), (self,))

    # Parts

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self)))

    def __getitem__(self, where):
        where = index(where)
        part = self._host[where]
        if type(part) is not np.ndarray:  # NumPy copies a number out, CuPy gives a 0-d view
            part = self._host[(*where, ...) if type(where) is tuple else (where, ...)]
        return new(part, (self,))

    def __setitem__(self, where, value):
        self._host[index(where)] = operand(value)

    # Comparisons with what can never be equal

    def __eq__(self, other):
        if never_equal(other):
            return new(np.zeros(self.shape, bool))
        return equal(self, other)

    def __ne__(self, other):
        if never_equal(other):
            return new(np.ones(self.shape, bool))
        return not_equal(self, other)


ndarray.__module__ = "cupy"


class Flags:
    """The memory layout. CuPy's flags know no `writeable`."""

    def __init__(self, array):
        layout = array._host.flags
        self.c_contiguous, self.f_contiguous = layout.c_contiguous, layout.f_contiguous
        self.fnc, self.forc = layout.fnc, layout.forc
        self.owndata = array._base is None

    def __getitem__(self, name):
        if name not in ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA"):
            raise KeyError(f"{name} is not defined for cupy.ndarray.flags")
        return getattr(self, name.lower())


class flatiter:
    """The entries of an array in C order."""

    def __init__(self, base):
        self.base = base

    def __len__(self):
        return self.base.size

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __getitem__(self, where):
        return wrap(self.base._host.flat[argument(where)])

    def __setitem__(self, where, value):
        self.base._host.flat[argument(where)] = operand(value)


def from_host(host, dtype=None, order="K", ndmin=0):
    """A copy of a NumPy array, a number or a nested list, on the pretended GPU."""
    if order in (None, "K", "A"):
        order = "F" if isinstance(host, np.ndarray) and host.flags.fnc else "C"
    return new(np.array(host, dtype=dtype, order=order, ndmin=ndmin))


def never_equal(x):
    """True for None and for objects that compare by identity."""
    return x is None or (type(x).__eq__ is object.__eq__ and type(x).__ne__ is object.__ne__)


def defer(ufunc, x, y):
    """What Python's `x + y` gives where y is neither an array of ours nor a number: y's own answer, or TypeError."""
    theirs = getattr(y, "__array_ufunc__", MISSING)
    if theirs is None or (theirs is MISSING and getattr(y, "__array_priority__", 0) > ndarray.__array_priority__):
        return NotImplemented
    if theirs is not MISSING and not isinstance(y, np.ndarray):
        answer = theirs(ufunc, "__call__", x, y)
        if answer is not NotImplemented:
            return answer
    return refuse(y)


def forward(ufunc):
    """`x + y` for an x of ours."""

    def method(self, other):
        if type(other) is ndarray:
            other = other._host
        elif not isinstance(other, NUMBERS):
            return defer(ufunc, self, other)
        return wrap(ufunc(self._host, other))

    return method


def reflected(ufunc):
    """`x + y` for a y of ours whose x gave up."""
    return lambda self, other: wrap(ufunc(operand(other), self._host))


def in_place(ufunc):
    """`x += y`: the same array afterwards."""

    def method(self, other):
        ufunc(self._host, operand(other), out=self._host)
        return self

    return method


def attach_operators():
    """One table for all operators. CuPy has no `@=`: Python then makes a new array by `@`."""
    table = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "truediv": np.true_divide,
        "floordiv": np.floor_divide,
        "mod": np.remainder,
        "pow": np.power,
        "lshift": np.left_shift,
        "rshift": np.right_shift,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "matmul": np.matmul,
        "divmod": np.divmod,
    }
    for name, ufunc in table.items():
        setattr(ndarray, f"__{name}__", forward(ufunc))
        setattr(ndarray, f"__r{name}__", reflected(ufunc))
        if name not in ("matmul", "divmod"):
            setattr(ndarray, f"__i{name}__", in_place(ufunc))
    for name, ufunc in {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}.items():
        setattr(ndarray, f"__{name}__", forward(ufunc))
    for name in ("neg", "pos", "abs", "invert"):
        function = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda self, function=function: wrap(function(self._host)))


equal, not_equal = forward(np.equal), forward(np.not_equal)


def stable(kind):
    """CuPy sorts stably and takes no other kind."""
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return "stable"


SORTS = {
    "sort": lambda a, axis=-1, kind=None: a.sort(axis, stable(kind)),
    "argsort": lambda a, axis=-1, kind=None: a.argsort(axis, stable(kind)),
}


def attach_methods():
    """NumPy's methods under CuPy's parameters."""
    own = SORTS | {"ptp": np.ptp}
    for name, written in NAMES["cupy.ndarray"].items():
        function = own.get(name, getattr(np.ndarray, name, None))
        if written and function is not None and name not in vars(ndarray):
            parameters = Parameters.of(written.replace("(", "(self, ", 1))
            setattr(ndarray, name, guard(name, function, parameters, arrays=2 if name == "dot" else 1))


attach_operators()
attach_methods()
