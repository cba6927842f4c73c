"""Views: random changes of an image that leave its meaning as it is. They are what contrastive learning learns to look
through.

A view is called as `view(images, rng)` with images (N, H, W, C) and gives images of the same shape and dtype. Each
image gets its own draw, all images are changed at once, and the input is left untouched. Random numbers are drawn on
the CPU and moved, so a lesson starts the same on CPU and GPU.
"""

import numpy as np

from ..arrays import is_array, namespace


class View:
    """What all views share: the checks. A subclass defines `change(xp, images, rng)`; a plain function is a view too.

    Examples
    --------
    >>> class Mirror(View):
    ...     def change(self, xp, images, rng):
    ...         return images[:, :, ::-1]
    >>> Mirror()(np.arange(2.0).reshape(1, 1, 2, 1)).ravel()
    array([1., 0.])
    """

    def __call__(self, images, rng=None):
        name = type(self).__name__
        if not is_array(images) or images.ndim != 4 or images.dtype.kind != "f":
            found = f"{images.dtype} {tuple(images.shape)}" if is_array(images) else type(images).__name__
            raise ValueError(
                f"{name}: images are a float array (N, H, W, C) with values in [0, 1], got {found}. "
                "Divide bytes by 255; add a channel to grey images with images[..., None]."
            )
        return self.change(namespace(images), images, np.random.default_rng(rng))

    def change(self, xp, images, rng):
        raise NotImplementedError(f"{type(self).__name__}: define change(self, xp, images, rng).")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Compose(View):
    """Views, one after the other.

    Parameters
    ----------
    views : list of views

    Examples
    --------
    >>> view = Compose([RandomShift(1), GaussianNoise(0.1)])
    >>> view(np.zeros((5, 8, 8, 1)), rng=0).shape
    (5, 8, 8, 1)
    """

    def __init__(self, views):
        self.views = list(views)

    def change(self, xp, images, rng):
        for view in self.views:
            images = view(images, rng)
        return images if self.views else images.copy()

    def __repr__(self):
        return f"Compose({self.views})"


class RandomApply(View):
    """A view that each image gets with probability p; the others stay as they are.

    Parameters
    ----------
    view : view
    p : float in [0, 1]
    """

    def __init__(self, view, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomApply: the probability p lies in [0, 1], got {p}.")
        self.view, self.p = view, p

    def change(self, xp, images, rng):
        chosen = xp.asarray(rng.random((len(images), 1, 1, 1)) < self.p)
        return xp.where(chosen, self.view(images, rng), images)


# ------------------------------------------------------------------------------------------------- where the pixels are


class RandomAffine(View):
    """Rotate, scale and shift each image about its centre, in one resampling; what comes from outside is 0.

    Parameters
    ----------
    degrees : float
        The angle is drawn from [−degrees, degrees]; a positive one turns against the clock.
    shift : float
        Rows and columns are moved by up to so many pixels.
    scale : (float, float)
        The factor is drawn from this range; above 1 the image gets larger.

    Notes
    -----
    Backwards: the value at the place p of the result comes from the place c + R(p − c − t)/s of the image, with the
    centre c, the rotation R, the shift t and the scale s. Between pixels the four neighbours are weighted (bilinear).

    Examples
    --------
    >>> images = np.ones((2, 8, 8, 1), dtype=np.float32)
    >>> RandomAffine(degrees=10, shift=1)(images, rng=0).dtype
    dtype('float32')
    """

    def __init__(self, degrees=0.0, shift=0.0, scale=(1.0, 1.0)):
        if degrees < 0 or shift < 0 or not 0 < scale[0] <= scale[1]:
            raise ValueError(
                f"RandomAffine: degrees={degrees} and shift={shift} must not be negative, scale={scale} be above 0."
            )
        self.degrees, self.shift, self.scale = degrees, shift, tuple(scale)

    def change(self, xp, images, rng):
        n = len(images)
        angle = np.deg2rad(rng.uniform(-self.degrees, self.degrees, n))
        shift = rng.uniform(-self.shift, self.shift, (n, 2))
        size = rng.uniform(*self.scale, n)
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        turn = np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)
        centre = (np.array(images.shape[1:3]) - 1) / 2
        start = centre - np.einsum("nij,nj->ni", turn, centre + shift)
        return _resample(xp, images, turn, start)


class RandomRotation(RandomAffine):
    """Turn each image about its centre by an angle from [−degrees, degrees]; what comes from outside is 0."""

    def __init__(self, degrees=10.0):
        super().__init__(degrees=degrees)

    def __repr__(self):
        return f"RandomRotation(degrees={self.degrees})"


class RandomShift(View):
    """Move each image by whole pixels, up to `pixels` in each direction; what comes from outside is 0.

    Parameters
    ----------
    pixels : int
    """

    def __init__(self, pixels=1):
        if pixels < 0 or pixels != int(pixels):
            raise ValueError(f"RandomShift: give a whole number of pixels that is not negative, got {pixels}.")
        self.pixels = int(pixels)

    def change(self, xp, images, rng):
        n, p = len(images), self.pixels
        _, height, width, _ = images.shape
        rows, columns = (xp.asarray(start)[:, None] for start in rng.integers(0, 2 * p + 1, (2, n)))
        rows = (rows + xp.arange(height))[:, :, None]
        columns = (columns + xp.arange(width))[:, None, :]
        return _padded(xp, images, p)[xp.arange(n)[:, None, None], rows, columns]


class RandomResizedCrop(View):
    """Cut a random window out of each image, and stretch it to the full size.

    Parameters
    ----------
    area : (float, float)
        The share of the image that the window covers is drawn from this range.
    ratio : (float, float)
        So is width / height, on a logarithmic scale. A side never exceeds that of the image.

    Notes
    -----
    The window lies anywhere within the image, and starts between pixels (Szegedy et al. 2015; SimCLR uses areas from
    0.08).
    """

    def __init__(self, area=(0.5, 1.0), ratio=(3 / 4, 4 / 3)):
        if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                f"RandomResizedCrop: area={area} must be a range within (0, 1], ratio={ratio} one above 0."
            )
        self.area, self.ratio = tuple(area), tuple(ratio)

    def change(self, xp, images, rng):
        n = len(images)
        area = rng.uniform(*self.area, n)
        ratio = np.exp(rng.uniform(*np.log(self.ratio), n))
        share = np.minimum(np.sqrt(np.stack([area / ratio, area * ratio], axis=1)), 1.0)  # of the height, of the width
        length = np.array(images.shape[1:3])
        corner = rng.random((n, 2)) * (1 - share) * length
        # Pixel i covers [i, i + 1], so its middle is i + ½.
        stretch = share[:, :, None] * np.eye(2)
        return _resample(xp, images, stretch, corner + share / 2 - 0.5, outside="edge")


def _padded(xp, images, margin):
    n, height, width, channels = images.shape
    padded = xp.zeros((n, height + 2 * margin, width + 2 * margin, channels), dtype=images.dtype)
    padded[:, margin : margin + height, margin : margin + width] = images
    return padded


def _resample(xp, images, turn, start, outside="zero"):
    """Values at the places start + turn · (row, column), between pixels by bilinear weights."""
    n, height, width, channels = images.shape
    kind = images.dtype if images.dtype.itemsize >= 4 else np.float32  # float16 is too coarse for places
    turn, start = xp.asarray(turn.astype(kind)), xp.asarray(start.astype(kind))
    i, j = xp.arange(height, dtype=kind)[:, None], xp.arange(width, dtype=kind)
    corners, weights = [], []
    for axis, length in enumerate((height, width)):
        t = turn[:, axis, :, None, None]
        place = t[:, 0] * i + t[:, 1] * j + start[:, axis, None, None]
        if outside == "edge":
            place = xp.clip(place, 0, length - 1)
        place = xp.clip(place + 1, 0, length + 1)  # in an image with a margin of one zero on each side
        below = xp.minimum(place.astype(np.int32), length)
        corners.append(below)
        weights.append((place - below)[..., None].astype(images.dtype))
    flat = _padded(xp, images, 1).reshape((-1, channels))
    row = width + 2
    at = corners[0] * row + corners[1] + (xp.arange(n) * (height + 2) * row)[:, None, None]
    down, right = weights
    upper = _between(xp.take(flat, at, axis=0), xp.take(flat, at + 1, axis=0), right)
    lower = _between(xp.take(flat, at + row, axis=0), xp.take(flat, at + row + 1, axis=0), right)
    return _between(upper, lower, down)


def _between(a, b, weight):
    b -= a
    b *= weight
    b += a
    return b


# -------------------------------------------------------------------------------------------------- what the pixels are


class ColorJitter(View):
    """Make each image darker or brighter, and its contrast weaker or stronger.

    Parameters
    ----------
    brightness, contrast : float in [0, 1]
        A factor is drawn from [1 − x, 1 + x]. Brightness multiplies all values, contrast the distance from the mean.
    limits : (float, float) or None
        Where values are cut off.
    """

    def __init__(self, brightness=0.0, contrast=0.0, limits=(0.0, 1.0)):
        if not 0 <= brightness <= 1 or not 0 <= contrast <= 1:
            raise ValueError(f"ColorJitter: brightness={brightness} and contrast={contrast} lie in [0, 1].")
        self.brightness, self.contrast, self.limits = brightness, contrast, limits

    def change(self, xp, images, rng):
        factors = 1 + np.array([[self.brightness], [self.contrast]]) * rng.uniform(-1, 1, (2, len(images)))
        bright, contrast = xp.asarray(factors.astype(images.dtype))[:, :, None, None, None]
        images = images * bright
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        images -= mean
        images *= contrast
        images += mean
        return _limited(xp, images, self.limits)


class GaussianNoise(View):
    """Add independent normal noise to each value.

    Parameters
    ----------
    std : float
        Its standard deviation.
    limits : (float, float) or None
        Where values are cut off.
    """

    def __init__(self, std=0.1, limits=(0.0, 1.0)):
        if std < 0:
            raise ValueError(f"GaussianNoise: std must not be negative, got {std}.")
        self.std, self.limits = std, limits

    def change(self, xp, images, rng):
        kind = np.float64 if images.dtype == np.float64 else np.float32
        noise = xp.asarray((rng.standard_normal(images.shape, dtype=kind) * kind(self.std)).astype(images.dtype))
        noise += images
        return _limited(xp, noise, self.limits)


class Cutout(View):
    """Set a square at a random place of each image to 0 (DeVries & Taylor 2017, arXiv:1708.04552).

    Parameters
    ----------
    size : int
        The side of the square, in pixels. Its centre may be any pixel, so a part of it may lie outside.
    """

    def __init__(self, size=3):
        if size < 1 or size != int(size):
            raise ValueError(f"Cutout: the size is a whole number of pixels, at least 1, got {size}.")
        self.size = int(size)

    def change(self, xp, images, rng):
        n, height, width, _ = images.shape
        top, left = (rng.integers(0, length, n)[:, None] - (self.size - 1) // 2 for length in (height, width))
        i, j = np.arange(height) - top, np.arange(width) - left
        rows, columns = (xp.asarray((0 <= k) & (k < self.size)) for k in (i, j))
        return images * ~(rows[:, :, None, None] & columns[:, None, :, None])


def _limited(xp, images, limits):
    return images if limits is None else xp.clip(images, *limits)


# ---------------------------------------------------------------------------------------------------------- two of them


def two_views(images, view, rng):
    """Two views of each image with independent draws: what row i of both has in common is image i.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
    view : view
    rng : Generator or seed, or a pair of Generators
        One Generator serves both, one after the other.

    Returns
    -------
    v1, v2 : arrays, the shape of `images`

    Raises
    ------
    ValueError
        If both views are the same draw: the Generators of a pair are in the same state, or the view does not use the
        Generator that it is given. The network could find the partner without learning anything.

    Examples
    --------
    >>> v1, v2 = two_views(np.ones((5, 8, 8, 1)), GaussianNoise(0.1), rng=0)
    >>> bool((v1 == v2).all())
    False
    """
    if isinstance(rng, (tuple, list)):
        first, second = (np.random.default_rng(r) for r in rng)
    else:
        first = second = np.random.default_rng(rng)
    before = _state(first)
    if first is not second and _state(second) == before:
        raise ValueError(
            "two_views: both generators are in the same state, so both views would be equal. Give different seeds."
        )
    v1, v2 = view(images, first), view(images, second)
    if _state(first) == before and bool((v1 == v2).all()):
        raise ValueError(
            f"two_views: both views are equal, and {view!r} has drawn nothing from the generator that it was given. "
            "Draw from rng, not from a seed of its own."
        )
    return v1, v2


def _state(rng):
    return str(rng.bit_generator.state)
