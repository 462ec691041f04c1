"""Fixtures that several layers of tests share."""

import os

# Threads on matrices this small only wait for one another; read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings (shared/data beside the project) are not here")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory):
    """Tiny recordings from which the workflow has made everything; copy it before changing it."""
    from workflow_project import WorkflowProject

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    return WorkflowProject.made_once(root / "workflow")
