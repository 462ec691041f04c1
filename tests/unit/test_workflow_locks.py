"""Locks of a run that was killed go; those of a run that is alive stay."""

import subprocess
import sys

import pytest

pytest.importorskip("fcntl", reason="this system has no such locks")

RUN = """
import sys
from visualmic.workflow.locks import release_stale_locks
print(release_stale_locks(), flush=True)
sys.stdin.read()
"""


class Run:
    """A process that counts as a run until it is ended."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.removed_locks = self.process.stdout.readline() == "True\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    path.parent.mkdir(parents=True)
    return path


def test_locks_of_a_killed_run_are_removed(tmp_path, lock):
    Run(tmp_path).kill()
    lock.touch()
    after = Run(tmp_path)
    assert after.removed_locks
    assert not lock.exists()
    after.kill()


def test_locks_of_a_run_that_is_alive_stay(tmp_path, lock):
    first = Run(tmp_path)
    lock.touch()
    second = Run(tmp_path)
    assert not second.removed_locks
    # One of two runs that made different files has ended; the other is alive.
    first.kill()
    third = Run(tmp_path)
    assert not third.removed_locks
    assert lock.exists()
    second.kill()
    third.kill()
    last = Run(tmp_path)
    assert last.removed_locks
    last.kill()


def test_locks_of_another_machine_stay(tmp_path, lock):
    Run(tmp_path).kill()
    (tmp_path / ".snakemake" / "alive").write_text("elsewhere")
    lock.touch()
    run = Run(tmp_path)
    assert not run.removed_locks
    assert lock.exists()
    run.kill()
