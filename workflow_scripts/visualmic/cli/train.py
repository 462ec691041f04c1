"""Train a network to hear, on recordings whose sound is known.

The data are those of a folder that `visualmic prepare` or the workflow has made. One part of each
recording trains, a second chooses the best epoch, and a third, which neither has seen, tests; the
scores are printed beside those of silence and of the classical method on the same frames. A
training that was stopped goes on where it was when the same command is given again.

The networks of the method `hybrid` (--model hybrid) are trained on simulated motion instead, shaken
by the sounds of --words and --music, one after the other; their weights come with the project.
"""

import argparse
from pathlib import Path
from typing import Any

from visualmic.errors import VisualMicError

_OPTIONS = {
    "training": (
        *("epochs", "batch_size", "learning_rate", "step_epochs", "step_factor", "patience"),
        *("seed", "workers", "threads", "gpus"),
    ),
    "network": ("size_px", "hidden", "backbone", "weights"),
    "frames": ("crop", "reference"),
    "splits": ("folds", "guard_s", "max_lag_s"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``visualmic train`` takes; what is not given is as in config.yaml."""
    parser.add_argument(
        "--model",
        default="siamese",
        metavar="NAME",
        help="siamese, resnet50 or fpn; with -frames behind it is fed with frames as they are;"
        " or hybrid (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder with frames/ and dataset/SampledData.csv (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the model, its history and its scores (default: models/NAME/FOLD)",
    )
    parser.add_argument(
        "--recordings", metavar="A,B", help="use only these (default: all that have a sound)"
    )
    parser.add_argument(
        "--fold",
        default="later",
        metavar="NAME",
        help="later (the last part of each recording tests), fold-1 and so on, or"
        " without-RECORDING (default: %(default)s)",
    )
    number = parser.add_argument_group("training")
    number.add_argument("--epochs", type=int, metavar="N", help="passes over the training part")
    number.add_argument("--batch-size", type=int, metavar="N", help="frames a step")
    number.add_argument("--learning-rate", type=float, metavar="X", help="of Adam")
    number.add_argument(
        "--step-epochs", type=int, metavar="N", help="epochs after which the rate is multiplied"
    )
    number.add_argument("--step-factor", type=float, metavar="X", help="what by")
    number.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without progress; 0: never"
    )
    number.add_argument("--seed", type=int, metavar="N", help="of everything random")
    number.add_argument("--workers", type=int, metavar="N", help="processes that read frames")
    number.add_argument("--threads", type=int, metavar="N", help="cores that compute")
    number.add_argument("--gpus", type=int, metavar="N", help="graphics processors, if there are")
    shown = parser.add_argument_group("network and input")
    shown.add_argument("--size-px", type=int, metavar="N", help="side of each of the two pictures")
    shown.add_argument("--hidden", type=int, metavar="N", help="units of the head")
    shown.add_argument("--backbone", metavar="NAME", help="resnet18, 34, 50, 101 or 152")
    shown.add_argument("--weights", metavar="NAME", help="imagenet, none, or a file")
    shown.add_argument("--crop", metavar="NAME", help="object or frame")
    shown.add_argument("--reference", metavar="NAME", help="mean or first")
    parts = parser.add_argument_group("parts")
    parts.add_argument("--folds", type=int, metavar="N", help="segments of a recording")
    parts.add_argument("--guard-s", type=float, metavar="S", help="gap between parts, in seconds")
    parts.add_argument(
        "--max-lag-s", type=float, metavar="S", help="largest lag of the film, in seconds"
    )
    simulated = parser.add_argument_group("hybrid")
    simulated.add_argument(
        "--words",
        type=Path,
        metavar="DIR",
        help="folder of spoken words, {word}_{speaker}_{take}.wav (default: synthetic speech)",
    )
    simulated.add_argument(
        "--music", type=Path, metavar="DIR", help="folder of music (default: synthetic tunes)"
    )
    simulated.add_argument(
        "--without", metavar="A,B", default="", help="speakers to leave out, for tests to come"
    )
    simulated.add_argument(
        "--examples", type=int, metavar="N", help="sounds to shake objects with (default 9000)"
    )
    simulated.add_argument(
        "--films",
        type=int,
        metavar="N",
        help="films to render, code and measure beside them (default 420)",
    )
    simulated.add_argument(
        "--part",
        choices=("response", "mask"),
        help="train this network alone (default: one, then the other)",
    )
    simulated.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="with --part: start from this checkpoint of that network (DIR/run/PART/best.ckpt)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model, and say how good it is."""
    if arguments.model == "hybrid":
        return _train_hybrid(arguments)
    settings, splits = _settings(arguments)
    from visualmic.learn.session import require_torch

    require_torch()
    from visualmic.learn.session import train_on_folder

    output = arguments.output or Path("models", arguments.model, arguments.fold)
    names = arguments.recordings.split(",") if arguments.recordings else None
    rows = train_on_folder(
        arguments.data, output, settings, splits, arguments.fold, names, arguments.quiet
    )
    print(f"on {rows[0]['frames']} frames that neither trained nor chose, RMSE and correlation:")
    for row in rows:
        alike = "-" if row["pearson"] is None else f"{row['pearson']:.3f}"
        print(f"  {row['model']:<20} {row['rmse']:.4f}  {alike}")
    print(output / "model.pt")
    return 0


def _settings(arguments: argparse.Namespace) -> Any:
    from visualmic.learn.settings import SplitSettings, model_settings

    given = {
        group: {
            name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None
        }
        for group, names in _OPTIONS.items()
    }
    splits = SplitSettings(**given.pop("splits"))
    try:
        return model_settings(arguments.model, **given), splits
    except TypeError as error:
        # Such as --weights for the small network.
        name = str(error).rsplit("'", 2)[-2]
        raise VisualMicError(
            f"{arguments.model} has no setting --{name.replace('_', '-')}; leave it out"
        ) from None


def _train_hybrid(arguments: argparse.Namespace) -> int:
    from visualmic.learn.session import require_torch

    require_torch()
    from visualmic.hybrid.examples import find_sounds
    from visualmic.hybrid.films import store_films
    from visualmic.hybrid.training import (
        FILMS,
        PARTS,
        SOUNDS,
        HybridTraining,
        export_hybrid,
        note_training,
        store_sounds,
        train_hybrid,
    )
    from visualmic.progress import Progress

    output = arguments.output or Path("models", "hybrid")
    if arguments.start is not None and arguments.part is None:
        raise VisualMicError("--start is a checkpoint of one network: name that with --part")
    names = ("epochs", "batch_size", "learning_rate", "seed", "threads", "start")
    given = {name: getattr(arguments, name) for name in names}
    settings = HybridTraining(**{k: v for k, v in given.items() if v is not None})
    count = 9000 if arguments.examples is None else arguments.examples
    if count < 20:
        raise VisualMicError(f"--examples is {count}: give 20 or more")
    sounds = find_sounds(arguments.words, arguments.music, arguments.without.split(","))
    with Progress("draw", count, "sound", quiet=arguments.quiet) as progress:
        store_sounds(output / SOUNDS, sounds, range(count), progress)
    films = 420 if arguments.films is None else arguments.films
    if films < 0:
        raise VisualMicError(f"--films is {films}: give 0 or more")
    with Progress("render", films, "film", quiet=arguments.quiet) as progress:
        store_films(output / FILMS, sounds, range(films), settings.threads, progress)
    parts = [arguments.part] if arguments.part else PARTS
    for part in parts:
        trained = train_hybrid(output, output / "run", settings, [part], quiet=arguments.quiet)
        export_hybrid(trained, output)
        note_training(output / "run", output, [part])
    print(output)
    return 0
