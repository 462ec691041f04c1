import csv
import json

import numpy as np
import pytest
import scipy.signal
from visualmic.errors import VisualMicError
from visualmic.evaluate.metrics import METRICS
from visualmic.evaluate.scores import (
    EvaluationSettings,
    read_scores,
    score,
    scores_table,
    write_scores,
    write_table,
)

RATE = 2200


def tune(seed=0, duration_s=3.0, rate=RATE):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(round(duration_s * rate))
    voice = scipy.signal.lfilter([1], [1, -1.2, 0.6], noise)
    return voice * (1.1 + np.sin(2 * np.pi * 2 * np.arange(len(voice)) / rate))


@pytest.fixture(scope="module")
def heard():
    played = tune()
    noise = 0.3 * played.std() * np.random.default_rng(1).standard_normal(len(played))
    return score(-0.02 * np.roll(played + noise, 9), RATE, played, RATE)


def test_delay_polarity_and_gain_do_not_change_a_score(heard):
    played = tune()
    noise = 0.3 * played.std() * np.random.default_rng(1).standard_normal(len(played))
    plain = score(played + noise, RATE, played, RATE)
    assert (heard.polarity, heard.lag_s * RATE) == (-1, pytest.approx(9, abs=0.05))
    for name, entry in plain.metrics.items():
        if entry.value is not None:
            assert heard[name].value == pytest.approx(entry.value, rel=0.02, abs=0.02), name


def test_every_metric_is_there_with_a_value_or_a_reason(heard):
    assert list(heard.metrics) == list(METRICS)
    for name, entry in heard.metrics.items():
        assert (entry.value is None) == bool(entry.reason), name
    missing = [name for name, entry in heard.metrics.items() if entry.value is None]
    assert set(missing) <= {"pesq"}


def test_a_perfect_copy_scores_perfectly():
    found = score(tune(), RATE, tune(), RATE)
    for name, entry in found.metrics.items():
        if entry.value is not None:
            assert entry.value == pytest.approx(entry.perfect, abs=1e-6), name
    assert found.warnings == ()


def test_silence_scores_as_silence():
    found = score(np.zeros(6600), RATE, tune(), RATE)
    for name, entry in found.metrics.items():
        if entry.value is not None:
            assert entry.value == pytest.approx(entry.silence, abs=1e-9), name
    assert "silent" in found.warnings[0]


def test_unrelated_noise_scores_like_chance_and_no_better_than_silence():
    found = score(tune(seed=5), RATE, tune(), RATE)
    for name in ("pearson", "info", "coherence"):
        assert found[name].value == pytest.approx(found[name].chance, abs=0.15), name
    assert found["pearson"].chance < 0.15
    assert found["si_sdr"].value < -10
    assert found["rmse"].value == pytest.approx(found["rmse"].silence, rel=0.02)


def test_a_tone_is_no_better_than_chance_because_it_repeats():
    tone = np.sin(2 * np.pi * 100 * np.arange(6600) / RATE)
    found = score(tone, RATE, tone, RATE)
    assert found["pearson"].chance > 0.95
    assert found["tone_frequency"].value == pytest.approx(100, abs=0.01)


def test_scores_are_the_same_every_time(heard):
    played = tune()
    noise = 0.3 * played.std() * np.random.default_rng(1).standard_normal(len(played))
    assert score(-0.02 * np.roll(played + noise, 9), RATE, played, RATE) == heard


def test_a_reference_that_covers_little_is_scored_with_a_warning():
    found = score(tune(), RATE, tune()[: RATE * 2], RATE)
    assert found.duration_s == pytest.approx(2.0, abs=0.01)
    assert found["pearson"].value > 0.999
    assert "covers 2.00 s of the 3.00 s" in found.warnings[0]


def test_a_lag_at_the_bound_is_warned_of():
    played = tune()
    heard = np.roll(played, 220)
    found = score(heard, RATE, played, RATE, settings=EvaluationSettings(max_lag_s=0.1))
    assert any("largest that was looked at" in warning for warning in found.warnings)


@pytest.mark.parametrize("rate", [480, 2200, 48000])
@pytest.mark.parametrize("reference_rate", [480, 2200, 44100, 48000])
def test_any_pair_of_rates_gives_scores(rate, reference_rate):
    def sound(at):
        time = np.arange(at) / at
        return np.sin(2 * np.pi * (60 + 40 * time) * time) * np.sin(np.pi * time)

    found = score(sound(rate), rate, sound(reference_rate), reference_rate)
    assert found.rate == min(rate, reference_rate)
    assert found["pearson"].value > 0.999


@pytest.mark.parametrize("rate", [2200, 48000])
def test_twenty_milliseconds_give_numbers_or_reasons(rate):
    noise = np.random.default_rng(0).standard_normal(round(0.02 * rate))
    found = score(noise, rate, noise, rate)
    assert found["pearson"].value == pytest.approx(1)
    assert "too short" in found["stoi"].reason


def test_ten_minutes_give_scores():
    rng = np.random.default_rng(0)
    played = rng.standard_normal(600 * RATE)
    found = score(played + rng.standard_normal(600 * RATE), RATE, played, RATE)
    assert found["si_sdr"].value == pytest.approx(0, abs=0.1)
    assert found["stoi"].value is not None


def test_clipping_gives_scores():
    played = tune()
    found = score(np.clip(20 * played, -1, 1), RATE, played, RATE)
    assert 0.5 < found["pearson"].value < 1
    assert found["si_sdr"].value < 15


@pytest.mark.parametrize(
    ("recovered", "reference", "reason"),
    [
        (np.r_[np.ones(100), np.nan], np.ones(100), "1 of 101 samples that are not finite"),
        (np.ones(100), np.full(100, np.inf), "100 of 100 samples"),
        (np.ones(3), np.ones(100), "3 samples"),
        (np.ones(0), np.ones(100), "0 samples"),
        (np.ones((100, 2)), np.ones(100), "one channel"),
    ],
)
def test_what_cannot_be_compared_gives_the_reason_for_every_metric(recovered, reference, reason):
    found = score(recovered, RATE, reference, RATE)
    assert all(entry.value is None for entry in found.metrics.values())
    assert all(reason in entry.reason for entry in found.metrics.values())
    assert found.rate is None


def test_a_silent_reference_gives_the_reason():
    found = score(tune(), RATE, np.zeros(6600), RATE)
    assert found["pearson"].value is None
    assert "silent" in found["pearson"].reason
    assert "silent" in found.warnings[0]


def test_scores_come_back_from_their_file(tmp_path, heard):
    path = tmp_path / "scores.json"
    write_scores(path, heard, recording="chips", method="pyramid")
    content = read_scores(path)
    assert (content["recording"], content["method"]) == ("chips", "pyramid")
    assert content["metrics"]["pearson"]["value"] == heard["pearson"].value
    assert content["polarity"] == -1
    json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metrics": 3}'])
def test_a_file_of_no_scores_is_refused(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(VisualMicError, match="make it again"):
        read_scores(path)
    with pytest.raises(VisualMicError, match="cannot read"):
        read_scores(tmp_path / "missing.json")


def test_table_holds_each_value_beside_silence_and_chance(tmp_path, heard):
    contents = [
        {"recording": recording, "method": method, **heard.as_dict()}
        for recording in ("plant", "chips")
        for method in ("pyramid", "lucas-kanade")
    ]
    rows = scores_table(contents)
    order = [(row["recording"], row["method"]) for row in rows]
    assert order == sorted(order)
    write_table(tmp_path / "scores.csv", rows)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert len(read) == 4
    assert float(read[0]["pearson"]) == heard["pearson"].value
    assert float(read[0]["rmse_silence"]) == heard["rmse"].silence
    assert float(read[0]["info_chance"]) == heard["info"].chance
    assert read[0]["pesq"] == "" or float(read[0]["pesq"]) > 0
    assert read[0]["polarity"] == "-1"


def test_an_empty_table_is_an_empty_file(tmp_path):
    write_table(tmp_path / "scores.csv", scores_table([]))
    assert (tmp_path / "scores.csv").read_text() == ""
