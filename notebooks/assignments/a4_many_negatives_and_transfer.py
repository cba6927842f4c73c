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
# # Assignment 4 · Many negatives, more positives, and transfer
#
# You write what lets a loss have more candidates than the memory holds: a queue, a log-sum-exp in blocks, and a
# gradient in two passes. Then an anchor gets more than one positive. At last you measure, with an interval, whether
# what was learned without labels is worth anything where labels are few.
#
# | part | minutes | points |
# |---|---|---|
# | 1 · A queue of keys | 20 | 13 |
# | 2 · A sum over more than fits | 20 | 18 |
# | 3 · One gradient in two passes | 15 | 14 |
# | 4 · More positives | 25 | 22 |
# | 5 · Transfer | 25 | 33: 21 by tests, 12 read by a person |
# | **together** | **105** | **100**: 88 by tests, 12 by a person |
#
# **How to work**
#
# - Replace `# YOUR CODE HERE` and `raise NotImplementedError()` by your answer. Keep the names, and leave the cells with
#   tests as they are.
# - Functions take plain NumPy arrays and numbers, and do not change them. NumPy is all that you need, but for one line of
#   part 5, where it is named.
# - Below most functions stands `mc.course.check(...)`. Run it as often as you like. It shows which tests pass, the
#   smallest input that fails, and often the name of the mistake. For a hint open a new cell and write, for example,
#   `mc.course.check("supcon", supcon).hint(1)`; `hint(2)` and `hint(3)` say more.
# - Your answers are graded with other random numbers, and with tests of your own numbers that you do not see.
# - **Predict** questions ask for a number before you run anything. If you find out later that your guess was wrong,
#   change it: what you hand in counts, not the first guess.
# - No part needs your code of another part. If one does not work, go on.
#
# The whole notebook runs in less than a minute on one core. Notebooks 12 and 13 tell the same story at length.

# %% nbgrader={"grade_id": "setup"}
import math

import numpy as np

import minicl as mc

# %% [markdown] nbgrader={"grade_id": "ask_oldest"}
# ## 1 · A queue of keys
#
# MoCo keeps the keys of the last batches, and they serve as negatives. They lie in a ring of K slots. Keys are numbered
# from 0 as they come, and key t lies in slot t mod K. Nothing is ever moved: a new key takes the place of an old one.
#
# **Predict** (3 points). K = 7, and batches of 3 keys were put in four times. Which key is the oldest that is still
# there? Write its number as `oldest`.

# %% nbgrader={"grade_id": "oldest", "solution": true}
# oldest = a number
### BEGIN SOLUTION
oldest = 5
### END SOLUTION

# %% nbgrader={"grade_id": "test_oldest", "points": 3}
print("your answer:", oldest)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.oldest(oldest)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_fifo_queue"}
# **Build** (7 + 3 points). `queue` has shape (K, d), `count` says how many keys were put in so far, and `keys` has
# shape (B, d). Put the keys in, in their order, and return the queue after it, as a new array, and the new count. K
# need be no multiple of B, so a batch may go over the end of the ring. Three points are for batches with more than K
# keys, of which only the last K remain.
#
# `print(mc.course.describe("fifo_queue"))` tells every detail, here and for the other names below.

# %% nbgrader={"grade_id": "fifo_queue", "solution": true}
def fifo_queue(queue, count, keys):
    """The queue after the keys were put in, and the new count."""
    ### BEGIN SOLUTION
    new = queue.copy()
    last = np.arange(max(0, len(keys) - len(queue)), len(keys))
    new[(count + last) % len(queue)] = keys[last]
    return new, count + len(keys)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_fifo_queue-order", "points": 7}
mc.course.check("fifo_queue", fifo_queue)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.fifo_queue(fifo_queue)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_fifo_queue-many", "points": 3}
five = fifo_queue(np.zeros((3, 1)), 0, np.arange(5.0)[:, None])[0]
print("five keys into three slots:", five.ravel(), "expected: [3. 4. 2.]")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.fifo_queue_many(fifo_queue)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_memory"}
# ## 2 · A sum over more than fits
#
# A batch of N = 4096 images has 8192 views, and so a matrix of 8192 × 8192 scores. The loss needs the log-sum-exp of
# each row, and not the matrix. So the columns can come in blocks: each is used and forgotten.
#
# **Predict** (2 points). Blocks of 256 columns: by which factor does the largest array of scores shrink? Write it as
# `factor`.

# %% nbgrader={"grade_id": "factor", "solution": true}
# factor = a number
### BEGIN SOLUTION
factor = 8192 / 256
### END SOLUTION

# %% nbgrader={"grade_id": "test_factor", "points": 2}
print("your answer:", factor)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.factor(factor)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_blocked_lse"}
# **Build** (10 + 6 points). `scores(a, b)` returns the columns a to b − 1 of a matrix with n columns, as an array of
# shape (N, b − a). Ask for at most `block` columns at a time, and for each column once. Return $\log \sum_k e^{s_{ik}}$
# for each row i, of shape (N,). n need be no multiple of `block`.
#
# Keep two numbers for each row: the largest score $m$ so far, and the sum $t = \sum_k e^{s_k - m}$ so far. When a block
# brings a larger score, $m$ becomes $m'$. What has the old sum to be multiplied by, so that it is a sum of $e^{s_k -
# m'}$?
#
# Six points are for scores up to ±1000, and for candidates that do not count: their score is −∞, and a whole block of a
# row may be −∞. (In NumPy `-np.inf - -np.inf` is no number.)

# %% nbgrader={"grade_id": "blocked_lse", "solution": true}
def blocked_lse(scores, n, block):
    """The log-sum-exp of each row of a matrix that is never there as a whole."""
    ### BEGIN SOLUTION
    largest, total = -np.inf, 0.0
    for a in range(0, n, block):
        s = scores(a, min(a + block, n))
        new = np.maximum(largest, s.max(axis=1))
        shift = np.where(np.isfinite(new), new, 0)
        total = total * np.exp(largest - shift) + np.exp(s - shift[:, None]).sum(axis=1)
        largest = new
    return largest + np.log(total)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_blocked_lse-values", "points": 10}
mc.course.check("blocked_lse", blocked_lse)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.blocked_lse(blocked_lse)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_blocked_lse-large", "points": 6}
row = np.array([[-np.inf, -np.inf, 1000.0, 1000.0]])
with np.errstate(all="ignore"):
    print("a masked block and large scores:", blocked_lse(lambda a, b: row[:, a:b], 4, 2), "expected: [1000.69314718]")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.blocked_lse_large(blocked_lse)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_times"}
# ## 3 · One gradient in two passes
#
# Now the *encoder* is what does not fit: it takes `chunk` rows of the batch at a time. The sum of the gradients of the
# chunks' own losses is another gradient, since their negatives are missing. Gradient caching gets the right one:
#
# 1. encode the batch in chunks, and keep the embeddings only (they are small);
# 2. find ∂L/∂z for the embeddings of the whole batch;
# 3. go through the chunks again: encode, and pull the rows of ∂L/∂z that belong to this chunk back to the weights.
#
# **Predict** (2 points). How often does each image go through the encoder, forwards? Write the number as `times`.

# %% nbgrader={"grade_id": "times", "solution": true}
# times = a number
### BEGIN SOLUTION
times = 2
### END SOLUTION

# %% nbgrader={"grade_id": "test_times", "points": 2}
print("your answer:", times)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.times(times)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_cached_gradient"}
# **Build** (9 + 3 points). You get
#
# - `encode(x)`: the embeddings of some rows of x;
# - `loss_gradient(z)`: ∂L/∂z, of the shape of z, for the embeddings of the **whole** batch;
# - `pull_back(x, g)`: for some rows of x and their rows g of ∂L/∂z, their part Σ g ∂z/∂w of the gradient of the weights.
#   It encodes these rows once more, inside.
#
# `encode` and `pull_back` take at most `chunk` rows. Return ∂L/∂w for the batch x. Three points are for batches whose
# last chunk is smaller.

# %% nbgrader={"grade_id": "cached_gradient", "solution": true}
def cached_gradient(encode, pull_back, loss_gradient, x, chunk):
    """The gradient of the weights for the whole batch."""
    ### BEGIN SOLUTION
    parts = [slice(a, a + chunk) for a in range(0, len(x), chunk)]
    g = loss_gradient(np.concatenate([encode(x[part]) for part in parts]))
    return sum(pull_back(x[part], g[part]) for part in parts)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_cached_gradient-whole", "points": 9}
mc.course.check("cached_gradient", cached_gradient)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.cached_gradient(cached_gradient)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_cached_gradient-rest", "points": 3}
# Embeddings z = w x with w = 2, and L = ½ (Σ z)²: three rows of 1 have Σ z = 6, and ∂L/∂w = 6 · 3.
slope = lambda z: np.full(z.shape, z.sum())
whole = cached_gradient(lambda x: 2 * x, lambda x, g: (g * x).sum(), slope, np.ones((3, 1)), 2)
print("three rows, two at a time:", whole, "expected: 18.0")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.cached_gradient_rest(cached_gradient)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_supcon"}
# ## 4 · More positives
#
# With labels, all rows of a class are positives of each other. The scores $s_{ik}$ are cosines divided by the
# temperature. $P_i$ are the *other* rows with the label of row i. The loss of row i is
#
# $$\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \Bigl( \log \sum_{k \ne i} e^{s_{ik}} - s_{ip} \Bigr),$$
#
# and the loss of the batch is the mean over the rows that have a positive. A row whose label occurs once has no loss,
# but is a candidate of the others.
#
# **Build** (10 + 3 points). Three points are for temperature 0.001.

# %% nbgrader={"grade_id": "supcon", "solution": true}
def supcon(z, labels, temperature):
    """The supervised contrastive loss of the rows of z, one number."""
    ### BEGIN SOLUTION
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = u @ u.T / temperature
    np.fill_diagonal(s, -np.inf)
    top = s.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(s - top).sum(axis=1, keepdims=True))
    positive = (labels[:, None] == labels) & ~np.eye(len(z), dtype=bool)
    some = positive.any(axis=1)
    terms = np.where(positive, log_sum - s, 0)[some]
    return (terms.sum(axis=1) / positive[some].sum(axis=1)).mean()
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_supcon-values", "points": 10}
mc.course.check("supcon", supcon)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.supcon(supcon)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_supcon-sharp", "points": 3}
with np.errstate(all="ignore"):
    print("three equal rows, τ = 0.001:", supcon(np.ones((3, 2)), np.zeros(3, int), 0.001), "expected: 0.693147 = log 2")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.supcon_sharp(supcon)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_as_supcon"}
# **Build** (6 points). Without labels an image can have more positives too: more views. V views of N images have shape
# (V, N, d), and `views[v, i]` is view v of image i. Their loss is SupCon with the number of the image as label. Bring
# the views into that form: return `z` of shape (V N, d) and `labels` of shape (V N,), whole numbers. The order of the
# rows is up to you.

# %% nbgrader={"grade_id": "as_supcon", "solution": true}
def as_supcon(views):
    """(z, labels), of which SupCon is the loss of these views."""
    ### BEGIN SOLUTION
    v, n, d = views.shape
    return views.reshape(v * n, d), np.tile(np.arange(n), v)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_as_supcon", "points": 6}
z, labels = as_supcon(np.arange(6.0).reshape(3, 2, 1))
print("views of image 0 are 0, 2, 4; yours:", np.sort(np.ravel(z)[np.asarray(labels) == labels[np.argmin(z)]]))
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.as_supcon(as_supcon)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_floor"}
# **Predict** (3 points). Four views of each image, and an encoder that could not be better: all views of an image lie
# in one point, and different images at right angles. The temperature goes to 0. Which value does the loss go to? Write
# it as `floor`, for example as `math.log(5)`.

# %% nbgrader={"grade_id": "floor", "solution": true}
# floor = a number
### BEGIN SOLUTION
floor = math.log(3)
### END SOLUTION

# %% nbgrader={"grade_id": "test_floor", "points": 3}
print("your answer:", floor)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.floor(floor)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_few_rows"}
# ## 5 · Transfer
#
# An encoder was trained without labels. What is it worth where labels are few? We take k labels of each class, train a
# linear classifier on the features of these rows alone, and test it. Which rows are drawn changes the result, so we
# draw several times. For a fair comparison two encoders get **the same** draws.
#
# **Build** (6 points). Return the numbers of k rows of each class, drawn without replacement by the generator `rng`, as
# whole numbers of shape (k · classes,). The order is up to you. Every row of a class must have the same chance.

# %% nbgrader={"grade_id": "few_rows", "solution": true}
def few_rows(labels, k, rng):
    """Numbers of k random rows of each class."""
    ### BEGIN SOLUTION
    classes = np.unique(labels)
    return np.concatenate([rng.choice(np.flatnonzero(labels == c), k, replace=False) for c in classes])
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_few_rows", "points": 6}
print("one row of each class of 0 0 0 1 1:", few_rows(np.array([0, 0, 0, 1, 1]), 1, np.random.default_rng(0)))
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.few_rows(few_rows)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_label_curve"}
# **Build** (6 points). `draws` has shape (D, m): each line holds the numbers of m rows whose labels are known. For each
# line train a linear classifier on these rows of `train_x` and `train_y`, and on no others, and test it on all of
# `test_x` and `test_y`. Return the accuracies, of shape (D,). The classifier is `mc.evaluate.linear_probe(train_x,
# train_y, test_x, test_y, model="ridge")`: it standardises the features with the rows that it is trained on, and
# returns the share of right test labels.

# %% nbgrader={"grade_id": "label_curve", "solution": true}
def label_curve(train_x, train_y, test_x, test_y, draws):
    """The accuracy of a linear probe for each draw of known labels."""
    ### BEGIN SOLUTION
    probe = lambda rows: mc.evaluate.linear_probe(train_x[rows], train_y[rows], test_x, test_y, model="ridge")
    return np.array([probe(rows) for rows in draws])
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_label_curve", "points": 6}
# Half of the rows point the wrong way: with rows 0 and 1 all is right, with rows 2 and 3 all is wrong.
x, y = np.array([[0.0], [1.0], [1.0], [0.0]]), np.array([0, 1, 0, 1])
print(label_curve(x, y, x[:2], y[:2], np.array([[0, 1], [2, 3]])), "expected: [1. 0.]")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.label_curve(label_curve)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_gain"}
# **Build** (6 points). `a` and `b` hold the accuracies of two encoders on the same n draws. Return the mean of the
# difference a − b and the half-width of its 95 % interval, two numbers. The draws are shared, so take the differences
# first, and then their standard deviation s (with n − 1): the half-width is $q\, s / \sqrt{n}$. The factor q is the
# 97.5 % point of Student's t with n − 1 degrees of freedom, `t.ppf(0.975, n - 1)` with `from scipy.stats import t`.

# %% nbgrader={"grade_id": "gain", "solution": true}
def gain(a, b):
    """Mean and half-width of the 95 % interval of a − b, for paired measurements."""
    ### BEGIN SOLUTION
    from scipy.stats import t

    difference = np.asarray(a) - np.asarray(b)
    n = len(difference)
    return difference.mean(), t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_gain", "points": 6}
mean, half = gain(np.array([11.0, 52.0, 33.0]), np.array([10.0, 50.0, 30.0]))
print("gains of 1, 2 and 3 points:", mean, half, "expected: 2, 2.484")
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.gain(gain)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_frozen"}
# **Choose** (3 points). Somebody trains a linear layer on top of an encoder with BatchNorm, and says: "The optimiser
# has the parameters of the linear layer alone, so the encoder is frozen." What proves that it is? Write the letter as
# `frozen`.
#
# - **A.** The parameters of the encoder are equal before and after, bit for bit.
# - **B.** The gradients of the encoder's parameters are zero.
# - **C.** The whole state of the encoder, parameters and running statistics, is equal before and after, bit for bit.
# - **D.** The loss falls.

# %% nbgrader={"grade_id": "frozen", "solution": true}
# frozen = a letter
### BEGIN SOLUTION
frozen = "C"
### END SOLUTION

# %% nbgrader={"grade_id": "test_frozen", "points": 3}
print("your answer:", frozen)
### BEGIN HIDDEN TESTS
import hidden_a4
hidden_a4.frozen(frozen)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "say_measured"}
# **Measure.** The next cell trains an encoder on 1347 digits without labels for 8 epochs, and measures three kinds of
# features with 1, 3, 10 and 50 labels of each class: eight draws each, the same for all three. It uses ready-made
# functions, so that it works whatever you wrote above. It takes some seconds.

# %% nbgrader={"grade_id": "measured"}
digits, test_digits = mc.data.digits("train"), mc.data.digits("test")
view = mc.data.views.Compose(
    [
        mc.data.views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)),
        mc.data.views.ColorJitter(0.4, 0.4),
        mc.data.views.GaussianNoise(0.1),
    ]
)


def simclr(epochs):
    """An encoder, trained for some epochs."""
    rng = np.random.default_rng(0)
    networks = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)
    method = mc.train.SimCLR(*networks, view, temperature=1.0, lr=3e-3, batch_size=128, seed=0)
    return method.fit(digits.images, epochs, progress=False) if epochs else method


encoders = {
    "raw pixels": lambda images: images.reshape(len(images), -1),
    "untrained": simclr(0).encode,
    "trained": simclr(8).encode,
}
curves = {
    name: mc.evaluate.label_efficiency(
        f(digits.images), digits.labels, f(test_digits.images), test_digits.labels, (1, 3, 10, 50), seeds=8, model="ridge"
    )
    for name, f in encoders.items()
}
print("labels of each class          1      3     10     50")
for name, curve in curves.items():
    print(f"{name:24s}", *(f"{100 * mean:6.1f}" for mean in curve.mean), " % right")
for name in ("raw pixels", "untrained"):
    differences = 100 * (curves["trained"].scores - curves[name].scores)
    intervals = [mc.evaluate.t_interval(row) for row in differences]
    print(f"trained − {name}:", ", ".join(f"{mean:+.1f} ± {half:.1f}" for mean, half in intervals), "points")

# %% [markdown] nbgrader={"grade_id": "ask_report"}
# **Report** (12 points, graded by a person). A company has 20,000 unlabelled images like these, and pays for each
# label. Shall it train an encoder without labels first? Answer in 10 sentences at most, with numbers of the output
# above.
#
# | what | points |
# |---|---|
# | a. The gain over raw pixels, with its interval, where labels are fewest and where they are most | 3 |
# | b. How much of that gain the training brought, and how much was there in the untrained encoder | 3 |
# | c. A recommendation that follows from a and b, with its condition (how many labels) | 3 |
# | d. What these intervals do not cover (two things that were the same in all draws), and one experiment for it | 3 |

# %% [markdown] nbgrader={"grade_id": "report", "solution": true, "points": 12}
# (Numbers differ a little from machine to machine.)
#
# **a.** With one label of each class the trained features are ahead of raw pixels by 14.7 ± 2.9 points (68.6 % against
# 53.9 %), with 50 by 3.1 ± 0.4 (95.3 % against 92.2 %). All intervals lie above 0, and the gain falls as labels get
# more.
#
# **b.** The untrained encoder, a random nonlinear map, is ahead of pixels by about 5 points with one label. So of the
# 14.7 points training brought 9.7 ± 3.2. With 50 labels of each class it brought 0.7 ± 0.5 of the 3.1.
#
# **c.** With up to about ten labels of each class, train it: 4 to 10 points beyond the untrained encoder for no label at
# all; with 3 labels it comes within 3 points of raw pixels with 10. With 50 and more, the untrained encoder alone gives
# 2.4 of the 3.1 points, and the training is hardly worth its time.
#
# **d.** The encoder (one seed of network and training) and the test images were the same in all draws, and so were the
# classifier and the data set. The intervals cover the choice of the labelled rows alone. Train encoders from several
# seeds, and take the interval over seeds; or repeat all of it on images of the company.
