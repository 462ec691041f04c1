"""Show a film with its recovered sound as the track.

The preview plays in browsers and phones at the speed of real time: frames between two pictures are
averaged. The picture can be coloured where the sound was heard, and its motion magnified.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from visualmic.errors import VisualMicError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from visualmic.film.decode import FilmFrames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``visualmic preview`` takes."""
    parser.add_argument("film", type=Path, help="the film to show")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.mp4", help="the preview to write"
    )
    parser.add_argument(
        "--sound",
        type=Path,
        metavar="WAV",
        help="what was heard, beginning with the film's first frame (default: recover it now)",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        help="how to recover it: lucas-kanade or pyramid (default lucas-kanade)",
    )
    parser.add_argument("--denoise", action="store_true", help="reduce the noise of the sound too")
    parser.add_argument(
        "--fps",
        "-s",
        "--sampling-rate",
        type=float,
        metavar="N",
        help="frames per second at which it was filmed (default: what the film says)",
    )
    parser.add_argument("--crop", metavar="X,Y,W,H", help="show and hear this part of the frame")
    parser.add_argument(
        "--shown-fps",
        type=float,
        default=30.0,
        metavar="N",
        help="pictures per second of the preview (default 30)",
    )
    parser.add_argument(
        "--heat-map", action="store_true", help="colour the places that move along with the sound"
    )
    parser.add_argument(
        "--magnify",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="show the motion that makes the sound this many times larger, slowed to 3 swings a"
        " second",
    )
    parser.add_argument("--waveform", action="store_true", help="draw the sound below the picture")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Read or recover the sound, and write the preview."""
    from visualmic.atomic import require_writable
    from visualmic.film.decode import FilmFrames
    from visualmic.report.preview import PreviewSettings, write_preview

    if arguments.output.suffix.lower() not in (".mp4", ".m4v"):
        raise VisualMicError(f"{arguments.output} is no MP4 film; name it with .mp4 at the end")
    if arguments.sound is not None and arguments.method is not None:
        raise VisualMicError("--sound and --method exclude each other: give one of them")
    require_writable(arguments.output)
    settings = PreviewSettings(
        shown_fps=arguments.shown_fps,
        heat_map=arguments.heat_map,
        magnify=arguments.magnify,
        waveform=arguments.waveform,
    )
    film = FilmFrames(arguments.film, fps=arguments.fps, crop=_crop(arguments.crop))
    sound, rate = _sound(arguments, film)
    write_preview(
        film, film.time_s(), sound, rate, arguments.output, settings, quiet=arguments.quiet
    )
    print(arguments.output)
    return 0


def _sound(
    arguments: argparse.Namespace, film: "FilmFrames"
) -> "tuple[NDArray[np.floating], float]":
    sound: NDArray[np.floating]
    rate: float
    if arguments.sound is not None:
        from visualmic.audio.wav import read_audio

        sound, rate = read_audio(arguments.sound)
    else:
        from visualmic.motion.methods import DEFAULT_METHOD, recover
        from visualmic.progress import Progress

        with Progress("recover", film.frame_count, quiet=arguments.quiet) as progress:
            recovery = recover(film, arguments.method or DEFAULT_METHOD, progress=progress)
        sound, rate = recovery.sound, recovery.capture_fps
        for warning in recovery.diagnosis.warnings if not arguments.quiet else ():
            print(f"visualmic: note: {warning}", file=sys.stderr)
    if arguments.denoise:
        from visualmic.audio.denoise import denoise

        sound = denoise(sound, rate)
    return sound, rate


def _crop(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise VisualMicError(
            f"crop {text!r} is not X,Y,W,H: four whole numbers of pixels, such as 100,80,192,192"
        )
    x, y, width, height = (int(part) for part in parts)
    return x, y, width, height
