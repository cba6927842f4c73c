"""What each witness says of a loss at a point: its value and its gradients, in float64.

The engine, the closed form and torch give both. Differences and the complex step measure the slopes of the loss's own
value: they know whether a gradient belongs to it, and not whether it is the right loss.
"""

import importlib
import importlib.util
import inspect
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..arrays import is_array, to_numpy
from ..engine import Tensor, grad, no_grad, tensor
from ..gradcheck import _measure, complex_step

ENGINE, CLOSED, DIFFERENCES, COMPLEX, TORCH = "engine", "closed form", "differences", "complex step", "torch"
MEASURED = (DIFFERENCES, COMPLEX)
EPS = float(np.finfo(float).eps)


class Problem:
    """A loss at a point: its arguments, and which of them move.

    `places` says where the moving ones stand: at a position among `args`, or under a name in `options`.
    """

    def __init__(self, loss, args, options, constants, numbers, seed):
        self.loss, self.given = loss, tuple(options)
        self.args = [_plain(x) for x in args]
        self.options = {key: _plain(x) for key, x in options.items()}
        names, defaults = _parameters(loss, len(self.args))
        for key in numbers:  # a temperature that is not given has its default
            if key not in names[: len(self.args)] and key not in self.options:
                self.options[key] = defaults[key]
        where = {**dict(zip(names, range(len(self.args)))), **{key: key for key in self.options}}
        order = [*names[: len(self.args)], *sorted(self.options, key=lambda k: names.index(k) if k in names else 99)]
        arrays = [n for n in order if _is_floats(self._get(where[n])) and n not in constants]
        self.names = arrays + [n for n in order if n in numbers]
        self.arrays, self.where = len(arrays), [where[n] for n in self.names]
        self.point = [np.asarray(self._get(place), float) for place in self.where]
        if not arrays:
            raise TypeError(f"compare: {_name(loss)} gets no array of floats here, so nothing has a gradient.")
        self.weights = None
        value = self.value()
        if np.shape(value):  # reduction="none": weights of the terms, drawn once
            rng = np.random.default_rng(seed)
            self.weights = rng.choice([-1.0, 1.0], np.shape(value)) * rng.uniform(0.5, 1.5, np.shape(value))

    def _get(self, place):
        return self.args[place] if isinstance(place, int) else self.options[place]

    def arguments(self, values, convert=lambda x: x):
        """The call (args, options) with other values of what moves; the rest goes through `convert`."""
        args, options = [convert(x) for x in self.args], {key: convert(x) for key, x in self.options.items()}
        for place, x in zip(self.where, values):
            (args if isinstance(place, int) else options)[place] = x
        return args, options

    def run(self, leaves):
        """The loss as a Tensor."""
        args, options = self.arguments(leaves)
        y = self.loss(*args, **options)
        if not isinstance(y, Tensor):
            raise TypeError(f"compare: {_name(self.loss)} returned {type(y).__name__}; it must return a Tensor.")
        return y if self.weights is None else (y * self.weights).sum()

    def value(self, k=None, x=None):
        """The loss as a number, where argument k is x: real, or complex if x is."""
        values = [x if k == j else point for j, point in enumerate(self.point)]
        with no_grad():
            y = to_numpy(self.run([tensor(v) for v in values]))
        return y if y.ndim else y.item()

    def value_at(self, k, flat, part):
        """The same, where the entries `flat` of argument k are `part`."""
        moved = self.point[k].astype(part.dtype)
        moved.flat[flat] = part
        return self.value(k, moved)

    def __str__(self):
        words = []
        for name, place in [
            *zip(_parameters(self.loss, len(self.args))[0], range(len(self.args))),
            *((key, key) for key in self.options),
        ]:
            x = self._get(place)
            words.append(f"{name} {x.shape}" if is_array(x) and x.ndim else _written(name, x))
        return f"{_name(self.loss)}({', '.join(words)})"

    @property
    def short(self):
        """The name and the options that were given."""
        words = [key if is_array(self.options[key]) else _written(key, self.options[key]) for key in self.given]
        return " ".join([_name(self.loss), *words])


def _written(name, x):
    return f'{name}="{x}"' if isinstance(x, str) else f"{name}={x}"


def _plain(x):
    """A Tensor's data, a list as an array; numbers and words as they are."""
    if isinstance(x, (Tensor, list, tuple)) or is_array(x):
        x = to_numpy(x)
        return x.astype(float) if x.dtype.kind == "f" else x
    return x


def _is_floats(x):
    return is_array(x) and x.dtype.kind == "f"


def _name(f):
    return getattr(f, "__name__", type(f).__name__)


def _parameters(f, count):
    """Names of the parameters (x0, x1, ... where they are not told), and their defaults."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    positional = [p.name for p in named if p.kind != p.KEYWORD_ONLY]
    names = positional + [f"x{k}" for k in range(len(positional), count)]
    names += [p.name for p in named if p.kind == p.KEYWORD_ONLY]
    return names, {p.name: p.default for p in named}


def takes(f, key):
    """Whether a function has a parameter of that name."""
    return key in _parameters(f, 0)[0]


@dataclass
class Witness:
    """What one witness says. `missing` tells why it says nothing, `reasons` why it is silent on one argument."""

    name: str
    value: float | None = None
    gradients: list = field(default_factory=list)  # arrays, or None
    missing: str | None = None
    reasons: dict = field(default_factory=dict)


def engine(problem):
    """The loss and `mc.grad`."""
    leaves = [tensor(x) for x in problem.point]
    y = problem.run(leaves)
    return Witness(ENGINE, float(to_numpy(y)), [np.array(to_numpy(g)) for g in grad(y, leaves)])


def closed_form(problem, formula):
    """A formula that returns value and gradients, called as the loss is."""
    if formula is None:
        return Witness(CLOSED, missing="no formula is given (formula=)")
    return Witness(CLOSED, *_by_formula(problem, formula, problem.point))


def _by_formula(problem, formula, point):
    args, options = problem.arguments([x if x.ndim else x.item() for x in point])
    if options.pop("reduction", "mean") != "mean" or problem.weights is not None:
        if not takes(formula, "weights") or problem.weights is None:
            raise ValueError(f'compare: {_name(formula)} gives the mean only; compare with reduction="mean" or "none".')
        options["weights"] = problem.weights
    if takes(formula, "parameters"):
        options["parameters"] = True
    told = formula(*args, **options)
    right = isinstance(told, (tuple, list)) and len(told) == 2 and isinstance(told[1], (tuple, list))
    if not right or np.ndim(to_numpy(told[0])):
        raise ValueError(
            "compare: formula must return value, (grad1, grad2, ...): one gradient for each array; "
            f"{_name(formula)} returned {_described(told)}."
        )
    value, gradients = told
    if len(gradients) != len(problem.names):
        raise ValueError(
            f"compare: {_name(formula)} returned {len(gradients)} gradients for {', '.join(problem.names)}; "
            "it returns value, (one gradient for each). Arrays that are constants are named by constants=."
        )
    gradients = [np.array(to_numpy(g), float) for g in gradients]
    for name, g, x in zip(problem.names, gradients, problem.point):
        if g.shape != x.shape:
            raise ValueError(
                f"compare: {_name(formula)} returned a gradient of shape {g.shape} for {name} of shape {x.shape}."
            )
    return float(value), gradients


def _described(x):
    """What a function returned, in few words: `(number, array (5, 3))`."""
    if isinstance(x, (tuple, list)):
        words = [_described(part) for part in x[:4]] + (["..."] if len(x) > 4 else [])
        return f"({', '.join(words)}{',' if len(x) == 1 else ''})"
    if is_array(x) or isinstance(x, Tensor):
        return f"array {tuple(x.shape)}" if x.shape else "number"
    return "number" if isinstance(x, (int, float)) else type(x).__name__


def belongs_to_its_value(problem, formula, seed=0):
    """Whether the gradient of a formula is the slope of its own value, along one random direction."""
    rng = np.random.default_rng(seed)
    direction = [rng.normal(size=x.shape) for x in problem.point]
    along = lambda t: _by_formula(problem, formula, [x + t * d for x, d in zip(problem.point, direction)])
    slope = lambda h: (along(h)[0] - along(-h)[0]) / (2 * h)
    measured = (4 * slope(5e-5) - slope(1e-4)) / 3
    told = sum(np.sum(g * d) for g, d in zip(along(0.0)[1], direction))
    return bool(abs(measured - told) <= 1e-5 * max(abs(measured), abs(told)) + 1e-9)


@dataclass
class Slopes:
    """Measured on the value of the loss: where, how exactly, and where there is no derivative."""

    at: list  # boolean arrays: the entries that were measured
    kinks: list  # for each argument: index → (left slope, right slope, distance)
    step: list  # the shortest step


def measured(problem, entries, seed):
    """Differences and the complex step, at all entries or at a random choice of them."""
    rng = np.random.default_rng(seed)
    differences, complexes, slopes = Witness(DIFFERENCES), Witness(COMPLEX), Slopes([], [], [])
    start = problem.value()
    for k, (name, x) in enumerate(zip(problem.names, problem.point)):
        flat = np.arange(x.size)
        if entries is not None and entries < x.size:
            flat = np.sort(rng.choice(x.size, entries, replace=False))

        at, part = partial(problem.value_at, k, flat), x.flat[flat]
        where = [tuple(map(int, np.unravel_index(i, x.shape))) for i in flat]
        found = _found(partial(_rise, at, start), part, start)
        if found is None:  # told as NaN: the table names it
            differences.gradients.append(np.full(x.shape, np.nan))
            complexes.gradients.append(None)
            complexes.reasons[name] = "the loss is not finite here"
            slopes.at.append(_spread(np.ones(len(flat)), flat, x.shape) == 1)
            slopes.kinks.append({})
            slopes.step.append(1.0)
            continue
        differences.gradients.append(_spread(found.slope, flat, x.shape))
        slopes.at.append(_spread(np.ones(len(flat)), flat, x.shape) == 1)
        slopes.kinks.append({where[i[0]]: (p.left, p.right, p.step / 4) for i, p in found.kinks.items()})
        slopes.step.append(float(np.min(found.step)))
        exact, reason = _complex(at, part, found, [_entry(name, i) for i in where])
        complexes.gradients.append(None if reason else _spread(exact, flat, x.shape))
        if reason:
            complexes.reasons[name] = reason
    if all(g is None for g in complexes.gradients):
        complexes.missing = next(iter(complexes.reasons.values()))
    return differences, complexes, slopes


def _found(rise, x, start):
    """The slopes; None where the loss is not finite at the point or beside it."""
    if not np.isfinite(start):
        return None
    seen = []

    def watched(moved):
        seen.append(rise(moved))
        return seen[-1]

    try:
        return _measure(watched, x, abs(start), EPS, 1e-7)
    except ValueError:  # there is no largest slope if none is finite
        if not seen or np.isfinite(seen).all():
            raise
        return None


def _rise(f, start, x):
    return f(x) - start


def _spread(values, flat, shape):
    whole = np.full(shape, np.nan)
    whole.flat[flat] = values
    return whole


def _complex(at, x, found, names):
    """Slopes by a complex step, and why they cannot be had (None if they can)."""
    try:
        with np.errstate(all="ignore"):
            exact = complex_step(at, x)
    except Exception as error:  # whatever an operation says that does not know complex numbers
        return None, "the loss is not analytic: " + _reason(str(error))
    if not np.isfinite(exact).all():
        return None, "the loss of a complex number is not finite"
    smooth = np.ones(x.shape, bool)
    for i in found.kinks:
        smooth[i] = False
    largest = np.max(np.abs(found.slope), where=smooth, initial=0.0)
    apart = smooth & (np.abs(exact - found.slope) > 1e-6 * largest + 8 * found.error)
    if apart.any():
        i = int(np.argmax(apart))
        return None, f"the loss is not analytic: at {names[i]} it says {exact[i]:.6g}, differences {found.slope[i]:.6g}"
    return exact, None


def _reason(text):
    """`relu(complex128 (7,)): complex input. Fix: ...` as `relu refuses complex numbers`."""
    op, _, rest = text.partition("(complex")
    return f"{op} refuses complex numbers" if rest and op.isidentifier() else text.partition(". ")[0].rstrip(".")


def _entry(name, index):
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def by_torch(problem, definition):
    """A definition in torch, called as the loss is, with tensors of float64; its gradients are autograd's."""
    if definition is False:
        return Witness(TORCH, missing="left out (torch=False)")
    if definition is None:
        return Witness(TORCH, missing="no definition in torch is given (torch=)")
    if importlib.util.find_spec("torch") is None:
        return Witness(TORCH, missing="not installed")
    torch = importlib.import_module("torch")
    if isinstance(definition, str):
        definition = getattr(importlib.import_module(".torch_losses", __package__), definition)
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in problem.point]
    convert = lambda x: torch.tensor(np.array(x)) if is_array(x) else x
    args, options = problem.arguments(leaves, convert)
    if options.get("reduction", "mean") == "mean":
        options.pop("reduction", None)
    elif not takes(definition, "reduction"):
        return Witness(TORCH, missing="its definition gives the mean only")
    y = definition(*args, **options)
    if problem.weights is not None:
        y = (y * torch.tensor(problem.weights)).sum()
    gradients = torch.autograd.grad(y, leaves, allow_unused=True)
    gradients = [np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(gradients, problem.point)]
    return Witness(TORCH, float(y.detach()), gradients)
