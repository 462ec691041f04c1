"""What the benchmarks of hearing and of speed measure with, held to known answers."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from arrays import ArrayFrames

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import hearing_limits
import limits_films
import limits_forks
import limits_methods
import recover_speed
from visualmic.audio.wav import write_wav
from visualmic.simulate.oracle import mode_cramer_rao_std
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.truth import Truth

FPS = 2200.0


@pytest.fixture(scope="module")
def truth() -> Truth:
    settings = SimulationSettings(
        object="rigid", sound="speech", seconds=1.0, width=32, height=32, seed=5
    )
    return Scene(settings).truth


@pytest.mark.parametrize("kind", limits_films.KINDS.values(), ids=str)
def test_every_kind_of_film_has_settings_that_can_be_simulated(kind: limits_films.Kind) -> None:
    settings = limits_films.film_settings(kind, 1, limits_films.Shape(0.5, 64))
    assert settings.seconds == (0.5 if kind.frames is None else kind.frames / settings.fps)
    assert (settings.width, settings.height, settings.seed) == (64, 64, 1)


def test_one_speaker_says_digits_with_pauses_as_long_as_the_film(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for speaker, sign in (("ann", 1.0), ("bob", -1.0)):
        for digit in range(3):
            spoken = sign * rng.uniform(0.1, 1.0, 2000)
            write_wav(tmp_path / f"{digit}_{speaker}_0.wav", spoken, 8000)
    first, second = (limits_films.spoken_digits(tmp_path, 1.5, seed) for seed in (0, 1))
    assert (len(first.samples), first.rate) == (12_000, 8000)
    assert np.abs(first.samples).max() == pytest.approx(0.9)
    assert first.samples.min() >= 0 > second.samples.min()
    assert 0.1 < np.mean(first.samples == 0) < 0.5
    again = limits_films.spoken_digits(tmp_path, 1.5, 0)
    np.testing.assert_array_equal(first.samples, again.samples)


@pytest.mark.parametrize("times_the_bound", [1.0, 2.0])
def test_noise_is_told_relative_to_the_bound_at_any_gain(
    truth: Truth, times_the_bound: float
) -> None:
    motion = truth.displacement[:, 0]
    noise = np.random.default_rng(1).standard_normal(len(motion))
    noise *= times_the_bound * float(mode_cramer_rao_std(truth)[0])
    found = limits_methods.noise_over_bound(-70 * (motion + noise), truth)
    assert found == pytest.approx(20 * math.log10(times_the_bound), abs=0.3)


def test_the_best_filter_of_many_channels_beats_each_and_makes_nothing_of_noise(
    truth: Truth,
) -> None:
    rng = np.random.default_rng(2)
    noise = 0.3 * truth.sound.std() * rng.standard_normal((len(truth.sound), 2))
    channels = np.stack([truth.sound, np.roll(truth.sound, 3)], axis=1) + noise
    alone = [limits_methods.multichannel_info(truth, channels[:, i : i + 1]) for i in (0, 1)]
    both = limits_methods.multichannel_info(truth, channels)
    assert both > max(alone) + 1
    assert max(alone) > 10
    assert abs(limits_methods.multichannel_info(truth, noise)) < 1
    assert math.isnan(limits_methods.multichannel_info(truth, rng.normal(size=(2200, 20))))


def test_what_the_slow_loop_heard_is_kept_for_the_same_frames_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def loop(frames, fps):
        calls.append(fps)
        return np.array([frame.mean() for frame in frames])

    monkeypatch.setattr(limits_methods.davis_pyrtools, "recover_davis", loop)
    monkeypatch.setattr(limits_methods, "CACHE", tmp_path)

    def hear(frames):
        source = ArrayFrames(frames, FPS)
        return limits_methods.davis(source, limits_methods.frames_digest(source))

    frames = np.random.default_rng(3).integers(0, 255, (5, 8, 8), np.uint8)
    first = hear(frames)
    np.testing.assert_array_equal(hear(frames), first)
    assert len(calls) == 1
    frames[2, 3, 4] ^= 1
    assert np.any(hear(frames) != first)
    assert len(calls) == 2


def row(kind: str, method: str, **scores: float) -> dict[str, object]:
    empty = dict.fromkeys(limits_methods.SCORES, math.nan)
    return {"kind": kind, "seed": 0, "method": method, **empty, **scores}


@pytest.mark.parametrize("good", [True, False])
def test_targets_hold_for_what_meets_them_and_for_nothing_else(good: bool) -> None:
    ours = (
        {"info_db": 20.0, "si_sdr_db": 18.0, "estoi": 0.95, "noise_over_crb_db": 0.2}
        if good
        else {"info_db": 8.0, "si_sdr_db": 9.0, "estoi": 0.7, "noise_over_crb_db": 1.7}
    )
    rows = [
        row("rigid-0.01px", "lucas-kanade", **ours),
        row("rigid-0.01px", "pyramid", info_db=15.0, noise_over_crb_db=1.5),
        row("rigid-0.01px", "davis", info_db=9.0, si_sdr_db=3.0),
        row("rigid-0.01px", "oracle", info_db=20.5, estoi=0.96),
        row("rigid-0.01px", "oracle-fitted", info_db=21.0),
    ]
    lines = hearing_limits.targets(rows)
    assert len(lines) == 7
    assert [met for met, _ in lines] == [good] * 7
    assert any("worst 1.00 dB" in line for _, line in lines) == good


def test_a_tone_and_the_strongest_line_beside_it_are_measured() -> None:
    time_s = np.arange(3336) / 1000
    noise = np.random.default_rng(4).standard_normal(len(time_s))
    sound = np.sin(2 * np.pi * 64.037 * time_s) + 0.1 * np.sin(2 * np.pi * 100 * time_s)
    found = limits_forks.tone(sound + 0.02 * noise, 1000.0, 64.04)
    assert found["tone_hz"] == pytest.approx(64.037, abs=0.002)
    assert found["spurious_hz"] == pytest.approx(100.0, abs=0.1)
    assert found["tone_db"] - found["spurious_db"] == pytest.approx(20.0, abs=0.5)


@pytest.mark.parametrize("risen_db", [0.0, 0.5])
def test_a_line_that_the_networks_raise_is_told(risen_db: float) -> None:
    def fork(method: str, spurious_db: float) -> dict[str, object]:
        found = {"tone_hz": 64.04, "tone_off_hz": 0.001, "tone_db": 60.0, "spurious_hz": 128.1}
        return {**found, "kind": "hz64_fps1000", "method": method, "spurious_db": spurious_db}

    heard = {"lucas-kanade": 40.0, "hybrid": 40.0 + risen_db, "pyramid": 45.0}
    lines = limits_forks.fork_targets([fork(method, db) for method, db in heard.items()])
    assert [met for met, _ in lines] == [True, risen_db == 0]


def test_a_sound_of_nothing_is_held_against_both_methods() -> None:
    rows = [
        {"kind": "still", "seed": 0, "method": method, "met": method != "hybrid", "said": "a line"}
        for method in limits_methods.METHODS
    ]
    lines = hearing_limits.nothing_target(rows)
    assert [met for met, _ in lines] == [True, False]
    assert "0 of 1" in lines[1][1]
    assert "still 0 (a line)" in lines[1][1]


def test_a_film_of_three_frames_is_said_to_hold_no_sound(tmp_path: Path) -> None:
    kind = limits_films.KINDS["three-frames"]
    rows = hearing_limits.hear_film((kind.name, 0, limits_films.Shape(0.1, 48), False))
    ours = next(found for found in rows if found["method"] == "lucas-kanade")
    assert ours["met"]
    assert "no sound" in str(ours["said"])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc of Linux")
def test_memory_of_a_run_counts_what_it_starts() -> None:
    heavy = "import time; kept = bytearray(b'x') * (60 << 20); time.sleep(0.4)"
    light = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {heavy!r}])"
    turn = recover_speed.run([sys.executable, "-c", light])
    assert 60 < turn.total_mib < 120
    assert turn.seconds > 0.4


def test_speed_that_breaks_a_promise_is_named() -> None:
    row = {
        "film": "192x192",
        "ratio_best": 1.4,
        "times_the_loop": 150,
        "together_mib": 400.0,
        "memory_ratio": 1.02,
    }
    assert recover_speed.failures_of(row) == []
    broken = row | {"ratio_best": 1.6, "times_the_loop": 60, "together_mib": 2000.0}
    assert len(recover_speed.failures_of(broken | {"memory_ratio": 5.0})) == 4
