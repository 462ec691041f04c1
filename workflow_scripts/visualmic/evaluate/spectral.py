"""Metrics of short-time spectra, of linear prediction, and of tones.

The conventions are those of :mod:`visualmic.evaluate.waveform`.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from visualmic.evaluate.waveform import (
    Signal,
    UndefinedMetric,
    frame_grid,
    framed,
    paired,
)


@dataclass(frozen=True)
class Tone:
    """The strongest tone of a sound.

    Attributes
    ----------
    frequency_hz : float
        Its frequency, in hertz.
    prominence_db : float
        Its height over the median of the amplitude spectrum, in dB.
    """

    frequency_hz: float
    prominence_db: float


def log_spectral_distance(
    reference: ArrayLike,
    estimate: ArrayLike,
    rate: float,
    frame_s: float = 0.03,
    floor_db: float = -60.0,
) -> float:
    r"""Mean over short frames of the distance between log spectra, in dB.

    .. math:: \frac{1}{M} \sum_m \sqrt{\frac{1}{F} \sum_f
        \bigl(L_x(m, f) - L_y(m, f)\bigr)^2}, \qquad
        L(m, f) = 10 \log_{10} \max\bigl(|S(m, f)|^2, P_{floor}\bigr)

    with Hann windows of 30 ms, three quarters overlapping, and both spectrograms floored 60 dB
    under the loudest point of the reference: what is below is not heard beside it, and digital
    zeros would count without bound. 0 or more. A perfect copy scores 0; silence scores how far the
    reference stands over the floor, typically 20 to 40 dB.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds of equal power.
    rate : float
        Samples per second, in hertz.
    frame_s : float
        Length of a frame, in seconds; at least 8 samples are taken.
    floor_db : float
        Where the spectra are floored, in dB of the reference's loudest point.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; at least one frame is needed.

    References
    ----------
    A. Gray, J. Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24 (1976).

    Examples
    --------
    >>> tone = np.sin(np.arange(600.0))
    >>> log_spectral_distance(tone, tone, 2200.0)
    0.0
    """
    length, hop = frame_grid(rate, frame_s)
    truth, sound = paired(reference, estimate, least=length)
    window = np.hanning(length + 1)[:-1]
    loudest = max(
        float((np.abs(scipy.fft.rfft(frames * window)) ** 2).max())
        for frames in framed(truth, length, hop)
    )
    floor = loudest * 10 ** (floor_db / 10)
    total, count = 0.0, 0
    for played, heard in zip(framed(truth, length, hop), framed(sound, length, hop), strict=True):
        levels = [
            np.log10(np.maximum(np.abs(scipy.fft.rfft(frames * window)) ** 2, floor))
            for frames in (played, heard)
        ]
        total += float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=1)).sum())
        count += len(played)
    return 10 * total / count


def log_likelihood_ratio(
    reference: ArrayLike, estimate: ArrayLike, rate: float, frame_s: float = 0.03
) -> float:
    r"""Mean over short frames of the log-likelihood ratio of their linear predictors.

    .. math:: \frac{1}{M} \sum_m \min\Bigl(2, \ln
        \frac{a_y^T R_x a_y}{a_x^T R_x a_x}\Bigr)

    where `a` are the coefficients of linear prediction of a frame and `R_x` is the autocorrelation
    matrix of the reference's frame. The order is 10 below 10 kHz and 16 above, and at most a
    quarter of the frame. The highest 5 % of the frames are left out, as in Loizou's
    implementation. 0 to 2, without unit; it does not see gain. A perfect copy scores 0; silence
    scores as a flat spectrum does, which depends on the reference.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz.
    frame_s : float
        Length of a frame, in seconds; at least 8 samples are taken.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; at least one frame is needed.

    References
    ----------
    F. Itakura, "Minimum prediction residual principle applied to speech recognition", IEEE Trans.
    ASSP 23 (1975). P. C. Loizou, "Speech Enhancement: Theory and Practice", CRC 2007.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(600)
    >>> round(log_likelihood_ratio(noise, 3 * noise, 2200.0), 12)
    0.0
    """
    length, hop = frame_grid(rate, frame_s)
    truth, sound = paired(reference, estimate, least=length)
    order = min(10 if rate < 10_000 else 16, length // 4)
    # One scale for both, so that the constant that keeps silent frames solvable is small in each.
    truth = truth / np.abs(truth).max()
    if sound.any():
        sound = sound / np.abs(sound).max()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1))
    ratios = []
    for played, heard in zip(framed(truth, length, hop), framed(sound, length, hop), strict=True):
        lags = _autocorrelation(played * window, order)
        own = _prediction_error(_linear_prediction(lags), lags)
        other = _prediction_error(_linear_prediction(_autocorrelation(heard * window, order)), lags)
        ratios.append(np.log(np.maximum(other / own, 1.0)))
    ratio = np.sort(np.minimum(np.concatenate(ratios), 2.0))
    return float(np.mean(ratio[: max(round(0.95 * len(ratio)), 1)]))


def _autocorrelation(frames: Signal, order: int) -> Signal:
    """Autocorrelation of each row at lags 0 to `order`, ``(M, order + 1)``."""
    size = scipy.fft.next_fast_len(frames.shape[1] + order, real=True)
    lags = scipy.fft.irfft(np.abs(scipy.fft.rfft(frames, size)) ** 2, size)[:, : order + 1]
    # Near silence rounding can make the matrix indefinite.
    lags[:, 0] = lags[:, 0] * (1 + 1e-9) + 1e-12
    return np.asarray(lags)


def _linear_prediction(lags: Signal) -> Signal:
    """Coefficients ``(M, order + 1)`` that begin with 1, by Levinson recursion on all rows."""
    order = lags.shape[1] - 1
    coefficients = np.zeros_like(lags)
    coefficients[:, 0] = 1.0
    error = lags[:, 0].copy()
    for step in range(1, order + 1):
        reflection = -(coefficients[:, :step] * lags[:, step:0:-1]).sum(axis=1) / error
        coefficients[:, 1 : step + 1] += (
            reflection[:, None] * coefficients[:, step - 1 :: -1][:, :step]
        )
        error *= 1 - reflection**2
    return coefficients


def _prediction_error(coefficients: Signal, lags: Signal) -> Signal:
    """``a^T R a`` of every row, with the Toeplitz matrix `R` of its autocorrelation."""
    order = lags.shape[1] - 1
    quadratic = lags[:, 0] * (coefficients**2).sum(axis=1)
    for lag in range(1, order + 1):
        overlap = (coefficients[:, lag:] * coefficients[:, :-lag]).sum(axis=1)
        quadratic += 2 * lags[:, lag] * overlap
    return quadratic


def strongest_tone(
    sound: ArrayLike, rate: float, low_hz: float = 20.0, high_hz: float | None = None
) -> Tone:
    r"""Frequency and prominence of the strongest tone in a band.

    The peak of the spectrum under a Hann window, found between the frequencies of the Fourier
    transform by parabolas through logarithms at ever closer points. The error of the frequency is
    under a hundredth of ``rate / N``. The prominence is the peak over the median of the amplitude
    spectrum from `low_hz` to the Nyquist frequency.

    Parameters
    ----------
    sound : array_like, (N,)
        A sound.
    rate : float
        Samples per second, in hertz.
    low_hz, high_hz : float
        Where the tone is looked for, in hertz; to the Nyquist frequency where not given.

    Returns
    -------
    Tone
        The prominence is infinite where the rest of the spectrum is zero.

    Raises
    ------
    UndefinedMetric
        If the sound is silent, not finite, shorter than two periods of `low_hz`, or the band is
        empty.

    Examples
    --------
    >>> time_s = np.arange(3000) / 1000
    >>> tone = strongest_tone(np.sin(2 * np.pi * 64.037 * time_s), 1000.0)
    >>> round(tone.frequency_hz, 3)
    64.037
    """
    samples = np.asarray(sound, dtype=np.float64)
    if samples.ndim != 1 or samples.size < 16 or samples.size / rate < 2 / low_hz:
        raise UndefinedMetric(
            f"too short for a tone of {low_hz:g} Hz: {samples.size} samples at {rate:g} Hz"
        )
    if not np.isfinite(samples).all():
        raise UndefinedMetric("the sound holds samples that are not finite")
    samples = samples - samples.mean()
    peak = float(np.abs(samples).max())
    if peak <= 1e-300:
        raise UndefinedMetric("the sound is silent")
    samples *= np.hanning(len(samples) + 1)[:-1] / peak
    spectrum = np.abs(scipy.fft.rfft(samples))
    step_hz = rate / len(samples)
    first = max(math.ceil(low_hz / step_hz), 1)
    top = rate / 2 if high_hz is None else min(high_hz, rate / 2)
    last = min(math.floor(top / step_hz), len(spectrum) - 2)
    if last < first:
        raise UndefinedMetric(
            f"no frequency from {low_hz:g} to {top:g} Hz at a rate of {rate:g} Hz"
        )
    place = float(first + int(np.argmax(spectrum[first : last + 1])))
    median = float(np.median(spectrum[first:]))
    # The parabola of a Hann peak is exact only near its top: come nearer in steps.
    for spacing in (1.0, 0.25, 0.05):
        heights = [_amplitude_at(samples, place + k * spacing) for k in (-1, 0, 1)]
        shift, height = _parabola_top(*heights)
        place += shift * spacing
    return Tone(
        frequency_hz=place * step_hz,
        prominence_db=20 * math.log10(height / median) if median > 0 else math.inf,
    )


def _amplitude_at(samples: Signal, place: float) -> float:
    """Magnitude of the Fourier transform between its bins, at bin `place`."""
    turn = -2j * np.pi * place / len(samples)
    total = 0j
    for start in range(0, len(samples), 1 << 20):
        part = samples[start : start + (1 << 20)]
        total += complex(part @ np.exp(turn * np.arange(start, start + len(part))))
    return abs(total)


def _parabola_top(low: float, middle: float, high: float) -> tuple[float, float]:
    """Place, within half a step, and height of the top of a parabola through three logarithms."""
    logs = [math.log(max(height, 1e-300)) for height in (low, middle, high)]
    bend = logs[0] - 2 * logs[1] + logs[2]
    shift = 0.5 * (logs[0] - logs[2]) / bend if bend < 0 else 0.0
    shift = min(max(shift, -0.5), 0.5)
    return shift, math.exp(logs[1] - 0.25 * (logs[0] - logs[2]) * shift)


def tone_frequency(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Frequency of the strongest tone of `estimate` above 20 Hz, in hertz.

    A perfect copy has the reference's; silence has none. See :func:`strongest_tone`.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds; only the second is looked at.
    rate : float
        Samples per second, in hertz.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`strongest_tone`.
    """
    return strongest_tone(estimate, rate).frequency_hz


def tone_prominence(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Height of the strongest tone of `estimate` over the median of its spectrum, in dB.

    0 or more. A perfect copy has the reference's; silence has none. See :func:`strongest_tone`.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds; only the second is looked at.
    rate : float
        Samples per second, in hertz.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`strongest_tone`.
    """
    return strongest_tone(estimate, rate).prominence_db
