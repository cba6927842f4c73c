"""Right answers to queue_step, momentum_step and shuffled_keys of notebook 12."""

import numpy as np
from scipy.special import logsumexp


def step_vectorised(queries, keys, queue, count, temperature):
    filled = queue[: min(count, len(queue))]
    logits = np.column_stack([(queries * keys).sum(1), queries @ filled.T]) / temperature
    loss = (logsumexp(logits, axis=1) - logits[:, 0]).mean()
    queue = queue.copy()
    for t, key in enumerate(keys, count):
        queue[t % len(queue)] = key
    return loss, queue, count + len(keys)


def step_loops(queries, keys, queue, count, temperature):
    losses, new = [], np.array(queue)
    for q, k in zip(queries, keys):
        own = q @ k / temperature
        others = [q @ row / temperature for slot, row in enumerate(queue) if slot < count]
        losses.append(np.logaddexp.reduce([own, *others]) - own)
    for key in keys:
        new[count % len(new)] = key
        count += 1
    return np.mean(losses), new, np.int64(count)


def momentum_plain(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
    query = query - lr * gradient
    average = lambda old, new: momentum * old + (1 - momentum) * new
    return query, average(key, query), average(key_buffers, query_buffers)


def momentum_joined(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
    p = len(query)
    new = np.concatenate([query - lr * gradient, query_buffers])
    old = np.concatenate([key, key_buffers])
    old = old + (1 - momentum) * (new - old)
    return new[:p], old[:p], old[p:]


def shuffled_written_back(encode, images, order, parts):
    size = len(images) // parts
    keys = [None] * len(images)
    for p in range(parts):
        block = order[p * size : (p + 1) * size]
        for i, key in zip(block, encode(images[block])):
            keys[i] = key
    return np.array(keys)


def shuffled_inverse(encode, images, order, parts):
    keys = np.concatenate([encode(part) for part in np.split(images[order], parts)])
    return keys[np.argsort(order)]


RIGHT = {
    "queue_step": [step_vectorised, step_loops],
    "momentum_step": [momentum_plain, momentum_joined],
    "shuffled_keys": [shuffled_written_back, shuffled_inverse],
}
UNKNOWN = {
    "queue_step": lambda q, k, queue, count, t: step_vectorised(q, k, queue, min(count, len(queue)), t),
    "momentum_step": lambda q, k, qb, kb, g, kg, lr, m: momentum_plain(q, k, qb, kb, np.clip(g, -1, 1), kg, lr, m),
    "shuffled_keys": lambda encode, x, order, parts: shuffled_inverse(encode, x, np.sort(order)[::-1], parts),
}


def other_enqueues(queries, keys, queue, count, temperature):
    _, new, number = step_vectorised(queries, keys, queue, count, temperature)
    return step_vectorised(queries, keys, new, number, temperature)[0], new, number


OTHERS = [
    ("queue_step", other_enqueues, "enqueued-first"),
    (
        "shuffled_keys",
        lambda encode, x, order, parts: np.vstack([encode(part) for part in np.split(x[order], parts)]),
        "not-restored",
    ),
    (
        "momentum_step",
        lambda q, k, qb, kb, g, kg, lr, m: (q - lr * g, m * k + (1 - m) * q, m * kb + (1 - m) * qb),
        "averaged-first",
    ),
]
