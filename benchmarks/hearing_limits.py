"""How near each method comes to what the light allows, on simulated films of many kinds.

Spoken digits (or, where they are not at hand, synthetic speech) shake a simulated object. Beside
the methods stand the paper's method with one pyrtools pyramid a frame (`davis`), and two oracles
that know the true mode shapes: least squares for the modes, combined either by the Wiener filter of
the true transfer functions (`oracle`), or by the best 64 taps for each mode, fitted to the truth
(`oracle-fitted`). Where the film has shake or flicker, the oracles have to find them too.

`info` is the signal-to-noise ratio after the best equaliser of 64 taps. `noise`, for rigid motion,
is that of the sound against the Cramer-Rao bound; `unfiltered` is that of the motion before the
sound is made of it. What the pyrtools loop and the oracle gave is kept in benchmarks/results/cache,
by the frames' digest, because it takes minutes a film.

It fails when a target does not hold.
"""

import argparse
import csv
import math
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

# Two processes on two cores: threads of their own would only be in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from limits_films import KINDS, NOTHING, SPEECH, Kind, Shape, make_film
from limits_forks import fork_targets, measure_forks, print_forks
from limits_methods import (
    BESIDE,
    DAVIS,
    LEARNED,
    METHODS,
    ORACLE,
    ORACLE_FITTED,
    OURS,
    SCORES,
    davis,
    frames_digest,
    hears_nothing,
    measured_motion,
    multichannel_info,
    noise_over_bound,
    score,
    true_modes,
)
from visualmic.errors import VisualMicWarning
from visualmic.film.decode import FilmFrames
from visualmic.motion.methods import recover
from visualmic.simulate.oracle import combine_modes

RESULTS = Path(__file__).parent / "results" / "hearing_limits.csv"
QUICK_KINDS = ("rigid-0.01px", "flexing-packet", "pure-noise", "three-frames")
QUICK_SHAPE = Shape(seconds=1.0, side=96)
MEASURED = "unfiltered"

MOST_NOISE_DB = 0.5
MOST_GAP_DB = 1.5
LEAST_GAIN_DB = 10.0
LEAST_ESTOI = 0.9
# Amplitudes at which the noise is held to the bound; beyond, only to the other method.
BOUND_KINDS = ("rigid-0.002px", "rigid-0.01px", "rigid-0.1px")

Row = dict[str, Any]


def main() -> int:
    """Run the benchmark; the exit status is 1 when a target does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few small films: to see that it runs")
    parser.add_argument("--seeds", type=int, metavar="N", help="films of each kind (default 3)")
    parser.add_argument("--kinds", metavar="A,B", help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a film (default 3)")
    parser.add_argument("--no-davis", action="store_true", help="leave the pyrtools loop out")
    parser.add_argument("--no-forks", action="store_true", help="leave the tuning forks out")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default 2)")
    options = parser.parse_args()
    names = options.kinds.split(",") if options.kinds else QUICK_KINDS if options.quick else KINDS
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        parser.error(f"no kind {', '.join(unknown)}; choose from {', '.join(KINDS)}")
    shape = QUICK_SHAPE if options.quick else Shape()
    if options.seconds:
        shape = Shape(options.seconds, shape.side)
    seeds = options.seeds or (1 if options.quick else 3)
    films = [(name, seed, shape, not options.no_davis) for name in names for seed in range(seeds)]
    with multiprocessing.Pool(options.jobs) as pool:
        rows = gather(pool.imap_unordered(hear_film, films), len(films))
        forks = [] if options.no_forks or options.quick else measure_forks(pool)
    order = list(KINDS)
    rows.sort(key=lambda row: (order.index(row["kind"]), row["seed"]))
    speech = [row for row in rows if row["group"] == SPEECH]
    nothing = [row for row in rows if row["group"] == NOTHING]
    print_films(speech)
    print_kinds(speech)
    print_nothing(nothing)
    print_forks(forks)
    lines = [*targets(speech), *nothing_target(nothing), *fork_targets(forks)]
    print("\ntargets")
    for met, line in lines:
        print(f"  {'met    ' if met else 'NOT MET'}  {line}")
    write_table([*rows, *forks])
    if options.quick:
        return 0
    return 0 if all(met for met, _ in lines) else 1


def hear_film(task: tuple[str, int, Shape, bool]) -> list[Row]:
    """Make one film, hear it with everything, and score what was heard."""
    name, seed, shape, with_davis = task
    kind = KINDS[name]
    # The times of a film of three frames give its rate only roughly.
    warnings.simplefilter("ignore", VisualMicWarning)
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        film, truth = make_film(kind, seed, shape, Path(folder))
        if kind.group == NOTHING:
            return [_nothing_row(kind, seed, method, film, truth.capture_fps) for method in METHODS]
        source = FilmFrames(film, fps=truth.capture_fps, threads=1)
        digest = frames_digest(source)
        heard: dict[str, Callable[[], np.ndarray]] = {
            method: lambda method=method: recover(source, method, threads=1).sound
            for method in METHODS
        }
        if with_davis:
            heard[DAVIS] = lambda: davis(source, digest)
        rows = []
        for method, hear in heard.items():
            started = time.perf_counter()
            sound = hear()
            seconds = time.perf_counter() - started
            rows.append(_row(kind, seed, method, score(sound, truth, kind.rigid), seconds))
        modes = true_modes(source, digest, truth)
        best = score(combine_modes(modes, truth), truth, rigid=False)
        equalised = {"info_db": multichannel_info(truth, modes)}
        if kind.rigid:
            # The sound has the exposure's colour taken out; its motion is what the bound is for.
            best["noise_over_crb_db"] = noise_over_bound(modes[:, 0], truth)
            plain = noise_over_bound(measured_motion(source, truth), truth)
            rows.append(_row(kind, seed, MEASURED, {"noise_over_crb_db": plain}))
        rows += [
            _row(kind, seed, ORACLE, best),
            _row(kind, seed, ORACLE_FITTED, equalised),
        ]
    return rows


def _row(
    kind: Kind, seed: int, method: str, scores: dict[str, float], seconds: float = math.nan
) -> Row:
    values = {name: round(scores.get(name, math.nan), 3) for name in SCORES}
    told = {"kind": kind.name, "group": kind.group, "seed": seed, "method": method}
    return {**told, **values, "seconds": round(seconds, 2), "met": "", "said": ""}


def _nothing_row(kind: Kind, seed: int, method: str, film: Path, fps: float) -> Row:
    met, said = hears_nothing(film, method, fps)
    return {**_row(kind, seed, method, {}), "met": met, "said": said}


def gather(results: Iterable[list[Row]], films: int) -> list[Row]:
    """Collect the rows of all films, telling of each one that is done."""
    rows: list[Row] = []
    started = time.perf_counter()
    for done, result in enumerate(results, 1):
        rows += result
        name, seed = result[0]["kind"], result[0]["seed"]
        spent = time.perf_counter() - started
        print(f"{done}/{films} films, {spent:.0f} s: {name} {seed}", file=sys.stderr, flush=True)
    return rows


def values(rows: Sequence[Row], score_name: str, method: str) -> dict[tuple[str, int], float]:
    """Give a score of a method by (kind, seed), where it has a value."""
    found = {
        (row["kind"], row["seed"]): float(row[score_name])
        for row in rows
        if row["method"] == method
    }
    return {film: value for film, value in found.items() if not math.isnan(value)}


def oracle_info(rows: Sequence[Row]) -> dict[tuple[str, int], float]:
    """Give `info` of the better oracle by (kind, seed)."""
    plain, equalised = (values(rows, "info_db", name) for name in (ORACLE, ORACLE_FITTED))
    return {film: max(value, equalised.get(film, value)) for film, value in plain.items()}


def mean_by_kind(by_film: dict[tuple[str, int], float]) -> dict[str, float]:
    """Average over seeds."""
    kinds = dict.fromkeys(kind for kind, _ in by_film)
    return {
        name: float(np.mean([value for (kind, _), value in by_film.items() if kind == name]))
        for name in kinds
    }


def targets(rows: Sequence[Row]) -> list[tuple[bool, str]]:
    """Hold the films with speech against the targets: whether each is met, and the figures."""
    if not rows:
        return []
    noise = values(rows, "noise_over_crb_db", OURS)
    lines = []
    held = {film: value for film, value in noise.items() if film[0] in BOUND_KINDS}
    if held:
        (kind, seed), worst = max(held.items(), key=lambda item: item[1])
        lines.append(
            (
                worst <= MOST_NOISE_DB,
                f"rigid noise of the sound at most {MOST_NOISE_DB} dB over the Cramer-Rao bound:"
                f" worst {worst:.2f} dB ({kind}, seed {seed})",
            )
        )
    for name, unit in (("noise_over_crb_db", "noise"), ("info_db", "info")):
        sign = 1 if unit == "noise" else -1
        rigid = set(noise)
        beside = values(rows, name, BESIDE)
        worse = {
            film: sign * (value - beside[film])
            for film, value in values(rows, name, OURS).items()
            if film in rigid
        }
        if worse:
            (kind, seed), worst = max(worse.items(), key=lambda item: item[1])
            lines.append(
                (
                    worst <= 0,
                    f"rigid, {unit} no worse than {BESIDE}: at worst {worst:+.2f} dB"
                    f" ({kind}, seed {seed})",
                )
            )
    ours = values(rows, "info_db", OURS)
    gap = mean_by_kind({film: best - ours[film] for film, best in oracle_info(rows).items()})
    kind, worst = max(gap.items(), key=lambda item: item[1])
    behind = [name for name, value in gap.items() if value > MOST_GAP_DB]
    lines.append(
        (
            not behind,
            f"info within {MOST_GAP_DB} dB of the better oracle on every kind: worst {worst:.2f} dB"
            f" ({kind}); {len(behind)} of {len(gap)} kinds behind"
            + "".join(f", {name} {gap[name]:.1f}" for name in behind if name != kind),
        )
    )
    lines += against_davis(rows)
    ours_told, learned_told, best_told = (
        float(np.median(list(values(rows, "estoi", method).values()) or [math.nan]))
        for method in (OURS, LEARNED, ORACLE)
    )
    lines.append(
        (
            ours_told >= LEAST_ESTOI,
            f"median ESTOI at least {LEAST_ESTOI}: {ours_told:.3f} ({LEARNED} {learned_told:.3f},"
            f" oracle {best_told:.3f})",
        )
    )
    return lines


def against_davis(rows: Sequence[Row]) -> list[tuple[bool, str]]:
    """Hold `info` and SI-SDR against those of the pyrtools loop."""
    theirs = values(rows, "info_db", DAVIS)
    if not theirs:
        return []
    ours = values(rows, "info_db", OURS)
    ahead = {film: ours[film] - value for film, value in theirs.items()}
    (kind, seed), least = min(ahead.items(), key=lambda item: item[1])
    below = sum(value < 0 for value in ahead.values())
    distortion = values(rows, "si_sdr_db", OURS)
    gain = [distortion[film] - value for film, value in values(rows, "si_sdr_db", DAVIS).items()]
    return [
        (
            below == 0,
            f"info never below {DAVIS}: below on {below} of {len(ahead)} films, least lead"
            f" {least:+.2f} dB ({kind}, seed {seed})",
        ),
        (
            float(np.median(gain)) >= LEAST_GAIN_DB,
            f"median SI-SDR at least {LEAST_GAIN_DB:g} dB over {DAVIS}: {np.median(gain):+.1f} dB",
        ),
    ]


def nothing_target(rows: Sequence[Row]) -> list[tuple[bool, str]]:
    """Hold the films without sound against what must be said of them."""
    lines = []
    for method in (OURS, LEARNED):
        heard = [row for row in rows if row["method"] == method]
        failed = [f"{row['kind']} {row['seed']} ({row['said']})" for row in heard if not row["met"]]
        line = f"films without sound: {len(heard) - len(failed)} of {len(heard)} said to have none"
        if heard:
            lines.append((not failed, "; ".join([f"{line} ({method})", *failed])))
    return lines


def print_films(rows: Sequence[Row]) -> None:
    """Print every film and method."""
    print(
        f"{'film':<20}{'seed':>5}  {'method':<14}{'info':>7}{'SI-SDR':>8}{'ESTOI':>7}{'noise':>8}"
    )
    for row in rows:
        print(
            f"{row['kind']:<20}{row['seed']:>5}  {row['method']:<14}"
            f"{_cell(row['info_db'], 7, 1)}{_cell(row['si_sdr_db'], 8, 1)}"
            f"{_cell(row['estoi'], 7, 2)}{_cell(row['noise_over_crb_db'], 8, 2)}"
        )


def print_kinds(rows: Sequence[Row]) -> None:
    """Print the mean over seeds of each kind: info of all, then the rest of ours and Davis."""
    if not rows:
        return
    names = (DAVIS, BESIDE, OURS, LEARNED)
    tables = {
        "info dB": ("info_db", (*names, ORACLE, ORACLE_FITTED), 1),
        "SI-SDR dB": ("si_sdr_db", (*names, ORACLE), 1),
        "ESTOI": ("estoi", (*names, ORACLE), 2),
        "noise over the bound, dB": ("noise_over_crb_db", (BESIDE, OURS, MEASURED, ORACLE), 2),
    }
    for title, (name, methods, digits) in tables.items():
        columns = {method: mean_by_kind(values(rows, name, method)) for method in methods}
        kinds = [kind for kind in KINDS if any(kind in column for column in columns.values())]
        if not kinds:
            continue
        print(f"\n{title + ', mean over seeds':<34}" + "".join(f"{one:>14}" for one in methods))
        for kind in kinds:
            cells = (_cell(column.get(kind, math.nan), 14, digits) for column in columns.values())
            print(f"{kind:<34}" + "".join(cells))


def print_nothing(rows: Sequence[Row]) -> None:
    """Print what was said of the films without sound."""
    for row in rows:
        told = "ok" if row["met"] else "WRONG"
        print(f"{row['kind']:<20}{row['seed']:>5}  {row['method']:<14}{told:<7}{row['said']}")


def _cell(value: float, width: int, digits: int) -> str:
    return f"{'-' if math.isnan(value) else format(value, f'.{digits}f'):>{width}}"


def write_table(rows: Sequence[Row]) -> None:
    """Write all rows."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
