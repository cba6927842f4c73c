"""Invariances of the contrastive losses, over batches, temperatures and directions that hypothesis draws.

Lengths, rotations, the order of the images and of the views do not count, and gradients are tangent to the sphere.
"""

import numpy as np
import pytest
from differences import assert_close
from test_losses_facts import CONSTANT, ON_THE_SPHERE, gradients, on_the_sphere

from minicl.losses import align, dcl, info_nce, nt_xent, ranking_nce, siglip

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

drawn = settings(max_examples=25, deadline=None, derandomize=True, database=None)
batches = given(n=st.integers(2, 6), d=st.integers(1, 5), temperature=st.floats(0.05, 3.0), seed=st.integers(0, 10**6))


def batch(n, d, seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((2, n, d)) + rng.standard_normal((2, n, d))
    return z[0], z[1], rng


def same(name, found, expected, temperature):
    """Rounding of a cosine is magnified by 1/τ; the debiased loss subtracts two near numbers on top."""
    allowed = 1e-14 * (1 + 1 / temperature) * (1e5 if name == "debiased" else 1)
    assert_close(found, expected, 1e-12, allowed, what=name)


@on_the_sphere
@drawn
@batches
def test_lengths_do_not_count(name, n, d, temperature, seed):
    z1, z2, rng = batch(n, d, seed)
    f = ON_THE_SPHERE[name]
    value = f(z1, z2, temperature)
    c1, c2 = (2.0 ** rng.integers(-60, 60, (n, 1)) for _ in "12")
    assert f(c1 * z1, c2 * z2, temperature) == value  # a power of 2 changes no bit
    c1, c2 = (np.exp(rng.uniform(-20, 20, (n, 1))) for _ in "12")
    same(name, f(c1 * z1, c2 * z2, temperature), value, temperature)


@on_the_sphere
@drawn
@batches
def test_rotations_do_not_count(name, n, d, temperature, seed):
    z1, z2, rng = batch(n, d, seed)
    q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    f = ON_THE_SPHERE[name]
    same(name, f(z1 @ q, z2 @ q, temperature), f(z1, z2, temperature), temperature)


@pytest.mark.parametrize("name", [name for name in ON_THE_SPHERE if name not in ("moco", "supcon", "supcon, in")])
@drawn
@batches
def test_the_order_of_images_does_not_count(name, n, d, temperature, seed):
    z1, z2, rng = batch(n, d, seed)
    order = rng.permutation(n)
    f = ON_THE_SPHERE[name]
    same(name, f(z1[order], z2[order], temperature), f(z1, z2, temperature), temperature)


@pytest.mark.parametrize("name", [name for name in ON_THE_SPHERE if name not in (*CONSTANT, "info_nce")])
@drawn
@batches
def test_the_order_of_views_does_not_count(name, n, d, temperature, seed):
    z1, z2, _ = batch(n, d, seed)
    f = ON_THE_SPHERE[name]
    same(name, f(z2, z1, temperature), f(z1, z2, temperature), temperature)


@on_the_sphere
@drawn
@batches
def test_gradients_are_tangent_to_the_sphere_and_fall_with_the_length(name, n, d, temperature, seed):
    z1, z2, rng = batch(n, d, seed)
    _, found = gradients(name, z1, z2, temperature)
    for z, g in zip((z1, z2), found):
        size = (np.linalg.norm(z, axis=1) * np.linalg.norm(g, axis=1)).max()
        assert np.abs((z * g).sum(1)).max() <= 1e-13 * max(size, 1 / temperature)
    c = 2.0 ** rng.integers(-20, 20, (n, 1))
    _, longer = gradients(name, c * z1, c * z2, temperature)
    for g, h in zip(found, longer):
        assert (g == c * h).all()


@drawn
@batches
def test_a_mispaired_batch_is_worse(n, d, temperature, seed):
    """Views that are equal are found; rolled by one image they are not."""
    z, _, _ = batch(n + 1, d + 1, seed)
    for loss in (nt_xent, dcl, info_nce, siglip, lambda a, b, t: align(a, b)):
        assert loss(z, np.roll(z, 1, axis=0), temperature) > loss(z, z, temperature)


@drawn
@given(n=st.integers(1, 6), m=st.integers(1, 4), shift=st.floats(-50, 50), seed=st.integers(0, 10**6))
def test_a_shift_of_all_scores_of_an_anchor_does_not_count(n, m, shift, seed):
    rng = np.random.default_rng(seed)
    s, noise = rng.standard_normal(n), rng.standard_normal((n, m))
    assert_close(ranking_nce(s + shift, noise + shift), ranking_nce(s, noise), 1e-12)
