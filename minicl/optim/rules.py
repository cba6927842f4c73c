"""The rules: what is subtracted from a parameter that has the gradient g. Each is one formula, and the few arrays that
it remembers for each parameter.

All write into arrays that they keep, so that a step makes no new ones.
"""

import math

import numpy as np

from ..arrays import namespace
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent with momentum: v ← μ v + g,  θ ← θ − lr v.

    Parameters
    ----------
    parameters : list of Tensors, or as in `Optimizer`
    lr : float
    momentum : float in [0, 1)
        μ: how much of the last velocity is kept. 0 is plain gradient descent.
    nesterov : bool
        Look ahead by one more step of the velocity: θ ← θ − lr (g + μ v).
    weight_decay : float
        β: g + β θ takes the place of g, which is the gradient of the loss + β ‖θ‖² / 2.
    clip_norm : float, optional

    Notes
    -----
    Polyak 1964 and Nesterov 1983, in the form of PyTorch (Sutskever et al. 2013): the learning rate multiplies the
    velocity, so that changing it takes effect at once. The first step is lr · g for each μ without `nesterov`.

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

    def __init__(self, parameters, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=None):
        self.momentum, self.nesterov = _momentum("SGD", momentum, nesterov), bool(nesterov)
        super().__init__(parameters, lr, weight_decay, clip_norm)

    def change(self, p, g, lr, weight_decay, velocity):
        g = self.with_decay(p, g, weight_decay)
        velocity *= self.momentum
        velocity += g
        if not self.nesterov:
            return namespace(p).multiply(velocity, lr, out=self.scratch(p, "step"))
        step = namespace(p).multiply(velocity, self.momentum, out=self.scratch(p, "step"))
        step += g
        step *= lr
        return step


class Adam(Optimizer):
    """Steps of about the size lr in each coordinate: the mean of the gradient over its root mean square.

    Parameters
    ----------
    parameters : list of Tensors, or as in `Optimizer`
    lr : float
    betas : (float, float)
        β₁ and β₂: how slowly the mean and the mean square forget.
    eps : float
        Added to the root, against a division by zero.
    weight_decay : float
        β: g + β θ takes the place of g. It is then divided by the root, too; see `AdamW`.
    clip_norm : float, optional

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

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, clip_norm=None):
        name = type(self).__name__
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{name}: betas lie in [0, 1), got {betas}.")
        if not eps >= 0:
            raise ValueError(f"{name}: eps must not be negative, got {eps}.")
        self.betas, self.eps = tuple(float(beta) for beta in betas), float(eps)
        super().__init__(parameters, lr, weight_decay, clip_norm)

    def change(self, p, g, lr, weight_decay, mean, square):
        return self.ratio(p, self.with_decay(p, g, weight_decay), lr, mean, square)

    def ratio(self, p, g, lr, mean, square):
        """lr m̂ / (√v̂ + ε) = lr c m / (√v + c ε) / (1 − β₁ᵗ) with c = √(1 − β₂ᵗ): numbers are put together first, so that
        the arrays are touched as seldom as can be."""
        xp, (beta1, beta2) = namespace(p), self.betas
        c = math.sqrt(1 - beta2**self.steps)
        step, root = self.scratch(p, "step"), self.scratch(p, "root")
        mean *= beta1
        mean += xp.multiply(g, 1 - beta1, out=step)
        xp.multiply(g, g, out=step)
        step *= 1 - beta2
        square *= beta2
        square += step
        xp.sqrt(square, out=root)
        root += c * self.eps
        xp.multiply(mean, lr * c / (1 - beta1**self.steps), out=step)
        step /= root
        return step


class AdamW(Adam):
    """Adam whose weight decay is not divided by the root: θ ← (1 − lr β) θ − lr m̂ / (√v̂ + ε).

    Parameters
    ----------
    parameters, lr, betas, eps, clip_norm
        As in `Adam`.
    weight_decay : float
        β: the share of θ that is lost in a step of lr = 1. `no_decay(net)` leaves biases and norms out.

    Notes
    -----
    Loshchilov & Hutter 2019 (arXiv:1711.05101, Algorithm 2), in the form of PyTorch, where lr multiplies β. In Adam the
    decay of a parameter with large gradients is divided by their root, so that it hardly decays.

    Examples
    --------
    >>> import minicl as mc
    >>> x = mc.tensor([1.0, -200.0])
    >>> optimizer = AdamW([x], lr=0.1, weight_decay=0.5)
    >>> optimizer.step(mc.grad((x * x).sum(), [x]))
    >>> x
    Tensor([   0.85, -189.9 ])
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, clip_norm=None):
        super().__init__(parameters, lr, betas, eps, weight_decay, clip_norm)

    def change(self, p, g, lr, weight_decay, mean, square):
        p *= 1 - lr * weight_decay
        return self.ratio(p, g, lr, mean, square)


class LARS(Optimizer):
    """Momentum with a rate for each layer: a step is a fixed share of the length of its weights, whatever its gradient.

    Parameters
    ----------
    parameters : list of Tensors, or as in `Optimizer`
        A group may have `adapt`: whether its rates are adapted.
    lr : float
        SimCLR uses 0.3 · batch size / 256.
    momentum : float in [0, 1)
    nesterov : bool
    weight_decay : float
        SimCLR uses 1e-6.
    trust : float
        η: the share of the length of the weights.
    clip_norm : float, optional

    Notes
    -----
    With d = g + β θ and λ = η ‖θ‖ / ‖d‖ (1 where either length is 0):  v ← μ v + lr λ d,  θ ← θ − v. Parameters with one
    axis or none (biases, gains and shifts of norms) are neither adapted nor decayed: λ = 1, β = 0. A group may say
    otherwise.

    You, Gitman & Ginsburg 2017 (arXiv:1708.03888, Algorithm 1), as the published code of SimCLR does it
    (google-research/simclr, lars_optimizer.py): the length below the line is that of the sum d, where the paper has
    ‖g‖ + β ‖θ‖. The rate is inside the velocity, unlike in `SGD`.

    Examples
    --------
    >>> import minicl as mc
    >>> w = mc.tensor([[3.0, 4.0]])
    >>> optimizer = LARS([w], lr=1.0, trust=0.1)
    >>> optimizer.step([np.array([[0.0, 1e-6]])])
    >>> w
    Tensor([[3. , 3.5]])
    """

    slots = ("velocity",)
    by_entry = False

    def __init__(self, parameters, lr=0.3, momentum=0.9, nesterov=False, weight_decay=0.0, trust=1e-3, clip_norm=None):
        if not 0 < trust < math.inf:
            raise ValueError(f"LARS: trust must be positive, got {trust}.")
        self.momentum, self.nesterov = _momentum("LARS", momentum, nesterov), bool(nesterov)
        self.trust = float(trust)
        super().__init__(parameters, lr, weight_decay, clip_norm)

    def options_of(self, p):
        matrix = p.ndim > 1
        return {**super().options_of(p), "adapt": matrix} | ({} if matrix else {"weight_decay": 0.0})

    def change(self, p, g, lr, weight_decay, adapt, velocity):
        xp = namespace(p)
        d = self.with_decay(p, g, weight_decay)
        scaled = xp.multiply(d, lr, out=self.scratch(p, "scaled"))
        if adapt:
            length, below = self.length(p), self.length(d)
            known = (length > 0) & (below > 0)
            scaled *= xp.where(known, self.trust * length / xp.where(known, below, 1.0), 1.0)
        velocity *= self.momentum
        velocity += scaled
        if not self.nesterov:
            return velocity
        step = xp.multiply(velocity, self.momentum, out=self.scratch(p, "step"))
        step += scaled
        return step

    def length(self, x):
        """‖x‖, summed in float64, as an array without axes: it stays on its device."""
        xp = namespace(x)
        squares = xp.multiply(x, x, out=self.scratch(x, "squares", np.float64), dtype=np.float64)
        return xp.sqrt(squares.sum())


def _momentum(name, momentum, nesterov):
    if not 0 <= momentum < 1:
        raise ValueError(f"{name}: momentum lies in [0, 1), got {momentum}.")
    if nesterov and not momentum:
        raise ValueError(f"{name}: nesterov looks ahead along the velocity, and needs a momentum above 0.")
    return float(momentum)
