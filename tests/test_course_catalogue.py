"""The grader is graded: right answers, written in several ways, pass; each known mistake is rejected and named.

Right versions live here and in right_answers/, and not in the package. The last part gives the grader wrong versions
that it has not seen.
"""

import collections
import graphlib
import time

import numpy as np
import pytest
import right_answers

from minicl.course import EXERCISES, check
from minicl.course.catalogue.gradient_checking import BACKWARDS
from minicl.course.exercise import Code

# -------------------------------------------------------------------------------------------------------- right answers


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


def gradient_ndindex(func, x, h=1e-5):
    x = np.array(x, float)
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        up = func(x)
        x[i] = kept - h
        dx[i] = (up - func(x)) / (2 * h)
        x[i] = kept
    return dx


def gradient_unit_vectors(func, x, h=1e-5):
    x = np.asarray(x, np.float64)
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.reshape([(func(x + e) - func(x - e)) / (2 * h) for e in steps], x.shape)


def checker_all_entries(forward, vjp, x):
    g = np.random.default_rng().standard_normal(np.shape(forward(x)))
    slopes = gradient_ndindex(lambda z: np.sum(g * forward(z)), x)
    dx = np.asarray(vjp(g, x))
    if dx.shape != x.shape or not np.isfinite(dx).all():
        return False
    return bool(np.abs(dx - slopes).max() <= 1e-6 * np.abs(slopes).max())


def checker_jacobian(forward, vjp, x):
    """Every output by itself: no random number at all."""
    y = np.asarray(forward(x))
    columns = [
        (np.asarray(forward(x + e)) - forward(x - e)) / 2e-5 for e in 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
    ]
    jacobian = np.array(columns).reshape(x.size, y.size).T
    rows = []
    for unit in np.eye(y.size):
        dx = np.asarray(vjp(unit.reshape(y.shape), x))
        if dx.shape != x.shape:
            return np.False_
        rows.append(dx.ravel())
    return np.abs(np.array(rows) - jacobian).max() <= 1e-6 * np.abs(jacobian).max()


def checker_two_cotangents(forward, vjp, x):
    rng = np.random.default_rng(11)
    for _ in range(2):
        g = rng.uniform(0.5, 2, np.shape(forward(x))) * rng.choice([-1, 1], np.shape(forward(x)))
        slopes, dx = gradient_unit_vectors(lambda z, g=g: np.vdot(g, forward(z)), x), vjp(g, x)
        if np.shape(dx) != x.shape or not np.abs(dx - slopes).max() < 1e-6 * max(
            np.abs(slopes).max(), np.abs(dx).max()
        ):
            return False
    return True


def complex_ndindex(func, x, h=1e-20):
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        z = np.array(x, complex)
        z[i] += 1j * h
        dx[i] = func(z).imag / h
    return dx


def complex_unit_vectors(func, x, h=1e-20):
    return np.reshape([np.imag(func(x + 1j * h * e.reshape(x.shape))) / h for e in np.eye(x.size)], x.shape)


def views_of_doubled_batch(images, augment, rng):
    both = augment(np.concatenate([images, images]), rng)
    return np.split(both, 2)


def views_by_image(images, augment, rng):
    pairs = [(augment(images[i : i + 1], rng), augment(images[i : i + 1], rng)) for i in range(len(images))]
    return tuple(np.concatenate(view) for view in zip(*pairs))


def views_by_children(images, augment, rng):
    one, two = rng.spawn(2)
    return augment(images, one), augment(images, two)


def probe_centred(train_x, train_y, test_x, ridge):
    classes, numbers = np.unique(train_y, return_inverse=True)
    targets, mean = np.eye(len(classes))[numbers], train_x.mean(0)
    x = train_x - mean
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ (targets - targets.mean(0)))
    return classes[((test_x - mean) @ weights + targets.mean(0)).argmax(1)]


def probe_column_of_ones(train_x, train_y, test_x, ridge):
    classes = np.unique(train_y)
    with_ones = lambda x: np.hstack([x, np.ones((len(x), 1))])
    x, penalty = with_ones(train_x), ridge * np.eye(train_x.shape[1] + 1)
    penalty[-1, -1] = 0
    weights = np.linalg.pinv(x.T @ x + penalty) @ x.T @ (train_y[:, None] == classes)
    return np.array([classes[np.argmax(row)] for row in with_ones(test_x) @ weights])


def probe_least_squares(train_x, train_y, test_x, ridge):
    """Ridge as extra rows of the data."""
    classes, d = np.unique(train_y), train_x.shape[1]
    mean, targets = train_x.mean(0), (train_y[:, None] == classes).astype(float)
    x = np.vstack([train_x - mean, np.sqrt(ridge) * np.eye(d)])
    weights = np.linalg.lstsq(x, np.vstack([targets - targets.mean(0), np.zeros((d, len(classes)))]))[0]
    return classes[np.argmax((test_x - mean) @ weights + targets.mean(0), axis=1)]


def probe_dual(train_x, train_y, test_x, ridge):
    ridge = max(ridge, 1e-9)
    classes = np.unique(train_y)
    mean, targets = train_x.mean(0), 2.0 * (train_y[:, None] == classes) - 1
    x = train_x - mean
    dual = np.linalg.solve(x @ x.T + ridge * np.eye(len(x)), targets - targets.mean(0))
    return classes[np.argmax((test_x - mean) @ x.T @ dual + targets.mean(0), axis=1)].tolist()


def knn_loops(features, labels, k):
    found = []
    for i, row in enumerate(features):
        cosine = lambda j, row=row: row @ features[j] / np.linalg.norm(row) / np.linalg.norm(features[j])
        near = sorted((j for j in range(len(features)) if j != i), key=lambda j: (-cosine(j), j))[:k]
        votes = collections.Counter(int(labels[j]) for j in near)
        found.append(min(votes, key=lambda label: (-votes[label], label)))
    return found


def knn_matrix(features, labels, k):
    u = features / np.linalg.norm(features, axis=1, keepdims=True)
    s = u @ u.T
    np.fill_diagonal(s, -2)
    near = labels[np.argsort(-s, axis=1, kind="stable")[:, :k]]
    classes = np.unique(labels)
    return classes[(near[:, :, None] == classes).sum(1).argmax(1)]


def knn_deleted(features, labels, k):
    u = features / np.sqrt((features**2).sum(1, keepdims=True))
    found = np.empty_like(labels)
    for i in range(len(u)):
        others = np.delete(np.arange(len(u)), i)
        near = others[np.argsort(-(u[others] @ u[i]), kind="stable")[:k]]
        found[i] = np.bincount(labels[near]).argmax()
    return found


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
    "numerical_gradient": [gradient_ndindex, gradient_unit_vectors],
    "gradcheck": [checker_all_entries, checker_jacobian, checker_two_cotangents],
    "complex_step": [complex_ndindex, complex_unit_vectors],
    "two_views": [
        lambda images, augment, rng: (augment(images, rng), augment(images, rng)),
        views_of_doubled_batch,
        views_by_image,
        views_by_children,
    ],
    "linear_probe": [probe_centred, probe_column_of_ones, probe_least_squares, probe_dual],
    "knn": [knn_loops, knn_matrix, knn_deleted],
}
for module in right_answers.modules():
    assert not set(RIGHT) & set(module.RIGHT), f"{module.__name__} answers an exercise that has its answers already"
    RIGHT |= module.RIGHT
RIGHT_CASES = [
    pytest.param(name, function, id=f"{name}-{i}") for name in RIGHT for i, function in enumerate(RIGHT[name])
]
MISTAKES = [
    pytest.param(name, mistake, function, id=f"{name}-{mistake.name}-{i}")
    for name, exercise in EXERCISES.items()
    for mistake in exercise.mistakes
    for i, function in enumerate((mistake.function, *mistake.variants))
]


def test_every_exercise_has_right_versions():
    assert set(RIGHT) == set(EXERCISES), "see tests/right_answers/__init__.py"
    assert min(map(len, RIGHT.values())) >= 2


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name, function", RIGHT_CASES)
def test_right_answers_pass(name, function, seed):
    report = check(name, function, seed)
    assert report.passed, report
    assert report.diagnosis == [] and report.hints == []
    assert report.failure is None or all(row.passed for row in report.tests if row.required)


def in_float32(function):
    def single(*args, **options):
        answer = function(*args, **options)
        if isinstance(answer, tuple):
            return tuple(map(np.float32, answer))
        return np.asarray(answer, np.float32)

    return single


@pytest.mark.parametrize("name", ["mul_vjp", "matmul_vjp", "sum_vjp", "getitem_vjp", "unbroadcast", "jacobian_softmax"])
def test_the_tolerance_follows_the_dtype_that_is_returned(name):
    report = check(name, in_float32(RIGHT[name][0]))
    assert report.passed, report


@pytest.mark.parametrize("name, mistake, function", MISTAKES)
def test_mistakes_are_rejected_and_named(name, mistake, function):
    report = check(name, function)
    assert not report.passed
    assert report.diagnosis[0].name == mistake.name, report.diagnosis
    assert report.diagnosis[0].sure == 1
    assert report.hints == list(mistake.hints)
    assert report.failure.startswith("f(")


@pytest.mark.parametrize("seed", [1, 7])
def test_mistakes_are_rejected_and_named_with_any_seed(seed):
    named = []
    for case in MISTAKES:
        name, mistake, function = case.values
        report = check(name, function, seed)
        assert not report.passed, (name, mistake.name)
        named.append(report.diagnosis[0].name == mistake.name)
    assert all(named)


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_an_exercise_takes_less_than_a_second(name):
    """Of processor time, the best of five, each with a seed of its own: the fingerprints are computed anew."""

    def seconds(seed):
        start = time.process_time()
        check(name, EXERCISES[name].mistakes[0].function, seed=seed)
        return time.process_time() - start

    assert any(seconds(12345 + k) < 1 for k in range(5))


# ------------------------------------------------------------------------------------- wrong answers of somebody else


def other_softmax_jacobian(x):
    e = np.exp(x - np.max(x))
    p = (e / np.sum(e)).reshape(-1, 1)
    return np.diagflat(p) + p @ p.T


def other_depth_first(graph, output):
    order, stack, seen = [], [output], {output}
    while stack:
        node = stack.pop()
        order.append(node)
        for parent in graph[node]:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return order


def other_breadth_first(graph, output):
    seen, queue = [output], collections.deque([output])
    while queue:
        for parent in graph[queue.popleft()]:
            if parent not in seen:
                seen.append(parent)
                queue.append(parent)
    return seen


def other_duplicates(g, x, index):
    dx = 0 * x
    for row, i in zip(g.reshape(-1, *x.shape[1:]), index.ravel()):
        dx[i] = row
    return dx


def other_checker_one_index(forward, vjp, x):
    """Random cotangent, one entry, and a generator without a seed."""
    rng = np.random.default_rng(99)
    g = rng.normal(size=np.shape(forward(x)))
    i = tuple(rng.integers(n) for n in x.shape)
    e = np.zeros_like(x)
    e[i] = 1e-6
    slope = np.sum(g * (forward(x + e) - forward(x - e))) / 2e-6
    dx = vjp(g, x)
    return dx.shape == x.shape and bool(np.isclose(dx[i], slope, rtol=1e-4, atol=0))


def other_checker_ones(forward, vjp, x):
    """A cotangent of ones, an absolute limit, and broadcasting: three mistakes at once."""
    y = np.asarray(forward(x))
    slopes = np.array(
        [np.sum(np.asarray(forward(x + e)) - forward(x - e)) for e in 1e-5 * np.eye(x.size).reshape(-1, *x.shape)]
    )
    return bool(np.all(np.abs(slopes.reshape(x.shape) / 2e-5 - vjp(np.ones(y.shape), x)) < 1e-5))


def other_checker_two_mistakes(forward, vjp, x):
    """1 % allowed, and shapes not compared."""
    g = np.random.default_rng(4).normal(size=np.shape(forward(x)))
    slopes = gradient_unit_vectors(lambda z: np.sum(g * forward(z)), x)
    return bool(np.abs(vjp(g, x) - slopes).max() <= 0.01 * np.abs(slopes).max())


def other_probe_test_statistics(train_x, train_y, test_x, ridge):
    return probe_centred(train_x - train_x.mean(0), train_y, test_x - test_x.mean(0), ridge)


def other_normalize(g, x):
    return g / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12) * x.any(-1, keepdims=True)


def other_unbroadcast(g, shape):
    for _ in range(g.ndim - len(shape)):
        g = g.sum(axis=0)
    return g


def other_views(images, augment, rng):
    return [augment(images, np.random.default_rng(i)) for i in (1, 2)]


OTHERS = [
    ("mul_vjp", lambda g, a, b: (a * g, b * g), "own-factor"),
    ("mul_vjp", lambda g, a, b: (0.5 * g * b, 0.5 * g * a), "factor"),
    ("matmul_vjp", lambda g, a, b: ((b @ g.T), (a.T @ g).T), "result-transposed"),
    ("matmul_vjp", lambda g, a, b: (g @ b.T, -a.T @ g), "factor"),
    ("sum_vjp", lambda g, x, axis, keepdims: g + 0 * x, "axis-lost"),
    ("sum_vjp", lambda g, x, axis, keepdims: sum_expand_dims(g, x, axis, keepdims) / x.size, "factor"),
    ("getitem_vjp", other_duplicates, "duplicates-overwritten"),
    ("logsumexp_vjp", lambda g, x: (np.exp(x).T / np.exp(x).sum(-1).T * np.asarray(g).T).T, "naive-exp"),
    ("logsumexp_vjp", lambda g, x: np.expand_dims(g, -1) * np.exp(x - x.max(-1, keepdims=True)), "not-normalized"),
    ("normalize_vjp", other_normalize, "no-projection"),
    ("unbroadcast", other_unbroadcast, "added-axes-only"),
    ("jacobian_softmax", other_softmax_jacobian, "plus-for-minus"),
    ("topological_order", other_breadth_first, "breadth-first"),
    ("topological_order", lambda graph, output: order_counting(graph, output)[::-1], "forward-order"),
    ("numerical_gradient", lambda func, x, h=1e-5: gradient_ndindex(func, x, h) * 2, "divided-by-h"),
    ("numerical_gradient", lambda func, x, h=1e-5: gradient_ndindex(func, x, h).ravel(), "flat"),
    ("complex_step", lambda func, x, h=1e-20: np.abs(complex_ndindex(func, x, h)), "absolute-value"),
    ("gradcheck", other_checker_one_index, "one-random-index"),
    ("gradcheck", other_checker_ones, "all-ones-cotangent"),
    ("gradcheck", other_checker_two_mistakes, "tolerance-one-percent"),
    ("two_views", lambda images, augment, rng: (augment(images, rng),) * 2, "identical-views"),
    ("two_views", other_views, "fixed-generator"),
    ("linear_probe", other_probe_test_statistics, "test-mean"),
    ("linear_probe", lambda x, y, t, ridge: probe_centred(x, y, t, ridge * len(x)), "mean-loss"),
    ("linear_probe", lambda x, y, t, ridge: probe_centred(x, y, t, 1e-12), "ridge-ignored"),
    ("knn", lambda features, labels, k: knn_matrix(features, labels, 1), "k-ignored"),
]  # fmt: skip
for module in right_answers.modules():
    OTHERS += getattr(module, "OTHERS", [])


@pytest.mark.parametrize("name, function, mistake", OTHERS, ids=[f"{name}-{mistake}" for name, _, mistake in OTHERS])
def test_mistakes_written_otherwise_are_named(name, function, mistake):
    report = check(name, function)
    assert not report.passed
    assert report.diagnosis[0].name == mistake, report.diagnosis


def test_a_factor_that_changes_with_the_input_is_explained():
    report = check("mul_vjp", lambda g, a, b: (g * b / a.size, g * a))
    assert "divided by the number of entries" in report.diagnosis[0].says
    assert report.diagnosis[0].says.startswith("Your da is the true one")


def test_several_mistakes_of_a_checker_are_named():
    names = [diagnosis.name for diagnosis in check("gradcheck", other_checker_two_mistakes).diagnosis]
    assert {"tolerance-one-percent", "shape-not-compared"} <= set(names)


def test_depth_first_order_written_otherwise_is_rejected():
    assert not check("topological_order", other_depth_first).passed


def order_by_name(graph, output):
    return [output, *sorted(set(order_counting(graph, output)) - {output}, key=str, reverse=True)]


UNKNOWN = {
    "mul_vjp": lambda g, a, b: (g * b + 1e-6 * a, g * a),
    "matmul_vjp": lambda g, a, b: (g @ b.T * (np.arange(len(a)) < 4)[:, None], a.T @ g),
    "sum_vjp": lambda g, x, axis, keepdims: sum_reshape(g, x, axis, keepdims) * (1 + 1e-7),
    "getitem_vjp": lambda g, x, index: getitem_add_at(g, x, np.abs(index)),
    "logsumexp_vjp": lambda g, x: g[..., None] * softmax(np.clip(x, -500, 500)),
    "normalize_vjp": lambda g, x: normalize_rows(g, np.where(np.abs(x) < 1e-4, 0, x)),
    "unbroadcast": lambda g, shape: unbroadcast_loop(g, shape) * (1 + 1e-8),
    "jacobian_softmax": lambda x: jacobian_entries(np.sort(x)),
    "topological_order": order_by_name,
    "numerical_gradient": lambda func, x, h=1e-5: gradient_ndindex(func, np.abs(x), h),
    "gradcheck": lambda forward, vjp, x: checker_jacobian(forward, lambda g, x: vjp(g, x).round(2), x),
    "complex_step": lambda func, x, h=1e-20: complex_ndindex(func, x.astype(np.float32), h),
    "two_views": lambda images, augment, rng: (augment(images, rng) * 0.5, augment(images, rng)),
    "linear_probe": lambda x, y, t, ridge: probe_centred(x, y, t, np.sqrt(ridge)),
    "knn": lambda features, labels, k: knn_matrix(features, labels, max(k - 1, 1)),
}  # fmt: skip
for module in right_answers.modules():
    UNKNOWN |= getattr(module, "UNKNOWN", {})


@pytest.mark.parametrize("name", UNKNOWN)
def test_mistakes_that_are_not_known_are_rejected_all_the_same(name):
    report = check(name, UNKNOWN[name])
    assert not report.passed
    assert len(report.hints) == 3


# ----------------------------------------------------------------------------------- the material of `gradcheck` itself


def test_the_right_backwards_are_right_and_the_wrong_ones_wrong():
    """By the Jacobian: for each cotangent, not only for a lucky one."""
    assert len(BACKWARDS) == 20 and sum(backward.wrong is not None for backward in BACKWARDS) == 16
    for backward in BACKWARDS:
        forward, right = (Code(text).value() for text in (backward.forward, backward.right))
        assert checker_jacobian(forward, right, backward.x), backward.name
        slopes = gradient_unit_vectors(lambda z, forward=forward: np.sum(np.cos(forward(z) * 3)), backward.x)
        assert np.isfinite(slopes).all()
        if backward.wrong:
            with np.errstate(all="ignore"):
                assert not checker_jacobian(forward, Code(backward.wrong).value(), backward.x), backward.name


def test_weak_checkers_of_well_known_kinds_miss_most_wrong_backwards():
    """A cotangent of ones with an absolute limit misses 11 of 16; with one random entry and 1 %, 12 or more."""
    mistakes = {mistake.name: mistake for mistake in EXERCISES["gradcheck"].mistakes}
    missed = lambda function: 16 - check("gradcheck", function).scores["wrong backwards rejected"][0]
    assert max(map(missed, mistakes["all-ones-cotangent"].variants)) == 11
    assert min(map(missed, (mistakes["ones-and-one-index"].function, *mistakes["ones-and-one-index"].variants))) >= 12
    assert missed(checker_all_entries) == 0
