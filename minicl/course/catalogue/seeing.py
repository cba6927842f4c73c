"""Notebook 11: looking at embeddings. Principal components with a rule for signs, uniformity without the diagonal, and the
question that no map should decide alone: one cluster or two?

Right answers are known here from points on a line, from unit vectors, and from how the data were drawn.
"""

import numpy as np

from ..answers import Failed
from ..exercise import Code, Exercise, Mistake, Test, call, draw, speed

# ------------------------------------------------------------------------------------------------ principal components


def _pca(x, k, *, centre=True, signs="axes", scale=False):
    c = x - x.mean(axis=0) if centre else x
    c = c / c.std(axis=0) if scale else c
    u, s, vt = np.linalg.svd(c, full_matrices=False)
    scores, axes = u[:, :k] * s[:k], vt[:k]
    table = {"axes": axes.T, "scores": scores, "first": axes.T[:1], "sum": axes.T.sum(axis=0, keepdims=True)}[signs]
    top = np.abs(table).argmax(axis=0)
    flip = np.where(table[top, np.arange(k)] < 0, -1.0, 1.0)
    return scores * flip, axes * flip[:, None]


def _clouds():
    """f(x, k) for clouds of several shapes; the last has fewer points than dimensions."""
    return [
        call(draw(5, 2, scale=1.0), 2),
        call(draw(11, 3, scale=2.0), 2),
        call(draw(17, 7, scale=1.0), 3),
        call(draw(5, 13, scale=1.0), 2),
    ]


def _unsigned(x, k):
    c = x - x.mean(axis=0)
    u, s, vt = np.linalg.svd(c, full_matrices=False)
    return u[:, :k] * s[:k], vt[:k]


def _unsigned_eigh(x, k):
    c = x - x.mean(axis=0)
    axes = np.linalg.eigh(c.T @ c)[1][:, ::-1][:, :k]
    return c @ axes, axes.T


def _whitened(x, k):
    scores, axes = _pca(x, k)
    return scores / np.sqrt((scores**2).sum(axis=0)), axes


def _unit_variance(x, k):
    scores, axes = _pca(x, k)
    return scores / scores.std(axis=0), axes


def _smallest(x, k):
    c = x - x.mean(axis=0)
    axes = np.linalg.eigh(c.T @ c)[1][:, :k].T
    flip = np.sign(axes[np.arange(k), np.abs(axes).argmax(axis=1)])[:, None]
    return c @ (axes * flip).T, axes * flip


def _rows_centred(x, k):
    c = x - x.mean(axis=1, keepdims=True)
    return _pca(c, k, centre=False)


def _axes_flipped_alone(x, k):
    scores, axes = _unsigned(x, k)
    return scores, axes * np.sign(axes[np.arange(k), np.abs(axes).argmax(axis=1)])[:, None]


def _scores_not_centred(x, k):
    _, axes = _pca(x, k)
    return x @ axes.T, axes


def _all_components(x, k):
    return _pca(x, min(x.shape))


def _axes_are_columns(x, k):
    scores, axes = _pca(x, k)
    return scores, axes.T


def _left_for_right(x, k):
    """Takes the columns of V for the rows of Vᵀ."""
    c = x - x.mean(axis=0)
    v = np.linalg.svd(c)[2].T
    axes = v[:k]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return c @ axes.T, axes


def _rebuilt(f, x, k):
    """With all components, scores times axes are the centred points."""
    scores, axes = f(x, k)
    return scores @ axes, x - x.mean(axis=0)


def _error_is_what_was_dropped(f, x, k):
    scores, axes = f(x, k)
    c = x - x.mean(axis=0)
    s = np.linalg.svd(c, compute_uv=False)
    return np.sum((c - scores @ axes) ** 2), np.sum(s[k:] ** 2), np.sum(s**2)


def _mirrored(f, x, k):
    """Of −x the axes are the same, since their signs are fixed, and the scores turn round."""
    scores, axes = f(-x, k)
    return (-scores, axes), f(x, k)


pca = Exercise(
    name="pca",
    notebook="11",
    signature="f(x, k) -> (scores, axes)",
    statement="""The first k principal components, with a rule for their signs.

    x has shape (n, d): n points, one a row; 1 ≤ k ≤ min(n − 1, d). Take the mean of the points away, and do not scale the
    columns. axes has shape (k, d): rows of length 1 at right angles, the direction of the largest variance first. scores
    has shape (n, k): the coordinates of the centred points along the axes. The sign of an axis is free, so a rule fixes it:
    in each row of axes, the entry with the largest absolute value is positive. (All variances, and all largest entries,
    are distinct in the tests.)
    """,
    tests=[
        Test(
            "returns shapes (n, k) and (k, d)",
            "T0",
            _clouds(),
            law=lambda f, x, k: (np.array([a.shape for a in f(x, k)]), np.array([(len(x), k), (k, x.shape[1])])),
        ),
        Test(
            "knows points on a line, and a cross",
            "T1",
            [
                call(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1).gives(
                    (np.array([[-5.0], [0.0], [5.0]]), np.array([[0.6, 0.8]]))
                ),
                call(np.array([[1.0, 0.0], [4.0, -4.0], [7.0, -8.0]]), 1).gives(
                    (np.array([[5.0], [0.0], [-5.0]]), np.array([[-0.6, 0.8]]))
                ),
                call(np.array([[10.0, 23.0], [10.0, 17.0], [11.0, 20.0], [9.0, 20.0]]), 2).gives(
                    (np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]))
                ),
            ],
        ),
        Test("equals the definition", "T1", [case.gives(_pca) for case in _clouds()]),
        Test(
            "does not change when all points are shifted",
            "T2",
            _clouds(),
            law=lambda f, x, k: (f(x + np.linspace(3, 9, x.shape[1]), k), f(x, k)),
        ),
        Test("keeps its axes when all points are mirrored", "T2", _clouds(), law=_mirrored),
        Test(
            "gives the points back from all components",
            "T2",
            [call(draw(5, 2, scale=1.0), 2), call(draw(11, 3, scale=1.0), 3), call(draw(13, 5, scale=0.1), 5)],
            law=_rebuilt,
        ),
        Test("loses the sum of the dropped squares", "T2", _clouds(), law=_error_is_what_was_dropped),
        Test(
            "holds for columns of very different size",
            "T4",
            [
                call(np.random.default_rng(4).standard_normal((9, 3)) * [1.0, 50.0, 0.02] + [0.0, 500.0, 7.0], 3).gives(
                    _pca
                )
            ],
            tolerance=1e-7,
        ),
        speed(
            "takes less than 30 times as long as one decomposition",
            call(draw(400, 20, scale=1.0), 2),
            than=lambda x, k: np.linalg.svd(x, full_matrices=False),
            ratio=30,
        ),
    ],
    mistakes=[
        Mistake(
            "not-centred",
            "does not take the mean away",
            lambda x, k: _pca(x, k, centre=False),
            (
                "Shifting all points changes your axes.",
                "From where do you measure variance?",
                "Take the mean of each column away first.",
            ),
        ),
        Mistake(
            "rows-centred",
            "takes the mean of each row away",
            _rows_centred,
            (
                "Shifting all points changes your axes.",
                "Along which axis of the array do you average?",
                "A point is a row; the mean point is the mean over rows, axis 0.",
            ),
        ),
        Mistake(
            "scores-not-centred",
            "finds the axes from centred points, but takes the scores of the points as they are",
            _scores_not_centred,
            (
                "Your axes are right. The mean of your scores is not zero.",
                "Which points do you multiply with the axes?",
                "Scores are coordinates of the centred points.",
            ),
        ),
        Mistake(
            "signs-left",
            "leaves the signs as the decomposition gives them",
            _unsigned,
            (
                "Some of your axes point the other way; up to signs all is right.",
                "v and −v are equally good. Which of them does the statement want?",
                "Look at the largest entry of each axis, and turn axis and scores round where it is negative.",
            ),
            variants=(_unsigned_eigh,),
        ),
        Mistake(
            "signs-from-scores",
            "makes the largest score positive, and not the largest entry of the axis",
            lambda x, k: _pca(x, k, signs="scores"),
            (
                "When all points are mirrored, your axes turn round.",
                "From which of the two do you take the sign: from the scores or from the axes?",
                "The rule looks at the entries of each axis.",
            ),
        ),
        Mistake(
            "first-entry-positive",
            "makes the first entry of each axis positive",
            lambda x, k: _pca(x, k, signs="first"),
            (
                "Some of your axes point the other way; up to signs all is right.",
                "Which entry of an axis does your rule look at?",
                "The one with the largest absolute value, not the first.",
            ),
        ),
        Mistake(
            "axes-flipped-alone",
            "turns an axis round and not its scores",
            _axes_flipped_alone,
            (
                "Your axes are right; some columns of your scores have the wrong sign.",
                "An axis was turned round. What happens to the coordinates along it?",
                "Multiply both with the same sign.",
            ),
        ),
        Mistake(
            "standardised",
            "divides each column by its standard deviation",
            lambda x, k: _pca(x, k, scale=True),
            (
                "Scores times axes are not the centred points.",
                "What do you do to the columns besides centring?",
                "No scaling here: the columns keep their units.",
            ),
        ),
        Mistake(
            "scores-of-length-one",
            "returns the columns of U and forgets the singular values",
            _whitened,
            (
                "All your score columns have length 1.",
                "X = U Σ Vᵀ: which factors make up the scores?",
                "Multiply each column of U by its singular value.",
            ),
        ),
        Mistake(
            "scores-of-variance-one",
            "divides the scores by their standard deviation",
            _unit_variance,
            (
                "All your score columns have the same variance.",
                "Is there a division behind the projection?",
                "Scores are plain coordinates along the axes.",
            ),
        ),
        Mistake(
            "smallest-first",
            "takes the directions of the smallest variance",
            _smallest,
            (
                "Your first direction has the smallest variance.",
                "In which order does `eigh` return eigenvalues?",
                "Ascending: take the last k, in reverse.",
            ),
        ),
        Mistake(
            "axes-in-columns",
            "returns the axes as columns",
            _axes_are_columns,
            (
                "Your axes have shape (d, k).",
                "One axis is one row. What does your decomposition give?",
                "Transpose them.",
            ),
        ),
        Mistake(
            "columns-of-vt",
            "takes rows of V for the axes, which are its columns",
            _left_for_right,
            (
                "Your axes have length 1, and are no directions of large variance.",
                "NumPy returns Vᵀ and not V. Did you transpose it once too often?",
                "The first k rows of what `svd` returns third are the axes.",
            ),
        ),
        Mistake(
            "k-ignored",
            "returns all components",
            _all_components,
            (
                "You return more than k components.",
                "Where does k stand in your code?",
                "Keep the first k columns of the scores and the first k rows of the axes.",
            ),
        ),
    ],
    advice="Centre, decompose with np.linalg.svd, keep k, then look at the largest entry of each row of Vᵀ.",
)

# ---------------------------------------------------------------------------------------------------------- uniformity


def _squares(z, axis=1):
    u = z / np.sqrt((z**2).sum(axis=axis, keepdims=True)) if axis is not None else z
    return np.maximum(((u[:, None] - u) ** 2).sum(axis=-1), 0)


def _pairs(z, axis=1):
    return _squares(z, axis)[~np.eye(len(z), dtype=bool)]


def _log_mean_exp(x):
    top = x.max()
    return top + np.log(np.mean(np.exp(x - top)))


def _uniformity(z, t, axis=1):
    return _log_mean_exp(-t * _pairs(z, axis))


def _embeddings():
    """f(z, t) for 2 to 13 rows."""
    return [call(draw(n, d), t) for n, d, t in ((2, 2, 2.0), (5, 3, 1.0), (7, 2, 0.3), (13, 5, 2.0))]


def _mean_of_logs(z, t):
    d = _squares(z)
    return float(np.mean([np.log(np.mean(np.exp(-t * np.delete(row, i)))) for i, row in enumerate(d)]))


def _few(z, t):
    """e⁻ᵗ is nearly 1 − t: at a small t the value is −t times the mean square distance."""
    return -t * _pairs(z).mean()


uniformity = Exercise(
    name="uniformity",
    notebook="11",
    signature="f(z, t) -> value",
    statement="""Uniformity: how evenly embeddings cover the sphere.

    z has shape (n, d), n ≥ 2, no row is zero. Scale each row to length 1: u_i = z_i/‖z_i‖. Return

        log of the mean of exp(−t ‖u_i − u_k‖²) over all pairs with i ≠ k,

    where t > 0 and log is the natural logarithm. A row with itself is no pair. It must hold for t = 1000 too.
    """,
    tests=[
        Test("returns one number", "T0", _embeddings(), law=lambda f, *a: (np.ndim(f(*a)), 0)),
        Test(
            "knows equal, opposite and orthogonal rows",
            "T1",
            [
                call(np.array([[1.0, 0.0], [-3.0, 0.0]]), 2.0).gives(-8.0),
                call(np.array([[2.0, 0.0], [5.0, 0.0], [1.0, 0.0]]), 2.0).gives(0.0, scale=1.0),
                call(np.eye(4), 1.0).gives(-2.0),
                call(np.diag([1.0, 2.0, 3.0]), 0.5).gives(-1.0),
                call(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]), 1.0).gives(np.log((1 + 2 * np.exp(-2)) / 3)),
            ],
        ),
        Test("equals the definition", "T1", [case.gives(_uniformity, scale=1.0) for case in _embeddings()]),
        Test(
            "does not change when rows are made longer or shorter",
            "T2",
            _embeddings(),
            law=lambda f, z, t: (f(z * np.linspace(0.5, 3, len(z))[:, None], t), f(z, t), 1.0),
        ),
        Test(
            "does not change when rows change places",
            "T2",
            _embeddings(),
            law=lambda f, z, t: (f(z[::-1], t), f(z, t), 1.0),
        ),
        Test(
            "falls like the mean square distance for small t",
            "T3",
            [call(draw(7, 3), 1e-6).gives(_few)],
            tolerance=1e-5,
        ),
        Test(
            "holds for t = 1000",
            "T4",
            [
                call(np.array([[1.0, 0.0], [-1.0, 0.0]]), 1000.0).gives(-4000.0),
                call(np.eye(3), 1000.0).gives(-2000.0),
                call(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), 1000.0).gives(-2000.0 + np.log(2 / 3)),
            ],
        ),
        speed(
            "takes less than 60 times as long as the table of all pairs",
            call(draw(300, 8, scale=1.0), 2.0),
            than=lambda z, t: np.exp(z @ z.T),
            ratio=60,
        ),
    ],
    mistakes=[
        Mistake(
            "diagonal-included",
            "counts each row as a pair with itself",
            lambda z, t: _log_mean_exp(-t * _squares(z)),
            (
                "Two opposite rows give −0.69 with yours, and not −8: it cannot fall below −log n.",
                "How many pairs do you average over: n² or n(n − 1)?",
                "Leave the diagonal out of the sum and out of the count.",
            ),
        ),
        Mistake(
            "diagonal-counted",
            "leaves the diagonal out of the sum and still divides by n²",
            lambda z, t: _uniformity(z, t) + np.log(1 - 1 / len(z)),
            (
                "Equal rows must give 0; yours give log(1 − 1/n).",
                "Your sum is right. By what do you divide it?",
                "There are n(n − 1) pairs.",
            ),
        ),
        Mistake(
            "mean-of-logs",
            "takes a logarithm for each row and then the mean",
            _mean_of_logs,
            (
                "You are right where all rows are equally crowded, and too low elsewhere.",
                "Which comes first: the mean or the logarithm?",
                "One mean over all pairs, then one logarithm.",
            ),
        ),
        Mistake(
            "mean-in-the-exponent",
            "takes the mean of the squared distances before exp",
            lambda z, t: -t * _pairs(z).mean(),
            (
                "Your value is exactly proportional to t.",
                "Which comes first: the mean or exp?",
                "Exp of each pair, then the mean.",
            ),
        ),
        Mistake(
            "not-normalised",
            "does not scale the rows to length 1",
            lambda z, t: _uniformity(z, t, axis=None),
            (
                "Making a row longer changes your value.",
                "Points of a sphere have length 1. Do yours?",
                "Divide each row by its length first.",
            ),
        ),
        Mistake(
            "columns-normalised",
            "scales the columns and not the rows",
            lambda z, t: _uniformity(z, t, axis=0),
            (
                "Making a row longer changes your value.",
                "Along which axis do you take the length?",
                "A row is an embedding: axis 1, with keepdims.",
            ),
        ),
        Mistake(
            "distance-not-squared",
            "takes the distance and not its square",
            lambda z, t: _log_mean_exp(-t * np.sqrt(_pairs(z))),
            (
                "Two opposite rows give −4 with yours at t = 2.",
                "What stands in the exponent?",
                "Square the distance: ‖u − v‖² = 2 − 2 u·v.",
            ),
        ),
        Mistake(
            "cosine-kernel",
            "takes exp(t cos), as in the loss",
            lambda z, t: _log_mean_exp(t * (1 - _pairs(z) / 2)),
            (
                "Equal rows must give 0; yours give t.",
                "Which kernel do you use: that of the cosine, or that of the distance?",
                "−t ‖u − v‖² is −2t + 2t cos.",
            ),
        ),
        Mistake(
            "no-logarithm",
            "forgets the logarithm",
            lambda z, t: np.mean(np.exp(-t * _pairs(z))),
            (
                "Equal rows give 1 with yours.",
                "Look at the return line.",
                "The mean of a kernel is between 0 and 1; its logarithm is asked for.",
            ),
        ),
        Mistake(
            "sum",
            "takes the logarithm of the sum of the pairs",
            lambda z, t: _uniformity(z, t) + np.log(len(z) * (len(z) - 1)),
            (
                "Equal rows give log n(n − 1) with yours.",
                "Is there a sum where a mean should be?",
                "Divide by the number of pairs before the logarithm.",
            ),
            variants=(lambda z, t: _uniformity(z, t) + np.log(len(z) * (len(z) - 1) / 2),),
        ),
        Mistake(
            "sign",
            "forgets the minus of the exponent",
            lambda z, t: _log_mean_exp(t * _pairs(z)),
            (
                "Your value grows when the rows move apart.",
                "What is the sign of the exponent?",
                "Near pairs weigh much, far ones little: exp(−t ‖u − v‖²).",
            ),
            variants=(lambda z, t: -_uniformity(z, t),),
        ),
        Mistake(
            "t-ignored",
            "always takes t = 2",
            lambda z, t: _uniformity(z, 2.0),
            (
                "Your value is the same for every t.",
                "Where does t stand in your code?",
                "It multiplies the squared distance.",
            ),
            variants=(lambda z, t: _uniformity(z, 1.0),),
        ),
        Mistake(
            "half",
            "halves the exponent, as in a Gaussian",
            lambda z, t: _uniformity(z, t / 2),
            (
                "Two opposite rows give −4 with yours at t = 2.",
                "Is there a factor ½ in the exponent?",
                "The exponent is −t ‖u − v‖², without a half.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exp as it is, which underflows at a large t",
            lambda z, t: np.log(np.mean(np.exp(-t * _pairs(z)))),
            (
                "At t = 1000 your answer is not finite.",
                "exp(−2000) is 0 in floating point, and log 0 is −inf.",
                "Subtract the largest exponent before exp, and add it after log.",
            ),
        ),
    ],
    advice="Make the table of ‖u − v‖² = 2 − 2 u·v, take out its diagonal, and use a log-mean-exp.",
)

# ------------------------------------------------------------------------------------------------------ one or two?

_R = "np.random.default_rng"


def _one(seed, n=120, shape="[1, 1]", more=""):
    """The source of one normal cloud whose axes have these standard deviations."""
    d = len(eval(shape, {"np": np}))
    return Code(f"{_R}({seed}).standard_normal(({n}, {d})) * np.array({shape}){more}")


def _two(seed, n=60, m=60, apart=9, d=2, width=1.0, axis=0, more=""):
    """The source of two round clouds, `apart` along one coordinate; the points are in random order."""
    return Code(
        f"{_R}({seed}).permutation(np.concatenate([{_R}({seed + 1}).standard_normal(({n}, {d})), "
        f"{width} * {_R}({seed + 2}).standard_normal(({m}, {d})) + {apart} * np.eye({d})[{axis}]])){more}"
    )


_TURN = " @ np.linalg.qr(np.random.default_rng(1).standard_normal(({d}, {d})))[0]"


def _ones(*sources):
    return [call(source).gives(1) for source in sources]


def _twos(*sources):
    return [call(source).gives(2) for source in sources]


def _says_one_or_two(f, x):
    found = f(x)
    if np.ndim(found) or float(found) not in (1.0, 2.0):
        raise Failed(found, "1 or 2")


def _inner_gap(p, least=10):
    """The widest gap of numbers that leaves `least` on either side, in units of the spread within both sides."""
    p = np.sort(p)
    gaps = np.diff(p)[least - 1 : len(p) - least]
    k = int(gaps.argmax()) + least
    within = np.concatenate([p[:k] - p[:k].mean(), p[k:] - p[k:].mean()]).std()
    return gaps.max() / within, gaps.max(), k


def _first_component(x):
    c = x - x.mean(axis=0)
    return c @ np.linalg.svd(c, full_matrices=False)[2][0]


def _by_gap(x):
    return 2 if _inner_gap(_first_component(x))[0] > 1.5 else 1


def _long_is_two(x):
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    return 2 if s[0] ** 2 > 4 * s[1] ** 2 else 1


def _inertia(x):
    p = np.sort(_first_component(x))
    total = ((p - p.mean()) ** 2).sum()
    best = min(((p[:k] - p[:k].mean()) ** 2).sum() + ((p[k:] - p[k:].mean()) ** 2).sum() for k in range(10, len(p) - 9))
    return 2 if best < 0.5 * total else 1


def _widest_gap(x):
    p = np.sort(_first_component(x))
    return 2 if np.diff(p).max() > 0.5 * np.std(p) else 1


def _absolute_gap(x):
    return 2 if _inner_gap(_first_component(x))[1] > 1.5 else 1


def _first_column(x):
    return 2 if _inner_gap(x[:, 0])[0] > 1.5 else 1


def _at_the_median(x):
    p = np.sort(_first_component(x))
    k = len(p) // 2
    return 2 if p[k + 5] - p[k - 6] > 1.5 * np.std(p) else 1


one_or_two = Exercise(
    name="one_or_two",
    notebook="11",
    signature="f(x) -> count",
    statement="""One cluster or two? Decided by the data, not by a map.

    x has shape (n, d) with 70 to 300 points. It was drawn in one of two ways. Either from one normal distribution, which
    may be up to 30 times as long in one direction as in another. Or from two round ones, in random order: their means are
    at least 8 standard deviations (of the wider one) apart, the wider is up to 3 times as wide, and each has at least 15
    points. The unit, the direction and the place are arbitrary. One single point may lie far off; it is no cluster. Return
    1 or 2. There are many right ways. A t-SNE map is none: it shows clumps where there are none.
    """,
    verdicts=True,  # many rules are right
    tests=[
        Test("returns 1 or 2", "T0", [call(_one(0)), call(_two(0))], law=_says_one_or_two),
        Test("says 1 for one round cloud", "T1", _ones(_one(10), _one(11, 80), _one(12, 250, "[1, 1, 1, 1, 1]"))),
        Test("says 2 for two round clouds", "T1", _twos(_two(20), _two(23, 100, 100), _two(26, 50, 70, apart=12))),
        Test(
            "does not depend on the unit",
            "T2",
            [
                *_ones(_one(30, more=" * 1000"), _one(31, more=" * 1e-3")),
                *_twos(_two(32, more=" * 0.01"), _two(35, more=" * 1e4")),
            ],
        ),
        Test(
            "does not depend on the direction",
            "T2",
            _twos(
                _two(40, axis=1),
                _two(43, d=5, axis=3),
                _two(46, d=3, apart=9, axis=2, more=_TURN.format(d=3)),
            ),
        ),
        Test(
            "does not depend on the place", "T2", [*_ones(_one(50, more=" + 500.0")), *_twos(_two(51, more=" - 70.0"))]
        ),
        Test(
            "says 1 for one long cloud",
            "T4",
            _ones(
                _one(60, shape="[30, 1]"),
                _one(61, 200, "[1, 10, 1]"),
                _one(62, shape="[1, 20]", more=_TURN.format(d=2)),
            ),
        ),
        Test(
            "says 2 where one cloud is small",
            "T4",
            _twos(_two(70, 100, 18), _two(73, 20, 150, apart=10), _two(76, 150, 25, d=4, axis=2)),
        ),
        Test(
            "says 2 where one cloud is narrow", "T4", _twos(_two(80, width=0.35), _two(83, 80, 40, width=0.4, axis=1))
        ),
        Test(
            "takes a single point for no cluster",
            "T4",
            _ones(
                Code(f"np.concatenate([{_R}(90).standard_normal((120, 2)), [[9.0, 9.0]]])"),
                Code(f"np.concatenate([[[0.0, -25.0, 0.0]], {_R}(91).standard_normal((200, 3))])"),
            ),
        ),
        Test(
            "says 2 in many dimensions", "T4", _twos(_two(95, 100, 100, d=20, axis=13), _two(98, 120, 60, d=30, axis=7))
        ),
    ],
    mistakes=[
        Mistake(
            "always-two",
            "sees two clusters everywhere",
            lambda x: 2,
            (
                "You find two clusters in every cloud.",
                "Cutting a cloud in two is always possible. What tells that the cut is empty?",
                "Compare the gap between the parts with the spread within them.",
            ),
        ),
        Mistake(
            "always-one",
            "sees one cluster everywhere",
            lambda x: 1,
            (
                "You find one cluster in every cloud.",
                "What would two clusters change in the quantity that you look at?",
                "Look along the first principal component: is there an empty stretch?",
            ),
        ),
        Mistake(
            "long-is-two",
            "takes a long cloud for two",
            _long_is_two,
            (
                "One long cloud counts as two with yours.",
                "Is your quantity large for every cloud that is longer than it is wide?",
                "Two clusters have an empty stretch between them. A long cloud has none.",
            ),
            variants=(_inertia,),
        ),
        Mistake(
            "absolute-gap",
            "compares a gap with a fixed number",
            _absolute_gap,
            (
                "In another unit your answer is another.",
                "Your threshold has a unit: which?",
                "Divide the gap by the spread within the parts.",
            ),
        ),
        Mistake(
            "first-column",
            "looks at the first coordinate alone",
            _first_column,
            (
                "Clusters that differ in another coordinate are one for you.",
                "Which coordinates do you look at?",
                "Find the direction of the largest variance first.",
            ),
        ),
        Mistake(
            "point-is-cluster",
            "takes a gap in front of single points for a gap between clusters",
            _widest_gap,
            (
                "A single point far off makes two clusters with yours.",
                "How many points lie on the smaller side of your gap?",
                "Ask for at least ten points on either side.",
            ),
        ),
        Mistake(
            "equal-halves",
            "looks for the gap at the median alone",
            _at_the_median,
            (
                "You miss a small cluster beside a large one.",
                "Where do you look for the gap?",
                "The clusters need not be of one size: try every cut.",
            ),
        ),
    ],
    advice="Project on the first principal component, sort, and find the widest gap that leaves ten points on either side.",
)
