"""Luma frames straight from a film, as filmed, in batches of bounded size.

The Y plane is taken as the camera stored it: no change of range, no detour over RGB. Samples of
more than 8 bits are rounded to 8. Pictures stored as RGB have no luma: theirs is computed by
BT.601, :math:`Y = 0.299 R + 0.587 G + 0.114 B`. Rotation is honoured, then the crop.

Films are decoded within this process: small frames cost more to send through a pipe than to decode.
"""

import itertools
import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.pictures import GroupLost, Pictures
from visualmic.film.probe import FilmInfo, probe_film
from visualmic.film.read_ahead import ReadAhead, SpanReader
from visualmic.threads import default_threads

BATCH_BYTES = 16 << 20
"""Wished size of a batch of frames: threads that hand over smaller ones wait for each other."""

# Longest stretch that a thread decodes on its own.
_SPAN_BYTES = 64 << 20
_MOST_CORES = 4
# Frames that take less than this in the film, and cores, for which one thread decodes best.
_LIGHT_FRAME_BYTES = 500
_FEW_CORES = 2


class FilmFrames:
    """Luma frames of a film, as a :class:`visualmic.film.source.FrameSource`.

    Parameters
    ----------
    path : path
        The film.
    fps : float, optional
        Frames per second at which it was filmed, in hertz; else as :func:`probe_film` finds.
    crop : sequence of int, optional
        ``(x, y, width, height)`` in pixels of the upright frame.
    threads : int, optional
        Threads to decode with; as many as help by default.
    info : FilmInfo, optional
        What :func:`probe_film` said, when it has been asked already; `fps` is then not used.

    Raises
    ------
    VisualMicError
        If the film cannot be read or the crop leaves the frame.

    Examples
    --------
    >>> film = FilmFrames("chips.mp4", fps=2200, crop=(100, 80, 192, 192))  # doctest: +SKIP
    >>> for batch in film.batches():  # doctest: +SKIP
    ...     print(batch.shape)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float | None = None,
        crop: Sequence[int] | None = None,
        threads: int | None = None,
        info: FilmInfo | None = None,
    ) -> None:
        self.info = info if info is not None else probe_film(path, fps)
        self.name = os.fspath(path)
        self.crop = _checked_crop(self.info, crop)
        _, _, self.width, self.height = self.crop
        self.capture_fps = self.info.capture_fps
        self.frame_count: int | None = self.info.frames
        self.variable_frame_rate = self.info.variable_frame_rate
        self.keyframes = self.info.keyframes
        self.bidirectional = self.info.bidirectional
        self.lossless = _loses_nothing(self.info.codec)
        self._threads = threads

    def time_s(self) -> NDArray[np.float64]:
        """Time of every frame in seconds of real time since the first, ``(T,)``."""
        return self.info.time_s.copy()

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield consecutive batches ``(B, H, W)`` of luma; each is valid until the next.

        Parameters
        ----------
        batch_frames : int, optional
            Frames in a batch; about `BATCH_BYTES` by default.

        Raises
        ------
        VisualMicError
            If the film cannot be decoded or ends before its last frame.
        """
        if batch_frames is None:
            batch_frames = max(1, BATCH_BYTES // (self.width * self.height))
        batch_frames = max(1, min(batch_frames, self.info.frames))
        shape = (batch_frames, self.height, self.width)
        done = 0
        spans = self._spans()
        if spans:
            with SpanReader(self.info, self.crop, spans, shape, self._cores()) as batches:
                try:
                    for batch in batches:
                        yield batch
                        done += len(batch)
                except GroupLost:
                    # The film is not what its times promise: what follows is read in order.
                    pass
        if done < self.info.frames:
            yield from self._in_order(shape, done)

    def _in_order(self, shape: tuple[int, ...], done: int) -> Iterator[NDArray[np.uint8]]:
        """Yield batches of the frames from `done` on, decoded from the film's beginning."""
        with Pictures(self.info, self.crop, self._decoder_threads()) as pictures:
            with ReadAhead(itertools.islice(pictures.frames(), done, None), shape) as batches:
                for batch in batches:
                    done += len(batch)
                    yield batch
            self._check_end(pictures.damage, done)

    def _check_end(self, damage: str, done: int) -> None:
        reason = f" ({damage})" if damage else ""
        if done < self.info.frames:
            raise VisualMicError(
                f"{self.name} is damaged: only {done} of its {self.info.frames} frames can be"
                f" decoded{reason}; copy it again from the camera, or cut the damaged part off"
            )
        if done > self.info.frames:
            raise VisualMicError(
                f"{self.name} gave {done} frames where its packets promise {self.info.frames};"
                " make a clean copy: ffmpeg -i FILM -c:v ffv1 -fps_mode passthrough clean.mkv"
            )
        if damage:
            warnings.warn(
                f"{self.name}: the decoder found damage and patched it ({damage}); the sound may"
                " hold clicks there",
                VisualMicWarning,
                stacklevel=3,
            )

    def _spans(self) -> list[tuple[int, int]]:
        """Part the film where decoding can begin anew, for several threads; empty where it cannot.

        Stretches of large frames would take too much memory: several frames are decoded at once.
        """
        most = _SPAN_BYTES // (self.width * self.height)
        if self._cores() < 2 or self.info.variable_frame_rate:
            return []
        spans, first = [], 0
        least = max(1, BATCH_BYTES // (self.width * self.height))
        for stop in (*self.info.entries[1:].tolist(), self.info.frames):
            if stop - first >= least or stop == self.info.frames:
                spans.append((first, stop))
                first = stop
        longest = max(stop - first for first, stop in spans)
        return spans if len(spans) > 1 and longest <= most else []

    def _cores(self) -> int:
        return self._threads or min(default_threads(), _MOST_CORES)

    def _decoder_threads(self) -> int:
        cores = self._cores()
        size = os.path.getsize(self.name) / max(self.info.frames, 1)
        # Handing a frame to another core can cost as much as decoding it.
        return 1 if cores <= _FEW_CORES or size < _LIGHT_FRAME_BYTES else cores


def _loses_nothing(codec: str) -> bool:
    """Whether a codec gives back the pictures exactly as they were; one unknown may not."""
    import av

    try:
        return not av.codec.Codec(codec, "r").lossy
    except av.codec.codec.UnknownCodecError:
        return False


def _checked_crop(info: FilmInfo, crop: Sequence[int] | None) -> tuple[int, int, int, int]:
    if crop is None:
        return 0, 0, info.width, info.height
    if len(crop) != 4:
        raise VisualMicError(f"a crop is x,y,width,height, not {tuple(crop)}; give four numbers")
    x, y, width, height = (int(value) for value in crop)
    inside = 0 <= x < x + width <= info.width and 0 <= y < y + height <= info.height
    if not inside:
        raise VisualMicError(
            f"the crop {x},{y},{width},{height} leaves the frame of {info.path}, which is"
            f" {info.width}x{info.height} pixels; give x,y,width,height inside it"
        )
    return x, y, width, height
