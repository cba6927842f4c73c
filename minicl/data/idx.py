"""The IDX format, in which the MNIST family of image sets is kept: a short header that tells type and shape, then the
numbers.

Two zero bytes, one for the type, one for the number of axes; for each axis its length in four bytes; then the values.
All numbers have the largest byte first.
"""

import gzip
import hashlib
import math
import pathlib
import zlib

import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path, sha256=None):
    """The array in an IDX file.

    Parameters
    ----------
    path : str or Path
        If the content is gzip, it is unpacked.
    sha256 : str, optional
        The checksum of the unpacked content. It is of the content, since the same content packed twice has two others.

    Returns
    -------
    array
        In the type and shape that the header tells; not writable.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not IDX, is damaged, or has another checksum.

    Notes
    -----
    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database (the page of the data set describes the format).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "three.idx"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    >>> read_idx(path)
    array([7, 8, 9], dtype=uint8)
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}.") from error
    elif path.suffix == ".gz":
        raise ValueError(f"{path} is no gzip file: it starts with {content[:4]!r}.")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(
            f"{path} is no IDX file: it starts with {content[:4].hex(' ') or 'nothing'}, not 00 00, a type."
        )
    dtype, start = np.dtype(TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path} is cut off within its header, after {len(content)} bytes.")
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{path} has {len(content)} bytes; its header says {dtype.name} {shape}, which takes {expected}. It is "
            f"{'cut off' if len(content) < expected else 'too long'}."
        )
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path} has another content than expected: its checksum is {found}, not {sha256}.")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)
