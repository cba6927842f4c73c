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
# # 13 · More positives and transfer
#
# So far an anchor had one positive, its partner, and all else was a negative. That is a fiction: among the negatives
# there are images of the anchor's own class. Here an anchor gets **more positives**: more views of its image, or all
# images of its class. Then the trained encoder is put to use, in a **second stage** with few labels. At each step we ask
# what it costs, and whether it is worth it.
#
# **When you are through, you can**
#
# - write a loss with several positives, in two forms, and say which is larger, and why it never reaches zero;
# - compare numbers of views fairly: at the same number of encoded images;
# - work out how many negatives are false, and show that more negatives do not help against it;
# - clear a denominator of false negatives without a label, and say when that fails;
# - tell a linear probe from fine-tuning, and prove that a frozen encoder is frozen.
#
# **You need** notebooks 07 and 09.
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
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, false_negatives, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS = 5 if FULL else 2
S, D = mc.derivations.ALL["supcon"], mc.derivations.ALL["debiased"]
style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** Ten equal classes, a batch of N = 128 images. An anchor has 254 negatives. How many of them are of its own class,
#   on average? And how likely is it that none is?
# - **B.** All views of a class lie in one point, and there are no negatives at all. There are five of them. What is the
#   loss?
# - **C.** You can encode 256 views for each step: two views of 128 images, or eight views of 32 images. Which gives the
#   better features?
# - **D.** One label for each class is known. You may train a linear layer on the frozen encoder, or the encoder too. Which
#   is better?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %% [markdown]
# ## Derive
#
# ### Several positives, two ways to average
#
# View $i$ has the positives $P(i)$: the other views of its image, or of its class. There are $n_i$ of them. The softmax
# over all other views gives each candidate a probability.

# %%
display(S["number of positives"], S["probability of a candidate"])

# %% [markdown]
# One positive has the loss −log p. With several, a mean is needed, and it can stand **outside** the logarithm or
# **inside**.

# %%
display(S["mean outside the logarithm"], S["mean inside the logarithm"])

# %% [markdown]
# Are these the same? No, and the order is always one way:

# %%
display(S["in is out"], S["in is never more than out"])

# %%
rng = np.random.default_rng(0)
pairs, singles = [], []
for _ in range(300):
    z = rng.standard_normal((12, 3))
    several, one = rng.permutation(np.arange(12) % 3), rng.permutation(np.arange(12) % 6)
    for labels, found in ((several, pairs), (one, singles)):
        found.append([mc.losses.supcon(z, labels, 0.3, form) for form in ("in", "out")])
pairs, singles = np.array(pairs), np.array(singles)

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
left.scatter(*pairs.T, s=8, color=BLUE, label="3 positives each")
left.scatter(*singles.T, s=8, color=ORANGE, label="1 positive each")
ends = [pairs.min() - 0.1, pairs.max() + 0.1]
left.plot(ends, ends, color=GREY, lw=1, ls="--")
left.set(
    xlabel="mean inside the logarithm, nats",
    ylabel="mean outside, nats",
    title="300 random batches of 12 views, τ = 0.3",
)
left.legend(frameon=False)
near, far = np.linspace(-1, 1, 81), 0.0  # cosines of two positives with their anchor
inside = 1 / (1 + np.exp((far - near) / 0.3))
right.plot(near, 100 * inside, color=BLUE, label="inside: follows the softmax")
right.axhline(50, color=ORANGE, label="outside: the same for all")
right.set(
    xlabel="cosine of this positive (the other has 0)",
    ylabel="share of the target, %",
    title="how the target is shared by two positives, τ = 0.3",
)
right.legend(frameon=False)
assert (pairs[:, 0] < pairs[:, 1]).all() and np.abs(singles[:, 0] - singles[:, 1]).max() < 1e-12
assert (np.diff(inside) > 0).all() and inside[0] < 0.05
gap = (pairs[:, 1] - pairs[:, 0]).mean()
show(
    figure,
    "Inside is never more than outside, and it gives far positives up",
    f"Left, all {len(pairs)} batches with three positives lie above the diagonal, by {gap:.2f} nats on average; those with one "
    f"positive lie on it. Right, a positive at cosine −1 beside one at 0 gets {100 * inside[0]:.0f} per cent of the target with "
    "the mean inside, and 50 per cent with the mean outside.",
)

# %% [markdown]
# The shares on the right are those of the *target*. The slope is the softmax minus the target, as for a cross-entropy.
# Outside, the target is spread evenly over the positives; inside, it follows the softmax:

# %%
display(S["target"], S["slope of out"], S["share of a positive"], S["slope of in"])

# %% [markdown]
# So the net pull on a positive is its target minus its probability. With the mean outside, a positive that already has
# more than 1/n is even pushed away; with the mean inside never.

# %%
z, classes, tau = rng.standard_normal((12, 3)), np.arange(12) % 3, 0.3
size = np.linalg.norm(z, axis=1, keepdims=True)
u = z / size
e, own = np.exp(u @ u.T / tau), (classes[:, None] == classes) & ~np.eye(12, dtype=bool)
np.fill_diagonal(e, 0)
p = e / e.sum(axis=1, keepdims=True)
targets = {"out": own / own.sum(axis=1, keepdims=True), "in": e * own / (e * own).sum(axis=1, keepdims=True)}
rows = []
for form, target in targets.items():
    slope = (p - target) / (tau * len(z))
    along = (slope + slope.T) @ u  # each view is an anchor, and a candidate of the others
    by_hand = (along - u * (u * along).sum(axis=1, keepdims=True)) / size
    value, (gradient,) = mc.value_and_grad(lambda z, form=form: mc.losses.supcon(z, classes, tau, form), z)
    assert np.abs(gradient - by_hand).max() < 1e-12 * np.abs(by_hand).max()
    rows.append([form, f"{(p > target)[own].sum()} of {own.sum()}"])
assert (p > targets["out"])[own].any() and not (p > targets["in"])[own].any()
table(["mean", "positives that are pushed away, in a random batch"], rows)

# %% [markdown]
# ### Known cases
#
# With **two views** of each image and the image as the label, both forms are NT-Xent. So are they with labels that are all
# different. A class with **one** row has no positive: its own loss is left out of the mean, and nothing divides by zero.

# %%
z1, z2 = rng.standard_normal((2, 6, 4))
z, tau = np.concatenate([z1, z2]), 0.2
nt = float(mc.nt_xent(z1, z2, tau))
rows = []
for form in ("out", "in"):
    views_ = float(mc.losses.multi_positive(np.stack([z1, z2]), tau, form))
    unique = float(mc.losses.supcon(z, np.tile(np.arange(6), 2), tau, form))
    single = float(mc.losses.supcon(z, np.array([0] * 11 + [1]), tau, form))
    assert abs(views_ - nt) < 1e-12 and abs(unique - nt) < 1e-12 and math.isfinite(single)
    rows.append([form, f"{views_ - nt:.0e}", f"{unique - nt:.0e}", f"{single:.4f}"])
report = mc.gradcheck.check(lambda z: mc.losses.supcon(z, np.array([0] * 7 + [1] * 4 + [2]), tau), z, order=2)
assert report.passed and S["one positive: out is NT-Xent"].passed
value, (gradient,) = mc.value_and_grad(lambda z: mc.losses.supcon(z, np.array([0] * 11 + [1]), tau), z)
assert np.isfinite(gradient).all() and np.abs(gradient[-1]).max() > 0  # the single row is pushed as a candidate
table(["form", "2 views − NT-Xent", "unique labels − NT-Xent", "loss with a class of one row"], rows)

# %% [markdown]
# ### A loss that does not reach zero
#
# A perfect class: all its views in one point, and nothing else in the batch. Does it cost nothing?

# %%
display(S["a perfect class costs nothing"], S["what a perfect class costs"], S["the floor"])

# %% [markdown]
# The positives compete for the softmax. There are n of them, and on average they have 1/n at most. So the loss of a run
# with other numbers of positives cannot be compared, as the loss at another temperature cannot.

# %%
sizes = np.arange(1, 17)
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
for tau_, color in [(1.0, ORANGE), (0.3, GREEN), (0.05, BLUE)]:
    best = []
    for positives in sizes:  # four classes at right angles, each in one point
        labels = np.repeat(np.arange(4), positives + 1)
        best.append(float(mc.losses.supcon(np.eye(4)[labels], labels, tau_)))
    best = np.array(best)
    ax.plot(sizes, best, "o-", ms=3, color=color, label=f"four perfect classes, τ = {tau_:g}")
    assert (best > np.log(sizes)).all() and (np.diff(best) > 0).all()
ax.plot(sizes, np.log(sizes), color=GREY, ls="--", label="log n")
ax.set(
    xlabel="positives of each view, n",
    ylabel="loss, nats",
    title="each class in one point, the classes at right angles",
)
ax.legend(frameon=False)
assert np.abs(best - np.log(sizes)).max() < 1e-6
show(
    figure,
    "A perfect embedding has a loss of at least log n, and not of zero",
    f"Loss of four perfect classes against the number of positives. At τ = 0.05 it is log n: {best[0]:.3f} for one "
    f"positive, {best[-1]:.3f} for 16. At higher temperatures it is larger still.",
)

# %% [markdown]
# ### Two things called multi-view
#
# "Use several augmentations to make several views" mixes two ideas. One is the **kinds** of changes (notebook 09). The
# other is the **number** of views V. Both can be had one by one. Here is the second, in two shapes: V views of one size,
# and **multi-crop**: two large windows and several small ones, which have fewer pixels and so cost less.

# %%
clothes = mc.data.fashion_mnist_sample("train").images[[0, 1, 3, 5]]
four = mc.data.multi_views(clothes, mc.data.views.RandomAffine(degrees=15, shift=2, scale=(0.8, 1.2)), 0, n_views=4)
crops = mc.data.multi_views(clothes, mc.data.multi_crop(n_local=4, local_size=12), 0)
figure, axes = plt.subplots(len(clothes), 11, figsize=(10, 4.2), layout="constrained")
for row, images in enumerate(zip(clothes, *four, *crops)):
    for ax, image, name in zip(axes[row], images, ["image", *("view",) * 4, *("global",) * 2, *("local",) * 4]):
        # Small windows are drawn small: 12 pixels of 28.
        side = image.shape[0] / 28
        ax.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1, extent=(0, side, 0, side))
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        if row == 0:
            ax.set_title(name)
pixels = [sum(v.shape[1] * v.shape[2] for v in found) for found in (four, crops)]
assert pixels[1] < pixels[0] and len(crops) > len(four)
show(
    figure,
    "Six windows of two sizes have fewer pixels than four views of one size",
    f"Four images of clothes. Four views of 28 × 28 have {pixels[0]} pixels for each image; two windows of 28 × 28 and four of "
    f"12 × 12 have {pixels[1]}.",
)

# %% [markdown]
# ### Are more views worth it?
#
# A step with more views takes longer. So a comparison needs a currency: here the number of **encoded views**. We train on
# digits with V = 2, 4, 8 in three ways:
#
# - **as many epochs**: V/2 times the work of V = 2;
# - **same work, smaller batch**: VN stays 256, so 256/V images in a step;
# - **same work, fewer steps**: N stays 128, and the run is V/2 times shorter.
#
# All settings in this notebook were chosen on a part of the training images. Intervals are over seeds, which give other
# weights, orders and views; the labels that a probe gets are drawn ten times, and are the same for all.

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")
images, labels = train.images[:1280], train.labels[:1280]  # a multiple of all batch sizes: no image is left out
v = mc.data.views
view = v.Compose(
    [v.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)), v.ColorJitter(0.4, 0.4), v.GaussianNoise(0.1)]
)


def networks(seed):
    rng = np.random.default_rng(seed)
    return mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)


def probe(features, per_class, draws=10 if FULL else 2):
    """Test accuracy in % of a linear probe with so many labels of each class, the mean over draws, the same for all."""
    h, test_h = features
    chosen = [mc.data.few_labels(labels, per_class, np.random.default_rng([per_class, r])) for r in range(draws)]
    found = [mc.evaluate.linear_probe(h[c], labels[c], test_h, test.labels, C=0.1) for c in chosen]
    return 100 * np.mean(found)


def judged(method):
    """Probe with 1 and 5 labels a class, and kNN with all of them."""
    h, test_h = method.encode(images), method.encode(test.images)
    nearest = 100 * mc.evaluate.knn(h, labels, test_h, test.labels, k=5)
    return np.array([probe((h, test_h), 1), probe((h, test_h), 5), nearest])


def interval(values):
    """Half the width of the 95 % interval of the mean over seeds (Student's t)."""
    return student.ppf(0.975, len(values) - 1) * np.std(values, axis=0, ddof=1) / math.sqrt(len(values))


def with_interval(values):
    """Mean and interval of each column, as texts; where the seed plays no part, there is no interval."""
    means, halves = np.mean(values, axis=0), interval(values)
    return [f"{m:.1f} ± {w:.1f}" if w > 1e-9 else f"{m:.1f} ± –" for m, w in zip(means, halves)]


EPOCHS = 8 if FULL else 4
VIEWS = [2, 4, 8] if FULL else [2, 4]
PLANS = {
    "as many epochs": lambda V: (128, EPOCHS),
    "same work, smaller batch": lambda V: (256 // V, EPOCHS * 2 // V),
    "same work, fewer steps": lambda V: (128, EPOCHS * 2 // V),
}
found, work = {}, {}
for name, plan in PLANS.items():
    for V in VIEWS:
        if V == 2 and found:
            found[name, 2], work[name, 2] = found["as many epochs", 2], work["as many epochs", 2]
            continue
        N, epochs = plan(V)
        runs = []
        for seed in range(SEEDS):
            method = mc.train.MultiView(*networks(seed), view, V, 0.5, lr=3e-3, batch_size=N, seed=seed)
            runs.append(judged(method.fit(images, epochs, progress=False)))
        found[name, V], work[name, V] = np.array(runs), epochs * (len(images) // N) * N * V
assert all(work[name, V] == work[name, 2] for name in list(PLANS)[1:] for V in VIEWS)
assert all(work["as many epochs", V] == V // 2 * work["as many epochs", 2] for V in VIEWS)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.5), layout="constrained")
for ax, column, what in zip(axes, (0, 1), ("1 label", "5 labels")):
    for shift, (name, color) in zip((-0.04, 0, 0.04), zip(PLANS, (BLUE, GREEN, RED))):
        mean = np.array([found[name, V][:, column].mean() for V in VIEWS])
        half = np.array([interval(found[name, V][:, column]) for V in VIEWS])
        ax.errorbar(
            np.log2(VIEWS) + shift, mean, half if FULL else None, color=color, marker="o", ms=4, capsize=2, label=name
        )
    ax.set(
        xlabel="views of each image, V",
        ylabel="test accuracy, %",
        title=f"probe with {what} a class, {SEEDS} seeds" + (", 95 % intervals" if FULL else ""),
    )
    ax.set_xticks(np.log2(VIEWS), VIEWS)
axes[0].legend(frameon=False)
most = VIEWS[-1]
gains = {name: found[name, most] - found[name, 2] for name in PLANS}  # seed by seed
table_rows = [
    [f"{name}, V = {V}", f"{work[name, V] / work[name, 2]:.0f} ×", *with_interval(found[name, V])]
    for name in PLANS
    for V in VIEWS
    if V > 2 or name == "as many epochs"
]
if FULL:
    same = gains["same work, smaller batch"]
    assert (np.abs(same.mean(axis=0)) < interval(same))[0] and (same.mean(axis=0)[:2] < 1.5).all()
    assert (gains["same work, fewer steps"].mean(axis=0)[:2] < 0).all()
    assert (gains["as many epochs"] - gains["same work, fewer steps"]).mean(axis=0)[0] > 1
show(
    figure,
    f"For the same work, {'eight' if FULL else 'four'} views are no better than two here",
    f"Test accuracy against the number of views, with one and with five labels a class. The change from V = 2 to V = {most} "
    "with one label: "
    + "; ".join(f"{name} {g[:, 0].mean():+.1f} ± {interval(g[:, 0]):.1f} points" for name, g in gains.items())
    + ".",
)

# %%
table(["training", "work", "1 label a class, %", "5 labels, %", "kNN, %"], table_rows)

# %% [markdown]
# This is a small task, and all runs are short: 80 steps at V = 2, and 20 at V = 8 with fewer steps. Longer runs may
# differ. What the figure shows is the way to ask. A table that has more views win "at the same number of epochs" has let
# them work V/2 times as long.
#
# ### Multi-crop
#
# Small windows are cheap, if the encoder takes them: a convolutional network with global pooling does. An MLP has a weight
# for each pixel, and does not:

# %%
try:
    mc.train.MultiCrop(*networks(0), n_local=2, local_size=5, batch_size=128).fit(images, 1, progress=False)
    raise AssertionError("an MLP took windows of two sizes")
except ValueError as error:
    print(error)

# %% [markdown]
# The same currency, pixels this time: two windows of 8 × 8, four of them, or two and four small ones of 4 × 4. All three
# runs encode the same number of pixels. The work is equal, the number of steps is not: 60, 30 and 40. Raw pixels under
# the same probe stand beside them; no seed plays a part there, so they have no interval.

# %%
CROP_EPOCHS = 6
crop_images = images if FULL else images[:256]


def convolutional(seed):
    rng = np.random.default_rng(seed)
    return mc.nn.ConvNet(channels=(8, 16, 32), strides=(1, 2, 1), rng=rng), mc.nn.ProjectionHead(32, 32, 32, rng=rng)


LAYOUTS = {
    "2 large": {"n_local": 0},
    "4 large": {"n_local": 0, "n_global": 4},
    "2 large + 4 small": {"n_local": 4, "local_size": 4, "local_area": (0.2, 0.5)},
}
cropped, cost, steps = {}, {}, {}
for name, layout in LAYOUTS.items():
    runs = []
    for seed in range(SEEDS):
        method = mc.train.MultiCrop(
            *convolutional(seed),
            **layout,
            view=v.GaussianNoise(0.1),
            temperature=0.2,
            lr=3e-3,
            batch_size=128,
            seed=seed,
        )
        if name == "2 large":
            cropped.setdefault("untrained", []).append(judged(method))
        epochs = CROP_EPOCHS * 128 // method.pixels(images)
        runs.append(judged(method.fit(crop_images, epochs, progress=False)))
    cropped[name], cost[name] = np.array(runs), epochs * method.pixels(images)
    steps[name] = epochs * (len(crop_images) // 128)
assert len(set(cost.values())) == 1  # exactly the same work
cropped["untrained"], cost["untrained"], steps["untrained"] = np.array(cropped["untrained"]), 0, 0
flat = [x.reshape(len(x), -1) for x in (images, test.images)]
pixels_alone = [
    probe(flat, 1),
    probe(flat, 5),
    100 * mc.evaluate.knn(flat[0], labels, flat[1], test.labels, k=5),
]
table(
    ["windows", "pixels encoded for each image", "steps", "1 label a class, %", "5 labels, %", "kNN, %"],
    [["raw pixels", 0, 0, *with_interval([pixels_alone] * 2)]]
    + [[name, cost[name], steps[name], *with_interval(values)] for name, values in cropped.items()],
)

# %%
names = ["untrained", *LAYOUTS]
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained", sharex=True)
for ax, column, what in zip(axes, (0, 1), ("1 label", "5 labels")):
    values = [cropped[name][:, column] for name in names]
    ax.bar(names, [x.mean() for x in values], color=[GREY, BLUE, BLUE, GREEN], width=0.6)
    ax.errorbar(
        names,
        [x.mean() for x in values],
        [interval(x) for x in values] if FULL else None,
        fmt="none",
        color="black",
        capsize=2,
        lw=1,
    )
    ax.set(
        ylabel="test accuracy, %",
        title=f"probe with {what} a class, {SEEDS} seeds" + (", 95 % intervals" if FULL else ""),
    )
    ax.tick_params(axis="x", labelsize=8.5)
    ax.axhline(pixels_alone[column], color=RED, ls="--", label="raw pixels")
    ax.set_ylim(0, 92)
axes[0].legend(frameon=False, loc="upper right")
learned = {name: cropped[name] - cropped["untrained"] for name in LAYOUTS}
if FULL:
    assert all(gain[:, 1].mean() > interval(gain[:, 1]) for gain in learned.values())
    paid = cropped["2 large + 4 small"] - cropped["2 large"]
    assert (paid.mean(axis=0)[:2] + interval(paid)[:2] < 0).all()
    assert all(cropped[name][:, 1].mean() < pixels_alone[1] for name in LAYOUTS)
show(
    figure,
    "Every layout learns, none beats raw pixels with 5 labels, and the small windows lose",
    "Probe with one label a class: "
    + ", ".join(f"{name} {cropped[name][:, 0].mean():.1f} ± {interval(cropped[name][:, 0]):.1f}" for name in names)
    + f", raw pixels {pixels_alone[0]:.1f} per cent. With five labels: "
    + ", ".join(f"{name} {cropped[name][:, 1].mean():.1f} ± {interval(cropped[name][:, 1]):.1f}" for name in names)
    + f", raw pixels {pixels_alone[1]:.1f}. In each training {cost['2 large']} pixels are encoded for each image.",
)

# %% [markdown]
# ### Negatives that are none
#
# "A negative pair is two samples of different classes." Without labels nobody knows the classes. The negatives are simply
# the other images of the batch, so some of them are of the anchor's class. How many? Draw the classes of the other images
# one by one, where class c has the share $q_c$:

# %%
display(D["expected number of false negatives"], D["no false negative at all"])

# %%
C_, N_ = 10, 128
expected, none = 2 * (N_ - 1) / C_, (1 - 1 / C_) ** (N_ - 1)
print(f"{C_} classes, N = {N_}: {expected:.1f} of {2 * N_ - 2} negatives are false on average; P(none) = {none:.1e}")
assert abs(expected - 25.4) < 1e-9 and 1.4e-6 < none < 1.6e-6

# Counted on the digits, in batches drawn at random.
sizes = np.array([8, 16, 32, 64, 128, 256])
rng = np.random.default_rng(0)
shares, somes = [], []
for size in sizes:
    batches = [rng.choice(train.labels, size, replace=False) for _ in range(400)]
    shares.append([np.mean(b[1:] == b[0]) for b in batches])
    somes.append(np.mean([(b[1:] == b[0]).any() for b in batches]))
shares, somes = np.array(shares), np.array(somes)

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
grid = np.geomspace(2, 1024, 200)
for classes, color in [(2, RED), (10, ORANGE), (100, GREEN), (1000, BLUE)]:
    left.plot(grid, 100 * (1 - (1 - 1 / classes) ** (grid - 1)), color=color, label=f"{classes} classes")
    right.axhline(100 / classes, color=color)
left.plot(sizes, 100 * somes, "o", color="black", ms=4, label="digits, counted")
left.set(xscale="log", xlabel="images in the batch, N", ylabel="probability, %", title="at least one false negative")
error = 196 * shares.std(axis=1) / math.sqrt(shares.shape[1])
right.errorbar(sizes, 100 * shares.mean(axis=1), error, fmt="o", color="black", ms=4, capsize=2)
right.set(
    xscale="log",
    yscale="log",
    xlabel="images in the batch, N",
    ylabel="share, %",
    title="share of the negatives that are false (bars: 95 %)",
    ylim=(0.05, 100),
)
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
assert (np.abs(100 * shares.mean(axis=1) - 10) < 2 * error + 0.3).all()
p = 1 - (1 - 0.1) ** (sizes - 1)
assert (np.abs(somes - p) < 4 * np.sqrt(p * (1 - p) / 400) + 0.01).all()
show(
    figure,
    "Larger batches make false negatives certain, and not rarer",
    f"Left, the probability of at least one false negative rises to 1: for 10 classes it is {100 * p[0]:.0f} per cent at N = 8 "
    f"and {100 * p[2]:.0f} at 32. Right, the share is 1/C at every N, for equal classes; else it is Σq², which is more. Counted on the digits it lies between "
    f"{100 * shares.mean(axis=1).min():.1f} and {100 * shares.mean(axis=1).max():.1f} per cent.",
)

# %% [markdown]
# ### More negatives do not cure it
#
# The denominator of the loss holds a mean of $e^{s/\tau}$ over the negatives. A part η of the data is of the own class, so
# the mean is a mixture. The one that we want is $m^-$, over the other classes alone.

# %%
display(D["density of the data"], D["the wanted mean"], D["its bias"], D["its variance"])

# %% [markdown]
# The variance has M in it, the bias has not. So the tempting hope fails:

# %%
D["more negatives cure false negatives"]

# %% [markdown]
# ### Clearing the mean
#
# Solve the mixture for $m^-$, put the mean over the negatives for the mean over all data, and the partner for a draw from
# the own class (Chuang et al. 2020). No label is needed, only a guess of η.

# %%
display(
    D["estimate of the wanted mean"], D["it is unbiased"], D["any partner will do"], D["the bound makes it too large"]
)

# %%
# Two groups on the circle: cosines with the anchor are high in the own class, low elsewhere.
eta, tau = 0.2, 0.5
draw_same = lambda shape, rng: np.cos(rng.normal(0, 0.6, shape))
draw_other = lambda shape, rng: np.cos(rng.normal(np.pi / 2, 0.8, shape))
rng = np.random.default_rng(1)
wanted = np.exp(draw_other(1_000_000, rng) / tau).mean()
M = 2 ** np.arange(1, 13)
errors = {
    "mean over all negatives": [],
    "cleared, η known": [],
    "cleared, η twice too large": [],
    "oracle: own class left out": [],
}
for m in M:
    shape = (2000 if m < 500 else 400, m)
    own = rng.random(shape) < eta
    e = np.exp(np.where(own, draw_same(shape, rng), draw_other(shape, rng)) / tau)
    partner = np.exp(draw_same(shape[0], rng) / tau)
    cleared = [np.maximum((e.mean(axis=1) - x * partner) / (1 - x), math.exp(-1 / tau)) for x in (eta, 2 * eta)]
    kept = np.where(own, 0, e).sum(axis=1) / np.maximum((~own).sum(axis=1), 1)
    kept = np.where((~own).any(axis=1), kept, wanted)
    for name, g in zip(errors, (e.mean(axis=1), *cleared, kept)):
        errors[name].append([abs(g.mean() - wanted) / wanted, math.sqrt(np.mean((g - wanted) ** 2)) / wanted])
errors = {name: 100 * np.array(values) for name, values in errors.items()}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.5), layout="constrained", sharey=True)
for ax, column, title in zip(axes, (0, 1), ("bias (below about 3 %: chance)", "root mean square error")):
    for (name, values), color in zip(errors.items(), (RED, BLUE, ORANGE, GREY)):
        ax.loglog(M, values[:, column], "o-", ms=3, color=color, label=name)
    ax.set(xlabel="negatives, M", ylabel="error of the mean, %" if column == 0 else "", title=title, ylim=(0.01, 300))
axes[1].legend(frameon=False, fontsize=8.5, loc="lower left")
bias = errors["mean over all negatives"][:, 0]
assert bias.min() > 0.9 * np.median(bias) and bias.max() < 1.1 * np.median(bias)  # it does not fall
assert errors["cleared, η known"][-1, 0] < 0.1 * bias[-1]
assert errors["oracle: own class left out"][-1, 1] < 0.1 * errors["oracle: own class left out"][0, 1]
one_partner = errors["cleared, η known"][-1, 1]
show(
    figure,
    "More negatives take the noise away and leave the bias; clearing with the right η takes away the bias",
    f"Error of the mean against the number of negatives, η = {eta}, τ = {tau}. The bias of the mean over all negatives stays at "
    f"{np.median(bias):.0f} per cent. Cleared with the right η the bias is {errors['cleared, η known'][-1, 0]:.1f} per cent at "
    f"M = {M[-1]}, but the root mean square error stays at {one_partner:.0f}, since one partner stands for the whole class. With "
    f"η twice too large the bias is {errors['cleared, η twice too large'][-1, 0]:.0f} per cent.",
)

# %% [markdown]
# ### What false negatives cost
#
# Now in training. Five runs on the digits, alike in all but the loss:
#
# - **NT-Xent**: all other images are negatives;
# - **debiased**: the same with the cleared mean, η = 0.1;
# - **own class left out**: an oracle looks at the labels, and takes false negatives out of the denominator;
# - **as many left out at random**: its control, the same code with shuffled labels;
# - **SupCon**: looks at the labels too, and makes them positives.


# %%
class Debiased(mc.train.SimCLR):
    def loss(self, batch):
        v1, v2 = mc.data.two_views(batch.images, self.view, self.view_rng)
        z1, z2 = mc.split(self(np.concatenate([v1, v2])), 2)
        return mc.losses.debiased(z1, z2, self.temperature, class_prior=0.1), (z1, z2)


def without_false_negatives(z, labels, temperature):
    """NT-Xent, in which an anchor does not see the other images of its class."""
    n = len(labels)
    rows, both = np.arange(2 * n), np.concatenate([labels, labels])
    partner = (rows + n) % (2 * n)
    hidden = (both[:, None] == both) & (rows != partner[:, None])  # the own class, itself included, but its partner
    u = mc.normalize(z)
    scores = mc.where(hidden, -np.inf, u @ u.T / temperature)
    return mc.mean(mc.logsumexp(scores, axis=1) - scores[rows, partner])


class Oracle(mc.train.SimCLR):
    def loss(self, batch):
        v1, v2 = mc.data.two_views(batch.images, self.view, self.view_rng)
        z = self(np.concatenate([v1, v2]))
        return without_false_negatives(z, batch.labels, self.temperature), tuple(mc.split(z, 2))


z = np.random.default_rng(0).standard_normal((12, 4))
assert abs(without_false_negatives(z, np.arange(6), 0.3) - mc.nt_xent(z, temperature=0.3)) < 1e-12
assert without_false_negatives(z, np.arange(6) % 3, 0.3) < mc.nt_xent(z, temperature=0.3)

RANDOM = "as many left out at random"
METHODS = {
    "NT-Xent": mc.train.SimCLR,
    "debiased": Debiased,
    RANDOM: Oracle,
    "own class left out": Oracle,
    "SupCon": mc.train.SupCon,
}
FALSE_EPOCHS = 15 if FULL else 5
methods = {name: [] for name in METHODS}
scores = {"raw pixels": [], "untrained": [], **{name: [] for name in METHODS}}
for seed in range(SEEDS):
    scores["raw pixels"].append(pixels_alone)
    shuffled = np.random.default_rng(99 + seed).permutation(labels)
    for name, kind in METHODS.items():
        method = kind(*networks(seed), view, temperature=0.5, lr=3e-3, batch_size=128, seed=seed)
        if name == "NT-Xent":
            scores["untrained"].append(judged(method))
        told = shuffled if name == RANDOM else labels
        methods[name].append(method.fit(images, FALSE_EPOCHS, labels=told, progress=False))
        scores[name].append(judged(method))
scores = {name: np.array(values) for name, values in scores.items()}
table(
    ["trained with", "labels seen in training", "1 label a class, %", "5 labels, %", "kNN, %"],
    [
        [name, "all" if name in ("own class left out", "SupCon") else "none", *with_interval(x)]
        for name, x in scores.items()
    ],
    left=2,
)

# %%
figure, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
change = {name: scores[name][:, 0] - scores["NT-Xent"][:, 0] for name in scores if name != "NT-Xent"}
order = ["raw pixels", "untrained", "debiased", RANDOM, "own class left out", "SupCon"]
ax.axvline(0, color=GREY, lw=1)
for k, name in enumerate(order):
    color = {"own class left out": GREEN, "SupCon": BLUE, "debiased": ORANGE}.get(name, GREY)
    ax.plot(change[name], [k] * SEEDS, "o", color=color, alpha=0.5, ms=5)
    ax.errorbar(
        change[name].mean(), k, xerr=interval(change[name]) if FULL else None, fmt="|", ms=14, color=color, capsize=3
    )
ax.set_yticks(range(len(order)), order)
ax.set(
    xlabel="change of the accuracy against NT-Xent, points (probe with 1 label a class, same seed)",
    title=f"{SEEDS} seeds (dots), mean" + (" and 95 % interval" if FULL else ""),
)
ax.invert_yaxis()
if FULL:
    assert (change["own class left out"] > 0).all() and (change["SupCon"] > 0).all()
    assert abs(change["debiased"].mean()) < 0.5 * change["own class left out"].mean()
    assert abs((change["debiased"] - change[RANDOM]).mean()) < 0.25 * change["own class left out"].mean()
    assert (change["own class left out"] > change[RANDOM]).all()
    assert scores["raw pixels"][0, 2] > scores["NT-Xent"][:, 2].mean()
show(
    figure,
    "False negatives cost accuracy; the debiased loss wins about as little as dropping at random",
    "Change of the accuracy with one label a class against NT-Xent: "
    + ", ".join(f"{name} {change[name].mean():+.1f} ± {interval(change[name]):.1f}" for name in order)
    + " points.",
)

# %% [markdown]
# The oracle and SupCon have seen **all labels**. The oracle's gain is about what false negatives cost: its control, which
# drops as many at random, wins little. SupCon's holds more: it has new positives. Neither is a method for unlabelled data.
# And the little that the debiased loss wins is about what the control wins. Look at the last column of the table too: for
# kNN with all labels, raw pixels are ahead of NT-Xent, by less than its interval.
#
# Why does clearing help so little? The cleared mean is unbiased only if the partner is a draw from the class. Is it? We
# measure on the test images, with the networks that NT-Xent has trained:


# %%
def measured(method, tau=0.5):
    """Of the exponentials of partner, own class, others: means over anchors; and two estimates of that of the others."""
    first, second = mc.data.two_views(test.images, view, np.random.default_rng(0))
    e = np.exp(mc.normalize(method.embed(first)) @ mc.normalize(method.embed(second)).T / tau)
    itself, same = np.eye(len(e), dtype=bool), test.labels[:, None] == test.labels
    mean = lambda chosen: (e * chosen).sum(axis=1) / chosen.sum(axis=1)
    eta = (same & ~itself).sum(axis=1) / (len(e) - 1)  # exactly
    partner, own, others, everything = np.diag(e), mean(same & ~itself), mean(~same), mean(~itself)
    cleared = np.maximum((everything - eta * partner) / (1 - eta), math.exp(-1 / tau))
    assert np.abs((everything - eta * own) / (1 - eta) - others).max() < 1e-4 * others.max()  # with a fair draw: exact
    return [x.mean() for x in (partner / own, everything / others, cleared / others)]


ratios = np.array([measured(m) for m in methods["NT-Xent"]])
assert (ratios[:, 0] > 1.5).all() and (ratios[:, 1] > 1).all() and (ratios[:, 2] < 1).all()
table(
    ["on the test images, mean over anchors", f"{SEEDS} seeds"],
    [
        [
            "exponential of the partner, own class = 1",
            f"{ratios[:, 0].mean():.2f} ± {interval(ratios[:, 0]):.2f}",
        ],
        [
            "mean over all negatives, true negatives = 1",
            f"{ratios[:, 1].mean():.3f} ± {interval(ratios[:, 1]):.3f}",
        ],
        ["the same, cleared with the partner", f"{ratios[:, 2].mean():.3f} ± {interval(ratios[:, 2]):.3f}"],
    ],
)

# %% [markdown]
# The partner is an altered copy of the same image, and much nearer than the class. So clearing takes off too much. And it
# changes how hard all negatives are pushed, not *which* of them: the shares among the negatives stay the same.
#
# ### Which classes are confused?
#
# For each test image we look at its ten nearest neighbours among the training images, and count their classes.


# %%
def confusion(method, k=10):
    h, test_h = (mc.normalize(method.encode(x)) for x in (images, test.images))
    nearest = np.argsort(-(test_h @ h.T), axis=1)[:, :k]
    counts = np.zeros((10, 10))
    np.add.at(counts, (np.repeat(test.labels, k), labels[nearest].ravel()), 1)
    return 100 * counts / counts.sum(axis=1, keepdims=True)


def own_rank(encode):
    """The mean place of the second view of the same image among all views of the test images (2N − 1 candidates)."""
    v1, v2 = mc.data.two_views(test.images, view, np.random.default_rng(0))
    return mc.evaluate.positive_rank(encode(v1), encode(v2))[0]


matrices = {name: np.array([confusion(m) for m in methods[name]]) for name in ("NT-Xent", "SupCon")}
ranks = {name: np.array([own_rank(m.encode) for m in methods[name]]) for name in matrices}
ranks["untrained"] = np.array(
    [own_rank(mc.train.SimCLR(networks(seed)[0], None, view).encode) for seed in range(SEEDS)]
)
ranks["raw pixels"] = np.array([own_rank(lambda x: x.reshape(len(x), -1))] * SEEDS)
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained")
off = ~np.eye(10, dtype=bool)
means = {name: x.mean(axis=0) for name, x in matrices.items()}
for ax, (name, mean) in zip(axes, means.items()):
    picture = ax.imshow(np.where(off, mean, np.nan), cmap="Oranges", vmin=0, vmax=12)
    ax.set(xlabel="class of the neighbour", ylabel="class of the image", xticks=range(10), yticks=range(10))
    ax.set_title(f"{name}: {mean[off].sum() / 10:.1f} % of another class")
figure.colorbar(picture, ax=axes[1], label="% of the neighbours")
difference = means["SupCon"] - means["NT-Xent"]
picture = axes[2].imshow(np.where(off, difference, np.nan), cmap="PuOr_r", vmin=-4, vmax=4)
axes[2].set(xlabel="class of the neighbour", ylabel="class of the image", xticks=range(10), yticks=range(10))
axes[2].set_title("SupCon − NT-Xent")
figure.colorbar(picture, ax=axes[2], label="points")
wrong = {name: x[:, off].sum(axis=1) / 10 for name, x in matrices.items()}
worst = sorted(zip(-means["NT-Xent"][off], *np.nonzero(off)))[:3]
assert (wrong["SupCon"] < wrong["NT-Xent"]).all()
assert not FULL or all(difference[a, b] < 0 for _, a, b in worst)
assert (ranks["SupCon"] > ranks["NT-Xent"]).all()
assert not FULL or (ranks["SupCon"] < 0.5 * np.minimum(ranks["raw pixels"], ranks["untrained"])).all()
show(
    figure,
    "With labels, neighbours of another class get rarer, where NT-Xent confuses most",
    f"Share of the ten nearest neighbours that are of another class, mean over {SEEDS} seeds: "
    f"{wrong['NT-Xent'].mean():.1f} ± {interval(wrong['NT-Xent']):.1f} per cent with NT-Xent, "
    f"{wrong['SupCon'].mean():.1f} ± {interval(wrong['SupCon']):.1f} with SupCon. NT-Xent confuses most: "
    + ", ".join(
        f"{a} with {b} ({means['NT-Xent'][a, b]:.1f} → {means['SupCon'][a, b]:.1f} per cent)" for _, a, b in worst
    )
    + ".",
)

# %% [markdown]
# And which image is it? SupCon is told that all images of a class are one thing, and tells them apart a little less well.
# Still it does so far better than raw pixels or an untrained network:

# %%
table(
    ["trained with", "mean place of the second view of the same test image", "chance"],
    [[name, *with_interval(x[:, None]), len(test.images)] for name, x in ranks.items()],
)

# %% [markdown]
# ### The second stage
#
# By custom the head is thrown away, and the encoder's output $h$ serves the task (notebook 09). There are two ways, and
# they are not the same. A **linear probe** trains a linear layer and leaves the encoder as it is. **Fine-tuning** trains both, the
# encoder more slowly. "Frozen" can be proved: not one bit of the encoder changes.

# %%
encoder = methods["NT-Xent"][0].encoder
before = {name: a.tobytes() for name, a in encoder.state_dict().items()}
frozen = mc.train.FineTune(encoder, width=128, classes=10, encoder_lr=0.0, lr=1e-2, view=view)
frozen.fit(images, 3, labels=labels, progress=False)
mc.evaluate.linear_probe(
    methods["NT-Xent"][0].encode(images), labels, methods["NT-Xent"][0].encode(test.images), test.labels
)
assert before == {name: a.tobytes() for name, a in encoder.state_dict().items()}
print(
    f"probe trained to {100 * frozen.score(test.images, test.labels):.1f} %, {len(before)} arrays of the encoder equal bit for bit"
)

tuned = mc.train.FineTune(
    mc.nn.MLP([64, 256, 128], rng=0), width=128, classes=10, encoder_lr=0.3, decay=1 / 2.6, lr=3e-3
)
table(["layer", "learning rate"], [[name, f"{rate:.5f}"] for name, rate in tuned.rates().items()])

# %%
# `two_stage` does both, and a run from nothing, for a share of the labels.
FRACTIONS = [0.01, 0.03, 0.1, 0.3, 1.0] if FULL else [0.01, 0.1]
STEPS = 300 if FULL else 60
WAYS = ["probe", "finetune", "scratch", "raw pixels", "untrained"]
stages = {way: np.zeros((SEEDS, len(FRACTIONS))) for way in WAYS}
counts = []
for column, fraction in enumerate(FRACTIONS):
    for seed in range(SEEDS):
        trained, fresh = methods["NT-Xent"][seed].encoder, networks(100 + seed)[0]
        known = np.arange(len(labels)) if fraction == 1 else mc.data.stratified_split(labels, fraction, seed)[1]
        epochs = math.ceil(STEPS / (len(known) // min(64, len(known))))
        found_ = mc.train.two_stage(
            trained,
            images,
            labels,
            test.images,
            test.labels,
            fraction,
            fresh,
            epochs,
            seed,
            encoder_lr=0.3,
            lr=3e-3,
            view=view,
        )
        untrained = mc.train.SimCLR(fresh, None, view)
        for way in ("probe", "finetune", "scratch"):
            stages[way][seed, column] = 100 * found_[way]
        for way, f in (("raw pixels", lambda x: x.reshape(len(x), -1)), ("untrained", untrained.encode)):
            stages[way][seed, column] = 100 * mc.evaluate.linear_probe(
                f(images)[known], labels[known], f(test.images), test.labels
            )
        assert found_["labels"] == len(known)
    counts.append(len(known))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.7), layout="constrained")
looks = {
    "probe": (BLUE, "linear probe"),
    "finetune": (GREEN, "fine-tuned"),
    "scratch": (RED, "same network from nothing"),
    "raw pixels": (GREY, "linear, raw pixels"),
    "untrained": (ORANGE, "probe, untrained"),
}
for way, (color, name) in looks.items():
    x = stages[way]
    left.errorbar(
        counts, x.mean(axis=0), interval(x) if FULL else None, color=color, marker="o", ms=4, capsize=2, label=name
    )
    if way in ("finetune", "scratch"):
        gain = stages[way] - stages["probe"]
        right.errorbar(
            np.array(counts) * (0.96 if way == "finetune" else 1.04),  # side by side
            gain.mean(axis=0),
            interval(gain) if FULL else None,
            color=color,
            marker="o",
            ms=4,
            capsize=2,
            label=f"{name} − probe",
        )
left.set(
    xscale="log",
    xlabel="known labels",
    ylabel="test accuracy, %",
    title=f"{SEEDS} seeds" + (", 95 % intervals" if FULL else ""),
)
left.legend(frameon=False, fontsize=9)
right.axhline(0, color=GREY, lw=1)
right.set(xscale="log", xlabel="known labels", ylabel="difference, points", title="against the probe, seed by seed")
right.legend(frameon=False, fontsize=9)
for ax in (left, right):
    ax.set_xticks(counts, counts)
    ax.minorticks_off()
few, late = stages["probe"][:, 0] - stages["scratch"][:, 0], (stages["scratch"] - stages["probe"])[:, 1:]
assert few.mean() > 0
if FULL:
    assert few.mean() > interval(few) and (np.abs(late.mean(axis=0)) < interval(late)).all()
    assert (stages["finetune"][:, 0] - stages["scratch"][:, 0]).mean() > 0
show(
    figure,
    "With one label a class the first stage helps; from four on this figure shows no gain",
    f"Test accuracy against the number of known labels. With {counts[0]} labels: "
    + ", ".join(f"{looks[way][1]} {stages[way][:, 0].mean():.1f} ± {interval(stages[way][:, 0]):.1f}" for way in WAYS)
    + f" per cent. With {counts[-1]}: "
    + ", ".join(f"{looks[way][1]} {stages[way][:, -1].mean():.1f}" for way in WAYS)
    + " per cent.",
)

# %% [markdown]
# With one label a class, fine-tuning has ten examples to move tens of thousands of weights. It ends below the probe here,
# and above the same network from nothing.
#
# Which layer is kept matters too. In the figure each seed draws its ten labels once, hence the wide bars; the next table
# has the mean of ten draws, the same for all seeds. That is why the same probe on $h$ has two numbers:

# %%
layers = {}
for name, f in (("h, before the head", "encode"), ("z, after it", "embed")):
    features = [[getattr(m, f)(x) for x in (images, test.images)] for m in methods["NT-Xent"]]
    all_labels = [100 * mc.evaluate.linear_probe(h, labels, test_h, test.labels) for h, test_h in features]
    layers[name] = np.column_stack(
        [[probe(pair, 1) for pair in features], [probe(pair, 5) for pair in features], all_labels]
    )
ahead = layers["h, before the head"] - layers["z, after it"]
assert ahead[:, 2].mean() > 0  # with all labels
table(
    ["features", "1 label a class, %", "5 labels, %", "all labels, %"],
    [[name, *with_interval(x)] for name, x in layers.items()] + [["h − z, seed by seed", *with_interval(ahead)]],
)

# %% [markdown]
# So the custom is no law. With all labels $h$ is ahead here, by less than its interval. With one label a class $z$ is far
# ahead. Look at both.
#
# ## Play
#
# A batch on the circle. Move the number of classes and of images. Find out: when does the share change, and when only the
# certainty? And for which temperatures does the debiased loss take off more than there is?

# %%
false_negatives()

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("supcon"))


# %%
def supcon(z, labels, temperature):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = u @ u.T / temperature
    same = labels[:, None] == labels
    np.fill_diagonal(logits, -np.inf)
    top = logits.max(axis=1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return -np.mean(np.where(same, np.where(np.isfinite(log_p), log_p, 0), 0).sum(axis=1) / same.sum(axis=1))


mc.course.check("supcon", supcon)

# %%
print(mc.course.describe("supcon_gradient"))


# %%
def supcon_gradient(z, labels, temperature):
    size = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / size
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    positive = (labels[:, None] == labels) & ~np.eye(len(z), dtype=bool)
    some = positive.any(axis=1, keepdims=True)
    g = np.where(some, p - positive, 0) / (temperature * some.sum())
    du = (g + g.T) @ u
    return (du - u * (u * du).sum(axis=1, keepdims=True)) / size


mc.course.check("supcon_gradient", supcon_gradient)

# %%
print(mc.course.describe("debiased_info_nce"))


# %%
def debiased_info_nce(s_pos, s_neg, prior, temperature):
    a, e = np.exp(s_pos / temperature), np.exp(s_neg / temperature)
    g = (e.mean(axis=1) - prior * a) / (1 - prior)
    return -np.log(a / (a + s_neg.shape[1] * g))


with np.errstate(all="ignore"):
    report = mc.course.check("debiased_info_nce", debiased_info_nce)
report

# %%
print(mc.course.describe("layerwise_step"))


# %%
def layerwise_step(weights, gradients, lr, scale, decay):
    top = len(weights) - 1
    shares = [scale * decay ** (top - 1 - layer) for layer in range(top)] + [1.0]
    scaled = np.array(shares)[:, None] * gradients
    return weights - lr * scaled / (np.abs(scaled) + 1e-8)


mc.course.check("layerwise_step", layerwise_step)

# %% [markdown]
# ## Break
#
# Somebody probes a convolutional encoder. "The optimiser has the parameters of the linear layer alone, so the encoder is
# frozen." Not one of its parameters changes. Still the accuracy of the *old* classifier, saved before, drops after the
# probe has run. Find the fault.

# %%
rng = np.random.default_rng(0)
encoder, layer = mc.nn.ConvNet(channels=(8, 16), strides=(1, 2), rng=0), mc.nn.Linear(16, 10, rng=1)
encoder.train()
parameters_before = [p.data.copy() for p in encoder.parameters()]
with mc.no_grad():
    features_before = encoder.eval()(test.images[:50]).numpy()
encoder.train()
optimizer = mc.optim.Adam(layer.parameters(), lr=1e-2)
for _ in range(20):
    batch = rng.choice(len(images), 64, replace=False)
    loss = mc.cross_entropy(layer(encoder(images[batch])), labels[batch])
    optimizer.step(mc.grad(loss, layer.parameters()))
with mc.no_grad():
    features_after = encoder.eval()(test.images[:50]).numpy()
same_parameters = all(np.array_equal(a, p.data) for a, p in zip(parameters_before, encoder.parameters()))
moved = np.abs(features_after - features_before).max() / np.abs(features_before).max()
print(f"parameters equal bit for bit: {same_parameters}; features of the same images moved by {100 * moved:.0f} %")
assert same_parameters and moved > 0.05

# %% [markdown]
# <details><summary>The fault</summary>
#
# BatchNorm keeps running means and variances. They are no parameters, no optimiser knows them, and in training mode each
# forward pass changes them. A frozen encoder must run in evaluation mode: `with encoder.mode(training=False)`. Compare
# `state_dict()`, buffers included, and not the parameters alone.
# </details>

# %%
kept = {name: a.tobytes() for name, a in encoder.state_dict().items()}
with encoder.mode(training=False):
    loss = mc.cross_entropy(layer(encoder(images[:64])), labels[:64])
optimizer.step(mc.grad(loss, layer.parameters()))
assert kept == {name: a.tobytes() for name, a in encoder.state_dict().items()}
print("in evaluation mode nothing moves, buffers included")

# %% [markdown]
# ## Check yourself
#
# 1. Each image has V = 5 views, all in one point; 3 images at right angles, τ → 0. What is the loss?
# 2. A batch has 256 images of 100 equal classes. How many of the 510 negatives are false on average, and how likely is
#    none?
# 3. SupCon with labels that are all different (one row each) has no positives at all. What should a library do?

# %%
z = np.repeat(np.eye(3)[None], 5, axis=0)  # (V, N, d)
at_zero = float(mc.losses.multi_positive(z, 0.01))
print(f"1. log 4 = {math.log(4):.4f}: each of the 4 positives has a quarter; computed {at_zero:.4f}")
print(f"2. 510/100 = {510 / 100:.1f}; none with probability {0.99**255:.3f}")
try:
    mc.losses.supcon(np.eye(4), np.arange(4))
except ValueError as error:
    print(f"3. refuse, and say why: {error}")
assert abs(at_zero - math.log(4)) < 1e-9

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        ["A. false negatives of 254, and P(none)", guess["A"], f"{expected:.1f}, {none:.1e}"],
        ["B. five perfect views, no negatives", guess["B"], f"log 4 = {math.log(4):.3f}"],
        [
            f"C. V = {most} against V = 2, same work",
            guess["C"],
            f"{gains['same work, smaller batch'][:, 0].mean():+.1f} ± {interval(gains['same work, smaller batch'][:, 0]):.1f} points",
        ],
        [
            f"D. {counts[0]} labels: fine-tuning against the probe",
            guess["D"],
            f"{(stages['finetune'] - stages['probe'])[:, 0].mean():+.1f} ± {interval((stages['finetune'] - stages['probe'])[:, 0]):.1f} points",
        ],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S8: a positive pair is of the same class, a negative pair of different classes | wrong for the method without labels: the positive is another view of the same image, and images of the same class are *negatives*. Right for SupCon | *Negatives that are none*: the share is 1/C at every N for equal classes; else Σq², which is more |
# | S34: same-class samples shall be similar, others different | as S8: NT-Xent pushes images of one class apart, and an oracle that stops this wins accuracy | *What false negatives cost* |
# | S29: contrastive learning is a self-supervised method | under conditions: SupCon is the same loss with labels | *Known cases*: unique labels give NT-Xent |
# | S46: two stages, first contrastive, then transfer and fine-tuning | true and incomplete: a probe is not fine-tuning, and with one label a class the probe is better here; that the head goes and $h$ stays is a custom, and depends on the number of labels | *The second stage*, the bit-for-bit check |
# | S47: several augmentation strategies make several views, which makes it robust | imprecise: kinds of changes and number of views are two things; more views need a rule for the mean, and at equal work they win little here | *in is out* (FALSE), *Are more views worth it?* |

# %%
assert D["more negatives cure false negatives"].passed and D["expected number of false negatives"].passed  # S8
assert scores["own class left out"][:, 0].mean() > scores["NT-Xent"][:, 0].mean()  # S34
assert S["one positive: in is NT-Xent"].passed  # S29
assert stages["probe"][:, 0].mean() > stages["scratch"][:, 0].mean()  # S46
assert not FULL or stages["probe"][:, 0].mean() > stages["finetune"][:, 0].mean()  # S46
assert S["in is out"].passed and S["in is never more than out"].passed  # S47
print("all of the above came out as stated")
