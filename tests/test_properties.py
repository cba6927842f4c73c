"""Shapes, axes, keys and subscripts that nobody chose: hypothesis draws them, NumPy knows the answer.

Linear functions are held to ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ on whole numbers, so the two sides must be equal to the last bit.
"""

import math

import numpy as np
import pytest
from differences import assert_close

import minicl as mc

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

settings.register_profile("minicl", max_examples=200, deadline=None, derandomize=True, database=None)
settings.load_profile("minicl")

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
seeds = st.integers(0, 99)


def whole(shape, seed):
    return np.asarray(np.random.default_rng(seed).integers(-9, 10, shape), float)


def assert_adjoint(f, *arrays):
    """In each argument by itself, for an f that is linear in each; also that a second walk gives the same."""
    leaves = [mc.tensor(x) for x in arrays]
    y = f(*leaves)
    c = whole(y.shape, 7)
    for differentiable in (False, True):
        for x, g in zip(arrays, mc.grad(y, leaves, cotangent=c, differentiable=differentiable)):
            assert g.shape == x.shape
            assert np.sum(y.data * c) == np.sum(x * mc.to_numpy(g))
    return y.data


@st.composite
def axes_of(draw, ndim, minimum=0):
    """None, an axis, or a tuple of axes, counted from either end."""
    if not ndim:
        return None
    chosen = draw(st.lists(st.integers(0, ndim - 1), unique=True, min_size=minimum, max_size=ndim))
    chosen = tuple(a - ndim if draw(st.booleans()) else a for a in chosen)
    return draw(st.sampled_from([None, chosen, *chosen[:1]]))


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3), seeds)
def test_broadcasting(drawn, seed):
    a, b = (whole(shape, seed + k) for k, shape in enumerate(drawn.input_shapes))
    for f, plain in ((mc.multiply, np.multiply), (lambda a, b: mc.where(plain_mask, a * 1, b * 0), None)):
        if plain is None:
            plain_mask = np.ones(drawn.result_shape, bool)
            leaf = mc.tensor(a)
            g = mc.grad(f(leaf, b), leaf, cotangent=np.ones(drawn.result_shape))
            assert g.shape == a.shape and g.sum() == math.prod(drawn.result_shape)
        else:
            assert_close(assert_adjoint(f, a, b), plain(a, b), 0.0)
    x, y = mc.tensor(a), mc.tensor(b)
    ones = np.ones(drawn.result_shape)
    for g, shape in zip(mc.grad(x - y, [x, y], cotangent=ones), (a.shape, b.shape)):
        assert g.shape == shape and abs(g.sum()) == ones.sum()


@given(st.data(), shapes, st.booleans(), seeds)
def test_reductions(data, shape, keepdims, seed):
    x = np.random.default_rng(seed).uniform(0.5, 2.0, shape)
    axis = data.draw(axes_of(len(shape)))
    where = {"axis": axis, "keepdims": keepdims}
    assert_close(
        assert_adjoint(lambda t: mc.sum(t, **where), whole(shape, seed)), np.sum(whole(shape, seed), **where), 0.0
    )
    count = x.size // max(np.sum(x, axis=axis).size, 1)
    names = ["prod", *(["mean", "max", "min", "var", "std"] if count else [])]
    for name in names:
        leaf = mc.tensor(x)
        y = getattr(mc, name)(leaf, **where)
        assert_close(y.data, getattr(np, name)(x, **where), 1e-12, 1e-15, name)
        (g,) = mc.grad(y, [leaf], cotangent=np.ones(y.shape))
        total = {"mean": y.size, "max": y.size, "min": y.size, "var": 0, "std": 0}.get(name)
        if total is not None:  # each cotangent is handed on whole, or (moving all values moves no deviation) not at all
            assert_close(g.sum(), np.array(float(total)), 1e-12, 1e-12, name)
        else:  # Euler: prod is homogeneous of the order of its factors
            assert_close(np.sum(g * x), np.sum(y.data) * count, 1e-12, 1e-12, name)
    if count:
        y = mc.logsumexp(x, **where)
        assert_close(y, np.log(np.sum(np.exp(x), **where)), 1e-13, 1e-14)
        assert_close(mc.norm(x, **where), np.sqrt(np.sum(x * x, **where)), 1e-14)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), seeds)
def test_basic_keys(data, shape, seed):
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = whole(shape, seed)
    assert_close(assert_adjoint(lambda t: t[key], x), x[key], 0.0)


@st.composite
def mixed_key(draw, shape):
    """Integer arrays with repeats, masks, lists, integers, slices and new axes, side by side."""
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    key, axis = [], 0
    while axis < len(shape):
        kind = draw(st.sampled_from(["array", "list", "slice", "integer", "new", "mask", "none left"]))
        n = shape[axis]
        if kind == "array" or kind == "list":
            entries = draw(hnp.arrays(int, common, elements=st.integers(-n, n - 1)))
            key.append(entries.tolist() if kind == "list" and entries.size and entries.ndim else entries)
        elif kind == "slice":
            key.append(draw(st.slices(n)))
        elif kind == "integer":
            key.append(draw(st.sampled_from([int, np.int64]))(draw(st.integers(-n, n - 1))))
        elif kind == "new":
            key.append(None)
            continue
        elif kind == "mask":
            mask = np.zeros(n, bool)
            if math.prod(common) == 1 or common == ():
                mask[draw(st.integers(0, n - 1))] = True  # one entry broadcasts against every other array
                key.append(mask)
            else:
                key.append(slice(None))
        else:
            break
        axis += 1
    return tuple(key)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), seeds)
def test_mixed_keys(data, shape, seed):
    key = data.draw(mixed_key(shape))
    x = whole(shape, seed)
    assert_close(assert_adjoint(lambda t: t[key], x), x[key], 0.0)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), seeds)
def test_masks(data, shape, seed):
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    x = whole(shape, seed)
    assert_close(assert_adjoint(lambda t: t[mask], x), x[mask], 0.0)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), seeds)
def test_keys_of_nested_tuples(data, shape, seed):
    """A tuple inside the tuple is a list of positions: it may name one entry twice."""
    n = shape[0]
    positions = tuple(data.draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=4)))
    x = whole(shape, seed)
    assert_close(assert_adjoint(lambda t: t[positions, ...], x), x[positions, ...], 0.0)
    assert_close(assert_adjoint(lambda t: mc.index(t, key=[*positions]), x), x[[*positions]], 0.0)


@given(st.data(), shapes, seeds)
def test_shapes(data, shape, seed):
    x = whole(shape, seed)
    order = data.draw(st.permutations(range(len(shape))))
    assert_close(
        assert_adjoint(lambda t: t.transpose(*order) if order else t.transpose(()), x), x.transpose(order), 0.0
    )
    assert_close(assert_adjoint(mc.transpose, x), x.T, 0.0)
    axes = data.draw(axes_of(len(shape)))
    assert_close(assert_adjoint(lambda t: mc.flip(t, axes), x), np.flip(x, axes), 0.0)
    assert_close(assert_adjoint(mc.squeeze, x), np.squeeze(x), 0.0)
    new = data.draw(axes_of(len(shape) + 1, minimum=1))
    if isinstance(new, int):
        assert_close(assert_adjoint(lambda t: mc.expand_dims(t, new), x), np.expand_dims(x, new), 0.0)
    widths = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=len(shape), max_size=len(shape))
    )
    if shape:
        assert_close(assert_adjoint(lambda t: mc.pad(t, widths), x), np.pad(x, widths), 0.0)
        if x.size:
            for mode in ("edge", "symmetric", "wrap", "reflect"):
                assert_close(
                    assert_adjoint(lambda t: mc.pad(t, widths, mode=mode), x), np.pad(x, widths, mode=mode), 0.0
                )
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        assert_close(assert_adjoint(lambda t: mc.cumsum(t, axis=axis), x), np.cumsum(x, axis=axis), 0.0)
        cuts = data.draw(st.lists(st.integers(-2, 6), max_size=3).map(sorted))
        for k, part in enumerate(np.split(x, cuts, axis)):
            assert_close(assert_adjoint(lambda t: mc.split(t, cuts, axis)[k], x), part, 0.0)
        other = whole(shape, seed + 1)
        for f, plain in ((mc.concatenate, np.concatenate), (mc.stack, np.stack)):
            leaves = [mc.tensor(x), mc.tensor(other)]
            y = f(leaves, axis=axis)
            c = whole(y.shape, 3)
            assert_close(y.data, plain([x, other], axis=axis), 0.0)
            assert sum(np.sum(a * g) for a, g in zip((x, other), mc.grad(y, leaves, cotangent=c))) == np.sum(y.data * c)
    assert_close(assert_adjoint(lambda t: mc.cumsum(t), x), np.cumsum(x), 0.0)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), seeds)
def test_positions(data, shape, seed):
    x = whole(shape, seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    positions = data.draw(
        hnp.arrays(int, hnp.array_shapes(min_dims=0, max_dims=2, max_side=3), elements=st.integers(-n, n - 1))
    )
    assert_close(assert_adjoint(lambda t: mc.take(t, positions, axis), x), np.take(x, positions, axis), 0.0)
    longer = list(shape)
    longer[axis] = data.draw(st.integers(1, 5))
    indices = data.draw(hnp.arrays(int, tuple(longer), elements=st.integers(0, n - 1)))
    assert_close(
        assert_adjoint(lambda t: mc.take_along_axis(t, indices, axis), x), np.take_along_axis(x, indices, axis), 0.0
    )
    assert_close(assert_adjoint(lambda t: mc.gather(t, indices, axis), x), np.take_along_axis(x, indices, axis), 0.0)


@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=4), seeds)
def test_matrix_products(drawn, seed):
    a, b = (whole(shape, seed + k) for k, shape in enumerate(drawn.input_shapes))
    assert_close(assert_adjoint(mc.matmul, a, b), np.matmul(a, b), 0.0)


@given(shapes, shapes, seeds)
def test_dot_and_outer(left, right, seed):
    a, b = whole(left, seed), whole(right, seed + 1)
    assert_close(assert_adjoint(mc.outer, a, b), np.outer(a, b), 0.0)
    if left and right:
        match = (*right[:-2], left[-1], *right[-1:]) if len(right) > 1 else left[-1:]
        b = whole(match, seed + 1)
        assert_close(assert_adjoint(mc.dot, a, b), np.dot(a, b), 0.0)


@st.composite
def einsums(draw):
    """Subscripts with repeats, dropped letters, an ellipsis, an implicit result, lengths of 0 and 1; and shapes that fit."""
    letters = "abcXY"
    length = {c: draw(st.integers(0, 4)) for c in letters}
    wide = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    names, operands, spread = [], [], False
    for _ in range(draw(st.integers(1, 3))):
        name = "".join(draw(st.lists(st.sampled_from(letters), max_size=3)))
        # A letter that is repeated within one operand takes its full length there.
        shape = [1 if name.count(c) == 1 and draw(st.integers(0, 4)) == 0 else length[c] for c in name]
        if draw(st.booleans()):
            spread, place = True, draw(st.integers(0, len(name)))
            part = wide[draw(st.integers(0, len(wide))) :]
            part = [1 if draw(st.integers(0, 4)) == 0 else n for n in part]
            shape[place:place] = part
            name = name[:place] + "..." + name[place:]
        names.append(name)
        operands.append(tuple(shape))
    used = sorted(set("".join(names)) - {"."})
    subscripts = ",".join(names)
    if draw(st.booleans()):
        result = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))]) if used else ""
        if spread:
            place = draw(st.integers(0, len(result)))
            result = result[:place] + "..." + result[place:]
        subscripts += "->" + result
    return subscripts, operands


@settings(max_examples=500)
@given(einsums(), seeds)
def test_einsum(drawn, seed):
    subscripts, operands = drawn
    arrays = [whole(shape, seed + k) for k, shape in enumerate(operands)]
    try:
        expected = np.einsum(subscripts, *arrays)
    except ValueError:
        hypothesis.reject()
    found = assert_adjoint(lambda *x: mc.einsum(subscripts, *x), *arrays)
    assert_close(found, expected, 0.0)
