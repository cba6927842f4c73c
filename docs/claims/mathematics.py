"""Section 4 of the article, mathematics: similarities, from NCE to NT-Xent, relations to other losses (S49 to S69)."""

import itertools
import math

import numpy as np
from scipy.optimize import minimize

import minicl as mc

from . import plain, training
from .claim import claim


@claim(
    says=r"The inner product $u^\top v$ is a similarity.",
    verdict="imprecise",
    exactly=r"It has no bound, depends on lengths, and is not largest at $v=u$. It is good as a *logit*; but with "
    r"free lengths the loss can be lowered by growing, without turning anything: length acts as $1/\tau$.",
)
def s49(see):
    """A longer vector beats u itself; and vectors that are only made longer lower a loss of inner products, not one
    of cosines."""
    u, v = np.array([1.0, 0.0]), np.array([3.0, 1.0])
    see.less("u·u, then u·v", mc.dot(u, u), mc.dot(u, v))
    a = np.eye(4)
    p = plain.unit(a + 0.2 * np.random.default_rng(49).standard_normal((4, 4)))
    inner = [float(mc.losses.n_pair(c * a, c * p)) for c in (1, 3, 10, 30)]
    cosine = [float(mc.losses.info_nce(c * a, c * p, 1.0)) for c in (1, 3, 10, 30)]
    see.holds("inner products, lengths 1, 3, 10, 30", np.all(np.diff(inner) < 0), ", ".join(f"{x:.2g}" for x in inner))
    see.equal("cosines, the same lengths: range", np.ptp(cosine), 0, 1e-12)
    see.equal("length c is τ = 1/c²", inner[1], mc.losses.info_nce(a, p, 1 / 9))


@claim(
    says=r"Euclidean distance $d(u,v)=\lVert u-v\rVert_2$ is a similarity measure.",
    verdict="right",
    exactly=r"Right as a measure, and it is a metric; but small means similar (a *dis*similarity), and the gradient "
    r"does not exist at $u=v$. On the unit sphere $d^2=2-2\cos$, and a softmax over $-d^2/2\tau$ *is* the "
    r"softmax over $\cos/\tau$.",
)
def s50(see):
    """Both identities on random unit vectors; and the gradient at u = v, from both sides and by the library."""
    rng = np.random.default_rng(50)
    a, b = plain.unit(rng.standard_normal((2, 100, 5)))
    see.equal(
        "d² = 2 − 2 cos",
        np.diagonal(mc.pairwise_distances(a, b, squared=True)),
        2 - 2 * np.asarray(mc.cosine_similarity(a, b)),
    )
    d2, tau = np.asarray(mc.pairwise_distances(a[:1], b, squared=True))[0], 0.3
    see.equal("one softmax", mc.softmax(-d2 / (2 * tau)), plain.softmax((b @ a[0]) / tau))
    x = np.zeros(3)
    step = 1e-6 * np.eye(3)[0]
    slopes = np.array([float(mc.norm(x + s) - mc.norm(x)) / 1e-6 for s in (step, -step)])
    see.equal("at u = v it rises to both sides with the slope 1: no derivative", slopes, np.ones(2))
    see.equal("the library takes 0 there, and not NaN", mc.value_and_grad(mc.norm, x)[1][0], x, 0)


@claim(
    says=r"The cosine similarity is $\cos\theta$.",
    verdict="right",
    exactly=r"Right. The way back by $\arccos$ loses small angles, as $\cos\theta\approx1-\theta^2/2$.",
)
def s51(see):
    """Vectors at known angles, there and back."""
    angle = np.array([1e-9, 1e-3, 0.5, 1.5, 3.0])
    u, v = np.array([[1.0, 0.0]] * 5), np.stack([np.cos(angle), np.sin(angle)], axis=1)
    c = np.asarray(mc.cosine_similarity(2 * u, 3 * v))
    see.equal("the cosine", c, np.cos(angle))
    see.equal("arccos, from 0.001 on", np.arccos(c[1:]), angle[1:], 1e-9)
    see.equal("arccos for 1e-9 gives", np.arccos(min(c[0], 1.0)), 0.0, 0)


@claim(
    says="The cosine is widely used since it is insensitive to length, and so more reasonable.",
    verdict="imprecise",
    exactly=r"The value is; what the length knew is lost. The *gradient* keeps the factor $1/\lVert z\rVert$, so "
    r"length matters for optimisation; and it has no part along $z$, so each plain step on $z$ makes it "
    r"longer. Chen et al. report a higher contrastive accuracy *without* normalisation, and worse features.",
    sources="Chen et al. 2020 (arXiv:2002.05709), Table 5",
)
def s52(see):
    """Ten times the length: value and gradient of NT-Xent; the part along z; lengths after a step."""
    z = np.random.default_rng(52).standard_normal((8, 3))
    at = lambda x: mc.value_and_grad(lambda x: mc.losses.nt_xent(x[:4], x[4:], 0.5), x)
    (value, (g,)), (again, (h,)) = at(z), at(10 * z)
    see.equal("the loss", again, value)
    see.equal("the gradient: a tenth", h, g / 10)
    see.equal("the gradient, by differences", g, plain.slope(lambda x: plain.nt_xent(x, 0.5).mean(), z), 1e-7)
    see.equal("largest z · gradient", np.abs((z * g).sum(axis=1)).max(), 0, 1e-14)
    longer = np.linalg.norm(z - 0.5 * g, axis=1) - np.linalg.norm(z, axis=1)
    see.less("a plain step: each vector is longer by at least", 0, longer.min())


@claim(
    says=r"From NCE: the *joint* probability $P(D=1\mid z_i,z_j)=\frac f{f+k}$.",
    verdict="wrong",
    exactly=r"It is a *posterior*: $P(D=1\mid x)=\frac{p(x)}{p(x)+\nu q(x)}$, with data $p$ and $\nu$ times as much "
    r"noise $q$; if $f$ models $p/q$, it is $f/(f+\nu)$.",
    sources="Gutmann & Hyvärinen 2012; Dyer 2014 (arXiv:1410.8251)",
)
def s53(see):
    """Draws data and noise over 5 symbols and counts: the share of data at each symbol, and the joint probability."""
    rng = np.random.default_rng(53)
    p, q, nu = np.array([0.4, 0.3, 0.15, 0.1, 0.05]), np.full(5, 0.2), 3
    is_data = rng.random(400_000) < 1 / (1 + nu)
    x = np.where(is_data, rng.choice(5, 400_000, p=p), rng.choice(5, 400_000, p=q))
    counted = np.array([is_data[x == k].mean() for k in range(5)])
    posterior = plain.expit(np.log(p) - np.log(nu * q))
    see.equal("counted, and p/(p + νq)", counted, posterior, 0.02)
    joint = np.array([(is_data & (x == k)).mean() for k in range(5)])
    see.less("the joint probability is another number: smallest difference", 0.05, np.min(posterior - joint))
    zero = [
        float(mc.losses.nce(np.log(p[k : k + 1]), np.full((1, nu), -50.0), np.log(q[k : k + 1]), np.full((1, nu), 0.0)))
        for k in range(5)
    ]
    see.equal("−log of the posterior, as the library's NCE has it", np.array(zero), -np.log(posterior))
    see.derived("nce", "joint probability")


def discrete_nce(p, q, nu, corrected):
    """The scores that minimise expected binary NCE over a few symbols, with the term log(νq) or without it."""
    k = len(p)
    log_q = np.log(q) if corrected else np.full(k, -math.log(nu))  # without: log(ν · 1/ν) = 0

    def loss(s):
        # each symbol as a data point with the weight p, and as ν points of noise with the weight q
        data = mc.losses.nce(s, mc.tensor(np.full((k, nu), -1e3)), log_q, np.zeros((k, nu)), reduction="none")
        noise = mc.losses.nce(
            np.full(k, 1e3),
            mc.broadcast_to(s[:, None], (k, nu)),
            log_q,
            np.repeat(log_q[:, None], nu, axis=1),
            reduction="none",
        )
        return mc.sum(p * data) + mc.sum(q * noise)

    def f(s):
        value, (g,) = mc.value_and_grad(loss, s)
        return float(value), g

    return minimize(f, np.zeros(k), jac=True, method="BFGS", options={"gtol": 1e-10}).x


@claim(
    says="k is the distribution of the noise pairs, and may be set to 1.",
    verdict="wrong",
    exactly=r"$k$ stands for $\nu q(x)$, which is no constant unless the noise is uniform. Setting it to 1 does not "
    r"stop learning; it changes *what* is learned: $p/(\nu q)$ instead of $p$.",
    sources="Gutmann & Hyvärinen 2012; Mnih & Teh 2012 (arXiv:1206.6426)",
)
def s54(see):
    """Minimises the expected NCE over 6 symbols, with log(νq) and with k = 1, for ν = 1 and 5."""
    rng = np.random.default_rng(54)
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(2 * np.ones(6))
    for nu in (1, 5):
        right, constant = (np.exp(discrete_nce(p, q, nu, c)) for c in (True, False))
        see.equal(f"ν = {nu}, with log(νq): p", right, p, 1e-5)
        see.equal(f"ν = {nu}: its sum, which nobody asked to be 1", right.sum(), 1.0, 1e-5)
        see.equal(f"ν = {nu}, k = 1: p/(νq)", constant, p / (nu * q), 1e-5)
        see.less(f"ν = {nu}, k = 1, normalised: off from p by", 0.05, np.abs(constant / constant.sum() - p).max())
    see.derived("nce", "k may be any constant")


@claim(
    says=r"f is a similarity such as cosine: $f=\exp(\mathrm{sim})$.",
    verdict="imprecise",
    exactly=r"$\exp(\cos)$ is not the cosine. Without τ and bias $P(D=1)\in[\sigma(-1),\sigma(1)]=[0.269,0.731]$, "
    r"so the loss of a positive is never below 0.3133. SigLIP learns a scale *and* a bias.",
    sources="Zhai et al. 2023 (arXiv:2303.15343)",
)
def s55(see):
    """The least binary loss of a pair at cosine 1 and −1, without and with a temperature and bias, by the library's
    SigLIP."""
    u = np.array([[1.0, 0.0]])
    loss = lambda v, **k: mc.losses.siglip(u, v, **k)
    see.equal("cosine 1, τ = 1", loss(u, temperature=1.0, bias=0.0), -math.log(plain.expit(1)))
    see.equal("that is 0.3133", round(float(loss(u, temperature=1.0, bias=0.0)), 4), 0.3133)
    see.equal(
        "probability at −1 and at 1",
        np.exp([-float(loss(s * u, temperature=1.0, bias=0.0)) for s in (-1, 1)]),
        plain.expit(np.array([-1.0, 1.0])),
    )
    see.less("τ = 0.1, bias −5: loss at cosine 1", loss(u, temperature=0.1, bias=-5.0), 0.01)
    many = lambda **k: mc.losses.siglip(np.eye(64), np.eye(64), **k)
    see.less(
        "64 × 64 orthogonal pairs, τ = 0.1: with the bias −5, and without",
        many(temperature=0.1, bias=-5.0),
        many(temperature=0.1, bias=0.0),
    )


@claim(
    says=r"$P(D=0\mid z_i,z_k)=\frac1{1+f(z_i,z_k)}$.",
    verdict="right",
    exactly="Right, given S53 with $k=1$: the two answers sum to 1. (The article uses the letter $k$ for the index "
    "and for the constant.)",
)
def s56(see):
    """Both probabilities from the library's log σ; and −log of the second from its NCE."""
    s = np.random.default_rng(56).standard_normal(50) * 3
    yes, no = np.exp(mc.log_sigmoid(s)), np.exp(mc.log_sigmoid(-s))
    see.equal("they sum to 1", yes + no, np.ones(50))
    see.equal("the second is 1/(1 + f)", no, 1 / (1 + np.exp(s)))
    sure = np.full(50, 1e3)
    nce = mc.losses.nce(sure, s[:, None], np.zeros(50), np.zeros((50, 1)), reduction="none")
    see.equal("−log of it is what NCE charges for noise", nce, np.log1p(np.exp(s)))


@claim(
    says="Maximise the log-probability of positives, and *minimise* that of negatives.",
    verdict="wrong",
    exactly=r"Maximise both: $\log P(D=1\mid+)$ and $\log P(D=0\mid-)$. To minimise $\log P(D=0\mid-)$ makes all "
    r"scores rise without end.",
)
def s57(see):
    """Gradient descent on scores of 3 positives and 3 negatives, to the letter and as it should be."""
    zeros = np.zeros(3), np.zeros((3, 1))

    def both(sign):
        def loss(s, n):
            whole = mc.losses.nce(s, n, *zeros)  # −log P(1 | s) − log P(0 | n), with ν = 1
            return whole if sign > 0 else whole - 2 * mc.mean(mc.softplus(n))

        (s, n), _ = training.descend(loss, [np.zeros(3), np.zeros((3, 1))], 300, 1.0)
        return s.min(), n.min(), n.max()

    low, smallest, largest = both(1)
    see.less("as it should be: positives above", 3, low)
    see.less("as it should be: negatives below", largest, -3)
    see.less("to the letter: negatives rise, too, above", 3, both(-1)[1])
    see.derived("nce", "the article's words")


@claim(
    says=r"$\ell(i,j)=-\log\frac{e^s}{e^s+1}$ for a positive pair.",
    verdict="right",
    exactly=r"Right: $=\mathrm{softplus}(-s)$. As it is written it overflows; in this form it does not.",
)
def s58(see):
    """softplus(−s) against the formula, and at ±800, where the formula is no number."""
    s = np.linspace(-30, 30, 61)
    see.equal("the formula, from −30 to 30", mc.softplus(-s), -np.log(np.exp(s) / (np.exp(s) + 1)), 1e-9)
    see.equal("at −800 and 800", mc.softplus(-np.array([-800.0, 800.0])), np.array([800.0, 0.0]))
    naive = -np.log(np.exp(np.array([-800.0, 800.0])) / (np.exp(np.array([-800.0, 800.0])) + 1))
    see.holds("the formula as it stands, there", not np.isfinite(naive).any(), str(naive))
    see.equal(
        "it is binary cross-entropy with the target 1",
        mc.losses.binary_cross_entropy_with_logits(s, np.ones(61), reduction="none"),
        np.logaddexp(0, -s),
    )


@claim(
    says=r"$\ell(i,k)=-\log\frac1{e^s+1}$ for a negative pair.",
    verdict="right",
    exactly=r"Right: $=\mathrm{softplus}(s)$, where $s$ is the score of the *negative* pair.",
)
def s59(see):
    """softplus(s) against the formula; its slope; and at ±800."""
    s = np.linspace(-30, 30, 61)
    see.equal(
        "the formula",
        mc.losses.binary_cross_entropy_with_logits(s, np.zeros(61), reduction="none"),
        -np.log(1 / (np.exp(s) + 1)),
        1e-9,
    )
    see.equal("slope: σ(s)", mc.value_and_grad(lambda x: mc.sum(mc.softplus(x)), s)[1][0], plain.expit(s))
    see.equal("at −800 and 800", mc.softplus(np.array([-800.0, 800.0])), np.array([0.0, 800.0]))


@claim(
    says="*Merging the two* and introducing τ gives NT-Xent.",
    verdict="wrong",
    exactly=r"Their sum is the *binary* loss: strictly larger, not blind to a shift of all scores, and with another "
    r"gradient ($-\sigma(-s_p)$ instead of $-(1-P_p)$). Right: condition on exactly one positive, "
    r"$P(D=e_j\mid\sum_kD_k=1)=f_j/\sum_mf_m$. There the constant cancels.",
    sources="Ma & Collins 2018 (arXiv:1809.01812); van den Oord et al. 2018 (arXiv:1807.03748); Jozefowicz et al. "
    "2016 (arXiv:1602.02410)",
)
def s60(see):
    """The sum of both and the ranking loss on 1000 draws; the gap in closed form; both slopes; and the conditional
    probability, counted."""
    rng = np.random.default_rng(60)
    s, rest = rng.standard_normal(1000), rng.standard_normal((1000, 2))
    rank = np.asarray(mc.losses.ranking_nce(s, rest, reduction="none"))
    binary = np.asarray(mc.softplus(-s) + mc.sum(mc.softplus(rest), axis=1))
    see.less("smallest gap, binary less ranking", 0, (binary - rank).min())
    x, a1, a2 = np.exp(-s), *np.exp(rest).T
    see.equal(
        "gap of the exponentials for 2 negatives: a₁a₂x + a₁a₂ + a₁ + a₂ + x",
        np.exp(binary) - np.exp(rank),
        a1 * a2 * x + a1 * a2 + a1 + a2 + x,
    )
    see.equal("ranking does not see a shift of 5", mc.losses.ranking_nce(s + 5, rest + 5, reduction="none"), rank)
    see.less(
        "binary does: mean change", 1, np.mean(np.logaddexp(0, -s - 5) + np.logaddexp(0, rest + 5).sum(axis=1) - binary)
    )
    slope = mc.value_and_grad(lambda s: mc.losses.ranking_nce(s, rest, reduction="sum"), s)[1][0]
    see.equal("slope of ranking in the positive: −(1 − P)", slope, np.exp(-rank) - 1)
    see.less("it is another than −σ(−s): largest difference", 0.3, np.abs(slope + plain.expit(-s)).max())
    odds = np.array([2.0, 0.5, 1.0])
    for k in (1.0, 7.0):
        yes = rng.random((400_000, 3)) < odds / (odds + k)
        share = yes[yes.sum(axis=1) == 1].mean(axis=0)
        see.equal(
            f"counted, given exactly one, k = {k:.0f}: f/Σf",
            share,
            np.exp(-np.asarray(mc.losses.cross_entropy(np.log(np.tile(odds, (3, 1))), np.arange(3), reduction="none"))),
            0.02,
        )
    see.derived("nce_to_nt_xent", "merge the two binary terms")


@claim(
    says="The final formula of the derivation, with the sum to N.",
    verdict="wrong",
    exactly="The index, as S17: the sum runs over the $2N$ views. To the letter, the anchors of the second half do "
    "not have their partner among the candidates; moving it does not change the denominator.",
    sources="Chen et al. 2020 (arXiv:2002.05709), Eq. 1",
)
def s61(see):
    """For each of 6 anchors: does the denominator change if the partner moves? To the letter, and in the library."""
    rng, n = np.random.default_rng(61), 3
    z = rng.standard_normal((2 * n, 4))
    letter, library = [], []
    for i in range(2 * n):
        j = i ^ 1
        moved = z.copy()
        moved[j] = rng.standard_normal(4)
        below = lambda x, i=i: plain.logsumexp([plain.cosines(x)[i, k] / 0.5 for k in range(n) if k != i])
        letter.append(abs(below(moved) - below(z)) > 1e-12)
        lse = lambda x, i=i, j=j: (
            mc.losses.nt_xent(x, temperature=0.5, layout="interleaved", reduction="none")[i]
            + plain.cosines(x)[i, j] / 0.5
        )
        library.append(abs(lse(moved) - lse(z)) > 1e-12)
    see.equal("anchors whose partner is below the line, in the library, of 6", sum(library), 6)
    see.holds("the same, to the letter", sum(letter) < 6, f"{sum(letter)}: {[i + 1 for i in range(6) if letter[i]]}")
    see.equal(
        "the loss",
        mc.losses.nt_xent(z, temperature=0.5, layout="interleaved", reduction="sum"),
        plain.nt_xent(z[[0, 2, 4, 1, 3, 5]], 0.5).sum(),
    )


@claim(
    says="(Again) the denominator sums over all negatives.",
    verdict="wrong",
    exactly=r"As S21: over all negatives *and the positive*. At collapse that is $\log(2N-1)$ for NT-Xent and "
    r"$\log(2N-2)$ for DCL.",
    sources="Yeh et al. 2021 (arXiv:2110.06848)",
)
def s62(see):
    """Collapse, where the loss counts its candidates, for NT-Xent and DCL at three sizes; and the slope in the
    positive."""
    for n in (2, 16, 128):
        z = np.ones((n, 3))
        see.equal(f"N = {n}: NT-Xent", mc.losses.nt_xent(z, z), math.log(2 * n - 1))
        see.equal(f"N = {n}: DCL", mc.losses.dcl(z, z), math.log(2 * n - 2))
    see.derived("nt_xent", "the sum is over the negatives")


@claim(
    says="(Again) the loss maximises positive and minimises negative scores.",
    verdict="imprecise",
    exactly=r"As S22: only differences count. An optimum can have positives at any score, if negatives are lower by "
    r"as much. And negatives are not pushed alike: $\rho_{ik}$ falls by $e^{\Delta s/\tau}$.",
    sources="Wang & Liu 2021 (arXiv:2012.09740)",
)
def s63(see):
    """A shift of all scores; the ratio of two pushes; and the three regimes of τ."""
    s, rest = np.array([0.2]), np.array([[0.9, 0.4]])
    for c in (-100.0, 100.0):
        see.equal(f"all scores {c:+.0f}", mc.losses.ranking_nce(s + c, rest + c), plain.ranking(s, rest)[0])
    for tau in (0.1, 1.0):
        g = mc.value_and_grad(lambda r: mc.losses.ranking_nce(s / tau, r / tau), rest)[1][0][0]
        see.equal(f"τ = {tau}: ratio of the two pushes", g[0] / g[1], math.exp(0.5 / tau))
    tau = 0.001
    see.between(
        "τ → 0: τ·loss is the hinge, within τ log 3",
        0.7,
        tau * mc.losses.ranking_nce(s / tau, rest / tau),
        0.7 + tau * math.log(3),
    )
    tau = 1e5
    mean = np.append(s, rest).mean()
    see.equal(
        "τ → ∞: (loss − log 3) τ is the mean of all less the positive",
        tau * (float(mc.losses.ranking_nce(s / tau, rest / tau)) - math.log(3)),
        mean - 0.2,
        1e-4,
    )


@claim(
    says="The contrastive loss has inner relations to other losses.",
    verdict="right",
    exactly=r"Right; the next claims say which. One more: $\mathcal L-\log(2N-2)\to-\frac1\tau\mathbb "
    r"E[s_+]+\mathbb E_x\log\mathbb E_{x'}e^{s(x,x')/\tau}$, alignment and uniformity.",
    sources="Wang & Isola 2020 (arXiv:2005.10242), Theorem 1",
)
def s64(see):
    """NT-Xent on random points of the sphere in 3 dimensions, where the limit is known, for N = 8, 64 and 512."""
    tau, off = 0.5, []
    limit = math.log(math.sinh(1 / tau) * tau)
    for n, repeats in ((8, 200), (64, 40), (512, 6)):
        rng = np.random.default_rng([n, 64])
        gaps = []
        for _ in range(repeats):
            a = plain.unit(rng.standard_normal((n, 3)))
            b = plain.unit(a + 0.3 * rng.standard_normal((n, 3)))
            aligned = 1 - mc.losses.align(a, b) / 2  # the mean cosine of partners
            gaps.append(float(mc.losses.nt_xent(a, b, tau) - math.log(2 * n - 2) + aligned / tau - limit))
        off.append(abs(np.mean(gaps)))
        see.note(f"N = {n}: off by {np.mean(gaps):+.4f}")
    see.holds("it comes nearer", off[0] > off[1] > off[2])
    see.less("N = 512: off by", off[2], 0.01)
    u = plain.unit(np.random.default_rng(65).standard_normal((30, 3)))
    pairs = np.triu_indices(30, 1)
    see.equal(
        "uniformity is log mean e^{cos/τ} at τ = 1/4, less 4",
        mc.losses.uniform(u, t=2.0),
        plain.logsumexp(4 * plain.cosines(u)[pairs] - 4) - math.log(435),
    )


@claim(
    says="The triplet loss maximises the relative distance of positive and negative pairs; it is a *special "
    "case* of the contrastive loss.",
    verdict="imprecise",
    exactly=r"(a) $\tau\ell\to\max(0,\max_ks_k-s_p)$ as $\tau\to0$, within $\tau\log(M+1)$: a batch-hard hinge with "
    r"margin 0. (b) A margin must be put in: $s_p-m$. (c) With one negative and $\tau>0$: "
    r"$\mathrm{softplus}((s_n-s_p)/\tau)$. (d) On the sphere $s_n-s_p=\frac12(d_p^2-d_n^2)$. (e) It is *no* "
    r"case of the pairwise loss, which has an absolute margin. The “margin 2τ” in the appendix of SupCon "
    r"joins two expansions that hold at different places.",
    sources="Schroff et al. 2015 (arXiv:1503.03832); Hermans et al. 2017 (arXiv:1703.07737); Khosla et al. 2020 "
    "(arXiv:2004.11362), appendix",
)
def s65(see):
    """(a) to (e), one by one."""
    rng = np.random.default_rng(65)
    s, rest = rng.uniform(-1, 1, 2000), rng.uniform(-1, 1, (2000, 5))
    hinge = np.maximum(0, rest.max(axis=1) - s)
    for tau in (0.1, 0.01):
        off = tau * np.asarray(mc.losses.ranking_nce(s / tau, rest / tau, reduction="none")) - hinge
        see.between(f"a: τ = {tau}: largest excess over the hinge, up to τ log 6", 0, off.max(), tau * math.log(6))
        see.less(f"a: τ = {tau}: never below it", -1e-12, off.min())
    tau, m = 0.001, 0.2
    with_margin = tau * mc.losses.ranking_nce(np.array([(0.5 - m) / tau]), np.array([[0.4 / tau]]))
    see.equal("b: with a margin of 0.2 put in, the hinge", with_margin, 0.1, 1e-6)
    a, p, n = plain.unit(rng.standard_normal((3, 20, 4)))
    cos = lambda x, y: (x * y).sum(axis=1)
    soft = np.logaddexp(0, (cos(a, n) - cos(a, p)) / 0.3)
    alone = [float(mc.losses.info_nce(a[k : k + 1], p[k : k + 1], 0.3, negatives=n[k : k + 1])) for k in range(20)]
    see.equal("c: one negative: soft triplet", np.array(alone), soft)
    triplet = np.asarray(mc.losses.triplet(a, p, n, margin=5.0, squared=True, reduction="none")) - 5
    see.equal("d: half the difference of squared distances", triplet / 2, cos(a, n) - cos(a, p), 1e-10)
    origin = np.zeros((1, 1))
    at = lambda d: np.array([[float(d)]])
    shift = [[float(mc.losses.triplet(origin, at(1 + c), at(1.5 + c), margin=1.0)) for c in (0, 2)]]
    pairs = lambda c: mc.losses.contrastive(
        np.zeros((2, 1)), np.array([[1.0 + c], [1.5 + c]]), np.array([True, False]), margin=2.0
    )
    see.equal("e: all distances 2 longer: the triplet loss stays", shift[0][1], shift[0][0])
    see.less("e: the pairwise loss does not: it changes by", 0.5, abs(float(pairs(2) - pairs(0))))
    see.derived("triplet", "a triplet loss with margin 2τ", "the triplet as a case of the pairwise loss")


def information(joint):
    """I(u; v) in nats."""
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    return float((joint * np.log(joint / np.outer(rows, columns))).sum())


def expected_nt_xent(scores, joint):
    """NT-Xent for N = 2 images in expectation. `scores` is a table over all views: first views u, then second views
    v. An anchor u has the candidates v (its partner) and u′, v′ of another image; likewise an anchor v."""
    n, m = joint.shape
    a, b, c, d = np.array(list(itertools.product(range(n), range(m), range(n), range(m)))).T
    u, v, u2, v2 = a, n + b, c, n + d
    losses = []
    for anchor, partner in ((u, v), (v, u)):
        candidates = np.stack([partner, u2, v2])
        losses.append(plain.logsumexp(scores[anchor, candidates], axis=0) - scores[anchor, partner])
    return float(joint[a, b] * joint[c, d] @ np.mean(losses, axis=0))


@claim(
    says="InfoNCE comes from maximising mutual information, and is formally the same as the contrastive loss.",
    verdict="imprecise",
    exactly=r"The same form, with the critic $e^{\cos/\tau}$ and the batch as candidates. It comes from density "
    r"ratios, and shows a *lower bound*, $I\ge\log K-\mathcal L$, which stops at $\log K$. For NT-Xent the "
    r"safe constant is $\log N$. $\log(2N-1)-\mathcal L\le I$ is *false* for a general critic: where first "
    r"and second views look different, it can tell the sides apart. For cosines, which are inner products, "
    r"it cannot while the views are independent: then $\mathcal L\ge\log(2N-1)$, as $\lVert\mathbb "
    r"Eu-\mathbb Ev\rVert^2\ge0$; in between no violation was found, which proves nothing.",
    sources="van den Oord et al. 2018 (arXiv:1807.03748); Poole et al. 2019 (arXiv:1905.06922); Tschannen et al. "
    "2020 (arXiv:1907.13625); McAllester & Stratos 2020 (arXiv:1811.04251)",
)
def s66(see):
    """The ceiling at 16.6 nats; the tempting constant against a critic that tells sides apart, and against cosines,
    by enumeration."""
    rng = np.random.default_rng(66)
    D, rho = 20, 0.9
    I = -D / 2 * math.log(1 - rho**2)
    for K in (2, 64, 512):
        x, y = rng.standard_normal((2, 200, D))
        y = rho * x + math.sqrt(1 - rho**2) * y
        critic = lambda x, y: -((y - rho * x) ** 2).sum(-1) / (2 * (1 - rho**2)) + (y**2).sum(-1) / 2
        others = critic(x[:, None], rng.standard_normal((200, K - 1, D)))
        found = math.log(K) - float(mc.losses.ranking_nce(critic(x, y), others))
        see.between(
            f"K = {K}, I = {I:.1f}, the right critic shows nearly log K", 0.97 * math.log(K), found, math.log(K)
        )

    independent = np.full((2, 2), 0.25)
    sides = np.where(
        np.arange(4)[:, None] // 2 == np.arange(4) // 2, -30.0, 0.0
    )  # views of one side are never candidates
    loss = expected_nt_xent(sides, independent)
    see.equal("views share nothing: information", information(independent), 0, 1e-12)
    see.equal("critic that tells sides apart: log 3 − L, above it", math.log(3) - loss, math.log(1.5), 1e-9)
    see.equal("the safe constant: log 2 − L", math.log(2) - loss, 0, 1e-9)

    def gap(x, joint):
        u = plain.unit(x[:-1].reshape(4, 3))
        return math.log(3) - expected_nt_xent(u @ u.T * math.exp(x[-1]), joint) - information(joint)

    least = max(gap(np.append(rng.standard_normal(12), rng.uniform(-1, 3)), independent) for _ in range(100))
    see.less("cosines, independent views: largest log 3 − L of 100 draws", least, 1e-12)
    found = []
    for _ in range(10):
        free = lambda x: -gap(x[4:], plain.softmax(x[:4]).reshape(2, 2))
        found.append(-minimize(free, rng.standard_normal(17), method="L-BFGS-B", options={"maxiter": 25}).fun)
    see.less(
        "cosines, joint distributions and vectors searched from 10 starts: largest log 3 − L − I", max(found), 1e-6
    )
    z = rng.standard_normal((8, 3))
    s, partner = plain.cosines(z) / 0.4, plain.partners(4)
    see.equal(
        "the same form: ranking over 2N − 1 candidates",
        mc.losses.nt_xent(z[:4], z[4:], 0.4),
        mc.losses.ranking_nce(s[np.arange(8), partner], plain.negatives(s, partner)),
    )
    see.derived("info_nce", "the safe constant", "the tempting constant")


@claim(
    says="For binary classification, cross-entropy and contrastive loss are formally the same.",
    verdict="imprecise",
    exactly=r"Three readings are right: (i) one positive and one negative: binary cross-entropy of "
    r"$(s_p-s_n)/\tau$; (ii) binary NCE: cross-entropy with the labels data and noise; (iii) NT-Xent: "
    r"cross-entropy with $2N-1$ classes. It is not true of the margin loss.",
    sources="Sohn 2016; Chen et al. 2020 (arXiv:2002.05709)",
)
def s67(see):
    """The three identities, and the margin loss, which can be 0."""
    rng = np.random.default_rng(67)
    s, rest = rng.standard_normal(7), rng.standard_normal((7, 4))
    bce = mc.losses.binary_cross_entropy_with_logits
    see.equal("i: one positive, one negative", mc.losses.ranking_nce(s, rest[:, :1]), bce(s - rest[:, 0], np.ones(7)))
    log_q, noise_log_q = -rng.random(7), -rng.random((7, 4))
    logits = np.concatenate([(s - log_q)[:, None], rest - noise_log_q], axis=1) - math.log(4)
    see.equal(
        "ii: binary NCE",
        mc.losses.nce(s, rest, log_q, noise_log_q),
        bce(logits, np.eye(5)[np.zeros(7, int)], reduction="sum") / 7,
    )
    z = rng.standard_normal((8, 3))
    logits = plain.cosines(z) / 0.3
    np.fill_diagonal(logits, -1e9)
    see.equal("iii: NT-Xent", mc.losses.cross_entropy(logits, plain.partners(4)), mc.losses.nt_xent(z[:4], z[4:], 0.3))
    far = mc.losses.contrastive(np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([False]))
    see.equal("the margin loss of a far negative, as no cross-entropy of finite scores can be", far, 0, 0)


@claim(
    says="The loss of skip-gram is in essence a contrastive loss.",
    verdict="imprecise",
    exactly=r"SGNS is binary NCE *without* $\log(kq)$. Its optimum is $\log\frac{p(w,c)}{k\,p(w)q(c)}$, which is "
    r"$\mathrm{PMI}-\log k$ only if the noise $q$ is the unigram; with the usual $q\propto p^{3/4}$ it is "
    r"off. No cosine, no τ, two tables, binary.",
    sources="Mikolov et al. 2013 (arXiv:1310.4546); Levy & Goldberg 2014; Goldberg & Levy 2014 (arXiv:1402.3722); "
    "Dyer 2014 (arXiv:1410.8251)",
)
def s68(see):
    """Minimises the expected SGNS over a 5 × 5 table of scores, for unigram noise and for its power ¾."""
    rng, k = np.random.default_rng(68), 5
    joint = rng.dirichlet(0.7 * np.ones(25)).reshape(5, 5)
    w, c = joint.sum(axis=1), joint.sum(axis=0)
    pmi = np.log(joint / np.outer(w, c))
    one = np.ones((25, 1))

    def optimum(q):
        noise = np.outer(w, q).ravel() * k

        def f(x):
            # a table of scores as vectors of length 1: score · 1; ±1e3 silences the other half of the loss
            like = lambda m: mc.losses.skip_gram(one, m[:, None], np.full((25, 1, 1), -1e3), reduction="none")
            dislike = lambda m: mc.losses.skip_gram(one, np.full((25, 1), 1e3), m[:, None, None], reduction="none")
            value, (g,) = mc.value_and_grad(lambda m: mc.sum(joint.ravel() * like(m)) + mc.sum(noise * dislike(m)), x)
            return float(value), g

        return minimize(
            f, np.zeros(25), jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-16, "gtol": 1e-12}
        ).x.reshape(5, 5)

    usual = c**0.75 / (c**0.75).sum()
    for name, q in (("unigram", c), ("power ¾", usual)):
        found = optimum(q)
        see.equal(f"{name}: log p(w,c)/(k p(w) q(c))", found, np.log(joint / (k * np.outer(w, q))), 1e-3)
        off = np.abs(found - (pmi - math.log(k))).max()
        if name == "unigram":
            see.less("unigram: off from PMI − log k by", off, 0.01)
        else:
            see.equal("power ¾: off from PMI − log k by log c/q", off, np.abs(np.log(c / usual)).max(), 0.02)
            see.less("which is", 0.05, off)
    v = rng.standard_normal((3, 1, 4))
    see.less(
        "no cosine: vectors three times as long change the loss by",
        0.1,
        abs(float(mc.losses.skip_gram(3 * v[0], v[1], v[2][None]) - mc.losses.skip_gram(v[0], v[1], v[2][None]))),
    )
    see.derived("sgns", "shifted PMI for the usual noise", "scores are log-probabilities")


@claim(
    says="The contrastive loss gives one frame for similarity measures, mutual information, and so on.",
    verdict="opinion",
    exactly="An opinion; no experiment decides whether a frame is a good one. What can be shown: what is inside. "
    "Losses with candidates are one function of scores (S16, S33); outside are a margin on one pair, and a "
    "sum of binary terms.",
    sources="the article",
)
def s69(see):
    """For four losses with candidates and three without: does a common shift of all scores leave the loss as it is?"""
    rng = np.random.default_rng(69)
    s, rest = rng.standard_normal(6), rng.standard_normal((6, 3))
    square = rng.standard_normal((6, 6))
    zeros = np.zeros(6), np.zeros((6, 3))
    inside = {
        "ranking NCE": lambda c: mc.losses.ranking_nce(s + c, rest + c),
        "cross-entropy": lambda c: mc.losses.cross_entropy(square + c, np.arange(6)),
        "N-pair": lambda c: mc.losses.n_pair(
            np.column_stack([square, np.full(6, c)]), np.column_stack([np.eye(6), np.ones(6)])
        ),
        "triplet": lambda c: mc.losses.triplet(np.zeros((6, 1)), np.abs(s)[:, None] + c, np.abs(rest[:, :1]) + c),
    }
    outside = {
        "binary NCE": lambda c: mc.losses.nce(s + c, rest + c, *zeros),
        "binary cross-entropy": lambda c: mc.losses.binary_cross_entropy_with_logits(square + c, np.eye(6)),
        "pairwise with a margin": lambda c: mc.losses.contrastive(
            np.zeros((6, 1)), np.abs(s)[:, None] + c, np.arange(6) < 3
        ),
    }
    for name, loss in inside.items():
        see.equal(f"{name}: shifted by 2", loss(2.0), loss(0.0))
    for name, loss in outside.items():
        see.less(f"{name}: changes by", 0.05, abs(float(loss(2.0)) - float(loss(0.0))))
