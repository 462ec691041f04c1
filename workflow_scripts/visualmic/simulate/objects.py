"""How the filmed objects vibrate: their modes, and what a sound makes of each.

A mode k is a second-order resonator with the transfer function from sound pressure to displacement

    H_k(f) = g_k f_k^2 / (f_k^2 - f^2 + 2 i zeta_k f_k f)

so far below its resonance it follows the sound (quasi-static, gain g_k), and far above it the
object's inertia holds it still. A rigid card has one mode whose resonance is infinitely high: it
follows the sound as it is. The displacement of the surface seen at pixel x is

    d(x, t) = sum_k q_k(t) phi_k(x),

with phi_k a smooth field of vectors whose largest length is 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.simulate.settings import SimulationSettings


@dataclass(frozen=True)
class Modes:
    """Vibration modes of one object.

    Attributes
    ----------
    frequency_hz : ndarray, float64, (K,)
        Resonance of each mode; infinite for a rigid mode.
    damping : ndarray, float64, (K,)
        Damping ratio.
    gain : ndarray, float64, (K,)
        Signed quasi-static gain.
    shapes : ndarray, float32, (K, 2, H, W)
        Displacement in x and y for a unit of the mode; the largest vector has length 1.
    """

    frequency_hz: NDArray[np.float64]
    damping: NDArray[np.float64]
    gain: NDArray[np.float64]
    shapes: NDArray[np.float32]

    def response(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Evaluate the transfer functions at `frequency_hz` (F,): complex, (K, F)."""
        ratio = frequency_hz[None, :] / self.frequency_hz[:, None]
        response = self.gain[:, None] / (1 - ratio**2 + 2j * self.damping[:, None] * ratio)
        return response.astype(np.complex128)


@dataclass(frozen=True)
class _Build:
    """Ranges that an object's modes are drawn from."""

    modes: int
    frequency_hz: tuple[float, float]
    damping: tuple[float, float]
    # Gain falls as frequency to this power: heavy, slow modes move most.
    gain_slope: float
    # How much the direction of motion turns over the frame, in radians.
    turning: float


BUILDS = {
    "crisp-packet": _Build(4, (130.0, 950.0), (0.06, 0.2), -0.4, 0.4),
    "plant-leaf": _Build(4, (70.0, 600.0), (0.08, 0.25), -0.5, 0.3),
    "foil": _Build(5, (180.0, 1300.0), (0.03, 0.12), -0.3, 0.6),
}


def make_modes(settings: SimulationSettings) -> Modes:
    """Draw the modes of the object of `settings`."""
    rng = np.random.default_rng([settings.seed, 3])
    size = (settings.height, settings.width)
    if settings.object == "rigid":
        return _rigid_mode(settings, rng, size)
    build = BUILDS[settings.object]
    count = build.modes if settings.modes is None else settings.modes
    low, high = np.log(build.frequency_hz)
    # One mode in each equal part of the range, so that the whole band of the object is used.
    place = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / count
    frequency = np.exp(low + (high - low) * place)
    gain = (frequency / frequency[0]) ** build.gain_slope * rng.uniform(0.7, 1.3, count)
    gain *= rng.choice([-1.0, 1.0], count)
    shapes = np.stack([_mode_shape(number, build.turning, size, rng) for number in range(count)])
    return Modes(frequency, rng.uniform(*build.damping, count), gain, shapes)


def _rigid_mode(
    settings: SimulationSettings, rng: np.random.Generator, size: tuple[int, int]
) -> Modes:
    drawn = rng.uniform(0, np.pi)
    given = settings.direction_deg
    direction = drawn if given is None else float(np.deg2rad(given))
    shapes = np.empty((1, 2, *size), dtype=np.float32)
    shapes[0, 0], shapes[0, 1] = np.cos(direction), np.sin(direction)
    return Modes(np.array([np.inf]), np.array([1.0]), np.array([1.0]), shapes)


def _mode_shape(
    number: int, turning: float, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Make one smooth field of vectors: a warped standing wave with about `number` nodal lines."""
    height, width = size
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")

    def gentle() -> NDArray[np.float64]:
        turn, shift = rng.uniform(0, 2 * np.pi, 2)
        return np.sin(np.pi * (np.cos(turn) * x + np.sin(turn) * y) + shift)

    lines_x = int(rng.integers(0, number + 1))
    lines_y = number - lines_x
    warped_x, warped_y = x + 0.12 * gentle(), y + 0.12 * gentle()
    shift_x, shift_y = rng.uniform(-0.2, 0.2, 2)
    wave = np.cos(np.pi * (lines_x * warped_x + shift_x))
    wave = wave * np.cos(np.pi * (lines_y * warped_y + shift_y)) * (1 + 0.3 * gentle())
    direction = rng.uniform(0, 2 * np.pi) + turning * gentle()
    shape = np.stack([wave * np.cos(direction), wave * np.sin(direction)])
    return (shape / np.abs(wave).max()).astype(np.float32)
