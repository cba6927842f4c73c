"""Views that matter for photographs: mirror, greyscale, blur. And the recipe in which SimCLR puts them together."""

import numpy as np

from .images import LUMA, ColorJitter, Compose, RandomApply, RandomResizedCrop, View, _in_color


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
        chosen = xp.asarray(np.flatnonzero(rng.random(len(images)) < self.p))
        result = images.copy()
        if images.shape[3] == 3:
            result[chosen] = _grey(xp, images[chosen])
        return result


def _grey(xp, images):
    red, green, blue = (images[..., k] for k in range(3))
    # Differences from green, so that equal channels stay exactly what they are; rounding may still lead beyond.
    grey = green + (red - green) * float(LUMA[0]) + (blue - green) * float(LUMA[2])
    low, high = (f(f(red, green), blue) for f in (xp.minimum, xp.maximum))
    return xp.minimum(xp.maximum(grey, low), high)[..., None]


class GaussianBlur(View):
    """Make each image less sharp: each value becomes a mean of those around it, with the weights of a bell.

    Parameters
    ----------
    sigma : float or (float, float)
        The width of the bell in pixels, or the range from which it is drawn for each image. 0 changes nothing.

    Notes
    -----
    One product along the rows and one along the columns, by the matrix B with Bᵢⱼ ∝ exp(−(i − j)²/2σ²), whose rows
    sum to 1. So nothing is made up beyond the border, and a constant image stays constant. SimCLR draws σ from
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
        sigma = xp.asarray(rng.uniform(*self.sigma, n).astype(kind))
        down, across = (_bells(xp, length, sigma) for length in (height, width))
        x = xp.matmul(down, images.astype(kind).reshape((n, height, width * channels)))
        x = x.reshape((n, height, width, channels)).swapaxes(1, 2).reshape((n, width, height * channels))
        x = xp.matmul(across, x).reshape((n, width, height, channels)).swapaxes(1, 2)
        rows = images.reshape((n, height * width * channels))
        low, high = (f(axis=1)[:, None, None, None] for f in (rows.min, rows.max))
        return xp.minimum(xp.maximum(x, low), high).astype(images.dtype)  # rounding may have led beyond


def _bells(xp, length, sigma):
    """The matrix B of each image: (N, length, length)."""
    place = xp.arange(length, dtype=sigma.dtype)
    far = (place[:, None] - place) ** 2
    bells = xp.exp(far * (-0.5 / xp.maximum(sigma, 0.01) ** 2)[:, None, None])  # a bell of 0.01 reaches no neighbour
    return bells / bells.sum(axis=2, keepdims=True)


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
