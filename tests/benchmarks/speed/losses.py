"""NT-Xent, forward and backward, for 2N embeddings of 128 numbers in float32, τ = 0.1."""

import numpy as np

D, TEMPERATURE = 128, 0.1


def embeddings(n):
    return np.random.default_rng(0).standard_normal((n, D)).astype(np.float32)


def minicl(n, method="auto"):
    import minicl as mc

    z = mc.tensor(embeddings(n))

    def run():
        loss = mc.losses.nt_xent(z, temperature=TEMPERATURE, method=method)
        return float(loss), mc.grad(loss, z)

    return run


def composed(n):
    return minicl(n, "composed")


def _torch_loss(z, diagonal, target):
    import torch

    u = torch.nn.functional.normalize(z, dim=1)
    scores = (u @ u.T / TEMPERATURE).masked_fill(diagonal, -torch.inf)
    return torch.nn.functional.cross_entropy(scores, target)


def torch_eager(n, wrap=lambda f: f):
    import torch

    z = torch.tensor(embeddings(n), requires_grad=True)
    diagonal, target = torch.eye(n, dtype=torch.bool), (torch.arange(n) + n // 2) % n
    f = wrap(_torch_loss)

    def run():
        loss = f(z, diagonal, target)
        (g,) = torch.autograd.grad(loss, z)
        return float(loss.detach()), g.numpy()

    return run


def torch_compile(n):
    import torch

    return torch_eager(n, torch.compile)


def jax_jit(n):
    import jax
    import jax.numpy as jnp

    z, target = jnp.asarray(embeddings(n)), (np.arange(n) + n // 2) % n

    def f(z):
        u = z / jnp.linalg.norm(z, axis=1, keepdims=True)
        scores = jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, u @ u.T / TEMPERATURE)
        return (jax.nn.logsumexp(scores, axis=1) - scores[jnp.arange(n), target]).mean()

    f = jax.jit(jax.value_and_grad(f))

    def run():
        loss, g = f(z)
        return float(loss), np.asarray(g)

    return run


def hips_autograd(n):
    import autograd.numpy as anp
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    z, target, hidden = embeddings(n), (np.arange(n) + n // 2) % n, np.zeros((n, n), np.float32)
    np.fill_diagonal(hidden, -np.inf)

    def f(z):
        u = z / anp.sqrt(anp.sum(z**2, axis=1, keepdims=True))
        scores = anp.dot(u, u.T) / np.float32(TEMPERATURE) + hidden
        return anp.mean(logsumexp(scores, axis=1) - scores[np.arange(n), target])

    f = value_and_grad(f)
    return lambda: f(z)


def tinygrad(n):
    from tinygrad import Tensor

    x, eye = embeddings(n), np.eye(n, dtype=np.float32)
    target = np.roll(eye, n // 2, axis=1)
    target, hidden = Tensor(target), Tensor(np.where(eye > 0, np.float32(-1e30), np.float32(0)))

    def run():
        z = Tensor(x, requires_grad=True)
        u = z / (z * z).sum(axis=1, keepdim=True).sqrt()
        scores = u @ u.T / TEMPERATURE
        loss = ((scores + hidden).logsumexp(axis=1) - (scores * target).sum(axis=1)).mean()
        loss.backward()
        return float(loss.numpy()), z.grad.numpy()

    return run


def gemm(n):
    """The reference: 4 (2N)² d operations as two products of matrices, a few rows at a time."""
    z = embeddings(n)
    step = min(n, 2048)
    scores = np.empty((step, n), np.float32)

    def run():
        for start in range(0, n, step):
            rows = z[start : start + step]
            np.matmul(rows, z.T, out=scores[: len(rows)])
            scores[: len(rows)] @ z

    return run


PEERS = {
    "minicl": minicl,
    "minicl composed": composed,
    "torch": torch_eager,
    "torch.compile": torch_compile,
    "jax jit": jax_jit,
    "HIPS autograd": hips_autograd,
    "tinygrad": tinygrad,
    "two GEMMs": gemm,
}
