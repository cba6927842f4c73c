"""Work in several threads: results in order, errors that arrive, BLAS held to one thread, and the same bits always."""

import os
import threading

import numpy as np
import pytest
import threadpoolctl

import minicl as mc
from minicl import conv, threads, winograd
from minicl.nn import norms
from minicl.threads import in_parallel, workers


def blas_threads():
    return [info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def all_libraries():
    """A test that ran before in this process may have loaded a BLAS of its own (SciPy has one)."""
    threads._blas.cache_clear()


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


def test_results_stand_in_the_order_of_the_parts(two):
    assert in_parallel(lambda k: k * k, range(40)) == [k * k for k in range(40)]
    assert in_parallel(len, []) == []


def test_two_threads_work_at_the_same_time(two):
    """Each part waits for the other one: with one thread this would never end."""
    meeting = threading.Barrier(2, timeout=30)
    found = in_parallel(lambda _: (meeting.wait(), threading.get_ident())[1], [0, 1])
    assert len(set(found)) == 2


@pytest.mark.parametrize("n", ["1", "2"])
def test_blas_has_one_thread_inside_and_its_own_again_afterwards(n, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", n)
    before = blas_threads()
    inside = in_parallel(lambda _: blas_threads(), [0, 1, 2])
    assert all(k == 1 for found in inside for k in found)
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda k: 1 / k, [1, 0, 1])
    assert blas_threads() == before


def test_within_itself_it_makes_no_more_threads(two):
    names = in_parallel(lambda _: in_parallel(lambda _: threading.get_ident(), range(5)), range(4))
    assert all(len(set(inner)) == 1 for inner in names)


def test_errstate_of_the_caller_holds_in_the_threads(two):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        in_parallel(lambda k: np.ones(3) / np.zeros(3), [0, 1])


@pytest.mark.parametrize("value, expected", [("3", 3), ("2,1", 2), ("", None), ("0", None), ("many", None)])
def test_how_many_threads(value, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert workers() == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_process_has_threads_of_its_own(two):
    in_parallel(abs, [1, 2])
    child = os.fork()
    if not child:
        os._exit(0 if in_parallel(abs, [-1, -2, -3]) == [1, 2, 3] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def in_child(f):
    """Whether f() is true in a child process that is made here."""
    child = os.fork()
    if not child:
        code = 2
        try:
            code = 0 if f() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("here", [False, True])
def test_a_child_made_while_threads_work_has_all_threads_of_blas(here, two):
    """Made by a thread that waits beside them, and by one of those that work; the parent keeps its limit."""
    working, done = threading.Event(), threading.Event()
    found = []

    def work(k):
        if k == 0 and here:
            found.append(in_child(as_before))
        working.set()
        return done.wait(30), blas_threads()

    def as_before():
        threads_of_blas = blas_threads()
        with threads.one_blas_thread:
            limited = blas_threads()
        again = in_parallel(lambda _: blas_threads(), [0, 1])
        return (
            threads_of_blas == blas_threads() == [2] * len(threads_of_blas)
            and all(n == [1] * len(n) for n in (limited, *again))
            and not threads._inside.get()
        )

    with threadpoolctl.threadpool_limits(2):
        parent = []
        other = threading.Thread(target=lambda: parent.extend(in_parallel(work, [0, 1, 2])))
        other.start()
        assert working.wait(30)
        if not here:
            found.append(in_child(as_before))
        done.set()
        other.join()
        assert found == [True]
        assert len(parent) == 3 and all(n == 1 for _, blas in parent for n in blas)
        assert all(n == 2 for n in blas_threads())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_may_leave_where_its_parent_went_in():
    def leaves():
        threads.one_blas_thread.__exit__()
        with threads.one_blas_thread:
            limited = blas_threads()
        return threads.one_blas_thread.inside == 0 and all(n == 1 for n in limited)

    with threads.one_blas_thread:
        assert in_child(leaves)
    assert threads.one_blas_thread.inside == 0


def test_any_thread_may_set_blas_and_another_one_set_it_back():
    """What one thread set first is not its own: the second thread in here, and the last one out, count as much."""
    seen, here, gone = [], threading.Event(), threading.Event()

    def other():
        with threads.one_blas_thread:
            seen.append(blas_threads())
            here.set()
            gone.wait(30)

    with threadpoolctl.threadpool_limits(2):
        with threads.one_blas_thread:
            pass
        for first_out in (False, True):
            here.clear(), gone.clear()
            thread = threading.Thread(target=other)
            if first_out:  # this thread goes in first, and leaves first
                threads.one_blas_thread.__enter__()
            thread.start()
            assert here.wait(30)
            if first_out:
                threads.one_blas_thread.__exit__()
            gone.set()
            thread.join()
            assert all(n == 2 for n in blas_threads())
    assert len(seen) == 2 and all(n == 1 for found in seen for n in found)


def test_an_error_on_the_way_in_leaves_nobody_inside(monkeypatch):
    def broken():
        raise OSError("no library")

    before = blas_threads()
    with monkeypatch.context() as patch:
        patch.setattr(threads, "_blas", broken)
        with pytest.raises(OSError, match="no library"):
            in_parallel(abs, [1, 2])
    assert threads.one_blas_thread.inside == 0 and in_parallel(abs, [-1, -2]) == [1, 2]
    assert blas_threads() == before


# ------------------------------------------------------------------------------------------------- the same bits always


def value_and_gradients(f, arrays, **params):
    leaves = [mc.tensor(a) for a in arrays]
    y = f(*leaves, **params)
    c = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
    return [y.data, *mc.grad(y, leaves, cotangent=c)]


def normals(*shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


WORK = {
    "conv2d": lambda: value_and_gradients(mc.conv2d, normals((67, 9, 9, 3), (3, 3, 3, 5)), stride=2, padding=1),
    "winograd": lambda: value_and_gradients(mc.conv2d, normals((67, 9, 9, 32), (3, 3, 32, 40)), padding=1),
    "one part": lambda: value_and_gradients(mc.conv2d, normals((2, 12, 12, 16), (3, 3, 16, 80)), padding=1, stride=2),
    "many channels": lambda: value_and_gradients(mc.conv2d, normals((1, 8, 8, 128), (3, 3, 128, 128)), padding=1),
    "batch_norm": lambda: value_and_gradients(
        norms._batch_norm, [*normals((20_003, 33), 33, 33)], rectify=True, moments=None
    ),
    "step": lambda: value_and_gradients(mc.nn.ConvNet(rng=0), normals((40, 12, 12, 1))),
}


@pytest.mark.parametrize("name", WORK)
def test_the_number_of_threads_changes_no_bit(name, monkeypatch):
    alone = name in ("one part", "many channels")  # where BLAS would use its own threads
    monkeypatch.setattr(conv, "CACHE", conv.CACHE if alone else 2**14)
    monkeypatch.setattr(winograd, "CACHE", winograd.CACHE if alone else 2**20)
    monkeypatch.setattr(norms, "BLOCK", 2**14)
    parts = []
    kept = threads.in_parallel

    def counted(f, todo):
        parts.append(len(todo))
        return kept(f, todo)

    for module in (conv, winograd, norms):
        monkeypatch.setattr(module, "in_parallel", counted)
    results = []
    for n in ("1", "2", "3", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", n)
        with threadpoolctl.threadpool_limits(int(n)):
            results.append(WORK[name]())
    assert max(parts) == 1 if alone else max(parts) > 3
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))
