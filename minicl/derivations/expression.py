r"""A formula as a small tree that is read in several ways: as LaTeX, in float64, to 50 digits, and by SymPy.

What a reader sees and what is run come from one tree, so they cannot drift apart. A tree is written in Python:

    k = Index("k", 2 * N)
    P = define("P", (i, k), exp(s[i, k] / tau) / Sum(exp(s[i, m] / tau), m, m != i))

`.latex()` gives the formula. `.value(env)` evaluates it, where `env` maps the names of symbols to numbers and arrays.
With `env["library"]` set to SymPy or mpmath the same call gives SymPy expressions, or numbers of many digits.
Subscripts count from 1 in the formula, as in a book, and arrays from 0, as in NumPy. `.size(env)` says how large the
terms were that a value was added up from: a residual is measured against it, since a sum that cancels cannot be more
exact than its terms.
"""

import math
from fractions import Fraction

import numpy as np

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly a formula holds together: what is looser gets brackets


def environment(values, library=None):
    """What formulas are evaluated in: the values, the indices that are bound, and what was worked out already.

    `library` is None (float64), SymPy or mpmath; for mpmath the numbers are widened.
    """
    env = {**values, "library": library, "at": {}, "cache": {}}
    if library is not None and library.__name__ == "mpmath":
        for name, x in values.items():
            if isinstance(x, float):
                env[name] = library.mpf(x)
            elif isinstance(x, np.ndarray) and x.dtype.kind == "f":
                env[name] = np.array([library.mpf(float(v)) for v in x.ravel()], dtype=object).reshape(x.shape)
    return env


def wrap(x):
    """A Python number as an expression; expressions stay."""
    if isinstance(x, Expression):
        return x
    if isinstance(x, (int, float, Fraction)):
        return Number(x)
    raise TypeError(f"an expression is built from expressions and numbers, not from {type(x).__name__}")


class Expression:
    """A node of the tree. `parts` are the nodes below it."""

    level = ATOM

    def __init__(self, *parts):
        self.parts = parts

    def rebuilt(self, parts):
        """The same node above other parts."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {"parts": tuple(parts)}
        return other

    def latex(self, inline=False):
        """The formula; `inline` writes fractions with a slash, as in an exponent."""
        raise NotImplementedError(f"{type(self).__name__}: define latex(inline), which returns the formula.")

    def value(self, env):
        """The number (or array) that the formula gives."""
        raise NotImplementedError(f"{type(self).__name__}: define value(env), which returns the number.")

    def size(self, env):
        """The magnitude of the largest term in the value."""
        return _top(self.value(env))

    def in_brackets(self, level, inline=False):
        text = self.latex(inline)
        return rf"\left({text}\right)" if self.level < level else text

    def __add__(self, other):
        return Add(self, wrap(other))

    def __radd__(self, other):
        return Add(wrap(other), self)

    def __sub__(self, other):
        return Add(self, Negative(wrap(other)))

    def __rsub__(self, other):
        return Add(wrap(other), Negative(self))

    def __neg__(self):
        return Negative(self)

    def __mul__(self, other):
        return Multiply(self, wrap(other))

    def __rmul__(self, other):
        return Multiply(wrap(other), self)

    def __matmul__(self, other):
        return MatrixProduct(self, wrap(other))

    def __truediv__(self, other):
        return Divide(self, wrap(other))

    def __rtruediv__(self, other):
        return Divide(wrap(other), self)

    def __pow__(self, other):
        return Power(self, wrap(other))

    def _repr_latex_(self):
        return f"${self.latex()}$"

    def __repr__(self):
        return self.latex()


def _top(x):
    return float(np.max(np.abs(x), initial=0.0)) if np.size(x) else 0.0


# ------------------------------------------------------------------------------------------------------ the leaves


class Number(Expression):
    """A constant. A `Fraction` is shown as one; `latex` replaces what is shown, as for π."""

    def __init__(self, number, latex=None):
        super().__init__()
        self.number, self._latex = number, latex
        self.level = SUM if number < 0 else ATOM

    def latex(self, inline=False):
        if self._latex:
            return self._latex
        if isinstance(self.number, Fraction) and self.number.denominator != 1:
            sign, size = "-" * (self.number < 0), abs(self.number)
            return rf"{sign}\tfrac{{{size.numerator}}}{{{size.denominator}}}"
        return f"{self.number:g}" if isinstance(self.number, float) else str(self.number)

    def value(self, env):
        library = env["library"]
        if library is None:
            return float(self.number)
        if self._latex == r"\pi":
            return +library.pi
        if library.__name__ == "mpmath":
            return (
                library.mpf(self.number.numerator) / self.number.denominator
                if isinstance(self.number, Fraction)
                else library.mpf(self.number)
            )
        return library.nsimplify(self.number) if isinstance(self.number, float) else library.Rational(self.number)


pi = Number(math.pi, r"\pi")


class Index(Expression):
    """A counter that a sum runs over: from `first` to `last`. As a subscript it finds its entry in an array."""

    def __init__(self, name, last, first=1):
        super().__init__()
        self.name, self.last, self.first = name, wrap(last), first

    def latex(self, inline=False):
        return self.name

    def value(self, env):
        count = env["at"][self.name] + self.first
        return _exact(count, env) if env["library"] else float(count)

    def position(self, env):
        return env["at"][self.name] + self.first - 1

    def positions(self, env):
        """What the counter takes on, from 0."""
        return range(_whole(self.last.value(env)) - self.first + 1)

    def at(self, env, position):
        return {**env, "at": {**env["at"], self.name: position}}

    def __ne__(self, other):
        return Excluding(self, other)

    def __eq__(self, other):
        return Same(self, other)

    def __gt__(self, other):
        return Above(self, other)

    __hash__ = object.__hash__


def _exact(n, env):
    """A whole number in the library of the environment, so that a quotient of two keeps its digits."""
    return env["library"].Integer(n) if hasattr(env["library"], "Integer") else env["library"].mpf(n)


def _whole(x):
    n = int(x)
    if n != x:
        raise ValueError(f"a counter ends at a whole number, not at {x}")
    return n


class Symbol(Expression):
    r"""A name whose value stands in `env`: a number, or an array whose entries are `symbol[i, k]`.

    Parameters
    ----------
    name : str
        The key in `env`.
    latex : str, optional
        What is shown; by default the name.
    call : bool
        Show an entry as p(x) instead of p with a subscript.
    """

    def __init__(self, name, latex=None, call=False):
        super().__init__()
        self.name, self.shown, self.call = name, latex or name, call

    def __getitem__(self, places):
        return Entry(self, places if isinstance(places, tuple) else (places,))

    def latex(self, inline=False):
        return self.shown

    def value(self, env):
        x = env[self.name]
        return _exact(x, env) if isinstance(x, int) and env["library"] else x


def symbols(names):
    """Several symbols at once: Greek letters are shown as such, and `p_d` gets its subscript."""
    greek = {"tau", "nu", "theta", "sigma", "kappa", "alpha", "beta", "rho", "lambda", "mu", "pi", "epsilon", "phi"}
    found = []
    for name in names.split():
        head, _, tail = name.partition("_")
        shown = ("\\" + head if head in greek else head) + (rf"_{{{tail}}}" if tail else "")
        found.append(Symbol(name, shown))
    return found if len(found) > 1 else found[0]


class Entry(Expression):
    """One entry of an array (or one row of it): s_ik, z_i, p(x). A subscript may be an index, a number, or an entry."""

    def __init__(self, symbol, places):
        super().__init__()
        self.symbol = symbol
        self.places = tuple(p if isinstance(p, Expression) else Number(p) for p in places)

    def latex(self, inline=False):
        inside = [p.latex(True) for p in self.places]
        if self.symbol.call:
            return rf"{self.symbol.shown}({', '.join(inside)})"
        joined = (r"\," if any(len(text) > 1 for text in inside) else "").join(inside)
        shown = self.symbol.shown
        if "_" in shown:  # a name that has a subscript of its own gets one more
            head, _, tail = shown.partition("_")
            return rf"{head}_{{{tail.strip('{}')},{joined}}}"
        return rf"{shown}_{{{joined}}}"

    def where(self, env):
        return tuple(_position(p, env) for p in self.places)

    def value(self, env):
        where = self.where(env)
        if isinstance(self.symbol, Defined):
            return self.symbol.entry(env, where)
        found = env[self.symbol.name]
        for place in where:  # one by one: a list of sets is no array
            found = found[place]
        return found


def _position(place, env):
    if isinstance(place, Index):
        return place.position(env)
    if isinstance(place, Number):
        return int(place.number) - 1
    if isinstance(place, Entry):  # of an array of positions, such as the partner j(i)
        return _whole(place.value(env))
    return _whole(place.value(env)) - 1  # a sum such as j + i - 1 counts from 1, as the formula does


# ------------------------------------------------------------------------------------------------------ definitions


class Defined(Symbol):
    """A symbol that stands for a formula: its value is worked out from the formula where it is needed."""

    def __init__(self, name, indices, body, latex=None, call=False):
        super().__init__(name, latex, call)
        self.indices, self.body = indices, body

    def value(self, env):
        if self.name in env:
            return env[self.name]
        if self.indices:
            return self.array(env)
        return self.entry(env, ())

    def array(self, env):
        """All entries at once."""
        if self.name in env:
            return env[self.name]

        def rows(env, places, rest):
            if not rest:
                return self.entry(env, places)
            return [rows(env, (*places, p), rest[1:]) for p in rest[0].positions(env)]

        return np.array(rows(env, (), self.indices), dtype=object if env["library"] else None)

    def entry(self, env, where):
        if self.name in env:
            return env[self.name][where] if where else env[self.name]
        cache = env["cache"]
        if (self.name, where) not in cache:
            bound = {index.name: place - index.first + 1 for index, place in zip(self.indices, where)}
            cache[self.name, where] = self.body.value({**env, "at": bound})
        return cache[self.name, where]

    def size(self, env):
        return self.body.size(env) if not self.indices else super().size(env)


def define(name, indices, body, latex=None, call=False):
    """A name for a formula: `define("s", (i, k), dot(u[i], u[k]))`; without indices, `define("L", (), body)`."""
    return Defined(name, tuple(indices), wrap(body), latex, call)


# ------------------------------------------------------------------------------------------------------- arithmetic


class Add(Expression):
    """a + b; a negative term is shown with a minus."""

    level = SUM

    def latex(self, inline=False):
        a, b = self.parts
        if isinstance(b, Negative):
            return f"{a.latex(inline)} - {b.parts[0].in_brackets(PRODUCT, inline)}"
        return f"{a.latex(inline)} + {b.in_brackets(PRODUCT, inline) if _leads(b) else b.latex(inline)}"

    def value(self, env):
        return self.parts[0].value(env) + self.parts[1].value(env)

    def size(self, env):
        return max(part.size(env) for part in self.parts)


def _leads(x):
    """Whether a formula begins with a minus."""
    return x.latex().startswith("-")


class Negative(Expression):
    """−a"""

    level = SUM

    def latex(self, inline=False):
        return "-" + self.parts[0].in_brackets(PRODUCT, inline)

    def value(self, env):
        return -self.parts[0].value(env)

    def size(self, env):
        return self.parts[0].size(env)


class Multiply(Expression):
    """a b"""

    level = PRODUCT

    def latex(self, inline=False):
        a, b = _closed(self.parts[0], inline), self.parts[1].in_brackets(PRODUCT, inline)
        return rf"{a} \cdot {b}" if b[0].isdigit() or b.startswith(r"\tfrac") else f"{a} {_apart(a, b)}{b}"

    def value(self, env):
        return self.parts[0].value(env) * self.parts[1].value(env)

    def size(self, env):
        return self.parts[0].size(env) * self.parts[1].size(env)


def _closed(x, inline):
    """A factor that another factor follows: what is open to the right, as log x or a sum, gets brackets."""
    text = x.in_brackets(PRODUCT, inline)
    return rf"\left({text}\right)" if x.level >= PRODUCT and _open(x) else text


def _open(x):
    if isinstance(x, (Multiply, MatrixProduct, Dot)):
        return _open(x.parts[1])
    return isinstance(x, Over) and not isinstance(x, Expectation) or isinstance(x, Function) and x.level == PRODUCT


def _apart(a, b):
    return r"\, " if a.endswith("}") and b.startswith((r"\log", r"\sum", r"\operatorname", r"\max")) else ""


class Divide(Expression):
    """a / b; a minus of the numerator is shown before the fraction"""

    @property
    def level(self):
        return SUM if isinstance(self.parts[0], Negative) else PRODUCT

    def latex(self, inline=False):
        a, b = self.parts
        if isinstance(a, Negative):
            return "-" + Divide(a.parts[0], b).latex(inline)
        if inline:
            return f"{_closed(a, True)}/{b.in_brackets(POWER, True)}"
        return rf"\frac{{{a.latex()}}}{{{b.latex()}}}"

    def value(self, env):
        return self.parts[0].value(env) / self.parts[1].value(env)

    def size(self, env):
        a, b = self.parts
        below = b.value(env)
        least = float(np.min(np.abs(below)))
        return max(_top(self.value(env)), a.size(env) * max(1.0, b.size(env) / least) / least) if least else math.inf


class Power(Expression):
    """a to the power b"""

    level = POWER

    def latex(self, inline=False):
        a, b = self.parts
        return rf"{a.in_brackets(ATOM, inline)}^{{{b.latex(True)}}}"

    def value(self, env):
        return self.parts[0].value(env) ** self.parts[1].value(env)


# -------------------------------------------------------------------------------------------- functions of a number


def _softplus(x):
    """log(1 + eˣ), without overflow, and for a complex step too."""
    return np.log1p(np.exp(x)) if np.real(x) < 0 else x + np.log1p(np.exp(-x))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x)) if np.real(x) > 0 else np.exp(x) / (1 + np.exp(x))


# LaTeX with {} for the argument in its brackets, the function in float64, and in SymPy and mpmath (a name, or a formula)
FUNCTIONS = {
    "exp": (None, np.exp, "exp"),
    "log": (r"\log {}", np.log, "log"),
    "sqrt": (None, np.sqrt, "sqrt"),
    "sigmoid": (r"\sigma{}", np.vectorize(_sigmoid), lambda lib, x: 1 / (1 + lib.exp(-x))),
    "softplus": (r"\operatorname{{softplus}}{}", np.vectorize(_softplus), lambda lib, x: lib.log(1 + lib.exp(x))),
    "positive": (None, lambda x: x * (np.real(x) > 0), lambda lib, x: _largest(lib, [x, 0 * x])),
    "absolute": (None, lambda x: x * np.sign(np.real(x)), lambda lib, x: _largest(lib, [x, -x])),
    "tanh": (r"\tanh {}", np.tanh, "tanh"),
    "cos": (r"\cos {}", np.cos, "cos"),
    "sin": (r"\sin {}", np.sin, "sin"),
    "sinh": (r"\sinh {}", np.sinh, "sinh"),
    "arccos": (r"\arccos {}", np.arccos, "acos"),
}


def _largest(library, values):
    """The largest of some values; complex ones are compared by their real part, so that a complex step passes."""
    if hasattr(library, "Max"):
        return library.Max(*values)
    return max(values, key=lambda v: v.real)


class Function(Expression):
    """A function of one number, entry by entry."""

    def __init__(self, name, x):
        super().__init__(wrap(x))
        self.name = name
        self.level = (
            PRODUCT if name in ("log", "tanh", "cos", "sin", "sinh", "arccos") else POWER if name == "exp" else ATOM
        )

    def latex(self, inline=False):
        x = self.parts[0]
        if self.name == "exp":
            return rf"e^{{{x.latex(True)}}}"
        if self.name == "sqrt":
            return rf"\sqrt{{{x.latex(inline)}}}"
        if self.name == "positive":
            return rf"\max\left(0,\ {x.latex(inline)}\right)"
        if self.name == "absolute":
            return rf"\left\lvert {x.latex(inline)} \right\rvert"
        always = self.name in ("sigmoid", "softplus")
        inner = rf"\left({x.latex(inline)}\right)" if always else x.in_brackets(POWER, inline)
        if self.name == "log" and isinstance(x, Divide) and not inline:
            inner = x.latex()  # a fraction holds together by itself
        return FUNCTIONS[self.name][0].format(inner)

    def value(self, env):
        x = self.parts[0].value(env)
        _, number, exact = FUNCTIONS[self.name]
        library = env["library"]
        if library is None:
            y = number(x)
            return y[()] if isinstance(y, np.ndarray) else y
        function = getattr(library, exact) if isinstance(exact, str) else lambda x: exact(library, x)
        return _entrywise(function, x)

    def size(self, env):
        x, top = self.parts[0], _top(self.value(env))
        if self.name == "exp":  # an error in x is a relative error here
            return top * max(1.0, x.size(env))
        if self.name == "log":  # and a relative error there an error here
            value = x.value(env)
            least = float(np.min(np.abs(value)))
            return max(top, x.size(env) / least if least else math.inf)
        if self.name in ("softplus", "positive", "absolute", "tanh", "cos", "sin", "sigmoid"):  # slopes up to 1
            return max(top, x.size(env))
        return top


def _entrywise(function, x):
    if isinstance(x, np.ndarray):
        return np.array([function(v) for v in x.ravel()], dtype=object).reshape(x.shape)
    return function(x)


def _named(name, doc):
    def make(x):
        return Function(name, x)

    make.__name__, make.__doc__ = name, doc
    return make


exp = _named("exp", "eˣ")
log = _named("log", "log x")
sqrt = _named("sqrt", "√x")
sigmoid = _named("sigmoid", "σ(x) = 1/(1 + e⁻ˣ)")
softplus = _named("softplus", "log(1 + eˣ)")
positive = _named("positive", "max(0, x)")
absolute = _named("absolute", "|x|")
tanh = _named("tanh", "tanh x")
cos = _named("cos", "cos x")
sin = _named("sin", "sin x")
sinh = _named("sinh", "sinh x")
arccos = _named("arccos", "arccos x")


# --------------------------------------------------------------------------------------------------------- vectors


class Dot(Expression):
    """aᵀb"""

    level = PRODUCT

    def latex(self, inline=False):
        a, b = (part.in_brackets(POWER, inline) for part in self.parts)
        return rf"{a}^\top {b}"

    def value(self, env):
        a, b = (part.value(env) for part in self.parts)
        return np.sum(np.asarray(a) * np.asarray(b))

    def size(self, env):
        a, b = (part.value(env) for part in self.parts)
        return _top(np.sum(np.abs(a * b)))


class MatrixProduct(Expression):
    """A b, a matrix times a vector or a matrix"""

    level = PRODUCT

    def latex(self, inline=False):
        return f"{_closed(self.parts[0], inline)}\\, {self.parts[1].in_brackets(PRODUCT, inline)}"

    def value(self, env):
        return self.parts[0].value(env) @ self.parts[1].value(env)


class Outer(Expression):
    """a bᵀ"""

    level = PRODUCT

    def latex(self, inline=False):
        a, b = (part.in_brackets(POWER, inline) for part in self.parts)
        return rf"{a} {b}^\top"

    def value(self, env):
        a, b = (np.asarray(part.value(env)) for part in self.parts)
        return a[:, None] * b[None, :]


class Norm(Expression):
    """‖a‖"""

    def latex(self, inline=False):
        return rf"\left\Vert {self.parts[0].latex(inline)} \right\Vert"

    def value(self, env):
        a = np.asarray(self.parts[0].value(env))
        return (env["library"] or np).sqrt(np.sum(a * a))

    def size(self, env):
        return max(_top(self.value(env)), self.parts[0].size(env))


class Identity(Expression):
    """The unit matrix, as large as the vector beside it."""

    def __init__(self, n):
        super().__init__(wrap(n))

    def latex(self, inline=False):
        return "I"

    def value(self, env):
        n = _whole(self.parts[0].value(env))
        return np.eye(n, dtype=int).astype(object) if env["library"] else np.eye(n)


def dot(a, b):
    """aᵀb, the inner product of two vectors"""
    return Dot(wrap(a), wrap(b))


def outer(a, b):
    """a bᵀ"""
    return Outer(wrap(a), wrap(b))


def norm(a):
    """The length of a vector."""
    return Norm(wrap(a))


# ------------------------------------------------------------------------------------------------ sums over an index


class Condition:
    """Which values of an index take part."""

    def __init__(self, index, *others):
        self.index, self.others = index, others

    def places(self, env):
        return [_position(wrap(x), env) for x in self.others]

    def also(self):
        return ", ".join(wrap(x).latex(True) for x in self.others)


class Excluding(Condition):
    """k ≠ i, or k ≠ i, j(i)"""

    def holds(self, env):
        return self.index.position(env) not in self.places(env)

    def latex(self):
        return rf"{self.index.name} \ne {self.also()}"


class Same(Condition):
    """k = j(i)"""

    def holds(self, env):
        return self.index.position(env) == self.places(env)[0]

    def latex(self):
        return rf"{self.index.name} = {self.also()}"


class Above(Condition):
    """k > i"""

    def holds(self, env):
        return self.index.position(env) > self.places(env)[0]

    def latex(self):
        return rf"{self.index.name} > {self.also()}"


class Among(Condition):
    """p ∈ P(i): the set is an entry of a symbol that holds lists of positions (from 0)."""

    def holds(self, env):
        return self.index.position(env) in self.others[0].value(env)

    def latex(self):
        return rf"{self.index.name} \in {self.others[0].latex(True)}"


def excluding(index, *others):
    """The condition that an index differs from all of these."""
    return Excluding(index, *others)


def among(index, entry):
    """The condition that an index is in a set, such as P(i)."""
    return Among(index, entry)


class Indicator(Expression):
    """1 where a condition holds, else 0."""

    def __init__(self, condition):
        super().__init__()
        self.condition = condition

    def latex(self, inline=False):
        return rf"\mathbb{{1}}_{{[{self.condition.latex()}]}}"

    def value(self, env):
        return int(self.condition.holds(env))


class Over(Expression):
    """What is collected over an index: sum, product, maximum, log-sum-exp, mean."""

    level = PRODUCT

    def __init__(self, body, index, where=None):
        super().__init__(wrap(body))
        self.index, self.where = index, where

    def values(self, env, read=None):
        found = []
        for position in self.index.positions(env):
            inner = self.index.at(env, position)
            if self.where is None or self.where.holds(inner):
                found.append((read or self.parts[0].value)(inner))
        return found

    def under(self):
        """What stands below the sign, and above it."""
        if isinstance(self.where, (Among, Above)):
            return self.where.latex(), ""
        start = f"{self.index.name}={self.index.first}"
        return (f"{start},\\ {self.where.latex()}" if self.where else start), self.index.last.latex(True)

    def latex(self, inline=False):
        below, above = self.under()
        sign = rf"{self.sign}_{{{below}}}" + (f"^{{{above}}}" if above else "")
        return f"{sign} {self.parts[0].in_brackets(PRODUCT, inline)}"


class Sum(Over):
    """Σ of a body over an index: `Sum(body, k, k != i)`"""

    sign = r"\sum"

    def value(self, env):
        found = self.values(env)
        return sum(found[1:], found[0]) if found else 0.0

    def size(self, env):
        return float(sum(self.values(env, self.parts[0].size)))


class Product(Over):
    """Π of a body over an index"""

    sign = r"\prod"

    def value(self, env):
        return math.prod(self.values(env))


class _Named(Over):
    def latex(self, inline=False):
        below = self.where.latex() if self.where else self.index.name
        return rf"\operatorname*{{{self.sign}}}_{{{below}}} {self.parts[0].in_brackets(POWER, inline)}"


class Max(_Named):
    """The largest value of a body over an index"""

    sign = "max"

    def value(self, env):
        found = self.values(env)
        if env["library"] and found:
            return _largest(env["library"], found)
        return max(found, key=np.real, default=-math.inf)


class LSE(_Named):
    """log Σ exp of a body over an index; over nothing it is −∞"""

    sign = "LSE"

    def value(self, env):
        found = self.values(env)
        if env["library"]:
            return env["library"].log(sum(map(env["library"].exp, found))) if found else -math.inf
        top = max(map(np.real, found), default=-math.inf)
        return top + np.log(sum(np.exp(x - top) for x in found)) if found else -math.inf

    def size(self, env):
        return max([1.0, *self.values(env, self.parts[0].size)]) if self.values(env) else 1.0


class Mean(Sum):
    """The mean of a body over a whole index"""

    def latex(self, inline=False):
        return rf"\frac{{1}}{{{self.index.last.latex(True)}}} {super().latex(inline)}"

    def value(self, env):
        return super().value(env) / len(self.index.positions(env))


class Expectation(Sum):
    """Σ over an index of a probability times a body, shown as an expectation: `Expectation(body, x, p[x])`"""

    def __init__(self, body, index, probability, where=None):
        Expression.__init__(self, wrap(body), wrap(probability))
        self.index, self.where = index, where

    def latex(self, inline=False):
        law = self.parts[1]
        name = law.symbol.shown if isinstance(law, Entry) else law.latex(True)
        return rf"\mathbb{{E}}_{{{self.index.name} \sim {name}}}\left[{self.parts[0].latex(inline)}\right]"

    def values(self, env, read=None):
        if read is not None:  # sizes
            read = lambda inner: self.parts[0].size(inner) * self.parts[1].size(inner)
        return super().values(env, read or (lambda inner: self.parts[1].value(inner) * self.parts[0].value(inner)))


class At(Expression):
    """A formula at another value of one of its symbols: f(x + h)"""

    def __init__(self, y, symbol, x):
        super().__init__(wrap(y), wrap(x))
        self.symbol = symbol

    def latex(self, inline=False):
        y, x = self.parts
        return rf"{y.in_brackets(ATOM, inline)}\left({x.latex(inline)}\right)"

    def value(self, env):
        y, x = self.parts
        return y.value({**env, self.symbol.name: x.value(env), "cache": {}})


def at(y, symbol, x):
    """y where a symbol has another value: `at(f, x, x + h)` is shown as f(x + h)."""
    return At(y, symbol, x)


# ------------------------------------------------------------------------------------------------------ derivatives


class Derivative(Expression):
    """∂y/∂x, by a complex step in float64 and by SymPy's rules in symbols. A vector y gives a Jacobian, rows first.

    `x` is a symbol or an entry of one. A defined symbol is taken as free: ∂L/∂u varies u and not the z it was made of.
    """

    def __init__(self, y, x):
        super().__init__(wrap(y))
        self.x = x

    def latex(self, inline=False):
        y, below = self.parts[0], self.x.latex(True)
        if isinstance(y, (Symbol, Entry)):
            return rf"\frac{{\partial {y.latex(True)}}}{{\partial {below}}}"
        return rf"\frac{{\partial}}{{\partial {below}}}\left[{y.latex(inline)}\right]"

    def value(self, env):
        symbol = self.x.symbol if isinstance(self.x, Entry) else self.x
        where = self.x.where(env) if isinstance(self.x, Entry) else ()
        whole = symbol.array(env) if isinstance(symbol, Defined) and symbol.indices else symbol.value(env)
        whole = np.asarray(whole, dtype=object if env["library"] else complex)
        shape = np.shape(whole[where])  # a single number of SymPy or mpmath has none of its own
        take = self._by_rules if hasattr(env["library"], "diff") and hasattr(env["library"], "Dummy") else self._by_step
        columns = [take(env, symbol.name, whole, (*where, *i)) for i in np.ndindex(shape)]
        if not shape:
            return columns[0]
        jacobian = np.array(columns).reshape(*shape, *np.shape(columns[0]))
        return np.moveaxis(jacobian, range(len(shape)), range(-len(shape), 0))

    def _moved(self, env, name, whole, where, new, **more):
        """y after one entry of x has become another number."""
        moved = whole.copy()
        moved[where] = new
        return self.parts[0].value({**env, name: moved if moved.ndim else moved[()], "cache": {}, **more})

    def _by_step(self, env, name, whole, where):
        if env.get("stepping"):
            raise TypeError("a derivative of a derivative: a complex step cannot be taken inside another one")
        library = env["library"]
        h = library.mpf(10) ** -60 if library else 1e-30
        y = self._moved(
            env, name, whole, where, whole[where] + (library.mpc(0, h) if library else 1j * h), stepping=True
        )
        return _entrywise(lambda v: library.im(v) / h, y) if library else np.imag(y) / h

    def _by_rules(self, env, name, whole, where):
        library = env["library"]
        free = library.Dummy(real=True)
        y = self._moved(env, name, whole, where, free)
        return _entrywise(lambda v: library.diff(v, free).subs(free, whole[where]), y)


def derivative(y, x):
    """∂y/∂x: `derivative(L, z[i])`"""
    return Derivative(y, x)


def free_indices(x):
    """The indices that a formula leaves open (no sum binds them), by name: a statement holds for each of their values."""
    found = {}
    for part in x.parts:
        found |= free_indices(part)
    if isinstance(x, Index):
        return {x.name: x}
    if isinstance(x, Entry):
        for place in x.places:
            found |= free_indices(place)
    if isinstance(x, Indicator):
        found |= _free_in(x.condition)
    if isinstance(x, Derivative):
        found |= free_indices(x.x)
    if isinstance(x, Over):
        if x.where is not None:
            found |= _free_in(x.where)
        found.pop(x.index.name, None)
    return found


def _free_in(condition):
    found = {condition.index.name: condition.index}
    for other in condition.others:
        found |= free_indices(wrap(other))
    return found


# --------------------------------------------------------------------------------------------------- deliberate errors


def mutants(x):
    """All trees with one slip of the pen: a node negated, doubled, or with a stray 1."""
    yield -x
    yield 2 * x
    yield x + 1
    for k, part in enumerate(x.parts):
        for changed in mutants(part):
            yield x.rebuilt((*x.parts[:k], changed, *x.parts[k + 1 :]))
