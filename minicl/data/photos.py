"""Two colour photographs, to see with one's own eyes what a view does. They come with scikit-learn.

They are published under CC BY 2.0: who shows them must name the photographer. `credits` has the line to show.
"""

from typing import NamedTuple

import numpy as np

CREDITS = {
    "china.jpg": "“china” by danielbuechele, flickr.com/photos/danielbuechele/6061409035, CC BY 2.0",
    "flower.jpg": "“flower” by vultilion, flickr.com/photos/vultilion/6056698931, CC BY 2.0",
}


class Photos(NamedTuple):
    """Photographs with their names, and whom to credit for each."""

    images: np.ndarray  # (2, 427, 640, 3), in [0, 1]
    names: tuple
    credits: tuple

    def __repr__(self):
        return f"Photos({', '.join(self.names)}: {self.images.dtype} {self.images.shape})"


def photos(dtype=np.float32):
    """A temple roof and a flower, in colour.

    Parameters
    ----------
    dtype : dtype

    Returns
    -------
    Photos
        `.images` of shape (2, 427, 640, 3) with values in [0, 1]; `.names`; `.credits`, to be shown beside them.

    Notes
    -----
    Source: `sklearn.datasets.load_sample_images`. Licence: creativecommons.org/licenses/by/2.0.

    Examples
    --------
    >>> photos()
    Photos(china, flower: float32 (2, 427, 640, 3))
    >>> square = photos().images[:, :400, 100:500]
    """
    from sklearn.datasets import load_sample_images  # here, since it takes a second to load

    found = load_sample_images()
    files = [path.replace("\\", "/").rsplit("/", 1)[-1] for path in found.filenames]
    images = np.stack(found.images) / np.dtype(dtype).type(255)
    return Photos(images, tuple(file.removesuffix(".jpg") for file in files), tuple(CREDITS[file] for file in files))
