"""What every reader of frames promises, whether it reads a film or a frame store."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FrameSource(Protocol):
    """Luma frames in time order, read in batches so that no film is ever held in memory.

    Attributes
    ----------
    name : str
        What to call it in messages: usually the path.
    height, width : int
        Size of a frame in pixels, after rotation and crop.
    capture_fps : float
        Frames per second of real time, in hertz.
    frame_count : int or None
        Number of frames when it is known before decoding, else None.
    """

    name: str
    height: int
    width: int
    capture_fps: float
    frame_count: int | None

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield consecutive batches ``(B, H, W)``, all but the last of the same length.

        A batch is valid only until the next one is asked for: its memory may be used again.

        Raises
        ------
        VisualMicError
            If the frames end before the source says they do, or cannot be read.
        """
        ...

    def time_s(self) -> NDArray[np.float64]:
        """Time of every frame in seconds of real time, ``(T,)``; call it after the last batch."""
        ...
