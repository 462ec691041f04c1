"""Frames held in memory, and rigid motion that is true to far below a thousandth of a pixel."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ArrayFrames:
    """A :class:`visualmic.film.source.FrameSource` over an array ``(T, H, W)``.

    Every batch is handed out in one buffer that the next batch overwrites, as a decoder does, so
    that a consumer which keeps a batch without a copy fails its test.
    """

    def __init__(self, frames: ArrayLike, fps: float, name: str = "frames in memory") -> None:
        self.frames = np.asarray(frames)
        self.name = name
        self.height, self.width = (int(size) for size in self.frames.shape[1:])
        self.capture_fps = float(fps)
        self.frame_count: int | None = len(self.frames)

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        size = batch_frames or 16
        buffer = np.empty((size, self.height, self.width), self.frames.dtype)
        for start in range(0, len(self.frames), size):
            batch = self.frames[start : start + size]
            buffer[: len(batch)] = batch
            yield buffer[: len(batch)]

    def time_s(self) -> NDArray[np.float64]:
        return np.arange(len(self.frames)) / self.capture_fps


def texture(
    height: int, width: int, seed: int = 0, period_px: float = 8.0, contrast: float = 40.0
) -> NDArray[np.float64]:
    """Smooth random texture around mid grey whose detail is about `period_px` across.

    It is band-limited below half the Nyquist frequency and wraps around at its edges, so that a
    Fourier shift moves it without error.
    """
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    band = np.exp(-((radius * period_px - 1.0) ** 2) / 0.3) * (radius < 0.25)
    pattern = np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) * band).real
    return 128.0 + contrast * pattern / pattern.std()


def shifted_frames(
    scene: NDArray[np.float64],
    displacement_px: ArrayLike,
    direction: Sequence[float] = (1.0, 0.0),
    noise_std: float = 0.0,
    seed: int = 0,
    quantise: bool = True,
) -> NDArray[np.uint8] | NDArray[np.float64]:
    """Frames of `scene` moved by a Fourier shift along `direction` (x, y), with sensor noise.

    With `quantise` the frames are 8-bit; noise of about half a grey level or more is what makes
    the quantisation harmless.
    """
    rng = np.random.default_rng(seed)
    displacement = np.asarray(displacement_px, float)
    fx = np.fft.fftfreq(scene.shape[1])[None, :]
    fy = np.fft.fftfreq(scene.shape[0])[:, None]
    spectrum = np.fft.fft2(scene)
    frames = np.empty((len(displacement), *scene.shape))
    for frame, amount in zip(frames, displacement, strict=True):
        phase = fx * amount * direction[0] + fy * amount * direction[1]
        frame[...] = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * phase)).real
    frames += noise_std * rng.standard_normal(frames.shape)
    if not quantise:
        return frames
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
