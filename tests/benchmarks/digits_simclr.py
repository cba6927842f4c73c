"""What SimCLR learns from digits without labels: few-label accuracy beside raw pixels, the untrained encoder, and
labels alone.

    python -m tests.benchmarks.digits_simclr            5 seeds, the table below, two to three minutes
    python -m tests.benchmarks.digits_simclr --fast     2 seeds and short training: does it run at all
    python -m tests.benchmarks.digits_simclr --search   how the settings were chosen, on a part of the training images

Rows: a linear probe (logistic regression on standardised columns) and k nearest neighbours (k = 5, cosine) on each
representation; in the last row the same encoder and a linear layer on top, trained on the chosen labels alone with the
same views. The encoder sees all training images, unlabelled; the probe sees 1, 5, 10 labels of each class, or all. For
each seed there are another start, another order, and other chosen labels (a mean over several draws, the same for all
rows). Intervals are 95 % over seeds (Student's t). Nothing was chosen on the test images.
"""

import argparse
import itertools
import math
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: the arrays are small

import numpy as np
from scipy.stats import t as student

import minicl as mc
from minicl.data import views

SIZES, HEAD = [64, 256, 128], (128, 128, 64)
CHOSEN = {"temperature": 1.0, "lr": 3e-3, "shift": 0.5}  # by --search
FIXED = {"batch_size": 128, "epochs": 100, "C": 0.1, "steps": 1000}
LABELS = (1, 5, 10)
COLUMNS = [*(f"{k} a class" for k in LABELS), "all labels", "kNN"]


def view(shift):
    moved = views.RandomAffine(degrees=15, shift=shift, scale=(0.8, 1.2))
    return views.Compose([moved, views.ColorJitter(0.4, 0.4), views.GaussianNoise(0.1)])


def simclr(seed, temperature, lr, shift, batch_size):
    rng = np.random.default_rng(seed)
    encoder, head = mc.nn.MLP(SIZES, rng=rng), mc.nn.ProjectionHead(*HEAD, rng=rng)
    return mc.train.SimCLR(encoder, head, view(shift), temperature, lr=lr, batch_size=batch_size, seed=seed)


class Supervised(mc.train.Method):
    """The same encoder with a linear layer on top, trained on labels with the same views."""

    def __init__(self, seed, view, lr, batch_size):
        rng = np.random.default_rng(seed)
        self.encoder, self.classifier, self.view = mc.nn.MLP(SIZES, rng=rng), mc.nn.Linear(SIZES[-1], 10, rng=rng), view
        super().__init__(lr=lr, batch_size=batch_size, seed=seed)

    def forward(self, images):
        return self.classifier(self.encoder(images))

    def loss(self, batch):
        return mc.cross_entropy(self(self.view(batch.images, self.view_rng)), batch.labels), ()


def judged(train_h, train_y, test_h, test_y, draws, C):
    """Accuracies in the order of COLUMNS; `draws` holds several choices of labels for each number of labels."""
    few = [
        np.mean(
            [mc.evaluate.linear_probe(train_h[chosen], train_y[chosen], test_h, test_y, C=C) for chosen in draws[k]]
        )
        for k in LABELS
    ]
    whole = mc.evaluate.linear_probe(train_h, train_y, test_h, test_y, C=C)
    return [*few, whole, mc.evaluate.knn(train_h, train_y, test_h, test_y, k=5)]


def supervised(seed, train, test, draws, lr, steps, batch_size, shift):
    """Accuracies in the order of COLUMNS; kNN is that of the encoder trained on all labels."""

    def run(chosen):
        size = min(batch_size, len(chosen))
        method = Supervised(seed, view(shift), lr, size)
        images, labels = train.images[chosen], train.labels[chosen]
        method.fit(images, math.ceil(steps / (len(chosen) // size)), labels=labels, progress=False)
        with mc.no_grad():
            return method, float((method.eval()(test.images).data.argmax(axis=1) == test.labels).mean())

    few = [np.mean([run(chosen)[1] for chosen in draws[k]]) for k in LABELS]
    method, whole = run(np.arange(len(train.labels)))
    h = [method.in_batches(method.encoder, images) for images in (train.images, test.images)]
    return [*few, whole, mc.evaluate.knn(h[0], train.labels, h[1], test.labels, k=5)]


def one_seed(seed, train, test, epochs, steps, repeats):
    """A row of accuracies for each kind of representation."""
    draws = {
        k: [mc.data.few_labels(train.labels, k, np.random.default_rng([seed, k, r])) for r in range(repeats)]
        for k in LABELS
    }
    method = simclr(seed, **CHOSEN, batch_size=FIXED["batch_size"])

    def judge(f):
        return judged(f(train.images), train.labels, f(test.images), test.labels, draws, FIXED["C"])

    rows = {"raw pixels": judge(lambda x: x.reshape(len(x), -1)), "untrained encoder": judge(method.encode)}
    method.fit(train.images, epochs, progress=False)
    rows["SimCLR"] = judge(method.encode)
    rows["SimCLR, after the head"] = judge(method.embed)
    rows["labels alone"] = supervised(
        seed, train, test, draws, CHOSEN["lr"], steps, FIXED["batch_size"], CHOSEN["shift"]
    )
    return rows


def with_interval(values):
    """`mean ± half-width` in per cent."""
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{100 * np.mean(values):5.1f} ± {100 * half:4.1f}"


def table(seeds):
    lines = [" " * 34 + "".join(f"{name:>14}" for name in COLUMNS)]
    rows = {name: np.array([rows[name] for rows in seeds]) for name in seeds[0]}
    for other in ("raw pixels", "untrained encoder", "labels alone"):
        rows[f"SimCLR minus {other}"] = rows["SimCLR"] - rows[other]
    for name, values in rows.items():
        lines.append(f"{name:34}" + "".join(f"{with_interval(column):>14}" for column in values.T))
    return "\n".join(lines)


def search(epochs, repeats=5, seeds=(100, 101)):
    """Accuracy with few labels on a quarter of the training images, for a small grid of settings."""
    train = mc.data.digits("train")
    fit, held = mc.data.stratified_split(train.labels, 0.25, rng=1)
    (x, y), (held_x, held_y) = (train.images[fit], train.labels[fit]), (train.images[held], train.labels[held])
    found = []
    for temperature, lr, shift in itertools.product((0.2, 0.5, 1.0, 2.0), (1e-3, 3e-3, 1e-2), (0.25, 0.5, 1.0)):
        scores = []
        for seed in seeds:
            draws = {
                k: [mc.data.few_labels(y, k, np.random.default_rng([seed, k, r])) for r in range(repeats)]
                for k in LABELS
            }
            method = simclr(seed, temperature, lr, shift, FIXED["batch_size"]).fit(x, epochs, progress=False)
            scores.append(judged(method.encode(x), y, method.encode(held_x), held_y, draws, FIXED["C"])[: len(LABELS)])
        found.append((np.mean(scores), temperature, lr, shift))
        print(f"temperature {temperature:3}  lr {lr:.0e}  shift {shift}   {100 * found[-1][0]:.1f}", flush=True)
    best = max(found)
    print(f"best: temperature {best[1]}, lr {best[2]}, shift {best[3]}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="2 seeds and short training")
    parser.add_argument("--search", action="store_true", help="compare settings on a part of the training set")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    if options.search:
        search(FIXED["epochs"])
    else:
        train, test = mc.data.digits("train"), mc.data.digits("test")
        seeds, epochs, steps, repeats = options.seeds, FIXED["epochs"], FIXED["steps"], 3
        if options.fast:
            seeds, epochs, steps, repeats = 2, 10, 60, 2
        print(
            f"accuracy in per cent on {len(test.labels)} test images: mean and 95 % interval over {seeds} seeds; "
            f"{epochs} epochs\n"
        )
        print(table([one_seed(seed, train, test, epochs, steps, repeats) for seed in range(seeds)]))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
