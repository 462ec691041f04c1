"""Which ffmpeg runs, how it is started, and how its complaints reach the user.

Every child talks to this process through pipes only. When this process dies, however it dies, the
pipes close and ffmpeg stops at its next read or write: no orphan is left to write a file.
"""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import ffmpeg

from visualmic.errors import VisualMicError

PIPE_BYTES = 1 << 20
"""Wished size of a pipe: Linux gives 64 KiB unasked, and a frame is larger than that."""

_F_SETPIPE_SZ = 1031
_OLDEST_VERSION = (4, 2)
_LOG_LINE = re.compile(r"^(?:\[(?!\w+\] )[^\]]*\] )?\[(\w+)\] (.*)$")


@functools.cache
def ffmpeg_executable() -> str:
    """Path of the ffmpeg to run: the system's when it is on PATH, else that of imageio-ffmpeg.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    VisualMicError
        If neither is there.
    """
    system = shutil.which("ffmpeg")
    if system is not None and ffmpeg_version(system) >= _OLDEST_VERSION:
        return system
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise VisualMicError(
            "no ffmpeg found: install imageio-ffmpeg from a wheel, or put ffmpeg"
            f" {_OLDEST_VERSION[0]}.{_OLDEST_VERSION[1]} or newer on PATH"
        ) from error


@functools.cache
def ffmpeg_version(executable: str) -> tuple[int, int]:
    """Major and minor version of an ffmpeg; builds without a number count as the newest.

    Parameters
    ----------
    executable : str
        Path of the ffmpeg.

    Returns
    -------
    tuple of int
        Such as ``(7, 1)``; ``(0, 0)`` when it does not run.
    """
    try:
        answer = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, errors="replace", check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    found = re.match(r"ffmpeg version n?(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (99, 0)


def film_input(path: str | os.PathLike[str], **options: Any) -> Any:
    """Open a local file as an ffmpeg-python input, whatever characters its name holds.

    Parameters
    ----------
    path : path
        The film or sound file.
    **options
        ffmpeg options of this input.

    Returns
    -------
    ffmpeg.nodes.FilterableStream
        To be continued with ``.output(...)``.

    Raises
    ------
    VisualMicError
        If there is no such file, it is not a file, cannot be read, or is empty.
    """
    require_file(path)
    # The protocol prefix keeps names such as "take:2.mp4" or "-x.mp4" from being options; the
    # whitelist keeps a playlist posing as a film from reaching the network.
    return ffmpeg.input(f"file:{os.fspath(path)}", protocol_whitelist="file,pipe", **options)


def require_file(path: str | os.PathLike[str]) -> None:
    """Raise VisualMicError unless `path` is a file that can be read and is not empty."""
    file = Path(path)
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise VisualMicError(f"there is no file {file}; check the path") from None
    except OSError as error:
        raise VisualMicError(f"cannot read {file}: {error.strerror}; check the path") from error
    if not file.is_file():
        raise VisualMicError(f"{file} is not a file; give the path of a film or sound file")
    if not os.access(file, os.R_OK):
        raise VisualMicError(f"cannot read {file}: permission denied; change its permissions")
    if size == 0:
        raise VisualMicError(f"{file} is empty; copy it again from the camera or recorder")


def command(stream: Any, log_level: str = "error") -> list[str]:
    """Command line of an ffmpeg-python stream that ends in an output."""
    arguments = ("-hide_banner", "-nostdin", "-nostats", "-v", log_level)
    return list(ffmpeg.compile(stream.global_args(*arguments), cmd=ffmpeg_executable()))


@contextmanager
def piped(arguments: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run ffmpeg with its standard output in a pipe; it is dead when the block ends.

    Parameters
    ----------
    arguments : list of str
        The command line.

    Yields
    ------
    process : subprocess.Popen
        Its ``stdout`` is unbuffered.
    errors : binary file
        What the process writes on standard error: a file, so that it can never block.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        )
        assert process.stdout is not None
        try:
            widen_pipe(process.stdout.fileno())
            yield process, errors
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.kill()
            process.wait()


def widen_pipe(descriptor: int) -> None:
    """Ask for a pipe of `PIPE_BYTES`; a system that refuses is only slower."""
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIPE_BYTES)


def read_log(errors: IO[bytes]) -> str:
    """Text that ffmpeg has written to the file of :func:`piped`."""
    errors.seek(0)
    return errors.read().decode("utf-8", errors="replace")


def complaints(log: str) -> list[str]:
    r"""Messages of errors in an ffmpeg log, without addresses and repeats.

    Parameters
    ----------
    log : str
        Standard error of ffmpeg, written with ``-v error`` or ``-v level+...``.

    Returns
    -------
    list of str
        Each message once, in order.

    Examples
    --------
    >>> complaints("[in#0 @ 0x55] [error] moov atom not found\n[info] Output #0")
    ['moov atom not found']
    """
    found: dict[str, None] = {}
    for line in log.splitlines():
        match = _LOG_LINE.match(line)
        if match and match[1] in ("error", "fatal", "panic"):
            found[match[2].strip()] = None
    return list(found)
