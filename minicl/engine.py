"""The autograd engine: Tensors, primitives, and the one walk back. There is no formula of calculus in this file.

Three ideas carry it.

1. *Birth order is the tape.* Each Tensor takes a number from a clock when it is made. Inputs are made before outputs, so
   going from the youngest to the oldest is a topological order: a heap is enough, no recursion and no visited set.
2. *One rule, two uses.* A primitive's vector-Jacobian product (vjp) is written in the library's own operations. Called on
   bare arrays these record nothing, so a first gradient is cheap. Called on Tensors they are recorded, so the gradient can
   be differentiated again, to any order.
3. *A Tensor is differentiable; a bare array or a number is a constant.* There is no flag to forget.
"""

import inspect
import itertools
import sys
import threading
from contextlib import ContextDecorator
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from .arrays import device_of, gpu_in_use, is_array, namespace, to_device

_clock = itertools.count(1).__next__
_ndarray = np.ndarray


class _State(threading.local):
    """What `no_grad`, `detect_anomaly` and `profile` switch, for each thread on its own."""

    recording = True
    anomaly = False
    watch = None  # a function of an Origin, which the walk back asks for one whose rules are timed


_state = _State()


class Origin(NamedTuple):
    """How a Tensor was made: all that the walk back needs."""

    op: "Primitive"
    args: tuple  # as they were passed: Tensors, arrays, numbers
    raw: tuple  # the same without Tensors
    params: dict
    saved: object  # what a forward that returned `Saved` kept for its vjp


_new_origin = tuple.__new__  # half the time of Origin(...), and an operation costs little more than that


class Saved(NamedTuple):
    """What a forward may return instead of an array: its result, and residuals that its joint vjp gets back."""

    result: object
    residuals: object


class _Unrecorded:
    """Stands for the origin of a Tensor made under `no_grad`, so that `grad` can refuse it as an output."""


_UNRECORDED = _Unrecorded()


# ---------------------------------------------------------------------------------------------------------- Tensor


class Tensor:
    """An array that remembers how it was made.

    `ops` attaches the operators (`+ - * / ** @`, indexing) and the methods (`.sum()`, `.exp()`, ...) to this class.
    Comparisons give bare boolean arrays, since they have no derivative.

    Parameters
    ----------
    data : array_like or Tensor
        Copied. Integers stay integers, and then no gradient can be taken with respect to the Tensor.
    dtype : dtype, optional

    Attributes
    ----------
    data : numpy.ndarray or cupy.ndarray
        The values. Assigning to it (`p.data = new`, `p.data -= step`) marks all graphs that used the old values as stale.
    grad : array or None
        Filled by `backward`, on leaves alone.
    birth : int
        When it was made. Inputs are older than outputs.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0])
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = ("_data", "birth", "stamp", "_origin", "grad", "_hooks", "__weakref__")

    def __init__(self, data, dtype=None):
        data = data._data if isinstance(data, Tensor) else data
        xp = namespace(data) if is_array(data) else np
        try:
            array = xp.array(data, dtype=dtype)  # copies
        except ValueError as error:
            raise ValueError(f"tensor: the data is no rectangular array of numbers ({error}).") from None
        if array.dtype.kind not in "fiubc":
            raise TypeError(f"tensor: cannot hold data of type {array.dtype}; give numbers.")
        _fill(self, array, None)

    @property
    def data(self):
        return self._data

    @data.setter
    def data(self, new):
        if self._origin is not None and self._origin is not _UNRECORDED:
            raise ValueError(
                f"data: this Tensor is the result of {self._origin.op.__name__!r}. Assign to leaves alone, "
                "or take .detach() first."
            )
        if new is not self._data:  # `p.data -= step` hands back the same array, changed in place
            new = new._data if isinstance(new, Tensor) else new
            xp = namespace(self._data, *([new] if is_array(new) else []), op="data")
            new = xp.array(new, dtype=self._data.dtype)  # a copy, so that two Tensors never share one array
            if new.shape != self._data.shape:
                raise ValueError(f"data: cannot assign shape {new.shape} to a Tensor of shape {self._data.shape}.")
            self._data = new
        self.stamp = _clock()  # not a new birth: with one, old graphs would return zeros and say nothing

    @property
    def origin(self):
        """None for a leaf; else a tuple with `.op`, `.args` and `.params`."""
        return None if self._origin is _UNRECORDED else self._origin

    @property
    def shape(self):
        return self._data.shape

    @property
    def dtype(self):
        return self._data.dtype

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def size(self):
        return self._data.size

    @property
    def device(self):
        """`"cpu"` or `"gpu"`."""
        return device_of(self._data)

    def numpy(self):
        """The values as a NumPy array (shared, not copied, on the CPU)."""
        return self._data if type(self._data) is _ndarray else self._data.get()

    def item(self):
        """The single value as a Python number."""
        if self._data.size != 1:
            raise ValueError(f"item: the Tensor has shape {self.shape}; only a single value is a number.")
        return self._data.item()

    def tolist(self):
        """The values as (nested) Python lists."""
        return self._data.tolist()

    def detach(self):
        """A leaf with the same values (shared, not copied): a constant for every gradient."""
        return stop_gradient(self)

    def backward(self, cotangent=None):
        """Add the gradient of this Tensor to `.grad` of each leaf that it was made from (see `grad`)."""
        _check_output(self, "backward")
        g = _first_cotangent(self, cotangent, "backward", differentiable=False)
        found = _walk(self, g, None, differentiable=False)
        del g  # `_own` counts references
        while found:
            leaf, *holder = found.pop()
            leaf.grad = _own(holder) if leaf.grad is None else leaf.grad + holder[0]

    def hook(self, f):
        """Call `f(g)` in each walk back, when this Tensor's cotangent `g` is complete; what it returns replaces `g`.

        `f` gets a private copy, and may return None to leave the cotangent as it is. Returns a function that removes it.
        """
        self._hooks = (*(self._hooks or ()), f)

        def remove():
            self._hooks = tuple(h for h in self._hooks or () if h is not f) or None

        return remove

    def __len__(self):
        if not self._data.ndim:
            raise TypeError("len: a Tensor with shape () has no length.")
        return len(self._data)

    def __iter__(self):
        return (self[k] for k in range(len(self)))

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __index__(self):
        return self._data.__index__()

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    # NumPy asks these three when it meets a Tensor. Its functions would lose the graph without a word, so only the
    # operators (`array * tensor`) are answered; `ops` fills in which.
    _operators = {}

    def __array_ufunc__(self, ufunc, method, *inputs, **params):
        if ufunc in self._operators and method == "__call__" and not params:
            return self._operators[ufunc](*inputs)
        return self.__array_function__(ufunc, (), inputs, params)

    def __array_function__(self, function, types, args, params):
        name = function.__name__
        raise TypeError(
            f"np.{name}: got a Tensor of shape {self.shape}; use mc.{name}, or np.{name}(t.numpy()) for a constant."
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            f"np.asarray: the graph of a Tensor of shape {self.shape} would be lost; "
            "write t.numpy() if that is meant, mc.stack to join Tensors."
        )

    __hash__ = object.__hash__  # `==` compares values, a dict compares identity

    # A copy is a new leaf: a copied birth or origin would tie it to the graph of the original.
    def __copy__(self):
        return Tensor(self._data)

    def __deepcopy__(self, memo):
        return Tensor(self._data)

    def __reduce__(self):
        return Tensor, (self._data,)

    def __repr__(self):
        from_op = "" if self.origin is None else f", op={self._origin.op.__name__}"
        device = "" if type(self._data) is _ndarray else ", device=gpu"
        dtype = "" if self._data.dtype == np.float64 else f", dtype={self._data.dtype}"
        if self._data.size > 12:
            return f"Tensor(shape={self.shape}{dtype}{device}{from_op})"
        values = np.array2string(self.numpy(), separator=", ", prefix="Tensor(", precision=6)
        return f"Tensor({values}{dtype}{device}{from_op})"


def _made(array, origin):
    """A Tensor around an array that is not copied."""
    return _fill(_new(Tensor), array, origin)


def _fill(t, array, origin):
    t._data = array
    t.birth = _clock()
    t.stamp = 0
    t._origin = origin
    t.grad = None
    t._hooks = None
    return t


_new = Tensor.__new__


def tensor(data, dtype=None, device=None):
    """A new leaf Tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like or Tensor
    dtype : dtype, optional
    device : {"cpu", "gpu"}, optional
        Where it shall live; by default where the data is.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        If the data is no rectangular array of numbers.

    Examples
    --------
    >>> tensor([[1.0, 2.0]]).shape
    (1, 2)
    """
    leaf = Tensor(data, dtype)
    if device is not None and device != leaf.device:
        leaf._data = to_device(leaf._data, device)
    return leaf


# ------------------------------------------------------------------------------------------------------- primitives


class Primitive:
    """A function of arrays with its vector-Jacobian products; made by `primitive`.

    Called on bare arrays it returns a bare array and records nothing. If an argument is a Tensor, it returns one.
    """

    def __init__(self, forward, fix=""):
        self.forward = forward
        self.fix = fix
        self.__name__ = forward.__name__
        self.__qualname__ = forward.__qualname__
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self.__wrapped__ = forward
        code, defaults = forward.__code__, forward.__defaults__ or ()
        names = code.co_varnames[1 : code.co_argcount]  # the first is xp
        self.names = list(names[: len(names) - len(defaults)])
        self.defaults = dict(zip(names[len(self.names) :], defaults)) | (forward.__kwdefaults__ or {})
        self.variadic = bool(code.co_flags & inspect.CO_VARARGS)
        self.arity = -1 if self.variadic else len(self.names)
        self.rules = [self._missing] * max(self.arity, 1)  # one vjp an argument
        self.joint = None  # or one for all
        self.composed = None

    @property
    def __signature__(self):
        """What `help` shows: the forward's signature without `xp`."""
        signature = inspect.signature(self.forward)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def defvjp(self, *rules):
        """Declare one vjp an argument, `rule(g, y, *args, **params)`; None for an argument without a derivative.

        A rule is written in the library's own operations, so that it can be differentiated. The walk undoes
        broadcasting and casts to the argument's dtype. For a variadic primitive give one `rule(k, g, y, *args, **params)`.
        """
        if len(rules) != (1 if self.variadic else self.arity):
            wanted = "one rule for all arguments" if self.variadic else f"one rule for each of {self.names}"
            raise ValueError(f"defvjp of {self.__name__!r}: give {wanted}; got {len(rules)}.")
        self.rules = rules
        return self

    def defvjp_joint(self, rule, composed=None):
        """Declare one vjp for all arguments of a fused primitive, so that nothing is done twice.

        `rule(g, y, residuals, needed, *args, **params)` works on bare arrays and returns one gradient an argument (None
        where `needed` is False). `composed(*args, **params)` is the same function written in primitives: the readable
        definition, and what the walk differentiates when the gradient shall be differentiable itself. Where it is None,
        `rule` gets Tensors then, and must be written in the library's own operations.
        """
        self.joint, self.composed = rule, composed
        return self

    def _missing(self, *_, **__):
        name = self.__name__
        raise TypeError(f"{name}: no vjp is declared. Write {name}.defvjp(...), with None for a constant argument.")

    def __repr__(self):
        return f"<primitive {self.__name__}>"

    def __call__(self, *args, **params):
        if len(args) != self.arity and not self.variadic:
            args, params = self._bind(args, params)
        if self.defaults:
            params = {**self.defaults, **params}
            for name, value in params.items():
                if isinstance(value, Tensor):
                    raise TypeError(
                        f"{self.__name__}: {name}= must be a constant, not a Tensor. Use mc.to_numpy({name})."
                    )
        tracked = False
        raw = []
        for a in args:  # the commonest types first
            kind = type(a)
            if kind is Tensor:
                tracked = True
                raw.append(a._data)
            elif kind is _ndarray or kind is float or kind is int:
                raw.append(a)
            elif isinstance(a, Tensor):
                tracked = True
                raw.append(a._data)
            else:
                raw.append(self._plain(a))
        try:
            xp = np if gpu_in_use() is None else namespace(*raw, op=self.__name__)
            y = self.forward(xp, *raw, **params) if params else self.forward(xp, *raw)
        except (ValueError, TypeError, IndexError) as error:
            raise self._explained(error, raw, params) from error
        residuals = None
        if type(y) is Saved:
            y, residuals = y
        if not tracked:
            return y
        if type(y) is not _ndarray and not is_array(y):
            y = xp.asarray(y)  # NumPy's reductions return scalars
        state = _state
        if state.anomaly:
            self._look_for_nan(xp, y, raw)
        if y.dtype.kind != "f":
            origin = None  # integers carry no derivative: a constant
        elif state.recording:
            origin = _new_origin(Origin, (self, args, raw, params, residuals))
        else:
            origin = _UNRECORDED
        made = _new(Tensor)  # `_made`, written out: this is the path of every operation
        made._data = y
        made.birth = _clock()
        made.stamp = 0
        made._origin = origin
        made.grad = made._hooks = None
        return made

    def _plain(self, a):
        """An argument as the forward takes it: NumPy scalars count as Python numbers, lists become arrays."""
        if isinstance(a, np.generic):
            return a.item()
        if isinstance(a, (list, tuple)):
            if any(isinstance(x, Tensor) for x in a):
                raise TypeError(
                    f"{self.__name__}: got a list of Tensors; join them first with mc.stack or mc.concatenate."
                )
            return np.asarray(a)
        if a is None or isinstance(a, (bool, complex, float, int)) or is_array(a):
            return a
        raise TypeError(
            f"{self.__name__}: cannot use an argument of type {type(a).__module__}.{type(a).__name__}. "
            "Give a Tensor, an array or a number."
        )

    def _bind(self, args, params):
        """Arguments passed by name, parameters passed by position: as a Python function would take them."""
        params = dict(params)
        if len(args) > self.arity:
            extra = list(self.defaults)[: len(args) - self.arity]
            if len(args) - self.arity > len(extra):
                raise TypeError(
                    f"{self.__name__}: takes {self.names + list(self.defaults)}, got {len(args)} arguments."
                )
            for name, value in zip(extra, args[self.arity :]):
                if name in params:
                    raise TypeError(f"{self.__name__}: got {name!r} twice.")
                params[name] = value
            return args[: self.arity], params
        missing = [n for n in self.names[len(args) :] if n not in params]
        if missing:
            raise TypeError(
                f"{self.__name__}: missing argument {missing[0]!r}; it takes {self.names + list(self.defaults)}."
            )
        return args + tuple(params.pop(n) for n in self.names[len(args) :]), params

    def _explained(self, error, raw, params):
        """The same kind of error, with the op, what it was called with, and the fix."""
        inputs = ", ".join([_describe(a) for a in raw] + [f"{k}={_describe(v)}" for k, v in params.items()])
        text = f"{self.__name__}({inputs}): {error}"
        text = f"{text.rstrip('. ')}. Fix: {self.fix}" if self.fix else text
        kind = next(k for k in (np.exceptions.AxisError, IndexError, ValueError, TypeError) if isinstance(error, k))
        return kind(text)

    def _look_for_nan(self, xp, y, raw):
        if y.dtype.kind != "f" or not xp.isnan(y).any():
            return
        inputs = ", ".join(_describe(a) for a in raw)
        before = [k for k, a in enumerate(raw) if is_array(a) and a.dtype.kind == "f" and xp.isnan(a).any()]
        where = f"argument {before[0]} held NaN already" if before else "no argument held NaN: it begins here"
        raise FloatingPointError(f"{self.__name__}({inputs}): the result has NaN; {where}.")


def _describe(a):
    """`float32 (2, 3)` for an array, the value for a number."""
    if is_array(a):
        return f"{a.dtype} {tuple(a.shape)}"
    text = repr(a)
    return text if len(text) < 60 else text[:57] + "..."


def primitive(forward=None, *, fix=""):
    """Turn `forward(xp, *arrays, **params)` into a differentiable operation; use as a decorator.

    Parameters
    ----------
    forward : callable
        Gets the array library `xp` (`numpy` or `cupy`), then bare arrays. What has a default is a parameter, not an
        array, and is passed on to the vjps by name. It returns an array, or `Saved(result, residuals)`.
    fix : str
        What an error message advises.

    Returns
    -------
    Primitive
        Declare its vjps with `.defvjp(...)`. A missing vjp is an error when it is needed, never a silent zero.

    Examples
    --------
    >>> @primitive
    ... def cube(xp, x):
    ...     return x * x * x
    >>> _ = cube.defvjp(lambda g, y, x: g * 3 * x * x)
    >>> x = Tensor(2.0)
    >>> float(grad(cube(x), x))
    12.0
    """
    if forward is None:
        return lambda f: Primitive(f, fix)
    return Primitive(forward, fix)


# ---------------------------------------------------------------------------------------------------- the walk back


def grad(output, inputs, cotangent=None, differentiable=False):
    """The gradient of `output` with respect to `inputs`: the vector-Jacobian product with `cotangent`.

    Nothing is stored on the graph, so it may be called as often as one likes.

    Parameters
    ----------
    output : Tensor
        Shape (), unless a cotangent is given.
    inputs : Tensor or sequence of Tensors
        Leaves or intermediate results, in any order, with repeats if need be.
    cotangent : array or Tensor, optional
        The shape of `output`.
    differentiable : bool
        If True the gradients are Tensors and can be differentiated again.

    Returns
    -------
    array, or list of arrays if `inputs` is a sequence (Tensors under `differentiable=True`)
        Each with the shape and dtype of its input; zeros where the output does not depend on it. They are writable and
        share memory with nothing.

    Raises
    ------
    TypeError
        If an input is no Tensor or holds integers.
    ValueError
        If the output is not a scalar and no cotangent is given, if shapes differ, or if a Tensor of the graph was
        assigned to after the graph was made.

    Notes
    -----
    With y = f(x) and the cotangent ȳ it returns x̄ = ȳᵀ ∂y/∂x.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0])
    >>> grad((x ** 3).sum(), x)
    array([ 3., 12., 27.])
    >>> g = grad((x ** 3).sum(), x, differentiable=True)
    >>> grad(g.sum(), x)
    array([ 6., 12., 18.])
    """
    _check_output(output, "grad")
    single = isinstance(inputs, Tensor)
    wanted = list(inputs) if np.iterable(inputs) and not single else [inputs]
    for k, x in enumerate(wanted):
        _check_input(x, k)
    g = _first_cotangent(output, cotangent, "grad", differentiable)
    found = {x.birth: gx for x, gx in _walk(output, g, wanted, differentiable)} if wanted else {}
    del g  # `_own` counts references
    gradients = {}
    for x in wanted:
        if x.birth in gradients:
            continue
        zeros = None if x.birth in found else namespace(x._data).zeros_like(x._data)
        if differentiable:
            gradients[x.birth] = copy(found[x.birth]) if zeros is None else _made(zeros, None)
        else:
            gradients[x.birth] = _own([found.pop(x.birth)]) if zeros is None else zeros
    if single:
        return gradients[inputs.birth]
    first = {x.birth: k for k, x in reversed(list(enumerate(wanted)))}
    # An input that is named twice gets two arrays.
    return [gradients[x.birth] if first[x.birth] == k else copy(gradients[x.birth]) for k, x in enumerate(wanted)]


def _walk(output, cotangent, inputs, differentiable, partial=False):
    """Pairs (tensor, cotangent) for `inputs`, or for all leaves where `inputs` is None.

    `partial` treats the inputs as if they did not depend on each other (checkpoint needs it).
    """
    wanted = None if inputs is None else {x.birth for x in inputs}
    oldest = 0 if wanted is None else min(wanted)
    pending = {output.birth: cotangent}
    heap = [(-output.birth, output)]
    anomaly, watch = _state.anomaly, _state.watch
    del cotangent  # `_own` counts references, so the walk keeps none that it does not need
    found = []
    while heap:
        _, y = heappop(heap)
        birth = y.birth
        g = pending.pop(birth)
        if isinstance(g, np.generic):  # NumPy's arithmetic turns 0-d arrays into scalars
            g = np.asarray(g)
        if y._hooks:
            g = _run_hooks(y, g, differentiable)
        origin = y._origin
        is_leaf = origin is None or origin is _UNRECORDED
        if (is_leaf and y._data.dtype.kind == "f") if wanted is None else birth in wanted:
            found.append((y, g))
            if partial:
                continue
        if is_leaf:
            continue
        if watch is not None:
            origin = watch(origin)
        op, args, raw, params, _ = origin
        edges = []
        for k, x in enumerate(args):
            if type(x) is not Tensor and not isinstance(x, Tensor):
                continue
            # Before the age cut: the assigned Tensor may be older than all that is wanted, and its new value still
            # makes the numbers that were kept here wrong.
            if x.stamp > birth:
                raise ValueError(
                    f"stale graph: a Tensor of shape {x.shape} was assigned to after {op.__name__!r} had used it. "
                    "Compute the output again, then take its gradient."
                )
            if x.birth < oldest:
                continue
            if wanted is not None and x.birth not in wanted and (x._origin is None or x._origin is _UNRECORDED):
                continue
            edges.append((k, x))
        if not edges:
            continue
        if differentiable:
            result, values = y, [a if isinstance(a, Tensor) else r for a, r in zip(args, raw)]
        else:
            result, values = y._data, raw
        rules = op.rules if op.joint is None else _joint_gradients(origin, y, g, [k for k, _ in edges], differentiable)
        for k, x in edges:
            if op.joint is not None:
                gx = rules[k]
            elif op.variadic:
                gx = rules[0](k, g, result, *values, **params)
            elif rules[k] is None:
                continue
            else:
                gx = rules[k](g, result, *values, **params) if params else rules[k](g, result, *values)
            data = x._data
            if differentiable or type(gx) is not type(data) or gx.dtype is not data.dtype or gx.shape != data.shape:
                gx = _fitted(gx, x, op, differentiable)
            if anomaly:
                _refuse_nan(gx, x, op)
            born = x.birth
            if born in pending:  # it has younger users; all of them have sent their share before it is popped
                pending[born] = pending[born] + gx
            else:
                pending[born] = gx
                heappush(heap, (-born, x))
            del gx
        del g, rules
    return found


def _refuse_nan(gx, x, op):
    values = gx._data if isinstance(gx, Tensor) else gx
    if namespace(values).isnan(values).any():
        raise FloatingPointError(f"{op.__name__}: its vjp gives NaN to a Tensor of shape {x.shape}.")


def _fitted(gx, x, op, differentiable):
    """`gx` with the shape and the dtype of `x`: broadcasting is undone here, once for all ops."""
    data = x._data
    shape = data.shape
    if gx is None:
        raise TypeError(f"{op.__name__}: its vjp returned None for an argument that needs a gradient.")
    if not isinstance(gx, Tensor) and not is_array(gx):  # a number: NumPy makes them of 0-d arrays too
        gx = namespace(data).asarray(gx, dtype=data.dtype)
    gx = _of_kind(gx, differentiable)
    if gx.shape != shape:
        try:
            gx = sum_to(gx, shape=shape) if _is_broadcast_of(gx.shape, shape) else broadcast_to(gx, shape=shape)
        except ValueError:
            raise ValueError(
                f"{op.__name__}: its vjp returned shape {tuple(gx.shape)} for an argument of shape {shape}; "
                "a cotangent has the shape of its argument (or one that broadcasting would give)."
            ) from None
    return gx if gx.dtype == data.dtype else astype(gx, dtype=data.dtype)


def _of_kind(g, differentiable):
    """A Tensor in a differentiable walk, else an array: a rule may give a constant, or close over a Tensor."""
    if isinstance(g, Tensor) is differentiable:
        return g
    return _made(g, None) if differentiable else g._data


def _is_broadcast_of(big, small):
    lead = len(big) - len(small)
    return lead >= 0 and all(n in (1, m) for n, m in zip(small, big[lead:]))


def _joint_gradients(origin, y, g, places, differentiable):
    """One gradient an argument from a fused primitive's joint vjp (only those at `places` are needed)."""
    op, args, raw, params, residuals = origin
    needed = [k in places for k in range(len(args))]
    if not differentiable:
        return op.joint(g, y._data, residuals, needed, *raw, **params)
    if op.composed is None:
        values = [a if isinstance(a, Tensor) else r for a, r in zip(args, raw)]
        return op.joint(g, y, residuals, needed, *values, **params)
    # Stand-ins: where one Tensor is passed twice, each place gets its own share.
    stand_ins = [identity(a) if isinstance(a, Tensor) else r for a, r in zip(args, raw)]
    again = op.composed(*stand_ins, **params)
    found = {x.birth: gx for x, gx in _walk(again, g, [stand_ins[k] for k in places], True, partial=True)}
    return [found.get(x.birth, 0.0) if n else None for x, n in zip(stand_ins, needed)]


def _run_hooks(y, g, differentiable):
    for f in y._hooks:
        given = copy(g)  # private: a hook may clip in place
        returned = f(given)
        g = given if returned is None else _of_kind(returned, differentiable)
        if getattr(g, "shape", None) != y.shape:
            raise ValueError(f"hook: returned shape {getattr(g, 'shape', None)} for a Tensor of shape {y.shape}.")
    return g if g.dtype == y.dtype else astype(g, dtype=y.dtype)


def _check_output(output, name):
    if not isinstance(output, Tensor):
        raise TypeError(
            f"{name}: the output is a {type(output).__name__}, not a Tensor: no Tensor went into it. "
            "Wrap what you want to differentiate with mc.tensor(...)."
        )
    if output._data.dtype.kind != "f":
        raise TypeError(
            f"{name}: the output has dtype {output.dtype}; only floats have gradients. "
            "Make the inputs floats: mc.tensor(x, dtype=float)."
        )
    if output._origin is _UNRECORDED:
        raise ValueError(
            f"{name}: the output was computed under no_grad, so its graph is not known. Compute it outside."
        )


def _check_input(x, k):
    if not isinstance(x, Tensor):
        raise TypeError(
            f"grad: input {k} is a {type(x).__name__}, not a Tensor. Make it one with mc.tensor(...) before it is used."
        )
    if x._data.dtype.kind != "f":
        raise TypeError(
            f"grad: input {k} of shape {x.shape} has dtype {x.dtype}, and integers have no derivative. "
            "Make it a float: mc.tensor(x, dtype=float)."
        )


def _first_cotangent(output, cotangent, name, differentiable):
    data = output._data
    xp = namespace(data)
    if cotangent is None:
        if data.size != 1:
            raise ValueError(
                f"{name}: the output has shape {data.shape} and no cotangent is given. Reduce it to a scalar "
                "(.sum(), .mean()), or pass a cotangent of that shape. (Ones would hide errors: a softmax row sums to 1.)"
            )
        g = xp.ones_like(data)
    else:
        g = cotangent._data if isinstance(cotangent, Tensor) else cotangent
        if is_array(g):
            namespace(data, g, op=name)
        else:
            g = xp.asarray(g)
        if g.shape != data.shape:
            raise ValueError(f"{name}: the cotangent has shape {g.shape}, the output {data.shape}; they must be equal.")
        if isinstance(cotangent, Tensor) and differentiable:
            return cotangent if cotangent.dtype == data.dtype else astype(cotangent, dtype=data.dtype)
        g = xp.array(g, dtype=data.dtype)  # a copy: the caller's array stays untouched
    return _made(g, None) if differentiable else g


def _own(holder):
    """The array in a list of one: itself if nothing else can reach its memory, else a copy.

    A vjp may hand on its cotangent as it is (`add`), a view (`reshape`), an input, or an array that it keeps. An array
    that is no view and to which nobody else refers is safe; in doubt one copy too many is made.
    """
    g = holder.pop()
    fresh = type(g) is _ndarray and g.base is None and sys.getrefcount(g) <= _references_of_one_owner
    if fresh and g.flags.c_contiguous and g.flags.writeable:
        return g
    return namespace(g).array(g, order="C")


def _count_references(holder):
    """What `_own` counts; asked once for an array that is certainly alone, since Python versions count differently."""
    g = holder.pop()
    return sys.getrefcount(g)


_references_of_one_owner = _count_references([np.empty(1)])


# -------------------------------------------------------------------------------------------------------- switches


class _Switch(ContextDecorator):
    """A context manager, and a decorator, that sets one field of the thread's state and sets it back."""

    name, value = "", None

    def __init__(self):
        self._before = []

    def __enter__(self):
        self._before.append(getattr(_state, self.name))
        setattr(_state, self.name, self.value)
        return self

    def __exit__(self, *error):
        setattr(_state, self.name, self._before.pop())


class no_grad(_Switch):
    """Within it nothing is recorded: results are constants, and intermediate values are freed at once.

    Examples
    --------
    >>> x = Tensor(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.origin is None
    True
    """

    name, value = "recording", False


class enable_grad(_Switch):
    """Within it operations are recorded, also inside a `no_grad`."""

    name, value = "recording", True


class detect_anomaly(_Switch):
    """Within it the first operation, forward or backward, whose result has NaN raises and is named.

    It looks at every value, so it is slow: switch it on to find a fault.

    Raises
    ------
    FloatingPointError
        Naming the op, the shapes, and whether the NaN came in or began there.

    Examples
    --------
    >>> with detect_anomaly():  # doctest: +IGNORE_EXCEPTION_DETAIL
    ...     Tensor(float("inf")) - Tensor(float("inf"))
    Traceback (most recent call last):
    FloatingPointError: subtract(float64 (), float64 ()): the result has NaN; no argument held NaN: it begins here.
    """

    name, value = "anomaly", True


def stop_gradient(x):
    """`x` as a constant: the same values, and a gradient of zero through it. A bare array comes back as it is.

    Examples
    --------
    >>> x = Tensor(3.0)
    >>> float(grad(x * stop_gradient(x), x))
    3.0
    """
    return _made(x._data, None) if isinstance(x, Tensor) else x


# ----------------------------------------------------- the primitives that the walk itself needs; all others: ops.py


@primitive(fix="from the right, each pair of axes must be equal or 1. Reshape one, or add an axis with [:, None].")
def add(xp, a, b):
    """Y = A + B            Ā = Ȳ,   B̄ = Ȳ"""
    return xp.add(a, b)


add.defvjp(lambda g, y, a, b: g, lambda g, y, a, b: g)


@primitive
def identity(xp, x):
    """Y = X, a Tensor of its own            X̄ = Ȳ"""
    return x


identity.defvjp(lambda g, y, x: g)


@primitive
def copy(xp, x):
    """Y = X in memory of its own            X̄ = Ȳ"""
    return xp.array(x, order="C")


copy.defvjp(lambda g, y, x: g)


@primitive
def astype(xp, x, dtype=None):
    """Y = X in another precision            X̄ = Ȳ (the walk casts it back)"""
    return x.astype(dtype)


astype.defvjp(lambda g, y, x, dtype: g)


@primitive(fix="the number of elements must stay the same; one length may be -1.")
def reshape(xp, x, shape=None):
    """Y = X in another shape            X̄ = Ȳ in X's shape"""
    return xp.reshape(x, shape)


reshape.defvjp(lambda g, y, x, shape: reshape(g, shape=x.shape))


@primitive(fix="from the right, each axis must have the target's length, or 1.")
def broadcast_to(xp, x, shape=None):
    """Y = X repeated along new axes and axes of length 1            X̄ = sum_to(Ȳ)"""
    return xp.broadcast_to(x, shape)


@primitive
def sum_to(xp, x, shape=None):
    """Y = X summed over the axes that broadcast_to repeats            X̄ = broadcast_to(Ȳ)"""
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + k for k, n in enumerate(shape) if n == 1 and x.shape[lead + k] != 1)
    kept = x.sum(axis=axes, keepdims=True) if axes else x
    if kept.shape[lead:] != tuple(shape) or lead < 0:
        raise ValueError(f"shape {x.shape} does not come from broadcasting {tuple(shape)}")
    return kept.reshape(shape)


broadcast_to.defvjp(lambda g, y, x, shape: sum_to(g, shape=x.shape))
sum_to.defvjp(lambda g, y, x, shape: broadcast_to(g, shape=x.shape))
