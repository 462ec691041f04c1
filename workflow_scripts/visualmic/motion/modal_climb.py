r"""The climb to the likeliest modes near others, compiled: quasi-Newton steps within bounds.

Limited-memory BFGS on what is free to move: a parameter at its bound that wants beyond stays there,
and a step that would leave the bounds ends at them. A step is shortened until the cost falls enough
(Armijo's condition), and lengthened where the slope has hardly changed.

References
----------
.. [1] J. Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of Computation
   35(151), 1980.
.. [2] D. P. Bertsekas, "Projected Newton methods for optimization problems with simple
   constraints", SIAM Journal on Control and Optimization 20(2), 1982.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import compiled
from visualmic.motion.modal_kernels import penalised_cost

# Steps that are remembered, and rows of room for each and beside them.
REMEMBERED = 20
CLIMB_ROWS = 2 * REMEMBERED + 5
# Share of the fall that the slope promises which a step must bring, and of the slope that may be
# left before a longer one is tried.
_LEAST_FALL, _LEAST_FLATTER = 1e-4, 0.9
_MOST_TRIES = 20
# Steps that gain less than this share of the cost end the climb.
_SMALL_GAIN = 1e-9

Array = NDArray[np.floating[Any]]


@compiled(
    "f8[1], i8, i8, b1, f8[1], f8[1], f8[1], c16[3], f8[1], f8[1], f8[2], f8[1], f8, c16[3],"
    " c16[3], f8[2], f8[2] -> f8"
)
def modal_climb(
    packed: Array,
    count: int,
    steps: int,
    alike: bool,
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
    memory: Array,
) -> float:
    """Climb from modes to likelier ones.

    Parameters
    ----------
    packed : ndarray, float64, (P,)
        Modes to start from, with P = 2 * M + K * M; receives those that were reached.
    count, steps : int
        Modes M, and the most steps.
    alike : bool
        As for :func:`visualmic.motion.modal_kernels.modal_prior`.
    low, high : ndarray, float64, (2 * M,)
        Bounds of resonances and dampings.
    frequency, covariance, weight, heard, trend, expected, doubt, transfers, patterns, room
        As for :func:`visualmic.motion.modal_kernels.modal_cost`.
    memory : ndarray, float64, (CLIMB_ROWS, P)
        Room.

    Returns
    -------
    float
        The cost, prior and all.
    """
    total, bounded = len(packed), 2 * count
    moved, turned = memory[:REMEMBERED], memory[REMEMBERED : 2 * REMEMBERED]
    beside = memory[2 * REMEMBERED :, :total]
    slope, toward, there, slope_there = beside[0], beside[1], beside[2], beside[3]
    # The share of each remembered step that was taken out of the direction.
    numbers = memory[2 * REMEMBERED + 4]
    for i in range(bounded):
        packed[i] = min(max(packed[i], low[i]), high[i])
    cost = penalised_cost(
        packed,
        count,
        alike,
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
        slope,
    )
    known = 0
    for _ in range(steps):
        steepest = 0.0
        for i in range(total):
            held = i < bounded and (
                (packed[i] <= low[i] and slope[i] > 0) or (packed[i] >= high[i] and slope[i] < 0)
            )
            toward[i] = 0.0 if held else -slope[i]
            steepest += toward[i] * toward[i]
        if steepest < 1e-16:
            break
        for back in range(min(known, REMEMBERED)):
            row = (known - 1 - back) % REMEMBERED
            along, bend = 0.0, 0.0
            for i in range(total):
                along += moved[row, i] * toward[i]
                bend += moved[row, i] * turned[row, i]
            share = along / bend
            numbers[back] = share
            for i in range(total):
                toward[i] -= share * turned[row, i]
        if known > 0:
            row = (known - 1) % REMEMBERED
            along, bend = 0.0, 0.0
            for i in range(total):
                along += moved[row, i] * turned[row, i]
                bend += turned[row, i] * turned[row, i]
            for i in range(total):
                toward[i] *= along / bend
        for forth in range(min(known, REMEMBERED)):
            back = min(known, REMEMBERED) - 1 - forth
            row = (known - 1 - back) % REMEMBERED
            along, bend = 0.0, 0.0
            for i in range(total):
                along += turned[row, i] * toward[i]
                bend += moved[row, i] * turned[row, i]
            for i in range(total):
                toward[i] += (numbers[back] - along / bend) * moved[row, i]
        downhill = 0.0
        for i in range(total):
            if i < bounded and (
                (packed[i] <= low[i] and slope[i] > 0) or (packed[i] >= high[i] and slope[i] < 0)
            ):
                toward[i] = 0.0
            downhill += toward[i] * slope[i]
        if downhill > -1e-12 * steepest:
            if known == 0:
                break
            known = 0
            continue
        length = 1.0 if known > 0 else min(1.0, 1.0 / np.sqrt(steepest))
        shortest, longest = 0.0, np.inf
        new = cost
        for _tried in range(_MOST_TRIES):
            fall, flatter = 0.0, 0.0
            for i in range(total):
                there[i] = packed[i] + length * toward[i]
                if i < bounded:
                    there[i] = min(max(there[i], low[i]), high[i])
                fall += slope[i] * (there[i] - packed[i])
            new = penalised_cost(
                there,
                count,
                alike,
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
                slope_there,
            )
            for i in range(total):
                flatter += slope_there[i] * (there[i] - packed[i])
            if not new <= cost + _LEAST_FALL * fall:
                # Where a parabola through both ends has its lowest point, but not near an end.
                longest = length
                lowest = -0.5 * fall / (new - cost - fall) if new < np.inf else 0.1
                inner = min(max(lowest, 0.1), 0.5)
                length = shortest + inner * (longest - shortest)
            elif flatter < _LEAST_FLATTER * fall and longest == np.inf and length < 64.0:
                shortest = length
                length *= 4.0
            else:
                break
        if not new < cost:
            if known == 0:
                break
            known = 0
            continue
        row = known % REMEMBERED
        bend, square = 0.0, 0.0
        for i in range(total):
            moved[row, i] = there[i] - packed[i]
            turned[row, i] = slope_there[i] - slope[i]
            bend += moved[row, i] * turned[row, i]
            square += turned[row, i] * turned[row, i]
            packed[i] = there[i]
            slope[i] = slope_there[i]
        if bend > 1e-10 * square:
            known += 1
        gained, cost = cost - new, new
        if gained < _SMALL_GAIN * max(abs(cost), 1.0):
            break
    return cost
