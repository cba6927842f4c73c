"""A stand-in for `cupyx.distributed` and `cupy.cuda.nccl` on processes that mpiexec started: MPI sends, NCCL's rules hold.

What real NCCL answers with memory overrun or with waiting for ever, an error answers here: unequal sizes, a message outside a
group that waits for another, two processes on one GPU, another GPU in use than at the start.
"""

import threading
import time
import types

import numpy as np

from .arrays import ndarray
from .cuda import Device

DTYPES = "bBiIlLqQefdFD"
WAIT = 5  # seconds, instead of for ever
group = threading.local()  # its `calls` are those since groupStart


class NcclError(RuntimeError):
    """The error of the module `cupy.cuda.nccl`."""


def groupStart():
    """What follows is held back until `groupEnd`."""
    group.calls = []


def groupEnd():
    """All at once."""
    calls, group.calls = group.calls, None
    done(*[start() for start in calls])


def done(*requests):
    """Wait for messages of MPI."""
    end = time.monotonic() + WAIT
    while not all(r.Test() for r in requests):
        if time.monotonic() > end:
            raise RuntimeError("NCCL would wait for ever: the other side is missing, or waits too")
        time.sleep(1e-4)


def memory(array):
    """The numbers in the order in which they lie in memory, which is what NCCL sees; a view."""
    if type(array) is not ndarray:
        raise AttributeError(f"{type(array).__name__!r} object is no array of CuPy")
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        raise RuntimeError("NCCL requires arrays to be either c- or f-contiguous")
    if array.dtype.char not in DTYPES:
        raise TypeError(f"Unknown dtype {array.dtype} for NCCL")
    return (array._host if array.flags.c_contiguous else array._host.T).reshape(-1)


class NCCLBackend:
    """The methods that minicl calls, with CuPy's parameters."""

    def __init__(self, n_devices, rank, host="127.0.0.1", port=13333, use_mpi=False):
        from mpi4py import MPI

        if not use_mpi:
            raise NotImplementedError("the stand-in for cupyx.distributed knows use_mpi=True alone")
        self.rank, self.size, self.mpi = rank, n_devices, MPI.COMM_WORLD.Dup()
        self.device = Device()
        if len(set(self.mpi.allgather(self.device.id))) < n_devices:
            raise NcclError("NCCL_ERROR_INVALID_USAGE: Duplicate GPU detected")

    def _same(self, array, count):
        """All must send as many numbers of the same kind."""
        if Device() != self.device:
            raise RuntimeError(f"{Device()} is in use, and this communicator belongs to {self.device}")
        if len(set(self.mpi.allgather((count, array.dtype.char)))) > 1:
            raise RuntimeError("NCCL would read and write beyond the arrays: sizes or kinds differ between processes")

    def _everyone(self, array, count):
        mine = memory(array)[:count]
        self._same(array, count)
        if len(mine) < count:
            raise RuntimeError("NCCL would read beyond the array")
        return self.mpi.allgather(mine)

    def _put(self, values, out_array):
        out = memory(out_array)
        if out.dtype != values.dtype or len(out) < len(values):
            raise RuntimeError("NCCL would write beyond the array, or take it for another kind of numbers")
        out[: len(values)] = values

    def all_reduce(self, in_array, out_array, op="sum", stream=None):
        self._put(np.add.reduce(self._everyone(in_array, in_array.size)), out_array)

    def reduce_scatter(self, in_array, out_array, count, op="sum", stream=None):
        total = np.add.reduce(self._everyone(in_array, self.size * count))
        self._put(total[self.rank * count : (self.rank + 1) * count], out_array)

    def all_gather(self, in_array, out_array, count, stream=None):
        self._put(np.concatenate(self._everyone(in_array, count)), out_array)

    def send(self, array, peer, stream=None):
        self._message(lambda: self.mpi.Issend(memory(array), peer))

    def recv(self, out_array, peer, stream=None):
        self._message(lambda: self.mpi.Irecv(memory(out_array), peer))

    def _message(self, start):
        if getattr(group, "calls", None) is None:
            done(start())
        else:
            group.calls.append(start)


def init_process_group(n_devices, rank, *, backend="nccl", host=None, port=None, use_mpi=False):
    """The communicator of this process."""
    if backend != "nccl":
        raise ValueError(f"{backend} is not supported")
    if not nccl.available:
        raise RuntimeError("NCCL is not available")
    return NCCLBackend(n_devices, rank, host, port, use_mpi)


nccl = types.ModuleType("cupy.cuda.nccl")
nccl.available, nccl.groupStart, nccl.groupEnd, nccl.NcclError = True, groupStart, groupEnd, NcclError
distributed = types.ModuleType("cupyx.distributed")
distributed.init_process_group, distributed.NCCLBackend = init_process_group, NCCLBackend
