"""The ``visualmic`` command as a whole: how it answers before any subcommand does its work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import visualmic
from visualmic.cli import main as command
from visualmic.errors import VisualMicError, VisualMicWarning

EXECUTABLE = Path(sys.executable).with_name("visualmic")
HEAVY = {"torch", "pandas", "matplotlib", "scipy", "numpy", "numba", "cv2", "h5py", "snakemake"}


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EXECUTABLE, *arguments], capture_output=True, text=True, check=False)


def run_blocked(blocked: set[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command where the named packages cannot be imported, as if not installed."""
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {sorted(blocked)!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from visualmic.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


def test_help_loads_nothing_heavy() -> None:
    done = run_blocked(HEAVY, "--help")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in command.COMMANDS)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="processor time of a child needs os.wait4")
def test_help_answers_within_half_a_second() -> None:
    """Processor time is measured, so that a busy machine does not fail it."""
    seconds = []
    for _ in range(3):
        with subprocess.Popen([EXECUTABLE, "--help"], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_of_a_subcommand_needs_nothing_heavy_either(name: str) -> None:
    done = run_blocked(HEAVY, name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: visualmic {name}")


def test_version_is_the_one_of_the_package() -> None:
    assert run_command("--version").stdout == f"visualmic {visualmic.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("recuver",), ("recover", "--no-such-option", "a.mp4")])
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments: tuple[str, ...]) -> None:
    done = run_command(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: visualmic")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("recover", "missing.mp4", "-o", "sound.wav"),
        ("probe", "missing.mp4"),
        ("denoise", "missing.wav", "out.wav"),
        ("evaluate", "missing.wav", "reference.wav"),
        ("prepare", "--video-dir", "missing", "--output-dir", "out"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_input_that_is_missing_gives_one_line_and_exit_1(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_command(*arguments)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"visualmic {arguments[0]}: ")
    assert "missing" in lines[0]
    assert not list(tmp_path.iterdir())


def answer_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr("visualmic.cli.probe.run", fail)
    return command.main(["probe", "film.mp4"])


def test_a_mistake_of_the_user_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer_with(monkeypatch, VisualMicError("film.mp4 is empty; copy it again")) == 1
    assert capsys.readouterr().err == "visualmic probe: film.mp4 is empty; copy it again\n"


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        answer_with(monkeypatch, ZeroDivisionError())


def test_an_interrupt_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "visualmic probe: stopped\n"


def test_a_warning_to_the_user_is_one_line_without_source_code(tmp_path: Path) -> None:
    program = (
        "import sys, warnings\n"
        "import visualmic.cli.probe\n"
        "from visualmic.cli.main import main\n"
        "from visualmic.errors import VisualMicWarning\n"
        "def warn(arguments):\n"
        "    warnings.warn('the rates differ', VisualMicWarning)\n"
        "visualmic.cli.probe.run = warn\n"
        "sys.exit(main(['probe', 'film.mp4']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert issubclass(VisualMicWarning, Warning)
    assert (done.returncode, done.stderr) == (0, "visualmic: warning: the rates differ\n")


def test_core_commands_work_where_torch_and_pandas_are_not_installed(tmp_path: Path) -> None:
    blocked = {"torch", "pandas", "snakemake", "pyrtools"}
    film, truth = tmp_path / "film.mkv", tmp_path / "film_truth.wav"
    sound, quiet = tmp_path / "sound.wav", tmp_path / "quiet.wav"
    for arguments in (
        ("simulate", film, "--seconds", "0.4"),
        ("probe", film),
        ("recover", film, "-o", sound),
        ("denoise", sound, quiet),
        ("evaluate", quiet, truth),
    ):
        done = run_blocked(blocked, *arguments)
        assert done.returncode == 0, done.stderr
    assert quiet.stat().st_size > 44


def test_what_was_recovered_once_is_recovered_again_without_numba_or_scipy(tmp_path: Path) -> None:
    film, first, again = (tmp_path / name for name in ("film.mkv", "first.wav", "again.wav"))
    simulated = run_command("simulate", film, "--seconds", "1", "--object", "crisp-packet")
    assert simulated.returncode == 0, simulated.stderr
    assert run_command("recover", film, "-o", first).returncode == 0
    done = run_blocked({"numba", "scipy"}, "recover", film, "-o", again)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == first.read_bytes()
