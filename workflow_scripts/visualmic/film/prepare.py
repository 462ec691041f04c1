"""A folder of films to a data set: frames, reference sounds, SampledData.csv and metadata.csv.

Layout of the output, the same as the pipeline's results folder::

    frames/{recording}.h5                       luma frames and their times
    dataset/{recording}.wav                     the reference sound as it came
    dataset/{recording}_subsampled_-1To1.wav    one sample a frame
    dataset/probes/{recording}.json             the recording's row of metadata.csv
    dataset/samples/{recording}.csv             the recording's rows of SampledData.csv
    dataset/metadata.csv, dataset/SampledData.csv

A recording is named as its film, without the ending. What is complete and was made from the same
film at the same rate is kept, so that a run that was interrupted goes on where it stopped.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from visualmic.atomic import atomic_path
from visualmic.audio.reference import (
    extract_reference,
    gather_samples,
    subsample_to_frames,
    write_subsampled,
)
from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.film.frames import StoredFrames, write_frames
from visualmic.film.metadata import file_sha256, metadata_row, write_metadata
from visualmic.film.probe import FilmInfo, probe_film, require_rate
from visualmic.progress import Progress

FILM_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".ogv"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mxf", ".cine", ".y4m"),
)
"""Endings of the files that are taken as films."""

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac", ".aiff")
"""Endings of the files that are taken as the reference of the film of the same name."""

REFERENCES = ("auto", "film", "none")
"""Where references come from: a sound file of the same name, else the track; the track; nowhere."""


@dataclass
class PreparedFolder:
    """What became of each film of a folder.

    Attributes
    ----------
    prepared : list of str
        Recordings whose frames were made in this run.
    kept : list of str
        Recordings whose frames were there already.
    silent : list of str
        Recordings without a reference sound.
    failed : dict of str to str
        Films that could not be prepared, and why.
    """

    prepared: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def prepare_folder(
    video_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    fps: float | None = None,
    reference: str = "auto",
    quiet: bool = False,
    on_failure: Callable[[str, str], None] | None = None,
) -> PreparedFolder:
    """Prepare every film of a folder; one that fails does not keep back the others.

    Parameters
    ----------
    video_dir : path
        Folder of films; its subfolders are not searched.
    output_dir : path
        Where to write; made when it is not there.
    fps : float, optional
        Frames per second at which all the films were taken, in hertz; else what each film says.
    reference : str
        One of `REFERENCES`.
    quiet : bool
        Show no progress.
    on_failure : callable, optional
        Told the film and the reason as soon as one fails.

    Returns
    -------
    PreparedFolder
        What became of each film.

    Raises
    ------
    VisualMicError
        If there is no such folder, no film in it, the rate is not positive, or nothing can be
        written to `output_dir`.
    """
    require_rate(fps, video_dir)
    films = name_recordings(video_dir)
    output = Path(output_dir)
    _require_writable(output)
    summary = PreparedFolder()
    for recording, film in films.items():
        try:
            _prepare_film(recording, film, output, fps, reference, quiet, summary)
        except VisualMicError as error:
            summary.failed[film.name] = str(error)
            if on_failure is not None:
                on_failure(film.name, str(error))
    _gather(output / "dataset", films)
    return summary


def name_recordings(video_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """Find the films of a folder and name their recordings.

    Parameters
    ----------
    video_dir : path
        The folder.

    Returns
    -------
    dict of str to pathlib.Path
        Films by recording, sorted by name. Films that differ in their ending only carry it in
        the name of the recording: ``chips_mp4`` and ``chips_mov``.

    Raises
    ------
    VisualMicError
        If there is no such folder or no film in it.
    """
    folder = Path(video_dir)
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise VisualMicError(
            f"cannot read the folder {folder}: {error.strerror}; give a folder of films"
        ) from error
    films = [path for path in files if path.suffix.lower() in FILM_SUFFIXES]
    if not films:
        raise VisualMicError(
            f"there is no film in {folder}; give a folder with files such as .mp4, .mov or .mkv"
        )
    stems = [film.stem for film in films]
    return {
        film.stem if stems.count(film.stem) == 1 else f"{film.stem}_{film.suffix[1:]}": film
        for film in films
    }


def _require_writable(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        writable = os.access(output, os.W_OK | os.X_OK)
        reason = "permission denied"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise VisualMicError(f"cannot write to {output}: {reason}; choose another output folder")


def _prepare_film(
    recording: str,
    film: Path,
    output: Path,
    fps: float | None,
    reference: str,
    quiet: bool,
    summary: PreparedFolder,
) -> None:
    dataset = output / "dataset"
    info = probe_film(film, fps)
    digest = file_sha256(film)
    store = output / "frames" / f"{recording}.h5"
    if _is_made(store, digest, info):
        summary.kept.append(recording)
    else:
        facts = {"source_sha256": digest, "crop": [0, 0, info.width, info.height]}
        with Progress(f"decode {film.name}", info.frames, quiet=quiet) as progress:
            write_frames(FilmFrames(film, info=info), store, facts, progress)
        summary.prepared.append(recording)
    with atomic_path(dataset / "probes" / f"{recording}.json") as row:
        row.write_text(json.dumps(metadata_row(info, digest, recording=recording), indent=1))
    sound = _reference_of(film, info, reference)
    if sound is None:
        summary.silent.append(recording)
        return
    wav = dataset / f"{recording}.wav"
    extract_reference(sound, wav, info=info if sound == film else None)
    samples, rate = read_audio(wav)
    amplitudes = subsample_to_frames(samples, rate, info.time_s, name=os.fspath(sound))
    write_subsampled(
        recording,
        amplitudes,
        info.time_s,
        info.capture_fps,
        dataset / "samples" / f"{recording}.csv",
        dataset / f"{recording}_subsampled_-1To1.wav",
    )


def _is_made(store: Path, digest: str, info: FilmInfo) -> bool:
    try:
        stored = StoredFrames(store)
    except VisualMicError:
        return False
    return (
        stored.attributes.get("source_sha256") == digest
        and stored.capture_fps == info.capture_fps
        and (stored.frame_count, stored.height, stored.width)
        == (info.frames, info.height, info.width)
    )


def _reference_of(film: Path, info: FilmInfo, reference: str) -> Path | None:
    """Find the sound that was recorded with a film; the film itself for its own track."""
    if reference == "none":
        return None
    if reference == "auto":
        for suffix in SOUND_SUFFIXES:
            beside = film.with_suffix(suffix)
            if beside.is_file():
                return beside
        return film if info.audio_rate is not None else None
    return film


def _gather(dataset: Path, recordings: Iterable[str]) -> None:
    """Write both tables from what each recording has, an earlier run's included."""
    rows = [dataset / "probes" / f"{recording}.json" for recording in recordings]
    samples = [dataset / "samples" / f"{recording}.csv" for recording in recordings]
    rows = [row for row in rows if row.is_file()]
    if rows:
        write_metadata(dataset / "metadata.csv", [json.loads(row.read_text()) for row in rows])
        gather_samples([table for table in samples if table.is_file()], dataset / "SampledData.csv")
