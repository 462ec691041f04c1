"""Least-squares motion of blocks, held to the Cramer-Rao bound and to known shifts."""

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.motion.lucas_kanade import (
    LucasKanadeSettings,
    _slow_frames,
    measure_lucas_kanade,
)
from visualmic.motion.reference import interpolation_taps
from visualmic.motion.signals import MotionSignals

FPS = 2200.0
SIDE = 128


def tone(frames: int, amplitude_px: float, frequency_hz: float = 310.0) -> NDArray[np.float64]:
    return amplitude_px * np.sin(2 * np.pi * frequency_hz * np.arange(frames) / FPS)


def common_shift(motion: MotionSignals) -> NDArray[np.float64]:
    """The rigid displacement (T, 2) that whitened blocks agree on best."""
    whitener = np.asarray(motion.arrays["whitener"], np.float64)
    signals = np.asarray(motion.signals, np.float64).reshape(-1, len(whitener), 2)
    information = np.einsum("bij,bik->jk", whitener, whitener)
    return np.linalg.solve(information, np.einsum("bij,tbi->jt", whitener, signals)).T


def bound(scene: NDArray[np.float64], noise_std: float) -> float:
    """Cramer-Rao bound of a shift in x, rounding to 8 bits counted as noise."""
    slope = np.fft.ifft2(np.fft.fft2(scene) * 2j * np.pi * np.fft.fftfreq(scene.shape[1])).real
    return float(np.sqrt((noise_std**2 + 1 / 12) / (slope**2).sum()))


@pytest.mark.parametrize("amplitude_px", [0.002, 0.01, 0.1])
def test_noise_of_a_rigid_shift_is_within_half_a_decibel_of_the_bound(amplitude_px: float) -> None:
    scene = texture(SIDE, SIDE)
    truth = tone(600, amplitude_px)
    frames = shifted_frames(scene, truth, noise_std=1.0, seed=1)
    found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS)))[:, 0]
    found -= found.mean()
    gain = found @ truth / (truth @ truth)
    noise = np.std(found / gain - truth)
    assert abs(gain - 1) < 0.25 * bound(scene, 1.0) / amplitude_px + 0.03
    assert 20 * np.log10(noise / bound(scene, 1.0)) < 0.5


@pytest.mark.parametrize("fraction", [0.0, 0.125, -0.25, 0.3, 0.5])
def test_taps_delay_and_differentiate_within_a_thousandth(fraction: float) -> None:
    delay, derivative = interpolation_taps(fraction)
    frequency = np.linspace(0.01, 2.0, 60)
    waves = np.exp(1j * frequency[:, None] * np.arange(-8, 9))
    wanted = np.exp(-1j * frequency * fraction)
    np.testing.assert_allclose(waves @ delay, wanted, atol=1e-3)
    np.testing.assert_allclose(waves @ derivative / (1j * frequency), wanted, atol=1e-3)
    assert float(derivative.sum()) == pytest.approx(0, abs=1e-6)


def test_the_gain_is_that_of_the_motion_at_every_step_of_a_swing() -> None:
    # Where the film leaves one template for the next, a gain of its own would make a step.
    truth = tone(1500, 0.5)
    frames = shifted_frames(texture(SIDE, SIDE), truth, noise_std=0.3, seed=2)
    found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS)))[:, 0]
    for low, high in ((-0.5, -0.3), (-0.1, 0.1), (0.1, 0.3), (-0.5, 0.5)):
        part = (truth >= low) & (truth <= high)
        assert np.polyfit(truth[part], found[part], 1)[0] == pytest.approx(1, abs=0.006)


def test_the_reference_is_made_of_frames_that_hardly_move() -> None:
    time = np.arange(1200)
    fast = np.where(time // 100 % 2, 1.5, 0.02) * np.sin(2 * np.pi * time / 7)
    frames = shifted_frames(texture(64, 64), fast, noise_std=1.0, seed=2)
    speed = np.abs(np.gradient(fast))
    chosen = [int(np.flatnonzero((frames == one).all(axis=(1, 2)))[0]) for one in
              _slow_frames(frames, 96)]  # fmt: skip
    assert len(chosen) >= 96
    assert np.quantile(speed[chosen], 0.95) < 0.1
    assert np.ptp(chosen) > 1000


@pytest.mark.parametrize("amplitude_px", [0.7, 3.0])
def test_swings_far_beyond_the_linear_range_are_followed(amplitude_px: float) -> None:
    scene = texture(SIDE, SIDE, period_px=24.0) + 0.5 * (texture(SIDE, SIDE, seed=1) - 128)
    truth = tone(400, amplitude_px)
    frames = shifted_frames(scene, truth, direction=(0.8, 0.6), noise_std=0.7, seed=2)
    found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS)))
    expected = np.outer(truth, [0.8, 0.6])
    error = (found - found.mean(axis=0)) - (expected - expected.mean(axis=0))
    assert np.abs(error[:, 0]).max() < 0.02
    assert np.abs(error[:, 1]).max() < 0.02


def test_finer_templates_serve_a_frame_that_swings(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = tone(400, 1.2)
    frames = shifted_frames(texture(SIDE, SIDE), truth, noise_std=0.3, seed=2)

    def error() -> float:
        found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS)))[:, 0]
        gain = found @ truth / (truth @ truth)
        return float(np.std(found - gain * truth))

    fine = error()
    monkeypatch.setattr("visualmic.motion.lucas_kanade._SWINGING_PX", np.inf)
    assert fine < 0.7 * error()


def test_noise_of_a_swing_under_an_open_shutter_is_near_the_bound() -> None:
    # The shutter smears fast frames, which would be off by the place within their template.
    scene = texture(SIDE, SIDE)
    moment = (np.arange(6) + 0.5) / 6 * 0.5
    time = np.arange(500)[:, None] + moment
    path = 1.2 * np.sin(2 * np.pi * 0.0917 * time) * np.sin(2 * np.pi * 0.0031 * time)
    smeared = shifted_frames(scene, path.ravel(), direction=(0.8, 0.6), quantise=False)
    frames = smeared.reshape(*path.shape, SIDE, SIDE).mean(axis=1)
    frames += 0.5 * np.random.default_rng(3).standard_normal(frames.shape)
    frames = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    truth = path.mean(axis=1)
    gain, start = np.polyfit(truth, common_shift(motion) @ [0.8, 0.6], 1)
    noise = np.std((common_shift(motion) @ [0.8, 0.6] - start) / gain - truth)
    assert gain == pytest.approx(1, abs=0.001)
    # Blocks at the border leave the frame, a decibel or so.
    assert 20 * np.log10(noise / bound(scene, 0.5)) < 2.0


@pytest.mark.parametrize("reach_px", [0.7, 2.0])
def test_blocks_at_the_border_are_heard_alike_wherever_the_frame_is(reach_px: float) -> None:
    # The upper edge trembles; shake takes it out of the frame, and back.
    time = np.arange(1200)
    shake = reach_px * np.sin(2 * np.pi * time / 400)
    tremble = tone(1200, 0.05)
    scene = texture(SIDE, SIDE)
    direction = (0.8, 0.6)
    frames = shifted_frames(scene, shake, direction, noise_std=0.5, seed=2)
    edge = shifted_frames(scene, shake + tremble, direction, noise_std=0.5, seed=3)
    frames[:, :24] = edge[:, :24]
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    upper = np.flatnonzero(motion.arrays["block_y"] == motion.arrays["block_y"].min())
    heard = np.asarray(motion.signals, np.float64).reshape(1200, -1, 2)[:, upper].reshape(1200, -1)
    heard = np.diff(heard, axis=0)
    sound = np.diff(tremble)

    def loudness(part: NDArray[np.bool_]) -> float:
        return float(np.linalg.norm(sound[part] @ heard[part] / (sound[part] @ sound[part])))

    away, near = shake[1:] < -0.8 * reach_px, np.abs(shake[1:]) < 0.3 * reach_px
    assert loudness(away) == pytest.approx(loudness(near), rel=0.08)


def test_blocks_that_move_far_on_their_own_leave_the_others_as_they_are() -> None:
    scene = texture(SIDE, SIDE)
    truth = tone(1600, 0.5) * (np.arange(1600) % 400 < 200)
    frames = shifted_frames(scene, np.zeros(1600), noise_std=0.5, seed=2)
    moved = shifted_frames(scene, truth, noise_std=0.5, seed=3)
    frames[:, 32:80, 32:80] = moved[:, 32:80, 32:80]
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    signals = np.asarray(motion.signals, np.float64).reshape(1600, -1, 2)
    shift = np.einsum("bij,tbj->tbi", np.linalg.inv(motion.arrays["whitener"]), signals)
    corner = np.stack([motion.arrays["block_y"], motion.arrays["block_x"]])
    side = int(motion.arrays["block_size"][0])
    inside = ((corner >= 34) & (corner + side <= 78)).all(axis=0)
    outside = ((corner >= 82) | (corner + side <= 30)).any(axis=0)
    error = shift[:, inside, 0] - shift[:, inside, 0].mean(axis=0) - truth[:, None]
    assert np.abs(error).max() < 0.08
    assert np.abs(shift[:, outside]).std() < 0.02


def bending(amplitude_px: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Frames whose middle moves by a tone while the rest is still, and that tone."""
    scene, truth = texture(SIDE, SIDE), tone(800, amplitude_px)
    frames = shifted_frames(scene, np.zeros(800), noise_std=0.3, seed=2)
    frames[:, 32:96, 32:96] = shifted_frames(scene, truth, noise_std=0.3, seed=3)[:, 32:96, 32:96]
    return frames, truth


def test_finer_templates_serve_blocks_that_bend_far(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, truth = bending(0.3)

    def error() -> float:
        motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
        corner = np.stack([motion.arrays["block_y"], motion.arrays["block_x"]])
        side = int(motion.arrays["block_size"][0])
        inside = ((corner >= 34) & (corner + side <= 94)).all(axis=0)
        signals = np.asarray(motion.signals, np.float64).reshape(len(truth), -1, 2)[:, inside]
        whitener = motion.arrays["whitener"][inside]
        shift = np.einsum("bij,tbj->tbi", np.linalg.inv(whitener), signals)[..., 0]
        return float(np.std(shift - shift.mean(axis=0) - truth[:, None]))

    fine = error()
    monkeypatch.setattr("visualmic.motion.block_tracker.BlockTracker.bends_px", lambda *_: 0.0)
    assert fine < 0.93 * error()


def test_blocks_that_follow_themselves_are_not_called_back() -> None:
    frames, _ = bending(0.8)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert motion.attributes["retracked_fraction"] < 1.2


@pytest.mark.parametrize("amplitude_px", [0.3, 1.0])
def test_the_noise_of_a_swinging_film_is_not_taken_from_where_no_block_is(
    amplitude_px: float,
) -> None:
    swing = tone(800, amplitude_px, 40.0)
    frames = shifted_frames(texture(SIDE, SIDE), swing, (0.8, 0.6), noise_std=1.0, seed=2)
    known = measure_lucas_kanade(ArrayFrames(frames, FPS)).attributes
    found = known["noise_read"] + known["noise_shot"] * 128
    # Its frames are up to 0.3 px from the reference, which leaves a little more.
    assert 0 < 10 * np.log10(found / (1 + 1 / 12)) < 2.0


def test_blocks_at_the_border_are_followed_a_little_beyond_it() -> None:
    # Nothing moves while the reference is made, so that no border is left for it.
    scene = texture(SIDE, SIDE)
    truth = tone(1400, 0.8) * (np.arange(1400) > 1100)
    frames = shifted_frames(scene, np.zeros(1400), noise_std=0.5, seed=2)
    moved = shifted_frames(scene, truth, noise_std=0.5, seed=3)
    frames[:, :, 96:] = moved[:, :, 96:]
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    border = motion.arrays["block_x"] == motion.arrays["block_x"].max()
    signals = np.asarray(motion.signals, np.float64).reshape(1400, -1, 2)[:, border]
    whitener = motion.arrays["whitener"][border]
    shift = np.einsum("bij,tbj->tbi", np.linalg.inv(whitener), signals)[..., 0]
    assert np.abs(shift - shift[:1000].mean(axis=0) - truth[:, None]).max() < 0.15


def test_a_swing_does_not_dim_the_light() -> None:
    frames = shifted_frames(texture(SIDE, SIDE), tone(300, 1.2), (0.8, 0.6), noise_std=1.0)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert np.abs(motion.arrays["gain"]).max() < 0.02


def test_without_following_a_large_swing_is_lost() -> None:
    scene = texture(SIDE, SIDE, period_px=24.0) + 0.5 * (texture(SIDE, SIDE, seed=1) - 128)
    frames = shifted_frames(scene, tone(200, 3.0), noise_std=0.7)
    settings = LucasKanadeSettings(follow=False)
    found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS), settings))[:, 0]
    assert np.abs(found - found.mean() - tone(200, 3.0)).max() > 0.1


def test_channels_have_unit_variance_for_sensor_noise() -> None:
    frames = shifted_frames(texture(SIDE, SIDE), np.zeros(800), noise_std=1.2, seed=3)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert np.asarray(motion.signals).std(axis=0).mean() == pytest.approx(1.0, abs=0.05)


def test_flicker_of_the_lamp_leaves_no_motion() -> None:
    scene = texture(SIDE, SIDE)
    still = shifted_frames(scene, np.zeros(600), noise_std=0.8, seed=4, quantise=False)
    light = 1 + 0.02 * np.sin(2 * np.pi * 100 * np.arange(600) / FPS)
    frames = np.clip(np.rint(still * light[:, None, None]), 0, 255).astype(np.uint8)
    found = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS)))[:, 0]
    assert found.std() < 1.2 * bound(scene, 0.8)
    untreated = LucasKanadeSettings(illumination="none")
    exposed = common_shift(measure_lucas_kanade(ArrayFrames(frames, FPS), untreated))[:, 0]
    assert exposed.std() > 1.5 * bound(scene, 0.8)


@pytest.mark.parametrize("share", [0.02, 0.0075])
def test_a_lamp_that_lights_one_side_is_removed_from_each_block(share: float) -> None:
    scene = texture(SIDE, SIDE)
    still = shifted_frames(scene, np.zeros(600), noise_std=0.8, seed=4, quantise=False)
    light = share * np.sin(2 * np.pi * 100 * np.arange(600) / FPS)
    across = np.linspace(-1, 1, SIDE)
    frames = still * (1 + light[:, None, None] * across)
    frames = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert motion.attributes["illumination"] == "local"
    alike = measure_lucas_kanade(
        ArrayFrames(frames, FPS), LucasKanadeSettings(illumination="global")
    )
    assert np.std(motion.signals) < 0.95 * np.std(alike.signals)


def test_what_a_swing_leaves_is_not_taken_for_light_of_each_block() -> None:
    turn = np.random.default_rng(5).standard_normal(400)
    wide = 0.3 * np.convolve(turn, np.ones(8) / np.sqrt(8), "same")
    frames = shifted_frames(texture(SIDE, SIDE), wide, (0.8, 0.6), noise_std=0.6)
    assert measure_lucas_kanade(ArrayFrames(frames, FPS)).attributes["illumination"] == "global"


def test_a_spool_holds_the_same_signals(tmp_path) -> None:
    frames = shifted_frames(texture(64, 64), tone(300, 0.05), noise_std=1.0)
    held = measure_lucas_kanade(ArrayFrames(frames, FPS))
    spooled = measure_lucas_kanade(ArrayFrames(frames, FPS), spool=tmp_path / "motion.h5")
    np.testing.assert_array_equal(held.signals, spooled.signals[...])
    spooled.signals.file.close()


def test_one_frame_is_refused_with_the_cure() -> None:
    with pytest.raises(VisualMicError, match="1 frame: motion needs at least two"):
        measure_lucas_kanade(ArrayFrames(np.zeros((1, 32, 32), np.uint8), FPS))


@pytest.mark.parametrize(
    "frames",
    [np.full((3, 32, 32), 77, np.uint8), np.full((200, 40, 24), 200, np.uint8)],
    ids=["three frames", "one colour"],
)
def test_a_plain_picture_gives_zeros_and_an_infinite_bound(frames: NDArray[np.uint8]) -> None:
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert np.all(np.asarray(motion.signals) == 0)
    assert motion.attributes["cramer_rao_px"] == np.inf


def test_settings_that_make_no_sense_are_named() -> None:
    with pytest.raises(VisualMicError, match="block_px is 2"):
        LucasKanadeSettings(block_px=2)
    with pytest.raises(VisualMicError, match="illumination is 'sun'"):
        LucasKanadeSettings(illumination="sun")


@pytest.mark.parametrize("noise_std", [1.0, 30.0])
def test_noise_in_the_mean_of_many_frames_is_no_texture(noise_std: float) -> None:
    """Frames of noise alone agree with their mean, which is noise too, by chance only."""
    rng = np.random.default_rng(4)
    frames = np.clip(np.rint(rng.normal(128, noise_std, (1500, 96, 96))), 0, 255).astype(np.uint8)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert not np.any(motion.signals)
    assert motion.attributes["cramer_rao_px"] == np.inf


def test_faint_texture_keeps_its_blocks() -> None:
    scene = 128 + 0.02 * (texture(SIDE, SIDE) - 128)
    frames = shifted_frames(scene, tone(1200, 0.0), noise_std=1.0, seed=3)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    whitener = np.asarray(motion.arrays["whitener"])
    assert np.count_nonzero(np.abs(whitener).sum(axis=(1, 2))) >= 0.9 * len(whitener)
