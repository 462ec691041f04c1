"""What the report page shows, as plain data.

Conventions: paths point into ``results/``; a number that is not known is None; times are in
seconds, rates in hertz, motion in pixels of the frame as filmed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visualmic.evaluate.metrics import METRICS


@dataclass(frozen=True)
class Score:
    """One metric of one sound, beside what silence and a perfect copy would score.

    Attributes
    ----------
    name : str
        The metric, as :mod:`visualmic.evaluate.metrics` names it.
    value, silence, perfect, chance : float or None
        In `unit`; None where there is no number. `chance` is what the recovered sound scores
        played backwards.
    unit : str
        Empty where the metric has none.
    reason : str
        Why there is no value, empty where there is one.
    """

    name: str
    value: float | None
    silence: float | None = None
    perfect: float | None = None
    chance: float | None = None
    unit: str = ""
    reason: str = ""

    @property
    def direction(self) -> int:
        """1 where more is better, -1 where less is better, 0 where neither is."""
        better = METRICS[self.name].better if self.name in METRICS else ""
        return {"higher": 1, "lower": -1}.get(better, 0)


@dataclass(frozen=True)
class HeatMap:
    """How clearly the sound was heard at each place of the frame.

    Attributes
    ----------
    x_px, y_px : tuple of float
        Centre of each block, in pixels of the frame as filmed.
    value : tuple of float
        In `unit`; NaN where nothing was measured.
    size_px : float
        Side of a block.
    unit : str
        What `value` is in.
    """

    x_px: tuple[float, ...]
    y_px: tuple[float, ...]
    value: tuple[float, ...]
    size_px: float
    unit: str


@dataclass(frozen=True)
class Diagnostics:
    """What a method says about its own measurement.

    Attributes
    ----------
    verdict : str
        One line: whether a sound was heard.
    warnings : tuple of str
        What the user should know.
    noise_floor_px, bound_px, ratio_db : float or None
        Noise of the measured motion, the Cramer-Rao bound of it, and how far apart they are.
    bandwidth_hz : float or None
        Up to which frequency the sound stands above the noise.
    frequency_hz, snr_db : tuple of float
        Signal-to-noise ratio per frequency; empty where it is not known.
    heat_map : HeatMap or None
        Where in the frame the sound was heard.
    """

    verdict: str = ""
    warnings: tuple[str, ...] = ()
    noise_floor_px: float | None = None
    bound_px: float | None = None
    ratio_db: float | None = None
    bandwidth_hz: float | None = None
    frequency_hz: tuple[float, ...] = ()
    snr_db: tuple[float, ...] = ()
    heat_map: HeatMap | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is a verdict or a number to be shown."""
        numbers = (self.noise_floor_px, self.bound_px, self.ratio_db, self.bandwidth_hz)
        return bool(self.verdict) or any(number is not None for number in numbers)


@dataclass(frozen=True)
class Hearing:
    """What one method heard in one recording, with the files it stands in.

    Attributes
    ----------
    method : str
        Name of the method, as the folder under ``sound/``.
    sound : Path or None
        The recovered sound.
    scores : tuple of Score
        Empty where there is no reference.
    lag_s, polarity : float, int
        How the sound was aligned with its reference before it was scored.
    score_file, diagnostics_file : Path or None
        Where the numbers stand.
    diagnostics : Diagnostics or None
        What the method says about its measurement.
    warnings : tuple of str
        What to know before the sound and its scores are believed.
    """

    method: str
    sound: Path | None
    scores: tuple[Score, ...] = ()
    lag_s: float = 0.0
    polarity: int = 1
    score_file: Path | None = None
    diagnostics_file: Path | None = None
    diagnostics: Diagnostics | None = None
    warnings: tuple[str, ...] = ()

    def score(self, name: str) -> Score | None:
        """Give the score called `name`, None where there is none."""
        return next((score for score in self.scores if score.name == name), None)

    def value(self, name: str) -> float | None:
        """Give the value of the score called `name`, None where there is none."""
        score = self.score(name)
        return score.value if score is not None else None


@dataclass(frozen=True)
class Recording:
    """One recording and everything that was made from it.

    Attributes
    ----------
    name : str
        Its id in the recordings table.
    facts : mapping of str to str
        The row of ``dataset/metadata.csv``.
    hearings : tuple of Hearing
        What each method heard, in the order of the methods.
    reference : Path or None
        The sound that was played in the room.
    reference_as_filmed : Path or None
        The same sound with one sample a frame.
    frames : Path or None
        The frame store, for the picture.
    figures : tuple of Path
        Drawn figures of this recording (PNG).
    film_warnings : tuple of str
        What the user should know about the film.
    """

    name: str
    facts: Mapping[str, str]
    hearings: tuple[Hearing, ...]
    reference: Path | None = None
    reference_as_filmed: Path | None = None
    frames: Path | None = None
    figures: tuple[Path, ...] = ()
    film_warnings: tuple[str, ...] = ()

    def number(self, *names: str) -> float | None:
        """Give the first of the facts `names` that is a finite number."""
        for name in names:
            try:
                value = float(self.facts.get(name, ""))
            except ValueError:
                continue
            if math.isfinite(value):
                return value
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning about this recording, each once, with the methods that gave it."""
        found: dict[str, list[str]] = {text: [] for text in self.film_warnings}
        for hearing in self.hearings:
            for text in hearing.warnings:
                found.setdefault(text, []).append(hearing.method)
        return tuple(
            f"{text} ({', '.join(methods)})" if methods else text for text, methods in found.items()
        )

    def hearing(self, method: str) -> Hearing | None:
        """Give what `method` heard, None where it was not tried."""
        return next((hearing for hearing in self.hearings if hearing.method == method), None)


@dataclass(frozen=True)
class TrainedModel:
    """One fold of one trained model.

    Attributes
    ----------
    model, fold : str
        Folder names under ``models/``.
    history : mapping of str to tuple of float
        Columns of ``history.csv``; every column has the same length.
    metrics : mapping of str to object
        What ``metrics.json`` holds.
    folder : Path
        Where it stands.
    """

    model: str
    fold: str
    history: Mapping[str, tuple[float, ...]]
    metrics: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows.

    Attributes
    ----------
    results : Path
        The ``results/`` folder.
    recordings : tuple of Recording
        In the order of ``dataset/metadata.csv``.
    methods : tuple of str
        Every method that made a sound.
    models : tuple of TrainedModel
        Empty where nothing was trained.
    comparison : tuple of mapping
        Rows of ``models.csv``: models and methods on the same frames.
    figures : tuple of Path
        Drawn figures over all recordings (PNG).
    provenance : mapping of str to str
        Versions and settings the page states.
    """

    results: Path
    recordings: tuple[Recording, ...]
    methods: tuple[str, ...]
    models: tuple[TrainedModel, ...] = ()
    figures: tuple[Path, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    comparison: tuple[Mapping[str, str], ...] = ()
