"""Training can be killed at any time and then goes on as if it had not been."""

import csv
import os

import numpy as np
import pytest
import torch
from learning import FPS, footage
from visualmic.errors import VisualMicError
from visualmic.learn import trainer
from visualmic.learn.history import HISTORY_COLUMNS, read_history, write_history
from visualmic.learn.prediction import predict
from visualmic.learn.settings import SplitSettings, model_settings
from visualmic.learn.splits import Film, indices, make_split
from visualmic.learn.training import forget_checkpoints, train

SPLITS = SplitSettings(guard_s=0.1, max_lag_s=0.02)
FRAMES = 1000
SMALL = {"size_px": 16, "channels": [8, 8], "hidden": 32}


class Killed(BaseException):
    """Ends a training where it stands, as a signal would."""


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return footage(tmp_path_factory.mktemp("card"), FRAMES)


@pytest.fixture(scope="module")
def split():
    return make_split({"card": Film(FRAMES, FPS)}, "later", SPLITS)


def trained_in(folder, card, split, model="siamese", **training):
    settings = model_settings(model, SMALL, None, {"epochs": 4, "step_epochs": 2, **training})
    return train(settings, split, [card], folder, SPLITS.max_lag_s, quiet=True)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, card, split):
    folder = tmp_path_factory.mktemp("unbroken")
    return trained_in(folder, card, split), folder


def same_everywhere(one, other):
    mine, its = one.model.network.state_dict(), other.model.network.state_dict()
    timed = {"frames_per_second"}
    return all(torch.equal(mine[name], its[name]) for name in mine) and all(
        a[name] == b[name] for a, b in zip(one.history, other.history, strict=True)
        for name in set(HISTORY_COLUMNS) - timed
    )  # fmt: skip


def test_the_same_seed_gives_the_same_weights(tmp_path, card, split, unbroken):
    assert same_everywhere(unbroken[0], trained_in(tmp_path, card, split))
    assert not same_everywhere(unbroken[0], trained_in(tmp_path, card, split, seed=1))


@pytest.mark.parametrize("step", [3, 25, 41, 60])
def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path, monkeypatch, card, split, unbroken, step
):
    plain, done = trainer._Module.training_step, []

    def training_step(self, batch, number):
        done.append(number)
        if len(done) == step:
            raise Killed
        return plain(self, batch, number)

    monkeypatch.setattr(trainer._Module, "training_step", training_step)
    with pytest.raises(Killed):
        trained_in(tmp_path, card, split)
    again = trained_in(tmp_path, card, split)
    # 586 frames are 18 batches an epoch.
    left = 4 * 18 - (step - 1) // 18 * 18
    assert len(done) == step + left
    assert same_everywhere(unbroken[0], again)


def test_a_kill_between_writing_and_renaming_a_checkpoint_leaves_the_one_before(
    tmp_path, monkeypatch, card, split, unbroken
):
    plain, kept = torch.save, []

    def save(content, path):
        plain(content, path)
        kept.append(path)
        if len(kept) == 6:
            with open(path, "rb+") as half:
                half.truncate(1000)
            # What a killed process leaves behind.
            os.link(path, path.with_name(".last.x.partial.ckpt"))
            raise Killed

    monkeypatch.setattr(trainer.torch, "save", save)
    with pytest.raises(Killed):
        trained_in(tmp_path, card, split)
    assert same_everywhere(unbroken[0], trained_in(tmp_path, card, split))
    assert not list(tmp_path.rglob(".*partial*"))


def test_other_settings_do_not_go_on_from_a_checkpoint(tmp_path, card, split, unbroken):
    trained_in(tmp_path, card, split, epochs=2)
    assert same_everywhere(unbroken[0], trained_in(tmp_path, card, split))


def test_a_training_that_was_done_is_not_done_again(monkeypatch, card, split, unbroken):
    def training_step(self, batch, number):
        raise AssertionError("a step")

    monkeypatch.setattr(trainer._Module, "training_step", training_step)
    assert same_everywhere(unbroken[0], trained_in(unbroken[1], card, split))


def test_the_history_has_a_row_an_epoch_and_adds_up(tmp_path, unbroken):
    trained = unbroken[0]
    write_history(tmp_path / "history.csv", trained.history)
    history = read_history(tmp_path / "history.csv")
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["learning_rate"] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
    assert np.square(history["train_rmse"]) == pytest.approx(history["train_loss"], rel=1e-6)
    sums = np.array(history["validation_sum_of_squares"])
    count = trained.facts["validation_frames"]
    assert sums / count == pytest.approx(history["validation_loss"], rel=1e-6)
    with (tmp_path / "history.csv").open(newline="") as stream:
        assert tuple(next(csv.reader(stream))) == HISTORY_COLUMNS


def test_a_model_hears_what_it_was_not_trained_on(card, split, unbroken):
    test = split.recordings["card"].test
    said = predict(unbroken[0].model, card, test)
    played = card.amplitudes[indices(test)]
    silence = np.sqrt(np.mean(played**2))
    assert np.sqrt(np.mean((said - played) ** 2)) < 0.4 * silence


def test_frames_as_they_are_say_less_than_their_difference(tmp_path, card, split, unbroken):
    frames = trained_in(tmp_path, card, split, model="siamese-frames")
    best = [
        min(row["validation_rmse"] for row in trained.history) for trained in (frames, unbroken[0])
    ]
    assert best[0] > 2 * best[1]


def test_facts_tell_what_training_took(unbroken):
    facts = unbroken[0].facts
    assert (facts["epochs"], facts["device"]) == (4, "cpu")
    assert facts["training_s"] > 0
    assert facts["frames_per_second"] == pytest.approx(4 * 18 * 32 / facts["training_s"], rel=1e-6)
    assert facts["labels"]["card"]["polarity"] == 1


def test_training_stops_when_it_no_longer_helps(tmp_path, card, split):
    trained = trained_in(
        tmp_path, card, split, epochs=60, learning_rate=0.02, patience=2, step_epochs=99
    )
    losses = [row["validation_loss"] for row in trained.history]
    assert len(losses) < 60
    assert np.argmin(losses) == len(losses) - 3


def test_checkpoints_are_forgotten_when_the_model_is_safe(tmp_path, card, split):
    trained_in(tmp_path / "checkpoints", card, split, epochs=1)
    assert list(tmp_path.rglob("last.ckpt"))
    forget_checkpoints(tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


def test_a_recording_of_another_length_than_the_split_is_refused(tmp_path, card):
    other = make_split({"card": Film(FRAMES + 1, FPS)}, "later", SPLITS)
    with pytest.raises(VisualMicError, match="1000 frames where the split later says 1001"):
        trained_in(tmp_path, card, other)


def test_a_recording_without_a_sound_is_refused(tmp_path, card, split):
    deaf = type(card)("card", card.film, card.heard)
    with pytest.raises(VisualMicError, match="card has no reference sound"):
        trained_in(tmp_path, deaf, split)


def test_a_loss_that_is_no_number_is_said(tmp_path, card, split):
    with pytest.raises(VisualMicError, match="lower the learning rate"):
        trained_in(tmp_path, card, split, epochs=2, learning_rate=1e30)
