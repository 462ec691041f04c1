"""Real films of a tuning fork for the benchmark `hearing_limits`.

Other benchmarks import it; run by itself it measures nothing. The films are not part of the
project; without them nothing is measured.
"""

import math
from collections.abc import Sequence
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
from limits_films import DATA
from limits_methods import BESIDE, LEARNED, METHODS, OURS
from numpy.typing import NDArray
from visualmic.film.decode import FilmFrames
from visualmic.motion.methods import recover

# Name of the film, frames per second at which it was filmed, frequency of the tone in hertz.
FORKS = (
    ("hz32_fps1000", 1000.0, 31.97),
    ("hz64_fps1000", 1000.0, 64.04),
    ("hz64_fps250", 250.0, 64.03),
)
# What is this near the tone is the tone: the main lobe of the window and what drifts.
NEAR_HZ = 1.5
LOWEST_HZ = 10.0
# The films' true tones are known to this.
MOST_OFF_HZ = 0.02
# What other lines may gain on the tone with the networks: what a change of the last digits does.
MOST_RISEN_DB = 0.05


def measure_forks(pool: Pool) -> list[dict[str, Any]]:
    """Hear every film with every method, where the films are."""
    folder = DATA / "tuning_forks"
    tasks = [(str(folder / f"{name}.mp4"), name, *rest) for name, *rest in FORKS]
    if not all((folder / f"{name}.mp4").exists() for name, *_ in FORKS):
        print("the tuning forks' films are not here: left out")
        return []
    return pool.starmap(hear_fork, [(*task, method) for task in tasks for method in METHODS], 1)


def hear_fork(film: str, name: str, fps: float, tone_hz: float, method: str) -> dict[str, Any]:
    """Hear one film with one method and look at its spectrum."""
    sound = recover(FilmFrames(film, fps=fps, threads=1), method, threads=1).sound
    return {"kind": name, "group": "fork", "method": method, **tone(sound, fps, tone_hz)}


def tone(sound: NDArray[np.float64], fps: float, tone_hz: float) -> dict[str, float]:
    """Measure a tone in a sound, and the strongest line beside it.

    Parameters
    ----------
    sound : ndarray, float64, (T,)
    fps : float
        Samples per second, in hertz.
    tone_hz : float
        Where the tone should be, in hertz.

    Returns
    -------
    dict
        ``tone_hz``, ``tone_db`` over the median of the spectrum, ``spurious_hz`` and
        ``spurious_db`` of the strongest line elsewhere.
    """
    size = 16 * 2 ** math.ceil(math.log2(len(sound)))
    window = np.hanning(len(sound))
    power = np.abs(np.fft.rfft((sound - sound.mean()) * window, size)) ** 2
    frequency = np.fft.rfftfreq(size, 1 / fps)
    audible = frequency >= LOWEST_HZ
    near = np.abs(frequency - tone_hz) <= NEAR_HZ
    median = max(float(np.median(power[audible & ~near])), 1e-300)
    peak = int(np.flatnonzero(near)[np.argmax(power[near])])
    around = np.log(np.maximum(power[peak - 1 : peak + 2], 1e-300))
    bend = around[0] - 2 * around[1] + around[2]
    between = 0.5 * (around[0] - around[2]) / bend if bend < 0 else 0.0
    elsewhere = np.where(audible & ~near, power, 0.0)
    line = int(np.argmax(elsewhere))
    return {
        "tone_hz": round((peak + between) * fps / size, 4),
        "tone_off_hz": round((peak + between) * fps / size - tone_hz, 4),
        "tone_db": round(10 * math.log10(max(power[peak], 1e-300) / median), 2),
        "spurious_hz": round(float(frequency[line]), 2),
        "spurious_db": round(10 * math.log10(max(elsewhere[line], 1e-300) / median), 2),
    }


def print_forks(rows: Sequence[dict[str, Any]]) -> None:
    """Print a row a film and method."""
    if not rows:
        return
    print(f"\n{'tuning fork':<16}{'method':<14}{'tone':>22}{'strongest line beside it':>34}")
    for row in rows:
        print(
            f"{row['kind']:<16}{row['method']:<14}{row['tone_hz']:>12.3f} Hz"
            f"{row['tone_db']:>5.1f} dB"
            f"{row['spurious_hz']:>22.2f} Hz{row['spurious_db']:>6.1f} dB"
        )


def fork_targets(rows: Sequence[dict[str, Any]]) -> list[tuple[bool, str]]:
    """Hold each film against the targets: whether it is met, and the figures."""
    lines = []
    for name, _, _ in FORKS:
        found = {row["method"]: row for row in rows if row["kind"] == name}
        if not found:
            continue
        first, second, third = found[OURS], found[BESIDE], found[LEARNED]
        off, other = abs(first["tone_off_hz"]), abs(second["tone_off_hz"])
        met = first["tone_db"] >= max(second["tone_db"], first["spurious_db"]) and off <= max(
            other, MOST_OFF_HZ
        )
        lines.append(
            (
                met,
                f"{name}: tone {first['tone_db']:.1f} dB over the median, {BESIDE}"
                f" {second['tone_db']:.1f}, strongest other line {first['spurious_db']:.1f}"
                f" ({first['spurious_hz']:.1f} Hz); off by {off:.3f} Hz, {BESIDE} {other:.3f}",
            )
        )
        below, learned = (one["tone_db"] - one["spurious_db"] for one in (first, third))
        lines.append(
            (
                learned > below - MOST_RISEN_DB,
                f"{name}: highest line beside the tone {learned:.2f} dB below it with {LEARNED},"
                f" {below:.2f} with {OURS}",
            )
        )
    return lines
