"""What a learned model is and how it is trained, as plain settings; nothing here needs torch."""

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visualmic.errors import VisualMicError

NETWORKS = ("siamese", "resnet50", "fpn")
"""The networks: a small one of 3x3 kernels, ResNet-50, and ResNet with a feature pyramid."""

FRAMES_SUFFIX = "-frames"
"""Behind a network's name: fed with the frames as they are, as the source does."""

MODELS = tuple(name + suffix for name in NETWORKS for suffix in ("", FRAMES_SUFFIX))
"""Names of all models: a network fed with differences, or with frames."""

INPUTS = ("difference", "frames")
"""What the current half of a network's input holds."""

NO_WEIGHTS, IMAGENET = "none", "imagenet"


def network_of(model: str) -> str:
    """Name the network of a model.

    Raises
    ------
    VisualMicError
        If there is no such model; the message names the nearest.

    Examples
    --------
    >>> network_of("resnet50-frames"), input_of("resnet50-frames"), input_of("siamese")
    ('resnet50', 'frames', 'difference')
    """
    if model not in MODELS:
        near = difflib.get_close_matches(model, MODELS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise VisualMicError(f"there is no model {model!r}; choose {', '.join(MODELS)}{hint}")
    return model.removesuffix(FRAMES_SUFFIX)


def input_of(model: str) -> str:
    """Name the input of a model: one of :data:`INPUTS`."""
    network_of(model)
    return "frames" if model.endswith(FRAMES_SUFFIX) else "difference"


@dataclass(frozen=True)
class SplitSettings:
    """Which frames train, which choose, and which test.

    Attributes
    ----------
    kinds : sequence of str
        Which splits the table is about: ``later`` (the last part of each recording), ``folds``
        (each of some segments in turn), ``without`` (each recording in turn).
    folds : int
        Number of segments.
    test_share : float
        Part of each recording that ``later`` tests, the last in time.
    validation_share : float
        Part of what is left that chooses the best epoch and does not train.
    guard_s : float
        Gap between parts whose frames are in neither, in seconds.
    max_lag_s : float
        Largest lag between film and sound that is looked for, in seconds; at most `guard_s` less
        `LABEL_REACH` frames, so that no label reaches into another part.
    """

    kinds: Sequence[str] = ("later", "folds")
    folds: int = 2
    test_share: float = 0.2
    validation_share: float = 0.15
    guard_s: float = 0.15
    max_lag_s: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1 or not 0 < self.validation_share < 1:
            raise VisualMicError("test_share and validation_share must lie between 0 and 1")
        if self.folds < 2:
            raise VisualMicError(f"there are {self.folds} folds; give 2 or more")
        if not 0 <= self.max_lag_s < self.guard_s:
            raise VisualMicError(
                f"the largest lag ({self.max_lag_s:g} s) must be less than the guard gap"
                f" ({self.guard_s:g} s), or labels would reach into another part"
            )


@dataclass(frozen=True)
class InputSettings:
    """What a network is shown.

    Attributes
    ----------
    crop : str
        ``object``: the smallest square that holds `crop_share` of what the film's own recovered
        sound explains; ``frame``: all of it.
    crop_share : float
        Part of that which the crop must hold.
    reference : str
        What each frame is compared with: ``mean`` of the training part, or its ``first`` frame.
    cache_mb : int
        Prepared input is kept in memory up to this size, in megabytes; what is larger is prepared
        again from the frame store in every epoch.
    """

    crop: str = "object"
    crop_share: float = 0.9
    reference: str = "mean"
    cache_mb: int = 512

    def __post_init__(self) -> None:
        _require(self.crop in ("object", "frame"), f"crop is {self.crop!r}: object or frame")
        _require(self.reference in ("mean", "first"), f"reference is {self.reference!r}")
        _require(0 < self.crop_share <= 1, f"crop_share is {self.crop_share:g}: above 0, at most 1")


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; the source's values unless said otherwise in the config.

    Attributes
    ----------
    epochs : int
        Most passes over the training part.
    batch_size : int
        Frames a step.
    learning_rate : float
        Of Adam.
    step_epochs, step_factor : int, float
        After so many epochs the learning rate is multiplied by the factor.
    patience : int
        Training stops after so many epochs without a lower validation loss; 0 never does.
    seed : int
        Of everything random.
    workers : int
        Processes that prepare input where it does not fit in memory.
    threads : int
        Cores that compute, where no graphics processor does; it changes the last digits of weights.
    gpus : int
        Most graphics processors to use, where the machine has some; with one or more precision is
        mixed.
    """

    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 0.001
    step_epochs: int = 30
    step_factor: float = 0.1
    patience: int = 0
    seed: int = 0
    workers: int = 0
    threads: int = 1
    gpus: int = 1

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, f"epochs is {self.epochs}: 1 or more")
        _require(self.batch_size >= 2, f"batch size is {self.batch_size}: 2 or more")
        good = math.isfinite(self.learning_rate) and self.learning_rate > 0
        _require(good, f"learning rate is {self.learning_rate:g}: above 0")
        _require(self.threads >= 1, f"threads is {self.threads}: 1 or more")
        _require(self.step_epochs >= 1, f"step_epochs is {self.step_epochs}: 1 or more")


@dataclass(frozen=True)
class SiameseSettings:
    """The small network: successive 3x3 kernels, halving the picture after each.

    Attributes
    ----------
    size_px : int
        Side of each of the two pictures; the input is ``(3, size, 2 size)``.
    channels : sequence of int
        Kernels of each layer.
    hidden : int
        Units of the head's hidden layer.
    """

    size_px: int = 32
    channels: Sequence[int] = (16, 32, 64)
    hidden: int = 128

    def __post_init__(self) -> None:
        least = 2 ** len(self.channels)
        _require(
            self.size_px >= least,
            f"size_px is {self.size_px}: {len(self.channels)} layers need {least} or more",
        )


@dataclass(frozen=True)
class ResNetSettings:
    """ResNet, its pooled features of both pictures joined.

    Attributes
    ----------
    size_px : int
        Side of each of the two pictures.
    backbone : str
        ``resnet50``, or a smaller one of torchvision for trials.
    weights : str
        ``imagenet``, ``none`` (random), or a file: a model of this project or a state dict of
        torchvision.
    hidden : int
        Units of the head's hidden layer.
    """

    size_px: int = 224
    backbone: str = "resnet50"
    weights: str = NO_WEIGHTS
    hidden: int = 256

    def __post_init__(self) -> None:
        _require(self.size_px >= 16, f"size_px is {self.size_px}: 16 or more")


@dataclass(frozen=True)
class FpnSettings(ResNetSettings):
    """ResNet bottom-up, a feature pyramid top-down; each level pooled, both pictures joined.

    Attributes
    ----------
    channels : int
        Channels of every level of the pyramid.
    """

    channels: int = 256


NetworkSettings = SiameseSettings | ResNetSettings | FpnSettings

_SETTINGS: dict[str, type[NetworkSettings]] = {
    "siamese": SiameseSettings,
    "resnet50": ResNetSettings,
    "fpn": FpnSettings,
}


@dataclass(frozen=True)
class ModelSettings:
    """Everything that makes a model what it is.

    Attributes
    ----------
    model : str
        A name in :data:`MODELS`.
    network : SiameseSettings, ResNetSettings or FpnSettings
    frames : InputSettings
    training : TrainingSettings
    """

    model: str
    network: NetworkSettings
    frames: InputSettings = field(default_factory=InputSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "model": self.model,
            "network": _plain(self.network),
            "frames": _plain(self.frames),
            "training": _plain(self.training),
        }


def model_settings(
    model: str,
    network: Mapping[str, Any] | None = None,
    frames: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> ModelSettings:
    """Make the settings of a model from plain data, as the config and a stored model hold them.

    Raises
    ------
    VisualMicError
        If the model or a value is not known.

    Examples
    --------
    >>> model_settings("siamese", {"size_px": 64}).network.size_px
    64
    """
    kind = _SETTINGS[network_of(model)]
    return ModelSettings(
        model,
        kind(**(network or {})),
        InputSettings(**(frames or {})),
        TrainingSettings(**(training or {})),
    )


def require_weights(weights: str) -> None:
    """Raise VisualMicError now when a file of weights is missing."""
    if weights not in (NO_WEIGHTS, IMAGENET) and not Path(weights).is_file():
        raise VisualMicError(
            f"there is no file of weights {weights}; give {IMAGENET}, {NO_WEIGHTS} or a file's path"
        )


def _plain(settings: Any) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(settings).items()
    }


def _require(good: bool, problem: str) -> None:
    if not good:
        raise VisualMicError(problem)
