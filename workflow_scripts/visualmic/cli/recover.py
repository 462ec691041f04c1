"""Recover the sound from a film.

The film may be any that ffmpeg reads, or a frame store (.h5) of the pipeline. The sound is one
sample a frame, at the capture rate.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from visualmic.errors import VisualMicError

METHODS = ("lucas-kanade", "hybrid", "pyramid")
DIAGNOSIS = "diagnosis.json"
_SWITCH_S = 0.0002
_SWITCHES = (
    "illumination",
    "keep_flicker",
    "no_follow",
    "keep_comb",
    "keep_copies",
    "keep_uneven_frames",
    "keep_codec_noise",
    "keep_resonances",
    "keep_sway",
    "exposure",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``visualmic recover`` takes."""
    parser.add_argument("film", type=Path, help="the film, or a frame store (.h5)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.wav", help="the WAV to write"
    )
    parser.add_argument(
        "--fps",
        "-s",
        "--sampling-rate",
        type=float,
        metavar="N",
        help="frames per second at which it was filmed (default: what the film says)",
    )
    parser.add_argument(
        "--method",
        default=METHODS[0],
        metavar="NAME",
        help=f"how to hear: {', '.join(METHODS)} (default {METHODS[0]})",
    )
    parser.add_argument(
        "--crop", metavar="X,Y,W,H", help="use only this part of the frame, in pixels"
    )
    parser.add_argument("--denoise", action="store_true", help="reduce the noise of the sound too")
    parser.add_argument(
        "--listen", action="store_true", help="also write a copy at 48 kHz, for any player"
    )
    parser.add_argument(
        "--diagnostics",
        type=Path,
        metavar="DIR",
        help="write what the method says of itself: diagnosis.json, the signal-to-noise ratio at"
        " each frequency, and where in the frame the sound was heard",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads to use (default: all cores)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress and no verdict")
    cures = parser.add_argument_group("switches of lucas-kanade and hybrid")
    cures.add_argument(
        "--illumination",
        choices=("auto", "global", "local", "none"),
        help="remove changes of the light: for the whole frame, each block, or not (default auto)",
    )
    cures.add_argument(
        "--keep-flicker", action="store_true", help="do not remove the lines of a flickering lamp"
    )
    cures.add_argument(
        "--no-follow", action="store_true", help="do not follow motion beyond the linear range"
    )
    cures.add_argument(
        "--keep-comb", action="store_true", help="do not remove the codec's repeating lines"
    )
    cures.add_argument(
        "--keep-copies",
        action="store_true",
        help="count frames that the codec mostly copied like all others",
    )
    cures.add_argument(
        "--keep-uneven-frames",
        action="store_true",
        help="do not make up for motion that the codec's predicted frames show smaller",
    )
    cures.add_argument(
        "--keep-codec-noise",
        action="store_true",
        help="give what was heard even where it is no sound but the codec's noise",
    )
    cures.add_argument(
        "--keep-resonances",
        action="store_true",
        help="do not take the object's own resonances out of the sound",
    )
    cures.add_argument(
        "--keep-sway",
        action="store_true",
        help="do not leave out what is slower than 80 Hz where the picture sways and that drowns"
        " the rest",
    )
    cures.add_argument(
        "--exposure",
        type=float,
        metavar="SHARE",
        help="share of the frame interval in which the shutter was open, 0 to 1: what it smeared is"
        " made up for (default: nothing is)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Recover one sound and write it."""
    # Threads of its own make the most of the cores; the linear algebra's would wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Threads that decode hand over at every frame: they must not wait long for one that computes.
    sys.setswitchinterval(_SWITCH_S)
    from visualmic.motion.methods import recover
    from visualmic.progress import Progress
    from visualmic.threads import default_threads

    # Looking a film over and loading a method take as long, and neither waits for the other.
    with ThreadPoolExecutor(1) as aside:
        opening = aside.submit(_open, arguments)
        measure, combine = _settings(arguments)
        # The film first: a mistake there leaves no empty folder for the sound behind.
        source = opening.result()
    threads = arguments.threads or default_threads()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    _require_free(arguments)
    with Progress("recover", source.frame_count, quiet=arguments.quiet) as progress:
        recovery = recover(
            source,
            arguments.method,
            measure_settings=measure,
            combine_settings=combine,
            threads=threads,
            progress=progress,
        )
    sound = recovery.sound
    if arguments.denoise:
        from visualmic.audio.denoise import denoise

        sound = denoise(sound, recovery.capture_fps)
    from visualmic.audio.wav import write_wav

    write_wav(arguments.output, sound, recovery.capture_fps, listen=arguments.listen)
    if arguments.diagnostics is not None:
        from visualmic.motion.recovery import write_diagnosis
        from visualmic.report.figures_diagnosis import draw_diagnosis

        write_diagnosis(arguments.diagnostics / DIAGNOSIS, recovery)
        draw_diagnosis(recovery, arguments.diagnostics)
    if not arguments.quiet:
        for warning in recovery.diagnosis.warnings:
            print(f"visualmic: note: {warning}", file=sys.stderr)
        if recovery.diagnosis.verdict:
            print(f"visualmic: {recovery.diagnosis.verdict}", file=sys.stderr)
    print(arguments.output)
    return 0


def _open(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    crop = parse_crop(arguments.crop)
    if arguments.film.suffix.lower() in (".h5", ".hdf5"):
        from visualmic.film.frames import StoredFrames

        if crop is not None or arguments.fps is not None:
            raise VisualMicError(
                f"{arguments.film} is a frame store: --fps and --crop were chosen when it was made;"
                " give the film itself to change them"
            )
        return StoredFrames(arguments.film)
    from visualmic.film.decode import FilmFrames

    return FilmFrames(arguments.film, fps=arguments.fps, crop=crop)


def parse_crop(text: str | None) -> tuple[int, int, int, int] | None:
    """Read ``x,y,w,h``; None stays None."""
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise VisualMicError(
            f"--crop is {text!r}: give x,y,width,height in whole pixels, such as 100,80,192,192"
        ) from None
    return x, y, width, height


def _require_free(arguments: argparse.Namespace) -> None:
    """Find out before the work, not after it, that something could not be written."""
    from visualmic.atomic import require_writable

    if arguments.output.exists() and arguments.film.samefile(arguments.output):
        raise VisualMicError(
            f"{arguments.output} is the film itself; give the sound a name of its own"
        )
    require_writable(arguments.output)
    if arguments.diagnostics is not None:
        require_writable(arguments.diagnostics / DIAGNOSIS)


def _settings(arguments: argparse.Namespace) -> tuple[object, object]:
    from visualmic.motion.methods import method_named

    method_named(arguments.method)
    if arguments.threads is not None and arguments.threads < 1:
        raise VisualMicError(f"--threads is {arguments.threads}: give 1 or more")
    if arguments.method == "pyramid":
        given = [
            f"--{name.replace('_', '-')}"
            for name in _SWITCHES
            if getattr(arguments, name) is not None and getattr(arguments, name) is not False
        ]
        if given:
            raise VisualMicError(
                f"{', '.join(given)} belongs to the methods lucas-kanade and hybrid, not to"
                f" {arguments.method}; leave it out"
            )
        return None, None
    from visualmic.motion.hearing import HearingSettings
    from visualmic.motion.lucas_kanade import LucasKanadeSettings

    measure = LucasKanadeSettings(
        illumination=arguments.illumination or "auto", follow=not arguments.no_follow
    )
    combine = HearingSettings(
        remove_comb=not arguments.keep_comb,
        remove_flicker=not arguments.keep_flicker,
        doubt_copied_frames=not arguments.keep_copies,
        even_frames=not arguments.keep_uneven_frames,
        require_agreement=not arguments.keep_codec_noise,
        undo_resonances=not arguments.keep_resonances,
        remove_sway=not arguments.keep_sway,
        exposure=arguments.exposure or 0.0,
    )
    return measure, combine
