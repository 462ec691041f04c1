"""What is installed is what the project declares, and nothing tracked belongs to one machine."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[2]
LOCK = (PROJECT / "requirements.lock").read_text()
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
# Needs a C compiler to install, so it cannot be part of a set-up that needs nothing.
UNLOCKED_EXTRAS = {"pesq"}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", PROJECT / "envs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared_requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    lines = list(project["dependencies"]) + PYPROJECT["build-system"]["requires"]
    for extra, needs in project["optional-dependencies"].items():
        if extra not in UNLOCKED_EXTRAS:
            lines += needs
    return [Requirement(line) for line in lines]


def locked_versions() -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(Version(version))
    return versions


@pytest.mark.parametrize("need", declared_requirements(), ids=str)
def test_lock_holds_every_declared_need_at_an_allowed_version(need: Requirement) -> None:
    locked = locked_versions().get(canonicalize_name(need.name), [])
    assert locked, f"{need.name} is not in requirements.lock; run make lock"
    assert all(version in need.specifier for version in locked), f"{need}, locked {locked}"


def test_every_locked_version_has_a_hash() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK)
    without = [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert not without


def test_lock_names_no_host_and_no_local_path() -> None:
    assert not re.findall(r"\w+://|--(?:extra-)?index-url|--find-links| @ ", LOCK)


@pytest.mark.parametrize("name", ["core", "pipeline", "learn"])
def test_conda_file_is_what_the_lock_says(generator: ModuleType, name: str) -> None:
    path = PROJECT / "envs" / f"{name}.yaml"
    assert path.read_text() == generator.environment_texts()[path], "run make envs"


def test_no_conda_file_is_written_by_hand(generator: ModuleType) -> None:
    assert set((PROJECT / "envs").glob("*.yaml")) == set(generator.environment_texts())


def test_closure_follows_both_forms_of_the_via_comment(generator: ModuleType) -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:0\n    # via visualmic (pyproject.toml)\n"
        "b==2 ; sys_platform == 'linux' \\\n    --hash=sha256:0\n    # via a\n"
        "c==3 \\\n    --hash=sha256:0\n    # via\n    #   b\n    #   z\n"
        "d==4 \\\n    --hash=sha256:0\n    # via\n    #   y\n    #   z\n"
    )
    pins = generator.closure(generator.read_lock(lock), {"a"})
    assert [pin.line for pin in pins] == ["a==1", "b==2 ; sys_platform == 'linux'", "c==3"]


def test_core_installs_without_torch_pandas_or_snakemake() -> None:
    text = (PROJECT / "envs" / "core.yaml").read_text()
    names = set(re.findall(r'- "([A-Za-z0-9._-]+)==', text))
    assert not names & {"torch", "pandas", "snakemake", "lightning", "triton"}
    assert {"numpy", "scipy", "numba", "opencv-python-headless"} <= names
    assert "torch==" in (PROJECT / "envs" / "learn.yaml").read_text()
    assert "snakemake==" in (PROJECT / "envs" / "pipeline.yaml").read_text()


def test_version_of_the_package_is_the_one_declared() -> None:
    import visualmic

    assert visualmic.__version__ == PYPROJECT["project"]["version"]
