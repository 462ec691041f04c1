"""Local motion signals: what a method measured before it is combined into one sound."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError


@dataclass
class MotionSignals:
    """Motion over time in many channels (subbands, or blocks and directions), with their noise.

    Attributes
    ----------
    method : str
        The method that measured them.
    capture_fps : float
        Samples per second of real time, in hertz.
    signals : ndarray or h5py.Dataset, float32, (T, C)
        Motion in pixels, or what the method's documentation says; zero where a channel is dead.
    noise_std : ndarray, float32, (C,)
        Standard deviation that sensor noise alone gives each channel, in the unit of `signals`;
        NaN where the method does not know it.
    arrays : dict of str to ndarray
        What else the method's combination step needs (positions, weights, frame quality, ...).
    attributes : dict
        Settings and facts, JSON-serialisable.
    """

    method: str
    capture_fps: float
    signals: NDArray[np.float32] | h5py.Dataset
    noise_std: NDArray[np.float32]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


def save_motion(path: str | os.PathLike[str], motion: MotionSignals) -> None:
    """Write `motion` to an HDF5 file, which appears whole or not at all."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as store:
        shape = motion.signals.shape
        signals = store.create_dataset("signals", shape, np.float32)
        for start in range(0, shape[0], 65536):
            signals[start : start + 65536] = motion.signals[start : start + 65536]
        store["noise_std"] = motion.noise_std
        for name, array in motion.arrays.items():
            store[f"arrays/{name}"] = array
        store.attrs["method"] = motion.method
        store.attrs["capture_fps"] = motion.capture_fps
        store.attrs["frames"] = motion.signals.shape[0]
        store.attrs["attributes"] = json.dumps(motion.attributes)
        store.attrs["complete"] = True


def load_motion(path: str | os.PathLike[str]) -> MotionSignals:
    """Read what :func:`save_motion` wrote.

    Raises
    ------
    VisualMicError
        If the file is missing, not HDF5, incomplete, or its shape disagrees with its attributes.
    """
    try:
        with h5py.File(path, "r") as store:
            if not store.attrs.get("complete", False):
                raise VisualMicError(f"{path} is not complete: delete it and run again")
            signals = store["signals"][...]
            if signals.shape[0] != store.attrs["frames"]:
                raise VisualMicError(
                    f"{path} holds {signals.shape[0]} frames but says {store.attrs['frames']}:"
                    " delete it and run again"
                )
            arrays = {name: item[...] for name, item in store.get("arrays", {}).items()}
            return MotionSignals(
                method=str(store.attrs["method"]),
                capture_fps=float(store.attrs["capture_fps"]),
                signals=signals,
                noise_std=store["noise_std"][...],
                arrays=arrays,
                attributes=json.loads(store.attrs["attributes"]),
            )
    except (OSError, KeyError) as error:
        raise VisualMicError(
            f"cannot read motion signals from {path}: {error}; delete the file and run again"
        ) from error


class SignalSpool:
    """Collect signals batch by batch, in memory or in an HDF5 file.

    Parameters
    ----------
    channels : int
        Width of a row.
    path : Path or None
        Keep the rows in this file, so that memory does not grow with the film; None for memory.
    """

    _ROWS = 1024

    def __init__(self, channels: int, path: Path | None) -> None:
        self._channels = channels
        self._pending: list[NDArray[np.float32]] = []
        self._count = 0
        self._dataset: h5py.Dataset | None = None
        if path is not None:
            self._dataset = h5py.File(path, "w").create_dataset(
                "signals",
                (0, channels),
                np.float32,
                maxshape=(None, channels),
                chunks=(self._ROWS, max(1, channels)),
            )

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add rows (B, channels)."""
        self._pending.append(rows)
        self._count += len(rows)
        if self._dataset is not None and self._count >= self._ROWS:
            self._flush(self._dataset)

    def result(self) -> "NDArray[np.float32] | h5py.Dataset":
        """All rows (T, channels): an array, or the data set of the open file."""
        if self._dataset is None:
            return np.concatenate(self._pending)
        self._flush(self._dataset)
        return self._dataset

    def _flush(self, dataset: h5py.Dataset) -> None:
        if self._pending:
            start = dataset.shape[0]
            dataset.resize(start + self._count, axis=0)
            dataset[start:] = np.concatenate(self._pending)
            self._pending, self._count = [], 0
