"""Score a recovered sound against a recording of what was played.

Both are first brought to one rate, delay and polarity. Every score is printed beside what silence,
the same sound played backwards (chance), and a perfect copy would score.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from visualmic.errors import VisualMicError

if TYPE_CHECKING:
    from visualmic.evaluate.scores import EvaluationSettings, Scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``visualmic evaluate``."""
    parser.add_argument("recovered", metavar="RECOVERED", help="the sound that was recovered")
    parser.add_argument("reference", metavar="REFERENCE", help="the sound that was played")
    parser.add_argument(
        "--offset",
        type=float,
        default=0.0,
        metavar="S",
        help="time in REFERENCE at which the film begins, in seconds (default: %(default)g)",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="capture rate of the film, in hertz, where it is no whole number as a WAV's must be",
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        metavar="S",
        help="largest delay to look for to either side, in seconds (default: 0.25)",
    )
    parser.add_argument("--json", metavar="OUT", help="write the scores to this file, too")
    parser.add_argument(
        "--figures", metavar="DIR", help="draw both sounds and how they differ into this folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Score, print and write what was asked for."""
    from visualmic.audio.wav import read_audio
    from visualmic.evaluate.scores import EvaluationSettings, score, write_scores

    recovered, rate = read_audio(arguments.recovered)
    reference, reference_rate = read_audio(arguments.reference)
    capture_fps = float(rate) if arguments.fps is None else arguments.fps
    if arguments.max_lag is None:
        settings = EvaluationSettings()
    else:
        settings = EvaluationSettings(max_lag_s=arguments.max_lag)
    scores = score(
        recovered,
        capture_fps,
        reference,
        reference_rate,
        offset_s=arguments.offset,
        settings=settings,
    )
    if scores.rate is None:
        raise VisualMicError(
            f"cannot compare {arguments.recovered} with {arguments.reference}: {scores.warnings[0]}"
        )
    for line in report(scores):
        print(line)
    if arguments.json:
        write_scores(arguments.json, scores, recording=Path(arguments.recovered).stem)
    if arguments.figures:
        for path in _draw(arguments, settings):
            print(f"wrote {path}")
    return 0


def _draw(arguments: argparse.Namespace, settings: "EvaluationSettings") -> list[Path]:
    from visualmic.report import figures

    title = Path(arguments.recovered).stem
    sounds = figures.align_files(
        {title: arguments.recovered},
        arguments.reference,
        offset_s=arguments.offset,
        fps=arguments.fps,
        settings=settings,
    )
    folder = Path(arguments.figures)
    return [
        *figures.draw_sounds(sounds, folder / "sounds", title),
        *figures.draw_frequency_snr(sounds, folder / "frequency_snr", title),
        *figures.draw_amplitudes(sounds, folder / "amplitudes", title),
    ]


def report(scores: "Scores") -> list[str]:
    """Lay scores out as lines of text, columns aligned."""
    from visualmic.evaluate.metrics import METRICS

    lines = []
    if scores.lag_s is not None and scores.polarity is not None and scores.band_hz is not None:
        lines = [
            f"compared {scores.duration_s:.2f} s at {scores.rate:g} Hz,"
            f" {scores.band_hz[0]:.0f} to {scores.band_hz[1]:.0f} Hz",
            f"recovered sound: {1000 * scores.lag_s:+.3f} ms late,"
            f" {'same' if scores.polarity > 0 else 'opposite'} polarity,"
            f" correlation {scores.correlation:.3f}",
        ]
    lines += [f"warning: {warning}" for warning in scores.warnings]
    rows: list[tuple[str, ...]] = [("metric", "value", "silence", "chance", "perfect", "unit")]
    reasons = []
    for name, entry in scores.metrics.items():
        numbers = (entry.value, entry.silence, entry.chance, entry.perfect)
        rows.append((METRICS[name].title, *(_number(number) for number in numbers), entry.unit))
        if entry.reason:
            reasons.append(f"{METRICS[name].title}: {entry.reason}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines.append("")
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5], strict=True)]
        lines.append("  ".join([*cells, row[5]]).rstrip())
    return lines + (["", *reasons] if reasons else [])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"
