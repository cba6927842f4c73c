"""Notebook 12: a queue and a test for queues, a log-sum-exp in blocks, gradients in parts, and gradients across machines.

`QUEUES` lists right and wrong queues. The learner's own test of a queue is graded by giving it all of them.
"""

import numpy as np

from ..answers import Failed, boolean
from ..exercise import Code, Exercise, Mistake, Test, call, draw
from .written_tests import Version, written_tests

# ----------------------------------------------------------------------------------------------------------- the queue


class Model:
    """What a queue must do: row number t lies in slot t mod K. One row at a time, so that nothing can be said wrongly."""

    def __init__(self, queue, count):
        self.rows, self.count = [np.array(row) for row in queue], count

    def put(self, keys):
        for key in keys:
            self.rows[self.count % len(self.rows)] = np.array(key)
            self.count += 1

    def state(self):
        return np.array(self.rows), np.array(self.count)


def _after(queue, count, keys):
    model = Model(queue, count)
    model.put(keys)
    return model.state()


def _rows(*tags):
    """Rows that can be told apart: tag t is the row (t, −t)."""
    return np.array([[t, -t] for t in tags], dtype=float)


def _ends_as_the_model(f, queue, count, keys):
    """The keys in batches of 2, 1, 3, 2, 1, 3, ...; the state goes from each put to the next."""
    model, state, start, puts = Model(queue, count), (queue, count), 0, 0
    while start < len(keys):
        size = (2, 1, 3)[puts % 3]
        batch, start, puts = keys[start : start + size], start + size, puts + 1
        state = f(state[0], int(state[1]), batch.copy())
        model.put(batch)
        for name, yours, right in zip(("queue", "count"), state, model.state()):
            if np.shape(yours) != right.shape or not np.array_equal(yours, right):
                raise Failed(f"after put {puts}: {name} {np.asarray(yours).tolist()}", f"{right.tolist()}")


def _ring(slot="(count + i) % len(q)", key="k", start="queue.copy()", count="count + len(keys)", keys="keys"):
    """The source of a queue, right as it stands; each argument replaces one piece."""
    write = f"[q.__setitem__({slot}, {key}) for i, k in enumerate({keys})]"
    return f"lambda queue, count, keys: ((lambda q: ({write}, q)[1])({start}), {count})"


ORDER, WRAP, COUNT, MORE, CARE = "order", "wrap", "count", "more than K", "care"
QUEUES = [
    Version(_ring()),
    Version(
        "lambda queue, count, keys: (np.roll(np.concatenate([np.roll(queue, -(count % len(queue)), 0), keys])"
        "[-len(queue):], (count + len(keys)) % len(queue), 0), count + len(keys))"
    ),
    Version(
        "lambda queue, count, keys: (np.array([(lambda back: keys[-1 - back] if back < len(keys) else queue[j])"
        "((count + len(keys) - 1 - j) % len(queue)) for j in range(len(queue))]), count + len(keys))"
    ),
    Version(
        "lambda queue, count, keys: (lambda t, all: (np.array([all[t[t % len(queue) == j].max()] for j in "
        "range(len(queue))]), count + len(keys)))(np.arange(len(queue) + count % len(queue) + len(keys)) , "
        "dict(enumerate([*queue, *queue[:count % len(queue)], *keys])))"
    ),
    Version(_ring(slot="i % len(q)"), "starts at slot 0 in every put", ORDER),
    Version(_ring(slot="(count + i + 1) % len(q)"), "writes one slot too far", ORDER),
    Version(_ring(keys="keys[::-1]"), "turns the order of a batch round", ORDER),
    Version(_ring(slot="(count - 1 - i) % len(q)"), "overwrites the newest first", ORDER),
    Version(_ring(key="keys[-1]"), "writes the last key of a batch into all its slots", ORDER),
    Version(
        _ring(keys="keys[: len(queue) - count % len(queue)]"), "loses the keys of a batch that reach past the end", WRAP
    ),
    Version(
        _ring(slot="((0 if count % len(q) + len(keys) > len(q) else count) + i) % len(q)"),
        "begins at slot 0 where a batch does not fit before the end",
        WRAP,
    ),
    Version(_ring(keys="keys[: max(len(queue) - count, 0)]"), "takes nothing more once it is full", WRAP),
    Version(
        _ring(slot="(count // len(keys) * len(keys) + i) % len(q)"),
        "works out the slot from whole batches of the present size",
        WRAP,
    ),
    Version(_ring(count="count + 1"), "counts puts instead of keys", COUNT),
    Version(_ring(count="(count + len(keys)) % len(queue)"), "returns the slot instead of the number of keys", COUNT),
    Version(_ring(count="count + min(len(keys), len(queue))"), "does not count what is pushed out at once", COUNT),
    Version(_ring(keys="keys[: len(queue)]"), "keeps the first K of a batch of more than K keys", MORE),
    Version(
        _ring(keys="keys[-len(queue) :]"), "has the last K of more than K keys, from the slot of the first one", MORE
    ),
    Version(_ring(start="queue"), "writes into the array that it was given", CARE),
    Version(_ring(key="(k + q[(count + i) % len(q)]) / 2"), "mixes the new key with the old one", CARE),
    Version(_ring(key="np.where(np.arange(len(k)) == 0, k, 0)"), "stores the first feature only", CARE),
]


def _fq_shifted(queue, count, keys):
    return np.concatenate([queue, keys])[-len(queue) :], count + len(keys)


def _fq_newest_first(queue, count, keys):
    return np.concatenate([keys[::-1], queue])[: len(queue)], count + len(keys)


def _by_source(source):
    return lambda queue, count, keys: Code(source).value()(queue, count, keys)


def _said(words):
    """The wrong queue of QUEUES that `words` tell."""
    return _by_source(next(q.source for q in QUEUES if q.says.startswith(words)))


fifo_queue = Exercise(
    name="fifo_queue",
    notebook="12",
    signature="f(queue, count, keys) -> (queue, count)",
    statement="""Put a batch of keys into a queue that is a ring: first in, first out, and nothing is moved.

    queue has shape (K, d) and count is a whole number: how many keys were put in so far. Key number t, counted from 0
    over all puts, lies in slot t mod K. Put in keys, of shape (B, d), in their order: the first of them is number
    count. Return a new array with the queue after it, and the new count. B may be any number from 1, also larger than
    K (then only the last K keys remain), and K need be no multiple of B. queue and keys stay as they were.
    """,
    tests=[
        Test(
            "returns the queue and a count",
            "T0",
            [call(draw(k, 2), 0, draw(b, 2)).gives(_after) for k, b in ((3, 1), (3, 2))],
        ),
        Test(
            "writes where the last put ended",
            "T1",
            [
                call(np.zeros((4, 1)), 0, np.array([[1.0], [2.0]])).gives((np.array([[1.0], [2], [0], [0]]), 2)),
                call(np.array([[1.0], [2], [0], [0]]), 2, np.array([[3.0]])).gives(
                    (np.array([[1.0], [2], [3], [0]]), 3)
                ),
            ],
        ),
        Test(
            "goes on at slot 0 after the last slot",
            "T1",
            [
                call(np.array([[1.0], [2], [3]]), 3, np.array([[4.0]])).gives((np.array([[4.0], [2], [3]]), 4)),
                call(np.array([[1.0], [2], [0]]), 2, np.array([[3.0], [4]])).gives((np.array([[4.0], [2], [3]]), 4)),
                *[call(draw(k, 3), c, draw(b, 3)).gives(_after) for k, c, b in ((5, 3, 4), (4, 7, 3), (5, 23, 5))],
            ],
        ),
        Test(
            "agrees with the model over many puts",
            "T2",
            [
                call(np.zeros((k, 2)), 0, _rows(*range(1, n + 1))).noting("In batches of 2, 1, 3, 2, 1, 3, ... keys.")
                for k, n in ((4, 5), (5, 9), (3, 12), (7, 24))
            ],
            law=_ends_as_the_model,
        ),
        Test(
            "keeps the last K of more than K keys",
            "T4",
            [
                call(np.zeros((2, 1)), 0, np.array([[1.0], [2], [3]])).gives((np.array([[3.0], [2]]), 3)),
                *[call(draw(k, 2), c, draw(b, 2)).gives(_after) for k, c, b in ((3, 2, 8), (1, 4, 3), (4, 1, 9))],
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "starts-at-zero",
            "starts at slot 0 in every put",
            _said("starts at slot 0"),
            (
                "Your second batch overwrites the first.",
                "Which slot does the first key of a batch get? Does it depend on count?",
                "Key number t lies in slot t mod K, and the first of the batch is number count.",
            ),
        ),
        Mistake(
            "dropped-at-the-end",
            "loses the keys that reach past the last slot",
            _said("loses the keys"),
            (
                "Where a batch reaches past the end some of its keys are missing.",
                "A slice stops at the end of the array, without an error.",
                "Work out the slot of each key, modulo K.",
            ),
        ),
        Mistake(
            "jumps-to-the-start",
            "begins at slot 0 where a batch does not fit before the end",
            _said("begins at slot 0"),
            (
                "Where a batch reaches past the end, an old key survives that should be gone, and a newer one is lost.",
                "What happens when K is no multiple of B?",
                "The batch is split: part of it before the end, the rest from slot 0.",
            ),
        ),
        Mistake(
            "one-too-far",
            "writes one slot too far",
            _said("writes one slot"),
            (
                "Every key is one slot away from its place.",
                "The first key of all is number 0.",
                "Do not add 1: count is already the number of the next key.",
            ),
        ),
        Mistake(
            "batch-reversed",
            "turns the order of a batch round",
            _said("turns the order"),
            (
                "The keys of a batch are there, in the wrong order.",
                "Which of them is number count: the first or the last?",
                "The first key of the batch is the oldest of it.",
            ),
        ),
        Mistake(
            "counts-puts",
            "counts puts instead of keys",
            _said("counts puts"),
            (
                "The queue is right, and your count is too small.",
                "By how much does count grow in one put?",
                "It counts keys.",
            ),
        ),
        Mistake(
            "count-is-the-slot",
            "returns the next slot instead of the number of keys",
            _said("returns the slot"),
            (
                "The queue is right, and your count never reaches K.",
                "Look for a modulo in the count.",
                "count is how many keys there were; the slot is worked out from it.",
            ),
        ),
        Mistake(
            "count-stops-at-k",
            "counts the keys that are in the queue, K at most",
            _by_source(_ring(count="min(count + len(keys), len(queue))")),
            (
                "The queue is right, and your count does not grow beyond K.",
                "The next slot is count mod K. Where does the next put begin, if count stays at K?",
                "count is how many keys were put in so far, not how many are there now.",
            ),
        ),
        Mistake(
            "takes-nothing-when-full",
            "takes nothing more once it is full",
            _said("takes nothing"),
            (
                "Once K keys are in, nothing changes any more.",
                "Which key has to leave when a new one comes?",
                "The oldest one: its slot is the next one to be written.",
            ),
        ),
        Mistake(
            "first-of-many",
            "keeps the first K of a batch of more than K keys",
            _said("keeps the first K"),
            (
                "Of a batch of more than K keys you keep the oldest.",
                "Each key pushes out the oldest one. Which remain after the whole batch?",
                "The last K of them.",
            ),
        ),
        Mistake(
            "many-from-the-wrong-slot",
            "has the right K of more than K keys, beginning at the slot of the first one",
            _said("has the last K"),
            (
                "Of a batch of more than K keys the right ones remain, in the wrong slots.",
                "The first key that remains is not number count.",
                "It is number count + B − K.",
            ),
        ),
        Mistake(
            "all-moved",
            "moves all keys along, instead of overwriting the oldest in its place",
            _fq_shifted,
            (
                "The right keys are there, in the wrong slots: you move them in each put.",
                "Which slot belongs to key number t?",
                "Slot t mod K, for as long as the key is there. Only the slots of new keys are written.",
            ),
            variants=(_fq_newest_first,),
        ),
        Mistake(
            "in-place",
            "writes into the queue that it was given",
            _said("writes into"),
            (
                "After the call the old queue is not what it was.",
                "Look at the array that you write into.",
                "Copy it first. (A library may write in place, and says so.)",
            ),
        ),
    ],
    advice="Give the keys numbers, put in batches of 2 into 3 slots, and write down by hand which number lies in which slot.",
)

# ---------------------------------------------------------------------------------------------- a test of such a queue


def _tested_on(*runs, count=True, arguments=True, same=np.array_equal, features=2, tag=None, own_count=False):
    """A test of queues that tries runs (K, sizes of the batches), and looks at what the options say."""

    def test(put):
        for k, sizes in runs:
            queue, counted = np.zeros((k, features)), 0
            model, t = Model(queue, 0), 0
            for size in sizes:
                numbers = [tag or number for number in range(t + 1, t + size + 1)]
                keys = np.array([[number, *[-number] * (features - 1)] for number in numbers], dtype=float)
                before, t = (queue.copy(), keys.copy()), t + size
                after, counted = put(queue, counted, keys)
                model.put(before[1])
                right = model.state()
                if arguments and not (np.array_equal(queue, before[0]) and np.array_equal(keys, before[1])):
                    return False
                if np.shape(after) != (k, features) or not same(np.asarray(after), right[0]):
                    return False
                if count and counted != right[1]:
                    return False
                queue, counted = np.array(after), int(right[1]) if own_count else int(counted)
        return True

    return test


_THOROUGH = ((3, (1, 2, 1, 3, 2)), (5, (2, 2, 2, 2, 1, 5)), (2, (1, 5, 1, 3)), (4, (9, 1, 6)))
_UP_TO_K = ((3, (1, 2, 1, 3, 2)), (5, (2, 2, 2, 2, 1, 5)), (4, (3, 3, 4, 1)))
_FULL_BATCHES = ((6, (2,) * 7), (4, (4, 4, 4)))


def _sorted_rows(a, b):
    return np.array_equal(np.sort(a, axis=0), np.sort(b, axis=0))


def _oldest_first(put):
    """Takes it for granted that the oldest key comes first."""
    queue, count = put(np.zeros((3, 2)), 0, _rows(1, 2))
    queue, count = put(queue, count, _rows(3, 4))
    return np.array_equal(queue, _rows(2, 3, 4))


queue_test = Exercise(
    name="queue_test",
    notebook="12",
    signature="f(put) -> bool",
    statement="""Write a test of a queue; it is graded by giving it right and wrong queues.

    put(queue, count, keys) -> (queue, count) claims to do what the exercise `fifo_queue` asks for: key number t lies in
    slot t mod K, batches have any size from 1 (also more than K), count is how many keys were put in, a new array is
    returned, and the arguments stay as they were. Return True if the claim is right and False if it is wrong. Choose
    the queues and keys that you try it on. Your test must accept 4 right queues and reject 17 wrong ones; you do not
    see them until it fails on them.
    """,
    answer=boolean,
    mixes=True,
    tests=written_tests(
        QUEUES,
        "queue",
        "queues",
        ("rejects a wrong order", "T3", ORDER),
        ("rejects what goes wrong at the end of the ring", "T3", WRAP),
        ("rejects a wrong count", "T3", COUNT),
        ("rejects errors with more than K keys", "T4", MORE),
        ("rejects changed arguments and changed keys", "T4", CARE),
    ),
    mistakes=[
        Mistake(
            "one-put",
            "puts in one batch only",
            _tested_on((5, (3,))),
            (
                "You accept a queue that starts at slot 0 in every put.",
                "How many puts does your test make?",
                "Make several, and hand on what the last one returned.",
            ),
            variants=(_tested_on((4, (2,)), (3, (2,))),),
        ),
        Mistake(
            "never-full",
            "stops before the queue is full",
            _tested_on((9, (2, 3, 2)), (5, (1, 2, 2))),
            (
                "You accept a queue that takes nothing once it is full.",
                "How many keys do you put in, and how many slots are there?",
                "The interesting part begins when the oldest key must leave: go round the ring more than once.",
            ),
        ),
        Mistake(
            "sizes-that-fit",
            "uses batches that fit into K without a rest",
            _tested_on(*_FULL_BATCHES),
            (
                "You accept a queue that begins at slot 0 where a batch does not fit before the end.",
                "Is your K a multiple of your B?",
                "Take K = 5 and B = 2: then a batch is split at the end of the ring.",
            ),
            variants=(_tested_on((8, (2,) * 9)), _tested_on((4, (2,) * 5), (6, (3,) * 5))),
        ),
        Mistake(
            "one-size",
            "uses batches of one size",
            _tested_on((5, (2,) * 7), (7, (3,) * 8)),
            (
                "You accept a queue that works out the slot from whole batches.",
                "The last batch of an epoch may be smaller. Do your sizes change?",
                "Use several sizes in one run, and one larger than K.",
            ),
        ),
        Mistake(
            "one-key-at-a-time",
            "puts in one key at a time",
            _tested_on((3, (1,) * 8), (5, (1,) * 12)),
            (
                "You accept a queue that turns each batch round.",
                "How many keys do you put in at once?",
                "Use batches of several keys, and of different sizes.",
            ),
        ),
        Mistake(
            "never-more-than-K",
            "never puts in more than K keys at once",
            _tested_on(*_UP_TO_K),
            (
                "You accept a queue that keeps the first K of more than K keys.",
                "The statement allows any B from 1. What is your largest?",
                "Add a batch that is larger than the queue.",
            ),
        ),
        Mistake(
            "order-not-compared",
            "compares which keys are there, and not where",
            _tested_on(*_THOROUGH, same=_sorted_rows),
            (
                "You accept a queue that has the right keys in the wrong slots.",
                "Do you sort, or look whether a key is somewhere in the queue?",
                "Compare slot by slot.",
            ),
        ),
        Mistake(
            "count-not-compared",
            "does not look at the count",
            _tested_on(*_THOROUGH, count=False, own_count=True),
            (
                "You accept a queue that returns a wrong count.",
                "put returns two things.",
                "Compare the count with the number of keys that you put in.",
            ),
            variants=(_tested_on(*_THOROUGH, count=False),),
        ),
        Mistake(
            "arguments-not-watched",
            "does not look at what happened to the arguments",
            _tested_on(*_THOROUGH, arguments=False),
            (
                "You accept a queue that writes into the array that it was given.",
                "Who else may hold that array?",
                "Keep a copy of the arguments, and compare afterwards.",
            ),
        ),
        Mistake(
            "one-feature",
            "uses keys of one feature",
            _tested_on(*_THOROUGH, features=1),
            (
                "You accept a queue that stores the first feature only.",
                "Which shape have your keys?",
                "Use two features or more, and compare them all.",
            ),
            variants=(_tested_on(*_THOROUGH, same=lambda a, b: np.array_equal(a[:, 0], b[:, 0])),),
        ),
        Mistake(
            "equal-keys",
            "uses keys that are all equal",
            _tested_on(*_THOROUGH, tag=1.0),
            (
                "You accept queues that write into the wrong slots.",
                "Can your keys be told apart?",
                "Number the keys.",
            ),
        ),
        Mistake(
            "oldest-first",
            "expects the oldest key in front",
            _oldest_first,
            (
                "You reject right queues.",
                "Where does the fourth key lie in a queue of three slots?",
                "In slot 3 mod 3 = 0: nothing is moved in a ring.",
            ),
            variants=(lambda put: False,),
        ),
        Mistake(
            "always-true",
            "accepts everything",
            lambda put: True,
            (
                "You reject nothing.",
                "Which comparison decides your answer?",
                "Write a wrong queue yourself, and make your test see it.",
            ),
        ),
    ],
    advice="Write the simplest right queue as a loop over single keys, and compare with it after every put.",
)

# ------------------------------------------------------------------------------------------- log-sum-exp, in blocks


def _refused(words):
    return f"(_ for _ in ()).throw(ValueError({words!r}))"


def _blocks(source, block, note=""):
    """A case: scores(a, b) gives columns a to b, at most `block` of them at a time, and each only once."""
    s = np.asarray(Code(source).value(), float)
    large, twice = f"scores: at most {block} columns at a time", "scores: this column was given already"
    text = (
        f"(lambda S, seen: lambda a, b: {_refused(large)} if b - a > {block} else {_refused(twice)} if "
        f"seen & {{*range(a, b)}} else (seen.update(range(a, b)), S[:, a:b].copy())[1])({source}, set())"
    )
    top = s.max(axis=1)
    answer = np.log(np.exp(s - top[:, None]).sum(axis=1)) + top
    return call(Code(text), s.shape[1], block).gives(answer, scale=max(1.0, np.abs(answer).max())).noting(note)


def _normal(rows, columns, scale=1.0, shift=0.0, seed=0):
    return f"np.random.default_rng({seed}).normal({shift}, {scale}, ({rows}, {columns}))"


def _online(step, start=(-np.inf, 0.0), stop=None, end=None):
    """A loop over blocks: step(m, s, block) gives the next largest score and sum; end(m, s) the result."""

    def function(scores, n, block):
        m = s = None
        for a in range(0, n if stop is None else stop(n, block), block):
            part = scores(a, min(a + block, n))
            if m is None:
                m, s = np.full(len(part), start[0]), np.full(len(part), start[1])
            m, s = step(m, s, part)
        return (lambda m, s: m + np.log(s))(m, s) if end is None else end(m, s)

    return function


def _right_step(m, s, part):
    new = np.maximum(m, part.max(axis=1))
    safe = np.where(np.isfinite(new), new, 0.0)
    return new, s * np.exp(m - safe) + np.exp(part - safe[:, None]).sum(axis=1)


def _not_rescaled(m, s, part):
    new = np.maximum(m, part.max(axis=1))
    return new, s + np.exp(part - new[:, None]).sum(axis=1)


def _rescaled_the_other_way(m, s, part):
    new = np.maximum(m, part.max(axis=1))
    return new, s * np.exp(np.where(np.isfinite(m), new - m, 0.0)) + np.exp(part - new[:, None]).sum(axis=1)


def _largest_of_this_block(m, s, part):
    new = part.max(axis=1)
    return new, s * np.exp(m - new) + np.exp(part - new[:, None]).sum(axis=1)


def _first_blocks_maximum(m, s, part):
    new = np.where(np.isfinite(m), m, part.max(axis=1))
    return new, s + np.exp(part - new[:, None]).sum(axis=1)


def _nan_where_masked(m, s, part):
    new = np.maximum(m, part.max(axis=1))
    return new, s * np.exp(m - new) + np.exp(part - new[:, None]).sum(axis=1)


def _one_maximum_for_all(m, s, part):
    new = np.maximum(m, part.max())
    return new, s * np.exp(m - new) + np.exp(part - new[:, None]).sum(axis=1)


def _no_maximum(m, s, part):
    return m * 0, s + np.exp(part).sum(axis=1)


def _of_blocks(join):
    """Each block's log-sum-exp by itself, and then `join` over the blocks."""

    def function(scores, n, block):
        found = []
        for a in range(0, n, block):
            part = scores(a, min(a + block, n))
            m = part.max(axis=1)
            safe = np.where(np.isfinite(m), m, 0.0)
            with np.errstate(divide="ignore"):
                found.append(np.log(np.exp(part - safe[:, None]).sum(axis=1)) + safe)
        return join(np.array(found))

    return function


def _two_passes(scores, n, block):
    starts = range(0, n, block)
    m = np.max([scores(a, min(a + block, n)).max(axis=1) for a in starts], axis=0)
    s = sum(np.exp(scores(a, min(a + block, n)) - m[:, None]).sum(axis=1) for a in starts)
    return m + np.log(s)


def _all_at_once(scores, n, block):
    s = scores(0, n)
    m = s.max(axis=1)
    return m + np.log(np.exp(s - m[:, None]).sum(axis=1))


blocked_lse = Exercise(
    name="blocked_lse",
    notebook="12",
    signature="f(scores, n, block) -> lse",
    statement="""The log-sum-exp of each row of a score matrix that is never there as a whole.

    The matrix has n columns. scores(a, b) returns its columns a to b − 1, as an array of shape (N, b − a); it gives at
    most `block` columns at a time, and each column once. Return log Σ_k exp(score[i, k]) for each row i, as an array of
    shape (N,). n need be no multiple of block. Scores may be as large as ±1000, so the largest score so far has to be
    taken out; it may grow from block to block. A score may be −inf (this candidate does not count), and so may all
    scores of a row in one block; some score of each row is finite. Do not keep the blocks: N numbers for the largest
    score and N for the sum are enough.
    """,
    tests=[
        Test("returns a number for each row", "T0", [_blocks("np.zeros((2, 2))", 2), _blocks("np.zeros((3, 4))", 2)]),
        Test(
            "knows equal scores",
            "T1",
            [
                _blocks("np.zeros((1, 4))", 2, "Four equal scores of 0: log 4."),
                _blocks("np.full((2, 3), 5.0)", 1, "Three equal scores of 5: 5 + log 3."),
                _blocks("np.zeros((1, 5))", 2, "The last block is smaller: log 5."),
            ],
        ),
        Test(
            "follows a largest score that grows or shrinks",
            "T1",
            [
                _blocks("np.log([[1.0, 2.0, 4.0]])", 1, "log(1 + 2 + 4)"),
                _blocks("np.log([[4.0, 2.0, 1.0]])", 1, "log(4 + 2 + 1)"),
                _blocks("np.log([[1.0, 5.0], [5.0, 1.0]])", 1, "log 6 in both rows"),
            ],
        ),
        Test(
            "equals the whole sum",
            "T2",
            [
                _blocks(_normal(2, 3), 2),
                _blocks(_normal(3, 7, 3.0, seed=1), 3),
                _blocks(_normal(5, 11, 10.0, seed=2), 4),
                _blocks(_normal(4, 12, 1.0, -3.0, seed=3), 3),
                _blocks(_normal(2, 5, 1.0, seed=4), 5, "One block is enough."),
            ],
        ),
        Test(
            "does not overflow or vanish",
            "T4",
            [
                _blocks("np.array([[0.0, 1000.0]])", 1),
                _blocks("np.array([[1000.0, 0.0, 999.0]])", 1),
                _blocks("np.array([[-1000.0, -1001.0], [-1000.0, -1000.0]])", 1),
                _blocks("np.array([[-1000.0, -1000.0, -999.0], [1000.0, 0.0, 0.0]])", 2),
            ],
        ),
        Test(
            "takes rows that are masked in a whole block",
            "T4",
            [
                _blocks("np.array([[-np.inf, 0.0], [0.0, -np.inf]])", 1),
                _blocks("np.array([[-np.inf, -np.inf, 1.0, 1.0], [0.0, 1.0, 2.0, -np.inf]])", 2),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "not-rescaled",
            "does not rescale the old sum when a larger score comes",
            _online(_not_rescaled),
            (
                "It is right where the largest score comes first, and else too large.",
                "The old sum was taken relative to the old largest score. What is it relative to the new one?",
                "Multiply it by exp(old − new).",
            ),
        ),
        Mistake(
            "rescaled-the-wrong-way",
            "multiplies the old sum by exp(new − old)",
            _online(_rescaled_the_other_way),
            (
                "It is right where the largest score comes first, and else much too large.",
                "A term exp(x − old) has to become exp(x − new). By which factor?",
                "The factor is smaller than 1 where the new score is larger.",
            ),
        ),
        Mistake(
            "largest-of-this-block",
            "forgets the largest score of earlier blocks",
            _online(_largest_of_this_block),
            (
                "It fails where a later block has only smaller scores, by far.",
                "From which scores do you take the new largest one?",
                "It is the larger of the old one and that of the block.",
            ),
        ),
        Mistake(
            "first-block's-largest",
            "takes the largest score of the first block for all",
            _online(_first_blocks_maximum),
            (
                "Scores of 1000 in a later block overflow, and a first block of −inf gives nothing to go by.",
                "Is the score that you subtract the largest so far?",
                "It may grow from block to block, and the sum then has to be rescaled.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exponentials without subtracting the largest score",
            _online(_no_maximum, start=(0.0, 0.0)),
            (
                "Scores of 1000 overflow, and scores of −1000 vanish.",
                "Where is exp called, and how large can its argument be?",
                "Subtract the largest score of the row so far, and add it again at the end.",
            ),
        ),
        Mistake(
            "starts-at-zero",
            "starts with 0 as the largest score",
            _online(_right_step, start=(0.0, 0.0)),
            (
                "It fails where all scores of a row are far below 0.",
                "Which value does the largest score have before the first block?",
                "Before anything was seen the largest score is −inf.",
            ),
        ),
        Mistake(
            "nan-where-masked",
            "computes −inf − (−inf) for a row that is masked in a whole block",
            _online(_nan_where_masked),
            (
                "You return nan where all scores of a row's first block are −inf.",
                "What is −inf minus −inf?",
                "As long as the largest score is −inf the sum is 0: subtract 0 there instead.",
            ),
        ),
        Mistake(
            "one-largest-for-all-rows",
            "subtracts one largest score from all rows",
            _online(_one_maximum_for_all),
            (
                "A row that lies far below the others vanishes: log 0.",
                "Which shape has your largest score?",
                "Each row has its own.",
            ),
        ),
        Mistake(
            "last-block-lost",
            "leaves out the columns after the last whole block",
            _online(_right_step, stop=lambda n, block: n // block * block),
            (
                "It is right where n is a multiple of block.",
                "How many blocks does your loop visit?",
                "The last block may be smaller.",
            ),
        ),
        Mistake(
            "log-sum-exps-added",
            "adds up the log-sum-exps of the blocks",
            _of_blocks(lambda found: found.sum(axis=0)),
            (
                "With one block you are right; with two equal ones you return twice the value and not log 2 more.",
                "The sum stands inside the logarithm.",
                "Add exponentials: log(e^a + e^b), not a + b.",
            ),
        ),
        Mistake(
            "largest-block-only",
            "takes the largest log-sum-exp of the blocks",
            _of_blocks(lambda found: found.max(axis=0)),
            (
                "Your value is too small, at most by the logarithm of the number of blocks.",
                "What became of the other blocks?",
                "Their sums have to be added, rescaled to the same largest score.",
            ),
        ),
        Mistake(
            "mean-of-blocks",
            "averages over the blocks instead of adding",
            _of_blocks(lambda found: np.log(np.mean(np.exp(found - found.max(0)), axis=0)) + found.max(0)),
            (
                "Your value is too small by the logarithm of the number of blocks.",
                "Is it a sum or a mean?",
                "Add the sums of the blocks.",
            ),
        ),
        Mistake(
            "largest-not-added",
            "does not add the largest score at the end",
            _online(_right_step, end=lambda m, s: np.log(s)),
            (
                "Your value is between 0 and log n, whatever the scores are.",
                "You took something out of all exponentials.",
                "Add the largest score again.",
            ),
        ),
        Mistake(
            "two-passes",
            "asks for every block twice",
            _two_passes,
            (
                "The scores are given once only: to compute them is what costs.",
                "Do you look for the largest score first, and then sum?",
                "Do both at once: where the largest score grows, rescale the sum.",
            ),
        ),
        Mistake(
            "all-at-once",
            "asks for all columns at once",
            _all_at_once,
            (
                "More columns were asked for than fit into memory.",
                "What do you pass to scores?",
                "Go through the columns in steps of `block`.",
            ),
        ),
    ],
    advice="Take the row (0, 1, 2) with blocks of one column, and write down the largest score and the sum after each.",
)

# -------------------------------------------------------------------------------------------- gradients in two passes


def _weights(inputs, outputs):
    return f"np.random.default_rng({inputs}).normal(0, 0.7, ({inputs}, {outputs}))"


# Losses in which every row depends on all others: given are their gradients in z.
_REPEL = "lambda z: z.sum(0) - z"  # ½ |Σ z|² − ½ Σ |z|²
_LOG = "lambda z: 2 * z / (1 + (z * z).sum())"  # log(1 + Σ |z|²)
_SPREAD = "lambda z: (z - z.mean(0)) * ((z - z.mean(0)) ** 2).sum()"  # ¼ (Σ |z − z̄|²)²


def _in_parts(n, chunk, inputs=2, outputs=2, loss=_REPEL, note=""):
    """A case with the encoder tanh(x W), which takes at most `chunk` rows at a time."""
    w = _weights(inputs, outputs)
    large = _refused(f"at most {chunk} rows at a time")
    encode = f"(lambda W: lambda x: np.tanh(x @ W) if len(x) <= {chunk} else {large})({w})"
    pull_back = f"(lambda W: lambda x, g: x.T @ (g * (1 - np.tanh(x @ W) ** 2)) if len(x) <= {chunk} else {large})({w})"

    def whole(encode, pull_back, loss_gradient, x, chunk):
        matrix = Code(w).value()
        z = np.tanh(x @ matrix)
        return x.T @ (loss_gradient.value()(z) * (1 - z * z))

    return call(Code(encode), Code(pull_back), Code(loss), draw(n, inputs, scale=1.0), chunk).gives(whole).noting(note)


# z = 3x, and ½ (Σ z)²: each row's gradient in z is Σ z, so the gradient of the weight is Σ x · Σ z.
_ONE_WEIGHT = [
    call(
        Code("lambda x: 3 * x"), Code("lambda x, g: x.T @ g"), Code("lambda z: 0 * z + z.sum(0)"), np.array(rows), chunk
    )
    .gives(np.array([[answer]]))
    .noting(note)
    for rows, chunk, answer, note in [
        ([[1.0], [2.0]], 2, 27.0, "z = 3 and 6, so ∂L/∂z = 9 in both rows: 1 · 9 + 2 · 9."),
        ([[1.0], [2.0]], 1, 27.0, "The same batch in two parts: the sum over z is that of both."),
        ([[1.0], [2.0], [-1.0]], 2, 12.0, "z = 3, 6, −3, so ∂L/∂z = 6: (1 + 2 − 1) · 6."),
    ]
]


def _chunks(x, chunk):
    return [x[a : a + chunk] for a in range(0, len(x), chunk)]


def _embeddings(encode, x, chunk):
    return np.concatenate([encode(part) for part in _chunks(x, chunk)])


def _cg_naive(encode, pull_back, loss_gradient, x, chunk):
    return sum(pull_back(part, loss_gradient(encode(part))) for part in _chunks(x, chunk))


def _cg_naive_mean(encode, pull_back, loss_gradient, x, chunk):
    return _cg_naive(encode, pull_back, loss_gradient, x, chunk) / len(_chunks(x, chunk))


def _cg_last(encode, pull_back, loss_gradient, x, chunk):
    g, start = loss_gradient(_embeddings(encode, x, chunk)), len(x) - len(_chunks(x, chunk)[-1])
    return pull_back(x[start:], g[start:])


def _cg_mean(encode, pull_back, loss_gradient, x, chunk):
    g = loss_gradient(_embeddings(encode, x, chunk))
    return np.mean([pull_back(p, q) for p, q in zip(_chunks(x, chunk), _chunks(g, chunk))], axis=0)


def _cg_first_rows(encode, pull_back, loss_gradient, x, chunk):
    g = loss_gradient(_embeddings(encode, x, chunk))
    return sum(pull_back(part, g[: len(part)]) for part in _chunks(x, chunk))


def _cg_rest_lost(encode, pull_back, loss_gradient, x, chunk):
    whole = max(len(x) // chunk, 1) * chunk
    g = loss_gradient(_embeddings(encode, x, chunk))
    return sum(pull_back(p, q) for p, q in zip(_chunks(x[:whole], chunk), _chunks(g[:whole], chunk)))


def _cg_one_pass(encode, pull_back, loss_gradient, x, chunk):
    z, total = None, 0.0
    for a in range(0, len(x), chunk):
        part = encode(x[a : a + chunk])
        z = np.zeros((len(x), part.shape[1])) if z is None else z
        z[a : a + chunk] = part
        total = total + pull_back(x[a : a + chunk], loss_gradient(z)[a : a + chunk])
    return total


def _cg_whole(encode, pull_back, loss_gradient, x, chunk):
    return pull_back(x, loss_gradient(encode(x)))


def _cg_embeddings_pulled(encode, pull_back, loss_gradient, x, chunk):
    z = _embeddings(encode, x, chunk)
    return sum(pull_back(p, q) for p, q in zip(_chunks(x, chunk), _chunks(z, chunk)))


cached_gradient = Exercise(
    name="cached_gradient",
    notebook="12",
    signature="f(encode, pull_back, loss_gradient, x, chunk) -> dw",
    statement="""The gradient of the loss of a large batch, with an encoder that takes few rows at a time.

    encode(x) returns the embeddings z of some rows of x, row by row. loss_gradient(z), for the embeddings z of the
    **whole** batch, returns ∂L/∂z, of the shape of z; the loss of each row depends on all rows. pull_back(x, g), for
    some rows of x and their rows g of ∂L/∂z, returns Σ g ∂z/∂w, the part of these rows in the gradient of the weights.
    encode and pull_back take at most `chunk` rows at a time; loss_gradient takes them all. Return dw = ∂L/∂w for the
    whole batch x, of shape (n, d). n need be no multiple of chunk.
    """,
    tests=[
        Test("returns an array like the weights", "T0", [_in_parts(2, 2), _in_parts(3, 3, 2, 3)]),
        Test("is right where one weight is all there is, worked out by hand", "T1", _ONE_WEIGHT),
        Test(
            "equals the gradient of the whole batch",
            "T3",
            [
                _in_parts(2, 1),
                _in_parts(4, 2),
                _in_parts(6, 2, 2, 3, _LOG),
                _in_parts(6, 3, 3, 2, _SPREAD),
                _in_parts(9, 3, 1, 4, _LOG),
            ],
        ),
        Test(
            "takes a last part that is smaller",
            "T4",
            [_in_parts(3, 2), _in_parts(5, 3, 3, 2, _LOG), _in_parts(7, 3, 2, 2, _SPREAD), _in_parts(2, 5)],
        ),
    ],
    mistakes=[
        Mistake(
            "parts-by-themselves",
            "takes the loss of each part by itself and adds up the gradients",
            _cg_naive,
            (
                "With one part you are right; with several each row sees only the rows of its own part.",
                "To which embeddings do you give loss_gradient?",
                "First the embeddings of all parts, then one gradient of the loss, and then the parts again.",
            ),
            variants=(_cg_naive_mean,),
        ),
        Mistake(
            "last-part-only",
            "returns the last part's gradient",
            _cg_last,
            (
                "Only the last part is in your answer.",
                "Do you add, or assign?",
                "The gradient of the weights is the sum over the parts.",
            ),
        ),
        Mistake(
            "mean-of-parts",
            "averages over the parts",
            _cg_mean,
            (
                "Your gradient is too small by the number of parts.",
                "Every row is in the loss once. Is it a sum or a mean over the parts?",
                "Add them up: what has to be averaged is averaged in the loss already.",
            ),
        ),
        Mistake(
            "first-rows-of-the-gradient",
            "gives the first rows of ∂L/∂z to every part",
            _cg_first_rows,
            (
                "The first part is right, and the others get the gradient of its rows.",
                "Which rows of ∂L/∂z belong to the second part?",
                "Cut ∂L/∂z where x is cut.",
            ),
        ),
        Mistake(
            "rest-lost",
            "leaves out the rows after the last whole part",
            _cg_rest_lost,
            (
                "It is right where n is a multiple of chunk.",
                "How many parts does your loop visit?",
                "The last part may be smaller.",
            ),
        ),
        Mistake(
            "one-pass",
            "takes the gradient of the loss before all embeddings are there",
            _cg_one_pass,
            (
                "The last part is right, the earlier ones have seen zeros in place of later embeddings.",
                "When do you call loss_gradient?",
                "Two loops: one that embeds, and after it one that pulls back.",
            ),
        ),
        Mistake(
            "embeddings-pulled-back",
            "pulls back the embeddings instead of the gradient of the loss",
            _cg_embeddings_pulled,
            (
                "loss_gradient has no say in your answer.",
                "What do you give to pull_back as g?",
                "g is ∂L/∂z of those rows.",
            ),
        ),
        Mistake(
            "whole-batch",
            "encodes the whole batch at once",
            _cg_whole,
            (
                "More rows were encoded at once than fit into memory.",
                "What do you give to encode and to pull_back?",
                "Both take at most `chunk` rows. Only loss_gradient sees all of them.",
            ),
        ),
    ],
    advice="Take two rows and chunk = 1, and write down which of the three functions sees which numbers, and when.",
)

# ------------------------------------------------------------------------------------------ gradients across machines


def _reduce_scatter(g):
    ranks = len(g)
    n = g.shape[1] // ranks
    return np.array([sum(g[q, r * n : (r + 1) * n] for q in range(ranks)) for r in range(ranks)])


def _in_rows(g):
    """g as (receiver, owner, row, d)."""
    return g.reshape(len(g), len(g), -1, g.shape[2])


def _is_the_adjoint(f, g):
    """Σ over ranks of ⟨gather(x), g⟩ = ⟨x, f(g)⟩, for some x."""
    ranks, rows, d = g.shape
    x = np.cos(np.arange(rows * d)).reshape(ranks, rows // ranks, d)
    sent, received = sum((x.reshape(rows, d) * own).sum() for own in g), f(g)
    if received.shape != x.shape:
        raise Failed(f"shape {received.shape}", f"shape {x.shape}")
    return np.array((x * received).sum()), np.array(sent), float(np.abs(g).sum())


gather_vjp = Exercise(
    name="gather_vjp",
    notebook="12",
    signature="f(g) -> dx",
    statement="""The backward pass of an all-gather: what every machine has to send back, and to whom.

    R machines (ranks) hold n rows each, x[r] of shape (n, d). An all-gather gives every rank the same array, of shape
    (R n, d): the rows of rank 0, then those of rank 1, and so on. Each rank goes on from there with a loss of its own,
    and the loss of the whole is their sum. g has shape (R, R n, d): g[q] is the gradient of rank q's loss in the array
    that rank q received. Return dx of shape (R, n, d): dx[r] is the gradient of the whole in x[r].
    """,
    tests=[
        Test(
            "returns an array of shape (R, n, d)",
            "T0",
            [
                call(draw(r, r * n, d)).gives(_reduce_scatter, scale=lambda g: np.abs(g).max())
                for r, n, d in ((1, 2, 1), (2, 1, 1), (2, 3, 2))
            ],
        ),
        Test(
            "knows one rank, and two ranks with one row",
            "T1",
            [
                call(np.array([[[1.0], [2.0]]])).gives(np.array([[[1.0], [2.0]]])).noting("One rank: nothing is sent."),
                call(np.array([[[1.0], [2.0]], [[10.0], [20.0]]]))
                .gives(np.array([[[11.0]], [[22.0]]]))
                .noting("Row 0 was used by both ranks: 1 + 10."),
            ],
        ),
        Test(
            "tells owner and receiver apart",
            "T1",
            [
                call(np.array([[[0.0], [5.0]], [[0.0], [0.0]]])).gives(np.array([[[0.0]], [[5.0]]])),
                call(np.array([[[0.0], [0], [0], [3.0]], [[0.0], [4.0], [0], [0]]])).gives(
                    np.array([[[0.0], [4.0]], [[0.0], [3.0]]])
                ),
            ],
        ),
        Test(
            "is the adjoint of the gather",
            "T3",
            [call(draw(r, r * n, d)) for r, n, d in ((1, 3, 2), (2, 2, 3), (3, 2, 1), (4, 3, 5))],
            law=_is_the_adjoint,
        ),
    ],
    mistakes=[
        Mistake(
            "own-part-only",
            "keeps the gradient of a rank's own loss, and forgets what others computed for its rows",
            lambda g: np.array([_in_rows(g)[r, r] for r in range(len(g))]),
            (
                "With one rank you are right; with two a part is missing. This is a gather without gradient.",
                "Rank 1 used the rows of rank 0 as negatives. Where does its gradient go?",
                "Each rank sends to every other rank the gradient of that rank's rows, and what arrives is added.",
            ),
        ),
        Mistake(
            "mean-over-ranks",
            "divides by the number of ranks",
            lambda g: _reduce_scatter(g) / len(g),
            (
                "Your gradient is too small by the number of ranks.",
                "The loss of the whole is the sum of the ranks' losses. Is anything averaged?",
                "Add, and do not divide. (Where the loss is a mean, it is divided there.)",
            ),
        ),
        Mistake(
            "owner-and-receiver-exchanged",
            "adds up what one rank computed for all, instead of what all computed for one",
            lambda g: _in_rows(g).sum(axis=1),
            (
                "Owner and receiver are exchanged.",
                "g[q] has rows of every rank. Which index do you add over?",
                "Add over q, the rank that computed; keep r, the rank that owns the row.",
            ),
        ),
        Mistake(
            "interleaved",
            "takes every R-th row as those of a rank",
            lambda g: np.array([g[:, r :: len(g)].sum(axis=0) for r in range(len(g))]),
            (
                "With one row for each rank you are right.",
                "In which order do the rows stand: 0, 0, 1, 1 or 0, 1, 0, 1?",
                "The rows of a rank stand together.",
            ),
        ),
        Mistake(
            "first-rank-only",
            "uses what rank 0 computed",
            lambda g: _in_rows(g)[0],
            (
                "The other ranks have no say in your answer.",
                "All ranks received the same array, but do they have the same loss?",
                "Add up what all of them computed.",
            ),
        ),
        Mistake(
            "not-scattered",
            "gives the whole sum to every rank",
            lambda g: np.array([g.sum(axis=0)] * len(g)),
            (
                "Your dx has R n rows for each rank, and a rank has n.",
                "You have reduced. What comes after it?",
                "Each rank keeps the rows that it owns.",
            ),
            variants=(lambda g: g.sum(axis=0),),
        ),
    ],
    advice="Two ranks with one row each: write down the four numbers of g, and which two belong to the row of rank 0.",
)
