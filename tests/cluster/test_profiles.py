"""The cluster profiles plan the whole workflow, and jobs run where a queue puts them."""

import pytest
import yaml
from workflow_project import PROJECT, WorkflowProject

CLUSTERS = ["slurm", "cluster-generic"]
# What keeps a run from remaking too much or too little does not depend on where it runs.
EVERYWHERE = ("rerun-triggers", "rerun-incomplete", "keep-going")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return WorkflowProject.create(tmp_path_factory.mktemp("cluster"))


def profile(name):
    return yaml.safe_load((PROJECT / "profiles" / name / "profile.yaml").read_text())


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_profile_passes_a_dry_run(project, cluster):
    jobs = project.planned(options=["--workflow-profile", f"code/profiles/{cluster}"])
    assert {"simulate_recording card", "measure_motion shot lucas-kanade", "make_report"} <= jobs


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_profile_says_again_what_holds_everywhere(cluster):
    default = profile("default")
    for key in EVERYWHERE:
        assert profile(cluster)[key] == default[key]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_profile_asks_for_memory_and_time_where_a_rule_does_not(cluster):
    assert {"mem_mb", "runtime"} <= set(profile(cluster)["default-resources"])


def test_a_job_runs_where_a_queue_puts_it(project):
    # A queue that takes a script, runs it, and says a number.
    queue = project.folder / "queue.sh"
    queue.write_text('sh "$@" >queue.log 2>&1\necho 1\n')
    project.snakemake(
        "results/dataset/probes/shot.json",
        options=[
            *("--workflow-profile", "code/profiles/cluster-generic"),
            *("--cluster-generic-submit-cmd", "sh queue.sh"),
            *("--latency-wait", "5", "--seconds-between-status-checks", "1"),
        ],
    )
    log = project.path("logs/probe_recording/shot.log").read_text()
    assert log.startswith("probe_recording recording=shot")
    assert "sha256 " in log
