"""Section 3 of the article, the algorithm and how to make it cheaper or better (S34 to S48)."""

import math

import numpy as np

import minicl as mc

from . import plain, training
from .claim import claim


@claim(
    says="The goal: samples of one class have very similar representations, samples of different classes "
    "different ones.",
    verdict="wrong",
    exactly="As S8. NT-Xent knows no classes: at its optimum two images of one class are as far apart as any two, "
    "$-1/(N-1)$. SupCon has this goal.",
    sources="Khosla et al. 2020 (arXiv:2004.11362); Graf et al. 2021 (arXiv:2102.08817)",
)
def s34(see):
    """Minimises both losses for 4 images of 2 classes with free embeddings, and compares the cosines within a class."""
    of_class = np.array([0, 0, 1, 1, 0, 0, 1, 1])  # images 0, 1 | 2, 3; two views each
    _, a = training.minimised(lambda z: mc.losses.nt_xent(z[:4], z[4:], 0.5), (8, 3), 34, tries=2)
    _, b = training.minimised(lambda z: mc.losses.supcon(z, of_class, 0.5), (8, 3), 34, tries=2)
    see.equal("NT-Xent: two images of one class", plain.cosines(a)[0, 1], -1 / 3, 1e-3)
    see.equal("SupCon: the same two", plain.cosines(b)[0, 1], 1.0, 1e-3)
    see.equal("SupCon: images of two classes", plain.cosines(b)[0, 2], -1.0, 1e-3)


@claim(
    says="Steps: score of the positive, scores of all others, then make the difference between the positive "
    "logit and all negative logits large; this is the logistic loss, and gives NT-Xent.",
    verdict="imprecise",
    exactly=r"Exact with *one* negative: $-\log\sigma((s_p-s_n)/\tau)$. With more it is the logistic loss of $s_p$ "
    r"against the log-sum-exp of the negatives, and no sum of logistic losses: "
    r"$\max_k\mathrm{softplus}(s_k-s_p)<\ell<\sum_k\mathrm{softplus}(s_k-s_p)$.",
    sources="Sohn 2016",
)
def s35(see):
    """The three numbers on 5000 draws with 6 negatives; and the case of one negative."""
    rng = np.random.default_rng(35)
    s, rest = rng.standard_normal(5000), rng.standard_normal((5000, 6))
    loss = np.asarray(mc.losses.ranking_nce(s, rest, reduction="none"))
    logistic = np.logaddexp(0, rest - s[:, None])
    see.equal("softplus(LSE of the negatives − s)", loss, np.logaddexp(0, plain.logsumexp(rest, axis=1) - s))
    see.less("smallest distance to the largest logistic loss", 0, (loss - logistic.max(axis=1)).min())
    see.less("smallest distance to the sum of them", 0, (logistic.sum(axis=1) - loss).min())
    one = mc.losses.ranking_nce(s, rest[:, :1], reduction="none")
    see.equal("one negative: the logistic loss", one, -np.log(plain.expit(s - rest[:, 0])))


@claim(
    says=r"The algorithm: views $\tilde x$, representations $z=f(\tilde x)$, similarities, and ℓ(i, j) with the "
    r"sum to N.",
    verdict="wrong",
    exactly=r"The index is wrong (S17), and the head is missing: $z=g(f(\tilde x))$ (S25). To the letter, at "
    r"collapse one half of the anchors of $N$ images would have $\log(N-1)$ and the other half $\log N$, in "
    r"place of $\log(2N-1)$.",
    sources="Chen et al. 2020 (arXiv:2002.05709), Algorithm 1",
)
def s36(see):
    """The algorithm at collapse, where the number of candidates can be read off; and one whole step, by hand and by
    the library."""
    n = 5
    rows, s = np.arange(2 * n), np.ones((2 * n, 2 * n))
    letter = plain.anchors(s, rows ^ 1, lambda i: rows[:n][rows[:n] != i])
    see.equal("to the letter: views of the first half", letter[:n], np.full(n, math.log(n - 1)))
    see.equal("to the letter: views of the second half", letter[n:], np.full(n, math.log(n)))
    see.equal("the library", mc.losses.nt_xent(np.ones((n, 2)), np.ones((n, 2))), math.log(2 * n - 1))
    encoder, head = training.network(0)
    method = mc.train.SimCLR(encoder, head, training.VIEW, temperature=0.5, batch_size=8, seed=3)
    images = training.digits()[0][:8]
    measured = method.step(mc.train.Batch(images, None, np.arange(8)))
    v1, v2 = mc.data.two_views(images, training.VIEW, np.random.default_rng(3).spawn(2)[1])
    encoder, head = training.network(0)
    z = head(encoder(np.concatenate([v1, v2]))).data.astype(float)
    see.equal("one step of SimCLR: its loss", measured["loss"], plain.nt_xent(z, 0.5).mean(), 1e-5)


@claim(
    says=r"The sum of all losses of positive pairs: $\mathcal L=\frac1{2N}\sum_{k=1}^N[\ell(2k-1,2k)+\ell(2k,2k-1)]$.",
    verdict="right",
    exactly=r"The formula is right. It is a *mean* over $2N$ anchors. $\ell$ is not symmetric, "
    r"$\ell(i,j)\ne\ell(j,i)$, so both are needed. The published code of SimCLR gives twice this value (a "
    r"mean over $N$ of both).",
    sources="Chen et al. 2020 (arXiv:2002.05709), Algorithm 1; google-research/simclr, objective.py",
)
def s37(see):
    """The formula, term by term, against the library; the two losses of a pair; and the sum."""
    z = np.random.default_rng(37).standard_normal((8, 3))
    s, rows = plain.cosines(z) / 0.5, np.arange(8)
    each = plain.anchors(s, rows ^ 1, lambda i: rows[rows != i])
    formula = sum(each[2 * k] + each[2 * k + 1] for k in range(4)) / 8
    see.equal("the formula", mc.losses.nt_xent(z, temperature=0.5, layout="interleaved"), formula)
    see.equal(
        "the sum is 2N times as much",
        mc.losses.nt_xent(z, temperature=0.5, layout="interleaved", reduction="sum"),
        8 * formula,
    )
    none = mc.losses.nt_xent(z, temperature=0.5, layout="interleaved", reduction="none")
    see.less("ℓ(1, 2) and ℓ(2, 1) differ by", 0.01, abs(none[0] - none[1]))


@claim(
    says="Update the encoder by gradient descent.",
    verdict="right",
    exactly=r"Right; SimCLR takes LARS with a cosine schedule, whose step is a constant times "
    r"$\lVert w\rVert/\lVert g\rVert$ times the gradient, layer by layer. And steps must be small enough.",
    sources="You et al. 2017 (arXiv:1708.03888); Chen et al. 2020 (arXiv:2002.05709)",
)
def s38(see):
    """A small and a large step on the loss; and the first step of LARS against its formula."""
    z = np.random.default_rng(38).standard_normal((8, 3))
    loss = lambda x: mc.losses.nt_xent(x[:4], x[4:], 0.1)
    value, (g,) = mc.value_and_grad(loss, z)
    see.equal("how fast it falls along −g: ‖g‖²", (value - loss(z - 1e-7 * g)) / 1e-7, (g * g).sum(), 1e-4)
    see.less("a step of 0.01", loss(z - 0.01 * g), value)
    ends = [training.descend(loss, [z], 100, lr)[1][-1] for lr in (0.1, 1e5)]
    see.less("100 steps: with lr = 0.1, then with lr = 100,000", *ends)
    w = mc.tensor(z.copy())
    mc.optim.LARS([w], lr=0.3, momentum=0.0, trust=0.001).step([g])
    see.equal("first step of LARS", z - w.data, 0.3 * 0.001 * np.linalg.norm(z) / np.linalg.norm(g) * g)
    see.equal("cosine schedule: half-way", mc.optim.Cosine(100)(50), 0.5, 1e-6)


@claim(
    says="τ controls the scaling of the similarity scores.",
    verdict="right",
    exactly=r"Right: the logits are $s/\tau\in[-1/\tau,1/\tau]$.",
)
def s39(see):
    """The loss at τ on cosines is the loss at 1 on scores that were divided; and the largest difference of two
    logits."""
    z, partner = np.random.default_rng(39).standard_normal((8, 3)), plain.partners(4)
    for tau in (0.05, 0.5, 5.0):
        s = plain.cosines(z) / tau
        divided = mc.losses.ranking_nce(s[np.arange(8), partner], plain.negatives(s, partner))
        see.equal(f"τ = {tau}", mc.losses.nt_xent(z[:4], z[4:], tau), divided)
    two = np.array([[1.0, 0], [-1, 0]])
    see.equal("opposite images, τ = 0.05: DCL is −2/τ + log 2", mc.losses.dcl(two, two, 0.05), -40 + math.log(2))


@claim(
    says="A larger τ makes the similarity scores smoother.",
    verdict="imprecise",
    exactly=r"With the weights as they are, the similarities do not change. The *distribution over the candidates* "
    r"gets smoother: its entropy rises, $\frac{dH}{d\tau}=\mathrm{Var}_p(s)/\tau^3$. The gradient shrinks "
    r"like $1/\tau$, too, so a sweep with one learning rate confuses the two. Trained with the step size "
    r"kept apart, a larger τ gives embeddings that are more tolerant and less uniform.",
    sources="Wang & Liu 2021 (arXiv:2012.09740); Wang & Isola 2020 (arXiv:2005.10242)",
)
def s40(see):
    """The entropy law by differences; how the gradient shrinks; and small encoders, trained at τ = 0.2, 1 and 3 with
    Adam."""
    s = np.random.default_rng(40).uniform(-1, 1, 9)

    def entropy(tau):
        log_p = mc.log_softmax(s / tau)
        return -float((np.exp(log_p) * log_p).sum())

    for tau in (0.1, 0.5, 2.0):
        p = plain.softmax(s / tau)
        variance = (p * s**2).sum() - (p * s).sum() ** 2
        h = 1e-4 * tau
        see.equal(f"dH/dτ at τ = {tau}", (entropy(tau + h) - entropy(tau - h)) / (2 * h), variance / tau**3, 1e-5)
    z = np.random.default_rng(41).standard_normal((16, 4))
    size = lambda tau: np.linalg.norm(mc.value_and_grad(lambda x: mc.losses.nt_xent(x[:8], x[8:], tau), z)[1][0])
    see.between("gradient at τ = 100 over that at 200, nearly 2", 1.9, size(100) / size(200), 2.1)
    see.derived("temperature", "the cosine does not know the temperature", "smoother similarities")

    found = {tau: [] for tau in (0.2, 1.0, 3.0)}
    for seed in (0, 1, 2):
        rng = np.random.default_rng([seed, 40])
        y = np.arange(32) % 4
        x = 1.2 * rng.standard_normal((4, 12))[y] + 0.35 * rng.standard_normal((32, 12))
        for tau in found:
            noise = np.random.default_rng(seed)
            encoder = mc.nn.MLP([12, 64, 3], rng=seed, dtype=np.float64)
            view = lambda: x + 0.25 * noise.standard_normal(x.shape)
            rule = mc.optim.Adam(encoder.parameters(), lr=3e-3)
            for _ in range(150):
                z = encoder(np.concatenate([view(), view()]))
                rule.step(mc.grad(mc.losses.nt_xent(z, temperature=tau), rule.parameters))
            z = encoder(x).data
            found[tau].append((mc.evaluate.tolerance(z, y), mc.evaluate.uniformity(z)))
    tolerance, uniformity = ({tau: np.array(v)[:, k] for tau, v in found.items()} for k in (0, 1))
    for tau in (1.0, 3.0):
        see.mean(f"tolerance: τ = {tau} less τ = 0.2", tolerance[tau] - tolerance[0.2], above=0)
        see.mean(
            f"uniformity (smaller is more even): τ = {tau} less τ = 0.2", uniformity[tau] - uniformity[0.2], above=0
        )
    see.mean("tolerance: τ = 3 less τ = 1", tolerance[3.0] - tolerance[1.0])


@claim(
    says="It is costly because the similarity to all other samples is needed.",
    verdict="imprecise",
    exactly="“All other samples” are those of the batch. What is dear is to *encode* a negative, not to compare "
    "with it: for an MLP 784-512-256-128, 565 k multiplications against 128, 4416 times as many. But there "
    "are $N$ encodings and $N^2$ comparisons, so a batch can be so large that comparing costs more.",
    sources="He et al. 2019 (arXiv:1911.05722); Wu et al. 2018 (arXiv:1805.01978)",
)
def s41(see):
    """Counts the weights that an image passes; counts candidates; finds the N at which comparing costs as much as
    encoding."""
    encoder = mc.nn.MLP([784, 512, 256, 128], rng=0)
    encode = sum(p.data.size for p in encoder.parameters() if p.ndim == 2)
    see.equal("multiplications to encode one image", encode, 784 * 512 + 512 * 256 + 256 * 128)
    see.equal("times as many as to compare with it", round(encode / 128), 4416)
    z = np.ones((64, 2))
    see.equal(
        "candidates of an anchor for N = 32: e to the loss at collapse", math.exp(mc.losses.nt_xent(z[:32], z[32:])), 63
    )
    compared = lambda n: (2 * n) ** 2 * 128 / (2 * n * encode)
    see.less("comparing all views of a batch over encoding them, for N = 256", compared(256), 1)
    see.less("the same for N = 4096", 1, compared(4096))


@claim(
    says="A memory bank keeps a queue of samples.",
    verdict="wrong",
    exactly="A memory bank has a slot for *each image* of the data set, written anew when the image is seen. The "
    "queue, first in first out, is MoCo's. A queue must begin with something: zeros are easy negatives, "
    "and so is unit noise, since the embeddings of an untrained network lie in a narrow cone. Against "
    "either, the key of the right image comes first at step 0 almost always, and that says nothing.",
    sources="Wu et al. 2018 (arXiv:1805.01978); He et al. 2019 (arXiv:1911.05722)",
)
def s42(see):
    """Writes to a bank and to a queue; then asks an untrained encoder to find keys against a queue of zeros, of
    noise and of keys."""
    images = training.digits()[0][:6]
    encoder, head = training.network(0)
    bank = mc.train.MemoryBank(encoder, head, training.VIEW, size=6, dim=32, momentum=0.0, batch_size=2, seed=0)
    before = bank.bank.copy()
    for index in ([4, 1], [1, 3]):
        bank.step(mc.train.Batch(images[index], None, np.array(index)))
    slots = np.flatnonzero((bank.bank != before).any(axis=1)).tolist()
    see.holds("bank of 6 images, after the images 4, 1 and 1, 3: slots that changed", slots == [1, 3, 4], str(slots))

    queue = mc.train.Queue(np.zeros((3, 1)))
    for new in ([1.0, 2.0], [2.0, 4.0], [5.0, 6.0]):
        queue.put(np.array(new)[:, None])
    held = queue.oldest_first().ravel()
    see.equal("queue of 3, after 1, 2, 2, 4, 5, 6", held, np.array([4.0, 5.0, 6.0]), 0)

    first, cone = {"zeros": [], "unit noise": [], "keys of other images": []}, []
    x = training.digits()[0]
    for seed in training.SEEDS:
        rng, (encoder, head) = np.random.default_rng(seed), training.network(seed)
        v1, v2 = mc.data.two_views(x[:64], training.VIEW, rng)
        q, k = (plain.unit(head(encoder(v)).data) for v in (v1, v2))
        queues = (
            np.zeros((256, 32)),
            plain.unit(rng.standard_normal((256, 32))),
            plain.unit(head(encoder(x[64:320])).data),
        )
        cone.append((k @ queues[-1].T).mean())
        for name, rows in zip(first, queues):
            first[name].append(100 * np.mean((q * k).sum(axis=1) > (q @ rows.T).max(axis=1)))
    see.mean("untrained: cosine of the keys of two images, 0 for unit noise", cone, above=0.5)
    see.mean("untrained, queue of zeros: % of keys that come first", first["zeros"], above=95)
    see.mean("untrained, queue of unit noise", first["unit noise"], above=95)
    see.mean("untrained, queue of keys", first["keys of other images"], below=50)


@claim(
    says="… which greatly reduces computation.",
    verdict="imprecise",
    exactly="It reduces *encoding*, and the memory for activations, of a step with a given number of negatives. "
    "The scores still cost $BKd$, and the price is staleness: what is stored was made by an older encoder.",
    sources="Wu et al. 2018 (arXiv:1805.01978); He et al. 2019 (arXiv:1911.05722)",
)
def s43(see):
    """Trains SimCLR on digits, stores the embeddings of 200 images after each epoch, and compares them with fresh
    ones by age."""
    images = training.digits()[0]
    by_age = []
    for seed in (0, 1, 2):
        encoder, head = training.network(seed)
        method = mc.train.SimCLR(encoder, head, training.VIEW, temperature=0.2, lr=3e-3, seed=seed)
        stored = []
        for epoch in range(1, 7):
            method.fit(images[:512], epochs=epoch, progress=False)
            stored.append(plain.unit(method.embed(images[:200])))
        by_age.append([(stored[-1] * old).sum(axis=1).mean() for old in stored[::-1]])
    ages = np.array(by_age)
    see.equal("age 0: cosine of stored and fresh", ages[:, 0], np.ones(3), 1e-5)
    for age in (1, 5):
        see.mean(f"age {age} epochs", ages[:, age], below=0.999)
    see.mean("cosine at age 1 less that at age 5", ages[:, 1] - ages[:, 5], above=0)
    K, B = 65_536, 256
    see.equal(
        "encodings in a step with 65,536 negatives: a batch that holds them, over MoCo", (K + 2) / (2 * B), 128.0, 1e-4
    )


@claim(
    says="A momentum encoder improves consistency; it extracts representations *instead of* the current encoder.",
    verdict="imprecise",
    exactly=r"It encodes the *keys* only; queries come from the trained encoder. No gradient goes into it: "
    r"$\theta_k\leftarrow m\theta_k+(1-m)\theta_q$, after the step, with $m$ near 1. Consistency is bought "
    r"with lag.",
    sources="He et al. 2019 (arXiv:1911.05722), Eq. 2 and Table on m",
)
def s44(see):
    """One step of MoCo, parameter by parameter; then m against a query encoder that walks at random."""
    rng = np.random.default_rng(44)
    encoder, head = training.small_network()
    method = mc.train.MoCo(
        encoder, head, mc.data.vectors.Jitter(0.5), dim=3, queue_size=8, momentum=0.9, lr=0.1, batch_size=4, seed=0
    )
    old = {name: p.data.copy() for name, p in method.named_parameters()}
    method.step(mc.train.Batch(rng.standard_normal((4, 6)), None, np.arange(4)))
    new = {name: p.data for name, p in method.named_parameters()}
    keys = [name for name in new if name.startswith("key_")]
    trained = {id(p) for p in method.optimizer.parameters}
    see.holds(
        "no parameter of the key encoder is in the optimiser",
        not any(id(p) in trained for n, p in method.named_parameters() if n in keys),
    )
    off = [np.abs(new[n] - (0.9 * old[n] + 0.1 * new[n.removeprefix("key_")])).max() for n in keys]
    see.equal("key parameters less m θ_k + (1 − m) θ_q, of " + str(len(keys)), max(off), 0, 1e-14)
    see.less(
        "the queries' encoder has moved by", 1e-3, max(np.abs(new[n] - old[n]).max() for n in new if n not in keys)
    )

    drift, lag = {}, {}
    walk = np.cumsum(rng.standard_normal((3000, 50)), axis=0)
    for m in (0.0, 0.9, 0.99, 0.999):
        key = [walk[0]]
        for q in walk[1:]:
            key.append(m * key[-1] + (1 - m) * q)
        key = np.array(key)
        drift[m] = np.linalg.norm(key[1100:] - key[1000:-100], axis=1).mean()
        lag[m] = np.linalg.norm(walk[1000:] - key[1000:], axis=1).mean()
        see.note(f"m = {m}: keys move by {drift[m]:.0f} in 100 steps, and lag behind by {lag[m]:.0f}")
    see.holds("a larger m: keys more alike", drift[0.0] > drift[0.9] > drift[0.99] > drift[0.999])
    see.holds("a larger m: more lag", lag[0.0] < lag[0.9] < lag[0.99] < lag[0.999])


@claim(
    says="Large batches are used to improve efficiency.",
    verdict="imprecise",
    exactly=r"They are used for more negatives: a smaller bias of the log-partition ($\approx-\mathrm{CV}^2/2M$), a "
    r"higher ceiling of the information (S66). That *costs* memory: $4N^2$ scores, $O(N)$ activations. In "
    r"parts it is exact only if the gradient in the embeddings is cached; the mean of the losses of parts "
    r"is another loss.",
    sources="Chen et al. 2020 (arXiv:2002.05709); Gao et al. 2021 (arXiv:2101.06983); Yeh et al. 2021 "
    "(arXiv:2110.06848)",
)
def s45(see):
    """The bias, by simulation; a gradient in two passes, the mean over 4 parts, and without the gradient of gathered
    rows."""
    rng = np.random.default_rng(45)
    w = np.exp(rng.standard_normal(100_000) * 0.33 / 0.5)
    truth, spread = math.log(w.mean()), w.var() / w.mean() ** 2
    for m in (16, 64, 256):
        draws = rng.choice(w, (8000, m))
        lse = np.asarray(mc.logsumexp(np.log(draws), axis=1)) - math.log(m)
        bias = (
            lse - truth - (draws.mean(axis=1) / w.mean() - 1)
        )  # what is taken off has the mean 0, and most of the noise
        predicted, error = -spread / (2 * m), 4 * bias.std() / math.sqrt(len(bias))
        see.between(
            f"{m} negatives: bias, and −CV²/2M = {predicted:.4f} within a fifth",
            1.2 * predicted - error,
            bias.mean(),
            0.8 * predicted + error,
        )

    net = mc.nn.MLP([10, 16, 8], rng=0, dtype=np.float64)
    x = rng.standard_normal((2, 12, 10))
    flat = lambda gs: np.concatenate([g.ravel() for g in gs])
    loss = lambda z: mc.losses.nt_xent(z[: len(z) // 2], z[len(z) // 2 :], 0.2)
    rows = lambda part: np.concatenate(list(part))
    whole = flat(mc.grad(loss(net(rows(x))), net.parameters()))
    cached = flat(mc.train.cached_gradient(net, rows(x), loss, 5)[1])
    see.equal("gradient in two passes, 5 rows at a time", cached, whole, 1e-12)
    parts = np.mean(
        [flat(mc.grad(loss(net(rows(x[:, k : k + 3]))), net.parameters())) for k in range(0, 12, 3)], axis=0
    )
    see.less("mean over 4 parts: relative error", 0.1, np.linalg.norm(parts - whole) / np.linalg.norm(whole))

    z = rng.standard_normal((24, 8))
    u = plain.unit(z)
    s = u @ u.T / 0.2
    np.fill_diagonal(s, -np.inf)
    g = (plain.softmax(s, axis=1) - np.eye(24)[plain.partners(12)]) / (24 * 0.2)
    tangent = lambda h: (h - u * (u * h).sum(axis=1, keepdims=True)) / np.linalg.norm(z, axis=1, keepdims=True)
    full, alone = tangent((g + g.T) @ u), tangent(g @ u)
    see.equal("the full gradient in the embeddings", mc.value_and_grad(loss, z)[1][0], full, 1e-10)
    see.between(
        "without that of gathered rows: length, as a share", 0.4, np.linalg.norm(alone) / np.linalg.norm(full), 0.7
    )


@claim(
    says="In two stages: contrastive pretraining, then transfer and fine-tuning.",
    verdict="right",
    exactly="Right, and not complete: a linear probe of the frozen encoder is not fine-tuning, and one evaluates "
    "without augmentation. That the head goes and h stays is a custom (S13).",
    sources="Chen et al. 2020 (arXiv:2002.05709; arXiv:2006.10029)",
)
def s46(see):
    """Digits, 3 % of the labels: a frozen probe, fine-tuning, and the same network from nothing; and what fine-
    tuning leaves alone."""
    images, labels, test_images, test_labels = training.digits()
    found = []
    for seed in training.SEEDS:
        encoder = training.simclr(seed).encoder
        before = [p.data.copy() for p in encoder.parameters()]
        stages = mc.train.two_stage(
            encoder,
            images,
            labels,
            test_images,
            test_labels,
            fraction=0.03,
            fresh=training.network(seed)[0],
            epochs=30,
            seed=seed,
            lr=3e-3,
        )
        found.append([100 * stages[name] for name in ("probe", "finetune", "scratch")])
    probe, tuned, scratch = np.array(found).T
    for name, values in (("probe", probe), ("fine-tuning", tuned), ("from nothing", scratch)):
        see.mean(f"% right, {name}", values)
    see.holds("probe and fine-tuning are two things", (probe != tuned).all())
    see.mean("fine-tuning is above chance (10)", tuned, above=40)
    see.holds(
        "the given encoder is not changed", all(np.array_equal(a, p.data) for a, p in zip(before, encoder.parameters()))
    )
    frozen = mc.train.FineTune(encoder, 64, 10, encoder_lr=0.0).fit(images[:64], 1, labels=labels[:64], progress=False)
    see.holds(
        "a probe leaves the encoder bit for bit",
        all(np.array_equal(a, p.data) for a, p in zip(before, frozen.encoder.parameters())),
    )


@claim(
    says="Multi-view augmentation: several strategies make several views, and this makes it robust.",
    verdict="imprecise",
    exactly=r"Two things are mixed: kinds of changes, and the number $V$ of views. More than two views need a rule: "
    r"the mean over positives outside the logarithm or inside, $\mathcal L_{\mathrm{in}}\le\mathcal "
    r"L_{\mathrm{out}}$. For $V=2$ both are NT-Xent.",
    sources="Tian et al. 2019 (arXiv:1906.05849); Caron et al. 2020 (arXiv:2006.09882); Khosla et al. 2020 "
    "(arXiv:2004.11362)",
)
def s47(see):
    """Both rules for 3 views against plain sums, their order on 50 draws, and the case of two views."""
    rng = np.random.default_rng(47)
    views, tau = rng.standard_normal((3, 4, 5)), 0.5
    s = plain.cosines(views.reshape(12, 5)) / tau
    out, inside = [], []
    for i in range(12):
        p = np.array([s[i, k] for k in range(12) if k != i and k % 4 == i % 4]) - plain.logsumexp(np.delete(s[i], i))
        out.append(-p.mean())
        inside.append(-(plain.logsumexp(p) - math.log(2)))
    see.equal("outside the logarithm", mc.losses.multi_positive(views, tau), np.mean(out))
    see.equal("inside the logarithm", mc.losses.multi_positive(views, tau, form="in"), np.mean(inside))
    gaps = [
        float(mc.losses.multi_positive(v, tau) - mc.losses.multi_positive(v, tau, form="in"))
        for v in rng.standard_normal((50, 3, 4, 5))
    ]
    see.less("smallest of 50 gaps, out less in", 0, min(gaps))
    for form in ("out", "in"):
        two = views[:2].reshape(8, 5)
        see.equal(
            f"two views, {form}: NT-Xent",
            mc.losses.multi_positive(views[:2], tau, form=form),
            plain.nt_xent(two, tau).mean(),
        )


@claim(
    says="With these strategies it scales to larger data and models, with better performance.",
    verdict="opinion",
    exactly="Large models and data are told by their papers. At our scale an experiment decides one half: more "
    "images for the same number of steps give better neighbours, or not.",
    sources="Chen et al. 2020 (arXiv:2006.10029), for large models",
)
def s48(see):
    """SimCLR with 100 steps of 32 images on 32 and on 1280 digits; neighbours on test images, with the same labelled
    ones."""
    images, labels, test_images, test_labels = training.digits()
    gain = []
    for seed in training.SEEDS:
        small, large = (training.simclr(seed, count=count, batch_size=32) for count in (32, 1280))
        right = [
            mc.evaluate.knn(m.embed(images), labels, m.embed(test_images), test_labels, k=5) for m in (small, large)
        ]
        gain.append(100 * (right[1] - right[0]))
    see.mean("40 times the images, the same steps: gain", gain, unit=" points")
    see.less("on average more images are better", 0, np.mean(gain))
    see.note("larger models are not tried here")
