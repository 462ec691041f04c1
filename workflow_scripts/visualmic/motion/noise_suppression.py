r"""Taking noise from a beam: a Wiener gain that follows the sound, in windows of two lengths.

Short windows keep onsets and pauses, long ones harmonics. Which serves a sound better shows in how
likely each makes what was heard: cells with the power :math:`1 + \xi` of sound and noise have, for
each,

.. math:: \ell = -\log(1 + \xi) - \frac{|u^H y|^2}{1 + \xi} .

The sounds that both give are mixed by that, as it is in the seconds around.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualmic.motion.beam import Beam, smooth_snr
from visualmic.motion.nmf import factorised_snr
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra, neighbours_mean

PARTS = (1, 2)
"""Parts of the beam's windows that the gain is sought in."""

LOOKS_A_WINDOW = 0.45
"""Independent looks in one of windows of which four overlap."""

_SHORTEST = 8
# Local ratio of sound to noise that noise alone does not reach, and the one that is heard at
# frequencies whose mean stands out by as much as noise may by chance.
_LOUD, _FAINT = 5.0, 2.0
# Share of a cell's own neighbours, where the sound is far above the noise, in the geometric mean
# that the local ratio of sound to noise is.
_BY_ITSELF = 0.25
# Windows of the beam, side by side, over which likelihoods are added up, and by how much one of
# them must be ahead to count e times as much.
_NEAR, _AHEAD = 16, 25.0


@dataclass
class Resolved:
    """A beam in windows of one length.

    Attributes
    ----------
    stft : ShortTimeFourier
    spectra : ndarray, complex64, (windows, F)
        In unit noise.
    gain : ndarray, (windows, F)
        The Wiener gain that follows the sound.
    log_likelihood : ndarray, (windows,)
        Mean over the cells of a window, up to a constant that all lengths share.
    """

    stft: ShortTimeFourier
    spectra: Spectra
    gain: Floats
    log_likelihood: Floats

    def sound(self, total: int) -> Floats:
        """Give what the gain leaves, (total,)."""
        return self.stft.inverse((self.gain * self.spectra).astype(np.complex64), total)


def in_time(beam: Beam) -> Floats:
    """Give a beam as a signal (T,) whose noise is white and of variance one."""
    stft = ShortTimeFourier(window_of(beam), 4, "hann")
    lead = stft.length - stft.hop
    return stft.inverse(beam.spectra * turns(beam), len(beam.spectra) * stft.hop - lead)


def as_beam(beam: Beam, sound: Floats) -> Spectra:
    """Bring what is left of a beam in time back to its windows and phases, (windows, F)."""
    return spectra_of(ShortTimeFourier(window_of(beam), 4, "hann"), sound) * turns(beam).conj()


def turns(beam: Beam) -> Spectra:
    """Give what brings the phases of a beam (F,), each as it happens to be, to the sound's."""
    size = np.abs(beam.gain)
    turns = np.where(size > 0, beam.gain / np.maximum(size, 1e-30), 1)
    return turns.astype(np.complex64)


def window_of(beam: Beam) -> int:
    """Tell the samples in a beam's windows."""
    return 2 * (beam.spectra.shape[1] - 1)


def resolve(signal: Floats, length: int, bias: float, parts: int) -> Resolved:
    """Find the gain of a beam in windows of a part of their length.

    Parameters
    ----------
    signal : ndarray, (T,)
        The beam, in unit noise.
    length : int
        Samples in its windows.
    bias : float
        Power that noise adds by having been pointed at.
    parts : int
        That the windows are divided into.
    """
    stft = ShortTimeFourier(max(length // parts, min(length, _SHORTEST)), 4, "hann")
    spectra = spectra_of(stft, signal)
    power = np.abs(spectra) ** 2
    ratio = local_snr(power, smooth_snr(power.mean(axis=0), bias))
    likely = -(np.log1p(ratio) + power / (1 + ratio)).mean(axis=1)
    return Resolved(stft, spectra, parametric_gain(ratio), likely)


def spectra_of(stft: ShortTimeFourier, signal: Floats) -> Spectra:
    """Transform one signal (T,): (windows, F)."""
    rows = signal.astype(np.float32)[:, None]
    pieces = stft.pieces(lambda start, stop: rows[start:stop], len(rows))
    return np.concatenate([piece[:, :, 0] for piece in pieces])


def mix(resolved: Sequence[Resolved], length: int, total: int) -> Floats:
    """Mix what windows of several lengths leave by how likely each makes what is near: (total,).

    Parameters
    ----------
    resolved : sequence of Resolved
    length : int
        Samples in the beam's windows.
    total : int
        Number of samples.
    """
    near = _NEAR * length
    votes = [_nearby_mean(one, near, total) for one in resolved]
    # Half as many cells are independent as there are samples.
    nats = np.stack(votes) * min(near, total) / 2
    weight = np.exp((nats - nats.max(axis=0)) / _AHEAD)
    sounds = [one.sound(total) for one in resolved]
    return np.asarray((weight * sounds).sum(axis=0) / weight.sum(axis=0))


def _nearby_mean(one: Resolved, near: int, total: int) -> Floats:
    """Mean log-likelihood of a cell within half of `near` samples of each sample, (total,)."""
    stft, likely = one.stft, one.log_likelihood
    centre = (np.arange(len(likely)) + 1) * stft.hop - stft.length / 2
    # Windows that the ends cut hold less, which is likely for that alone.
    cut = stft.length // stft.hop - 1
    if len(likely) > 4 * cut:
        centre, likely = centre[cut:-cut], likely[cut:-cut]
    sums = np.r_[0.0, np.cumsum(likely)]
    at, reach = np.arange(len(likely)), near // stft.hop // 2
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(likely))
    return np.interp(np.arange(total), centre, (sums[last] - sums[first]) / (last - first))


def suppress_noise(beam: Beam) -> Spectra:
    """Take the noise from a beam: its spectra (windows, F), still in unit noise."""
    length, signal = window_of(beam), in_time(beam)
    resolved = [resolve(signal, length, beam.bias, parts) for parts in PARTS]
    return as_beam(beam, mix(resolved, length, len(signal)))


def local_snr(power: Floats, snr: Floats) -> Floats:
    """Give the local ratio of sound to noise, 0 where nothing is heard: (windows, F).

    Parameters
    ----------
    power : ndarray, (windows, F)
        Of sound and noise, in units of the noise.
    snr : ndarray, (F,)
        Mean ratio of the recording.
    """
    # What repeats steadies the ratio; a cell's own neighbours keep onsets and pauses sharp.
    near = np.maximum(neighbours_mean(power, (1, 3)) - 1, 0)
    share = _BY_ITSELF * snr / (1 + snr)
    ratio = factorised_snr(power, snr) ** (1 - share) * near**share
    return np.asarray(ratio * (ratio > least_ratio(snr, len(power))))


def parametric_gain(ratio: Floats) -> Floats:
    """Give the gain at a ratio of sound to noise that is uncertain."""
    # The exponent, as in parametric Wiener filters, makes up for how uncertain the ratio is.
    return np.asarray((ratio / (1 + ratio)) ** 2)


def least_ratio(snr: Floats, windows: int) -> Floats:
    """Give the local ratio of sound to noise (F,) below which nothing is heard.

    The less a frequency stands above what noise may show, the louder must be what is heard there;
    but what noise alone does not reach is heard at all of them.

    Parameters
    ----------
    snr : ndarray, float64, (F,)
        Of :func:`visualmic.motion.beam.long_term_snr`.
    windows : int
        That it is the mean of, four over each moment.
    """
    above = neighbours_mean(snr[None], (1, 5))[0] * np.sqrt(LOOKS_A_WINDOW * windows)
    return np.asarray(np.minimum(_LOUD, _FAINT / np.maximum(above, 1e-9)))
