"""Hidden tests of assignment 3: one function for each autograded cell, called with what the student wrote."""

import functools

import numpy as np
from hidden_tests import SEED, NotYet, choice, four_digits, number, require, run

import minicl as mc
from minicl.course.guard import quiet

# --------------------------------------------------------------------------------------------- 1 · a convolution


def shape(answer):
    try:
        answer = tuple(int(n) for n in answer)
    except (TypeError, ValueError):
        raise NotYet("wrong-form", "Four whole numbers in brackets are asked for.") from None
    wrong = {
        (2, 7, 6, 5): ("stride-forgotten", "A window moves by two pixels at each step."),
        (2, 5, 4, 5): ("padded", "There is no padding: each window lies inside the image."),
        (2, 4, 3, 3): ("channels-of-x", "The sum runs over the channels of x. What is left are those of the weights."),
        (2, 3, 2, 5): ("one-window-lost", "A window that starts at pixel 0 counts too."),
        (2, 4, 4, 5): ("rounded-up", "Each window lies inside the image."),
    }
    choice(answer, (2, 4, 3, 5), wrong)


def _right_conv_vjp(g, x, w, stride):
    dx, dw = np.zeros(x.shape, g.dtype), np.zeros(w.shape, g.dtype)
    for p, q in np.ndindex(g.shape[1:3]):
        window = (slice(None), slice(p * stride, p * stride + len(w)), slice(q * stride, q * stride + w.shape[1]))
        dx[window] += np.tensordot(g[:, p, q], w, axes=(1, 3))
        dw += np.tensordot(x[window], g[:, p, q], axes=(0, 0))
    return dx, dw


def _one_of_two(function, which):
    """The student's gradient at place `which`, and a right one at the other, so that each is graded by itself."""

    def mixed(g, x, w, stride):
        found = function(g, x, w, stride)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            return found
        right = _right_conv_vjp(g, x, w, stride)
        return (found[0], right[1]) if which == 0 else (right[0], found[1])

    return mixed


def conv_dx(function):
    require("conv_vjp", _one_of_two(function, 0))


def conv_dw(function):
    require("conv_vjp", _one_of_two(function, 1))


def _pairs():
    """(forward, backward, shape of x, what a checker that accepts or rejects it gets wrong) - None where it is right."""
    rng = np.random.default_rng(SEED)
    a, w = rng.standard_normal((5, 4)), rng.standard_normal((2, 3, 2, 3))
    line = lambda k: (lambda x: k * x @ a.T, lambda g: k * g @ a, (3, 4))
    conv = lambda x: _right_conv_forward(x, w)
    convolution = lambda i: (conv, lambda g: _right_conv_vjp(g, np.zeros((2, 6, 7, 2)), w, 2)[0] * i, (2, 6, 7, 2))
    right = "too-strict", "It rejects a right backward function: two sums differ in their last digits."
    yield *line(1.0), None, right
    yield *line(1e-9), None, right
    yield *line(1e9), None, right
    yield *convolution(1.0), None, right
    yield (lambda x: x[::-1]), (lambda g: g[::-1]), (40, 3), None, right
    yield (lambda x: x.sum(axis=0)), (lambda g: np.tile(g, (30, 1))), (30, 5), None, right
    accepts_all = "accepts-everything", "It accepts a backward function that returns zeros."
    yield (lambda x: x @ a.T), (lambda g: np.zeros((3, 4))), (3, 4), accepts_all, None
    sign = "sign-ignored", "It accepts a backward function with the wrong sign."
    yield (lambda x: x @ a.T), (lambda g: -g @ a), (3, 4), sign, None
    ones = "all-ones", "It accepts a backward function that mixes up the entries of g. Are x and g random?"
    yield (lambda x: x.copy()), (lambda g: g[::-1].copy()), (4, 3), ones, None
    yield (lambda x: x.copy()), (lambda g: np.full(g.shape, g.mean())), (4, 3), ones, None
    small = "absolute-tolerance", "Where all numbers are a billion times smaller, it accepts a wrong backward function."
    yield (lambda x: 1e-9 * x @ a.T), (lambda g: 2e-9 * g @ a), (3, 4), small, None
    yield (lambda x: 1e-12 * x @ a.T), (lambda g: np.zeros((3, 4))), (3, 4), small, None
    rough = "tolerance-too-large", "It accepts a backward function that is off by one part in a million."
    yield (lambda x: x @ a.T), (lambda g: (1 + 1e-6) * g @ a), (3, 4), rough, None
    yield *convolution(1 + 1e-6), rough, None
    other = "unknown", "It accepts a backward function that is wrong in one entry."
    yield (lambda x: x * 1.0), (lambda g: np.where(np.arange(3) == 1, 0, g)), (2, 3), other, None


def _right_conv_forward(x, w, stride=2):
    places = [(size - k) // stride + 1 for size, k in zip(x.shape[1:3], w.shape[:2])]
    y = np.zeros((len(x), *places, w.shape[3]))
    for p, q in np.ndindex(*places):
        window = x[:, p * stride : p * stride + len(w), q * stride : q * stride + w.shape[1]]
        y[:, p, q] = np.tensordot(window, w, axes=3)
    return y


def is_adjoint(function):
    for forward, backward, x_shape, if_accepted, if_rejected in _pairs():
        for seed in range(3):
            says = run(function, forward, backward, x_shape, np.random.default_rng([SEED, seed]))
            if not isinstance(says, (bool, np.bool_)):
                raise NotYet("wrong-form", f"It must return True or False, and returned {type(says).__name__}.")
            if wrong := if_accepted if says else if_rejected:
                raise NotYet(*wrong)


# -------------------------------------------------------------------------------------------------- 2 · two views


def chance(answer):
    number(  # to five decimals: 1/127 and 1/128 are near
        answer,
        1 / 127,
        {
            "self-not-masked": (1 / 128, "A view is not compared with itself."),
            "cross-view-only": (1 / 64, "Views of the same kind are candidates too."),
            "images-for-views": (1 / 63, "Count views, not images."),
            "partner-missing": (1 / 126, "The partner is a candidate too."),
            "certain": (1.0, "A network that has learned nothing cannot know the partner."),
        },
        tolerance=2e-5,
    )


def two_views(function):
    require("two_views", function)


# --------------------------------------------------------------------------------------------------- 3 · the loop


def thrown_away(answer):
    four_digits(
        answer,
        24768,
        {
            "encoder-thrown-away": (49536, "The encoder is what one keeps."),
            "biases-forgotten": (24576, "Each layer has biases too."),
            "everything": (74304, "The encoder is kept."),
            "last-layer-only": (8256, "The head has two layers."),
        },
    )


SETTINGS = {"steps": 4, "batch_size": 12, "temperature": 0.3, "lr": 0.02}


def _networks():
    rng = np.random.default_rng(SEED)
    return (
        mc.nn.MLP([12, 16, 8], rng=rng, dtype=np.float64),
        mc.nn.ProjectionHead(8, 8, 6, rng=rng, dtype=np.float64),
    )


def _view(images, rng):
    return images + 0.3 * rng.standard_normal(images.shape)


def _images():
    return np.random.default_rng([SEED, 1]).standard_normal((40, 2, 3, 2))


def _loop(
    encoder, head, images, view, steps, batch_size, temperature, lr, rng, *,
    embed=lambda encoder, head, v: head(encoder(v)),
    trained=lambda encoder, head: encoder.parameters() + head.parameters(),
    loss_of=lambda z1, z2, t: mc.nt_xent(z1, z2, temperature=t),
    views=mc.data.two_views,
    direction=1,
    once=True,
    same_batch=False,
):  # fmt: skip
    """The loop of SimCLR; what the mistakes below change is an argument."""
    parameters, losses = trained(encoder, head), []
    start = rng.bit_generator.state
    optimizer = mc.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        if same_batch:
            rng.bit_generator.state = start
        if not once:
            optimizer = mc.optim.Adam(parameters, lr=lr)
        batch = images[rng.choice(len(images), batch_size, replace=False)]
        v1, v2 = views(batch, view, rng)
        loss = loss_of(embed(encoder, head, v1), embed(encoder, head, v2), temperature)
        optimizer.step([direction * g for g in mc.grad(loss, parameters)])
        losses.append(float(loss))
    return losses


WRONG_LOOPS = {
    "identical-views": (
        {"views": lambda x, view, rng: (view(x, rng),) * 2},
        "Both views of an image are the same: the partner is found without learning.",
    ),
    "first-view-raw": (
        {"views": lambda x, view, rng: (x, view(x, rng))},
        "One of the two views is the image itself.",
    ),
    "loss-of-h": (
        {"embed": lambda encoder, head, v: encoder(v), "trained": lambda encoder, head: encoder.parameters()},
        "The loss looks at h. It should look at z, which the head makes of h.",
    ),
    "temperature-ignored": (
        {"loss_of": lambda z1, z2, t: mc.nt_xent(z1, z2, temperature=1.0)},
        "The temperature that is given is not used.",
    ),
    "temperature-default": (
        {"loss_of": lambda z1, z2, t: mc.nt_xent(z1, z2)},
        "The temperature that is given is not used.",
    ),
    "one-view-embedded": (
        {"loss_of": lambda z1, z2, t: mc.nt_xent(z1, z1, temperature=t)},
        "Both arguments of the loss are the same view.",
    ),
    "head-not-trained": (
        {"trained": lambda encoder, head: encoder.parameters()},
        "The head is not trained.",
    ),
    "encoder-not-trained": (
        {"trained": lambda encoder, head: head.parameters()},
        "The encoder is not trained.",
    ),
    "ascent": ({"direction": -1}, "The loss is made larger, not smaller."),
    "optimizer-made-anew": ({"once": False}, "The optimiser is made anew at each step, and forgets its averages."),
    "same-batch": ({"same_batch": True}, "Each step draws the same batch with the same views: where is rng made?"),
}


def _trained_by(function):
    """(losses, encoder's arrays, head's arrays) after a run."""
    encoder, head = _networks()
    losses = run(function, encoder, head, _images(), _view, *SETTINGS.values(), np.random.default_rng([SEED, 2]))
    if not isinstance(losses, (list, tuple, np.ndarray)):
        raise NotYet("wrong-form", f"It must return a list of losses, and returned {type(losses).__name__}.")
    return losses, [p.numpy() for p in encoder.parameters()], [p.numpy() for p in head.parameters()]


def _near(found, expected):
    found, expected = (np.concatenate([np.ravel(np.asarray(x, float)) for x in xs]) for xs in (found, expected))
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-5, atol=1e-7)


def _as_floats(losses):
    if any(isinstance(loss, mc.Tensor) for loss in losses):
        raise NotYet(
            "tensors-kept", "The list holds Tensors, and with them all that they were computed from: float(loss)."
        )
    try:
        return [float(loss) for loss in losses]
    except (TypeError, ValueError):
        raise NotYet("wrong-form", "The list must hold plain numbers.") from None


def _which_loop(differs):
    """`NotYet` for the first wrong loop that ends like the student's."""
    for name, (change, sentence) in WRONG_LOOPS.items():
        with quiet():
            if not differs(_trained_by(functools.partial(_loop, **change))):
                raise NotYet(name, sentence)
    raise NotYet(
        "unknown", "Another result was expected. Compare each line with the table of calls, and the order of draws."
    )


def train_first_loss(function):
    losses, _, _ = _trained_by(function)
    if not len(losses):
        raise NotYet("no-losses", "The list of losses is empty.")
    try:
        first = float(losses[0])
    except (TypeError, ValueError):
        raise NotYet("wrong-form", "The list must hold plain numbers.") from None
    differs = lambda other: not _near([first], [other[0][0]])
    if differs(_trained_by(_loop)):
        _which_loop(differs)


def train_steps(function):
    losses, encoder, head = _trained_by(function)
    losses = _as_floats(losses)
    if len(losses) != SETTINGS["steps"]:
        raise NotYet("losses-missing", f"The list has {len(losses)} losses for {SETTINGS['steps']} steps.")
    differs = lambda other: not _near([losses, *encoder, *head], [other[0], *other[1], *other[2]])
    if differs(_trained_by(_loop)):
        _which_loop(differs)


# --------------------------------------------------------------------------------------------- 4 · what was learned


def random_labels(answer):
    four_digits(
        answer,
        0.1,
        {
            "self-included": (1.0, "The image itself is left out. Its neighbour has a label of its own."),
            "zero": (0.0, "By chance the neighbour has the same label now and then."),
            "out-of-nine": (1 / 9, "The neighbour's label may be any of the ten."),
        },
    )


def knn(function):
    require("knn", function)


def linear_probe(function):
    require("linear_probe", function, "T0 T1 T2 T3")


def linear_probe_with_many_features(function):
    require("linear_probe", function, "T4")


def accuracies(answer, untrained, trained, few):
    """The four rows, worked out again from the encoders of the notebook; a few test images may be told otherwise."""
    names = ("raw pixels", "untrained h", "trained h", "trained z")
    try:
        given = {name: np.array([float(share) for share in answer[name]]) for name in names}
    except (KeyError, TypeError, ValueError):
        raise NotYet("wrong-form", "accuracies has four names, and under each of them a list of numbers.") from None
    if any(len(row) != 3 for row in given.values()):
        raise NotYet("wrong-form", "Each list has three numbers, one for each seed.")
    train, test = mc.data.digits("train"), mc.data.digits("test")
    flat = lambda images: images.reshape(len(images), -1)
    encoders = {
        "raw pixels": [flat] * 3,
        "untrained h": [method.encode for method in untrained],
        "trained h": [method.encode for method in trained],
        "trained z": [method.embed for method in trained],
        "untrained z": [method.embed for method in untrained],
    }

    def row(name, evaluated=test, chosen=few):
        shares = []
        for f, some in zip(encoders[name], chosen):
            x, y = f(train.images[some]), train.labels[some]
            shares.append(mc.evaluate.linear_probe(x, y, f(evaluated.images), evaluated.labels, C=0.1))
        return np.array(shares)

    near = lambda name, *options: np.abs(given[name] - row(*options)).max() <= 0.006
    lost = [name for name in names if not near(name, name)]
    if not lost:
        return
    name = lost[0]
    if np.abs(given[name] - 100 * row(name)).max() <= 0.6:
        raise NotYet("per-cent", "Shares are asked for, between 0 and 1.")
    exchanged = {
        ("trained h", "trained z"): ("probed-z", "Under trained h stands the accuracy of z."),
        ("trained z", "trained h"): ("probed-h", "Under trained z stands the accuracy of h."),
        ("trained h", "untrained h"): ("not-trained", "Under trained h stands the encoder before training."),
        ("untrained h", "trained h"): ("trained-for-untrained", "Under untrained h stands the encoder after training."),
        ("untrained h", "untrained z"): ("probed-z", "Under untrained h stands the accuracy of z."),
    }
    for (asked, other), told in exchanged.items():
        if name == asked and near(name, other):
            raise NotYet(*told)
    if near(name, name, train):
        raise NotYet("tested-on-training", f"{name}: tested on the training images.")
    if near(name, name, test, [slice(None)] * 3):
        raise NotYet("all-labels", f"{name}: the probe knows the labels of all training images, not of 50.")
    raise NotYet("unknown", f"{name}: other numbers come out of the same encoders, labels and test images.")


# ----------------------------------------------------------------------------------------------- 5 · reading a picture


def _share(x, centre=True, power=2, first=2):
    values = np.linalg.svd(x - x.mean(axis=0) * centre, compute_uv=False) ** power
    return values[:first].sum() / values.sum()


def plane_share(function):
    rng = np.random.default_rng(SEED)
    probes = [
        rng.standard_normal((n, d)) * np.arange(1, d + 1) + shift for n, d, shift in ((9, 4, 0), (30, 6, 3), (5, 8, 1))
    ]
    found = []
    for x in probes:
        given = x.copy()
        try:
            found.append(float(run(function, given)))
        except (TypeError, ValueError):
            raise NotYet("no-number", "One number is asked for.") from None
        if not np.array_equal(given, x):
            raise NotYet("in-place", "The function changed its argument.")
    wrong = {
        "not-centred": ({"centre": False}, "Is the mean of the points taken away?"),
        "not-squared": ({"power": 1}, "A variance is the square of a singular value, divided by n."),
        "first-only": ({"first": 1}, "A plane has two directions."),
        "not-centred-not-squared": ({"centre": False, "power": 1}, "Take the mean away, and square."),
    }
    equals = lambda **change: np.allclose(found, [_share(x, **change) for x in probes], rtol=1e-9, atol=0)
    if equals():
        return
    for name, (change, sentence) in wrong.items():
        if equals(**change):
            raise NotYet(name, sentence)
    raise NotYet("unknown", "Another share is right. A right function gives 1 for points that lie in a plane.")


def allowed(answer):
    choice(
        answer,
        "C",
        {
            "A": ("distance-of-clumps", "Distances between clumps are no part of what t-SNE keeps."),
            "B": ("size-of-clumps", "t-SNE makes dense and sparse clumps alike: sizes say little."),
            "D": ("one-map-believed", "At another perplexity or seed a clump can come apart, or close up."),
        },
    )
