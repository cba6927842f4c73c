"""Wrong submissions of assignment 1."""

WRONG = {
    "paths-not-added": {
        "answers": {"measured": 'measured = {"A": 12.0, "B": (5, 2), "C": 0.0, "D": 2000}'},
        "loses": {"test_measured-A": "paths-not-added", "test_measured-B": "broadcast-not-undone"},
    },
    "recursion": {
        "answers": {
            "topological_order": """
def topological_order(graph, output):
    order = []

    def visit(node):
        if node not in order:
            order.append(node)
            for parent in graph[node]:
                visit(parent)

    visit(output)
    return order
""",
            "affine_vjp": "def affine_vjp(g, x, w, b):\n    return g @ w.T, x.T @ g, g",
        },
        "loses": {"test_topological_order": "depth-first", "test_affine_vjp": "broadcast-not-undone"},
    },
    "naive-exp": {
        "answers": {
            "logsumexp_vjp": """
def logsumexp_vjp(g, x):
    e = np.exp(x)
    return g[..., None] * e / e.sum(axis=-1, keepdims=True)
""",
            "pair_gradient": """
def pair_gradient(W, x, p, n):
    u = np.tanh(W @ x)
    e = np.exp(u @ n - u @ p)
    return np.outer(e / (1 + e) * (n - p) * (1 - u * u), x)
""",
        },
        "loses": {"test_logsumexp_vjp-large": "naive-exp", "test_pair_gradient-large": "naive-exp"},
    },
    "tanh-slope-missing": {
        "answers": {
            "pair_gradient": """
def pair_gradient(W, x, p, n):
    u = np.tanh(W @ x)
    s = np.clip(u @ n - u @ p, -700, 700)
    return np.outer((n - p) / (1 + np.exp(-s)), x)
""",
            "unbroadcast": """
def unbroadcast(g, shape):
    return g.sum(axis=tuple(range(g.ndim - len(shape))))
""",
        },
        "loses": {
            "test_pair_gradient-formula": "tanh-slope-missing",
            "test_pair_gradient-large": "tanh-slope-missing",
            "test_unbroadcast": "added-axes-only",
        },
    },
    "ones-cotangent": {  # the commonest wrong checker: ones, and np.allclose with its own tolerances
        "answers": {
            "gradcheck": """
def gradcheck(forward, vjp, x):
    g = np.ones(np.shape(forward(x)))
    claimed = vjp(g, x)
    if np.shape(claimed) != x.shape or not np.isfinite(claimed).all():
        return False
    slopes = nudge(lambda x: forward(x).sum(), x)
    return bool(np.allclose(claimed, slopes))
""",
            "witness": """
some_x = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
exposing = (np.eye(3), some_x)
hiding = (np.diag([1.0, 2.0, 3.0]), some_x)
""",
        },
        "loses": {"test_gradcheck-values": "all-ones-cotangent", "test_witness-exposing": "symmetric-cotangent"},
    },
    "not-finite": {
        "answers": {
            "gradcheck": """
def gradcheck(forward, vjp, x):
    g = np.random.default_rng(1).standard_normal(np.shape(forward(x)))
    claimed = vjp(g, x)
    slopes = nudge(lambda x: np.sum(g * forward(x)), x)
    return np.shape(claimed) == x.shape and not np.abs(claimed - slopes).max() > 1e-6 * np.abs(slopes).max()
""",
        },
        "loses": {"test_gradcheck-form": "nan-accepted"},
    },
}
