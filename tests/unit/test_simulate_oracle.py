"""The oracle meets the Cramer-Rao bound, which is checked against cases known by hand."""

import numpy as np
import pytest
from visualmic.errors import VisualMicError
from visualmic.simulate.oracle import (
    combine_modes,
    cramer_rao_std,
    mode_cramer_rao_std,
    oracle_modes,
    oracle_signal,
)
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings

SMALL = {"width": 64, "height": 64, "seconds": 0.4, "fps": 1000.0, "sound": "tune"}


@pytest.mark.parametrize(
    "changes",
    [
        {"object": "rigid", "amplitude_px": 0.002},
        {"object": "rigid", "amplitude_px": 0.1, "contrast": 0.3},
        {"object": "rigid", "amplitude_px": 1.2},
        {"object": "foil", "modes": 3},
        {"object": "crisp-packet", "shake_px": 0.4, "flicker": 0.01},
        {"object": "plant-leaf", "electrons_per_level": 30.0, "dead_pixels": 9, "vignetting": 0.4},
    ],
)
def test_the_oracle_reaches_the_bound(changes):
    scene = Scene(SimulationSettings(**SMALL, **changes))
    error = oracle_modes(scene, scene.truth) - scene.truth.displacement
    bound = mode_cramer_rao_std(scene.truth)
    # 400 frames know a standard deviation to 3.5 %.
    np.testing.assert_allclose(error.std(axis=0) / bound, 1, atol=0.14)
    assert np.all(np.abs(error.mean(axis=0)) < 4 * bound / np.sqrt(len(error)))


def test_an_oracle_that_does_not_know_the_camera_pays_for_it():
    settings = SimulationSettings(**SMALL, shake_px=0.4, flicker=0.01)
    scene = Scene(settings)
    known = oracle_modes(scene, scene.truth) - scene.truth.displacement
    unknown = oracle_modes(scene, scene.truth, camera_known=False) - scene.truth.displacement
    assert np.all(unknown.std(axis=0) > 0.97 * known.std(axis=0))
    assert unknown.std() > 1.2 * known.std()
    assert unknown.std() < 0.01


def test_the_oracle_hears_the_sound_of_a_flexing_object():
    scene = Scene(SimulationSettings(**{**SMALL, "seconds": 1.0}, noise_sigma=0.3))
    heard = oracle_signal(scene, scene.truth)
    assert np.corrcoef(heard, scene.truth.sound)[0, 1] > 0.97


def test_without_noise_the_modes_give_back_the_sound():
    truth = Scene(SimulationSettings(**{**SMALL, "seconds": 1.0})).truth
    rng = np.random.default_rng(0)
    modes = truth.displacement + 1e-7 * rng.standard_normal(truth.displacement.shape)
    error = combine_modes(modes, truth) - truth.sound
    # Only the ends differ: what rings on after the last frame is not in the film.
    assert np.std(error[50:-50]) < 0.03 * np.std(truth.sound)


def test_the_bound_for_a_sinusoid_is_the_textbook_one():
    phase = 2 * np.pi * np.arange(64) / 8
    amplitude, sigma = 20.0, 1.5
    slope = np.tile(amplitude * 2 * np.pi / 8 * np.cos(phase), (64, 1))
    gradient = np.stack([slope, slope.T])
    expected = sigma / (amplitude * 2 * np.pi / 8 * np.sqrt(64 * 64 / 2))
    np.testing.assert_allclose(cramer_rao_std(gradient, sigma**2), expected, rtol=1e-9)
    assert cramer_rao_std(gradient, sigma**2, 90.0) == pytest.approx(expected)


def test_a_truth_of_another_film_is_refused():
    scene = Scene(SimulationSettings(**SMALL))
    other = Scene(SimulationSettings(**{**SMALL, "width": 48}))
    longer = Scene(SimulationSettings(**{**SMALL, "seconds": 0.5}))
    with pytest.raises(VisualMicError, match="give the truth of this film"):
        oracle_modes(scene, other.truth)
    with pytest.raises(VisualMicError, match="another number of frames"):
        oracle_modes(longer, scene.truth)
    with pytest.raises(VisualMicError, match="another number of frames"):
        oracle_modes(scene, longer.truth)
