"""Hear a film with a model that `visualmic train` or the workflow has trained.

The film may be any that ffmpeg reads, or a frame store (.h5). A model knows the recordings that it
was trained on; of another film it knows neither the object nor the sign.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``visualmic predict`` takes."""
    parser.add_argument("film", type=Path, help="the film, or a frame store (.h5)")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="MODEL.pt", help="the trained model"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.wav", help="the WAV to write"
    )
    parser.add_argument(
        "--recording",
        metavar="NAME",
        help="the film is this recording, on which the model was trained: show it as then",
    )
    parser.add_argument(
        "--fps", type=float, metavar="N", help="frames per second at which it was filmed"
    )
    parser.add_argument("--crop", metavar="X,Y,W,H", help="use only this part of the frame")
    parser.add_argument("--listen", action="store_true", help="also write a copy at 48 kHz")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Predict one sound and write it."""
    from visualmic.atomic import require_writable
    from visualmic.cli.recover import parse_crop
    from visualmic.learn.session import require_torch

    require_torch()
    from visualmic.audio.wav import write_wav
    from visualmic.learn.session import hear_film

    require_writable(arguments.output)
    sound, fps = hear_film(
        arguments.film,
        arguments.model,
        recording=arguments.recording,
        fps=arguments.fps,
        crop=parse_crop(arguments.crop),
        quiet=arguments.quiet,
    )
    write_wav(arguments.output, sound, fps, listen=arguments.listen)
    print(arguments.output)
    return 0
