import numpy as np
import pytest
import scipy.stats
from visualmic.evaluate.bootstrap import (
    bootstrap_mean,
    compare,
    comparison_table,
    summary_table,
)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=25)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap_mean(values, resamples=20000)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)
    assert found.mean == pytest.approx(values.mean())
    assert found.median == pytest.approx(np.median(values))


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    intervals = [bootstrap_mean(rng.standard_normal(30), resamples=999) for _ in range(300)]
    covered = sum(found.low <= 0 <= found.high for found in intervals)
    assert 0.90 <= covered / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).standard_normal(10)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


@pytest.mark.parametrize(
    ("values", "mean", "low", "count"),
    [
        ([], None, None, 0),
        ([None, float("nan")], None, None, 0),
        ([2.0, None], 2.0, None, 1),
        ([2.0, 2.0, 2.0], 2.0, 2.0, 3),
        ([0.0, 0.0], 0.0, 0.0, 2),
    ],
)
def test_few_or_equal_values_give_what_they_can(values, mean, low, count):
    found = bootstrap_mean(values)
    assert (found.mean, found.low, found.count) == (mean, low, count)


def test_two_values_give_a_finite_interval():
    found = bootstrap_mean([1.0, 3.0])
    assert 1 <= found.low <= 2 <= found.high <= 3


def test_pairing_sees_a_small_gain_that_recordings_drown():
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 10, 40)
    first = hard + 1 + 0.5 * rng.standard_normal(40)
    second = hard + 0.5 * rng.standard_normal(40)
    found = compare(first.tolist(), second.tolist())
    assert found.difference.low > 0
    assert found.sign_p < 0.001
    assert found.wilcoxon_p < 0.001
    assert bootstrap_mean(first).low < bootstrap_mean(second).high


def test_tests_of_pairs_agree_with_scipy():
    first, second = [5.0, 3.0, 8.0, 1.0, 9.0, 7.0], [4.0, 3.5, 6.0, 0.0, 5.0, 4.5]
    found = compare(first, second)
    assert (found.first_larger, found.second_larger, found.equal) == (5, 1, 0)
    assert found.sign_p == pytest.approx(scipy.stats.binomtest(5, 6).pvalue)
    assert found.wilcoxon_p == pytest.approx(scipy.stats.wilcoxon(first, second).pvalue)


def test_pairs_that_lack_one_are_left_out():
    found = compare([1.0, None, 3.0], [1.0, 5.0, None])
    assert (found.difference.count, found.equal) == (1, 1)
    assert (found.sign_p, found.wilcoxon_p) == (None, None)


def test_sounds_of_different_recordings_cannot_be_paired():
    with pytest.raises(ValueError, match="zip"):
        compare([1.0], [1.0, 2.0])


ROWS = [
    {
        "recording": f"r{index}",
        "method": method,
        "si_sdr": 5.0 + index + gain,
        "si_sdr_silence": -100.0,
        "rmse": 0.2 - 0.01 * gain,
        "rmse_silence": 0.3 + 0.1 * index,
        "tone_frequency": 100.0,
        "pesq": None,
    }
    for index in range(5)
    for method, gain in (("pyramid", 0.0), ("lucas-kanade", 3.0))
]


def test_summary_averages_each_method_beside_silence():
    table = {(row["method"], row["metric"]): row for row in summary_table(ROWS, resamples=500)}
    assert table["lucas-kanade", "si_sdr"]["mean"] == pytest.approx(10)
    assert table["pyramid", "rmse"]["silence"] == pytest.approx(0.5)
    assert table["pyramid", "si_sdr"]["low"] < 7 < table["pyramid", "si_sdr"]["high"]
    assert table["pyramid", "si_sdr"]["recordings"] == 5
    assert ("pyramid", "pesq") not in table


def test_comparison_counts_the_better_side_of_each_metric():
    table = {row["metric"]: row for row in comparison_table(ROWS, "pyramid", resamples=500)}
    assert set(table) == {"si_sdr", "rmse"}
    assert (table["si_sdr"]["better"], table["si_sdr"]["worse"]) == (5, 0)
    assert (table["rmse"]["better"], table["rmse"]["difference"]) == (5, pytest.approx(-0.03))
    assert table["si_sdr"]["sign_p"] == pytest.approx(2 / 2**5)
