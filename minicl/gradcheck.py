"""Gradient checking: is the gradient that the engine returns the derivative of the function that it computed?

The engine's answer is held against differences of function values. Every entry of every argument is compared, along a
random direction of the output, to the second order by default.
"""

import html
import math
from typing import NamedTuple

import numpy as np

from .arrays import is_array, namespace, to_numpy
from .engine import Tensor, enable_grad, grad, no_grad, tensor
from .ops import sum as _sum

TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3, np.dtype(np.float16): 5e-2}


class GradientError(AssertionError):
    """A gradient is wrong, or a point was chosen at which there is none. `.report` has the details."""

    def __init__(self, report):
        super().__init__(report.message)
        self.report = report


# ------------------------------------------------------------------------------------------ derivatives by differences


def numerical_gradient(f, x, h=None):
    """The gradient of a scalar function by central differences, entry by entry.

    Parameters
    ----------
    f : callable
        Takes an array like `x`, returns a number (or a Tensor or array of shape ()).
    x : array_like
        Not changed.
    h : float, optional
        The step. By default several steps are taken and extrapolated to 0 (Ridders 1982), which gives about ten digits.

    Returns
    -------
    ndarray, the shape of x, float64

    Notes
    -----
    (f(x + h) − f(x − h)) / 2h = f′ + h² f‴/6 + …, and rounding adds about ε|f| / h. The sum is smallest near
    h = (3 ε |f| / |f‴|)^(1/3), about 1e-5 in float64, where about ten digits are right.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**2).sum(), [1.0, 2.0], h=1e-5).round(6)
    array([2., 4.])
    """
    x = np.array(to_numpy(x), dtype=float)
    value = _probe(f, x)
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        gradient[i] = _ridders(value(i), _size(x, i), abs(float(x[i]))) if h is None else (value(i)(h) - value(i)(-h)) / (2 * h)
    return gradient


def complex_step(f, x, h=1e-20):
    """The gradient of an analytic scalar function to full precision: Im f(x + ih) / h.

    Parameters
    ----------
    f : callable
        Takes a complex array like `x`, returns a complex number. It must be analytic: no abs, max or comparison of the
        argument, no `np.linalg.norm`.
    x : array_like
    h : float

    Returns
    -------
    ndarray, the shape of x, float64

    Raises
    ------
    TypeError
        If the result is real: then a step inside dropped the imaginary part.

    Notes
    -----
    f(x + ih) = f(x) + ih f′(x) − h² f″(x)/2 − …: the imaginary part has no difference of near numbers, so h may be tiny
    (Squire & Trapp 1998).

    Examples
    --------
    >>> complex_step(lambda x: np.exp(x).sum(), [0.0])
    array([1.])
    """
    x = np.array(to_numpy(x), dtype=float)
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[i] += 1j * h
        y = to_numpy(f(moved))
        if y.dtype.kind != "c":
            raise TypeError(f"complex_step: the result is {y.dtype}, not complex: a step inside dropped the imaginary part.")
        gradient[i] = float(y.imag) / h
    return gradient


def numerical_jacobian(f, x, h=None):
    """All partial derivatives of an array function by central differences.

    Parameters
    ----------
    f : callable
        Takes an array like `x`, returns an array of shape S.
    x : array_like, shape T
    h : float, optional
        As in `numerical_gradient`.

    Returns
    -------
    ndarray, shape S + T

    Examples
    --------
    >>> numerical_jacobian(lambda x: x**2, [1.0, 2.0], h=1e-5).round(6)
    array([[2., 0.],
           [0., 4.]])
    """
    x = np.array(to_numpy(x), dtype=float)
    shape = to_numpy(f(x.copy())).shape
    rows = [numerical_gradient(lambda x, i=i: to_numpy(f(x))[i], x, h) for i in np.ndindex(shape)]
    return np.array(rows).reshape(shape + x.shape)


def adjoint(f, f_adjoint, x_shape, y_shape, seed=0):
    """The relative difference between ⟨f(x), y⟩ and ⟨x, f_adjoint(y)⟩ for random x and y.

    Zero, up to rounding, if both are linear and one is the other's adjoint (its vjp).

    Parameters
    ----------
    f, f_adjoint : callable
        From arrays of `x_shape` to arrays of `y_shape`, and back.
    seed : int

    Raises
    ------
    ValueError
        If a result has the wrong shape.

    Examples
    --------
    >>> a = np.arange(6.0).reshape(2, 3)
    >>> adjoint(lambda x: a @ x, lambda y: a.T @ y, (3,), (2,)) < 1e-14
    True
    """
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(x_shape), rng.standard_normal(y_shape)
    fx, fy = to_numpy(f(x.copy())), to_numpy(f_adjoint(y.copy()))
    if fx.shape != y.shape or fy.shape != x.shape:
        raise ValueError(f"adjoint: got shapes {fx.shape} and {fy.shape}, expected {y.shape} and {x.shape}.")
    left, right = float(np.sum(fx * y)), float(np.sum(x * fy))
    size = max(float(np.sum(np.abs(fx * y))), float(np.sum(np.abs(x * fy))), np.finfo(float).tiny)
    return abs(left - right) / size


def _probe(f, x):
    """`value(i)(d)`: the function where entry i has moved by d. The caller's array is never handed out."""

    def value(i):
        def at(d):
            moved = x.copy()
            moved[i] += d
            return float(to_numpy(f(moved)))

        return at

    return value


def _size(x, i):
    """The scale of a step: that of the entry, or a tenth of the largest entry where it is small beside it."""
    return max(abs(float(x[i])), 0.1 * float(np.max(np.abs(x))), 1e-12) if np.any(x) else 1.0


def _ridders(at, size, entry, shrink=1.6):
    """Central differences with falling steps, extrapolated to step 0; the estimate that moved least is returned.

    The first step is a part of `size`; the last is at most a part of the entry, since a pole may lie at 0.
    """
    best, error = math.nan, math.inf
    before = []
    levels = 9 + (math.ceil(math.log(size / entry, shrink)) if 0 < entry < size else 0)
    for k in range(min(levels, 40)):
        h = 0.05 * size / shrink**k
        with np.errstate(all="ignore"):  # a step may leave the domain
            row = [(at(h) - at(-h)) / (2 * h)]
        if not math.isfinite(row[0]):
            before = []  # outside of the domain: try nearer
            continue
        for j, older in enumerate(before):
            factor = shrink ** (2 * (j + 1))
            row.append((factor * row[j] - older) / (factor - 1))
            moved = max(abs(row[-1] - row[-2]), abs(row[-1] - older))
            if moved < error:
                best, error = row[-1], moved
        if not before and not math.isfinite(best):
            best = row[0]
        before = row
    return best


# ------------------------------------------------------------------------------------------------------------- report


class Row(NamedTuple):
    """One argument at one order: what was compared, and its worst entry."""

    argument: int
    order: int
    method: str
    error: float  # the largest difference, relative to the largest entry
    index: tuple
    got: float
    expected: float
    passed: bool


class Report:
    """What `check` found.

    Attributes
    ----------
    passed : bool
    rows : list of Row
        One for each argument and order.
    errors : dict
        `errors[order, argument]`: the relative difference of each entry, as an array, to be drawn as a heat map.
    gradients : dict
        `gradients[order, argument]`: the pair (got, expected).
    kinks : list of (argument, index)
        Entries within a step of which the slope jumps.
    message : str
        The worst finding, with a line that repeats the check. Empty if all is well.
    notes : list of str
    seed : int
    """

    def __init__(self, seed, rtol):
        self.seed, self.rtol = seed, rtol
        self.rows, self.errors, self.gradients, self.kinks, self.notes = [], {}, {}, [], []
        self.message = ""

    @property
    def passed(self):
        return not self.message

    def __repr__(self):
        head = f"gradcheck {'passed' if self.passed else 'FAILED'} (seed {self.seed}, tolerance {self.rtol:g})"
        lines = [head, "argument  order  method   relative error  worst entry"]
        for r in self.rows:
            mark = "" if r.passed else "   <- wrong"
            lines.append(f"{r.argument:8d}  {r.order:5d}  {r.method:7s}  {r.error:14.1e}  {_place(r.index)}{mark}")
        return "\n".join([*lines, *self.notes, *([self.message] if self.message else [])])

    def _repr_html_(self):
        cells = "".join(
            f"<tr><td>{r.argument}</td><td>{r.order}</td><td>{r.method}</td>"
            f"<td style='{'' if r.passed else 'color:#c0392b;font-weight:bold'}'>{r.error:.1e}</td>"
            f"<td>{html.escape(_place(r.index))}</td><td>{r.got:.10g}</td><td>{r.expected:.10g}</td></tr>"
            for r in self.rows
        )
        names = ("argument", "order", "method", "relative error", "worst entry", "got", "expected")
        head = "".join(f"<th>{name}</th>" for name in names)
        state = "passed" if self.passed else "FAILED"
        notes = "".join(f"<br>{html.escape(n)}" for n in self.notes)
        message = f"<pre>{html.escape(self.message)}</pre>" if self.message else ""
        return (
            f"<b>gradcheck {state}</b> (seed {self.seed}, tolerance {self.rtol:g}){notes}"
            f"<table><tr>{head}</tr>{cells}</table>{message}"
        )


def _place(index):
    return "[" + ", ".join(map(str, index)) + "]" if index else "the only one"


# -------------------------------------------------------------------------------------------------------------- check


def check(f, *arrays, order=2, seed=0, rtol=None, method="auto", argnums=None, kinks="refuse", raises=True):
    """Compare the engine's gradients of `f` with differences, at every entry, to the given order.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor of any shape (or a tuple of Tensors).
    *arrays : array_like
        The point. Floats; float32 and float16 are checked with a fitting tolerance, the differences are taken in float64.
    order : int
        2 checks the gradient of the gradient too.
    seed : int
        Of the random cotangents. A cotangent of ones would hide errors: the rows of a softmax sum to 1.
    rtol : float, optional
        The largest difference allowed, relative to the largest entry of that gradient. 1e-6 in float64.
    method : {"auto", "central", "complex"}
        "auto" takes the complex step for order 1 where f is analytic, and central differences elsewhere.
    argnums : sequence of int, optional
        The arguments to check; all by default.
    kinks : {"refuse", "ignore"}
        What to do at an entry within a step of which the slope jumps (ReLU at 0): fail, or leave it out.
    raises : bool
        If False, a failed check returns its report.

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        Naming the worst entry, what was got and expected, a likely cause, and a line that repeats the check.
    TypeError, ValueError
        If `f` does not return Tensors, changes its input, or is not deterministic; if the point is not finite or not
        float; if method="complex" and `f` is not analytic (with the reason).

    Notes
    -----
    With a random cotangent c the number φ(x) = Σ c·f(x) has the gradient that the walk back returns. For order 2 the
    number Σ v·∇φ(x), with random v, is treated in the same way.

    Examples
    --------
    >>> from minicl import exp
    >>> check(lambda x: exp(x) * x, [0.5, -1.0]).passed
    True
    """
    if method not in ("auto", "central", "complex"):
        raise ValueError(f'check: method is "auto", "central" or "complex", not {method!r}.')
    if kinks not in ("refuse", "ignore"):
        raise ValueError(f'check: kinks is "refuse" or "ignore", not {kinks!r}.')
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"check: order is 1, 2, 3, ..., not {order!r}.")
    given = [_point(x, k) for k, x in enumerate(arrays)]
    if not given:
        raise ValueError("check: give at least one array, at which the gradient is checked.")
    places = range(len(given)) if argnums is None else [k % len(given) for k in argnums]
    tolerance = max(TOLERANCE[x.dtype] for x in given) if rtol is None else rtol
    with enable_grad():
        return _check(_Chain(f, given, seed), places, order, tolerance, method, kinks, raises)


def _point(x, k):
    x = x.data if isinstance(x, Tensor) else x
    x = x.copy() if is_array(x) else np.array(x)
    if x.dtype.kind != "f" or x.dtype not in TOLERANCE:
        raise TypeError(f"check: argument {k} has dtype {x.dtype}; give floats, for example np.array(x, dtype=float).")
    if not bool(namespace(x).isfinite(x).all()):
        raise ValueError(f"check: argument {k} has NaN or infinite entries; choose another point.")
    return x


class _Chain:
    """The numbers φ₁(x) = Σ c·f(x) and φₙ(x) = Σ v·∇φₙ₋₁(x), and their gradients by the engine."""

    def __init__(self, f, given, seed):
        self.f, self.given, self.seed = f, given, seed
        self.wide = [x.astype(np.float64) for x in given]
        self.xp = namespace(*given)
        first, second = self._outputs(self.leaves(given)), self._outputs(self.leaves(given))
        for a, b in zip(first, second):
            if not np.array_equal(a.numpy(), b.numpy(), equal_nan=True):
                raise ValueError("check: two calls of the function differ. Give it a seeded generator of its own each time.")
            if not np.isfinite(a.numpy()).all():
                raise ValueError("check: the function value has NaN or infinite entries here; choose another point.")
        rng = np.random.default_rng(seed)
        draw = lambda shape: rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
        self.cotangents = [self.xp.asarray(draw(y.shape)) for y in first]
        self.draw = draw
        self.directions = {}

    def leaves(self, arrays):
        return [tensor(x) for x in arrays]

    def _outputs(self, leaves):
        before = [x.data.copy() for x in leaves]
        y = self.f(*leaves)
        for k, (x, b) in enumerate(zip(leaves, before)):
            if not bool((x.data == b).all()):
                raise ValueError(f"check: the function changed its argument {k} in place; work on a copy.")
        outputs = y if isinstance(y, (tuple, list)) else (y,)
        for out in outputs:
            if not isinstance(out, Tensor):
                raise TypeError(f"check: the function returned {type(out).__name__}; return a Tensor (or a tuple of them).")
        return outputs

    def number(self, n, leaves):
        """φₙ as a Tensor."""
        if n == 1:
            parts = [_sum(y * c.astype(y.dtype if y.dtype.kind == "f" else c.dtype))
                     for y, c in zip(self._outputs(leaves), self.cotangents)]  # fmt: skip
        else:
            gradients = grad(self.number(n - 1, leaves), leaves, differentiable=True)
            parts = [_sum(g * v.astype(g.dtype)) for g, v in zip(gradients, self.along(n))]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def along(self, n):
        if n not in self.directions:
            self.directions[n] = [self.xp.asarray(self.draw(x.shape)) for x in self.given]
        return self.directions[n]

    def gradients(self, n):
        """∇φₙ by the engine, at the given precision."""
        leaves = self.leaves(self.given)
        return [to_numpy(g) for g in grad(self.number(n, leaves), leaves)]

    def value(self, n, k):
        """φₙ as a function of argument k alone, in float64. For n > 1 it uses only plain gradients of order n − 1."""

        def at(moved):
            arrays = list(self.wide)
            arrays[k] = self.xp.asarray(moved)
            leaves = self.leaves(arrays)
            if n == 1:
                with no_grad():
                    return self.number(1, leaves).numpy()
            gradients = grad(self.number(n - 1, leaves), leaves)
            return np.asarray(sum(np.sum(to_numpy(g) * to_numpy(v)) for g, v in zip(gradients, self.along(n))))

        return at


def _check(chain, places, order, tolerance, method, kinks, raises):
    report = Report(chain.seed, tolerance)
    skipped = set()
    for n in range(1, order + 1):
        all_got = chain.gradients(n)
        for k in places:
            x = to_numpy(chain.wide[k])
            got, used, expected = all_got[k], "central", None
            if got.shape != x.shape or got.dtype != chain.given[k].dtype:
                raise TypeError(f"check: gradient {k} has shape {got.shape} and dtype {got.dtype}, the argument has "
                                f"{x.shape} and {chain.given[k].dtype}.")  # fmt: skip
            at = chain.value(n, k)
            if n == 1 and method != "central":
                expected, reason = _analytic(at, x)
                if expected is None and method == "complex":
                    raise TypeError(f"check: the complex step cannot be used. {reason}")
                if expected is None:
                    report.notes.append(f"argument {k}: central differences, since the complex step cannot be used. {reason}")
                else:
                    used = "complex"
            if expected is None:
                expected = numerical_gradient(at, x)
            if n == 1:
                found = _kinks(at, x, expected)
                report.kinks += [(k, i) for i in found]
                skipped.update((k, i) for i in found)
            left_out = [i for (argument, i) in skipped if argument == k]
            _compare(report, n, k, used, got, expected, left_out, tolerance)
    wrong = [r for r in report.rows if not r.passed]
    if report.kinks and kinks == "refuse":
        k, i = report.kinks[0]
        report.message = (
            f"a kink lies at entry {_place(i)} of argument {k}, or within a step of it: the slopes on its two sides differ, so "
            'there is no one gradient to compare with. Move the point, or pass kinks="ignore".'
        )
    elif wrong:
        report.message = _explained(chain, report, wrong[0], order)
    if report.message and raises:
        raise GradientError(report)
    return report


def _analytic(at, x):
    """The gradient by the complex step, or None and the reason."""
    try:
        return complex_step(at, x), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


def _kinks(at, x, slopes):
    """Entries where the slopes to the left and to the right differ, and go on differing as the step shrinks."""
    value = _probe(at, x)
    middle = float(to_numpy(at(x.copy())))
    size = max(float(np.max(np.abs(slopes), initial=0.0)), np.finfo(float).tiny)
    found = []
    for i in np.ndindex(x.shape):
        jumps = []
        for h in (1e-5 * _size(x, i), 1e-7 * _size(x, i)):
            right, left = (value(i)(h) - middle) / h, (middle - value(i)(-h)) / h
            jumps.append(abs(right - left))
        noise = 1e-15 * max(abs(middle), 1e-300) / (1e-7 * _size(x, i))
        # Where the function is smooth the jump is h f″ and falls a hundredfold.
        if min(jumps) > 1e-3 * size + 100 * noise and jumps[1] > 0.3 * jumps[0]:
            found.append(i)
    return found


def _compare(report, n, k, used, got, expected, left_out, tolerance):
    report.gradients[n, k] = got, expected
    wide = got.astype(float)
    kept = np.ones(got.shape, dtype=bool)
    for i in left_out:
        kept[i] = False
    size = max(float(np.max(np.abs(np.where(kept, expected, 0)), initial=0.0)), float(tolerance * 1e-6))
    with np.errstate(invalid="ignore"):
        error = np.where(kept, np.abs(wide - expected) / size, 0.0)
    error = np.where(np.isfinite(wide) | ~kept, error, np.inf)  # what is not finite is wrong first of all
    report.errors[n, k] = error
    if not error.size:
        report.rows.append(Row(k, n, used, 0.0, (), 0.0, 0.0, True))
        return
    i = tuple(int(j) for j in np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape))
    worst = float(error[i])
    report.rows.append(Row(k, n, used, worst, i, float(wide[i]), float(expected[i]), worst <= tolerance))


def _explained(chain, report, row, order):
    got, expected = report.gradients[row.order, row.argument]
    name = getattr(chain.f, "__name__", "f")
    name = "f" if name == "<lambda>" else name
    what = {1: "the gradient", 2: "the gradient of the gradient"}.get(row.order, f"the derivative of order {row.order}")
    lines = [
        f"{what} of {name} with respect to argument {row.argument} is wrong at entry {_place(row.index)}:",
        f"    got       {row.got!r}",
        f"    expected  {row.expected!r}   ({row.method} differences; relative error {row.error:.2e}, allowed {report.rtol:g})",
    ]
    cause = _cause(got.astype(float), expected)
    if cause:
        lines.append(f"  {cause}")
    shown = ", ".join(_literal(x) for x in map(to_numpy, chain.given))
    if len(shown) > 600:
        shown = "*arrays"
    lines.append(f"  again: minicl.gradcheck.check({name}, {shown}, order={order}, seed={report.seed})")
    return "\n".join(lines)


def _literal(x):
    text = np.array2string(x, separator=", ", threshold=40, floatmode="unique").replace("\n", "")
    dtype = "" if x.dtype == np.float64 else f", dtype=np.{x.dtype}"
    return f"np.array({text}{dtype})"


def _cause(got, expected):
    """A likely reason, where the whole gradient shows a pattern."""
    if not np.isfinite(got).all():
        return "The gradient has entries that are not finite."
    size = float(np.max(np.abs(expected), initial=0.0))
    close = lambda a, b: a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-5 * size))
    if not np.any(got):
        return "The whole gradient is zero: is a part of the function a constant for the engine?"
    if close(got, -expected):
        return "The sign is wrong everywhere."
    if got.ndim == 2 and got.shape[0] == got.shape[1] and close(got, expected.T):
        return "The gradient is transposed."
    big = np.abs(expected) > 1e-3 * size
    if big.sum() > 1:
        ratios = got[big] / expected[big]
        if np.ptp(ratios) <= 1e-5 * np.abs(ratios).max():
            return f"The gradient is {ratios.mean():.6g} times the right one at every entry: a factor is missing."
    right = np.abs(got - expected) <= 1e-5 * size
    if right.any():
        return f"{int((~right).sum())} of {got.size} entries are wrong, the others are right."
    return ""
