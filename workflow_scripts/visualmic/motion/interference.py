r"""What moves with the codec or the lamp rather than with the sound, found and taken out.

**Codec.** Frames are coded as key frames, predicted ones and ones between those, each with an
error of its own. The order repeats within each group of pictures, so blocks tremble at multiples
of the capture rate over the group's length, most at those of the short group between predicted
frames. Such a line keeps its phase from group to group, and differs from block to block as errors
do, while a sound that happens to lie there moves neighbouring blocks alike.

**Lamp.** Its lines show in the brightness of the frames. What each channel holds of them is fitted
by least squares. Motion changes the brightness too, when texture leaves the frame: a line that
the motion explains is no lamp's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats, shifted_with_gradient
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, Spectra
from visualmic.motion.steady_light import unneeded_light

_CHUNK = 4096
# A lamp's line stands this far above its neighbours in the brightness, in amplitude.
_FLICKER_FOUND = 12.0
# Part of a line in the brightness that motion must leave unexplained for it to be a lamp's.
_UNEXPLAINED = 0.5
# A lamp's line on a multiple of the codec's is this much stronger than the multiples beside it,
# and at least this share of the light.
_ALONE = 4.0
_LEAST_SHARE = 5e-4
# A line that the lamp leaves in the motion has this many times the power beside it.
_STANDS_OUT = 5.0
# Half the width of a lamp's line, in hertz: the mains wander.
_LINE_HZ = 0.5
# A line of the codec keeps its phase this much better than the usual multiple, and than noise.
_STEADY = 3.0
_STEADIER_THAN_NOISE = 1.2
# A pattern over the blocks with more than this share of smooth fields is an object's motion.
_SMOOTH_SHARE = 0.6
_FEWEST_CHANNELS = 12
_MOST_SEGMENTS = 32
_PROJECTIONS = 48


class Cleaner:
    """Give the motion channels without the codec's lines and the flicker of the lamp.

    What was taken out of them as light but was noise is given back first
    (:mod:`visualmic.motion.steady_light`).

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
        Frames in a group of pictures, when lines of the codec were found.
    codec_hz : list of float
        Those lines, in hertz.
    flicker_hz : list of float
        Lines of the lamp that were found in the brightness, as they appear at the capture rate.
    flicker_share : float
        Their amplitude as a share of the light.
    removes_comb, removes_flicker : bool
        Whether they are taken out.
    """

    def __init__(self, motion: MotionSignals, comb: bool = True, flicker: bool = True) -> None:
        self._signals = motion.signals
        self._total = motion.signals.shape[0]
        self.removes_comb = comb
        self.removes_flicker = flicker
        self._flicker: Floats | None = None
        self._coupling: Floats | None = None
        self._pattern: Floats | None = None
        self._phase: NDArray[np.int64] | None = None
        self._light = unneeded_light(motion)
        lamp = find_flicker(motion)
        self.flicker_hz = lamp.frequency_hz
        self.flicker_share = lamp.share
        if flicker and self.flicker_hz:
            self._fit_flicker(motion, _lines_in_channels(motion, self.rows, self.flicker_hz))
        lines = find_codec_lines(motion, self.rows)
        self.period = lines.period if lines else None
        self.codec_hz = lines.frequency_hz if lines else []
        if comb and lines:
            self._phase, self._pattern = lines.phase, lines.pattern

    def rows(self, start: int, stop: int) -> Floats:
        """Give the cleaned channels of frames `start` to `stop`, (n, C)."""
        part: Floats = np.asarray(self._signals[start:stop], np.float32)
        if self._light is not None:
            trembling, coupling = self._light
            part = part - trembling[start:stop] @ coupling
        if self._flicker is not None and self._coupling is not None:
            part = part - self._flicker[start:stop] @ self._coupling
        if self._pattern is not None and self._phase is not None:
            part = part - self._pattern[self._phase[start:stop]]
        return part

    def _fit_flicker(self, motion: MotionSignals, lines_hz: list[float]) -> None:
        """Fit each channel's response to the lamp's lines by least squares."""
        if not lines_hz:
            return
        gain = np.asarray(motion.arrays["gain"], np.float64)
        base = _lamp_lines(gain, motion.capture_fps, lines_hz)
        right = np.zeros((base.shape[1], self._signals.shape[1]))
        for start in range(0, self._total, _CHUNK):
            part = np.asarray(self._signals[start : start + _CHUNK], np.float32)
            right += base[start : start + _CHUNK].astype(np.float32).T @ part
        gram = base.T @ base
        gram += 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
        self._flicker = base.astype(np.float32)
        self._coupling = np.linalg.solve(gram, right).astype(np.float32)


@dataclass(frozen=True)
class CodecLines:
    """Lines that repeat with the group of pictures.

    Attributes
    ----------
    period : int
        Frames in a group.
    frequency_hz : list of float
        The lines, lowest first.
    phase : ndarray, int64, (T,)
        Frames since the last key frame, modulo the period.
    pattern : ndarray, float32, (period, C)
        What the lines add to each channel.
    """

    period: int
    frequency_hz: list[float]
    phase: NDArray[np.int64]
    pattern: Floats


def find_codec_lines(motion: MotionSignals, rows: Rows) -> CodecLines | None:
    """Find lines that keep their phase from one group of pictures to the next.

    Parameters
    ----------
    motion : MotionSignals
        With ``arrays["keyframes"]``.
    rows : callable
        Gives the channels from one frame to another.

    Returns
    -------
    CodecLines or None
        None where the groups differ in length, are too few, or leave no line.
    """
    total, channels = motion.signals.shape
    keyframes = np.asarray(motion.arrays.get("keyframes", []), np.int64)
    keyframes = keyframes[keyframes < total]
    period = _usual_distance(keyframes)
    if period is None or channels < _FEWEST_CHANNELS:
        return None
    steady = _steadiness(keyframes, period, channels, rows)
    if steady is None:
        return None
    # Frozen blocks show less than chance; where every multiple is a line, more is the usual.
    usual = min(float(np.median(steady)), 1.0)
    wanted = 1 + np.flatnonzero(steady > max(_STEADY * usual, _STEADIER_THAN_NOISE))
    if len(wanted) == 0:
        return None
    since = (
        np.arange(total)
        - np.concatenate([[0], keyframes])[
            np.searchsorted(keyframes, np.arange(total), side="right")
        ]
    )
    phase = since % period
    amplitude = _line_amplitudes(rows, total, channels, phase / period, wanted)
    from visualmic.motion.wiener import smooth_fields

    smooth = smooth_fields(motion)[:, : channels // 3]
    share = (np.abs(amplitude @ smooth) ** 2).sum(axis=1)
    share /= np.maximum((np.abs(amplitude) ** 2).sum(axis=1), 1e-30)
    own = share < _SMOOTH_SHARE
    if not own.any():
        return None
    wanted, amplitude = wanted[own], amplitude[own]
    turn = np.exp(2j * np.pi * np.outer(np.arange(period), wanted) / period)
    twice = np.where(2 * wanted == period, 1.0, 2.0)
    pattern = ((turn * twice) @ amplitude).real.astype(np.float32)
    found = (wanted * motion.capture_fps / period).tolist()
    return CodecLines(period, found, phase, pattern)


def _usual_distance(keyframes: NDArray[np.int64]) -> int | None:
    """Distance of key frames that holds for most of the film."""
    if len(keyframes) < 3:
        return None
    gaps, counts = np.unique(np.diff(keyframes), return_counts=True)
    best = int(gaps[np.argmax(counts)])
    return best if counts.max() >= 0.6 * counts.sum() and best >= 2 else None


def _steadiness(
    keyframes: NDArray[np.int64], period: int, channels: int, rows: Rows
) -> Floats | None:
    """Power that keeps its phase over that of the neighbours, for each multiple of the period's.

    Segments of a few groups under a Blackman window keep slow motion out of the lines.
    """
    mix = _mix(channels)
    regular = np.diff(keyframes) == period
    for groups in (4, 2):
        whole = (
            np.lib.stride_tricks.sliding_window_view(regular, groups).all(axis=1)
            if (len(regular) >= groups)
            else np.zeros(0, np.bool_)
        )
        starts = keyframes[np.flatnonzero(whole)[:: groups // 2]]
        if len(starts) >= 3:
            break
    else:
        return None
    if len(starts) > _MOST_SEGMENTS:
        starts = starts[np.linspace(0, len(starts) - 1, _MOST_SEGMENTS).astype(int)]
    length = groups * period
    window = np.blackman(length + 1)[:-1, None].astype(np.float32)
    mean: Spectra = np.zeros((length // 2 + 1, mix.shape[1]), np.complex128)
    power = np.zeros(length // 2 + 1)
    for start in starts:
        spectrum = np.fft.rfft((rows(start, start + length) @ mix) * window, axis=0)
        mean += spectrum / len(starts)
        power += (np.abs(spectrum) ** 2).sum(axis=1) / len(starts)
    lines = np.arange(1, period // 2 + 1) * groups
    coherent = (np.abs(mean[lines]) ** 2).sum(axis=1)
    # Between the lines there is what noise and sound leave; half a line on both sides of it.
    off = np.delete(np.arange(len(power)), lines)
    off = off[off > 2]
    noise = np.array([np.median(power[off[np.argsort(np.abs(off - line))[:12]]]) for line in lines])
    return coherent * len(starts) / np.maximum(noise, 1e-30)


def _mix(channels: int) -> Floats:
    """Few random mixtures of the channels, (C, k), that together have the power of all."""
    if channels <= _PROJECTIONS:
        return np.eye(channels, dtype=np.float32)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (channels, _PROJECTIONS))
    return (signs / np.sqrt(_PROJECTIONS)).astype(np.float32)


def _line_amplitudes(
    rows: Rows, total: int, channels: int, time: Floats, lines: Floats | NDArray[np.intp]
) -> Spectra:
    """Complex amplitudes (lines, C) of the channels, at lines that turn `time * line` times."""
    # The taper keeps slow motion, a thousand times stronger, out of the lines.
    taper = np.blackman(total + 2)[1:-1]
    taper /= taper.sum()
    count = len(lines)
    found: Spectra = np.zeros((count, channels), np.complex128)
    for start in range(0, total, _CHUNK):
        part = slice(start, min(start + _CHUNK, total))
        # In single precision and real arithmetic, a tenth of the time.
        angle = 2 * np.pi * (np.outer(time[part], lines) % 1.0)
        wave = taper[part, None] * np.hstack([np.cos(angle), -np.sin(angle)])
        both = wave.astype(np.float32).T @ rows(part.start, part.stop)
        found += both[:count] + 1j * both[count:]
    return found


@dataclass(frozen=True)
class Flicker:
    """Lines of a lamp in the brightness of the frames.

    Attributes
    ----------
    frequency_hz : list of float
        As they appear at the capture rate, lowest harmonic first.
    share : float
        Amplitude of the lines together, as a share of the light.
    """

    frequency_hz: list[float]
    share: float


def find_flicker(motion: MotionSignals) -> Flicker:
    """Find lines of a lamp on the mains in the brightness of the frames.

    A lamp flickers at twice the mains frequency and its multiples; above half the capture rate
    they appear folded back.

    Returns
    -------
    Flicker
        Without lines where there is no such lamp.
    """
    nothing = Flicker([], 0.0)
    gain = np.asarray(motion.arrays.get("gain", []), np.float64)
    fps = motion.capture_fps
    if len(gain) < 64 or not np.any(gain):
        return nothing
    window = np.hanning(len(gain))
    spectrum = np.abs(np.fft.rfft((gain - gain.mean()) * window)) * 2 / window.sum()
    frequency = np.fft.rfftfreq(len(gain), 1 / fps)
    period = _usual_distance(np.asarray(motion.arrays.get("keyframes", []), np.int64))
    found: list[float] = []
    for mains in (50.0, 60.0):
        lines: list[float] = []
        for harmonic in range(1, 5):
            # Mains frequency wanders by a few tenths of a percent.
            wanted = 2 * mains * harmonic
            folded = abs(wanted - fps * round(wanted / fps))
            reach = 0.004 * wanted + 2 * fps / len(gain)
            near = np.flatnonzero(np.abs(frequency - folded) <= reach)
            around = np.flatnonzero(np.abs(frequency - folded) <= reach + 25.0)
            if len(near) == 0 or folded < 1.0:
                continue
            peak = int(near[np.argmax(spectrum[near])])
            if spectrum[peak] < _FLICKER_FOUND * max(float(np.median(spectrum[around])), 1e-15):
                continue
            if period is not None and _is_of_codec(spectrum, peak, len(gain) / period):
                continue
            line = _refined(spectrum, peak, float(frequency[1]))
            # Two harmonics may be folded to one place.
            if all(abs(line - other) > 4 * fps / len(gain) for other in lines):
                lines.append(line)
        if len(lines) > len(found):
            found = lines
    return _unexplained_by_motion(motion, gain, found) if found else nothing


def _is_of_codec(spectrum: Floats, peak: int, spacing: float) -> bool:
    """Whether a peak in the brightness is one of many at the codec's spacing, in bins."""
    if abs(peak / spacing - round(peak / spacing)) * spacing > 1.5:
        return False
    others = [
        float(spectrum[max(at - 1, 0) : at + 2].max(initial=0.0))
        for step in (-2, -1, 1, 2)
        if 0 < (at := round((round(peak / spacing) + step) * spacing)) < len(spectrum)
    ]
    alone = spectrum[peak] > _ALONE * max(others, default=0.0)
    return bool(not alone or spectrum[peak] < _LEAST_SHARE)


def _unexplained_by_motion(motion: MotionSignals, gain: Floats, lines_hz: list[float]) -> Flicker:
    """Keep the lines in the brightness that motion within the frame does not cause."""
    total, channels = motion.signals.shape

    def rows(start: int, stop: int) -> Floats:
        part = np.asarray(motion.signals[start:stop], np.float32)
        return np.column_stack([part, gain[start:stop].astype(np.float32)])

    time_s = np.arange(total) / motion.capture_fps
    amplitude = _line_amplitudes(rows, total, channels + 1, time_s, np.asarray(lines_hz))
    expected = amplitude[:, :-1] @ brightness_of_motion(motion)
    seen = amplitude[:, -1]
    lamp = np.abs(seen - expected) > _UNEXPLAINED * np.abs(seen)
    share = 2 * float(np.sqrt((np.abs(seen[lamp]) ** 2).sum()))
    return Flicker([line for line, kept in zip(lines_hz, lamp, strict=True) if kept], share)


def _lines_in_channels(motion: MotionSignals, rows: Rows, lines_hz: list[float]) -> list[float]:
    """Keep the lines that stand out in the motion too.

    Fitting gain and offset has mostly removed them already, and to take out a line that is not
    there would take the sound's part at its place.
    """
    total, channels = motion.signals.shape
    mix = _mix(channels)
    step = motion.capture_fps / total
    beside = step * np.concatenate([np.arange(-9, -3), [0], np.arange(4, 10)])
    frequency = np.abs(np.add.outer(np.asarray(lines_hz), beside)).ravel()
    time_s = np.arange(total) / motion.capture_fps
    amplitude = _line_amplitudes(
        lambda a, b: rows(a, b) @ mix, total, mix.shape[1], time_s, frequency
    )
    power = (np.abs(amplitude) ** 2).sum(axis=1).reshape(len(lines_hz), -1)
    middle = len(beside) // 2
    usual = np.median(np.delete(power, middle, axis=1), axis=1)
    stands_out = power[:, middle] > _STANDS_OUT * np.maximum(usual, 1e-30)
    return [line for line, kept in zip(lines_hz, stands_out, strict=True) if kept]


def brightness_of_motion(motion: MotionSignals) -> Floats:
    r"""Change of the frame's apparent gain by a unit in each channel, (C,).

    The gain is fitted to the contrast :math:`c = I_0 - \bar I_0` of the frame, so that motion `d`
    of a block reads as :math:`-\sum_x c\,\nabla I_0 \cdot d \,/ \sum_x c^2`.
    """
    reference = np.asarray(motion.arrays["reference"], np.float32)
    _, gradient_x, gradient_y = shifted_with_gradient(reference, 0.0, 0.0)
    contrast = reference - reference.mean()
    height, width = (int(side) for side in motion.arrays["block_size"])
    pull = np.zeros((len(motion.arrays["block_y"]), 2))
    for block, (top, left) in enumerate(
        zip(motion.arrays["block_y"], motion.arrays["block_x"], strict=True)
    ):
        inside = np.s_[top : top + height, left : left + width]
        for axis, gradient in enumerate((gradient_x, gradient_y)):
            pull[block, axis] = -float((contrast[inside] * gradient[inside]).sum())
    whitener = np.asarray(motion.arrays["whitener"], np.float64)
    unwhitened = np.einsum("bi,bij->bj", pull, np.linalg.pinv(whitener))
    return unwhitened.ravel() / max(float((contrast.astype(np.float64) ** 2).sum()), 1e-9)


def _lamp_lines(gain: Floats, fps: float, lines_hz: list[float]) -> Floats:
    """Each line of the lamp as the brightness shows it, and in quadrature: (T, 2 * lines).

    The phase of the mains wanders, so the measured line fits better than a steady tone.
    """
    spectrum = np.fft.rfft(gain - gain.mean())
    frequency = np.fft.rfftfreq(len(gain), 1 / fps)
    reach = max(_LINE_HZ, 2 * fps / len(gain))
    base = []
    for line in lines_hz:
        narrow = np.where(np.abs(frequency - line) <= reach, spectrum, 0)
        base += [np.fft.irfft(narrow, len(gain)), np.fft.irfft(-1j * narrow, len(gain))]
    return np.column_stack(base)


def _refined(spectrum: Floats, peak: int, step: float) -> float:
    """Frequency of a peak between bins, by a parabola through its logarithm."""
    if not 0 < peak < len(spectrum) - 1:
        return peak * step
    left, middle, right = 2 * np.log(np.maximum(spectrum[peak - 1 : peak + 2], 1e-150))
    curve = left - 2 * middle + right
    return (peak + (0.5 * (left - right) / curve if curve < 0 else 0.0)) * step
