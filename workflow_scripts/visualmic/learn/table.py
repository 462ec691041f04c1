"""The table of models, from the files that the pipeline made under ``results/``."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.hybrid.weight_files import training_cost
from visualmic.learn.footage import Footage, read_footage
from visualmic.learn.prediction_tables import read_predictions
from visualmic.learn.scoring import (
    Heard,
    Row,
    classical,
    learned,
    read_facts,
    score_heard,
    table_row,
    tested,
    write_metrics,
    write_models_table,
)
from visualmic.learn.splits import LATER, Range, Split, indices, kind_of, read_split

UNSEEN = "unseen"
"""What the table calls recordings that no fold trains on."""

NO_TRAINING = {"training_s": 0.0, "parameters": 1}
"""A classical method has one parameter here, its gain."""

TRAINED_BEFORE = "hybrid"
"""The method whose networks come trained, and have the gain beside."""


@dataclass(frozen=True)
class TableSettings:
    """What is compared.

    Attributes
    ----------
    models : sequence of str
        The learned models.
    methods : sequence of str
        The classical methods beside them.
    folds : sequence of str
    trained, unseen : sequence of str
        Recordings that folds train on, and recordings with a reference that none does.
    classical : str
        The method whose recovery the labels were aligned with.
    max_lag_s : float
        Largest lag between film and sound, in seconds.
    """

    models: Sequence[str]
    methods: Sequence[str]
    folds: Sequence[str]
    trained: Sequence[str]
    unseen: Sequence[str]
    classical: str
    max_lag_s: float


def tabulate_models(results: str | os.PathLike[str], settings: TableSettings) -> list[Row]:
    """Score every model and method on every fold; write models.csv.

    Parameters
    ----------
    results : path
        The folder that the pipeline makes: splits, predictions, sounds, frames and samples in it.
    settings : TableSettings

    Returns
    -------
    list of dict
        The rows of models.csv.

    Raises
    ------
    VisualMicError
        If a file is missing or cannot be read.
    """
    table = _Table(Path(results), settings)
    rows = []
    kinds = dict.fromkeys(kind_of(fold) for fold in settings.folds)
    for model in (*settings.models, *settings.methods):
        by_fold = {fold: table.score(model, fold) for fold in settings.folds}
        for kind in kinds:
            folds = [by_fold[fold] for fold in settings.folds if kind_of(fold) == kind]
            each = [scores for fold in folds for scores in fold[1]] if kind == LATER else None
            scored = [fold[0] for fold in folds]
            rows.append(table_row(kind, model, scored, each or scored))
        if settings.unseen:
            whole, each = table.score_unseen(model)
            rows.append(table_row(UNSEEN, model, [whole], each))
    for row in rows:
        if row["model"].removesuffix("-denoised") == TRAINED_BEFORE:
            cost = training_cost()
            row.update({name: NO_TRAINING[name] + cost[name] for name in NO_TRAINING})
    order = [*kinds, UNSEEN]
    rows.sort(key=lambda row: order.index(row["on"]))
    write_models_table(Path(results, "models.csv"), rows)
    return rows


def score_fold(
    results: str | os.PathLike[str],
    model: str,
    fold: str,
    recordings: Sequence[str],
    classical: str,
    max_lag_s: float,
) -> Row:
    """Score a learned model on the test part of one fold; write its metrics.json.

    Parameters
    ----------
    results : path
        As for :func:`tabulate_models`.
    model, fold : str
    recordings : sequence of str
        Those that the fold tests.
    classical : str
        The method whose recovery the labels were aligned with.
    max_lag_s : float
        Largest lag between film and sound, in seconds.

    Returns
    -------
    dict
        Its scores, with the epochs and the speed of its training.

    Raises
    ------
    VisualMicError
        If a file is missing or cannot be read.
    """
    settings = TableSettings([model], [], [fold], recordings, [], classical, max_lag_s)
    table = _Table(Path(results), settings)
    facts = table.facts(model, fold)
    more = {name: facts[name] for name in ("epochs", "frames_per_second")}
    scores = {**table.score(model, fold)[0], **more}
    write_metrics(table.folder(model, fold) / "metrics.json", scores)
    return scores


class _Table:
    def __init__(self, results: Path, settings: TableSettings) -> None:
        self.results, self.settings = results, settings
        self.splits = {
            fold: read_split(results / "splits" / f"{fold}.json")
            for fold in dict.fromkeys([*settings.folds, *([LATER] if settings.unseen else [])])
        }
        self.footage = {
            name: read_footage(
                name,
                results / "frames" / f"{name}.h5",
                results / "sound" / settings.classical / f"{name}.wav",
                results / "dataset" / "samples" / f"{name}.csv",
            )
            for name in (*settings.trained, *settings.unseen)
        }
        self._sounds: dict[tuple[str, str], NDArray[np.float64]] = {}

    def score(self, model: str, fold: str) -> tuple[Row, list[Row]]:
        """Score a model or method on the test part of a fold: together, and each recording."""
        return self._scored(model, fold, self.splits[fold].with_part("test"))

    def score_unseen(self, model: str) -> tuple[Row, list[Row]]:
        """Score on the recordings that no fold trains on."""
        return self._scored(model, LATER, self.settings.unseen)

    def folder(self, model: str, fold: str) -> Path:
        return self.results / "models" / model / fold

    def facts(self, model: str, fold: str) -> Mapping[str, float]:
        return read_facts(self.folder(model, fold) / "training.json")

    def _scored(self, model: str, fold: str, names: Sequence[str]) -> tuple[Row, list[Row]]:
        heard = self._heard(model, self.splits[fold], names)
        facts: Mapping[str, float] = NO_TRAINING
        if model in self.settings.models:
            facts = self.facts(model, fold)
        cost = {name: facts[name] for name in NO_TRAINING}
        whole = {**score_heard(heard), **cost, "recordings": len(heard)}
        return whole, [{**score_heard([one]), **cost} for one in heard]

    def _heard(self, model: str, split: Split, names: Sequence[str]) -> list[Heard]:
        recordings = [self.footage[name] for name in names]
        lag_s = self.settings.max_lag_s
        if model in self.settings.models:
            return learned(split, recordings, self._reader(model, split.fold), lag_s)
        trained = [self.footage[name] for name in split.with_part("train")]
        sounds = {one.name: self._sound(model, one.name) for one in (*recordings, *trained)}
        return classical(split, recordings, sounds, trained, lag_s)

    def _reader(self, model: str, fold: str):  # type: ignore[no-untyped-def]
        def said(recording: Footage, ranges: Sequence[Range]) -> NDArray[np.float64]:
            path = self.results / "predictions" / model / fold / f"{recording.name}.csv"
            frames, samples = read_predictions(path)
            if not np.array_equal(frames, indices(tested(self.splits[fold], recording))):
                raise VisualMicError(f"{path} is of other frames than the split; make it again")
            return samples

        return said

    def _sound(self, method: str, recording: str) -> NDArray[np.float64]:
        key = method, recording
        if key not in self._sounds:
            path = self.results / "sound" / method / f"{recording}.wav"
            self._sounds[key] = read_audio(path)[0]
        return self._sounds[key]
