r"""See the motion that made a sound: lock-in detection, then phase-based magnification.

A vibration of hundreds of hertz cannot be shown at 30 pictures a second, and one frame's noise is
far larger than its motion. So each picture is made from all frames of a short window: with the
analytic signal :math:`z(t)` of the sound, the part of every pixel that goes along with it is

.. math:: P(x) = \frac{2 \sum_t (I(x,t) - \bar I(x)) \, z^*(t)}{\sum_t |z(t)|^2},

and the picture is shown at the phase :math:`\theta` of a slow swing, as a stroboscope would show
it: what leads from :math:`\bar I` to :math:`\bar I + \Re(P e^{i\theta})`, times the root mean
square of :math:`z`, is the true excursion of that moment. Its phase in each subband of a complex
steerable pyramid is then multiplied.

References
----------
N. Wadhwa, M. Rubinstein, F. Durand and W. T. Freeman, "Phase-based video motion processing", ACM
Transactions on Graphics 32(4), 2013.
"""

import itertools
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from visualmic.motion.steerable_pyramid import SteerablePyramid, Subband, largest_scale_count

SCALES = 4
ORIENTATIONS = 4


def analytic_sound(sound_at_frames: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Give the analytic signal of a sound sampled once a frame, ``(T,)``."""
    if sound_at_frames.size == 0:
        return np.zeros(0, np.complex64)
    analytic = scipy.signal.hilbert(sound_at_frames - sound_at_frames.mean())
    return np.asarray(analytic, np.complex64)


class LockIn:
    """Mean of the frames of a window, and the part of every pixel that goes along with a sound.

    Parameters
    ----------
    shape : (int, int)
        Height and width of a frame in pixels.
    windows : int
        How many of the latest pictures' frames are taken together.
    """

    def __init__(self, shape: tuple[int, int], windows: int = 3) -> None:
        self.shape = shape
        self._windows: deque[tuple[NDArray[np.float32], NDArray[np.complex64]]] = deque(
            maxlen=windows
        )

    def add(self, frames: NDArray[np.float32], sound: NDArray[np.complex64]) -> None:
        """Take the frames ``(B, H, W)`` of one picture, with the analytic sound ``(B,)``."""
        weights = np.stack([np.ones(len(frames), np.float32), sound.real, -sound.imag])
        sums = weights.astype(np.float32) @ frames.reshape(len(frames), -1)
        self._windows.append((sums.reshape(3, *self.shape), sound))

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.complex64]]:
        """Give the mean frame and the push: the excursion at phase 0 and, times i, at 90 degrees.

        Returns
        -------
        mean : ndarray, float32, (H, W)
            In grey levels.
        push : ndarray, complex64, (H, W)
            In grey levels, at the root-mean-square amplitude of the window's sound.
        """
        sums = np.asarray(np.stack([sums for sums, _ in self._windows]).sum(axis=0), np.float32)
        sound = np.concatenate([sound for _, sound in self._windows])
        mean = np.asarray(sums[0] / np.float32(len(sound)), np.float32)
        power = float(np.sum(np.abs(sound) ** 2))
        if power == 0:
            return mean, np.zeros(self.shape, np.complex64)
        along = sums[1] + 1j * sums[2] - mean * np.conj(sound).sum()
        scale = 2.0 / power * np.sqrt(power / len(sound))
        return mean, np.asarray(along * scale, np.complex64)


class SoundHeat:
    r"""How clearly each block of the frame goes along with a sound, over a whole film.

    The strength of a block is the power of its lock-in over what unrelated noise of the same
    variance gives,

    .. math:: s = \left\langle |\sum_t (I - \bar I) z^*|^2 \right\rangle
              / \left\langle \sigma^2 \sum_t |z|^2 \right\rangle,

    so that it is 1 where nothing was heard.

    Parameters
    ----------
    shape : (int, int)
        Height and width of a frame in pixels.
    block_px : int
        Side of a block in pixels.
    """

    def __init__(self, shape: tuple[int, int], block_px: int) -> None:
        self.shape = shape
        self.block_px = block_px
        self._along = np.zeros(shape, np.complex128)
        self._spread = np.zeros(shape)
        self._power = 0.0
        self._frames = 0

    def add(self, frames: NDArray[np.float32], sound: NDArray[np.complex64]) -> None:
        """Take the frames ``(B, H, W)`` of one picture, with the analytic sound ``(B,)``."""
        # The mean of each picture's frames is taken away, so that slow changes do not count.
        moved = frames - frames.mean(axis=0)
        weights = np.stack([sound.real, -sound.imag]).astype(np.float32)
        sums = (weights @ moved.reshape(len(moved), -1)).reshape(2, *self.shape)
        self._along += sums[0] + 1j * sums[1]
        self._spread += np.einsum("thw,thw->hw", moved, moved)
        self._power += float(np.sum(np.abs(sound) ** 2))
        self._frames += len(frames)

    def strength(self) -> NDArray[np.float64]:
        """Give the strength of each block, ``(rows, columns)``; 1 is chance."""
        spread = _block_means(self._spread / max(self._frames, 1), self.block_px)
        along = _block_means(np.abs(self._along) ** 2, self.block_px)
        floor = spread * self._power
        return np.divide(along, floor, out=np.ones_like(along), where=floor > 0)


def _block_means(values: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Average blocks; those at the right and lower edge are smaller where they must be."""
    rows = np.arange(0, values.shape[0], block)
    columns = np.arange(0, values.shape[1], block)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, values.shape[0]))
    widths = np.diff(np.append(columns, values.shape[1]))
    return np.asarray(sums / np.outer(heights, widths), np.float64)


class Magnifier:
    """Multiply the motion between two frames by a factor, in the phase of a steerable pyramid.

    Parameters
    ----------
    shape : (int, int)
        Height and width of a frame in pixels.
    factor : float
        How many times the motion is shown.
    """

    def __init__(self, shape: tuple[int, int], factor: float) -> None:
        scales = max(1, min(SCALES, largest_scale_count(shape)))
        self.factor = factor
        self._pyramid = SteerablePyramid(shape, scales, ORIENTATIONS)
        # What the pyramid makes of a single bright pixel is each subband's filter.
        impulse = np.ones((1, shape[0], shape[1] // 2 + 1), np.complex64)
        self._responses = {
            subband: scipy.fft.fft2(self._pyramid.subband(impulse, subband)[0])
            for subband in self._pyramid.subbands
        }

    def magnify(
        self, still: NDArray[np.float32], moved: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Give `still` ``(H, W)`` with `factor` times the motion from it to `moved` ``(H, W)``."""
        pyramid = self._pyramid
        halves = pyramid.spectrum(np.stack([still, moved]))
        changes: dict[Subband, NDArray[np.complex64]] = {}
        for subband in pyramid.subbands:
            before, after = pyramid.subband(halves, subband)
            turn = np.angle(after * np.conj(before)) * np.float32(self.factor)
            changes[subband] = before * (np.exp(1j * turn).astype(np.complex64) - 1)
        return np.asarray(still + self.synthesis(changes), np.float32)

    def synthesis(
        self, coefficients: Mapping[Subband, NDArray[np.complex64]]
    ) -> NDArray[np.float32]:
        """Give the part of a frame ``(H, W)`` that these coefficients ``(h, w)`` hold.

        For untouched coefficients that is the frame itself wherever the squared filters of the
        pyramid sum to one.
        """
        height, width = self._pyramid.shape
        spectrum = np.zeros((height, width), np.complex64)
        for subband, values in coefficients.items():
            rows, columns = (_signed_frequencies(size) for size in values.shape)
            # A complex subband has twice the real one's amplitude on one half of the plane; the
            # real part spreads it over both.
            part = np.conj(self._responses[subband]) / 2 * scipy.fft.fft2(values)
            spectrum[(rows % height)[:, None], (columns % width)[None, :]] += part
        return np.asarray(np.real(scipy.fft.ifft2(spectrum)), np.float32)


def _signed_frequencies(size: int) -> NDArray[np.int64]:
    return np.asarray(np.round(np.fft.fftfreq(size) * size), np.int64)


def strobe_phases(pictures: int, shown_fps: float, swing_hz: float) -> NDArray[np.float64]:
    """Give the phase of the slow swing at which each picture is shown, in radians."""
    return np.arange(pictures, dtype=np.float64) * (2 * np.pi * swing_hz / shown_fps)


def windows_of(time_s: NDArray[np.float64], shown_fps: float) -> Sequence[slice]:
    """Share frames out to pictures: the frames between each picture and the next.

    A picture without a frame of its own, at a gap in the film, has an empty slice.

    Parameters
    ----------
    time_s : ndarray, float64, (T,)
        Time of each frame since the first, in seconds, rising.
    shown_fps : float
        Pictures per second.

    Returns
    -------
    sequence of slice
        One a picture.
    """
    if time_s.size == 0:
        return []
    # A frame that is due with a picture belongs to it, whatever the last digits of its time.
    picture = np.floor(time_s * shown_fps + 1e-6).astype(np.int64)
    edges = np.searchsorted(picture, np.arange(int(picture[-1]) + 2))
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]
