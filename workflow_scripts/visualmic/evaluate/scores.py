"""Scores of recovered sounds: every metric, beside what silence, chance and a perfect copy score.

A number alone says little: an RMSE of 0.08 may be what silence scores, and a correlation of 0.3
may be what any hum scores after the best delay is chosen. So each value comes with three others:
what silence scores, what a perfect copy scores, and, where luck can help, what the recovered sound
played backwards scores after it has been aligned by the same search (`chance`): it has the same
spectrum, loudness and length, and nothing to do with the reference but what both repeat.

Decibels are held within -100 and 100, beyond what 16-bit sound can hold, so that every score is
a finite number and averages mean something.
"""

import contextlib
import csv
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import LOWEST_HZ, MAX_LAG_S, Aligned, align
from visualmic.evaluate.equaliser import INFO_TAPS
from visualmic.evaluate.metrics import METRICS, Metric, UndefinedMetric
from visualmic.evaluate.waveform import Signal

LIMIT_DB = 100.0
"""Decibels are held within plus and minus this."""

_LEAST_COVERED = 0.9
"""A reference that covers less of the recovered sound than this part is worth a warning."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How sounds are compared.

    Attributes
    ----------
    max_lag_s : float
        Farthest that the recovered sound is looked for to either side, in seconds.
    lowest_hz : float
        What is below is taken out of both sounds, in hertz.
    equaliser_taps : int
        Length of the equaliser of `info`.
    """

    max_lag_s: float = MAX_LAG_S
    lowest_hz: float = LOWEST_HZ
    equaliser_taps: int = INFO_TAPS


@dataclass(frozen=True)
class Score:
    """One metric of one sound.

    Attributes
    ----------
    value : float or None
        The score; None where there is none.
    silence, chance, perfect : float or None
        What silence, the same sound played backwards, and a perfect copy score; None where that
        has no value, or chance plays no part.
    unit : str
        Unit of all of them, or an empty string.
    reason : str
        Why there is no value; empty where there is one.
    """

    value: float | None
    silence: float | None
    chance: float | None
    perfect: float | None
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Scores:
    """All metrics of one sound, and how it was aligned with its reference.

    Attributes
    ----------
    metrics : dict of str to Score
        In the order of :data:`~visualmic.evaluate.metrics.METRICS`.
    lag_s : float or None
        How late the recovered sound is, in seconds, beyond the offset given.
    polarity : int or None
        +1 or -1.
    correlation : float or None
        Normalised cross-correlation at that lag, 0 to 1.
    rate : float or None
        Samples per second at which both were compared, in hertz.
    band_hz : tuple of float or None
        The band in which both were compared, in hertz.
    duration_s : float or None
        How much of the sound was compared, in seconds.
    warnings : tuple of str
        What to know before the scores are believed.
    """

    metrics: dict[str, Score]
    lag_s: float | None = None
    polarity: int | None = None
    correlation: float | None = None
    rate: float | None = None
    band_hz: tuple[float, float] | None = None
    duration_s: float | None = None
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Score:
        return self.metrics[name]

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data that JSON can hold."""
        return asdict(self)


def score(
    recovered: ArrayLike,
    rate: float,
    reference: ArrayLike,
    reference_rate: float,
    offset_s: float = 0.0,
    settings: EvaluationSettings | None = None,
) -> Scores:
    """Score a recovered sound against its reference by every metric.

    Both are aligned once (:func:`~visualmic.evaluate.alignment.align`). The reference is scaled to
    a peak of 1. For metrics that see gain the recovered sound, whose unit means nothing, gets the
    gain that the metric's table says: the least-squares gain and then clipped to [-1, 1], or the
    reference's power.

    Parameters
    ----------
    recovered : array_like, (M,)
        What a method heard.
    rate : float
        Its samples per second, in hertz.
    reference : array_like, (K,)
        What was played.
    reference_rate : float
        Its samples per second, in hertz.
    offset_s : float
        Time in the reference at which the film begins, in seconds.
    settings : EvaluationSettings, optional
        How they are compared.

    Returns
    -------
    Scores
        A metric without a value has its reason. Sounds that cannot be compared at all give scores
        that all have the same reason.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> played = rng.standard_normal(6600)
    >>> heard = -3 * np.roll(played, 7) + rng.standard_normal(6600)
    >>> found = score(heard, 2200, played, 2200)
    >>> found.polarity, round(2200 * found.lag_s, 1), found["pearson"].value > 0.9
    (-1, 7.0, True)
    """
    settings = settings or EvaluationSettings()
    try:
        aligned = align(
            recovered,
            rate,
            reference,
            reference_rate,
            offset_s=offset_s,
            max_lag_s=settings.max_lag_s,
            lowest_hz=settings.lowest_hz,
        )
    except VisualMicError as error:
        reason = str(error)
        return Scores(
            {name: _without_value(metric, reason) for name, metric in METRICS.items()},
            warnings=(reason,),
        )
    backwards = _backwards(aligned, settings)
    reference_peak = float(np.abs(aligned.reference).max())
    played = aligned.reference / reference_peak if reference_peak > 0 else aligned.reference
    metrics = {
        name: _score_metric(name, metric, played, aligned, backwards, settings)
        for name, metric in METRICS.items()
    }
    return Scores(
        metrics=metrics,
        lag_s=aligned.lag_s,
        polarity=aligned.polarity,
        correlation=aligned.correlation,
        rate=aligned.rate,
        band_hz=aligned.band_hz,
        duration_s=len(aligned.reference) / aligned.rate,
        warnings=_warnings(aligned, np.size(recovered) / rate, settings),
    )


def _backwards(aligned: Aligned, settings: EvaluationSettings) -> Aligned | None:
    """Align the recovered sound played backwards, by the same search."""
    try:
        return align(
            aligned.recovered[::-1],
            aligned.rate,
            aligned.reference,
            aligned.rate,
            max_lag_s=settings.max_lag_s,
            lowest_hz=0.0,
        )
    except VisualMicError:
        return None


def _score_metric(
    name: str,
    metric: Metric,
    played: Signal,
    aligned: Aligned,
    backwards: Aligned | None,
    settings: EvaluationSettings,
) -> Score:
    options = {"taps": settings.equaliser_taps} if name == "info" else {}

    def measure(reference: Signal, estimate: Signal) -> float:
        estimate = _with_gain(metric, reference, estimate)
        return _held(metric.function(reference, estimate, aligned.rate, **options), metric)

    try:
        value = measure(played, aligned.recovered)
        if not math.isfinite(value):
            raise UndefinedMetric("the result is no finite number")
    except UndefinedMetric as error:
        return _without_value(metric, str(error))
    chance = None
    if metric.chance and backwards is not None:
        with contextlib.suppress(UndefinedMetric):
            chance = measure(backwards.reference, backwards.recovered)
    silence, perfect = metric.silence, metric.perfect
    if silence == "computed":
        silence = measure(played, np.zeros_like(played))
    if perfect == "reference":
        with contextlib.suppress(UndefinedMetric):
            perfect = measure(played, played)
    return Score(
        value=value,
        silence=_finite(silence, metric),
        chance=chance,
        perfect=_finite(perfect, metric),
        unit=metric.unit,
    )


def _without_value(metric: Metric, reason: str) -> Score:
    return Score(
        value=None,
        silence=_finite(metric.silence, metric),
        chance=None,
        perfect=_finite(metric.perfect, metric),
        unit=metric.unit,
        reason=reason,
    )


def _finite(value: float | str | None, metric: Metric) -> float | None:
    """Hold a number of the metric's table within its limits; None where it is no number."""
    return None if value is None or isinstance(value, str) else _held(value, metric)


def _held(value: float, metric: Metric) -> float:
    return float(min(max(value, -LIMIT_DB), LIMIT_DB)) if metric.unit == "dB" else float(value)


def _with_gain(metric: Metric, reference: Signal, estimate: Signal) -> Signal:
    power = float(estimate @ estimate)
    if metric.gain == "none" or power == 0:
        return estimate
    if metric.gain == "equal power":
        return estimate * math.sqrt(float(reference @ reference) / power)
    # No negative gain: the polarity has been found, and turning it again would hide a failure.
    gain = max(float(reference @ estimate) / power, 0.0)
    peak = float(np.abs(reference).max())
    return np.clip(gain * estimate, -peak, peak)


def _warnings(
    aligned: Aligned, recovered_s: float, settings: EvaluationSettings
) -> tuple[str, ...]:
    found = []
    if not aligned.reference.any():
        found.append("the reference is silent: nothing can be scored against it")
    elif not aligned.recovered.any():
        found.append("the recovered sound is silent")
    elif aligned.lag_at_limit:
        found.append(
            f"the best lag is the largest that was looked at ({settings.max_lag_s:g} s): the true"
            " one may lie beyond; check the reference's offset"
        )
    covered_s = len(aligned.reference) / aligned.rate
    if covered_s < _LEAST_COVERED * recovered_s - settings.max_lag_s:
        found.append(
            f"the reference covers {covered_s:.2f} s of the {recovered_s:.2f} s recovered: only"
            " those are scored"
        )
    return tuple(found)


def write_scores(
    path: str | os.PathLike[str], scores: Scores, recording: str = "", method: str = ""
) -> None:
    """Write scores as JSON, a file that appears whole or not at all.

    Parameters
    ----------
    path : path
        The file to make.
    scores : Scores
        What to write.
    recording, method : str
        What was scored, written beside the scores.

    Raises
    ------
    VisualMicError
        If the file cannot be written.
    """
    content = {"recording": recording, "method": method, **scores.as_dict()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`write_scores` wrote, as plain data.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        With the keys ``recording``, ``method``, ``metrics`` and those of :class:`Scores`.

    Raises
    ------
    VisualMicError
        If the file is missing or is none of scores.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VisualMicError(f"cannot read scores from {path}: {error}; make it again") from error
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
        raise VisualMicError(f"{path} holds no scores; make it again with visualmic evaluate")
    return content


def scores_table(scores: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lay scores out as rows, one a recording and method.

    Parameters
    ----------
    scores : iterable of mapping
        What :func:`read_scores` gives.

    Returns
    -------
    list of dict
        Columns: recording, method; then, for every metric, its name for the value and, where it
        plays a part, its name with ``_silence`` and ``_chance`` behind; then how it was aligned.
        None where there is no value. Sorted by recording, then method.
    """
    rows = []
    for content in scores:
        row: dict[str, Any] = {"recording": content["recording"], "method": content["method"]}
        for name, metric in METRICS.items():
            entry = content["metrics"].get(name, {})
            row[name] = entry.get("value")
            if metric.silence is not None:
                row[f"{name}_silence"] = entry.get("silence")
            if metric.chance:
                row[f"{name}_chance"] = entry.get("chance")
        for name in ("lag_s", "polarity", "correlation", "rate", "duration_s"):
            row[name] = content.get(name)
        row["warnings"] = "; ".join(content.get("warnings", ()))
        rows.append(row)
    return sorted(rows, key=lambda row: (row["recording"], row["method"]))


def write_table(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of the same columns as CSV, a file that appears whole or not at all.

    Parameters
    ----------
    path : path
        The file to make.
    rows : iterable of mapping
        The rows; None becomes an empty field. Without any row the file is empty.

    Raises
    ------
    VisualMicError
        If the file cannot be written.
    """
    rows = list(rows)
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        if rows:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
