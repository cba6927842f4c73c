"""What the losses refuse: a table of bad inputs for each, the kind of error, and the words that a reader needs.

Each text names the loss and, where shapes are at fault, the shapes; the last words say what to do.
"""

import re

import numpy as np
import pytest

import minicl as mc
from minicl import losses
from minicl.losses.inputs import NotFiniteError

Z = np.random.default_rng(0).standard_normal((4, 3))
LABELS = np.array([0, 1, 0, 1])
Q = np.zeros(4), np.zeros((4, 2))
# name: positional arguments that are right, and how many of them hold floats.
RIGHT = {
    "contrastive": ((Z, Z, LABELS == 0), 2),
    "triplet": ((Z, Z, Z), 3),
    "mined_triplet": ((Z, LABELS), 1),
    "n_pair": ((Z, Z), 2),
    "nce": ((Z[:, 0], Z[:, 1:], *Q), 4),
    "ranking_nce": ((Z[:, 0], Z[:, 1:], *Q), 4),
    "info_nce": ((Z, Z), 2),
    "nt_xent": ((Z, Z), 2),
    "dcl": ((Z, Z), 2),
    "debiased": ((Z, Z), 2),
    "supcon": ((Z, LABELS), 1),
    "multi_positive": ((np.stack([Z, Z]),), 1),
    "skip_gram": ((Z, Z, np.stack([Z, Z], axis=1)), 3),
    "siglip": ((Z, Z), 2),
    "moco": ((Z, Z, np.ones((5, 3))), 3),
    "memory_bank": ((Z, np.ones((5, 3)), LABELS), 2),
    "align": ((Z, Z), 2),
    "uniform": ((Z,), 1),
}
WARM = "nt_xent dcl debiased info_nce supcon multi_positive siglip moco memory_bank".split()
SEVERAL = [name for name, (_, count) in RIGHT.items() if count > 1]
every_loss = pytest.mark.parametrize("name", RIGHT)
every_array = pytest.mark.parametrize("name, k", [(name, k) for name, (_, n) in RIGHT.items() for k in range(n)])


def refused(name, kind, *words, args=None, **options):
    """Called as it is, and with Tensors, the loss raises `kind` with its own name and all the words in the text."""
    right, count = RIGHT[name]
    args = right if args is None else args
    tensors = [mc.tensor(a) if k < count and isinstance(a, np.ndarray) else a for k, a in enumerate(args)]
    for given in (args, tensors):
        with pytest.raises(kind) as error:
            getattr(losses, name)(*given, **options)
        text = str(error.value)
        assert error.type in (kind, NotFiniteError), error.type
        assert text.startswith(name), text
        for word in words:
            assert word in text, text
    return text


def changed(name, k, new):
    args = list(RIGHT[name][0])
    args[k] = new(args[k])
    return args


def test_every_loss_is_in_the_table():
    assert set(RIGHT) == set(losses.__all__) - set(vars(losses.classification))


@every_loss
def test_what_is_right_is_not_refused(name):
    args, count = RIGHT[name]
    value = getattr(losses, name)(*args)
    assert np.isfinite(value) and not isinstance(value, mc.Tensor)
    as_lists = [a.tolist() for a in args]
    assert getattr(losses, name)(*as_lists) == value  # lists are taken too
    tensors = [mc.tensor(a) if k < count else a for k, a in enumerate(args)]
    assert isinstance(getattr(losses, name)(*tensors), mc.Tensor)


# -------------------------------------------------------------------------------------------------------------- shapes


@every_array
def test_lengths_that_do_not_fit(name, k):
    """One argument with a row less, and one with a feature less, beside the others as they were."""
    if RIGHT[name][1] > 1:
        rows = name in ("moco", "memory_bank") and k == RIGHT[name][1] - 1  # the queue and the bank have their own
        if not rows:
            args = changed(name, k, lambda x: x[:-1])
            other = args[-1 if name == "memory_bank" else k - 1 if k else 1].shape  # another argument, as it was
            refused(name, ValueError, str(args[k].shape), str(other), "give ", args=args)
        if RIGHT[name][0][k].ndim > 1:
            args = changed(name, k, lambda x: x[..., :-1])
            refused(name, ValueError, str(args[k].shape), "give ", args=args)
    for new in (lambda x: x[0], lambda x: x[None]):  # an axis too few, an axis too many
        args = changed(name, k, new)
        refused(name, ValueError, str(np.shape(args[k])), "give ", args=args)


@every_loss
def test_an_empty_batch(name):
    args, count = RIGHT[name]
    cut = [a[:, :0] if name == "multi_positive" else a[:0] for a in args]
    if name in ("moco", "memory_bank"):
        cut[count - 1] = args[count - 1]
    text = refused(name, ValueError, "empty", "= 0", "at least 1", args=cut)
    assert str(cut[0].shape) in text
    no_features = [a[..., :0] if a.dtype == float and a.ndim > 1 else a for a in args]
    refused(name, ValueError, "= 0", args=no_features)


def test_an_empty_queue_and_an_empty_bank():
    refused("moco", ValueError, "(0, 3)", "K = 0", args=(Z, Z, Z[:0]))
    refused("memory_bank", ValueError, "(0, 3)", "n = 0", args=(Z, Z[:0], LABELS))
    refused("info_nce", ValueError, "(0, 3)", "M = 0", negatives=Z[:0])
    refused("info_nce", ValueError, "(4, 2)", "(M, d)", negatives=Z[:, :2])
    refused("info_nce", ValueError, "(2, 3)", "symmetric", negatives=Z[:2], symmetric=True)


def test_one_array_of_two_views():
    for name in ("nt_xent", "dcl", "debiased"):
        refused(name, ValueError, "(3, 3)", "odd", args=(Z[:3],))
        refused(name, ValueError, "layout", '"stacked" or "interleaved"', "'mixed'", layout="mixed")
        refused(name, ValueError, "(4, 3)", "leave out layout or z2", layout="interleaved")
        refused(name, ValueError, "(4, 3)", "()", args=(Z, 0.5))  # a temperature in the place of z2


def test_too_few_images():
    for name in ("dcl", "debiased"):
        refused(name, ValueError, "N ≥ 2", args=(Z[:1], Z[:1]))
        refused(name, ValueError, "N ≥ 2", args=(Z[:2],))
    refused("uniform", ValueError, "(1, 3)", "n ≥ 2", args=(Z[:1],))
    refused("multi_positive", ValueError, "(1, 4, 3)", "V ≥ 2", args=(Z[None],))


# -------------------------------------------------------------------------------------------------------------- numbers


@every_array
@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_arrays_that_hold_no_floats(name, k, dtype):
    args = changed(name, k, lambda x: np.ones(x.shape, dtype))
    refused(name, TypeError, str(np.dtype(dtype)), str(args[k].shape), "give floats", args=args)


@every_array
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(name, k, bad):
    """The error is one of values, and is also what training loops look for when a run diverges."""

    def spoil(x):
        x = x.copy()
        x[(1, *[0] * (x.ndim - 1))] = bad
        return x

    args = changed(name, k, spoil)
    for kind in (ValueError, FloatingPointError):
        refused(name, kind, str(args[k].shape), "NaN or inf", "row 1", "detect_anomaly", args=args)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_large_values_are_not_taken_for_infinite_ones(dtype):
    """Their sum would be."""
    z = np.full((40, 3), np.finfo(dtype).max)
    assert np.isfinite(losses.nt_xent(z, z, 0.5))


@pytest.mark.parametrize("name", WARM)
@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan, np.inf, -np.inf, 0])
def test_a_temperature_that_is_not_positive(name, bad):
    for given in (bad, np.array(float(bad)), np.float64(bad), mc.tensor(float(bad))):
        refused(name, ValueError, "temperature must be a positive, finite number", str(float(bad)), temperature=given)


@pytest.mark.parametrize("name", WARM)
def test_a_temperature_that_is_no_number(name):
    refused(name, ValueError, "temperature has shape (2,)", "one number", temperature=np.ones(2))
    refused(name, ValueError, "temperature has shape (1,)", temperature=mc.tensor([0.5]))
    for bad in ("0.5", None, [0.5]):
        refused(name, TypeError, "temperature must be a number", temperature=bad)


@pytest.mark.parametrize("name", WARM)
def test_a_temperature_too_small_for_the_precision(name):
    args = [a.astype(np.float16) if a.dtype == float else a for a in RIGHT[name][0]]
    for given in (1e-5, mc.tensor(1e-5), mc.tensor(1e-12)):
        refused(name, ValueError, "too small for float16", "at least 3.1e-05", args=args, temperature=given)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for temperature in (4e-5, np.float64(4e-5), mc.tensor(4e-5)):
            assert np.isfinite(float(getattr(losses, name)(*args, temperature=temperature)))


@pytest.mark.parametrize(
    "name, key, bad",
    [
        *[
            (name, "margin", bad)
            for name in ("contrastive", "triplet", "mined_triplet")
            for bad in (-1.0, np.nan, np.inf)
        ],
        *[("n_pair", "l2", bad) for bad in (-1.0, np.nan, np.inf)],
        *[("debiased", "class_prior", bad) for bad in (-0.1, 1.0, 2.0, np.nan)],
        *[("align", "alpha", bad) for bad in (0.0, -1.0, np.nan, np.inf)],
        *[("uniform", "t", bad) for bad in (0.0, -1.0, np.nan, np.inf)],
    ],
)
def test_options_out_of_range(name, key, bad):
    refused(name, ValueError, f"{key} must lie in", str(bad), **{key: bad})
    refused(name, TypeError, f"{key} must be a number", **{key: None})
    refused(name, TypeError, f"{key} is a constant", **{key: mc.tensor(0.5)})
    refused(name, TypeError, f"{key} is a constant", **{key: "0.5"})


def test_a_bias_that_is_no_number():
    for bad in (np.nan, np.inf):
        refused("siglip", ValueError, "bias must be a finite number", bias=bad)
    refused("siglip", ValueError, "bias has shape (4,)", bias=np.ones(4))
    refused("siglip", TypeError, "bias must be a number", bias=None)


# ---------------------------------------------------------------------------------------------------- labels and choices


@pytest.mark.parametrize("name, key", [("supcon", "labels"), ("mined_triplet", "labels"), ("memory_bank", "index")])
def test_labels_and_positions(name, key):
    k = len(RIGHT[name][0]) - 1
    for bad in (LABELS[:-1], LABELS[:, None], np.array(0)):
        text = refused(
            name, ValueError, str(bad.shape), "(4, 3)", "give shape (4,)", args=changed(name, k, lambda _: bad)
        )
        assert key in text
    for bad in (LABELS.astype(float), LABELS == 0, list("abab")):
        refused(name, TypeError, key, str(np.asarray(bad).dtype), "give integers", args=changed(name, k, lambda _: bad))


def test_labels_of_any_integer_kind():
    for name in ("supcon", "mined_triplet"):
        f = getattr(losses, name)
        expected = f(Z, LABELS)
        kinds = [LABELS.astype(np.uint8), LABELS.astype(np.int16), LABELS.tolist(), tuple(LABELS), mc.tensor(LABELS)]
        for labels in (*kinds, LABELS - 7):
            assert f(Z, labels) == expected


def test_positions_that_are_not_in_the_bank():
    for bad in ([0, 1, 2, 5], [0, -1, 2, 3]):
        refused("memory_bank", ValueError, "index", "from 0 to 4", args=(Z, np.ones((5, 3)), bad))
        refused("memory_bank", ValueError, "negatives", "from 0 to 4", negatives=[[i] for i in bad])
    refused("memory_bank", ValueError, "negatives", "(3, 1)", "(4, 'any')", negatives=[[0]] * 3)
    refused("memory_bank", TypeError, "negatives", "float64", negatives=[[0.0]] * 4)


def test_similar_must_be_yes_or_no():
    """0 and 1 would be ambiguous: the paper's 0 is similar."""
    refused("contrastive", TypeError, "int64", "Hadsell", "Y == 0", args=(Z, Z, LABELS))
    refused("contrastive", ValueError, "similar", "(3,)", "(4,)", args=(Z, Z, [True] * 3))


def test_labels_that_make_no_pair():
    for form in ("out", "in"):
        refused("supcon", ValueError, "(4, 3)", "no anchor has a positive", "repeat", args=(Z, [0, 1, 2, 3]), form=form)
    refused("supcon", ValueError, "no anchor", args=(Z[:1], [0]))
    for mining in ("all", "semi_hard", "batch_hard"):
        for labels in ([0, 1, 2, 3], [5, 5, 5, 5]):
            refused("mined_triplet", ValueError, "(4, 3)", "another class", args=(Z, labels), mining=mining)


@pytest.mark.parametrize("name", [name for name in RIGHT if name not in ("align", "uniform")])
@pytest.mark.parametrize("bad", ["average", None, "Mean", 0])
def test_an_unknown_reduction(name, bad):
    refused(name, ValueError, 'reduction is "mean", "sum" or "none"', repr(bad), reduction=bad)


def test_unknown_words():
    for name in ("supcon", "multi_positive"):
        for bad in ("mean", None, ["out"]):
            refused(name, ValueError, 'form must be "out" or "in"', repr(bad), form=bad)
    refused("mined_triplet", ValueError, 'mining must be "all" or "semi_hard" or "batch_hard"', "'hard'", mining="hard")


def test_one_density_alone():
    refused("ranking_nce", ValueError, "(4,)", "give both", args=(Z[:, 0], Z[:, 1:], Q[0]))
    refused("ranking_nce", ValueError, "(4,)", "give both", args=(Z[:, 0], Z[:, 1:]), noise_log_q=Q[1])


# -------------------------------------------------------------------------------------------------------------- devices


def there(cupy, x):
    return cupy.asarray(x) if isinstance(x, np.ndarray) else x


@every_loss
def test_arrays_on_two_devices(name, gpu):
    """Each argument alone on the other device is refused by name; all of them there are computed there."""
    args, _ = RIGHT[name]
    moved = [there(gpu, a) for a in args]
    value = getattr(losses, name)(*moved)
    assert type(value) is type(gpu.asarray(np.ones(1)))
    np.testing.assert_allclose(mc.to_numpy(value), getattr(losses, name)(*args), rtol=1e-12)
    for k in range(len(args)):
        if len(args) > 1:
            mixed = [a if i == k else m for i, (a, m) in enumerate(zip(args, moved))]
            with pytest.raises(TypeError, match=rf"^{name}.*on the gpu.*on the cpu"):
                getattr(losses, name)(*mixed)


@pytest.mark.parametrize("name", WARM)
def test_a_temperature_on_the_gpu(name, gpu):
    args = [there(gpu, a) for a in RIGHT[name][0]]
    f = getattr(losses, name)
    expected = getattr(losses, name)(*RIGHT[name][0], temperature=0.3)
    for temperature in (0.3, np.float64(0.3), gpu.asarray(np.array(0.3)), mc.tensor(0.3, device="gpu")):
        np.testing.assert_allclose(mc.to_numpy(f(*args, temperature=temperature)), expected, rtol=1e-12)
    with pytest.raises(TypeError, match=f"{name}, temperature.*on the gpu.*on the cpu"):
        f(*args, temperature=mc.tensor(0.3))
    with pytest.raises(ValueError, match="positive"):
        f(*args, temperature=mc.tensor(-0.3, device="gpu"))


def test_faults_are_found_on_the_gpu_too(gpu):
    bad = Z.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match=re.escape("nt_xent: z1 of shape (4, 3) holds NaN or inf, first in row 2")):
        losses.nt_xent(gpu.asarray(bad), gpu.asarray(Z))
    with pytest.raises(TypeError, match="int64"):
        losses.nt_xent(gpu.asarray(LABELS[:, None]), gpu.asarray(Z))
    labels = LABELS.tolist()  # a list goes where the embeddings are
    np.testing.assert_allclose(mc.to_numpy(losses.supcon(gpu.asarray(Z), labels)), losses.supcon(Z, labels), rtol=1e-12)
    with pytest.raises(ValueError, match="from 0 to 4"):
        losses.memory_bank(gpu.asarray(Z), gpu.asarray(np.ones((5, 3))), [0, 1, 2, 5])


# ------------------------------------------------------------------------------------------------- what the checks cost


def test_the_checks_record_nothing(rng):
    """No Tensor of the graph comes from them."""
    z1, z2 = mc.tensor(rng.standard_normal((4, 3))), mc.tensor(rng.standard_normal((4, 3)))
    seen, stack, ops = set(), [losses.nt_xent(z1, z2)], []
    while stack:
        t = stack.pop()
        if t.birth in seen or t.origin is None:
            continue
        seen.add(t.birth)
        ops.append(t.origin.op.__name__)
        stack += [a for a in t.origin.args if isinstance(a, mc.Tensor)]
    assert len(ops) <= 20 and not {"abs", "max", "astype", "identity"} & set(ops), ops


def test_a_refused_call_leaves_no_trace(rng):
    z = mc.tensor(rng.standard_normal((4, 3)))
    with pytest.raises(ValueError):
        losses.nt_xent(z, z, -1.0)
    losses.nt_xent(z, z * 1.0, 0.5).backward()
    assert np.isfinite(z.grad).all()
