"""A derivation: statements in order, tried on one family of inputs, and shown with what came out.

    D = Derivation("softplus", "Two faces of softplus", samples=random_inputs, adversarial={...}, symbols=...)
    D.step("as a logarithm", softplus(x), log(1 + exp(x)), "by definition")
    D.false("dropping the 1", log(1 + exp(x)), x, "only far to the right")
    D.check()

`check` tries every statement on at least 100 random inputs and on each adversarial one, and never raises; `.passed` says
whether all came out as stated. In a notebook the derivation, or one statement of it, shows itself with its residuals.
"""

from collections.abc import Mapping
from html import escape

import numpy as np

from .statement import Approximation, Definition, Equality, FalseStep, Inequality, Outcome, shown

RANDOM = 100  # random inputs for each statement


class Derivation(Mapping):
    """A chain of executed statements, found by name: `derivation["the candidate half"]`.

    Parameters
    ----------
    key, title : str
    samples : callable
        samples(rng) returns an environment: a dictionary of numbers and arrays, one for each free symbol.
    adversarial : dict of callables
        Inputs on which formulas break: each takes a generator and returns an environment. The key names it in reports.
    symbols : callable, optional
        Returns an environment of SymPy symbols of the smallest interesting size, for steps with `exactly="prove"`.
    intro : str
        What the reader is told first.
    sources : str
        Papers.
    count : int
        Random inputs for each statement.

    Examples
    --------
    >>> from minicl.derivations import Derivation, exp, log, softplus, symbols
    >>> x = symbols("x")
    >>> D = Derivation("demo", "Softplus", samples=lambda rng: {"x": rng.normal()}, adversarial={"x = 30": lambda rng: {"x": 30.0}})
    >>> _ = D.step("definition", softplus(x), log(1 + exp(x)), "what the name stands for")
    >>> _ = D.false("sign", softplus(x), log(1 - exp(-x)), "the sign is lost")
    >>> report = D.check()
    >>> report.passed, report.rows[0].outcome.inputs
    (True, 101)
    """

    def __init__(self, key, title, *, samples, adversarial=None, symbols=None, intro="", sources="", count=RANDOM):
        self.key, self.title, self.samples, self.symbols = key, title, samples, symbols
        self.adversarial, self.intro, self.sources, self.count = dict(adversarial or {}), intro, sources, count
        self.statements, self._checked = {}, {}

    # ------------------------------------------------------------------------------------------- writing it

    def _add(self, statement):
        if statement.name in self.statements:
            raise ValueError(f"{self.key}: two statements are named {statement.name!r}")
        self.statements[statement.name] = statement
        return Shown(self, statement)

    def definition(self, name, symbol, why, **options):
        """A name for a formula; `code=function(env)` holds it against the library."""
        return self._add(Definition(name, symbol, why, **options))

    def step(self, name, lhs, rhs, why, **options):
        """lhs = rhs. See `Statement` for the options."""
        return self._add(Equality(name, lhs, rhs, why, **options))

    def inequality(self, name, lhs, rhs, why, **options):
        """lhs ≤ rhs (`strict=True`: <)."""
        return self._add(Inequality(name, lhs, rhs, why, **options))

    def approximation(self, name, lhs, rhs, why, **options):
        """lhs = rhs + O(variableᵖ): give `variable=`, `order=`, `toward=`, `start=`."""
        return self._add(Approximation(name, lhs, rhs, why, **options))

    def false(self, name, lhs, rhs, why, **options):
        """A tempting wrong step that must fail (`relation="<="` for an inequality)."""
        return self._add(FalseStep(name, lhs, rhs, why, **options))

    # ------------------------------------------------------------------------------------------ reading it

    def __getitem__(self, name):
        if name not in self.statements:
            raise KeyError(f"{self.key} has no statement {name!r}; it has {', '.join(map(repr, self.statements))}")
        return Shown(self, self.statements[name])

    def __iter__(self):
        return iter(self.statements)

    def __len__(self):
        return len(self.statements)

    def inputs(self, statement, seed=0):
        """The inputs that a statement is tried on, each with a text that says which it is."""
        own = statement.samples
        samples = own if callable(own) else self.samples
        found = []
        for k in range(self.count):
            found.append((f"random input {k} of seed {seed}", samples(np.random.default_rng([seed, k]))))
        if not callable(own):
            found += [(text, make(np.random.default_rng([seed, 1000]))) for text, make in self.adversarial.items()]
        return found

    def check(self, seed=0):
        """Try every statement. The report holds a row for each and never raises.

        Returns
        -------
        Report
            `.passed`, `.rows` (`.statement`, `.outcome`), and a table as its text.
        """
        return Report(self, [Row(s, self.outcome(s, seed)) for s in self.statements.values()])

    def outcome(self, statement, seed=0):
        """The outcome of one statement; worked out once. An error inside it is an outcome too."""
        known = (statement.name, seed)
        if statement is not self.statements.get(statement.name):
            return self._try(statement, seed)
        if known not in self._checked:
            self._checked[known] = self._try(statement, seed)
        return self._checked[known]

    def _try(self, statement, seed):
        try:
            symbols = self.symbols() if self.symbols and statement.exactly == "prove" else None
            return statement.check(self.inputs(statement, seed), symbols)
        except Exception as error:  # a statement that cannot be evaluated has failed, and the others go on
            return Outcome(False, f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------------------------------------ showing it

    def _repr_markdown_(self):
        head = [f"### {self.title}", self.intro]
        body = [Shown(self, s)._repr_markdown_() for s in self.statements.values()]
        return "\n\n".join(filter(None, [*head, *body, self.check().summary(), self.sources]))

    def __repr__(self):
        return str(self.check())


class Shown:
    """One statement of a derivation; a notebook shows its formula, its reason and what came out."""

    def __init__(self, derivation, statement):
        self.derivation, self.statement = derivation, statement

    @property
    def outcome(self):
        return self.derivation.outcome(self.statement)

    @property
    def latex(self):
        return self.statement.latex

    @property
    def passed(self):
        return self.outcome.passed

    def _repr_markdown_(self):
        s, outcome = self.statement, self.outcome
        label = f"**{'FALSE: ' if s.kind == 'FALSE' else ''}{s.name}**"
        return f"{label}. {s.why}\n\n$$\n{s.latex}\n$$\n\n{verdict(s, outcome)}"

    def __repr__(self):
        return f"{self.statement.name}: {self.latex}\n{verdict(self.statement, self.outcome, plain=True)}"


def verdict(statement, outcome, plain=False):
    """What came out, as one line."""
    if not outcome.passed:
        mark = "✗ DOES NOT HOLD:" if statement.kind != "FALSE" else "✗ IS NOT FALSE:"
    elif outcome.measure == "evaluated":
        mark = "a name for it,"
    else:
        mark = "✗ as it must," if statement.kind == "FALSE" else "✓"
    text = f"{mark} {outcome.measure}"
    if outcome.inputs:
        text += f" over {outcome.inputs} inputs"
    if outcome.worst and statement.kind == "FALSE" and outcome.passed:
        left, right = map(shown, outcome.sides)
        at = f" ({outcome.values})" if outcome.values else ""
        text += f"; counterexample: {outcome.worst}{at}: left {left}, right {right}"
    elif outcome.worst and outcome.measure != "evaluated":
        text += f"; worst: {outcome.worst}"
        if not outcome.passed:
            left, right = map(shown, outcome.sides)
            text += f": left {left}, right {right}"
    if outcome.exactly != "–":
        said = {"= 0": "SymPy simplifies the difference to 0", "50 digits": "equal to 50 digits"}
        text += f"; {said.get(outcome.exactly, outcome.exactly)}"
    return text if plain else f"<small>{escape(text)}</small>"


class Row:
    """A statement and its outcome."""

    def __init__(self, statement, outcome):
        self.statement, self.outcome = statement, outcome

    @property
    def passed(self):
        return self.outcome.passed


class Report:
    """The outcomes of a derivation: a table with one row for each statement."""

    def __init__(self, derivation, rows):
        self.derivation, self.rows = derivation, rows

    @property
    def passed(self):
        """Whether everything came out as stated: steps hold, FALSE steps fail."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def summary(self):
        """One sentence."""
        good = sum(row.passed for row in self.rows)
        false = sum(row.statement.kind == "FALSE" for row in self.rows)
        return (
            f"{good} of {len(self.rows)} statements came out as stated"
            + (f", among them {false} FALSE one{'s' if false > 1 else ''} that had to fail" if false else "")
            + "."
        )

    def _cells(self):
        for k, row in enumerate(self.rows, start=1):
            s, o = row.statement, row.outcome
            yield [
                str(k),
                s.kind or "step",
                s.name,
                o.measure,
                str(o.inputs),
                o.worst,
                o.exactly,
                "✓" if o.passed else "✗",
            ]

    def __str__(self):
        head = ["", "kind", "statement", "came out", "inputs", "worst input", "exactly", ""]
        rows = [head, *self._cells()]
        widths = [max(len(row[c]) for row in rows) for c in range(len(head))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([f"{self.derivation.key}: {self.derivation.title}", *lines, self.summary()])

    __repr__ = __str__

    def _repr_markdown_(self):
        lines = [
            "| | kind | statement | came out | exactly | | formula | worst input |",
            "|---:|---|---|---|---|---|---|---|",
        ]
        for row, (number, kind, name, measure, _, worst, exactly, mark) in zip(self.rows, self._cells()):
            cells = [number, kind, name, measure, exactly, mark, f"${row.statement.latex}$", worst]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join([*lines, "", self.summary()])
