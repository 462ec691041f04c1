"""Faults in settings are said in one line that names the place, the value and what is allowed."""

from pathlib import Path

import pytest
import yaml
from visualmic.config.settings import (
    ConfigSource,
    check_settings,
    merge,
    read_config,
    recordings_path,
)
from visualmic.config.validation import faults, read_schema
from visualmic.errors import VisualMicError

PROJECT = Path(__file__).resolve().parents[2]
DEFAULTS = read_config(PROJECT / "config.yaml")
SCHEMA = read_schema("config")


def fault_of(text: str) -> str:
    """Say what is wrong with the defaults changed by some YAML."""
    mine = ConfigSource(Path("mine.yaml"), yaml.safe_load(text))
    with pytest.raises(VisualMicError) as caught:
        check_settings(merge([DEFAULTS.content, mine.content]), [DEFAULTS, mine])
    return str(caught.value)


def test_the_defaults_have_no_fault():
    check_settings(DEFAULTS.content, [DEFAULTS])


def test_an_unknown_key_names_its_nearest_neighbour():
    assert fault_of("denoise: {cutof_hz: 20}") == (
        "mine.yaml: denoise.cutof_hz is not a known key; did you mean denoise.cutoff_hz?"
    ).replace("denoise.cutoff_hz?", "cutoff_hz?")


def test_an_unknown_key_far_from_all_lists_what_is_known():
    assert fault_of("denoise: {volume: 3}").startswith(
        "mine.yaml: denoise.volume is not a known key; known here: cutoff_hz, order, window_s"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "denoise: {cutoff_hz: -20}",
            "denoise.cutoff_hz is -20; it must be a number of at least 0",
        ),
        ("denoise: {order: 2.5}", "denoise.order is 2.5; it must be a whole number of at least 1"),
        ("denoise: {floor: loud}", 'denoise.floor is "loud"; it must be a number of at least 0'),
        ("denoise:", "denoise is empty; it must be a group of keys: cutoff_hz, order"),
        ("methods: [pyramids]", 'methods[0] is "pyramids"; it must be one of pyramid, pyramid-d'),
        ("methods: []", "methods is []; it must be a list of at least one value, each different"),
        ("methods: [pyramid, pyramid]", 'methods is ["pyramid", "pyramid"]; it must be a list of'),
        ("results: a<b>", 'results is "a<b>"; it must be the path of a folder without'),
        ("pyramid: {measure: {downsample: 3}}", "pyramid.measure.downsample is 3; it must be one"),
        ("lucas-kanade: {measure: {follow: 1}}", "is 1; it must be true or false"),
        ("simulation: {recordings: {a: {fps: -1}}}", "simulation.recordings.a.fps is -1; it must"),
        ("simulation: {defaults: {fps: .nan}}", "simulation.defaults.fps is not a finite number"),
    ],
)
def test_a_wrong_value_names_its_path_itself_and_what_is_allowed(text, said):
    message = fault_of(text)
    assert message.startswith("mine.yaml: ")
    assert said in message


def test_every_fault_has_its_own_line():
    assert fault_of("denoise: {order: 0, floor: 2}\nvolume: 1").count("\n") == 2


def test_a_fault_from_the_command_line_is_not_blamed_on_a_file():
    settings = merge([DEFAULTS.content, {"denoise": {"order": 0}}])
    with pytest.raises(VisualMicError, match=r"^--config: denoise\.order is 0"):
        check_settings(settings, [DEFAULTS])


def test_a_missing_setting_is_named():
    settings = merge([DEFAULTS.content])
    del settings["denoise"]["order"]
    assert list(faults(settings, SCHEMA)) == [(("denoise", "order"), "is missing; add it")]


def test_yaml_that_cannot_be_read_names_file_and_line(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("results: results\nmethods: [pyramid\n")
    with pytest.raises(VisualMicError, match=r"broken\.yaml, line 3: "):
        read_config(broken)


def test_a_key_given_twice_is_refused(tmp_path):
    twice = tmp_path / "twice.yaml"
    twice.write_text("results: a\nresults: b\n")
    with pytest.raises(VisualMicError, match=r"line 2: the key results is given twice"):
        read_config(twice)


def test_a_file_without_keys_is_refused(tmp_path):
    listed = tmp_path / "list.yaml"
    listed.write_text("- pyramid\n")
    with pytest.raises(VisualMicError, match="must hold keys"):
        read_config(listed)


def test_the_table_is_relative_to_the_file_that_names_it(tmp_path):
    mine = ConfigSource(tmp_path / "films" / "mine.yaml", {"recordings": "mine.csv"})
    settings = merge([DEFAULTS.content, mine.content])
    assert recordings_path(settings, [DEFAULTS, mine]) == tmp_path / "films" / "mine.csv"
    silent = ConfigSource(tmp_path / "films" / "mine.yaml", {})
    assert recordings_path(DEFAULTS.content, [DEFAULTS, silent]) == PROJECT / "recordings.csv"
    typed = merge([settings, {"recordings": "typed.csv"}])
    assert recordings_path(typed, [DEFAULTS, mine]) == Path("typed.csv")
