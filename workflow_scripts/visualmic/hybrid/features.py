"""What the network is told of a beam; everything is relative, so that no unit or scale matters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.beam import Beam, long_term_snr, smooth_snr
from visualmic.motion.noise_suppression import (
    LOOKS_A_WINDOW,
    PARTS,
    in_time,
    mix,
    resolve,
    spectra_of,
    window_of,
)
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra, neighbours_mean

CLEAR_DB = 20.0
"""Predicted ratio of signal to distortion, in dB, above which a sound is clear of noise."""

STATISTICS = 16
CELL_FEATURES = 9
# Parts of the beam's windows in the shortest, in which the mask works.
FINEST = 4
# Frequencies, in hertz, that logarithms of frequency and of the capture rate are relative to.
_MIDDLE_HZ, _TOP_HZ = 300.0, 500.0
# Bounds of the Wiener gain, as the network takes it up from there.
_LEAST_GAIN, _MOST_GAIN = 0.003, 0.99
# Neighbours, to each side, that a frequency stands out with, and how many looks of them are one.
_STANDS_WITH, _ALIKE = 6, 1.5
# Distances, in frequencies, over which the turning of phases is looked at; and neighbours, to each
# side, that are not others.
_TURNS_OVER, _NEARBY = (1, 2), 7


def statistics(
    spectra: Spectra, frequency_hz: Floats, bias: float = 0.0, level: Floats | float = 1.0
) -> tuple[NDArray[np.float32], Floats]:
    """Describe the whole recording at each frequency, for the network that knows responses.

    Parameters
    ----------
    spectra : ndarray, complex, (windows, F)
        Of the beam, in unit noise; their phases are those of the strongest motion.
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
    cells = np.abs(spectra) ** 2
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
        *lateness(spectra, heard),
    )
    return np.stack(columns, axis=1).astype(np.float32), heard


def lateness(spectra: Spectra, heard: Floats) -> list[Floats]:
    r"""How much later each frequency sounds than the others, as far as all rise and fall together.

    In a window where a sound is at :math:`t`, the phase turns by :math:`-2 \pi t` a hertz. What
    passed a resonance comes later by its group delay, while a voice's own colours ring far shorter.
    So the turning at one frequency is set against that at all others, window by window.

    Parameters
    ----------
    spectra : ndarray, complex, (windows, F)
    heard : ndarray, float64, (F,)
        How well each frequency is heard, from 0 to 1.

    Returns
    -------
    list of ndarray, float64, (F,)
        Real and imaginary part of the coherence of both, from -1 to 1, for each of the distances
        over which the turning is looked at. The phase is the delay, in radians.
    """
    columns = []
    for over in _TURNS_OVER:
        turns = spectra[:, over:].astype(np.complex128) * spectra[:, :-over].conj()
        turns /= np.maximum(np.abs(turns).mean(axis=0), 1e-12)
        weighed = turns * (heard[over:] * heard[:-over])
        sums = np.cumsum(np.pad(weighed, [(0, 0), (_NEARBY + 1, _NEARBY)]), axis=1)
        nearby = sums[:, 2 * _NEARBY + 1 :] - sums[:, : -(2 * _NEARBY + 1)]
        others = weighed.sum(axis=1, keepdims=True) - nearby
        size = (np.abs(turns) ** 2).sum(axis=0) * (np.abs(others) ** 2).sum(axis=0)
        alike = (turns * others.conj()).sum(axis=0) / np.sqrt(np.maximum(size, 1e-12))
        alike = np.pad(alike, (0, over))
        columns += [alike.real, alike.imag]
    return columns


def noise_colour(beam: Beam) -> Floats:
    """Logarithm of the noise's power in the equalised sound, (F,), zero where it is heard most."""
    snr = long_term_snr(beam)
    heard = snr / (1 + snr)
    power = np.log(np.maximum(np.abs(beam.gain) ** 2 * beam.level, 1e-30))
    return np.asarray(power - (heard * power).sum() / max(float(heard.sum()), 1e-6))


def predicted_sdr_db(snr: Floats, noise: Floats) -> float:
    """Predict the signal-to-distortion ratio that a Wiener filter leaves, in dB.

    Parameters
    ----------
    snr : ndarray, float64, (F,)
        Mean ratio of sound to noise.
    noise : ndarray, float64, (F,)
        Power of the noise as the sound has it.

    Examples
    --------
    >>> round(predicted_sdr_db(np.array([9.0, 9.0]), np.array([1.0, 4.0])), 6)
    10.0
    """
    sound = noise * snr
    left = float((sound / (1 + snr)).sum())
    return float(10 * np.log10(max(float(sound.sum()), 1e-30) / max(left, 1e-30)))


def standing_out(beam: Beam) -> Floats:
    """How far each frequency (F,) and its neighbours stand above noise, in standard errors.

    Of one number for a whole recording chance leaves little, so that this tells where a sound is
    cut off: faint cells beyond that are noise, however loud one of them may be.
    """
    count = 2 * _STANDS_WITH + 1
    mean = neighbours_mean(beam.power[None] - 1 - beam.bias, (1, count))[0]
    error = np.sqrt(_ALIKE / (LOOKS_A_WINDOW * len(beam.spectra) * count))
    return np.asarray(np.maximum(mean / error, 0))


@dataclass
class Cells:
    """A beam in the windows of the mask, and what is told of each of its cells.

    Attributes
    ----------
    stft : ShortTimeFourier
    total : int
        Samples of the beam in time.
    spectra, plain : ndarray, complex64, (windows, F)
        Of the beam in unit noise, and of what the Wiener filter leaves of it.
    logit : ndarray, float32, (windows, F)
        Of the gain from one to the other.
    planes : ndarray, float32, (CELL_FEATURES, windows, F)
    """

    stft: ShortTimeFourier
    total: int
    spectra: Spectra
    plain: Spectra
    logit: NDArray[np.float32]
    planes: NDArray[np.float32]


def cells_of(beam: Beam, frequency_hz: Floats) -> Cells:
    """Describe a beam, whose frequencies are given, to the mask."""
    length, signal = window_of(beam), in_time(beam)
    resolved = [resolve(signal, length, beam.bias, parts) for parts in (*PARTS, FINEST)]
    long, short, finest = resolved
    plain = spectra_of(finest.stft, mix(resolved[: len(PARTS)], length, len(signal)))
    power = np.abs(finest.spectra) ** 2
    gain = (plain * finest.spectra.conj()).real / np.maximum(power, 1e-12)
    shape = power.shape
    frequency = np.linspace(0, frequency_hz[-1], shape[1])
    mean_snr, surely, colour = (
        np.interp(frequency, frequency_hz, one)
        for one in (
            np.log1p(long_term_snr(beam)),
            np.log1p(standing_out(beam)),
            noise_colour(beam),
        )
    )
    planes = (
        np.log1p(power) / 3,
        logit(gain) / 3,
        _onto(logit(long.gain), long.stft, finest.stft, shape) / 3,
        _onto(logit(short.gain), short.stft, finest.stft, shape) / 3,
        logit(finest.gain) / 3,
        np.broadcast_to(mean_snr / 3, shape),
        np.broadcast_to(surely / 3, shape),
        np.broadcast_to(colour / 3, shape),
        np.broadcast_to(np.log(np.maximum(frequency, 10.0) / _MIDDLE_HZ), shape),
    )
    return Cells(
        finest.stft,
        len(signal),
        finest.spectra,
        plain,
        logit(gain).astype(np.float32),
        np.stack(planes).astype(np.float32),
    )


def _onto(
    values: Floats, own: ShortTimeFourier, other: ShortTimeFourier, shape: tuple[int, int]
) -> Floats:
    """Bring values in windows of one length to those of another, by lines between them."""
    centre = (np.arange(shape[0]) + 1) * other.hop - other.length / 2
    window = (centre + own.length / 2) / own.hop - 1
    place = np.arange(shape[1]) * own.length / other.length
    for axis, at in enumerate((window, place)):
        at = np.clip(at, 0, values.shape[axis] - 1)
        below = np.floor(at).astype(int)
        above = np.minimum(below + 1, values.shape[axis] - 1)
        share = (at - below).reshape((-1, 1) if axis == 0 else (1, -1))
        values = (1 - share) * values.take(below, axis) + share * values.take(above, axis)
    return values


def logit(gain: Floats) -> Floats:
    """Inverse of the logistic function, of gains held within bounds."""
    held = np.clip(gain, _LEAST_GAIN, _MOST_GAIN)
    return np.asarray(np.log(held / (1 - held)))
