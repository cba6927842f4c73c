"""Pretended GPUs that are always idle: what `cupy.cuda` needs for a program that selects, waits and measures.

There is one, or as many as the variable FAKE_GPUS says.
"""

import contextlib
import os
import threading
import time
import types

COUNT = int(os.environ.get("FAKE_GPUS", 1))
current = threading.local()  # its `id` is the GPU that a thread has chosen


class Device(contextlib.ContextDecorator):
    """`cupy.cuda.Device(0)`; without a number the one in use."""

    def __init__(self, device=None):
        self.id = getattr(current, "id", 0) if device is None else int(device)
        if not 0 <= self.id < COUNT:
            raise ValueError(f"there are {COUNT} pretended GPUs, and no number {device}")
        self.before = []

    pci_bus_id = property(lambda self: f"0000:{self.id:02X}:00.0")

    def __enter__(self):
        self.before.append(Device())
        return self.use()

    def __exit__(self, *error):
        self.before.pop().use()

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def use(self):
        """Select the device for this thread."""
        current.id = self.id
        return self

    def synchronize(self):
        """Wait for the device."""


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, ptr):
        self.ptr, self.device, self.device_id = ptr, Device(0), 0


class MemoryPool:
    """A pool that counts nothing: the host's memory is in use."""

    def used_bytes(self):
        return 0

    def total_bytes(self):
        return 0

    def free_bytes(self):
        return 0

    def n_free_blocks(self):
        return 0

    def free_all_blocks(self, stream=None):
        """Give unused blocks back."""


class Stream:
    """A queue whose work is done as soon as it is entered."""

    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.ptr = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def use(self):
        return self

    def synchronize(self):
        """Wait for the queue."""

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Wait for the event."""


Stream.null = Stream(null=True)


class Event:
    """A moment in a queue."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.time = None

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        """Wait for the moment."""


def get_elapsed_time(start_event, end_event):
    """Milliseconds between two events."""
    return 1e3 * (end_event.time - start_event.time)


class CUDARuntimeError(RuntimeError):
    """The error of the CUDA runtime; never raised here."""


def module():
    """The module `cupy.cuda`."""
    runtime = types.ModuleType("cupy.cuda.runtime")
    runtime.CUDARuntimeError = CUDARuntimeError
    runtime.getDeviceCount = lambda: COUNT
    runtime.getDevice = lambda: Device().id
    runtime.setDevice = lambda device: Device(device).use()
    runtime.deviceSynchronize = lambda: None
    runtime.getDeviceProperties = lambda device: {"name": b"a pretended GPU", "totalGlobalMem": 0}
    runtime.memGetInfo = lambda: (0, 0)
    cuda = types.ModuleType("cupy.cuda")
    for thing in (Device, MemoryPointer, MemoryPool, Stream, Event, get_elapsed_time):
        setattr(cuda, thing.__name__, thing)
    cuda.runtime = runtime
    cuda.is_available = lambda: True
    cuda.get_current_stream = lambda device_id=-1: Stream.null
    return cuda
