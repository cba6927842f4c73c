"""Views: random changes of an image that leave its meaning as it is. They are what contrastive learning learns to look
through.

A view is called as `view(images, rng)` with images (N, H, W, C) and gives images of the same dtype, and of the same
shape unless it was asked for another size. Each image gets its own draw, all images are changed at once, and the input
is left untouched. Random numbers are drawn on the CPU and moved, so a lesson starts the same on CPU and GPU.
"""

import numpy as np

from ...arrays import is_array, namespace


class View:
    """What all views share: the checks. A subclass defines `change(xp, images, rng)`; a plain function is a view too.

    Raises
    ------
    ValueError
        When it is called: if the images are no float array (N, H, W, C), or hold NaN or infinity.

    Examples
    --------
    >>> class Mirror(View):
    ...     def change(self, xp, images, rng):
    ...         return images[:, :, ::-1]
    >>> Mirror()(np.arange(2.0).reshape(1, 1, 2, 1)).ravel()
    array([1., 0.])
    """

    takes = "images"  # or "vectors": float arrays (N, d) or (N, T, d), see vectors.py

    def __call__(self, images, rng=None):
        _checked(type(self).__name__, images, self.takes)
        return self.change(namespace(images), images, np.random.default_rng(rng))

    def change(self, xp, images, rng):
        raise NotImplementedError(f"{type(self).__name__}: define change(self, xp, images, rng).")

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def _checked(name, images, takes):
    if not is_array(images) or images.dtype.kind != "f" or (images.ndim != 4 if takes == "images" else images.ndim < 2):
        found = f"{images.dtype} {tuple(images.shape)}" if is_array(images) else type(images).__name__
        if takes == "vectors":
            raise ValueError(f"{name}: vectors are a float array (N, d), series one of (N, T, d); got {found}.")
        raise ValueError(
            f"{name}: images are a float array (N, H, W, C) with values in [0, 1], got {found}. "
            "Divide bytes by 255; add a channel to grey images with images[..., None]."
        )
    finite = namespace(images).isfinite(images)
    if not bool(finite.all()):
        where = finite.reshape((len(images), -1)).all(axis=1)
        raise ValueError(
            f"{name}: {int((~where).sum())} of {len(images)} {takes} hold NaN or infinity, the first is number "
            f"{int(where.argmin())}. Leave them out, or put numbers there."
        )


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

    @property
    def takes(self):
        return next((view.takes for view in self.views if isinstance(view, View)), View.takes)

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

    @property
    def takes(self):
        return getattr(self.view, "takes", View.takes)

    def change(self, xp, images, rng):
        chosen = xp.asarray(rng.random((len(images),) + (1,) * (images.ndim - 1)) < self.p)
        changed = self.view(images, rng)
        if changed.shape != images.shape:
            raise ValueError(
                f"RandomApply: {self.view!r} makes {tuple(changed.shape)} of {tuple(images.shape)}; it cannot be left "
                "out for some images."
            )
        return xp.where(chosen, changed, images)


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
    size : int or (int, int), optional
        Height and width of the result, in pixels; without it those of the images.

    Notes
    -----
    The window lies anywhere within the image, and starts between pixels (Szegedy et al. 2015; SimCLR uses areas from
    0.08). Values between pixels are bilinear; where the result is much smaller than the window, blur first.

    Examples
    --------
    >>> RandomResizedCrop(area=(0.1, 0.4), size=4)(np.ones((5, 8, 8, 1)), rng=0).shape
    (5, 4, 4, 1)
    """

    def __init__(self, area=(0.5, 1.0), ratio=(3 / 4, 4 / 3), size=None):
        if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                f"RandomResizedCrop: area={area} must be a range within (0, 1], ratio={ratio} one above 0."
            )
        if size is not None:
            size = tuple(int(k) for k in np.broadcast_to(size, 2))
            if min(size) < 1:
                raise ValueError(f"RandomResizedCrop: the size is at least 1 pixel, got {size}.")
        self.area, self.ratio, self.size = tuple(area), tuple(ratio), size

    def change(self, xp, images, rng):
        n = len(images)
        area = rng.uniform(*self.area, n)
        ratio = np.exp(rng.uniform(*np.log(self.ratio), n))
        share = np.minimum(np.sqrt(np.stack([area / ratio, area * ratio], axis=1)), 1.0)  # of the height, of the width
        length = np.array(images.shape[1:3])
        corner = rng.random((n, 2)) * (1 - share) * length
        size = self.size or images.shape[1:3]
        step = share * (length / np.array(size))
        # Pixel i covers [i, i + 1], so its middle is i + ½.
        return _resample(xp, images, step[:, :, None] * np.eye(2), corner + step / 2 - 0.5, size, outside="edge")


def _padded(xp, images, margin):
    n, height, width, channels = images.shape
    padded = xp.zeros((n, height + 2 * margin, width + 2 * margin, channels), dtype=images.dtype)
    padded[:, margin : margin + height, margin : margin + width] = images
    return padded


def _resample(xp, images, turn, start, size=None, outside="zero"):
    """Values at the places start + turn · (row, column), between pixels by bilinear weights."""
    n, height, width, channels = images.shape
    kind = images.dtype if images.dtype.itemsize >= 4 else np.float32  # float16 is too coarse for places
    turn, start = xp.asarray(turn.astype(kind)), xp.asarray(start.astype(kind))
    rows, columns = size or (height, width)
    i, j = xp.arange(rows, dtype=kind)[:, None], xp.arange(columns, dtype=kind)
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
    """Make each image darker or brighter, its contrast weaker or stronger, its colours paler or richer, and turn them.

    Parameters
    ----------
    brightness, contrast, saturation : float in [0, 1]
        A factor is drawn from [1 − x, 1 + x]. Brightness multiplies all values, contrast the distance from the mean of
        the image, saturation the distance from the grey value of the pixel.
    hue : float in [0, 0.5]
        All colours are turned by a part of the colour circle that is drawn from [−hue, hue].
    limits : (float, float) or None
        Where values are cut off.

    Raises
    ------
    ValueError
        If saturation or hue is asked for, and the images have not 3 channels (or 1: grey stays as it is).

    Notes
    -----
    Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Hue turns the plane of I and Q in the YIQ system: grey values
    stay, and the turn is one matrix. (Libraries that turn the H of HSV differ a little: their circle is a
    hexagon.)

    Examples
    --------
    >>> ColorJitter(0.4, 0.4, saturation=0.4, hue=0.1)(np.full((2, 4, 4, 3), 0.5), rng=0).shape
    (2, 4, 4, 3)
    """

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, limits=(0.0, 1.0)):
        if not (0 <= brightness <= 1 and 0 <= contrast <= 1 and 0 <= saturation <= 1):
            raise ValueError(
                f"ColorJitter: brightness={brightness}, contrast={contrast} and saturation={saturation} lie in [0, 1]."
            )
        if not 0 <= hue <= 0.5:
            raise ValueError(f"ColorJitter: hue={hue} lies in [0, 0.5]; 0.5 is half of the colour circle.")
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.limits = limits

    def change(self, xp, images, rng):
        factors = 1 + np.array([[self.brightness], [self.contrast]]) * rng.uniform(-1, 1, (2, len(images)))
        bright, contrast = xp.asarray(factors.astype(images.dtype))[:, :, None, None, None]
        images = images * bright
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        images -= mean
        images *= contrast
        images += mean
        if self.saturation or self.hue:
            _in_color("ColorJitter", images)
            # Both draws, whatever is used, so that one setting does not change what the other draws.
            rich, turn = rng.uniform(-1, 1, (2, len(images)))
            if images.shape[3] == 3:
                matrix = _color_matrix(1 + self.saturation * rich, 2 * np.pi * self.hue * turn)
                matrix = xp.asarray(matrix.astype(images.dtype))
                n, height, width, _ = images.shape
                images = xp.matmul(images.reshape((n, height * width, 3)), matrix).reshape(images.shape)
        return _limited(xp, images, self.limits)


LUMA = np.array([0.299, 0.587, 0.114])
YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def _color_matrix(saturation, angle):
    """(N, 3, 3): a row (R, G, B) times it has its colour turned and its distance from grey multiplied."""
    cos, sin, zero = saturation * np.cos(angle), saturation * np.sin(angle), np.zeros_like(angle)
    turn = np.stack([[1 + zero, zero, zero], [zero, cos, -sin], [zero, sin, cos]])
    # Exactly grey where R = G = B: the rows of I and Q sum to 0.
    yiq = YIQ - np.array([[0.0], [1.0], [1.0]]) * YIQ.mean(axis=1, keepdims=True)
    return np.einsum("ai,ijn,jb->nba", np.linalg.inv(yiq), turn, yiq)


def _in_color(name, images):
    if images.shape[3] not in (1, 3):
        raise ValueError(f"{name}: colours are 3 channels (red, green, blue), grey is 1; got {tuple(images.shape)}.")


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


# ------------------------------------------------------------------------------------------------------ several of them


def two_views(images, view, rng):
    """Two views of each image with independent draws: what row i of both has in common is image i.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        Or vectors (N, d), where the view is one of vectors.
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
    return tuple(_independent("two_views", images, [view] * 2, rng))


def multi_views(images, view, rng, n_views=None):
    """V views of each image with independent draws: what row i of all has in common is image i.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        Or vectors (N, d), where the views are of vectors.
    view : view, or list of V views
        A list gives one to each; `multi_crop` makes one.
    rng : Generator or seed, or a list of V Generators
        One Generator serves all, one after the other. So the first two of V views are those of `two_views`.
    n_views : int, optional
        V, at least 2, where there is one view for all. Without it, 2.

    Returns
    -------
    list of V arrays
        Each of the shape of `images`, unless its view changes the size.

    Raises
    ------
    ValueError
        If V is below 2, the numbers of views and of Generators differ, or two views are the same draw (as in
        `two_views`).

    Examples
    --------
    >>> len(multi_views(np.ones((5, 8, 8, 1)), GaussianNoise(0.1), rng=0, n_views=4))
    4
    """
    views = list(view) if isinstance(view, (list, tuple)) else [view] * (2 if n_views is None else n_views)
    if len(views) < 2 or n_views not in (None, len(views)):
        raise ValueError(
            f"multi_views: there must be 2 views or more, and n_views of them; got {len(views)}, {n_views=}."
        )
    return _independent("multi_views", images, views, rng)


def _independent(name, images, views, rng):
    """The views in order; refused if two are certainly the same draw."""
    if isinstance(rng, (tuple, list)):
        rngs = [np.random.default_rng(r) for r in rng]
        if len(rngs) != len(views):
            raise ValueError(f"{name}: {len(views)} views need as many generators, or one for all; got {len(rngs)}.")
    else:
        rngs = [np.random.default_rng(rng)] * len(views)
    states = {id(r): _state(r) for r in rngs}
    if len(set(states.values())) < len(states):
        raise ValueError(
            f"{name}: generators are in the same state, so their views would be equal. Give different seeds."
        )
    results, idle = [], []
    for view, r in zip(views, rngs):
        before = _state(r)
        result = view(images, r)
        if len(result) != len(images):
            raise ValueError(
                f"{name}: {view!r} made {len(result)} images of {len(images)}; row i of each view must be image i."
            )
        if _state(r) == before:
            if any(result.shape == other.shape and bool((result == other).all()) for other in idle):
                raise ValueError(
                    f"{name}: two views are equal, and {view!r} has drawn nothing from the generator that it was "
                    "given. Draw from rng, not from a seed of its own."
                )
            idle.append(result)
        results.append(result)
    return results


def _state(rng):
    return str(rng.bit_generator.state)
