"""Workers that are processes, started by `mpiexec`: MPI sends, and this file sees to it that no one waits for ever.

A worker that fails ends all of them. One that is killed is noticed by mpiexec, which stops the others; the last words of
worker 0 then say how to go on. One that hangs is noticed by those who wait for it, after `PATIENCE` seconds.
"""

import contextlib
import math
import os
import subprocess
import sys
import time
import traceback

import numpy as np

from ..arrays import device_of, to_device, to_numpy
from .workers import Refused, Workers

try:
    PATIENCE = float(os.environ.get("MINICL_PATIENCE", 300))  # seconds that a worker may be behind the others
except ValueError as error:
    raise ValueError(f"MINICL_PATIENCE is a number of seconds, such as 600. {error}") from None

NUMBERS = "fdilq"  # kinds of numbers that MPI can add (half precision is added here)

# The program of a process of its own, since mpiexec kills all workers at once: when the pipe from worker 0 is closed, it
# prints the last line that came, unless that is empty.
LAST_WORDS = """
import sys
last = ""
for last in sys.stdin:
    pass
if last.strip():
    sys.stderr.write("\\n" + last)
"""


class MPI(Workers):
    """The processes of an MPI communicator; see `Workers`.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        By default all processes that mpiexec started.
    expected : int or str, optional
        How many there should be.

    Raises
    ------
    RuntimeError
        If mpi4py is missing, or there are not as many as expected.
    """

    def __init__(self, comm=None, expected=None):
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise RuntimeError(
                f"minicl.parallel: mpi4py cannot be used ({error}); install it and an MPI: pip install 'minicl[mpi]'."
            ) from error
        self.mpi = MPI
        self.comm = (comm or MPI.COMM_WORLD).Dup()  # messages of others cannot be mixed up with ours
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        if expected not in (None, "") and int(expected) != self.size and comm is None:
            raise RuntimeError(
                f"minicl.parallel: mpiexec started {expected} processes, and mpi4py sees {self.size}: they belong to two "
                f"MPIs ({MPI.Get_library_version().splitlines()[0]}). Use the mpiexec in {os.path.dirname(sys.executable)}."
            )
        if self.size > 1:
            sys.excepthook = self._end_all

    # ----------------------------------------------------------------------------------------------- the kinds of talk

    def exchange(self, array):
        array = np.asarray(array, order="C")
        heads = np.empty((self.size, 2), np.int64)  # rows, and bytes of one
        row = array.dtype.itemsize * math.prod(array.shape[1:])
        self._wait(self.comm.Iallgather(np.array([len(array), row], np.int64), heads))
        if not (heads[:, 1] == row).all():
            raise Refused(
                f"minicl.parallel: rows of {heads[:, 1].tolist()} bytes cannot be put together. Give arrays of one dtype, "
                "whose shapes differ in the first axis alone."
            )
        sizes = heads.prod(axis=1)
        everyone = np.empty(sizes.sum(), np.uint8)
        target = [everyone, sizes, np.cumsum(sizes) - sizes, self.mpi.BYTE]
        self._wait(self.comm.Iallgatherv([array.reshape(-1).view(np.uint8), self.mpi.BYTE], target))
        parts = np.split(everyone, np.cumsum(sizes)[:-1])
        return [part.view(array.dtype).reshape((-1, *array.shape[1:])) for part in parts]

    def sum(self, array):
        def work(a):
            total = np.empty_like(a)
            self._wait(self.comm.Iallreduce(a, total))
            return total

        if array.dtype.char not in NUMBERS:
            return super().sum(array.reshape(-1)).reshape(array.shape)
        return self._staged(work, array)

    def sum_rows(self, array, counts):
        def work(a):
            own = np.empty((counts[self.rank], *a.shape[1:]), a.dtype)
            width = math.prod(a.shape[1:])
            self._wait(self.comm.Ireduce_scatter(a, own, [n * width for n in counts]))
            return own

        return self._staged(work, array) if array.dtype.char in NUMBERS else super().sum_rows(array, counts)

    def pass_on(self, array, rows):
        own = np.asarray(to_numpy(array), order="C")
        found = np.empty((rows, *own.shape[1:]), own.dtype)
        requests = [
            self.comm.Irecv(found, (self.rank - 1) % self.size),
            self.comm.Isend(own, (self.rank + 1) % self.size),
        ]

        def arrived():
            for request in requests:
                self._wait(request)
            return to_device(found, device_of(array))

        return arrived

    def _wait(self, request):
        """Until it is done; asking again and again lets an interrupt through, and other processes have the core."""
        start, asked = time.monotonic(), 0
        while not request.Test():
            asked += 1
            time.sleep(0 if asked < 200 else 5e-5)
            if asked % 200 == 0 and time.monotonic() - start > PATIENCE:
                raise TimeoutError(
                    f"minicl.parallel: worker {self.rank} of {self.size} has waited {PATIENCE:g} s for the others: one "
                    "of them hangs, was stopped, or does something else. MINICL_PATIENCE=600 waits longer."
                )

    # --------------------------------------------------------------------------------------------------- how it ends

    def _end_all(self, kind, error, trace):
        """An error that nobody caught. What all workers raise, worker 0 says; else this one says it, and ends all."""
        if issubclass(kind, Refused):
            if self.rank == 0:
                print(f"minicl.parallel refuses to start or go on. {error}", file=sys.stderr, flush=True)
            return
        time.sleep(0.5 if self.rank else 0)  # where all fail alike, worker 0 says so, and ends the others meanwhile
        text = "".join(traceback.format_exception(kind, error, trace))
        print(f"{text}worker {self.rank} of {self.size} failed, and ends all.", file=sys.stderr, flush=True)
        self.comm.Abort(1)

    @contextlib.contextmanager
    def last_words(self):
        if self.rank or self.size == 1:
            yield lambda text: None
            return
        witness = subprocess.Popen(
            [sys.executable, "-S", "-c", LAST_WORDS], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

        def say(text):
            witness.stdin.write(text.replace("\n", " ") + "\n")
            witness.stdin.flush()

        silent = False
        try:
            yield say
            silent = True
        except Refused:
            silent = True
            raise
        finally:
            if silent:  # else it speaks when this process ends
                witness.communicate("\n")
