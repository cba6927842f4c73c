"""Gradient checking: a derivative from the engine is held against slopes that are measured on the function itself.

`check` asks at every entry of every argument, with random weights on the outputs, and to any order. A slope is measured
by central differences, which fit every function, and by a complex step, which has no rounding error but needs an analytic
function. Where the two sides of a point have different slopes there is no derivative: such a kink is reported as a kink.
"""

import inspect
import math
import warnings
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import NamedTuple

import numpy as np

from .arrays import device_of, is_array, to_numpy
from .engine import Tensor, enable_grad, grad, tensor
from .ops import sum as _sum
from .ops import to_device

STEP = 2e-3  # of the first differences, relative to the entry that moves; it is adapted where this is not good enough
_CENTRAL, _COMPLEX = "central differences", "complex step"
_SHOWN = 24  # entries of the largest input that an error message writes out
_DEFAULTS = {"rtol": None, "method": "auto", "argnums": None, "kinks": "raise"}


class GradientError(AssertionError):
    """A gradient is wrong, or cannot be decided. `.report` has the arrays."""

    def __init__(self, report):
        super().__init__(report.failure)
        self.report = report

    def __reduce__(self):
        return GradientError, (self.report,)


# ----------------------------------------------------------------------------------------------------------- the check


def check(
    f,
    *arrays,
    order=2,
    seed=0,
    rtol=None,
    method="auto",
    argnums=None,
    kinks="raise",
    vjp=None,
    raises=True,
):
    """Check the gradients of `f` at a point: every entry of every argument, and every order up to `order`.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor of any shape, or a tuple of Tensors.
    *arrays : array_like of floats
        The point. 0-d and empty arrays are fine. They are copied.
    order : int
        1 checks the gradient, 2 the gradient of the gradient too, and so on.
    seed : int
        Of the random weights. The same seed gives the same check.
    rtol : float, optional
        Largest relative error that is allowed. By default 1e-9 beside a complex step and 1e-7 beside differences; 1e-4
        where float32 is used, 2e-2 where float16 is.
    method : {"auto", "central", "complex"}
        "auto" uses the complex step where `f` is analytic, and differences elsewhere (`report.notes` says why).
        "complex" refuses to fall back. Order 2 and higher are always measured by differences.
    argnums : int or sequence of ints, optional
        The arguments to differentiate, by default all. The others go to `f` as they are: labels, for example.
    kinks : {"raise", "ignore"}
        What to do where `f` has no derivative. "ignore" leaves those entries out; `report.kinks` still lists them.
    vjp : callable, optional
        A gradient by hand, `vjp(g, *arrays)`, to be checked in place of the engine's: it returns the gradient of
        Σ g f(x) for each argument in `argnums`. `f` then takes arrays, may be plain NumPy, and only order 1 is checked.
    raises : bool
        False returns the report of a failed check too.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        If a gradient is wrong (the message names the worst entry, and a line that repeats the check), if differences are
        too inaccurate to tell, or if a kink lies at the point.
    TypeError
        If an argument or a result does not hold floats; under method="complex", if `f` is not analytic.
    ValueError
        If a value is not finite, if `f` is not deterministic, or if it changes an argument in place.

    Notes
    -----
    With random weights c on the outputs, s(x) = Σ c f(x) has the gradient x̄ = Jᵀc, and entry i is compared with the
    measured ∂s/∂xᵢ. Weights of ones would be blind: rows of a softmax sum to 1, so a softmax whose backward returns 0 would
    pass. A weight is ±1 times a number in [½, 1½]; a tuple's outputs are first brought to one scale.

    Order 2 is the same check of another function: (x, c) ↦ x̄, with new weights. So one loop serves every order. At order
    2 the Hessian H of s is also held against its own transpose: u·Hv = v·Hu for random u, v.

    Errors are relative to the largest entry of a gradient, |got − expected| / max |expected|. A division by each entry by
    itself would blow up rounding wherever an entry is near 0. What rounding alone can make is allowed on top.

    A parameter that `f` closes over is a constant here; pass its `.data` as an argument to check it. Where `f` uses
    `stop_gradient`, its gradient differs from its slope by intent, and the check fails.

    Examples
    --------
    >>> report = check(lambda x: x.exp() / x.exp().sum(), [0.3, -1.2, 0.7])
    >>> report.passed
    True

    A gradient derived by hand, with a mistake:

    >>> cube, by_hand = lambda x: x**3, lambda g, x: 2 * g * x**2
    >>> print(check(cube, [1.0, 2.0], vjp=by_hand, raises=False).pattern)
    got is 0.666667 x expected everywhere
    """
    _check_options(order, rtol, method, kinks)
    arrays = [x.data if isinstance(x, Tensor) else x for x in arrays]
    order = order if vjp is None else 1
    places = _places(argnums, len(arrays))
    names = _names(f, len(arrays), places)
    native = [_point(arrays[k], name, k) for k, name in zip(places, names)]
    options = {"order": order, "seed": seed, "rtol": rtol, "method": method, "argnums": argnums, "kinks": kinks}
    report = Report(f, arrays, vjp, options)
    rng = np.random.default_rng(seed)

    function = _Forward(f, arrays, places, names, bare=vjp is not None)
    values = _values(function, native, "f")
    wide = _in_float64(function, native, report)
    low = _eps(*values) if wide is None else _precision(function, wide, report)
    sizes = [np.abs(y, dtype=float) for y in values]
    kinked = [np.zeros(x.shape, bool) for x in native]
    for k in range(1, order + 1):
        weights = _weights(rng, sizes)
        weights = [np.asarray(c, y.dtype) for c, y in zip(weights, values)]
        gradient = _Gradient(function, len(native)) if vjp is None else _ByHand(vjp, arrays, places)
        if k == 1 and vjp is None:
            _refuse_impure(function, native, weights)
        found = gradient([*native, *weights])
        if report._misfit(found, native, names):
            break
        scene = _Scene(k, names, function, wide or native, kinked, weights, sizes, low, _eps(*native, *values))
        rows = [_row(scene, place, g, rtol, method if k == 1 else "central") for place, g in enumerate(found)]
        report._add(rows)
        if k == 2 and report.passed and not report.kinks:
            other = [np.asarray(u, y.dtype) for u, y in zip(_weights(rng, sizes), values)]
            report._add_symmetry(weights, found, other, gradient([*native, *other]), rows)
        _values(function, native, "f", before=values)  # a counter or a cache shows itself late
        if not report.passed or k == order:
            break
        native, wide = [*native, *weights], wide and [*wide, *(np.asarray(c, float) for c in weights)]
        names = names + _weight_names(k, len(weights))
        function, sizes = gradient, [row.natural for row in rows]
        kinked = [row.kinked for row in rows] + [np.zeros(c.shape, bool) for c in weights]
        values = _values(function, native, f"the gradient of order {k}", before=found)
        if report._two_walks_differ(function, native, values, sizes, names):
            break
    if raises and not report.passed:
        raise GradientError(report)
    return report


def _check_options(order, rtol, method, kinks):
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"check: order={order!r}; give 1, 2, ...")
    if rtol is not None and not 0 < rtol < 1:
        raise ValueError(f"check: rtol={rtol!r}; give a relative error between 0 and 1, such as 1e-6.")
    if method not in ("auto", "central", "complex"):
        raise ValueError(f'check: method={method!r}; it is "auto", "central" or "complex".')
    if kinks not in ("raise", "ignore"):
        raise ValueError(f'check: kinks={kinks!r}; it is "raise" or "ignore".')


def _places(argnums, count):
    if not count:
        raise ValueError("check: no arrays are given; call check(f, x, ...).")
    places = range(count) if argnums is None else np.atleast_1d(argnums).tolist()
    if not len(places) or not all(isinstance(k, int) and -count <= k < count for k in places):
        raise ValueError(f"check: argnums={argnums!r} does not name some of the {count} arguments.")
    return list(dict.fromkeys(k % count for k in places))


def _names(f, count, places):
    """The parameters of f as its author calls them."""
    try:
        parameters = [p for p in inspect.signature(f).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        parameters = []
    if len(parameters) < count:
        return ["x"] if count == 1 else [f"x{k}" for k in places]
    return [parameters[k].name for k in places]


def _weight_names(order, count):
    name = "cotangent" if order == 1 else "direction" if order == 2 else f"direction of order {order}"
    return [name] if count == 1 else [f"{name} {k}" for k in range(count)]


def _point(x, name, k):
    x = x if is_array(x) else np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"check: argument {k} ({name}) has dtype {x.dtype}; only floats have derivatives. Make it a float, "
            "or name the arguments to differentiate: argnums=(0,)."
        )
    x = np.array(to_numpy(x))
    if not np.isfinite(x).all():
        i = _first(~np.isfinite(x))
        raise ValueError(f"check: {_entry(name, i)} is {x[i]}; a derivative needs a finite point.")
    return x


def _values(function, arrays, what, before=None):
    """The outputs, finite, and the same in two calls."""
    values = function(arrays)
    for k, y in enumerate(values):
        if y.dtype.kind != "f":
            raise TypeError(
                f"check: output {k} of {what} has dtype {y.dtype}; only floats have derivatives. Leave it out."
            )
        if not np.isfinite(y).all():
            i = _first(~np.isfinite(y))
            raise ValueError(
                f"check: output {_entry(str(k), i)} of {what} is {y[i]}; differences need finite values. "
                "Choose another point, or leave that entry out."
            )
    for again, y in zip(function(arrays) if before is None else before, values):
        difference = np.abs(again - y) if again.shape == y.shape else np.inf
        if not np.max(difference, initial=0.0) <= 64 * _eps(y) * np.max(np.abs(y), initial=0.0):
            raise ValueError(
                f"check: {what} is not deterministic: two calls at one point differ by {np.max(difference):.2g}. "
                "Draw random numbers outside, or from a generator that is made anew in each call."
            )
    return values


def _in_float64(function, native, report):
    """The point in float64; None if f does not take that."""
    wide = [x.astype(float) for x in native]
    if any(x.dtype != float for x in native):
        try:
            function(wide)
        except Exception as error:
            report.notes.append(f"differences are computed in low precision, since f refuses float64: {error}")
            return None
    return wide


def _precision(function, wide, report):
    """The rounding of f: it may compute in less than float64 inside, and say nothing."""
    values = function(wide)
    moved = function([x + 1e-3 * np.sin(np.arange(x.size) + 1.0).reshape(x.shape) for x in wide])
    changed = np.concatenate([m[m != y].astype(float) for m, y in zip(moved, values)])
    low = _eps(*values)
    for dtype in (np.float32, np.float16):
        with np.errstate(all="ignore"):
            if changed.size and (changed == changed.astype(dtype)).all():
                low = max(low, float(np.finfo(dtype).eps))
                note = f"f computes in {np.dtype(dtype)}, so small errors cannot be seen"
    if low > np.finfo(float).eps:
        report.notes.append(note)
    return low


def _weights(rng, sizes):
    """Random numbers away from 0; outputs of very different size are brought nearer, so that each has its say."""
    tops = [np.max(s, initial=0.0) for s in sizes]
    scales = [max(top / max(tops), 1e-4) if max(tops) else 1.0 for top in tops]
    return [rng.choice([-1.0, 1.0], s.shape) * rng.uniform(0.5, 1.5, s.shape) / t for s, t in zip(sizes, scales)]


# --------------------------------------------------------------------------- f and its gradients as functions of arrays


class _Forward:
    """f as a function of the arrays that are differentiated: NumPy in, NumPy out."""

    def __init__(self, f, arrays, places, names, bare):
        self.f, self.arrays, self.places, self.names, self.bare = f, arrays, places, names, bare
        self.devices = [device_of(arrays[k]) if is_array(arrays[k]) else "cpu" for k in places]
        self.constants = [(k, x, x.copy()) for k, x in enumerate(arrays) if is_array(x) and k not in places]

    def leaves(self, arrays):
        devices = self.devices + ["cpu"] * (len(arrays) - len(self.devices))
        return [tensor(x, device=d) for x, d in zip(arrays, devices)]

    def tensors(self, leaves, differentiable):
        args = list(self.arrays)
        for k, x in zip(self.places, leaves):
            args[k] = x.data if self.bare else x
        with enable_grad():
            y = self.f(*args)
        outputs = list(y) if isinstance(y, (tuple, list)) else [y]
        if not outputs:
            raise TypeError("check: f returned nothing; return a Tensor, or a tuple of Tensors.")
        return [y if isinstance(y, Tensor) or is_array(y) else np.asarray(y) for y in outputs]

    def __call__(self, arrays):
        leaves = self.leaves(arrays)
        values = [np.array(to_numpy(y)) for y in self.tensors(leaves, differentiable=False)]
        self.refuse_changes(leaves, arrays, "f")
        return values

    def refuse_changes(self, leaves, arrays, who):
        """Arguments and constants must be as they were."""
        pairs = [(to_numpy(leaf), x, name) for leaf, x, name in zip(leaves, arrays, self.names)]
        pairs += [(to_numpy(x), to_numpy(before), f"argument {k}") for k, x, before in self.constants]
        for now, before, name in pairs:
            if now.shape != before.shape or not np.array_equal(now, before, equal_nan=now.dtype.kind in "fc"):
                where = _entry(name, _first(now != before)) if now.shape == before.shape else name
                raise ValueError(
                    f"check: {who} changes its argument {name} in place, at {where}. Let it work on a copy."
                )


class _Gradient:
    """(x₁, …, c₁, …) ↦ the gradients of s = Σ c y with respect to x₁, …: again a function of arrays."""

    def __init__(self, below, count):
        self.below, self.count = below, count
        self.leaves = below.leaves

    def tensors(self, leaves, differentiable):
        with enable_grad():
            outputs = self.below.tensors(leaves[: self.count], differentiable=True)
            return grad(_weighted(outputs, leaves[self.count :]), leaves[: self.count], differentiable=differentiable)

    def __call__(self, arrays):
        return [np.array(to_numpy(g)) for g in self.tensors(self.leaves(arrays), differentiable=False)]


class _ByHand:
    """The same from a gradient that was written by hand."""

    def __init__(self, vjp, arrays, places):
        self.vjp, self.arrays, self.places = vjp, arrays, places

    def __call__(self, arrays):
        args, count = list(self.arrays), len(self.places)
        for k, x in zip(self.places, arrays):
            args[k] = x.copy()
        weights = [c.copy() for c in arrays[count:]]
        found = self.vjp(weights[0] if len(weights) == 1 else tuple(weights), *args)
        found = list(found) if isinstance(found, (tuple, list)) and count > 1 else [found]
        return [np.asarray(to_numpy(g), x.dtype) for g, x in zip(found, arrays)] if len(found) == count else found


def _weighted(outputs, weights):
    """s = Σ c y as a Tensor."""
    total = 0.0
    for y, c in zip(outputs, weights):
        total = total + to_device(_sum(to_device(c, _device(y)) * y), "cpu")
    return total


def _device(y):
    return y.device if isinstance(y, Tensor) else device_of(y)


def _refuse_impure(function, native, weights):
    """No vjp may write into what it is given: another branch of a graph may need it."""
    beside = [tensor(np.zeros_like(c)) for c in weights]  # the older leaf: its cotangent is looked at last
    leaves = function.leaves(native)
    outputs = function.tensors(leaves, differentiable=True)
    before = [np.array(to_numpy(y)) for y in outputs]
    with enable_grad():
        joined = [to_device(b, _device(y)) + y for y, b in zip(outputs, beside)]
        gradients = grad(_weighted(joined, weights), [*leaves, *beside])
    function.refuse_changes(leaves, native, "the backward of f")
    for y, same in zip(outputs, before):
        if not np.array_equal(to_numpy(y), same):
            raise ValueError("check: the backward of f changes the result of f in place. Let it work on a copy.")
    for g, c in zip(gradients[len(leaves) :], weights):
        if not np.array_equal(to_numpy(g), c):
            raise ValueError("check: the backward of f changes its cotangent g in place. Let it work on a copy.")


# ----------------------------------------------------------------------------------------------- slopes by differences


class _Probe(NamedTuple):
    """Slopes around one entry, from rises at ±h, ±h/2 and ±h/4."""

    step: float
    slope: float
    spread: float  # by how much two extrapolations differ
    noise: float  # what rounding alone makes
    left: float
    right: float
    jumps: tuple  # right minus left slope, at h/2 and at h/4

    @property
    def error(self):
        bound = self.spread + self.noise + (abs(self.jump) if abs(self.jump) > 16 * self.noise else 0.0)
        return bound if math.isfinite(bound) else math.inf

    @property
    def jump(self):
        """The jump of the slope extrapolated to h = 0, where that of a smooth function is 0."""
        return 2 * self.jumps[1] - self.jumps[0]

    def sharp(self, tolerance):
        return not abs(self.jump) <= max(tolerance, 16 * self.noise)


def _probe(rise, x, i, size, eps, h):
    central, left, right, far = [], [], [], 0.0
    for t in (h, h / 2, h / 4):
        (up, forth), (down, back) = (_moved(rise, x, i, step) for step in (t, -t))
        central.append((up - down) / (forth - back))
        right.append(up / forth)
        left.append(down / back)
        far = max(far, abs(up), abs(down))
    rough, fine = ((4 * central[k + 1] - central[k]) / 3 for k in (0, 1))
    jumps = (right[1] - left[1], right[2] - left[2])
    noise = 4 * eps * (size + far) / h
    return _Probe(h, float(fine), float(abs(fine - rough)), float(noise), float(left[2]), float(right[2]), jumps)


def _moved(rise, x, i, step):
    """How much f rises when entry i moves, and by how much the entry really moved (x + h is rounded)."""
    moved = x.copy()
    moved[i] += step
    return np.float64(rise(moved)), np.float64(moved[i]) - np.float64(x[i])


class _Slopes(NamedTuple):
    """What differences measured: arrays in the shape of x, and the probes of entries at a kink."""

    slope: np.ndarray
    error: np.ndarray
    step: np.ndarray
    scale: np.ndarray  # the length on which f may be expected to change
    kinks: dict


def _measure(rise, x, size, eps, rtol):
    """Slopes of a function at every entry of x, from its rise(x′) = f(x′) − f(x), of which `size` is the scale."""
    top = np.max(np.abs(x), initial=0.0)
    slopes = _Slopes(*(np.zeros(x.shape) for _ in range(4)), {})
    with np.errstate(all="ignore"):
        probe = {i: partial(_probe, rise, x, i, size, eps) for i in np.ndindex(x.shape)}
        first = {i: probe[i](STEP * (max(abs(x[i]), 1e-3 * top) or 1.0)) for i in probe}
        clean = [abs(p.slope) for p in first.values() if p.error < 1e-2 * abs(p.slope)]
        for i, p in first.items():
            largest = max([*clean, *(abs(v) for v in (p.slope, p.left, p.right) if math.isfinite(v))])
            tried = _adapted(probe[i], p, largest, rtol, roof=0.1 * max(1.0, top))
            best, slopes.error[i] = _best(tried)
            slopes.slope[i], slopes.step[i] = best.slope, best.step
            slopes.scale[i] = max(p.step, min(best.step, STEP)) / STEP
            kink = _kink(tried, rtol * largest, largest)
            if kink:
                slopes.kinks[i] = kink
    return slopes


def _best(tried):
    """The probe with the smallest error, and that error. A probe that contradicts longer steps is not believed.

    (Steps below the precision of f see no rise at all, and agree on a slope of 0.)
    """

    def doubt(p, others):
        return max([p.error, *(abs(p.slope - q.slope) - 8 * q.error for q in others)])

    best = min(tried, key=lambda p: doubt(p, [q for q in tried if q.step > p.step]))
    return best, doubt(best, tried)


def _adapted(probe, first, largest, rtol, roof):
    """Probes at better and better steps: shorter where the function bends, longer where rounding dominates."""
    tried, low, high = [first], 0.0, math.inf
    target = rtol * largest / 100
    while len(tried) < 12:
        p = tried[-1]
        if not p.spread <= max(target, 4 * p.noise) or p.sharp(rtol * largest):
            high = p.step
            step = math.sqrt(low * high) if low else high / 16
            seen = max(rtol, 1e-5) * largest
            if p.spread < math.inf and p.noise * p.step > seen * step:  # there rounding would hide everything
                break
        elif p.noise > target:
            low = p.step
            step = low * 16 if high == math.inf else math.sqrt(low * high)
        else:
            break
        if step > roof or high < 4 * low:
            break
        tried.append(probe(step))
    return tried


def _kink(tried, tolerance, largest):
    """The probe with the shortest step at which a kink shows, None if there is no kink.

    On a smooth function the right slope minus the left falls as h; at a kink it stays.
    """
    tried = sorted(tried, key=lambda p: -p.step)
    sharp = [p for p in tried if p.sharp(tolerance)]
    if not sharp or (tried[-1].spread <= max(tolerance, 4 * tried[-1].noise) and tried[-1] is not sharp[-1]):
        return None  # shorter steps look past it
    sizes = [(p.step, abs(p.jumps[1])) for p in sharp] if len(sharp) > 1 else [*zip((2, 1), map(abs, sharp[0].jumps))]
    for (long, before), (short, after) in list(zip(sizes, sizes[1:]))[-2:]:
        stays = not after <= before * (short / long) ** 0.25
        if stays and not (after > 2 * before and before < 1e-2 * largest):  # what begins small and grows is rounding
            return sharp[-1]
    return None


def numerical_gradient(f, x, h=None):
    """The gradient of a function with one number as its result, by central differences at every entry.

    Parameters
    ----------
    f : callable
        Takes an array like x, in float64; returns a number.
    x : array_like
    h : float, optional
        The step of the textbook formula. By default steps are chosen for each entry, and extrapolated.

    Returns
    -------
    array, the shape of x

    Raises
    ------
    TypeError
        If `f` returns more than one number.

    Notes
    -----
    With `h`: (f(x + h eᵢ) − f(x − h eᵢ)) / 2h. The truncation error is h² f‴/6, the rounding error ε|f|/h. Their sum is
    least at h = (3ε |f| / |f‴|)^⅓, about 1e-5 in float64 for numbers near 1: then ten digits are right, no more.

    Without: D(h) = f′ + a h² + b h⁴ + …, so (4 D(h/2) − D(h)) / 3 has no h² term (Richardson 1911, Phil. Trans. R. Soc. A
    210). The error falls as h⁴, and longer steps may be used: h = 0.002 |xᵢ| leaves about twelve digits. Where two
    extrapolations disagree, h is divided by 16 until they agree; where rounding dominates, it is multiplied.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**3).sum(), [1.0, 2.0]).round(9)
    array([ 3., 12.])
    >>> numerical_gradient(lambda x: (x**3).sum(), [1.0, 2.0], h=0.5)  # 3x² + h²
    array([ 3.25, 12.25])
    """
    x = np.array(to_numpy(x), dtype=float)
    value = lambda moved: _number(f(moved), "numerical_gradient")
    if h is None:
        start = value(x.copy())
        return _measure(lambda moved: value(moved) - start, x, abs(start), np.finfo(float).eps, 1e-7).slope
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        (up, _), (down, _) = (_moved(value, x, i, step) for step in (h, -h))
        gradient[i] = (up - down) / (2 * h)
    return gradient


def numerical_jacobian(f, x, h=None):
    """All partial derivatives of a function of one array, by central differences (see `numerical_gradient`).

    Parameters
    ----------
    f : callable
        Takes an array like x, returns an array of shape S.
    x : array_like, shape T
    h : float, optional

    Returns
    -------
    array, shape S + T

    Notes
    -----
    J[i, j] = ∂yᵢ/∂xⱼ.

    Examples
    --------
    >>> numerical_jacobian(lambda x: x * x, [1.0, 2.0]).round(9)
    array([[2., 0.],
           [0., 4.]])
    """
    x = np.array(to_numpy(x), dtype=float)
    shape = to_numpy(f(x.copy())).shape
    rows = [numerical_gradient(lambda z, i=i: to_numpy(f(z))[i], x, h) for i in np.ndindex(shape)]
    return np.array(rows).reshape(shape + x.shape)


def complex_step(f, x, h=1e-20):
    """The gradient of an analytic function with one number as its result, right to the last digits.

    Parameters
    ----------
    f : callable
        Takes a complex array like x, returns a number.
    x : array_like of real numbers
    h : float
        Tiny: there is no difference of near numbers, so nothing is lost.

    Returns
    -------
    array, the shape of x

    Raises
    ------
    TypeError
        If the result is real, or if the imaginary part is dropped on the way: then `f` is not analytic (`abs` and
        `np.linalg.norm` are not; use sqrt(sum(z * z))).

    Notes
    -----
    f(x + ih) = f(x) + ih f′(x) − h² f″(x)/2 − …, so Im f(x + ih) / h = f′(x) − h² f‴/6 + … (Squire and Trapp 1998, SIAM
    Review 40, 110–112). A function that is not analytic gives a wrong number without an error where it returns complex
    numbers: `check` therefore holds each complex step against differences.

    Examples
    --------
    >>> complex_step(lambda x: (x**3).sum(), [1.0, 2.0])
    array([ 3., 12.])
    """
    x = np.array(to_numpy(x), dtype=float)

    def height(z):
        y = np.asarray(to_numpy(f(z)))
        if y.dtype.kind != "c":
            raise TypeError("complex_step: f returned a real number for a complex input, so it is not analytic.")
        return _number(y, "complex_step").imag

    return _complex_gradient(height, x, np.full(x.shape, float(h)))


def _complex_gradient(height, x, steps):
    gradient = np.zeros(x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # an imaginary part that is dropped
        for i in np.ndindex(x.shape):
            z = x.astype(complex)
            z[i] += 1j * steps[i]
            try:
                gradient[i] = height(z) / steps[i]
            except np.exceptions.ComplexWarning as warning:
                raise TypeError(f"complex step: {warning}, so f is not analytic.") from None
    return gradient


def _number(y, name):
    y = np.asarray(to_numpy(y))
    if y.size != 1:
        raise TypeError(f"{name}: f returned shape {y.shape}; it must return one number.")
    return y.item()


def adjoint(A, At, x_shape, y_shape, seed=0):
    """Check that two linear functions are each other's adjoint: ⟨Ax, y⟩ = ⟨x, Aᵀy⟩, to rounding.

    Parameters
    ----------
    A, At : callable
        A takes an array of shape `x_shape` and returns one of `y_shape`; At the other way round.
    x_shape, y_shape : tuple of ints
    seed : int

    Returns
    -------
    float
        The largest relative difference of the two sides; 0.0 where A only moves, repeats and adds.

    Raises
    ------
    AssertionError
        If the sides differ, or a shape is wrong.

    Notes
    -----
    x and y hold random whole numbers, so sums of them have no rounding. If A is a vjp's forward, At is the vjp. No
    derivative is taken, and no step is chosen. Both sides agree for random x and y only if the two matrices do.

    Examples
    --------
    >>> adjoint(np.cumsum, lambda y: np.cumsum(y[::-1])[::-1], (5,), (5,))
    0.0
    """
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(3):
        x, y = (rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape) for shape in (x_shape, y_shape))
        ax, aty = to_numpy(A(x.copy())), to_numpy(At(y.copy()))
        for name, found, shape in (("A", ax, tuple(y_shape)), ("At", aty, tuple(x_shape))):
            if found.shape != shape:
                raise AssertionError(f"adjoint: {name} returned shape {found.shape}, expected {shape}.")
        left, right = np.sum(ax * y), np.sum(x * aty)
        scale = np.sum(np.abs(ax * y)) + np.sum(np.abs(x * aty))
        error = float(abs(left - right) / scale) if scale else 0.0
        if not error <= 64 * _eps(ax, aty):
            raise AssertionError(
                f"adjoint: <Ax, y> = {left:.12g}, but <x, At y> = {right:.12g} (seed {seed}): relative difference {error:.1e}."
            )
        worst = max(worst, error)
    return worst


# ------------------------------------------------------------------------------------------------- comparing the two


class _Scene(NamedTuple):
    """What is differentiated at one order: the number s = Σ c y, as a function of the point."""

    order: int
    names: list
    function: object
    point: list
    kinked: list  # where a lower order has no derivative
    weights: list
    sizes: list  # of the outputs: what their rounding is relative to
    low: float  # the rounding of the outputs
    eps: float  # and of the gradients that are checked


@dataclass
class Row:
    """One argument at one order. `got` and `expected` are the gradients, `errors` their relative errors."""

    order: int
    name: str
    method: str
    reason: str | None
    got: np.ndarray
    expected: np.ndarray
    errors: np.ndarray
    allowed: np.ndarray
    undecided: np.ndarray
    rtol: float
    natural: np.ndarray  # the usual size of such a slope, which its rounding is relative to
    kinks: list
    kinked: np.ndarray  # where there is no derivative, so nothing is compared

    @property
    def wrong(self):
        """Where the gradient is wrong (a kink is not)."""
        return (self.errors > self.rtol) & ~self.undecided

    @property
    def worst(self):
        """Index of the largest error (of a wrong entry, if there is one), None if nothing was compared."""
        seen = np.where(np.isnan(self.errors) | (self.wrong.any() & ~self.wrong), -1.0, self.errors)
        return _first(seen == seen.max()) if seen.size and seen.max() >= 0 else None

    @property
    def error(self):
        """The largest relative error."""
        return float(self.errors[self.worst]) if self.worst is not None else 0.0


@dataclass
class Kink:
    """A place without a derivative: the slopes on its two sides differ (or one side is outside the domain)."""

    order: int
    name: str
    index: tuple
    value: float
    left: float
    right: float
    within: float

    def __str__(self):
        where = f"a kink lies within {self.within:.1e} of {_entry(self.name, self.index)} = {self.value:.9g}"
        if not (math.isfinite(self.left) and math.isfinite(self.right)):
            side = "right" if math.isfinite(self.left) else "left"
            return f"{where}: the function is not finite on the {side}. Move the probe into the domain"
        slopes = "slope" if self.order == 1 else f"slope of order {self.order}"
        left, right = self.left + 0.0, self.right + 0.0  # no -0
        return f"{where}: the {slopes} is {left:.6g} on the left and {right:.6g} on the right. Move the probe"


def _row(scene, place, got, rtol, method):
    x, name, base = scene.point[place], scene.names[place], scene.function(scene.point)

    def outputs(moved):
        return scene.function([*scene.point[:place], moved, *scene.point[place + 1 :]])

    def rise(moved):
        return sum(np.sum(c * (y - b), dtype=float) for c, y, b in zip(scene.weights, outputs(moved), base))

    size = math.sqrt(sum(np.sum((c * s) ** 2.0) for c, s in zip(scene.weights, scene.sizes)))
    near = rtol or _tolerance(max(scene.eps, scene.low), _CENTRAL)
    slopes = _measure(rise, x, size, scene.low, near)
    found = {i: p for i, p in slopes.kinks.items() if not scene.kinked[place][i]}
    kinked = scene.kinked[place].copy()
    for i in found:
        kinked[i] = True
    natural = size / np.max(slopes.scale, initial=0.0) if x.size else 0.0  # the usual size of a slope
    expected, error, used, reason = slopes.slope, slopes.error, _CENTRAL, None
    floor = 16 * (scene.eps * natural + scene.low * size / slopes.step)  # what rounding alone can make
    if method != "central":
        exact, reason = _by_complex_step(outputs, scene, x, slopes, kinked, name)
        if reason and method == "complex":
            raise TypeError(f'check: method="complex" does not fit {name}: {reason}. Use "auto" or "central".')
        if not reason:
            expected, error, used = exact, np.zeros(x.shape), _COMPLEX
            floor = 16 * scene.eps * natural
            near = rtol or _tolerance(scene.eps, _COMPLEX)
    expected = np.where(kinked, np.nan, expected)
    largest = np.max(np.abs(expected), where=~kinked, initial=0.0)
    allowed = near * largest + floor
    with np.errstate(all="ignore"):
        difference = np.abs(np.asarray(got, float) - expected)
        errors = np.where(difference == 0, 0.0, difference / (largest + floor / near))
    undecided = ~(errors <= near) & ~(difference > allowed + 4 * error) & np.isfinite(got) & ~kinked
    errors[(undecided & np.isnan(errors)) | ~np.isfinite(got)] = np.inf  # what is not finite is wrong at a kink too
    kinks = [Kink(scene.order, name, i, float(x[i]), p.left, p.right, p.step / 4) for i, p in found.items()]
    natural = np.maximum(np.abs(got, dtype=float), natural)
    return Row(scene.order, name, used, reason, got, expected, errors, allowed, undecided, near, natural, kinks, kinked)


def _by_complex_step(outputs, scene, x, slopes, kinked, name):
    """The gradient by a complex step, and why it cannot be used (None if it can)."""
    if x.dtype != float or scene.low > np.finfo(float).eps:
        return None, "f computes in low precision"
    height = lambda z: sum(np.sum(c * np.imag(y), dtype=float) for c, y in zip(scene.weights, outputs(z)))
    try:
        with np.errstate(all="ignore"):
            exact = _complex_gradient(height, x, 1e-20 / STEP * slopes.step)
    except Exception as error:
        return None, str(error).partition(". Fix:")[0].rstrip(".")
    if not np.isfinite(exact).all():
        return None, "f of a complex number is not finite"
    known = np.isfinite(slopes.error) & ~kinked
    largest = np.max(np.abs(slopes.slope), where=known, initial=0.0)
    apart = known & (np.abs(exact - slopes.slope) > 1e-6 * largest + 8 * slopes.error)
    if apart.any():
        i = _first(apart)
        return None, (
            f"at {_entry(name, i)} it gives {exact[i]:.6g}, differences {slopes.slope[i]:.6g}: f is not analytic "
            "(abs, real parts, or NumPy on the data)"
        )
    return exact, None


def _tolerance(eps, method):
    if eps > 1e-6:
        return 2e-2  # float16
    if eps > 1e-15:
        return 1e-4  # float32
    return 1e-9 if method == _COMPLEX else 1e-7


def _eps(*arrays):
    """Of the coarsest dtype."""
    return max(float(np.finfo(x.dtype).eps) for x in arrays if x.dtype.kind in "fc")


# ----------------------------------------------------------------------------------------------------------- the report


def _source(x, small=True):
    """An array as Python text that gives exactly the same array."""
    if not is_array(x):
        return repr(x)
    x = to_numpy(x)
    if not small:
        return f"<array of shape {x.shape}>"
    dtype = "" if x.dtype in (float, int, bool) else f", dtype=np.{x.dtype}"
    return f"np.array({x.tolist()!r}{dtype})" if x.size else f"np.zeros({x.shape}{dtype})"


class Report:
    """What `check` found.

    Attributes
    ----------
    passed : bool
    rows : list of Row
        One for each order and argument: order, name, method, got, expected, errors, rtol.
    errors : list of arrays
        The relative errors of the first gradient, one array for each argument, in its shape: ready for a heat-map.
    kinks : list of Kink
        Places without a derivative.
    notes : list of str
        Why differences were used in place of a complex step, and the like.
    asymmetry : float or None
        |u·Hv − v·Hu| relative to its terms; None where order 2 was not reached.
    failure : str or None
        What is wrong, as the error says it.
    pattern : str or None
        What the wrong gradient has to do with the right one, if that is plain to see.
    """

    def __init__(self, f, arrays, vjp, options):
        self.f, self.arrays, self.vjp, self.options = f, arrays, vjp, options
        self.rows, self.notes, self.asymmetry = [], [], None
        self._fault, self._symmetric = None, True

    @property
    def source(self):
        """The call, as a line that repeats it."""
        name = getattr(self.f, "__name__", "f")
        options = [f"{k}={v!r}" for k, v in self.options.items() if v != _DEFAULTS.get(k)]
        options += ["vjp=vjp"] if self.vjp else []
        small = sum(np.size(to_numpy(x)) for x in self.arrays) <= _SHOWN
        parts = [name if name.isidentifier() else "f", *(_source(x, small) for x in self.arrays), *options]
        return f"minicl.gradcheck.check({', '.join(parts)})"

    def _misfit(self, found, points, names):
        """Whether the gradients have the shapes and dtypes of the arguments; if not, that is the failure."""
        if len(found) != len(points):
            self._fault = f"vjp returned {len(found)} gradients for {len(points)} arguments"
        for g, x, name in zip(found, points, names):
            if g.shape != x.shape or g.dtype != x.dtype:
                self._fault = (
                    f"the gradient with respect to {name} has shape {g.shape} and dtype {g.dtype}, the argument "
                    f"{x.shape} and {x.dtype}; they must be equal"
                )
        return self._fault

    def _two_walks_differ(self, gradient, native, values, sizes, names):
        """A fused primitive has one rule for a plain gradient and one for a recorded one: they must agree."""
        recorded = gradient.tensors(gradient.leaves(native), differentiable=True)
        for g, y, size, name in zip(recorded, values, sizes, names):
            difference = np.abs(to_numpy(g) - y)
            allowed = _tolerance(_eps(y), _COMPLEX) * np.max(np.abs(y), initial=0.0) + 64 * _eps(y) * size
            if not (difference <= allowed).all():
                i = _first(difference == difference.max())
                self._fault = (
                    f"the gradient at {_entry(name, i)} is {y[i]:.9g}, but {to_numpy(g)[i]:.9g} under "
                    "differentiable=True: a joint vjp and its composed definition differ"
                )
        return self._fault

    def _add(self, rows):
        self.rows += rows
        for row in rows:
            if row.reason:
                self.notes.append(f"central differences for {row.name}: {row.reason}")

    def _add_symmetry(self, v, hv, u, hu, rows):
        u, v, hu, hv = ([np.asarray(x, float) for x in arrays] for arrays in (u, v, hu, hv))
        left = sum(np.sum(a * b) for a, b in zip(u, hv))
        right = sum(np.sum(a * b) for a, b in zip(v, hu))
        size = sum(np.sum(np.abs(a * b)) + np.sum(np.abs(c * d)) for a, b, c, d in zip(u, hv, v, hu))
        allowed = sum(np.sum((np.abs(a) + np.abs(b)) * row.allowed) for a, b, row in zip(u, v, rows))
        self.asymmetry = float(abs(left - right) / size) if size else 0.0
        self._symmetric = bool(abs(left - right) <= allowed)

    @property
    def passed(self):
        bad = self._fault or any(row.wrong.any() or row.undecided.any() for row in self.rows)
        return not bad and self._symmetric and not (self.kinks and self.options["kinks"] == "raise")

    @property
    def kinks(self):
        return [kink for row in self.rows for kink in row.kinks]

    @property
    def errors(self):
        return [row.errors for row in self.rows if row.order == 1]

    @property
    def pattern(self):
        wrong = [row for row in self.rows if row.wrong.any()]
        return _pattern(max(wrong, key=lambda row: row.error)) if wrong else None

    @property
    def failure(self):
        if self.passed:
            return None
        wrong = [row for row in self.rows if row.wrong.any()]
        undecided = [row for row in self.rows if row.undecided.any()]
        if self._fault:
            lines = [self._fault]
        elif wrong:
            lines = self._wrong_lines(wrong)
        elif undecided:
            lines = self._undecided_lines(max(undecided, key=lambda row: row.error))
        elif not self._symmetric:
            lines = [f"order 2: the Hessian is not symmetric: u·Hv and v·Hu differ by {self.asymmetry:.1e} of them"]
        else:
            lines = [f'order {self.kinks[0].order}: no derivative exists here (kinks="ignore" leaves such entries out)']
        lines += [f"  kink: {kink}" for kink in self.kinks[:3]]
        lines += [f"  ... and {len(self.kinks) - 3} kinks more"] if len(self.kinks) > 3 else []
        return "\n".join([*lines, f"  again: {self.source}"])

    def _wrong_lines(self, wrong):
        row = max(wrong, key=lambda row: row.error)
        count, i = int(row.wrong.sum()), row.worst
        others = ", ".join(other.name for other in wrong if other is not row)
        lines = [
            f"order {row.order}: the gradient with respect to {row.name} is wrong in {count} of {row.got.size} entries"
            + (f" (also wrong: {others})" if others else ""),
            f"  worst: {_entry(row.name, i)}: expected {row.expected[i]:.9g}, got {row.got[i]:.9g}, "
            f"relative error {row.error:.1e} (allowed {row.rtol:.0e})",
            f"  expected comes from {row.method}; errors are relative to the largest entry, {_largest(row):.6g}",
        ]
        pattern = _pattern(row)
        return lines + ([f"  pattern: {pattern}"] if pattern else [])

    def _undecided_lines(self, row):
        i = row.worst
        return [
            f"order {row.order}: differences cannot tell whether the gradient with respect to {row.name} is right",
            f"  worst: {_entry(row.name, i)}: measured {row.expected[i]:.9g}, got {row.got[i]:.9g}, relative difference "
            f"{row.error:.1e} (allowed {row.rtol:.0e}), and the measured slope is no more accurate than that",
            "  Is f rough or very steep here, or does it compute in low precision inside? Move the probe, or give rtol=",
        ]

    # ------------------------------------------------------------------------------------------------------- as text

    def _table(self):
        head = ("order", "argument", "shape", "method", "largest error", "at", "allowed", "")
        return [head, *(_cells(row) for row in self.rows)]

    def _foot(self):
        lines = [f"Hessian symmetric to {self.asymmetry:.1e}"] if self.asymmetry is not None else []
        return lines + [f"note: {note}" for note in self.notes] + [f"kink: {kink}" for kink in self.kinks]

    def _headline(self):
        return f"gradcheck: {'passed' if self.passed else 'FAILED'} (seed {self.options['seed']})"

    def __repr__(self):
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        return "\n".join([self._headline(), "", *lines, *self._foot(), *([self.failure] if self.failure else [])])

    def _repr_html_(self):
        head, *rows = self._table()
        cells = lambda row, tag: "".join(f"<{tag} style='text-align:left'>{escape(cell)}</{tag}>" for cell in row)
        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
        foot = "".join(f"<li>{escape(line)}</li>" for line in self._foot())
        failure = f"<pre>{escape(self.failure)}</pre>" if self.failure else ""
        return (
            f"<p><b>{escape(self._headline())}</b></p><table><thead><tr>{cells(head, 'th')}</tr></thead>"
            f"<tbody>{body}</tbody></table><ul>{foot}</ul>{failure}"
        )


def _cells(row):
    verdict = "wrong" if row.wrong.any() else "undecided" if row.undecided.any() else "kink" if row.kinks else "right"
    where = "" if row.worst is None or not row.error else str(list(row.worst))
    return (
        str(row.order),
        row.name,
        str(row.got.shape),
        row.method,
        f"{row.error:.1e}",
        where,
        f"{row.rtol:.0e}",
        verdict,
    )


def _largest(row):
    return float(np.max(np.abs(row.expected), where=~np.isnan(row.expected), initial=0.0))


def _pattern(row):
    """In words, what `got` has to do with `expected`; None if nothing is plain to see."""
    got, expected = np.asarray(row.got, float), row.expected
    if not np.isfinite(got).all():
        return f"not finite: {np.count_nonzero(~np.isfinite(got))} of {got.size} entries"
    if np.isnan(expected).any():
        return None  # shapes and sums mean little where entries are missing
    largest = _largest(row)
    if not largest:
        return "expected is 0 everywhere: f does not depend on this argument here"
    close = lambda a, b: a.shape == b.shape and np.max(np.abs(a - b)) <= max(row.rtol, 1e-6) * largest
    if close(got, 0 * expected):
        cause = "the backward returns zeros" if row.order == 1 else "a vjp holds for constant what depends on the input"
        return f"got is 0 everywhere: {cause}, or the graph is cut (.data, stop_gradient, no_grad)"
    ratio = float(np.sum(got * expected) / np.sum(expected * expected))
    if close(got, ratio * expected):
        if math.isclose(ratio, -1, rel_tol=1e-6):
            return "got is -expected everywhere: the sign is wrong"
        lengths = [n for n in dict.fromkeys([*got.shape, got.size]) if n > 1]
        hits = [f"{n} is" for n in lengths if math.isclose(ratio, n, rel_tol=1e-6)]
        hits += [f"1/{ratio:.6g} = {n} is" for n in lengths if math.isclose(ratio, 1 / n, rel_tol=1e-6)]
        return f"got is {ratio:.6g} x expected everywhere" + (f"; {hits[0]} a length of this array" if hits else "")
    if got.ndim == 2 and close(got, expected.T):
        return "got is expected transposed"
    if got.ndim == 2 and close(got.ravel(), expected.T.ravel()):
        return "got is expected transposed, then reshaped: use .T, not .reshape"
    if close(got.ravel(), expected.ravel()[::-1]):
        return "got is expected in reverse order"
    if close(np.sort(got.ravel()), np.sort(expected.ravel())):
        return "the right numbers stand in wrong places"
    if close(np.abs(got), np.abs(expected)):
        return "only signs are wrong"
    if close(got - expected, np.full(got.shape, np.mean(got - expected))):
        return f"got is expected + {np.mean(got - expected):.6g} everywhere"
    return None


def _entry(name, index):
    """`x[1, 2]`, as one would write it."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _first(mask):
    return tuple(int(k) for k in np.argwhere(mask)[0])
