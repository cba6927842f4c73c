"""What SimCLR learns from Fashion-MNIST in a few epochs without labels: linear models on the features of its encoder, with
10, 100 and 1,000 labels of each class, beside raw pixels, the untrained encoder, and the same network trained on labels.

    python -m tests.benchmarks.fashion_mnist                      all 60,000 images, 4 epochs
    python -m tests.benchmarks.fashion_mnist --sample --quick     a few small images, 1 epoch: does it run at all
    python -m tests.benchmarks.fashion_mnist --sample             the 2,000 images that come with minicl
    python -m tests.benchmarks.fashion_mnist --epochs 20          a longer run

A run that was stopped goes on where it was: checkpoints and results of the parts that are done are kept in
build/fashion/, in files that name the run, such as results-seed0-epochs4-images60000.json. The table is printed.

The encoder (ConvNet 32-64-128-128 with BatchNorm and the mean over all places) sees all training images. A linear probe
(logistic regression on standardised columns) sees the labels of a few of them; how strongly its weights are held back is
chosen by cross-validation among these few, so the test images are looked at once. "Labels alone" is the same network with
a linear layer in place of the head, trained on the same few labels with the same views, for a fixed number of epochs:
200, 100 and 10 at 10, 100 and 1,000 labels of each class, so that fewer images are seen more often. No accuracy decides
when it stops. Intervals are 95 % over draws of the labels (Student's t): another training run, or other test images,
would differ by more.
"""

import argparse
import json
import pathlib
import time
import warnings

import numpy as np

import minicl as mc
from minicl.threads import in_parallel

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the probe: smaller holds its weights back more
EPOCHS_ALONE = {10: 200, 100: 100, 1000: 10}  # of the network that has labels alone: a fixed choice, see above
NEIGHBOURS = 20_000  # rows that kNN looks at
TEST_IMAGES = 10_000  # of the whole data set


def fashion_view():
    """Crop, mirror, brightness and noise."""
    v = mc.data.views
    crop, color = v.RandomResizedCrop(area=(0.5, 1.0)), v.ColorJitter(brightness=0.4)
    return v.Compose([crop, v.RandomHorizontalFlip(), color, v.GaussianNoise(0.05)])


def simclr(seed):
    encoder, head = mc.nn.ConvNet(rng=[seed, 0]), mc.nn.ProjectionHead(128, 128, 64, rng=[seed, 1])
    return mc.train.SimCLR(encoder, head, fashion_view(), temperature=0.2, lr=1e-3, batch_size=256, seed=seed)


class LabelsAlone(mc.train.Method):
    """The same encoder with a linear layer on top, trained on labels with the same views."""

    def __init__(self, view, classes, batch_size, seed):
        self.encoder, self.view = mc.nn.ConvNet(rng=[seed, 0]), view
        self.classifier = mc.nn.Linear(self.encoder.outputs, classes, rng=[seed, 1])
        super().__init__(lr=1e-3, batch_size=batch_size, seed=seed)

    def forward(self, x):
        return self.classifier(self.encoder(x))

    def loss(self, batch):
        return mc.cross_entropy(self(self.view(batch.images, self.view_rng)), batch.labels), ()


def labels_alone(x, y, test_x, test_y, epochs, seed, progress):
    """Test accuracy of the network that was trained on these images and labels, and nothing else."""
    method = LabelsAlone(fashion_view(), len(np.unique(y)), min(256, len(x)), seed)
    steps = epochs * (len(x) // method.batch_size)
    method.fit(x, epochs, labels=y, progress=progress, schedule=mc.optim.Cosine(steps))
    return float((method.in_batches(method, test_x).argmax(axis=1) == test_y).mean())


def probe(x, y, test_x, test_y):
    """Test accuracy of a linear probe whose strength C is chosen by cross-validation on its own few rows."""
    folds = [mc.data.stratified_split(y, 0.2, rng=fold) for fold in range(5 if len(y) <= 1000 else 1)]

    warnings.filterwarnings("ignore", "lbfgs failed")  # a probe that is held back too little, and so not chosen

    def held_out(C):
        return np.mean([mc.evaluate.linear_probe(x[a], y[a], x[b], y[b], C=C, max_iter=300) for a, b in folds])

    scores = in_parallel(held_out, STRENGTHS)
    best = STRENGTHS[int(np.argmax(scores))]
    return mc.evaluate.linear_probe(x, y, test_x, test_y, C=best, max_iter=300), best


class Results:
    """Numbers that are kept in a file as soon as they are known, so that a run that was stopped goes on."""

    def __init__(self, path):
        self.path = path
        self.known = json.loads(path.read_text()) if path.exists() else {}

    def once(self, name, compute):
        if name not in self.known:
            start = time.perf_counter()
            found = {name: {"value": compute(), "seconds": round(time.perf_counter() - start, 1)}}
            self.known = (json.loads(self.path.read_text()) if self.path.exists() else {}) | found
            self.path.write_text(json.dumps(self.known, indent=1))
        return self.known[name]["value"]


def evaluate(results, features, data, per_class, draws, alone_draws, epochs_alone, progress):
    x, y, test_x, test_y = data
    for k in per_class:
        for draw in range(draws):
            few = mc.data.few_labels(y, k, np.random.default_rng([draw, k]))
            for name, (h, test_h) in features.items():
                results.once(f"{name}|{k}|{draw}", lambda: probe(h[few], y[few], test_h, test_y))
            if draw < alone_draws:
                epochs = epochs_alone[k]
                results.once(
                    f"labels alone|{k}|{draw}",
                    lambda: (labels_alone(x[few], y[few], test_x, test_y, epochs, draw, progress), epochs),
                )
    for name, (h, test_h) in features.items():
        results.once(f"{name}|kNN", lambda: mc.evaluate.knn(h[:NEIGHBOURS], y[:NEIGHBOURS], test_h, test_y, k=5))


def run_name(seed, epochs, images, test_images, sample=False, quick=False):
    """What the files of a run are called: everything that its numbers depend on, where it is not as in the full run."""
    marks = ["sample"] * sample + ["quick"] * quick + [f"test{test_images}"] * (test_images != TEST_IMAGES)
    return "-".join([f"seed{seed}", f"epochs{epochs}", f"images{images}", *marks])


def table(results, per_class, neighbours):
    """Means with intervals; what is not known is left empty."""
    names = list(dict.fromkeys(key.split("|")[0] for key in results.known))
    lines = [f"{'labels a class':24}" + "".join(f"{k:>14,}" for k in per_class) + f"{f'kNN of {neighbours:,}':>16}"]
    for name in (n for n in names if n not in ("settings", "training")):
        cells = []
        for k in per_class:
            values = [100 * v["value"][0] for key, v in results.known.items() if key.startswith(f"{name}|{k}|")]
            if len(values) > 1:
                cells.append("{:8.1f} ± {:3.1f}".format(*mc.evaluate.t_interval(values)))
            else:
                cells.append(f"{values[0]:8.1f}      " if values else "")
        near = results.known.get(f"{name}|kNN", {}).get("value")
        lines.append(f"{name:24}" + "".join(f"{c:>14}" for c in cells) + (f"{100 * near:16.1f}" if near else ""))
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, help="train on so many images; by default on all")
    parser.add_argument("--sample", action="store_true", help="the 2,000 images that come with minicl")
    parser.add_argument("--quick", action="store_true", help="512 images, 1 epoch, 2 draws of 10 labels a class")
    parser.add_argument("--draws", type=int, default=5, help="of the labels")
    parser.add_argument("--alone-draws", type=int, default=3, help="of these, for the network that has labels alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/fashion"))
    parser.add_argument("--store", type=pathlib.Path, help="write the weights of the trained encoder to this file")
    parser.add_argument("--no-progress", action="store_true")
    options = parser.parse_args(arguments)
    epochs, draws, alone_draws, per_class = options.epochs, options.draws, options.alone_draws, (10, 100, 1000)
    epochs_alone = EPOCHS_ALONE
    if options.quick:
        epochs, draws, alone_draws, per_class, epochs_alone = 1, 2, 1, (10,), {10: 1}

    load = mc.data.fashion_mnist_sample if options.sample else mc.data.fashion_mnist
    (x, y), (test_x, test_y) = load("train"), load("test")
    n = 512 if options.quick else options.images or len(x)
    x, y = x[:n], y[:n]
    if options.quick:
        test_x, test_y = test_x[:200], test_y[:200]
    per_class = tuple(k for k in per_class if k <= np.bincount(y).min())  # the sample has 200 images of each class
    name = run_name(options.seed, epochs, len(x), len(test_x), options.sample, options.quick)
    options.folder.mkdir(parents=True, exist_ok=True)
    results = Results(options.folder / f"results-{name}.json")

    method = simclr(options.seed)
    pixels = x.reshape(len(x), -1), test_x.reshape(len(test_x), -1)
    features = {"raw pixels": pixels, "untrained encoder": (method.encode(x), method.encode(test_x))}
    checkpoint = options.folder / f"simclr-{name}.safetensors"
    start, whole = time.perf_counter(), not checkpoint.exists()
    method.fit(x, epochs, progress=not options.no_progress, checkpoint=checkpoint)
    seconds = time.perf_counter() - start if whole else None  # of a run that went on, only the rest was timed
    if options.store:
        weights = {f"encoder.{name}": a for name, a in method.encoder.state_dict().items()}
        mc.train.checkpoints.save(options.store, weights, {"recipe": name, "history": method.history})
    results.once("training", lambda: {**method.history, "seconds": seconds})
    features["SimCLR"] = method.encode(x), method.encode(test_x)
    evaluate(
        results, features, (x, y, test_x, test_y), per_class, draws, alone_draws, epochs_alone, not options.no_progress
    )

    found = table(results, per_class, min(NEIGHBOURS, len(x)))
    print(
        f"Fashion-MNIST: {len(x):,} images, {epochs} epochs of SimCLR; accuracy in per cent on {len(test_x):,} images"
    )
    print(f"(mean and 95 % interval over {draws} draws of labels; {alone_draws} for labels alone)\n\n{found}")
    return results.known


if __name__ == "__main__":
    main()
