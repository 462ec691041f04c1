"""Complex steerable pyramid in the frequency domain, made once and applied to many frames.

Conventions: subbands are named ``(scale, orientation)``, scale 0 is the finest and each further
scale halves both sides (rounded up); orientation ``b`` of ``B`` is tuned to the direction
``pi * b / B``, where 0 is along x and ``pi / 2`` is along y (downwards). The boundary is circular.
Coefficients are those of ``pyrtools.pyramids.SteerablePyramidFreq(is_complex=True)`` with
``order = orientations - 1``, residuals left out.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from visualmic.errors import VisualMicError

Subband = tuple[int, int]

# Samples of the raised cosine and of the angular cosine power. The filters are defined as linear
# interpolation in these tables, so another length would be another pyramid.
_RADIAL_STEPS = 256
_ANGULAR_STEPS = 1024


@dataclass(frozen=True)
class _Filter:
    """One subband's filter on the rectangle of the spectrum where it is not zero.

    Along each axis the frequencies are ordered as an FFT orders them, those from zero up first,
    then the negative ones.
    """

    shape: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    gain: NDArray[np.float32]
    rows_first: bool
    kept: tuple[tuple[slice, slice], ...]
    empty: tuple[slice, ...]


class Workspace:
    """Memory that one thread works in, used again for every subband of every frame.

    A fresh array of a megabyte costs the system more time to hand out than the work done in it.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.complex64]] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.complex64]:
        """Array of this shape in the buffer of this name, with whatever it held."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = np.empty(size, np.complex64)
        return buffer[:size].reshape(shape)


def largest_scale_count(shape: tuple[int, int]) -> int:
    """Count the scales that fit a frame of `shape`: ``floor(log2(min(shape))) - 2``, at least 0."""
    return max(math.floor(math.log2(max(min(shape), 1))) - 2, 0)


class SteerablePyramid:
    r"""Complex steerable pyramid for frames of one size.

    The coefficient of scale :math:`r` and orientation :math:`\theta` is the inverse Fourier
    transform of the frame's spectrum times a real filter

    .. math:: C_{r,\theta} = (-i)^{B-1} \mathcal{F}^{-1}\{ L_0 L_1 \cdots L_r H_r G_\theta I \}

    with raised cosines in log-frequency :math:`L` and :math:`H`, and
    :math:`G_\theta \propto \cos^{B-1}(\angle - \theta)` on the half-plane around
    :math:`\theta` only. So a coefficient is analytic: its phase moves with the texture, by
    :math:`2\pi f` times the displacement.

    Parameters
    ----------
    shape : (int, int)
        Height and width of a frame in pixels.
    scales : int
        Number of scales, at least 1 and at most :func:`largest_scale_count`.
    orientations : int
        Number of orientations, from 2 to 16.

    Attributes
    ----------
    subbands : tuple of (int, int)
        ``(scale, orientation)``, finest scale first.

    Raises
    ------
    VisualMicError
        If the frame is too small for so many scales, or a number is out of range.

    References
    ----------
    E. P. Simoncelli and W. T. Freeman, "The steerable pyramid: a flexible architecture for
    multi-scale derivative computation", ICIP 1995. J. Portilla and E. P. Simoncelli, "A parametric
    texture model based on joint statistics of complex wavelet coefficients", IJCV 40, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> pyramid = SteerablePyramid((64, 48), scales=2, orientations=2)
    >>> pyramid.coefficients(np.zeros((3, 64, 48), np.float32))[1, 0].shape
    (3, 32, 24)
    """

    def __init__(self, shape: tuple[int, int], scales: int, orientations: int) -> None:
        most = largest_scale_count(shape)
        if most < 1:
            raise VisualMicError(
                f"a frame of {shape[1]}x{shape[0]} pixels is too small for a pyramid: give it at"
                " least 8 pixels a side (a larger crop, or less downsampling)"
            )
        if not 1 <= scales <= most:
            raise VisualMicError(
                f"{scales} scales do not fit a frame of {shape[1]}x{shape[0]} pixels: set scales"
                f" from 1 to {most}, or give a larger crop or less downsampling"
            )
        if not 2 <= orientations <= 16:
            raise VisualMicError(
                f"orientations is {orientations}: a complex pyramid has from 2 to 16"
            )
        self.shape = (int(shape[0]), int(shape[1]))
        self.scales = int(scales)
        self.orientations = int(orientations)
        self.subbands: tuple[Subband, ...] = tuple(
            (scale, band) for scale in range(self.scales) for band in range(self.orientations)
        )
        self._factor = np.complex64((-1j) ** (self.orientations - 1))
        self._filters = {
            subband: _crop_filter(gain)
            for subband, gain in _subband_gains(self.shape, self.scales, self.orientations).items()
        }

    def subband_shape(self, scale: int) -> tuple[int, int]:
        """Height and width of the subbands of a scale in coefficients."""
        return self._filters[scale, 0].shape

    def white_noise_gain(self, subband: Subband) -> float:
        """Mean square of a coefficient for white noise of variance 1 in the frame."""
        band = self._filters[subband]
        frame_pixels = self.shape[0] * self.shape[1]
        coefficients = band.shape[0] * band.shape[1]
        return float(np.sum(band.gain.astype(float) ** 2)) * frame_pixels / coefficients**2

    def centre_frequency(self, subband: Subband) -> float:
        """Root mean square frequency that the filter passes of white noise, cycles per pixel."""
        band = self._filters[subband]
        fy = band.rows[:, None] / self.shape[0]
        fx = band.columns[None, :] / self.shape[1]
        power = band.gain.astype(float) ** 2
        return math.sqrt(float(np.sum(power * (fx**2 + fy**2)) / np.sum(power)))

    def spectrum(self, frames: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Half spectrum ``(B, H, W // 2 + 1)`` of frames ``(B, H, W)``.

        Raises
        ------
        VisualMicError
            If the frames have another size than the pyramid.
        """
        if frames.ndim != 3 or frames.shape[1:] != self.shape:
            raise VisualMicError(
                f"frames of shape {frames.shape} do not fit a pyramid made for"
                f" {self.shape[1]}x{self.shape[0]} pixels: make one pyramid for each frame size"
            )
        # float32 in, complex64 out, at half the time and memory of double precision.
        half = scipy.fft.rfft2(np.asarray(frames, np.float32), axes=(1, 2))
        return np.asarray(half, np.complex64)

    def subband(
        self,
        spectrum: NDArray[np.complex64],
        subband: Subband,
        workspace: Workspace | None = None,
    ) -> NDArray[np.complex64]:
        """Coefficients ``(B, h, w)`` of one subband of frames with this half spectrum.

        With a `workspace` they lie in its memory, valid until it is used again.
        """
        from visualmic.motion.phase_kernels import filter_spectrum

        workspace = workspace or Workspace()
        band = self._filters[subband]
        product = workspace.array("product", (len(spectrum), *band.gain.shape))
        filter_spectrum(spectrum, band.rows, band.columns, band.gain, self._factor, product)
        # A filter covers half of the plane at most: the lines on which it is zero need no
        # transform along themselves, only zeros in the transform across.
        first, second = (1, 2) if band.rows_first else (2, 1)
        product = scipy.fft.ifft(product, axis=first, overwrite_x=True)
        padded = workspace.array("padded", (len(spectrum), *band.shape))
        # Seen with the axis that is padded in the middle.
        source, target = (
            (product.swapaxes(1, 2), padded.swapaxes(1, 2))
            if band.rows_first
            else (product, padded)
        )
        for here, there in band.kept:
            target[:, there] = source[:, here]
        for gap in band.empty:
            target[:, gap] = 0
        return np.asarray(scipy.fft.ifft(padded, axis=second, overwrite_x=True), np.complex64)

    def add_to_spectrum(
        self,
        spectrum: NDArray[np.complex64],
        subband: Subband,
        coefficients: NDArray[np.complex64],
    ) -> None:
        """Add what coefficients ``(B, h, w)`` contribute to frames, to their full spectrum.

        The real part of the inverse transform of `spectrum` ``(B, H, W)`` is then the part of the
        frames that the subbands hold: for untouched coefficients that is the frame itself wherever
        the squared filters sum to one.
        """
        band = self._filters[subband]
        (height, width), (all_rows, all_columns) = band.shape, self.shape
        transform = scipy.fft.fft2(coefficients, axes=(1, 2))
        part = transform[:, (band.rows % height)[:, None], (band.columns % width)[None, :]]
        # The filter has twice the amplitude of the real pyramid's on one half of the plane; the
        # real part spreads it over both.
        part *= np.complex64(np.conj(self._factor) / 2) * band.gain
        spectrum[:, (band.rows % all_rows)[:, None], (band.columns % all_columns)[None, :]] += part

    def coefficients(self, frames: NDArray[np.float32]) -> dict[Subband, NDArray[np.complex64]]:
        """All subbands of frames ``(B, H, W)``: ``{(scale, orientation): (B, h, w)}``."""
        spectrum = self.spectrum(frames)
        return {subband: self.subband(spectrum, subband) for subband in self.subbands}


def _subband_gains(
    shape: tuple[int, int], scales: int, orientations: int
) -> dict[Subband, NDArray[np.float64]]:
    """Filter of every subband on its own grid, zero frequency in the middle as fftshift has it."""
    height, width = shape
    # For an odd side this grid lies half a bin beside the FFT's, which is how the reference
    # implementation defines the filters of odd sizes.
    y, x = np.meshgrid(
        np.linspace(-1, 1, height + 1)[:-1], np.linspace(-1, 1, width + 1)[:-1], indexing="ij"
    )
    angle = np.arctan2(y, x)
    radius = np.hypot(x, y)
    # log2(0) at zero frequency: take its neighbour's.
    radius[height // 2, width // 2] = radius[height // 2, width // 2 - 1]
    log_radius = np.log2(radius)
    low = _lowpass(log_radius, 0)
    gains: dict[Subband, NDArray[np.float64]] = {}
    for scale in range(scales):
        radial = low * _highpass(log_radius, scale + 1)
        for band in range(orientations):
            gains[scale, band] = radial * _angular(angle, band, orientations)
        rows, columns = (_halved(size) for size in low.shape)
        low, angle, log_radius = (a[rows, columns] for a in (low, angle, log_radius))
        low = low * _lowpass(log_radius, scale + 1)
    return gains


def _halved(size: int) -> slice:
    """Slice of the middle half (rounded up) of a shifted spectrum, zero frequency kept central."""
    half = (size + 1) // 2
    start = size // 2 - half // 2
    return slice(start, start + half)


def _raised_cosine(octave: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Table of the amplitude that rises from 0 to 1 over the octave below ``2**-octave``."""
    steps = np.arange(_RADIAL_STEPS + 1) / _RADIAL_STEPS
    return steps - 1 - octave, np.sin(0.5 * np.pi * steps)


def _highpass(log_radius: NDArray[np.float64], octave: int) -> NDArray[np.float64]:
    at, amplitude = _raised_cosine(octave)
    return np.interp(log_radius, at, amplitude)


def _lowpass(log_radius: NDArray[np.float64], octave: int) -> NDArray[np.float64]:
    at, amplitude = _raised_cosine(octave)
    return np.interp(log_radius, at, np.sqrt(np.maximum(1.0 - amplitude**2, 0.0)))


def _angular(angle: NDArray[np.float64], band: int, orientations: int) -> NDArray[np.float64]:
    order = orientations - 1
    norm = 2**order * math.factorial(order) / math.sqrt(orientations * math.factorial(2 * order))
    steps = np.arange(-_ANGULAR_STEPS // 2, _ANGULAR_STEPS // 2 + 1)
    at = np.pi * steps / _ANGULAR_STEPS
    centred = (angle - np.pi * band / orientations + np.pi) % (2 * np.pi) - np.pi
    # Twice the amplitude of the real pyramid on one half-plane, nothing on the other.
    return np.interp(centred, at, 2.0 * norm * np.cos(at) ** order, left=0.0, right=0.0)


def _crop_filter(gain: NDArray[np.float64]) -> _Filter:
    """Keep the rectangle where the filter is not zero, along the axis that saves the most."""
    height, width = gain.shape
    present = gain > 1e-9 * gain.max()
    rows_present = np.fft.ifftshift(present.any(axis=1))
    columns_present = np.fft.ifftshift(present.any(axis=0))
    rows_first = columns_present.sum() * height <= rows_present.sum() * width
    every_row = np.round(np.fft.fftfreq(height) * height).astype(np.int64)
    every_column = np.round(np.fft.fftfreq(width) * width).astype(np.int64)
    unshifted = np.fft.ifftshift(gain)
    if rows_first:
        unshifted = unshifted[:, columns_present]
        every_column = every_column[columns_present]
    else:
        unshifted = unshifted[rows_present]
        every_row = every_row[rows_present]
    kept, empty = _placement(
        every_column if rows_first else every_row, width if rows_first else height
    )
    return _Filter(
        shape=(height, width),
        rows=every_row,
        columns=every_column,
        gain=np.ascontiguousarray(unshifted, np.float32),
        rows_first=bool(rows_first),
        kept=kept,
        empty=empty,
    )


def _placement(
    frequencies: NDArray[np.int64], size: int
) -> tuple[tuple[tuple[slice, slice], ...], tuple[slice, ...]]:
    """Where runs of frequencies lie in the cropped and the full spectrum, and where none lies."""
    breaks = np.flatnonzero(np.diff(frequencies) != 1) + 1
    kept = []
    empty = []
    end_before = 0
    for start, end in itertools.pairwise([0, *breaks.tolist(), len(frequencies)]):
        place = int(frequencies[start]) % size
        kept.append((slice(start, end), slice(place, place + end - start)))
        empty.append(slice(end_before, place))
        end_before = place + end - start
    empty.append(slice(end_before, size))
    return tuple(kept), tuple(gap for gap in empty if gap.start < gap.stop)
