"""Frames that a codec spent too little on, and how far they are believed.

Codecs predict most frames from their neighbours, before and after, and send only differences that
are worth their bits. Motion of a hundredth of a pixel often is not: such a frame repeats a mean of
its neighbours, and does not move with the sound. It shows in the sensor's noise, which the mean
smooths: frames whose blocks tremble less, each on its own, than those of other frames are copies.
"""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, highpass
from visualmic.motion.wiener import smooth_fields

_CHUNK = 8192
# Noise of predicted frames, over that of the others, at which they count for least and in full.
_COPIED, _FRESH = 0.75, 0.95
_LEAST_WEIGHT = 0.25
_LOWEST_HZ = 60.0


class FreshFrames:
    """Motion channels in which frames that only repeat their neighbours count for little.

    What is faster than half the rate of the other frames is then partly folded, but in such a film
    it is mostly lost anyway.

    Parameters
    ----------
    motion : MotionSignals
        ``arrays["bidirectional"]`` (T,) says which frames were predicted from both sides.
    rows : callable
        Gives the channels.
    enabled : bool
        Whether to look for such frames at all.

    Attributes
    ----------
    copied_share : float
        Share of the frames that were found to be copies.
    """

    def __init__(self, motion: MotionSignals, rows: Rows, enabled: bool = True) -> None:
        self._rows = rows
        self.copied_share = 0.0
        self._weight: Floats | None = None
        predicted = np.asarray(motion.arrays.get("bidirectional", ()), np.bool_)
        total = motion.signals.shape[0]
        share = float(predicted.mean()) if len(predicted) == total else 0.0
        if not (enabled and 0.05 < share < 0.95):
            return
        freshness = (self._noise_ratio(motion, predicted) - _COPIED) / (_FRESH - _COPIED)
        weight = float(np.clip(freshness, _LEAST_WEIGHT, 1.0))
        if weight < 1.0:
            self.copied_share = share
            level = 1.0 - share + weight * share
            self._weight = np.where(predicted, weight / level, 1.0 / level).astype(np.float32)

    def rows(self, start: int, stop: int) -> Floats:
        """Give the channels of frames `start` to `stop`, (n, C)."""
        part = self._rows(start, stop)
        return part if self._weight is None else part * self._weight[start:stop, None]

    def _noise_ratio(self, motion: MotionSignals, predicted: NDArray[np.bool_]) -> float:
        """Compare the power that is in no smooth field of motion: predicted over other frames."""
        total, channels = motion.signals.shape
        fields = np.linalg.qr(smooth_fields(motion))[0].astype(np.float32)
        if motion.capture_fps < 4 * _LOWEST_HZ or channels <= 2 * fields.shape[1]:
            return 1.0
        # A part of the film tells enough.
        total = min(total, 2 * _CHUNK)
        power, predicted = np.zeros(total), predicted[:total]
        if predicted.all() or not predicted.any():
            return 1.0
        for start in range(0, total, _CHUNK):
            stop = min(start + _CHUNK, total)
            part = highpass(self._rows(start, stop), motion.capture_fps, _LOWEST_HZ)
            inside = part @ fields
            power[start:stop] = (part**2).sum(axis=1) - (inside**2).sum(axis=1)
        return float(power[predicted].mean() / max(float(power[~predicted].mean()), 1e-12))
