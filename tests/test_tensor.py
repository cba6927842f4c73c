"""The Tensor itself: what it holds, its operators and methods, dtypes, and errors that name the op, the shapes, the fix."""

import re

import numpy as np
import pytest
from differences import assert_close

import minicl as mc


def leaf(*shape, dtype=float):
    return mc.tensor(np.random.default_rng(0).standard_normal(shape), dtype=dtype)


# ----------------------------------------------------------------------------------------------------- what it holds


def test_a_tensor_copies_its_data():
    data = np.zeros(3)
    x = mc.tensor(data)
    data[:] = 1
    assert x.data.tolist() == [0, 0, 0]
    assert x.numpy() is x.data and mc.to_numpy(x) is x.data


@pytest.mark.parametrize(
    "data, dtype",
    [([1.0, 2.0], "f8"), ([1, 2], "i8"), (True, "?"), (3.0, "f8"), (np.float16(2), "f2"), ([[1, 2.5]], "f8")],
)
def test_what_can_be_held(data, dtype):
    x = mc.tensor(data)
    assert x.dtype == dtype and x.tolist() == np.asarray(data).tolist() and x.device == "cpu"


def test_attributes():
    x = leaf(2, 3)
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3), 2, 6, 2)
    assert x.T.shape == (3, 2) and x.grad is None and x.origin is None
    assert mc.tensor(x, dtype=np.float32).dtype == np.float32
    assert mc.tensor([1, 2], dtype=float).dtype == np.float64


@pytest.mark.parametrize("data", ["text", [[1.0, 2.0], [3.0]], [None], {"a": 1}, np.array(["a"]), object()])
def test_what_cannot_be_held(data):
    with pytest.raises((TypeError, ValueError), match="tensor: "):
        mc.tensor(data)


def test_python_numbers():
    x = mc.tensor([2.5])
    assert float(x) == 2.5 and int(x) == 2 and bool(x) and x.item() == 2.5 and f"{x:.1f}" == "2.5"
    assert [10, 20, 30][mc.tensor(1)] == 20
    assert not mc.tensor(0.0)
    assert type(x.item()) is float
    y = leaf(2, 3)
    for convert in (float, int, bool, mc.Tensor.item):
        with pytest.raises(ValueError, match=r"\(2, 3\)"):
            convert(y)
    with pytest.raises(TypeError):
        range(mc.tensor(1.5))


def test_iteration():
    x = leaf(2, 3)
    rows = list(x)
    assert len(rows) == 2 and rows[1].shape == (3,)
    a, b = x
    assert_close(mc.grad((a * b).sum(), x), x.data[::-1], 1e-15)
    with pytest.raises(TypeError, match=r"shape \(\)"):
        len(mc.tensor(1.0))
    with pytest.raises(TypeError, match=r"shape \(\)"):
        iter(mc.tensor(1.0))


def test_in_and_hash():
    x, y = mc.tensor(1.0), mc.tensor(1.0)
    assert {x: "x", y: "y"}[x] == "x" and len({x, y}) == 2


def test_repr_is_short():
    assert repr(mc.tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(mc.tensor([1, 2])) == "Tensor([1, 2], dtype=int64)"
    assert repr(mc.tensor([1.0], dtype=np.float32) * 2) == "Tensor([2.], dtype=float32, op=multiply)"
    assert repr(leaf(100, 200)) == "Tensor(shape=(100, 200))"
    assert repr(mc.tensor(1.0)) == "Tensor(1.)" or repr(mc.tensor(1.0)) == "Tensor(1.0)"
    assert str(leaf(3)).startswith("Tensor(") and format(leaf(3)) == str(leaf(3))
    assert "Tensor(" in f"{leaf(3)}"
    assert len(repr(leaf(3, 4))) < 200


def test_tensor_of_a_device():
    assert mc.tensor([1.0], device="cpu").device == "cpu"
    with pytest.raises(ValueError, match="'tpu'"):
        mc.tensor([1.0], device="tpu")


# -------------------------------------------------------------------------------------------------- operators, methods

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_operators_with_tensor_array_scalar_number_on_both_sides(name, dtype):
    f = OPERATORS[name]
    x = mc.tensor(np.array([1.5, 2.5]), dtype=dtype)
    others = [
        np.array([2.0, 0.5], dtype),
        np.float64(2.0),
        np.float32(2.0),
        2.0,
        2,
        np.int64(2),
        np.array([2, 3], np.int8),
    ]
    tolerance = 10 * float(np.finfo(dtype).eps)
    for other in others:
        for y, expected in (
            (f(x, other), f(x.data.astype(float), other)),
            (f(other, x), f(other, x.data.astype(float))),
        ):
            assert isinstance(y, mc.Tensor) and y.dtype == dtype, (name, other)
            assert_close(y.data, expected, tolerance)
            assert mc.grad(y.sum(), x).dtype == dtype
    y = f(x, mc.tensor(others[0]))
    assert_close(y.data, f(x.data.astype(float), others[0].astype(float)), tolerance)


def test_matmul_operator_on_both_sides():
    x, a = leaf(2, 3), np.ones((3, 5))
    assert (x @ a).shape == (2, 5) and (a.T @ x.T).shape == (5, 2) and (x @ mc.tensor(a)).shape == (2, 5)
    assert isinstance(a.T @ x.T, mc.Tensor)


def test_unary_operators():
    x = mc.tensor([-1.0, 2.0])
    assert (-x).tolist() == [1, -2] and (+x).tolist() == [-1, 2] and abs(x).tolist() == [1, 2]
    assert (+x) is not x


def test_comparisons_are_bare_boolean_arrays():
    x, y = mc.tensor([1.0, 2.0]), mc.tensor([2.0, 2.0])
    for found, expected in [
        (x == y, [False, True]),
        (x != y, [True, False]),
        (x < y, [True, False]),
        (x <= 2, [True, True]),
        (x > np.array([0.0, 3.0]), [True, False]),
        (np.array([0.0, 3.0]) > x, [False, True]),
        (2 >= x, [True, True]),
    ]:
        assert type(found) is np.ndarray and found.dtype == bool and found.tolist() == expected
    assert x[x > 1].tolist() == [2.0]


def test_augmented_assignment_binds_a_new_tensor():
    x = mc.tensor(2.0)
    y = x
    y += 1
    y *= x
    assert x.item() == 2.0 and mc.grad(y, x) == 5.0


def test_every_function_is_a_method_too():
    x = mc.tensor(np.random.default_rng(0).uniform(0.2, 0.8, (2, 3)))
    for name in (
        "exp log log1p expm1 sqrt square abs sin cos tanh sigmoid softplus log_sigmoid relu leaky_relu elu gelu silu erf "
        "sum mean max min prod var std cumsum logsumexp softmax log_softmax norm normalize flip squeeze"
    ).split():
        assert_close(getattr(x, name)().data, getattr(mc, name)(x).data, 0.0, what=name)
    assert x.clip(0.3, 0.6).data.max() <= 0.6
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape([3, -1]).shape == (3, 2)
    assert (
        x.transpose(1, 0).shape == x.transpose((1, 0)).shape == x.transpose().shape == x.swapaxes(0, 1).shape == (3, 2)
    )
    assert x.sum(1).shape == (2,) and x.sum(axis=1, keepdims=True).shape == (2, 1)
    assert (x.argmax(axis=1) == x.data.argmax(axis=1)).all()


def test_the_functions_take_lists_and_numbers():
    assert mc.exp(0.0) == 1.0 and mc.sum([1, 2, 3]) == 6 and mc.matmul([[1.0, 2.0]], [3.0, 4.0]).tolist() == [11.0]
    assert mc.concatenate([[1.0], [2.0]]).tolist() == [1.0, 2.0]
    assert mc.norm([3.0, 4.0]) == 5.0


def test_integers_stay_integers_and_have_no_gradient():
    k = mc.tensor([3, 1, 2])
    assert (k * 2).dtype == np.int64 and (k * 2).origin is None
    assert (k / 2).dtype == np.float64
    x = mc.tensor([1.0, 2.0, 3.0, 4.0])
    y = x[k]
    assert mc.grad((y * k).sum(), x).tolist() == [0, 1, 2, 3]


# ---------------------------------------------------------------------------------------------------------- assignment


def test_setting_entries_of_a_leaf():
    x = mc.tensor(np.zeros((2, 3)))
    x[0, 1] = 5.0
    x[1] = mc.tensor([1.0, 2.0, 3.0])
    x[x > 2] = 0.0
    assert x.tolist() == [[0, 0, 0], [1, 2, 0]]
    with pytest.raises(ValueError, match="result of 'multiply'"):
        (x * 2)[0] = 1.0


def test_assigning_a_view_of_itself():
    x = mc.tensor([1.0, 2.0, 3.0])
    x.data = x.data[::-1]
    assert x.tolist() == [3, 2, 1]


# -------------------------------------------------------------------------------------------------- errors that explain


def raised(call, kind, *words):
    """The message names each of `words`."""
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word.replace(" ", "") in str(error.value).replace(" ", ""), f"{word!r} is missing in: {error.value}"
    return str(error.value)


@pytest.mark.parametrize(
    "name, call",
    [
        ("add", mc.add),
        ("subtract", mc.subtract),
        ("multiply", mc.multiply),
        ("divide", mc.divide),
        ("power", mc.power),
        ("maximum", mc.maximum),
        ("minimum", mc.minimum),
        ("clip", lambda a, b: mc.clip(a, b, 1.0)),
        ("where", lambda a, b: mc.where(True, a, b)),
        ("matmul", mc.matmul),
        ("concatenate", lambda a, b: mc.concatenate([a, b])),
        ("stack", lambda a, b: mc.stack([a, b])),
        ("greater", mc.greater),
        ("equal", mc.equal),
        ("einsum", lambda a, b: mc.einsum("ij,jk->ik", a, b)),
        ("mse_loss", mc.mse_loss),
        ("nt_xent", mc.nt_xent),
        ("pairwise_distances", mc.pairwise_distances),
        ("cosine_similarity", mc.cosine_similarity),
    ],
)
def test_shapes_that_do_not_fit(name, call):
    a, b = leaf(2, 3), leaf(7, 5)
    text = raised(lambda: call(a, b), ValueError, name, "(2, 3)", "(7, 5)")
    assert re.search(r"Fix: |must |give ", text), text
    raised(lambda: call(a.data, b.data), ValueError, name, "(2, 3)", "(7, 5)")


@pytest.mark.parametrize(
    "name, call, kind",
    [
        ("reshape", lambda x: x.reshape(4, 2), ValueError),
        ("broadcast_to", lambda x: mc.broadcast_to(x, shape=(2, 5)), ValueError),
        ("transpose", lambda x: x.transpose(0, 0), ValueError),
        ("transpose", lambda x: x.transpose(1, 2, 0), ValueError),
        ("sum", lambda x: x.sum(axis=2), ValueError),
        ("mean", lambda x: x.mean(axis=-3), ValueError),
        ("softmax", lambda x: mc.softmax(x, axis=2), ValueError),
        ("logsumexp", lambda x: mc.logsumexp(x, axis=5), ValueError),
        ("cumsum", lambda x: x.cumsum(axis=2), ValueError),
        ("squeeze", lambda x: x.squeeze(axis=0), ValueError),
        ("expand_dims", lambda x: mc.expand_dims(x, 5), ValueError),
        ("flip", lambda x: x.flip(axis=2), ValueError),
        ("split", lambda x: x.split(2, axis=1), ValueError),
        ("index", lambda x: x[5], IndexError),
        ("index", lambda x: x[0, 0, 0], IndexError),
        ("index", lambda x: x[np.array([5])], IndexError),
        ("index", lambda x: x[np.array([0.5])], IndexError),
        ("index", lambda x: x[np.ones((3, 3), bool)], IndexError),
        ("take", lambda x: x.take([7], axis=1), IndexError),
        ("take", lambda x: x.take([0.5], axis=1), IndexError),
        ("gather", lambda x: mc.gather(x, np.array([[3]]), 1), IndexError),
        ("take_along_axis", lambda x: mc.take_along_axis(x, np.array([1]), 1), ValueError),
        ("einsum", lambda x: mc.einsum("ijk->i", x), ValueError),
        ("einsum", lambda x: mc.einsum("ij,jk->ik", x, leaf(5, 2)), ValueError),
        ("einsum", lambda x: mc.einsum("ij->k", x), ValueError),
        ("einsum", lambda x: mc.einsum("ij->ii", x), ValueError),
        ("einsum", lambda x: mc.einsum("ii", x), ValueError),
        ("pad", lambda x: mc.pad(x, -1), ValueError),
        ("pad", lambda x: mc.pad(x, 1, mode="magic"), ValueError),
        ("norm", lambda x: mc.norm(x, "nuc"), ValueError),
        ("gelu", lambda x: mc.gelu(x, approximate="fast"), ValueError),
        ("cross_entropy", lambda x: mc.cross_entropy(x, np.array([0, 3])), ValueError),
        ("cross_entropy", lambda x: mc.cross_entropy(x, np.array([0, 1, 2])), ValueError),
        ("nll_loss", lambda x: mc.nll_loss(x, np.array([0.0, 1.0])), TypeError),
        ("one_hot", lambda x: mc.one_hot(np.array([0, 3]), 3), ValueError),
        ("binary_cross_entropy_with_logits", lambda x: mc.binary_cross_entropy_with_logits(x, x.data[0]), ValueError),
    ],
)
def test_arguments_that_do_not_fit(name, call, kind):
    raised(lambda: call(leaf(2, 3)), kind, name)


@pytest.mark.parametrize(
    "name, word", [("+", "add"), ("-", "subtract"), ("*", "multiply"), ("/", "divide"), ("**", "power")]
)
def test_operators_whose_shapes_do_not_fit(name, word):
    a, b = leaf(2, 3), leaf(7, 5)
    for left, right in ((a, b), (a, b.data), (a.data, b)):
        raised(lambda: OPERATORS[name](left, right), ValueError, word, "(2, 3)", "(7, 5)", "Fix: ")


def test_a_matrix_product_with_a_number():
    raised(lambda: leaf(2, 3) @ 2.0, ValueError, "matmul", "()", "*")


def test_grad_of_integers():
    k, x = mc.tensor([1, 2]), mc.tensor([1.0, 2.0])
    raised(lambda: mc.grad((x * k).sum(), k), TypeError, "grad", "int64", "(2,)", "dtype=float")
    raised(lambda: mc.grad((x * k).sum(), [x, k]), TypeError, "input 1")
    raised(lambda: mc.grad((k * k).sum(), k), TypeError, "int64", "float")
    raised(lambda: mc.value_and_grad(lambda x: x.sum(), [1, 2]), TypeError, "int64")


def test_grad_of_what_is_no_tensor():
    x = mc.tensor([1.0, 2.0])
    raised(lambda: mc.grad(np.ones(()), x), TypeError, "output", "ndarray", "mc.tensor")
    raised(lambda: mc.grad(3.0, x), TypeError, "output", "float", "mc.tensor")
    raised(lambda: mc.grad(x.sum(), [x, np.ones(2)]), TypeError, "input 1", "ndarray", "mc.tensor")
    raised(lambda: mc.grad(x.sum(), "x"), TypeError, "grad")
    raised(lambda: mc.grad(x.sum(), None), TypeError, "grad")


def test_an_output_that_is_no_number():
    x = leaf(2, 3)
    text = raised(lambda: mc.grad(x * 2, x), ValueError, "grad", "(2, 3)", "cotangent", ".sum()")
    assert "softmax" in text
    raised(lambda: (x * 2).backward(), ValueError, "backward", "(2, 3)", "cotangent")
    assert mc.grad(x[:1, :1] * 2, x).sum() == 2.0  # one entry is a number
    empty = mc.tensor(np.zeros((0, 3)))
    raised(lambda: mc.grad(empty * 2, empty), ValueError, "(0, 3)")


def test_a_cotangent_of_another_shape():
    x = leaf(2, 3)
    raised(lambda: mc.grad(x * 2, x, cotangent=np.ones(3)), ValueError, "grad", "cotangent", "(3,)", "(2, 3)")
    raised(lambda: mc.grad(x.sum(), x, cotangent=np.ones(1)), ValueError, "(1,)", "()")


def test_mixed_devices(gpu):
    there, here = mc.tensor(np.ones(3), device="gpu"), mc.tensor(np.ones(3))
    for call in (
        lambda: there + here,
        lambda: here.data * there,
        lambda: there * here.data,
        lambda: mc.concatenate([here, there]),
        lambda: mc.einsum("i,i->", here, there),
        lambda: there @ here,
        lambda: mc.where(np.ones(3, bool), there, 0.0),
        lambda: there > here,
    ):
        raised(call, TypeError, "gpu", "cpu", "mc.to_device")
    raised(lambda: there[np.array([0])], TypeError, "index", "gpu", "cpu")
    raised(lambda: mc.take(there, np.array([0])), TypeError, "take", "gpu", "cpu")
    raised(lambda: mc.grad(there * 2, there, cotangent=np.ones(3)), TypeError, "grad", "gpu", "cpu")
    raised(lambda: setattr(there, "data", np.ones(3)), TypeError, "data", "gpu", "cpu")
    assert (there * np.float64(2)).device == "gpu" and (np.float64(2) * there).device == "gpu"


def test_moving_between_devices(gpu):
    x = mc.tensor(np.arange(3.0))
    y = mc.to_device(x, "gpu")
    assert y.device == "gpu" and x.to("cpu") is x
    back = (y * y).to("cpu")
    assert back.device == "cpu" and back.tolist() == [0, 1, 4]
    for differentiable in (False, True):
        g = mc.grad(back.sum(), x, differentiable=differentiable)
        assert type(mc.to_numpy(g)) is np.ndarray and mc.to_numpy(g).tolist() == [0, 2, 4]
    gy = mc.grad(back.sum(), y)
    assert type(gy) is type(y.data)
    assert y.numpy().tolist() == [0, 1, 2] and type(y.numpy()) is np.ndarray
    again = mc.grad(mc.grad(back.sum(), x, differentiable=True).sum(), x)
    assert again.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mc.sum(x, axis=mc.tensor(0)),
        lambda x: mc.softmax(x, axis=mc.tensor(1)),
        lambda x: mc.leaky_relu(x, negative_slope=mc.tensor(0.1)),
        lambda x: mc.elu(x, alpha=mc.tensor(1.0)),
        lambda x: mc.reshape(x, shape=mc.tensor([3, 2])),
    ],
)
def test_a_tensor_among_the_parameters(call):
    raised(lambda: call(leaf(2, 3)), TypeError, "must be a constant, not a Tensor")


def test_a_list_of_tensors():
    x = leaf(3)
    raised(lambda: mc.sum([x, x]), TypeError, "sum", "list of Tensors", "mc.stack")
    raised(lambda: mc.add(x, [x, x]), TypeError, "add", "list of Tensors")
    raised(lambda: mc.tensor([x, x]), TypeError, "mc.stack")


@pytest.mark.parametrize("thing", ["text", {1: 2}, {1}, object(), np])
def test_an_argument_that_is_no_number(thing):
    x = leaf(3)
    raised(lambda: mc.add(x, thing), TypeError, "add")
    raised(lambda: mc.exp(thing), TypeError, "exp")
    raised(lambda: x + thing, TypeError)


def test_numpy_functions_refuse_a_tensor():
    """They would return an array, and the graph would be lost without a word."""
    x = leaf(3)
    for call in (
        lambda: np.exp(x),
        lambda: np.asarray(x),
        lambda: np.sum(x),
        lambda: np.concatenate([x, x]),
        lambda: np.dot(x, x),
    ):
        raised(call, TypeError, "Tensor")


def test_the_original_error_is_kept():
    with pytest.raises(ValueError) as error:
        leaf(2, 3) + leaf(7, 5)
    assert isinstance(error.value.__cause__, ValueError)
