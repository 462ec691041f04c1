"""What the rules of learning make from a tiny recording keeps to what they promise."""

import csv
import json
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from visualmic.learn.prediction_tables import read_predictions
from visualmic.learn.splits import indices, read_split
from workflow_project import WorkflowProject

FRAMES, FPS = 1000, 500
CONFIG = """
recordings: recordings.csv
methods: [lucas-kanade, siamese]
learn:
  splits: {kinds: [folds], guard_s: 0.1, max_lag_s: 0.02}
  training: {epochs: 2, batch_size: 16}
  siamese: {size_px: 16, channels: [8, 16], hidden: 32}
simulation:
  defaults: {width: 48, height: 48, fps: 500, amplitude_px: 0.1, codec: lossless}
  recordings:
    card: {object: rigid, sound: tune, seconds: 2, seed: 1}
    leaf: {object: rigid, sound: tune, seconds: 1, seed: 2}
"""
RECORDINGS = """id,film,fps,reference,offset_s,crop,role
card,simulated,,simulated,0,,train
"""
TARGETS = (
    "results/models.csv",
    "results/models/siamese/fold-1/metrics.json",
    "results/models/siamese/fold-2/metrics.json",
    "results/sound/siamese/card.wav",
    "results/figures/training/siamese.png",
)


@contextmanager
def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        path.write_text(text)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    project = WorkflowProject.create(tmp_path_factory.mktemp("learn"))
    (project.folder / "config.yaml").write_text(CONFIG)
    (project.folder / "recordings.csv").write_text(RECORDINGS)
    project.snakemake(*TARGETS)
    return project


def test_split_frames_names_the_frames_of_every_part(learnt):
    tested = []
    for fold in ("fold-1", "fold-2"):
        parts = read_split(learnt.path(f"splits/{fold}.json")).recordings["card"]
        assert parts.frames == FRAMES
        assert min(len(indices(parts.train)), len(indices(parts.validation))) > 50
        tested.append(indices(parts.test))
    assert np.array_equal(np.concatenate(tested), np.arange(FRAMES))


def test_train_model_leaves_weights_history_and_facts_and_no_checkpoints(learnt):
    for fold in ("fold-1", "fold-2"):
        folder = learnt.path(f"models/siamese/{fold}")
        names = {path.name for path in folder.iterdir()}
        assert names == {"model.pt", "history.csv", "training.json", "metrics.json"}
        assert json.loads((folder / "training.json").read_text())["epochs"] == 2
    assert not list(learnt.path("checkpoints").rglob("*.ckpt"))


def test_predict_frames_speaks_of_the_frames_that_its_fold_tests(learnt):
    for fold in ("fold-1", "fold-2"):
        split = read_split(learnt.path(f"splits/{fold}.json"))
        frames, said = read_predictions(learnt.path(f"predictions/siamese/{fold}/card.csv"))
        assert np.array_equal(frames, indices(split.recordings["card"].test))
        assert np.isfinite(said).all()


def test_predict_sound_joins_what_each_fold_said_of_frames_new_to_it(learnt):
    sound, rate = soundfile.read(learnt.path("sound/siamese/card.wav"))
    assert (rate, len(sound)) == (FPS, FRAMES)
    said = [
        read_predictions(learnt.path(f"predictions/siamese/fold-{k}/card.csv"))[1] for k in (1, 2)
    ]
    assert np.corrcoef(sound, np.concatenate(said))[0, 1] > 0.9999


def test_tabulate_models_puts_models_and_methods_on_the_same_frames(learnt):
    with learnt.path("models.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["on"], row["model"]) for row in rows] == [
        ("folds", "siamese"),
        ("folds", "lucas-kanade"),
    ]
    assert rows[0]["frames"] == rows[1]["frames"]
    assert float(rows[0]["rmse"]) < float(rows[0]["rmse_silence"])


def test_draw_training_draws_every_fold(learnt):
    figure = learnt.path("figures/training/siamese.svg").read_text()
    assert "</svg>" in figure
    assert learnt.path("figures/training/siamese.png").stat().st_size > 0


def test_every_job_ends_its_log_with_digests(learnt):
    for rule in ("split_frames", "train_model", "predict_frames", "predict_sound"):
        logs = list(learnt.path(f"logs/{rule}").rglob("*.log"))
        assert logs
        assert all("\nsha256 " in log.read_text() for log in logs)


def test_a_setting_of_training_leaves_everything_classical(learnt):
    with changed(learnt.folder / "config.yaml", "epochs: 2", "epochs: 3"):
        jobs = learnt.planned(*TARGETS)
    assert {job.split()[0] for job in jobs} == {
        "train_model",
        "predict_frames",
        "predict_sound",
        "score_model",
        "tabulate_models",
        "draw_training",
    }


def test_the_table_is_made_again_with_one_model_more(learnt):
    with changed(learnt.folder / "config.yaml", "siamese]", "siamese, siamese-frames]"):
        jobs = learnt.planned("results/models.csv")
    assert {job.split()[0] for job in jobs} == {"train_model", "predict_frames", "tabulate_models"}


def test_the_report_waits_for_the_scores_of_every_model(learnt):
    jobs = learnt.planned("results/report.html", options=["--forceall"])
    assert "score_model" in {job.split()[0] for job in jobs}


def test_classical_sounds_and_scores_wait_for_no_training(learnt):
    targets = ["results/scores/lucas-kanade/card.json", "results/sound/pyramid-denoised/card.wav"]
    jobs = learnt.planned(*targets, options=["--forceall"])
    assert "evaluate_sound card lucas-kanade" in jobs
    assert not {job for job in jobs if job.startswith(("train", "predict", "split"))}


def test_a_recording_of_the_role_test_is_heard_by_a_model_of_all_the_others(learnt):
    row = "card,simulated,,simulated,0,,train\n"
    leaf = row.replace("card", "leaf").replace("train", "test")
    with changed(learnt.folder / "recordings.csv", row, row + leaf):
        said = learnt.snakemake("results/sound/siamese/leaf.wav", options=["--dry-run"]).stdout
    assert "results/predictions/siamese/later/leaf.csv" in said
    assert "fold-" not in said


def test_without_a_recording_to_train_on_the_rest_is_made(learnt):
    with changed(learnt.folder / "recordings.csv", "train", "test"):
        done = learnt.snakemake(options=["--dry-run"])
    assert "No recording has the role train and a reference: no model is trained." in done.stdout
    assert "rule train_model" not in done.stdout
    assert "rule make_report" in done.stdout
