"""The cost of a modal model and its gradient, which a search asks for thousands of times.

Compiled by numba on first use and kept in its cache.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LEAST_ABOVE = 1e-3

Array = NDArray[np.floating[Any]]


@njit(nogil=True, fastmath=True, cache=True)
def modal_cost(
    packed: Array,
    count: int,
    frequency: Array,
    covariance: NDArray[np.complexfloating[Any]],
    weight: Array,
    heard: Array,
    trend: Array,
    expected: Array,
    most_doubt: float,
    gradient: Array,
) -> float:
    """Give minus the logarithm of the likelihood, with the roughness of the sound's power.

    Parameters
    ----------
    packed : ndarray, float64, (2 * M + K * M,)
        Logarithms of resonance and damping of the modes, and their shapes (K, M).
    count : int
        Modes, M.
    frequency, weight, heard : ndarray, float64, (F,)
        Frequencies in hertz, what each counts, and how much its power counts in the roughness.
    covariance : ndarray, complex128, (F, K, K)
    trend : ndarray, float64, (F, P)
        Smooth functions of frequency, orthonormal under `heard`.
    expected : ndarray, float64, (F,) or (0,)
        Logarithm of the response's power that is expected: the modes' deviation from it is then
        what is to be smooth, not the sound's power.
    most_doubt : float
        Roughness beyond which its cost grows ever slower, as for a heavy-tailed distribution.
    gradient : ndarray, float64, (2 * M + K * M,)
        Receives the derivatives of the cost.

    Returns
    -------
    float
        The cost.
    """
    bins, channels = covariance.shape[0], covariance.shape[1]
    transfer = np.empty((bins, count), np.complex128)
    slope_f = np.empty((bins, count), np.complex128)
    slope_d = np.empty((bins, count), np.complex128)
    pattern = np.empty((bins, channels), np.complex128)
    image = np.empty((bins, channels), np.complex128)
    size = np.empty(bins)
    power = np.empty(bins)
    level = np.empty(bins)
    value = 0.0
    resonance = np.exp(-packed[:count])
    damping = np.exp(packed[count : 2 * count])
    for f in range(bins):
        for m in range(count):
            ratio = frequency[f] * resonance[m]
            square = ratio * ratio
            damped = 2.0 * damping[m] * ratio
            real = 1.0 - square
            below = 1.0 / (real * real + damped * damped)
            one = complex(real * below, -damped * below)
            transfer[f, m] = one
            slope_f[f, m] = one * one * complex(-2.0 * square, damped)
            slope_d[f, m] = one * one * complex(0.0, -damped)
        for k in range(channels):
            total = 0.0j
            for m in range(count):
                total += transfer[f, m] * packed[2 * count + k * count + m]
            pattern[f, k] = total
        length = 1e-30
        across = 0.0
        for k in range(channels):
            total = 0.0j
            for j in range(channels):
                total += covariance[f, k, j] * pattern[f, j]
            image[f, k] = total
            one = pattern[f, k]
            length += one.real * one.real + one.imag * one.imag
            across += one.real * total.real + one.imag * total.imag
        size[f] = length
        power[f] = across / length
        if len(expected) > 0:
            level[f] = expected[f] - np.log(length)
        else:
            level[f] = np.log(max(power[f] - 1.0, _LEAST_ABOVE)) - np.log(length)
        if power[f] > 1.0:
            value += weight[f] * (power[f] - 1.0 - np.log(power[f]))
    along = np.zeros(trend.shape[1])
    for f in range(bins):
        for p in range(trend.shape[1]):
            along[p] += trend[f, p] * heard[f] * level[f]
    gradient[:] = 0.0
    roughness = 0.0
    for f in range(bins):
        for p in range(trend.shape[1]):
            level[f] -= trend[f, p] * along[p]
        roughness += heard[f] * level[f] * level[f]
    value -= most_doubt * np.log1p(roughness / most_doubt)
    share = 1.0 / (1.0 + roughness / most_doubt)
    for f in range(bins):
        pull = 2.0 * share * heard[f] * level[f]
        slope = weight[f] * (1.0 - 1.0 / power[f]) if power[f] > 1.0 else 0.0
        if len(expected) == 0 and power[f] - 1.0 > _LEAST_ABOVE:
            slope -= pull / (power[f] - 1.0)
        for k in range(channels):
            uphill = slope * (image[f, k] - power[f] * pattern[f, k]) + pull * pattern[f, k]
            uphill /= size[f]
            for m in range(count):
                shape = packed[2 * count + k * count + m]
                own = transfer[f, m]
                gradient[2 * count + k * count + m] -= 2.0 * (
                    uphill.real * own.real + uphill.imag * own.imag
                )
                own = slope_f[f, m]
                gradient[m] -= 2.0 * shape * (uphill.real * own.real + uphill.imag * own.imag)
                own = slope_d[f, m]
                gradient[count + m] -= (
                    2.0 * shape * (uphill.real * own.real + uphill.imag * own.imag)
                )
    return -value
