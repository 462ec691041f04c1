"""Film to WAV with `pyramid` against a loop with one pyrtools pyramid a frame, and its memory.

Both decode the same simulated 704x400 H.264 film with the same reader and compute the same
subbands. The loop runs on the first frames only, and its time counts per frame, imports left out;
that of `pyramid` is a fresh process on the whole film, from its start to its end. They take turns,
and the best turn of each counts, as other work on the machine only ever slows one down. The film
ten times as long repeats the short one's packets. Memory is the greatest resident size of the
process and of the decoder it starts, added up.

It fails unless the two agree, `pyramid` is at least 8 times as fast, and the long film takes at
most 15 % more memory.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from davis_pyrtools import combine_davis, davis_signals
from numpy.typing import NDArray
from visualmic.audio.wav import write_wav
from visualmic.film.decode import FilmFrames
from visualmic.film.ffmpeg import ffmpeg_executable
from visualmic.motion.pyramid import PyramidSettings, combine_pyramid, measure_pyramid
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

FPS = 2200.0
SIZE = (704, 400)
SETTINGS = PyramidSettings(scales=3, orientations=2)
# The sum of the paper without its alignment, which takes another subband as anchor.
PLAIN_SUM = PyramidSettings(scales=3, orientations=2, weights="power", polarity=False, max_lag_s=0)
RESULTS = Path(__file__).parent / "results" / "pyramid_speed.csv"
TURNS = 3

LEAST_SPEED_UP = 8.0
MOST_MEMORY_RATIO = 1.15

# What `pyramid` needs and no more, so that its memory is its own.
RECOVER = """
import json, resource, sys
from visualmic.audio.wav import write_wav
from visualmic.film.decode import FilmFrames
from visualmic.motion.pyramid import PyramidSettings, combine_pyramid, measure_pyramid

film, wav, fps, scales, orientations = sys.argv[1:]
settings = PyramidSettings(scales=int(scales), orientations=int(orientations))
source = FilmFrames(film, fps=float(fps))
sound = combine_pyramid(measure_pyramid(source, settings), settings)
write_wav(wav, sound, source.capture_fps)
who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
print(json.dumps([len(sound), sum(resource.getrusage(each).ru_maxrss for each in who)]))
"""

Row = dict[str, Any]


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short film: figures mean nothing")
    quick = parser.parse_args().quick
    frames, loop_frames, turns = (60, 8, 1) if quick else (2000, 20, TURNS)
    with tempfile.TemporaryDirectory() as folder:
        rows, failures = compare(Path(folder), frames, loop_frames, turns)
    print_table(rows)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    if quick:
        return 0
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def compare(folder: Path, frames: int, loop_frames: int, turns: int) -> tuple[list[Row], list[str]]:
    """Time both on one film, and weigh `pyramid` on it and on one ten times as long."""
    film, long_film = folder / "film.mp4", folder / "long.mp4"
    make_films(film, long_film, frames)
    # Compiled code comes from the cache on every run but the first on a machine.
    recover(film, folder / "pyramid.wav")
    loops, recoveries = [], []
    for _ in range(turns):
        loops.append(time_loop(film, folder / "loop.wav", loop_frames))
        recoveries.append(recover(film, folder / "pyramid.wav"))
    rows = [
        {"method": "pyrtools loop", **min(loops, key=_seconds)},
        {"method": "pyramid", **min(recoveries, key=_seconds)},
        {"method": "pyramid, 10x film", **recover(long_film, folder / "long.wav")},
    ]
    for row in rows:
        row["ms_per_frame"] = round(1e3 * row["seconds"] / row["frames"], 3)
        row["frames_per_s"] = round(row["frames"] / row["seconds"], 1)
        row["times_faster"] = round(rows[0]["ms_per_frame"] / row["ms_per_frame"], 1)
    disagreement, correlation = agreement(film, loop_frames)
    memory_ratio = rows[2]["peak_mib"] / rows[1]["peak_mib"]
    print(
        f"film {SIZE[0]}x{SIZE[1]}, H.264, {frames} frames; {SETTINGS.scales} scales,"
        f" {SETTINGS.orientations} orientations; loop on {loop_frames} frames; best of {turns}\n"
        f"subband phases differ by at most {disagreement:.1e} of their range; sounds of the same"
        f" sum correlate to {correlation:.7f}; memory ratio {memory_ratio:.3f}"
    )
    failures = []
    # Half of the coefficients carry the same sum to first order: a tenth of the noise, no more.
    if disagreement > 1e-2 or correlation < 0.99999:
        failures.append("pyramid and the pyrtools loop disagree")
    if rows[1]["times_faster"] < LEAST_SPEED_UP:
        failures.append(f"pyramid is less than {LEAST_SPEED_UP:g} times as fast as the loop")
    if memory_ratio > MOST_MEMORY_RATIO:
        failures.append("pyramid's memory grows with the film")
    return rows, failures


def make_films(film: Path, long_film: Path, frames: int) -> None:
    """Simulate a film, and repeat its packets ten times in another."""
    settings = SimulationSettings(
        object="rigid",
        sound="speech",
        seconds=frames / FPS,
        fps=FPS,
        width=SIZE[0],
        height=SIZE[1],
        amplitude_px=0.1,
        direction_deg=30.0,
    )
    simulate_recording(settings, film, film.with_suffix(".h5"))
    again = [ffmpeg_executable(), "-loglevel", "error", "-stream_loop", "9", "-i", str(film)]
    subprocess.run([*again, "-map", "0:v", "-c", "copy", str(long_film)], check=True)


def first_frames(film: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield copies of the first frames of a film."""
    for batch in FilmFrames(film, fps=FPS).batches(count):
        yield from batch.copy()
        return


def time_loop(film: Path, wav: Path, count: int) -> Row:
    """Time the pyrtools loop from film to WAV on the first `count` frames."""
    started = time.perf_counter()
    weighted, _ = davis_signals(first_frames(film, count), SETTINGS.scales, SETTINGS.orientations)
    write_wav(wav, combine_davis(weighted, FPS, SETTINGS.max_lag_s), FPS)
    return {"frames": count, "seconds": round(time.perf_counter() - started, 3), "peak_mib": None}


def recover(film: Path, wav: Path) -> Row:
    """Time `pyramid` from film to WAV in a fresh process, and weigh it."""
    arguments = [film, wav, FPS, SETTINGS.scales, SETTINGS.orientations]
    started = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", RECOVER, *map(str, arguments)], check=True, stdout=subprocess.PIPE
    )
    seconds = time.perf_counter() - started
    frames, peak = json.loads(child.stdout)
    # Kibibytes on Linux, bytes on macOS.
    peak_mib = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return {"frames": frames, "seconds": round(seconds, 3), "peak_mib": round(peak_mib, 1)}


def agreement(film: Path, count: int) -> tuple[float, float]:
    """Greatest difference of subband phases over their range, and correlation of the sounds."""
    frames = np.stack(list(first_frames(film, count)))
    weighted, energy = davis_signals(frames, SETTINGS.scales, SETTINGS.orientations)
    expected = weighted / energy
    motion = measure_pyramid(_FirstFrames(frames), PLAIN_SUM)
    difference = np.abs(motion.signals - expected).max() / np.ptp(expected)
    ours = combine_pyramid(motion, PLAIN_SUM)
    theirs = combine_davis(weighted, FPS, PLAIN_SUM.max_lag_s)
    return float(difference), float(np.corrcoef(ours, theirs)[0, 1])


class _FirstFrames:
    """Frames in memory as a source of frames."""

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self.frames = frames
        self.name = "first frames"
        self.height, self.width = frames.shape[1:]
        self.capture_fps = FPS
        self.frame_count: int | None = len(frames)

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        yield self.frames

    def time_s(self) -> NDArray[np.float64]:
        return np.arange(len(self.frames)) / FPS


def _seconds(row: Row) -> float:
    return float(row["seconds"])


def print_table(rows: list[Row]) -> None:
    """Print rows under their names, columns aligned."""
    names = list(rows[0])
    lines = [names] + [["-" if row[n] is None else str(row[n]) for n in names] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
