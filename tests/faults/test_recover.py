"""Mistakes with ``visualmic recover``: one clear line, exit 1, and nothing made before is lost."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from films import encode_luma, make_film, random_luma, run_ffmpeg
from visualmic.cli import main as command

BEFORE = b"a sound recovered before"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return encode_luma(tmp_path / "film.mkv", random_luma(60, 32, 48))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(BEFORE)
    return path


def complain(capsys: pytest.CaptureFixture[str], arguments: Sequence[str | Path]) -> str:
    """Run the command, which must fail, and return the one line that it says."""
    assert command.main(["recover", *map(str, arguments), "--quiet"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert said.startswith("visualmic recover: ")
    return said


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_missing_film(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no file" in complain(capsys, [tmp_path / "none.mp4", "-o", out])
    assert out.read_bytes() == BEFORE
    said = complain(capsys, [tmp_path / "none.mp4", "-o", tmp_path / "new" / "sound.wav"])
    assert "none.mp4" in said
    assert listing(tmp_path) == {"sound.wav"}


def test_an_empty_film(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").touch()
    assert "a.mp4 is empty" in complain(capsys, [tmp_path / "a.mp4", "-o", out])
    assert out.read_bytes() == BEFORE


def test_a_text_for_a_film(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("These are notes and not a film.\n" * 50)
    assert "a.mp4 is " in complain(capsys, [tmp_path / "a.mp4", "-o", out])
    assert out.read_bytes() == BEFORE


def test_a_film_without_frames(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_film(tmp_path / "whole.mp4")
    empty = tmp_path / "empty.mp4"
    run_ffmpeg("-i", whole, "-c", "copy", "-frames:v", "0", "-movflags", "empty_moov", empty)
    assert "empty.mp4 " in complain(capsys, [empty, "-o", out])
    assert out.read_bytes() == BEFORE


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_film_that_is_cut_off(
    suffix: str, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_film(tmp_path / f"film{suffix}", frames=120, options=["-movflags", "faststart"])
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 6 // 10])
    assert "cut short" in complain(capsys, [whole, "-o", out])
    assert out.read_bytes() == BEFORE


def test_a_film_of_one_frame(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = encode_luma(tmp_path / "one.mkv", random_luma(1, 32, 48))
    assert "motion needs at least two" in complain(capsys, [one, "-o", out])
    assert out.read_bytes() == BEFORE


def test_a_frame_store_that_is_none(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frames.h5").write_text("not HDF5")
    said = complain(capsys, [tmp_path / "frames.h5", "-o", out])
    assert "cannot read frames" in said
    assert out.read_bytes() == BEFORE


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--method", "lucas-kande"], "did you mean lucas-kanade"),
        (["--method", "magic"], "choose lucas-kanade, hybrid, pyramid"),
        (["--fps", "-5"], "a frame rate of -5 is not possible"),
        (["--fps", "0"], "give frames per second above 0"),
        (["--fps", "nan"], "give frames per second above 0"),
        (["--crop", "10,10,wide,20"], "give x,y,width,height"),
        (["--crop", "1,2,3"], "give x,y,width,height"),
        (["--crop", "40,0,20,20"], "leaves the frame"),
        (["--crop", "0,0,0,10"], "leaves the frame"),
        (["--threads", "0"], "give 1 or more"),
        (["--method", "pyramid", "--keep-comb", "--no-follow"], "belong"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_makes_no_sense(
    arguments: list[str],
    expected: str,
    film: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert expected in complain(capsys, [film, "-o", out, *arguments])
    assert out.read_bytes() == BEFORE
    assert listing(film.parent) == {"film.mkv", "sound.wav"}


@pytest.mark.parametrize("option", ["--fps=100", "--crop=0,0,16,16"])
def test_a_frame_store_has_its_rate_and_crop_already(
    option: str, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complain(capsys, [tmp_path / "frames.h5", "-o", out, option])
    assert "were chosen when it was made" in said


def test_a_sound_that_would_replace_the_film(
    film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = film.read_bytes()
    assert "is the film itself" in complain(capsys, [film, "-o", film])
    (film.parent / "link.wav").symlink_to(film)
    assert "is the film itself" in complain(capsys, [film, "-o", film.parent / "link.wav"])
    assert film.read_bytes() == before


def test_a_folder_for_the_sound(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = film.parent / "folder.wav"
    folder.mkdir()
    assert "it is a folder" in complain(capsys, [film, "-o", folder])
    assert not listing(folder)


def test_a_file_where_a_folder_is_needed(
    film: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot write" in complain(capsys, [film, "-o", film / "sound.wav"])
    said = complain(capsys, [film, "-o", film.parent / "new.wav", "--diagnostics", out])
    assert "cannot write" in said
    assert out.read_bytes() == BEFORE
    assert not (film.parent / "new.wav").exists()


def test_an_output_on_a_device_that_takes_no_files(
    film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root too: the kernel's own file systems refuse new files."""
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    assert "cannot write" in complain(capsys, [film, "-o", "/proc/sound.wav"])
    said = complain(capsys, [film, "-o", film.parent / "a.wav", "--diagnostics", "/proc/told"])
    assert "cannot write" in said
    assert not (film.parent / "a.wav").exists()


def test_an_interrupt_leaves_the_sound_of_before(film: Path, out: Path) -> None:
    program = (
        "import sys\n"
        "from visualmic.cli.main import main\n"
        "import visualmic.audio.wav as wav\n"
        "def stop(*arguments):\n"
        "    raise KeyboardInterrupt\n"
        "wav._write_pcm = stop\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["recover", str(film), "-o", str(out), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "visualmic recover: stopped\n")
    assert out.read_bytes() == BEFORE
    assert listing(out.parent) == {"film.mkv", "sound.wav"}


def test_the_sound_is_replaced_when_all_went_well(film: Path, out: Path) -> None:
    assert command.main(["recover", str(film), "-o", str(out), "--quiet"]) == 0
    assert out.read_bytes()[:4] == b"RIFF"
    assert listing(out.parent) == {"film.mkv", "sound.wav"}
    assert np.frombuffer(out.read_bytes()[44:], "<i2").shape == (60,)
