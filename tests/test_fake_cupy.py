"""The stand-in for CuPy refuses what it must refuse. A test of the library under it means nothing otherwise."""

import copy
import importlib.util
import inspect
import operator
import pickle
import sys
import types
import weakref

import fake_cupy
import numpy as np
import pytest
from fake_cupy.distributed import memory
from fake_cupy.names import NAMES, VERSION

ON_HOST = np.arange(6.0).reshape(2, 3) / 4 - 0.5
INDEX = np.array([1, 0])


@pytest.fixture
def cp():
    with fake_cupy.installed() as cupy:
        yield cupy


@pytest.fixture
def x(cp):
    return cp.asarray(ON_HOST)


# Mixtures with NumPy. h is the same array on the host, and nothing may combine it with x.

MIXTURES = {
    # into NumPy
    "np.asarray(x)": lambda cp, x, h: np.asarray(x),
    "np.array(x)": lambda cp, x, h: np.array(x),
    "np.array([x, x])": lambda cp, x, h: np.array([x, x]),
    "np.asarray(x, dtype)": lambda cp, x, h: np.asarray(x, np.float32),
    "np.exp(x)": lambda cp, x, h: np.exp(x),
    "np.add(x, 1)": lambda cp, x, h: np.add(x, 1),
    "np.add(x, x)": lambda cp, x, h: np.add(x, x),
    "np.add(2.0, x)": lambda cp, x, h: np.add(np.float64(2), x),
    "np.add.reduce(x)": lambda cp, x, h: np.add.reduce(x),
    "np.add(h, h, out=x)": lambda cp, x, h: np.add(h, h, out=x),
    "np.sum(x)": lambda cp, x, h: np.sum(x),
    "np.concatenate([x])": lambda cp, x, h: np.concatenate([x]),
    "np.stack([x, h])": lambda cp, x, h: np.stack([x, h]),
    "np.where(h, x, 0)": lambda cp, x, h: np.where(h > 0, x, 0),
    "np.reshape(x)": lambda cp, x, h: np.reshape(x, (3, 2)),
    "np.zeros_like(x)": lambda cp, x, h: np.zeros_like(x),
    "np.shape(x)": lambda cp, x, h: np.shape(x),
    "np.result_type(x)": lambda cp, x, h: np.result_type(x, h),
    "np.einsum(x)": lambda cp, x, h: np.einsum("ij->i", x),
    "np.linalg.norm(x)": lambda cp, x, h: np.linalg.norm(x),
    "np.copyto(h, x)": lambda cp, x, h: np.copyto(h, x),
    "h.dot(x)": lambda cp, x, h: h.T.dot(x),
    "h[x]": lambda cp, x, h: h[cp.asarray(INDEX)],
    "h[i, x0d]": lambda cp, x, h: h[0, cp.asarray(1)],
    "h[...] = x": lambda cp, x, h: h.__setitem__(..., x),
    "h += x": lambda cp, x, h: operator.iadd(h, x),
    "range(x0d)": lambda cp, x, h: range(cp.asarray(3)),
    "list[x0d]": lambda cp, x, h: [1, 2, 3][cp.asarray(1)],
    "h.reshape(x0d)": lambda cp, x, h: h.reshape(cp.asarray(6)),
    # operators
    "x + h": lambda cp, x, h: x + h,
    "h + x": lambda cp, x, h: h + x,
    "h0d + x": lambda cp, x, h: np.array(1.0) + x,
    "x * h0d": lambda cp, x, h: x * np.array(1.0),
    "x ** h": lambda cp, x, h: x**h,
    "h ** x": lambda cp, x, h: h**x,
    "x @ h": lambda cp, x, h: x @ h.T,
    "h @ x": lambda cp, x, h: h.T @ x,
    "divmod(x, h)": lambda cp, x, h: divmod(x, h),
    "x == h": lambda cp, x, h: x == h,
    "h == x": lambda cp, x, h: h == x,
    "x != h": lambda cp, x, h: x != h,
    "h != x": lambda cp, x, h: h != x,
    "x < h": lambda cp, x, h: x < h,
    "h < x": lambda cp, x, h: h < x,
    "x += h": lambda cp, x, h: operator.iadd(x, h),
    "x *= h": lambda cp, x, h: operator.imul(x, h),
    "x + list": lambda cp, x, h: x + [1.0, 2.0, 3.0],
    "list + x": lambda cp, x, h: [1.0, 2.0, 3.0] + x,
    "x += list": lambda cp, x, h: operator.iadd(x, [1.0, 2.0, 3.0]),
    # parts
    "x[h]": lambda cp, x, h: x[INDEX],
    "x[:, h]": lambda cp, x, h: x[:, INDEX],
    "x[mask]": lambda cp, x, h: x[h > 0],
    "x[[h]]": lambda cp, x, h: x[[INDEX, INDEX]],
    "x[...] = h": lambda cp, x, h: x.__setitem__(..., h),
    "x[0] = list": lambda cp, x, h: x.__setitem__(0, [1.0, 2.0, 3.0]),
    "x[h] = 0": lambda cp, x, h: x.__setitem__(INDEX, 0),
    "x.real = h": lambda cp, x, h: setattr(x, "real", h),
    "x.flat[0] = h": lambda cp, x, h: x.flat.__setitem__(0, np.array(1.0)),
    # functions and methods
    "cp.add(x, h)": lambda cp, x, h: cp.add(x, h),
    "cp.add(h, x)": lambda cp, x, h: cp.add(h, x),
    "cp.exp(h)": lambda cp, x, h: cp.exp(h),
    "cp.exp(list)": lambda cp, x, h: cp.exp([1.0]),
    "cp.add(x, x, out=h)": lambda cp, x, h: cp.add(x, x, out=h),
    "cp.add(x, x, h)": lambda cp, x, h: cp.add(x, x, h),
    "cp.add.at(h)": lambda cp, x, h: cp.add.at(h, 0, 1.0),
    "cp.add.at(x, h)": lambda cp, x, h: cp.add.at(x, INDEX, 1.0),
    "cp.add.at(x, 0, h)": lambda cp, x, h: cp.add.at(x, 0, h[0]),
    "cp.add.outer(x, h)": lambda cp, x, h: cp.add.outer(x, h),
    "cp.sum(h)": lambda cp, x, h: cp.sum(h),
    "cp.sum(x, out=h)": lambda cp, x, h: cp.sum(x, axis=0, out=h[0]),
    "cp.where(h, x, 0)": lambda cp, x, h: cp.where(h > 0, x, 0.0),
    "cp.where(x, h, 0)": lambda cp, x, h: cp.where(x > 0, h, 0.0),
    "cp.matmul(x, h)": lambda cp, x, h: cp.matmul(x, h.T),
    "cp.einsum(x, h)": lambda cp, x, h: cp.einsum("ij,ij->i", x, h),
    "cp.concatenate([x, h])": lambda cp, x, h: cp.concatenate([x, h]),
    "cp.concatenate((x, h))": lambda cp, x, h: cp.concatenate((x, h)),
    "cp.stack([h, h])": lambda cp, x, h: cp.stack([h, h]),
    "cp.take(x, h)": lambda cp, x, h: cp.take(x, INDEX, axis=0),
    "cp.take(x, indices=h)": lambda cp, x, h: cp.take(x, indices=INDEX, axis=0),
    "cp.clip(x, h, 1)": lambda cp, x, h: cp.clip(x, h, 1.0),
    "cp.zeros_like(h)": lambda cp, x, h: cp.zeros_like(h),
    "cp.zeros(h)": lambda cp, x, h: cp.zeros(np.array([2, 3])),
    "cp.full((2,), h)": lambda cp, x, h: cp.full((2,), np.array(1.0)),
    "cp.linalg.norm(h)": lambda cp, x, h: cp.linalg.norm(h),
    "cp.array([x, h])": lambda cp, x, h: cp.array([x, h]),
    "cp.array([x0d, 1.0])": lambda cp, x, h: cp.array([x.sum(), 1.0]),
    "x.dot(h)": lambda cp, x, h: x.dot(h.T),
    "x.take(h)": lambda cp, x, h: x.take(INDEX),
    "x.clip(h)": lambda cp, x, h: x.clip(h, 1.0),
    "x.sum(out=h)": lambda cp, x, h: x.sum(0, out=h[0]),
    "x.fill(h)": lambda cp, x, h: x.fill(np.array(1.0)),
    "cupyx.scatter_add(x, h)": lambda cp, x, h: sys.modules["cupyx"].scatter_add(x, INDEX, 1.0),
    "erf(h)": lambda cp, x, h: sys.modules["cupyx.scipy.special"].erf(h),
}


@pytest.mark.filterwarnings("ignore:cupyx.scatter:DeprecationWarning")
@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_refuses_mixtures(cp, x, mixture):
    host = ON_HOST.copy()
    with pytest.raises(TypeError):
        mixture(cp, x, host)
    np.testing.assert_array_equal(x.get(), ON_HOST)
    np.testing.assert_array_equal(host, ON_HOST)


def test_real_messages(cp, x):
    with pytest.raises(
        TypeError, match=r"Implicit conversion to a NumPy array is not allowed\. Please use `\.get\(\)`"
    ):
        np.asarray(x)
    for mixture in ("x + h", "h + x", "x += h", "cp.add(x, h)"):
        with pytest.raises(TypeError, match="Unsupported type <class 'numpy.ndarray'>"):
            MIXTURES[mixture](cp, x, ON_HOST)
    with pytest.raises(TypeError, match="__array_ufunc__"):  # at once, not on the way through np.asarray
        np.exp(x)
    with pytest.raises(TypeError, match=r"numpy\.sum was called on a CuPy array"):
        np.sum(x)


# What CuPy's functions lack or want.

STRICT = {
    "amax has no initial": lambda cp, x: cp.amax(x, initial=0.0),
    "sum has no where": lambda cp, x: cp.sum(x, where=x > 0),
    "method sum has no where": lambda cp, x: x.sum(where=x > 0),
    "var has no correction": lambda cp, x: cp.var(x, correction=1),
    "ufunc has no where": lambda cp, x: cp.add(x, x, where=x > 0),
    "clip wants both bounds": lambda cp, x: cp.clip(x, 0.0),
    "clip has no min": lambda cp, x: cp.clip(x, 0.0, 1.0, min=0.0),
    "take has no mode": lambda cp, x: cp.take(x, 0, mode="clip"),
    "take_along_axis wants the axis": lambda cp, x: cp.take_along_axis(x, cp.argsort(x)),
    "broadcast_to has no subok": lambda cp, x: cp.broadcast_to(x, (2, 2, 3), subok=True),
    "zeros has no device": lambda cp, x: cp.zeros(3, device="cpu"),
    "einsum has no out": lambda cp, x: cp.einsum("ij->i", x, out=cp.zeros(2)),
    "argmax: the third position differs": lambda cp, x: cp.argmax(x, 0, None),
    "sum of a list": lambda cp, x: cp.sum([1.0, 2.0]),
    "sum of a number": lambda cp, x: cp.sum(1.0),
    "where wants an array": lambda cp, x: cp.where(True, x, 0.0),
    "stack wants arrays": lambda cp, x: cp.stack([x.sum(), 0.0]),
    "matmul wants arrays": lambda cp, x: cp.matmul(x, [[1.0], [1.0], [1.0]]),
    "a size is a number of the host": lambda cp, x: cp.zeros(cp.asarray(3)),
    "a shape is of the host": lambda cp, x: x.reshape(cp.asarray(3), 2),
    "an axis is of the host": lambda cp, x: x.sum(axis=cp.asarray(0)),
    "astype has no casting": lambda cp, x: x.astype(np.float32, casting="safe"),
    "add.at of int16": lambda cp, x: cp.add.at(cp.zeros(3, np.int16), cp.asarray(INDEX), 1),
    "item takes no argument": lambda cp, x: x.item(0),
    "x == text": lambda cp, x: x == "text",
    "unknown object": lambda cp, x: cp.exp(object()),
}


@pytest.mark.parametrize("call", STRICT.values(), ids=STRICT)
def test_takes_the_real_parameters_only(cp, x, call):
    with pytest.raises(TypeError):
        call(cp, x)


def test_ufunc_methods_are_the_real_ones(cp, x):
    for call in (
        lambda: cp.multiply.at(x, 0, 2.0),
        lambda: cp.maximum.reduce(x),
        lambda: cp.maximum.accumulate(x),
        lambda: cp.multiply.reduceat(x, [0]),
    ):
        with pytest.raises(NotImplementedError):
            call()
    index = cp.asarray([0, 2, 0])
    a = cp.zeros(3)
    assert cp.add.at(a, index, cp.asarray([1.0, 2.0, 4.0])) is None
    assert a.tolist() == [5.0, 0.0, 2.0]
    assert cp.add.reduce(x, axis=1).tolist() == ON_HOST.sum(1).tolist()
    assert cp.add.accumulate(x).tolist() == np.add.accumulate(ON_HOST).tolist()
    assert cp.add.reduceat(x[0], cp.asarray([0, 1])).tolist() == np.add.reduceat(ON_HOST[0], [0, 1]).tolist()
    assert cp.subtract.outer(x[0], x[1]).tolist() == np.subtract.outer(ON_HOST[0], ON_HOST[1]).tolist()


@pytest.mark.parametrize("name", ["errstate", "vecdot", "nosuch", "np", "sys"])
def test_lacks_what_the_real_one_lacks(cp, name):
    with pytest.raises(AttributeError, match=f"module 'cupy' has no attribute '{name}'"):
        getattr(cp, name)


@pytest.mark.parametrize("name", ["RawKernel", "ElementwiseKernel", "mgrid"])
def test_says_what_it_does_not_offer(cp, name):
    with pytest.raises(AttributeError, match=f"cupy.{name} exists"):
        getattr(cp, name)


def test_offers_no_name_that_the_wheel_lacks(cp):
    """Also in the types; the stand-in's own needs are private."""
    names = ("cupy", "cupy.linalg", "cupyx", "cupyx.scipy.special", "cupyx.distributed")
    types = {"cupy.ndarray": cp.ndarray, "cupy.ufunc": cp.ufunc}
    types["cupyx.distributed.NCCLBackend"] = fake_cupy.distributed.NCCLBackend
    for title, real in {**{name: sys.modules[name] for name in names}, **types}.items():
        offered = {name for name in [*dir(real), *vars(real)] if not name.startswith("_")}
        assert offered, title
        assert offered <= set(NAMES[title]), title


def test_messages_between_gpus_take_the_real_parameters():
    functions = {"cupyx.distributed": ["init_process_group"], "cupyx.distributed.NCCLBackend": []}
    functions["cupyx.distributed.NCCLBackend"] = ["all_gather", "all_reduce", "recv", "reduce_scatter", "send"]
    for title, names in functions.items():
        owner = fake_cupy.distributed if title == "cupyx.distributed" else fake_cupy.distributed.NCCLBackend
        for name in names:
            found = str(inspect.signature(getattr(owner, name))).replace("(self, ", "(")
            assert found == NAMES[title][name], name


@pytest.mark.parametrize(
    "x, error, text",
    [
        (fake_cupy.cupy.zeros((4, 4))[:, ::2], RuntimeError, "c- or f-contiguous"),
        (fake_cupy.cupy.zeros(2, bool), TypeError, "Unknown dtype bool for NCCL"),
        (np.zeros(2), AttributeError, "ndarray"),
    ],
)
def test_what_real_messages_between_gpus_refuse(x, error, text):
    with pytest.raises(error, match=text):
        memory(x)


def test_nccl_sees_numbers_as_they_lie_in_memory():
    """An array of columns is sent as its transpose, without a word."""
    assert memory(fake_cupy.cupy.asarray(np.array([[1, 2], [3, 4]], order="F"))).tolist() == [1, 3, 2, 4]


def test_random_is_refused(cp):
    with pytest.raises(AttributeError, match="NumPy Generator"):
        cp.random.normal(size=3)


def test_dtypes_of_a_gpu(cp):
    for make in (lambda: cp.asarray(["a"]), lambda: cp.zeros(2, object), lambda: cp.zeros(2, np.longdouble)):
        with pytest.raises(ValueError, match="Unsupported dtype"):
            make()


def test_sorts_stably_only(cp, x):
    for call in (
        lambda: cp.sort(x, kind="quicksort"),
        lambda: x.argsort(kind="heapsort"),
        lambda: cp.argsort(x, kind="q"),
    ):
        with pytest.raises(ValueError, match="stable"):
            call()
    y = cp.asarray([3, 1, 2])
    assert y.sort() is None
    assert y.tolist() == [1, 2, 3]


# Values.

SAMPLE = {
    "exp": lambda xp, x: xp.exp(x),
    "scalar operators": lambda xp, x: (2 - x) * np.float64(3) / 4 + 1j,
    "numpy scalar first": lambda xp, x: np.float32(2) * x.astype(np.float32) - np.float64(1),
    "power": lambda xp, x: (x**2, 2.0**x, -x, abs(x), x // 1, x % 2, divmod(x, 2)),
    "compare": lambda xp, x: (x > 0, 0.25 >= x, x == 0.25, np.float64(0) < x, x != x[0]),
    "integers": lambda xp, x: (xp.arange(5) << 1, ~xp.arange(5), xp.arange(5) & 3, xp.arange(2, 7, 2, dtype=np.int32)),
    "sum": lambda xp, x: (x.sum(), xp.sum(x, axis=-1, keepdims=True), xp.sum(x > 0), x.mean(0), xp.max(x, axis=(0, 1))),
    "variance": lambda xp, x: (xp.var(x, axis=1, ddof=1), x.std(), x.prod(axis=0), xp.cumsum(x, axis=1), xp.ptp(x, 0)),
    "matmul": lambda xp, x: (x @ x.T, xp.matmul(x, x.T), x.dot(x.T), xp.tensordot(x, x, axes=2), xp.outer(x[0], x[1])),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, x, optimize=True),
    "shape": lambda xp, x: (
        x.reshape(3, 2),
        xp.reshape(x, -1),
        x.T,
        xp.moveaxis(x, 0, 1),
        xp.expand_dims(x, 0),
        x.ravel(),
    ),
    "join": lambda xp, x: (xp.concatenate([x, x], axis=1), xp.stack((x, x)), xp.split(x, 3, axis=1), xp.pad(x, 1)),
    "index": lambda xp, x: (x[0], x[0, 1], x[..., None], x[::-1], x[[1, 0]], x[x > 0], x[xp.asarray([1, 0]), 1:]),
    "select": lambda xp, x: (xp.where(x > 0, x, 0.0), xp.where(x > 0), xp.clip(x, 0, None), xp.maximum(x, 0)),
    "take": lambda xp, x: (x.take(xp.asarray([2, 0]), axis=1), xp.take_along_axis(x, xp.argsort(-x, axis=1), axis=1)),
    "sort": lambda xp, x: (xp.sort(-x), xp.argmax(x, axis=1), xp.unique(xp.sign(x)), xp.nonzero(x > 0)),
    "make": lambda xp, x: (
        xp.eye(3),
        xp.zeros((2, 2)),
        xp.full(2, 7.0),
        xp.linspace(0, 1, 5),
        xp.ones_like(x),
        xp.tri(3),
    ),
    "linalg": lambda xp, x: (
        xp.linalg.norm(x, axis=1),
        xp.linalg.inv(xp.eye(2) * 2),
        tuple(xp.linalg.slogdet(xp.eye(2))),
    ),
    "complex": lambda xp, x: ((x + 1j * x).imag, (x * 1j).conj(), x.real, x.imag, xp.abs(x * 1j)),
    "rest": lambda xp, x: (
        xp.isfinite(x),
        xp.count_nonzero(x),
        xp.allclose(x, x),
        xp.sign(x),
        xp.tril(x),
        xp.array_equal(x, x),
    ),
    "several outputs": lambda xp, x: (xp.modf(x), xp.broadcast_arrays(x, x[0]), xp.meshgrid(x[0], x[1])),
}


def same(ours, theirs, ndarray):
    """Equal values, shapes and dtypes; NumPy's numbers are 0-d arrays of ours."""
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, ndarray)
        return
    assert isinstance(ours, ndarray)
    theirs = np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours.get(), theirs)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("call", SAMPLE.values(), ids=SAMPLE)
def test_values_are_numpys(cp, call, dtype):
    host = ON_HOST.astype(dtype)
    same(call(cp, cp.asarray(host)), call(np, host), cp.ndarray)


def test_numbers_of_the_host_stay(cp, x):
    assert cp.shape(x) == (2, 3)
    assert cp.ndim(x) == 2
    assert cp.size(x) == 6
    assert cp.result_type(x, np.float32) == np.float64
    assert cp.iscomplexobj(x) is False
    assert (cp.float32, cp.pi, cp.newaxis) == (np.float32, np.pi, None)
    assert cp.finfo is np.finfo


def test_special_functions(cp):
    special = pytest.importorskip("scipy.special", reason="the stand-in takes special functions from SciPy")
    from cupyx.scipy.special import erf

    for dtype in (np.float64, np.float32):
        same(erf(cp.asarray(ON_HOST.astype(dtype))), special.erf(ON_HOST.astype(dtype)), cp.ndarray)
    assert erf(cp.zeros(2, np.float16)).dtype == np.float64
    assert not hasattr(sys.modules["cupyx.scipy.special"], "erf_zeros")


def test_scatter_add_warns(cp):
    import cupyx

    a = cp.zeros(2)
    with pytest.warns(DeprecationWarning):
        cupyx.scatter_add(a, cp.asarray([1, 1]), 2.0)
    assert a.tolist() == [0.0, 4.0]


# Identity, views, transfer.


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
def test_in_place_keeps_identity(cp, name):
    x, expected = cp.asarray(ON_HOST + 1), ON_HOST + 1
    view, update = x[0], getattr(operator, f"i{name}")
    assert update(x, 2) is x
    update(expected, 2)
    np.testing.assert_array_equal(x.get(), expected)
    np.testing.assert_array_equal(view.get(), expected[0])


def test_matmul_in_place_makes_a_new_array(cp):
    assert not hasattr(cp.ndarray, "__imatmul__")


def test_out_keeps_identity(cp, x):
    y, total = cp.empty_like(x), cp.zeros(3)
    assert cp.exp(x, out=y) is y
    assert cp.add(x, 1, y) is y
    assert cp.sum(x, axis=0, out=total) is total
    assert x.sum(0, out=total) is total
    assert total.tolist() == ON_HOST.sum(0).tolist()


VIEWS = {
    "slice": lambda cp, x: x[1:],
    "row": lambda cp, x: x[0],
    "entry": lambda cp, x: x[0, 0],
    "ellipsis": lambda cp, x: x[...],
    "reshape": lambda cp, x: x.reshape(3, 2),
    "cp.reshape": lambda cp, x: cp.reshape(x, 6),
    "ravel": lambda cp, x: x.ravel(),
    "T": lambda cp, x: x.T,
    "mT": lambda cp, x: x.mT,
    "transpose": lambda cp, x: cp.transpose(x, (1, 0)),
    "swapaxes": lambda cp, x: x.swapaxes(0, 1),
    "broadcast_to": lambda cp, x: cp.broadcast_to(x, (4, 2, 3)),
    "expand_dims": lambda cp, x: cp.expand_dims(x, 1),
    "split": lambda cp, x: cp.split(x, 2)[1],
    "flip": lambda cp, x: cp.flip(x, 0),
    "iteration": lambda cp, x: next(iter(x)),
    "of a view": lambda cp, x: x[1:].T[:, None],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_share(cp, x, view):
    y = view(cp, x)
    assert isinstance(y, cp.ndarray)
    assert y.base is x
    assert not y.flags.owndata
    assert cp.shares_memory(x, y) is True
    x[...] = 7.0
    assert bool((y == 7).all())


def test_copies_do_not_share(cp, x):
    for y in (x.copy(), cp.array(x), x.astype(float), x[[0, 1]], x + 0, x.flatten(), copy.copy(x), copy.deepcopy(x)):
        assert y.base is None
        assert y.flags.owndata
        assert not cp.shares_memory(x, y)
    restored = pickle.loads(pickle.dumps(x))
    assert type(restored) is cp.ndarray
    assert restored.tolist() == x.tolist()


def test_same_object_without_a_copy(cp, x):
    assert cp.asarray(x) is x
    assert cp.ascontiguousarray(x) is x
    assert x.astype(float, copy=False) is x
    assert x.astype(np.float32, copy=False) is not x
    assert x.sum().T is not None
    y = cp.zeros(3)
    assert y.T is y


def test_transfer_copies(cp):
    host = ON_HOST.copy()
    x = cp.asarray(host)
    back, again = x.get(), cp.asnumpy(x)
    host[...] = 5.0
    np.testing.assert_array_equal(x.get(), ON_HOST)
    x[...] = 6.0
    np.testing.assert_array_equal(back, ON_HOST)
    np.testing.assert_array_equal(again, ON_HOST)
    assert type(back) is type(again) is np.ndarray
    out = np.empty((2, 3))
    assert x.get(out=out) is out
    assert out.sum() == 36.0
    x.set(host)
    assert x.tolist() == host.tolist()
    assert cp.asarray([host, host]).shape == (2, 2, 3)
    assert cp.asnumpy([1, 2]).tolist() == [1, 2]


# The type.


def test_is_no_numpy_array(x):
    assert not isinstance(x, (np.ndarray, np.generic))
    assert str(type(x)) == "<class 'cupy.ndarray'>"
    assert weakref.ref(x)() is x
    with pytest.raises(TypeError):
        hash(x)
    with pytest.raises(AttributeError):
        x.anything = 1


def test_attributes(cp):
    x = cp.asarray(ON_HOST.astype(np.float32))
    assert (x.shape, x.strides, x.dtype, x.ndim, x.size) == ((2, 3), (12, 4), np.float32, 2, 6)
    assert (x.itemsize, x.nbytes, len(x)) == (4, 24, 2)
    assert x.flags.c_contiguous and not x.flags.f_contiguous and x.flags["OWNDATA"]
    assert x.T.flags.f_contiguous and not x.T.flags["C_CONTIGUOUS"]
    assert not hasattr(x.flags, "writeable")
    assert x.device == cp.cuda.Device(0)
    assert x[1:].data.ptr - x.data.ptr == 12
    assert [v.item() for v in x.flat] == x.get().ravel().tolist()


def test_numbers_of_size_one(cp, x):
    one = cp.asarray([[1.5]])
    assert (one.item(), bool(one), one.tolist()) == (1.5, True, [[1.5]])
    zero_d = one.sum()
    assert (zero_d.shape, float(zero_d), int(zero_d), complex(zero_d)) == ((), 1.5, 1, 1.5 + 0j)
    assert (f"{zero_d:.2f}", str(zero_d)) == ("1.50", "1.5")
    assert zero_d.get().shape == ()
    for call in (x.item, lambda: bool(x)):
        with pytest.raises(ValueError):
            call()
    for call in (lambda: float(x), lambda: len(zero_d), lambda: iter(zero_d)):
        with pytest.raises(TypeError):
            call()


def test_equality_with_strangers(cp, x):
    assert operator.eq(x, None).tolist() == [[False] * 3] * 2
    assert (x != object()).tolist() == [[True] * 3] * 2


class Stranger:
    """A type that answers `array + stranger`, if it is asked."""

    def __radd__(self, other):
        return "asked"

    __rmul__ = __radd__


def test_whom_operators_ask(x):
    """CuPy asks the right operand only if its `__array_ufunc__` is None or its priority is higher."""
    with pytest.raises(TypeError):
        x + Stranger()
    assert x + type("Opted", (Stranger,), {"__array_ufunc__": None})() == "asked"
    assert x * type("Prior", (Stranger,), {"__array_priority__": 1000})() == "asked"
    with pytest.raises(TypeError):
        x += type("Opted", (Stranger,), {"__array_ufunc__": None})()


# The modules.


def test_install_puts_back(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupyx", types.ModuleType("cupyx"))
    before = {name: sys.modules.get(name) for name in fake_cupy.MODULES}
    with fake_cupy.installed() as outer:
        import cupy
        import cupyx.scipy.special  # noqa: F401

        assert cupy is outer is sys.modules["cupy"]
        assert importlib.util.find_spec("cupy") is not None
        with fake_cupy.installed() as inner:
            assert inner is outer
        assert sys.modules["cupy"] is outer
    assert {name: sys.modules.get(name) for name in fake_cupy.MODULES} == before


def test_device(cp, x):
    assert cp.is_available() is True
    assert cp.cuda.runtime.getDeviceCount() == 1
    with cp.cuda.Device(0) as device:
        device.synchronize()
    cp.cuda.Stream.null.synchronize()
    assert cp.get_default_memory_pool().used_bytes() == 0
    assert cp.get_array_module(x) is cp
    assert cp.get_array_module(ON_HOST, 1.0) is np
    with pytest.raises(ValueError):
        cp.cuda.Device(1)


def test_snapshot_is_the_wheels():
    """`names.txt` says what the real package says."""
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("the real CuPy is not installed, so the snapshot has nothing to be compared with")
    import cupy
    from fake_cupy import snapshot

    if cupy.__version__ != VERSION:
        pytest.skip(f"the snapshot is of CuPy {VERSION}, and CuPy {cupy.__version__} is installed")
    for title, (real, _) in snapshot.sections().items():
        assert sorted(NAMES[title]) == sorted(dir(real)), title
        for name, written in NAMES[title].items():
            if written.startswith("("):
                assert snapshot.parameters(getattr(real, name)) == written, name
