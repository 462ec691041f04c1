"""The report page: summary, players and pictures of every recording, in one file that works alone.

While everything fits, the page is one file; beyond that, what each recording's card needs lies in
a folder beside it and is loaded when the card is opened. Nothing is ever asked of a network, and
the page itself forbids it (its Content-Security-Policy).
"""

import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import visualmic
from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.progress import Progress
from visualmic.report import wording
from visualmic.report.cards import RecordingLine, card_data, figures, recording_line
from visualmic.report.charts import Row, StripChart, line_chart, strip_chart
from visualmic.report.collect import collect_report
from visualmic.report.comparison import COLUMNS, comparison_rows
from visualmic.report.contents import ReportData, TrainedModel
from visualmic.report.media import (
    DIFFERENCE_COLOURS,
    SPECTROGRAM_COLOURS,
    first_frame,
    palette,
    sound_tracks,
    spectrogram_strip,
)
from visualmic.report.summary import Summary, summarise

ONE_FILE_BYTES = 25_000_000
"""Largest page that is one file."""

TITLE = "What the films heard"
SCRIPTS = (
    "store.js",
    "tables.js",
    "sound.js",
    "spectrum.js",
    "lanes.js",
    "gestures.js",
    "cards.js",
)
KNOWN_METHODS = (
    "pyramid",
    "pyramid-denoised",
    "lucas-kanade",
    "lucas-kanade-denoised",
    "siamese",
    "resnet50",
    "fpn",
    "hybrid",
)
"""Methods in the order of their colours in the style sheet."""

STRIP_METRICS = ("pearson", "si_sdr", "rmse", "mae")
PACKAGES = ("numpy", "scipy", "opencv-python-headless", "numba", "h5py", "soundfile", "matplotlib")


def build_report(
    results: str | os.PathLike[str],
    output: str | os.PathLike[str],
    methods: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    command: str = "snakemake --cores all",
    one_file_bytes: int = ONE_FILE_BYTES,
    quiet: bool = False,
) -> ReportData:
    """Build the report page from what is under a results folder.

    Parameters
    ----------
    results : path
        The folder that the pipeline made.
    output : path
        The page to make; its folder ``<stem>_files`` appears beside it when the page would be
        larger than `one_file_bytes`.
    methods : sequence of str, optional
        Methods to show, in this order; by default every folder under ``sound/``.
    settings : mapping, optional
        Settings to state on the page, JSON-serialisable.
    command : str
        The command that makes a file of the results again when its path is put behind.
    one_file_bytes : int
        Largest page, in bytes, that is one file.
    quiet : bool
        Show no progress.

    Returns
    -------
    ReportData
        What the page shows.

    Raises
    ------
    VisualMicError
        If ``dataset/metadata.csv`` is missing, a file cannot be read, or `output` cannot be
        written.
    """
    data = collect_report(results, methods, _provenance(settings))
    summary = summarise(data)
    data = _best_first(data, summary)
    output = Path(output)
    environment = _environment(data.results, command)
    slugs = _slugs([recording.name for recording in data.recordings])
    lines = [
        recording_line(recording, slug, summary.headline)
        for recording, slug in zip(data.recordings, slugs, strict=True)
    ]
    folder = output.with_name(f"{output.stem}_files")
    with Progress("build the report", len(lines), unit="recording", quiet=quiet) as progress:
        payloads = _payloads(data, lines, environment, progress)
        blocks, lines = _place(payloads, lines, folder, one_file_bytes)
    text = environment.get_template("report.html").render(
        _page_context(data, summary, lines, blocks)
    )
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    _remove_stale(folder, {line.file for line in lines})
    return data


def _best_first(data: ReportData, summary: Summary) -> ReportData:
    """Put the methods in the order of the summary, and those without a score after them."""
    ranked = [entry.method for entry in summary.methods]
    order = [*ranked, *(method for method in data.methods if method not in ranked)]
    recordings = tuple(
        replace(r, hearings=tuple(sorted(r.hearings, key=lambda h: order.index(h.method))))
        for r in data.recordings
    )
    return replace(data, methods=tuple(order), recordings=recordings)


def _environment(results: Path, command: str) -> jinja2.Environment:
    loader = jinja2.PackageLoader("visualmic.report", "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    name = results.as_posix()
    environment.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "with_unit": wording.with_unit,
        "rate": wording.rate,
        "duration": wording.duration,
        "motion": wording.motion,
        "method": wording.method_title,
        "metric": wording.metric_title,
        "metric_note": wording.metric_note,
    }
    environment.globals |= {
        "asset": lambda path: Markup(loader.get_source(environment, path)[0]),
        "remake": lambda path: f"{command} {name}/{path}" if path else command,
    }
    return environment


def _payloads(
    data: ReportData,
    lines: Sequence[RecordingLine],
    environment: jinja2.Environment,
    progress: Progress,
) -> Iterator[str]:
    """Render each recording's card and join it with the sounds of its player, as JSON."""
    template = environment.get_template("card.html")
    series = _series(data.methods)
    for recording, line in zip(data.recordings, lines, strict=True):
        context, player = card_data(recording, line, series, data.results)
        yield _script_json({**player, "html": template.render(context, series=series)})
        progress.advance()


def _place(
    payloads: Iterator[str], lines: Sequence[RecordingLine], folder: Path, one_file_bytes: int
) -> tuple[list[dict[str, str | Markup]], list[RecordingLine]]:
    """Put the payloads into the page while they fit, else all of them beside it."""
    kept: list[str] = []
    size = 0
    for payload in payloads:
        kept.append(payload)
        size += len(payload.encode())
        if size > one_file_bytes:
            break
    else:
        blocks: list[dict[str, str | Markup]] = [
            {"slug": line.slug, "json": Markup(payload)}
            for line, payload in zip(lines, kept, strict=True)
        ]
        return blocks, list(lines)

    def every() -> Iterator[str]:
        yield from kept
        kept.clear()
        yield from payloads

    placed = [
        replace(line, file=_write_beside(folder, line.slug, payload))
        for line, payload in zip(lines, every(), strict=True)
    ]
    return [], placed


def _write_beside(folder: Path, slug: str, payload: str) -> str:
    # Named by their content, so that a page that is still open keeps what belongs to it.
    name = f"{slug}-{hashlib.sha256(payload.encode()).hexdigest()[:12]}.js"
    with atomic_path(folder / name) as temporary:
        temporary.write_text(f"visualmic.receive({json.dumps(slug)}, {payload});\n", "utf-8")
    return f"{folder.name}/{name}"


def _remove_stale(folder: Path, used: set[str]) -> None:
    """Remove what an earlier page kept beside it and this one does not use."""
    if not folder.is_dir():
        return
    try:
        for path in folder.glob("*.js"):
            if f"{folder.name}/{path.name}" not in used:
                path.unlink()
        if not any(folder.iterdir()):
            shutil.rmtree(folder)
    except OSError as error:
        raise VisualMicError(
            f"cannot tidy {folder}: {error.strerror}; delete it and run again"
        ) from error


def _page_context(
    data: ReportData,
    summary: Summary,
    lines: Sequence[RecordingLine],
    blocks: Sequence[Mapping[str, str | Markup]],
) -> dict[str, Any]:
    series = _series(data.methods)
    featured = _featured(lines, summary)
    models, columns = _model_rows(data.models, data.results)
    page = {
        "featured": featured.slug if featured else "",
        "palettes": {
            "spectrogram": palette(SPECTROGRAM_COLOURS),
            "difference": palette(DIFFERENCE_COLOURS),
        },
    }
    return {
        "title": TITLE,
        "version": visualmic.__version__,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "summary": summary,
        "slugs": {line.name: line.slug for line in lines},
        "methods": data.methods,
        "series": series,
        "strips": _strips(data, summary, series),
        "overview": figures(data.figures, data.results),
        "recordings": lines,
        "roles": sorted({line.role for line in lines if line.role}),
        "featured": featured,
        "hero": _hero(data, featured),
        "models": models,
        "model_columns": columns,
        "comparison": comparison_rows(data.comparison),
        "comparison_columns": list(COLUMNS.values()),
        "provenance": data.provenance,
        "results_name": data.results.as_posix(),
        "folder": not blocks and bool(lines),
        "blocks": blocks,
        "page_json": Markup(_script_json(page)),
        "scripts": SCRIPTS,
    }


def _featured(lines: Sequence[RecordingLine], summary: Summary) -> RecordingLine | None:
    """Choose the recording to be heard first: the one that was heard best."""

    def goodness(line: RecordingLine) -> float:
        score = line.best.score(summary.headline) if line.best is not None else None
        if score is None or score.value is None:
            return float("-inf")
        return score.value * (score.direction or 1)

    return max(lines, key=goodness, default=None)


def _hero(data: ReportData, line: RecordingLine | None) -> dict[str, Any] | None:
    """Show the featured recording at a glance: its film, what was played, what was heard."""
    recording = next((r for r in data.recordings if line and r.name == line.name), None)
    if recording is None or line is None:
        return None
    tracks = {track["key"]: track for track in sound_tracks(recording)}
    heard = line.best.method if line.best is not None else next(iter(data.methods), "")
    if heard not in tracks:
        return None
    until_s = recording.number("duration_s") or tracks[heard]["seconds"]
    shown = {
        "reference": "Played in the room",
        heard: f"Heard from it: {wording.method_title(heard)}",
    }
    strips = [
        {"title": title, "uri": spectrogram_strip(tracks[key], until_s, tracks[heard]["rate"] / 2)}
        for key, title in shown.items()
        if key in tracks
    ]
    frame = first_frame(recording.frames)[0] if recording.frames is not None else ""
    return {"frame": frame, "strips": strips}


def _series(methods: Sequence[str]) -> dict[str, int]:
    """Give each method the number of its colour; the known ones have theirs, as in the figures."""
    series = {method: KNOWN_METHODS.index(method) for method in methods if method in KNOWN_METHODS}
    free = [n for n in range(len(KNOWN_METHODS)) if n not in series.values()]
    others = [method for method in methods if method not in series]
    colours = free or list(range(len(KNOWN_METHODS)))
    return series | {m: colours[n % len(colours)] for n, m in enumerate(others)}


def _strips(data: ReportData, summary: Summary, series: Mapping[str, int]) -> list[StripChart]:
    charts = []
    for name in (metric for metric in STRIP_METRICS if metric in summary.metrics):
        rows = []
        for entry in summary.methods:
            average = entry.averages[name]
            heard = [recording.hearing(entry.method) for recording in data.recordings]
            values = tuple(v for h in heard if h is not None and (v := h.value(name)) is not None)
            text = wording.with_unit(average.mean, average.unit)
            rows.append(
                Row(
                    label=wording.method_title(entry.method),
                    series=series[entry.method],
                    values=values,
                    mean=average.mean,
                    low=average.low,
                    high=average.high,
                    text=text,
                )
            )
        unit = next((row.averages[name].unit for row in summary.methods), "")
        title = wording.metric_title(name)
        # Decibels of silence and of a perfect copy are bounds set by hand, far off any score.
        marks = () if unit == "dB" else (summary.silence.get(name), summary.perfect.get(name))
        chart = strip_chart(title, f"{title} ({unit})" if unit else title, rows, *marks)
        if chart is not None:
            charts.append(chart)
    return charts


def _model_rows(
    models: Sequence[TrainedModel], results: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    rows = []
    columns: dict[str, None] = {}
    for index, model in enumerate(models):
        metrics = dict(_flattened(model.metrics))
        columns |= dict.fromkeys(metrics)
        names = [name for name in model.history if name != "epoch"]
        losses = [name for name in names if "loss" in name] or names
        count = len(next(iter(model.history.values()), ()))
        epochs = model.history.get("epoch", tuple(float(n + 1) for n in range(count)))
        curves = [
            (
                name.replace("_", " "),
                (index + place) % len(KNOWN_METHODS),
                epochs,
                model.history[name],
            )
            for place, name in enumerate(losses)
        ]
        title = f"{wording.method_title(model.model)}, {model.fold.replace('_', ' ')}"
        rows.append(
            {
                "model": model.model,
                "fold": model.fold,
                "epochs": count,
                "metrics": metrics,
                "chart": line_chart(f"Training of {title}", "Epoch", "Loss", curves),
                "path": (model.folder / "history.csv").relative_to(results).as_posix(),
            }
        )
    return rows, list(columns)


def _flattened(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{label} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield label, float(value)


def _provenance(settings: Mapping[str, Any] | None) -> dict[str, str]:
    facts = {
        "visualmic": visualmic.__version__,
        "Python": platform.python_version(),
        "Machine": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if settings:
        facts["Settings"] = json.dumps(settings, indent=2, default=str)
    return facts


def _slugs(names: Sequence[str]) -> list[str]:
    """Give names that may stand in an id and in a file's name, each once."""
    slugs: list[str] = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "recording"
        slug, number = base, 2
        while slug.lower() in {used.lower() for used in slugs}:
            slug, number = f"{base}-{number}", number + 1
        slugs.append(slug)
    return slugs


def _script_json(content: Mapping[str, Any]) -> str:
    """Write JSON that can stand inside a script element."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
