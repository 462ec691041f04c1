"""What the network is told of a beam; everything is relative, so that no unit or scale matters."""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.beam import Beam, long_term_snr, smooth_snr
from visualmic.motion.reference import Floats

STATISTICS = 12
CELL_FEATURES = 5
# Frequencies, in hertz, that logarithms of frequency and of the capture rate are relative to.
_MIDDLE_HZ, _TOP_HZ = 300.0, 500.0
# Bounds of the Wiener gain, as the network takes it up from there.
LEAST_GAIN, MOST_GAIN = 0.003, 0.99


def statistics(
    cells: Floats, frequency_hz: Floats, bias: float = 0.0, level: Floats | float = 1.0
) -> tuple[NDArray[np.float32], Floats]:
    """Describe the whole recording at each frequency, for the network that knows responses.

    Parameters
    ----------
    cells : ndarray, (windows, F)
        Power of the beam, in unit noise.
    frequency_hz : ndarray, (F,)
    bias : float
        Power that noise adds by having been pointed at.
    level : ndarray, (F,) or float
        Power of the noise, where it is not the same at all frequencies.

    Returns
    -------
    ndarray, float32, (F, STATISTICS)
        How well the sound is heard, its colour, how it rises and falls in time, in units of about
        one; and the frequency.
    ndarray, (F,)
        How well it is heard: the Wiener gain of the whole recording.
    """
    mean = cells.mean(axis=0)
    snr = smooth_snr(mean, bias)
    heard = snr / (1 + snr)
    colour = np.log(np.maximum(snr, 1e-2)) + np.log(level)
    colour -= (heard * colour).sum() / max(float(heard.sum()), 1e-6)
    loudness = np.log1p(cells)
    low, middle, high = np.quantile(loudness, (0.1, 0.5, 0.9), axis=0)
    usual = np.log1p(snr)
    by_loudness = np.argsort(cells.mean(axis=1))
    count = max(1, len(by_loudness) // 5)
    first = len(by_loudness) // 2 - count // 2
    loudest, ordinary = by_loudness[-count:], by_loudness[first : first + count]
    columns = (
        heard,
        usual / 3,
        colour / 3,
        low,
        middle / 2,
        high / 4,
        np.log1p(cells[loudest].mean(axis=0)) - usual,
        np.log1p(cells[ordinary].mean(axis=0)) - usual,
        np.sqrt((np.diff(loudness, axis=0) ** 2).mean(axis=0)) if len(cells) > 1 else 0 * usual,
        np.log1p(np.maximum(mean - 1, 0)) - usual,
        np.log(np.maximum(frequency_hz, 10.0) / _MIDDLE_HZ),
        np.full(len(usual), np.log(frequency_hz[-1] / _TOP_HZ)),
    )
    return np.stack(columns, axis=1).astype(np.float32), heard


def noise_colour(beam: Beam) -> Floats:
    """Logarithm of the noise's power in the equalised sound, (F,), zero where it is heard most."""
    snr = long_term_snr(beam)
    heard = snr / (1 + snr)
    power = np.log(np.maximum(np.abs(beam.gain) ** 2 * beam.level, 1e-30))
    return np.asarray(power - (heard * power).sum() / max(float(heard.sum()), 1e-6))


def cell_features(
    beam: Beam, frequency_hz: Floats, gain: Floats, colour: Floats
) -> NDArray[np.float32]:
    """Describe every cell of the spectrum, (CELL_FEATURES, windows, F), for the mask.

    Parameters
    ----------
    beam : Beam
    frequency_hz : ndarray, (F,)
    gain : ndarray, (windows, F)
        The Wiener gain.
    colour : ndarray, (F,)
        Of the noise, with all that has been equalised.
    """
    shape = beam.spectra.shape
    planes = (
        np.log1p(np.abs(beam.spectra) ** 2) / 3,
        logit(gain) / 3,
        np.broadcast_to(np.log1p(long_term_snr(beam)) / 3, shape),
        np.broadcast_to(colour / 3, shape),
        np.broadcast_to(np.log(np.maximum(frequency_hz, 10.0) / _MIDDLE_HZ), shape),
    )
    return np.stack(planes).astype(np.float32)


def logit(gain: Floats) -> Floats:
    """Inverse of the logistic function, of gains held within bounds."""
    held = np.clip(gain, LEAST_GAIN, MOST_GAIN)
    return np.asarray(np.log(held / (1 - held)))
