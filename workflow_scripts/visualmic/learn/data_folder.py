"""Recordings to learn from in a folder that ``visualmic prepare`` or the workflow has made."""

import csv
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from visualmic.audio.reference import SAMPLED_COLUMNS
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.film.frames import StoredFrames, write_frames
from visualmic.learn.footage import Footage, read_footage
from visualmic.learn.labels import read_samples
from visualmic.motion.methods import DEFAULT_METHOD, recover
from visualmic.progress import Progress


def referenced_recordings(folder: str | os.PathLike[str]) -> list[str]:
    """Name the recordings of a folder whose sound is known and that are not kept for testing.

    Raises
    ------
    VisualMicError
        If the folder holds no SampledData.csv, or nothing in it.
    """
    path = Path(folder, "dataset", "SampledData.csv")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            if tuple(rows.fieldnames or ()) != SAMPLED_COLUMNS:
                raise VisualMicError(f"{path} has other columns; make it again")
            names = list(dict.fromkeys(row["recording"] for row in rows))
    except OSError as error:
        raise VisualMicError(
            f"cannot read {path}: {error.strerror}; make it with visualmic prepare"
        ) from error
    if not names:
        raise VisualMicError(f"{path} has no recordings; give films with their sounds")
    kept = _test_recordings(Path(folder, "dataset", "metadata.csv"))
    return [name for name in names if name not in kept] or names


def _test_recordings(metadata: Path) -> set[str]:
    if not metadata.is_file():
        return set()
    with metadata.open(newline="", encoding="utf-8") as stream:
        return {row["recording"] for row in csv.DictReader(stream) if row.get("role") == "test"}


def footage_of(
    folder: str | os.PathLike[str], names: Sequence[str], quiet: bool = False
) -> list[Footage]:
    """Gather recordings of a folder, each with what the default classical method hears in it.

    A sound that the workflow has made is used; else it is recovered now.

    Raises
    ------
    VisualMicError
        If a recording is not there.
    """
    folder = Path(folder)
    samples = folder / "dataset" / "SampledData.csv"
    gathered = []
    for name in names:
        frames = folder / "frames" / f"{name}.h5"
        heard = folder / "sound" / DEFAULT_METHOD / f"{name}.wav"
        if heard.is_file():
            gathered.append(read_footage(name, frames, heard, samples))
        else:
            found = film_footage(StoredFrames(frames), name, quiet)
            gathered.append(Footage(name, found.film, found.heard, read_samples(samples, name)))
    return gathered


def film_footage(film: StoredFrames, name: str, quiet: bool = False) -> Footage:
    """Have the default classical method hear a film of which no sound is known."""
    title = f"recover {Path(film.name).stem}"
    with Progress(title, film.frame_count, quiet=quiet) as progress:
        sound = recover(film, progress=progress).sound
    return Footage(name, film, np.asarray(sound, np.float64))


@contextmanager
def stored_film(
    path: str | os.PathLike[str],
    fps: float | None = None,
    crop: tuple[int, int, int, int] | None = None,
    quiet: bool = False,
) -> Iterator[StoredFrames]:
    """Give the frames of a film or of a frame store as a frame store, for as long as needed.

    Raises
    ------
    VisualMicError
        If the film cannot be read, or a frame store is given with another rate or crop.
    """
    if Path(path).suffix.lower() in (".h5", ".hdf5"):
        if fps is not None or crop is not None:
            raise VisualMicError(
                f"{path} is a frame store: its rate and crop were chosen when it was made; give"
                " the film itself to change them"
            )
        yield StoredFrames(path)
        return
    film = FilmFrames(path, fps=fps, crop=crop)
    with tempfile.TemporaryDirectory(prefix="visualmic-") as folder:
        store = Path(folder, "frames.h5")
        with Progress(f"decode {Path(path).name}", film.frame_count, quiet=quiet) as progress:
            write_frames(film, store, progress=progress)
        yield StoredFrames(store)
