"""What models said at the frames of recordings, as tables, and joined into one sound."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.audio.reference import SAMPLED_COLUMNS, write_table
from visualmic.errors import VisualMicError
from visualmic.learn.footage import Footage
from visualmic.learn.splits import Range, indices


def write_predictions(
    path: str | os.PathLike[str], footage: Footage, ranges: Sequence[Range], samples: NDArray
) -> None:
    """Write what a model said, in the form of SampledData.csv."""
    times = footage.film.time_s()
    rows = (
        (footage.name, int(frame), f"{times[frame]:.9g}", f"{sample:.9g}")
        for frame, sample in zip(indices(ranges), samples, strict=True)
    )
    write_table(path, SAMPLED_COLUMNS, rows)


def read_predictions(path: str | os.PathLike[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read frames and samples that :func:`write_predictions` wrote.

    Raises
    ------
    VisualMicError
        If the file cannot be read.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            rows = [(int(row["frame"]), float(row["amplitude"])) for row in csv.DictReader(stream)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VisualMicError(f"cannot read predictions from {path}; make them again") from error
    return (
        np.array([frame for frame, _ in rows], np.int64),
        np.array([sample for _, sample in rows], np.float64),
    )


def join_predictions(
    paths: Iterable[str | os.PathLike[str]], frame_count: int
) -> NDArray[np.float64]:
    """Join what several models said of parts of one film into one sample a frame.

    Raises
    ------
    VisualMicError
        If a frame is missing, or two files speak of the same one.
    """
    times_said = np.zeros(frame_count, np.int64)
    samples = np.zeros(frame_count)
    for path in paths:
        frames, said = read_predictions(path)
        if frames.size and frames.max() >= frame_count:
            raise VisualMicError(f"{path} speaks of frames beyond the film; make it again")
        times_said[frames] += 1
        samples[frames] = said
    wrong = np.flatnonzero(times_said != 1)
    if wrong.size:
        how = "no model" if times_said[wrong[0]] == 0 else "several models"
        raise VisualMicError(
            f"{how} spoke of frame {wrong[0]} and {wrong.size - 1} others; make the predictions"
            " again"
        )
    return samples
