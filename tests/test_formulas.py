"""The closed forms against themselves: each gradient against the slopes of its own value, and values known beforehand.

No engine and no loss is used here. A complex step gives the slope to the last digit, and the same step through a
gradient gives the second derivative, which must be symmetric.
"""

import ast
import inspect

import numpy as np
import pytest
from differences import assert_close, central, complex_step

import minicl.formulas as formulas


def cases(seed=0):
    """Name → (differentiable arrays, options, names of the numbers that have gradients). Distinct primes for d."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape)
    labels = np.array([0, 1, 0, 2, 1, 0, 3])  # 2 and 3 occur once
    log_q, noise_log_q = np.log(rng.uniform(0.1, 1, 5)), np.log(rng.uniform(0.1, 1, (5, 3)))
    weights = rng.normal(size=5)
    tau = ("temperature",)
    return {
        "contrastive": ((draw(7, 3), draw(7, 3)), {"similar": np.arange(7) % 2 == 0, "margin": 2.5}, ()),
        "triplet": ((draw(7, 3), draw(7, 3), draw(7, 3)), {"margin": 0.7}, ()),
        "triplet squared": ((draw(7, 3), draw(7, 3), draw(7, 3)), {"margin": 0.7, "squared": True}, ()),
        "mined_triplet all": ((draw(7, 3),), {"labels": labels, "margin": 0.6}, ()),
        "mined_triplet semi_hard": ((draw(7, 3),), {"labels": labels, "margin": 2.0, "mining": "semi_hard"}, ()),
        "mined_triplet batch_hard": (
            (draw(7, 3),),
            {"labels": labels, "margin": 0.6, "mining": "batch_hard", "squared": True},
            (),
        ),
        "n_pair": ((draw(5, 3), draw(5, 3)), {"l2": 0.3}, ()),
        "cross_entropy": ((draw(5, 3),), {"target": np.array([0, 2, 1, 1, 2])}, ()),
        "nce": ((draw(5), draw(5, 3)), {"log_q": log_q, "noise_log_q": noise_log_q}, ()),
        "ranking_nce": ((draw(5), draw(5, 3)), {}, ()),
        "ranking_nce log_q": ((draw(5), draw(5, 3)), {"log_q": log_q, "noise_log_q": noise_log_q}, ()),
        "info_nce": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2}, tau),
        "info_nce symmetric": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2, "symmetric": True}, tau),
        "info_nce negatives": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2, "negatives": draw(7, 3)}, tau),
        "nt_xent": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2}, tau),
        "nt_xent interleaved": ((draw(10, 3),), {"temperature": 0.2, "layout": "interleaved"}, tau),
        "nt_xent stacked": ((draw(10, 3),), {"temperature": 0.2}, tau),
        "nt_xent weights": ((draw(5, 3), draw(5, 3)), {"weights": rng.normal(size=10)}, tau),
        "dcl": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2}, tau),
        "dcl interleaved": ((draw(10, 3),), {"temperature": 0.2, "layout": "interleaved"}, tau),
        "debiased": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2}, tau),
        "debiased clamped": ((draw(5, 3), draw(5, 3)), {"temperature": 0.5, "class_prior": 0.6}, tau),
        "debiased interleaved": ((draw(10, 3),), {"temperature": 0.2, "layout": "interleaved"}, tau),
        "supcon out": ((draw(7, 3),), {"labels": labels, "temperature": 0.2}, tau),
        "supcon in": ((draw(7, 3),), {"labels": labels, "temperature": 0.2, "form": "in"}, tau),
        "multi_positive": ((draw(3, 5, 2),), {"temperature": 0.2}, tau),
        "multi_positive in": ((draw(3, 5, 2),), {"temperature": 0.2, "form": "in"}, tau),
        "skip_gram": ((draw(5, 3), draw(5, 3), draw(5, 2, 3)), {"weights": weights}, ()),
        "siglip": ((draw(5, 3), draw(5, 3)), {"temperature": 0.2, "bias": -1.3}, ("temperature", "bias")),
        "moco": ((draw(5, 3),), {"keys": draw(5, 3), "queue": draw(7, 3), "temperature": 0.2}, tau),
        "memory_bank": ((draw(5, 3),), {"bank": draw(11, 3), "index": np.array([3, 0, 9, 9, 5])}, tau),
        "memory_bank negatives": (
            (draw(5, 3),),
            {"bank": draw(11, 3), "index": np.array([3, 0, 9, 9, 5]), "negatives": rng.integers(0, 11, (5, 2))},
            tau,
        ),
        "align": ((draw(5, 3), draw(5, 3)), {}, ()),
        "align 1": ((draw(5, 3), draw(5, 3)), {"alpha": 1}, ()),
        "align 3.5": ((draw(5, 3), draw(5, 3)), {"alpha": 3.5}, ()),
        "uniform": ((draw(7, 3),), {"t": 2.5}, ()),
    }


CASES = cases()


def call(name, arrays, options, **more):
    """The formula; the negatives of info_nce have a gradient and stand among the options."""
    return getattr(formulas, name.split()[0])(*arrays, **options, **more)


def moving(name, arrays, options, numbers):
    """All that has a gradient as one list, and the formula as a function of that list."""
    keys = [*(["negatives"] if name == "info_nce negatives" else []), *numbers]
    defaults = inspect.signature(getattr(formulas, name.split()[0])).parameters
    rest = [np.asarray(options.get(key, defaults[key].default), float) for key in keys]

    def f(*values):
        more = dict(zip(keys, values[len(arrays) :]))
        return call(name, values[: len(arrays)], options | more, **({"parameters": True} if numbers else {}))

    return [*arrays, *rest], f


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_each_gradient_is_the_slope_of_the_value(name, scale):
    arrays, options, numbers = CASES[name]
    if scale != 1 and name.split()[0] in {"cross_entropy", "n_pair", "nce", "ranking_nce", "skip_gram"}:
        scale = scale**0.3  # scores of a thousand leave nothing to see
    point, f = moving(name, [scale * x for x in arrays], options, numbers)
    gradients = f(*point)[1]
    assert len(gradients) == len(point)
    for k, found in enumerate(gradients):
        expected = complex_step(lambda *x: f(*x)[0], [*point], k)
        assert np.shape(found) == point[k].shape
        assert_close(found, expected, 1e-12, 1e-15 / scale, f"{name}, argument {k}")


@pytest.mark.parametrize("name", CASES)
def test_a_complex_step_agrees_with_differences(name):
    """So each formula is analytic where it is: nothing is conjugated or dropped on the way."""
    point, f = moving(name, *CASES[name])
    for k, found in enumerate(f(*point)[1]):
        assert_close(found, central(lambda *x: f(*x)[0], point, k, scale=0.1), 1e-8, what=f"{name}, argument {k}")


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_symmetric(name):
    point, f = moving(name, *CASES[name])
    rng = np.random.default_rng(1)
    v, w = ([rng.normal(size=x.shape) for x in point] for _ in range(2))

    def along(direction):
        """The derivative of the gradient in a direction, by a complex step."""
        return [np.imag(g) / 1e-30 for g in f(*(x + 1e-30j * d for x, d in zip(point, direction)))[1]]

    left, right = (sum(np.sum(a * b) for a, b in zip(u, along(d))) for u, d in ((w, v), (v, w)))
    assert abs(left - right) <= 1e-12 * sum(np.sum(np.abs(a * b)) for a, b in zip(w, along(v)))


@pytest.mark.parametrize("name", CASES)
def test_weights_pick_out_rows(name):
    """The gradient of the mean is the mean of the gradients of the rows."""
    arrays, options, _ = CASES[name]
    function = getattr(formulas, name.split()[0])
    if "weights" not in inspect.signature(function).parameters or "weights" in options:
        return
    options = dict(options)
    rows = len(arrays[0]) * {True: 2, False: 1}[name.split()[0] in ("nt_xent", "dcl", "debiased") and len(arrays) == 2]
    rows = rows * arrays[0].shape[1] if "multi" in name else rows
    parts = [function(*arrays, **options, weights=np.eye(rows)[i]) for i in range(rows)]
    counted = 5 if "supcon" in name else rows  # two anchors have no positive
    value, gradients = function(*arrays, **options)
    assert_close(sum(part[0] for part in parts) / counted, value, 1e-14, what=name)
    for k, whole in enumerate(gradients):
        assert_close(sum(part[1][k] for part in parts) / counted, whole, 1e-13, what=name)


# ------------------------------------------------------------------------------------------------------ known answers


@pytest.mark.parametrize("tau", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_known_values_of_nt_xent_and_its_kin(n, tau):
    same, pairs = np.ones((n, 5)), np.eye(n)
    pairs = np.concatenate([pairs, np.zeros((n, 2))], axis=1)
    assert_close(formulas.nt_xent(same, same, tau)[0], np.log(2 * n - 1), 1e-14)
    assert_close(formulas.nt_xent(pairs, 3 * pairs, tau)[0], np.log1p((2 * n - 2) * np.exp(-1 / tau)), 1e-13, 1e-15)
    simplex = pairs[:, :n] - 1 / n
    cosine = -1 / (n - 1)
    expected = np.log1p((2 * n - 2) * np.exp((cosine - 1) / tau))
    assert_close(formulas.nt_xent(simplex, simplex, tau)[0], expected, 1e-13, 1e-14)
    assert_close(formulas.dcl(pairs, pairs, tau)[0], np.log(2 * n - 2) - 1 / tau, 1e-13)
    assert_close(formulas.info_nce(pairs, pairs, tau)[0], np.log1p((n - 1) * np.exp(-1 / tau)), 1e-13, 1e-15)
    assert_close(formulas.info_nce(same, same, tau, symmetric=True)[0], np.log(n), 1e-13)
    assert_close(formulas.debiased(same, same, tau, 0.1)[0], np.log(2 * n - 1), 1e-13)
    assert_close(formulas.supcon(same, [0] * n, tau)[0], np.log(n - 1), 1e-13, 1e-15)


def test_collapse_and_one_image_have_no_gradient():
    for z1, z2, expected in ((np.ones((3, 5)), np.ones((3, 5)), np.log(5)), ([[1, 2]], [[3, -1]], 0.0)):
        value, gradients = formulas.nt_xent(z1, z2)
        assert_close(value, expected, 1e-15)
        assert all(np.abs(g).max() < 1e-16 for g in gradients)


def test_a_polygon_and_a_broken_pair():
    n, tau = 7, 0.3
    angle = 2 * np.pi * np.arange(n) / n
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    expected = np.log1p(2 * np.sum(np.exp((np.cos(angle[1:]) - 1) / tau)))
    assert_close(formulas.nt_xent(ring, ring, tau)[0], expected, 1e-14)
    z1, z2 = np.eye(n), np.eye(n)
    z2[0] = -z2[0]
    negatives = np.log(2 * n - 2)
    broken, others = np.logaddexp(-1 / tau, negatives) + 1 / tau, np.logaddexp(1 / tau, negatives) - 1 / tau
    expected = (2 * broken + (2 * n - 2) * others) / (2 * n)
    assert_close(formulas.nt_xent(z1, z2, tau)[0], expected, 1e-14)


def test_identities_between_losses():
    rng = np.random.default_rng(2)
    z1, z2 = rng.normal(size=(2, 5, 3))
    value, (d1, d2, dtau) = formulas.nt_xent(z1, z2, 0.3, parameters=True)
    for other, (dz, dt) in (
        formulas.nt_xent(np.concatenate([z1, z2]), temperature=0.3, parameters=True),
        formulas.supcon(np.concatenate([z1, z2]), np.arange(10) % 5, 0.3, parameters=True),
        formulas.supcon(np.concatenate([z1, z2]), np.arange(10) % 5, 0.3, "in", parameters=True),
    ):
        assert_close(other, value, 1e-14)
        assert_close(dz, np.concatenate([d1, d2]), 1e-14)
        assert_close(dt, dtau, 1e-13)
    both = np.empty((10, 3))
    both[::2], both[1::2] = z1, z2
    other, (dz,) = formulas.nt_xent(both, None, 0.3, "interleaved")
    assert_close(other, value, 1e-14)
    assert_close(dz[::2], d1, 1e-14)
    assert_close(dz[1::2], d2, 1e-14)
    assert_close(formulas.multi_positive([z1, z2], 0.3)[1][0], [d1, d2], 1e-14)
    views = rng.normal(size=(3, 5, 2))
    assert formulas.multi_positive(views, 0.3, "in")[0] < formulas.multi_positive(views, 0.3)[0]  # Jensen
    # dcl is nt_xent without the positive below; debiased without a prior is nt_xent
    assert formulas.dcl(z1, z2, 0.3)[0] < value
    assert_close(formulas.debiased(z1, z2, 0.3, 0.0)[0], value, 1e-14)
    # SGNS is NCE where ν q = 1
    c, v, n = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 4, 3))
    s, t = np.sum(c * v, 1), np.einsum("nd,nkd->nk", c, n)
    assert_close(
        formulas.nce(s, t, np.full(5, -np.log(4)), np.full((5, 4), -np.log(4)))[0],
        formulas.skip_gram(c, v, n)[0],
        1e-14,
    )


def test_scale_and_rotation_leave_the_loss_alone():
    rng = np.random.default_rng(3)
    z1, z2 = rng.normal(size=(2, 5, 3))
    turn, lengths = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.uniform(1e-3, 1e3, (5, 1))
    value, (d1, d2) = formulas.nt_xent(z1, z2, 0.2)
    other, (e1, e2) = formulas.nt_xent(lengths * z1 @ turn, z2 @ turn, 0.2)
    assert_close(other, value, 1e-13)
    assert_close(lengths * e1, d1 @ turn, 1e-12)
    assert_close(e2, d2 @ turn, 1e-12)
    assert np.abs(np.sum(z1 * d1, axis=1)).max() < 1e-15  # z·∂L/∂z = 0


# --------------------------------------------------------------------------------------------------- edges and errors


@pytest.mark.parametrize("name", CASES)
def test_small_temperatures_are_finite(name):
    arrays, options, numbers = CASES[name]
    if "temperature" in numbers:
        value, gradients = call(name, arrays, options | {"temperature": 0.001}, parameters=True)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)
        far = call(name, [1e200 * x for x in arrays], options | {"temperature": 0.001})[0]
        assert_close(far, value, 1e-11)


def test_scores_of_a_thousand_are_finite():
    value, (ds, dt) = formulas.nce([-1000.0], [[1000.0, -1000.0]], [0.0], [[0.0, 0.0]])
    assert_close(value, 2000 + 0.0, 1e-14) and ds.tolist() == [-1.0] and dt.tolist() == [[1.0, 0.0]]
    assert formulas.ranking_nce([-1000.0], [[1000.0]])[0] == 2000.0


def test_a_row_of_zeros_has_no_gradient():
    z1, z2 = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 1.0], [1.0, -1.0]])
    for function in (formulas.nt_xent, formulas.dcl, formulas.info_nce, formulas.siglip, formulas.align):
        value, (d1, d2) = function(z1, z2)
        assert np.isfinite(value) and np.isfinite(d2).all() and d1[0].tolist() == [0.0, 0.0]
    assert formulas.contrastive(z1, z1, [False, False])[1][0].tolist() == [[0.0, 0.0]] * 2


def test_the_accuracy_of_an_easy_positive():
    """1 − P is summed from the others: the gradient of a batch that is nearly solved keeps its digits."""
    z1 = np.eye(3) + 1e-3 * np.arange(9).reshape(3, 3)
    _, (d1, _) = formulas.nt_xent(z1, np.eye(3), 0.02)
    expected = complex_step(lambda a, b: formulas.nt_xent(a, b, 0.02)[0], [z1, np.eye(3)], 0)
    assert 0 < np.abs(d1).max() < 1e-15
    assert_close(d1, expected, 1e-9)


Z = np.ones((3, 2))
REFUSED = {
    "shapes": lambda: formulas.nt_xent(Z, np.ones((3, 3))),
    "odd rows": lambda: formulas.nt_xent(Z),
    "no rows": lambda: formulas.nt_xent(np.ones((0, 2)), np.ones((0, 2))),
    "τ": lambda: formulas.info_nce(Z, Z, 0.0),
    "τ not finite": lambda: formulas.supcon(Z, [0, 0, 1], np.inf),
    "NaN": lambda: formulas.align(Z * np.nan, Z),
    "layout": lambda: formulas.dcl(np.ones((4, 2)), layout="paired"),
    "one image": lambda: formulas.debiased(Z[:1], Z[:1]),
    "class prior": lambda: formulas.debiased(Z, Z, class_prior=1.0),
    "form": lambda: formulas.multi_positive([Z, Z], form="mean"),
    "one view": lambda: formulas.multi_positive([Z]),
    "no positive": lambda: formulas.supcon(Z, [0, 1, 2]),
    "labels": lambda: formulas.cross_entropy(Z, [0, 1, 2]),
    "label type": lambda: formulas.cross_entropy(Z, [0.0, 1.0, 1.0]),
    "both ways with negatives": lambda: formulas.info_nce(Z, Z, negatives=Z, symmetric=True),
    "mining": lambda: formulas.mined_triplet(Z, [0, 0, 1], mining="easy"),
    "no triplet": lambda: formulas.mined_triplet(Z, [0, 0, 0]),
    "index": lambda: formulas.memory_bank(Z, Z, [0, 1, 3]),
    "width of the queue": lambda: formulas.moco(Z, Z, np.ones((4, 3))),
    "half of the noise": lambda: formulas.ranking_nce(np.ones(3), Z, log_q=np.ones(3)),
    "similar": lambda: formulas.contrastive(Z, Z, [True]),
    "one row": lambda: formulas.uniform(Z[:1]),
    "weights": lambda: formulas.nt_xent(Z, Z, weights=np.ones(3)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what):
    with pytest.raises((ValueError, TypeError), match=r"^\w+: "):
        REFUSED[what]()


def test_every_formula_is_tested_and_takes_nothing_from_the_library():
    assert {name.split()[0] for name in CASES} == set(formulas.__all__)
    for name in formulas.__all__:
        path = inspect.getsourcefile(getattr(formulas, name))
        for node in ast.walk(ast.parse(open(path, encoding="utf-8").read())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 and node.module == "pieces"
