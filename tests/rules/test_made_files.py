"""What each rule makes from tiny recordings keeps to what it promises."""

import csv
import json
import runpy
from multiprocessing import get_context
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import soundfile
from visualmic.film.frames import StoredFrames
from visualmic.motion.signals import load_motion

FRAMES, FPS = 200, 500


class Named(dict):
    """Names with values, as Snakemake gives them to a script."""

    __getattr__ = dict.__getitem__


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_simulate_recording_keeps_the_truth_beside_the_film(made):
    assert made.path("simulated/card.mp4").stat().st_size > 0
    with h5py.File(made.path("simulated/card_truth.h5")) as truth:
        assert truth.attrs["complete"]
    assert soundfile.info(made.path("simulated/card_truth.wav")).duration == pytest.approx(0.4)


def test_gather_metadata_has_a_row_a_recording_in_the_order_of_the_table(made):
    rows = rows_of(made.path("dataset/metadata.csv"))
    assert [row["recording"] for row in rows] == ["card", "foil", "shot"]
    assert [row["role"] for row in rows] == ["test", "train", "test"]
    shot = rows[2]
    assert (float(shot["container_fps"]), float(shot["capture_fps"])) == (25, FPS)
    assert int(shot["frames"]) == FRAMES
    assert shot["file"] == "films/shot.mp4"


def test_probe_recording_keeps_what_is_suspicious_about_a_film(made):
    probe = json.loads(made.path("dataset/probes/shot.json").read_text())
    assert any("25" in warning and "500" in warning for warning in probe["warnings"])


def test_extract_frames_honours_crop_and_capture_rate(made):
    assert StoredFrames(made.path("frames/card.h5")).width == 64
    cropped = StoredFrames(made.path("frames/foil.h5"))
    assert (cropped.frame_count, cropped.height, cropped.width) == (FRAMES, 48, 48)
    slow = StoredFrames(made.path("frames/shot.h5"))
    assert slow.capture_fps == FPS
    assert np.allclose(slow.time_s(), np.arange(FRAMES) / FPS, atol=1e-6)


def test_extract_reference_gives_the_films_own_track_in_real_time(made):
    assert soundfile.info(made.path("dataset/shot.wav")).duration == pytest.approx(0.4, abs=0.03)
    assert not made.path("dataset/foil.wav").exists()


def test_subsample_reference_has_one_sample_a_frame(made):
    samples, rate = soundfile.read(made.path("dataset/card_subsampled_-1To1.wav"))
    assert (len(samples), rate) == (FRAMES, FPS)
    assert np.abs(samples).max() == pytest.approx(1.0, abs=1e-3)


def test_gather_samples_has_a_row_a_frame_of_each_recording_with_a_reference(made):
    rows = rows_of(made.path("dataset/SampledData.csv"))
    assert list(rows[0]) == ["recording", "frame", "time_s", "amplitude"]
    assert [row["recording"] for row in rows] == ["card"] * FRAMES + ["shot"] * FRAMES
    assert all(-1 <= float(row["amplitude"]) <= 1 for row in rows)


def test_measure_motion_has_a_row_a_frame(made):
    motion = load_motion(made.path("motion/lucas-kanade/card.h5"))
    assert motion.signals.shape[0] == FRAMES
    assert motion.capture_fps == FPS


@pytest.mark.parametrize("method", ["lucas-kanade", "lucas-kanade-denoised"])
@pytest.mark.parametrize("recording", ["card", "foil", "shot"])
def test_a_sound_has_16_bits_at_the_capture_rate(made, method, recording):
    info = soundfile.info(made.path(f"sound/{method}/{recording}.wav"))
    assert (info.subtype, info.samplerate, info.frames) == ("PCM_16", FPS, FRAMES)


def test_denoise_sound_changes_the_sound(made):
    raw, _ = soundfile.read(made.path("sound/lucas-kanade/card.wav"))
    clean, _ = soundfile.read(made.path("sound/lucas-kanade-denoised/card.wav"))
    assert not np.allclose(raw, clean)


@pytest.mark.parametrize("recording", ["card", "shot"])
def test_what_was_heard_is_what_was_played(made, recording):
    scores = json.loads(made.path(f"scores/lucas-kanade/{recording}.json").read_text())
    assert (scores["recording"], scores["method"]) == (recording, "lucas-kanade")
    assert scores["metrics"]["pearson"]["value"] > 0.5
    assert scores["metrics"]["si_sdr"]["value"] > -10


def test_gather_scores_has_a_row_a_method_and_recording_with_a_reference(made):
    rows = rows_of(made.path("scores.csv"))
    assert [(row["recording"], row["method"]) for row in rows] == [
        ("card", "lucas-kanade"),
        ("card", "lucas-kanade-denoised"),
        ("shot", "lucas-kanade"),
        ("shot", "lucas-kanade-denoised"),
    ]


@pytest.mark.parametrize(
    "figure",
    [
        "sounds/card",
        "sounds/foil",
        "frequency_snr/shot",
        "amplitudes/shot",
        "heat_map/card",
        "scores",
    ],
)
def test_a_figure_is_drawn_as_png_and_svg(made, figure):
    assert made.path(f"figures/{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in made.path(f"figures/{figure}.svg").read_text()


def test_draw_heat_map_shows_the_frame_where_nothing_was_heard(made, tmp_path):
    silent = tmp_path / "silent.json"
    silent.write_text('{"method": "lucas-kanade", "verdict": "no sound was heard"}')
    facts = SimpleNamespace(
        rule="draw_heat_map",
        threads=1,
        input=SimpleNamespace(frames=str(made.path("frames/foil.h5")), diagnosis=str(silent)),
        output=[str(tmp_path / "foil.png")],
        log=[str(tmp_path / "foil.log")],
        wildcards=Named(recording="foil"),
    )
    script = made.code / "workflow_scripts" / "draw_heat_map.py"
    # In a process of its own, for a job ends with its parent and takes over the output.
    process = get_context("fork").Process(
        target=runpy.run_path, args=(str(script), {"snakemake": facts})
    )
    process.start()
    process.join()
    assert process.exitcode == 0, (tmp_path / "foil.log").read_text()
    assert (tmp_path / "foil.png").stat().st_size > 0


def test_make_report_is_one_page_of_all_recordings(made):
    page = made.path("report.html").read_text()
    for recording in ("card", "foil", "shot"):
        assert recording in page


def test_every_job_has_a_log_that_ends_with_digests_and_a_benchmark(made):
    logs = sorted(made.path("logs").rglob("*.log"))
    assert len(logs) > 30
    for log in logs:
        lines = log.read_text().splitlines()
        assert lines[-1].startswith("done in "), log
        assert lines[-2].startswith("sha256 "), log
        benchmark = made.path("benchmarks") / log.relative_to(made.path("logs"))
        assert float(benchmark.with_suffix(".tsv").read_text().splitlines()[1].split("\t")[0]) > 0


def test_nothing_that_was_made_names_the_machines_folders(made):
    for name in ("dataset/metadata.csv", "scores.csv", "report.html"):
        assert str(made.folder) not in made.path(name).read_text(), name


def test_the_hybrid_hears_the_motion_that_lucas_kanade_measured(made, tmp_path):
    project = made.copy(tmp_path / "hybrid")
    wanted = "results/sound/hybrid/card.wav"
    assert project.planned(wanted) == {"recover_sound card hybrid"}
    project.snakemake(wanted)
    sound, rate = soundfile.read(project.path("sound/hybrid/card.wav"))
    plain, _ = soundfile.read(project.path("sound/lucas-kanade/card.wav"))
    assert len(sound) == len(plain)
    assert np.abs(np.corrcoef(sound, plain)[0, 1]) > 0.8
    assert rate == soundfile.info(project.path("sound/lucas-kanade/card.wav")).samplerate
    diagnosis = json.loads(project.path("diagnostics/hybrid/card.json").read_text())
    assert diagnosis["method"] == "hybrid"
