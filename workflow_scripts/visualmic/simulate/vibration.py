"""From a sound to displacement over time: modal responses on a continuous time axis."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from visualmic.simulate.objects import Modes
from visualmic.simulate.sounds import Sound

# Samples per period of the highest frequency: with eight-point interpolation between samples the
# error is then below 1e-7 of the signal.
OVERSAMPLING = 24
TAIL_S = 1.0
TAPS = 8


class Vibration:
    """A sound, limited to a band, and the response of each mode to it, at any time.

    The responses are made in the frequency domain, where the resonators' transfer functions are
    exact; a second of silence follows the sound so that the modes ring out.

    Parameters
    ----------
    sound : Sound
        What drives the modes, starting at time 0.
    modes : Modes
        What is driven.
    band_hz : tuple of float
        Lowest and highest frequency that drives; the edges are raised cosines within the band.
    """

    def __init__(self, sound: Sound, modes: Modes, band_hz: tuple[float, float]) -> None:
        length = next_fast_len(len(sound.samples) + round(TAIL_S * sound.rate), real=True)
        spectrum = rfft(sound.samples, length)
        frequency = np.arange(len(spectrum)) * sound.rate / length
        spectrum = spectrum * band_window(frequency, *band_hz)
        finer = max(int(np.ceil(OVERSAMPLING * band_hz[1] / sound.rate)), 1)
        self.rate = sound.rate * finer
        self._length = length * finer
        keep = frequency <= band_hz[1]
        driven = np.zeros((len(modes.gain) + 1, len(spectrum)), dtype=np.complex128)
        driven[0] = spectrum
        driven[1:, keep] = spectrum[keep] * modes.response(frequency[keep])
        self._samples = irfft(driven, self._length, axis=1) * finer

    def sound_at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the band-limited sound at `time_s`, any shape."""
        return self._interpolate(self._samples[:1], time_s)[..., 0]

    def modes_at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the modes' displacement at `time_s`, with the modes as a new last axis."""
        return self._interpolate(self._samples[1:], time_s)

    def _interpolate(
        self, samples: NDArray[np.float64], time_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        place = time_s * self.rate
        first = np.floor(place).astype(np.int64) - TAPS // 2 + 1
        weights = _lagrange_weights(place - first)
        total = np.zeros((*time_s.shape, len(samples)))
        for tap in range(TAPS):
            # The time axis is a ring: just before 0 comes the silence after the end.
            total += weights[tap][..., None] * samples[:, (first + tap) % self._length].transpose(
                *range(1, time_s.ndim + 1), 0
            )
        return total


def band_window(
    frequency_hz: NDArray[np.float64], low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    """Weigh frequencies by a band-pass with raised-cosine edges that end at `low_hz`, `high_hz`.

    The edges are half an octave wide at the bottom and a tenth of the band's top at the top, both
    inside the band, so nothing at all passes outside it.
    """
    rise = np.clip((frequency_hz - low_hz) / (0.4 * low_hz), 0, 1) if low_hz > 0 else 1.0
    fall = np.clip((high_hz - frequency_hz) / (0.1 * high_hz), 0, 1)
    return 0.25 * (1 - np.cos(np.pi * np.asarray(rise))) * (1 - np.cos(np.pi * fall))


def _lagrange_weights(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (TAPS, ...) of equally spaced samples 0, 1, ... for the value at `place`."""
    weights = np.ones((TAPS, *place.shape))
    for tap in range(TAPS):
        for other in range(TAPS):
            if other != tap:
                weights[tap] *= (place - other) / (tap - other)
    return weights
