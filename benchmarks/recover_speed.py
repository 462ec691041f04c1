"""`visualmic recover` from film to WAV against ffmpeg that only decodes the film, and its memory.

The films are simulated, H.264, 30 s at 2200 frames per second; the first seconds repeat. Both are
whole processes on the same file and take turns; the best turn of each counts, as other work on the
machine only ever slows one down, and the ratio of the medians stands beside. Memory is the greatest
resident size of each process, the decoder that recover starts among them. The loop with one
pyrtools pyramid a frame runs on the first frames only, and its time counts per frame.

It fails unless recovering takes at most 1.5 times as long as decoding, is 100 times as fast as the
loop, and stays under 1 GiB whatever the length of the film.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from davis_pyrtools import combine_davis, davis_signals
from visualmic.film.decode import FilmFrames
from visualmic.film.ffmpeg import ffmpeg_executable
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

FPS = 2200.0
# Side in pixels, and quality: the higher the crf, the less there is to decode.
FILMS = ((192, 18), (704, 18), (192, 2))
RESULTS = Path(__file__).parent / "results" / "recover_speed.csv"
VISUALMIC = str(Path(sys.executable).with_name("visualmic"))
SAMPLE_S = 0.02
# Repeats of one simulated stretch in a film.
REPEATS = 10

MOST_OF_DECODING = 1.5
LEAST_SPEED_UP = 100.0
MOST_MEMORY_MIB = 1024.0
MOST_MEMORY_RATIO = 1.15

Row = dict[str, Any]


@dataclass
class Turn:
    """One run: seconds by the clock and of all cores, greatest resident MiB of each program."""

    seconds: float
    cpu_s: float
    peak_mib: dict[str, float] = field(default_factory=dict)

    @property
    def total_mib(self) -> float:
        """What all its programs took at most, together."""
        return sum(self.peak_mib.values())


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short films: figures mean little")
    parser.add_argument("--turns", type=int, metavar="N", help="turns of each (default 3)")
    options = parser.parse_args()
    seconds = 6.0 if options.quick else 30.0
    turns = options.turns or (1 if options.quick else 3)
    rows = []
    for side, crf in FILMS:
        with tempfile.TemporaryDirectory(prefix="recover-speed-") as folder:
            rows.append(compare(Path(folder), side, crf, seconds, turns))
    print(f"films of {seconds:g} s at {FPS:g} frames per second, H.264; {turns} turns of each")
    for name in rows[0]:
        print(f"{name:<28}" + "".join(f"{row[name]!s:>22}" for row in rows))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    failures = [failure for row in rows for failure in failures_of(row)]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures and not options.quick else 0


def compare(folder: Path, side: int, crf: int, seconds: float, turns: int) -> Row:
    """Time both on one film, the loop on its first frames, and weigh recovering a tenth of it."""
    film, tenth = make_films(folder, side, crf, seconds)
    frames = round(seconds * FPS)
    recover = [VISUALMIC, "recover", str(film), "-o", str(folder / "sound.wav"), "--quiet"]
    decode = [ffmpeg_executable(), "-v", "error", "-i", str(film), "-f", "null", "-"]
    # Compiled code comes from the cache on every run but the first on a machine.
    short = run([VISUALMIC, "recover", str(tenth), *recover[3:]])
    decodings, recoveries = [], []
    for _ in range(turns):
        decodings.append(run(decode))
        recoveries.append(run(recover))
    loop_frames = max(3, 40 * 192**2 // side**2)
    loop_s = time_loop(film, loop_frames) / loop_frames
    best_decoding, best = (min(runs, key=lambda r: r.seconds) for runs in (decodings, recoveries))
    medians = [statistics.median(r.seconds for r in runs) for runs in (decodings, recoveries)]
    heaviest = max(recoveries, key=lambda r: r.total_mib)
    return {
        "film": f"{side}x{side} crf {crf}",
        "frames": frames,
        "film_mib": round(film.stat().st_size / 2**20, 1),
        "decode_best_s": round(best_decoding.seconds, 2),
        "recover_best_s": round(best.seconds, 2),
        "ratio_best": round(best.seconds / best_decoding.seconds, 3),
        "decode_median_s": round(medians[0], 2),
        "recover_median_s": round(medians[1], 2),
        "ratio_median": round(medians[1] / medians[0], 3),
        "decode_all_s": _list(decodings),
        "recover_all_s": _list(recoveries),
        "decode_cpu_s": round(best_decoding.cpu_s, 2),
        "recover_cpu_s": round(best.cpu_s, 2),
        "decode_frames_per_s": round(frames / best_decoding.seconds),
        "recover_frames_per_s": round(frames / best.seconds),
        "loop_frames_per_s": round(1 / loop_s, 2),
        "times_the_loop": round(frames / best.seconds * loop_s),
        "recover_mib": _mib(heaviest, "visualmic"),
        "its_ffmpeg_mib": _mib(heaviest, "ffmpeg"),
        "together_mib": round(heaviest.total_mib, 1),
        "together_mib_a_tenth": round(short.total_mib, 1),
        "memory_ratio": round(heaviest.total_mib / max(short.total_mib, 1e-9), 3),
        "decode_alone_mib": round(best_decoding.total_mib, 1),
    }


def _list(runs: Sequence[Turn]) -> str:
    return " ".join(f"{run.seconds:.1f}" for run in runs)


def _mib(turn: Turn, program: str) -> float:
    """Greatest size of the ffmpeg processes, or of all the others."""
    chosen = [
        size
        for name, size in turn.peak_mib.items()
        if name.startswith("ffmpeg") == (program == "ffmpeg")
    ]
    return round(sum(chosen), 1)


def failures_of(row: Row) -> list[str]:
    """Name what a row shows not to hold."""
    film = row["film"]
    failures = []
    if row["ratio_best"] > MOST_OF_DECODING:
        failures.append(
            f"{film}: recovering takes {row['ratio_best']:.2f} times as long as decoding, more than"
            f" {MOST_OF_DECODING:g}"
        )
    if row["times_the_loop"] < LEAST_SPEED_UP:
        failures.append(
            f"{film}: recovering is {row['times_the_loop']} times as fast as the pyrtools loop,"
            f" less than {LEAST_SPEED_UP:g}"
        )
    if row["together_mib"] > MOST_MEMORY_MIB:
        failures.append(
            f"{film}: recovering takes {row['together_mib']:.0f} MiB, more than {MOST_MEMORY_MIB:g}"
        )
    if row["memory_ratio"] > MOST_MEMORY_RATIO:
        failures.append(
            f"{film}: recovering takes {row['memory_ratio']:.2f} times the memory that a tenth of"
            " the film takes"
        )
    return failures


def make_films(folder: Path, side: int, crf: int, seconds: float) -> tuple[Path, Path]:
    """Make a film, and one of a tenth of its length, whose packets it repeats."""
    tenth, film = folder / "tenth.mp4", folder / "film.mp4"
    settings = SimulationSettings(
        object="crisp-packet",
        sound="speech",
        seconds=seconds / REPEATS,
        fps=FPS,
        width=side,
        height=side,
        crf=crf,
    )
    simulate_recording(settings, tenth, tenth.with_suffix(".h5"), quiet=True)
    # With its duration told, each repeat begins where the frame after the last one would.
    listing = folder / "listing.txt"
    listing.write_text(f"file {tenth.name}\nduration {seconds / REPEATS}\n" * REPEATS)
    again = [ffmpeg_executable(), "-v", "error", "-f", "concat", "-i", str(listing)]
    again += ["-map", "0:v", "-c", "copy", str(film)]
    subprocess.run(again, check=True, stdin=subprocess.DEVNULL)
    return film, tenth


def run(command: Sequence[str]) -> Turn:
    """Run a command to its end, with a watch on its memory and that of what it starts.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ended = threading.Event()
    watch = _Watch(process.pid, ended)
    watch.start()
    status = process.wait()
    seconds = time.perf_counter() - started
    ended.set()
    watch.join()
    if status:
        raise subprocess.CalledProcessError(status, list(command))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Turn(seconds, cpu_s, watch.peak_mib)


class _Watch(threading.Thread):
    """Note the greatest resident size of a process and its descendants, as Linux keeps it.

    The size that ``getrusage`` tells of a child counts its parent's pages until it started another
    program, and is useless for the decoder.
    """

    def __init__(self, pid: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = ended
        self._seen: set[int] = set()
        self.peak_mib: dict[str, float] = {}

    def run(self) -> None:
        """Look at every process that runs, again and again."""
        while not self._ended.wait(SAMPLE_S):
            sizes: dict[str, float] = {}
            waiting = [self._pid]
            while waiting:
                pid = waiting.pop()
                waiting += _children(pid)
                name, size = _name_and_peak_mib(pid)
                # A process just started is still a double of its parent, with the parent's pages.
                if pid in self._seen:
                    sizes[name] = sizes.get(name, 0.0) + size
                self._seen.add(pid)
            for name, size in sizes.items():
                self.peak_mib[name] = max(size, self.peak_mib.get(name, 0.0))


def _name_and_peak_mib(pid: int) -> tuple[str, float]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "gone", 0.0
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return facts["Name"].strip(), float(facts.get("VmHWM", "0").split()[0]) / 1024


def _children(pid: int) -> list[int]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in listing.read_text().split()]
        except OSError:
            continue
    return found


def time_loop(film: Path, count: int) -> float:
    """Seconds that the pyrtools loop takes for the first `count` frames of a film."""
    frames: list[np.ndarray] = []
    for batch in FilmFrames(film, fps=FPS).batches(count):
        frames += list(batch.copy())
        break
    davis_signals(frames[:2], 3, 2)
    started = time.perf_counter()
    weighted, _ = davis_signals(frames, 3, 2)
    combine_davis(weighted, FPS)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
