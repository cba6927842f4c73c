"""Checkpoints: the state of a run as one file of named arrays. Either the whole new file is there, or the old one still
is.

The format is NumPy's .npz, read without pickle; what is no array (counts, history, states of generators) is JSON in one
more.
"""

import json
import os
import pathlib

import numpy as np

FORMAT = "minicl checkpoint 1"
_NOTES = "notes"


def save(path, arrays, notes):
    """Write a checkpoint.

    Parameters
    ----------
    path : str or Path
    arrays : dict of NumPy arrays
    notes : dict
        What JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written. What the file held before is still there then.

    Notes
    -----
    The bytes go to a second file, are forced to the disk, and then the file is renamed: a step that cannot be half
    done.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, **notes}, default=_as_list)
    beside = path.with_name(path.name + ".tmp")
    try:
        with open(beside, "wb") as file:
            np.savez(file, **arrays, **{_NOTES: np.frombuffer(text.encode(), dtype=np.uint8)})
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself shall be on the disk too; Windows has no such call
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load(path):
    """Read a checkpoint.

    Returns
    -------
    arrays : dict of NumPy arrays
    notes : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or no checkpoint.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as members:
                arrays = {name: members[name] for name in members.files}  # each has a checksum, which is compared here
            notes = json.loads(arrays.pop(_NOTES).tobytes())
            found = notes.pop("format")
        except Exception as error:  # the zip and the array format raise many kinds
            raise ValueError(
                f"checkpoint {path}: the file is damaged, or no checkpoint of minicl ({error})."
            ) from error
    if found != FORMAT:
        raise ValueError(f"checkpoint {path}: its format is {found!r}; this version reads {FORMAT!r}.")
    return arrays, notes


def _as_list(x):
    """Some generators keep arrays in their state."""
    if isinstance(x, np.ndarray):
        return x.tolist()
    if isinstance(x, np.generic):
        return x.item()
    raise TypeError(f"checkpoint: a note of type {type(x).__name__} cannot be written.")
