"""What is left to know of motion where the light of each block wanders on its own."""

import numpy as np

from visualmic.motion.block_tracker import BlockTracker
from visualmic.motion.reference import Floats


def information_under_light(tracker: BlockTracker, left: Floats) -> float:
    """Information on motion that remains when the light of each block wanders on its own.

    Parameters
    ----------
    tracker : BlockTracker
    left : ndarray, float32, (N, H, W)
        Frames with the light of the whole frame and the motion removed.

    Returns
    -------
    float
        Sum over blocks and directions of the inverse variance of displacement, in 1/px^2. A
        block's wandering gain and offset count as noise, as far as sensor noise does not
        explain them.
    """
    level = np.maximum(tracker.grid.sums(tracker.weight), 1e-12)
    mean = tracker.grid.sums(tracker.weight * tracker.reference) / level
    contrast = tracker.reference - tracker.grid.spread(mean)
    power = np.maximum(tracker.grid.sums(tracker.weight * contrast**2), 1e-6)
    offset = np.stack([tracker.grid.sums(tracker.weight * one) for one in left]) / level
    gain = np.stack([tracker.grid.sums(tracker.weight * contrast * one) for one in left]) / power
    extra_offset = np.maximum(offset.var(axis=0) - 1.0 / level, 0.0)
    extra_gain = np.maximum(gain.var(axis=0) - 1.0 / power, 0.0)
    total = 0.0
    for i, maps in enumerate(tracker.templates.maps[0]):
        own = np.maximum(tracker.templates.tensor[0, :, i, i], 1e-9)
        through_offset = tracker.grid.sums(maps) / own
        through_gain = tracker.grid.sums(maps * contrast) / own
        variance = 1.0 / own + through_offset**2 * extra_offset + through_gain**2 * extra_gain
        total += float((1.0 / variance).sum())
    return total
