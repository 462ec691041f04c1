"""Frames that show the motion smaller than others: how much, and the motion made whole again."""

import numpy as np
import pytest
from channels import bending, made_motion, noise
from numpy.typing import NDArray
from visualmic.evaluate.waveform import si_sdr
from visualmic.motion.frame_gains import (
    even_frames,
    fall_behind,
    frame_kinds,
    measure_gains,
    noise_of_kinds,
    share_of_new,
)
from visualmic.motion.frame_types import CodedFrames
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.signals import MotionSignals

FPS, FRAMES, LENGTH, FIRST = 2200.0, 8192, 512, 4
GAINS = np.array([1.5, 0.8, 0.6, 0.9])
SHAPE = np.array([1.0, -0.5, 0.3, 0.8])
Signal = NDArray[np.float64]


def pattern(frames: int = FRAMES) -> NDArray[np.bool_]:
    """One frame in four is not predicted from both sides."""
    return np.arange(frames) % 4 != 0


def sound(seed: int = 0, frames: int = FRAMES) -> Signal:
    """Noise that rings at 180 and 410 Hz, with pauses."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    at = np.fft.rfftfreq(frames, 1 / FPS)
    spectrum *= np.exp(-(((at - 180) / 25) ** 2)) + np.exp(-(((at - 410) / 40) ** 2))
    heard = np.fft.irfft(spectrum, frames)
    heard *= 1 + np.sin(2 * np.pi * 3 * np.arange(frames) / FPS)
    return heard / heard.std()


def seen(
    gains: Signal, kinds: NDArray[np.intp], spread: Signal, seed: int = 0
) -> tuple[NDArray[np.float32], Signal]:
    """Signals (T, 4) as a codec leaves them, and the motion behind them."""
    motion = sound(seed, len(kinds))[:, None] * SHAPE
    rng = np.random.default_rng(seed + 100)
    left = rng.standard_normal(motion.shape) * spread[kinds, None]
    return (gains[kinds, None] * motion + left).astype(np.float32), motion


def halves(
    gains: Signal, kinds: NDArray[np.intp], spread: Signal, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same motion twice, with noise of its own."""
    one, motion = seen(gains, kinds, spread, seed)
    rng = np.random.default_rng(seed + 200)
    other = gains[kinds, None] * motion + rng.standard_normal(motion.shape) * spread[kinds, None]
    return one, other.astype(np.float32)


def test_rare_places_in_a_run_count_with_the_one_before() -> None:
    predicted = pattern(4000)
    predicted[400] = True
    kinds = frame_kinds(predicted)
    assert kinds[:8].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert kinds[397:405].tolist() == [1, 2, 3, 3, 3, 3, 3, 0]


@pytest.mark.parametrize("level", [0.05, 0.5])
def test_gains_are_measured_whatever_the_noise(level: float) -> None:
    kinds = frame_kinds(pattern())
    spread = level * np.array([1.0, 2.0, 2.0, 2.0])
    gains, without = measure_gains(*halves(GAINS, kinds, spread), kinds)
    assert gains == pytest.approx(GAINS / np.sqrt((GAINS**2).mean()), rel=0.06)
    assert without.shape == (8, 4)
    assert fall_behind(gains, without, kinds)


def test_frames_that_show_as_much_as_others_are_left_alone() -> None:
    kinds = frame_kinds(pattern())
    flat = np.ones(4)
    behind = [
        fall_behind(*measure_gains(*halves(flat, kinds, 0.5 * flat, seed), kinds), kinds)
        for seed in range(12)
    ]
    assert sum(behind) <= 1
    # More of the motion than the others show is no sign of a quantiser.
    more = halves(GAINS[::-1], kinds, 0.1 * flat)
    assert not fall_behind(*measure_gains(*more, kinds), kinds)


def test_frames_that_repeat_those_around_them_hold_nothing_new() -> None:
    kinds = frame_kinds(pattern())
    one, other = halves(np.ones(4), kinds, np.full(4, 0.1))
    own = share_of_new(one, other, kinds)
    assert own > 0.5
    for signals in (one, other):
        coded = np.flatnonzero(kinds == 0)
        for channel in signals.T:
            channel[:] = np.interp(np.arange(FRAMES), coded, channel[coded])
    assert abs(share_of_new(one, other, kinds)) < 0.02


def test_the_noise_of_each_kind_is_told_by_directions_that_are_still() -> None:
    kinds = frame_kinds(pattern())
    spread = 0.3 * np.sqrt([1.0, 3.0, 2.0, 1.5])
    found = noise_of_kinds(seen(GAINS, kinds, spread)[0], kinds)
    assert found == pytest.approx([1.0, 3.0, 2.0, 1.5], rel=0.15)


def test_what_was_folded_is_undone() -> None:
    kinds = frame_kinds(pattern())
    signals, motion = seen(GAINS, kinds, np.full(4, 0.1))
    whole = even_frames(signals, kinds, GAINS, np.full(4, 0.01), LENGTH, FIRST)
    assert whole is not None
    # Dividing by the gains undoes the folding too, but leaves the noise of the faint frames.
    divided = signals / GAINS[kinds, None]
    before, by_gain, after = (
        si_sdr(motion[:, 0], one[:, 0].astype(np.float64)) for one in (signals, divided, whole)
    )
    assert after > before + 8
    assert after > by_gain + 2
    assert (whole**2).mean() == pytest.approx((signals**2).mean(), rel=1e-3)


def test_frames_that_show_next_to_nothing_are_not_made_up_for() -> None:
    kinds = frame_kinds(pattern())
    gains = np.array([1.9, 0.2, 0.1, 0.2])
    signals, _ = seen(gains, kinds, np.full(4, 0.1))
    assert even_frames(signals, kinds, gains, np.full(4, 0.01), LENGTH, FIRST) is None


def film(gains: Signal) -> tuple[MotionSignals, Signal]:
    """Motion of blocks that all follow one sound, as a codec leaves them, and that sound."""
    kinds = frame_kinds(pattern())
    heard = sound()
    moved = bending(gains[kinds] * heard)
    moved *= 2 / np.abs(moved).max(axis=0).mean()
    motion = made_motion(noise(FRAMES) + moved, FPS, keyframes=range(0, FRAMES, 60))
    motion.arrays["bidirectional"] = pattern()
    return motion, heard


def test_a_sound_is_heard_without_what_a_codec_folded() -> None:
    motion, heard = film(GAINS)
    plain, even = (
        combine_lucas_kanade(motion, HearingSettings(even_frames=on)) for on in (False, True)
    )
    assert even.diagnosis.found["uneven_frames"]["gain"] == pytest.approx(0.51, abs=0.03)
    assert any("% of the motion of the others" in line for line in even.diagnosis.warnings)
    assert "uneven_frames" not in plain.diagnosis.found
    assert si_sdr(heard, even.sound) > si_sdr(heard, plain.sound) + 6
    assert "uneven_frames" not in combine_lucas_kanade(film(np.ones(4))[0]).diagnosis.found


def test_a_film_whose_beginning_has_no_predicted_frames_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("visualmic.motion.frame_gains._ENOUGH_FRAMES", 2048)
    predicted = pattern()
    predicted[:2048] = False
    motion, _ = film(np.ones(4))
    motion.arrays["bidirectional"] = predicted
    frames = CodedFrames(motion, lambda start, stop: motion.signals[start:stop])
    seen_so = halves(GAINS, frame_kinds(predicted), np.full(4, 0.1))
    assert frames.even(seen_so, 20.0, LENGTH, FIRST, 0.02) is None


def test_only_what_was_made_up_for_last_is_told() -> None:
    motion, _ = film(np.ones(4))
    kinds = frame_kinds(pattern())
    frames = CodedFrames(motion, lambda start, stop: motion.signals[start:stop])
    uneven, flat = (halves(gains, kinds, np.full(4, 0.1)) for gains in (GAINS, np.ones(4)))
    assert frames.even(uneven, 20.0, LENGTH, FIRST, 0.02) is not None
    assert frames.smaller == pytest.approx(0.51, abs=0.03)
    assert frames.even(flat, 20.0, LENGTH, FIRST, 0.02) is None
    assert frames.smaller is None
    # Copies move as the frames around them do, whatever their loudness.
    for signals in uneven:
        coded = np.flatnonzero(kinds == 0)
        for channel in signals.T:
            channel[:] = np.interp(np.arange(FRAMES), coded, channel[coded])
    assert frames.even(uneven, 20.0, LENGTH, FIRST, 0.02) is None
