"""Train from the command line, on one process or on several: the numbers are the same.

    python -m minicl.train simclr --epochs 20 --checkpoint build/digits.safetensors
    mpiexec -n 4 python -m minicl.train simclr --epochs 20 --checkpoint build/digits.safetensors

It trains on the digits of scikit-learn, or on the images of a file (`--images`). Given again, a command goes on from its
checkpoint, on as many workers as there are then.
"""

import argparse
import contextlib
import math
import os
import sys
import warnings

import numpy as np

from .. import data, nn, parallel
from ..data import views
from .settings import whole

NAME = "python -m minicl.train"


def positive(text):
    """A number of the command line that must be positive and finite."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a positive, finite number is needed, got {text}")
    return number


def parser():
    """The options, with their defaults."""
    p = argparse.ArgumentParser(prog=NAME, description="Contrastive training on one or more processes.")
    p.add_argument("method", choices=["simclr", "moco"])
    p.add_argument("--images", help="a .npy file of floats (N, H, W, C); by default the digits of scikit-learn")
    p.add_argument("--encoder", choices=["mlp", "convnet"], default="mlp")
    p.add_argument("--dim", type=int, default=32, help="length of the embeddings")
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--batch-size", type=int, default=256, help="of all workers together")
    p.add_argument("--parts", type=int, default=8, help="of a batch, at least as many as workers; MoCo's groups, too")
    p.add_argument("--temperature", type=positive, default=0.2)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--queue", type=int, default=1024, help="keys that MoCo remembers")
    p.add_argument("--momentum", type=float, default=0.98, help="of MoCo's key encoder")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    p.add_argument(
        "--device", choices=["cpu", "gpu"], default="cpu", help="gpu: each worker takes one, as far as there are"
    )
    p.add_argument("--checkpoint", help="a file that the state is kept in, and read from if it is there")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    return p


def loaded(path):
    """The images of a .npy file, or the digits of scikit-learn."""
    if path is None:
        return data.digits("train")[0]
    try:
        with open(path, "rb") as file:
            images = np.lib.format.read_array(file)
    except ValueError as error:
        raise ValueError(f"--images {path}: no .npy file of numbers ({error}). np.save writes one.") from error
    if images.dtype.kind != "f" or images.ndim != 4:
        raise ValueError(
            f"--images {path}: floats of shape (N, H, W, C) are needed, got {images.dtype} {images.shape}. Divide bytes by "
            "255; images[..., None] gives grey images their last axis."
        )
    return images


def built(options, shape, workers):
    """The method for images of a shape (H, W, C)."""
    whole(NAME, "--seed", options.seed, 0)
    random = {"dtype": np.dtype(options.dtype)}
    if options.encoder == "convnet":
        encoder, width = nn.ConvNet(shape[-1], rng=options.seed, **random), 128
    else:
        encoder, width = nn.MLP([int(np.prod(shape)), 256, 128], rng=options.seed, **random), 128
    head = nn.ProjectionHead(width, width, options.dim, rng=options.seed + 1, **random)
    view = views.RandomAffine(degrees=15, shift=1, scale=(0.8, 1.2))
    settings = {"lr": options.lr, "batch_size": options.batch_size, "seed": options.seed, "parts": options.parts}
    settings |= {"temperature": options.temperature, "workers": workers}
    if options.method == "simclr":
        return parallel.SimCLR(encoder, head, view, **settings)
    # BatchNorm must not tell which batch a key was in, so each part is a group; other networks need none.
    groups = options.parts if options.encoder == "convnet" else 1
    queue = {"dim": options.dim, "queue_size": options.queue, "momentum": options.momentum, "groups": groups}
    return parallel.MoCo(encoder, head, view, **queue, **settings)


def read(arguments, workers):
    """The options. Where they cannot be read, worker 0 alone says so."""
    with open(os.devnull, "w") as nowhere:
        out, err = (nowhere, nowhere) if workers.rank else (sys.stdout, sys.stderr)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return parser().parse_args(arguments)
        except SystemExit as end:
            workers.agree(NAME, problem=f"the options, with exit status {end.code}")  # else the others would wait
            raise


def main(arguments=None):
    """Train, and say how it ended. Returns 2 if options or files do not fit: one message, on however many workers."""
    workers, problem = parallel.everybody(), None
    options = read(arguments, workers)
    try:
        if options.device == "gpu":
            workers = parallel.everybody(gpu=True)
        images = loaded(options.images).astype(options.dtype)
        if not 2 <= options.batch_size <= len(images):
            raise ValueError(f"--batch-size {options.batch_size}: it lies between 2 and the {len(images)} images.")
        whole(NAME, "--epochs", options.epochs, 1)
        method = built(options, images.shape[1:], workers).to(options.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no epoch is trained yet: images and checkpoint are looked at
            method.fit(images, 0, progress=False, checkpoint=options.checkpoint)
    except parallel.Refused:
        raise
    except (ValueError, OSError, RuntimeError) as error:
        problem = str(error)
    workers.agree(NAME, problem=problem)
    if problem is not None:
        if workers.rank == 0:
            print(f"{NAME}: error: {problem}", file=sys.stderr)
        return 2
    if method.epoch < options.epochs:
        method.fit(images, options.epochs, progress=not options.quiet, checkpoint=options.checkpoint)
    elif workers.rank == 0:
        print(f"{NAME}: {method.epoch} epochs are done already; --epochs {options.epochs} asks for no more.")
    if workers.rank == 0:
        last = ", ".join(f"{name} {values[-1]:.12g}" for name, values in method.history.items())
        print(f"{options.method}, {workers.size} worker{'s' * (workers.size > 1)}, epoch {method.epoch}: {last}")


if __name__ == "__main__":
    sys.exit(main())
