"""The grader is graded: right answers, written in several ways, pass; each known mistake is rejected and named.

Right versions live in right_answers/, and not in the package. The last part gives the grader wrong versions
that it has not seen.
"""

import collections
import time

import numpy as np
import pytest
import right_answers
from right_answers.autograd import (
    getitem_add_at,
    jacobian_entries,
    normalize_rows,
    order_counting,
    softmax,
    sum_expand_dims,
    sum_reshape,
    unbroadcast_loop,
)
from right_answers.gradient_checking import (
    checker_all_entries,
    checker_jacobian,
    complex_ndindex,
    gradient_ndindex,
    gradient_unit_vectors,
)
from right_answers.simclr import knn_matrix, probe_centred

from minicl.course import EXERCISES, check
from minicl.course.catalogue.gradient_checking import BACKWARDS
from minicl.course.exercise import Code

# -------------------------------------------------------------------------------------------------------- right answers


RIGHT = {}
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
    """Of the time of this thread, the best of five, each with a seed of its own: the fingerprints are computed anew."""

    def seconds(seed):
        start = time.thread_time()
        check(name, EXERCISES[name].mistakes[0].function, seed=seed)
        return time.thread_time() - start

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
