"""Local motion signals: what a method measured before it is combined into one sound."""

import json
import os
from dataclasses import dataclass, field
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
    signals : ndarray, float32, (T, C)
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
    signals: NDArray[np.float32]
    noise_std: NDArray[np.float32]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


def save_motion(path: str | os.PathLike[str], motion: MotionSignals) -> None:
    """Write `motion` to an HDF5 file, which appears whole or not at all."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as store:
        store["signals"] = motion.signals
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
