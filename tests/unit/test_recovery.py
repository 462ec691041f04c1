"""What a method says of itself, as a file."""

import json

import numpy as np
import pytest
from visualmic.errors import VisualMicError
from visualmic.motion.recovery import Diagnosis, Recovery, write_diagnosis


def recovery(**facts: object) -> Recovery:
    diagnosis = Diagnosis(**facts)  # type: ignore[arg-type]
    return Recovery(np.zeros(8), 1000.0, "lucas-kanade", diagnosis)


def test_the_noise_is_set_against_its_bound_in_decibels() -> None:
    content = Diagnosis(noise_floor_px=0.002, crb_px=0.001).as_dict()
    assert content["ratio_db"] == pytest.approx(6.02, abs=0.01)


def test_what_is_not_known_is_left_out() -> None:
    content = Diagnosis(verdict="no sound").as_dict()
    assert content == {"verdict": "no sound", "warnings": [], "found": {}}
    assert "crb_px" not in Diagnosis(crb_px=float("inf")).as_dict()
    assert "ratio_db" not in Diagnosis(noise_floor_px=0.1).as_dict()


def test_ratios_are_in_decibels_and_never_infinite() -> None:
    content = Diagnosis(frequency_hz=np.array([0.0, 100.0]), snr=np.array([0.0, 100.0])).as_dict()
    assert content["snr_per_frequency"] == {"frequency_hz": [0.0, 100.0], "snr_db": [-30.0, 20.0]}


def test_the_file_is_strict_json_and_names_the_method(tmp_path) -> None:
    found = {"flicker": {"frequency_hz": [100.0], "share_of_light": 0.01, "removed": True}}
    one = recovery(
        verdict="a sound",
        warnings=["the lamp flickers"],
        found=found,
        noise_floor_px=0.002,
        crb_px=float("inf"),
        frequency_hz=np.arange(3.0),
        snr=np.ones(3),
        heat={"x_px": [1.0], "y_px": [1.0], "size_px": 2.0, "value": [0.0], "unit": "dB"},
    )
    write_diagnosis(tmp_path / "new" / "diagnosis.json", one)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "new" / "diagnosis.json").read_text()
    content = json.loads(text, parse_constant=refuse)
    assert content["method"] == "lucas-kanade"
    assert content["found"] == found
    assert set(content["heat_map"]) == {"x_px", "y_px", "size_px", "value", "unit"}


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VisualMicError, match="cannot write"):
        write_diagnosis(tmp_path / "file" / "diagnosis.json", recovery())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
