"""Section 1 of the article, background: what similarity is for, and what a contrastive loss does (S1 to S14)."""

import math

import numpy as np

import minicl as mc

from . import plain, training
from .claim import claim


@claim(
    says="A similarity measure says how close two samples are; many tasks need one.",
    verdict="right",
    exactly=r"Right as a definition. A *distance* is not a similarity: its sign is opposite. And one should ask "
    r"that nothing be more similar to $u$ than $u$ itself: so it is for $\cos$ and for $-\lVert u-v\rVert$, "
    r"but not for $u^\top v$.",
)
def s1(see):
    """Looks for a vector that is more similar to u than u itself, among 2000 draws, under three measures."""
    u, v = np.random.default_rng(1).standard_normal((2, 2000, 3))
    beaten = lambda f: int((f(u, v) > f(u, u) + 1e-12).sum())
    see.equal("cosine: u is beaten", beaten(mc.cosine_similarity), 0)
    see.equal("minus distance: u is beaten", beaten(lambda a, b: -mc.norm(a - b, axis=1)), 0)
    see.less("inner product: u is beaten, of 2000 times", 0, beaten(lambda a, b: mc.sum(a * b, axis=1)))


@claim(
    says="Clustering assigns samples by their distance to the centres of clusters.",
    verdict="imprecise",
    exactly="That is k-means and its kin. Density-based, spectral and hierarchical clustering have no centres.",
    sources="Lloyd 1982",
)
def s2(see):
    """Clusters two half moons by k-means and by DBSCAN: which share of points lies nearest to the centre of its own
    cluster?"""
    from sklearn.cluster import DBSCAN, KMeans

    points, labels = mc.data.moons(400, noise=0.05, seed=0)

    def nearest_own_centre(found):
        names = np.unique(found)
        centres = np.array([points[found == name].mean(axis=0) for name in names])
        return np.mean(names[mc.evaluate.nearest(points, centres, metric="euclidean")[:, 0]] == found)

    by_centres = KMeans(2, n_init=4, random_state=0).fit_predict(points)
    by_density = DBSCAN(0.2).fit_predict(points)
    see.equal("k-means: nearest to the centre of the own cluster", nearest_own_centre(by_centres), 1.0)
    see.less("DBSCAN: the same share", nearest_own_centre(by_density), 0.95)
    agree = lambda found: max(np.mean(found == labels), np.mean(found != labels))
    see.less("agreement with the moons: k-means, then DBSCAN", agree(by_centres), agree(by_density))


@claim(
    says="Recommendation, retrieval and vision need similarities of users, documents and features.",
    verdict="right",
    exactly="Right; and which measure is taken decides what is found.",
)
def s3(see):
    """Searches digits of random contrast by cosine and by distance: how many of the 10 nearest have the label of the
    query?"""
    images, labels, _, _ = training.digits()
    rng = np.random.default_rng(3)
    x = training.pixels(images)[:500] * rng.uniform(0.2, 2.0, (500, 1))
    found = {m: mc.evaluate.precision_at_k(x, labels[:500], k=10, metric=m) for m in ("cosine", "euclidean")}
    chance = mc.evaluate.precision_at_k(rng.standard_normal(x.shape), labels[:500], k=10)
    see.less("random vectors, then cosine", chance + 0.5, found["cosine"])
    see.less("distance, then cosine", found["euclidean"] + 0.05, found["cosine"])


@claim(
    says="Similarities were written by hand (Euclidean, cosine); learned ones became popular with deep learning.",
    verdict="right",
    exactly="Right, but learning a metric is older than deep learning (Xing et al. 2002, LMNN), and the Siamese "
    "network is of 1993. Learning pays where the written measure looks at the wrong thing.",
    sources="Bromley et al. 1993; Xing et al. 2002; Weinberger & Saul 2009",
)
def s4(see):
    """Points with a class and a stronger nuisance, which the views redraw: neighbours by the given cosine and by a
    learned one."""
    gained = []
    for seed in training.SEEDS:
        x, a, _, z = training.factors("b", seed, spread=4.0)
        gained.append(100 * (mc.evaluate.knn_leave_one_out(z, a) - mc.evaluate.knn_leave_one_out(x, a)))
    see.mean("gain of 5 nearest neighbours over the raw cosine", gained, above=0, unit=" points")


@claim(
    says="Contrastive learning is a new self-supervised paradigm: it maximises the similarity of similar "
    "samples and minimises the difference of dissimilar ones.",
    verdict="imprecise",
    exactly="Contrastive losses are of 2005 and 2006, and had labels; supervised ones are in use today. The second "
    "half is a slip of the pen: the difference of dissimilar samples is *maximised*. By the letter, all "
    "points coincide.",
    sources="Chopra et al. 2005; Hadsell et al. 2006; Khosla et al. 2020 (arXiv:2004.11362)",
)
def s5(see):
    """Minimises the pairwise loss of 12 points, once as it is, and once with the difference of dissimilar pairs made
    small, too."""
    first, second = np.triu_indices(12, 1)
    labels = np.arange(12) % 3
    start = np.random.default_rng(5).standard_normal((12, 2))

    def ends(similar):
        loss = lambda x: mc.losses.contrastive(x[first], x[second], similar, margin=2.0)
        (x,), _ = training.descend(loss, [start], 400, 2.0)
        apart = np.linalg.norm(x[first] - x[second], axis=1)
        return apart[labels[first] != labels[second]].min()

    see.less("by the letter: largest remaining distance of dissimilar points", ends(np.ones(66, bool)), 1e-6)
    see.less("as it is: their smallest distance is above", 0.5, ends(labels[first] == labels[second]))


@claim(
    says="It needs no labels by people and can use large unlabelled data.",
    verdict="imprecise",
    exactly="True of the self-supervised kind. But the choice of the views is human knowledge: what the views "
    "change is thrown away.",
    sources="Tian et al. 2020 (arXiv:2005.10243); Chen et al. 2020 (arXiv:2002.05709)",
)
def s6(see):
    """Points with two hidden labels a and b, and views that redraw one of them: which label do neighbours in the
    embedding tell?"""
    for changed in "ab":
        kept, lost = [], []
        for seed in training.SEEDS:
            _, a, b, z = training.factors(changed, seed)
            keep, drop = (b, a) if changed == "a" else (a, b)
            kept.append(100 * mc.evaluate.knn_leave_one_out(z, keep))
            lost.append(100 * mc.evaluate.knn_leave_one_out(z, drop))
        see.mean(f"views change {changed}: % right about the other label", kept, above=80)
        see.mean(f"views change {changed}: % right about {changed} itself (chance 25)", lost, below=60)


@claim(
    says="The contrastive loss measures the similarity of two representations.",
    verdict="wrong",
    exactly=r"$\mathrm{sim}$ measures the similarity. The loss $\ell_i$ says how well the partner is told from all "
    r"candidates: it depends on all of them, and only on differences of scores.",
)
def s7(see):
    """Moves one other embedding: the similarity of the pair stays, its loss does not."""
    z1, z2 = np.random.default_rng(7).standard_normal((2, 4, 3))
    other = z1.copy()
    other[2] = z1[0] + 0.1 * z1[2]  # next to the anchor
    loss = lambda z: mc.losses.nt_xent(z, z2, 0.5, reduction="none")[0]
    see.equal(
        "similarity of the pair, before and after",
        mc.cosine_similarity(z1[0], z2[0]),
        mc.cosine_similarity(other[0], z2[0]),
        0,
    )
    see.less("loss of its first view, before and after", loss(z1), loss(other))
    see.equal("the loss after, by the formula", loss(other), plain.nt_xent(np.concatenate([other, z2]), 0.5)[0])
    s, rest = np.array([1.0]), np.array([[0.3, -0.2, 0.5]])
    see.equal("5 more in all scores changes nothing", mc.losses.ranking_nce(s + 5, rest + 5), plain.ranking(s, rest)[0])


@claim(
    says="A positive pair is of the same class, a negative pair of different classes.",
    verdict="wrong",
    exactly=r"Wrong of the method that the article goes on to describe: a positive pair is two views of one "
    r"*image*, and other images of its class are negatives. With classes drawn at random, a share $1/C$ of "
    r"the $2N-2$ negatives is of the anchor's class, and $P(\text{none})=(1-1/C)^{N-1}$. Right of "
    r"supervised losses.",
    sources="Saunshi et al. 2019 (arXiv:1902.09229); Khosla et al. 2020 (arXiv:2004.11362); Chuang et al. 2020 "
    "(arXiv:2007.00224)",
)
def s8(see):
    """Counts false negatives in drawn batches; asks in which direction NT-Xent and SupCon push two images of one
    class."""
    rng, N, C = np.random.default_rng(8), 128, 10
    labels = rng.integers(0, C, (4000, N))
    same = 2 * ((labels == labels[:, :1]).sum(axis=1) - 1)
    error = 4 * same.std() / math.sqrt(len(same))
    see.between("false negatives among 254, and 254/10 ± 4 standard errors", 25.4 - error, same.mean(), 25.4 + error)
    few = rng.integers(0, C, (40_000, 8))
    none = (few[:, 1:] != few[:, :1]).all(axis=1).mean()
    see.between("N = 8: share of batches with none, and 0.9⁷ ± 0.01", 0.9**7 - 0.01, none, 0.9**7 + 0.01)
    see.note(f"N = 128: 0.9¹²⁷ = {0.9**127:.1e}. In a batch with exactly as many of each class it is 0 (for N > C)")

    z = rng.standard_normal((12, 4))
    image, of_class = np.arange(12) % 6, np.arange(12) % 3  # images 0 and 3 are of one class
    push = lambda f: float(
        mc.value_and_grad(f, z)[1][0][3] @ plain.unit(z)[0]
    )  # > 0: descent moves row 3 away from row 0
    see.less(
        "NT-Xent pushes another image of the class away",
        0,
        push(lambda x: mc.losses.nt_xent(x[:6], x[6:], 0.5, reduction="none")[0]),
    )
    see.less("SupCon pulls it nearer", push(lambda x: mc.losses.supcon(x, of_class, 0.5, reduction="none")[0]), 0)
    see.equal(
        "SupCon whose labels are images, and NT-Xent", mc.losses.supcon(z, image, 0.5), plain.nt_xent(z, 0.5).mean()
    )


@claim(
    says="By its label, the loss makes the similarity of a pair as large or as small as possible.",
    verdict="imprecise",
    exactly=r"So does the pairwise loss, $\frac12D^2$ or $\frac12\max(0,m-D)^2$, and it pushes only up to the "
    r"margin: the gradient is exactly 0 for $D>m$. NT-Xent has no label for a pair.",
    sources="Hadsell, Chopra & LeCun 2006",
)
def s9(see):
    """The gradient of the pairwise loss on both sides of the margin, against its formula."""
    rng = np.random.default_rng(9)
    x1, x2 = rng.standard_normal((2, 300, 2))
    D, m = np.linalg.norm(x1 - x2, axis=1, keepdims=True), 1.5
    for similar, expected in [(True, x1 - x2), (False, np.where(m > D, -(m - D) / D, 0.0) * (x1 - x2))]:
        f = lambda a: mc.losses.contrastive(a, x2, np.full(300, similar), margin=m, reduction="sum")
        g = mc.value_and_grad(f, x1)[1][0]
        see.equal(f"gradient, similar = {similar}", g, expected)
        at_rest = (g == 0).all(axis=1)
        if similar:
            see.equal("similar pairs without a gradient", at_rest.sum(), 0)
        else:
            see.holds(
                "pairs without a gradient are those beyond the margin",
                (at_rest == (m < D)[:, 0]).all(),
                f"{at_rest.sum()} of 300",
            )


@claim(
    says="The model learns representations that are meaningful for telling classes apart.",
    verdict="imprecise",
    exactly="It does if the views keep the class (and S23 shows when it does not). How much is won depends on the "
    "data, on the number of labels, and on what is compared with.",
    sources="Saunshi et al. 2019 (arXiv:1902.09229); HaoChen et al. 2021 (arXiv:2106.04156)",
)
def s10(see):
    """Digits: a linear classifier with 5 labels a class, on h of SimCLR, on the untrained encoder and on raw pixels."""
    found = training.accuracies(training.FEW)
    see.mean("% right with h", found["h"])
    see.mean("lead over the untrained encoder", found["h"] - found["untrained"], above=0, unit=" points")
    see.mean("lead over raw pixels", found["h"] - found["pixels"], above=0, unit=" points")
    many = training.accuracies(training.MANY)
    see.mean(
        "with 50 labels a class the lead over the untrained encoder is no more",
        many["h"] - many["untrained"],
        below=6,
        unit=" points",
    )


@claim(
    says="It has had excellent results without labels in vision, speech and language.",
    verdict="right",
    exactly="Right as history, and told by those papers. Nothing that runs in a minute decides it; the check only "
    "shows the smallest case of two of the three.",
    sources="van den Oord et al. 2018 (arXiv:1807.03748); Chen et al. 2020 (arXiv:2002.05709); Baevski et al. 2020 "
    "(arXiv:2006.11477); Gao, Yao & Chen 2021 (arXiv:2104.08821)",
)
def s11(see):
    """Vision: partners found by SimCLR on digits. Language: words of two made-up topics, learned by skip-gram with
    negatives."""
    top1 = [100 * training.simclr(seed).history["top1"][-1] for seed in training.SEEDS]
    see.mean("digits: % of partners that come first among 511 (chance 0.2)", top1, above=5)
    words, kept = np.arange(20), []
    for seed in training.SEEDS:
        rng = np.random.default_rng(seed)
        center = rng.integers(0, 20, 600)
        context = np.where(
            rng.random(600) < 0.9, center // 10 * 10 + rng.integers(0, 10, 600), rng.integers(0, 20, 600)
        )
        noise = rng.integers(0, 20, (600, 4))
        loss = lambda v, c: mc.losses.skip_gram(
            mc.take(v, center, axis=0), mc.take(c, context, axis=0), mc.take(c, noise, axis=0)
        )
        (v, _), _ = training.descend(loss, 0.1 * rng.standard_normal((2, 20, 8)), 60, 0.05, mc.optim.Adam)
        kept.append(100 * mc.evaluate.knn_leave_one_out(v, words // 10, k=3))
    see.mean("words: % whose nearest words are of their topic (chance 50)", kept, above=80)


@claim(
    says="It uses data better: pairs teach more than single samples.",
    verdict="opinion",
    exactly="An opinion, which an experiment decides only for one data set. $N$ images give $2N(2N-2)$ negative "
    "scores, but these are functions of $2N$ vectors, and no such number of independent examples. The bar "
    "is the same network, trained on the same labels alone: on these digits, after 100 steps, no lead over "
    "it is shown. Larger images and longer training are another matter.",
    sources="the article; for large images Chen et al. 2020 (arXiv:2006.10029)",
)
def s12(see):
    """Digits with 1, 5 and 20 labels a class: SimCLR on 1347 images and a linear classifier, against the same
    network on the labels alone."""
    for labels in (1, 5, 20):
        alone = [training.from_labels_alone(seed, labels) for seed in training.SEEDS]
        for name in ("h", "z"):
            lead = training.accuracies(labels)[name] - alone
            see.mean(f"lead of SimCLR ({name}) over labels alone, {labels} a class", lead, unit=" points")
            middle, half = mc.evaluate.t_interval(lead)
            see.holds("no lead is shown", middle - half < 0)
    z = np.random.default_rng(12).standard_normal((16, 3))
    see.equal(
        "rank of the 16 × 16 scores of 8 images in 3 dimensions", np.linalg.matrix_rank(mc.cosine_matrix(z, z)), 3
    )


@claim(
    says="It generalises well; its representations tell meanings apart better.",
    verdict="imprecise",
    exactly="It depends on which representation, and on how many labels: Chen et al. report that h, before the "
    "head, is better than z. Here h is better with many labels, and z with few.",
    sources="Chen et al. 2020 (arXiv:2002.05709), section 4.2; Bordes et al. 2022 (arXiv:2206.13378)",
)
def s13(see):
    """Digits: a linear classifier on h and on z of the same networks, with 50 and with 5 labels a class, means of 4
    draws of the labels."""
    lead = {}
    for labels in (training.MANY, training.FEW):
        found = training.accuracies(labels, draws=4)
        lead[labels] = found["h"] - found["z"]
        see.mean(f"h over z, {labels} labels a class", lead[labels], unit=" points")
    see.less("50 labels a class: on average h is better", 0, np.mean(lead[training.MANY]))
    see.mean("h over z with 5 labels a class", lead[training.FEW], below=0, unit=" points")
    see.mean(
        "by how much more labels turn it towards h", lead[training.MANY] - lead[training.FEW], above=0, unit=" points"
    )


@claim(
    says="It is simple, easy to optimise, and fits into everything.",
    verdict="imprecise",
    exactly="The formula is short. But it is easily written wrong without any error message, and in float32 the "
    "formula as it is printed overflows for small τ. Known answers find such mistakes.",
)
def s14(see):
    """Eight ways to write NT-Xent wrong, and three known answers, each of which the right one must give; and float32
    at τ = 0.005."""
    eye = np.eye(4)
    broken = np.concatenate([eye, eye * np.array([[-1.0], [1], [1], [1]])])
    rest = np.logaddexp(-2, math.log(6))  # logits at τ = 0.5: −2 once, 0 six times
    known = [
        ("collapse", np.ones((8, 3)), math.log(7)),
        ("orthogonal images", np.concatenate([eye, eye]), math.log1p(6 * math.exp(-2))),
        ("one broken pair", broken, (2 * (rest + 2) + 6 * (np.logaddexp(2, math.log(6)) - 2)) / 8),
    ]
    for name, z, answer in known:
        see.equal(name, mc.losses.nt_xent(z[:4], z[4:], 0.5), answer)

    def wrong(z, tau=0.5, roll=4, mask=-np.inf, own=True, times=1.0, normal=True, log=lambda p: np.log(p).mean()):
        s = (plain.cosines(z) if normal else z @ z.T) * times / tau
        np.fill_diagonal(s, np.diag(s) if mask is None else mask)
        j = (np.arange(8) + roll) % 8
        e = np.exp(s)
        below = e.sum(axis=1) - (0 if own else e[np.arange(8), j])
        return -log(e[np.arange(8), j] / below)

    mistakes = {
        "the anchor is a candidate": {"mask": None},
        "masked by 0 instead of −∞": {"mask": 0.0},
        "the next row as partner": {"roll": 1},
        "no partner below": {"own": False},
        "not normalised": {"normal": False},
        "τ twice": {"times": 2.0},
        "τ multiplied": {"times": 0.25},
        "log of the mean": {"log": lambda p: np.log(p.mean())},
    }
    tries = [(3.0 * z, answer) for _, z, answer in known]
    caught = [name for name, m in mistakes.items() if any(abs(wrong(z, **m) - answer) > 1e-9 for z, answer in tries)]
    see.holds(
        "the same function without a mistake gives the answers",
        all(abs(wrong(z) - answer) < 1e-9 for z, answer in tries),
    )
    see.equal("mistakes that the known answers find, of 8", len(caught), 8)

    z = np.concatenate([eye, eye]).astype(np.float32)
    e = np.exp(plain.cosines(z) / np.float32(0.005))
    see.holds("float32, τ = 0.005: the formula as it is printed", not np.isfinite(e).all(), "infinite")
    see.holds("float32, τ = 0.005: the library", np.isfinite(mc.losses.nt_xent(z[:4], z[4:], 0.005)), "finite")
