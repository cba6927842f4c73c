"""Wrong submissions of assignment 3: each has the mistakes that its name says, and loses the points of these alone."""

WRONG = {
    # --------------------- 13 points: a pixel keeps only its last window; a test that a reversed gradient passes
    "overwritten-and-all-ones": {
        "answers": {
            "conv_vjp": """
def conv_vjp(g, x, w, stride):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            there = pixels(i, j, g.shape[1:3], stride)
            dx[there] = g @ w[i, j].T
            dw[i, j] = np.einsum("npqc,npqk->ck", x[there], g)
    return dx, dw
""",
            "is_adjoint": """
def is_adjoint(forward, backward, x_shape, rng):
    x = rng.standard_normal(x_shape)
    y = forward(x)
    left, right = y.sum(), (x * backward(np.ones(y.shape))).sum()
    return bool(abs(left - right) <= 1e-9 * np.abs(y).sum())
""",
        },
        "loses": {"test_conv_vjp-dx": "overwritten", "test_is_adjoint": "all-ones"},
    },
    # ----------------------------------------- 7 points: the gradient of a weight as a mean over the images; padding
    "mean-over-batch-and-padding": {
        "answers": {
            "conv_vjp": """
def conv_vjp(g, x, w, stride):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            there = pixels(i, j, g.shape[1:3], stride)
            dx[there] += g @ w[i, j].T
            dw[i, j] = np.einsum("npqc,npqk->ck", x[there], g) / len(x)
    return dx, dw
""",
            "shape": "shape = (2, 5, 4, 5)",
        },
        "loses": {"test_conv_vjp-dw": "mean-over-batch", "test_shape": "padded"},
    },
    # ------------------------------------------ 18 points: one seed for both views; the head is left as it was; 1/128
    "same-seed-and-head-left-out": {
        "answers": {
            "two_views": """
def two_views(images, augment, rng):
    seed = rng.integers(10**6)
    return augment(images, np.random.default_rng(seed)), augment(images, np.random.default_rng(seed))
""",
            "train": """
def train(encoder, head, images, view, steps, batch_size, temperature, lr, rng):
    parameters = encoder.parameters()
    optimizer = mc.optim.Adam(parameters, lr=lr)
    losses = []
    for _ in range(steps):
        v1, v2 = mc.data.two_views(draw(images, batch_size, rng), view, rng)
        loss = mc.nt_xent(head(encoder(v1)), head(encoder(v2)), temperature=temperature)
        optimizer.step(mc.grad(loss, parameters))
        losses.append(float(loss))
    return losses
""",
            "chance": "chance = 1 / 128",
        },
        "loses": {
            "test_two_views": "identical-views",
            "test_train-steps": "head-not-trained",
            "test_chance": "self-not-masked",
        },
    },
    # ----------------------------------------------------- 14 points: the loss of h, and what one keeps of the network
    "loss-of-h": {
        "answers": {
            "train": """
def train(encoder, head, images, view, steps, batch_size, temperature, lr, rng):
    optimizer = mc.optim.Adam(encoder.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        v1, v2 = mc.data.two_views(draw(images, batch_size, rng), view, rng)
        loss = mc.nt_xent(encoder(v1), encoder(v2), temperature=temperature)
        optimizer.step(mc.grad(loss, encoder.parameters()))
        losses.append(float(loss))
    return losses
""",
            "thrown_away": "thrown_away = 64 * 256 + 256 + 256 * 128 + 128",
        },
        "loses": {
            "test_train-first_loss": "loss-of-h",
            "test_train-steps": "loss-of-h",
            "test_thrown_away": "encoder-thrown-away",
        },
    },
    # ------------------------------------------------------- 21 points: an image is its own neighbour; a probe without bias
    "self-included-and-no-bias": {
        "answers": {
            "knn": """
def knn(features, labels, k):
    u = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(-(u @ u.T), axis=1, kind="stable")[:, :k]
    return np.array([np.bincount(labels[row]).argmax() for row in nearest])
""",
            "random_labels": "random_labels = 1.0",
            "linear_probe": """
def linear_probe(train_x, train_y, test_x, ridge):
    classes = np.unique(train_y)
    targets = (train_y[:, None] == classes) * 1.0
    weights = np.linalg.solve(train_x.T @ train_x + ridge * np.eye(train_x.shape[1]), train_x.T @ targets)
    return classes[(test_x @ weights).argmax(axis=1)]
""",
        },
        "loses": {
            "test_knn": "self-included",
            "test_random_labels": "self-included",
            "test_linear_probe-values": "no-bias",
            "test_linear_probe-many_features": "no-bias",
        },
    },
    # --------------------------------------------- 13 points: z reported as h, and a distance read off a t-SNE map
    "probed-z-and-map-believed": {
        "answers": {
            "accuracies": """
accuracies = {"raw pixels": [], "untrained h": [], "trained h": [], "trained z": []}
for seed in range(3):
    features = {
        "raw pixels": lambda images: images.reshape(len(images), -1),
        "untrained h": untrained[seed].encode,
        "trained h": trained[seed].embed,
        "trained z": trained[seed].embed,
    }
    for name, f in features.items():
        x, y = f(digits.images[few[seed]]), digits.labels[few[seed]]
        accuracies[name].append(probe(x, y, f(test_digits.images), test_digits.labels))
""",
            "allowed": 'allowed = "A"',
        },
        "loses": {"test_accuracies": "probed-z", "test_allowed": "distance-of-clumps"},
    },
    # ------------------------------ 16 points: the baselines are tested where they were trained; the mean is left in
    "tested-on-training-and-not-centred": {
        "answers": {
            "accuracies": """
flat = lambda images: images.reshape(len(images), -1)
accuracies = {name: [] for name in ("raw pixels", "untrained h", "trained h", "trained z")}
for seed in range(3):
    encoders = flat, untrained[seed].encode, trained[seed].encode, trained[seed].embed
    for f, row in zip(encoders, accuracies.values()):
        x = f(digits.images)
        row.append(probe(x[few[seed]], digits.labels[few[seed]], x, digits.labels))
""",
            "plane_share": """
def plane_share(x):
    variances = np.linalg.svd(x, compute_uv=False) ** 2
    return variances[:2].sum() / variances.sum()
""",
        },
        "loses": {"test_accuracies": "tested-on-training", "test_plane_share": "not-centred"},
    },
}
