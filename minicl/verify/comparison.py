"""`compare` asks every witness about one loss at one point, `compare_all` about all losses.

Witnesses are held against each other in pairs, and each pair has the tolerance of the less exact of the two.
"""

import inspect

import numpy as np

from .. import formulas, losses
from .examples import examples
from .table import Comparison, Summary
from .witnesses import Problem, belongs_to_its_value, by_torch, closed_form, engine, measured, takes

CONSTANTS = {  # arrays of floats that get no gradient
    "moco": ("keys", "queue"),
    "memory_bank": ("bank",),
    "nce": ("log_q", "noise_log_q"),
    "ranking_nce": ("log_q", "noise_log_q"),
}


def compare(loss, *arrays, formula=None, torch=None, constants=(), entries=None, seed=0, **options):
    """Hold the value and the gradients of a loss against all its witnesses, in float64.

    Parameters
    ----------
    loss : str or callable
        The name of a loss of `mc.losses`, or a function of Tensors that returns a Tensor.
    *arrays : arrays, Tensors or lists
        Its arguments. Without any, and for a name, an example is drawn. Floats get gradients, integers do not.
    formula : callable, optional
        formula(*arrays, **options) -> value, (grad1, grad2, ...): one gradient for each array; by default that of
        `mc.formulas`. If it takes `parameters`, it is called with parameters=True, and the temperature (and the bias)
        get gradients too.
    torch : callable or False, optional
        A definition in torch, called as the loss is; by default that of the loss of this name. False leaves torch out.
    constants : sequence of str
        Names of arrays of floats that get no gradient.
    entries : int, optional
        Measure slopes at so many random entries of each array; by default at all.
    seed : int
        Of the example, of the choice of entries, and of the weights.
    **options
        Given to loss, formula and torch alike: temperature=0.1. With reduction="none" the terms are added with random
        weights, and the formula is given the same `weights`.

    Returns
    -------
    Comparison
        A table that prints itself: `.passed`, `.rows`, `.pairs`, `.worst`, `.odd`, `.verdict`, `.kinks`.

    Raises
    ------
    ValueError
        If the name is unknown, or the formula returns gradients of other shapes.
    TypeError
        If no argument holds floats, or the loss returns no Tensor.

    Notes
    -----
    A pair of witnesses a, b agrees on an array if max |a − b| ≤ tolerance · max(|a|, |b|) + what rounding can make. The
    tolerance is 1e-12, with differences 1e-8. The slopes belong to the loss's own value: if they agree with the engine
    and not with the formula, the loss and the formula are different functions.

    So errors are relative to the largest entry of each array's gradient. Entries below 1e-12 of it are not checked, and
    may even have the wrong sign: a column of gradients so small needs a point, or units, in which it is larger.

    Where a loss has a kink there is no derivative: such entries are listed, and left out.

    Examples
    --------
    >>> compare("nt_xent", temperature=0.1, torch=False).passed
    True

    A loss and a formula of your own: value, (one gradient for each array).

    >>> loss = lambda x, y: ((x - y) ** 2).sum()
    >>> formula = lambda x, y: (np.sum((x - y) ** 2), (2 * (x - y), 2 * (y - x)))
    >>> compare(loss, [1.0, 2.0], [3.0, 5.0], formula=formula).passed
    True

    A formula by hand for the sum of squares, which is wrong:

    >>> by_hand = lambda x: (float(x @ x), (x,))
    >>> result = compare(lambda x: (x * x).sum(), [1.0, 2.0], formula=by_hand)
    >>> result.odd
    'closed form'
    >>> print(result.verdict)
    engine, differences and complex step agree; the closed form stands alone: it is 0.5 times the others in x.
    """
    name = loss if isinstance(loss, str) else _own_name(loss)
    if name is None:
        known = ()
    elif name not in formulas.__all__:
        raise ValueError(f"compare: there is no loss {name!r}; the losses are {', '.join(sorted(formulas.__all__))}.")
    else:
        loss, known = getattr(losses, name), CONSTANTS.get(name, ())
        formula = formula or getattr(formulas, name)
        torch = name if torch is None else torch
        if not arrays:
            given, defaults = examples(name, seed)[0]
            names = list(inspect.signature(loss).parameters)
            arrays = tuple(x for key, x in zip(names, given) if key not in options)
            if len(arrays) < len(given):
                raise ValueError(f"compare: give all arrays of {name}, or none to have an example drawn.")
            options = defaults | options
    numbers = [key for key in ("temperature", "bias") if formula and takes(formula, "parameters") and takes(loss, key)]
    problem = Problem(loss, arrays, options, {*known, *constants}, numbers, seed)
    differences, steps, slopes = measured(problem, entries, seed)
    told = [engine(problem), closed_form(problem, formula), differences, steps, by_torch(problem, torch)]
    result = Comparison(str(problem), problem.short, problem.names, problem.point, told, slopes, _sharpness(problem))
    if formula and result.differs_in_value:
        result.closed_form_is_consistent = belongs_to_its_value(problem, formula)
    return result


def _own_name(loss):
    """The name of a function that is one of `mc.losses`."""
    name = getattr(loss, "__name__", None)
    return name if name in formulas.__all__ and getattr(losses, name) is loss else None


def _sharpness(problem):
    """1/τ: by how much the scores, and with them their rounding, are multiplied."""
    tau = problem.point[problem.names.index("temperature")] if "temperature" in problem.names else 1.0
    return float(max(1.0, 1.0 / abs(tau))) if np.all(tau) else 1.0


def compare_all(seed=0, torch=None, names=None):
    """One line for each loss and each of its variants.

    Parameters
    ----------
    seed : int
        Of the examples.
    torch : False, optional
        Leaves torch out.
    names : sequence of str, optional
        Some of the losses; by default all.

    Returns
    -------
    Summary
        A table that prints itself: `.passed`, `.rows` (a Comparison each), `.worst`.

    Examples
    --------
    >>> compare_all(torch=False, names=["nt_xent", "triplet"]).passed
    True
    """
    return Summary(
        [
            compare(name, *arrays, torch=torch, seed=seed, **options)
            for name in names or formulas.__all__
            for arrays, options in examples(name, seed)
        ],
        seed,
    )
