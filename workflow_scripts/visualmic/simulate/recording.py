"""A simulated recording as files: the film, and the truth about it beside it."""

import os
import subprocess
import tempfile
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.audio.wav import write_wav
from visualmic.errors import VisualMicError
from visualmic.film.ffmpeg import ffmpeg_executable, widen_pipe
from visualmic.progress import Progress
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound
from visualmic.simulate.truth import Truth, save_truth

SUFFIXES = (".mp4", ".mov", ".mkv")
# Fixed, because the number of threads changes what x264 writes.
ENCODER_THREADS = 4


def simulate_recording(
    settings: SimulationSettings,
    film_path: str | os.PathLike[str],
    truth_path: str | os.PathLike[str] | None = None,
    sound: Sound | None = None,
    quiet: bool = False,
) -> Truth:
    """Film a simulated object: write the film, ``{stem}_truth.h5`` and ``{stem}_truth.wav``.

    The three files appear whole, together, or not at all.

    Parameters
    ----------
    settings : SimulationSettings
        What is filmed and how.
    film_path : path
        The film to make: .mp4, .mov or .mkv.
    truth_path : path, optional
        The truth file to make; by default beside the film. The sound goes beside it as .wav.
    sound : Sound, optional
        What shakes the object, instead of the sound that `settings` names.
    quiet : bool
        Show no progress.

    Returns
    -------
    Truth
        What the truth file holds.

    Raises
    ------
    VisualMicError
        If a sound file cannot be read, the film's ending is unknown, or an output cannot be
        written.
    """
    film = Path(film_path)
    if film.suffix.lower() not in SUFFIXES:
        raise VisualMicError(
            f"cannot write a film to {film}: its name must end in {', '.join(SUFFIXES)}"
        )
    beside = film.with_name(f"{film.stem}_truth.h5")
    truth_file = beside if truth_path is None else Path(truth_path)
    with ExitStack() as outputs:
        film_temporary = outputs.enter_context(atomic_path(film))
        sound_temporary = outputs.enter_context(atomic_path(truth_file.with_suffix(".wav")))
        truth_temporary = outputs.enter_context(atomic_path(truth_file))
        scene = Scene(settings, sound)
        truth = scene.truth
        write_wav(sound_temporary, truth.source, truth.source_rate, normalise=False)
        save_truth(truth_temporary, truth)
        track = sound_temporary if settings.audio_track else None
        _encode(scene, film_temporary, film, track, quiet)
    return truth


def _encode(scene: Scene, target: Path, film: Path, track: Path | None, quiet: bool) -> None:
    """Pipe the scene's frames into ffmpeg, which writes `target`; `film` is its name in messages.

    ffmpeg takes the frames as luma with even chroma beside it, and so never converts: the decoded
    luma of a lossless film is the rendered frames, bit for bit.
    """
    chroma = _has_chroma(scene.settings)
    height, width = scene.height, scene.width
    command = _command(scene.settings, width, height, target, track)
    neutral = np.full(height * width // 2 if chroma else 0, 128, dtype=np.uint8)
    with (
        tempfile.TemporaryFile() as log,
        Progress(f"film {film.name}", scene.frame_count, quiet=quiet) as progress,
    ):
        try:
            encoder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, bufsize=0
            )
        except OSError as error:
            raise VisualMicError(f"cannot start {command[0]}: {error.strerror}") from error
        assert encoder.stdin is not None
        try:
            widen_pipe(encoder.stdin.fileno())
            for batch in scene.batches():
                _send(encoder, _with_chroma(batch, neutral))
                progress.advance(len(batch))
            encoder.stdin.close()
            status = encoder.wait()
        except BrokenPipeError:
            status = encoder.wait()
        finally:
            if encoder.poll() is None:
                encoder.kill()
                encoder.wait()
            encoder.stdin.close()
        if status != 0:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()
            reason = said[-1] if said else f"ffmpeg ended with status {status}"
            raise VisualMicError(
                f"cannot encode {film}: {reason}; check the space on the disk and the settings"
            )


def _send(encoder: subprocess.Popen[bytes], frames: NDArray[np.uint8]) -> None:
    assert encoder.stdin is not None
    rest = frames.reshape(-1).data
    while len(rest):
        rest = rest[encoder.stdin.write(rest) :]


def _with_chroma(frames: NDArray[np.uint8], neutral: NDArray[np.uint8]) -> NDArray[np.uint8]:
    flat = frames.reshape(len(frames), -1)
    if not len(neutral):
        return flat
    return np.concatenate([flat, np.broadcast_to(neutral, (len(flat), len(neutral)))], axis=1)


def _has_chroma(settings: SimulationSettings) -> bool:
    """Whether the film has chroma planes: H.264 as cameras write it does, lossless does not."""
    return settings.codec == "h264"


def _command(
    settings: SimulationSettings, width: int, height: int, target: Path, track: Path | None
) -> list[str]:
    rate = settings.fps if settings.container_fps is None else settings.container_fps
    pixels = "yuv420p" if _has_chroma(settings) else "gray"
    command = [
        *(ffmpeg_executable(), "-hide_banner", "-nostats", "-v", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", pixels, "-color_range", "pc"),
        *("-video_size", f"{width}x{height}"),
        *("-framerate", str(Fraction(rate).limit_denominator(100_000)), "-i", "pipe:0"),
    ]
    if track is not None:
        command += ["-i", f"file:{track}"]
    command += ["-map", "0:v", "-threads", str(ENCODER_THREADS)]
    if settings.codec == "lossless" and target.suffix.lower() == ".mkv":
        command += ["-c:v", "ffv1", "-level", "3", "-g", str(settings.gop)]
    else:
        quality = ["-qp", "0"] if settings.codec == "lossless" else ["-crf", str(settings.crf)]
        command += ["-c:v", "libx264", "-preset", settings.preset, *quality]
        command += ["-g", str(settings.gop)]
        if settings.b_frames is not None:
            command += ["-bf", str(settings.b_frames)]
    command += ["-pix_fmt", pixels, "-color_range", "pc"]
    if track is not None:
        matroska = target.suffix.lower() == ".mkv"
        sound = ["-c:a", "pcm_s16le"] if matroska else ["-c:a", "aac", "-b:a", "192k"]
        command += ["-map", "1:a", *sound]
    if settings.capture_tag:
        command += ["-metadata", f"com.android.capture.fps={settings.fps:g}"]
    if target.suffix.lower() != ".mkv":
        command += ["-movflags", "+faststart+use_metadata_tags"]
    return [*command, f"file:{target}"]
