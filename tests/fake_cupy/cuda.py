"""One pretended GPU that is always idle: what `cupy.cuda` needs for a program that selects, waits and measures."""

import contextlib
import time
import types


class Device(contextlib.ContextDecorator):
    """`cupy.cuda.Device(0)`."""

    def __init__(self, device=0):
        self.id = int(device)
        if self.id != 0:
            raise ValueError(f"there is one pretended GPU, number 0, and no number {device}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device)

    def __hash__(self):
        return 0

    def __repr__(self):
        return "<CUDA Device 0>"

    def use(self):
        """Select the device."""

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
    runtime.getDeviceCount = lambda: 1
    runtime.getDevice = lambda: 0
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
