r"""What a network sees of a film: two pictures side by side, the reference and the current frame.

A sound moves the picture by hundredths of a pixel, which changes a pixel by hundredths of a grey
level while its noise is a whole one. The input ``frames`` holds both frames as they are, as the
source does, and drowns this change: the texture's contrast is a thousand times larger. The input
``difference`` holds in its current half, in place of colours, three planes

.. math:: r_t = I_t - a_t I_0, \qquad r_t \, \partial_x I_0, \qquad r_t \, \partial_y I_0,

with the brightness :math:`a_t` that fits best, so that a lamp's flicker is left out. By
:math:`I_t \approx I_0 - \nabla I_0 \cdot d_t` the mean of the last two over any patch is its
displacement weighed by its gradients, whatever the texture, so that shrinking to a few pixels adds
up what the patch knows of the motion instead of cancelling it. Each plane is amplified to a
standard deviation of one over the training part. The reference half holds :math:`I_0` and the
squares of its gradients, which say how much each patch can know.

All pictures are shrunk by averaging areas in floating point; nothing is rounded to grey levels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.film.frames import StoredFrames
from visualmic.learn.settings import InputSettings
from visualmic.learn.splits import Range

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

SURVEY_FRAMES = 2048
"""Frames at most that means and standard deviations are taken over, spread over the training
part."""

_SURVEY_RUN = 128
_GRID = 24
_TINY = 1e-12


@dataclass(frozen=True)
class View:
    """How the frames of one recording are turned into a network's input.

    Attributes
    ----------
    kind : str
        ``frames`` or ``difference``.
    size : int
        Side of each of the two pictures, in pixels.
    crop : tuple of int
        x, y, width, height in pixels of the frame.
    reference : ndarray, float32, (height, width)
        The reference frame within the crop, in grey levels.
    offset, gain : ndarray, float32, (3,)
        Each plane of the current half is ``(plane - offset) * gain``.
    """

    kind: str
    size: int
    crop: Box
    reference: Floats
    offset: Floats
    gain: Floats

    def reference_planes(self) -> Floats:
        """Give the reference half, ``(3, size, size)`` float32."""
        if self.kind == "frames":
            return self._scaled(self._shrunk(self.reference[None]).repeat(3, axis=0))
        across, down = _gradients(self.reference)
        planes = self._shrunk(np.stack([self.reference, across**2, down**2]))
        planes -= planes.mean(axis=(1, 2), keepdims=True)
        spread = planes.std(axis=(1, 2), keepdims=True)
        return np.asarray(planes / np.maximum(spread, 1e-6), np.float32)

    def current_planes(self, frames: NDArray[np.uint8]) -> Floats:
        """Give the current half of some frames.

        Parameters
        ----------
        frames : ndarray, uint8, (B, H, W)
            Whole frames.

        Returns
        -------
        ndarray, float32, (B, 3, size, size)
        """
        return self._scaled(self._planes(frames))

    def _planes(self, frames: NDArray[np.uint8]) -> Floats:
        x, y, width, height = self.crop
        seen = frames[:, y : y + height, x : x + width].astype(np.float32)
        if self.kind == "frames":
            return self._shrunk(seen)[:, None].repeat(3, axis=1)
        across, down = _gradients(self.reference)
        brightness = seen.reshape(len(seen), -1) @ self.reference.ravel()
        brightness /= max(float(np.vdot(self.reference, self.reference)), _TINY)
        seen -= brightness[:, None, None] * self.reference
        planes = np.empty((len(frames), 3, self.size, self.size), np.float32)
        planes[:, 0] = self._shrunk(seen)
        planes[:, 1] = self._shrunk(seen, across)
        planes[:, 2] = self._shrunk(seen, down)
        return planes

    def _shrunk(self, pictures: Floats, times: Floats | None = None) -> Floats:
        """Average areas of pictures ``(B, height, width)``, each first multiplied by `times`."""
        count, height, width = pictures.shape
        columns = area_weights(width, self.size).T
        if height % self.size:
            product = pictures if times is None else pictures * times
            across = (product.reshape(-1, width) @ columns).reshape(count, height, self.size)
            return np.asarray(area_weights(height, self.size) @ across)
        # Where areas are whole rows, adding these up first is three times faster.
        rows = pictures.reshape(count, self.size, height // self.size, width)
        if times is None:
            added = rows.sum(axis=2)
        else:
            added = np.einsum("bhkw,hkw->bhw", rows, times.reshape(rows.shape[1:]))
        shrunk = added.reshape(-1, width) @ (columns * np.float32(self.size / height))
        return np.asarray(shrunk.reshape(count, self.size, self.size))

    def _scaled(self, planes: Floats) -> Floats:
        planes -= self.offset[:, None, None]
        planes *= self.gain[:, None, None]
        return planes

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data and arrays."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def area_weights(length: int, size: int) -> Floats:
    """Weights that average `length` pixels into `size` areas of equal width.

    Returns
    -------
    ndarray, float32, (size, length)
        Each row sums to one.

    Examples
    --------
    >>> area_weights(4, 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    borders = np.arange(size + 1) * (length / size)
    pixels = np.arange(length)
    inside = np.minimum(borders[1:, None], pixels + 1) - np.maximum(borders[:-1, None], pixels)
    weights = np.clip(inside, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def survey(ranges: Iterable[Range], most: int = SURVEY_FRAMES) -> list[Range]:
    """Choose short runs, evenly spread over some ranges, of `most` frames together at most.

    Examples
    --------
    >>> survey([(0, 1000)], most=256)
    [(0, 128), (436, 564), (872, 1000)]
    """
    runs: list[Range] = []
    pieces = [piece for piece in ranges if piece[1] > piece[0]]
    total = sum(end - begin for begin, end in pieces)
    for begin, end in pieces:
        length = end - begin
        share = max(1, -(-most * length // (total * _SURVEY_RUN)))
        if length <= share * _SURVEY_RUN:
            runs.append((begin, end))
            continue
        starts = np.linspace(begin, end - _SURVEY_RUN, share + 1).round().astype(int)
        runs += [(int(start), int(start) + _SURVEY_RUN) for start in starts]
    return runs


def make_view(
    film: StoredFrames,
    kind: str,
    size: int,
    training: Iterable[Range],
    heard: NDArray[np.float64],
    settings: InputSettings,
    normalisation: tuple[float, float] | None = None,
) -> View:
    """Look at the training part of a film and settle how it is shown.

    Parameters
    ----------
    film : StoredFrames
    kind : str
        ``frames`` or ``difference``.
    size : int
        Side of each picture, in pixels.
    training : iterable of (begin, end)
        The frames that may be looked at.
    heard : ndarray, float64, (T,)
        What a classical method heard at each frame, which says where the object is.
    settings : InputSettings
    normalisation : tuple of float, optional
        Mean and standard deviation of the pixels for ``frames``, where they are known already; by
        default those of this film.

    Returns
    -------
    View

    Raises
    ------
    VisualMicError
        If the frames cannot be read.
    """
    runs = survey(training)
    frame = _reference(film, runs, settings.reference)
    crop: Box = (0, 0, film.width, film.height)
    if settings.crop == "object":
        crop = find_object(film, runs, frame, heard, settings.crop_share)
    x, y, width, height = crop
    view = View(
        kind,
        size,
        crop,
        np.ascontiguousarray(frame[y : y + height, x : x + width]),
        np.zeros(3, np.float32),
        np.ones(3, np.float32),
    )
    mean, spread = plane_statistics(film, view, runs)
    if kind == "frames":
        centre, deviation = normalisation or (float(mean[0]), float(spread[0]))
        mean, spread = np.full(3, centre), np.full(3, deviation)
    return replace(
        view,
        offset=np.asarray(mean, np.float32),
        gain=np.asarray(1 / np.maximum(spread, 1e-9), np.float32),
    )


def plane_statistics(
    film: StoredFrames, view: View, runs: Iterable[Range]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each plane over some runs of frames, ``(3,)`` each."""
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for frames in read_runs(film, runs):
        planes = view._planes(frames).astype(np.float64)
        count += planes.size // 3
        total += planes.sum(axis=(0, 2, 3))
        squares += (planes**2).sum(axis=(0, 2, 3))
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def read_runs(film: StoredFrames, runs: Iterable[Range]) -> Iterator[NDArray[np.uint8]]:
    """Read runs of frames, each at once, ``(B, H, W)`` uint8."""
    try:
        with h5py.File(film.name, "r") as store:
            for begin, end in runs:
                yield store["frames"][begin:end]
    except OSError as error:
        raise VisualMicError(
            f"cannot read frames from {film.name}; delete the file and run again"
        ) from error


def find_object(
    film: StoredFrames,
    runs: list[Range],
    frame: Floats,
    heard: NDArray[np.float64],
    share: float,
) -> Box:
    r"""Find the smallest square that holds most of what the sound explains in the picture.

    For each patch of a grid, the correlation `c` of its motion along each axis with what a
    classical method heard says what the patch knows, :math:`c^2 / (1 - c^2)` less what chance
    gives; what is still, or moves to nothing heard, counts nothing.

    Returns
    -------
    tuple of int
        x, y, width, height in pixels; all of the frame where nothing is explained.
    """
    shape = film.height, film.width
    cells = [min(_GRID, max(1, length // 8)) for length in shape]
    knows = _knowledge(film, runs, frame, heard, (cells[0], cells[1]))
    total = knows.sum()
    if total <= 0:
        return (0, 0, film.width, film.height)
    sums = np.pad(knows.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    # In pixels, for cells need not be square.
    sides = np.unique(np.linspace(32, max(shape), 2 * _GRID).astype(int))
    rows, columns = cells
    for side in sides:
        high = min(rows, -(-int(side) * rows // shape[0]))
        wide = min(columns, -(-int(side) * columns // shape[1]))
        held = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
        top, left = np.unravel_index(int(held.argmax()), held.shape)
        if held[top, left] >= share * total:
            y, x = int(top) * shape[0] // rows, int(left) * shape[1] // columns
            bottom = -(-(int(top) + high) * shape[0] // rows)
            right = -(-(int(left) + wide) * shape[1] // columns)
            return (x, y, right - x, bottom - y)
    return (0, 0, film.width, film.height)


def _knowledge(
    film: StoredFrames,
    runs: list[Range],
    frame: Floats,
    heard: NDArray[np.float64],
    cells: tuple[int, int],
) -> NDArray[np.float64]:
    across, down = _gradients(frame)
    rows, columns = area_weights(film.height, cells[0]), area_weights(film.width, cells[1]).T
    count, power = 0, 0.0
    cross, squares = np.zeros((2, *cells)), np.zeros((2, *cells))
    for (begin, end), frames in zip(runs, read_runs(film, runs), strict=True):
        seen = frames.astype(np.float32)
        seen -= seen.mean(axis=0)
        motion = np.stack([rows @ (seen * slope) @ columns for slope in (across, down)], axis=1)
        sound = heard[begin:end] - heard[begin:end].mean()
        count += end - begin
        power += float(sound @ sound)
        cross += np.einsum("t,tarc->arc", sound, motion)
        squares += np.einsum("tarc,tarc->arc", motion, motion)
    explained = cross**2 / np.maximum(squares * power, _TINY)
    explained = np.clip(explained, 0, 1 - 1e-6)
    # Four times what chance gives, for the best of many patches is taken.
    return np.asarray(np.clip(explained / (1 - explained) - 4 / max(count, 1), 0, None).sum(axis=0))


def _reference(film: StoredFrames, runs: list[Range], how: str) -> Floats:
    if how == "first":
        begin = min(run[0] for run in runs)
        return next(read_runs(film, [(begin, begin + 1)]))[0].astype(np.float32)
    total = np.zeros((film.height, film.width))
    for frames in read_runs(film, runs):
        total += frames.sum(axis=0, dtype=np.float64)
    return np.asarray(total / sum(end - begin for begin, end in runs), np.float32)


def _gradients(picture: Floats) -> tuple[Floats, Floats]:
    if min(picture.shape) < 2:
        return np.zeros_like(picture), np.zeros_like(picture)
    down, across = (np.asarray(slope, np.float32) for slope in np.gradient(picture))
    return across, down
