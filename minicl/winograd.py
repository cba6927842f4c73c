"""The convolution with 3 x 3 weights and stride 1, in a quarter of the multiplications: 4 x 4 results of a tile of 6 x 6
pixels need 36 products for each pair of channels, and not 16 · 9 = 144.

Polynomials are multiplied by multiplying their values: three weights and four cotangents give six coefficients, so six
values suffice, here at 0, ±1, ±2 and ∞. Convolution is the transpose of that product. A. Lavin, S. Gray 2015, Fast
Algorithms for Convolutional Neural Networks (arXiv:1509.09308), after S. Winograd 1980. `conv` uses it where there are
many channels, and holds it to its definition in a test.

A tile is computed as one: rounding errors are small beside its largest entry, and not beside each of its results, and an
infinity or NaN in a pixel makes all 4 x 4 results of its tiles NaN.
"""

import numpy as np

from .buffers import empty
from .threads import in_parallel, one_blas_thread

CACHE = 5 * 2**19  # bytes of the values of the tiles that a thread works on at a time
PARTS = 16  # as in conv: a constant, since it decides what is added up first
AT_LEAST = 32  # channels: with fewer, the transforms cost more than is saved

# For one axis: y = Aᵀ ((G w) ⊙ (Bᵀ x)), six numbers x, three w, four y. For two axes the Kronecker square does it.
_A = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]) / 1.0
_B = (
    np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    )
    / 1.0
)
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_A, _B, _G = (np.kron(m, m) for m in (_A, _B, _G))  # (16, 36), (36, 36), (36, 9)


def fits(x, w, y_shape, stride, dilation, groups):
    """Whether this way is open, and shorter."""
    _, h, w_out, _ = y_shape
    covered = (h + -h % 4) * (w_out + -w_out % 4)
    return (
        w.shape[:2] == (3, 3)
        and (stride, dilation, groups) == ((1, 1), (1, 1), 1)
        and min(w.shape[2:]) >= AT_LEAST
        and h * w_out >= 0.6 * covered
        and x.dtype == w.dtype
        and x.dtype in (np.float32, np.float64)
    )


class _Tiles:
    """The tiles of a few images, first axis the place within a tile: memory that one chunk after the other uses."""

    def __init__(self, most, x, w, places, padding):
        (self.top, _), (self.left, _) = padding
        self.down, self.across = (-(-n // 4) for n in places)
        self.places, dtype = places, x.dtype
        self.margin = np.zeros((most, 4 * self.down + 2, 4 * self.across + 2, x.shape[3]), dtype)
        self.wide = np.zeros((most, 4 * self.down, 4 * self.across, w.shape[3]), dtype)
        self.a, self.b = _A.astype(dtype), _B.astype(dtype)
        tiles = most * self.down * self.across
        c, k = w.shape[2:]
        self.memory = [(size, empty((size * tiles * n,), dtype), n) for size, n in ((36, c), (36, c), (36, k), (16, k))]

    def of(self, n):
        """Memory for the tiles of n images: pixels, values, products and results."""
        tiles = n * self.down * self.across
        return [memory[: size * tiles * c].reshape(size, tiles, c) for size, memory, c in self.memory]

    def cut(self, images, size, tiles):
        """tiles[size·i + j] = what stands at the place (i, j) of each tile."""
        shape = len(images), self.down, self.across, images.shape[3]
        for k, tile in enumerate(tiles):
            i, j = divmod(k, size)
            tile.reshape(shape)[:] = images[:, i : i + 4 * self.down - 3 : 4, j : j + 4 * self.across - 3 : 4]

    def values_of(self, x):
        """Bᵀ x for all tiles of images."""
        n, (_, h, w, _) = len(x), x.shape
        margin = self.margin[:n]
        margin[:] = 0
        margin[:, self.top : self.top + h, self.left : self.left + w] = x
        pixels, values, _, _ = self.of(n)
        self.cut(margin, 6, pixels)
        return _times(self.b, pixels, values)

    def forward(self, x, spread, y):
        n = len(x)
        _, _, products, results = self.of(n)
        np.matmul(self.values_of(x), spread, out=products)
        _times(self.a, products, results)
        shape = n, self.down, self.across, y.shape[3]
        wide = self.wide[:n]
        for k, result in enumerate(results):
            wide[:, k // 4 :: 4, k % 4 :: 4] = result.reshape(shape)
        y[:] = wide[:, : y.shape[1], : y.shape[2]]

    def backward(self, x, gy, spread, g_spread, gx):
        """Adds to the cotangent of the spread weights, and writes that of the images (each where it is not None)."""
        n, wide = len(x), self.wide[: len(x)]
        pixels, values, products, results = self.of(n)
        wide[:, : gy.shape[1], : gy.shape[2]] = gy  # the rest is 0, and stays so
        self.cut(wide, 4, results)
        _times(self.a.T, results, products)
        if g_spread is not None:
            g_spread += np.matmul(self.values_of(x).transpose(0, 2, 1), products)
        if gx is not None:
            np.matmul(products, spread.transpose(0, 2, 1), out=values)
            _times(self.b.T, values, pixels)
            margin, shape = self.margin[:n], (n, self.down, self.across, x.shape[3])
            margin[:] = 0
            for k, tile in enumerate(pixels):
                i, j = divmod(k, 6)
                margin[:, i : i + 4 * self.down - 3 : 4, j : j + 4 * self.across - 3 : 4] += tile.reshape(shape)
            gx[:] = margin[:, self.top : self.top + x.shape[1], self.left : self.left + x.shape[2]]


def _times(matrix, stack, out):
    """The matrix times the first axis of a stack."""
    np.matmul(matrix, stack.reshape(len(stack), -1), out=out.reshape(len(out), -1))
    return out


def _spread(w):
    """G w: (36, C, K)."""
    with one_blas_thread:
        return (_G.astype(w.dtype) @ w.reshape(9, -1)).reshape(36, *w.shape[2:])


def _in_chunks(x, places, work):
    tiles = -(-places[0] // 4) * -(-places[1] // 4)
    most = max(1, min(CACHE // max(1, 36 * tiles * x.shape[3] * x.itemsize), -(-len(x) // 4)))
    chunks = [slice(start, min(start + most, len(x))) for start in range(0, len(x), most)]
    share = -(-len(chunks) // PARTS) or 1
    parts = [(min(most, len(x)), chunks[k : k + share]) for k in range(0, len(chunks), share)]
    with one_blas_thread:
        return in_parallel(work, parts)


def forward(x, w, padding, y):
    """Writes the convolution of x with w to y."""
    spread = _spread(w)

    def work(part):
        most, chunks = part
        tiles = _Tiles(most, x, w, y.shape[1:3], padding)
        for images in chunks:
            tiles.forward(x[images], spread, y[images])

    _in_chunks(x, y.shape[1:3], work)


def backward(g, needed, x, w, padding):
    """The cotangents of x and w, None where not needed."""
    spread, gx = _spread(w), empty(x.shape, g.dtype) if needed[0] else None

    def work(part):
        most, chunks = part
        tiles = _Tiles(most, x, w, g.shape[1:3], padding)
        g_spread = np.zeros(spread.shape, g.dtype) if needed[1] else None
        for images in chunks:
            tiles.backward(x[images], g[images], spread, g_spread, gx[images] if needed[0] else None)
        return g_spread

    parts = _in_chunks(x, g.shape[1:3], work)
    if not needed[1]:
        return gx, None
    total = sum(parts, start=np.zeros(spread.shape, g.dtype))  # in this order, always
    with one_blas_thread:
        return gx, (_G.astype(w.dtype).T @ total.reshape(36, -1)).reshape(w.shape)
