"""A simulated film in memory: object, sound and camera put together, and the truth about them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from visualmic.simulate.camera import Camera
from visualmic.simulate.objects import make_modes
from visualmic.simulate.render import Renderer
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound, make_sound
from visualmic.simulate.textures import make_texture
from visualmic.simulate.truth import Truth
from visualmic.simulate.vibration import Vibration

BATCH_PIXELS = 4_000_000
# Moments within the exposure at which the displacement's mean is taken (Gauss-Legendre).
MEAN_MOMENTS = 8
# Mean square excursion within an exposure, in px^2, below which one picture at the mean
# displacement is within 2e-5 px of the exposure's true mean picture.
STILL_ENOUGH = 2e-5
# Moments drawn for an exposure in which the displacement leaves its mean by up to so many pixels.
MOMENTS = ((0.15, 4), (0.5, 6), (1.2, 8), (3.0, 14), (np.inf, 24))
CHUNK = 1024


class Scene:
    """Frames of a simulated recording without a file; a frame source like a film.

    Parameters
    ----------
    settings : SimulationSettings
        What is filmed and how.
    sound : Sound, optional
        What shakes the object, instead of the sound that `settings` names.

    Attributes
    ----------
    name : str
        What to call it in messages.
    height, width, frame_count : int
        Size of a frame and number of frames.
    capture_fps : float
        Frames per second.
    truth : Truth
        Sound, displacement, modes and noise, exactly as filmed.

    Examples
    --------
    >>> scene = Scene(SimulationSettings(object="rigid", seconds=0.01, width=32, height=32))
    >>> [batch.shape for batch in scene.batches()]
    [(22, 32, 32)]
    >>> scene.truth.displacement.shape
    (22, 1)
    """

    def __init__(self, settings: SimulationSettings, sound: Sound | None = None) -> None:
        self.settings = settings
        self.name = f"simulated {settings.object}"
        self.height, self.width = settings.height, settings.width
        self.capture_fps = float(settings.fps)
        self._sound = make_sound(settings) if sound is None else sound
        seconds = settings.seconds
        if seconds is None:
            seconds = len(self._sound.samples) / self._sound.rate
        self.frame_count = max(round(seconds * settings.fps), 1)
        modes = make_modes(settings)
        band = (settings.sound_low_hz, settings.sound_top_hz)
        self._vibration = Vibration(self._sound, modes, band)
        self._camera = Camera(settings, self.frame_count)
        texture = make_texture(settings)
        time = self.time_s()
        mean = self._mean_displacement(time)
        peak = _peak_displacement(mean, modes.shapes)
        self._scale = settings.amplitude_px / peak if peak > 0 else 0.0
        mean *= self._scale
        offset = self._camera.position(time)
        self._moments, excursion = self._moments_needed(time, modes.shapes)
        reach = _reach(mean, offset, modes.shapes, excursion)
        self._renderer = Renderer(texture, modes.shapes, reach)
        self.truth = Truth(
            sound=self._vibration.sound_at(time),
            source=self._sound.samples,
            source_rate=self._sound.rate,
            capture_fps=self.capture_fps,
            displacement=mean,
            offset=offset,
            light=self._camera.light(time),
            mode_shapes=modes.shapes,
            mode_frequency_hz=modes.frequency_hz,
            mode_damping=modes.damping,
            mode_gain=modes.gain * self._scale,
            texture=texture,
            shading=self._camera.shading,
            dead_pixels=self._camera.dead_pixels,
            noise_sigma=settings.noise_sigma,
            electrons_per_level=settings.electrons_per_level,
            settings=settings.as_dict(),
        )

    def time_s(self) -> NDArray[np.float64]:
        """Time of the middle of every frame's exposure in seconds, ``(T,)``."""
        return np.arange(self.frame_count) / self.capture_fps

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the film in consecutive batches ``(B, H, W)`` of luma.

        A batch is valid until the next one is asked for. The frames do not depend on the length of
        the batches, and are the same every time.
        """
        if batch_frames is None:
            batch_frames = max(BATCH_PIXELS // (self.height * self.width), 1)
        batch_frames = min(batch_frames, self.frame_count)
        image = np.empty((batch_frames, self.height, self.width), dtype=np.float32)
        frames = np.empty(image.shape, dtype=np.uint8)
        self._camera.restart_noise()
        for start in range(0, self.frame_count, batch_frames):
            stop = min(start + batch_frames, self.frame_count)
            count = stop - start
            self.expose(start, image[:count])
            self._camera.read_out(image[:count], self.truth.light[start:stop], frames[:count])
            yield frames[:count]

    def expose(self, start: int, out: NDArray[np.float32]) -> None:
        """Fill `out` (B, H, W) with what the lens shows from frame `start` on, without noise."""
        settings = self.settings
        modes, offsets, frames, weights = [], [], [], []
        moments = self._moments[start : start + len(out)]
        for count in np.unique(moments):
            frame = np.flatnonzero(moments == count)
            if count == 1:
                mode = self.truth.displacement[start + frame]
                offset = self.truth.offset[start + frame]
                weight = np.ones(len(frame))
            else:
                place, share = _exposure_moments(int(count))
                time = ((start + frame)[:, None] + settings.exposure * place) / self.capture_fps
                weight, frame = np.tile(share, len(frame)), np.repeat(frame, count)
                mode = self._scale * self._vibration.modes_at(time).reshape(len(frame), -1)
                offset = self._camera.position(time).reshape(-1, 2)
            modes.append(mode)
            offsets.append(offset)
            frames.append(frame)
            weights.append(weight)
        self._renderer.render(
            np.concatenate(modes),
            np.concatenate(offsets),
            np.concatenate(frames),
            np.concatenate(weights),
            out,
        )

    def _mean_displacement(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of each mode over each exposure, not yet scaled: (T, K)."""
        place, share = _exposure_moments(MEAN_MOMENTS)
        exposure_s = self.settings.exposure / self.capture_fps
        return sum(
            weight * self._vibration.modes_at(time + exposure_s * at)
            for at, weight in zip(place, share, strict=True)
        )

    def _moments_needed(
        self, time: NDArray[np.float64], shapes: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], float]:
        """How many moments within each exposure are drawn, and the largest excursion in pixels."""
        place, share = _exposure_moments(MEAN_MOMENTS)
        exposure_s = self.settings.exposure / self.capture_fps
        probes = _probes(shapes, 8)
        needed = np.ones(len(time), dtype=np.int64)
        largest = 0.0
        limits, counts = (np.array(column) for column in zip(*MOMENTS, strict=True))
        for start in range(0, len(time), CHUNK):
            part = slice(start, start + CHUNK)
            moments = time[part, None] + exposure_s * place
            modes = self._scale * self._vibration.modes_at(moments)
            moved = np.einsum("tmk,kap->tmap", modes, probes)
            moved += self._camera.position(moments)[..., None]
            moved -= np.einsum("m,tmap->tap", share, moved)[:, None]
            square = (moved**2).sum(axis=2)
            excursion = np.sqrt(square.max(axis=(1, 2)))
            several = counts[np.searchsorted(limits, excursion)].astype(np.int64)
            still = np.einsum("m,tmp->tp", share, square).max(axis=1) < STILL_ENOUGH
            needed[part] = np.where(still, 1, several)
            largest = max(largest, float(excursion.max()))
        return needed, largest


def simulate_frames(
    settings: SimulationSettings, sound: Sound | None = None
) -> tuple[Iterator[NDArray[np.uint8]], Truth]:
    """Film in memory: give the frames in batches ``(B, H, W)``, and the truth about them."""
    scene = Scene(settings, sound)
    return scene.batches(), scene.truth


def _exposure_moments(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre moments in [-1/2, 1/2] of the exposure, and their weights, which sum to 1."""
    place, weight = np.polynomial.legendre.leggauss(count)
    return place / 2, weight / 2


def _probes(shapes: NDArray[np.float32], a_side: int) -> NDArray[np.float64]:
    """Mode shapes at a grid of pixels, (K, 2, P): enough of them, because the shapes are smooth."""
    if np.all(shapes == shapes[:, :, :1, :1]):
        return shapes[:, :, 0, :1].astype(np.float64)
    rows = np.unique(np.linspace(0, shapes.shape[2] - 1, a_side).round().astype(int))
    columns = np.unique(np.linspace(0, shapes.shape[3] - 1, a_side).round().astype(int))
    chosen = shapes[:, :, rows][:, :, :, columns]
    return chosen.reshape(*shapes.shape[:2], -1).astype(np.float64)


def _peak_displacement(modes: NDArray[np.float64], shapes: NDArray[np.float32]) -> float:
    """Find the largest displacement of any pixel in any frame, in pixels."""
    probes = _probes(shapes, 48).astype(np.float32)
    largest = 0.0
    for start in range(0, len(modes), CHUNK):
        moved = np.tensordot(modes[start : start + CHUNK].astype(np.float32), probes, axes=1)
        largest = max(largest, float((moved[:, 0] ** 2 + moved[:, 1] ** 2).max()))
    return float(np.sqrt(largest))


def _reach(
    modes: NDArray[np.float64],
    offset: NDArray[np.float64],
    shapes: NDArray[np.float32],
    excursion: float,
) -> NDArray[np.float64]:
    """Find the least and greatest displacement in x and y, with a little to spare: (2, 2)."""
    probes = _probes(shapes, 48).astype(np.float32)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for start in range(0, len(modes), CHUNK):
        part = slice(start, start + CHUNK)
        moved = np.tensordot(modes[part].astype(np.float32), probes, axes=1)
        moved += offset[part, :, None].astype(np.float32)
        low = np.minimum(low, moved.min(axis=(0, 2)))
        high = np.maximum(high, moved.max(axis=(0, 2)))
    spare = 1.1 * excursion + 0.02 * (high - low) + 1e-4
    return np.stack([low - spare, high + spare], axis=1)
