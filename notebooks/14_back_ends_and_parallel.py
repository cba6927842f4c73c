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
# # 14 · Back ends, performance, parallel
#
# The same loss can be computed in float32 or in float64, by a readable line or by a kernel, on a CPU or on a GPU, by one
# process or by a hundred. Each of these is faster or smaller than another. None of it is worth anything if the number is
# another one. So this notebook asks two questions each time: **is it the same? And what does it cost?**
#
# **When you are through, you can**
#
# - tell rounding from a fault, by the size of a residual;
# - find out where the time of a training step goes, before you make anything faster;
# - say what a kernel saves that computes the same as a readable definition;
# - show that R workers compute what one process would, and find the faults that no loss curve shows;
# - predict how long a step takes on 2 to 1024 workers, and say what the prediction assumes.
#
# **You need** notebooks 07 and 12.
#
# [Predict](#Predict) · [Derive](#Derive) · [Play](#Play) · [Build](#Build) · [Break](#Break) ·
# [Check yourself](#Check-yourself) · [What the article said](#What-the-article-said)

# %%
import math
import os
import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import minicl as mc
from minicl import buffers, parallel
from minicl.losses import blocked
from minicl.parallel.cost import Costs
from minicl.parallel.ring import partner_rank
from minicl.viz import BLUE, GREEN, GREY, ORANGE, RED, cluster_steps, show, style, table

FULL = os.environ.get("MINICL_PROFILE", "fast") == "full"
BATCH = mc.derivations.ALL["large_batch"]

style()

# %% [markdown]
# ## Predict
#
# Write your guesses into the next cell **before** you go on.
#
# - **A.** NT-Xent of 256 images is computed in float32 and in float64. By which share do the two differ: about $10^{-3}$,
#   $10^{-7}$ or $10^{-16}$?
# - **B.** A small convolutional network trains with NT-Xent on batches of 128 images. Which share of a step is the loss?
# - **C.** Somebody makes that loss ten times faster. How much faster does the step get?
# - **D.** Eight workers gather their embeddings, and the gather has no gradient. How long is the gradient that is left, as a
#   share of the right one? And what does the curve of the loss look like?
# - **E.** A batch of 4096 images is spread over 1024 workers. How many times faster is a step?

# %%
guess = {"A": "?", "B": "?", "C": "?", "D": "?", "E": "?"}

# %% [markdown]
# ## Derive
#
# ### The same number from another back end
#
# Two right programs differ by rounding: each operation is right to half a unit in the last digit, and sums in another
# order round in another way. So the question is not *whether* they differ, but whether they differ by some roundings, or
# by more. The *residual* is the length of the difference, as a share of the length of the result.
#
# In minicl the **data decides** where something is computed: arrays on a GPU stay there. Here is what this machine has.

# %%
try:
    mc.to_device(np.zeros(1), "gpu")
    GPU = True
    print("There is a GPU: it is one of the back ends below.")
except RuntimeError as reason:
    GPU = False
    print("There is no GPU that can be used here, so this run compares what a CPU has: two precisions, and kernels")
    print(f"with definitions. What it was told: {reason}")

# %%
IMAGES, WIDTH, TAU = 256, 32, 0.1
rng = np.random.default_rng(0)
Z1 = rng.standard_normal((IMAGES, WIDTH))
Z2 = Z1 + 0.5 * rng.standard_normal(Z1.shape)
PHOTOS = rng.random((32, 16, 16, 1))
WEIGHTS = mc.nn.ConvNet(1, (8, 16), rng=0, dtype=np.float64)


def network(dtype, device):
    """The same weights for all."""
    net = mc.nn.ConvNet(1, (8, 16), rng=0, dtype=dtype)
    for own, given in zip(net.parameters(), WEIGHTS.parameters()):
        own.data = given.data.astype(dtype)
    return net.to(device)


def results(dtype, device, method):
    """What is compared: a list of arrays for each computation."""
    z1, z2, photos = (mc.to_device(x.astype(dtype), device) for x in (Z1, Z2, PHOTOS))
    a, b = mc.tensor(z1), mc.tensor(z2)
    loss = mc.nt_xent(a, b, TAU, method=method)
    net = network(dtype, device)
    seen = net(photos)
    return {
        "matrix product": [z1 @ z2.T],
        "log-sum-exp of its rows": [mc.logsumexp(z1 @ z2.T, axis=1)],
        "NT-Xent": [loss.data],
        "gradient of NT-Xent": mc.grad(loss, [a, b]),
        "convolutions, BatchNorm": [seen.data],
        "their gradient": mc.grad((seen**2).sum(), net.parameters()),
    }


def flat(arrays):
    return np.concatenate([mc.to_numpy(a).ravel() for a in arrays]).astype(float)


def residual(found, exact):
    """Length of the difference, as a share of the length."""
    found, exact = flat(found), flat(exact)
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


BACK_ENDS = {
    "CPU, float64, kernels": (np.float64, "cpu", "blocked", BLUE, "o"),
    "CPU, float32, definitions": (np.float32, "cpu", "composed", ORANGE, "s"),
    "CPU, float32, kernels": (np.float32, "cpu", "blocked", ORANGE, "o"),
}
if GPU:
    BACK_ENDS |= {
        "GPU, float64": (np.float64, "gpu", "blocked", BLUE, "^"),
        "GPU, float32": (np.float32, "gpu", "blocked", ORANGE, "^"),
    }
reference = results(np.float64, "cpu", "composed")
residuals = {
    name: {what: residual(found, reference[what]) for what, found in results(*how[:3]).items()}
    for name, how in BACK_ENDS.items()
}


def with_a_fault(dtype):
    """Lengths with 10⁻⁷ added to them, "so that nothing is divided by zero"."""
    z1, z2 = (mc.tensor(z.astype(dtype)) for z in (Z1, Z2))
    z, n = mc.concatenate([z1, z2]), len(Z1)
    u = z / (mc.sqrt(mc.sum(z * z, axis=1, keepdims=True)) + dtype(1e-7))
    scores = mc.where(np.eye(2 * n, dtype=bool), -np.inf, u @ u.T / TAU)
    losses = mc.logsumexp(scores, axis=1) - mc.sum(u * mc.concatenate([u[n:], u[:n]]), axis=1) / TAU
    return residual(mc.grad(losses.mean(), [z1, z2]), reference["gradient of NT-Xent"])


fault = {np.float64: with_a_fault(np.float64), np.float32: with_a_fault(np.float32)}

# %% [markdown]
# The fault in the last lines is small: it changes each length in the eighth digit. Where does it show?

# %%
figure, ax = plt.subplots(figsize=(9, 3.9), layout="constrained")
rows = list(reference)
DRAWN_AT_LEAST = 1e-17
for k, (name, (_, _, _, color, marker)) in enumerate(BACK_ENDS.items()):
    y = np.arange(len(rows)) + 0.13 * (k - len(BACK_ENDS) / 2 + 0.5)
    x = [max(residuals[name][what], DRAWN_AT_LEAST) for what in rows]
    ax.plot(x, y, marker, color=color, ms=6, mfc="none" if marker == "s" else color, label=name)
at = rows.index("gradient of NT-Xent")
for dtype, color in ((np.float64, BLUE), (np.float32, ORANGE)):
    ax.plot(fault[dtype], at + 0.33, "X", color=color, ms=9, mec="black")
    ax.axvline(np.finfo(dtype).eps, color=color, ls=":", lw=1.2)
    ax.text(np.finfo(dtype).eps, -0.75, f" ε of {dtype.__name__}", color=color, fontsize=8.5)
ax.plot([], [], "X", color="white", mec="black", ms=9, label="with a fault of 10⁻⁷ in the lengths")
ax.set_xscale("log")
ax.set_yticks(range(len(rows)), rows)
ax.set(
    xlim=(5e-18, 1e-4),
    ylim=(len(rows) - 0.4, -1),
    xlabel="residual against float64 by definition (at the left edge: the same bits)",
)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
in_units = {name: max(values.values()) / np.finfo(BACK_ENDS[name][0]).eps for name, values in residuals.items()}
assert max(in_units.values()) < 50  # some rounding units, for each back end
assert all(residuals["CPU, float32, kernels"][what] > 1e-9 for what in rows)  # and it is a comparison at all
assert fault[np.float64] > 1e6 * residuals["CPU, float64, kernels"]["gradient of NT-Xent"]
assert fault[np.float32] < 10 * residuals["CPU, float32, definitions"]["gradient of NT-Xent"]
show(
    figure,
    "Right programs differ by some rounding units; a small fault shows in float64 and hides in float32",
    "Residuals of six computations. "
    + "; ".join(
        f"{name}: at most {max(values.values()):.0e}, {in_units[name]:.1f} ε" for name, values in residuals.items()
    )
    + f". The gradient of NT-Xent with the fault: {fault[np.float64]:.0e} in float64, {fault[np.float32]:.0e} in float32.",
)

# %% [markdown]
# So tests compare in float64 and training runs in float32. And "the same" means two things. The *same call* on the same
# machine gives the same bits: that makes a run repeatable. Another *order* gives other bits, within rounding: so never
# compare with `==` across back ends.

# %%
small1, small2 = Z1.astype(np.float32), Z2.astype(np.float32)
once, again = (flat(mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, TAU), small1, small2)[1]) for _ in range(2))
order = np.random.default_rng(1).permutation(IMAGES)
moved = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, TAU), small1[order], small2[order])[1]
moved = flat([g[np.argsort(order)] for g in moved])
print("same call twice: same bits:", np.array_equal(once, again))
print(
    "images in another order: same bits:", np.array_equal(once, moved), f"    residual {residual([moved], [once]):.0e}"
)
assert np.array_equal(once, again) and not np.array_equal(once, moved) and residual([moved], [once]) < 1e-5

# %% [markdown]
# **So far.** A residual of some ε is rounding, whoever computes. A residual of $10^9$ ε in float64 is a fault, however
# harmless it looks in float32.
#
# ### Where the time goes
#
# Before anything is made faster, measure. `mc.profile()` puts a stopwatch around each operation, on the way there and on
# the way back. Here is one step of SimCLR: 128 images of 28 × 28, three convolutions, a head, NT-Xent, Adam.

# %%
CHANNELS, N = (16, 32, 64), 128
view = mc.data.views.GaussianNoise(0.1)
method = mc.train.SimCLR(
    mc.nn.ConvNet(1, CHANNELS, rng=0), mc.nn.ProjectionHead(64, 64, 32, rng=1), view, 0.2, batch_size=N
)
batch = mc.train.Batch(np.random.default_rng(0).random((N, 28, 28, 1), dtype=np.float32), None, np.arange(N))
with method.mode(training=True):
    method.step(batch)  # the first step makes room in memory; it is not counted
    runs = []
    for _ in range(5 if FULL else 3):
        with mc.profile() as measured:
            method.step(batch)
        runs.append(measured)
profile = min(runs, key=lambda run: run.seconds)
print(profile)

# %%
z = [mc.tensor(z) for z in np.random.default_rng(0).standard_normal((2, N, 32)).astype(np.float32)]
alone = []
for _ in range(5):
    with mc.profile() as of_loss:
        mc.grad(mc.nt_xent(*z, 0.2), z)
    alone.append(of_loss.seconds)
loss_share = min(alone) / profile.seconds
ops = sorted(profile.ops.items(), key=lambda item: -item[1].forward - item[1].backward)
most = ops[:6]
share = {name: (row.forward + row.backward) / profile.seconds for name, row in ops}
figure, ax = plt.subplots(figsize=(9, 3.3), layout="constrained")
names = [name for name, _ in most]
forward, back = (np.array([getattr(row, way) for _, row in most]) * 1e3 for way in ("forward", "backward"))
ax.barh(names, forward, color=BLUE, label="forward")
ax.barh(names, back, left=forward, color=ORANGE, label="backward")
others = (profile.seconds - (forward + back).sum() / 1e3) * 1e3
ax.barh(["all the rest: views, Adam, Python"], [others], color=GREY)
for k, ms in enumerate([*(forward + back), others]):
    ax.text(ms, k, f" {100 * ms / (1e3 * profile.seconds):.1f} %", va="center", fontsize=9)
ax.invert_yaxis()
ax.margins(x=0.1)
ax.set(xlabel="ms", title=f"one step, float32, one thread, the fastest of {len(runs)}")
ax.legend(frameon=False, loc="lower right")
convolutions = share["conv2d"]
assert names[0] == "conv2d" and convolutions > 0.35 and loss_share < 0.15
assert profile.ops["conv2d"].calls == len(CHANNELS) and profile.ops["lse_in_blocks"].calls == 1
show(
    figure,
    "Convolutions take most of the step; the loss hardly counts",
    "Milliseconds forward and backward: "
    + "; ".join(f"{name} {a:.1f} and {b:.1f}" for name, a, b in zip(names, forward, back))
    + f"; all the rest {others:.1f}. The loss with its gradient, by itself, takes {100 * loss_share:.1f} per cent of that time.",
)

# %% [markdown]
# Now C can be answered before anybody writes a line. If a part with share p is made s times faster, the step takes
# 1 − p + p/s of its time (Amdahl's law). The time that is left bounds what any work on that part can gain.

# %%
after = lambda p, s: 1 / (1 - p + p / s)
gain = {"the loss, 10 times faster": after(loss_share, 10), "the convolutions, 2 times faster": after(convolutions, 2)}
table(
    ["made faster", "share p of the step", "the step becomes faster by"],
    [
        ["the loss, 10 times", f"{100 * loss_share:.1f} %", f"{100 * (gain['the loss, 10 times faster'] - 1):.1f} %"],
        [
            "the convolutions, 2 times",
            f"{100 * convolutions:.0f} %",
            f"{100 * (gain['the convolutions, 2 times faster'] - 1):.0f} %",
        ],
    ],
)

# %% [markdown]
# Why do two operations on as many numbers take so different times? A number must be fetched from memory before something
# is computed with it. An addition uses it once. A product of large matrices uses it hundreds of times, out of the cache.
# So what counts is how often it is used: multiplications and additions for each byte that is moved (the *intensity*).


# %%
def seconds(f, repeats=5):
    """Of processor time, the least of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return max(min(times), 1e-7)


rng = np.random.default_rng(0)
long, out = rng.random(2**22, dtype=np.float32), np.empty(2**22, np.float32)
work = {"add": (1 / 12, len(long) / seconds(lambda: np.add(long, long, out=out)))}
for n in (16, 64, 256, 1024):
    a, b = rng.random((2, n, n), dtype=np.float32)
    many = max(1, 2**18 // n**2)  # so many products at once that the clock can see them
    taken = seconds(lambda a=a, b=b, many=many: [a @ b for _ in range(many)])
    work[f"{n} × {n}"] = (2 * n**3 / (3 * 4 * n**2), 2 * n**3 * many / taken)
figure, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
for name, (intensity, rate) in work.items():
    ax.plot(intensity, rate / 1e9, "o", ms=8, color=RED if name == "add" else BLUE)
    label = "add two long arrays" if name == "add" else f"product {name}"
    ax.annotate(
        label, (intensity, rate / 1e9), (0, 9 if "256" in name else -17), textcoords="offset points", ha="center"
    )
ax.set(
    xscale="log",
    yscale="log",
    xlim=(0.02, 800),
    ylim=(0.3, 3 * max(rate for _, rate in work.values()) / 1e9),
    xlabel="operations for each byte that is moved",
    ylabel="10⁹ operations a second",
    title="float32, one thread, least of 5",
)
rates = [rate for _, rate in work.values()]
assert rates[-1] > 5 * rates[0] and rates[-1] > 2 * rates[1]  # against the addition, and the smallest product
show(
    figure,
    "The more often a number is used once it is fetched, the more is computed in a second",
    "Operations a second against operations for each byte: "
    + "; ".join(f"{name}: {rate / 1e9:.1f} thousand million at {i:.2g}" for name, (i, rate) in work.items())
    + ".",
)

# %% [markdown]
# **So far.** Most of a step is products of matrices, and those run near what the processor can do. What can be saved lies
# in passes over memory: arrays that are written, read once, and thrown away.
#
# ### A readable definition, and a kernel beside it
#
# `mc.nt_xent` has both. `method="composed"` is the formula: the matrix of all scores, a mask, a log-sum-exp.
# `method="blocked"` makes 512 × 512 scores at a time, uses them, and forgets them. Count first: how many arrays of the size
# of all scores are written on the way there? The profile knows the bytes of each result.

# %%
rows_ = 1024  # 2N
z1, z2 = (mc.tensor(z.astype(np.float32)) for z in np.random.default_rng(0).standard_normal((2, rows_ // 2, 64)))
written = {}
for how in ("composed", "blocked"):
    with mc.profile() as counted:
        mc.nt_xent(z1, z2, TAU, method=how)
    written[how] = {name: row.bytes / (4 * rows_**2) for name, row in counted.ops.items()}
table(
    ["operation", "by definition", "kernel"],
    [
        [f"`{name}`", *(f"{written[how].get(name, 0):.2f}" for how in written)]
        for name in dict.fromkeys([*written["composed"], *written["blocked"]])
        if max(written[how].get(name, 0) for how in written) > 0.01
    ]
    + [["**matrices of (2N)² numbers**", *(f"**{sum(w.values()):.2f}**" for w in written.values())]],
)

# %% [markdown]
# Then measure: the peak of memory of the loss with its gradient, and its time. Blocks are kept for the way back as long as
# they need no more than `KEEP` = 256 MiB together; with `KEEP` = 0 they are made again, as in a batch that is larger.

# %%
LENGTHS = np.array([256, 512, 1024, 2048, *([4096] if FULL else [])])
WAYS = {
    "definition": ("composed", blocked.KEEP, RED),
    "kernel, blocks kept": ("blocked", blocked.KEEP, ORANGE),
    "kernel, blocks made again": ("blocked", 0, GREEN),
}


def peak(step):
    """Bytes that one step holds at most, beyond what was there before."""
    buffers.release()  # memory that minicl keeps to use it again would not be counted
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


memory, taken, agree = {name: [] for name in WAYS}, {name: [] for name in WAYS}, 0.0
kept = blocked.KEEP
try:
    for n in LENGTHS:
        z = [mc.tensor(z.astype(np.float32)) for z in np.random.default_rng(int(n)).standard_normal((2, n // 2, 64))]
        exact = None
        for name, (how, keep, _) in WAYS.items():
            blocked.KEEP = keep
            step = lambda z=z, how=how: mc.grad(mc.nt_xent(*z, TAU, method=how), z)
            found = step()
            exact = exact or found
            agree = max(agree, residual(found, exact))
            taken[name].append(1e3 * seconds(step, 5 if FULL else 2))
            memory[name].append(peak(step) / 2**20)
finally:
    blocked.KEEP = kept
memory, taken = ({name: np.array(v) for name, v in found.items()} for found in (memory, taken))
scores = 4 * LENGTHS**2 / 2**20
print(f"float32, largest residual between the three: {agree:.0e}")
assert agree < 1e-5

# %%
figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
for name, (_, _, color) in WAYS.items():
    ax.loglog(LENGTHS, memory[name], "o-", color=color, ms=5, label=name)
ax.loglog(LENGTHS, scores, ":", color=GREY, label="one matrix of scores")
ax.loglog(LENGTHS, 4 * 64 * LENGTHS / 2**20, "--", color=GREY, label="the embeddings")
ax.set(xlabel="rows 2N", ylabel="peak (MiB)", title="loss and gradient, 64 columns, float32, tracemalloc")
ax.set_xticks(LENGTHS, LENGTHS)
ax.minorticks_off()
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
grows = {name: m[-1] / m[-2] for name, m in memory.items()}
assert grows["definition"] > 3 and grows["kernel, blocks made again"] < 2.5
assert memory["definition"][-1] > 4 * memory["kernel, blocks kept"][-1] > 6 * memory["kernel, blocks made again"][-1]
show(
    figure,
    "By definition memory grows like N², and like N where blocks are forgotten",
    f"Peak memory at {LENGTHS[0]} to {LENGTHS[-1]} rows. "
    + "; ".join(f"{name}: " + ", ".join(f"{x:.1f}" for x in m) + " MiB" for name, m in memory.items())
    + f". From {LENGTHS[-2]} to {LENGTHS[-1]} rows: "
    + ", ".join(f"{name} {g:.1f} times" for name, g in grows.items())
    + ".",
)

# %%
figure, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
for name, (_, _, color) in WAYS.items():
    ax.loglog(LENGTHS, taken[name], "o-", color=color, ms=5, label=name)
ax.set(
    xlabel="rows 2N",
    ylabel="ms of processor time",
    title=f"loss and gradient, 64 columns, float32, one thread, least of {5 if FULL else 2}",
)
ax.set_xticks(LENGTHS, LENGTHS)
ax.minorticks_off()
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
faster = {name: taken["definition"][-1] / t[-1] for name, t in taken.items()}
assert faster["kernel, blocks kept"] > 1.5 and faster["kernel, blocks made again"] > 1.2
show(
    figure,
    "In a large batch the kernel is faster too, even if it makes each score twice",
    f"Milliseconds at {LENGTHS[0]} to {LENGTHS[-1]} rows. "
    + "; ".join(f"{name}: " + ", ".join(f"{x:.1f}" for x in t) for name, t in taken.items())
    + f". At {LENGTHS[-1]} rows the kernel is {faster['kernel, blocks kept']:.1f} times as fast as the definition, and "
    f"{faster['kernel, blocks made again']:.1f} times if it makes the blocks again.",
)

# %% [markdown]
# **So far.** The kernel computes the same numbers, with no matrix of scores. For small batches the definition is as good,
# and it can be read. Keep both, and a test that holds them together: the definition says what is right.
#
# ### R workers, one result
#
# R workers share a batch: each encodes some of the images. The loss is one loss, over all images. `parallel.nt_xent` takes
# the embeddings of *this* worker and returns the loss of *all*; its gradient is exact for this worker's rows.

# %%
display(BATCH["the whole is the sum"], BATCH["gather with gradient"])

# %% [markdown]
# No worker ever holds all embeddings. The rows travel in a ring: compare your rows with a visitor, add up what you find,
# hand the visitor on. On the way back they travel once more. With MPI the workers are processes, on one machine or on
# many; here they are threads: `parallel.simulate(R, f)` runs `f(workers)` R times and returns what each found. The program
# is the same.


# %%
def shares(n, workers, rng):
    """How many of n images each worker gets: drawn at random, at least one."""
    places = np.sort(rng.choice(np.arange(1, n), workers - 1, replace=False))
    return np.diff([0, *places, n])


def on_workers(loss_of, z1, z2, sizes):
    """Loss and gradients of the whole batch, as the workers find them together; `loss_of(z1, z2, workers)`."""
    ends = np.cumsum(sizes)

    def work(workers):
        rows = slice(ends[workers.rank] - sizes[workers.rank], ends[workers.rank])
        own = mc.tensor(z1[rows]), mc.tensor(z2[rows])
        loss = loss_of(*own, workers)
        return float(loss), mc.grad(loss, own)

    values, gradients = zip(*parallel.simulate(len(sizes), work))
    assert len(set(values)) == 1  # all of them hold the same number, to the last bit
    return values[0], [np.concatenate(g) for g in zip(*gradients)]


n, taus, counts = 60, (0.5, 0.05, 0.005), (1, 2, 3, 4, 6, 8, *((12, 16) if FULL else ()))
found = []
for tau in taus:
    for R in counts:
        for seed in range(5 if FULL else 2):
            rng = np.random.default_rng([seed, R])
            z1 = rng.standard_normal((n, 16))
            z2 = z1 + 0.5 * rng.standard_normal(z1.shape)
            sizes = shares(n, R, rng)
            loss, gradients = on_workers(lambda a, b, w, t=tau: parallel.nt_xent(a, b, t, w), z1, z2, sizes)
            exact, exact_gradients = mc.value_and_grad(
                lambda a, b, t=tau: mc.nt_xent(a, b, t, method="composed"), z1, z2
            )
            error = abs(loss - float(exact)) / float(exact), residual(gradients, exact_gradients)
            found.append((tau, R, sizes.min(), sizes.max(), *error))
found = np.array(found)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, column, what in ((axes[0], 4, "loss"), (axes[1], 5, "gradient")):
    for tau, color, shift in zip(taus, (BLUE, GREEN, ORANGE), (-0.15, 0, 0.15)):
        rows = found[:, 0] == tau
        places = [counts.index(int(R)) + shift for R in found[rows, 1]]
        ax.semilogy(places, np.maximum(found[rows, column], 1e-17), "o", ms=4, color=color, label=f"τ = {tau:g}")
    ax.axhline(np.finfo(float).eps, color=GREY, ls=":", lw=1)
    ax.set_xticks(range(len(counts)), counts)
    ax.set(xlabel="workers R", title=f"{what}: residual (at the lower edge: the same bits)", ylim=(5e-18, 1e-11))
axes[1].text(len(counts) - 0.6, 1.5e-16, "ε of float64", color=GREY, fontsize=8.5, ha="right", va="top")
axes[1].legend(frameon=False, loc="upper right", ncols=3)
largest, smallest = int(found[:, 3].max()), int(found[:, 2].min())
assert found[:, 4:].max() < 1e-12
assert smallest <= 2 and (found[:, 3] > 3 * found[:, 2]).mean() > 0.4  # the shards are uneven
show(
    figure,
    "R workers find the loss and the gradient of one process, however uneven their shards",
    f"Residuals for {', '.join(map(str, counts))} workers that hold from {smallest} to {largest} of {n} images, three temperatures, "
    f"{len(found)} batches. Loss: at most {found[:, 4].max():.0e}. Gradient: at most {found[:, 5].max():.0e}. At the lower edge: the same bits.",
)

# %% [markdown]
# The same for a whole training: `parallel.SimCLR` has BatchNorm over all workers, gives each part of a batch random numbers
# of its own, whoever computes it, and adds the gradients up. After 20 steps the parameters are those of one process.

# %%
digits = mc.data.digits("train").images[:240].astype(float)


def trained(workers):
    layers = [mc.nn.Linear(64, 32, rng=0, dtype=np.float64), mc.nn.BatchNorm1d(32, dtype=np.float64)]
    encoder = mc.nn.Sequential(mc.nn.Flatten(), *layers)
    head = mc.nn.ProjectionHead(32, 32, 16, rng=1, dtype=np.float64)
    run = parallel.SimCLR(encoder, head, view, 0.5, parts=7, workers=workers, batch_size=60, lr=1e-2)
    run.fit(digits, epochs=5, progress=False)
    return run.history["loss"], [value for _, value in sorted(run.state_dict().items())]


alone = trained(parallel.Workers())
rows, off = [["one process", *(f"{x:.12f}" for x in (alone[0][0], alone[0][-1])), "–"]], []
for R in (2, 3, 5) if FULL else (3,):
    found_by_each = parallel.simulate(R, trained)
    off += [residual(state, alone[1]) for _, state in found_by_each]
    losses = found_by_each[-1][0]
    rows.append([R, *(f"{x:.12f}" for x in (losses[0], losses[-1])), f"{off[-1]:.0e}"])
assert max(off) < 1e-9 and alone[0][-1] < alone[0][0] - 0.3
table(["workers", "mean loss, first epoch", "mean loss, fifth", "parameters and statistics: residual"], rows)

# %% [markdown]
# What does it cost to talk? Count. A worker that notes what it passes on:


# %%
class Counting(parallel.Workers):
    """Does what the given worker does, and notes the bytes of each message to its neighbour."""

    def __init__(self, workers):
        self.rank, self.size, self.others, self.sent = workers.rank, workers.size, workers, []

    def exchange(self, array):
        return self.others.exchange(array)

    def pass_on(self, array, rows):
        self.sent.append(array.nbytes)
        return self.others.pass_on(array, rows)


def messages(R, n, d):
    """Bytes of each message of one worker with n images: loss, gradient, and the rank of the partner."""

    def work(workers):
        workers = Counting(workers)
        z = [mc.tensor(z.astype(np.float32)) for z in np.random.default_rng(workers.rank).standard_normal((2, n, d))]
        mc.grad(parallel.nt_xent(*z, 0.5, workers), z)
        partner_rank(z[0].data, z[1].data, workers)
        return workers.sent

    return parallel.simulate(R, work)


rows = []
for R in (2, 4, 8):
    sent = messages(R, 16, 32)
    assert all(len(s) == 3 * (R - 1) and max(s) == 2 * 16 * (32 + 2) * 4 for s in sent)
    rows.append([R, len(sent[0]), 3 * (R - 1), max(sent[0]), 2 * 16 * (32 + 2) * 4])
table(["workers R", "messages, counted", "3 (R − 1)", "largest, bytes", "2n (d + 2) · 4"], rows)

# %% [markdown]
# **So far.** R workers are one process, up to rounding, uneven shards included. The price is 3 (R − 1) messages for each
# worker, of its own rows at most. We use that below.
#
# ### A gather without gradient: it "works"
#
# A gather that returns plain numbers is easily written, and the loss is right. But then the rows of others are constants: a
# worker's rows get the gradient of its own losses, and nothing from the losses of others, in which they are candidates.

# %%
display(BATCH["gather without gradient"])


# %%
def by_gathering(z1, z2, temperature, workers, gather="with gradient", push_alone=False):
    """NT-Xent of equal shards, each worker with its own anchors against rows gathered from all."""
    n, R, r = len(z1), workers.size, workers.rank
    u = mc.normalize(mc.concatenate([z1, z2]))
    if gather == "with gradient":
        everyone = parallel.all_gather(u, workers)
    else:
        everyone = workers.gather(u.data)  # numbers alone: no way back
        if gather == "own rows put back":
            everyone = mc.concatenate([everyone[: 2 * n * r], u, everyone[2 * n * (r + 1) :]])
    image = np.tile(np.arange(n), 2)
    images = np.concatenate([image + n * k for k in range(R)])
    scores = mc.where((image + n * r)[:, None] == images, -np.inf, u @ everyone.T / temperature)
    others = mc.logsumexp(scores, axis=1)
    mate = everyone[2 * n * r + (np.arange(2 * n) + n) % (2 * n)]
    partner = mc.sum(u * mate, axis=1) / temperature
    losses = others if push_alone else mc.softplus(others - partner)
    return parallel.total(mc.sum(losses) / (2 * n * R), workers)


def length_and_cosine(found, exact):
    a, b = flat(found), flat(exact)
    return np.linalg.norm(a) / np.linalg.norm(b), a @ b / np.linalg.norm(a) / np.linalg.norm(b)


n = 256
z1 = np.random.default_rng(1).standard_normal((n, 32))
z2 = np.random.default_rng(2).standard_normal((n, 32))  # an encoder that knows nothing yet
left, RS = {}, (1, 2, 4, 8, 16, 32)
exact, exact_gradients = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.5), z1, z2)
worst = 0.0


def found_by(R, gather, push):
    return on_workers(lambda a, b, w: by_gathering(a, b, 0.5, w, gather, push), z1, z2, [n // R] * R)


for R in RS:
    worst = max(worst, residual(found_by(R, "with gradient", False)[1], exact_gradients))
    right = found_by(R, "with gradient", True)[1]
    for gather in ("own rows put back", "all constant"):
        assert abs(found_by(R, gather, False)[0] - float(exact)) < 1e-12  # the loss shows nothing
        left[R, gather] = length_and_cosine(found_by(R, gather, True)[1], right)
print(f"with gradient, against one process: residual {worst:.0e}")
assert worst < 1e-12

# %%
figure, ax = plt.subplots(figsize=(9, 3.7), layout="constrained")
of_gather = {gather: np.array([left[R, gather] for R in RS]) for gather in ("own rows put back", "all constant")}
for (gather, curve), color in zip(of_gather.items(), (ORANGE, RED)):
    ax.plot(RS, curve[:, 0], "o-", color=color, ms=6, label=f"{gather}: length")
    ax.plot(RS, curve[:, 1], "^--", color=color, ms=5, mfc="none", lw=1, label=f"{gather}: cosine")
ax.plot(RS, 0.5 + 0.5 / np.array(RS), ":", color="black", lw=1, label="1/2 + 1/(2R)")
ax.set(xscale="log", ylim=(0, 1.08), xlabel="workers R", ylabel="against the right gradient")
ax.set_xticks(RS, RS)
ax.minorticks_off()
ax.set_title(f"the part of the gradient that pushes apart; {n} images in 32 dimensions, τ = 0.5, seed 1")
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
own, constant = of_gather["own rows put back"], of_gather["all constant"]
assert np.abs(constant[:, 0] - 0.5).max() < 0.03 and constant[:, 1].min() > 0.999 and own[:, 1].min() > 0.93
assert np.abs(own[:, 0] - 0.5 - 0.5 / np.array(RS)).max() < 0.06 and (np.diff(own[:, 0]) < 0).all()
show(
    figure,
    "Without gradient through the gather up to half of the push is lost, and its direction hardly changes",
    "Length and cosine of the gradient for "
    + ", ".join(map(str, RS))
    + " workers. Own rows put back: length "
    + ", ".join(f"{x:.2f}" for x in own[:, 0])
    + f", cosine at least {own[:, 1].min():.3f}. All constant: length {constant[:, 0].min():.2f} to {constant[:, 0].max():.2f}, cosine at least "
    f"{constant[:, 1].min():.3f}. The loss is the right one in all cases.",
)

# %% [markdown]
# With one worker and its own rows put back there is no fault at all: **a test on one process cannot find it**. And the
# curve of the loss? Train with four workers, right and wrong, with plain gradient descent and with Adam.

# %%
photos = mc.data.digits("train").images[:512]
STEPS, SEEDS, R = (80, 5, 4) if FULL else (30, 2, 4)
augment = mc.data.views.Compose([mc.data.views.RandomAffine(degrees=15, shift=0.5), mc.data.views.GaussianNoise(0.1)])


def curve(gather, optimizer, seed):
    """The loss at each step."""

    def work(workers):
        net = mc.nn.MLP([64, 128, 32], rng=seed)
        step, rng, history = optimizer(net.parameters()), np.random.default_rng(seed), []
        for _ in range(STEPS):
            images = photos[rng.choice(len(photos), 64, replace=False)]
            rows = list(workers.share_of(64))
            z1, z2 = (net(v[rows]) for v in mc.data.two_views(images, augment, rng))
            loss = by_gathering(z1, z2, 0.5, workers, gather)
            step.step(parallel.sum_gradients(mc.grad(loss, net.parameters()), workers))
            history.append(float(loss))
        return history

    return parallel.simulate(R, work)[0]


OPTIMIZERS = {
    "gradient descent": lambda parameters: mc.optim.SGD(parameters, lr=0.1),
    "Adam": lambda parameters: mc.optim.Adam(parameters, lr=1e-3),
}
curves = {
    (name, gather): np.array([curve(gather, optimizer, seed) for seed in range(SEEDS)])
    for name, optimizer in OPTIMIZERS.items()
    for gather in ("with gradient", "all constant")
}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
ends = {}
for ax, name in zip(axes, OPTIMIZERS):
    for gather, color, look in (("with gradient", BLUE, "-"), ("all constant", RED, "--")):
        runs = curves[name, gather]
        ax.plot(runs.T, color=color, lw=0.5, alpha=0.35)
        ax.plot(runs.mean(axis=0), look, color=color, lw=2, label=f"gather {gather}")
        ends[name, gather] = runs[:, -10:].mean(axis=1)
    ax.axhline(math.log(127), color=GREY, ls=":", lw=1)
    ax.set(xlabel="step", title=name)
axes[0].text(STEPS, math.log(127), "all equal: log 127", ha="right", va="bottom", fontsize=8.5, color=GREY)
axes[0].set_ylabel("loss (nats)")
axes[1].legend(frameon=False)
fallen = {name: (curves[name, "with gradient"][:, 0] - ends[name, "with gradient"]).mean() for name in OPTIMIZERS}
lost = {name: (ends[name, "all constant"] - ends[name, "with gradient"]).mean() / fallen[name] for name in OPTIMIZERS}
assert min(fallen.values()) > 0.2 and abs(lost["Adam"]) < 0.15
assert all((curves[key][:, 0] - ends[key] > 0.1).all() for key in curves)  # each of them learns
show(
    figure,
    "The faulty training learns as well, and under Adam its curve is that of the right one",
    f"Loss over {STEPS} steps with {R} workers, {SEEDS} seeds. At the end, mean of the last ten steps: "
    + "; ".join(f"{name}, gather {gather}: {e.mean():.3f}" for (name, gather), e in ends.items())
    + ". Of the fall of the right run the wrong one misses "
    + " and ".join(f"{100 * x:.0f} per cent with {name}" for name, x in lost.items())
    + ".",
)

# %% [markdown]
# Adam divides by the length of the gradient, so half of the length is nothing to it. Gradient descent takes it as a smaller
# learning rate. Nobody will find this by looking at curves; the residual against one process finds it at once: 0.5 in
# place of $10^{-16}$.
#
# ### How long will it take on 1024 workers?
#
# A model, before a cluster is rented. N images in all, n = N/R of them on each worker; five parts (`minicl/parallel/cost.py`):
#
# | part | seconds |
# |---|---|
# | encoder | s + n · e |
# | loss | (2N)² · c₀ for one process, else 2n · 2N · c₁ |
# | visits in the ring | 3 (R − 1) (α + 2n (d + 2) b / β): the messages that we counted |
# | sum of gradients | 2 ⌈log₂ R⌉ α + 2 (R − 1)/R · P b / β |
# | BatchNorm | 4 ⌈log₂ R⌉ α for each layer |
#
# **Assumed:** all workers and links are alike, and links do not slow each other down; nothing is sent while something is
# computed; a score costs the same in a small block as in a large one; nobody waits for a slow worker; data are there in
# time. The last two are what most real runs lose time to, so read the model as "at best".
#
# Constants below are round numbers for a small convolutional network on one core each, in a network of 10 Gbit a second.
# What this machine would say stands beside the first three.

# %%
ROUND = Costs(
    image=5e-3, step=2e-3, alone=8e-9, ring=1.6e-8, latency=3e-5, bandwidth=1.1e9, dim=64, parameters=250_000, norms=4
)
net = mc.nn.ConvNet(1, (32, 64, 128, 128), rng=0)
numbers = sum(p.data.size for p in net.parameters())


def encode(n):
    x = np.random.default_rng(0).random((2 * n, 28, 28, 1), dtype=np.float32)
    return seconds(lambda: mc.grad((net(x) ** 2).sum(), net.parameters()), 2)


few, more = encode(8), encode(40)
here = {"e, an image": (more - few) / 32, "c₀, a score": taken["kernel, blocks kept"][-1] / 1e3 / LENGTHS[-1] ** 2}
u = mc.normalize(np.random.default_rng(0).standard_normal((2, 512, 64)).astype(np.float32))
ring = seconds(
    lambda: parallel.simulate(
        2, lambda w: mc.grad(parallel.nt_xent(t := mc.tensor(u[w.rank]), u[w.rank][::-1].copy(), 0.2, w), t)
    ),
    3,
)
here["c₁, a score in the ring"] = ring / (2 * 1024) ** 2
table(
    ["constant", "used below", "on the machine that ran this"],
    [
        [
            name,
            f"{1e6 * used:g} µs" if used > 1e-6 else f"{1e9 * used:g} ns",
            f"{1e6 * x:.0f} µs" if x > 1e-6 else f"{1e9 * x:.1f} ns",
        ]
        for (name, x), used in zip(here.items(), (ROUND.image, ROUND.alone, ROUND.ring))
    ]
    + [["parameters", f"{ROUND.parameters:,}", f"{numbers:,}"]],
)

# %%
MANY = [2**k for k in range(1, 11)]
PARTS = {"encoder": BLUE, "loss": ORANGE, "visits": RED, "gradients": GREEN, "norms": GREY}


def picture(batch_of, title):
    """The parts of a step against R, where the batch has batch_of(R) images."""
    figure, ax = plt.subplots(figsize=(9, 3.7), layout="constrained")
    parts = [ROUND.parts(R, batch_of(R)) for R in MANY]
    for part, color in PARTS.items():
        ax.loglog(MANY, [1e3 * p[part] for p in parts], "o-", ms=3.5, lw=1.3, color=color, label=part)
    ax.loglog(MANY, [1e3 * sum(p.values()) for p in parts], "k-", lw=2.5, label="step")
    ax.set_xticks(MANY, MANY)
    ax.minorticks_off()
    ax.set(xlabel="workers R", ylabel="ms", title=title)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, ax, parts


ALL = 4096
figure, ax, parts = picture(lambda R: ALL, f"{ALL} images in all, 10 Gbit a second, predicted")
alone = ROUND.total(1, ALL)
speedup = {R: alone / sum(p.values()) for R, p in zip(MANY, parts)}
best = max(speedup, key=speedup.get)
talking = {R: (p["visits"] + p["gradients"] + p["norms"]) / sum(p.values()) for R, p in zip(MANY, parts)}
ax.plot(best, 1e3 * alone / speedup[best], "*", ms=16, color="black")
ax.annotate(
    f"least: {speedup[best]:.0f} times faster than one",
    (best, 1e3 * alone / speedup[best]),
    (0, 14),
    textcoords="offset points",
    ha="center",
    fontsize=9,
)
assert best < 1024 and speedup[1024] < speedup[best] < best and talking[1024] > 0.5
assert speedup[2] > 1.5
show(
    figure,
    "A fixed batch gains until messages take over; more workers then make it slower",
    f"Predicted milliseconds of a step with {ALL} images. One process: {1e3 * alone:.0f}. "
    + ", ".join(f"{R} workers: {1e3 * alone / s:.0f}" for R, s in speedup.items())
    + f". The largest gain is {speedup[best]:.0f} times, with {best} workers; with 1024 it is {speedup[1024]:.0f} times, and "
    f"{100 * talking[1024]:.0f} per cent of the step is talk.",
)

# %% [markdown]
# So one does not spread a batch thinner and thinner, but lets it grow with the workers: 128 images for each. Then each
# worker's encoder has always the same to do. But its loss has not: its 2n rows meet the rows of all.

# %%
EACH = 128
figure, ax, parts = picture(lambda R: EACH * R, f"{EACH} images on each worker, 10 Gbit a second, predicted")
crossing = ROUND.balance(EACH)
ax.axvline(crossing, color=GREY, ls=":", lw=1)
ax.text(crossing, ax.get_ylim()[0] * 1.3, f"R = {crossing:.0f} ", ha="right", color=GREY, fontsize=9)
efficiency = {R: ROUND.total(1, EACH) / sum(p.values()) for R, p in zip(MANY, parts)}
encoders = [p["encoder"] for p in parts]
doubles = [b["loss"] / a["loss"] for a, b in zip(parts, parts[1:])]
assert max(encoders) - min(encoders) < 1e-12 and max(abs(x - 2) for x in doubles) < 1e-9
assert 2 < crossing < 1024 and (np.diff(list(efficiency.values())) < 0).all()
assert abs(ROUND.parts(crossing, crossing * EACH)["loss"] - EACH * ROUND.image) < 1e-12
show(
    figure,
    "If the batch grows with the workers, the encoder stays as it is, and the loss doubles with them",
    f"Predicted milliseconds of a step with {EACH} images on each worker. Encoder: {1e3 * encoders[0]:.0f} for all R. Loss: "
    + ", ".join(f"{1e3 * p['loss']:.1f}" for p in parts)
    + f" for 2 to 1024 workers. It takes as long as the encoder at R = {crossing:.0f}. Images a second and worker, as a share of one "
    "process: " + ", ".join(f"{100 * e:.0f} %" for e in efficiency.values()) + ".",
)

# %% [markdown]
# **So far.** At R = e / (4 n c₁) the loss costs as much as the encoder, whatever the network. Beyond that more workers buy
# negatives at a price that grows. That is the place where a queue of old keys (notebook 12) is cheaper than a larger batch.
#
# ## Play
#
# Your cluster. **Predict** before you move a slider; the arrow keys work too.
#
# 1. The network: InfiniBand has a latency of 2 µs and 22 GB a second. Which line moves, and at which end?
# 2. The encoder: a larger network takes 100 ms for an image. Where does the loss overtake it now?
# 3. The images on each worker: 512 in place of 128. Does the loss overtake earlier or later?
# 4. Take the tick away: now a fixed batch is spread thinner and thinner. Which number of workers is the fastest, and which
#    sliders make it larger?

# %%
cluster_steps(ROUND, images=EACH)

# %% [markdown]
# ## Build
#
# Two exercises. The first is what every data-parallel program has to get right. Its starter is right on one process.

# %%
print(mc.course.describe("sharded_nt_xent"))


# %%
def sharded_nt_xent(z, temperature):
    ranks, _, n, d = z.shape
    rows = z.reshape(-1, d)  # as an all-gather delivers them: rank by rank
    u = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    s = u @ u.T / temperature
    np.fill_diagonal(s, -np.inf)
    largest = s.max(axis=1)
    lse = largest + np.log(np.exp(s - largest[:, None]).sum(axis=1))
    partner = (np.arange(len(u)) + len(u) // 2) % len(u)
    return (lse - s[np.arange(len(u)), partner]).mean()


mc.course.check("sharded_nt_xent", sharded_nt_xent)

# %% [markdown]
# The second is a kernel in small. A row of scores lies in slow memory, and each read is counted. The starter computes the
# log-sum-exp safely and reads each score twice: once for the largest, once for the sum. Read each score **once**, and keep
# two numbers. (Notebook 12, *A row of scores that is never there as a whole*, has the formula.)


# %%
class SlowMemory:
    """A row of numbers that counts how often it is read."""

    def __init__(self, numbers):
        self._numbers, self.reads = list(map(float, numbers)), 0

    def __len__(self):
        return len(self._numbers)

    def read(self, k):
        self.reads += 1
        return self._numbers[k]


def log_sum_exp(row):
    largest = max(row.read(k) for k in range(len(row)))
    return largest + math.log(sum(math.exp(row.read(k) - largest) for k in range(len(row))))


def try_kernel(f):
    """Right, and how many reads for each score?"""
    rows = []
    for name, numbers in {
        "random": np.random.default_rng(0).standard_normal(50),
        "increasing to 900": np.linspace(-900, 900, 50),
        "decreasing from 900": np.linspace(900, -900, 50),
        "all equal": np.zeros(50),
    }.items():
        row = SlowMemory(numbers)
        value, exact = f(row), float(np.logaddexp.reduce(numbers))
        rows.append(
            [name, "yes" if abs(value - exact) < 1e-9 else f"no: {value:.6g}, not {exact:.6g}", row.reads / len(row)]
        )
    return rows


attempt = try_kernel(log_sum_exp)
print(
    "each score is read once" if all(reads == 1 for *_, reads in attempt) else "not yet: a score is read more than once"
)
table(["row of 50 scores", "right", "reads of a score (aim: 1)"], attempt, left=2)

# %% [markdown]
# ## Break
#
# Four data-parallel programs, A to D, each with one fault. The code is in the next cell; **do not look**. On one worker
# all four are right to the last digit. Read what they find on two and on four workers, and write your diagnosis into
# `diagnosis`.


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def one_of_four(letter, z1, z2, temperature, workers):
    n, R, r = len(z1), workers.size, workers.rank
    u = mc.normalize(mc.concatenate([z1, z2]))
    own = np.arange(2 * n) + 2 * n * r
    everyone = parallel.all_gather(u, workers)
    if letter == "C":
        numbers = workers.gather(u.data)
        everyone = mc.concatenate([numbers[: 2 * n * r], u, numbers[2 * n * (r + 1) :]])
    if letter == "B":
        everyone, own = u, np.arange(2 * n)
    masked = np.arange(2 * n) if letter == "D" else own
    s = u @ everyone.T / temperature
    s = mc.where(masked[:, None] == np.arange(len(everyone)), -np.inf, s)
    partner = mc.sum(u * mc.concatenate([u[n:], u[:n]]), axis=1) / temperature
    return parallel.total(mc.sum(mc.logsumexp(s, axis=1) - partner) / (2 * n * R), workers)


def scaled(letter, gradients, R):
    return [g / R for g in gradients] if letter == "A" else gradients


LETTERS = "ABCD"
images = 32
z1 = np.random.default_rng(3).standard_normal((images, 16))
z2 = z1 + 0.5 * np.random.default_rng(4).standard_normal(z1.shape)
exact, exact_gradients = mc.value_and_grad(lambda a, b: mc.nt_xent(a, b, 0.3), z1, z2)
ones = np.ones((images, 4))
seen = {}
for letter in LETTERS:
    for R in (1, 2, 4):
        run = lambda a, b, w, k=letter: one_of_four(k, a, b, 0.3, w)
        value, gradients = on_workers(run, z1, z2, [images // R] * R)
        length, cosine = length_and_cosine(scaled(letter, gradients, R), exact_gradients)
        collapse = on_workers(run, ones, ones, [images // R] * R)[0]
        seen[letter, R] = value, length, cosine, collapse

# %%
print(f"right: loss {float(exact):.4f}, all equal: log {2 * images - 1} = {math.log(2 * images - 1):.4f}")
table(
    ["program", "workers", "loss", "loss if all are equal", "length of the gradient", "cosine with the right one"],
    [
        [letter, R, f"{v:.4f}", f"{c:.4f}", f"{length:.3f}", f"{cosine:.4f}"]
        for (letter, R), (v, length, cosine, c) in seen.items()
    ],
)

# %% [markdown]
# The four faults, in another order: *no gradient through the gather, own rows put back; the gradient is divided by R once
# more; an anchor is masked at its place within its own shard; the negatives are those of the own shard alone.*
# (log 31 = 3.4340, log 15 = 2.7081.)

# %%
diagnosis = {"A": "?", "B": "?", "C": "?", "D": "?"}

# %%
for letter in LETTERS:
    v, length, cosine, _ = seen[letter, 1]
    assert abs(v - float(exact)) < 1e-12 and abs(length - 1) < 1e-12 and cosine > 1 - 1e-12  # on one worker: right
assert abs(seen["A", 4][1] - 1 / 4) < 1e-12 and abs(seen["A", 4][0] - float(exact)) < 1e-12
assert abs(seen["B", 4][3] - math.log(2 * images // 4 - 1)) < 1e-12 and seen["B", 4][0] < float(exact) - 0.5
assert abs(seen["C", 4][0] - float(exact)) < 1e-12 and 0.9 < seen["C", 4][1] < 0.985 and seen["C", 4][2] < 0.995
assert (
    seen["D", 4][0] > seen["D", 2][0] > float(exact) + 0.05 and abs(seen["D", 4][3] - math.log(2 * images - 1)) < 1e-12
)
table(["", "your diagnosis", "given away by"], [
    ["A", diagnosis["A"], f"the loss is right, the cosine 1, and the length 1/R: {seen['A', 2][1]:.3f}, {seen['A', 4][1]:.3f}"],
    ["B", diagnosis["B"], f"the loss falls with R, and if all are equal it is log(2N/R − 1): {seen['B', 2][3]:.4f}, {seen['B', 4][3]:.4f}"],
    ["C", diagnosis["C"], f"the loss is right, and the gradient a little too short, and turned a little: {seen['C', 2][1]:.3f}, {seen['C', 4][1]:.3f}"],
    ["D", diagnosis["D"], f"the loss grows with R: {seen['D', 2][0]:.4f}, {seen['D', 4][0]:.4f}; all equal does not show it"],
], left=3)  # fmt: skip

# %% [markdown]
# <details><summary>The faults</summary>
#
# A: the gradient is divided by R once more. The loss is a mean over the whole batch already, so the sum of the shares is
# the gradient. It acts like a learning rate that shrinks with R. B: the negatives are those of the own shard. It is
# another loss, with fewer negatives, and it *looks better*. C: no gradient through the gather; of
# the whole gradient only some per cent are missing here, since the pull of the partner is all there. D: the anchor is masked at
# its place within its own shard; from the second worker on, another row is missing, and the anchor is its own candidate.
#
# One table, three numbers: the loss finds B and D, the length finds A and C, and one worker finds none of them.
# </details>
#
# ## Check yourself
#
# 1. A colleague reports a residual of 3 · 10⁻⁷ between two programs. Is that fine?
# 2. The loss takes 40 % of a step in a batch of 8192. A kernel makes it 7 times faster. And the step?
# 3. With 128 images for each worker the loss overtakes the encoder at R = 610 (in a model with e = 5 ms and c₁ = 16 ns).
#    Where with 256 images for each?

# %%
eps32, eps64 = np.finfo(np.float32).eps, np.finfo(np.float64).eps
print(f"1. In float32 it is {3e-7 / eps32:.1f} ε: rounding. In float64 it is {3e-7 / eps64:.0e} ε: a fault.")
print(f"2. {after(0.4, 7):.2f} times as fast; an infinitely fast loss would make it {1 / (1 - 0.4):.2f} times as fast")
print(
    f"3. At R = {ROUND.balance(256):.0f}, half of {ROUND.balance(128):.0f}: a worker has twice the rows, and each meets twice as many"
)
assert abs(2 * ROUND.balance(256) - ROUND.balance(128)) < 1e-9 and round(ROUND.balance(128)) == 610

# %% [markdown]
# Your guesses beside the answers:

# %%
table(
    ["question", "your guess", "computed"],
    [
        [
            "A. float32 against float64",
            guess["A"],
            f"the loss by {residuals['CPU, float32, kernels']['NT-Xent']:.0e}, its gradient by {residuals['CPU, float32, kernels']['gradient of NT-Xent']:.0e}",
        ],
        ["B. share of the loss in a step", guess["B"], f"{100 * loss_share:.1f} %"],
        [
            "C. the step, if the loss is ten times faster",
            guess["C"],
            f"{100 * (gain['the loss, 10 times faster'] - 1):.1f} % faster",
        ],
        [
            "D. no gradient through the gather, 8 workers",
            guess["D"],
            f"the push keeps {constant[RS.index(8), 0]:.2f} of its length; the curve looks right",
        ],
        ["E. 4096 images on 1024 workers", guess["E"], f"{speedup[1024]:.0f} times, by the model"],
    ],
    left=2,
)

# %% [markdown]
# ## What the article said
#
# | claim, in our words | verdict | decided by |
# |---|---|---|
# | S41: it is costly because the similarity to all other samples is needed | imprecise: in a batch of 128 the loss hardly counts. It grows like N², and overtakes the encoder in a very large batch | *Where the time goes*; *How long will it take on 1024 workers?* |
# | S45: large batches are used to improve efficiency | imprecise: spread over more workers, the encoder's time stays and that of the loss grows. Large batches buy negatives | the last figure |
# | S48: with these strategies it scales to larger data and models | an opinion; what can be said: R workers compute exactly what one would, and the efficiency falls with R | *R workers, one result*; the last two figures |

# %%
assert loss_share < 0.15 and ROUND.parts(1024, 1024 * EACH)["loss"] > ROUND.parts(1024, 1024 * EACH)["encoder"]  # S41
assert efficiency[1024] < efficiency[2] < 1.05 and max(doubles) > 1.9  # S45
assert max(off) < 1e-9 and found[:, 4:].max() < 1e-12 and efficiency[1024] < 0.6  # S48
print("S41, S45 and S48: decided as the table says")
