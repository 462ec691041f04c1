"""What every rule promises, read from the rule files themselves."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STAGES = sorted(path for path in (PROJECT / "rules").glob("*.smk"))


def rules_of(stage: Path) -> dict[str, str]:
    parts = re.split(r"^rule (\w+):$", stage.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


RULES = {name: text for stage in STAGES for name, text in rules_of(stage).items()}
MAKING = [name for name in RULES if name != "verify"]


def test_there_are_rules_for_every_stage():
    assert {"simulate_recording", "extract_frames", "recover_sound", "make_report"} <= set(RULES)


@pytest.mark.parametrize("stage", STAGES, ids=lambda path: path.stem)
def test_a_stage_says_first_what_it_needs_and_gives(stage):
    docstring = re.match(r'"""(.+?)"""', stage.read_text(), re.DOTALL)
    assert docstring is not None
    assert "Required: " in docstring[1]
    assert "Gives: " in docstring[1]


def test_the_front_door_is_short_and_opens_every_stage():
    lines = (PROJECT / "Snakefile").read_text().splitlines()
    assert len(lines) < 60
    for stage in STAGES:
        assert f'include: "rules/{stage.name}"' in lines


@pytest.mark.parametrize("rule", MAKING)
def test_a_rule_has_log_benchmark_environment_and_threads(rule):
    for directive in ("log", "benchmark", "conda", "threads", "script"):
        assert re.search(rf"^    {directive}:", RULES[rule], re.MULTILINE), directive


@pytest.mark.parametrize("rule", MAKING)
def test_script_log_and_benchmark_carry_the_name_of_the_rule(rule):
    assert f"../workflow_scripts/{rule}.py" in RULES[rule]
    assert re.search(rf"<results>/logs/{rule}[/.]", RULES[rule])
    assert re.search(rf"<results>/benchmarks/{rule}[/.]", RULES[rule])


@pytest.mark.parametrize("rule", MAKING)
def test_log_and_benchmark_have_the_wildcards_of_the_outputs(rule):
    output = re.search(r"^    output:\n(.+?)^    \w+:", RULES[rule], re.DOTALL | re.MULTILINE)
    wildcards = set(re.findall(r"\{(\w+)\}", output[1] if output else "")) - {""}
    for directive in ("log", "benchmark"):
        path = re.search(rf'^    {directive}:\n        "(.+?)"', RULES[rule], re.MULTILINE)
        assert path is not None
        assert set(re.findall(r"\{(\w+)\}", path[1])) == wildcards


@pytest.mark.parametrize("rule", MAKING)
def test_a_change_of_the_code_that_a_rule_uses_is_among_its_parameters(rule):
    assert f'code_of("{rule}"' in RULES[rule]


@pytest.mark.parametrize("rule", RULES)
def test_the_environment_named_exists(rule):
    named = re.search(r'"\.\./(envs/\w+\.yaml)"', RULES[rule])
    assert named is not None
    assert (PROJECT / named[1]).is_file()


def test_every_script_belongs_to_a_rule():
    scripts = {path.stem for path in (PROJECT / "workflow_scripts").glob("*.py")}
    assert scripts == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_script_is_thin_and_surrounded_by_its_job(rule):
    text = (PROJECT / "workflow_scripts" / f"{rule}.py").read_text()
    assert "with job(snakemake):" in text
    assert len(text.splitlines()) <= 40


def test_every_caption_is_used_and_every_one_used_exists():
    captions = PROJECT / "workflow_scripts" / "visualmic" / "captions"
    used = {name for text in RULES.values() for name in re.findall(r"captions/(\w+\.rst)", text)}
    assert used == {path.name for path in captions.glob("*.rst")}


def test_architecture_has_a_section_on_every_rule():
    sections = re.findall(
        r"^### `(\w+)`", (PROJECT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )
    assert sorted(sections) == sorted(RULES)
