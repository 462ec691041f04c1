"""What the card of one recording shows, as the templates take it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualmic.evaluate.metrics import METRICS, Tone, UndefinedMetric, strongest_tone
from visualmic.film.metadata import file_sha256
from visualmic.report import wording
from visualmic.report.charts import LineChart, line_chart
from visualmic.report.contents import Hearing, Recording, Score
from visualmic.report.media import (
    first_frame,
    heat_overlay,
    picture_uri,
    sound_tracks,
    track_samples,
)
from visualmic.report.summary import best_hearing

RATE_SOURCES = {
    "option": "the recordings table",
    "tags": "the file's tags",
    "container": "the file's timestamps",
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its picture, what it shows, the file it is, and whether it needs width."""

    uri: str
    title: str
    path: str
    wide: bool = False


@dataclass(frozen=True)
class MetricRow:
    """A row of a card's table of scores: one metric over the methods."""

    title: str
    unit: str
    scores: tuple[Score | None, ...]
    best: tuple[int, ...]
    silence: float | None
    chance: float | None
    perfect: float | None
    reason: str


@dataclass(frozen=True)
class FileFact:
    """A file of a recording, relative to the results folder, and the digest of its bytes."""

    path: str
    digest: str


@dataclass(frozen=True)
class RecordingLine:
    """A recording in the table and in the head of its card.

    ``file`` is where its data lie beside the page, empty where the page itself holds them.
    """

    name: str
    slug: str
    role: str
    fps: float | None
    duration_s: float | None
    best: Hearing | None
    ratio_db: float | None
    warnings: tuple[str, ...]
    words: str
    file: str = ""


def recording_line(recording: Recording, slug: str, headline: str) -> RecordingLine:
    """Sum a recording up in a line."""
    ratios = [
        hearing.diagnostics.ratio_db
        for hearing in recording.hearings
        if hearing.diagnostics is not None and hearing.diagnostics.ratio_db is not None
    ]
    warnings = recording.warnings
    verdicts = [h.diagnostics.verdict for h in recording.hearings if h.diagnostics is not None]
    words = [recording.name, *recording.facts.values(), *warnings, *verdicts]
    return RecordingLine(
        name=recording.name,
        slug=slug,
        role=recording.facts.get("role", ""),
        fps=recording.number("capture_fps"),
        duration_s=recording.number("duration_s"),
        best=best_hearing(recording, headline),
        ratio_db=min(ratios, default=None),
        warnings=warnings,
        words=" ".join(words).lower(),
    )


def card_data(
    recording: Recording, line: RecordingLine, series: Mapping[str, int], results: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what the template of a card takes, and the data of its player.

    Parameters
    ----------
    recording : Recording
        What to show.
    line : RecordingLine
        Its line.
    series : mapping of str to int
        Number of each method's colour.
    results : Path
        The results folder, to which paths are relative.

    Returns
    -------
    context : dict
        For ``card.html``.
    player : dict
        ``name``, ``duration_s``, ``nyquist_hz`` and ``tracks``, ready for JSON.
    """
    tracks = sound_tracks(recording)
    heard = [track for track in tracks if track["kind"] == "method"]
    ends = [track["seconds"] for track in heard or tracks]
    duration_s = recording.number("duration_s") or max(ends, default=0.0)
    rates = [track["rate"] for track in heard or tracks]
    scored = [hearing for hearing in recording.hearings if hearing.scores]
    rows = _metric_rows(scored)
    # Where nothing can be scored, the strongest tone is what a person can check by other means.
    tones = {} if scored else _tones(heard)
    context = {
        "r": line,
        "tracks": [_lane(t, recording, line, series, tones) for t in tracks if t["kind"] != "wide"],
        "duration_s": round(duration_s, 3),
        "has_reference": recording.reference is not None,
        "has_wide": any(track["kind"] == "wide" for track in tracks),
        "film_facts": _film_facts(recording),
        "scored": scored,
        "metric_rows": rows,
        "tones": tones,
        "has_chance": any(row.chance is not None for row in rows),
        "measured": [
            h for h in recording.hearings if h.diagnostics and h.diagnostics.says_something
        ],
        "snr_chart": _snr_chart(recording, series),
        "figures": figures(recording.figures, results),
        "files": _files(recording, results),
        "frame": None,
        "overlay": None,
    }
    if recording.frames is not None:
        uri, width, height = first_frame(recording.frames)
        context["frame"] = {"uri": uri, "width": width, "height": height}
        context["overlay"] = _overlay(recording, width, height)
    player = {
        "name": recording.name,
        "duration_s": duration_s,
        "nyquist_hz": max(rates, default=0) / 2,
        "tracks": tracks,
    }
    return context, player


def figures(paths: Sequence[Path], results: Path) -> list[Figure]:
    """Read drawn figures and name them after their files."""
    found = []
    for path in paths:
        parts = Path(_relative(path, results)).with_suffix("").parts[1:]
        title = wording.figure_title(parts)
        found.append(
            Figure(picture_uri(path), title, _relative(path, results), parts[0] == "sounds")
        )
    return found


def _relative(path: Path, results: Path) -> str:
    return path.relative_to(results).as_posix()


def _tones(tracks: Sequence[Mapping[str, Any]]) -> dict[str, Tone]:
    tones = {}
    for track in tracks:
        # A silent or very short sound has none.
        with contextlib.suppress(UndefinedMetric):
            tones[track["key"]] = strongest_tone(track_samples(track), track["rate"])
    return tones


def _lane(
    track: Mapping[str, Any],
    recording: Recording,
    line: RecordingLine,
    series: Mapping[str, int],
    tones: Mapping[str, Tone],
) -> dict[str, Any]:
    if track["kind"] == "reference":
        return {
            "key": track["key"],
            "series": "ref",
            "title": "Played in the room",
            "note": "the truth, in the film's band",
        }
    hearing = recording.hearing(track["key"])
    pearson = hearing.value("pearson") if hearing is not None else None
    best = line.best is not None and line.best.method == track["key"] and len(series) > 1
    note = "heard from the film"
    if pearson is not None:
        note = f"{wording.metric_title('pearson')} {wording.number(pearson)}"
    elif track["key"] in tones:
        note = f"strongest at {wording.rate(round(tones[track['key']].frequency_hz, 1), 'Hz')}"
    return {
        "key": track["key"],
        "series": series[track["key"]],
        "title": wording.method_title(track["key"]),
        "note": f"{note}, the best" if best else note,
    }


def _film_facts(recording: Recording) -> list[tuple[str, str]]:
    facts = recording.facts
    capture = recording.number("capture_fps")
    container = recording.number("container_fps")
    source = facts.get("capture_fps_source", "")
    rate = wording.rate(capture, "fps")
    if capture and container and abs(capture - container) > 0.01 * capture:
        rate += f" (the file says {wording.rate(container, 'fps')})"
    size = "×".join(facts[key] for key in ("width", "height") if facts.get(key))
    rows = [
        ("File", facts.get("file", "")),
        ("SHA-256", facts.get("sha256", "")[:16]),
        ("Picture", f"{size} pixels" if size else ""),
        ("Captured at", rate if capture else ""),
        ("Rate known from", RATE_SOURCES.get(source, source)),
        ("Frames", facts.get("frames", "")),
        ("Length", wording.duration(recording.number("duration_s"))),
        (
            "Frames evenly spaced",
            {"no": "yes", "yes": "no"}.get(facts.get("variable_frame_rate", ""), ""),
        ),
        ("Own sound track", f"{facts['audio_rate']} Hz" if facts.get("audio_rate") else "none"),
        ("Hears up to", wording.rate(capture / 2, "Hz") if capture else ""),
    ]
    return [(name, value) for name, value in rows if value]


def _metric_rows(scored: Sequence[Hearing]) -> list[MetricRow]:
    names = dict.fromkeys(score.name for hearing in scored for score in hearing.scores)
    rows = []
    for name in names:
        scores = tuple(hearing.score(name) for hearing in scored)
        known = [score for score in scores if score is not None]
        values = {i: s.value for i, s in enumerate(scores) if s is not None and s.value is not None}
        direction = known[0].direction
        best: tuple[int, ...] = ()
        if direction and len(values) > 1:
            top = max(direction * value for value in values.values())
            best = tuple(i for i, value in values.items() if direction * value == top)
        reasons = {score.reason for score in known if score.value is None and score.reason}
        title = wording.metric_title(name)
        rows.append(
            MetricRow(
                title=title,
                unit=known[0].unit or (METRICS[name].unit if name in METRICS else ""),
                scores=scores,
                best=best,
                silence=next((s.silence for s in known if s.silence is not None), None),
                chance=max((s.chance for s in known if s.chance is not None), default=None),
                perfect=next((s.perfect for s in known if s.perfect is not None), None),
                reason=f"{title}: {'; '.join(sorted(reasons))}" if reasons else "",
            )
        )
    return rows


def _snr_chart(recording: Recording, series: Mapping[str, int]) -> LineChart | None:
    curves = [
        (
            wording.method_title(h.method),
            series[h.method],
            h.diagnostics.frequency_hz,
            h.diagnostics.snr_db,
        )
        for h in recording.hearings
        if h.diagnostics is not None and h.diagnostics.frequency_hz
    ]
    return line_chart(
        "How far the sound stands above the noise at each frequency",
        "Frequency (Hz)",
        "Signal to noise (dB)",
        curves,
    )


def _overlay(recording: Recording, width: int, height: int) -> dict[str, Any] | None:
    for hearing in recording.hearings:
        heat = hearing.diagnostics.heat_map if hearing.diagnostics is not None else None
        if heat is None:
            continue
        uri = heat_overlay(heat, width, height)
        if uri is not None:
            values = [value for value in heat.value if value == value]
            return {"uri": uri, "method": hearing.method, "unit": heat.unit, "high": max(values)}
    return None


def _files(recording: Recording, results: Path) -> list[FileFact]:
    paths = [recording.reference, recording.reference_as_filmed]
    for hearing in recording.hearings:
        paths += [hearing.sound, hearing.score_file, hearing.diagnostics_file]
    known = [FileFact(_relative(p, results), file_sha256(p)) for p in paths if p is not None]
    if recording.frames is not None:
        # A frame store may be many gigabytes: its digest is in the log of the rule that made it.
        known.insert(0, FileFact(_relative(recording.frames, results), ""))
    return known
