"""The recordings table: one row a film, checked before anything is made from it."""

import csv
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualmic.config.validation import faults, nearest, read_schema, unknown_keys
from visualmic.errors import VisualMicError

SIMULATED = "simulated"
OWN_TRACK = "film"

Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class Recording:
    """A row of the table.

    Attributes
    ----------
    id : str
        Name in every file name under ``results/``.
    film : str or None
        Path of the film as the working directory sees it; None when it is to be simulated.
    fps : float or None
        Capture rate in hertz that overrides what the film says.
    reference : str or None
        Path of the sound that was played, ``"film"`` for the film's own track, ``"simulated"``
        for the sound that a simulation played, or None.
    offset_s : float
        Where in the reference the film starts, in seconds.
    crop : tuple of int or None
        Part of the frame to use: x, y, width, height in pixels.
    role : str
        ``"train"``, ``"validation"`` or ``"test"``.
    """

    id: str
    film: str | None
    fps: float | None
    reference: str | None
    offset_s: float
    crop: Crop | None
    role: str


def read_recordings(table: str | Path, simulated: Collection[str] = ()) -> dict[str, Recording]:
    """Read and check a recordings table.

    Parameters
    ----------
    table : path
        CSV with the columns id, film, fps, reference, offset_s, crop, role. Films and references
        are relative to the folder of the table.
    simulated : collection of str
        Names of the recordings that the settings can simulate.

    Returns
    -------
    dict of str to Recording
        The recordings by id, in the order of the table.

    Raises
    ------
    VisualMicError
        One line for every fault, naming file, row (1 is the header) and column.
    """
    table = Path(table)
    recordings: dict[str, Recording] = {}
    problems: list[str] = []
    rows_by_name: dict[str, int] = {}
    for row, cells in _rows(table):
        values = {name: _typed(name, text) for name, text in cells.items()}
        found = [
            (str(path[0]), what) for path, what in faults(values, read_schema("recordings"))
        ] or list(_disagreements(values, table.parent, simulated))
        problems += [f"{table}, row {row}, column {column}: {what}" for column, what in found]
        # Names that differ only in case would share files on many file systems.
        name = str(values["id"]).lower()
        first = rows_by_name.setdefault(name, row)
        if first != row:
            problems.append(
                f"{table}, row {row}, column id: {values['id']} is already in row {first};"
                " give each recording its own name"
            )
        if not found:
            recordings[values["id"]] = _recording(values, table.parent)
    if problems:
        raise VisualMicError("\n".join(dict.fromkeys(problems)))
    if not recordings:
        raise VisualMicError(f"{table} has no recordings; add a row for each film")
    return recordings


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    columns = list(read_schema("recordings")["properties"])
    try:
        # A byte order mark is what spreadsheets put in front.
        with table.open(encoding="utf-8-sig", newline="") as stream:
            lines = [(number, cells) for number, cells in _lines(stream) if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VisualMicError(f"cannot read the recordings table {table}: {error}") from error
    header = lines[0][1] if lines else []
    for name in unknown_keys(header, columns):
        cure = "separate columns by commas" if ";" in name else nearest(name, columns)
        raise VisualMicError(f"{table}, row 1: {name} is not a known column; {cure}")
    missing = [name for name in columns if name not in header]
    if missing or len(header) != len(columns):
        raise VisualMicError(
            f"{table}, row 1: the columns must be {', '.join(columns)}, each once"
            + (f"; missing: {', '.join(missing)}" if missing else "")
        )
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise VisualMicError(
                f"{table}, row {number}: {len(cells)} cells for {len(header)} columns; put a crop"
                ' in quotes, such as "0,0,96,96", and write a comma for an empty cell'
            )
        yield number, dict(zip(header, cells, strict=True))


def _lines(stream: Any) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(stream, strict=True)
    for cells in reader:
        if not (cells and cells[0].startswith("#")):
            yield reader.line_num, [cell.strip() for cell in cells]


def _typed(column: str, text: str) -> Any:
    """Turn a cell into its type; text that is not of that type is left for the schema to refuse."""
    if column == "offset_s" and not text:
        return 0.0
    if not text and column in ("fps", "reference", "crop"):
        return None
    try:
        if column in ("fps", "offset_s"):
            return float(text)
        if column == "crop":
            return [int(part) for part in text.split(",")]
    except ValueError:
        pass
    return text


def _disagreements(
    values: Mapping[str, Any], folder: Path, simulated: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Find what a schema of one row cannot see."""
    is_simulated = values["film"] == SIMULATED
    if is_simulated and values["id"] not in simulated:
        yield (
            "film",
            f"nothing says how to simulate {values['id']}; add simulation.recordings."
            f"{values['id']} to the config ({nearest(values['id'], list(simulated))})",
        )
    elif not is_simulated and not (folder / values["film"]).is_file():
        yield "film", f"there is no film {folder / values['film']}; mend the path or the name"
    reference = values["reference"]
    if reference == SIMULATED and not is_simulated:
        yield (
            "reference",
            "only a simulated film has a simulated sound; give a file, film or nothing",
        )
    elif reference not in (None, SIMULATED, OWN_TRACK) and not (folder / reference).is_file():
        yield "reference", f"there is no sound {folder / reference}; mend the path or the name"
    if values["crop"] and 0 in values["crop"][2:]:
        yield "crop", f"{values['crop']} is empty; write x,y,width,height in pixels"


def _recording(values: Mapping[str, Any], folder: Path) -> Recording:
    reference = values["reference"]
    return Recording(
        id=values["id"],
        film=None if values["film"] == SIMULATED else from_here(folder, values["film"]),
        fps=values["fps"],
        reference=reference
        if reference in (None, SIMULATED, OWN_TRACK)
        else from_here(folder, reference),
        offset_s=values["offset_s"],
        crop=tuple(values["crop"]) if values["crop"] else None,
        role=values["role"],
    )


def from_here(folder: Path, name: str) -> str:
    """Name a file of `folder` as seen from the working directory, which names no machine.

    A name that is absolute in the table stays so.
    """
    return os.path.normpath(name) if os.path.isabs(name) else os.path.relpath(folder / name)
