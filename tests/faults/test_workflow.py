"""What a user can get wrong in config or table stops a run with one clear line."""

import pytest
from workflow_project import WorkflowProject


@pytest.fixture
def project(tmp_path):
    return WorkflowProject.create(tmp_path)


def fault_of(project, *options):
    """Say what a run printed after what Snakemake always prints, and that it made nothing."""
    done = project.snakemake(options=["--dry-run", *options], check=False)
    assert done.returncode == 1
    assert not project.path("").exists()
    usual = ("Using workflow specific profile", "Config file ")
    return [line for line in done.stdout.splitlines() if not line.startswith(usual)]


def append(project, name, text):
    with (project.folder / name).open("a") as stream:
        stream.write(text)


def test_an_unknown_key_names_its_file_and_its_nearest_neighbour(project):
    append(project, "config.yaml", "denoise: {cutof_hz: 80}\n")
    assert fault_of(project) == [
        "config.yaml: denoise.cutof_hz is not a known key; did you mean cutoff_hz?"
    ]


def test_a_wrong_value_on_the_command_line_is_one_line(project):
    assert fault_of(project, "--config", "methods=[pyramids]") == [
        '--config: methods[0] is "pyramids"; it must be one of pyramid, pyramid-denoised,'
        " lucas-kanade, lucas-kanade-denoised, hybrid, hybrid-denoised, siamese, siamese-frames,"
        " resnet50, resnet50-frames, fpn, fpn-frames"
    ]


def test_every_fault_of_the_table_names_row_and_column(project):
    append(project, "recordings.csv", "a,films/none.mp4,,,,,test\nb,films/shot.mp4,-5,,,,test\n")
    assert fault_of(project) == [
        "recordings.csv, row 5, column film: there is no film films/none.mp4;"
        " mend the path or the name",
        "recordings.csv, row 6, column fps: is -5; it must be a number above 0"
        " and at most 10000000, or empty",
    ]


def test_settings_that_disagree_are_one_line(project):
    append(project, "recordings.csv", "c,simulated,,simulated,0,,test\n")
    assert fault_of(project) == [
        "recordings.csv, row 5, column film: nothing says how to simulate c; add"
        " simulation.recordings.c to the config (known here: card, foil, packet_speech,"
        " leaf_tune, foil_chirp, card_tune, phone_tune)"
    ]


def test_a_film_that_cannot_be_read_is_one_line_and_does_not_stop_the_others(project):
    (project.folder / "films" / "shot.mp4").write_text("I am no film.\n")
    done = project.snakemake(
        "results/dataset/probes/shot.json", "results/dataset/probes/card.json", check=False
    )
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if line.startswith("probe_recording: ")]
    assert len(said) == 1
    assert "films/shot.mp4" in said[0]
    assert "Traceback" not in done.stdout
    assert project.path("dataset/probes/card.json").is_file()
    assert not project.path("dataset/probes/shot.json").exists()
