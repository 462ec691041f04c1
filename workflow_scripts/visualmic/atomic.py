"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visualmic.errors import VisualMicError


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `target`, renamed to `target` when the block succeeds.

    The file is flushed to disk before the rename. When the block raises, the temporary file is
    removed and whatever was at `target` before is left as it was.

    Parameters
    ----------
    target : path
        The file to make. Missing parent folders are created.

    Yields
    ------
    pathlib.Path
        A path in the same folder with the same suffix as `target`.

    Raises
    ------
    VisualMicError
        If the folder cannot be created or written, or the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=f".partial{target.suffix}", dir=target.parent
        )
    except OSError as error:
        raise VisualMicError(
            f"cannot write {target}: {error.strerror}; choose a folder you may write to"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise VisualMicError(
            f"cannot write {target}: {error.strerror or error}; free some space or choose another"
            " folder, then run again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def require_writable(target: str | os.PathLike[str]) -> None:
    """Raise VisualMicError now when `target` could not be written later."""
    target = Path(target)
    if target.is_dir():
        raise VisualMicError(f"cannot write {target}: it is a folder; give the name of a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", dir=target.parent)
    except OSError as error:
        raise VisualMicError(
            f"cannot write {target}: {error.strerror}; choose a folder you may write to"
        ) from error
    os.close(handle)
    Path(name).unlink()
