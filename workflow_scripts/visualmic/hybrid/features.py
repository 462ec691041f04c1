"""What the network is told of a beam; everything is relative, so that no unit or scale matters."""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats
from visualmic.motion.wiener import Beam, long_term_snr

STATISTICS = 9
CELL_FEATURES = 5
# Frequency, in hertz, that logarithms of frequency are relative to.
_MIDDLE_HZ = 300.0
# Bounds of the Wiener gain, as the network takes it up from there.
_LEAST_GAIN, _MOST_GAIN = 0.003, 0.99


def statistics(beam: Beam, frequency_hz: Floats) -> NDArray[np.float32]:
    """Describe the whole recording at each frequency, (F, STATISTICS), for the equaliser.

    Signal-to-noise ratio, the colour of sound and noise as they stand, how the beam rises and falls
    in time, and the frequency; in units of about one.
    """
    snr = long_term_snr(beam)
    heard = snr / (1 + snr)
    colour = noise_colour(beam)
    sound = np.log(np.maximum(snr, 1e-3)) + colour
    cells = np.log1p(np.abs(beam.spectra) ** 2)
    low, middle, high = np.quantile(cells, (0.1, 0.5, 0.9), axis=0)
    middle_of_sound = (heard * sound).sum() / max(float(heard.sum()), 1e-6)
    found = np.full(len(snr), 0.0 if beam.modes is None else 1.0)
    columns = (
        heard,
        np.log1p(snr) / 3,
        (sound - middle_of_sound) / 3,
        colour / 3,
        low,
        middle / 2,
        high / 4,
        np.log(np.maximum(frequency_hz, 10.0) / _MIDDLE_HZ),
        found,
    )
    return np.stack(columns, axis=1).astype(np.float32)


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
    held = np.clip(gain, _LEAST_GAIN, _MOST_GAIN)
    return np.asarray(np.log(held / (1 - held)))
