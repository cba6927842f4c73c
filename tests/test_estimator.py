"""ContrastiveEncoder behaves as scikit-learn's own transformers do, and learns what a linear model can use."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import minicl as mc
from minicl.estimator import ContrastiveEncoder


def table(rng, n=90):
    y = np.arange(n) % 3
    return 3 * np.eye(3, 5)[y] + rng.standard_normal((n, 5)), y


def quick(**parameters):
    return ContrastiveEncoder(**{"n_components": 4, "hidden": (8,), "steps": 10, "random_state": 0} | parameters)


@parametrize_with_checks([quick(), ContrastiveEncoder(steps=3, hidden=(), mix=0.3, standardize=False)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------------------------- how it behaves


def test_it_is_loaded_when_it_is_named():
    code = (
        "import sys, minicl as mc; before = [m for m in sys.modules if m.startswith(('sklearn', 'scipy', 'tqdm'))]; "
        "assert not before, before; assert 'ContrastiveEncoder' in dir(mc); "
        "print(mc.ContrastiveEncoder.__name__, mc.ContrastiveEncoder is mc.estimator.ContrastiveEncoder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["ContrastiveEncoder", "True"], done.stderr


def test_the_seed_decides_and_the_global_generator_does_not(rng):
    x, _ = table(rng)
    np.random.seed(0)  # noqa: NPY002
    first = quick().fit_transform(x)
    np.random.seed(1)  # noqa: NPY002
    assert np.array_equal(quick().fit_transform(x), first)
    assert np.array_equal(quick().fit(x).transform(x), first)
    assert np.abs(quick(random_state=1).fit_transform(x) - first).max() > 0.1 * np.abs(first).max()
    state = np.random.RandomState(0)  # noqa: NPY002
    encoder = quick(random_state=state)
    one, two = encoder.fit_transform(x), encoder.fit_transform(x)  # a generator goes on
    assert np.abs(one - two).max() > 0.1 * np.abs(one).max()


def test_copies_share_nothing(rng):
    x, _ = table(rng)
    encoder = quick().fit(x)
    before = encoder.transform(x)
    copies = copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))
    for p in encoder.encoder_.parameters():
        p.data = p.data * 0
    assert not encoder.transform(x).any()
    for other in copies:
        assert np.array_equal(other.transform(x), before)
    fresh = clone(encoder)
    assert fresh.get_params() == encoder.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(x)
    assert np.array_equal(fresh.fit_transform(x), before)


def test_a_row_has_the_same_features_alone_and_in_a_batch(rng, monkeypatch):
    x, _ = table(rng)
    encoder = quick().fit(x)
    whole = encoder.transform(x)
    assert np.abs(np.concatenate([encoder.transform(row[None]) for row in x]) - whole).max() < 1e-13
    monkeypatch.setattr("minicl.estimator._BLOCK", 7)
    assert np.abs(encoder.transform(x) - whole).max() < 1e-13


def test_units_and_offsets_of_columns_change_nothing(rng):
    x, _ = table(rng)
    scale, offset = 10.0 ** np.arange(-4, 6, 2), np.array([0.0, 1.0, -5.0, 1e3, 7.0])
    assert np.abs(quick().fit_transform(x * scale + offset) - quick().fit_transform(x)).max() < 1e-3
    same = quick(standardize=False)
    assert np.abs(same.fit_transform(x * 100) - same.fit_transform(x)).max() < 1e-3  # one unit for all


def test_a_constant_column_is_no_harm(rng):
    x, _ = table(rng)
    for constant in (0.0, 0.1, 1e9):
        assert np.isfinite(quick().fit_transform(np.hstack([x, np.full((90, 1), constant)]))).all()


def test_names_dtypes_and_frames(rng):
    x, _ = table(rng)
    encoder = quick().fit(x)
    assert list(encoder.get_feature_names_out()) == [f"contrastiveencoder{k}" for k in range(4)]
    assert encoder.transform(x.astype(np.float32)).dtype == np.float32 and encoder.transform(x).dtype == np.float64
    assert encoder.transform((10 * x).astype(int)).dtype == np.float64
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, columns=list("abcde"))
    out = quick().set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == list(encoder.get_feature_names_out()) and out.index.equals(frame.index)


def test_no_steps_is_the_untrained_encoder(rng):
    x, _ = table(rng)
    encoder = quick(steps=0).fit(x)
    assert encoder.history_ == {} and encoder.transform(x).shape == (90, 4)


def test_it_stands_in_a_pipeline_and_a_grid_search(rng):
    x, y = table(rng)
    model = make_pipeline(quick(), LogisticRegression())
    search = GridSearchCV(model, {"contrastiveencoder__mask": [0.0, 0.3]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.7


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_components": 0}, "n_components is a whole number, at least 1, got 0"),
        ({"n_components": 2.5}, "n_components"),
        ({"hidden": 8}, "hidden is a sequence of whole numbers"),
        ({"hidden": (8, 0)}, r"hidden.*\(8, 0\)"),
        ({"steps": -1}, "steps"),
        ({"batch_size": 1}, "batch_size is a whole number, at least 2"),
        ({"temperature": 0}, "temperature must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"jitter": -0.1}, "jitter"),
        ({"mask": 1.1}, r"mask lies in \[0, 1\], got 1.1"),
        ({"mix": "a"}, "mix"),
    ],
)
def test_parameters_are_checked_by_fit(parameters, message, rng):
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(table(rng)[0])


def test_rows_that_cannot_be_learned_from(rng):
    x, _ = table(rng)
    for bad, message in (
        (np.ones((9, 3)), "all rows are equal"),
        (x[:1], "minimum of 2"),
        (np.where(x > 2, np.nan, x), "NaN"),
        (x * 1e300, "too large"),
        (x[:, 0], "1D array"),
    ):
        with pytest.raises(ValueError, match=message):
            quick().fit(bad)


# -------------------------------------------------------------------------------------------------------- what it learns


def test_training_helps_on_digits():
    """A small version of `python -m tests.benchmarks.encoder_digits`, on the training part alone."""
    images, labels = mc.data.digits("train")
    x = images.reshape(len(images), -1)
    fit, held = mc.data.stratified_split(labels, 0.25, rng=1)

    def few(h):
        curve = mc.evaluate.label_efficiency(h[fit], labels[fit], h[held], labels[held], per_class=[5], seeds=4)
        return curve.mean[0]

    encoder = ContrastiveEncoder(steps=150, random_state=0).fit(x[fit])
    untrained = ContrastiveEncoder(steps=0, random_state=0).fit(x[fit])
    assert encoder.history_["loss"][-1] < encoder.history_["loss"][0]
    assert few(encoder.transform(x)) > few(untrained.transform(x)) + 0.02
    assert few(encoder.transform(x)) > few(x) - 0.01
