"""Every metric of a recovered sound, with what silence and a perfect copy score.

The table :data:`METRICS` is what :func:`visualmic.evaluate.scores.score` runs through, in order;
the functions themselves can be used alone. ``docs/metrics.md`` tells how to read them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from visualmic.evaluate.equaliser import info
from visualmic.evaluate.frequency import (
    SNR_RANGE_DB,
    coherence,
    snr_per_band,
    snr_per_frequency,
)
from visualmic.evaluate.intelligibility import estoi, pesq, stoi
from visualmic.evaluate.spectral import (
    Tone,
    log_likelihood_ratio,
    log_spectral_distance,
    strongest_tone,
    tone_frequency,
    tone_prominence,
)
from visualmic.evaluate.waveform import (
    UndefinedMetric,
    mae,
    pearson,
    rmse,
    segmental_snr,
    si_sdr,
)

__all__ = [
    "METRICS",
    "SNR_RANGE_DB",
    "Metric",
    "Tone",
    "UndefinedMetric",
    "coherence",
    "estoi",
    "info",
    "log_likelihood_ratio",
    "log_spectral_distance",
    "mae",
    "pearson",
    "pesq",
    "rmse",
    "segmental_snr",
    "si_sdr",
    "snr_per_band",
    "snr_per_frequency",
    "stoi",
    "strongest_tone",
    "tone_frequency",
    "tone_prominence",
]

Gain = Literal["fitted", "equal power", "none"]


@dataclass(frozen=True)
class Metric:
    """How a metric is computed, and how its number is read.

    Attributes
    ----------
    function : callable
        ``function(reference, estimate, rate) -> float``.
    title : str
        What it is called in tables and figures.
    unit : str
        Its unit, or an empty string.
    perfect : float or "reference"
        What a perfect copy scores; "reference" where it is the reference's own value.
    silence : float, "computed" or None
        What silence scores: None where it has no value, "computed" where it depends on the
        reference.
    better : "higher", "lower" or "nearer"
        Which way is better; "nearer" to what a perfect copy scores.
    gain : "fitted", "equal power" or "none"
        How the estimate is scaled before: with the least-squares gain and then clipped to the
        range of the reference, to the reference's power, or not at all.
    chance : bool
        Whether a sound that has nothing to do with the reference can score by luck, so that the
        score of the recovered sound played backwards is worth its time.
    """

    function: Callable[..., float]
    title: str
    unit: str
    perfect: float | Literal["reference"]
    silence: float | Literal["computed"] | None
    better: Literal["higher", "lower", "nearer"]
    gain: Gain = "none"
    chance: bool = False


METRICS: dict[str, Metric] = {
    "rmse": Metric(rmse, "RMSE", "", 0.0, "computed", "lower", gain="fitted"),
    "mae": Metric(mae, "MAE", "", 0.0, "computed", "lower", gain="fitted"),
    "pearson": Metric(pearson, "Pearson", "", 1.0, 0.0, "higher", chance=True),
    "si_sdr": Metric(si_sdr, "SI-SDR", "dB", math.inf, -math.inf, "higher", chance=True),
    "info": Metric(info, "Info", "dB", math.inf, 0.0, "higher", chance=True),
    "segmental_snr": Metric(
        segmental_snr, "Segmental SNR", "dB", 35.0, 0.0, "higher", gain="fitted"
    ),
    "log_likelihood_ratio": Metric(
        log_likelihood_ratio, "Log-likelihood ratio", "", 0.0, "computed", "lower"
    ),
    "log_spectral_distance": Metric(
        log_spectral_distance,
        "Log-spectral distance",
        "dB",
        0.0,
        "computed",
        "lower",
        gain="equal power",
    ),
    "stoi": Metric(stoi, "STOI", "", 1.0, 0.0, "higher"),
    "estoi": Metric(estoi, "ESTOI", "", 1.0, 0.0, "higher"),
    "coherence": Metric(coherence, "Coherence 100-1000 Hz", "", 1.0, 0.0, "higher", chance=True),
    "tone_frequency": Metric(tone_frequency, "Strongest tone", "Hz", "reference", None, "nearer"),
    "tone_prominence": Metric(
        tone_prominence, "Tone prominence", "dB", "reference", None, "nearer"
    ),
    "pesq": Metric(pesq, "PESQ", "", 4.5486, None, "higher"),
}
