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
# # 11 · Seeing embeddings: PCA, t-SNE, alignment and uniformity
#
# An embedding has 128 numbers, and a page has two directions. So each picture of embeddings leaves something out, and
# some pictures add things that are not there. This notebook builds two kinds of pictures, finds out what they can and
# cannot show, and puts a **control** beside every one: the same picture of data in which there is nothing to see. In the
# end two plain numbers often tell more than a map.
#
# **When you are through, you can**
#
# - compute principal components, and say what a flat picture loses;
# - say what t-SNE minimises, and check its gradient;
# - name three things in a t-SNE map that mean nothing: sizes, distances between clusters, clumps;
# - read training in the plane of alignment and uniformity;
# - say what NT-Xent tends to when there are very many negatives, and how fast.
#
# **You need** notebooks 07 to 09.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from scipy import ndimage
from scipy.spatial import ConvexHull
from sklearn.manifold import TSNE, trustworthiness

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, embedding_maps, show, style, table
from minicl.viz.embedding_maps import agreement, chance

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS, EPOCHS = (5, 40) if FULL else (2, 4)
EACH = 8 if FULL else 3  # images of each digit in the maps
PERPLEXITIES, MAP_SEEDS = ([2, 5, 15, 30, 60], [0, 1, 2]) if FULL else ([5, 30], [0, 1])
STEPS = 1000 if FULL else 400  # of t-SNE

style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** 120 points are pure noise: one round cloud in many dimensions. Which of these does t-SNE show at perplexity 2:
#   one even disc, or many clumps?
# - **B.** Three clusters lie on a line. C is five times as far from B as A is. How many times as far is it in a t-SNE map
#   at perplexity 30?
# - **C.** The number of images N grows without end, and the embeddings stay spread evenly. Does the NT-Xent loss tend to a
#   number? And the loss minus log(2N − 2)?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# ### Something to look at
#
# An encoder is trained on digits without labels, as in notebook 09. We look at test images. Each one comes in three
# copies: turned to the left by 20 degrees, as it is, and turned to the right. So there are three things to colour: the
# digit, the turn, and (as a control) labels that were shuffled.

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")
views = mc.data.views
view = views.Compose(
    [
        views.RandomAffine(degrees=15, shift=0.5, scale=(0.8, 1.2)),
        views.ColorJitter(0.4, 0.4),
        views.GaussianNoise(0.1),
    ]
)
rng = np.random.default_rng(0)
encoder, head = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)
method = mc.train.SimCLR(encoder, head, view, temperature=1.0, lr=3e-3, batch_size=128, seed=0)

chosen = np.sort(np.concatenate([np.flatnonzero(test.labels == c)[:EACH] for c in range(10)]))
TURNS = {"left": 20, "none": 0, "right": -20}
images = np.concatenate(
    [ndimage.rotate(test.images[chosen], a, (2, 1), reshape=False, order=1) for a in TURNS.values()]
)
digit = np.tile(test.labels[chosen], 3)
turn = np.repeat(list(TURNS), len(chosen))
shuffled = np.tile(np.random.default_rng(5).permutation(test.labels[chosen]), 3)  # copies keep one label

before = method.encode(images)
method.fit(train.images, epochs=60 if FULL else 20, progress=False)
after = method.encode(images)
noise = np.random.default_rng(6).permuted(after, axis=0)
DATA = {
    "learned features": after,
    "untrained encoder": before,
    "raw pixels": images.reshape(len(images), -1),
    "noise": noise,
}
print({name: x.shape for name, x in DATA.items()})
assert np.array_equal(np.sort(noise, axis=0), np.sort(after, axis=0))

# %% [markdown]
# **The control.** `noise` has the same numbers as the learned features, and each column is shuffled by itself. Every
# column looks as before; what belonged together no longer does. Whatever a picture shows of it, is made by the picture.
#
# ### PCA: the flat picture that loses least
#
# A direction $w$ of length 1. How much of the variance lies along it, and how much is lost when the points are put on
# the line?

# %%
P = mc.derivations.ALL["pca"]
display(P["covariance"], P["variance along a direction"], P["what is kept and what is lost"])

# %% [markdown]
# The sum of both is fixed. So the direction that keeps most is the one that loses least, and we may look for it by
# descent on what is lost. Two starts, our own engine:


# %%
points = DATA["learned features"].astype(float)
centred = points - points.mean(axis=0)


def lost(a):
    """The mean squared distance of the points from the line along a."""
    w = mc.normalize(a[None, :])[0]
    rest = centred - (centred @ w)[:, None] * w[None, :]
    return (rest * rest).sum() / len(centred)


_, sigma, axes = np.linalg.svd(centred, full_matrices=False)
descended = []
for seed in range(3):
    a = mc.tensor(np.random.default_rng(seed).standard_normal(centred.shape[1]))
    step = 0.25 * len(centred) / sigma[0] ** 2
    for _ in range(300):
        w = a.data - step * mc.grad(lost(a), a)
        a.data = w / np.linalg.norm(w)
    descended.append(a.data)
dropped = (sigma[1:] ** 2).sum() / len(centred)
for w in descended:
    print(f"lost by descent {float(lost(w)):.9f}   by singular values {dropped:.9f}   w · v₁ = {w @ axes[0]:+.6f}")
    assert abs(lost(w) - dropped) < 1e-6 * dropped and abs(abs(w @ axes[0]) - 1) < 1e-4
assert mc.gradcheck.check(lost, np.random.default_rng(3).standard_normal(centred.shape[1]), order=1).passed

# %% [markdown]
# The line is the same each time. Its **sign** is not: $v$ and $-v$ are equally good. The singular values give all
# directions at once, and say what is lost.

# %%
display(P["points by their singular values"], P["the score"], P["reconstruction error"], P["no direction keeps more"])

# %% [markdown]
# Is there one best picture? Not always:

# %%
display(
    P["equal values: any turn is as good"], P["the first axis is unique"], P["a projection makes no distance larger"]
)

# %%
kept = {}
for name, x in DATA.items():
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    kept[name] = np.cumsum(s) / s.sum()
looks = {"learned features": BLUE, "untrained encoder": ORANGE, "raw pixels": GREEN, "noise": GREY}
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
for name, color in looks.items():
    ax.plot(np.arange(1, 41), 100 * kept[name][:40], color=color, label=name, ls="--" if name == "noise" else "-")
ax.axvline(2, color=GREY, lw=1, ls=":")
ax.set(xlabel="components kept", ylabel="variance kept, %", ylim=(0, 100))
ax.legend(frameon=False)
assert all(kept[name][1] < 0.6 for name in DATA) and kept["noise"][1] < min(kept[n][1] for n in DATA if n != "noise")
show(
    figure,
    "Two directions keep less than 60 per cent of the variance",
    "Variance kept against the number of components. Two keep "
    + ", ".join(f"{100 * k[1]:.0f} per cent of the {name}" for name, k in kept.items())
    + ".",
)


# %%
def dots(ax, places, labels, size=26):
    """Each point as its digit, so that colour is not all that tells them apart."""
    for c in range(10):
        ax.scatter(*places[labels == c].T, marker=rf"$\mathbf{{{c}}}$", s=size, lw=0, color=plt.cm.tab10(c))
    ax.set(xticks=[], yticks=[])


pictures = {}
figure, axs = plt.subplots(1, 4, figsize=(10, 3.1), layout="constrained")
panels = [
    ("learned features", digit, "by digit"),
    ("learned features", shuffled, "labels shuffled"),
    ("raw pixels", digit, "by digit"),
    ("noise", digit, "by digit"),
]
for ax, (name, labels, says) in zip(axs, panels):
    x = DATA[name] - DATA[name].mean(axis=0)
    places = x @ np.linalg.svd(x, full_matrices=False)[2][:2].T
    pictures[name, says] = agreement(places, labels)
    dots(ax, places, labels)
    ax.set_title(f"{name}\n{says}: {100 * pictures[name, says]:.0f} % agree")
by_chance = chance(digit)
assert pictures["learned features", "by digit"] > 2 * by_chance > 2 * pictures["noise", "by digit"] - by_chance
assert pictures["learned features", "labels shuffled"] < (2 if FULL else 4) * by_chance
show(
    figure,
    "PCA shows something of the digits; of noise and of shuffled labels it shows nothing",
    "Four scatter plots of the first two components. The share of the five nearest neighbours in the picture with the same "
    "label: "
    + ", ".join(f"{name} {says} {100 * a:.0f} per cent" for (name, says), a in pictures.items())
    + f". Chance is {100 * by_chance:.0f}.",
)

# %% [markdown]
# The number above each picture is the **agreement**: how many of the five nearest neighbours *in the picture* have the
# label of the point. A picture without a number is an opinion.
#
# ### t-SNE: the softmax that you know
#
# t-SNE gives up on distances and keeps **neighbours** (van der Maaten & Hinton 2008). Each point spreads one unit of
# attention over all the others, by a softmax. It is the softmax of the contrastive loss, with the negative squared
# distance for a similarity, and with a temperature of its own for each point.

# %%
T = mc.derivations.ALL["tsne"]
display(T["a neighbour's share"], T["shares sum to 1"])

# %% [markdown]
# How wide does a point look? By its **perplexity**, the effective number of neighbours. In notebook 08 the same number
# was called the effective number of negatives. It only grows with the width, so halving an interval finds the width.

# %%
display(T["entropy of the shares"], T["perplexity"], T["equal distances count in full"], T["entropy law"])


# %%
def squares(x):
    return ((x[:, None] - x) ** 2).sum(axis=-1)


def perplexity_of(c):
    return np.exp(-(c * np.log(np.where(c > 0, c, 1))).sum(axis=1))


def shares_at(d, beta):
    """The softmax of −β d over all others, row by row."""
    logits = -beta[:, None] * d
    np.fill_diagonal(logits, -np.inf)
    return mc.softmax(logits)


def solve(x, perplexity, halvings=60):
    """The shares whose perplexity is the wanted one, in every row."""
    d = squares(x)
    d = d / d.mean()
    low, high = np.full(len(x), -12.0), np.full(len(x), 12.0)  # of log β
    for _ in range(halvings):
        middle = (low + high) / 2
        wide = perplexity_of(shares_at(d, np.exp(middle))) > perplexity  # looks at too many: β must grow
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return shares_at(d, np.exp(middle)), np.exp(middle)


def symmetric(c):
    return (c + c.T) / (2 * len(c))


rows = []
for perplexity in PERPLEXITIES:
    c, _ = solve(points, perplexity)
    p = symmetric(c)
    off = np.abs(perplexity_of(c) - perplexity).max()
    assert off < 1e-5 and abs(p.sum() - 1) < 1e-12 and np.array_equal(p, p.T) and not np.diag(p).any()
    rows.append([perplexity, f"{off:.0e}", f"{p.sum() - 1:.0e}", f"{np.abs(p - p.T).max():.0e}"])
table(["perplexity", "largest miss of a row", "sum of p, less 1", "largest p − pᵀ"], rows)

# %%
d = squares(points)
d = d / d.mean()
figure, (ax, bars) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
betas = np.exp(np.linspace(-2, 5, 60))
curves = np.array([perplexity_of(shares_at(d, np.full(len(d), b))) for b in betas])
ax.semilogx(1 / betas, curves[:, ::12], color=BLUE, lw=1, alpha=0.7)
for p_ in PERPLEXITIES:
    ax.axhline(p_, color=GREY, lw=0.8, ls=":")
ax.set(
    xlabel="1/β, the temperature of a point",
    ylabel="its perplexity",
    title="some points; dotted: the perplexities of the maps",
)
_, beta = solve(points, 15)
bars.hist(np.log10(1 / beta), bins=20, color=BLUE)
bars.set(xlabel="log₁₀ of the temperature for perplexity 15", ylabel="points", title="all points")
assert (np.diff(curves, axis=0) < 1e-9).all() and curves.max() <= len(d) - 1 + 1e-9
show(
    figure,
    "The perplexity grows with the temperature, so each point finds one temperature",
    f"Left: perplexity against temperature for every twelfth point; all curves grow, up to {len(d) - 1}. Right: for perplexity 15 "
    f"the temperatures of the points lie between {1 / beta.max():.3f} and {1 / beta.min():.3f}.",
)

# %% [markdown]
# Since every point chooses its own temperature, **the map cannot know how dense a cloud is**:

# %%
T["density is forgotten"]

# %% [markdown]
# The map has places $y$ in the plane, and shares of its own. They fall off slowly, like Student's t, so that points that
# are not neighbours can be far apart at little cost. The cost says how badly the map's shares explain those of the data.

# %%
display(T["symmetric shares"], T["nearness in the map"], T["shares in the map"], T["cost"], T["gradient"])

# %% [markdown]
# Two tempting mistakes:

# %%
display(T["a gradient without the long tail"], T["lost and invented neighbours cost the same"])

# %% [markdown]
# The objective on our engine, and the gradient written by hand as a primitive. `gradcheck` holds the gradient at every
# entry, and the gradient of the gradient.


# %%
def map_shares(y):
    """w and q: nearness in the map, and the shares."""
    s = (y * y).sum(axis=1, keepdims=True)
    w = (1.0 - np.eye(len(y))) / (1.0 + s + s.T - 2.0 * (y @ y.T))
    return w, w / w.sum()


def cost(y, p):
    """Σ p log(p/q); the diagonal counts as 0."""
    _, q = map_shares(y)
    return (p * np.log(np.where(p > 0, p, 1))).sum() - (p * mc.log(q + np.eye(len(y)))).sum()


def tsne_gradient(y, p):
    """4 Σ (p − q) w (yᵢ − y_k), for all i at once."""
    w, q = map_shares(y)
    force = (p - q) * w
    return 4.0 * (force.sum(axis=1, keepdims=True) * y - force @ y)


@mc.primitive
def cost_by_hand(xp, y, p):
    """The cost again, with the short gradient."""
    return xp.asarray(cost(y, p))


cost_by_hand.defvjp(lambda g, _, y, p: g * tsne_gradient(y, p), None)

y = np.random.default_rng(1).standard_normal((11, 2))
p = symmetric(solve(np.random.default_rng(2).standard_normal((11, 5)), 3.0)[0])
report = mc.gradcheck.check(lambda y: cost_by_hand(y, p), y, order=2)
print(report)
assert report.passed
assert mc.gradcheck.check(lambda y: cost(y, p), y, order=2).passed
moved = mc.tensor(y)
by_engine = mc.grad(cost(moved, p), moved)
print(f"engine and hand differ by {np.abs(by_engine - tsne_gradient(y, p)).max():.0e}")
assert np.abs(by_engine - tsne_gradient(y, p)).max() < 1e-14

# %% [markdown]
# Does it agree with a library that many use? The cost that scikit-learn reports for its map, and ours for the same map:

# %%
few = points[:60]
p = symmetric(solve(few, 10)[0])
compared = []
for seed in range(3 if FULL else 1):
    theirs = TSNE(perplexity=10, init="random", method="exact", random_state=seed).fit(few)
    ours = float(cost(theirs.embedding_.astype(float), p))
    compared.append((theirs.kl_divergence_, ours))
    print(f"seed {seed}: scikit-learn {theirs.kl_divergence_:.5f}   ours {ours:.5f}")
    assert abs(theirs.kl_divergence_ - ours) < 2e-3 * ours


# %% [markdown]
# Now a map by our own descent, with momentum, and with all shares times four for the first steps, so that clusters find
# together while they can still pass through each other.


# %%
def descend(p, seed, steps=600, rate=20.0, early=100, keep=()):
    y = 1e-2 * np.random.default_rng(seed).standard_normal((len(p), 2))
    speed, costs, kept = np.zeros_like(y), [], {}
    for k in range(steps):
        if k in keep:
            kept[k] = y.copy()
        slope = tsne_gradient(y, 4 * p if k < early else p)
        speed = (0.5 if k < early else 0.8) * speed - rate * slope
        y = y + speed
        if k % 5 == 4:
            costs.append(float(cost(y, p)))
    kept[steps] = y
    return costs, kept


shown_at = (0, 60, 150)
runs = [descend(p, seed, keep=shown_at) for seed in range(5)]
figure, axs = plt.subplots(1, 5, figsize=(10.5, 2.6), layout="constrained", width_ratios=[1, 1, 1, 1, 1.5])
for ax, (k, places) in zip(axs, runs[0][1].items()):
    dots(ax, places, digit[:60])
    ax.set_title(f"step {k}\n{100 * agreement(places, digit[:60]):.0f} % agree")
for costs, _ in runs:
    axs[4].plot(np.arange(5, 601, 5), costs, lw=1, color=BLUE, alpha=0.7)
axs[4].set(xlabel="step", ylabel="cost", title="five seeds; the factor\nfour ends at step 100", ylim=(0, None))
ends = np.array([costs[-1] for costs, _ in runs])
assert all(costs[-1] < 0.5 * costs[0] for costs, _ in runs) and np.diff(np.sort(ends)).min() > 1e-5
assert agreement(runs[0][1][600], digit[:60]) > 1.5 * agreement(runs[0][1][0], digit[:60])
show(
    figure,
    "Descent finds a map, and each start finds another one",
    f"Sixty points at steps 0, 60, 150 and 600 of descent, and the cost of five starts. They end between {ends.min():.4f} and "
    f"{ends.max():.4f}: the cost has many valleys.",
)

# %% [markdown]
# ### Five perplexities, three seeds, and a control
#
# From here on scikit-learn's TSNE makes the maps; it is the same objective, faster. **Trustworthiness** says whether
# neighbours in the map are neighbours in the data: 1 if all are, about 0.5 for places at random (Venna & Kaski 2001).


# %%
def tsne(x, perplexity, seed, init="random"):
    model = TSNE(perplexity=perplexity, init=init, random_state=seed, max_iter=STEPS, n_jobs=1)
    return model.fit_transform(x)


MAPS = {}
for name, x in DATA.items():
    MAPS[name] = {}
    for perplexity in PERPLEXITIES:
        for seed in MAP_SEEDS:
            places = tsne(x, perplexity, seed)
            MAPS[name][perplexity, seed] = (places, trustworthiness(x, places, n_neighbors=5))

# %%
panel_rows = [("learned features", seed, digit, f"seed {seed}") for seed in MAP_SEEDS]
panel_rows += [("learned features", 0, shuffled, "control: labels shuffled"), ("noise", 0, digit, "control: noise")]
lines, across = len(panel_rows), len(PERPLEXITIES)
figure, axs = plt.subplots(lines, across, figsize=(2.1 * across, 2.3 * lines), layout="constrained")
found = {}
for line, (name, seed, labels, says) in zip(axs, panel_rows):
    for ax, perplexity in zip(line, PERPLEXITIES):
        places, trust = MAPS[name][perplexity, seed]
        found[says, perplexity] = agreement(places, labels), trust
        dots(ax, places, labels, size=18)
        ax.set_title(
            f"perplexity {perplexity}\n{100 * found[says, perplexity][0]:.0f} % agree, trust {trust:.2f}", fontsize=8.5
        )
    line[0].set_ylabel(says)
good = [found[f"seed {seed}", perplexity] for seed in MAP_SEEDS for perplexity in PERPLEXITIES]
controls = [found[says, p_] for says in ("control: labels shuffled", "control: noise") for p_ in PERPLEXITIES]
false_trust = [found["control: noise", p_][1] for p_ in PERPLEXITIES]
lowest = 0.95 if FULL else 0.85
assert min(trust for _, trust in good) >= lowest > 0.82 > max(false_trust)
assert min(a for a, _ in good) > 0.5 and max(a for a, _ in controls) < (0.25 if FULL else 0.4)
show(
    figure,
    f"Maps differ with seed and perplexity; all of them keep neighbours (trust ≥ {lowest}), maps of noise far less",
    f"{axs.size} maps. Learned features, {len(MAP_SEEDS)} seeds: agreement {100 * min(good)[0]:.0f} to {100 * max(good)[0]:.0f} per cent, "
    f"trustworthiness {min(t for _, t in good):.2f} to {max(t for _, t in good):.2f}. Shuffled labels on the same maps, and noise: "
    f"agreement at most {100 * max(controls)[0]:.0f} per cent. Noise: trustworthiness {min(false_trust):.2f} to {max(false_trust):.2f}.",
)

# %%
rows = []
for name in DATA:
    line = [name]
    for perplexity in (5, 30):
        trust = [MAPS[name][perplexity, seed][1] for seed in MAP_SEEDS]
        same = [100 * agreement(MAPS[name][perplexity, seed][0], digit) for seed in MAP_SEEDS]
        for values, digits in ((trust, 3), (same, 1)):
            middle, half = mc.evaluate.t_interval(values)
            line.append(f"{middle:.{digits}f} ± {half:.{digits}f}")
    rows.append(line)
display(
    table([f"mean over {len(MAP_SEEDS)} seeds, 95 %", "trust, perplexity 5", "agree, %", "trust, perplexity 30", "agree, %"], rows),
)

# %% [markdown]
# Read the table with care. Maps of raw pixels and of an untrained encoder are nearly as trustworthy as those of learned
# features: **trust says that the map is true to its data, not that the data are good.** Raw pixels agree by far more than
# chance too: images of a digit that are turned alike have like pixels. It is not the copies, which are turned otherwise: of
# the five nearest neighbours of an image only a few are its copies. See also the column *turn* further down.

# %%
for name in ("raw pixels", "untrained encoder"):
    assert np.mean([MAPS[name][30, seed][1] for seed in MAP_SEEDS]) > lowest - 0.02
    assert min(agreement(MAPS[name][30, seed][0], digit) for seed in MAP_SEEDS) > 2 * by_chance
source = np.tile(np.arange(len(chosen)), 3)  # the image that a copy was made of
copies = {name: agreement(DATA[name], source) for name in DATA}
print("of the five nearest neighbours in the data, copies:", {name: f"{100 * a:.0f} %" for name, a in copies.items()})
assert copies["raw pixels"] < (0.1 if FULL else 0.4)

# %% [markdown]
# ### What a map does not show
#
# **Sizes.** Two round clouds, one ten times as wide. **Distances.** Three clusters on a line: A and B are near, C is five
# times as far from B. **Clumps.** One round cloud of noise.


# %%
def two_sizes(rng):
    return np.concatenate([rng.standard_normal((60, 2)), 10 * rng.standard_normal((60, 2)) + [60, 0]])


def three_on_a_line(rng):
    return np.concatenate([rng.standard_normal((40, 2)) + [x, 0] for x in (0, 12, 72)])


def radius(z):
    return np.sqrt(((z - z.mean(axis=0)) ** 2).sum(axis=1).mean())


def size_ratio(z):
    return radius(z[60:]) / radius(z[:60])


def distance_ratio(z):
    """BC over AB."""
    a, b, c = (z[40 * k : 40 * k + 40].mean(axis=0) for k in range(3))
    return np.linalg.norm(b - c) / np.linalg.norm(a - b)


def order_kept(z):
    """Whether B is nearer to A than to C, and A nearer to B than to C."""
    a, b, c = (z[40 * k : 40 * k + 40].mean(axis=0) for k in range(3))
    return np.linalg.norm(a - b) < min(np.linalg.norm(b - c), np.linalg.norm(a - c))


def evenness(z):
    """Clark & Evans (1954): mean distance to the nearest point, as a part of what points at random would have. Below 1: clumps."""
    d = squares(z)
    np.fill_diagonal(d, np.inf)
    area = ConvexHull(z).volume
    return np.sqrt(d.min(axis=1)).mean() / (0.5 * np.sqrt(area / len(z)))


CASES = {
    "sizes": (two_sizes, size_ratio, np.repeat([0, 1], 60)),
    "distances": (three_on_a_line, distance_ratio, np.repeat([0, 1, 2], 40)),
    "clumps": (lambda rng: rng.standard_normal((120, 30)), evenness, np.zeros(120, int)),
}
TRIED = [2, 30]
measured, kept_maps = {}, {}
for case, (make, ratio, _) in CASES.items():
    for seed in range(SEEDS):
        x = make(np.random.default_rng([7, seed]))
        measured.setdefault((case, "data"), []).append(ratio(x[:, :2]))
        for perplexity in TRIED:
            places = tsne(x, perplexity, seed)
            measured.setdefault((case, perplexity), []).append(ratio(places))
            kept_maps[case, perplexity, seed] = places
        kept_maps[case, "data", seed] = x[:, :2]

# %%
figure, axs = plt.subplots(3, 3, figsize=(9, 8), layout="constrained")
NAMES = {"sizes": "wide : narrow", "distances": "BC : AB", "clumps": "evenness"}
PAINT = np.array([BLUE, ORANGE, GREEN])
for line, (case, (_, _, labels)) in zip(axs, CASES.items()):
    for ax, where in zip(line, ["data", *TRIED]):
        ax.scatter(*kept_maps[case, where, 0].T, c=PAINT[labels], s=6)
        middle, half = mc.evaluate.t_interval(measured[case, where])
        title = "data" if where == "data" else f"map, perplexity {where}"
        title += " (two of 30 columns)" if (case, where) == ("clumps", "data") else ""
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_box_aspect(0.8)
        ax.set(xticks=[], yticks=[], title=f"{title}\n{NAMES[case]} {middle:.2f} ± {half:.2f}")
        for k in range(3 * (case == "distances")):
            ax.annotate(
                "ABC"[k],
                kept_maps[case, where, 0][labels == k].mean(axis=0),
                (0, 12),
                textcoords="offset points",
                weight="bold",
            )
mean = {key: np.mean(values) for key, values in measured.items()}
assert mean["sizes", "data"] > 8 and max(measured["sizes", 30]) < 2
assert mean["distances", "data"] > 4.5 and max(measured["distances", 30]) < 2
assert min(measured["clumps", "data"]) > 0.85 > 0.75 > max(measured["clumps", 2])
show(
    figure,
    "Sizes and distances are lost, and clumps are invented",
    f"Data and maps at perplexities 2 and 30; means over {SEEDS} seeds. The wide cloud is {mean['sizes', 'data']:.1f} times as wide in the "
    f"data and {mean['sizes', 30]:.2f} times in the map at 30. C is {mean['distances', 'data']:.1f} times as far in the data and "
    f"{mean['distances', 30]:.2f} times in the map. Noise has evenness {mean['clumps', 'data']:.2f} in the data, {mean['clumps', 2]:.2f} "
    f"(clumped) in the map at perplexity 2, and {mean['clumps', 30]:.2f} at 30.",
)

# %% [markdown]
# So this sentence is **FALSE**: *distances between t-SNE clusters keep their order.* How often did they, with A and B
# twelve apart, and C sixty from B? All maps here start at random places. A start from PCA keeps the order more often, the
# distances no better.

# %%
kept_order = {
    where: int(sum(order_kept(kept_maps["distances", where, seed]) for seed in range(SEEDS)))
    for where in ["data", *TRIED]
}
from_pca = [
    tsne(three_on_a_line(np.random.default_rng([7, seed])), 30, seed, init="pca") for seed in range(SEEDS if FULL else 1)
]
ratios = [distance_ratio(z) for z in from_pca]
kept_order["30, start from PCA"] = int(sum(map(order_kept, from_pca)))
print(f"A and B are the nearest pair, of {SEEDS} seeds:", kept_order)
print(f"BC : AB from a start from PCA, at perplexity 30: {min(ratios):.2f} to {max(ratios):.2f}; in the data about 5")
assert kept_order["data"] == SEEDS
assert min(kept_order[p_] for p_ in TRIED) < SEEDS and max(ratios) < 2
assert kept_order["30, start from PCA"] > kept_order[30] or not FULL

# %% [markdown]
# ### Two numbers instead of a picture
#
# What does a contrastive loss want? Partners near, everything spread. Wang & Isola (2020) measure both. **Alignment** is the
# mean squared distance of partners, **uniformity** the logarithm of a mean kernel over all pairs. Small is good for both.

# %%
A = mc.derivations.ALL["alignment_uniformity"]
display(A["alignment"], A["uniformity"], A["two parts of the loss"], A["mean of logarithms, logarithm of a mean"])

# %% [markdown]
# Training is a path in the plane of the two. Here are five kinds: NT-Xent, alignment alone, uniformity alone, their sum,
# and, as a **control**, NT-Xent on noise: training images whose pixels were shuffled, each column by itself. What counts
# in the end stands on the right: a linear probe on real digits, with one label for each digit.

# %%
LOSSES = {
    "NT-Xent": lambda a, b: mc.nt_xent(a, b, 1.0),
    "alignment alone": mc.losses.align,
    "uniformity alone": lambda a, b: (mc.losses.uniform(a) + mc.losses.uniform(b)) / 2,
    "sum of both": lambda a, b: mc.losses.align(a, b) + (mc.losses.uniform(a) + mc.losses.uniform(b)) / 2,
    "NT-Xent on noise": lambda a, b: mc.nt_xent(a, b, 1.0),
}
LOOK = [e for e in (1, 2, 3, 5, 8, 12, 20, 30, 40) if e <= EPOCHS]


def shuffled_pixels(images, seed):
    flat = images.reshape(len(images), -1)
    return np.random.default_rng(seed).permuted(flat, axis=0).reshape(images.shape)


def path(name, seed):
    """Alignment and uniformity on views of test images while an encoder trains, and the encoder."""
    rng = np.random.default_rng([11, seed])
    encoder, head = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.ProjectionHead(128, 128, 64, rng=rng)
    parameters = encoder.parameters() + head.parameters()
    optimizer = mc.optim.Adam(parameters, lr=3e-3)
    seen, held = train.images, test.images
    if name == "NT-Xent on noise":
        seen = shuffled_pixels(seen, seed)  # what it is measured on stays real
    held = mc.data.two_views(held, view, np.random.default_rng(99))
    walked = []

    def look():
        with mc.no_grad():
            z1, z2 = (head(encoder(v)).numpy() for v in held)
        walked.append((mc.evaluate.alignment(z1, z2), mc.evaluate.uniformity(z1)))

    look()
    for epoch in range(1, EPOCHS + 1):
        order = rng.permutation(len(seen))
        for k in range(0, len(order) - 127, 128):
            v1, v2 = mc.data.two_views(seen[order[k : k + 128]], view, rng)
            loss = LOSSES[name](head(encoder(v1)), head(encoder(v2)))
            optimizer.step(mc.grad(loss, parameters))
        if epoch in LOOK:
            look()
    return np.array(walked), encoder


DRAWS = 5 if FULL else 2


def few_labels(seed):
    """One labelled image of each digit, drawn DRAWS times; the same for all rows."""
    return [mc.data.few_labels(train.labels, 1, np.random.default_rng([seed, draw])) for draw in range(DRAWS)]


def probe(features, seed):
    x, held = features
    return 100 * np.mean(
        [mc.evaluate.linear_probe(x[few], train.labels[few], held, test.labels, C=0.1) for few in few_labels(seed)]
    )


def encode(encoder):
    with mc.no_grad():
        return [encoder(x.images).numpy() for x in (train, test)]


def supervised(seed, steps=400 if FULL else 60):
    """The same encoder trained on the few labels alone, with the same views."""
    rng = np.random.default_rng([12, seed])
    few = few_labels(seed)[0]
    encoder, top = mc.nn.MLP([64, 256, 128], rng=rng), mc.nn.Linear(128, 10, rng=rng)
    parameters = encoder.parameters() + top.parameters()
    optimizer = mc.optim.Adam(parameters, lr=3e-3)
    for _ in range(steps):
        loss = mc.cross_entropy(top(encoder(view(train.images[few], rng))), train.labels[few])
        optimizer.step(mc.grad(loss, parameters))
    with mc.no_grad():
        return 100 * (top(encoder(test.images)).numpy().argmax(axis=1) == test.labels).mean()


paths, probes = {}, {}
for name in LOSSES:
    for seed in range(SEEDS):
        walked, encoder = path(name, seed)
        paths.setdefault(name, []).append(walked)
        probes.setdefault(name, []).append(probe(encode(encoder), seed))
pixels = [x.images.reshape(len(x.images), -1) for x in (train, test)]
probes["raw pixels"] = [probe(pixels, seed) for seed in range(SEEDS)]
probes["untrained encoder"] = [
    probe(encode(mc.nn.MLP([64, 256, 128], rng=np.random.default_rng([11, seed]))), seed) for seed in range(SEEDS)
]
probes["labels alone"] = [supervised(seed) for seed in range(SEEDS)]
paths = {name: np.array(walked) for name, walked in paths.items()}  # (seeds, looks, 2)

# %%
figure, (plane, bars) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=[1.4, 1])
PAINTED = dict(zip(LOSSES, [BLUE, RED, ORANGE, GREEN, GREY]))
for name, color in PAINTED.items():
    for walked in paths[name]:
        plane.plot(*walked.T, color=color, lw=1, alpha=0.7, ls="--" if "noise" in name else "-")
        plane.plot(*walked[0], "o", color=color, mfc="white", ms=5)
        plane.plot(*walked[-1], "o", color=color, ms=5)
    plane.plot([], [], color=color, marker="o", label=name, ls="--" if "noise" in name else "-")
plane.plot(0, 0, "x", color="black")
plane.annotate("collapse", (0, 0), (0.05, -0.15))
plane.set(
    xlabel="alignment (0: partners equal)",
    ylabel="uniformity (low: spread)",
    title=f"hollow: start, filled: epoch {EPOCHS}; {SEEDS} seeds",
)
plane.legend(frameon=False, fontsize=8.5)
order = [*LOSSES, "raw pixels", "untrained encoder", "labels alone"]
stats = {name: mc.evaluate.t_interval(probes[name]) for name in order}
for k, name in enumerate(order):
    bars.barh(k, stats[name][0], color=PAINTED.get(name, "#BBBBBB"))
    bars.errorbar(stats[name][0], k, xerr=stats[name][1] if FULL else None, color="black", capsize=2, lw=1)
bars.set_yticks(range(len(order)), order)
bars.invert_yaxis()
bars.set(xlim=(0, 100), xlabel="test accuracy, %", title="with 1 label a class" + (", 95 %" if FULL else ""))
end = {name: walked[:, -1].mean(axis=0) for name, walked in paths.items()}
gain = np.array(probes["NT-Xent"]) - np.array(probes["NT-Xent on noise"])
assert (paths["alignment alone"][:, -1] > -0.1).all() and end["alignment alone"][0] < 0.01  # it collapses
assert (
    end["uniformity alone"][1] < end["sum of both"][1] < end["NT-Xent"][1]
    and end["uniformity alone"][0] > 2 * end["NT-Xent"][0]
)
assert end["NT-Xent on noise"][1] < -1.5  # spread, though no digit was seen
if FULL:
    assert end["NT-Xent on noise"][1] < end["NT-Xent"][1] and end["NT-Xent on noise"][0] > 1.3 * end["NT-Xent"][0]
    assert (gain > 0).all() and gain.mean() > mc.evaluate.t_interval(gain)[1]
    assert stats["NT-Xent"][0] > stats["alignment alone"][0] and stats["NT-Xent"][0] > stats["uniformity alone"][0]
show(
    figure,
    "Each loss has its own way through the plane; the spread at its end does not say what was learned",
    f"Paths of {SEEDS} seeds each. Alignment and uniformity at the end: "
    + "; ".join(f"{name} {a:.2f} and {u:.2f}" for name, (a, u) in end.items())
    + ". Probe accuracy: "
    + ", ".join(f"{name} {m:.1f} ± {h:.1f}" for name, (m, h) in stats.items())
    + " per cent.",
)

# %% [markdown]
# Alignment alone collapses at once: all embeddings equal, both numbers 0. Uniformity alone drives partners apart. The
# control never saw a digit, yet it spreads the digits over the sphere as well as the real run does; only their partners
# stay further apart. So the plane tells **how** a loss is met, and only a probe tells **what for**. (Trained on noise, the
# encoder is not useless: it is a little better than untrained. Why, this figure does not say. *Labels alone* is no probe:
# the whole encoder was trained on the labels, the first of the five draws only, hence its wide interval.)
#
# ### Very many negatives
#
# The loss grows with the number of candidates, like its logarithm. Without that logarithm it has a limit. To see it
# exactly, we take embeddings that are spread evenly over the sphere in three dimensions, with partners at a fixed cosine c:
# then every term is known in closed form.

# %%
display(A["the crowd of an even sphere"], A["many negatives"], A["the limit without the logarithm of the number"])

# %%
TAU, C = 0.5, 0.95
kappa = 1 / TAU
crowd = math.sinh(kappa) / kappa
limit = -C / TAU + math.log(crowd)


def even_batch(rng, n):
    u = mc.normalize(rng.standard_normal((n, 3)))
    t = rng.standard_normal((n, 3))
    t = mc.normalize(t - (t * u).sum(axis=1, keepdims=True) * u)
    return u, C * u + math.sqrt(1 - C * C) * t


SIZES = {8: 3000, 16: 1500, 32: 800, 64: 400, 128: 250, 256: 150, 512: 60}
if not FULL:
    SIZES = {n: max(count // 12, 4) for n, count in SIZES.items() if n <= 128}
losses, gaps, errors = [], [], []
for n, count in SIZES.items():
    rng = np.random.default_rng([13, n])
    values = np.array([float(mc.nt_xent(*even_batch(rng, n), TAU)) for _ in range(count)])
    middle, half = mc.evaluate.t_interval(values - math.log(2 * n - 2) - limit)
    losses.append(values.mean())
    gaps.append(middle)
    errors.append(half)
sizes, losses, gaps, errors = (np.array(v) for v in (list(SIZES), losses, gaps, errors))
slope, intercept = np.polyfit(np.log(sizes), np.log(gaps), 1, w=gaps / errors)
uncertain = 0.15 if FULL else 0.5
assert (losses[1:] > losses[:-1]).all() and abs(slope + 1) < uncertain
assert np.abs(gaps[-1]) < 0.02 * abs(limit) or not FULL
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
left.semilogx(sizes, losses, color=GREY, marker="o", ms=4, label="the loss")
left.semilogx(sizes, gaps + limit, color=BLUE, marker="o", ms=4, label="the loss − log(2N − 2)")
left.axhline(limit, color=GREEN, ls="--", label="its limit, in closed form")
left.set(xlabel="images N", title=f"even sphere, τ = {TAU}, partners at cosine {C}")
left.legend(frameon=False)
right.errorbar(sizes, gaps, errors, color=BLUE, marker="o", ms=4, ls="", capsize=2)
right.plot(sizes, np.exp(intercept) * sizes**slope, color=BLUE, lw=1)
right.set(
    xscale="log",
    yscale="log",
    xlabel="images N",
    ylabel="distance from the limit",
    title=f"falls like N to the −{-slope:.2f}; 95 % intervals",
)
show(
    figure,
    "The loss grows with N; the loss minus log(2N − 2) tends to a limit, and the gap falls like 1/N",
    f"The loss grows from {losses[0]:.2f} at N = {sizes[0]} to {losses[-1]:.2f} at {sizes[-1]}. Without log(2N − 2) it tends to {limit:.4f}; "
    + ", ".join(f"at N = {n} it is {g:.4f} ± {e:.4f} above" for n, g, e in zip(sizes, gaps, errors))
    + f". The slope in the log-log plot is {slope:.2f}.",
)

# %% [markdown]
# All statements of the two new derivations, as tables:

# %%
P.check()

# %%
T.check()

# %% [markdown]
# ## Play
#
# Choose a perplexity and a seed. On the right stands the control, at the same perplexity and seed. Try this: at which
# perplexity does noise look most like clusters? Does the colour by turn show that the encoder has learned to overlook it?
# What does *even or odd* show, and why?

# %%
COLOURS = {"digit": digit, "turn": turn, "even or odd": np.where(digit % 2, "odd", "even"), "labels shuffled": shuffled}
NOTES = {
    "learned features": "SimCLR without labels; every image in three turns.",
    "untrained encoder": "The same network before training.",
    "raw pixels": "64 pixels, no network.",
    "turn": "Turned by 20 degrees to the left, not at all, or to the right.",
    "even or odd": "A class that no shape tells: but who knows the digit, knows this too.",
    "labels shuffled": "Another control: digits given to other images; the three copies of an image keep one.",
}
maps = embedding_maps(MAPS, COLOURS, NOTES)
assert len(maps.page()) < 500_000
maps

# %%
table(
    ["agreement in the map at perplexity 30, seed 0, %", *COLOURS],
    [[name, *(f"{100 * agreement(MAPS[name][30, 0][0], labels):.0f}" for labels in COLOURS.values())] for name in DATA]
    + [["chance", *(f"{100 * chance(labels):.0f}" for labels in COLOURS.values())]],
)

# %% [markdown]
# The column *turn* is what training was for: in raw pixels nearly all neighbours are turned alike, in learned features
# fewer are. The encoder has learned to overlook a part of what the views change. Only a part: the number is still far
# above chance, and the copies are turned by 20 degrees, the views in training by at most 15.

# %%
by_turn = {name: agreement(MAPS[name][30, 0][0], turn) for name in DATA}
assert by_turn["learned features"] < by_turn["raw pixels"] - 0.1

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("pca"))


# %%
def pca(x, k):
    u, s, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return u[:, :k] * s[:k], vt[:k]


mc.course.check("pca", pca)

# %%
print(mc.course.describe("uniformity"))


# %%
def uniformity(z, t):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    return np.log(np.mean(np.exp(-t * ((u[:, None] - u) ** 2).sum(axis=-1))))


mc.course.check("uniformity", uniformity)

# %% [markdown]
# The third one is a quiz that a map cannot answer: **two clusters or one?** Your function gets the data.

# %%
print(mc.course.describe("one_or_two"))


# %%
def one_or_two(x):
    spread = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    return 2 if spread[0] > 2 * spread[1] else 1


mc.course.check("one_or_two", one_or_two)

# %% [markdown]
# ## Break
#
# A colleague has 60 samples of pure noise with 5000 columns, and labels that were drawn at random. "Most columns say
# nothing, so I kept the 60 that do. Look, three clusters!" Every line runs. Which one makes the clusters?

# %%
rng = np.random.default_rng(9)
columns, labels = rng.standard_normal((120, 5000)), rng.integers(0, 3, 120)
mine, fresh = slice(0, 60), slice(60, 120)
means = np.array([columns[mine][labels[mine] == c].mean(axis=0) for c in range(3)])
best = np.argsort(-means.var(axis=0))[:60]
selected = columns[:, best]
results = {}
figure, axs = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
for ax, (name, x, y) in zip(
    axs,
    [
        ("the colleague's map", selected[mine], labels[mine]),
        ("control: new samples, same columns", selected[fresh], labels[fresh]),
        ("control: all columns", columns[mine], labels[mine]),
    ],
):
    places = tsne(x, 10, 0)
    results[name] = agreement(places, y)
    dots(ax, places, y, size=30)
    ax.set_title(f"{name}\n{100 * results[name]:.0f} % agree, {100 * chance(y):.0f} % is chance")
shown, *honest = results.values()
assert shown > 0.65 and max(honest) < 0.45
show(
    figure,
    "Three clusters out of pure noise, and none in new samples",
    "Three maps. Agreement: "
    + ", ".join(f"{name} {100 * a:.0f} per cent" for name, a in results.items())
    + ". Chance is about 33.",
)

# %% [markdown]
# <details><summary>The fault</summary>
#
# `best = np.argsort(...)`: the columns were chosen **by the labels of the very points that are shown**. Among 5000 columns
# of noise, 60 happen to fit any labels. New samples, which took no part in the choice, show nothing. Whatever is chosen
# with labels (columns, a temperature, an epoch, the prettiest of ten seeds) must be shown on points that were not used.
# </details>
#
# ## Check yourself
#
# 1. In a map, cluster A lies twice as far from B as from C. Which of the two is nearer in the data?
# 2. All features are multiplied by 10. How does the t-SNE objective change at the same perplexity?
# 3. Somebody reports the uniformity at t = 20 of 100 embeddings as −4.6. They spread over a sphere with very many dimensions.
#    How do you see at once that the diagonal was counted?

# %%
print(
    f"1. nobody can tell: A and B, the nearest pair, stayed the nearest pair in {kept_order[30]} of {SEEDS} maps at perplexity 30"
)
same_p = np.abs(solve(points, 15)[0] - solve(10 * points, 15)[0]).max()
print(f"2. not at all: the largest change of a share is {same_p:.0e}")
spread_out = np.random.default_rng(9).standard_normal((100, 400))
honest_value = mc.evaluate.uniformity(spread_out, t=20)
u = spread_out / np.linalg.norm(spread_out, axis=1, keepdims=True)
with_diagonal = math.log(np.exp(-20 * squares(u)).mean())
print(
    f"3. −log 100 = {-math.log(100):.2f} is the floor with the diagonal. At t = 20: {with_diagonal:.2f} with it, {honest_value:.2f} without"
)
assert same_p < 1e-5 and abs(with_diagonal + math.log(100)) < 0.01 and honest_value < -20

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. noise at perplexity 2",
            guess["A"],
            f"clumps: evenness {mean['clumps', 2]:.2f}, where points at random have 1",
        ],
        ["B. five times as far; in the map", guess["B"], f"{mean['distances', 30]:.2f} times"],
        ["C. the loss; the loss − log(2N − 2)", guess["C"], f"grows without end; tends to {limit:.3f}"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S10: the model learns representations that mean something for discriminative tasks | under conditions: the views must keep what the labels ask for, and the data must have it; the same loss on noise spreads as well and helps less | *Two numbers instead of a picture*: the bars |
# | S22: the loss maximises the similarity of positives and minimises **all** negative similarities | imprecise: negatives cannot all be at −1; in at least N − 1 dimensions each has cosine −1/(N − 1) at the optimum, and with many of them the loss asks for an even spread | the cell below, *Very many negatives* |
# | S23: by minimising it the model learns useful features | under conditions: an even spread says nothing about use | the control in the plane |
#
# The article shows no picture of embeddings. If you do: put a control beside it, write a number above it, and say how many
# seeds you looked at.

# %%
n = 4
a, b = (mc.tensor(np.random.default_rng(seed).standard_normal((n, 8))) for seed in (20, 21))
for _ in range(1000):
    _, (ga, gb) = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), a, b)
    a.data, b.data = a.data - 2.0 * ga, b.data - 2.0 * gb
u = mc.normalize(np.concatenate([a.data, b.data]))
cosines = u @ u.T
partners = np.array([cosines[k, k + n] for k in range(n)])
negatives = np.array([cosines[i, k] for i in range(2 * n) for k in range(2 * n) if (i - k) % n])
print(
    f"partners {partners.min():.4f} to {partners.max():.4f}; negatives {negatives.min():.4f} to {negatives.max():.4f}; −1/(N − 1) = {-1 / (n - 1):.4f}"
)
assert partners.min() > 0.999 and np.abs(negatives + 1 / (n - 1)).max() < 0.01
assert P.check().passed and T.check().passed and A["the limit without the logarithm of the number"].passed
if FULL:
    assert stats["NT-Xent"][0] > stats["NT-Xent on noise"][0]  # S10: the same loss, nothing to learn
