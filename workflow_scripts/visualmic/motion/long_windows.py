r"""The direction of motion as long windows show it, whose spectra hardly mix frequencies.

In a window `w` the spectrum of what passed an object is not quite its response times that of the
sound: what is left out grows with how fast the window changes while the object rings. Windows are
therefore as long as the recording, as far as memory goes, and flat but for short ramps at their
ends: where they do not change nothing is left out, and nearly all of the recording counts.
Neighbouring frequencies are joined, more of them the higher they are, but never over more than a
small part of a resonance, in which the direction would turn.

References
----------
.. [1] F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
   transform", Proceedings of the IEEE 66(1), 1978.
"""

import numpy as np
from numpy.fft import rfft

from visualmic.motion.modal_likelihood import BINS_A_LOOK
from visualmic.motion.modal_model import Seen
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra

# Longest window, in seconds and, for memory's sake, in frames; and the share of it that each ramp
# takes.
_LONGEST_S, _MOST_FRAMES = 16.0, 65_536
_RAMP = 0.05
# How wide the bands are in which frequencies are joined, as a share of the frequency.
_JOINED = 0.002


def see_in_long_windows(signals: Floats, fps: float, frequency_hz: Floats, level: Floats) -> Seen:
    """See the direction of signals in long windows.

    Parameters
    ----------
    signals : ndarray, (T, K)
        Factor signals.
    fps : float
        Their rate.
    frequency_hz, level : ndarray, float64, (F,)
        Power of their noise, at some frequencies.

    Returns
    -------
    Seen
        At frequencies of its own. Its looks are as many as the likelihood of modes, which takes
        neighbours to share a window, makes the independent ones of.
    """
    total, channels = signals.shape
    length = min(total, round(_LONGEST_S * fps), _MOST_FRAMES)
    count = 1 + int(np.ceil((total - length) / (length * (1 - _RAMP))))
    place = np.arange(length) + 0.5
    from_end = np.minimum(np.minimum(place, length - place) / (_RAMP * length), 1)
    window = (0.5 - 0.5 * np.cos(np.pi * from_end)).astype(np.float32)
    window /= np.sqrt((window**2).sum())
    fine = np.fft.rfftfreq(length, 1 / fps)
    edges = [1]
    while edges[-1] < len(fine):
        wide = np.searchsorted(fine, fine[edges[-1]] * (1 + _JOINED))
        edges.append(max(edges[-1] + 1, int(wide)))
    edges[-1] = len(fine)
    first, joined = np.array(edges[:-1]), np.diff(edges)
    covariance: Spectra = np.zeros((len(first), channels, channels), np.complex128)
    counted = np.zeros(total)
    for start in np.linspace(0, total - length, count).astype(int):
        counted[start : start + length] += window**2
        spectra = rfft(signals[start : start + length] * window[:, None], axis=0)
        products = spectra[:, :, None] * spectra[:, None, :].conj()
        covariance += np.add.reduceat(products, first, axis=0)
    # Of all frames, those that count in full would tell as much as these.
    share = counted.sum() ** 2 / (total * (counted**2).sum())
    looks = share * joined * total / length
    middle = np.add.reduceat(fine, first) / joined
    noise = count * joined * np.interp(middle, frequency_hz, level)
    return Seen(middle, covariance / noise[:, None, None], BINS_A_LOOK * looks)
