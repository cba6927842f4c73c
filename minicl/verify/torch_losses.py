"""Every loss with torch's own functions, as short as they allow: a witness that a stranger wrote the derivatives of.

This file is imported when torch is asked for. Arguments are those of `minicl.losses`, the reduction is the mean.
"""

try:
    import torch
    import torch.nn.functional as F
except ImportError:  # minicl.verify says "not installed" and goes on
    torch = F = None


def normalize(z):
    """Rows of length 1; divided by their largest entry first, whose square may overflow or vanish."""
    top = z.detach().abs().amax(1, keepdim=True)
    return F.normalize(z / torch.where(top > 0, top, 1.0))


def contrastive(x1, x2, similar, margin=1.0):
    d = F.pairwise_distance(x1, x2, eps=0)
    return torch.where(similar, d**2, F.relu(margin - d) ** 2).mean() / 2


def triplet(anchor, positive, negative, margin=1.0, squared=False):
    distance = lambda a, b: F.pairwise_distance(a, b, eps=0) ** (2 if squared else 1)
    return F.triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=distance, margin=margin)


def mined_triplet(z, labels, margin=1.0, mining="all", squared=False):
    d = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist") ** (2 if squared else 1)
    same = labels[:, None] == labels
    positive, negative = same & ~torch.eye(len(z), dtype=torch.bool), ~same
    if mining == "all":
        a, p, n = torch.nonzero(positive[:, :, None] & negative[:, None, :], as_tuple=True)
        return F.relu(d[a, p] - d[a, n] + margin).mean()
    if mining == "batch_hard":
        usable = positive.any(1) & negative.any(1)
        furthest = d.masked_fill(~positive, -torch.inf)[usable].amax(1)
        closest = d.masked_fill(~negative, torch.inf)[usable].amin(1)
        return F.relu(furthest - closest + margin).mean()
    a, p = torch.nonzero(positive, as_tuple=True)
    further = negative[a] & (d[a] > d[a, p][:, None])
    found = further.any(1)
    closest = d[a].masked_fill(~further, torch.inf)[found].amin(1)
    return F.relu(d[a, p][found] - closest + margin).mean()


def n_pair(anchors, positives, l2=0.0):
    lengths = (anchors.square().sum(1) + positives.square().sum(1)) / 2
    return F.cross_entropy(anchors @ positives.T, torch.arange(len(anchors))) + l2 * lengths.mean()


def cross_entropy(logits, target):
    return F.cross_entropy(logits, target)


def nce(scores, noise_scores, log_q, noise_log_q):
    logits = torch.cat([(scores - log_q)[:, None], noise_scores - noise_log_q], 1)
    logits = logits - torch.log(torch.tensor(noise_scores.shape[1], dtype=logits.dtype))
    is_data = torch.zeros_like(logits).index_fill(1, torch.tensor([0]), 1.0)
    return F.binary_cross_entropy_with_logits(logits, is_data, reduction="sum") / len(scores)


def ranking_nce(scores, noise_scores, log_q=0.0, noise_log_q=0.0):
    logits = torch.cat([(scores - log_q)[:, None], noise_scores - noise_log_q], 1)
    return F.cross_entropy(logits, torch.zeros(len(scores), dtype=torch.long))


def info_nce(queries, keys, temperature=0.5, negatives=None, symmetric=False):
    candidates = keys if negatives is None else torch.cat([keys, negatives])
    logits = normalize(queries) @ normalize(candidates).T / temperature
    right = torch.arange(len(queries))
    forth = F.cross_entropy(logits, right)
    return (forth + F.cross_entropy(logits.T, right)) / 2 if symmetric else forth


def _scores(z1, z2, temperature, layout):
    """Scores of 2N views with −inf on the diagonal, and the partners."""
    if z2 is None and layout == "interleaved":
        z1, z2 = z1[::2], z1[1::2]  # the mean does not see the order
    u = normalize(z1 if z2 is None else torch.cat([z1, z2]))
    scores = (u @ u.T / temperature).masked_fill(torch.eye(len(u), dtype=torch.bool), -torch.inf)
    return scores, torch.arange(len(u)).roll(len(u) // 2)


def nt_xent(z1, z2=None, temperature=0.5, layout="stacked"):
    return F.cross_entropy(*_scores(z1, z2, temperature, layout))


def _positive_and_negatives(z1, z2, temperature, layout):
    scores, partner = _scores(z1, z2, temperature, layout)
    positive = scores.gather(1, partner[:, None])
    return positive[:, 0], scores.scatter(1, partner[:, None], -torch.inf)


def dcl(z1, z2=None, temperature=0.5, layout="stacked"):
    positive, negatives = _positive_and_negatives(z1, z2, temperature, layout)
    return (negatives.logsumexp(1) - positive).mean()


def debiased(z1, z2=None, temperature=0.5, class_prior=0.1, layout="stacked"):
    positive, negatives = _positive_and_negatives(z1, z2, temperature, layout)
    top = torch.maximum(positive, negatives.amax(1)).detach()  # a constant that cancels
    count = len(positive) - 2
    a, mean = (positive - top).exp(), (negatives - top[:, None]).exp().sum(1) / count
    floor = torch.exp(-torch.ones(()) / temperature - top)
    g = torch.maximum((mean - class_prior * a) / (1 - class_prior), floor)
    return (torch.log(a + count * g) + top - positive).mean()


def supcon(z, labels, temperature=0.5, form="out"):
    u = normalize(z)
    itself = torch.eye(len(u), dtype=torch.bool)
    log_p = F.log_softmax((u @ u.T / temperature).masked_fill(itself, -torch.inf), dim=1)
    positive = (labels[:, None] == labels) & ~itself
    keep = positive.any(1)
    log_p, positive = log_p[keep], positive[keep]
    count = positive.sum(1)
    if form == "out":
        return (-log_p.masked_fill(~positive, 0.0).sum(1) / count).mean()
    return (count.to(z).log() - log_p.masked_fill(~positive, -torch.inf).logsumexp(1)).mean()


def multi_positive(views, temperature=0.5, form="out"):
    return supcon(views.flatten(0, 1), torch.arange(views.shape[1]).repeat(views.shape[0]), temperature, form)


def skip_gram(centers, contexts, negatives):
    right, wrong = torch.einsum("nd,nd->n", centers, contexts), torch.einsum("nd,nkd->nk", centers, negatives)
    return -(F.logsigmoid(right) + F.logsigmoid(-wrong).sum(1)).mean()


def siglip(z1, z2, temperature=0.1, bias=-10.0):
    y = 2 * torch.eye(len(z1), dtype=z1.dtype) - 1
    return -F.logsigmoid(y * (normalize(z1) @ normalize(z2).T / temperature + bias)).sum() / len(z1)


def moco(queries, keys, queue, temperature=0.07):
    q, k = normalize(queries), normalize(keys.detach())
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ normalize(queue.detach()).T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


def memory_bank(z, bank, index, temperature=0.07, negatives=None):
    u, bank = normalize(z), normalize(bank.detach())
    if negatives is None:
        return F.cross_entropy(u @ bank.T / temperature, index)
    rows = bank[torch.cat([index[:, None], negatives], 1)]
    logits = torch.einsum("nd,nkd->nk", u, rows) / temperature
    return F.cross_entropy(logits, torch.zeros(len(u), dtype=torch.long))


def align(z1, z2, alpha=2):
    return F.pairwise_distance(normalize(z1), normalize(z2), eps=0).pow(alpha).mean()


def uniform(z, t=2.0):
    exponents = -t * F.pdist(normalize(z)).square()
    return torch.logsumexp(exponents, 0) - torch.log(torch.tensor(len(exponents), dtype=z.dtype))
