"""What a film holds: size, rates, frame times, sound track, and where its container lies.

ffprobe is not needed: one run of ffmpeg over the packets, which decodes nothing, prints the header
on standard error and the timestamp of every packet on standard output.
"""

import math
import os
import re
import warnings
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film import ffmpeg as runner
from visualmic.film.timing import FrameTiming, fit_timing

CAPTURE_RATE_TAGS = (
    "capturefps",
    "captureframerate",
    "originalframerate",
    "originalfps",
    "recordfps",
    "recordframerate",
    "sensorfps",
    "sensorframerate",
)
"""Endings of the tags that hold the rate of capture, in small letters without punctuation."""

_SAME_RATE = 0.005
_KEY, _CORRUPT, _DISCARD = 1, 2, 4
_SONY_BYTES = 256 << 10
_NO_STAMP = ("NOPTS", "-9223372036854775808")
_NOT_FILMS = {"tty": "a text", "ansi": "a text", "lrc": "a text", "image2": "a picture"}


@dataclass(frozen=True)
class FilmInfo:
    """What a film holds.

    Attributes
    ----------
    path : str
        The film.
    width, height : int
        Size in pixels after the rotation that the container asks for.
    frames : int
        Number of frames, counted from the packets.
    container_fps : float
        Mean frame rate of the container's timestamps, in hertz.
    capture_fps : float
        Frames per second of real time, in hertz.
    duration_s : float
        Real time from the first frame to the end of the last, in seconds.
    variable_frame_rate : bool
        Whether the timestamps are uneven beyond the container's rounding.
    rotation : int
        Counter-clockwise rotation that ffmpeg applies on decoding, in degrees.
    codec, pixel_format : str
        As ffmpeg names them.
    audio_rate : int or None
        Sampling rate of the sound track in hertz; None when there is none.
    capture_fps_source : str
        Where `capture_fps` comes from: ``option``, ``tags`` or ``container``.
    keyframe_interval : int or None
        Frames from one key frame to the next where three quarters of the intervals agree, else
        None.
    warnings : tuple of str
        What the user should know about the film.
    start_s : float
        Container time of the first frame, in seconds.
    audio_duration_s : float or None
        Container time that the sound track lasts, in seconds.
    time_s : ndarray, float64, (T,)
        Real time of every frame since the first, in seconds.
    keyframes : ndarray, int64, (K,)
        Indices of the key frames: codecs leave a jump in every channel there.
    bidirectional : ndarray, bool, (T,)
        Frames that were coded from later ones too: codecs spend least on these. All False where
        the container's times are too coarse to tell.
    entries : ndarray, int64, (E,)
        Key frames that nothing before or after leans across: decoding can begin there. Empty where
        the container's times are too coarse to tell.
    """

    path: str
    width: int
    height: int
    frames: int
    container_fps: float
    capture_fps: float
    duration_s: float
    variable_frame_rate: bool
    rotation: int
    codec: str
    pixel_format: str
    audio_rate: int | None
    capture_fps_source: str
    keyframe_interval: int | None
    warnings: tuple[str, ...] = ()
    start_s: float = 0.0
    audio_duration_s: float | None = None
    time_s: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros(0), repr=False, compare=False
    )
    keyframes: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False
    )
    bidirectional: NDArray[np.bool_] = field(
        default_factory=lambda: np.zeros(0, np.bool_), repr=False, compare=False
    )
    entries: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False
    )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        arrays = ("time_s", "keyframes", "bidirectional", "entries")
        facts = {name: value for name, value in asdict(self).items() if name not in arrays}
        facts["warnings"] = list(self.warnings)
        return facts


@dataclass
class _Header:
    """What ffmpeg prints about an input before it reads the packets."""

    format: str = ""
    codec: str = ""
    pixel_format: str = ""
    width: int = 0
    height: int = 0
    fps: float | None = None
    duration_s: float | None = None
    rotation: float = 0.0
    audio_rate: int | None = None
    capture_fps: float | None = None
    capture_tag: str = ""


@dataclass
class _Packets:
    """What the packets say: timestamps in ticks (NaN where missing), and flags.

    The tick is None where ffmpeg could not begin to read them.
    """

    tick_s: float | None
    stamps: NDArray[np.float64]
    flags: NDArray[np.uint8]
    sound_s: float | None


def probe_film(path: str | os.PathLike[str], fps: float | None = None) -> FilmInfo:
    """Read what a film holds, without decoding it.

    The rate of capture is `fps` where given, else a tag that a slow-motion camera left in the
    container, else the container's own rate. With a capture rate that differs from the
    container's, time runs ``container_fps / capture_fps`` times as fast as the timestamps.

    Parameters
    ----------
    path : path
        The film.
    fps : float, optional
        Frames per second at which it was filmed, in hertz.

    Returns
    -------
    FilmInfo
        Its `warnings` have been given by :func:`warnings.warn` as well.

    Raises
    ------
    VisualMicError
        If the file is missing, empty, no film, has no frames, or is cut short; or `fps` is not a
        positive number.
    """
    require_rate(fps, path)
    runner.require_file(path)
    log, packets = _read_packets(path)
    header = _parse_header(log)
    _require_whole_film(path, log, header, packets)
    if header.capture_fps is None and header.format.startswith("mov"):
        header.capture_fps, header.capture_tag = _noted_by_sony(path), "captureFps"
    if packets.stamps.size == 0:
        raise VisualMicError(f"{path} holds no frames; film again or check the export")
    timing = _timing(packets, header)
    capture_fps, source = timing.fps, "container"
    if fps is not None:
        capture_fps, source = float(fps), "option"
    elif header.capture_fps is not None:
        capture_fps, source = header.capture_fps, "tags"
    notes = _notes(path, header, packets, timing, capture_fps, source)
    for note in notes:
        warnings.warn(note, VisualMicWarning, stacklevel=2)
    time_s = timing.elapsed_s * (timing.fps / capture_fps)
    if not timing.variable:
        time_s = np.arange(packets.stamps.size) / capture_fps
    shown = np.argsort(packets.stamps, kind="stable")
    keyframes = np.flatnonzero(packets.flags[shown] & _KEY)
    upright = round(header.rotation / 90) % 2 == 0
    return FilmInfo(
        path=os.fspath(path),
        width=header.width if upright else header.height,
        height=header.height if upright else header.width,
        frames=int(packets.stamps.size),
        container_fps=timing.fps,
        capture_fps=capture_fps,
        duration_s=float(time_s[-1]) + 1.0 / capture_fps,
        variable_frame_rate=timing.variable,
        rotation=round(header.rotation),
        codec=header.codec,
        pixel_format=header.pixel_format,
        audio_rate=header.audio_rate,
        capture_fps_source=source,
        keyframe_interval=_keyframe_interval(keyframes),
        warnings=notes,
        start_s=timing.start_s,
        audio_duration_s=packets.sound_s if header.audio_rate else None,
        time_s=time_s,
        keyframes=keyframes,
        bidirectional=_coded_out_of_order(packets.stamps)[shown],
        entries=_entries(packets),
    )


def require_rate(fps: float | None, path: str | os.PathLike[str]) -> None:
    """Raise VisualMicError unless `fps` is None or a positive number of frames per second."""
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise VisualMicError(
            f"a frame rate of {fps:g} is not possible for {path}; give frames per second above 0"
        )


def _read_packets(path: str | os.PathLike[str]) -> tuple[str, _Packets]:
    """Log and packets of ffmpeg copying the film's first video and sound to nowhere."""
    film = runner.film_input(path)
    stream = ffmpeg.output(film["V:0"], film["a:0?"], "pipe:", format="framecrc", c="copy")
    with runner.piped(runner.command(stream, log_level="level+info")) as (process, errors):
        assert process.stdout is not None
        with open(process.stdout.fileno(), encoding="ascii", closefd=False) as table:
            packets = _parse_packets(table)
        if process.wait() < 0:
            raise VisualMicError(
                f"ffmpeg was killed by signal {-process.returncode} while it looked {path} over;"
                " free some memory and run again"
            )
        return runner.read_log(errors), packets


def _parse_header(log: str) -> _Header:
    """Read the first input's part of an ffmpeg log written with ``-v level+info``."""
    header = _Header()
    stream = ""
    for line in log.splitlines():
        text = line.removeprefix("[info] ")
        if text.startswith(("Output #", "Stream mapping")):
            break
        if found := re.match(r"Input #0, (.+), from ", text):
            header.format = found[1]
        elif found := re.match(r"\s+Duration: (\d+):(\d+):([\d.]+)", text):
            header.duration_s = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
        elif found := re.match(r"\s+Stream #0:\d+.*?: (Video|Audio|\w+): (.*)", text):
            stream = _parse_stream(header, found[1], found[2])
        elif found := re.match(r"\s+([^\s:][^:]*?)\s*: (.*)", text):
            _parse_tag(header, stream, found[1], found[2])
    return header


def _parse_stream(header: _Header, kind: str, text: str) -> str:
    """Read one stream's line; return "film", "sound" or "other" for the tags that follow."""
    if kind == "Video" and not header.codec and "(attached pic)" not in text:
        fields = re.split(r",\s*(?![^(]*\))", text)
        header.codec = fields[0].split(" ")[0]
        header.pixel_format = re.split(r"[ (]", fields[1])[0] if len(fields) > 1 else ""
        if size := re.search(r", (\d+)x(\d+)", text):
            header.width, header.height = int(size[1]), int(size[2])
        if rate := re.search(r", ([\d.]+)(k?) fps", text):
            header.fps = float(rate[1]) * (1000 if rate[2] else 1)
        return "film"
    if kind == "Audio" and header.audio_rate is None:
        if rate := re.search(r", (\d+) Hz", text):
            header.audio_rate = int(rate[1])
        return "sound"
    return "other"


def _parse_tag(header: _Header, stream: str, name: str, value: str) -> None:
    if stream in ("sound", "other"):
        return
    if name.strip().lower() in ("display matrix", "displaymatrix") and stream == "film":
        if found := re.search(r"rotation of (-?[\d.]+)", value):
            header.rotation = float(found[1])
        return
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if header.capture_fps is None and plain.endswith(CAPTURE_RATE_TAGS):
        rate = _rate(value)
        if rate is not None:
            header.capture_fps, header.capture_tag = rate, name.strip()


def _rate(text: str) -> float | None:
    """Read a rate written as ``240``, ``119.88p``, ``240.0 fps`` or ``240000/1001``."""
    found = re.match(r"\s*(\d+(?:\.\d+)?)(?:/(\d+))?", text)
    if not found or (found[2] and int(found[2]) == 0):
        return None
    rate = float(Fraction(found[1]) / int(found[2] or 1))
    return rate if 0 < rate < 1e8 else None


def _require_whole_film(
    path: str | os.PathLike[str], log: str, header: _Header, packets: _Packets
) -> None:
    """Raise VisualMicError unless ffmpeg found a film and read it to its end."""
    said = next(iter(runner.complaints(log)), "")
    if not header.format:
        raise VisualMicError(
            f"{path} is not a film that ffmpeg can read ({said or 'nothing recognised'}); give a"
            " film such as .mp4, .mov, .mkv or .avi, or copy it again if it was cut short"
        )
    what = _NOT_FILMS.get(header.format.split(",")[0])
    if header.format.endswith("_pipe") or what:
        what = what or "a picture"
        raise VisualMicError(f"{path} is {what}, not a film; give a film such as .mp4 or .mkv")
    if not header.codec or header.width == 0:
        raise VisualMicError(
            f"{path} holds no picture track that can be read; give a film, not only its sound"
        )
    if "partial file" in log or "File ended prematurely" in log:
        raise VisualMicError(
            f"{path} is cut short: the file ends before the film that its header promises; copy it"
            f" again, or keep what is there: ffmpeg -i {Path(path).name} -c copy whole.mkv"
        )
    if packets.tick_s is None and said:
        raise VisualMicError(f"{path} cannot be read: {said}; copy it again from the camera")


def _parse_packets(table: Iterable[str]) -> _Packets:
    """Read the output of ffmpeg's ``framecrc`` muxer: stream 0 is the film, stream 1 its sound."""
    ticks: dict[str, Fraction] = {}
    stamps, flags = array("d"), array("B")
    sound_first: int | None = None
    sound_last = 0
    for line in table:
        if line.startswith("#"):
            if line.startswith("#tb "):
                track, _, tick = line[4:].partition(": ")
                ticks[track] = Fraction(tick.strip())
            continue
        fields = line.split(",", 7)
        state = _KEY
        if len(fields) > 6 and fields[6].startswith(" F="):
            state = int(fields[6][3:], 16)
        if state & _DISCARD:
            continue
        stamp = fields[2].strip()
        if fields[0] == "0":
            stamps.append(math.nan if stamp in _NO_STAMP else int(stamp))
            flags.append(state & 0xFF)
        elif stamp not in _NO_STAMP:
            sound_first = int(stamp) if sound_first is None else min(int(stamp), sound_first)
            sound_last = max(sound_last, int(stamp) + int(fields[3]))
    film_stamps, film_flags = np.array(stamps, np.float64), np.array(flags, np.uint8)
    # Pictures before the first key frame lean on what is not there: no decoder shows them.
    first = int(np.argmax(film_flags & _KEY)) if film_flags.size else 0
    return _Packets(
        tick_s=float(ticks["0"]) if "0" in ticks else None,
        stamps=film_stamps[first:],
        flags=film_flags[first:],
        sound_s=None if sound_first is None else float((sound_last - sound_first) * ticks["1"]),
    )


def _noted_by_sony(path: str | os.PathLike[str]) -> float | None:
    """Find the capture rate in the XML that Sony cameras put near an end of their MP4 files."""
    with open(path, "rb") as stream:
        pieces = [stream.read(_SONY_BYTES)]
        stream.seek(max(0, os.path.getsize(path) - _SONY_BYTES))
        pieces.append(stream.read())
    for piece in pieces:
        if found := re.search(rb'captureFps="([^"]{1,20})"', piece):
            return _rate(found[1].decode("ascii", errors="replace"))
    return None


def _coded_out_of_order(stamps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which packets, in the order of the file, are shown before one that came earlier."""
    if len(np.unique(stamps)) < stamps.size or not np.isfinite(stamps).all():
        return np.zeros(stamps.size, np.bool_)
    latest = np.maximum.accumulate(stamps)
    return stamps < latest


def _entries(packets: _Packets) -> NDArray[np.int64]:
    """Give the places, in the order of showing, of key frames that all packets before precede."""
    stamps = packets.stamps
    if len(np.unique(stamps)) < stamps.size or not np.isfinite(stamps).all():
        return np.zeros(0, np.int64)
    earliest = np.minimum.accumulate(stamps[::-1])[::-1]
    latest = np.concatenate([[-np.inf], np.maximum.accumulate(stamps)[:-1]])
    parted = (earliest == stamps) & (latest < stamps)
    # Nothing crosses these, so their place in the file is that in time.
    return np.flatnonzero(parted & (packets.flags & _KEY > 0))


def _timing(packets: _Packets, header: _Header) -> FrameTiming:
    stamps = packets.stamps
    usable = bool(np.isfinite(stamps).all())
    if not usable:
        stamps = np.zeros_like(stamps)  # a bare stream has no times: count at the header's rate
    return fit_timing(np.sort(stamps), packets.tick_s or 1.0, header.fps)


def _keyframe_interval(keyframes: NDArray[np.int64]) -> int | None:
    gaps = np.diff(keyframes)
    if gaps.size == 0:
        return None
    lengths, counts = np.unique(gaps, return_counts=True)
    commonest = int(np.argmax(counts))
    return int(lengths[commonest]) if counts[commonest] >= 0.75 * gaps.size else None


def _notes(
    path: str | os.PathLike[str],
    header: _Header,
    packets: _Packets,
    timing: FrameTiming,
    capture_fps: float,
    source: str,
) -> tuple[str, ...]:
    """Say what the user should know: rates that disagree, uneven or missing times, damage."""
    notes = []
    if abs(capture_fps / timing.fps - 1) > _SAME_RATE:
        told = f"tag {header.capture_tag}" if source == "tags" else "given"
        notes.append(
            f"{path}: the container plays {timing.fps:g} frames per second, captured at"
            f" {capture_fps:g} ({told}); {capture_fps:g} is used"
        )
    tagged = header.capture_fps
    if source == "option" and tagged and abs(capture_fps / tagged - 1) > _SAME_RATE:
        notes.append(
            f"{path}: {capture_fps:g} frames per second given, but the camera wrote {tagged:g}"
            f" (tag {header.capture_tag}); {capture_fps:g} is used"
        )
    if timing.variable:
        steps = np.diff(timing.elapsed_s) * 1e3
        notes.append(
            f"{path}: variable frame rate, {steps.min():.3g} to {steps.max():.3g} ms between"
            " frames; signals are resampled to even times"
        )
    if np.isnan(packets.stamps).any():
        notes.append(
            f"{path}: frames without timestamps; {timing.fps:g} per second assumed, give the true"
            " rate by --fps"
        )
    if (packets.flags & _CORRUPT).any():
        notes.append(f"{path}: some packets are damaged; the sound may hold clicks there")
    return tuple(notes)
