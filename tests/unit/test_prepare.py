"""A folder of films becomes a data set, goes on after an interruption, and outlives a bad film."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from films import make_film
from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.frames import StoredFrames
from visualmic.film.metadata import METADATA_COLUMNS, file_sha256, metadata_row
from visualmic.film.prepare import name_recordings, prepare_folder
from visualmic.film.probe import probe_film


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Make a folder of three films: one with a track, one with a sound file, one silent."""
    folder = tmp_path / "films"
    folder.mkdir()
    make_film(folder / "track.mp4", frames=100, fps="200", sound_s=0.5)
    make_film(folder / "beside.mkv", frames=60, fps="200", sound_s=0.3)
    soundfile.write(folder / "beside.wav", np.sin(np.arange(4000) / 10), 8000)
    make_film(folder / "silent.avi", frames=20, size="16x16")
    (folder / "notes.txt").write_text("not a film")
    return folder


def test_every_film_gets_frames_a_row_and_its_reference(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = prepare_folder(films, out, quiet=True)
    assert summary.prepared == ["beside", "silent", "track"]
    assert (summary.kept, summary.silent, summary.failed) == ([], ["silent"], {})
    assert StoredFrames(out / "frames" / "track.h5").frame_count == 100
    metadata = rows_of(out / "dataset" / "metadata.csv")
    assert tuple(metadata[0]) == METADATA_COLUMNS
    assert [row["recording"] for row in metadata] == ["beside", "silent", "track"]
    assert metadata[2]["sha256"] == file_sha256(films / "track.mp4")
    assert [row["audio_rate"] for row in metadata] == ["44100", "", "44100"]
    samples = rows_of(out / "dataset" / "SampledData.csv")
    counts = dict.fromkeys(("beside", "track"), 0)
    for row in samples:
        counts[row["recording"]] += 1
        assert -1.0 <= float(row["amplitude"]) <= 1.0
    assert counts == {"beside": 60, "track": 100}
    assert read_audio(out / "dataset" / "beside.wav")[1] == 8000, "the file beside it goes first"
    assert read_audio(out / "dataset" / "track.wav")[1] == 44100
    assert read_audio(out / "dataset" / "track_subsampled_-1To1.wav")[1] == 200


def test_what_is_complete_is_kept_and_what_is_broken_is_made_again(
    films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare_folder(films, out, quiet=True)
    stores = {name: out / "frames" / f"{name}.h5" for name in ("beside", "silent", "track")}
    for store in stores.values():
        os.utime(store, (1, 1))
    stores["silent"].write_bytes(stores["silent"].read_bytes()[:1000])
    tables = [out / "dataset" / name for name in ("metadata.csv", "SampledData.csv")]
    before = [table.read_bytes() for table in tables]
    summary = prepare_folder(films, out, quiet=True)
    assert (summary.prepared, summary.kept) == (["silent"], ["beside", "track"])
    assert stores["track"].stat().st_mtime == 1
    assert StoredFrames(stores["silent"]).frame_count == 20
    assert [table.read_bytes() for table in tables] == before


def test_another_rate_or_another_film_is_not_taken_for_the_same(
    films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare_folder(films, out, quiet=True)
    make_film(films / "silent.avi", frames=21, size="16x16")
    assert prepare_folder(films, out, quiet=True).prepared == ["silent"]
    with pytest.warns(VisualMicWarning, match="captured at 400"):
        summary = prepare_folder(films, out, fps=400, reference="none", quiet=True)
    assert summary.prepared == ["beside", "silent", "track"]
    assert StoredFrames(out / "frames" / "track.h5").capture_fps == 400


def test_a_bad_film_keeps_back_nothing_but_itself(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_folder(films, out, quiet=True)
    (films / "a_text.mp4").write_text("this is a text")
    track = films / "track.mp4"
    track.write_bytes(b"")
    told = []
    summary = prepare_folder(
        films, out, quiet=True, on_failure=lambda film, reason: told.append((film, reason))
    )
    assert set(summary.failed) == {"a_text.mp4", "track.mp4"}
    assert told == list(summary.failed.items())
    assert summary.kept == ["beside", "silent"]
    recordings = [row["recording"] for row in rows_of(out / "dataset" / "metadata.csv")]
    assert recordings == ["beside", "silent", "track"], "the row made before is not lost"
    assert StoredFrames(out / "frames" / "track.h5").frame_count == 100


def test_a_reference_that_is_too_short_fails_its_recording_only(
    films: Path, tmp_path: Path
) -> None:
    soundfile.write(films / "beside.wav", np.sin(np.arange(800) / 10), 8000)
    summary = prepare_folder(films, tmp_path / "out", quiet=True)
    assert list(summary.failed) == ["beside.mkv"]
    assert "beside.wav lasts 0.100 s and does not cover the film" in summary.failed["beside.mkv"]
    assert {
        row["recording"] for row in rows_of(tmp_path / "out" / "dataset" / "SampledData.csv")
    } == {"track"}


def test_asking_for_tracks_fails_the_film_without_one(films: Path, tmp_path: Path) -> None:
    summary = prepare_folder(films, tmp_path / "out", reference="film", quiet=True)
    assert list(summary.failed) == ["silent.avi"]
    assert "has no sound track" in summary.failed["silent.avi"]


def test_films_of_one_name_become_recordings_of_their_own(tmp_path: Path) -> None:
    for name in ("chips.mp4", "chips.MOV", "leaf.mkv"):
        (tmp_path / name).write_bytes(b"x")
    assert list(name_recordings(tmp_path)) == ["chips_MOV", "chips_mp4", "leaf"]


def test_a_folder_without_films_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match="there is no film in"):
        prepare_folder(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_row_holds_what_the_film_says(tmp_path: Path) -> None:
    film = make_film(tmp_path / "chips.mp4", frames=50, fps="240")
    row = metadata_row(probe_film(film), "ab12", role="test", offset_s=0.25)
    assert tuple(row) == METADATA_COLUMNS
    assert row["recording"] == "chips"
    assert (row["frames"], row["capture_fps"], row["variable_frame_rate"]) == (50, 240.0, "no")
    assert (row["role"], row["offset_s"], row["audio_rate"]) == ("test", 0.25, "")
