r"""Metrics that compare two sounds sample by sample.

Conventions of every metric of this package: ``metric(reference, estimate, rate)`` takes two
aligned sounds ``(N,)`` at one rate in hertz (see :mod:`visualmic.evaluate.alignment`) and gives one
number. It neither shifts nor scales them: :mod:`visualmic.evaluate.scores` does, and says how.
Where a metric has no value - a silent reference, a sound that is too short, samples that are not
finite - it raises :class:`UndefinedMetric`, whose message is the reason. Metrics in decibels may
be plus or minus infinity: a perfect copy has no error to divide by.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError

Signal = NDArray[np.float64]

SILENT = 1e-20
"""Power under this part of the other sound's, or of 1, is rounding noise: the sound is silent."""


class UndefinedMetric(VisualMicError):
    """A metric has no value for these sounds; the message says why."""


def paired(
    reference: ArrayLike, estimate: ArrayLike, least: int = 2, silent_reference: bool = False
) -> tuple[Signal, Signal]:
    """Both sounds as float64, after checking that they can be compared.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    least : int
        Fewest samples that the metric needs.
    silent_reference : bool
        Whether the metric has a value for a silent reference.

    Returns
    -------
    reference, estimate : ndarray, float64, (N,)

    Raises
    ------
    UndefinedMetric
        If the lengths differ, there are too few samples, some are not finite, or the reference is
        silent.
    """
    truth = np.asarray(reference, dtype=np.float64)
    sound = np.asarray(estimate, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != sound.shape:
        raise UndefinedMetric(
            f"the sounds have the shapes {truth.shape} and {sound.shape}: align them first"
        )
    if truth.size < least:
        raise UndefinedMetric(f"too short: {truth.size} samples, at least {least} are needed")
    for name, samples in (("reference", truth), ("recovered sound", sound)):
        if not np.isfinite(samples).all():
            raise UndefinedMetric(f"the {name} holds samples that are not finite")
    if not silent_reference and not truth.any():
        raise UndefinedMetric("the reference is silent")
    return truth, sound


def decibels(power: float, of: float) -> float:
    """``10 log10(power / of)``, infinite where one of them is zero; minus where both are."""
    if power <= 0:
        return -math.inf
    return math.inf if of <= 0 else 10 * math.log10(power / of)


def rmse(reference: ArrayLike, estimate: ArrayLike, rate: float = 1.0) -> float:
    r"""Root of the mean squared error.

    .. math:: \sqrt{\tfrac{1}{N} \sum_t (x_t - y_t)^2}

    0 or more, in the sounds' unit. A perfect copy scores 0, silence the reference's own RMS.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Not used.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`paired`.

    Examples
    --------
    >>> rmse([1.0, -1.0, 1.0, -1.0], [0.5, -0.5, 0.5, -0.5])
    0.5
    """
    truth, sound = paired(reference, estimate)
    return math.sqrt(float(np.mean((truth - sound) ** 2)))


def mae(reference: ArrayLike, estimate: ArrayLike, rate: float = 1.0) -> float:
    r"""Mean absolute error.

    .. math:: \tfrac{1}{N} \sum_t |x_t - y_t|

    0 or more, in the sounds' unit. A perfect copy scores 0, silence the reference's mean absolute
    value.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Not used.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`paired`.

    Examples
    --------
    >>> mae([1.0, -1.0, 1.0, -1.0], [1.0, -1.0, 0.0, 0.0])
    0.5
    """
    truth, sound = paired(reference, estimate)
    return float(np.mean(np.abs(truth - sound)))


def pearson(reference: ArrayLike, estimate: ArrayLike, rate: float = 1.0) -> float:
    r"""Pearson's correlation coefficient.

    .. math:: \frac{\sum_t (x_t - \bar x)(y_t - \bar y)}
        {\sqrt{\sum_t (x_t - \bar x)^2 \sum_t (y_t - \bar y)^2}}

    -1 to 1. A perfect copy scores 1; silence scores 0 by convention, because it tells nothing of
    the reference.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Not used.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`paired`; also where the reference is constant.

    Examples
    --------
    >>> round(pearson([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0]), 12)
    1.0
    """
    truth, sound = paired(reference, estimate)
    mean_power = truth.mean() ** 2
    truth = truth - truth.mean()
    if float(np.mean(truth**2)) <= SILENT * mean_power:
        raise UndefinedMetric("the reference is constant")
    mean_power = sound.mean() ** 2
    sound = sound - sound.mean()
    if float(np.mean(sound**2)) <= SILENT * mean_power:
        return 0.0
    # Scaling each to its own peak keeps the products from underflowing.
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max()
    value = float(truth @ sound) / math.sqrt(float(truth @ truth) * float(sound @ sound))
    return min(max(value, -1.0), 1.0)


def si_sdr(reference: ArrayLike, estimate: ArrayLike, rate: float = 1.0) -> float:
    r"""Scale-invariant signal-to-distortion ratio, in dB.

    .. math:: 10 \log_{10} \frac{\lVert \alpha x \rVert^2}{\lVert \alpha x - y \rVert^2},
        \qquad \alpha = \frac{\langle x, y \rangle}{\lVert x \rVert^2}

    Any real number. A perfect copy at any gain scores plus infinity; silence, and anything
    orthogonal to the reference, minus infinity. It equals ``-10 log10(1 / c^2 - 1)`` where `c` is
    the cosine of the angle between the two sounds: a colouring of the sound counts as distortion.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds of zero mean.
    rate : float
        Not used.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`paired`.

    References
    ----------
    J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019.

    Examples
    --------
    >>> round(si_sdr([1.0, -1.0, 1.0, -1.0], [1.1, -0.9, 0.9, -1.1]), 6)
    20.0
    """
    truth, sound = paired(reference, estimate)
    if not sound.any():
        return -math.inf
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max()
    target = (float(truth @ sound) / float(truth @ truth)) * truth
    error = target - sound
    signal, noise = float(target @ target), float(error @ error)
    total = float(sound @ sound)
    if noise <= SILENT * total:
        return math.inf
    return -math.inf if signal <= SILENT * total else decibels(signal, noise)


def segmental_snr(
    reference: ArrayLike,
    estimate: ArrayLike,
    rate: float,
    frame_s: float = 0.03,
    limits_db: tuple[float, float] = (-10.0, 35.0),
) -> float:
    r"""Mean over short frames of the signal-to-noise ratio, in dB.

    .. math:: \frac{1}{M} \sum_m \min\Bigl(35, \max\Bigl(-10,
        10 \log_{10} \frac{\sum_{t \in m} w_t^2 x_t^2}{\sum_{t \in m} w_t^2 (x_t - y_t)^2}
        \Bigr)\Bigr)

    with Hann windows of 30 ms, three quarters overlapping. -10 to 35. A perfect copy scores 35,
    silence 0. Frames in which the reference is more than 60 dB under its loudest frame hold
    nothing to be heard and are left out; otherwise these are the conventions of Loizou's
    implementation.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds, the estimate at the gain it should have.
    rate : float
        Samples per second, in hertz.
    frame_s : float
        Length of a frame, in seconds; at least 8 samples are taken.
    limits_db : tuple of float
        Least and most that one frame may count, in dB.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`paired`; at least one frame is needed.

    References
    ----------
    J. H. L. Hansen, B. L. Pellom, "An effective quality evaluation protocol for speech enhancement
    algorithms", ICSLP 1998. P. C. Loizou, "Speech Enhancement: Theory and Practice", CRC 2007.

    Examples
    --------
    >>> tone = np.sin(np.arange(600.0))
    >>> round(segmental_snr(tone, 0.9 * tone, 2200.0), 6)
    20.0
    """
    length, hop = frame_grid(rate, frame_s)
    truth, sound = paired(reference, estimate, least=length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1))
    signal = np.concatenate([frames**2 @ window**2 for frames in framed(truth, length, hop)])
    noise = np.concatenate([frames**2 @ window**2 for frames in framed(truth - sound, length, hop)])
    audible = signal > 1e-6 * signal.max()
    with np.errstate(divide="ignore"):
        ratio = 10 * np.log10(signal[audible]) - 10 * np.log10(noise[audible])
    return float(np.mean(np.clip(ratio, *limits_db)))


def frame_grid(rate: float, frame_s: float = 0.03, least: int = 8) -> tuple[int, int]:
    """Give the samples in a short frame and from one to the next, three quarters overlapping."""
    length = max(round(frame_s * rate), least)
    return length, max(length // 4, 1)


def framed(signal: Signal, length: int, hop: int, block: int = 4096) -> Iterator[Signal]:
    """Yield the complete frames of a sound as views ``(<= block, length)``, in time order.

    Blocks bound the memory: the overlapping frames of ten minutes at 48 kHz would take a gigabyte.
    """
    frames = sliding_window_view(signal, length)[::hop]
    for start in range(0, len(frames), block):
        yield frames[start : start + block]
