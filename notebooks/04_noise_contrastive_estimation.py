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
# # 04 · Noise-contrastive estimation
#
# How do you learn a probability density when you cannot compute the number that makes it sum to 1? You mix the data with
# noise that you made yourself, and learn to tell the two apart. Whoever tells data from known noise knows the data. This
# is a contrastive loss that is a **classifier**, and the article builds its derivation on it. One small letter in that
# derivation, k, is explained wrongly there, and much depends on it.
#
# **When you are through, you can**
#
# - say with which probability a point is data, given the densities of data and noise;
# - write the loss of noise-contrastive estimation (NCE), safe at scores of ±800, and its gradient;
# - explain why the model comes out normalised although nobody normalised it;
# - say what is learned when the term log(νq) is left out.
#
# **You need** notebook 02.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, noise_classifier, show, style, table
from minicl.viz.noise_classifier import error_share, log_data, log_noise, posterior

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
style()

# %% [markdown]
# ## Predict
#
# A bag holds data points and noise points, ν noise points for each data point. Write your guesses into the next cell
# **before** you go on.
#
# - **A.** ν is 4, and the noise is so good that it has the same density as the data. You draw a point. With which
#   probability is it data?
# - **B.** A model gives each of six outcomes a score θ. It learns by NCE alone: nothing ever tells it that
#   probabilities sum to 1. What is the sum of its six e^θ in the end?
# - **C.** You leave the term log(νq) out of the classifier, as the article does. Does learning fail, does it make no
#   difference, or is something else learned?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# ### Data or noise?
#
# A point lies at x. Two sources could have put it there: the data, with density p, or the noise, with density q. Of all
# points, one in 1 + ν is data. Write D = 1 for "it is data", and
#
# - π₁ for the share of data among all points, π₀ for that of noise;
# - J₁(x) for the **joint** probability: the point is data *and* lies at x;
# - P₁(x) for the **posterior**: the probability that a point which lies at x is data.
#
# Each formula below stands in an object that has tried it on a hundred random worlds and some nasty ones; the small print
# says what came out.

# %%
D = mc.derivations.ALL["nce"]
D["share of the data"]

# %%
D["joint probability of data"]

# %%
D["posterior"]

# %%
D["the shares cancel"]

# %%
D["as a sigmoid"]

# %%
D["the two sum to one"]

# %% [markdown]
# The **joint** probability asks two things at once: is it data, *and* does it lie here? The **posterior** takes the place
# as given, and asks only the first. The article writes the posterior and calls it the joint probability. They are not the
# same number:

# %%
D["joint probability"]

# %% [markdown]
# (The counterexample lists both sides for every point of its world.) Bayes' rule is only counting. So let us count: draw labelled points, sort them into bins, and look which share of each
# bin is data.

# %%
rng = np.random.default_rng(0)
count, nu, mean, width = 200_000 if FULL else 40_000, 2, 0.5, 1.5
part = rng.choice(2, size=count, p=[0.6, 0.4])
data = rng.normal(np.array([-1.0, 1.2])[part], np.array([0.5, 0.7])[part])
noise = rng.normal(mean, width, size=nu * count)
edges = np.linspace(-2.5, 3.5, 36)
of_data, of_noise = (np.histogram(points, edges)[0] for points in (data, noise))
share, number = of_data / (of_data + of_noise), of_data + of_noise

fine = np.linspace(edges[0], edges[-1], 35 * 40 + 1)
p, q = np.exp(log_data(fine)), np.exp(log_noise(fine, mean, width))


def in_bins(density):
    """The integral of a density over each bin."""
    pieces = (density[1:] + density[:-1]) / 2 * (fine[1] - fine[0])
    return pieces.reshape(35, 40).sum(axis=1)


expected = in_bins(p) / (in_bins(p) + nu * in_bins(q))
sigma = np.sqrt(expected * (1 - expected) / number)
off = np.abs(share - expected) / sigma
middle = (edges[1:] + edges[:-1]) / 2

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
above.plot(fine, p, color=BLUE, label="data, p(x)")
above.plot(fine, nu * q, color=ORANGE, label="ν times the noise, νq(x)")
above.set(ylabel="density", title=f"ν = {nu}, noise with mean {mean} and width {width}")
below.plot(fine, posterior(fine, mean, width, nu), color=GREEN, label="posterior p / (p + νq)")
below.errorbar(middle, share, yerr=2 * sigma, fmt=".", color="black", ms=4, lw=1, label="counted share of data, ± 2σ")
below.plot(fine, p / (1 + nu), color=RED, ls="--", label="joint probability")
below.plot(fine, p / (p + 1), color=GREY, ls=":", label="article: f / (f + 1) with f = p")
below.set(xlabel="x", ylabel="probability", ylim=(-0.03, 0.8))
for ax in (above, below):
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
joint_off = np.abs(share - np.exp(log_data(middle)) / (1 + nu)) / sigma
article_off = np.abs(share - 1 / (1 + 1 / np.exp(log_data(middle)))) / sigma
counted = np.minimum(of_data, of_noise) >= 25  # with fewer the binomial is not normal
assert off[counted].max() < 4 and counted.sum() >= 30
assert np.median(joint_off) > 10 and np.median(article_off) > 10
show(
    figure,
    "Counting labels gives the posterior, and neither of the other two curves",
    f"Above, the density of the data with two humps, and twice that of the wider noise. Below, the share of data among "
    f"{count + nu * count:,} drawn points in 35 bins lies on the curve p / (p + νq): the largest distance is "
    f"{off[counted].max():.1f} standard errors. From the joint probability the median distance is {np.median(joint_off):.0f} standard "
    f"errors, from the article's formula {np.median(article_off):.0f}. One seed.",
)

# %% [markdown]
# ### What is k?
#
# The article writes the posterior as f / (f + k), calls k "the distribution of the noise pairs", and says that it may be
# set to the constant 1. Compare with p / (p + νq): k stands where νq(x) stands, and that is a function of x. It is a
# constant only if the noise is uniform, or if f means something else: the **ratio** of the two densities. Then what is
# left beside it is ν.

# %%
D["density ratio"]

# %%
D["with a density ratio"]

# %%
D["the other answer, with a density ratio"]

# %%
D["k may be any constant"]

# %% [markdown]
# ### From the posterior to a loss
#
# We do not know p. We have a model with a score s(x), which is meant to become log p(x). Put it into the logit, in place
# of log p, and train the classifier: the answers "data" for data points and "noise" for noise points should become likely.

# %%
D["the classifier"]

# %%
D["minus log sigma is a softplus"]

# %% [markdown]
# The two losses of the article, one for a positive and one for a negative, are right (with its k = 1):

# %%
D["the article's loss of a positive"]

# %%
D["the article's loss of a negative"]

# %% [markdown]
# In exact arithmetic, that is. A computer that follows the fraction to the letter fails at large scores. The last column
# is `mc.losses.nce` for one data point and one noise point with the score t, where νq = 1: a data point that is certainly
# noise, and so on.

# %%
D["a softplus that never overflows"]

# %%
rows, one = [], np.zeros(1)
for t in (-800.0, -40.0, 0.0, 40.0, 800.0):
    with np.errstate(all="ignore"):
        naive = -np.log(np.exp(t) / (np.exp(t) + 1)), -np.log(1 / (np.exp(t) + 1))
    stable = float(mc.softplus(-t)), float(mc.softplus(t))
    loss = float(mc.losses.nce(one + t, one[:, None] + t, one, one[:, None]))
    assert abs(loss - sum(stable)) <= 1e-12 * loss
    rows.append(
        [f"{t:g}".replace("-", "−"), *(f"{abs(v):.6g}" for pair in zip(naive, stable) for v in pair), f"{loss:.6g}"]
    )
assert rows[0][1] == "inf" and rows[0][2] == "800" and rows[4][3] == "inf" and rows[4][4] == "800"
table(
    ["score t", "positive, naive", "positive, softplus", "negative, naive", "negative, softplus", "mc.losses.nce"], rows
)

# %% [markdown]
# Now the loss over the whole world, with exact expectations in place of averages. It is a sum of two terms: how badly data
# are taken for noise, and, ν times, how badly noise is taken for data.

# %%
D["the loss"]

# %%
D["noise against data"]

# %%
D["the slope"]

# %%
D["on one denominator"]

# %% [markdown]
# The last form says everything. The slope at x has the sign of $e^{s(x)} - p(x)$. Where the model is above the data the
# score falls, where it is below it rises. It stops at $s = \log p$, **and log p is normalised.** Nobody asked for it: the
# known noise, which sums to 1, has lent the model its measure.

# %%
D["zero at the data"]

# %%
D["no other zero"]

# %% [markdown]
# ### A word that is wrong by a sign
#
# The article says: maximise the log-probability of positive pairs and **minimise** that of negative pairs. Taken by the
# letter, the noise term gets the wrong sign. The slope is then negative at every point, whatever the scores are:

# %%
D["the article's words"]

# %% [markdown]
# ### A world of six outcomes
#
# Does it work? Six outcomes, their probabilities p, noise q, exact sums, and free scores θ. We minimise the loss for
# several ν, once with log(νq) and once without it, as with the article's k = 1.

# %%
rng = np.random.default_rng(7)
P, Q = rng.dirichlet(np.ones(6)), rng.dirichlet(2 * np.ones(6))


def expected_loss(theta, p, q, nu, corrected=True):
    t = theta - np.log(nu * q) if corrected else theta
    return mc.sum(p * mc.softplus(-t)) + nu * mc.sum(q * mc.softplus(t))


def learn(p, q, nu, corrected=True):
    """The scores at the minimum, by BFGS on the value and gradient of the engine."""

    def both(theta):
        value, (gradient,) = mc.value_and_grad(lambda x: expected_loss(x, p, q, nu, corrected), theta)
        return value, gradient

    return minimize(both, np.zeros(len(p)), jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 5000}).x


rows = []
for nu in (1, 5, 50):
    e, bare = np.exp(learn(P, Q, nu)), np.exp(learn(P, Q, nu, corrected=False))
    right = np.abs(e - P).max(), np.abs(e.sum() - 1)
    wrong = np.abs(bare / bare.sum() - P).max(), np.abs(bare - P / (nu * Q)).max()
    assert right[0] < 1e-6 and right[1] < 1e-6 and wrong[0] > 0.05 and wrong[1] < 1e-5
    rows.append([nu, f"{right[0]:.0e}", f"{e.sum():.6f}", f"{bare.sum():.4f}", f"{wrong[0]:.3f}", f"{wrong[1]:.0e}"])
table(
    [
        "ν",
        "with log(νq): largest distance of e^θ from p",
        "Σ e^θ",
        "without: Σ e^θ",
        "largest distance of softmax θ from p",
        "largest distance of e^θ from p/(νq)",
    ],
    rows,
)

# %% [markdown]
# With the term, the model sums to 1. Without it, learning does not fail: it learns **another function**, p/(νq), and it
# learns that one just as exactly. No normalising afterwards turns it into p. That is what k = 1 means.

# %%
D["a loss with a constant k"]

# %%
D["what it learns"]

# %%
D["a constant k, and the data all the same"]

# %%
ratios = 2.0 ** np.arange(9)
sums = np.array([[np.exp(learn(P, Q, nu, corrected)).sum() for nu in ratios] for corrected in (True, False)])
theory = (P / Q).sum() / ratios
grid = np.linspace(-2.6, 3.0, 29)
step = grid[1] - grid[0]
p_grid, q_grid = (np.exp(v) * step for v in (log_data(grid), log_noise(grid, 1.0, 1.2)))
p_grid, q_grid = p_grid / p_grid.sum(), q_grid / q_grid.sum()
learned, learned_bare = (np.exp(learn(p_grid, q_grid, 2, corrected)) / step for corrected in (True, False))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.loglog(ratios, sums[0], "o-", color=BLUE, label="with log(νq)", base=2)
left.loglog(ratios, sums[1], "s-", color=RED, label="without", base=2)
left.loglog(ratios, theory, color=GREY, ls=":", lw=2.5, label="Σ p/(νq)", base=2)
left.set(xlabel="ν, noise points for each data point", ylabel="Σ e^θ", title="six outcomes")
left.legend(frameon=False)
right.plot(grid, p_grid / step, color=BLUE, label="p")
right.plot(grid, learned, "o", color=BLUE, ms=4, label="learned with log(νq)")
right.plot(grid, p_grid / (2 * q_grid) / step, color=RED, ls="--", label="p/(νq)")
right.plot(grid, learned_bare, "s", color=RED, ms=4, label="learned with k = 1")
right.set(xlabel="x", ylabel="e^θ, per unit of x", yscale="log", title=f"{len(grid)} places on a line, ν = 2")
right.legend(frameon=False, fontsize=9, loc="lower center")
assert np.abs(sums[0] - 1).max() < 1e-5
assert np.abs(sums[1] / theory - 1).max() < 1e-5
assert np.abs(learned / (p_grid / step) - 1).max() < 1e-3
assert np.abs(learned_bare / (p_grid / (2 * q_grid) / step) - 1).max() < 1e-3
show(
    figure,
    "With log(νq) the model sums to 1 by itself; with the article's k = 1 it learns p/(νq)",
    f"Left: the sum of e to the θ against ν from 1 to {ratios[-1]:.0f}. With the term it stays at 1 (largest distance "
    f"{np.abs(sums[0] - 1).max():.0e}); without it, it falls from {sums[1][0]:.2f} to {sums[1][-1]:.3f}, on the line of the sum of "
    f"p/(νq). Right: on a line of {len(grid)} places the learned values lie on p with the term, and on p/(νq) without. "
    "Expectations are exact sums, so there is no seed.",
)

# %% [markdown]
# ### Much noise is maximum likelihood
#
# If sums were cheap, one would normalise the model and maximise the likelihood. NCE does the same in the limit of much
# noise: its gradient becomes that of maximum likelihood, and the gap shrinks like 1/ν.

# %%
D["a normalised model"]

# %%
D["maximum likelihood"]

# %%
D["much noise is maximum likelihood"]

# %%
ratios = 4.0 ** np.arange(0, 9)
gaps = []
for seed in range(8):
    theta = np.random.default_rng([4, seed]).standard_normal(6)
    nce_gradient = [
        mc.value_and_grad(lambda x, nu=nu: expected_loss(mc.log_softmax(x), P, Q, nu), theta)[1][0] for nu in ratios
    ]
    likelihood_gradient = mc.to_numpy(mc.softmax(theta)) - P
    gaps.append([np.abs(g - likelihood_gradient).max() / np.abs(likelihood_gradient).max() for g in nce_gradient])
gaps = np.array(gaps)
tail = ratios >= 256
orders = np.array([np.polyfit(np.log(ratios[tail]), np.log(gap[tail]), 1)[0] for gap in gaps])
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.loglog(ratios, gaps.T, color=BLUE, marker=".", lw=1, alpha=0.6)
ax.loglog(ratios[3:], 12 / ratios[3:], color=GREY, ls="--")
ax.text(ratios[5], 20 / ratios[5], "slope −1", color=GREY)
ax.set(
    xlabel="ν, noise points for each data point", ylabel="relative gap of the gradients", title="eight random models"
)
assert np.abs(orders + 1).max() < 0.02
show(
    figure,
    "Four times the noise, a quarter of the distance to maximum likelihood",
    f"The relative gap between the two gradients against ν, for eight random models of six outcomes, falls along straight "
    f"lines in a log-log picture. Measured slopes: {orders.min():.3f} to {orders.max():.3f}.",
)

# %% [markdown]
# ### From exact sums to samples
#
# In practice there are N data points and νN noise points, and the answer is off by chance. How much does the noise matter?
# The model is $\log \tilde p(x) = -a \lvert x \rvert - c$, with two free numbers. For data with $a = 1$ the right c is
# $\log 2$, the normaliser, but nobody tells the model. Gutmann and Hyvärinen (2012) give the error to expect; the cell
# compares it with many repetitions.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
N, REPEATS = 500, 400 if FULL else 40


def log_laplace(x, scale, shift=0.0):
    return -np.abs(x - shift) / scale - math.log(2 * scale)


def fit(seed, nu, scale, shift=0.0):
    """(a, c) from N data points and νN noise points: a logistic regression, by Newton's method with halved steps."""
    rng = np.random.default_rng([20, seed])
    points = np.concatenate([rng.laplace(size=N), rng.laplace(shift, scale, size=nu * N)])
    is_data = np.arange(len(points)) < N
    features = np.stack([-np.abs(points), -np.ones_like(points)])
    offset = log_laplace(points, scale, shift) + math.log(nu)
    loss = lambda v: np.logaddexp(0, np.where(is_data, -1, 1) * (v @ features - offset)).sum() / N
    found, value = np.array([1.0, math.log(2)]), np.inf
    for _ in range(40):
        h = 1 / (1 + np.exp(-(found @ features - offset)))
        slope, curve = features @ (h - is_data) / N, (features * (h * (1 - h))) @ features.T / N
        step, value = np.linalg.solve(curve, slope), loss(found)
        while loss(found - step) > value + 1e-12:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-10:
            break
    return found


def expected_errors(nu, scale, shift=0.0):
    """Standard errors of (a, c) by the formula of Gutmann and Hyvärinen (2012), with integrals on a grid."""
    x = np.linspace(-40, 40, 80_001)
    p, q = np.exp(log_laplace(x, 1.0)), np.exp(log_laplace(x, scale, shift))
    features, mass = np.stack([-np.abs(x), -np.ones_like(x)]), p * nu * q / (p + nu * q) * (x[1] - x[0])
    inverse, mean = np.linalg.inv((features * mass) @ features.T), features @ mass
    covariance = inverse - (1 + 1 / nu) * np.outer(inverse @ mean, inverse @ mean)
    return np.sqrt(np.diag(covariance) / N)


def repeated(settings):
    """Root mean square error of c for each setting, its 95 % interval, and what theory expects."""
    found = [[fit(seed, **setting)[1] for seed in range(REPEATS)] for setting in settings]
    error = np.sqrt(((np.array(found) - math.log(2)) ** 2).mean(axis=1))
    return error, 1.96 * error / math.sqrt(2 * REPEATS), np.array([expected_errors(**s)[1] for s in settings])


# %%
nus, scales, shifts = [1, 2, 4, 8, 16, 32], [0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0], [0.0, 1.0, 2.0, 3.0, 4.0]
panels = [
    (
        "ν, noise points for each data point",
        nus,
        [{"nu": n, "scale": 2.0} for n in nus],
        "noise twice as wide as the data",
    ),
    ("width of the noise (that of the data is 1)", scales, [{"nu": 2, "scale": s} for s in scales], "ν = 2"),
    (
        "distance of the noise from the data",
        shifts,
        [{"nu": 2, "scale": 1.0, "shift": s} for s in shifts],
        "ν = 2, width 1",
    ),
]
likelihood = 1 / math.sqrt(N)  # of maximum likelihood, which knows that c = log(2 / a)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
results = []
for ax, (label, places, settings, title) in zip(axes, panels):
    error, half, theory = repeated(settings)
    results.append((error, theory))
    ax.plot(places, theory, color=GREY, label="theory")
    ax.errorbar(places, error, yerr=half, fmt="o", color=BLUE, ms=4, capsize=3, label="measured, 95 % interval")
    ax.axhline(likelihood, color=GREEN, ls="--", label="maximum likelihood")
    ax.set(xlabel=label, title=title, yscale="log")
    if places is not shifts:
        ax.set_xscale("log", base=2)
    assert np.abs(error / theory - 1).max() < 4 / math.sqrt(2 * REPEATS) + 0.05  # 5 % for N being finite
axes[0].set_ylabel("error of log Z (root mean square)")
axes[0].set_yticks([0.04, 0.06, 0.1, 0.2], ["0.04", "0.06", "0.1", "0.2"])
axes[0].minorticks_off()
axes[0].legend(frameon=False, fontsize=9)
(by_nu, by_nu_theory), (by_width, by_width_theory), (by_shift, _) = results
best_width = scales[by_width_theory.argmin()]
assert (np.diff(by_nu_theory) < 0).all() and by_nu[-1] < by_nu[0] and by_nu_theory[-1] < 1.1 * likelihood
assert 0 < by_width_theory.argmin() < len(scales) - 1 and by_shift[-1] > 2 * by_shift[0]
show(
    figure,
    "More noise helps, down to maximum likelihood; noise that is unlike the data hurts",
    f"Error of the learned log normaliser for {N} data points, {REPEATS} repetitions each, with 95 % intervals. Against ν it falls "
    f"from {by_nu[0]:.3f} to {by_nu[-1]:.3f}; maximum likelihood has {likelihood:.3f}. Against the width of the noise it is smallest "
    f"near {best_width:g} ({by_width.min():.3f}) and grows to {by_width[0]:.3f} at {scales[0]} and {by_width[-1]:.3f} at {scales[-1]:g}. "
    f"Against its distance it grows from {by_shift[0]:.3f} to {by_shift[-1]:.3f}. The formula of Gutmann and Hyvärinen is met.",
)

# %% [markdown]
# Noise that is far from the data is too easy a contrast: the classifier is right all the time, and learns nothing about the
# shape of p. The best noise resembles the data. This is the reason for *hard* negatives in all that follows.
#
# A last check that two programs mean the same thing: at the fitted numbers, the gradient of `mc.losses.nce` must vanish.

# %%
a_c = fit(0, nu=3, scale=2.0)
rng = np.random.default_rng([20, 0])
x, noise = rng.laplace(size=N), rng.laplace(0.0, 2.0, size=3 * N).reshape(N, 3)


def loss_of(v):
    return mc.losses.nce(
        -v[0] * np.abs(x) - v[1], -v[0] * np.abs(noise) - v[1], log_laplace(x, 2.0), log_laplace(noise, 2.0)
    )


value, (gradient,) = mc.value_and_grad(loss_of, a_c)
print(
    f"a = {a_c[0]:.3f} (1), c = {a_c[1]:.3f} (log 2 = {math.log(2):.3f}), gradient of mc.losses.nce: {np.abs(gradient).max():.0e}"
)
assert np.abs(gradient).max() < 1e-8

# %% [markdown]
# ### Three witnesses
#
# The gradients of `mc.losses.nce` come from the engine. A closed form in plain loops, a complex step, and, for the second
# order, differences say what they should be. They share no code with it, nor with each other.

# %%
rng = np.random.default_rng(1)
inputs = [rng.standard_normal(shape) for shape in [(3,), (3, 4), (3,), (3, 4)]]
closed, closed_gradients = mc.formulas.nce(*inputs)
value, gradients = mc.value_and_grad(mc.losses.nce, *inputs)
apart = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(gradients, closed_gradients))
print(f"engine {value:.12f}, closed form {closed:.12f}; gradients differ by {apart:.0e}")
assert abs(value - closed) < 1e-12 * value and apart < 1e-12
mc.gradcheck.check(mc.losses.nce, *inputs)

# %% [markdown]
# ### All of it at once, and where it leads
#
# The whole derivation as a table. FALSE lines are tempting wrong steps: they have to fail.

# %%
D.check()

# %% [markdown]
# word2vec's *negative sampling* is NCE without the term log(kq). You know now what that must do: the scores become a
# **ratio**. Notebook 05 is about it; its derivation runs here already.

# %%
mc.derivations.ALL["sgns"]["they are the logits of NCE"]

# %% [markdown]
# ## Play
#
# Move the noise, its amount, and the point. Then answer:
#
# 1. Where is the posterior ½? Look at the upper picture.
# 2. Put the noise where the data are not (mean 4, width 0.5). How many points does the best classifier get wrong? Why is
#    this noise bad for learning, although the classifier is so good?
# 3. Tick the box and move the noise. Which curve does not move? What does that say about the article's formula?

# %%
noise_classifier()

# %%
crossing = np.linspace(-5, 5, 100_001)
gap = np.exp(log_data(crossing)) - 2 * np.exp(log_noise(crossing, 0.0, 1.5))
half = crossing[:-1][np.sign(gap[:-1]) != np.sign(gap[1:])]
print("1. where the curves p and νq cross:", half.round(2), " posterior there:", posterior(half, 0.0, 1.5, 2).round(3))
wrong = error_share(4.0, 0.5, 2)
print(
    f"2. it is wrong for {100 * wrong:.2f} % of the points: the answer is clear everywhere, so no point tells anything"
)
print("3. the dashed one: f / (f + 1) does not contain the noise, so it cannot be the probability asked for")
assert np.abs(posterior(half, 0.0, 1.5, 2) - 0.5).max() < 1e-3 and wrong < 0.005

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("nce_loss"))


# %%
def nce_loss(scores, noise_scores, log_q, noise_log_q):
    h = 1 / (1 + np.exp(-(scores - log_q)))
    h_noise = 1 / (1 + np.exp(-(noise_scores - noise_log_q)))
    return -np.log(h).mean() - np.log(1 - h_noise).sum(axis=1).mean()


mc.course.check("nce_loss", nce_loss)

# %%
print(mc.course.describe("nce_gradient"))


# %%
def nce_gradient(scores, noise_scores, log_q, noise_log_q):
    log_nu = np.log(noise_scores.shape[1])
    h = 1 / (1 + np.exp(-(scores - log_q - log_nu)))
    h_noise = 1 / (1 + np.exp(-(noise_scores - noise_log_q - log_nu)))
    return (h - 1) / len(scores), h_noise / h_noise.size


mc.course.check("nce_gradient", nce_gradient)

# %% [markdown]
# The third exercise is the whole method. Fit a Gaussian whose normaliser nobody tells you, and get ½ log 2π out.

# %%
print(mc.course.describe("gaussian_nce"))


# %%
def gaussian_nce(x, noise, width):
    log_q, noise_log_q = -0.5 * (x / width) ** 2, -0.5 * (noise / width) ** 2
    score = lambda points, v: -0.5 * v[0] * points**2 - v[1]
    loss = lambda v: float(mc.losses.nce(score(x, v), score(noise, v), log_q, noise_log_q))
    return minimize(loss, [1.0, 0.0], method="BFGS").x


mc.course.check("gaussian_nce", gaussian_nce)

# %% [markdown]
# ## Break
#
# Somebody wrote NCE, tested it with one noise point for each data point, and found the six probabilities of above to six
# digits. With more noise the sum of e^θ is not 1 any more. A term is missing. Which one, and where? (The table helps: what
# is special about ν = 1?)


# %%
def broken_loss(scores, noise_scores, log_q, noise_log_q):
    nu = noise_scores.shape[1]
    data_logits = scores - log_q - math.log(nu)
    noise_logits = noise_scores - noise_log_q
    return mc.mean(mc.softplus(-data_logits) + mc.sum(mc.softplus(noise_logits), axis=1))


def learn_by(loss, nu):
    """Exact expectations: each outcome once as data, with ν copies of itself as noise, weighted by p and by q."""

    def both(theta):
        def expected(x):
            # A noise point with the score −5000 costs nothing, nor does a data point with +5000.
            silent = np.full((1, nu), -5000.0)
            total = 0.0
            for i in range(6):
                log_q = np.log(Q[i : i + 1])
                total = total + P[i] * loss(x[i : i + 1], silent, log_q, np.zeros((1, nu)))
                as_noise = mc.broadcast_to(mc.reshape(x[i : i + 1], (1, 1)), (1, nu))
                total = total + Q[i] * loss(np.full(1, 5000.0), as_noise, np.zeros(1), np.broadcast_to(log_q, (1, nu)))
            return total

        value, (gradient,) = mc.value_and_grad(expected, theta)
        return value, gradient

    return np.exp(minimize(both, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9}).x)


rows = []
for nu in (1, 2, 8, 32):
    good, bad = learn_by(mc.losses.nce, nu), learn_by(broken_loss, nu)
    assert abs(good.sum() - 1) < 1e-5 and (abs(bad.sum() - 1) > 0.05) == (nu > 1)
    rows.append([nu, f"{good.sum():.5f}", f"{bad.sum():.5f}", f"{np.abs(bad - P).max():.3f}"])
table(["ν", "Σ e^θ, mc.losses.nce", "Σ e^θ, broken", "broken: largest distance from p"], rows)

# %% [markdown]
# <details><summary>The fault</summary>
#
# The logit of the noise lacks log ν. One classifier judges all points, so data and noise have the same logit, score minus
# log(νq). At ν = 1 the missing term is log 1 = 0, and a test with ν = 1 cannot see it. Test with sizes that are all
# different, and none of them 1. The grader of the first exercise finds it too, in the next cell.
# </details>

# %%
report = mc.course.check("nce_loss", lambda *args: mc.to_numpy(broken_loss(*args)))
print(report.diagnosis[0])
assert report.diagnosis[0].name == "noise-without-nu"

# %% [markdown]
# ## Check yourself
#
# 1. The noise has exactly the density of the data, and ν = 9. What does the best classifier answer? Can NCE still learn p
#    from it?
# 2. You double ν. What happens to the learned scores, with the term log(νq) and without it?
# 3. Which loss does a perfect model have if the noise equals the data and ν = 1? Can a better model get below it?

# %%
answer = posterior(0.3, 0.0, 1.0, 9, data=[(1.0, 0.0, 1.0)])
from_itself = np.exp(learn(P, P, 9))
print(
    f"1. {answer:.1f} everywhere; and yes: learned to {np.abs(from_itself - P).max():.0e}. A wrong score would be seen at once"
)
moved = [learn(P, Q, 10, corrected) - learn(P, Q, 5, corrected) for corrected in (True, False)]
print(
    f"2. with it they stay (moved by {np.abs(moved[0]).max():.0e}); without, all fall by {-moved[1].mean():.4f} = log 2"
)
floor = float(mc.to_numpy(expected_loss(np.log(P), P, P, 1)))
lower = min(float(mc.to_numpy(expected_loss(np.log(P) + 0.1 * rng.standard_normal(6), P, P, 1))) for _ in range(200))
print(f"3. {floor:.4f} = 2 log 2, two tosses of a coin; the best of 200 models nearby has {lower:.4f}")
assert abs(answer - 0.1) < 1e-12 and np.abs(from_itself - P).max() < 1e-6
assert np.abs(moved[0]).max() < 1e-5 and np.abs(moved[1] + math.log(2)).max() < 1e-5
assert abs(floor - 2 * math.log(2)) < 1e-12 and lower > floor

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. noise like the data, ν = 4",
            guess["A"],
            f"{posterior(0.3, 0.0, 1.0, 4, data=[(1.0, 0.0, 1.0)]):.1f}: one point in five",
        ],
        ["B. the sum of e^θ", guess["B"], f"{np.exp(learn(P, Q, 5)).sum():.6f}"],
        ["C. without log(νq)", guess["C"], "something else is learned: p/(νq), as exactly"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# One claim is left: that f is a similarity "such as cosine", f = exp(sim). A cosine lies between −1 and 1. So without a
# temperature, f / (f + 1) lies between σ(−1) and σ(1): the classifier can never be sure, however good the embeddings are.

# %%
cosine = np.linspace(-1, 1, 201)
temperatures = (1.0, 0.5, 0.2, 0.1)
reach = {tau: (float(mc.sigmoid(-1 / tau)), float(mc.sigmoid(1 / tau))) for tau in temperatures}
floors = {tau: float(mc.softplus(-1 / tau)) for tau in temperatures}
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for tau, color in zip(temperatures, [RED, ORANGE, GREEN, BLUE]):
    label = f"τ = {tau:g}" + (" (the article's f)" if tau == 1 else "")
    ax.plot(cosine, mc.to_numpy(mc.sigmoid(cosine / tau)), color=color, label=label)
ax.axhspan(*reach[1.0], color=RED, alpha=0.08)
ax.set(
    xlabel="cosine of the pair",
    ylabel="P(D = 1) = f / (f + 1)",
    ylim=(0, 1),
    title="f = exp(cos / τ); red band: all that τ = 1 can say",
)
ax.legend(frameon=False)
assert abs(reach[1.0][0] - 0.2689) < 1e-4 and abs(reach[1.0][1] - 0.7311) < 1e-4 and abs(floors[1.0] - 0.3133) < 1e-4
assert floors[0.1] < 1e-4 and list(floors.values()) == sorted(floors.values(), reverse=True)
show(
    figure,
    "With f = exp(cos) the answer stays between 27 % and 73 %; a temperature widens it",
    "The probability that a pair is a true one against its cosine. "
    + "; ".join(f"τ = {tau:g}: from {low:.4f} to {high:.4f}" for tau, (low, high) in reach.items())
    + ". The loss of a positive cannot fall below "
    + ", ".join(f"{floors[tau]:.4f} at τ = {tau:g}" for tau in temperatures)
    + ".",
)

# %% [markdown]
# | claim | in our words | verdict | decided by |
# |---|---|---|---|
# | S32 | a contrastive loss is a noise-contrastive **binary** classifier | under conditions: true of NCE and of word2vec's negative sampling. InfoNCE and NT-Xent ask which of many is right, and a common shift of the scores leaves them alone | the cell below; notebook 06 |
# | S53 | the *joint* probability that a pair is a true one is f/(f + k) | wrong word: it is a posterior. The right formula is p/(p + νq), or f/(f + ν) for the ratio f | FALSE step *joint probability*; the counted bins |
# | S54 | k is the distribution of the noise pairs, and may be set to 1 | wrong: k stands for νq(x). Setting it to 1 changes what is learned, from p to p/(νq) | the table of six outcomes; FALSE step *k may be any constant* |
# | S55 | f is a similarity such as cosine | imprecise: f = exp(cos) is not the cosine, and without a temperature it keeps the answer between 27 % and 73 % | the figure above |
# | S56 | the probability of "noise" is 1/(1 + f) | true, given S53 with k = 1: it is the rest to 1 | steps *the two sum to one* and *the other answer, with a density ratio* |
# | S57 | maximise the log-probability of positives and minimise that of negatives | wrong as worded: both log-probabilities are maximised. By the letter all scores rise without end | step *the article's words*; the cell below |
# | S58 | the loss of a positive is −log of f/(f + 1) | true: softplus(−s), which is also right at −800 | step *the article's loss of a positive*; the table of ±800 |
# | S59 | the loss of a negative is −log of 1/(f + 1) | true: softplus(s), with the score of the **negative** pair | step *the article's loss of a negative* |

# %%
rng = np.random.default_rng(3)
s, n, log_q, noise_log_q = (rng.standard_normal(shape) for shape in [(4,), (4, 5), (4,), (4, 5)])
shifted = {
    "binary NCE": [float(mc.losses.nce(s + c, n + c, log_q, noise_log_q)) for c in (0, 5)],
    "ranking NCE": [float(mc.losses.ranking_nce(s + c, n + c, log_q, noise_log_q)) for c in (0, 5)],
}
for name, (before, after) in shifted.items():
    print(f"S32  {name:11s} loss {before:.6f}, after adding 5 to all scores {after:.6f}")
assert abs(np.diff(shifted["binary NCE"])[0]) > 1 and abs(np.diff(shifted["ranking NCE"])[0]) < 1e-12

theta, marks = np.zeros(6), []
for k in range(1001):  # descend on the article's words: the noise term with the other sign
    h = mc.to_numpy(mc.sigmoid(theta - np.log(5 * Q)))
    theta = theta + (P * (1 - h) + 5 * Q * h)
    marks += [theta.min()] if k in (10, 100, 1000) else []
print("S57  the lowest of six scores after 10, 100 and 1000 steps by the letter:", np.round(marks, 1))
assert marks[0] < marks[1] < marks[2] and marks[2] > 30

for claim, statements in {
    "S53": ["posterior", "as a sigmoid", "joint probability"],
    "S54": [
        "with a density ratio",
        "k may be any constant",
        "what it learns",
        "a constant k, and the data all the same",
    ],
    "S56": ["the two sum to one", "the other answer, with a density ratio"],
    "S57": ["the article's words"],
    "S58": ["the article's loss of a positive", "a softplus that never overflows"],
    "S59": ["the article's loss of a negative"],
}.items():
    assert all(D[name].passed for name in statements), claim
    print(f"{claim}  decided by: {', '.join(statements)}")
