"""A claim and its check: what the article says, the verdict on it, and a function that measures and may fail.

    @claim(says="...", verdict="wrong", exactly="...", sources="...")
    def s17(see):
        '''What the check does, in one sentence.'''
        see.equal("collapse, N = 128", mc.losses.nt_xent(z, z), math.log(255))

The check hands what it measured to `see`, with what it should be. A verdict holds if all of that came out as it should;
an error inside a check is a verdict that does not hold.
"""

import inspect
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

import minicl as mc

VERDICTS = {
    "right": "it holds as it is said",
    "imprecise": "the idea is right, but a condition or a detail that matters is missing or wrong",
    "wrong": "it does not hold as it is said",
    "opinion": "it values, foretells, or counts what others do: it is attributed, and shown by an experiment where one "
    "decides it",
}
CLAIMS = {}


class Line(NamedTuple):
    """One thing that a check measured. `passed` is None for what is only shown."""

    text: str
    passed: bool | None


@dataclass
class Record:
    """What a check has measured so far."""

    lines: list = field(default_factory=list)

    def holds(self, what, condition, shown=""):
        """`condition` must be true."""
        self.lines.append(Line(f"{what}: {shown}" if shown else what, bool(condition)))

    def equal(self, what, found, expected, within=1e-11):
        """Both sides must agree, relative to the largest entry of the second (absolutely where that is 0)."""
        found, expected = (
            np.asarray(mc.to_numpy(getattr(x, "data", x) if not isinstance(x, np.ndarray) else x))
            for x in (found, expected)
        )
        if found.shape != expected.shape:
            return self.holds(what, False, f"shapes {found.shape} and {expected.shape}")
        scale = float(np.abs(expected).max()) or 1.0
        off = float(np.abs(found - expected).max()) / scale
        shown = f"{number(found)} = {number(expected)}, " if not found.shape else ""
        self.holds(what, off <= within, f"{shown}difference {off:.0e} (allowed {within:.0e})")  # NaN is not ≤

    def less(self, what, a, b):
        """a < b."""
        self.holds(what, float(a) < float(b), f"{number(a)} < {number(b)}")

    def between(self, what, low, x, high):
        """low ≤ x ≤ high."""
        self.holds(what, float(low) <= float(x) <= float(high), f"{number(x)} in [{number(low)}, {number(high)}]")

    def mean(self, what, values, above=None, below=None, unit=""):
        """Mean and 95 % interval over seeds; the whole interval must lie above or below a bound, if one is given."""
        middle, half = mc.evaluate.t_interval(values)
        shown = f"{number(middle)} ± {number(half)}{unit} ({len(values)} seeds)"
        if above is None and below is None:
            return self.note(f"{what}: {shown}")
        bound, ok = (above, middle - half > above) if below is None else (below, middle + half < below)
        self.holds(what, ok, f"{shown}, {'above' if below is None else 'below'} {number(bound)}")

    def derived(self, key, *names):
        """Statements of `mc.derivations.ALL[key]`, executed; a FALSE one must fail."""
        for name in names:
            shown = mc.derivations.ALL[key][name]
            kind = "FALSE step" if shown.statement.kind == "FALSE" else "step"
            self.holds(f"derivation {key}, {kind} “{name}”", shown.passed, shown.outcome.measure)

    def note(self, text):
        """Shown, and not checked."""
        self.lines.append(Line(text, None))


class Outcome(NamedTuple):
    """What came out of a check in this run."""

    passed: bool
    lines: list
    error: str = ""


@dataclass
class Claim:
    """A claim of the article; `says` is in our words."""

    number: str
    says: str
    verdict: str
    exactly: str
    sources: str
    check: object

    def run(self):
        """Run the check. Never raises."""
        see = Record()
        try:
            with np.errstate(all="ignore"):
                self.check(see)
        except Exception as error:
            return Outcome(False, see.lines, f"{type(error).__name__}: {error}")
        checked = [line.passed for line in see.lines if line.passed is not None]
        return Outcome(bool(checked) and all(checked), see.lines)

    @property
    def does(self):
        """The sentence that says what the check does."""
        return " ".join(inspect.getdoc(self.check).split())

    @property
    def place(self):
        """File and line of the check, and its text."""
        lines, start = inspect.getsourcelines(self.check)
        first = next(n for n, line in enumerate(lines) if line.startswith("def "))
        return inspect.getsourcefile(self.check).rsplit("/", 1)[-1], start + first, "".join(lines[first:])


def claim(says, verdict, exactly, sources="–"):
    """Registers a check under the name of its function: s17 is the claim S17."""
    if verdict not in VERDICTS:
        raise ValueError(f"claim: the verdict is one of {', '.join(VERDICTS)}, not {verdict!r}.")

    def register(check):
        name = check.__name__.upper()
        if name in CLAIMS:
            raise ValueError(f"claim: there are two checks {name}.")
        CLAIMS[name] = Claim(name, says, verdict, exactly, sources, check)
        return check

    return register


def number(x):
    """A number for readers: four digits that count."""
    x = float(x)
    if x != x or x in (float("inf"), float("-inf")):
        return str(x)
    if x == int(x) and abs(x) < 1e6:
        return str(int(x))
    return f"{x:.2e}" if abs(x) < 1e-3 or abs(x) >= 1e5 else f"{x:.4g}"
