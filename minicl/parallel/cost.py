"""How long a step takes on R workers: a model with few constants, measured on one machine and on two of its processes.

It answers what to expect before a cluster is rented: how far a batch can be spread out, and when the loss, which grows
with the square of the batch, costs more than the encoder.
"""

import math
from dataclasses import dataclass


@dataclass
class Costs:
    """The constants of a step of SimCLR, all in seconds, bytes, and bytes per second.

    Parameters
    ----------
    image : float
        Seconds for one image: its two views, the encoder forward and backward.
    step : float
        Seconds for what does not depend on the batch: the optimiser, Python.
    alone, ring : float
        Seconds for one score of the loss, forward, backward and rank of the partner: in one process, where a score serves two
        rows, and in the ring, where each worker makes its own.
    latency, bandwidth : float
        α, seconds until the first byte of a message arrives, and β, bytes a second between two neighbours.
    dim : int
        d, the length of an embedding.
    parameters : int
        Numbers that are trained.
    norms : int
        Layers with BatchNorm.
    itemsize : int
        Bytes of a number.

    Notes
    -----
    With N images in all, n = N/R of them on each worker:

    - encoder: `step` + n · `image`;
    - loss: (2N)² · `alone` for R = 1, else 2n · 2N · `ring`;
    - visits: three rounds (forward, backward, rank of the partner) of R − 1 messages: 3 (R − 1) (α + 2n (d + 2) b / β);
    - gradients: 2 ⌈log₂ R⌉ α + 2 (R − 1)/R · P b / β, an all-reduce that halves and doubles;
    - norms: 2 ⌈log₂ R⌉ α for each direction and layer.

    Assumed: workers and links are alike, and one link does not slow down another; nothing is sent while something is
    computed (the ring does so, where MPI can); a score costs the same in small blocks as in large ones; nobody waits
    for a slow worker; data are there in time.

    Examples
    --------
    >>> costs = Costs(image=1e-3, step=1e-3, alone=2e-9, ring=4e-9, latency=3e-5, bandwidth=1e9, dim=64, parameters=10**6)
    >>> round(costs.total(1, 256) / costs.total(8, 256), 1)
    6.2
    """

    image: float
    step: float
    alone: float
    ring: float
    latency: float
    bandwidth: float
    dim: int
    parameters: int
    norms: int = 0
    itemsize: int = 4

    def parts(self, workers, batch):
        """Seconds for each part of a step, as a dict: "encoder", "loss", "visits", "gradients", "norms"."""
        n, rounds = batch / workers, math.ceil(math.log2(workers))
        message = self.latency + 2 * n * (self.dim + 2) * self.itemsize / self.bandwidth
        numbers = 2 * (workers - 1) / workers * self.parameters * self.itemsize / self.bandwidth
        return {
            "encoder": self.step + n * self.image,
            "loss": 4 * n * batch * (self.alone if workers == 1 else self.ring),
            "visits": 3 * (workers - 1) * message,
            "gradients": 2 * rounds * self.latency + numbers,
            "norms": 4 * self.norms * rounds * self.latency,
        }

    def total(self, workers, batch):
        """Seconds of a step."""
        return sum(self.parts(workers, batch).values())

    def balance(self, per_worker):
        """R at which the loss takes as long as the encoder, if the batch grows with R: n · image = 4 n² R · ring."""
        return self.image / (4 * per_worker * self.ring)
