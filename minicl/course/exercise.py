"""What an exercise is made of: questions, tests that hold for every right answer, and known mistakes with their hints.

All of it is data, so that an exercise is declared and not programmed. A `Case` is one call of the learner's function
and prints as the line of code that makes it; a `Test` is a list of cases and a law; a `Mistake` is a small wrong
function.
"""

import copy
import inspect
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .answers import Failed, arrays

TIERS = {
    "T0": "shapes, finite numbers",
    "T1": "known answers",
    "T2": "invariances",
    "T3": "gradients",
    "T4": "adversarial numbers",
    "T5": "speed and scale",
}

# ------------------------------------------------------------------------------------------- what a function is given


class Code:
    """An argument that is given by its source text: a function, a random generator. It is evaluated anew at each call.

    Examples
    --------
    >>> square = Code("lambda x: x**2")
    >>> square.value()(3)
    9
    >>> call(square, 2.0)
    f(lambda x: x**2, 2.0)
    """

    def __init__(self, source):
        self.source = source
        self._compiled = compile(source, "<an argument of the exercise>", "eval")

    def value(self):
        return eval(self._compiled, {"np": np})

    def kept(self):
        """The same argument, evaluated once: calls share it, as the steps of a training loop share their generator."""
        shared, value = Code(self.source), self.value()
        shared.value = lambda: value
        return shared

    def __repr__(self):
        return self.source


@dataclass(frozen=True)
class Draw:
    """The place of a random array in a case; made by `draw`."""

    shape: tuple
    scale: float | None
    dtype: type = np.float64

    def array(self, rng):
        if self.scale is not None:
            return np.asarray(self.scale * rng.standard_normal(self.shape), self.dtype)
        # Distinct where nine are enough: equal entries hide permutations, zeros hide products.
        size = int(np.prod(self.shape))
        digits = np.concatenate([rng.permutation([-4, -3, -2, -1, 1, 2, 3, 4, 5]) for _ in range(-(-size // 9))])
        return digits[:size].reshape(self.shape).astype(self.dtype)


def draw(*shape, scale=None, dtype=np.float64):
    """The place of a random array: small whole numbers, or normal numbers where a `scale` is given."""
    return Draw(shape, scale, dtype)


@dataclass(frozen=True)
class Case:
    """One call of the learner's function; made by `call`. It prints as the line of code that makes it."""

    args: tuple
    options: dict = field(default_factory=dict)
    expected: Any = None
    scale: Any = None
    note: str = ""

    def gives(self, expected, scale=None):
        """The same call with its right answer: a value, or a function of the arguments.

        An error is relative to the largest entry of the answer. Where that can vanish, give the natural unit as
        `scale`, again as a value or as a function of the arguments.
        """
        return replace(self, expected=expected, scale=scale)

    def noting(self, note):
        """The same call with a sentence for the learner who fails it."""
        return replace(self, note=note)

    def filled(self, rng):
        """The same call with random arrays in their places and the right answer worked out."""
        fill = lambda x: x.array(rng) if isinstance(x, Draw) else x
        args, options = tuple(map(fill, self.args)), {k: fill(v) for k, v in self.options.items()}
        work_out = lambda x: x(*args, **options) if callable(x) else x
        expected, scale = work_out(self.expected), work_out(self.scale)
        return replace(self, args=args, options=options, expected=expected, scale=scale)

    def fresh(self):
        """The arguments as copies that the learner's function may ruin."""
        take = lambda x: x.value() if isinstance(x, Code) else copy.deepcopy(x)
        return tuple(map(take, self.args)), {k: take(v) for k, v in self.options.items()}

    def __repr__(self):
        options = [f"{name}={source(value)}" for name, value in self.options.items()]
        return f"f({', '.join([*map(source, self.args), *options])})"


def call(*args, **options):
    """The case f(*args, **options).

    Examples
    --------
    >>> call(np.array([[1.0, 0.0]]), axis=0).gives(np.array([1.0, 0.0]))
    f(np.array([[1., 0.]]), axis=0)
    """
    return Case(args, options)


def source(x):
    """An argument as Python source that makes it again."""
    if not isinstance(x, np.ndarray):
        return repr(x.item() if isinstance(x, np.generic) else x)
    if not x.size and x.ndim > 1:  # brackets alone would not tell its shape
        return f"np.empty({x.shape}, dtype=np.{x.dtype})"
    with np.printoptions(floatmode="unique", suppress=False, threshold=sys.maxsize, linewidth=10_000, sign="-"):
        text = " ".join(np.array2string(x, separator=", ").split()).replace("[ ", "[")
    text = re.sub(r"\b(nan|inf)\b", r"np.\1", text)
    usual = x.dtype in (np.float64, np.int64, np.bool_) and x.size
    return f"np.array({text})" if usual else f"np.array({text}, dtype=np.{x.dtype})"


# ------------------------------------------------------------------------------------- what a right answer has to obey


@dataclass(frozen=True)
class Test:
    """One row of the report: a law, and the cases on which it must hold, the smallest first.

    Parameters
    ----------
    name : str
        Completes "the function ...": "is linear in g".
    tier : {"T0", "T1", "T2", "T3", "T4", "T5"}
    cases : list of Case
        `draw(...)` among the arguments is replaced by a random array, the same for everybody with the same seed.
    law : callable, optional
        law(f, *args, **options) returns two values that must be equal (and a scale, as in `gives`), two texts to show
        where it holds, or nothing; or it raises `Failed(observed, expected)`. Without a law, f(*args, **options) must equal the answer that the case `gives`.
    required : bool, optional
        Whether it takes part in `passed`. Without it, all but T5 do.
    tolerance : float, optional
        For float64 answers, relative to the largest entry, instead of the usual one.
    scored : str
        Rows with the same words here are counted together: "wrong backwards rejected".
    """

    __test__ = False  # for pytest, which takes classes of this name for its own

    name: str
    tier: str
    cases: list
    law: Callable | None = None
    required: bool | None = None
    tolerance: float | None = None
    scored: str = ""

    def __post_init__(self):
        if self.tier not in TIERS:
            raise ValueError(f"test {self.name!r}: tier {self.tier!r} is none of {', '.join(TIERS)}")
        if not self.cases:
            raise ValueError(f"test {self.name!r} has no cases")

    @property
    def counts(self):
        """Whether a learner must pass it."""
        return self.tier != "T5" if self.required is None else self.required


def speed(name, case, than, ratio):
    """The test that a function takes at most `ratio` times as long as than(*args), which is timed beside it.

    The row shows the ratio: a number that means the same on a slow machine. Of a function that the clock stops it says
    how large it is at least.
    """
    expected = f"at most {ratio} times"

    def law(f, *args, **options):
        reference = lambda: _seconds(lambda: than(*args, **options))
        unit, start = reference(), time.perf_counter()
        try:
            took = _seconds(lambda: f(*args, **options))
        except Failed:
            if not f.clock.up:
                raise
            took = time.perf_counter() - start
            raise Failed(f"over {took / min(unit, reference()):.0f} times as long", expected) from None
        took /= min(unit, reference())  # before and after: the machine may have been busy with something else
        observed = f"{took:.{0 if took > 10 else 1}f} times as long"
        if took > ratio:
            raise Failed(observed, expected)
        return observed, expected

    return Test(name, "T5", [case], law=law)


def _seconds(function):
    """The least of three times; of more where the function is quick, since a moment of other work hides it."""
    times = []
    while len(times) < 3 or (sum(times) < 0.01 and len(times) < 20):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


class Remembers:
    """A wrong version that keeps something between calls: `make()` gives it without memory, and each run takes one."""

    def __init__(self, make):
        self.anew, self._function = make, make()

    def __call__(self, *args, **options):
        return self._function(*args, **options)


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known mistake: a small wrong function, and three hints that lead out of it.

    Parameters
    ----------
    name : str
        A short unique name: "duplicates-overwritten".
    says : str
        Completes "an implementation that ...".
    function : callable
        The wrong version. Its answers to the tests are the fingerprint that the learner's answers are compared with.
    hints : sequence of three str
        Symptom, place, repair. None of them is the solution.
    variants : sequence of callables
        The same mistake written otherwise, with other answers.
    """

    name: str
    says: str
    function: Callable
    hints: tuple
    variants: tuple = ()

    def __post_init__(self):
        if len(self.hints) != 3:
            raise ValueError(f"mistake {self.name!r} has {len(self.hints)} hints; give three: symptom, place, repair")


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise: what is asked, the tests of an answer, and the mistakes that are recognised by name.

    Parameters
    ----------
    name : str
        What `check` is called with.
    notebook : str
        Number of the notebook that asks it.
    signature : str
        "f(g, a, b) -> (da, db)"; names of arguments and results are used in messages.
    statement : str
        The question, its first line a summary. It fixes every convention, so that a right answer is unambiguous.
    tests : list of Test
    mistakes : list of Mistake
    advice : str
        The last hint for a mistake that is not known.
    answer : callable
        answer(value, names) turns what the learner's function returned into what the tests compare, or raises
        `Failed(observed, expected)`; `answers.arrays`, `answers.boolean` or `answers.sequence`.
    verdicts : bool
        Recognise mistakes by what the tests say and not by the answers themselves: for answers with free choices in
        them.
    mixes : bool
        Whether several mistakes add up: the function fails where any of them does.
    seconds : float
        The time that all calls together may take.

    Examples
    --------
    >>> double = Exercise(
    ...     name="double",
    ...     notebook="00",
    ...     signature="f(x) -> y",
    ...     statement="Twice every entry of x.",
    ...     tests=[
    ...         Test("doubles one", "T1", [call(np.array(1.0)).gives(np.array(2.0))]),
    ...         Test("is additive", "T2", [call(draw(2), draw(2))], law=lambda f, a, b: (f(a + b), f(a) + f(b))),
    ...     ],
    ...     mistakes=[Mistake("squared", "squares", lambda x: x * x, ("3 gives 9.", "Look at *.", "Add."))],
    ...     advice="Add x to x.",
    ... )
    >>> double.arguments, double.results
    (['x'], ['y'])
    """

    name: str
    notebook: str
    signature: str
    statement: str
    tests: list
    mistakes: list
    advice: str
    answer: Callable = arrays
    verdicts: bool = False
    mixes: bool = False
    seconds: float = 3.0

    def __post_init__(self):
        object.__setattr__(self, "statement", inspect.cleandoc(self.statement))
        object.__setattr__(self, "tests", sorted(self.tests, key=lambda test: test.tier))
        for kind, names in ("test", self.tests), ("mistake", self.mistakes):
            names = [x.name for x in names]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"exercise {self.name!r} has two {kind}s named {twice.pop()!r}")

    @property
    def summary(self):
        return self.statement.partition("\n")[0]

    @property
    def arguments(self):
        """Names of the arguments."""
        inside = re.search(r"f\((.*?)\)\s*->", self.signature)[1]
        return [part.partition("=")[0].strip() for part in inside.split(",")]

    @property
    def results(self):
        """Names of the results."""
        return [name.strip() for name in self.signature.partition("->")[2].strip(" ()").split(",")]

    def describe(self):
        """The question as text."""
        tests = [f"  {test.tier}  {test.name}{'' if test.counts else ' (not required)'}" for test in self.tests]
        title, always = f"{self.name} (notebook {self.notebook})", "arguments stay as they were, answers repeat"
        return "\n".join([title, "", f"    {self.signature}", "", self.statement, "", f"Tests ({always}):", *tests])
