r"""The noise-free reference image of a film, and what each of its pixels tells about motion.

A frame is modelled as the reference, displaced by a small :math:`d`, under a lamp whose gain and
offset wander, plus noise whose variance may grow with the light (shot noise):

.. math:: I_t(x) = (1 + \gamma_t) I_0(x - d_t) + o_t + n_t(x),
          \qquad \operatorname{var} n(x) = a + b\,I_0(x).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""Real numbers, in single precision where there are many and double where they are summed."""

_HALF_TAPS = 6
_KAISER_BETA = 7.0
ROUNDING = 1 / 12
"""Variance of rounding to whole grey levels: no 8-bit film is known better."""


def interpolation_taps(fraction: float) -> tuple[Floats, Floats]:
    r"""Taps that delay a sampled signal by a fraction of a sample, and the taps of its derivative.

    Parameters
    ----------
    fraction : float
        Shift in samples, from -0.5 to 0.5; a positive shift moves the content to larger indices.

    Returns
    -------
    delay, derivative : ndarray, float32, (13,)
        Correlation kernels for samples ``-6 ... 6``. The interpolant is
        :math:`h(u) = \operatorname{sinc}(u)\,w(u)` with a Kaiser window `w`; linear interpolation
        as in ``cv2.remap`` would round positions to 1/32 px.
    """
    position = np.arange(-_HALF_TAPS, _HALF_TAPS + 1, dtype=np.float64)
    step = 1e-4

    def kernel(offset: float) -> NDArray[np.float64]:
        u = -position - offset
        inside = np.clip(1.0 - (u / (_HALF_TAPS + 1.0)) ** 2, 0.0, None)
        return np.sinc(u) * np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)

    delay = kernel(fraction)
    # d/dx I(x - f) is minus the derivative with respect to the shift.
    derivative = -(kernel(fraction + step) - kernel(fraction - step)) / (2 * step)
    delay /= delay.sum()
    derivative -= derivative.mean()
    derivative /= (derivative * position).sum()
    return delay.astype(np.float32), derivative.astype(np.float32)


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
