"""Noise that the fit of the light gives all blocks alike, and light that is really there."""

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from channels import line_power, made_motion, noise
from numpy.typing import NDArray
from visualmic.motion.interference import Cleaner
from visualmic.motion.lucas_kanade import LucasKanadeSettings, measure_lucas_kanade
from visualmic.motion.signals import MotionSignals
from visualmic.motion.steady_light import unneeded_light

FPS = 1000.0
SIDE = 96
FRAMES = 1500
TIME = np.arange(FRAMES) / FPS


def lit_film(light: float | NDArray[np.float64] = 1.0) -> NDArray[np.uint8]:
    """A still surface, brighter to one side, so that gain and offset look like motion."""
    shade = np.add.outer(np.linspace(-30, 30, SIDE), np.linspace(-50, 50, SIDE))
    scene = 128 + 0.05 * (texture(SIDE, SIDE) - 128) + shade
    still = shifted_frames(scene, np.zeros(FRAMES), quantise=False)
    sensor = np.random.default_rng(3).standard_normal(still.shape)
    return np.rint(np.multiply.outer(np.ones(FRAMES) * light, scene) + sensor).astype(np.uint8)


def measured(film: NDArray[np.uint8], illumination: str = "global") -> MotionSignals:
    settings = LucasKanadeSettings(illumination=illumination)
    return measure_lucas_kanade(ArrayFrames(film, FPS), settings)


def along_the_light(motion: MotionSignals, channels: NDArray[np.floating]) -> float:
    """Largest variance of the channels in the plane of what gain and offset do to them."""
    plane = np.linalg.qr(np.asarray(motion.arrays["light_coupling"], np.float64).T)[0]
    return float(np.linalg.eigvalsh(np.cov((channels @ plane).T))[-1])


def test_under_a_steady_lamp_all_directions_have_the_noise_of_the_sensor() -> None:
    motion = measured(lit_film())
    assert along_the_light(motion, motion.signals) > 2.0
    assert along_the_light(motion, Cleaner(motion).rows(0, FRAMES)) == pytest.approx(1, abs=0.15)


def test_the_sensor_noise_of_gain_and_offset_is_known() -> None:
    motion = measured(lit_film())
    for name, variance in zip(("gain", "offset"), motion.attributes["light_variance"], strict=True):
        assert np.var(motion.arrays[name]) == pytest.approx(variance, rel=0.15)


def test_a_lamp_that_flickers_and_drifts_is_still_taken_out() -> None:
    lamp = 1 + 0.02 * np.sin(2 * np.pi * 100 * TIME) + 0.1 * TIME
    motion = measured(lit_film(lamp))
    found = Cleaner(motion).rows(0, FRAMES)
    for line_hz in (1.0, 100.0):
        assert line_power(found, line_hz, FPS).mean() < 1.5
    untouched = measured(lit_film(lamp), "none")
    assert line_power(untouched.signals, 100.0, FPS).mean() > 100
    # Where the lamp has no line, what was fitted was noise.
    gain = motion.arrays["gain"]
    kept = gain - unneeded_light(motion)[0][:, 0]
    window = np.hanning(FRAMES)
    before, after = (np.abs(np.fft.rfft(one * window)[450:]) ** 2 for one in (gain, kept))
    assert after.sum() < 0.1 * before.sum()


def test_what_light_takes_from_the_blocks_is_what_it_couples_to() -> None:
    # Every fourth row, those that the light is fitted to, is brighter than the others.
    film = lit_film()[:300].astype(np.int64)
    film[:, ::4] += 40
    film = np.clip(film, 0, 255).astype(np.uint8)
    kept, taken = measured(film, "none"), measured(film)
    light = np.column_stack([taken.arrays[name] for name in ("gain", "offset")])
    expected = light @ taken.arrays["light_coupling"]
    difference = np.asarray(taken.signals) - np.asarray(kept.signals)
    difference -= difference.mean(axis=0)
    expected -= expected.mean(axis=0)
    assert np.abs(expected).max() > 1
    error = np.std(difference - expected) / np.std(expected)
    assert error < 0.1


@pytest.mark.parametrize(
    ("strength", "trembles"), [(4.0, 0.25), (0.3, 1.0)], ids=["light that wanders", "codec"]
)
def test_what_is_given_back_is_what_the_sensor_explains(strength: float, trembles: float) -> None:
    motion = made_motion(noise(4000), FPS)
    light = np.sqrt(strength) * np.random.default_rng(2).standard_normal((4000, 2))
    # A lamp's line that would be lost in the noise of the sensor, but not in that of the codec.
    light[:, 0] += 0.2 * np.sin(2 * np.pi * 100 * np.arange(4000) / FPS)
    motion.arrays["gain"], motion.arrays["offset"] = light.T
    motion.arrays["light_coupling"] = np.ones((2, 128), np.float32)
    motion.attributes["light_variance"] = [1.0, 1.0]
    given_back = unneeded_light(motion)[0]
    # Of a light that wanders everywhere what stands above the sensor's noise is light; a codec
    # that smooths the noise leaves no more of it.
    assert np.std(given_back) / np.sqrt(strength) == pytest.approx(trembles, abs=0.12)
    before, after = (line_power(one, 100.0, FPS)[0] for one in (light, light - given_back))
    assert after > 0.4 * before


@pytest.mark.parametrize("illumination", ["local", "none"])
def test_where_no_light_was_taken_out_of_the_frame_none_is_given_back(illumination: str) -> None:
    motion = measured(lit_film()[:200], illumination)
    assert unneeded_light(motion) is None


def test_channels_that_came_without_their_light_are_left_as_they_are() -> None:
    assert unneeded_light(made_motion(noise(400), FPS)) is None
