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
