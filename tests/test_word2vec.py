"""word2vec: what is drawn has the right distribution, the update is the gradient, and what is learned can be predicted.

The world of six words has an optimum that a formula gives. On a real text the claim is weaker: related words lie nearer
than chance, and than after training on the same words in random order.
"""

import math
import re

import numpy as np
import pytest
from differences import assert_close
from scipy.optimize import minimize
from scipy.stats import chisquare

import minicl as mc
from minicl.data import AliasTable, Vocabulary, keep_probability, window_pairs
from minicl.train import Word2Vec, checkpoints
from minicl.train.word2vec import Pairs, RowDescent, best_scores, noise_weights, sgns_rows

# ------------------------------------------------------------------------------------------------------ the alias table

WEIGHTS = {
    "one": [3.0],
    "equal": np.ones(7),
    "integers": np.array([5, 1, 1, 90, 3]),
    "with zeros": [0.0, 2.0, 0.0, 1.0],
    "a word of the text": np.arange(1, 400) ** -0.75,
    "tiny and huge": [1e-300, 1.0, 1e300],
}


def of_boxes(table):
    """The probabilities that the boxes give, added up box by box."""
    p = np.zeros(len(table))
    for j, (share, other) in enumerate(zip(table.share, table.other)):
        p[j] += share
        p[other] += 1 - share
    return p / len(table)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_the_boxes_hold_exactly_the_distribution(weights):
    table = AliasTable(weights)
    expected = np.asarray(weights, float) / np.max(weights)
    assert_close(table.probabilities, expected / expected.sum(), 1e-15)
    assert_close(of_boxes(table), table.probabilities, 1e-13)
    assert (0 <= table.share).all() and (table.share <= 1).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_weights_of_few_bits_are_added_up_in_many(dtype, rng):
    weights = rng.integers(1, 100, 80_000).astype(dtype)  # the sum of shares is above the largest float16, 65504
    exact = weights.astype(np.float64)
    table = AliasTable(weights)
    assert_close(table.probabilities, exact / exact.sum(), 1e-15)
    assert_close(of_boxes(table), exact / exact.sum(), 1e-11)


def test_boxes_of_random_weights(rng):
    for _ in range(50):
        weights = rng.dirichlet(np.full(rng.integers(1, 60), 0.2))
        assert_close(of_boxes(AliasTable(weights)), weights / weights.sum(), 1e-12)


def p_value(drawn, probabilities):
    counts = np.bincount(drawn.ravel(), minlength=len(probabilities))
    return chisquare(counts, drawn.size * probabilities).pvalue


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.75, 1.0])
def test_a_hundred_thousand_draws_have_the_distribution_and_no_other_exponent(exponent):
    counts = np.array([4000, 1500, 700, 300, 120, 60, 30, 10])
    drawn = AliasTable(noise_weights(counts, exponent)).draw((1000, 100), np.random.default_rng(3))
    for other in (0.0, 0.5, 0.75, 1.0):
        p = counts**other / (counts**other).sum()
        assert (p_value(drawn, p) > 1e-3) == (other == exponent)


def test_outcomes_of_weight_zero_are_never_drawn_and_equal_seeds_give_equal_draws():
    table = AliasTable([0, 2, 0, 1])
    drawn = table.draw(10_000, np.random.default_rng(0))
    assert set(drawn.tolist()) == {1, 3} and table.draw((2, 3), np.random.default_rng(1)).shape == (2, 3)
    assert np.array_equal(drawn, table.draw(10_000, np.random.default_rng(0)))


@pytest.mark.parametrize("weights", [[], [[1.0]], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf], ["a"]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="AliasTable: weights"):
        AliasTable(weights)


# ---------------------------------------------------------------------------------------------- subsampling and windows


def test_the_probability_to_stay():
    counts = np.array([900, 90, 9, 1])
    kept = keep_probability(counts, threshold=0.01)
    assert_close(kept, [1 / math.sqrt(90), 1 / 3, 1.0, 1.0], 1e-15)
    assert_close(keep_probability(counts, 1.0), np.ones(4), 0.0)
    assert_close((kept * counts)[:2] / 1000, np.sqrt(0.01 * counts[:2] / 1000), 1e-14)  # what is left: √(t f)
    for wrong in ([1, 0], [[1]], []):
        with pytest.raises(ValueError, match="keep_probability: counts"):
            keep_probability(wrong)
    with pytest.raises(ValueError, match="keep_probability: counts"):
        keep_probability(["a"])
    for threshold in (0.0, math.nan, "a", None, True):
        with pytest.raises(ValueError, match="keep_probability: threshold must be above 0"):
            keep_probability(counts, threshold)


def test_each_pair_of_distinct_places_within_the_drawn_window_and_no_other(rng):
    """Against loops that draw the same sizes."""
    words, sentences = rng.integers(0, 9, 40), np.repeat([0, 1, 2, 3], [1, 20, 4, 15])
    for start, stop in ((0, None), (7, 23)):
        centers, contexts = window_pairs(words, 4, np.random.default_rng(5), sentences, start, stop)
        size, expected = np.random.default_rng(5).integers(1, 5, size=(len(words[start:stop]), 1))[:, 0], []
        for i in range(start, stop or len(words)):
            for j in range(i - size[i - start], i + size[i - start] + 1):
                if j != i and 0 <= j < len(words) and sentences[i] == sentences[j]:
                    expected.append((words[i], words[j]))
        assert list(zip(centers, contexts)) == expected
    whole = [window_pairs(words, 40, np.random.default_rng(5))[0] for _ in range(2)]
    assert np.array_equal(*whole)


def test_near_words_count_more_as_the_formula_says():
    n, window = 20_000, 5
    centers, contexts = window_pairs(np.arange(n), window, np.random.default_rng(0))
    distance = np.abs(centers - contexts)
    for d in range(1, window + 1):
        p, number = (window - d + 1) / window, 2 * n - 2 * d
        assert abs((distance == d).sum() - p * number) <= 4 * math.sqrt(number * p * (1 - p)) + 4
    assert distance.max() == window and distance.min() == 1


@pytest.mark.parametrize("window", [0, -1, 1.5, True, "a", "2", math.nan, math.inf, None, [1]])
def test_a_window_is_a_whole_number(window):
    with pytest.raises(ValueError, match="window must be a whole number"):
        window_pairs(np.arange(3), window, np.random.default_rng(0))


# ----------------------------------------------------------------------------------------------------------- the update

BATCHES = {
    "distinct": Pairs(np.array([0, 1]), np.array([2, 3]), np.array([[4, 5, 6], [7, 8, 9]])),
    "one word everywhere": Pairs(np.full(5, 3), np.full(5, 3), np.full((5, 2), 3)),
    "twice in a row": Pairs(np.array([1, 1]), np.array([2, 5]), np.array([[5, 5], [2, 1]])),
    "one pair, one negative": Pairs(np.array([9]), np.array([0]), np.array([[9]])),
}


def drawn(rng, size, k=5, n=11):
    return Pairs(rng.integers(0, n, size), rng.integers(0, n, size), rng.integers(0, n, (size, k)))


def dense(n, rows, gradient):
    whole = np.zeros((n, gradient.shape[1]), gradient.dtype)
    whole[rows] = gradient
    return whole


def tables(rng, n=11, d=7, scale=1.0):
    return scale * rng.standard_normal((n, d)), scale * rng.standard_normal((n, d))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
@pytest.mark.parametrize("name", [*BATCHES, "random"])
def test_the_rows_are_the_gradient_of_the_engine(name, scale, rng):
    v, u = tables(rng, scale=scale)
    pairs = BATCHES.get(name) or drawn(rng, 64)
    loss, *found = sgns_rows(v, u, pairs)
    v_, u_ = mc.tensor(v), mc.tensor(u)
    value = mc.losses.skip_gram(v_[pairs.centers], u_[pairs.contexts], u_[pairs.negatives], reduction="sum")
    assert abs(loss - float(value)) <= 1e-12 * abs(loss)
    for (rows, gradient), expected in zip(found, mc.grad(value, [v_, u_])):
        assert_close(dense(11, rows, gradient), expected, 1e-12)
        assert expected.any() and not np.delete(expected, rows, axis=0).any()


def test_the_sums_are_those_of_add_at_bit_for_bit(rng):
    for dtype in (np.float32, np.float64):
        v, u = (x.astype(dtype) for x in tables(rng, 5))
        pairs = drawn(rng, 200, n=5)
        _, (rows_v, gv), (rows_u, gu) = sgns_rows(v, u, pairs)
        there = np.concatenate([pairs.contexts[:, None], pairs.negatives], axis=1)
        score = (u[there] @ v[pairs.centers][:, :, None])[:, :, 0]
        error = mc.sigmoid(score)
        error[:, 0] -= 1
        slow = np.zeros_like(u)
        np.add.at(slow, there, error[:, :, None] * v[pairs.centers][:, None, :])
        assert gu.dtype == gv.dtype == dtype and np.array_equal(dense(5, rows_u, gu), slow)
        slow = np.zeros_like(v)
        np.add.at(slow, pairs.centers, (error[:, None, :] @ u[there])[:, 0, :])
        assert np.array_equal(dense(5, rows_v, gv), slow)


def test_a_pair_touches_k_plus_2_rows_and_no_other():
    model = world_model(np.float64, dim=3)
    for p in model.parameters():
        p.data = np.random.default_rng(0).standard_normal(p.shape)
    before = [p.numpy().copy() for p in (model.centers, model.contexts)]
    model.step(Pairs(np.array([2]), np.array([5]), np.array([[0, 4]])))
    changed = [np.flatnonzero((a != p.numpy()).any(axis=1)) for a, p in zip(before, (model.centers, model.contexts))]
    assert changed[0].tolist() == [2] and changed[1].tolist() == [0, 4, 5]


def test_a_step_is_lr_times_the_summed_gradient_and_makes_old_graphs_stale(rng):
    model = world_model(np.float64, dim=3, lr=0.1)
    for p in model.parameters():
        p.data = rng.standard_normal(p.shape)
    pairs = drawn(rng, 4, 2, 6)
    loss, _ = model.loss(pairs)
    before, gradients = [p.numpy().copy() for p in model.parameters()], mc.grad(loss, model.parameters())
    measured = model.step(pairs)
    assert abs(measured["loss"] - float(loss)) < 1e-12
    for p, old, g in zip(model.parameters(), before, gradients):
        assert_close(old - p.numpy(), 0.1 * 4 * g, 1e-12)
    with pytest.raises(ValueError, match="stale graph"):
        mc.grad(loss, model.parameters())


def test_scores_of_800_are_exact():
    v, u = np.array([[40.0]]), np.array([[20.0], [-20.0]])
    loss, (_, gv), (_, gu) = sgns_rows(v, u, Pairs(np.array([0]), np.array([1]), np.array([[0]])))
    assert loss == 1600.0 and gv.tolist() == [[40.0]] and gu.tolist() == [[40.0], [-40.0]]


# ----------------------------------------------------------------------------------------------- the world of six words


def chain(seed=0, length=4000):
    """A text of six words: each depends on the one before it, so that neighbours have a joint distribution."""
    rng = np.random.default_rng(seed)
    often = np.array([0.45, 0.25, 0.12, 0.08, 0.06, 0.04])
    ladder = (0.5 * often + 0.5 * rng.dirichlet(6 * often, size=6)).cumsum(axis=1)
    text = [0]
    for x in rng.random(length - 1):
        text.append(int(np.searchsorted(ladder[text[-1]][:5], x)))
    return ["abcdef"[i] for i in text]


TEXT = chain()
WORLD = Vocabulary(TEXT)


def world_model(dtype=np.float32, **changed):
    chosen = {"dim": 6, "window": 1, "negatives": 2, "exponent": 1.0, "subsample": None, "epochs": 60, "lr": 0.03}
    return Word2Vec(WORLD, **chosen | {"batch_size": 64, "seed": 1, "dtype": dtype} | changed)


def joint():
    """How often each word of the text stands beside each other one: with a window of 1 these are the pairs."""
    numbers = WORLD.encode(TEXT)
    counts = np.zeros((6, 6))
    np.add.at(counts, (numbers[:-1], numbers[1:]), 1)
    return counts + counts.T


def population_optimum(counts, k, exponent, d=6):
    """By minimising the exact expectation over free vectors, with the gradient of the engine."""
    p = counts / counts.sum()
    q = p.sum(axis=0) ** exponent
    drawn_pairs = k * np.outer(p.sum(axis=1), q / q.sum())

    def value_and_slope(x):
        f = lambda v, u: mc.sum(p * mc.softplus(-(v @ u.T)) + drawn_pairs * mc.softplus(v @ u.T))
        value, gradients = mc.value_and_grad(f, *x.reshape(2, 6, d))
        return float(value), np.concatenate([g.ravel() for g in gradients])

    start = np.random.default_rng(0).standard_normal(2 * 6 * d)
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0, "gtol": 1e-10}
    x = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options).x.reshape(2, 6, d)
    return x[0] @ x[1].T


def shifted_pmi(counts, k):
    p = counts / counts.sum()
    return np.log(p / np.outer(p.sum(axis=1), p.sum(axis=0))) - np.log(k)


@pytest.mark.parametrize("k", [1, 5])
def test_the_optimum_with_unigram_noise_is_pmi_minus_log_k(k):
    found = population_optimum(joint(), k, 1.0)
    assert np.abs(found - shifted_pmi(joint(), k)).max() < 1e-4
    assert_close(best_scores(joint(), k), shifted_pmi(joint(), k), 1e-12)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.75])
def test_with_other_noise_it_is_shifted_by_what_the_formula_says(exponent):
    p = joint().sum(axis=0) / joint().sum()
    shift = (1 - exponent) * np.log(p) + np.log((p**exponent).sum())
    found = population_optimum(joint(), 5, exponent)
    assert np.abs(found - shifted_pmi(joint(), 5) - shift).max() < 1e-4
    assert_close(best_scores(joint(), 5, exponent), shifted_pmi(joint(), 5) + shift, 1e-12)
    assert np.ptp(shift) > 0.2 * (1 - exponent)  # no constant: it cannot be mistaken for another k


@pytest.mark.parametrize("exponent", [1.0, 0.75])
def test_training_on_the_text_recovers_the_scores(exponent):
    """Drawn pairs and drawn noise, so within an error; the other exponent is further away than that."""
    model = world_model(exponent=exponent).fit(TEXT, progress=False)
    scores, p = model.centers.numpy() @ model.contexts.numpy().T, joint() / joint().sum()
    off = {a: np.sqrt((p * (scores - best_scores(joint(), 2, a)) ** 2).sum()) for a in (1.0, 0.75)}
    assert off[exponent] < 0.06 and off[1.75 - exponent] > 0.12, off


def test_best_scores_of_pairs_that_never_occur_and_of_tables_that_are_none():
    assert best_scores([[1, 0], [1, 2]], 3)[0, 1] == -np.inf
    for wrong in ([1.0], [[1.0, -1.0], [1.0, 3.0]], [[np.nan]]):
        with pytest.raises(ValueError, match="best_scores: joint"):
            best_scores(wrong, 1)
    with pytest.raises(ValueError, match="never occurs"):
        best_scores([[1, 0], [1, 0]], 1)
    with pytest.raises(ValueError, match="negatives must be above 0"):
        best_scores([[1]], 0)


# ------------------------------------------------------------------------------------------------- one run like another


def everything(model):
    arrays, notes = model._snapshot()
    return {name: a.tobytes() for name, a in arrays.items()} | {"notes": repr(notes)}


SMALL = {"epochs": 4, "subsample": 0.1, "window": 3}


def test_training_is_the_same_in_every_library(xp):
    runs = []
    for device in ("cpu", "cpu" if xp is np else "gpu"):
        model = world_model(np.float64, **SMALL)
        model.to(device)
        model.fit(TEXT[:600], progress=False)
        pairs = next(model.pairs_of(*model._checked(TEXT[:600], None)))[0]
        runs.append([model.vector("a"), np.array(model.history["loss"]), np.array([float(model.loss(pairs)[0])])])
        assert isinstance(model.centers.data, np.ndarray if device == "cpu" else xp.ndarray)
        assert [word for word, _ in model.most_similar("a", 5)] and len(model.analogy("a", "b", "c", 2)) == 2
    for found, expected in zip(*runs):
        assert_close(found, expected, 1e-10)


def test_equal_seeds_give_equal_bits_and_other_seeds_others():
    runs = [world_model(**SMALL, seed=s).fit(TEXT, progress=False) for s in (1, 1, 2)]
    assert everything(runs[0]) == everything(runs[1]) != everything(runs[2])
    assert not np.array_equal(runs[0].vector("a"), runs[2].vector("a"))


@pytest.mark.parametrize("broken_after", [1, 3])
def test_a_run_that_was_interrupted_ends_in_the_same_bits(tmp_path, broken_after):
    path = tmp_path / "words.safetensors"
    whole = world_model(**SMALL).fit(TEXT, progress=False)

    def stop(model):
        if model.epoch == broken_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world_model(**SMALL).fit(TEXT, progress=False, checkpoint=path, callbacks=[stop])
    assert checkpoints.load(path)[1]["epoch"] == broken_after - 1 if path.exists() else broken_after == 1
    again = world_model(**SMALL).fit(TEXT, progress=False, checkpoint=path)
    assert everything(again) == everything(whole)


@pytest.mark.parametrize(
    "changed", [{"negatives": 3}, {"exponent": 0.75}, {"epochs": 5}, {"window": 2}, {"subsample": None}, {"dim": 5}]
)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, changed):
    path = tmp_path / "words.safetensors"
    world_model(**SMALL).fit(TEXT[:500], progress=False, checkpoint=path)
    other = world_model(**SMALL | changed)
    before = everything(other)
    with pytest.raises(ValueError, match="is that of another run"):
        other.fit(TEXT[:500], progress=False, checkpoint=path)
    assert everything(other) == before


def test_a_checkpoint_of_another_text_or_vocabulary_is_refused(tmp_path):
    path = tmp_path / "words.safetensors"
    world_model(**SMALL).fit(TEXT[:500], progress=False, checkpoint=path)
    with pytest.raises(ValueError, match="another run. images"):
        world_model(**SMALL).fit(TEXT[:501], progress=False, checkpoint=path)
    other = Word2Vec(Vocabulary(TEXT[:1000]), 6, 3, 2, 1.0, 0.1, 4, 0.03, 64, seed=1)
    with pytest.raises(ValueError, match="another run. vocabulary"):
        other.load(path)


def test_the_rate_falls_linearly_to_nearly_nothing():
    seen = []

    class Seen(Word2Vec):
        def step(self, pairs):
            seen.append(self.optimizer.lr)
            return super().step(pairs)

    Seen(WORLD, dim=2, epochs=3, lr=0.05, subsample=None, batch_size=32).fit(TEXT[:1000], progress=False)
    steps = np.arange(len(seen))
    line = 0.05 * (1 - steps / len(seen))
    assert len(seen) > 250 and np.abs(np.array(seen) - line).max() < 0.001 and seen[0] == 0.05
    assert Word2Vec(WORLD, epochs=3)._rate(3.0) == pytest.approx(0.025e-4)


def test_long_texts_are_read_in_stretches(monkeypatch):
    monkeypatch.setattr("minicl.train.word2vec.STRETCH", 100)
    model = world_model(**SMALL | {"subsample": None})
    seen = list(model.pairs_of(*model._checked(TEXT[:1050], None)))
    assert seen[-1][1] == 1.0 and all(a[1] <= b[1] for a, b in zip(seen, seen[1:]))
    counts = np.zeros((6, 6), int)
    for pairs, _ in seen:
        np.add.at(counts, (pairs.centers, pairs.contexts), 1)
    assert 0.9 < counts.sum() / (1050 * 4) < 1.1  # sizes 1, 2, 3: four contexts on the average


def test_the_loss_starts_at_its_known_value_and_falls(capsys):
    model = world_model(epochs=3)
    pairs = next(model.pairs_of(*model._checked(TEXT, None)))[0]
    assert float(model.loss(pairs)[0]) == pytest.approx(3 * math.log(2)) == model.collapse
    model.fit(TEXT, progress=True)
    assert model.history["loss"][-1] < model.history["loss"][0] < model.collapse
    assert model.history["pairs"] == [2 * (len(TEXT) - 1)] * 3
    seen = capsys.readouterr().err
    assert "epoch 3/3" in seen and "word/s" in seen and "at the start 2.079" in seen


# --------------------------------------------------------------------------------------------------------------- errors


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(TypeError, match="vocabulary is a mc.data.Vocabulary"):
        Word2Vec(["a", "b"])
    with pytest.raises(ValueError, match="the vocabulary has 1 word"):
        Word2Vec(Vocabulary(["a"] * 9))
    for k in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=r"negatives \(k\) must be a whole number, at least 1"):
            Word2Vec(WORLD, negatives=k)
    for name in ("dim", "window", "epochs", "batch_size"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1"):
            Word2Vec(WORLD, **{name: 0})
    for name, value in (("exponent", math.nan), ("lr", 0.0), ("lr", math.inf), ("subsample", 0.0)):
        with pytest.raises(ValueError, match=f"Word2Vec: {name} must be a"):
            Word2Vec(WORLD, **{name: value})
    for name in ("exponent", "lr", "subsample", "dim", "seed"):
        for value in ("x", True, [1.0]):
            with pytest.raises(ValueError, match=f"Word2Vec: {name} must be a .*got {re.escape(repr(value))}"):
                Word2Vec(WORLD, **{name: value})
    with pytest.raises(ValueError, match="Word2Vec: seed must be a whole number, at least 0, got -1"):
        Word2Vec(WORLD, seed=-1)
    with pytest.raises(ValueError, match="Word2Vec: exponent=-400.0 makes the noise of rare words infinite"):
        Word2Vec(Vocabulary(["a"] * 900 + ["b"] * 9), exponent=-400.0)


def test_texts_that_are_none_are_refused():
    model = world_model(epochs=1)
    with pytest.raises(TypeError, match="tokenize"):
        model.fit("a b c")
    with pytest.raises(ValueError, match="the text is empty"):
        model.fit([])
    for text in (["x", "y"], ["a"], [["a"], ["b"]], [[], []]):
        with pytest.raises(ValueError, match="no two words of the vocabulary"):
            model.fit(text)
    for text in ([["a"], "b"], [1, 2], [["a", 1]], None, 3):
        with pytest.raises(TypeError, match="list of words, or a list of lists of words"):
            model.fit(text)
    assert model.epoch == 0


def test_an_unknown_word_is_named_with_its_near_spellings():
    model = Word2Vec(Vocabulary(["abraham", "sarah", "isaac"] * 5))
    with pytest.raises(KeyError, match="'abrahm' is not among the 3 words.*nearly the same: abraham"):
        model.vector("abrahm")
    with pytest.raises(KeyError, match=r"'zzz' is not among the 3 words of the vocabulary\.\""):
        model.most_similar("zzz")
    with pytest.raises(KeyError, match="sara"):
        model.analogy("abraham", "sara", "isaac")
    with pytest.raises(ValueError, match=r"shape \(64,\), got \(3,\)"):
        model.most_similar(np.ones(3))
    assert [word for word, _ in model.most_similar("sarah", without="isaac")] == ["abraham"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_says_so_and_puts_the_last_epoch_back():
    model = world_model(lr=1e30, epochs=3)
    before = everything(model)
    with pytest.raises(FloatingPointError, match="Word2Vec: .* Try a smaller batch_size"):
        model.fit(TEXT, progress=False)
    after = everything(model)
    assert {k: after[k] for k in after if k.startswith("module")} == {
        k: before[k] for k in before if k.startswith("module")
    }


# ------------------------------------------------------------------------------------------------- vectors and meanings


def test_neighbours_and_analogies_of_known_vectors():
    """On a grid: vectors that are sums of a kind and an age."""
    names = ["cow", "calf", "horse", "foal", "stone"]
    model = Word2Vec(Vocabulary(names * 5), dim=4)
    kind, age = np.eye(4)[:2], np.eye(4)[2:]
    vectors = {"cow": kind[0] + age[0], "calf": kind[0] + age[1], "horse": kind[1] + age[0], "foal": kind[1] + age[1]}
    vectors["stone"] = np.array([-1.0, 0, 0, 0])
    model.centers.data = np.array([vectors[w] for w in model.vocabulary.words], np.float32)
    assert model.analogy("cow", "calf", "horse") == [("foal", pytest.approx(1.0))]
    assert model.most_similar("cow", 2) == [("calf", pytest.approx(0.5)), ("horse", pytest.approx(0.5))]
    assert model.most_similar(np.array([-2.0, 0, 0, 0]), 1) == [("stone", pytest.approx(1.0))]
    assert [w for w, _ in model.most_similar("cow", 99)] == ["calf", "horse", "foal", "stone"]
    assert len(model.analogy("cow", "calf", "horse", 99)) == 2
    model.vector("cow")[:] = 7  # a copy
    assert np.abs(model.centers.data).max() == 1


KINDS = {
    "cow": ("calf", ["moo", "graze", "milk"]),
    "horse": ("foal", ["neigh", "gallop", "saddle"]),
    "sheep": ("lamb", ["bleat", "wool", "flock"]),
    "goat": ("kid", ["climb", "horn", "beard"]),
    "dog": ("puppy", ["bark", "bone", "leash"]),
}
AGES = ["old", "large", "wise"], ["young", "small", "playful"]


def farm(seed, count=1500):
    """Sentences "what it does – its name – how old", one word in ten at random: a text with planted analogies."""
    rng = np.random.default_rng(seed)
    rest = [word for _, words in KINDS.values() for word in words] + AGES[0] + AGES[1]
    text = []
    for _ in range(count):
        kind, age = list(KINDS)[rng.integers(len(KINDS))], int(rng.integers(2))
        around = [KINDS[kind][1][rng.integers(3)], AGES[age][rng.integers(3)]]
        around = [rest[rng.integers(len(rest))] if rng.random() < 0.1 else word for word in around]
        text.append([around[0], (kind, KINDS[kind][0])[age], around[1]])
    return text


def solved(model):
    asked = [(a, KINDS[a][0], c, KINDS[c][0]) for a in KINDS for c in KINDS if a != c]
    asked += [(b, a, d, c) for a, b, c, d in asked]
    return np.mean([model.analogy(a, b, c)[0][0] == d for a, b, c, d in asked])


def shuffled(text, seed):
    """The same words in sentences of the same lengths, in random order."""
    words = [word for sentence in text for word in sentence]
    order = iter(np.random.default_rng(seed).permutation(len(words)))
    return [[words[next(order)] for _ in sentence] for sentence in text]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_analogies_are_found_and_not_after_a_shuffle(seed):
    text = farm(seed)
    vocabulary = Vocabulary([word for sentence in text for word in sentence])
    make = lambda: Word2Vec(vocabulary, 16, 1, subsample=None, epochs=15, lr=0.1, batch_size=32, seed=seed)
    found, control = (solved(make().fit(t, progress=False)) for t in (text, shuffled(text, seed)))
    assert found >= 0.9 and control <= 0.2, (found, control)


GROUPS = {
    "numbers": "two three four five six seven eight nine ten twelve",
    "kin": "father mother brother brethren sister son daughter wife husband",
    "beasts": "cattle sheep goats camels asses oxen flocks herds",
    "body": "hand eyes face head mouth heart feet",
    "time": "day night morning evening year month days years",
    "plagues": "frogs flies locusts lice hail",
}


def place_of_relatives(model):
    """For each word of a group, the share of the vocabulary that lies further from it than the others of its group:
    ½ by chance, 1 at best; the mean over words, then over groups."""
    u = mc.normalize(model.centers.numpy())
    means = []
    for group in GROUPS.values():
        numbers = [model.vocabulary[word] for word in group.split()]
        places = []
        for i in numbers:
            cosine = u @ u[i]
            places += [(cosine < cosine[j]).sum() / (len(u) - 2) for j in numbers if j != i]
        means.append(np.mean(places))
    return float(np.mean(means))


VERSES = [mc.data.tokenize(verse) for verse in mc.data.text().splitlines()]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_related_words_of_the_text_are_neighbours(seed):
    """Groups that were chosen before any training, and not changed after it."""
    vocabulary = Vocabulary([word for verse in VERSES for word in verse])
    make = lambda: Word2Vec(vocabulary, dim=32, epochs=6, lr=0.1, seed=seed)
    untrained = place_of_relatives(make())
    trained = place_of_relatives(make().fit(VERSES, progress=False))
    control = place_of_relatives(make().fit(shuffled(VERSES, seed), progress=False))
    assert trained > 0.75 and trained > max(untrained, control) + 0.2, (trained, untrained, control)


def test_the_optimizer_of_rows_counts_and_keeps_its_state():
    table = mc.tensor(np.zeros((3, 2)))
    optimizer = RowDescent([table], lr=1.0)
    optimizer.step([(np.array([1]), np.ones((1, 2)))])
    state = optimizer.state_dict()
    again = RowDescent([table], lr=0.5).load_state_dict(state)
    assert again.steps == 1 and again.lr == 1.0 and table.numpy().tolist() == [[0, 0], [-1, -1], [0, 0]]
