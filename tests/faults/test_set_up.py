"""``make setup`` on a machine that lacks something: one line that says the cure."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def bare_project(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def fake_python(folder: Path, script: str) -> Path:
    python = folder / "fake-python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


def set_up(folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "setup", f"PYTHON={python}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_new_enough_python_it_says_how_to_name_one(bare_project: Path) -> None:
    done = set_up(bare_project, fake_python(bare_project, "exit 1"))
    assert done.returncode != 0
    assert "no Python 3.11 or newer found" in done.stderr
    assert not (bare_project / ".venv").exists()


def test_without_the_venv_module_it_names_the_package(bare_project: Path) -> None:
    script = f'case "$2" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"'
    done = set_up(bare_project, fake_python(bare_project, script))
    assert done.returncode != 0
    assert "python3-venv" in done.stderr
    assert not (bare_project / ".venv").exists()


def test_a_set_up_that_was_cut_off_starts_afresh(bare_project: Path) -> None:
    """A half-written package looks installed, so nothing of a broken environment is kept."""
    left = bare_project / ".venv" / "lib" / "half-written.py"
    left.parent.mkdir(parents=True)
    left.touch()
    (bare_project / ".venv" / ".setup-started").touch()
    set_up(bare_project, fake_python(bare_project, "exit 1"))
    assert not left.exists()


def test_a_path_with_a_space_is_refused_before_anything_is_made(bare_project: Path) -> None:
    spaced = bare_project.rename(bare_project.with_name("my films"))
    done = set_up(spaced, Path(sys.executable))
    assert done.returncode != 0
    assert "has a space" in done.stderr
    assert not (spaced / ".venv").exists()
