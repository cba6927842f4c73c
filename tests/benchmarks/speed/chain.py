"""What the tape costs: a chain of 200 operations on 32 × 16 numbers in float64, forward and backward."""

import numpy as np

LENGTH = 200
rng = np.random.default_rng(0)
X, W = rng.uniform(0.5, 1.5, (2, 32, 16))


def _chain(y, w, tanh):
    for _ in range(LENGTH // 4):
        y = tanh(y * w) + w * y
    return y


def minicl():
    import minicl as mc

    x, w = mc.tensor(X), mc.tensor(W)

    def run():
        y = _chain(x, w, mc.tanh)
        gx, gw = mc.grad(y, [x, w], cotangent=X)
        return float(y.data.sum()), gx, gw

    return run


def torch_eager():
    import torch

    x, w = (torch.tensor(a, requires_grad=True) for a in (X, W))
    cotangent = torch.tensor(X)

    def run():
        y = _chain(x, w, torch.tanh)
        gx, gw = torch.autograd.grad(y, [x, w], cotangent)
        return float(y.detach().sum()), gx.numpy(), gw.numpy()

    return run


def jax_jit():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, w, cotangent = map(jnp.asarray, (X, W, X))
    f = jax.jit(lambda x, w, c: (lambda y, back: (y.sum(), *back(c)))(*jax.vjp(lambda a, b: _chain(a, b, jnp.tanh), x, w)))

    def run():
        y, gx, gw = f(x, w, cotangent)
        return float(y), np.asarray(gx), np.asarray(gw)

    return run


def hips_autograd():
    import autograd.numpy as anp
    from autograd import make_vjp

    f = make_vjp(lambda both: _chain(both[0], both[1], anp.tanh))

    def run():
        back, y = f((X, W))
        gx, gw = back(X)
        return float(y.sum()), gx, gw

    return run


PEERS = {"minicl": minicl, "torch": torch_eager, "jax jit": jax_jit, "HIPS autograd": hips_autograd}
