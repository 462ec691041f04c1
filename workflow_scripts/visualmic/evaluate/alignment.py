"""The one place where a recovered sound and its reference get the same rate, time and polarity.

A film knows neither when its microphone was started to a fraction of a frame, nor whether the
object moved towards the loudspeaker or away from it, nor how loud the sound was. Scores must not
depend on those, so both sounds are first brought to one rate and band, then the delay and the sign
are found together as the largest magnitude of the normalised cross-correlation.

Conventions: sounds are ``(N,)`` float64, rates are in hertz, time is in seconds. A positive lag
means that the recovered sound is late: ``recovered(t) ~ polarity * reference(t + offset - lag)``.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError

Signal = NDArray[np.float64]

LOWEST_HZ = 20.0
"""What is below is not heard: it is taken out of both sounds before they are compared."""

MAX_LAG_S = 0.25
"""Farthest that the recovered sound is looked for to either side of where it should be."""

LEAST_SAMPLES = 8
"""Fewer common samples than this say nothing."""

_PEAKS, _FINER = 4, 8
"""Peaks of the correlation that are refined, and the parts of a sample on which they are found."""

_TAPER = 0.05
"""Width of the low-pass edge below the common Nyquist frequency, as a part of that frequency."""


@dataclass(frozen=True)
class Aligned:
    """Two sounds at one rate, in time and in phase, over the time that both cover.

    Attributes
    ----------
    recovered : ndarray, float64, (N,)
        The recovered sound times `polarity`, band-limited, otherwise in its own unit.
    reference : ndarray, float64, (N,)
        The reference at the recovered sound's instants, band-limited, in its own unit.
    rate : float
        Samples per second of both, in hertz: the lower of the two rates given.
    lag_s : float
        How late the recovered sound is, in seconds, beyond the offset that was given.
    polarity : int
        +1 or -1: what `recovered` was multiplied by.
    correlation : float
        Normalised cross-correlation at that lag, 0 to 1.
    lag_at_limit : bool
        Whether the largest correlation lies at the farthest lag allowed: then the true lag is
        probably beyond.
    band_hz : tuple of float
        Lowest and highest frequency that both keep, in hertz.
    start_s : float
        Time of the first sample kept, in seconds since the start of the recovered sound.
    """

    recovered: Signal
    reference: Signal
    rate: float
    lag_s: float
    polarity: int
    correlation: float
    lag_at_limit: bool
    band_hz: tuple[float, float]
    start_s: float


def align(
    recovered: ArrayLike,
    rate: float,
    reference: ArrayLike,
    reference_rate: float,
    offset_s: float = 0.0,
    max_lag_s: float = MAX_LAG_S,
    lowest_hz: float = LOWEST_HZ,
) -> Aligned:
    r"""Bring a recovered sound and its reference to one rate, lag and polarity.

    Both sounds are resampled in the frequency domain to the lower of the two rates and keep the
    band that both hold. The lag is the argument of

    .. math:: \max_{|\tau| \le \tau_{max}}
        \frac{|\sum_t y(t) \, x(t - \tau)|}{\lVert y \rVert \lVert x(\cdot - \tau) \rVert}

    over the samples that overlap. Of sounds that reach up to half their rate whole samples may miss
    the peak by much: it is looked for on eighths of a sample, and the highest few are refined by
    maximising the band-limited cross-correlation itself (Newton steps on its spectrum). The sign of
    the sum is the polarity.

    Parameters
    ----------
    recovered : array_like, (M,)
        What a method heard, in any unit.
    rate : float
        Its samples per second, in hertz.
    reference : array_like, (K,)
        What was played, in any unit.
    reference_rate : float
        Its samples per second, in hertz.
    offset_s : float
        Time in the reference at which the film begins, in seconds.
    max_lag_s : float
        Largest lag to either side, in seconds; 0 leaves the sounds where they are.
    lowest_hz : float
        Lower edge of the band compared, in hertz; sounds too short to hold ten of its periods,
        and rates under four times it, keep everything but their mean.

    Returns
    -------
    Aligned

    Raises
    ------
    VisualMicError
        If a sound is not one row of finite numbers, a rate is not positive, or the two do not
        overlap in time.

    References
    ----------
    C. H. Knapp, G. C. Carter, "The generalized correlation method for estimation of time delay",
    IEEE Trans. ASSP 24 (1976).

    Examples
    --------
    >>> played = np.random.default_rng(0).standard_normal(2200)
    >>> heard = -0.01 * np.roll(played, 11)
    >>> found = align(heard, 2200, played, 2200)
    >>> found.polarity, round(1000 * found.lag_s, 3)
    (-1, 5.0)
    """
    sound = _checked(recovered, rate, "the recovered sound")
    truth = _checked(reference, reference_rate, "the reference")
    if not (math.isfinite(max_lag_s) and max_lag_s >= 0):
        raise VisualMicError(f"the largest lag is {max_lag_s:g} s; give a number, 0 or more")
    if not math.isfinite(offset_s):
        raise VisualMicError(f"the reference's offset is {offset_s:g} s; give a number of seconds")
    duration_s = (len(sound) / rate, len(truth) / reference_rate)
    # Else a wild offset would ask for as much memory.
    max_lag_s = min(max_lag_s, sum(duration_s))
    _require_overlap(
        min(duration_s[0], duration_s[1] - offset_s) - max(0.0, -offset_s) + max_lag_s,
        min(rate, reference_rate),
    )
    common = float(min(rate, reference_rate))
    if lowest_hz * min(duration_s) < 10 or common < 4 * lowest_hz:
        lowest_hz = 0.0
    band = (lowest_hz, common / 2 * (1 - _TAPER))

    heard = _resample(sound, rate, common, lowest_hz, 0.0)
    played = _resample(truth, reference_rate, common, lowest_hz, offset_s)
    peaks = _coarse_lags(heard, played, max_lag_s, common)
    found = _highest(heard, played, peaks) if max_lag_s > 0 else 0.0
    limit = max_lag_s * common
    lag = min(max(found, -limit), limit)
    advance_s = offset_s - lag / common
    if lag:
        played = _resample(truth, reference_rate, common, lowest_hz, advance_s)
    start = max(0, math.ceil(-advance_s * common - 1e-6))
    stop = min(len(heard), len(played))
    _require_overlap((stop - start) / common, common)
    heard, played = heard[start:stop], played[start:stop]
    product = float(heard @ played)
    polarity = -1 if product < 0 else 1
    power = math.sqrt(float(heard @ heard)) * math.sqrt(float(played @ played))
    return Aligned(
        recovered=polarity * heard,
        reference=played,
        rate=common,
        lag_s=lag / common,
        polarity=polarity,
        correlation=abs(product) / power if power > 0 else 0.0,
        lag_at_limit=max_lag_s > 0 and round(abs(found)) >= math.floor(limit),
        band_hz=band,
        start_s=start / common,
    )


def resample(signal: Signal, rate: float, new_rate: float) -> Signal:
    """Resample a sound in the frequency domain, any rate to any other.

    Parameters
    ----------
    signal : ndarray, float64, (N,)
        A sound.
    rate, new_rate : float
        Samples per second before and after, in hertz.

    Returns
    -------
    ndarray, float64, (M,)
        The same stretch of time; what is above 95 % of the lower Nyquist frequency fades out.
    """
    return _resample(signal, rate, new_rate, 0.0, 0.0)


def _checked(samples: ArrayLike, rate: float, what: str) -> Signal:
    signal = np.asarray(samples, dtype=np.float64)
    if signal.ndim != 1:
        raise VisualMicError(f"{what} has the shape {signal.shape}; give one channel, (N,)")
    if not (math.isfinite(rate) and rate > 0):
        raise VisualMicError(f"{what} has a rate of {rate:g} Hz; give one above 0")
    if signal.size < LEAST_SAMPLES:
        raise VisualMicError(
            f"{what} has {signal.size} samples; at least {LEAST_SAMPLES} are needed"
        )
    bad = signal.size - int(np.count_nonzero(np.isfinite(signal)))
    if bad:
        raise VisualMicError(
            f"{what} holds {bad} of {signal.size} samples that are not finite (NaN or infinite);"
            " make it again"
        )
    # A mean far above the sound would leave rounding noise where silence should be.
    signal = signal - signal.mean()
    peak = float(np.abs(signal).max())
    return signal if peak > 1e-300 else np.zeros_like(signal)


def _padded_lengths(samples: int, rate: float, new_rate: float) -> tuple[int, int]:
    """Lengths in and out of a Fourier resampling, whose ratio is the rates' to 1e-3 of a sample."""
    least = samples + math.ceil(0.1 * rate) + 16
    ratio = new_rate / rate
    exact = Fraction(ratio).limit_denominator(5000)
    if abs(float(exact) - ratio) * least < 1e-3:
        block = exact.denominator
        blocks = scipy.fft.next_fast_len(-(-least // block), real=True)
        return blocks * block, blocks * exact.numerator
    candidates = np.arange(least, least + 4000)
    lengths = candidates * ratio
    best = int(np.argmin(np.abs(lengths - np.round(lengths))))
    return int(candidates[best]), round(float(lengths[best]))


def _resample(
    signal: Signal, rate: float, new_rate: float, lowest_hz: float, advance_s: float
) -> Signal:
    """Sample `signal` at ``advance_s + n / new_rate``, band-limited to ``lowest_hz`` and up.

    Samples outside the signal are left out of the result's end but kept, as zeros, at its start,
    so that the first one stands for the time `advance_s`.
    """
    # Whole samples are skipped, not rotated, so that what is before the film is left out of it.
    skipped = math.floor(advance_s * rate)
    signal = signal[skipped:] if skipped > 0 else signal
    lead = -min(skipped, 0)
    if lead:
        signal = np.concatenate([np.zeros(lead), signal])
    remainder_s = advance_s - skipped / rate
    length, new_length = _padded_lengths(len(signal), rate, new_rate)
    spectrum = scipy.fft.rfft(signal, length)
    spectrum = spectrum[: new_length // 2 + 1]
    frequency = np.arange(len(spectrum)) * (rate / length)
    nyquist = min(rate, new_rate) / 2
    gain = np.clip((nyquist - frequency) / (_TAPER * nyquist), 0.0, 1.0)
    if lowest_hz > 0:
        gain *= np.clip((frequency / lowest_hz - 0.5) / 0.5, 0.0, 1.0)
    gain = 0.5 - 0.5 * np.cos(np.pi * gain)
    spectrum *= gain
    if abs(remainder_s) > 1e-15:
        spectrum *= np.exp(2j * np.pi * remainder_s * frequency)
    resampled = scipy.fft.irfft(spectrum, new_length) * (new_length / length)
    kept = math.floor((len(signal) / rate - remainder_s) * new_rate + 1e-6)
    return np.asarray(resampled[: max(kept, 1)])


def _coarse_lags(heard: Signal, played: Signal, max_lag_s: float, rate: float) -> list[float]:
    """Lags of the highest peaks of the normalised cross-correlation in magnitude, in samples."""
    limit = math.floor(max_lag_s * rate)
    lags = np.arange(-limit, limit + 1)
    starts = np.maximum(lags, 0)
    stops = np.minimum(len(heard), len(played) + lags)
    # Where little is left to compare, chance alone correlates well.
    overlap = stops - starts
    usable = overlap >= max(LEAST_SAMPLES, min(len(heard), len(played)) // 2)
    if not usable.any():
        return [0.0]
    cross = _cross_correlation(heard, played, limit)
    heard_power = np.concatenate([[0.0], np.cumsum(heard**2)])
    played_power = np.concatenate([[0.0], np.cumsum(played**2)])
    starts, stops = np.where(usable, starts, 0), np.where(usable, stops, 0)
    energy = (heard_power[stops] - heard_power[starts]) * (
        played_power[np.where(usable, stops - lags, 0)]
        - played_power[np.where(usable, starts - lags, 0)]
    )
    floor = 1e-12 * heard_power[-1] * played_power[-1]
    usable &= energy > floor
    if not usable.any():
        return [0.0]
    cross = np.where(usable, cross / np.sqrt(np.where(usable, energy, 1.0)), 0.0)
    score = np.abs(scipy.signal.resample_poly(cross, _FINER, 1)) if limit else np.abs(cross)
    places = (np.arange(len(score)) - limit * _FINER) / _FINER if limit else np.zeros(1)
    score[np.abs(places) > limit] = -1.0
    padded = np.pad(score, 1, constant_values=-1.0)
    peak = (score >= padded[:-2]) & (score >= padded[2:]) & (score > 0)
    # Of lags that are equal to rounding the smallest one is meant.
    order = np.lexsort((np.abs(places[peak]), -np.round(score[peak], 9)))
    return [float(place) for place in places[peak][order[:_PEAKS]]] or [0.0]


def _highest(heard: Signal, played: Signal, peaks: list[float]) -> float:
    """Give the lag of the highest peak, in samples; of equal ones the first."""
    refined = [_refine(heard, played, lag) for lag in peaks]
    best = max(correlation for _, correlation in refined)
    return next(lag for lag, correlation in refined if correlation >= best * (1 - 1e-9))


def _cross_correlation(heard: Signal, played: Signal, limit: int) -> Signal:
    """Sum of ``heard[n] * played[n - lag]`` for every lag from ``-limit`` to ``limit``.

    In blocks, because the lags are few and ten minutes at 48 kHz are long.
    """
    block = max(1 << 16, 8 * limit)
    total = np.zeros(2 * limit + 1)
    for start in range(0, len(heard), block):
        part = heard[start : start + block]
        first, last = start - limit, start + len(part) + limit
        if first >= len(played):
            break
        around = np.zeros(last - first)
        known = slice(max(first, 0), min(last, len(played)))
        around[known.start - first : known.stop - first] = played[known]
        length = scipy.fft.next_fast_len(len(around), real=True)
        product = scipy.fft.rfft(around, length) * np.conj(scipy.fft.rfft(part, length))
        total += scipy.fft.irfft(product, length)[: 2 * limit + 1][::-1]
    return total


def _refine(heard: Signal, played: Signal, lag: float) -> tuple[float, float]:
    """Lag near `lag` that maximises the band-limited correlation, and that in magnitude."""
    coarse = round(lag)
    start, stop = max(0, coarse), min(len(heard), len(played) + coarse)
    _require_overlap(stop - start, 1.0)
    late = heard[start:stop]
    early = played[start - coarse : stop - coarse]
    length = scipy.fft.next_fast_len(len(late) + 8, real=True)
    cross = scipy.fft.rfft(late, length) * np.conj(scipy.fft.rfft(early, length))
    cross[1 : (length + 1) // 2] *= 2
    cross /= max(length * float(np.linalg.norm(late) * np.linalg.norm(early)), 1e-300)
    omega = 2 * np.pi * np.arange(len(cross)) / length
    fine = lag - coarse
    value = float((cross * np.exp(1j * omega * fine)).real.sum())
    for _ in range(6):
        turned = cross * np.exp(1j * omega * fine)
        slope = float(-(omega * turned.imag).sum())
        bend = float(-(omega**2 * turned.real).sum())
        if bend * value >= 0 or abs(slope / bend) > 1 / _FINER:
            break
        fine -= slope / bend
        if abs(slope / bend) < 1e-7:
            break
    # A thousandth of a sample is below what any film can tell, and whole samples need no filter.
    fine = 0.0 if abs(fine) < 1e-3 else fine
    return coarse + fine, abs(float((cross * np.exp(1j * omega * fine)).real.sum()))


def _require_overlap(duration_s: float, rate: float) -> None:
    # Half a sample of grace for durations that are not whole numbers of samples.
    if duration_s * rate < LEAST_SAMPLES - 0.5:
        raise VisualMicError(
            "the recovered sound and its reference do not overlap in time: check the offset and"
            " the lengths of both"
        )
