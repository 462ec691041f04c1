"""The whole workflow: what a run makes, what a change makes again, and what a killed run leaves."""

import os
import subprocess
import time

import psutil
import pytest
from visualmic.film.frames import StoredFrames

GATHERED = {"gather_metadata", "gather_samples", "gather_scores", "draw_scores", "make_report"}


def branches(jobs):
    """Say which recordings the jobs belong to."""
    return {job.split()[1] for job in jobs if job not in GATHERED}


def rules(jobs):
    return {job.split()[0] for job in jobs}


@pytest.fixture
def project(made, tmp_path):
    """Everything that was made, in a copy that a test may change."""
    return made.copy(tmp_path / "project")


def change(project, old, new, name="config.yaml"):
    path = project.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_second_run_has_nothing_to_do(made):
    assert made.planned() == set()


def test_a_new_film_remakes_only_its_own_branch(project):
    with (project.folder / "films" / "shot.mp4").open("ab") as film:
        film.write(b"\0\0\0\x08free")
    jobs = project.planned()
    assert branches(jobs) == {"shot"}
    assert {"probe_recording", "extract_frames", "evaluate_sound"} <= rules(jobs)
    assert rules(jobs) & GATHERED == GATHERED


def test_a_cell_of_the_table_remakes_only_what_uses_it(project):
    change(project, "foil,simulated,,,0,", "foil,simulated,,,0.1,", "recordings.csv")
    assert project.planned() == {"probe_recording foil", "gather_metadata", "make_report"}


def test_a_new_row_of_the_table_leaves_the_others_alone(project):
    with (project.folder / "recordings.csv").open("a") as table:
        table.write("again,films/shot.mp4,500,film,0,,test\n")
    jobs = project.planned()
    assert branches(jobs) == {"again"}
    assert "measure_motion again lucas-kanade" in jobs


def test_a_setting_remakes_only_what_uses_it(project):
    with (project.folder / "config.yaml").open("a") as config:
        config.write("denoise: {order: 2}\n")
    jobs = project.planned()
    assert not {"measure_motion", "recover_sound", "extract_frames"} & rules(jobs)
    assert {"denoise_sound card lucas-kanade", "make_report"} <= jobs
    assert "evaluate_sound card lucas-kanade" not in jobs


def test_a_setting_of_combining_leaves_the_measurement(project):
    with (project.folder / "config.yaml").open("a") as config:
        config.write("lucas-kanade: {combine: {factors: 3}}\n")
    jobs = project.planned()
    assert "recover_sound card lucas-kanade" in jobs
    assert "measure_motion" not in rules(jobs)


def test_a_setting_of_one_simulation_remakes_only_its_branch(project):
    change(project, "sound: chirp, seed: 2", "sound: chirp, seed: 5")
    jobs = project.planned()
    assert branches(jobs) == {"foil"}
    assert "simulate_recording foil" in jobs


def test_editing_a_module_remakes_only_what_uses_it(project):
    module = project.code / "workflow_scripts" / "visualmic" / "audio" / "denoise.py"
    module.write_text(module.read_text() + "\n# Edited.\n")
    jobs = project.planned()
    assert "denoise_sound card lucas-kanade" in jobs
    assert not {"measure_motion", "extract_frames", "simulate_recording"} & rules(jobs)


def test_a_method_is_made_as_a_target_by_itself_without_the_others(project):
    target = "results/sound/pyramid/card.wav"
    assert project.planned(target) == {"measure_motion card pyramid", "recover_sound card pyramid"}
    project.snakemake(target)
    assert (project.folder / target).stat().st_size > 44


def test_a_half_made_file_is_refused_and_nothing_is_lost(project):
    frames = project.path("frames/card.h5")
    os.truncate(frames, frames.stat().st_size // 2)
    before = project.path("sound/lucas-kanade/shot.wav").read_bytes()
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert "measure_motion: cannot read frames from results/frames/card.h5" in done.stdout
    assert project.path("sound/lucas-kanade/shot.wav").read_bytes() == before


def test_verify_finds_a_file_that_was_changed_behind_snakemakes_back(project):
    assert project.snakemake("verify").returncode == 0
    sound = project.path("sound/lucas-kanade/card.wav")
    times = sound.stat().st_atime_ns, sound.stat().st_mtime_ns
    sound.write_bytes(sound.read_bytes()[:-2] + b"\0\1")
    os.utime(sound, ns=times)
    done = project.snakemake("verify", check=False)
    assert done.returncode != 0
    assert "changed since they were made: results/sound/lucas-kanade/card.wav;" in done.stdout


def test_snakemakes_own_report_shows_the_figures_offline(project):
    project.snakemake(options=["--report", "snakemake.html"])
    page = (project.folder / "snakemake.html").read_text()
    assert "waveforms and spectrograms" in page
    assert "What was played" in page


def test_a_killed_run_leaves_no_orphan_and_the_next_completes_it(project):
    change(project, "seed: 1}", "seed: 1, seconds: 4}")
    run = subprocess.Popen(
        project.command("results/frames/card.h5"),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    jobs = encoder_and_its_job(run)
    run.kill()
    run.wait()
    _, alive = psutil.wait_procs(jobs, timeout=60)
    assert not alive
    assert list(project.path("simulated").glob(".card*.partial*"))
    project.snakemake("results/frames/card.h5")
    assert StoredFrames(project.path("frames/card.h5")).frame_count == 2000
    assert not list(project.path("simulated").glob(".card*.partial*"))


def encoder_and_its_job(run):
    """Wait until a job has started ffmpeg, and give all processes of the run."""
    workflow = psutil.Process(run.pid)
    for _ in range(600):
        assert run.poll() is None, "the run ended before it was killed"
        processes = workflow.children(recursive=True)
        if any("ffmpeg" in process.name() for process in processes):
            return processes
        time.sleep(0.1)
    raise AssertionError("no job started")
