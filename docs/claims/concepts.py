"""Section 2 of the article, core concepts: NT-Xent, the steps of SimCLR, and what they are kin to (S15 to S33)."""

import math

import numpy as np

import minicl as mc

from . import plain, training
from .claim import claim


def simplex(n):
    """n unit vectors, each two with cosine −1/(n − 1)."""
    return plain.unit(np.eye(n) - 1 / n)


@claim(
    says="(Again) the contrastive loss measures the similarity of the representations of two samples.",
    verdict="wrong",
    exactly=r"As S7: $\ell_i=\log\bigl(1+\sum_{k\ne i,j}e^{(s_{ik}-s_{ij})/\tau}\bigr)$ is $-\log$ of the "
    r"probability of finding the partner among $2N-1$ candidates.",
)
def s15(see):
    """Two batches whose first pair is the same: equal similarity, and another loss; and the loss as the −log of a
    probability."""
    rng = np.random.default_rng(15)
    z1, z2 = rng.standard_normal((2, 5, 3))
    few = mc.losses.nt_xent(z1[:2], z2[:2], 0.5, reduction="none")[0]
    many = mc.losses.nt_xent(z1, z2, 0.5, reduction="none")[0]
    see.less("the same pair among 3 candidates, then among 9", few, many)
    s = plain.cosines(np.concatenate([z1, z2]))[0] / 0.5
    see.equal("−log of the share of the partner", many, -math.log(np.exp(s[5]) / np.exp(s[1:]).sum()))


@claim(
    says="NT-Xent is the most used contrastive loss.",
    verdict="opinion",
    exactly="Nothing that runs here decides what is used most; that would be a count of papers and products. "
    "InfoNCE, the loss of CLIP, SigLIP and triplets are used, too. What can be shown: several of them are "
    "one function, with other candidates.",
    sources="Sohn 2016; Radford et al. 2021 (arXiv:2103.00020); Zhai et al. 2023 (arXiv:2303.15343)",
)
def s16(see):
    """Gives the same scores to N-pair, InfoNCE, MoCo, memory bank and NT-Xent; and to SigLIP, which is another
    function."""
    rng = np.random.default_rng(16)
    q, k, extra = plain.unit(rng.standard_normal((3, 5, 4)))
    tau = 0.3
    one = plain.anchors(q @ k.T / tau, range(5), lambda i: slice(None)).mean()
    see.equal("N-pair on unit vectors times 1/√τ", mc.losses.n_pair(q / tau**0.5, k / tau**0.5), one)
    see.equal("InfoNCE", mc.losses.info_nce(q, k, tau), one)
    see.equal("memory bank", mc.losses.memory_bank(q, k, np.arange(5), tau), one)
    both = np.concatenate([q @ k.T, q @ extra.T], axis=1) / tau
    see.equal(
        "InfoNCE with more negatives",
        mc.losses.info_nce(q, k, tau, negatives=extra),
        plain.anchors(both, range(5), lambda i: slice(None)).mean(),
    )
    own = plain.ranking((q * k).sum(1) / tau, q @ extra.T / tau).mean()
    see.equal("MoCo, whose candidates are the own key and the queue", mc.losses.moco(q, k, extra, tau), own)
    views = [mc.losses.info_nce(a, b, tau, negatives=None, reduction="none") for a, b in ((q, k), (k, q))]
    see.less(
        "NT-Xent has the own side as candidates, too: InfoNCE of both directions",
        np.mean(views),
        mc.losses.nt_xent(q, k, tau),
    )
    see.holds(
        "SigLIP of the same scores is another number", abs(float(mc.losses.siglip(q, k, tau, bias=0.0)) - one) > 0.1
    )


@claim(
    says="In the formula of the loss, the sum in the denominator runs over k = 1 … N without k = i.",
    verdict="wrong",
    exactly=r"With $N$ images it must run to $2N$: $\ell_i=-\log\frac{e^{s_{ij}/\tau}}{\sum_{k=1}^{2N}\mathbb "
    r"1_{[k\ne i]}e^{s_{ik}/\tau}}$, one positive and $2N-2$ negatives. It is right only if $N$ counts "
    r"views, and then the mean over $2N$ anchors (S37) is not.",
    sources="Chen et al. 2020 (arXiv:2002.05709), Eq. 1",
)
def s17(see):
    """The formula to the letter, and the right one, on 4 images with two near views each, ordered as the article
    orders them."""
    rng, n, tau = np.random.default_rng(17), 4, 0.5
    z = np.repeat(rng.standard_normal((n, 8)), 2, axis=0) + 0.1 * rng.standard_normal((2 * n, 8))
    s, partner = plain.cosines(z) / tau, np.arange(2 * n) ^ 1
    letter = plain.anchors(s, partner, lambda i: [k for k in range(n) if k != i])
    right = plain.anchors(s, partner, lambda i: [k for k in range(2 * n) if k != i])
    see.equal(
        "the library gives the sum to 2N",
        mc.losses.nt_xent(z, temperature=tau, layout="interleaved", reduction="none"),
        right,
    )
    terms = [sum(k != i for k in range(n)) for i in range(2 * n)]
    see.holds("terms to the letter, and not 7", set(terms) == {3, 4}, str(terms))
    see.less("to the letter, the smallest “−log of a probability”", letter.min(), 0)
    see.less("the right ones are positive", 0, right.min())
    see.derived("nt_xent", "the sum ends at N")


@claim(
    says="$z_i$ and $z_j$ represent two samples.",
    verdict="imprecise",
    exactly=r"They are $z=g(f(\tilde x))$: outputs of the projection head $g$, for two *views* of one sample.",
    sources="Chen et al. 2020 (arXiv:2002.05709), section 2.1",
)
def s18(see):
    """What SimCLR of the library gives to the loss: head of encoder, of two views that differ, of the same images."""
    images = training.digits()[0][:6]
    encoder, head = training.network(0)
    method = mc.train.SimCLR(encoder, head, training.VIEW, temperature=0.5, batch_size=6, seed=0)
    loss, (z1, z2) = method.loss(mc.train.Batch(images, None, np.arange(6)))
    v1, v2 = mc.data.two_views(images, training.VIEW, np.random.default_rng(0).spawn(2)[1])
    for name, z, v in (("first", z1, v1), ("second", z2, v2)):
        see.equal(f"z of the {name} views is head(encoder(view))", z, head(encoder(v)), 1e-5)
    see.less("the two views differ by", 0.01, np.abs(v1 - v2).mean())
    see.equal(
        "the loss is that of the z",
        loss,
        plain.nt_xent(np.concatenate([z1.data, z2.data]).astype(float), 0.5).mean(),
        1e-5,
    )
    see.holds(
        "h has another length than z",
        method.encode(images).shape[1] != z1.shape[1],
        f"{method.encode(images).shape[1]} and {z1.shape[1]}",
    )


@claim(
    says=r"$\mathrm{sim}(u,v)=u^\top v/\lVert u\rVert\lVert v\rVert$ is the cosine similarity.",
    verdict="right",
    exactly=r"Right for $u,v\ne0$, with the lengths in parentheses below the line. At 0 a library must say what it "
    r"does: here the cosine with a zero row is 0, and so is its gradient.",
)
def s19(see):
    """Against the plain formula, with other lengths, and with a row of zeros."""
    u, v = np.random.default_rng(19).standard_normal((2, 50, 4))
    expected = (u * v).sum(1) / (np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1))
    see.equal("the formula", mc.cosine_similarity(u, v), expected)
    lengths = np.geomspace(1e-200, 1e200, 50)[:, None]
    see.equal("lengths from 1e-200 to 1e200", mc.cosine_similarity(u * lengths, v), expected)
    u[0] = 0
    value, (g,) = mc.value_and_grad(lambda a: mc.sum(mc.cosine_similarity(a, v)), u)
    see.equal("cosine and gradient of a zero row", np.append(g[0], mc.cosine_similarity(u, v)[0]), np.zeros(5), 0)
    see.holds("nothing is NaN", np.isfinite(g).all() and np.isfinite(value))


@claim(
    says="τ is a temperature hyper-parameter.",
    verdict="right",
    exactly=r"Right; it can be learned, too. Without it the loss cannot get low: its least value is "
    r"$\log\bigl(1+(2N-2)e^{-N/((N-1)\tau)}\bigr)$, for $d\ge N-1$. At $N=128$ that is 4.540 for $\tau=1$ "
    r"(collapse: 5.541) and 0.0106 for $\tau=0.1$.",
    sources="Wu et al. 2018 (arXiv:1805.01978); Wang & Liu 2021 (arXiv:2012.09740); Radford et al. 2021 "
    "(arXiv:2103.00020)",
)
def s20(see):
    """The least value by its formula, at the simplex, and by minimisation; and the slope in τ by differences."""
    floor = lambda n, tau: math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * tau)))
    z = simplex(128)
    for tau, said in ((1.0, 4.540), (0.1, 0.0106)):
        see.equal(f"N = 128, τ = {tau}: simplex", mc.losses.nt_xent(z, z, tau), floor(128, tau))
        see.equal(f"N = 128, τ = {tau}: as said", round(floor(128, tau), 4 if tau < 1 else 3), said)
    see.equal("N = 128: collapse", mc.losses.nt_xent(np.ones((128, 3)), np.ones((128, 3)), 1.0), math.log(255))
    best, _ = training.minimised(lambda x: mc.losses.nt_xent(x[:4], x[4:], 0.5), (8, 3), 20)
    see.equal("N = 4, d = 3: best of 4 minimisations", best, floor(4, 0.5), 1e-7)
    z = np.random.default_rng(20).standard_normal((8, 3))
    t = np.array(0.4)
    by_hand = plain.slope(lambda t: plain.nt_xent(z, float(t)).mean(), t)
    see.equal(
        "slope in τ, which can be learned",
        mc.value_and_grad(lambda t: mc.losses.nt_xent(z[:4], z[4:], t), t)[1][0],
        by_hand,
        1e-7,
    )


@claim(
    says="The denominator sums over all negative pairs.",
    verdict="wrong",
    exactly=r"It holds the positive, too: $2N-2$ negatives and one positive. Without it one has the decoupled loss "
    r"(DCL), which is no $-\log$ of a probability and has no lower bound as $\tau\to0$. "
    r"$\ell_{\mathrm{NT}}=\mathrm{softplus}(\ell_{\mathrm{DCL}})$, so NT-Xent has DCL's gradient, times "
    r"$1-P_{ij}$.",
    sources="Chen et al. 2020 (arXiv:2002.05709); Yeh et al. 2021 (arXiv:2110.06848)",
)
def s21(see):
    """Both losses against plain sums; two opposite pairs; and the ratio of the gradients."""
    z, tau = np.random.default_rng(21).standard_normal((8, 3)), 0.3
    rows, partner = np.arange(8), plain.partners(4)
    s = plain.cosines(z) / tau
    without = plain.anchors(s, partner, lambda i: rows[(rows != i) & (rows != partner[i])])
    nt, dcl = (f(z[:4], z[4:], tau, reduction="none") for f in (mc.losses.nt_xent, mc.losses.dcl))
    see.equal("NT-Xent", nt, plain.nt_xent(z, tau))
    see.equal("DCL", dcl, without)
    see.equal("NT-Xent is softplus(DCL)", nt, np.logaddexp(0, without))
    pair = np.array([[1.0, 0], [-1, 0]])
    see.equal("two opposite pairs, τ = 0.1: DCL", mc.losses.dcl(pair, pair, 0.1), -20 + math.log(2))
    see.less("the same: NT-Xent is not negative", 0, mc.losses.nt_xent(pair, pair, 0.1))
    g, h = (
        mc.value_and_grad(lambda x: f(x[:4], x[4:], tau, reduction="none")[0], z)[1][0]
        for f in (mc.losses.nt_xent, mc.losses.dcl)
    )
    see.equal("gradient of one anchor: NT-Xent is (1 − P) times DCL", g, (1 - math.exp(-nt[0])) * h)


@claim(
    says="The loss makes the similarity of positives as large and that of all negatives as small as possible.",
    verdict="imprecise",
    exactly=r"Only differences of similarities count. Negatives are pushed with the weights "
    r"$\rho_{ik}=e^{s_{ik}/\tau}/\sum_{m\ne i,j}e^{s_{im}/\tau}$, the near ones most; and at the optimum "
    r"they stand at $-1/(N-1)$, not at $-1$.",
    sources="Wang & Isola 2020 (arXiv:2005.10242); Wang & Liu 2021 (arXiv:2012.09740); Graf et al. 2021 "
    "(arXiv:2102.08817)",
)
def s22(see):
    """Minimises 3 images in the plane and looks at the cosines; holds the push on each negative against its formula."""
    _, z = training.minimised(lambda x: mc.losses.nt_xent(x[:3], x[3:], 0.5), (6, 2), 22)
    c = plain.cosines(z)
    see.equal("optimum of 3 images: partners", c[np.arange(6), plain.partners(3)], np.ones(6), 1e-6)
    see.equal("optimum of 3 images: negatives", c[0, [1, 2, 4, 5]], np.full(4, -0.5), 1e-4)
    s, rest = np.array([0.8]), np.array([[0.9, 0.5, 0.1, -0.3]])
    tau = 0.2
    _, (g,) = mc.value_and_grad(lambda r: mc.losses.ranking_nce(s / tau, r / tau), rest)
    see.equal("shares of the push", g[0] / g.sum(), plain.softmax(rest[0] / tau))
    see.note(f"they are {np.round(g[0] / g.sum(), 3)} for the similarities {rest[0]}")
    see.equal("all of the push is (1 − P)/τ", g.sum(), (1 - plain.softmax(np.append(s, rest) / tau)[0]) / tau)
    see.derived("known_answers", "negatives at −1")


@claim(
    says="By minimising it, the model learns useful features.",
    verdict="imprecise",
    exactly="A low loss does not imply good features: anything that both views share will do, whether it says "
    "something about the image or not.",
    sources="Chen, Luo & Li 2021 (arXiv:2011.02803); He et al. 2019 (arXiv:1911.05722)",
)
def s23(see):
    """Trains a linear encoder on digits, with and without a random code for each image that both of its views carry."""
    images, labels, _, _ = training.digits()
    x, y = training.pixels(images)[:400].astype(float), labels[:400]
    x = x - x.mean(axis=0)
    losses, right = {True: [], False: []}, {True: [], False: []}
    for seed in (0, 1, 2):
        for code in (False, True):
            rng = np.random.default_rng([seed, 23])
            shared = 3.0 * rng.standard_normal((400, 16)) * code
            view = lambda: np.concatenate([x + 0.3 * rng.standard_normal(x.shape), shared], axis=1)
            w = mc.tensor(0.1 * rng.standard_normal((80, 16)))
            rule = mc.optim.Adam([w], lr=1e-2)
            for _ in range(40):
                value, (g,) = mc.value_and_grad(lambda w: mc.losses.nt_xent(view() @ w, view() @ w, 0.2), w.data)
                rule.step([g])
            losses[code].append(float(value))
            z = np.concatenate([x, shared], axis=1) @ w.data
            right[code].append(100 * mc.evaluate.knn_leave_one_out(z, y))
    see.mean("loss: with the code less without", np.subtract(losses[True], losses[False]), below=0)
    see.mean(
        "% right by neighbours: with the code less without",
        np.subtract(right[True], right[False]),
        below=0,
        unit=" points",
    )


@claim(
    says="Augmentation by random crop, colour distortion and Gaussian noise makes two views.",
    verdict="imprecise",
    exactly="The recipe of SimCLR is crop and resize (with flip), colour distortion and Gaussian *blur*; noise is "
    "no part of it, and does the opposite to fine detail. And the two views need random numbers of their "
    "own.",
    sources="Chen et al. 2020 (arXiv:2002.05709), section 3 and appendix A",
)
def s24(see):
    """How blur and noise change the differences of neighbouring pixels; two views of one generator, of two, and of
    one drawn twice."""
    image = np.random.default_rng(24).random((1, 32, 32, 1))
    rough = lambda x: float(np.abs(np.diff(x, axis=1)).mean())
    blurred = mc.data.views.GaussianBlur(sigma=1.0)(image, rng=0)
    noisy = mc.data.views.GaussianNoise(0.2, limits=None)(image, rng=0)
    see.less("roughness: blurred, then as it was", rough(blurred), rough(image))
    see.less("roughness: as it was, then with noise", rough(image), rough(noisy))
    view = mc.data.views.RandomAffine(degrees=20, shift=2)
    a, b = mc.data.two_views(image, view, 0)
    see.less("two views differ by", 0.01, np.abs(a - b).max())
    again, same = (view(image, np.random.default_rng(0)) for _ in range(2))
    see.equal(
        "one seed for both: the cosine of the pair",
        mc.cosine_similarity(again.reshape(1, -1), same.reshape(1, -1)),
        np.ones(1),
    )


@claim(
    says="An encoder, for example a ResNet, extracts the two representations.",
    verdict="right",
    exactly="Right, but the projection head is left out. It is one encoder for both views, and it must judge each "
    "image alone.",
    sources="Chen et al. 2020 (arXiv:2002.05709), section 4; He et al. 2019 (arXiv:1911.05722) on BatchNorm",
)
def s25(see):
    """The parts of SimCLR in the library; views encoded together and one by one, by a network without and with
    BatchNorm."""
    encoder, head = training.network(0)
    method = mc.train.SimCLR(encoder, head, training.VIEW, batch_size=6)
    parts = {name.split(".")[0] for name, _ in method.named_parameters()}
    see.holds("parts that are trained", parts == {"encoder", "head"}, " and ".join(sorted(parts)))
    x = training.digits()[0][:6]
    alone = np.concatenate([encoder(x[k : k + 1]).data for k in range(6)])
    see.equal("the encoder on 6 images, and on each alone", encoder(x), alone, 1e-5)
    mixing = mc.nn.Sequential(mc.nn.Flatten(), mc.nn.Linear(64, 8, rng=0), mc.nn.BatchNorm1d(8))
    moved = x.copy()
    moved[5] = 1 - moved[5]
    see.less(
        "BatchNorm: another last image moves h of the first by",
        0.01,
        np.abs(mixing(x).data[0] - mixing(moved).data[0]).max(),
    )


@claim(
    says="The two views are a positive pair, all other pairs are negative.",
    verdict="right",
    exactly="Right for each anchor: one positive, and $2N-2$ negatives. The pair $(i,i)$ is neither.",
)
def s26(see):
    """From the derivative of one anchor's loss: which rows does it pull, which does it push, and which not at all?"""
    z = np.random.default_rng(26).standard_normal((10, 4))
    _, (g,) = mc.value_and_grad(lambda x: mc.losses.nt_xent(x[:5], x[5:], 0.5, reduction="none")[0], z)
    toward = (g * plain.unit(z)[0]).sum(axis=1)  # < 0: descent moves the row nearer to the anchor
    see.holds("pulled nearer", np.flatnonzero(toward < -1e-12).tolist() == [5], "row 5, the partner of row 0")
    see.equal("pushed away: 2N − 2", (toward > 1e-12).sum(), 8)
    see.equal("the pair of the anchor with itself", toward[0], 0, 1e-12)


@claim(
    says="Compute the loss of positive and negative pairs and minimise it.",
    verdict="right",
    exactly="Right in broad strokes: a pair has no loss of its own, but minimising the loss of the batch does "
    "bring partners nearer and the others apart.",
)
def s27(see):
    """Gradient descent on 8 free embeddings: the loss never rises, partners come nearer, the others go apart."""
    z = np.random.default_rng(27).standard_normal((8, 3))
    (end,), values = training.descend(lambda x: mc.losses.nt_xent(x[:4], x[4:], 0.5), [z], 300, 0.5)
    partner, others = plain.partners(4), ~np.eye(8, dtype=bool)
    others[np.arange(8), partner] = False
    before, after = plain.cosines(z), plain.cosines(end)
    see.holds("the loss never rises", np.all(np.diff(values) <= 1e-12), f"{values[0]:.3f} → {values[-1]:.3f}")
    see.less("mean cosine of partners", before[np.arange(8), partner].mean(), after[np.arange(8), partner].mean())
    see.less("mean cosine of the others, after and before", after[others].mean(), before[others].mean())


@claim(
    says="Backpropagate, and update the encoder.",
    verdict="right",
    exactly="Right, and the head is updated, too. The key encoder of MoCo (S44) is not: it has no gradient.",
)
def s28(see):
    """One step of SimCLR: which parameters change, and is the gradient that of differences?"""
    rng = np.random.default_rng(28)
    encoder, head = training.small_network()
    method = mc.train.SimCLR(encoder, head, mc.data.vectors.Jitter(0.1), optimizer=mc.optim.SGD, lr=0.1, batch_size=8)
    before = {name: p.data.copy() for name, p in method.named_parameters()}
    x1, x2 = rng.standard_normal((2, 8, 6))
    method.step(mc.train.Batch(x1, None, np.arange(8)))
    changed = [name for name, p in method.named_parameters() if not np.array_equal(p.data, before[name])]
    see.equal("parameters that changed, of all", len(changed), len(before))

    weight = encoder.parameters()[0]
    g = mc.grad(mc.losses.nt_xent(method(x1), method(x2), 0.5), [weight])[0]

    def loss_at(w):
        kept, weight.data = weight.data, w
        value = plain.nt_xent(np.concatenate([method(x1).data, method(x2).data]), 0.5).mean()
        weight.data = kept
        return value

    see.equal("gradient of the first weights, by differences", g, plain.slope(loss_at, weight.data.copy()), 1e-6)


@claim(
    says="Contrastive learning is a self-supervised method for representations.",
    verdict="imprecise",
    exactly="It is used with labels as well: SupCon is the same loss, and only the set of positives is another.",
    sources="Khosla et al. 2020 (arXiv:2004.11362)",
)
def s29(see):
    """SupCon with the image as label, and with classes, against plain sums."""
    z, tau = np.random.default_rng(29).standard_normal((8, 3)), 0.4
    see.equal("the image as label: NT-Xent", mc.losses.supcon(z, np.arange(8) % 4, tau), plain.nt_xent(z, tau).mean())
    y = np.arange(8) % 2
    s = plain.cosines(z) / tau
    terms = [
        np.mean([plain.logsumexp(np.delete(s[i], i)) - s[i, p] for p in range(8) if p != i and y[p] == y[i]])
        for i in range(8)
    ]
    see.equal("two classes", mc.losses.supcon(z, y, tau), np.mean(terms))
    see.less("which is another loss", 1e-3, abs(np.mean(terms) - plain.nt_xent(z, tau).mean()))


@claim(
    says="Metric learning: the contrastive loss measures and learns similarity.",
    verdict="imprecise",
    exactly=r"In spirit. But $1-\cos$ is no metric: for 0°, 45° and 90° it is $1>0.586$. The angle is one, and so "
    r"is the chord.",
    sources="Hadsell, Chopra & LeCun 2006",
)
def s30(see):
    """The triangle inequality at 0°, 45°, 90°, and on 20,000 triples of random unit vectors."""
    at = np.deg2rad([0, 45, 90])
    c = mc.cosine_matrix(np.stack([np.cos(at), np.sin(at)], axis=1), np.stack([np.cos(at), np.sin(at)], axis=1))
    see.less("1 − cos: by way of 45°, and straight to 90°", 2 - c[0, 1] - c[1, 2], 1 - c[0, 2])
    u, v, w = plain.unit(np.random.default_rng(30).standard_normal((3, 20_000, 3)))
    cos = mc.cosine_similarity
    for name, d, metric in [
        ("1 − cos", lambda a, b: 1 - cos(a, b), False),
        ("angle", lambda a, b: np.arccos(np.clip(cos(a, b), -1, 1)), True),
        ("chord", lambda a, b: np.sqrt(np.maximum(2 - 2 * cos(a, b), 0)), True),
    ]:
        broken = int((d(u, w) > d(u, v) + d(v, w) + 1e-7).sum())
        see.holds(f"{name}: triples that break it", (broken == 0) == metric, str(broken))


@claim(
    says="Skip-gram can be seen as a contrastive loss.",
    verdict="imprecise",
    exactly="Only with *negative sampling*. The full softmax (and the hierarchical one) is plain likelihood: no "
    "negatives are drawn, and all rows of the table move.",
    sources="Mikolov et al. 2013 (arXiv:1310.4546); Levy & Goldberg 2014",
)
def s31(see):
    """Which rows of the table of contexts have a gradient, with 3 drawn negatives and with the full softmax?"""
    rng = np.random.default_rng(31)
    v, table = rng.standard_normal((1, 4)), rng.standard_normal((20, 4))
    negatives = np.array([[3, 8, 11]])
    sgns = lambda c: mc.losses.skip_gram(v, c[np.array([5])], mc.take(c, negatives, axis=0))
    full = lambda c: mc.losses.cross_entropy(v @ c.T, np.array([5]))
    moved = [np.flatnonzero(np.abs(mc.value_and_grad(f, table)[1][0]).sum(axis=1)).tolist() for f in (sgns, full)]
    see.holds("negative sampling moves the rows", moved[0] == [3, 5, 8, 11], str(moved[0]))
    see.equal("the full softmax moves", len(moved[1]), 20)
    see.equal(
        "the loss is that of a binary classifier",
        sgns(table),
        plain.binary(v @ table[5], (v @ table[negatives[0]].T))[0],
    )


@claim(
    says="The contrastive loss can be seen as a noise-contrastive *binary* classifier.",
    verdict="imprecise",
    exactly="True of binary NCE and of skip-gram with negative sampling. NT-Xent and InfoNCE are the *ranking* "
    "form: which one of many is right? A common shift of all scores changes the first and not the second.",
    sources="Gutmann & Hyvärinen 2010, 2012; Ma & Collins 2018 (arXiv:1809.01812); Jozefowicz et al. 2016 "
    "(arXiv:1602.02410)",
)
def s32(see):
    """Adds 5 to all scores, binary and ranking; compares the two on 2000 draws."""
    rng = np.random.default_rng(32)
    s, rest = rng.standard_normal(2000), rng.standard_normal((2000, 4))
    q = np.zeros_like(s), np.full_like(rest, -math.log(4))  # log(νq) = 0
    binary = lambda c: mc.losses.nce(s + c, rest + c, q[0] - math.log(4), q[1], reduction="none")
    rank = lambda c: mc.losses.ranking_nce(s + c, rest + c, reduction="none")
    see.equal("binary, by the plain formula", binary(0), plain.binary(s, rest))
    see.equal("ranking, by the plain formula", rank(0), plain.ranking(s, rest))
    see.equal("ranking: 5 more changes nothing", rank(5), rank(0))
    see.less("binary: 5 more, mean change", 5, np.mean(binary(5) - binary(0)))
    see.less("binary is always larger: smallest gap", 0, np.min(binary(0) - rank(0)))


@claim(
    says="Contrastive learning unifies these fields.",
    verdict="opinion",
    exactly="An opinion on how to order things; no experiment decides it. It can be made concrete: which critic, "
    "which negatives, which link (sigmoid or softmax). These identities hold.",
    sources="the article; Le-Khac, Healy & Smeaton 2020 (arXiv:2010.05113)",
)
def s33(see):
    """One identity for each field: self-supervised, supervised, metric learning, words, noise contrast."""
    rng = np.random.default_rng(33)
    z, tau = rng.standard_normal((8, 3)), 0.4
    u = plain.unit(z)
    see.equal(
        "self-supervised: NT-Xent is a softmax of cosines over all other views",
        mc.losses.nt_xent(z[:4], z[4:], tau),
        plain.nt_xent(z, tau).mean(),
    )
    see.equal(
        "supervised: SupCon with two of a class is NT-Xent",
        mc.losses.supcon(z, np.arange(8) % 4, tau),
        plain.nt_xent(z, tau).mean(),
    )
    a, p, n = u[:1], u[1:2], u[2:3]
    two = np.logaddexp(0, (((a - p) ** 2).sum() - ((a - n) ** 2).sum()) / (2 * tau))
    see.equal(
        "metric learning: one negative is a soft triplet of squared distances",
        mc.losses.info_nce(a, p, tau, negatives=n),
        two,
    )
    center, context, noise = rng.standard_normal((3, 1, 5))
    score, others = float((center * context).sum()), center @ noise.T
    see.equal(
        "words: SGNS is binary NCE with log(kq) = 0",
        mc.losses.skip_gram(center, context, noise[:, None]),
        mc.losses.nce(np.array([score]), others, np.zeros(1), np.zeros((1, 1))),
    )
    odds = np.exp(rng.standard_normal(4))
    yes = odds / (1 + odds)
    one = np.array([yes[j] * np.prod(np.delete(1 - yes, j)) for j in range(4)])
    logits = np.log(odds)[None]
    see.equal(
        "noise contrast: binary, given that exactly one is data, is ranking",
        mc.losses.cross_entropy(logits, np.array([2])),
        -math.log(one[2] / one.sum()),
    )
