"""When each frame was taken: a constant rate, or the times that the container gives.

Containers round timestamps to a tick (Matroska to a millisecond, which is longer than a frame at
2200 frames per second), so a rate is constant when a straight line passes within that rounding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError

JITTER_OF_A_FRAME = 0.01
"""Timing error, as a part of the frame interval, that is still called a constant rate.

At the highest frequency that a film can hold, an error of one hundredth of a frame turns the
phase by 0.03 rad: noise 30 dB below the sound at that frequency, and lower below it.
"""


@dataclass(frozen=True)
class FrameTiming:
    """Rate and times of the frames as the container tells them.

    Attributes
    ----------
    fps : float
        Mean number of frames per second of container time.
    variable : bool
        Whether the interval between frames changes by more than rounding explains.
    start_s : float
        Container time of the first frame, in seconds.
    elapsed_s : ndarray, float64, (T,)
        Container time since the first frame, in seconds; exactly ``k / fps`` where not variable.
    """

    fps: float
    variable: bool
    start_s: float
    elapsed_s: NDArray[np.float64]


def fit_timing(ticks: ArrayLike, tick_s: float, nominal_fps: float | None = None) -> FrameTiming:
    """Find the frame rate behind timestamps that a container has rounded.

    Parameters
    ----------
    ticks : array_like, int64, (T,)
        Timestamps of the frames in display order, in ticks.
    tick_s : float
        Length of a tick in seconds.
    nominal_fps : float, optional
        Rate that the container's header states, in hertz.

    Returns
    -------
    FrameTiming
        Constant when a line through the timestamps leaves at most rounding or
        `JITTER_OF_A_FRAME`. The rate is then the plainest that explains the timestamps: the
        header's, the roundest whole number, or one times 1000/1001; else that of the line.

    Examples
    --------
    >>> milliseconds = np.round(np.arange(1000) / 2.2)
    >>> timing = fit_timing(milliseconds, 1e-3)
    >>> timing.fps, timing.variable
    (2200.0, False)
    """
    stamps = np.asarray(ticks, dtype=np.float64)
    count = stamps.size
    index = np.arange(count, dtype=np.float64)
    span = stamps[-1] - stamps[0] if count > 1 else 0.0
    if span <= 0:
        fps = nominal_fps or 1.0
        return FrameTiming(fps, False, float(stamps[0] * tick_s), index / fps)
    interval = _slope(stamps)
    fitted = 1.0 / (interval * tick_s)
    start_s = float(stamps[0] * tick_s)
    for fps in _plain_rates(fitted, nominal_fps):
        if _half_range(stamps - index / (fps * tick_s)) <= 0.51:
            return FrameTiming(fps, False, start_s, index / fps)
    residual = _half_range(stamps - index * interval)
    if residual <= max(0.76, JITTER_OF_A_FRAME * interval):
        return FrameTiming(fitted, False, start_s, index / fitted)
    mean_fps = (count - 1) / (span * tick_s)
    return FrameTiming(mean_fps, True, start_s, (stamps - stamps[0]) * tick_s)


def uniform_time(
    signal: ArrayLike, time_s: ArrayLike, fps: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Resample a signal from the times its frames were taken at to evenly spaced times.

    Uses a cubic spline through the samples. Where frames are missing for longer than a few
    intervals nothing can be known, and the spline only bridges the gap smoothly.

    Parameters
    ----------
    signal : array_like, (T,) or (T, channels)
        One sample a frame.
    time_s : array_like, (T,)
        Time of each frame in seconds. Frames with the time of an earlier one are left out.
    fps : float
        Wished rate in hertz.

    Returns
    -------
    resampled : ndarray, float64, (N,) or (N, channels)
        Signal at the new times.
    time_s : ndarray, float64, (N,)
        ``time_s[0] + k / fps``, up to the last frame.

    Raises
    ------
    VisualMicError
        If the lengths differ or fewer than four frames have a time of their own.

    Examples
    --------
    >>> time = np.cumsum(np.tile([0.9, 1.1], 50)) / 100
    >>> even, even_time = uniform_time(np.sin(2 * np.pi * 5 * time), time, 100.0)
    >>> bool(np.max(np.abs(even - np.sin(2 * np.pi * 5 * even_time))) < 1e-3)
    True
    """
    from scipy.interpolate import CubicSpline

    samples = np.asarray(signal, dtype=np.float64)
    times = np.asarray(time_s, dtype=np.float64)
    if samples.shape[0] != times.size:
        raise VisualMicError(
            f"the signal has {samples.shape[0]} samples for {times.size} frame times; make both"
            " from the same film"
        )
    later = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    if np.count_nonzero(later) < 4:
        raise VisualMicError("fewer than 4 frames have a time of their own; give the rate by --fps")
    spline = CubicSpline(times[later], samples[later])
    steps = int(np.floor((times[later][-1] - times[0]) * fps + 1e-6)) + 1
    even = times[0] + np.arange(steps) / fps
    return np.asarray(spline(even)), even


def _slope(stamps: NDArray[np.float64]) -> float:
    """Slope of the least-squares line through `stamps` over their index."""
    centred = np.arange(stamps.size, dtype=np.float64) - (stamps.size - 1) / 2
    return float(np.dot(centred, stamps - stamps.mean()) / np.dot(centred, centred))


def _half_range(values: NDArray[np.float64]) -> float:
    return float(values.max() - values.min()) / 2


def _plain_rates(fitted: float, nominal: float | None) -> list[float]:
    """Rates near the fitted one, plainest first; those that agree with the header before all."""
    whole = float(round(fitted))
    rates = [round(fitted, -2), round(fitted, -1), whole, round(fitted * 1.001) * 1000 / 1001]
    if nominal is not None:
        rates = sorted(rates, key=lambda rate: abs(rate - nominal) > 0.006)  # stated to 0.01
        rates.append(nominal)
    return [rate for rate in rates if rate > 0 and abs(rate / fitted - 1) < 0.01]
