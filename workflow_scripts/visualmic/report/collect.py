"""What the report page shows, read from the files under ``results/``.

Conventions: a recording is a row of ``dataset/metadata.csv``; a method is a folder of ``sound/``;
a file that is not there yet leaves its part of the page out, while a file that is there and
cannot be read is an error, so that the page never shows less than was made without saying so.
"""

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visualmic.errors import VisualMicError
from visualmic.report.contents import (
    Diagnostics,
    Hearing,
    HeatMap,
    Recording,
    ReportData,
    Score,
    TrainedModel,
)


def collect_report(
    results: str | os.PathLike[str],
    methods: Sequence[str] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> ReportData:
    """Read the small files of a ``results/`` folder and find the large ones.

    Parameters
    ----------
    results : path
        The folder that the pipeline made.
    methods : sequence of str, optional
        Methods to show, in this order; by default every folder under ``sound/``.
    provenance : mapping of str to str, optional
        Settings and versions to state on the page.

    Returns
    -------
    ReportData
        Numbers and paths; sounds, frames and pictures are read when the page is built.

    Raises
    ------
    VisualMicError
        If ``dataset/metadata.csv`` is missing, or a file that is there cannot be read.
    """
    results = Path(results)
    rows = _read_metadata(results / "dataset" / "metadata.csv")
    if methods is None:
        methods = [path.name for path in sorted((results / "sound").glob("*")) if path.is_dir()]
    figures = sorted((results / "figures").rglob("*.png"))
    names = [row["recording"] for row in rows]
    owned = {name: tuple(path for path in figures if _is_of(path, name)) for name in names}
    taken = {path for paths in owned.values() for path in paths}
    recordings = tuple(
        Recording(
            name=row["recording"],
            facts=row,
            hearings=tuple(
                hearing
                for method in methods
                if (hearing := _read_hearing(results, method, row["recording"])) is not None
            ),
            reference=_existing(results / "dataset" / f"{row['recording']}.wav"),
            reference_as_filmed=_existing(
                results / "dataset" / f"{row['recording']}_subsampled_-1To1.wav"
            ),
            frames=_existing(results / "frames" / f"{row['recording']}.h5"),
            figures=owned[row["recording"]],
            film_warnings=_film_warnings(results / "dataset" / "probes", row["recording"]),
        )
        for row in rows
    )
    return ReportData(
        results=results,
        recordings=recordings,
        methods=tuple(
            m for m in methods if any(h.method == m for r in recordings for h in r.hearings)
        ),
        models=_read_models(results / "models"),
        figures=tuple(path for path in figures if path not in taken),
        provenance=dict(provenance or {}),
        comparison=_read_comparison(results / "models.csv"),
    )


def _read_metadata(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [{k: v or "" for k, v in row.items() if k} for row in csv.DictReader(stream)]
    except OSError as error:
        raise VisualMicError(
            f"cannot read {path}: {error.strerror}; make it first: snakemake {path}"
        ) from error
    if rows and "recording" not in rows[0]:
        raise VisualMicError(
            f"{path} has no column named recording, only {', '.join(rows[0])}: make it again"
        )
    return rows


def _is_of(figure: Path, recording: str) -> bool:
    return figure.stem == recording or figure.parent.name == recording


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _film_warnings(probes: Path, recording: str) -> tuple[str, ...]:
    probe = _existing(probes / f"{recording}.json")
    return tuple(str(text) for text in read_json(probe).get("warnings") or ()) if probe else ()


def _read_hearing(results: Path, method: str, recording: str) -> Hearing | None:
    sound = _existing(results / "sound" / method / f"{recording}.wav")
    score_file = _existing(results / "scores" / method / f"{recording}.json")
    diagnostics_file = _existing(results / "diagnostics" / method / f"{recording}.json")
    if sound is None and score_file is None:
        return None
    scored = read_json(score_file) if score_file else {}
    diagnostics = parse_diagnostics(read_json(diagnostics_file)) if diagnostics_file else None
    warnings = (
        *(diagnostics.warnings if diagnostics else ()),
        *(str(text) for text in scored.get("warnings") or ()),
    )
    return Hearing(
        method=method,
        sound=sound,
        scores=tuple(
            _parse_score(name, entry) for name, entry in (scored.get("metrics") or {}).items()
        ),
        lag_s=_number(scored.get("lag_s")) or 0.0,
        polarity=-1 if (_number(scored.get("polarity")) or 1) < 0 else 1,
        score_file=score_file,
        diagnostics_file=diagnostics_file,
        diagnostics=diagnostics,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _parse_score(name: str, entry: Any) -> Score:
    if not isinstance(entry, Mapping):
        return Score(name, _number(entry))
    return Score(
        name=name,
        value=_number(entry.get("value")),
        silence=_number(entry.get("silence"), finite=False),
        perfect=_number(entry.get("perfect"), finite=False),
        chance=_number(entry.get("chance"), finite=False),
        unit=str(entry.get("unit") or ""),
        reason=str(entry.get("reason") or ""),
    )


def parse_diagnostics(content: Mapping[str, Any]) -> Diagnostics:
    """Understand a diagnostics file; parts that are missing stay empty."""
    spectrum = content.get("snr_per_frequency") or {}
    heat = content.get("heat_map") or {}
    warnings = content.get("warnings") or ()
    return Diagnostics(
        verdict=str(content.get("verdict") or ""),
        warnings=tuple(str(text) for text in warnings),
        noise_floor_px=_number(content.get("noise_floor_px")),
        bound_px=_number(content.get("crb_px")),
        ratio_db=_number(content.get("ratio_db")),
        bandwidth_hz=_number(content.get("effective_bandwidth_hz")),
        frequency_hz=_numbers(spectrum.get("frequency_hz")),
        snr_db=_numbers(spectrum.get("snr_db")),
        heat_map=HeatMap(
            x_px=_numbers(heat.get("x_px")),
            y_px=_numbers(heat.get("y_px")),
            value=_numbers(heat.get("value")),
            size_px=_number(heat.get("size_px")) or 16.0,
            unit=str(heat.get("unit") or ""),
        )
        if heat
        else None,
    )


def _read_models(folder: Path) -> tuple[TrainedModel, ...]:
    models = []
    for history_file in sorted(folder.glob("*/*/history.csv")):
        metrics_file = history_file.with_name("metrics.json")
        with history_file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        columns = {
            name: _numbers(row.get(name) for row in rows) for name in (rows[0] if rows else ())
        }
        models.append(
            TrainedModel(
                model=history_file.parent.parent.name,
                fold=history_file.parent.name,
                history=columns,
                metrics=read_json(metrics_file) if metrics_file.is_file() else {},
                folder=history_file.parent,
            )
        )
    return tuple(models)


def _read_comparison(path: Path) -> tuple[Mapping[str, str], ...]:
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from `path`.

    Raises
    ------
    VisualMicError
        If it is missing or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; delete it and run again") from error
    if not isinstance(content, dict):
        raise VisualMicError(f"{path} holds no JSON object: delete it and run again")
    return content


def _number(value: Any, finite: bool = True) -> float | None:
    """Give a float; None for what is no number, or is NaN, or is infinite while `finite`."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    number = float(value)
    if math.isnan(number) or (finite and math.isinf(number)):
        return None
    return number


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(math.nan if (n := _number(v)) is None else n for v in values or ())
