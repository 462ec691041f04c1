"""What the hybrid's networks add to the Wiener filter, on rendered films of its own kinds.

Objects, sounds, capture rates, noise, compression, shake and flicker are drawn at random; the
sounds are of a speaker and of music that the network was not trained with (where they are not at
hand, synthetic ones). Both methods hear the same motion. It fails when the median gain in SI-SDR is
below 3 dB, when ESTOI or log-spectral distance are not better, when more than one film in ten gets
worse, or when a film at 20 dB loses more than 1 dB.
"""

import argparse
import csv
import multiprocessing
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

# Two processes on two cores: threads of their own would only be in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from limits_films import DATA
from visualmic.errors import VisualMicWarning
from visualmic.evaluate.alignment import align
from visualmic.evaluate.intelligibility import estoi
from visualmic.evaluate.spectral import log_spectral_distance
from visualmic.evaluate.waveform import UndefinedMetric, si_sdr
from visualmic.film.decode import FilmFrames
from visualmic.hybrid.enhance import combine_hybrid
from visualmic.hybrid.examples import Sounds
from visualmic.motion.hearing import combine_lucas_kanade
from visualmic.motion.lucas_kanade import measure_lucas_kanade
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

RESULTS = Path(__file__).parent / "results" / "hybrid_gain.csv"
HELD_OUT_SPEAKER = "yweweler"
METHODS = {"lucas-kanade": combine_lucas_kanade, "hybrid": combine_hybrid}
METRICS = {"si_sdr_db": si_sdr, "estoi": estoi, "lsd_db": log_spectral_distance}
LEAST_GAIN_DB, MOST_WORSE, CLEAR_DB, MOST_LOSS_DB = 3.0, 0.1, 20.0, 1.0

Row = dict[str, Any]


def main() -> int:
    """Run the benchmark; the exit status is 1 when a target does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=40, metavar="N", help="films (default 40)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="seed of the first")
    parser.add_argument("--quick", action="store_true", help="few films: figures mean nothing")
    options = parser.parse_args()
    count = 3 if options.quick else options.films
    rows: list[Row] = []
    with multiprocessing.Pool(2) as pool:
        for row in pool.imap_unordered(hear_film, range(options.first, options.first + count)):
            rows.append(row)
            print(f"{len(rows)}/{count}: {row['film']}", file=sys.stderr, flush=True)
    rows.sort(key=lambda row: row["seed"])
    print_films(rows)
    lines = targets(rows)
    for met, line in lines:
        print(f"  {'met    ' if met else 'NOT MET'}  {line}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return 0 if options.quick or all(met for met, _ in lines) else 1


def draw_settings(seed: int) -> SimulationSettings:
    """Draw a film."""
    rng = np.random.default_rng([seed, 4242])
    kind = str(rng.choice(["rigid", "crisp-packet", "plant-leaf", "foil"]))
    fps = float(rng.choice([480.0, 1000.0, 2200.0]))
    size = int(rng.choice([96, 128, 160]))
    compressed = rng.uniform() < 0.3
    disturbed = rng.uniform()
    return SimulationSettings(
        object=kind,
        modes=None if kind == "rigid" or rng.uniform() < 0.5 else int(rng.integers(1, 6)),
        amplitude_px=float(np.exp(rng.uniform(np.log(0.008), np.log(0.25)))),
        fps=fps,
        seconds=3.0,
        width=size,
        height=size,
        noise_sigma=float(rng.uniform(0.5, 1.5)),
        codec="h264" if compressed else "lossless",
        crf=int(rng.integers(0, 8)),
        shake_px=0.3 if disturbed < 0.15 else 0.0,
        flicker=0.01 if disturbed > 0.85 else 0.0,
        seed=seed,
    )


def hear_film(seed: int) -> Row:
    """Render one film, hear it, and score what was heard."""
    warnings.simplefilter("ignore", VisualMicWarning)
    settings = draw_settings(seed)
    rng = np.random.default_rng([seed, 4243])
    words = sorted((DATA / "speech_digits").glob(f"*_{HELD_OUT_SPEAKER}_*.wav"))
    music = sorted((DATA / "samples_cc0").glob("*.flac"))[1::2]
    assert settings.seconds is not None
    sound = Sounds(words, music).draw(rng, settings.seconds)
    with tempfile.TemporaryDirectory(prefix="hybrid-") as folder:
        film = Path(folder) / f"film.{'mp4' if settings.codec == 'h264' else 'mkv'}"
        truth = simulate_recording(settings, film, sound=sound, quiet=True)
        motion = measure_lucas_kanade(FilmFrames(film, fps=settings.fps, threads=1), threads=1)
    size, codec = settings.width, settings.codec
    name = f"{settings.object} {settings.amplitude_px:.3f} px {settings.fps:g} fps {size} {codec}"
    row: Row = {"seed": seed, "film": name}
    for method, combine in METHODS.items():
        recovery = combine(motion)
        both = align(recovery.sound, settings.fps, truth.sound, settings.fps)
        row["resonances"] = len(recovery.diagnosis.resonances)
        for metric, measure in METRICS.items():
            sound = both.recovered
            if measure is log_spectral_distance:
                # It sees gain, and a film does not know how loud the sound was.
                sound = sound * np.sqrt(np.mean(both.reference**2) / max(np.mean(sound**2), 1e-30))
            try:
                value = measure(both.reference, sound, both.rate)
            except UndefinedMetric:
                value = float("nan")
            row[f"{method} {metric}"] = round(float(value), 3)
    return row


def both(rows: list[Row], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Give a metric of the two methods on the films where both have one."""
    values = np.array([[row[f"{method} {metric}"] for method in METHODS] for row in rows])
    values = values[np.isfinite(values).all(axis=1)]
    return values[:, 0], values[:, 1]


def targets(rows: list[Row]) -> list[tuple[bool, str]]:
    """Hold the films against the targets."""
    plain, hybrid = both(rows, "si_sdr_db")
    gain = hybrid - plain
    median = float(np.median(gain))
    worse = float((gain < 0).mean())
    lost = float(np.min(gain[plain >= CLEAR_DB], initial=0.0))
    lines = [
        (
            median >= LEAST_GAIN_DB,
            f"median gain in SI-SDR {median:+.2f} dB, of 3 wanted; mean {gain.mean():+.2f} dB, most"
            f" {gain.max():+.1f} dB; medians {np.median(plain):.2f} and {np.median(hybrid):.2f} dB",
        ),
        (
            worse < MOST_WORSE,
            f"worse on {100 * worse:.0f} % of {len(gain)} films, by more than 0.05 dB on"
            f" {100 * float((gain < -0.05).mean()):.0f} %",
        ),
        (lost > -MOST_LOSS_DB, f"at most {-lost:.2f} dB lost where there were {CLEAR_DB:g}"),
    ]
    for metric, sign in (("estoi", 1), ("lsd_db", -1)):
        one, other = both(rows, metric)
        better = sign * float(np.median(other - one))
        text = f"{metric}: median {np.median(one):.2f}, with the network {np.median(other):.2f}"
        mean = sign * float(np.mean(other - one))
        lines.append((better > 0, f"{text}; median gain {better:+.3f}, mean {mean:+.3f}"))
    return lines


def print_films(rows: list[Row]) -> None:
    """Print every film."""
    head = "".join(f"{metric:>18}" for metric in METRICS)
    print(f"{'film':<52}{'modes':>6}{head}   (lucas-kanade, hybrid)")
    for row in rows:
        cells = "".join(
            f"{row[f'lucas-kanade {metric}']:>9.2f}{row[f'hybrid {metric}']:>9.2f}"
            for metric in METRICS
        )
        print(f"{row['film']:<52}{row['resonances']:>6}{cells}")


if __name__ == "__main__":
    sys.exit(main())
