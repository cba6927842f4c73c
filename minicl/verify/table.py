"""What was found, as tables: the witnesses side by side, their differences in pairs, and who stands alone.

Text for the terminal and HTML for a notebook have the same cells.
"""

from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .witnesses import CLOSED, COMPLEX, DIFFERENCES, ENGINE, EPS, MEASURED, TORCH, _entry

TOLERANCE = {ENGINE: 1e-12, CLOSED: 1e-12, DIFFERENCES: 1e-8, COMPLEX: 1e-12, TORCH: 1e-12}

ALLOWED = "largest difference, relative to the largest entry of each gradient (allowed)"


class Pair(NamedTuple):
    """The largest relative difference of two witnesses on one quantity, and how much is allowed."""

    quantity: str
    first: str
    second: str
    difference: float
    allowed: float
    index: tuple

    @property
    def agrees(self):
        return self.difference <= self.allowed


@dataclass
class Row:
    """One quantity, the value or a gradient: what each witness says, and the pairs of witnesses."""

    name: str
    told: dict  # witness → array
    pairs: list
    kinked: np.ndarray  # entries without a derivative, which are not compared

    @property
    def passed(self):
        return all(pair.agrees for pair in self.pairs)

    @property
    def groups(self):
        """The witnesses that agree with each other, the largest group first."""
        groups = [{name} for name in self.told]
        for pair in self.pairs:
            if pair.agrees:
                a, b = (next(g for g in groups if name in g) for name in (pair.first, pair.second))
                if a is not b:
                    groups.remove(b)
                    a |= b
        order = list(self.told)
        return sorted((sorted(g, key=order.index) for g in groups), key=lambda g: (-len(g), order.index(g[0])))

    @property
    def shown(self):
        """The entry that the table shows: the worst one, or the largest."""
        wrong = [pair for pair in self.pairs if not pair.agrees]
        if wrong:
            return max(wrong, key=lambda pair: pair.difference / pair.allowed).index
        first = next(iter(self.told.values()))
        return _index(np.where(self.kinked, -1.0, np.abs(first)))


def _index(sizes):
    return tuple(int(k) for k in np.unravel_index(int(np.argmax(sizes)), sizes.shape)) if sizes.size else ()


def _pair(quantity, first, second, told, at, floor):
    """Both witnesses at the entries `at`: errors relative to the largest entry, with rounding on top."""
    allowed = max(TOLERANCE[first], TOLERANCE[second])
    a, b = (np.where(at, told[name], 0.0) for name in (first, second))
    with np.errstate(all="ignore"):
        apart = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - b), np.inf)
        index = _index(apart)
        scale = np.max(np.maximum(np.abs(a), np.abs(b)), initial=0.0) + floor / allowed
        difference = float(apart[index] / scale) if apart.size and apart[index] else 0.0
    return Pair(quantity, first, second, difference if difference == difference else np.inf, allowed, index)


class Comparison:
    """What `compare` found.

    Attributes
    ----------
    passed : bool
        Whether all witnesses agree where there is a derivative.
    rows : list of Row
        The value, then a gradient each: name, told (witness → array), pairs, groups.
    pairs : dict
        (witness, witness) → the Pair with the largest difference over all rows.
    worst : Pair
        The one that is largest beside its tolerance: quantity, first, second, difference, allowed.
    odd : str or None
        The witness that stands alone, None if there is none or it cannot be told.
    verdict : str
        The same in words.
    kinks : list of str
        Entries without a derivative.
    notes : list of str
        Which witness is silent, and why.
    """

    def __init__(self, title, short, names, point, witnesses, slopes, sharpness):
        self.title, self.short, self.witnesses, self.closed_form_is_consistent = title, short, witnesses, None
        self.rows = [self._value_row(sharpness)]
        value = next(w.value for w in witnesses if w.value is not None)
        self.kinks = []
        for k, (name, x) in enumerate(zip(names, point)):
            told = {w.name: w.gradients[k] for w in witnesses if w.gradients and w.gradients[k] is not None}
            kinked = np.zeros(x.shape, bool)
            for index, (left, right, within) in slopes.kinks[k].items():
                kinked[index] = True
                sides = f"the slope is {left + 0.0:.6g} on the left and {right + 0.0:.6g} on the right"
                sides = sides if np.isfinite(left) and np.isfinite(right) else "its two sides differ"
                self.kinks.append(f"no derivative at {_entry(name, index)}: {sides} (a kink within {within:.0e})")
            size = EPS * (1 + abs(value)) if np.isfinite(value) else EPS
            with np.errstate(all="ignore"):
                rounding = size * sharpness / (np.max(np.abs(x), initial=0.0) or 1.0)
                by_steps = 16 * size / slopes.step[k]
            pairs = []
            for a, b in combinations(told, 2):
                by_slopes = a in MEASURED or b in MEASURED
                at = ~kinked & slopes.at[k] if by_slopes else ~kinked
                floor = rounding + (by_steps if DIFFERENCES in (a, b) else 0.0)
                pairs.append(_pair(name, a, b, told, at, floor))
            self.rows.append(Row(name, told, pairs, kinked))
        self.not_finite = self._not_finite(slopes)

    def _not_finite(self, slopes):
        """Which witness is not finite, and where: a sentence for each."""
        found = []
        for name in self.speaking:
            where = []
            for k, row in enumerate(self.rows):
                if name not in row.told:
                    continue
                wrong = ~np.isfinite(row.told[name]) & ~row.kinked
                if k and name in MEASURED:
                    wrong &= slopes.at[k - 1]
                if wrong.any():
                    first = _entry(row.name if not k else f"∂{row.name}", _index(wrong))
                    more = np.count_nonzero(wrong) - 1
                    where.append(first + (f" and {more} more" if more else ""))
            if where:
                found.append(f"{name}: not finite at {', '.join(where)}")
        return found

    def _value_row(self, sharpness):
        told = {w.name: np.array(w.value, float) for w in self.witnesses if w.value is not None}
        size = max((abs(float(v)) for v in told.values() if np.isfinite(v)), default=0.0)
        floor = EPS * (1 + size) * sharpness
        pairs = [_pair("value", a, b, told, np.array(True), floor) for a, b in combinations(told, 2)]
        return Row("value", told, pairs, np.array(False))

    @property
    def compared(self):
        """Whether anything but kinks is left to compare."""
        return any(not row.kinked.all() for row in self.rows[1:])

    @property
    def passed(self):
        return all(row.passed for row in self.rows) and self.compared and not self.not_finite

    @property
    def differs_in_value(self):
        return not self.rows[0].passed

    @property
    def pairs(self):
        found = {}
        for pair in (pair for row in self.rows for pair in row.pairs):
            key = pair.first, pair.second
            if key not in found or pair.difference > found[key].difference:
                found[key] = pair
        return found

    @property
    def worst(self):
        return max(self.pairs.values(), key=lambda pair: pair.difference / pair.allowed)

    @property
    def speaking(self):
        """Names of the witnesses that say something."""
        return [w.name for w in self.witnesses if not w.missing]

    @property
    def notes(self):
        notes = [f"{w.name}: {w.missing}" for w in self.witnesses if w.missing]
        for w in self.witnesses:
            notes += [] if w.missing else [f"{w.name}, {name}: {reason}" for name, reason in w.reasons.items()]
        notes += self.not_finite
        exact = [g[~row.kinked] for row in self.rows[1:] for name, g in row.told.items() if name not in MEASURED]
        if self.passed and not any(map(np.any, exact)):
            notes.append("all gradients are 0 here, so nothing was compared; choose another point")
        return notes

    # ------------------------------------------------------------------------------------------------- who stands alone

    def _split(self, row):
        """The groups of one row. Slopes are measured on the loss: if its value is the odd one, they do not count."""
        groups = row.groups
        if row.name != "value" and self._odd_in(self.rows[0]) == ENGINE:
            groups = [[name for name in group if name not in MEASURED] for group in groups]
            groups = sorted((g for g in groups if g), key=lambda g: -len(g))
        return groups

    def _odd_in(self, row):
        """The one witness of a row that all others are against, None if there is none."""
        if row.passed:
            return None
        groups = row.groups if row.name == "value" else self._split(row)
        alone = [g for g in groups if len(g) == 1]
        return alone[0][0] if len(groups) == 2 and len(alone) == 1 else None

    @property
    def odd(self):
        wrong = [row for row in self.rows if not row.passed]
        found = {self._odd_in(row) for row in wrong if row.name != "value" or self._third_on_value}
        if self.differs_in_value and not self._third_on_value and self.closed_form_is_consistent:
            return None  # loss and formula are two functions, and nobody else knows which was meant
        return found.pop() if len(found) == 1 else None

    @property
    def _third_on_value(self):
        return len(self.rows[0].told) > 2

    @property
    def verdict(self):
        """Who agrees, who does not, and by what, in words."""
        value = self.rows[0].told[ENGINE]
        if not np.isfinite(value):
            return f"the loss is {value} here, so it has no gradient: move the point, or mend the loss."
        if not self.compared:
            return "nothing could be compared: the loss has no derivative at any entry here. Move the point."
        if self.passed:
            left_out = f" No derivative at {len(self.kinks)} entries (kinks): they are left out." if self.kinks else ""
            return f"{_and(self.speaking)} agree.{left_out}"
        if self.differs_in_value and not self._third_on_value and self.closed_form_is_consistent:
            told = self.rows[0].told
            return (
                f"the loss and its formula are different functions: here the loss is {told[ENGINE]:.9g}, the formula "
                f"{told[CLOSED]:.9g}. Each gradient belongs to its own value; a third definition (torch=) would tell "
                "which was meant."
            )
        sentences = {}
        for row in self.rows:
            if not row.passed:
                key = tuple(map(tuple, self._split(row)))
                sentences.setdefault(key, []).append(row)
        return " ".join(self._sentence(groups, rows) for groups, rows in sentences.items())

    def _sentence(self, groups, rows):
        names = _and([row.name for row in rows])
        if len(groups) == 1:
            pair = max((p for row in rows for p in row.pairs), key=lambda p: p.difference / p.allowed)
            return f"{pair.first} and {pair.second} differ a little more than allowed in {names}: {_amount(pair)}."
        if len(groups) == 2 and len(groups[1]) == 1 < len(groups[0]):
            odd, others = groups[1][0], groups[0]
            best = next(name for name in (COMPLEX, CLOSED, TORCH, ENGINE, DIFFERENCES) if name in others)
            how = "; ".join(dict.fromkeys(self._how(row, odd, best) for row in rows))
            same = {self._how(row, odd, best).rpartition(" in ")[0] for row in rows}
            if len(same) == 1 and same != {""}:
                how = f"{same.pop()} in {names}"
            extra = ""
            if odd == ENGINE and rows[0].name == "value":
                extra = " So the loss itself is in doubt, not its gradient alone."
            return f"{_and(others)} agree; the {odd} stands alone: it is {how}.{extra}".replace("the torch", "torch")
        if len(groups) == len(rows[0].told) or all(len(g) == 1 for g in groups):
            return f"no two witnesses agree in {names}: {', '.join(g[0] for g in groups)}."
        camps = "; ".join(_and(g) + (" agree" if len(g) > 1 else " alone") for g in groups)
        extra = ""
        if any(ENGINE in g and set(MEASURED) & set(g) for g in groups):
            extra = (
                " The slopes are measured on the loss, so its gradient belongs to its value: ask which loss was meant."
            )
        return f"in {names} there are camps: {camps}.{extra}"

    def _how(self, row, odd, best):
        """What an array has to do with the right one."""
        got, right = row.told[odd], row.told[best]
        keep = ~row.kinked & ~np.isnan(right)
        if odd in MEASURED:
            keep &= ~np.isnan(got)
        if not keep.any():
            return f"not finite in {row.name}"
        return f"{_relation(got, right, keep, row.name, max(TOLERANCE[odd], TOLERANCE[best]))} in {row.name}"

    # ---------------------------------------------------------------------------------------------------------- tables

    def _tables(self):
        """Two tables of cells: what each says at one entry, and the largest differences of pairs."""
        heads, columns = ["value"], [self._column(self.rows[0])]
        for row in self.rows[1:]:
            heads.append(f"∂{_entry(row.name, row.shown)}")
            columns.append(self._column(row))
        speaking = self.speaking
        told = [["", *heads], *([name, *cells] for name, *cells in zip(speaking, *columns))]
        pairs = self.pairs
        matrix = [["", *speaking[:-1]]]
        for i, second in enumerate(speaking[1:], 1):
            matrix.append(
                [
                    second,
                    *("" if k >= i else _amount(pairs.get((first, second))) for k, first in enumerate(speaking[:-1])),
                ]
            )
        return told, matrix

    def _column(self, row):
        index = row.shown
        return [
            f"{row.told[name][index] + 0.0:.12g}" if name in row.told and not np.isnan(row.told[name][index]) else "–"
            for name in self.speaking
        ]

    @property
    def _headline(self):
        return f"{self.title}: {'passed' if self.passed else 'FAILED'}"

    def _foot(self):
        shown = self.kinks[:4] + ([f"... and {len(self.kinks) - 4} entries more"] if len(self.kinks) > 4 else [])
        return [*(f"kink: {line}" for line in shown), *(f"note: {line}" for line in self.notes)]

    def __str__(self):
        told, matrix = self._tables()
        parts = [
            self._headline,
            self.verdict,
            "",
            *_lines(told),
            "",
            ALLOWED,
            *_lines(matrix),
        ]
        return "\n".join([*parts, *self._foot()])

    __repr__ = __str__

    def _repr_html_(self):
        told, matrix = self._tables()
        foot = "".join(f"<li>{escape(line)}</li>" for line in self._foot())
        return (
            f"<p><b>{escape(self._headline)}</b><br>{escape(self.verdict)}</p>{_html(told)}"
            f"<p>{escape(ALLOWED)}</p>{_html(matrix)}{f'<ul>{foot}</ul>' if foot else ''}"
        )


def _relation(got, right, keep, name, tolerance):
    """In words: got is ... (times the others, of the other sign, wrong in one entry)."""
    a, b = got[keep], right[keep]
    if not np.isfinite(a).all():
        return f"not finite at {np.count_nonzero(~np.isfinite(a))} of {a.size} entries"
    largest = np.max(np.abs(b), initial=0.0)
    near = lambda x, y: (
        np.max(np.abs(x - y), initial=0.0) <= max(1e-9, 10 * tolerance) * max(largest, np.max(np.abs(y)))
    )
    if not np.any(a):
        return "0 where the others are not"
    if not largest:
        return "not 0, as the others are,"
    scaled = b / largest  # squares of the entries themselves may overflow
    with np.errstate(all="ignore"):
        ratio = float(np.sum(a / largest * scaled) / np.sum(scaled * scaled))
    if near(a, ratio * b) and ratio:
        return "of the other sign" if abs(ratio + 1) < 1e-9 else f"{ratio:.9g} times the others"
    if got.ndim and near(np.abs(a), np.abs(b)):
        return f"of the other sign at {np.count_nonzero(a * b < 0)} of {a.size} entries"
    apart = np.where(keep, np.abs(got - right), 0.0)
    index = _index(apart)
    wrong = np.count_nonzero(apart > 10 * tolerance * largest)
    at = f"at {_entry(name, index)} it is {got[index]:.6g} and not {right[index]:.6g}"
    return f"off at {wrong} of {a.size} entries ({at})"


class Summary:
    """What `compare_all` found.

    Attributes
    ----------
    passed : bool
    rows : list of Comparison
    worst : Pair
        The largest difference beside its tolerance, over all losses.
    """

    def __init__(self, rows, seed):
        self.rows, self.seed = rows, seed

    @property
    def passed(self):
        return all(row.passed for row in self.rows)

    @property
    def worst(self):
        return max((row.worst for row in self.rows), key=lambda pair: pair.difference / pair.allowed)

    def _table(self):
        others = [CLOSED, DIFFERENCES, COMPLEX, TORCH]
        cells = [["loss", *others, "verdict"]]
        for row in self.rows:
            pairs = row.pairs
            found = [pairs.get((ENGINE, other)) for other in others]
            verdict = "agree" if row.passed else f"{row.odd} is odd" if row.odd else "DISAGREE"
            cells.append([row.short, *("–" if p is None else f"{p.difference:.1e}" for p in found), verdict])
        return cells

    @property
    def _headline(self):
        verdict = "passed" if self.passed else "FAILED"
        return f"{len(self.rows)} checks (seed {self.seed}): {verdict}. Largest relative differences from the engine:"

    def _foot(self):
        wrong = [f"{row.title}: {row.verdict}" for row in self.rows if not row.passed]
        silent = dict.fromkeys(
            f"{w.name}: {reason}" for row in self.rows for w in row.witnesses if (reason := w.missing)
        )
        allowed = "allowed: 1e-12, with differences 1e-8"
        return [allowed, *wrong, *(f"note: {line}" for line in silent)]

    def __str__(self):
        return "\n".join([self._headline, "", *_lines(self._table(), left=1), "", *self._foot()])

    __repr__ = __str__

    def _repr_html_(self):
        foot = "".join(f"<li>{escape(line)}</li>" for line in self._foot())
        return f"<p><b>{escape(self._headline)}</b></p>{_html(self._table())}<ul>{foot}</ul>"


def _amount(pair):
    """`3.1e-16 (1e-12)`; a pair that disagrees says so."""
    if pair is None:
        return "–"
    return f"{pair.difference:.1e} ({pair.allowed:.0e})" + ("" if pair.agrees else " !")


def _and(words):
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _lines(cells, left=1):
    """Cells in columns for the terminal."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width) for k, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]


def _html(cells):
    """The same for a notebook: no colours, so that it can be read on any ground."""
    place = lambda k: "left" if not k else "right"
    make = lambda row, tag: "".join(
        f'<{tag} style="text-align:{place(k)}">{escape(cell)}</{tag}>' for k, cell in enumerate(row)
    )
    head, *rows = cells
    body = "".join(f"<tr>{make(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{make(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"
