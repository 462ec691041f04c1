"""Digests of what jobs made, written at the end of their logs, and the check against them."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from visualmic.errors import VisualMicError

_LINE = re.compile(r"^sha256 ([0-9a-f]{64})  (.+)$")


def sha256(path: str | os.PathLike[str]) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_line(path: str | os.PathLike[str]) -> str:
    """Write the line by which a log records a file."""
    return f"sha256 {sha256(path)}  {os.fspath(path)}"


@dataclass(frozen=True)
class Verdict:
    """What :func:`check_digests` found: files by how they compare with their records."""

    agree: tuple[str, ...]
    differ: tuple[str, ...]
    missing: tuple[str, ...]


def check_digests(logs: str | os.PathLike[str]) -> Verdict:
    """Compare every file that the logs record with its digest.

    Parameters
    ----------
    logs : path
        Folder of the jobs' logs; paths in them are relative to the working directory.
    """
    agree, differ, missing = [], [], []
    for path, digest in sorted(_recorded(Path(logs)).items()):
        if not Path(path).is_file():
            missing.append(path)
        elif sha256(path) != digest:
            differ.append(path)
        else:
            agree.append(path)
    return Verdict(tuple(agree), tuple(differ), tuple(missing))


def verify(logs: str | os.PathLike[str]) -> Verdict:
    """Check every file against the digest recorded when it was made.

    A file that was removed is no fault: Snakemake makes it again.

    Raises
    ------
    VisualMicError
        If a file is not what was made, or no log records anything.
    """
    verdict = check_digests(logs)
    if verdict.differ:
        raise VisualMicError(
            f"changed since they were made: {', '.join(verdict.differ)}; delete them and run again"
        )
    if not verdict.agree:
        raise VisualMicError(f"no log under {logs} records a file that is there; make some first")
    return verdict


def _recorded(logs: Path) -> dict[str, str]:
    # Oldest first: when two jobs made the same file, the later one's record holds.
    paths = sorted(logs.rglob("*.log"), key=lambda path: path.stat().st_mtime_ns)
    return {path: digest for log in paths for path, digest in _records(log)}


def _records(log: Path) -> Iterator[tuple[str, str]]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match:
            yield match[2], match[1]
