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
# # Assignment 3 · Encoders and SimCLR
#
# You write the gradient of a convolution, the views, and the training loop of SimCLR. Then you judge what an encoder
# has learned without labels, fairly: beside raw pixels and beside the same encoder before training.
#
# | part | minutes | points |
# |---|---|---|
# | 1 · A convolution backwards | 30 | 20 |
# | 2 · Two views | 10 | 10 |
# | 3 · The loop | 20 | 14 |
# | 4 · What was learned? | 30 | 31 |
# | 5 · Reading a picture | 20 | 25: 9 by tests, 16 read by a person |
# | **together** | **110** | **100**: 84 by tests, 16 by a person |
#
# **How to work**
#
# - Replace `# YOUR CODE HERE` and `raise NotImplementedError()` by your answer. Keep the names, and leave the cells
#   with tests as they are.
# - Functions take plain NumPy arrays and numbers, and do not change them. Only part 3 uses `minicl`; everything else is
#   NumPy alone.
# - Below most functions stands `mc.course.check(...)`. Run it as often as you like. It shows which tests pass, the
#   smallest input that fails, and often the name of the mistake. For a hint open a new cell and write, for example,
#   `mc.course.check("knn", knn).hint(1)`; `hint(2)` and `hint(3)` say more. Each row of the report belongs to a tier,
#   T0 to T5. Where an exercise has several test cells, the cell says which rows count for which points; rows that are
#   marked *optional* count for none.
# - Your answers are graded with other random numbers, and with tests of your own numbers that you do not see.
# - **Predict** questions ask for a number before you run anything. Write an expression, such as `math.log(3) / 2`, or
#   four digits. If you find out later that your guess was wrong, change it: what you hand in counts, not the first
#   guess.
# - Answer a question before you read on: the text below it often uses the answer.
# - No part needs your code of another part. If one does not work, go on.
#
# The whole notebook runs in less than a minute on one core. All that you need stands here; notebooks 09, 10 and 11 tell
# the same story at length, with pictures.

# %% nbgrader={"grade_id": "setup"}
import math

import matplotlib.pyplot as plt
import numpy as np

import minicl as mc

# %% [markdown] nbgrader={"grade_id": "ask_shape"}
# ## 1 · A convolution backwards
#
# Images stand in an array of shape (N, H, W, C): number, row, column, channel. A convolution slides a window of kh × kw
# pixels over each image, with steps of length `stride`, and multiplies what it sees by the weights w, of shape
# (kh, kw, C, K):
#
# $$y_{npqk} = \sum_{i=0}^{kh-1} \sum_{j=0}^{kw-1} \sum_{c=0}^{C-1}
# x_{n,\ \mathrm{stride}\cdot p + i,\ \mathrm{stride}\cdot q + j,\ c}\; w_{ijck}.$$
#
# There is no padding: each window lies inside the image, so some last rows and columns may lie in no window.
#
# **Predict** (2 points). x has shape (2, 9, 8, 3), w has shape (3, 3, 3, 5), and the stride is 2. Which shape has y?
# Write a tuple of four numbers as `shape`.

# %% nbgrader={"grade_id": "shape", "solution": true}
# shape = four numbers in brackets
### BEGIN SOLUTION
shape = (2, 4, 3, 5)
### END SOLUTION

# %% nbgrader={"grade_id": "test_shape", "points": 2}
print("your answer:", tuple(shape))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.shape(shape)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_conv_vjp"}
# Here is the forward function. It goes through the entries (i, j) of the window. `there` names the pixels that stand at
# this entry in *all* windows at once: every stride-th row from i on, every stride-th column from j on.

# %% nbgrader={"grade_id": "conv"}
def pixels(i, j, places, stride):
    """An index for images: where entry (i, j) of all windows stands; `places` counts the windows, (down, across)."""
    down, across = places
    return (
        slice(None),
        slice(i, i + stride * (down - 1) + 1, stride),
        slice(j, j + stride * (across - 1) + 1, stride),
    )


def conv(x, w, stride):
    """(N, H, W, C) and (kh, kw, C, K) to (N, down, across, K)."""
    places = [(size - k) // stride + 1 for size, k in zip(x.shape[1:3], w.shape[:2])]
    y = np.zeros((len(x), *places, w.shape[3]))
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            there = pixels(i, j, places, stride)
            y += x[there] @ w[i, j]  # (N, down, across, C) @ (C, K)
    return y


print(conv(np.ones((1, 5, 5, 1)), np.ones((3, 3, 1, 1)), 2)[0, :, :, 0])

# %% [markdown] nbgrader={"grade_id": "ask_conv_vjp_2"}
# **Build** (7 + 5 points). Some number L depends on y, and g is its gradient with respect to y: $g_{npqk} =
# \partial L/\partial y_{npqk}$, so g has the shape of y. Return the gradients of L with respect to x and w:
#
# - *7 points:* `dx`, of the shape of x. A pixel that lies in several windows gets something from each of them.
# - *5 points:* `dw`, of the shape of w. A weight is used for all images and all places.
#
# The convolution is linear in x, so its gradient is the same sum read backwards. You can go through the formula of y
# and ask: in which products does this pixel stand, and beside which weight? Or take the line `y += x[there] @ w[i, j]`,
# which picks pixels, multiplies and adds up, and undo it. `pixels` and `conv` may be used. No loop over images or
# places is needed.

# %% nbgrader={"grade_id": "conv_vjp", "solution": true}
def conv_vjp(g, x, w, stride):
    """The gradients (dx, dw) of a number L, where g is its gradient with respect to conv(x, w, stride)."""
    ### BEGIN SOLUTION
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            there = pixels(i, j, g.shape[1:3], stride)
            dx[there] += g @ w[i, j].T
            dw[i, j] = np.einsum("npqc,npqk->ck", x[there], g)
    return dx, dw
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_conv_vjp-dx", "points": 7}
mc.course.check("conv_vjp", conv_vjp)
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.conv_dx(conv_vjp)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_conv_vjp-dw", "points": 5}
# graded by the same rows, of which only dw counts here, and only dx above
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.conv_dw(conv_vjp)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_is_adjoint"}
# **A test that needs no right answer** (6 points). Let `forward` be any linear function, from arrays x of one shape to
# arrays y of another, and let `backward` take gradients g, of the shape of y, back to the shape of x. Then backward is
# right exactly if, for **all** x and g,
#
# $$\langle \mathrm{forward}(x),\, g\rangle = \langle x,\, \mathrm{backward}(g)\rangle,$$
#
# where ⟨a, b⟩ is the sum of the products of all entries. (Backward is then called the *adjoint* of forward.)
#
# Write this test as a function that returns True or False. Nobody can try all x and g, so draw both at random, from
# `rng` (`rng.standard_normal(shape)`). It is graded by what it says of right and of wrong backward functions. All
# numbers are float64, and two sums that are equal on paper can differ in their last digits; also, forward may make its
# arguments a billion times smaller or larger. So compare *relative* to the size of the numbers: ten correct digits are
# enough.

# %% nbgrader={"grade_id": "is_adjoint", "solution": true}
def is_adjoint(forward, backward, x_shape, rng):
    """Whether backward is the adjoint of the linear function forward, which takes arrays of shape x_shape."""
    ### BEGIN SOLUTION
    for _ in range(3):
        x = rng.standard_normal(x_shape)
        y = forward(x)
        g = rng.standard_normal(y.shape)
        left, right = (y * g).sum(), (x * backward(g)).sum()
        if not abs(left - right) <= 1e-10 * np.abs(y * g).sum():
            return False
    return True
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_is_adjoint", "points": 6}
A = np.random.default_rng(0).standard_normal((3, 4))
print("of x → x Aᵀ, right:", is_adjoint(lambda x: x @ A.T, lambda g: g @ A, (2, 4), np.random.default_rng(1)))
print("twice too large:", is_adjoint(lambda x: x @ A.T, lambda g: 2 * g @ A, (2, 4), np.random.default_rng(1)))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.is_adjoint(is_adjoint)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_chance"}
# ## 2 · Two views
#
# SimCLR draws two **views** of each image of a batch: the image after random changes that should not matter. Each of
# the 2N views is then compared with all other views, and should find its **partner**, the other view of its image.
#
# **Predict** (2 points). A batch has N = 64 images. A network that has learned nothing ranks the other views at random.
# How likely is it that the partner comes first? Write it as `chance`, as a fraction such as `2 / 3`.

# %% nbgrader={"grade_id": "chance", "solution": true}
# chance = a number
### BEGIN SOLUTION
chance = 1 / 127
### END SOLUTION

# %% nbgrader={"grade_id": "test_chance", "points": 2}
print("your answer:", float(chance))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.chance(chance)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_two_views"}
# **Build** (8 points). `images` has shape (N, H, W, C). `augment(images, rng)` returns new images of the same shape,
# each changed by random numbers of its own, which it draws from the NumPy generator rng. Return two views of the batch:
#
# - row i of both comes from image i, and is that image augmented *once*;
# - the two views of an image are changed by different random numbers;
# - all randomness comes from rng: the same seed gives the same views, and the next batch gets new ones.

# %% nbgrader={"grade_id": "two_views", "solution": true}
def two_views(images, augment, rng):
    """Two arrays (v1, v2) of the shape of images."""
    ### BEGIN SOLUTION
    return augment(images, rng), augment(images, rng)
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_two_views", "points": 8}
mc.course.check("two_views", two_views)
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.two_views(two_views)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_thrown_away"}
# ## 3 · The loop
#
# An **encoder** maps an image to a vector h, a **projection head** maps h to z, and the loss (NT-Xent) looks at z.
# After training one keeps the encoder and h; the head is thrown away.
#
# **Predict** (2 points). A layer from a to b numbers has a·b weights and b biases. The encoder has the layers 64 → 256
# → 128, and the head 128 → 128 → 64. How many trained numbers are thrown away? Write the number as `thrown_away`.

# %% nbgrader={"grade_id": "thrown_away", "solution": true}
# thrown_away = a number
### BEGIN SOLUTION
thrown_away = (128 * 128 + 128) + (128 * 64 + 64)
### END SOLUTION

# %% nbgrader={"grade_id": "test_thrown_away", "points": 2}
print("your answer:", float(thrown_away))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.thrown_away(thrown_away)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_train"}
# **Build** (4 + 8 points). The loop of SimCLR, with the engine of `minicl`. You need no more of it than this:
#
# | call | what it does |
# |---|---|
# | `draw(images, batch_size, rng)` | some of the images, chosen at random (defined in the next cell) |
# | `mc.data.two_views(images, view, rng)` | two views of them, (v1, v2): part 2 |
# | `encoder(v)`, `head(h)` | h of views, z of h |
# | `mc.nt_xent(z1, z2, temperature=...)` | the loss, a number that knows how it was computed (a *Tensor*) |
# | `encoder.parameters()`, `head.parameters()` | lists of the trained arrays; lists are joined by + |
# | `mc.optim.Adam(parameters, lr=lr)` | an optimiser: it keeps averages from step to step, so make it once |
# | `mc.grad(loss, parameters)` | the gradients of the loss, one for each of the parameters |
# | `optimizer.step(gradients)` | changes the parameters, downhill |
#
# Each of the `steps` steps draws a batch, then its two views, both with the same generator `rng`, and in this order. It
# computes the loss, and takes one step with **all** parameters of encoder and head. Return the losses of all steps, a
# list of plain numbers: `float(loss)`. (A list of Tensors would keep everything from which they were computed.)
#
# - *4 points:* the first loss, which is that of the network as it was given to you.
# - *8 points:* the steps: encoder and head end where they should, and the list has all losses.

# %% nbgrader={"grade_id": "draw"}
def draw(images, batch_size, rng):
    """Some of the images, each at most once."""
    return images[rng.choice(len(images), batch_size, replace=False)]

# %% nbgrader={"grade_id": "train", "solution": true}
def train(encoder, head, images, view, steps, batch_size, temperature, lr, rng):
    """Trains encoder and head in place, by SimCLR with Adam; returns the loss of each step as a list of floats."""
    ### BEGIN SOLUTION
    parameters = encoder.parameters() + head.parameters()
    optimizer = mc.optim.Adam(parameters, lr=lr)
    losses = []
    for _ in range(steps):
        v1, v2 = mc.data.two_views(draw(images, batch_size, rng), view, rng)
        loss = mc.nt_xent(head(encoder(v1)), head(encoder(v2)), temperature=temperature)
        optimizer.step(mc.grad(loss, parameters))
        losses.append(float(loss))
    return losses
    ### END SOLUTION

# %% [markdown] nbgrader={"grade_id": "say_digits"}
# The data: 1797 handwritten digits of 8 × 8 pixels; a quarter of them is kept for the test. A view is a small turn,
# shift and zoom, another brightness, and noise. The next cell trains for 30 steps with your loop. The loss begins near
# log 127, where all candidates look alike, and should fall by about one.

# %% nbgrader={"grade_id": "digits"}
digits, test_digits = mc.data.digits("train"), mc.data.digits("test")
view = mc.data.views.Compose(
    [
        mc.data.views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)),
        mc.data.views.ColorJitter(0.4, 0.4),
        mc.data.views.GaussianNoise(0.1),
    ]
)


def networks(seed):
    """An encoder and a head, not trained."""
    rng = np.random.default_rng(seed)
    return mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)

# %% nbgrader={"grade_id": "test_train-first_loss", "points": 4}
losses = train(*networks(0), digits.images, view, 30, 64, 0.5, 3e-3, np.random.default_rng(0))
print(f"first {losses[0]:.3f}, last {losses[-1]:.3f}; all alike: log 127 = {math.log(127):.3f}")
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.train_first_loss(train)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_train-steps", "points": 8}
# Graded: the encoder, the head and all losses after a few steps. A first look, after one step:
encoder, head = networks(1)
before = [p.numpy().copy() for p in encoder.parameters() + head.parameters()]
train(encoder, head, digits.images, view, 1, 64, 0.5, 3e-3, np.random.default_rng(1))
moved = [(p.numpy() != q).any() for p, q in zip(encoder.parameters() + head.parameters(), before)]
print(f"parameters that have moved: {sum(moved)} of {len(moved)}")
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.train_steps(train)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_random_labels"}
# ## 4 · What was learned?
#
# A test that finds something in **random labels** is broken. So try it on them first.
#
# **Predict** (2 points). 5000 images have random labels, ten classes, each equally likely. Each image takes the label
# of its nearest *other* image. Which share of the images gets its own label, on average? Write the number as
# `random_labels`.

# %% nbgrader={"grade_id": "random_labels", "solution": true}
# random_labels = a number
### BEGIN SOLUTION
random_labels = 0.1
### END SOLUTION

# %% nbgrader={"grade_id": "test_random_labels", "points": 2}
print("your answer:", float(random_labels))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.random_labels(random_labels)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_knn"}
# **Build** (8 points). Nearest neighbours. `features` has shape (N, d), with no row of zeros, and `labels` holds N
# whole numbers. For each row find the k *other* rows with the largest cosine similarity; of equally similar rows take
# those with the smaller index (a stable sort of the negative similarities does that:
# `np.argsort(-s, axis=1, kind="stable")`). Return for each row the label that most of these k have; if several labels
# are equally frequent, the smallest of them.

# %% nbgrader={"grade_id": "knn", "solution": true}
def knn(features, labels, k):
    """N labels: for each row that of the majority of its k nearest other rows."""
    ### BEGIN SOLUTION
    u = features / np.sqrt((features * features).sum(axis=1, keepdims=True))
    s = u @ u.T
    np.fill_diagonal(s, -np.inf)
    nearest = np.argsort(-s, axis=1, kind="stable")[:, :k]
    found = []
    for row in labels[nearest]:
        values, counts = np.unique(row, return_counts=True)  # sorted, so that argmax takes the smallest
        found.append(values[counts.argmax()])
    return np.array(found)
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_knn", "points": 8}
mc.course.check("knn", knn)
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.knn(knn)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_linear_probe"}
# **Build** (8 + 3 points). A linear probe in closed form. `train_x` has shape (N, d), `train_y` holds N labels (any
# whole numbers, such as 3 and 8), `test_x` has shape (M, d). Let T, of shape (N, classes), be 1 where an example has
# the class and 0 elsewhere. Find weights W, of shape (d, classes), and biases b that make
#
# $$\sum_{i=1}^{N} \lVert x_i W + b - T_i\rVert^2 + \mathrm{ridge}\cdot\lVert W\rVert^2$$
#
# smallest: a sum over the examples, and no penalty on b. Return for each test row the label with the largest score xW +
# b.
#
# The bias takes care of itself if you centre: take the mean of the *training* rows away from all x, and the mean of T
# away from T. Then W solves $(X^{\mathsf T}X + \mathrm{ridge}\cdot I)\,W = X^{\mathsf T}T$ with the centred X and T
# (`np.linalg.solve`), and the score of a test row is (x − mean of the training rows) W + mean of T.
#
# - *8 points:* right labels.
# - *3 points:* also with more features than examples, and with a feature that never changes.

# %% nbgrader={"grade_id": "linear_probe", "solution": true}
def linear_probe(train_x, train_y, test_x, ridge):
    """M labels, one for each row of test_x."""
    ### BEGIN SOLUTION
    classes = np.unique(train_y)
    targets = (train_y[:, None] == classes).astype(float)
    mean_x, mean_t = train_x.mean(axis=0), targets.mean(axis=0)
    x = train_x - mean_x
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ (targets - mean_t))
    scores = (test_x - mean_x) @ weights + mean_t
    return classes[scores.argmax(axis=1)]
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_linear_probe-values", "points": 8}
mc.course.check("linear_probe", linear_probe)
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.linear_probe(linear_probe)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_linear_probe-many_features", "points": 3}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.linear_probe_with_many_features(linear_probe)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_accuracies"}
# **Beside honest baselines** (10 points). A number alone says little. The next cell trains three encoders with SimCLR,
# from three seeds, for 6 epochs each (a few seconds), and keeps the same encoders as they were before training.
#
# | for each seed 0, 1, 2 | what it is |
# |---|---|
# | `untrained[seed]` | the encoder before training: `untrained[seed].encode(images)` gives h, shape (n, 128) |
# | `trained[seed]` | after training: `.encode(images)` gives h, shape (n, 128), and `.embed(images)` gives z, shape (n, 64) |
# | `few[seed]` | the numbers of 50 training images, 5 of each digit: the only ones whose labels may be used |
# | `digits.images`, `digits.labels` | training images, shape (1347, 8, 8, 1), and their labels |
# | `test_digits.images`, `test_digits.labels` | test images, shape (450, 8, 8, 1), and their labels |
#
# `probe(train_x, train_y, test_x, test_y)` is a linear probe that returns the share of right test labels. (It
# standardises the features and uses logistic regression, so your own probe gives slightly other numbers.)
#
# Fill the dictionary `accuracies` with four lists of three numbers, one for each seed: `"raw pixels"`, `"untrained h"`,
# `"trained h"` and `"trained z"`. Raw pixels are the images as rows of 64 numbers. All four use the same labels of
# the same images, plain images and not views of them, and are tested on all test images.

# %% nbgrader={"grade_id": "encoders"}
def simclr(seed, epochs):
    """A SimCLR method with its own encoder and head, trained for some epochs."""
    method = mc.train.SimCLR(*networks(seed), view, temperature=1.0, lr=3e-3, batch_size=128, seed=seed)
    return method.fit(digits.images, epochs, progress=False) if epochs else method


def probe(train_x, train_y, test_x, test_y):
    """The share of right test labels of a linear classifier on these features."""
    return mc.evaluate.linear_probe(train_x, train_y, test_x, test_y, C=0.1)


untrained = [simclr(seed, epochs=0) for seed in range(3)]
trained = [simclr(seed, epochs=6) for seed in range(3)]
few = [mc.data.few_labels(digits.labels, 5, np.random.default_rng([seed, 5])) for seed in range(3)]
print("loss of the last epoch:", [round(method.history["loss"][-1], 3) for method in trained])
print(f"where all are alike: log 255 = {trained[0].collapse:.3f}")

# %% nbgrader={"grade_id": "accuracies", "solution": true}
# accuracies = {"raw pixels": [...], "untrained h": [...], "trained h": [...], "trained z": [...]}
### BEGIN SOLUTION
accuracies = {"raw pixels": [], "untrained h": [], "trained h": [], "trained z": []}
for seed in range(3):
    features = {
        "raw pixels": lambda images: images.reshape(len(images), -1),
        "untrained h": untrained[seed].encode,
        "trained h": trained[seed].encode,
        "trained z": trained[seed].embed,
    }
    for name, f in features.items():
        known = digits.images[few[seed]], digits.labels[few[seed]]
        accuracies[name].append(probe(f(known[0]), known[1], f(test_digits.images), test_digits.labels))
### END SOLUTION

# %% nbgrader={"grade_id": "test_accuracies", "points": 10}
for name in ("raw pixels", "untrained h", "trained h", "trained z"):
    print(name.ljust(12), [f"{100 * float(share):.1f} %" for share in accuracies[name]])
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.accuracies(accuracies, untrained, trained, few)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_plane_share"}
# ## 5 · Reading a picture
#
# A vector of 128 numbers cannot be drawn, so one draws its shadow on a plane: the two **principal components**, the
# directions in which the features vary most. How much of the features does such a picture show?
#
# **Build** (6 points). `x` has shape (n, d): n points, one a row. Take the mean of the points away. Then the *variance*
# along a direction is the mean square of the coordinates in this direction, and the singular values
# $\sigma_1 \ge \sigma_2 \ge \dots$ of the centred array (`np.linalg.svd(centred, compute_uv=False)`) have the property
# that $\sigma_i^2/n$ is the variance along the i-th principal component. Return the share of the first two in the sum
# of all variances, a number between 0 and 1.

# %% nbgrader={"grade_id": "plane_share", "solution": true}
def plane_share(x):
    """The share of the variance of the rows of x that lies in their best plane."""
    ### BEGIN SOLUTION
    variances = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    return variances[:2].sum() / variances.sum()
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_plane_share", "points": 6}
corners = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
print("three equal directions, 2/3 is right:", float(plane_share(corners)))
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.plane_share(plane_share)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "say_picture"}
# Now a picture. Three times the test images in the plane of the first two principal components: raw pixels, h of the
# trained encoder of seed 0, and the same h with **shuffled labels**, a control. Below each stands the share of the
# variance that the plane shows, and how often the 5 nearest neighbours *in the plane* have the right label by majority.
# The table below it has more of the probe, and the 5 nearest neighbours in all dimensions.

# %% nbgrader={"grade_id": "picture"}
def in_the_plane(x):
    """The first two principal components of the rows, and the share of the variance that they hold."""
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return u[:, :2] * s[:2], (s[:2] ** 2).sum() / (s**2).sum()


flat = lambda images: images.reshape(len(images), -1)
h, y = trained[0].encode(test_digits.images), test_digits.labels
shuffled = np.random.default_rng(0).permutation(y)
panels = [("raw pixels", flat(test_digits.images), y), ("trained h", h, y), ("trained h, labels shuffled", h, shuffled)]
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, (title, x, labels) in zip(axes, panels):
    points, share = in_the_plane(x)
    right = mc.evaluate.knn_leave_one_out(points, labels, k=5, metric="euclidean")
    ax.scatter(*points.T, c=labels, cmap="tab10", s=9)
    ax.set(xticks=[], yticks=[], title=title)
    ax.set_xlabel(f"{share:.0%} of the variance, neighbours right: {right:.0%}")
plt.show()

rows = {
    "raw pixels": [flat] * 3,
    "untrained h": [m.encode for m in untrained],
    "trained h": [m.encode for m in trained],
    "trained z": [m.embed for m in trained],
}
table = [["right test labels in %", "1 label a class", "5 labels a class", "all labels", "5 neighbours, all labels"]]
for name, features in rows.items():
    shares = {"1": [], "5": [], "all": [], "neighbours": []}
    for seed, f in enumerate(features):
        a, b = f(digits.images), f(test_digits.images)
        for k in (1, 5):
            some = mc.data.few_labels(digits.labels, k, np.random.default_rng([seed, k]))
            shares[str(k)].append(probe(a[some], digits.labels[some], b, y))
        shares["all"].append(probe(a, digits.labels, b, y))
        shares["neighbours"].append(mc.evaluate.knn(a, digits.labels, b, y, k=5))
    table.append([name, *("  ".join(f"{100 * share:.1f}" for share in column) for column in shares.values())])
print("three numbers a cell: seeds 0, 1, 2\n")
print("\n".join("".join(entry.ljust(24) for entry in line) for line in table))

# %% [markdown] nbgrader={"grade_id": "ask_allowed"}
# **Choose** (3 points). Somebody shows a t-SNE map of the features h, one map, perplexity 30. The digit 1 appears in
# two clumps that lie far apart, one of them much larger than the other. Which one of these conclusions does the map
# allow?
#
# - **A.** The two clumps lie far apart in the 128 dimensions of h too.
# - **B.** The larger clump is spread out more widely in the 128 dimensions.
# - **C.** Most points that lie close together in the map have similar features h.
# - **D.** There are two kinds of the digit 1, without a doubt.
#
# Write the letter as `allowed`, for example `allowed = "A"`.

# %% nbgrader={"grade_id": "allowed", "solution": true}
# allowed = a letter in quotes
### BEGIN SOLUTION
allowed = "C"
### END SOLUTION

# %% nbgrader={"grade_id": "test_allowed", "points": 3}
print("your answer:", allowed)
### BEGIN HIDDEN TESTS
import hidden_a3
hidden_a3.allowed(allowed)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_report"}
# **Report** (16 points, graded by a person). A colleague writes: *"The picture proves that SimCLR learns the digits:
# its features are better than raw pixels."* Answer in 10 to 15 sentences, with numbers of the picture and the table
# above.
#
# | what | points |
# |---|---|
# | a. Where are the trained features better than raw pixels, and by how much? Give the difference for each seed, and say whether it has the same sign for all three. | 4 |
# | b. Where are they *not* better? Name a case, with numbers. | 3 |
# | c. What does the untrained encoder add to the comparison? How much of the gain over raw pixels was there before training? | 3 |
# | d. What can the picture show, and what can it not? Use the share of the variance, and the control. | 3 |
# | e. A sentence that is true, to put in the place of the colleague's, with its conditions (data, labels, number of seeds); and one more experiment that would make it surer. | 3 |

# %% [markdown] nbgrader={"grade_id": "report", "solution": true, "points": 16}
# (Numbers differ a little from machine to machine.)
#
# **a.** With one label of each class h is better than pixels in all three seeds, by roughly 19 points of a hundred.
# With five labels it is ahead in all three as well, by 4.0, 4.6 and 0.5 points: the sign is the same, the size is not,
# and half a point of 450 test images is two images.
#
# **b.** By 5 nearest neighbours raw pixels are ahead, 98.2 % against 97 %. With all labels h is ahead by 0.2 to 1.3
# points only, one to six test images.
#
# **c.** The untrained encoder is ahead of pixels by 9 to 11 points with one label, as a random nonlinear map to 128
# numbers. So about half of the gain was there before training; what SimCLR added is the rest. With five labels the
# untrained encoder is about as good as pixels, so there nearly all of the gain is due to training.
#
# **d.** The plane holds half of the variance of h, and less than a third of that of pixels. Digits that overlap in it
# may be apart in other directions, so an overlap proves nothing. The control is right in one of ten cases, by chance;
# the picture of h, with 65 %, does show something of the digits. But so does that of pixels, with 61 %: it cannot prove
# that one is better.
#
# **e.** "On 8 × 8 digits, with one or five labels of each class, a linear probe on SimCLR features was better than on
# raw pixels in three of three seeds; with all labels the gain was at most 1.3 points, and nearest neighbours were
# better on pixels." More seeds with an interval, other choices of the few labels for each encoder, or data that are not
# so easy for pixels.
