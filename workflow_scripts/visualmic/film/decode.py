"""Luma frames straight from a film, as filmed, in batches of bounded size.

The Y plane is taken as the camera stored it: no change of range, no detour over RGB. Samples of
more than 8 bits are rounded to 8. Pictures stored as RGB have no luma: theirs is computed by
BT.601, :math:`Y = 0.299 R + 0.587 G + 0.114 B`. Rotation is honoured, then the crop.

Films are decoded within this process: small frames cost more to send through a pipe than to decode.
"""

import os
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.probe import FilmInfo, probe_film

if TYPE_CHECKING:
    import av

BATCH_BYTES = 4 << 20
"""Wished size of a batch of frames: small enough for the cache of a processor."""

_BUFFERS = 3
# Frames that take less than this in the film, and cores, for which one thread decodes best.
_LIGHT_FRAME_BYTES = 500
_FEW_CORES = 2

# Formats whose first plane is luma alone, and those that mix it into lines, by where it begins.
_LUMA_FIRST = re.compile(r"(?:yuv(?:a|j)?4\d\dp|gray)(\d*)(le|be)?$|nv\d\d$")
_MIXED = {"yuyv422": 0, "yvyu422": 0, "uyvy422": 1}


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
        Decoder threads; ffmpeg's own choice by default.
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
            If ffmpeg fails or the film ends before its last frame.
        """
        if batch_frames is None:
            batch_frames = max(1, BATCH_BYTES // (self.width * self.height))
        batch_frames = max(1, min(batch_frames, self.info.frames))
        shape = (batch_frames, self.height, self.width)
        damage = _Damage()
        done = 0
        with _ReadAhead(self._frames(damage), shape) as batches:
            for batch in batches:
                done += len(batch)
                yield batch
        self._check_end(damage, done)

    def _frames(self, damage: "_Damage") -> Iterator[NDArray[np.uint8]]:
        """Yield every frame (H, W), upright and cropped; each is valid until the next."""
        import av

        x, y, width, height = self.crop
        turns = round(self.info.rotation / 90)
        stored = (self.info.width, self.info.height)[:: -1 if turns % 2 else 1]
        # The prefix keeps names such as "take:2.mp4" from being addresses, and the whitelist a
        # playlist posing as a film from reaching the network.
        options = {"protocol_whitelist": "file,pipe"}
        try:
            with av.open(f"file:{self.name}", options=options) as container:
                for frame in self._decoded(container, damage):
                    if (frame.width, frame.height) != stored:
                        raise VisualMicError(
                            f"{self.name} holds frames of {frame.width}x{frame.height} pixels"
                            f" beside those of {stored[0]}x{stored[1]}; cut it where the size"
                            " changes, and hear the parts one by one"
                        )
                    yield np.rot90(_luma(frame), turns)[y : y + height, x : x + width]
        except av.FFmpegError as error:
            damage.add(error.strerror)

    def _decoded(
        self, container: "av.container.InputContainer", damage: "_Damage"
    ) -> Iterator["av.VideoFrame"]:
        import av

        stream = next(one for one in container.streams.video if not _is_cover(one))
        context = stream.codec_context
        if context is None:
            raise VisualMicError(
                f"{self.name} is coded by {self.info.codec}, which cannot be decoded here; convert"
                " it without loss: ffmpeg -i FILM -c:v ffv1 -fps_mode passthrough film.mkv"
            )
        context.thread_count = self._decoder_threads()
        context.thread_type = "FRAME" if context.thread_count > 1 else "NONE"
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                damage.add(error.strerror)
                continue
            for frame in frames:
                if frame.is_corrupt:
                    damage.add("a damaged frame")
                yield frame

    def _check_end(self, damage: "_Damage", done: int) -> None:
        reason = f" ({damage.first})" if damage.first else ""
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
        if damage.first:
            warnings.warn(
                f"{self.name}: the decoder found damage and patched it ({damage.first}); the sound"
                " may hold clicks there",
                VisualMicWarning,
                stacklevel=3,
            )

    def _decoder_threads(self) -> int:
        if self._threads is not None:
            return self._threads
        cores = os.cpu_count() or 1
        size = os.path.getsize(self.name) / max(self.info.frames, 1)
        # Handing a frame to another core can cost as much as decoding it.
        return 1 if cores <= _FEW_CORES or size < _LIGHT_FRAME_BYTES else cores


class _Damage:
    """What a decoder complained of first."""

    first = ""

    def add(self, what: str | None) -> None:
        """Note a complaint."""
        self.first = self.first or what or "no reason given"


def _is_cover(stream: "av.VideoStream") -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _luma(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """Give the luma of a frame (H, W) in 8 bits, without a copy where it has them."""
    name = frame.format.name
    if name in _MIXED:
        return _plane(frame, 2 * frame.width)[:, _MIXED[name] :: 2]
    if stored := _LUMA_FIRST.match(name):
        bits = int(stored[1] or 8)
    else:
        frame = frame.reformat(format="gray", dst_color_range="JPEG")
        bits = 8
    if bits == 8:
        return _plane(frame, frame.width)
    order = ">u2" if name.endswith("be") else "<u2"
    return _round_to_8_bits(_plane(frame, 2 * frame.width).view(order), bits)


def _plane(frame: "av.VideoFrame", line_bytes: int) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, :line_bytes]


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


class _ReadAhead:
    """Gather frames into batches on a thread of its own, while earlier ones are worked on.

    A batch is overwritten once the next but one is asked for.
    """

    def __init__(self, frames: Iterator[NDArray[np.uint8]], shape: tuple[int, ...]) -> None:
        self._frames = frames
        self._free: SimpleQueue[NDArray[np.uint8] | None] = SimpleQueue()
        self._full: SimpleQueue[NDArray[np.uint8] | BaseException | None] = SimpleQueue()
        self._shape = shape
        self._left = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "_ReadAhead":
        for _ in range(_BUFFERS):
            self._free.put(np.empty(self._shape, np.uint8))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._free.put(None)
        self._thread.join()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        while (got := self._full.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
            self._free.put(got.base)

    def _read(self) -> None:
        try:
            while (batch := self._free.get()) is not None:
                filled = 0
                for frame in self._frames:
                    batch[filled] = frame
                    filled += 1
                    if filled == len(batch) or self._left:
                        break
                if filled:
                    self._full.put(batch[:filled])
                if filled < len(batch):
                    break
            self._full.put(None)
        except BaseException as error:
            self._full.put(error)


def _round_to_8_bits(raw: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Round samples of `bits` bits to 8, halves upwards, the topmost staying below 256."""
    shift = bits - 8
    rounded = np.minimum(raw, (1 << bits) - 1 - (1 << (shift - 1))) + (1 << (shift - 1))
    return (rounded >> shift).astype(np.uint8)
