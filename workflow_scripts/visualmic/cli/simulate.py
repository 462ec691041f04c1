"""Film a simulated object that a sound shakes: the film, and the truth about it beside it.

Beside FILM appear FILM_truth.wav, the sound, and FILM_truth.h5, the displacement of every mode in
every frame. The same options and seed give the same frames.
"""

import argparse
from pathlib import Path

from visualmic.errors import VisualMicError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``visualmic simulate``."""
    parser.add_argument("film", nargs="?", type=Path, help="film to make: .mp4, .mov or .mkv")
    parser.add_argument("-o", "--output", type=Path, metavar="FILM", help="the same, by name")
    parser.add_argument(
        "--object",
        default="crisp-packet",
        help="crisp-packet, plant-leaf, foil (these flex) or rigid (default: %(default)s)",
    )
    parser.add_argument(
        "--sound",
        default="tune",
        help="tune, speech, tone, chirp, silence, or a sound file (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, help="real time filmed (default: 3, or the file)")
    parser.add_argument(
        "-s", "--fps", "--sampling-rate", dest="fps", type=float, default=2200.0, metavar="HZ",
        help="capture rate (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--size", default="192x192", metavar="WxH", help="frame size (default: %(default)s)"
    )
    parser.add_argument(
        "--amplitude", type=float, default=0.05, metavar="PX",
        help="largest displacement in the frame, in pixels (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--tone", type=float, default=220.0, metavar="HZ", help="for --sound tone")
    parser.add_argument("--modes", type=int, help="number of vibration modes")
    parser.add_argument("--direction", type=float, metavar="DEG", help="of a rigid object's motion")
    parser.add_argument("--low", type=float, default=50.0, metavar="HZ", help="of the sound's band")
    parser.add_argument("--high", type=float, metavar="HZ", help="of it (default: 0.45 of fps)")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    camera = parser.add_argument_group("camera and light")
    camera.add_argument("--exposure", type=float, default=0.5, help="share of the frame interval")
    camera.add_argument("--brightness", type=float, default=128.0, help="mean grey level")
    camera.add_argument("--contrast", type=float, default=1.0, help="1 is full, 0 an even surface")
    camera.add_argument("--blur", type=float, default=0.6, metavar="PX", help="of the lens")
    camera.add_argument("--noise", type=float, default=1.0, help="read noise in grey levels")
    camera.add_argument(
        "--electrons", type=float, metavar="N", help="photo-electrons a grey level, for shot noise"
    )
    camera.add_argument("--flicker", type=float, default=0.0, help="lamp flicker, share of light")
    camera.add_argument("--mains", type=float, default=50.0, metavar="HZ", help="mains frequency")
    camera.add_argument("--shake", type=float, default=0.0, metavar="PX", help="camera shake, rms")
    camera.add_argument("--shake-hz", type=float, default=6.0, metavar="HZ", help="its highest")
    camera.add_argument("--drift", type=float, default=0.0, metavar="PX", help="drift in all")
    camera.add_argument("--vignetting", type=float, default=0.0, help="light lost in the corners")
    camera.add_argument("--dead-pixels", type=int, default=0, metavar="N")
    file = parser.add_argument_group("file")
    file.add_argument("--codec", default="h264", help="h264 or lossless (default: %(default)s)")
    file.add_argument("--crf", type=int, default=2, help="quality of H.264, 0 best, 51 worst")
    file.add_argument("--preset", default="fast", help="effort of H.264 (default: %(default)s)")
    file.add_argument("--gop", type=int, default=60, help="frames a key frame")
    file.add_argument("--b-frames", type=int, metavar="N", help="between others in a row")
    file.add_argument(
        "--container-fps", type=float, metavar="HZ", help="rate that the file claims (slow motion)"
    )
    file.add_argument("--capture-tag", action="store_true", help="write the true rate as a tag")
    file.add_argument("--audio-track", action="store_true", help="put the sound into the film")


def run(arguments: argparse.Namespace) -> int:
    """Simulate a recording and say what was made."""
    from visualmic.simulate.recording import simulate_recording
    from visualmic.simulate.settings import SimulationSettings

    if (arguments.film is None) == (arguments.output is None):
        raise VisualMicError("name one film to make: visualmic simulate -o film.mp4")
    film = arguments.output if arguments.film is None else arguments.film
    width, height = _size(arguments.size)
    settings = SimulationSettings(
        object=arguments.object,
        sound=arguments.sound,
        seconds=arguments.seconds,
        fps=arguments.fps,
        width=width,
        height=height,
        amplitude_px=arguments.amplitude,
        seed=arguments.seed,
        tone_hz=arguments.tone,
        modes=arguments.modes,
        direction_deg=arguments.direction,
        sound_low_hz=arguments.low,
        sound_high_hz=arguments.high,
        exposure=arguments.exposure,
        brightness=arguments.brightness,
        contrast=arguments.contrast,
        blur_px=arguments.blur,
        noise_sigma=arguments.noise,
        electrons_per_level=arguments.electrons,
        flicker=arguments.flicker,
        mains_hz=arguments.mains,
        shake_px=arguments.shake,
        shake_hz=arguments.shake_hz,
        drift_px=arguments.drift,
        vignetting=arguments.vignetting,
        dead_pixels=arguments.dead_pixels,
        codec=arguments.codec,
        crf=arguments.crf,
        preset=arguments.preset,
        gop=arguments.gop,
        b_frames=arguments.b_frames,
        container_fps=arguments.container_fps,
        capture_tag=arguments.capture_tag,
        audio_track=arguments.audio_track,
    )
    truth = simulate_recording(settings, film, quiet=arguments.quiet)
    print(
        f"{film}: {len(truth.sound)} frames of {width}x{height} at {settings.fps:g} Hz,"
        f" {settings.object} moved by at most {settings.amplitude_px:g} px;"
        f" the truth is in {film.with_name(film.stem + '_truth.h5')}"
    )
    return 0


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise VisualMicError(f"size {text!r} is not WIDTHxHEIGHT in pixels, such as 192x192")
    return int(width), int(height)
