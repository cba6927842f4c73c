"""What ContrastiveEncoder with its defaults learns from digits as plain rows of 64 numbers: a linear model on its features,
with 5 labels of each class, beside raw pixels, the untrained encoder, and labels alone.

    python -m tests.benchmarks.encoder_digits            5 seeds, the table below, about a minute
    python -m tests.benchmarks.encoder_digits --fast     2 seeds, short training: does it run at all
    python -m tests.benchmarks.encoder_digits --search   a grid around the defaults, on a part of the training rows

The encoder sees all training rows without labels; a linear probe (logistic regression, C = 1, columns standardised) sees
5 labels of each class. Raw pixels are judged in two ways: by the same probe, and by logistic regression on the grey
levels 0 to 16 as they are, which is the stronger one. "Labels alone" is a network of the same size with a linear layer on
top, trained on the chosen labels with the same views. For each seed there are another start and other chosen labels (a
mean over several draws, the same for all rows). Intervals are 95 % over seeds (Student's t); the test rows are always
the same. Defaults were chosen on a quarter of the training rows, never on the test rows.
"""

import argparse
import itertools
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: the arrays are small

import numpy as np
from sklearn.linear_model import LogisticRegression

import minicl as mc

PER_CLASS = 5


class Supervised(mc.train.Method):
    """An encoder of the same size with a linear layer on top, trained on labels with the same views."""

    def __init__(self, sizes, view, lr, batch_size, seed):
        rng = np.random.default_rng(seed)
        self.encoder, self.classifier, self.view = mc.nn.MLP(sizes, rng=rng), mc.nn.Linear(sizes[-1], 10, rng=rng), view
        super().__init__(lr=lr, batch_size=batch_size, seed=seed)

    def forward(self, x):
        return self.classifier(self.encoder(x))

    def loss(self, batch):
        return mc.cross_entropy(self(self.view(batch.images, self.view_rng)), batch.labels), ()


def supervised(seed, train_x, train_y, test_x, test_y):
    """Accuracy with these labels and no other rows."""
    like = mc.ContrastiveEncoder()
    mean, spread = train_x.mean(axis=0), train_x.std(axis=0)
    spread[spread == 0] = 1.0
    rows, others = (((x - mean) / spread).astype(np.float32) for x in (train_x, test_x))
    view = mc.data.vectors.vector_view(rows, like.jitter, like.mask)
    sizes = [rows.shape[1], *like.hidden, like.n_components]
    method = Supervised(sizes, view, like.learning_rate, len(rows), seed)
    method.fit(rows, like.steps, labels=train_y, progress=False)
    return float((method.in_batches(method, others).argmax(axis=1) == test_y).mean())


def one_seed(seed, x, y, test_x, test_y, steps, draws):
    """Accuracy of each kind of features, and the seconds of `fit`."""
    chosen = [mc.data.few_labels(y, PER_CLASS, np.random.default_rng([seed, r])) for r in range(draws)]

    def probe(f):
        h, test_h = f(x), f(test_x)
        return np.mean([mc.evaluate.linear_probe(h[few], y[few], test_h, test_y) for few in chosen])

    def plain(few):
        return LogisticRegression(max_iter=1000).fit(x[few], y[few]).score(test_x, test_y)

    start = time.perf_counter()
    encoder = mc.ContrastiveEncoder(random_state=seed, **steps).fit(x)
    seconds = time.perf_counter() - start
    return {
        "raw pixels, standardised": probe(lambda v: v),
        "raw pixels, as they are": np.mean([plain(few) for few in chosen]),
        "untrained encoder": probe(mc.ContrastiveEncoder(steps=0, random_state=seed).fit(x).transform),
        "ContrastiveEncoder": probe(encoder.transform),
        "labels alone": np.mean([supervised(seed, x[few], y[few], test_x, test_y) for few in chosen]),
    }, seconds


def rows_and_labels(split):
    images, labels = mc.data.digits(split, dtype=np.float64)
    return 16 * images.reshape(len(images), -1), labels


def table(seeds):
    rows = {name: np.array([one[name] for one in seeds]) for name in seeds[0]}
    for other in [name for name in rows if name != "ContrastiveEncoder"]:
        rows[f"ContrastiveEncoder minus {other}"] = rows["ContrastiveEncoder"] - rows[other]
    lines = []
    for name, values in rows.items():
        mean, half = mc.evaluate.t_interval(100 * values)
        lines.append(f"{name:48}{mean:6.1f} ± {half:4.1f}")
    return "\n".join(lines)


def search(seeds=(100, 101), draws=6):
    """Accuracy on a quarter of the training rows, for settings around the defaults."""
    x, y = rows_and_labels("train")
    fit, held = mc.data.stratified_split(y, 0.25, rng=1)
    for jitter, mask in itertools.product((0.3, 0.5, 1.0), (0.2, 0.4, 0.6)):
        scores = []
        for seed in seeds:
            encoder = mc.ContrastiveEncoder(jitter=jitter, mask=mask, random_state=seed).fit(x[fit])
            h, held_h = encoder.transform(x[fit]), encoder.transform(x[held])
            for r in range(draws):
                few = mc.data.few_labels(y[fit], PER_CLASS, np.random.default_rng([seed, r]))
                scores.append(mc.evaluate.linear_probe(h[few], y[fit][few], held_h, y[held]))
        print(f"jitter {jitter:3}  mask {mask:3}   {100 * np.mean(scores):.1f}", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="2 seeds and short training")
    parser.add_argument("--search", action="store_true", help="compare settings on a part of the training rows")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    if options.search:
        return search()
    seeds, draws, steps = (2, 2, {"steps": 30}) if options.fast else (options.seeds, 4, {})
    data = *rows_and_labels("train"), *rows_and_labels("test")
    found = [one_seed(seed, *data, steps, draws) for seed in range(seeds)]
    print(f"accuracy in per cent on {len(data[3])} test rows, {PER_CLASS} labels a class: mean and 95 % interval")
    print(f"over {seeds} seeds, each with {draws} draws of labels\n")
    print(table([accuracy for accuracy, _ in found]))
    print(f"\nfit took {np.median([seconds for _, seconds in found]):.1f} s (median)")


if __name__ == "__main__":
    main()
