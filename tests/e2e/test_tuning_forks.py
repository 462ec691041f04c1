"""The second ready config: real films of tuning forks, and an example for films of one's own."""

from workflow_project import PROJECT, WorkflowProject


def test_the_example_plans_every_film_and_makes_one_target(shared_data, tmp_path):
    project = WorkflowProject.create(tmp_path)
    config = PROJECT / "examples" / "tuning_forks" / "config.yaml"
    options = ["--configfile", str(config)]
    jobs = project.planned(options=options)
    assert {"measure_motion hz32_fps1000 lucas-kanade", "make_report"} <= jobs
    # Nobody had a microphone there, so there is nothing to score against.
    assert not {job for job in jobs if job.startswith(("evaluate_sound", "extract_reference"))}
    target = "results/tuning_forks/dataset/probes/hz64_fps250.json"
    project.snakemake(target, options=options)
    assert '"capture_fps": 250' in (tmp_path / target).read_text()
