"""Noise reduction against tones whose noise is known."""

import numpy as np
import pytest
from visualmic.audio.denoise import (
    DenoiseSettings,
    butterworth_highpass,
    denoise,
    spectral_subtraction,
)
from visualmic.audio.wav import read_audio, write_wav
from visualmic.cli.main import main
from visualmic.errors import VisualMicError

FPS = 2200.0
TIME_S = np.arange(int(4 * FPS)) / FPS
# A note between one second of silence on either side.
NOTE = np.sin(2 * np.pi * 220 * TIME_S) * ((TIME_S > 1) & (TIME_S < 3))
DURING = (TIME_S > 1.1) & (TIME_S < 2.9)
BEFORE = TIME_S < 0.9


def noise(std, seed=0, size=TIME_S.size):
    return std * np.random.default_rng(seed).standard_normal(size)


def gain_and_snr_db(signal, reference):
    gain = signal @ reference / (reference @ reference)
    rest = signal - gain * reference
    return gain, 10 * np.log10(gain**2 * (reference @ reference) / (rest @ rest))


@pytest.mark.parametrize("noise_std", [0.2, 0.7])
def test_spectral_subtraction_raises_the_snr_and_keeps_the_tone(noise_std):
    noisy = NOTE + noise(noise_std)
    clean = spectral_subtraction(noisy, FPS)
    _, before = gain_and_snr_db(noisy[DURING], NOTE[DURING])
    gain, after = gain_and_snr_db(clean[DURING], NOTE[DURING])
    assert after > before + 8
    assert gain == pytest.approx(1, abs=0.03)
    # Speech-free passages fall towards the floor of 20 dB.
    assert np.std(clean[BEFORE]) < 0.3 * np.std(noisy[BEFORE])


def test_spectral_subtraction_keeps_phase_and_frequency():
    clean = spectral_subtraction(NOTE + noise(0.3), FPS)
    analytic = clean[DURING] @ np.exp(-2j * np.pi * 220 * TIME_S[DURING])
    truth = NOTE[DURING] @ np.exp(-2j * np.pi * 220 * TIME_S[DURING])
    assert abs(np.angle(analytic / truth)) < 0.01
    spectrum = np.abs(np.fft.rfft(clean[DURING] * np.hanning(DURING.sum()), 16 * DURING.sum()))
    peak_hz = np.argmax(spectrum) * FPS / (16 * DURING.sum())
    assert peak_hz == pytest.approx(220, abs=0.1)


def test_a_tone_held_through_the_whole_sound_is_kept():
    tone = np.sin(2 * np.pi * 220 * TIME_S)
    noisy = tone + noise(0.5)
    clean = spectral_subtraction(noisy, FPS)
    gain, after = gain_and_snr_db(clean[DURING], tone[DURING])
    assert gain > 0.95
    assert after > gain_and_snr_db(noisy[DURING], tone[DURING])[1] + 8


def test_a_hum_present_in_quiet_passages_is_removed():
    hum = 0.3 * np.sin(2 * np.pi * 500 * TIME_S)
    clean = spectral_subtraction(NOTE + hum + noise(0.05), FPS)
    remaining = 2 * abs(clean[DURING] @ np.exp(-2j * np.pi * 500 * TIME_S[DURING])) / DURING.sum()
    assert remaining < 0.05


def test_more_over_subtraction_and_a_lower_floor_leave_less_noise():
    noisy = NOTE + noise(0.5)
    left = [
        np.std(spectral_subtraction(noisy, FPS, over_subtraction=over, floor=floor)[BEFORE])
        for over, floor in [(0, 0.1), (1, 0.1), (3, 0.1), (3, 0.0)]
    ]
    assert left[0] == np.std(noisy[BEFORE])
    assert left[0] > left[1] > left[2] > left[3]


def test_a_floor_of_one_changes_nothing():
    noisy = NOTE + noise(0.5)
    np.testing.assert_allclose(spectral_subtraction(noisy, FPS, floor=1.0), noisy, atol=1e-10)


def test_the_whole_scales_with_its_input():
    noisy = NOTE + noise(0.5)
    np.testing.assert_allclose(denoise(1e-6 * noisy, FPS), 1e-6 * denoise(noisy, FPS), rtol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 31, 32, 33, 200, 5000])
def test_silence_stays_silence_at_any_length(length):
    assert np.array_equal(denoise(np.zeros(length), FPS), np.zeros(length))


@pytest.mark.parametrize("length", [1, 2, 3, 5, 31, 32, 33, 63, 200, 1001])
def test_short_sounds_keep_their_length_and_stay_finite(length):
    clean = denoise(noise(1.0, size=length), FPS)
    assert clean.shape == (length,)
    assert np.isfinite(clean).all()


def test_a_passage_of_digital_silence_gives_no_nan():
    gated = NOTE + noise(0.1) * (TIME_S > 1)
    assert np.isfinite(denoise(gated, FPS)).all()


def test_highpass_removes_sway_and_keeps_the_tone_in_place():
    sway = 50 * np.sin(2 * np.pi * 1.5 * TIME_S + 0.4) + 7
    filtered = butterworth_highpass(NOTE + sway, FPS, 20.0)
    gain, snr = gain_and_snr_db(filtered[DURING], NOTE[DURING])
    assert gain == pytest.approx(1, abs=0.001)
    assert snr > 60


@pytest.mark.parametrize("sway_amplitude", [0.0, 20.0, 500.0])
def test_highpass_adds_no_click_at_the_ends(sway_amplitude):
    tone = np.sin(2 * np.pi * 137 * TIME_S)
    sway = sway_amplitude * np.sin(2 * np.pi * 0.7 * TIME_S + 1)
    filtered = butterworth_highpass(tone + sway, FPS, 20.0)
    assert np.abs(filtered - tone).max() < 0.2


def test_highpass_attenuates_by_six_decibels_at_its_cutoff():
    tone = np.sin(2 * np.pi * 100 * TIME_S)
    gain, _ = gain_and_snr_db(butterworth_highpass(tone, FPS, 100.0)[DURING], tone[DURING])
    assert 20 * np.log10(gain) == pytest.approx(-6.02, abs=0.05)


def test_highpass_filters_every_channel_alike():
    channels = np.stack([NOTE, noise(1.0)], axis=1)
    filtered = butterworth_highpass(channels, FPS, 30.0)
    for channel in range(2):
        np.testing.assert_allclose(
            filtered[:, channel],
            butterworth_highpass(channels[:, channel], FPS, 30.0),
            atol=1e-12,
        )


def test_a_cutoff_of_zero_removes_only_the_mean():
    np.testing.assert_allclose(
        butterworth_highpass([1.0, 2.0, 6.0], FPS, 0.0), [-2.0, -1.0, 3.0], atol=1e-12
    )


@pytest.mark.parametrize("cutoff_hz", [1100.0, 5000.0, -1.0, float("nan")])
def test_a_cutoff_that_does_not_fit_the_rate_is_refused(cutoff_hz):
    with pytest.raises(VisualMicError, match="cut-off"):
        butterworth_highpass(NOTE, FPS, cutoff_hz)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cutoff_hz": -1.0},
        {"order": 0},
        {"window_s": 0.0},
        {"noise_quantile": 0.0},
        {"noise_quantile": 1.5},
        {"over_subtraction": -0.1},
        {"floor": 1.1},
        {"floor": float("nan")},
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(VisualMicError, match=next(iter(wrong))):
        DenoiseSettings(**wrong)


def test_samples_that_are_not_numbers_are_refused():
    with pytest.raises(VisualMicError, match="not numbers"):
        denoise([0.0, float("nan"), 1.0], FPS)


def test_the_command_cleans_a_file_at_its_own_rate(tmp_path, capsys):
    write_wav(tmp_path / "noisy.wav", NOTE + noise(0.5), FPS)
    target = tmp_path / "clean.wav"
    arguments = [str(tmp_path / "noisy.wav"), str(target)]
    assert main(["denoise", *arguments, "--over-subtraction", "3", "--floor", "0.05"]) == 0
    assert str(target) in capsys.readouterr().out
    noisy, _ = read_audio(tmp_path / "noisy.wav")
    clean, rate = read_audio(target)
    assert (rate, len(clean)) == (FPS, len(NOTE))
    before, after = (gain_and_snr_db(x[DURING], NOTE[DURING])[1] for x in (noisy, clean))
    assert after > before + 8


def test_the_command_names_a_setting_it_cannot_use(tmp_path, capsys):
    write_wav(tmp_path / "noisy.wav", NOTE, FPS)
    target = tmp_path / "clean.wav"
    assert main(["denoise", str(tmp_path / "noisy.wav"), str(target), "--cutoff", "2000"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("visualmic denoise: ")
    assert "2000 Hz" in said
    assert not target.exists()
