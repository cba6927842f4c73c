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
# # 10 · Convolution and Fashion-MNIST SimCLR
#
# An image is more than a list of pixels: neighbours belong together, and a shoe is a shoe wherever it stands. A
# convolution builds that in. This notebook takes it apart, goes its way back for the gradient, counts what it costs, and
# then trains a small convolutional encoder **without labels** on pictures of clothes. On the way it finds a leak: a way
# to a lower loss without better features.
#
# **When you are through, you can**
#
# - write a convolution as windows and one product of matrices, and say how large its output is;
# - derive both of its gradients, and check them without a second implementation;
# - say what BatchNorm and GroupNorm average over, and why this matters for a contrastive loss;
# - count multiplications, and measure where the time of a step goes;
# - judge a representation by how few labels it needs, beside fair opponents.
#
# **You need** notebook 01 (gradients) and notebook 09 (views, SimCLR, linear probe).
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import itertools
import math
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, neighbour_gallery, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS, EPOCHS = 3, 12  # of the encoders; the fast profile takes stored ones
LEAK_SEEDS, LEAK_EPOCHS = (3, 5) if FULL else (1, 2)

style()
D, B = mc.derivations.ALL["convolution"], mc.derivations.ALL["batch_norm"]

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** An image of 28 × 28 pixels, a window of 3 × 3, a stride of 2, one row of zeros around the image. How many
#   outputs does a side have?
# - **B.** The gradient goes back through a convolution. Is that the same convolution once more?
# - **C.** A batch is cut into groups of 4 images, both views of an image in the same group, and BatchNorm takes its mean
#   and variance within each group. Do the views find their partners better or worse than with other groups? And how good
#   are the features?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# ### Windows, and one product
#
# One row of pixels is enough to see everything. The kernel $w$ slides along the row in steps of $s$, the **stride**, and
# at each place is multiplied with what it covers.

# %%
D["convolution"]

# %% [markdown]
# How many places are there? The last window still fits, and no further one does:

# %%
display(D["the last window fits"], D["no further window fits"])

# %% [markdown]
# With $q$ zeros on each side the row is $2q$ longer, so there are $\lfloor (n + 2q - k)/s \rfloor + 1$ outputs.
#
# In two dimensions it is the same, once down and once across. Now a trick that many libraries use: **write each window
# as a row of a matrix** (`im2col`). Then the whole convolution is one product, and a product is what a processor does
# best. The windows need no copy: they are a view of the image with two more axes, made from strides alone.

# %%
image = np.array([[1.0, 1, 1, 9, 9], [2, 1, 2, 9, 8], [1, 2, 1, 8, 9], [1, 1, 9, 9, 9], [2, 1, 8, 9, 8]]).reshape(1, 5, 5, 1)
kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).reshape(3, 3, 1, 1)  # finds edges from left to right

step_down, step_across = image.strides[1:3]  # bytes from row to row, and from pixel to pixel
places = np.lib.stride_tricks.as_strided(
    image, (1, 3, 3, 3, 3, 1), (image.strides[0], step_down, step_across, step_down, step_across, image.strides[3])
)
matrix = places.reshape(9, 9)  # nine windows of nine pixels: here the copy is made
product = matrix @ kernel.reshape(9, 1)
print("windows:", places.shape, " same as mc.conv.windows:", (places == mc.conv.windows(image, 3)).all())
assert (product.reshape(1, 3, 3, 1) == mc.conv.conv2d(image, kernel)).all()

figure, axes = plt.subplots(1, 4, figsize=(10, 3.1), layout="constrained", width_ratios=[1.2, 1.7, 0.35, 0.9])
parts = [("image: 5 × 5", image[0, :, :, 0]), ("windows: 9 of 9 pixels", matrix), ("kernel", kernel.reshape(9, 1))]
for ax, (name, values) in zip(axes, [*parts, ("output: 3 × 3", product.reshape(3, 3))]):
    span = max(abs(values.min()), values.max())
    ax.imshow(values, cmap="PuOr", vmin=-2.2 * span, vmax=2.2 * span, aspect="equal" if name != "kernel" else "auto")
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, f"{value:.0f}".replace("-", "−"), ha="center", va="center", fontsize=8)
    ax.set(xticks=[], yticks=[], title=name)
axes[0].add_patch(plt.Rectangle((-0.5, 0.5), 3, 3, fill=False, ec=RED, lw=2))
axes[1].add_patch(plt.Rectangle((-0.5, 3.5), 9, 1, fill=False, ec=RED, lw=2))
axes[3].add_patch(plt.Rectangle((-0.5, 0.5), 1, 1, fill=False, ec=RED, lw=2))
assert (matrix[3] == image[0, 1:4, 0:3, 0].ravel()).all()  # the row that is framed is the window that is framed
show(
    figure,
    "A convolution is one product: each window is a row of a matrix",
    "A 5 by 5 image with small numbers (pale) on the left and large ones (purple) on the right, the 9 by 9 matrix of its "
    "windows, a kernel of 9 numbers, and the 3 by 3 output. Row 4 of the matrix is the window that begins in the second row of the image; both are "
    f"framed, and so is its output, {product[3, 0]:.0f}. The output is largest, {product.max():.0f}, at the edge.",
)

# %% [markdown]
# Is it right? The definition in six loops is slow and easy to read, so it is the judge. It is tried on many shapes, with
# strides and zeros around the image.


# %%
def conv_in_loops(x, w, stride, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    kh, kw, channels, outputs = w.shape
    down, across = ((n - k) // stride + 1 for n, k in ((x.shape[1], kh), (x.shape[2], kw)))
    y = np.zeros((len(x), down, across, outputs))
    for n, p, q, k in np.ndindex(y.shape):  # four loops
        for i, j in itertools.product(range(kh), range(kw)):  # and two
            y[n, p, q, k] += x[n, stride * p + i, stride * q + j] @ w[i, j, :, k]
    return y


rng = np.random.default_rng(0)
worst, tried = 0.0, 0
for stride, padding in itertools.product((1, 2, 3), (0, 1, 2)):
    for h, w, kh, kw, channels, outputs in [(5, 7, 3, 2, 1, 1), (7, 5, 2, 3, 3, 2), (8, 8, 3, 3, 2, 5), (3, 3, 3, 3, 1, 2)]:
        x, weights = rng.standard_normal((2, h, w, channels)), rng.standard_normal((kh, kw, channels, outputs))
        ours, loops = mc.conv.conv2d(x, weights, stride=stride, padding=padding), conv_in_loops(x, weights, stride, padding)
        assert ours.shape == loops.shape == (2, (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1, outputs)
        worst, tried = max(worst, np.abs(ours - loops).max() / np.abs(loops).max()), tried + 1
print(f"{tried} shapes, largest relative difference {worst:.0e}")
assert worst < 1e-14

# %% [markdown]
# ### The way back
#
# A convolution is **linear** in the image. So there is a matrix $A$ with $y = A x$, and the gradient goes back through its
# transpose. What is the transpose of "slide a window along"? Each output returns to where its window was:

# %%
display(D["back into the row"], D["gradient in a pixel"])

# %%
display(D["into the weights"], D["gradient in a weight"])

# %% [markdown]
# Is the way back a convolution as well? With stride 1 it is, on $\bar{y}$ with zeros around it, but **with the kernel
# mirrored**. That the mirror may be left out is the classical mistake. Symmetric kernels hide it.

# %%
display(D["with zeros around it"], D["the adjoint is a convolution with the mirrored kernel"], D["the adjoint is the same convolution"])

# %%
w_row, n_row = np.array([1.0, 2.0, -1.5]), 8
A = np.array([np.convolve(e, w_row[::-1], mode="valid") for e in np.eye(n_row)]).T  # column j: what pixel j gives
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", width_ratios=[8, 6])
for ax, (name, values) in zip((left, right), [("A: from 8 pixels to 6 outputs", A), ("Aᵀ: from 6 outputs back to 8 pixels", A.T)]):
    ax.imshow(values, cmap="PuOr", vmin=-4, vmax=4)
    for (i, j), value in np.ndenumerate(values):
        if value:
            ax.text(j, i, f"{value:g}".replace("-", "−"), ha="center", va="center", fontsize=9)
    ax.set(xticks=[], yticks=[], title=name)
left.set(xlabel="pixel", ylabel="output")
right.set(xlabel="output", ylabel="pixel")
assert (A[2, 2:5] == w_row).all() and (A.T[4, 2:5] == w_row[::-1]).all()
show(
    figure,
    "Rows of A hold the kernel, rows of its transpose hold the mirrored kernel",
    "The matrix of a convolution with the kernel (1, 2, −1.5): each row is the row above, moved by one. In the transpose "
    "the full rows read −1.5, 2, 1.",
)

# %% [markdown]
# How to check a gradient of a linear map without a second implementation? By the **adjoint identity**. It must hold for
# all $x$ and all $\bar{y}$, and no slip of an index survives random numbers:

# %%
display(D["the adjoint of the windows"], D["the adjoint in the weights"])

# %%
rows = []
for stride, padding in [(1, 0), (1, 1), (2, 1), (3, 0)]:
    x, weights = rng.standard_normal((3, 7, 6, 2)), rng.standard_normal((3, 2, 2, 4))
    tx, tw = mc.tensor(x), mc.tensor(weights)
    y = mc.conv.conv2d(tx, tw, stride=stride, padding=padding)
    g = rng.standard_normal(y.shape)
    dx, dw = mc.grad(y, [tx, tw], g)
    products = [float((g * y.numpy()).sum()), float((dx * x).sum()), float((dw * weights).sum())]
    assert np.ptp(products) < 1e-12 * np.abs(g * y.numpy()).sum()
    rows.append([f"stride {stride}, padding {padding}", *(f"{p:.12f}".replace("-", "−") for p in products)])
table(["convolution", "⟨ȳ, y⟩", "⟨x̄, x⟩", "⟨w̄, w⟩"], rows)

# %% [markdown]
# It is necessary, and strong; but a wrong $\bar{x}$ that happens to have the same inner product with this one $x$ passes.
# So the measured slopes come on top, to the second order:

# %%
conv = lambda x, w: mc.conv.conv2d(x, w, stride=2, padding=1)
report = mc.gradcheck.check(conv, rng.standard_normal((2, 5, 4, 2)), rng.standard_normal((3, 3, 2, 3)), order=2)
assert report.passed
report

# %% [markdown]
# ### Pooling
#
# Pooling makes an image smaller without weights: the largest value of each window, or the mean. The mean over *all*
# places (global average pooling) turns an image of any size into one vector. What it buys: **the place is forgotten**. A
# pattern that moves along changes nothing in the mean, as long as it stays inside.

# %%
spot = np.zeros((2, 12, 12, 1))
spot[0, 2:5, 2:5], spot[1, 6:9, 5:8] = 1, 1  # the same square at two places
weights = rng.standard_normal((3, 3, 1, 4))
features = mc.conv.global_avg_pool(mc.relu(mc.conv.conv2d(spot, weights, padding=1)))
halves = mc.conv.max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
print("max pooling of 0 ... 15:", halves.tolist())
print("features of the two squares differ by", np.abs(features[0] - features[1]).max())
assert np.abs(features[0] - features[1]).max() < 1e-15 and halves.tolist() == [[5, 7], [13, 15]]

# %% [markdown]
# With a stride of 2 this holds for moves by an even number of pixels only; with three such layers, by multiples of 8. So
# the encoder below forgets places in part.
#
# ### BatchNorm, GroupNorm, and who sees whom
#
# Deep networks train better if each layer's values have mean 0 and variance 1. The question is what the mean runs over.
# **BatchNorm**: one channel, all images of the batch, all places. **GroupNorm**: some channels of *one* image, all places.
# The difference sounds technical, and it is the point of this notebook: with BatchNorm each image sees all others.

# %%
display(B["BatchNorm"], B["a batch adds up to nothing"], B["each image moves all outputs"])

# %%
B["an image is judged alone"]

# %%
def influence(layer, x, training):
    """How far output i moves when image m is changed: (N, N)."""
    with layer.mode(training=training), mc.no_grad():
        before = layer(x).numpy() if training else mc.to_numpy(layer(x))
        moved = np.zeros((len(x), len(x)))
        for m in range(len(x)):
            changed = x.copy()
            changed[m] = 1.0 - changed[m]
            moved[:, m] = np.abs(mc.to_numpy(layer(changed)) - before).max(axis=(1, 2, 3))
    return moved


x = rng.random((8, 5, 5, 4))
norms = {
    "BatchNorm, training": influence(mc.nn.BatchNorm2d(4, dtype=np.float64), x, True),
    "BatchNorm, evaluation": influence(mc.nn.BatchNorm2d(4, dtype=np.float64), x, False),
    "GroupNorm, training": influence(mc.nn.GroupNorm(2, 4, dtype=np.float64), x, True),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, moved) in zip(axes, norms.items()):
    picture = ax.imshow(np.where(moved > 0, moved, np.nan), cmap="viridis", norm="log", vmin=0.03, vmax=4)
    ax.set(xticks=[], yticks=[], title=name, xlabel="image that is changed", ylabel="output that moves" if ax is axes[0] else "")
figure.colorbar(picture, ax=axes, label="largest change (white: none)", shrink=0.8)
off = ~np.eye(8, dtype=bool)
assert (norms["BatchNorm, training"] > 0).all()
assert not norms["BatchNorm, evaluation"][off].any() and not norms["GroupNorm, training"][off].any()
show(
    figure,
    "In training, BatchNorm lets each image move every output; GroupNorm does not",
    "Three 8 by 8 pictures: which outputs change when one image is changed. BatchNorm in training: all 64, those off the "
    f"diagonal by {np.median(norms['BatchNorm, training'][off]):.2f} in the middle. BatchNorm in evaluation and GroupNorm: the "
    "diagonal alone, all others by exactly 0.",
)

# %% [markdown]
# How much can an output say about the others? In the extreme case everything: of two different values, BatchNorm leaves
# only which is the larger (but for its small ε).

# %%
B["a pair says nothing but which is larger"]

# %% [markdown]
# Keep that in mind for *The leak* below.
#
# ### The data, and the encoder
#
# **Fashion-MNIST**: grey pictures of clothes, 28 × 28 pixels, ten classes (Xiao et al. 2017, arXiv:1708.07747). With the
# package come 2,000 training images and 1,000 test images. Numbers from this sample are *not* results on Fashion-MNIST,
# which has 60,000.

# %%
train, test = mc.data.fashion_mnist_sample("train"), mc.data.fashion_mnist_sample("test")
views = mc.data.views
view = views.Compose(
    [
        views.RandomResizedCrop(area=(0.5, 1.0)),
        views.RandomHorizontalFlip(),
        views.ColorJitter(0.4, 0.4),
        views.GaussianNoise(0.05),
    ]
)
first = [np.flatnonzero(train.labels == c)[0] for c in range(10)]
v1, v2 = mc.data.two_views(train.images[first], view, np.random.default_rng(0))
figure, axes = plt.subplots(3, 10, figsize=(10, 3.5), layout="constrained")
for row, (images, name) in enumerate([(train.images[first], "image"), (v1, "view 1"), (v2, "view 2")]):
    for ax, picture, c in zip(axes[row], images, range(10)):
        ax.imshow(picture[..., 0], cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        if not row:
            ax.set_title(mc.data.FASHION_CLASSES[c])
    axes[row, 0].set_ylabel(name)
per_class = np.bincount(train.labels)
assert (per_class == 200).all() and (np.bincount(test.labels) == 100).all() and (v1 != v2).any(axis=(1, 2, 3)).all()
show(
    figure,
    "A view may crop, mirror, brighten and add noise: a coat stays a coat",
    "One image of each of the ten classes, and two random views of each below it.",
)

# %% [markdown]
# The encoder: three convolutions of 3 × 3 with a stride of 2, each with BatchNorm and ReLU, then the mean over all places.


# %%
def simclr(seed):
    rng = np.random.default_rng(seed)
    encoder = mc.nn.ConvNet(1, channels=(16, 32, 64), strides=(2, 2, 2), rng=rng)
    head = mc.nn.ProjectionHead(64, 64, 64, rng=rng)
    return mc.train.SimCLR(encoder, head, view, temperature=0.2, lr=3e-3, batch_size=128, seed=seed)


encoder = simclr(0).encoder
encoder.summary((28, 28, 1))

# %% [markdown]
# ### What it costs
#
# A convolution does $H' W' \cdot k^2 \cdot C \cdot K$ multiplications with additions for an image: places, times window,
# times channels in, times channels out. BatchNorm and ReLU do a handful for each value. That is the **model**; the clock
# is asked beside it.


# %%
def seconds(function, repeat=3):
    """Processor time, the best of a few."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


x = mc.tensor(mc.data.two_views(train.images[:256], view, np.random.default_rng(0))[0])
layers, names, model, measured, weighted = list(encoder.layers), [], [], [], []
for layer in layers:
    y = layer(x)
    inputs, g = [x, *layer.parameters()], np.ones(y.shape, np.float32)
    measured.append(seconds(lambda layer=layer, x=x, inputs=inputs, g=g: mc.grad(layer(x), inputs, g)))  # forwards and back
    is_conv = isinstance(layer, mc.nn.Conv2d)
    # Forwards one product, back two of the same size; the norms some ten operations on each value.
    model.append(3 * y.shape[1] * y.shape[2] * layer.weight.size if is_conv else 10 * math.prod(x.shape[1:]))
    names.append(f"{type(layer).__name__.removesuffix('2d')}" + (f" {layer.weight.shape[2]} → {layer.weight.shape[3]}" if is_conv else ""))
    weighted.append(is_conv)
    x = mc.tensor(y.numpy())
names = ["ReLU" if name == "Function" else name for name in names]
model, measured, weighted = (np.array(v) for v in (model, measured, weighted))
figure, ax = plt.subplots(figsize=(9, 3.9), layout="constrained")
spots = np.arange(len(names))[::-1]
ax.barh(spots + 0.2, 100 * model / model.sum(), 0.38, color=BLUE, label="multiplications with additions (model)")
ax.barh(spots - 0.2, 100 * measured / measured.sum(), 0.38, color=ORANGE, label="processor time (measured)")
ax.set_yticks(spots, names)
ax.set(xlabel="share, %", title="forwards and back, 256 images, one thread")
ax.legend(frameon=False, loc="lower right")
rate = 2 * 256 * model / measured / 1e9
convs = np.flatnonzero(weighted)
assert model[convs].sum() / model.sum() > 0.8 and measured[~weighted].sum() / measured.sum() > 0.1
share = {"model": model / model.sum(), "time": measured / measured.sum()}
assert rate[convs[0]] < rate[convs[1:]].min()  # one channel in: nine multiplications for each value that is moved
assert share["time"][0] > share["model"][0] and share["time"][~weighted].sum() > share["model"][~weighted].sum()
show(
    figure,
    "Multiplications do not tell the time: the first layer and the norms take more than their share",
    f"Share of the model and of the measured time for {len(names)} layers. The three convolutions have "
    f"{model[convs].sum() / model.sum():.0%} of the multiplications and {measured[convs].sum() / measured.sum():.0%} of the time. Speeds "
    f"of the convolutions: {', '.join(f'{r:.1f}' for r in rate[convs])} billion operations a second, the slowest is the first one.",
)

# %% [markdown]
# And a whole training step? Views, forwards, loss, back, and the optimiser:

# %%
method = simclr(0)
batch = train.images[:128]
v1, v2 = mc.data.two_views(batch, view, np.random.default_rng(0))
both, parameters = np.concatenate([v1, v2]), method.optimizer.parameters
z = method(both)
leaf = mc.tensor(z.numpy())
loss_of = lambda z: mc.nt_xent(*mc.split(z, 2), temperature=0.2)
gradients = mc.grad(loss_of(z), parameters)
forwards = seconds(lambda: method(both))
loss_forwards = seconds(lambda: loss_of(leaf))
loss_both = seconds(lambda: mc.grad(loss_of(leaf), leaf))
parts = {
    "two views": seconds(lambda: mc.data.two_views(batch, view, np.random.default_rng(0))),
    "encoder and head, forwards": forwards,
    "loss, forwards and back": loss_both,
    "encoder and head, back": max(seconds(lambda: mc.grad(loss_of(method(both)), parameters)) - forwards - loss_both, 0.0),
    "optimiser (Adam)": seconds(lambda: method.optimizer.step(gradients)),
}
total = sum(parts.values())
figure, ax = plt.subplots(figsize=(9, 1.9), layout="constrained")
start = 0.0
for (name, took), color in zip(parts.items(), [GREEN, BLUE, RED, "#74A9D8", GREY]):
    ax.barh(0, 1000 * took, left=1000 * start, color=color, label=f"{name}: {took / total:.0%}")
    start += took
ax.set(yticks=[], xlabel="processor time, ms", title="one step, 128 images, one thread")
ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.5))
encoding = (parts["encoder and head, forwards"] + parts["encoder and head, back"]) / total
assert encoding > 0.5 and loss_both / total < 0.2
show(
    figure,
    "A step is the encoder, there and back; the loss over all pairs is a small part",
    f"Shares of one step: {', '.join(f'{name} {took / total:.0%}' for name, took in parts.items())}.",
)

# %% [markdown]
# So the article's remark that similarity "with all other samples" is what costs is not true at this size: *encoding* is.
#
# ### Training
#
# The full profile trains three encoders, which takes about a minute. The fast profile reads the ones that a full run has
# stored (`MINICL_STORE=1 make sync NB=10`). Learning rate and views were chosen on other images of the *training* set.


# %%
def place_of(name):
    """Where a stored file is, or None: this notebook may run in another folder."""
    folders = [Path.cwd(), Path.cwd() / "notebooks", Path(mc.__file__).parent.parent / "notebooks"]
    return next((path for folder in folders if (path := folder / "data" / name).is_file()), None)


STORED = "fashion_sample_encoders.safetensors"
methods = [simclr(seed) for seed in range(SEEDS)]
before = [{"train": m.encode(train.images), "test": m.encode(test.images)} for m in methods]
at_leak = []  # the state that the leak experiment below compares with
if FULL or place_of(STORED) is None:
    for m in methods:
        m.fit(train.images, LEAK_EPOCHS, progress=False)
        at_leak.append({"h": (m.encode(train.images), m.encode(test.images)), "history": {k: v[-1] for k, v in m.history.items()}})
        m.fit(train.images, EPOCHS, progress=False)
    histories = [m.history for m in methods]
if os.environ.get("MINICL_STORE"):
    arrays = {f"{seed}.{name}": a for seed, m in enumerate(methods) for name, a in m.encoder.state_dict().items()}
    folder = Path(mc.__file__).parent.parent / "notebooks" / "data"
    mc.train.checkpoints.save(folder / STORED, arrays, {"histories": histories, "epochs": EPOCHS})
    mc.train.checkpoints.previous(folder / STORED).unlink(missing_ok=True)
if place_of(STORED) is not None:
    arrays, notes = mc.train.checkpoints.load(place_of(STORED))
    stored = [{k.partition(".")[2]: a for k, a in arrays.items() if k.startswith(f"{seed}.")} for seed in range(SEEDS)]
    if FULL:  # what is stored is what this cell makes, up to rounding on another processor
        for mine, theirs in zip(histories, notes["histories"]):
            assert abs(mine["loss"][-1] - theirs["loss"][-1]) < 0.1
    else:
        histories = notes["histories"]
        for m, state in zip(methods, stored):
            m.encoder.load_state_dict(state)
after = [{"train": m.encode(train.images), "test": m.encode(test.images)} for m in methods]

# %%
losses, top1 = (np.array([h[what] for h in histories]) for what in ("loss", "top1"))
epochs, collapse = np.arange(1, EPOCHS + 1), methods[0].collapse
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(epochs, losses.T, color=BLUE, lw=1)
left.axhline(collapse, color=RED, ls="--")
left.text(EPOCHS, collapse, "collapse: log(2N − 1)", ha="right", va="bottom", color=RED)
left.set(xlabel="epoch", ylabel="NT-Xent (nats)", ylim=(2.5, 6), title=f"loss, {SEEDS} seeds")
right.plot(epochs, 100 * top1.T, color=BLUE, lw=1)
right.set(xlabel="epoch", ylabel="partner comes first, %", ylim=(0, 50), title="of 255 candidates")
assert (losses[:, -1] < losses[:, 0] - 1).all() and (losses < collapse).all() and (top1[:, -1] > 2 * top1[:, 0]).all()
show(
    figure,
    "The loss falls far below collapse, and views find their partners",
    f"Over {EPOCHS} epochs the loss falls from {losses[:, 0].mean():.2f} to {losses[:, -1].mean():.2f} (collapse: {collapse:.2f}); "
    f"the share of views whose partner comes first grows from {top1[:, 0].mean():.0%} to {top1[:, -1].mean():.0%}. Three seeds.",
)

# %% [markdown]
# ### Filters before and after
#
# The weights of the first convolution are sixteen small pictures. They start as noise. What has training made of them, and
# of the filters in the layers above?

# %%
turned = {0: [], 3: [], 6: []}  # by the number of the layer: the cosine of each filter with its random start
for seed, m in enumerate(methods):
    start = simclr(seed).encoder
    for layer in turned:
        pair = [mc.normalize(net[layer].weight.numpy().reshape(-1, net[layer].weight.shape[3]).T) for net in (start, m.encoder)]
        turned[layer].append((pair[0] * pair[1]).sum(axis=1))
filters = [net[0].weight.numpy()[:, :, 0] for net in (simclr(0).encoder, methods[0].encoder)]
figure = plt.figure(figsize=(10, 3), layout="constrained")
one, two = figure.subfigures(1, 2, width_ratios=[2.4, 1])
axes = one.subplots(4, 8)
order = np.argsort(-turned[0][0])
for n, k in enumerate(order):
    for row, f in enumerate(filters):
        ax = axes[2 * (n // 8) + row, n % 8]
        ax.imshow(f[:, :, k], cmap="PuOr", vmin=-np.abs(f[:, :, k]).max(), vmax=np.abs(f[:, :, k]).max())
        ax.set(xticks=[], yticks=[])
for row in range(4):
    axes[row, 0].set_ylabel(("before", "after")[row % 2])
ax = two.subplots()
for place, cosines in enumerate(turned.values()):
    for seed, values in enumerate(cosines):
        ax.plot(np.full(len(values), place) + 0.2 * (seed - 1), values, ".", ms=3, color=BLUE, alpha=0.5)
        ax.plot([place + 0.2 * (seed - 1) - 0.08, place + 0.2 * (seed - 1) + 0.08], [np.median(values)] * 2, color="black", lw=2)
ax.set_xticks(range(3), ["layer 1", "layer 2", "layer 3"])
ax.set(ylabel="cosine, before and after", title=f"all filters, {SEEDS} seeds, medians")
medians = np.array([[np.median(values) for values in cosines] for cosines in turned.values()])
assert (np.diff(medians, axis=0) < 0).all() and medians[0].min() > 0.95
ones = [(start[layer].weight.numpy(), methods[-1].encoder[layer].weight.numpy()) for layer in turned]  # of the last seed
size, move = (np.array([np.sqrt(np.mean(w**2)) for w in ws]) for ws in ([a for a, _ in ones], [b - a for a, b in ones]))
assert (size[0] > 3 * size[1:]).all() and (move[0] > move[1:]).all()  # larger weights, and they move no less
show(
    figure,
    "The first filters hardly turn; the deeper the layer, the more its filters do",
    "Left: the sixteen filters of the first layer before and after training; by eye nearly the same. Right: cosine of each "
    f"filter with its random start; the medians are {', '.join(f'{m:.2f}' for m in medians.mean(axis=1))} for the three layers. Size of a "
    f"weight at the start: {', '.join(f'{a:.2f}' for a in size)}; its move: {', '.join(f'{a:.2f}' for a in move)} (root mean squares).",
)

# %% [markdown]
# Do not read too much into it. The weights of the first layer start four to six times as large as the others, and move no
# less; but a move of similar size turns a filter of large weights less. Pretty first filters are no sign of learning, and
# plain ones no sign against it.
#
# ### How many labels are needed?
#
# The **label-efficiency curve**: a linear probe on the frozen features with 1 %, 5 %, 20 % and all of the labels, judged on
# the test images. Beside it the fair opponents: raw pixels, the same encoder untrained, and the same encoder trained on the
# chosen labels alone, with the same views. Each seed has an encoder and a draw of labels of its own. $C = 0.1$ for the
# probes was compared with 0.01, 1 and 10 on other images of the *training* set, and kept: none of them is better in most
# rows. There the steps of the labels alone were compared too: the best of 50 to 400 with 2 labels a class, of 100 to 800
# with 10, of 350 and 700 with 40. With 200 they are twice those of 40, without a comparison.

# %%
LABELS = [2, 10, 40, 200] if FULL else [2, 10, 40]  # of each class
pixels = {name: x.images.reshape(len(x.images), -1) for name, x in (("train", train), ("test", test))}


def probe(features, k, seed):
    few = mc.data.few_labels(train.labels, k, np.random.default_rng([seed, k]))
    return mc.evaluate.linear_probe(features["train"][few], train.labels[few], features["test"], test.labels, C=0.1)


found = {
    "raw pixels": [[probe(pixels, k, s) for k in LABELS if k < 200] for s in range(SEEDS)],
    "untrained encoder": [[probe(before[s], k, s) for k in LABELS] for s in range(SEEDS)],
    "SimCLR": [[probe(after[s], k, s) for k in LABELS] for s in range(SEEDS)],
}
if 200 in LABELS:  # with all labels there is nothing to draw
    all_pixels = probe(pixels, 200, 0)
    found["raw pixels"] = [[*row, all_pixels] for row in found["raw pixels"]]


# %%
def labels_alone(k, seed):
    """The same encoder with a linear layer on top, trained on the chosen labels."""
    few = mc.data.few_labels(train.labels, k, np.random.default_rng([seed, k]))
    steps = {2: 400, 10: 400, 40: 700, 200: 1400}[k]
    rng = np.random.default_rng(seed)
    net = mc.nn.Sequential(simclr(seed).encoder, mc.nn.Linear(64, 10, rng=rng))
    optimizer = mc.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = rng.choice(few, min(64, len(few)), replace=False)
        loss = mc.cross_entropy(net(view(train.images[chosen], rng)), train.labels[chosen])
        optimizer.step(mc.grad(loss, net.parameters()))
    with net.mode(training=False), mc.no_grad():
        return float((net(test.images).numpy().argmax(axis=1) == test.labels).mean())


if FULL:
    found["labels alone"] = [[labels_alone(k, s) for k in LABELS] for s in range(SEEDS)]
else:
    print("labels alone is trained in the full profile only: a few steps would be no fair opponent")
found = {name: 100 * np.array(scores) for name, scores in found.items()}


def mean_and_half(values):
    """Mean over seeds and half of its 95 % interval, for each column; nan where all seeds have one number."""
    return np.array([mc.evaluate.t_interval(c) if np.ptp(c) else (c[0], np.nan) for c in np.transpose(values)]).T


def written(values):
    return [f"{m:.1f}" if np.isnan(h) else f"{m:.1f} ± {h:.1f}" for m, h in zip(*mean_and_half(values))]


table(
    ["test accuracy, %", *(f"{k} labels a class ({k / 2:g} %)" for k in LABELS)],
    [[name, *written(v)] for name, v in found.items()],
)

# %%
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
looks = {"raw pixels": GREY, "untrained encoder": ORANGE, "SimCLR": BLUE, "labels alone": RED}
for n, (name, values) in enumerate(found.items()):
    middle, half = mean_and_half(values)
    ax.errorbar(np.array(LABELS) * 1.05 ** (n - 1.5), middle, half, color=looks[name], marker="o", ms=4, capsize=3, label=name)
ax.set(xscale="log", xlabel="labels a class", ylabel="test accuracy, %", title=f"1,000 test images; mean and 95 % interval over {SEEDS} seeds")
ax.set_xticks(LABELS, [f"{k}\n({k / 2:g} %)" for k in LABELS])
ax.minorticks_off()
ax.legend(frameon=False, loc="lower right")
gain = found["SimCLR"] - found["untrained encoder"]
against_pixels = found["SimCLR"] - found["raw pixels"]
assert (gain > 3).all() and gain.mean(axis=0)[0] > gain.mean(axis=0)[-1]  # for each seed and each number of labels
assert against_pixels.mean(axis=0)[0] > 0 > against_pixels.mean(axis=0)[1:].max()  # and this one says where it ends
show(
    figure,
    "SimCLR lifts the encoder everywhere; raw pixels lead from 10 labels a class on, on average",
    f"Accuracy with {', '.join(map(str, LABELS))} labels a class. "
    + "; ".join(f"{name}: {', '.join(f'{m:.0f}' for m in v.mean(axis=0))}" for name, v in found.items())
    + f" per cent. Gain of SimCLR over the untrained encoder: {', '.join(f'{m:.1f}' for m in gain.mean(axis=0))} points; "
    f"over raw pixels: {', '.join(f'{m:.1f}' for m in against_pixels.mean(axis=0))} points. "
    + ("All labels and no random encoder: one number, no interval. " if 200 in LABELS else "")
    + "The test images are the same for all seeds.",
)

# %% [markdown]
# Read it with care.
#
# - The encoder has gained with every number of labels, for every seed, and it has seen no label. That is the claim of contrastive
#   learning, and here it holds.
# - **Raw pixels are a strong opponent.** All clothes stand upright in the middle, so a pixel means nearly the same in each
#   image. And a probe on pixels has 784 numbers for each image; a probe on features has 64.
# - **Labels alone**, with the same views, trained long enough: no lead of SimCLR is shown that three seeds could tell, and
#   with all labels it is behind. 2,000 images are few to learn from without labels: the strength of the method is that
#   unlabelled images are cheap.

# %% [markdown]
# **A larger encoder, and thirty times as many images.** `make fashion` trains a larger encoder (four convolutions, 128 features) on all 60,000
# training images, without their labels, for four epochs. Its weights are stored beside this notebook. Here it meets the
# same few labels and the same test images as the small one above, beside its own untrained start. (It has one seed; the
# intervals are over draws of the labels, and with all labels there is nothing to draw.) Both change, so the table does not
# say which of them helps. The gain over its own start is about that of the small encoder.

# %%
BIG = place_of("fashion_encoder.safetensors")
if BIG is None or not FULL:
    print("the full profile shows this, where the weights are stored")
else:
    arrays, _ = mc.train.checkpoints.load(BIG)
    rows = {"raw pixels": found["raw pixels"]}
    for name in ("128 features, untrained", "128 features, SimCLR on 60,000 images"):
        net = mc.nn.ConvNet(rng=[0, 0])
        if "SimCLR" in name:
            net.load_state_dict({key.removeprefix("encoder."): a for key, a in arrays.items()})
        with net.mode(training=False), mc.no_grad():
            big_features = {"train": net(train.images).numpy(), "test": net(test.images).numpy()}
        rows[name] = 100 * np.array([[probe(big_features, k, s) for k in LABELS] for s in range(SEEDS)])
    big_gain = rows["128 features, SimCLR on 60,000 images"] - rows["128 features, untrained"]
    assert (big_gain > 0).all() and abs(big_gain.mean() - gain.mean()) < 3
    assert (rows["128 features, SimCLR on 60,000 images"].mean(axis=0) > rows["raw pixels"].mean(axis=0)).all()  # S4
    display(
        table(
            ["test accuracy, %", *(f"{k} labels a class" for k in LABELS)],
            [[name, *written(v)] for name, v in rows.items()],
        )
    )
    for name, points in (("small", gain), ("larger", big_gain)):
        print(f"gain over its own start, {name:6s} encoder: {', '.join(f'{p:4.1f}' for p in points.mean(axis=0))} points")

# %% [markdown]
# ### The leak
#
# Large batches are trained on several devices, and each device normalises *its own* part of the batch. Let us do that here
# with groups of 4 images. If both views of an image stand in the same group, they share a mean and a variance. The network
# can use what the statistics of its group do to both views alike, and find the partner by it: a shortcut (He et al. 2019,
# arXiv:1911.05722, section 3.3).
#
# The control deals the second views to the groups anew, so that the group says nothing about the partner. That is MoCo's
# **shuffled BatchNorm**.


# %%
class NormOfAPart(mc.nn.Module):
    """BatchNorm of each group of `views` rows by itself, as on many devices."""

    def __init__(self, channels, views):
        self.norm, self.views = mc.nn.BatchNorm2d(channels, momentum=0.02), views

    def forward(self, x):
        if not self.training:
            return self.norm(x)
        return mc.concatenate([self.norm(part) for part in mc.split(x, len(x) // self.views)])


GROUP = 4  # images, so 8 views


class InGroups(mc.train.SimCLR):
    """SimCLR whose batch is dealt to groups before the encoder, and put in order after it."""

    def loss(self, batch):
        v1, v2 = mc.data.two_views(batch.images, self.view, self.view_rng)
        z1, z2 = mc.split(self.dealt(v1, v2, self.paired, self.view_rng), 2)
        return mc.nt_xent(z1, z2, self.temperature), (z1, z2)

    def dealt(self, v1, v2, paired, rng):
        n = len(v1)
        seats = np.arange(n).reshape(-1, GROUP)
        others = seats if paired else rng.permutation(n).reshape(-1, GROUP)
        order = np.concatenate([seats, n + others], axis=1).ravel()
        return self(np.concatenate([v1, v2])[order])[np.argsort(order)]


def in_groups(seed, paired):
    """The same encoder and head, with the same weights at the start."""
    rng, layers = np.random.default_rng(seed), []
    for inputs, outputs in [(1, 16), (16, 32), (32, 64)]:
        conv = mc.nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False, init=mc.nn.kaiming_normal, rng=rng)
        layers += [conv, NormOfAPart(outputs, 2 * GROUP), mc.relu]
    encoder, head = mc.nn.Sequential(*layers, mc.nn.GlobalAvgPool()), mc.nn.ProjectionHead(64, 64, 64, rng=rng)
    method = InGroups(encoder, head, view, temperature=0.2, lr=3e-3, batch_size=128, seed=seed)
    method.paired = paired
    return method


if not at_leak:  # the fast profile trains the whole-batch encoder here, shortly
    for seed in range(LEAK_SEEDS):
        m = simclr(seed).fit(train.images, LEAK_EPOCHS, progress=False)
        at_leak.append({"h": (m.encode(train.images), m.encode(test.images)), "history": {k: v[-1] for k, v in m.history.items()}})
arms = {name: [in_groups(s, name == "paired").fit(train.images, LEAK_EPOCHS, progress=False) for s in range(LEAK_SEEDS)] for name in ("shuffled", "paired")}
start = simclr(0)
assert all((a.numpy() == b.numpy()).all() for a, b in zip(start.parameters(), in_groups(0, True).parameters()))


# %%
def partner_first(m, paired, together=GROUP):
    """In training mode, on views of test images: how often the partner comes first, if `together` images share a mean."""
    rng = np.random.default_rng(0)
    states, norms = m.state_dict(), [layer for layer in m.encoder.layers if isinstance(layer, NormOfAPart)]
    for layer in norms:
        layer.views = 2 * together
    with m.mode(training=True), mc.no_grad():
        v1, v2 = mc.data.two_views(test.images[:512], view, rng)
        hits = [mc.evaluate.positive_rank(*mc.split(m.dealt(v1[k : k + 128], v2[k : k + 128], paired, rng), 2))[1] for k in range(0, 512, 128)]
    for layer in norms:
        layer.views = 2 * GROUP
    m.load_state_dict(states)  # the running means have moved
    return np.mean(hits)


def judged(h, history, seed):
    features = {"train": h[0], "test": h[1]}
    return [history["loss"], 100 * history["top1"], 100 * probe(features, 10, seed), 100 * probe(features, 200, seed)]


outcome = {"whole batch": np.array([judged(a["h"], a["history"], s) for s, a in enumerate(at_leak[:LEAK_SEEDS])])}
for name, runs in arms.items():
    outcome[f"groups, {name}"] = np.array(
        [judged((m.encode(train.images), m.encode(test.images)), {k: v[-1] for k, v in m.history.items()}, s) for s, m in enumerate(runs)]
    )
trick = {same: 100 * np.mean([partner_first(m, same) for m in arms["paired"]]) for same in (True, False)}
display(
    table(
        ["normalised together", "loss (nats)", "partner first, %", "probe, 10 labels a class, %", "probe, all labels, %"],
        [[name, *(f"{m:.2f}" if k == 0 else f"{m:.1f}" for k, m in enumerate(v.mean(axis=0)))] for name, v in outcome.items()],
    )
)
whole_trick = 100 * np.mean([partner_first(m, True, 128) for m in arms["paired"]])
print(f"the paired networks, asked again: partner first {trick[True]:.0f} % with paired groups, {trick[False]:.0f} % with groups")
print(f"dealt anew, {whole_trick:.0f} % with one mean over the whole batch")

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 3.4), layout="constrained")
colors = {"whole batch": GREY, "groups, shuffled": BLUE, "groups, paired": RED}
titles = ["loss (nats)", "partner comes first, %", "probe, 10 labels a class, %", "probe, all labels, %"]
for k, (ax, title) in enumerate(zip(axes, titles)):
    for place, (name, values) in enumerate(outcome.items()):
        ax.plot(np.full(len(values), place) + np.linspace(-0.12, 0.12, len(values)), values[:, k], "o", ms=5, color=colors[name])
        ax.plot([place - 0.25, place + 0.25], [values[:, k].mean()] * 2, color=colors[name], lw=2)
    ax.set_xticks(range(3), ["whole\nbatch", "groups\nshuffled", "groups\npaired"])
    ax.set(title=title, xlim=(-0.5, 2.5))
for ax, limits in zip(axes, [(3.2, 4.4), (0, 40), (55, 70), (70, 85)]):
    ax.set_ylim(limits if FULL else None)
paired, shuffled, whole = (outcome[name] for name in ("groups, paired", "groups, shuffled", "whole batch"))
assert (paired[:, 1] > 1.2 * shuffled[:, 1]).all()
assert trick[True] > 1.2 * trick[False]
if FULL:
    assert (paired[:, 0] < shuffled[:, 0] - 0.1).all()  # the loss of every seed is lower
    assert (paired[:, 2:] - shuffled[:, 2:]).mean() < 0.5  # and the probe has nothing of it,
    assert (paired[:, 2:].mean(axis=0) > found["untrained encoder"][:, [1, 3]].mean(axis=0) + 2).all()  # but of the training
    assert trick[True] > 1.2 * whole_trick
show(
    figure,
    "Paired groups find more partners than shuffled ones" + (", at a lower loss; the probe is no better" if FULL else ""),
    f"After {LEAK_EPOCHS} epochs, {LEAK_SEEDS} seed{'s' * (LEAK_SEEDS > 1)} (dots), means (lines). "
    + "; ".join(
        f"{name}: loss {v[:, 0].mean():.2f}, partner first {v[:, 1].mean():.0f} per cent, probe {v[:, 2].mean():.1f} and {v[:, 3].mean():.1f} per cent"
        for name, v in outcome.items()
    )
    + ". Only the pairing differs between the last two.",
)

# %% [markdown]
# The two group runs have the same network and the same size of groups. Paired groups find the partner far more often, and
# when the same networks get groups dealt anew that skill is mostly gone. But paired views share the noise of their
# statistics, and dealt views do not, so the fall has two causes. One mean over the whole batch takes away the group and
# adds no noise: the skill falls there too. The probe is no better than with shuffled groups; it is still better than
# untrained. (The full profile shows it: three seeds, five epochs. The loss of every seed is lower; the differences of the
# probe are about as large as those between seeds.) **A lower loss is no proof of better features**, and numbers of two runs
# can be compared only if their batches are normalised alike. GroupNorm, or one mean over the whole batch (with all-gather
# over devices), has no such leak.

# %% [markdown]
# ## Play
#
# What does a representation hold for similar? Choose an image. The three rows show its eight nearest neighbours among 200
# test images: by raw pixels, by the untrained encoder, and by the trained one. Where do pixels fail? (Try bags.) Where does
# the trained encoder fail too? (Try shirts.) No label was used for any of the three. On average pixels are no worse here;
# look at the printed shares.

# %%
some = np.concatenate([np.flatnonzero(test.labels == c)[:20] for c in range(10)])
representations = {
    "raw pixels": pixels["test"][some],
    "untrained encoder": before[0]["test"][some],
    "trained encoder": after[0]["test"][some],
}
precision = {name: mc.evaluate.precision_at_k(f, test.labels[some], k=8) for name, f in representations.items()}
print({name: f"{p:.0%}" for name, p in precision.items()})
assert precision["raw pixels"] >= precision["trained encoder"] > precision["untrained encoder"]
gallery = neighbour_gallery(test.images[some], test.labels[some], representations, classes=mc.data.FASHION_CLASSES, k=8, chosen=170)
assert len(gallery.page()) < 400_000
gallery

# %% [markdown]
# ## Build
#
# Three exercises. Each starter below is wrong in an instructive way: read the report, mend the function, run again.
# `report.hint(1)`, `.hint(2)` and `.hint(3)` say more and more. The third is a rule for the learning rate. The short
# trainings here do without it; long ones often use it.

# %%
print(mc.course.describe("conv_vjp"))


# %%
def conv_vjp(g, x, w, stride):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    kh, kw = w.shape[:2]
    for p, q in np.ndindex(g.shape[1:3]):
        window = np.s_[:, stride * p : stride * p + kh, stride * q : stride * q + kw]
        dx[window] = np.einsum("nk,ijck->nijc", g[:, p, q], w)
        dw += np.einsum("nk,nijc->ijck", g[:, p, q], x[window])
    return dx, dw


mc.course.check("conv_vjp", conv_vjp)

# %%
print(mc.course.describe("group_norm"))


# %%
def group_norm(x, groups, eps):
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups)
    mean = split.mean(axis=(0, 1, 2, 4), keepdims=True)
    variance = split.var(axis=(0, 1, 2, 4), keepdims=True)
    return ((split - mean) / np.sqrt(variance + eps)).reshape(x.shape)


mc.course.check("group_norm", group_norm)

# %%
print(mc.course.describe("cosine_rate"))


# %%
def cosine_rate(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * step / warmup
    share = min((step - warmup) / (steps - warmup), 1.0)
    return final + (peak - final) * (1 + math.cos(math.pi * share)) / 2


mc.course.check("cosine_rate", cosine_rate)

# %% [markdown]
# ## Break
#
# A colleague evaluates the trained encoder. The test images come class by class, 100 at a time, and the accuracy is a
# riddle: after a shuffle of the same images it is another one. An encoder is a function of one image. Where is the fault?

# %%
sorted_by_class = np.argsort(test.labels, kind="stable")


def colleague(order):
    net = simclr(0).encoder
    net.load_state_dict(methods[0].encoder.state_dict())
    with mc.no_grad():
        features = np.concatenate([net(test.images[order[k : k + 100]]).numpy() for k in range(0, 1000, 100)])
    return mc.evaluate.knn(after[0]["train"], train.labels, features, test.labels[order])


by_class, mixed = colleague(sorted_by_class), colleague(np.random.default_rng(0).permutation(1000))
right = mc.evaluate.knn(after[0]["train"], train.labels, after[0]["test"], test.labels)
print(f"class by class: {by_class:.1%}     shuffled: {mixed:.1%}     right: {right:.1%}")
assert by_class < right - 0.2 and abs(mixed - right) < 0.1

# %% [markdown]
# <details><summary>The fault</summary>
#
# The encoder is still in training mode, so BatchNorm takes its statistics from the batch. A batch of 100 shoes loses
# what all shoes have in common. Evaluate with `net.eval()`, or `with net.mode(training=False)`; and test that an image has
# the same features alone and in company:
# </details>

# %%
alone = np.concatenate([methods[0].encode(test.images[k : k + 1]) for k in range(5)])
together = methods[0].encode(test.images[:100])[:5]
print("largest difference, alone and in company:", np.abs(alone - together).max())
assert np.abs(alone - together).max() < 1e-5 * np.abs(together).max()

# %% [markdown]
# ## Check yourself
#
# 1. How many outputs has a side of the image after each of the three convolutions (28 pixels, window 3, stride 2, padding
#    1), and how many weights has the third one?
# 2. With stride 1 the output is as large as the input if the padding is right. Which padding does a window of 5 need?
# 3. Views are normalised in groups of 4 images. Suppose an encoder knew the group of a view and *nothing else*. How
#    often does the partner come first, and how low is the loss, if all views of the group are equally good, and all
#    others are out of the question?

# %%
sizes = [28]
for _ in range(3):
    sizes.append((sizes[-1] + 2 * 1 - 3) // 2 + 1)
third = methods[0].encoder[6].weight.shape
print(f"1. {sizes[1:]}; {' · '.join(map(str, third))} = {math.prod(third):,} weights")
same = mc.conv.conv2d(np.zeros((1, 28, 28, 1)), np.zeros((5, 5, 1, 1)), padding=2).shape[1]
print(f"2. (k − 1)/2 = 2: {same} pixels")
knows = (1 / (2 * GROUP - 1), math.log(2 * GROUP - 1))
print(f"3. one of {2 * GROUP - 1} candidates: {knows[0]:.0%}, and log {2 * GROUP - 1} = {knows[1]:.2f} nats in place of {collapse:.2f}")
assert tuple(sizes[1:]) == (14, 7, 4) and same == 28 and math.prod(third) == methods[0].encoder[6].weight.size

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        ["A. outputs of a side: 28 pixels, 3 × 3, stride 2, padding 1", guess["A"], sizes[1]],
        ["B. the way back", guess["B"], "a convolution with the mirrored kernel (stride 1)"],
        ["C. partner first with paired and with other groups", guess["C"], f"{paired[:, 1].mean():.0f} % and {shuffled[:, 1].mean():.0f} %"],
        ["C. probe with all labels", guess["C"], f"{paired[:, 3].mean():.1f} % and {shuffled[:, 3].mean():.1f} %"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S4: traditional similarity is designed by hand, learned similarity takes over | under conditions: with 2,000 images learned features lead, on average, only at 2 labels a class; those of the larger encoder, from 60,000 images, are ahead on average at all four | *How many labels are needed?* |
# | S10: the model learns representations that are useful for telling classes apart | under conditions: yes with views that keep the class; a shortcut lowers the loss without better features | *How many labels are needed?*, *The leak* |
# | S12: contrastive learning uses data better than training on single samples | opinion; on this sample no lead over the same encoder, trained on the chosen labels alone, is shown that three seeds could tell, and with all labels SimCLR is behind | the label-efficiency curve |
# | S14: simple, easy to optimise, fits in everywhere | under conditions: a norm that mixes images lets the loss fall without better features | *The leak*, *Break* |
# | S23: by minimising the loss the model learns useful features | under conditions: of two runs, the one with the lower loss has features that are no better | *The leak* |
# | S25: an encoder, for example a ResNet, extracts the representations | true, and leaves out the projection head, and that the encoder must judge each image alone | *BatchNorm, GroupNorm*, *Break* |
# | S41: the cost comes from the similarities with all other samples | imprecise: at this size it is the encoder | *What it costs* |
# | S46: two stages, pretraining and then the task | true, and incomplete: evaluate in evaluation mode, and beside fair opponents | *Break*, the label-efficiency curve |

# %%
ahead = {name: found["SimCLR"] - v for name, v in found.items() if name != "SimCLR"}  # the same seed and the same labels
print(f"SimCLR is ahead by so many points with {', '.join(map(str, LABELS))} labels a class (mean and 95 % interval of the differences)")
for name, points in ahead.items():
    numbers = ", ".join(f"{m:+5.1f} ± {h:4.1f}" for m, h in zip(*mean_and_half(points))).replace("-", "−")
    print(f"of {name:18s} {numbers}")
middle = {name: points.mean(axis=0) for name, points in ahead.items()}
assert (middle["untrained encoder"] > 3).all() and middle["raw pixels"][0] > 0 > middle["raw pixels"][1:].max()  # S10, S4
if FULL:
    m, h = mean_and_half(ahead["labels alone"])
    clear = {"ahead": LABELS * (m > h), "behind": LABELS * (m < -h)}
    print("clear of zero by three seeds:", "; ".join(f"{way} with {[int(k) for k in ks if k]} labels a class" for way, ks in clear.items()))
    assert (m - h < 2).all() and m.mean() < 2  # S12: a lead of two points over labels alone is not shown anywhere
assert encoding > loss_both / total  # S41
if FULL:
    assert paired[:, 0].mean() < shuffled[:, 0].mean() and paired[:, 3].mean() < shuffled[:, 3].mean() + 0.5  # S23
