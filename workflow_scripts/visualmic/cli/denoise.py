"""Remove noise from a recovered sound: a high-pass filter, then spectral subtraction.

The noise is measured in the quietest passages of the sound itself. Rate, length and phase stay.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``visualmic denoise`` takes."""
    parser.add_argument("input", type=Path, help="the sound to clean (WAV or FLAC)")
    parser.add_argument("output", type=Path, help="the WAV file to write")
    parser.add_argument(
        "--cutoff", type=float, metavar="HZ", help="cut-off of the high-pass (default 20, 0: none)"
    )
    parser.add_argument(
        "--order", type=int, metavar="N", help="order of the high-pass filter (default 3)"
    )
    parser.add_argument(
        "--over-subtraction",
        type=float,
        metavar="X",
        help="times the noise power is subtracted (default 2, 0: no spectral subtraction)",
    )
    parser.add_argument(
        "--floor", type=float, metavar="X", help="least gain, from 0 to 1 (default 0.1)"
    )
    parser.add_argument(
        "--noise-quantile",
        type=float,
        metavar="X",
        help="share of the frames, the quietest, that are taken for noise (default 0.2)",
    )
    parser.add_argument(
        "--window", type=float, metavar="S", help="length of a frame in seconds (default 0.064)"
    )
    parser.add_argument(
        "--listen", action="store_true", help="also write a copy at 48 kHz, for any player"
    )


def run(arguments: argparse.Namespace) -> int:
    """Clean one sound and write it."""
    from visualmic.audio.denoise import DenoiseSettings, denoise
    from visualmic.audio.wav import read_audio, write_wav

    given = {
        "cutoff_hz": arguments.cutoff,
        "order": arguments.order,
        "over_subtraction": arguments.over_subtraction,
        "floor": arguments.floor,
        "noise_quantile": arguments.noise_quantile,
        "window_s": arguments.window,
    }
    settings = DenoiseSettings(
        **{name: value for name, value in given.items() if value is not None}
    )
    sound, rate = read_audio(arguments.input)
    write_wav(arguments.output, denoise(sound, rate, settings), rate, listen=arguments.listen)
    print(arguments.output)
    return 0
