"""Frame rates and frame times behind timestamps that containers round."""

import numpy as np
import pytest
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.film.timing import fit_timing, uniform_time


@pytest.mark.parametrize("fps", [2200.0, 1000.0, 240.0, 30000 / 1001, 120000 / 1001, 25.0, 20000.0])
@pytest.mark.parametrize("rounding", [np.round, np.floor])
@pytest.mark.parametrize("tick_s", [1e-3, 1 / 90000])
def test_rounding_to_ticks_is_not_a_variable_rate(
    fps: float, rounding: object, tick_s: float
) -> None:
    assert callable(rounding)
    ticks = rounding(np.arange(3000) / fps / tick_s + 0.3)
    timing = fit_timing(ticks, tick_s)
    assert not timing.variable
    assert timing.fps == pytest.approx(fps, rel=1e-12)
    np.testing.assert_array_equal(timing.elapsed_s, np.arange(3000) / timing.fps)


def test_a_rate_that_is_no_round_number_is_fitted() -> None:
    timing = fit_timing(np.round(np.arange(4000) / 239.683 * 90000), 1 / 90000)
    assert not timing.variable
    assert timing.fps == pytest.approx(239.683, rel=1e-7)


def test_the_header_decides_between_rates_that_a_short_film_cannot_tell_apart() -> None:
    ticks = np.round(np.arange(8) / 29.97 * 1000)
    assert fit_timing(ticks, 1e-3, nominal_fps=29.97).fps == pytest.approx(30000 / 1001, rel=1e-9)
    assert fit_timing(ticks, 1e-3, nominal_fps=30.0).fps == 30.0


def test_a_missing_frame_is_a_variable_rate() -> None:
    ticks = np.delete(np.arange(0, 1000), 400) * 128
    timing = fit_timing(ticks, 1 / 12800)
    assert timing.variable
    assert timing.elapsed_s[400] - timing.elapsed_s[399] == pytest.approx(0.02)
    assert timing.fps == pytest.approx(998 / 9.99)


def test_jitter_of_a_few_percent_is_a_variable_rate() -> None:
    rng = np.random.default_rng(1)
    ticks = np.round(np.arange(2000) * 375 + 10 * rng.standard_normal(2000))
    assert fit_timing(ticks, 1 / 90000).variable


def test_the_first_timestamp_is_the_start() -> None:
    timing = fit_timing(np.arange(100) * 10 + 500, 1e-3)
    assert timing.start_s == 0.5
    assert timing.elapsed_s[0] == 0.0


def test_without_timestamps_the_rate_of_the_header_counts() -> None:
    timing = fit_timing(np.zeros(50), 1e-3, nominal_fps=240.0)
    assert (timing.fps, timing.variable) == (240.0, False)
    assert fit_timing([7], 1e-3, nominal_fps=25.0).elapsed_s.tolist() == [0.0]


def tone(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * 20.0 * time_s + 0.4)


def test_a_tone_at_uneven_times_becomes_the_tone_at_even_times() -> None:
    rng = np.random.default_rng(2)
    time_s = np.sort(np.arange(2000) / 1000 + 3e-4 * rng.uniform(-1, 1, 2000))
    even, even_s = uniform_time(tone(time_s), time_s, 1000.0)
    assert np.diff(even_s) == pytest.approx(1e-3)
    assert np.max(np.abs(even - tone(even_s))) < 2e-4
    assert np.max(np.abs(tone(time_s)[: even.size] - tone(even_s))) > 0.03, "nothing to repair"


def test_channels_are_resampled_together() -> None:
    time_s = np.array([0.0, 0.9, 2.1, 3.0, 4.0])
    both, _ = uniform_time(np.stack([time_s, -time_s], axis=1), time_s, 1.0)
    np.testing.assert_allclose(both, [[k, -k] for k in range(5)], atol=1e-12)


def test_frames_with_the_same_time_count_once() -> None:
    time_s = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    even, _ = uniform_time(time_s, time_s, 1.0)
    np.testing.assert_allclose(even, np.arange(5), atol=1e-12)


def test_a_signal_of_another_film_is_refused() -> None:
    with pytest.raises(VisualMicError, match="10 samples for 12 frame times"):
        uniform_time(np.zeros(10), np.arange(12.0), 1.0)
    with pytest.raises(VisualMicError, match="fewer than 4"):
        uniform_time(np.zeros(5), np.zeros(5), 1.0)
