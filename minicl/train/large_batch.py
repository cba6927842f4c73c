"""Large batches by gradient caching: the loss of a whole batch with the memory of a part of it, exactly.

The loss needs all embeddings at once, but these are small; what is large are the encoder's graphs. So embed all parts
without graphs, take the gradient of the loss with respect to the embeddings, and then compute each part again, this
time with its graph, to pass that gradient on. (Adding up the gradients of the parts' own losses is something else: a
view would miss the negatives outside of its part.)

L. Gao, Y. Zhang, J. Han, J. Callan 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup
(arXiv:2101.06983).
"""

import math

from ..arrays import namespace
from ..data import two_views
from ..engine import enable_grad, grad, no_grad, tensor
from ..functional import split
from ..losses import nt_xent
from ..optim import Adam
from ..recompute import _Tape
from .settings import whole
from .simclr import SimCLR


def cached_gradient(module, x, loss, chunk_size, parameters=None):
    """The gradient of loss(module(x)), with a graph of `chunk_size` rows at a time.

    Parameters
    ----------
    module : Module
        Row i of its output belongs to row i of `x` and depends on no other row.
    x : array, shape (n, ...)
    loss : callable
        loss(z) of a Tensor z (n, d): a Tensor of shape ().
    chunk_size : int
        How many rows are encoded at a time.
    parameters : list of Tensors, optional
        By default those of the module.

    Returns
    -------
    value : float
    gradients : list of arrays, one for each parameter
    z : array, shape (n, d)

    Raises
    ------
    ValueError
        If the chunk size is below 1, or the module has BatchNorm: its output depends on what else is in the chunk.
    RuntimeError
        If the second pass gives other embeddings than the first: the module draws random numbers from a place that is
        no Generator among its attributes.

    Notes
    -----
    With z = f(x; θ) in parts z_c:  dL/dθ = Σ_c (∂z_c/∂θ)ᵀ ∂L/∂z_c. The order of the sums is another than without parts,
    and nothing else is. Generators are set back before the second pass, and what goes through `mc.once` (dropout masks)
    is given again, so both passes have the same draws. The price is one more forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> import minicl as mc
    >>> net = mc.nn.MLP([6, 5, 4], rng=0, dtype=np.float64)
    >>> x = np.random.default_rng(0).random((8, 6))
    >>> value, found, z = cached_gradient(net, x, mc.nt_xent, chunk_size=3)
    >>> whole = mc.grad(mc.nt_xent(net(x)), net.parameters())
    >>> all(np.allclose(a, b, rtol=1e-12, atol=1e-15) for a, b in zip(found, whole))
    True
    """
    size = whole("cached_gradient", "chunk_size", chunk_size, 1)
    refuse_batch_statistics("cached_gradient", module)
    parameters = module.parameters() if parameters is None else parameters
    generators = [rng for _, rng in module.named_generators()]
    chunks = [x[start : start + size] for start in range(0, len(x), size)]

    first = []  # of each chunk: what it drew, where its generators stood, its embeddings
    for chunk in chunks:
        states = [rng.bit_generator.state for rng in generators]
        with no_grad(), _Tape() as tape:
            first.append((tape.values, states, module(chunk).data))
    after = [rng.bit_generator.state for rng in generators]

    z = tensor(namespace(x).concatenate([part for *_, part in first]))
    found = loss(z)
    value, from_loss = float(found), grad(found, z)

    total, start = None, 0
    for chunk, (values, states, part) in zip(chunks, first):
        _set(generators, states)
        with enable_grad(), _Tape(values):
            again = module(chunk)
        _refuse_other(again.data, part)
        own = grad(again, parameters, from_loss[start : start + len(part)])
        start += len(part)
        if total is None:
            total = own
        else:
            for sum_, g in zip(total, own):
                sum_ += g
    _set(generators, after)
    return value, total, z.data


def refuse_batch_statistics(name, module):
    """Nothing with BatchNorm can be computed in parts."""
    for where, m in module.named_modules():
        if "BatchNorm" in type(m).__name__:
            raise ValueError(
                f"{name}: {where} is {m}: its statistics are those of what is encoded at a time, so parts would give "
                "another loss than the whole. Use LayerNorm or GroupNorm."
            )


def _set(generators, states):
    for rng, state in zip(generators, states):
        rng.bit_generator.state = state


def _refuse_other(again, first):
    xp = namespace(again, first)
    scale = float(xp.abs(first).max())
    if math.isfinite(scale) and float(xp.abs(again - first).max()) > 1e-3 * scale:  # a GPU may round in another order
        raise RuntimeError(
            "cached_gradient: the second pass gave other embeddings than the first. Random numbers must come from a "
            "Generator among the module's attributes, or go through mc.once."
        )


class LargeBatch(SimCLR):
    """SimCLR, where a batch may be as large as the embeddings allow: its gradient is computed in parts, and exact.

    Parameters
    ----------
    encoder : Module
        Without BatchNorm.
    head : Module or None
    view : view
    chunk_size : int
        How many views are encoded at a time. A batch has 2N views.
    temperature : float
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    history, collapse
        As in `SimCLR`.

    Raises
    ------
    ValueError
        If the chunk size is below 1, or there is a BatchNorm.

    Notes
    -----
    `cached_gradient` does the work. Without dropout a run is that of `SimCLR`, up to rounding; with dropout the masks
    are drawn in another order.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
    >>> view = mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    >>> method = LargeBatch(encoder, head, view, chunk_size=256, batch_size=1024)
    >>> method.fit(images, epochs=2, progress=False).history["loss"][0] < method.collapse
    True
    """

    def __init__(
        self, encoder, head, view, chunk_size=256, temperature=0.5, optimizer=Adam, lr=1e-3, batch_size=1024, seed=0
    ):
        self.chunk_size = whole("LargeBatch", "chunk_size", chunk_size, 1)
        super().__init__(encoder, head, view, temperature, optimizer, lr, batch_size, seed)
        refuse_batch_statistics("LargeBatch", self)

    def gradients(self, batch):
        v1, v2 = two_views(batch.images, self.view, self.view_rng)
        views = namespace(v1).concatenate([v1, v2])
        value, gradients, z = cached_gradient(self, views, self.loss_of, self.chunk_size, self.optimizer.parameters)
        return value, gradients, split(z, 2)

    def loss_of(self, z):
        """The loss of the embeddings of all first views, over those of all second views."""
        return nt_xent(*split(z, 2), self.temperature)

    def config(self):
        return super().config() | {"chunk_size": self.chunk_size}
