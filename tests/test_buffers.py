"""Memory that is used again never belongs to two arrays at a time."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl import buffers

SIZE = buffers.LARGE // 4  # float32 numbers that are just enough


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(buffers, "_pieces", [])


def pieces():
    return len(buffers._pieces)


def test_memory_is_used_again_when_its_last_user_is_gone():
    a = buffers.empty((SIZE,), np.float32)
    there = a.ctypes.data
    view = a[5:9]
    del a
    b = buffers.empty((SIZE,), np.float32)  # the view is alive
    assert not np.shares_memory(view, b) and pieces() == 2
    del view
    c = buffers.empty((2, SIZE // 2), np.float32)
    assert c.ctypes.data == there and pieces() == 2


def test_small_arrays_and_other_sizes_are_new():
    assert buffers.empty((3,), np.float64).base is None and pieces() == 0
    assert buffers.empty((0, 5), np.float32).shape == (0, 5)
    buffers.empty((4 * SIZE,), np.float32)
    buffers.empty((SIZE,), np.float32)  # four times as large would be a waste
    assert pieces() == 2


def test_no_more_than_the_limit_is_kept(monkeypatch):
    monkeypatch.setattr(buffers, "LIMIT", 8 * buffers.LARGE)
    for k in range(1, 30):
        buffers.empty((k * SIZE,), np.float32)
        assert sum(piece.nbytes for piece in buffers._pieces) <= max(buffers.LIMIT, 4 * k * SIZE)
    held = [buffers.empty((SIZE,), np.float32) for _ in range(3)]
    buffers.release()
    assert pieces() == len(held)
    del held
    buffers.release()
    assert pieces() == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["float32", "float64", "int8"]))))
def test_arrays_that_are_alive_share_nothing(steps):
    """A list of arrays, some of them views, of which now and then one is dropped; each keeps the number written to it."""
    alive = {}
    for number, (place, size, dtype) in enumerate(steps):
        alive.pop(place, None)
        if size:
            a = buffers.empty((size, SIZE), dtype)
            a[:] = number % 100
            alive[place] = (a[size - 1 :] if number % 2 else a, number % 100)
        for a, kept in alive.values():
            assert (a[..., ::4097] == kept).all() and (a[..., -1] == kept).all()


def test_threads_get_memory_of_their_own():
    wrong = []

    def work(number):
        for _ in range(200):
            a = buffers.empty((SIZE,), np.float32)
            a[:] = number
            if not (a == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_nobody_waits_for_the_list():
    """The garbage collector may call from within `empty`, and a fork may come while a thread is in it."""
    with buffers._lock:
        a = buffers.empty((SIZE,), np.float32)
    assert a.base is None and pieces() == 0
    assert buffers.empty((SIZE,), np.float32).base is not None  # and the list is free again


def test_without_exact_counts_nothing_is_used_again(monkeypatch):
    monkeypatch.setattr(buffers, "_counts", False)
    assert buffers.empty((SIZE,), np.float32).base is None and pieces() == 0


def test_what_a_network_returned_is_not_written_to_by_the_next_step(rng):
    """Results and gradients of one step are kept, and more steps are taken."""
    net = mc.nn.ConvNet(rng=0)
    x = rng.standard_normal((64, 28, 28, 1)).astype(np.float32)
    leaf = mc.tensor(x)

    def step(scale):
        y = net.layers[0](leaf * scale)
        middle = net.layers[1](y, rectify=True)
        return y, middle, mc.grad((middle * middle).sum(), [leaf, y])

    y, middle, gradients = step(1.0)
    kept = [a.copy() for a in (y.data, middle.data, *gradients)]
    assert any(a.base is not None for a in (y.data, middle.data))  # they lie in memory that will be used again
    for k in range(3):
        step(2.0 + k)
        gc.collect()
    for a, before in zip((y.data, middle.data, *gradients), kept):
        assert np.array_equal(a, before)
    assert all(not np.shares_memory(a, piece) for a in gradients for piece in buffers._pieces)
