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
# # 12 · Many negatives: memory bank, MoCo, large batch, data parallel
#
# A contrastive loss compares with negatives, and many are better than few. Where do they come from? From **memory**:
# embeddings of earlier steps, which cost nothing but are old. Or from a **large batch**: embeddings of this step, which
# are fresh but do not fit. This notebook measures what each of them costs, and makes the second one exact.
#
# **When you are through, you can**
#
# - say what a negative costs when it is encoded, and what when it is remembered;
# - tell a memory bank from a queue, and the age of a key from the lag of its encoder;
# - compute the loss of a batch whose scores do not fit into memory, block by block;
# - compute its gradient when the encoder's graph does not fit either, in two passes;
# - compute both on several machines, and say what is lost when a gather has no gradient.
#
# **You need** notebooks 06 and 07 (the losses) and 09 (training).
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import collections
import math
import os
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from scipy.stats import t as student

import minicl as mc
from minicl import parallel
from minicl.losses import blocked
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, momentum_queue, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
KEYS, BATCH = mc.derivations.ALL["momentum_keys"], mc.derivations.ALL["large_batch"]

style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** A small network (784-512-256-128) must compare one query with one more negative. How many times more work is it to
#   encode that negative than to compare with it?
# - **B.** MoCo's key encoder keeps m = 0.999 of itself in each step. How old is it on average, in steps?
# - **C.** A batch does not fit. You cut it into 4 parts, take the loss of each part, and the mean of the 4 gradients. By how
#   many per cent is it off?
# - **D.** A queue starts with zeros in all its slots. What share of the queries finds its key at the first step?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %% [markdown]
# ## Derive
#
# ### What a negative costs
#
# We count multiplications with addition (MACs). To encode an image costs one for each weight. To compare two embeddings of
# $d$ numbers costs $d$. To learn from either takes about three times as much: once forwards, twice backwards.

# %%
WIDTHS = [784, 512, 256, 128]
encode = sum(a * b for a, b in zip(WIDTHS, WIDTHS[1:]))
compare = WIDTHS[-1]
print(f"encode: {encode:,} MACs      compare: {compare} MACs      ratio: {encode / compare:.0f}")
assert round(encode / compare) == 4416


def row(name, negatives, images, passes, scores, stored):
    """`passes` for an image: 3 for a view with its graph, 1 for a view without."""
    costs = f"{images * passes * encode:.1e}", f"{scores * compare:.1e}", f"{stored * compare:.1e}" if stored else "0"
    return [name, f"{negatives:,}", *costs, f"{passes * encode:.1e}"]


many = 65_536
saved = 3 * (many + 2) / (4 * 256)
print(f"encoded in a step with {many:,} negatives: {saved:.0f} times less with a queue")
print(f"encoded for each image that is learned from: {6 / 4:.1f} times less")
crossing = (3 * encode - WIDTHS[0] * WIDTHS[1]) / (3 * compare) / 2  # the first layer needs no gradient for the pixels
print(f"from N = {crossing:,.0f} images on, comparing all 2N views takes more MACs than encoding them")
table(
    [
        "one step",
        "negatives of a query",
        "MACs to encode",
        "MACs to compare",
        "numbers remembered",
        "MACs to encode, an image of the batch",
    ],
    [
        row("SimCLR, 256 images", 510, 256, 6, 512**2 * 3, 0),
        row("SimCLR, as many negatives as the queue below", many, (many + 2) // 2, 6, (many + 2) ** 2 * 3, 0),
        row("memory bank of 60,000 images, 256 in a batch", 59_999, 256, 3, 256 * 60_000 * 3, 60_000),
        row("MoCo, K = 65,536, 256 images", many, 256, 4, 256 * (many + 1) * 3, many),
    ],
)

# %% [markdown]
# So for a *given* number of negatives, memory makes a **step** small: nothing is encoded but the batch. It does not save
# the comparing of each query with each negative. And it hardly saves encoding in an **epoch** (the last column): in a large
# batch each encoded view is a query too, and a negative of thousands of others at once. What memory spares you is the
# large batch. That is a model. Here is the clock beside it.


# %%
def network(widths, seed=0, dtype=np.float32):
    return mc.nn.MLP(widths, rng=np.random.default_rng(seed), dtype=dtype)


def seconds(f, repeats=5 if FULL else 3):
    """Of processor time, the least of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return min(times)


net = network(WIDTHS)
sizes = [128, 256, 512, 1024, 2048][: 5 if FULL else 4]
measured = {"encode": [], "compare": []}
for n in sizes:
    rng = np.random.default_rng(n)
    x = rng.random((2 * n, 784), dtype=np.float32)
    z = [mc.tensor(rng.standard_normal((n, 128)).astype(np.float32)) for _ in range(2)]
    g = rng.standard_normal((2 * n, 128)).astype(np.float32)
    measured["encode"].append(seconds(lambda x=x, g=g: mc.grad(net(x), net.parameters(), g)))
    measured["compare"].append(seconds(lambda z=z: mc.grad(mc.nt_xent(*z, 0.5, method="composed"), z)))
sizes, measured = np.array(sizes), {name: np.array(t) for name, t in measured.items()}
model = {"encode": 2 * sizes * (3 * encode - WIDTHS[0] * WIDTHS[1]), "compare": 3 * (2 * sizes) ** 2 * compare}
rate = model["encode"].sum() / measured["encode"].sum()  # MACs a second
slope = {name: np.polyfit(np.log(sizes[1:]), np.log(t[1:]), 1)[0] for name, t in measured.items()}
figure, ax = plt.subplots(figsize=(9, 3.8), layout="constrained")
for (name, color), words in zip([("encode", BLUE), ("compare", ORANGE)], ["encoder", "NT-Xent"]):
    ax.loglog(sizes, 1e3 * model[name] / rate, color=color, ls=":", label=f"{words}: by its MACs")
    ax.loglog(
        sizes,
        1e3 * measured[name],
        color=color,
        marker="o",
        ms=5,
        lw=0,
        label=f"{words}: measured, slope {slope[name]:.1f}",
    )
ax.set(
    xlabel="images N in the batch (2N views)",
    ylabel="ms of processor time",
    title=f"forwards and backwards, all scores at once, float32, one thread, least of {5 if FULL else 3}\n"
    "dotted: MACs / the rate of the encoder",
)
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
assert 0.6 < slope["encode"] < 1.4 and slope["encode"] + 0.3 < slope["compare"] < 2.6
assert (measured["compare"] > model["compare"] / rate).all()
show(
    figure,
    "Encoding grows like N, comparing much faster, and it takes longer than its multiplications say",
    f"Milliseconds against N. The encoder's time grows with slope {slope['encode']:.2f}, that of the loss with "
    f"{slope['compare']:.2f}. At N = {sizes[-1]} they take {1e3 * measured['encode'][-1]:.0f} and {1e3 * measured['compare'][-1]:.0f} ms. By "
    f"multiplications alone the loss would take {1e3 * model['compare'][-1] / rate:.0f}: exponentials, and moving N² numbers, are what it pays for.",
)

# %% [markdown]
# **So far.** One encoding costs as much as thousands of comparisons. But comparisons grow like N²: in a large batch they
# cost more than the encoder, and soon they are what does not fit.
#
# ### Two memories that are often confused
#
# - A **memory bank** (Wu et al. 2018) has one slot **for each image** of the data set. A slot is overwritten when its image
#   is seen again. (The paper replaces the softmax over all slots by binary NCE, which needs an estimate of the normaliser.
#   Here the sum is taken over all slots.)
# - A **queue** (MoCo, He et al. 2019) has one slot for each of the last K keys, whichever image they come from. The oldest
#   is overwritten.

# %%
bank, queue = np.full(6, -1), mc.train.Queue(np.full((4, 1), -1.0))
rows = []
for step, images in enumerate([[0, 3], [5, 1], [3, 2], [4, 0], [1, 5]]):
    bank[images] = step
    queue.put(np.array(images, float)[:, None])
    rows.append([step, images, bank.tolist(), queue.rows.ravel().astype(int).tolist()])
assert rows[-1][2:] == [[3, 4, 2, 2, 3, 4], [1, 5, 4, 0]]
table(
    ["step", "images seen", "bank: the step in which each of 6 images was seen", "queue of 4: whose keys it holds"],
    rows,
)

# %% [markdown]
# A queue is a *ring*: key number t lies in slot t mod K, and nothing is ever moved. The model to test it by is Python's
# `deque`, which forgets its oldest item. Here they are compared over random sizes, K no multiple of B and B larger than K
# among them.

# %%
rng = np.random.default_rng(0)
puts = 0
for _ in range(200):
    size = int(rng.integers(1, 9))
    ring, line, number = mc.train.Queue(np.full((size, 1), -1.0)), collections.deque([-1.0] * size, maxlen=size), 0
    for b in rng.integers(1, 12, size=6):
        keys = np.arange(number, number + b, dtype=float)
        number, puts = number + int(b), puts + 1
        ring.put(keys[:, None])
        line.extend(keys)
        assert ring.oldest_first().ravel().tolist() == list(line)
        assert all(ring.rows[int(t) % size, 0] == t for t in line if t >= 0)
print(f"{puts} puts into 200 queues: each as the deque has it, each key in its slot")

# %% [markdown]
# ### How old is a momentum encoder?
#
# Old keys were made by an older encoder. If the encoder changes fast, keys of different age cannot be compared. MoCo's
# answer: let another encoder make the keys, one that follows slowly. After each step
# $\theta_k \leftarrow m\,\theta_k + (1 - m)\,\theta_q$. It is a mean over the past, and its weights are a geometric series.

# %%
display(KEYS["weight of a past"], KEYS["mean age"])

# %%
display(KEYS["mean age and half-life are the same"], KEYS["lag"], KEYS["size of the lag behind a random walk"])

# %%
display(KEYS["how far the keys move in one step"], KEYS["momentum the other way round"])

# %% [markdown]
# So there are two distances, and m trades one for the other:
#
# - **lag**: from the key encoder to the query encoder now. It grows with m.
# - **drift**: from the key encoder to itself some steps ago. It shrinks with m. Within a queue only the drift tells an old
#   key from a new one.
#
# First in a toy, where the query encoder takes independent random steps in 50 dimensions. Dots are a simulation, lines are
# the formulas.

# %%
d, ago, steps = 50, 100, 6000 if FULL else 4000
momenta = np.array([0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995])
walks = np.random.default_rng(0).standard_normal((3, steps, d)).cumsum(axis=1)
found = {"lag": [], "drift": []}
for m in momenta:
    slow = np.zeros_like(walks)
    for s in range(1, steps):
        slow[:, s] = m * slow[:, s - 1] + (1 - m) * walks[:, s]
    tail = slice(steps // 3, None)  # the start is forgotten by then
    found["lag"].append(np.sqrt(((walks - slow)[:, tail] ** 2).sum(axis=2).mean()))
    found["drift"].append(np.sqrt(((slow[:, ago:] - slow[:, :-ago])[:, tail] ** 2).sum(axis=2).mean()))
fade = momenta**ago
by_formula = {
    "lag": np.sqrt(d * momenta**2 / (1 - momenta**2)),
    "drift": np.sqrt(
        d
        * (
            (1 - fade) ** 2 * momenta**2 / (1 - momenta**2)  # from steps before
            + ago - 2 * momenta * (1 - fade) / (1 - momenta) + momenta**2 * (1 - fade**2) / (1 - momenta**2)  # and since
        )
    ),
}  # fmt: skip
age = momenta / (1 - momenta)
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, color, words in [
    ("lag", RED, "lag: to the query encoder"),
    ("drift", BLUE, f"drift: to itself {ago} steps ago"),
]:
    ax.plot(age, by_formula[name], color=color, lw=1, label=words)
    ax.plot(age, found[name], "o", ms=5, color=color)
    assert np.abs(np.array(found[name]) / np.maximum(by_formula[name], 1e-12) - 1)[momenta > 0].max() < 0.12
ax.set_xscale("symlog", linthresh=1)  # from 0 to 1 as it is, then logarithmic
ax.set_xticks(age, [f"{a:.3g}\n{m:g}" for a, m in zip(age, momenta)], fontsize=8)
ax.minorticks_off()
ax.set(
    xlabel="mean age m / (1 − m) of the key encoder, in steps; below it m", ylabel="distance (root of the mean square)"
)
ax.set_title(f"random walk of the query encoder in {d} dimensions, 3 walks of {steps} steps")
ax.legend(frameon=False, loc="center left")
assert (np.diff(found["lag"]) > 0).all() and (np.diff(found["drift"]) < 0).all()
show(
    figure,
    "A larger m makes keys more alike, and older: consistency is paid for with lag",
    "Distances against the mean age. "
    + "; ".join(f"m = {m:g}: lag {a:.0f}, drift {b:.0f}" for m, a, b in zip(momenta, found["lag"], found["drift"]))
    + ". The simulation agrees with the formulas.",
)

# %% [markdown]
# Now a real encoder on real images. We train MoCo on digits with several m and keep the images of all keys in the queue.
# Then each stored key is compared with what the **key encoder** would make of the same image now (left), and with what the
# **query encoder** would make of it (right).

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")
views = mc.data.views
view = views.Compose(
    [views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)), views.ColorJitter(0.4, 0.4), views.GaussianNoise(0.1)]
)
SEEDS = 5 if FULL else 2


def nets(seed):
    rng = np.random.default_rng(seed)
    return mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)


class RecordedMoCo(mc.train.MoCo):
    """Remembers the images of its keys."""

    def keys(self, images):
        self.record.append(images)
        return super().keys(images)


def cosine(a, b):
    return (mc.normalize(a) * mc.normalize(b)).sum(axis=1)


K, B = 1024, 32
STALE_SEEDS, STALE_EPOCHS = (3, 6) if FULL else (2, 3)  # few seeds: this costs
momenta = [0.0, 0.9, 0.99, 0.999]
by_age = {"key encoder": {}, "query encoder": {}}
others = {"key encoder": {}, "query encoder": {}}  # the same with the next image in place of the own
for m in momenta:
    for name in by_age:
        by_age[name][m], others[name][m] = [], []
    for seed in range(STALE_SEEDS):
        moco = RecordedMoCo(
            *nets(seed), view, dim=64, queue_size=K, momentum=m, temperature=0.2, lr=1e-3, batch_size=B, seed=seed
        )
        moco.record = []
        moco.fit(train.images, epochs=STALE_EPOCHS, progress=False)
        images, stored = np.concatenate(moco.record[-K // B :]), moco.queue.oldest_first()
        for name, again in (("key encoder", moco.keys(images)), ("query encoder", moco.embed(images))):
            for into, made in ((by_age, again), (others, np.roll(again, 1, axis=0))):
                into[name][m].append(cosine(stored, made).reshape(-1, B).mean(axis=1)[::-1])  # the newest batch first


def interval(values):
    """Half the width of the 95 % interval of the mean over seeds (Student's t)."""
    values = np.asarray(values)
    return student.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(values))


# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
ages = np.arange(1, K // B + 1)
for ax, (name, curves) in zip(axes, by_age.items()):
    for m, color in zip(momenta, [RED, ORANGE, GREEN, BLUE]):
        ax.plot(ages, np.mean(curves[m], axis=0), color=color, lw=2, label=f"m = {m:g}")
        ax.plot(ages, np.transpose(curves[m]), color=color, lw=0.6, alpha=0.5)
        ax.plot(ages, np.mean(others[name][m], axis=0), color=color, ls=":", lw=1.6)
    ax.set(xlabel="age of the key (steps)", title=f"against the {name} of now", ylim=(-1.05, 1.05))
axes[1].plot([], [], color=GREY, lw=0.6, label="each seed")
axes[1].plot([], [], color=GREY, ls=":", lw=1.6, label="another image")
axes[0].set_ylabel("cos(stored key, made again)")
axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
ends = {name: {m: np.mean(c, axis=0)[[0, -1]] for m, c in curves.items()} for name, curves in by_age.items()}
apart = {  # how much better an old key fits its own image than another
    name: {m: float(np.mean(np.array(by_age[name][m]) - others[name][m], axis=0)[-1]) for m in momenta}
    for name in by_age
}
spread = {m: interval(np.array(by_age["query encoder"][m]) - others["query encoder"][m])[-1] for m in momenta}
in_keys, to_query = ends["key encoder"], ends["query encoder"]
assert max(in_keys[0.0][1], in_keys[0.9][1]) < 0.8 < in_keys[0.99][1] < in_keys[0.999][1] and in_keys[0.999][1] > 0.99
assert to_query[0.0][0] > 0.98 > to_query[0.9][0] > to_query[0.999][0]
assert to_query[0.999][0] - to_query[0.999][1] < 0.1 and to_query[0.0][0] - to_query[0.0][1] > 0.5
gap = np.array(by_age["query encoder"][0.0]) - others["query encoder"][0.0]
assert np.abs(gap).max() < 0.05  # line and dots are one
assert apart["query encoder"][0.99] > apart["query encoder"][0.999] + 0.2 > apart["query encoder"][0.9] + 0.2
show(
    figure,
    "For m = 0 old keys are worthless; for m = 0.99 they hold; for m = 0.999 too, but they lag far behind",
    f"Cosine of a stored key with the same image encoded now, against its age, after {STALE_EPOCHS} epochs, mean of {STALE_SEEDS} seeds"
    ". Newest and oldest key, against the key encoder: "
    + "; ".join(f"m = {m:g}: {a:.2f} and {b:.2f}" for m, (a, b) in in_keys.items())
    + ". Against the query encoder: "
    + "; ".join(f"m = {m:g}: {a:.2f} and {b:.2f}" for m, (a, b) in to_query.items())
    + ". How much larger it is for the oldest key than with another image: "
    + "; ".join(
        f"m = {m:g}: {round(v, 2) + 0.0:.2f}" + (f" ± {spread[m]:.2f}" if FULL and spread[m] > 0.005 else "")
        for m, v in apart["query encoder"].items()
    )
    + (" (95 % intervals)." if FULL else "."),
)

# %% [markdown]
# Dotted: the cosine with *another* image. A key is of use only where its line lies above its dots. Thin: each seed.
#
# Look at m = 0: its line and its dots are one. All images lie in one place, and the place moves on, away from the old keys.
# That is how the loss falls when all negatives are *old*: run away from them, whatever the image. With m = 0.9 some of this
# remains, and the seeds differ much. At m = 0.99 the place of an image holds for the time that its key is in the queue.
#
# A memory bank has no second encoder: each slot is what the query encoder of its time made of the image. When a slot is
# overwritten it is one epoch old on average (here 42 steps), and at most two. It leans on something else: a slot is also
# the *positive* of its image, so each embedding is pulled to where its image was.
#
# ### What to test in a momentum encoder
#
# Four facts. No gradient reaches the keys. m = 0 copies the query encoder, m = 1 freezes the key encoder. And the key
# encoder is a copy, not the same object.


# %%
def after_steps(momentum, epochs=1):
    moco = mc.train.MoCo(*nets(0), view, dim=64, queue_size=256, momentum=momentum, temperature=0.2, batch_size=256)
    before = [p.data.copy() for p in moco.key_encoder.parameters()]
    moco.fit(train.images, epochs=epochs, progress=False)
    return before, [p.data for p in moco.key_encoder.parameters()], [p.data for p in moco.encoder.parameters()], moco


same = lambda a, b: all(np.array_equal(x, y) for x, y in zip(a, b))
start, keys_now, queries_now, _ = after_steps(1.0)
print("m = 1: key encoder frozen:", same(start, keys_now), "    query encoder moved:", not same(start, queries_now))
assert same(start, keys_now) and not same(start, queries_now)
start, keys_now, queries_now, _ = after_steps(0.0)
print("m = 0: key encoder is a copy of the query encoder:", same(keys_now, queries_now))
assert same(keys_now, queries_now) and not any(a is b for a, b in zip(keys_now, queries_now))

moco = after_steps(0.99)[3]
q, k = (mc.tensor(np.random.default_rng(s).standard_normal((5, 64))) for s in (0, 1))
loss = mc.losses.moco(q, k, moco.queue.rows.astype(float), 0.2)
to_query_, to_key = mc.grad(loss, [q, k])
print(f"largest gradient: in the queries {np.abs(to_query_).max():.1e}, in the keys {np.abs(to_key).max():.1e}")
assert np.abs(to_query_).max() > 1e-3 and not to_key.any()
batch = mc.train.Batch(train.images[:32], None, np.arange(32))
key_parameters = moco.key_encoder.parameters() + moco.key_head.parameters()
assert not any(g.any() for g in mc.grad(moco.loss(batch)[0], key_parameters))
assert not {id(p) for p in key_parameters} & {id(p) for p in moco.optimizer.parameters}

# %% [markdown]
# One more order matters: keys enter the queue **after** the loss. If they are put in before it, each query has its own key
# among its negatives, and nothing can help: with perfect keys the loss is log 2, and not 0.

# %%
perfect, elsewhere = np.split(np.eye(64), 2)  # queries that equal their keys, at right angles to all others
late = float(mc.losses.moco(perfect, perfect, elsewhere, 0.05))
early = float(mc.losses.moco(perfect, perfect, np.concatenate([elsewhere, perfect]), 0.05))
print(f"put in after the loss: {late:.6f}      before it: {early:.6f}      log 2 = {math.log(2):.6f}")
assert late < 1e-6 and abs(early - math.log(2)) < 1e-6

# %% [markdown]
# **So far.** Age is how many steps ago a key was put in; lag is how far its encoder was behind even then. A large m makes
# the queue consistent and old. In a run of a few hundred steps m = 0.999 is too slow: it needs a thousand steps to follow.
#
# ### How many negatives are enough?
#
# The loss has $\log \sum_k e^{s_k/\tau}$ in it. With M negatives that are drawn at random, the sum is right on average after
# dividing by M; its logarithm is not.

# %%
display(KEYS["the partition itself is right on average"], KEYS["its logarithm is too small on average"])

# %%
display(KEYS["more negatives are less wrong"], KEYS["how much too small"], KEYS["unbiased"])

# %% [markdown]
# For M negatives the second order is $-V/2M$, where $V$ is the squared coefficient of variation of $e^{s/\tau}$. Take
# similarities like those of random directions in about nine dimensions (normal, deviation 1/3), and measure.

# %%
rng = np.random.default_rng(0)
similarities = rng.standard_normal(200_000) / 3
draws = 40_000 if FULL else 10_000
counts = [2, 4, 8, 16, 32, 64, 128, 256]
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
bias, predicted = {}, {}
for tau, color in ((1.0, GREEN), (0.5, BLUE), (0.2, RED)):
    weights = np.exp(similarities / tau)
    v = weights.var() / weights.mean() ** 2
    sums = [np.log(rng.choice(weights, size=(draws, c)).mean(axis=1)) - math.log(weights.mean()) for c in counts]
    bias[tau] = np.array([s.mean() for s in sums])
    width = np.array([1.96 * s.std() / math.sqrt(draws) for s in sums])
    predicted[tau] = -v / (2 * np.array(counts))
    ax.plot(counts, -predicted[tau], color=color, ls=":", lw=1.5, label=f"τ = {tau:g}: V/2M, V = {v:.2g}")
    ax.errorbar(counts, -bias[tau], width, color=color, fmt="o", ms=4, capsize=2, label=f"τ = {tau:g}: measured")
    assert (bias[tau] < width).all() and (bias[tau][:4] < 0).all() and (np.diff(bias[tau]) > -2 * width[:-1]).all()
    if v < 1:  # there the second order is enough
        assert (np.abs(bias[tau] - predicted[tau])[2:] < 0.15 * np.abs(predicted[tau][2:]) + 2 * width[2:]).all()
ax.set(xscale="log", yscale="log", xlabel="negatives M", ylabel="bias of log(mean), nats, negated")
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.set_title(f"{draws:,} draws for each dot, 95 % intervals")
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
ax.set_ylim(bottom=1e-5)
assert -bias[0.2][3] > 10 * -bias[0.5][3] and -predicted[0.2][0] > 2 * -bias[0.2][0]
show(
    figure,
    "Few negatives make the log-partition too small, by V/2M where small; a low τ needs many",
    "Bias against the number of negatives. "
    + "; ".join(
        f"τ = {tau:g}: " + ", ".join(f"{b:.4f} at M = {c}" for b, c in zip(v[1::2], counts[1::2]))
        for tau, v in bias.items()
    )
    + ". At τ = 0.2 the exponentials differ so much that the second order says too much for few negatives.",
)

# %% [markdown]
# That is a fault of the *value*. What more negatives do for what is learned is another question: it is measured at the end
# of this part.
#
# ### A row of scores that is never there as a whole
#
# Now the other way: no memory of the past, but a batch that is truly large. The first thing that does not fit is the
# matrix of $(2N)^2$ scores. A log-sum-exp does not need it: go through the columns block by block, and keep the largest
# score so far and the sum relative to it.

# %%
display(BATCH["rescaling"], BATCH["sum after the second block"], BATCH["two numbers are enough"])

# %%
display(BATCH["without rescaling"], BATCH["going back"])


# %%
def nt_xent_streamed(z1, z2, temperature, block=256):
    """NT-Xent and its gradient with scores of shape (2N, block) at a time."""
    z = np.concatenate([z1, z2])
    length = np.sqrt((z * z).sum(axis=1, keepdims=True))
    u, n = z / length, len(z)
    partner = (np.arange(n) + n // 2) % n

    def blocks():
        for a in range(0, n, block):
            s = u @ u[a : a + block].T / temperature
            s[np.arange(a, a + s.shape[1]), np.arange(s.shape[1])] = -np.inf  # a view is not its own candidate
            yield a, s

    m, total = np.full(n, -np.inf, u.dtype), np.zeros(n, u.dtype)
    for _, s in blocks():
        new = np.maximum(m, s.max(axis=1))
        shift = np.where(new == -np.inf, 0, new)  # all masked so far: −inf − (−inf) is no number
        total = total * np.exp(m - shift) + np.exp(s - shift[:, None]).sum(axis=1)
        m = new
    lse = m + np.log(total)
    value = (lse - (u * u[partner]).sum(axis=1) / temperature).mean()

    du = -2 * u[partner]
    for a, s in blocks():  # made again, not kept
        p = np.exp(s - lse[:, None])
        du += p @ u[a : a + block]  # as an anchor
        du[a : a + block] += p.T @ u  # as a candidate of others
    du /= n * temperature
    dz = (du - u * (u * du).sum(axis=1, keepdims=True)) / length
    return value, np.split(dz, 2)


worst = 0.0
for n, d, tau, block in [(2, 3, 0.5, 1), (7, 5, 0.1, 4), (40, 16, 0.05, 32), (64, 8, 1.0, 1000)]:
    z1, z2 = np.random.default_rng(n).standard_normal((2, n, d))
    value, gradients = nt_xent_streamed(z1, z2, tau, block)
    for method in ("composed", "blocked"):  # the definition, and the library's own kernel
        exact, exact_gradients = mc.value_and_grad(lambda a, b, t=tau, h=method: mc.nt_xent(a, b, t, method=h), z1, z2)
        worst = max(worst, abs(value - float(exact)) / max(1, float(exact)))
        for g, e in zip(gradients, exact_gradients):
            worst = max(worst, np.abs(g - e).max() / np.abs(e).max())
print(f"largest difference, value and gradient, against the definition and against method='blocked': {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# ### A gradient in two passes
#
# The second thing that does not fit is the encoder's graph: all activations of all 2N views. Cutting the batch into parts
# and averaging the gradients is the habit from classification. Here it is **wrong**, because every view is a negative of
# the others. What is right is to cut the *chain rule*.

# %%
display(BATCH["through the embeddings"], BATCH["in parts"])

# %%
BATCH["adding up the gradients of the parts by themselves"]


# %%
def parts_of(x, parts):
    """Cut so that the two views of an image stay together."""
    v1, v2 = np.split(x, 2)
    return [np.concatenate(pair) for pair in zip(np.split(v1, parts), np.split(v2, parts))]


def loss_of(z, temperature=0.1):
    """NT-Xent of stacked views."""
    return mc.nt_xent(*mc.split(z, 2), temperature)


def in_two_passes(net, x, parts):
    """Embed without graphs; the gradient of the loss in z; then each part again, with its graph."""
    chunks = np.split(x, parts)
    with mc.no_grad():
        z = mc.tensor(np.concatenate([net(chunk).numpy() for chunk in chunks]))
    from_loss = mc.grad(loss_of(z), z)
    total = [np.zeros_like(p.data) for p in net.parameters()]
    for chunk, g in zip(chunks, np.split(from_loss, parts)):
        for sum_, own in zip(total, mc.grad(net(chunk), net.parameters(), g)):
            sum_ += own
    return total


def by_themselves(net, x, parts):
    """The habit from classification: the mean of the gradients of the parts' own losses."""
    found = [mc.grad(loss_of(net(part)), net.parameters()) for part in parts_of(x, parts)]
    return [sum(own) / parts for own in zip(*found)]


def off(found, exact):
    """The length of the difference, relative to the gradient."""
    return math.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(found, exact)) / sum((b**2).sum() for b in exact))


N = 64
net = network([64, 48, 16], dtype=np.float64)
cuts = [1, 2, 4, 8, 16]
errors = {"parts by themselves": [], "two passes": [], "mc.train.cached_gradient": []}
for seed in range(SEEDS):
    images = train.images[np.random.default_rng(seed).choice(len(train.images), N, replace=False)].astype(float)
    x = np.concatenate(mc.data.two_views(images, view, np.random.default_rng([seed, 1]))).reshape(2 * N, -1)
    exact = mc.grad(loss_of(net(x)), net.parameters())
    errors["parts by themselves"].append([off(by_themselves(net, x, c), exact) for c in cuts])
    errors["two passes"].append([off(in_two_passes(net, x, c), exact) for c in cuts])
    errors["mc.train.cached_gradient"].append(
        [off(mc.train.cached_gradient(net, x, loss_of, chunk_size=2 * N // c)[1], exact) for c in cuts]
    )
errors = {name: np.array(e) for name, e in errors.items()}
figure, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
for (name, e), color, look in zip(errors.items(), [RED, BLUE, GREEN], [("o", 5), ("o", 5), ("x", 11)]):
    ax.plot(cuts[1:], e[:, 1:].mean(axis=0), color=color, marker=look[0], ms=look[1], label=name)
    ax.plot(cuts[1:], e[:, 1:].T, "_", color=color, ms=12)
ax.set(xscale="log", yscale="log", xlabel="parts", ylabel="relative error of the gradient", ylim=(1e-17, 5))
ax.set_xticks(cuts[1:], cuts[1:])
ax.minorticks_off()
ax.set_title(f"N = {N} digits, τ = 0.1, float64, untrained network, {SEEDS} seeds (strokes) and their mean")
ax.legend(frameon=False, loc="center right")
assert not any(e[:, 0].any() for e in errors.values())  # one part is the whole: all errors are 0
naive = errors["parts by themselves"].mean(axis=0)
assert max(errors["two passes"].max(), errors["mc.train.cached_gradient"].max()) < 1e-12
assert (errors["parts by themselves"][:, 1:] > 0.02).all() and (np.diff(naive) > 0).all()
show(
    figure,
    "Two passes give the gradient of the whole batch; parts by themselves give another one",
    "Relative error against the number of parts. Parts by themselves: "
    + ", ".join(f"{c}: {100 * e:.0f} %" for c, e in zip(cuts, naive))
    + (f" (± {100 * interval(errors['parts by themselves'])[-1]:.0f}, a 95 % interval)" if FULL else "")
    + f". Two passes: at most {errors['two passes'].max():.0e}; the library's: at most {errors['mc.train.cached_gradient'].max():.0e}.",
)

# %% [markdown]
# Two conditions. Row i of the embeddings must depend on row i of the input alone: BatchNorm breaks that, and the library
# refuses it. And both passes must draw the same random numbers: with new dropout masks the second pass would belong to
# other embeddings than the gradient. The library sets generators back for it.

# %%
with_norm = mc.nn.Sequential(mc.nn.Linear(64, 16, rng=0, dtype=np.float64), mc.nn.BatchNorm1d(16, dtype=np.float64))
try:
    mc.train.cached_gradient(with_norm, x, loss_of, chunk_size=32)
except ValueError as refusal:
    print(refusal)
else:
    raise AssertionError("a network with BatchNorm was taken")

# %% [markdown]
# The price is one more forward pass. What does it buy? The peak of memory in one step, measured by `tracemalloc`, with the
# library's own two: `method="blocked"`, and `mc.train.cached_gradient`. One setting is changed. To save time, "blocked"
# keeps its blocks for the way back as long as they need no more than `KEEP` = 256 MiB together. Here it may keep none, as
# for a batch so large that they need more.


# %%
def peak(step):
    """Bytes that one step holds at most, beyond what was there before."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


net = network(WIDTHS)


def loss_by(method):
    return lambda z: mc.nt_xent(*mc.split(z, 2), 0.5, method=method)


sizes = np.array([256, 512, 1024, 2048] if FULL else [256, 512, 1024])
STEPS = {
    "all at once": lambda x: mc.grad(loss_by("composed")(net(x)), net.parameters()),
    "scores in blocks": lambda x: mc.grad(loss_by("blocked")(net(x)), net.parameters()),
    "scores in blocks, encoder in parts": lambda x: mc.train.cached_gradient(
        net, x, loss_by("blocked"), chunk_size=256
    ),
}
peaks = {name: [] for name in STEPS}
kept, blocked.KEEP = blocked.KEEP, 0
try:
    for n in sizes:
        x = np.random.default_rng(0).random((2 * n, 784), dtype=np.float32)
        for name, step in STEPS.items():
            peaks[name].append(peak(lambda step=step, x=x: step(x)) / 2**20)
finally:
    blocked.KEEP = kept
peaks = {name: np.array(p) for name, p in peaks.items()}
activations = 2 * sizes * sum(WIDTHS[1:]) * 4 / 2**20
scores = (2 * sizes) ** 2 * 4 / 2**20
figure, ax = plt.subplots(figsize=(8, 3.7), layout="constrained")
for (name, p), color in zip(peaks.items(), [RED, ORANGE, GREEN]):
    ax.loglog(sizes, p, color=color, marker="o", ms=5, label=name)
ax.loglog(sizes, scores, color=GREY, ls=":", label="one matrix of scores: 4 (2N)² bytes")
ax.loglog(sizes, activations, color=GREY, ls="--", label="one set of activations")
ax.set(
    xlabel="images N in the batch",
    ylabel="peak of one step (MiB)",
    title="784-512-256-128, float32, blocks and parts of 256, tracemalloc",
)
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
growth = {name: p[-1] / p[-2] for name, p in peaks.items()}
assert (
    growth["all at once"] > 3
    and growth["scores in blocks"] < 2.3
    and growth["scores in blocks, encoder in parts"] < 2.3
)
assert (
    peaks["all at once"][-1] > 2 * peaks["scores in blocks"][-1] > 3 * peaks["scores in blocks, encoder in parts"][-1]
)
assert kept == 2**28
show(
    figure,
    "All at once grows like N²; with blocks it grows like N; encoding in parts halves what is left",
    "Peak memory against N. "
    + ". ".join(f"{name}: " + ", ".join(f"{v:.0f} MiB at {n}" for v, n in zip(p, sizes)) for name, p in peaks.items())
    + f". From {sizes[-2]} to {sizes[-1]} images: {growth['all at once']:.1f}, {growth['scores in blocks']:.1f} and "
    f"{growth['scores in blocks, encoder in parts']:.1f} times as much.",
)

# %% [markdown]
# What is left grows like N too, since the embeddings of all views and their gradients are kept (those in the library a few
# times, so that several threads can add to them).
#
# ### Several machines
#
# R machines (ranks) each encode N/R images. To have all negatives, each must see all embeddings: an **all-gather**. Then
# each computes the losses of its own anchors. The backward pass of an all-gather is a **reduce-scatter**: every rank used
# your embeddings, so every rank sends back a gradient for them, and you add up what arrives.

# %%
display(BATCH["the whole is the sum"], BATCH["gather with gradient"], BATCH["gather without gradient"])

# %% [markdown]
# Here the ranks are a loop in one process. Mind the order of rows: rank r contributes its first views and then its second
# views, so partners are half a *shard* apart, not half a batch.


# %%
def shard_losses(anchors, gathered, own, partner, temperature):
    """The losses of a rank's anchors (rows `own` of the gathered array) against all candidates."""
    a, u = mc.normalize(anchors), mc.normalize(gathered)
    s = mc.where(np.arange(len(partner)) == own[:, None], -np.inf, a @ u.T / temperature)
    return mc.logsumexp(s, axis=1) - mc.sum(a * u[partner[own]], axis=1) / temperature


def on_ranks(z1, z2, ranks, temperature, gather="with gradient"):
    """Loss and gradient in z1 and z2, as `ranks` machines compute them together."""
    n = len(z1) // ranks
    shards = np.stack([np.concatenate([z1[r * n : (r + 1) * n], z2[r * n : (r + 1) * n]]) for r in range(ranks)])
    rows = np.arange(2 * n * ranks).reshape(ranks, 2 * n)
    partner = np.roll(rows, n, axis=1).ravel()  # within the shard
    value, back = 0.0, np.zeros_like(shards)
    for r in range(ranks):
        received = shards.reshape(-1, z1.shape[1])  # by every rank the same
        if gather == "constant":
            own = mc.tensor(shards[r])
            loss = mc.sum(shard_losses(own, received, rows[r], partner, temperature)) / rows.size
            back[r] += mc.grad(loss, own)
        else:
            gathered = mc.tensor(received)
            loss = mc.sum(shard_losses(gathered[rows[r]], gathered, rows[r], partner, temperature)) / rows.size
            g = mc.grad(loss, gathered).reshape(shards.shape)
            if gather == "with gradient":
                back += g  # reduce-scatter: to each owner what rank r computed for it
            else:
                back[r] += g[r]  # own rows put back
        value += float(loss)  # all-reduce
    return value, back[:, :n].reshape(z1.shape), back[:, n:].reshape(z2.shape)


z1 = np.random.default_rng(0).standard_normal((32, 16))
z2 = z1 + 0.5 * np.random.default_rng(1).standard_normal(z1.shape)
exact, exact_gradients = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), z1, z2)
exact_flat = np.concatenate(exact_gradients).ravel()
rows, lost = [], {}
for ranks in (1, 2, 4):
    value, *gradients = on_ranks(z1, z2, ranks, 0.5)
    error = np.abs(np.concatenate(gradients).ravel() - exact_flat).max() / np.abs(exact_flat).max()
    assert abs(value - float(exact)) < 1e-12 and error < 1e-12
    for gather in ("own rows put back", "constant"):
        other, *kept = on_ranks(z1, z2, ranks, 0.5, gather)
        kept = np.concatenate(kept).ravel()
        assert abs(other - float(exact)) < 1e-12  # the loss shows nothing
        length = np.linalg.norm(kept) / np.linalg.norm(exact_flat)
        lost[ranks, gather] = length, kept @ exact_flat / np.linalg.norm(exact_flat) ** 2 / length
    words = [
        f"{length:.3f}, {angle:.3f}" for length, angle in (lost[ranks, "own rows put back"], lost[ranks, "constant"])
    ]
    rows.append([ranks, f"{value:.12f}", f"{error:.0e}", *words])
assert abs(lost[1, "own rows put back"][0] - 1) < 1e-12
assert lost[4, "own rows put back"][0] < lost[2, "own rows put back"][0] < 0.98 and 0.45 < lost[4, "constant"][0] < 0.65
assert all(cosine_ > 0.98 for _, cosine_ in lost.values())
print(f"one process: {float(exact):.12f}")
table(
    [
        "ranks R",
        "loss",
        "error of the gradient",
        "own rows put back: length, cosine",
        "gathered constant: length, cosine",
    ],
    rows,
)

# %% [markdown]
# A gather *without* gradient keeps the direction nearly. How much of the length is lost depends on what is done with a
# rank's own rows. If they are put back into the gathered array, only the part that *other* ranks computed is missing, a
# few per cent here, and more with more ranks. If all of the gathered array is constant, the candidates' half is gone
# (notebook 07). The loss is the same in all cases, so no curve shows it. An even larger error hides in the order of rows:

# %%
by_shard = np.concatenate([z1[:16], z2[:16], z1[16:], z2[16:]])  # as two ranks deliver them
wrong_partner = float(mc.nt_xent(*np.split(by_shard, 2), 0.5))  # takes row i + N for the partner of row i
print(
    f"partner half a batch away: {wrong_partner:.3f}      right: {float(exact):.3f}      collapse: {math.log(63):.3f}"
)
assert wrong_partner > float(exact) + 1

# %% [markdown]
# The library has this as a program for real processes: `parallel.nt_xent` takes the embeddings of *one* worker and gives
# the loss of all. Here three workers, which are threads, hold 5, 20 and 7 images.

# %%
sizes = [5, 20, 7]


def of_worker(workers):
    first = sum(sizes[: workers.rank])
    own = [mc.tensor(z[first : first + sizes[workers.rank]]) for z in (z1, z2)]
    loss = parallel.nt_xent(*own, 0.5, workers)
    return float(loss), mc.grad(loss, own)


values, gradients = zip(*parallel.simulate(3, of_worker))
together = np.concatenate([np.concatenate(g) for g in zip(*gradients)]).ravel()
error = np.abs(together - exact_flat).max() / np.abs(exact_flat).max()
print(f"three workers: {values}\none process:   {float(exact)}\ngradient: largest difference {error:.0e}")
assert len(set(values)) == 1 and abs(values[0] - float(exact)) < 1e-12 and error < 1e-12

# %% [markdown]
# Whole trainings, what a gather without gradient does to them, and what it costs to talk: notebook 14.
#
# ### The four strategies, side by side
#
# Digits again, one small MLP, equal **epochs** (so each image is seen as often). What differs is where negatives come
# from. Temperature and learning rate of each stand in the cell. They were set by hand and not searched for, so a small
# difference between two rows says nothing. Raw pixels, the untrained encoder, and the same encoder trained on the few
# labels alone stand beside them.

# %%
EPOCHS = 20 if FULL else 4
METHODS = {
    "SimCLR, N = 32": lambda s: mc.train.SimCLR(*nets(s), view, temperature=0.5, lr=3e-3, batch_size=32, seed=s),
    "memory bank, N = 32": lambda s: mc.train.MemoryBank(
        *nets(s), view, size=len(train.images), dim=64, temperature=0.1, lr=1e-3, batch_size=32, seed=s
    ),
    "MoCo, N = 32, K = 1024": lambda s: mc.train.MoCo(
        *nets(s), view, dim=64, queue_size=1024, momentum=0.99, temperature=0.5, lr=1e-3, batch_size=32, seed=s
    ),
    "large batch, N = 512": lambda s: mc.train.LargeBatch(
        *nets(s), view, chunk_size=128, temperature=0.5, lr=3e-3, batch_size=512, seed=s
    ),
}
LABELS = [1, 5]


def accuracies(features, seed):
    """Test accuracy of a linear probe with 1 and 5 labels of each class, and of kNN with all labels, in per cent."""
    train_x, test_x = features
    scores = []
    for k in LABELS:
        few = mc.data.few_labels(train.labels, k, np.random.default_rng([seed, k]))
        scores.append(mc.evaluate.linear_probe(train_x[few], train.labels[few], test_x, test.labels, C=0.1))
    return 100 * np.array([*scores, mc.evaluate.knn(train_x, train.labels, test_x, test.labels, k=5)])


def labels_alone(seed, steps=300 if FULL else 60):
    scores = []
    for k in [*LABELS, None]:
        rng = np.random.default_rng([seed, k or 0])
        chosen = np.arange(len(train.labels)) if k is None else mc.data.few_labels(train.labels, k, rng)
        encoder, top = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.Linear(128, 10, rng=rng)
        parameters = encoder.parameters() + top.parameters()
        optimizer = mc.optim.Adam(parameters, lr=3e-3)
        for _ in range(steps):
            b = rng.choice(chosen, min(128, len(chosen)), replace=False)
            loss = mc.cross_entropy(top(encoder(view(train.images[b], rng))), train.labels[b])
            optimizer.step(mc.grad(loss, parameters))
        with mc.no_grad():
            h = [encoder(x.images).numpy() for x in (train, test)]
            scores.append((top(h[1]).numpy().argmax(axis=1) == test.labels).mean())
    scores[-1] = mc.evaluate.knn(h[0], train.labels, h[1], test.labels, k=5)
    return 100 * np.array(scores)


pixels = [x.images.reshape(len(x.images), -1) for x in (train, test)]
results = {"raw pixels": [accuracies(pixels, s) for s in range(SEEDS)], "untrained encoder": []}
histories = {name: [] for name in METHODS}
for name, make in METHODS.items():
    results[name] = []
    for s in range(SEEDS):
        method = make(s)
        if len(results["untrained encoder"]) <= s:
            results["untrained encoder"].append(accuracies([method.encode(x.images) for x in (train, test)], s))
        histories[name].append(method.fit(train.images, epochs=EPOCHS, progress=False).history)
        results[name].append(accuracies([method.encode(x.images) for x in (train, test)], s))

# %%
results["labels alone"] = [labels_alone(s) for s in range(SEEDS)]
results = {name: np.array(r) for name, r in results.items()}


def with_interval(values):
    """The mean and, where seeds matter and there are enough, its 95 % interval."""
    width = interval(values)
    return f"{values.mean():.1f}" + (f" ± {width:.1f}" if FULL and width > 0 else "")


COSTS = {  # candidates of a query, steps of the optimiser an epoch, forward passes and those with a graph for an image
    "SimCLR, N = 32": (63, 42, "2, both with a graph"),
    "memory bank, N = 32": (1347, 42, "1, with a graph"),
    "MoCo, N = 32, K = 1024": (1025, 42, "2, one with a graph"),
    "large batch, N = 512": (1023, 2, "4, two with a graph"),
}
table(
    [
        "test accuracy in %",
        "1 label a class",
        "5",
        "kNN, all labels",
        "candidates",
        "steps an epoch",
        "passes for an image",
    ],
    [[name, *map(with_interval, r.T), *COSTS.get(name, ("–", "–", "–"))] for name, r in results.items()],
)

# %%
figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
for place, r in enumerate(results.values()):
    for column, (color, words) in enumerate([(BLUE, "1 label a class"), (GREEN, "5 labels a class")]):
        y = len(results) - place + 0.12 * (1 - 2 * column)
        look = {"fmt": "o", "color": color, "ms": 6, "capsize": 3, "label": None if place else words}
        ax.errorbar(r[:, column].mean(), y, xerr=interval(r)[column] if FULL else None, **look)
        ax.plot(r[:, column], np.full(len(r), y), "|", color=color, ms=5, alpha=0.6)
ax.set_yticks(range(len(results), 0, -1), results)
ax.set(
    xlabel="test accuracy of a linear probe, %",
    title=f"{EPOCHS} epochs, {SEEDS} seeds (strokes)" + (", mean and 95 % interval" if FULL else ", mean"),
)
ax.legend(frameon=False, loc="lower left")
gain = {name: results[name] - results["untrained encoder"] for name in METHODS}
if FULL:
    assert all(g[:, 0].mean() > interval(g[:, 0]) for g in gain.values())  # each method: the interval lies above 0
    assert all(g[:, 1].mean() > 0 for g in gain.values())
    assert all(r[:, 2].mean() <= results["raw pixels"][:, 2].mean() for r in results.values())  # with all labels
    for name in ("MoCo, N = 32, K = 1024", "large batch, N = 512"):  # against SimCLR, seed by seed, in both columns
        more = (results[name] - results["SimCLR, N = 32"])[:, :2]
        assert (more.mean(axis=0) < 0).all() and (more.mean(axis=0) + interval(more) < 1).all()
else:
    assert gain["SimCLR, N = 32"][:, 0].min() > 0
    assert gain["memory bank, N = 32"][:, 0].mean() < gain["SimCLR, N = 32"][:, 0].mean() - 5
show(
    figure,
    "All four learn from unlabelled digits; sixteen times the candidates bring no gain at equal epochs"
    if FULL
    else f"A short run: {EPOCHS} epochs are enough for SimCLR to learn something, and too few for the memory bank",
    "Accuracy with 1 and with 5 labels a class: "
    + "; ".join(f"{name}: {r[:, 0].mean():.0f} and {r[:, 1].mean():.0f}" for name, r in results.items())
    + " per cent.",
)

# %% [markdown]
# This is about the full run (20 epochs); a fast one is too short for it. Read it with care. The batch of 512 has many candidates and **few steps**: two an epoch, where the small batches have 42.
# Two things differ at once, so this does not say which of them decides. It says that more negatives are not better in
# themselves: whether they are worth it is something to measure, at equal cost. And with *all* labels nothing here beats the
# raw pixels. The digits are an easy data set; learning without labels helps where labels are few.
#
# The memory bank starts slowly: its slots are noise at first, each is written once an epoch, and each is the positive of
# its own image too. (Compare a row with itself only. The rows differ in how many candidates there are.)

# %%
found_after = {name: np.array([h["top1"] for h in histories[name]]).mean(axis=0) for name in METHODS}
print("own key first, in %")
for name, top1 in found_after.items():
    print(f"{name:24s}" + "".join(f"   epoch {e}: {100 * top1[e - 1]:4.1f}" for e in sorted({1, 4, EPOCHS})))
assert found_after["memory bank, N = 32"][3] < 0.05 < found_after["SimCLR, N = 32"][3]

# %% [markdown]
# ## Play
#
# Ten slots, four keys a step. Numbers are those of the keys. On the right: where the makers of the keys in the queue are,
# on the way of the query encoder (which walks one unit a step).
#
# 1. Press "Step" until a batch is split at the end of the ring. Which keys are pushed out?
# 2. Move m. What happens to the distance between the makers, and to their distance from the query encoder?
# 3. For which m is the newest key about 10 steps behind, after many steps? (Press "10 steps" often.)

# %%
momentum_queue()

# %% [markdown]
# ## Build
#
# Nine exercises, in two groups that follow the two ways to more negatives. Each starter is wrong in an instructive way:
# read the report, mend the function, run again. `report.hint(1)`, `.hint(2)` and `.hint(3)` say more and more.
#
# ### Memory: a queue, and an encoder that follows

# %%
print(mc.course.describe("fifo_queue"))


# %%
def fifo_queue(queue, count, keys):
    start = count % len(queue)
    new = queue.copy()
    room = len(new[start : start + len(keys)])
    new[start : start + len(keys)] = keys[:room]
    return new, count + len(keys)


mc.course.check("fifo_queue", fifo_queue)

# %% [markdown]
# The second exercise turns the tables: **you** write the test, and it is graded by mutation. It gets right queues and wrong
# ones, and has to tell them apart.

# %%
print(mc.course.describe("queue_test"))


# %%
def queue_test(put):
    queue, count = np.zeros((4, 1)), 0
    for step in range(5):
        keys = np.array([[2.0 * step], [2.0 * step + 1]])
        queue, count = put(queue, count, keys)
    return sorted(queue.ravel()) == [6, 7, 8, 9]


mc.course.check("queue_test", queue_test)

# %% [markdown]
# Now the queue in use: one step, with its loss. Mind the slots that nothing was written to.

# %%
print(mc.course.describe("queue_step"))


# %%
def queue_step(queries, keys, queue, count, temperature):
    own = (queries * keys).sum(axis=1, keepdims=True)
    logits = np.concatenate([own, queries @ queue.T], axis=1) / temperature
    largest = logits.max(axis=1, keepdims=True)
    loss = (largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1)) - logits[:, 0]).mean()
    new = queue.copy()
    new[(count + np.arange(len(keys))) % len(queue)] = keys
    return loss, new, count + len(keys)


mc.course.check("queue_step", queue_step)

# %%
print(mc.course.describe("momentum_step"))


# %%
def momentum_step(query, key, query_buffers, key_buffers, gradient, key_gradient, lr, momentum):
    query = query - lr * gradient
    key = momentum * key + (1 - momentum) * query
    return query, key, key_buffers


mc.course.check("momentum_step", momentum_step)

# %% [markdown]
# A query and its key come from one image, and BatchNorm mixes the images that it normalises together. If queries and keys
# are normalised in the same groups, the statistics of a group tell which keys belong to it, and the loss falls without
# anything being learned (notebook 10 shows such a leak). MoCo's answer: encode the keys in *other* groups, and put them
# back in order.

# %%
print(mc.course.describe("shuffled_keys"))


# %%
def shuffled_keys(encode, images, order, parts):
    shuffled = images[order]
    keys = np.concatenate([encode(piece) for piece in np.split(shuffled, parts)])
    return keys[order]


mc.course.check("shuffled_keys", shuffled_keys)

# %% [markdown]
# ### A batch that does not fit: blocks, parts, machines

# %%
print(mc.course.describe("blocked_lse"))


# %%
def blocked_lse(scores, n, block):
    largest, total = -np.inf, 0.0
    for a in range(0, n, block):
        s = scores(a, min(a + block, n))
        largest = np.maximum(largest, s.max(axis=1))
        total = total + np.exp(s - largest[:, None]).sum(axis=1)
    return largest + np.log(total)


mc.course.check("blocked_lse", blocked_lse)

# %%
print(mc.course.describe("cached_gradient"))


# %%
def cached_gradient(encode, pull_back, loss_gradient, x, chunk):
    dw = 0.0
    for a in range(0, len(x), chunk):
        z = encode(x[a : a + chunk])
        dw = dw + pull_back(x[a : a + chunk], loss_gradient(z))
    return dw


mc.course.check("cached_gradient", cached_gradient)

# %% [markdown]
# The second of the two conditions: the encoder draws random numbers, and both passes must draw the same ones.

# %%
print(mc.course.describe("replayed_gradient"))


# %%
def replayed_gradient(encode, pull_back, loss_gradient, x, chunk, rng):
    starts = range(0, len(x), chunk)
    z = np.concatenate([encode(x[a : a + chunk], rng) for a in starts])
    g = loss_gradient(z)
    return sum(pull_back(x[a : a + chunk], g[a : a + chunk], rng) for a in starts)


mc.course.check("replayed_gradient", replayed_gradient)

# %% [markdown]
# Between machines nothing is drawn, but something must be sent back. (The loss of a batch on R processes is an exercise of
# notebook 14.)

# %%
print(mc.course.describe("gather_vjp"))


# %%
def gather_vjp(g):
    ranks = len(g)
    n = g.shape[1] // ranks
    return np.array([g[r, r * n : (r + 1) * n] for r in range(ranks)])


mc.course.check("gather_vjp", gather_vjp)

# %% [markdown]
# ## Break
#
# A colleague is proud: her MoCo finds the right key for **every** query, from the first step on, before anything was
# learned. Her queue was made by `np.zeros`. "Then make it of random directions", says another, "that is harder." Who is
# right? The third queue was filled with keys of real images before the first step.


# %%
def first_steps(start, epochs=2):
    """Loss and share of queries whose own key comes first, step by step."""
    moco = mc.train.MoCo(
        *nets(0), view, dim=64, queue_size=1024, momentum=0.99, temperature=0.2, lr=1e-3, batch_size=32
    )
    if start == "zeros":
        moco.queue.rows[...] = 0.0
    elif start == "keys":
        moco.queue.put(mc.normalize(moco.keys(view(train.images[:1024], np.random.default_rng(0)))))
    seen, step = [], moco.step

    def watched(batch):
        seen.append(step(batch))
        return seen[-1]

    moco.step = watched
    moco.fit(train.images, epochs=epochs, progress=False)
    return np.array([s["loss"] for s in seen]), np.array([s["top1"] for s in seen])


starts = {"zeros": RED, "random directions": ORANGE, "keys": BLUE}
first = {start: first_steps(start) for start in starts}
full_at, collapse = 1024 // 32, math.log(1025)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
for ax, k, label in ((axes[0], 0, "loss (nats)"), (axes[1], 1, "share with the own key first")):
    for start, color in starts.items():
        ax.plot(
            first[start][k], color=color, ls="--" if start == "random directions" else "-", label=f"queue of {start}"
        )
    ax.axvline(full_at, color=GREY, ls=":", lw=1)
    ax.set(xlabel="step", ylabel=label)
axes[0].axhline(collapse, color="black", ls="--", lw=0.8)
axes[0].text(84, collapse + 0.05, "all equal: log(K + 1)", va="bottom", ha="right", fontsize=8)
axes[0].set_ylim(top=collapse + 0.6)
axes[1].text(full_at, 0.6, " all slots hold keys", fontsize=8)
axes[1].legend(frameon=False)
for start in starts:
    print(
        f"first step, queue of {start}: own key first for {100 * first[start][1][0]:.0f} %, loss {first[start][0][0]:.2f}"
    )
h = mc.normalize(mc.train.SimCLR(*nets(0), view).embed(test.images))
alike = (h @ h.T)[~np.eye(len(h), dtype=bool)].mean()
print(f"mean cosine of two different images before training: {alike:.2f}")
for start in ("zeros", "random directions"):
    assert first[start][1][0] == 1.0 and first[start][0][0] < 3 < first[start][0][full_at:].mean()
    assert first[start][1][full_at:].mean() < 0.3 and first[start][0][10] > first[start][0][0] + 2
assert first["keys"][1][0] < 0.3 and first["keys"][0][0] > 5 and alike > 0.5
show(
    figure,
    "Zeros and noise: a perfect first step, and a loss that is too low and rises as keys come in",
    "Loss and share of queries whose own key comes first, over two epochs, seed 0. At the first step: "
    + "; ".join(f"queue of {s}: {100 * first[s][1][0]:.0f} % and a loss of {first[s][0][0]:.2f}" for s in starts)
    + f". When all slots hold keys, after {full_at} steps: "
    + "; ".join(f"{100 * first[s][1][full_at]:.0f} % and {first[s][0][full_at]:.2f}" for s in starts)
    + ".",
)

# %% [markdown]
# <details><summary>The fault</summary>
#
# Neither is right. An empty slot has cosine 0 with every query, and a random direction has little more. But a network
# that was not trained puts all images into a narrow cone, so a query has a large cosine with *every* key, that of the wrong
# too. So its own key is found against zeros and against noise, whatever it is. (Noise is like real keys only where
# embeddings are spread over all directions.) The first K/B steps say little. Either fill the queue with keys
# first, or leave empty slots out of the loss, or look at no number before the queue is full. And **an accuracy of 100 % at
# step 0 is a fault of the measurement**: nothing was learned yet.
# </details>
#
# ## Check yourself
#
# 1. A queue of K = 65,536 keys, batches of 256. How many steps old is the oldest key when it is pushed out?
# 2. How large is the matrix of scores for N = 4096 images in float32? And a block of 256 columns of it?
# 3. m = 0.99. After how many steps has half of a change of the query encoder arrived in the key encoder?

# %%
print(f"1. {65_536 // 256} steps")
print(f"2. (2N)² numbers: {(2 * 4096) ** 2 * 4 / 2**20:.0f} MiB; a block: {2 * 4096 * 256 * 4 / 2**20:.0f} MiB")
half = math.log(2) / math.log(1 / 0.99)
print(
    f"3. {half:.0f} steps, since 0.99^{half:.0f} = {0.99**half:.2f}. The mean age is {0.99 / 0.01:.0f}: old steps weigh in for long"
)
assert abs(0.99**half - 0.5) < 1e-12

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        ["A. encode, against compare", guess["A"], f"{encode / compare:.0f} times"],
        ["B. mean age for m = 0.999", guess["B"], f"{0.999 / 0.001:.0f} steps"],
        ["C. error of 4 parts by themselves", guess["C"], f"{100 * naive[cuts.index(4)]:.0f} %"],
        ["D. found at first in a queue of zeros", guess["D"], f"{100 * first['zeros'][1][0]:.0f} %"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S41: the cost is large because similarity with *all other samples* is needed | imprecise: "all others" are those of the batch. One comparison is thousands of times cheaper than one encoding, but there are N² of them: which of the two costs more depends on N and on the network | *What a negative costs* |
# | S42: a memory bank keeps a queue of samples | wrong: a bank has a slot for each image; the queue is MoCo's | *Two memories that are often confused* |
# | S43: it greatly reduces computation | under conditions: it saves encoding in a step with a given number of negatives, hardly any in an epoch; scores still cost B K d, and the price is staleness | the table of MACs; *How old is a momentum encoder?* |
# | S44: a momentum encoder improves consistency, and is used instead of the current encoder | imprecise: it makes the keys only, gets no gradient, and buys consistency with lag | *What to test in a momentum encoder*, and the two figures before it |
# | S45: large batches are used to improve efficiency | imprecise: they are used for more negatives (a smaller bias of the log-partition), and cost memory and steps | *How many negatives are enough?*, *A gradient in two passes*, the comparison |

# %%
assert encode > 1000 * compare and model["compare"][0] < model["encode"][0] and crossing < 2048  # S41
assert len(bank) == 6 and len(queue.rows) == 4  # S42: in the table a slot for each of 6 images, and K = 4
assert saved > 100 and 6 / 4 < 2  # S43: in a step, and in an epoch
assert to_query[0.999][0] < to_query[0.99][0] and in_keys[0.999][1] > in_keys[0.99][1]  # S44: lag, and consistency
assert abs(bias[0.5][-1]) < abs(bias[0.5][0]) / 50 and growth["all at once"] > 3  # S45: what is bought, and the price
print("S41 to S45: decided as the table says")
