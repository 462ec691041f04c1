"""Motion channels made directly, whose noise and content are known."""

from collections.abc import Sequence

import numpy as np
from arrays import texture
from numpy.typing import ArrayLike, NDArray
from visualmic.motion.reference import shifted_with_gradient
from visualmic.motion.signals import MotionSignals

SIDE = 128
BLOCK = 16


def made_motion(
    signals: ArrayLike,
    fps: float,
    keyframes: Sequence[int] = (),
    gain: ArrayLike | None = None,
) -> MotionSignals:
    """Whitened channels (T, 128) of 8 x 8 blocks of a texture, as if they had been measured."""
    channels = np.asarray(signals, np.float32)
    reference = np.rint(texture(SIDE, SIDE)).astype(np.uint8)
    _, slope_x, slope_y = shifted_with_gradient(reference.astype(np.float32), 0.0, 0.0)
    top, left = (part.ravel() for part in np.mgrid[0:SIDE:BLOCK, 0:SIDE:BLOCK])
    whitener = np.empty((len(top), 2, 2), np.float32)
    for block, (y, x) in enumerate(zip(top, left, strict=True)):
        inside = np.s_[y : y + BLOCK, x : x + BLOCK]
        slopes = np.stack([slope_x[inside].ravel(), slope_y[inside].ravel()])
        values, vectors = np.linalg.eigh(slopes @ slopes.T)
        whitener[block] = np.sqrt(values)[:, None] * vectors.T
    information = np.einsum("bij,bik->jk", whitener, whitener)
    return MotionSignals(
        method="lucas-kanade",
        capture_fps=fps,
        signals=channels,
        noise_std=np.ones(channels.shape[1], np.float32),
        arrays={
            "block_y": top.astype(np.int32),
            "block_x": left.astype(np.int32),
            "block_size": np.array([BLOCK, BLOCK], np.int32),
            "whitener": whitener,
            "reference": reference,
            "keyframes": np.asarray(keyframes, np.int64),
            "gain": np.zeros(len(channels)) if gain is None else np.asarray(gain),
            "residual": np.ones(len(channels)),
            "global_shift": np.zeros((len(channels), 2)),
        },
        attributes={
            "settings": {"illumination": "auto", "follow": True},
            "illumination": "global",
            "noise_read": 1.0,
            "noise_shot": 0.0,
            "cramer_rao_px": float(1 / np.sqrt(np.linalg.eigvalsh(information)[-1])),
            "unusable_fraction": 0.0,
        },
    )


def noise(frames: int, seed: int = 0) -> NDArray[np.float64]:
    """What sensor noise gives the channels of :func:`made_motion`."""
    return np.random.default_rng(seed).standard_normal((frames, 2 * (SIDE // BLOCK) ** 2))


def bending(motion_px: ArrayLike) -> NDArray[np.float64]:
    """Channels of an object that bends: displacement (T,) in pixels of a smooth field, in x."""
    motion = made_motion(np.zeros((1, 2 * (SIDE // BLOCK) ** 2)), 1.0)
    y, x = motion.arrays["block_y"] / SIDE, motion.arrays["block_x"] / SIDE
    shape = np.cos(2.0 * x + 0.5) * np.sin(1.0 + 2.5 * y)
    field = np.stack([shape, 0.3 * shape], axis=1)
    pattern = np.einsum("bij,bj->bi", motion.arrays["whitener"], field).ravel()
    return np.outer(np.asarray(motion_px), pattern)


def line_power(signals: ArrayLike, frequency_hz: float, fps: float) -> NDArray[np.float64]:
    """Power of every channel (T, C) at one frequency, over that of white noise of unit variance."""
    channels = np.asarray(signals, np.float64)
    window = np.hanning(len(channels) + 2)[1:-1]
    wave = window * np.exp(-2j * np.pi * frequency_hz * np.arange(len(channels)) / fps)
    return np.abs(wave @ channels) ** 2 / (window**2).sum()
