"""What a film holds, without decoding it."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from films import make_film, run_ffmpeg
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.probe import probe_film

TAGGED = ("-movflags", "use_metadata_tags")


def test_size_frames_rate_and_times_of_a_plain_film(tmp_path: Path) -> None:
    info = probe_film(make_film(tmp_path / "a.mp4", frames=30, size="50x34", fps="240"))
    assert (info.width, info.height, info.frames) == (50, 34, 30)
    assert (info.container_fps, info.capture_fps, info.capture_fps_source) == (
        240.0,
        240.0,
        "container",
    )
    assert info.duration_s == pytest.approx(30 / 240)
    assert (info.codec, info.pixel_format, info.rotation) == ("h264", "yuv420p", 0)
    assert (info.audio_rate, info.variable_frame_rate, info.warnings) == (None, False, ())
    np.testing.assert_allclose(info.time_s, np.arange(30) / 240, rtol=1e-12)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mov", "a.nut", "a.ts"])
@pytest.mark.parametrize("fps", ["50", "30000/1001"])
def test_every_container_gives_the_same_frames_and_rate(
    name: str, fps: str, tmp_path: Path
) -> None:
    options = ("-bf", "2") if not name.endswith(".avi") else ()
    film = make_film(tmp_path / name, frames=40, fps=fps, options=options)
    info = probe_film(film)
    assert info.frames == 40
    assert info.capture_fps == pytest.approx(50.0 if fps == "50" else 30000 / 1001, rel=1e-6)
    assert not info.variable_frame_rate


def test_a_bare_stream_without_times_is_counted_at_an_assumed_rate(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.h264", frames=40, fps="50", options=("-bf", "2"))
    with pytest.warns(VisualMicWarning, match=r"without timestamps; \d+ per second assumed"):
        info = probe_film(film)
    assert (info.frames, info.variable_frame_rate) == (40, False)
    np.testing.assert_allclose(info.time_s, np.arange(40) / info.capture_fps)


def test_matroska_rounds_to_milliseconds_and_is_not_variable_for_it(tmp_path: Path) -> None:
    info = probe_film(make_film(tmp_path / "a.mkv", frames=600, size="16x16", fps="2200"))
    assert (info.capture_fps, info.variable_frame_rate) == (2200.0, False)
    np.testing.assert_allclose(info.time_s, np.arange(600) / 2200, rtol=1e-12)


def test_a_given_rate_sets_the_time_and_both_rates_are_told(tmp_path: Path) -> None:
    film = make_film(tmp_path / "slow.mp4", frames=60, fps="30")
    with pytest.warns(VisualMicWarning, match=r"plays 30 .* captured at 480 \(given\)"):
        info = probe_film(film, fps=480)
    assert (info.container_fps, info.capture_fps, info.capture_fps_source) == (
        30.0,
        480.0,
        "option",
    )
    assert info.duration_s == pytest.approx(60 / 480)
    np.testing.assert_allclose(info.time_s, np.arange(60) / 480, rtol=1e-12)
    assert len(info.warnings) == 1


def test_the_rate_given_may_be_the_one_of_the_container(tmp_path: Path) -> None:
    info = probe_film(make_film(tmp_path / "a.mp4", fps="100"), fps=100)
    assert (info.capture_fps_source, info.warnings) == ("option", ())


@pytest.mark.parametrize(
    ("key", "value", "rate"),
    [
        ("com.android.capture.fps", "240.000000", 240.0),
        ("CaptureFps", "119.88p", 119.88),
        ("capture_frame_rate", "240000/1001", 240000 / 1001),
    ],
)
def test_the_tag_of_a_slow_motion_camera_is_believed(
    key: str, value: str, rate: float, tmp_path: Path
) -> None:
    tag = ("-metadata", f"{key}={value}", *TAGGED)
    film = make_film(tmp_path / "slow.mp4", fps="30", options=tag)
    with pytest.warns(VisualMicWarning, match="plays 30 frames per second, captured at"):
        info = probe_film(film)
    assert (info.capture_fps, info.capture_fps_source) == (pytest.approx(rate), "tags")


def test_the_rate_that_sony_cameras_note_beside_the_picture_is_believed(tmp_path: Path) -> None:
    """They write it in XML in a box of its own, which is no tag to ffmpeg."""
    film = make_film(tmp_path / "C0001.MP4", fps="30000/1001")
    note = b'<VideoFrame videoCodec="AVC" captureFps="959.04p" formatFps="29.97p"/>'
    with film.open("ab") as stream:
        stream.write((8 + len(note)).to_bytes(4, "big") + b"free" + note)
    with pytest.warns(VisualMicWarning, match=r"captured at 959\.04 \(tag captureFps\)"):
        info = probe_film(film)
    assert (info.capture_fps, info.capture_fps_source) == (959.04, "tags")


def test_the_given_rate_wins_over_a_tag_and_the_tag_is_told(tmp_path: Path) -> None:
    tag = ("-metadata", "com.android.capture.fps=240", *TAGGED)
    film = make_film(tmp_path / "slow.mp4", fps="30", options=tag)
    with pytest.warns(VisualMicWarning) as given:
        info = probe_film(film, fps=960)
    assert info.capture_fps == 960.0
    assert any("camera wrote 240" in str(warning.message) for warning in given)


@pytest.mark.parametrize("value", ["0", "fast", "-3", "nan", "5/0"])
def test_a_tag_that_is_no_rate_is_passed_over(value: str, tmp_path: Path) -> None:
    tag = ("-metadata", f"capture_fps={value}", *TAGGED)
    info = probe_film(make_film(tmp_path / "a.mp4", options=tag))
    assert (info.capture_fps, info.capture_fps_source) == (100.0, "container")


def drop_every_fifth_frame(tmp_path: Path) -> Path:
    """Make a film of 100 frames a second in which each fifth is missing."""
    film = tmp_path / "variable.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=32x32:r=100,trim=end_frame=50"),
        *("-vf", "select='mod(n,5)-3'", "-fps_mode", "vfr", "-c:v", "libx264"),
        *("-enc_time_base", "1/1000", "-video_track_timescale", "12800", film),
    )
    return film


def test_uneven_timestamps_are_found_and_kept(tmp_path: Path) -> None:
    film = drop_every_fifth_frame(tmp_path)
    with pytest.warns(VisualMicWarning, match="variable frame rate, 10 to 20 ms"):
        info = probe_film(film)
    assert info.variable_frame_rate
    wanted = np.array([k for k in range(50) if k % 5 != 3]) / 100
    np.testing.assert_allclose(info.time_s, wanted, atol=1e-9)
    assert info.capture_fps == pytest.approx(39 / 0.49)


def test_uneven_timestamps_of_a_slow_motion_film_are_scaled_to_real_time(tmp_path: Path) -> None:
    film = drop_every_fifth_frame(tmp_path)
    with pytest.warns(VisualMicWarning):
        info = probe_film(film, fps=780.0)
    wanted = np.array([k for k in range(50) if k % 5 != 3]) / 100 * (39 / 0.49) / 780
    np.testing.assert_allclose(info.time_s, wanted, atol=1e-9)


@pytest.mark.parametrize(("angle", "size"), [(90, (32, 48)), (180, (48, 32)), (-90, (32, 48))])
def test_the_size_is_that_of_the_upright_picture(
    angle: int, size: tuple[int, int], tmp_path: Path
) -> None:
    film = make_film(tmp_path / "a.mp4", size="48x32")
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", str(angle), "-i", film, "-c", "copy", turned)
    info = probe_film(turned)
    assert (info.width, info.height) == size
    assert abs(info.rotation) == abs(angle)


def test_a_sound_track_is_seen(tmp_path: Path) -> None:
    info = probe_film(make_film(tmp_path / "a.mp4", frames=100, sound_s=1.0))
    assert info.audio_rate == 44100
    assert info.audio_duration_s == pytest.approx(1.0, abs=0.03)


def test_key_frames_are_found_where_they_come_regularly(tmp_path: Path) -> None:
    regular = ("-g", "10", "-keyint_min", "10", "-sc_threshold", "0", "-bf", "2")
    info = probe_film(make_film(tmp_path / "a.mp4", frames=45, options=regular))
    assert info.keyframe_interval == 10
    assert info.keyframes.tolist() == [0, 10, 20, 30, 40]
    every = probe_film(make_film(tmp_path / "i.mp4", options=("-g", "1")))
    assert every.keyframe_interval == 1
    assert probe_film(make_film(tmp_path / "one.mp4")).keyframe_interval is None


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    """A cut without re-encoding keeps the frames back to the key frame, but does not show them."""
    film = make_film(tmp_path / "a.mp4", frames=60, options=("-bf", "2"))
    cut = tmp_path / "cut.mp4"
    run_ffmpeg("-ss", "0.2", "-i", film, "-c", "copy", cut)
    assert probe_film(cut).frames == 40


def test_a_cover_picture_is_not_the_film(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4")
    run_ffmpeg("-f", "lavfi", "-i", "color=s=300x200", "-frames:v", "1", tmp_path / "cover.png")
    both = tmp_path / "both.mp4"
    attached = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg("-i", film, "-i", tmp_path / "cover.png", *attached, both)
    info = probe_film(both)
    assert (info.width, info.height, info.frames) == (48, 32, 24)


def test_memory_holds_no_more_than_a_few_numbers_a_frame(tmp_path: Path) -> None:
    peaks = []
    for frames in (2000, 12000):
        film = make_film(tmp_path / f"{frames}.mp4", frames=frames, size="16x16")
        tracemalloc.start()
        probe_film(film)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 10000 < 60, "bytes a frame"


def test_facts_can_be_written_as_json(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(probe_film(make_film(tmp_path / "a.mp4")).to_dict()))
    assert facts["frames"] == 24
    assert "time_s" not in facts


@pytest.mark.parametrize("fps", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_is_refused(fps: float, tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match="frame rate of"):
        probe_film(make_film(tmp_path / "a.mp4"), fps=fps)


@pytest.mark.parametrize(
    ("name", "frames", "rate"),
    [("hz32_fps1000", 3336, 1000), ("hz64_fps1000", 3336, 1000), ("hz64_fps250", 888, 250)],
)
def test_the_real_films_say_50_and_were_taken_faster(
    name: str, frames: int, rate: float, shared_data: Path
) -> None:
    with pytest.warns(VisualMicWarning, match=f"plays 50 frames per second, captured at {rate}"):
        info = probe_film(shared_data / "tuning_forks" / f"{name}.mp4", fps=rate)
    assert (info.frames, info.width, info.height) == (frames, 640, 420)
    assert info.duration_s == pytest.approx(frames / rate)
    assert info.audio_rate is None
