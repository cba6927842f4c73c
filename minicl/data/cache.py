"""Where downloaded files are kept: the folder that the operating system has for such things, or one that the user
chose.
"""

import os
import pathlib
import sys


def cache_folder():
    """The folder for downloaded data. It is not made until something is downloaded.

    Returns
    -------
    Path
        What the environment variable `MINICL_DATA` says. Without it, `minicl` within `$XDG_CACHE_HOME` or `~/.cache` on
        Linux, in `~/Library/Caches` on macOS, in `%LOCALAPPDATA%` on Windows.

    Examples
    --------
    >>> cache_folder().is_absolute() or "MINICL_DATA" in os.environ
    True
    """
    chosen = os.environ.get("MINICL_DATA")
    if chosen:
        return pathlib.Path(chosen).expanduser()
    home = pathlib.Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return pathlib.Path(base) / "minicl"
