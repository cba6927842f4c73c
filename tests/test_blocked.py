"""NT-Xent in blocks is NT-Xent: value, gradient and higher derivatives of the definition, in memory that grows with N."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl.losses import blocked

siglip_module = sys.modules["minicl.losses.siglip"]  # the name of the module is that of the function

nt_xent = mc.losses.nt_xent
THREADS = lambda k: {"OMP_NUM_THREADS": k, "OPENBLAS_NUM_THREADS": k}


@pytest.fixture
def small_blocks(monkeypatch):
    """Many blocks, with edges where N = 17 has none."""
    monkeypatch.setattr(blocked, "BLOCK", 5)


def both(z, temperature, weights, dtype=np.float64, **options):
    """Losses and gradients by the definition, and in blocks."""
    found = []
    for method in ("composed", "blocked"):
        x, t = mc.tensor(z, dtype=dtype), mc.tensor(temperature, dtype=dtype)
        losses = nt_xent(x, temperature=t, reduction="none", method=method, **options)
        found.append([losses.data, *mc.grad(losses, [x, t], weights.astype(dtype))])
    return found


@pytest.mark.parametrize("temperature", [0.001, 0.02, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("layout", ["stacked", "interleaved"])
@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_value_and_gradient_are_those_of_the_definition(small_blocks, n, layout, temperature, rng):
    z, weights = rng.standard_normal((2 * n, 7)), rng.standard_normal(2 * n)
    for a, b in zip(*both(z, temperature, weights, layout=layout)):
        assert_close(b, a, 1e-12)


@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_at_the_edges_of_the_real_blocks(n, rng):
    z, weights = rng.standard_normal((2 * n, 5)), rng.standard_normal(2 * n)
    for a, b in zip(*both(z, 0.1, weights)):
        assert_close(b, a, 1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.floats(0.005, 5), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_size_of_batch_and_block(n, d, temperature, block, seed):
    rng = np.random.default_rng(seed)
    z, weights = rng.standard_normal((2 * n, d)), rng.standard_normal(2 * n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocked, "BLOCK", block)
        (_, *composed), (_, *found) = both(z, temperature, weights)
    for a, b in zip(composed, found):
        # Along z the gradient vanishes, and for d = 1 all of it: what is left is rounding of terms as large as 1/τ.
        assert np.abs(a - b).max() <= 1e-11 * max(np.abs(a).max(), np.abs(weights).sum() / temperature**2)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_float32_is_as_near_to_the_truth_as_the_definition(temperature, rng):
    z, weights = rng.standard_normal((600, 16)), rng.standard_normal(600)
    z[300:] = z[:300] + 0.3 * z[300:]
    (truth, _), (composed, found) = both(z, temperature, weights), both(z, temperature, weights, np.float32)
    for exact, a, b in zip(truth, composed, found):
        error = lambda x: np.abs(x - exact).max() / np.abs(exact).max()  # noqa: B023
        assert b.dtype == np.float32 and error(b) < 3 * error(a) + 1e-6


def test_blocks_made_again_are_the_blocks_that_were_kept(small_blocks, monkeypatch, rng):
    z, weights = rng.standard_normal((34, 7)), rng.standard_normal(34)
    kept = both(z, 0.1, weights)[1]
    monkeypatch.setattr(blocked, "KEEP", 0)
    for a, b in zip(kept, both(z, 0.1, weights)[1]):
        assert np.array_equal(a, b)


def test_the_number_of_threads_changes_no_bit(monkeypatch, rng):
    z, weights = rng.standard_normal((1200, 8)), rng.standard_normal(1200)
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(both(z, 0.1, weights, np.float32)[1])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))


@pytest.mark.parametrize("n", [120, 256, 500])
def test_nor_do_the_threads_of_blas(n):
    """In processes of their own, since BLAS takes their number when it is loaded. One block, and several."""
    code = (
        "import hashlib, numpy as np, minicl as mc\n"
        f"z = mc.tensor(np.random.default_rng(0).standard_normal(({n}, 64)).astype(np.float32))\n"
        "g = mc.grad(mc.losses.nt_xent(z, temperature=0.1), z)\n"
        "print(hashlib.md5(g.tobytes()).hexdigest())"
    )
    one, two = (
        subprocess.run([sys.executable, "-c", code], env=os.environ | THREADS(k), capture_output=True, text=True, check=True)
        for k in "12"
    )
    assert one.stdout == two.stdout


@pytest.mark.parametrize("factor", [1e-14, 1e-6, 1e6, 1e12])
def test_a_scaled_loss_keeps_its_digits(factor, rng):
    """Near the smallest temperature without an offset, sums come near the ends of float32."""
    z = rng.standard_normal((300, 3)).astype(np.float32)
    opposite = np.array([[1, 1e-3], [-1, 1e-3]], np.float32)
    for views, tolerance in ((z, 1e-5), (np.concatenate([opposite, opposite]), 1e-3)):
        x = mc.tensor(views)
        gradient = lambda factor: mc.grad(mc.losses.dcl(x, temperature=0.015) * factor, x)  # noqa: B023
        assert_close(gradient(factor) / np.float32(factor), gradient(1.0), tolerance)


def test_where_precisions_meet_the_higher_one_counts(rng):
    q, n = rng.standard_normal((30, 5)).astype(np.float32), rng.standard_normal((7, 5))
    losses = [mc.losses.info_nce(mc.tensor(q), q, 0.1, negatives=n, method=m) for m in ("composed", "blocked")]
    assert losses[0].dtype == losses[1].dtype == np.float64
    assert_close(losses[1].data, losses[0].data, 1e-12)


def test_groups_must_be_as_many_as_rows(rng):
    with pytest.raises(ValueError, match="there are 3 and 2 groups"):
        blocked.lse_in_blocks(np.ones((3, 2)), np.ones((3, 2)), 1.0, group_a=np.arange(3), group_b=np.arange(2))


def test_arrays_that_are_not_contiguous(small_blocks, rng):
    wide = rng.standard_normal((14, 68))
    z, weights = wide[::2, ::2].T, rng.standard_normal(34)
    for a, b in zip(*both(z, 0.2, weights)):
        assert_close(b, a, 1e-12)


def test_higher_derivatives_go_through_the_definition(small_blocks, rng):
    z1, z2 = rng.standard_normal((2, 4, 3))
    f = lambda a, b, t: nt_xent(a, b, t, method="blocked")
    assert mc.gradcheck.check(f, z1, z2, np.array(0.4), order=2).passed
    x = mc.tensor(z1)
    (g,) = mc.grad(nt_xent(x, x, method="blocked"), [x], differentiable=True)  # both views are one Tensor
    assert_close(mc.grad((g * g).sum(), x), mc.grad(_squared(x, z1), x), 1e-10)


def _squared(x, z1):
    (g,) = mc.grad(nt_xent(x, x, method="composed"), [x], differentiable=True)
    return (g * g).sum()


LABELS = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 3, 3])
OTHERS = {  # losses with candidates, of embeddings z (34, 7), a second set k and a queue
    "dcl": lambda z, k, q, **o: mc.losses.dcl(z, **o),
    "debiased": lambda z, k, q, **o: mc.losses.debiased(z, **o),
    "supcon out": lambda z, k, q, **o: mc.losses.supcon(z, LABELS, **o),
    "supcon in": lambda z, k, q, **o: mc.losses.supcon(z, LABELS, form="in", **o),
    "multi_positive": lambda z, k, q, **o: mc.losses.multi_positive(mc.stack([z, k, z * k]), **o),
    "info_nce": lambda z, k, q, **o: mc.losses.info_nce(z, k, **o),
    "info_nce with negatives": lambda z, k, q, **o: mc.losses.info_nce(z, k, negatives=q, **o),
    "info_nce, symmetric": lambda z, k, q, **o: mc.losses.info_nce(z, k, symmetric=True, **o),
    "moco": lambda z, k, q, **o: mc.losses.moco(z, k, q, **o),
    "memory_bank": lambda z, k, q, **o: mc.losses.memory_bank(z, q, np.arange(34) // 2, **o),
}


@pytest.mark.parametrize("temperature", [0.001, 0.1, 2.0])
@pytest.mark.parametrize("name", OTHERS)
def test_the_other_losses_with_candidates(small_blocks, name, temperature, rng):
    arrays = [rng.standard_normal((n, 7)) for n in (34, 34, 23)]
    weights, found = None, []
    for method in ("composed", "blocked"):
        x, t = [mc.tensor(a) for a in arrays], mc.tensor(temperature)
        losses = OTHERS[name](*x, temperature=t, reduction="none", method=method)
        weights = rng.standard_normal(losses.shape) if weights is None else weights
        found.append([losses.data, *mc.grad(losses, [*x, t], weights)])
    for a, b in zip(*found):
        assert_close(b, a, 1e-11)


@pytest.mark.parametrize("name", OTHERS)
def test_higher_derivatives_of_the_other_losses(small_blocks, name, rng):
    arrays = [rng.standard_normal((n, 2)) for n in (34, 34, 23)]

    def curvature(method):
        x = [mc.tensor(a) for a in arrays]
        g = mc.grad(OTHERS[name](*x, temperature=0.5, method=method), x, differentiable=True)
        return mc.grad(sum((a * a).sum() for a in g), x)

    for a, b in zip(curvature("composed"), curvature("blocked")):
        assert_close(b, a, 1e-10)


def test_a_tiny_loss_keeps_its_digits_and_its_gradient():
    """Partners that agree, all else opposite: ℓ = log(1 + 2 e^{−2/τ})."""
    z = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    t = mc.tensor(0.05)
    loss = nt_xent(z, temperature=t, method="blocked")
    tiny = np.exp(-2 / 0.05)
    assert_close(loss.data, np.log1p(2 * tiny), 1e-12)
    assert_close(mc.grad(loss, t), 2 * tiny * 2 / 0.05**2, 1e-12)


@pytest.mark.parametrize("second", [[1.0, 0.0], [-1.0, 0.0]])
@pytest.mark.parametrize("temperature", [0.0005, 0.5])
def test_one_image_has_no_others_so_no_loss_and_no_gradient(second, temperature):
    z = mc.tensor([[1.0, 0.0], second])
    loss = nt_xent(z, temperature=temperature, method="blocked")
    assert float(loss) == 0 and np.array_equal(mc.grad(loss, z), np.zeros((2, 2)))


def test_memory_grows_with_n_and_not_with_its_square(monkeypatch, rng):
    monkeypatch.setattr(blocked, "KEEP", 0)

    def peak(n):
        z = mc.tensor(rng.standard_normal((2 * n, 8)).astype(np.float32))
        tracemalloc.start()
        mc.grad(nt_xent(z, temperature=0.1), z)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # thread pools and caches
    fixed = 16 * 2 * blocked.BLOCK**2 * 4
    assert peak(6000) < fixed + 12000 * 8 * 4 * 40 < 12000**2 * 4 / 10  # a tenth of the scores alone


def test_auto_is_blocked_where_it_can_be(rng):
    z = rng.standard_normal((6, 3))

    def origin(x):
        difference = nt_xent(mc.tensor(x), reduction="none").origin.args[0]  # softplus(others − partner)
        return difference.origin.args[0].origin.op.__name__

    assert origin(z) == origin(z.astype(np.float32)) == "lse_in_blocks"
    assert origin(z.astype(np.float16)) == "logsumexp"
    assert nt_xent(z + 1e-20j).dtype == complex  # the complex step passes through the definition


def test_what_cannot_be_is_refused(rng):
    z = rng.standard_normal((6, 3))
    with pytest.raises(ValueError, match='method must be "auto" or "composed" or "blocked", not \'fast\''):
        nt_xent(z, method="fast")
    with pytest.raises(TypeError, match="float32 and float64, not float16"):
        nt_xent(z.astype(np.float16), method="blocked")


@pytest.mark.parametrize("temperature, bias", [(0.1, -10.0), (0.01, -3.0), (1.0, 2.0)])
@pytest.mark.parametrize("n", [1, 4, 5, 6, 17])
def test_siglip_in_blocks_is_its_definition(n, temperature, bias, rng, monkeypatch):
    monkeypatch.setattr(siglip_module, "BLOCK", 5)
    arrays = [rng.standard_normal((n, 4)), rng.standard_normal((n, 4)), temperature, bias]
    weights, found = rng.standard_normal(n), []
    for method in ("composed", "blocked"):
        leaves = [mc.tensor(x, dtype=np.float64) for x in arrays]
        losses = mc.losses.siglip(*leaves, reduction="none", method=method)
        gradient = mc.grad(losses, leaves, weights)
        again = mc.grad(losses, leaves[0], weights, differentiable=True)
        found.append([losses.data, *gradient, mc.grad((again * again).sum(), leaves[1])])
    for a, b in zip(*found):
        assert_close(b, a, 1e-12)


def test_siglip_in_blocks_takes_memory_that_grows_with_n(rng):
    z = [mc.tensor(rng.standard_normal((6000, 4)).astype(np.float32)) for _ in range(2)]
    tracemalloc.start()
    loss = mc.losses.siglip(*z)
    mc.grad(loss, z)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loss.origin.args[0].origin.op.__name__ == "siglip_in_blocks"
    assert peak < 6000**2 * 4 / 5
    assert_close(loss.data, mc.losses.siglip(*[x.data for x in z], method="composed"), 1e-5)


def test_siglip_in_blocks_refuses_mixed_precisions(rng):
    a, b = rng.standard_normal((2, 3, 4))
    with pytest.raises(TypeError, match="siglip: method=\"blocked\" computes with arrays that are all float32 or all"):
        mc.losses.siglip(a, b.astype(np.float32), method="blocked")
