"""What is asked of every function, once: its value, its gradients of order 1 and 2, its dtype, its adjoint.

A gradient is taken with a random cotangent and compared at every index, relative to its largest entry.
"""

import math

import numpy as np
from differences import assert_close, central, complex_step

import minicl as mc


def moved(xp, value):
    """`value` with each NumPy array in it sent to the library."""
    if isinstance(value, (tuple, list)):
        return type(value)(moved(xp, v) for v in value)
    return xp.asarray(value) if isinstance(value, np.ndarray) and xp is not np else value


def call(f, xp, sample, arrays):
    """f of a sample's arguments, and the Tensors among them."""
    args = [moved(xp, a) for a in arrays]
    params = {key: moved(xp, value) for key, value in sample.params.items()}
    leaves = [mc.tensor(args[k]) for k in sample.drawn]
    for k, leaf in zip(sample.drawn, leaves):
        args[k] = leaf
    return f(*args, **params), leaves


def random_like(rng, y):
    return np.asarray(rng.standard_normal(y.shape), dtype=y.dtype)


def there(g, y):
    """The cotangent `g` on the device of y."""
    return mc.to_device(g, y.device)


def check_value(f, sample, xp, rng, what):
    """Against plain NumPy; and a bare array where no Tensor goes in."""
    for scale in sample.scales:
        arrays = sample.draw(rng, scale)
        y, _ = call(f, xp, sample, arrays)
        assert isinstance(y, mc.Tensor)
        expected = np.asarray(sample.expected(*arrays, **sample.params))
        assert_close(y.numpy(), expected, 1e-13, floor=1e-15, what=f"{what} at scale {scale}")
        bare = f(*[moved(xp, a) for a in arrays], **{key: moved(xp, value) for key, value in sample.params.items()})
        assert not isinstance(bare, mc.Tensor)
        assert_close(mc.to_numpy(bare), y.numpy(), 0.0)


def check_gradients(f, sample, xp, rng, what):
    """s = ⟨c, f(x)⟩ has the gradients gₖ; then t = Σ ⟨vₖ, gₖ(x, c)⟩ is differentiated in each xₖ, and in c."""
    for scale in sample.scales if xp is np and not sample.gradients else [1.0]:
        arrays = sample.draw(rng, scale)
        drawn = [arrays[k] for k in sample.drawn]
        y, leaves = call(f, xp, sample, arrays)
        c = random_like(rng, y)
        weight = mc.tensor(there(c, y))
        found = mc.grad(y, leaves, cotangent=weight)
        recorded = mc.grad(y, leaves, cotangent=weight, differentiable=True)
        for gx, same, x in zip(found, recorded, leaves):
            assert type(gx) is type(x.data) and isinstance(same, mc.Tensor)
            # One rule, two uses. The floor is for gradients that are 0 (of x/‖x‖ with one entry) but for rounding.
            size = np.abs(c).max(initial=0.0) / np.abs(x.numpy()).max(initial=1e-300)
            assert_close(mc.to_numpy(gx), same.numpy(), 1e-14, floor=max(1e-14 * size, 1e-300))
        if sample.gradients:
            for gx, expected in zip(found, sample.gradients(c, *arrays)):
                assert_close(mc.to_numpy(gx), np.broadcast_to(expected, gx.shape), 1e-14, what=what)
            continue

        def with_drawn(new):
            full = list(arrays)
            for k, x in zip(sample.drawn, new):
                full[k] = x
            return call(f, xp, sample, full)

        def value(*new):
            return np.sum(c * with_drawn(new)[0].numpy())

        directions = [random_like(rng, x) for x in drawn]

        def slope(*new_and_c):
            *new, c = new_and_c
            y, leaves = with_drawn(new)
            gradients = mc.grad(y, leaves, cotangent=there(c, y))
            return sum(np.sum(mc.to_numpy(g) * v) for g, v in zip(gradients, directions))

        size = np.abs(y.numpy()).sum()
        for k, gx in enumerate(found):
            expected = central(value, drawn, k, scale)
            assert_close(mc.to_numpy(gx), expected, 1e-8, 1e-11 * size / scale, f"{what}, argument {k}, scale {scale}")

        t = sum(mc.sum(g * moved(xp, v)) for g, v in zip(recorded, directions))
        size = sum(np.abs(mc.to_numpy(g)).sum() for g in found)
        for k, gx in enumerate(mc.grad(t, [*leaves, weight])):
            expected = central(slope, [*drawn, c], k, scale)
            assert_close(
                mc.to_numpy(gx), expected, 1e-7, 1e-11 * size / scale, f"{what}, order 2, argument {k}, scale {scale}"
            )


def check_last_digits(f, sample, rng, what):
    """The complex step has no rounding error, so it sees what central differences cannot."""
    for scale in sample.scales if not sample.gradients else []:
        arrays = sample.draw(rng, scale)
        y, leaves = call(f, np, sample, arrays)
        c = random_like(rng, y)

        def value(*drawn):
            full = list(arrays)
            for k, x in zip(sample.drawn, drawn):
                full[k] = x
            return np.sum(c * f(*full, **sample.params))

        for k, gx in enumerate(mc.grad(y, leaves, cotangent=c)):
            expected = complex_step(value, [arrays[k] for k in sample.drawn], k)
            floor = 1e-15 * (1 + np.abs(y.data).sum() / scale)
            assert_close(gx, expected, 1e-12, floor, f"{what}, argument {k}, scale {scale}")


def check_dtype(f, sample, dtype, tolerance, xp, rng, what):
    """Values and gradients keep the dtype, and are those of float64 up to its rounding."""
    arrays = sample.draw(rng, dtype=dtype)
    results = {}
    for kind in (dtype, np.float64):
        y, leaves = call(f, xp, sample, [a.astype(kind) if k in sample.drawn else a for k, a in enumerate(arrays)])
        c = random_like(np.random.default_rng(1), y.numpy()).astype(dtype).astype(kind)
        gradients = mc.grad(y, leaves, cotangent=mc.tensor(there(c, y)), differentiable=True)
        again = mc.grad(sum(mc.sum(g * g) for g in gradients), leaves)
        assert y.dtype == kind
        assert all(g.dtype == kind for g in [*gradients, *again])
        results[kind] = [y.numpy(), *[g.numpy() for g in gradients]]
    for low, high in zip(results[dtype], results[np.float64]):
        assert_close(low, high, tolerance, floor=tolerance / 100, what=f"{what} in {np.dtype(dtype)}")


def check_layout(f, sample, rng):
    """Transposed, strided and read-only inputs change nothing; gradients come back contiguous and writable."""
    arrays = sample.draw(rng)

    def gradients(change):
        def changed(*args, **params):
            for a in args:
                if isinstance(a, mc.Tensor):
                    a._data = change(a.data)
            return f(*args, **params)

        y, leaves = call(changed, np, sample, arrays)
        return mc.grad(y, leaves, cotangent=random_like(np.random.default_rng(1), y))

    def strided(x):
        wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in x.shape) or ...]
        view[...] = x
        view.flags.writeable = False
        return view

    expected = gradients(lambda x: x)
    for change in (lambda x: np.array(x, order="F"), strided):
        for found, same in zip(gradients(change), expected):
            assert found.flags.c_contiguous and found.flags.writeable
            assert_close(found, same, 1e-13, 1e-15)


def check_adjoint(f, arrays, places, xp, rng, rounding=0.0, **params):
    """⟨Ax, y⟩ = ⟨x, Aᵀy⟩ for f linear in the arguments at `places`: to the last bit, since whole numbers stay whole."""
    # The other arguments are made whole too, unless rounding is expected (a mean divides).
    whole = [k in places or (not rounding and np.asarray(a).dtype.kind == "f") for k, a in enumerate(arrays)]
    arrays = [np.asarray(np.rint(4 * a)) if w else a for w, a in zip(whole, arrays)]
    args = [moved(xp, a) for a in arrays]
    leaves = [mc.tensor(args[k]) for k in places]
    for k, leaf in zip(places, leaves):
        args[k] = leaf
    ax = f(*args, **{key: moved(xp, value) for key, value in params.items()})
    y = rng.integers(-9, 10, ax.shape).astype(float)
    aty = mc.grad(ax, leaves, cotangent=there(y, ax))
    left = np.sum(ax.numpy() * y)
    right = math.fsum(np.sum(arrays[k] * mc.to_numpy(g)) for k, g in zip(places, aty))
    assert abs(left - right) <= rounding * np.sum(np.abs(ax.numpy() * y)), (left, right)
