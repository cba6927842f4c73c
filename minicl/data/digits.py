"""Handwritten digits of 8 × 8 pixels, 1797 of them, from the scikit-learn package: real images, and small enough for a
laptop.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), its test set.
"""

from typing import NamedTuple

import numpy as np

from .splits import stratified_split


class Dataset(NamedTuple):
    """Images and their labels; unpacks as `images, labels`."""

    images: np.ndarray  # (N, H, W, C), in [0, 1]
    labels: np.ndarray  # (N,)

    def __repr__(self):
        return f"Dataset(images {self.images.dtype} {self.images.shape}, {len(np.unique(self.labels))} classes)"


def digits(split="all", test_fraction=0.25, seed=0, dtype=np.float32):
    """The digits of scikit-learn as images in [0, 1].

    Parameters
    ----------
    split : {"all", "train", "test"}
        The test part has the same share of each class. It is the same part each time, unless the next two are changed.
    test_fraction : float
    seed : int
    dtype : dtype

    Returns
    -------
    Dataset
        `.images` of shape (N, 8, 8, 1), and `.labels` of shape (N,), the digits 0 to 9.

    Raises
    ------
    ValueError
        If the split has another name.

    Examples
    --------
    >>> digits("train")
    Dataset(images float32 (1347, 8, 8, 1), 10 classes)
    >>> images, labels = digits("test")
    """
    if split not in ("all", "train", "test"):
        raise ValueError(f'digits: the split is "all", "train" or "test", not {split!r}.')
    from sklearn.datasets import load_digits  # here, since it takes a second to load

    values, labels = load_digits(return_X_y=True)
    images = (values / 16).astype(dtype).reshape(-1, 8, 8, 1)  # the grey levels are 0 to 16
    if split != "all":
        train, test = stratified_split(labels, test_fraction, seed)
        part = train if split == "train" else test
        images, labels = images[part], labels[part]
    return Dataset(images, labels)
