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
# # 00 · Similarity and what "learning similarity" means
#
# Which two photos show the same thing? A computer turns each photo into a list of numbers, an **embedding**, and
# compares the lists. This notebook is about the comparison: three ways to do it, what each of them sees and overlooks,
# and how they become one on the sphere. Then it asks what it means to *learn* a similarity instead of writing one down.
#
# **When you are through, you can**
#
# - tell a similarity from a distance, and say what inner product, Euclidean distance and cosine do not see;
# - compute all cosines of two sets of vectors, also of very short, very long and zero vectors;
# - derive the gradient of a cosine by hand, and say why length still matters to it;
# - name a case in which the "cosine distance" is no distance;
# - say what a contrastive loss measures, and why it is *not* the similarity.
#
# **You need** vectors and the derivative of a quotient. Everything else is built here.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

import minicl as mc
from minicl.data import views
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, show, similarity_plane, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS = 5 if FULL else 2
style()


def interval(values):
    """Half the width of the 95 % interval of a mean over seeds (Student's t; 12.7 for two, 2.78 for five)."""
    values = np.asarray(values, dtype=float)
    return {2: 12.706, 5: 2.776}[len(values)] * values.std(ddof=1) / np.sqrt(len(values))


# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** You look for the vector v that has the largest inner product with u = (1, 0). Is it u itself?
# - **B.** The cosine does not change when a vector is made ten times as long. Does its *gradient* change?
# - **C.** 1 − cos is called the cosine distance. Does it obey the triangle inequality, as a distance must?
# - **D.** You move one embedding. Can the contrastive loss of *another* pair change, although that pair did not?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %% [markdown]
# ## Derive
#
# ### Similarity and distance
#
# A **similarity** is large for things that are alike; a **distance** is small for them. They point in opposite
# directions, and mixing them up is a sign error that no program reports. Of a similarity one expects at least this:
# nothing is more similar to u than u itself. Three measures are in use: the inner product, the Euclidean distance, and
# the cosine.
#
# Here they are for one fixed u and every v of a plane. The distance is drawn with a minus, so that in all three
# pictures high means similar. The star marks where the measure is largest.

# %%
u = np.array([1.5, 0.75])
side = np.linspace(-3, 3, 241)
plane = np.stack(np.meshgrid(side, side), axis=-1)
MEASURES = {
    "inner product": plane @ u,
    "−Euclidean distance": -mc.norm(plane - u, axis=-1),
    "cosine": mc.cosine_similarity(plane, u),
}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.3), layout="constrained")
best = {}
for ax, (name, values) in zip(axes, MEASURES.items()):
    levels = 12 if name != "cosine" else [-0.99, -0.9, -0.7, -0.4, 0, 0.4, 0.7, 0.9, 0.99]
    filled = ax.contourf(side, side, values, levels=30, cmap="viridis")
    ax.contour(side, side, values, levels=levels, colors="white", linewidths=0.6, linestyles="solid")
    ax.annotate("", u, (0, 0), arrowprops={"arrowstyle": "->", "color": "black", "lw": 2})
    ax.text(0.6, -0.35, "u", color="black", weight="bold", fontsize=12)
    best[name] = plane[values >= values.max() - 1e-12]
    if len(best[name]) == 1:
        ax.plot(*best[name][0], "*", color=ORANGE, ms=16, mec="white", clip_on=False)
    else:
        ax.plot([0, 3], [0, 1.5], color=ORANGE, lw=2.5)
    ax.set(aspect="equal", xlabel="first entry of v", title=name)
    figure.colorbar(filled, ax=ax, shrink=0.9)
axes[0].set_ylabel("second entry of v")
assert len(best["inner product"]) == 1 and best["inner product"].min() == 3  # the far corner
assert len(best["−Euclidean distance"]) == 1 and np.abs(best["−Euclidean distance"][0] - u).max() < 1e-12
assert all(abs(v[0] * u[1] - v[1] * u[0]) < 1e-12 and v @ u > 0 for v in best["cosine"])  # the whole ray through u
show(
    figure,
    "Only the distance has its best place at u alone; the inner product has none at all",
    "Contour maps over the square from -3 to 3, u = (1.5, 0.75). The inner product rises along u without end and is "
    "largest in the corner (3, 3). Minus the Euclidean distance has its peak at u. The cosine is 1 on the whole ray "
    "from 0 through u and falls with the angle to it.",
)

# %% [markdown]
# So the inner product breaks the rule. Each line below is an executed statement: it was tried on random and on hard
# inputs, and shows what came out. A line marked FALSE is tempting and wrong; it *has to* fail.

# %%
D = mc.derivations.ALL["cosine"]
D["the inner product is largest at itself"]

# %%
e, v = np.array([1.0, 0.0]), np.array([3.0, 1.0])
inner_at = e @ v, e @ e
print(f"u·u = {e @ e:g}   u·v = {e @ v:g}   cos(u, u) = 1   cos(u, v) = {mc.cosine_similarity(e, v):.3f}")
rng = np.random.default_rng(0)
draws = rng.standard_normal((100_000, 2, 8))
inner = (draws[:, 0] * draws[:, 1]).sum(-1)
squares = (draws[:, 0] ** 2).sum(-1)
inner_beaten = float((inner > squares).mean())
cosine_beaten = float((mc.cosine_similarity(draws[:, 0], draws[:, 1]) > 1 + 1e-12).mean())
print("100,000 random pairs in 8 dimensions:")
print(f"u·v > u·u in {inner_beaten:.1%}; cos(u, v) > cos(u, u) in {cosine_beaten:.1%}")
assert e @ v > e @ e and inner_beaten > 0.01 and cosine_beaten == 0

# %% [markdown]
# ### Directions: points on a sphere
#
# An embedding $z_i$ is a direction and a length. Divide the length out, and a point $u_i$ on the unit sphere is left.
# The cosine is the inner product of two such points. It is the one thing about two vectors that no stretching can
# change.

# %%
display(D["a point on the sphere"], D["cosine"], D["it is the cosine of the angle"], D["lengths do not count"])

# %% [markdown]
# **Where it has a hole.** The zero vector has no direction. minicl sets its point to 0, so all its cosines are 0, and
# its Jacobian too. Nowhere else is anything added: many programs divide by length + ε, and then short vectors get wrong
# cosines without a word.

# %%
x = np.array([[3.0, 4.0], [3e-300, 4e-300], [3e300, 4e300], [0.0, 0.0]])
y = np.array([[1.0, 0.0], [0.0, 1.0]])
with_eps = (x @ y.T) / (mc.norm(x, axis=1, keepdims=True) * mc.norm(y, axis=1) + 1e-8)
exact = mc.cosine_matrix(x, y)
names = [f"({a:g}, {b:g})" for a, b in x]
rows = [[name, *np.round(right, 3), *np.round(wrong, 3)] for name, right, wrong in zip(names, exact, with_eps)]
assert np.abs(exact[:3] - [0.6, 0.8]).max() < 1e-15 and not exact[3].any()
assert np.abs(with_eps[1]).max() < 1e-200
table(["x", "cos to (1, 0)", "cos to (0, 1)", "with ε: (1, 0)", "with ε: (0, 1)"], rows)

# %% [markdown]
# **Back to the angle.** $\theta = \arccos(\cos\theta)$ gives the angle back. But near 0 the cosine is flat: it is
# $1 - \theta^2/2$, and of a small angle nothing is left after rounding. The straight way $\delta$ between the two points
# keeps its digits: $\theta = 2\arcsin(\delta/2)$.

# %%
angles = np.logspace(-12, 0, 49)
fan = np.stack([np.cos(angles), np.sin(angles)], axis=1)
by_cosine = np.arccos(np.minimum(mc.cosine_similarity(fan, e), 1))
by_chord = 2 * np.arcsin(mc.norm(fan - e, axis=1) / 2)
recovered = {"arccos of the cosine": by_cosine, "2 arcsin of half the chord": by_chord}
off = {name: np.abs(found / angles - 1) for name, found in recovered.items()}
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
for (name, error), color in zip(off.items(), (ORANGE, BLUE)):
    ax.loglog(angles, np.maximum(error, 1e-17), color=color, marker=".", ms=4, lw=1, label=name)
ax.set(
    xlabel="angle in radians",
    ylabel="relative error of the angle",
    title="float64; an error of 0 is drawn at the bottom",
    ylim=(7e-18, 5),
)
ax.legend(frameon=False)
large, tiny = angles > 0.1, angles < 1e-9
assert off["arccos of the cosine"][large].max() < 1e-13 and (off["arccos of the cosine"][tiny] > 0.5).all()
assert off["2 arcsin of half the chord"].max() < 1e-15
show(
    figure,
    "The arccos gives the angle back, except where it is small",
    "Relative error of an angle recovered from two vectors. By the arccos of the cosine the error is below 1e-13 above "
    "0.1 radians and grows as the angle shrinks; below 1e-9 nothing is right. By the chord it stays below 1e-15.",
)

# %% [markdown]
# ### On the sphere the three are one
#
# Multiply out a squared distance, and put both lengths to 1. What remains says: on the sphere a small distance *is* a
# large cosine, and the cosine is the inner product. A softmax does not even notice which of them it is given.

# %%
display(D["distance and inner product"], D["distance on the sphere"], D["distance and cosine"], D["one softmax"])

# %%
free = rng.standard_normal((400, 2, 3)) * rng.uniform(0.3, 2, (400, 2, 1))
sphere = mc.normalize(free)
cosines = mc.cosine_similarity(free[:, 0], free[:, 1])
squared = {
    "any length": ((free[:, 0] - free[:, 1]) ** 2).sum(-1),
    "length 1": ((sphere[:, 0] - sphere[:, 1]) ** 2).sum(-1),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, (name, d2), color in zip(axes, squared.items(), (ORANGE, BLUE)):
    ax.plot(2 - 2 * cosines, d2, ".", color=color, ms=4)
    ax.plot([0, 4], [0, 4], color=GREY, lw=1)
    ax.set(xlabel="2 − 2 cos", title=f"vectors of {name}")
axes[0].set_ylabel("squared distance d²")
residual = np.abs(squared["length 1"] - (2 - 2 * cosines)).max()
correlation = np.corrcoef(squared["any length"], 2 - 2 * cosines)[0, 1]
assert residual < 4e-15 and correlation < 0.9
show(
    figure,
    "On the sphere d² = 2 − 2 cos, to the last digit; with free lengths it is not",
    f"400 random pairs in 3 dimensions. With free lengths the squared distance scatters around the line (correlation "
    f"{correlation:.2f}); for vectors of length 1 every point lies on it, the largest deviation is {residual:.0e}.",
)

# %%
worst = 0.0
for temperature in (0.01, 0.1, 0.5, 2.0):
    for _ in range(250):
        q, keys = mc.normalize(rng.standard_normal(5)), mc.normalize(rng.standard_normal((7, 5)))
        by_cosine = mc.softmax(keys @ q / temperature)
        by_distance = mc.softmax(-((keys - q) ** 2).sum(-1) / (2 * temperature))
        worst = max(worst, np.abs(by_cosine - by_distance).max())
print(f"softmax(cos/τ) against softmax(−d²/2τ), 1000 draws, τ from 0.01 to 2: largest difference {worst:.1e}")
assert worst < 1e-13

# %% [markdown]
# The distance is built from differences that cancel; divided by τ = 0.01, their rounding is a hundred times as large.
# That is all that separates the two.
#
# ### A "distance" that is none
#
# A distance must obey the triangle inequality: no detour is shorter than the direct way. The line above gives 1 − cos
# away: it is half of a *squared* distance, and squares do not add up as lengths do.

# %%
display(D["half a square"], D["the cosine distance is a metric"])
display(D["by how much, at two equal angles"], D["never by more than a half"])

# %%
theta = np.linspace(0, np.pi / 2, 181)
gain = {
    "1 − cos": (1 - np.cos(2 * theta)) - 2 * (1 - np.cos(theta)),
    "straight way ‖u − v‖": 2 * np.sin(theta) - 4 * np.sin(theta / 2),
    "angle": 2 * theta - 2 * theta,
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1, 1.4))
turn = np.linspace(0, np.pi, 200)
left.plot(np.cos(turn), np.sin(turn), color=GREY, lw=0.8)
for name, degrees in (("a", 0), ("b", 60), ("c", 120)):
    tip = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    left.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 2})
    left.text(*(1.1 * tip), name, ha="center", va="center", weight="bold")
left.text(0.98, 0.5, "½", color=GREEN), left.text(0, 1.08, "½", color=GREEN, ha="center")
left.plot([1, -0.5], [0, np.sqrt(0.75)], color=ORANGE, ls="--", lw=1.2)
left.text(0.02, 0.6, "1.5", color=ORANGE)
left.set(aspect="equal", xlim=(-0.9, 1.3), ylim=(-0.1, 1.25), xticks=[], yticks=[])
left.set_title("1 − cos of three directions, 60° apart")
left.spines[:].set_visible(False)
for (name, values), color in zip(gain.items(), (ORANGE, BLUE, GREEN)):
    right.plot(np.degrees(theta), values, color=color, label=name)
right.axhline(0, color=GREY, lw=0.8)
right.set(
    xlabel="angle between neighbours in degrees",
    ylabel="direct way − detour",
    title="positive: the inequality is broken",
)
right.legend(frameon=False)
top = float(np.degrees(theta[gain["1 − cos"].argmax()]))
assert (gain["1 − cos"][1:-1] > 0).all() and abs(gain["1 − cos"].max() - 0.5) < 1e-12 and abs(top - 60) < 1e-9
assert max(gain["straight way ‖u − v‖"].max(), gain["angle"].max()) < 1e-12
show(
    figure,
    "With 1 − cos a detour can be shorter than the direct way, by up to one half",
    f"Left: directions a, b, c at 0, 60 and 120 degrees. 1 - cos is one half from a to b and from b to c, but 1.5 from "
    f"a to c. Right: direct way minus detour for two equal angles. For 1 - cos it is positive for every angle below 90 "
    f"degrees and largest, {gain['1 − cos'].max():.2f}, at {top:.0f} degrees. For the straight way it is negative, for "
    "the angle zero.",
)

# %% [markdown]
# One plane is no proof for all dimensions. So a hundred thousand random triples decide, in 3 dimensions and in 16: how
# often is the direct way longer than the detour?

# %%
rows, broken = [], {}
for d in (3, 16):
    a, b, c = mc.normalize(rng.standard_normal((3, 100_000, d)))
    ways = {
        "1 − cos": lambda p, q: 1 - (p * q).sum(-1),
        "angle: arccos of the cosine": lambda p, q: np.arccos(np.clip((p * q).sum(-1), -1, 1)),
        "straight way ‖u − v‖": lambda p, q: mc.norm(p - q, axis=-1),
    }
    for name, way in ways.items():
        more = way(a, c) - way(a, b) - way(b, c)
        broken[name, d] = int((more > 1e-12).sum())
        rows.append([name, d, f"{broken[name, d]:,}", f"{np.round(more.max(), 4) + 0.0:.4f}".replace("-", "−")])
    assert broken["1 − cos", d] > 0 and more.max() <= 1e-12
    assert broken["angle: arccos of the cosine", d] == broken["straight way ‖u − v‖", d] == 0
table(["measure", "dimensions", "triples that break it, of 100,000", "largest direct way − detour"], rows)

# %%
display(D["the straight way is a metric"], D["the angle is a metric"])

# %% [markdown]
# This matters where a program trusts the inequality: search trees for nearest neighbours skip whole branches because of
# it. Give them the angle or the straight way. All three *rank* neighbours alike, since each grows with the others.
#
# ### Gradients: which way to go
#
# To learn, vectors must move. A small step along z changes only the length of z, so its direction u does not notice; a
# step across turns u, and turns it less the longer z is. That is the Jacobian of the normalisation, in words.

# %%
display(D["Jacobian of normalisation"], D["nothing along u"], D["twice is once"])

# %%
display(D["gradient of the cosine"], D["at right angles"], D["length of the gradient"])

# %% [markdown]
# Two errors lie close by. Both give a vector that points in about the right direction, so training goes on as if
# nothing had happened.

# %%
display(D["no projection"], D["lengths do not count for gradients either"])

# %% [markdown]
# Do not trust one computation. Three that share nothing must agree: the engine, the formula written out, and
# differences.

# %%
z, w = 2.0 * rng.standard_normal(5), 0.3 * rng.standard_normal(5)
by_engine = mc.value_and_grad(mc.cosine_similarity, z, w)[1][0]
unit_z, unit_w = z / np.sqrt(z @ z), w / np.sqrt(w @ w)
by_formula = (unit_w - (unit_z @ unit_w) * unit_z) / np.sqrt(z @ z)
step = 1e-5 * np.eye(5)
cosine = lambda a: (a @ w) / np.sqrt((a @ a) * (w @ w))
by_difference = np.array([(cosine(z + h) - cosine(z - h)) / 2e-5 for h in step])
print("engine     ", by_engine)
print("formula    ", by_formula)
print("differences", by_difference)
assert np.abs(by_engine - by_formula).max() < 1e-15 * 10 and np.abs(by_engine - by_difference).max() < 1e-9
mc.gradcheck.check(mc.cosine_matrix, rng.standard_normal((3, 5)), rng.standard_normal((2, 5)))

# %%
display(D["gradient of the inner product"], D["gradient of the distance"])

# %% [markdown]
# The distance has a kink at 0: a formula divides 0 by 0 there, and one NaN spreads through all weights. minicl takes 0.

# %%
same = np.array([0.3, 0.4])
with np.errstate(invalid="ignore"):
    naive = (same - same) / np.sqrt(((same - same) ** 2).sum())
(chosen,) = mc.value_and_grad(lambda a: mc.norm(a - same), same)[1]
print("gradient of the distance at v = u:   by the formula", naive, "   by minicl", chosen)
assert np.isnan(naive).all() and not chosen.any()

# %%
lengths = np.logspace(-3, 3, 25)
slopes = {"inner product": [], "distance": [], "cosine": []}
other = np.array([0.0, 1.0])
for length in lengths:
    at = length * np.array([np.cos(0.4), np.sin(0.4)])
    for name, f in zip(slopes, (mc.dot, lambda a, b: mc.norm(a - b), mc.cosine_similarity)):
        gradient = mc.value_and_grad(lambda a, f=f: f(a, other), at)[1][0]
        slopes[name].append(np.sqrt(gradient @ gradient))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(1, 1.25))
clock = np.linspace(0, 2 * np.pi, 13)[:-1] + 0.26
ring = np.concatenate([r * np.stack([np.cos(clock), np.sin(clock)], axis=1) for r in (0.75, 1.5, 2.5)])
target = np.array([1.0, 0.0])
field = np.array([mc.value_and_grad(lambda a: mc.cosine_similarity(a, target), p)[1][0] for p in ring])
left.quiver(*ring.T, *field.T, color=GREEN, angles="xy", scale_units="xy", scale=2.4, width=0.007)
left.annotate("", target, (0, 0), arrowprops={"arrowstyle": "->", "color": "black", "lw": 1.5})
left.text(0.25, -0.3, "u", weight="bold")
for r in (0.75, 1.5, 2.5):
    left.add_patch(plt.Circle((0, 0), r, fill=False, color=GREY, lw=0.5))
left.set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3), xlabel="first entry of z", ylabel="second entry of z")
left.set_title("gradient of cos(z, u) in z")
for (name, values), color, dashes in zip(slopes.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-")):
    right.loglog(lengths, values, color=color, ls=dashes, lw=2, label=name)
right.set(xlabel="length of z", ylabel="length of the gradient in z")
right.set_title("a fixed direction of z, another vector of length 1")
right.legend(frameon=False)
falls = np.polyfit(np.log(lengths), np.log(slopes["cosine"]), 1)[0]
assert abs(falls + 1) < 1e-9 and np.ptp(slopes["inner product"]) < 1e-12 and np.ptp(slopes["distance"]) < 1e-12
assert np.abs((ring * field).sum(-1)).max() < 1e-15  # at right angles everywhere
show(
    figure,
    "The cosine forgets the length of z; its gradient does not",
    f"Left: the gradient of the cosine in z on three circles. It is at right angles to z everywhere, points round the "
    f"circle towards u, and is long on the inner circle and short on the outer one. Right: length of the gradient "
    f"against the length of z, both logarithmic. Inner product and distance: constant. Cosine: a straight line of "
    f"slope {falls:.2f}.",
)

# %% [markdown]
# ### What the length does in training
#
# A loss that compares inner products has an easy way out. Once the right candidate is in front, making all vectors
# longer makes the loss small, without any change of direction. The length acts as 1/τ. With cosines this way is closed:
# however well the directions are arranged, the loss has a floor.
#
# Eight pairs of free vectors, moved by plain gradient descent, once for inner products and once for cosines, from the
# same starts.


# %%
def descend(loss, seed, steps=1000 if FULL else 150, rate=4.0):
    rng = np.random.default_rng(seed)
    pairs = [mc.tensor(rng.standard_normal((8, 7))) for _ in range(2)]
    losses, sizes = [], []
    for _ in range(steps):
        value = loss(*pairs)
        losses.append(value.item())
        sizes.append(np.concatenate([mc.norm(p.data, axis=1) for p in pairs]))
        for p, g in zip(pairs, mc.grad(value, pairs)):
            p.data = p.data - rate * g
    directions = float(mc.losses.info_nce(pairs[0].data, pairs[1].data, temperature=1.0))
    return np.array(losses), np.array(sizes), directions


LOSSES = {"inner products": mc.losses.n_pair, "cosines": lambda a, b: mc.losses.info_nce(a, b, temperature=1.0)}
runs = {name: [descend(loss, seed) for seed in range(3)] for name, loss in LOSSES.items()}
floor = np.log(1 + 7 * np.exp(-8 / 7))  # eight directions as far apart as can be: a regular simplex
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for (name, of_seeds), color in zip(runs.items(), (BLUE, GREEN)):
    for k, (losses, sizes, _) in enumerate(of_seeds):
        left.semilogy(losses, color=color, lw=1.2, label=name if k == 0 else None)
        right.plot(sizes.mean(axis=1), color=color, lw=1.2, label=name if k == 0 else None)
left.axhline(floor, color=GREY, ls=":", label="floor for cosines")
left.set(xlabel="step", ylabel="loss in nats", title="three seeds each")
right.set(xlabel="step", ylabel="mean length of the 16 vectors", title="three seeds each")
left.legend(frameon=False), right.legend(frameon=False)
final = {name: [losses[-1] for losses, _, _ in of_seeds] for name, of_seeds in runs.items()}
grown = {name: [sizes[-1].mean() / sizes[0].mean() for _, sizes, _ in of_seeds] for name, of_seeds in runs.items()}
assert max(final["inner products"]) < 0.05
assert floor - 1e-9 < min(final["cosines"]) and max(final["cosines"]) < floor + 0.05
assert all(directions > floor for _, _, directions in runs["inner products"])
assert all((np.diff(sizes, axis=0) > -1e-14).all() for _, sizes, _ in runs["cosines"])  # each step, each vector
show(
    figure,
    "Inner products: the loss sinks by growing longer. Cosines: it stops at its floor",
    f"Three runs of each. The loss of inner products ends at {max(final['inner products']):.3f} or less, and the "
    f"vectors are {min(grown['inner products']):.1f} times as long as at the start or more. The loss of cosines ends "
    f"at {np.mean(final['cosines']):.3f}; the floor is {floor:.3f}; its vectors grow too, slowly: "
    f"{np.mean(grown['cosines']):.2f} times.",
)

# %% [markdown]
# Look at the green curve on the right. The cosine does not see lengths, and still they grow: each gradient is at right
# angles to its vector, and a step at a right angle makes it longer (Pythagoras), never shorter. So under plain gradient
# descent every vector grows at every step, its gradients shrink with 1/length, and learning slows down by itself.
#
# And if only the lengths change, the directions staying as they are? Then the loss of inner products still goes to 0:

# %%
a = np.linalg.qr(rng.standard_normal((6, 6)))[0]  # six directions at right angles, each with itself as its partner
scaled = {c: float(mc.losses.n_pair(c * a, c * a)) for c in (1.0, 2.0, 4.0, 8.0)}
unscaled = {c: float(mc.losses.info_nce(c * a, c * a, temperature=1.0)) for c in scaled}
assert scaled[8.0] < 1e-20 < scaled[1.0] and np.ptp(list(unscaled.values())) < 1e-15
table(
    ["length of all vectors", *[f"{c:g}" for c in scaled]],
    [
        ["loss of inner products", *[f"{x:.1e}".replace("-", "−") for x in scaled.values()]],
        ["loss of cosines", *[f"{x:.4f}" for x in unscaled.values()]],
    ],
)

# %% [markdown]
# ### What it is good for: groups and search
#
# **Grouping.** k-means puts each point to the nearest centre, so the measure decides what a group is. Left and middle:
# three topics, each with long and short texts. Right: two moons, and a method that has no centres at all.


# %%
def spread(seed):
    rng = np.random.default_rng(seed)
    topic = np.repeat(np.arange(3), 60)
    angle = np.array([0.25, 1.1, 2.2])[topic] + 0.09 * rng.standard_normal(180)
    return np.exp(rng.uniform(-1.2, 1.2, (180, 1))) * np.stack([np.cos(angle), np.sin(angle)], axis=1), topic


def groups(points, k, seed=0):
    return KMeans(k, n_init=10, random_state=seed).fit_predict(points)


agree = {"distance": [], "cosine": [], "moons": [], "DBSCAN": []}
for seed in range(5):
    points, topic = spread(seed)
    moons, moon = make_moons(200, noise=0.05, random_state=seed)
    agree["distance"].append(adjusted_rand_score(topic, groups(points, 3)))
    agree["cosine"].append(adjusted_rand_score(topic, groups(mc.normalize(points), 3)))
    agree["moons"].append(adjusted_rand_score(moon, groups(moons, 2)))
    agree["DBSCAN"].append(adjusted_rand_score(moon, DBSCAN(eps=0.2).fit_predict(moons)))
points, topic = spread(0)
moons, moon = make_moons(200, noise=0.05, random_state=0)
figure, axes = plt.subplots(1, 3, figsize=(10.5, 2.9), layout="constrained")
panels = [
    (points, groups(points, 3), f"k-means by distance: agreement {np.mean(agree['distance']):.2f}"),
    (points, groups(mc.normalize(points), 3), f"k-means by cosine: agreement {np.mean(agree['cosine']):.2f}"),
    (moons, DBSCAN(eps=0.2).fit_predict(moons), f"DBSCAN: agreement {np.mean(agree['DBSCAN']):.2f}"),
]
for ax, (shown, found, title) in zip(axes, panels):
    for g, (color, marker) in enumerate(zip((BLUE, ORANGE, GREEN), "osv")):
        ax.plot(*shown[found == g].T, marker, color=color, ms=4, alpha=0.7, mec="none")
    ax.set(aspect="equal", title=title, xticks=[], yticks=[])
assert min(agree["cosine"]) > 0.95 and max(agree["distance"]) < 0.6
assert min(agree["DBSCAN"]) > 0.95 and max(agree["moons"]) < 0.6
show(
    figure,
    "The measure decides what a group is, and not every method has centres",
    "Number: agreement with the true groups (adjusted Rand index, 1 is perfect), mean over 5 seeds. Three topics that "
    f"differ in direction and vary in length: k-means by distance {np.mean(agree['distance']):.2f}, by cosine "
    f"{np.mean(agree['cosine']):.2f}. Two moons: DBSCAN, which follows dense chains and knows no centre, "
    f"{np.mean(agree['DBSCAN']):.2f}, k-means {np.mean(agree['moons']):.2f}.",
)

# %% [markdown]
# **Search.** Queries are 200 handwritten digits of the test set, documents are the training set. Every picture gets a
# random contrast, as photos have. How many of the ten best documents show the right digit?

# %%
train, test = mc.data.digits("train"), mc.data.digits("test")
documents, queries = train.images.reshape(-1, 64).astype(float), test.images[:200].reshape(-1, 64).astype(float)


def search(scores):
    """Share of right digits among the ten best, and how often the most popular document is among them."""
    ten = np.argsort(-scores, axis=1)[:, :10]
    return float((train.labels[ten] == test.labels[:200, None]).mean()), int(np.bincount(ten.ravel()).max())


rows, precision = [], {}
for kind, contrast in (("as they are", 0.0), ("random contrast", 0.7)):
    x = documents * np.exp(contrast * rng.standard_normal((len(documents), 1)))
    q = queries * np.exp(contrast * rng.standard_normal((len(queries), 1)))
    squared = (q * q).sum(1)[:, None] + (x * x).sum(1) - 2 * q @ x.T  # the first identity above
    for name, scores in (("inner product", q @ x.T), ("−distance", -squared), ("cosine", mc.cosine_matrix(q, x))):
        precision[name, kind], popular = search(scores)
        rows.append([name, kind, f"{precision[name, kind]:.1%}", popular])
assert precision["cosine", "random contrast"] == precision["cosine", "as they are"] > 0.9
by_measure = [precision[name, "random contrast"] for name in ("inner product", "−distance", "cosine")]
assert by_measure == sorted(by_measure) and by_measure[1] < 0.9
table(["measure", "pictures", "right among ten", "times that one document is found, of 200"], rows, left=2)

# %% [markdown]
# The inner product finds the same few documents again and again: those with the strongest contrast. They are long, so
# they are "similar" to everything.
#
# ### Learning a similarity
#
# A measure that is written down knows nothing of the task. **Learning a similarity** means: keep the cosine, and learn
# the map that makes the embeddings. The first nets of this kind are from 1993, and learned metrics are older than deep
# learning. Here the map is one matrix, 64 × 16, trained to bring pictures of one digit together. The pictures are lit
# from a random side, which a cosine of pixels cannot ignore.


# %%
def lit(images, rng):
    """Each picture under a slanting light from a random side."""
    down, across = np.mgrid[-1:1:8j, -1:1:8j]
    side = rng.uniform(0, 2 * np.pi, (len(images), 1, 1))
    light = 1.5 * (np.cos(side) * across + np.sin(side) * down)
    return (images[..., 0] + light).reshape(-1, 64).astype(np.float32)


def learn(pictures, labels, rng, steps=250 if FULL else 60):
    matrix = mc.tensor((rng.standard_normal((64, 16)) / 8).astype(np.float32))
    optimizer = mc.optim.Adam([matrix], lr=1e-2)
    for _ in range(steps):
        batch = rng.choice(len(pictures), 128, replace=False)
        loss = mc.losses.supcon(mc.tensor(pictures[batch]) @ matrix, labels[batch], temperature=0.2)
        optimizer.step(mc.grad(loss, [matrix]))
    return matrix.numpy()


accuracy = {(light, kind): [] for light in ("even light", "light from a random side") for kind in ("pixels", "learned")}
for seed in range(SEEDS):
    for light in ("even light", "light from a random side"):
        rng_ = np.random.default_rng([seed, 7])
        a, b = (lit(d.images, rng_) if light != "even light" else d.images.reshape(-1, 64) for d in (train, test))
        matrix = learn(a, train.labels, rng_)
        accuracy[light, "pixels"].append(mc.evaluate.knn(a, train.labels, b, test.labels))
        accuracy[light, "learned"].append(mc.evaluate.knn(a @ matrix, train.labels, b @ matrix, test.labels))
figure, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
for k, ((_, kind), values) in enumerate(accuracy.items()):
    percent, color = 100 * np.array(values), GREY if kind == "pixels" else BLUE
    ax.errorbar(percent.mean(), 3 - k, xerr=interval(percent), fmt="o", ms=8, color=color, capsize=4)
    ax.plot(percent, np.full(len(values), 3 - k), "|", color="black", ms=14)
    ax.text(101, 3 - k, f"{percent.mean():.1f} ± {interval(percent):.1f} %", va="center")
ax.set_yticks([3, 2, 1, 0], [f"{light}: cosine, {kind}" for light, kind in accuracy])
ax.set(xlim=(70, 100), ylim=(-0.6, 3.6))
ax.set_xlabel(f"accuracy of 5 nearest neighbours, %: {SEEDS} seeds (ticks), mean, 95 % interval")
gained = np.array(accuracy["light from a random side", "learned"]) - accuracy["light from a random side", "pixels"]
assert gained.min() > 0.04 and min(accuracy["even light", "pixels"]) > min(accuracy["even light", "learned"])
show(
    figure,
    "A learned similarity ignores the light; where pixels do well, it is no better",
    "Accuracy of nearest neighbours by cosine. "
    + "; ".join(f"{light}, {kind}: {np.mean(v):.1%}" for (light, kind), v in accuracy.items())
    + f". {SEEDS} seeds.",
)

# %% [markdown]
# This used the digit labels. **Self-supervised** learning needs none: it takes two changed copies of one picture for
# alike, and all other pictures for different. No person labels a picture. But a person chose the changes, and the
# changes say what may count as the same. Watch: each digit is shown in one of four orientations. One net sees copies
# that are shifted and noisy; the other sees copies that are also turned by a random multiple of 90°. Data, net and loss
# are equal. Which labels can be read from the nearest neighbours afterwards?


# %%
def turned(images, quarters):
    out = np.empty_like(images)
    for k in range(4):
        out[quarters == k] = np.rot90(images[quarters == k], k, axes=(1, 2))
    return out


def self_supervised(seed, with_turns, steps=400 if FULL else 200):
    rng = np.random.default_rng([seed, 1])
    sides = [rng.integers(4, size=len(d.images)) for d in (train, test)]
    a, b = (turned(d.images, q) for d, q in zip((train, test), sides))
    change = views.Compose([views.RandomShift(1), views.GaussianNoise(0.15)])
    net = mc.nn.MLP([64, 128, 16], rng=seed)
    optimizer = mc.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(steps):
        batch = a[rng.choice(len(a), 128, replace=False)]
        copies = [turned(batch, rng.integers(4, size=128)) if with_turns else batch for _ in range(2)]
        loss = mc.losses.nt_xent(*[net(mc.tensor(change(x, rng))) for x in copies], temperature=0.3)
        optimizer.step(mc.grad(loss, net.parameters()))
    with mc.no_grad():
        a, b = net(mc.tensor(a)).numpy(), net(mc.tensor(b)).numpy()
    return [mc.evaluate.knn(a, y, b, y_) for y, y_ in ((train.labels, test.labels), sides)]


# Axes: seed, turns or not, digit or orientation.
read = np.array([[self_supervised(seed, turns) for turns in (False, True)] for seed in range(SEEDS)])
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
for label, chance in enumerate((10, 25)):
    for turns, color in enumerate((GREY, BLUE)):
        at, percent = 3 - 2 * label - turns, 100 * read[:, turns, label]
        ax.barh(at, percent.mean(), color=color, height=0.7, alpha=0.85)
        ax.plot(percent, np.full(SEEDS, at), "|", color="black", ms=14)
        ax.text(101, at, f"{percent.mean():.0f} ± {interval(percent):.0f} %", va="center")
    ax.plot([chance, chance], [3 - 2 * label + 0.4, 1.6 - 2 * label], color=RED, ls=":", lw=1.5)
bars = [f"{name}; views: {words}" for name in ("digit", "orientation") for words in ("shift and noise", "also turns")]
ax.set_yticks([3, 2, 1, 0], bars)
ax.set_xlim(0, 100)
ax.set_xlabel(f"accuracy of 5 nearest neighbours, %, {SEEDS} seeds (ticks), 95 % intervals; red: guessing")
lost = read[:, 0, 1] - read[:, 1, 1]
assert (lost > 0.1).all()  # for every seed
show(
    figure,
    "No labels, but not no knowledge: the views decide that orientation does not count",
    f"Nearest neighbours by cosine in two self-supervised embeddings, {SEEDS} seeds. Orientation is read with "
    f"{read[:, 0, 1].mean():.0%} from the net that saw no turned copies, and with {read[:, 1, 1].mean():.0%} from the "
    f"one that did. The digit: {read[:, 0, 0].mean():.0%} and {read[:, 1, 0].mean():.0%}.",
)

# %% [markdown]
# ### What the loss measures
#
# A contrastive loss is **not** a similarity. It asks how well the right partner is told from all other candidates. So
# the loss of a pair can change while the pair stays as it is: move a third embedding.

# %%
z1, z2 = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
before = mc.losses.nt_xent(z1, z2, temperature=0.5, reduction="none")[0], mc.cosine_similarity(z1[0], z2[0])
moved = z2.copy()
moved[3] = z1[0]  # an embedding of another picture comes close
after = mc.losses.nt_xent(z1, moved, temperature=0.5, reduction="none")[0], mc.cosine_similarity(z1[0], moved[0])
print(f"similarity of pair 0:  {before[1]:.4f} → {after[1]:.4f}      loss of pair 0:  {before[0]:.4f} → {after[0]:.4f}")
assert before[1] == after[1] and after[0] > before[0] + 0.1

# %% [markdown]
# And a word about words. The article says that contrastive learning maximises the similarity of similar samples, and
# *minimises the difference* of the representations of dissimilar ones. That is a slip: it must *maximise* their
# difference. Literally, everything is pulled together. Three classes, all pairs, the margin loss of Hadsell, Chopra &
# LeCun (2006): once as meant, once as written.


# %%
def move(literal, seed, steps=200):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(3), 10)
    i, k = np.triu_indices(30, 1)
    alike = label[i] == label[k]
    x = mc.tensor(rng.standard_normal((30, 2)))
    start = x.data
    for _ in range(steps):
        loss = mc.losses.contrastive(x[i], x[k], np.ones_like(alike) if literal else alike, margin=2.0)
        x.data = x.data - 10 * mc.grad(loss, [x])[0]
    d = mc.pairwise_distances(x.data)[i, k]
    return (start, x.data), d[~alike].mean(), d[alike].mean()


ends = {literal: [move(literal, seed) for seed in range(3)] for literal in (False, True)}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
titles = "as meant: different ones apart", "as written: their difference minimised"
for ax, literal, title in zip(axes, (False, True), titles):
    for c, (color, marker) in enumerate(zip((BLUE, ORANGE, GREEN), "osv")):
        start, end = (x[10 * c : 10 * c + 10] for x in ends[literal][0][0])
        ax.plot(*np.stack([start, end]).transpose(2, 0, 1), color=color, lw=0.5, alpha=0.5)
        ax.plot(*end.T, marker, color=color, ms=(13, 9, 5)[c], label=f"class {c}")
    ax.set(aspect="equal", xlim=(-2.3, 2.3), ylim=(-2.3, 2.3), xlabel="first entry", title=title)
axes[0].set_ylabel("second entry"), axes[0].legend(frameon=False)
assert max(apart for _, apart, _ in ends[True]) < 1e-6
assert min(apart for _, apart, _ in ends[False]) > 1.2 and max(within for _, _, within in ends[False]) < 0.3
show(
    figure,
    "Read literally, the article's sentence pulls everything into one point",
    "30 points of three classes, each with a thin line from where it started (seed 0 is drawn, 3 seeds are checked). "
    f"As meant: classes are {np.mean([a for _, a, _ in ends[False]]):.2f} apart, and "
    f"{np.mean([w for _, _, w in ends[False]]):.2f} wide. As written: all points coincide.",
)

# %% [markdown]
# ## Play
#
# u stays; drag v, use the arrow keys, or the sliders. Three arrows at v show where each measure wants to go.
#
# 1. Find two different v with the same cosine but different inner products.
# 2. Make v short. Which arrow grows?
# 3. Press *v = u* and *v = 1.5 u*. Which measure is not content with v = u?
# 4. Press *v = −u*. Why does the cosine not move, at the worst place there is?

# %%
similarity_plane()

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("cosine_matrix"))


# %%
def cosine_matrix(x, y):
    x = x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-8)
    y = y / (np.linalg.norm(y, axis=1, keepdims=True) + 1e-8)
    return x @ y.T


mc.course.check("cosine_matrix", cosine_matrix)

# %%
print(mc.course.describe("cosine_gradient"))


# %%
def cosine_gradient(u, v):
    size = np.linalg.norm(u) * np.linalg.norm(v)
    if size == 0:
        return np.zeros_like(u), np.zeros_like(v)
    return v / size, u / size


mc.course.check("cosine_gradient", cosine_gradient)

# %%
print(mc.course.describe("triangle_breaker"))


# %%
def triangle_breaker(d):
    a, b, c = np.zeros(d), np.zeros(d), np.zeros(d)
    a[0], b[1], c[0] = 1, 1, -1
    return a, b, c


mc.course.check("triangle_breaker", triangle_breaker)

# %% [markdown]
# ## Break
#
# A colleague searches with cosines of 16 numbers per picture. The results look good, nothing warns, and still one line
# is wrong. Find a test that shows it: which change of the input must leave a cosine alone?

# %%
middle = documents.mean(axis=0)
axes_ = np.linalg.svd(documents - middle, full_matrices=False)[2][:16]  # the 16 directions of largest spread
features, wanted = (documents - middle) @ axes_.T, (queries - middle) @ axes_.T


def colleague(q, x):
    q = q / np.linalg.norm(q, axis=0)
    x = x / np.linalg.norm(x, axis=0)
    return q @ x.T


def share(scores):
    return search(scores)[0]


print(f"right among ten: {share(colleague(wanted, features)):.1%}")

# %% [markdown]
# Your test goes here. Then open the answer.

# %%
stretched = features.copy()
stretched[0] *= 1000  # one document becomes longer
for name, measure in (("colleague", colleague), ("cosine", mc.cosine_matrix)):
    change = np.abs(measure(wanted, stretched) - measure(wanted, features))[:, 1:]
    print(f"{name:9s}: the scores of the other documents change by up to {change.max():.1e}")
    assert (change.max() > 1e-3) == (name == "colleague")
itself = np.diag(colleague(features[:50], features[:50]))
print(f"'cosine' of a document with itself, for 50 documents: from {itself.min():.2f} to {itself.max():.2f}")
lost_share = share(mc.cosine_matrix(wanted, features)) - share(colleague(wanted, features))
print(f"right among ten with a true cosine: {share(mc.cosine_matrix(wanted, features)):.1%}")
assert lost_share > 0.02 and np.abs(itself - 1).max() > 0.1

# %% [markdown]
# <details><summary>The fault</summary>
#
# `axis=0` sums over the *pictures*. So each column is divided by its own length, not each row: every score depends on
# all other pictures, a cosine of a vector with itself is not 1, and results change with the batch. The search still
# looks good: dividing columns is a change of units, and inner products of centred pictures are not bad. A few of a
# hundred results are lost, and nobody would have known. A law finds it in one line: stretching one row must change
# nothing.
# </details>
#
# ## Check yourself
#
# 1. Two points of the unit sphere are 1 apart. What is their cosine, and what is the angle?
# 2. z becomes ten times as long. By what factor does one step of plain gradient descent on the cosine turn it less?
# 3. softmax(cos/τ) with τ = 0.1 equals softmax(−d²/c) on the sphere. What is c?


# %%
def turn_of_one_step(length, rate=1e-3):
    start = length * np.array([np.cos(0.7), np.sin(0.7)])
    (gradient,) = mc.value_and_grad(lambda a: mc.cosine_similarity(a, np.array([1.0, 0.0])), start)[1]
    end = start + rate * gradient
    return np.arctan2(start[1], start[0]) - np.arctan2(end[1], end[0])


cosine_of_one = 1 - 1**2 / 2
factor = turn_of_one_step(1.0) / turn_of_one_step(10.0)
print(f"1. the cosine is {cosine_of_one}, the angle {np.degrees(np.arccos(cosine_of_one)):.0f}°")
print(f"2. by {factor:.0f}: the gradient is a tenth, and the same step turns a long vector a tenth as far")
print("3. c = 2τ = 0.2")
q, keys = mc.normalize(rng.standard_normal(5)), mc.normalize(rng.standard_normal((7, 5)))
assert abs(factor - 100) < 0.1
assert np.abs(mc.softmax(keys @ q / 0.1) - mc.softmax(-((keys - q) ** 2).sum(-1) / 0.2)).max() < 1e-14

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. is u·v largest at v = u?",
            guess["A"],
            f"no: (3, 1) gives {inner_at[0]:g}, u itself {inner_at[1]:g}; there is no largest one",
        ],
        [
            "B. does the gradient of the cosine see the length?",
            guess["B"],
            f"yes: it falls like length^{falls:.0f}".replace("-", "−"),
        ],
        [
            "C. does 1 − cos obey the triangle inequality?",
            guess["C"],
            f"no: {broken['1 − cos', 3]:,} of 100,000 triples break it",
        ],
        ["D. can the loss of an unchanged pair change?", guess["D"], f"yes: {before[0]:.2f} became {after[0]:.2f}"],
    ],
    left=3,
)

# %% [markdown]
# All statements of this notebook once more, with what came out:

# %%
D.check()

# %% [markdown]
# ## What the article said
#
# | claim | in other words | verdict | decided by |
# |---|---|---|---|
# | S1 | A similarity measure says how close two samples are; many tasks need one | true as a definition. But a distance is not a similarity: its sign is opposite. And the inner product is largest nowhere near u | *Similarity and distance* |
# | S2 | Clustering assigns samples by their distance to centres | under conditions: k-means does; DBSCAN, spectral and hierarchical clustering have no centres | *What it is good for*, the moons |
# | S3 | Recommenders, search and vision need similarities | true; and the choice of the measure decides what is found | *What it is good for*, search |
# | S4 | Similarities used to be written down; learning them became popular with deep learning | true; but metric learning is older (Xing et al. 2002; Weinberger & Saul 2009), and the Siamese net is from 1993 (Bromley et al.). Learning pays where the written one fails | *Learning a similarity* |
# | S5 | An emerging self-supervised paradigm: it maximises the similarity of similar samples and "minimises the difference" of dissimilar ones | imprecise: contrastive losses are from 2005 and 2006 and had labels (Chopra et al.; Hadsell et al.); SupCon has them today. The second half is a slip: read literally, all points coincide | *What the loss measures*, last figure |
# | S6 | It needs no human labels | under conditions: true of the self-supervised kind; but the choice of the views is human knowledge | *Learning a similarity*, last figure |
# | S7 | The contrastive loss measures the similarity of two representations | wrong: the similarity measures that. The loss says how well the partner is told from all candidates | *What the loss measures* |
# | S49 | The inner product is a similarity | under conditions: not bounded, not independent of lengths, not largest at v = u. Good as a logit, but then lengths act as 1/τ | *Similarity and distance*; *What the length does* |
# | S50 | Euclidean distance | true: it is a metric. But small means similar, and there is no gradient at v = u. On the sphere it is the cosine in other clothes | *On the sphere*; *Gradients* |
# | S51 | The cosine is cos θ | true; the way back by arccos loses small angles | *Directions* |
# | S52 | Cosine is insensitive to length and so "more reasonable" | under conditions: it loses what the length knew, and the gradient keeps a factor 1/length. Chen et al. 2020 report higher contrastive accuracy *without* normalisation, and worse features | *Gradients*; *What the length does* |
#
# The main ones once more, as assertions on what was measured above:

# %%
assert D.check().passed
assert inner_beaten > 0 and cosine_beaten == 0  # S1, S49
assert min(agree["DBSCAN"]) > max(agree["moons"])  # S2
assert precision["cosine", "random contrast"] > precision["inner product", "random contrast"]  # S3, S49
assert gained.min() > 0  # S4
assert max(apart for _, apart, _ in ends[True]) < 1e-6  # S5
assert (lost > 0.1).all()  # S6
assert before[1] == after[1] and before[0] != after[0]  # S7
assert max(final["inner products"]) < 0.05 < 1 < floor < min(final["cosines"]) + 1e-9  # S49
assert residual < 4e-15 and worst < 1e-13 and np.isnan(naive).all()  # S50
assert off["arccos of the cosine"][large].max() < 1e-13  # S51
assert abs(falls + 1) < 1e-9  # S52
print("11 claims decided")
