import contextlib
import math

import mir_eval
import numpy as np
import pystoi
import pytest
import scipy.linalg
import scipy.signal
from visualmic.evaluate import metrics
from visualmic.evaluate.equaliser import best_delay, best_equaliser
from visualmic.evaluate.metrics import METRICS, UndefinedMetric

RATE = 2200.0


@pytest.fixture(scope="module")
def played():
    """Six seconds of noise that comes and goes as speech does."""
    rng = np.random.default_rng(0)
    envelope = 1 + np.sin(2 * np.pi * 3 * np.arange(13200) / RATE)
    noise = scipy.signal.lfilter([1, 0.5], [1, -0.9, 0.5], rng.standard_normal(13200))
    return envelope * noise / 20


@pytest.fixture(scope="module")
def heard(played):
    return played + 0.3 * played.std() * np.random.default_rng(1).standard_normal(len(played))


def test_rmse_and_mae_are_those_of_the_errors():
    assert metrics.rmse([1, 2, 3, 4], [1, 2, 3, 2]) == 1.0
    assert metrics.mae([1, 2, 3, 4], [1, 2, 3, 2]) == 0.5


def test_pearson_equals_numpy(played, heard):
    expected = np.corrcoef(played, heard)[0, 1]
    assert metrics.pearson(played, heard) == pytest.approx(expected, abs=1e-12)
    assert metrics.pearson(played, -7 * played + 3) == pytest.approx(-1, abs=1e-12)


def test_si_sdr_equals_mir_eval_with_a_filter_of_one_tap(played, heard):
    parts = mir_eval.separation._bss_decomp_mtifilt(played[None], heard, 0, 1)
    expected = mir_eval.separation._bss_source_crit(*parts)[0]
    assert metrics.si_sdr(played, heard) == pytest.approx(expected, abs=1e-6)
    assert metrics.si_sdr(played, -0.003 * heard) == pytest.approx(expected, abs=1e-6)


def test_si_sdr_of_orthogonal_noise_is_the_power_ratio():
    time = np.arange(1000) / 1000
    tone, noise = np.sin(2 * np.pi * 50 * time), np.sin(2 * np.pi * 70 * time)
    assert metrics.si_sdr(tone, 3 * (tone + 0.1 * noise)) == pytest.approx(20, abs=1e-9)
    assert metrics.si_sdr(tone, tone) == math.inf
    assert metrics.si_sdr(tone, noise) == -math.inf


def direct_fit(truth, sound, taps, delay=0):
    """Filter and score of the fit without any short cut, the sound advanced by `delay`."""
    truth = truth[max(-delay, 0) : len(truth) - max(delay, 0)]
    sound = sound[max(delay, 0) : len(sound) - max(-delay, 0)]
    matrix = scipy.linalg.convolution_matrix(sound, taps, "valid")
    first = taps - 1 - taps // 2
    target = truth[first : first + len(matrix)]
    filters, *_ = np.linalg.lstsq(matrix, target)
    error = np.sum((target - matrix @ filters) ** 2) / (len(target) - taps)
    return filters, 10 * np.log10(np.mean(target**2) / error)


@pytest.mark.parametrize("taps", [1, 2, 7, 64])
def test_equaliser_and_info_match_a_direct_least_squares_fit(played, heard, taps):
    truth, sound = played[:3000], scipy.signal.lfilter([1, 0.3], [1, -0.7], heard)[:3000]
    filters = direct_fit(truth, sound, taps)[0]
    assert best_equaliser(truth, sound, taps) == pytest.approx(filters, abs=1e-6)
    expected = direct_fit(truth, sound, taps, best_delay(truth, sound, taps))[1]
    assert metrics.info(truth, sound, taps=taps) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("samples", [0, 11, -11, 40, -40])
def test_info_finds_its_place_after_a_delay_of_half_its_length(played, samples):
    # Longer than the taps are, so that where they lie decides what they undo.
    answer = scipy.signal.lfilter([1], [1, -1.9, 0.96], np.eye(1, 150)[0])
    resonant = np.convolve(played, answer)[: len(played)]
    resonant += 1e-3 * resonant.std() * np.random.default_rng(5).standard_normal(len(played))
    late = np.roll(resonant, samples)[200:-200]
    at_truth = metrics.info(played[200:-200], resonant[200:-200])
    assert metrics.info(played[200:-200], late) == pytest.approx(at_truth, abs=0.3)


@pytest.mark.parametrize("delay", [0, 5, -20])
def test_the_best_place_of_the_taps_is_that_of_the_best_direct_fit(played, delay):
    truth, sound = played[:3000], np.roll(played, 20 + delay)[:3000]
    sound = sound + 0.1 * np.random.default_rng(6).standard_normal(3000)
    found = best_delay(truth, sound, 8)
    fits = [direct_fit(truth, sound, 8, trial)[1] for trial in range(-4, 5)]
    assert fits[found + 4] > max(fits) - 0.05


def test_info_sees_through_a_colouring_that_si_sdr_counts_as_distortion(played):
    coloured = scipy.signal.lfilter([1.0], [1, -1.2, 0.8], played)
    assert metrics.si_sdr(played, coloured) < 5
    assert metrics.info(played, coloured) > 100


def test_info_of_a_known_noise_is_its_signal_to_noise_ratio():
    rng = np.random.default_rng(3)
    played, noise = rng.standard_normal((2, 200_000))
    # The best gain for equal powers is a half, which leaves half of the reference's power.
    assert metrics.info(played, played + noise) == pytest.approx(10 * np.log10(2), abs=0.05)


def test_info_of_unrelated_noise_is_not_flattered_by_its_own_fit():
    rng = np.random.default_rng(4)
    values = [metrics.info(*rng.standard_normal((2, 1000))) for _ in range(100)]
    assert abs(np.mean(values)) < 0.1
    raw = 10 * np.log10(1 / (1 - 64 / 1000))
    assert raw > 0.25


def test_segmental_snr_equals_the_published_loop(played, heard):
    length, hop = 66, 16
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1)))
    values = []
    for start in range(0, len(played) - length + 1, hop):
        truth = played[start : start + length] * window
        error = (played - heard)[start : start + length] * window
        ratio = 10 * np.log10(np.sum(truth**2) / np.sum(error**2))
        values.append(min(max(ratio, -10), 35))
    assert metrics.segmental_snr(played, heard, RATE) == pytest.approx(np.mean(values), abs=1e-6)


def test_segmental_snr_leaves_out_pauses_of_the_reference(played):
    paused = np.concatenate([played, np.zeros(5000)])
    assert metrics.segmental_snr(paused, paused, RATE) == 35
    assert metrics.segmental_snr(paused, 0 * paused, RATE) == pytest.approx(0, abs=1e-9)


def test_log_likelihood_ratio_equals_the_direct_formula(played, heard):
    length, hop, order = 66, 16, 10
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1)))
    values = []
    for start in range(0, len(played) - length + 1, hop):
        predictors, matrices = [], []
        for signal in (played, heard):
            frame = signal[start : start + length] * window
            lags = np.correlate(frame, frame, "full")[length - 1 : length + order]
            predictors.append(np.r_[1, scipy.linalg.solve_toeplitz(lags[:-1], -lags[1:])])
            matrices.append(scipy.linalg.toeplitz(lags))
        own, other = (a @ matrices[0] @ a for a in predictors)
        values.append(min(np.log(other / own), 2))
    kept = sorted(values)[: round(0.95 * len(values))]
    value = metrics.log_likelihood_ratio(played, heard, RATE)
    assert value == pytest.approx(np.mean(kept), abs=1e-6)


def test_log_spectral_distance_of_a_gain_is_that_gain(played):
    assert metrics.log_spectral_distance(played, played / 2, RATE, floor_db=-300) == pytest.approx(
        20 * np.log10(2), abs=1e-6
    )


def test_coherence_equals_scipy(played, heard):
    frequency, expected = scipy.signal.coherence(played, heard, RATE, nperseg=275)
    band = (frequency >= 100) & (frequency <= 1000)
    assert metrics.coherence(played, heard, RATE) == pytest.approx(expected[band].mean(), abs=1e-6)


def test_coherence_of_noise_at_a_known_ratio_is_the_ratio():
    rng = np.random.default_rng(6)
    played, noise = rng.standard_normal((2, 400_000))
    assert metrics.coherence(played, played + noise, RATE) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [480, 2200, 2203, 10_000, 11_025, 16_000])
@pytest.mark.parametrize("extended", [False, True])
def test_intelligibility_equals_pystoi(played, heard, rate, extended):
    expected = pystoi.stoi(played, heard, rate, extended=extended)
    metric = metrics.estoi if extended else metrics.stoi
    assert metric(played, heard, float(rate)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("extended", [False, True])
def test_intelligibility_equals_pystoi_with_pauses_of_both(played, heard, extended):
    truth, sound = played.copy(), heard.copy()
    truth[4000:6500] *= 1e-4
    sound[8000:9500] = 0
    expected = pystoi.stoi(truth, sound, 2200, extended=extended)
    metric = metrics.estoi if extended else metrics.stoi
    # Where the estimate is digitally silent pystoi correlates random numbers, new ones each time.
    tolerance = 5e-3 if extended else 1e-6
    assert metric(truth, sound, RATE) == pytest.approx(expected, abs=tolerance)


def test_intelligibility_takes_rates_that_are_not_whole_numbers(played, heard):
    assert metrics.stoi(played, heard, 2200.4) == pytest.approx(
        metrics.stoi(played, heard, 2200), abs=0.01
    )


def test_intelligibility_is_the_same_every_time_and_leaves_numpy_alone(played, heard):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    values = {metrics.estoi(played, heard, RATE) for _ in range(3)}
    assert len(values) == 1
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_intelligibility_of_mostly_silence_gives_its_reason():
    truth = np.zeros(5 * 2200)
    truth[:100] = np.random.default_rng(0).standard_normal(100)
    with pytest.raises(UndefinedMetric, match="pauses"):
        metrics.stoi(truth, truth, RATE)


@pytest.mark.parametrize("frequency", [31.97, 64.037, 123.456, 433.21])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_tone_of_three_seconds_is_found_to_a_hundredth_of_a_hertz(frequency, phase):
    time = np.arange(3000) / 1000
    noise = 0.1 * np.random.default_rng(0).standard_normal(3000)
    tone = metrics.strongest_tone(np.sin(2 * np.pi * frequency * time + phase) + noise, 1000)
    assert tone.frequency_hz == pytest.approx(frequency, abs=0.01)


def test_tone_prominence_is_the_height_over_the_median_of_the_noise():
    samples, level = 20_000, 0.01
    noise = level * np.random.default_rng(7).standard_normal(samples)
    tone = np.sin(2 * np.pi * 100 * np.arange(samples) / 1000)
    # A Hann window gives the tone N/4 and the noise a Rayleigh median of level sqrt(3/8 N ln 2).
    expected = samples / 4 / (level * math.sqrt(3 / 8 * samples * math.log(2)))
    found = metrics.strongest_tone(tone + noise, 1000.0)
    assert found.prominence_db == pytest.approx(20 * math.log10(expected), abs=0.5)


def test_tone_is_looked_for_in_its_band_only():
    time = np.arange(3000) / 1000
    sound = np.sin(2 * np.pi * 64 * time) + 5 * np.sin(2 * np.pi * 300 * time)
    assert metrics.strongest_tone(sound, 1000, 20, 200).frequency_hz == pytest.approx(64, abs=0.01)
    assert metrics.strongest_tone(sound, 1000).frequency_hz == pytest.approx(300, abs=0.01)
    with pytest.raises(UndefinedMetric, match="no frequency"):
        metrics.strongest_tone(sound, 1000, 600, 700)


def test_pesq_says_what_to_install_where_it_is_missing(played, heard, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UndefinedMetric, match=r"visualmic\[pesq\]"):
        metrics.pesq(played, heard, RATE)


def test_pesq_is_used_where_it_is_installed():
    pesq = pytest.importorskip("pesq", reason="the optional package pesq is not installed")
    speech = np.random.default_rng(0).standard_normal(16_000)
    expected = pesq.pesq(8000, speech / np.abs(speech).max(), speech / np.abs(speech).max(), "nb")
    assert metrics.pesq(speech, speech, 8000.0) == pytest.approx(expected, abs=1e-6)


MEASURED = [name for name in METRICS if name != "pesq"]
COMPARING = [name for name in MEASURED if METRICS[name].better != "nearer"]


@pytest.mark.parametrize("name", COMPARING)
def test_more_noise_scores_worse(name, played):
    metric = METRICS[name]
    noise = played.std() * np.random.default_rng(8).standard_normal(len(played))
    values = [metric.function(played, played + k * noise, RATE) for k in (0.1, 0.5, 2.0)]
    assert values == sorted(values, reverse=metric.better == "higher")


@pytest.mark.parametrize("name", COMPARING)
@pytest.mark.parametrize(
    ("reference", "estimate"),
    [
        (np.zeros(4400), np.ones(4400)),
        (np.ones(10), np.ones(11)),
        (np.ones(1), np.ones(1)),
        (np.r_[np.ones(4400), np.nan], np.ones(4401)),
        (np.ones(4400), np.r_[np.ones(4399), np.inf]),
        (np.ones((2, 2200)), np.ones((2, 2200))),
    ],
    ids=["silent reference", "lengths", "one sample", "NaN", "infinity", "two channels"],
)
def test_what_cannot_be_compared_gives_its_reason(name, reference, estimate):
    with pytest.raises(UndefinedMetric, match=r"\w+ \w+"):
        METRICS[name].function(reference, estimate, RATE)


@pytest.mark.parametrize("name", MEASURED)
class TestEveryMetric:
    def test_a_perfect_copy_scores_what_the_table_says(self, name, played):
        metric = METRICS[name]
        value = metric.function(played, played, RATE)
        if metric.perfect == "reference":
            assert math.isfinite(value)
        elif name == "info":
            assert value > 100
        else:
            assert value == pytest.approx(metric.perfect, abs=1e-9)

    def test_silence_scores_what_the_table_says(self, name, played):
        metric = METRICS[name]
        if metric.silence is None:
            with pytest.raises(UndefinedMetric, match="silent"):
                metric.function(played, np.zeros_like(played), RATE)
        else:
            value = metric.function(played, np.zeros_like(played), RATE)
            if metric.silence == "computed":
                assert value > metric.perfect
            else:
                assert value == pytest.approx(metric.silence, abs=1e-9)

    @pytest.mark.parametrize("scale", [1e-9, 1e9])
    def test_the_unit_of_both_does_not_matter(self, name, scale, played, heard):
        function = METRICS[name].function
        value, scaled = (function(k * played, k * heard, RATE) for k in (1.0, scale))
        if name in ("rmse", "mae"):
            scaled /= scale
        assert scaled == pytest.approx(value, rel=1e-6)

    @pytest.mark.parametrize("rate", [100.0, 480.0, 2200.0, 48000.0])
    @pytest.mark.parametrize("duration_s", [0.02, 0.5])
    def test_any_rate_and_length_gives_a_number_or_its_reason(self, name, rate, duration_s):
        rng = np.random.default_rng(9)
        truth, noise = rng.standard_normal((2, round(rate * duration_s)))
        with contextlib.suppress(UndefinedMetric):
            assert math.isfinite(METRICS[name].function(truth, truth + 0.1 * noise, rate))

    def test_clipping_gives_a_number(self, name, played):
        value = METRICS[name].function(played, np.clip(20 * played, -1, 1), RATE)
        assert math.isfinite(value)


def test_snr_per_frequency_is_that_of_known_noise():
    rng = np.random.default_rng(11)
    played = rng.standard_normal(200_000)
    noise = scipy.signal.lfilter([1, 1], [1], rng.standard_normal(200_000))
    frequency, found = metrics.snr_per_frequency(played, played + noise, RATE)
    expected = -20 * np.log10(2 * np.cos(np.pi * frequency / RATE))
    inside = (frequency > 20) & (frequency < 900)
    assert np.abs(found - expected)[inside].max() < 1.5


def test_snr_per_frequency_of_unrelated_noise_is_not_lifted_by_chance():
    played, heard = np.random.default_rng(12).standard_normal((2, 66_000))
    found = metrics.snr_per_frequency(played, heard, RATE)[1]
    assert np.median(found) == -20
    bands = metrics.snr_per_band(played, heard, RATE)[1]
    assert bands.max() < -15


def test_snr_per_band_weighs_frequencies_by_what_was_played():
    rng = np.random.default_rng(13)
    sections = scipy.signal.butter(6, [180, 340], "bandpass", fs=RATE, output="sos")
    played = scipy.signal.sosfiltfilt(sections, rng.standard_normal(100_000))
    noise = scipy.signal.sosfiltfilt(sections, rng.standard_normal(100_000))
    centre, found = metrics.snr_per_band(played, played + 0.1 * noise, RATE)
    assert found[list(centre).index(250)] == pytest.approx(20, abs=0.5)
    assert centre.max() <= RATE / 2


def test_snr_per_frequency_of_silence_is_the_least():
    played = np.random.default_rng(14).standard_normal(6600)
    assert metrics.snr_per_frequency(played, 0 * played, RATE)[1].max() == -20
