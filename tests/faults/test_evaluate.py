"""``visualmic evaluate``: what it prints, writes, and says when something is wrong."""

import json

import numpy as np
import pytest
import soundfile
from visualmic.audio.wav import write_wav
from visualmic.cli.main import main

RATE = 2200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    played = np.convolve(rng.standard_normal(6600), [1, 1, 1], "same")
    write_wav(folder / "played.wav", played, RATE)
    heard = -np.roll(played, 11) + 0.2 * rng.standard_normal(6600)
    write_wav(folder / "heard.wav", heard, RATE)
    write_wav(folder / "silent.wav", np.zeros(6600), RATE)
    write_wav(folder / "moment.wav", heard[:5], RATE)
    soundfile.write(folder / "nan.wav", np.full(6600, np.nan), RATE, subtype="FLOAT")
    (folder / "text.wav").write_text("this is no sound")
    (folder / "empty.wav").write_bytes(b"")
    return folder


def evaluate(folder, *arguments):
    return main(["evaluate", *(str(folder / a) if a.endswith(".wav") else a for a in arguments)])


def test_a_table_shows_each_score_beside_silence(folder, capsys):
    assert evaluate(folder, "heard.wav", "played.wav") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "+5.0" in printed.out
    assert "opposite polarity" in printed.out
    lines = [line for line in printed.out.splitlines() if line]
    header = next(line for line in lines if line.startswith("metric"))
    assert header.split() == ["metric", "value", "silence", "chance", "perfect", "unit"]
    pearson = next(line.split() for line in lines if line.startswith("Pearson"))
    assert float(pearson[1]) > 0.9
    assert pearson[2] == "0.000"
    columns = {line.index("1.000") for line in lines if line.startswith(("Pearson", "STOI"))}
    assert len(columns) == 1


def test_scores_and_figures_are_written_where_asked(folder, tmp_path, capsys):
    out, drawn = tmp_path / "new" / "scores.json", tmp_path / "figures"
    status = evaluate(
        folder, "heard.wav", "played.wav", "--json", str(out), "--figures", str(drawn)
    )
    assert status == 0
    content = json.loads(out.read_text())
    assert content["recording"] == "heard"
    assert content["polarity"] == -1
    assert content["metrics"]["si_sdr"]["silence"] == -100
    names = {path.name for path in drawn.iterdir()}
    assert {"sounds.png", "sounds.svg", "frequency_snr.svg", "amplitudes.png"} <= names
    assert "sounds.png" in capsys.readouterr().out


def test_silence_is_scored_and_said_to_be_silent(folder, capsys):
    assert evaluate(folder, "silent.wav", "played.wav") == 0
    assert "the recovered sound is silent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.wav", "played.wav"), "missing.wav"),
        (("heard.wav", "missing.wav"), "missing.wav"),
        (("empty.wav", "played.wav"), "empty.wav"),
        (("text.wav", "played.wav"), "text.wav"),
        (("nan.wav", "played.wav"), "not finite"),
        (("moment.wav", "played.wav"), "5 samples"),
        (("heard.wav", "played.wav", "--offset", "99"), "offset"),
        (("heard.wav", "played.wav", "--fps", "-5"), "-5 Hz"),
        (("heard.wav", "played.wav", "--max-lag", "-1"), "0 or more"),
        (("heard.wav", "played.wav", "--offset", "nan"), "offset"),
        (("heard.wav", "played.wav", "--max-lag", "inf"), "largest lag"),
        (("heard.wav", "played.wav", "--json", "/proc/scores.json"), "/proc/scores.json"),
        (("heard.wav", "played.wav", "--figures", "/proc/figures"), "/proc/figures"),
    ],
    ids=lambda value: "-".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_a_mistake_gives_one_line_and_no_traceback(folder, capsys, arguments, said):
    assert evaluate(folder, *arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("visualmic evaluate: ")
    assert said in error


def test_scores_made_before_are_kept_when_a_run_fails(folder, tmp_path):
    out = tmp_path / "scores.json"
    assert evaluate(folder, "heard.wav", "played.wav", "--json", str(out)) == 0
    before = out.read_bytes()
    assert evaluate(folder, "nan.wav", "played.wav", "--json", str(out)) == 1
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]
