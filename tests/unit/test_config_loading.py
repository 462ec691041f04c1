"""Settings and table together make a plan, or say what does not fit."""

from pathlib import Path

import pytest
from visualmic.config.loading import load_plan
from visualmic.config.settings import merge, read_config
from visualmic.errors import VisualMicError

DEFAULTS = Path(__file__).resolve().parents[2] / "config.yaml"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Load a plan from YAML, with a table of one simulated recording beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "voice.wav").touch()
    (folder / "table.csv").write_text(
        "id,film,fps,reference,offset_s,crop,role\nchips,simulated,,simulated,0,,test\n"
    )

    def load(recording: str, more: str = "", role: str = "test"):
        mine = folder / "mine.yaml"
        table = folder / "table.csv"
        table.write_text(table.read_text().replace(",test", f",{role}"))
        mine.write_text(
            f"recordings: table.csv\nsimulation: {{recordings: {{chips: {recording}}}}}\n{more}\n"
        )
        merged = merge([read_config(DEFAULTS).content, read_config(mine).content])
        return load_plan(merged, [DEFAULTS, mine])

    return load


def test_a_simulation_has_the_defaults_and_what_its_recording_says(plan):
    simulation = plan("{fps: 1500}").simulations["chips"]
    defaults = read_config(DEFAULTS).content["simulation"]["defaults"]
    assert simulation == {**defaults, "fps": 1500}


def test_a_sound_file_is_relative_to_the_table(plan):
    assert plan("{sound: voice.wav}").simulations["chips"]["sound"] == "mine/voice.wav"


def test_a_sound_that_is_not_there_is_said(plan):
    with pytest.raises(VisualMicError, match=r"mine/mine\.yaml.*there is no sound mine/vioce\.wav"):
        plan("{sound: vioce.wav}")


def test_settings_of_a_simulation_that_disagree_are_said_with_its_name(plan):
    with pytest.raises(VisualMicError, match=r"mine\.yaml, simulation\.recordings\.chips: .*even"):
        plan("{width: 65}")


def test_only_what_the_table_names_is_planned(plan):
    assert list(plan("{}").recordings) == ["chips"]


def test_models_are_left_out_where_nothing_is_to_be_trained_on(plan):
    assert "siamese" not in plan("{}").methods
    assert "siamese" in plan("{}", role="train").methods


def test_models_alone_without_a_recording_to_train_on_are_refused(plan):
    with pytest.raises(VisualMicError, match=r"mine/table\.csv: all methods are models"):
        plan("{}", "methods: [siamese, fpn]")


def test_settings_of_learning_that_disagree_are_said_before_anything_is_made(plan):
    with pytest.raises(VisualMicError, match=r"mine\.yaml, learn\.splits: the largest lag \(1 s\)"):
        plan("{}", "learn: {splits: {max_lag_s: 1}}")
    with pytest.raises(VisualMicError, match=r"mine\.yaml, learn\.fpn: .*no file of weights gone"):
        plan("{}", "methods: [fpn]\nlearn: {fpn: {weights: gone.pth}}", role="train")
    with pytest.raises(VisualMicError, match=r"learn\.siamese: size_px is 4: 3 layers need 8"):
        plan("{}", "learn: {siamese: {size_px: 4}}", role="train")
