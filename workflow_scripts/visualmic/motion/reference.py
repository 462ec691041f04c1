r"""The noise-free reference image of a film, and what each of its pixels tells about motion.

A frame is modelled as the reference, displaced by a small :math:`d`, under a lamp whose gain and
offset wander, plus noise whose variance may grow with the light (shot noise):

.. math:: I_t(x) = (1 + \gamma_t) I_0(x - d_t) + o_t + n_t(x),
          \qquad \operatorname{var} n(x) = a + b\,I_0(x).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""Real numbers, in single precision where there are many and double where they are summed."""

_HALF_TAPS = 8
# Pictures hold little above this frequency, in radians a pixel, and less the higher it is.
_BAND = 2.3
_BEYOND_WEIGHT = 1e-4
_LEAST_FREQUENCY = 0.05
ROUNDING = 1 / 12
"""Variance of rounding to whole grey levels: no 8-bit film is known better."""


@cache
def _fit_of_taps() -> tuple[Floats, Floats, Floats]:
    """Frequencies (N,), and the least-squares operator from a response to taps, (17, 2 N + 2)."""
    position = np.arange(-_HALF_TAPS, _HALF_TAPS + 1, dtype=np.float64)
    frequency = (np.arange(500) + 0.5) / 500 * np.pi
    weight = np.where(frequency <= _BAND, 1.0, _BEYOND_WEIGHT)
    weight = np.sqrt(weight) / np.maximum(frequency, _LEAST_FREQUENCY)
    waves = weight[:, None] * np.exp(1j * frequency[:, None] * position)
    waves = np.concatenate([waves.real, waves.imag])
    # Level and slope of a picture are kept to the last digit.
    exact = np.stack([np.ones_like(position), position])
    normal = np.block([[waves.T @ waves, exact.T], [exact, np.zeros((2, 2))]])
    operator = np.linalg.inv(normal)[: len(position)]
    operator = np.concatenate([operator[:, :-2] @ waves.T, operator[:, -2:]], axis=1)
    return frequency, weight, operator


@cache
def interpolation_taps(fraction: float) -> tuple[Floats, Floats]:
    r"""Taps that delay a sampled signal by a fraction of a sample, and the taps of its derivative.

    Parameters
    ----------
    fraction : float
        Shift in samples, from -0.5 to 0.5; a positive shift moves the content to larger indices.

    Returns
    -------
    delay, derivative : ndarray, float32, (17,)
        Correlation kernels for samples ``-8 ... 8`` with the responses
        :math:`e^{-i \omega f}` and :math:`i \omega e^{-i \omega f}`, by least squares in the band
        of pictures, where they keep to them within a thousandth: an error of the derivative is
        one of all motion. Linear interpolation as in ``cv2.remap`` would round positions to
        1/32 px.
    """
    frequency, weight, operator = _fit_of_taps()
    response = weight * np.exp(-1j * frequency * fraction)

    def taps(wanted: NDArray[np.complex128], level: float, slope: float) -> Floats:
        target = np.concatenate([wanted.real, wanted.imag, [level, slope]])
        return (operator @ target).astype(np.float32)

    return taps(response, 1.0, -fraction), taps(1j * frequency * response, 0.0, 1.0)


def shifted(image: Floats, shift_x: float, shift_y: float) -> Floats:
    """Displace an image (H, W) by a fraction of a pixel, each from -0.5 to 0.5."""
    import cv2

    delay_x, delay_y = interpolation_taps(shift_x)[0], interpolation_taps(shift_y)[0]
    return np.asarray(
        cv2.sepFilter2D(image, cv2.CV_32F, delay_x, delay_y, borderType=cv2.BORDER_REFLECT)
    )


def shifted_with_gradient(
    image: Floats, shift_x: float, shift_y: float
) -> tuple[Floats, Floats, Floats]:
    """Displace an image by a fraction of a pixel and give its gradient there.

    Parameters
    ----------
    image : ndarray, float32, (H, W)
        Luma in grey levels.
    shift_x, shift_y : float
        Displacement of the content in pixels, each from -0.5 to 0.5.

    Returns
    -------
    shifted, gradient_x, gradient_y : ndarray, float32, (H, W)
        The displaced image, and its gradient in grey levels per pixel.
    """
    import cv2

    delay_x, slope_x = interpolation_taps(shift_x)
    delay_y, slope_y = interpolation_taps(shift_y)

    def filtered(kernel_x: Floats, kernel_y: Floats) -> Floats:
        return np.asarray(
            cv2.sepFilter2D(image, cv2.CV_32F, kernel_x, kernel_y, borderType=cv2.BORDER_REFLECT)
        )

    if shift_x == 0.0 and shift_y == 0.0:
        unit = np.ones(1, np.float32)
        return image, filtered(slope_x, unit), filtered(unit, slope_y)
    return filtered(delay_x, delay_y), filtered(slope_x, delay_y), filtered(delay_x, slope_y)


@dataclass(frozen=True)
class NoiseModel:
    r"""Variance of a pixel's noise as a function of its brightness.

    Attributes
    ----------
    read : float
        Variance at black, :math:`a`, in grey levels squared.
    shot : float
        Growth of the variance per grey level, :math:`b`, in grey levels.
    """

    read: float
    shot: float

    def variance(self, image: Floats) -> Floats:
        """Noise variance of every pixel of `image`, in grey levels squared."""
        return np.maximum(self.read + self.shot * image, ROUNDING).astype(np.float32)


def fit_noise_model(intensity: Floats, variance: Floats, bins: int = 16) -> NoiseModel:
    """Fit a noise model to the temporal variance of many pixels.

    Parameters
    ----------
    intensity, variance : ndarray, (N,)
        Mean luma and temporal noise variance of each pixel.
    bins : int
        Pixels are grouped into this many brightness quantiles, and each group's mean is fitted:
        single variances are far from Gaussian.

    Returns
    -------
    NoiseModel
        With a non-negative slope, and a variance that never falls below a fifth of the mean.
    """
    if intensity.size < 4 * bins:
        return NoiseModel(max(float(variance.mean()) if variance.size else 1.0, ROUNDING), 0.0)
    order = np.argsort(intensity, kind="stable")
    groups = np.array_split(order, bins)
    x = np.array([intensity[group].mean() for group in groups], np.float64)
    y = np.array([variance[group].mean() for group in groups], np.float64)
    level = max(float(y.mean()), ROUNDING)
    if np.ptp(x) < 8.0:
        return NoiseModel(level, 0.0)
    weight = 1.0 / np.maximum(y, 0.2 * level)
    slope, read = np.polyfit(x, y, 1, w=weight)
    scatter = float(np.std(y - np.polyval([slope, read], x)))
    # A slope that the scatter of the groups explains is no shot noise.
    if slope * np.ptp(x) < 2.0 * scatter:
        return NoiseModel(level, 0.0)
    return NoiseModel(float(max(read, 0.2 * level - slope * x.min())), float(slope))


def unusable_pixels(image: Floats, temporal_variance: Floats) -> NDArray[np.bool_]:
    """Pixels that carry no motion: clipped at black or white, or stuck at one value.

    Parameters
    ----------
    image, temporal_variance : ndarray, float32, (H, W)
        Mean and variance of each pixel over the first frames.

    Returns
    -------
    ndarray, bool, (H, W)
    """
    clipped = (image >= 253.5) | (image <= 0.5)
    stuck = (temporal_variance == 0) & (float(np.median(temporal_variance)) > 0.05)
    return clipped | stuck
