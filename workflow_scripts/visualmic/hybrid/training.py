"""Training of the hybrid's network on simulated beams, and its export to ONNX."""

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visualmic.atomic import atomic_path
from visualmic.hybrid.enhance import EQUALISER, MASK
from visualmic.hybrid.examples import Example, Sounds, draw_example
from visualmic.hybrid.features import (
    CELL_FEATURES,
    STATISTICS,
    cell_features,
    logit,
    noise_colour,
    statistics,
)
from visualmic.hybrid.network import Hybrid
from visualmic.learn.trainer import quiet_lightning
from visualmic.motion.wiener import local_gain
from visualmic.progress import Progress

Item = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
# Decibels of log-spectral distance that weigh as much as one of distortion.
_SPECTRAL_WEIGHT = 0.1
# The range of levels, below the loudest cell, in which spectra are compared.
_COMPARED_DB = 60.0
# One example in so many is kept from training, to choose the best epoch by.
VALIDATE_EVERY = 10


@dataclass(frozen=True)
class HybridTraining:
    """Settings of the training.

    Attributes
    ----------
    epochs : int
    batch_size : int
        Examples, of any shapes, whose gradients are added up.
    learning_rate : float
        At its highest; it rises over the first tenth and falls to nothing.
    seed, threads : int
    """

    epochs: int = 12
    batch_size: int = 8
    learning_rate: float = 2e-3
    seed: int = 0
    threads: int = 2


def store_examples(
    folder: Path, sounds: Sounds, seeds: Iterable[int], progress: Progress | None = None
) -> None:
    """Draw examples that `folder` lacks, a file each; seeds whose object is drowned give none."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.npz"
        if not path.exists():
            example = draw_example(sounds, seed)
            if example is not None:
                arrays: dict[str, Any] = {k: v.numpy() for k, v in _tensors(example).items()}
                with atomic_path(path) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, **arrays)
        if progress is not None:
            progress.advance(1)


def _tensors(example: Example) -> dict[str, Tensor]:
    beam, frequency = example.beam, example.frequency_hz
    gain, snr = local_gain(beam)
    sound = beam.spectra * beam.gain * np.sqrt(beam.level) * (snr > 0) * (frequency >= 10)
    sound = sound / max(float(np.sqrt((np.abs(sound) ** 2).mean())), 1e-30)
    return {
        "statistics": torch.from_numpy(statistics(beam, frequency)),
        "cells": torch.from_numpy(cell_features(beam, frequency, gain, noise_colour(beam))),
        "logit": torch.from_numpy(logit(gain).astype(np.float32)),
        "sound": torch.from_numpy(sound.astype(np.complex64)),
        "target": torch.from_numpy(example.target),
    }


class StoredBeams(Dataset[Item]):
    """Examples that :func:`store_examples` has made."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.files)

    def __getitem__(self, number: int) -> Item:
        """Read one example."""
        with np.load(self.files[number]) as stored:
            names = ("statistics", "cells", "logit", "sound", "target")
            one, two, three, four, five = (torch.from_numpy(stored[name]) for name in names)
        return one, two, three, four, five


def distortion_db(target: Tensor, heard: Tensor) -> Tensor:
    """SI-SDR of spectra (windows, F) in dB; the sign of the sound does not matter."""
    power = (target.abs() ** 2).sum()
    scale = (target.conj() * heard).real.sum() / power
    left = ((heard - scale * target).abs() ** 2).sum() + 1e-7 * (heard.abs() ** 2).sum()
    return 10 * torch.log10(scale**2 * power / left + 1e-9)


def spectral_distance_db(target: Tensor, heard: Tensor) -> Tensor:
    """Log-spectral distance of spectra at the same power, in dB, above a floor."""
    levels = []
    for spectra in (target, heard):
        power = spectra.abs() ** 2 / (spectra.abs() ** 2).mean()
        levels.append(10 * torch.log10(power + 10 ** (-_COMPARED_DB / 10)))
    return ((levels[0] - levels[1]) ** 2).mean().sqrt()


class _Module(pl.LightningModule):
    def __init__(self, settings: HybridTraining) -> None:
        super().__init__()
        self.network = Hybrid()
        self.settings = settings

    def training_step(self, item: Item, number: int) -> Tensor:
        heard = self.network(*item[:4])
        distance = spectral_distance_db(item[4], heard)
        clear = distortion_db(item[4], heard)
        # To spoil what was clear is worse than to leave it: harm counts twice, and more the
        # clearer the sound was.
        plain = distortion_db(item[4], torch.sigmoid(item[2]) * item[3])
        harm = torch.relu(plain - clear) * (1 + torch.relu(plain) / 10)
        return _SPECTRAL_WEIGHT * distance - clear + harm

    def validation_step(self, item: Item, number: int) -> None:
        heard = self.network(*item[:4])
        plain = torch.sigmoid(item[2]) * item[3]
        gained = distortion_db(item[4], heard) - distortion_db(item[4], plain)
        self.log("gained_db", gained, on_epoch=True, batch_size=1, prog_bar=True)
        nearer = spectral_distance_db(item[4], plain) - spectral_distance_db(item[4], heard)
        self.log("nearer_db", nearer, on_epoch=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(
            self.network.parameters(), self.settings.learning_rate, weight_decay=1e-3
        )
        steps = max(int(self.trainer.estimated_stepping_batches), 2)

        def rate(step: int) -> float:
            rise = max(1, steps // 10)
            return min(1.0, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class _Stop(pl.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


def train_hybrid(
    folder: Path,
    run: Path,
    settings: HybridTraining,
    quiet: bool = False,
    stop_after_epochs: int | None = None,
) -> Hybrid:
    """Train on the examples in `folder`; a run that was stopped goes on where it was.

    Parameters
    ----------
    folder : path
        Of :func:`store_examples`.
    run : path
        Folder of the run's checkpoints.
    settings : HybridTraining
    quiet : bool
    stop_after_epochs : int, optional
        Stop early, to go on another time.

    Returns
    -------
    Hybrid
        As it was after the epoch that gained most on the examples that do not train.
    """
    files = sorted(folder.glob("*.npz"), key=lambda file: int(file.stem))
    held = [file for file in files if int(file.stem) % VALIDATE_EVERY == 0]
    used = [file for file in files if int(file.stem) % VALIDATE_EVERY != 0]
    pl.seed_everything(settings.seed, verbose=False)
    torch.set_num_threads(settings.threads)
    module = _Module(settings)
    keep = ModelCheckpoint(
        run, "best", monitor="gained_db", mode="max", save_last=True, save_on_train_epoch_end=True
    )
    callbacks: list[pl.Callback] = [keep]
    if stop_after_epochs is not None:
        callbacks.append(_Stop(stop_after_epochs))
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        accumulate_grad_batches=settings.batch_size,
        gradient_clip_val=5.0,
        accelerator="auto",
        devices=1,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        default_root_dir=run,
    )
    last = run / "last.ckpt"
    with quiet_lightning():
        trainer.fit(
            module,
            DataLoader(StoredBeams(used), batch_size=None, shuffle=True),
            DataLoader(StoredBeams(held), batch_size=None),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=False,
        )
    best = keep.best_model_path or str(last)
    module.load_state_dict(torch.load(best, weights_only=False)["state_dict"])
    return module.network.eval()


def export_hybrid(network: Hybrid, folder: str | os.PathLike[str]) -> None:
    """Write both parts of the network as ONNX, for any number of windows and frequencies."""
    network = network.eval().cpu()
    parts: tuple[tuple[str, torch.nn.Module, Tensor, list[str], dict[str, dict[int, str]]], ...] = (
        (
            EQUALISER,
            network.equaliser,
            torch.zeros(64, STATISTICS),
            ["log_gain", "phase"],
            {name: {0: "frequencies"} for name in ("input", "log_gain", "phase")},
        ),
        (
            MASK,
            network.mask,
            torch.zeros(CELL_FEATURES, 32, 64),
            ["shift"],
            {
                "input": {1: "windows", 2: "frequencies"},
                "shift": {0: "windows", 1: "frequencies"},
            },
        ),
    )
    for name, part, example, outputs, axes in parts:
        with atomic_path(Path(folder) / name) as temporary, warnings.catch_warnings():
            # The newer exporter needs one more package, for nothing that this network has.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                part,
                (example,),
                str(temporary),
                input_names=["input"],
                output_names=outputs,
                dynamic_axes=axes,
                dynamo=False,
            )
