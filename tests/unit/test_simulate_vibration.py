"""Modal responses against their transfer functions, and interpolation between samples."""

import numpy as np
import pytest
from scipy.signal import lsim
from visualmic.simulate.objects import Modes, make_modes
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound
from visualmic.simulate.vibration import Vibration, band_window

RATE = 48_000


def modes_of(frequency, damping, gain) -> Modes:
    shapes = np.zeros((len(frequency), 2, 4, 4), dtype=np.float32)
    return Modes(np.array(frequency), np.array(damping), np.array(gain), shapes)


def test_a_mode_answers_a_tone_with_the_gain_and_phase_of_its_resonance():
    time = np.arange(RATE) / RATE
    sound = Sound(np.sin(2 * np.pi * 300 * time), RATE)
    modes = modes_of([400.0, 150.0, np.inf], [0.05, 0.1, 1.0], [1.0, -2.0, 0.5])
    moment = np.linspace(0.5, 0.6, 777)
    moved = Vibration(sound, modes, (50.0, 900.0)).modes_at(moment)
    for number, response in enumerate(modes.response(np.array([300.0]))[:, 0]):
        steady = np.imag(response * np.exp(2j * np.pi * 300 * moment))
        np.testing.assert_allclose(moved[:, number], steady, atol=2e-4 * abs(response))


def test_a_mode_answers_any_sound_as_its_equation_of_motion_says():
    rng = np.random.default_rng(3)
    slow = np.cumsum(rng.standard_normal(RATE // 2))
    samples = np.hanning(len(slow)) * slow / np.abs(slow).max()
    hertz, damping, gain = 250.0, 0.04, 1.7
    modes = modes_of([hertz], [damping], [gain])
    vibration = Vibration(Sound(samples, RATE), modes, (60.0, 900.0))
    time = np.arange(int(0.9 * RATE)) / RATE
    drive = vibration.sound_at(time)
    omega = 2 * np.pi * hertz
    system = ([gain * omega**2], [1.0, 2 * damping * omega, omega**2])
    _, expected, _ = lsim(system, drive, time)
    moved = vibration.modes_at(time)[:, 0]
    # The band-pass rings a little before the sound begins, which lsim knows nothing of.
    late = time > 0.2
    np.testing.assert_allclose(moved[late], expected[late], atol=1e-3 * np.abs(expected).max())


def test_a_rigid_object_follows_the_sound_exactly():
    rng = np.random.default_rng(0)
    sound = Sound(rng.standard_normal(RATE // 4), RATE)
    modes = make_modes(SimulationSettings(object="rigid", width=16, height=16))
    vibration = Vibration(sound, modes, (50.0, 990.0))
    time = np.arange(500) / 2200
    np.testing.assert_allclose(vibration.modes_at(time)[:, 0], vibration.sound_at(time))


@pytest.mark.parametrize(("rate", "top_hz"), [(48_000, 990.0), (8_000, 3_600.0), (44_100, 216.0)])
def test_values_between_samples_are_those_of_the_band_limited_sound(rate, top_hz):
    time = np.arange(rate // 2) / rate
    hertz = 0.8 * top_hz
    sound = Sound(np.cos(2 * np.pi * hertz * time), rate)
    vibration = Vibration(sound, modes_of([np.inf], [1.0], [1.0]), (10.0, top_hz))
    moment = 0.2 + np.linspace(0, 0.1, 333)
    expected = np.cos(2 * np.pi * hertz * moment)
    np.testing.assert_allclose(vibration.sound_at(moment), expected, atol=3e-3)
    # The middle of the sound is as good as a pure tone: no error of interpolation adds to it.
    fine = np.linspace(0.24, 0.26, 5001)
    spectrum = np.abs(np.fft.rfft(vibration.sound_at(fine) * np.hanning(5001)))
    assert spectrum[len(spectrum) // 4 :].max() < 1e-5 * spectrum.max()


def test_nothing_passes_outside_the_band():
    hertz = np.array([0.0, 20.0, 49.9, 50.0, 70.0, 500.0, 891.0, 990.0, 2000.0])
    weight = band_window(hertz, 50.0, 990.0)
    np.testing.assert_allclose(weight, [0, 0, 0, 0, 1, 1, 1, 0, 0], atol=1e-12)


def test_every_object_has_its_own_smooth_modes_of_unit_size():
    seen = []
    for kind in ("crisp-packet", "plant-leaf", "foil"):
        modes = make_modes(SimulationSettings(object=kind, width=64, height=48, seed=4))
        size = np.hypot(modes.shapes[:, 0], modes.shapes[:, 1])
        np.testing.assert_allclose(size.max(axis=(1, 2)), 1, atol=1e-6)
        assert np.abs(np.diff(modes.shapes, axis=2)).max() < 0.5
        assert np.abs(np.diff(modes.shapes, axis=3)).max() < 0.5
        # Higher modes have both signs: parts of the frame move against each other.
        assert modes.shapes[-1].min() < -0.1 < 0.1 < modes.shapes[-1].max()
        assert np.all(np.diff(modes.frequency_hz) > 0)
        seen.append(modes.frequency_hz[0])
    assert len(set(seen)) == 3


def test_the_number_of_modes_can_be_chosen():
    modes = make_modes(SimulationSettings(modes=7, width=16, height=16))
    assert modes.shapes.shape == (7, 2, 16, 16)
    assert len(modes.gain) == len(modes.damping) == 7
