"""Every primitive: each sample under each array library, each dtype, to order 2; linear ones as exact adjoints."""

import checks
import numpy as np
import pytest
from differences import assert_close, central
from samples import SAMPLES

import minicl as mc

CASES = [pytest.param(name, s, id=f"{name}-{k}") for name, samples in SAMPLES.items() for k, s in enumerate(samples)]
KINKS = {"abs", "relu", "leaky_relu", "elu", "maximum", "minimum", "clip", "max", "min", "max_pool2d"}  # no complex step through them
DTYPES = [(np.float16, 1e-2), (np.float32, 2e-6), (np.float64, 1e-15)]

# In which arguments a primitive is linear: in all those of one group together.
LINEAR = {
    **{name: [(0,)] for name in ("identity", "copy", "astype", "reshape", "broadcast_to", "sum_to", "negative")},
    **{name: [(0,)] for name in ("sum", "mean", "cumsum", "transpose", "index", "scatter", "to_device", "divide")},
    **{name: [(0, 1)] for name in ("add", "subtract")},
    **{name: [(0,), (1,)] for name in ("multiply", "matmul")},
    "where": [(1, 2)],
    "concatenate": ["all"],
    "contract": [(0,), (1,), (2,)],
    "windows": [(0,)],
    "unwindows": [(0,)],
    "conv2d": [(0,), (1,)],
}
REAL_ONLY = {"lse_in_blocks", "siglip_in_blocks", "normalize"}  # complex numbers take their definitions
NOT_LINEAR = set(
    "power exp log log1p expm1 sqrt square sin cos tanh erf sigmoid softplus logsumexp softmax log_softmax "
    "lse_in_blocks siglip_in_blocks normalize row_dots".split()
)


def cases(keep=lambda name: True):
    return pytest.mark.parametrize("name, sample", [c for c in CASES if keep(c.values[0])])


def test_every_primitive_has_samples_and_is_known_to_be_linear_or_not():
    assert set(SAMPLES) == set(mc.PRIMITIVES)
    assert set(LINEAR) | NOT_LINEAR | KINKS == set(mc.PRIMITIVES)


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
@cases()
def test_value(name, sample, xp, rng):
    checks.check_value(mc.PRIMITIVES[name], sample, xp, rng, name)


@cases()
def test_gradients_of_order_1_and_2(name, sample, xp, rng):
    checks.check_gradients(mc.PRIMITIVES[name], sample, xp, rng, name)


@cases(lambda name: name not in KINKS | REAL_ONLY | {"astype"})
def test_gradients_to_the_last_digits(name, sample, rng):
    checks.check_last_digits(mc.PRIMITIVES[name], sample, rng, name)


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
@cases(lambda name: name != "astype")
def test_dtype_is_kept(name, sample, dtype, tolerance, xp, rng):
    checks.check_dtype(mc.PRIMITIVES[name], sample, dtype, tolerance, xp, rng, name)


@cases()
def test_layout_of_memory_does_not_matter(name, sample, rng):
    checks.check_layout(mc.PRIMITIVES[name], sample, rng)


@cases(lambda name: name in LINEAR)
def test_the_gradient_of_a_linear_op_is_its_adjoint(name, sample, xp, rng):
    for group in LINEAR[name]:
        places = sample.drawn if group == "all" else list(group)
        if set(places) <= set(sample.drawn):
            rounding = 1e-14 if name in ("mean", "divide") else 0.0
            checks.check_adjoint(mc.PRIMITIVES[name], sample.draw(rng), places, xp, rng, rounding, **sample.params)


@pytest.mark.parametrize("name", sorted(KINKS))
def test_a_kink_refuses_complex_input(name):
    bounds = {"maximum": [0.0], "minimum": [0.0], "clip": [0.0, 1.0]}
    with pytest.raises(TypeError, match=rf"{name}\(.*complex input.*central differences"):
        mc.PRIMITIVES[name](np.array([1j]), *bounds.get(name, []))


@pytest.mark.parametrize(
    "name", ["exp", "divide", "matmul", "softmax", "power", "logsumexp", "contract", "erf", "sigmoid"]
)
def test_gradients_of_order_3(name, rng):
    """The gradient of ⟨w, second gradient⟩ against differences of the second gradient."""
    op, sample = mc.PRIMITIVES[name], SAMPLES[name][0]
    arrays = sample.draw(rng)
    c = checks.random_like(rng, op(*arrays, **sample.params))
    v, w = [checks.random_like(rng, x) for x in arrays], [checks.random_like(rng, x) for x in arrays]

    def second(leaves, differentiable):
        g = mc.grad(op(*leaves, **sample.params), leaves, cotangent=c, differentiable=True)
        return mc.grad(sum(mc.sum(a * b) for a, b in zip(g, v)), leaves, differentiable=differentiable)

    def t(*arrays):
        return sum(np.sum(a * b) for a, b in zip(second([mc.tensor(x) for x in arrays], False), w))

    leaves = [mc.tensor(x) for x in arrays]
    third = mc.grad(sum(mc.sum(a * b) for a, b in zip(second(leaves, True), w)), leaves)
    for k, gx in enumerate(third):
        assert_close(gx, central(t, arrays, k), 1e-7, what=f"{name}, order 3, argument {k}")
