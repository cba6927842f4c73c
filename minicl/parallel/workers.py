"""Workers: the processes of one run, and what they say to each other. All of it follows from one exchange, in which each
gives an array and gets the arrays of all.

`Workers` defines everything by that exchange, for one worker alone; `Simulated` exchanges between threads of one process,
and `MPI` (in `mpi.py`) between processes, with a faster way for each kind of talk. Numbers on a GPU are moved to the host,
sent, and moved back, so that this file and its callers are the same on both; `NCCL` (in `nccl.py`) sends them from one GPU
to another.
"""

import contextlib
import functools
import json
import os
import threading
import zlib

import numpy as np

from ..arrays import device_of, gpu_library, to_device, to_numpy

# What launchers tell the processes that they start: number of this one, and how many there are.
LAUNCHED = [("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMIX_RANK", None)]


class Refused(ValueError):
    """The workers do not fit together. All of them raise it, so no one waits for another."""


class Workers:
    """One worker alone; and, for subclasses, each kind of talk defined by `exchange`.

    Attributes
    ----------
    rank : int
        The number of this worker, 0 ... size − 1.
    size : int
        R, how many workers there are.

    Notes
    -----
    Each method is called by all workers, in the same order: one that is missing would be waited for.

    Examples
    --------
    >>> Workers().sum(np.ones(2))
    array([1., 1.])
    """

    rank, size = 0, 1

    def exchange(self, array):
        """[x₀, ..., x_{R−1}]: the NumPy arrays of all workers, which differ in their first axis at most."""
        return [array]

    def gather(self, array):
        """The arrays of all workers, one below the other in order of rank."""
        return self._staged(lambda a: np.concatenate(self.exchange(a)), array)

    def sum(self, array):
        """Σ_r x_r, the same bits on all workers."""
        return self._staged(lambda a: _sum(self.exchange(a)), array)

    def sum_rows(self, array, counts):
        """The rows of Σ_r x_r that belong to this worker, if worker r gets counts[r] of them, in order of rank."""
        first = sum(counts[: self.rank])
        return self._staged(lambda a: _sum(self.exchange(a))[first : first + counts[self.rank]], array)

    def pass_on(self, array, rows):
        """Hand an array to the next worker. Returns a function that waits for that of the worker before: `rows` rows."""
        found = self._staged(lambda a: self.exchange(a)[self.rank - 1], array)
        return lambda: found

    @staticmethod
    def _staged(f, array):
        return to_device(f(np.asarray(to_numpy(array), order="C")), device_of(array))

    # ------------------------------------------------------------------------------------------- built on these

    def counts(self, name, array, *constants):
        """How many rows each worker has, if all else is equal: the other axes, the dtype, and some numbers.

        Raises
        ------
        Refused
            If it is not; on all workers.
        """
        own = [len(array), zlib.crc32(array.dtype.str.encode()), *map(float, constants)]
        own = [*own[:2], zlib.crc32(repr(tuple(map(int, array.shape[1:]))).encode()), *own[2:]]
        everyone = np.stack(self.exchange(np.array([own], np.float64)))[:, 0]
        if not (everyone[:, 1:] == everyone[0, 1:]).all():
            self.agree(name, given=f"{array.dtype} (rows, {', '.join(map(str, array.shape[1:]))}), {constants}")
        return [int(n) for n in everyone[:, 0]]

    def agree(self, name, **things):
        """Compare things that JSON can hold.

        Raises
        ------
        Refused
            If a worker has something else than worker 0; on all workers.
        """
        text = json.dumps(things, default=str)
        everyone = [bytes(a).decode() for a in self.exchange(np.frombuffer(text.encode(), np.uint8))]
        for rank, other in enumerate(everyone):
            if other != everyone[0]:
                first, theirs = json.loads(everyone[0]), json.loads(other)
                key = next(k for k in first if first[k] != theirs.get(k))
                a, b = _difference(first[key], theirs.get(key, theirs))
                raise Refused(
                    f"{name}: worker {rank} differs from worker 0 in {key}.\nworker 0: {a}\nworker {rank}: {b}\n"
                    "All workers need the same program, settings, seeds, data, and packages."
                )

    def share_of(self, parts):
        """Which of so many parts are this worker's: a range. The first workers have one more, if it does not divide."""
        some, more = divmod(parts, self.size)
        first = self.rank * some + min(self.rank, more)
        return range(first, first + some + (self.rank < more))

    @contextlib.contextmanager
    def last_words(self):
        """Gives a function of a text, which is printed if the run ends within the block by force. Alone, nobody does."""
        yield lambda text: None

    def __deepcopy__(self, memo):  # a module that is copied talks to the same workers
        return self

    def __repr__(self):
        return f"<worker {self.rank} of {self.size}>"


def _sum(arrays):
    """In order of rank, whoever asks."""
    return functools.reduce(np.add, arrays)


def _difference(a, b):
    """Of two dicts the entries that differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [k for k in {**a, **b} if a.get(k) != b.get(k)]
        return {k: a.get(k) for k in keys}, {k: b.get(k) for k in keys}
    return a, b


class Simulated(Workers):
    """A worker that is a thread: to look at parallel programs where there is no MPI, as in a notebook."""

    def __init__(self, rank, size, slots, barrier):
        self.rank, self.size, self.slots, self.barrier = rank, size, slots, barrier

    def exchange(self, array):
        self.slots[self.rank] = array
        self.barrier.wait()
        found = [np.array(a) for a in self.slots]
        self.barrier.wait()  # nobody puts the next one in before all have read
        return found


def simulate(size, f):
    """[f(workers) of each of `size` workers], which are threads of this process.

    Parameters
    ----------
    size : int
    f : function of a `Workers`
        What it returns must not be a part of a graph that another worker goes on with.

    Returns
    -------
    list
        In order of rank.

    Notes
    -----
    What f raises in the first worker that fails is raised here; the others are stopped when they next wait for it.

    Examples
    --------
    >>> simulate(3, lambda workers: float(workers.sum(np.array(workers.rank + 1.0))))
    [6.0, 6.0, 6.0]
    """
    slots, barrier, results, errors = [None] * size, threading.Barrier(size), [None] * size, {}

    def work(rank):
        try:
            results[rank] = f(Simulated(rank, size, slots, barrier))
        except threading.BrokenBarrierError as error:
            errors.setdefault(None, error)
        except BaseException as error:
            errors[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(size)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:  # an interrupt from the keyboard: the threads too are stopped, when they next wait
        barrier.abort()
        raise
    errors = [errors[rank] for rank in sorted(errors, key=lambda r: size if r is None else r)]
    if errors:
        raise errors[0]
    return results


@functools.cache
def everybody(gpu=False):
    """The workers that `mpiexec` started, or this process alone where nothing started it. MPI is not loaded then.

    Parameters
    ----------
    gpu : bool
        Have each worker use a GPU: those of a machine take its GPUs in turn. Where each has one of its own and NCCL is
        installed, arrays are sent from GPU to GPU, else through the host; `repr` says which.

    Raises
    ------
    RuntimeError
        If mpiexec started this process and mpi4py is missing, or belongs to another MPI than mpiexec. Without this check
        each worker would think that it is alone, and all would write the same files. Also if a GPU is asked for, there are
        no other workers, and CuPy or the GPU is missing.
    Refused
        If a GPU is asked for, and a worker has none; on all of them.

    Examples
    --------
    >>> everybody()
    <worker 0 of 1>
    """
    for rank, size in LAUNCHED:
        if rank in os.environ:
            from .mpi import MPI
            from .nccl import NCCL

            return (NCCL if gpu else MPI)(expected=os.environ.get(size or ""))
    if gpu:
        gpu_library()
    return Workers()
