"""Checkpoints: the state of a run as one file of named arrays. Either the whole new file is there, or the old one still
is; and what is read is what was written, or an error.

The format is safetensors: a JSON header and the bytes of the arrays. Nothing in it can run code. What is no array
(counts, history, states of generators) is JSON within the header.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib

import numpy as np

FORMAT = "minicl checkpoint 2"
_KEY = "minicl"  # one key of metadata, since safetensors writes several in an order of its own: equal runs, equal files


def save(path, arrays, notes):
    """Write a checkpoint. The one that was there before is kept beside it, as `previous(path)`.

    Parameters
    ----------
    path : str or Path
    arrays : dict of NumPy arrays
    notes : dict
        What JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written, for example because the disk is full. What the file held before is still there then.
    TypeError
        If an array holds no numbers, or a note cannot be written as JSON. Nothing is written then.

    Notes
    -----
    The bytes go to a second file and are forced to the disk; then that file is renamed, a step that cannot be half
    done. At each moment `path` is the old file or the new one. Only a file that can be read is kept as the previous
    one: a damaged file never takes the place of a good one. Two runs that write the same file wait for each other, so
    it is that of the last one, and whole.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "run.safetensors"
    >>> for epoch in (1, 2):
    ...     save(path, {"weight": np.full(3, epoch / 2)}, {"epoch": epoch})
    >>> load(path)
    ({'weight': array([1., 1., 1.])}, {'epoch': 2})
    >>> load(previous(path))
    ({'weight': array([0.5, 0.5, 0.5])}, {'epoch': 1})
    >>> folder.cleanup()
    """
    from safetensors.numpy import save as as_bytes

    path = pathlib.Path(path)
    # safetensors 0.8 takes the memory as it lies: a transposed or strided array would be written wrongly.
    arrays = {name: np.array(a, order="C") for name, a in arrays.items()}
    for name, a in arrays.items():
        if a.dtype.kind not in "fiub":
            raise TypeError(f"checkpoint {path}: the array {name!r} of dtype {a.dtype} cannot be written.")
    text = as_json(notes)
    header = {"format": FORMAT, "sha256": _checksum(arrays, text), "notes": text}
    content = as_bytes(arrays, metadata={_KEY: json.dumps(header)})

    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".tmp")
    with _alone(path.parent) as folder:
        try:
            _write(new, content)
            _keep(path)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        if folder is not None:
            os.fsync(folder)  # the names too


def prepare(path):
    """Make the folder of a checkpoint, and find out whether it can be written to: now, and not after hours of training.

    Raises
    ------
    OSError
        If it cannot; its message names the file and the reason. Files that are there stay as they are.

    Examples
    --------
    >>> prepare("/")
    Traceback (most recent call last):
    IsADirectoryError: [Errno 21] a checkpoint is a file, and this is a folder; name a file within it: '/'
    """
    path = pathlib.Path(path)
    if os.path.isdir(path):
        what = "a checkpoint is a file, and this is a folder; name a file within it"
        raise IsADirectoryError(errno.EISDIR, what, str(path))
    new = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            open(new, "wb").close()
            new.unlink()
    except OSError as error:
        what = f"no checkpoint can be written there ({error.strerror}); name a file in a folder of yours"
        raise type(error)(error.errno, what, str(path)) from error


def load(path):
    """Read a checkpoint, and compare its checksum.

    Returns
    -------
    arrays : dict of NumPy arrays
    notes : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, no checkpoint of minicl, or of another version. If the previous one can be read, the
        message names it.
    """
    try:
        return _read(path)
    except ValueError as error:
        older = previous(path)
        try:
            _, notes = _read(older)
        except (OSError, ValueError):
            raise error from None
        raise ValueError(
            f"{error} The one before it can be read (epoch {notes.get('epoch', 'unknown')}): {older}. "
            "To go on from there, rename it to the name of the damaged file."
        ) from error


def previous(path):
    """Where the checkpoint before the last one is kept: `path` with ".previous" after it.

    Examples
    --------
    >>> previous("run.safetensors").name
    'run.safetensors.previous'
    """
    path = pathlib.Path(path)
    return path.with_name(path.name + ".previous")


def _read(path):
    from safetensors.numpy import load as from_bytes

    content = pathlib.Path(path).read_bytes()
    try:
        arrays = from_bytes(content)  # compares lengths: a file cut short has no arrays
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except Exception as error:  # a library in another language raises kinds of its own
        raise ValueError(f"checkpoint {path}: the file is damaged, or no checkpoint of minicl ({error}).") from error
    try:
        header = json.loads(metadata[_KEY])
        found, checksum, text = header["format"], header["sha256"], header["notes"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(
            f"checkpoint {path}: no checkpoint of minicl, or damaged: the header has no {_KEY!r} that can be read."
        ) from None
    if found != FORMAT:
        raise ValueError(f"checkpoint {path}: its format is {found!r}; this version reads {FORMAT!r}.")
    if checksum != _checksum(arrays, text):
        raise ValueError(
            f"checkpoint {path}: the file is damaged: its content does not have the checksum it was given."
        )
    return arrays, json.loads(text)


def _checksum(arrays, text):
    """SHA-256 over names, dtypes, shapes and bytes of the arrays, and over the notes."""
    found = hashlib.sha256(text.encode())
    for name, a in sorted(arrays.items()):
        found.update(json.dumps([name, a.dtype.str, a.shape]).encode())
        found.update(a.reshape(-1).view(np.uint8))
    return found.hexdigest()


def _write(path, content):
    """The bytes in a file, and the file on the disk."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep(path):
    """Make the file the previous one, if it can be read. It stays where it is, too: a second name for the same bytes."""
    try:
        _read(path)
    except (FileNotFoundError, ValueError):
        return
    name = path.with_name(path.name + ".previous.tmp")
    name.unlink(missing_ok=True)
    try:
        try:
            os.link(path, name)
        except OSError:  # some file systems have no second names
            _write(name, path.read_bytes())
        os.replace(name, previous(path))
    except BaseException:
        name.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(path):
    """One save at a time in a folder, from whatever process. The lock ends with the process that holds it.

    Gives the open folder, so that its names can be forced to the disk. Windows can do neither, and gives None.
    """
    if not hasattr(os, "O_DIRECTORY"):
        yield None
        return
    import fcntl

    folder = os.open(path, os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a few file systems have no locks
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)


def as_json(notes):
    """Notes as text: NumPy's numbers and arrays become plain ones and lists."""
    return json.dumps(notes, default=_as_list)


def _as_list(x):
    """Some generators keep arrays in their state."""
    if isinstance(x, np.ndarray):
        return x.tolist()
    if isinstance(x, np.generic):
        return x.item()
    raise TypeError(f"checkpoint: a note of type {type(x).__name__} cannot be written.")
