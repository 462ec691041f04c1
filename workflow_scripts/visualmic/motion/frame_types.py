"""Frames that a codec spent too little on: how far they are believed, and what they lack.

Codecs predict most frames from their neighbours, before and after, and send only differences that
are worth their bits. Motion of a hundredth of a pixel often is not. Such a frame repeats a mean of
its neighbours, and does not move with the sound. It shows in the sensor's noise, which the mean
smooths: frames whose blocks tremble less, each on its own, than those of other frames are copies.
Or it shows the motion smaller than it was, which :mod:`visualmic.motion.frame_gains` makes up for.
"""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.frame_gains import (
    LEAST_NEW,
    even_frames,
    fall_behind,
    frame_kinds,
    measure_gains,
    noise_of_kinds,
    share_of_new,
)
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, highpass
from visualmic.motion.wiener import smooth_fields

_CHUNK = 8192
# Noise of predicted frames, over that of the others, at which they count for least and in full.
_COPIED, _FRESH = 0.75, 0.95
_LEAST_WEIGHT = 0.25
_LOWEST_HZ = 60.0


class CodedFrames:
    """Motion channels of a film some of whose frames were predicted from both sides.

    Parameters
    ----------
    motion : MotionSignals
        ``arrays["bidirectional"]`` (T,) says which frames were predicted from both sides.
    rows : callable
        Gives the channels.
    doubt_copies : bool
        Whether to let frames count for little that only repeat their neighbours. What is faster
        than half the rate of the other frames is then partly folded, but in such a film it is
        mostly lost anyway.

    Attributes
    ----------
    copied_share : float
        Share of the frames that were found to be copies.
    smaller : float or None
        How much of the motion frames predicted from both sides show, over what the others show,
        where :meth:`even` made up for it.
    """

    def __init__(self, motion: MotionSignals, rows: Rows, doubt_copies: bool = True) -> None:
        self._rows = rows
        self._fps = motion.capture_fps
        self.copied_share = 0.0
        self.smaller: float | None = None
        self._kinds: NDArray[np.intp] | None = None
        self._weight: Floats | None = None
        predicted = np.asarray(motion.arrays.get("bidirectional", ()), np.bool_)
        total = motion.signals.shape[0]
        share = float(predicted.mean()) if len(predicted) == total else 0.0
        if not 0.05 < share < 0.95:
            return
        self._kinds = frame_kinds(predicted)
        self._noise_ratio = self._ratio_of_noise(motion, predicted)
        freshness = (self._noise_ratio - _COPIED) / (_FRESH - _COPIED)
        self._trust = float(np.clip(freshness, _LEAST_WEIGHT, 1.0)) if doubt_copies else 1.0
        if self._trust < 1.0:
            self.copied_share = share
            level = 1.0 - share + self._trust * share
            self._weight = np.where(predicted, self._trust / level, 1 / level).astype(np.float32)

    def rows(self, start: int, stop: int) -> Floats:
        """Give the channels of frames `start` to `stop`, (n, C)."""
        part = self._rows(start, stop)
        return part if self._weight is None else part * self._weight[start:stop, None]

    def even(
        self,
        halves: tuple[Floats, Floats],
        highpass_hz: float,
        length: int,
        lowest: int,
        level: float,
    ) -> Floats | None:
        """Give motion as all frames would show it, had they been coded alike.

        Parameters
        ----------
        halves : tuple of ndarray, float32, (T, K)
            Combinations of what :meth:`rows` gives, as one half of the blocks and as the other
            add to them.
        highpass_hz : float
            Slower motion is taken out, in hertz.
        length, lowest : int
            Samples in a window of the spectra, and the bin from which on there is sound.
        level : float
            Variance of the noise in each combination.

        Returns
        -------
        ndarray, float32, (T, K), or None
            None where frames predicted from both sides do not surely show less than the others, or
            hardly show anything of their own.
        """
        kinds = self._kinds
        self.smaller = None
        if kinds is None:
            return None
        weight = np.float32(1) if self._weight is None else self._weight[:, None]
        first, second = (highpass(one / weight, self._fps, highpass_hz) for one in halves)
        gains, without = measure_gains(first, second, kinds)
        if not fall_behind(gains, without, kinds):
            return None
        if share_of_new(first, second, kinds) < LEAST_NEW:
            return None
        signals = first + second
        share = np.bincount(kinds) / len(kinds)
        noise = np.maximum(noise_of_kinds(signals, kinds), self._noise_ratio)
        noise[0] = 1.0
        noise *= level / float(share @ noise)
        # A copy tells less than its little noise lets it seem.
        noise[1:] /= self._trust
        evened = even_frames(signals, kinds, gains, noise, length, lowest)
        if evened is not None:
            self.smaller = float(share[1:] @ gains[1:] / share[1:].sum() / gains[0])
        return evened

    def _ratio_of_noise(self, motion: MotionSignals, predicted: NDArray[np.bool_]) -> float:
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
