"""Multi-crop: two large windows of each image and several small ones, all of which are positives of each other.

Small windows have fewer pixels, so many of them cost a convolutional network little; and a part must find the whole that
it was cut from. M. Caron et al. 2020 (arXiv:2006.09882).
"""

import numbers

import numpy as np

from ..arrays import namespace
from ..data import multi_crop
from ..engine import no_grad
from ..losses.inputs import positive_temperature
from ..optim import Adam
from .multi_view import MultiView
from .settings import whole


class MultiCrop(MultiView):
    """`MultiView` whose views are global and local windows; local ones may be smaller images.

    Parameters
    ----------
    encoder : Module
        Where `local_size` is not the size of the global windows, it must take images of both sizes and give
        representations of one length: a convolutional network with global pooling does, an MLP does not.
    head : Module or None
    n_local : int
        V, the number of local windows. With 0 it is `MultiView` on random windows.
    local_size : int or (int, int), optional
        Height and width of the local windows, in pixels; by default those of the images.
    global_area, local_area : (float, float)
        The share of the image that a window covers is drawn from this range.
    global_size : int or (int, int), optional
    n_global : int
    view : view, optional
        What is done to each window after cutting, such as noise.
    temperature, form
        As in `MultiView`.
    optimizer, lr, batch_size, seed
        As in `Method`.

    Attributes
    ----------
    history : dict of lists
        As in `MultiView`.
    collapse : float
        log((2 + V)N − 1), the loss when all embeddings are equal.

    Raises
    ------
    ValueError
        If a number is out of its range, or, by `fit`, if the encoder does not take windows of one of the sizes, or
        gives representations of two lengths.

    Notes
    -----
    The windows of one size go through the encoder together, so BatchNorm sees large and small ones apart.

    Examples
    --------
    >>> import minicl as mc
    >>> images, labels = mc.data.digits("train")
    >>> encoder = mc.nn.ConvNet(channels=(8, 16), strides=(1, 2), rng=0)
    >>> method = MultiCrop(encoder, mc.nn.ProjectionHead(16, 16, 16, rng=1), n_local=3, local_size=5)
    >>> method.pixels(images)  # per image: two of 8 × 8 and three of 5 × 5
    203
    >>> method = method.fit(images, epochs=2, progress=False)
    >>> method.history["loss"][1] < method.history["loss"][0] < method.collapse
    True
    """

    def __init__(
        self,
        encoder,
        head,
        n_local=4,
        local_size=None,
        global_area=(0.4, 1.0),
        local_area=(0.05, 0.4),
        global_size=None,
        n_global=2,
        view=None,
        temperature=0.5,
        form="out",
        optimizer=Adam,
        lr=1e-3,
        batch_size=256,
        seed=0,
    ):
        name = "MultiCrop"
        n_local, n_global = whole(name, "n_local", n_local, 0), whole(name, "n_global", n_global, 0)
        global_size, local_size = _pixels("global_size", global_size), _pixels("local_size", local_size)
        global_area, local_area = _range("global_area", global_area), _range("local_area", local_area)
        positive_temperature(name, temperature, np.ones(1, np.float32))
        crops = multi_crop(n_local, global_area, local_area, global_size, local_size, view, n_global)
        self.sizes = [global_size] * n_global + [local_size] * n_local
        super().__init__(encoder, head, crops, None, temperature, form, optimizer, lr, batch_size, seed)

    def window_sizes(self, images):
        """Height and width of each window, in the order of the windows."""
        own = tuple(images.shape[1:3])
        return [size or own for size in self.sizes]

    def pixels(self, images):
        """How many pixels of each image are encoded in one step: the cost of a convolutional network grows with it."""
        return sum(height * width for height, width in self.window_sizes(images))

    def _checked(self, images, labels):
        images, labels = super()._checked(images, labels)
        if images.ndim != 4:
            raise ValueError(f"MultiCrop.fit: windows are cut from images (N, H, W, C), got {tuple(images.shape)}.")
        lengths = {}
        for height, width in dict.fromkeys(self.window_sizes(images)):  # each size once, the first one first
            blank = namespace(images).zeros((2, height, width, images.shape[3]), dtype=images.dtype)
            try:
                with no_grad(), self.mode(training=False):
                    h = self.encoder(blank)
            except ValueError as error:
                raise ValueError(
                    f"MultiCrop.fit: the encoder does not take windows of {height} × {width} pixels. {_way_out(self, images)} "
                    f"Its error: {error}"
                ) from error
            lengths[height, width] = tuple(h.shape[1:])
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{shape} for {height} × {width}" for (height, width), shape in lengths.items())
            raise ValueError(
                f"MultiCrop.fit: representations have shape {found}; they must be alike. {_way_out(self, images)}"
            )
        return images, labels


def _is_number(value, kind=numbers.Real):
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


def _pixels(what, size):
    """Height and width, of an int or a pair of them; None stays."""
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list)) or np.ndim(size) else (size, size)
    if len(pair) != 2 or not all(_is_number(k, numbers.Integral) and k >= 1 for k in pair):
        raise ValueError(
            f"MultiCrop: {what} is an int or a pair (height, width) of ints, each at least 1; got {size!r}."
        )
    return int(pair[0]), int(pair[1])


def _range(what, area):
    """Two shares of the image, from the smaller to the larger."""
    pair = tuple(area) if isinstance(area, (tuple, list, np.ndarray)) else ()
    if len(pair) != 2 or not all(map(_is_number, pair)) or not 0 < pair[0] <= pair[1] <= 1:
        raise ValueError(f"MultiCrop: {what} is a pair (least, most) within (0, 1], such as (0.05, 0.4); got {area!r}.")
    return pair


def _way_out(method, images):
    height, width = method.window_sizes(images)[0]
    return f"Take an encoder with global pooling, such as mc.nn.ConvNet, or windows of one size: local_size=({height}, {width})."
