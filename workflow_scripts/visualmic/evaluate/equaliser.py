r"""How much of a sound is there, however coloured: the SNR after the best short equaliser.

An object filmed is a resonator: it turns the sound into a strongly coloured copy, and a method
that combines its parts cannot know that colour. SI-SDR counts it as distortion, so it says what a
listener gets, but not how much of the sound has been *caught*. `info` gives the recovered sound
the best short filter first, fitted with the truth, and asks what is left: noise, and what the
resonances and the method have lost. It tells a method that hears badly from one that only
colours, and it can be set against a bound from the noise of the film itself.
"""

import math

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from visualmic.evaluate.waveform import SILENT, Signal, UndefinedMetric, decibels, paired

INFO_TAPS = 64
"""Taps of the equaliser: 29 ms at 2200 Hz."""

_RIDGE = 1e-12
"""Added to the diagonal, as a part of it: bands that are empty leave the equations singular."""


def best_equaliser(reference: Signal, estimate: Signal, taps: int = INFO_TAPS) -> Signal:
    r"""Fit the FIR filter that brings `estimate` nearest to `reference` in least squares.

    .. math:: \min_h \sum_t \Bigl(x_t - \sum_{k=0}^{K-1} h_k \, y_{t + K/2 - k}\Bigr)^2

    over the ``N - K + 1`` instants at which all samples of the sum exist. The normal equations are
    those of the autocorrelation, which is Toeplitz and comes from one Fourier transform, less what
    the first and the last ``K - 1`` samples add to it: exact, without the ``(N, K)`` matrix.

    Parameters
    ----------
    reference, estimate : ndarray, float64, (N,)
        Two aligned sounds, ``N`` at least ``3 K``.
    taps : int
        Length `K` of the filter; it looks ``K // 2`` samples ahead, the rest behind.

    Returns
    -------
    ndarray, float64, (taps,)
    """
    ahead = taps // 2
    samples = len(estimate)
    target = np.zeros(samples)
    target[taps - 1 :] = reference[taps - 1 - ahead : samples - ahead]
    length = scipy.fft.next_fast_len(samples + taps, real=True)
    spectrum = scipy.fft.rfft(estimate, length)
    auto = scipy.fft.irfft(np.abs(spectrum) ** 2, length)[:taps]
    cross = scipy.fft.irfft(scipy.fft.rfft(target, length) * np.conj(spectrum), length)[:taps]
    normal = scipy.linalg.toeplitz(auto)
    edge = np.zeros(taps - 1)
    for end in (
        np.concatenate([edge, estimate[: taps - 1]]),
        np.concatenate([estimate[samples - taps + 1 :], edge]),
    ):
        if taps > 1:
            rows = sliding_window_view(end, taps)[:, ::-1]
            normal -= rows.T @ rows
    normal[np.diag_indices(taps)] += _RIDGE * auto[0]
    return np.asarray(scipy.linalg.solve(normal, cross, assume_a="sym"))


def best_delay(reference: Signal, estimate: Signal, taps: int = INFO_TAPS) -> int:
    """Find where the equaliser's taps do most, besides around the instant itself.

    A resonator answers late, and the delay with the largest correlation, which alignment finds, is
    not always the middle of what undoes it: after strong resonances a filter around it can miss
    several decibels. All positions within half the filter's length are tried, each with
    its own least-squares filter; their normal equations share one matrix.

    Parameters
    ----------
    reference, estimate : ndarray, float64, (N,)
        Two aligned sounds.
    taps : int
        Length `K` of the filter.

    Returns
    -------
    int
        How many samples to advance `estimate`; 0 unless another position explains more.
    """
    most = max(min(taps // 2, len(estimate) - 3 * taps), 0)
    length = scipy.fft.next_fast_len(len(estimate) + 2 * taps, real=True)
    spectrum = scipy.fft.rfft(estimate, length)
    auto = scipy.fft.irfft(np.abs(spectrum) ** 2, length)[:taps]
    cross = scipy.fft.irfft(scipy.fft.rfft(reference, length) * np.conj(spectrum), length)
    auto[0] *= 1 + 1e-9
    delays = np.arange(-most, most + 1)
    sides = cross[np.arange(taps)[:, None] - taps // 2 - delays]
    explained = (sides * scipy.linalg.solve_toeplitz(auto, sides)).sum(axis=0)
    best = int(delays[np.argmax(explained)])
    return best if explained.max() > (1 + 1e-6) * explained[most] else 0


def equalised(estimate: Signal, equaliser: Signal) -> Signal:
    """Apply what :func:`best_equaliser` gave where all its taps meet the sound.

    Parameters
    ----------
    estimate : ndarray, float64, (N,)
        A sound.
    equaliser : ndarray, float64, (K,)
        The filter.

    Returns
    -------
    ndarray, float64, (N - K + 1,)
        The filtered sound; its first sample stands for sample ``K - 1 - K // 2`` of the sound.
    """
    fast = scipy.fft.next_fast_len(len(estimate) + len(equaliser) - 1, real=True)
    product = scipy.fft.rfft(estimate, fast) * scipy.fft.rfft(equaliser, fast)
    return np.asarray(scipy.fft.irfft(product, fast)[len(equaliser) - 1 : len(estimate)])


def info(
    reference: ArrayLike, estimate: ArrayLike, rate: float = 1.0, taps: int = INFO_TAPS
) -> float:
    r"""Signal-to-noise ratio after the best equaliser of 64 taps, in dB.

    .. math:: 10 \log_{10} \frac{\lVert x \rVert^2 / M}{\lVert x - h * y \rVert^2 / (M - K)}

    with `h` of `K` taps from :func:`best_equaliser`, over the `M` instants of its fit, its taps
    where they do most (:func:`best_delay`). The filter is fitted with the truth, so that even pure
    noise would explain ``K / M`` of the reference; dividing the error by the ``M - K`` degrees of
    freedom that are left takes this optimism out for white sounds. For sounds that fill a part `b`
    of the band it takes out only that part of it: the truth has ``b M`` degrees of freedom, and
    what is left is under ``4.3 K (1 - b) / (b M)`` dB (0.04 dB for ten seconds at 2200 Hz that fill
    a quarter). The `chance` column of the scores measures it.

    About 0 or more. Silence and unrelated noise score about 0; a perfect copy, or one through a
    filter that 64 taps undo, scores infinity or, for rounding, far over 100 dB.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Not used: the equaliser is counted in taps.
    taps : int
        Length of the equaliser.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; at least three samples a tap are needed.

    References
    ----------
    N. Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series", MIT 1949.

    Examples
    --------
    >>> played = np.random.default_rng(0).standard_normal(4400)
    >>> coloured = np.convolve(played, [1.0, 0.9], "same")
    >>> print(f"{info(played, coloured):.0f} dB")
    62 dB
    """
    if taps < 1:
        raise UndefinedMetric(f"an equaliser of {taps} taps; give 1 or more")
    truth, sound = paired(reference, estimate, least=3 * taps)
    if not sound.any():
        return 0.0
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max()
    delay = best_delay(truth, sound, taps)
    truth = truth[max(-delay, 0) : len(truth) - max(delay, 0)]
    sound = sound[max(delay, 0) : len(sound) - max(-delay, 0)]
    equaliser = best_equaliser(truth, sound, taps)
    first = taps - 1 - taps // 2
    truth = truth[first : first + len(truth) - taps + 1]
    if not truth.any():
        raise UndefinedMetric("the reference is silent but for its ends")
    residual = truth - equalised(sound, equaliser)
    signal = float(truth @ truth) / len(truth)
    noise = float(residual @ residual) / (len(truth) - taps)
    return math.inf if noise <= SILENT * signal else decibels(signal, noise)
