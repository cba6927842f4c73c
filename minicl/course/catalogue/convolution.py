"""Notebook 10: the gradient of a convolution, a norm that looks at one image alone, and a learning rate with a plan.

The convolution's gradient is judged twice: by the adjoint identity, which needs no second implementation, and by the
complex step.
"""

import math

import numpy as np

from ..answers import Failed
from ..exercise import Exercise, Mistake, Test, call, draw
from .vjp import vjp_tests

# --------------------------------------------------------------------------------------------- gradient of a convolution


def _places(x, w, stride):
    """How many windows there are, down and across."""
    return [(n - k) // stride + 1 for n, k in zip(x.shape[1:3], w.shape[:2])]


def _rows(x, i, places, stride):
    """Where entry (i, j) of all windows stands: pairs of slices."""
    return tuple(slice(a, a + stride * (p - 1) + 1, stride) for a, p in zip(i, places))


def _convolve(x, w, stride=1):
    """The forward function, entry by entry of the window."""
    places = _places(x, w, stride)
    y = 0
    for i in np.ndindex(w.shape[:2]):
        y = y + x[:, *_rows(x, i, places, stride)] @ w[i]
    return y


def _conv_gradients(g, x, w, stride, at=lambda i, w: w[i], add=np.add, windows=None):
    """Both gradients; what the mistakes below change is an argument."""
    places = g.shape[1:3]
    dx, dw = np.zeros(x.shape, g.dtype), np.zeros(w.shape, g.dtype)
    for i in np.ndindex(w.shape[:2]):
        there = (slice(None), *_rows(x, i, places, stride if windows is None else windows))
        dx[there] = add(dx[there], g @ at(i, w).T)
        dw[i] = np.einsum("npqc,npqk->ck", x[:, *_rows(x, i, places, stride)], g)
    return dx, dw


def _mirrored(i, w):
    return w[w.shape[0] - 1 - i[0], w.shape[1] - 1 - i[1]]


def _conv_unmirrored(g, x, w, stride):
    """The same convolution again, on a padded g: what the adjoint would be without its mirror."""
    return _conv_gradients(g, x, w, stride, at=_mirrored)


def _conv_overwritten(g, x, w, stride):
    return _conv_gradients(g, x, w, stride, add=lambda old, new: new)


def _conv_last_window(g, x, w, stride):
    """The same, where the code goes through the windows and not through their entries."""
    dx, dw = np.zeros(x.shape, g.dtype), _conv_gradients(g, x, w, stride)[1]
    for p, q in np.ndindex(g.shape[1:3]):
        rows, columns = (slice(stride * a, stride * a + k) for a, k in zip((p, q), w.shape))
        dx[:, rows, columns] = np.einsum("nk,ijck->nijc", g[:, p, q], w)
    return dx, dw


def _conv_stride_forgotten(g, x, w, stride):
    return _conv_gradients(g, x, w, stride, windows=1)


def _conv_first_image(g, x, w, stride):
    dx, _ = _conv_gradients(g, x, w, stride)
    return dx, _conv_gradients(g[:1], x[:1], w, stride)[1]


def _conv_mean_over_batch(g, x, w, stride):
    dx, dw = _conv_gradients(g, x, w, stride)
    return dx, dw / len(x)


def _conv_mean_over_places(g, x, w, stride):
    dx, dw = _conv_gradients(g, x, w, stride)
    return dx, dw / (g.shape[1] * g.shape[2])


def _conv_swapped(g, x, w, stride):
    return _conv_gradients(g, x, w, stride)[::-1]


def _conv_dw_mirrored(g, x, w, stride):
    dx, dw = _conv_gradients(g, x, w, stride)
    return dx, dw[::-1, ::-1]


def _conv_cropped(g, x, w, stride):
    """An input gradient that ends with the last window."""
    dx, dw = _conv_gradients(g, x, w, stride)
    return dx[:, : g.shape[1], : g.shape[2]], dw


def _is_adjoint(f, g, x, w, stride):
    """⟨g, conv(x, w)⟩ = ⟨dx, x⟩ = ⟨dw, w⟩: the convolution is linear in each of its arguments."""
    dx, dw = f(g, x, w, stride)
    for name, found, like in (("dx", dx, x), ("dw", dw, w)):
        if found.shape != like.shape:
            raise Failed(f"{name} has shape {found.shape}", f"shape {like.shape}")
    whole = float((g * _convolve(x, w, stride)).sum())
    size = float((np.abs(g) * _convolve(np.abs(x), np.abs(w), stride)).sum())
    return np.array([(dx * x).sum(), (dw * w).sum()]), np.array([whole, whole]), size


def _geometry():
    """Calls of the forward function; the last rows and columns of some images lie in no window."""
    return [
        call(draw(1, 2, 2, 1), draw(2, 2, 1, 1), stride=1),
        call(draw(2, 3, 4, 1), draw(2, 3, 1, 2), stride=1),
        call(draw(2, 4, 3, 3), draw(3, 2, 3, 2), stride=1),
        call(draw(2, 6, 4, 2), draw(3, 2, 2, 3), stride=2),
        call(draw(2, 7, 6, 1), draw(2, 3, 1, 2), stride=3),
    ]


def _line(*numbers):
    """An image, or a kernel, of one row and one channel."""
    return np.array(numbers, dtype=float).reshape(1, 1, -1, 1)


def _kernel(*numbers):
    return _line(*numbers).reshape(1, -1, 1, 1)


_BY_HAND = [
    call(_line(3), _line(2), _kernel(5), stride=1)
    .gives((_line(15), _kernel(6)))
    .noting("One product: L̄ = 3, y = 2 · 5."),
    call(_line(1, 2), _line(1, 2, 3), _kernel(10, 1), stride=1)
    .gives((_line(10, 21, 2), _kernel(5, 8)))
    .noting("The middle pixel lies in both windows: 1 · 1 + 2 · 10."),
    call(_line(1, 2), _line(1, 2, 3), _kernel(10), stride=2)
    .gives((_line(10, 0, 20), _kernel(7)))
    .noting("With stride 2 the middle pixel lies in no window."),
]


def _adjoint_cases():
    cases = []
    for case in _geometry():
        x, w = case.args
        places = _places(np.empty(x.shape), np.empty(w.shape), case.options["stride"])
        cases.append(call(draw(x.shape[0], *places, w.shape[3]), x, w, **case.options))
    return cases


conv_vjp = Exercise(
    name="conv_vjp",
    notebook="10",
    signature="f(g, x, w, stride) -> (dx, dw)",
    statement="""Both gradients of a convolution, for images with the channels last.

    The forward function is y[n, p, q, k] = sum over i, j, c of x[n, stride p + i, stride q + j, c] w[i, j, c, k], with x
    of shape (N, H, W, C) and w of shape (kh, kw, C, K). There is no padding: windows lie inside the image, and with a
    stride some last rows and columns may lie in no window. The kernel is not mirrored in the forward function. g has the
    shape of y and holds the gradient of a number L with respect to y. Return the gradients of L with respect to x and w.
    """,
    tests=[
        *vjp_tests(_convolve, *_geometry()),
        Test("is right on one row of pixels, worked out by hand", "T1", _BY_HAND),
        Test("is the adjoint: ⟨g, conv(x, w)⟩ = ⟨dx, x⟩ = ⟨dw, w⟩", "T2", _adjoint_cases(), law=_is_adjoint),
    ],
    mistakes=[
        Mistake(
            "not-mirrored",
            "mirrors the kernel once too often or once too few",
            _conv_unmirrored,
            (
                "⟨dx, x⟩ is not ⟨g, y⟩: your dx is no adjoint of the convolution.",
                "x[p + i] meets w[i] in y[p]. With which entry of w does g[p] come back to x[p + i]?",
                "Carry g[p] w[i] to where w[i] came from. Written as a convolution of g, that mirrors the kernel.",
            ),
        ),
        Mistake(
            "overwritten",
            "overwrites where windows overlap",
            _conv_overwritten,
            (
                "Where windows overlap your dx is too small: the contribution of one window is left of several.",
                "In how many windows does a pixel in the middle lie?",
                "Add what each window brings; start from zeros.",
            ),
            variants=(_conv_last_window,),
        ),
        Mistake(
            "stride-forgotten",
            "carries the gradient back as if the stride were 1",
            _conv_stride_forgotten,
            (
                "With a stride of 1 you are right, with others your dx is wrong.",
                "Where does the window of place p begin?",
                "It begins at stride · p, in x as in dx.",
            ),
        ),
        Mistake(
            "first-image-only",
            "computes dw from the first image of the batch",
            _conv_first_image,
            (
                "With one image you are right, with several your dw is too small.",
                "All images share the weights: which axes does dw sum over?",
                "Sum over images and over places.",
            ),
        ),
        Mistake(
            "mean-over-batch",
            "divides dw by the number of images",
            _conv_mean_over_batch,
            (
                "Your dw is divided by the number of images.",
                "Is there a mean, or a division by len(x)?",
                "A mean over the batch belongs to the loss, and is in g already. Sum.",
            ),
        ),
        Mistake(
            "mean-over-places",
            "divides dw by the number of places",
            _conv_mean_over_places,
            (
                "Your dw is divided by the number of windows.",
                "Is there a mean over axes 1 and 2?",
                "Each window uses the weights once, and all uses add up. Sum.",
            ),
        ),
        Mistake(
            "dw-mirrored",
            "mirrors dw",
            _conv_dw_mirrored,
            (
                "Your dw has the right numbers in mirrored places.",
                "Which entry of the window does w[i, j] meet?",
                "dw[i, j] pairs g with the entries (i, j) of the windows. Nothing is mirrored here.",
            ),
        ),
        Mistake(
            "cropped",
            "returns a dx as small as the output",
            _conv_cropped,
            (
                "Your dx has the shape of y, and x is larger.",
                "What shape do you start from?",
                "Start from zeros of the shape of x: pixels in no window have gradient zero.",
            ),
        ),
        Mistake(
            "swapped",
            "returns dw first",
            _conv_swapped,
            (
                "The two gradients come in the wrong order.",
                "Look at the return line.",
                "dx first, then dw.",
            ),
        ),
    ],
    advice="Take one window of one image with one channel, and write down which x and which w meet in y.",
)

# ----------------------------------------------------------------------------------------------------------- GroupNorm


def _grouped(x, groups, eps, axes=(1, 2, 4), ddof=0):
    """The definition, with what the mistakes change as arguments."""
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups)
    mean = split.mean(axes, keepdims=True)
    variance = split.var(axes, keepdims=True, ddof=ddof)
    return ((split - mean) / np.sqrt(variance + eps)).reshape(x.shape)


def _gn_interleaved(x, groups, eps):
    """Channel c in group c modulo the number of groups."""
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, c // groups, groups)
    mean, variance = (f(axis=(1, 2, 3), keepdims=True) for f in (split.mean, split.var))
    return ((split - mean) / np.sqrt(variance + eps)).reshape(x.shape)


def _gn_eps_outside(x, groups, eps):
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups)
    deviation = split.std((1, 2, 4), keepdims=True)
    return ((split - split.mean((1, 2, 4), keepdims=True)) / (deviation + eps)).reshape(x.shape)


def _gn_no_eps(x, groups, eps):
    with np.errstate(all="ignore"):
        return _grouped(x, groups, 0.0)


def _gn_variance(x, groups, eps):
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups)
    centred = split - split.mean((1, 2, 4), keepdims=True)
    return (centred / (split.var((1, 2, 4), keepdims=True) + eps)).reshape(x.shape)


def _gn_not_centred(x, groups, eps):
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups)
    return (split / np.sqrt(split.var((1, 2, 4), keepdims=True) + eps)).reshape(x.shape)


def _gn_channels_first(x, groups, eps):
    """Groups cut along axis 1."""
    n, h = x.shape[:2]
    size = h // groups if h % groups == 0 and h >= groups else h
    split = x.reshape(n, h // size, -1)
    mean, variance = split.mean(2, keepdims=True), split.var(2, keepdims=True)
    return ((split - mean) / np.sqrt(variance + eps)).reshape(x.shape)


def _judges_alone(f, x, groups, eps):
    """The result of each image, alone and in the batch."""
    return np.concatenate([f(x[i : i + 1], groups, eps) for i in range(len(x))]), f(x, groups, eps), 1.0


def _has_moments(f, x, groups, eps):
    """Mean 0 and mean square 1 of each group of each image."""
    y = f(x, groups, eps)
    if y.shape != x.shape:
        raise Failed(f"shape {y.shape}", f"shape {x.shape}")
    split = y.reshape(*x.shape[:3], groups, -1)
    found = np.stack([split.mean((1, 2, 4)), (split**2).mean((1, 2, 4))])
    return found, np.stack([np.zeros(found.shape[1:]), np.ones(found.shape[1:])]), 1.0


def _stretched(f, x, groups, eps):
    """Each group times a factor of its own and shifted: nothing changes, with eps = 0."""
    factors = np.repeat(1.0 + np.arange(groups), x.shape[3] // groups)
    return f(x * factors + 3 * factors, groups, eps), f(x, groups, eps), 1.0


_PAIR = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
_QUADS = np.array([1.0, 3.0, 10.0, 50.0]).reshape(1, 1, 1, 4)
_TWO_PLACES = np.array([[1.0, 5.0], [3.0, 9.0]]).reshape(1, 1, 2, 2)
_TWO_IMAGES = np.array([[1.0, 3.0], [100.0, 102.0]]).reshape(2, 1, 1, 2)

_GN_CASES = [(1, 2, 2, 4, 2), (2, 3, 2, 6, 2), (3, 2, 3, 6, 3), (2, 4, 4, 4, 1), (2, 3, 3, 4, 4)]

group_norm = Exercise(
    name="group_norm",
    notebook="10",
    signature="f(x, groups, eps) -> y",
    statement="""Normalise each group of channels of each image.

    x has shape (N, H, W, C), and groups divides C. The first C / groups channels are the first group, the next C / groups
    the second, and so on. For each image and each group, take the mean m and the variance v (the mean of the squared
    deviations) over all places and over the channels of the group, and return (x - m) / sqrt(v + eps), in the shape of x.
    There is no learned scale or shift. An image's result does not depend on the other images.
    """,
    tests=[
        Test(
            "returns finite numbers of the shape of x",
            "T0",
            [call(draw(*shape), groups, 1e-5) for *shape, groups in _GN_CASES],
            law=lambda f, x, groups, eps: (np.array([*f(x, groups, eps).shape]), np.array([*x.shape])),
        ),
        Test(
            "knows small examples",
            "T1",
            [
                call(_PAIR, 1, 0.0).gives(np.array([-1.0, 1.0]).reshape(_PAIR.shape)),
                call(_PAIR, 1, 3.0).gives(np.array([-0.5, 0.5]).reshape(_PAIR.shape)),
                call(_QUADS, 2, 0.0).gives(np.array([-1.0, 1.0, -1.0, 1.0]).reshape(_QUADS.shape)),
                call(_TWO_PLACES, 2, 0.0).gives(np.array([[-1.0, -1.0], [1.0, 1.0]]).reshape(_TWO_PLACES.shape)),
                call(_TWO_IMAGES, 1, 0.0).gives(np.array([[-1.0, 1.0], [-1.0, 1.0]]).reshape(_TWO_IMAGES.shape)),
                call(np.ones((1, 2, 2, 2)), 1, 1e-5).gives(np.zeros((1, 2, 2, 2))),
            ],
        ),
        Test(
            "equals the definition on random images",
            "T1",
            [
                call(draw(*shape, scale=1.0), groups, eps).gives(_grouped)
                for eps in (1e-5, 0.5)
                for *shape, groups in _GN_CASES
            ],
        ),
        Test(
            "gives each group mean 0 and mean square 1",
            "T2",
            [call(draw(*shape, scale=1.0), groups, 0.0) for *shape, groups in _GN_CASES],
            law=_has_moments,
        ),
        Test(
            "judges each image alone",
            "T2",
            [call(draw(*shape, scale=1.0), groups, 1e-5) for *shape, groups in _GN_CASES[1:]],
            law=_judges_alone,
        ),
        Test(
            "does not see a scale and a shift of a group",
            "T2",
            [call(draw(*shape, scale=1.0), groups, 0.0) for *shape, groups in _GN_CASES],
            law=_stretched,
        ),
    ],
    mistakes=[
        Mistake(
            "batch-statistics",
            "takes mean and variance over the batch too",
            lambda x, groups, eps: _grouped(x, groups, eps, axes=(0, 1, 2, 4)),
            (
                "An image's result changes with its companions.",
                "Which axes do mean and variance run over?",
                "Leave axis 0 out: each image has statistics of its own.",
            ),
        ),
        Mistake(
            "batch-norm",
            "is BatchNorm: each channel over the batch and all places",
            lambda x, groups, eps: (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + eps),
            (
                "You normalise each channel over the whole batch.",
                "Where do groups come in, and is axis 0 among the averaged axes?",
                "Average over the places and the channels of one group of one image.",
            ),
        ),
        Mistake(
            "one-group",
            "normalises each image as a whole",
            lambda x, groups, eps: _grouped(x, 1, eps),
            (
                "The number of groups does not change your result.",
                "Is groups used at all?",
                "Cut the channels into groups first, and average within each.",
            ),
        ),
        Mistake(
            "each-channel",
            "normalises each channel by itself",
            lambda x, groups, eps: _grouped(x, x.shape[3], eps),
            (
                "You give each channel its own statistics.",
                "How many channels does one group hold?",
                "A group has C / groups channels; their values are averaged together.",
            ),
        ),
        Mistake(
            "each-place",
            "normalises each place by itself",
            lambda x, groups, eps: _grouped(x, groups, eps, axes=(4,)),
            (
                "Your mean is 0 at each place, and it should be 0 over all places.",
                "Which axes do mean and variance run over?",
                "The two axes of the image belong to them.",
            ),
        ),
        Mistake(
            "interleaved-groups",
            "puts channels 0, G, 2G, ... into one group",
            _gn_interleaved,
            (
                "Your groups are made of the wrong channels.",
                "In which order does your reshape cut the last axis: (groups, C / groups) or (C / groups, groups)?",
                "Channels of a group stand side by side.",
            ),
        ),
        Mistake(
            "channels-first",
            "cuts the groups along the rows of the image",
            _gn_channels_first,
            (
                "You cut rows into groups, and not channels.",
                "Which axis holds the channels here?",
                "Images are (N, H, W, C): cut the last axis.",
            ),
        ),
        Mistake(
            "eps-outside",
            "adds eps to the standard deviation",
            _gn_eps_outside,
            (
                "With a large eps your result is too small or too large.",
                "Where does eps stand: inside the root or outside?",
                "sqrt(v + eps).",
            ),
        ),
        Mistake(
            "no-eps",
            "leaves eps out",
            _gn_no_eps,
            (
                "eps does not change your result, and a constant image gives NaN.",
                "Is eps used?",
                "Add it to the variance, under the root.",
            ),
        ),
        Mistake(
            "no-root",
            "divides by the variance",
            _gn_variance,
            (
                "Your result is not scaled right: doubling x halves it.",
                "Do you divide by v, or by its root?",
                "Divide by the square root.",
            ),
        ),
        Mistake(
            "sample-variance",
            "divides the squared deviations by one less than their number",
            lambda x, groups, eps: _grouped(x, groups, eps, ddof=1),
            (
                "Your variance is a little too large, more so for small groups.",
                "Is there a ddof, or a division by n − 1?",
                "The variance here is the mean of the squared deviations.",
            ),
        ),
        Mistake(
            "not-centred",
            "does not subtract the mean",
            _gn_not_centred,
            (
                "The mean of a group is not 0.",
                "What stands above the root?",
                "Subtract the mean before you divide.",
            ),
        ),
    ],
    advice="Reshape the last axis to (groups, C / groups), and say aloud which axes one mean runs over.",
)

# ----------------------------------------------------------------------------------------------- cosine learning rate


def _rate(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 + math.cos(math.pi * share)) / 2


def _lr_no_warmup(step, steps, warmup, peak, final):
    return _rate(max(step, warmup), steps, warmup, peak, final)


def _lr_from_zero(step, steps, warmup, peak, final):
    return peak * step / warmup if step < warmup else _rate(step, steps, warmup, peak, final)


def _lr_whole_cosine(step, steps, warmup, peak, final):
    """The cosine runs from step 0, under the warm-up."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2


def _lr_late(step, steps, warmup, peak, final):
    """The cosine is as long as the run."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * (1 + math.cos(math.pi * min((step - warmup) / steps, 1.0))) / 2


def _lr_full_wave(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 + math.cos(2 * math.pi * share)) / 2


def _lr_quarter_wave(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * math.cos(math.pi * share / 2)


def _lr_goes_up_again(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def _lr_linear(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 - share)


def _lr_final_added(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + peak * (1 + math.cos(math.pi * share)) / 2


def _lr_final_ignored(step, steps, warmup, peak, final):
    return _rate(step, steps, warmup, peak, 0.0)


def _lr_upside_down(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 - math.cos(math.pi * share)) / 2


def _never_rises_after_the_warmup(f, step, steps, warmup, peak, final):
    rates = np.array([float(f(s, steps, warmup, peak, final)) for s in range(warmup, step + 1)])
    rises = np.flatnonzero(np.diff(rates) > 1e-12 * peak)
    if len(rises):
        s = warmup + int(rises[0])
        raise Failed(
            f"{rates[rises[0]]:.4g} at step {s} and {rates[rises[0] + 1]:.4g} at step {s + 1}",
            "no rise after the warm-up",
        )


def _scales(f, step, steps, warmup, peak, final):
    return f(step, steps, warmup, 10 * peak, 10 * final), 10 * np.asarray(f(step, steps, warmup, peak, final))


_PLANS = [(12, 4, 1.0, 0.0), (10, 0, 0.5, 0.1), (7, 3, 2.0, 0.5), (40, 5, 0.3, 0.01)]

cosine_rate = Exercise(
    name="cosine_rate",
    notebook="10",
    signature="f(step, steps, warmup, peak, final) -> rate",
    statement="""The learning rate of a step: a line up to the peak, then half a cosine down.

    Steps count from 0. During the first warmup steps the rate is peak (step + 1) / warmup, so that step 0 is not lost and
    the last of them has the rate peak. At step warmup half a wave of the cosine begins, with the rate peak; it ends at
    step steps, with the rate final, and there the rate stays. warmup may be 0, and is smaller than steps. Return a number.
    """,
    tests=[
        Test(
            "returns one finite number",
            "T0",
            [call(s, *_PLANS[0]) for s in (0, 5, 12)],
            law=lambda f, *args: (np.array(np.shape(f(*args)) == ()), np.array(True)),
        ),
        Test(
            "knows the first steps",
            "T1",
            [
                call(s, *plan).gives(np.array(rate))
                for s, plan, rate in (
                    (0, _PLANS[0], 0.25),
                    (1, _PLANS[0], 0.5),
                    (3, _PLANS[0], 1.0),
                    (0, _PLANS[2], 2 / 3),
                    (4, _PLANS[3], 0.3),
                )
            ],
        ),
        Test(
            "knows the beginning, the middle and the end of the cosine",
            "T1",
            [
                call(s, *plan).gives(np.array(rate))
                for s, plan, rate in (
                    (0, _PLANS[1], 0.5),
                    (5, _PLANS[1], 0.3),
                    (10, _PLANS[1], 0.1),
                    (4, _PLANS[0], 1.0),
                    (8, _PLANS[0], 0.5),
                    (5, _PLANS[2], 1.25),
                    (7, _PLANS[2], 0.5),
                )
            ],
        ),
        Test(
            "stays at the end",
            "T1",
            [call(s, *plan).gives(np.array(plan[3])) for plan in _PLANS[1:] for s in (plan[0] + 1, 3 * plan[0])],
        ),
        Test(
            "equals the formula at all steps",
            "T1",
            [call(s, *plan).gives(lambda *args: np.array(_rate(*args)), plan[2]) for plan in _PLANS for s in range(14)],
        ),
        Test(
            "never rises after the warm-up",
            "T2",
            [call(2 * plan[0], *plan) for plan in _PLANS],
            law=_never_rises_after_the_warmup,
        ),
        Test("scales with peak and final", "T2", [call(s, *_PLANS[2]) for s in (0, 4, 6)], law=_scales),
    ],
    mistakes=[
        Mistake(
            "no-warmup",
            "starts at the peak",
            _lr_no_warmup,
            (
                "The first steps have the full rate.",
                "What happens where step < warmup?",
                "There the rate is a line: peak (step + 1) / warmup.",
            ),
        ),
        Mistake(
            "first-step-lost",
            "starts the warm-up with a rate of 0",
            _lr_from_zero,
            (
                "The rate of step 0 is 0: that step changes nothing.",
                "Steps count from 0. What is the share of the first of four?",
                "(step + 1) / warmup.",
            ),
        ),
        Mistake(
            "cosine-under-the-warmup",
            "starts the cosine at step 0, under the warm-up",
            _lr_whole_cosine,
            (
                "After the warm-up the rate jumps down.",
                "At which step does your cosine begin?",
                "Count its steps from warmup on: it begins with cos 0.",
            ),
        ),
        Mistake(
            "ends-too-late",
            "makes the cosine as long as the whole run",
            _lr_late,
            (
                "At step steps your rate is above final.",
                "How many steps are left after the warm-up?",
                "The cosine has steps − warmup of them.",
            ),
        ),
        Mistake(
            "whole-wave",
            "runs through a whole wave",
            _lr_full_wave,
            (
                "Your rate falls and comes back.",
                "How large is the angle at the end: π or 2π?",
                "Half a wave: from cos 0 to cos π.",
            ),
        ),
        Mistake(
            "quarter-wave",
            "runs through a quarter of a wave",
            _lr_quarter_wave,
            (
                "Your rate at the half of the way is too large.",
                "How large is the angle at the end: π or π/2?",
                "Half a wave, from 1 to −1; then bring it into [0, 1].",
            ),
        ),
        Mistake(
            "up-again",
            "lets the wave go on after the end",
            _lr_goes_up_again,
            (
                "After the last step the rate rises again.",
                "What is your angle for step > steps?",
                "Hold the share of the way at 1.",
            ),
        ),
        Mistake(
            "linear",
            "falls along a line",
            _lr_linear,
            (
                "Beginning, middle and end are right, and between them the rate is not.",
                "Is there a cosine?",
                "(1 + cos(π · share)) / 2 is flat at both ends.",
            ),
        ),
        Mistake(
            "final-added",
            "adds final on top of the whole wave",
            _lr_final_added,
            (
                "At the beginning of the cosine your rate is peak + final.",
                "How high is the wave?",
                "It spans from final to peak: its height is peak − final.",
            ),
        ),
        Mistake(
            "final-ignored",
            "falls to 0",
            _lr_final_ignored,
            (
                "The last rate is 0.",
                "Where does final come in?",
                "The wave goes from peak to final.",
            ),
        ),
        Mistake(
            "upside-down",
            "turns the wave upside down",
            _lr_upside_down,
            (
                "Your rate grows from final to peak.",
                "What is cos 0?",
                "At the beginning the share of the peak is 1: (1 + cos(π · share)) / 2.",
            ),
        ),
    ],
    advice="Work out by hand the rates at steps 0, warmup − 1, warmup, half way down, and steps.",
)
