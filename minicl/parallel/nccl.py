"""Workers with a GPU each: NCCL sends arrays from GPU to GPU, and MPI all else: what is on the host, and who is there.

NCCL wants equal sizes from all, does not see where they differ, and waits for ever for one who is missing. So before each
talk the workers compare over MPI what they ask for, which has patience and refuses; shorter shards are filled up with zeros.
"""

import json

import numpy as np

from ..arrays import choose_gpu, device_of, namespace, nccl, nccl_between
from .mpi import MPI
from .workers import Refused

NUMBERS = "bBiIlLqQefdFD"  # kinds of numbers that CuPy's NCCL knows: all but truth values


class NCCL(MPI):
    """The processes that mpiexec started, each on a GPU; `everybody(gpu=True)` makes it.

    Where two workers share a GPU, which NCCL refuses, or one lacks NCCL, arrays go through the host as in `MPI`.

    Attributes
    ----------
    gpu : str
        Address of this worker's GPU within its machine. The workers of a machine take its GPUs in turn.
    between : cupyx.distributed.NCCLBackend or None
        None where arrays go through the host.
    """

    def __init__(self, expected=None):
        super().__init__(expected=expected)
        self.gpu = self.groups = self.between = problem = None
        near = self.comm.Split_type(self.mpi.COMM_TYPE_SHARED)  # the workers of this machine
        machine = near.allreduce(self.rank, self.mpi.MIN)
        try:
            self.gpu, self.groups = choose_gpu(near.Get_rank()), nccl()
        except RuntimeError as error:
            problem = str(error)
        everyone = self._told([problem, machine, self.gpu, self.groups is not None])
        for rank, (problem, *_) in enumerate(everyone):
            if problem:
                raise Refused(f"Worker {rank} has no GPU. {problem}")
        alone = len({(machine, gpu) for _, machine, gpu, _ in everyone}) == self.size > 1
        if alone and all(ready for *_, ready in everyone):
            self.between = nccl_between(self.size, self.rank)

    def _told(self, things):
        """What all workers say, each a list that JSON can hold."""
        return [json.loads(bytes(a)) for a in self.exchange(np.frombuffer(json.dumps(things).encode(), np.uint8))]

    def _staged_by_host(self, array):
        return self.between is None or device_of(array) == "cpu" or array.dtype.char not in NUMBERS

    def gather(self, array):
        if self._staged_by_host(array):
            return super().gather(array)
        xp, counts = namespace(array), self.counts("gather", array)
        own = _filled_up(xp, [array], max(counts))[0]
        everyone = xp.empty((self.size, *own.shape), own.dtype)
        self.between.all_gather(own, everyone, own.size)
        return xp.concatenate([rows[:n] for rows, n in zip(everyone, counts)])

    def sum(self, array):
        if self._staged_by_host(array):
            return super().sum(array)
        self.counts("sum", array[None])
        own = namespace(array).ascontiguousarray(array)
        total = namespace(array).empty_like(own)
        self.between.all_reduce(own, total)
        return total

    def sum_rows(self, array, counts):
        if self._staged_by_host(array):
            return super().sum_rows(array, counts)
        xp, ends = namespace(array), np.cumsum([0, *counts])
        self.counts("sum_rows", array[None], *counts)
        shares = _filled_up(xp, [array[a:b] for a, b in zip(ends, ends[1:])], max(counts))
        own = xp.empty_like(shares[0])
        self.between.reduce_scatter(shares, own, own.size)
        return own[: counts[self.rank]]

    def pass_on(self, array, rows):
        if self._staged_by_host(array):
            return super().pass_on(array, rows)
        xp = namespace(array)
        self.counts("pass_on", array)
        own, found = xp.ascontiguousarray(array), xp.empty((rows, *array.shape[1:]), array.dtype)
        self.groups.groupStart()  # both at once: each would wait for the other
        self.between.send(own, (self.rank + 1) % self.size)
        self.between.recv(found, (self.rank - 1) % self.size)
        self.groups.groupEnd()
        return lambda: found

    def __repr__(self):
        way = "through the host" if self.between is None else "by NCCL"
        return f"<worker {self.rank} of {self.size}, on GPU {self.gpu}, {way}>"


def _filled_up(xp, parts, rows):
    """Arrays one behind the other, with so many rows each: zeros below."""
    y = xp.zeros((len(parts), rows, *parts[0].shape[1:]), parts[0].dtype)
    for filled, part in zip(y, parts):
        filled[: len(part)] = part
    return y
