"""The response of the object that is expected from what it sounds like, and how it is undone."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from visualmic.hybrid.features import CLEAR_DB, predicted_sdr_db, statistics
from visualmic.hybrid.weight_files import RESPONSE, WEIGHTS, network
from visualmic.motion.beam import Beam, long_term_snr
from visualmic.motion.modal_model import Expected
from visualmic.motion.noise_suppression import turns
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra

# Neighbouring frequencies at which the response that is expected errs alike.
_ALIKE_BINS = 15.0
# Where a response is undone, in hertz and of the highest frequency; how small a part of the motion
# may be heard; and the most that is undone, in nepers.
_FROM_HZ, _BELOW_TOP = 40.0, 0.97
_LEAST_PART = 0.05
_MOST_UNDONE = 3.0
# SI-SDR, in dB, that what is expected must promise to gain; and the delays in samples that do not
# count.
_LEAST_GAINED_DB = 2.0
_DELAYS = np.arange(-3.0, 3.1, 0.25)


def expect_response(beam: Beam, frequency_hz: Floats, folder: Path = WEIGHTS) -> Expected:
    """Say from a beam what response of the object to expect.

    Parameters
    ----------
    beam : Beam
        As the motion gives it, without the object's modes.
    frequency_hz : ndarray, float64, (F,)
    folder : path, optional
        Of the weights.
    """
    log_power, log_spread, heard = _response(beam, frequency_hz, folder)
    # The factor signals are in units of their noise.
    return Expected(log_power - np.log(beam.level), heard * np.exp(-2 * log_spread) / _ALIKE_BINS)


def _response(beam: Beam, frequency_hz: Floats, folder: Path) -> tuple[Floats, Floats, Floats]:
    """Logarithms of the response's power and of its standard error, and what is heard: (F,)."""
    told, heard = statistics(beam.spectra * turns(beam), frequency_hz, beam.bias, beam.level)
    both = network(RESPONSE, folder).run(None, {"input": told[None]})
    log_power, log_spread = (one[0].astype(np.float64) for one in both)
    return log_power, log_spread, heard


def undo_response(beam: Beam, frequency_hz: Floats, folder: Path = WEIGHTS) -> Beam:
    """Take out of a beam the response that is expected, where the motion tells no modes.

    Its size is what the network says, as far as it is sure, and its phase the least that belongs to
    that. An object that moves as a whole is left alone, and one that is expected to spoil the sound
    little more than the expectation may err; so is what a codec spoiled that is not clear of noise.

    Parameters
    ----------
    beam : Beam
    frequency_hz : ndarray, float64, (F,)
    folder : path, optional
        Of the weights.
    """
    if beam.modes is not None or beam.rigid:
        return beam
    snr, size = long_term_snr(beam), np.abs(beam.gain)
    if beam.lossy and predicted_sdr_db(snr, size**2 * beam.level) < CLEAR_DB:
        return beam
    log_power, log_spread, heard = _response(beam, frequency_hz, folder)
    usual = max(float(np.sqrt((size**2).mean())), 1e-30)
    # What is heard of the response is that of the strongest motion.
    log_size = log_power / 2 + np.log(np.maximum(size / usual, _LEAST_PART))
    within = (frequency_hz >= _FROM_HZ) & (frequency_hz < _BELOW_TOP * frequency_hz[-1])
    loud = heard * snr * beam.level * size**2 * within
    sound = loud / np.exp(2 * log_size)
    log_size -= float((sound * log_size).sum()) / max(float(sound.sum()), 1e-30)
    inner = np.flatnonzero(within)
    log_size = np.interp(np.arange(len(log_size)), inner, log_size[inner])
    log_size = np.clip(log_size, -_MOST_UNDONE, _MOST_UNDONE)
    # Size and phase err alike.
    error = np.minimum(np.exp(2 * log_spread) / 2, 1)
    promised = -10 * np.log10(float((sound * error).sum()) / max(float(sound.sum()), 1e-30))
    if clearness_db(minimum_phase(log_size), sound) > promised - _LEAST_GAINED_DB:
        return beam
    surely = np.maximum(1 - np.exp(2 * log_spread), 0)
    undone = beam.gain / minimum_phase(surely * log_size)
    left = loud * np.abs(undone / np.maximum(size, 1e-30)) ** 2
    return replace(beam, gain=undone * np.sqrt(loud.sum() / max(float(left.sum()), 1e-30)))


def clearness_db(response: Spectra, sound: Floats) -> float:
    """Predict the SI-SDR, in dB, of a sound of power `sound` (F,) behind a response (F,)."""
    turns = np.exp(1j * np.pi * _DELAYS[:, None] * np.linspace(0, 1, len(sound)))
    alike = float(((sound * response * turns).sum(axis=1).real ** 2).max())
    square = float((sound * np.abs(response) ** 2).sum()) * float(sound.sum())
    return float(-10 * np.log10(max(1 - alike / max(square, 1e-30), 1e-10)))


def minimum_phase(log_size: Floats) -> Spectra:
    """Give the response (F,) with a size of this logarithm that is as early as can be.

    Parameters
    ----------
    log_size : ndarray, float64, (F,)
        At even distances from 0 to half the sampling rate.
    """
    cepstrum = np.fft.irfft(log_size)
    half = len(cepstrum) // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return np.asarray(np.exp(np.fft.rfft(cepstrum)))
