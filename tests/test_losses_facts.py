"""What the contrastive losses are known to be: known answers, invariances, identities, limits, extreme numbers.

None of these tests knows how a loss is computed, and none needs another implementation.
"""

import functools
import math

import numpy as np
import pytest
from differences import assert_close

import minicl as mc
from minicl import losses
from minicl.losses import (
    align,
    contrastive,
    dcl,
    debiased,
    info_nce,
    memory_bank,
    mined_triplet,
    moco,
    multi_positive,
    n_pair,
    nce,
    nt_xent,
    ranking_nce,
    siglip,
    skip_gram,
    supcon,
    triplet,
    uniform,
)

TEMPERATURES = [0.05, 0.1, 0.5, 2.0]


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def labelled(f, **options):
    """A loss of labelled rows as one of two views: three classes of images."""

    def of_views(z1, z2, temperature):
        n = len(z1)
        return f(mc.concatenate([z1, z2]), [*(np.arange(n) % 3)] * 2, temperature, **options)

    return of_views


# Each loss of two views that looks at directions alone, as f(z1, z2, temperature).
ON_THE_SPHERE = {
    "nt_xent": nt_xent,
    "dcl": dcl,
    "debiased": functools.partial(debiased, class_prior=0.05),
    "info_nce": info_nce,
    "info_nce, symmetric": functools.partial(info_nce, symmetric=True),
    "moco": lambda z1, z2, t: moco(z1, mc.to_numpy(z2)[::-1], mc.to_numpy(z2), t),
    "memory_bank": lambda z1, z2, t: memory_bank(z1, mc.to_numpy(z2), [*range(len(z1))], t),
    "supcon": labelled(supcon),
    "supcon, in": labelled(supcon, form="in"),
    "multi_positive": lambda z1, z2, t: multi_positive(mc.stack([z1, z2, z1, z2]), t),
    "siglip": siglip,
    "align": lambda z1, z2, t: align(z1, z2),
    "uniform": lambda z1, z2, t: uniform(mc.concatenate([z1, z2]), 1 / (2 * t)),
}
on_the_sphere = pytest.mark.parametrize("name", ON_THE_SPHERE)
CONSTANT = ("moco", "memory_bank")  # their second argument gets no gradient


def gradients(name, z1, z2, temperature):
    """The value and the gradients of z1 and (if it has one) z2."""
    leaves = [mc.tensor(z1), mc.tensor(z2)]
    loss = ON_THE_SPHERE[name](*leaves, temperature)
    return float(loss), mc.grad(loss, leaves[:1] if name in CONSTANT else leaves)


# -------------------------------------------------------------------------------------------------------- known answers


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n", [2, 3, 5, 16])
def test_known_answers_of_nt_xent(n, temperature):
    """To 12 digits of the value itself, however small it is: 4e-13 for the simplex of 3 images at τ = 0.05."""

    def close(z1, z2, expected):
        assert_close(nt_xent(z1, z2, temperature), expected, 1e-12)

    z = np.random.default_rng(n).standard_normal((1, 7)).repeat(n, axis=0)
    close(z, 3 * z, math.log(2 * n - 1))  # collapse
    close(np.eye(n), np.eye(n), math.log1p((2 * n - 2) * math.exp(-1 / temperature)))  # orthogonal pairs
    simplex = np.eye(n) - 1 / n
    close(simplex, simplex, math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * temperature))))
    angle = 2 * np.pi * np.arange(n) / n
    polygon = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    others = 2 * sum(math.exp((math.cos(2 * math.pi * m / n) - 1) / temperature) for m in range(1, n))
    close(polygon, polygon, math.log1p(others))
    broken = np.eye(n)
    broken[0] *= -1  # one image's views are opposite
    hard = np.logaddexp(-1 / temperature, math.log(2 * n - 2)) + 1 / temperature
    easy = math.log1p((2 * n - 2) * math.exp(-1 / temperature))
    close(np.eye(n), broken, (2 * hard + (2 * n - 2) * easy) / (2 * n))


def test_the_simplex_is_the_lowest_and_collapse_is_no_descent(rng):
    """No other arrangement is below the simplex; at collapse the gradient is zero."""
    n, temperature = 4, 0.5
    lowest = math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * temperature)))
    simplex = np.eye(n) - 1 / n
    for scale in (1e-3, 1e-2, 0.1, 1.0):
        moved = simplex + scale * rng.standard_normal((n, n))
        assert nt_xent(moved, moved + scale * rng.standard_normal((n, n)), temperature) > lowest
    for z in (simplex, np.ones((n, 3))):
        _, found = gradients("nt_xent", z, z, temperature)
        assert max(np.abs(g).max() for g in found) < 1e-16 / temperature


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [0.001, *TEMPERATURES])
def test_one_image_is_found_without_fail(temperature, rng):
    """N = 1: the partner is the only candidate. Value and gradients of every order are 0, also for opposite views."""
    z = rng.standard_normal((1, 3))
    for z2 in (rng.standard_normal((1, 3)), z, -z):
        leaves = mc.tensor(z), mc.tensor(z2), mc.tensor(temperature)
        loss = nt_xent(*leaves)
        assert float(loss) == 0 and nt_xent(z, z2, temperature) == 0
        g = mc.grad(loss, leaves, differentiable=True)
        assert all(not x.data.any() for x in g)
        assert all(not x.any() for x in mc.grad(sum(mc.sum(x) for x in g), leaves))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_known_answers_at_collapse(temperature):
    """No candidate is better than another: the log of their number, for each loss its own."""
    n = 5
    z = np.ones((n, 3))
    for found, count in [
        (info_nce(z, z, temperature), n),
        (info_nce(z, z, temperature, symmetric=True), n),
        (info_nce(z, z, temperature, negatives=np.ones((4, 3))), n + 4),
        (dcl(z, z, temperature), 2 * n - 2),
        (debiased(z, z, temperature), 2 * n - 1),
        (moco(z, z, np.ones((7, 3)), temperature), 8),
        (memory_bank(z, np.ones((9, 3)), [0, 8, 3, 1, 1], temperature), 9),
        (memory_bank(z, np.ones((9, 3)), [0, 8, 3, 1, 1], temperature, np.zeros((n, 2), int)), 3),
        (supcon(z, [0, 0, 1, 1, 2], temperature), n - 1),
        (supcon(z, [0, 0, 1, 1, 2], temperature, form="in"), n - 1),
        (multi_positive(np.ones((3, 4, 2)), temperature), 11),
        (n_pair(z, z), n),
        (ranking_nce(np.ones(4), np.ones((4, 6))), 7),
    ]:
        assert_close(found, math.log(count), 1e-14)


def test_known_answers_of_the_others():
    one = np.array([[1.0, 0.0]])
    assert_close(siglip(one, one, 0.1, -10.0), math.log(2), 1e-15)
    assert_close(siglip(np.eye(3), np.eye(3), 0.1, -10.0), math.log(2) + 2 * math.log1p(math.exp(-10)), 1e-14)
    assert_close(align(np.eye(3), -np.eye(3)), 4.0, 1e-15)
    assert_close(align(np.eye(3), -np.eye(3), alpha=1), 2.0, 1e-15)
    assert_close(uniform(np.eye(4), t=3.0), -6.0, 1e-15)
    assert_close(uniform(np.ones((4, 2)), t=3.0), 0.0, 1e-15, 1e-15)
    assert_close(
        nce(np.zeros(2), np.zeros((2, 5)), np.zeros(2), np.zeros((2, 5))), math.log(6) - 5 * math.log(5 / 6), 1e-14
    )
    assert_close(skip_gram(one, one, np.zeros((1, 3, 2))), math.log1p(math.exp(-1)) + 3 * math.log(2), 1e-14)
    x = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    y = np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
    assert contrastive(x, y, [True, False, False], margin=7.0, reduction="none").tolist() == [12.5, 2.0, 2.0]
    assert triplet(x, y, y / 2, margin=0.0, reduction="none").tolist() == [2.5] * 3
    assert triplet(x, y, y / 2, margin=0.0, squared=True, reduction="none").tolist() == [18.75] * 3


def test_perfect_positives_without_negatives(rng):
    """Nothing is left to do, and still the loss is log |P|: the positives compete with each other."""
    z = np.ones((4, 1)) * rng.standard_normal(3)
    for form in ("out", "in"):
        assert_close(supcon(z, [7, 7, 7, 7], 0.1, form), math.log(3), 1e-14)
        assert_close(multi_positive(z.reshape(4, 1, 3), 0.1, form), math.log(3), 1e-14)


# ----------------------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
def test_four_forms_of_nt_xent(temperature, rng):
    """−s + LSE; cross-entropy with the partner as class; log(1 + Σ exp of differences); softplus of a difference."""
    n = 5
    z1, z2 = rng.standard_normal((n, 3)), rng.standard_normal((n, 3))
    u = unit(np.concatenate([z1, z2]))
    s = u @ u.T / temperature
    found = nt_xent(z1, z2, temperature, reduction="none")
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = np.delete(s[i], [i, j])
        forms = [
            -s[i, j] + np.log(np.exp(np.delete(s[i], i)).sum()),
            mc.cross_entropy(np.where(np.arange(2 * n) == i, -np.inf, s[i]), j),
            np.log1p(np.exp(others - s[i, j]).sum()),
            np.logaddexp(0, np.log(np.exp(others).sum()) - s[i, j]),
        ]
        assert_close(np.array(forms), np.full(4, found[i]), 1e-13)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_gradient_of_nt_xent_has_two_roles(temperature, rng):
    """dL/dU = (G + Gᵀ) U: as an anchor, and as a candidate of the others."""
    n = 4
    z1, z2 = rng.standard_normal((n, 3)), rng.standard_normal((n, 3))
    z = np.concatenate([z1, z2])
    u, length = unit(z), np.linalg.norm(z, axis=1, keepdims=True)
    e = np.exp(u @ u.T / temperature) * ~np.eye(2 * n, dtype=bool)
    p = e / e.sum(1, keepdims=True)
    y = np.eye(2 * n)[(np.arange(2 * n) + n) % (2 * n)]
    g = (p - y) / (2 * n * temperature)
    at_u = (g + g.T) @ u
    expected = (at_u - (at_u * u).sum(1, keepdims=True) * u) / length
    t = mc.tensor(temperature)
    a, b = mc.tensor(z1), mc.tensor(z2)
    *found, at_t = mc.grad(nt_xent(a, b, t), [a, b, t])
    assert_close(np.concatenate(found), expected, 1e-13)
    assert_close(at_t, ((y - p) * (u @ u.T)).sum() / (2 * n * temperature**2), 1e-13)


def test_layouts_hold_the_same_views(rng):
    z1, z2 = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    stacked = np.concatenate([z1, z2])
    interleaved = np.stack([z1, z2], axis=1).reshape(10, 3)
    for loss in (nt_xent, dcl, debiased):
        each = loss(z1, z2, reduction="none")
        assert_close(loss(stacked, reduction="none"), each, 0.0)
        found = loss(interleaved, layout="interleaved", reduction="none")
        assert_close(found.reshape(5, 2).T.ravel(), each, 1e-13)
        assert_close(loss(interleaved, layout="interleaved"), loss(z1, z2), 1e-14)
        x = mc.tensor(interleaved)
        a, b = mc.tensor(z1), mc.tensor(z2)
        g = mc.grad(loss(x, layout="interleaved"), x)
        expected = np.stack(mc.grad(loss(a, b), [a, b]), axis=1).reshape(10, 3)
        assert_close(g, expected, 1e-13)


@pytest.mark.parametrize("form", ["out", "in"])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_one_positive_each_is_nt_xent(form, temperature, rng):
    """Two views, or labels that name the image: value and gradient."""
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    a, b = mc.tensor(z1), mc.tensor(z2)
    expected = nt_xent(a, b, temperature, reduction="none")
    c = rng.standard_normal(8)
    g = mc.grad(expected, [a, b], cotangent=c)
    for same in (
        multi_positive(mc.stack([a, b]), temperature, form, reduction="none"),
        supcon(mc.concatenate([a, b]), [3, 5, 1, 7] * 2, temperature, form, reduction="none"),
    ):
        assert_close(same.data, expected.data, 1e-14)
        for found, right in zip(mc.grad(same, [a, b], cotangent=c), g):
            assert_close(found, right, 1e-13)


def test_the_logarithm_of_a_mean_is_not_the_mean_of_logarithms(rng):
    """Jensen: for each anchor L_in ≤ L_out, with equality where the positives are equally near."""
    for n in (6, 9, 20):
        z, labels = rng.standard_normal((n, 4)), np.arange(n) % 2
        inside, outside = (supcon(z, labels, 0.2, form, "none") for form in ("in", "out"))
        assert (inside <= outside + 1e-14).all() and (outside - inside).max() > 1e-3
        z = np.eye(4)[rng.integers(0, 2, n)]
        inside, outside = (supcon(z, z.argmax(1), 0.2, form, "none") for form in ("in", "out"))
        assert_close(inside, outside, 1e-14)


def test_an_anchor_without_a_positive_is_left_out(rng):
    z = rng.standard_normal((5, 3))
    labels = np.array([0, 4, 0, 7, 0])
    for form in ("out", "in"):
        x = mc.tensor(z)
        each = supcon(x, labels, 0.3, form, "none")
        assert each.data[1] == each.data[3] == 0 and (each.data[[0, 2, 4]] > 0).all()
        assert_close(float(supcon(z, labels, 0.3, form)), each.data.sum() / 3, 1e-15)
        g = mc.grad(each[1] + each[3], x)
        assert not g.any()
        assert np.abs(mc.grad(supcon(x, labels, 0.3, form), x)[1]).max() > 0  # it is still a negative of others


def test_decoupled_and_coupled(rng):
    """NT-Xent = softplus(DCL) for each anchor, so its gradient is DCL's times 1 − p."""
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    a, b = mc.tensor(z1), mc.tensor(z2)
    coupled, decoupled = nt_xent(a, b, 0.3, reduction="none"), dcl(a, b, 0.3, reduction="none")
    assert_close(coupled.data, np.logaddexp(0, decoupled.data), 1e-14)
    for i in range(8):
        chance = -np.expm1(-coupled.data[i])  # 1 − p
        for g, h in zip(mc.grad(coupled[i], [a, b]), mc.grad(decoupled[i], [a, b])):
            assert_close(g, chance * h, 1e-13)
    assert float(dcl(np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]]), 0.1)) < -19 < 0


def test_debiased_without_bias_is_nt_xent(rng):
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    for temperature in (0.01, *TEMPERATURES):
        assert_close(debiased(z1, z2, temperature, class_prior=0.0), nt_xent(z1, z2, temperature), 1e-14)


@pytest.mark.parametrize("temperature", [0.001, 0.01])
def test_debiased_at_its_lower_bound(temperature):
    """Where the estimate falls below the smallest mean e^{−1/τ} there can be, that bound is taken: here at once."""
    z = np.eye(3)
    found = debiased(z, z, temperature, class_prior=0.1, reduction="none")
    assert_close(found, np.full(6, math.log1p(4 * math.exp(-2 / temperature))), 1e-12)


def test_debiased_between_zero_and_its_lower_bound():
    """An estimate can be positive and still too small: there the bound holds too, and its gradient is that of e^{−1/τ}."""
    z, temperature = np.array([[1.0, 0.0], [-0.95, math.sqrt(1 - 0.95**2)]]), 0.5
    prior = 0.005
    estimate = (math.exp(-0.95 / temperature) - prior * math.exp(1 / temperature)) / (1 - prior)
    assert 0 < estimate < math.exp(-1 / temperature)
    t = mc.tensor(temperature)
    loss = debiased(z, z, t, class_prior=prior)
    assert_close(float(loss), math.log1p(2 * math.exp(-2 / temperature)), 1e-13)
    slope = 2 * 2 / temperature**2 * math.exp(-2 / temperature) / (1 + 2 * math.exp(-2 / temperature))
    assert_close(mc.grad(loss, t), slope, 1e-13)
    freed = debiased(z, z, temperature, class_prior=0.001)
    estimate = (math.exp(-0.95 / temperature) - 0.001 * math.exp(1 / temperature)) / 0.999
    assert_close(freed, math.log1p(2 * estimate * math.exp(-1 / temperature)), 1e-13)


def test_cross_entropies_of_the_candidates(rng):
    """InfoNCE, MoCo and the memory bank are plain cross-entropies over N + M, K + 1 and n candidates."""
    q, k, more = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng.standard_normal((6, 3))
    t = 0.2
    of_keys, of_more = unit(q) @ unit(k).T / t, unit(q) @ unit(more).T / t
    assert_close(info_nce(q, k, t), mc.cross_entropy(of_keys, np.arange(4)), 1e-13)
    both = (mc.cross_entropy(of_keys, np.arange(4)) + mc.cross_entropy(of_keys.T, np.arange(4))) / 2
    assert_close(info_nce(q, k, t, symmetric=True), both, 1e-13)
    logits = np.concatenate([of_keys, of_more], axis=1)
    assert_close(info_nce(q, k, t, negatives=more), mc.cross_entropy(logits, np.arange(4)), 1e-13)
    logits = np.concatenate([np.diag(of_keys)[:, None], of_more], axis=1)
    assert logits.shape == (4, 7)
    assert_close(moco(q, k, more, t), mc.cross_entropy(logits, np.zeros(4, int)), 1e-13)
    assert_close(moco(q[:1], k[:1], more, t), info_nce(q[:1], k[:1], t, negatives=more), 1e-13)
    index = np.array([5, 0, 2, 2])
    assert_close(memory_bank(q, more, index, t), mc.cross_entropy(of_more, index), 1e-13)
    others = np.array([[i for i in range(6) if i != own] for own in index])
    assert_close(memory_bank(q, more, index, t, others), memory_bank(q, more, index, t), 1e-13)
    assert_close(n_pair(q, k), mc.cross_entropy(q @ k.T, np.arange(4)), 1e-13)
    assert_close(n_pair(q, k, 0.2), n_pair(q, k) + 0.1 * (q * q + k * k).sum(1).mean(), 1e-13)


def test_one_direction_is_not_the_other(rng):
    q, k = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    there, back = info_nce(q, k, 0.2), info_nce(k, q, 0.2)
    assert abs(there - back) > 1e-3
    assert_close(info_nce(q, k, 0.2, symmetric=True), (there + back) / 2, 1e-14)


def test_siglip_divides_a_sum_over_all_pairs_by_n(rng):
    z1, z2 = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    y = 2 * np.eye(5) - 1
    terms = np.logaddexp(0, -y * (unit(z1) @ unit(z2).T / 0.3 - 1.5))
    assert_close(siglip(z1, z2, 0.3, -1.5), terms.sum() / 5, 1e-14)
    assert_close(siglip(z1, z2, 0.3, -1.5, "none"), terms.sum(1), 1e-14)
    bce = mc.binary_cross_entropy_with_logits(unit(z1) @ unit(z2).T / 0.3 - 1.5, np.eye(5), reduction="sum") / 5
    assert_close(siglip(z1, z2, 0.3, -1.5), bce, 1e-14)


def test_skip_gram_is_binary_nce_without_the_density_of_the_noise(rng):
    """The same numbers where k q = 1."""
    v, c, n = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng.standard_normal((4, 5, 3))
    s, noise = (v * c).sum(1), (n * v[:, None]).sum(2)
    log_q = np.full(4, -math.log(5))
    assert_close(skip_gram(v, c, n), nce(s, noise, log_q, np.full((4, 5), -math.log(5))), 1e-14)


def test_binary_nce_exceeds_ranking_nce_and_sees_a_shift(rng):
    s, n = rng.standard_normal(6), rng.standard_normal((6, 3))
    flat, rows = np.full(6, -math.log(3)), np.full((6, 3), -math.log(3))  # νq = 1
    binary, ranking = nce(s, n, flat, rows, "none"), ranking_nce(s, n, reduction="none")
    assert (binary > ranking).all()
    assert_close(ranking_nce(s + 5, n + 5, reduction="none"), ranking, 1e-13)
    assert np.abs(nce(s + 5, n + 5, flat, rows, "none") - binary).min() > 1


def test_what_noise_contrastive_estimation_learns():
    """By exact expectation over a small world: with log(νq) the data's p, normalised by itself; without it p/(νq)."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    data, noise = (x.ravel() for x in np.meshgrid(np.arange(3), np.arange(3), indexing="ij"))
    weight = p[data] * q[noise]
    for scores, log_q in [(np.log(p), np.log(q)), (np.log(p / q), np.zeros(3))]:
        for shift in (0.0, 0.1):
            s = mc.tensor(scores + shift)
            loss = nce(s[data], s[noise][:, None], log_q[data], log_q[noise][:, None], "none")
            g = mc.grad(mc.sum(loss * weight), s)
            assert (np.abs(g).max() < 1e-16) == (shift == 0.0)
            ranked = ranking_nce(s[data], s[noise][:, None], log_q[data], log_q[noise][:, None], "none")
            assert np.abs(mc.grad(mc.sum(ranked * weight), s)).max() < 1e-16  # a shift is not seen


def test_triplets_on_the_sphere(rng):
    """One negative makes a soft triplet: softplus((s_n − s_p)/τ), and s_n − s_p = (d_p² − d_n²)/2."""
    a, p, n = (unit(rng.standard_normal((5, 3))) for _ in range(3))
    difference = (a * n).sum(1) - (a * p).sum(1)
    d = [((a - x) ** 2).sum(1) for x in (p, n)]
    assert_close(difference, (d[0] - d[1]) / 2, 1e-14)
    for i in range(5):
        found = moco(a[i : i + 1], p[i : i + 1], n[i : i + 1], 0.2)
        assert_close(found, np.logaddexp(0, difference[i] / 0.2), 1e-13)
        hinge = triplet(a[i : i + 1], p[i : i + 1], n[i : i + 1], margin=0.0, squared=True)
        assert_close(hinge, max(0.0, 2 * difference[i]), 1e-13, 1e-15)
    assert_close(triplet(a, p, n, 0.3, squared=True), np.maximum(0, d[0] - d[1] + 0.3).mean(), 1e-14)
    assert_close(triplet(a, p, n, 0.3), np.maximum(0, np.sqrt(d[0]) - np.sqrt(d[1]) + 0.3).mean(), 1e-14)


@pytest.mark.parametrize("mining", ["all", "semi_hard", "batch_hard"])
@pytest.mark.parametrize("squared", [False, True])
def test_mining_against_a_loop_over_all_triplets(mining, squared, rng):
    """Batches with classes of every size, some rows equal; the loop looks at each triplet and keeps what is wanted."""
    for trial in range(20):
        n = int(rng.integers(3, 9))
        z, labels = rng.integers(-2, 3, (n, 2)).astype(float), rng.integers(0, 3, n)
        d = ((z[:, None] - z) ** 2).sum(2) if squared else np.sqrt(((z[:, None] - z) ** 2).sum(2))
        kept = {}
        for a in range(n):
            for p in range(n):
                for k in range(n):
                    if a == p or labels[a] != labels[p] or labels[a] == labels[k]:
                        continue
                    loss = max(0.0, d[a, p] - d[a, k] + 0.7)
                    if mining == "all":
                        kept[a, p, k] = loss
                    elif mining == "batch_hard":
                        kept[a] = max(loss, kept.get(a, 0.0))
                    elif d[a, k] > d[a, p]:
                        kept[a, p] = max(loss, kept.get((a, p), 0.0))
        if not ((labels[:, None] == labels).sum(1) > 1).any() or len(set(labels)) < 2:
            continue
        expected = sum(kept.values()) / max(len(kept), 1)
        assert_close(mined_triplet(z, labels, 0.7, mining, squared), expected, 1e-14, 1e-15, what=f"trial {trial}")


def test_semi_hard_without_a_semi_hard_negative():
    """All negatives are nearer than the positive: 0, with a gradient of 0, and no NaN."""
    z = mc.tensor([[0.0], [10.0], [4.0]])
    for reduction in ("mean", "sum"):
        loss = mined_triplet(z, [0, 0, 1], mining="semi_hard", reduction=reduction)
        assert float(loss) == 0 and not mc.grad(loss, z).any()
    assert mined_triplet(z.data, [0, 0, 1], mining="semi_hard", reduction="none").tolist() == [0, 0]


@pytest.mark.parametrize("temperature", [1e-3, 1e-2])
def test_cold_nt_xent_is_the_hardest_triplet_without_margin(temperature, rng):
    """0 ≤ τ ℓ − max(0, max s_n − s_p) ≤ τ log(2N − 1)."""
    z1, z2 = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    u = unit(np.concatenate([z1, z2]))
    s = u @ u.T
    each = nt_xent(z1, z2, temperature, reduction="none")
    for i in range(12):
        j = (i + 6) % 12
        hinge = max(0.0, np.delete(s[i], [i, j]).max() - s[i, j])
        assert -1e-12 <= temperature * each[i] - hinge <= temperature * math.log(11)


def test_alignment_is_a_cosine_and_uniformity_has_no_diagonal(rng):
    z1, z2 = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    assert_close(align(z1, z2), (2 - 2 * (unit(z1) * unit(z2)).sum(1)).mean(), 1e-14)
    d = ((unit(z1)[:, None] - unit(z1)) ** 2).sum(2)
    upper = np.triu_indices(6, 1)
    assert_close(uniform(z1, 1.5), math.log(np.exp(-1.5 * d[upper]).mean()), 1e-14)
    assert uniform(z1) < math.log(np.exp(-2 * d).mean()) - 0.1


# ------------------------------------------------------------------------------------------------------------- constants


def test_no_gradient_goes_into_keys_queue_and_bank(rng):
    """They come from a slower encoder or from the past. The gradient of the queries is as if they were bare arrays."""
    q, k, queue = (mc.tensor(rng.standard_normal((n, 3))) for n in (4, 4, 6))
    found = mc.grad(moco(q, k, queue), [q, k, queue])
    assert np.abs(found[0]).max() > 0 and not found[1].any() and not found[2].any()
    assert_close(found[0], mc.grad(moco(q, k.data, queue.data), q), 0.0)
    for negatives in (None, np.array([[1, 2]] * 4)):
        loss = memory_bank(q, queue, [0, 1, 2, 5], negatives=negatives)
        g, at_bank = mc.grad(loss, [q, queue])
        assert np.abs(g).max() > 0 and not at_bank.any()
    encoder = mc.tensor(rng.standard_normal((3, 3)))
    assert not mc.grad(moco(q, k @ encoder, queue), encoder).any()
    moco(q, k, queue).backward()
    assert q.grad is not None and k.grad is None and queue.grad is None


def test_what_is_a_constant_in_the_loss_is_a_constant_in_its_type(rng):
    """Bare arrays give a bare array, also where keys and queue are Tensors: nothing differentiable went in."""
    q, k, queue = rng.standard_normal((4, 3)), mc.tensor(rng.standard_normal((4, 3))), rng.standard_normal((5, 3))
    assert not isinstance(moco(q, k, queue), mc.Tensor)
    assert isinstance(moco(q, k, queue, mc.tensor(0.2)), mc.Tensor)


@pytest.mark.parametrize("tau", [0.5, 2, np.float64(0.5), np.array(0.5), np.float32(0.5)])
def test_a_temperature_of_any_kind_keeps_the_dtype(tau, rng):
    z = rng.standard_normal((4, 3)).astype(np.float32)
    t = mc.tensor(tau)
    for name, f in ON_THE_SPHERE.items():
        assert f(z, z[::-1].copy(), tau).dtype == np.float32, name
        if name not in ("align", "uniform"):
            assert f(z, z[::-1].copy(), t).dtype == np.float32, name
    if t.dtype.kind == "f":
        assert mc.grad(nt_xent(z, z[::-1].copy(), t), t).dtype == t.dtype
    assert siglip(z, z, 0.1, mc.tensor(-10.0)).dtype == np.float32
    wide = np.ones((5, 3))  # constants in a higher precision than what is differentiated
    assert nce(z[:, 0], z[:, 1:], np.zeros(4), np.zeros((4, 2))).dtype == np.float32
    assert ranking_nce(z[:, 0], z[:, 1:], np.zeros(4), np.zeros((4, 2))).dtype == np.float32
    half = z.astype(np.float16)
    assert_close(moco(half, 1e9 * wide[:4], wide), math.log(6), 1e-2)  # 1e9 is no float16, its direction is
    assert_close(memory_bank(half, 1e9 * wide, [0, 1, 2, 4]), math.log(5), 1e-2)
    assert_close(memory_bank(half, 1e9 * wide, [0, 1, 2, 4], negatives=[[3]] * 4), math.log(2), 1e-2)
    assert moco(mc.tensor(z), wide[:4], wide).dtype == memory_bank(mc.tensor(z), wide, [0, 1, 2, 4]).dtype == np.float32


def test_inputs_are_not_changed(rng):
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    z1.flags.writeable = z2.flags.writeable = False
    copies = z1.copy(), z2.copy()
    for name in ON_THE_SPHERE:
        gradients(name, z1, z2, 0.3)
    assert (z1 == copies[0]).all() and (z2 == copies[1]).all()


# ------------------------------------------------------------------------------------------------------ extreme numbers


def hard(rng, n=6, d=8):
    """Two views, the partner near for most images, exactly opposite for the first, and far for the second."""
    z1 = rng.standard_normal((n, d))
    z2 = z1 + 0.3 * rng.standard_normal((n, d))
    z2[0] = -z1[0]
    z2[1] = -z1[1] + 0.1 * rng.standard_normal(d)
    return z1, z2


@pytest.mark.filterwarnings("error")
@on_the_sphere
@pytest.mark.parametrize(
    "dtype, temperature, tolerance", [(np.float32, 1e-3, 2e-3), (np.float32, 0.07, 1e-4), (np.float16, 0.07, 5e-2)]
)
def test_low_precision_at_low_temperature(name, dtype, temperature, tolerance, rng):
    """Finite, no overflow on the way, and right to the precision; hard anchors keep their gradient."""
    z1, z2 = (z.astype(dtype) for z in hard(rng))
    value, found = gradients(name, z1, z2, temperature)
    exact, expected = gradients(name, z1.astype(float), z2.astype(float), temperature)
    assert all(g.dtype == dtype for g in found)
    assert_close(value, exact, tolerance)
    for g, right in zip(found, expected):
        assert_close(g, right, tolerance, what=name)
        assert (np.abs(g[:2]).max(1) > 0).all() or name in ("uniform", "align")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.1])
@pytest.mark.parametrize("loss", [nt_xent, dcl, info_nce])
def test_an_opposite_partner_does_not_saturate_the_loss(loss, temperature, rng):
    """−log(p + eps) would stop at −log eps, with no gradient just where it is needed most."""
    z1, z2 = hard(rng)
    z1, z2 = z1.astype(np.float32), z2.astype(np.float32)
    a = mc.tensor(z1)
    each = loss(a, z2, temperature, reduction="none")
    u = unit(z1.astype(float))
    nearest = max(np.delete(u @ unit(z2.astype(float)).T, 0, axis=1)[0])
    assert each.data[0] * temperature > nearest + 1 - 1e-3
    a64 = mc.tensor(z1.astype(float))
    expected = mc.grad(loss(a64, z2.astype(float), temperature, reduction="none")[0], a64)
    found = mc.grad(each[0], a)
    assert_close(found, expected, 2e-3)
    assert np.abs(found[0]).max() > 0.1 / temperature / np.linalg.norm(z1[0])


@pytest.mark.filterwarnings("error")
def test_many_hard_anchors_in_half_precision():
    """The sum of 3000 losses of 28 does not fit float16; their mean does."""
    angle = np.linspace(0, np.pi, 1500, endpoint=False)
    z = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float16)
    x = mc.tensor(z)
    loss = nt_xent(x, -z, 0.07)
    assert loss.dtype == np.float16 and 28 < float(loss) < 40
    g = mc.grad(loss, x)
    assert np.isfinite(g).all() and np.abs(g).max() > 0
    assert abs(float(uniform(np.ones((700, 2), np.float16)))) < 0.02  # 244650 pairs at distance 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-3, 0.5])
@on_the_sphere
def test_a_zero_row_spoils_nothing(name, temperature, rng):
    """It has no direction: cosine 0 with all, and a gradient of exactly 0, to order 2."""
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    z1[1] = 0
    z2[2] = 0
    leaves = [mc.tensor(z1), mc.tensor(z2)]
    wanted = leaves[:1] if name in CONSTANT else leaves
    loss = ON_THE_SPHERE[name](*leaves, temperature)
    g = mc.grad(loss, wanted, differentiable=True)
    assert math.isfinite(float(loss)) and all(np.isfinite(x.data).all() for x in g)
    assert not g[0].data[1].any() and (len(g) == 1 or not g[1].data[2].any())
    second = mc.grad(sum(mc.sum(x * x) for x in g), wanted)
    assert all(np.isfinite(x).all() for x in second)
    zeros = np.zeros((4, 3))
    _, of_zeros = gradients(name, zeros, zeros, temperature)
    assert not any(x.any() for x in of_zeros)


@on_the_sphere
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_rows_of_any_length(name, size, rng):
    z1, z2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    f = ON_THE_SPHERE[name]
    assert_close(f(z1 * size, z2, 0.2), f(z1, z2, 0.2), 1e-12)


def test_equal_points_where_a_distance_has_no_slope():
    """The chosen slope is 0. Half a squared distance does have a slope and a curvature there: the identity."""
    x = mc.tensor(np.ones((2, 3)))
    y = np.ones((2, 3))
    assert not mc.grad(contrastive(x, y, [False, True]), x).any()
    assert not mc.grad(triplet(x, y, y + 1), x).any()
    g = mc.grad(contrastive(x, y, [True, True], reduction="sum"), x, differentiable=True)
    assert (mc.grad(g[0, 0], x) == [[1, 0, 0], [0, 0, 0]]).all()
    for alpha in (0.5, 1, 2, 3):
        loss = align(x, y, alpha)
        g = mc.grad(loss, x, differentiable=True)
        assert float(loss) == 0 and not g.data.any() and np.isfinite(mc.grad(mc.sum(g), x)).all()


# ------------------------------------------------------------------------------------------------------------- the calls


def test_two_batch_sizes_in_turn(rng):
    """Nothing is kept from one call to the next."""
    z = rng.standard_normal((7, 3))
    first = nt_xent(z[:6], z[1:])
    nt_xent(z[:3], z[1:4])
    assert nt_xent(z[:6], z[1:]) == first


def test_only_the_documented_names_stand_at_the_top():
    assert mc.nt_xent is losses.nt_xent
    assert not any(
        hasattr(mc, name) for name in losses.__all__ if name not in vars(losses.classification) | {"nt_xent": 0}
    )
