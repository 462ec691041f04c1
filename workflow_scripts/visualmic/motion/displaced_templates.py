"""The reference image displaced by fractions of a pixel, for motion beyond the linear range."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats, shifted_with_gradient

if TYPE_CHECKING:
    from visualmic.motion.block_tracker import BlockTracker

# Templates are displaced by multiples of a step, so what is left to the linear fit is half of it.
# Pictures are not quite what interpolation makes of them, and small steps keep that small too.
_FINE, _COARSE = 8, 4
_MOST_BYTES = 128 << 20


class Templates:
    """The reference displaced by fractions of a pixel, made when a film first needs them.

    ``maps`` (slots, 2, H, W) holds the weighted gradients; the other arrays, (slots, blocks, ...),
    what the comparison of a block with that template needs. A pixel is parted in ``steps``, more
    where the frame swings and the templates do not take too much memory.
    """

    def __init__(self, tracker: "BlockTracker") -> None:
        self._tracker = tracker
        height, width = tracker.reference.shape
        fits = (_FINE + 1) ** 2 * 2 * 4 * height * width <= _MOST_BYTES
        self.steps = _FINE if tracker.swings and fits else _COARSE
        self.slot_of = np.full((self.steps + 1) ** 2, -1, np.int32)
        self.maps = np.zeros((0, 2, height, width), np.float32)
        blocks = tracker.grid.count
        self.tensor = np.zeros((0, blocks, 2, 2), np.float32)
        self.inverse = np.zeros((0, blocks, 2, 2), np.float32)
        self.with_image = np.zeros((0, blocks, 2), np.float32)
        self.with_centred = np.zeros((0, blocks, 2), np.float32)
        self.with_one = np.zeros((0, blocks, 2), np.float32)

    def slots(self, index: NDArray[np.int32]) -> NDArray[np.int32]:
        """Slot of each bank index, making the templates that are missing."""
        missing = [int(i) for i in np.unique(index) if self.slot_of[i] < 0]
        if missing:
            made = [self._make(i) for i in missing]
            self.slot_of[missing] = len(self.maps) + np.arange(len(missing))
            for name in ("maps", "tensor", "inverse", "with_image", "with_centred", "with_one"):
                new = np.stack([one[name] for one in made])
                setattr(self, name, np.concatenate([getattr(self, name), new]))
        return self.slot_of[index]

    def quantise(
        self, position: Floats, whole: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """Split positions (..., 2) in x, y into bank index, whole pixels, and the template's.

        The whole pixels are the nearest, unless they are given, half a pixel away at most.
        """
        half = self.steps // 2
        steps = np.rint(position * self.steps).astype(np.int64)
        if whole is None:
            whole = np.floor_divide(steps + half, self.steps)
        fraction = steps - self.steps * whole + half
        index = (fraction[..., 1] * (self.steps + 1) + fraction[..., 0]).astype(np.int32)
        return index, whole.astype(np.int32), steps / self.steps

    def around(self, position: Floats) -> list[tuple[Floats, Floats]]:
        """Give the triangle of templates around positions (..., 2) in x, y.

        Returns
        -------
        list of (ndarray (..., 2), ndarray, float32, (...))
            Displacement of each template in pixels, and its share. The shares sum to one, and the
            mean of the templates' displacements that they give is the position. The first
            template has the least displacement in x and y.
        """
        steps = position * self.steps
        corner = np.floor(steps)
        right, down = np.moveaxis(steps - corner, -1, 0)
        # The diagonal parts the square of four templates into two triangles.
        beyond = np.stack([right > down, right <= down], axis=-1)
        return [
            (at / self.steps, share.astype(np.float32))
            for at, share in (
                (corner, 1 - np.maximum(right, down)),
                (corner + beyond, np.abs(right - down)),
                (corner + 1, np.minimum(right, down)),
            )
        ]

    def _make(self, index: int) -> dict[str, Floats]:
        tracker = self._tracker
        shift_y, shift_x = (part / self.steps - 0.5 for part in divmod(index, self.steps + 1))
        image, *gradients = shifted_with_gradient(tracker.reference, float(shift_x), float(shift_y))
        centred = image - tracker.mean_level
        maps = np.stack(gradients) * tracker.weight
        if tracker.local_illumination:
            maps = tracker.without_brightness(maps, centred)
        tensor: Floats = np.empty((tracker.grid.count, 2, 2), np.float32)
        for i in range(2):
            for j in range(2):
                tensor[:, i, j] = tracker.grid.sums(maps[i] * gradients[j])
        tensor = (tensor + tensor.transpose(0, 2, 1)) / 2
        ridge = 1e-5 * np.trace(tensor, axis1=1, axis2=2) + 1e-6
        regular = tensor + ridge[:, None, None] * np.eye(2, dtype=np.float32)

        def sums(factor: Floats | float) -> Floats:
            return np.stack([tracker.grid.sums(one * factor) for one in maps], axis=-1)

        return {
            "maps": maps,
            "tensor": tensor,
            "inverse": np.linalg.inv(regular.astype(np.float64)).astype(np.float32),
            "with_image": sums(image),
            "with_centred": sums(centred),
            "with_one": sums(1.0),
        }
