"""What each model and each classical method scores on frames that it was not fitted on.

Conventions: scores are of samples in the unit of SampledData.csv, [-1, 1]. Networks are scored as
they speak. A classical method knows neither unit nor sign, so it is taken as a model with one
parameter, the gain that fits the training part best. Lag and sign of the labels come from the
training part too; on a recording without one they are those that suit each method best, because a
film alone cannot tell them. No gain is fitted there.
"""

import csv
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.evaluate.metrics import METRICS, UndefinedMetric
from visualmic.evaluate.scores import LIMIT_DB
from visualmic.learn.footage import Footage
from visualmic.learn.labels import Labels, align_labels
from visualmic.learn.splits import Range, Split, indices

Signal = NDArray[np.float64]

SCORED = ("rmse", "mae", "pearson", "si_sdr", "estoi")
"""The metrics of the table, by their names in :mod:`visualmic.evaluate.metrics`."""

TABLE_COLUMNS = (
    *("on", "model", "folds", "recordings", "frames"),
    *("rmse", "rmse_sd", "rmse_silence", "mae", "mae_sd", "pearson", "pearson_sd"),
    *("si_sdr", "si_sdr_sd", "estoi", "estoi_sd", "loss", "training_s", "parameters"),
)
"""Columns of models.csv; ``_sd`` is the standard deviation over folds, or over recordings."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """What one method said of one recording.

    Attributes
    ----------
    recording : Footage
        With what was played.
    frames : ndarray, int64, (N,)
        The frames that are scored.
    labels : Labels
    said : ndarray, float64, (N,)
    """

    recording: Footage
    frames: NDArray[np.int64]
    labels: Labels
    said: Signal


def score_heard(heard: Sequence[Heard]) -> Row:
    """Score what a method said: the mean over recordings of each metric, and the summed loss.

    Returns
    -------
    dict
        ``frames``, the metrics of :data:`SCORED` (None where there is no value), what silence
        scores in ``rmse_silence`` and ``mae_silence``, ``loss`` (the sum of squared errors), and
        ``loss_silence``.
    """
    found: dict[str, list[float]] = {}
    loss = silent_loss = 0.0
    frames = 0
    for one in heard:
        known = one.labels.known[one.frames]
        played, said = one.labels.samples[one.frames][known], one.said[known]
        frames += played.size
        loss += float(np.square(said - played).sum())
        silent_loss += float(np.square(played).sum())
        silence = np.zeros_like(played)
        for name in SCORED:
            _add(found, name, name, played, said, one.recording.film.capture_fps)
        for name in ("rmse", "mae"):
            _add(found, f"{name}_silence", name, played, silence, 1.0)
    names = (*SCORED, "rmse_silence", "mae_silence")
    means = {name: float(np.mean(found[name])) if name in found else None for name in names}
    return {"frames": frames, **means, "loss": loss, "loss_silence": silent_loss}


def _add(
    found: dict[str, list[float]], key: str, name: str, played: Signal, said: Signal, rate: float
) -> None:
    metric = METRICS[name]
    try:
        value = float(metric.function(played, said, rate))
    except UndefinedMetric:
        return
    if metric.unit == "dB":
        value = min(max(value, -LIMIT_DB), LIMIT_DB)
    if math.isfinite(value):
        found.setdefault(key, []).append(value)


def learned(
    split: Split,
    recordings: Sequence[Footage],
    said: Callable[[Footage, Sequence[Range]], Signal],
    max_lag_s: float,
) -> list[Heard]:
    """Gather what a network said in the test part of some recordings.

    Parameters
    ----------
    split : Split
    recordings : sequence of Footage
        Those that are scored; one that the split does not know is scored in all its frames.
    said : callable
        ``said(recording, ranges)`` gives the samples of these frames.
    max_lag_s : float
        Largest lag between film and sound, in seconds.
    """
    heard = []
    for recording in recordings:
        ranges = tested(split, recording)
        samples = said(recording, ranges)
        labels = _labels(split, recording, recording.heard, samples, max_lag_s)
        heard.append(Heard(recording, indices(ranges), labels, samples))
    return heard


def classical(
    split: Split,
    recordings: Sequence[Footage],
    sounds: Mapping[str, Signal],
    trained: Sequence[Footage],
    max_lag_s: float,
) -> list[Heard]:
    """Gather what a classical method said in the same frames, with the gain of the training part.

    Parameters
    ----------
    split : Split
    recordings : sequence of Footage
        Those that are scored.
    sounds : mapping of str to ndarray, (N,)
        What the method heard in each recording, scored or trained on, in even time.
    trained : sequence of Footage
        Recordings with a training part.
    max_lag_s : float
        Largest lag between film and sound, in seconds.
    """
    product = power = 0.0
    for recording in trained:
        frames = indices(split.recordings[recording.name].train)
        sound = recording.at_frames(sounds[recording.name])
        labels = _labels(split, recording, sounds[recording.name], sound, max_lag_s)
        frames = frames[labels.known[frames]]
        product += float(sound[frames] @ labels.samples[frames])
        power += float(sound[frames] @ sound[frames])
    gain = product / power if power > 0 else 0.0
    heard = []
    for recording in recordings:
        sound = gain * recording.at_frames(sounds[recording.name])
        ranges = tested(split, recording)
        labels = _labels(split, recording, sounds[recording.name], sound, max_lag_s)
        heard.append(Heard(recording, indices(ranges), labels, sound[indices(ranges)]))
    return heard


def tested(split: Split, recording: Footage) -> tuple[Range, ...]:
    """Say which frames of a recording a fold's models are scored on: all, where none trained."""
    parts = split.recordings.get(recording.name)
    return parts.test if parts is not None else ((0, recording.frame_count),)


def _labels(
    split: Split, recording: Footage, heard: Signal, said: Signal, max_lag_s: float
) -> Labels:
    if recording.amplitudes is None:
        raise VisualMicError(f"{recording.name} has no reference sound to be scored against")
    film = recording.film
    parts = split.recordings.get(recording.name)
    with warnings.catch_warnings():
        # That what was heard has little to do with the sound is what the scores say.
        warnings.simplefilter("ignore", VisualMicWarning)
        if parts is not None and parts.train:
            compared, ranges = heard, parts.train
        else:
            compared, ranges = said, ((0, recording.frame_count),)
        return align_labels(
            recording.amplitudes,
            film.time_s(),
            film.capture_fps,
            compared,
            ranges,
            max_lag_s,
            recording.name,
        )


def table_row(on: str, model: str, folds: Sequence[Row], each: Sequence[Row]) -> Row:
    """Make a row of models.csv.

    Parameters
    ----------
    on : str
        What it was tested on.
    model : str
    folds : sequence of dict
        What :func:`score_heard` gave for each fold, with ``training_s`` and ``parameters``.
    each : sequence of dict
        The scores whose spread is told: the folds, or the recordings of one.
    """
    row: Row = dict.fromkeys(TABLE_COLUMNS)
    row |= {"on": on, "model": model, "folds": len(folds)}
    row["recordings"] = max((fold.get("recordings", 1) for fold in folds), default=0)
    for name in ("frames", "loss", "training_s"):
        row[name] = sum(fold[name] for fold in folds)
    row["parameters"] = folds[0]["parameters"]
    for name in (*SCORED, "rmse_silence"):
        values = [one[name] for one in each if one[name] is not None]
        row[name] = float(np.mean(values)) if values else None
        if f"{name}_sd" in row:
            row[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def write_models_table(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Write models.csv, a file that appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, TABLE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    name: f"{value:.6g}" if isinstance(value, float) else value
                    for name, value in row.items()
                }
            )


def write_metrics(path: str | os.PathLike[str], scores: Mapping[str, Any]) -> None:
    """Write the scores of a model on a fold as JSON, a file that appears whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(scores, indent=1) + "\n")


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what training wrote about itself.

    Raises
    ------
    VisualMicError
        If it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; train again") from error
    return dict(content)
