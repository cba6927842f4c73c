"""Schedules: functions of the step that say which share of the learning rate is used. They remember nothing, so a run
that is continued at step k has the rate of step k.

    schedule = Warmup(100).then(Cosine(900))
    for step in range(1000):
        optimizer.lr = 0.1 * schedule(step)
        ...

Steps count from 0. `mc.train` takes a schedule as `fit(..., schedule=schedule)`.
"""

import bisect
import math


class Schedule:
    """A function of the step. `a.then(b)` is one after the other, `a * b` both at the same time.

    Subclass it and define `factor(step)`; the arguments of `__init__` are kept as attributes, and so appear in the repr,
    which a checkpoint compares.

    Attributes
    ----------
    steps : int or None
        After how many steps it is over (None: never), for `then`.

    Examples
    --------
    >>> schedule = Warmup(2).then(Cosine(4))
    >>> [round(schedule(step), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0, 0.0]
    >>> schedule
    Warmup(steps=2, start=0.0).then(Cosine(steps=4, final=0.0))
    """

    steps = None

    def factor(self, step):
        raise NotImplementedError(f"{type(self).__name__}: define factor(self, step).")

    def __call__(self, step):
        if step < 0:
            raise ValueError(f"{type(self).__name__}: steps count from 0, got {step}.")
        return self.factor(step)

    def then(self, following):
        """This schedule for its `steps`, and then `following`, which counts from 0 again."""
        return _InTurn(self, following)

    def __mul__(self, other):
        return _Product(self, other)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Constant(Schedule):
    """The same factor at all steps.

    Parameters
    ----------
    value : float
    steps : int, optional
        For `then`: how long.

    Examples
    --------
    >>> [Constant(0.1, steps=2).then(Constant(1.0))(step) for step in range(4)]
    [0.1, 0.1, 1.0, 1.0]
    """

    def __init__(self, value=1.0, steps=None):
        self.value, self.steps = _share("Constant", "value", value), steps
        if steps is not None:
            _count("Constant", steps)

    def factor(self, step):
        return self.value


class Warmup(Schedule):
    """A line from `start` up to 1.

    Parameters
    ----------
    steps : int
        The factor is 1 from the last of these steps on.
    start : float
        Where the line begins, one step before the first: with 0, the first step has the factor 1 / steps and is not
        lost.

    Notes
    -----
    f(t) = start + (1 − start) · min(1, (t + 1) / steps) (Goyal et al. 2017, arXiv:1706.02677, section 2.2).

    Examples
    --------
    >>> [Warmup(4)(step) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    def __init__(self, steps, start=0.0):
        self.steps, self.start = _count("Warmup", steps), _share("Warmup", "start", start)

    def factor(self, step):
        return self.start + (1 - self.start) * min(1.0, (step + 1) / self.steps)


class Cosine(Schedule):
    """Half a wave from 1 down to `final`, where it stays.

    Parameters
    ----------
    steps : int
    final : float

    Notes
    -----
    f(t) = final + (1 − final) (1 + cos(π t / steps)) / 2 (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5).

    Examples
    --------
    >>> [round(Cosine(4)(step), 3) for step in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    def __init__(self, steps, final=0.0):
        self.steps, self.final = _count("Cosine", steps), _share("Cosine", "final", final)

    def factor(self, step):
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, step / self.steps))) / 2


class StepDecay(Schedule):
    """Multiplied by `gamma` after each so many steps, or at the steps that are named.

    Parameters
    ----------
    at : int or list of int
        30: at the steps 30, 60, 90 and so on. [30, 40]: at these alone.
    gamma : float

    Notes
    -----
    f(t) = gammaⁿ, with n the number of such steps up to t.

    Examples
    --------
    >>> [StepDecay(2, gamma=0.5)(step) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    >>> [StepDecay([1, 4], gamma=0.5)(step) for step in range(6)]
    [1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, at, gamma=0.1):
        if isinstance(at, (list, tuple)):
            self.at = [_count("StepDecay", step) for step in at]
            if sorted(set(at)) != self.at:
                raise ValueError(f"StepDecay: the steps must grow, got {at}.")
        else:
            self.at = _count("StepDecay", at)
        self.gamma = _share("StepDecay", "gamma", gamma)

    def factor(self, step):
        return self.gamma ** (bisect.bisect_right(self.at, step) if isinstance(self.at, list) else step // self.at)


class _InTurn(Schedule):
    def __init__(self, first, following):
        if first.steps is None:
            raise ValueError(f"then: {first!r} has no end; give it its number of steps.")
        self.first, self.following = first, following
        rest = getattr(following, "steps", None)
        self.steps = None if rest is None else first.steps + rest

    def factor(self, step):
        return self.first(step) if step < self.first.steps else self.following(step - self.first.steps)

    def __repr__(self):
        return f"{self.first!r}.then({describe(self.following)})"


class _Product(Schedule):
    def __init__(self, one, other):
        self.one, self.other = one, other
        ends = [s.steps for s in (one, other) if getattr(s, "steps", None) is not None]
        self.steps = max(ends, default=None)

    def factor(self, step):
        return self.one(step) * self.other(step)

    def __repr__(self):
        return f"({self.one!r} * {describe(self.other)})"


def describe(schedule):
    """A text that is the same in another process; of a plain function its name alone."""
    if schedule is None or isinstance(schedule, Schedule):
        return repr(schedule)
    return getattr(schedule, "__qualname__", type(schedule).__qualname__)


def _count(name, steps):
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise ValueError(f"{name}: a number of steps is whole and at least 1, got {steps}.")
    return int(steps)


def _share(name, what, value):
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: {what} must not be negative, got {value}.")
    return float(value)
