"""A trained model as one file: weights, settings, and the normalisation it was trained with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.learn.networks import FORMAT, SiameseNetwork, make_network, read_stored
from visualmic.learn.settings import ModelSettings, model_settings
from visualmic.learn.views import View


@dataclass(frozen=True)
class TrainedModel:
    """What prediction needs.

    Attributes
    ----------
    settings : ModelSettings
    fold : str
        Name of the split that it was trained on.
    network : SiameseNetwork
    views : dict of str to View
        How each recording that it was trained on is shown to it.
    normalisation : tuple of float
        Mean and standard deviation of the pixels of the training part, which recordings it was
        not trained on are shown with.
    """

    settings: ModelSettings
    fold: str
    network: SiameseNetwork
    views: Mapping[str, View]
    normalisation: tuple[float, float]


def save_model(path: str | os.PathLike[str], model: TrainedModel) -> None:
    """Write a model, a file that appears whole or not at all."""
    content = {
        "format": FORMAT,
        "settings": model.settings.as_dict(),
        "fold": model.fold,
        "network": {name: value.cpu() for name, value in model.network.state_dict().items()},
        "views": {name: _stored(view) for name, view in model.views.items()},
        "normalisation": list(model.normalisation),
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model that :func:`save_model` wrote; nothing in the file is executed.

    Raises
    ------
    VisualMicError
        If it cannot be read or is none.
    """
    content = read_stored(path)
    try:
        if content["format"] != FORMAT:
            raise KeyError("format")
        settings = model_settings(**content["settings"])
        network = make_network(settings.network, load_weights=False)
        network.load_state_dict(content["network"])
        views = {name: _view(entry) for name, entry in content["views"].items()}
        mean, spread = content["normalisation"]
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise VisualMicError(f"{path} is no model of this project; train it again") from error
    return TrainedModel(settings, content["fold"], network.eval(), views, (mean, spread))


def _stored(view: View) -> dict[str, Any]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, np.ndarray)
        else value
        for name, value in view.as_dict().items()
    }


def _view(entry: Mapping[str, Any]) -> View:
    values: dict[str, Any] = {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in entry.items()
    }
    return View(**{**values, "crop": tuple(values["crop"])})
