import numpy as np
import pytest
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import align, resample

RATE = 2200.0


def sound(time_s: NDArray[np.float64], lowest: float = 80.0, highest: float = 900.0):
    """A sound known at every instant: sines that come and go, so that no delay repeats it."""
    rng = np.random.default_rng(5)
    total = np.zeros_like(time_s)
    for _ in range(30):
        frequency, phase = rng.uniform(lowest, highest), rng.uniform(0, 2 * np.pi)
        centre, width = rng.uniform(0.2, 2.8), rng.uniform(0.05, 0.3)
        envelope = np.exp(-(((time_s - centre) / width) ** 2))
        total += envelope * np.sin(2 * np.pi * frequency * time_s + phase)
    return total


def times(rate: float, duration_s: float = 3.0) -> NDArray[np.float64]:
    return np.arange(round(duration_s * rate)) / rate


@pytest.mark.parametrize("samples", [0.0, 0.3, -0.45, 2.71, -40.0, 312.5])
@pytest.mark.parametrize("sign", [1, -1])
def test_delay_and_sign_are_found_below_a_hundredth_of_a_sample(samples, sign):
    heard = sign * 0.01 * sound(times(RATE) - samples / RATE)
    found = align(heard, RATE, sound(times(RATE)), RATE)
    assert found.lag_s * RATE == pytest.approx(samples, abs=0.01)
    assert found.polarity == sign
    assert found.correlation > 0.9999
    assert np.allclose(100 * found.recovered, found.reference, atol=0.02)


@pytest.mark.parametrize(
    ("rate", "reference_rate", "highest"),
    [(2200.0, 44100.0, 900), (2200.0, 48000.0, 900), (239.76, 8000.0, 100), (48000.0, 2200.0, 900)],
)
def test_rates_are_brought_to_the_lower_one(rate, reference_rate, highest):
    heard = sound(times(rate) - 0.004321, highest=highest)
    found = align(heard, rate, sound(times(reference_rate), highest=highest), reference_rate)
    assert found.rate == min(rate, reference_rate)
    assert len(found.recovered) == len(found.reference)
    assert found.lag_s == pytest.approx(0.004321, abs=0.01 / found.rate)
    assert found.correlation > 0.9999


@pytest.mark.parametrize("offset_s", [1.0, 0.3333, -0.5])
def test_offset_says_where_in_the_reference_the_film_begins(offset_s):
    reference = sound(times(44100.0) - max(offset_s, 0.0) + max(-offset_s, 0.0))
    heard = sound(times(RATE, 1.5))
    found = align(heard, RATE, reference, 44100.0, offset_s=offset_s)
    assert found.lag_s == pytest.approx(0.0, abs=0.01 / RATE)
    assert found.correlation > 0.999
    assert found.start_s == pytest.approx(max(-offset_s, 0.0), abs=1 / RATE)


def test_noise_does_not_move_a_sub_sample_delay_by_more_than_the_bound_allows():
    rng = np.random.default_rng(1)
    heard = sound(times(RATE) - 0.3 / RATE)
    heard += heard.std() * rng.standard_normal(len(heard))
    found = align(heard, RATE, sound(times(RATE)), RATE)
    assert found.lag_s * RATE == pytest.approx(0.3, abs=0.05)


def test_delay_beyond_the_bound_is_reported_not_followed():
    heard = sound(times(RATE) - 0.2)
    found = align(heard, RATE, sound(times(RATE)), RATE, max_lag_s=0.05)
    assert abs(found.lag_s) <= 0.05
    assert found.correlation < 0.5
    assert align(heard, RATE, sound(times(RATE)), RATE, max_lag_s=0.25).correlation > 0.99
    at_bound = align(heard, RATE, sound(times(RATE)), RATE, max_lag_s=0.2)
    assert at_bound.lag_at_limit


def test_no_search_leaves_the_sounds_where_they_are():
    heard = sound(times(RATE) - 5 / RATE)
    found = align(heard, RATE, sound(times(RATE)), RATE, max_lag_s=0)
    assert found.lag_s == 0
    assert not found.lag_at_limit


def test_a_copy_stays_an_exact_copy():
    played = np.random.default_rng(2).standard_normal(4400)
    found = align(played, RATE, played, RATE)
    assert found.lag_s == 0
    assert np.array_equal(found.recovered, found.reference)


def test_drift_that_nobody_hears_is_taken_out_of_both():
    time_s = times(RATE)
    heard = sound(time_s) + 50 * np.sin(2 * np.pi * 2 * time_s)
    found = align(heard, RATE, sound(time_s), RATE)
    assert found.band_hz[0] == 20
    assert found.correlation > 0.99
    assert found.lag_s == pytest.approx(0, abs=0.01 / RATE)


def test_silence_aligns_with_anything():
    found = align(np.zeros(2200), RATE, sound(times(RATE)), RATE)
    assert (found.lag_s, found.polarity, found.correlation) == (0.0, 1, 0.0)
    assert not found.recovered.any()
    constant = align(np.full(2200, 1e6), RATE, sound(times(RATE)), RATE)
    assert not constant.recovered.any()


def test_twenty_milliseconds_are_enough():
    heard = sound(1.0 + times(RATE, 0.02) - 2 / RATE)
    found = align(heard, RATE, sound(1.0 + times(RATE, 0.02)), RATE, max_lag_s=0.005)
    assert found.lag_s * RATE == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    ("recovered", "rate", "reference", "message"),
    [
        (np.zeros((5, 2)), RATE, np.ones(50), "one channel"),
        (np.ones(3), RATE, np.ones(50), "3 samples"),
        (np.ones(50), 0.0, np.ones(50), "rate of 0 Hz"),
        (np.ones(50), float("nan"), np.ones(50), "rate of nan"),
        (np.ones(50), RATE, np.r_[np.ones(50), np.nan, np.inf], "2 of 52 samples"),
    ],
)
def test_what_cannot_be_aligned_says_why(recovered, rate, reference, message):
    with pytest.raises(VisualMicError, match=message):
        align(recovered, rate, reference, RATE)


@pytest.mark.parametrize("offset_s", [5.0, -5.0])
def test_sounds_that_do_not_overlap_say_so(offset_s):
    with pytest.raises(VisualMicError, match="offset"):
        align(sound(times(RATE)), RATE, sound(times(RATE)), RATE, offset_s=offset_s)


@pytest.mark.parametrize("rates", [(48000, 2200), (2200, 48000), (44100, 239.76), (1000, 2999.7)])
def test_resampling_keeps_what_both_rates_hold(rates):
    highest = 0.4 * min(rates)
    before = sound(times(rates[0]), highest / 5, highest)
    after = resample(before, *rates)
    expected = sound(np.arange(len(after)) / rates[1], highest / 5, highest)
    assert len(after) == pytest.approx(3 * rates[1], abs=1)
    inside = slice(len(after) // 50, -len(after) // 50)
    assert np.abs(after - expected)[inside].max() < 1e-3 * np.abs(expected).max()


def test_a_tone_above_the_lower_nyquist_frequency_does_not_fold_back():
    tone = np.sin(2 * np.pi * 1500 * times(48000.0))
    assert np.abs(resample(tone, 48000.0, RATE)[200:-200]).max() < 1e-3


@pytest.mark.parametrize("lengths", [(70_000, 200_000), (200_000, 70_000), (150_000, 150_000)])
@pytest.mark.parametrize("samples", [0, 1234, -4321])
def test_long_sounds_are_correlated_in_blocks_as_in_one(lengths, samples):
    rng = np.random.default_rng(0)
    played = rng.standard_normal(lengths[1])
    heard = -np.roll(np.resize(played, max(lengths)), samples)[: lengths[0]]
    found = align(heard, 48000.0, played, 48000.0)
    assert found.lag_s * 48000 == pytest.approx(samples, abs=0.01)
    assert found.polarity == -1


def test_the_highest_peak_between_samples_is_found_for_sounds_near_half_the_rate():
    # At whole samples the peak half a period away, of the other sign, stands higher.
    played = sound(times(RATE), 0.36 * RATE, 0.42 * RATE)
    heard = sound(times(RATE) - 0.5 / RATE, 0.36 * RATE, 0.42 * RATE)
    found = align(heard, RATE, played, RATE)
    assert found.lag_s * RATE == pytest.approx(0.5, abs=0.01)
    assert found.polarity == 1
    assert found.correlation > 0.99
