"""The microphone's sound, sampled once a frame: at the right time and free of aliases."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from films import make_film, run_ffmpeg
from numpy.typing import NDArray
from visualmic.audio.reference import (
    extract_reference,
    film_sound,
    gather_samples,
    subsample_to_frames,
    write_subsampled,
)
from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.probe import probe_film


def tone(time_s: NDArray[np.float64], hertz: float) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * hertz * time_s + 0.3)


def times(rate: float, seconds: float) -> NDArray[np.float64]:
    return np.arange(int(rate * seconds)) / rate


def within(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the ends, where the sound begins and ends abruptly."""
    return signal[signal.size // 8 : -signal.size // 8]


@pytest.mark.parametrize("fps", [2200.0, 1000.0, 48000.0, 239.76])
@pytest.mark.parametrize("rate", [44100, 8000])
def test_a_tone_is_sampled_at_the_times_of_the_frames(fps: float, rate: int) -> None:
    hertz = 0.3 * min(fps, rate)
    frames_s = times(fps, 1.5)
    sound = 0.2 * tone(times(rate, 2.0), hertz)
    wanted = tone(frames_s + 0.123, hertz)
    wanted -= wanted.mean()
    sampled = subsample_to_frames(sound, rate, frames_s, offset_s=0.123)
    scale = np.dot(within(sampled), within(wanted)) / np.dot(within(wanted), within(wanted))
    assert scale == pytest.approx(1.0, abs=0.15), "the edges may overshoot, and set the scale"
    assert np.max(np.abs(within(sampled) / scale - within(wanted))) < 1e-3


def test_what_the_frame_rate_cannot_hold_is_removed_and_does_not_fold() -> None:
    """At 1000 frames a second a tone of 900 Hz would appear at 100 Hz."""
    sound_s = times(44100, 2.0)
    frames_s = times(1000, 1.5)
    sound = tone(sound_s, 200.0) + 3.0 * tone(sound_s, 900.0)
    sampled = within(subsample_to_frames(sound, 44100, frames_s, offset_s=0.25))
    wanted = within(tone(frames_s + 0.25, 200.0))
    error = sampled / np.std(sampled) - wanted / np.std(wanted)
    assert np.sqrt(np.mean(error**2)) < 1e-3


def test_uneven_frames_are_sampled_at_their_own_times() -> None:
    rng = np.random.default_rng(4)
    frames_s = np.sort(times(500, 1.0) + 8e-4 * rng.uniform(-1, 1, 500))
    frames_s -= frames_s[0]
    sampled = within(subsample_to_frames(tone(times(44100, 1.2), 90.0), 44100, frames_s))
    wanted = within(tone(frames_s, 90.0))
    assert np.corrcoef(sampled, wanted)[0, 1] > 0.99999


def test_the_greatest_sample_is_one_and_the_mean_is_gone() -> None:
    sound = 0.01 * tone(times(44100, 1.0), 70.0) + 0.3
    sampled = subsample_to_frames(sound, 44100, times(500, 1.0))
    assert np.max(np.abs(sampled)) == 1.0
    assert abs(np.mean(sampled)) < 0.05


def test_silence_and_what_lies_above_the_frame_rate_become_zero() -> None:
    frames_s = times(500, 1.0)
    assert not subsample_to_frames(np.zeros(44100), 44100, frames_s).any()
    hiss = np.hanning(44100) * tone(times(44100, 1.0), 5000.0)
    assert not subsample_to_frames(hiss, 44100, frames_s).any()


@pytest.mark.parametrize(("seconds", "offset_s"), [(0.8, 0.0), (1.2, 0.5), (2.0, -0.5), (2.0, 1.2)])
def test_a_reference_that_does_not_cover_the_film_is_refused(
    seconds: float, offset_s: float
) -> None:
    with pytest.raises(VisualMicError) as refusal:
        subsample_to_frames(
            np.ones(int(seconds * 8000)), 8000, times(500, 1.0), offset_s, name="talk.wav"
        )
    message = str(refusal.value)
    assert f"talk.wav lasts {seconds:.3f} s and does not cover the film" in message
    assert "lasts 0.998 s" in message
    assert "right reference or offset" in message


def test_a_track_that_ends_a_packet_early_is_accepted() -> None:
    assert subsample_to_frames(np.ones(7600), 8000, times(500, 1.0)).size == 500


def test_a_film_s_own_track_begins_with_the_first_frame(tmp_path: Path) -> None:
    """The sound of this film starts 0.2 s before the picture."""
    film = make_film(tmp_path / "picture.mkv", frames=100, fps="100")
    sound_s = times(44100, 1.5)
    click = np.exp(-(((sound_s - 0.7) * 200) ** 2)) * np.sin(2 * np.pi * 500 * sound_s)
    soundfile.write(tmp_path / "sound.wav", click, 44100)
    both = tmp_path / "both.mkv"
    inputs = ("-itsoffset", "0.2", "-i", film, "-i", tmp_path / "sound.wav")
    run_ffmpeg(*inputs, "-c:v", "copy", "-c:a", "flac", both)
    info = probe_film(both)
    assert info.start_s == pytest.approx(0.2, abs=2e-3)
    sound, rate = film_sound(both, info)
    middle = np.sum(np.arange(sound.size) * sound**2) / np.sum(sound**2) / rate
    assert middle == pytest.approx(0.5, abs=2e-3)


def test_a_track_that_starts_after_the_picture_is_preceded_by_silence(tmp_path: Path) -> None:
    film = make_film(tmp_path / "picture.mkv", frames=100, fps="100")
    soundfile.write(tmp_path / "sound.wav", 0.5 * tone(times(44100, 1.0), 440.0), 44100)
    both = tmp_path / "both.mkv"
    inputs = ("-i", film, "-itsoffset", "0.3", "-i", tmp_path / "sound.wav")
    run_ffmpeg(*inputs, "-c:v", "copy", "-c:a", "flac", both)
    sound, rate = film_sound(both, probe_film(both))
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    assert loud[0] / rate == pytest.approx(0.3, abs=5e-3)


def test_a_track_that_was_slowed_with_the_film_is_sped_up(tmp_path: Path) -> None:
    film = make_film(tmp_path / "slow.mp4", frames=60, fps="30", sound_s=2.0)
    with pytest.warns(VisualMicWarning, match="captured at 240"):
        info = probe_film(film, fps=240)
    with pytest.warns(VisualMicWarning, match="sped up 8 times"):
        sound, rate = film_sound(film, info)
    assert rate == 8 * 44100
    assert sound.size / rate == pytest.approx(60 / 240, abs=0.01)


def test_a_track_in_real_time_is_left_as_it_is(tmp_path: Path) -> None:
    film = make_film(tmp_path / "slow.mp4", frames=60, fps="30", sound_s=0.25)
    with pytest.warns(VisualMicWarning, match="captured at 240"):
        info = probe_film(film, fps=240)
    assert film_sound(film, info)[1] == 44100


def test_a_reference_file_is_written_at_the_level_it_came_with(tmp_path: Path) -> None:
    stereo = 0.2 * np.stack([tone(times(16000, 0.5), 300.0)] * 2, axis=1)
    soundfile.write(tmp_path / "talk.flac", stereo, 16000)
    extract_reference(tmp_path / "talk.flac", tmp_path / "dataset" / "talk.wav")
    read, rate = read_audio(tmp_path / "dataset" / "talk.wav")
    assert rate == 16000
    np.testing.assert_allclose(read, stereo[:, 0], atol=1e-4)


def test_a_film_without_a_track_is_named(tmp_path: Path) -> None:
    film = make_film(tmp_path / "silent.mp4")
    with pytest.raises(VisualMicError, match=r"silent\.mp4 has no sound track"):
        extract_reference(film, tmp_path / "a.wav", info=probe_film(film))
    assert not (tmp_path / "a.wav").exists()


def test_samples_are_written_a_row_a_frame_and_as_a_wav_at_the_capture_rate(
    tmp_path: Path,
) -> None:
    samples, time_s = np.array([0.0, 1.0, -0.5, 0.25]), np.arange(4) / 2200
    table, sound = tmp_path / "a.csv", tmp_path / "a_subsampled_-1To1.wav"
    write_subsampled("a", samples, time_s, 2200.0, table, sound)
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["recording", "frame", "time_s", "amplitude"]
    assert [row["recording"] for row in rows] == ["a"] * 4
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 3]
    np.testing.assert_allclose([float(row["time_s"]) for row in rows], time_s, rtol=1e-8)
    np.testing.assert_allclose([float(row["amplitude"]) for row in rows], samples, rtol=1e-8)
    read, rate = read_audio(sound)
    assert rate == 2200
    np.testing.assert_allclose(read, samples, atol=1e-4)


def test_the_wav_of_uneven_frames_is_even(tmp_path: Path) -> None:
    time_s = np.delete(times(100, 1.0), [30, 31, 70])
    table, sound = tmp_path / "a.csv", tmp_path / "a.wav"
    write_subsampled("a", tone(time_s, 5.0), time_s, 100.0, table, sound)
    read, _ = read_audio(sound)
    np.testing.assert_allclose(read, tone(times(100, 1.0), 5.0), atol=2e-3)
    assert len(table.read_text().splitlines()) == 98


def test_tables_are_gathered_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_subsampled(
            name, [1.0, 0.0], [0.0, 0.1], 10.0, tmp_path / f"{name}.csv", tmp_path / f"{name}.wav"
        )
    gather_samples([tmp_path / "b.csv", tmp_path / "a.csv"], tmp_path / "SampledData.csv")
    lines = (tmp_path / "SampledData.csv").read_text().splitlines()
    assert lines == [
        "recording,frame,time_s,amplitude",
        "b,0,0,1",
        "b,1,0.1,0",
        "a,0,0,1",
        "a,1,0.1,0",
    ]


def test_a_table_of_another_kind_is_not_gathered(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(VisualMicError, match=r"a\.csv does not begin with recording,frame"):
        gather_samples([tmp_path / "a.csv"], tmp_path / "SampledData.csv")
    assert not (tmp_path / "SampledData.csv").exists()
