"""The commands train and predict, on a tiny simulated film."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from visualmic.cli import main as command
from visualmic.film.prepare import prepare_folder
from visualmic.learn import session
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder that ``visualmic prepare`` has made of one film."""
    folder = tmp_path_factory.mktemp("learn")
    settings = SimulationSettings(
        object="rigid",
        sound="tune",
        width=48,
        height=48,
        seconds=2,
        fps=500,
        amplitude_px=0.1,
        codec="lossless",
        audio_track=True,
    )
    simulate_recording(settings, folder / "films" / "card.mp4", quiet=True)
    prepare_folder(folder / "films", folder / "data", reference="film", quiet=True)
    return folder / "data"


@pytest.fixture(scope="module")
def model(data) -> Path:
    folder = data.parent / "model"
    options = "--model siamese --epochs 4 --batch-size 16 --learning-rate 0.002 --size-px 16"
    options += " --guard-s 0.1 --max-lag-s 0.02 --quiet"
    status = command.main(["train", "--data", str(data), "-o", str(folder), *options.split()])
    assert status == 0
    return folder


def said(capsys):
    return capsys.readouterr().err.strip().splitlines()


def test_train_leaves_a_model_with_all_that_is_known_of_it(model):
    names = {path.name for path in model.iterdir()}
    assert {"model.pt", "history.csv", "training.json", "metrics.json", "split.json"} <= names
    assert {"training.png", "training.svg"} <= names
    assert "checkpoints" not in names
    assert len((model / "history.csv").read_text().splitlines()) == 1 + 4
    scores = json.loads((model / "metrics.json").read_text())
    assert scores["rmse"] < 0.6 * scores["rmse_silence"]


def test_predict_hears_the_recording_it_was_trained_on(data, model, tmp_path):
    heard = tmp_path / "heard.wav"
    film = data / "frames" / "card.h5"
    arguments = [str(film), "--model", str(model / "model.pt"), "-o", str(heard), "--quiet"]
    assert command.main(["predict", *arguments, "--recording", "card"]) == 0
    sound, rate = soundfile.read(heard)
    played, _ = soundfile.read(data / "dataset" / "card_subsampled_-1To1.wav")
    assert (rate, len(sound)) == (500, len(played))
    assert abs(np.corrcoef(sound, played)[0, 1]) > 0.8


def test_predict_hears_a_film_as_one_it_does_not_know(data, model, tmp_path):
    heard = tmp_path / "heard.wav"
    film = data.parent / "films" / "card.mp4"
    arguments = [str(film), "--model", str(model / "model.pt"), "-o", str(heard), "--quiet"]
    assert command.main(["predict", *arguments, "--crop", "4,4,40,40", "--listen"]) == 0
    sound, _ = soundfile.read(heard)
    played, _ = soundfile.read(data / "dataset" / "card_subsampled_-1To1.wav")
    assert abs(np.corrcoef(sound, played)[0, 1]) > 0.5
    assert (tmp_path / "heard_48k.wav").is_file()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--model siames", "there is no model 'siames'; choose siamese, .* did you mean siamese"),
        ("--epochs 0", "epochs is 0: 1 or more"),
        ("--learning-rate -1", "learning rate is -1: above 0"),
        ("--weights none", "siamese has no setting --weights; leave it out"),
        ("--model fpn --weights gone.pth", "no file of weights gone.pth"),
        ("--recordings leaf", "no frame store .*leaf.h5"),
        ("--fold without-card", "no recording to train with"),
        ("--guard-s 0.01", "must be less than the guard gap"),
        ("--crop middle", "crop is 'middle': object or frame"),
        ("--max-lag-s 0.9 --guard-s 1", "card has 1000 frames: too few"),
    ],
)
def test_what_is_wrong_with_a_training_is_one_line(data, tmp_path, capsys, options, expected):
    arguments = ["train", "--data", str(data), "-o", str(tmp_path), "--quiet", *options.split()]
    assert command.main(arguments) == 1
    lines = said(capsys)
    assert len(lines) == 1
    assert re.search(expected, lines[0]), lines[0]


def test_a_folder_without_data_is_one_line(tmp_path, capsys):
    assert command.main(["train", "--data", str(tmp_path)]) == 1
    (line,) = said(capsys)
    assert "make it with visualmic prepare" in line


def test_a_model_that_is_none_or_knows_no_such_recording_is_one_line(data, model, tmp_path, capsys):
    film, out = str(data / "frames" / "card.h5"), str(tmp_path / "out.wav")
    none = tmp_path / "model.pt"
    none.write_bytes(b"none")
    assert command.main(["predict", film, "--model", str(none), "-o", out]) == 1
    assert "is no model of this project" in said(capsys)[0]
    arguments = ["predict", film, "--model", str(model / "model.pt"), "-o", out]
    assert command.main([*arguments, "--recording", "leaf"]) == 1
    assert "was not trained on leaf, but on card" in said(capsys)[0]
    assert not Path(out).exists()


def test_without_torch_the_commands_say_what_to_install(monkeypatch, data, capsys):
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    assert command.main(["train", "--data", str(data)]) == 1
    (line,) = said(capsys)
    assert line.endswith("pip install 'visualmic[learn]'")
