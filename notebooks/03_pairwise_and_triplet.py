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
# # 03 · Pairwise and triplet losses
#
# The first contrastive loss looks at two points: similar ones are pulled together, others are pushed apart until they
# are a margin away. The triplet loss looks at three: the negative must be further from the anchor than the positive.
# This sounds like the same idea, and the article calls one a special case of the other. It is not. This notebook shows
# the difference, and how both hang together with the loss with a temperature.
#
# **When you are through, you can**
#
# - write both losses with their gradients, and say where the gradient is exactly zero;
# - tell an absolute margin from a relative one;
# - say what each loss is worth at collapse, and recognise collapse by that number;
# - mine semi-hard triplets, and say why most triplets are dead;
# - prove which hinge the loss with a temperature becomes as $\tau \to 0$, and find the false step in a published proof.
#
# **You need** notebooks 00 and 02.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from scipy.stats import t as student

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, margin_plane, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS = 5 if FULL else 2
style()
D = mc.derivations.ALL["triplet"]

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** The margin is 1, and a negative is at distance 2 from its anchor. How strongly does the pairwise loss push
#   it?
# - **B.** The whole picture is stretched so that *every* distance grows by 1. Does the triplet loss change? Does the
#   pairwise loss?
# - **C.** A network has learned digits with the triplet loss for 400 steps. Of all triplets in a batch, which share has
#   loss 0 and teaches nothing: 10 %, 50 %, or 95 %?
# - **D.** The loss with a temperature, with one negative, becomes a triplet loss as $\tau \to 0$. With which margin: 0,
#   τ, or 2τ?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %% [markdown]
# ## Derive
#
# ### Two points: the pairwise loss
#
# Hadsell, Chopra and LeCun (2006) compare two points at a distance $d$. A similar pair pays for each bit of distance.
# Any other pair pays only while it is nearer than the margin $m$. (In their paper Y = 0 means *similar*. That has
# confused many people. Here the argument is called `similar`, and True means similar.) Below, $p$ is similar to $a$, the
# $n_k$ are not, and $d$ is a distance.

# %%
display(D["pairwise loss of a similar pair"], D["pairwise loss of another pair"])

# %% [markdown]
# The line below each formula says how it was tested: here, against `mc.losses.contrastive` on more than a hundred
# inputs. The gradients say who moves where. A *step* goes against the gradient.

# %%
display(D["pull of a similar pair"], D["push inside the margin"], D["no push beyond the margin"])

# %% [markdown]
# ### Three points: the triplet loss
#
# The triplet loss (Schroff, Kalenichenko and Philbin 2015) has an anchor $a$, a positive $p$ and a negative $n$. It
# asks for an *order*: the negative must be further than the positive, by the margin.

# %%
display(D["triplet loss"], D["pull of an active triplet"], D["push of an active triplet"])

# %%
display(D["the anchor of an active triplet"], D["an inactive triplet"])

# %% [markdown]
# The force of a triplet is 1 or 0, and nothing between. FaceNet squares the distances. Then the forces grow with the
# distances, and the anchor drops out of its own gradient:

# %%
display(D["triplet loss of squared distances"], D["the anchor, with squared distances"])

# %% [markdown]
# The library's triplet loss is held against witnesses that share no code with it: its closed form in loops, differences,
# and PyTorch where that is installed.

# %%
witnesses = mc.verify.compare("triplet")
assert witnesses.passed
witnesses

# %% [markdown]
# Here is both in one picture. The slopes are not drawn by hand: they come from `mc.grad`.


# %%
def on_a_line(*places):
    """Points on a line, as arrays of shape (1, 1)."""
    return [np.array([[float(x)]]) for x in places]


def pairwise_slope(d, similar, margin=1.0):
    """Loss and slope of a pair at distance d."""
    a, b = on_a_line(0, d)
    value, (slope,) = mc.value_and_grad(lambda b: mc.losses.contrastive(a, b, [similar], margin), b)
    return float(value), slope.item()


def triplet_slope(d_n, d_p, margin=1.0):
    a, p, n = on_a_line(0, -d_p, d_n)
    value, (slope,) = mc.value_and_grad(lambda n: mc.losses.triplet(a, p, n, margin), n)
    return float(value), slope.item()


def curve_with_arrows(ax, f, color, label, where):
    x = np.linspace(0.02, 3.2, 300)
    ax.plot(x, [f(d)[0] for d in x], color=color, label=label)
    for d in where:
        value, slope = f(d)
        if slope:
            ax.annotate(
                "", (d - 0.35 * slope, value), (d, value), arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.6}
            )
        ax.plot(d, value, "o", ms=5, color=color, mfc=color if slope else "white")


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), sharey=True, layout="constrained")
curve_with_arrows(left, lambda d: pairwise_slope(d, True), BLUE, "similar pair", [0.4, 0.8, 1.2, 1.6])
curve_with_arrows(left, lambda d: pairwise_slope(d, False), ORANGE, "other pair", [0.1, 0.4, 0.7, 1.3, 2.0, 2.7])
left.axvspan(1.0, 3.2, color=GREY, alpha=0.08)
left.text(2.25, 0.2, "dead zone of other pairs", ha="center", color=GREY)
left.set(xlabel="distance of the pair", ylabel="loss", ylim=(-0.1, 2.3), title="pairwise, margin 1")
for d_p, color in ((0.3, GREEN), (1.2, RED)):
    places = [x for x in (0.2, 0.7, 1.2, 1.7, 2.6) if abs(x - d_p - 1) > 0.05]
    curve_with_arrows(right, lambda d, d_p=d_p: triplet_slope(d, d_p), color, f"positive at {d_p}", places)
    right.axvline(d_p + 1, color=color, ls=":", lw=1)
right.set(xlabel="distance of the negative", title="triplet, margin 1; dotted: dead from here on")
left.legend(frameon=False, loc="upper left")
right.legend(frameon=False, loc="upper right")
beyond = np.linspace(1.01, 5, 50)
assert all(pairwise_slope(d, False) == (0.0, 0.0) for d in beyond)
assert all(pairwise_slope(d, True)[1] > 0 for d in beyond)
for d_p in (0.3, 1.2):
    assert all(triplet_slope(d, d_p) == (0.0, 0.0) for d in d_p + beyond)
    assert all(abs(triplet_slope(d, d_p)[1] + 1) < 1e-12 for d in np.linspace(0.02, d_p + 0.99, 50))
show(
    figure,
    "The pairwise loss has one dead zone for all; that of the triplet begins where the positive says",
    "Loss against distance; arrows show where a step against the slope leads, and how far. Left, the pairwise loss: similar pairs are pulled in, the "
    "harder the further they are; other pairs are pushed out, weaker towards the margin 1, and beyond it the slope is exactly "
    "0. Right, the triplet loss against the distance of the negative, for a positive at 0.3 and one at 1.2: the slope is −1 "
    "up to 1.3 and 2.2, and exactly 0 beyond.",
)

# %% [markdown]
# ### Absolute and relative
#
# Let every distance grow by the same $c$. The triplet looks at a difference of distances, so it does not notice. The
# pairwise loss does.

# %%
D["a shift of all distances: the triplet"]

# %%
D["a shift of all distances: the pairs"]

# %% [markdown]
# The second line is marked **FALSE**: it is a tempting step that has to fail, and the input on which it fails is
# printed.
#
# So is the triplet loss "a special case of the pairwise loss", perhaps with another margin, or other functions? No. Any
# pairwise loss is a *sum* with one term for each pair. Then it cannot matter which positive stands beside which
# negative: exchange the negatives of two triplets, and the sum stays.

# %%
D["exchanged distances: the pairs"]

# %%
D["the triplet as a case of the pairwise loss"]

# %% [markdown]
# The triplet loss does not stay. So it is no sum over pairs, whatever the functions are. In numbers, with real points:

# %%
anchor, toward_p, toward_n = np.zeros((1, 2)), np.array([[0.6, 0.8]]), np.array([[-1.0, 0.0]])


def both_losses(d_p, d_n, margin=1.0):
    """Triplet loss and pairwise loss (the sum of two pairs), of points at these distances from the anchor."""
    p, n = d_p * toward_p, d_n * toward_n
    pairs = mc.losses.contrastive(anchor, p, [True], margin) + mc.losses.contrastive(anchor, n, [False], margin)
    return float(mc.losses.triplet(anchor, p, n, margin)), float(pairs)


shifts = {c: both_losses(0.5 + c, 0.7 + c) for c in (0.0, 0.2, 1.0)}
of_triplet, of_pairs = np.array(list(shifts.values())).T
assert np.ptp(of_triplet) < 1e-12 and np.ptp(of_pairs) > 0.5
table(
    ["all distances grow by", "triplet loss", "pairwise loss"],
    [[c, f"{values[0]:.3f}", f"{values[1]:.3f}"] for c, values in shifts.items()],
)

# %% [markdown]
# ### What each loss is worth at collapse
#
# **Collapse** means: the network gives the same point to everything. It is the failure that every contrastive loss must
# prevent, and each loss has a value that gives it away.

# %%
display(D["collapse: another pair"], D["collapse: the triplet"], D["collapse: the loss with a temperature"])

# %% [markdown]
# At exact collapse no loss has a gradient: all directions are equal. But it is a balance on a needle's tip. Move the
# points by a hair, and the forces tear them apart.

# %%
rng = np.random.default_rng(0)
labels = np.repeat(np.arange(3), 4)
i, j = np.triu_indices(len(labels), 1)
share_of_others = np.mean(labels[i] != labels[j])
m, tau = 0.8, 0.1


def pairwise_batch(z, labels, margin):
    """The pairwise loss over all pairs of a batch."""
    i, j = np.triu_indices(len(labels), 1)
    return mc.losses.contrastive(z[i], z[j], labels[i] == labels[j], margin)


COLLAPSE = {
    "pairwise, over all pairs": (lambda z: pairwise_batch(z, labels, m), share_of_others * m**2 / 2),
    "triplet": (lambda z: mc.losses.mined_triplet(z, labels, m), m),
    "triplet, squared distances": (lambda z: mc.losses.mined_triplet(z, labels, m, squared=True), m),
    "triplet, batch-hard": (lambda z: mc.losses.mined_triplet(z, labels, m, mining="batch_hard"), m),
    "NT-Xent (12 rows are 6 images)": (lambda z: mc.nt_xent(z, temperature=tau), math.log(11)),
}
point = np.tile(rng.standard_normal((1, 3)), (12, 1))
rows, near_collapse = [], {}
for name, (f, exact) in COLLAPSE.items():
    value, (g,) = mc.value_and_grad(f, point)
    assert abs(float(value) - exact) < 1e-12 and np.abs(g).max() < 1e-12
    _, (g,) = mc.value_and_grad(f, point + 1e-6 * rng.standard_normal(point.shape))
    near_collapse[name] = np.abs(g).max()
    rows.append([name, f"{float(value):.4f}", f"{near_collapse[name]:.0e}"])
strong = ["pairwise, over all pairs", "triplet", "triplet, batch-hard"]
assert min(near_collapse[name] for name in strong) > 1e-3 > near_collapse["triplet, squared distances"]
table(["loss", "value at collapse", "largest gradient, 1e-6 away from it"], rows)

# %% [markdown]
# Distances that are not squared push with full force, however near the points are. Squared ones push with a force that
# shrinks with the distance, so they leave collapse slowly. A training loss that sits still at one of these values is a
# reason to look at the embeddings.
#
# ### From the temperature to the triplet
#
# NT-Xent (notebook 07) has a temperature τ and no margin. It compares cosines, and so it lives on the unit sphere.
# There a difference of scores *is* a difference of squared distances:

# %%
display(D["squared distance on the sphere"], D["scores and squared distances"])

# %% [markdown]
# Take one anchor with a positive and $M$ negatives, and bring the loss into a form with one sum:

# %%
display(D["loss of one anchor"], D["one sum under the logarithm"])

# %% [markdown]
# With **one** negative this is a *soft triplet*: the same difference of squared distances, under a softplus in place of
# a hinge. Where the hinge switches from 0 to 1, the soft one has a sigmoid.

# %%
display(D["one negative: the soft triplet loss"], D["its slope"])

# %% [markdown]
# Now multiply by τ and let τ go to 0. Two inequalities enclose the loss:

# %%
display(D["not less than the hinge"], D["M negatives: at most τ log(M + 1) more"])

# %% [markdown]
# Both ends meet. What is left is the hinge of the **hardest** negative, with **margin 0**. (With one negative the error
# is at most $\tau \log 2$.) The bound is exact: at collapse it is reached. And the 1 in $M + 1$ is the positive.

# %%
display(D["where the bound is reached"], D["a bound without the positive"])

# %% [markdown]
# A margin does not come from the temperature. It has to be put in, by lowering the score of the positive:

# %%
display(D["with a margin, from below"], D["with a margin, from above"])


# %%
def soft(over, temperature):
    """τ log(1 + Σ exp(over/τ)) along the last axis, with the largest exponent taken out."""
    x = over / temperature
    top = np.maximum(x.max(axis=-1), 0)
    return temperature * (top + np.log(np.exp(-top) + np.exp(x - top[..., None]).sum(axis=-1)))


z = rng.standard_normal((5, 3))  # an anchor, its positive, three negatives
u = z / np.linalg.norm(z, axis=1, keepdims=True)
over = u[2:] @ u[0] - u[1] @ u[0]
by_library = mc.losses.info_nce(z[:1], z[1:2], 0.05, negatives=z[2:])
assert abs(soft(over, 0.05) - 0.05 * float(by_library)) < 1e-12

taus = np.array([1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
errors = {}
for count, color in ((1, BLUE), (5, ORANGE), (255, RED)):
    positive = rng.uniform(-1, 1, 3000)
    negatives = rng.uniform(-1, 1, (3000, count))
    positive[:100] = negatives[:100].max(axis=1)  # some at the kink, where the error is large
    over = negatives - positive[:, None]
    gap = np.array([soft(over, tau) - np.maximum(over.max(axis=1), 0) for tau in taus])
    bound = taus * math.log(count + 1)
    assert (gap > -1e-15).all() and (gap.max(axis=1) <= bound + 1e-15).all()
    errors[count] = gap.max(axis=1), bound, color

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), layout="constrained")
x = np.linspace(-1, 1, 401)
for tau, color in ((0.5, GREY), (0.2, ORANGE), (0.05, BLUE)):
    left.plot(x, soft(x[:, None], tau), color=color, label=f"τ = {tau}")
    left.plot(0, tau * math.log(2), "o", ms=5, color=color)
left.plot(x, np.maximum(x, 0), color="black", lw=1.2, label="hinge, margin 0")
left.set(
    xlabel="score of the negative − score of the positive", ylabel="τ · loss", title="one negative; dots at τ log 2"
)
left.legend(frameon=False)
for count, (gap, bound, color) in errors.items():
    right.loglog(taus, bound, color=color, lw=1, label=f"bound τ log(M + 1), M = {count}")
    right.loglog(taus, gap, "o", ms=5, color=color)
right.set(xlabel="temperature τ", ylabel="τ · loss − hinge", title="dots: the largest of 3000 random draws")
right.legend(frameon=False)
assert abs(errors[1][0] / errors[1][1] - 1).max() < 1e-9  # with one negative the bound is reached at the kink
small = errors[5][0][list(taus).index(0.01)]
show(
    figure,
    "As τ falls, the loss becomes the hinge of the hardest negative, with margin 0",
    "Left, τ times the loss with one negative, for τ = 0.5, 0.2 and 0.05, and the hinge; at equal scores each curve is τ log 2 "
    "above it. Right, the largest distance to the hinge in 3000 draws with 1, 5 and 255 negatives, for τ from 1 to 0.001: "
    f"always below τ log(M + 1). With 5 negatives and τ = 0.01 it is {small:.4f}, the bound is {0.01 * math.log(6):.4f}. One seed.",
)

# %% [markdown]
# Many negatives stand under *one* logarithm. The loss is not the sum of one soft triplet for each negative; it is less:

# %%
display(D["at most the sum of the soft triplets"], D["a sum of soft triplets"])

# %% [markdown]
# ### A published expansion, and its false step
#
# The appendix of the SupCon paper (Khosla et al. 2020) goes another way, without a limit. With
# $y = (s_n - s_p)/\tau$ it writes $\log(1 + e^y) \approx e^y \approx 1 + y$, and reads off a triplet loss with margin
# $2\tau$. Each of the two steps is a true expansion *somewhere*:

# %%
display(D["far below zero"], D["near zero"])

# %% [markdown]
# The first holds far to the left, where $e^y$ is small. The second holds near $y = 0$, where $e^y$ is 1. One after the
# other they cannot be used:

# %%
display(D["both at once"], D["a triplet loss with margin 2τ"])

# %% [markdown]
# What is true near 0 has slope ½, and no hinge:

# %%
display(D["near zero, first order"], D["near zero, second order"])

# %%
y = np.linspace(-4, 2, 601)
loss = np.logaddexp(0, y)
taylor = math.log(2) + y / 2 + y**2 / 8
first, second = np.abs(np.exp(y) - loss) / loss, np.abs(1 + y - np.exp(y)) / np.exp(y)  # how wrong each step is
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), layout="constrained")
left.plot(y, loss, color="black", lw=2, label="log(1 + eʸ), the loss")
for curve, color, name in ((np.exp(y), ORANGE, "eʸ"), (1 + y, RED, "1 + y"), (taylor, GREEN, "log 2 + y/2 + y²/8")):
    left.plot(y, curve, color=color, label=name)
left.set(xlabel="y = (score of negative − score of positive) / τ", ylabel="value", ylim=(-3.2, 3.2))
for error, color, name in (
    (first, ORANGE, "first step: log(1 + eʸ) to eʸ"),
    (second, RED, "second step: eʸ to 1 + y"),
    (np.abs(taylor - loss) / loss, GREEN, "log 2 + y/2 + y²/8"),
):
    right.semilogy(y, 100 * np.maximum(error, 1e-9), color=color, label=name)
right.axhline(25, color=GREY, ls=":")
right.text(-3.9, 29, "25 %", color=GREY)
right.set(xlabel="y", ylabel="relative error, %", ylim=(1e-2, 1e5))
left.legend(frameon=False, loc="lower right")
right.legend(frameon=False, loc="upper right")
zero, two = np.argmin(np.abs(y)), np.argmin(np.abs(y + 2))
assert np.maximum(first, second).min() > 0.25
assert first[0] < 0.01 and second[0] > 100 and second[zero] < 1e-12 and first[zero] > 0.4
assert abs(loss[zero] - math.log(2)) < 1e-12 and np.abs((taylor - loss) / loss)[np.abs(y) < 0.5].max() < 1e-3
show(
    figure,
    "Two expansions: wherever you stand, one of the two steps is off by a quarter or more",
    f"Left, the loss log(1 + eʸ) with eʸ, 1 + y and the true expansion log 2 + y/2 + y²/8, for y from −4 to 2. At y = 0 the "
    f"loss is {loss[zero]:.4f} and 1 + y is 1; at y = −2 the loss is {loss[two]:.4f} and 1 + y is −1. Right, the relative error of each "
    f"step: the first is off by {first[0]:.1%} at y = −4 and by {first[zero]:.0%} at 0, the second is right at 0 and off by a factor of "
    f"{second[0]:.0f} at −4. The larger of the two is never below {np.maximum(first, second).min():.0%}.",
)

# %% [markdown]
# (The red line crosses the black one once, near y = −0.54. Two errors cancel there by accident: the slopes differ.)
#
# The picture of a triplet loss is a useful one. The margin 2τ is not: the exact statement is the limit above, with
# margin 0.
#
# ### Which triplets? Mining
#
# A batch of $n$ rows has about $n^3$ triplets, and most of them are soon dead: the negative is far enough already. So
# one looks for those that still teach. Three habits:
#
# - **all**: the mean over all triplets, dead ones included;
# - **semi-hard** (FaceNet): for each anchor and positive the closest negative that is *further* than the positive;
# - **batch-hard** (Hermans, Beyer and Leibe 2017): for each anchor its furthest positive and its closest negative.
#
# Here they are, in a few lines of NumPy, beside the library.


# %%
def chosen(z, labels, mining):
    """The two distances of each triplet that the mining chooses."""
    d = np.sqrt(((z[:, None] - z) ** 2).sum(axis=-1))
    same = labels[:, None] == labels
    positive = same & ~np.eye(len(z), dtype=bool)
    if mining == "batch_hard":
        return np.where(positive, d, -np.inf).max(axis=1), np.where(same, np.inf, d).min(axis=1)
    a, p = np.nonzero(positive)
    d_p, d_n = d[a, p][:, None], d[a]  # for each pair: its distance, and those to all rows
    if mining == "all":
        return np.broadcast_to(d_p, d_n.shape)[~same[a]], d_n[~same[a]]
    d_n = np.where(~same[a] & (d_n > d_p), d_n, np.inf).min(axis=1)
    return d_p[np.isfinite(d_n), 0], d_n[np.isfinite(d_n)]


z, labels = rng.standard_normal((12, 3)), np.repeat(np.arange(4), 3)
rows = []
for mining in ("all", "semi_hard", "batch_hard"):
    d_p, d_n = chosen(z, labels, mining)
    hinges = np.maximum(d_p - d_n + 0.5, 0)
    by_library = float(mc.losses.mined_triplet(z, labels, 0.5, mining=mining))
    assert abs(hinges.mean() - by_library) < 1e-12
    assert mc.gradcheck.check(lambda z, mining=mining: mc.losses.mined_triplet(z, labels, 0.5, mining=mining), z).passed
    rows.append([mining, len(hinges), f"{by_library:.4f}", f"{np.mean(hinges == 0):.0%}"])
table(["mining", "triplets chosen", "loss of 12 random points", "dead among the chosen"], rows)

# %% [markdown]
# Now train. A small network maps digits to eight numbers, three times from the same start, and we count the dead.

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")


def batch_of(labels, per_class, classes, rng):
    """Positions of a batch with the same number of images of each class."""
    return np.concatenate([rng.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in range(classes)])


def trained(loss, seed, steps, images, labels, dim, per_class, look=lambda step, encoder, z, labels, gradients: None):
    """An encoder trained with loss(z, labels) on labelled batches. The seed fixes the start and the batches."""
    encoder = mc.nn.MLP([64, 64, dim], rng=np.random.default_rng(seed))
    optimizer = mc.optim.Adam(encoder.parameters(), lr=3e-3)
    rng = np.random.default_rng([seed, 1])
    for step in range(steps):
        batch = batch_of(labels, per_class, labels.max() + 1, rng)
        z = encoder(images[batch])
        gradients = mc.grad(loss(z, labels[batch]), encoder.parameters())
        look(step, encoder, mc.to_numpy(z), labels[batch], gradients)
        optimizer.step(gradients)
    return encoder


def interval(values):
    """Half the width of the 95 % interval of the mean over seeds (Student's t)."""
    return student.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(values))


STEPS = 400 if FULL else 60
dead, lengths, accuracy = {}, {}, {}
for mining in ("all", "semi_hard", "batch_hard"):
    dead[mining], lengths[mining] = np.zeros((2, SEEDS, STEPS))
    accuracy[mining] = np.zeros(SEEDS)
    for seed in range(SEEDS):

        def count(step, encoder, z, labels, gradients, mining=mining, seed=seed):
            d_p, d_n = chosen(z.astype(float), labels, mining)
            dead[mining][seed, step] = np.mean(d_p - d_n + 1 <= 0)
            lengths[mining][seed, step] = math.sqrt(sum(float((mc.to_numpy(g) ** 2).sum()) for g in gradients))

        loss = lambda z, labels, mining=mining: mc.losses.mined_triplet(z, labels, 1.0, mining=mining)
        encoder = trained(loss, seed, STEPS, train.images, train.labels, 8, 5, count)
        features = [mc.to_numpy(encoder(images)) for images in (train.images, test.images)]
        accuracy[mining][seed] = mc.evaluate.knn(
            features[0], train.labels, features[1], test.labels, metric="euclidean"
        )

# %%
window = 20
end = {mining: 100 * values[:, -window:].mean(axis=1) for mining, values in dead.items()}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), layout="constrained")
for (mining, color), name in zip(
    (("all", RED), ("semi_hard", ORANGE), ("batch_hard", BLUE)), ("all triplets", "semi-hard", "batch-hard")
):
    for ax, values in ((left, 100 * dead[mining]), (right, lengths[mining])):
        smooth = values.reshape(SEEDS, -1, window).mean(axis=2)
        middle, half = smooth.mean(axis=0), interval(smooth)
        x = np.arange(STEPS).reshape(-1, window).mean(axis=1)
        ax.plot(x, middle, color=color, label=name)
        ax.fill_between(x, middle - half, middle + half, color=color, alpha=0.2, lw=0)
left.set(
    xlabel="step",
    ylabel="dead among the chosen, %",
    ylim=(0, 100),
    title=f"{SEEDS} seeds; band: 95 % interval of the mean",
)
right.set(xlabel="step", ylabel="length of the gradient", ylim=(0, None), title=f"means over {window} steps")
left.legend(frameon=False)
assert (end["all"] > end["semi_hard"]).all() and (end["semi_hard"] > end["batch_hard"]).all()
assert end["all"].min() > (90 if FULL else 65)
late = {mining: values[:, -window:].mean() for mining, values in lengths.items()}
assert late["all"] < late["semi_hard"] < late["batch_hard"]
show(
    figure,
    "Soon almost all triplets are dead, and the mean over all of them has little left to say",
    f"Left, the share of dead triplets among the chosen ones over {STEPS} steps on digits, mean of {SEEDS} seeds with 95 % intervals. At "
    "the end: "
    + ", ".join(
        f"{name.replace('_', '-')} {values.mean():.1f} ± {interval(values):.1f} %" for name, values in end.items()
    )
    + ". Right, the length of the gradient: at the end "
    + ", ".join(f"{name.replace('_', '-')} {value:.2f}" for name, value in late.items())
    + ".",
)

# %%
means = [values.mean() for values in accuracy.values()]
assert max(means) - min(means) < 0.05 and min(means) > 0.85
table(
    ["mining", "dead at the end, %", "kNN on the test digits, %"],
    [
        [name, *(f"{v.mean():.1f} ± {interval(v):.1f}" for v in (end[name], 100 * accuracy[name]))]
        for name in ("all", "semi_hard", "batch_hard")
    ],
)

# %% [markdown]
# (± is the 95 % interval of the mean over seeds.) On these easy digits all three learn well, and the accuracies lie
# close together. What dead triplets cost is work: their distances are computed, and teach nothing.
#
# ### A movie: the same start, two losses
#
# Now with two numbers for each image, so that we can look. Five digits, the same network, the same batches, the same
# margin; only the loss differs.

# %%
FEW = 5
five, five_test = ((part.images[part.labels < FEW], part.labels[part.labels < FEW]) for part in (train, test))
FRAMES = (0, 10, 30, 100, 299) if FULL else (0, 10, 20, 30, 59)
LOSSES = {
    "pairwise": lambda z, labels: pairwise_batch(z, labels, 1.0),
    "triplet": lambda z, labels: mc.losses.mined_triplet(z, labels, 1.0),
}


def spread(z, labels):
    """Mean distance within a class, and between classes."""
    d = np.sqrt(((z[:, None] - z) ** 2).sum(axis=-1))
    same = labels[:, None] == labels
    return d[same & ~np.eye(len(z), dtype=bool)].mean(), d[~same].mean()


movies, spreads = {}, {name: np.zeros((SEEDS, 2)) for name in LOSSES}
for name, loss in LOSSES.items():
    for seed in range(SEEDS):
        frames = []

        def keep(step, encoder, z, labels, gradients, frames=frames):
            if step in FRAMES:
                frames.append(mc.to_numpy(encoder(five_test[0])).astype(float))

        trained(loss, seed, FRAMES[-1] + 1, *five, 2, 10, keep)
        spreads[name][seed] = spread(frames[-1], five_test[1])
        if seed == 0:
            movies[name] = frames

# %%
COLORS = ["#1971C2", "#D9480F", "#2B8A3E", "#9C36B5", "#E8A200"]
figure, axes = plt.subplots(2, len(FRAMES), figsize=(11, 4.8), sharex=True, sharey=True, layout="constrained")
for row, (name, frames) in zip(axes, movies.items()):
    reach = max(np.abs(z).max() for z in movies["triplet"]) * 1.05
    for ax, z, step in zip(row, frames, FRAMES):
        for c in range(FEW):
            ax.scatter(*z[five_test[1] == c].T, s=7, color=COLORS[c], label=str(c))
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=f"step {step}")
    row[0].set_ylabel(name)
axes[0, -1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title="digit", markerscale=2)
assert np.array_equal(movies["pairwise"][0], movies["triplet"][0])  # the same start
within = {name: values[:, 0] for name, values in spreads.items()}
assert (within["triplet"] > 2 * within["pairwise"]).all() and (within["pairwise"] < 0.5).all()
assert all((values[:, 1] > values[:, 0]).all() for values in spreads.values())
words = {
    name: f"within a digit {v[:, 0].mean():.2f} ± {interval(v[:, 0]):.2f}, between digits {v[:, 1].mean():.2f} ± {interval(v[:, 1]):.2f}"
    for name, v in spreads.items()
}
show(
    figure,
    "With the same margin the pairwise loss packs each digit; the triplet loss only puts them in order",
    f"Embeddings of test digits 0 to 4 in the plane at steps {', '.join(map(str, FRAMES))}, seed 0; all frames have the same scale. The first "
    "frames are equal. Under the pairwise loss the digits end as small clusters about a margin apart; under the triplet loss the "
    f"picture grows and the clusters stay wide. Mean distances at the end, {SEEDS} seeds, margin 1: pairwise, {words['pairwise']}; "
    f"triplet, {words['triplet']}.",
)

# %% [markdown]
# Under the pairwise loss similar points are pulled until they are *one point*. The triplet loss is content as soon as
# the other digits are further away by the margin: what a class looks like inside is left alone.
#
# ## Play
#
# The same three points under both losses. Drag the negative n (or give it the focus and use the arrow keys), and move
# the margin. Try to answer first:
#
# 1. Where does the negative stop being pushed, left and right?
# 2. Move the *positive* away. Which disc grows?
# 3. Press "Both ½ further" a few times. Which of the two values stays?

# %%
margin_plane()

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("contrastive"))


# %%
def contrastive(x1, x2, similar, margin):
    difference = x1 - x2
    d = np.sqrt((difference**2).sum(axis=1, keepdims=True))
    room = margin - d
    losses = np.where(similar, d[:, 0] ** 2, room[:, 0] ** 2) / 2
    dx1 = np.where(similar[:, None], difference, -room * difference / d) / len(x1)
    return losses.mean(), dx1, -dx1


mc.course.check("contrastive", contrastive)

# %%
print(mc.course.describe("triplet"))


# %%
def triplet(anchor, positive, negative, margin):
    d_p = ((anchor - positive) ** 2).sum(axis=1)
    d_n = ((anchor - negative) ** 2).sum(axis=1)
    hinge = d_p - d_n + margin
    active = (hinge > 0)[:, None] / len(hinge)
    da, dp, dn = 2 * (negative - positive), 2 * (positive - anchor), 2 * (anchor - negative)
    return np.maximum(hinge, 0).mean(), active * da, active * dp, active * dn


mc.course.check("triplet", triplet)

# %%
print(mc.course.describe("semi_hard"))


# %%
def semi_hard(distances, labels):
    n = len(labels)
    indices = np.full((n, n), -1)
    for a in range(n):
        for p in range(n):
            if p != a and labels[p] == labels[a]:
                further = (labels != labels[a]) & (distances[a] > distances[a, p])
                indices[a, p] = np.argmin(np.where(further, distances[a], np.inf))
    return indices


mc.course.check("semi_hard", semi_hard)

# %% [markdown]
# The last one is a proof by numbers: write the soft loss so that it survives any temperature, and look at the gap.

# %%
print(mc.course.describe("triplet_limit"))


# %%
def triplet_limit(positive, negatives, temperature):
    over = negatives - positive[:, None]
    soft = temperature * np.log(1 + np.exp(over / temperature).sum(axis=1))
    return soft, soft - np.maximum(over.max(axis=1), 0)


mc.course.check("triplet_limit", triplet_limit)

# %% [markdown]
# ## Break
#
# Somebody wrote the batch-hard loss with one matrix product, as many libraries do. The value is right. After the first
# training step all weights are NaN. Find the line.


# %%
def batch_hard(z, labels, margin):
    squares = mc.sum(z * z, axis=1)
    d2 = squares[:, None] + squares[None, :] - 2 * z @ z.T
    d = mc.sqrt(mc.relu(d2))  # rounding may leave a small negative number
    same = labels[:, None] == labels
    itself = np.eye(len(labels), dtype=bool)
    furthest = mc.max(mc.where(same & ~itself, d, -np.inf), axis=1)
    closest = mc.min(mc.where(same, np.inf, d), axis=1)
    return mc.mean(mc.relu(furthest - closest + margin))


z = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 2.0], [3.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
labels = np.array([0, 0, 1, 1, 2, 2])
with np.errstate(divide="ignore", invalid="ignore"):
    value, (gradient,) = mc.value_and_grad(lambda z: batch_hard(z, labels, 1.0), z)
right_value, (right,) = mc.value_and_grad(lambda z: mc.losses.mined_triplet(z, labels, 1.0, mining="batch_hard"), z)
print(f"value {float(value):.6f}, the library's {float(right_value):.6f}")
print(f"gradient: {int(np.isnan(gradient).sum())} of {gradient.size} entries are NaN")
assert abs(float(value) - float(right_value)) < 1e-9 and np.isnan(gradient).any() and np.isfinite(right).all()

# %% [markdown]
# <details><summary>The fault</summary>
# <p>The distance of a point to itself is 0, and the slope of a square root is infinite there. The diagonal is masked
# <em>after</em> the root: its gradient is 0, and 0 · ∞ is NaN. A mask after the fact does not undo what was computed.
# Mask <em>before</em> the root: put a harmless number in the place of the zeros.</p>
# </details>


# %%
def batch_hard_mended(z, labels, margin):
    squares = mc.sum(z * z, axis=1)
    d2 = mc.relu(squares[:, None] + squares[None, :] - 2 * z @ z.T)
    zero = mc.to_numpy(d2) == 0
    d = mc.where(zero, 0.0, mc.sqrt(mc.where(zero, 1.0, d2)))
    same = labels[:, None] == labels
    itself = np.eye(len(labels), dtype=bool)
    furthest = mc.max(mc.where(same & ~itself, d, -np.inf), axis=1)
    closest = mc.min(mc.where(same, np.inf, d), axis=1)
    return mc.mean(mc.relu(furthest - closest + margin))


_, (mended,) = mc.value_and_grad(lambda z: batch_hard_mended(z, labels, 1.0), z)
print(f"mended: off by {np.abs(mended - right).max():.0e} from the library")
assert np.abs(mended - right).max() < 1e-12

# %% [markdown]
# ## Check yourself
#
# 1. Margin 1, positive at distance 2, negative at distance 2.4. What is the triplet loss, and what the sum of the two
#    pairwise losses? Which of the points does each loss move?
# 2. A batch-hard triplet loss with margin 0.3 has been at 0.300 for a thousand steps. What has happened?
# 3. NT-Xent with τ = 0.1 and 255 negatives: how far can τ times the loss be from the hinge of the hardest negative?

# %%
values = both_losses(2.0, 2.4)
print(
    f"1. triplet {values[0]:.1f}, it moves all three points; pairwise {values[1]:.1f}, all of it from the positive pair:"
)
print("   the negative is beyond the margin, and rests.")
assert abs(values[0] - 0.6) < 1e-12 and abs(values[1] - 2.0) < 1e-12
stuck = mc.losses.mined_triplet(np.ones((6, 4)), np.repeat([0, 1], 3), 0.3, mining="batch_hard")
print(f"2. collapse: with all points equal the loss is {float(stuck):.3f}")
assert abs(float(stuck) - 0.3) < 1e-12
print(
    f"3. up to τ log 256 = {0.1 * math.log(256):.2f}, more than half of a score: at usual temperatures it is no hinge yet"
)
assert abs(0.1 * math.log(256) - 0.5545) < 1e-4

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. push on a negative at twice the margin",
            guess["A"],
            f"{abs(pairwise_slope(2.0, False)[1]):g}: exactly nothing",
        ],
        ["B. all distances grow by 1", guess["B"], "the triplet loss stays, the pairwise loss changes"],
        ["C. dead triplets at the end", guess["C"], f"{end['all'].mean():.0f} % (after {STEPS} steps)"],
        ["D. margin of the limit", guess["D"], "0"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S8: a positive pair is of the same class, a negative pair of different classes | wrong for the self-supervised method that the article goes on to describe: there a positive pair is two views of one *image*, and other images of the class are negatives. Right for the losses of this notebook, which use labels | the cell below |
# | S9: the loss maximises or minimises the similarity of a pair according to its label | under conditions: so does the pairwise loss; and it pushes only up to the margin. The triplet loss has no label for a pair | figure 1, and the cell below |
# | S65: the triplet loss maximises the relative distance of positive and negative | true, until it is larger than the margin | *an inactive triplet* |
# | S65: it is a special case of the contrastive loss | imprecise: it is no case of the pairwise loss. The loss with a temperature, times τ, becomes the batch-hard hinge with margin 0 as τ → 0; with one negative and τ > 0 it is a soft triplet. A margin must be put in | *From the temperature to the triplet* |
# | SupCon's appendix: a triplet loss with margin 2τ | heuristic: two expansions that hold in different places | *both at once* |

# %%
# S8: in a batch of N images of C classes, without labels, how many of the 2N − 2 negatives of a view have its class?
N, C, batches = 128, 10, 4000 if FULL else 1000
rng = np.random.default_rng(1)
false_negatives = np.empty(batches)
for b in range(batches):
    classes = rng.integers(C, size=N)
    false_negatives[b] = 2 * (np.sum(classes[1:] == classes[0]))  # both views of each other image of the class
expected = (2 * N - 2) / C
error = false_negatives.std(ddof=1) / math.sqrt(batches)
print(
    f"S8: {false_negatives.mean():.1f} ± {error:.1f} of {2 * N - 2} negatives have the anchor's class; expected {expected:.1f}"
)
print(f"    the chance that none has: {(1 - 1 / C) ** (N - 1):.1e}")
assert abs(false_negatives.mean() - expected) < 4 * error and abs(expected - 25.4) < 1e-9

# With labels the loss is SupCon; it is NT-Xent exactly where each image is a class of its own.
z = rng.standard_normal((8, 3))
of_images, of_classes = (float(mc.losses.supcon(z, y, 0.5)) for y in (np.arange(8) % 4, np.arange(8) % 2))
print(
    f"    NT-Xent {float(mc.nt_xent(z, temperature=0.5)):.6f}, SupCon by image {of_images:.6f}, by class {of_classes:.6f}"
)
assert abs(of_images - float(mc.nt_xent(z, temperature=0.5))) < 1e-12 and abs(of_classes - of_images) > 1e-3

# %%
# S9: beyond the margin the gradient is exactly zero, and similar pairs are never left alone.
a, b = rng.standard_normal((2, 200, 3))
distance = np.linalg.norm(a - b, axis=1)
for similar in (True, False):
    _, (g,) = mc.value_and_grad(lambda b, similar=similar: mc.losses.contrastive(a, b, np.full(200, similar), 2.0), b)
    at_rest = ~g.any(axis=1)
    assert np.array_equal(at_rest, np.zeros(200, bool) if similar else distance >= 2.0)
    print(f"S9: similar = {similar}: {at_rest.mean():.0%} of the pairs have no gradient at all")

# %%
# S65, and the whole chain.
report = D.check()
assert report.passed
for name in ("the triplet as a case of the pairwise loss", "a triplet loss with margin 2τ"):
    assert D[name].statement.kind == "FALSE" and D[name].passed  # they fail, as they must
with_margin, hinge = soft(np.array([0.4 - 0.5 + 0.2]), 1e-3), max(0.0, 0.4 - 0.5 + 0.2)
print(f"S65: with a margin of 0.2 put in, τ · loss = {with_margin:.6f} and the hinge is {hinge:.6f}, at τ = 0.001")
assert abs(with_margin - hinge) < 1e-6
print(report.summary())
