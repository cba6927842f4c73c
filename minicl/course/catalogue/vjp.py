"""The tests that every vector-Jacobian product has to pass, from its forward function and the shapes to try.

The right answers are derivatives of the forward function by a complex step, so the forward must be analytic.
"""

import functools
from dataclasses import replace

import numpy as np

from .. import numeric
from ..answers import Failed
from ..exercise import Draw, Test, call


def vjp_tests(forward, *inputs):
    """Tests of f(g, ...): `inputs` are calls of `forward`, the smallest first, `draw` marks what is differentiated."""
    count = sum(isinstance(arg, Draw) for arg in inputs[0].args)
    right, scale = (functools.partial(work_out, forward, count=count) for work_out in (numeric.vjp, numeric.vjp_scale))
    kinds = lambda **kind: [_with_cotangent(forward, case, kind).gives(right, scale) for case in inputs]
    return [
        Test("returns finite gradients of the right shape", "T0", kinds(), law=_has_shapes(count)),
        Test("is linear in g", "T2", kinds(), law=_is_linear),
        Test("equals the numerical derivative (whole numbers)", "T3", kinds()),
        Test(
            "equals the numerical derivative (random numbers, three scales)",
            "T3",
            [case for scale in (1.0, 1e-3, 1e3) for case in kinds(scale=scale)],
        ),
        Test("equals it in float32 too, to four digits", "T4", kinds(scale=1.0, dtype=np.float32)),
    ]


def _with_cotangent(forward, case, kind):
    """The call f(g, ...) for a call of forward."""
    inputs = [replace(arg, **{"scale": None, **kind}) if isinstance(arg, Draw) else arg for arg in case.args]
    ones = [np.ones(arg.shape) if isinstance(arg, Draw) else arg for arg in inputs]
    scale = None if kind.get("scale") is None else 1.0
    g = Draw(np.shape(forward(*ones, **case.options)), scale, kind.get("dtype", np.float64))
    return call(g, *inputs, **case.options)


def _has_shapes(count):
    def law(f, g, *args, **options):
        answer = f(g, *args, **options)
        for gradient, x in zip(answer if count > 1 else (answer,), args):
            if np.shape(gradient) != np.shape(x):
                raise Failed(f"shape {np.shape(gradient)}", f"shape {np.shape(x)}, that of the input")
            if not np.isfinite(gradient).all():
                raise Failed(gradient, "finite numbers")

    return law


def _is_linear(f, g, *args, **options):
    once, twice = f(g, *args, **options), f(-3 * g, *args, **options)
    return twice, tuple(-3 * part for part in once) if isinstance(once, tuple) else -3 * once
