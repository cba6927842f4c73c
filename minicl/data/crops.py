"""Multi-crop: two large windows of each image and several small ones. The small ones must tell which whole they are
part of, and cost little, since they have fewer pixels.
"""

from .views import Compose, RandomResizedCrop


def multi_crop(
    n_local=4, global_area=(0.4, 1.0), local_area=(0.05, 0.4), global_size=None, local_size=None, view=None, n_global=2
):
    """The views of multi-crop, for `multi_views`: first the global ones, then the local ones.

    Parameters
    ----------
    n_local : int
        V, the number of small windows.
    global_area, local_area : (float, float)
        The share of the image that a window covers is drawn from this range.
    global_size, local_size : int or (int, int), optional
        Height and width of the results, in pixels; without it those of the images.
    view : view, optional
        What is done after cropping.
    n_global : int

    Returns
    -------
    list of n_global + n_local views

    Raises
    ------
    ValueError
        If there are fewer than two views in all.

    Notes
    -----
    Source: SwAV (Caron et al. 2020, arXiv:2006.09882). The areas are those of DINO (Caron et al. 2021,
    arXiv:2104.14294).

    Examples
    --------
    >>> import numpy as np
    >>> from minicl.data import multi_views
    >>> images = np.random.default_rng(0).random((5, 28, 28, 1))
    >>> [v.shape[1] for v in multi_views(images, multi_crop(n_local=3, local_size=12), rng=0)]
    [28, 28, 12, 12, 12]
    """
    if min(n_global, n_local) < 0 or n_global + n_local < 2:
        raise ValueError(f"multi_crop: {n_global} global and {n_local} local views are too few; 2 are needed in all.")
    crops = [RandomResizedCrop(global_area, size=global_size)] * n_global
    crops += [RandomResizedCrop(local_area, size=local_size)] * n_local
    return crops if view is None else [Compose([crop, view]) for crop in crops]
