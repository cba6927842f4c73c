"""Downloads that end in a whole, verified file or in none. A broken one goes on from where it stopped.

The bytes go to `NAME.part`. Only when they are all there and have been checked, the file gets its name, in one step, so
nobody ever reads half a file. Processes that want the same file wait for the first one.
"""

import contextlib
import errno
import http.client
import os
import pathlib
import socket
import time
import urllib.error
import urllib.request

CHUNK = 1 << 18


def download(urls, path, check, progress=True, attempts=4, timeout=30.0, wait=1.0):
    """Bring a file from the first of these addresses that gives it.

    Parameters
    ----------
    urls : list of str
    path : str or Path
        Where it shall be. Folders on the way are made.
    check : callable
        `check(path)` raises ValueError if the bytes are not the expected ones.
    progress : bool
        Show a progress bar.
    attempts : int
        How often each address is tried; each attempt goes on from where the one before stopped.
    timeout : float
        Seconds without an answer after which an attempt counts as broken.
    wait : float
        Seconds before the second attempt; the pause doubles each time.

    Returns
    -------
    Path

    Raises
    ------
    ConnectionError
        If no address gives the file. What has arrived is kept, and the next call goes on from there.
    ValueError
        If what arrives is not the expected file, from none of the addresses. It is not kept.

    Examples
    --------
    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_bytes(b"abc")
    >>> download([(folder / "a").as_uri()], folder / "b", check=lambda path: None, progress=False).read_bytes()
    b'abc'
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent):
        if path.is_file():  # another process has just brought it, or it is a bad one
            with contextlib.suppress(ValueError):
                check(path)
                return path
        return _from_one_of(urls, path, check, progress, attempts, timeout, wait)


@contextlib.contextmanager
def _alone_in(folder):
    """One process at a time. Where the system has no such locks, a collision is found by `check`."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network drives
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _from_one_of(urls, path, check, progress, attempts, timeout, wait):
    part = path.with_name(path.name + ".part")
    failures, wrong = [], None
    for url in urls:
        for attempt in range(attempts):
            if attempt:
                time.sleep(wait * 2 ** (attempt - 1))
            resumed = part.exists() and part.stat().st_size > 0
            try:
                _receive(url, part, path.name, progress, timeout)
            except urllib.error.HTTPError as error:
                if not (error.code == 416 and resumed):  # 416: nothing follows what is here. Is it the whole file?
                    failures.append(f"{url}: the server answers {error.code} {error.reason}")
                    if error.code < 500:
                        break  # it will answer so again
                    continue
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and (error.filename is not None or error.errno == errno.ENOSPC):
                    raise  # it is the disk, not the network
                failures.append(f"{url}: {getattr(error, 'reason', error)}")
                if isinstance(getattr(error, "reason", None), socket.gaierror):
                    break  # there is no network, or no such server
                continue
            try:
                check(part)
            except ValueError as error:
                part.unlink()
                failures.append(f"{url} does not give the expected file: {error}")
                if resumed:  # perhaps its first half was of another file
                    continue
                wrong = error
                break
            os.replace(part, path)
            return path
    said = [f"download: {path.name} could not be had.", *(f"  {line}" for line in dict.fromkeys(failures))]
    if part.exists():
        said.append(f"The first {part.stat().st_size} bytes are kept; the next call goes on there.")
    raise (ValueError if wrong else ConnectionError)("\n".join(said)) from wrong


def _receive(url, part, name, progress, timeout):
    """Add to `part` what is missing."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "minicl", **({"Range": f"bytes={have}-"} if have else {})}
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        if answer.status != 206:
            have = 0  # the server sends all of it
        elif not (sent := answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            raise ConnectionError(f"the server sends {sent or 'an unknown part'}, not what was asked for")
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        with open(part, "ab" if have else "wb") as file, _bar(progress, name, have, total) as bar:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise ConnectionError(f"the connection broke after {have} of {total} bytes")


def _bar(progress, name, have, total):
    from tqdm.auto import tqdm

    return tqdm(
        total=total, initial=have, unit="B", unit_scale=True, unit_divisor=1024, desc=name, disable=not progress
    )
