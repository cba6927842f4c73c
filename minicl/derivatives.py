"""Differential operators: Jacobian, Hessian, and their products with vectors, all built from `grad` alone.

Each takes a function of Tensors and the point, given as arrays, and returns the derivative as arrays.
"""

import numpy as np

from .arrays import is_array, namespace
from .engine import Tensor, enable_grad, grad, tensor
from .ops import sum as _sum


def _leaves(arrays, name):
    leaves = [tensor(x) for x in arrays]
    for k, x in enumerate(leaves):
        if x.dtype.kind != "f":
            raise TypeError(f"{name}: argument {k} has dtype {x.dtype}; integers have no derivative. Give floats.")
    return leaves


def _output(f, leaves, name):
    y = f(*leaves)
    if isinstance(y, (tuple, list)):
        raise TypeError(f"{name}: the function returned {len(y)} values; return one Tensor.")
    # A function may ignore its arguments: then it is constant, and its derivative 0.
    return y if isinstance(y, Tensor) else tensor(np.asarray(y, dtype=float) if not is_array(y) else y)


@enable_grad()
def value_and_grad(f, *arrays):
    """The value of a scalar function and its gradient with respect to each argument.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor of shape ().
    *arrays : array_like

    Returns
    -------
    value : float
    gradients : tuple of arrays, one for each argument

    Examples
    --------
    >>> value_and_grad(lambda x: (x * x).sum(), [1.0, 2.0])
    (5.0, (array([2., 4.]),))
    """
    leaves = _leaves(arrays, "value_and_grad")
    y = _output(f, leaves, "value_and_grad")
    gradients = tuple(grad(y, leaves))
    return y.item(), gradients


@enable_grad()
def jacobian(f, *arrays, argnum=0):
    """All partial derivatives of `f` with respect to one argument.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor of shape S.
    *arrays : array_like
    argnum : int
        The argument to differentiate, of shape T.

    Returns
    -------
    array, shape S + T

    Notes
    -----
    J[i, j] = ∂yᵢ/∂xⱼ: one walk back for each entry of the output, with a one-hot cotangent.

    Examples
    --------
    >>> jacobian(lambda x: x * x, [1.0, 2.0])
    array([[2., 0.],
           [0., 4.]])
    """
    leaves = _leaves(arrays, "jacobian")
    y = _output(f, leaves, "jacobian")
    x = leaves[argnum]
    xp = namespace(x.data)
    rows = []
    for k in range(y.size):
        one_hot = xp.zeros(y.size, dtype=y.dtype)
        one_hot[k] = 1
        rows.append(grad(y, x, cotangent=one_hot.reshape(y.shape)))
    return xp.stack(rows).reshape(y.shape + x.shape) if rows else xp.zeros(y.shape + x.shape, dtype=x.dtype)


@enable_grad()
def hessian(f, x):
    """All second partial derivatives of a scalar function at one argument.

    Parameters
    ----------
    f : callable
        Takes a Tensor of shape T, returns a Tensor of shape ().
    x : array_like, shape T

    Returns
    -------
    array, shape T + T

    Examples
    --------
    >>> hessian(lambda x: (x**3).sum(), [1.0, 2.0])
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(lambda leaf: grad(_output(f, [leaf], "hessian"), leaf, differentiable=True), x)


@enable_grad()
def hvp(f, x, v):
    """Hessian of a scalar function times a vector, without forming the Hessian: two walks back.

    Parameters
    ----------
    f : callable
        Takes a Tensor, returns a Tensor of shape ().
    x, v : array_like, one shape

    Returns
    -------
    array, the shape of x

    Notes
    -----
    H v = ∇ (∇f(x) · v).

    Examples
    --------
    >>> hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 1.0])
    array([ 6., 12.])
    """
    (leaf,) = _leaves([x], "hvp")
    g = grad(_output(f, [leaf], "hvp"), leaf, differentiable=True)
    return grad(g, leaf, cotangent=_direction(v, leaf, "hvp"))


@enable_grad()
def jvp(f, arrays, directions):
    """The change of `f` along a direction: Jacobian times vector.

    Parameters
    ----------
    f : callable
        Takes Tensors, returns a Tensor of shape S.
    arrays, directions : an array, or a tuple of arrays with one for each argument
        Each direction has the shape of its array.

    Returns
    -------
    array, shape S

    Notes
    -----
    The walk back computes ȳ ↦ Jᵀȳ, which is linear in ȳ. Its own derivative with respect to ȳ is J: so two walks back
    make one walk forward (the "double-backward trick", J. Townsend 2017).

    Examples
    --------
    >>> jvp(lambda x: x * x, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    if not isinstance(arrays, tuple):
        arrays, directions = (arrays,), (directions,)
    if len(arrays) != len(directions):
        raise ValueError(f"jvp: {len(arrays)} arrays and {len(directions)} directions; give one direction for each.")
    leaves = _leaves(arrays, "jvp")
    y = _output(f, leaves, "jvp")
    cotangent = tensor(namespace(y.data).zeros_like(y.data))
    gradients = grad(y, leaves, cotangent=cotangent, differentiable=True)
    # Joined into one number, so that one walk serves all arguments.
    along = [_sum(g * _direction(v, x, "jvp")) for g, x, v in zip(gradients, leaves, directions)]
    total = along[0]
    for part in along[1:]:
        total = total + part
    return grad(total, cotangent)


def _direction(v, x, name):
    v = v.data if isinstance(v, Tensor) else v
    v = v if is_array(v) else np.asarray(v, dtype=x.dtype)
    namespace(x.data, v, op=name)
    if v.shape != x.shape:
        raise ValueError(f"{name}: the direction has shape {v.shape}, the argument {x.shape}; they must be equal.")
    return v
