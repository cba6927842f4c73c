"""Which library holds an array: NumPy on the CPU, CuPy on the GPU. The data decides, and no other file names CuPy.

CuPy is never imported uninvited: if nobody has imported it, no array can be on the GPU.
"""

import functools
import importlib
import sys

import numpy as np

gpu_in_use = functools.partial(sys.modules.get, "cupy")  # the module, or None where nobody has imported it


def namespace(*arrays, op="namespace"):
    """The module (`numpy` or `cupy`) whose functions work on all of `arrays`.

    Parameters
    ----------
    *arrays : array or number
        Python numbers and NumPy scalars fit every device and are ignored.
    op : str
        The name that an error mentions.

    Raises
    ------
    TypeError
        If some arrays are on the CPU and some on the GPU.

    Examples
    --------
    >>> import numpy as np
    >>> namespace(np.ones(3), 2.0) is np
    True
    """
    cupy = gpu_in_use()
    if cupy is None:
        return np
    on_gpu = [k for k, x in enumerate(arrays) if isinstance(x, cupy.ndarray)]
    if not on_gpu:
        return np
    on_cpu = [k for k, x in enumerate(arrays) if isinstance(x, np.ndarray)]
    if on_cpu:
        raise TypeError(
            f"{op}: argument {on_gpu[0]} is on the gpu and argument {on_cpu[0]} is on the cpu. "
            'Move one of them first: mc.to_device(x, "gpu") or mc.to_device(x, "cpu").'
        )
    return cupy


def is_array(x):
    """True for a NumPy or a CuPy array (not for a Python number or a NumPy scalar)."""
    cupy = gpu_in_use()
    return isinstance(x, np.ndarray) or (cupy is not None and isinstance(x, cupy.ndarray))


def device_of(array):
    """`"cpu"` or `"gpu"`."""
    return "cpu" if namespace(array) is np else "gpu"


def to_numpy(x):
    """`x` as a NumPy array on the CPU. A CPU array comes back as it is, not copied; a Tensor gives its data.

    Examples
    --------
    >>> to_numpy([1.0, 2.0])
    array([1., 2.])
    """
    x = getattr(x, "_data", x)  # a Tensor, without importing the engine
    return x.get() if is_array(x) and not isinstance(x, np.ndarray) else np.asarray(x)


def to_device(array, device):
    """`array` on `"cpu"` or `"gpu"`; unchanged where it is there already.

    Raises
    ------
    ValueError
        If the device has another name.
    RuntimeError
        If the GPU is asked for and CuPy or the GPU is missing.
    """
    if device not in ("cpu", "gpu"):
        raise ValueError(f'to_device: the device is "cpu" or "gpu", not {device!r}.')
    if device == "cpu":
        return to_numpy(array)
    return gpu_library().asarray(array)


def gpu_library():
    """The module `cupy`, imported because somebody asked for the GPU."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise RuntimeError(
            'to_device: the device "gpu" needs CuPy. Install minicl[cuda12] or minicl[cuda13] to fit your driver.'
        ) from None
    # The wheel imports well on a machine without a GPU, so a successful import says nothing.
    if not cupy.is_available():
        raise RuntimeError('to_device: CuPy is installed, but it finds no GPU. Stay on "cpu", or check the driver.')
    return cupy


def wait_for_gpu():
    """Until the GPU has done what it was given; at once where there is none. CuPy may be imported on such a machine too."""
    cupy = gpu_in_use()
    if cupy is not None and cupy.is_available():
        cupy.cuda.get_current_stream().synchronize()


def choose_gpu(number):
    """Have this process use one of the GPUs that it sees, counted round; returns that GPU's address within the machine."""
    cuda = gpu_library().cuda
    device = cuda.Device(number % cuda.runtime.getDeviceCount())
    device.use()
    return device.pci_bus_id


def nccl():
    """The module of NCCL's groups of messages, or None where NCCL is not installed."""
    module = importlib.import_module("cupy.cuda.nccl")
    return module if module.available else None


def nccl_between(size, rank):
    """What sends arrays between the GPUs of `size` processes, which mpiexec has started: all of them call this."""
    return importlib.import_module("cupyx.distributed").init_process_group(size, rank, backend="nccl", use_mpi=True)


def special(xp):
    """SciPy's special functions for the arrays of `xp` (NumPy has no error function)."""
    return importlib.import_module("scipy.special" if xp is np else "cupyx.scipy.special")
