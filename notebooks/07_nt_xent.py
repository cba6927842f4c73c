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
# # 07 · NT-Xent: derivation, gradient, implementation
#
# Take N images, make two views of each, and turn all 2N views into vectors. NT-Xent asks each view the same question:
# *which of the other 2N − 1 vectors is the other view of your image?* That is the whole loss. It is one line of algebra,
# and it is easy to get wrong: the index, the mask, the temperature, the gradient. In this notebook you build it, prove
# it, and learn to recognise a wrong version by the numbers that it gives.
#
# **When you are through, you can**
#
# - say which entries of the matrix of similarities are positives, which are negatives, and which are neither;
# - write the loss in four equal forms, and choose the one that is safe in float32;
# - derive its gradient, with the half that most hand-written versions lose;
# - test an implementation by known answers, without a second implementation;
# - tell from the value at collapse which mistake was made.
#
# **You need** notebooks 00 to 02. Notebook 06 says where the loss comes from.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch
from scipy.optimize import minimize
from scipy.stats import t as student

import minicl as mc
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, circle_forces, show, style, table
from minicl.viz.circle_forces import forces

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
SEEDS = 10 if FULL else 5
style()

D = mc.derivations.ALL["nt_xent"]
FORMS = mc.derivations.ALL["nt_xent_forms"]
KNOWN = mc.derivations.ALL["known_answers"]

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** An untrained network maps all 128 images of a batch to one and the same vector. What is the loss: log 255,
#   log 256, log 128, or 0?
# - **B.** View i stands in its own loss, as the anchor, and in the losses of all other views, as a candidate. Which share
#   of its gradient comes from the losses of the *others*: nearly none, about half, or nearly all?
# - **C.** All embeddings are made ten times longer. What happens to the loss, and what to its gradient?
# - **D.** You compare an implementation with the right value on one batch, to six digits, at τ = 1. How many of the wrong
#   versions that the grader of this notebook knows get past that test: none, about a quarter, or most?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %% [markdown]
# ## Derive
#
# ### One question, asked 2N times
#
# An embedding is divided by its length; the score of two embeddings is then their inner product, a cosine. Each formula
# below belongs to an object that has tried it on a hundred random batches and on nasty ones; the small print says what
# came out. These letters come up (each is defined where it is first used):
#
# | letter | what it is |
# |---|---|
# | $N$ | number of images; there are $2N$ views |
# | $z_i$, $u_i$ | embedding of view $i$, and the same divided by its length |
# | $s_{ik}$, $\tau$ | score of two views, a cosine; temperature |
# | $j(i)$ | partner of view $i$: the other view of its image |
# | $\ell_i$, $\mathcal{L}$ | loss of one anchor; NT-Xent, their mean |
# | $P_{ik}$, $Y_{ik}$ | probability that anchor $i$ picks candidate $k$; 1 at the partner, else 0 |
# | $G_{ik}$, $g_i$ | slope of the loss in a score, and in a unit vector |
# | LSE, softplus | log of a sum of exponentials; softplus(x) = log(1 + eˣ) |

# %%
display(D["unit vector"], D["score"], D["loss of one anchor"], D["NT-Xent"])

# %% [markdown]
# The quotient in the loss is a softmax over the candidates. The right answer has a name too:

# %%
display(D["candidates"], D["probability of a candidate"], D["target"])

# %% [markdown]
# So anchor i has 1 positive and 2N − 2 negatives, and the pair (i, i) is **neither**. Now for the bookkeeping. There are
# two ways to store 2N views, and both are in use:
#
# - *stacked*: all first views, then all second views. The partner of row i is row i + N, counted around the end;
# - *interleaved*: the two views of an image are neighbours. This is how the paper and the article number them.


# %%
def batch_of_pairs(n, d, spread, rng):
    """Two noisy copies of n random directions."""
    images = rng.standard_normal((n, d))
    return tuple(images + spread * rng.standard_normal((n, d)) for _ in range(2))


def cosines(rows):
    u = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return u @ u.T


N = 4
z1, z2 = batch_of_pairs(N, 8, 0.5, np.random.default_rng(1))
ORDERS = {  # the rows, and the partner of each row
    "stacked": (np.concatenate([z1, z2]), (np.arange(2 * N) + N) % (2 * N)),
    "interleaved": (np.stack([z1, z2], axis=1).reshape(2 * N, -1), np.arange(2 * N) ^ 1),
}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.6), layout="constrained")
value = {}
for ax, (name, (rows, partner)) in zip(axes, ORDERS.items()):
    s = cosines(rows)
    value[name] = float(mc.nt_xent(rows, temperature=0.5, layout=name))
    kind = np.zeros((2 * N, 2 * N), int)  # 0: negative, 1: positive, 2: neither
    kind[np.arange(2 * N), partner] = 1
    kind[np.diag_indices(2 * N)] = 2
    image = ax.imshow(np.where(kind == 2, np.nan, s), cmap="PuOr", vmin=-1, vmax=1)
    for (i, k), what in np.ndenumerate(kind):
        if what == 1:
            ax.add_patch(plt.Rectangle((k - 0.46, i - 0.46), 0.92, 0.92, fill=False, ec=GREEN, lw=3))
        text = "✗" if what == 2 else f"{round(s[i, k], 1) + 0:.1f}".replace("-", "−")
        ax.text(k, i, text, ha="center", va="center", fontsize=7.5, color=GREY if what == 2 else "white" if abs(s[i, k]) > 0.7 else "black")
    names = (
        [f"{k + 1}{p}" for p in ("", "′") for k in range(N)] if name == "stacked" else [f"{k + 1}{p}" for k in range(N) for p in ("", "′")]
    )
    ax.set_xticks(range(2 * N), names)
    ax.set_yticks(range(2 * N), names)
    ax.set(title=f"{name}: L = {value[name]:.4f}", xlabel="candidate k", ylabel="anchor i")
    counts = [int((kind == what).sum()) for what in range(3)]
    assert counts == [2 * N * (2 * N - 2), 2 * N, 2 * N] and (partner[partner] == np.arange(2 * N)).all()
figure.colorbar(image, ax=axes, label="cosine", shrink=0.8)
assert abs(value["stacked"] - value["interleaved"]) < 1e-14
mixed_up = float(mc.nt_xent(ORDERS["interleaved"][0], temperature=0.5, layout="stacked"))
assert mixed_up > value["stacked"] + 1
show(
    figure,
    "The storage order moves the positives; the loss stays, as long as the index fits the order",
    f"Two 8 by 8 matrices of cosines of four images in two views. In each row one entry is framed, the positive, and one is "
    f"crossed out, the anchor itself. Stacked: the frames lie four places beside the diagonal. Interleaved: next to it. "
    f"Both give a loss of {value['stacked']:.4f}. The index of one order on rows of the other gives {mixed_up:.4f}.",
)
print(f"rows interleaved, index of the stacked order: L = {mixed_up:.4f}")

# %% [markdown]
# **So far.** Each of 2N views is an anchor once; the loss is −log of the probability that it picks its partner.
# One partner, 2N − 2 negatives, and never itself; the order of storage is free if the index fits it.
#
# ### Does the sum end at N or at 2N?
#
# The article lets the sum in the denominator end at N, and lets N count the images when it takes the mean. To the letter
# this means: the candidates are the first N of 2N views. For half of the anchors the partner is then not among the
# candidates. What is left is no probability, and its minus logarithm can be negative.

# %%
display(D["the sum to N, to the letter"], D["the sum ends at N"])

# %%
rows, partner = ORDERS["interleaved"]  # as the article numbers them
logits = cosines(rows) / 0.5
terms, literal, right = [], [], []
for i in range(2 * N):
    upto = [k for k in range(N) if k != i]
    everyone = [k for k in range(2 * N) if k != i]
    terms.append(len(upto))
    literal.append(math.log(sum(math.exp(logits[i, k]) for k in upto)) - logits[i, partner[i]])
    right.append(math.log(sum(math.exp(logits[i, k]) for k in everyone)) - logits[i, partner[i]])
figure, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
places = np.arange(2 * N)
ax.bar(places - 0.2, literal, 0.38, color=[RED if x < 0 else ORANGE for x in literal])
ax.bar(places + 0.2, right, 0.38, color=BLUE)
ax.axhline(0, color="black", lw=0.8)
ax.set_xticks(places, [f"anchor {i + 1}\n{t} terms" for i, t in enumerate(terms)])
ax.set(ylabel="loss of the anchor (nats)", title="N = 4 images, τ = 0.5, views numbered (1, 2), (3, 4), ...")
legend = {"sum to N, as printed": ORANGE, "the same, where it is negative": RED, "sum to 2N": BLUE}
ax.legend(handles=[Patch(color=color, label=label) for label, color in legend.items()], frameon=False)
negative = sum(x < 0 for x in literal)
assert terms == [3, 3, 3, 3, 4, 4, 4, 4] and negative >= 2 and min(right) > 0
assert all(x > 0 for x in literal[:4])  # here the partner is in the sum
assert abs(np.mean(right) - value["interleaved"]) < 1e-12
show(
    figure,
    "With a sum that ends at N, some “minus logs of a probability” are negative",
    f"The loss of each of eight anchors, twice. Sum to N: {', '.join(f'{x:.2f}' for x in literal)}, {negative} of them negative, with 3 or 4 "
    f"terms in the denominator. Sum to 2N, with 7 terms: {', '.join(f'{x:.2f}' for x in right)}, all positive.",
)

# %% [markdown]
# **So far.** The denominator has 2N − 1 terms, the partner among them, so each loss is −log of a probability.
# With a sum to N half of the partners are missing, and the loss can be negative.
#
# ### Four ways to write it
#
# The quotient is how one *thinks* of the loss. It is not how one *computes* it.

# %%
display(FORMS["a probability"], FORMS["a log-sum-exp"], FORMS["a cross-entropy"])

# %%
display(FORMS["a comparison"], FORMS["a softplus"], FORMS["one image"])

# %% [markdown]
# At τ = 0.005 a logit can be 200, and float32 ends at $e^{88.7}$. Here is one batch in float32 and three ways to compute
# its loss: the quotient as written; with *one* maximum subtracted from all rows; with the maximum of *each* row.


# %%
def as_written(s, partner):
    e = np.exp(s)
    return -np.log(e[np.arange(len(s)), partner] / e.sum(1)).mean()


def one_maximum(s, partner):
    return as_written(s - s.max(), partner)


def maximum_of_each_row(s, partner):
    top = s.max(1, keepdims=True)
    return (np.log(np.exp(s - top).sum(1)) + top[:, 0] - s[np.arange(len(s)), partner]).mean()


hard1, hard2 = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
hard2[0, 0] = -1  # one broken pair
rows, partner = np.concatenate([hard1, hard2]), np.array([3, 4, 5, 0, 1, 2])
found = {}
for tau in (0.5, 0.05, 0.005):
    s = np.where(np.eye(6, dtype=bool), -np.inf, rows @ rows.T / tau).astype(np.float32)
    with np.errstate(all="ignore"):
        for way in (as_written, one_maximum, maximum_of_each_row):
            found[way.__name__, tau] = float(way(s, partner))
exact = {tau: float(mc.nt_xent(rows.astype(float), temperature=tau)) for tau in (0.5, 0.05, 0.005)}
assert not np.isfinite(found["as_written", 0.005]) and not np.isfinite(found["one_maximum", 0.005])
assert all(abs(found["maximum_of_each_row", t] - x) < 1e-6 * x for t, x in exact.items())
table(
    ["in float32", *(f"τ = {tau}" for tau in exact)],
    [
        [way.__name__.replace("_", " "), *(f"{found[way.__name__, tau]:.6g}" for tau in exact)]
        for way in (as_written, one_maximum, maximum_of_each_row)
    ]
    + [["exact", *(f"{x:.6g}" for x in exact.values())]],
)

# %% [markdown]
# The softplus form says what the loss compares. Softplus is the *logistic loss*. So the article's step "maximise the
# difference between the positive logit and all negative logits by the logistic loss" is right in one reading: the partner
# against the **log-sum-exp** of the negatives. It is wrong in the other: one logistic loss for each negative.

# %%
display(
    FORMS["from below: the hardest negative"], FORMS["from above: a sum over negatives"], FORMS["a sum of logistic losses"],
)  # fmt: skip

# %%
rng = np.random.default_rng(2)
draws = rng.uniform(-1, 1, (2000 if FULL else 500, 7)) / rng.choice([0.1, 0.2, 0.5, 1.0], (2000 if FULL else 500, 1))
gaps = draws[:, 1:] - draws[:, :1]  # negative minus partner
softplus = np.logaddexp(0, gaps)
loss = np.logaddexp(0, np.logaddexp.reduce(gaps, axis=1))
above, below = softplus.sum(1) / loss, softplus.max(1) / loss
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(loss, above, ".", ms=3, color=ORANGE, label="sum of the six logistic losses")
ax.plot(loss, below, ".", ms=3, color=BLUE, label="the largest of them")
ax.axhline(1, color="black", lw=1, label="the loss itself")
ax.set(xscale="log", yscale="log", xlabel="NT-Xent of the anchor (nats)", ylabel="divided by the loss", ylim=(0.12, 8))
ax.set_yticks([0.2, 0.5, 1, 2, 5], [0.2, 0.5, 1, 2, 5])
ax.minorticks_off()
ax.set_title(f"{len(loss)} random anchors with six negatives, seed 2, τ from 0.1 to 1")
ax.legend(frameon=False, markerscale=3)
assert (below < 1).all() and (above > 1).all()
show(
    figure,
    "The loss lies strictly between the largest logistic loss and the sum of all",
    f"{len(loss)} random anchors, both bounds divided by the loss. The sum of the logistic losses is 1 to {above.max():.1f} times the loss, "
    f"and nearly the loss where that is small; the largest one is {below.min():.2f} to 1 times the loss. None of the points reaches 1.",
)

# %% [markdown]
# **So far.** Log-sum-exp is the form to compute with, the maximum taken from each row; softplus says what is compared.
# The partner stands against all negatives taken as one, not against each of them alone.
#
# ### Is the partner in the denominator?
#
# Yes. This is the most frequent question about the loss in public code, since many texts, the article among them, say
# that the denominator sums "over all negatives". That is another loss, the decoupled one (DCL).

# %%
display(D["the decoupled loss"], D["the sum is over the negatives"], D["the decoupled loss is never negative"])

# %% [markdown]
# How do the two losses pull and push? Remember $P_{i\,j(i)}$, the probability that anchor i picks its partner.

# %%
D["the decoupled loss pulls and pushes harder"]

# %% [markdown]
# The factor is the same for all candidates: the forces of DCL are $1/(1 - P_{i\,j(i)})$ times as large. Once an anchor has
# found its partner, NT-Xent lets go, and DCL does not.

# %%
TAU = 0.4
angles = np.radians([0, 70, 160, 250])  # four images in the plane; their second views are a little off
others = angles + np.radians([25, 15, -20, 10])
rows = np.stack([np.cos([*angles, *others]), np.sin([*angles, *others])], axis=1)
s = rows @ rows.T
logits = np.where(np.eye(8, dtype=bool), -np.inf, s / TAU)
P = np.exp(logits - logits.max(1, keepdims=True))
P /= P.sum(1, keepdims=True)
anchor, mate = 0, 4
push = (P[anchor] - (np.arange(8) == mate)) / TAU  # ∂ℓ/∂s of NT-Xent
without = np.where(np.arange(8) == mate, 0, P[anchor])
push_dcl = (without / without.sum() - (np.arange(8) == mate)) / TAU
order = [k for k in np.argsort(-s[anchor]) if k != anchor]
names = [f"{k % 4 + 1}{'′' if k > 3 else ''}" for k in range(8)]
figure, (left, right_ax) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", width_ratios=[1.5, 1])
places = np.arange(len(order))
left.bar(places - 0.2, push[order], 0.38, color=[GREEN if k == mate else RED for k in order])
left.bar(places + 0.2, push_dcl[order], 0.38, color=[GREEN if k == mate else RED for k in order], alpha=0.4)
left.axhline(0, color="black", lw=0.8)
left.set_xticks(places, [f"{names[k]}\n{s[anchor, k]:.2f}".replace("-", "−") for k in order])
left.set(
    xlabel="candidate, and its cosine with the anchor",
    ylabel="∂ℓ/∂s (positive: pushed away)",
    title=f"anchor 1, τ = {TAU}",
)
swatches = [tuple(Patch(color=color, alpha=alpha) for color in (GREEN, RED)) for alpha in (1, 0.4)]
left.legend(
    swatches, ["NT-Xent: partner, negatives", "DCL: partner, negatives"],
    handler_map={tuple: HandlerTuple(ndivide=None)}, handlelength=3, loc="lower right", frameon=False,
)  # fmt: skip
taus = np.geomspace(0.05, 2, 40)
pair = np.array([[1.0, 0], [-1, 0]])
ours, theirs = (np.array([float(f(pair, pair, t)) for t in taus]) for f in (mc.losses.nt_xent, mc.losses.dcl))
right_ax.semilogx(taus, ours, color=BLUE, label="NT-Xent")
right_ax.semilogx(taus, theirs, color=ORANGE, label="DCL")
right_ax.axhline(0, color="black", lw=0.8)
right_ax.set(xlabel="temperature τ", ylabel="loss (nats)", title="two aligned pairs, opposite")
right_ax.legend(frameon=False)
factor = push_dcl[order] / push[order]
at_tenth = float(mc.losses.dcl(pair, pair, 0.1))
assert np.abs(factor * (1 - P[anchor, mate]) - 1).max() < 1e-10 and abs(push.sum()) < 1e-12
assert ours.min() >= 0 and theirs.min() < -30 and abs(at_tenth + 19.3) < 0.1
show(
    figure,
    "Without the partner in the denominator all forces grow by one factor, and the floor is gone",
    f"Left: how the loss of one anchor depends on each of its seven cosines. The partner is pulled with {-push[mate]:.2f}; "
    f"the nearest negative gets {push[order[1]]:.2f} of push, the furthest {push[order[-1]]:.1g}. All bars of DCL are "
    f"{factor[0]:.2f} times as long. Right: loss of two aligned, opposite pairs against temperature. NT-Xent stays "
    f"above 0; DCL is {at_tenth:.1f} at τ = 0.1 and falls without end.",
)

# %% [markdown]
# **So far.** The partner belongs in the denominator: it gives the loss its floor, and lets it ease off when it is done.
# Without it one has DCL, a loss of its own: the same directions of pull and push, and no floor.
#
# ### Only differences count
#
# Four things that leave the loss as it is. The first two say what it does *not* see: lengths, and where the cloud of
# points as a whole is turned. The last says that there is no such thing as a good similarity in itself. The article says
# that the loss "maximises the similarity of positives and minimises that of *all* negatives". It compares them.

# %%
display(D["lengths do not count"], D["rotations do not count"])

# %%
display(D["order does not count"], D["a constant in all scores of an anchor does not count"])

# %% [markdown]
# **So far.** The loss sees directions, and of them differences of cosines within each row, and nothing else.
# Each of the four is a test that needs no second implementation.
#
# ### The gradient
#
# Step one, the loss by the scores. This is the slope of a cross-entropy: the probability P minus the target Y of the
# first section, and two factors.

# %%
display(D["slope in a score"], D["gradient in a score"])

# %% [markdown]
# Step two, the scores by the unit vectors. Here is the place where most hand-written gradients go wrong. View i meets the
# others twice: in its own loss, as the **anchor**, and in their losses, as a **candidate**.

# %%
display(D["as an anchor"], D["as a candidate"], D["pull on a unit vector"], D["gradient in a unit vector"])

# %% [markdown]
# As matrices: $\partial\mathcal{L}/\partial U = (G + G^\top)\,U$. Two tempting shortcuts fail. (Left and right stand for all
# four views, two numbers each, one view after the other.)

# %%
display(D["the anchor's half alone"], D["twice the anchor's half"])

# %% [markdown]
# Step three, the unit vectors by the embeddings: the Jacobian of the normalisation. It projects, and divides by the length.

# %%
display(
    D["Jacobian of the normalisation"], D["gradient in an embedding"], D["gradient without the projection"],
)  # fmt: skip

# %% [markdown]
# Three consequences, each worth a test of its own:

# %%
display(
    D["nothing along z"], D["longer vectors turn more slowly"], D["a plain step makes each vector longer"],
)  # fmt: skip

# %% [markdown]
# minicl has three witnesses for this gradient that share no code: the engine, the closed form above in plain loops, and
# measured slopes. torch is the fourth where it is installed.

# %%
witnesses = mc.verify.compare("nt_xent", torch=False)
assert witnesses.passed
witnesses

# %% [markdown]
# How much is lost with the candidate's half? The direction stays nearly right, so training still works, only at about
# half the step. This is why nobody notices, and it is what happens too when embeddings are gathered from several
# machines *without* gradient.


# %%
def halves(z1, z2, tau):
    """The gradient with respect to the unit vectors: the anchors' part, and the candidates' part."""
    z = np.concatenate([z1, z2])
    u, n = z / np.linalg.norm(z, axis=1, keepdims=True), len(z)
    logits = np.where(np.eye(n, dtype=bool), -np.inf, u @ u.T / tau)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    g = (p - np.eye(n)[(np.arange(n) + n // 2) % n]) / (n * tau)
    project = lambda du: du - u * (u * du).sum(1, keepdims=True)
    return project(g @ u), project(g.T @ u)


def interval(values):
    """Mean and half-width of the 95 % interval over seeds."""
    values = np.asarray(values)
    return values.mean(), student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))


taus = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
ratio, angle = {}, {}
for tau in taus:
    pairs = [halves(*batch_of_pairs(64, 16, 0.5, np.random.default_rng(seed)), tau) for seed in range(SEEDS)]
    ratio[tau] = interval([np.linalg.norm(a) / np.linalg.norm(a + c) for a, c in pairs])
    angle[tau] = interval([(a * (a + c)).sum() / np.linalg.norm(a) / np.linalg.norm(a + c) for a, c in pairs])
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for found, color, label in ((angle, GREEN, "cosine with the gradient"), (ratio, RED, "length, as a share of the gradient's")):
    middle, width = np.array(list(found.values())).T
    ax.errorbar(taus, middle, width, color=color, marker="o", ms=4, capsize=3, label=label)
ax.axhline(0.5, color=GREY, ls=":", lw=1)
ax.set(xscale="log", ylim=(0, 1.05), xlabel="temperature τ", ylabel="the anchor's half alone")
ax.set_title(f"noisy pairs of N = 64 images in 16 dimensions; mean and 95 % interval over {SEEDS} seeds")
ax.set_xticks(taus, taus)
ax.minorticks_off()
ax.legend(frameon=False, loc="lower right")
assert all(angle[t][0] > 0.98 for t in taus[1:]) and angle[0.05][0] < 0.97 and all(0.45 < ratio[t][0] < 0.65 for t in taus)
show(
    figure,
    "The anchor's half alone has about half the length of the gradient, and nearly its direction",
    "Cosine with the whole gradient and share of its length against temperature. "
    + "; ".join(f"τ = {t}: cosine {angle[t][0]:.3f}, length {ratio[t][0]:.2f}" for t in taus)
    + ". At low temperature the direction suffers.",
)

# %% [markdown]
# On the circle an embedding has one degree of freedom, its angle, and the gradient can be drawn. One view of image 1 is
# free below; the other five stay. At each place of the free view the arrow shows where the loss pushes it.

# %%
start = np.radians([0, 80, 250, 30, 110, 290])  # first views, then second views
tau = 0.3
turn = np.linspace(0, 2 * np.pi, 181)


def at_angle(a):
    return np.array([a, *start[1:]])


def loss_at(a):
    return float(forces(at_angle(a), tau)[0].mean())


curve = np.array([loss_at(a) for a in turn])
force = np.array([forces(at_angle(a), tau)[1][0] for a in turn])
measured = -np.array([(loss_at(a + 1e-5) - loss_at(a - 1e-5)) / 2e-5 for a in turn])
figure, (left, right_ax) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=[1, 1.35])
left.add_patch(plt.Circle((0, 0), 1, fill=False, ec=GREY))
best = float(np.degrees(turn[curve.argmin()]))
for a in np.radians(best + np.arange(12, 360, 24)):
    f = 0.42 * forces(at_angle(a), tau)[1][0] / np.abs(force).max()
    tail = 1.2 * np.array([np.cos(a), np.sin(a)])
    tip = tail + f * np.array([-np.sin(a), np.cos(a)])
    left.plot(*tail, ".", ms=4, color=RED)
    left.annotate("", xy=tip, xytext=tail, arrowprops={"arrowstyle": "-|>", "color": RED, "lw": 1.2, "shrinkA": 0, "shrinkB": 0})
at_rest = np.array([np.cos(np.radians(best)), np.sin(np.radians(best))])
left.plot(*at_rest, "*", ms=15, color="black", zorder=3)
left.text(*(1.27 * at_rest), "rest", va="center", weight="bold")
right_ax.plot(best, curve.min(), "*", ms=13, color="black", zorder=3)
right_ax.annotate("rest", (best, curve.min()), (-6, 8), textcoords="offset points", ha="right", weight="bold")
left.text(0.72, 0.46, "partner", color=BLUE, ha="right", va="center", weight="bold")
for k, a in enumerate(start[1:], start=1):
    color = (BLUE, ORANGE, "#7048E8")[k % 3]
    name = f"{k % 3 + 1}{'′' if k > 2 else ''}"
    left.plot(np.cos(a), np.sin(a), "o", ms=15, color=color)
    left.text(np.cos(a), np.sin(a), name, ha="center", va="center", color="white", fontsize=9, weight="bold")
    right_ax.axvline(np.degrees(a), color=color, lw=1, ls=":")
    right_ax.text(np.degrees(a), curve.max() * 1.06, name, color=color, ha="center", weight="bold")
left.set(aspect="equal", xlim=(-1.55, 1.55), ylim=(-1.55, 1.55), xticks=[], yticks=[], title="force −∂L/∂θ on view 1, at 15 places (dots)")
left.spines[:].set_visible(False)
right_ax.plot(np.degrees(turn), curve, color=BLUE, label="loss L")
right_ax.plot(np.degrees(turn), force, color=RED, label="force −∂L/∂θ")
right_ax.axhline(0, color="black", lw=0.8)
right_ax.set(xlabel="angle of view 1 (degrees)", ylabel="nats, and nats per radian", title=f"five views stay, τ = {tau}")
right_ax.set_ylim(None, 1.16 * curve.max())
right_ax.legend(frameon=False, loc="lower right")
assert np.abs(force - measured).max() < 1e-8
assert 5 < best < 25  # beside its partner at 30°, away from image 2 at 80° and 110°
show(
    figure,
    "The force always points downhill, and comes to rest near the partner, on the side away from the crowd",
    f"Left: a circle with five fixed views and 15 arrows that lead from both sides to the star, "
    f"where view 1 rests, beside its partner 1′. Right: the loss against the angle of view 1; it is "
    f"least at {best:.0f}°, the partner is at 30°. The force is minus its slope: it agrees with measured slopes to "
    f"{np.abs(force - measured).max():.0e}.",
)

# %% [markdown]
# **So far.** The gradient is probability minus target, carried to both views of each score, projected, and divided by the
# length. Lose the candidates' half, and the direction stays nearly right at about half of the length.
#
# ### Known answers
#
# Some batches are so regular that their loss can be written down. They are the best first tests of an implementation:
# they need no second one that might share the mistake. Look at the value at collapse above all: log(2N − 1).
# Each value holds for one kind of batch alone, which stands in brackets.

# %%
display(KNOWN["collapse"], KNOWN["orthogonal images"], KNOWN["regular simplex"])

# %%
display(KNOWN["regular polygon"], KNOWN["one broken pair"])

# %% [markdown]
# The simplex is the best that any embedding can do. It is tempting to put its negatives at −1:

# %%
display(KNOWN["the simplex is the best"], KNOWN["negatives at −1"])


# %%
def lse(a, b):
    return np.logaddexp(a, b)


def polygon_corners(n):
    return np.stack([np.cos(2 * np.pi * np.arange(n) / n), np.sin(2 * np.pi * np.arange(n) / n)], axis=1)


def broken_pair(n):
    second = np.eye(n)
    second[0, 0] = -1
    return np.eye(n), second


CONFIGURATIONS = {  # both views of n images, and the closed value at temperature t
    "one image": (lambda n: (np.ones((1, 3)), np.eye(3)[:1]), lambda n, t: 0.0),
    "collapse": (lambda n: (np.ones((n, 3)), np.ones((n, 3))), lambda n, t: math.log(2 * n - 1)),
    "orthogonal images": (lambda n: (np.eye(n), np.eye(n)), lambda n, t: math.log1p((2 * n - 2) * math.exp(-1 / t))),
    "regular simplex": (lambda n: (n * np.eye(n) - 1,) * 2, lambda n, t: math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * t)))),
    "regular polygon": (
        lambda n: (polygon_corners(n),) * 2,
        lambda n, t: math.log1p(2 * sum(math.exp((math.cos(2 * math.pi * m / n) - 1) / t) for m in range(1, n))),
    ),
    "one broken pair": (
        broken_pair,
        lambda n, t: (2 * (lse(-1 / t, math.log(2 * n - 2)) + 1 / t) + (2 * n - 2) * (lse(1 / t, math.log(2 * n - 2)) - 1 / t)) / (2 * n),
    ),
}
n, rows, taus = 5, [], np.geomspace(0.05, 3, 30)
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for (name, (views, closed)), color in zip(CONFIGURATIONS.items(), [GREY, RED, ORANGE, GREEN, BLUE, "#7048E8"]):
    exact = np.array([closed(n, t) for t in taus])
    computed = np.array([float(mc.nt_xent(*views(n), t)) for t in taus])
    residual = np.abs(computed - exact).max()
    assert residual < 1e-12 * max(1, exact.max())
    rows.append([name, f"{closed(n, 0.5):.6f}", f"{float(mc.nt_xent(*views(n), 0.5)):.6f}", f"{residual:.0e}"])
    ax.plot(taus, exact, color=color, label=name)
    ax.plot(taus[::3], computed[::3], ".", color=color, ms=7)
ax.axhline(math.log(2 * n), color="black", lw=0.8, ls=":")
ax.text(3, math.log(2 * n) + 0.03, "log 2N: what collapse gives without a mask", ha="right", fontsize=8)
ax.set(xscale="log", ylim=(-0.05, 4), xlabel="temperature τ", ylabel="NT-Xent (nats)")
ax.set_title(f"N = {n} images; lines: closed values, dots: computed from embeddings")
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
show(
    figure,
    "Six batches whose loss is known at every temperature",
    f"Loss against temperature. Collapse stays at log {2 * n - 1} = {math.log(2 * n - 1):.3f} at every temperature; aligned "
    "pairs fall to 0 at low temperature, the simplex fastest; one broken pair costs more the lower the "
    "temperature. Dots computed from embeddings lie on the lines of the closed values.",
)
table(["batch, N = 5", "closed value at τ = 0.5", "computed", "largest residual, τ from 0.05 to 3"], rows)

# %% [markdown]
# Random starts, and descent to the end, agree that the simplex is the best. And look where the negatives end: at cosine
# −1/(N − 1). From three images on that is not −1, since three vectors cannot all be opposite to each other; two can.

# %%
n, d, tau = 4, 3, 0.5


def value_and_slope(flat):
    z = flat.reshape(2, n, d)
    loss, (g1, g2) = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, tau), z[0], z[1])
    return float(loss), np.concatenate([g1.ravel(), g2.ravel()])


starts = [np.random.default_rng(seed).standard_normal(2 * n * d) for seed in range(3)]
to_the_end = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-10}
ends = [minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=to_the_end) for start in starts]
floor = CONFIGURATIONS["regular simplex"][1](n, tau)
s = cosines(ends[0].x.reshape(2 * n, d))
negatives = s[~(np.eye(2 * n, dtype=bool) | (np.arange(2 * n)[:, None] == (np.arange(2 * n) + n) % (2 * n)))]
print("after descent from three starts:", ", ".join(f"{end.fun:.9f}" for end in ends))
print(f"the simplex:                     {floor:.9f}")
print(f"cosines of negatives: from {negatives.min():.4f} to {negatives.max():.4f}; −1/(N − 1) = {-1 / (n - 1):.4f}")
assert all(-1e-12 < end.fun - floor < 1e-6 for end in ends) and np.abs(negatives + 1 / 3).max() < 1e-2

# %% [markdown]
# **So far.** Five kinds of batch have a loss that can be written down; collapse gives log(2N − 1) at every temperature.
# No batch gets below the simplex, whose negatives have cosine −1/(N − 1).
#
# ### Collapse
#
# At collapse every view pulls along the one common direction, and the projection takes exactly that away. So the gradient
# is zero, although the loss is far from its floor.

# %%
D["collapse is a critical point"]

# %% [markdown]
# A critical point, but no trap: the smallest disturbance grows.

# %%
n, steps, rate = 8, 120, 4.0
runs = {}
for size in (0.0, 1e-12, 1e-6):
    z = np.zeros((2 * n, 3))
    z[:, 0] = 1
    z = z + size * np.random.default_rng(0).standard_normal(z.shape)
    path = []
    for _ in range(steps):
        loss, (g,) = mc.value_and_grad(lambda z: mc.nt_xent(z, temperature=0.5), z)
        path.append(float(loss))
        z = z - rate * g
    runs[size] = np.array(path)
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for (size, path), color in zip(runs.items(), [RED, BLUE, GREEN]):
    ax.plot(path, color=color, label=f"disturbed by {size:g}")
ax.axhline(math.log(2 * n - 1), color=GREY, ls=":", lw=1)
ax.set(
    xlabel="step of gradient descent",
    ylabel="NT-Xent (nats)",
    title=f"N = {n} free embeddings in 3 dimensions, τ = 0.5, step {rate:g}, seed 0",
)
ax.legend(frameon=False)
left_at = {size: int(np.argmax(path < math.log(2 * n - 1) - 0.1)) for size, path in runs.items()}
assert np.abs(runs[0.0] - math.log(2 * n - 1)).max() < 1e-12
assert 0 < left_at[1e-6] < left_at[1e-12] < steps and runs[1e-12][-1] < 1.5
show(
    figure,
    "Descent stays at collapse only if the collapse is exact",
    f"Loss against steps. Without disturbance it stays at log {2 * n - 1} = {math.log(2 * n - 1):.3f} for all {steps} steps. "
    f"A disturbance of 1e-12 leaves it at step {left_at[1e-12]}, one of 1e-6 at step {left_at[1e-6]}; both end near {runs[1e-12][-1]:.2f}.",
)

# %% [markdown]
# **So far.** At exact collapse the gradient is zero; next to it, it is not, and descent leaves.
# A loss that is frozen at **log(2N − 1)** says: collapse (or too small a step). Frozen at **log(2N)**: look for the mask.
#
# ## Play
#
# Six views of three images on a circle. Drag one, and watch the forces on all.
#
# 1. Batch "a batch", τ = 0.5, then τ = 0.05: what happens to the probabilities of the anchor, and to the forces?
# 2. Move view 1 right onto its partner. Is its force zero? Why not? (The text below the picture has two parts.)
# 3. Batch "collapse, nearly": press "50 steps" until it leaves.
# 4. Find a batch whose loss is larger than at collapse.

# %%
circle_forces()

# %% [markdown]
# ## Build
#
# Three stages, and at the end a test of your own. Each starter is wrong in an instructive way: read the report, mend
# the function, run again. `report.hint(1)`, `.hint(2)` and `.hint(3)` say more and more.

# %%
print(mc.course.describe("nt_xent"))

# %% [markdown]
# **Stage 1: loops.** Say it as the formula says it, one anchor after the other.


# %%
def nt_xent_loops(z1, z2, temperature):
    z = [*z1, *z2]
    total = 0.0
    for i in range(len(z)):
        score = [z[i] @ z[k] / np.linalg.norm(z[i]) / np.linalg.norm(z[k]) / temperature for k in range(len(z))]
        j = (i + len(z1)) % len(z)
        total += math.log(sum(math.exp(x) for x in score)) - score[j]
    return total / len(z)


report = mc.course.check("nt_xent", nt_xent_loops)
report

# %% [markdown]
# **Stage 2: one matrix, and safe.** All scores at once. The version below is right at τ = 0.5, and not at τ = 0.005.


# %%
def nt_xent_matrix(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    n = len(u)
    s = u @ u.T / temperature
    s[np.diag_indices(n)] = -np.inf
    s = s - s.max()
    e = np.exp(s)
    return -np.log(e[np.arange(n), np.arange(n) - n // 2] / e.sum(axis=1)).mean()


report = mc.course.check("nt_xent", nt_xent_matrix)
report

# %% [markdown]
# **Stage 3: the gradient by hand.**

# %%
print(mc.course.describe("nt_xent_gradient"))


# %%
def nt_xent_gradient(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    size = np.linalg.norm(z, axis=1, keepdims=True)
    u, n = z / size, len(z)
    s = u @ u.T / temperature
    s[np.diag_indices(n)] = -np.inf
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    p[np.arange(n), np.arange(n) - n // 2] -= 1
    du = p @ u / (n * temperature)
    dz = (du - u * (u * du).sum(axis=1, keepdims=True)) / size
    return dz[: n // 2], dz[n // 2 :]


report = mc.course.check("nt_xent_gradient", nt_xent_gradient)
report

# %% [markdown]
# ### How good is the test?
#
# A test is worth what it rejects. The grader knows many wrong versions of the loss; here each of them meets each test.
# One line is special. Somebody took the softmax over the **columns** instead of the rows. That looks like a mistake, and
# is none: the matrix of scores is symmetric, and so is the relation "is the partner of". No test can reject it, and none
# should. (For a loss with queries and keys, as in notebook 06, it *is* a mistake.)


# %%
def along_columns(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u, n = z / np.linalg.norm(z, axis=1, keepdims=True), len(z)
    s = np.where(np.eye(n, dtype=bool), -np.inf, (z / np.linalg.norm(z, axis=1, keepdims=True)) @ u.T / temperature)
    top = s.max(axis=0)
    return (np.log(np.exp(s - top).sum(axis=0)) + top - s[np.arange(n) - n // 2, np.arange(n)]).mean()


wrong_versions = {mistake.name: mistake.function for mistake in mc.course.EXERCISES["nt_xent"].mistakes}
reports = {name: mc.course.check("nt_xent", f) for name, f in {**wrong_versions, "softmax over columns": along_columns}.items()}
GROUPS = {
    "one value, τ = 1": lambda row: False,
    "known answers": lambda row: row.tier == "T1",
    "invariances": lambda row: row.tier == "T2" and "does not change" in row.name,
    "no side effects": lambda row: row.tier == "T2" and "does not change" not in row.name,
    "low temperature": lambda row: row.tier == "T4",
    "all": lambda row: True,
}
q1, q2 = np.random.default_rng(0).uniform(0.1, 1, (2, 2, 3))  # two images, positive entries


def passes_one_value(f):
    try:
        with np.errstate(all="ignore"):
            return bool(abs(f(q1.copy(), q2.copy(), 1.0) - float(mc.nt_xent(q1, q2, 1.0))) < 1e-6)
    except Exception:
        return False


rejected = np.zeros((len(reports), len(GROUPS)), dtype=bool)
for i, (name, report) in enumerate(reports.items()):
    for j, belongs in enumerate(GROUPS.values()):
        rejected[i, j] = any(row.required and not row.passed and belongs(row) for row in report.tests)
    rejected[i, 0] = not passes_one_value(wrong_versions.get(name, along_columns))
figure, ax = plt.subplots(figsize=(10, 14), layout="constrained")
shade = rejected + 0.0
shade[-1] = np.nan  # no colour: this one is right
ax.imshow(shade, cmap=plt.matplotlib.colors.ListedColormap(["#FCE8EF", "#E6F4EA"]), aspect="auto", vmin=0, vmax=1)
count = len(wrong_versions)
for (i, j), good in np.ndenumerate(rejected):
    text, color = ("passes, rightly", BLUE) if i == count else ("rejected", GREEN) if good else ("✗ passes", RED)
    ax.text(j, i, text, ha="center", va="center", fontsize=10.5, color=color)
missed = dict(zip(GROUPS, (~rejected[:count]).sum(axis=0).tolist()))
ax.set_xticks(range(len(GROUPS)), [f"{group}\nmisses {n} of {count}" for group, n in missed.items()], fontsize=10)
ax.set_yticks(range(len(reports)), reports, fontsize=10.5)
ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
ax.spines[:].set_visible(False)
assert missed["all"] == 0 and not rejected[-1].any() and reports["softmax over columns"].passed
assert 0.15 < missed["one value, τ = 1"] / count < 0.35 and all(missed[g] > 0 for g in list(GROUPS)[1:-1])
named = sum(reports[name].diagnosis[0].name == name for name in wrong_versions)
assert named == count
show(
    figure,
    f"No kind of test rejects all {count} wrong versions; together they do, and each is named",
    ". ".join(f"{group}: {n} of {count} wrong versions pass" for group, n in missed.items())
    + ". The last line, the softmax over columns, passes everything: it is right.",
)

# %% [markdown]
# What each of the wrong versions does, and how many of the five kinds of test reject it:

# %%
table(
    ["name", "an implementation that ...", "rejected by"],
    [
        [f"`{mistake.name}`", mistake.says, f"{rejected[i, :-1].sum()} of 5"]
        for i, mistake in enumerate(mc.course.EXERCISES["nt_xent"].mistakes)
    ],
    left=2,
)

# %% [markdown]
# ### A test of your own
#
# Now change sides: you write the test, and it is graded **by mutation**. It gets 4 right losses and 21 wrong ones. The
# starter knows two of the closed values above, which is two more than most tests of this loss. What is never different
# in its two batches?

# %%
print(mc.course.describe("nt_xent_test"))


# %%
def nt_xent_test(loss):
    equal, orthogonal = np.ones((3, 2)), np.eye(3)
    at_collapse = loss(equal, equal, 0.5)
    aligned = loss(orthogonal, orthogonal, 0.5)
    return bool(abs(at_collapse - math.log(5)) < 1e-9 and abs(aligned - math.log1p(4 * math.exp(-2))) < 1e-9)


report = mc.course.check("nt_xent_test", nt_xent_test)
report

# %% [markdown]
# ## Break
#
# Five implementations, A to E, each with one fault. The code is in the next cell; **do not look**. Read the numbers
# instead: a known answer tells what was done. Write your diagnosis into `diagnosis`, then run on.


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def one_of_five(letter, z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u, n = z / np.linalg.norm(z, axis=1, keepdims=True), len(z)
    s, partner = u @ u.T / temperature, (np.arange(n) + n // 2) % n
    positive = s[np.arange(n), partner]
    itself, is_partner = np.eye(n, dtype=bool), np.eye(n, dtype=bool)[partner]
    out = {"A": is_partner | itself, "B": itself & False, "C": itself, "D": itself, "E": itself}[letter]
    if letter == "C":
        half = n // 2
        out = np.kron(np.eye(2, dtype=bool), np.ones((half, half), dtype=bool))
    with np.errstate(divide="ignore"):
        losses = np.log(np.where(out, 0, np.exp(s)).sum(1)) - positive
        return {"D": lambda x: -np.log(np.exp(-x).mean()), "E": lambda x: x.sum() / len(z1)}.get(letter, np.mean)(losses)


FAULTS = {
    "A": "partner missing from the denominator",
    "B": "self-pair not masked",
    "C": "views of the other kind alone",
    "D": "mean before the logarithm",
    "E": "divided by N, not by 2N",
}


# %%
def number(x):
    return f"{round(float(x), 4) + 0:.4f}".replace("-inf", "−∞").replace("-", "−")


n, tau = 3, 0.5
asked = {name: (views(n), closed(n, tau)) for name, (views, closed) in CONFIGURATIONS.items() if name != "regular polygon"}
answers = {letter: {name: one_of_five(letter, *views, tau) for name, (views, _) in asked.items()} for letter in FAULTS}
table(
    [f"N = {n}, τ = {tau}", "right", *FAULTS],
    [[name, number(closed), *(number(answers[letter][name]) for letter in FAULTS)] for name, (_, closed) in asked.items()],
)

# %% [markdown]
# The values of a few logarithms may help: log 2 = 0.6931, log 3 = 1.0986, log 4 = 1.3863, log 5 = 1.6094, log 6 = 1.7918.
# The five faults, in another order: *self-pair not masked; divided by N, not by 2N; views of the other kind alone; mean
# before the logarithm; partner missing from the denominator.*

# %%
diagnosis = {"A": "?", "B": "?", "C": "?", "D": "?", "E": "?"}

# %%
at_collapse = {letter: answers[letter]["collapse"] for letter in FAULTS}
expected = {"A": math.log(4), "B": math.log(6), "C": math.log(3), "D": math.log(5), "E": 2 * math.log(5)}
assert all(abs(at_collapse[letter] - expected[letter]) < 1e-12 for letter in FAULTS)
assert abs(answers["D"]["one broken pair"] - asked["one broken pair"][1]) > 0.1  # right wherever all anchors have one loss
assert all(abs(answers["D"][name] - closed) < 1e-12 for name, (_, closed) in asked.items() if name != "one broken pair")
assert not any(all(abs(answers[letter][name] - closed) < 1e-6 for name, (_, closed) in asked.items()) for letter in FAULTS)
table(["", "your diagnosis", "given away by"], [
    ["A", diagnosis["A"], f"collapse gives {at_collapse['A']:.4f} = log 4 = log(2N − 2)"],
    ["B", diagnosis["B"], f"collapse gives {at_collapse['B']:.4f} = log 6 = log 2N, and one image gives {answers['B']['one image']:.4f} in place of 0"],
    ["C", diagnosis["C"], f"collapse gives {at_collapse['C']:.4f} = log 3 = log N"],
    ["D", diagnosis["D"], "right wherever all anchors have the same loss; too low at the broken pair"],
    ["E", diagnosis["E"], "everything is exactly twice the right value"],
], left=3)  # fmt: skip

# %% [markdown]
# <details><summary>The faults</summary>
#
# A: the partner is missing from the denominator (DCL). B: the self-pair is not masked. C: each view is compared with
# views of the other kind alone, as in CLIP. D: the mean is taken before the logarithm. E: the sum is divided by N.
# </details>
#
# ## Check yourself
#
# 1. A training run with 128 images per batch is stuck at 5.545. What do you look for? And if it were stuck at 5.541?
# 2. Somebody reports an NT-Xent of −0.7. What do you say?
# 3. At collapse, how much does the loss grow when the batch is doubled from 128 to 256 images?

# %%
print(f"1. log 256 = {math.log(256):.3f}: a self-pair that is not masked. log 255 = {math.log(255):.3f}: collapse, with a right mask.")
print("2. that it is another loss: a minus log of a probability is not negative. The partner is missing from the denominator.")
print(f"3. by log 511 − log 255 = {math.log(511 / 255):.4f}: losses of different batch sizes cannot be compared")
assert round(math.log(256), 3) == 5.545 and round(math.log(255), 3) == 5.541

# %% [markdown]
# Your guesses beside the answers:

# %%
small = batch_of_pairs(6, 8, 0.5, np.random.default_rng(3))
value_1, grad_1 = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), *small)
value_10, grad_10 = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), *(10 * z for z in small))
anchor_half, candidate_half = halves(*batch_of_pairs(64, 32, 0.7, np.random.default_rng(0)), 0.5)
share = (candidate_half * (anchor_half + candidate_half)).sum() / ((anchor_half + candidate_half) ** 2).sum()
assert abs(value_1 - value_10) < 1e-12 and np.abs(10 * grad_10[0] - grad_1[0]).max() < 1e-12 and 0.4 < share < 0.6
ones = np.ones((128, 4))
assert abs(float(mc.nt_xent(ones, ones)) - math.log(255)) < 1e-12
table(
    ["question", "your guess", "computed"],
    [
        ["A. loss at collapse, N = 128", guess["A"], f"log 255 = {math.log(255):.3f}"],
        ["B. share of the gradient that comes from the others' losses", guess["B"], f"about half: {share:.0%} here"],
        ["C. embeddings ten times longer", guess["C"], "the loss stays, the gradient is a tenth"],
        ["D. wrong versions that pass one value at τ = 1", guess["D"], f"about a quarter: {missed['one value, τ = 1']} of {count}"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim, in our words | verdict | decided by |
# |---|---|---|
# | S17, S61: the denominator sums over k = 1 … N | wrong index: it must be 2N where N counts images | *Does the sum end at N or at 2N?* |
# | S18: $z_i$ and $z_j$ represent two samples | imprecise: they are outputs of the projection head for two *views* of one sample | the model that notebook 09 trains: encoder and head, cell 1 below |
# | S19: sim is the cosine $u^\top v/(\Vert u\Vert\,\Vert v\Vert)$ | true for vectors that are not zero; at zero a library must say what it does | cell 1 below |
# | S20: τ is a temperature hyper-parameter | true; and without it the loss cannot get low | cell 1 below; notebook 08 |
# | S21, S62: the denominator sums over all negative pairs | wrong: it holds the partner too. Without it one has DCL | *Is the partner in the denominator?* |
# | S22, S63: positives are made as similar, and all negatives as dissimilar, as possible | imprecise: only differences count, near negatives are pushed most, and the optimum has them at −1/(N − 1) | *Only differences count*; *Known answers* |
# | S23: by minimising the loss the model learns useful features | under conditions: a low loss does not imply it | cell 2 below |
# | S35: positive against all negatives “by the logistic loss” gives NT-Xent | under conditions: the logistic loss of the partner against the log-sum-exp, not a sum of logistic losses | *Four ways to write it* |
# | S36: the steps of the algorithm, with $z = f(\tilde x)$ and the sum to N | wrong index, and the projection head is missing | as S17 and S18 |
# | S37: “the sum” of all positive-pair losses, 1/(2N) Σ [ℓ(2k−1, 2k) + ℓ(2k, 2k−1)] | the formula is true, and it is a mean; ℓ is not symmetric, so both terms are needed | cell 1 below |

# %%
# S17, S21, S22, S35 and those that repeat them: the statements above came out as stated, the FALSE ones by failing
decided = {
    "S17, S61": [D["the sum ends at N"]],
    "S21, S62": [
        D["the sum is over the negatives"],
        D["the decoupled loss is never negative"],
        D["the decoupled loss pulls and pushes harder"],
    ],
    "S22, S63": [D["a constant in all scores of an anchor does not count"], KNOWN["the simplex is the best"], KNOWN["negatives at −1"]],
    "S35": [FORMS["a softplus"], FORMS["from above: a sum over negatives"], FORMS["a sum of logistic losses"]],
}
for claim, statements in decided.items():
    print(f"{claim}:", "; ".join(f"{s.statement.kind} {s.statement.name} {'✓' if s.passed else '✗'}".strip() for s in statements))
    assert all(s.passed for s in statements)
# S18: what the loss gets are outputs of a head on top of the encoder
encoder, head = mc.nn.MLP([64, 128, 64], rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1)
h = encoder(np.zeros((3, 64)))
print("representation h:", h.shape, "   embedding z, which the loss gets:", head(h).shape)
# S19: cosine does not see lengths; a zero row has the direction 0, and a zero gradient
with_zero = np.array([[0.0, 0.0], [1.0, 2.0]])
value, (g1, _) = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), with_zero, np.array([[1.0, 0.5], [2.0, 1.0]]))
assert np.isfinite(value) and not g1[0].any() and np.isfinite(g1).all()
# S20: the floor, against collapse
floors = {t: CONFIGURATIONS["regular simplex"][1](128, t) for t in (1.0, 0.5, 0.1)}
print("N = 128: collapse", f"{math.log(255):.3f};", "best possible:", ", ".join(f"{x:.4f} at τ = {t}" for t, x in floors.items()))
assert floors[1.0] > 4.5 and floors[0.1] < 0.011
# S37: ℓ(1, 2) is not ℓ(2, 1), and the paper's formula is the mean
rows, partner = ORDERS["interleaved"]
each = np.asarray(mc.nt_xent(rows, temperature=0.5, layout="interleaved", reduction="none"))
print(f"ℓ(1, 2) = {each[0]:.4f}, ℓ(2, 1) = {each[1]:.4f}; sum / 2N = {each.sum() / (2 * N):.4f} = mean")
assert abs(each[0] - each[1]) > 1e-3
assert abs(sum(each[2 * k] + each[2 * k + 1] for k in range(N)) / (2 * N) - mc.nt_xent(z1, z2, 0.5)) < 1e-12

# %% [markdown]
# S23. Give each image a random code, and let both of its views carry it. An encoder that reads nothing but the code
# solves the task of NT-Xent perfectly and knows nothing about the image. (Chen & Li 2021 let networks learn such codes;
# here we skip the training and look at the end.)

# %%
photos = mc.data.digits("test")
images, labels = photos.images, photos.labels
view = mc.data.views.Compose([mc.data.views.RandomAffine(degrees=15, shift=0.5, scale=(0.9, 1.1)), mc.data.views.GaussianNoise(0.05)])
losses, accuracies = {"pixels": [], "code": []}, {"pixels": [], "code": []}
for seed in range(SEEDS):
    rng = np.random.default_rng(seed)
    first, second = (np.asarray(v, float).reshape(len(images), -1) for v in mc.data.two_views(images, view, rng))
    code = rng.standard_normal((len(images), 64))
    for name, (a, b) in {"pixels": (first - first.mean(0), second - second.mean(0)), "code": (code, code)}.items():
        losses[name].append(float(mc.nt_xent(a, b, 0.1)))
        accuracies[name].append(mc.evaluate.knn_leave_one_out(a, labels, k=5))
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for ax, found, unit in ((axes[0], losses, "NT-Xent at τ = 0.1 (nats)"), (axes[1], accuracies, "right by 5 nearest neighbours")):
    middle, width = zip(*map(interval, found.values()))
    ax.bar(["pixels of the view", "code of the image"], middle, yerr=width, color=[BLUE, ORANGE], capsize=4, width=0.55)
    ax.set(ylabel=unit)
axes[1].axhline(0.1, color=GREY, ls=":", lw=1)
axes[1].set(ylim=(0, 1))
assert max(losses["code"]) < min(losses["pixels"]) and max(accuracies["code"]) < 0.2 and min(accuracies["pixels"]) > 0.7
(l_p, _), (l_c, _), (a_p, _), (a_c, _) = (interval(x[k]) for x in (losses, accuracies) for k in ("pixels", "code"))
show(
    figure,
    "The lower loss has the worse features: a code that both views share is all that the loss asks for",
    f"Two embeddings of {len(images)} digits, mean and 95 % interval over {SEEDS} seeds. Pixels: loss {l_p:.2f}, accuracy {a_p:.0%}. Random code: "
    f"loss {l_c:.2f}, accuracy {a_c:.0%}, which is chance.",
)
