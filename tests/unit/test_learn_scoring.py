"""Models and classical methods are scored alike, on frames that neither was fitted on."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from learning import FPS, footage
from visualmic.audio.reference import sampled_rows, write_table
from visualmic.audio.wav import write_wav
from visualmic.errors import VisualMicError
from visualmic.hybrid.weight_files import training_cost
from visualmic.learn.footage import Footage, read_footage
from visualmic.learn.prediction_tables import (
    join_predictions,
    read_predictions,
    write_predictions,
)
from visualmic.learn.scoring import classical, learned, score_heard
from visualmic.learn.settings import SplitSettings
from visualmic.learn.splits import Film, indices, make_split, write_split
from visualmic.learn.table import TableSettings, score_fold, tabulate_models
from visualmic.learn.training import write_facts

SPLITS = SplitSettings(guard_s=0.1, max_lag_s=0.02)
FRAMES = 1200


@pytest.fixture
def card(tmp_path):
    return footage(tmp_path, FRAMES)


@pytest.fixture
def split():
    return make_split({"card": Film(FRAMES, FPS)}, "later", SPLITS)


def test_a_network_is_scored_as_it_speaks(card, split):
    def said(recording, ranges):
        return 0.5 * recording.amplitudes[indices(ranges)]

    (heard,) = learned(split, [card], said, SPLITS.max_lag_s)
    scores = score_heard([heard])
    # Without the last, whose label at the largest lag would lie beyond the reference.
    played = card.amplitudes[indices(split.recordings["card"].test)][:-10]
    assert scores["frames"] == played.size
    assert scores["rmse"] == pytest.approx(0.5 * scores["rmse_silence"], rel=1e-3)
    assert scores["rmse_silence"] == pytest.approx(np.sqrt(np.mean(played**2)), rel=1e-3)
    assert scores["loss"] == pytest.approx(0.25 * scores["loss_silence"], rel=1e-3)
    assert scores["pearson"] == pytest.approx(1, abs=1e-3)


def test_silence_scores_what_silence_scores(card, split):
    (heard,) = learned(split, [card], lambda _, ranges: 0 * indices(ranges) + 0.0, 0.02)
    scores = score_heard([heard])
    assert scores["rmse"] == scores["rmse_silence"]
    assert scores["loss"] == scores["loss_silence"]
    assert scores["pearson"] == 0


@pytest.mark.parametrize("gain", [3.0, -0.02])
def test_a_classical_method_gets_the_gain_of_the_training_part_alone(card, split, gain):
    sound = gain * card.amplitudes
    test = indices(split.recordings["card"].test)
    (heard,) = classical(split, [card], {"card": sound}, [card], SPLITS.max_lag_s)
    assert score_heard([heard])["rmse"] < 1e-3
    # Were it fitted on the test part, a louder one would be made quiet again.
    louder = sound.copy()
    louder[test] *= 2
    (heard,) = classical(split, [card], {"card": louder}, [card], SPLITS.max_lag_s)
    scores = score_heard([heard])
    assert scores["rmse"] == pytest.approx(scores["rmse_silence"], rel=0.01)


def test_a_recording_that_none_trained_on_is_scored_at_its_own_lag_and_sign(tmp_path, card, split):
    other = footage(tmp_path, FRAMES, seed=7, name="other")

    def said(recording, ranges):
        assert list(ranges) == [(0, FRAMES)]
        return -0.7 * np.roll(recording.amplitudes, 4)

    (heard,) = learned(split, [other], said, SPLITS.max_lag_s)
    assert (heard.labels.polarity, round(heard.labels.lag_s * FPS)) == (-1, 4)
    scores = score_heard([heard])
    assert scores["rmse"] == pytest.approx(0.3 * scores["rmse_silence"], rel=0.05)


def test_predictions_of_folds_are_joined_frame_by_frame(tmp_path, card):
    sound = card.amplitudes
    paths = []
    for number, ranges in enumerate([((0, 500),), ((500, FRAMES),)]):
        paths.append(tmp_path / f"{number}.csv")
        write_predictions(paths[-1], card, ranges, sound[indices(ranges)])
    assert join_predictions(paths, FRAMES) == pytest.approx(sound, abs=1e-8)
    frames, _ = read_predictions(paths[1])
    assert np.array_equal(frames, np.arange(500, FRAMES))
    with pytest.raises(VisualMicError, match="no model spoke of frame 500 and 699 others"):
        join_predictions(paths[:1], FRAMES)
    with pytest.raises(VisualMicError, match="several models spoke of frame 0"):
        join_predictions([*paths, paths[0]], FRAMES)
    with pytest.raises(VisualMicError, match="beyond the film"):
        join_predictions(paths, 600)


@pytest.fixture
def results(tmp_path, card):
    """What the pipeline would have made of two recordings, one of which none trains on."""
    folder = tmp_path / "results"
    (folder / "frames").mkdir(parents=True)
    recordings = {"card": card, "other": footage(tmp_path, FRAMES, seed=7, name="other")}
    for name, one in recordings.items():
        (tmp_path / f"{name}.h5").rename(folder / "frames" / f"{name}.h5")
        rows = sampled_rows(name, one.film.time_s(), one.amplitudes)
        columns = ("recording", "frame", "time_s", "amplitude")
        write_table(folder / "dataset" / "samples" / f"{name}.csv", columns, rows)
        write_wav(folder / "sound" / "lucas-kanade" / f"{name}.wav", one.heard, FPS)
    for fold in ("later", "fold-1", "fold-2"):
        split = make_split({"card": Film(FRAMES, FPS)}, fold, SPLITS)
        write_split(folder / "splits" / f"{fold}.json", split)
        facts = {"training_s": 2.0, "parameters": 100, "epochs": 3, "frames_per_second": 50.0}
        write_facts(folder / "models" / "siamese" / fold / "training.json", facts)
        at = folder / "predictions" / "siamese" / fold
        write_predictions(
            at / "card.csv",
            card,
            (test := split.recordings["card"].test),
            0.8 * card.amplitudes[indices(test)],
        )
    whole = ((0, FRAMES),)
    other = recordings["other"]
    path = folder / "predictions" / "siamese" / "later" / "other.csv"
    write_predictions(path, other, whole, 0.1 * other.amplitudes)
    return folder


SETTINGS = TableSettings(
    models=["siamese"],
    methods=["lucas-kanade"],
    folds=["later", "fold-1", "fold-2"],
    trained=["card"],
    unseen=["other"],
    classical="lucas-kanade",
    max_lag_s=SPLITS.max_lag_s,
)


def test_the_table_has_every_model_and_method_on_every_kind_of_test(results):
    tabulate_models(results, SETTINGS)
    with (results / "models.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["on"], row["model"], int(row["folds"])) for row in rows] == [
        ("later", "siamese", 1),
        ("later", "lucas-kanade", 1),
        ("folds", "siamese", 2),
        ("folds", "lucas-kanade", 2),
        ("unseen", "siamese", 1),
        ("unseen", "lucas-kanade", 1),
    ]
    by = {(row["on"], row["model"]): row for row in rows}
    for on in ("later", "folds", "unseen"):
        assert by[on, "siamese"]["frames"] == by[on, "lucas-kanade"]["frames"]
    folds = by["folds", "siamese"]
    assert int(folds["frames"]) == FRAMES - 20
    assert float(folds["rmse"]) == pytest.approx(0.2 * float(folds["rmse_silence"]), rel=0.02)
    assert float(folds["rmse_sd"]) > 0
    assert (folds["training_s"], folds["parameters"]) == ("4", "100")
    assert float(by["folds", "lucas-kanade"]["pearson"]) > 0.8
    unseen = by["unseen", "siamese"]
    assert float(unseen["rmse"]) == pytest.approx(0.9 * float(unseen["rmse_silence"]), rel=0.02)


def test_networks_that_come_trained_count_with_what_their_training_took(results):
    heard = results / "sound" / "lucas-kanade"
    heard.with_name("hybrid").mkdir()
    for one in heard.iterdir():
        shutil.copy(one, heard.with_name("hybrid") / one.name)
    methods = ["lucas-kanade", "hybrid"]
    by = {
        (row["on"], row["model"]): row
        for row in tabulate_models(results, replace(SETTINGS, methods=methods))
    }
    cost = training_cost()
    assert cost["parameters"] > 100_000
    assert cost["training_s"] > 600
    # Once, however many folds it is tested on.
    for on in ("later", "folds", "unseen"):
        assert by[on, "hybrid"]["parameters"] == cost["parameters"] + 1
        assert by[on, "hybrid"]["training_s"] == cost["training_s"]
        assert by[on, "hybrid"]["rmse"] == by[on, "lucas-kanade"]["rmse"]


def test_each_fold_has_its_metrics_for_the_report(results):
    score_fold(results, "siamese", "fold-2", ["card"], "lucas-kanade", SPLITS.max_lag_s)
    metrics = json.loads((results / "models" / "siamese" / "fold-2" / "metrics.json").read_text())
    assert metrics["rmse"] < metrics["rmse_silence"]
    assert (metrics["epochs"], metrics["parameters"]) == (3, 100)


def test_predictions_of_other_frames_than_the_split_are_refused(results):
    path = results / "predictions" / "siamese" / "fold-1" / "card.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(VisualMicError, match="of other frames than the split"):
        tabulate_models(results, SETTINGS)


def test_a_sound_of_another_film_is_refused(results):
    write_wav(results / "sound" / "lucas-kanade" / "card.wav", np.ones(900), FPS)
    with pytest.raises(VisualMicError, match=r"900 samples where .*card\.h5 has 1200 frames"):
        read_footage(
            "card",
            results / "frames" / "card.h5",
            results / "sound" / "lucas-kanade" / "card.wav",
        )


def test_a_recording_whose_sound_is_not_known_is_not_scored(card, split):
    deaf = Footage("card", card.film, card.heard)
    with pytest.raises(VisualMicError, match="card has no reference sound"):
        learned(split, [deaf], lambda _, ranges: indices(ranges) * 1.0, 0.02)
