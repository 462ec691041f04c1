"""The surroundings of a job: everything in the log, no orphans, and digests of what was made."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from visualmic.errors import VisualMicError
from visualmic.workflow.digests import check_digests, digest_line, sha256, verify
from visualmic.workflow.job import WORKFLOW_PID, adopt_jobs

SCRIPT = """
import os, subprocess, sys, time, types, warnings
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.workflow.job import job
facts = types.SimpleNamespace(
    rule="recover_sound", threads=1, log=["logs/a.log"], output=["out/a.wav"],
    wildcards={{"recording": "chips"}},
)
with job(facts):
    {body}
"""
WRITE = "os.makedirs('out', exist_ok=True); open('out/a.wav', 'w').write('abc')"


def run_job(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body=body)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def log_of(folder: Path) -> str:
    return (folder / "logs" / "a.log").read_text()


def test_what_a_job_and_its_children_print_is_in_the_log_only(tmp_path):
    done = run_job(
        tmp_path,
        "print('python'); print('error', file=sys.stderr);"
        f" subprocess.run(['sh', '-c', 'echo child; echo grumble >&2'], check=True); {WRITE}",
    )
    assert done.returncode == 0
    assert done.stdout == done.stderr == ""
    for said in ("recover_sound recording=chips", "python", "error", "child", "grumble"):
        assert said in log_of(tmp_path)


def test_the_log_ends_with_the_digest_of_each_output(tmp_path):
    run_job(tmp_path, WRITE)
    lines = log_of(tmp_path).splitlines()
    assert lines[-2] == f"sha256 {sha256(tmp_path / 'out/a.wav')}  out/a.wav"
    assert re.fullmatch(r"done in [\d.]+ s", lines[-1])


def test_a_users_mistake_is_one_line_in_log_and_on_the_terminal(tmp_path):
    done = run_job(tmp_path, "raise VisualMicError('chips.mp4 is empty; film it again')")
    assert done.returncode == 1
    assert done.stderr == "recover_sound: chips.mp4 is empty; film it again\n"
    assert done.stderr in log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)


def test_a_defect_leaves_its_traceback_in_log_and_on_the_terminal(tmp_path):
    done = run_job(tmp_path, "1 / 0")
    assert done.returncode == 1
    for text in (done.stderr, log_of(tmp_path)):
        assert "Traceback" in text
        assert "ZeroDivisionError" in text


def test_a_job_that_is_interrupted_ends_without_a_traceback(tmp_path):
    done = run_job(tmp_path, "raise KeyboardInterrupt")
    assert done.returncode == 130
    assert done.stderr == ""
    assert log_of(tmp_path).endswith("stopped\n")


def test_a_warning_meant_for_the_user_reaches_the_terminal(tmp_path):
    done = run_job(
        tmp_path, f"warnings.warn('30 fps or 480?', VisualMicWarning, stacklevel=1); {WRITE}"
    )
    assert done.returncode == 0
    assert done.stderr == "warning: 30 fps or 480?\n"
    assert done.stderr in log_of(tmp_path)


def test_what_a_killed_attempt_left_is_removed_before_the_next(tmp_path):
    (tmp_path / "out").mkdir()
    leftover = tmp_path / "out" / ".a.k3x9.partial.wav"
    another = tmp_path / "out" / ".b.k3x9.partial.wav"
    leftover.touch()
    another.touch()
    run_job(tmp_path, WRITE)
    assert not leftover.exists()
    assert another.exists()


def test_a_job_may_use_only_its_own_threads(tmp_path):
    run_job(tmp_path, f"print(os.environ['OMP_NUM_THREADS']); {WRITE}")
    assert "\n1\n" in log_of(tmp_path)


@pytest.mark.parametrize("through_a_shell", [False, True])
def test_a_job_dies_with_the_workflow_that_started_it(tmp_path, through_a_shell):
    body = "open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    job = [sys.executable, "-c", SCRIPT.format(body=body)]
    if through_a_shell:
        # Here the shell is the parent, so the kernel cannot tell that the workflow has died.
        job = ["sh", "-c", '"$@"; true', "sh", *job]
    workflow = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys; os.environ['VISUALMIC_WORKFLOW_PID'] = str(os.getpid());"
            " subprocess.run(sys.argv[1:])",
            *job,
        ],
        cwd=tmp_path,
    )
    pid_file = tmp_path / "pid"
    wait_for(lambda: pid_file.exists() and pid_file.read_text() != "")
    workflow.kill()
    workflow.wait()
    wait_for(lambda: not is_running(int(pid_file.read_text())))


def test_jobs_import_the_library_beside_the_workflow_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setenv(WORKFLOW_PID, "")
    adopt_jobs(tmp_path)
    adopt_jobs(tmp_path)
    assert os.environ["PYTHONPATH"] == f"{tmp_path}{os.pathsep}mine"
    assert os.environ[WORKFLOW_PID] == str(os.getpid())


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two files with their log, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.wav").write_text(name)
    Path("logs/deep").mkdir(parents=True)
    Path("logs/deep/job.log").write_text(
        f"said\n{digest_line('a.wav')}\n{digest_line('b.wav')}\ndone\n"
    )
    return tmp_path


def test_files_that_are_what_was_made_agree(made):
    assert verify("logs").agree == ("a.wav", "b.wav")


def test_a_file_that_changed_is_named(made):
    Path("b.wav").write_text("c")
    with pytest.raises(VisualMicError, match=r"^changed since they were made: b\.wav; delete"):
        verify("logs")


def test_a_file_that_was_removed_is_no_fault(made):
    Path("b.wav").unlink()
    assert verify("logs").missing == ("b.wav",)


def test_of_two_records_the_later_holds(made):
    Path("b.wav").write_text("c")
    later = Path("logs/another.log")
    later.write_text(digest_line("b.wav") + "\n")
    os.utime("logs/deep/job.log", (1, 1))
    assert check_digests("logs").differ == ()


def test_nothing_to_check_is_said(tmp_path):
    with pytest.raises(VisualMicError, match="no log under"):
        verify(tmp_path)
