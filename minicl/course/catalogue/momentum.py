"""Notebook 12: one step of MoCo (the loss before the queue moves), the momentum update, and keys encoded in shuffled parts.

The loss is judged by known answers and by comparisons of each candidate with the own key; the update by what m = 0 and
m = 1 must do.
"""

import math

import numpy as np

from ..answers import Failed
from ..exercise import Code, Exercise, Mistake, Test, call, draw
from .many_negatives import Model

# ------------------------------------------------------------------------------------------------ a step of the queue


def _unit(z):
    return z / np.sqrt((z * z).sum(1, keepdims=True))


def _logits(q, k, rest, t, others=False):
    """The own key in column 0, or where `others` all keys, that of query i moved to the front."""
    own = (q * k).sum(1, keepdims=True)
    parts = [own, q @ rest.T]
    if others:
        parts.append((q @ k.T)[~np.eye(len(q), dtype=bool)].reshape(len(q), -1))
    return np.concatenate(parts, 1) / t


def _loss(logits):
    top = logits.max(1, keepdims=True)
    return (np.log(np.exp(logits - top).sum(1)) + top[:, 0] - logits[:, 0]).mean()


def _put(queue, count, keys):
    model = Model(queue, count)
    model.put(keys)
    return model.state()


def _worked_out(q, k, queue, count, t):
    """Each candidate against the own key: log Σ exp((s_c − s_own)/τ)."""
    losses = []
    for query, key in zip(q, k):
        against = [key, *queue[: min(count, len(queue))]]
        differences = np.array([query @ c - query @ key for c in against]) / t
        top = differences.max()
        losses.append(top + math.log(np.exp(differences - top).sum()))
    return (np.mean(losses), *_put(queue, count, k))


def _case(n, slots, count, d=3, t=0.5, note=""):
    """Unit rows that are made anew for each shape."""
    rng = np.random.default_rng(100 * n + 10 * slots + count)
    q, k = (_unit(rng.standard_normal((n, d))).round(3) for _ in range(2))
    queue = np.zeros((slots, d))
    queue[: min(count, slots)] = _unit(rng.standard_normal((min(count, slots), d))).round(3)
    return call(q, k, queue, count, t).gives(_worked_out).noting(note)


def _axes(n, filled, slots, t, note):
    """Queries equal their keys, and everything else is orthogonal to them."""
    eye = np.eye(n + slots)
    queue = eye[n:].copy()
    queue[filled:] = 0
    return (
        call(eye[:n], eye[:n], queue, filled, t)
        .gives(lambda q, k, queue, count, t: (math.log1p(filled * math.exp(-1 / t)), *_put(queue, count, k)))
        .noting(note)
    )


def _has_parts(f, q, k, queue, count, t):
    loss, rows, number = f(q, k, queue, count, t)
    if loss.shape or number.shape or rows.shape != queue.shape:
        raise Failed(f"shapes {loss.shape}, {rows.shape}, {number.shape}", f"shapes (), {queue.shape}, ()")
    if not np.isfinite(loss):
        raise Failed(loss, "a finite number")


def _queue_version(before=lambda q, k, queue, count: queue[: min(count, len(queue))], put=_put, loss=None, **kind):
    loss = loss or (lambda q, k, rest, t: _loss(_logits(q, k, rest, t, **kind)))

    def function(q, k, queue, count, t):
        return (loss(q, k, before(q, k, queue, count), t), *put(queue, count, k))

    return function


def _after_put(q, k, queue, count):
    return _put(queue, count, k)[0][: min(count + len(k), len(queue))]


def _queries_put(q, k, queue, count, t):
    return (_loss(_logits(q, k, queue[: min(count, len(queue))], t)), *_put(queue, count, q))


def _naive(q, k, rest, t):
    e = np.exp(_logits(q, k, rest, t))
    return -np.log(e[:, 0] / e.sum(1)).mean()


def _negatives_only(q, k, rest, t):
    logits = _logits(q, k, rest, t)
    if logits.shape[1] == 1:
        return 0.0
    top = logits[:, 1:].max(1, keepdims=True)
    return (np.log(np.exp(logits[:, 1:] - top).sum(1)) + top[:, 0] - logits[:, 0]).mean()


def _in_place(q, k, queue, count, t):
    loss = _loss(_logits(q, k, queue[: min(count, len(queue))], t))
    queue[...] = _put(queue, count, k)[0]
    return loss, queue, count + len(k)


queue_step = Exercise(
    name="queue_step",
    notebook="12",
    signature="f(queries, keys, queue, count, temperature) -> (loss, queue, count)",
    statement="""One step of MoCo with its queue.

    queries and keys have shape (N, d): row i of both comes from image i. queue has shape (K, d), and count is how many
    keys were put in so far; key number t lies in slot t mod K, so the first min(count, K) slots are filled, and the
    others were never written. All rows have length 1. The candidates of query i are its own key i and the filled slots
    of the queue, as it is before this step; other keys of the batch are none. Its loss is minus the log of the softmax
    of q·k/τ at its own key, with τ = temperature. Return the mean loss over the queries, and the queue and the count
    after the keys of this batch were put in, in their order (as the exercise fifo_queue asks for). The arguments stay
    as they were. τ may be 0.001.
    """,
    tests=[
        Test("returns a loss, the queue and a count", "T0", [_case(1, 2, 0), _case(2, 3, 2)], law=_has_parts),
        Test(
            "knows the loss of a perfect encoder",
            "T1",
            [
                _axes(1, 1, 1, 0.5, "One negative, orthogonal: log(1 + exp(−1/τ))."),
                _axes(2, 3, 3, 0.5, "Three negatives, all orthogonal: log(1 + 3 exp(−1/τ))."),
                _axes(2, 0, 3, 0.5, "The queue is empty: the own key is the only candidate, and the loss is 0."),
                _axes(2, 1, 4, 2.0, "One slot of four is filled: one negative."),
            ],
        ),
        Test(
            "equals comparisons with the own key", "T2", [_case(2, 3, 3), _case(3, 4, 9, t=0.1), _case(2, 5, 7, t=2.0)]
        ),
        Test("counts filled slots only", "T2", [_case(2, 4, 1), _case(3, 8, 2, t=0.2), _case(2, 6, 5)]),
        Test("puts the keys in behind those that are there", "T2", [_case(3, 4, 3), _case(4, 3, 5), _case(5, 2, 2)]),
        Test("stays right at τ = 0.001", "T4", [_case(2, 3, 3, t=0.001), _case(3, 4, 9, t=0.001)]),
    ],
    mistakes=[
        Mistake(
            "enqueued-first",
            "puts the keys in before it computes the loss",
            _queue_version(before=_after_put),
            (
                "With a perfect encoder your loss does not fall below log 2.",
                "Is the own key in the queue already when the loss is computed?",
                "First the loss with the old queue, then the keys go in.",
            ),
        ),
        Mistake(
            "empty-slots-counted",
            "takes slots that were never written for negatives",
            _queue_version(before=lambda q, k, queue, count: queue),
            (
                "With an empty queue the loss is 0: there is no negative. Yours is larger.",
                "What lies in a slot that was never written? It is a candidate with score 0.",
                "count says how many slots are filled.",
            ),
        ),
        Mistake(
            "queries-enqueued",
            "puts the queries into the queue and not the keys",
            _queries_put,
            (
                "The loss is right, and the queue after the step is not.",
                "Which encoder made the rows that you put in?",
                "The queue holds keys.",
            ),
        ),
        Mistake(
            "other-keys-counted",
            "takes the other keys of the batch for negatives",
            _queue_version(others=True),
            (
                "With an empty queue the loss is 0, and yours is not.",
                "How many candidates does a query have? One more than there are filled slots.",
                "The negatives come from the queue alone.",
            ),
        ),
        Mistake(
            "own-key-left-out",
            "leaves the own key out of the denominator",
            _queue_version(loss=_negatives_only),
            (
                "Your loss can be negative.",
                "Count the terms of the denominator.",
                "The own key is a candidate too.",
            ),
        ),
        Mistake(
            "starts-at-zero",
            "puts every batch in from slot 0 on",
            _queue_version(put=lambda queue, count, k: (_put(queue, 0, k)[0], count + len(k))),
            (
                "The loss is right, and the keys land in the wrong slots.",
                "Does the slot depend on count?",
                "Key number t lies in slot t mod K, and the first of this batch is number count.",
            ),
        ),
        Mistake(
            "not-put",
            "returns the queue as it was",
            _queue_version(put=lambda queue, count, k: (queue, count + len(k))),
            (
                "The queue after the step is the one before it.",
                "Where do the keys go?",
                "Write them into a copy of the queue.",
            ),
        ),
        Mistake(
            "temperature-ignored",
            "does not use the temperature",
            _queue_version(loss=lambda q, k, rest, t: _loss(_logits(q, k, rest, 1.0))),
            (
                "Your loss is the same at every temperature.",
                "Where does τ stand in your code?",
                "Every score is divided by it.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials of the logits as they are",
            _queue_version(loss=_naive),
            (
                "At τ = 0.001 a logit can be 1000.",
                "Where is exp called, and how large can its argument be?",
                "Take the largest logit of each row out first.",
            ),
        ),
        Mistake(
            "in-place",
            "writes into the queue that it was given",
            _in_place,
            (
                "After the call the old queue is not what it was.",
                "Look at the array that you write into.",
                "Copy it first. (A library may write in place, and says so.)",
            ),
        ),
    ],
    advice="Take one query that equals its key, and a queue of one slot: first empty, then with an orthogonal row.",
)

# ----------------------------------------------------------------------------------------------- the momentum update


def _state(d=2, buffers=1, lr=0.5, m=0.9):
    return call(draw(d), draw(d), draw(buffers), draw(buffers), draw(d), draw(d), lr, m)


def _step(query, key, query_buffers, key_buffers, gradient, lr, m, answer, note):
    rows = [np.array(x, float) for x in (query, key, query_buffers, key_buffers, gradient)]
    return (
        call(*rows, np.array([3.0] * len(query)), lr, m).gives(tuple(np.array(x, float) for x in answer)).noting(note)
    )


def _frozen(f, q, k, qb, kb, g, kg, lr, m):
    return f(q, k, qb, kb, g, kg, lr, 1.0)[1:], (k, kb)


def _copied(f, q, k, qb, kb, g, kg, lr, m):
    query, *rest = f(q, k, qb, kb, g, kg, lr, 0.0)
    return tuple(rest), (query, qb)


def _on_the_way(f, q, k, qb, kb, g, kg, lr, m):
    """Each key moves the share 1 − m of its way to the new query."""
    query, key, buffers = f(q, k, qb, kb, g, kg, lr, m)
    return (key - k, buffers - kb), ((1 - m) * (query - k), (1 - m) * (qb - kb)), (5.0, 5.0)


def _descends(f, q, k, qb, kb, g, kg, lr, m):
    return (f(q, k, qb, kb, g, kg, lr, m)[0] - q) / lr, -g


def _apart(f, q, k, qb, kb, g, kg, lr, m):
    return f(q, k, qb, kb, g, -7 * kg, lr, m), f(q, k, qb, kb, g, kg, lr, m)


def _m_version(mix=lambda m, key, query: m * key + (1 - m) * query, after=True, buffers="mixed", keys=0.0, sign=-1):
    def function(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
        new = query + sign * lr * gradient
        key = mix(momentum, key, new if after else query) - keys * lr * key_gradient
        kinds = {"mixed": mix(momentum, key_buffers, query_buffers), "kept": key_buffers, "copied": query_buffers}
        return new, key, kinds[buffers]

    return function


def _m_in_place(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
    query -= lr * gradient
    key *= momentum
    key += (1 - momentum) * query
    return query, key, momentum * key_buffers + (1 - momentum) * query_buffers


def _m_query_averaged(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
    new, key, buffers = _m_version()(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum)
    return momentum * query + (1 - momentum) * new, key, buffers


momentum_step = Exercise(
    name="momentum_step",
    notebook="12",
    signature="f(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum) -> (query, key, key_buffers)",
    statement="""One step of the two encoders of MoCo.

    query and key, of shape (p,), are the weights of the two encoders; query_buffers and key_buffers, of shape (b,), are
    their buffers (numbers that are no weights: running means and variances). gradient and key_gradient, of shape (p,),
    are the derivatives of the loss by the two. First the query encoder takes a step of plain gradient descent with the
    rate lr. Then the key encoder follows: each of its weights and buffers becomes momentum times itself plus
    (1 − momentum) times that of the query encoder after its step. Nothing else moves the key encoder. Return the new
    query, the new key, and the new key_buffers. The arguments stay as they were.
    """,
    tests=[
        Test(
            "returns three arrays of the right shape",
            "T0",
            [_state(1), _state(3, 2)],
            law=lambda f, *args: (
                tuple(np.array(x.shape) for x in f(*args)),
                tuple(np.array(args[i].shape) for i in (0, 1, 3)),
            ),
        ),
        Test(
            "knows single steps",
            "T1",
            [
                _step(
                    [1], [0], [4], [0], [0], 0.5, 0.75, ([1], [0.25], [1]), "No gradient: the key moves ¼ of its way."
                ),
                _step([1], [0], [4], [8], [2], 0.5, 0.75, ([0], [0], [7]), "The query moves first, to 0."),
                _step([1, 2], [3, 4], [0], [2], [2, -2], 0.5, 0.5, ([0, 3], [1.5, 3.5], [1]), "The key moves halfway."),
            ],
        ),
        Test("freezes the key encoder at momentum 1", "T2", [_state(), _state(3, 2)], law=_frozen),
        Test("copies the query encoder at momentum 0", "T2", [_state(), _state(3, 2)], law=_copied),
        Test(
            "moves the key encoder 1 − momentum of its way", "T2", [_state(), _state(3, 2, 0.1, 0.99)], law=_on_the_way
        ),
        Test("moves the query encoder down its gradient", "T2", [_state(), _state(3, 2, 0.1, 0.99)], law=_descends),
        Test("does not use the gradient of the keys", "T2", [_state(), _state(3, 2)], law=_apart),
    ],
    mistakes=[
        Mistake(
            "direction-swapped",
            "gives the weight momentum to the query encoder",
            _m_version(mix=lambda m, key, query: (1 - m) * key + m * query),
            (
                "At momentum 1 the key encoder should stand still. Yours is a copy of the query encoder.",
                "Which of the two gets the weight 0.999?",
                "momentum belongs to the old key.",
            ),
        ),
        Mistake(
            "averaged-first",
            "averages before the query encoder has taken its step",
            _m_version(after=False),
            (
                "At momentum 0 the key encoder should be a copy of the new query encoder.",
                "Which comes first, the step or the average?",
                "The average uses the query weights after the step.",
            ),
        ),
        Mistake(
            "buffers-left-out",
            "leaves the buffers of the key encoder as they are",
            _m_version(buffers="kept"),
            (
                "At momentum 0 your buffers stay where they were.",
                "What else belongs to an encoder, beside its weights?",
                "Buffers are averaged like weights.",
            ),
        ),
        Mistake(
            "buffers-copied",
            "copies the buffers of the query encoder",
            _m_version(buffers="copied"),
            (
                "At momentum 1 your buffers move.",
                "How do the buffers follow: at once, or slowly?",
                "Buffers are averaged like weights.",
            ),
        ),
        Mistake(
            "keys-trained",
            "lets the key encoder take a step down its own gradient",
            _m_version(keys=1.0),
            (
                "At momentum 1 the key encoder should stand still. Yours moves.",
                "Are the weights of the key encoder in the list of an optimiser?",
                "Its gradient is not used at all.",
            ),
        ),
        Mistake(
            "ascent",
            "goes uphill",
            _m_version(sign=1),
            (
                "Your query weights move along the gradient.",
                "Which way does the loss fall?",
                "Against the gradient.",
            ),
        ),
        Mistake(
            "query-averaged",
            "averages the query encoder as well",
            _m_query_averaged,
            (
                "The step of your query weights depends on momentum.",
                "Which of the two encoders follows the other?",
                "Only the key encoder is an average.",
            ),
        ),
        Mistake(
            "in-place",
            "writes into the arrays that it was given",
            _m_in_place,
            (
                "After the call the old weights are not what they were.",
                "Look for -= and *=.",
                "Make new arrays. (An optimiser writes in place, and says so.)",
            ),
        ),
    ],
    advice="Take one weight in each: query 1, key 0, gradient 2, rate 0.5, momentum 0.75, and write down both steps.",
)

# ------------------------------------------------------------------------------------------------ keys in shuffled parts

_CENTRED = "lambda x: x - x.mean(0)"
_SCALED = "lambda x: 2 * x / (1 + np.abs(x).sum(0))"
_PLAIN = "lambda x: 3 * x"


def _where_they_were(encode, images, order, parts):
    """Each image by itself: the keys of its part are computed, and its own is taken."""
    encode, size = encode.value(), len(images) // parts
    places = {int(i): p for p, i in enumerate(order)}
    keys = []
    for i in range(len(images)):
        part, inside = divmod(places[i], size)
        keys.append(encode(images[order[part * size : (part + 1) * size]])[inside])
    return np.array(keys)


def _shuffled(encode, order, parts, d=2, note=""):
    return call(Code(encode), draw(len(order), d), np.array(order), parts).gives(_where_they_were).noting(note)


def _s_version(shuffle=lambda order: order, back=np.argsort, cut=None):
    cut = cut or (lambda n, parts: np.split(np.arange(n), parts))

    def function(encode, images, order, parts):
        x = images[shuffle(order)]
        places = cut(len(x), parts)
        keys = np.concatenate([encode(x[place]) for place in places])[np.argsort(np.concatenate(places))]
        return keys[back(order)]

    return function


_SMALL = [1, 0]
_CYCLE = [1, 2, 3, 0]
_SIX = [4, 0, 5, 2, 1, 3]

shuffled_keys = Exercise(
    name="shuffled_keys",
    notebook="12",
    signature="f(encode, images, order, parts) -> keys",
    statement="""Keys that are encoded in shuffled parts, and come back in the order of their images.

    encode takes an array of images and returns one key for each; it may use statistics of the images that it is given
    together, as BatchNorm does. images has shape (n, d), and order is a permutation of 0 ... n − 1. Put the images in
    the order images[order[0]], images[order[1]], ..., cut that into `parts` equal pieces, one after the other (n is a
    multiple of parts), encode each piece by itself, and return the keys so that row i is the key of images[i].
    """,
    tests=[
        Test("returns a key for each image", "T0", [_shuffled(_PLAIN, _SMALL, 1), _shuffled(_PLAIN, _CYCLE, 2)]),
        Test(
            "gives each image its own key",
            "T1",
            [
                call(Code(_PLAIN), np.array([[1.0], [2], [3]]), np.array([1, 2, 0]), 1).gives(
                    np.array([[3.0], [6], [9]])
                ),
                call(Code(_CENTRED), np.array([[1.0], [2], [5], [8]]), np.array([0, 2, 1, 3]), 2)
                .gives(np.array([[-2.0], [-3], [2], [3]]))
                .noting("The parts are images 0 and 2, and 1 and 3."),
            ],
        ),
        Test(
            "encodes each part by itself",
            "T2",
            [_shuffled(_CENTRED, _CYCLE, 2), _shuffled(_SCALED, _SIX, 3), _shuffled(_CENTRED, _SIX, 2, 3)],
        ),
        Test(
            "takes one image at a time, and all at once",
            "T2",
            [_shuffled(_SCALED, _SIX, 6), _shuffled(_CENTRED, _SIX, 1)],
        ),
    ],
    mistakes=[
        Mistake(
            "not-restored",
            "returns the keys in the shuffled order",
            _s_version(back=lambda order: np.arange(len(order))),
            (
                "Your keys are right, and belong to other images.",
                "In which order do the keys come out of encode?",
                "Key p belongs to image order[p]. Write it there.",
            ),
        ),
        Mistake(
            "shuffled-again",
            "shuffles once more where it should undo the shuffle",
            _s_version(back=lambda order: order),
            (
                "For an order that is its own inverse you are right, and else not.",
                "Does keys[order] undo images[order]?",
                "The inverse permutation undoes it: where in order does i stand?",
            ),
        ),
        Mistake(
            "not-shuffled",
            "cuts the images as they stand",
            _s_version(shuffle=lambda order: np.arange(len(order)), back=lambda order: np.arange(len(order))),
            (
                "Each image is encoded together with the wrong others.",
                "Is order used before the cut?",
                "First the shuffle, then the pieces.",
            ),
        ),
        Mistake(
            "inverse-first",
            "shuffles by the inverse of the order",
            _s_version(shuffle=np.argsort, back=lambda order: order),
            (
                "Each image is encoded together with the wrong others.",
                "Which image stands at place 0 after the shuffle? It should be order[0].",
                "The order shuffles, and its inverse brings back.",
            ),
        ),
        Mistake(
            "whole-batch",
            "encodes all images together",
            _s_version(cut=lambda n, parts: [np.arange(n)]),
            (
                "With one part you are right.",
                "How many calls of encode do you make?",
                "One call for each part.",
            ),
        ),
        Mistake(
            "every-other",
            "deals the images out to the parts one by one",
            _s_version(cut=lambda n, parts: [np.arange(n)[p::parts] for p in range(parts)]),
            (
                "Each image is encoded together with the wrong others.",
                "Do your parts consist of neighbours in the shuffled order?",
                "The first piece is the first n / parts images of it.",
            ),
        ),
    ],
    advice="Take four images, two parts, and encode = x − mean: write down which images are together.",
)
