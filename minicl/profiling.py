"""A profiler to read: how long each operation and each layer takes, forward and backward, and what memory its results fill.

While `mc.profile()` is on, operations and modules are called through a stopwatch; when it is off, nothing is left of it.
Times are those of an operation alone: what runs inside another one, or inside its rule for the way back, counts there.
"""

import threading
import time

from .arrays import is_array, wait_for_gpu
from .engine import Origin, Primitive, Tensor, _state
from .nn import Module


class profile:  # noqa: N801  (it is used like a function)
    """Measure what runs in a `with` block.

    Attributes
    ----------
    ops, layers : dict of Row
        For each operation, and for each module (by its dotted name and type), how often it was called, the seconds
        forward and backward, and the bytes of its results. An operation belongs to the innermost module around it.
    seconds : float
        Of the whole block. What the rows do not explain is Python around the operations, and NumPy called directly.

    Raises
    ------
    RuntimeError
        If two profiles are on at once.

    Notes
    -----
    The stopwatch costs some 2 µs an operation. What was computed before the block began and is differentiated within it
    is timed too, and belongs to no layer. What two operations do in one primitive (BatchNorm and the relu after it, in
    training) is one row. On a GPU it waits for each operation to end. Operations in other threads
    are not measured one by one; whoever waits for them is.

    Examples
    --------
    >>> import numpy as np
    >>> import minicl as mc
    >>> net = mc.nn.MLP([8, 16, 4], rng=0)
    >>> x = np.random.default_rng(0).random((32, 8), dtype=np.float32)
    >>> with mc.profile() as measured:
    ...     loss = (net(x) ** 2).sum()
    ...     gradients = mc.grad(loss, net.parameters())
    >>> measured.ops["matmul"].calls, measured.layers["layers.0 Linear"].calls
    (2, 1)
    >>> print(measured)                                                                            # doctest: +SKIP
    operation        calls  forward ms  backward ms  result MB
    ...
    """

    _on = None

    def __init__(self):
        self.ops, self.layers, self.seconds = {}, {}, 0.0

    def __enter__(self):
        if profile._on is not None:
            raise RuntimeError("profile: another profile is on already; leave its `with` block first.")
        profile._on = self
        self.__init__()
        self._thread, self._busy, self._inside, self._names = threading.get_ident(), False, [], {}
        self._kept = Primitive.__call__, Module.__call__
        call_op, call_module = self._kept
        _state.watch = self._watch
        Primitive.__call__ = lambda op, *args, **params: self._op(call_op, op, args, params)
        Module.__call__ = lambda module, *args, **params: self._module(call_module, module, args, params)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self._start
        Primitive.__call__, Module.__call__ = self._kept
        profile._on = _state.watch = None

    # ----------------------------------------------------------------------------------------------------- the stopwatch

    def _op(self, call, op, args, params):
        if self._busy or threading.get_ident() != self._thread:  # part of another operation, or of a rule
            return call(op, *args, **params)
        layer = self._inside[-1] if self._inside else None
        y = self._timed("forward", op.__name__, layer, lambda: call(op, *args, **params))
        for row in self._rows(op.__name__, layer):
            row.calls += row is self.ops[op.__name__]
            row.bytes += _fresh_bytes(y, args)
        if isinstance(y, Tensor) and isinstance(y._origin, Origin):
            y._origin = y._origin._replace(op=_Timed(op, layer, self))
        return y

    def _module(self, call, module, args, params):
        if threading.get_ident() != self._thread:
            return call(module, *args, **params)
        if not self._inside:  # the outermost: the names are as seen from it
            self._names |= {id(m): f"{name} {type(m).__name__}".strip() for name, m in module.named_modules()}
        layer = self._names.get(id(module), type(module).__name__)
        self._inside.append(layer)
        try:
            self.layers.setdefault(layer, Row()).calls += 1
            return call(module, *args, **params)
        finally:
            self._inside.pop()

    def _watch(self, origin):
        """The origin with timed rules; one that was made before this block has none yet, or those of another profile."""
        op = origin.op
        if isinstance(op, _Timed):
            if op.profile is self:
                return origin
            op = op.op
        return origin._replace(op=_Timed(op, None, self))

    def _rows(self, op, layer):
        rows = [self.ops.setdefault(op, Row())]
        return rows if layer is None else [*rows, self.layers.setdefault(layer, Row())]

    def _timed(self, way, op, layer, f):
        if profile._on is not self:  # the way back of a graph that was made in a block that has ended
            return f()
        before, self._busy = self._busy, True
        start = time.perf_counter()
        try:
            return f()
        finally:
            wait_for_gpu()
            if not before:
                seconds = time.perf_counter() - start
                for row in self._rows(op, layer):
                    setattr(row, way, getattr(row, way) + seconds)
            self._busy = before

    # --------------------------------------------------------------------------------------------------------- its tables

    def __repr__(self):
        explained = sum(row.forward + row.backward for row in self.ops.values())
        rest = ("the rest", "", f"{1e3 * (self.seconds - explained):.2f}", "", "")
        total = ("total", "", f"{1e3 * self.seconds:.2f}", "", "")
        tables = [_table("operation", _by_time(self.ops), [rest, total])]
        if self.layers:
            tables.append(_table("layer", list(self.layers.items()), []))
        return "\n\n".join(tables)


class Row:
    """What was measured of one operation or one layer."""

    def __init__(self):
        self.calls, self.forward, self.backward, self.bytes = 0, 0.0, 0.0, 0

    def __repr__(self):
        return (
            f"Row(calls={self.calls}, forward={self.forward:.6f}, backward={self.backward:.6f}, bytes={self.bytes})"
        )


class _Timed:
    """Stands in an origin for its operation, and times its rules: what the walk back asks of an operation."""

    def __init__(self, op, layer, profile):
        self.op, self.profile = op, profile
        self.variadic, self.composed, self.__name__ = op.variadic, op.composed, op.__name__

        def timed(rule):
            if rule is None:
                return None
            return lambda *args, **params: profile._timed(
                "backward", op.__name__, layer, lambda: rule(*args, **params)
            )

        self.rules, self.joint = [timed(rule) for rule in op.rules], timed(op.joint)

    def __getattr__(self, name):
        return getattr(self.op, name)


def _fresh_bytes(y, args):
    """The memory that a result fills; a view of an argument fills none."""
    y, *args = (x.data if isinstance(x, Tensor) else x for x in (y, *args))
    if not is_array(y):
        return 0
    owner = y if y.base is None else y.base
    return 0 if any(owner is x or owner is x.base for x in args if is_array(x)) else y.nbytes


def _by_time(rows):
    return sorted(rows.items(), key=lambda item: -item[1].forward - item[1].backward)


def _table(title, rows, last):
    cells = [(title, "calls", "forward ms", "backward ms", "result MB")]
    for name, row in rows:
        cells.append(
            (name, str(row.calls), f"{1e3 * row.forward:.2f}", f"{1e3 * row.backward:.2f}", f"{row.bytes / 1e6:.2f}")
        )
    cells += last
    widths = [max(len(row[k]) for row in cells) for k in range(5)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:]))]).rstrip()
        for row in cells
    )
