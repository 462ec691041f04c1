"""Noise reduction for recovered sounds: a high-pass filter and spectral subtraction.

Conventions: signals are ``(T,)`` float64 at `fps` samples per second, of any scale; the output
has the scale, length and phase of the input. Silence stays silence.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError


@dataclass(frozen=True)
class DenoiseSettings:
    """How to remove noise from a recovered sound.

    Attributes
    ----------
    cutoff_hz : float
        Cut-off of the high-pass filter in hertz; 0 leaves it out. Sway and lighting live below.
    order : int
        Order of the Butterworth filter, passed forwards and backwards.
    window_s : float
        Length of a frame of the short-time Fourier transform in seconds.
    noise_quantile : float
        The share of frames, the quietest by energy, from which the noise is measured, in (0, 1].
    over_subtraction : float
        How many times the noise power is subtracted; 0 leaves spectral subtraction out.
    floor : float
        Least amplitude gain, in [0, 1]: what is left of the noise, which masks musical tones.
    """

    cutoff_hz: float = 20.0
    order: int = 3
    window_s: float = 0.064
    noise_quantile: float = 0.2
    over_subtraction: float = 2.0
    floor: float = 0.1

    def __post_init__(self) -> None:
        checks = (
            ("cutoff_hz", self.cutoff_hz >= 0 and math.isfinite(self.cutoff_hz), "0 or more hertz"),
            ("order", 1 <= self.order <= 12, "an order from 1 to 12"),
            ("window_s", 0 < self.window_s < math.inf, "more than 0 seconds"),
            ("noise_quantile", 0 < self.noise_quantile <= 1, "a share above 0 and at most 1"),
            (
                "over_subtraction",
                0 <= self.over_subtraction < math.inf,
                "0 (no subtraction) or more, commonly 1 to 5",
            ),
            ("floor", 0 <= self.floor <= 1, "a gain from 0 to 1"),
        )
        for name, valid, allowed in checks:
            if not valid:
                raise VisualMicError(f"denoise {name} is {getattr(self, name)}: set {allowed}")


def butterworth_highpass(
    x: ArrayLike, fps: float, cutoff_hz: float, order: int = 3
) -> NDArray[np.float64]:
    """Remove what is slower than `cutoff_hz`, without delay.

    A Butterworth filter runs forwards and backwards (second-order sections), so its phase is zero
    and its attenuation at the cut-off is 6 dB.

    Parameters
    ----------
    x : array_like, (T,) or (T, channels)
        The signal; time is the first axis. One of fewer than 2 samples is all mean: zeros.
    fps : float
        Samples per second, in hertz.
    cutoff_hz : float
        Cut-off in hertz, below half of `fps`; 0 only removes the mean.
    order : int
        Order of the filter before it is doubled by the second pass.

    Returns
    -------
    ndarray, float64, the shape of `x`

    Raises
    ------
    VisualMicError
        If the cut-off is not between 0 and half of `fps`, or a sample is not finite.
    """
    signal = _finite(x)
    if not cutoff_hz >= 0 or not cutoff_hz < fps / 2:
        raise VisualMicError(
            f"a high-pass cut-off of {cutoff_hz:g} Hz does not fit a signal of {fps:g} samples per"
            f" second, which holds sound below {fps / 2:g} Hz: set a lower cut-off"
        )
    if len(signal) == 0:
        return signal
    centred = signal - signal.mean(axis=0)
    if cutoff_hz == 0 or len(signal) < 2:
        return centred
    # Slow to import, so only where a sound is filtered.
    import scipy.signal

    sections = scipy.signal.butter(order, cutoff_hz, "highpass", fs=fps, output="sos")
    # The filter rings for about two periods of its cut-off.
    padding = min(len(signal) - 1, math.ceil(2 * fps / cutoff_hz))
    extended = _extended(centred, padding)
    filtered = scipy.signal.sosfiltfilt(sections, extended, axis=0, padlen=0)
    return np.asarray(filtered[padding : padding + len(signal)], np.float64)


def spectral_subtraction(
    x: ArrayLike,
    fps: float,
    window_s: float = DenoiseSettings.window_s,
    noise_quantile: float = DenoiseSettings.noise_quantile,
    over_subtraction: float = DenoiseSettings.over_subtraction,
    floor: float = DenoiseSettings.floor,
) -> NDArray[np.float64]:
    r"""Subtract the power spectrum of the quiet frames from every frame, keeping the phase.

    Every bin :math:`X(t, f)` of the short-time Fourier transform is multiplied by the real gain

    .. math:: G(t, f) = \max\left(\sqrt{\max\left(1 - \alpha \frac{N(f)}{P(t, f)}, 0\right)},
              \beta\right)

    with the power :math:`P = |X|^2` smoothed over neighbouring frames, the noise power :math:`N`,
    the over-subtraction :math:`\alpha` and the floor :math:`\beta`. :math:`N` is the mean power of
    the quietest frames; where none is quiet (less than 3 dB below the mean), lines in it are taken
    for a held sound and left out of it.

    Parameters
    ----------
    x : array_like, (T,)
        The signal. One shorter than four windows is treated with a shorter window; one of fewer
        than 32 samples is returned as it is.
    fps : float
        Samples per second, in hertz.
    window_s, noise_quantile, over_subtraction, floor : float
        See :class:`DenoiseSettings`.

    Returns
    -------
    ndarray, float64, (T,)

    Raises
    ------
    VisualMicError
        If a setting is out of range or a sample is not finite.

    References
    ----------
    M. Berouti, R. Schwartz and J. Makhoul, "Enhancement of speech corrupted by acoustic noise",
    ICASSP 1979.
    """
    import scipy.ndimage
    import scipy.signal

    settings = DenoiseSettings(
        window_s=window_s,
        noise_quantile=noise_quantile,
        over_subtraction=over_subtraction,
        floor=floor,
    )
    signal = _finite(x)
    window = _window_samples(len(signal), fps, settings.window_s)
    if window == 0 or over_subtraction == 0 or not signal.any():
        return signal.copy()
    transform = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hann(window, sym=False), hop=window // 4, fs=fps
    )
    spectrum = transform.stft(signal)
    power = np.abs(spectrum) ** 2
    # A bin of noise alone has the exponential distribution: unsmoothed, one bin in seven passes
    # twice its mean and sings. Averaging over the frames that share samples steadies it.
    smooth = scipy.ndimage.uniform_filter1d(power, size=5, axis=1, mode="nearest")
    # Frames that hang over the ends hold less signal, not less noise.
    first = transform.lower_border_end[1]
    last = max(transform.upper_border_begin(len(signal))[1], first + 1)
    noise = _noise_power(power[:, first:last], noise_quantile)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = 1.0 - over_subtraction * noise / smooth
    gain = np.maximum(np.sqrt(np.maximum(np.nan_to_num(kept, neginf=0.0), 0.0)), floor)
    return np.asarray(transform.istft(spectrum * gain, k1=len(signal)), np.float64)


def denoise(
    x: ArrayLike, fps: float, settings: DenoiseSettings | None = None
) -> NDArray[np.float64]:
    """High-pass, then spectral subtraction, as `settings` say.

    Parameters
    ----------
    x : array_like, (T,)
        The recovered sound.
    fps : float
        Samples per second, in hertz.
    settings : DenoiseSettings, optional

    Returns
    -------
    ndarray, float64, (T,)
        At the scale of `x`, in phase with it.

    Raises
    ------
    VisualMicError
        If the cut-off does not fit the rate or a sample is not finite.

    Examples
    --------
    >>> denoise([0.0, 0.0, 0.0, 0.0], fps=1000.0)
    array([0., 0., 0., 0.])
    """
    settings = settings or DenoiseSettings()
    signal = _finite(x)
    if settings.cutoff_hz > 0:
        signal = butterworth_highpass(signal, fps, settings.cutoff_hz, settings.order)
    return spectral_subtraction(
        signal,
        fps,
        settings.window_s,
        settings.noise_quantile,
        settings.over_subtraction,
        settings.floor,
    )


def _extended(signal: NDArray[np.float64], padding: int) -> NDArray[np.float64]:
    """Continue a signal by `padding` samples either way: its trend straight on, the rest mirrored.

    Mirroring alone gives sway a kink, which the filter turns into a click; turning the signal about
    its end sample instead gives an oscillation a step.
    """

    def before(start: NDArray[np.float64]) -> NDArray[np.float64]:
        position = np.linspace(0.0, 1.0, len(start)).reshape(-1, *[1] * (start.ndim - 1))
        powers = np.concatenate([position.reshape(-1, 1) ** k for k in range(3)], axis=1)
        trend = np.linalg.lstsq(powers, start.reshape(len(start), -1), rcond=None)[0]
        rest = start - (powers @ trend).reshape(start.shape)
        straight = trend[0] - position[:0:-1].reshape(-1, 1) * trend[1]
        return np.asarray(straight.reshape(rest[1:].shape) + rest[:0:-1], np.float64)

    first, last = signal[: padding + 1], signal[::-1][: padding + 1]
    return np.concatenate([before(first), signal, before(last)[::-1]])


def _noise_power(power: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Mean power ``(F,)`` of the quietest frames of a power spectrogram ``(F, frames)``."""
    from scipy.ndimage import median_filter

    energy = power.sum(axis=0)
    quietest = np.argsort(energy, kind="stable")[: max(round(quantile * len(energy)), 1)]
    noise = power[:, quietest].mean(axis=1)
    if energy.mean() < 2.0 * energy[quietest].mean():
        # No frame is quiet, so lines in these frames may well be the sound itself, held: only
        # what is broad in frequency, as sensor noise is, counts as noise.
        width = max(len(noise) // 8, 5)
        noise = np.minimum(noise, 2.0 * median_filter(noise, width, mode="nearest"))
    return np.asarray(noise, np.float64)


def _finite(x: ArrayLike) -> NDArray[np.float64]:
    signal = np.asarray(x, np.float64)
    if not np.isfinite(signal).all():
        raise VisualMicError(
            "the signal holds samples that are not numbers: recover the sound again"
        )
    return signal


def _window_samples(length: int, fps: float, window_s: float) -> int:
    """Even window length for the transform, at least 8, or 0 where the signal is too short."""
    window = min(round(fps * window_s), length // 4) // 4 * 4
    return window if window >= 8 else 0
