"""Notebooks 14 and 12: NT-Xent of a batch on several processes, and gradients in parts with an encoder that draws.

The loss is judged by comparisons of each candidate with the partner, over the batch as a whole; the gradient by masks
that are drawn once and written down.
"""

import copy

import numpy as np

from ..exercise import Code, Exercise, Mistake, Test, call, draw
from . import nt_xent as single

# ---------------------------------------------------------------------------------------------------- a loss in shards


def _whole(z, temperature):
    z = z.astype(float)
    return single._value(np.concatenate(z[:, 0]), np.concatenate(z[:, 1]), temperature)


def _on(ranks, n, d=2, t=0.5, note=""):
    return call(draw(ranks, 2, n, d), t).gives(_whole, scale=1.0).noting(note)


def _collapsed(ranks, n, t):
    return (
        call(np.ones((ranks, 2, n, 2)), t)
        .gives(np.log(2 * ranks * n - 1))
        .noting(f"All {2 * ranks * n} embeddings are equal: each anchor has {2 * ranks * n - 1} candidates.")
    )


def _aligned(ranks, n, t):
    eye = np.eye(ranks * n).reshape(ranks, 1, n, -1)
    answer = np.log1p((2 * ranks * n - 2) * np.exp(-1 / t))
    return call(np.concatenate([eye, eye], 1), t).gives(answer, scale=max(answer, 0.1 / t)).noting("Pairs are aligned.")


def _flat(z):
    """Rank by rank: view 1 and view 2 of rank 0, then those of rank 1."""
    u = z / np.sqrt((z * z).sum(-1, keepdims=True))
    return u.reshape(-1, z.shape[-1])


def _partners(ranks, n):
    place = np.arange(2 * ranks * n).reshape(ranks, 2, n)
    return place[:, ::-1].ravel()


def _z_version(partner=_partners, own=None, reduce=np.mean, naive=False):
    def function(z, t):
        ranks, _, n, _ = z.shape
        u = _flat(z)
        s = u @ u.T / t
        rows = np.arange(len(u))
        s[rows, rows if own is None else own(ranks, n)] = -np.inf
        top = 0 * s[:, :1] if naive else s.max(1, keepdims=True)
        lse = np.log(np.exp(s - top).sum(1)) + top[:, 0]
        return reduce(lse - (u * u[partner(ranks, n)]).sum(1) / t)

    return function


def _by_shards(z, t, reduce=np.mean):
    return reduce([single._right_losses(a, b, t).mean() for a, b in z])


sharded_nt_xent = Exercise(
    name="sharded_nt_xent",
    notebook="14",
    signature="f(z, temperature) -> loss",
    statement="""NT-Xent of a batch that lies on R processes.

    z has shape (R, 2, n, d): z[r, 0] and z[r, 1] are the two views of the n images of rank r, row i of both from one
    image. Return the NT-Xent loss of all R n images together (as in the exercise nt_xent): every one of the 2 R n rows
    is an anchor once, its candidates are all other rows of all ranks, scores are cosines divided by τ = temperature,
    and the loss is one number, the mean over the 2 R n anchors. With R = 1 it is the loss of z[0, 0] and z[0, 1].
    τ may be 0.001.
    """,
    tests=[
        Test("returns one number", "T0", [_on(1, 2), _on(2, 2)]),
        Test("knows the collapse", "T1", [_collapsed(1, 2, 0.5), _collapsed(2, 1, 0.5), _collapsed(3, 2, 0.1)]),
        Test("knows aligned pairs", "T1", [_aligned(1, 2, 0.5), _aligned(2, 2, 0.3), _aligned(3, 2, 1.0)]),
        Test("equals the loss of one process", "T2", [_on(2, 2), _on(3, 2, 3), _on(2, 3, 4, 0.1), _on(4, 1, 2, 2.0)]),
        Test(
            "does not depend on how the batch is dealt out",
            "T2",
            [call(draw(2, 2, 2, 3), 0.5), call(draw(4, 2, 3, 2), 0.2)],
            law=lambda f, z, t: (
                f(z, t),
                f(np.stack([np.concatenate(z[:, v]) for v in (0, 1)])[None], t),
                1.0,
            ),
        ),
        Test("stays right at τ = 0.001", "T4", [_aligned(2, 2, 0.001), _collapsed(2, 2, 0.001)]),
    ],
    mistakes=[
        Mistake(
            "partner-i-plus-n",
            "takes row i + R n of the gathered rows for the partner of row i",
            _z_version(partner=lambda ranks, n: (np.arange(2 * ranks * n) + ranks * n) % (2 * ranks * n)),
            (
                "With one process you are right. With two a pair that is aligned is not found.",
                "In which order do the gathered rows stand: view 1 of all, or rank by rank?",
                "Print your index of partners: the partner of a row is on the same rank.",
            ),
            variants=(lambda z, t: _z_version()(z.reshape(2, -1, *z.shape[2:]).swapaxes(0, 1), t),),
        ),
        Mistake(
            "own-place-in-shard",
            "masks an anchor at its place within its own shard",
            _z_version(own=lambda ranks, n: np.tile(np.arange(2 * n), ranks)),
            (
                "With one process you are right. On rank 1 the anchor is a candidate of its own.",
                "Which column does row 0 of rank 1 have among all gathered rows?",
                "Its place counts the rows of all ranks before it.",
            ),
        ),
        Mistake(
            "partner-in-first-shard",
            "looks for the partner at its place within the first shard",
            _z_version(partner=lambda ranks, n: np.tile((np.arange(2 * n) + n) % (2 * n), ranks)),
            (
                "With one process you are right. On rank 1 aligned pairs are not found.",
                "From which shard do you take the partner?",
                "Its place counts the rows of all ranks before it.",
            ),
        ),
        Mistake(
            "own-shard-only",
            "compares an anchor with the rows of its own shard alone",
            _by_shards,
            (
                "At collapse you return log(2n − 1): the candidates of the other ranks are missing.",
                "How many candidates does an anchor have?",
                "All other rows of all ranks. That is what the gathering is for.",
            ),
        ),
        Mistake(
            "mean-not-taken",
            "adds the losses of the ranks up",
            lambda z, t: _z_version()(z, t) * len(z),
            (
                "Your value is R times the right one.",
                "Is it a mean over the anchors of one rank, or of all?",
                "There are 2 R n anchors.",
            ),
            variants=(lambda z, t: _z_version()(z, t) / len(z),),
        ),
        Mistake(
            "sum",
            "returns the sum over the anchors",
            _z_version(reduce=np.sum),
            (
                "Your value is 2 R n times the right one.",
                "Sum or mean?",
                "The loss is the mean over all anchors.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest logit",
            _z_version(naive=True),
            (
                "At τ = 0.001 a logit is 1000.",
                "Where is exp called, and how large can its argument be?",
                "Take the largest logit of each row out first.",
            ),
        ),
    ],
    advice="Take two ranks with one image each, and write down the four rows, their partners and their candidates.",
)

# ------------------------------------------------------------------------------------------------ gradients with a draw

_W = "np.random.default_rng({0}).normal(0, 0.7, ({0}, {1}))"
_DRAW = "rng.random((len(x), W.shape[1])) < 0.6"
_REPEL = "lambda z: z.sum(0) - z"
_LOG = "lambda z: 2 * z / (1 + (z * z).sum())"


def _dropout(n, chunk, inputs=2, outputs=3, loss=_REPEL, seed=3, note=""):
    """The encoder tanh(x W) * mask, whose mask comes out of a generator."""
    w = _W.format(inputs, outputs)
    encode = f"(lambda W: lambda x, rng: np.tanh(x @ W) * ({_DRAW}))({w})"
    pull = f"(lambda W: lambda x, g, rng: x.T @ (g * (1 - np.tanh(x @ W) ** 2) * ({_DRAW})))({w})"
    generator = f"np.random.default_rng({seed})"

    def right(encode, pull_back, loss_gradient, x, chunk, rng):
        matrix, numbers = Code(w).value(), rng.value()
        # The generator gives row after row, so one draw for all rows is what the parts draw in turn.
        mask = numbers.random((len(x), outputs)) < 0.6
        y = np.tanh(x @ matrix)
        return x.T @ (loss_gradient.value()(y * mask) * (1 - y * y) * mask)

    case = call(Code(encode), Code(pull), Code(loss), draw(n, inputs, scale=1.0), chunk, Code(generator))
    return case.gives(right).noting(note)


def _parts(x, chunk):
    return [x[a : a + chunk] for a in range(0, len(x), chunk)]


def _r_version(again=lambda states, p, rng: states[p], first=lambda rng, start: rng, own_loss=False):
    """Two passes; `again` gives the generator of the second pass over part p, `first` that of the first pass."""

    def function(encode, pull_back, loss_gradient, x, chunk, rng):
        states, z, start = [], [], copy.deepcopy(rng)
        for part in _parts(x, chunk):
            used = first(rng, start)
            states.append(copy.deepcopy(used))
            z.append(encode(part, used))
        g = [loss_gradient(part) for part in z] if own_loss else _parts(loss_gradient(np.concatenate(z)), chunk)
        return sum(pull_back(part, h, again(states, p, rng)) for p, (part, h) in enumerate(zip(_parts(x, chunk), g)))

    return function


def _one_generator(encode, pull_back, loss_gradient, x, chunk, rng):
    """The state is kept once, before all parts, and set again for each."""
    kept = copy.deepcopy(rng)
    z = np.concatenate([encode(part, copy.deepcopy(kept)) for part in _parts(x, chunk)])
    g = _parts(loss_gradient(z), chunk)
    return sum(pull_back(part, h, copy.deepcopy(kept)) for part, h in zip(_parts(x, chunk), g))


replayed_gradient = Exercise(
    name="replayed_gradient",
    notebook="12",
    signature="f(encode, pull_back, loss_gradient, x, chunk, rng) -> dw",
    statement="""The gradient of a large batch in two passes, with an encoder that draws random numbers (dropout).

    As in the exercise cached_gradient, with a generator: encode(x, rng) returns the embeddings of some rows of x and
    draws from rng. loss_gradient(z), for the embeddings of the whole batch, returns ∂L/∂z. pull_back(x, g, rng) returns
    Σ g ∂z/∂w for some rows and their rows g of ∂L/∂z; it draws too, and is right only if its generator stands where
    that of encode stood for the same rows. Cut x into parts of `chunk` rows, in their order (the last may be smaller),
    encode them one after the other with rng itself, and return dw = ∂L/∂w for the masks that were drawn there.
    `copy.deepcopy(rng)` copies a generator.
    """,
    tests=[
        Test("returns an array like the weights", "T0", [_dropout(2, 2), _dropout(3, 3, 2, 2)]),
        Test("is right for a single part", "T1", [_dropout(2, 2, note="One part."), _dropout(4, 5, 3, 2, _LOG, 4)]),
        Test(
            "equals the gradient of the whole batch",
            "T3",
            [_dropout(2, 1), _dropout(4, 2, seed=5), _dropout(6, 2, 3, 4, _LOG, 6), _dropout(9, 3, 2, 4, _LOG, 7)],
        ),
        Test("takes a last part that is smaller", "T4", [_dropout(3, 2, seed=8), _dropout(7, 3, 2, 4, _LOG, 9)]),
    ],
    mistakes=[
        Mistake(
            "drawn-again",
            "draws new random numbers in the second pass",
            _r_version(again=lambda states, p, rng: rng),
            (
                "Your gradient belongs to other masks than your embeddings.",
                "Where does the generator stand when the second pass begins?",
                "Keep a copy of the generator before each part, and use it for the same part again.",
            ),
        ),
        Mistake(
            "same-for-all-parts",
            "starts each part from the same state",
            _one_generator,
            (
                "With one part you are right. With several all parts get the same mask.",
                "How often do you copy the generator: once, or before each part?",
                "The generator moves on from part to part; keep its state before each of them.",
            ),
        ),
        Mistake(
            "first-state-again",
            "starts every part of the second pass where the first one started",
            _r_version(again=lambda states, p, rng: copy.deepcopy(states[0])),
            (
                "With one part you are right.",
                "Which state belongs to the second part?",
                "Keep a copy before each part, not only before the first.",
            ),
        ),
        Mistake(
            "last-state-again",
            "starts every part of the second pass where the last one started",
            _r_version(again=lambda states, p, rng: copy.deepcopy(states[-1])),
            (
                "With one part you are right.",
                "How many states do you keep?",
                "One for each part.",
            ),
        ),
        Mistake(
            "fixed-seed",
            "uses a generator with a seed of its own",
            _r_version(
                first=lambda rng, start: np.random.default_rng(0), again=lambda states, p, rng: np.random.default_rng(0)
            ),
            (
                "Your answer does not depend on rng.",
                "Where do your random numbers come from?",
                "Use the generator that is given, and copies of it.",
            ),
        ),
        Mistake(
            "parts-by-themselves",
            "takes the loss of each part by itself and adds up the gradients",
            _r_version(own_loss=True),
            (
                "With one part you are right; with several each row sees only the rows of its own part.",
                "To which embeddings do you give loss_gradient?",
                "First the embeddings of all parts, then one gradient of the loss, and then the parts again.",
            ),
        ),
    ],
    advice="Take two rows in two parts, and print the mask in each call: the second pass must show those of the first.",
)
