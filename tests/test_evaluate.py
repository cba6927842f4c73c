"""The judges are judged: known answers, scikit-learn as the second opinion, and no row may be its own neighbour."""

import numpy as np
import pytest
from differences import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import minicl as mc
from minicl import evaluate


def clusters(rng, n=60, d=7, classes=3, spread=0.8):
    y = rng.integers(0, classes, n)
    return 2 * np.eye(classes, d)[y] + spread * rng.standard_normal((n, d)), y


# --------------------------------------------------------------------------------------------------- nearest neighbours


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_knn_is_that_of_scikit_learn(metric, k, rng):
    from sklearn.neighbors import KNeighborsClassifier

    (x, y), (test_x, test_y) = clusters(rng), clusters(rng, 50)
    oracle = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(x, y)
    assert evaluate.knn(x, y, test_x, test_y, k, metric) == oracle.score(test_x, test_y) < 1
    assert np.array_equal(evaluate.nearest(test_x, x, k, metric), oracle.kneighbors(test_x, return_distance=False))
    apart = [
        KNeighborsClassifier(k, metric=metric).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[[i]])[0]
        for i in range(len(x))
    ]
    assert evaluate.knn_leave_one_out(x, y, k, metric) == np.mean(apart == y)


def test_random_labels_score_as_chance_when_a_row_is_not_its_own_neighbour(rng):
    x, y = rng.standard_normal((1500, 5)), rng.integers(0, 10, 1500)
    assert abs(evaluate.knn_leave_one_out(x, y, k=1) - 0.1) < 4 * np.sqrt(0.09 / 1500)
    assert evaluate.knn(x, y, x.copy(), y, k=1) == 1.0  # the mistake: with itself in the set, noise scores 100 %
    with pytest.raises(ValueError, match="same array.*knn_leave_one_out"):
        evaluate.knn(x, y, x, y)


def test_blocks_change_nothing(rng, monkeypatch):
    x, y = clusters(rng, 101)
    whole = evaluate.nearest(x, x, 3, exclude_self=True), evaluate.uniformity(x), evaluate.positive_rank(x, x[::-1])
    monkeypatch.setattr(evaluate.inputs, "BLOCK", 13)
    parts = evaluate.nearest(x, x, 3, exclude_self=True), evaluate.uniformity(x), evaluate.positive_rank(x, x[::-1])
    assert np.array_equal(whole[0], parts[0])
    assert_close(np.array([whole[1], *whole[2]]), np.array([parts[1], *parts[2]]), 1e-13)


def test_cosine_ignores_length_and_euclid_does_not():
    keys = np.array([[10.0, 1.0], [1.0, 1.0]])
    query = np.array([[1.0, 0.1]])
    assert evaluate.nearest(query, keys)[0, 0] == 0 and evaluate.nearest(query, keys, metric="euclidean")[0, 0] == 1


def test_euclid_keeps_its_digits_far_from_the_origin(rng):
    x = rng.standard_normal((40, 3))
    near = evaluate.nearest(x, x, 3, "euclidean", exclude_self=True)
    assert np.array_equal(near, evaluate.nearest(x + 1e7, x + 1e7, 3, "euclidean", exclude_self=True))


def test_labels_may_be_texts(rng):
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert evaluate.knn(x, ["a", "b"], x * 2, ["a", "b"], k=1) == 1.0


# --------------------------------------------------------------------------------------------------------- linear probe


@pytest.mark.parametrize("model", ["logistic", "ridge"])
def test_the_probe_uses_the_training_rows_alone(model, rng):
    (x, y), (test_x, test_y) = clusters(rng, 200), clusters(rng, 100)
    score = evaluate.linear_probe(x, y, test_x, test_y, model)
    assert 0.8 < score < 1
    # Each test row is judged by itself: other test rows, however large, change nothing.
    alone = [
        evaluate.linear_probe(x, y, np.concatenate([test_x[[i]], [np.full(7, 1e6)]]), [test_y[i], -1], model) * 2
        for i in range(20)
    ]
    assert np.mean(alone) == evaluate.linear_probe(x, y, test_x[:20], test_y[:20], model)


@pytest.mark.parametrize("model", ["logistic", "ridge"])
def test_the_probe_does_not_depend_on_units(model, rng):
    (x, y), (test_x, test_y) = clusters(rng, 100), clusters(rng, 100)
    scale, offset = 10.0 ** np.arange(-3, 4), np.arange(7.0)
    moved = evaluate.linear_probe(x * scale + offset, y, test_x * scale + offset, test_y, model)
    assert moved == evaluate.linear_probe(x, y, test_x, test_y, model)


def test_the_probe_is_linear(rng):
    x = rng.uniform(-1, 1, (400, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)  # the four corners: no line tells them apart
    assert evaluate.linear_probe(x, y, x + 0, y) < 0.75 and evaluate.knn_leave_one_out(x, y, metric="euclidean") > 0.9


def test_constant_columns_are_no_harm(rng):
    (x, y), (test_x, test_y) = clusters(rng), clusters(rng)
    score = evaluate.linear_probe(x, y, test_x, test_y)
    for constant in (0.0, 0.1, 1e9):
        column = np.full((60, 1), constant)
        assert evaluate.linear_probe(np.hstack([x, column]), y, np.hstack([test_x, column]), test_y) == score


# ---------------------------------------------------------------------------------------- without labels: known answers


def test_uniformity_of_known_configurations(rng):
    assert_close(np.array(evaluate.uniformity(np.eye(5))), np.array(-4.0), 1e-14)  # ‖u − v‖² = 2 for all pairs
    assert_close(np.array(evaluate.uniformity(np.eye(5) * 100, t=3)), np.array(-6.0), 1e-14)
    assert evaluate.uniformity(np.ones((5, 3))) == pytest.approx(0, abs=1e-14)
    simplex = np.eye(4) - 0.25  # u·v = −1/3: the most even four points in space
    assert_close(np.array(evaluate.uniformity(simplex)), np.array(-2 * 8 / 3), 1e-14)
    # On the sphere in three dimensions u·v is uniform on [−1, 1], so E exp(−4 (1 − u·v)) = e⁻⁴ sinh(4) / 4.
    z = rng.standard_normal((4000, 3))
    assert abs(evaluate.uniformity(z) - np.log(np.exp(-4) * np.sinh(4) / 4)) < 0.01


def test_uniformity_leaves_the_diagonal_out():
    n = 200
    z = np.random.default_rng(0).standard_normal((n, 300))
    assert evaluate.uniformity(z, t=10) < -np.log(n) - 5  # with the diagonal it could not be below −log n


def test_alignment_of_known_configurations(rng):
    z = rng.standard_normal((7, 5))
    assert evaluate.alignment(z, 3 * z) < 1e-30
    assert_close(np.array(evaluate.alignment(z, -z)), np.array(4.0), 1e-14)
    assert_close(np.array(evaluate.alignment(z, -z, alpha=1)), np.array(2.0), 1e-14)


def test_ranks_of_known_configurations(rng):
    n = 11
    z = np.concatenate([np.eye(n), np.zeros((n, 1))], axis=1)
    assert evaluate.positive_rank(z, z) == (1.0, 1.0)
    assert evaluate.positive_rank(z, -z) == (2 * n - 1, 0.0)  # the partner is the worst of all candidates
    assert evaluate.positive_rank(z[:1], -z[:1]) == (1.0, 1.0)  # the only candidate
    for d in (3, 64, 513):
        rank, top1 = evaluate.positive_rank(*np.broadcast_to(rng.standard_normal(d).astype(np.float32), (2, 700, d)))
        assert rank == 700 and abs(top1 - 1 / 1399) < 1e-12  # collapse ranks as chance does, and not first


def test_ranks_of_noise_are_those_of_chance(rng):
    n = 500
    rank, top1 = evaluate.positive_rank(*rng.standard_normal((2, n, 16)))
    deviation = 2 * n / np.sqrt(12)
    assert abs(rank - n) < 4 * deviation / np.sqrt(n) and top1 < 0.01


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_ranks_are_those_of_sorting(n, seed):
    z1, z2 = np.random.default_rng(seed).standard_normal((2, n, 3))
    z = np.concatenate([z1, z2])
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    ranks = []
    for i in range(2 * n):
        others = sorted((k for k in range(2 * n) if k != i), key=lambda k: -(u[i] @ u[k]))
        ranks.append(others.index((i + n) % (2 * n)) + 1)
    rank, top1 = evaluate.positive_rank(z1, z2)
    assert_close(np.array([rank, top1]), np.array([np.mean(ranks), np.mean(np.equal(ranks, 1))]), 1e-14)


# ----------------------------------------------------------------------------------------------------- in every library


def test_judgements_are_the_same_in_every_library(xp, rng):
    (x, y), (test_x, test_y) = clusters(rng), clusters(rng)

    def judge(f):
        return [
            evaluate.knn(f(x), y, f(test_x), test_y, 3),
            evaluate.knn(f(x), y, f(test_x), test_y, 3, "euclidean"),
            evaluate.knn_leave_one_out(f(x), f(y), 3),
            evaluate.linear_probe(f(x), f(y), f(test_x), f(test_y), "ridge"),
            evaluate.alignment(f(x), f(test_x)),
            evaluate.uniformity(f(x)),
            *evaluate.positive_rank(f(x), f(test_x)),
        ]

    found = judge(xp.asarray)
    assert all(type(value) is float for value in found)
    assert_close(np.array(found), np.array(judge(np.asarray)), 1e-12)


def test_tensors_images_and_short_floats_are_taken(rng):
    x, y = clusters(rng, d=12)
    as_images = x.reshape(-1, 2, 3, 2)
    assert evaluate.knn_leave_one_out(mc.tensor(x), y) == evaluate.knn_leave_one_out(as_images, y)
    assert evaluate.linear_probe(mc.tensor(x), y, as_images, y) == evaluate.linear_probe(x, y, x, y)
    assert abs(evaluate.uniformity(x.astype(np.float16)) - evaluate.uniformity(x)) < 1e-2
    assert evaluate.knn_leave_one_out((x > 0).astype(int), y) > 0.3


# ------------------------------------------------------------------------------------ retrieval, tolerance, and the rank


def test_precision_is_that_of_a_loop(rng):
    (z, y), (keys, key_labels) = clusters(rng, 40), clusters(rng, 30)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    v = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    for k in (1, 3, 29):
        hits = []
        for i in range(40):
            order = sorted((j for j in range(40) if j != i), key=lambda j: -(u[i] @ u[j]))
            hits.append(np.mean(y[order[:k]] == y[i]))
        assert evaluate.precision_at_k(z, y, k) == pytest.approx(np.mean(hits), abs=1e-12)
        hits = [np.mean(key_labels[np.argsort(-(v @ u[i]))[:k]] == y[i]) for i in range(40)]
        found = evaluate.precision_at_k(z, y, k, keys=keys, key_labels=key_labels)
        assert found == pytest.approx(np.mean(hits), abs=1e-12)


def test_precision_has_known_limits(rng):
    y = np.arange(60) % 3
    z = np.eye(3)[y] + 1e-3 * rng.standard_normal((60, 3))
    assert evaluate.precision_at_k(z, y, 19) == 1.0  # all others of the class, and no more
    assert evaluate.precision_at_k(z, y, 38) == 0.5  # as many again that are wrong
    noise = rng.standard_normal((60, 3))
    assert evaluate.precision_at_k(noise, y, 59) == pytest.approx(19 / 59)  # everything is found: the share of pairs
    assert evaluate.precision_at_k(noise, np.arange(60), 5) == 0.0  # nobody finds itself
    assert evaluate.precision_at_k(noise, y, 1) == evaluate.knn_leave_one_out(noise, y, 1)


def test_tolerance_is_that_of_a_loop(rng):
    z, y = clusters(rng, 30)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [u[i] @ u[j] for i in range(30) for j in range(30) if i != j and y[i] == y[j]]
    assert_close(np.array(evaluate.tolerance(z, y)), np.array(np.mean(pairs)), 1e-13)


def test_tolerance_of_known_configurations(rng):
    y = np.arange(12) % 3
    assert evaluate.tolerance(np.eye(3)[y] * 7, y) == pytest.approx(1, abs=1e-14)
    assert evaluate.tolerance(np.eye(12), y) == pytest.approx(0, abs=1e-14)  # with itself it would be 1/4
    assert evaluate.tolerance(np.eye(4) - 0.25, np.zeros(4)) == pytest.approx(-1 / 3, abs=1e-14)  # a simplex
    assert evaluate.tolerance(np.zeros((4, 2)), [0, 0, 1, 1]) == 0


def test_effective_rank_of_known_configurations(rng):
    q, _ = np.linalg.qr(rng.standard_normal((20, 6)))
    assert evaluate.effective_rank(q) == pytest.approx(6, abs=1e-12)
    assert evaluate.effective_rank(np.outer(rng.standard_normal(20), rng.standard_normal(6))) == pytest.approx(1)
    p = np.array([0.5, 0.25, 0.25])  # entropy 1.5 log 2
    assert evaluate.effective_rank(q[:, :3] * p) == pytest.approx(2**1.5, abs=1e-12)
    lifted = q - q.mean(axis=0) + 1e6
    assert evaluate.effective_rank(lifted) < 1.001 and 5 < evaluate.effective_rank(lifted, center=True) <= 6
    for scale in (1e-300, 1e300):
        assert evaluate.effective_rank(q * scale) == pytest.approx(6, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 17), st.integers(2, 7))
def test_what_must_change_nothing_changes_nothing(seed, n, d):
    """Length, direction of the axes, and order of the rows."""
    rng = np.random.default_rng(seed)
    z, y = rng.standard_normal((n, d)), np.arange(n) % 2
    turn, _ = np.linalg.qr(rng.standard_normal((d, d)))
    order = rng.permutation(n)
    rank = evaluate.effective_rank(z)
    assert 1 <= rank <= min(n, d) + 1e-12
    for moved, labels in ((3.7 * z, y), (z @ turn, y), (z[order], y[order])):
        assert evaluate.effective_rank(moved) == pytest.approx(rank, rel=1e-10)
        assert evaluate.tolerance(moved, labels) == pytest.approx(evaluate.tolerance(z, y), abs=1e-12)
        assert evaluate.precision_at_k(moved, labels, 1) == evaluate.precision_at_k(z, y, 1)
        assert evaluate.uniformity(moved) == pytest.approx(evaluate.uniformity(z), abs=1e-10)
    lengths = rng.uniform(0.1, 10, (n, 1))
    assert evaluate.tolerance(lengths * z, y) == pytest.approx(evaluate.tolerance(z, y), abs=1e-12)
    assert evaluate.alignment(lengths * z, z[::-1]) == pytest.approx(evaluate.alignment(z, z[::-1]), abs=1e-12)


def test_they_take_other_array_libraries(xp, rng):
    z, y = clusters(rng, 20)
    there = xp.asarray(z)
    for f in (lambda z: evaluate.tolerance(z, y), evaluate.effective_rank, lambda z: evaluate.precision_at_k(z, y, 3)):
        assert f(there) == pytest.approx(f(z), abs=1e-12)


# ------------------------------------------------------------------------------------------------- ridge and few labels


def test_the_ridge_probe_is_its_closed_form(rng):
    (x, y), (test_x, test_y) = clusters(rng, 50), clusters(rng, 400)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    a, b = (x - mean) / deviation, (test_x - mean) / deviation
    for C in (0.01, 1.0):
        t = 2 * np.eye(3)[y] - 1
        w = np.linalg.solve(a.T @ a + np.eye(7) / (2 * C), a.T @ (t - t.mean(axis=0)))
        expected = np.mean((b @ w + t.mean(axis=0)).argmax(axis=1) == test_y)
        assert evaluate.linear_probe(x, y, test_x, test_y, model="ridge", C=C) == expected < 1


def test_the_curve_of_few_labels(rng):
    (x, y), (test_x, test_y) = clusters(rng, 300), clusters(rng, 200)
    curve = evaluate.label_efficiency(x, y, test_x, test_y, per_class=(1, 30), seeds=4, model="ridge")
    assert curve.scores.shape == (2, 4) and curve.mean[1] > curve.mean[0]
    assert np.ptp(curve.scores[1]) < np.ptp(curve.scores[0])
    for k in range(2):
        mean, half = evaluate.t_interval(curve.scores[k])
        assert (curve.mean[k], curve.low[k], curve.high[k]) == (mean, mean - half, mean + half)
    chosen = mc.data.few_labels(y, 30, np.random.default_rng([2, 30]))
    assert curve.scores[1, 2] == evaluate.linear_probe(x[chosen], y[chosen], test_x, test_y, "ridge")
    alone = evaluate.label_efficiency(x, y, test_x, test_y, per_class=30, seeds=[2, 0], model="ridge")
    assert np.array_equal(alone.scores[0], curve.scores[1, [2, 0]])  # a seed draws the same labels each time
    assert repr(curve).splitlines()[1].split()[0] == "1"


def test_the_interval_is_that_of_scipy_and_covers_what_it_says(rng):
    from scipy import stats

    values = rng.standard_normal(7)
    mean, half = evaluate.t_interval(values, 0.9)
    low, high = stats.t.interval(0.9, 6, values.mean(), stats.sem(values))
    assert_close(np.array([mean - half, mean + half]), np.array([low, high]), 1e-12)
    draws = [evaluate.t_interval(row) for row in rng.standard_normal((2000, 4))]
    assert abs(np.mean([abs(mean) <= half for mean, half in draws]) - 0.95) < 0.02


X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: evaluate.knn(X, Y[:5], X + 1, Y), r"train_y has shape \(5,\).*6 rows"),
        (lambda: evaluate.knn(X, Y, X + 1, Y[:5]), r"test_y has shape \(5,\)"),
        (lambda: evaluate.knn(X, Y, X[:, :1], Y), r"shapes \(6, 1\) and \(6, 2\)"),
        (lambda: evaluate.knn(X, Y, X + 1, Y, k=7), "k=7 neighbours.*6 keys"),
        (lambda: evaluate.knn_leave_one_out(X, Y, k=6), "k=6 neighbours.*5 keys"),
        (lambda: evaluate.knn(X, Y, X + 1, Y, metric="dot"), "'dot'"),
        (lambda: evaluate.knn(X * np.nan, Y, X, Y), "keys holds NaN"),
        (lambda: evaluate.nearest(X, X[:3], exclude_self=True), "same rows"),
        (lambda: evaluate.linear_probe(X, Y * 0, X, Y), "all training labels are 0"),
        (lambda: evaluate.linear_probe(X, Y, X[:, :1], Y), r"shapes \(6, 2\) and \(6, 1\)"),
        (lambda: evaluate.linear_probe(X, Y, X, Y, model="svm"), "'svm'"),
        (lambda: evaluate.linear_probe(X[:, 0], Y, X, Y), r"train_x has shape \(6,\)"),
        (lambda: evaluate.alignment(X, X[:3]), r"alignment: shapes \(6, 2\) and \(3, 2\)"),
        (lambda: evaluate.positive_rank(X, X[:, :1]), "positive_rank: shapes"),
        (lambda: evaluate.uniformity(X[:1]), "one row has no pair"),
        (lambda: evaluate.knn(X, Y * 0, X + 1, Y), "knn: all labels are 0"),
        (lambda: evaluate.knn_leave_one_out(X, Y * 0), "all labels are 0"),
        (lambda: evaluate.knn_leave_one_out(X, [0, 1, 0, 1, 0, np.nan]), "1 of 6 labels in y are missing"),
        (lambda: evaluate.precision_at_k(X, Y, k=6), "k=6 neighbours.*5 keys"),
        (lambda: evaluate.precision_at_k(X, Y, k=0), "k=0"),
        (lambda: evaluate.precision_at_k(X, Y[:4], k=1), r"y has shape \(4,\)"),
        (lambda: evaluate.precision_at_k(X, Y * 0, k=1), "all labels are 0"),
        (lambda: evaluate.precision_at_k(X, Y, 1, keys=X, key_labels=Y), "each would find itself"),
        (lambda: evaluate.precision_at_k(X, Y, 1, keys=X + 1), "together"),
        (lambda: evaluate.tolerance(X, Y[:5]), r"tolerance: y has shape \(5,\)"),
        (lambda: evaluate.tolerance(X, np.arange(6)), "no class has two rows"),
        (lambda: evaluate.tolerance(X * np.nan, Y), "tolerance: z holds NaN"),
        (lambda: evaluate.effective_rank(X * 0), "all rows are zero"),
        (lambda: evaluate.effective_rank(X * 0 + 0.1, center=True), "all rows are equal"),
        (lambda: evaluate.effective_rank(X[:, 0]), r"z has shape \(6,\)"),
        (lambda: evaluate.effective_rank(X / 0.0 * 0), "NaN"),
        (lambda: evaluate.label_efficiency(X, Y, X, Y, seeds=1), "at least two seeds"),
        (lambda: evaluate.label_efficiency(X, Y, X, Y, per_class=[4]), "4 samples of class 0.*has 3"),
        (lambda: evaluate.label_efficiency(X, Y, X, Y, per_class=[]), "per_class is empty"),
        (lambda: evaluate.label_efficiency(X, Y * 0, X, Y), "all labels are 0"),
        (lambda: evaluate.label_efficiency(X, Y[:3], X, Y), r"train_y has shape \(3,\)"),
        (lambda: evaluate.t_interval([1.0]), "at least two"),
        (lambda: evaluate.t_interval([1.0, np.inf]), "finite"),
        (lambda: evaluate.t_interval([1.0, 2.0], level=95), "level"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(divide by zero|invalid value)")
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
