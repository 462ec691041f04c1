"""Pairs of reference and current frame from frame stores, as a PyTorch data set.

Each process opens the frame stores for itself, because HDF5 handles do not survive a fork, and
reads frames that follow each other at once. Where all prepared input fits into memory it is
prepared once and shared by all workers; else batches are made of short runs of frames, so that
shuffling does not turn reading into a search for single frames.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from visualmic.errors import VisualMicError
from visualmic.learn.views import View

RUN_FRAMES = 8
"""Frames of a run where frames are read from the store in every epoch."""

_CHUNK = 256

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Piece:
    """Frames of one recording with their labels.

    Attributes
    ----------
    store : str
        Path of the frame store.
    view : View
    frames : ndarray, int64, (N,)
        In ascending order.
    labels : ndarray, float64, (N,)
    """

    store: str
    view: View
    frames: NDArray[np.int64]
    labels: NDArray[np.float64]


class FramePairs(Dataset[Batch]):
    """Pairs with labels; an index gives one pair, a list of indices a whole batch.

    Parameters
    ----------
    pieces : sequence of Piece
    cache_mb : int
        Keep prepared input in memory where it is no larger than this, in megabytes.

    Attributes
    ----------
    labels : tensor, float32, (N,)
    cached : bool
    """

    def __init__(self, pieces: Sequence[Piece], cache_mb: int = 0) -> None:
        self.pieces = list(pieces)
        counts = [len(piece.frames) for piece in self.pieces]
        self._piece = np.repeat(np.arange(len(counts)), counts)
        self._frame = np.concatenate([piece.frames for piece in self.pieces])
        labels = np.concatenate([piece.labels for piece in self.pieces])
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self._references = [
            torch.from_numpy(piece.view.reference_planes()) for piece in self.pieces
        ]
        self._open: dict[tuple[int, int], h5py.File] = {}
        size = self.pieces[0].view.size
        self._shape = (3, size, size)
        self._cache: torch.Tensor | None = None
        if 4 * 3 * size * size * len(self) <= cache_mb << 20:
            self._cache = torch.empty((len(self), *self._shape))
            for begin in range(0, len(self), _CHUNK):
                part = np.arange(begin, min(begin + _CHUNK, len(self)))
                self._cache[begin : begin + _CHUNK] = self._prepare(part)
            self.close()

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def cached(self) -> bool:
        """Whether all input is in memory."""
        return self._cache is not None

    def __getitem__(self, index: int) -> Batch:
        pairs, labels = self.__getitems__([index])
        return pairs[0], labels[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Give a batch: pairs ``(B, 3, size, 2 size)`` and labels ``(B,)``, float32."""
        chosen = np.asarray(indices, np.int64)
        _, height, width = self._shape
        pairs = torch.empty((len(chosen), 3, height, 2 * width))
        which = self._piece[chosen]
        for piece in np.unique(which):
            pairs[torch.from_numpy(which == piece), :, :, :width] = self._references[piece]
        if self._cache is None:
            pairs[..., width:] = self._prepare(chosen)
        else:
            pairs[..., width:] = self._cache[torch.from_numpy(chosen)]
        return pairs, self.labels[torch.from_numpy(chosen)]

    def runs(self, length: int, shift: int = 0) -> list[NDArray[np.int64]]:
        """Cut all indices into runs of frames that follow each other, `length` long at most."""
        borders = (np.diff(self._frame) != 1) | (np.diff(self._piece) != 0)
        stretches = np.split(np.arange(len(self)), np.flatnonzero(borders) + 1)
        runs = []
        for stretch in stretches:
            cuts = np.arange(shift % length or length, len(stretch), length)
            runs += np.split(stretch, cuts)
        return runs

    def close(self) -> None:
        """Close the frame stores that this process has opened."""
        for (process, _), store in list(self._open.items()):
            if process == os.getpid():
                store.close()
        self._open = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _prepare(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        planes = torch.empty((len(chosen), *self._shape))
        order = np.lexsort((self._frame[chosen], self._piece[chosen]))
        piece, frame = self._piece[chosen][order], self._frame[chosen][order]
        borders = np.flatnonzero((np.diff(frame) != 1) | (np.diff(piece) != 0)) + 1
        for places in np.split(np.arange(len(order)), borders):
            run = frame[places]
            read = self._read(int(piece[places[0]]), int(run[0]), int(run[-1]) + 1)
            view = self.pieces[piece[places[0]]].view
            planes[torch.from_numpy(order[places])] = torch.from_numpy(view.current_planes(read))
        return planes

    def _read(self, piece: int, begin: int, end: int) -> NDArray[np.uint8]:
        key = os.getpid(), piece
        try:
            if key not in self._open:
                # Handles of the process that this one was forked from are of no use here.
                self._open = {k: v for k, v in self._open.items() if k[0] == key[0]}
                self._open[key] = h5py.File(self.pieces[piece].store, "r")
            return np.asarray(self._open[key]["frames"][begin:end])
        except OSError as error:
            raise VisualMicError(
                f"cannot read frames from {self.pieces[piece].store}; delete the file and run again"
            ) from error


class ShuffledBatches(Sampler[list[int]]):
    """Batches of a data set in an order that depends on the seed and the epoch alone.

    Parameters
    ----------
    pairs : FramePairs
    batch_size : int
    seed : int
    rank, world : int
        This process among those that train together: each gets as many batches.
    """

    def __init__(
        self, pairs: FramePairs, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.pairs = pairs
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch; the trainer calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        # A last batch that is not full would weigh its frames more than others.
        return max(1, len(self.pairs) // self.batch_size // self.world)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        length = 1 if self.pairs.cached else RUN_FRAMES
        runs = self.pairs.runs(length, shift=int(random.integers(length)))
        order = np.concatenate([runs[place] for place in random.permutation(len(runs))])
        for number in range(len(self)):
            begin = (number * self.world + self.rank) * self.batch_size
            yield order[begin : begin + self.batch_size].tolist()


class OrderedBatches(Sampler[list[int]]):
    """Batches of a data set in the order of time; of several processes each gets its share."""

    def __init__(self, pairs: FramePairs, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self.batches = [
            list(range(begin, min(begin + batch_size, len(pairs))))
            for begin in range(0, len(pairs), batch_size)
        ][rank::world]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def load(pairs: FramePairs, batches: Sampler[list[int]], workers: int = 0) -> DataLoader[Batch]:
    """Serve batches, prepared by `workers` processes ahead of time where input is not in memory."""
    workers = 0 if pairs.cached else workers
    return DataLoader(
        pairs,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_it_is,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
