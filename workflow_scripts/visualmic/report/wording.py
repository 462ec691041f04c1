"""How the page writes names and numbers."""

import math
from collections.abc import Sequence

from visualmic.evaluate.metrics import METRICS

METRIC_NOTES = {
    "pearson": "How alike the two waveforms are: 1 is a perfect copy, 0 is no relation.",
    "si_sdr": "Power of the true sound over that of everything else, whatever the loudness.",
    "segmental_snr": "Signal-to-noise ratio of short pieces, averaged.",
    "rmse": "Root-mean-square difference of the two waveforms, which reach from −1 to 1.",
    "mae": "Mean absolute difference of the two waveforms, which reach from −1 to 1.",
    "log_spectral_distance": "How far the two spectra are apart.",
    "log_likelihood_ratio": "How far the two spectral envelopes are apart.",
    "stoi": "Predicts how well speech is understood: 1 is fully.",
    "estoi": "Predicts how well speech is understood in changing noise: 1 is fully.",
    "coherence": "Part of the power from 100 to 1000 Hz that the true sound explains.",
    "info": "Signal-to-noise ratio once the best equaliser has undone what the object does.",
    "tone_frequency": "Frequency of the strongest tone.",
    "tone_prominence": "How far the strongest tone stands above the rest of the spectrum.",
    "pesq": "Predicts how people rate the quality of speech.",
}
"""One plain sentence on each metric, for the page's explanations."""

FIGURE_TITLES = {
    "sounds": "Waveforms and spectrograms",
    "frequency_snr": "How clearly each frequency was heard",
    "amplitudes": "What was recovered against what was played",
    "scores": "Every method beside silence",
    "training": "Training",
}
"""What the figures under ``figures/`` show, by the first part of their names."""

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def metric_title(name: str) -> str:
    """Give the name of a metric as the page shows it."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ").capitalize()


def metric_note(name: str) -> str:
    """Give a plain sentence on a metric, empty where there is none."""
    return METRIC_NOTES.get(name, "")


def figure_title(parts: Sequence[str]) -> str:
    """Give what a figure shows, from the parts of its path below ``figures/``.

    Examples
    --------
    >>> figure_title(["frequency_snr", "chips"])
    'How clearly each frequency was heard'
    >>> figure_title(["heard_where", "pyramid", "chips"])
    'Heard where, pyramid'
    """
    if parts[0] in FIGURE_TITLES:
        return FIGURE_TITLES[parts[0]]
    return ", ".join(
        part.replace("_", " ") for part in parts[: max(1, len(parts) - 1)]
    ).capitalize()


def method_title(name: str) -> str:
    """Give the name of a method as the page shows it.

    Examples
    --------
    >>> method_title("lucas-kanade-denoised")
    'Lucas–Kanade, denoised'
    """
    titles = {"lucas-kanade": f"Lucas{DASH}Kanade", "resnet50": "ResNet-50", "fpn": "FPN"}
    base, denoised = name.removesuffix("-denoised"), name.endswith("-denoised")
    title = titles.get(base, base.replace("_", " ").replace("-", " ").capitalize())
    return f"{title}, denoised" if denoised else title


def number(value: float | None, digits: int = 3) -> str:
    """Write a number to `digits` significant digits, at most three after the point.

    Examples
    --------
    >>> number(0.91234), number(-12.345), number(2199.6), number(None)
    ('0.912', '−12.3', '2200', '–')
    """
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    decimals = min(max(digits - 1 - magnitude, 0), 3)
    text = f"{value:.{decimals}f}" if abs(value) >= 1e-3 else f"{value:.{digits - 1}e}"
    if float(text) == 0:
        return "0"
    return text.replace("-", MINUS)


def signed(value: float) -> str:
    """Write a difference with its sign.

    Examples
    --------
    >>> signed(0.5), signed(-0.01234)
    ('+0.500', '−0.012')
    """
    return f"{value:+.3f}".replace("-", MINUS)


def with_unit(value: float | None, unit: str, digits: int = 3) -> str:
    """Write a number with its unit after a narrow space that does not break."""
    text = number(value, digits)
    return f"{text}\N{NARROW NO-BREAK SPACE}{unit}" if unit and value is not None else text


def rate(value: float | None, unit: str) -> str:
    """Write a rate that is known exactly, without zeros behind.

    Examples
    --------
    >>> rate(2200.0, "fps").replace("\N{NARROW NO-BREAK SPACE}", " ")
    '2200 fps'
    """
    return DASH if value is None else f"{value:.6g}\N{NARROW NO-BREAK SPACE}{unit}"


def motion(value_px: float | None) -> str:
    """Write a motion in the unit that reads best.

    Examples
    --------
    >>> motion(0.00024).replace("\N{NARROW NO-BREAK SPACE}", " ")
    '0.240 mpx'
    """
    if value_px is None:
        return DASH
    for unit, size in (("px", 1.0), ("mpx", 1e-3), ("µpx", 1e-6)):
        if abs(value_px) >= size * 0.1 or unit == "µpx":
            return with_unit(value_px / size, unit)
    return DASH


def duration(value_s: float | None) -> str:
    """Write a duration.

    Examples
    --------
    >>> duration(75).replace("\N{NARROW NO-BREAK SPACE}", " ")
    '1 min 15 s'
    """
    if value_s is None:
        return DASH
    if value_s < 60:
        return with_unit(value_s, "s")
    minutes, seconds = divmod(round(value_s), 60)
    hours, minutes = divmod(minutes, 60)
    space = "\N{NARROW NO-BREAK SPACE}"
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{n}{space}{unit}" for n, unit in parts if n)


def file_size(count: int) -> str:
    """Write a number of bytes."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return with_unit(value, unit)
