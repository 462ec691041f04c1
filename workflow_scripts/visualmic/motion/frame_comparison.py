"""Compare whole frames with the reference: their light, and roughly where they have moved."""

from concurrent.futures import Executor
from functools import cached_property
from math import comb, factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.projection import compare_frames
from visualmic.motion.reference import Floats, shifted_with_gradient

_MAX_STEPS = 6
_BLUR_PX = 2.0
# A lamp that changes more than this has been switched, and is not divided by.
_MOST_GAIN = 0.5
# Pictures less alike than this were not followed.
_LEAST_LIKENESS = 0.5


class FrameComparison:
    """Gain, offset and coarse displacement of whole frames, from a part of their rows.

    Parameters
    ----------
    reference, weight : ndarray, float32, (H, W)
        Reference image in grey levels, and the weight of each pixel.
    illumination, follow : bool
        Whether the light may change, and the picture move by more than a pixel.
    pool : Executor
        Runs the parts of a batch.
    threads : int
        How many parts.

    Attributes
    ----------
    mean : float
        Mean level of the reference where frames are compared.
    limit : int
        Most pixels that a frame is followed.
    light_variance : tuple of float
        Variance that the sensor's noise gives gain and offset of a frame.
    """

    def __init__(
        self,
        reference: Floats,
        weight: Floats,
        *,
        illumination: bool,
        follow: bool,
        pool: Executor,
        threads: int,
    ) -> None:
        self.reference = reference
        self.weight = weight
        self.illumination = illumination
        self._follow = follow
        self._pool = pool
        self._threads = threads
        import cv2

        height, width = self.reference.shape
        self._row_step = max(1, height // 24)
        blurred = np.asarray(cv2.GaussianBlur(self.reference, (0, 0), _BLUR_PX), np.float32)
        coarse = np.stack(shifted_with_gradient(blurred, 0.0, 0.0)[1:]) * self.weight
        self._coarse = np.ascontiguousarray(coarse, np.float32)
        self._margin = -1
        self.limit = max(0, min(height, width) // 4)
        self._set_margin(0)
        self.light_variance = (1.0 / self._power, 1.0 / self._level)

    @cached_property
    def _curvature(self) -> Floats:
        """Coefficients (8,) of the reference's likeness to itself displaced."""
        height, width = self.reference.shape
        window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
        contrast = (self.reference - self.mean) * window
        power = np.abs(np.fft.rfft2(contrast)) ** 2
        power[:, 1 : (width + 1) // 2] *= 2
        power /= power.sum()
        omega_x = 2 * np.pi * np.fft.rfftfreq(width)
        omega_y = 2 * np.pi * np.fft.fftfreq(height)
        # The mean of cos(w d) over the power, to the fourth order in d.
        return np.array(
            [
                sign
                * comb(order, i)
                / factorial(order)
                * omega_y**i
                @ power
                @ omega_x ** (order - i)
                for order, sign in ((2, -1), (4, 1))
                for i in range(order + 1)
            ]
        )

    def gain_of_light(self, gain: Floats, displacement: Floats) -> Floats:
        """Free the gain (B,) of frames of what their displacement (B, 2) takes from it.

        A picture that is displaced is less like the reference, as one in less light is: what
        :meth:`compare` finds is the lamp's gain times that likeness. The displacement is counted
        from the whole pixels of the comparison, and less than one.
        """
        x, y = displacement.T
        terms = [x ** (order - i) * y**i for order in (2, 4) for i in range(order + 1)]
        likeness = 1.0 + self._curvature @ np.stack(terms)
        freed = (1.0 + gain) / np.maximum(likeness, _LEAST_LIKENESS) - 1.0
        return np.asarray(freed, np.float32)

    def _set_margin(self, margin: int) -> None:
        """Leave out a border as wide as the whole pixels that the frames have moved."""
        if margin == self._margin:
            return
        self._margin = margin
        height, width = self.reference.shape
        rows = slice(margin, height - margin, self._row_step)
        columns = slice(margin, width - margin)
        weight = self.weight[rows, columns].astype(np.float64)
        image = self.reference[rows, columns].astype(np.float64)
        coarse = self._coarse[:, rows, columns].astype(np.float64)
        gradients = [
            one[rows, columns] for one in shifted_with_gradient(self.reference, 0.0, 0.0)[1:]
        ]
        self._level = max(float(weight.sum()), 1e-12)
        self.mean = float((weight * image).sum()) / self._level
        centred = image - self.mean
        self._power = max(float((weight * centred**2).sum()), 1e-6)
        self._coarse_one = coarse.sum(axis=(1, 2))
        self._coarse_centred = (coarse * centred).sum(axis=(1, 2))
        tensor = np.array([[float((c * g).sum()) for g in gradients] for c in coarse])
        ridge = 1e-4 * abs(float(np.trace(tensor))) + 1e-9
        self._coarse_inverse = np.linalg.inv(tensor + ridge * np.eye(2))

    def compare(self, frames: NDArray[np.uint8], near: Floats) -> tuple[NDArray[Any], ...]:
        """Compare frames (B, H, W) with the reference displaced by about `near` (2,).

        Returns
        -------
        coarse, whole, gain, offset, residual : ndarray
            Displacement (B, 2) in pixels, and the whole pixels (B, 2) at which the frame was
            compared; change of the lamp's gain and offset; mean squared weighted difference that
            is left; each of these (B,).
        """
        count = len(frames)
        whole = np.tile(np.rint(near).astype(np.int32), (count, 1))
        wanted = np.arange(count, dtype=np.int32)
        sums = np.zeros((count, 5))
        coarse = np.zeros((count, 2))
        gain = np.zeros(count)
        offset = np.zeros(count)
        for _ in range(_MAX_STEPS):
            whole = np.clip(whole, -self.limit, self.limit)
            needed = int(np.abs(whole).max(initial=0))
            if needed > self._margin:
                # Sums over another border cannot be mixed with the ones there are.
                self._set_margin(min(self.limit, needed + 2))
                wanted = np.arange(count, dtype=np.int32)
            self._sum(frames, wanted, whole, sums)
            if self.illumination:
                offset = sums[:, 0] / self._level
                gain = (sums[:, 1] - self.mean * sums[:, 0]) / self._power
                gain = np.clip(gain, -_MOST_GAIN, _MOST_GAIN)
            left = (
                sums[:, 3:]
                - gain[:, None] * self._coarse_centred
                - offset[:, None] * self._coarse_one
            )
            coarse = whole - left @ self._coarse_inverse.T / (1.0 + gain[:, None])
            target = np.rint(coarse)
            wanted = np.flatnonzero(np.abs(coarse - whole).max(axis=1) > 0.75).astype(np.int32)
            if not self._follow or not len(wanted):
                break
            whole[wanted] = target[wanted].astype(np.int32)
        energy = sums[:, 2] - self._level * offset**2 - self._power * gain**2
        samples = max(np.count_nonzero(self.weight[self._margin :: self._row_step]), 1)
        residual = (np.maximum(energy, 0.0) / samples).astype(np.float32)
        return coarse, whole, gain.astype(np.float32), offset.astype(np.float32), residual

    def _sum(
        self,
        frames: NDArray[np.uint8],
        wanted: NDArray[np.int32],
        whole: NDArray[np.int32],
        sums: Floats,
    ) -> None:
        x, y = np.ascontiguousarray(whole[:, 0]), np.ascontiguousarray(whole[:, 1])

        def run(part: NDArray[np.int32]) -> None:
            compare_frames(
                frames,
                part,
                self.reference,
                self.weight,
                self._coarse,
                y,
                x,
                self._margin,
                self._row_step,
                sums,
            )

        list(self._pool.map(run, np.array_split(wanted, self._threads)))
