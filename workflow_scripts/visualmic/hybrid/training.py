"""Training of the hybrid's networks on simulated beams, and their export to ONNX."""

import json
import math
import os
import pickle
import sys
import time
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
from visualmic.errors import VisualMicError
from visualmic.hybrid.examples import BeamMaker, Example, Sounds, draw_spectra
from visualmic.hybrid.features import CELL_FEATURES, FINEST, STATISTICS, cells_of, statistics
from visualmic.hybrid.films import read_films
from visualmic.hybrid.losses import Item, mask_loss, response_loss
from visualmic.hybrid.network import Mask, Response
from visualmic.hybrid.weight_files import FACTS, MASK, RESPONSE
from visualmic.learn.trainer import quiet_lightning
from visualmic.motion.beam import Beam
from visualmic.motion.noise_suppression import spectra_of
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra
from visualmic.progress import Progress

# The networks, by name.
RESPONSE_PART, MASK_PART = PARTS = ("response", "mask")
LEARNING_RATES = {RESPONSE_PART: 2e-3, MASK_PART: 7e-4}
"""Of each network: at twice as much the mask's loss leaps from epoch to epoch."""

SOUNDS, FILMS = "sounds", "films"
"""Folders of what is drawn to train with."""

# Where the motion is that of modes, as hearing takes it: in hertz, and of the highest frequency.
_FROM_HZ, _BELOW_TOP = 40.0, 0.97
# Beams in a step of the mask: one in so many of the other's, for it sees each of their cells.
_MASK_SHARE = 4
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
        Beams in a step of the response's network; the mask's takes a quarter of them.
    learning_rate : float, optional
        At its highest; it rises over the first tenth and falls to nothing. Where none is given,
        that of :data:`LEARNING_RATES`.
    seed, threads : int
    start : path, optional
        A checkpoint of the network of an earlier run, to start from.
    """

    epochs: int = 24
    batch_size: int = 16
    learning_rate: float | None = None
    seed: int = 0
    threads: int = 2
    start: Path | None = None


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


def response_item(examples: Sequence[Example]) -> Item:
    """Prepare examples of as many frequencies for the network that knows responses."""
    told, weights = [], []
    for example in examples:
        frequency = example.frequency_hz
        one, heard = statistics(example.beam, frequency, 0.0, example.level)
        within = (frequency >= _FROM_HZ) & (frequency < _BELOW_TOP * frequency[-1])
        told.append(one)
        weights.append(heard * within)
    power = [np.log(np.maximum(example.power, 1e-12)) for example in examples]
    item = {
        "statistics": np.stack(told),
        "power": np.stack(power).astype(np.float32),
        "weight": np.stack(weights).astype(np.float32),
    }
    return {k: torch.from_numpy(v) for k, v in item.items()}


def mask_item(example: Example, rng: np.random.Generator) -> Item:
    """Take the object's response out of an example as far as it would be found, for the mask."""
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
    alone = stft.inverse(example.heard, cells.total)
    shape = ((frequency >= 10) * np.sqrt(example.level) / undone)[::FINEST]
    target = spectra_of(cells.stft, alone) * shape
    size = max(float(np.sqrt((np.abs(target) ** 2).mean())), 1e-30)
    spectra = {"sound": cells.spectra * shape, "plain": cells.plain * shape, "target": target}
    item = {
        "cells": cells.planes,
        "logit": cells.logit,
        "rate": np.array(round(2 * frequency[-1])),
        **{name: (one / size).astype(np.complex64) for name, one in spectra.items()},
    }
    return {k: torch.from_numpy(v) for k, v in item.items()}


class Beams(Dataset[list[Item]]):
    """Beams of an epoch, the same whenever they are asked for.

    Parameters
    ----------
    maker : BeamMaker
    part : str
        The network that they are for, of :data:`PARTS`.
    seed : tuple of int
        Of the epoch.
    batches, batch_size : int
    """

    def __init__(
        self, maker: BeamMaker, part: str, seed: tuple[int, ...], batches: int, batch_size: int
    ) -> None:
        self._maker, self._part, self._seed = maker, part, seed
        self._batches, self._batch_size = batches, batch_size

    def __len__(self) -> int:
        """Count the batches."""
        return self._batches

    def __getitem__(self, number: int) -> list[Item]:
        """Draw one batch: all in one item, or, for the mask, an item of each."""
        rng = np.random.default_rng([*self._seed, number])
        if self._part == MASK_PART:
            sizes = [self._maker.draw_size(rng) for _ in range(self._batch_size)]
            return [mask_item(self._maker.draw(size, rng), rng) for size in sizes]
        size = self._maker.draw_size(rng)
        return [response_item([self._maker.draw(size, rng) for _ in range(self._batch_size)])]


class _Module(pl.LightningModule):
    def __init__(self, part: str, settings: HybridTraining) -> None:
        super().__init__()
        self.part = part
        self.network = Mask() if part == MASK_PART else Response()
        self.settings = settings

    def loss(self, batch: list[Item]) -> Tensor:
        if self.part == MASK_PART:
            each = [mask_loss(item, self.network(item["cells"])) / 10 for item in batch]
        else:
            each = [response_loss(item, *self.network(item["statistics"])) for item in batch]
        return torch.stack(each).mean()

    def training_step(self, batch: list[Item], number: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: list[Item], number: int) -> None:
        self.log("loss", self.loss(batch), on_epoch=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(
            self.network.parameters(),
            self.settings.learning_rate or LEARNING_RATES[self.part],
            weight_decay=1e-3,
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
    def __init__(self, folder: Path, part: str, settings: HybridTraining) -> None:
        super().__init__()
        sounds, films = (_divided(folder / name) for name in (SOUNDS, FILMS))
        self._part, self._settings = part, settings
        self._batches = math.ceil(len(sounds[0]) / settings.batch_size)
        # What a codec leaves of a response is no longer the object's.
        self._makers = [
            BeamMaker(read_sounds(sound), read_films(film) if part == MASK_PART else ())
            for sound, film in zip(sounds, films, strict=True)
        ]

    def train_dataloader(self) -> DataLoader[list[Item]]:
        assert self.trainer is not None
        seed = (self._settings.seed, 1, self.trainer.current_epoch)
        return self._loader(self._makers[0], seed, self._batches)

    def val_dataloader(self) -> DataLoader[list[Item]]:
        count = min(self._batches, _VALIDATION_BATCHES)
        return self._loader(self._makers[1], (self._settings.seed, 2), count)

    def _loader(
        self, maker: BeamMaker, seed: tuple[int, ...], batches: int
    ) -> DataLoader[list[Item]]:
        size = self._settings.batch_size
        if self._part == MASK_PART:
            size = max(1, size // _MASK_SHARE)
        beams = Beams(maker, self._part, seed, batches, size)
        return DataLoader(beams, batch_size=None, num_workers=int(self._settings.threads > 1))


def _divided(folder: Path) -> tuple[list[Path], list[Path]]:
    """Divide stored files into those that train, and those that choose the best epoch."""
    files = sorted(folder.glob("*.npz"), key=lambda file: int(file.stem))
    used: list[Path] = []
    held: list[Path] = []
    for file in files:
        (used if int(file.stem) % VALIDATE_EVERY else held).append(file)
    return used, held


class _Stop(pl.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class _Spent(pl.Callback):
    """Seconds of training, those before it was stopped too."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds += time.perf_counter() - self._since

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]


class _Shown(pl.Callback):
    """Progress for whoever waits: a bar on a terminal, plain lines in a log."""

    def __init__(self, part: str, epochs: int, quiet: bool) -> None:
        self.part, self.epochs, self.quiet = part, epochs, quiet
        self._progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = (self.epochs - trainer.current_epoch) * int(trainer.num_training_batches)
        self._progress = Progress(f"train {self.part}", steps, "step", quiet=self.quiet).__enter__()

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
        if self.quiet or sys.stderr.isatty() or "loss" not in scores:
            return
        print(
            f"train {self.part}: epoch {trainer.current_epoch + 1} of {self.epochs},"
            f" loss {float(scores['loss']):.4f}",
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
    parts: Sequence[str] = PARTS,
    quiet: bool = False,
    stop_after_epochs: int | None = None,
) -> dict[str, torch.nn.Module]:
    """Train on the sounds in `folder`; a run that was stopped goes on where it was.

    Parameters
    ----------
    folder : path
        In it :data:`SOUNDS` of :func:`store_sounds` and, if there are any, :data:`FILMS` of
        :func:`visualmic.hybrid.films.store_films`.
    run : path
        Folder of the run's checkpoints, those of each network in a folder of their own.
    settings : HybridTraining
    parts : sequence of str
        The networks to train, one after the other, of :data:`PARTS`.
    quiet : bool
    stop_after_epochs : int, optional
        Stop early, to go on another time.

    Returns
    -------
    dict of Module
        Each as it was after the epoch that did best on the sounds that do not train.
    """
    return {
        part: _train(folder, run / part, settings, part, quiet, stop_after_epochs) for part in parts
    }


def _train(
    folder: Path,
    run: Path,
    settings: HybridTraining,
    part: str,
    quiet: bool,
    stop_after_epochs: int | None,
) -> torch.nn.Module:
    pl.seed_everything(settings.seed, verbose=False)
    # To draw beams takes a core, or a good part of one.
    torch.set_num_threads(max(1, settings.threads - 1))
    module = _Module(part, settings)
    if settings.start is not None:
        module.load_state_dict(_state(settings.start, part))
    last = run / "last.ckpt"
    keep = ModelCheckpoint(
        run, "best", monitor="loss", save_on_train_epoch_end=True, enable_version_counter=False
    )
    # By itself the trainer would write the last state only where it is the best, too.
    go_on = ModelCheckpoint(
        run, last.stem, save_on_train_epoch_end=True, enable_version_counter=False
    )
    spent = _Spent()
    callbacks: list[pl.Callback] = [keep, go_on, spent, _Shown(part, settings.epochs, quiet)]
    if stop_after_epochs is not None:
        callbacks.append(_Stop(stop_after_epochs))
    with quiet_lightning():
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
        trainer.fit(
            module,
            datamodule=_Data(folder, part, settings),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=False,
        )
    best = keep.best_model_path or str(last)
    module.load_state_dict(_state(Path(best), part))
    before = {"training_s": 0.0, "steps": 0}
    if settings.start is not None and (settings.start.parent / FACTS).exists():
        before = json.loads((settings.start.parent / FACTS).read_text())
    facts = {
        "parameters": sum(one.numel() for one in module.network.parameters()),
        "training_s": round(before["training_s"] + spent.seconds, 1),
        "steps": before["steps"] + trainer.global_step,
        "loss": None if keep.best_model_score is None else round(float(keep.best_model_score), 4),
    }
    with atomic_path(run / FACTS) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n")
    return module.network.eval()


def _state(checkpoint: Path, part: str) -> dict[str, Tensor]:
    """Read the weights of a network from one of its checkpoints."""
    try:
        state: dict[str, Tensor] = torch.load(checkpoint, "cpu", weights_only=False)["state_dict"]
    except FileNotFoundError:
        raise VisualMicError(f"there is no checkpoint {checkpoint}: name one of a run") from None
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError):
        raise VisualMicError(f"{checkpoint} is no checkpoint of a run: name one") from None
    own = _Module(part, HybridTraining()).state_dict()
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in state.items()}:
        raise VisualMicError(
            f"{checkpoint} is of another network: name one of --part {part}, of this version"
        )
    return state


def note_training(run: Path, folder: Path, parts: Sequence[str]) -> None:
    """Write beside the networks in `folder` what `run` made of these parts, and how long it took.

    What is noted there of other parts stays.
    """
    noted = json.loads((folder / FACTS).read_text()) if (folder / FACTS).exists() else {}
    for part in parts:
        noted[part] = json.loads((run / part / FACTS).read_text())
    with atomic_path(folder / FACTS) as temporary:
        temporary.write_text(json.dumps(noted, indent=2) + "\n")


def export_hybrid(networks: dict[str, torch.nn.Module], folder: str | os.PathLike[str]) -> None:
    """Write networks of :func:`train_hybrid` as ONNX, for any number of windows and frequencies."""
    forms: dict[str, tuple[str, Tensor, list[str], dict[str, dict[int, str]]]] = {
        RESPONSE_PART: (
            RESPONSE,
            torch.zeros(1, 64, STATISTICS),
            ["log_power", "log_spread"],
            {name: {1: "frequencies"} for name in ("input", "log_power", "log_spread")},
        ),
        MASK_PART: (
            MASK,
            torch.zeros(CELL_FEATURES, 32, 64),
            ["shift"],
            {
                "input": {1: "windows", 2: "frequencies"},
                "shift": {0: "windows", 1: "frequencies"},
            },
        ),
    }
    for part, network in networks.items():
        name, example, outputs, axes = forms[part]
        with atomic_path(Path(folder) / name) as temporary, warnings.catch_warnings():
            # The newer exporter needs one more package, for nothing that these networks have.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                network.eval().cpu(),
                (example,),
                str(temporary),
                input_names=["input"],
                output_names=outputs,
                dynamic_axes=axes,
                dynamo=False,
            )
