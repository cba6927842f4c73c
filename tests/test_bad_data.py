"""Bad data, line by line and method by method: the error names the method, what it got and the way out, and nothing is
changed by it.
"""

import numpy as np
import pytest
import test_methods
from test_train import VIEW, simclr

import minicl as mc
from minicl import evaluate, nn
from minicl.train import MultiCrop, two_stage


def crops(**changed):
    encoder, head = nn.ConvNet(channels=(4, 8), rng=0), nn.ProjectionHead(8, 8, 4, rng=1)
    return MultiCrop(encoder, head, **{"n_local": 2, "view": VIEW, "batch_size": 32, "seed": 3, **changed})


MAKERS = {"simclr": simclr, **test_methods.MAKERS, "crops": crops}
CLASSES = {
    "simclr": "SimCLR",
    "moco": "MoCo",
    "bank": "MemoryBank",
    "large": "LargeBatch",
    "multi": "MultiView",
    "supcon": "SupCon",
    "finetune": "FineTune",
    "crops": "MultiCrop",
}
assert CLASSES.keys() == MAKERS.keys()
WITH_LABELS = ["supcon", "finetune"]
EVERY = pytest.mark.parametrize("name", MAKERS)
IMAGES, LABELS = (x[:70] for x in mc.data.digits("train"))


def spoilt(value, *places):
    images = IMAGES.copy()
    for place in places:
        images[place, 3, 3] = value
    return images


def fit(name, images=IMAGES, labels=LABELS, epochs=1, settings=None, **options):
    return MAKERS[name](**(settings or {})).fit(images, epochs, labels=labels, progress=False, **options)


# What is given, the kind of error, and its message after the name of the method.
BAD_IMAGES = {
    "bytes": (
        (IMAGES * 255).astype(np.uint8),
        r"images are floats of shape \(N, ...\), got uint8 \(70, 8, 8, 1\). Divide bytes by 255",
    ),
    "truths": (IMAGES > 0.5, "images are floats .* got bool .* Divide bytes by 255"),
    "complex numbers": (IMAGES.astype(complex), r"got complex128 \(70, 8, 8, 1\). Give numbers, such as float32"),
    "objects": (IMAGES.astype(object), "got object .* Give numbers"),
    "texts": (IMAGES.astype(str), "got <U32 .* Give numbers"),
    "nothing": (None, r"got object \(\)"),
    "several shapes": (
        [IMAGES[0], IMAGES[1, :4]] * 20,
        "images are one array of shape .* not arrays of several shapes",
    ),
    "pair with labels": ((IMAGES, LABELS), "images are one array of shape"),
    "one number each": (IMAGES[:, 0, 0, 0], r"images have shape \(N, ...\), got float32 \(70,\)"),
    "no pixels": (IMAGES[:, :0], r"images have shape \(N, ...\), got float32 \(70, 0, 8, 1\)"),
    "no images": (IMAGES[:0], r"batch_size is 32, and there are 0 images of shape \(8, 8, 1\)"),
    "fewer than a batch": (IMAGES[:31], "batch_size is 32, and there are 31 images .* between 2 and that number"),
    "NaN": (
        spoilt(np.nan, 5, 61),
        r"2 of 70 images of shape \(8, 8, 1\) hold NaN or infinity, first images\[5\]. Leave them out: "
        r"images\[np.isfinite\(images\).all\(axis=\(1, 2, 3\)\)\]",
    ),
    "infinity": (spoilt(-np.inf, 69), r"1 of 70 images .* first images\[69\]"),
    "constant": (
        IMAGES * 0 + 0.25,
        r"all images are equal, .* shape \(70, 8, 8, 1\), pixels from 0.25 to 0.25. Look at how they were loaded",
    ),
    "one image": (IMAGES[[3] * 70], "all images are equal, .* pixels from 0 to 1"),
}


@pytest.mark.parametrize("line", BAD_IMAGES)
@EVERY
def test_images_that_nothing_can_be_learned_from_are_refused(name, line):
    images, message = BAD_IMAGES[line]
    labels = LABELS if images is None or isinstance(images, tuple) else LABELS[: len(images)]
    with pytest.raises(ValueError, match=f"(?s)^{CLASSES[name]}.fit: .*{message}"):
        fit(name, images, labels)


@EVERY
def test_images_of_a_shape_that_the_network_does_not_take_are_refused(name):
    """The layer says what it takes, and a note says where in the run it was."""
    method = MAKERS[name]()
    before = test_methods.everything(method)
    wrong, takes = IMAGES[:, :4], r"MLP: got shape .*4, 8, 1\); give \(N, ...\) with 64 numbers"
    where = rf"{CLASSES[name]}.fit: in epoch 1, step 1 of 2, with images of shape \(32, 4, 8, 1\)"
    if name == "crops":  # looked at before the first step
        wrong, takes, where = (
            np.repeat(IMAGES, 3, axis=3),
            "Conv2d.* has 3 channels, and the layer takes 1|3 channels",
            "",
        )
    with pytest.raises(ValueError, match=f"(?s){takes}.*{where}"):
        method.fit(wrong, 1, labels=LABELS, progress=False)
    after = test_methods.everything(method)
    assert all(after[key] == before[key] for key in before if key != "notes") and method.epoch == 0


BAD_LABELS = {
    "floats": (LABELS.astype(float), TypeError, "labels are integers, got dtype float64.*return_inverse"),
    "some missing": (np.where(LABELS == 3, np.nan, LABELS), TypeError, "labels are integers.*Where none is missing"),
    "texts": (LABELS.astype(str), TypeError, "labels are integers, got dtype <U"),
    "objects": (LABELS.astype(object), TypeError, "got dtype object"),
    "nobody knows": ([None] * 70, TypeError, "got dtype object"),
    "truths": (LABELS > 4, TypeError, "got dtype bool"),
    "too few": (LABELS[:5], ValueError, r"70 images need labels of shape \(70,\), got \(5,\)"),
    "columns": (np.eye(10, dtype=int)[LABELS], ValueError, r"70 images need labels of shape \(70,\), got \(70, 10\)"),
}


@pytest.mark.parametrize("line", BAD_LABELS)
@EVERY
def test_labels_that_are_none_are_refused(name, line):
    labels, error, message = BAD_LABELS[line]
    with pytest.raises(error, match=f"^{CLASSES[name]}.fit: .*{message}"):
        fit(name, labels=labels)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_that_are_missing_or_all_equal_are_refused(name):
    with pytest.raises(ValueError, match=rf"{CLASSES[name]}.fit: the labels are missing; give labels=labels"):
        fit(name, labels=None)
    with pytest.raises(
        ValueError, match=rf"{CLASSES[name]}.fit: all 70 labels are 7; .* one class only. Give at least"
    ):
        fit(name, labels=LABELS * 0 + 7)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - set(WITH_LABELS)))
def test_who_needs_no_labels_learns_without_and_with_one_class(name):
    runs = [fit(name, labels=labels) for labels in (None, LABELS, LABELS.astype(np.uint8).tolist(), LABELS * 0)]
    assert len({tuple(run.history["loss"]) for run in runs}) == 1


def test_labels_out_of_range_are_refused():
    for labels, low in ((LABELS + 1, 1), (LABELS - 1, -1)):
        with pytest.raises(ValueError, match=f"FineTune.fit: labels lie between {low} and {low + 9}; with classes=10"):
            fit("finetune", labels=labels)


ONE_CLASS = LABELS * 0 + 7
X = np.random.default_rng(0).standard_normal((70, 5))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: evaluate.linear_probe(X, ONE_CLASS, X, LABELS),
            "linear_probe: all training labels are 7; .* two classes",
        ),
        (lambda: evaluate.knn(X, ONE_CLASS, X + 1, LABELS), "knn: all labels are 7; .* Give at least two"),
        (lambda: evaluate.knn_leave_one_out(X, ONE_CLASS), "knn_leave_one_out: all labels are 7"),
        (lambda: evaluate.precision_at_k(X, ONE_CLASS), "precision_at_k: all labels are 7"),
        (lambda: evaluate.label_efficiency(X, ONE_CLASS, X, LABELS), "label_efficiency: all labels are 7"),
        (
            lambda: two_stage(nn.MLP([64, 8], rng=0), IMAGES, ONE_CLASS, IMAGES, ONE_CLASS),
            "two_stage: all 70 labels are 7",
        ),
        (lambda: two_stage(nn.MLP([64, 8], rng=0), IMAGES, None, IMAGES, LABELS), "two_stage: the labels are missing"),
        (lambda: evaluate.linear_probe(X * np.nan, LABELS, X, LABELS), "linear_probe: train_x holds NaN"),
        (
            lambda: evaluate.linear_probe(X, LABELS[:9], X, LABELS),
            r"linear_probe: train_y has shape \(9,\); .* 70 rows",
        ),
        (lambda: mc.data.stratified_split(LABELS[:0], 0.5), r"stratified_split: the labels have shape \(0,\)"),
        (lambda: mc.data.stratified_split([0, 0, 1], 0.5), "stratified_split: class 1 has one sample only"),
        (lambda: mc.data.few_labels(LABELS, 70), r"few_labels: 70 samples of class 0 .* it has \d+"),
    ],
)
def test_judges_refuse_what_cannot_be_judged(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_one_class_can_be_split_and_drawn_from():
    """There is nothing wrong with it there: what comes out is that class."""
    first, second = mc.data.stratified_split(ONE_CLASS, 0.3)
    assert sorted([*first, *second]) == list(range(70)) and len(second) == 21
    assert len(mc.data.few_labels(ONE_CLASS, 4)) == 4


# ------------------------------------------------------------------------------- what is unusual, and no mistake at all

SAME = {
    "float64": lambda x: x.astype(np.float64),
    "long double": lambda x: x.astype(np.longdouble),
    "other byte order": lambda x: x.astype(">f4"),
    "Fortran order": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "lists": lambda x: x.tolist(),
}


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("line", [*SAME, "read only"])
@EVERY
def test_the_same_images_in_another_dress_give_the_same_run(name, line, tmp_path):
    """Bit for bit, so that a run can be continued with them too."""
    whole = fit(name, epochs=2)
    fit(name, epochs=1, checkpoint=tmp_path / "run")
    other = fit(name, (SAME | {"read only": read_only})[line](IMAGES), epochs=2, checkpoint=tmp_path / "run")
    assert test_methods.everything(other) == test_methods.everything(whole)
    assert {p.dtype for p in other.parameters()} == {np.dtype(np.float32)}


@EVERY
def test_images_are_left_as_they_were(name):
    images, labels = IMAGES.copy(), LABELS.copy()
    fit(name, images, labels)
    assert np.array_equal(images, IMAGES) and np.array_equal(labels, LABELS)


@EVERY
def test_a_batch_may_be_the_whole_set_and_what_is_left_over_is_not_used(name):
    method = fit(name, epochs=2, settings={"batch_size": 70})
    assert method.epoch == 2 and len(method.history["loss"]) == 2
    seen = []
    method = MAKERS[name](batch_size=23)  # three batches, and one image over
    step = method.step
    method.step = lambda batch: (seen.append(batch.indices), step(batch))[1]
    method.fit(IMAGES, 2, labels=LABELS, progress=False)
    assert [len(indices) for indices in seen] == [23] * 6
    for epoch in (seen[:3], seen[3:]):
        assert len(set(np.concatenate(epoch).tolist())) == 69


# --------------------------------------------------------------------------------------------------------- bad settings


@pytest.mark.parametrize("bad", [2.5, "32", None, True, -1, 0, float("nan"), [32]])
@EVERY
def test_a_batch_size_that_is_none_is_refused_when_the_method_is_built(name, bad):
    with pytest.raises(ValueError, match=f"{CLASSES[name]}: batch_size must be a whole number, at least 1, got "):
        MAKERS[name](batch_size=bad)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"epochs": 2.5}, ValueError, "epochs must be a whole number, at least 0, got 2.5"),
        ({"epochs": -1}, ValueError, "epochs must be a whole number, at least 0, got -1"),
        ({"epochs": "3"}, ValueError, "epochs must be a whole number, at least 0, got '3'"),
        ({"epochs": None}, ValueError, "epochs must be a whole number"),
        ({"save_every": 0}, ValueError, "save_every must be a whole number, at least 1, got 0"),
        ({"save_every": 0.5}, ValueError, "save_every must be a whole number"),
        ({"callbacks": [print, 3]}, TypeError, "a callback is a function of the method, not 3"),
        ({"callbacks": "print"}, TypeError, "a callback is a function of the method, not 'p'"),
        ({"schedule": 0.1}, TypeError, "a schedule is a function of the step, not 0.1"),
    ],
)
@EVERY
def test_settings_of_a_run_are_looked_at_before_it(name, options, error, message, tmp_path):
    with pytest.raises(error, match=f"{CLASSES[name]}.fit: {message}"):
        fit(name, checkpoint=tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


@EVERY
def test_a_seed_is_a_number(name):
    for bad in (np.random.default_rng(0), None, -1, "3"):
        with pytest.raises(ValueError, match=f"{CLASSES[name]}: seed must be a whole number, at least 0, got "):
            MAKERS[name](seed=bad)


@EVERY
def test_numbers_of_numpy_are_numbers(name, tmp_path):
    """They stand in a checkpoint as plain ones, so that a run continues with either kind."""
    settings = {"batch_size": np.int64(32), "seed": np.uint8(3), "lr": np.float64(1e-3)}
    fit(name, settings=settings, checkpoint=tmp_path / "run")
    plain = fit(
        name, settings={"batch_size": 32, "seed": 3, "lr": 1e-3}, epochs=np.int32(2), checkpoint=tmp_path / "run"
    )
    again = fit(name, settings=settings, epochs=3, checkpoint=tmp_path / "run")
    assert plain.epoch == 2 and again.epoch == 3
    assert test_methods.everything(again) == test_methods.everything(fit(name, settings=settings, epochs=3))


def test_a_temperature_in_float32_is_one_too(tmp_path):
    for epochs in (1, 2):
        fit("simclr", settings={"temperature": np.float32(0.3)}, epochs=epochs, checkpoint=tmp_path / "run")


@EVERY
def test_no_epochs_change_nothing_and_say_so(name, tmp_path):
    method = MAKERS[name]()
    before = {key: value for key, value in test_methods.everything(method).items() if key != "notes"}
    with pytest.warns(UserWarning, match="epochs=0 counts from the start, so there is nothing to do"):
        method.fit(IMAGES, 0, labels=LABELS, progress=False, checkpoint=tmp_path / "run")
    assert before.items() <= test_methods.everything(method).items() and not list(tmp_path.iterdir())


@EVERY
def test_bytes_are_refused_after_training_too(name):
    """Where training had numbers from 0 to 1, they would be 255 times as large."""
    with pytest.raises(ValueError, match=f"{CLASSES[name]}: images are floats .* got uint8 .* Divide bytes by 255"):
        MAKERS[name]().encode((IMAGES * 255).astype(np.uint8))


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "crops"])
def test_a_view_that_is_none_is_refused(name):
    for bad in (0.5, "noise", [VIEW, VIEW, 0.5]):
        with pytest.raises(
            TypeError, match=f"{CLASSES[name]}: a view is a function of images and a Generator, .* got "
        ):
            MAKERS[name](view=bad)


@EVERY
def test_a_view_that_loses_images_is_refused(name):
    def half(x, rng):
        return (x + rng.random(x.shape))[: len(x) // 2]

    with pytest.raises(ValueError, match=f"(?s)16.*32|32.*16.*{CLASSES[name]}.fit: in epoch 1, step 1"):
        fit(name, settings={"view": half})
