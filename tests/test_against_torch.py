"""PyTorch's own operator samples: the same inputs through minicl, value, gradient and second order.

PyTorch tests its operators with a list of samples (`op_db`): shapes, broadcasting, axes, empty and 0-d inputs, extreme
arguments. `CALLS` says how a sample is written in minicl; what torch alone offers is left out by name in `OUT_OF_SCOPE`,
and the number of samples that ran is held, so that none is lost in silence.
"""

import collections
import warnings

import numpy as np
import pytest
from differences import assert_close

import minicl as mc

torch = pytest.importorskip("torch", reason="torch is not installed: make oracles")
methods = pytest.importorskip("torch.testing._internal.common_methods_invocations", reason="torch has no op_db here")

OPS = collections.defaultdict(list)
for info in methods.op_db:
    OPS[info.name].append(info)


class NotOffered(Exception):
    """The sample uses an argument that only torch has."""


def only(params, *names):
    """The sample's keyword arguments, if minicl knows them all."""
    unknown = {k for k, v in params.items() if k not in names and v is not None and k not in ("dtype", "out")}
    if unknown or params.get("dtype") not in (None, torch.float64) or "out" in params:
        raise NotOffered(sorted(unknown) or "dtype")
    return {k: v for k, v in params.items() if k in names}


def plain(f):
    def call(x, *args, **params):
        only(params)
        return f(x, *args)

    return call


def scaled(f):
    """add and sub have alpha=: the second operand is multiplied by it."""

    def call(a, b, **params):
        alpha = only(params, "alpha").get("alpha", 1)
        return f(a, b * alpha if alpha != 1 else b)

    return call


def axes(dim):
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim


def reduction(f, empty_is_all=True):
    def call(x, *args, **params):
        given = only(params, "dim", "keepdim")
        dim = args[0] if args else given.get("dim")
        keep = args[1] if len(args) > 1 else given.get("keepdim", False)
        if dim in ((), []) and empty_is_all:
            dim = None
        return f(x, axis=axes(dim), keepdims=keep)

    return call


def spread(f):
    def call(x, *args, **params):
        given = only(params, "dim", "keepdim", "correction", "unbiased")
        dim, unbiased = given.get("dim"), given.get("unbiased", True)
        if args and isinstance(args[0], bool):
            unbiased, args = args[0], args[1:]
        if args:
            dim = args[0]
        correction = given.get("correction")
        correction = float(unbiased) if correction is None else correction
        if dim in ((), []):
            dim = None
        return f(x, axis=axes(dim), correction=correction, keepdims=given.get("keepdim", False))

    return call


def softmax(f):
    def call(x, dim=None, **params):
        only(params)
        return f(x, axis=dim)

    return call


def vector_norm(x, ord=2, dim=None, keepdim=False, **params):
    only(params)
    return mc.norm(x, ord=ord, axis=axes(dim), keepdims=keepdim)


def clamp(x, min=None, max=None):
    return mc.clip(x, min, max)


def clip_in_order(x, *args, **params):
    return clamp(x, *args, **only(params, "min", "max"))


def classes_last(x):
    """torch has the classes on axis 1, minicl on the last."""
    return mc.transpose(x, (0, *range(2, x.ndim), 1)) if x.ndim > 2 else x


def class_loss(f, *names):
    def call(x, target, **params):
        given = only(params, "weight", "reduction", *names)
        if params.get("ignore_index", -100) not in (-100, None):
            raise NotOffered("ignore_index")
        floats = isinstance(target, mc.Tensor) or target.dtype.kind == "f"
        return f(classes_last(x), classes_last(target) if floats else target, **given)

    return call


def cross_entropy(x, target, **params):
    params = {k: v for k, v in params.items() if k != "ignore_index" or v != -100}
    return class_loss(mc.cross_entropy, "label_smoothing")(x, target, **params)


def nll_loss(x, target, **params):
    params = {k: v for k, v in params.items() if k != "ignore_index" or v != -100}
    return class_loss(mc.nll_loss)(x, target, **params)


def pad(x, width, mode="constant", value=None):
    if any(w < 0 for w in width):
        raise NotOffered("negative pad")
    pairs = [(0, 0)] * x.ndim
    for k in range(len(width) // 2):
        pairs[-1 - k] = (width[2 * k], width[2 * k + 1])
    mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    return mc.pad(x, pairs, mode=mode, constant_values=value or 0.0)


def cdist(x, y, p=2.0, compute_mode=None):
    if p != 2.0 or x.ndim != 2 or y.ndim != 2:
        raise NotOffered("p or a batch")
    return mc.pairwise_distances(x, y)


def transpose(x, axis0, axis1):
    return mc.swapaxes(x, axis0, axis1)


def split(x, size, dim=0):
    n = x.shape[dim]
    if isinstance(size, int):
        cuts = list(range(size, n, size)) if size else []
    else:
        cuts = list(np.cumsum(size)[:-1])
    return mc.split(x, cuts, axis=dim)


def power(a, b, **params):
    only(params)
    return a**b


def squeeze(x, *dim):
    if not dim:
        return mc.squeeze(x)
    named = axes(dim[0]) if isinstance(dim[0], (tuple, list)) else (dim[0],)
    return mc.squeeze(x, axis=tuple(k for k in named if x.ndim and x.shape[k] == 1))  # torch leaves longer axes alone


def where(condition, a, b):
    return mc.where(condition, a, b)


def where_as_method(a, condition, b):
    return mc.where(condition, a, b)


# Not compared: softplus, since torch replaces it by x beyond a threshold, which costs nine digits.
CALLS = {
    "add": scaled(mc.add),
    "sub": scaled(mc.subtract),
    "mul": plain(mc.multiply),
    "div": lambda a, b, **p: mc.divide(a, b, **only({k: v for k, v in p.items() if v is not None})),
    "pow": power,
    "neg": plain(mc.negative),
    "exp": plain(mc.exp),
    "log": plain(mc.log),
    "log1p": plain(mc.log1p),
    "expm1": plain(mc.expm1),
    "sqrt": plain(mc.sqrt),
    "square": plain(mc.square),
    "abs": plain(mc.abs),
    "sin": plain(mc.sin),
    "cos": plain(mc.cos),
    "tanh": plain(mc.tanh),
    "sigmoid": plain(mc.sigmoid),
    "erf": plain(mc.erf),
    "maximum": plain(mc.maximum),
    "minimum": plain(mc.minimum),
    "clamp": clip_in_order,
    "where": where_as_method,
    "sum": reduction(mc.sum),
    "mean": reduction(mc.mean),
    "amax": reduction(mc.max),
    "amin": reduction(mc.min),
    "prod": reduction(mc.prod),
    "var": spread(mc.var),
    "std": spread(mc.std),
    "cumsum": lambda x, dim, **p: mc.reshape(mc.cumsum(x, axis=dim, **only(p)), x.shape),  # NumPy turns () into (1,)
    "logsumexp": reduction(mc.logsumexp),
    "softmax": softmax(mc.softmax),
    "log_softmax": softmax(mc.log_softmax),
    "linalg.vector_norm": vector_norm,
    "matmul": plain(mc.matmul),
    "dot": plain(mc.dot),
    "outer": plain(mc.outer),
    "einsum": lambda operands, subscripts: mc.einsum(subscripts, *operands),
    "reshape": lambda x, shape: mc.reshape(x, shape),
    "transpose": transpose,
    "permute": lambda x, dims: mc.permute(x, dims),
    "squeeze": squeeze,
    "unsqueeze": lambda x, dim: mc.expand_dims(x, dim),
    "broadcast_to": lambda x, shape: mc.broadcast_to(x, shape),
    "cat": lambda xs, *dim, **p: mc.concatenate(xs, axis=dim[0] if dim else p.get("dim", 0)),
    "stack": lambda xs, *dim, **p: mc.stack(xs, axis=dim[0] if dim else p.get("dim", 0)),
    "split": split,
    "flip": lambda x, dims: mc.flip(x, axis=tuple(dims)),
    "index_select": lambda x, dim, index: mc.take(x, index, axis=dim),
    "gather": lambda x, dim, index: mc.gather(x, index, axis=dim),
    "take_along_dim": lambda x, index, dim=None: mc.take_along_axis(*((x.flatten(), index.ravel(), 0) if dim is None else (x, index, dim))),
    "masked_fill": lambda x, mask, value: mc.masked_fill(x, mask, value),
    "nn.functional.pad": pad,
    "nn.functional.relu": plain(mc.relu),
    "nn.functional.leaky_relu": lambda x, **p: mc.leaky_relu(x, **only(p, "negative_slope")),
    "nn.functional.elu": lambda x, **p: mc.elu(x, **only(p, "alpha")),
    "nn.functional.gelu": lambda x, **p: mc.gelu(x, **only(p, "approximate")),
    "nn.functional.silu": plain(mc.silu),
    "nn.functional.logsigmoid": plain(mc.log_sigmoid),
    "nn.functional.cosine_similarity": lambda a, b, **p: mc.cosine_similarity(a, b, axis=only(p, "dim").get("dim", 1)),
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.nll_loss": nll_loss,
    "nn.functional.mse_loss": lambda a, b, **p: mc.mse_loss(a, b, **only(p, "reduction")),
    "nn.functional.binary_cross_entropy_with_logits": lambda x, t, **p: mc.binary_cross_entropy_with_logits(
        x, t, **only(p, "weight", "pos_weight", "reduction")
    ),
    "cdist": cdist,
}  # fmt: skip


def converted(value, leaves):
    """A torch argument as minicl's: a float tensor becomes a leaf, another tensor a bare array."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        if value.requires_grad:
            leaves.append(mc.tensor(array))
            return leaves[-1]
        return array
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v, leaves) for v in value) if type(value) in (list, tuple) else tuple(value)
    if isinstance(value, dict):
        return {k: converted(v, leaves) for k, v in value.items()}
    return value


def torch_leaves(*values):
    for value in values:
        if isinstance(value, torch.Tensor) and value.requires_grad:
            yield value
        elif isinstance(value, (list, tuple)):
            yield from torch_leaves(*value)
        elif isinstance(value, dict):
            yield from torch_leaves(*value.values())


def values(t):
    return t.numpy(force=True)  # also where torch holds zeros or a sign without writing them out


def outputs_of(y, kind):
    return [o for o in (y if isinstance(y, (tuple, list)) else [y]) if isinstance(o, kind)]


def compare(info, sample, call, rng):
    """True if the sample ran through both; every difference raises."""
    theirs = info.op(sample.input, *sample.args, **sample.kwargs)
    leaves = []
    given = converted((sample.input, *sample.args), leaves)
    params = converted(sample.kwargs, leaves)
    try:
        ours = call(*given, **params)
    except NotOffered:
        return False
    theirs, ours = outputs_of(theirs, torch.Tensor), outputs_of(ours, (mc.Tensor, np.ndarray, np.generic))
    assert len(theirs) == len(ours)
    for t, o in zip(theirs, ours):
        assert_close(mc.to_numpy(o), values(t), 1e-9, 1e-12, info.name)
    sources = list(torch_leaves(sample.input, sample.args, sample.kwargs))
    pairs = [(t, o) for t, o in zip(theirs, ours) if t.requires_grad and isinstance(o, mc.Tensor)]
    if not sources or not pairs:
        return True
    cotangents = [rng.standard_normal(t.shape) for t, _ in pairs]
    theirs = torch.autograd.grad(
        sum((t * torch.tensor(c)).sum() for (t, _), c in zip(pairs, cotangents)),
        sources,
        create_graph=True,
        allow_unused=True,
    )
    total = mc.sum(pairs[0][1] * cotangents[0])
    for (_, o), c in zip(pairs[1:], cotangents[1:]):
        total = total + mc.sum(o * c)
    ours = mc.grad(total, leaves, differentiable=True)
    for t, o in zip(theirs, ours):
        assert_close(o.numpy(), np.zeros(o.shape) if t is None else values(t), 1e-7, 1e-10, f"{info.name}: gradient")
    again = [(t, o) for t, o in zip(theirs, ours) if t is not None and t.requires_grad]
    if not again or not info.supports_gradgrad:
        return True
    directions = [rng.standard_normal(t.shape) for t, _ in again]
    theirs = torch.autograd.grad(
        sum((t * torch.tensor(v)).sum() for (t, _), v in zip(again, directions)), sources, allow_unused=True
    )
    total = mc.sum(again[0][1] * directions[0])
    for (_, o), v in zip(again[1:], directions[1:]):
        total = total + mc.sum(o * v)
    for t, o in zip(theirs, mc.grad(total, leaves)):
        assert_close(o, np.zeros(o.shape) if t is None else values(t), 1e-7, 1e-9, f"{info.name}: second order")
    return True


def in_scope(name, sample):
    """False where torch means something that NumPy does not, or the issue is a torch habit."""
    x, args = sample.input, sample.args
    if name == "nn.functional.mse_loss":
        return x.shape == args[0].shape  # minicl refuses to broadcast a target
    if name == "nn.functional.cosine_similarity":
        return x.ndim > 0 and "eps" not in sample.kwargs  # minicl has no eps
    if name == "cat":
        return len({part.ndim for part in x}) == 1  # torch skips an empty vector beside matrices
    if name == "gather":
        return args[1].ndim == x.ndim
    if name in ("transpose", "index_select", "logsumexp", "linalg.vector_norm"):
        # torch lets a number have an axis 0
        return x.ndim > 0 or (name == "linalg.vector_norm" and sample.kwargs.get("dim") is None)
    return True


# How many samples ran: if torch's list shrinks, or a call turns more of them away, this test must be looked at again.
HELD = {
    "abs": 1, "add": 11, "amax": 20, "amin": 20, "broadcast_to": 7, "cat": 8, "cdist": 10, "clamp": 7, "cos": 3,
    "div": 9, "dot": 1, "einsum": 11, "erf": 1, "exp": 3, "expm1": 1, "flip": 10, "gather": 5, "index_select": 2,
    "linalg.vector_norm": 153, "log": 3, "log1p": 1, "log_softmax": 14, "logsumexp": 12, "masked_fill": 8,
    "matmul": 15, "maximum": 9, "mean": 20, "minimum": 9, "mul": 9, "neg": 1,
    "nn.functional.binary_cross_entropy_with_logits": 26, "nn.functional.cosine_similarity": 7,
    "nn.functional.cross_entropy": 20, "nn.functional.elu": 3, "nn.functional.gelu": 8,
    "nn.functional.leaky_relu": 9, "nn.functional.logsigmoid": 3, "nn.functional.mse_loss": 6,
    "nn.functional.nll_loss": 36, "nn.functional.pad": 76, "nn.functional.relu": 4, "nn.functional.silu": 6,
    "outer": 1, "permute": 4, "pow": 9, "prod": 39, "reshape": 7, "sigmoid": 3, "sin": 1, "softmax": 14, "split": 5,
    "sqrt": 1, "square": 3, "squeeze": 14, "stack": 9, "std": 16, "sub": 11, "sum": 20, "take_along_dim": 5,
    "tanh": 1, "transpose": 7, "unsqueeze": 9, "var": 16, "where": 6, "cumsum": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CALLS))
def test_torch_samples(name):
    rng = np.random.default_rng(0)
    ran = 0
    for info in OPS[name]:
        if info.variant_test_name in ("trunc_rounding", "floor_rounding"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both libraries warn at empty and extreme inputs
            torch.manual_seed(0)
            for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
                ran += in_scope(name, sample) and compare(info, sample, CALLS[name], rng)
    assert ran >= HELD.get(name, 1), f"{name}: {ran} samples ran, {HELD.get(name)} did before"
