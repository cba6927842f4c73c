"""Optimisers: how a gradient changes the parameters. Each is one formula, and the few arrays that it remembers for each
parameter.

A step assigns `p.data`, so that a graph which used the old values is known to be stale.
"""

import math

import numpy as np

from .arrays import device_of, namespace, to_device, to_numpy
from .engine import Tensor


class Optimizer:
    """What all optimisers share: the parameters, the count of steps, and the state as plain arrays.

    A subclass names in `slots` the arrays that it keeps for each parameter (they start at 0), and defines `change`.

    Parameters
    ----------
    parameters : list of Tensors
    lr : float
        The learning rate. It may be changed at any time.

    Attributes
    ----------
    parameters : list of Tensors
    lr : float
    steps : int
        How many steps were made.
    """

    slots = ()

    def __init__(self, parameters, lr):
        self.parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        name = type(self).__name__
        if not self.parameters:
            raise ValueError(f"{name}: the list of parameters is empty.")
        for k, p in enumerate(self.parameters):
            if not isinstance(p, Tensor) or p.origin is not None or p.dtype.kind != "f":
                raise TypeError(f"{name}: parameter {k} is no leaf Tensor of floats, but {p!r}.")
        if len({id(p) for p in self.parameters}) != len(self.parameters):
            raise ValueError(f"{name}: a parameter is named twice, and would take two steps at a time.")
        if not lr >= 0:
            raise ValueError(f"{name}: the learning rate must not be negative, got {lr}.")
        self.lr = float(lr)  # a NumPy float64 would turn float32 steps into float64
        self.steps = 0
        self.state = [{slot: namespace(p.data).zeros_like(p.data) for slot in self.slots} for p in self.parameters]

    def change(self, p, g, **state):
        """What is subtracted from the array `p` that has the gradient `g`; `state` is updated in place."""
        raise NotImplementedError(f"{type(self).__name__}: define change(self, p, g, **state).")

    def step(self, gradients):
        """Change all parameters by one step.

        Parameters
        ----------
        gradients : list of arrays, one for each parameter, as `mc.grad(loss, parameters)` gives them

        Raises
        ------
        ValueError
            If their number or a shape does not fit. No parameter is changed then.
        """
        name = type(self).__name__
        gradients = (
            [gradients] if len(self.parameters) == 1 and not isinstance(gradients, (list, tuple)) else list(gradients)
        )
        if len(gradients) != len(self.parameters):
            raise ValueError(
                f"{name}.step: {len(gradients)} gradients for {len(self.parameters)} parameters; give one for each."
            )
        gradients = [g.data if isinstance(g, Tensor) else g for g in gradients]
        for k, (p, g) in enumerate(zip(self.parameters, gradients)):
            if getattr(g, "shape", None) != p.shape:
                raise ValueError(
                    f"{name}.step: gradient {k} has shape {getattr(g, 'shape', None)}, its parameter {p.shape}. "
                    "Give the gradients in the order of the parameters."
                )
        self.steps += 1
        for p, g, state in zip(self.parameters, gradients, self.state):
            p.data -= self.change(p.data, g, **state)

    def state_dict(self):
        """Steps, learning rate and the state of each parameter: copies, as NumPy arrays with names such as `0.mean`."""
        arrays = {"steps": np.array(self.steps), "lr": np.array(self.lr)}
        for k, state in enumerate(self.state):
            arrays |= {f"{k}.{slot}": np.array(to_numpy(a)) for slot, a in state.items()}
        return arrays

    def load_state_dict(self, state):
        """Take over what `state_dict` gave. Nothing changes if anything does not fit.

        Raises
        ------
        KeyError, ValueError
            If names or shapes differ: the state is that of another optimiser, or of other parameters.
        """
        own, name = self.state_dict(), type(self).__name__
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise KeyError(
                f"load_state_dict of {name}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}."
            )
        for key, a in own.items():
            if np.shape(state[key]) != a.shape:
                raise ValueError(
                    f"load_state_dict of {name}: {key} has shape {a.shape}, the state has {np.shape(state[key])}."
                )
        self.steps, self.lr = int(state["steps"]), float(state["lr"])
        for k, (p, slots) in enumerate(zip(self.parameters, self.state)):
            for slot in slots:
                new = to_numpy(state[f"{k}.{slot}"]).astype(p.dtype)  # a copy
                slots[slot] = to_device(new, device_of(p.data))
        return self

    def to(self, device):
        """Move the state to `"cpu"` or `"gpu"`, after the parameters were moved there. Returns the optimiser."""
        self.state = [{slot: to_device(a, device) for slot, a in state.items()} for state in self.state]
        return self

    def settings(self):
        """The numbers that were chosen, besides the learning rate: what its formula calls by letters."""
        return {k: v for k, v in vars(self).items() if k not in ("parameters", "lr", "steps", "state")}

    def __repr__(self):
        chosen = {"lr": self.lr, **self.settings()}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in chosen.items())})"


class SGD(Optimizer):
    """Gradient descent with momentum: v ← μ v + g,  θ ← θ − lr v.

    Parameters
    ----------
    parameters : list of Tensors
    lr : float
    momentum : float in [0, 1)
        μ: how much of the last velocity is kept. 0 is plain gradient descent.

    Notes
    -----
    Polyak 1964, in the form of PyTorch: the learning rate multiplies the velocity, so that changing it takes effect at
    once. The first step is lr · g for each μ.

    Examples
    --------
    >>> import minicl as mc
    >>> x = mc.tensor([1.0, 2.0])
    >>> optimizer = SGD([x], lr=0.1)
    >>> optimizer.step(mc.grad((x * x).sum(), [x]))
    >>> x
    Tensor([0.8, 1.6])
    """

    slots = ("velocity",)

    def __init__(self, parameters, lr=0.1, momentum=0.0):
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: momentum lies in [0, 1), got {momentum}.")
        self.momentum = momentum
        super().__init__(parameters, lr)

    def change(self, p, g, velocity):
        velocity *= self.momentum
        velocity += g
        return self.lr * velocity


class Adam(Optimizer):
    """Steps of about the size lr in each coordinate: the mean of the gradient over its root mean square.

    Parameters
    ----------
    parameters : list of Tensors
    lr : float
    betas : (float, float)
        β₁ and β₂: how slowly the mean and the mean square forget.
    eps : float
        Added to the root, against a division by zero.

    Notes
    -----
    m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  θ ← θ − lr m̂ / (√v̂ + ε),  with m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ), since both means start at 0 (Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1). The first step is
    lr · sign(g), whatever the size of g ≫ ε.

    Examples
    --------
    >>> import minicl as mc
    >>> x = mc.tensor([1.0, -200.0])
    >>> optimizer = Adam([x], lr=0.1)
    >>> optimizer.step(mc.grad((x * x).sum(), [x]))
    >>> x
    Tensor([   0.9, -199.9])
    """

    slots = ("mean", "square")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas lie in [0, 1), got {betas}.")
        self.betas, self.eps = betas, eps
        super().__init__(parameters, lr)

    def change(self, p, g, mean, square):
        beta1, beta2 = self.betas
        mean *= beta1
        mean += (1 - beta1) * g
        square *= beta2
        square += (1 - beta2) * (g * g)
        # m̂ / (√v̂ + ε): both corrections are numbers, so that the arrays are touched as seldom as can be.
        root = namespace(square).sqrt(square)
        root *= 1 / math.sqrt(1 - beta2**self.steps)
        root += self.eps
        return self.lr / (1 - beta1**self.steps) * mean / root
