"""Complex steerable pyramid in the frequency domain, made once and applied to many frames.

Conventions: subbands are named ``(scale, orientation)``, scale 0 is the finest and each further
scale halves both sides (rounded up); orientation ``b`` of ``B`` is tuned to the direction
``pi * b / B``, where 0 is along x and ``pi / 2`` is along y (downwards). The boundary is circular.
Coefficients are those of ``pyrtools.pyramids.SteerablePyramidFreq(is_complex=True)`` with
``order = orientations - 1``, residuals left out.
"""

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
    """One subband's filter on the grid of frequencies that is transformed back.

    Along each axis the frequencies are in the order of an FFT: from zero up, then the negative.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    gain: NDArray[np.float32]
    density: float


class Workspace:
    """Memory that one thread works in, used again for every subband of every frame.

    A fresh array of a megabyte costs the system more time to hand out than the work done in it.
    """

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.complex64)

    def array(self, shape: tuple[int, ...]) -> NDArray[np.complex64]:
        """Array of this shape in the memory, holding whatever was left there."""
        size = math.prod(shape)
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.complex64)
        return self._buffer[:size].reshape(shape)


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
    critical : bool
        Sample each subband only as densely as it needs: a filter that passes half of the
        frequencies along an axis leaves a coefficient that is determined by half of its samples.
        These are then evenly spaced over the frame, where the full grid need not have one.

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

    def __init__(
        self, shape: tuple[int, int], scales: int, orientations: int, critical: bool = False
    ) -> None:
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
        self._factor = np.array([(-1j) ** (self.orientations - 1)], np.complex64)
        self._filters = {
            subband: _make_filter(gain, critical)
            for subband, gain in _subband_gains(self.shape, self.scales, self.orientations).items()
        }

    def subband_shape(self, subband: Subband) -> tuple[int, int]:
        """Height and width of a subband in coefficients."""
        height, width = self._filters[subband].gain.shape
        return height, width

    def density(self, subband: Subband) -> float:
        """Coefficients of a subband as a share of its full grid: 1 unless sampled critically."""
        return self._filters[subband].density

    def white_noise_gain(self, subband: Subband) -> float:
        """Mean square of a coefficient for white noise of variance 1 in the frame."""
        gain = self._filters[subband].gain.astype(float)
        return float(np.sum(gain**2)) * math.prod(self.shape) / gain.size**2

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

        band = self._filters[subband]
        workspace = workspace or Workspace()
        product = workspace.array((len(spectrum), *band.gain.shape))
        filter_spectrum(spectrum, band.rows, band.columns, band.gain, self._factor, product)
        back = scipy.fft.ifft2(product, axes=(1, 2), overwrite_x=True)
        return np.asarray(back, np.complex64)

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


def _make_filter(gain: NDArray[np.float64], critical: bool) -> _Filter:
    """Lay a filter with zero frequency in the middle out for the transform back."""
    present = gain > 1e-9 * gain.max()
    rows, from_rows = _axis_layout(present.any(axis=1), critical)
    columns, from_columns = _axis_layout(present.any(axis=0), critical)
    # A position that stands for no frequency of this filter takes the added line of zeros.
    padded = np.pad(gain, ((0, 1), (0, 1)))
    laid_out = padded[np.ix_(from_rows, from_columns)]
    # The inverse transform divides by its own length, not by that of the full grid.
    density = laid_out.size / gain.size
    return _Filter(rows, columns, (laid_out * density).astype(np.float32), density)


def _axis_layout(
    present: NDArray[np.bool_], critical: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frequencies of one axis in FFT order, and their places in the shifted filter.

    A shortened axis of `n` positions holds frequency `k` at ``k mod n``, which samples the
    coefficients at `n` evenly spaced points. Positions left over are given the place -1.
    """
    size = len(present)
    zero = size // 2
    kept = np.flatnonzero(present) - zero
    # Zero is kept in any case, so that positive and negative frequencies stay in two runs.
    shortest = max(int(kept[-1]), 0) - min(int(kept[0]), 0) + 1
    length = scipy.fft.next_fast_len(shortest) if critical else size
    if length > 0.8 * size:
        length = size
        kept = np.arange(size) - zero
    position = np.arange(length)
    # Keep every frequency within the half spectrum that there is, also where nothing is kept.
    last_positive = max(int(kept[-1]), length - zero - 1)
    frequency = np.where(position <= last_positive, position, position - length)
    place = np.where((frequency >= kept[0]) & (frequency <= kept[-1]), frequency + zero, -1)
    return frequency.astype(np.int64), place.astype(np.int64)
