"""Whether distant blocks move together: true of sounds, not of a codec's errors."""

import numpy as np
import pytest
from channels import bending, made_motion, noise
from numpy.typing import NDArray
from visualmic.motion.agreement import (
    Agreement,
    _against_surrogates,
    is_coded_between_frames,
    measure_agreement,
)
from visualmic.motion.hearing import combine_lucas_kanade
from visualmic.motion.signals import MotionSignals

FPS = 2000.0
FRAMES = 4000
TIME = np.arange(FRAMES) / FPS


def agreement(motion: MotionSignals) -> Agreement | None:
    return measure_agreement(motion, lambda start, stop: motion.signals[start:stop], 20.0)


def frozen(seed: int, group: int = 60) -> NDArray[np.float64]:
    """Errors that blocks keep until a key frame draws all of them anew, with rare updates."""
    rng = np.random.default_rng(seed)
    value = rng.standard_normal((FRAMES, 128))
    fresh = rng.random((FRAMES, 128)) < 0.01
    fresh[::group] = True
    last = np.maximum.accumulate(np.where(fresh, np.arange(FRAMES)[:, None], 0), axis=0)
    return np.take_along_axis(value, last, axis=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["sensor", "frozen", "bursts"])
def test_independent_blocks_do_not_agree(kind: str, seed: int) -> None:
    if kind == "sensor":
        content = noise(FRAMES, seed)
    elif kind == "frozen":
        content = frozen(seed)
    else:
        content = noise(FRAMES, seed) * (1 + 20 * (np.arange(FRAMES) % 45 == 0))[:, None]
    found = agreement(made_motion(content, FPS))
    assert found is not None
    assert not found.found.any()
    assert found.ratio.max() < 1.5


@pytest.mark.parametrize("kind", ["sensor", "frozen"])
def test_a_sound_far_below_the_noise_of_every_block_is_agreed_on(kind: str) -> None:
    base = noise(FRAMES, 3) if kind == "sensor" else frozen(3)
    voice = np.sin(2 * np.pi * 300 * TIME) * (1 + np.sin(2 * np.pi * 3 * TIME))
    sound = bending(voice)
    sound *= np.sqrt(0.03 / (sound**2).mean())
    found = agreement(made_motion(base + sound, FPS))
    assert found is not None
    heard = (found.low_hz <= 320) & (found.high_hz >= 280)
    assert found.found[heard].any()
    assert found.ratio[heard].max() > found.ratio[~heard].max()


def test_a_sound_in_a_small_part_of_the_frame_is_agreed_on() -> None:
    content = frozen(5).reshape(FRAMES, 8, 8, 2)
    voice = np.random.default_rng(9).standard_normal(FRAMES)
    content[:, 2:5, 4:7] += 0.7 * voice[:, None, None, None]
    found = agreement(made_motion(content.reshape(FRAMES, -1), FPS))
    assert found is not None
    assert found.found.any()


def test_a_few_blocks_that_a_codec_couples_are_no_sound() -> None:
    content = frozen(7).reshape(FRAMES, 8, 8, 2)
    rng = np.random.default_rng(2)
    for one, other in (((1, 1), (1, 3)), ((4, 4), (6, 4)), ((5, 0), (5, 2)), ((2, 6), (4, 7))):
        shared = 2.0 * rng.standard_normal((FRAMES, 2))
        content[:, *one] += shared
        content[:, *other] += shared
    found = agreement(made_motion(content.reshape(FRAMES, -1), FPS))
    assert found is not None
    assert not found.found.any()


def test_blocks_frozen_to_the_rounding_of_others_agree_on_nothing() -> None:
    """The gain of the lamp is fitted to all blocks, and trembles when one of them does."""
    common = np.outer(np.random.default_rng(0).standard_normal(FRAMES), np.ones(128))
    content = 0.003 * common
    content[:, 7] += frozen(1)[:, 7]
    found = agreement(made_motion(content, FPS))
    assert found is not None
    assert not found.found.any()


def test_short_films_and_few_blocks_cannot_tell() -> None:
    assert agreement(made_motion(noise(200), FPS)) is None
    motion = made_motion(noise(FRAMES)[:, :4], FPS)
    for name in ("block_y", "block_x", "whitener"):
        motion.arrays[name] = motion.arrays[name][:2]
    assert agreement(motion) is None


@pytest.mark.parametrize(
    ("keyframes", "expected"),
    [((), False), (range(FRAMES), False), ((0,), True), (range(0, FRAMES, 30), True)],
    ids=["unknown", "every frame", "one", "groups"],
)
def test_coding_between_frames_shows_in_the_key_frames(
    keyframes: range | tuple[int, ...], expected: bool
) -> None:
    assert is_coded_between_frames(made_motion(noise(FRAMES), FPS, keyframes)) == expected


def test_a_short_sound_in_a_film_that_lost_nothing_is_heard() -> None:
    # One segment alone: signs of its own leave it as it is.
    burst = 0.03 * np.sin(2 * np.pi * 160 * TIME) * (np.abs(TIME - 1.0) < 0.025)
    motion = made_motion(bending(burst) + noise(FRAMES), FPS, range(0, FRAMES, 12))
    found = agreement(motion)
    assert found is not None
    assert not found.found.any()
    assert "no sound" in combine_lucas_kanade(motion).diagnosis.verdict
    motion.attributes["lossless"] = True
    sound = combine_lucas_kanade(motion).sound
    assert np.corrcoef(sound[1900:2100], burst[1900:2100])[0, 1] ** 2 > 0.7


def test_a_copy_that_lost_nothing_of_a_film_that_had_is_still_doubted() -> None:
    # Errors that stay until a block is coded anew are none of a sensor.
    lasting = np.repeat(3 * noise(FRAMES // 12 + 1), 12, axis=0)[:FRAMES]
    motion = made_motion(lasting + 0.5 * noise(FRAMES, 1), FPS, range(0, FRAMES, 12))
    motion.attributes["lossless"] = True
    assert not combine_lucas_kanade(motion).sound.any()


def test_as_little_agreement_as_a_codec_shows_in_still_pictures_is_none() -> None:
    rng = np.random.default_rng(5)
    shape = (30, 20, 200)
    independent = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    common = rng.standard_normal((30, 20, 1)) + 1j * rng.standard_normal((30, 20, 1))
    apart = ~np.kron(np.eye(100, dtype=bool), np.ones((2, 2), bool))
    for share, least, most, believed in ((0.016, 1.2, 1.45, False), (0.05, 1.7, 9.0, True)):
        spectra = (independent + np.sqrt(share) * common).astype(np.complex64)
        ratio, found = _against_surrogates(spectra, apart, [np.arange(20)])
        assert least < ratio[0] < most
        assert found[0] == believed
