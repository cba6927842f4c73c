"""Past one process: data-parallel training on MPI. R workers compute what one would, and `mpiexec -n R` starts them.

Read in this order: `workers` (who there is, and what they say to each other), `collectives` (such talk with a gradient),
`ring` (a loss over the batch of all workers), `norms` (statistics of all workers), `methods` (training), `cost` (how
long a step takes on how many workers). `mpi` is the only file that knows MPI, and `nccl` sends from GPU to GPU.
"""

from .collectives import all_gather, reduce_scatter, spread, sum_gradients, total
from .methods import MoCo, SimCLR
from .norms import sync_batch_norm
from .ring import nt_xent
from .workers import Refused, Workers, everybody, simulate

__all__ = [
    "everybody",
    "simulate",
    "Workers",
    "Refused",
    "all_gather",
    "reduce_scatter",
    "total",
    "spread",
    "sum_gradients",
    "nt_xent",
    "sync_batch_norm",
    "SimCLR",
    "MoCo",
]
