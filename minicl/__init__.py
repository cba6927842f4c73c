"""minicl: contrastive learning from the first derivative up, in NumPy. `import minicl as mc`.

This file lists the public names in reading order and does nothing else. What is heavy is loaded when it is first named.
"""

import importlib

from .arrays import namespace, to_numpy
from .engine import (
    Saved,
    Tensor,
    add,
    astype,
    broadcast_to,
    copy,
    detect_anomaly,
    enable_grad,
    grad,
    no_grad,
    primitive,
    reshape,
    stop_gradient,
    sum_to,
    tensor,
)
from .ops import (  # noqa: A004  (sum, abs, max, min are NumPy's names)
    PRIMITIVES,
    abs,
    argmax,
    argmin,
    clip,
    cos,
    cumsum,
    divide,
    elu,
    equal,
    erf,
    exp,
    expm1,
    greater,
    greater_equal,
    index,
    leaky_relu,
    less,
    less_equal,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    relu,
    scatter,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    sqrt,
    square,
    subtract,
    sum,
    swapaxes,
    tanh,
    to_device,
    transpose,
    where,
)
from .functional import (
    concatenate,
    cosine_matrix,
    cosine_similarity,
    dot,
    einsum,
    expand_dims,
    flip,
    gather,
    gelu,
    log_sigmoid,
    masked_fill,
    norm,
    normalize,
    one_hot,
    outer,
    pad,
    pairwise_distances,
    permute,
    prod,
    silu,
    split,
    squeeze,
    stack,
    std,
    take,
    take_along_axis,
    var,
)
from .conv import avg_pool2d, conv2d, global_avg_pool, max_pool2d, unwindows, windows
from .derivatives import hessian, hvp, jacobian, jvp, value_and_grad
from .recompute import checkpoint, once
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss, nt_xent
from . import graph, losses

__version__ = "0.1.0"

_LAZY = "course data derivations evaluate formulas gradcheck nn optim parallel train verify viz".split()


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    if name == "ContrastiveEncoder":
        return importlib.import_module(".estimator", __name__).ContrastiveEncoder
    if name == "profile":
        return importlib.import_module(".profiling", __name__).profile
    raise AttributeError(f"module 'minicl' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY, "ContrastiveEncoder", "profile"])
