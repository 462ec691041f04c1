"""The table of trained models beside classical methods, as the page shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from visualmic.report import wording

TESTS = {
    "later": "later time",
    "folds": "segments in turn",
    "without": "recordings in turn",
    "unseen": "recordings never seen",
}
"""What the kinds of test in ``models.csv`` are called."""

COLUMNS = {
    "rmse": "RMSE",
    "rmse_silence": "RMSE of silence",
    "mae": "MAE",
    "pearson": "Pearson",
    "si_sdr": "SI-SDR (dB)",
    "estoi": "ESTOI",
    "loss": "Loss",
    "training_s": "Training (s)",
    "parameters": "Parameters",
}
"""The columns of ``models.csv`` that are shown, and their titles."""


@dataclass(frozen=True)
class Cell:
    """A number: its text, and the value that a table is sorted by."""

    text: str
    value: float | None


@dataclass(frozen=True)
class ComparisonRow:
    """A model or method on one kind of test."""

    on: str
    model: str
    cells: tuple[Cell, ...]


def comparison_rows(rows: Iterable[Mapping[str, str]]) -> list[ComparisonRow]:
    """Lay the rows of ``models.csv`` out for the page.

    Parameters
    ----------
    rows : iterable of mapping
        Text by column; empty where there is no value.

    Examples
    --------
    >>> row = {"on": "folds", "model": "fpn", "rmse": "0.123", "rmse_sd": "0.01"}
    >>> shown = comparison_rows([row])[0]
    >>> shown.on, shown.model, shown.cells[0].text, shown.cells[2].text
    ('segments in turn', 'FPN', '0.123 ± 0.010', '–')
    """
    return [
        ComparisonRow(
            TESTS.get(row["on"], row["on"]),
            wording.method_title(row["model"]),
            tuple(_cell(row.get(name), row.get(f"{name}_sd")) for name in COLUMNS),
        )
        for row in rows
    ]


def _cell(text: str | None, spread: str | None) -> Cell:
    if not text:
        return Cell(wording.number(None), None)
    value = float(text)
    shown = f"{value:.0f}" if value >= 1000 else wording.number(value)
    return Cell(f"{shown} ± {wording.number(float(spread))}" if spread else shown, value)
