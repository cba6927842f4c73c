"""A step of SimCLR: 2N views through encoder and head, NT-Xent, gradients, Adam. The views are given; making them is not
measured. All peers start from the same weights.
"""

import copy

import numpy as np

TEMPERATURE, LR = 0.2, 1e-3
SHAPES = {"ConvNet": (512, 28, 28, 1), "ResNet-8": (256, 32, 32, 3), "MLP": (512, 784)}


def views(kind):
    return np.random.default_rng(0).random(SHAPES[kind], dtype=np.float32)


def network(kind):
    from minicl import nn

    encoders = {
        "ConvNet": lambda: nn.ConvNet(rng=0),
        "ResNet-8": lambda: nn.ResNet(8, rng=0),
        "MLP": lambda: nn.MLP([784, 512, 256], rng=0),
    }
    encoder = encoders[kind]()
    outputs = {"ConvNet": 128, "ResNet-8": 64, "MLP": 256}[kind]
    return nn.Sequential(encoder, nn.ProjectionHead(outputs, outputs, 128, rng=1))


def minicl(kind):
    import minicl as mc

    net, x = network(kind), views(kind)
    net.train()
    optimizer = mc.optim.Adam(net.parameters(), lr=LR)

    def run():
        loss = mc.losses.nt_xent(net(x), temperature=TEMPERATURE)
        optimizer.step(mc.grad(loss, optimizer.parameters))
        return (float(loss),)

    return run


def _torch_network(kind):
    """The same layers in torch, with the same weights."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outputs)
            self.stride, self.more = stride, outputs - inputs

        def forward(self, x):
            y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
            x = x[:, :, :: self.stride, :: self.stride]
            return torch.relu(y + (nn.functional.pad(x, (0, 0, 0, 0, 0, self.more)) if self.more else x))

    def convolution(inputs, outputs, stride):
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    if kind == "ConvNet":
        layers = [m for a in zip([1, 32, 64, 128], [32, 64, 128, 128], [1, 2, 2, 1]) for m in convolution(*a)]
    elif kind == "ResNet-8":
        layers = [*convolution(3, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    else:
        layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256)]
    if kind != "MLP":
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    outputs = {"ConvNet": 128, "ResNet-8": 64, "MLP": 256}[kind]
    net = nn.Sequential(*layers, nn.Linear(outputs, outputs), nn.ReLU(), nn.Linear(outputs, 128))
    ours = [p.numpy() for p in network(kind).parameters()]
    theirs = list(net.parameters())
    assert len(ours) == len(theirs)
    with torch.no_grad():
        for a, b in zip(ours, theirs):
            a = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T
            assert a.shape == tuple(b.shape), (a.shape, b.shape)
            b.copy_(torch.tensor(np.ascontiguousarray(a)))
    return net


def torch_eager(kind, layout=None, wrap=lambda f: f):
    import torch

    net, x = _torch_network(kind), views(kind)
    x = torch.tensor(x if x.ndim == 2 else np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    if layout is not None and x.ndim == 4:
        net, x = copy.deepcopy(net).to(memory_format=layout), x.contiguous(memory_format=layout)
    n = len(x)
    diagonal, target = torch.eye(n, dtype=torch.bool), (torch.arange(n) + n // 2) % n
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=True)

    def loss_of(x):
        u = torch.nn.functional.normalize(net(x), dim=1)
        scores = (u @ u.T / TEMPERATURE).masked_fill(diagonal, -torch.inf)
        return torch.nn.functional.cross_entropy(scores, target)

    f = wrap(loss_of)

    def run():
        optimizer.zero_grad()
        loss = f(x)
        loss.backward()
        optimizer.step()
        return (float(loss.detach()),)

    return run


def torch_channels_last(kind):
    import torch

    return torch_eager(kind, torch.channels_last)


def torch_compile(kind):
    import torch

    return torch_eager(kind, torch.channels_last, torch.compile)


def jax_jit(kind):
    """The multilayer perceptron alone."""
    if kind != "MLP":
        raise LookupError("written here for the multilayer perceptron alone")
    import jax
    import jax.numpy as jnp

    net, x = network(kind), jnp.asarray(views(kind))
    weights = [jnp.asarray(p.numpy()) for p in net.parameters()]
    n = len(x)
    target = (np.arange(n) + n // 2) % n

    def loss_of(weights, x):
        for k in range(0, len(weights), 2):
            x = x @ weights[k] + weights[k + 1]
            x = jax.nn.relu(x) if k in (0, 4) else x
        u = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        scores = jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, u @ u.T / TEMPERATURE)
        return (jax.nn.logsumexp(scores, axis=1) - scores[jnp.arange(n), target]).mean()

    def adam(state, x):
        weights, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(weights, x)
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g)]
        weights = [
            w - LR * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8) for w, a, b in zip(weights, m, v)
        ]
        return (weights, m, v, t), loss

    adam = jax.jit(adam)
    zeros = [jnp.zeros_like(w) for w in weights]
    state = [(weights, zeros, zeros, jnp.asarray(0.0))]

    def run():
        state[0], loss = adam(state[0], x)
        return (float(loss),)

    return run


PEERS = {
    "minicl": minicl,
    "torch": torch_eager,
    "torch channels last": torch_channels_last,
    "torch.compile": torch_compile,
    "jax jit": jax_jit,
}
