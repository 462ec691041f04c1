"""Recordings as files: what is decoded is what was rendered, and the truth lies beside it."""

import subprocess

import numpy as np
import pytest
from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.film.ffmpeg import ffmpeg_executable
from visualmic.film.probe import probe_film
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.truth import load_truth

SMALL = {"width": 48, "height": 32, "seconds": 0.05, "fps": 1000.0}


def all_frames(source) -> np.ndarray:
    return np.concatenate([batch.copy() for batch in source.batches()])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_the_decoded_luma_of_a_lossless_film_is_the_rendered_luma(tmp_path, suffix):
    settings = SimulationSettings(**SMALL, codec="lossless", contrast=3.0)
    film = tmp_path / f"film{suffix}"
    simulate_recording(settings, film, quiet=True)
    rendered = all_frames(Scene(settings))
    assert rendered.min() == 0
    assert rendered.max() == 255
    np.testing.assert_array_equal(all_frames(FilmFrames(film)), rendered)


def test_h264_changes_luma_no_more_than_its_quality_says(tmp_path):
    errors = []
    for crf in (2, 20):
        settings = SimulationSettings(**SMALL, crf=crf, noise_sigma=0)
        simulate_recording(settings, tmp_path / "film.mp4", quiet=True)
        decoded = all_frames(FilmFrames(tmp_path / "film.mp4")).astype(float)
        errors.append((decoded - all_frames(Scene(settings))).std())
    assert errors[0] < 0.7 < errors[1] < 4


def test_a_slow_motion_film_claims_another_rate_and_tells_its_own_in_a_tag(tmp_path):
    film = tmp_path / "phone.mp4"
    settings = SimulationSettings(**SMALL, container_fps=30, capture_tag=True)
    simulate_recording(settings, film, quiet=True)
    said = subprocess.run(
        [ffmpeg_executable(), "-hide_banner", "-i", str(film)], capture_output=True, text=True
    ).stderr
    assert "30 fps" in said
    assert "com.android.capture.fps: 1000" in said


def test_the_sound_track_of_the_film_is_the_sound_that_was_played(tmp_path):
    film = tmp_path / "film.mkv"
    settings = SimulationSettings(**{**SMALL, "seconds": 0.2}, codec="lossless", audio_track=True)
    simulate_recording(settings, film, quiet=True)
    info = probe_film(film)
    assert info.audio_rate == 48_000
    played, _ = read_audio(tmp_path / "film_truth.wav")
    truth = load_truth(tmp_path / "film_truth.h5")
    np.testing.assert_allclose(played, truth.source, atol=1e-4)


def test_the_truth_file_gives_back_all_that_was_true(tmp_path):
    settings = SimulationSettings(**SMALL, shake_px=0.2, flicker=0.01, electrons_per_level=50.0)
    truth = simulate_recording(settings, tmp_path / "a.mp4", tmp_path / "b_truth.h5", quiet=True)
    read = load_truth(tmp_path / "b_truth.h5")
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
    assert (tmp_path / "b_truth.wav").is_file()
    assert SimulationSettings(**read.settings) == settings


def test_a_failed_simulation_leaves_what_was_there(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"an older film")
    with pytest.raises(VisualMicError, match="no sound file"):
        simulate_recording(SimulationSettings(sound="none.wav"), film, quiet=True)
    assert film.read_bytes() == b"an older film"
    assert list(tmp_path.iterdir()) == [film]


def test_a_film_is_not_written_under_an_ending_no_container_has(tmp_path):
    with pytest.raises(VisualMicError, match=r"must end in \.mp4, \.mov, \.mkv"):
        simulate_recording(SimulationSettings(), tmp_path / "film.txt")


def test_an_encoder_that_fails_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no space left on device' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("visualmic.simulate.recording.ffmpeg_executable", lambda: str(broken))
    with pytest.raises(VisualMicError, match=r"cannot encode .*film\.mp4: no space left on device"):
        simulate_recording(SimulationSettings(**SMALL), tmp_path / "film.mp4", quiet=True)
    assert list(tmp_path.iterdir()) == [broken]
