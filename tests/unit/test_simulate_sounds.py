"""The sounds: as long as asked, seeded, and with the spectrum of what they are named for."""

import numpy as np
import pytest
from scipy.signal import spectrogram
from visualmic.audio.wav import write_wav
from visualmic.errors import VisualMicError
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import make_sound


def sound(**settings):
    return make_sound(SimulationSettings(**settings))


@pytest.mark.parametrize("name", ["tune", "speech", "tone", "chirp"])
def test_a_sound_is_as_long_as_asked_and_fills_its_range(name):
    made = sound(sound=name, seconds=1.3)
    assert len(made.samples) == round(1.3 * made.rate)
    assert np.abs(made.samples).max() == pytest.approx(0.9)


@pytest.mark.parametrize("name", ["tune", "speech"])
def test_the_seed_chooses_the_sound(name):
    first = sound(sound=name, seconds=0.5, seed=1).samples
    np.testing.assert_array_equal(sound(sound=name, seconds=0.5, seed=1).samples, first)
    assert np.corrcoef(sound(sound=name, seconds=0.5, seed=2).samples, first)[0, 1] < 0.5


def test_a_tone_has_its_frequency():
    made = sound(sound="tone", tone_hz=330.0, seconds=1.0)
    assert np.argmax(np.abs(np.fft.rfft(made.samples))) == 330


def test_a_chirp_sweeps_the_band_of_the_film():
    made = sound(sound="chirp", seconds=2.0, fps=2200.0)
    hertz, _, power = spectrogram(made.samples, made.rate, nperseg=4096)
    strongest = hertz[np.argmax(power, axis=0)]
    assert strongest[0] < 70
    assert strongest[-1] > 850
    assert np.all(np.diff(strongest) >= 0)


@pytest.mark.parametrize("fps", [480.0, 2200.0])
def test_a_tune_can_be_heard_by_the_camera(fps):
    made = sound(sound="tune", seconds=3.0, fps=fps, sound_low_hz=30.0)
    power = np.abs(np.fft.rfft(made.samples)) ** 2
    hertz = np.fft.rfftfreq(len(made.samples), 1 / made.rate)
    assert power[(hertz > 30) & (hertz < 0.45 * fps)].sum() > 0.8 * power.sum()


def test_speech_has_voice_formants_hiss_and_pauses():
    made = sound(sound="speech", seconds=6.0, seed=3)
    power = np.abs(np.fft.rfft(made.samples)) ** 2
    hertz = np.fft.rfftfreq(len(made.samples), 1 / made.rate)

    def share(low: float, high: float) -> float:
        return power[(hertz >= low) & (hertz < high)].sum() / power.sum()

    assert share(80, 1000) > 0.5
    assert share(1000, 8000) > 0.02
    frames = made.samples[: len(made.samples) // 960 * 960].reshape(-1, 960)
    loudness = np.sqrt((frames**2).mean(axis=1))
    # Speech comes and goes: a few loud syllables a second between quiet.
    assert np.mean(loudness < 0.1 * loudness.max()) > 0.1
    envelope = np.abs(np.fft.rfft(loudness - loudness.mean()))
    rate = np.fft.rfftfreq(len(loudness), 960 / made.rate)
    syllables = (rate > 1) & (rate < 8)
    assert (envelope[syllables] ** 2).sum() > 0.4 * (envelope**2).sum()


def test_voiced_speech_has_a_pitch():
    made = sound(sound="speech", seconds=4.0, seed=3)
    window = round(0.06 * made.rate)
    best = 0.0
    for start in range(0, len(made.samples) - window, window):
        part = made.samples[start : start + window]
        if np.std(part) < 0.3 * np.std(made.samples):
            continue
        likeness = np.correlate(part, part, "full")[window - 1 :]
        lags = slice(made.rate // 300, made.rate // 70)
        best = max(best, likeness[lags].max() / likeness[0])
    assert best > 0.6


def test_a_file_is_cut_or_followed_by_silence(tmp_path):
    path = tmp_path / "beep.wav"
    write_wav(path, np.sin(np.arange(4000)), 8000)
    assert len(sound(sound=str(path)).samples) == 4000
    assert len(sound(sound=str(path), seconds=0.25).samples) == 2000
    longer = sound(sound=str(path), seconds=1.0)
    assert longer.rate == 8000
    assert len(longer.samples) == 8000
    assert np.all(longer.samples[4000:] == 0)


def test_silence_is_silent():
    assert not sound(sound="silence", seconds=0.1).samples.any()


def test_a_sound_that_is_neither_known_nor_a_file_is_refused(tmp_path):
    with pytest.raises(VisualMicError, match="none of tune, speech, tone, chirp, silence"):
        sound(sound=str(tmp_path / "nothing.wav"))
