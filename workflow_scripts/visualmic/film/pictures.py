"""The pictures of a film, decoded one after another: their luma, upright and cropped."""

import math
import re
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.film.probe import FilmInfo

if TYPE_CHECKING:
    import av

# Formats whose first plane is luma alone, and those that mix it into lines, by where it begins.
_LUMA_FIRST = re.compile(r"(?:yuv(?:a|j)?4\d\dp|gray)(\d*)(le|be)?$|nv\d\d$")
_MIXED = {"yuyv422": 0, "yvyu422": 0, "uyvy422": 1}


class GroupLost(Exception):
    """A group of pictures is not where the times of the film promise it."""


class Pictures:
    """A film that is open for decoding.

    Parameters
    ----------
    info : FilmInfo
        What :func:`visualmic.film.probe.probe_film` says of the film.
    crop : tuple of int
        ``(x, y, width, height)`` in pixels of the upright frame.
    threads : int
        Frames that are decoded at a time.

    Attributes
    ----------
    damage : str
        What the decoder complained of first; empty where all is well.

    Raises
    ------
    VisualMicError
        If there is no decoder for the film.
    """

    def __init__(self, info: FilmInfo, crop: tuple[int, int, int, int], threads: int = 1) -> None:
        self.damage = ""
        self._info = info
        self._crop = crop
        self._threads = threads
        self._turns = round(info.rotation / 90)
        self._stored = (info.width, info.height)[:: -1 if self._turns % 2 else 1]
        self._container: av.container.InputContainer | None = None
        self._start: int | None = None

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every frame (H, W); each is valid until the next."""
        import av

        try:
            container, stream = self._opened()
            for packet in container.demux(stream):
                yield from self._decoded(packet)
        except av.FFmpegError as error:
            self._complain(error.strerror)

    def group(self, first: int, stop: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames from `first`, where decoding can begin, to `stop`, where it can again.

        Raises
        ------
        GroupLost
            If they are not just so many, or damaged.
        """
        import av

        try:
            container, stream = self._opened()
            assert stream.time_base is not None
            ticks = self._info.capture_fps / self._info.container_fps / float(stream.time_base)
            frame = 1 / self._info.capture_fps * ticks
            if self._start is None:
                self._start = next(
                    packet.pts or 0 for packet in container.demux(stream) if packet.is_keyframe
                )
            wanted = self._start + float(self._info.time_s[first]) * ticks
            container.seek(round(wanted + frame / 2), stream=stream)
            given = 0
            for packet in self._packets_of(stream, wanted, frame, stop - first):
                for luma in self._decoded(packet):
                    given += 1
                    # Nothing that may be out of place is handed on.
                    if self.damage or given > stop - first:
                        raise GroupLost
                    yield luma
        except av.FFmpegError as error:
            raise GroupLost from error
        if self.damage or given < stop - first:
            raise GroupLost

    def _packets_of(
        self, stream: "av.VideoStream", wanted: float, frame: float, count: int
    ) -> "Iterator[av.Packet | None]":
        """Yield `count` packets from the key frame at `wanted` on, in ticks, then None."""
        assert self._container is not None
        taken = 0
        for packet in self._container.demux(stream):
            if not taken:
                late = packet.pts - wanted if packet.pts is not None else math.inf
                if late > frame / 2:
                    raise GroupLost
                if late < -frame / 2 or not packet.is_keyframe:
                    continue
            yield packet
            taken += 1
            if taken == count:
                break
        yield None

    def _opened(self) -> "tuple[av.container.InputContainer, av.VideoStream]":
        import av

        if self._container is None:
            # The prefix keeps names such as "take:2.mp4" from being addresses, and the whitelist a
            # playlist posing as a film from reaching the network.
            self._container = av.open(
                f"file:{self._info.path}", options={"protocol_whitelist": "file,pipe"}
            )
        stream = next(one for one in self._container.streams.video if not _is_cover(one))
        if stream.codec_context is None:
            raise VisualMicError(
                f"{self._info.path} is coded by {self._info.codec}, which cannot be decoded here;"
                " convert it without loss: ffmpeg -i FILM -c:v ffv1 -fps_mode passthrough film.mkv"
            )
        if not stream.codec_context.is_open:
            stream.codec_context.thread_count = self._threads
            stream.codec_context.thread_type = "FRAME" if self._threads > 1 else "NONE"
        self._stream = stream
        return self._container, stream

    def _decoded(self, packet: "av.Packet | None") -> Iterator[NDArray[np.uint8]]:
        """Decode one packet, or with None what the decoder still holds."""
        import av

        x, y, width, height = self._crop
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            self._complain(error.strerror)
            return
        for frame in frames:
            if frame.is_corrupt:
                self._complain("a damaged frame")
            if (frame.width, frame.height) != self._stored:
                raise VisualMicError(
                    f"{self._info.path} holds frames of {frame.width}x{frame.height} pixels beside"
                    f" those of {self._stored[0]}x{self._stored[1]}; cut it where the size"
                    " changes, and hear the parts one by one"
                )
            upright = _luma(frame)
            if self._turns:
                upright = np.rot90(upright, self._turns)
            yield upright[y : y + height, x : x + width]

    def _complain(self, what: str | None) -> None:
        self.damage = self.damage or what or "no reason given"


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


def _round_to_8_bits(raw: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Round samples of `bits` bits to 8, halves upwards, the topmost staying below 256."""
    shift = bits - 8
    rounded = np.minimum(raw, (1 << bits) - 1 - (1 << (shift - 1))) + (1 << (shift - 1))
    return (rounded >> shift).astype(np.uint8)
