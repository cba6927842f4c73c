"""Right answers to the exercises of notebook 01."""

import collections
import graphlib

import numpy as np


def mul_into_new_arrays(g, a, b):
    da, db = np.empty_like(a), np.empty_like(b)
    for i in np.ndindex(a.shape):
        da[i], db[i] = g[i] * b[i], g[i] * a[i]
    return da, db


def matmul_loops(g, a, b):
    da, db = np.zeros(a.shape), np.zeros(b.shape)
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                da[i, k] += g[i, j] * b[k, j]
                db[k, j] += a[i, k] * g[i, j]
    return da, db


def sum_expand_dims(g, x, axis=None, keepdims=False):
    if axis is not None and not keepdims:
        axes = sorted(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
        for i in axes:
            g = np.expand_dims(g, i)
    return np.broadcast_to(g, x.shape)


def sum_reshape(g, x, axis, keepdims):
    return np.reshape(g, np.sum(x, axis, keepdims=True).shape) * np.ones_like(x)


def getitem_add_at(g, x, index):
    dx = np.zeros_like(x)
    np.add.at(dx, index, g)
    return dx


def getitem_loop(g, x, index):
    dx = np.zeros(x.shape, g.dtype)
    for place in np.ndindex(index.shape):
        dx[index[place]] += g[place]
    return dx


def getitem_one_hot(g, x, index):
    hot = (index.reshape(-1, 1) % len(x) == np.arange(len(x))).astype(x.dtype)
    return (hot.T @ g.reshape(index.size, -1)).reshape(x.shape)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logsumexp_by_difference(g, x):
    top = x.max(-1, keepdims=True)
    lse = top + np.log(np.exp(x - top).sum(-1, keepdims=True))
    return np.expand_dims(g, -1) * np.exp(x - lse)


def logsumexp_rows(g, x):
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape[:-1]):
        dx[i] = g[i] * softmax(x[i])
    return dx


def normalize_rows(g, x):
    dx = np.zeros_like(x)
    for i, (row, v) in enumerate(zip(x, g)):
        size = np.linalg.norm(row)
        if size:
            u = row / size
            dx[i] = (v - u * (u @ v)) / size
    return dx


def normalize_scaled(g, x):
    """Exact where the square of the length is 0 or infinite."""
    top = np.abs(x).max(-1, keepdims=True)
    top[top == 0] = 1
    x = x / top
    size = np.sqrt((x * x).sum(-1, keepdims=True))
    u = np.divide(x, size, out=np.zeros_like(x), where=size > 0)
    return np.divide(g - u * (u * g).sum(-1, keepdims=True), size, out=np.zeros_like(x), where=size > 0) / top


def normalize_jacobians(g, x):
    size = np.linalg.norm(x, axis=-1)
    safe = np.where(size > 0, size, 1)
    u = x / safe[:, None]
    jacobian = (np.eye(x.shape[1]) - u[:, :, None] * u[:, None, :]) / safe[:, None, None]
    return np.einsum("ni,nij->nj", g, jacobian) * (size > 0)[:, None]


def unbroadcast_two_sums(g, shape):
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def unbroadcast_reshape(g, shape):
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, (n, m) in enumerate(zip(padded, g.shape)) if n == 1 and m > 1)
    return np.sum(g, axis=axes).reshape(shape)


def unbroadcast_loop(g, shape):
    while g.ndim > len(shape):
        g = g.sum(0)
    for axis, n in enumerate(shape):
        if n == 1 and g.shape[axis] != 1:
            g = g.sum(axis, keepdims=True)
    return g


def jacobian_entries(x):
    p = softmax(x)
    return np.array([[p[i] * ((i == j) - p[j]) for j in range(len(p))] for i in range(len(p))])


def order_counting(graph, output):
    """Kahn's algorithm from the output."""
    uses, stack, seen = collections.Counter(), [output], {output}
    while stack:
        for parent in graph[stack.pop()]:
            uses[parent] += 1
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    order, ready = [], [output]
    while ready:
        order.append(ready.pop())
        for parent in graph[order[-1]]:
            uses[parent] -= 1
            if not uses[parent]:
                ready.append(parent)
    return order


def order_recursive(graph, output):
    order, seen = [], set()

    def build(node):
        if node not in seen:
            seen.add(node)
            for parent in graph[node]:
                build(parent)
            order.append(node)

    build(output)
    return list(reversed(order))


def order_graphlib(graph, output):
    needed, stack = {}, [output]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed[node] = graph[node]
            stack += graph[node]
    return tuple(graphlib.TopologicalSorter(needed).static_order())[::-1]


def order_generator(graph, output):
    yield from order_counting(graph, output)


RIGHT = {
    "mul_vjp": [
        lambda g, a, b: (g * b, g * a),
        lambda g, a, b: [np.multiply(g, b), np.multiply(a, g)],
        mul_into_new_arrays,
    ],
    "matmul_vjp": [
        lambda g, a, b: (g @ b.T, a.T @ g),
        lambda g, a, b: (np.einsum("ij,kj->ik", g, b), np.einsum("ik,ij->kj", a, g)),
        lambda g, a, b: (np.swapaxes(b @ g.T, 0, 1), np.dot(a.transpose(), g)),
        matmul_loops,
    ],
    "sum_vjp": [sum_expand_dims, sum_reshape],
    "getitem_vjp": [getitem_add_at, getitem_loop, getitem_one_hot],
    "logsumexp_vjp": [
        lambda g, x: g[..., None] * softmax(x),
        lambda g, x: np.einsum("...,...i->...i", g, softmax(x)),
        logsumexp_by_difference,
        logsumexp_rows,
    ],
    "normalize_vjp": [normalize_rows, normalize_scaled, normalize_jacobians],
    "unbroadcast": [unbroadcast_two_sums, unbroadcast_reshape, unbroadcast_loop],
    "jacobian_softmax": [
        lambda x: np.diag(softmax(x)) - np.outer(softmax(x), softmax(x)),
        lambda x: softmax(x)[:, None] * (np.eye(len(x)) - softmax(x)),
        lambda x: jacobian_entries(x).tolist(),
        jacobian_entries,
    ],
    "topological_order": [order_counting, order_recursive, order_graphlib, order_generator],
}
