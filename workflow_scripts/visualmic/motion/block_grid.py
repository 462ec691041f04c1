"""The blocks into which a frame is parted."""

import numpy as np

from visualmic.motion.reference import Floats

# Blocks have at least this side, and about so many stand side by side.
_LEAST_PX, _USUAL_COUNT = 16, 14
# Pixels at the border of a film that swings which count for nothing, and the most that blocks keep
# away from it, as a share of the frame.
BORDER_PX = 2
_MOST_BORDER = 1 / 64


class BlockGrid:
    """Blocks of one size side by side.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the frame.
    side_px : int
        Side of a block in pixels, or 0 to choose.
    swings_px : float
        How far the frame or its blocks move. As far do blocks keep from the border: what one hears
        must not come and go as it leaves the frame.

    Attributes
    ----------
    count, rows, columns : int
        Blocks.
    height, width : int
        Of a block in pixels.
    y, x : ndarray, int32, (count,)
        Their top left corners, row by row.
    """

    def __init__(self, shape: tuple[int, int], side_px: int, swings_px: float) -> None:
        self._shape = shape
        side = side_px or max(_LEAST_PX, round(float(np.sqrt(shape[0] * shape[1])) / _USUAL_COUNT))
        most = max(BORDER_PX, round(_MOST_BORDER * min(shape)))
        reach = int(np.clip(np.ceil(1.5 * swings_px + 0.5), BORDER_PX, most))
        border = reach if swings_px > 0 else 0
        inside_y, inside_x = (length - 2 * border for length in shape)
        self.rows, self.columns = (max(1, round(length / side)) for length in (inside_y, inside_x))
        self.height, self.width = inside_y // self.rows, inside_x // self.columns
        top = border + (inside_y - self.rows * self.height) // 2
        left = border + (inside_x - self.columns * self.width) // 2
        grid_y, grid_x = np.meshgrid(
            top + self.height * np.arange(self.rows),
            left + self.width * np.arange(self.columns),
            indexing="ij",
        )
        self.y, self.x = grid_y.ravel().astype(np.int32), grid_x.ravel().astype(np.int32)
        self.count = self.rows * self.columns
        self._inside = (
            slice(top, top + self.rows * self.height),
            slice(left, left + self.columns * self.width),
        )

    def sums(self, image: Floats) -> Floats:
        """Sum an image (H, W) over each block, giving (count,)."""
        tiles = image[self._inside].reshape(self.rows, self.height, self.columns, self.width)
        return tiles.sum(axis=(1, 3), dtype=np.float64).ravel().astype(np.float32)

    def spread(self, values: Floats) -> Floats:
        """Give every pixel its block's value, (count,) to (H, W); zero outside all blocks."""
        image = np.zeros(self._shape, np.float32)
        tiles = np.repeat(values.reshape(self.rows, self.columns), self.height, axis=0)
        image[self._inside] = np.repeat(tiles, self.width, axis=1)
        return image
