# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] nbgrader={"grade_id": "introduction"}
# # Assignment 1 · Engine and gradients
#
# You build the rules of a backward pass, derive one gradient by hand, and then write the checker that decides whether
# such rules are right. It builds on the notebooks 01 and 02.
#
# | part | minutes | points |
# |---|---|---|
# | 1 · Predict, then measure | 10 | 12 |
# | 2 · The order of a backward pass | 15 | 10 |
# | 3 · Undo broadcasting | 10 | 8 |
# | 4 · A layer of a network | 10 | 8 |
# | 5 · log Σ exp | 10 | 10 |
# | 6 · A loss by hand, and in code | 30 | 26 |
# | 7 · A checker that no wrong gradient gets past | 15 | 14 |
# | 8 · One input that decides | 10 | 6 |
# | 9 · What surprised you | 10 | 6 |
# | **together** | **120** | **100**: 80 by tests, 20 by a person |
#
# **How to work**
#
# - Replace `# YOUR CODE HERE` and `raise NotImplementedError()`, or `YOUR ANSWER HERE`, by your answer. Keep the names,
#   and leave the other cells as they are: they are put back when your work is graded.
# - Below each answer a cell tries it. Where it says `mc.course.check(...)` you get a report: which tests pass, the
#   smallest input that fails, and often the name of the mistake. For a hint open a new cell and write, for example,
#   `mc.course.check("unbroadcast", unbroadcast).hint(1)`; `hint(2)` and `hint(3)` say more.
# - Your answers are graded with other random numbers, and with tests of your own numbers that you do not see.
# - Each part is graded by itself: a mistake in one costs no points in another. Your functions get NumPy arrays and give
#   NumPy arrays, and leave their arguments as they are. NumPy is all that you need.

# %% nbgrader={"grade_id": "setup"}
import numpy as np

import minicl as mc


def nudge(f, x, h=1e-5):
    """The slopes of a function that returns a number, by central differences: good to about nine digits."""
    slopes = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        slopes[i] = (f(up) - f(down)) / (2 * h)
    return slopes


def compare(**pairs):
    """Print how far yours is from a measured gradient: compare(dx=(yours, measured))."""
    for name, (yours, measured) in pairs.items():
        if np.shape(yours) != measured.shape:
            print(f"{name}: yours has shape {np.shape(yours)}, it should be {measured.shape}")
        else:
            print(f"{name}: largest difference {np.abs(yours - measured).max():.1e} (below 1e-7 is fine)")


# %% [markdown] nbgrader={"grade_id": "ask_predict"}
# ## 1 · Predict, then measure (4 + 8 points)
#
# Write your guesses into the next cell **before** you run anything. Any guess gets the points, a wrong one too; part 9
# comes back to them. Write numbers for A, C and D, and a shape such as `(5, 3)` for B.
#
# - **A.** `b = a + a`, then `c = b * b`. What is the slope of `c` with respect to `a`, at `a = 3`?
# - **B.** `y = x @ w + b` with `x` of shape `(5, 3)`, `w` of shape `(3, 2)` and `b` of shape `(2,)`. Which shape has the
#   gradient of `b`?
# - **C.** `y = softmax(x)` for `x = [1, 2, 3]`. How large is the largest entry of the gradient of `y.sum()`?
# - **D.** A loss has 1000 parameters. How often is it evaluated to find its gradient by central differences?

# %% nbgrader={"grade_id": "predict", "solution": true}
# guess = {"A": a number, "B": a shape, "C": a number, "D": a number}
### BEGIN SOLUTION
guess = {"A": 12, "B": (5, 2), "C": 0.5, "D": 1000}
### END SOLUTION

# %% nbgrader={"grade_id": "test_predict", "points": 4}
print("Your guesses:", guess)
print("a number, a shape and two numbers:", [type(guess[letter]).__name__ for letter in "ABCD" if letter in guess])
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.predict(guess)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_measured"}
# Now find the answers out, by a formula or by a few lines of code (`nudge` is there; it takes arrays, such as
# `np.array(3.0)`). Store them in the same form, in a dictionary `measured`. Two points each.

# %% nbgrader={"grade_id": "measured", "solution": true}
# measured = {"A": a number, "B": a shape, "C": a number, "D": a number}
### BEGIN SOLUTION
softmax = lambda x: np.exp(x) / np.exp(x).sum()
measured = {
    "A": nudge(lambda a: ((a + a) * (a + a)).sum(), np.array([3.0]))[0],
    "B": (2,),
    "C": np.abs(nudge(lambda x: softmax(x).sum(), np.array([1.0, 2.0, 3.0]))).max(),
    "D": 2 * 1000,
}
### END SOLUTION

# %% nbgrader={"grade_id": "test_measured-A", "points": 2}
print("A: measured", measured["A"])
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.measured_a(measured)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_measured-B", "points": 2}
print("B: measured", measured["B"])
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.measured_b(measured)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_measured-C", "points": 2}
print("C: measured", measured["C"])
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.measured_c(measured)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_measured-D", "points": 2}
print("D: measured", measured["D"])
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.measured_d(measured)
### END HIDDEN TESTS

# %%
for letter in measured:
    print(f"{letter}: guessed {guess[letter]}, measured {measured[letter]}")

# %% [markdown] nbgrader={"grade_id": "ask_topological_order"}
# ## 2 · The order of a backward pass (10 points)
#
# A node may send its gradient back only when all of it has arrived. `graph` names for each node the nodes it was
# computed from; a node stands there twice where it was used twice, as in `a + a`. Return the nodes that `output`
# depends on, each once, in an order in which they can send.
#
# For `b = a + a`, `c = b * b` the graph is `{"a": [], "b": ["a", "a"], "c": ["b", "b"]}`, and the order is
# `["c", "b", "a"]`. `print(mc.course.describe("topological_order"))` tells every detail.

# %% nbgrader={"grade_id": "topological_order", "solution": true}
def topological_order(graph, output):
    """The nodes that output depends on, each after all the nodes that were computed from it."""
    ### BEGIN SOLUTION
    waits, seen, stack = {output: 0}, {output}, [output]
    while stack:
        for parent in graph[stack.pop()]:
            waits[parent] = waits.get(parent, 0) + 1
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    order, ready = [], [output]
    while ready:
        node = ready.pop()
        order.append(node)
        for parent in graph[node]:
            waits[parent] -= 1
            if not waits[parent]:
                ready.append(parent)
    return order
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_topological_order", "points": 10}
mc.course.check("topological_order", topological_order)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.topological_order(topological_order)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_unbroadcast"}
# ## 3 · Undo broadcasting (8 points)
#
# When NumPy adds a bias of shape `(3,)` to a matrix of shape `(5, 3)`, it uses each entry of the bias five times. What
# was used several times gets the sum of the gradients of its uses. `g` is the gradient of the broadcast result; return
# the gradient of an input whose shape was `shape`. Axes are aligned from the right; missing ones are added in front;
# those of length one are stretched.

# %% nbgrader={"grade_id": "unbroadcast", "solution": true}
def unbroadcast(g, shape):
    """The gradient of an input of this shape, from the gradient of the array that it was broadcast to."""
    ### BEGIN SOLUTION
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return g.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_unbroadcast", "points": 8}
mc.course.check("unbroadcast", unbroadcast)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.unbroadcast(unbroadcast)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_affine_vjp"}
# ## 4 · A layer of a network (8 points)
#
# `y = x @ w + b` with `x` of shape `(n, k)`, `w` of shape `(k, m)` and `b` of shape `(m,)`. `g` has the shape of `y`.
# Return the gradients of Σ g y with respect to `x`, `w` and `b`, in this order. Write the sums out here; do not call
# your `unbroadcast`.
#
# Shapes help: only one product of `g` and `w` has the shape of `x`. For square matrices they do not, so think of one
# entry: which entries of `y` does `x[i, k]` take part in, and with which factors?

# %% nbgrader={"grade_id": "affine_vjp", "solution": true}
def affine_vjp(g, x, w, b):
    """The gradients of Σ g (x @ w + b): (dx, dw, db)."""
    ### BEGIN SOLUTION
    return g @ w.T, x.T @ g, g.sum(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_affine_vjp", "points": 8}
rng = np.random.default_rng(4)
g, x, w, b = (rng.standard_normal(shape) for shape in [(4, 3), (4, 2), (2, 3), (3,)])
dx, dw, db = affine_vjp(g, x, w, b)
compare(
    dx=(dx, nudge(lambda x: (g * (x @ w + b)).sum(), x)),
    dw=(dw, nudge(lambda w: (g * (x @ w + b)).sum(), w)),
    db=(db, nudge(lambda b: (g * (x @ w + b)).sum(), b)),
)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.affine_vjp(affine_vjp)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_logsumexp_vjp"}
# ## 5 · log Σ exp (6 + 4 points)
#
# Every contrastive loss of this course contains $y = \log \sum_j e^{x_j}$. Here `x` has shape `(..., n)`, the sum runs
# over the last axis, and `g` has one axis less than `x`. Return the gradient of Σ g y with respect to `x`.
#
# Six points are for the formula. Four more are for large numbers: entries of `x` may be 1000 or −1000, where `exp` is no
# help, and one row may lie far below another.

# %% nbgrader={"grade_id": "logsumexp_vjp", "solution": true}
def logsumexp_vjp(g, x):
    """The gradient of Σ g log Σ exp x."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return g[..., None] * e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_logsumexp_vjp-formula", "points": 6}
mc.course.check("logsumexp_vjp", logsumexp_vjp)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.logsumexp_vjp(logsumexp_vjp)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_logsumexp_vjp-large", "points": 4}
with np.errstate(all="ignore"):
    print("two equal large numbers:", logsumexp_vjp(np.array(1.0), np.array([1000.0, 1000.0])), "expected: [0.5 0.5]")
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.logsumexp_vjp_large(logsumexp_vjp)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_derive_pair"}
# ## 6 · A loss by hand, and in code (14 + 8 + 4 points)
#
# An encoder makes an embedding $u = \tanh(W x)$, with `W` of shape `(d, k)` and `x` of shape `(k,)`. It should be
# similar to a *positive* `p` and not to a *negative* `n`, both of shape `(d,)`. Similarity is the inner product, and the
# loss is the smallest contrastive loss there is:
#
# $$L = \log\left(1 + e^{s}\right), \qquad s = u^\top n - u^\top p$$
#
# **By hand.** Derive $\partial L / \partial W$. Give every step its own line, and say which rule it uses. Write
# formulas between dollar signs, or attach a photograph. A person reads this:
#
# | step | points |
# |---|---|
# | names each intermediate value, with its shape | 2 |
# | the slope of the loss with respect to $s$, with its simplification, and its limits for $s \to \pm\infty$ | 4 |
# | the gradient of $u$: both uses of $u$, with their signs | 3 |
# | through tanh, written in terms of $u$ | 2 |
# | the gradient of $W$: one entry $W_{ij}$ first, then all of them as a product, with its shape | 3 |

# %% [markdown] nbgrader={"grade_id": "derive_pair", "solution": true, "points": 14}
# Names: $v = Wx$ of shape $(d,)$, $u = \tanh v$ of shape $(d,)$, $s = u^\top n - u^\top p$ and $L = \log(1 + e^s)$ are
# numbers.
#
# 1. Slope of the loss. The slope of the logarithm times the slope of its inside:
#    $\partial L/\partial s = e^s / (1 + e^s) = 1 / (1 + e^{-s}) = \sigma(s)$. For $s \to -\infty$ (the positive is much
#    nearer) it is 0, and nothing is left to learn; for $s \to +\infty$ it is 1.
# 2. The embedding is used twice. Through $u^\top n$ comes $+\sigma(s)\,n$, through $-u^\top p$ comes $-\sigma(s)\,p$.
#    Add over paths: $\partial L/\partial u = \sigma(s)\,(n - p)$.
# 3. Through tanh, entry by entry, multiply along the path: $\tanh' v_i = 1 - \tanh^2 v_i = 1 - u_i^2$, so
#    $\partial L/\partial v_i = \sigma(s)\,(n_i - p_i)(1 - u_i^2)$.
# 4. $W_{ij}$ takes part in $v_i$ alone, with the factor $x_j$: $\partial L/\partial W_{ij} = (\partial L/\partial v_i)\,x_j$.
#    All entries together are an outer product of shape $(d, k)$:
#    $$\frac{\partial L}{\partial W} = \sigma(s)\,\bigl((n - p) \odot (1 - u \odot u)\bigr)\,x^\top$$

# %% [markdown] nbgrader={"grade_id": "ask_pair_gradient"}
# **In code.** Return $\partial L / \partial W$. Eight points are for ordinary numbers, four for `p` and `n` so long that
# $e^s$ or $e^{-s}$ overflows.

# %% nbgrader={"grade_id": "pair_gradient", "solution": true}
def pair_gradient(W, x, p, n):
    """The gradient of log(1 + exp(u·n − u·p)), u = tanh(W x), with respect to W."""
    ### BEGIN SOLUTION
    u = np.tanh(W @ x)
    s = u @ n - u @ p
    e = np.exp(-abs(s))
    sigmoid = 1 / (1 + e) if s >= 0 else e / (1 + e)
    return np.outer(sigmoid * (n - p) * (1 - u * u), x)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_pair_gradient-formula", "points": 8}
rng = np.random.default_rng(6)
W, x, p, n = (rng.standard_normal(shape) for shape in [(3, 2), (2,), (3,), (3,)])
loss = lambda W: np.log1p(np.exp(np.tanh(W @ x) @ (n - p)))
compare(dW=(pair_gradient(W, x, p, n), nudge(loss, W)))
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.pair_gradient(pair_gradient)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_pair_gradient-large", "points": 4}
with np.errstate(all="ignore"):
    print("a hard negative:", pair_gradient(np.eye(2), np.ones(2), np.array([-2e3, 0.0]), np.array([2e3, 0.0]))[0])
    print("expected:        [1679.897 1679.897]")
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.pair_gradient_large(pair_gradient)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_gradcheck"}
# ## 7 · A checker that no wrong gradient gets past (10 + 4 points)
#
# Who checks your formulas from now on? You write the checker, and it is **graded by mutation**: it gets 20 right
# backward passes and 16 wrong ones. It must accept the right ones, otherwise it is of no use, and reject the wrong ones.
#
# `forward(x)` returns an array (or a number) of any shape. `vjp(g, x)` claims to be the gradient of Σ g · forward(x) for
# a `g` of that shape. Return True if the claim is right. `x` is float64, its entries are of order 1 and away from kinks.
# Gradients may be of any size: a gradient is wrong if an entry is off by more than 1e-6 of the largest one. It is wrong,
# too, if its shape is not that of `x`, or if it is not finite: four points are for these. `nudge` is at your service.

# %% nbgrader={"grade_id": "gradcheck", "solution": true}
def gradcheck(forward, vjp, x):
    """Whether vjp(g, x) is the gradient of Σ g forward(x) with respect to x."""
    ### BEGIN SOLUTION
    g = np.random.default_rng(0).standard_normal(np.shape(forward(x)))
    claimed = np.asarray(vjp(g, x))
    if claimed.shape != x.shape or not np.isfinite(claimed).all():
        return False
    slopes = nudge(lambda x: np.sum(g * forward(x)), x)
    return bool(np.abs(claimed - slopes).max() <= 1e-6 * np.abs(slopes).max())
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_gradcheck-values", "points": 10}
mc.course.check("gradcheck", gradcheck)
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.gradcheck(gradcheck)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_gradcheck-form", "points": 4}
square, x = lambda x: x * x, np.ones((2, 3))
print("a gradient of another shape, should be False:", gradcheck(square, lambda g, x: (2 * x * g)[0], x))
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.gradcheck_form(gradcheck)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_witness"}
# ## 8 · One input that decides (3 + 3 points)
#
# The matrix of all inner products, `y = x @ x.T`, is the heart of NT-Xent. Somebody wrote this backward pass for it:

# %% nbgrader={"grade_id": "suspect"}
def suspect_vjp(g, x):
    """Claims to be the gradient of Σ g (x @ x.T)."""
    return 2 * g @ x


# %% [markdown] nbgrader={"grade_id": "ask_witness_pairs"}
# It is wrong, and it has passed many checks. Find two pairs `(g, x)`, each with `x` of shape `(3, 2)` and `g` of shape
# `(3, 3)`, both not zero:
#
# - `exposing`: the suspect's answer is not the gradient. It must be off by at least a tenth of the largest entry of the
#   two.
# - `hiding`: the suspect's answer is the gradient, to eight digits. (This is the `g` that somebody used.)

# %% nbgrader={"grade_id": "witness", "solution": true}
# exposing = a pair (g, x)
# hiding = a pair (g, x)
### BEGIN SOLUTION
some_x = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
exposing = (np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), some_x)
hiding = (np.ones((3, 3)), some_x)
### END SOLUTION

# %% nbgrader={"grade_id": "test_witness-exposing", "points": 3}
g, x = exposing
print(suspect_vjp(g, x), "measured:", nudge(lambda x: (g * (x @ x.T)).sum(), x), sep="\n")
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.exposing(exposing)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_witness-hiding", "points": 3}
g, x = hiding
print(suspect_vjp(g, x), "measured:", nudge(lambda x: (g * (x @ x.T)).sum(), x), sep="\n")
### BEGIN HIDDEN TESTS
import hidden_a1
hidden_a1.hiding(hiding)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_surprise"}
# ## 9 · What surprised you (6 points)
#
# Take the guess of part 1 that was furthest off. In five sentences at most: what did you think, what is true, and which
# rule of notebook 01 or 02 would have told you? If all four were right, explain instead how a recursive backward pass,
# in which a node sends all that it has each time it is reached (`walk_recursive` in notebook 01), arrives at 48 in A.
#
# | | points |
# |---|---|
# | states the guess and the measured answer | 1 |
# | gives the rule, and says why it holds | 3 |
# | names a check that would have caught the wrong answer | 2 |

# %% [markdown] nbgrader={"grade_id": "surprise", "solution": true, "points": 6}
# I guessed 12 for A, the slope of $c = b^2$ at $b = 6$. It is 24: $b$ is $a + a$, so $a$ is used twice, and what is used
# twice gets the sum of the gradients of its uses, because the loss feels a step of $a$ through each of them. Nudging $a$
# shows it at once: $(2 \cdot 3.001)^2 - 36$ is 0.024. A recursion arrives at 48: it visits $b$ twice, once for each use
# in $b \cdot b$, and each time $b$ sends all that it has, or will have, received.
