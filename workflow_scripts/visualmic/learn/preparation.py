"""From recordings and a split to what a network is trained on, looking at each part only as it may.

Everything that is settled here (where the object is, the reference frame, how planes are
amplified, the mean and spread of pixels and labels, the lag and sign of the labels) comes from
training frames. A recording that only chooses the best epoch is looked at in its validation part.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from visualmic.errors import VisualMicError
from visualmic.learn.footage import Footage
from visualmic.learn.labels import Labels, align_labels
from visualmic.learn.pairs import FramePairs, Piece
from visualmic.learn.settings import ModelSettings, input_of
from visualmic.learn.splits import Range, Split, indices
from visualmic.learn.views import View, make_view, plane_statistics, survey


@dataclass(frozen=True)
class Prepared:
    """What is settled before training.

    Attributes
    ----------
    views : dict of str to View
        How each recording is shown.
    labels : dict of str to Labels
        What is to be said of each recording.
    normalisation : tuple of float
        Mean and standard deviation of the pixels over the training part of all recordings.
    train, validation : FramePairs
    fingerprint : str
        Digest of settings, split and data: a checkpoint of another one is of no use.
    """

    views: Mapping[str, View]
    labels: Mapping[str, Labels]
    normalisation: tuple[float, float]
    train: FramePairs
    validation: FramePairs
    fingerprint: str


def prepare(
    settings: ModelSettings, split: Split, footage: Sequence[Footage], max_lag_s: float
) -> Prepared:
    """Settle all that is settled before training, and gather the pairs of both parts.

    Parameters
    ----------
    settings : ModelSettings
    split : Split
    footage : sequence of Footage
        The recordings of the split that train or choose.
    max_lag_s : float
        Largest lag between film and sound, in seconds.

    Raises
    ------
    VisualMicError
        If a recording disagrees with the split, has no reference sound, or cannot be read.
    """
    views, labels = {}, {}
    kind, size = input_of(settings.model), settings.network.size_px
    for recording in footage:
        parts = split.recordings[recording.name]
        if recording.frame_count != parts.frames:
            raise VisualMicError(
                f"{recording.film.name} has {recording.frame_count} frames where the split"
                f" {split.fold} says {parts.frames}; make the split again"
            )
        if recording.amplitudes is None:
            raise VisualMicError(f"{recording.name} has no reference sound to learn from")
        known = parts.train or parts.validation
        labels[recording.name] = align_labels(
            recording.amplitudes,
            recording.film.time_s(),
            recording.film.capture_fps,
            recording.heard,
            known,
            max_lag_s,
            recording.name,
        )
        views[recording.name] = make_view(
            recording.film, kind, size, known, recording.at_frames(), settings.frames
        )
    trained = [recording for recording in footage if split.recordings[recording.name].train]
    normalisation = _pooled(trained, split, views)
    if kind == "frames":
        mean, spread = normalisation
        offset = np.full(3, mean, np.float32)
        gain = np.full(3, 1 / max(spread, 1e-9), np.float32)
        views = {name: replace(view, offset=offset, gain=gain) for name, view in views.items()}
    train, validation = (
        FramePairs(_pieces(split, part, footage, views, labels), settings.frames.cache_mb)
        for part in ("train", "validation")
    )
    fingerprint = _fingerprint(settings, split, footage, labels)
    return Prepared(views, labels, normalisation, train, validation, fingerprint)


def _pooled(
    trained: Sequence[Footage], split: Split, views: Mapping[str, View]
) -> tuple[float, float]:
    """Mean and standard deviation of the shrunk pixels over all training parts."""
    count, total, squares = 0, 0.0, 0.0
    for recording in trained:
        view = views[recording.name]
        plain = replace(view, kind="frames")
        ranges = split.recordings[recording.name].train
        mean, spread = plane_statistics(recording.film, plain, survey(ranges))
        weight = sum(end - begin for begin, end in ranges)
        count += weight
        total += weight * float(mean[0])
        squares += weight * float(spread[0] ** 2 + mean[0] ** 2)
    centre = total / count
    return centre, float(np.sqrt(max(squares / count - centre**2, 0.0)))


def _pieces(
    split: Split,
    part: str,
    footage: Sequence[Footage],
    views: Mapping[str, View],
    labels: Mapping[str, Labels],
) -> list[Piece]:
    pieces = []
    for recording in footage:
        ranges: tuple[Range, ...] = getattr(split.recordings[recording.name], part)
        frames = indices(ranges)
        frames = frames[labels[recording.name].known[frames]]
        if frames.size:
            pieces.append(
                Piece(
                    recording.film.name,
                    views[recording.name],
                    frames,
                    labels[recording.name].samples[frames],
                )
            )
    if not pieces:
        raise VisualMicError(f"the fold {split.fold} has no frames for {part}; film longer")
    return pieces


def _fingerprint(
    settings: ModelSettings,
    split: Split,
    footage: Sequence[Footage],
    labels: Mapping[str, Labels],
) -> str:
    """Digest what a checkpoint belongs to, so that no other training goes on from it."""
    digest = hashlib.sha256(json.dumps(settings.as_dict(), sort_keys=True).encode())
    digest.update(repr(split).encode())
    for recording in footage:
        facts = {name: str(value) for name, value in recording.film.attributes.items()}
        digest.update(json.dumps(facts, sort_keys=True).encode())
        # Rounded, for threads may change the last digit of what the classical method heard.
        lag, sign = labels[recording.name].lag_s, labels[recording.name].polarity
        digest.update(f"{sign * np.rint(lag * 1e6)}".encode())
        digest.update(np.asarray(recording.amplitudes).tobytes())
    return digest.hexdigest()[:16]
