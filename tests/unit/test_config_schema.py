"""Config, schema and the library's settings say the same."""

import dataclasses
import re
from pathlib import Path

import pytest
from visualmic.audio.denoise import DenoiseSettings
from visualmic.config.recordings import Recording
from visualmic.config.settings import read_config
from visualmic.config.validation import read_schema
from visualmic.evaluate.scores import EvaluationSettings
from visualmic.learn.settings import (
    FpnSettings,
    InputSettings,
    ResNetSettings,
    SiameseSettings,
    SplitSettings,
    TrainingSettings,
)
from visualmic.motion.hearing import HearingSettings
from visualmic.motion.lucas_kanade import LucasKanadeSettings
from visualmic.motion.pyramid import PyramidSettings
from visualmic.simulate.settings import SimulationSettings

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = read_config(PROJECT / "config.yaml").content
SCHEMA = read_schema("config")

GROUPS = [
    (("pyramid",), PyramidSettings),
    (("lucas-kanade", "measure"), LucasKanadeSettings),
    (("lucas-kanade", "combine"), HearingSettings),
    (("denoise",), DenoiseSettings),
    (("learn", "splits"), SplitSettings),
    (("learn", "frames"), InputSettings),
    (("learn", "training"), TrainingSettings),
    (("learn", "siamese"), SiameseSettings),
    (("learn", "resnet50"), ResNetSettings),
    (("learn", "fpn"), FpnSettings),
    (("evaluation",), EvaluationSettings),
    (("simulation", "defaults"), SimulationSettings),
]


def group_at(path):
    group = CONFIG
    for key in path:
        group = group[key]
    stages = [stage for stage in ("measure", "combine") if stage in group]
    return {name: value for stage in stages for name, value in group[stage].items()} or group


def default_of(field):
    if field.default is not dataclasses.MISSING:
        return list(field.default) if isinstance(field.default, tuple) else field.default
    return field.default_factory()


@pytest.mark.parametrize(("path", "settings"), GROUPS)
def test_config_has_every_setting_of_the_library_and_no_other(path, settings):
    assert list(group_at(path)) == [field.name for field in dataclasses.fields(settings)]


@pytest.mark.parametrize(("path", "settings"), GROUPS)
def test_the_workflow_and_the_command_have_the_same_defaults(path, settings):
    group = group_at(path)
    own = {"seconds"} if settings is SimulationSettings else set()
    for field in dataclasses.fields(settings):
        if field.name not in own:
            assert group[field.name] == default_of(field), field.name


def test_every_key_of_the_config_is_in_the_schema_in_the_same_order():
    def walk(group, schema, path):
        if "$ref" in schema:
            schema = {**SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema}
        if not isinstance(group, dict) or "properties" not in schema:
            return
        assert list(group) == list(schema["properties"]), path
        assert list(schema["required"]) == list(schema["properties"]), path
        for key, value in group.items():
            walk(value, schema["properties"][key], [*path, key])

    walk(CONFIG, SCHEMA, [])


def test_every_setting_is_explained():
    lines = (PROJECT / "config.yaml").read_text().splitlines()
    inside = lines[: next(i for i, line in enumerate(lines) if line == "  recordings:")]
    for number, line in enumerate(inside):
        if re.match(r" *[a-z_-]+:", line) and not re.match(r"  (measure|combine):", line):
            above = inside[number - 1].strip()
            # One comment may stand for a few settings that belong together.
            assert above.startswith("#") or re.match(r"[a-z_]+:", above), line


def test_the_table_has_the_columns_of_its_schema():
    columns = (PROJECT / "recordings.csv").read_text().splitlines()[0].split(",")
    assert columns == list(read_schema("recordings")["properties"])
    assert columns == [field.name for field in dataclasses.fields(Recording)]
