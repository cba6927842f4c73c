"""Notebook 01: vector-Jacobian products by hand, a Jacobian, and the order in which a backward pass visits the graph.

A vector-Jacobian product (vjp) takes g, the gradient of some number L with respect to an output y, and returns the
gradient of L with respect to the inputs: dx = Σ g ∂y/∂x.
"""

import numpy as np

from .. import numeric
from ..answers import Failed, sequence
from ..exercise import Code, Exercise, Mistake, Test, call, draw
from .vjp import vjp_tests

# ------------------------------------------------------------------------------------------------------------ product

mul_vjp = Exercise(
    name="mul_vjp",
    notebook="01",
    signature="f(g, a, b) -> (da, db)",
    statement="""Gradients of the product a b, entry by entry.

    y = a * b for two arrays of the same shape. g has that shape too. Return the gradients with respect to a and to b.
    (Arrays of different shapes are the exercise "unbroadcast".)
    """,
    tests=[
        Test(
            "knows the gradients of single products",
            "T1",
            [
                call(np.array(2.0), np.array(3.0), np.array(5.0)).gives((10.0, 6.0)),
                call(np.array(1.0), np.array(0.0), np.array(7.0)).gives((7.0, 0.0)),
                call(np.array([1.0, -1.0]), np.array([4.0, 6.0]), np.array([0.5, 2.0])).gives(
                    (np.array([0.5, -2.0]), np.array([4.0, -6.0]))
                ),
            ],
        ),
        *vjp_tests(
            lambda a, b: a * b, call(draw(2), draw(2)), call(draw(2, 2), draw(2, 2)), call(draw(5, 3), draw(5, 3))
        ),
    ],
    mistakes=[
        Mistake(
            "own-factor",
            "multiplies g by a for da and by b for db",
            lambda g, a, b: (g * a, g * b),
            (
                "At a = 3, b = 5 a step of a changes a b by 5 per unit. Yours says 3.",
                "Look at which factor stands beside g in da.",
                "The slope of a product in one factor is the other factor. Or is the order of da and db wrong?",
            ),
        ),
        Mistake(
            "g-left-out",
            "returns the slopes b and a without g",
            lambda g, a, b: (b, a),
            (
                "Doubling g does not change your answer.",
                "g is not used: these are the slopes of y, and the gradients of L are wanted.",
                "The chain rule multiplies each slope of y by the gradient that arrives at y.",
            ),
        ),
        Mistake(
            "g-in-one-only",
            "multiplies by g for da and forgets it for db",
            lambda g, a, b: (g * b, a),
            (
                "da is right and db does not change when g doubles.",
                "Compare your lines for da and db: they must look alike.",
                "The chain rule holds for both inputs.",
            ),
        ),
        Mistake(
            "adds-g",
            "adds g to the slopes",
            lambda g, a, b: (g + b, g + a),
            (
                "Doubling g does not double your answer.",
                "Look at the operation between g and the slope.",
                "Gradients of different paths are added; along one path they are multiplied.",
            ),
        ),
        Mistake(
            "summed",
            "sums over all entries",
            lambda g, a, b: (np.sum(g * b), np.sum(g * a)),
            (
                "Your gradient is a number where the input is an array.",
                "Look for a sum: entry i of y depends on entry i of a only.",
                "A gradient has one entry for each entry of its input, so nothing is added up here.",
            ),
        ),
        Mistake(
            "g-overwritten",
            "overwrites g by da and then uses it for db",
            lambda g, a, b: (np.multiply(g, b, out=g), g * a),
            (
                "After the call g is not what it was.",
                "Look for *= or out=: it changes the array of the caller.",
                "Make a new array for da, and use the old g for db.",
            ),
        ),
    ],
    advice="Change one entry of a by a small h. How much does each entry of y change? That, divided by h, times g.",
)

# ----------------------------------------------------------------------------------------------------- matrix product

_G, _A, _B = np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[4.0, 5.0]])

matmul_vjp = Exercise(
    name="matmul_vjp",
    notebook="01",
    signature="f(g, a, b) -> (da, db)",
    statement="""Gradients of the matrix product a @ b.

    y = a @ b with a of shape (n, k), b of shape (k, m) and g of shape (n, m). Return the gradients with respect to a
    and b.
    """,
    tests=[
        Test(
            "knows the gradients of small products",
            "T1",
            [
                call(np.array([[2.0]]), np.array([[3.0]]), np.array([[5.0]])).gives(
                    (np.array([[10.0]]), np.array([[6.0]]))
                ),
                call(_G, _A, _B).gives((np.array([[14.0]]), np.array([[3.0, 6.0]]))),
                call(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])).gives(
                    (np.array([[5.0, 7.0], [6.0, 8.0]]), np.array([[1.0, 3.0], [2.0, 4.0]]))
                ),
            ],
        ),
        *vjp_tests(
            lambda a, b: a @ b, call(draw(2, 1), draw(1, 3)), call(draw(2, 2), draw(2, 2)), call(draw(5, 3), draw(3, 2))
        ),
    ],
    mistakes=[
        Mistake(
            "not-transposed",
            "multiplies g by b and a without transposing them",
            lambda g, a, b: (g @ b, a @ g),
            (
                "It works for square matrices, with wrong numbers, and fails for others.",
                "Write the shapes under each product: g is (n, m), b is (k, m), and da must be (n, k).",
                "The backward pass of a linear map is its transpose.",
            ),
        ),
        Mistake(
            "order-exchanged",
            "transposes and multiplies from the wrong side",
            lambda g, a, b: (b.T @ g, g @ a.T),
            (
                "For square matrices the shapes fit and the numbers are wrong.",
                "On which side of g does each matrix stand?",
                "Write the shapes under each product, with n, k and m different: one order fits only.",
            ),
        ),
        Mistake(
            "reshaped",
            "reshapes where it should transpose",
            lambda g, a, b: (g @ b.reshape(b.shape[::-1]), a.reshape(a.shape[::-1]) @ g),
            (
                "All shapes are right, and rows of one matrix only give right numbers.",
                "Look for reshape: it keeps the order of the numbers in memory.",
                "A transpose exchanges entry (i, j) with (j, i); a reshape moves none of them.",
            ),
        ),
        Mistake(
            "result-transposed",
            "returns the transposes of both gradients",
            lambda g, a, b: (b @ g.T, g.T @ a),
            (
                "Your da has the shape of a.T.",
                "Transpose the whole product: the order of the factors is reversed too.",
                "A gradient has the shape of its input. (X Y).T = Y.T X.T.",
            ),
        ),
        Mistake(
            "results-exchanged",
            "returns db before da",
            lambda g, a, b: (a.T @ g, g @ b.T),
            (
                "Your first result has the shape of b.",
                "Look at the return line.",
                "The order is that of the arguments: first the gradient of a.",
            ),
        ),
        Mistake(
            "g-left-out",
            "uses ones in the place of g",
            lambda g, a, b: (np.ones_like(g) @ b.T, a.T @ np.ones_like(g)),
            (
                "Doubling g does not change your answer.",
                "g is not used: yours is the gradient of the sum of all entries of y.",
                "Put g where the ones are.",
            ),
        ),
        Mistake(
            "averaged",
            "divides the gradient of b by the number of rows",
            lambda g, a, b: (g @ b.T, a.T @ g / len(a)),
            (
                "db is too small by the number of rows of a.",
                "Look for a mean over the rows, or a division by the batch size.",
                "The rows add up. A mean belongs to the loss, and has then come in with g.",
            ),
        ),
    ],
    advice="Write y[i, j] as a sum over k, differentiate it by a[i, k], and read the result as a matrix product.",
)

# ---------------------------------------------------------------------------------------------------------------- sum


def _axes(axis, ndim):
    return tuple(range(ndim)) if axis is None else tuple(i % ndim for i in np.atleast_1d(axis))


def _sum_axis_lost(g, x, axis, keepdims):
    return np.ones_like(x) * g


def _sum_negative_axis(g, x, axis, keepdims):
    g = np.asarray(g)
    if not keepdims and axis is not None:
        for i in sorted(
            i % max(g.ndim, 1) if i < 0 else i for i in np.atleast_1d(axis)
        ):  # counted in g, which is shorter
            g = np.expand_dims(g, i)
    return np.broadcast_to(g, x.shape)


def _sum_always_expanded(g, x, axis, keepdims):
    return np.ones_like(x) * np.expand_dims(g, _axes(axis, x.ndim))


def _sum_one_axis_only(g, x, axis, keepdims):
    if not keepdims and axis is not None:
        g = np.expand_dims(g, axis[0] if isinstance(axis, tuple) else axis)
    return g * np.ones_like(x)


def _sum_of_g(g, x, axis, keepdims):
    return np.full(x.shape, np.sum(g))


def _sum_as_mean(g, x, axis, keepdims):
    if not keepdims:
        g = np.expand_dims(g, _axes(axis, x.ndim))
    return np.broadcast_to(g, x.shape) * np.size(g) / x.size


sum_vjp = Exercise(
    name="sum_vjp",
    notebook="01",
    signature="f(g, x, axis, keepdims) -> dx",
    statement="""Gradient of a sum over any axes.

    y = x.sum(axis, keepdims=keepdims). axis is None, a number or a tuple of numbers; negative ones count from the
    end. g has the shape of y. Call the last two arguments axis and keepdims: they are given by name.
    """,
    tests=[
        Test(
            "knows the gradients of small sums",
            "T1",
            [
                call(np.array(3.0), np.array([1.0, 2.0]), axis=None, keepdims=False).gives(np.array([3.0, 3.0])),
                call(np.array([1.0, 2.0]), np.zeros((2, 2)), axis=1, keepdims=False).gives(
                    np.array([[1.0, 1.0], [2.0, 2.0]])
                ),
                call(np.array([1.0, 2.0]), np.zeros((2, 2)), axis=0, keepdims=False).gives(
                    np.array([[1.0, 2.0], [1.0, 2.0]])
                ),
                call(np.array([[1.0], [2.0]]), np.zeros((2, 2)), axis=1, keepdims=True).gives(
                    np.array([[1.0, 1.0], [2.0, 2.0]])
                ),
            ],
        ),
        *vjp_tests(
            lambda x, axis, keepdims: x.sum(axis, keepdims=keepdims),
            call(draw(2), axis=None, keepdims=False),
            call(draw(2), axis=0, keepdims=True),
            call(draw(2, 2), axis=1, keepdims=False),
            call(draw(3, 2), axis=-1, keepdims=False),
            call(draw(3, 3), axis=-1, keepdims=False),
            call(draw(2, 3), axis=0, keepdims=True),
            call(draw(2, 3), axis=None, keepdims=True),
            call(draw(5, 3, 2), axis=1, keepdims=False),
            call(draw(2, 3, 2), axis=(0, 2), keepdims=False),
            call(draw(2, 2, 2), axis=(-2, -1), keepdims=False),
        ),
    ],
    mistakes=[
        Mistake(
            "axis-lost",
            "broadcasts g without putting the summed axis back",
            _sum_axis_lost,
            (
                "A sum over rows works, one over columns fails, or is silently wrong where x is square.",
                "g has one axis less than x. Where does broadcasting align it?",
                "Give g an axis of length one where the sum was taken, before it is broadcast.",
            ),
        ),
        Mistake(
            "negative-axis",
            "counts a negative axis in g, which has fewer axes than x",
            _sum_negative_axis,
            (
                "It fails for axis=-1 and is right for the same axis counted from the front.",
                "Look at what -1 refers to: to the axes of g, or to those of x?",
                "Turn a negative axis into a positive one with the number of axes of x.",
            ),
        ),
        Mistake(
            "expanded-twice",
            "adds the summed axis although keepdims has kept it",
            _sum_always_expanded,
            (
                "It fails only for keepdims=True.",
                "With keepdims=True g already has as many axes as x.",
                "Put the axis back only where keepdims is False.",
            ),
        ),
        Mistake(
            "one-axis-of-tuple",
            "puts back only the first axis of a tuple",
            _sum_one_axis_only,
            (
                "It fails only where axis is a tuple.",
                "Count the axes of g after your step: it must have as many as x.",
                "Every summed axis has to come back, whatever their number.",
            ),
        ),
        Mistake(
            "divided",
            "divides by the number of summed entries",
            _sum_as_mean,
            (
                "Your answer is too small by the number of entries that are summed.",
                "This is the gradient of the mean.",
                "Raising one entry of x by h raises the sum by h, whatever the number of entries.",
            ),
        ),
        Mistake(
            "g-summed",
            "fills dx with the sum of g",
            _sum_of_g,
            (
                "Every entry of your dx is the same.",
                "An entry of x takes part in one sum only, and receives the g of that sum.",
                "Nothing is added in this backward pass: values are copied.",
            ),
        ),
        Mistake(
            "g-returned",
            "returns g as it is",
            lambda g, x, axis, keepdims: g,
            (
                "Your gradient has the shape of y.",
                "Compare the shapes of x and of your answer.",
                "Each g belongs to all the entries of x that were summed into it.",
            ),
        ),
    ],
    advice="Name the entries of x that are summed into one entry of y. Each of them receives the g of that entry.",
)

# ----------------------------------------------------------------------------------------------------------- indexing


def _getitem_overwritten(g, x, index):
    dx = np.zeros_like(x)
    dx[index] += g
    return dx


def _getitem_first_kept(g, x, index):
    dx = np.zeros_like(x)
    dx[index[::-1]] = g[::-1]
    return dx


def _getitem_counted(g, x, index):
    dx = np.zeros_like(x)
    np.add.at(dx, index, 1.0)
    return dx


def _getitem_averaged(g, x, index):
    dx, count = np.zeros_like(x), np.zeros(len(x))
    np.add.at(dx, index, g)
    np.add.at(count, index, 1)
    return dx / np.maximum(count, 1).reshape(-1, *[1] * (x.ndim - 1))


def _getitem_into_x(g, x, index):
    np.add.at(x, index, g)
    return x


def _getitem_unused_kept(g, x, index):
    dx = x.copy()
    dx[index] = 0
    np.add.at(dx, index, g)
    return dx


getitem_vjp = Exercise(
    name="getitem_vjp",
    notebook="01",
    signature="f(g, x, index) -> dx",
    statement="""Gradient of picking rows, where a row may be picked twice.

    y = x[index] for an array of whole numbers `index` of any shape, which picks along the first axis of x. Negative
    numbers count from the end. g has the shape of y. The same row may be picked several times, and some rows not at
    all.
    """,
    tests=[
        Test(
            "knows the gradients of small picks",
            "T1",
            [
                call(np.array([5.0]), np.array([1.0, 2.0]), np.array([1])).gives(np.array([0.0, 5.0])),
                call(np.array([1.0, 2.0]), np.array([7.0, 8.0]), np.array([0, 0])).gives(np.array([3.0, 0.0])),
                call(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.array([2, 0, 2])).gives(np.array([2.0, 0.0, 4.0])),
            ],
        ),
        *vjp_tests(
            lambda x, index: x[index],
            call(draw(2), np.array([1, 0])),
            call(draw(3), np.array([0, 2, 2, 1])),
            call(draw(3), np.array([-1, 2, 0])),
            call(draw(5, 3), np.array([4, 1, 1, 1, 0])),
            call(draw(3, 2), np.array([[0, 2], [2, 2]])),
        ),
    ],
    mistakes=[
        Mistake(
            "duplicates-overwritten",
            "keeps the last g of a row that is picked twice (dx[index] = g, and dx[index] += g too)",
            _getitem_overwritten,
            (
                "Row 0 was picked twice, and only one of its two g arrives.",
                "Look at the line that writes to dx[index]. NumPy reads dx[index] once, adds, and writes once.",
                "A value that is used twice receives the sum. Look up ufunc.at in NumPy's pages.",
            ),
        ),
        Mistake(
            "first-kept",
            "keeps the first g of a row that is picked twice",
            _getitem_first_kept,
            (
                "Row 0 was picked twice, and only the first of its two g arrives.",
                "Look for a test like `if dx[i] is still zero`, or for an index made unique.",
                "A value that is used twice receives the sum of both.",
            ),
        ),
        Mistake(
            "gathered",
            "picks rows of g where it should put them back",
            lambda g, x, index: g[index],
            (
                "Your answer has the shape of a pick, or the right entries in the wrong rows.",
                "g is already picked: row i of g belongs to row index[i] of x.",
                "The backward pass of reading at an index is writing at this index.",
            ),
        ),
        Mistake(
            "counted",
            "adds ones instead of g",
            _getitem_counted,
            (
                "Your answer counts how often a row was picked, and does not change with g.",
                "Look at what is added at each index.",
                "Each pick sends back its own row of g.",
            ),
        ),
        Mistake(
            "averaged",
            "divides by the number of times that a row was picked",
            _getitem_averaged,
            (
                "A row that was picked three times receives a third of what it should.",
                "Look for a mean or a division by a count.",
                "Uses of one value add up.",
            ),
        ),
        Mistake(
            "added-to-x",
            "adds g into x itself",
            _getitem_into_x,
            (
                "After the call x is not what it was.",
                "Look at the array that you add into.",
                "A gradient starts from zeros, in an array of its own.",
            ),
        ),
        Mistake(
            "unpicked-rows-kept",
            "leaves values of x in the rows that were not picked",
            _getitem_unused_kept,
            (
                "A row that was not picked has a gradient.",
                "Look at what dx holds before g is added.",
                "What is not used does not change the output: its gradient is zero.",
            ),
        ),
        Mistake(
            "g-returned",
            "returns g as it is",
            lambda g, x, index: g,
            (
                "Your answer has as many rows as there are picks.",
                "Compare the shapes of x and of your answer.",
                "Start from zeros in the shape of x.",
            ),
        ),
    ],
    advice="Go through the picks: pick i read row index[i] of x, so g[i] goes back there, on top of what is there.",
)

# --------------------------------------------------------------------------------------------------------- logsumexp


def _logsumexp(x):
    top = x.real.max(-1, keepdims=True)  # the real part: analytic again, as the shift cancels
    return np.log(np.exp(x - top).sum(-1)) + top[..., 0]


def _shifted_exp(x):
    return np.exp(x - x.max(-1, keepdims=True))


def _lse_naive(g, x):
    return g[..., None] * np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def _lse_by_logs(g, x):
    return g[..., None] * np.exp(x - np.log(np.exp(x).sum(-1, keepdims=True)))


def _lse_global_shift(g, x):
    e = np.exp(x - x.max())
    return g[..., None] * e / e.sum(-1, keepdims=True)


def _lse_max_without_axis_kept(g, x):
    e = np.exp(x - x.max(-1))
    return g[..., None] * e / e.sum(-1, keepdims=True)


def _lse_sum_without_axis_kept(g, x):
    e = _shifted_exp(x)
    return g[..., None] * e / e.sum(-1)


def _lse_g_not_expanded(g, x):
    e = _shifted_exp(x)
    return g * (e / e.sum(-1, keepdims=True))


def _lse_first_axis(g, x):
    e = np.exp(x - x.max(0, keepdims=True))
    return g[..., None] * e / e.sum(0, keepdims=True)


def _lse_all_entries(g, x):
    e = np.exp(x - x.max())
    return g[..., None] * e / e.sum()


def _lse_g_left_out(g, x):
    e = _shifted_exp(x)
    return e / e.sum(-1, keepdims=True)


def _lse_unnormalized(g, x):
    return g[..., None] * _shifted_exp(x)


def _lse_eps(g, x):
    e = _shifted_exp(x)
    return g[..., None] * e / (e.sum(-1, keepdims=True) + 1e-6)


def _lse_hard_max(g, x):
    return g[..., None] * (x == x.max(-1, keepdims=True))


def _lse_second_softmax(g, x):
    e = _shifted_exp(x)
    p = e / e.sum(-1, keepdims=True)
    return p * (g[..., None] - (p * g[..., None]).sum(-1, keepdims=True))


logsumexp_vjp = Exercise(
    name="logsumexp_vjp",
    notebook="01",
    signature="f(g, x) -> dx",
    statement="""Gradient of log Σ exp x over the last axis, for numbers of any size.

    y = log(exp(x).sum(-1)) for x of shape (..., n); g has shape (...), one axis less. x may hold numbers like 1000 or
    -1000 and rows of very different size, and the answer is still exact: y is finite although exp(x) is not.
    """,
    tests=[
        Test(
            "knows the gradients of equal and of known weights",
            "T1",
            [
                call(np.array(1.0), np.array([0.0, 0.0])).gives(np.array([0.5, 0.5])),
                call(np.array(4.0), np.array([0.0, np.log(3.0)])).gives(np.array([1.0, 3.0])),
                call(np.array([2.0, 4.0]), np.zeros((2, 2))).gives(np.array([[1.0, 1.0], [2.0, 2.0]])),
            ],
        ),
        *vjp_tests(
            _logsumexp, call(draw(2)), call(draw(2, 2)), call(draw(2, 3)), call(draw(5, 3)), call(draw(2, 3, 2))
        ),
        Test(
            "does not change when a constant is added to each row",
            "T2",
            [call(draw(2), draw(2, 3)), call(draw(3), draw(3, 3))],
            law=lambda f, g, x: (f(g, x + np.arange(1.0, len(x) + 1)[:, None]), f(g, x)),
        ),
        Test(
            "has rows that sum to g",
            "T2",
            [call(draw(2), draw(2, 3)), call(draw(3), draw(3, 3))],
            law=lambda f, g, x: (f(g, x).sum(-1), g),
        ),
        Test(
            "is exact for large numbers",
            "T4",
            [
                call(np.array(1.0), np.array([1000.0, 1000.0])).gives(np.array([0.5, 0.5])),
                call(np.array(1.0), np.array([-1000.0, -1000.0])).gives(np.array([0.5, 0.5])),
                call(np.array([3.0]), np.array([[1000.0, 0.0]])).gives(np.array([[3.0, 0.0]])),
            ],
        ),
        Test(
            "is exact where one row is far below the other",
            "T4",
            [
                call(np.array([2.0, 4.0]), np.array([[1000.0, 1000.0], [0.0, 0.0]])).gives(
                    np.array([[1.0, 1.0], [2.0, 2.0]])
                )
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "naive-exp",
            "takes exp of x as it is",
            _lse_naive,
            (
                "Ordinary numbers are right, and 1000 gives nan: exp overflows at 709.",
                "Look at the argument of exp. Adding a constant to a row does not change the answer.",
                "Choose the constant so that the largest argument of exp in each row is 0.",
            ),
            variants=(_lse_by_logs,),
        ),
        Mistake(
            "global-shift",
            "subtracts one maximum from all rows",
            _lse_global_shift,
            (
                "A row that lies 1000 below another one gives 0/0.",
                "Look at the maximum: over which axis is it taken?",
                "Each row needs its own maximum.",
            ),
        ),
        Mistake(
            "max-axis-lost",
            "subtracts the row maxima along the wrong axis",
            _lse_max_without_axis_kept,
            (
                "It fails for shapes that are not square.",
                "The maxima have shape (n,), and broadcasting aligns them with the last axis.",
                "The maxima must have shape (n, 1): look up keepdims.",
            ),
        ),
        Mistake(
            "sum-axis-lost",
            "divides by the row sums along the wrong axis",
            _lse_sum_without_axis_kept,
            (
                "It fails for shapes that are not square.",
                "The sums have shape (n,), and broadcasting aligns them with the last axis.",
                "The sums must have shape (n, 1): look up keepdims.",
            ),
        ),
        Mistake(
            "g-axis-lost",
            "multiplies by g without giving it the last axis",
            _lse_g_not_expanded,
            (
                "It fails for shapes that are not square.",
                "g has one entry per row. Where does broadcasting align it?",
                "Give g a last axis of length one.",
            ),
        ),
        Mistake(
            "first-axis",
            "sums over the first axis",
            _lse_first_axis,
            (
                "The rows of your answer do not sum to g; do its columns?",
                "Look at the axis of the sum of exponentials.",
                "Each row is a distribution of its own: the last axis is summed.",
            ),
        ),
        Mistake(
            "all-entries",
            "sums over all rows together",
            _lse_all_entries,
            (
                "One row is right; with two rows all entries are too small.",
                "Look for a sum without an axis.",
                "Each row has its own denominator.",
            ),
        ),
        Mistake(
            "g-left-out",
            "returns the softmax without g",
            _lse_g_left_out,
            (
                "Doubling g does not change your answer.",
                "g is not used.",
                "The chain rule multiplies the slopes of row i by g[i].",
            ),
        ),
        Mistake(
            "not-normalized",
            "does not divide by the sum of the exponentials",
            _lse_unnormalized,
            (
                "The rows of your answer sum to more than g.",
                "The derivative of the logarithm is missing.",
                "d log s = ds / s, with s the sum of the exponentials.",
            ),
        ),
        Mistake(
            "eps",
            "adds a small eps to the sum of the exponentials",
            _lse_eps,
            (
                "About six digits are right.",
                "Look for a small constant in the denominator.",
                "After the shift the sum is at least 1, so nothing needs protection.",
            ),
        ),
        Mistake(
            "hard-maximum",
            "gives everything to the largest entry",
            _lse_hard_max,
            (
                "At x = (0, log 3) the shares are 1/4 and 3/4; yours go to the largest entry.",
                "This is the gradient of the maximum.",
                "Each entry receives the share of its exponential in the sum.",
            ),
        ),
        Mistake(
            "softmax-vjp",
            "applies the backward pass of softmax",
            _lse_second_softmax,
            (
                "The rows of your answer sum to zero where they should sum to g.",
                "softmax is the gradient of logsumexp, not its forward.",
                "One derivative is enough here.",
            ),
        ),
    ],
    advice="With s = Σ exp x, y = log s: differentiate the logarithm, then the exponential, and name the ratio.",
)

# ---------------------------------------------------------------------------------------------------------- normalize


def _normalize(x):
    size = np.sqrt((x * x).sum(-1, keepdims=True))
    return x / np.where(size == 0, 1, size)


def _lengths(x, axis=-1):
    return np.sqrt((x * x).sum(axis, keepdims=True))


def _safe(n):
    return np.where(n == 0, 1, n)


def _norm_no_projection(g, x):
    n = _lengths(x)
    return np.where(n == 0, 0.0, g / _safe(n))


def _norm_no_length(g, x):
    n = _lengths(x)
    u = x / _safe(n)
    return np.where(n == 0, 0.0, g - u * (g * u).sum(-1, keepdims=True))


def _norm_length_squared(g, x):
    n = _lengths(x)
    u = x / _safe(n)
    return np.where(n == 0, 0.0, (g - u * (g * u).sum(-1, keepdims=True)) / _safe(n) ** 2)


def _norm_first_axis(g, x):
    n = _lengths(x, 0)
    u = x / _safe(n)
    return np.where(n == 0, 0.0, (g - u * (g * u).sum(0, keepdims=True)) / _safe(n))


def _norm_whole_array(g, x):
    n = np.sqrt((x * x).sum())
    return np.zeros_like(x) if n == 0 else (g - x * (g * x).sum() / n**2) / n


def _norm_raw_x(g, x):
    n = _lengths(x)
    return np.where(n == 0, 0.0, (g - x * (g * x).sum(-1, keepdims=True)) / _safe(n))


def _norm_sign(g, x):
    n = _lengths(x)
    u = x / _safe(n)
    return np.where(n == 0, 0.0, (g + u * (g * u).sum(-1, keepdims=True)) / _safe(n))


def _norm_zero_row(g, x):
    n = _lengths(x)
    u = x / n
    return (g - u * (g * u).sum(-1, keepdims=True)) / n


def _norm_zero_row_passes(g, x):
    n = _safe(_lengths(x))
    u = x / n
    return (g - u * (g * u).sum(-1, keepdims=True)) / n


def _norm_projection_summed(g, x):
    n = _lengths(x)
    u = x / _safe(n)
    return np.where(n == 0, 0.0, (g - u * (g * u).sum()) / _safe(n))


def _norm_eps(g, x):
    n = np.sqrt((x * x).sum(-1, keepdims=True)) + 1e-8
    u = x / n
    return np.where(x.any(-1, keepdims=True), (g - u * (g * u).sum(-1, keepdims=True)) / n, 0.0)


def _norm_eps_in_root(g, x):
    n = np.sqrt((x * x).sum(-1, keepdims=True) + 1e-12)
    u = x / n
    return np.where(x.any(-1, keepdims=True), (g - u * (g * u).sum(-1, keepdims=True)) / n, 0.0)


normalize_vjp = Exercise(
    name="normalize_vjp",
    notebook="01",
    signature="f(g, x) -> dx",
    statement="""Gradient of scaling every row to length 1.

    y = x / |x| for each row of x, of shape (N, d); |x| is the Euclidean length of the row. A row of zeros stays a row
    of zeros, and its gradient is zero. g has the shape of x. No eps is added to the length.
    """,
    tests=[
        Test(
            "knows the gradients at the point (3, 4)",
            "T1",
            [
                call(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]])).gives(np.array([[0.0, 0.0]])),
                call(np.array([[0.0, 1.0]]), np.array([[2.0, 0.0]])).gives(np.array([[0.0, 0.5]])),
                call(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]])).gives(np.array([[0.128, -0.096]])),
            ],
        ),
        *vjp_tests(_normalize, call(draw(1, 2)), call(draw(2, 2)), call(draw(3, 2)), call(draw(3, 5))),
        Test(
            "is at right angles to every row of x",
            "T2",
            [call(draw(1, 2), draw(1, 2)), call(draw(3, 5), draw(3, 5))],
            law=lambda f, g, x: ((f(g, x) * x).sum(-1), np.zeros(len(x)), np.abs(g).max()),
        ),
        Test(
            "is halved when x is doubled",
            "T2",
            [call(draw(1, 2), draw(1, 2)), call(draw(3, 5), draw(3, 5))],
            law=lambda f, g, x: (f(g, 2 * x), f(g, x) / 2, np.abs(g).max() / np.abs(x).max()),
        ),
        Test(
            "gives a row of zeros the gradient zero, and leaves the other rows alone",
            "T4",
            [
                call(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])).gives(np.array([[0.0, 0.0]])),
                call(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])).gives(
                    np.array([[0.0, 0.0], [0.0, 0.5]])
                ),
            ],
        ),
        Test(
            "is exact for short and long rows",
            "T4",
            [
                call(np.array([[0.0, 1.0]]), np.array([[1e-6, 0.0]])).gives(np.array([[0.0, 1e6]])),
                call(np.array([[0.0, 1.0]]), np.array([[1e9, 0.0]])).gives(np.array([[0.0, 1e-9]])),
            ],
        ),
        Test(
            "is exact where the square of the length is no longer a number",
            "T4",
            [
                call(np.array([[0.0, 1.0]]), np.array([[1e-200, 0.0]])).gives(np.array([[0.0, 1e200]])),
                call(np.array([[0.0, 1.0]]), np.array([[1e200, 0.0]])).gives(np.array([[0.0, 1e-200]])),
            ],
            required=False,
        ),
    ],
    mistakes=[
        Mistake(
            "no-projection",
            "divides g by the length and stops there",
            _norm_no_projection,
            (
                "Your gradient has a part along x: yet making x longer does not change y.",
                "The length depends on x too.",
                "Use the quotient rule; what it adds removes from g its part along the unit row.",
            ),
        ),
        Mistake(
            "length-missing",
            "does not divide by the length",
            _norm_no_length,
            (
                "Rows of length 1 are right. Doubling x does not halve your answer.",
                "A step of the same size turns a long vector less than a short one.",
                "A factor with the length of the row is missing.",
            ),
        ),
        Mistake(
            "length-twice",
            "divides by the square of the length",
            _norm_length_squared,
            (
                "Doubling x divides your answer by four.",
                "The length is divided out twice: once in the unit rows, once more at the end.",
                "Count the lengths in each term for x = (2, 0).",
            ),
        ),
        Mistake(
            "first-axis",
            "scales columns",
            _norm_first_axis,
            (
                "A single row gives zero everywhere.",
                "Look at the axis of the length.",
                "Each row has its own length: the last axis is summed.",
            ),
        ),
        Mistake(
            "whole-array",
            "takes one length for the whole array",
            _norm_whole_array,
            (
                "One row is right; with several rows all entries are too small.",
                "Look for a norm without an axis.",
                "Each row has its own length.",
            ),
        ),
        Mistake(
            "raw-x-projected",
            "projects with x instead of the unit row",
            _norm_raw_x,
            (
                "Rows of length 1 are right, others are not at right angles to x.",
                "Look at the term that is taken away from g: which vectors stand in it?",
                "A projection needs a vector of length 1.",
            ),
        ),
        Mistake(
            "wrong-sign",
            "adds the part along x instead of removing it",
            _norm_sign,
            (
                "The part of your answer along x is twice that of g / |x|; it should be zero.",
                "Look at the sign between the two terms.",
                "The derivative of 1 / |x| has a minus.",
            ),
        ),
        Mistake(
            "summed-over-rows",
            "takes the inner product of g and y over all rows together",
            _norm_projection_summed,
            (
                "One row is right; with two rows each depends on the other.",
                "Look at the sum in the inner product: which axis, and is it kept?",
                "One inner product per row, of shape (N, 1).",
            ),
        ),
        Mistake(
            "eps",
            "adds a small eps to the length",
            _norm_eps,
            (
                "Rows of length 1 are right to about eight digits, shorter rows to fewer.",
                "Look for a small constant beside the length.",
                "Treat the row of zeros as a case of its own.",
            ),
            variants=(_norm_eps_in_root,),
        ),
        Mistake(
            "zero-row-divided",
            "divides a row of zeros by its length",
            _norm_zero_row,
            (
                "A row of zeros gives nan.",
                "0 / 0: look at the division by the length.",
                "Divide by something harmless there, and set the answer to zero afterwards.",
            ),
        ),
        Mistake(
            "zero-row-passes-g",
            "replaces the length 0 by 1 and returns g for a row of zeros",
            _norm_zero_row_passes,
            (
                "A row of zeros gets g as its gradient; the question asks for zero.",
                "Replacing the length by 1 mends the division, not the answer.",
                "Set the gradient of such a row to zero.",
            ),
        ),
    ],
    advice="Take one row, write y = x · (1/|x|), and use the product rule; the derivative of |x| is the unit row.",
)

# -------------------------------------------------------------------------------------------------------- unbroadcast


def _unbroadcast_right(g, shape):
    """The adjoint of broadcasting, by its definition: a complex step through np.broadcast_to."""
    return numeric.vjp(lambda x: np.broadcast_to(x, np.shape(g)), g, np.zeros(shape))


def _lead(g, shape):
    return g.sum(tuple(range(g.ndim - len(shape))))


def _ub_leading_only(g, shape):
    return _lead(g, shape)


def _ub_ones_only(g, shape):
    extra = g.ndim - len(shape)
    return g.sum(tuple(i + extra for i, n in enumerate(shape) if n == 1), keepdims=True)


def _ub_axes_lost(g, shape):
    extra = g.ndim - len(shape)
    return g.sum((*range(extra), *(i + extra for i, n in enumerate(shape) if n == 1)))


def _ub_mean(g, shape):
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(i + extra for i, n in enumerate(shape) if n == 1))
    return g.mean(axes).reshape(shape)


def _ub_first_slice(g, shape):
    g = g[(0,) * (g.ndim - len(shape))]
    return g[tuple(slice(0, n) for n in shape)]


def _ub_from_left(g, shape):
    padded = (*shape, *(1,) * (g.ndim - len(shape)))
    return g.sum(tuple(i for i, n in enumerate(padded) if n == 1)).reshape(shape)


def _ub_everything(g, shape):
    return g if g.shape == shape else np.full(shape, g.sum())


unbroadcast = Exercise(
    name="unbroadcast",
    notebook="01",
    signature="f(g, shape) -> array",
    statement="""Undo broadcasting: bring a gradient back to the shape of its input.

    An input of shape `shape` (a tuple) was broadcast to the shape of g, by NumPy's rules: axes are aligned from the
    right, missing axes are added in front, axes of length one are stretched. Return the gradient with respect to the
    input.
    """,
    tests=[
        Test(
            "returns an array of the shape asked for",
            "T0",
            [call(draw(2), ()), call(draw(2, 3), (3,)), call(draw(2, 3), (2, 1)), call(draw(2, 3), (2, 3))],
            law=lambda f, g, shape: (np.array(f(g, shape).shape, int), np.array(shape, int)),
        ),
        Test(
            "knows small cases",
            "T1",
            [
                call(np.array([1.0, 2.0]), ()).gives(np.array(3.0)),
                call(np.array([1.0, 2.0]), (1,)).gives(np.array([3.0])),
                call(np.array([1.0, 2.0]), (2,)).gives(np.array([1.0, 2.0])),
                call(np.array([[1.0, 2.0], [3.0, 4.0]]), (2,)).gives(np.array([4.0, 6.0])),
                call(np.array([[1.0, 2.0], [3.0, 4.0]]), (2, 1)).gives(np.array([[3.0], [7.0]])),
            ],
        ),
        Test(
            "is linear in g",
            "T2",
            [call(draw(2), ()), call(draw(3, 3), (3,)), call(draw(5, 3), (5, 1))],
            law=lambda f, g, shape: (f(-3 * g, shape), -3 * f(g, shape)),
        ),
        Test(
            "is the adjoint of broadcasting",
            "T3",
            [
                call(draw(*large), small).gives(_unbroadcast_right)
                for large, small in [
                    ((2,), ()),
                    ((2, 2), (2,)),
                    ((2, 2), (1, 2)),
                    ((2, 3), (1,)),
                    ((2, 3), (1, 1)),
                    ((5, 3), (5, 1)),
                    ((1, 3), (1, 3)),
                    ((2, 3, 2), (3, 1)),
                    ((2, 3, 2), (2, 1, 2)),
                    ((1, 2, 3), (2, 3)),
                    ((3, 2, 2, 2), (2, 1, 2)),
                ]
            ],
        ),
        Test(
            "is the same in float32, to four digits",
            "T4",
            [call(draw(5, 3, scale=1.0, dtype=np.float32), (3,)).gives(_unbroadcast_right)],
        ),
    ],
    mistakes=[
        Mistake(
            "added-axes-only",
            "sums the axes that were added in front, and not those of length one",
            _ub_leading_only,
            (
                "Shape (3,) is right and shape (2, 1) is not.",
                "Broadcasting does two things. Which of them do you undo?",
                "An axis of length one was stretched as well: its copies add up.",
            ),
        ),
        Mistake(
            "stretched-axes-only",
            "sums the axes of length one, and not those that were added in front",
            _ub_ones_only,
            (
                "Shape (2, 1) is right and shape (3,) is not.",
                "Broadcasting does two things. Which of them do you undo?",
                "Axes that were added in front were filled with copies: these add up.",
            ),
        ),
        Mistake(
            "axis-lost",
            "loses the axes of length one",
            _ub_axes_lost,
            (
                "For shape (2, 1) you return shape (2,).",
                "Look at the shape after the sum.",
                "The axis was summed and has to stay, with length one.",
            ),
        ),
        Mistake(
            "averaged",
            "takes means instead of sums",
            _ub_mean,
            (
                "Your answer is too small by the number of copies.",
                "Look for a mean.",
                "If the same number is used ten times, its gradient is the sum of ten.",
            ),
        ),
        Mistake(
            "first-copy",
            "takes the gradient of the first copy only",
            _ub_first_slice,
            (
                "Your answer does not depend on all of g.",
                "Look for an index like g[0].",
                "Every copy of the input sends back a gradient.",
            ),
        ),
        Mistake(
            "aligned-left",
            "aligns the shapes from the left",
            _ub_from_left,
            (
                "Shape (2,) from (2, 2): you sum the rows, where the columns were meant.",
                "Which axis of g belongs to the first axis of the input?",
                "NumPy compares shapes from the right; what is missing is missing in front.",
            ),
        ),
        Mistake(
            "everything-summed",
            "sums over all axes",
            _ub_everything,
            (
                "All entries of your answer are equal.",
                "Look for a sum without an axis.",
                "Only the axes along which there are copies are summed.",
            ),
        ),
        Mistake(
            "unchanged",
            "returns g as it is",
            lambda g, shape: g,
            (
                "Your answer has the shape of g.",
                "Compare the shape of your answer with `shape`.",
                "Find the axes along which the input was copied.",
            ),
        ),
    ],
    advice="Mark each axis of g as old, stretched or added; sum the last two kinds; then bring the result to `shape`.",
)

# -------------------------------------------------------------------------------------------------- Jacobian of softmax


def _softmax(x):
    e = np.exp(x - x.real.max())
    return e / e.sum()


def _jacobian_right(x):
    return numeric.complex_step(_softmax, x)


def _naive_softmax(x):
    return np.exp(x) / np.exp(x).sum()


jacobian_softmax = Exercise(
    name="jacobian_softmax",
    notebook="01",
    signature="f(x) -> jacobian",
    statement="""All derivatives of softmax, as a table: fill in the Jacobian.

    y = exp(x) / exp(x).sum() for a vector x with n entries. Return the array of shape (n, n) with entry (i, j) = ∂y_i
    / ∂x_j. x may hold numbers like 1000.
    """,
    tests=[
        Test(
            "returns a square table of finite numbers",
            "T0",
            [call(draw(1)), call(draw(2)), call(draw(5))],
            law=lambda f, x: (np.array(f(x).shape, int), np.array((x.size, x.size), int)),
        ),
        Test(
            "knows the tables of equal and of known weights",
            "T1",
            [
                call(np.array([3.0])).gives(np.array([[0.0]])),
                call(np.array([0.0, 0.0])).gives(np.array([[0.25, -0.25], [-0.25, 0.25]])),
                call(np.array([0.0, np.log(3.0)])).gives(np.array([[0.1875, -0.1875], [-0.1875, 0.1875]])),
                call(np.zeros(3)).gives(np.array([[2.0, -1.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]]) / 9),
            ],
        ),
        Test(
            "has rows and columns that sum to zero",
            "T2",
            [call(draw(2)), call(draw(3)), call(draw(5, scale=1.0))],
            law=lambda f, x: (np.concatenate([f(x).sum(0), f(x).sum(1)]), np.zeros(2 * x.size), 1.0),
        ),
        Test(
            "does not change when a constant is added to x",
            "T2",
            [call(draw(2)), call(draw(3)), call(draw(5, scale=1.0))],
            law=lambda f, x: (f(x + 2.5), f(x)),
        ),
        Test(
            "equals the numerical Jacobian",
            "T3",
            [call(draw(2)).gives(_jacobian_right), call(draw(3)).gives(_jacobian_right)]
            + [call(draw(5, scale=scale)).gives(_jacobian_right) for scale in (1e-3, 1.0, 3.0)],
        ),
        Test(
            "is exact for large numbers",
            "T4",
            [
                call(np.array([1000.0, 1000.0])).gives(np.array([[0.25, -0.25], [-0.25, 0.25]])),
                call(np.array([0.0, -1000.0])).gives(np.zeros((2, 2))),
                call(np.array([-1000.0, -1000.0])).gives(np.array([[0.25, -0.25], [-0.25, 0.25]])),
            ],
        ),
    ],
    mistakes=[
        Mistake(
            "diagonal-only",
            "fills the diagonal and leaves zeros elsewhere",
            lambda x: np.diag(_softmax(x) * (1 - _softmax(x))),
            (
                "The diagonal is right and everything else is zero.",
                "Raising x_j makes all other y_i smaller: they share the sum 1.",
                "x_j stands in the denominator of every y_i.",
            ),
        ),
        Mistake(
            "off-diagonal-sign",
            "has plus signs off the diagonal",
            lambda x: np.outer(_softmax(x), _softmax(x)) + np.diag(_softmax(x) - 2 * _softmax(x) ** 2),
            (
                "The diagonal is right, all other signs are wrong.",
                "Raising x_j: do the other y_i grow or shrink?",
                "The derivative of 1/s has a minus.",
            ),
        ),
        Mistake(
            "plus-for-minus",
            "adds the two terms of the quotient rule",
            lambda x: np.diag(_softmax(x)) + np.outer(_softmax(x), _softmax(x)),
            (
                "All entries of your table are positive.",
                "Raising x_j: do the other y_i grow or shrink?",
                "The quotient rule has a minus.",
            ),
        ),
        Mistake(
            "numerator-constant",
            "takes the numerator for a constant",
            lambda x: -np.outer(_softmax(x), _softmax(x)),
            (
                "All entries off the diagonal are right.",
                "On the diagonal x_j stands in the numerator too.",
                "Use the quotient rule with both of its terms.",
            ),
        ),
        Mistake(
            "denominator-constant",
            "takes the denominator for a constant",
            lambda x: np.diag(_softmax(x)),
            (
                "The rows of your table do not sum to zero.",
                "The sum of the exponentials depends on x too.",
                "Use the quotient rule with both of its terms.",
            ),
        ),
        Mistake(
            "log-softmax",
            "gives the Jacobian of log softmax",
            lambda x: np.eye(x.size) - _softmax(x),
            (
                "The rows sum to zero and the columns do not.",
                "This is the derivative of the logarithm of softmax.",
                "dy = y d(log y): a factor per row is missing.",
            ),
        ),
        Mistake(
            "identity-minus-outer",
            "forgets a factor y on the diagonal",
            lambda x: np.eye(x.size) - np.outer(_softmax(x), _softmax(x)),
            (
                "The diagonal is too large.",
                "Write the case i = j on paper.",
                "Both terms of the quotient rule contain y_i.",
            ),
        ),
        Mistake(
            "x-for-y",
            "uses x where the formula has y",
            lambda x: np.diag(x) - np.outer(x, x),
            (
                "Adding a constant to x changes your answer.",
                "Look at which vector you put into the formula.",
                "The formula speaks of the outputs of softmax.",
            ),
        ),
        Mistake(
            "naive-exp",
            "takes exp of x as it is",
            lambda x: np.diag(_naive_softmax(x)) - np.outer(_naive_softmax(x), _naive_softmax(x)),
            (
                "Ordinary numbers are right, and 1000 gives nan: exp overflows at 709.",
                "Look at the argument of exp. Adding a constant to x does not change y.",
                "Choose the constant so that the largest argument of exp is 0.",
            ),
        ),
    ],
    advice="Start with n = 2 and y_0 = e^{x_0} / s. Differentiate by x_0, then by x_1.",
)

# --------------------------------------------------------------------------------------------------- order of the nodes

_CHAIN = {"x": [], "y": ["x"], "z": ["y"]}
_TWICE = {"a": [], "b": ["a", "a"]}
_DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
_SHORT_CUT = {"a": [], "b": ["a"], "c": ["b", "a"]}
_SHORT_CUT_FIRST = {"a": [], "b": ["a"], "c": ["a", "b"]}
_LONG_WAY = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"], "e": ["d", "b", "a"]}
_MIXED_KEYS = {"loss": ["b", "w"], "w": [], "b": ["a", "w"], "a": ["w", "x"], "x": []}
_SIDE_BRANCH = {"a": [], "b": ["a"], "other": ["a", "b"], "c": ["b"]}
_NUMBERS = {3: [1, 2], 0: [], 1: [0], 2: [1, 0], 4: [3, 0]}
_LONG_CHAIN = Code("{n: [n - 1] if n else [] for n in range(5000)}")
_DIAMONDS = Code("{n: [n - n % 3] if n % 3 else [n - 1, n - 2] if n else [] for n in range(181)}")
_TWO_DIAMONDS = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"], "f": ["d"], "g": ["e", "f"]}


def _valid_order(f, graph, output):
    """Whether the answer starts at the output, holds what the output was made of, and respects every arrow."""
    order = f(graph, output)
    needed, stack = {output}, [output]
    while stack:
        for parent in graph[stack.pop()]:
            if parent not in needed:
                needed.add(parent)
                stack.append(parent)
    if len(set(order)) < len(order):
        twice = next(node for node in order if order.count(node) > 1)
        raise Failed(f"{twice!r} is visited {order.count(twice)} times", "each node once")
    if stray := [node for node in order if node not in needed]:
        raise Failed(
            f"{stray[0]!r} is visited, but {output!r} does not depend on it", "only what the output was made of"
        )
    if missing := [node for node in graph if node in needed and node not in order]:
        raise Failed(f"{missing[0]!r} is not visited", "every node that the output was made of")
    place = {node: i for i, node in enumerate(order)}
    for child in order:
        for parent in graph[child]:
            if place[parent] < place[child]:
                raise Failed(
                    f"{parent!r} is visited before {child!r}, which uses it", "each node after all that use it"
                )


def _valid_large_order(f, graph, output):
    order, graph = f(graph, output), graph.value()
    place = {node: i for i, node in enumerate(order)}
    if len(order) != len(graph) or place.keys() != graph.keys():
        raise Failed(f"{len(order)} nodes", f"each of the {len(graph)} nodes once")
    if any(place[parent] < place[child] for child in graph for parent in graph[child]):
        raise Failed("out of order", "each node after all that use it")


def _order_depth_first(graph, output):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            order.append(node)
            for parent in graph[node]:
                visit(parent)

    visit(output)
    return order


def _order_stack(graph, output):
    order, stack = [], [output]
    while stack:
        node = stack.pop()
        if node not in order:
            order.append(node)
            stack += graph[node]
    return order


def _order_breadth_first(graph, output):
    order = [output]
    for node in order:
        order += [parent for parent in dict.fromkeys(graph[node]) if parent not in order]
    return order


def _order_forward(graph, output):
    order = []

    def visit(node):
        if node not in order:
            for parent in graph[node]:
                visit(parent)
            order.append(node)

    visit(output)
    return order


def _order_leaves_first(graph, output):
    needed, order = _order_breadth_first(graph, output), []
    while len(order) < len(needed):
        order += [n for n in needed if n not in order and all(p in order for p in graph[n])][:1]
    return order


def _order_no_memory(graph, output):
    order = [output]
    for parent in graph[output]:
        order += _order_no_memory(graph, parent)
    return order


def _order_no_memory_levels(graph, output):
    order = [output]
    for node in order:
        order += graph[node]
    return order


def _order_all_nodes(graph, output):
    order = []

    def visit(node):
        if node not in order:
            for parent in graph[node]:
                visit(parent)
            order.append(node)

    for node in graph:
        visit(node)
    return order[::-1]


def _order_of_keys(graph, output):
    reachable = _order_breadth_first(graph, output)
    return [node for node in reversed(graph) if node in reachable]


def _order_without_output(graph, output):
    return _order_forward(graph, output)[-2::-1]


def _order_without_leaves(graph, output):
    return [node for node in _order_forward(graph, output)[::-1] if graph[node]]


topological_order = Exercise(
    name="topological_order",
    notebook="01",
    signature="f(graph, output) -> order",
    statement="""The order in which a backward pass visits the nodes of a graph.

    graph is a dictionary: each node is a key, and its value is the list of the nodes it was computed from (its
    parents; an empty list for an input). A parent may stand twice in a list, as in a + a. Return the list of nodes in
    an order in which backward can visit them: output first, and every node after all the nodes that were computed
    from it. Visit each node once, and only nodes that the output depends on. Any such order is right. The keys stand
    in no particular order.
    """,
    answer=sequence,
    tests=[
        Test(
            "returns a list that starts at the output",
            "T0",
            [call({"x": []}, "x"), call(_CHAIN, "z")],
            law=lambda f, graph, output: (f(graph, output)[:1], [output]),
        ),
        Test(
            "knows the only order of a chain",
            "T1",
            [
                call({"x": []}, "x").gives(["x"]),
                call(_CHAIN, "z").gives(["z", "y", "x"]),
                call(_CHAIN, "y").gives(["y", "x"]),
            ],
        ),
        Test(
            "visits a node once that is used twice",
            "T1",
            [call(_TWICE, "b"), call(_DIAMOND, "d"), call(_TWO_DIAMONDS, "g")],
            law=_valid_order,
        ),
        Test(
            "waits where one way is shorter than the other",
            "T1",
            [call(_SHORT_CUT, "c"), call(_SHORT_CUT_FIRST, "c"), call(_LONG_WAY, "e")],
            law=_valid_order,
        ),
        Test(
            "does not depend on the order of the keys",
            "T2",
            [call(_MIXED_KEYS, "loss"), call(_NUMBERS, 4)],
            law=_valid_order,
        ),
        Test(
            "leaves out what the output does not depend on",
            "T2",
            [call(_SIDE_BRANCH, "c"), call(_DIAMOND, "b")],
            law=_valid_order,
        ),
        Test("handles a chain of 5000 nodes", "T5", [call(_LONG_CHAIN, 4999)], law=_valid_large_order),
        Test(
            "handles 60 diamonds in a row, with 2^60 ways through them",
            "T5",
            [call(_DIAMONDS, 180)],
            law=_valid_large_order,
        ),
    ],
    mistakes=[
        Mistake(
            "depth-first",
            "visits a node as soon as it is reached, depth first",
            _order_depth_first,
            (
                "A node is visited before one that uses it: it sends its gradient on before all of it has come.",
                "Look at the moment when a node is put into the list: before or after its parents?",
                "A node is ready when everything beyond it is done. Note it down on the way back, not on the way in.",
            ),
            variants=(_order_stack,),
        ),
        Mistake(
            "breadth-first",
            "visits nodes level by level",
            _order_breadth_first,
            (
                "A node is visited before another one that uses it: the shortest way to it is not the only one.",
                "Where a node is reached by a short and by a long way, which of them decides in your code?",
                "A node may come only when all the nodes that use it have come. Count them.",
            ),
        ),
        Mistake(
            "forward-order",
            "returns the order of the forward pass",
            _order_forward,
            (
                "Your list ends with the output.",
                "This is the order in which the nodes are computed.",
                "Backward goes the other way.",
            ),
            variants=(_order_leaves_first,),
        ),
        Mistake(
            "visited-again",
            "does not remember which nodes it has visited",
            _order_no_memory,
            (
                "A node that is used twice stands in your list twice.",
                "Nothing in your code asks whether a node was visited before.",
                "Remember the nodes that are done. (Without it the work doubles with every diamond.)",
            ),
            variants=(_order_no_memory_levels,),
        ),
        Mistake(
            "all-nodes",
            "orders all nodes of the graph, whether the output depends on them or not",
            _order_all_nodes,
            (
                "Your list has nodes that the output was not made of.",
                "Where does your walk start?",
                "Start at the output and go to parents only.",
            ),
        ),
        Mistake(
            "order-of-keys",
            "takes the keys in reverse, as if they stood in the order of computation",
            _order_of_keys,
            (
                "It works as long as the dictionary was filled in the order of computation.",
                "Your order comes from the dictionary, not from the parents.",
                "Find the order from the lists of parents alone.",
            ),
        ),
        Mistake(
            "output-left-out",
            "leaves out the output",
            _order_without_output,
            (
                "Your list does not start with the output.",
                "Backward begins at the output: it receives the first gradient.",
                "The output is a node like the others.",
            ),
        ),
        Mistake(
            "inputs-left-out",
            "leaves out the nodes without parents",
            _order_without_leaves,
            (
                "Nodes without parents are missing: the gradients that we want are theirs.",
                "Look for a condition that skips a node with an empty list.",
                "A node without parents is visited; it has nobody to send to.",
            ),
        ),
    ],
    advice="Take the diamond d → b, c → a. Node a must wait for both b and c: how do you know that both are done?",
)
