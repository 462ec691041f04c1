"""The row that describes a recording in metadata.csv."""

import csv
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.film.probe import FilmInfo

METADATA_COLUMNS = (
    "recording",
    "file",
    "sha256",
    "width",
    "height",
    "frames",
    "container_fps",
    "capture_fps",
    "capture_fps_source",
    "duration_s",
    "variable_frame_rate",
    "rotation",
    "codec",
    "pixel_format",
    "audio_rate",
    "offset_s",
    "role",
)
"""Columns of metadata.csv."""


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hexadecimal, read a piece at a time.

    Raises
    ------
    VisualMicError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise VisualMicError(f"cannot read {path}: {error.strerror}; check the path") from error


def metadata_row(
    info: FilmInfo,
    sha256: str,
    role: str = "",
    offset_s: float = 0.0,
    recording: str | None = None,
) -> dict[str, Any]:
    """Describe a recording in the columns of metadata.csv.

    Parameters
    ----------
    info : FilmInfo
        What :func:`visualmic.film.probe.probe_film` said.
    sha256 : str
        Of the film, by :func:`file_sha256`.
    role : str
        What the recording is for, such as ``train`` or ``test``.
    offset_s : float
        Time in the reference at which the first frame was taken, in seconds.
    recording : str, optional
        Its name; the film's name without its ending by default.

    Returns
    -------
    dict
        A value for each of `METADATA_COLUMNS`, in that order; numbers as numbers, ``yes`` or
        ``no`` for the variable frame rate, an empty string for what is not there.
    """
    path = Path(info.path)
    values = {
        "recording": recording if recording is not None else path.stem,
        "file": info.path,
        "sha256": sha256,
        "width": info.width,
        "height": info.height,
        "frames": info.frames,
        "container_fps": round(info.container_fps, 6),
        "capture_fps": round(info.capture_fps, 6),
        "capture_fps_source": info.capture_fps_source,
        "duration_s": round(info.duration_s, 6),
        "variable_frame_rate": "yes" if info.variable_frame_rate else "no",
        "rotation": info.rotation,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "audio_rate": "" if info.audio_rate is None else info.audio_rate,
        "offset_s": offset_s,
        "role": role,
    }
    return {column: values[column] for column in METADATA_COLUMNS}


def write_metadata(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write metadata.csv, a row a recording; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        The file to make.
    rows : iterable of mapping
        What :func:`metadata_row` gave for each recording.

    Raises
    ------
    VisualMicError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, METADATA_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
