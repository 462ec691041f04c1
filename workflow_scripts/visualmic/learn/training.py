"""Training one network on one fold, so that it can be killed at any time and goes on as if not."""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from visualmic.atomic import atomic_path
from visualmic.learn.footage import Footage
from visualmic.learn.history import HISTORY_COLUMNS
from visualmic.learn.model_file import TrainedModel
from visualmic.learn.networks import SiameseNetwork, count_parameters, make_network
from visualmic.learn.preparation import prepare
from visualmic.learn.settings import ModelSettings
from visualmic.learn.splits import Split
from visualmic.learn.trainer import History, fit


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes
    ----------
    model : TrainedModel
        With the weights of the epoch of the lowest validation loss.
    history : list of dict
        A row an epoch; its keys are :data:`HISTORY_COLUMNS`.
    facts : dict
        Time, throughput, parameters, device, and the lag and sign of each recording's labels.
    """

    model: TrainedModel
    history: list[dict[str, float]]
    facts: dict[str, Any]


def train(
    settings: ModelSettings,
    split: Split,
    footage: Sequence[Footage],
    checkpoints: str | os.PathLike[str],
    max_lag_s: float,
    quiet: bool = False,
) -> Trained:
    """Train a network on the training part of a split.

    Parameters
    ----------
    settings : ModelSettings
    split : Split
    footage : sequence of Footage
        The recordings of the split that train or choose; what was played in their test parts is
        not looked at.
    checkpoints : path
        Folder that the state is kept in after every epoch. Training goes on from what a killed
        run of the same settings and data left there; :func:`forget_checkpoints` removes it.
    max_lag_s : float
        Largest lag between film and sound, in seconds.
    quiet : bool
        Show no progress.

    Returns
    -------
    Trained

    Raises
    ------
    VisualMicError
        If weights cannot be had, or frames or labels cannot be read.
    """
    network = _seeded_network(settings)
    began = time.perf_counter()
    data = prepare(settings, split, footage, max_lag_s)
    network.label_mean.fill_(data.train.labels.mean())
    network.label_spread.fill_(data.train.labels.std().clamp_min(1e-6))
    preparation_s = time.perf_counter() - began
    history = History(settings.training, f"train {settings.model} {split.fold}", quiet)
    folder = Path(checkpoints, data.fingerprint)
    best = fit(network, data.train, data.validation, settings.training, folder, history)
    network.load_state_dict(best)
    model = TrainedModel(settings, split.fold, network.eval(), data.views, data.normalisation)
    seconds = sum(row["seconds"] for row in history.rows)
    facts = {
        "model": settings.model,
        "fold": split.fold,
        "epochs": len(history.rows),
        "parameters": count_parameters(network),
        "training_s": seconds,
        "frames_per_second": sum(row["frames"] for row in history.rows) / max(seconds, 1e-9),
        "preparation_s": preparation_s,
        "train_frames": len(data.train),
        "validation_frames": len(data.validation),
        "device": history.device,
        "labels": {
            name: {"lag_s": of.lag_s, "polarity": of.polarity, "correlation": of.correlation}
            for name, of in data.labels.items()
        },
    }
    rows = [{name: row[name] for name in HISTORY_COLUMNS} for row in history.rows]
    return Trained(model, rows, facts)


def forget_checkpoints(checkpoints: str | os.PathLike[str]) -> None:
    """Remove what training keeps to go on from; call it when the model is safe."""
    shutil.rmtree(checkpoints, ignore_errors=True)


def write_facts(path: str | os.PathLike[str], facts: Mapping[str, Any]) -> None:
    """Write the facts of a training as JSON, a file that appears whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n")


def _seeded_network(settings: ModelSettings) -> SiameseNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        return make_network(settings.network)
