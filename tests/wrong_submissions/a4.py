"""Wrong submissions of assignment 4."""

WRONG = {
    "end-of-the-ring": {
        "answers": {
            "oldest": "oldest = 4",
            "fifo_queue": """
def fifo_queue(queue, count, keys):
    new = queue.copy()
    start = count % len(queue)
    room = len(new[start : start + len(keys)])
    new[start : start + len(keys)] = keys[:room]
    return new, count + len(keys)
""",
        },
        "loses": {
            "test_oldest": "one-too-old",
            "test_fifo_queue-order": "dropped-at-the-end",
            "test_fifo_queue-many": "dropped-at-the-end",
        },
    },
    "naive-exp": {
        "answers": {
            "blocked_lse": """
def blocked_lse(scores, n, block):
    return np.log(sum(np.exp(scores(a, min(a + block, n))).sum(axis=1) for a in range(0, n, block)))
""",
            "supcon": """
def supcon(z, labels, temperature):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    s, other = u @ u.T / temperature, ~np.eye(len(z), dtype=bool)
    positive = (labels[:, None] == labels) & other
    some = positive.any(axis=1)
    p = np.exp(s) / (np.exp(s) * other).sum(axis=1, keepdims=True)
    return (-(np.log(np.where(positive, p, 1)))[some].sum(axis=1) / positive[some].sum(axis=1)).mean()
""",
        },
        "loses": {"test_blocked_lse-large": "naive-exp", "test_supcon-sharp": "naive-exp"},
    },
    "parts-by-themselves": {
        "answers": {
            "factor": "factor = 1024",
            "times": "times = 1",
            "cached_gradient": """
def cached_gradient(encode, pull_back, loss_gradient, x, chunk):
    dw = 0.0
    for a in range(0, len(x), chunk):
        part = x[a : a + chunk]
        dw = dw + pull_back(part, loss_gradient(encode(part)))
    return dw
""",
        },
        "loses": {
            "test_factor": "both-sides",
            "test_times": "one-pass",
            "test_cached_gradient-whole": "parts-by-themselves",
            "test_cached_gradient-rest": "parts-by-themselves",
        },
    },
    "singles-in-the-mean": {
        "answers": {
            "supcon": """
def supcon(z, labels, temperature):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = u @ u.T / temperature
    np.fill_diagonal(s, -np.inf)
    top = s.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(s - top).sum(axis=1, keepdims=True))
    positive = (labels[:, None] == labels) & ~np.eye(len(z), dtype=bool)
    return (np.where(positive, log_sum - s, 0).sum(axis=1) / np.maximum(positive.sum(axis=1), 1)).mean()
""",
            "as_supcon": """
def as_supcon(views):
    v, n, d = views.shape
    return views.reshape(v * n, d), np.repeat(np.arange(n), v)
""",
            "floor": "floor = 0.0",
        },
        "loses": {
            "test_supcon-values": "singles-in-the-mean",
            "test_supcon-sharp": "singles-in-the-mean",
            "test_as_supcon": "labels-in-another-order",
            "test_floor": "zero",
        },
    },
    "labels-for-nothing": {
        "answers": {
            "few_rows": """
def few_rows(labels, k, rng):
    return np.concatenate([rng.choice(np.flatnonzero(labels == c), k) for c in np.unique(labels)])
""",
            "label_curve": """
def label_curve(train_x, train_y, test_x, test_y, draws):
    return np.array([mc.evaluate.linear_probe(train_x, train_y, test_x, test_y, model="ridge") for rows in draws])
""",
            "frozen": "frozen = 'A'",
        },
        "loses": {
            "test_few_rows": "with-replacement",
            "test_label_curve": "all-labels",
            "test_frozen": "statistics-forgotten",
        },
    },
    "not-paired": {
        "answers": {
            "gain": """
def gain(a, b):
    from scipy.stats import t
    n = len(a)
    return a.mean() - b.mean(), t.ppf(0.975, n - 1) * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n)
""",
            "few_rows": """
def few_rows(labels, k, rng):
    return np.concatenate([np.flatnonzero(labels == c)[:k] for c in np.unique(labels)])
""",
        },
        "loses": {"test_gain": "not-paired", "test_few_rows": "not-random"},
    },
}
