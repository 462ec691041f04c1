"""A rule's digest follows the modules that it really uses, and no others."""

from pathlib import Path

import pytest
from visualmic.workflow import code


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package with a script that uses one module of it directly and one indirectly."""
    root = tmp_path / "visualmic"
    for path, text in {
        "__init__.py": "",
        "film/__init__.py": "",
        "film/decode.py": "def frames():\n    from visualmic.film import timing\n",
        "film/timing.py": "tick = 1\n",
        "audio/__init__.py": "",
        "audio/wav.py": "rate = 1\n",
        "workflow/__init__.py": "",
        "workflow/job.py": "",
        "report/page.html": "<p>",
    }.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "extract_frames.py").write_text(
        "from visualmic.workflow.job import job\nimport visualmic.film.decode\n"
    )
    monkeypatch.setattr(code, "PACKAGE", root)
    return root


def digest(package: Path, *without: str, data: tuple[str, ...] = ()) -> str:
    code.code_digest.cache_clear()
    code.imported_files.cache_clear()
    return code.code_digest(
        package.parent / "extract_frames.py", without=frozenset(without), data=data
    )


@pytest.mark.parametrize(
    "used", ["film/decode.py", "film/timing.py", "film/__init__.py", "../extract_frames.py"]
)
def test_editing_what_is_used_changes_the_digest(package, used):
    before = digest(package)
    (package / used).write_text((package / used).read_text() + "more = 1\n")
    assert digest(package) != before


@pytest.mark.parametrize("unused", ["audio/wav.py", "workflow/job.py", "report/page.html"])
def test_editing_what_is_not_used_leaves_the_digest(package, unused):
    before = digest(package)
    (package / unused).write_text("more = 1\n")
    assert digest(package) == before


def test_what_only_another_method_uses_can_be_left_out(package):
    before = digest(package, "visualmic.film.timing")
    assert before != digest(package)
    (package / "film/timing.py").write_text("tick = 2\n")
    assert digest(package, "visualmic.film.timing") == before
    (package / "film/__init__.py").write_text("more = 1\n")
    assert digest(package, "visualmic.film.timing") != before


def test_data_that_is_named_counts(package):
    before = digest(package, data=("report/*.html",))
    (package / "report/page.html").write_text("<b>")
    assert digest(package, data=("report/*.html",)) != before


def test_the_place_of_the_package_does_not_matter(package, tmp_path, monkeypatch):
    before = digest(package)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    package.rename(moved / "visualmic")
    (tmp_path / "extract_frames.py").rename(moved / "extract_frames.py")
    monkeypatch.setattr(code, "PACKAGE", moved / "visualmic")
    assert digest(moved / "visualmic") == before
