"""What a derivation says, line by line: definitions, equalities, inequalities, approximations, and FALSE steps.

Each statement is shown as LaTeX and tried on many inputs, both from one expression. A statement that holds says how well
(largest residual, smallest slack, measured order) and on which input it was worst. A FALSE statement is a tempting wrong
step: it has to fail, and prints the input on which it does.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from .expression import Expression, environment, free_indices, mutants, wrap

TOLERANCE = 1e-11  # relative to the largest term of either side, in float64
CLEARLY = 1e-3  # by how much a FALSE equality has to fail, relative to its sides


@dataclass
class Outcome:
    """What came out of trying a statement on many inputs."""

    passed: bool
    measure: str  # "residual 2e-16", "slack 0.01", "order 2.00", "fails by 0.3"
    worst: str = ""  # the input that decided
    inputs: int = 0
    exactly: str = (
        "–"  # "= 0" where SymPy simplified the difference to 0, "50 digits" where it was evaluated to as many
    )
    sides: tuple = field(default=(), repr=False)  # both values there
    values: str = ""  # the input itself, where it is short


class Statement:
    """A line of a derivation. Subclasses say what has to hold.

    Parameters
    ----------
    name : str
        Short; `derivation[name]` finds it.
    lhs, rhs : Expression
    why : str
        The reason, as a sentence.
    options
        `scale`: an expression (or number) that residuals are relative to, where the terms do not say it themselves.
        `samples`: inputs of its own, as for `Derivation`. `tolerance`. `exactly`: "digits" evaluates
        both sides to 50 digits too, "prove" asks SymPy to simplify their difference to 0, None does neither. `where`: a
        condition on open indices, as `k != i`, or several; the statement is tried for all values that fulfil them.
        `given`: the condition under which the statement is made, where `samples` is narrower than the formula says; it is
        shown behind the formula. A chain such as `(d[k], "<", m)` or `(a, "=", p, "=", n[k])` is held on every input; a
        string is LaTeX for what no formula says.
    """

    sign, kind = "=", ""

    def __init__(
        self,
        name,
        lhs,
        rhs,
        why,
        *,
        scale=None,
        samples=None,
        tolerance=TOLERANCE,
        exactly="digits",
        where=(),
        given="",
    ):
        self.name, self.lhs, self.rhs, self.why = name, wrap(lhs), wrap(rhs), why
        self.scale, self.samples, self.tolerance, self.exactly = scale, samples, tolerance, exactly
        self.where = tuple(where) if isinstance(where, (tuple, list)) else (where,)
        self.given = given if isinstance(given, str) else tuple(x if isinstance(x, str) else wrap(x) for x in given)

    @property
    def latex(self):
        """The formula, without dollar signs."""
        return f"{self.lhs.latex()} {self.sign} {self.rhs.latex()}" + self.condition()

    def condition(self):
        """The LaTeX of `given`, in brackets."""
        if not self.given:
            return ""
        parts = (
            [self.given]
            if isinstance(self.given, str)
            else [x if isinstance(x, str) else x.latex() for x in self.given]
        )
        return rf" \quad ({' '.join(parts)})"

    def hold(self, env):
        """Raises where an input does not fulfil `given`."""
        chain = () if isinstance(self.given, str) else self.given
        for left, sign, right in zip(chain[::2], chain[1::2], chain[2::2]):
            x, y = (np.asarray(side.value(env), float) for side in (left, right))
            close = 1e-12 * max(1.0, float(np.max(np.abs(y), initial=0.0)))
            if not np.all(x < y if sign == "<" else x > y if sign == ">" else np.abs(x - y) <= close):
                raise ValueError(f"an input does not fulfil the condition {self.condition().strip()}")

    def altered(self, rhs=None, lhs=None):
        """The same statement with another side: for tests that break it."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other.lhs, other.rhs = self.lhs if lhs is None else lhs, self.rhs if rhs is None else wrap(rhs)
        return other

    def slips(self):
        """This statement with one slip of the pen each: a sign, a factor 2 or a stray 1, anywhere on either side."""
        for rhs in mutants(self.rhs):
            yield self.altered(rhs=rhs)
        for lhs in mutants(self.lhs):
            yield self.altered(lhs=lhs)

    def instances(self, env):
        """The environment once for each value of the indices that the statement leaves open."""
        open_ = list((free_indices(self.lhs) | free_indices(self.rhs)).values())
        for positions in itertools.product(*(index.positions(env) for index in open_)):
            inner = env
            for index, position in zip(open_, positions):
                inner = index.at(inner, position)
            if all(condition.holds(inner) for condition in self.where):
                yield inner

    def both(self, env):
        """The two sides in float64, over all open indices, and the magnitude that their difference is relative to."""
        lefts, rights, size = [], [], 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for inner in self.instances(environment(env)):
                self.hold(inner)
                left, right = self.values(inner)
                left, right = np.broadcast_arrays(np.asarray(left, float), np.asarray(right, float))
                lefts.append(left.ravel())
                rights.append(right.ravel())
                size = max(size, self.magnitude(inner))
        if len(lefts) == 1:  # keeps its shape for the reader
            return left, right, size
        return np.concatenate(lefts or [np.zeros(0)]), np.concatenate(rights or [np.zeros(0)]), size

    def values(self, env):
        return self.lhs.value(env), self.rhs.value(env)

    def magnitude(self, env):
        if self.scale is None:
            return max(self.lhs.size(env), self.rhs.size(env))
        return float(np.max(np.abs(wrap(self.scale).value(env))))

    def check(self, inputs, symbols=None):
        """Try it on inputs: pairs of a text and an environment. Returns an `Outcome`."""
        raise NotImplementedError(f"{type(self).__name__}: define check(inputs, symbols), which returns an Outcome.")


def _relative(left, right, size):
    """The largest difference relative to a size. What is not a number is infinitely wrong."""
    with np.errstate(invalid="ignore"):
        apart = float(np.max(np.where(left == right, 0.0, np.abs(left - right)), initial=0.0))
    if not math.isfinite(apart):
        return math.inf
    return apart / size if size else (0.0 if apart == 0 else math.inf)


class Equality(Statement):
    """lhs = rhs on every input, to rounding."""

    def measured(self, residual):
        return f"residual {residual:.0e}" if residual else "residual 0"

    def check(self, inputs, symbols=None):
        worst = (-1.0, "", ())
        count = 0
        for text, env in inputs:
            count += 1
            left, right, size = self.both(env)
            residual = _relative(left, right, size)
            if residual > worst[0]:
                worst = residual, text, (left, right)
        residual, text, sides = worst
        passed = count > 0 and residual <= self.tolerance
        outcome = Outcome(passed, self.measured(residual), text, count, sides=sides)
        if passed and self.exactly:
            few = [next(iter(inputs))[1], inputs[-1][1]]
            outcome.exactly = _proved(self, symbols) if self.exactly == "prove" else _to_50_digits(self, few)
            outcome.passed = outcome.exactly in ("= 0", "50 digits")
        return outcome


def _two(instances):
    """The first and the last: enough where many digits are compared."""
    instances = list(instances)
    return [instances[0], instances[-1]] if len(instances) > 1 else instances


def _to_50_digits(statement, inputs):
    """Both sides by mpmath, with far more digits than are asked for."""
    import mpmath

    with mpmath.workdps(150):
        for values in inputs:
            for env in _two(statement.instances(environment(values, mpmath))):
                left, right = (np.asarray(side.value(env), dtype=object) for side in (statement.lhs, statement.rhs))
                size = max([1, *map(abs, left.ravel()), *map(abs, right.ravel())])
                if any(abs(gap) > size * mpmath.mpf(10) ** -50 for gap in np.ravel(left - right)):
                    return "differs"
    return "50 digits"


def _proved(statement, symbols):
    """lhs − rhs as SymPy simplifies it."""
    import sympy

    for env in _two(statement.instances(environment(symbols, sympy))):
        left, right = (np.asarray(side.value(env), dtype=object) for side in (statement.lhs, statement.rhs))
        for gap in np.ravel(left - right):
            if sympy.simplify(sympy.expand_log(sympy.expand(gap), force=True)) != 0:
                return "not proved"
    return "= 0"


class Definition(Equality):
    """A name for a formula. With `code`, the formula is held against a function of the library on every input.

    `code` takes the environment and returns the value. Without it there is nothing to compare with: the formula is
    evaluated, and tested by the steps that use the name.
    """

    kind, sign = "definition", "="

    def __init__(self, name, symbol, why, *, code=None, **options):
        body = symbol.symbol.body if hasattr(symbol, "symbol") else symbol.body
        super().__init__(name, symbol, body, why, **{"exactly": None, **options})
        self.code = code

    def measured(self, residual):
        if self.code is None:
            return "evaluated" if residual == 0 else f"residual {residual:.0e}"
        return f"the library agrees to {residual:.0e}" if residual else "the library agrees"

    def slips(self):
        for rhs in mutants(self.rhs):
            yield self.altered(rhs=rhs)

    def values(self, env):
        if self.code is None:
            return super().values(env)
        return self.code(env), self.rhs.value(env)

    def magnitude(self, env):
        return super().magnitude(env) if self.scale is not None else self.rhs.size(env)


class Inequality(Statement):
    """lhs ≤ rhs on every input; with `strict`, lhs < rhs. The smallest slack is relative to the terms."""

    kind = "inequality"

    def __init__(self, name, lhs, rhs, why, *, strict=False, **options):
        super().__init__(name, lhs, rhs, why, **options)
        self.strict, self.sign = strict, "<" if strict else r"\le"

    def check(self, inputs, symbols=None):
        least = (math.inf, "", ())
        count = 0
        for text, env in inputs:
            count += 1
            left, right, size = self.both(env)
            gap = np.min(right - left)
            slack = float(gap) / size if size else float(np.sign(gap))
            slack = -math.inf if math.isnan(slack) else slack
            if slack < least[0]:
                least = slack, text, (left, right)
        slack, text, sides = least
        passed = count > 0 and (slack > 0 if self.strict else slack >= -self.tolerance)
        return Outcome(passed, f"slack {slack:.1g}" if slack > 0 or not passed else "slack 0", text, count, sides=sides)


class Approximation(Statement):
    """lhs = rhs + O(xᵖ) as a variable x → 0, or + O(x⁻ᵖ) as x → ∞. The order p is measured.

    Parameters
    ----------
    variable : Symbol
    order : float
        The order of the error.
    toward : {"0", "infinity"}
    start : float
        The first value of the variable; it is then divided (multiplied) by 2, `steps` times.
    """

    kind = "approximation"

    def __init__(self, name, lhs, rhs, why, *, variable, order, toward="0", start=0.1, steps=5, **options):
        super().__init__(name, lhs, rhs, why, **{"exactly": None, **options})
        self.variable, self.order, self.toward, self.start, self.steps = variable, order, toward, start, steps

    @property
    def latex(self):
        power = (
            "" if self.order == 1 and self.toward == "0" else f"^{{{'-' if self.toward != '0' else ''}{self.order:g}}}"
        )
        goal = "0" if self.toward == "0" else r"\infty"
        x = self.variable.latex()
        return rf"{self.lhs.latex()} = {self.rhs.latex()} + O\left({x}{power}\right) \quad ({x} \to {goal})"

    def check(self, inputs, symbols=None):
        found, count, worst = [], 0, (-1.0, "", ())
        for text, env in inputs:
            count += 1
            errors, floor = [], 0.0
            for k in range(self.steps + 1):
                x = self.start * (2.0**-k if self.toward == "0" else 2.0**k)
                left, right, size = self.both({**env, self.variable.name: x})
                errors.append(float(np.max(np.abs(left - right))))
                floor = max(floor, 1e-13 * size)
            usable = [e for e in errors if e > floor]
            if len(usable) < 3:
                if not all(math.isfinite(e) for e in errors):
                    worst = math.inf, text, (left, right)
                continue  # the two sides agree to rounding: nothing to measure here
            order = float(np.median(np.log2(np.array(usable[-3:-1]) / np.array(usable[-2:]))))
            found.append(order)
            miss = abs(order - self.order) if math.isfinite(order) else math.inf
            if miss > worst[0]:
                worst = miss, text, (left, right)
        miss, text, sides = worst
        if not found:
            return Outcome(False, "no order could be measured", text, count, sides=sides)
        middle = float(np.median(found))
        passed = abs(middle - self.order) <= 0.1 and math.isfinite(miss)
        return Outcome(passed, f"order {middle:.2f} (of {self.order:g})", text, count, sides=sides)


class FalseStep(Statement):
    """A tempting wrong step, that has to fail: lhs = rhs, or lhs ≤ rhs with `relation="<="`.

    `why` says what is wrong with it. The outcome prints the input on which it fails.
    """

    kind = "FALSE"

    def __init__(self, name, lhs, rhs, why, *, relation="=", **options):
        super().__init__(name, lhs, rhs, why, **{"exactly": None, **options})
        self.relation, self.sign = relation, r"\overset{?}{=}" if relation == "=" else r"\overset{?}{\le}"

    def check(self, inputs, symbols=None):
        most, count = (0.0, "", (), {}), 0
        for text, env in inputs:
            count += 1
            left, right, size = self.both(env)
            if not (np.isfinite(left).all() and np.isfinite(right).all()):
                continue
            if self.relation == "=":
                off = _relative(left, right, size)
            else:
                off = float(np.max(left - right, initial=0.0)) / size if size else 0.0
            if off > most[0]:
                most = off, text, (left, right), env
        off, text, sides, env = most
        passed = off > CLEARLY
        measure = f"fails by {off:.2g}" if passed else "does NOT fail"
        return Outcome(passed, measure, text, count, sides=sides, values=described(env))

    def slips(self):
        """A false step that has become true."""
        yield self.altered(rhs=self.lhs)


def described(env, room=90):
    """An input in one line, or nothing where it is too long for one."""
    texts = [f"{name} = {shown(x, 4)}" for name, x in env.items() if isinstance(x, (int, float, np.ndarray))]
    whole = all(np.size(x) <= 8 for x in env.values())
    return ", ".join(texts) if whole and len(", ".join(texts)) <= room else ""


def shown(x, digits=6):
    """A value of a side in few words."""
    x = np.asarray(x)
    if x.size == 1:
        return f"{x.item():.{digits}g}"
    with np.printoptions(precision=4, suppress=True, threshold=8):
        return " ".join(np.array2string(x, separator=", ").split())


__all__ = ["Approximation", "Definition", "Equality", "Expression", "FalseStep", "Inequality", "Outcome", "Statement"]
