"""``visualmic simulate``: one line makes the film and its truth, or says what is wrong."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest
from visualmic.cli import simulate
from visualmic.errors import VisualMicError
from visualmic.film.probe import probe_film
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.truth import load_truth

SHORT = ("--size", "48x32", "--seconds", "0.05", "--quiet")


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    return simulate.run(parser.parse_args([str(argument) for argument in arguments]))


def test_one_line_makes_a_film_and_its_truth(tmp_path: Path, capsys):
    film = tmp_path / "new" / "leaf.mp4"
    assert run("-o", film, "--object", "plant-leaf", "--sound", "speech", *SHORT) == 0
    assert sorted(path.name for path in film.parent.iterdir()) == [
        "leaf.mp4",
        "leaf_truth.h5",
        "leaf_truth.wav",
    ]
    said = capsys.readouterr().out
    assert said.startswith(f"{film}: 110 frames of 48x32 at 2200 Hz, plant-leaf moved by at most")
    info = probe_film(film)
    assert (info.width, info.height, info.frames, info.capture_fps) == (48, 32, 110, 2200)


def test_every_option_reaches_the_film(tmp_path: Path):
    film = tmp_path / "film.mkv"
    options = {
        "object": ("--object", "rigid"),
        "sound": ("--sound", "tone"),
        "fps": ("--sampling-rate", 1000.0),
        "amplitude_px": ("--amplitude", 0.2),
        "seed": ("--seed", 7),
        "tone_hz": ("--tone", 111.0),
        "modes": ("--modes", 2),
        "direction_deg": ("--direction", 45.0),
        "sound_low_hz": ("--low", 40.0),
        "sound_high_hz": ("--high", 300.0),
        "exposure": ("--exposure", 0.9),
        "brightness": ("--brightness", 100.0),
        "contrast": ("--contrast", 0.5),
        "blur_px": ("--blur", 0.8),
        "noise_sigma": ("--noise", 2.0),
        "electrons_per_level": ("--electrons", 30.0),
        "flicker": ("--flicker", 0.02),
        "mains_hz": ("--mains", 60.0),
        "shake_px": ("--shake", 0.3),
        "shake_hz": ("--shake-hz", 5.0),
        "drift_px": ("--drift", 0.5),
        "vignetting": ("--vignetting", 0.1),
        "dead_pixels": ("--dead-pixels", 3),
        "codec": ("--codec", "lossless"),
        "crf": ("--crf", 5),
        "preset": ("--preset", "veryfast"),
        "gop": ("--gop", 10),
        "b_frames": ("--b-frames", 1),
        "container_fps": ("--container-fps", 30.0),
    }
    arguments = [part for option in options.values() for part in option]
    assert run(film, *arguments, "--capture-tag", "--audio-track", *SHORT) == 0
    settings = load_truth(tmp_path / "film_truth.h5").settings
    for name, (_, value) in options.items():
        assert settings[name] == value, name
    assert settings["capture_tag"]
    assert settings["audio_track"]
    named = {*options, "capture_tag", "audio_track", "seconds", "width", "height"}
    assert named == {field.name for field in fields(SimulationSettings)}


def test_options_left_out_are_the_settings_own_defaults(tmp_path: Path):
    assert run("-o", tmp_path / "film.mp4", *SHORT) == 0
    settings = load_truth(tmp_path / "film_truth.h5").settings
    expected = SimulationSettings(width=48, height=32, seconds=0.05)
    assert settings == expected.as_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name one film to make"),
        (("a.mp4", "-o", "b.mp4"), "name one film to make"),
        (("-o", "film.mp4", "--size", "192"), "size '192' is not WIDTHxHEIGHT"),
        (("-o", "film.mp4", "--size", "8x8"), "width is 8; it must be a whole number from 16"),
        (("-o", "film.mp4", "--fps", "-1"), "fps is -1; it must be"),
        (("-o", "film.mp4", "--sound", "no.wav"), "is no sound file"),
        (("-o", "film.gif"), "must end in"),
    ],
)
def test_a_mistake_gives_one_clear_line(tmp_path: Path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VisualMicError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
