"""Notebook 09: two views of each image, and two ways to judge an encoder by its features.

Right answers are known here from points on a line or a circle, and from what must not change them.
"""

import numpy as np

from ..answers import Failed
from ..exercise import Code, Exercise, Mistake, Test, call, draw, speed

# ---------------------------------------------------------------------------------------------------------- two views

# Images of one pixel with three channels: how often it was augmented, the random draw, and the number of the image.
_AUGMENT = Code(
    "lambda images, rng: np.stack([images[..., 0] + 1, rng.random(images.shape[:-1]), images[..., 2]], axis=-1)"
)
_COUNTS = "Channel 0 of these images counts how often they were augmented."
_DRAWS = "Channel 1 of a view is the random number that augment drew."
_NUMBERS = "Channel 2 of these images is their number."


def _batch(count, seed, note=""):
    """f(images, augment, rng) for a batch of tiny images."""
    images = np.zeros((count, 1, 1, 3))
    images[..., 2] = np.arange(count).reshape(-1, 1, 1)
    return call(images, _AUGMENT, Code(f"np.random.default_rng({seed})")).noting(note)


def _channel(f, images, augment, rng, number):
    """One channel of both views, as an array of shape (2, N)."""
    views = f(images, augment, rng)
    for name, view in zip(("v1", "v2"), views):
        if view.shape != images.shape:
            raise Failed(f"{name} has shape {view.shape}", f"shape {images.shape}")
    return np.stack(views)[..., 0, 0, number]


def _has_shapes(f, images, augment, rng):
    _channel(f, images, augment, rng, 0)


def _augments_once(f, images, augment, rng):
    return _channel(f, images, augment, rng, 0), np.ones((2, len(images)))


def _keeps_order(f, images, augment, rng):
    return _channel(f, images, augment, rng, 2), np.tile(np.arange(float(len(images))), (2, 1))


def _draws_differ(f, images, augment, rng):
    draws = _channel(f, images, augment, rng, 1)
    if (draws[0] == draws[1]).any():
        raise Failed("the two views of an image are identical", "a random draw for each view")
    if len(np.unique(draws)) < draws.size:
        raise Failed("two images have the same random draw", "a random draw for each image")


def _repeats(f, images, augment, rng):
    if (_channel(f, images, augment, rng, 1) != _channel(f, images, augment, rng, 1)).any():
        raise Failed("other views for the same seed", "the same views: all randomness comes from rng")


def _goes_on(f, images, augment, rng):
    rng = rng.kept()
    if np.isin(_channel(f, images, augment, rng, 1), _channel(f, images, augment, rng, 1)).any():
        raise Failed("the second batch gets the same draws", "new draws: the generator goes on")


def _one_view(images, augment, rng):
    view = augment(images, rng)
    return view, view


def _one_seed(images, augment, rng):
    seed = int(rng.integers(2**31))
    return augment(images, np.random.default_rng(seed)), augment(images, np.random.default_rng(seed))


def _view_of_view(images, augment, rng):
    first = augment(images, rng)
    return first, augment(first, rng)


def _own_generator(images, augment, rng):
    own = np.random.default_rng()
    return augment(images, own), augment(images, own)


def _fixed_generator(images, augment, rng):
    own = np.random.default_rng(0)
    return augment(images, own), augment(images, own)


def _one_draw_for_all(images, augment, rng):
    seeds = rng.integers(2**31, size=2)
    views = [[augment(x[None], np.random.default_rng(seed))[0] for x in images] for seed in seeds]
    return np.array(views[0]), np.array(views[1])


def _interleaved(images, augment, rng):
    both = augment(np.repeat(images, 2, axis=0), rng)
    return both[: len(images)], both[len(images) :]


def _overwritten(images, augment, rng):
    second = augment(images, rng)
    images[...] = augment(images, rng)
    return images, second


two_views = Exercise(
    name="two_views",
    notebook="09",
    signature="f(images, augment, rng) -> (v1, v2)",
    statement="""Two independent random views of every image.

    images has shape (N, H, W, C). augment(images, rng) returns new images of the same shape, each changed by random
    numbers that it draws from the NumPy generator rng, fresh ones for every image. Return two views of the batch, v1
    and v2: row i of both comes from image i, and is that image augmented once. All randomness comes from rng: the
    same seed gives the same views, and a second batch drawn from the same generator gets new ones. images stays as it
    was.
    """,
    verdicts=True,  # which random numbers go where is free
    tests=[
        Test("returns two arrays of the shape of images", "T0", [_batch(1, 1), _batch(3, 3)], law=_has_shapes),
        Test(
            "augments every image once in each view",
            "T1",
            [_batch(n, n, _COUNTS) for n in (1, 2, 5)],
            law=_augments_once,
        ),
        Test("keeps the order of the images", "T1", [_batch(n, n, _NUMBERS) for n in (2, 5)], law=_keeps_order),
        Test(
            "draws anew for each view and each image",
            "T2",
            [_batch(n, n, _DRAWS) for n in (1, 2, 5)],
            law=_draws_differ,
        ),
        Test("gives the same views for the same seed", "T2", [_batch(2, 1, _DRAWS)], law=_repeats),
        Test(
            "gives new views to the next batch", "T2", [_batch(2, 1, "Called twice with one generator.")], law=_goes_on
        ),
    ],
    mistakes=[
        Mistake(
            "identical-views",
            "uses the same random numbers for both views",
            _one_view,
            (
                "Your two views are identical: the pair can be told by its pixels, and nothing is learned.",
                "How often is augment called, and with which generator?",
                "Draw twice from the same generator, one view after the other.",
            ),
            variants=(_one_seed,),
        ),
        Mistake(
            "view-of-view",
            "augments the first view to make the second",
            _view_of_view,
            (
                "Your second view was augmented twice.",
                "Look at what is given to augment the second time.",
                "Both views start from the image itself.",
            ),
        ),
        Mistake(
            "first-view-raw",
            "returns the images themselves as the first view",
            lambda images, augment, rng: (images, augment(images, rng)),
            (
                "One of your views was not augmented.",
                "Count the calls of augment.",
                "Both views are random: then the encoder cannot tell which is the original.",
            ),
            variants=(lambda images, augment, rng: (augment(images, rng), images),),
        ),
        Mistake(
            "not-augmented",
            "does not augment at all",
            lambda images, augment, rng: (images.copy(), images.copy()),
            (
                "Your views are the images.",
                "augment is never called, or its result is thrown away: it returns new images.",
                "Use what augment returns.",
            ),
        ),
        Mistake(
            "own-generator",
            "draws from a generator of its own",
            _own_generator,
            (
                "The same seed gives other views each time.",
                "Where does the randomness come from?",
                "Use the generator that you were given.",
            ),
        ),
        Mistake(
            "fixed-generator",
            "starts a generator with a fixed seed at every call",
            _fixed_generator,
            (
                "Every batch gets the same random numbers.",
                "Where is the generator made, and how often?",
                "Use the generator that you were given: it goes on from batch to batch.",
            ),
        ),
        Mistake(
            "one-draw-for-all",
            "changes all images of a view by the same random numbers",
            _one_draw_for_all,
            (
                "All images of a view have the same random draw.",
                "Is the generator started again for each image?",
                "Each image needs random numbers of its own; augment draws them when it is given the whole batch.",
            ),
        ),
        Mistake(
            "order-changed",
            "brings the second view into another order",
            lambda images, augment, rng: (augment(images, rng), augment(images[::-1], rng)),
            (
                "Row i of your two views comes from two different images.",
                "Look for a shuffle, or for a reversed index.",
                "The pair (v1[i], v2[i]) is the only label there is: both must come from image i.",
            ),
        ),
        Mistake(
            "interleaved",
            "repeats each image twice and then cuts the batch in halves",
            _interleaved,
            (
                "Your first view holds images 0, 0, 1, 1, ...",
                "There are two storage orders: interleaved and stacked. Which one do you make, and which do you read?",
                "Halves belong to the stacked order; the interleaved order is read by every second row.",
            ),
        ),
        Mistake(
            "stacked",
            "returns both views in one array",
            lambda images, augment, rng: np.concatenate([augment(images, rng), augment(images, rng)]),
            (
                "You return one array of 2N images.",
                "Look at the return line.",
                "Two arrays are wanted.",
            ),
        ),
        Mistake(
            "images-overwritten",
            "writes a view into images",
            _overwritten,
            (
                "After the call images is not what it was: the next epoch would augment a view.",
                "Look for images[...] = or for an in-place operation.",
                "Keep the result of augment in a variable of its own.",
            ),
        ),
    ],
    advice="Follow one image: how often is it augmented, with which draws, and where does it end?",
)

# -------------------------------------------------------------------------------------------------------- linear probe


def _column(*x):
    return np.array(x, float).reshape(-1, 1)


_LINE, _LINE_LABELS = _column(0, 1, 2, 3, 8), np.array([0, 0, 0, 0, 1])
_THREE, _THREE_LABELS = _column(0, 1, 4, 5, 6, 9, 10), np.array([1, 1, 2, 2, 2, 3, 3])
_PLANE, _PLANE_LABELS = np.array([[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]]), np.array([0, 1, 0, 2])
_PLANE_TEST = np.array([[-1.0, 1.0], [1.0, 1.0], [-2.0, 0.5], [-1.0, 0.5], [1.0, 0.5], [2.0, 0.5]])
_TWELVE = np.array([4, 0, 0, 7, 4, 7, 7, 0, 4, 0, 4, 4])


def _random_probe():
    """Twelve examples of three classes in the plane, and in space."""
    return [
        call(draw(12, d, scale=1.0), _TWELVE, draw(n, d, scale=1.0), r)
        for d, n, r in ((1, 3, 0.5), (2, 9, 3.0), (3, 30, 0.7))
    ]


def _rotation(d):
    return np.linalg.qr(np.arange(1.0, d * d + 1).reshape(d, d) ** 0.5)[0]


def _ridge(x, y_one_hot, ridge):
    """Least squares without a bias."""
    return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y_one_hot)


def _one_hot(y):
    classes = np.unique(y)
    return classes, (y[:, None] == classes).astype(float)


def _lp_no_bias(x, y, t, ridge):
    classes, hot = _one_hot(y)
    return classes[np.argmax(t @ _ridge(x, hot, ridge), axis=1)]


def _lp_targets_centred(x, y, t, ridge):
    classes, hot = _one_hot(y)
    return classes[np.argmax((t - x.mean(0)) @ _ridge(x - x.mean(0), hot, ridge), axis=1)]


def _lp_bias_penalised(x, y, t, ridge):
    classes, hot = _one_hot(y)
    x, t = (np.concatenate([part, np.ones((len(part), 1))], axis=1) for part in (x, t))
    return classes[np.argmax(t @ _ridge(x, hot, ridge), axis=1)]


def _lp_test_mean(x, y, t, ridge):
    classes, hot = _one_hot(y)
    return classes[np.argmax((t - t.mean(0)) @ _ridge(x - x.mean(0), hot, ridge) + hot.mean(0), axis=1)]


def _lp_joint_mean(x, y, t, ridge):
    classes, hot = _one_hot(y)
    mean = np.concatenate([x, t]).mean(0)
    return classes[np.argmax((t - mean) @ _ridge(x - mean, hot, ridge) + hot.mean(0), axis=1)]


def _lp_standardised(x, y, t, ridge):
    classes, hot = _one_hot(y)
    mean, deviation = x.mean(0), x.std(0)
    return classes[np.argmax((t - mean) / deviation @ _ridge((x - mean) / deviation, hot, ridge) + hot.mean(0), axis=1)]


def _lp_test_standardised(x, y, t, ridge):
    classes, hot = _one_hot(y)
    weights = _ridge((x - x.mean(0)) / x.std(0), hot, ridge)
    return classes[np.argmax((t - t.mean(0)) / t.std(0) @ weights + hot.mean(0), axis=1)]


def _lp_mean_loss(x, y, t, ridge):
    classes, hot = _one_hot(y)
    return classes[np.argmax((t - x.mean(0)) @ _ridge(x - x.mean(0), hot, ridge * len(x)) + hot.mean(0), axis=1)]


def _lp_no_ridge(x, y, t, ridge):
    classes, hot = _one_hot(y)
    return classes[np.argmax((t - x.mean(0)) @ np.linalg.pinv(x - x.mean(0)) @ hot + hot.mean(0), axis=1)]


def _lp_class_numbers(x, y, t, ridge):
    _, hot = _one_hot(y)
    return np.argmax((t - x.mean(0)) @ _ridge(x - x.mean(0), hot, ridge) + hot.mean(0), axis=1)


def _lp_scores(x, y, t, ridge):
    _, hot = _one_hot(y)
    return (t - x.mean(0)) @ _ridge(x - x.mean(0), hot, ridge) + hot.mean(0)


def _lp_labels_fitted(x, y, t, ridge):
    fitted = (t - x.mean(0)) @ _ridge(x - x.mean(0), y.astype(float), ridge) + y.mean()
    return np.round(fitted).astype(int)


def _lp_nearest_label(x, y, t, ridge):
    classes = np.unique(y)
    fitted = (t - x.mean(0)) @ _ridge(x - x.mean(0), y.astype(float), ridge) + y.mean()
    return classes[np.abs(fitted[:, None] - classes).argmin(1)]


linear_probe = Exercise(
    name="linear_probe",
    notebook="09",
    signature="f(train_x, train_y, test_x, ridge) -> labels",
    statement="""Classify by ridge regression on one-hot labels, in closed form.

    train_x has shape (N, d), train_y holds N whole-number labels (any numbers, such as 3 and 8), test_x has shape (M,
    d). Find the weights W, of shape (d, classes), and the bias b that minimise the sum over the training examples of
    |x W + b - one_hot(y)|² plus ridge · |W|². It is a sum, not a mean, and the bias is not penalised. Return the M
    labels with the largest score x W + b. Everything is learned from the training examples: a prediction does not
    depend on the other test examples. Equal scores do not occur.
    """,
    tests=[
        Test(
            "returns one of the labels for each test example",
            "T0",
            [call(_column(0, 2), np.array([3, 8]), _column(5, -1, 7), 1.0), *_random_probe()],
            law=lambda f, x, y, t, r: (np.array(np.isin(f(x, y, t, r), y)), np.ones(len(t), bool)),
        ),
        Test(
            "puts the border between two examples in the middle",
            "T1",
            [
                call(_column(0, 2), np.array([3, 8]), _column(0.9, 1.1), 1.0).gives(np.array([3, 8])),
                call(_column(5, 2), np.array([3, 8]), _column(3.4, 3.6), 0.1).gives(np.array([8, 3])),
            ],
        ),
        Test(
            # On a line the border is at mean + (p - q) (S + ridge) / 2 s: p, q are the shares of the two classes, S the
            # sum of squared distances from the mean, s the sum of distances from the mean over the class of share q.
            "knows the borders on a line",
            "T1",
            [
                call(_LINE, _LINE_LABELS, _column(5.0, 5.1), 0.0).gives(np.array([0, 1])),
                call(_LINE, _LINE_LABELS, _column(5.5, 5.7), 10.0).gives(np.array([0, 1])),
                call(_THREE, _THREE_LABELS, _column(3.6, 3.7, 6.3, 6.4), 0.0).gives(np.array([1, 2, 2, 3])),
                call(_THREE, _THREE_LABELS, _column(3.3, 3.4, 6.6, 6.7), 20.0).gives(np.array([1, 2, 2, 3])),
            ],
        ),
        Test(
            "knows the borders in the plane",
            "T1",
            [
                call(_PLANE, _PLANE_LABELS, _PLANE_TEST, r).gives(np.array(a))
                for r, a in ((8.0, [1, 2, 1, 0, 0, 2]), (0.0, [1, 2, 1, 1, 2, 2]))
            ],
        ),
        Test(
            "judges each test example alone",
            "T2",
            _random_probe(),
            law=lambda f, x, y, t, r: (
                np.concatenate([np.ravel(f(x, y, t[i : i + 1], r)) for i in range(len(t))]),
                f(x, y, t, r),
            ),
        ),
        Test(
            "does not change when all features are moved",
            "T2",
            _random_probe(),
            law=lambda f, x, y, t, r: (f(x + 10, y, t + 10, r), f(x, y, t, r)),
        ),
        Test(
            "does not change when space is rotated",
            "T2",
            _random_probe()[1:],
            law=lambda f, x, y, t, r: (f(x @ _rotation(x.shape[1]), y, t @ _rotation(x.shape[1]), r), f(x, y, t, r)),
        ),
        Test(
            "does not change when features are scaled by 10 and ridge by 100",
            "T2",
            _random_probe(),
            law=lambda f, x, y, t, r: (f(10 * x, y, 10 * t, 100 * r), f(x, y, t, r)),
        ),
        Test(
            "does not change when each training example is given twice and ridge is doubled",
            "T2",
            _random_probe(),
            law=lambda f, x, y, t, r: (f(np.concatenate([x, x]), np.concatenate([y, y]), t, 2 * r), f(x, y, t, r)),
        ),
        Test(
            "uses labels as names only",
            "T2",
            _random_probe(),
            law=lambda f, x, y, t, r: (f(x, 100 - y, t, r), 100 - f(x, y, t, r)),
        ),
        Test(
            "handles more features than examples, and a feature that never changes",
            "T4",
            [
                call(
                    np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([0, 1]), np.array([[0.9, 1.0], [1.1, 1.0]]), 1.0
                ).gives(np.array([0, 1])),
                call(
                    np.array([[0.0, 0.0, 1.0], [2.0, 2.0, 1.0]]),
                    np.array([1, 0]),
                    np.array([[1.0, 0.9, 1.0], [1.1, 1.0, 1.0]]),
                    0.1,
                ).gives(np.array([1, 0])),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "no-bias",
            "has no bias",
            _lp_no_bias,
            (
                "Moving all features by the same amount changes your predictions.",
                "Without a bias all scores are 0 at x = 0.",
                "Add b. Or take the means away from features and targets, and put the target's back.",
            ),
        ),
        Mistake(
            "target-mean-lost",
            "takes the mean away from the features and forgets the mean of the targets",
            _lp_targets_centred,
            (
                "Classes with many examples are predicted too seldom.",
                "At the mean of the features the score of a class should be its share of the examples. What is yours?",
                "The bias is fixed by the means of features and of targets.",
            ),
        ),
        Mistake(
            "bias-penalised",
            "penalises the bias as if it were a weight",
            _lp_bias_penalised,
            (
                "Moving all features by the same amount changes your predictions.",
                "Does ridge stand beside every unknown? Look at the row of the bias.",
                "The entry of the bias on the diagonal is zero; or centre first.",
            ),
        ),
        Mistake(
            "test-mean",
            "centres the test examples by their own mean",
            _lp_test_mean,
            (
                "A prediction changes when other test examples are left out.",
                "Which mean do you take away from test_x?",
                "Everything is learned from the training examples, the mean too.",
            ),
        ),
        Mistake(
            "joint-mean",
            "takes the mean over training and test examples together",
            _lp_joint_mean,
            (
                "A prediction changes when other test examples are left out.",
                "Over which examples do you take the mean?",
                "Everything is learned from the training examples, the mean too.",
            ),
        ),
        Mistake(
            "standardised",
            "divides each feature by its standard deviation",
            _lp_standardised,
            (
                "Rotating space changes your predictions.",
                "Look for a division by a standard deviation: with a penalty it changes the answer.",
                "The statement asks for the penalty on the weights of the features as they are.",
            ),
        ),
        Mistake(
            "test-standardised",
            "standardises the test examples by their own mean and deviation",
            _lp_test_standardised,
            (
                "A prediction changes when other test examples are left out.",
                "Which statistics do you use for test_x?",
                "Nothing is learned from the test examples.",
            ),
        ),
        Mistake(
            "mean-loss",
            "multiplies ridge by the number of examples (a mean of the errors)",
            _lp_mean_loss,
            (
                "Your borders are those of a larger ridge.",
                "Is the error a sum or a mean over the examples?",
                "The statement asks for the sum.",
            ),
        ),
        Mistake(
            "ridge-ignored",
            "ignores ridge",
            _lp_no_ridge,
            (
                "Your predictions are the same for every ridge.",
                "Where does ridge stand in your equations?",
                "It is added to the diagonal of the matrix that is inverted.",
            ),
        ),
        Mistake(
            "class-numbers",
            "returns the position of the class instead of its label",
            _lp_class_numbers,
            (
                "For labels 3 and 8 you return 0 and 1.",
                "Look at what argmax gives: a position.",
                "Translate positions back to labels.",
            ),
        ),
        Mistake(
            "scores",
            "returns the scores",
            _lp_scores,
            (
                "You return an array with a column for each class.",
                "Labels are wanted.",
                "Which class has the largest score in each row?",
            ),
        ),
        Mistake(
            "labels-fitted",
            "fits the labels as if they were quantities",
            _lp_labels_fitted,
            (
                "You return numbers between the labels, or the middle class too often.",
                "Is label 8 more than label 3?",
                "One column of zeros and ones for each class.",
            ),
            variants=(_lp_nearest_label,),
        ),
    ],
    advice="Set the derivative by b to zero first: it says what b is, and a regression without bias is left.",
)

# ------------------------------------------------------------------------------------------------------------------ kNN

_FAN, _FAN_LABELS = (
    np.array([[4.0, 0.0], [3.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 2.0], [-1.0, 2.0]]),
    np.array([0, 1, 0, 1, 1, 0]),
)
_EQUAL = np.array([[1.0, 0.0]] * 3)
_TWINS = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])


def _random_knn():
    return [call(draw(n, d, scale=1.0), np.arange(n) % 3, k) for n, d, k in ((4, 2, 1), (7, 2, 3), (19, 5, 3))]


def _unit(x):
    return x / np.sqrt((x * x).sum(1, keepdims=True))


def _majority(labels):
    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()]


def _vote(scores, labels, k):
    return np.array([_majority(labels[np.argsort(-row, kind="stable")[:k]]) for row in scores])


def _without_self(scores):
    return np.where(np.eye(len(scores), dtype=bool), -np.inf, scores)


def _knn_drop_first(features, labels, k):
    scores = _unit(features) @ _unit(features).T
    return np.array([_majority(labels[np.argsort(-row, kind="stable")[1 : k + 1]]) for row in scores])


def _knn_self_zero(features, labels, k):
    scores = _unit(features) @ _unit(features).T
    return _vote(np.where(np.eye(len(scores), dtype=bool), 0.0, scores), labels, k)


def _knn_euclid(features, labels, k):
    squares = (features**2).sum(1)
    return _vote(_without_self(2 * features @ features.T - squares[:, None] - squares), labels, k)


def _knn_weighted(features, labels, k):
    scores, classes = _without_self(_unit(features) @ _unit(features).T), np.unique(labels)
    nearest = [np.argsort(-row, kind="stable")[:k] for row in scores]
    votes = [[row[near][labels[near] == c].sum() for c in classes] for row, near in zip(scores, nearest)]
    return classes[np.argmax(votes, axis=1)]


def _knn_first_wins(features, labels, k):
    found = []
    for row in _without_self(_unit(features) @ _unit(features).T):
        near = labels[np.argsort(-row, kind="stable")[:k]].tolist()
        found.append(max(near, key=near.count))
    return np.array(found)


def _knn_largest_wins(features, labels, k):
    return -_vote(_without_self(_unit(features) @ _unit(features).T), -labels, k)


def _knn_by_column(features, labels, k):
    units = features / np.sqrt((features**2).sum(0))
    return _vote(_without_self(units @ units.T), labels, k)


knn = Exercise(
    name="knn",
    notebook="09",
    signature="f(features, labels, k) -> labels",
    statement="""Classify each row by its k nearest other rows.

    features has shape (N, d), with no row of zeros, and labels holds N whole numbers. For each row find the k other
    rows with the largest cosine similarity (the row itself is not among them; of equally similar rows those with the
    smaller index), and return the label that most of them have; if several labels are equally frequent, the smallest
    of these.
    """,
    tests=[
        Test(
            "returns one of the labels for each row",
            "T0",
            [call(_FAN, _FAN_LABELS, 1), *_random_knn()],
            law=lambda f, x, y, k: (np.isin(f(x, y, k), y), np.ones(len(y), bool)),
        ),
        Test(
            "knows the neighbours of a fan of vectors",
            "T1",
            [
                call(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([3, 8]), 1).gives(np.array([8, 3])),
                call(_FAN, _FAN_LABELS, 1).gives(np.array([1, 0, 1, 1, 1, 1])),
                call(_FAN, _FAN_LABELS, 3).gives(np.array([1, 0, 1, 0, 0, 1])),
                call(_FAN, _FAN_LABELS, 5).gives(np.array([1, 0, 1, 0, 0, 1])),
            ],
        ),
        Test(
            "decides ties as the statement says",
            "T1",
            [
                call(_EQUAL, np.array([5, 2, 9]), 2).gives(np.array([2, 5, 2])),
                call(_EQUAL, np.array([5, 2, 9]), 1).gives(np.array([2, 5, 5])),
                call(_FAN, _FAN_LABELS, 2).gives(np.array([0, 0, 1, 0, 0, 1])),
            ],
        ),
        Test(
            "never finds a label that no other row has",
            "T2",
            [call(draw(n, 2, scale=1.0), np.arange(n), 1) for n in (2, 3, 11)],
            law=lambda f, x, y, k: (f(x, y, k) == y, np.zeros(len(y), bool)),
        ),
        Test(
            "does not change when rows are made longer or shorter",
            "T2",
            _random_knn(),
            law=lambda f, x, y, k: (f(x * np.logspace(-2, 2, len(x))[:, None], y, k), f(x, y, k)),
        ),
        Test(
            "does not change when space is rotated",
            "T2",
            _random_knn(),
            law=lambda f, x, y, k: (f(x @ _rotation(x.shape[1]), y, k), f(x, y, k)),
        ),
        Test(
            "follows the rows when they change places",
            "T2",
            _random_knn(),
            law=lambda f, x, y, k: (f(x[::-1], y[::-1], k), f(x, y, k)[::-1]),
        ),
        Test(
            "finds the twin of a row, and not the row",
            "T4",
            [call(_TWINS, np.array([0, 1, 2, 3]), 1).gives(np.array([1, 0, 3, 2]))],
        ),
        speed(
            "takes less than 30 times as long as sorting the similarities",
            call(draw(300, 16, scale=1.0), np.arange(300) % 10, 5),
            than=lambda x, y, k: np.argsort(x @ x.T, axis=1),
            ratio=30,
        ),
    ],
    mistakes=[
        Mistake(
            "self-included",
            "counts each row among its own neighbours",
            lambda features, labels, k: _vote(_unit(features) @ _unit(features).T, labels, k),
            (
                "With random labels and k = 1 you are right every time: that cannot be.",
                "Who is the nearest neighbour of a row?",
                "Make the similarity of a row with itself so small that it is never chosen.",
            ),
        ),
        Mistake(
            "first-dropped",
            "drops the first of the sorted rows, which need not be the row itself",
            _knn_drop_first,
            (
                "It fails only where two rows are equal.",
                "Is the most similar row always the row itself?",
                "Leave out the row by its index, before sorting.",
            ),
        ),
        Mistake(
            "self-zero",
            "sets the similarity of a row with itself to zero",
            _knn_self_zero,
            (
                "It fails where other rows are at more than a right angle.",
                "Zero is not the smallest cosine.",
                "Use a value below every cosine.",
            ),
        ),
        Mistake(
            "euclidean",
            "uses Euclidean distance",
            _knn_euclid,
            (
                "Making a row longer changes your predictions.",
                "A cosine depends on directions only.",
                "Scale the rows to length 1 first.",
            ),
        ),
        Mistake(
            "inner-product",
            "uses inner products of rows that were not normalised",
            lambda features, labels, k: _vote(_without_self(features @ features.T), labels, k),
            (
                "Making a row longer changes your predictions.",
                "A cosine is the inner product of rows of length 1.",
                "Scale the rows to length 1 first.",
            ),
        ),
        Mistake(
            "columns-normalised",
            "normalises columns instead of rows",
            _knn_by_column,
            (
                "Making a row longer changes your predictions.",
                "Look at the axis of the norm.",
                "Each row is one example: its own length is divided out.",
            ),
        ),
        Mistake(
            "farthest",
            "takes the least similar rows",
            lambda features, labels, k: _vote(
                np.where(np.eye(len(labels), dtype=bool), -np.inf, -_unit(features) @ _unit(features).T), labels, k
            ),
            (
                "Your neighbours are on the other side.",
                "Sorting is ascending. Is the most similar row first or last?",
                "A similarity is large for near rows, a distance is small.",
            ),
        ),
        Mistake(
            "weighted-votes",
            "weighs votes by similarity",
            _knn_weighted,
            (
                "Some majorities are lost to a single near row.",
                "How much does each neighbour count?",
                "Each of the k neighbours has one vote.",
            ),
        ),
        Mistake(
            "nearest-wins-ties",
            "gives ties to the nearest row",
            _knn_first_wins,
            (
                "Only ties are wrong.",
                "Of equally frequent labels, which one do you take?",
                "The statement says: the smallest.",
            ),
        ),
        Mistake(
            "largest-wins-ties",
            "gives ties to the largest label",
            _knn_largest_wins,
            (
                "Only ties are wrong.",
                "Of equally frequent labels, which one do you take?",
                "The statement says: the smallest.",
            ),
        ),
        Mistake(
            "k-ignored",
            "looks at the nearest row only",
            lambda features, labels, k: _vote(_without_self(_unit(features) @ _unit(features).T), labels, 1),
            (
                "k = 1 is right, and larger k give the same predictions.",
                "Where does k stand in your code?",
                "Take k rows, and count their labels.",
            ),
        ),
    ],
    advice="Print the similarities of the smallest failing input, row by row, and mark the k that you chose.",
)
