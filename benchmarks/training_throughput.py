"""How fast training is fed from the frame store, beside the same model on tensors in memory.

One network is trained on the same frames by the same loop in three ways: on tensors that lie in
memory, on prepared input that the data set keeps in memory (what small input gets), and on input
prepared anew from the frame store for every batch, by a process of its own (what large input
gets). Each way is measured in turn, three times, and its best time counts: what else runs on the
machine only makes times longer.

It fails unless each data path trains at 85 % of the rate of tensors in memory or more.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from visualmic.film.frames import StoredFrames, write_frames
from visualmic.learn.networks import SiameseNetwork, make_network
from visualmic.learn.pairs import Batch, FramePairs, Piece, ShuffledBatches, load
from visualmic.learn.settings import InputSettings, SiameseSettings
from visualmic.learn.views import make_view
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings

LEAST_SHARE = 0.85
BATCH = 32
REPEATS = 3
RESULTS = Path(__file__).parent / "results" / "training_throughput.csv"


def main() -> int:
    """Run the benchmark; the exit status is 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few frames: figures mean nothing")
    quick = parser.parse_args().quick
    seconds = 0.5 if quick else 2.0
    # The processes that feed need a core beside the one that trains.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.h5")
        settings = SimulationSettings(seconds=seconds, width=192, height=192, codec="lossless")
        write_frames(Scene(settings), path)
        film = StoredFrames(path)
        frames = np.arange(film.frame_count or 0)
        sound = np.random.default_rng(0).uniform(-1, 1, len(frames))
        view = make_view(film, "difference", 32, [(0, len(frames))], sound, InputSettings("frame"))
        piece = Piece(film.name, view, frames, sound)
        kept, streamed = FramePairs([piece], cache_mb=4096), FramePairs([piece])
        tensors = [kept.__getitems__(list(batch)) for batch in ShuffledBatches(kept, BATCH, 0)]
        feeds = {
            "tensors in memory": tensors,
            "prepared input in memory": load(kept, ShuffledBatches(kept, BATCH, 0)),
            "frame store, one process": load(streamed, ShuffledBatches(streamed, BATCH, 0), 1),
        }
        rates = measure(feeds, len(tensors) * BATCH)
    inside = rates["tensors in memory"]
    rows = [
        {"feed": feed, "frames_per_second": round(rate), "share": round(rate / inside, 3)}
        for feed, rate in rates.items()
    ]
    for row in rows:
        print(f"{row['feed']:<28}{row['frames_per_second']:>8} frames/s {row['share']:>8.1%}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    slow = [row for row in rows if row["share"] < LEAST_SHARE]
    for row in slow:
        print(f"{row['feed']} feeds at less than {LEAST_SHARE:.0%}", file=sys.stderr)
    return 1 if slow and not quick else 0


def measure(feeds: dict[str, Iterable[Batch]], frames: int) -> dict[str, float]:
    """Train an epoch on each feed in turn, several times; give the best rate of each."""
    network = make_network(SiameseSettings())
    best = dict.fromkeys(feeds, float("inf"))
    # The first pass opens files, starts processes and warms caches.
    for repeat in range(REPEATS + 1):
        for feed, batches in feeds.items():
            elapsed = epoch(network, batches)
            if repeat:
                best[feed] = min(best[feed], elapsed)
    return {feed: frames / seconds for feed, seconds in best.items()}


def epoch(network: SiameseNetwork, batches: Iterable[Batch]) -> float:
    """Train one epoch and give the seconds it took."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    started = time.perf_counter()
    for pairs, labels in batches:
        optimiser.zero_grad()
        (network(pairs) - labels).square().mean().backward()
        optimiser.step()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
