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
# # 01 · Autograd from scratch
#
# A network has many parameters and one loss. To train it, we need a slope for each parameter: if this number grows a
# little, how much does the loss grow? This notebook builds the machine that finds all of these slopes in one pass.
# You start with one number and a small step `h`. You end inside the engine that every later notebook uses.
#
# **When you are through, you can**
#
# - find the slope of a program by nudging, and by hand with the chain rule;
# - write a class whose numbers remember how they were made, and walk back through its graph in the right order;
# - say what a vector-Jacobian product is, and write one for a new operation;
# - undo broadcasting in a gradient;
# - use `mc.grad`, second derivatives, `mc.stop_gradient` and hooks, and know what happens inside.
#
# **You need** the derivative of a function of one variable, Python functions and classes, and NumPy arrays.
#
# **How to read.** Guess first, then run, then change something. Every formula stands beside its code and a check that
# the two agree. If a check fails, the cell stops with an error. Red in a picture means wrong.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import heapq
import itertools
import math
import os
from collections import defaultdict
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np

import minicl as mc
import minicl.graph  # gives Tensors their picture
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
rng = np.random.default_rng(1)

style()

# %% [markdown]
# The next cell holds the drawing tools of this notebook. You can skip it.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
plt.rcParams |= {"mathtext.fontset": "dejavusans"}
PLACE = {"v": (0, 0), "u": (1, 0), "s_n": (2, 0.62), "s_p": (2, -0.62), "d": (3, 0), "e": (4, 0)}
PLACE |= {"loss": (5, 0)}
ARROWS = [("v", "u"), ("u", "s_n"), ("u", "s_p"), ("s_n", "d"), ("s_p", "d"), ("d", "e"), ("e", "loss")]
FORMULA = {"v": "input", "u": "tanh(v)", "s_n": "u · n", "s_p": "u · p", "d": "s_n − s_p", "e": "exp(d)"}
FORMULA |= {"loss": "log(1 + e)"}
WIDTH, HEIGHT = 0.64, 0.8


def draw_steps(ax, lines, slopes=None, badges=None, alarm=()):
    """The graph of `pair_loss`: a card for each value, with lines of (text, colour)."""
    for a, b in ARROWS:
        (xa, ya), (xb, yb) = PLACE[a], PLACE[b]
        start, end = (xa + WIDTH / 2, ya), (xb - WIDTH / 2, yb)
        style = {"arrowstyle": "-|>", "color": GREY, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", end, start, arrowprops=style)
        if slopes:
            side = "center" if ya == yb else "right" if a == "u" else "left"  # outside of the fork
            x = (start[0] + end[0]) / 2 + {"center": 0, "right": 0.06, "left": -0.06}[side]
            y = 0.12 if ya == yb else 0.53 * np.sign(ya + yb)
            ax.text(x, y, slopes[a, b], ha=side, va="center", fontsize=9.5, color=GREEN)
    for name, (x, y) in PLACE.items():
        bad = name in alarm
        look = {"fc": "#FCE8EF", "ec": RED, "lw": 2} if bad else {"fc": "white", "ec": "black", "lw": 1}
        ax.add_patch(plt.Rectangle((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, **look))
        ax.text(x, y + 0.27, name, ha="center", va="center", weight="bold", fontsize=10.5)
        ax.text(x, y + 0.09, FORMULA[name], ha="center", va="center", fontsize=9, color=GREY)
        for k, (text, color) in enumerate(lines[name]):
            ax.text(x, y - 0.11 - 0.18 * k, text, ha="center", va="center", fontsize=9.5, color=color)
        for k, badge in enumerate((badges or {}).get(name, [])):
            shape = {"boxstyle": "circle,pad=0.22", "fc": BLUE if k == 0 else RED, "ec": "white"}
            place = x - 0.2 + 0.27 * k, y + HEIGHT / 2 + 0.07
            style = {"fontsize": 9.5, "color": "white", "weight": "bold", "bbox": shape}
            ax.text(*place, badge, ha="center", va="center", **style)
    ax.set(xlim=(-0.42, 5.42), ylim=(-1.1, 1.2))
    ax.axis("off")


def draw_matrix(ax, values, title, wrong=None, limit=None, fmt="{:.2f}"):
    """A matrix as coloured cells with its numbers; cells in `wrong` get a red frame and a cross."""
    values = np.atleast_2d(values)
    limit = limit or np.abs(values).max()
    ax.imshow(values, cmap="PRGn", vmin=-1.7 * limit, vmax=1.7 * limit)
    for (i, j), x in np.ndenumerate(values):
        text = fmt.format(x).replace("-", "−") + ("\n✗" if wrong is not None and wrong[i, j] else "")
        ax.text(j, i, text, ha="center", va="center", fontsize=9)
        if wrong is not None and wrong[i, j]:
            ax.add_patch(plt.Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, ec=RED, lw=2.5))
    ax.set_xticks(range(values.shape[1]))
    ax.set_yticks(range(values.shape[0]))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)


# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on. A wrong guess is worth more than none: it shows you what
# to look for. At the end the notebook puts your guesses beside the computed answers.
#
# - **A.** `b = a + a`, then `c = b + b`. What is the slope of `c` with respect to `a`?
# - **B.** Ten such doublings in a row. A walk back follows *every path* from the result to the input, one at a time.
#   How many values does it visit, counting repeats?
# - **C.** `y = x + b`, where `x` has shape `(5, 3)` and `b` has shape `(3,)`. Which shape has the gradient of `b`?
# - **D.** One forward pass through a network costs one unit of work. The network has 18,560 parameters. How many
#   units does it cost to find *all* 18,560 slopes by walking back once, after the forward pass?

# %%
guess = {"A": None, "B": None, "C": None, "D": None}  # your guesses: numbers, and a shape such as (5, 3)
truth = {}  # filled by the cells below

# %% [markdown]
# ## Derive
#
# ### 1 A slope is a ratio
#
# Our running example is the smallest contrastive loss there is. An encoder with a single weight `v` makes an
# embedding `u`. It is compared with a *positive* `p` (it should be similar to `u`) and a *negative* `n` (it should
# not). All are single numbers, so similarity is a product: $s_p = u\,p$ and $s_n = u\,n$, with $u = \tanh v$. The loss
# $L$ is
#
# $$L = \log \left(1 + e^{s_n - s_p}\right)$$
#
# It is small when $s_p$ is larger than $s_n$. The code names each intermediate value, and passes each through
# `watch`. So we can look at every value, and later change one of them. The functions come from `lib`: `math` for
# numbers, `np` for arrays, and soon our own engines. The formula is typed once.

# %%
p, n = 0.9, -0.6  # the positive and the negative
v0 = 0.2  # where we stand


def pair_loss(v, lib, watch=lambda name, x: x):
    v = watch("v", v)
    u = watch("u", lib.tanh(v))
    s_n = watch("s_n", u * n)
    s_p = watch("s_p", u * p)
    d = watch("d", s_n - s_p)
    e = watch("e", lib.exp(d))
    return watch("loss", lib.log1p(e))


print(f"loss({v0}) = {pair_loss(v0, math):.4f}")

# %% [markdown]
# The slope at `v0` is what the ratio below tends to as the step `h` shrinks; the error shrinks like h, which is what
# $O(h)$ says:
#
# $$\frac{L\left(v + h\right) - L}{h} = \frac{\partial L}{\partial v} + O\left(h\right) \quad (h \to 0)$$
#
# **Before you run:** is the slope at `v0` positive or negative? (Should `v` grow or shrink, if the loss shall fall?)

# %%
def central_slope(f, x, h=1e-5):
    """A step to both sides: its error shrinks with h², so h need not be tiny."""
    return (f(x + h) - f(x - h)) / (2 * h)


slope = central_slope(lambda v: pair_loss(v, math), v0)
steps = [1.6, 0.8, 0.4, 0.2]
secants = [(pair_loss(v0 + h, math) - pair_loss(v0, math)) / h for h in steps]
errors = [abs(s - slope) for s in secants]

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), width_ratios=[1.7, 1], layout="constrained")
grid = np.linspace(-0.8, 2.1, 200)
left.plot(grid, pair_loss(grid, np), color="black", lw=2, label="loss(v)")
for h, s, color, marker in zip(steps, secants, [GREY, ORANGE, "#9C36B5", GREEN], "sD^v"):
    label = f"h = {h}: ratio {s:.3f}".replace("-", "−")
    ends = np.array([v0, v0 + h])
    left.plot(ends, pair_loss(ends, np), color=color, marker=marker, label=label)
near = np.array([-0.6, 0.95])
tangent = pair_loss(v0, math) + slope * (near - v0)
left.plot(near, tangent, "--", color=BLUE, label=f"the limit: slope {slope:.3f}".replace("-", "−"))
left.plot(v0, pair_loss(v0, math), "o", color=BLUE)
left.legend(frameon=False)
left.set(xlabel="v", ylabel="loss", title="lines through the points at v = 0.2 and v = 0.2 + h")
right.plot(steps, errors, "o-", color=BLUE)
right.set(xscale="log", yscale="log", xlabel="step h", ylabel="|ratio − slope|")
right.set_title("how far the ratio is off")
right.set_xticks(steps, [str(h) for h in steps])
right.set_yticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
right.minorticks_off()

assert slope < 0 and errors == sorted(errors, reverse=True), "the figure would lie"
show(
    figure,
    "The smaller the step h, the nearer the ratio comes to the slope",
    f"Left: the loss falls as v grows; lines through v = {v0} and v + h turn towards the dashed tangent of "
    f"slope {slope:.3f}. Right: the error falls from {errors[0]:.2f} at h = {steps[0]} to {errors[-1]:.2f} "
    f"at h = {steps[-1]}.",
)

# %% [markdown]
# Nudging is honest: it needs no calculus, only the program. It is our judge from here on. But each parameter needs
# its own run of the program. A network with a million parameters would need a million runs for one step. And how
# small should `h` be? (Notebook 02 is about that.)
#
# ### 2 Multiply along a path, add over paths
#
# Through `watch` we can nudge *any* intermediate value and see what the loss does. This gives the slope of the loss
# with respect to each value. We write $\bar u$ for $\partial\,\text{loss}/\partial u$, and `u_bar` in code. Its short
# name is the *grad* of `u`.

# %%
def value_of_each(v):
    seen = {}
    pair_loss(v, math, watch=lambda name, x: seen.setdefault(name, x))
    return seen


def measured_grad_of_each(v, h=1e-5):
    def nudged(name, h):
        return pair_loss(v, math, watch=lambda other, x: x + h if other == name else x)

    return {name: (nudged(name, h) - nudged(name, -h)) / (2 * h) for name in value_of_each(v)}


values, measured = value_of_each(v0), measured_grad_of_each(v0)
rows = [[f"`{name}`", f"{values[name]:.4f}", f"{measured[name]:.4f}"] for name in values]
table(["name", "value", "measured grad"], rows)

# %% [markdown]
# Now the same numbers by hand. Each step has a *local slope* that calculus gives us. For `u = tanh(v)` it is $1-u^2$;
# for `s_n = u * n` it is $n$, and so on. The chain rule says:
#
# - **multiply along a path:**
#
# $$\frac{\partial L}{\partial v} = \frac{\partial L}{\partial u} \left(1 - u^{2}\right)$$
#
# - **add over paths:** `u` is used twice, and the loss feels a change of `u` through both uses, so
#
# $$\frac{\partial L}{\partial u} = \frac{\partial L}{\partial s_n} n + \frac{\partial L}{\partial s_p} p$$
#
# We write $\bar u$ for $\partial L/\partial u$ (`u_bar` in code). We start at the loss, where $\bar L = 1$, and go back.

# %%
u, e = values["u"], values["e"]

loss_bar = 1.0
e_bar = loss_bar / (1 + e)  # loss = log(1 + e)
d_bar = e_bar * e  # e = exp(d)
s_n_bar = d_bar * 1  # d = s_n - s_p
s_p_bar = d_bar * -1
u_bar = s_n_bar * n + s_p_bar * p  # s_n = u * n and s_p = u * p: two uses, a sum
v_bar = u_bar * (1 - u**2)  # u = tanh(v)

by_hand = {"loss": loss_bar, "e": e_bar, "d": d_bar, "s_p": s_p_bar, "s_n": s_n_bar, "u": u_bar, "v": v_bar}
for name in by_hand:
    assert abs(by_hand[name] - measured[name]) < 1e-8, f"the first wrong line is that of {name}"
print(f"v_bar by hand {v_bar:.10f}, measured {measured['v']:.10f}")

# %% [markdown]
# All seven agree. And note the cost: one number per value, found once. Every parameter of a network would get its
# slope from the same walk back.
#
# ### 3 A number that remembers
#
# We did by hand what a program can do for us, if each number remembers two things: which numbers it was made from,
# and the local slope with respect to each. `Value` holds these. It also takes a number from a clock when it is made,
# its `birth`. The next section needs it.

# %%
class Value:
    """A number that remembers how it was made."""

    clock = itertools.count()

    def __init__(self, data, *sources):
        self.data = data
        self.sources = [(x, slope) for x, slope in sources if isinstance(x, Value)]  # a number is a constant
        self.birth = next(Value.clock)

    def __add__(self, other):
        return Value(self.data + data(other), (self, 1.0), (other, 1.0))

    def __sub__(self, other):
        return Value(self.data - data(other), (self, 1.0), (other, -1.0))

    def __mul__(self, other):
        return Value(self.data * data(other), (self, data(other)), (other, self.data))

    def __repr__(self):
        return f"Value({self.data:.4f})"


def data(x):
    return x.data if isinstance(x, Value) else x


def tanh(x):
    y = math.tanh(x.data)
    return Value(y, (x, 1 - y * y))


def exp(x):
    y = math.exp(x.data)
    return Value(y, (x, y))


def log1p(x):
    return Value(math.log1p(x.data), (x, 1 / (1 + x.data)))


scalars = SimpleNamespace(tanh=tanh, exp=exp, log1p=log1p)

node = {}  # the Values of one run, by name
pair_loss(Value(v0), scalars, watch=lambda name, x: node.setdefault(name, x))
node

# %% [markdown]
# The formula `pair_loss` did not change. It ran on Values, and left a *graph* behind: each Value points to its
# sources.
#
# ### 4 In which order
#
# To walk back, each value multiplies its own grad by the local slope and *sends* the product to its source. The
# source adds what arrives. Who sends first? The plan that comes to mind first is recursion: send to your sources,
# then let each of them do the same.

# %%
def walk_recursive(output):
    """Send, then go down into each source. Returns the grads and the order of the visits."""
    grads, visits = defaultdict(float), []
    grads[output] = 1.0

    def visit(y):
        visits.append(y)
        for x, slope in y.sources:
            grads[x] += grads[y] * slope
        for x, _ in y.sources:
            visit(x)

    visit(output)
    return grads, visits


# %% [markdown]
# **Before you run:** this is question A. Compare the recursion with the nudge.

# %%
def quadruple(a):
    b = a + a
    return b + b


a = Value(3.0)
grads, _ = walk_recursive(quadruple(a))
truth["A"] = round(central_slope(quadruple, 3.0), 6)
print("recursive walk:", grads[a], "   measured:", truth["A"])
assert grads[a] == 8 and truth["A"] == 4

# %% [markdown]
# Eight instead of four. `b` is used twice, so it is visited twice. `c` has sent both messages before the first visit,
# so `b` knows its whole grad 2 and sends it on, twice. On the second visit it sends all of it *again*.
#
# The repair is a rule: **a value may send only when all its users have sent to it, and then it sends once.** An order
# that obeys this is called a *topological order*. It can be computed by a search through the graph. But we have it
# already: a value is always made after its sources. So going from the youngest `birth` to the oldest visits every
# user before the value it uses. **Birth order is the tape.** A heap hands out the youngest value that waits.

# %%
def walk_by_birth(output):
    """The youngest first: when a value's turn comes, all its users have sent."""
    grads, visits = {output: 1.0}, []
    heap = [(-output.birth, output)]
    while heap:
        _, y = heapq.heappop(heap)
        visits.append(y)
        for x, slope in y.sources:
            if x not in grads:
                grads[x] = 0.0
                heapq.heappush(heap, (-x.birth, x))
            grads[x] += grads[y] * slope
    return grads, visits


a = Value(3.0)
grads, visits = walk_by_birth(quadruple(a))
print("walk by birth:", grads[a], "   visits:", len(visits))
assert grads[a] == 4 and len(visits) == 3

# %% [markdown]
# No recursion, no search, no list of what was seen: a value enters the heap when its first message arrives. Now the
# running example, where `u` is used twice. This picture shows every value and every grad. Check one card with a
# pencil: multiply the grad at the tip of an arrow by the number on the arrow; add up if there are two arrows.

# %%
grads, visits = walk_by_birth(node["loss"])
name_of = {x: name for name, x in node.items()}
local = {(name_of[x], name): s for name, y in node.items() for x, s in y.sources}

lines = {k: [(f"value {x.data:.3f}", BLUE), (f"grad {grads[x]:.3f}", ORANGE)] for k, x in node.items()}
lines = {k: [(text.replace("-", "−"), color) for text, color in rows] for k, rows in lines.items()}
figure, ax = plt.subplots(figsize=(10, 3), layout="constrained")
draw_steps(ax, lines, slopes={edge: f"× {s:.3g}".replace("-", "−") for edge, s in local.items()})

for name, x in node.items():
    assert abs(grads[x] - measured[name]) < 1e-8, f"the picture lies about {name}"
    users = [grads[node[to]] * s for (source, to), s in local.items() if source == name]
    assert not users or abs(grads[x] - sum(users)) < 1e-12
show(
    figure,
    "Each grad is a sum over arrows: grad at the tip × local slope on the arrow",
    "; ".join(f"{k}: value {x.data:.3f}, grad {grads[x]:.3f}" for k, x in node.items())
    + ". u has two arrows, to s_n and s_p.",
)

# %% [markdown]
# The order decides. Numbers in circles are visits. Watch `u`: the recursion reaches it through `s_n`, when the
# message of `s_p` is not there yet.

# %%
wrong_grads, wrong_visits = walk_recursive(node["loss"])


def visit_numbers(visits):
    numbers = defaultdict(list)
    for k, x in enumerate(visits, start=1):
        numbers[name_of[x]].append(str(k))
    return numbers


figure, axes = plt.subplots(2, 1, figsize=(10, 6.4), layout="constrained")
alarm = [k for k, x in node.items() if abs(wrong_grads[x] - measured[k]) > 1e-6]
for ax, found, order, bad in ((axes[0], wrong_grads, wrong_visits, alarm), (axes[1], grads, visits, [])):
    lines = {k: [(f"grad {found[x]:.3f}", "black")] for k, x in node.items()}
    for k in bad:
        lines[k] = [(f"✗ grad {found[node[k]]:.3f}", RED), (f"right: {measured[k]:.3f}", RED)]
    lines = {k: [(text.replace("-", "−"), color) for text, color in rows] for k, rows in lines.items()}
    draw_steps(ax, lines, badges=visit_numbers(order), alarm=bad)
early, late = grads[node["s_n"]] * n, grads[node["u"]]  # what u holds on its first visit, and on its second
sent = [f"visit {k}: u sends {x:.3f} × {local['v', 'u']:.3f}" for k, x in ((5, early), (8, late))]
axes[0].text(-0.32, -0.55, "\n".join(sent).replace("-", "−"), va="top", color=RED)
axes[0].set_title("recursive: 9 visits (in circles), u and v a second time")
axes[1].set_title("by birth, youngest first: 7 visits, each value once")

assert abs(wrong_grads[node["v"]] - (early + late) * local["v", "u"]) < 1e-12
assert alarm == ["v"] and len(wrong_visits) == 9 and len(visits) == 7
assert [x.birth for x in visits] == sorted((x.birth for x in visits), reverse=True)
show(
    figure,
    "The recursion lets u send before its grad is complete, and then once more",
    f"Recursive order: {' '.join(name_of[x] for x in wrong_visits)}; the grad of v is "
    f"{wrong_grads[node['v']]:.3f} and should be {measured['v']:.3f}. "
    f"Birth order: {' '.join(name_of[x] for x in visits)}; all grads are right.",
)

# %% [markdown]
# In a contrastive loss this is the normal case, not a rare one: each embedding is compared with every other one, so
# it is used many times.
#
# ### 5 What the order costs
#
# Can the recursion be saved? Yes: send on only the *new* message, not the whole grad. Then every path from the output
# to an input is walked on its own, and the results are right. Look at the price. One *diamond* is `a + a`: two arrows
# from one value to the next. Stack some.

# %%
def walk_paths(output):
    """Every path on its own."""
    grads, visits = defaultdict(float), []

    def visit(y, message):
        visits.append(y)
        grads[y] += message
        for x, slope in y.sources:
            visit(x, message * slope)

    visit(output, 1.0)
    return grads, visits


def diamonds(a, count):
    for _ in range(count):
        a = a + a
    return a


counts = list(range(1, 17 if FULL else 13))
by_path, by_birth = [], []
for count in counts:
    a = Value(1.0)
    c = diamonds(a, count)
    for walk, lengths in ((walk_paths, by_path), (walk_by_birth, by_birth)):
        grads, visits = walk(c)
        assert grads[a] == 2**count  # both are right
        lengths.append(len(visits))
truth["B"] = by_path[counts.index(10)]

figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
ax.plot(counts, by_path, "s", color=ORANGE)
ax.plot(counts, [2 ** (k + 1) - 1 for k in counts], color=ORANGE, lw=1)
ax.plot(counts, by_birth, "o", color=BLUE)
ax.plot(counts, [k + 1 for k in counts], color=BLUE, lw=1)
ax.text(7.6, 1000, r"path by path: $2^{k+1} - 1$", color=ORANGE, ha="right")
ax.text(9.2, 3.2, r"by birth: $k + 1$", color=BLUE)
ax.set(yscale="log", xlabel="stacked diamonds k", ylabel="visited values (counted)", xticks=counts[1::2])
ax.set_title("dots: counted · lines: formula")

assert by_path == [2 ** (k + 1) - 1 for k in counts] and by_birth == [k + 1 for k in counts]
show(
    figure,
    "Path by path, each diamond doubles the work; by birth, it adds one visit",
    f"Visits on a logarithmic axis. At {counts[-1]} diamonds there are {by_path[-1]:,} path by path, and "
    f"{by_birth[-1]} by birth.",
)

# %% [markdown]
# Sixty diamonds are not many: each block of a residual network is one, and a ResNet with 152 layers has fifty. And a
# long chain breaks any recursion, since Python allows only some thousand nested calls. The heap does not care.

# %%
a = Value(1.0)
grads, visits = walk_by_birth(diamonds(a, 60))
print(f"60 diamonds by birth: {len(visits)} visits. Path by path, at ten million visits a second:", end=" ")
print(f"{(2**61 - 1) / 1e7 / 3600 / 24 / 365:,.0f} years.")
assert grads[a] == 2**60

a = Value(0.0)
x = a
for _ in range(20_000):
    x = x + 1
try:
    walk_recursive(x)
except RecursionError:
    print("20,000 additions, recursive: RecursionError.", end=" ")
print("By birth:", walk_by_birth(x)[0][a])
assert walk_by_birth(x)[0][a] == 1

# %% [markdown]
# ### 6 From numbers to arrays
#
# A `Value` for each number is slow. We want one node for a whole array. Then a local slope is no number any more. If
# $y = f(x)$ has $m$ entries and $x$ has $k$, the local slopes form a matrix, the *Jacobian*
# $J_{ij} = \partial y_i/\partial x_j$ with $m \times k$ entries.
#
# "Multiply along a path, add over paths" becomes, with the grad $\bar y$ of the result, which is now an array and is
# called its **cotangent** (`g` in code):
#
# $$\frac{\partial L}{\partial x_{j}} = \sum_{i=1}^{R} \bar{y}_{i} \frac{\partial y_{i}}{\partial x_{j}}$$
#
# or short, $\bar x = \bar y^\top J$. This is the **vector-Jacobian product**, short *vjp*. Look at some Jacobians,
# measured by nudging each input entry.

# %%
def measured_jacobian(f, x, h=1e-5):
    columns = []
    for j in range(x.size):
        step = np.zeros(x.size)
        step[j] = h
        step = step.reshape(x.shape)
        columns.append((f(x + step) - f(x - step)).ravel() / (2 * h))
    return np.stack(columns, axis=1)


x = np.array([0.5, -1.0, 0.2, 1.5])
pick = [2, 0, 0]
examples = {  # operation: (function, its vjp)
    "tanh(x)": (np.tanh, lambda g, y, x: g * (1 - y**2)),
    "cumsum(x)": (np.cumsum, lambda g, y, x: np.cumsum(g[::-1])[::-1]),
    "x.sum()": (np.sum, lambda g, y, x: np.full(x.shape, g)),
    "x[[2, 0, 0]]": (lambda x: x[pick], None),  # you will write this one
}

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, (name, (f, vjp)) in zip(axes, examples.items()):
    J = measured_jacobian(f, x)
    draw_matrix(ax, J, f"J of {name}: {J.shape[0]} × {J.shape[1]}", limit=1, fmt="{:.2g}")
    ax.set(xlabel="input entry j", anchor="N")
    if vjp:
        g = rng.normal(size=J.shape[0]) if J.shape[0] > 1 else rng.normal()
        rule, product = vjp(g, f(x), x), np.atleast_1d(g) @ J
        assert rule.shape == x.shape and np.abs(rule - product).max() < 1e-9, name
axes[0].set_ylabel("output entry i")
assert np.count_nonzero(measured_jacobian(np.tanh, x).round(6)) == 4
assert (measured_jacobian(examples["x[[2, 0, 0]]"][0], x).round(6) == np.eye(4)[pick]).all()
show(
    figure,
    "Each Jacobian has a pattern, so a rule can use the pattern and never build the matrix",
    "The Jacobian of tanh is diagonal, that of cumsum is lower triangular with ones, that of sum is a row of "
    "ones, and that of x[[2, 0, 0]] has a single one in each row, in columns 2, 0 and 0.",
)

# %% [markdown]
# The rule for `tanh` multiplies 4 numbers by 4 numbers. The matrix product would need 16 multiplications, of which 12
# are by zero. For an image with a million entries it would need $10^{12}$. So an engine stores for each operation a
# *function*: it gets the cotangent `g`, the result `y` and the arguments, and returns the cotangent of one argument.
#
# | operation | vjp | in code |
# |---|---|---|
# | $Y = A + B$ | $\bar A = \bar Y,\ \ \bar B = \bar Y$ | `g`, `g` |
# | $Y = A - B$ | $\bar A = \bar Y,\ \ \bar B = -\bar Y$ | `g`, `-g` |
# | $Y = \tanh X$ | $\bar X = \bar Y (1 - Y^2)$ | `g * (1 - y * y)` |
# | $Y = e^X$ | $\bar X = \bar Y\, Y$ | `g * y` |
# | $Y = \log(1 + X)$ | $\bar X = \bar Y / (1 + X)$ | `g / (1 + x)` |
# | $Y = \sum X$ | $\bar X_{ij} = \bar Y$ | `np.full(x.shape, g)` |
#
# The second engine: the same walk, with a rule in the place of each slope. (Products of arrays are left to you.)

# %%
class Array:
    """An array that remembers how it was made."""

    clock = itertools.count()

    def __init__(self, data, op=None, args=()):
        self.data = np.asarray(data, dtype=float)
        self.op, self.args = op, args
        self.birth = next(Array.clock)

    def __add__(self, other):
        return add(self, other)

    def __sub__(self, other):
        return subtract(self, other)

    def __mul__(self, number):
        return scale(self, number)


def operation(forward, *vjps):
    """An operation on Arrays, from a function of bare arrays and one vjp for each argument."""

    def op(*args):
        return Array(forward(*map(raw, args)), op, args)

    op.vjps = vjps
    return op


def raw(x):
    return x.data if isinstance(x, Array) else x


add = operation(lambda a, b: a + b, lambda g, y, a, b: g, lambda g, y, a, b: g)
subtract = operation(lambda a, b: a - b, lambda g, y, a, b: g, lambda g, y, a, b: -g)
scale = operation(lambda x, number: x * number, lambda g, y, x, number: g * number)
total = operation(lambda x: x.sum(), lambda g, y, x: np.full(x.shape, g))
arrays = SimpleNamespace(
    tanh=operation(np.tanh, lambda g, y, x: g * (1 - y * y)),
    exp=operation(np.exp, lambda g, y, x: g * y),
    log1p=operation(np.log1p, lambda g, y, x: g / (1 + x)),
)


def walk_arrays(output, fit=lambda g, shape: g):
    """`walk_by_birth` with rules; `fit` repairs the shape of what a rule returns."""
    grads = {output: np.ones_like(output.data)}
    heap = [(-output.birth, output)]
    while heap:
        _, y = heapq.heappop(heap)
        for k, x in enumerate(y.args):
            if isinstance(x, Array):
                message = fit(y.op.vjps[k](grads[y], y.data, *map(raw, y.args)), x.data.shape)
                if x not in grads:
                    grads[x] = np.zeros_like(x.data)
                    heapq.heappush(heap, (-x.birth, x))
                grads[x] = grads[x] + message
    return grads


v = Array(rng.normal(size=(5, 3)))
loss = total(pair_loss(v, arrays))  # fifteen pairs at once, and their losses added up
found = walk_arrays(loss)[v]
wanted = central_slope(lambda x: pair_loss(x, np), v.data)  # each entry has its own loss
print("15 slopes from one walk; largest error:", f"{np.abs(found - wanted).max():.0e}")
assert np.abs(found - wanted).max() < 1e-9

# %% [markdown]
# ### 7 Broadcasting copies and its gradient adds
#
# Now a shared bias `b` of shape `(3,)` is added to an `x` of shape `(5, 3)`. NumPy *broadcasts*: it reads `b` five
# times, once for each row: $y_{ij} = x_{ij} + b_j$.
#
# **Before you run:** this is question C.

# %%
x, b = Array(rng.normal(size=(5, 3))), Array(rng.normal(size=3))
y = x + b
grads = walk_arrays(total(pair_loss(y, arrays)))
print("b has shape", b.data.shape, "and our walk found a gradient of shape", grads[b].shape)

# %% [markdown]
# No error, and no use: the gradient of `b` must have the shape of `b`, one slope for each of its three entries. Entry
# $b_j$ was used in five places. Five uses, five arrows, so a sum:
#
# $$\frac{\partial L}{\partial b_{j}} = \sum_{i=1}^{R} \bar{y}_{ij}$$
#
# **Copied on the way forward, added on the way back.** The repair stands in one place, the walk, and serves all
# operations. Here we borrow `mc.sum_to`. You will write it yourself in [Exercise 2](#Exercise-2-unbroadcast).

# %%
def sum_to(g, shape):
    return mc.sum_to(g, shape=shape)


grads = walk_arrays(total(pair_loss(y, arrays)), fit=sum_to)
truth["C"] = grads[b].shape
nudged = measured_jacobian(lambda b: pair_loss(x.data + b, np).sum(), b.data)[0]

heights = {"height_ratios": [5, 1, 1], "layout": "constrained"}
figure, (top, low, lowest) = plt.subplots(3, 1, figsize=(6.4, 5.2), sharex=True, **heights)
limit = np.abs(grads[b]).max()
draw_matrix(top, grads[y], r"cotangent of y = x + b, shape (5, 3)", limit=limit)
top.set_ylabel("row i")
draw_matrix(low, grads[b], "sum over rows = gradient of b, shape (3,)", limit=limit)
draw_matrix(lowest, nudged, "measured: each entry of b nudged by itself", limit=limit)
for ax in (low, lowest):
    ax.set_yticks([])
lowest.set_xlabel("column j")
for ax in (top, low, lowest):
    ax.set_aspect("auto")

assert truth["C"] == (3,) and np.abs(grads[b] - nudged).max() < 1e-8
assert np.abs(grads[y].sum(axis=0) - nudged).max() < 1e-8
show(
    figure,
    "b was read once per row, so its gradient adds up the rows",
    "A 5 by 3 table of cotangents; below it its column sums "
    + ", ".join(f"{x:.2f}" for x in grads[b])
    + ", which equal the slopes measured by nudging each entry of b.",
)

# %% [markdown]
# That is a whole engine for first gradients. Some sixty lines.
#
# ## Play
#
# Step through a walk back, message by message. On the left the youngest value goes first. On the right is the
# recursion.
#
# 1. Choose *diamond* and press **Next** until the two sides differ. Which message is the first wrong one?
# 2. Choose *neuron*. Both sides end right. Why does the mistake stay hidden here?
# 3. Choose *squared error* and move the sliders. By which factor is each gradient of the recursion wrong? Does the
#    factor depend on where the sliders stand?

# %%
mc.viz.backward_stepper()

# %% [markdown]
# (Where scripts cannot run, you see the final state as a picture.)
#
# You can give it a program of your own. This one is our pair loss, with the numbers from above.

# %%
program = "u = tanh(v); s_n = u * n; s_p = u * p; d = s_n - s_p; L = log(exp(d) + 1)"
mc.viz.backward_stepper(program, v=v0, n=n, p=p)

# %% [markdown]
# ## Build
#
# ### 8 The same ideas in minicl
#
# minicl's engine is what you have built, made whole. A `Tensor` is what we called an `Array`. A notebook shows it
# with its graph:

# %%
v = mc.tensor(v0)
u = mc.tanh(v)
s_n, s_p = u * n, u * p
d = s_n - s_p
loss = mc.log1p(mc.exp(d))
loss

# %% [markdown]
# `mc.grad(output, inputs)` walks back and returns the gradients. Nothing is stored on the graph, so you may call it
# as often as you like. Our formula needs no change: `lib` is now `mc`.

# %%
v = mc.tensor(v0)
gradient = mc.grad(pair_loss(v, mc), v)
print("minicl:", gradient, "   by hand:", v_bar)
assert abs(gradient - v_bar) < 1e-14

# %% [markdown]
# | here | in `minicl/engine.py` |
# |---|---|
# | `Array.data`, `Array.birth` | `Tensor.data`, `Tensor.birth` |
# | `Array.op`, `Array.args` | `Tensor.origin`: `.op`, `.args`, and `.params` such as `axis` |
# | `operation(forward, *vjps)` | `@mc.primitive` above the forward, and `.defvjp(...)` below it |
# | `walk_arrays` | `_walk`: the same heap, youngest first |
# | `fit=sum_to` | `_fitted`: shape and dtype, in one place for all operations |
# | a plain number is a constant | a bare array or number is a constant |
#
# The rules stand in `minicl/ops.py`, each below its forward. This is a whole operation from there:
#
# ```python
# @primitive
# def tanh(xp, x):
#     """Y = tanh X            X̄ = Ȳ (1 − Y²)"""
#     return xp.tanh(x)
#
#
# tanh.defvjp(lambda g, y, x: g * (1 - y * y))
# ```
#
# `xp` is the array library, NumPy or CuPy. So the same line runs on a GPU.
#
# **A hook** is a function that is called when a tensor's cotangent is complete. With hooks we can watch the real
# walk. Is its order ours?

# %%
tensors, arrived = {}, []
loss = pair_loss(mc.tensor(v0), mc, watch=lambda name, x: tensors.setdefault(name, x))
for name, t in tensors.items():
    t.hook(lambda g, name=name: arrived.append(name))
mc.grad(loss, tensors["v"])

print("minicl visits:", " → ".join(arrived))
assert arrived == [name_of[x] for x in walk_by_birth(node["loss"])[1]]

# %% [markdown]
# A hook may also *replace* the cotangent by what it returns. This one allows no message below $-0.1$ to pass on from
# `u`. **Before you run:** what is the gradient of `v` then? Remember $\bar v = \bar u\,(1-u^2)$.

# %%
v = mc.tensor(v0)
u = mc.tanh(v)
u.hook(lambda g: g.clip(-0.1, None))
clipped = mc.grad(mc.log1p(mc.exp(u * n - u * p)), v)
print("gradient of v with the clipped cotangent of u:", clipped.round(6))
assert abs(clipped - -0.1 * (1 - math.tanh(v0) ** 2)) < 1e-14

# %% [markdown]
# **`backward`** is for those who know PyTorch: it *adds* the gradient to `.grad` of each leaf. (A *leaf* is a Tensor
# that you made, not one that was computed.) Call it twice and the leaf's `.grad` is twice as large. Nothing else
# changes, because nothing is kept on the values between.

# %%
v = mc.tensor(v0)
loss = pair_loss(v, mc)
loss.backward()
first = v.grad.copy()
loss.backward()
print("after one call:", first, "  after two:", v.grad)
assert v.grad == 2 * first

# %% [markdown]
# **`mc.stop_gradient(x)`** has the value of `x`, but counts as a constant. Methods with a *momentum encoder*
# (notebook 12) need it: the keys are compared with the queries, but get no gradient. **Before you run:** the
# similarity of `z` with itself is $z^\top z$, with gradient $2z$. What is the gradient if one of the two is stopped?

# %%
z = mc.tensor([0.6, 0.8])
print("both:       ", mc.grad((z * z).sum(), z))
print("one stopped:", mc.grad((z * mc.stop_gradient(z)).sum(), z))
assert (mc.grad((z * mc.stop_gradient(z)).sum(), z) == z.data).all()

# %% [markdown]
# An engine should refuse what cannot be right, and say how to repair it. Two examples. The second one is a choice:
# other engines fill in a cotangent of ones there.

# %%
count = mc.tensor([1, 2, 3])
z = mc.tensor([1.0, 2.0, 3.0])
for attempt in (lambda: mc.grad((count * 0.5).sum(), count), lambda: mc.grad(z * z, z)):
    try:
        attempt()
    except (TypeError, ValueError) as error:
        print(error, end="\n\n")

# %% [markdown]
# ### 9 One rule, two uses
#
# Why are the rules in `ops.py` written with minicl's own operations, and not with NumPy's? With `differentiable=True`
# the walk hands the rules Tensors instead of bare arrays. Then the rules leave a graph behind, too, and the gradient
# can be differentiated again. The slope of the slope, the *curvature*, costs no new formula.

# %%
grid = np.linspace(-2.5, 2.5, 501)
v = mc.tensor(grid)
value = pair_loss(v, mc)
first = mc.grad(value.sum(), v, differentiable=True)  # each entry has its own loss: the sum mixes nothing
second = mc.grad(first.sum(), v)

figure, axes = plt.subplots(3, 1, figsize=(7, 5.6), sharex=True, layout="constrained")
steepest = grid[first.data.argmin()]
for ax, curve, name in zip(axes, (value.data, first.data, second), ("loss", "slope", "curvature")):
    ax.plot(grid, curve, color=BLUE, lw=2)
    ax.axvline(steepest, color=ORANGE, ls="--", lw=1)
    ax.set_ylabel(name)
axes[1].text(steepest + 0.08, -0.12, "steepest here", color=ORANGE)
axes[2].axhline(0, color=GREY, lw=0.8)
axes[2].text(steepest + 0.12, -0.25, "curvature 0 here", color=ORANGE)
axes[2].set_xlabel("v")

measured_second = central_slope(lambda x: mc.grad(pair_loss(t := mc.tensor(x), mc).sum(), t), grid)
assert np.abs(second - measured_second).max() < 1e-8 * np.abs(second).max()
change = grid[1:][np.diff(np.sign(second)) != 0]  # where the curvature changes its sign
assert change.size == 1 and abs(change[0] - steepest) < 0.02
show(
    figure,
    "The loss is steepest where its curvature is zero: one rule gave both curves",
    f"Three curves over v from −2.5 to 2.5. The loss falls; its slope is most negative at v = "
    f"{steepest:.2f}; there the curvature changes from negative to positive.",
)

# %% [markdown]
# ### 10 An operation of your own
#
# Notebook 03 needs the loss of a negative pair at distance $d$, $y = \max(0,\ m - d)^2$: it costs nothing beyond a
# margin $m$. Its slope is
#
# $$\frac{\partial y}{\partial d} = -2 \max\left(0,\ m - d\right)$$
#
# Arrays are positional arguments and get a vjp each. What has a default value, such as `margin`, is a parameter. It
# is handed to the vjp by name.

# %%
@mc.primitive
def squared_hinge(xp, d, margin=1.0):
    return xp.maximum(margin - d, 0.0) ** 2


squared_hinge.defvjp(lambda g, y, d, margin: -2.0 * g * mc.maximum(margin - d, 0.0))

distance = np.array([0.2, 0.7, 1.3, 2.5])
d = mc.tensor(distance)
y = squared_hinge(d, margin=2.0)
first = mc.grad(y.sum(), d, differentiable=True)
second = mc.grad(first.sum(), d)
print("value    ", y.data)
print("slope    ", first.data)
print("curvature", second)
assert np.abs(first.data - central_slope(lambda d: squared_hinge(d, margin=2.0), distance)).max() < 1e-9
assert (second == [2, 2, 2, 0]).all()

# %% [markdown]
# The curvature 2 was not declared anywhere. It came from the rule. And a rule that is missing is an error, never a
# silent zero:

# %%
@mc.primitive
def half(xp, x):
    return x / 2


try:
    mc.grad(half(d).sum(), d)
except TypeError as error:
    print(error)

# %% [markdown]
# ### 11 What a walk back costs
#
# Question D. We count the multiplications in all matrix products. The gradients under `differentiable=True` are
# Tensors with a graph, so the same function counts the walk forward and the walk back.

# %%
def multiplications(*outputs):
    """Scalar multiplications in the matrix products of a graph."""
    count, seen, todo = 0, set(), list(outputs)
    while todo:
        t = todo.pop()
        if isinstance(t, mc.Tensor) and t.origin and t.birth not in seen:
            seen.add(t.birth)
            if t.origin.op.__name__ == "matmul":
                count += t.size * t.origin.args[0].shape[-1]
            todo += t.origin.args
    return count


images = rng.normal(size=(64, 16))
parameters, forward, nudging, back = [], [], [], []
for width in (2, 4, 8, 16, 32, 64, 128):
    weights = [mc.tensor(rng.normal(size=shape) / 4) for shape in ((16, width), (width, width), (width, 1))]
    h = images
    for w in weights:
        h = mc.tanh(h @ w)
    loss = (h * h).mean()
    gradients = mc.grad(loss, weights, differentiable=True)
    parameters.append(sum(w.size for w in weights))
    forward.append(multiplications(loss))
    back.append(multiplications(*gradients) - forward[-1])
    nudging.append((parameters[-1] + 1) * forward[-1])
truth["D"] = round(back[-1] / forward[-1], 1)

figure, ax = plt.subplots(figsize=(8.4, 4.4), layout="constrained")
for y, color, marker, text, up in (
    (nudging, ORANGE, "s", "nudge each parameter", 1.6),
    (back, BLUE, "o", "walk back", 1.9),
    (forward, "black", "^", "forward pass", 0.36),
):
    ax.plot(parameters, y, marker + "-", color=color)
    ax.text(parameters[3], y[3] * up, text, color=color, ha="right" if up > 1 else "left")
ax.set(xscale="log", yscale="log", xlabel="parameters", ylabel="multiplications for all slopes")
ax.set_title("a network of three layers, 64 images; counted in the graph")

assert forward == [64 * count for count in parameters]
assert all(b < 2 * f for b, f in zip(back, forward))
show(
    figure,
    "A walk back costs less than two forward passes; nudging costs one for each parameter",
    f"Both axes are logarithmic. At {parameters[-1]:,} parameters: forward {forward[-1]:,} multiplications, "
    f"walk back {back[-1]:,}, nudging {nudging[-1]:,}.",
)

# %% [markdown]
# The factor two has a reason. For $Y = AB$ forward is one product; back are two, one for $\bar A$ and one for
# $\bar B$. (The first layer needs no $\bar A$: the images are constants.)
#
# ### 12 Are all rules right
#
# With a wrong rule a network often still trains, only worse. So every rule is compared with nudges. Three habits make
# the comparison sharp. The cotangent is *random*: ones would hide errors. *Every* entry is nudged. And the lengths of
# the axes are *different primes*, so that no two axes can be exchanged unnoticed. (Notebook 02 shows what each habit
# catches.)

# %%
A, B, ROW = (3, 5), (5, 2), (5,)
OPS = {
    "add": (mc.add, A, ROW), "subtract": (mc.subtract, A, ROW), "multiply": (mc.multiply, A, ROW),
    "divide": (mc.divide, A, ROW), "power": (lambda a, b: mc.abs(a) ** b, A, ROW),
    "maximum": (mc.maximum, A, ROW), "minimum": (mc.minimum, A, ROW),
    "where": (lambda a, b: mc.where(np.eye(3, 5) > 0, a, b), A, ROW),
    "matmul": (mc.matmul, A, B), "einsum": (lambda a, b: mc.einsum("ij,jk->ki", a, b), A, B),
    "concatenate": (lambda a, b: mc.concatenate([a, b], axis=0), A, (2, 5)),
    "exp": (mc.exp, A), "log": (lambda x: mc.log(mc.abs(x)), A), "log1p": (lambda x: mc.log1p(mc.abs(x)), A),
    "sqrt": (lambda x: mc.sqrt(mc.abs(x)), A), "square": (mc.square, A), "abs": (mc.abs, A),
    "sin": (mc.sin, A), "cos": (mc.cos, A), "tanh": (mc.tanh, A), "sigmoid": (mc.sigmoid, A),
    "softplus": (mc.softplus, A), "relu": (mc.relu, A), "gelu": (mc.gelu, A),
    "sum": (lambda x: mc.sum(x, axis=1), A), "mean": (lambda x: mc.mean(x, axis=0), A),
    "max": (lambda x: mc.max(x, axis=1), A), "var": (lambda x: mc.var(x, axis=0), A),
    "cumsum": (lambda x: mc.cumsum(x, axis=1), A), "logsumexp": (lambda x: mc.logsumexp(x, axis=1), A),
    "softmax": (mc.softmax, A), "log_softmax": (mc.log_softmax, A), "normalize": (mc.normalize, A),
    "reshape": (lambda x: x.reshape(5, 3), A), "transpose": (lambda x: x.T, (2, 3, 5)),
    "index": (lambda x: x[np.array([2, 0, 0])], A),
}  # fmt: skip


def worst_error(f, *shapes, scale=1.0):
    """The largest difference between `mc.grad` and the nudges, relative to the largest slope."""
    inputs = [rng.uniform(0.4, 1.6, s) * rng.choice([-1, 1], s) for s in shapes]  # away from the kinks at 0
    tensors = [mc.tensor(x) for x in inputs]
    y = f(*tensors)
    g = rng.normal(size=y.shape)
    worst = 0.0
    for k, found in enumerate(mc.grad(y, tensors, cotangent=g)):
        nudged = measured_jacobian(lambda x, k=k: f(*inputs[:k], x, *inputs[k + 1 :]), inputs[k])
        wanted = (g.ravel() @ nudged).reshape(found.shape)
        worst = max(worst, np.abs(found * scale - wanted).max() / np.abs(wanted).max())
    return worst


errors = {name: worst_error(f, *shapes) for name, (f, *shapes) in OPS.items()}
planted = worst_error(mc.multiply, A, ROW, scale=1.001)
LIMIT = 1e-8

figure, ax = plt.subplots(figsize=(10, 3.9), layout="constrained")
names = sorted(errors, key=errors.get)
ax.plot(names, [errors[name] for name in names], "o", color=BLUE)
ax.plot(["multiply,\nwrong by 0.1 %"], [planted], "X", color=RED, ms=9)
ax.axhline(LIMIT, color=GREY, ls="--")
ax.text(0, LIMIT * 1.7, "limit of the check", color=GREY)
ax.tick_params(axis="x", rotation=90, labelsize=9)
ax.set(yscale="log", ylabel="largest relative error", ylim=(1e-12, 1e-2), xlim=(-0.7, len(names) + 0.7))

assert len(errors) >= 30 and max(errors.values()) < LIMIT < planted
show(
    figure,
    f"{len(errors)} operations agree with their nudges, and a rule that is wrong by 0.1 % is caught",
    f"Largest relative error per operation, all between {min(errors.values()):.0e} and "
    f"{max(errors.values()):.0e}, below the limit {LIMIT:.0e}. A planted error of 0.1 % stands at "
    f"{planted:.0e}, above the limit.",
)

# %% [markdown]
# ### 13 Exercises
#
# Now you write rules. `g` is the cotangent of the result; return the cotangent of each argument, in plain NumPy. Each
# exercise starts with a version that is wrong, so that you see what a report looks like. Change the code, run the
# cell again, and read the report from the top: which test fails first, on which small input, and what was expected
# there. If the mistake is a known one, the report names it. `mc.course.describe("mul_vjp")` prints the whole
# question.
#
# #### Exercise 1 mul_vjp
#
# $Y = A B$, entry by entry, with two arrays of one shape. In section 3 you saw the slopes of a product of two
# numbers: `other` and `self`. This version returns them. What is missing?

# %% tags=["exercise"]
def mul_vjp(g, a, b):
    return b, a


report = mc.course.check("mul_vjp", mul_vjp)
report

# %% [markdown]
# The last line of a report offers hints. Level 1 names the symptom, level 2 the place, level 3 the repair.

# %%
report.hint(1)

# %% [markdown]
# #### Exercise 2 unbroadcast
#
# The function that section 7 borrowed. `g` has the shape of the result, `shape` is that of the input. NumPy
# broadcasts in two ways: it adds axes in front, `(3,)` to `(5, 3)`, and it stretches axes of length one, `(5, 1)` to
# `(5, 3)`. This version undoes one of them. (When yours is right, put it in the place of `sum_to` in section 7.)

# %% tags=["exercise"]
def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    return g


report = mc.course.check("unbroadcast", unbroadcast)
report

# %% [markdown]
# #### Exercise 3 sum_vjp
#
# `y = x.sum(axis, keepdims=keepdims)`. The sum and the copy belong together: copied on the way forward, added on the
# way back; *added on the way forward, copied on the way back*. This version copies. Where does NumPy put the copies,
# if the summed axis is not the first one?

# %% tags=["exercise"]
def sum_vjp(g, x, axis, keepdims):
    return np.ones_like(x) * g


report = mc.course.check("sum_vjp", sum_vjp)
report

# %% [markdown]
# #### Exercise 4 matmul_vjp
#
# $Y = A B$ with the matrix product. `a` has shape `(n, k)`, `b` has shape `(k, m)`, `g` has shape `(n, m)`. Start
# from one entry, $y_{ij} = \sum_l a_{il}\, b_{lj}$, and ask which entries of $Y$ feel a change of $a_{il}$. Or let
# the shapes lead you: which product of $\bar Y$ and $B$ has the shape of $A$?

# %% tags=["exercise"]
def matmul_vjp(g, a, b):
    return g @ b, a @ g


report = mc.course.check("matmul_vjp", matmul_vjp)
report

# %% [markdown]
# #### Exercise 5 getitem_vjp
#
# `y = x[index]` picks rows of `x`; `index` is an array of whole numbers. You saw the Jacobian of `x[[2, 0, 0]]` in
# section 6. What arrives at row 0? (Word vectors in notebook 05 are picked like this: a frequent word many times.)

# %% tags=["exercise"]
def getitem_vjp(g, x, index):
    dx = np.zeros_like(x)
    dx[index] += g
    return dx


report = mc.course.check("getitem_vjp", getitem_vjp)
report

# %% [markdown]
# #### Exercise 6 jacobian_softmax
#
# This time the whole matrix. $y_i = e^{x_i} / \sum_k e^{x_k}$, and entry $(i, j)$ is $\partial y_i / \partial x_j$.
# All entries of $y$ share one denominator. Large numbers such as 1000 must work, too.

# %% tags=["exercise"]
def jacobian_softmax(x):
    e = np.exp(x - x.max())
    y = e / e.sum()
    return np.diag(y * (1 - y))


report = mc.course.check("jacobian_softmax", jacobian_softmax)
report

# %% [markdown]
# The same as a picture, at one point. On the left every entry is measured by nudging. Red frames are yours to mend.

# %%
x = np.array([0.5, -1.0, 0.2, 1.5])
right = measured_jacobian(mc.softmax, x)
yours = np.asarray(jacobian_softmax(x), dtype=float)
if yours.shape != right.shape:
    raise ValueError(f"the Jacobian at 4 numbers has shape (4, 4), yours has shape {yours.shape}")
wrong = np.abs(yours - right) > 1e-8

figure, axes = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
draw_matrix(axes[0], right, "measured", limit=0.3)
draw_matrix(axes[1], yours, "yours (✗ and a red frame: wrong)", wrong=wrong, limit=0.3)
for ax in axes:
    ax.set(xlabel="input entry j", ylabel="output entry i")

count, beside = int(wrong.sum()), int(wrong[np.eye(4) == 0].sum())
assert count == 0 or not report.passed  # picture and report agree
assert np.abs(right.sum(axis=0)).max() < 1e-9  # the outputs add up to 1, so each column adds up to 0
show(
    figure,
    f"{count} of {wrong.size} entries of your Jacobian are wrong" if count else "Your Jacobian is right",
    "Two 4 by 4 matrices. The measured one has positive numbers on the diagonal and negative ones beside it. "
    f"In yours, {count} entries differ from it, {beside} of them beside the diagonal.",
)

# %% [markdown]
# #### Exercise 7 logsumexp_vjp
#
# $y = \log \sum_k e^{x_k}$ over the last axis. It stands in every contrastive loss: our `pair_loss` is
# $\operatorname{logsumexp}(s_p, s_n) - s_p$. For `x` of shape `(..., n)`, `g` has shape `(...)`. The formula of this
# version is right. Which input breaks it?

# %% tags=["exercise"]
def logsumexp_vjp(g, x):
    e = np.exp(x)
    return g[..., None] * e / e.sum(axis=-1, keepdims=True)


report = mc.course.check("logsumexp_vjp", logsumexp_vjp)
report

# %% [markdown]
# #### Exercise 8 normalize_vjp
#
# $y = x / \lVert x \rVert$ for each row. Embeddings are scaled to length 1 before they are compared. The length
# depends on `x`, too: this version takes it for a constant. If `x` moves along its own direction, does `y` move? (A
# row of zeros stays a row of zeros, and its gradient is zero.)

# %% tags=["exercise"]
def normalize_vjp(g, x):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return g / np.where(length > 0, length, np.inf)


report = mc.course.check("normalize_vjp", normalize_vjp)
report

# %% [markdown]
# #### Exercise 9 topological_order
#
# Without births, the order must be found in the graph. `graph` is a dictionary: each node, and the list of the nodes
# that it was computed from. Return the nodes that `output` depends on, so that each stands after all that use it.
# This version is the recursion of section 4 with a memory. Is that enough?

# %% tags=["exercise"]
def topological_order(graph, output):
    order = []

    def visit(node):
        if node not in order:
            order.append(node)
            for parent in graph[node]:
                visit(parent)

    visit(output)
    return order


report = mc.course.check("topological_order", topological_order)
report

# %% [markdown]
# #### Exercise 10 backward
#
# With an order, the walk is a short loop. A training loop walks many times, and `.backward()` **adds** at the inputs
# what each walk brings, so that the gradients of several batches can be summed. Here `grads` holds what each node kept
# from the walk before. The first walk of this version is right. What does a second one find in the nodes between?

# %%
print(mc.course.describe("backward"))


# %% tags=["exercise"]
def backward(parents, slopes, grads):
    new = np.array(grads)
    new[-1] = 1
    for k in reversed(range(len(new))):
        for p, slope in zip(parents[k], slopes[k]):
            new[p] += slope * new[k]
    return new


report = mc.course.check("backward", backward)
report

# %% [markdown]
# How far you are:

# %%
mine = (mul_vjp, unbroadcast, sum_vjp, matmul_vjp, getitem_vjp)
mine += (jacobian_softmax, logsumexp_vjp, normalize_vjp, topological_order, backward)
rows = []
for f in mine:
    found = mc.course.check(f.__name__, f)
    known = found.diagnosis[0].name if found.diagnosis else ""
    rows.append([f"`{f.__name__}`", "passed" if found.passed else "not yet", known])
table(["exercise", "", "recognised mistake"], rows, left=3)

# %% [markdown]
# ## Break
#
# A friend wrote the walk below. It runs, it is quick, and it is right on many programs. **There is one mistake in
# it.** Do not look for it yet. Look at the table first: what do the programs that fail have in common? Then name the
# line.

# %%
def walk_of_a_friend(output):
    """Meant to return the grad of each Value."""
    grads = {output: 1.0}
    waiting = {output}
    heap = [(-output.birth, output)]
    while heap:
        _, y = heapq.heappop(heap)
        for x, slope in y.sources:
            grads[x] = grads[y] * slope
            if x not in waiting:
                waiting.add(x)
                heapq.heappush(heap, (-x.birth, x))
    return grads


programs = {
    "tanh(a)": lambda a, lib: lib.tanh(a),
    "log1p(exp(a))": lambda a, lib: lib.log1p(lib.exp(a)),
    "tanh(a) * 3 + 1": lambda a, lib: lib.tanh(a) * 3 + 1,
    "a + a": lambda a, lib: a + a,
    "a * a": lambda a, lib: a * a,
    "exp(a) - a": lambda a, lib: lib.exp(a) - a,
    "pair_loss(a)": pair_loss,
}
rows = []
for text, f in programs.items():
    a = Value(0.7)
    found = walk_of_a_friend(f(a, scalars))[a]
    wanted = central_slope(lambda x, f=f: f(x, math), 0.7)
    assert abs(walk_by_birth(f(a, scalars))[0][a] - wanted) < 1e-8  # the judge and our own walk agree
    verdict = "✓" if abs(found - wanted) < 1e-8 else "✗"
    rows.append([f"`{text}`", f"{wanted:.4f}", f"{found:.4f}", verdict])
table(["program, at a = 0.7", "measured slope", "the friend's walk", ""], rows)

# %% [markdown]
# <details><summary>Hint 1: the symptom</summary>
#
# `a + a` gives 1 instead of 2. One of two messages is lost.
#
# </details>
# <details><summary>Hint 2: the place</summary>
#
# The programs that pass use each value once. So the mistake is where a value receives its *second* message.
#
# </details>
# <details><summary>Hint 3: the fix</summary>
#
# A value must **add** what arrives. `=` forgets what was there before. What must `grads[x]` be before the first
# message?
#
# </details>
#
# Repair the cell until each row ends in ✓. This mistake is old and common. An engine that has it still trains a plain
# network, in which each array is used once. It fails on a contrastive loss, where each embedding is used many times.

# %% [markdown]
# ## Check yourself
#
# Answer these three questions in your head, or on paper. Below them the answers are computed.
#
# 1. `walk_recursive` first sends to *all* sources, and then goes down. Suppose that a friend puts both into one loop:
#    send to a source, go down into it at once, then send to the next. What does this give for `quadruple(a)`, whose
#    slope is 4: 4, 6 or 8?
# 2. A network maps 10 numbers to 10 numbers, and then to one loss. How many walks back does the full $10 \times 10$
#    Jacobian need? And how many does the gradient of the loss need? Why is training cheap?
# 3. What is the gradient of `x * mc.stop_gradient(x)` at `x = 3`? And its second derivative? Compare with `x * x`.
#
# ### Answer 1

# %%
def walk_in_one_loop(output):
    grads = defaultdict(float)
    grads[output] = 1.0

    def visit(y):
        for x, slope in y.sources:
            grads[x] += grads[y] * slope
            visit(x)

    visit(output)
    return grads


a = Value(3.0)
one_loop = walk_in_one_loop(quadruple(a))[a]
print("in one loop:", one_loop)
assert one_loop == 6

# %% [markdown]
# On its first visit `b` holds 1 and sends 1 to `a`, twice: 2. Then `b` gets its second message and holds 2. On its
# second visit it sends 2, twice: 4 more. Another order, another wrong number. Only an order in which `b` waits for
# both messages gives 4.
#
# ### Answer 2

# %%
walks = []


def network(x):
    x.hook(lambda g: walks.append(1))  # runs once in each walk that reaches x
    return mc.softmax(mc.tanh(x))


point = rng.normal(size=10)
J = mc.jacobian(network, point)
for_jacobian = len(walks)

x = mc.tensor(point)
y = network(x)
gradient = mc.grad((y * mc.log(y) - y).sum(), x)
for_gradient = len(walks) - for_jacobian

g = mc.log(y).data  # the slope of the loss Σ (y log y − y) with respect to y
print("walks for the Jacobian:", for_jacobian, "  for the gradient:", for_gradient)
assert (for_jacobian, for_gradient) == (10, 1) and np.abs(gradient - g @ J).max() < 1e-14

# %% [markdown]
# The Jacobian takes one walk for each output: each walk gives one row. A loss is a single number, so its Jacobian has
# a single row, however many inputs there are. That row is $\bar y^\top J$, and the walk finds it without $J$.
#
# ### Answer 3

# %%
products = {"x * x": lambda x: x * x, "x * mc.stop_gradient(x)": lambda x: x * mc.stop_gradient(x)}
results = {}
for name, f in products.items():
    x = mc.tensor(3.0)
    first = mc.grad(f(x), x, differentiable=True)
    results[name] = first.item(), mc.grad(first, x).item()
assert results == {"x * x": (6, 2), "x * mc.stop_gradient(x)": (3, 0)}
table(["at x = 3", "first derivative", "second"], [[f"`{k}`", a, b] for k, (a, b) in results.items()])

# %% [markdown]
# The stopped factor is the constant 3. So the first derivative is that constant, and the slope of a constant is 0.
#
# ### Your predictions

# %%
assert truth["A"] == 4 and truth["B"] == 2047 and truth["C"] == (3,) and 1.5 < truth["D"] < 2
why = {
    "A": "two uses of a in b, two uses of b in c: 2 · 2",
    "B": "each doubling doubles the number of paths: 1 + 2 + 4 + … + 1024",
    "C": "the gradient has the shape of what it belongs to",
    "D": "two products back for each product forward, except in the first layer",
}
shown = {key: "no guess yet" if value is None else value for key, value in guess.items()}
table(["", "your guess", "computed", "because"], [[k, shown[k], truth[k], why[k]] for k in truth], left=4)

# %% [markdown]
# ## What the article said
#
# The article that this course follows and corrects has 70 claims. It takes gradients for granted: two claims say
# "backpropagate" and "update by gradient descent", and one says something that the gradient contradicts. What these
# words hide is this notebook: the order of the walk, the sum over all uses, broadcasting, and what is held constant.
#
# ### 14 Training by gradients
#
# The deciding check of the first two: train an encoder and a projection head with the contrastive loss of the course
# (notebook 07 derives it), by gradients from `mc.grad` and nothing else. Two step sizes, five seeds each.

# %%
N, STEPS = 8, 60


def train(seed, rate):
    """Losses of gradient descent with a fixed step, and the gradients of its first step."""
    rng = np.random.default_rng(seed)
    samples = 1 + rng.normal(size=(N, 6)) / 2
    views = [samples + rng.normal(size=(N, 6)) / 10 for _ in range(2)]
    encoder, head = mc.tensor(rng.normal(size=(6, 5)) / 3), mc.tensor(rng.normal(size=(5, 4)) / 2)
    losses, first = [], None
    for _ in range(STEPS):
        z1, z2 = (mc.tanh(view @ encoder) @ head for view in views)
        loss = mc.nt_xent(z1, z2, temperature=0.5)
        losses.append(loss.item())
        gradients = mc.grad(loss, [encoder, head])
        first = first or gradients
        for parameter, gradient in zip((encoder, head), gradients):
            parameter.data -= rate * gradient
    return losses, first


def rises(losses):
    return sum(later >= before for before, later in itertools.pairwise(losses))


runs = {rate: [train(seed, rate) for seed in range(5)] for rate in (0.5, 0.005)}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.7), sharey=True, layout="constrained")
for ax, rate, color in zip(axes, runs, (ORANGE, BLUE)):
    for losses, _ in runs[rate]:
        ax.plot(losses, color=color, lw=1.3)
    counts = [rises(losses) for losses, _ in runs[rate]]
    ax.axhline(math.log(2 * N - 1), color=GREY, ls="--")
    often = f"{min(counts)} to {max(counts)}" if max(counts) else "0"
    ax.set_title(f"step {rate} · gradient: {often} of {STEPS - 1} steps raise the loss")
    ax.set_xlabel("steps of gradient descent (five seeds)")
axes[0].set(ylabel="NT-Xent loss (nats)", ylim=(1.1, 2.95))
for ax in axes:
    ax.text(59, math.log(2 * N - 1) + 0.03, "log(2N − 1): all embeddings equal", color=GREY, ha="right")

small, large = runs[0.005], runs[0.5]
assert all(rises(losses) == 0 for losses, _ in small) and all(rises(losses) > 0 for losses, _ in large)
show(
    figure,
    "Small steps against the gradient lower the loss every time; large steps do not",
    f"Five seeds, N = {N} samples with two views. With the large step the loss jumps up and down. With the "
    "small one it falls at every step in all five runs, to between "
    f"{min(losses[-1] for losses, _ in small):.2f} and {max(losses[-1] for losses, _ in small):.2f} nats. A "
    f"dashed line marks log(2N − 1) = {math.log(2 * N - 1):.2f}.",
)

# %% [markdown]
# ### 15 The length of an embedding
#
# The third claim is about the cosine. It does not feel the length of an embedding: $\cos(c\,z_i, z_k) = \cos(z_i, z_k)$.
# But its gradient does. With $u_i = z_i / \lVert z_i \rVert$ and the cosine $s_{ik} = u_i^\top u_k$:
#
# $$\frac{\partial s_{ik}}{\partial z_{i}} = \frac{u_{k} - s_{ik} u_{i}}{\left\Vert z_{i} \right\Vert}$$

# %%
z, k = rng.normal(size=5), rng.normal(size=5)


def cosine(z):
    return (mc.normalize(z) * mc.normalize(k)).sum()


def cosine_gradient(z):
    return mc.grad(cosine(t := mc.tensor(z)), t)


u, w = z / np.linalg.norm(z), k / np.linalg.norm(k)
by_formula = (w - (w @ u) * u) / np.linalg.norm(z)
assert np.abs(cosine_gradient(z) - by_formula).max() < 1e-14  # the formula and the engine agree
print("cosine of z and of 10 z:", float(cosine(z)), float(cosine(10 * z)))
ratio = np.linalg.norm(cosine_gradient(z)) / np.linalg.norm(cosine_gradient(10 * z))
print("length of the gradient at z, divided by that at 10 z:", round(ratio, 12))

updated = all(np.abs(g).max() > 0 for _, gradients in small for g in gradients)
lowered = all(rises(losses) == 0 for losses, _ in small)

training, length = "[training](#14-Training-by-gradients)", "[length](#15-The-length-of-an-embedding)"
verdicts = [  # claim, the article, verdict, what is true, decided by, whether the check holds
    ["S28", "Backpropagate and update the encoder", "TRUE", "the head gets a gradient, too", training, updated],
    ["S38", "Update the encoder by gradient descent", "TRUE", "if the steps are small", training, lowered],
    ["S52", "The cosine does not feel length", "COND", "its gradient does", length, abs(ratio - 10) < 1e-9],
]
assert all(holds for *_, holds in verdicts)
head = ["claim", "the article says", "verdict", "what is true", "decided by"]
table(head, [row[:-1] for row in verdicts], left=5)

# %% [markdown]
# **Next.** You have trusted nudges as the judge. Notebook 02 asks how far a nudge can be trusted, and which mistakes
# even a good checker misses.
