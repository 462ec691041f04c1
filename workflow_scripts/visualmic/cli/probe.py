"""Say what a film holds: size, frames, rates, key frames and sound track.

The rate of capture is the one given by --fps, else the one a slow-motion camera noted in the
film, else that of the container. Where they differ, a warning states both.
"""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visualmic.film.probe import FilmInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``visualmic probe``."""
    parser.add_argument("film", help="the film to look into")
    parser.add_argument(
        "--fps",
        "-s",
        "--sampling-rate",
        type=float,
        metavar="N",
        help="frames per second at which it was filmed (default: what the film says)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print what the film holds."""
    from visualmic.film.probe import probe_film

    info = probe_film(arguments.film, arguments.fps)
    if arguments.json:
        print(json.dumps(info.to_dict(), indent=2))
    else:
        for name, value in _table(info):
            print(f"{name:<16}{value}")
    return 0


def _table(info: "FilmInfo") -> list[tuple[str, str]]:
    source = {"option": "as given", "tags": "noted by the camera", "container": "the container's"}
    varies = "variable" if info.variable_frame_rate else "constant"
    turned = f", turned by {info.rotation} degrees" if info.rotation else ""
    sound = "none"
    if info.audio_rate is not None:
        sound = f"{info.audio_rate} Hz"
        if info.audio_duration_s is not None:
            sound += f", {info.audio_duration_s:.3f} s"
    interval = info.keyframe_interval
    keys = f"every {interval} frames" if interval else "not regular"
    if interval == 1:
        keys = "every frame"
    return [
        ("film", info.path),
        ("size", f"{info.width} x {info.height} pixels{turned}"),
        ("frames", str(info.frames)),
        ("container rate", f"{info.container_fps:.9g} frames per second, {varies}"),
        (
            "capture rate",
            f"{info.capture_fps:.9g} frames per second ({source[info.capture_fps_source]})",
        ),
        ("duration", f"{info.duration_s:.6g} s"),
        ("highest pitch", f"{info.capture_fps / 2:.9g} Hz"),
        ("codec", f"{info.codec}, {info.pixel_format}"),
        ("key frames", keys),
        ("sound track", sound),
    ]
