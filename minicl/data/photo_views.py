"""Views that matter for photographs: mirror, greyscale, blur; and the recipe in which SimCLR puts them together.

They are found in `mc.data.views` beside the others.
"""

import numpy as np

from .views import LUMA, ColorJitter, Compose, RandomApply, RandomResizedCrop, View, _in_color


class RandomHorizontalFlip(View):
    """Exchange left and right in each image with probability p.

    Parameters
    ----------
    p : float in [0, 1]

    Examples
    --------
    >>> RandomHorizontalFlip(p=1)(np.arange(3.0).reshape(1, 1, 3, 1)).ravel()
    array([2., 1., 0.])
    """

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: the probability p lies in [0, 1], got {p}.")
        self.p = p

    def change(self, xp, images, rng):
        chosen = xp.asarray(rng.random((len(images), 1, 1, 1)) < self.p)
        return xp.where(chosen, images[:, :, ::-1], images)


class RandomGrayscale(View):
    """Take the colour out of each image with probability p; it keeps its three channels, which are then equal.

    Parameters
    ----------
    p : float in [0, 1]

    Raises
    ------
    ValueError
        If the images have not 3 channels, or 1 (these are grey already).

    Notes
    -----
    0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Examples
    --------
    >>> RandomGrayscale(p=1)(np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)).ravel()
    array([0.299, 0.299, 0.299])
    """

    def __init__(self, p=0.2):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomGrayscale: the probability p lies in [0, 1], got {p}.")
        self.p = p

    def change(self, xp, images, rng):
        _in_color("RandomGrayscale", images)
        chosen = xp.asarray(rng.random((len(images), 1, 1, 1)) < self.p)
        if images.shape[3] == 1:
            return images.copy()
        grey = xp.matmul(images, xp.asarray(LUMA.astype(images.dtype)))[..., None]
        return xp.where(chosen, _within(xp, grey, images, axis=3), images)


class GaussianBlur(View):
    """Make each image less sharp: each value becomes a mean of those around it, with the weights of a bell.

    Parameters
    ----------
    sigma : float or (float, float)
        The width of the bell in pixels, or the range from which it is drawn for each image. 0 changes nothing.

    Notes
    -----
    One product along the rows and one along the columns, by the matrix B with Bᵢⱼ ∝ exp(−(i − j)²/2σ²), each row of which
    sums to 1. So nothing is made up beyond the border, and a constant image stays constant. SimCLR draws σ from
    [0.1, 2] for images of 224 pixels, and blurs half of them.

    Examples
    --------
    >>> spot = np.zeros((1, 5, 5, 1))
    >>> spot[0, 2, 2] = 1
    >>> GaussianBlur(1.0)(spot, rng=0)[0, 2, :, 0].round(2)
    array([0.02, 0.1 , 0.16, 0.1 , 0.02])
    """

    def __init__(self, sigma=(0.1, 2.0)):
        low, high = (float(s) for s in np.broadcast_to(sigma, 2))
        if not 0 <= low <= high < np.inf:
            raise ValueError(f"GaussianBlur: sigma={sigma} is a range of numbers that are not negative.")
        self.sigma = (low, high)

    def change(self, xp, images, rng):
        n, height, width, channels = images.shape
        kind = images.dtype if images.dtype.itemsize >= 4 else np.float32  # float16 is too coarse for sums
        sigma = xp.asarray(rng.uniform(*self.sigma, n))
        down, across = (_bells(xp, length, sigma).astype(kind) for length in (height, width))
        x = xp.matmul(down, images.astype(kind).reshape((n, height, width * channels)))
        x = x.reshape((n, height, width, channels)).swapaxes(1, 2).reshape((n, width, height * channels))
        x = xp.matmul(across, x).reshape((n, width, height, channels)).swapaxes(1, 2)
        return _within(xp, x, images, axis=(1, 2)).astype(images.dtype)


def _bells(xp, length, sigma):
    """The matrix B of each image: (N, length, length)."""
    place = xp.arange(length, dtype=np.float64)
    far = place[:, None] - place
    bells = xp.exp(-0.5 * (far / xp.maximum(sigma, 1e-3)[:, None, None]) ** 2)  # a bell of 0.001 reaches no neighbour
    return bells / bells.sum(axis=2, keepdims=True)


def _within(xp, mean, values, axis):
    """A mean lies between the smallest and the largest value; rounding may have put it beyond."""
    low, high = (f(axis=axis, keepdims=True).astype(mean.dtype) for f in (values.min, values.max))
    return xp.minimum(xp.maximum(mean, low), high)


def simclr_view(size=None, strength=1.0, blur=True):
    """The view of the SimCLR paper: crop, mirror, change the colours, sometimes grey, sometimes blurred.

    Parameters
    ----------
    size : int or (int, int), optional
        Height and width of the result; without it those of the images.
    strength : float in [0, 1]
        Of the change of colours. The paper takes 1 for photographs of 224 pixels, and 0.5 for those of 32.
    blur : bool
        For small images the paper leaves it out. σ reaches from 0.1 to 2 pixels.

    Returns
    -------
    Compose

    Notes
    -----
    Source: Chen, Kornblith, Norouzi, Hinton (2020), arXiv:2002.05709, appendix A. There the changes of colour come in a
    random order; here in a fixed one.

    Examples
    --------
    >>> photos = np.random.default_rng(0).random((2, 32, 48, 3))
    >>> simclr_view(size=24, strength=0.5)(photos, rng=0).shape
    (2, 24, 24, 3)
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"simclr_view: the strength lies in [0, 1], got {strength}.")
    color = ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)
    steps = [
        RandomResizedCrop((0.08, 1.0), size=size),
        RandomHorizontalFlip(),
        RandomApply(color, 0.8),
        RandomGrayscale(0.2),
    ]
    return Compose([*steps, RandomApply(GaussianBlur((0.1, 2.0)), 0.5)] if blur else steps)
