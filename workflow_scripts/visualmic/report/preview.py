"""A film of the film with the recovered sound as its track, to be watched anywhere.

It plays at the speed of real time: the frames between two pictures are averaged, as a camera with
a longer exposure would have done, so that picture and sound stay in step. H.264 in 4:2:0 with AAC,
index first, which browsers and phones play.
"""

import math
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import cv2
import ffmpeg
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import resample_poly

from visualmic.atomic import atomic_path
from visualmic.audio.reference import subsample_to_frames
from visualmic.audio.wav import write_wav
from visualmic.errors import VisualMicError
from visualmic.film import ffmpeg as runner
from visualmic.film.source import FrameSource
from visualmic.progress import Progress
from visualmic.report.magnification import (
    LockIn,
    Magnifier,
    SoundHeat,
    analytic_sound,
    strobe_phases,
    windows_of,
)
from visualmic.report.media import coloured

SOUND_RATE = 48_000
SWING_HZ = 3.0
"""Rate at which a magnified vibration is seen to swing, in hertz."""

LEAST_FRAMES_A_PICTURE = 4
_LARGEST_SIDE = 1280
_LEAST_SIDE = 360
_LOUDEST_OPACITY = 0.6
_STRIP = 0.16


@dataclass(frozen=True)
class PreviewSettings:
    """How a film is shown.

    Attributes
    ----------
    shown_fps : float
        Pictures per second; a film filmed at less keeps its own rate.
    heat_map : bool
        Colour the places that move along with the sound, the brighter the louder.
    magnify : float
        Show the motion that goes along with the sound this many times larger, slowed down to
        `SWING_HZ`; 0 leaves the picture as it was.
    waveform : bool
        Draw the sound below the picture, with the place that is heard.
    """

    shown_fps: float = 30.0
    heat_map: bool = False
    magnify: float = 0.0
    waveform: bool = False


def write_preview(
    source: FrameSource,
    time_s: NDArray[np.float64],
    sound: ArrayLike,
    rate: float,
    output: str | os.PathLike[str],
    settings: PreviewSettings | None = None,
    quiet: bool = False,
) -> None:
    """Write a film with a sound as its track.

    Parameters
    ----------
    source : FrameSource
        The frames; they are read once, and once more for a heat map.
    time_s : ndarray, float64, (T,)
        Time of each frame since the first, in seconds of real time.
    sound : array_like, (N,)
        What was heard, beginning with the first frame.
    rate : float
        Its samples per second, in hertz.
    output : path
        The MP4 to make; it appears whole or not at all.
    settings : PreviewSettings, optional
        How the film is shown.
    quiet : bool
        Show no progress.

    Raises
    ------
    VisualMicError
        If a setting is out of range, the sound is shorter than the film, frames are too few for
        their motion to be magnified, or ffmpeg cannot write the film.
    """
    settings = settings or PreviewSettings()
    sound = np.asarray(sound, np.float64)
    shown_fps = min(settings.shown_fps, source.capture_fps)
    _check(source, settings, shown_fps)
    windows = windows_of(time_s, shown_fps)
    follows = settings.heat_map or settings.magnify > 0
    analytic = np.zeros(len(time_s), np.complex64)
    if follows:
        analytic = analytic_sound(subsample_to_frames(sound, rate, time_s, name="the sound"))
    duration_s = len(windows) / shown_fps
    heat = _heat(source, windows, analytic, quiet) if settings.heat_map else None
    pictures = _pictures(source, windows, analytic, shown_fps, settings)
    loudness = _loudness(sound, rate, len(windows), shown_fps)
    canvas = _Canvas(source, settings, sound[: math.ceil(duration_s * rate)], heat)
    with (
        atomic_path(output) as temporary,
        tempfile.TemporaryDirectory() as scratch,
        Progress("write the preview", len(windows), unit="picture", quiet=quiet) as progress,
    ):
        track = Path(scratch) / "sound.wav"
        write_wav(track, _track(sound, rate, duration_s), SOUND_RATE)
        with _encoder(temporary, track, canvas.size, shown_fps) as pipe:
            for index, picture in enumerate(pictures):
                place = (index + 0.5) / len(windows)
                pipe.write(canvas.draw(picture, float(loudness[index]), place).tobytes())
                progress.advance()


def _check(source: FrameSource, settings: PreviewSettings, shown_fps: float) -> None:
    if not 1 <= settings.shown_fps <= 120:
        raise VisualMicError(
            f"{settings.shown_fps:g} pictures per second cannot be shown; give 1 to 120"
        )
    if not (math.isfinite(settings.magnify) and settings.magnify >= 0):
        raise VisualMicError(
            f"motion cannot be magnified {settings.magnify:g} times; give 0 or more"
        )
    follows = settings.heat_map or settings.magnify > 0
    if follows and source.capture_fps < LEAST_FRAMES_A_PICTURE * shown_fps:
        raise VisualMicError(
            f"{source.name} has {source.capture_fps:g} frames per second, too few to follow a sound"
            f" between pictures; leave the heat map and the magnification out, or show at most"
            f" {source.capture_fps / LEAST_FRAMES_A_PICTURE:g} pictures per second"
        )


def _windowed(
    source: FrameSource, windows: Sequence[slice]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield the frames of each picture as float32 ``(B, H, W)``, however they come in batches."""
    waiting: list[NDArray[np.uint8]] = []
    first = 0
    remaining = iter(windows)
    window = next(remaining, None)
    done = 0
    for batch in source.batches():
        waiting.append(batch.copy())
        done += len(batch)
        while window is not None and window.stop <= done:
            frames = np.concatenate(waiting)
            yield window, frames[window.start - first : window.stop - first].astype(np.float32)
            waiting, first = [frames[window.stop - first :]], window.stop
            window = next(remaining, None)


def _heat(
    source: FrameSource, windows: Sequence[slice], analytic: NDArray[np.complex64], quiet: bool
) -> NDArray[np.float64]:
    """Give the opacity, 0 to 1, of each block's colour."""
    # A block holds some texture, so that the map shows places and not only edges.
    block = max(8, round(max(source.width, source.height) / 20))
    found = SoundHeat((source.height, source.width), block)
    with Progress("find where it was heard", len(windows), unit="picture", quiet=quiet) as progress:
        for window, frames in _windowed(source, windows):
            if len(frames) > 1:
                found.add(frames, analytic[window])
            progress.advance()
    level_db = 10 * np.log10(np.maximum(found.strength(), 1e-6))
    # Chance alone reaches 3 dB in some block of most films.
    top_db = max(float(level_db.max()), 6.0)
    return np.clip((level_db - 3.0) / (top_db - 3.0), 0.0, 1.0)


def _pictures(
    source: FrameSource,
    windows: Sequence[slice],
    analytic: NDArray[np.complex64],
    shown_fps: float,
    settings: PreviewSettings,
) -> Iterator[NDArray[np.float32]]:
    """Yield the picture ``(H, W)`` of each window, in grey levels."""
    shape = (source.height, source.width)
    lock_in = LockIn(shape)
    magnifier = Magnifier(shape, settings.magnify) if settings.magnify > 0 else None
    phases = strobe_phases(len(windows), shown_fps, SWING_HZ)
    picture = np.zeros(shape, np.float32)
    for index, (window, frames) in enumerate(_windowed(source, windows)):
        if len(frames) and magnifier is None:
            picture = frames.mean(axis=0)
        elif len(frames) and magnifier is not None:
            lock_in.add(frames, analytic[window])
            mean, push = lock_in.result()
            moved = mean + (push * np.exp(1j * phases[index])).real.astype(np.float32)
            picture = magnifier.magnify(mean, moved)
        # A gap in the film shows the picture before it.
        yield picture


def _loudness(
    sound: NDArray[np.float64], rate: float, pictures: int, shown_fps: float
) -> NDArray[np.float64]:
    """Loudness of the sound at each picture, 0 to 1: its root mean square over the loudest."""
    edges = np.minimum(np.round(np.arange(pictures + 1) / shown_fps * rate), sound.size)
    power = np.concatenate([[0.0], np.cumsum(np.square(sound))])
    samples = np.maximum(np.diff(edges), 1)
    loud = np.sqrt(np.maximum(np.diff(power[edges.astype(np.int64)]), 0.0) / samples)
    peak = float(loud.max(initial=0.0))
    return np.asarray(loud / peak if peak > 0 else loud)


def _track(sound: NDArray[np.float64], rate: float, duration_s: float) -> NDArray[np.float64]:
    """Raise the sound to a rate that players take, and give it the length of the film."""
    ratio = Fraction(SOUND_RATE / rate).limit_denominator(2000)
    raised = resample_poly(sound, ratio.numerator, ratio.denominator)
    wanted = round(duration_s * SOUND_RATE)
    return np.asarray(np.pad(raised[:wanted], (0, max(0, wanted - raised.size))))


class _Canvas:
    """Turns pictures in grey levels into frames of the preview."""

    def __init__(
        self,
        source: FrameSource,
        settings: PreviewSettings,
        sound: NDArray[np.float64],
        heat: NDArray[np.float64] | None,
    ) -> None:
        side = min(source.width, source.height)
        scale = float(max(1, math.ceil(_LEAST_SIDE / side)))
        scale = min(scale, _LARGEST_SIDE / max(source.width, source.height))
        # 4:2:0 holds colour for pairs of pixels, so both sides are even.
        self._picture = (_even(source.width * scale), _even(source.height * scale))
        width, height = self._picture
        strip = _even(_STRIP * height) if settings.waveform else 0
        self.size = (width, height + strip)
        self._heat = None
        if heat is not None:
            smooth = np.asarray(
                cv2.resize(heat, self._picture, interpolation=cv2.INTER_CUBIC), np.float64
            )
            smooth = np.clip(smooth, 0.0, 1.0)
            self._heat = smooth[..., None], coloured(smooth).astype(np.float32)
        self._strip = _wave_strip(sound, width, strip) if strip else None

    def draw(
        self, picture: NDArray[np.float32], loudness: float, place: float
    ) -> NDArray[np.uint8]:
        """Draw a picture ``(H, W)`` at this loudness and place in the sound, both 0 to 1."""
        enlarged = cv2.resize(picture, self._picture, interpolation=cv2.INTER_CUBIC)
        frame = np.repeat(np.clip(enlarged, 0, 255)[..., None], 3, axis=2)
        if self._heat is not None:
            strength, colours = self._heat
            opacity = (_LOUDEST_OPACITY * (0.2 + 0.8 * loudness)) * strength
            frame = (1 - opacity) * frame + opacity * colours
        shown = np.round(frame).astype(np.uint8)
        if self._strip is None:
            return shown
        strip = self._strip.copy()
        column = min(int(place * strip.shape[1]), strip.shape[1] - 2)
        strip[:, column : column + 2] = 255
        # What has not been heard yet is dimmer.
        strip[:, column + 2 :] //= 2
        return np.vstack([shown, strip])


def _even(size: float) -> int:
    return max(2, 2 * round(size / 2))


def _wave_strip(sound: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Draw a sound from its lowest to its highest sample in each column."""
    strip = np.full((height, width, 3), 18, np.uint8)
    peak = float(np.abs(sound).max(initial=0.0))
    edges = np.round(np.linspace(0, sound.size, width + 1)).astype(np.int64)
    for column in range(width if peak > 0 else 0):
        part = sound[edges[column] : max(edges[column + 1], edges[column] + 1)]
        if part.size:
            top = round((0.5 - 0.46 * float(part.max()) / peak) * height)
            bottom = round((0.5 - 0.46 * float(part.min()) / peak) * height)
            strip[top : bottom + 1, column] = (116, 199, 214)
    return strip


@contextmanager
def _encoder(output: Path, track: Path, size: tuple[int, int], fps: float) -> Iterator[IO[bytes]]:
    """Give a pipe that takes RGB frames and is a film with `track` when the block ends."""
    exact = Fraction(fps).limit_denominator(1001)
    frames = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{size[0]}x{size[1]}", framerate=str(exact)
    )
    stream = ffmpeg.output(
        frames,
        runner.film_input(track),
        f"file:{output}",
        vcodec="libx264",
        pix_fmt="yuv420p",
        preset="medium",
        crf=20,
        acodec="aac",
        audio_bitrate="160k",
        movflags="+faststart",
        format="mp4",
    ).overwrite_output()
    # The frames come through standard input, which the common options close.
    arguments = [part for part in runner.command(stream) if part != "-nostdin"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        )
        assert process.stdin is not None
        finished = False
        try:
            yield process.stdin
            process.stdin.close()
            finished = process.wait() == 0
        except BrokenPipeError:
            process.wait()
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            if process.poll() is None:
                process.kill()
                process.wait()
        if not finished:
            log = runner.read_log(errors).strip().splitlines()
            reason = log[-1] if log else "it gave no reason"
            raise VisualMicError(
                f"ffmpeg cannot write the preview ({reason}); it needs the encoders libx264 and"
                " aac, which the ffmpeg of imageio-ffmpeg has, and space on the disk"
            )
