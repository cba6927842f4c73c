"""The answer to a learner: a table of tests, the smallest input that fails, the likely mistake, and hints on request.

It prints in a terminal and draws itself in a notebook, where wrong entries stand in red beside the right ones. It
never shows a hint that was not asked for, and never a solution.
"""

from html import escape

import numpy as np

from .exercise import TIERS, source

_WRONG, _RIGHT = "#c2255c", "#2b8a3e"  # of middle lightness: readable on white and on black
_HEAD = ("", "tier", "test", "cases", "observed", "expected", "distance")
_CELLS = 12  # rows and columns of an array that are drawn


class Text(str):
    """A text that shows itself in a notebook as `print` would show it."""

    def __repr__(self):
        return str(self)


class Report:
    """What `check` found.

    Attributes
    ----------
    exercise : str
    passed : bool
        Whether every required test passes.
    tests : list of Row
        name, tier, passed, observed, expected, distance, and cases: how many of how many inputs pass.
    failure : str or None
        The smallest failing input, as a line that can be run with your function as `f`.
    diagnosis : list of Diagnosis
        Known mistakes that explain the answers, the surest first: name, says, sure, hints. Empty when right or
        unknown.
    hints : list of str
        Three levels for the first diagnosis: symptom, place, repair. Empty when right.
    tiers : dict of str to str
        What each tier of tests says: {"T1": "ok", "T4": "1 of 2", "T5": "ok (3.1 times as long)"}. A function in loops,
        one in arrays and one that is safe at any number can all be right (T1 to T3); T5 and T4 tell them apart.
    scores : dict of str to (int, int)
        Counts that an exercise asks for: {"wrong backwards rejected": (11, 16)}.
    printed : str
        The first 1000 characters of what the function printed.
    seed : int
        The random inputs are the same for everybody with the same seed.
    """

    def __init__(self, exercise, record, diagnosis, seed):
        self.exercise, self.tests, self.diagnosis, self.seed = exercise.name, record.rows, diagnosis, seed
        self.passed = all(row.passed for row in self.tests if row.required)
        self.printed, self._printed_length = record.printed.text, record.printed.length
        self.scores = _scores(self.tests)
        self.tiers = _tiers(self.tests, {test.tier for test in exercise.tests})
        self._results, self._advice = exercise.results, exercise.advice
        self._worst = self._smallest_failure()
        self._error = self._error_everywhere()
        if self._error and not (diagnosis and diagnosis[0].sure == 1):
            diagnosis = self.diagnosis = []
        self.failure = repr(self._worst.case) if self._worst else None
        self.hints = [] if self.passed else list(diagnosis[0].hints) if diagnosis else self._general_hints()

    def hint(self, level):
        """One hint: level 1 names the symptom, 2 the place, 3 the repair."""
        if level not in (1, 2, 3):
            raise ValueError(f"hint {level!r}: there are hint(1), hint(2) and hint(3)")
        return Text(self.hints[level - 1] if self.hints else "Nothing to mend: all required tests pass.")

    def _smallest_failure(self):
        # Of one tier, a question whose answer can be laid beside the right one says more than a broken law.
        failures = [(row.tier, r) for row in self.tests if row.required for r in row.failures if r.case]
        order = lambda pair: (pair[0], not pair[1].direct, len(repr(pair[1].case)))
        return min(failures, key=order, default=(None, None))[1]

    def _error_everywhere(self):
        """The text of an exception, or of a missing return, that comes before there is any answer; else None."""
        first = next((row for row in self.tests if row.required and not row.passed), None)
        if first is None or first.tier != "T0" or first.cases[0] or not self._worst:
            return None
        return self._worst.observed if _is_error(self._worst.observed) else None

    def _general_hints(self):
        if self._error:
            symptom = f"There is no answer to judge: {self._error}."
            place = f"Run {self.failure} in a cell by itself, with your function as f, and read the traceback."
            if "is there a return" in self._error:
                return [symptom, "Follow each way through your function to its end.", "End each of them with a return."]
            return [symptom, place, "Print the shapes of all arrays just before the line that is named there."]
        row = next(row for row in self.tests if row.required and not row.passed)
        seen, wanted = _short(row.observed), _short(row.expected)
        symptom = f"The first test that fails: {row.name}. Seen: {seen}. Expected: {wanted}."
        place = f"Work the smallest failing input by hand: {self.failure}. {' '.join(self._entries())}"
        return [symptom, place.strip(), self._advice]

    # ------------------------------------------------------------------------------------------------------- as text

    def __repr__(self):
        lines = [self._headline(), *self._score_lines(), ""]
        table = [_HEAD, *map(_cells, self._rows())]
        widths = [max(map(len, column)) for column in zip(*table)]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        lines += self._folded_lines()
        lines += ["", self._legend()]
        if self._error:
            lines += ["", f"your function: {self._error}"]
        if self._worst:
            lines += ["", "smallest failing input:", f"    {self.failure}"]
            lines += [f"    {line}" for line in self._worst_lines()]
        if notes := self._scored_notes():
            lines += ["", "all that went wrong:", *(f"    {note}" for note in notes)]
        if self.diagnosis:
            lines += ["", "diagnosis:", *(f"    {diagnosis!r}" for diagnosis in self.diagnosis)]
        if self.hints:
            lines += ["", "For a hint: report.hint(1), then (2), then (3)."]
        lines += self._printed_lines()
        return "\n".join(lines)

    def _rows(self):
        """The rows to show: of those that end in an error like the first one, only the first."""
        if not self._error:
            return self.tests
        first = next(row for row in self.tests if row.required and not row.passed)
        return [row for row in self.tests if row is first or row.passed or not _is_error(row.observed)]

    def _folded_lines(self):
        folded = len(self.tests) - len(self._rows())
        return [f"and {folded} more tests that end in the same way"] if folded else []

    def _headline(self):
        good = sum(row.passed for row in self.tests if row.required)
        all_ = sum(row.required for row in self.tests)
        verdict = "passed" if self.passed else "not yet"
        return f"{self.exercise}: {verdict}, {good} of {all_} required tests (seed {self.seed})"

    def _score_lines(self):
        return [f"{words}: {good} of {all_}" for words, (good, all_) in self.scores.items()]

    def _legend(self):
        words = {**TIERS, "T3": "wrong versions"} if self.scores else TIERS  # where the learner writes a test
        return "; ".join(f"{tier} {words[tier]}: {says}" for tier, says in self.tiers.items()) + "."

    def _scored_notes(self):
        """What the cases that are counted one by one say, where there is more than one to show."""
        notes = [result.case.note for row in self.tests if row.scored for result in row.failures if result.case]
        return notes if len(notes) > 1 else []

    def _printed_lines(self):
        if not self._printed_length:
            return []
        rest = self._printed_length - len(self.printed)
        tail = [f"    ... and {rest} characters more"] if rest else []
        return ["", "your function printed:", *(f"    {line}" for line in self.printed.splitlines()[:10]), *tail]

    def _arrays(self):
        """(name, yours, right) of each array in the smallest failing input; empty where it failed otherwise."""
        if not self._worst or not isinstance(self._worst.observed, (np.ndarray, np.generic, tuple)):
            return []
        both = [x if isinstance(x, tuple) else (x,) for x in (self._worst.observed, self._worst.expected)]
        pairs = [(np.asarray(o), np.asarray(e)) for o, e in zip(*both)]
        if any(o.shape != e.shape or e.dtype.kind not in "biuf" for o, e in pairs):
            return []
        whole = self._worst.direct or len(pairs) == len(self._results) > 1
        names = [self._worst.part] if self._worst.part else self._results if whole else [""] * len(pairs)
        return [(name, o, e) for name, (o, e) in zip(names, pairs)]

    def _worst_lines(self):
        """What is said below the smallest failing input."""
        seen, wanted = self._worst.observed, self._worst.expected
        words = [f"{seen}; expected: {wanted}" if wanted else seen] if isinstance(seen, str) and not self._error else []
        return [line for line in (self._worst.case.note, *words, *self._entries()) if line]

    def _entries(self):
        """The first wrong entries in words."""
        lines = []
        for name, yours, right in self._arrays():
            for index in np.argwhere(_wrong(yours, right))[:3]:
                place = f"{name}[{', '.join(map(str, index))}]" if len(index) else name or "yours"
                lines.append(f"{place} is {_number(yours[tuple(index)])}, expected {_number(right[tuple(index)])}.")
        return lines[:3]

    # ---------------------------------------------------------------------------------------------------- as a web page

    def _repr_html_(self):
        color = _RIGHT if self.passed else _WRONG
        parts = [f"<p><b style='color:{color}'>{escape(self._headline())}</b>"]
        parts += [f"<br>{escape(line)}" for line in self._score_lines()]
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _HEAD)
        rows = "".join(map(_html_row, self._rows()))
        parts.append(f"</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
        parts += [f"<p>{escape(line)}</p>" for line in (*self._folded_lines(), self._legend())]
        if self._error:
            parts.append(f"<p>your function: {escape(self._error)}</p>")
        if self._worst:
            parts.append(f"<p>smallest failing input:</p><pre>{escape(self.failure)}</pre>")
            drawn = [_html_pair(*arrays) for arrays in self._arrays()]
            parts += drawn or [f"<p>{escape(line)}</p>" for line in self._worst_lines()]
        if notes := self._scored_notes():
            items = "".join(f"<li>{escape(note)}</li>" for note in notes)
            parts.append(f"<details><summary>all that went wrong ({len(notes)})</summary><ul>{items}</ul></details>")
        if self.diagnosis:
            items = "".join(f"<li>{escape(repr(diagnosis))}</li>" for diagnosis in self.diagnosis)
            parts.append(f"<p>diagnosis:</p><ul>{items}</ul>")
        if self.hints:
            parts.append("<p>For a hint: <code>report.hint(1)</code>, then <code>(2)</code>, <code>(3)</code>.</p>")
        if self._printed_length:
            parts.append(f"<pre>{escape(chr(10).join(self._printed_lines()).strip())}</pre>")
        return f"<div>{''.join(parts)}</div>"


def _scores(rows):
    counts = {}
    for row in rows:
        if row.scored:
            good, all_ = counts.get(row.scored, (0, 0))
            counts[row.scored] = good + row.cases[0], all_ + row.cases[1]
    return counts


def _tiers(rows, asked):
    says = {}
    for tier in sorted(asked | {row.tier for row in rows}):
        own = [row for row in rows if row.tier == tier and (row.required or tier == "T5")]
        good = sum(row.passed for row in own)
        says[tier] = "ok" if good == len(own) else f"{good} of {len(own)}"
        if tier == "T5":  # never required, and about numbers
            shown = next((row for row in own if not row.passed), own[0] if own else None)
            words = (
                f" ({shown.observed})"
                if shown and isinstance(shown.observed, str) and shown.observed != "holds"
                else ""
            )
            says[tier] = f"{'ok' if shown.passed else 'slow'}{words}" if shown else "asked where T0 to T3 are right"
    return says


def _is_error(observed):
    """Whether a test saw no answer but an exception, a missing return, or nothing after those."""
    if not isinstance(observed, str):
        return False
    return observed.startswith(("raised ", "returned None", "not written", "no answer")) or " is None (" in observed


def _cells(row):
    """The row as texts."""
    mark = "ok" if row.passed else "FAIL" if row.required else "--"
    far = f"{row.distance:.1e}" if np.isfinite(row.distance) else ""
    mark = f"{mark}{'' if row.required else ' optional'}"
    return (mark, row.tier, row.name, "{}/{}".format(*row.cases), _short(row.observed), _short(row.expected), far)


def _number(x):
    return f"{x:.6g}" if np.asarray(x).dtype.kind == "f" else str(x)


def _short(value, width=32):
    """A value in a cell of the table."""
    if isinstance(value, tuple):
        text = "(" + ", ".join(_short(part, width) for part in value) + ")"
    elif isinstance(value, np.ndarray):
        with np.printoptions(precision=4, threshold=6, edgeitems=2, linewidth=10_000):
            text = " ".join(str(value).split())
    else:
        text = value if isinstance(value, str) else _number(value) if np.isscalar(value) else source(value)
    limit = 50 if isinstance(value, str) else width
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _wrong(yours, right):
    """Which entries differ by more than rounding."""
    if right.dtype.kind in "biu":
        return yours != right
    scale = np.abs(right).max(initial=0) or 1
    digits = 1e-3 if yours.dtype == np.float16 else 1e-5 if yours.dtype == np.float32 else 1e-9
    with np.errstate(invalid="ignore"):
        return ~(np.abs(yours - right) <= digits * scale)


def _html_row(row):
    color = "" if row.passed else f";color:{_WRONG}" if row.required else ";opacity:.6"
    cells = "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in _cells(row))
    return f"<tr style='text-align:left{color}'>{cells}</tr>"


def _html_pair(name, yours, right):
    """Two arrays side by side, wrong entries red."""
    wrong = _wrong(yours, right)
    columns = "".join(
        f"<div>{escape(name)} ({whose}){_html_array(x, wrong, color)}</div>"
        for whose, x, color in (("yours", yours, _WRONG), ("right", right, _RIGHT))
    )
    return f"<div style='display:flex;gap:2em;align-items:flex-start'>{columns}</div>"


def _html_array(x, wrong, color):
    """A table of numbers, the wrong entries in a color."""
    rows = lambda a: a.reshape(-1, a.shape[-1]) if a.ndim > 1 else a.reshape(1, -1)
    x, wrong = rows(x), rows(wrong)
    # Where not all of it is drawn, the part with the first wrong entry is.
    top, left = (max(0, int(i) - _CELLS + 1) for i in (np.argwhere(wrong)[0] if wrong.any() else (0, 0)))
    part, marked = (a[top : top + _CELLS, left : left + _CELLS] for a in (x, wrong))
    lines = ["".join(_html_cell(value, mark, color) for value, mark in zip(*line)) for line in zip(part, marked)]
    table = f"<table style='border-collapse:collapse'>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
    if part.shape == x.shape:
        return table
    return f"{table}<p>a part of {len(x)} × {x.shape[1]}, from ({top}, {left}) on</p>"


def _html_cell(value, marked, color):
    style = f"color:{color};font-weight:bold" if marked else "opacity:.7"
    frame = "text-align:right;padding:2px 6px;border:1px solid currentColor"
    return f"<td style='{frame};{style}'>{escape(_number(value))}</td>"
