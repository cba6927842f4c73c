"""Wrong submissions of assignment 2: each has the mistakes that its name says, and loses the points of these alone."""

WRONG = {
    # ---------------------------------------------------------------- 13 points: value and low temperature of NT-Xent
    "anchor-not-masked": {
        "answers": {
            "nt_xent": """
def nt_xent(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    u = z / np.sqrt((z * z).sum(axis=1, keepdims=True))
    logits = u @ u.T / temperature
    rows = np.arange(len(z))
    own = logits[rows, (rows + len(z1)) % len(z)]
    return (np.logaddexp.reduce(logits, axis=1) - own).mean()
"""
        },
        "loses": {"test_nt_xent-values": "self-not-masked", "test_nt_xent-low_temperature": "self-not-masked"},
    },
    # ------------------------------------------------------ 14 points: exponentials as they stand, in four functions
    "naive-exponentials": {
        "answers": {
            "nce_loss": """
def nce_loss(scores, noise_scores, log_q, noise_log_q):
    nu = noise_scores.shape[1]
    h = 1 / (1 + np.exp(-(scores - log_q - np.log(nu))))
    noise_h = 1 / (1 + np.exp(-(noise_scores - noise_log_q - np.log(nu))))
    return (-np.log(h) - np.log(1 - noise_h).sum(axis=1)).mean()
""",
            "three_losses": """
def three_losses(scores, temperature):
    g = scores / temperature
    sigma = lambda t: 1 / (1 + np.exp(-t))
    two = -np.log(sigma(g[0] - g[1]))
    binary = -np.log(sigma(g[0])) - np.log(1 - sigma(g[1:])).sum()
    return two, binary, -np.log(np.exp(g[0]) / np.exp(g).sum())
""",
            "info_nce": """
def info_nce(queries, keys, queue, temperature):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    e = np.exp(unit(queries) @ np.concatenate([unit(keys), unit(queue)]).T / temperature)
    return -np.log(np.diag(e) / e.sum(axis=1)).mean()
""",
            "nt_xent_gradient": """
def nt_xent_gradient(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / lengths
    p = np.exp(u @ u.T / temperature)
    np.fill_diagonal(p, 0)
    p /= p.sum(axis=1, keepdims=True)
    y = np.roll(np.eye(len(z)), len(z1), axis=1)
    g = (p - y) / (len(z) * temperature)
    du = (g + g.T) @ u
    dz = (du - u * (u * du).sum(axis=1, keepdims=True)) / lengths
    return tuple(np.split(dz, 2))
""",
        },
        "loses": {
            "test_nce_loss-large_scores": "naive-log",
            "test_three_losses-large_logits": "naive-exp",
            "test_info_nce-low_temperature": "naive-exp",
            "test_nt_xent_gradient-low_temperature": "naive-exp",
        },
    },
    # ------------------------------------------------------- 9 points: a view is not only an anchor, but a candidate too
    "candidates-constant": {
        "answers": {
            "nt_xent_gradient": """
def nt_xent_gradient(z1, z2, temperature):
    z = np.concatenate([z1, z2])
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    u = z / lengths
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    y = np.roll(np.eye(len(z)), len(z1), axis=1)
    du = (p - y) @ u / (len(z) * temperature)
    dz = (du - u * (u * du).sum(axis=1, keepdims=True)) / lengths
    return tuple(np.split(dz, 2))
"""
        },
        "loses": {
            "test_nt_xent_gradient-values": "candidates-constant",
            "test_nt_xent_gradient-low_temperature": "candidates-constant",
        },
    },
    # ---------------------------------------------- 23 points: what the article says is believed, and programmed
    "article-believed": {
        "answers": {
            "audit": 'audit = {k: "right" for k in range(1, 8)}',
            "nt_xent": """
def nt_xent(z1, z2, temperature):
    z = np.stack([z1, z2], axis=1).reshape(2 * len(z1), -1)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = u @ u.T / temperature
    np.fill_diagonal(logits, -np.inf)
    rows = np.arange(len(z))
    return (np.logaddexp.reduce(logits[:, : len(z1)], axis=1) - logits[rows, rows ^ 1]).mean()
""",
            "collapse": "collapse = math.log(127)",
            "posterior": "posterior = 3 / (3 + 1)",
        },
        "loses": {
            "test_audit-derivation": "constant-believed",
            "test_audit-sum": "sum-to-n",
            "test_nt_xent-values": "sum-to-n",
            "test_nt_xent-low_temperature": "sum-to-n",
            "test_collapse": "sum-to-n",
            "test_posterior": "nu-missing",
        },
    },
    # -------------------------------- 20 points: the number of noise points forgotten, and the two directions mixed
    "nu-forgotten-and-symmetric": {
        "answers": {
            "nce_loss": """
def nce_loss(scores, noise_scores, log_q, noise_log_q):
    data = np.logaddexp(0, log_q - scores)
    return (data + np.logaddexp(0, noise_scores - noise_log_q).sum(axis=1)).mean()
""",
            "info_nce": """
def info_nce(queries, keys, queue, temperature):
    def one_way(a, b):
        unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
        logits = unit(a) @ np.concatenate([unit(b), unit(queue)]).T / temperature
        return (np.logaddexp.reduce(logits, axis=1) - np.diag(logits)).mean()
    return (one_way(queries, keys) + one_way(keys, queries)) / 2
""",
            "second_place": "second_place = 6 / (6 + 1)",
        },
        "loses": {
            "test_nce_loss-values": "nu-missing",
            "test_info_nce-values": "symmetric",
            "test_info_nce-low_temperature": "symmetric",
            "test_second_place": "separate-answers",
        },
    },
    # --------------------------------------------------------------- 10 points: the way a length enters a gradient
    "projection-forgotten": {
        "answers": {
            "cosine_gradient": """
def cosine_gradient(u, v):
    a, b = np.linalg.norm(u), np.linalg.norm(v)
    if a == 0 or b == 0:
        return np.zeros(u.shape), np.zeros(v.shape)
    return v / (a * b), u / (a * b)
""",
            "new_length": "new_length = 4",
        },
        "loses": {
            "test_cosine_gradient-values": "no-projection",
            "test_cosine_gradient-zeros": "no-projection",
            "test_new_length": "step-against-z",
        },
    },
    # --------------------------------------------- 4 points: a batch that is stored in blocks, and so proves nothing
    "blocks-in-place-of-pairs": {
        "answers": {"counterexample": "views = np.concatenate([np.eye(4), np.eye(4)])\ntau = 2.0"},
        "loses": {"test_counterexample": "not-negative"},
    },
}
