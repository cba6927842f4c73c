"""Checkpointing: forget what a function computed, and compute it again in the walk back. Memory is paid for with time.

What must not happen twice (a random draw, an update of running statistics) goes through `once`.
"""

import threading

from .engine import Tensor, _clock, _state, _walk, enable_grad, primitive, stop_gradient


class _Tapes(threading.local):
    def __init__(self):
        self.stack = []


_tapes = _Tapes()


class _Tape:
    """What `once` gave in the first pass, in order; or the same, being given again."""

    def __init__(self, values=None):
        self.values = [] if values is None else values
        self.replay = None if values is None else iter(values)

    def __enter__(self):
        _tapes.stack.append(self)
        return self

    def __exit__(self, *error):
        _tapes.stack.pop()


def once(f):
    """`f()`, but where a checkpoint computes again: what `f` gave the first time.

    Use it for each effect inside a function that may be checkpointed: a random draw (draw a seed, it is small), an update
    of running statistics.

    Examples
    --------
    >>> once(lambda: 3)
    3
    """
    return _once(f, len(_tapes.stack) - 1)


def _once(f, level):
    # Checkpoints nest: an inner first pass may run inside an outer second pass, and then the outer tape knows the value.
    if level < 0:
        return f()
    tape = _tapes.stack[level]
    if tape.replay is None:
        value = _once(f, level - 1)
        tape.values.append(value)
        return value
    try:
        return next(tape.replay)
    except StopIteration:
        raise RuntimeError(
            "checkpoint: the function called once() more often in its second pass than in its first."
        ) from None


def checkpoint(f, *args):
    """`f(*args)`, keeping only the result: what lies between is computed again when a gradient is asked for.

    Parameters
    ----------
    f : callable
        Returns one Tensor. Parameters that it closes over get their gradients too. It must do the same each time; what
        is random goes through `once`.
    *args : anything

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `f` returns something else than one Tensor.

    Notes
    -----
    Gradients are exact, of second order too: the walk goes through the graph of the second pass.
    (T. Chen et al. 2016, arXiv:1604.06174.)

    Examples
    --------
    >>> from minicl import grad, tensor
    >>> x = tensor(2.0)
    >>> float(grad(checkpoint(lambda x: x * x * x, x), x))
    12.0
    """
    if not _state.recording:
        return f(*args)
    start = _clock()
    tape = _Tape()
    with tape:
        y = f(*args)
    if not isinstance(y, Tensor):
        raise TypeError(f"checkpoint: the function returned {type(y).__name__}; it must return one Tensor.")
    reached = _older(y, start)
    if not reached or y.dtype.kind != "f":
        return stop_gradient(y)
    return _recomputed(*reached, value=y._data, again=_Again(f, args, reached, tape.values))


def _older(y, start):
    """The Tensors, made before `start`, that `y` was computed from: arguments and closed-over parameters alike."""
    found, seen, todo = {}, {y.birth}, [y]
    while todo:
        x = todo.pop()
        if x.birth < start:
            found[x.birth] = x
        elif x.origin is not None:
            for a in x.origin.args:
                if isinstance(a, Tensor) and a.birth not in seen:
                    seen.add(a.birth)
                    todo.append(a)
    return [found[birth] for birth in sorted(found)]


class _Again:
    """The function, its arguments and its draws: enough to compute it again."""

    def __init__(self, f, args, reached, values):
        self.f, self.args, self.reached, self.values = f, args, reached, values

    def gradients(self, g, needed):
        with enable_grad(), _Tape(self.values):
            y = self.f(*self.args)
        wanted = [x for x, n in zip(self.reached, needed) if n]
        # partial: these Tensors may depend on each other outside of f, and the outer walk counts that.
        found = {x.birth: gx for x, gx in _walk(y, g, wanted, differentiable=isinstance(g, Tensor), partial=True)}
        return [found.get(x.birth, 0.0) if n else None for x, n in zip(self.reached, needed)]


@primitive
def _recomputed(xp, *reached, value=None, again=None):
    """Y = f(…), computed before; its vjp computes f again"""
    return value


_recomputed.__name__ = "checkpoint"
_recomputed.defvjp_joint(lambda g, y, saved, needed, *reached, value, again: again.gradients(g, needed), composed=None)
