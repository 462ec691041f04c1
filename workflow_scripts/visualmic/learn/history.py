"""The history of a training as a table, a row an epoch."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError

HISTORY_COLUMNS = (
    *("epoch", "train_loss", "validation_loss", "train_sum_of_squares"),
    *("validation_sum_of_squares", "train_rmse", "validation_rmse", "validation_mae"),
    *("validation_pearson", "learning_rate", "frames_per_second"),
)
"""Columns of history.csv. A loss is a mean of squares, which is what is minimised; the sums are
what the source reports."""


def write_history(path: str | os.PathLike[str], history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, a file that appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{row[name]:.9g}" for name in HISTORY_COLUMNS} for row in history)


def read_history(path: str | os.PathLike[str]) -> dict[str, list[float]]:
    """Read the columns of history.csv.

    Raises
    ------
    VisualMicError
        If it cannot be read.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            rows = [
                {name: float(text) for name, text in row.items()} for row in csv.DictReader(stream)
            ]
    except (OSError, ValueError, TypeError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; train again") from error
    return {name: [row[name] for row in rows] for name in HISTORY_COLUMNS} if rows else {}
