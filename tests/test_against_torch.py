"""PyTorch's own operator samples: values to 1e-9, gradients of order 1 and 2 to 1e-7, all in float64 on the CPU.

Each line of OPS says how minicl spells a torch operator. What minicl does not offer raises OutOfScope with the reason, and
LEFT_OUT lists how often, so that no sample is left out in silence.
"""

import math
import warnings

import numpy as np
import pytest
from differences import assert_close

import minicl as mc

torch = pytest.importorskip("torch", reason="torch is not installed, so its operator samples cannot be compared")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    methods = pytest.importorskip(
        "torch.testing._internal.common_methods_invocations", reason="this torch has no operator samples"
    )


class OutOfScope(Exception):
    """The sample needs what minicl does not offer."""


def rest(kwargs, *known):
    """Arguments that only torch has."""
    for name in set(kwargs) - set(known) - {"dtype"}:  # all is float64 here
        raise OutOfScope(name)


# ------------------------------------------------------------------------------------------ how minicl spells torch


def plain(f):
    def called(*args, **kwargs):
        rest(kwargs)
        return f(*args)

    return called


def scaled_sum(sign):
    def f(a, b, alpha=1, **kwargs):
        rest(kwargs)
        return a + b * (sign * alpha)

    return f


def axes(dim):
    """torch takes an empty list for all axes."""
    if isinstance(dim, (list, tuple)):
        return tuple(dim) or None
    return dim


def swapaxes(x, a, b):
    if not x.ndim:
        raise OutOfScope("the axes of a number")
    return mc.swapaxes(x, a, b)


def reduction(f):
    return lambda x, dim=None, keepdim=False, dtype=None: f(x, axis=axes(dim), keepdims=keepdim)


def variance(f):
    def called(x, *args, dim=None, unbiased=None, correction=None, keepdim=False):
        for a in args:  # var(x, unbiased) and var(x, dim, ...)
            unbiased, dim = (a, dim) if isinstance(a, bool) else (unbiased, a)
        correction = correction if correction is not None else 0 if unbiased is False else 1
        return f(x, axis=axes(dim), correction=correction, keepdims=keepdim)

    return called


def along(f, default=None):
    return lambda x, dim=default, dtype=None: f(x, axis=dim)


def cumsum(x, dim, dtype=None):
    y = mc.cumsum(x, axis=dim)
    return y.reshape(()) if not x.ndim else y  # NumPy's has one axis then


def norm(x, p=None, dim=None, keepdim=False, ord=None, dtype=None):
    p = p if p is not None else ord
    if p == "nuc":
        raise OutOfScope("a matrix norm")
    return mc.norm(x, 2 if p in (None, "fro") else p, axes(dim), keepdim)


def normalize(x, p=2.0, dim=1, eps=1e-12):
    return mc.normalize(x, axis=dim) if p == 2 else x / mc.norm(x, p, dim, keepdims=True)


def cosine_similarity(a, b, dim=1, eps=1e-8):
    if a.size and min(mc.norm(t.data, axis=None) for t in (a, b)) < eps:
        raise OutOfScope("eps that is not small")
    return mc.cosine_similarity(a, b, axis=dim)


def expand(x, *shape):
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (list, tuple)) else shape
    lead = len(shape) - x.ndim
    return mc.broadcast_to(x, shape=tuple(x.shape[k - lead] if n == -1 else n for k, n in enumerate(shape)))


def concatenate(parts, dim=0):
    if len({p.ndim for p in parts}) > 1:
        raise OutOfScope("torch passes over an empty vector among matrices")
    return mc.concatenate(parts, axis=dim)


def split(x, sizes, dim=0):
    n = x.shape[dim]
    sizes = [sizes] * (n // sizes) if isinstance(sizes, int) else sizes
    return mc.split(x, np.cumsum(sizes)[: None if sum(sizes) < n else -1].tolist(), axis=dim)


def chunk(x, chunks, dim=0):
    return split(x, math.ceil(x.shape[dim] / chunks), dim)


def tensor_split(x, sections, dim=0):
    if isinstance(sections, np.ndarray):
        sections = sections.tolist()
    if isinstance(sections, int):
        sections = [len(part) for part in np.array_split(np.arange(x.shape[dim]), sections)]
        sections = np.cumsum(sections)[:-1].tolist()
    return mc.split(x, sections, axis=dim)


def pad(x, pad, mode="constant", value=None):
    if min(pad) < 0:
        raise OutOfScope("a negative width, which cuts off")
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    if mode == "constant":
        return mc.pad(x, widths, constant_values=value or 0.0)
    return mc.pad(x, widths, mode={"replicate": "edge", "circular": "wrap"}.get(mode, mode))


def select(x, dim, index):
    return x[(slice(None),) * (dim % x.ndim) + (index,)]


def index_select(x, dim, index):
    y = mc.take(x, index, axis=dim)
    return y if x.ndim else y.reshape(())  # for torch a number stays one


def gather(x, dim, index):
    if index.ndim != max(x.ndim, 1) and x.ndim:
        raise OutOfScope("an empty index with other axes than x")
    return mc.gather(x, index, dim)


def squeeze(x, dim=None):
    """torch passes over axes that are longer than 1."""
    if dim is None:
        return mc.squeeze(x)
    return mc.squeeze(x, axis=tuple(k for k in np.atleast_1d(dim).astype(int).tolist() if x.ndim and x.shape[k] == 1))


def masked_select(x, mask):
    """torch broadcasts the two against each other."""
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return mc.broadcast_to(x, shape=shape)[np.broadcast_to(mask, shape)]


def take_along_dim(x, indices, dim=None):
    return mc.take_along_axis(x, indices.ravel() if dim is None else indices, axis=dim)


def loss(f):
    """torch's classes lie on axis 1, minicl's on the last one."""

    def called(x, target, weight=None, reduction="mean", label_smoothing=0.0, ignore_index=-100):
        if ignore_index != -100:
            raise OutOfScope("ignore_index")
        last = [0, *range(2, x.ndim), 1]
        x = mc.permute(x, last) if x.ndim > 2 else x
        if isinstance(target, mc.Tensor) and target.ndim > 2:
            target = mc.permute(target, last)
        smoothing = {"label_smoothing": label_smoothing} if f is mc.cross_entropy else {}
        return f(x, target, weight=weight, reduction=reduction, **smoothing)

    return called


def bce(x, target, weight=None, pos_weight=None, reduction="mean"):
    return mc.binary_cross_entropy_with_logits(x, target, weight=weight, pos_weight=pos_weight, reduction=reduction)


def cdist(x, y, p=2.0, compute_mode=None):
    if p == 2:
        return mc.pairwise_distances(x, y)
    return mc.norm(mc.expand_dims(x, -2) - mc.expand_dims(y, -3), p, axis=-1)


def softplus(x, beta=1, threshold=20):
    return mc.where(x * beta > threshold, x, mc.softplus(x * beta) / beta)


UNARY = "exp log log1p expm1 sqrt square abs sin cos tanh sigmoid erf"
REFLECTED = {
    "__radd__": lambda a, b: b + a,
    "__rsub__": lambda a, b: b - a,
    "__rmul__": lambda a, b: b * a,
    "__rdiv__": lambda a, b: b / a,
    "__rpow__": lambda a, b: b**a,
    "__rmatmul__": lambda a, b: b @ a,
}
OPS = {
    **{name: plain(getattr(mc, name)) for name in UNARY.split()},
    **REFLECTED,
    "neg": plain(mc.negative),
    "positive": plain(lambda x: +x),
    "reciprocal": plain(lambda x: 1 / x),
    "rsqrt": plain(lambda x: x**-0.5),
    "add": scaled_sum(1),
    "sub": scaled_sum(-1),
    "rsub": lambda a, b, alpha=1: b - a * alpha,
    "mul": plain(mc.multiply),
    "div.no_rounding_mode": plain(mc.divide),
    "true_divide": plain(mc.divide),
    "pow": plain(mc.power),
    "float_power": plain(mc.power),
    "maximum": plain(mc.maximum),
    "minimum": plain(mc.minimum),
    "max.binary": plain(mc.maximum),
    "min.binary": plain(mc.minimum),
    "clamp": lambda x, min=None, max=None: mc.clip(x, min, max),
    "clamp_min": lambda x, min: mc.clip(x, min=min),
    "clamp_max": lambda x, max: mc.clip(x, max=max),
    "where": lambda a, condition, b: mc.where(condition, a, b),
    "masked_fill": mc.masked_fill,
    # reductions
    **{name: reduction(getattr(mc, name)) for name in ("sum", "mean", "prod", "logsumexp")},
    "amax": reduction(mc.max),
    "amin": reduction(mc.min),
    "max.reduction_no_dim": plain(mc.max),
    "min.reduction_no_dim": plain(mc.min),
    **{name: variance(getattr(mc, name[:3])) for name in ("var", "var.unbiased", "std", "std.unbiased")},
    "cumsum": cumsum,
    **{name: along(getattr(mc, name)) for name in ("softmax", "log_softmax")},
    "softmax.with_dtype": along(mc.softmax),
    "log_softmax.with_dtype": along(mc.log_softmax),
    "nn.functional.softmin": along(lambda x, axis: mc.softmax(-x, axis=axis)),
    "linalg.vector_norm": norm,
    "norm": norm,
    "norm.fro": norm,
    "norm.inf": norm,
    "dist": lambda a, b, p=2: mc.norm(a - b, p),
    # products
    "matmul": plain(mc.matmul),
    **{name: plain(mc.matmul) for name in ("mm", "mv", "bmm")},
    "dot": plain(mc.dot),
    "vdot": plain(mc.dot),
    "inner": plain(lambda a, b: mc.dot(a, b.T) if a.ndim else a * b),
    "outer": plain(mc.outer),
    "einsum": lambda operands, subscripts: mc.einsum(subscripts, *operands),
    "addmm": lambda c, a, b, alpha=1, beta=1: beta * c + alpha * (a @ b),
    "nn.functional.linear": lambda x, w, b=None: x @ w.T if b is None else x @ w.T + b,
    "trace": plain(lambda x: mc.einsum("ii", x[: min(x.shape), : min(x.shape)])),
    # shapes and positions
    "reshape": plain(mc.reshape),
    "view": plain(mc.reshape),
    "ravel": plain(lambda x: mc.reshape(x, -1)),
    "permute": plain(mc.permute),
    "transpose": swapaxes,
    "T": plain(lambda x: x.T),
    "mT": plain(lambda x: x.swapaxes(-1, -2)),
    "squeeze": squeeze,
    "squeeze.multiple": squeeze,
    "unsqueeze": plain(mc.expand_dims),
    "broadcast_to": expand,
    "expand": expand,
    "cat": concatenate,
    "stack": lambda parts, dim=0: mc.stack(parts, axis=dim),
    "split": split,
    "split.list_args": split,
    "split_with_sizes": split,
    "chunk": chunk,
    "tensor_split": tensor_split,
    "unbind": lambda x, dim=0: [select(x, dim, k) for k in range(x.shape[dim])],
    "flip": lambda x, dims: mc.flip(x, axis=tuple(dims)),
    **{f"nn.functional.pad.{mode}": pad for mode in ("constant", "reflect", "replicate", "circular")},
    "index_select": index_select,
    "take": plain(mc.take),
    "gather": gather,
    "take_along_dim": take_along_dim,
    "__getitem__": lambda x, key: x[key],
    "select": select,
    "nn.functional.embedding": lambda x, index: x[index],
    "masked_select": masked_select,
    # activations, embeddings, losses
    **{f"nn.functional.{name}": plain(getattr(mc, name)) for name in ("relu", "silu")},
    "nn.functional.logsigmoid": plain(mc.log_sigmoid),
    "nn.functional.softplus": softplus,
    "nn.functional.gelu": lambda x, approximate="none": mc.gelu(x, approximate=approximate),
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01: mc.leaky_relu(x, negative_slope=negative_slope),
    "nn.functional.elu": lambda x, alpha=1.0: mc.elu(x, alpha=alpha),
    "nn.functional.normalize": normalize,
    "nn.functional.cosine_similarity": cosine_similarity,
    "nn.functional.cross_entropy": loss(mc.cross_entropy),
    "nn.functional.nll_loss": loss(mc.nll_loss),
    "nn.functional.mse_loss": lambda a, b, reduction="mean": mc.mse_loss(a, b, reduction=reduction),
    "nn.functional.binary_cross_entropy_with_logits": bce,
    "cdist": cdist,
}

# -------------------------------------------------------------------------------------------------------- comparison


def converted(x):
    """A torch sample for minicl: floats become Tensors, integers and masks arrays. Tensors are collected on the way."""
    if isinstance(x, torch.Tensor):
        return mc.tensor(x.detach().numpy()) if x.is_floating_point() else x.numpy()
    if isinstance(x, (list, tuple)):
        return type(x)(converted(a) for a in x)
    return {key: converted(a) for key, a in x.items()} if isinstance(x, dict) else x


def floats(x, kind):
    """All `kind`s in a nest of lists, in order."""
    if isinstance(x, kind):
        return [x] if kind is mc.Tensor or x.is_floating_point() else []
    if isinstance(x, dict):
        x = x.values()
    return [t for a in x for t in floats(a, kind)] if isinstance(x, (list, tuple, type({}.values()))) else []


def listed(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def compare(op, f, sample, rng):
    differentiable = [sample.input, sample.args, {k: a for k, a in sample.kwargs.items() if "weight" not in k}]
    theirs = [t.requires_grad_() if t.is_leaf else t for t in floats(differentiable, torch.Tensor)]
    x, args, kwargs = converted([sample.input, sample.args, sample.kwargs])
    ours = floats([x, args, {k: a for k, a in kwargs.items() if "weight" not in k}], mc.Tensor)
    y = listed(f(x, *args, **kwargs))
    expected = listed(op(sample.input, *sample.args, **sample.kwargs))
    assert len(y) == len(expected)
    for a, b in zip(y, expected):
        assert_close(mc.to_numpy(a), b.numpy(force=True), 1e-9, what="value")
    expected = [b for b in expected if b.requires_grad]
    if not expected:
        return
    cotangents = [rng.standard_normal(b.shape) for b in expected]
    weights = [mc.tensor(c) for c in cotangents]
    first = mc.grad(sum(mc.sum(a * c) for a, c in zip(y, weights)), ours, differentiable=op.supports_gradgrad)
    wanted = torch.autograd.grad(
        expected, theirs, [torch.tensor(c) for c in cotangents], allow_unused=True, create_graph=op.supports_gradgrad
    )
    for k, (a, b) in enumerate(zip(first, wanted)):
        expected_g = np.zeros(a.shape) if b is None else b.numpy(force=True)
        assert_close(mc.to_numpy(a), expected_g, 1e-7, 1e-12, f"gradient {k}")
    again = [(a, b, rng.standard_normal(a.shape)) for a, b in zip(first, wanted) if b is not None and b.requires_grad]
    if not op.supports_gradgrad or not again:
        return
    second = mc.grad(sum(mc.sum(a * v) for a, _, v in again), ours)
    wanted = torch.autograd.grad(
        [b for _, b, _ in again], theirs, [torch.tensor(v) for _, _, v in again], allow_unused=True
    )
    for k, (a, b) in enumerate(zip(second, wanted)):
        assert_close(a, np.zeros(a.shape) if b is None else b.numpy(force=True), 1e-7, 1e-11, f"second gradient {k}")


LEFT_OUT = {
    "transpose": {"the axes of a number": 1},
    "cat": {"torch passes over an empty vector among matrices": 1},
    "gather": {"an empty index with other axes than x": 1},
    "nn.functional.pad.constant": {"a negative width, which cuts off": 4},
    "nn.functional.pad.reflect": {"a negative width, which cuts off": 1},
    "nn.functional.pad.replicate": {"a negative width, which cuts off": 1},
    "nn.functional.pad.circular": {"a negative width, which cuts off": 1},
    "nn.functional.cross_entropy": {"ignore_index": 1},
    "nn.functional.nll_loss": {"ignore_index": 25},
}


def variant(name):
    """torch's entry for "name.variant"."""
    return next(op for op in methods.op_db if f"{op.name}.{op.variant_test_name}".rstrip(".") == name)


def samples_of(name):
    torch.manual_seed(0)
    return list(variant(name).sample_inputs("cpu", torch.float64, requires_grad=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPS)
def test_samples(name, rng):
    left_out = {}
    for sample in samples_of(name):
        try:
            compare(variant(name), OPS[name], sample, rng)
        except OutOfScope as reason:
            left_out[str(reason)] = left_out.get(str(reason), 0) + 1
        except AssertionError as error:
            raise AssertionError(f"{name} of {sample.summary()}: {error}") from error
    assert left_out == LEFT_OUT.get(name, {})


@pytest.mark.filterwarnings("ignore")
def test_how_many_samples_there_are():
    """A comparison that compares nothing would pass as well."""
    compared = {name: len(samples_of(name)) - sum(LEFT_OUT.get(name, {}).values()) for name in OPS}
    assert min(compared.values()) > 0 and sum(compared.values()) >= 1400
