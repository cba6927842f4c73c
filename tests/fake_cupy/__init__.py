"""A stand-in for CuPy on machines without a GPU: NumPy behind a type that refuses every mixture with NumPy.

    import fake_cupy

    with fake_cupy.installed() as cupy:     # sys.modules["cupy"] and its kin; put back afterwards
        x = cupy.asarray(numpy_array)
        numpy.exp(x)                        # raises, so a leaked `np.` in the library is found

It offers only names that the real wheel has (`names.txt`), with the wheel's parameters. Where real CuPy is lenient
(`np.exp(x)`, `x[numpy_index]`, `cupy.sum(numpy_array)`), the stand-in is strict.
"""

import contextlib
import sys

from . import namespace
from .distributed import distributed, nccl
from .namespace import cupy, cupyx, ndarray

__all__ = ["cupy", "cupyx", "distributed", "install", "installed", "nccl", "ndarray", "uninstall"]

MODULES = {
    "cupy": cupy,
    "cupy.cuda": namespace.cuda,
    "cupy.cuda.nccl": nccl,
    "cupy.cuda.runtime": namespace.cuda.runtime,
    "cupy.linalg": namespace.linalg,
    "cupy.random": namespace.random,
    "cupyx": cupyx,
    "cupyx.distributed": distributed,
    "cupyx.scipy": namespace.scipy,
    "cupyx.scipy.special": namespace.special,
}
replaced = []


def install():
    """Make `import cupy` and `sys.modules["cupy"]` give the stand-in."""
    replaced.append({name: sys.modules.get(name) for name in MODULES})
    sys.modules.update(MODULES)
    return cupy


def uninstall():
    """Undo the last `install`."""
    for name, module in replaced.pop().items():
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module


@contextlib.contextmanager
def installed():
    """`install` within a `with` block."""
    try:
        yield install()
    finally:
        uninstall()


def __getattr__(name):
    return getattr(cupy, name)
