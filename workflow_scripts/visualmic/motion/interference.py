"""What moves with the codec or the lamp rather than with the sound, found and taken out."""

import numpy as np

from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals

_CHUNK = 8192
# A line this many times above its neighbours in the comb is a sound that happens to lie there.
_OWN_LINE = 6.0
# The comb must hold this many times the energy that noise would leave in it.
_COMB_FOUND = 1.5
_FLICKER_FOUND = 12.0


class Cleaner:
    """Give the motion channels without the comb of the codec and the flicker of the lamp.

    Parameters
    ----------
    motion : MotionSignals
        As measured. ``arrays["gain"]`` is the brightness of each frame, and ``arrays["keyframes"]``
        the indices of key frames, where the film has them.
    comb, flicker : bool
        What to take out where it is found.

    Attributes
    ----------
    period : int or None
        Frames after which the codec repeats itself, when its comb was found.
    flicker_hz : list of float
        Lines of the lamp that were found in the brightness, as they appear at the capture rate.
    """

    def __init__(self, motion: MotionSignals, comb: bool = True, flicker: bool = True) -> None:
        self._signals = motion.signals
        self._total = motion.signals.shape[0]
        self.period: int | None = None
        self._pattern: Floats | None = None
        self._flicker: Floats | None = None
        self._coupling: Floats | None = None
        self.flicker_hz = find_flicker(motion)
        if flicker and self.flicker_hz:
            self._fit_flicker(motion)
        if comb:
            for period in _candidate_periods(motion):
                if self._fit_comb(period):
                    break

    def rows(self, start: int, stop: int) -> Floats:
        """Give the cleaned channels of frames `start` to `stop`, (n, C)."""
        part: Floats = np.asarray(self._signals[start:stop], np.float32)
        if self._flicker is not None and self._coupling is not None:
            part = part - self._flicker[start:stop] @ self._coupling
        if self._pattern is not None and self.period is not None:
            part = part - self._pattern[np.arange(start, stop) % self.period]
        return part

    def _chunks(self) -> list[tuple[int, int]]:
        return [
            (start, min(start + _CHUNK, self._total)) for start in range(0, self._total, _CHUNK)
        ]

    def _fit_flicker(self, motion: MotionSignals) -> None:
        """Fit each channel's response to the lamp's lines by least squares."""
        time = np.arange(self._total) / motion.capture_fps
        phase = 2 * np.pi * np.outer(time, self.flicker_hz)
        # The lamp's own phase wanders with the mains: its measured lines are better than tones.
        lines = _lines(np.asarray(motion.arrays["gain"], np.float64), phase)
        base = np.column_stack([lines, np.gradient(lines, axis=0)])
        base /= np.maximum(base.std(axis=0), 1e-12)
        right = np.zeros((base.shape[1], self._signals.shape[1]))
        for start, stop in self._chunks():
            right += base[start:stop].T @ np.asarray(self._signals[start:stop], np.float64)
        gram = base.T @ base + 1e-6 * self._total * np.eye(base.shape[1])
        self._flicker = base.astype(np.float32)
        self._coupling = np.linalg.solve(gram, right).astype(np.float32)

    def _fit_comb(self, period: int) -> bool:
        """Find what repeats with `period` frames in all channels; say whether there is enough."""
        channels = self._signals.shape[1]
        if channels == 0 or self._total < 4 * period:
            return False
        sums = np.zeros((period, channels))
        power = 0.0
        counts = np.bincount(np.arange(self._total) % period, minlength=period)
        previous: Floats | None = None
        for start, stop in self._chunks():
            part = self.rows(start, stop)
            np.add.at(sums, np.arange(start, stop) % period, part)
            steps = np.diff(part if previous is None else np.vstack([previous, part]), axis=0)
            power += float((steps.astype(np.float64) ** 2).sum())
            previous = part[-1:]
        spectrum = np.fft.rfft(sums / counts[:, None], axis=0) / period
        spectrum[0] = 0
        lines = (np.abs(spectrum) ** 2).sum(axis=1)
        # First differences weigh a line at f by (2 sin(pi f))^2: noise and comb compared alike.
        weight = (2 * np.sin(np.pi * np.arange(len(lines)) / period)) ** 2
        expected = power / self._total / period / max(self._total / period, 1.0)
        usual = np.array([np.median(lines[max(1, k - 6) : k + 7]) for k in range(len(lines))])
        own = lines > _OWN_LINE * np.maximum(usual, 1e-30)
        found = float(np.median((weight * lines)[1:])) / max(expected, 1e-30)
        if found < _COMB_FOUND:
            return False
        spectrum[own] = 0
        self._pattern = (np.fft.irfft(spectrum, period, axis=0) * period).astype(np.float32)
        self.period = period
        return True


def _candidate_periods(motion: MotionSignals) -> list[int]:
    """Distances of key frames that hold for most of the film."""
    keyframes = np.asarray(motion.arrays.get("keyframes", []), np.int64)
    if len(keyframes) < 3:
        return []
    gaps, counts = np.unique(np.diff(keyframes), return_counts=True)
    best = int(gaps[np.argmax(counts)])
    return [best] if counts.max() >= 0.6 * counts.sum() and best >= 2 else []


def _lines(gain: Floats, phase: Floats) -> Floats:
    """Tones at the lamp's frequencies as the brightness shows them, (T, 2 * lines)."""
    return np.column_stack([np.cos(phase), np.sin(phase)]) * (1.0 + gain[:, None])


def find_flicker(motion: MotionSignals) -> list[float]:
    """Find lines of a lamp on the mains in the brightness of the frames.

    A lamp flickers at twice the mains frequency and its multiples; above half the capture rate
    they appear folded back.

    Returns
    -------
    list of float
        Frequencies in hertz as they appear at the capture rate, lowest harmonic first.
    """
    gain = np.asarray(motion.arrays.get("gain", []), np.float64)
    fps = motion.capture_fps
    if len(gain) < 64 or not np.any(gain):
        return []
    window = np.hanning(len(gain))
    spectrum = np.abs(np.fft.rfft((gain - gain.mean()) * window)) ** 2
    frequency = np.fft.rfftfreq(len(gain), 1 / fps)
    found: list[float] = []
    for mains in (50.0, 60.0):
        lines = []
        for harmonic in range(1, 5):
            # Mains frequency wanders by a few tenths of a percent.
            wanted = 2 * mains * harmonic
            folded = abs(wanted - fps * round(wanted / fps))
            reach = 0.004 * wanted + 2 * fps / len(gain)
            near = np.flatnonzero(np.abs(frequency - folded) <= reach)
            around = np.flatnonzero(np.abs(frequency - folded) <= reach + 25.0)
            if len(near) == 0 or folded < 1.0:
                continue
            peak = near[np.argmax(spectrum[near])]
            floor = float(np.median(spectrum[around]))
            if spectrum[peak] > _FLICKER_FOUND**2 * max(floor, 1e-30):
                lines.append(_refined(spectrum, int(peak), float(frequency[1])))
        if len(lines) > len(found):
            found = lines
    return found


def _refined(spectrum: Floats, peak: int, step: float) -> float:
    """Frequency of a peak between bins, by a parabola through its logarithm."""
    if not 0 < peak < len(spectrum) - 1:
        return peak * step
    left, middle, right = np.log(np.maximum(spectrum[peak - 1 : peak + 2], 1e-300))
    curve = left - 2 * middle + right
    return (peak + (0.5 * (left - right) / curve if curve < 0 else 0.0)) * step
