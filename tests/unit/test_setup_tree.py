"""Promises that hold for every tracked file."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "workflow_scripts" / "visualmic"
# Written in pieces, so that this file does not contain what it forbids.
FORBIDDEN = re.compile(
    r"(?<![\w.:/])/(?:" + "|".join(["work", "root", "home", "tmp", "Users", "scratch"]) + r")/\w"
    r"|" + "py" + r"pi\.org|python" + r"hosted|farm" + r"-[a-z]"
)


def tracked_files() -> list[Path]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: there is no list of tracked files")
    paths = [PROJECT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def read_text(path: Path) -> str:
    """Return a file's text, or nothing for a file that is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_tracked_file_names_a_place_on_one_machine() -> None:
    found = [
        f"{path.relative_to(PROJECT)}: {match[0]}"
        for path in tracked_files()
        for match in FORBIDDEN.finditer(read_text(path))
    ]
    assert not found


def test_the_search_for_machine_paths_finds_one() -> None:
    assert FORBIDDEN.search("open('/" + "root/film.mp4')")
    assert not FORBIDDEN.search("results/sound/pyramid, https://example.org/home/page")


def test_source_files_stay_short_enough_to_read() -> None:
    sources = [
        path
        for path in tracked_files()
        if path.suffix in {".py", ".smk", ".js", ".css", ".html"} or path.name == "Snakefile"
    ]
    long = {str(p.relative_to(PROJECT)): len(read_text(p).splitlines()) for p in sources}
    assert not {name: lines for name, lines in long.items() if lines > 500}


def test_no_module_is_a_box_for_leftovers() -> None:
    vague = re.compile(r"(?:^|_)(?:utils?|helpers?|misc|common)(?:_|$)")
    named = [path for path in tracked_files() if path.suffix == ".py" and vague.search(path.stem)]
    assert not named


def imported_names(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_library_never_imports_snakemake() -> None:
    assert not [path for path in PACKAGE.rglob("*.py") if "snakemake" in imported_names(path)]


def test_continuous_integration_entry_can_be_executed() -> None:
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)


def test_make_bench_runs_what_measures_and_only_that() -> None:
    text = (PROJECT / "Makefile").read_text()
    parts = set(re.search(r"^BENCH_PARTS := (.*)$", text, re.MULTILINE)[1].split())
    scripts = {
        f"benchmarks/{path.name}": path.read_text() for path in PROJECT.glob("benchmarks/*.py")
    }
    runnable = {name for name, source in scripts.items() if '__name__ == "__main__"' in source}
    assert runnable | parts == set(scripts)
    assert not runnable & parts
    assert not [name for name in runnable if "--quick" not in scripts[name]]
