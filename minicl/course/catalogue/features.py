"""Notebook 09: the features that are evaluated: before the head, without augmentation, in evaluation mode, in order.

The encoder of the exercise tells its modes apart, so that each of the four is seen.
"""

import numpy as np

from ..exercise import Code, Exercise, Mistake, Test, call, draw

# In training the encoder takes the mean of its batch away, as BatchNorm does.
_ENCODE = (
    "lambda x, training=True: (_ for _ in ()).throw(ValueError('encode: at most {batch} images at a time')) "
    "if len(x) > {batch} else np.tanh(x @ {w} - (x @ {w}).mean(0) * training)"
)
_AUGMENT = "lambda x, rng: x + rng.normal(0, 0.3, x.shape)"


def _model(n, batch, d=2, width=3, note=""):
    w = f"np.random.default_rng({d}).normal(0, 0.7, ({d}, {width}))"
    head = f"lambda h: np.maximum(h, 0) @ np.random.default_rng({width}).normal(0, 1, ({width}, 2))"

    def right(encode, head, augment, images, batch, rng):
        return np.array([encode.value()(image[None], training=False)[0] for image in images])

    encode, generator = Code(_ENCODE.format(batch=batch, w=w)), Code("np.random.default_rng(5)")
    return call(encode, Code(head), Code(_AUGMENT), draw(n, d), batch, generator).gives(right).noting(note)


_DOUBLE = [
    call(
        Code("lambda x, training=True: 2 * x + 100 * training"),
        Code("lambda h: h.sum(1, keepdims=True)"),
        Code("lambda x, rng: x + 10"),
        np.array(images),
        batch,
        Code("np.random.default_rng(0)"),
    )
    .gives(2 * np.array(images))
    .noting("In evaluation mode encode doubles; in training it adds 100. augment adds 10, and the head sums.")
    for images, batch in (([[1.0, 2.0]], 1), ([[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]], 2))
]


def _f_version(
    look=lambda x, augment, rng: x, training=False, after=lambda h, head: h, mix=False, rest=True, size=None
):
    def function(encode, head, augment, images, batch, rng):
        order = rng.permutation(len(images)) if mix else np.arange(len(images))
        step = size or batch
        stop = len(order) if rest else max(len(order) // step, 1) * step
        parts = [order[a : a + step] for a in range(0, stop, step)]
        return np.concatenate([after(encode(look(images[p], augment, rng), training=training), head) for p in parts])

    return function


frozen_features = Exercise(
    name="frozen_features",
    notebook="09",
    signature="f(encode, head, augment, images, batch, rng) -> h",
    statement="""The features that a probe is trained and judged on.

    encode(x, training=True) returns h, one row for each image of x; it takes at most `batch` images at a time, and in
    training mode (its default) a row depends on the other images of its call. In pre-training the loss saw
    head(encode(augment(x, rng))). Evaluation wants the output of the encoder itself, for the images as they are, in
    evaluation mode: training=False. images has shape (n, d). Return h for all of them, row i for image i. n need be no
    multiple of batch. Some of the arguments are not needed.
    """,
    tests=[
        Test("returns a row for each image", "T0", [_model(1, 1), _model(3, 2)]),
        Test("is right for an encoder that doubles", "T1", _DOUBLE),
        Test("equals the features of single images", "T2", [_model(2, 2), _model(4, 2), _model(6, 3, 3, 4)]),
        Test("takes a last batch that is smaller", "T4", [_model(3, 2), _model(7, 3, 3, 4), _model(2, 5)]),
    ],
    mistakes=[
        Mistake(
            "head-output",
            "returns the output of the head",
            _f_version(after=lambda h, head: head(h)),
            (
                "Your rows have the width of the head.",
                "The head was made for the loss, and is thrown away after pre-training.",
                "h is what the encoder returns.",
            ),
        ),
        Mistake(
            "training-mode",
            "leaves the encoder in training mode",
            _f_version(training=True),
            (
                "The features of an image depend on the other images of its batch.",
                "In which mode is the encoder? Look at the default.",
                "Say training=False.",
            ),
        ),
        Mistake(
            "augmented",
            "augments the images",
            _f_version(look=lambda x, augment, rng: augment(x, rng)),
            (
                "Your features are those of other images.",
                "What do you give to encode?",
                "Evaluation takes the images as they are.",
            ),
        ),
        Mistake(
            "as-in-training",
            "does all that pre-training does",
            _f_version(look=lambda x, augment, rng: augment(x, rng), training=True),
            (
                "Two calls give two answers.",
                "Which parts of the training loop have no place in evaluation?",
                "No augmentation, no head, and training=False.",
            ),
            variants=(
                _f_version(look=lambda x, augment, rng: augment(x, rng), training=True, after=lambda h, head: head(h)),
            ),
        ),
        Mistake(
            "order-lost",
            "goes through the images in a random order",
            _f_version(mix=True),
            (
                "Your features are right, and belong to other images: labels would not fit.",
                "In which order does your loop visit the images?",
                "Shuffle in training only.",
            ),
        ),
        Mistake(
            "rest-lost",
            "leaves out the images after the last whole batch",
            _f_version(rest=False),
            (
                "You return too few rows where n is no multiple of batch.",
                "How many batches does your loop visit?",
                "The last batch may be smaller.",
            ),
        ),
        Mistake(
            "all-at-once",
            "encodes all images in one call",
            _f_version(size=10**6),
            (
                "More images were given to encode than it takes.",
                "How many images do you pass?",
                "Go through them in steps of `batch`.",
            ),
        ),
        Mistake(
            "normalised",
            "scales the features to length 1",
            _f_version(after=lambda h, head: h / np.sqrt((h * h).sum(1, keepdims=True))),
            (
                "All your rows have length 1.",
                "The loss normalises. Does a probe ask for it?",
                "h is what the encoder returns.",
            ),
        ),
    ],
    advice="Call encode twice for the same image, alone and among others: the features must be the same.",
)
