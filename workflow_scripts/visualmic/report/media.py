"""Sounds and pictures in the form in which the page carries them.

Sounds travel as 16-bit PCM at their own rate in base64, and the page raises them to a rate that
every browser plays: a sound recovered at 2200 Hz takes 4.4 kB a second so, less than any codec
that plays everywhere, and the page computes its spectrograms from the same numbers that are heard.
"""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from visualmic.errors import VisualMicError
from visualmic.report.contents import HeatMap, Recording

LISTENING_RATE = 16_000
"""Highest rate at which a reference is carried, in hertz."""

MAX_IMAGE_WIDTH = 960
MAX_HEAT_SIDE = 240
HEAT_FLOOR = 0.04
HEAT_COLOURS = "plasma"
SPECTROGRAM_COLOURS = "magma"
DIFFERENCE_COLOURS = "PuOr_r"
STRIP_WIDTH, STRIP_HEIGHT = 560, 112


def sound_tracks(recording: Recording) -> list[dict[str, Any]]:
    """Give the tracks of a recording's player on one timeline, that of its film.

    Parameters
    ----------
    recording : Recording
        Its reference and sounds.

    Returns
    -------
    list of dict
        One a track, the reference first: ``key``, ``label``, ``kind`` (``reference``, ``wide`` for
        the reference at its full band, ``method``), ``rate`` in hertz, ``start_s`` where its first
        sample stands on the timeline, ``seconds`` and ``pcm`` (base64 of little-endian int16).
        A method's sound is moved by the lag and turned by the polarity found when it was scored.

    Raises
    ------
    VisualMicError
        If a sound file cannot be read.
    """
    heard = [h for h in recording.hearings if h.sound is not None]
    tracks = []
    if recording.reference is not None:
        offset_s = recording.number("offset_s") or 0.0
        # The film's own part of the reference: what was recorded before and after is left out.
        played, rate = _read_mono(recording.reference, offset_s, recording.number("duration_s"))
        capture = recording.number("capture_fps")
        wide_rate = min(rate, LISTENING_RATE)
        start_s = max(0.0, -offset_s)
        if recording.reference_as_filmed is not None:
            filmed, filmed_rate = _read_mono(recording.reference_as_filmed)
            tracks.append(_track("reference", "reference", filmed, filmed_rate, 0.0))
        else:
            filmed_rate = round(capture) if capture and capture < rate else rate
            filmed = _resampled(played, rate, filmed_rate)
            tracks.append(_track("reference", "reference", filmed, filmed_rate, start_s))
        if wide_rate > 1.05 * filmed_rate:
            wide = _resampled(played, rate, wide_rate)
            tracks.append(_track("wide", "wide", wide, wide_rate, start_s))
    for hearing in heard:
        assert hearing.sound is not None
        samples, rate = _read_mono(hearing.sound)
        tracks.append(
            _track(hearing.method, "method", hearing.polarity * samples, rate, 0.0 - hearing.lag_s)
        )
    return tracks


def _track(
    key: str, kind: str, samples: NDArray[np.float64], rate: int, start_s: float
) -> dict[str, Any]:
    peak = float(np.abs(samples).max(initial=0.0))
    scaled = samples * (32_000 / peak) if peak > 0 else samples
    return {
        "key": key,
        "kind": kind,
        "rate": rate,
        "start_s": round(start_s, 6),
        "seconds": samples.size / rate,
        "pcm": base64.b64encode(np.round(scaled).astype("<i2").tobytes()).decode("ascii"),
    }


def track_samples(track: Mapping[str, Any]) -> NDArray[np.float64]:
    """Give the samples of a track, ``(N,)``, as :func:`sound_tracks` encoded them."""
    return np.frombuffer(base64.b64decode(track["pcm"]), "<i2").astype(np.float64)


def _read_mono(
    path: Path, from_s: float = 0.0, seconds: float | None = None
) -> tuple[NDArray[np.float64], int]:
    """Read the part of a sound that lies within `seconds` of `from_s`, or all after it."""
    try:
        with soundfile.SoundFile(path) as sound:
            rate = sound.samplerate
            first = min(max(0, round(from_s * rate)), sound.frames)
            last = sound.frames if seconds is None else round((from_s + seconds) * rate)
            sound.seek(first)
            samples = sound.read(max(0, last - first), dtype="float64", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; delete it and run again") from error
    mono = samples.mean(axis=1)
    return np.where(np.isfinite(mono), mono, 0.0), int(rate)


def _resampled(samples: NDArray[np.float64], rate: int, new_rate: int) -> NDArray[np.float64]:
    if rate == new_rate or samples.size == 0:
        return samples
    divisor = math.gcd(rate, new_rate)
    return np.asarray(resample_poly(samples, new_rate // divisor, rate // divisor))


def spectrogram_strip(track: Mapping[str, Any], until_s: float, nyquist_hz: float) -> str:
    """Draw a track's spectrogram as a JPEG data URI, 60 dB down from its loudest point.

    Parameters
    ----------
    track : mapping
        As :func:`sound_tracks` gives it.
    until_s : float
        Time shown from the start of the film, in seconds.
    nyquist_hz : float
        Highest frequency shown, in hertz.
    """
    rate = track["rate"]
    samples = track_samples(track)
    length = max(16, round(min(0.09, until_s / 8) * rate))
    size = max(512, 1 << (2 * length - 1).bit_length())
    times = (np.arange(STRIP_WIDTH) + 0.5) / STRIP_WIDTH * until_s - track["start_s"]
    starts = np.round(times * rate - length / 2).astype(np.int64)
    padded = np.pad(samples, length)
    index = np.clip(starts[:, None] + length + np.arange(length), 0, padded.size - 1)
    power = np.abs(np.fft.rfft(padded[index] * np.hanning(length), size)) ** 2
    wanted = (np.arange(STRIP_HEIGHT) + 0.5) / STRIP_HEIGHT * nyquist_hz
    level = 10 * np.log10(power[:, np.round(wanted / rate * size).astype(np.int64)] + 1e-9)
    strength = np.clip((level - level.max()) / 60 + 1, 0.0, 1.0).T[::-1]
    colours = coloured(strength if samples.any() else np.zeros_like(strength), SPECTROGRAM_COLOURS)
    return _encoded(colours[..., ::-1], ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 86])


def first_frame(path: Path) -> tuple[str, int, int]:
    """Give the first frame of a frame store as a JPEG data URI, with its width and height.

    Raises
    ------
    VisualMicError
        If the frame store cannot be read.
    """
    try:
        with h5py.File(path, "r") as store:
            frame = np.asarray(store["frames"][0])
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; delete it and run again") from error
    height, width = frame.shape
    if width > MAX_IMAGE_WIDTH:
        size = (MAX_IMAGE_WIDTH, max(1, round(height * MAX_IMAGE_WIDTH / width)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return _encoded(frame, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 82]), width, height


def heat_overlay(heat: HeatMap, width: int, height: int) -> str | None:
    """Draw a heat map to be laid over a frame: a transparent PNG data URI of the frame's shape.

    Strength goes from transparent to opaque through the colours of :data:`HEAT_COLOURS`, linearly
    from the 5th to the 99th percentile of the values.

    Parameters
    ----------
    heat : HeatMap
        Values at block centres.
    width, height : int
        Size of the frame as filmed, in pixels.

    Returns
    -------
    str or None
        None where no block has a finite value.
    """
    x, y, value = (np.asarray(v, dtype=float) for v in (heat.x_px, heat.y_px, heat.value))
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(value)
    if not known.any():
        return None
    low, high = np.percentile(value[known], [5, 99])
    strength = np.clip((value - low) / max(high - low, 1e-12), 0.0, 1.0)
    scale = min(1.0, MAX_HEAT_SIDE / max(width, height))
    canvas = np.zeros((max(1, round(height * scale)), max(1, round(width * scale))))
    half = heat.size_px / 2
    # The strongest block is drawn last, so that overlapping blocks show what was heard best.
    for i in np.flatnonzero(known)[np.argsort(strength[known])]:
        top, left = round((y[i] - half) * scale), round((x[i] - half) * scale)
        bottom = max(top + 1, round((y[i] + half) * scale))
        right = max(left + 1, round((x[i] + half) * scale))
        canvas[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = strength[i]
    colours = coloured(canvas)
    alpha = np.where(canvas > HEAT_FLOOR, 40 + 180 * canvas, 0)
    picture = np.dstack([colours[..., ::-1], alpha]).astype(np.uint8)
    return _encoded(picture, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def coloured(strength: NDArray[np.float64], colours: str = HEAT_COLOURS) -> NDArray[np.uint8]:
    """Colour strengths 0 to 1, ``(...)``, as RGB ``(..., 3)`` by a map of matplotlib."""
    from matplotlib import colormaps

    return np.asarray(np.round(255 * colormaps[colours](strength)[..., :3]), np.uint8)


def palette(name: str) -> str:
    """Give 256 colours of a matplotlib map as one string of hexadecimal RGB triplets."""
    from matplotlib import colormaps

    colours = np.round(255 * colormaps[name](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    return colours.tobytes().hex()


def picture_uri(path: Path) -> str:
    """Give a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _encoded(picture: NDArray[np.uint8], suffix: str, options: list[int]) -> str:
    done, data = cv2.imencode(suffix, picture, options)
    if not done:
        raise ValueError(f"no {suffix} picture could be made")
    kind = {".jpg": "jpeg", ".png": "png"}[suffix]
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode("ascii")
