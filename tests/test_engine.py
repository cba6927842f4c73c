"""The one walk back: deep and wide graphs, memory, stale graphs, aliasing, copies, switches, hooks."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from differences import assert_close

import minicl as mc


@pytest.fixture
def no_gc():
    """What is freed, is freed by counting references: there are no circles."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*shape, seed=0):
    return mc.tensor(np.random.default_rng(seed).standard_normal(shape))


# ------------------------------------------------------------------------------------------------ the size of a graph


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_chain_of_100_000_operations(differentiable):
    start = time.perf_counter()
    x = mc.tensor(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y = y * y
    g = mc.grad(y, x, differentiable=differentiable)
    assert_close(mc.to_numpy(g), np.array(4.0), 1e-9)
    if differentiable:
        assert_close(mc.grad(g, x), np.array(2.0), 1e-12)
    assert time.perf_counter() - start < 20
    del y, g  # freeing it must not recurse either


def test_60_nested_diamonds():
    """2⁶⁰ paths, 120 operations: each Tensor is walked through once."""
    start = time.perf_counter()
    x = mc.tensor(1.0)
    y = x
    for _ in range(60):
        y = y * 0.5 + y * 0.5
    assert mc.grad(y, x) == 1.0
    g = mc.grad(y, x, differentiable=True)
    assert g.item() == 1.0
    assert time.perf_counter() - start < 2


def test_a_wide_graph_visits_each_tensor_once():
    seen = []
    x = mc.tensor(2.0)
    middle = x * 3
    middle.hook(lambda g: seen.append(g.item()))
    y = sum((middle * k for k in range(5)), mc.tensor(0.0))
    assert mc.grad(y, x) == 30.0
    assert seen == [10.0]


def test_only_what_lies_between_is_walked(no_gc):
    """Tensors older than every wanted input are skipped: their vjps do not run."""
    ran = []

    @mc.primitive
    def loud(xp, x):
        return x * 1

    loud.defvjp(lambda g, y, x: ran.append(1) or g)
    x = leaf(3)
    middle = loud(x)
    y = (middle * 2).sum()
    mc.grad(y, middle)
    assert not ran
    mc.grad(y, x)
    assert ran == [1]


def test_a_rule_runs_only_for_a_wanted_argument():
    ran = []

    @mc.primitive
    def product(xp, a, b):
        return a * b

    product.defvjp(lambda g, y, a, b: ran.append("a") or g * b, lambda g, y, a, b: ran.append("b") or g * a)
    a, b = mc.tensor(2.0), mc.tensor(3.0)
    mc.grad(product(a, b), b)
    assert ran == ["b"]
    ran.clear()
    mc.grad(product(a, 3.0), a)
    assert ran == ["a"]


# ------------------------------------------------------------------------------------------------------------- memory


def test_a_step_is_freed_without_the_garbage_collector(no_gc):
    x = leaf(3, 5)
    h = mc.exp(x)
    y = (h * h).sum()
    g = mc.grad(y, x)
    again = mc.grad(y, x, differentiable=True)
    y.backward()
    alive = [weakref.ref(t) for t in (h, y, again)] + [weakref.ref(h.data), weakref.ref(g)]
    del h, y, g, again
    assert [r() for r in alive] == [None] * 5


def test_everything_that_makes_a_graph_is_freed(no_gc):
    x = leaf(3, 5)

    def step():
        inner = mc.checkpoint(lambda a: mc.tanh(a) * 2, x)
        parts = mc.concatenate([inner, mc.relu(x)])
        loss = mc.cross_entropy(parts @ mc.tensor(np.ones((5, 7))), np.arange(6))
        loss.hook(lambda g: None)
        g = mc.grad(loss, x, differentiable=True)
        total = (g * g).sum()
        mc.grad(total, x)
        mc.hvp(lambda t: (t**3).sum(), x.data, x.data)
        mc.jvp(lambda t: t**2, x.data, x.data)
        return [weakref.ref(t) for t in (inner, parts, loss, g, total)]

    assert [r() for r in step()] == [None] * 5


def test_memory_does_not_grow_from_step_to_step(no_gc):
    x = leaf(100, 100)

    def step():
        y = x
        for _ in range(10):
            y = mc.tanh(y @ x)
        mc.grad(y.sum(), x)

    step()
    tracemalloc.start()
    step()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        step()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 10_000
    assert peak < 3e6  # 20 arrays of 80 kB are kept for the walk, and a few are in work


def test_no_grad_frees_intermediate_values_at_once(no_gc):
    x = leaf(100, 100)
    tracemalloc.start()
    with mc.no_grad():
        y = x
        for _ in range(30):
            y = y * 1.01
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.data.nbytes


def test_an_intermediate_gradient_is_freed_during_the_walk(no_gc):
    """At each moment a chain has two cotangents, not all of them."""
    x = leaf(100, 100)
    y = x
    for _ in range(50):
        y = y * 1.01
    y = y.sum()
    tracemalloc.start()
    mc.grad(y, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.data.nbytes


# -------------------------------------------------------------------------------------------------------- stale graphs


def assigned_by_data(p):
    p.data = p.data + 1


def changed_in_place(p):
    p.data -= 0.1


def set_by_index(p):
    p[...] = 0.0


def set_one_entry(p):
    p[0] = 7.0


assignments = pytest.mark.parametrize("assign", [assigned_by_data, changed_in_place, set_by_index, set_one_entry])


@assignments
@pytest.mark.parametrize("differentiable", [False, True])
def test_a_stale_graph_is_refused(assign, differentiable):
    p = leaf(3)
    y = (p * p).sum()
    assign(p)
    with pytest.raises(ValueError, match=r"stale graph.*shape \(3,\).*'multiply'.*Compute the output again"):
        mc.grad(y, p, differentiable=differentiable)
    with pytest.raises(ValueError, match="stale graph"):
        y.backward()
    assert_close(mc.grad((p * p).sum(), p), 2 * p.data, 1e-15)


@assignments
def test_a_stale_parameter_older_than_all_that_is_wanted(assign):
    """Its new value makes the kept numbers wrong, though nobody asks for its own gradient."""
    p = leaf(3)
    x = leaf(3, seed=1)  # younger than p
    y = (mc.exp(x) * p).sum()
    assign(p)
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(y, x)


@assignments
def test_a_stale_parameter_deep_in_the_graph(assign):
    """The assigned Tensor is no direct input of the output."""
    p, x = leaf(3), leaf(3, seed=1)
    y = mc.tanh(mc.exp(x * p) + 1).sum()
    assign(p)
    for wanted in (x, p):
        with pytest.raises(ValueError, match="stale graph.*'multiply'"):
            mc.grad(y, wanted)


def test_a_stale_graph_inside_a_checkpoint():
    p, x = leaf(3), leaf(3, seed=1)
    y = mc.checkpoint(lambda x: mc.tanh(x * p), x).sum()
    p.data = p.data * 2
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(y, x)


def test_an_assignment_before_the_graph_is_no_harm():
    p = leaf(3)
    p.data = np.ones(3)
    y = (p * p).sum()
    assert_close(mc.grad(y, p), np.full(3, 2.0), 1e-15)


def test_an_assignment_to_what_the_graph_does_not_use_is_no_harm():
    p, other = leaf(3), leaf(3)
    y = (p * p).sum()
    other.data = np.ones(3)
    assert_close(mc.grad(y, p), 2 * p.data, 1e-15)
    assert_close(mc.grad(y, other), np.zeros(3), 0.0)


def test_an_assignment_after_the_branch_that_is_wanted():
    """A stale part that the gradient does not pass through is left alone."""
    p, x = leaf(3), leaf(3, seed=1)
    old = (p * 2).sum()
    p.data = p.data + 1
    new = (p * x).sum()
    assert_close(mc.grad(new, [p, x]), [x.data, p.data], 1e-15)
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(old + new, p)


def test_assigning_keeps_shape_dtype_and_takes_a_copy():
    p = mc.tensor(np.zeros(3, np.float32))
    new = np.arange(3.0)
    p.data = new
    new[:] = 9
    assert p.dtype == np.float32 and p.data.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"cannot assign shape \(2,\) to a Tensor of shape \(3,\)"):
        p.data = np.zeros(2)
    assert p.data.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="result of 'multiply'"):
        (p * 2).data = np.zeros(3)


def test_a_detached_tensor_does_not_see_an_assignment_by_index():
    p = leaf(3)
    before = p.detach()
    values = before.data.copy()
    p[0] = 100.0
    assert before.data.tolist() == values.tolist()


# ------------------------------------------------------------------------------------------------------------ aliasing


@mc.primitive
def itself(xp, x):
    return x


itself.defvjp(lambda g, y, x: g)

ALIASING = {
    "add": lambda a, b: a + b,
    "add one to itself": lambda a, b: a + a + b + b,
    "subtract": lambda a, b: b - (-a),
    "reshape": lambda a, b: a.reshape(6).reshape(2, 3) + b,
    "transpose": lambda a, b: a.T.T + b,
    "slice": lambda a, b: a[:] + b[...],
    "user primitive": lambda a, b: itself(a) + itself(b),
    "identity": lambda a, b: +a + +b,
    "concatenate": lambda a, b: mc.concatenate([a, b])[:2] + b,
    "where": lambda a, b: mc.where(True, a, b) + b,
    "broadcast": lambda a, b: mc.broadcast_to(a, shape=(2, 3)) + mc.broadcast_to(b, shape=(2, 3)),
    "to_device": lambda a, b: a.to("cpu") + b.astype(np.float64),
    "stack": lambda a, b: mc.stack([a, b]).sum(axis=0),
    "input itself": lambda a, b: a,
}


def share_memory(arrays):
    return any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])


@pytest.mark.parametrize("name", ALIASING)
@pytest.mark.parametrize("differentiable", [False, True])
def test_gradients_alias_nothing(name, differentiable):
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    y = ALIASING[name](a, b)
    c = np.random.default_rng(2).standard_normal((2, 3))
    kept = c.copy()
    gradients = mc.grad(y, [a, b, a, y], cotangent=c, differentiable=differentiable)
    arrays = [mc.to_numpy(g) for g in gradients]
    assert not share_memory([*arrays, c, a.data, b.data])
    values = [g.copy() for g in arrays]
    for k, g in enumerate(arrays):
        assert g.flags.writeable and g.flags.c_contiguous
        g *= 0  # as a student clips in place
        for other, value in zip(arrays[k + 1 :], values[k + 1 :]):
            assert other.tolist() == value.tolist()
    assert c.tolist() == kept.tolist()


@pytest.mark.parametrize("name", ALIASING)
def test_backward_aliases_nothing(name):
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    c = np.ones((2, 3))
    ALIASING[name](a, b).backward(c)
    grads = [t.grad for t in (a, b) if t.grad is not None]
    assert not share_memory([*grads, c, a.data, b.data])
    kept = [g.copy() for g in grads]
    ALIASING[name](a, b).backward(c)
    for t, g in zip((a, b), kept):
        assert_close(t.grad, 2 * g, 1e-15)


def test_a_tensor_cotangent_is_not_aliased():
    x, c = leaf(3), mc.tensor(np.ones(3))
    for differentiable in (False, True):
        g = mc.grad(x + 0, x, cotangent=c, differentiable=differentiable)
        assert not np.shares_memory(mc.to_numpy(g), c.data)


def test_a_hook_gets_a_private_copy():
    x = leaf(3)
    y = x + 1
    kept = []
    y.hook(lambda g: kept.append(g))
    g = mc.grad(y.sum(), x)
    kept[0] *= 100
    assert g.tolist() == [1, 1, 1]


def test_a_primitive_that_returns_its_input_is_a_tensor_of_its_own():
    x = leaf(3)
    y = itself(x)
    assert y is not x
    gx, gy = mc.grad((x * y).sum(), [x, y])
    assert_close(gy, x.data, 1e-15)
    assert_close(gx, 2 * x.data, 1e-15)


# -------------------------------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t)), mc.tensor])
def test_a_copy_is_an_independent_leaf(clone):
    a = mc.tensor(np.array([1.0, 2.0], np.float32))
    b = clone(a)
    assert b.origin is None and b.birth > a.birth and b.dtype == np.float32 and b.grad is None
    assert not np.shares_memory(a.data, b.data)
    assert_close(mc.grad((2 * a + 3 * b).sum(), [a, b]), [[2, 2], [3, 3]], 0.0)
    b.data -= 1
    assert a.data.tolist() == [1, 2]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_of_a_result_carries_no_graph(clone):
    a = leaf(3)
    y = a * 2
    b = clone(y)
    assert b.origin is None
    assert mc.grad(b.sum(), a).tolist() == [0, 0, 0]


def test_a_deep_copy_keeps_shared_parameters_shared():
    a = leaf(3)
    first, second = copy.deepcopy([a, a])
    assert first is second and first is not a


def test_a_copied_parameter_is_not_stale():
    p = leaf(3)
    p.data = np.ones(3)
    q = copy.deepcopy(p)
    assert mc.grad((q * q).sum(), q).tolist() == [2, 2, 2]


# ------------------------------------------------------------------------------------------- which inputs may be asked


def test_intermediate_inputs():
    x = mc.tensor(2.0)
    h = x * x
    y = h * x
    assert mc.grad(y, [y, h, x]) == [1.0, 2.0, 12.0]
    assert mc.grad(y, [x, h]) == [12.0, 2.0]
    assert mc.grad(y, h) == 2.0


def test_repeated_inputs():
    x = leaf(3)
    first, second = mc.grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() and not np.shares_memory(first, second)


@pytest.mark.parametrize("differentiable", [False, True])
def test_output_equals_input(differentiable):
    x = mc.tensor([1.0, 2.0])
    c = np.array([3.0, 4.0])
    g = mc.grad(x, x, cotangent=c, differentiable=differentiable)
    assert mc.to_numpy(g).tolist() == [3, 4]
    y = x * 2
    gy, gx = mc.grad(y, [y, x], cotangent=c, differentiable=differentiable)
    assert mc.to_numpy(gy).tolist() == [3, 4] and mc.to_numpy(gx).tolist() == [6, 8]


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_unrelated_input_gets_zeros(differentiable, dtype):
    x, other = mc.tensor(2.0), mc.tensor(np.ones((2, 3), dtype))
    g = mc.grad(x * x, [other, x], differentiable=differentiable)[0]
    assert isinstance(g, mc.Tensor) is differentiable
    g = mc.to_numpy(g)
    assert g.dtype == dtype and g.shape == (2, 3) and not g.any() and g.flags.writeable
    late = mc.tensor(1.0)  # younger than the output
    assert mc.grad(x * x, [late, x])[0] == 0.0


def test_no_inputs_is_an_empty_list():
    assert mc.grad(mc.tensor(1.0) * 2, []) == []
    assert mc.grad(mc.tensor(1.0) * 2, ()) == []


def test_any_sequence_of_inputs():
    x = mc.tensor(2.0)
    assert mc.grad(x * x, (x,)) == [4.0]
    assert mc.grad(x * x, iter([x])) == [4.0]


def test_grad_stores_nothing():
    x = mc.tensor(2.0)
    y = x**3
    assert mc.grad(y, x) == mc.grad(y, x) == 12.0
    assert x.grad is None and y.grad is None


def test_mixed_dtypes_give_each_input_its_own():
    a, b = mc.tensor(np.ones(3, np.float32)), mc.tensor(np.ones(3, np.float64))
    h = mc.tensor(np.ones(3, np.float16))
    y = (a * b * h).sum()
    assert y.dtype == np.float64
    for differentiable in (False, True):
        gradients = mc.grad(y, [a, b, h], differentiable=differentiable)
        assert [g.dtype for g in gradients] == [np.float32, np.float64, np.float16]


# ------------------------------------------------------------------------------------------------------------ backward


def test_backward_fills_the_leaves_alone():
    x, unrelated = leaf(3), leaf(3)
    h = x * x
    y = h.sum()
    y.backward()
    assert_close(x.grad, 2 * x.data, 1e-15)
    assert type(x.grad) is np.ndarray
    assert h.grad is None and y.grad is None and unrelated.grad is None


def test_backward_twice_doubles_and_corrupts_nothing():
    x = leaf(3)
    h = mc.exp(x)
    y = (h * x).sum()
    y.backward()
    once = x.grad.copy()
    y.backward()
    assert_close(x.grad, 2 * once, 1e-15)
    assert_close(mc.grad(y, x), once, 1e-15)
    x.grad = None
    y.backward()
    assert_close(x.grad, once, 1e-15)


def test_backward_of_a_leaf_and_with_a_cotangent():
    x = leaf(3)
    x.backward(np.array([1.0, 2.0, 3.0]))
    assert x.grad.tolist() == [1, 2, 3]
    y = x * 2
    y.backward([1.0, 0.0, 0.0])
    assert x.grad.tolist() == [3, 2, 3]


def test_backward_ignores_integer_leaves():
    x, k = mc.tensor([1.0, 2.0]), mc.tensor([3, 4])
    (x * k).sum().backward()
    assert x.grad.tolist() == [3, 4] and k.grad is None


# ------------------------------------------------------------------------------------------------- no_grad and threads


def test_no_grad_records_nothing():
    x = mc.tensor(2.0)
    with mc.no_grad():
        y = x * x
        assert isinstance(y, mc.Tensor) and y.origin is None
    with pytest.raises(ValueError, match="under no_grad"):
        mc.grad(y, x)
    with pytest.raises(ValueError, match="under no_grad"):
        y.backward()
    assert mc.grad(y * x, x) == 4.0  # a constant from then on
    assert mc.grad(y * 2, y) == 2.0  # and a leaf
    assert (x * x).origin is not None


def test_no_grad_as_a_decorator_and_nested():
    @mc.no_grad()
    def f(x):
        return x * x

    x = mc.tensor(2.0)
    assert f(x).origin is None and (x * x).origin is not None
    with mc.no_grad():
        with mc.no_grad():
            pass
        assert (x * x).origin is None
        with mc.enable_grad():
            assert (x * x).origin is not None
        assert (x * x).origin is None
    assert f.__name__ == "f"


def test_no_grad_ends_with_an_error():
    x = mc.tensor(2.0)
    with pytest.raises(ZeroDivisionError), mc.no_grad():
        raise ZeroDivisionError
    assert (x * x).origin is not None


def test_no_grad_as_a_recursive_decorator():
    @mc.no_grad()
    def f(x, depth):
        return f(x, depth - 1) if depth else x * x

    x = mc.tensor(2.0)
    assert f(x, 3).origin is None
    assert (x * x).origin is not None


def test_no_grad_is_for_its_own_thread():
    entered, done = threading.Event(), threading.Event()

    def other():
        with mc.no_grad():
            entered.set()
            done.wait(5)

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait(5)
    x = mc.tensor(2.0)
    y = x * x
    done.set()
    thread.join()
    assert mc.grad(y, x) == 4.0


def test_threads_share_leaves_and_do_not_mix():
    x = leaf(50)
    found = {}

    def work(k):
        for _ in range(50):
            y = (x * k).sum()
            for _ in range(10):
                y = y * 1.0
            found.setdefault(k, []).append(mc.grad(y, x))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        assert len(found[k]) == 50 and all((g == k).all() for g in found[k])


def test_derivatives_work_inside_no_grad():
    with mc.no_grad():
        value, (g,) = mc.value_and_grad(lambda x: (x * x).sum(), [1.0, 2.0])
        assert value == 5.0 and g.tolist() == [2, 4]
        assert mc.hessian(lambda x: (x**3).sum(), [1.0]).tolist() == [[6.0]]


def test_stop_gradient():
    x = mc.tensor(3.0)
    assert mc.grad(x * mc.stop_gradient(x), x) == 3.0
    assert mc.grad(x * x.detach(), x) == 3.0
    assert mc.grad(mc.stop_gradient(x * x), x) == 0.0
    bare = np.ones(3)
    assert mc.stop_gradient(bare) is bare


# --------------------------------------------------------------------------------------------------------------- hooks


def test_a_hook_sees_the_complete_cotangent():
    x = mc.tensor(2.0)
    h = x * x
    seen = []
    h.hook(lambda g: seen.append(g.item()))
    y = h * 3 + h * 5
    mc.grad(y, x)
    assert seen == [8.0]
    mc.grad(y, x)
    assert seen == [8.0, 8.0]


def test_a_hook_may_replace_the_cotangent():
    x = mc.tensor([1.0, 2.0])
    h = x * 1
    remove = h.hook(lambda g: g * 10)
    y = (h * h).sum()
    assert mc.grad(y, x).tolist() == [20, 40]
    remove()
    assert mc.grad(y, x).tolist() == [2, 4]
    remove()  # a second time is no harm


def test_hooks_run_in_order_on_inputs_and_leaves():
    x = mc.tensor(1.0)
    seen = []
    x.hook(lambda g: seen.append("first") or g + 1)
    x.hook(lambda g: seen.append("second") or g * 10)
    assert mc.grad(x * 2, x) == 30.0
    assert seen == ["first", "second"]
    (x * 2).backward()
    assert x.grad == 30.0


def test_a_hook_works_in_a_differentiable_walk():
    x = mc.tensor(2.0)
    h = x * x
    remove = h.hook(lambda g: g * h)
    g = mc.grad(h * h, x, differentiable=True)  # 2h · h · 2x = 4x⁵
    assert g.item() == 4 * 2**5
    assert mc.grad(h * h, x) == 4 * 2**5
    remove()
    assert_close(mc.grad(g, x), np.array(20.0 * 2**4), 1e-14)


def test_what_a_hook_returns_keeps_the_dtype():
    x = mc.tensor(np.ones(2, np.float32))
    x.hook(lambda g: g * np.array([1.0, 2.0]))
    g = mc.grad((x * 1).sum(), x)
    assert g.dtype == np.float32 and g.tolist() == [1, 2]


def test_a_hook_that_returns_another_shape_is_refused():
    x = mc.tensor([1.0, 2.0])
    h = x * 1
    h.hook(lambda g: g.sum())
    with pytest.raises(ValueError, match=r"hook.*\(\).*\(2,\)"):
        mc.grad(h.sum(), x)


# ----------------------------------------------------------------------------------------------------- detect_anomaly


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_anomaly_names_the_operation_where_nan_begins():
    x = mc.tensor([1.0, -1.0])
    with mc.detect_anomaly(), pytest.raises(FloatingPointError, match=r"log\(float64 \(2,\)\).*NaN.*begins here"):
        mc.exp(mc.log(x))
    assert np.isnan(mc.log(x).data).any()  # off again


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_anomaly_says_that_nan_came_in():
    x = mc.tensor([np.nan, 1.0])
    with mc.detect_anomaly(), pytest.raises(FloatingPointError, match="multiply.*argument 0 held NaN"):
        x * 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_anomaly_names_the_operation_of_the_walk_back():
    x = mc.tensor(0.0)
    y = mc.sqrt(x) * 0.0  # 0 · ∞ in the vjp of sqrt
    assert np.isnan(mc.grad(y, x))
    for differentiable in (False, True):
        with mc.detect_anomaly(), pytest.raises(FloatingPointError, match=r"(sqrt|divide).*NaN"):
            mc.grad(y, x, differentiable=differentiable)
    with mc.detect_anomaly(), pytest.raises(FloatingPointError, match="sqrt"):
        mc.grad(y, x)


def test_anomaly_is_quiet_about_sound_code():
    x = leaf(3, 5)
    with mc.detect_anomaly():
        y = mc.softmax(x @ mc.tensor(np.ones((5, 2)))).sum()
        mc.grad(y, x)
        k = mc.tensor([1, 2]) + 1  # integers have no NaN
    assert k.dtype.kind == "i"


# -------------------------------------------------------------------------------------------------------------- import

HEAVY = ("scipy", "matplotlib", "sklearn", "cupy", "torch", "IPython", "pandas", "ipywidgets")


def test_import_loads_numpy_and_nothing_heavier():
    program = f"import sys, minicl; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_import_takes_less_than_150_ms():
    program = "import time, numpy; t = time.perf_counter(); import minicl; print(time.perf_counter() - t)"
    best = min(
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )
    assert best < 0.15
