"""The networks: Siamese, each with shared weights for its two pictures.

Conventions: input ``(B, 3, size, 2 size)`` float32, the reference to the left and the current
frame to the right; output ``(B,)``, the sound sample of the current frame in the labels' unit.
"""

import os
from typing import Any, cast

import torch
from torch import nn

from visualmic.errors import VisualMicError
from visualmic.learn.settings import (
    IMAGENET,
    NO_WEIGHTS,
    FpnSettings,
    NetworkSettings,
    ResNetSettings,
    SiameseSettings,
    require_weights,
)

FORMAT = "visualmic model 1"
"""What a stored model calls itself."""


class SiameseNetwork(nn.Module):
    """Two pictures through one network, their features joined, a fully connected head.

    Parameters
    ----------
    trunk : nn.Module
        Picture ``(B, 3, size, size)`` to features ``(B, features)``.
    features : int
    hidden : int
        Units of the head's hidden layer.

    Attributes
    ----------
    label_mean, label_spread : tensor
        Mean and standard deviation of the training labels: the head's output is in these, so that
        an untrained network says about nothing and every loudness learns alike.
    """

    label_mean: torch.Tensor
    label_spread: torch.Tensor

    def __init__(self, trunk: nn.Module, features: int, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Sequential(
            nn.Linear(2 * features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 1)
        )
        self.register_buffer("label_mean", torch.zeros(()))
        self.register_buffer("label_spread", torch.ones(()))

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Say the sample of each pair's current frame."""
        reference, current = pairs.chunk(2, dim=-1)
        # One pass over both, so that layers with statistics see the same ones for both.
        features = self.trunk(torch.cat([reference, current])).chunk(2)
        said = self.head(torch.cat(features, dim=1)).squeeze(1)
        return self.label_mean + self.label_spread * said


class PyramidTrunk(nn.Module):
    """ResNet bottom-up, a feature pyramid top-down with lateral connections; each level pooled.

    References
    ----------
    T.-Y. Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
    """

    LEVELS = ("layer1", "layer2", "layer3", "layer4")

    def __init__(self, resnet: nn.Module, widths: list[int], channels: int) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork

        self.resnet = resnet
        self.pyramid = FeaturePyramidNetwork(widths, channels)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Give the pooled features of all levels, ``(B, levels * channels)``."""
        net = self.resnet
        found = net.maxpool(net.relu(net.bn1(net.conv1(pictures))))  # type: ignore[operator]
        levels = {}
        for name in self.LEVELS:
            found = levels[name] = getattr(net, name)(found)
        return torch.cat([level.mean(dim=(2, 3)) for level in self.pyramid(levels).values()], dim=1)


def make_network(settings: NetworkSettings, load_weights: bool = True) -> SiameseNetwork:
    """Build a network.

    Parameters
    ----------
    settings : SiameseSettings, ResNetSettings or FpnSettings
    load_weights : bool
        Load the weights that the settings name; a network whose own weights follow needs none.

    Raises
    ------
    VisualMicError
        If weights cannot be downloaded or read, or do not fit.

    Examples
    --------
    >>> from visualmic.learn.settings import SiameseSettings
    >>> make_network(SiameseSettings())(torch.zeros(5, 3, 32, 64)).shape
    torch.Size([5])
    """
    if isinstance(settings, SiameseSettings):
        return _small_network(settings)
    resnet, features = _resnet(settings)
    if load_weights and settings.weights != NO_WEIGHTS:
        _load_weights(resnet, settings)
    if isinstance(settings, FpnSettings):
        trunk = PyramidTrunk(resnet, [features >> level for level in (3, 2, 1, 0)],
                             settings.channels)  # fmt: skip
        return SiameseNetwork(trunk, 4 * settings.channels, settings.hidden)
    return SiameseNetwork(resnet, features, settings.hidden)


def count_parameters(network: nn.Module) -> int:
    """Count the weights that are trained."""
    return sum(weights.numel() for weights in network.parameters() if weights.requires_grad)


def _small_network(settings: SiameseSettings) -> SiameseNetwork:
    layers: list[nn.Module] = []
    before, side = 3, settings.size_px
    for channels in settings.channels:
        # The mean keeps the sign of a motion, which the largest of four would lose.
        layers += [
            nn.Conv2d(before, channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
        ]
        before, side = channels, side // 2
    return SiameseNetwork(
        nn.Sequential(*layers, nn.Flatten()), before * side * side, settings.hidden
    )


def _resnet(settings: ResNetSettings) -> tuple[nn.Module, int]:
    from torchvision import models

    if settings.backbone not in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
        raise VisualMicError(
            f"backbone is {settings.backbone!r}; give resnet18, 34, 50, 101 or 152"
        )
    resnet = models.get_model(settings.backbone, weights=None)
    features = resnet.fc.in_features
    resnet.fc = nn.Identity()
    return resnet, features


def _load_weights(resnet: nn.Module, settings: ResNetSettings) -> None:
    state = (
        _imagenet_weights(settings.backbone)
        if settings.weights == IMAGENET
        else _weights_of(settings.weights)
    )
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    try:
        resnet.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise VisualMicError(
            f"the weights {settings.weights} do not fit {settings.backbone}: {reason}; give those"
            " of the same backbone"
        ) from error


def _imagenet_weights(backbone: str) -> dict[str, torch.Tensor]:
    from torchvision import models

    weights = models.get_model_weights(backbone).DEFAULT
    try:
        return cast(dict[str, torch.Tensor], weights.get_state_dict(progress=False))
    except (OSError, RuntimeError) as error:
        # An unreachable host is an OSError; a damaged download a RuntimeError.
        raise VisualMicError(
            f"cannot download the ImageNet weights of {backbone} from {weights.url}"
            f" ({error}); set weights to none, or to a file that was downloaded elsewhere"
        ) from error


def read_stored(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what ``torch.save`` wrote; nothing in it is executed.

    Returns
    -------
    dict
        Empty where the file holds nothing of the kind.

    Raises
    ------
    VisualMicError
        If there is no such file, or it cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise VisualMicError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception:
        # Unpickling what was never pickled can fail in any way.
        return {}
    return content if isinstance(content, dict) else {}


def _weights_of(path: str) -> dict[str, torch.Tensor]:
    require_weights(path)
    content = read_stored(path)
    if content.get("format") != FORMAT:
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return content
        raise VisualMicError(
            f"{path} holds no weights that can be read; give a model of this project or a state"
            " dict of torchvision"
        )
    whole = content["network"]
    deep = any(name.startswith("trunk.resnet.") for name in whole)
    start = "trunk.resnet." if deep else "trunk."
    return {
        name.removeprefix(start): value for name, value in whole.items() if name.startswith(start)
    }
