"""Which ffmpeg runs, and that it never outlives its reader."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from films import make_film
from visualmic.errors import VisualMicError
from visualmic.film import ffmpeg as runner
from visualmic.film.probe import probe_film


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Let the choice of an ffmpeg be made anew, and not be remembered."""
    runner.ffmpeg_executable.cache_clear()
    yield
    runner.ffmpeg_executable.cache_clear()


def fake_ffmpeg(folder: Path, version: str) -> str:
    script = folder / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright'\n")
    script.chmod(0o755)
    return str(script)


def test_the_ffmpeg_of_the_wheel_runs_where_the_system_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forgotten: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    executable = runner.ffmpeg_executable()
    assert Path(executable).is_absolute()
    assert runner.ffmpeg_version(executable) >= (4, 2)


@pytest.mark.parametrize("version", ["7.1", "n6.0-12-g1", "N-118000-gabc"])
def test_the_ffmpeg_of_the_system_is_preferred(
    version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forgotten: None
) -> None:
    script = fake_ffmpeg(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runner.ffmpeg_executable() == script


def test_a_very_old_ffmpeg_of_the_system_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forgotten: None
) -> None:
    script = fake_ffmpeg(tmp_path, "3.4.11")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runner.ffmpeg_executable() != script


def test_complaints_are_the_errors_once_each_without_addresses() -> None:
    log = (
        "[in#0 @ 0x5589] [warning] low score\n"
        "[in#0 @ 0x5589] [error] moov atom not found\n"
        "[h264 @ 0x1] [error] no frame!\n[h264 @ 0x2] [error] no frame!\n"
        "[fatal] Stream map '' matches no streams.\n"
        "[info]   Duration: 00:00:01.00\n"
    )
    assert runner.complaints(log) == [
        "moov atom not found",
        "no frame!",
        "Stream map '' matches no streams.",
    ]


@pytest.mark.parametrize("name", ["take:2.mp4", "-x.mp4", "über 100%d [1] 'q'.mp4"])
def test_any_file_name_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_film(tmp_path / "film.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe_film(name).frames == 24


def test_a_playlist_posing_as_a_film_reaches_nothing(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_text("#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VisualMicError, match=r"film\.mp4"):
        probe_film(film)


def test_the_child_is_dead_when_the_block_ends() -> None:
    endless = ["-f", "lavfi", "-i", "testsrc", "-f", "rawvideo", "pipe:"]
    arguments = [runner.ffmpeg_executable(), "-v", "error", *endless]
    with runner.piped(arguments) as (process, _):
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_the_child_dies_when_its_reader_is_killed() -> None:
    program = (
        "from visualmic.film import ffmpeg as runner\n"
        "import time\n"
        "arguments = [runner.ffmpeg_executable(), '-v', 'error', '-f', 'lavfi', '-i', 'testsrc',"
        " '-f', 'rawvideo', 'pipe:']\n"
        "with runner.piped(arguments) as (process, errors):\n"
        "    print(process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        child = int(reader.stdout.readline())
        assert is_running(child)
        reader.kill()
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
