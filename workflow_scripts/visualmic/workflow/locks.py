"""Locks that a killed run left behind, told from those of a run that is alive.

Snakemake locks what it makes by files, which stay when it is killed, and then refuses to go on
until a person unlocks the directory. Here every run also holds a lock of the operating system,
which ends with its process however that ended: when nobody holds it, the files are left over.
"""

import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # Not on Windows; there, locks are left to the user.
    fcntl = None  # type: ignore[assignment]

# Kept open as long as the process lives.
_held: list[int] = []


def release_stale_locks(folder: str | os.PathLike[str] = ".snakemake") -> bool:
    """Remove Snakemake's locks if no run on this machine is alive, and count as alive from now on.

    Parameters
    ----------
    folder : path
        Where Snakemake keeps its state.

    Returns
    -------
    bool
        Whether there were locks and they were removed.
    """
    if fcntl is None:
        return False
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o666)
    _held.append(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _share(descriptor)
        return False
    # Some file systems keep such locks to one machine: what another one left may be in use there.
    here = socket.gethostname().encode()
    last = os.read(descriptor, 256)
    stale = [path for path in (folder / "locks").glob("*") if last == here]
    for path in stale:
        path.unlink(missing_ok=True)
    os.pwrite(descriptor, here, 0)
    os.ftruncate(descriptor, len(here))
    _share(descriptor)
    return bool(stale)


def _share(descriptor: int) -> None:
    """Count as alive, beside others that are: they may make other files at the same time."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        # The file system has no such locks, so nobody will conclude anything from them.
        return
