"""Lamp, shake, exposure and sensor against what physics says of each."""

import numpy as np
import pytest
from visualmic.simulate.camera import NORMAL, Camera
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings

STILL = {"amplitude_px": 0.0, "sound": "silence", "width": 48, "height": 40, "fps": 1000.0}


def film(**settings) -> np.ndarray:
    scene = Scene(SimulationSettings(**{**STILL, **settings}))
    return np.concatenate([batch.copy() for batch in scene.batches()])


def test_noise_has_the_variance_asked_for_and_is_white():
    frames = film(seconds=0.4, noise_sigma=2.0, contrast=0.0).astype(float) - 128
    assert frames.var() == pytest.approx(4 + 1 / 12, rel=0.01)
    for axis in range(3):
        left, right = np.delete(frames, 0, axis), np.delete(frames, -1, axis)
        assert abs((left * right).mean()) < 0.02 * frames.var()
    excess = (frames**4).mean() / frames.var() ** 2 - 3
    assert abs(excess) < 0.03


def test_shot_noise_grows_with_the_light():
    dark = film(seconds=0.2, noise_sigma=0.5, electrons_per_level=20.0, contrast=0, brightness=30)
    light = film(seconds=0.2, noise_sigma=0.5, electrons_per_level=20.0, contrast=0, brightness=200)
    assert dark.var() == pytest.approx(0.25 + 30 / 20 + 1 / 12, rel=0.02)
    assert light.var() == pytest.approx(0.25 + 200 / 20 + 1 / 12, rel=0.02)


def test_a_film_without_noise_or_motion_is_the_rounded_reference():
    scene = Scene(SimulationSettings(**STILL, seconds=0.01, noise_sigma=0.0))
    (frames,) = scene.batches()
    expected = np.rint(np.clip(scene.truth.reference_image, 0, 255))
    assert np.all(np.abs(frames - expected) <= 1)
    assert np.mean(frames != expected) < 1e-3


def test_bright_light_saturates():
    frames = film(seconds=0.01, brightness=230, contrast=2.0)
    assert np.mean(frames == 255) > 0.1


def test_dead_pixels_never_change():
    frames = film(seconds=0.1, dead_pixels=13, noise_sigma=3.0)
    assert np.count_nonzero(np.ptp(frames, axis=0) == 0) == 13


def test_vignetting_darkens_the_corners_only():
    frames = film(seconds=0.05, vignetting=0.5, contrast=0.0, noise_sigma=0.3).mean(axis=0)
    assert frames[20, 24] == pytest.approx(128, abs=1)
    assert frames[0, 0] == pytest.approx(64, abs=1)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_the_lamp_flickers_at_twice_the_mains(mains_hz):
    settings = SimulationSettings(**STILL, flicker=0.01, mains_hz=mains_hz, seconds=1.0)
    light = Camera(settings, 1000).light(np.arange(1000) / 1000)
    spectrum = np.abs(np.fft.rfft(light)) / 500
    assert np.argmax(spectrum[1:]) + 1 == 2 * mains_hz
    seen = 0.01 * np.sinc(2 * mains_hz * 0.5 / 1000)
    assert spectrum[round(2 * mains_hz)] == pytest.approx(seen, rel=0.02)
    assert spectrum[round(4 * mains_hz)] == pytest.approx(0.3 * seen, rel=0.2)


def test_flicker_of_the_frames_is_that_of_the_lamp():
    settings = SimulationSettings(**STILL, flicker=0.05, seconds=0.2, noise_sigma=0.5)
    scene = Scene(settings)
    brightness = np.concatenate([batch.mean(axis=(1, 2)) for batch in scene.batches()])
    np.testing.assert_allclose(brightness, 128 * scene.truth.light, atol=0.1)


def test_shake_has_the_size_asked_for_and_is_slow():
    settings = SimulationSettings(**STILL, shake_px=0.4, shake_hz=6.0, seconds=4.0)
    path = Camera(settings, 4000).position(np.arange(4000) / 1000)
    np.testing.assert_allclose(path.std(axis=0), 0.4, rtol=1e-6)
    power = np.abs(np.fft.rfft(path * np.hanning(4000)[:, None], axis=0)) ** 2
    hertz = np.fft.rfftfreq(4000, 1 / 1000)
    assert power[hertz > 8].sum() < 1e-6 * power.sum()


def test_drift_adds_up_over_the_film():
    settings = SimulationSettings(**STILL, drift_px=-2.0, seconds=1.0)
    path = Camera(settings, 1000).position(np.arange(1000) / 1000)
    assert np.hypot(*(path[-1] - path[0])) == pytest.approx(2.0)


def test_the_table_of_noise_is_normal():
    assert NORMAL.mean() == pytest.approx(0, abs=1e-6)
    assert NORMAL.std() == pytest.approx(1, abs=1e-6)
    for sigma, below in ((-2, 0.02275), (-1, 0.15866), (1, 0.84134), (2, 0.97725)):
        assert np.mean(sigma > NORMAL) == pytest.approx(below, abs=1e-4)
