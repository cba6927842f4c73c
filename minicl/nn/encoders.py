"""Encoders turn images into representations h, and projection heads turn these into the embeddings z that the loss
sees.

The head is thrown away after training: what the loss asks for (to forget the views) costs information, and the head is
where it is lost (Chen et al. 2020, section 4.2).
"""

import math

import numpy as np

from ..ops import relu
from .initializers import glorot_uniform, kaiming_uniform
from .layers import Linear, Sequential


class MLP(Sequential):
    """A multilayer perceptron: linear maps with an activation between them, and none after the last.

    Parameters
    ----------
    sizes : list of int
        Lengths from the input to the output: `[64, 256, 128]` has one hidden layer of 256.
    activation : function or Module
    output_activation : function or Module, optional
        Applied to the output too.
    rng : Generator or seed
    dtype : dtype

    Notes
    -----
    The input has shape (N, ...), with sizes[0] numbers for each of the N: images are flattened. A layer with an
    activation after it starts with Kaiming weights, a last one without it with Glorot weights.

    Examples
    --------
    >>> net = MLP([64, 32, 16], rng=0)
    >>> net(np.zeros((5, 8, 8, 1), dtype=np.float32)).shape
    (5, 16)
    """

    def __init__(self, sizes, activation=relu, output_activation=None, rng=None, dtype=np.float32):
        if len(sizes) < 2:
            raise ValueError(f"MLP: sizes {list(sizes)} must name at least an input and an output.")
        rng = np.random.default_rng(rng)
        layers = []
        for k, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            after = activation if k < len(sizes) - 2 else output_activation
            init = glorot_uniform if after is None else kaiming_uniform
            layers.append(Linear(inputs, outputs, init=init, rng=rng, dtype=dtype))
            if after is not None:
                layers.append(after)
        super().__init__(*layers)

    def forward(self, x):
        inputs = self[0].weight.shape[0]
        if not x.ndim or math.prod(x.shape[1:]) != inputs:
            name = type(self).__name__
            raise ValueError(
                f"{name}: got shape {tuple(x.shape)}; give (N, ...) with {inputs} numbers for each of the N."
            )
        return super().forward(x if x.ndim == 2 else x.reshape((x.shape[0], inputs)))


class ProjectionHead(MLP):
    """The head of SimCLR: z = W₂ relu(W₁ h + b₁) + b₂.

    Parameters
    ----------
    inputs, hidden, outputs : int
    rng : Generator or seed
    dtype : dtype

    Examples
    --------
    >>> ProjectionHead(128, 128, 64, rng=0)(np.zeros((5, 128), dtype=np.float32)).shape
    (5, 64)
    """

    def __init__(self, inputs, hidden, outputs, rng=None, dtype=np.float32):
        super().__init__([inputs, hidden, outputs], rng=rng, dtype=dtype)
