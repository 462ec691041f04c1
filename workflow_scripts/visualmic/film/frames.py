"""The frame store: luma frames of a film in HDF5, decoded once and read by every method.

Layout: ``/frames`` uint8 ``(T, H, W)``, ``/time_s`` float64 ``(T,)``, ``/keyframes`` int64
``(K,)``, ``/bidirectional`` bool ``(T,)``, and the attributes ``complete``, ``frames``,
``capture_fps``, ``variable_frame_rate``, ``lossless``, ``source`` and whatever the caller adds,
such as the film's SHA-256 and the crop.

Frames are not compressed: the noise of a sensor does not compress (one part in four is saved), and
reading would be ten times slower. A chunk holds whole frames, about `CHUNK_BYTES` of them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.film.source import FrameSource
from visualmic.hdf5 import NewStore, write_hdf5
from visualmic.progress import Progress

CHUNK_BYTES = 256 << 10
"""Wished size of a chunk; a frame that is larger has a chunk of its own."""

BATCH_BYTES = 8 << 20
"""Wished size of a batch of frames."""


def write_frames(
    source: FrameSource,
    path: str | os.PathLike[str],
    attributes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> int:
    """Store the frames of a source; the file appears whole or not at all.

    Parameters
    ----------
    source : FrameSource
        Where the frames come from; read once, a batch at a time.
    path : path
        The HDF5 file to make.
    attributes : mapping, optional
        Facts to keep with the frames: numbers, strings, or what JSON can hold.
    progress : Progress, optional
        Told of every frame stored.

    Returns
    -------
    int
        Number of frames stored.

    Raises
    ------
    VisualMicError
        If the source fails or the file cannot be written.
    """
    size = source.height * source.width
    chunk = max(1, CHUNK_BYTES // size)
    batch_frames = chunk * max(1, BATCH_BYTES // (size * chunk))
    with write_hdf5(path) as store:
        done = _store_frames(store, source, chunk, batch_frames, progress)
        for name, value in (attributes or {}).items():
            store.attrs[name] = _attribute(value)
        store.attrs["complete"] = True
    return done


class StoredFrames:
    """Frames of a store, as a :class:`visualmic.film.source.FrameSource`.

    Parameters
    ----------
    path : path
        What :func:`write_frames` made.

    Attributes
    ----------
    variable_frame_rate : bool
        Whether the film's timestamps are uneven.
    keyframes : ndarray, int64, (K,)
        Indices of the film's key frames, as far as they are known.
    lossless : bool
        Whether the film's codec is known to have changed nothing.
    attributes : dict
        All attributes of the store.

    Raises
    ------
    VisualMicError
        If the file is missing, no HDF5, not complete, or its shape disagrees with its attributes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        try:
            with h5py.File(path, "r") as store:
                frames, times = store["frames"], store["time_s"]
                self.attributes: dict[str, Any] = dict(store.attrs)
                count = int(self.attributes.get("frames", -1))
                if not self.attributes.get("complete", False):
                    raise VisualMicError(f"{path} is not complete; delete it and run again")
                if frames.ndim != 3 or frames.dtype != np.uint8:
                    raise VisualMicError(
                        f"{path} holds frames of shape {frames.shape} and type {frames.dtype} where"
                        " (T, H, W) of uint8 is needed; delete it and run again"
                    )
                if not frames.shape[0] == times.shape[0] == count:
                    raise VisualMicError(
                        f"{path} holds {frames.shape[0]} frames and {times.shape[0]} times but says"
                        f" {count}; delete it and run again"
                    )
                self.height, self.width = int(frames.shape[1]), int(frames.shape[2])
                self.frame_count: int | None = count
                self.capture_fps = float(self.attributes["capture_fps"])
                self.variable_frame_rate = bool(self.attributes.get("variable_frame_rate", False))
                self.lossless = bool(self.attributes.get("lossless", False))
                self._time_s: NDArray[np.float64] = times[...]
                self.keyframes: NDArray[np.int64] = (
                    store["keyframes"][...] if "keyframes" in store else np.zeros(0, np.int64)
                )
                self.bidirectional: NDArray[np.bool_] = (
                    store["bidirectional"][...].astype(np.bool_)
                    if "bidirectional" in store
                    else np.zeros(count, np.bool_)
                )
        except FileNotFoundError:
            raise VisualMicError(f"there is no frame store {path}; make it first") from None
        except (OSError, KeyError) as error:
            raise VisualMicError(
                f"cannot read frames from {path}: {_plain(error)}; delete the file and run again"
            ) from error

    def time_s(self) -> NDArray[np.float64]:
        """Time of every frame in seconds of real time since the first, ``(T,)``."""
        return self._time_s.copy()

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield consecutive batches ``(B, H, W)``; each is valid until the next.

        Parameters
        ----------
        batch_frames : int, optional
            Frames in a batch; about `BATCH_BYTES` in whole chunks by default.

        Raises
        ------
        VisualMicError
            If the frames cannot be read.
        """
        assert self.frame_count is not None
        try:
            with h5py.File(self.name, "r") as store:
                frames = store["frames"]
                if batch_frames is None:
                    chunk = frames.chunks[0] if frames.chunks else 1
                    size = self.height * self.width
                    batch_frames = chunk * max(1, BATCH_BYTES // (size * chunk))
                batch_frames = max(1, min(batch_frames, self.frame_count))
                buffer = np.empty((batch_frames, self.height, self.width), np.uint8)
                for begin in range(0, self.frame_count, batch_frames):
                    end = min(begin + batch_frames, self.frame_count)
                    frames.read_direct(buffer, np.s_[begin:end], np.s_[: end - begin])
                    yield buffer[: end - begin]
        except OSError as error:
            raise VisualMicError(
                f"cannot read frames from {self.name}: {_plain(error)}; delete the file and run"
                " again"
            ) from error


def _store_frames(
    store: NewStore,
    source: FrameSource,
    chunk: int,
    batch_frames: int,
    progress: Progress | None,
) -> int:
    shape = (source.height, source.width)
    frames = store.create_dataset(
        "frames",
        shape=(source.frame_count or 0, *shape),
        maxshape=(None, *shape),
        chunks=(chunk, *shape),
        dtype=np.uint8,
        # No fill before writing: every frame is written, or the file is thrown away.
        fillvalue=None,
    )
    done = 0
    for batch in source.batches(batch_frames):
        if done + len(batch) > frames.shape[0]:
            frames.resize(done + len(batch), axis=0)
        frames[done : done + len(batch)] = batch
        done += len(batch)
        store.check_disk()
        if progress is not None:
            progress.advance(len(batch))
    times = source.time_s()
    if not done == frames.shape[0] == times.size:
        raise VisualMicError(
            f"{source.name} gave {done} frames where {frames.shape[0]} were promised, with"
            f" {times.size} times; check the film"
        )
    store["time_s"] = times
    store["keyframes"] = np.asarray(getattr(source, "keyframes", np.zeros(0)), np.int64)
    store["bidirectional"] = np.asarray(
        getattr(source, "bidirectional", np.zeros(done, np.bool_)), np.bool_
    )
    store.attrs["frames"] = done
    store.attrs["capture_fps"] = source.capture_fps
    store.attrs["variable_frame_rate"] = bool(getattr(source, "variable_frame_rate", False))
    store.attrs["lossless"] = bool(getattr(source, "lossless", False))
    store.attrs["source"] = source.name
    return done


def _attribute(value: Any) -> Any:
    plain = isinstance(value, (bool, int, float, str, np.generic))
    return value if plain else json.dumps(value)


def _plain(error: BaseException) -> str:
    """Say in a few words what HDF5 says in a paragraph."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
