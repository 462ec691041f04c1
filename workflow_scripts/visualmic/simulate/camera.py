"""The camera: how it shakes, what light it gets, and what its sensor makes of that light.

The shutter is global: all pixels of a frame are exposed together, for `exposure` of the frame
interval, centred on the frame's time n / fps.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from visualmic.compiled import compiled
from visualmic.simulate.settings import SimulationSettings

# Share of the lamp's second and third harmonic in its flicker, as in incandescent and LED lamps.
LAMP_HARMONICS = (1.0, 0.3, 0.1)
# Mains frequency wanders by about this share of itself from one film to the next.
MAINS_SPREAD = 2e-4
SHAKE_COMPONENTS = 64


def _normal_table() -> NDArray[np.float32]:
    """Equally likely values of a standard normal variable, one for each 16-bit number.

    Drawing from it is several times faster than from the distribution itself. It ends at 4.3
    standard deviations; its variance is made exactly 1.
    """
    values = ndtri((np.arange(65_536) + 0.5) / 65_536)
    return (values / values.std()).astype(np.float32)


NORMAL = _normal_table()


class Camera:
    """One camera, held in place for one film.

    Parameters
    ----------
    settings : SimulationSettings
        All that concerns camera, lamp and sensor.
    frame_count : int
        Frames in the film, over which shake has the root mean square asked for.
    """

    def __init__(self, settings: SimulationSettings, frame_count: int) -> None:
        self._settings = settings
        rng = np.random.default_rng([settings.seed, 4])
        self._lamp_hz = 2 * settings.mains_hz * (1 + MAINS_SPREAD * rng.standard_normal())
        self._lamp_phase = rng.uniform(0, 2 * np.pi, len(LAMP_HARMONICS))
        lowest = min(0.3, settings.shake_hz / 2)
        self._shake_hz = np.exp(
            rng.uniform(np.log(lowest), np.log(settings.shake_hz), (2, SHAKE_COMPONENTS))
        )
        self._shake_phase = rng.uniform(0, 2 * np.pi, (2, SHAKE_COMPONENTS))
        turn = rng.uniform(0, 2 * np.pi)
        self._drift_per_s = (
            settings.drift_px
            * settings.fps
            / max(frame_count - 1, 1)
            * np.array([np.cos(turn), np.sin(turn)])
        )
        self._shake_scale, self._shake_mean = np.ones(2), np.zeros(2)
        if settings.shake_px > 0:
            path = self._wander(np.arange(frame_count) / settings.fps)
            self._shake_mean = path.mean(axis=0)
            spread = path.std(axis=0)
            self._shake_scale = settings.shake_px / np.where(spread > 0, spread, 1.0)
        self.shading = _vignetting(settings)
        self.dead_pixels, self._dead_level = _dead_pixels(settings, rng)
        self._noise = np.random.SFC64([settings.seed, 5])

    def position(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shift of the picture by shake and drift, in x and y as a new last axis, in pixels."""
        drift = time_s[..., None] * self._drift_per_s
        if self._settings.shake_px == 0:
            return drift
        return drift + (self._wander(time_s) - self._shake_mean) * self._shake_scale

    def _wander(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        path = np.zeros((*time_s.shape, 2))
        for axis in range(2):
            for hertz, phase in zip(self._shake_hz[axis], self._shake_phase[axis], strict=True):
                path[..., axis] += np.sin(2 * np.pi * hertz * time_s + phase) / np.sqrt(hertz)
        return path

    def light(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Light that each frame gets, averaged over its exposure; 1 without flicker.

        A component at f is weakened by the exposure T_e as sin(pi f T_e) / (pi f T_e).
        """
        exposure_s = self._settings.exposure / self._settings.fps
        light = np.ones_like(time_s)
        for number, (share, phase) in enumerate(
            zip(LAMP_HARMONICS, self._lamp_phase, strict=True), start=1
        ):
            hertz = number * self._lamp_hz
            seen = self._settings.flicker * share * np.sinc(hertz * exposure_s)
            light += seen * np.cos(2 * np.pi * hertz * time_s + phase)
        return light

    def noise_variance(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of a pixel's value at each grey level of `image`, rounding left out."""
        settings = self._settings
        variance = np.full(image.shape, settings.noise_sigma**2)
        if settings.electrons_per_level is not None:
            variance += np.clip(image, 0, None) / settings.electrons_per_level
        return variance

    def _draw(self, frames: int) -> NDArray[np.uint16]:
        """Uniform 16-bit draws, a row a frame, whole 64-bit words each: the same in any batches."""
        words = -(-self._settings.height * self._settings.width // 4)
        raw = self._noise.random_raw(frames * words)
        return np.asarray(raw, dtype=np.uint64).view(np.uint16).reshape(frames, 4 * words)

    def restart_noise(self) -> None:
        """Begin the sensor noise anew, so that the first frame is the first again."""
        self._noise = np.random.SFC64([self._settings.seed, 5])

    def read_out(
        self, image: NDArray[np.float32], light: NDArray[np.float64], out: NDArray[np.uint8]
    ) -> None:
        """Turn light into numbers: lamp, vignetting, noise, saturation, 8 bits.

        Shot noise is drawn as a normal variable of the Poisson distribution's variance: with the
        hundreds of electrons a pixel holds the two cannot be told apart after rounding.

        Parameters
        ----------
        image : ndarray, float32, (B, H, W)
            What the lens throws on the sensor, in grey levels; used as working memory.
        light : ndarray, float64, (B,)
            The lamp, from :meth:`light`.
        out : ndarray, uint8, (B, H, W)
            The frames.
        """
        settings = self._settings
        electrons = settings.electrons_per_level
        noisy = settings.noise_sigma > 0 or electrons is not None
        draws = self._draw(len(image)) if noisy else np.zeros((len(image), 0), dtype=np.uint16)
        _read_out(
            image,
            light.astype(np.float32),
            self.shading,
            draws,
            NORMAL,
            np.float32(settings.noise_sigma**2),
            np.float32(0.0 if electrons is None else 1 / electrons),
            np.empty((2, image.shape[2]), np.float32),
            out,
        )
        if settings.dead_pixels:
            out.reshape(len(out), -1)[:, self.dead_pixels] = self._dead_level


def _vignetting(settings: SimulationSettings) -> NDArray[np.float32]:
    """Share of the light at each pixel: falls with the square of the distance from the centre."""
    y = np.linspace(-1, 1, settings.height)[:, None]
    x = np.linspace(-1, 1, settings.width)[None, :]
    return (1 - settings.vignetting * (x**2 + y**2) / 2).astype(np.float32)


def _dead_pixels(
    settings: SimulationSettings, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    total = settings.height * settings.width
    place = rng.choice(total, settings.dead_pixels, replace=False)
    level = rng.choice(np.array([0, 255, 40, 200], dtype=np.uint8), settings.dead_pixels)
    return place, level


@compiled("f4[3], f4[1], f4[2], u2[2], f4[1], f4, f4, f4[2], u1[3]")
def _read_out(
    image: NDArray[np.float32],
    light: NDArray[np.float32],
    shading: NDArray[np.float32],
    draws: NDArray[np.uint16],
    normal: NDArray[np.float32],
    read_variance: np.float32,
    shot_share: np.float32,
    room: NDArray[np.float32],
    out: NDArray[np.uint8],
) -> None:
    frames, height, width = image.shape
    zero, white = np.float32(0), np.float32(255)
    read_sigma = np.sqrt(read_variance)
    level, noise = room[0], room[1]
    noise[:] = zero
    for n in range(frames):
        lamp = light[n]
        for y in range(height):
            seen, shade, digits = image[n, y], shading[y], out[n, y]
            for x in range(width):
                level[x] = seen[x] * lamp * shade[x]
            if draws.shape[1]:
                drawn = draws[n, y * width : (y + 1) * width]
                for x in range(width):
                    noise[x] = normal[drawn[x]]
            if shot_share > zero:
                for x in range(width):
                    spread = np.sqrt(read_variance + max(level[x], zero) * shot_share)
                    level[x] += spread * noise[x]
            else:
                for x in range(width):
                    level[x] += read_sigma * noise[x]
            for x in range(width):
                digits[x] = np.uint8(min(max(np.rint(level[x]), zero), white))
