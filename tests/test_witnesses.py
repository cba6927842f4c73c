"""Every loss against its witnesses: the engine, the closed form, differences, and torch where it is installed.

The exact ones agree to 1e-12, with differences to 1e-8, at four temperatures and for batches from one image to 64; in
both storage orders; with random weights on the rows; and for the second derivatives too.
"""

import importlib.util
import inspect

import numpy as np
import pytest
from differences import assert_close

import minicl as mc
from minicl.gradcheck import numerical_gradient
from minicl.verify.comparison import CONSTANTS

TORCH = importlib.util.find_spec("torch") is not None
TEMPERATURES = [0.05, 0.1, 0.5, 2.0]
SIZES = {1: 2, 2: 3, 3: 5, 7: 3, 64: 11}  # N → d


def draw(variant, n, seed=0):
    """The arguments of a variant of a loss, by name; None where the loss is not defined for so few."""
    rng = np.random.default_rng([seed, n])
    d, (name, *words) = SIZES[n], variant.split()
    normal = lambda *shape: rng.normal(size=shape)
    log_q = lambda *shape: np.log(rng.uniform(0.1, 1.0, shape))
    stacked = {"z1": normal(n, d), "z2": normal(n, d)}
    words = set(words)
    if name in ("nt_xent", "dcl", "debiased"):
        if n == 1 and name != "nt_xent":
            return None
        given = {"z1": normal(2 * n, d), "layout": "interleaved"} if "interleaved" in words else stacked
        return given | ({"class_prior": 0.4} if "prior" in words else {})
    labels = rng.permutation(np.arange(2 * n) % max(n, 2) % 7)
    if name == "supcon":
        return {"z": normal(2 * n, d), "labels": labels * (n > 1), "form": "in" if "in" in words else "out"}
    if name == "mined_triplet":
        mining = variant.split()[1]
        z = {"z": normal(n, d), "labels": rng.permutation(np.arange(n) % max(2, n // 3))}
        return z | {"margin": 1.0, "mining": mining, "squared": "squared" in words} if n > 2 else None
    if name == "uniform":
        return {"z": normal(2 * n, d)}
    more = {
        "contrastive": lambda: {
            "x1": normal(n, d),
            "x2": normal(n, d),
            "similar": np.arange(n) % 2 == 1,
            "margin": 5.0,
        },
        "triplet": lambda: {"anchor": normal(n, d), "positive": normal(n, d), "negative": normal(n, d), "margin": 2.0},
        "n_pair": lambda: {"anchors": normal(n, d), "positives": normal(n, d), "l2": 0.3},
        "cross_entropy": lambda: {"logits": normal(n, d), "target": rng.integers(0, d, n)},
        "nce": lambda: {"scores": normal(n), "noise_scores": normal(n, d)},
        "ranking_nce": lambda: {"scores": normal(n), "noise_scores": normal(n, d)},
        "info_nce": lambda: {"queries": normal(n, d), "keys": normal(n, d)},
        "multi_positive": lambda: {"views": normal(3, n, d), "form": "in" if "in" in words else "out"},
        "skip_gram": lambda: {"centers": normal(n, d), "contexts": normal(n, d), "negatives": normal(n, 2, d)},
        "siglip": lambda: stacked | {"bias": -1.3},
        "moco": lambda: {"queries": normal(n, d), "keys": normal(n, d), "queue": normal(7, d)},
        "memory_bank": lambda: {"z": normal(n, d), "bank": normal(13, d), "index": rng.integers(0, 13, n)},
        "align": lambda: stacked,
    }[name]()
    if name == "nce" or "log_q" in words:
        more |= {"log_q": log_q(n), "noise_log_q": log_q(n, d)}
    if "squared" in words:
        more["squared"] = True
    if "symmetric" in words:
        more["symmetric"] = True
    if "negatives" in words:
        more["negatives"] = normal(7, d) if name == "info_nce" else rng.integers(0, 13, (n, 5))
    if "cubed" in words:
        more["alpha"] = 3
    return more


WITH_TEMPERATURE = [
    *(f"{name}{layout}" for name in ("nt_xent", "dcl", "debiased") for layout in ("", " interleaved")),
    "debiased prior",
    *("info_nce", "info_nce symmetric", "info_nce negatives"),
    *("supcon", "supcon in", "multi_positive", "multi_positive in"),
    *("siglip", "moco", "memory_bank", "memory_bank negatives"),
]
WITHOUT = [
    *("contrastive", "triplet", "triplet squared", "mined_triplet all", "mined_triplet semi_hard"),
    *("mined_triplet batch_hard", "mined_triplet all squared", "mined_triplet batch_hard squared"),
    *("n_pair", "cross_entropy", "nce", "ranking_nce", "ranking_nce log_q", "skip_gram"),
    *("align", "align cubed", "uniform"),
]
CASES = [(v, tau) for v in WITH_TEMPERATURE for tau in TEMPERATURES] + [(v, None) for v in WITHOUT]


class Case:
    """A loss at a point: `names` are the arguments with a gradient, the last of them τ (and the bias)."""

    def __init__(self, variant, tau, n, seed=0):
        self.name, given = variant.split()[0], draw(variant, n, seed)
        self.defined = given is not None
        if not self.defined:
            return
        fixed = CONSTANTS.get(self.name, ())
        self.names = [k for k, x in given.items() if isinstance(x, np.ndarray) and x.dtype == float and k not in fixed]
        self.numbers = [] if tau is None else ["temperature", *(["bias"] if self.name == "siglip" else [])]
        given |= {} if tau is None else {"temperature": tau}
        order = list(inspect.signature(getattr(mc.losses, self.name)).parameters)
        self.names = sorted(self.names, key=order.index) + self.numbers
        self.given, self.point = given, [np.asarray(given[k], float) for k in self.names]
        self.size = 1.0 / min(tau or 1.0, 1.0)  # by how much the scores, and their rounding, are multiplied

    def loss(self, *moving, **more):
        return getattr(mc.losses, self.name)(**(self.given | dict(zip(self.names, moving)) | more))

    def closed(self, *moving, **more):
        more |= {"parameters": True} if self.numbers else {}
        return getattr(mc.formulas, self.name)(**(self.given | dict(zip(self.names, moving)) | more))

    def engine(self, **more):
        leaves = [mc.tensor(x) for x in self.point]
        y = self.loss(*leaves, **more)
        return y, leaves

    def by_torch(self):
        import torch

        from minicl.verify import torch_losses

        leaves = [torch.tensor(x, requires_grad=True) for x in self.point]
        fixed = {k: torch.tensor(x) if isinstance(x, np.ndarray) else x for k, x in self.given.items()}
        y = getattr(torch_losses, self.name)(**(fixed | dict(zip(self.names, leaves))))
        return y.item(), [
            np.zeros(x.shape) if g is None else g.numpy()
            for x, g in zip(leaves, torch.autograd.grad(y, leaves, allow_unused=True))
        ]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("variant", "tau"), CASES)
def test_all_witnesses_agree(variant, tau, n):
    case = Case(variant, tau, n)
    if not case.defined:
        with pytest.raises(ValueError):
            getattr(mc.losses, case.name)(np.ones((1, 3)), [0] if case.name == "mined_triplet" else np.ones((1, 3)))
        return
    y, leaves = case.engine()
    found, value = [mc.to_numpy(g) for g in mc.grad(y, leaves)], float(mc.to_numpy(y))
    rounding = 1e-15 * case.size
    witnesses = {"closed form": case.closed(*case.point)} | ({"torch": case.by_torch()} if TORCH else {})
    for who, (other, gradients) in witnesses.items():
        assert_close(value, other, 1e-12, rounding, f"the value, {who}")
        assert len(gradients) == len(found)
        for name, g, expected in zip(case.names, found, gradients):
            floor = rounding * (case.size if name == "temperature" else 1.0)  # ∂/∂τ of s/τ is −s/τ²
            assert_close(g, expected, 1e-12, floor, f"the gradient of {name}, {who}")

    # differences: along random directions through all entries of one argument at a time
    rng = np.random.default_rng(7)
    for k, (name, x) in enumerate(zip(case.names, case.point)):
        directions = rng.normal(size=(3 if x.size > 3 else 1, *x.shape)) if x.ndim else np.ones(1)
        along = lambda t: case.loss(*case.point[:k], x + np.tensordot(t, directions, 1), *case.point[k + 1 :])
        slopes = numerical_gradient(along, np.zeros(len(directions)))
        expected = np.array([np.sum(found[k] * direction) for direction in directions])
        largest = np.sqrt(np.sum(found[k] ** 2))  # the largest slope that a direction of length 1 can have
        assert_close(slopes, expected, 1e-8, 1e-8 * largest + 1e-11 * case.size, f"{name}, differences")


@pytest.mark.parametrize("variant", [*WITH_TEMPERATURE, *WITHOUT])
def test_every_entry_by_differences(variant):
    """The same at each entry alone, where the batch is small."""
    case = Case(variant, 0.1 if variant in WITH_TEMPERATURE else None, 3)
    y, leaves = case.engine()
    for k, g in enumerate(mc.grad(y, leaves)):
        slopes = numerical_gradient(lambda x: case.loss(*case.point[:k], x, *case.point[k + 1 :]), case.point[k])
        assert_close(slopes, mc.to_numpy(g), 1e-8, what=case.names[k])


ROWS = [v for v in [*WITH_TEMPERATURE, *WITHOUT] if v.split()[0] not in ("mined_triplet", "align", "uniform")]


@pytest.mark.parametrize("n", [2, 7])
@pytest.mark.parametrize("variant", ROWS)
def test_gradients_of_each_row(variant, n):
    """Random weights on the rows of reduction="none": a mean could hide an error that sums to 0."""
    case = Case(variant, 0.1 if variant in WITH_TEMPERATURE else None, n)
    y, leaves = case.engine(reduction="none")
    rng = np.random.default_rng(3)
    for weights in (rng.normal(size=y.shape), np.eye(len(y))[1]):
        value, gradients = case.closed(*case.point, weights=weights)
        assert_close(np.sum(weights * mc.to_numpy(y)), value, 1e-12, 1e-14 * case.size)
        for name, g, expected in zip(case.names, mc.grad(y, leaves, weights), gradients):
            assert_close(mc.to_numpy(g), expected, 1e-12, 1e-15 * case.size, name)


@pytest.mark.parametrize("tau", TEMPERATURES)
@pytest.mark.parametrize("name", ["nt_xent", "dcl", "debiased"])
def test_storage_orders_are_permutations_of_each_other(name, tau):
    z1, z2 = np.random.default_rng(1).normal(size=(2, 7, 3))
    both = np.empty((14, 3))
    both[::2], both[1::2] = z1, z2
    function = getattr(mc.losses, name)
    forms = [(z1, z2), (np.concatenate([z1, z2]), None, tau), (both, None, tau)]
    values, gradients = [], []
    for form, layout in zip(forms, ("stacked", "stacked", "interleaved")):
        leaves = [mc.tensor(z) for z in form[:2] if z is not None]
        y = function(*leaves, temperature=tau, layout=layout)
        values.append(float(mc.to_numpy(y)))
        gradients.append(np.concatenate([mc.to_numpy(g) for g in mc.grad(y, leaves)]))
    assert_close(values[1:], [values[0]] * 2, 1e-13)
    assert_close(gradients[1], gradients[0], 1e-13)
    assert_close(np.concatenate([gradients[2][::2], gradients[2][1::2]]), gradients[0], 1e-13)
    wrong = function(mc.tensor(both), temperature=tau)  # the orders are not the same thing
    assert abs(float(mc.to_numpy(wrong)) - values[0]) > 1e-3 * abs(values[0])


# ------------------------------------------------------------------------------------------------- second derivatives


@pytest.mark.parametrize("n", [2, 7])
@pytest.mark.parametrize(("variant", "tau"), CASES)
def test_second_derivatives_of_the_engine_and_of_the_closed_form(variant, tau, n):
    """Hv along a random direction: the engine's gradient of a gradient, and a complex step through the closed form."""
    case = Case(variant, tau, n)
    if not case.defined:
        return
    rng = np.random.default_rng(2)
    v = [rng.normal(size=x.shape) * (0.1 if not x.ndim else 1.0) for x in case.point]
    y, leaves = case.engine()
    first = mc.grad(y, leaves, differentiable=True)
    hv = mc.grad(sum((g * d).sum() for g, d in zip(first, v)), leaves)
    _, moved = case.closed(*(x + 1e-30j * d for x, d in zip(case.point, v)))
    top = max(np.abs(np.imag(m)).max() for m in moved) / 1e-30
    for name, found, m in zip(case.names, hv, moved):
        assert_close(mc.to_numpy(found), np.imag(m) / 1e-30, 1e-12, 1e-12 * top + 1e-13 * case.size**2, name)


@pytest.mark.parametrize("variant", [*WITH_TEMPERATURE, *WITHOUT])
def test_the_gradient_checker_to_order_two(variant):
    case = Case(variant, 0.3 if variant in WITH_TEMPERATURE else None, 3 if "mined" in variant else 2)
    assert mc.gradcheck.check(case.loss, *case.point, order=2).passed


# ----------------------------------------------------------------------------------------------------- the two modules


@pytest.mark.parametrize("name", mc.formulas.__all__)
def test_formulas_have_the_arguments_of_the_losses(name):
    """Same names, same order, same defaults; but for how it is computed, and weights by keyword alone."""
    loss, formula = (inspect.signature(getattr(module, name)).parameters for module in (mc.losses, mc.formulas))
    theirs = [(p.name, p.default) for p in formula.values() if p.kind != p.KEYWORD_ONLY]
    extra = ("reduction", "method", *(("weight", "label_smoothing") if name == "cross_entropy" else ()))
    assert theirs == [(p.name, p.default) for p in loss.values() if p.name not in extra]


def test_every_loss_is_witnessed():
    assert {variant.split()[0] for variant in [*WITH_TEMPERATURE, *WITHOUT]} == set(mc.formulas.__all__)
    others = {"nll_loss", "mse_loss", "binary_cross_entropy_with_logits"}  # general losses, tested by test_functional
    assert set(mc.losses.__all__) - others == set(mc.formulas.__all__)


def test_stop_gradients_of_constants():
    """Keys, queue and bank get no gradient from the engine either."""
    rng = np.random.default_rng(0)
    q, k, queue = (mc.tensor(rng.normal(size=(n, 3))) for n in (5, 5, 7))
    for y in (mc.losses.moco(q, k, queue), mc.losses.memory_bank(q, queue, np.array([0, 6, 2, 2, 3]))):
        gradients = [mc.to_numpy(g) for g in mc.grad(y, [q, k, queue])]
        assert np.abs(gradients[0]).max() > 0 and not np.any(gradients[1]) and not np.any(gradients[2])
