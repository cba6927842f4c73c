"""Derivations that execute: each line that is displayed is tried on many inputs, and false lines have to fail.

`ALL` holds them by name; one is loaded when it is first asked for. `python -m minicl.derivations` checks them all.
"""

import importlib
from collections.abc import Mapping

from .derivation import Derivation, Report
from .expression import (
    LSE,
    Derivative,
    Entry,
    Expectation,
    Expression,
    Identity,
    Index,
    Indicator,
    Max,
    Mean,
    Number,
    Product,
    Sum,
    Symbol,
    absolute,
    among,
    arccos,
    at,
    cos,
    define,
    derivative,
    dot,
    excluding,
    exp,
    log,
    norm,
    outer,
    pi,
    positive,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    symbols,
    tanh,
)
from .statement import Outcome, Statement

__all__ = [
    "ALL",
    "Derivation",
    "Derivative",
    "Entry",
    "Expectation",
    "Expression",
    "Identity",
    "Index",
    "Indicator",
    "LSE",
    "Max",
    "Mean",
    "Number",
    "Outcome",
    "Product",
    "Report",
    "Statement",
    "Sum",
    "Symbol",
    "absolute",
    "among",
    "arccos",
    "at",
    "cos",
    "define",
    "derivative",
    "dot",
    "excluding",
    "exp",
    "log",
    "norm",
    "outer",
    "pi",
    "positive",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "symbols",
    "tanh",
]

KEYS = (
    "autograd",
    "cosine",
    "triplet",
    "nce",
    "sgns",
    "nce_to_nt_xent",
    "info_nce",
    "nt_xent_forms",
    "nt_xent",
    "known_answers",
    "temperature",
    "supcon",
    "debiased",
    "alignment_uniformity",
    "large_batch",
    "momentum_keys",
    "pca",
    "tsne",
    "convolution",
    "batch_norm",
)


class _All(Mapping):
    """The derivations in reading order: `ALL["nt_xent"].check()`."""

    def __getitem__(self, key):
        if key not in KEYS:
            raise KeyError(f"there is no derivation {key!r}; there are {', '.join(KEYS)}")
        return importlib.import_module(f".{key}", __name__).DERIVATION

    def __iter__(self):
        return iter(KEYS)

    def __len__(self):
        return len(KEYS)

    def __repr__(self):
        return "\n".join(f"{key.ljust(max(map(len, KEYS)))}  {self[key].title}" for key in self)


ALL = _All()
