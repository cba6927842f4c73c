"""The trained networks that several checks look at. They are small and seeded, and trained once in a run.

`forget()` drops what was trained, for whoever changes a formula in between.
"""

import functools
import math

import numpy as np
from scipy.optimize import minimize

import minicl as mc

SEEDS = range(5)
FEW, MANY = 5, 50  # labels a class


@functools.cache
def digits():
    """Images and labels for training, and for testing."""
    return *mc.data.digits("train"), *mc.data.digits("test")


def network(seed):
    """An encoder from 64 pixels to h (64), and a head to z (32)."""
    return mc.nn.MLP([64, 256, 64], rng=seed), mc.nn.ProjectionHead(64, 64, 32, rng=100 + seed)


def small_network():
    """The same in float64 and so small that every weight can be looked at: 6 numbers to h (4), and to z (3)."""
    return mc.nn.MLP([6, 5, 4], rng=0, dtype=np.float64), mc.nn.ProjectionHead(4, 4, 3, rng=1, dtype=np.float64)


VIEW = mc.data.views.Compose(
    [mc.data.views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2)), mc.data.views.GaussianNoise(0.05)]
)


@functools.cache
def simclr(seed, steps=100, count=None, batch_size=256):
    """SimCLR on digits (the first `count` of them): the method, trained."""
    images = digits()[0][:count]
    encoder, head = network(seed)
    method = mc.train.SimCLR(
        encoder, head, VIEW, temperature=0.2, lr=3e-3, batch_size=min(batch_size, len(images)), seed=seed
    )
    epochs = -(-steps // (len(images) // method.batch_size))
    return method.fit(images, epochs=epochs, progress=False)


def accuracy(represent, seed, labels_a_class, draw=0):
    """% right on the test images by a linear classifier on `represent(images)`; equal seeds know the same labels."""
    x, y, test_x, test_y = digits()
    known = mc.data.few_labels(y, labels_a_class, np.random.default_rng([seed, labels_a_class, draw]))
    return 100 * mc.evaluate.linear_probe(represent(x[known]), y[known], represent(test_x), test_y, model="ridge")


def pixels(images):
    return images.reshape(len(images), -1)


@functools.cache
def accuracies(labels_a_class, draws=1):
    """% right from pixels, from an untrained encoder, and from h and z of a trained one: arrays over seeds."""
    found = {"pixels": [], "untrained": [], "h": [], "z": []}
    for seed in SEEDS:
        fresh, trained = network(seed)[0], simclr(seed)
        for name, f in [
            ("pixels", pixels),
            ("untrained", lambda x: fresh(x).data),
            ("h", trained.encode),
            ("z", trained.embed),
        ]:
            found[name].append(np.mean([accuracy(f, seed, labels_a_class, draw) for draw in range(draws)]))
    return {name: np.array(values) for name, values in found.items()}


@functools.cache
def from_labels_alone(seed, labels_a_class):
    """% right of the same network, trained on the few labels alone."""
    x, y, test_x, test_y = digits()
    known = mc.data.few_labels(y, labels_a_class, np.random.default_rng([seed, labels_a_class, 0]))
    method = mc.train.FineTune(network(seed)[0], 64, 10, encoder_lr=1.0, lr=3e-3, batch_size=len(known), seed=seed)
    return 100 * method.fit(x[known], 100, labels=y[known], progress=False).score(test_x, test_y)


def descend(loss, parameters, steps, lr, optimizer=None):
    """Gradient descent on arrays: the arrays after `steps`, and the losses on the way."""
    tensors = [mc.tensor(np.array(p)) for p in parameters]
    rule = (optimizer or mc.optim.SGD)(tensors, lr=lr)
    values = []
    for _ in range(steps):
        value = loss(*tensors)
        values.append(float(value.data))
        rule.step(mc.grad(value, tensors))
    return [t.data for t in tensors], values


def minimised(loss, shape, seed, tries=4):
    """The smallest value of loss(z) that L-BFGS finds from a few random starts, and where."""
    rng = np.random.default_rng(seed)

    def f(x):
        value, (g,) = mc.value_and_grad(loss, x.reshape(shape))
        return float(value), g.ravel()

    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
    starts = (rng.standard_normal(math.prod(shape)) for _ in range(tries))
    best = min((minimize(f, x, jac=True, method="L-BFGS-B", options=options) for x in starts), key=lambda r: r.fun)
    return best.fun, best.x.reshape(shape)


@functools.cache
def factors(view_changes, seed, spread=0.3, steps=60, dimensions=4):
    """A linear encoder, trained on points with two hidden factors a and b; the views redraw the one that is named,
    which has a spread of its own around its centres.

    Returns the points, the labels of a and of b, and the embeddings.
    """
    rng = np.random.default_rng([seed, 3])
    n, a, b = 120, rng.integers(0, 4, 120), rng.integers(0, 4, 120)
    centres = rng.standard_normal((2, 4, 6))
    changed = "ab".index(view_changes)
    width = lambda which: spread if which == changed else 0.3
    draw = lambda which, label: 2.0 * centres[which, label] + width(which) * rng.standard_normal((n, 6))
    x = np.concatenate([draw(0, a), draw(1, b)], axis=1)

    def view():
        v = x + 0.3 * rng.standard_normal(x.shape)
        v[:, 6 * changed : 6 * changed + 6] = draw(changed, rng.integers(0, 4, n))
        return v

    weight = mc.tensor(0.3 * rng.standard_normal((12, dimensions)))
    rule = mc.optim.Adam([weight], lr=3e-2)
    for _ in range(steps):
        rule.step(mc.grad(mc.losses.nt_xent(view() @ weight, view() @ weight, 0.5), [weight]))
    return x, a, b, x @ weight.data


def forget():
    """Drop all trained networks."""
    for f in (simclr, accuracies, from_labels_alone, factors):
        f.cache_clear()
