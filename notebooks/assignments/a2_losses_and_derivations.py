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
# # Assignment 2 · Losses and derivations
#
# You walk from the cosine of two vectors to NT-Xent, the loss of SimCLR, and to its gradient. On the way you mend an
# article that takes the same walk with wrong formulas. Each step is a short function, and the next step uses its idea.
#
# | part | minutes | points |
# |---|---|---|
# | 1 · A cosine and its gradient | 10 | 10 |
# | 2 · Data or noise: the binary loss | 15 | 14 |
# | 3 · Which one is it: the ranking loss | 20 | 19 |
# | 4 · An article to mend | 15 | 14 |
# | 5 · NT-Xent | 15 | 15 |
# | 6 · Its gradient on paper | 20 | 14, read by a person |
# | 7 · Its gradient in code | 15 | 14 |
# | **together** | **110** | **100**: 86 by tests, 14 by a person |
#
# **How to work**
#
# - Replace `# YOUR CODE HERE` and `raise NotImplementedError()` by your answer. Keep the names, and leave the cells
#   with tests as they are.
# - Write functions in NumPy alone. They take and return plain arrays and numbers, and do not change their arguments.
# - Below most functions stands `mc.course.check(...)`. Run it as often as you like. It shows which tests pass, the
#   smallest input that fails, and often the name of the mistake. For a hint open a new cell and write, for example,
#   `mc.course.check("nt_xent", nt_xent).hint(1)`; `hint(2)` and `hint(3)` say more. Each row of the report belongs to a
#   tier, T0 to T5. Where an exercise has several test cells, the tiers say which rows count for which points; rows that
#   are marked *optional* count for none.
# - Your answers are graded with other random numbers, and with tests of your own numbers that you do not see.
# - **Predict** questions ask for a number before you run anything. Write an expression, such as `math.log(3) / 2`, or
#   four digits. If you find out later that your guess was wrong, change it: what you hand in counts, not the first
#   guess.
# - Answer a question before you read on: the text below it often uses the answer.
# - No part needs your code of another part. If one does not work, go on.
#
# All formulas that you need are here. Notebooks 00, 04, 06 and 07 tell the same story at length, with pictures.

# %% nbgrader={"grade_id": "setup"}
import math

import numpy as np

import minicl as mc

# %% [markdown] nbgrader={"grade_id": "ask_shrinks"}
# ## 1 · A cosine and its gradient
#
# The cosine of two vectors u and v, each of shape (d,), is
#
# $$s = \frac{u \cdot v}{\lVert u\rVert\,\lVert v\rVert}, \qquad \lVert u\rVert = \sqrt{u \cdot u}.$$
#
# It does not see how long the vectors are. Its gradient does.
#
# **Predict** (2 points). You double u, and leave v as it is. By which factor is the gradient of s with respect to u
# multiplied? (1 would mean: it stays.) Write the number as `shrinks`.

# %% nbgrader={"grade_id": "shrinks", "solution": true}
# shrinks = a number
### BEGIN SOLUTION
shrinks = 0.5
### END SOLUTION

# %% nbgrader={"grade_id": "test_shrinks", "points": 2}
print("your answer:", float(shrinks))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.shrinks(shrinks)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_cosine_gradient"}
# **Build** (5 + 3 points). The gradient of s in both vectors. Work it out on paper first: u stands in the numerator of
# s and, through its length, in the denominator, so there are two terms. You can write the result with the unit vectors
# $\hat u = u/\lVert u\rVert$ and $\hat v = v/\lVert v\rVert$.
#
# - *5 points:* right for vectors of any length that are not zero.
# - *3 points:* if one of the two vectors is zero, both gradients are zeros. Add no small number to a length anywhere:
#   it would make the gradient of short vectors wrong.

# %% nbgrader={"grade_id": "cosine_gradient", "solution": true}
def cosine_gradient(u, v):
    """The gradients (du, dv) of the cosine of u and v; all four have shape (d,)."""
    ### BEGIN SOLUTION
    length_u, length_v = np.sqrt(u @ u), np.sqrt(v @ v)
    if length_u == 0 or length_v == 0:
        return np.zeros(u.shape), np.zeros(v.shape)
    unit_u, unit_v = u / length_u, v / length_v
    s = unit_u @ unit_v
    return (unit_v - s * unit_u) / length_u, (unit_u - s * unit_v) / length_v
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_cosine_gradient-values", "points": 5}
mc.course.check("cosine_gradient", cosine_gradient)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.cosine_gradient(cosine_gradient)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_cosine_gradient-zeros", "points": 3}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.cosine_gradient_of_zeros(cosine_gradient)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_posterior"}
# ## 2 · Data or noise: the binary loss
#
# Noise-contrastive estimation learns by asking of a point x: *is it data or noise?* Data have the density p(x). For
# each data point there are ν noise points, with the density q(x). Bayes' rule gives the probability that x is data:
#
# $$h(x) = \frac{p(x)}{p(x) + \nu\, q(x)} = \sigma\bigl(\log p(x) - \log(\nu\, q(x))\bigr),
# \qquad \sigma(t) = \frac{1}{1 + e^{-t}}.$$
#
# **Predict** (2 points). At some place the data are three times as dense as the noise: p(x) = 3 q(x). There are ν = 5
# noise points for each data point. How likely is a point at this place to be data? Write the number as `posterior`.

# %% nbgrader={"grade_id": "posterior", "solution": true}
# posterior = a number
### BEGIN SOLUTION
posterior = 3 / 8
### END SOLUTION

# %% nbgrader={"grade_id": "test_posterior", "points": 2}
print("your answer:", float(posterior))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.posterior(posterior)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_nce_loss"}
# **Build** (8 + 4 points). We do not know p. A model gives each point a *score*, which stands in the place of log p(x)
# above. There are N data points $x_i$, and beside each of them ν noise points $x_{i1} \dots x_{i\nu}$. The loss is the
# mean over the data points of a sum over ν + 1 answers:
#
# $$L = \frac1N \sum_{i=1}^N \Bigl[ -\log h(x_i) - \sum_{j=1}^{\nu} \log\bigl(1 - h(x_{ij})\bigr) \Bigr].$$
#
# The arguments, in order: `scores`, shape (N,), of the data points; `noise_scores`, shape (N, ν), of the noise points;
# `log_q`, shape (N,), and `noise_log_q`, shape (N, ν): log q at these points. ν is not an argument: read it off a
# shape.
#
# - *8 points:* the right value at usual scores.
# - *4 points:* scores may be ±800, and a loss as small as $e^{-40}$ keeps its digits. The identities
#   $-\log\sigma(t) = \log(1 + e^{-t})$ and $1 - \sigma(t) = \sigma(-t)$ help, and so does `np.logaddexp(a, b)`, which
#   is $\log(e^a + e^b)$ for numbers of any size.

# %% nbgrader={"grade_id": "nce_loss", "solution": true}
def nce_loss(scores, noise_scores, log_q, noise_log_q):
    """One number: the mean over the data points of −log h(x) − Σ log(1 − h(noise))."""
    ### BEGIN SOLUTION
    log_nu = np.log(noise_scores.shape[1])
    logits, noise_logits = scores - log_q - log_nu, noise_scores - noise_log_q - log_nu
    losses = np.logaddexp(0, -logits) + np.logaddexp(0, noise_logits).sum(axis=1)
    return losses.mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_nce_loss-values", "points": 8}
mc.course.check("nce_loss", nce_loss)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nce_loss(nce_loss)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_nce_loss-large_scores", "points": 4}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nce_loss_of_large_scores(nce_loss)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_second_place"}
# ## 3 · Which one is it: the ranking loss
#
# Now there are K candidates, and we know that **exactly one** of them is data: the partner of an anchor. The others are
# noise. For each candidate the ratio r = p/q says how many times denser the data are at its place than the noise.
#
# **Predict** (2 points). Three candidates have the ratios 1, 6 and 3. How likely is the second one to be the partner?
# Write the number as `second_place`.

# %% nbgrader={"grade_id": "second_place", "solution": true}
# second_place = a number
### BEGIN SOLUTION
second_place = 6 / 10
### END SOLUTION

# %% nbgrader={"grade_id": "test_second_place", "points": 2}
print("your answer:", float(second_place))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.second_place(second_place)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_three_losses"}
# Why is that so? Say the answers "data" or "noise" were given to each candidate by itself. Candidate m gets "data" with
# odds $r_m/\nu$ to 1, so the outcome "j is data, and all others are noise" has a probability in proportion to
# $r_j/\nu$. Of all outcomes keep the K with exactly one "data", and divide by their sum:
#
# $$P(j \mid \text{exactly one}) = \frac{r_j/\nu}{\sum_{m=1}^K r_m/\nu} = \frac{r_j}{\sum_{m=1}^K r_m}.$$
#
# ν has cancelled. A model puts $e^{g_m}$ in the place of $r_m$; the numbers $g_m$ are called **logits**. What comes out
# is a softmax, and minus its logarithm at the partner is the **ranking loss**. It is *not* the binary loss of part 2.
#
# **Build** (4 + 3 points). Three losses of *one* anchor that all go by the name of cross-entropy. `scores` has shape
# (K,), with K ≥ 2: similarities of the anchor to its K candidates. Entry 0 is the partner, the others are negatives.
# The logits are g = scores / temperature. Natural logarithms throughout. Return three numbers:
#
# 1. `two`: the partner and the *first* negative alone, one question with two answers: $-\log\sigma(g_0 - g_1)$;
# 2. `binary`: K separate questions, added up: $-\log\sigma(g_0) - \sum_{m=1}^{K-1} \log\bigl(1 - \sigma(g_m)\bigr)$;
# 3. `categorical`: one question with K answers, the ranking loss:
#    $-\log\bigl(e^{g_0} / \sum_{m=0}^{K-1} e^{g_m}\bigr)$.
#
# - *4 points:* the right values at usual scores.
# - *3 points:* logits may be as large as ±800. Then a probability can be rounded to 0 or to 1, and its logarithm is
#   lost. So stay with logarithms from the beginning: $-\log\frac{e^{g_0}}{\sum_m e^{g_m}} = \log\sum_m e^{g_m} - g_0$,
#   and `np.logaddexp.reduce(g)` is $\log\sum_m e^{g_m}$ for numbers of any size.
#
# The grader knows this exercise as `cross_entropy_readings`.

# %% nbgrader={"grade_id": "three_losses", "solution": true}
def three_losses(scores, temperature):
    """(two, binary, categorical) of one anchor; scores has shape (K,), and entry 0 is the partner."""
    ### BEGIN SOLUTION
    g = scores / temperature
    two = np.logaddexp(0, g[1] - g[0])
    binary = np.logaddexp(0, -g[0]) + np.logaddexp(0, g[1:]).sum()
    categorical = np.logaddexp.reduce(g) - g[0]
    return two, binary, categorical
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_three_losses-values", "points": 4}
mc.course.check("cross_entropy_readings", three_losses)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.three_losses(three_losses)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_three_losses-large_logits", "points": 3}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.three_losses_of_large_logits(three_losses)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_info_nce"}
# **Build** (6 + 4 points). The ranking loss of a whole batch is called **InfoNCE**. `queries` and `keys` have shape (N,
# d): key i is the partner of query i. `queue` has shape (M, d): M more candidates, which belong to nobody; M may be 0.
#
# - Every query has the same N + M candidates: all keys and all rows of the queue.
# - The logit of a query and a candidate is their cosine divided by `temperature`. No row is zero.
# - The loss of query i is minus the log of the softmax over its candidates, at key i. Return the mean over the queries.
#
# So the logits are a matrix of N rows and N + M columns, one row for each query.
#
# - *6 points:* the right value.
# - *4 points:* temperatures down to 0.001, and arrays in float32, which ends at $e^{88.7}$. One row of logits can lie
#   far below another, so each row needs a log-sum-exp of its own: `np.logaddexp.reduce(logits, axis=1)`.

# %% nbgrader={"grade_id": "info_nce", "solution": true}
def info_nce(queries, keys, queue, temperature):
    """One number: the mean over the N queries of −log softmax(logits) at the own key."""
    ### BEGIN SOLUTION
    unit = lambda x: x / np.sqrt((x * x).sum(axis=1, keepdims=True))
    logits = unit(queries) @ np.concatenate([unit(keys), unit(queue)]).T / temperature
    own = np.diag(logits)
    return (np.logaddexp.reduce(logits, axis=1) - own).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_info_nce-values", "points": 6}
mc.course.check("info_nce", info_nce)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.info_nce(info_nce)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_info_nce-low_temperature", "points": 4}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.info_nce_at_low_temperature(info_nce)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_audit"}
# ## 4 · An article to mend
#
# An introductory article derives NT-Xent from the binary loss. Here are seven lines of it, in our words and letters.
# There are N images and two views of each, so there are **2N views**; the views of image k have the numbers 2k − 1 and
# 2k. Some lines are right. Each of the others has exactly one mistake.
#
# | line | what the article says |
# |---|---|
# | 1 | The similarity of two vectors is their cosine, $\mathrm{sim}(u, v) = u \cdot v / (\lVert u\rVert\,\lVert v\rVert)$. |
# | 2 | A pair with $f = e^{\mathrm{sim}}$ is data with probability $f/(f + k)$. Here k is the distribution of the noise pairs, and one may set it to the constant 1. |
# | 3 | With k = 1 a positive pair costs $-\log\frac{e^s}{e^s + 1}$, and a negative pair costs $-\log\frac{1}{e^s + 1}$, where s is the similarity of the pair. |
# | 4 | Merge these two costs, divide the similarities by τ, and you have the loss of line 5. |
# | 5 | The loss of view i with the partner j is $\ell(i, j) = -\log\dfrac{e^{s_{ij}/\tau}}{\sum_{k=1,\,k\ne i}^{N} e^{s_{ik}/\tau}}$. |
# | 6 | The sum in this denominator runs over the negatives of view i, and over nothing else. |
# | 7 | The loss of the batch is $\frac{1}{2N}\sum_{k=1}^{N}\bigl[\ell(2k-1, 2k) + \ell(2k, 2k-1)\bigr]$. |
#
# (2 + 3 + 3 points.) Part 5 holds the formulas as they should be, so answer before you read on. Give each line one of
# these words, in the dictionary `audit`. A word may be used for several lines, or for none.
#
# | word | meaning |
# |---|---|
# | `"right"` | the line is right as it stands |
# | `"noise"` | it is no free constant: it stands for ν q(x), or for ν where f models the ratio p/q |
# | `"condition"` | these are separate answers; one has to condition on exactly one of them being yes |
# | `"views"` | the sum must run over all 2N views |
# | `"partner"` | the partner belongs to the sum too |
# | `"half"` | it must be divided by N, and not by 2N |
# | `"lengths"` | lengths must not be divided out |
# | `"sign"` | a sign is wrong |

# %% nbgrader={"grade_id": "audit", "solution": true}
# audit = {1: "...", 2: "...", 3: "...", 4: "...", 5: "...", 6: "...", 7: "..."}
### BEGIN SOLUTION
audit = {1: "right", 2: "noise", 3: "right", 4: "condition", 5: "views", 6: "partner", 7: "right"}
### END SOLUTION

# %% nbgrader={"grade_id": "test_audit-right_lines", "points": 2}
WORDS = ("right", "noise", "condition", "views", "partner", "half", "lengths", "sign")
assert set(audit) == set(range(1, 8)), "the dictionary has the keys 1 to 7"
assert all(word in WORDS for word in audit.values()), "each value is one of the eight words"
# these points: lines 1, 3 and 7
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.audit_of_right_lines(audit)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_audit-derivation", "points": 3}
# these points: lines 2 and 4
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.audit_of_derivation(audit)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_audit-sum", "points": 3}
# these points: lines 5 and 6
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.audit_of_sum(audit)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_counterexample"}
# **Show it** (4 points). Who says that a formula is wrong should show it by a number. A minus log of a probability is
# never negative. The next cell computes lines 5 and 7 to the letter. Find a batch for which that "loss" is
# **negative**: an array `views` of shape (2N, d), with N ≥ 2 and no row of zeros, in which the views of an image stand
# side by side (rows 0 and 1 are image 1, rows 2 and 3 are image 2, …), and a number `tau` between 0.05 and 2.
#
# (Work it by hand for two images: over which rows does the sum of view 3 run?)

# %% nbgrader={"grade_id": "as_printed"}
def as_printed(views, tau):
    """Lines 5 and 7 to the letter: the sum runs over the first N of the 2N views, without the anchor."""
    u = views / np.linalg.norm(views, axis=1, keepdims=True)
    s, n = u @ u.T / tau, len(views) // 2
    losses = []
    for i in range(2 * n):
        partner = i + 1 if i % 2 == 0 else i - 1
        denominator = sum(math.exp(s[i, k]) for k in range(n) if k != i)
        losses.append(-math.log(math.exp(s[i, partner]) / denominator))
    return sum(losses) / (2 * n)


random_views = np.random.default_rng(0).standard_normal((8, 3))
print("eight random views, τ = 0.5:", as_printed(random_views, 0.5))

# %% nbgrader={"grade_id": "counterexample", "solution": true}
# views = an array of shape (2N, d)
# tau = a number
### BEGIN SOLUTION
views = np.repeat(np.eye(2), 2, axis=0)
tau = 0.1
### END SOLUTION

# %% nbgrader={"grade_id": "test_counterexample", "points": 4}
print("as printed:", as_printed(np.asarray(views, dtype=float), tau))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.counterexample(views, tau)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_without_partner"}
# **Predict** (2 points). Now take line 6 by its word, and leave the partner out of the sum, which otherwise runs over
# all 2N views except the anchor. There are N = 2 images; the two views of an image are equal, vectors of different
# images are orthogonal, and τ = 0.5. What is the loss of each view? Write it as `without_partner`; `math.exp(...)` and
# `math.log(...)` are allowed. (This is a loss in its own right, the *decoupled* one, but it is not NT-Xent.)

# %% nbgrader={"grade_id": "without_partner", "solution": true}
# without_partner = a number
### BEGIN SOLUTION
without_partner = math.log(2) - 1 / 0.5
### END SOLUTION

# %% nbgrader={"grade_id": "test_without_partner", "points": 2}
print("your answer:", float(without_partner))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.without_partner(without_partner)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_collapse"}
# ## 5 · NT-Xent
#
# The loss, mended. Number the views of N images **in two blocks** from now on: rows 0 … N − 1 are the first views, rows
# N … 2N − 1 the second ones, so the partner of row i is row $j(i) = (i + N) \bmod 2N$. With the unit vectors
# $u_i = z_i/\lVert z_i\rVert$ and the cosines $s_{ik} = u_i \cdot u_k$:
#
# $$\ell_i = -\log\frac{e^{s_{i\,j(i)}/\tau}}{\sum_{k \ne i} e^{s_{ik}/\tau}}, \qquad
# L = \frac{1}{2N}\sum_{i=0}^{2N-1} \ell_i, \qquad k = 0 \dots 2N - 1.$$
#
# Each view is the anchor once. It has 2N − 1 candidates: 1 partner and 2N − 2 negatives. It is not its own candidate.
#
# **Predict** (2 points). A network maps all N = 128 images of a batch, in both views, to one and the same vector. What
# is the loss? Write it as `collapse`; `math.log(...)` is allowed.

# %% nbgrader={"grade_id": "collapse", "solution": true}
# collapse = a number
### BEGIN SOLUTION
collapse = math.log(255)
### END SOLUTION

# %% nbgrader={"grade_id": "test_collapse", "points": 2}
print("your answer:", float(collapse))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.collapse(collapse)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_nt_xent"}
# **Build** (9 + 4 points). `z1` and `z2` have shape (N, d): row i of both comes from image i, and no row is zero.
# Return L as one number.
#
# - *9 points:* the right value.
# - *4 points:* temperatures down to 0.001, and float32. As before, stay with logarithms: a probability of $e^{-1000}$
#   is rounded to 0. To leave the anchor out, give its logit the value −∞ (`-np.inf`): its exponential is exactly 0.

# %% nbgrader={"grade_id": "nt_xent", "solution": true}
def nt_xent(z1, z2, temperature):
    """The NT-Xent loss of N images in two views: one number."""
    ### BEGIN SOLUTION
    z = np.concatenate([z1, z2])
    u = z / np.sqrt((z * z).sum(axis=1, keepdims=True))
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    rows = np.arange(len(z))
    partner = (rows + len(z1)) % len(z)
    return (np.logaddexp.reduce(logits, axis=1) - logits[rows, partner]).mean()
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_nt_xent-values", "points": 9}
mc.course.check("nt_xent", nt_xent)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nt_xent(nt_xent)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_nt_xent-low_temperature", "points": 4}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nt_xent_at_low_temperature(nt_xent)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_derive_gradient"}
# ## 6 · Its gradient on paper
#
# (14 points, graded by a person.) Derive the gradient of L with respect to one row $z_i$. Use these letters; all
# matrices have 2N rows and 2N columns:
#
# | letter | what it is |
# |---|---|
# | $P_{ik}$ | the softmax over the candidates of i: $e^{s_{ik}/\tau} / \sum_{m \ne i} e^{s_{im}/\tau}$ for k ≠ i, and $P_{ii} = 0$ |
# | $Y_{ik}$ | 1 where k is the partner of i, else 0 |
# | $G_{ik}$ | the derivative of L with respect to $s_{ik}$, where each entry of s counts as a variable of its own |
#
# Write out these steps, with a reason for each. LaTeX or plain text will do ("dL/du_i = sum over k of ...").
#
# | step | points |
# |---|---|
# | a. Write $\ell_i$ as a log of a sum minus a logit. Show that its derivative with respect to the logit $s_{ik}/\tau$ is $P_{ik} - Y_{ik}$. | 3 |
# | b. From that, $G_{ik}$: say where each factor comes from. | 2 |
# | c. $u_i$ stands in row i of s, and in column i as well. Show what both together give for $\partial L/\partial u_i$, and say what each of the two parts means. | 4 |
# | d. The derivative of $u = z/\lVert z\rVert$: show that a small change dz changes u by $(I - u u^{\mathsf T})\,dz/\lVert z\rVert$. | 3 |
# | e. Put c and d together. Read two facts off the result: the value of $z_i \cdot \partial L/\partial z_i$, and what happens to the gradient when all rows are made ten times longer. | 2 |

# %% [markdown] nbgrader={"grade_id": "derive_gradient", "solution": true, "points": 14}
# **a.** With the logits $x_{ik} = s_{ik}/\tau$, $\ell_i = \log\sum_{m\ne i} e^{x_{im}} - x_{i\,j(i)}$. The derivative
# of the first term in $x_{ik}$ is $e^{x_{ik}}/\sum_{m\ne i} e^{x_{im}} = P_{ik}$; that of the second is 1 at k = j(i)
# and 0 elsewhere, which is $Y_{ik}$. So it is $P_{ik} - Y_{ik}$, and $x_{ii}$ does not occur: 0.
#
# **b.** $L$ is the mean of 2N losses (factor 1/(2N)), the logit is $s_{ik}/\tau$ (factor 1/τ), and entry (i, k) occurs
# in $\ell_i$ alone. So $G_{ik} = (P_{ik} - Y_{ik})/(2N\tau)$.
#
# **c.** $s_{ik} = u_i\cdot u_k$, and $s_{ki} = u_k\cdot u_i$. So $u_i$ occurs in row i, each entry with the derivative
# $u_k$, and in column i, again with $u_k$: $\partial L/\partial u_i = \sum_k (G_{ik} + G_{ki})\,u_k$, or
# $(G + G^{\mathsf T})U$. The row is the part of i as an anchor; the column is its part as a candidate of all others.
#
# **d.** $d\lVert z\rVert = z\cdot dz/\lVert z\rVert = u\cdot dz$. So
# $du = dz/\lVert z\rVert - z\,d\lVert z\rVert/\lVert z\rVert^2 = (dz - u\,(u\cdot dz))/\lVert z\rVert$.
#
# **e.** The matrix of d is symmetric, so
# $\partial L/\partial z_i = (I - u_iu_i^{\mathsf T})\sum_k (G_{ik} + G_{ki})u_k/\lVert z_i\rVert$. As
# $(I - u_iu_i^{\mathsf T})z_i = 0$, the product $z_i\cdot\partial L/\partial z_i$ is 0. Ten times longer rows leave u,
# and so G, as they are, and divide by ten times the length: a tenth of the gradient.

# %% [markdown] nbgrader={"grade_id": "ask_new_length"}
# ## 7 · Its gradient in code
#
# The result of part 6, in case that you did not get there. With P, Y and $G = (P - Y)/(2N\tau)$ as above, and with
# the unit vectors as rows of U, of shape (2N, d):
#
# $$\frac{\partial L}{\partial U} = (G + G^{\mathsf T})\,U, \qquad
# \frac{\partial L}{\partial z_i} = \frac{1}{\lVert z_i\rVert}\,(I - u_i u_i^{\mathsf T})\,
# \Bigl(\frac{\partial L}{\partial U}\Bigr)_i .$$
#
# **Predict** (2 points). A row z has length 5. One step of plain descent on the z themselves replaces z by z − η ∂L/∂z,
# and η is such that η ∂L/∂z has length 1. How long is the new row? Write the number as `new_length`.

# %% nbgrader={"grade_id": "new_length", "solution": true}
# new_length = a number
### BEGIN SOLUTION
new_length = math.sqrt(5**2 + 1**2)
### END SOLUTION

# %% nbgrader={"grade_id": "test_new_length", "points": 2}
print("your answer:", float(new_length))
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.new_length(new_length)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade_id": "ask_nt_xent_gradient"}
# **Build** (3 + 6 + 3 points). The gradient of L in both arguments, with respect to the rows as they are given, before
# they are divided by their lengths.
#
# - *3 points:* what any such gradient obeys. It has no part along z, shrinks when a row is made longer, turns with
#   space, and follows the views when they change places.
# - *6 points:* the right numbers, which the tests compare with numerical derivatives.
# - *3 points:* τ = 0.005, in float32 too. Here you need P itself, so take the largest logit of each row away before you
#   call `exp`.

# %% nbgrader={"grade_id": "nt_xent_gradient", "solution": true}
def nt_xent_gradient(z1, z2, temperature):
    """The gradients (dz1, dz2) of the NT-Xent loss; all four have shape (N, d)."""
    ### BEGIN SOLUTION
    z = np.concatenate([z1, z2])
    lengths = np.sqrt((z * z).sum(axis=1, keepdims=True))
    u = z / lengths
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    y = np.eye(len(z))[(np.arange(len(z)) + len(z1)) % len(z)]
    g = (p - y) / (len(z) * temperature)
    du = (g + g.T) @ u
    dz = (du - u * (u * du).sum(axis=1, keepdims=True)) / lengths
    return dz[: len(z1)], dz[len(z1) :]
    ### END SOLUTION

# %% nbgrader={"grade_id": "test_nt_xent_gradient-laws", "points": 3}
mc.course.check("nt_xent_gradient", nt_xent_gradient)
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nt_xent_gradient_laws(nt_xent_gradient)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_nt_xent_gradient-values", "points": 6}
# graded by the rows T3 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nt_xent_gradient(nt_xent_gradient)
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "test_nt_xent_gradient-low_temperature", "points": 3}
# graded by the rows T4 of the report above
### BEGIN HIDDEN TESTS
import hidden_a2
hidden_a2.nt_xent_gradient_at_low_temperature(nt_xent_gradient)
### END HIDDEN TESTS
