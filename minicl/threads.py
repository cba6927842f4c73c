"""Work shared out among the cores of the CPU: `in_parallel(f, parts)` is [f(part) for part in parts], by several threads.

NumPy lets go of Python's lock while it computes, so threads are enough. In the meantime each product of matrices keeps
to one thread (BLAS has threads of its own, and both kinds together are slower than either). How many threads there are
never changes a result: the caller cuts the work into parts, and puts their results together in their order.

BLAS sums in another order where it uses several threads. `with one_blas_thread:` keeps it from that where there is one
part alone.
"""

import contextvars
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor


def workers():
    """How many threads share the work: OMP_NUM_THREADS where it is set, else the cores that this process may use. It is 1
    where no thread can be started.

    Examples
    --------
    >>> workers() >= 1
    True
    """
    if not _threads_start():
        return 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _threads_start():
    """In a browser there are no threads, and a system may refuse to give one: tried once."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


def in_parallel(f, parts):
    """[f(part) for part in parts], computed by several threads.

    Parameters
    ----------
    f : function of one part
        It may write to arrays of the caller, each part to its own place. It shall not make Tensors.
    parts : list
        With one part alone, and within another `in_parallel`, no threads are used.

    Returns
    -------
    list
        What f returned, in the order of the parts. An error in f is raised here.

    Notes
    -----
    Where parts cost less than some 50 µs, plain Python is as fast.

    Examples
    --------
    >>> in_parallel(lambda k: k * k, [1, 2, 3])
    [1, 4, 9]
    """
    parts = list(parts)
    if len(parts) < 2 or _inside.get():
        return [f(part) for part in parts]

    def work(part, context):
        return context.run(f, part)  # np.errstate of the caller holds here too

    with one_blas_thread:  # with one worker too, so that each number of them gives the same bits
        token = _inside.set(True)
        try:
            if workers() == 1:
                return [f(part) for part in parts]
            contexts = [contextvars.copy_context() for _ in parts]
            return list(_pool(min(workers(), 64)).map(work, parts, contexts))
        finally:
            _inside.reset(token)


_inside = contextvars.ContextVar("inside in_parallel", default=False)


@functools.lru_cache(maxsize=4)
def _pool(n):
    return ThreadPoolExecutor(n, thread_name_prefix="minicl")


@functools.lru_cache(maxsize=1)
def _blas():
    """The BLAS libraries that are loaded; looking for them takes milliseconds, so it is done once."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _anybody():
    """threadpoolctl may let nobody but the first thread set OpenBLAS, silently; here whoever holds the lock does."""
    for library in _blas().lib_controllers:
        getattr(library, "clear_controlling_thread", lambda force: None)(force=True)


BLAS_ALONE = 2**18  # products of up to so many multiplications are never shared out by OpenBLAS


class _OneBlasThread:
    """Holds BLAS at one thread while anybody is inside: the first one in sets it, the last one out sets it back."""

    def __init__(self):
        self.lock, self.inside, self.limit = threading.Lock(), 0, None

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                _anybody()
                self.limit = _blas().limit(limits=1, user_api="blas")
            self.inside += 1  # last, since an error above leaves nobody inside

    def __exit__(self, *error):
        with self.lock:
            if not self.inside:  # a child process that was made in here has been set back already
                return
            self.inside -= 1
            if self.inside == 0:
                self.restore(self.limit)
                self.limit = None

    @staticmethod
    def restore(limit):
        _anybody()
        limit.restore_original_limits()
        _anybody()


one_blas_thread = _OneBlasThread()


def _after_fork():
    """A child process has none of its parent's threads, and nobody who would set BLAS back for it."""
    limit = one_blas_thread.limit
    one_blas_thread.__init__()
    _pool.cache_clear()
    _inside.set(False)
    if limit is not None:
        one_blas_thread.restore(limit)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
