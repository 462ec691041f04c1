r"""Which frames train a network, which choose its best epoch, and which test it.

Conventions: frames are counted from 0; a range ``(begin, end)`` leaves out `end`. Parts keep the
order of time. Between two parts of one recording lies a gap whose frames are in none of them,

.. math:: g = \max(\lceil t_g f \rceil, \lceil t_{lag} f \rceil + \mathrm{LABEL\_REACH})

frames at the capture rate `f`: a label is read from the reference sound up to the largest lag
away, by filters that reach `LABEL_REACH` frames to each side, so a narrower gap would let the
sound of one part into the labels of another.

Folds: ``later`` tests the last part of every recording, ``fold-k`` its k-th segment, and
``without-{recording}`` all of one recording, which then trains nothing.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.learn.settings import SplitSettings

LABEL_REACH = 84
"""Frames to each side that a label is made from: 50 by the low-pass filter before the reference is
sampled once a frame, 32 by the interpolation at the lag, and 2 for rounding."""

PARTS = ("train", "validation", "test")
LATER = "later"

Range = tuple[int, int]


@dataclass(frozen=True)
class Film:
    """What a split must know of a recording.

    Attributes
    ----------
    frames : int
    fps : float
        Capture rate in hertz.
    role : str
        ``train``; ``validation`` recordings only choose the best epoch.
    """

    frames: int
    fps: float
    role: str = "train"


@dataclass(frozen=True)
class Parts:
    """The frames of one recording in each part.

    Attributes
    ----------
    frames : int
        Length of the recording.
    train, validation, test : tuple of (begin, end)
        In the order of time.
    """

    frames: int
    train: tuple[Range, ...] = ()
    validation: tuple[Range, ...] = ()
    test: tuple[Range, ...] = ()


@dataclass(frozen=True)
class Split:
    """One fold.

    Attributes
    ----------
    fold : str
    recordings : dict of str to Parts
    """

    fold: str
    recordings: Mapping[str, Parts] = field(default_factory=dict)

    def with_part(self, part: str) -> list[str]:
        """Name the recordings that have frames in a part."""
        return [name for name, parts in self.recordings.items() if getattr(parts, part)]


def indices(ranges: Iterable[Range]) -> NDArray[np.int64]:
    """List the frames of some ranges.

    Examples
    --------
    >>> indices([(0, 3), (7, 9)])
    array([0, 1, 2, 7, 8])
    """
    pieces = [np.arange(begin, end, dtype=np.int64) for begin, end in ranges]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def fold_names(settings: SplitSettings, recordings: Sequence[str]) -> list[str]:
    """Name the folds of all kinds that the settings ask for.

    Examples
    --------
    >>> fold_names(SplitSettings(kinds=("later", "folds", "without"), folds=2), ["a", "b"])
    ['later', 'fold-1', 'fold-2', 'without-a', 'without-b']
    """
    names = {
        "later": [LATER],
        "folds": segment_folds(settings.folds),
        # Without the only recording there would be nothing to train with.
        "without": [f"without-{name}" for name in recordings] if len(recordings) > 1 else [],
    }
    return [name for kind in ("later", "folds", "without") if kind in settings.kinds
            for name in names[kind]]  # fmt: skip


def segment_folds(folds: int) -> list[str]:
    """Name the folds over segments."""
    return [f"fold-{number}" for number in range(1, folds + 1)]


def kind_of(fold: str) -> str:
    """Say which kind a fold is: ``later``, ``folds`` or ``without``."""
    return LATER if fold == LATER else "folds" if fold.startswith("fold-") else "without"


def make_split(films: Mapping[str, Film], fold: str, settings: SplitSettings) -> Split:
    """Divide the frames of some recordings.

    Parameters
    ----------
    films : mapping of str to Film
        The recordings to learn from, by name.
    fold : str
        ``later``, ``fold-1`` and so on, or ``without-{recording}``.
    settings : SplitSettings

    Returns
    -------
    Split

    Raises
    ------
    VisualMicError
        If there is no such fold, or a recording is too short for it.

    Examples
    --------
    >>> split = make_split({"card": Film(3000, 1000.0)}, "later", SplitSettings())
    >>> split.recordings["card"]
    Parts(frames=3000, train=((0, 1890),), validation=((2040, 2400),), test=((2550, 3000),))
    """
    trained = [name for name, film in films.items() if film.role == "train"]
    kind = kind_of(fold)
    left_out = fold.removeprefix("without-") if kind == "without" else None
    if kind == "without" and left_out not in trained:
        raise VisualMicError(f"there is no fold {fold}: no recording {left_out} to leave out")
    if kind == "folds" and fold not in segment_folds(settings.folds):
        raise VisualMicError(f"there is no fold {fold}: there are {settings.folds} of them")
    if not set(trained) - {left_out}:
        raise VisualMicError(
            f"the fold {fold} has no recording to train with; give one the role train and a"
            " reference"
        )
    recordings = {}
    for name, film in films.items():
        if name == left_out:
            recordings[name] = Parts(film.frames, test=((0, film.frames),))
        elif film.role != "train":
            recordings[name] = Parts(film.frames, validation=((0, film.frames),))
        else:
            recordings[name] = _divide(name, film, fold, settings)
    return Split(fold, recordings)


def gap_frames(fps: float, settings: SplitSettings) -> int:
    """Frames between two parts of a recording."""
    lag = math.ceil(settings.max_lag_s * fps)
    return max(math.ceil(settings.guard_s * fps), lag + LABEL_REACH)


def _divide(name: str, film: Film, fold: str, settings: SplitSettings) -> Parts:
    gap = gap_frames(film.fps, settings)
    kind = kind_of(fold)
    test: tuple[Range, ...] = ()
    left: list[Range] = [(0, film.frames)]
    if kind == "later":
        # The gap is taken from the test part, which is the shorter way to say "the last fifth".
        border = round(film.frames * (1 - settings.test_share))
        test, left = ((min(border + gap, film.frames), film.frames),), [(0, border)]
    elif kind == "folds":
        number = int(fold.removeprefix("fold-"))
        begin = film.frames * (number - 1) // settings.folds
        end = film.frames * number // settings.folds
        test = ((begin, end),)
        left = [(0, begin - gap), (end + gap, film.frames)]
    left = [(begin, end) for begin, end in left if end > begin]
    least = 2 * gap
    problem = (
        f"the recording {name} has {film.frames} frames: too few for the fold {fold} with gaps of"
        f" {gap} frames; film longer, lower the guard or the lag, or give it another role"
    )
    if not left or (test and test[0][1] - test[0][0] < 2):
        raise VisualMicError(problem)
    longest = max(left, key=lambda piece: piece[1] - piece[0])
    total = sum(end - begin for begin, end in left)
    chosen = max(2, round(settings.validation_share * total))
    rest = (longest[0], longest[1] - chosen - gap)
    if longest[1] - longest[0] < chosen + least or rest[1] - rest[0] < 2:
        raise VisualMicError(problem)
    validation = ((longest[1] - chosen, longest[1]),)
    train = tuple(rest if piece == longest else piece for piece in left)
    return Parts(film.frames, train, validation, test)


def write_split(path: str | os.PathLike[str], split: Split) -> None:
    """Write a split as JSON, a file that appears whole or not at all."""
    content = {
        "fold": split.fold,
        "recordings": {
            name: {"frames": parts.frames, **{part: getattr(parts, part) for part in PARTS}}
            for name, parts in split.recordings.items()
        },
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read what :func:`write_split` wrote.

    Raises
    ------
    VisualMicError
        If it is missing, is none, or a recording's parts overlap.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        recordings = {name: _parts(entry) for name, entry in content["recordings"].items()}
        split = Split(str(content["fold"]), recordings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VisualMicError(f"cannot read the split {path}: {error}; make it again") from error
    for name, parts in recordings.items():
        frames = np.concatenate([indices(getattr(parts, part)) for part in PARTS])
        inside = frames.size == 0 or 0 <= frames.min() <= frames.max() < parts.frames
        if np.unique(frames).size != frames.size or not inside:
            raise VisualMicError(
                f"{path}: a frame of {name} is in two parts, or beyond the film; make it again"
            )
    return split


def _parts(entry: Mapping[str, Any]) -> Parts:
    ranges = {part: tuple((int(a), int(b)) for a, b in entry[part]) for part in PARTS}
    return Parts(int(entry["frames"]), **ranges)
