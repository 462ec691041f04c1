"""Luma frames straight from a film, as filmed, in batches of bounded size.

The Y plane is taken as the camera stored it: no change of range, no detour over RGB. Samples of
more than 8 bits are rounded to 8. Pictures stored as RGB have no luma: theirs is computed by
BT.601, :math:`Y = 0.299 R + 0.587 G + 0.114 B`. Rotation is honoured, then the crop.
"""

import os
import re
import subprocess
import threading
import warnings
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film import ffmpeg as runner
from visualmic.film.probe import FilmInfo, probe_film

BATCH_BYTES = 4 << 20
"""Wished size of a batch of frames: small enough for the cache of a processor."""

_BUFFERS = 3
# Frames that take less than this in the film, and cores, for which one thread decodes best.
_LIGHT_FRAME_BYTES = 500
_FEW_CORES = 4

_PLANAR = re.compile(r"yuv(?:a|j)?4\d\dp(\d*)(le|be)?$")
_GRAY = re.compile(r"gray(\d*)(le|be)?$")
_REPACKED = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
}
"""Formats whose luma lies between other samples, and the plane format with the same luma."""


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
        filters, bits = self._filters()
        size = self.width * self.height
        if batch_frames is None:
            batch_frames = max(1, BATCH_BYTES // size)
        batch_frames = max(1, min(batch_frames, self.info.frames))
        shape = (batch_frames, self.height, self.width)
        raw = [np.empty(shape, "<u2" if bits > 8 else np.uint8) for _ in range(_BUFFERS)]
        luma = np.empty(shape, np.uint8) if bits > 8 else None
        frame_bytes = size * raw[0].itemsize
        done = 0
        with runner.piped(self._command(filters)) as (process, errors):
            assert process.stdout is not None
            with _ReadAhead(process, [one.reshape(-1).view(np.uint8).data for one in raw]) as pipe:
                for which, filled in pipe:
                    frames = filled // frame_bytes
                    done += frames
                    if not frames:
                        break
                    if luma is None:
                        yield raw[which][:frames]
                    else:
                        _round_to_8_bits(raw[which][:frames], luma[:frames], bits)
                        yield luma[:frames]
            status = process.wait()
            said = runner.complaints(runner.read_log(errors))
            # Stamps rounded to equal ticks offend the muxer, which writes every frame all the same.
            self._check_end(status, [line for line in said if "to muxer" not in line], done)

    def _check_end(self, status: int, said: list[str], done: int) -> None:
        reason = f" ({said[0]})" if said else ""
        if done < self.info.frames or status != 0:
            raise VisualMicError(
                f"{self.name} is damaged: only {done} of its {self.info.frames} frames can be"
                f" decoded{reason}; copy it again from the camera, or cut the damaged part off"
            )
        if done > self.info.frames:
            raise VisualMicError(
                f"{self.name} gave {done} frames where its packets promise {self.info.frames};"
                " make a clean copy: ffmpeg -i FILM -c:v ffv1 -fps_mode passthrough clean.mkv"
            )
        if said:
            warnings.warn(
                f"{self.name}: ffmpeg found damage and patched it ({said[0]}); the sound may hold"
                " clicks there",
                VisualMicWarning,
                stacklevel=3,
            )

    def _command(self, filters: list[str]) -> list[str]:
        threads = self._threads
        if threads is None and self._is_light():
            threads = 1
        options = {} if threads is None else {"threads": threads}
        stream = runner.film_input(self.name, **options).output(
            "pipe:",
            format="rawvideo",
            map="0:V:0",
            vf=",".join(filters),
            **runner.keep_every_frame(),
        )
        return runner.command(stream, log_level="level+error")

    def _is_light(self) -> bool:
        """Whether handing a frame to another core costs as much as decoding it."""
        size = os.path.getsize(self.name) / max(self.info.frames, 1)
        return size < _LIGHT_FRAME_BYTES and (os.cpu_count() or 1) <= _FEW_CORES

    def _filters(self) -> tuple[list[str], int]:
        """Choose filters that end in one plane of luma; also return its bits a sample."""
        pixels = self.info.pixel_format
        steps = []
        if pixels in _REPACKED:
            pixels = _REPACKED[pixels]
            steps.append(f"format={pixels}")
        planar, gray = _PLANAR.match(pixels), _GRAY.match(pixels)
        if planar or gray:
            # Cropping first moves no byte, and `exact` keeps odd offsets odd in the luma plane.
            steps += self._crop_filter()
        if planar:
            steps.append("extractplanes=y")
        elif not gray:
            steps += ["format=gray", *self._crop_filter()]
        depth = int((planar or gray or [""] * 2)[1] or 8)
        if depth > 8:
            steps.append(f"format=gray{depth}le")
        return steps or ["null"], depth

    def _crop_filter(self) -> list[str]:
        x, y, width, height = self.crop
        if (width, height) == (self.info.width, self.info.height):
            return []
        return [f"crop={width}:{height}:{x}:{y}:exact=1"]


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
    """Read a program's output into buffers in turn while earlier ones are worked on.

    Without it, a decoder would stand still whenever its pipe, of a few frames, is full. Iterating
    gives the number of a buffer and the bytes in it, the last one less than full; the buffer is
    filled again once the next is asked for.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", buffers: list[memoryview]) -> None:
        assert process.stdout is not None
        self._process = process
        self._descriptor = process.stdout.fileno()
        self._buffers = buffers
        self._free: SimpleQueue[int | None] = SimpleQueue()
        self._full: SimpleQueue[tuple[int, int] | OSError] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "_ReadAhead":
        for which in range(len(self._buffers)):
            self._free.put(which)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.put(None)
        if not self._ended:
            # The read may wait for more, and ends with the program only.
            self._process.kill()
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while True:
            got = self._full.get()
            if isinstance(got, OSError):
                raise got
            which, filled = got
            self._ended = filled < len(self._buffers[which])
            yield which, filled
            if self._ended:
                return
            self._free.put(which)

    def _read(self) -> None:
        try:
            while (which := self._free.get()) is not None:
                filled = _fill(self._descriptor, self._buffers[which])
                self._full.put((which, filled))
                if filled < len(self._buffers[which]):
                    return
        except OSError as error:
            self._full.put(error)


def _fill(descriptor: int, buffer: memoryview) -> int:
    """Read from a pipe until `buffer` is full or the pipe ends; return the bytes read."""
    filled = 0
    while filled < len(buffer):
        count = os.readv(descriptor, [buffer[filled:]])
        if count == 0:
            break
        filled += count
    return filled


def _round_to_8_bits(raw: NDArray[np.uint16], luma: NDArray[np.uint8], bits: int) -> None:
    """Round samples of `bits` bits to 8, halves upwards, the topmost staying below 256."""
    shift = bits - 8
    np.minimum(raw, (1 << bits) - 1 - (1 << (shift - 1)), out=raw)
    raw += 1 << (shift - 1)
    raw >>= shift
    np.copyto(luma, raw, casting="unsafe")
