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

# %% [markdown]
# # 02 · Trust but verify: gradient checking
#
# A wrong gradient does not crash. The loss still falls, only less, and nobody knows why. So a gradient that was derived
# by hand must be **measured**. This notebook builds the measuring tool, finds out how exact it can be, and then checks
# the checker: many tools that are in use let wrong gradients pass.
#
# **When you are through, you can**
#
# - measure a slope by forward differences, central differences, and the complex step, and choose the step `h`;
# - say where the error comes from, and how large it must be;
# - tell a wrong gradient from a kink;
# - write a checker that no wrong gradient gets past.
#
# **You need** notebook 01.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np

import minicl as mc
from minicl.course.catalogue.gradient_checking import BACKWARDS
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"

style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** You measure a slope with (f(x + h) − f(x − h)) / 2h in float64. Which h is best: 1e-2, 1e-5, or 1e-12?
# - **B.** How many digits are right then?
# - **C.** A softmax layer whose backward pass returns zeros is checked by summing its outputs and comparing with
#   differences. Does the check notice?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# ### Two errors that pull in opposite directions
#
# Taylor: $f(x \pm h) = f(x) \pm h f' + \tfrac{h^2}{2} f'' \pm \tfrac{h^3}{6} f''' + \dots$ So
#
# - the **forward** difference $\frac{f(x+h) - f(x)}{h} = f' + \tfrac{h}{2} f'' + \dots$ is wrong by an amount like $h$;
# - the **central** difference $\frac{f(x+h) - f(x-h)}{2h} = f' + \tfrac{h^2}{6} f''' + \dots$ is wrong by an amount like $h^2$:
#   the even terms cancel.
#
# This is the *truncation* error. A computer adds a *rounding* error: each value of f is wrong by about $\varepsilon |f|$,
# and dividing by h makes that $\varepsilon |f| / h$. A smaller h makes the first error smaller and the second larger.
#
# The **complex step** has no second error. With $f(x + ih) = f(x) + i h f'(x) - \tfrac{h^2}{2} f''(x) - \dots$ the slope is
# $\operatorname{Im} f(x + ih) / h$. Nothing is subtracted, so h may be 1e-20 (Squire & Trapp 1998).


# %%
def forward(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def along_i(f, x, h):
    return np.imag(f(x + 1j * h)) / h


def f(x):
    return np.exp(x) * np.sin(x)


x = 1.0
slope = math.exp(x) * (math.sin(x) + math.cos(x))  # by hand
third = 2 * math.exp(x) * (math.cos(x) - math.sin(x))
eps = np.finfo(float).eps
best_h = (3 * eps * abs(f(x)) / abs(third)) ** (1 / 3)  # where h² f‴/6 + ε|f|/h is smallest
print(f"best h for central differences, from the two errors: {best_h:.1e}")

# %%
steps = 10.0 ** np.arange(-1, -14.01, -0.25)
errors = {}
for name, method, kind in [
    ("forward, float64", forward, np.float64),
    ("central, float64", central, np.float64),
    ("central, float32", central, np.float32),
    ("complex step", along_i, np.float64),
]:
    measured = []
    for h in steps:
        x_, h_ = kind(x), kind(h)
        measured.append(abs(float(method(f, x_, h_)) - slope) / abs(slope))
    errors[name] = np.array(measured)


def falls_like(name, lo, hi):
    """The slope of the error in the log-log picture, between two steps."""
    use = (steps >= lo) & (steps <= hi)
    return np.polyfit(np.log(steps[use]), np.log(errors[name][use]), 1)[0]


figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for (name, error), color in zip(errors.items(), [ORANGE, BLUE, GREY, GREEN]):
    ax.loglog(steps, np.maximum(error, 1e-17), color=color, marker=".", ms=4, lw=1, label=name)
ax.axvline(best_h, color=BLUE, ls=":", lw=1)
ax.text(best_h, 3, " best h by the formula", color=BLUE, va="top")
ax.set(xlabel="step h", ylabel="relative error of the slope", ylim=(1e-17, 5), title="f(x) = eˣ sin x at x = 1")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
order = {name: falls_like(name, 1e-4, 1e-2) for name in ("forward, float64", "central, float64")}
best = {name: (steps[error.argmin()], error.min()) for name, error in errors.items()}
assert abs(order["forward, float64"] - 1) < 0.05 and abs(order["central, float64"] - 2) < 0.05
assert 0.1 < best["central, float64"][0] / best_h < 10 and best["central, float64"][1] < 1e-9
assert errors["complex step"][steps < 1e-8].max() < 1e-15
show(
    figure,
    "Differences have a best step; the complex step has no worst one",
    f"Relative error against the step. Forward differences fall with slope {order['forward, float64']:.2f}, central ones "
    f"with {order['central, float64']:.2f}, until rounding takes over. The best central step is about "
    f"{best['central, float64'][0]:.0e} with an error of {best['central, float64'][1]:.0e}; in float32 the best error is "
    f"{best['central, float32'][1]:.0e}. The complex step reaches {errors['complex step'].min():.0e} and stays there.",
)

# %% [markdown]
# ### The trap of the complex step
#
# It needs a function that is *analytic*. `abs` of a complex number is its length, and the length forgets the imaginary
# part. The slope comes out as zero, and nothing complains. minicl's own `abs` refuses complex numbers for this reason.

# %%
print("slope of |x| at −2 by the complex step through np.abs:", along_i(np.abs, -2.0, 1e-20))
print("the right one:", -1.0)
assert along_i(np.abs, -2.0, 1e-20) == 0.0
try:
    mc.gradcheck.check(mc.abs, np.array([-2.0]), method="complex")
except TypeError as refusal:
    print(refusal)

# %% [markdown]
# ### Kinks
#
# ReLU has no slope at 0. To its left the slope is 0, to its right 1, and the central difference says ½. A difference that
# straddles the kink is no evidence against a gradient. The sign of a kink: **the one-sided slopes differ, and go on
# differing as h shrinks.**

# %%
places = np.linspace(-0.02, 0.02, 401)
h = 5e-3
relu = lambda x: np.maximum(x, 0.0)
left, right = (relu(places) - relu(places - h)) / h, (relu(places + h) - relu(places)) / h
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(places, left, color=BLUE, label="slope to the left")
ax.plot(places, right, color=ORANGE, label="slope to the right")
ax.plot(places, (left + right) / 2, color=GREY, ls="--", label="central difference")
ax.axvspan(-h, h, color=RED, alpha=0.1)
ax.set(xlabel="x", ylabel="measured slope of ReLU", title=f"h = {h}; red: within h of the kink")
ax.legend(frameon=False)
inside = np.abs(places) < h * 0.999
assert (np.abs(left - right)[inside] > 1e-9).all() and (np.abs(left - right)[np.abs(places) > h * 1.001] < 1e-9).all()
show(
    figure,
    "Within h of a kink the two sides disagree; elsewhere they agree",
    "The slopes of ReLU to the left and to the right of x, and their mean, near 0. They differ only within h of 0.",
)

# %%
mc.gradcheck.check(mc.relu, np.array([1.0, 0.0, -1.0]), raises=False)

# %% [markdown]
# ### Many outputs: why the cotangent must be random
#
# A function with many outputs needs one number before a gradient makes sense. Taking their **sum** is the habit of many
# course checkers. But the rows of a softmax sum to 1, whatever the input. So the right gradient of the sum is zero, and
# a backward pass that returns zero looks right. Weights that are drawn at random do not have such blind spots.


# %%
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def zero_backward(g, x):
    return np.zeros_like(x)


rng = np.random.default_rng(0)
x = rng.standard_normal((3, 5))
for name, g in [("ones", np.ones((3, 5))), ("random", rng.standard_normal((3, 5)))]:
    measured = mc.gradcheck.numerical_gradient(lambda x, g=g: (softmax(x) * g).sum(), x)
    missed = np.abs(measured - zero_backward(g, x)).max()
    print(f"cotangent of {name:6s}: the zero backward is off by {missed:.1e}")
    assert (missed < 1e-8) == (name == "ones")

# %% [markdown]
# ### Where is it wrong?
#
# A Jacobian as a picture shows which entries are wrong. Here is a softmax backward that forgot one term: it returns
# $y \cdot g$ instead of $y \cdot (g - \sum g y)$.

# %%
row = x[0]
right_jacobian = mc.jacobian(mc.softmax, row)
wrong_jacobian = np.diag(softmax(row))
measured = mc.gradcheck.numerical_jacobian(softmax, row)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
wrong = np.abs(wrong_jacobian - measured) > 1e-6 * np.abs(measured).max()
for ax, (name, values, marks) in zip(
    axes, [("measured", measured, None), ("mc.softmax", right_jacobian, None), ("forgot a term", wrong_jacobian, wrong)]
):
    ax.imshow(values, cmap="PRGn", vmin=-0.5, vmax=0.5)
    for (i, j), value in np.ndenumerate(values):
        bad = marks is not None and marks[i, j]
        ax.text(j, i, f"{value:.2f}" + ("\n✗" if bad else ""), ha="center", va="center", fontsize=8, color=RED if bad else "black")
    ax.set(xticks=[], yticks=[], title=name)
assert np.abs(right_jacobian - measured).max() < 1e-9 and wrong.all()
show(
    figure,
    "The forgotten term spoils every entry, also those on the diagonal",
    f"Three 5 by 5 Jacobians of softmax. minicl's agrees with the measured one to {np.abs(right_jacobian - measured).max():.0e}; "
    f"of the one that forgot a term {int(wrong.sum())} of 25 entries are wrong.",
)

# %% [markdown]
# ### Which checker catches which mistake
#
# Now the checkers themselves are put to the test. Sixteen wrong backward passes, three checkers:
#
# 1. **ones, one entry, 1 %**: the sum of the outputs, one entry drawn at random, tolerance 1e-2;
# 2. **ones, all entries, absolute**: the sum of the outputs, every entry, absolute tolerance 1e-6;
# 3. **ours**: a random cotangent, every entry, relative to the largest entry.


# %%
def measured_vjp(forward, g, x):
    return mc.gradcheck.numerical_gradient(lambda x: float((forward(x) * g).sum()), x)


def ones_one_entry(forward, vjp, x):
    g = np.ones_like(forward(x))
    a = np.asarray(vjp(g, x))
    place = tuple(np.random.default_rng(0).integers(n) for n in x.shape)
    return a.shape == x.shape and bool(abs(a[place] - measured_vjp(forward, g, x)[place]) < 1e-2)


def ones_all_entries(forward, vjp, x):
    g = np.ones_like(forward(x))
    a = np.asarray(vjp(g, x))
    return a.shape == x.shape and bool(np.abs(a - measured_vjp(forward, g, x)).max() < 1e-6)


def ours(forward, vjp, x):
    g = np.random.default_rng(0).standard_normal(np.shape(forward(x)))
    a, b = np.asarray(vjp(g, x)), measured_vjp(forward, g, x)
    return a.shape == b.shape and bool(np.abs(a - b).max() <= 1e-6 * np.abs(b).max())


# %%
CHECKERS = {"ones, one entry, 1 %": ones_one_entry, "ones, all entries, absolute": ones_all_entries, "ours": ours}
wrong_ones = [b for b in BACKWARDS if b.wrong]
caught = np.zeros((len(wrong_ones), len(CHECKERS)), dtype=bool)
for i, b in enumerate(wrong_ones):
    forward_pass, right_vjp, wrong_vjp = (eval(code) for code in (b.forward, b.right, b.wrong))
    for j, checker in enumerate(CHECKERS.values()):
        with np.errstate(invalid="ignore"):  # one of the wrong ones divides 0 by 0
            caught[i, j] = not checker(forward_pass, wrong_vjp, b.x)
        assert checker(forward_pass, right_vjp, b.x)  # and none refuses the right backward
missed = dict(zip(CHECKERS, (~caught).sum(axis=0).tolist()))
figure, ax = plt.subplots(figsize=(9, 5.2), layout="constrained")
ax.imshow(caught, cmap=plt.matplotlib.colors.ListedColormap(["#FCE8EF", "#E6F4EA"]), aspect="auto", vmin=0, vmax=1)
for (i, j), good in np.ndenumerate(caught):
    ax.text(j, i, "caught" if good else "✗ missed", ha="center", va="center", fontsize=9, color=GREEN if good else RED)
ax.set_xticks(range(len(CHECKERS)), [f"{name}\nmisses {n} of {len(wrong_ones)}" for name, n in missed.items()])
ax.set_yticks(range(len(wrong_ones)), [b.name for b in wrong_ones])
ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
ax.spines[:].set_visible(False)
assert len(wrong_ones) == 16
assert missed["ours"] == 0 and missed["ones, one entry, 1 %"] >= missed["ones, all entries, absolute"] > 8
show(
    figure,
    "A cotangent of ones lets most of these wrong gradients pass; a random one lets none",
    "Sixteen wrong backward passes against three checkers. "
    + ", ".join(f"{name}: {n} missed" for name, n in missed.items())
    + ".",
)

# %% [markdown]
# The sixteen were chosen to be hard: many are permutations, or lie where a sum is blind. The point is not the share, but
# that one change, a random cotangent, closes all of these holes at once.
#
# ### The tool
#
# `mc.gradcheck.check` does all of this, to the second order: random cotangent, every entry, the complex step where the
# function allows it, kinks named as kinks. A wrong gradient raises an error that says where, and how to see it again.

# %%
mc.gradcheck.check(lambda a, b: mc.nt_xent(a, b, 0.5), rng.standard_normal((4, 3)), rng.standard_normal((4, 3)))


# %%
@mc.primitive
def exp_off(xp, x):
    return xp.exp(x)


exp_off.defvjp(lambda g, y, x: g * y * 1.001)  # wrong by a tenth of a per cent
try:
    mc.gradcheck.check(exp_off, np.array([[1.0, 0.0], [2.0, -1.0]]))
except mc.gradcheck.GradientError as error:
    print(error)
else:
    raise AssertionError("the checker let a wrong gradient pass")

# %% [markdown]
# ## Play
#
# The two errors for other functions. Which of these has the best step furthest to the left, and why? (Look at the third
# derivative: the formula for the best h divides by it.) Put in a function of your own.

# %%
PLAYED = {"x²": (np.square, 2.0), "eˣ sin x": (f, slope), "sin 7x": (lambda x: np.sin(7 * x), 7 * math.cos(7.0))}
PLAYED["sin 50x"] = (lambda x: np.sin(50 * x), 50 * math.cos(50.0))
figure, axes = plt.subplots(1, len(PLAYED), figsize=(10, 2.8), sharey=True, layout="constrained")
bests = {}
for ax, (name, (function, exact)) in zip(axes, PLAYED.items()):
    error = np.array([abs(central(function, 1.0, h) - exact) / abs(exact) for h in steps])
    bests[name] = steps[error.argmin()]
    ax.loglog(steps, np.maximum(error, 1e-17), color=BLUE, marker=".", ms=3, lw=1)
    ax.set(xlabel="step h", title=name)
axes[0].set_ylabel("relative error, central")
assert bests["sin 50x"] < bests["eˣ sin x"] < bests["x²"]
show(
    figure,
    "The faster a function bends, the smaller its best step",
    "Error of central differences against the step for four functions. Best steps: "
    + ", ".join(f"{name}: {h:.0e}" for name, h in bests.items())
    + ". A parabola has no third derivative, so its error has no left branch to balance.",
)

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("numerical_gradient"))


# %%
def numerical_gradient(func, x, h=1e-5):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += h
        up = func(x)
        x[i] -= h
        gradient[i] = (up - func(x)) / h
    return gradient


mc.course.check("numerical_gradient", numerical_gradient)

# %%
print(mc.course.describe("complex_step"))


# %%
def complex_step(func, x, h=1e-20):
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[i] += 1j * h
        gradient[i] = np.real(func(moved)) / h
    return gradient


mc.course.check("complex_step", complex_step)

# %% [markdown]
# Your function is now as good as the function that it is given. Here you write one that a complex step can be taken
# through: a part of a contrastive loss. The values of the starter are right.

# %%
print(mc.course.describe("analytic_loss"))


# %%
def analytic_loss(z, temperature):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = u[1:] @ u[0] / temperature
    top = logits.real.max()
    return top + np.log(np.exp(logits - top).sum())


mc.course.check("analytic_loss", analytic_loss)

# %% [markdown]
# The other trap, for differences. A checker must not blame a gradient for a kink, so it has to see one. The starter asks
# whether the central difference changes when the step is halved.

# %%
print(mc.course.describe("kinks"))


# %%
def kinks(func, x, h):
    mask = np.zeros(x.shape, dtype=bool)
    for i in np.ndindex(x.shape):
        slopes = []
        for step in (h, h / 2):
            up, down = x.copy(), x.copy()
            up[i] += step
            down[i] -= step
            slopes.append((func(up) - func(down)) / (2 * step))
        mask[i] = abs(slopes[0] - slopes[1]) > 0.01 * np.abs(slopes).max()
    return mask


mc.course.check("kinks", kinks)

# %% [markdown]
# The last exercise is graded **by mutation**: your checker gets 20 right and 16 wrong backward passes. It must accept the
# right ones and reject the wrong ones.

# %%
print(mc.course.describe("gradcheck"))


# %%
def gradcheck(forward, vjp, x):
    g = np.ones_like(forward(x))
    given = vjp(g, x)
    measured = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        measured[i] = (forward(up).sum() - forward(down).sum()) / 2e-5
    return bool(np.abs(given - measured).max() < 1e-6)


mc.course.check("gradcheck", gradcheck)

# %% [markdown]
# ## Break
#
# Somebody made the check faster: one difference along a random direction in place of one for each entry. It is a good
# idea, with one bad line. The check below accepts a layer norm whose backward forgot both means. Find the line.


# %%
def layer_norm(x):
    d = x - x.mean(axis=1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=1, keepdims=True))


def forgetful_vjp(g, x):
    d = x - x.mean(axis=1, keepdims=True)
    scale = np.sqrt((d * d).mean(axis=1, keepdims=True))
    y = d / scale
    return (g - g.mean(axis=1, keepdims=True) * 0 - y * (g * y).mean(axis=1, keepdims=True)) / scale


def fast_check(cotangent, direction):
    h = 1e-6
    change = ((layer_norm(x + h * direction) - layer_norm(x - h * direction)) * cotangent).sum() / (2 * h)
    return abs(change - (forgetful_vjp(cotangent, x) * direction).sum()) < 1e-6


rng = np.random.default_rng(5)
direction = np.ones_like(x) * rng.standard_normal((len(x), 1))  # "random, one number for each row"
cotangent = rng.standard_normal(x.shape)
cotangent -= cotangent.mean(axis=1, keepdims=True)  # "centred, to be safe"
accepted = fast_check(cotangent, direction)
rejected = not fast_check(rng.standard_normal(x.shape), rng.standard_normal(x.shape))
print("accepts the wrong backward:", accepted, "     with random cotangent and direction it is rejected:", rejected)
assert accepted and rejected

# %% [markdown]
# <details><summary>The fault</summary>
#
# Centring the cotangent hides exactly the term that was forgotten: the mean of g is then zero. Each "harmless" structure
# in the cotangent or in the direction is a blind spot. Draw both at random, and leave them as they were drawn.
# </details>
#
# ## Check yourself
#
# 1. The central error at h = 1e-3 is e. What is it at h = 1e-4?
# 2. Why is float32 no place for a gradient check?
# 3. An entry of the gradient is 1e-9, the largest is 1. A check relative to each entry reports an error of 1e-2 there. Is
#    the gradient wrong?

# %%
ratio = abs(central(f, 1.0, 1e-3) - slope) / abs(central(f, 1.0, 1e-4) - slope)
print(f"1. a hundredth: the measured ratio is {ratio:.1f}")
print(f"2. the best it can do is {best['central, float32'][1]:.0e}, so errors below a per mille hide in it")
print(f"3. no: the difference is 1e-11, and central differences cannot resolve more than {best['central, float64'][1]:.0e}")
assert abs(ratio - 100) < 2

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        ["A. the best h of the three", guess["A"], f"1e-5 (measured {best['central, float64'][0]:.0e})"],
        ["B. digits that are right", guess["B"], f"{-math.log10(best['central, float64'][1]):.0f}"],
        ["C. does the sum notice a zero softmax backward?", guess["C"], "no"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# The article gives losses and takes their gradients for granted. It has no line on how to check one. Two of its claims
# lean on gradients, and are decided by this tool:
#
# | claim | verdict | decided by |
# |---|---|---|
# | S9: the loss maximises or minimises a pair's similarity according to its label | under conditions: the gradient of the margin loss is exactly zero for a negative beyond the margin | the cell below |
# | S14: simple, easy to optimise | under conditions: simple formula, and sixteen ways above to get a gradient wrong that many checks accept | *Which checker catches which mistake* |


# %%
def margin_loss(a, b):
    """Hadsell, Chopra & LeCun 2006, for a negative pair: ½ max(0, m − D)², with m = 1."""
    return 0.5 * mc.square(mc.relu(1.0 - mc.norm(a - b)))


near, far = np.array([0.3, 0.4]), np.array([3.0, 4.0])
for b in (near, far):
    assert mc.gradcheck.check(margin_loss, np.zeros(2), b).passed
_, (_, push) = mc.value_and_grad(margin_loss, np.zeros(2), near)
_, (_, none) = mc.value_and_grad(margin_loss, np.zeros(2), far)
print("negative at distance 0.5:", push, "   at distance 5:", none)
assert np.abs(push).max() > 0.1 and not none.any()
