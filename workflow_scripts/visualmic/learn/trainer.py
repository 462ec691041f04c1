"""The trainer: Lightning, with checkpoints that are whole and a history that survives a kill."""

import logging
import math
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.evaluate.metrics import mae, pearson, rmse
from visualmic.evaluate.waveform import UndefinedMetric
from visualmic.learn.networks import SiameseNetwork
from visualmic.learn.pairs import Batch, FramePairs, OrderedBatches, ShuffledBatches, load
from visualmic.learn.settings import TrainingSettings
from visualmic.progress import Progress


class _Module(pl.LightningModule):
    """One step of training, and the scores of an epoch."""

    def __init__(self, network: SiameseNetwork, settings: TrainingSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self._said: list[torch.Tensor] = []
        self.train_squares = torch.zeros((), dtype=torch.float64)
        self.train_count = 0
        self.scores: dict[str, float] = {}

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        pairs, labels = batch
        error = self.network(pairs) - labels
        squares = error.square()
        self.train_squares += squares.detach().double().sum().cpu()
        self.train_count += len(labels)
        return squares.mean()

    def on_train_epoch_start(self) -> None:
        self.train_squares = torch.zeros((), dtype=torch.float64)
        self.train_count = 0

    def validation_step(self, batch: Batch, number: int) -> None:
        pairs, labels = batch
        self._said.append(torch.stack([self.network(pairs).float(), labels]))

    def on_validation_epoch_end(self) -> None:
        said = torch.cat(self._said, dim=1).double()
        self._said = []
        if self.trainer.world_size > 1:
            said = torch.cat(_of_all_processes(said.cpu()), dim=1)
        heard, played = said.cpu().numpy()
        self.scores = _scores(played, heard)
        self.log("validation_loss", self.scores["validation_loss"], rank_zero_only=True)

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.StepLR(
            optimiser, self.settings.step_epochs, self.settings.step_factor
        )
        return {"optimizer": optimiser, "lr_scheduler": schedule}


def _of_all_processes(mine: Any) -> list[Any]:
    """Gather something of each of the processes that train together."""
    from torch import distributed

    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, mine)
    return parts


def _summed(trainer: pl.Trainer, squares: float, count: int) -> tuple[float, int]:
    if trainer.world_size > 1:
        parts = _of_all_processes((squares, count))
        squares, count = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return squares, count


def _scores(played: np.ndarray, heard: np.ndarray) -> dict[str, float]:
    if not np.isfinite(heard).all():
        names = ("loss", "sum_of_squares", "rmse", "mae", "pearson")
        return {f"validation_{name}": math.nan for name in names}
    squares = float(np.square(heard - played).sum())
    try:
        alike = pearson(played, heard)
    except UndefinedMetric:
        alike = math.nan
    return {
        "validation_loss": squares / len(played),
        "validation_sum_of_squares": squares,
        "validation_rmse": rmse(played, heard),
        "validation_mae": mae(played, heard),
        "validation_pearson": alike,
    }


class History(Callback):
    """A row an epoch, kept in the checkpoint, and progress for whoever waits."""

    def __init__(self, settings: TrainingSettings, title: str, quiet: bool) -> None:
        self.settings, self.title, self.quiet = settings, title, quiet
        self.rows: list[dict[str, float]] = []
        self.device = ""
        self._progress: Progress | None = None
        self._began = 0.0
        self._spent = 0.0
        self._rate = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Give what the checkpoint keeps."""
        return {"rows": self.rows, "device": self.device}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.rows, self.device = list(state_dict["rows"]), state_dict["device"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to show progress."""
        device = pl_module.device
        self.device = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        count = int(trainer.num_training_batches) * self.settings.batch_size
        left = (self.settings.epochs - trainer.current_epoch) * count
        self.quiet = self.quiet or not trainer.is_global_zero
        self._progress = Progress(self.title, left, "frame", quiet=self.quiet).__enter__()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()
        self._spent = 0.0
        # By the end of the epoch it is that of the next.
        self._rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the frames; the validation that follows an epoch's steps is not timed."""
        self._spent = time.perf_counter() - self._began
        if self._progress is not None:
            self._progress.advance(len(batch[1]) * trainer.world_size)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's row."""
        assert isinstance(pl_module, _Module)
        squares, count = _summed(trainer, float(pl_module.train_squares), pl_module.train_count)
        row = {
            "epoch": float(trainer.current_epoch + 1),
            "train_loss": squares / max(count, 1),
            "train_sum_of_squares": squares,
            "train_rmse": (squares / max(count, 1)) ** 0.5,
            **pl_module.scores,
            "learning_rate": self._rate,
            "frames_per_second": count / max(self._spent, 1e-9),
            "frames": float(count),
            "seconds": self._spent,
        }
        self.rows.append(row)
        if not self.quiet and not sys.stderr.isatty():
            print(
                f"{self.title}: epoch {len(self.rows)} of {self.settings.epochs}, RMSE"
                f" {row['train_rmse']:.4f} training, {row['validation_rmse']:.4f} validation,"
                f" {row['frames_per_second']:.0f} frames per second",
                file=sys.stderr,
                flush=True,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the progress."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)


class _SafeCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


class _Loaders(pl.LightningDataModule):
    """Batches for each process that trains."""

    def __init__(
        self, train: FramePairs, validation: FramePairs, settings: TrainingSettings
    ) -> None:
        super().__init__()
        self.pairs = {"train": train, "validation": validation}
        self.settings = settings

    def train_dataloader(self) -> DataLoader[Batch]:
        trainer = self.trainer
        assert trainer is not None
        batches = ShuffledBatches(
            self.pairs["train"],
            self.settings.batch_size,
            self.settings.seed,
            trainer.global_rank,
            trainer.world_size,
        )
        return load(self.pairs["train"], batches, self.settings.workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        trainer = self.trainer
        assert trainer is not None
        batches = OrderedBatches(
            self.pairs["validation"],
            self.settings.batch_size,
            trainer.global_rank,
            trainer.world_size,
        )
        return load(self.pairs["validation"], batches, self.settings.workers)


def _tidy(folder: Path) -> None:
    """Keep of older attempts only those that this training can go on from."""
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    for leftover in folder.glob(".*.partial*"):
        leftover.unlink(missing_ok=True)


def _hardware(gpus: int) -> dict[str, Any]:
    count = min(gpus, torch.cuda.device_count())
    if count == 0:
        return {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    precision = "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    # Forked, for a job's script must not be run again by each process.
    strategy = "ddp_fork" if count > 1 else "auto"
    return {"accelerator": "gpu", "devices": count, "precision": precision, "strategy": strategy}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep the trainer's advice from the user, to whom it says nothing."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def fit(
    network: SiameseNetwork,
    train_pairs: FramePairs,
    validation_pairs: FramePairs,
    settings: TrainingSettings,
    folder: Path,
    history: History,
) -> dict[str, torch.Tensor]:
    """Train a network and give the weights of the epoch of the lowest validation loss.

    Parameters
    ----------
    network : SiameseNetwork
    train_pairs, validation_pairs : FramePairs
    settings : TrainingSettings
    folder : path
        Where the state is kept after every epoch; what is there is gone on from.
    history : History
        Gets a row an epoch.

    Raises
    ------
    VisualMicError
        If no epoch's loss was a number.
    """
    last = folder / "last.ckpt"
    _tidy(folder)
    module = _Module(network, settings)
    keep = ModelCheckpoint(
        dirpath=folder,
        filename="best-{epoch}",
        monitor="validation_loss",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    # By itself the trainer would write the last state only where it is the best, too.
    go_on = ModelCheckpoint(
        dirpath=folder,
        filename=last.stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [history, keep, go_on]
    if settings.patience:
        callbacks.insert(
            1,
            EarlyStopping(
                "validation_loss",
                patience=settings.patience,
                check_on_train_epoch_end=True,
                check_finite=True,
            ),
        )
    with quiet_lightning(), _threads(settings.threads):
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            callbacks=callbacks,
            plugins=[_SafeCheckpoints()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic="warn",
            default_root_dir=folder,
            **_hardware(settings.gpus),
        )
        # Layers with randomness of their own would repeat it after a kill.
        torch.manual_seed(settings.seed)
        trainer.fit(
            module,
            datamodule=_Loaders(train_pairs, validation_pairs, settings),
            ckpt_path=last if last.is_file() else None,
            weights_only=True,
        )
    # Where several processes trained, this one knows only what they have written.
    written = torch.load(last, map_location="cpu", weights_only=True)
    history.load_state_dict(written["callbacks"][history.state_key])
    if not any(math.isfinite(row["validation_loss"]) for row in history.rows):
        raise VisualMicError(
            "the loss of no epoch was a number: lower the learning rate, then train again"
        )
    best = torch.load(keep.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in best.items()}
