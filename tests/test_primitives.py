"""Primitives that a user defines: one vjp an argument, one for all, and what happens when one is wrong or missing."""

import numpy as np
import pytest
from differences import assert_close, central

import minicl as mc


@mc.primitive
def cube(xp, x):
    """Y = X³            X̄ = 3 Ȳ X²"""
    return x * x * x


cube.defvjp(lambda g, y, x: g * 3 * x * x)


def test_a_cube_to_order_3(rng):
    x = mc.tensor(rng.standard_normal(5))
    first = mc.grad(cube(x).sum(), x, differentiable=True)
    second = mc.grad(first.sum(), x, differentiable=True)
    third = mc.grad(second.sum(), x)
    assert_close(first.numpy(), 3 * x.data**2, 1e-14)
    assert_close(second.numpy(), 6 * x.data, 1e-14)
    assert_close(third, np.full(5, 6.0), 1e-14)


def test_a_primitive_keeps_its_name_and_its_text():
    assert cube.__name__ == "cube" and "X³" in cube.__doc__ and "cube" in repr(cube)
    assert "cube" not in mc.PRIMITIVES


def test_on_bare_arrays_it_is_a_plain_function():
    assert cube(np.array([2.0])).tolist() == [8.0] and not isinstance(cube(np.array([2.0])), mc.Tensor)


def test_the_origin_of_a_result():
    x = mc.tensor([1.0, 2.0])
    y = mc.sum(x, axis=0)
    assert y.origin.op is mc.sum and y.origin.args == (x,) and y.origin.params == {"axis": 0, "keepdims": False}
    assert x.origin is None and y.birth > x.birth


def test_a_missing_vjp_is_an_error_and_no_silent_zero():
    @mc.primitive
    def half_done(xp, a, b):
        return a * b

    a, b = mc.tensor(2.0), mc.tensor(3.0)
    for differentiable in (False, True):
        with pytest.raises(TypeError, match="half_done: no vjp is declared.*defvjp"):
            mc.grad(half_done(a, b) + a, a, differentiable=differentiable)


def test_defvjp_wants_one_rule_an_argument():
    @mc.primitive
    def product(xp, a, b, factor=1.0):
        return a * b * factor

    with pytest.raises(ValueError, match=r"defvjp of 'product'.*\['a', 'b'\].*got 1"):
        product.defvjp(lambda g, y, a, b: g)


def test_none_says_that_an_argument_has_no_derivative():
    @mc.primitive
    def pick(xp, x, k):
        return x * xp.floor(k)

    pick.defvjp(lambda g, y, x, k: g * np.floor(mc.to_numpy(k)), None)
    x, k = mc.tensor(2.0), mc.tensor(3.7)
    assert mc.grad(pick(x, k), [x, k]) == [3.0, 0.0]


def test_a_vjp_that_returns_none_is_refused():
    @mc.primitive
    def forgetful(xp, x):
        return x * 2

    forgetful.defvjp(lambda g, y, x: None)
    x = mc.tensor(1.0)
    with pytest.raises(TypeError, match="forgetful: its vjp returned None"):
        mc.grad(forgetful(x), x)


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_vjp_of_the_wrong_shape_is_refused(differentiable):
    @mc.primitive
    def crooked(xp, x):
        return x * 2

    crooked.defvjp(lambda g, y, x: mc.concatenate([g, g]))
    x = mc.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"crooked: its vjp returned shape \(6,\) for an argument of shape \(3,\)"):
        mc.grad(crooked(x).sum(), x, differentiable=differentiable)


def test_the_walk_undoes_broadcasting_for_a_user_too(rng):
    @mc.primitive
    def scale(xp, x, factor):
        return x * factor

    scale.defvjp(lambda g, y, x, factor: g * factor, lambda g, y, x, factor: g * x)
    x, factor = mc.tensor(rng.standard_normal((2, 3))), mc.tensor(rng.standard_normal((3,)))
    c = rng.standard_normal((2, 3))
    gx, gf = mc.grad(scale(x, factor), [x, factor], cotangent=c)
    assert_close(gx, c * factor.data, 1e-15)
    assert_close(gf, (c * x.data).sum(0), 1e-14)


@pytest.mark.parametrize("constant", [2.0, np.full(3, 2.0), np.float64(2.0), np.array(2.0)])
def test_a_vjp_may_return_a_constant(constant):
    """A number, a 0-d array or an array: the gradient has the input's shape, and is a Tensor where one is asked for."""

    @mc.primitive
    def twice_the_sum(xp, x):
        return 2 * xp.sum(x)

    twice_the_sum.defvjp(lambda g, y, x: constant)
    x = mc.tensor([1.0, 2.0, 3.0])
    assert mc.grad(twice_the_sum(x), x).tolist() == [2, 2, 2]
    g = mc.grad(twice_the_sum(x), x, differentiable=True)
    assert isinstance(g, mc.Tensor) and g.data.tolist() == [2, 2, 2]
    assert mc.grad(g.sum(), x).tolist() == [0, 0, 0]
    if isinstance(constant, np.ndarray):
        g = mc.grad(twice_the_sum(x), x)
        g *= 0
        assert (constant == 2).all()


def test_a_vjp_may_close_over_a_tensor():
    weight = mc.tensor(3.0)

    @mc.primitive
    def weighted(xp, x):
        return x * 3.0

    weighted.defvjp(lambda g, y, x: g * weight)
    x = mc.tensor(1.0)
    g = mc.grad(weighted(x), x)
    assert g == 3.0 and isinstance(g, np.ndarray)


def test_parameters_by_name_by_position_and_by_default():
    @mc.primitive
    def affine(xp, x, slope=2.0, shift=0.0):
        return slope * x + shift

    affine.defvjp(lambda g, y, x, slope, shift: g * slope)
    x = mc.tensor(1.0)
    for y, slope in ((affine(x), 2), (affine(x, 3.0), 3), (affine(x, shift=1.0, slope=4.0), 4), (affine(x=x, slope=5.0), 5)):
        assert mc.grad(y, x) == slope
    with pytest.raises(TypeError, match="affine.*'x'"):
        affine(slope=2.0)
    with pytest.raises(TypeError, match="affine"):
        affine(x, 1.0, 2.0, 3.0)
    with pytest.raises(TypeError, match="affine.*slope.*twice"):
        affine(x, 1.0, slope=2.0)
    with pytest.raises(TypeError, match="affine.*tilt"):
        affine(x, tilt=1.0)


def test_a_tensor_among_the_parameters_is_refused():
    @mc.primitive
    def affine(xp, x, slope=2.0):
        return slope * x

    affine.defvjp(lambda g, y, x, slope: g * slope)
    x = mc.tensor(1.0)
    for call in (lambda: affine(x, slope=mc.tensor(2.0)), lambda: affine(x, mc.tensor(2.0)), lambda: affine(1.0, slope=x)):
        with pytest.raises(TypeError, match="affine: slope= must be a constant, not a Tensor"):
            call()


def test_a_variadic_primitive(rng):
    @mc.primitive
    def product(xp, *factors, power=1):
        y = 1.0
        for x in factors:
            y = y * x**power
        return y

    product.defvjp(lambda k, g, y, *factors, power: g * power * y / factors[k])
    arrays = [rng.uniform(0.5, 2, 3) for _ in range(3)]
    leaves = [mc.tensor(x) for x in arrays]
    first = mc.grad(product(*leaves, power=2).sum(), leaves, differentiable=True)
    second = mc.grad(sum(g.sum() for g in first), leaves)

    def total(*arrays):
        gradients = mc.grad(product(*(ts := [mc.tensor(x) for x in arrays]), power=2).sum(), ts)
        return sum(g.sum() for g in gradients)

    for k in range(3):
        expected = 2 * np.prod(arrays, axis=0) ** 2 / arrays[k]
        assert_close(first[k].numpy(), expected, 1e-14)
        assert_close(second[k], central(total, arrays, k), 1e-9)
    assert_close(mc.grad(product(leaves[0], leaves[0]).sum(), leaves[0]), 2 * arrays[0], 1e-15)


# --------------------------------------------------------------------------------------------- one vjp for all arguments

ran = []


def composed_ratio(a, b, shift=0.0):
    return mc.exp(a) / (mc.exp(a) + mc.exp(b)) + shift


@mc.primitive
def ratio(xp, a, b, shift=0.0):
    """eᵃ / (eᵃ + eᵇ) + shift, with a residual that the vjp uses."""
    share = 1 / (1 + xp.exp(b - a))
    return mc.Saved(share + shift, {"share": share})


def ratio_vjp(g, y, saved, needed, a, b, shift):
    ran.append(tuple(needed))
    assert isinstance(g, np.ndarray) and isinstance(y, np.ndarray)
    both = g * saved["share"] * (1 - saved["share"])
    return (both if needed[0] else None, -both if needed[1] else None)


ratio.defvjp_joint(ratio_vjp, composed=composed_ratio)


def test_a_joint_vjp_gets_residuals_and_what_is_needed(rng):
    a, b = mc.tensor(rng.standard_normal((2, 3))), mc.tensor(rng.standard_normal((2, 3)))
    ran.clear()
    c = rng.standard_normal((2, 3))
    found = mc.grad(ratio(a, b, shift=2.0), [a, b], cotangent=c)
    assert ran == [(True, True)]
    assert_close(np.stack(found), np.stack(mc.grad(composed_ratio(a, b), [a, b], cotangent=c)), 1e-14)
    assert not np.shares_memory(*found)
    mc.grad(ratio(a, b), b, cotangent=c)
    mc.grad(ratio(a, 1.0), a, cotangent=c)
    assert ran[1:] == [(False, True), (True, False)]


def test_on_bare_arrays_the_residuals_are_dropped():
    assert isinstance(ratio(np.ones(3), np.ones(3)), np.ndarray)


@pytest.mark.parametrize("twice", [False, True])
def test_order_2_goes_through_the_composed_definition(twice, rng):
    """Also where one Tensor is passed at both places: each place gets its own share."""
    arrays = [rng.standard_normal(3) for _ in range(1 if twice else 2)]
    leaves = [mc.tensor(x) for x in arrays]
    c, v = rng.standard_normal(3), rng.standard_normal((2, 3))

    def first(f, leaves, differentiable=True):
        args = [leaves[0] * 1.5, leaves[0]] if twice else leaves
        return mc.grad(f(*args), leaves, cotangent=c, differentiable=differentiable)

    ran.clear()
    fused, plain = first(ratio, leaves), first(composed_ratio, leaves)
    assert not ran
    for g, same in zip(fused, plain):
        assert_close(g.numpy(), same.numpy(), 1e-13)
    second = mc.grad(sum((g * w).sum() for g, w in zip(fused, v)), leaves)
    expected = mc.grad(sum((g * w).sum() for g, w in zip(plain, v)), leaves)
    for g, same in zip(second, expected):
        assert_close(g, same, 1e-13)
        assert np.abs(same).max() > 1e-3


def test_one_tensor_passed_twice_to_a_joint_vjp(rng):
    x = mc.tensor(rng.standard_normal(3))
    y = ratio(x, x) * x
    assert_close(mc.grad(y.sum(), x), np.full(3, 0.5), 1e-15)
    g = mc.grad(y.sum(), x, differentiable=True)
    assert_close(g.numpy(), np.full(3, 0.5), 1e-15)
    assert_close(mc.grad(g.sum(), x), np.zeros(3), 0.0, 1e-15)


def test_a_joint_vjp_without_a_composed_definition_gets_tensors(rng):
    @mc.primitive
    def product(xp, a, b):
        return mc.Saved(a * b, None)

    product.defvjp_joint(lambda g, y, saved, needed, a, b: (g * b, g * a))
    a, b = mc.tensor(rng.standard_normal(3)), mc.tensor(rng.standard_normal(3))
    ga, gb = mc.grad(product(a, b).sum(), [a, b], differentiable=True)
    assert_close(mc.grad((ga * ga).sum() + (gb * gb).sum(), [a, b]), [2 * a.data, 2 * b.data], 1e-14)


def test_a_differentiable_walk_through_a_joint_vjp_with_an_intermediate(rng):
    """The composed definition is walked with the arguments as inputs, though they depend on one another."""
    x = mc.tensor(rng.standard_normal(3))
    h = mc.sin(x)
    for f in (ratio, composed_ratio):
        g = mc.grad(f(h * x, h).sum(), [x, h], differentiable=True)
        found = mc.grad((g[0] * g[1]).sum(), x)
        if f is ratio:
            first = found
    assert_close(first, found, 1e-12)
