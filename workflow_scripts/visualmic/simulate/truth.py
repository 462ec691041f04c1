"""What really happened in a simulated recording, and the file it is kept in."""

import json
import os
from dataclasses import dataclass, field, fields
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.simulate.objects import Modes
from visualmic.simulate.textures import MARGIN, spectral_gradient


@dataclass
class Truth:
    """Sound, motion, light and noise of a simulated recording.

    The frame without noise is ``light[t] shading(x) mean_t I(x - d(x, t))`` with the texture I,
    ``d(x, t) = offset(t) + sum_k q_k(t) phi_k(x)``, and the mean taken over the exposure.

    Attributes
    ----------
    sound : ndarray, float64, (T,)
        The sound that drove the object (limited to the driving band) at the time of each frame.
    source : ndarray, float64, (N,)
        The sound as it came, in [-1, 1].
    source_rate : int
        Its samples per second.
    capture_fps : float
        Frames per second.
    displacement : ndarray, float64, (T, K)
        Mean of each mode q_k over each exposure, in pixels.
    offset : ndarray, float64, (T, 2)
        Shift of the whole picture by shake and drift, in x and y, in pixels.
    light : ndarray, float64, (T,)
        The lamp; 1 without flicker.
    mode_shapes : ndarray, float32, (K, 2, H, W)
        Mode shapes phi_k in x and y; the longest vector of each is 1.
    mode_frequency_hz, mode_damping, mode_gain : ndarray, float64, (K,)
        Transfer functions from sound to pixels; see :mod:`visualmic.simulate.objects`.
    texture : ndarray, float64, (Hp, Wp)
        The texture I, one period; the frame at rest begins :data:`MARGIN` pixels inside.
    shading : ndarray, float32, (H, W)
        Vignetting.
    dead_pixels : ndarray, int64, (N,)
        Pixels that always read the same, as places in the flattened frame.
    noise_sigma : float
        Standard deviation of the read noise in grey levels.
    electrons_per_level : float or None
        Photo-electrons per grey level; None is no shot noise.
    settings : dict
        The settings of the simulation.
    """

    sound: NDArray[np.float64]
    source: NDArray[np.float64]
    source_rate: int
    capture_fps: float
    displacement: NDArray[np.float64]
    offset: NDArray[np.float64]
    light: NDArray[np.float64]
    mode_shapes: NDArray[np.float32]
    mode_frequency_hz: NDArray[np.float64]
    mode_damping: NDArray[np.float64]
    mode_gain: NDArray[np.float64]
    texture: NDArray[np.float64]
    shading: NDArray[np.float32]
    dead_pixels: NDArray[np.int64]
    noise_sigma: float
    electrons_per_level: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def reference_image(self) -> NDArray[np.float64]:
        """The frame at rest, without noise, rounding or flicker: (H, W) in grey levels."""
        return self._in_frame(self.texture) * self.shading

    @property
    def gradient(self) -> NDArray[np.float64]:
        """Exact derivative of the frame at rest in x and y: (2, H, W) in grey levels a pixel."""
        slopes = spectral_gradient(self.texture)
        return np.stack([self._in_frame(slope) * self.shading for slope in slopes])

    @property
    def noise_variance(self) -> NDArray[np.float64]:
        """Variance of each pixel at rest, (H, W): read noise, shot noise and rounding (1/12)."""
        image = self.reference_image
        variance = np.full(image.shape, self.noise_sigma**2 + 1 / 12)
        if self.electrons_per_level is not None:
            variance += np.clip(image, 0, None) / self.electrons_per_level
        return variance

    @property
    def peak_displacement_px(self) -> float:
        """Largest displacement that the sound caused, in pixels."""
        return float(self.settings.get("amplitude_px", np.nan))

    @property
    def modes(self) -> Modes:
        """The object's modes, with gains from sound to pixels."""
        return Modes(self.mode_frequency_hz, self.mode_damping, self.mode_gain, self.mode_shapes)

    def _in_frame(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        height, width = self.shading.shape
        return image[MARGIN : MARGIN + height, MARGIN : MARGIN + width]


_LARGE = {"mode_shapes", "texture", "shading"}
_ARRAYS = tuple(
    item.name
    for item in fields(Truth)
    if item.name
    not in {"source_rate", "capture_fps", "noise_sigma", "electrons_per_level", "settings"}
)


def save_truth(path: str | os.PathLike[str], truth: Truth) -> None:
    """Write `truth` to an HDF5 file, which appears whole or not at all."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as store:
        for name in _ARRAYS:
            packing = {"compression": "gzip", "compression_opts": 2} if name in _LARGE else {}
            store.create_dataset(name, data=getattr(truth, name), **packing)
        store["reference_image"] = truth.reference_image
        store.attrs["source_rate"] = truth.source_rate
        store.attrs["capture_fps"] = truth.capture_fps
        store.attrs["noise_sigma"] = truth.noise_sigma
        if truth.electrons_per_level is not None:
            store.attrs["electrons_per_level"] = truth.electrons_per_level
        store.attrs["rms_displacement_px"] = np.sqrt(np.mean(truth.displacement**2, axis=0))
        store.attrs["peak_displacement_px"] = truth.peak_displacement_px
        store.attrs["frames"] = len(truth.sound)
        store.attrs["settings"] = json.dumps(truth.settings)
        store.attrs["complete"] = True


def load_truth(path: str | os.PathLike[str]) -> Truth:
    """Read what :func:`save_truth` wrote.

    Raises
    ------
    VisualMicError
        If the file is missing, is no truth file, or is not complete.
    """
    try:
        with h5py.File(path, "r") as store:
            if not store.attrs.get("complete", False):
                raise VisualMicError(f"{path} is not complete: delete it and simulate again")
            arrays = {name: store[name][...] for name in _ARRAYS}
            electrons = store.attrs.get("electrons_per_level")
            truth = Truth(
                **arrays,
                source_rate=int(store.attrs["source_rate"]),
                capture_fps=float(store.attrs["capture_fps"]),
                noise_sigma=float(store.attrs["noise_sigma"]),
                electrons_per_level=None if electrons is None else float(electrons),
                settings=json.loads(store.attrs["settings"]),
            )
            frames = int(store.attrs["frames"])
    except (OSError, KeyError) as error:
        raise VisualMicError(
            f"cannot read the truth of a simulation from {path}: {error}; simulate again"
        ) from error
    if len(truth.sound) != frames or len(truth.displacement) != frames:
        raise VisualMicError(f"{path} does not hold its {frames} frames: simulate again")
    return truth
