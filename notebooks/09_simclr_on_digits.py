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
# # 09 · Encoders and views: SimCLR on digits
#
# Here a network learns from images **without their labels**. It sees two altered copies of each image and learns which
# two belong together. Then we ask how much of the digit it has found out on the way. The images are real, the
# gradients come from our own engine, and all of it runs on a laptop in a minute.
#
# **When you are through, you can**
#
# - say what a *view* is, and why the choice of views decides what is learned;
# - write the NT-Xent loss, and check its value and its gradient;
# - write a contrastive training loop in ten lines;
# - judge a representation fairly: beside raw pixels, beside the untrained encoder, beside supervised training;
# - recognise collapse.
#
# **You need** notebook 01 (gradients) and a little Python.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t as student

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS, EPOCHS = (5, 100) if FULL else (2, 20)

style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** All embeddings of a batch are equal (the network gives one answer to everything). The batch has N = 128
#   images. What is the loss?
# - **B.** At exactly this point, how long is the gradient?
# - **C.** With one label for each digit, a linear classifier on raw pixels is right for about 57 % of the test images.
#   And on features that were learned without labels?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# ### The data, and views of it
#
# `load_digits` has 1797 handwritten digits of 8 × 8 pixels. A quarter is kept for the test. All settings in this
# notebook were chosen on a part of the *training* images (`python -m tests.benchmarks.digits_simclr --search`).

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")
print(train.images.shape, test.images.shape)

views = mc.data.views
view = views.Compose(
    [
        views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)),
        views.ColorJitter(0.4, 0.4),
        views.GaussianNoise(0.1),
    ]
)

# %% [markdown]
# A **view** is the image after random changes that should not matter: a small turn, a shift, other brightness, noise.
# By choosing them we tell the network what to ignore. A mirror image is no good view here: a mirrored 2 is no 2.
#
# Each image gives two views, `v1` and `v2`. Their randomness must be **independent**. If both are drawn alike, the two
# views are equal, and there is nothing to learn.

# %%
rng = np.random.default_rng(0)
v1, v2 = mc.data.two_views(train.images[:8], view, rng)
figure, axes = plt.subplots(3, 8, figsize=(9, 3.9), layout="constrained")
for row, (images, name) in enumerate([(train.images[:8], "image"), (v1, "view 1"), (v2, "view 2")]):
    for ax, image in zip(axes[row], images):
        ax.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(name)
apart = np.abs(v1 - v2).mean()
between = np.abs(train.images[:8] - train.images[1:9]).mean()
assert 0 < apart < between  # views differ, but less than images do
show(
    figure,
    "Two views of one image differ, but less than two images do",
    f"Eight digits, and below each two altered copies. The mean difference of a pixel is {apart:.2f} between the two views "
    f"of an image, and {between:.2f} between neighbouring images.",
)

# %% [markdown]
# ### The loss
#
# The encoder turns a view into a vector $h$, the **projection head** turns $h$ into $z$, and the loss looks at $z$.
# With $u_i = z_i / \lVert z_i \rVert$ the cosine of two embeddings is $s_{ik} = u_i \cdot u_k$. Of N images we have 2N
# views. View $i$ must find its partner $j(i)$ among the $2N - 1$ others:
#
# $$\ell_{i} = -\log \frac{e^{s_{i\,j(i)}/\tau}}{\sum_{k=1,\ k \ne i}^{2 N} e^{s_{ik}/\tau}}$$
#
# $$\mathcal{L} = \frac{1}{2 N} \sum_{i=1}^{2 N} \ell_{i}$$
#
# This is **NT-Xent** (Chen et al. 2020, arXiv:2002.05709). The sum has one positive and $2N - 2$ negatives. Here it is
# in loops, as the formula stands, beside the library's.


# %%
def nt_xent_in_loops(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u = z / np.sqrt((z * z).sum(axis=1, keepdims=True))
    n, total = len(z1), 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = sum(math.exp(u[i] @ u[k] / temperature) for k in range(2 * n) if k != i)
        total += -math.log(math.exp(u[i] @ u[j] / temperature) / others)
    return total / (2 * n)


z1, z2 = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
print(nt_xent_in_loops(z1, z2, 0.5), float(mc.nt_xent(z1, z2, 0.5)))
assert abs(nt_xent_in_loops(z1, z2, 0.5) - mc.nt_xent(z1, z2, 0.5)) < 1e-14

# %% [markdown]
# The gradient is checked at every entry, and the gradient of the gradient too:

# %%
report = mc.gradcheck.check(lambda a, b: mc.nt_xent(a, b, 0.5), z1, z2, order=2)
assert report.passed
report

# %% [markdown]
# **Known answers** need no reference at all. For three arrangements the loss can be worked out by hand.

# %%
n, tau = 4, 0.5
same = np.ones((n, 3))
orthogonal = np.eye(n)
simplex = np.eye(n) - 1 / n
rows = []
for name, z, formula, exact in [
    ("all equal (collapse)", same, "log(2N − 1)", math.log(2 * n - 1)),
    ("images orthogonal", orthogonal, "log(1 + (2N − 2) exp(−1/τ))", math.log1p((2 * n - 2) * math.exp(-1 / tau))),
    (
        "images on a regular simplex: the minimum",
        simplex,
        "log(1 + (2N − 2) exp(−N/((N − 1)τ)))",
        math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * tau))),
    ),
]:
    value = float(mc.nt_xent(z, z, tau))
    assert abs(value - exact) < 1e-13
    rows.append([name, formula, f"{exact:.12f}", f"{value:.12f}"])
table(["arrangement (both views equal)", "formula", "exact", "mc.nt_xent"], rows, left=2)

# %% [markdown]
# ### The loop
#
# All of contrastive training, written out. Nothing is hidden: draw views, embed, loss, gradient, step.

# %%
encoder = mc.nn.MLP([64, 256, 128], rng=np.random.default_rng(0))
head = mc.nn.ProjectionHead(128, 128, 64, rng=np.random.default_rng(1))
parameters = encoder.parameters() + head.parameters()
optimizer = mc.optim.Adam(parameters, lr=3e-3)
rng = np.random.default_rng(2)
by_hand = []
for _ in range(30):
    batch = train.images[rng.choice(len(train.images), 128, replace=False)]
    v1, v2 = mc.data.two_views(batch, view, rng)
    loss = mc.nt_xent(head(encoder(v1)), head(encoder(v2)), temperature=1.0)
    optimizer.step(mc.grad(loss, parameters))
    by_hand.append(float(loss))  # the number, not the Tensor: that would keep the whole graph alive
print(f"first {by_hand[0]:.3f}, last {by_hand[-1]:.3f}, collapse {math.log(255):.3f}")
assert by_hand[-1] < by_hand[0] - 0.2

# %% [markdown]
# `mc.train.SimCLR` is this loop with a progress bar, checkpoints and a history. It also counts how often the partner
# comes first among all $2N - 1$ candidates.


# %%
def simclr(seed):
    rng = np.random.default_rng(seed)
    encoder, head = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)
    return mc.train.SimCLR(encoder, head, view, temperature=1.0, lr=3e-3, batch_size=128, seed=seed)


methods, untrained = [], []
for seed in range(SEEDS):
    method = simclr(seed)
    untrained.append([f(x.images) for x in (train, test) for f in (method.encode,)])
    methods.append(method.fit(train.images, epochs=EPOCHS, progress=False))

# %%
losses = np.array([m.history["loss"] for m in methods])
top1 = np.array([m.history["top1"] for m in methods])
collapse = methods[0].collapse
floor = math.log1p(254 * math.exp(-128 / 127))  # the simplex with N = 128 and temperature 1
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
epochs = np.arange(1, EPOCHS + 1)
left.plot(epochs, losses.T, color=BLUE, lw=1)
left.axhline(collapse, color=RED, ls="--")
left.text(EPOCHS, collapse, "collapse: log(2N − 1)", ha="right", va="bottom", color=RED)
left.axhline(floor, color=GREEN, ls="--")
left.text(EPOCHS, floor, "no batch can be lower", ha="right", va="bottom", color=GREEN)
left.set(xlabel="epoch", ylabel="loss", title=f"loss, {SEEDS} seeds")
right.plot(epochs, 100 * top1.T, color=BLUE, lw=1)
right.set(xlabel="epoch", ylabel="partner comes first, %", title="of 255 candidates", ylim=(0, 100))
assert (losses[:, -1] < losses[:, 0]).all() and (losses < collapse).all() and (losses > floor).all()
assert (top1[:, -1] > 0.2).all()
show(
    figure,
    "The loss leaves the collapse value, and more and more views find their partner",
    f"Over {EPOCHS} epochs the loss falls from {losses[:, 0].mean():.2f} to {losses[:, -1].mean():.2f}; collapse would be "
    f"{collapse:.2f}, the lowest possible value is {floor:.2f}. The share of views whose partner comes first grows from "
    f"{100 * top1[:, 0].mean():.0f} to {100 * top1[:, -1].mean():.0f} per cent.",
)

# %% [markdown]
# ### Was anything about digits learned?
#
# A **linear probe** answers: freeze the encoder, and train a linear classifier on its output with few labels. A number
# alone says little, so others stand beside it: raw pixels, the encoder before training, the output $z$ of the head, kNN,
# and the same encoder trained on the chosen **labels alone**, with the same views.

# %%
LABELS = [1, 5, 10]


def accuracies(features, seed):
    """Test accuracy of a linear probe with 1, 5, 10 labels of each class and with all, and of kNN."""
    train_x, test_x = features
    scores = []
    for k in LABELS:
        few = mc.data.few_labels(train.labels, k, np.random.default_rng([seed, k]))
        scores.append(mc.evaluate.linear_probe(train_x[few], train.labels[few], test_x, test.labels, C=0.1))
    scores.append(mc.evaluate.linear_probe(train_x, train.labels, test_x, test.labels, C=0.1))
    return [*scores, mc.evaluate.knn(train_x, train.labels, test_x, test.labels, k=5)]


pixels = [x.images.reshape(len(x.images), -1) for x in (train, test)]
found = {
    "raw pixels": [accuracies(pixels, s) for s in range(SEEDS)],
    "untrained encoder": [accuracies(f, s) for s, f in enumerate(untrained)],
    "SimCLR, h": [accuracies([m.encode(x.images) for x in (train, test)], s) for s, m in enumerate(methods)],
    "SimCLR, z": [accuracies([m.embed(x.images) for x in (train, test)], s) for s, m in enumerate(methods)],
}


def labels_alone(seed, steps=400 if FULL else 60):
    """The same encoder with a linear layer on top, trained on the chosen labels; the columns are the same."""
    scores = []
    for k in [*LABELS, None]:
        rng = np.random.default_rng([seed, k or 0])
        chosen = np.arange(len(train.labels)) if k is None else mc.data.few_labels(train.labels, k, rng)
        encoder, top = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.Linear(128, 10, rng=rng)
        parameters = encoder.parameters() + top.parameters()
        optimizer = mc.optim.Adam(parameters, lr=3e-3)
        for _ in range(steps):
            batch = rng.choice(chosen, min(128, len(chosen)), replace=False)
            loss = mc.cross_entropy(top(encoder(view(train.images[batch], rng))), train.labels[batch])
            optimizer.step(mc.grad(loss, parameters))
        with mc.no_grad():
            h = [encoder(x.images).numpy() for x in (train, test)]
            scores.append((top(h[1]).numpy().argmax(axis=1) == test.labels).mean())
    return [*scores, mc.evaluate.knn(h[0], train.labels, h[1], test.labels, k=5)]


found["labels alone"] = [labels_alone(s) for s in range(SEEDS)]
found = {name: 100 * np.array(scores) for name, scores in found.items()}


def interval(values):
    """Half the width of the 95 % interval of the mean over seeds (Student's t)."""
    return student.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(values))


COLUMNS = ["1 label a class", "5", "10", "all labels", "kNN"]
table(
    ["test accuracy in %", *COLUMNS],
    [[name, *(f"{m:.1f} ± {w:.1f}" for m, w in zip(v.mean(axis=0), interval(v)))] for name, v in found.items()],
)

# %%
figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
looks = {"raw pixels": GREY, "untrained encoder": ORANGE, "SimCLR, h": BLUE, "SimCLR, z": GREEN, "labels alone": RED}
for k, (name, color) in enumerate(looks.items()):
    values = found[name]
    places = np.arange(len(COLUMNS)) + 0.17 * (k - 2)
    ax.bar(places, values.mean(axis=0), 0.15, color=color, label=name)
    ax.errorbar(places, values.mean(axis=0), interval(values) if FULL else None, fmt="none", color="black", capsize=2, lw=1)
ax.set_xticks(range(len(COLUMNS)), COLUMNS)
ax.set(ylabel="test accuracy, %", ylim=(40, 101), title=f"linear probe and kNN, mean over {SEEDS} seeds" + (", 95 % intervals" if FULL else ""))
ax.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
gain = found["SimCLR, h"] - np.maximum(found["raw pixels"], found["untrained encoder"])
assert (gain[:, 0] > 5).all()  # for every seed, not only in the mean
assert abs(gain[:, 4].mean()) < 5
show(
    figure,
    "With few labels the learned features help much; with all labels digits leaves nothing to gain",
    "Accuracy with one label a class: "
    + ", ".join(f"{name} {v[:, 0].mean():.0f}" for name, v in found.items())
    + ". With all labels: "
    + ", ".join(f"{name} {v[:, 3].mean():.0f}" for name, v in found.items())
    + " per cent.",
)

# %% [markdown]
# Read it with care. Raw pixels are already good at this small task: kNN on them is right for 98 %. The gain lies where
# labels are few. And $z$ is not always worse than $h$: with one label its mean is as good here, with all labels $h$
# is ahead. Training on all labels is as good as anything: contrastive learning is for the time when labels are missing.

# %% [markdown]
# ### Collapse
#
# If all embeddings are equal, the loss is $\log(2N - 1)$, and the gradient is **exactly zero**: nothing tells the
# embeddings apart. So training could stay there for ever. Is it stable? We put embeddings at one point, push them by
# a tiny amount, and descend.

# %%
start = np.tile([1.0, 0.0], (8, 1))
a = mc.tensor(start)
at_collapse = np.abs(mc.grad(mc.nt_xent(a, a * 1.0, 0.5), a)).max()
print("largest entry of the gradient at collapse:", at_collapse)
assert at_collapse < 1e-15


def descend(push, steps=600):
    rng = np.random.default_rng(0)
    a, b = (mc.tensor(start + push * rng.standard_normal(start.shape)) for _ in range(2))
    history = []
    for _ in range(steps):
        loss, (ga, gb) = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), a, b)
        a.data, b.data = a.data - 2.0 * ga, b.data - 2.0 * gb
        history.append(loss)
    return np.array(history)


figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
ends = {}
for push, color in [(0.0, RED), (1e-12, ORANGE), (1e-6, BLUE)]:
    curve = descend(push)
    ends[push] = curve[-1]
    ax.plot(curve, color=color, label=f"pushed by {push:g}" if push else "not pushed")
ax.axhline(math.log(15), color=GREY, ls=":", lw=1)
ax.set(xlabel="step of plain descent", ylabel="loss", title="8 images on the circle, temperature 0.5")
ax.legend(frameon=False)
assert abs(ends[0.0] - math.log(15)) < 1e-12 and ends[1e-12] < math.log(15) - 0.5 and ends[1e-6] < math.log(15) - 0.5
show(
    figure,
    "Collapse is a resting point, but any push, however small, ends it",
    f"Without a push the loss stays at log 15 = {math.log(15):.3f}. Pushed by 1e-12 it ends at {ends[1e-12]:.3f}.",
)

# %% [markdown]
# ## Play
#
# In two dimensions the unit sphere is a circle, and training can be watched. Eight images, two views each, with the
# embeddings themselves as parameters. The best arrangement has the pairs together and the images on a regular polygon:
# $L = \log\bigl(1 + 2 \sum_{m=1}^{N-1} e^{(\cos(2\pi m/N) - 1)/\tau}\bigr)$. Change `TAU` and run it again: which
# temperatures still reach the polygon?

# %%
TAU, N = 0.5, 8
polygon = math.log1p(2 * sum(math.exp((math.cos(2 * math.pi * m / N) - 1) / TAU) for m in range(1, N)))
rng = np.random.default_rng(3)
a, b = mc.tensor(rng.standard_normal((N, 2))), mc.tensor(rng.standard_normal((N, 2)))
frames, curve = {}, []
for step in range(3001):
    if step in (0, 5, 20, 100, 3000):
        frames[step] = [mc.normalize(x.data) for x in (a, b)]
    loss, (ga, gb) = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, TAU), a, b)
    a.data, b.data = a.data - 2.0 * ga, b.data - 2.0 * gb
    curve.append(loss)
figure, axes = plt.subplots(1, len(frames), figsize=(10, 2.7), layout="constrained")
colors = plt.cm.tab10(np.arange(N))
for ax, (step, (ua, ub)) in zip(axes, frames.items()):
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#BBBBBB"))
    for p, q, color in zip(ua, ub, colors):
        ax.plot(*zip(p, q), color=color, lw=1)
    ax.scatter(*ua.T, color=colors, s=40)
    ax.scatter(*ub.T, color=colors, s=40, marker="s")
    ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", title=f"step {step}\nloss {curve[step]:.4f}")
    ax.axis("off")
assert min(curve) > polygon - 1e-9 and curve[-1] < polygon + 0.02
show(
    figure,
    "Partners meet, images spread out: the loss reaches that of the regular polygon",
    f"Eight pairs of points on the circle at five steps. The loss falls from {curve[0]:.3f} to {curve[-1]:.4f}; the regular "
    f"polygon has {polygon:.4f}, and no step is lower.",
)

# %% [markdown]
# ### A picture of h, and a control
#
# PCA shows the two directions in which features vary most. Such a picture can deceive, so a control stands beside it:
# the same points with shuffled labels.

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
h_before, h_after = untrained[0][1], methods[0].encode(test.images)
shuffled = np.random.default_rng(0).permutation(test.labels)
scores = []
for ax, (name, h, labels) in zip(
    axes, [("before training", h_before, test.labels), ("after training", h_after, test.labels), ("labels shuffled", h_after, shuffled)]
):
    centred = h - h.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    ax.scatter(*(u[:, :2] * s[:2]).T, c=labels, cmap="tab10", s=8)
    scores.append(mc.evaluate.knn_leave_one_out(u[:, :2] * s[:2], labels, k=5))
    ax.set(xticks=[], yticks=[], title=f"{name}\nneighbour has the same digit: {100 * scores[-1]:.0f} %")
assert scores[1] > scores[0] > scores[2] and scores[2] < 0.25
show(
    figure,
    "After training, the two main directions tell a little more about the digit",
    f"Three scatter plots of the test images, coloured by digit. Five nearest neighbours in the plane name the digit of "
    f"{100 * scores[0]:.0f} per cent before training, {100 * scores[1]:.0f} after, and {100 * scores[2]:.0f} with shuffled labels.",
)

# %% [markdown]
# ## Build
#
# Four exercises. Each starter below is wrong in an instructive way: read the report, mend the function, run again.
# `report.hint(1)`, `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("two_views"))


# %%
def two_views(images, augment, rng):
    v1 = augment(images, np.random.default_rng(0))
    v2 = augment(images, np.random.default_rng(0))
    return v1, v2


mc.course.check("two_views", two_views)

# %% [markdown]
# After training come the features, for the probe and for kNN. The encoder of this exercise has BatchNorm, as most have:
# while it trains, a row depends on the others of its batch.

# %%
print(mc.course.describe("frozen_features"))


# %%
def frozen_features(encode, head, augment, images, batch, rng):
    parts = [encode(images[a : a + batch]) for a in range(0, len(images), batch)]
    return np.concatenate(parts)


mc.course.check("frozen_features", frozen_features)

# %%
print(mc.course.describe("linear_probe"))


# %%
def linear_probe(train_x, train_y, test_x, ridge):
    targets = np.eye(train_y.max() + 1)[train_y]
    weights = np.linalg.solve(train_x.T @ train_x + ridge * np.eye(train_x.shape[1]), train_x.T @ targets)
    return (test_x @ weights).argmax(axis=1)


mc.course.check("linear_probe", linear_probe)

# %%
print(mc.course.describe("knn"))


# %%
def knn(features, labels, k):
    u = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(-(u @ u.T), axis=1)[:, :k]
    return np.array([np.bincount(labels[row]).argmax() for row in nearest])


mc.course.check("knn", knn)

# %% [markdown]
# ## Break
#
# A colleague reports 100 % accuracy, even on **random labels**. Here is the evaluation. Where is the fault?

# %%
h = methods[0].encode(test.images)
random_labels = np.random.default_rng(1).integers(0, 10, len(h))
u = h / np.linalg.norm(h, axis=1, keepdims=True)
nearest = (u @ u.T).argmax(axis=1)
broken = (random_labels[nearest] == random_labels).mean()
right = mc.evaluate.knn_leave_one_out(h, random_labels, k=1)
print(f"the colleague: {100 * broken:.0f} %      self left out: {100 * right:.0f} %      chance: 10 %")
assert broken == 1.0 and right < 0.2

# %% [markdown]
# <details><summary>The fault</summary>
#
# Each image is its own nearest neighbour, so it votes for its own label. Leave the image itself out of the bank. An
# evaluation that finds something in random labels is always wrong: try yours on them.
# </details>
#
# ## Check yourself
#
# 1. What is the loss of a collapsed network for N = 128? And if somebody forgets to leave the anchor itself out?
# 2. Why is the gradient at collapse zero, although the loss is high?
# 3. Which of the two does a user of the encoder keep after training: $h$ or $z$?

# %%
print(f"1. log 255 = {math.log(255):.4f}; with the anchor itself in the sum it is log 256 = {math.log(256):.4f}")
print(f"2. all candidates look alike to every anchor, so no direction is better: largest entry {at_collapse:.1e}")
last = {name: v[:, 3].mean() for name, v in found.items()}
print(f"3. h: with all labels {last['SimCLR, h']:.1f} % against {last['SimCLR, z']:.1f} % for z; the head is thrown away")

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        ["A. loss at collapse, N = 128", guess["A"], f"{math.log(255):.3f}"],
        ["B. length of the gradient there", guess["B"], f"{at_collapse:.0e}"],
        ["C. one label a class, learned features", guess["C"], f"{found['SimCLR, h'][:, 0].mean():.0f} %"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S7: the loss measures the similarity of two representations | wrong wording: `sim` measures similarity, the loss measures how well the partner is found among all candidates | *The loss* |
# | S13: strong generalisation | under conditions: it depends on $h$ or $z$, on the views, and on how many labels there are | the table of accuracies |
# | S18: $z_i, z_j$ are representations of two samples | imprecise: outputs of the head for two *views* | *The loop* |
# | S21: the denominator sums over all negative pairs | wrong: over $2N - 2$ negatives and the positive | *Known answers* |
# | S23: by minimising it the model learns useful features | under conditions: few labels yes, with all labels nothing is gained here | the bar chart |
