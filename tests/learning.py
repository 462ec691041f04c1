"""Small recordings to learn from: frames of a card that a known sound moves."""

from pathlib import Path

import numpy as np
from arrays import ArrayFrames
from visualmic.film.frames import StoredFrames, write_frames
from visualmic.learn.footage import Footage

FPS = 500.0
SIZE = 32


def moved_card(
    frames: int, seed: int = 0, amplitude_px: float = 0.1, noise: float = 0.5, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a smooth texture that moves in x by the sound, and the sound, in [-1, 1]."""
    random = np.random.default_rng(seed)
    waves = random.uniform(-0.9, 0.9, (12, 2))
    phases = random.uniform(0, 2 * np.pi, 12)
    sound = np.convolve(random.standard_normal(frames + 4), [1, 2, 3, 2, 1], "valid")
    sound /= np.abs(sound).max()
    y, x = np.mgrid[:size, :size]
    picture = np.zeros((frames, size, size))
    for (across, down), phase in zip(waves, phases, strict=True):
        shifted = x[None] - amplitude_px * sound[:, None, None]
        picture += np.sin(across * shifted + down * y[None] + phase)
    picture = 128 + 12 * picture + noise * random.standard_normal(picture.shape)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8), sound


def store(path: Path, frames: np.ndarray, fps: float = FPS) -> StoredFrames:
    """Write frames into a store."""
    write_frames(ArrayFrames(frames, fps), path)
    return StoredFrames(path)


def footage(
    folder: Path, frames: int, seed: int = 0, name: str = "card", **settings: float
) -> Footage:
    """A recording whose classical method heard the sound with a little noise."""
    pictures, sound = moved_card(frames, seed, **settings)
    heard = sound + 0.1 * np.random.default_rng(seed + 1).standard_normal(frames)
    return Footage(name, store(folder / f"{name}.h5", pictures), 0.4 * heard, sound)
