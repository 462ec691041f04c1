"""Training on a folder and hearing one film: what the commands ``train`` and ``predict`` do."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.learn.data_folder import (
    film_footage,
    footage_of,
    referenced_recordings,
    stored_film,
)
from visualmic.learn.footage import Footage
from visualmic.learn.history import read_history, write_history
from visualmic.learn.scoring import Row, classical, learned, score_heard, write_metrics
from visualmic.learn.settings import ModelSettings, SplitSettings
from visualmic.learn.splits import Film, Range, make_split, write_split
from visualmic.motion.methods import DEFAULT_METHOD, even_time
from visualmic.progress import Progress


def require_torch() -> None:
    """Raise VisualMicError where what learning needs is not installed."""
    missing = [name for name in ("torch", "lightning") if not importlib.util.find_spec(name)]
    if missing:
        raise VisualMicError(
            f"learning needs {' and '.join(missing)}: pip install 'visualmic[learn]'"
        )


def train_on_folder(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: ModelSettings,
    splits: SplitSettings,
    fold: str = "later",
    recordings: Sequence[str] | None = None,
    quiet: bool = False,
) -> list[Row]:
    """Train a model on the recordings of a folder, and score it on frames that it has not seen.

    Parameters
    ----------
    folder : path
        With ``frames/`` and ``dataset/SampledData.csv``.
    output : path
        Folder for model.pt, split.json, history.csv, training.json, metrics.json and
        training.png; also for the checkpoints of a training that was stopped.
    settings : ModelSettings
    splits : SplitSettings
    fold : str
        Which frames test.
    recordings : sequence of str, optional
        Which recordings; all whose sound is known by default.
    quiet : bool
        Show no progress.

    Returns
    -------
    list of dict
        The scores of the model, of silence, and of the classical method.

    Raises
    ------
    VisualMicError
        If a recording is missing or too short.
    """
    from visualmic.learn.model_file import save_model
    from visualmic.learn.prediction import predict
    from visualmic.learn.training import forget_checkpoints, train, write_facts
    from visualmic.report.figures import draw_training

    output = Path(output)
    names = list(recordings) if recordings is not None else referenced_recordings(folder)
    footage = footage_of(folder, names, quiet)
    films = {one.name: Film(one.frame_count, one.film.capture_fps) for one in footage}
    split = make_split(films, fold, splits)
    write_split(output / "split.json", split)
    known = [one for one in footage if split.recordings[one.name].train]
    checkpoints = output / "checkpoints"
    trained = train(settings, split, known, checkpoints, splits.max_lag_s, quiet)
    save_model(output / "model.pt", trained.model)
    write_history(output / "history.csv", trained.history)
    write_facts(output / "training.json", trained.facts)
    forget_checkpoints(checkpoints)
    draw_training({fold: read_history(output / "history.csv")}, output / "training")

    def said(recording: Footage, ranges: Sequence[Range]) -> NDArray[np.float64]:
        return predict(trained.model, recording, ranges)

    tested = [one for one in footage if split.recordings[one.name].test]
    sounds = {one.name: one.heard for one in footage}
    scores = score_heard(learned(split, tested, said, splits.max_lag_s))
    beside = score_heard(classical(split, tested, sounds, known, splits.max_lag_s))
    write_metrics(output / "metrics.json", scores)
    silence = {**scores, "rmse": scores["rmse_silence"], "pearson": None}
    named = {settings.model: scores, "silence": silence, DEFAULT_METHOD: beside}
    return [{"model": name, **row} for name, row in named.items()]


def hear_film(
    film: str | os.PathLike[str],
    model: str | os.PathLike[str],
    recording: str | None = None,
    fps: float | None = None,
    crop: tuple[int, int, int, int] | None = None,
    quiet: bool = False,
) -> tuple[NDArray[np.float64], float]:
    """Hear one film with a trained model.

    Parameters
    ----------
    film : path
        A film or a frame store.
    model : path
        What :func:`visualmic.learn.model_file.save_model` wrote.
    recording : str, optional
        The film is this recording of the model's training, and is shown as it was then.
    fps : float, optional
        Capture rate in hertz that overrides what the film says.
    crop : tuple of int, optional
        x, y, width, height in pixels.
    quiet : bool
        Show no progress.

    Returns
    -------
    sound : ndarray, float64, (N,)
        In even time.
    capture_fps : float
        Samples per second.

    Raises
    ------
    VisualMicError
        If film or model cannot be read, or the model was not trained on `recording`.
    """
    from visualmic.learn.model_file import load_model
    from visualmic.learn.prediction import predict

    trained = load_model(model)
    if recording is not None and recording not in trained.views:
        raise VisualMicError(
            f"{model} was not trained on {recording}, but on {', '.join(trained.views)}"
        )
    with stored_film(film, fps, crop, quiet) as frames:
        if recording is None:
            # A name that no recording has, for a film of the same name may be another.
            footage = film_footage(frames, "", quiet)
        else:
            footage = Footage(recording, frames, np.zeros(0))
        with Progress("predict", frames.frame_count, quiet=quiet) as progress:
            sound = predict(trained, footage, progress=progress)
        if frames.variable_frame_rate:
            sound = even_time(sound, frames.time_s(), frames.capture_fps)
        return sound, frames.capture_fps
