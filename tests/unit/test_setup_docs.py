"""What the documentation points at exists: files, make targets, subcommands, columns."""

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser
from visualmic.cli.main import COMMANDS

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("benchmarks/*.md")]
)


def page_id(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^ +|`)make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_subcommand_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?:^ +|`|bin/)visualmic ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= set(COMMANDS)


def test_snakemake_takes_the_commands_shown_as_they_are_meant() -> None:
    shown = [*PAGES, PROJECT / "config.yaml", *PROJECT.glob("examples/*/config.yaml")]
    text = "\n".join(page.read_text() for page in shown)
    joined = re.sub(r"\\\n#? *", " ", text)
    commands = re.findall(r"^(?:#  )?   +(?:\.venv/bin/)?snakemake +(\S.*)$", joined, re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        taken = get_argument_parser().parse_args(shlex.split(command, comments=True))
        # Without "--" both options take what follows for their own.
        assert all(str(file).endswith(".yaml") for file in taken.configfile or []), command
        assert all("=" in str(one) for one in taken.config or []), command


def test_every_make_target_is_phony_and_explained() -> None:
    text = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", text, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    explained = re.findall(r"^([a-z]+):.*## \w", text, re.MULTILINE)
    assert sorted(targets) == sorted(phony) == sorted(explained)


@pytest.mark.parametrize("path", ["config.yaml", "recordings.csv", "Snakefile"])
def test_pages_that_other_files_send_the_reader_to_exist(path: str) -> None:
    pages = re.findall(r"docs/[\w/]+\.md", (PROJECT / path).read_text())
    assert not [page for page in pages if not (PROJECT / page).exists()]


def test_readme_explains_every_column_of_the_recordings_table() -> None:
    columns = (PROJECT / "recordings.csv").read_text().splitlines()[0].split(",")
    readme = (PROJECT / "README.md").read_text()
    assert not [column for column in columns if f"| `{column}` |" not in readme]


def test_readme_shows_every_subcommand() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert not [name for name in COMMANDS if f"| `visualmic {name} " not in readme]
