"""Entry point of the ``visualmic`` command.

Each subcommand is a module of this package with ``add_arguments(parser)`` and ``run(arguments)``.
These modules import only the standard library and :mod:`visualmic.errors` at the top, and the
library inside ``run``, so that ``--help`` answers at once.
"""

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence

import visualmic
from visualmic.errors import VisualMicError, VisualMicWarning

COMMANDS = {
    "recover": "recover the sound from a film",
    "denoise": "remove noise from a recovered sound",
    "simulate": "film a simulated object that a sound shakes",
    "evaluate": "score a recovered sound against a reference",
    "probe": "say what a film holds: size, rates, frames, sound track",
    "preview": "show a film with its recovered sound",
    "train": "train a network to hear",
    "predict": "hear a film with a trained network",
    "prepare": "turn a folder of films into frames, SampledData.csv and metadata.csv",
}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="visualmic", description="Recover sound from silent film."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {visualmic.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        module = importlib.import_module(f"visualmic.cli.{name}")
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 a user's mistake, 2 wrong usage."""
    arguments = build_parser().parse_args(argv)
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", VisualMicWarning)
    try:
        return int(arguments.run(arguments) or 0)
    except VisualMicError as error:
        print(f"visualmic {arguments.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print(f"visualmic {arguments.command}: stopped", file=sys.stderr)
        return 130


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    print(f"visualmic: warning: {message}", file=sys.stderr)
