"""The report page: what it holds, that it stands alone, and what it does with what is missing."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from report_fixture import METHODS, FixtureSettings, write_results
from visualmic.errors import VisualMicError
from visualmic.report import wording
from visualmic.report.charts import line_chart, nice_ticks
from visualmic.report.collect import collect_report, parse_diagnostics
from visualmic.report.contents import HeatMap
from visualmic.report.media import heat_overlay, sound_tracks, spectrogram_strip
from visualmic.report.page import build_report
from visualmic.report.summary import summarise


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = FixtureSettings(recordings=4, duration_s=1.2, models=True)
    return write_results(tmp_path_factory.mktemp("report") / "results", settings)


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    build_report(results, results / "report.html", quiet=True)
    return (results / "report.html").read_text(encoding="utf-8")


def payloads(page: str) -> dict[str, dict]:
    blocks = re.findall(r'<script type="application/json" id="data-([^"]+)">(.*?)</script>', page)
    return {slug: json.loads(text) for slug, text in blocks}


def test_every_recording_has_its_line_its_card_and_its_data(page: str) -> None:
    for name in ("chips", "foil", "plant", "chips_1"):
        assert f'<tr data-recording="{name}">' in page
        assert f'id="card-{name}"' in page
        assert payloads(page)[name]["name"] == name


def test_models_stand_beside_classical_methods(page: str) -> None:
    table = re.search(r'<table[^>]*id="comparison-table">.*?</table>', page, re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr><th.*?</tr>", table[0], re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>([^<]*)<", row) for row in rows]
    assert [row[:4] for row in cells if row[0]] == [
        ["Siamese", "segments in turn", "0.072 ± 0.003", "0.214"],
        ["Lucas–Kanade", "segments in turn", "0.081", "0.214"],
    ]


def test_the_page_names_nothing_outside_itself(page: str) -> None:
    text = page + "".join(data["html"] for data in payloads(page).values())
    text = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]|@import|\bfetch\(|XMLHttpRequest", text)
    for source in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert source.startswith(("data:", "#")), source
    assert "default-src 'none'" in page


def test_scripts_and_data_end_only_where_they_should(page: str) -> None:
    assert page.count("<script") == page.count("</script>")


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=1.0))
    table = folder / "dataset" / "metadata.csv"
    nasty = "</script><img src=x onerror=alert(1)>"
    table.write_text(table.read_text().replace("films/chips.mp4", nasty))
    build_report(folder, folder / "report.html", quiet=True)
    text = (folder / "report.html").read_text()
    assert "<img src=x" not in text
    assert text.count("<script") == text.count("</script>")
    assert "&lt;/script&gt;&lt;img src=x" in payloads(text)["chips"]["html"]


def test_each_file_is_named_with_the_command_that_makes_it(results: Path, page: str) -> None:
    html = payloads(page)["chips"]["html"]
    for path in ("sound/pyramid/chips.wav", "scores/pyramid/chips.json", "frames/chips.h5"):
        assert f"snakemake --cores all {results.as_posix()}/{path}" in html
    assert f"snakemake --cores all {results.as_posix()}/scores.csv" in page


def test_the_sounds_on_the_page_are_the_sounds_in_the_files(results: Path, page: str) -> None:
    tracks = {track["key"]: track for track in payloads(page)["chips"]["tracks"]}
    assert set(tracks) == {"reference", "wide", *METHODS}
    for method in METHODS:
        samples, rate = soundfile.read(results / "sound" / method / "chips.wav")
        pcm = np.frombuffer(base64.b64decode(tracks[method]["pcm"]), "<i2")
        assert tracks[method]["rate"] == rate
        assert np.corrcoef(pcm, samples)[0, 1] > 0.999999


def test_a_sound_is_moved_and_turned_as_it_was_for_its_score(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=1.0))
    path = folder / "scores" / "pyramid" / "chips.json"
    scored = json.loads(path.read_text()) | {"lag_s": 0.02, "polarity": -1}
    path.write_text(json.dumps(scored))
    (recording,) = collect_report(folder).recordings
    track = next(track for track in sound_tracks(recording) if track["key"] == "pyramid")
    samples, _ = soundfile.read(folder / "sound" / "pyramid" / "chips.wav")
    pcm = np.frombuffer(base64.b64decode(track["pcm"]), "<i2")
    assert track["start_s"] == -0.02
    assert np.corrcoef(pcm, samples)[0, 1] < -0.999999


def test_a_reference_with_an_offset_plays_from_where_the_film_began(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=1.0))
    table = folder / "dataset" / "metadata.csv"
    header, row = table.read_text().splitlines()
    offset = header.split(",").index("offset_s")
    cells = row.split(",")
    cells[offset] = "0.3"
    table.write_text("\n".join([header, ",".join(cells)]))
    (recording,) = collect_report(folder).recordings
    wide = next(track for track in sound_tracks(recording) if track["kind"] == "wide")
    samples, rate = soundfile.read(folder / "dataset" / "chips.wav")
    pcm = np.frombuffer(base64.b64decode(wide["pcm"]), "<i2")
    expected = samples[round(0.3 * rate) :]
    assert wide["start_s"] == 0.0
    assert np.corrcoef(pcm[: expected.size], expected)[0, 1] > 0.999


def test_the_best_method_is_the_one_with_the_least_noise(results: Path) -> None:
    summary = summarise(collect_report(results))
    assert [entry.method for entry in summary.methods] == [
        "lucas-kanade",
        "pyramid-denoised",
        "pyramid",
    ]
    assert summary.best == "lucas-kanade"
    assert all(pair.difference > 0 for pair in summary.comparisons)
    assert summary.silence["pearson"] == 0.0
    assert summary.scored == 3
    assert summary.recordings == 4


def test_the_mean_lies_in_its_interval(results: Path) -> None:
    for entry in summarise(collect_report(results)).methods:
        average = entry.averages["pearson"]
        assert average.low <= average.mean <= average.high


def test_warnings_of_a_film_and_of_a_method_reach_the_summary(results: Path) -> None:
    texts = {(w.recording, w.text) for w in summarise(collect_report(results)).warnings}
    assert ("foil", "the lamp flickers at 100 Hz; the flicker was removed (lucas-kanade)") in texts


def test_a_page_too_large_for_one_file_is_a_folder_and_back_again(results: Path) -> None:
    output = results / "split.html"
    build_report(results, output, one_file_bytes=100_000, quiet=True)
    text = output.read_text()
    files = re.findall(r'data-file="([^"]+)"', text)
    assert len(files) == 4
    assert not payloads(text)
    for name in files:
        assert (results / name).read_text().startswith("visualmic.receive(")
    assert output.stat().st_size < 200_000
    build_report(results, output, quiet=True)
    assert not (results / "split_files").exists()
    assert len(payloads(output.read_text())) == 4


def test_a_report_without_references_scores_or_sounds_is_still_a_page(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=0.5))
    for part in ("sound", "scores", "diagnostics", "frames"):
        for path in sorted((folder / part).rglob("*.*")):
            path.unlink()
    build_report(folder, folder / "report.html", quiet=True)
    assert 'id="card-chips"' in (folder / "report.html").read_text()


def test_no_recordings_are_said_plainly(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=0))
    build_report(folder, folder / "report.html", quiet=True)
    assert "No recording has been made yet" in (folder / "report.html").read_text()


def test_missing_metadata_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match=r"metadata\.csv.*snakemake"):
        build_report(tmp_path, tmp_path / "report.html", quiet=True)


@pytest.mark.parametrize("name", ["scores/pyramid/chips.json", "sound/pyramid/chips.wav"])
def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=0.5))
    before = folder / "report.html"
    before.write_text("the page made before")
    (folder / name).write_text("not what it should be")
    with pytest.raises(VisualMicError, match=re.escape(Path(name).name)):
        build_report(folder, folder / "report.html", quiet=True)
    assert before.read_text() == "the page made before"


def test_silent_sounds_are_carried_as_silence(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=1, duration_s=0.5))
    soundfile.write(folder / "sound" / "pyramid" / "chips.wav", np.zeros(1100), 2200)
    (recording,) = collect_report(folder).recordings
    track = next(track for track in sound_tracks(recording) if track["key"] == "pyramid")
    assert not np.frombuffer(base64.b64decode(track["pcm"]), "<i2").any()


def test_diagnostics_with_parts_missing_are_taken_as_they_are() -> None:
    found = parse_diagnostics({"noise_floor_px": float("nan"), "warnings": None, "verdict": None})
    assert found.noise_floor_px is None
    assert found.warnings == ()
    assert found.heat_map is None


def test_the_heat_map_is_strongest_where_the_value_is() -> None:
    import cv2

    heat = HeatMap((10.0, 50.0), (10.0, 30.0), (0.0, 9.0), 16.0, "dB")
    uri = heat_overlay(heat, 64, 48)
    assert uri is not None
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert picture.shape == (48, 64, 4)
    assert picture[30, 50, 3] > 200
    assert picture[10, 10, 3] == 0
    assert heat_overlay(HeatMap((1.0,), (1.0,), (float("nan"),), 8.0, ""), 64, 48) is None


def test_charts_hold_their_curves() -> None:
    chart = line_chart("t", "x (s)", "y (dB)", [("a", 0, [0, 1, 2], [0.0, float("nan"), 4.0])])
    assert chart is not None
    assert chart.lines[0].path.count("M") == 2
    assert line_chart("t", "x", "y", [("a", 0, [0.0], [float("nan")])]) is None
    assert nice_ticks(-1, 1, 4) == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_numbers_are_written_as_people_read_them() -> None:
    assert wording.number(-0.00001) == "−1.00e−05"
    assert wording.number(float("-inf")) == "−∞"
    assert wording.method_title("pyramid-denoised") == "Pyramid, denoised"
    assert wording.duration(3661).split(" ")[0].endswith("h")
    assert wording.motion(2.4e-4).startswith("0.24")


def test_only_the_methods_asked_for_are_shown(results: Path) -> None:
    data = collect_report(results, ["pyramid", "lucas-kanade"])
    assert data.methods == ("pyramid", "lucas-kanade")
    assert {h.method for r in data.recordings for h in r.hearings} == set(data.methods)


def test_the_strip_shows_a_tone_where_it_is(tmp_path: Path) -> None:
    import cv2

    tone = np.round(20_000 * np.sin(2 * np.pi * 275 * np.arange(2200) / 2200)).astype("<i2")
    tone[1100:] = 0
    pcm = base64.b64encode(tone.tobytes()).decode()
    uri = spectrogram_strip({"pcm": pcm, "rate": 2200, "start_s": 0.0}, 1.0, 1100.0)
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(float)
    height, width = picture.shape
    row = np.argmax(picture[:, width // 4])
    assert 1100 * (height - row - 0.5) / height == pytest.approx(275, abs=15)
    assert picture[:, 3 * width // 4].max() < 20


def test_a_recording_without_a_reference_shows_its_strongest_tone(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", FixtureSettings(recordings=3, duration_s=1.0))
    tone = np.sin(2 * np.pi * 94.2 * np.arange(4400) / 2200)
    soundfile.write(folder / "sound" / "pyramid" / "plant.wav", 0.5 * tone, 2200)
    build_report(folder, folder / "report.html", quiet=True)
    cards = payloads((folder / "report.html").read_text())
    assert "94.20 Hz" in cards["plant"]["html"]
    assert "Strongest tones" not in cards["chips"]["html"]
