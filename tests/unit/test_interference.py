"""Lines of codec and lamp: found where they are, taken out, and told from a sound."""

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from channels import bending, line_power, made_motion, noise
from numpy.typing import NDArray
from visualmic.motion.interference import Cleaner, brightness_of_motion, find_flicker
from visualmic.motion.lucas_kanade import measure_lucas_kanade

FPS = 1000.0
FRAMES = 3000
GROUP = 50
KEYFRAMES = range(0, FRAMES, GROUP)
TIME = np.arange(FRAMES) / FPS


def codec_lines(strength: float = 0.6) -> NDArray[np.float64]:
    """An error that repeats every 50 and every 2 frames, different in each channel."""
    rng = np.random.default_rng(7)
    pattern = strength * rng.standard_normal((GROUP, 128))
    pattern[:, :] = np.fft.irfft(
        np.fft.rfft(pattern, axis=0) * (np.arange(26) % 5 == 0)[:, None], GROUP, axis=0
    )
    return pattern[np.arange(FRAMES) % GROUP]


def cleaned(cleaner: Cleaner) -> NDArray[np.float32]:
    pieces = [cleaner.rows(start, min(start + 700, FRAMES)) for start in range(0, FRAMES, 700)]
    return np.concatenate(pieces)


def test_lines_of_the_codec_are_found_and_removed() -> None:
    lines = codec_lines()
    motion = made_motion(noise(FRAMES) + lines, FPS, KEYFRAMES)
    cleaner = Cleaner(motion)
    assert cleaner.period == GROUP
    assert cleaner.codec_hz == pytest.approx([100, 200, 300, 400, 500])
    found = cleaned(cleaner)
    for frequency in cleaner.codec_hz:
        before = line_power(motion.signals, frequency, FPS).mean()
        after = line_power(found, frequency, FPS).mean()
        assert before > 10
        assert after < 1.2
    # Everything else is as it was, but for a constant, which no one hears.
    error = found - (motion.signals - lines)
    assert np.std(error - error.mean(axis=0)) < 0.1


@pytest.mark.parametrize("tone_hz", [200.0, 200.04, 219.7])
def test_a_sound_on_a_line_of_the_codec_is_kept(tone_hz: float) -> None:
    tone = bending(0.003 * np.sin(2 * np.pi * tone_hz * TIME))
    motion = made_motion(noise(FRAMES) + tone, FPS, KEYFRAMES)
    cleaner = Cleaner(motion)
    np.testing.assert_array_equal(cleaned(cleaner), motion.signals)
    assert cleaner.codec_hz == []


def test_a_sound_between_lines_that_are_removed_is_kept() -> None:
    tone = bending(0.003 * np.sin(2 * np.pi * 210.0 * TIME))
    motion = made_motion(noise(FRAMES) + tone + codec_lines(), FPS, KEYFRAMES)
    before = line_power(motion.signals, 210.0, FPS).sum()
    assert line_power(cleaned(Cleaner(motion)), 210.0, FPS).sum() == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("kind", ["noise", "sway", "music", "irregular", "intra"])
def test_no_line_of_the_codec_is_found_where_there_is_none(kind: str) -> None:
    content, keyframes = noise(FRAMES), np.array(KEYFRAMES)
    if kind == "sway":
        content = content + bending(0.4 * np.sin(2 * np.pi * 0.9 * TIME) + 0.3 * TIME**2)
    if kind == "music":
        content = content + bending(0.01 * np.sin(2 * np.pi * (150 * TIME + 90 * TIME**2)))
    if kind == "irregular":
        content = content + codec_lines()
        keyframes = np.cumsum(np.random.default_rng(0).integers(30, 70, 50))
    if kind == "intra":
        keyframes = np.arange(FRAMES)
    motion = made_motion(content, FPS, keyframes)
    cleaner = Cleaner(motion)
    assert (cleaner.period, cleaner.codec_hz) == (None, [])
    np.testing.assert_array_equal(cleaned(cleaner), motion.signals)


def test_the_switch_leaves_the_lines_in_but_names_them() -> None:
    motion = made_motion(noise(FRAMES) + codec_lines(), FPS, KEYFRAMES)
    cleaner = Cleaner(motion, comb=False)
    assert cleaner.period == GROUP
    assert not cleaner.removes_comb
    np.testing.assert_array_equal(cleaned(cleaner), motion.signals)


def lamp(mains_hz: float, fps: float, share: float = 0.01) -> NDArray[np.float64]:
    """Brightness under a lamp whose phase wanders a little, as the mains' does."""
    time = np.arange(FRAMES) / fps
    phase = 2 * np.pi * 2 * mains_hz * time + 0.3 * np.sin(2 * np.pi * 0.2 * time)
    rng = np.random.default_rng(3)
    light = share * (np.cos(phase) + 0.3 * np.cos(2 * phase + 1))
    return light + 1e-5 * rng.standard_normal(FRAMES)


@pytest.mark.parametrize(
    ("mains_hz", "fps", "expected"),
    [
        (50.0, 1000.0, [100, 200]),
        (60.0, 1000.0, [120, 240]),
        # Folded back: 200 - 180 and 120 - 90.
        (50.0, 180.0, [80, 20]),
        # Both harmonics, folded to one place.
        (60.0, 90.0, [30]),
    ],
)
def test_a_lamp_on_the_mains_is_found_aliased_too(
    mains_hz: float, fps: float, expected: list[float]
) -> None:
    flicker = find_flicker(made_motion(noise(FRAMES), fps, gain=lamp(mains_hz, fps)))
    assert flicker.frequency_hz[:2] == pytest.approx(expected, abs=0.2)
    assert flicker.share == pytest.approx(0.01, rel=0.2)


def test_what_follows_the_lamp_is_removed_from_each_channel() -> None:
    gain = lamp(50.0, FPS)
    coupling = np.random.default_rng(5).standard_normal(128) / 0.01
    sound = bending(0.003 * np.sin(2 * np.pi * 131.0 * TIME))
    motion = made_motion(noise(FRAMES) + np.outer(gain, coupling) + sound, FPS, gain=gain)
    found = cleaned(Cleaner(motion))
    for frequency in (100.0, 200.0):
        assert line_power(motion.signals, frequency, FPS).mean() > 30
        assert line_power(found, frequency, FPS).mean() < 1.5
    np.testing.assert_allclose(
        line_power(found, 131.0, FPS), line_power(motion.signals, 131.0, FPS), rtol=0.05, atol=0.5
    )
    kept = Cleaner(motion, flicker=False)
    assert kept.flicker_hz
    np.testing.assert_array_equal(cleaned(kept), motion.signals)


def test_steady_light_has_no_flicker() -> None:
    rng = np.random.default_rng(0)
    for gain in (np.zeros(FRAMES), 1e-4 * rng.standard_normal(FRAMES), np.cumsum(lamp(3.0, FPS))):
        assert find_flicker(made_motion(noise(FRAMES), FPS, gain=gain)).frequency_hz == []


def test_brightness_that_motion_itself_changes_is_no_lamp() -> None:
    tone = bending(0.05 * np.sin(2 * np.pi * 100.0 * TIME))
    motion = made_motion(tone + noise(FRAMES), FPS)
    motion.arrays["gain"] = np.asarray(tone @ brightness_of_motion(motion))
    assert np.abs(motion.arrays["gain"]).max() > 5e-5
    assert find_flicker(motion).frequency_hz == []
    # With a lamp on top there is one.
    motion.arrays["gain"] = motion.arrays["gain"] + lamp(50.0, FPS)
    assert len(find_flicker(motion).frequency_hz) == 2


def test_a_tone_at_the_lamps_frequency_is_heard_as_a_sound() -> None:
    """The film of a card that a loudspeaker shakes with 100 Hz, under steady light."""
    displacement = 0.05 * np.sin(2 * np.pi * 100.0 * np.arange(700) / FPS)
    frames = shifted_frames(texture(96, 96), displacement, noise_std=0.8)
    motion = measure_lucas_kanade(ArrayFrames(frames, FPS))
    assert Cleaner(motion).flicker_hz == []


def test_lines_of_the_codec_in_the_brightness_are_no_lamp() -> None:
    """At 1000 frames a second, groups of 50 frames put a line of the codec on 100 Hz."""
    gain = np.zeros(FRAMES)
    gain[::GROUP] = 0.01
    gain += 1e-5 * np.random.default_rng(0).standard_normal(FRAMES)
    motion = made_motion(noise(FRAMES), FPS, KEYFRAMES, gain)
    assert find_flicker(motion).frequency_hz == []
    motion.arrays["gain"] = gain + lamp(50.0, FPS)
    assert find_flicker(motion).frequency_hz[0] == pytest.approx(100, abs=0.2)
