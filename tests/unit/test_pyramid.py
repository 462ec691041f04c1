"""Recovery with the pyramid against motion that is known."""

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from visualmic.audio.denoise import butterworth_highpass
from visualmic.errors import VisualMicError
from visualmic.motion.pyramid import (
    PyramidSettings,
    combine_pyramid,
    measure_pyramid,
    subband_weights,
)
from visualmic.motion.signals import load_motion, save_motion
from visualmic.motion.steerable_pyramid import SteerablePyramid
from visualmic.progress import Progress

FPS = 1000.0
TIME_S = np.arange(600) / FPS
TONE_HZ = 137.0
TONE = np.sin(2 * np.pi * TONE_HZ * TIME_S)
RIGHT, DOWN, UP_RIGHT = (1.0, 0.0), (0.0, 1.0), (0.7, -0.7)


def recover(frames, settings=None, fps=FPS):
    settings = settings or PyramidSettings()
    return combine_pyramid(measure_pyramid(ArrayFrames(frames, fps), settings), settings)


def correlation(one, other):
    return abs(np.corrcoef(one, other)[0, 1])


def strongest_hz(sound, fps=FPS):
    size = 64 * len(sound)
    return np.argmax(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))) * fps / size


@pytest.mark.parametrize("direction", [RIGHT, DOWN, UP_RIGHT])
def test_a_tone_of_a_twentieth_of_a_pixel_is_recovered(direction):
    frames = shifted_frames(texture(64, 80), 0.05 * TONE, direction, noise_std=0.5)
    sound = recover(frames)
    assert correlation(sound, TONE) > 0.99
    assert strongest_hz(sound) == pytest.approx(TONE_HZ, abs=0.1)
    assert np.abs(sound).max() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "settings",
    [
        PyramidSettings(reference="mean"),
        PyramidSettings(weights="power"),
        PyramidSettings(scales=1, orientations=4),
        PyramidSettings(scales=2, downsample=2),
        PyramidSettings(max_lag_s=0.0, highpass_hz=0.0),
    ],
    ids=["mean", "power", "one-scale", "downsampled", "plain-sum"],
)
def test_every_setting_recovers_the_tone(settings):
    scene = texture(66, 81, period_px=12)
    frames = shifted_frames(scene, 0.05 * TONE, RIGHT, noise_std=0.5)
    sound = recover(frames, settings)
    assert correlation(sound, TONE) > 0.99
    assert strongest_hz(sound) == pytest.approx(TONE_HZ, abs=0.1)


def test_slow_sway_of_many_pixels_leaves_the_tone():
    sway = 1.0 * np.sin(2 * np.pi * 1.3 * TIME_S)
    frames = shifted_frames(texture(64, 80), sway + 0.05 * TONE, RIGHT, noise_std=0.5)
    assert correlation(recover(frames), TONE) > 0.98


def test_a_lamp_that_flickers_does_not_change_the_phase():
    flicker = 1 + 0.05 * np.sin(2 * np.pi * 100 * TIME_S)
    scene = texture(64, 80, contrast=30)
    frames = shifted_frames(scene, 0.05 * TONE, RIGHT, noise_std=0.5, quantise=False)
    lit = np.clip(np.rint(frames * flicker[:, None, None]), 0, 255).astype(np.uint8)
    assert correlation(recover(lit), TONE) > 0.99


def weighted_phases(coefficients):
    coefficients = coefficients.astype(complex)
    power = np.abs(coefficients) ** 2
    phase = np.angle(coefficients * coefficients[0].conj())
    energy = power.sum(axis=(1, 2))
    return (power * phase).sum(axis=(1, 2)) / energy, energy


def test_signals_are_the_amplitude_squared_mean_of_phase_differences():
    frames = shifted_frames(texture(40, 33), 0.4 * TONE[:9], UP_RIGHT, noise_std=2.0)
    settings = PyramidSettings(scales=2, orientations=3)
    motion = measure_pyramid(ArrayFrames(frames, FPS), settings, threads=2)
    pyramid = SteerablePyramid((40, 33), 2, 3, critical=True)
    coefficients = pyramid.coefficients(frames.astype(np.float32))
    assert motion.arrays["subbands"].tolist() == [list(subband) for subband in coefficients]
    for channel, (subband, values) in enumerate(coefficients.items()):
        phase, energy = weighted_phases(values)
        np.testing.assert_allclose(motion.signals[:, channel], phase, atol=1e-6)
        np.testing.assert_allclose(
            motion.arrays["energy"][:, channel], energy / pyramid.density(subband), rtol=1e-5
        )


@pytest.mark.parametrize("shape", [(96, 128), (95, 127)])
@pytest.mark.parametrize(("swing_px", "noise_std"), [(0.01, 1.0), (0.1, 1.0), (0.1, 4.0)])
def test_the_sparser_grid_says_what_the_full_one_does(shape, swing_px, noise_std):
    frames = shifted_frames(texture(*shape), swing_px * TONE[:60], (0.8, 0.6), noise_std)
    motion = measure_pyramid(ArrayFrames(frames, FPS))
    still = np.stack([np.ones(60), TONE[:60]], axis=1)
    full = SteerablePyramid(shape, 3, 2).coefficients(frames.astype(np.float32))
    for channel, coefficients in enumerate(full.values()):
        phase, energy = weighted_phases(coefficients)
        noise = phase[1:] - still[1:] @ np.linalg.lstsq(still[1:], phase[1:], rcond=None)[0]
        difference = np.std(motion.signals[1:, channel] - phase[1:])
        # 20 dB below what the noise of the sensor does to it.
        assert difference < 0.1 * np.std(noise)
        np.testing.assert_allclose(motion.arrays["energy"][:, channel], energy, rtol=1e-4)


def test_phases_are_true_at_every_angle():
    from visualmic.motion.phase_kernels import phase_sums

    angles = np.linspace(-np.pi, np.pi, 20001)[1:-1]
    values = np.exp(1j * angles).astype(np.complex64)
    found, energy = np.empty(1), np.empty(1)
    for value, angle in zip(values[::97], angles[::97], strict=True):
        phase_sums(value.reshape(1, 1, 1), np.ones((1, 1), np.complex64), found, energy)
        assert found[0] / energy[0] == pytest.approx(angle, abs=5e-7)
    phase_sums(np.zeros((1, 3, 3), np.complex64), np.zeros((3, 3), np.complex64), found, energy)
    assert (found[0], energy[0]) == (0.0, 0.0)


def test_threads_and_batches_change_nothing():
    frames = shifted_frames(texture(40, 48), 0.05 * TONE[:100], RIGHT, noise_std=1.0)

    class OddBatches(ArrayFrames):
        def batches(self, batch_frames=None):
            return super().batches(7)

    one = measure_pyramid(ArrayFrames(frames, FPS), threads=1)
    many = measure_pyramid(OddBatches(frames, FPS), threads=3)
    np.testing.assert_allclose(many.signals, one.signals, atol=1e-6)


def test_a_subband_that_lags_is_brought_back():
    rng = np.random.default_rng(5)
    wave = np.convolve(rng.standard_normal(610), np.hanning(5), "same")
    frames = shifted_frames(texture(48, 48), 0.05 * wave[5:605], RIGHT, noise_std=0.3)
    motion = measure_pyramid(ArrayFrames(frames, FPS))
    motion.signals[3:, 0] = motion.signals[:-3, 0].copy()
    aligned = combine_pyramid(motion, PyramidSettings(max_lag_s=0.005))
    unaligned = combine_pyramid(motion, PyramidSettings(max_lag_s=0.0))
    truth = butterworth_highpass(wave[5:605], FPS, 20.0)
    best = max(correlation(np.roll(aligned, -lag)[:-5], truth[:-5]) for lag in range(5))
    without = max(correlation(np.roll(unaligned, -lag)[:-5], truth[:-5]) for lag in range(5))
    assert best > 0.98
    assert without < 0.95


def test_a_subband_that_moves_the_other_way_is_turned_over():
    frames = shifted_frames(texture(64, 64), 0.05 * TONE, UP_RIGHT, noise_std=0.5)
    assert correlation(recover(frames, PyramidSettings(max_lag_s=0)), TONE) > 0.99
    opposed = recover(frames, PyramidSettings(max_lag_s=0, polarity=False))
    # What is left of two opposite halves is noise and an imbalance, not twice the sound.
    motion = measure_pyramid(ArrayFrames(frames, FPS))
    weights = subband_weights(motion, "noise")
    together, apart = (
        np.abs(np.sum(np.std(motion.signals * weights, axis=0) * signs))
        for signs in ([1] * 6, [1, -1] * 3)
    )
    assert apart < 0.5 * together
    assert correlation(opposed, TONE) < correlation(recover(frames), TONE)


@pytest.mark.parametrize("level", [0, 16, 255])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_a_film_without_texture_is_silent(level, count):
    frames = np.full((count, 48, 48), level, np.uint8)
    motion = measure_pyramid(ArrayFrames(frames, FPS))
    assert motion.attributes["silent"] is True
    assert not motion.signals.any()
    assert np.array_equal(combine_pyramid(motion), np.zeros(count))


def test_a_still_film_and_a_fading_blank_one_are_silent():
    still = np.repeat(np.rint(texture(48, 61)).astype(np.uint8)[None], 37, axis=0)
    fading = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None], (60, 48, 48))
    for frames in (still, fading):
        motion = measure_pyramid(ArrayFrames(frames, FPS))
        assert motion.attributes["silent"] is True
        assert np.array_equal(combine_pyramid(motion), np.zeros(len(frames)))


def test_a_moving_film_is_not_silent():
    frames = shifted_frames(texture(48, 48), 0.05 * TONE[:50], noise_std=0.5)
    assert measure_pyramid(ArrayFrames(frames, FPS)).attributes["silent"] is False


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_shortest_films_give_finite_sounds(count):
    frames = shifted_frames(texture(48, 48), 0.05 * TONE[:count], noise_std=0.5)
    sound = recover(frames)
    assert sound.shape == (count,)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1


def test_dark_frames_inside_a_film_give_no_nan():
    frames = np.array(shifted_frames(texture(48, 48), 0.05 * TONE[:60], noise_std=0.5))
    frames[20:30] = 0
    sound = recover(frames)
    assert np.isfinite(sound).all()


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_are_refused(count):
    with pytest.raises(VisualMicError, match="at least two"):
        measure_pyramid(ArrayFrames(np.zeros((count, 48, 48), np.uint8), FPS))


def test_a_film_too_small_for_the_scales_is_refused_with_a_cure():
    small = ArrayFrames(np.zeros((5, 20, 64), np.uint8), FPS, name="small.mp4")
    with pytest.raises(VisualMicError, match=r"small\.mp4: .*64x20.*at most 2.*at least 32"):
        measure_pyramid(small, PyramidSettings(scales=3))
    with pytest.raises(VisualMicError, match=r"downsampled by 4.*at least 128"):
        measure_pyramid(small, PyramidSettings(scales=3, downsample=4))


def test_a_highpass_above_what_the_film_holds_is_refused():
    frames = shifted_frames(texture(48, 48), 0.05 * TONE[:50])
    motion = measure_pyramid(ArrayFrames(frames, 30.0))
    with pytest.raises(VisualMicError, match="below 15 Hz"):
        combine_pyramid(motion)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scales": 0},
        {"orientations": 1},
        {"downsample": 3},
        {"reference": "last"},
        {"weights": "equal"},
        {"max_lag_s": -1.0},
        {"highpass_hz": float("nan")},
        {"highpass_order": 0},
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(VisualMicError, match=next(iter(wrong))):
        PyramidSettings(**wrong)


def test_motion_survives_its_file(tmp_path):
    frames = shifted_frames(texture(48, 48), 0.05 * TONE[:100], noise_std=0.5)
    motion = measure_pyramid(ArrayFrames(frames, FPS))
    save_motion(tmp_path / "motion.h5", motion)
    again = load_motion(tmp_path / "motion.h5")
    np.testing.assert_array_equal(combine_pyramid(again), combine_pyramid(motion))


def test_every_frame_is_told_to_the_progress():
    frames = shifted_frames(texture(48, 48), 0.05 * TONE[:50])
    with Progress("measure", total=50, quiet=True) as progress:
        measure_pyramid(ArrayFrames(frames, FPS), progress=progress)
    assert progress.done == 50
