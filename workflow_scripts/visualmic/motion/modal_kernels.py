"""The cost of a modal model and its gradient, which a search asks for thousands of times.

Also the random walk that asks for the cost alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import Held, compiled

_LEAST_ABOVE = 1e-3
# Logarithm of the damping: its mean, and its spread.
TYPICAL_DAMPING, DAMPING_SPREAD = 0.1, 0.7
# Modes of one object are of sizes that fall with frequency, about as its root, and scatter about
# that by so much, as a logarithm.
SIZE_FALL, SIZE_SPREAD = 0.5, 0.7
# Two modes nearer than this, as a logarithm of frequency, are unlikely; and how much so.
_APART, _APART_WEIGHT = 0.2, 1.5
# Of the proposals of a random walk, how many are to be taken.
_FEWEST_TAKEN, _MOST_TAKEN, _LOOKED_AT = 0.2, 0.3, 50
# Rows of room: six for the cost, and two for a walk.
_ROWS = 8

Array = NDArray[np.floating[Any]]


def room_for(bins: int, channels: int, count: int) -> tuple[Held, Held, Held]:
    """Give the room that the functions here work in: for transfers, patterns, and numbers.

    Parameters
    ----------
    bins, channels, count : int
        Frequencies F, channels K and modes M.
    """
    transfers: NDArray[np.complex128] = np.empty((3, bins, count), np.complex128)
    patterns: NDArray[np.complex128] = np.empty((2, bins, channels), np.complex128)
    numbers = np.empty((_ROWS, max(bins, (2 + channels) * count)))
    return Held(transfers), Held(patterns), Held(numbers)


@compiled(
    "f8[1], i8, f8[1], c16[3], f8[1], f8[1], f8[2], f8[1], f8, c16[3], c16[3], f8[2], f8[1] -> f8",
    fastmath=True,
)
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
    transfers: NDArray[np.complexfloating[Any]],
    patterns: NDArray[np.complexfloating[Any]],
    room: Array,
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
    transfers, patterns, room : ndarray
        Of :func:`room_for`.
    gradient : ndarray, float64, (2 * M + K * M,) or (0,)
        Receives the derivatives of the cost, if there is room for them.

    Returns
    -------
    float
        The cost.
    """
    bins, channels = covariance.shape[0], covariance.shape[1]
    transfer, slope_f, slope_d = transfers[0], transfers[1], transfers[2]
    pattern, image = patterns[0], patterns[1]
    size, power, level, along = room[0], room[1], room[2], room[3]
    resonance, damping = room[4], room[5]
    value = 0.0
    for m in range(count):
        resonance[m], damping[m] = np.exp(-packed[m]), np.exp(packed[count + m])
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
    for p in range(trend.shape[1]):
        along[p] = 0.0
    for f in range(bins):
        for p in range(trend.shape[1]):
            along[p] += trend[f, p] * heard[f] * level[f]
    roughness = 0.0
    for f in range(bins):
        for p in range(trend.shape[1]):
            level[f] -= trend[f, p] * along[p]
        roughness += heard[f] * level[f] * level[f]
    value -= most_doubt * np.log1p(roughness / most_doubt)
    if len(gradient) == 0:
        return -value
    gradient[:] = 0.0
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


@compiled("f8[1], i8, b1, f8[2], f8[1] -> f8")
def modal_prior(packed: Array, count: int, alike: bool, room: Array, gradient: Array) -> float:
    """Give minus the logarithm of the prior of modes, and add its derivatives to `gradient`.

    Parameters
    ----------
    packed : ndarray, float64, (2 * M + K * M,)
        As for :func:`modal_cost`.
    count : int
        Modes, M.
    alike : bool
        Whether modes are to be alike in size and apart in frequency, beside the prior of damping.
    room : ndarray
        The last of :func:`room_for`.
    gradient : ndarray, float64, (2 * M + K * M,) or (0,)
        What the derivatives are added to, if it has room.

    Returns
    -------
    float
    """
    slopes = len(gradient) > 0
    value = 0.0
    for m in range(count):
        off = (packed[count + m] - np.log(TYPICAL_DAMPING)) / DAMPING_SPREAD
        value += 0.5 * off * off
        if slopes:
            gradient[count + m] += off / DAMPING_SPREAD
    if not alike or count < 2:
        return value
    channels = (len(packed) - 2 * count) // count
    square, off = room[0], room[1]
    mean = 0.0
    for m in range(count):
        square[m] = 1e-30
        for k in range(channels):
            square[m] += packed[2 * count + k * count + m] ** 2
        off[m] = (0.5 * np.log(square[m]) + SIZE_FALL * packed[m]) / SIZE_SPREAD
        mean += off[m] / count
    for m in range(count):
        off[m] -= mean
        value += 0.5 * off[m] * off[m]
    for low in range(count):
        high = -1
        for m in range(count):
            above = packed[m] > packed[low] or (packed[m] == packed[low] and m > low)
            if above and (high < 0 or packed[m] < packed[high]):
                high = m
        if high < 0:
            continue
        gap = packed[high] - packed[low] + 1e-3
        near = (_APART / gap) ** 2
        value += _APART_WEIGHT * np.log1p(near)
        if slopes:
            push = -2.0 * _APART_WEIGHT * near / gap / (1.0 + near)
            gradient[high] += push
            gradient[low] -= push
    if slopes:
        for m in range(count):
            pull = off[m] / SIZE_SPREAD
            gradient[m] += SIZE_FALL * pull
            for k in range(channels):
                at = 2 * count + k * count + m
                gradient[at] += packed[at] * pull / square[m]
    return value


@compiled(
    "f8[1], i8, b1, f8[1], c16[3], f8[1], f8[1], f8[2], f8[1], f8, c16[3], c16[3], f8[2], f8[1]"
    " -> f8"
)
def penalised_cost(
    packed: Array,
    count: int,
    alike: bool,
    frequency: Array,
    covariance: NDArray[np.complexfloating[Any]],
    weight: Array,
    heard: Array,
    trend: Array,
    expected: Array,
    doubt: float,
    transfers: NDArray[np.complexfloating[Any]],
    patterns: NDArray[np.complexfloating[Any]],
    room: Array,
    gradient: Array,
) -> float:
    """Give the sum of :func:`modal_cost` and :func:`modal_prior`, and its derivatives."""
    value = modal_cost(
        packed,
        count,
        frequency,
        covariance,
        weight,
        heard,
        trend,
        expected,
        doubt,
        transfers,
        patterns,
        room,
        gradient,
    )
    return value + modal_prior(packed, count, alike, room, gradient)


@compiled(
    "f8[1], f8, i8, f8[2], f8[2], f8[1], f8[1], f8[1], f8[1], c16[3], f8[1], f8[1], f8[2], f8[1],"
    " f8, c16[3], c16[3], f8[2], f8[2]"
)
def random_walk(
    start: Array,
    cost: float,
    count: int,
    stride: Array,
    steps: Array,
    chances: Array,
    low: Array,
    high: Array,
    frequency: Array,
    covariance: NDArray[np.complexfloating[Any]],
    weight: Array,
    heard: Array,
    trend: Array,
    expected: Array,
    doubt: float,
    transfers: NDArray[np.complexfloating[Any]],
    patterns: NDArray[np.complexfloating[Any]],
    room: Array,
    visited: Array,
) -> None:
    """Walk at random among modes, so that each is visited as often as it is likely (Metropolis).

    Parameters
    ----------
    start : ndarray, float64, (P,)
        Modes to start from, with P = 2 * M + K * M; the shapes keep their common size.
    cost : float
        Of these, prior and all.
    count : int
        Modes, M.
    stride : ndarray, float64, (P, P)
        Turns independent normal numbers into steps of the shape of the likelihood.
    steps, chances : ndarray, float64, (N, P) and (N,)
        Normal numbers, and numbers from 0 to 1. In the first quarter of the walk the length of the
        steps is found.
    low, high : ndarray, float64, (2 * M,)
        Bounds of resonances and dampings.
    frequency, covariance, weight, heard, trend, expected, doubt, transfers, patterns, room
        As for :func:`modal_cost`.
    visited : ndarray, float64, (S, P)
        Receives where the walk was, evenly over its last three quarters.
    """
    none = room[0, :0]
    here, there = room[6, : len(start)], room[7, : len(start)]
    size = 0.0
    for i in range(len(start)):
        here[i] = start[i]
        size += start[i] * start[i] if i >= 2 * count else 0.0
    total = len(steps)
    learning = total // 4
    length = 1.7 / np.sqrt(len(start))
    taken, kept = 0, 0
    for n in range(total):
        inside, larger = True, 0.0
        for i in range(len(start)):
            step = 0.0
            for j in range(len(start)):
                step += stride[i, j] * steps[n, j]
            there[i] = here[i] + length * step
            if i < 2 * count:
                inside = inside and low[i] <= there[i] <= high[i]
            else:
                larger += there[i] * there[i]
        for i in range(2 * count, len(start)):
            there[i] *= np.sqrt(size / larger)
        if inside:
            new = penalised_cost(
                there,
                count,
                True,
                frequency,
                covariance,
                weight,
                heard,
                trend,
                expected,
                doubt,
                transfers,
                patterns,
                room,
                none,
            )
            if np.log(chances[n]) < cost - new:
                for i in range(len(start)):
                    here[i] = there[i]
                cost = new
                taken += 1
        if n < learning and n % _LOOKED_AT == _LOOKED_AT - 1:
            share = taken / _LOOKED_AT
            taken = 0
            if share > _MOST_TAKEN:
                length *= 1.25
            elif share < _FEWEST_TAKEN:
                length *= 0.8
        elif n >= learning and (n - learning + 1) * len(visited) >= (kept + 1) * (total - learning):
            for i in range(len(start)):
                visited[kept, i] = here[i]
            kept += 1
