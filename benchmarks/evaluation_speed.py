"""Scoring and drawing of 100 recordings of 30 s by 4 methods, on 2 cores.

The recordings are noise that comes and goes as speech does, at 2200 Hz, with references at
44.1 kHz; each "method" is the reference through a resonator with more or less noise. Two processes
share the work, a recording at a time, from WAV files to score files and from WAV files to figures
(sounds, signal-to-noise ratio by frequency, amplitudes, heat map), as the workflow's jobs do.

Processor time is given beside that of the clock, which other work on the machine lengthens. It
fails unless, by the clock, scoring takes under 2 minutes and drawing under 5.
"""

import argparse
import csv
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Two processes on two cores: threads of their own would only be in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.signal import lfilter
from visualmic.audio.wav import read_audio, write_wav
from visualmic.evaluate.alignment import resample
from visualmic.evaluate.bootstrap import comparison_table, summary_table
from visualmic.evaluate.scores import read_scores, score, scores_table, write_scores, write_table
from visualmic.report.figures import (
    align_files,
    block_grid,
    draw_amplitudes,
    draw_frequency_snr,
    draw_heat_map,
    draw_scores,
    draw_sounds,
)

METHODS = {
    "pyramid": 1.0,
    "pyramid-denoised": 0.6,
    "lucas-kanade": 0.3,
    "lucas-kanade-denoised": 0.2,
}
RATE, REFERENCE_RATE = 2200, 44_100
FRAME = (192, 192)
MOST_SCORING_S = 120.0
MOST_DRAWING_S = 300.0
WORKERS = 2
RESULTS = Path(__file__).parent / "results" / "evaluation_speed.csv"


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few sounds: figures mean nothing")
    quick = parser.parse_args().quick
    recordings, duration_s = (4, 5.0) if quick else (100, 30.0)
    with tempfile.TemporaryDirectory() as name, multiprocessing.Pool(WORKERS) as pool:
        folder = Path(name)
        indices = range(recordings)
        pool.starmap(make_recording, [(folder, index, duration_s) for index in indices], 1)
        tasks = [(folder, index) for index in indices]
        scoring_s, scoring_cpu_s = timed(lambda: pool.starmap(score_recording, tasks, 1))
        gathering_s, gathering_cpu_s = timed(lambda: [gather(folder)])
        drawing_s, drawing_cpu_s = timed(lambda: pool.starmap(draw_recording, tasks, 1))
    sounds = recordings * len(METHODS)
    rows: list[dict[str, Any]] = [
        row("score", "sound", sounds, scoring_s, scoring_cpu_s, MOST_SCORING_S),
        row("gather and average", "table", 1, gathering_s, gathering_cpu_s, MOST_SCORING_S),
        row("draw", "recording", recordings, drawing_s, drawing_cpu_s, MOST_DRAWING_S),
    ]
    print(
        f"{recordings} recordings of {duration_s:g} s by {len(METHODS)} methods,"
        f" {WORKERS} processes"
    )
    print(
        f"{'step':<20}{'each':>10}{'count':>7}{'seconds':>9}{'CPU s':>8}{'each':>7}{'at most':>9}"
    )
    for entry in rows:
        print(
            f"{entry['step']:<20}{entry['each']:>10}{entry['count']:>7}{entry['seconds']:>9.1f}"
            f"{entry['cpu_seconds']:>8.1f}{entry['cpu_seconds_each']:>7.2f}{entry['at_most_s']:>9.0f}"
        )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    failed = [
        f"{what} took {seconds:.0f} s, more than {most:.0f} s"
        for what, seconds, most in (
            ("scoring", scoring_s + gathering_s, MOST_SCORING_S),
            ("drawing", drawing_s, MOST_DRAWING_S),
        )
        if seconds > most
    ]
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def row(
    step: str, each: str, count: int, seconds: float, cpu_seconds: float, at_most_s: float
) -> dict[str, Any]:
    """Lay one measurement out."""
    return {
        "step": step,
        "each": each,
        "count": count,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "cpu_seconds_each": round(cpu_seconds / count, 4),
        "at_most_s": at_most_s,
    }


def timed(work: Callable[[], list[float]]) -> tuple[float, float]:
    """Seconds that `work` takes by the clock, and the processor's that it says it took."""
    started = time.perf_counter()
    cpu_s = sum(work())
    return time.perf_counter() - started, cpu_s


def make_recording(folder: Path, index: int, duration_s: float) -> None:
    """Write a reference, and what each method makes of it."""
    random = np.random.default_rng(index)
    time_s = np.arange(round(duration_s * REFERENCE_RATE)) / REFERENCE_RATE
    voice = lfilter([1.0], [1.0, -1.95, 0.96], random.standard_normal(time_s.size))
    played = voice * (1.05 + np.sin(2 * np.pi * 3 * time_s + index))
    write_wav(folder / f"{index}.wav", played, REFERENCE_RATE)
    shaken = lfilter([1.0], [1.0, -1.5, 0.9], resample(played, REFERENCE_RATE, RATE))
    for method, level in METHODS.items():
        heard = np.roll(shaken, 7) + level * shaken.std() * random.standard_normal(shaken.size)
        write_wav(folder / method / f"{index}.wav", heard, RATE)


def score_recording(folder: Path, index: int) -> float:
    """Score what each method heard, and give the processor's seconds."""
    started = time.process_time()
    for method in METHODS:
        scores = score(
            *read_audio(folder / method / f"{index}.wav"), *read_audio(folder / f"{index}.wav")
        )
        write_scores(folder / "scores" / method / f"{index}.json", scores, str(index), method)
    return time.process_time() - started


def gather(folder: Path) -> float:
    """Write the tables of all scores and draw them, and give the processor's seconds."""
    started = time.process_time()
    rows = scores_table(read_scores(path) for path in sorted(folder.glob("scores/*/*.json")))
    write_table(folder / "scores.csv", rows)
    write_table(folder / "summary.csv", summary_table(rows))
    write_table(folder / "comparison.csv", comparison_table(rows, "pyramid"))
    draw_scores(rows, folder / "figures" / "scores", "Scores")
    return time.process_time() - started


def draw_recording(folder: Path, index: int) -> float:
    """Draw every figure of a recording, and give the processor's seconds."""
    started = time.process_time()
    files = {method: folder / method / f"{index}.wav" for method in METHODS}
    sounds = align_files(files, folder / f"{index}.wav")
    figures = folder / "figures"
    draw_sounds(sounds, figures / "sounds" / str(index), str(index))
    draw_frequency_snr(sounds, figures / "frequency_snr" / str(index), str(index))
    draw_amplitudes(sounds, figures / "amplitudes" / str(index), str(index))
    random = np.random.default_rng(index)
    frame = random.integers(0, 256, FRAME, dtype=np.uint8)
    y, x = (axis.ravel() for axis in np.mgrid[8 : FRAME[0] : 16, 8 : FRAME[1] : 16])
    heat = block_grid(x, y, random.normal(10, 5, x.size), 16, FRAME)
    draw_heat_map(frame, heat, figures / "heat_map" / str(index), str(index))
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main())
