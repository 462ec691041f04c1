"""The visual microphone of Davis et al. 2014, one pyrtools pyramid a frame: the plain reference.

It is written for its likeness to the paper, not for speed, and shares no code with the library but
the high-pass filter. Other benchmarks import it; run by itself it measures nothing.

References
----------
A. Davis, M. Rubinstein, N. Wadhwa, G. J. Mysore, F. Durand and W. T. Freeman, "The Visual
Microphone: Passive Recovery of Sound from Video", ACM Transactions on Graphics 33(4), 2014.
"""

import warnings
from collections.abc import Iterable

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike, NDArray
from pyrtools.pyramids import SteerablePyramidFreq
from visualmic.audio.denoise import butterworth_highpass


def davis_signals(
    frames: Iterable[ArrayLike], scales: int, orientations: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Measure the local motion signals of section 3.1.

    Parameters
    ----------
    frames : iterable of array_like, (H, W)
        Luma; the first is the reference.
    scales, orientations : int
        Of the complex steerable pyramid.

    Returns
    -------
    weighted : ndarray, float64, (T, scales * orientations)
        :math:`\Phi_i(t) = \sum_{x,y} A(t)^2 \varphi_v(t)`, finest scale first.
    energy : ndarray, float64, (T, scales * orientations)
        :math:`\sum_{x,y} A(t)^2`.
    """
    reference: list[NDArray[np.complex128]] = []
    weighted, energy = [], []
    for frame in frames:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Reconstruction will not be perfect")
            pyramid = SteerablePyramidFreq(
                np.asarray(frame, float), height=scales, order=orientations - 1, is_complex=True
            )
        subbands = [
            pyramid.pyr_coeffs[scale, band]
            for scale in range(scales)
            for band in range(orientations)
        ]
        if not reference:
            reference = subbands
        power = [np.abs(subband) ** 2 for subband in subbands]
        phase = [
            np.angle(subband * first.conj())
            for subband, first in zip(subbands, reference, strict=True)
        ]
        weighted.append([np.sum(a * v) for a, v in zip(power, phase, strict=True)])
        energy.append([np.sum(a) for a in power])
    return np.array(weighted), np.array(energy)


def combine_davis(
    weighted: NDArray[np.float64],
    fps: float,
    max_lag_s: float | None = None,
    highpass_hz: float = 20.0,
) -> NDArray[np.float64]:
    """Align the signals to the first one, add, high-pass and scale to [-1, 1] (sections 3.2, 3.3).

    Parameters
    ----------
    weighted : ndarray, float64, (T, C)
        What :func:`davis_signals` measured.
    fps : float
        Frames per second, in hertz.
    max_lag_s : float, optional
        Bound of the alignment in seconds; the paper has none.
    highpass_hz : float
        Cut-off of the Butterworth filter of order 3, in hertz.

    Returns
    -------
    ndarray, float64, (T,)
    """
    length = len(weighted)
    signals = weighted - weighted.mean(axis=0)
    most = length - 1 if max_lag_s is None else min(int(max_lag_s * fps), length - 1)
    total = np.zeros(length)
    for signal in signals.T:
        correlation = scipy.signal.correlate(signals[:, 0], signal)
        near = correlation[length - 1 - most : length + most]
        lag = int(np.argmax(near)) - most if near.any() else 0
        total += np.roll(signal, lag)
    sound = butterworth_highpass(total, fps, highpass_hz)
    peak = np.abs(sound).max()
    return sound / peak if peak > 0 else sound


def recover_davis(
    frames: Iterable[ArrayLike], fps: float, scales: int = 3, orientations: int = 2
) -> NDArray[np.float64]:
    """Recover the sound ``(T,)`` in [-1, 1] from frames ``(H, W)`` as the paper says.

    Parameters
    ----------
    frames : iterable of array_like, (H, W)
        Luma.
    fps : float
        Frames per second of real time, in hertz.
    scales, orientations : int
        Of the complex steerable pyramid.
    """
    weighted, _ = davis_signals(frames, scales, orientations)
    return combine_davis(weighted, fps)
