"""Films and sounds that cannot be used: one clear line, no traceback, and nothing lost."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from films import make_film, run_ffmpeg
from visualmic.cli import main as command
from visualmic.film.ffmpeg import ffmpeg_executable


@pytest.fixture(autouse=True)
def only_the_commands_of_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load two subcommands only, so that these tests depend on no other."""
    wanted = {name: command.COMMANDS[name] for name in ("probe", "prepare")}
    monkeypatch.setattr(command, "COMMANDS", wanted)


def complain(capsys: pytest.CaptureFixture[str], arguments: Sequence[str | Path]) -> str:
    """Run the command, which must fail, and return the one line that it says."""
    assert command.main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if "warning: " not in line]
    assert len(lines) == 1, said
    assert lines[0].startswith(f"visualmic {arguments[0]}: ")
    assert "Traceback" not in said
    return lines[0]


def truncate(path: Path, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def no_frames(path: Path) -> None:
    """Write a film whose picture track is there but empty."""
    film = make_film(path.with_name("whole.mp4"))
    run_ffmpeg("-i", film, "-c", "copy", "-frames:v", "0", "-movflags", "empty_moov", path)


def test_a_missing_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complain(capsys, ["probe", tmp_path / "none.mp4"])
    assert "there is no file" in said
    assert "none.mp4" in said


def test_a_folder_for_a_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a file" in complain(capsys, ["probe", tmp_path])


def test_an_empty_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").touch()
    assert "a.mp4 is empty" in complain(capsys, ["probe", tmp_path / "a.mp4"])


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.avi"])
def test_a_text(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("These are notes and not a film.\n" * 50)
    assert f"{name} is " in complain(capsys, ["probe", tmp_path / name])


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=48x32", "-frames:v", "1", tmp_path / name)
    assert "is a picture, not a film" in complain(capsys, ["probe", tmp_path / name])


def test_a_sound_for_a_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(4000), 8000)
    assert "holds no picture track" in complain(capsys, ["probe", tmp_path / "a.wav"])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("part", [0.05, 0.3, 0.7, 0.97])
def test_a_film_cut_short(
    name: str, part: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faststart = ("-movflags", "faststart") if name != "a.mkv" else ()
    film = make_film(tmp_path / name, frames=200, size="96x64", options=faststart)
    truncate(film, part)
    said = complain(capsys, ["probe", film])
    assert name in said
    assert "cut short" in said or "copy it again" in said


def test_a_film_whose_end_with_the_index_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "a.mp4", frames=100)
    truncate(film, 0.5)
    assert "moov atom not found" in complain(capsys, ["probe", film])


def test_a_film_without_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    no_frames(tmp_path / "a.mp4")
    said = complain(capsys, ["probe", tmp_path / "a.mp4"])
    assert "a.mp4 holds no" in said


@pytest.mark.parametrize("fps", ["-240", "0", "nan"])
@pytest.mark.parametrize("option", ["--fps", "-s", "--sampling-rate"])
def test_a_frame_rate_that_cannot_be(
    fps: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "a.mp4")
    assert "give frames per second above 0" in complain(capsys, ["probe", film, f"{option}={fps}"])
    folders = [f"--video-dir={tmp_path}", f"--output-dir={tmp_path / 'out'}"]
    said = complain(capsys, ["prepare", *folders, f"{option}={fps}"])
    assert "give frames per second above 0" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"--video-dir={tmp_path / 'none'}", f"--output-dir={tmp_path / 'out'}"]
    assert "cannot read the folder" in complain(capsys, ["prepare", *folders])


def test_an_output_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(tmp_path / "a.mp4")
    (tmp_path / "file").write_text("in the way")
    folders = [f"--video-dir={tmp_path}", f"--output-dir={tmp_path / 'file' / 'out'}"]
    assert "cannot write to" in complain(capsys, ["prepare", *folders])
    assert (tmp_path / "file").read_text() == "in the way"


def prepare(folder: Path, *options: str) -> list[str]:
    return ["prepare", f"--video-dir={folder}", f"--output-dir={folder / 'out'}", *options]


def test_one_bad_film_among_good_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_film(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_text("a text")
    assert command.main(prepare(tmp_path)) == 1
    said = capsys.readouterr()
    assert "bad.mp4 is not a film" in said.err
    assert "not prepared: bad.mp4" in said.err
    assert "1 prepared" in said.out
    assert (tmp_path / "out" / "frames" / "good.h5").is_file()
    assert "good" in (tmp_path / "out" / "dataset" / "metadata.csv").read_text()


def test_sound_asked_for_from_a_silent_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(tmp_path / "silent.mp4")
    assert command.main(prepare(tmp_path, "--reference=film")) == 1
    assert "silent.mp4 has no sound track" in capsys.readouterr().err


def test_a_reference_shorter_than_the_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(tmp_path / "a.mp4", frames=100, fps="100")
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(4000.0)), 8000)
    assert command.main(prepare(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "a.wav lasts 0.500 s and does not cover the film, which lasts 0.990 s" in said
    assert "trim the film" in said


def test_a_reference_that_is_no_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_film(tmp_path / "a.mp4")
    (tmp_path / "a.wav").write_text("no sound at all, but words\n" * 20)
    assert command.main(prepare(tmp_path)) == 1
    assert "a.wav is not a sound that can be read" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="scripts that stand in for ffmpeg are POSIX")
def test_an_ffmpeg_that_dies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed, as by a system out of memory, after it told of some packets."""
    make_film(tmp_path / "a.mp4", frames=300, size="128x128")
    real = ffmpeg_executable()
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in\n*framecrc*) {real} "$@" | head -n 60; kill -9 $$;;\n'
        f'*) exec {real} "$@";;\nesac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr("visualmic.film.ffmpeg.ffmpeg_executable", lambda: str(fake))
    assert command.main(prepare(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "ffmpeg was killed by signal 9 while it looked" in said
    assert not (tmp_path / "out" / "frames" / "a.h5").exists()
