"""The scikit-learn face: a transformer that learns features from rows without labels, for pipelines and grid searches.

Two views of a row (noise, left-out values, a step towards another row) must find each other among all views of a batch.
What the encoder keeps of a row to do so are the features.
"""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .data.vectors import Jitter, Mask, Mixup
from .data.views import Compose
from .engine import no_grad
from .nn import MLP, ProjectionHead
from .train import SimCLR

_BLOCK = 4096  # rows at a time in transform


class ContrastiveEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learn features of plain rows by SimCLR, as a scikit-learn transformer. Labels are not used.

    Parameters
    ----------
    n_components : int
        The number of features p.
    hidden : sequence of int
        Lengths of the layers between the columns and the features; () gives a linear encoder.
    steps : int
        Steps of the optimiser, so that the time does not depend on the number of rows; rounded up to whole epochs. 0
        leaves the encoder as it starts.
    batch_size : int
        Rows in a step; all of them, if there are fewer.
    temperature : float
        τ of NT-Xent.
    learning_rate : float
        Of Adam.
    jitter : float
        The standard deviation of the noise in a view, as a share of that of each column.
    mask : float in [0, 1]
        The share of values that a view puts to the mean of their column.
    mix : float in [0, 0.5]
        How far a view moves a row towards another one, at most.
    standardize : bool
        Divide each column by its own standard deviation. False takes one number for all columns, which is right where
        they have the same unit, as pixels do.
    random_state : int, RandomState or None
        From it come the first weights, the order of the rows, and the views. The same int gives the same features.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    encoder_ : minicl.nn.MLP
        In float64. It takes standardised rows, `(X - mean_) / scale_`.
    mean_, scale_ : arrays, shape (d,)
    history_ : dict of lists
        For each epoch the mean "loss", the "rank" of the partner among all candidates and "top1", how often it is first.
    n_features_in_ : int
    feature_names_in_ : array, shape (d,)
        Only where X had names of columns that are texts.

    Raises
    ------
    ValueError
        From `fit`: if a parameter is out of its range, X has NaN or infinity, one row only, or rows that are all equal.

    Notes
    -----
    The loss is `minicl.losses.nt_xent` on the output of a projection head, which is thrown away after training (Chen et
    al. 2020, arXiv:2002.05709). Noise and left-out values are the views of choice for tables, where nothing can be
    mirrored or cropped (Bahri et al. 2021, SCARF, arXiv:2106.15147). Which views help is knowledge about the data: what
    a view changes is what the features will not tell. On some tables standardised columns are as good, so look at both.

    Features come from a network in float64, whatever was trained, so that a row has the same features alone and in a
    batch; they are given in the dtype of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 3
    >>> X = 3 * np.eye(3, 6)[y] + rng.standard_normal((120, 6))
    >>> model = make_pipeline(ContrastiveEncoder(8, steps=20, random_state=0), LogisticRegression())
    >>> model.fit(X, y)[0].get_feature_names_out()[:2]
    array(['contrastiveencoder0', 'contrastiveencoder1'], dtype=object)
    >>> bool(model.score(X, y) > 0.8)
    True
    """

    def __init__(
        self,
        n_components=128,
        *,
        hidden=(256,),
        steps=300,
        batch_size=128,
        temperature=0.5,
        learning_rate=3e-3,
        jitter=0.5,
        mask=0.4,
        mix=0.0,
        standardize=True,
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.hidden = hidden
        self.steps = steps
        self.batch_size = batch_size
        self.temperature = temperature
        self.learning_rate = learning_rate
        self.jitter = jitter
        self.mask = mask
        self.mix = mix
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn from rows.

        Parameters
        ----------
        X : array or data frame, shape (N, d), N ≥ 2
        y : ignored
            Here for pipelines.

        Returns
        -------
        The encoder itself.
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2).astype(np.float64)
        self.mean_, self.scale_ = self._measure(X)
        rows = self._scaled(X).astype(np.float32)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        sizes = [X.shape[1], *self.hidden, self.n_components]
        encoder = MLP(sizes, rng=rng)
        method = SimCLR(
            encoder,
            ProjectionHead(self.n_components, self.n_components, max(self.n_components // 2, 2), rng=rng),
            self._view(rows),
            self.temperature,
            lr=self.learning_rate,
            batch_size=min(self.batch_size, len(rows)),
            seed=int(rng.integers(2**31)),
        )
        if self.steps:
            method.fit(rows, math.ceil(self.steps / (len(rows) // method.batch_size)), progress=bool(self.verbose))
        self.history_ = method.history
        self.encoder_ = _network(sizes, encoder.state_dict())
        self._hidden, self._n_features_out = sizes[1:-1], self.n_components
        return self

    def transform(self, X):
        """The features of rows.

        Parameters
        ----------
        X : array or data frame, shape (N, d)

        Returns
        -------
        array, shape (N, p)
            In the dtype of X where that is float32, else float64; a data frame after `set_output`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        features = np.empty((len(X), self._n_features_out), dtype=X.dtype)
        with no_grad():
            for start in range(0, len(X), _BLOCK):
                rows = self._scaled(X[start : start + _BLOCK].astype(np.float64))
                features[start : start + _BLOCK] = self.encoder_(rows).data
        return features

    def _measure(self, X):
        """Mean and scale of the columns; 1 is the scale of a constant one."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = X.mean(axis=0), X.std(axis=0)
        if not np.isfinite(spread).all():
            raise ValueError(f"{type(self).__name__}: values up to {np.abs(X).max():g} are too large to be squared.")
        spread[spread <= 1e-7 * np.abs(X).max(axis=0)] = 0.0  # constant, up to rounding
        if not spread.any():
            raise ValueError(f"{type(self).__name__}: all rows are equal, so there is nothing to tell apart.")
        if self.standardize:
            return mean, np.where(spread > 0, spread, 1.0)
        return mean, np.full(len(spread), math.sqrt(np.mean(spread**2)))

    def _scaled(self, X):
        return (X - self.mean_) / self.scale_

    def _view(self, rows):
        """Rows have mean 0, so a value that is left out becomes 0."""
        views = [Jitter(self.jitter, scale=rows.std(axis=0)), Mask(self.mask)]
        return Compose([Mixup(self.mix), *views] if self.mix else views)

    def _check_parameters(self):
        hidden = self.hidden if isinstance(self.hidden, (tuple, list, np.ndarray)) else [None]
        whole = [("n_components", self.n_components, 1), ("steps", self.steps, 0), ("batch_size", self.batch_size, 2)]
        for name, value, least in [*whole, *(("hidden", size, 1) for size in hidden)]:
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                what = "a sequence of whole numbers" if name == "hidden" else "a whole number"
                raise ValueError(
                    f"{type(self).__name__}: {name} is {what}, at least {least}, got {getattr(self, name)!r}."
                )
        for name, least, most in (
            ("temperature", 0, math.inf),
            ("learning_rate", 0, math.inf),
            ("jitter", 0, math.inf),
            ("mask", 0, 1),
            ("mix", 0, 0.5),
        ):
            value = getattr(self, name)
            positive = name in ("temperature", "learning_rate")
            if not isinstance(value, Real) or not least <= value <= most or not math.isfinite(value):
                raise ValueError(f"{type(self).__name__}: {name} lies in [{least}, {most}], got {value!r}.")
            if positive and value == 0:
                raise ValueError(f"{type(self).__name__}: {name} must be positive, got {value!r}.")

    def __getstate__(self):
        """For pickle and copies: weights as bare arrays, since functions such as relu cannot be pickled."""
        state = dict(super().__getstate__())
        if "encoder_" in state:
            state["encoder_"] = state["encoder_"].state_dict()
        return state

    def __setstate__(self, state):
        if "encoder_" in state:
            sizes = [state["n_features_in_"], *state["_hidden"], state["_n_features_out"]]
            state = state | {"encoder_": _network(sizes, state["encoder_"])}
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _network(sizes, state):
    """An encoder in float64 with these weights."""
    return MLP(sizes, rng=0, dtype=np.float64).load_state_dict(state).eval()
