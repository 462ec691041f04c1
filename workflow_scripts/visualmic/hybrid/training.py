"""Training of the hybrid's networks on simulated beams, and their export to ONNX."""

import math
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visualmic.atomic import atomic_path
from visualmic.hybrid.enhance import MASK, RESPONSE
from visualmic.hybrid.examples import BeamMaker, Example, Sounds, draw_spectra
from visualmic.hybrid.features import CELL_FEATURES, STATISTICS, cells_of, statistics
from visualmic.hybrid.network import Hybrid
from visualmic.learn.trainer import quiet_lightning
from visualmic.motion.beam import Beam
from visualmic.motion.noise_suppression import spectra_of
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra
from visualmic.progress import Progress

Item = dict[str, Tensor]
# Decibels of log-spectral distance that weigh as much as one of distortion.
_SPECTRAL_WEIGHT = 0.2
# The range of levels, below the mean of all cells, in which spectra are compared.
_COMPARED_DB = 45.0
# Decibels of distortion that weigh as much as an ESTOI of one; its bands, and the windows of a
# piece, which lasts 0.4 s as there.
_ESTOI_WEIGHT = 10.0
_LOWEST_BAND_HZ, _BANDS, _FEWEST_BANDS = 150.0, 15, 4
_ESTOI_WINDOWS = 13
_LEAST_SQUARE_DB = 1e-6
# Where the motion is that of modes, as hearing takes it: in hertz, and of the highest frequency.
_FROM_HZ, _BELOW_TOP = 40.0, 0.97
# Degrees of freedom of the error of the response that is expected: some are far out.
_FREEDOM = 4.0
# How far a response that was undone may have been mistaken: the spread of its logarithm, and the
# share of those that were not found at all.
_MISTAKEN, _NOT_FOUND = 0.3, 0.2
# One sound in so many is kept from training, to choose the best epoch by; and batches of them.
VALIDATE_EVERY = 10
_VALIDATION_BATCHES = 24


@dataclass(frozen=True)
class HybridTraining:
    """Settings of the training.

    Attributes
    ----------
    epochs : int
        In each, as many beams are drawn as there are sounds.
    batch_size : int
        Beams whose gradients are added up; from one of them the mask learns.
    learning_rate : float
        At its highest; it rises over the first tenth and falls to nothing.
    seed, threads : int
    """

    epochs: int = 24
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0
    threads: int = 2


def store_sounds(
    folder: Path, sounds: Sounds, seeds: Iterable[int], progress: Progress | None = None
) -> None:
    """Draw sounds that `folder` lacks, a file each; seeds whose sound is silent give none."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.npz"
        if not path.exists():
            drawn = draw_spectra(sounds, seed)
            if drawn is not None:
                with atomic_path(path) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, spectra=drawn[0], frequency=drawn[1])
        if progress is not None:
            progress.advance(1)


def read_sounds(files: Sequence[Path]) -> list[tuple[Spectra, Floats]]:
    """Read what :func:`store_sounds` stored."""
    sounds = []
    for file in files:
        with np.load(file) as stored:
            sounds.append((stored["spectra"], stored["frequency"]))
    return sounds


def beam_item(examples: Sequence[Example], rng: np.random.Generator) -> Item:
    """Prepare examples of as many frequencies for both networks; the mask takes the first."""
    told, weights = [], []
    for example in examples:
        frequency = example.frequency_hz
        one, heard = statistics(np.abs(example.beam) ** 2, frequency, 0.0, example.level)
        within = (frequency >= _FROM_HZ) & (frequency < _BELOW_TOP * frequency[-1])
        told.append(one)
        weights.append(heard * within)
    power = [np.log(np.maximum(example.power, 1e-12)) for example in examples]
    item = {
        "statistics": np.stack(told),
        "power": np.stack(power).astype(np.float32),
        "weight": np.stack(weights).astype(np.float32),
    }
    return {k: torch.from_numpy(v) for k, v in {**item, **_mask_arrays(examples[0], rng)}.items()}


def _mask_arrays(example: Example, rng: np.random.Generator) -> dict[str, Any]:
    """Take the object's response out of an example, as far as it would have been found."""
    frequency = example.frequency_hz
    response = np.sqrt(example.power)
    mistake = np.zeros(len(frequency))
    for waves in range(1, 7):
        phase = 2 * np.pi * (waves * np.log(np.maximum(frequency, 40) / 40) / 4 + rng.uniform())
        mistake += _MISTAKEN / np.sqrt(3) * rng.standard_normal() * np.sin(phase) / waves**0.5
    undone = response * np.exp(mistake)
    if rng.uniform() < _NOT_FOUND:
        undone = np.ones(len(frequency))
    mean = (np.abs(example.beam) ** 2).mean(axis=0)
    beam = Beam(
        example.beam,
        (1 / undone).astype(np.complex128),
        mean,
        example.level,
        np.ones(1),
        0.0,
        None,
    )
    stft = ShortTimeFourier(2 * (len(frequency) - 1), 4, "hann")
    cells = cells_of(beam, frequency)
    alone = stft.inverse((response / np.sqrt(example.level) * example.sound), cells.total)
    shape = ((frequency >= 10) * np.sqrt(example.level) / undone)[::2]
    target = spectra_of(cells.stft, alone) * shape
    size = max(float(np.sqrt((np.abs(target) ** 2).mean())), 1e-30)
    spectra = {"sound": cells.spectra * shape, "plain": cells.plain * shape, "target": target}
    return {
        "cells": cells.planes,
        "logit": cells.logit,
        "bands": third_octaves(frequency[::2]),
        **{name: (one / size).astype(np.complex64) for name, one in spectra.items()},
    }


def third_octaves(frequency_hz: Floats) -> NDArray[np.float32]:
    """Give the bands of ESTOI that lie below the highest frequency, as sums over F: (bands, F)."""
    centre = _LOWEST_BAND_HZ * 2 ** (np.arange(_BANDS) / 3)
    low, high = centre[:, None] * 2 ** (-1 / 6), centre[:, None] * 2 ** (1 / 6)
    sums = ((frequency_hz >= low) & (frequency_hz < high)).astype(np.float32)
    return sums[(sums.sum(axis=1) > 0) & (high[:, 0] <= frequency_hz[-1])]


class Beams(Dataset[Item]):
    """Beams of an epoch, the same whenever they are asked for.

    Parameters
    ----------
    maker : BeamMaker
    seed : tuple of int
        Of the epoch.
    batches, batch_size : int
    """

    def __init__(
        self, maker: BeamMaker, seed: tuple[int, ...], batches: int, batch_size: int
    ) -> None:
        self._maker, self._seed = maker, seed
        self._batches, self._batch_size = batches, batch_size

    def __len__(self) -> int:
        """Count the batches."""
        return self._batches

    def __getitem__(self, number: int) -> Item:
        """Draw one batch."""
        rng = np.random.default_rng([*self._seed, number])
        size = self._maker.draw_size(rng)
        return beam_item([self._maker.draw(size, rng) for _ in range(self._batch_size)], rng)


def response_loss(item: Item, log_power: Tensor, log_spread: Tensor) -> Tensor:
    """Minus the log-likelihood, a frequency, of the responses; a constant of each is free."""
    weight = item["weight"]
    heard = weight.sum(dim=1, keepdim=True)
    error = item["power"] - log_power
    error = error - (weight * error).sum(dim=1, keepdim=True) / (heard + 1e-3)
    square = (error / torch.exp(log_spread)) ** 2
    loss = (_FREEDOM + 1) / 2 * torch.log1p(square / _FREEDOM) + log_spread
    return ((weight * loss).sum(dim=1) / (heard[:, 0] + 2)).mean()


def distortion_db(target: Tensor, heard: Tensor) -> Tensor:
    """SI-SDR of spectra (windows, F) in dB; the sign of the sound does not matter."""
    power = (target.abs() ** 2).sum() + 1e-20
    scale = (target.conj() * heard).real.sum() / power
    left = ((heard - scale * target).abs() ** 2).sum() + 1e-7 * (heard.abs() ** 2).sum()
    return 10 * torch.log10(scale**2 * power / (left + 1e-20) + 1e-9)


def spectral_distance_db(target: Tensor, heard: Tensor) -> Tensor:
    """Log-spectral distance of spectra at the same power, in dB, above a floor."""
    levels = []
    for spectra in (target, heard):
        power = spectra.abs() ** 2 / ((spectra.abs() ** 2).mean() + 1e-20)
        levels.append(10 * torch.log10(power + 10 ** (-_COMPARED_DB / 10)))
    # At nought the slope of a root is not a number, and nothing audible is like nothing audible.
    return (((levels[0] - levels[1]) ** 2).mean(dim=1) + _LEAST_SQUARE_DB).sqrt().mean()


def intelligibility(target: Tensor, heard: Tensor, bands: Tensor) -> Tensor:
    """Measure as ESTOI does: correlate how bands (bands, F) rise and fall in pieces of both.

    0 where there are too few bands or windows to tell.
    """
    if len(bands) < _FEWEST_BANDS or len(target) <= _ESTOI_WINDOWS:
        return target.real.sum() * 0
    pieces = []
    for spectra in (target, heard):
        envelopes = (spectra.abs() ** 2 @ bands.T + 1e-8).sqrt()
        pieces.append(envelopes.unfold(0, _ESTOI_WINDOWS, 3))
    loudness = pieces[0].pow(2).sum(dim=(1, 2))
    told = loudness > 1e-4 * loudness.max()
    normal = []
    for piece in (one[told] for one in pieces):
        for axis in (2, 1):
            piece = piece - piece.mean(dim=axis, keepdim=True)
            piece = piece / (piece.norm(dim=axis, keepdim=True) + 1e-6)
        normal.append(piece)
    return (normal[0] * normal[1]).sum(dim=(1, 2)).mean() / _ESTOI_WINDOWS


def masked(item: Item, shift: Tensor) -> Tensor:
    """Add what a shifted gain changes to what the Wiener filter leaves."""
    change = torch.sigmoid(item["logit"] + shift) - torch.sigmoid(item["logit"])
    return item["plain"] + change * item["sound"]


def mask_loss(item: Item, shift: Tensor) -> Tensor:
    """Weigh distortion, log spectra, intelligibility and harm of what a mask leaves, in dB."""
    plain, target, heard = item["plain"], item["target"], masked(item, shift)
    clear, before = (distortion_db(target, one) for one in (heard, plain))
    # To spoil what was clear is worse than to leave it: harm counts twice, and more the clearer
    # the sound was.
    harm = torch.relu(before - clear) * (1 + torch.relu(before) / 10)
    distance = spectral_distance_db(target, heard)
    told = intelligibility(target, heard, item["bands"])
    return _SPECTRAL_WEIGHT * distance - clear + harm - _ESTOI_WEIGHT * told


class _Module(pl.LightningModule):
    def __init__(self, settings: HybridTraining) -> None:
        super().__init__()
        self.network = Hybrid()
        self.settings = settings

    def training_step(self, item: Item, number: int) -> Tensor:
        expected = response_loss(item, *self.network.response(item["statistics"]))
        return expected + mask_loss(item, self.network.mask(item["cells"])) / 10

    def validation_step(self, item: Item, number: int) -> None:
        expected = response_loss(item, *self.network.response(item["statistics"]))
        plain, heard = item["plain"], masked(item, self.network.mask(item["cells"]))
        gained = distortion_db(item["target"], heard) - distortion_db(item["target"], plain)
        self.log("response", expected, on_epoch=True, batch_size=1)
        self.log("gained_db", gained, on_epoch=True, batch_size=1)
        self.log("loss", expected - gained / 10, on_epoch=True, batch_size=1)

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


class _Data(pl.LightningDataModule):
    def __init__(self, folder: Path, settings: HybridTraining) -> None:
        super().__init__()
        files = sorted(folder.glob("*.npz"), key=lambda file: int(file.stem))
        used = [file for file in files if int(file.stem) % VALIDATE_EVERY != 0]
        held = [file for file in files if int(file.stem) % VALIDATE_EVERY == 0]
        self._settings = settings
        self._batches = math.ceil(len(used) / settings.batch_size)
        self._makers = [BeamMaker(read_sounds(one)) for one in (used, held)]

    def train_dataloader(self) -> DataLoader[Item]:
        assert self.trainer is not None
        seed = (self._settings.seed, 1, self.trainer.current_epoch)
        beams = Beams(self._makers[0], seed, self._batches, self._settings.batch_size)
        return self._loader(beams)

    def val_dataloader(self) -> DataLoader[Item]:
        count = min(self._batches, _VALIDATION_BATCHES)
        beams = Beams(self._makers[1], (self._settings.seed, 2), count, self._settings.batch_size)
        return self._loader(beams)

    def _loader(self, beams: Beams) -> DataLoader[Item]:
        return DataLoader(beams, batch_size=None, num_workers=int(self._settings.threads > 1))


class _Stop(pl.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class _Shown(pl.Callback):
    """Progress for whoever waits: a bar on a terminal, plain lines in a log."""

    def __init__(self, epochs: int, quiet: bool) -> None:
        self.epochs, self.quiet = epochs, quiet
        self._progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = (self.epochs - trainer.current_epoch) * int(trainer.num_training_batches)
        self._progress = Progress("train", steps, "step", quiet=self.quiet).__enter__()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert self._progress is not None
        self._progress.advance(1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scores = trainer.callback_metrics
        if self.quiet or sys.stderr.isatty() or "response" not in scores:
            return
        print(
            f"train: epoch {trainer.current_epoch + 1} of {self.epochs}, response"
            f" {float(scores['response']):.3f} nats, mask {float(scores['gained_db']):+.2f} dB",
            file=sys.stderr,
            flush=True,
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._progress is not None
        self._progress.__exit__(None, None, None)


def train_hybrid(
    folder: Path,
    run: Path,
    settings: HybridTraining,
    quiet: bool = False,
    stop_after_epochs: int | None = None,
) -> Hybrid:
    """Train on the sounds in `folder`; a run that was stopped goes on where it was.

    Parameters
    ----------
    folder : path
        Of :func:`store_sounds`.
    run : path
        Folder of the run's checkpoints.
    settings : HybridTraining
    quiet : bool
    stop_after_epochs : int, optional
        Stop early, to go on another time.

    Returns
    -------
    Hybrid
        As it was after the epoch that did best on the sounds that do not train.
    """
    pl.seed_everything(settings.seed, verbose=False)
    torch.set_num_threads(max(1, settings.threads - 1))
    module = _Module(settings)
    keep = ModelCheckpoint(
        run, "best", monitor="loss", mode="min", save_last=True, save_on_train_epoch_end=True
    )
    callbacks: list[pl.Callback] = [keep, _Shown(settings.epochs, quiet)]
    if stop_after_epochs is not None:
        callbacks.append(_Stop(stop_after_epochs))
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        gradient_clip_val=1.0,
        accelerator="auto",
        devices=1,
        callbacks=callbacks,
        logger=False,
        reload_dataloaders_every_n_epochs=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=run,
    )
    last = run / "last.ckpt"
    with quiet_lightning():
        trainer.fit(
            module,
            datamodule=_Data(folder, settings),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=False,
        )
    best = keep.best_model_path or str(last)
    module.load_state_dict(torch.load(best, weights_only=False)["state_dict"])
    return module.network.eval()


def export_hybrid(network: Hybrid, folder: str | os.PathLike[str]) -> None:
    """Write both networks as ONNX, for any number of windows and frequencies."""
    network = network.eval().cpu()
    parts: tuple[tuple[str, torch.nn.Module, Tensor, list[str], dict[str, dict[int, str]]], ...] = (
        (
            RESPONSE,
            network.response,
            torch.zeros(1, 64, STATISTICS),
            ["log_power", "log_spread"],
            {name: {1: "frequencies"} for name in ("input", "log_power", "log_spread")},
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
            # The newer exporter needs one more package, for nothing that these networks have.
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
