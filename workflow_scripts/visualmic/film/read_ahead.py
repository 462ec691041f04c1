"""Gather decoded frames into batches on other threads, while earlier ones are worked on."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from visualmic.film.pictures import Pictures
from visualmic.film.probe import FilmInfo

_BUFFERS = 3


class ReadAhead:
    """Gather frames into batches on a thread of its own, while earlier ones are worked on.

    A batch is overwritten once the next but one is asked for.
    """

    def __init__(self, frames: Iterator[NDArray[np.uint8]], shape: tuple[int, ...]) -> None:
        self._frames = frames
        self._free: SimpleQueue[NDArray[np.uint8] | None] = SimpleQueue()
        self._full: SimpleQueue[NDArray[np.uint8] | BaseException | None] = SimpleQueue()
        self._shape = shape
        self._left = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "ReadAhead":
        for _ in range(_BUFFERS):
            self._free.put(np.empty(self._shape, np.uint8))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._free.put(None)
        self._thread.join()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        while (got := self._full.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
            self._free.put(got.base)

    def _read(self) -> None:
        try:
            while (batch := self._free.get()) is not None:
                filled = 0
                for frame in self._frames:
                    batch[filled] = frame
                    filled += 1
                    if filled == len(batch) or self._left:
                        break
                if filled:
                    self._full.put(batch[:filled])
                if filled < len(batch):
                    break
            self._full.put(None)
        except BaseException as error:
            self._full.put(error)


class SpanReader:
    """Decode stretches of a film on a thread each, and give their frames in order.

    Parameters
    ----------
    info, crop
        As for :class:`visualmic.film.pictures.Pictures`.
    spans : list of tuple of int
        First frame of each stretch, and the one after its last; decoding can begin at each.
    shape : tuple of int
        Of a batch, ``(B, H, W)``; it is overwritten once the next is asked for.
    threads : int

    Raises
    ------
    GroupLost
        On iteration, before the first batch that cannot be completed.
    VisualMicError
        Likewise.
    """

    def __init__(
        self,
        info: FilmInfo,
        crop: tuple[int, int, int, int],
        spans: list[tuple[int, int]],
        shape: tuple[int, ...],
        threads: int,
    ) -> None:
        self._info, self._crop, self._spans = info, crop, spans
        self._shape = shape
        self._total = spans[-1][1]
        self._ahead = threads * max(stop - first for first, stop in spans)
        self._changed = threading.Condition()
        self._batches: dict[int, NDArray[np.uint8]] = {}
        self._free: list[NDArray[np.uint8]] = []
        self._filled: dict[int, int] = {}
        self._begun = 0
        self._read = 0
        self._error: BaseException | None = None
        self._left = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def __enter__(self) -> "SpanReader":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        length = self._shape[0]
        for number in range(-(-self._total // length)):
            count = min(length, self._total - number * length)
            with self._changed:
                while self._filled.get(number, 0) < count and self._error is None:
                    self._changed.wait()
                if self._filled.get(number, 0) < count:
                    assert self._error is not None
                    raise self._error
                batch = self._batches.pop(number)
            yield batch[:count]
            with self._changed:
                self._free.append(batch)
                self._read += count
                self._changed.notify_all()

    def _work(self) -> None:
        try:
            with Pictures(self._info, self._crop) as pictures:
                while (span := self._next()) is not None:
                    self._decode(pictures, *span)
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _next(self) -> tuple[int, int] | None:
        """Wait until there is room for another stretch, and take it."""
        with self._changed:
            while not self._stopped() and self._begun < len(self._spans):
                first, stop = self._spans[self._begun]
                if stop - self._read <= self._ahead + self._shape[0]:
                    self._begun += 1
                    return first, stop
                self._changed.wait()
        return None

    def _stopped(self) -> bool:
        return self._left or self._error is not None

    def _decode(self, pictures: Pictures, first: int, stop: int) -> None:
        at = first
        batch, number, begin = self._batch_of(at), at // self._shape[0], at
        for luma in pictures.group(first, stop):
            if at // self._shape[0] != number:
                self._note(number, at - begin)
                if self._stopped():
                    return
                batch, number, begin = self._batch_of(at), at // self._shape[0], at
            batch[at % self._shape[0]] = luma
            at += 1
        self._note(number, at - begin)

    def _batch_of(self, frame: int) -> NDArray[np.uint8]:
        number = frame // self._shape[0]
        with self._changed:
            if number not in self._batches:
                self._batches[number] = (
                    self._free.pop() if self._free else np.empty(self._shape, np.uint8)
                )
            return self._batches[number]

    def _note(self, number: int, frames: int) -> None:
        with self._changed:
            self._filled[number] = self._filled.get(number, 0) + frames
            self._changed.notify_all()
