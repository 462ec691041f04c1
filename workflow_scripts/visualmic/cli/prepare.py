"""Turn a folder of films into frames, reference sounds, SampledData.csv and metadata.csv.

A film's reference is the sound file of the same name beside it (chips.wav for chips.mp4), else the
film's own sound track, else none. What is complete already is kept: run the command again after an
interruption and it goes on. A film that cannot be read does not keep back the others; the command
then names it and ends with status 1.
"""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``visualmic prepare``."""
    parser.add_argument("--video-dir", required=True, metavar="DIR", help="folder of films")
    parser.add_argument("--output-dir", required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--fps",
        "-s",
        "--sampling-rate",
        type=float,
        metavar="N",
        help="frames per second at which the films were taken (default: what each film says)",
    )
    parser.add_argument(
        "--reference",
        choices=("auto", "film", "none"),
        default="auto",
        help="auto: a sound file of the same name, else the film's track; film: the film's track,"
        " which must be there; none: no sound (default: auto)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare the folder and say what became of each film."""
    from visualmic.film.prepare import prepare_folder

    summary = prepare_folder(
        arguments.video_dir,
        arguments.output_dir,
        fps=arguments.fps,
        reference=arguments.reference,
        on_failure=lambda film, reason: print(f"visualmic prepare: {reason}", file=sys.stderr),
    )
    counts = [
        (len(summary.prepared), "prepared"),
        (len(summary.kept), "kept from before"),
        (len(summary.silent), "without a reference sound"),
        (len(summary.failed), "failed"),
    ]
    print(", ".join(f"{count} {what}" for count, what in counts if count))
    print(f"data set: {arguments.output_dir}")
    if summary.failed:
        print(
            f"visualmic prepare: not prepared: {', '.join(summary.failed)}; put them right or"
            " remove them, then run again",
            file=sys.stderr,
        )
    return 1 if summary.failed else 0
