"""``visualmic recover``: from a film to a WAV, with a word on how far to believe it."""

import json
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from arrays import shifted_frames, texture
from films import encode_luma
from numpy.typing import NDArray
from visualmic.cli import main as command
from visualmic.film.decode import FilmFrames
from visualmic.film.frames import write_frames

FPS = 800
TONE_HZ = 130.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of a card that a tone shakes, of a still card, of one colour, of three frames."""
    folder = tmp_path_factory.mktemp("films")
    scene = texture(64, 80)
    tone = 0.05 * np.sin(2 * np.pi * TONE_HZ * np.arange(640) / FPS)
    contents = {
        "tone": shifted_frames(scene, tone, noise_std=0.8),
        "noise": shifted_frames(scene, 0 * tone, noise_std=0.8),
        "still": np.tile(np.rint(scene), (100, 1, 1)),
        "colour": np.full((100, 64, 80), 90),
        "three": shifted_frames(scene, tone[:3], noise_std=0.8),
    }
    for name, frames in contents.items():
        encode_luma(folder / f"{name}.mkv", frames.astype(np.uint16), str(FPS))
    return folder


def run(arguments: Sequence[str | Path]) -> int:
    return command.main(["recover", *map(str, arguments)])


def samples(path: Path) -> tuple[NDArray[np.int16], int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def strongest_hz(path: Path) -> float:
    sound, rate = samples(path)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return float(np.argmax(spectrum) * rate / (8 * len(sound)))


@pytest.mark.parametrize("method", ["lucas-kanade", "pyramid"])
def test_the_tone_that_shook_the_card_is_heard(method: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sound.wav"
    assert run([folder / "tone.mkv", "-o", out, "--method", method, "--quiet"]) == 0
    sound, rate = samples(out)
    assert (len(sound), rate) == (640, FPS)
    assert strongest_hz(out) == pytest.approx(TONE_HZ, abs=0.5)


def test_the_verdict_is_told_and_the_file_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sound.wav"
    assert run([folder / "tone.mkv", "-o", out]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert "strongest at 13" in said.err
    # A tone is no sound of all frequencies, however strong.
    assert float(said.err.split(" to ")[1].split()[0]) < 300
    assert run([folder / "tone.mkv", "-o", out, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


# The pyramid has no model of the noise, and gives what moves.
@pytest.mark.parametrize(
    ("film", "method"),
    [(film, "lucas-kanade") for film in ("noise", "still", "colour", "three")]
    + [("still", "pyramid"), ("colour", "pyramid")],
)
def test_where_nothing_is_heard_that_is_said_and_the_sound_is_silence(
    film: str, method: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sound.wav"
    diagnostics = tmp_path / "diagnostics"
    arguments = [folder / f"{film}.mkv", "-o", out, "--method", method]
    assert run([*arguments, "--diagnostics", diagnostics, "--listen", "--denoise"]) == 0
    assert "no" in capsys.readouterr().err.splitlines()[-1]
    assert not samples(out)[0].any()
    assert not samples(tmp_path / "sound_48k.wav")[0].any()
    assert len(samples(out)[0]) == {"noise": 640, "three": 3}.get(film, 100)
    text = (diagnostics / "diagnosis.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


@pytest.mark.parametrize("method", ["lucas-kanade", "pyramid"])
def test_diagnostics_are_numbers_and_pictures(method: str, folder: Path, tmp_path: Path) -> None:
    arguments = [folder / "tone.mkv", "-o", tmp_path / "a.wav", "--method", method, "--quiet"]
    assert run([*arguments, "--diagnostics", tmp_path / "told"]) == 0
    made = {path.name for path in (tmp_path / "told").iterdir()}
    assert {"diagnosis.json", "snr_per_frequency.png", "snr_per_frequency.svg"} <= made
    content = json.loads((tmp_path / "told" / "diagnosis.json").read_text())
    assert content["method"] == method
    if method == "pyramid":
        return
    assert {"heat_map.png", "heat_map.svg"} <= made
    assert content["ratio_db"] == pytest.approx(0, abs=1.5)
    spectrum = content["snr_per_frequency"]
    loudest = spectrum["frequency_hz"][int(np.argmax(spectrum["snr_db"]))]
    assert loudest == pytest.approx(TONE_HZ, abs=10)
    assert "Cramer-Rao bound" in (tmp_path / "told" / "snr_per_frequency.svg").read_text()


def test_without_diagnostics_nothing_else_is_written(folder: Path, tmp_path: Path) -> None:
    assert run([folder / "tone.mkv", "-o", tmp_path / "a.wav", "--quiet"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_every_switch_of_a_cure_runs(folder: Path, tmp_path: Path) -> None:
    switches = ["--no-follow", "--keep-comb", "--keep-flicker", "--keep-copies"]
    switches += [
        "--keep-uneven-frames",
        "--keep-codec-noise",
        "--keep-resonances",
        "--keep-sway",
        "--exposure",
        "0.25",
        "--illumination",
        "local",
        "--threads",
        "1",
        "--quiet",
    ]
    assert run([folder / "tone.mkv", "-o", tmp_path / "a.wav", *switches]) == 0
    assert strongest_hz(tmp_path / "a.wav") == pytest.approx(TONE_HZ, abs=0.5)


def test_a_frame_store_and_a_rate_of_ones_own_give_the_same(folder: Path, tmp_path: Path) -> None:
    write_frames(FilmFrames(folder / "tone.mkv"), tmp_path / "tone.h5")
    run([folder / "tone.mkv", "-o", tmp_path / "film.wav", "--quiet"])
    run([tmp_path / "tone.h5", "-o", tmp_path / "store.wav", "--quiet"])
    np.testing.assert_array_equal(
        samples(tmp_path / "film.wav")[0], samples(tmp_path / "store.wav")[0]
    )
    run([folder / "tone.mkv", "-o", tmp_path / "slow.wav", "--quiet", "-s", "400"])
    assert samples(tmp_path / "slow.wav")[1] == 400
    assert strongest_hz(tmp_path / "slow.wav") == pytest.approx(TONE_HZ / 2, abs=0.5)


def test_a_crop_hears_that_part_only(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    assert run([folder / "tone.mkv", "-o", out, "--crop", "8,8,64,48", "--quiet"]) == 0
    assert strongest_hz(out) == pytest.approx(TONE_HZ, abs=0.5)


@pytest.mark.parametrize("extra", [(), ("--diagnostics", "told")], ids=["plain", "diagnostics"])
def test_nothing_is_loaded_that_is_not_needed(
    extra: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from visualmic.cli.main import main\n"
        "status = main(sys.argv[1:])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))\n"
        "print('scipy.signal' in sys.modules)\n"
        "sys.exit(status)\n"
    )
    arguments = ["recover", str(folder / "tone.mkv"), "-o", "a.wav", "--quiet", *extra]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    _, loaded, signal = done.stdout.splitlines()
    unwanted = {"torch", "pandas", "snakemake", "pyrtools", "lightning", "jinja2"}
    if not extra:
        unwanted |= {"matplotlib", "PIL", "soundfile"}
        assert signal == "False"
    assert not [name for name in unwanted if f"'{name}'" in loaded]
