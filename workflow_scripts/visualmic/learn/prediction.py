"""What a trained model says at the frames of a film."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.learn.footage import Footage
from visualmic.learn.model_file import TrainedModel
from visualmic.learn.splits import Range
from visualmic.learn.views import View, make_view, read_runs
from visualmic.progress import Progress

_BATCH_PIXELS = 1 << 22


def view_for(model: TrainedModel, footage: Footage) -> View:
    """Say how a recording is shown to a model: as in training, or else from its film alone."""
    known = model.views.get(footage.name)
    if known is not None:
        return known
    settings = model.settings
    view = make_view(
        footage.film,
        next(iter(model.views.values())).kind,
        settings.network.size_px,
        [(0, footage.frame_count)],
        footage.at_frames(),
        settings.frames,
        model.normalisation,
    )
    return view


def predict(
    model: TrainedModel,
    footage: Footage,
    ranges: Sequence[Range] | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Predict the sound sample of each frame.

    Parameters
    ----------
    model : TrainedModel
    footage : Footage
        The recording; that what was played is known is not needed, and not looked at.
    ranges : sequence of (begin, end), optional
        Which frames; all by default.
    progress : Progress, optional

    Returns
    -------
    ndarray, float64, (N,)
        In the unit of the labels that the model was trained with, in the order of `ranges`.

    Raises
    ------
    VisualMicError
        If frames cannot be read, or the recording has another size than when it was trained on.
    """
    view = view_for(model, footage)
    x, y, width, height = view.crop
    if x + width > footage.film.width or y + height > footage.film.height:
        raise VisualMicError(
            f"{footage.film.name} has frames of {footage.film.width} x {footage.film.height} pixels"
            f" where {footage.name} had larger ones in training; train again"
        )
    ranges = [(0, footage.frame_count)] if ranges is None else ranges
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.network.to(device).eval()
    reference = torch.from_numpy(view.reference_planes())
    batch = max(1, min(256, _BATCH_PIXELS // max(view.size**2, footage.film.width)))
    said = []
    pieces = [(a, min(a + batch, end)) for begin, end in ranges for a in range(begin, end, batch)]
    with torch.inference_mode():
        for frames in read_runs(footage.film, pieces):
            current = torch.from_numpy(view.current_planes(frames))
            pairs = torch.cat([reference.expand(len(current), -1, -1, -1), current], dim=-1)
            said.append(network(pairs.to(device)).double().cpu().numpy())
            if progress is not None:
                progress.advance(len(frames))
    return np.concatenate(said) if said else np.zeros(0)
