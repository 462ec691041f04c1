"""Previews: in step, playable, and showing the motion that is there."""

import argparse
import itertools
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from visualmic.cli import preview
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.film.ffmpeg import ffmpeg_executable
from visualmic.film.probe import probe_film
from visualmic.motion.steerable_pyramid import SteerablePyramid
from visualmic.report.magnification import (
    LockIn,
    Magnifier,
    SoundHeat,
    analytic_sound,
    windows_of,
)
from visualmic.report.preview import PreviewSettings, write_preview

FPS = 600.0


def run_preview(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    preview.add_arguments(parser)
    return preview.run(parser.parse_args([str(argument) for argument in arguments]))


def displacement(shifted: np.ndarray, still: np.ndarray) -> float:
    """Least-squares shift along x, in pixels, of a small motion."""
    slope = np.gradient(still, axis=1)[4:-4, 4:-4]
    change = (shifted - still)[4:-4, 4:-4]
    return float(-(slope * change).sum() / (slope**2).sum())


def moved(still: np.ndarray, amount_px: float) -> np.ndarray:
    frame = shifted_frames(still, [amount_px], quantise=False)
    return np.asarray(frame[0], np.float32)


def test_untouched_coefficients_give_back_what_the_subbands_hold() -> None:
    # Frequencies between a sixteenth and a quarter of the sampling rate lie in three scales wholly.
    spread = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(96)[None, :])
    band = (spread > 0.0625) & (spread < 0.25)
    still = np.fft.ifft2(np.fft.fft2(texture(64, 96)) * band).real.astype(np.float32)
    coefficients = SteerablePyramid(still.shape, 3, 4).coefficients(still[None])
    back = Magnifier(still.shape, 1.0).synthesis({key: c[0] for key, c in coefficients.items()})
    assert np.abs(back - still).max() < 1e-4 * np.abs(still).max()


@pytest.mark.parametrize(("amount", "factor"), [(0.01, 50.0), (-0.02, 40.0), (0.05, 10.0)])
def test_motion_is_magnified_by_the_factor_asked_for(amount: float, factor: float) -> None:
    still = texture(64, 64, period_px=16.0).astype(np.float32)
    magnified = Magnifier(still.shape, factor).magnify(still, moved(still, amount))
    assert displacement(magnified, still) == pytest.approx(amount * factor, rel=0.12)


def test_a_frame_that_did_not_move_stays_as_it_is() -> None:
    still = texture(48, 48).astype(np.float32)
    assert np.abs(Magnifier(still.shape, 100.0).magnify(still, still) - still).max() < 0.01


def test_the_lock_in_finds_the_motion_under_the_noise() -> None:
    still = texture(48, 48, period_px=12.0)
    time = np.arange(300) / FPS
    path = 0.03 * np.sin(2 * np.pi * 110 * time + 0.4)
    frames = shifted_frames(still, path, noise_std=1.0, quantise=False).astype(np.float32)
    lock_in = LockIn(still.shape, windows=3)
    sound = analytic_sound(np.sin(2 * np.pi * 110 * time))
    for window in windows_of(time, 6.0):
        lock_in.add(frames[window], sound[window])
    mean, push = lock_in.result()
    # The push is that at the root mean square of the analytic sound, which is its amplitude here.
    along = displacement(mean + push.real, mean)
    across = displacement(mean + push.imag, mean)
    assert np.hypot(along, across) == pytest.approx(0.03, rel=0.1)


def test_heat_is_where_the_sound_is() -> None:
    rng = np.random.default_rng(0)
    still = texture(48, 96, period_px=12.0)
    time = np.arange(400) / FPS
    path = 0.05 * np.sin(2 * np.pi * 130 * time)
    shaken = shifted_frames(still, path, quantise=False)
    frames = np.concatenate([np.repeat(still[None, :, :48], 400, 0), shaken[:, :, 48:]], axis=2)
    frames = (frames + rng.standard_normal(frames.shape)).astype(np.float32)
    heat = SoundHeat(still.shape, 16)
    sound = analytic_sound(np.sin(2 * np.pi * 130 * time))
    for window in windows_of(time, 30.0):
        heat.add(frames[window], sound[window])
    strength = heat.strength()
    assert strength.shape == (3, 6)
    assert strength[:, 3:].min() > 10.0
    # Chance is 1; the mean of 256 pixels with one degree pair each is within half of it.
    assert np.all(np.abs(strength[:, :3] - 1.0) < 0.5)


def test_every_frame_belongs_to_one_picture() -> None:
    time = np.arange(2200) / 2200
    windows = windows_of(time, 30.0)
    assert len(windows) == 30
    assert windows[0].start == 0
    assert windows[-1].stop == 2200
    assert all(a.stop == b.start for a, b in itertools.pairwise(windows))
    gap = windows_of(np.array([0.0, 0.01, 0.5]), 10.0)
    assert [w.stop - w.start for w in gap] == [2, 0, 0, 0, 0, 1]


@pytest.fixture(scope="module")
def film() -> tuple[ArrayFrames, np.ndarray, np.ndarray]:
    """A second of film in which brightness and sound both step up half-way."""
    time = np.arange(600) / FPS
    loud = time >= 0.5
    sound = np.where(loud, 0.8, 0.0) * np.sin(2 * np.pi * 150 * time)
    scene = texture(50, 67, period_px=10.0, contrast=20.0)
    frames = shifted_frames(scene, 0.05 * sound, quantise=False)
    frames = np.clip(frames - 40 + 80 * loud[:, None, None], 0, 255)
    return ArrayFrames(np.rint(frames).astype(np.uint8), FPS, "a film"), time, sound


def test_a_preview_is_what_browsers_and_phones_play(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    source, time, sound = film
    output = tmp_path / "preview.mp4"
    write_preview(source, time, sound, FPS, output, quiet=True)
    said = subprocess.run(
        [ffmpeg_executable(), "-hide_banner", "-i", output], capture_output=True, text=True
    ).stderr
    assert re.search(r"Video: h264 .*yuv420p", said)
    assert re.search(r"Audio: aac .*48000 Hz, mono", said)
    info = probe_film(output)
    assert info.width % 2 == info.height % 2 == 0
    assert info.frames == 30
    assert info.container_fps == pytest.approx(30.0)
    # The index comes first, so that it plays while it is loaded.
    data = output.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_picture_and_sound_are_in_step(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    from visualmic.audio.reference import read_sound_track

    source, time, sound = film
    output = tmp_path / "preview.mp4"
    write_preview(source, time, sound, FPS, output, quiet=True)
    brightness = np.concatenate([b.mean(axis=(1, 2)) for b in FilmFrames(output).batches()])
    samples, rate = read_sound_track(output, begin_s=0.0)
    seen = np.argmax(brightness > brightness.mean()) / 30.0
    heard = np.argmax(np.abs(samples) > 0.5 * np.abs(samples).max()) / rate
    assert seen == pytest.approx(0.5, abs=0.5 / 30)
    assert heard == pytest.approx(0.5, abs=0.01)


def test_each_choice_changes_the_picture(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    source, time, sound = film
    sizes, pictures = set(), []
    for name, choice in {
        "plain": PreviewSettings(),
        "heat": PreviewSettings(heat_map=True),
        "large": PreviewSettings(magnify=60.0),
        "wave": PreviewSettings(waveform=True),
    }.items():
        write_preview(source, time, sound, FPS, tmp_path / f"{name}.mp4", choice, quiet=True)
        preview = FilmFrames(tmp_path / f"{name}.mp4")
        sizes.add((preview.width, preview.height))
        pictures.append(np.concatenate([b.copy() for b in preview.batches()])[20])
    plain, heat, large, wave = (picture.astype(float) for picture in pictures)
    assert np.abs(heat - plain).max() > 30
    assert np.abs(large - plain).max() > 15
    assert wave.shape[0] > plain.shape[0]
    assert len(sizes) == 2


def test_a_film_slower_than_the_pictures_keeps_its_rate(tmp_path: Path) -> None:
    frames = ArrayFrames(np.full((12, 32, 32), 90, np.uint8), 12.0)
    sound = np.sin(np.arange(8000) / 5)
    write_preview(frames, frames.time_s(), sound, 8000, tmp_path / "slow.mp4", quiet=True)
    info = probe_film(tmp_path / "slow.mp4")
    assert (info.frames, round(info.container_fps)) == (12, 12)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (PreviewSettings(magnify=-1.0), "give 0 or more"),
        (PreviewSettings(shown_fps=0.0), "give 1 to 120"),
        (PreviewSettings(shown_fps=120.0, heat_map=True), None),
        (PreviewSettings(shown_fps=100.0, magnify=10.0), None),
    ],
)
def test_settings_that_cannot_be_are_refused(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray],
    tmp_path: Path,
    choice: PreviewSettings,
    said: str | None,
) -> None:
    source, _, sound = film
    slow = ArrayFrames(source.frames[:200], 200.0)
    with pytest.raises(VisualMicError, match=said or "too few to follow a sound"):
        write_preview(slow, slow.time_s(), sound, FPS, tmp_path / "no.mp4", choice, quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_fails_is_one_error_and_leaves_nothing(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, time, sound = film
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("visualmic.film.ffmpeg.ffmpeg_executable", lambda: str(broken))
    with pytest.raises(VisualMicError, match="Unknown encoder libx264"):
        write_preview(source, time, sound, FPS, tmp_path / "out.mp4", quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_the_command_shows_a_film_with_a_sound(
    film: tuple[ArrayFrames, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    from visualmic.audio.wav import write_wav

    source, time, sound = film
    write_preview(source, time, sound, FPS, tmp_path / "film.mp4", quiet=True)
    write_wav(tmp_path / "heard.wav", sound, FPS)
    film_and_sound = (tmp_path / "film.mp4", "--sound", tmp_path / "heard.wav")
    assert run_preview(*film_and_sound, "-o", tmp_path / "out.mp4", "--quiet", "--waveform") == 0
    assert probe_film(tmp_path / "out.mp4").frames == 30


def test_the_command_recovers_the_sound_itself(tmp_path: Path) -> None:
    from visualmic.audio.reference import read_sound_track

    time = np.arange(400) / FPS
    path = 0.2 * np.sin(2 * np.pi * 90 * time)
    frames = shifted_frames(texture(64, 64, period_px=12.0), path, noise_std=0.5)
    write_film(tmp_path / "film.mkv", frames)
    options = ("--fps", FPS, "--method", "pyramid", "-o", tmp_path / "out.mp4", "--quiet")
    assert run_preview(tmp_path / "film.mkv", *options) == 0
    samples, rate = read_sound_track(tmp_path / "out.mp4")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    assert np.argmax(spectrum) * rate / samples.size == pytest.approx(90, abs=2)


def write_film(path: Path, frames: np.ndarray) -> None:
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    options = ["-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", str(FPS)]
    command = [ffmpeg_executable(), *options, "-i", "-", "-c:v", "ffv1", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


@pytest.mark.parametrize(
    ("output", "more", "said"),
    [
        ("out.avi", (), "name it with .mp4"),
        ("out.mp4", (), "there is no file no.mp4"),
        ("out.mp4", ("--crop", "1,2,3"), "four whole numbers"),
        ("out.mp4", ("--method", "pyramid"), "give one of them"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, output: str, more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(VisualMicError, match=said):
        run_preview("no.mp4", "--sound", "no.wav", "-o", tmp_path / output, *more)
