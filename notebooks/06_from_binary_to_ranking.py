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
# # 06 · From binary to ranking: InfoNCE
#
# Notebook 04 asked of one point: *is this data or noise?* NT-Xent asks another question: *which one of these is the
# partner?* The article walks from the first question to the second in one sentence: it "merges" two terms. That step is
# wrong. This notebook takes the walk in eight steps that hold, finds out what the second loss can learn and what it
# cannot, and measures how much information it shows.
#
# **When you are through, you can**
#
# - derive the ranking loss in two ways: by a condition, and by drawing lists;
# - say why the article's constant k, here called ν, may be set to 1, and why not for the reason it gives;
# - say what the best critic knows, and what it cannot know;
# - read log K − loss as information, and know when the number is worthless.
#
# **You need** notebook 04.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import itertools
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, show, style, table, three_bars

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** One positive has the logit 1.0, three negatives have 0.3, −0.2 and 0.5. You add 5 to all four logits. Which
#   changes: the binary loss (four yes/no questions), the ranking loss (one question with four answers), or both?
# - **B.** Two vectors share 16.6 nats of information. You estimate that by InfoNCE, with the best possible critic and
#   512 candidates. What comes out, about?
# - **C.** A critic adds 7 to all scores of *one* anchor, and changes nothing else. Does its InfoNCE loss rise, fall, or
#   stay?

# %%
guess = {"A": "?", "B": "?", "C": "?"}

# %% [markdown]
# ## Derive
#
# **Letters.** The derivation is the object `D`, and it holds more statements than are shown here: show `D` itself to see
# all of them. Each has been tried on a hundred random worlds and some nasty ones; the small print says what came out.
#
# | letter | what it is |
# |---|---|
# | u, v | an anchor; a point that may be its partner. v is what notebook 04 called x |
# | $p_d(v)$, $p_n(v)$ | density of the partner *given u*, and of noise (04: p and q). Row 1 of the joint density p(·, ·) is the anchor u; it has A rows and B columns |
# | ν | noise points for each data point. The article calls it k; here k numbers candidates |
# | K; j, k, m | the number of candidates, and candidates: j the partner, k any, m in sums |
# | s | a cosine |
# | g = s/τ | a **logit**; $f = e^g$ |
# | $h$, $\bar h = 1 - h$ | the probabilities of yes and of no |
#
# ### Steps 1 to 3: one pair
#
# First, what is true. Fix an anchor u. A point v is either its partner, drawn from $p_d$, or noise, drawn from $p_n$,
# the density of v whatever the anchor is. As in notebook 04, $P_1(v)$ is the posterior: the probability that v is data.
# What counts is the ratio r of the two densities.

# %%
D = mc.derivations.ALL["nce_to_nt_xent"]
display(D["1 posterior of one pair"], D["density ratio"], D["2 odds"])

# %% [markdown]
# Next, a model of it, as a network does not know the ratio: the exponential of the logit stands for r.

# %%
display(D["logits"], D["3 a model of the ratio"], D["model of the posterior"])

# %% [markdown]
# ν stands in that posterior. The article sets it to 1 (its constant k), and for **one** pair it must not:

# %%
D["the constant may be left out"]

# %% [markdown]
# **So far:** the exponential of a logit is a model of the density ratio, and yes or no for one pair needs ν as well.
# Next we ask about many candidates.
#
# ### Step 4: K candidates, K separate questions
#
# Answer yes or no for each of K candidates, independently of each other. An outcome o is a row of K bits $b_{ok}$, 1 for
# yes; its probability $\mathbb{P}(o)$ is a product of h's and h̄'s. One outcome is the right one, and we call it $e_j$:
# yes for the partner j, no for the others. Minus the logarithm of its probability is the **binary loss**.

# %%
display(D["probability of an outcome"], D["4 binary loss"], D["4 it is a likelihood"])

# %% [markdown]
# **So far:** the binary loss is the likelihood of K separate answers.
# It allows outcomes that cannot be: no partner, or several.
#
# ### Step 5: we know that it is exactly one
#
# So throw those outcomes away, and divide by the probability of what is left. E is the set of the K outcomes with
# exactly one yes. A softmax comes out, and ν is gone: **this** is why the article's constant may be set to 1.

# %%
display(D["5 condition on exactly one"], D["5 the constant cancels"])

# %% [markdown]
# One can also do it by hand. Toss K biased coins, again and again; keep only the rounds with exactly one head; count
# where the head was.

# %%
rng = np.random.default_rng(0)
logits = np.array([1.0, 0.3, -0.2, 0.5])
softmax = mc.softmax(logits)
tosses = 2_000_000 if FULL else 400_000
counted = {}
for nu in (1.0, 5.0):
    yes = rng.random((tosses, 4)) < mc.sigmoid(logits - math.log(nu))
    rounds = yes[yes.sum(axis=1) == 1]
    share = rounds.mean(axis=0)
    counted[nu] = share, np.sqrt(share * (1 - share) / len(rounds)), len(rounds) / tosses

figure, ax = plt.subplots(figsize=(9.5, 3.4), layout="constrained")
place = np.arange(4)
ax.bar(place, softmax, width=0.6, color=BLUE, alpha=0.25, label="softmax of the logits")
for (nu, (share, error, kept)), color, mark in zip(counted.items(), [ORANGE, GREEN], ["o", "s"]):
    x = place + (0.1 if nu > 1 else -0.1)
    label = f"counted, ν = {nu:g} ({kept:.0%} kept)"
    ax.errorbar(x, share, 4 * error, color=color, fmt=mark, ms=4, capsize=3, label=label)
    separate = mc.sigmoid(logits - math.log(nu))
    ax.plot(x, separate, ls="none", marker="x", color=color, label=f"yes of each by itself, ν = {nu:g}")
    assert (np.abs(share - softmax) < 4 * error).all() and np.abs(separate - softmax).max() > 0.05
ax.set_xticks(place, [f"candidate {k + 1}\nlogit {g:g}".replace("-", "−") for k, g in enumerate(logits)])
ax.set(ylabel="probability", ylim=(0, 0.8))
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
show(
    figure,
    "Among rounds with exactly one yes, the yes is distributed as the softmax, whatever ν is",
    f"{tosses:,} rounds of four independent answers for ν = 1 and ν = 5, seed 0; bars of 4 standard errors. Softmax: "
    + ", ".join(f"{v:.3f}" for v in softmax)
    + ". Counted: "
    + "; ".join(f"ν = {nu:g}: " + ", ".join(f"{v:.3f}" for v in share) for nu, (share, _, _) in counted.items())
    + ". The separate probabilities of yes (crosses) change with ν.",
)

# %% [markdown]
# **So far:** the softmax is the binary model, given that exactly one answer is yes; counting agrees.
# The condition may look like a trick, so here is a second way.
#
# ### Step 6: the same by drawing a list
#
# This way never asks a yes/no question. **An example with K = 3.** Throw a die for the place of the partner: say j = 2.
# Put the partner there, and noise in places 1 and 3. You are shown the list $(v_1, v_2, v_3)$ and not the place. Say
# that the ratios r of the three points are 1, 6 and 3: the second point is six times as likely a partner as it is noise.
# How likely was each place? A list with the partner in place 2 has the probability
# $\tfrac13\, p_n(v_1)\, p_d(v_2)\, p_n(v_3)$, which is $\tfrac13$ times all three noise densities times $r(v_2)$. The
# first factors are the same for each place. So the places are as likely as 1 : 6 : 3, that is 0.1, 0.6 and 0.3.
#
# Now for any K. All lists that can come up are numbered by t, candidate k of list t is called $v_{tk}$, and
# $\mathbb{G}(j, t)$ is the probability to draw place j and list t.

# %%
display(D["6 drawing a list"], D["6 posterior of the place"])

# %% [markdown]
# **So far:** Bayes' rule gives the softmax of step 5, with the true ratios.
# There is no ν in it, and no constant had to cancel.
#
# ### Step 7: InfoNCE
#
# Step 6 knew the true ratio. Put the model f in its place, and take minus the log-probability of the right place. A
# factor κ that all candidates share does not matter.

# %%
display(D["7 ranking loss"], D["7 in logarithms"], D["7 up to a factor"])

# %% [markdown]
# **So far:** InfoNCE is a model of the place, and it needs ratios only up to a factor.
# What is left is to say who the candidates are.
#
# ### Step 8: NT-Xent
#
# A batch has 2N views, and each is the anchor once. The candidates of view i are the other 2N − 1, with the cosines
# $s_{il}$ and the logits $g_{il} = s_{il}/\tau$; j(i) is its partner.

# %%
display(D["loss of an anchor"], D["8 NT-Xent"], D["8 each anchor ranks 2N − 1 candidates"])

# %% [markdown]
# This last step is an approximation, and one should say so. Steps 6 and 7 need negatives that are independent draws. In
# a batch they come in pairs, two views of one image, and some show the same class as the anchor. Leaving out one view
# of each is not the same loss; o(i, n) is the view of image n on the side of i's partner:

# %%
D["8 one view of each image would do"]

# %% [markdown]
# **So far:** NT-Xent is InfoNCE with the batch for candidates: eight steps, and all but the last exact.
# Now the article's shortcut.
#
# ### The step that fails: "merging"
#
# The article has the two binary terms, one for the positive and one for a negative, and goes on: *merging the two and
# introducing τ gives NT-Xent*. So try it. What lies between the two losses is step 5, and it has a price: the
# probability that the answers, given separately, contain exactly one yes.

# %%
display(D["merge the two binary terms"], D["binary is larger"], D["what the condition is worth"])

# %% [markdown]
# How large is the gap? For two negatives all can be written out. With x for ν/f of the positive and $\omega_k$ for f/ν
# of a negative, the exponentials of the two losses differ by a polynomial without a single minus sign:

# %%
D["the gap for two negatives"]

# %% [markdown]
# With more negatives, draw many logits and look at the gap.

# %%
draws = 20_000 if FULL else 5_000
rng = np.random.default_rng(1)
negatives = rng.integers(1, 9, size=draws)
binary, ranking = np.empty(draws), np.empty(draws)
for count in range(1, 9):
    rows = np.flatnonzero(negatives == count)
    own, others = 3 * rng.standard_normal(len(rows)), 3 * rng.standard_normal((len(rows), count))
    # nce takes log(νq) away from each score; here that must be 0, so log q is −log ν
    nothing = np.full(others.shape, -math.log(count))
    binary[rows] = mc.losses.nce(own, others, nothing[:, 0], nothing, reduction="none")
    ranking[rows] = mc.losses.ranking_nce(own, others, reduction="none")
gap = binary - ranking

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
dots = axes[0].scatter(ranking, gap, c=negatives, s=3, alpha=0.6, cmap="viridis", rasterized=True)
axes[0].set(xscale="log", yscale="log", title=f"{draws:,} sets of random logits, seed 1")
axes[0].set(xlabel="ranking loss (nats)", ylabel="binary − ranking (nats)")
figure.colorbar(dots, ax=axes[0], label="negatives")
axes[1].hist(np.log10(gap), bins=60, color=BLUE, alpha=0.8)
axes[1].set(xlabel="log₁₀ of binary − ranking", ylabel="draws", title="the gap")
assert (gap > 0).all()
show(
    figure,
    "The binary loss is always the larger one",
    f"How much larger the binary loss is, against the ranking loss, for {draws:,} sets of random logits with 1 to 8 "
    f"negatives, both axes logarithmic. The gap is positive in every draw. "
    f"The gaps run from {gap.min():.1e} to {gap.max():.1f} nats, with a median of {np.median(gap):.2f}.",
)

# %% [markdown]
# A shift of all logits shows the difference best: $\tilde g_k = g_k + c$. Ranking sees differences of logits only; a
# yes/no question has a fixed threshold.

# %%
display(D["ranking does not notice a shift"], D["binary does not notice a shift"])

# %%
own, others = logits[:1], logits[None, 1:]
zero = np.full((1, 3), -math.log(3))
losses = {}
for shift in (0.0, 5.0):
    losses[shift] = (
        float(mc.losses.nce(own + shift, others + shift, zero[:, 0], zero)),
        float(mc.losses.ranking_nce(own + shift, others + shift)),
    )
    print(f"shift {shift:+.0f}: binary {losses[shift][0]:.6f}   ranking {losses[shift][1]:.6f}")
assert abs(losses[0][1] - losses[5][1]) < 1e-12 and losses[5][0] - losses[0][0] > 10

# %% [markdown]
# And the gradients differ too. The pull on the positive in the ranking loss depends on all logits, through its softmax
# probability $S_j$; in the binary loss it depends on the positive alone.

# %%
display(D["slope of ranking"], D["slope of binary"], D["the slopes agree"])

# %% [markdown]
# **So far:** merging fails in value, under a shift and in the gradient; the missing step is the condition.
# Next: what does a network learn that is trained by ranking?
#
# ### What does the best critic know?
#
# From here on the score is any function F(u, v) of the pair, a **critic**, and the derivation is the object `M` (show
# `M` to see all of it). Which F has the least InfoNCE loss? Take a world so small that nothing needs to be sampled: A
# anchors, B partners, and their joint density p(u, v), so that r(u, v) is again the density ratio. The loss L is then a
# sum over all pairs and all lists of K − 1 negatives. List q has the negatives $n_{qh}$ and the probability w(q).

# %%
M = mc.derivations.ALL["info_nce"]
display(M["density ratio"], M["probability of a list of negatives"], M["expected loss"])

# %% [markdown]
# The least loss is where the slope is zero, so look at the slope next. Count lists t of all K candidates, $v_{tk}$ as in
# step 6, with the probability w(t). $S_{utk}$ is what the critic says: the softmax. R(u, t) is the sum of the ratios in
# the list, so the right answer is r/R. The slope adds up one bracket for each place: R times the
# critic's answer, minus r.

# %%
display(M["what the critic says"], M["sum of the ratios"], M["slope in a score"])

# %% [markdown]
# So a critic is best if its answer is r/R in every list. The log ratio does that, and so does the log ratio with any
# factor c(u) for each anchor: we call these critics $F^\star$.

# %%
display(M["a best critic"], M["the best critic says the true posterior"], M["the slope is zero there"])

# %% [markdown]
# How free is it? A factor of the anchor is free, so the best critic is not unique. A factor d(v) of the partner is not:
# with it, F° is no longer best.

# %%
display(M["the best critic is unique"], M["a tilted critic"], M["a factor of v is free too"])

# %% [markdown]
# Do we see that in training? Two critics start at different random values and descend on the exact loss.


# %%
def random_joint(rng, size=4):
    """A joint density of u and v, by rows and columns."""
    return rng.dirichlet(np.ones(size * size)).reshape(size, size)


def log_ratio(joint):
    return np.log(joint / np.outer(joint.sum(axis=1), joint.sum(axis=0)))


def information(joint):
    return float((joint * log_ratio(joint)).sum())


def lists_of(joint, count):
    """All lists of `count` negatives, and the probability of each."""
    lists = np.array(list(itertools.product(range(joint.shape[1]), repeat=count)))
    return lists, joint.sum(axis=0)[lists].prod(axis=1)


def expected_loss(F, joint, lists, weights):
    """InfoNCE of the critic F, over all pairs and all lists of negatives."""
    rivals = mc.logsumexp(mc.take(F, lists, axis=1), axis=-1)  # (anchors, lists)
    losses = mc.softplus(rivals[:, None, :] - F[:, :, None])  # −log softmax at the partner
    return mc.sum(losses * joint[:, :, None] * weights)


def descend(loss, start):
    """The least value of a loss of one array, and where."""

    def both(x):
        value, (slope,) = mc.value_and_grad(loss, x.reshape(start.shape))
        return float(value), slope.ravel()

    found = minimize(both, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-9})
    return float(found.fun), found.x.reshape(start.shape)


rng = np.random.default_rng(3)
joint = random_joint(rng)
truth = log_ratio(joint)
lists, weights = lists_of(joint, 2)
runs = [descend(lambda F: expected_loss(F, joint, lists, weights), rng.normal(size=(4, 4))) for _ in range(2)]

# %%
offsets = [F - truth for _, F in runs]
figure, axes = plt.subplots(1, 4, figsize=(11, 3.3), layout="constrained")
panels = [("log r, the truth", truth), ("learned, start 1", runs[0][1]), ("learned, start 2", runs[1][1])]
reach = max(np.abs(values).max() for _, values in panels)
for ax, (name, values) in zip(axes, [*panels, ("start 1 − truth", offsets[0])]):
    image = ax.imshow(values, cmap="PRGn", vmin=-reach, vmax=reach)
    for (i, j), value in np.ndenumerate(values):
        dark = abs(value) > 0.7 * reach
        text = f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    ax.set(xticks=[], yticks=[], title=name, xlabel="partner v")
axes[0].set_ylabel("anchor u")
figure.colorbar(image, ax=axes, label="nats", shrink=0.8)
spread = max(np.ptp(offset, axis=1).max() for offset in offsets)
apart = np.abs(runs[0][1] - runs[1][1]).max()
assert spread < 1e-5 and np.ptp(offsets[0][:, 0]) > 0.1 and apart > 0.1 and abs(runs[0][0] - runs[1][0]) < 1e-12
show(
    figure,
    "The log ratio is learned, with an offset for each anchor that nothing fixes",
    f"Four 4 by 4 tables: the true log ratio, two learned critics, and the difference of the first from the truth. "
    f"In each row "
    f"that difference is constant to {spread:.0e}; the four constants are "
    f"{', '.join(f'{v:.2f}' for v in offsets[0][:, 0])}. The two "
    f"critics differ by up to {apart:.2f} and have the same loss, {runs[0][0]:.6f} nats. Exact expectations, K = 3.",
)

# %% [markdown]
# **What follows in practice.** Scores of different anchors cannot be compared: "anchor 3 scores 0.9 with its best
# match, and anchor 8 scores 0.7" says nothing about which match is better. The binary loss fixes these offsets, the
# ranking loss does not. (With a cosine for a critic the offsets are not quite free: a cosine cannot be shifted.)
#
# **So far:** the best critic knows the log of the density ratio, up to an offset for each anchor.
# Next: how large is the loss that is left, and what does it say?
#
# ### How much information does it show?
#
# The mutual information I(u; v) is the mean of the log ratio: how much knowing u tells about v. It is exactly log K minus
# the least loss L*, plus a gap Δ: how well a list of candidates betrays that a partner is hidden in it.

# %%
display(M["mutual information"], M["what is left out"], M["information, split exactly"])

# %% [markdown]
# This is an equation, not a bound. Three things follow at once.

# %%
display(M["the gap is no less than zero"], M["the bound"], M["the ceiling"])

# %% [markdown]
# In numbers, for more and more candidates:

# %%
rows, shown = [], []
for count in range(1, 7 if FULL else 6):
    lists, weights = lists_of(joint, count)
    value = math.log(count + 1) - float(expected_loss(truth, joint, lists, weights))
    shown.append(value)
    rows.append([count + 1, f"{math.log(count + 1):.4f}", f"{value:.4f}", f"{information(joint) - value:.4f}"])
assert (np.diff(shown) > 0).all() and shown[-1] < information(joint)
times_K = [(k + 2) * (information(joint) - value) for k, value in enumerate(shown)]
assert max(times_K) / min(times_K) < 1.06  # what is left out falls like 1/K
print(f"the world of the tables above; I = {information(joint):.4f} nats; best critic, exact expectations")
table(["K", "ceiling log K", "log K − loss", "left out"], rows)

# %% [markdown]
# More candidates leave less out, about like 1/K: in this world there is little information, far below the ceiling. Now
# a world with much of it: pairs of Gaussian vectors with 20 coordinates and the correlation ρ in each. Here the
# information is known, and so is the best critic, the log ratio of the two densities.

# %%
DIMENSIONS, SAMPLES = 20, 400 if FULL else 100
KS = (2, 8, 64, 512, 2048)
rng = np.random.default_rng(4)
x, noise = rng.standard_normal((2, SAMPLES, DIMENSIONS))
strangers = rng.standard_normal((SAMPLES, max(KS) - 1, DIMENSIONS), dtype=np.float32)
size_of_strangers = np.einsum("nkd,nkd->nk", strangers, strangers).astype(float)
beside_x = np.einsum("nkd,nd->nk", strangers, x.astype(np.float32)).astype(float)


def ratio_of(product, size, size_of_x, rho):
    """log p(y | x)/p(y) from x·y, ‖y‖² and ‖x‖²."""
    spread = 1 - rho**2
    distance = size - 2 * rho * product + rho**2 * size_of_x  # ‖y − ρx‖²
    return -0.5 * DIMENSIONS * math.log(spread) - distance / (2 * spread) + size / 2


def estimates(rho):
    """For each K: log K − loss of each sample."""
    y = rho * x + math.sqrt(1 - rho**2) * noise
    own = ratio_of((x * y).sum(axis=1), (y * y).sum(axis=1), (x * x).sum(axis=1), rho)
    others = ratio_of(beside_x, size_of_strangers, (x * x).sum(axis=1)[:, None], rho)
    return {K: math.log(K) - mc.losses.ranking_nce(own, others[:, : K - 1], reduction="none") for K in KS}


true_information = np.array([0.05, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16.6])
rhos = np.sqrt(1 - np.exp(-2 * true_information / DIMENSIONS))
found = [estimates(rho) for rho in rhos]

# %%
figure, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
colors = plt.matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(KS)))
for K, color in zip(KS, colors):
    mean = np.array([at[K].mean() for at in found])
    error = np.array([1.96 * at[K].std(ddof=1) / math.sqrt(SAMPLES) for at in found])
    ax.fill_between(true_information, mean - error, mean + error, color=color, alpha=0.2, lw=0)
    ax.plot(true_information, mean, color=color, marker=".", label=f"K = {K}")
    ax.axhline(math.log(K), color=color, ls=":", lw=1)
    ax.text(16.8, math.log(K) + 0.08, f"log {K}", color=color, fontsize=8.5)
    assert all(at[K].max() <= math.log(K) + 1e-12 for at in found)  # sample by sample
    assert mean[-1] > 0.97 * math.log(K)  # saturated
    assert (mean <= true_information + 2 * error + 1e-3).all()
ax.plot([0, 9], [0, 9], color=RED, lw=1)
ax.text(8.2, 8.6, "the truth", color=RED, ha="right")
ax.set(xlabel="true information I (nats)", ylabel="estimate log K − loss (nats)", xlim=(0, 18.6), ylim=(-0.3, 9.2))
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
last = {K: found[-1][K].mean() for K in KS}
assert math.exp(true_information[-1]) > 1e7 and last[2048] < 0.5 * true_information[-1]
show(
    figure,
    "Whatever the truth is, K candidates show at most log K nats of it",
    f"Estimate against true information for Gaussian pairs in {DIMENSIONS} dimensions, best critic, {SAMPLES} "
    "samples, seed 4, bands of 95 %. Each curve follows the diagonal and then bends to its ceiling log K. "
    f"At I = {true_information[-1]:g} nats: "
    + ", ".join(f"K = {K}: {value:.3f} (log K = {math.log(K):.3f})" for K, value in last.items())
    + ".",
)

# %% [markdown]
# At the right end of the figure the critic is perfect and the estimate is wrong by more than half. To show I nats one
# would need at least e to the I candidates: here more than ten million. McAllester & Stratos (2020) show that no
# estimate that is a bound with high confidence can do much better.
#
# **So far:** log K − loss is a lower bound of the information, and it stops at log K.
# It was shown for independent negatives, and NT-Xent has none.
#
# ### And NT-Xent?
#
# The bound needs negatives that are independent of the anchor and of each other. The 2N − 2 negatives of NT-Xent come
# in pairs. Drop one view of each pair, and N candidates are left: the views opposite the anchor. $\ell^{\mathrm{opp}}_i$
# is the loss of view i among them alone.

# %%
display(M["fewer rivals, smaller loss"], M["the safe constant"])

# %% [markdown]
# What was **executed** here is N = 2: log 2 − loss is at most I. For any N there is an **argument**: for the N candidates
# opposite the bound above holds, with K = N, and dropping candidates only makes the loss smaller. So for NT-Xent,
# **log N − loss** is safe. It has 2N − 1 candidates, though, and one is tempted to write log(2N − 1) −
# loss. Is that a bound too? Let us look at random worlds with N = 2, and the best critic that descent finds in each.
# There are two kinds: worlds in which both views are made by the same recipe, so that p(u, v) = p(v, u), as in SimCLR;
# and worlds in which first and second views look different, as an image and its caption do.


# %%
def nt_xent_loss(F, joint):
    """Expected NT-Xent of two images, with the critic F: both views of the first image are the anchor in turn."""
    u, v, a, b = np.indices((len(joint),) * 4).reshape(4, -1)
    of_u = mc.logsumexp(mc.stack([F[u, v], F[u, a], F[u, b]]), axis=0) - F[u, v]
    of_v = mc.logsumexp(mc.stack([F[v, u], F[v, a], F[v, b]]), axis=0) - F[v, u]
    return mc.sum((of_u + of_v) * joint[u, v] * joint[a, b]) / 2


worlds = 24 if FULL else 8
rng = np.random.default_rng(5)
kinds = {"same recipe": [], "different looks": []}
for kind, seen in kinds.items():
    for _ in range(worlds):
        world = rng.dirichlet(np.full(9, rng.choice([0.2, 0.5, 1.0]))).reshape(3, 3) + 1e-9
        world = world + world.T if kind == "same recipe" else world
        world /= world.sum()
        least, _ = descend(lambda F, world=world: nt_xent_loss(F, world), 0.1 * rng.normal(size=(3, 3)))
        seen.append((information(world), math.log(2) - least, math.log(3) - least))
    kinds[kind] = np.array(seen).T

figure, axes = plt.subplots(1, 2, figsize=(10, 3.9), sharex=True, sharey=True, layout="constrained")
for ax, (kind, (truths, safe, tempting)) in zip(axes, kinds.items()):
    above = int((tempting > truths + 1e-6).sum())
    over, error = tempting > truths + 1e-6, tempting - truths
    ax.axhline(0, color=GREY, lw=1)
    ax.plot(truths, safe - truths, "o", color=BLUE, ms=5, label="log N − loss")
    ax.plot(truths[~over], error[~over], "s", color=ORANGE, mfc="none", label="log(2N − 1) − loss, at most I")
    ax.plot(truths[over], error[over], "D", color=RED, ms=6, mec="white", mew=0.7, label="log(2N − 1) − loss, above I")
    ax.set(xlabel="true information I (nats)", title=f"{kind}: log(2N − 1) − loss is above I in {above} of {worlds}")
    assert (safe <= truths + 1e-9).all() and (above == 0) == (kind == "same recipe")
axes[0].set_ylabel("estimate − I (nats)")
axes[1].legend(frameon=False, loc="lower left")
exceeds = int((kinds["different looks"][2] > kinds["different looks"][0] + 1e-6).sum())
show(
    figure,
    "log N is safe; log(2N − 1) is not where first and second views look different",
    f"Estimate minus true information, from the least NT-Xent loss of two images in {worlds} random worlds of each "
    f"kind, 3 by 3, seed 5. log 2 − loss lies "
    f"below the true "
    f"information in all of them. log 3 − loss lies below it in all worlds with one recipe, and above it in "
    f"{exceeds} of {worlds} with "
    "different looks (filled), by up to "
    f"{(kinds['different looks'][2] - kinds['different looks'][0]).max():.3f} nats.",
)

# %% [markdown]
# With one recipe for both views it held in every world that we tried. That is an **observation**, not a theorem: the
# usual proof does not cover negatives in pairs. With views that look different it is simply false, and one can see why:

# %%
M["the tempting constant"]

# %% [markdown]
# **So far:** for NT-Xent use log N − loss; log(2N − 1) can overstate.
# That was all of the derivation; now play with it.
#
# ## Play
#
# Three logits. Move the shift and watch which number moves. Then press *Best shift for binary*: no shift is better for
# the binary loss, and still it is the larger one. What do the three σ add up to there, and why? (The derivation knows:
# see below.)

# %%
three_bars()

# %%
D["where binary is best"]

# %% [markdown]
# ## Build
#
# Each starter below is wrong in an instructive way: read the report, mend the function, run again. `report.hint(1)`,
# `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("info_nce"))


# %%
def info_nce(queries, keys, queue, temperature):
    candidates = np.concatenate([keys, queue])
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    candidates = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    scores = queries @ candidates.T / temperature
    top = scores.max(axis=0)
    log_p = scores - top - np.log(np.exp(scores - top).sum(axis=0))
    return -np.diag(log_p).mean()


mc.course.check("info_nce", info_nce)

# %% [markdown]
# In NT-Xent nobody notices this mistake. There the score matrix is symmetric, and so are the positives: rows and
# columns give the same loss. Here the queries ask and the candidates answer, and the two directions are two losses.

# %%
rng = np.random.default_rng(6)
z = rng.standard_normal((8, 4))
u = z / np.linalg.norm(z, axis=1, keepdims=True)
square = np.where(np.eye(8, dtype=bool), -np.inf, u @ u.T / 0.5)
partner = (np.arange(8) + 4) % 8
across = [float(mc.cross_entropy(s, partner)) for s in (square, square.T)]
one_way = [float(mc.losses.info_nce(a, b, 0.5)) for a, b in ((z[:4], z[4:]), (z[4:], z[:4]))]
for name, (by_rows, by_columns) in [("NT-Xent", across), ("InfoNCE", one_way)]:
    print(f"{name} by rows {by_rows:.4f}, by columns {by_columns:.4f}")
assert abs(across[0] - across[1]) < 1e-12 and abs(one_way[0] - one_way[1]) > 0.01

# %%
print(mc.course.describe("gaussian_mi"))


# %%
def gaussian_mi(x, y, negatives, rho):
    def critic(x, y):
        return ((y**2 - (y - rho * x) ** 2 / (1 - rho**2)) / 2 - np.log(1 - rho**2) / 2).sum(axis=-1)

    scores = np.concatenate([critic(x, y)[:, None], critic(x[:, None], negatives)], axis=1)
    top = scores.max(axis=1)
    loss = (top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - scores[:, 0]).mean()
    return -x.shape[1] / 2 * np.log(1 - rho**2), np.log(negatives.shape[1]) - loss


mc.course.check("gaussian_mi", gaussian_mi)

# %%
print(mc.course.describe("cross_entropy_readings"))


# %%
def cross_entropy_readings(scores, temperature):
    g = scores / temperature
    softplus = lambda x: np.logaddexp(0, x)
    two = softplus(g[1] - g[0])
    binary = softplus(-g[0]) + softplus(g[1:]).sum()
    categorical = softplus(g[1:] - g[0]).sum()
    return two, binary, categorical


mc.course.check("cross_entropy_readings", cross_entropy_readings)

# %% [markdown]
# ## Break
#
# Somebody measures the information between two things that have nothing to do with each other: u and v are independent
# random vectors. The truth is 0 nats. The code trains a critic uᵀWv and reports a "lower bound" of more than 3 nats.
# Each formula in it is right. Find the fault.


# %%
def in_batch(W, u, v):
    """InfoNCE with the critic uᵀWv: each row must find its partner among all partners."""
    return mc.cross_entropy(u @ W @ v.T, np.arange(len(u)))


rng = np.random.default_rng(7)
count, width = 64, 32
u, v = rng.standard_normal((2, count, width))  # independent: I = 0
W = np.zeros((width, width))
for _ in range(200):
    _, (slope,) = mc.value_and_grad(lambda W: in_batch(W, u, v), W)
    W = W - 0.5 * slope
bound = math.log(count) - float(in_batch(W, u, v))
print(f"reported lower bound: {bound:.2f} nats, ceiling {math.log(count):.2f}")
assert bound > 3

# %% [markdown]
# <details><summary>The fault</summary>
#
# The bound holds for pairs that the critic has not seen. Here the critic was trained on the very pairs that it is
# judged by, and W has enough numbers in it to learn 64 pairs by heart. On new pairs the same critic shows nothing; it
# is far worse than no critic at all, because it is sure of itself. The next cell does it.
# </details>

# %%
fresh = [math.log(count) - float(in_batch(W, *rng.standard_normal((2, count, width)))) for _ in range(40)]
print(f"on 40 fresh batches: {np.mean(fresh):.1f} nats on average, at most {max(fresh):.1f}")
assert max(fresh) < 0

# %% [markdown]
# ## Check yourself
#
# 1. You train NT-Xent with N = 128 images. How much information can the loss show at most, safely?
# 2. Someone adds 3 to all scores of anchor 5. What happens to the ranking loss of the batch, and what to the binary
#    one?
# 3. A colleague reports an InfoNCE estimate of 4.3 nats with K = 64. What do you say?

# %%
grid = np.random.default_rng(8).standard_normal((8, 8))
lifted = grid + 3 * (np.arange(8) == 5)[:, None]
target = np.arange(8)
rank_change = float(mc.cross_entropy(lifted, target) - mc.cross_entropy(grid, target))
yes_no = lambda s: float(mc.binary_cross_entropy_with_logits(s, np.eye(8), reduction="sum"))
print(f"1. log 128 = {math.log(128):.2f} nats; log 255 = {math.log(255):.2f} is false where views look different")
print(f"2. ranking changes by {abs(rank_change):.0e}, binary by {yes_no(lifted) - yes_no(grid):.2f} nats")
print(f"3. that there is a mistake: the ceiling is log 64 = {math.log(64):.2f}; did they leave the positive out below?")
assert abs(rank_change) < 1e-12 and yes_no(lifted) - yes_no(grid) > 1 and math.log(64) < 4.3

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. what a shift of 5 changes",
            guess["A"],
            f"binary alone: {losses[0][0]:.2f} → {losses[5][0]:.2f}; ranking stays at {losses[5][1]:.2f}",
        ],
        ["B. InfoNCE with 512 candidates at I = 16.6", guess["B"], f"{last[512]:.2f}, which is log 512"],
        ["C. 7 more for one anchor", guess["C"], "it stays: the offset of a row is free"],
    ],
    left=3,
)

# %% [markdown]
# ## What the article said
#
# | claim | verdict | decided by |
# |---|---|---|
# | S60: merging the two binary terms and introducing τ gives NT-Xent | **wrong**: their sum is the binary loss, which is larger, changes under a shift, and has another gradient. Right is: condition on exactly one positive, or derive by ranking | *The step that fails* and step 5; asserted again below |
# | S66: InfoNCE comes from maximising mutual information, and is formally the same as the contrastive loss | under conditions: the same form, with the critic cos/τ and the batch for candidates. It comes from density ratios; the information is a lower bound that stops at log K, and for NT-Xent the safe constant is log N (log(2N − 1) can overstate). That more information makes better features is not part of it (Tschannen et al. 2020 show that it need not) | *How much information does it show?*; below |
# | S67: for binary classification, cross-entropy and contrastive loss are formally the same | under conditions, and one must say which of three readings is meant. Not true of the margin loss of Hadsell et al. | the three identities below |

# %%
# S60: four checks that the two losses are not one
names = ("merge the two binary terms", "binary is larger", "binary does not notice a shift", "the slopes agree")
assert all(D[name].passed for name in names)
right_way = ("5 condition on exactly one", "5 the constant cancels", "6 posterior of the place")
assert all(D[name].passed for name in right_way)
for name in (*names, *right_way):
    verdict = "FALSE, and it failed" if D[name].statement.kind == "FALSE" else "true"
    print(f"{verdict:22}{name}: {D[name].outcome.measure}")

# %%
# S66: the same form; then what differs
rng = np.random.default_rng(9)
N, tau = 6, 0.3
z = rng.standard_normal((2 * N, 5))
u = z / np.linalg.norm(z, axis=1, keepdims=True)
g = u @ u.T / tau  # the critic: logits
partner = (np.arange(2 * N) + N) % (2 * N)
rivals = np.array([[g[i, k] for k in range(2 * N) if k not in (i, partner[i])] for i in range(2 * N)])
as_ranking = float(mc.losses.ranking_nce(g[np.arange(2 * N), partner], rivals))
as_nt_xent = float(mc.losses.nt_xent(z[:N], z[N:], tau))
opposite = float(mc.losses.info_nce(z[:N], z[N:], tau, symmetric=True))
print(f"NT-Xent {as_nt_xent:.6f} = ranking among 2N − 1 {as_ranking:.6f} > among the N views opposite {opposite:.6f}")
assert abs(as_nt_xent - as_ranking) < 1e-12 and opposite < as_nt_xent
assert M["the bound"].passed and M["the ceiling"].passed and M["the safe constant"].passed
assert all(abs(last[K] - math.log(K)) < 0.03 * math.log(K) for K in KS)  # 16.6 nats, and log K is shown

# %%
# S67: three readings of "the same as cross-entropy", and one loss that is none of them
g_p, g_n = rng.standard_normal((2, 7)) / tau
two = mc.losses.ranking_nce(g_p, g_n[:, None]) - mc.binary_cross_entropy_with_logits(g_p - g_n, np.ones(7))

own, others = rng.standard_normal(7), rng.standard_normal((7, 4))
log_q, noise_log_q = -rng.random(7), -rng.random((7, 4))
logits = np.concatenate([(own - log_q)[:, None], others - noise_log_q], axis=1) - math.log(4)
labels = np.zeros((7, 5))
labels[:, 0] = 1  # data
bce = mc.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / 7
nce = mc.losses.nce(own, others, log_q, noise_log_q) - bce

places = np.array([[k for k in range(2 * N) if k != i] for i in range(2 * N)])
right = (places == partner[:, None]).argmax(axis=1)
classes = mc.cross_entropy(np.take_along_axis(g, places, axis=1), right) - as_nt_xent
far = mc.losses.contrastive(np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([False]))
for text, value in [
    ("one positive, one negative: binary cross-entropy of the difference", two),
    ("binary NCE: binary cross-entropy with labels data and noise", nce),
    ("NT-Xent: categorical cross-entropy with 2N − 1 classes", classes),
]:
    print(f"{text:68} difference {abs(float(value)):.0e}")
    assert abs(float(value)) < 1e-12
print(f"margin loss of a negative beyond the margin: {float(far)}, which no cross-entropy of finite scores can be")
assert float(far) == 0.0
