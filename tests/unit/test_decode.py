"""Luma as filmed: to the bit, upright, cropped, in batches, and never fewer frames unnoticed."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import encode_luma, garble, make_film, random_luma, run_ffmpeg
from numpy.typing import NDArray
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film.decode import FilmFrames
from visualmic.film.probe import probe_film

FULL_RANGE = ("-bsf:v", "h264_metadata=video_full_range_flag=1")


def read_all(film: FilmFrames, batch_frames: int | None = None) -> NDArray[np.uint8]:
    return np.concatenate([batch.copy() for batch in film.batches(batch_frames)])


@pytest.mark.parametrize(
    ("pixels", "codec"),
    [
        ("gray", ("-c:v", "ffv1")),
        ("yuv420p", ("-c:v", "ffv1")),
        ("yuv444p", ("-c:v", "ffv1")),
        ("yuv420p", ("-c:v", "libx264", "-qp", "0")),
        ("yuv420p", ("-c:v", "libx264", "-qp", "0", *FULL_RANGE)),
        ("yuv420p", ("-c:v", "libx264", "-qp", "0", "-color_range", "tv")),
        ("yuvj420p", ("-c:v", "ffv1", "-color_range", "pc", "-strict", "-1")),
        ("gray", ("-c:v", "rawvideo")),
        ("yuv420p", ("-c:v", "rawvideo", "-pix_fmt", "nv12")),
        ("yuv420p", ("-c:v", "rawvideo", "-pix_fmt", "nv21")),
    ],
)
def test_luma_is_the_stored_plane_to_the_bit(
    pixels: str, codec: tuple[str, ...], tmp_path: Path
) -> None:
    luma = random_luma(7, 18, 26)
    film = FilmFrames(encode_luma(tmp_path / "a.nut", luma, pixels=pixels, codec=codec))
    np.testing.assert_array_equal(read_all(film), luma)


def test_luma_between_other_samples_is_read_to_the_bit(tmp_path: Path) -> None:
    """In yuyv422 each line is Y U Y V; written here by hand."""
    luma = random_luma(4, 10, 12)
    packed = np.full((4, 10, 24), 128, np.uint8)
    packed[:, :, ::2] = luma
    film = tmp_path / "a.nut"
    raw = ("-f", "rawvideo", "-pix_fmt", "yuyv422", "-s", "12x10", "-framerate", "50", "-i", "-")
    run_ffmpeg(*raw, "-c:v", "copy", film, data=packed.tobytes())
    np.testing.assert_array_equal(read_all(FilmFrames(film)), luma)
    cropped = FilmFrames(film, crop=(3, 1, 5, 7))
    np.testing.assert_array_equal(read_all(cropped), luma[:, 1:8, 3:8])


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        ("yuv420p10le", 10),
        ("gray10le", 10),
        ("yuv444p12le", 12),
        ("gray16le", 16),
    ],
)
def test_deeper_samples_are_rounded_to_8_bits(pixels: str, bits: int, tmp_path: Path) -> None:
    luma = random_luma(3, 8, 10, peak=(1 << bits) - 1)
    luma[0, 0, :4] = [0, 1, (1 << bits) - 1, 1 << (bits - 9)]
    film = FilmFrames(encode_luma(tmp_path / "a.mkv", luma, pixels=pixels))
    wanted = np.minimum(np.floor(luma / (1 << (bits - 8)) + 0.5), 255)
    np.testing.assert_array_equal(read_all(film), wanted)


@pytest.mark.parametrize("pixels", ["rgb24", "bgr0", "gbrp"])
def test_rgb_becomes_luma_of_bt601_without_a_change_of_range(pixels: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
    colours[0, 0, :2] = [[0, 0, 0], [255, 255, 255]]
    film = tmp_path / "a.nut"
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "8x6", "-framerate", "50", "-i", "-")
    codec = "rawvideo" if pixels == "rgb24" else "ffv1"
    run_ffmpeg(*raw, "-c:v", codec, "-pix_fmt", pixels, film, data=colours.tobytes())
    wanted = colours @ np.array([0.299, 0.587, 0.114])
    luma = read_all(FilmFrames(film))
    assert np.max(np.abs(luma - wanted)) <= 1.0
    assert luma[0, 0, :2].tolist() == [0, 255]


@pytest.mark.parametrize("pixels", ["gray", "yuv420p"])
def test_odd_sizes_and_odd_crops_are_exact(pixels: str, tmp_path: Path) -> None:
    luma = random_luma(4, 17, 23)
    path = encode_luma(tmp_path / "a.mkv", luma, pixels=pixels)
    np.testing.assert_array_equal(read_all(FilmFrames(path)), luma)
    for x, y, width, height in [(3, 5, 7, 9), (0, 0, 1, 1), (22, 16, 1, 1), (1, 0, 22, 17)]:
        film = FilmFrames(path, crop=(x, y, width, height))
        assert (film.width, film.height) == (width, height)
        np.testing.assert_array_equal(read_all(film), luma[:, y : y + height, x : x + width])


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (-90, -1)])
def test_frames_are_turned_upright_before_the_crop(angle: int, turns: int, tmp_path: Path) -> None:
    luma = random_luma(3, 16, 24)
    lossless = ("-c:v", "libx264", "-qp", "0")
    film = encode_luma(tmp_path / "a.mp4", luma, pixels="yuv420p", codec=lossless)
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-display_rotation", str(angle), "-i", film, "-c", "copy", turned)
    upright = np.rot90(luma, turns, axes=(1, 2))
    np.testing.assert_array_equal(read_all(FilmFrames(turned)), upright)
    cropped = FilmFrames(turned, crop=(5, 3, 9, 11))
    np.testing.assert_array_equal(read_all(cropped), upright[:, 3:14, 5:14])


@pytest.mark.parametrize("batch_frames", [1, 4, 7, 100, None])
def test_batches_are_of_one_length_but_the_last(batch_frames: int | None, tmp_path: Path) -> None:
    luma = random_luma(21, 8, 8)
    film = FilmFrames(encode_luma(tmp_path / "a.mkv", luma))
    lengths = [len(batch) for batch in film.batches(batch_frames)]
    assert sum(lengths) == 21
    assert len(set(lengths[:-1])) <= 1
    assert lengths[0] == min(batch_frames or 21, 21)
    np.testing.assert_array_equal(read_all(film, batch_frames), luma)


def test_a_source_can_be_read_again_and_left_half_way(tmp_path: Path) -> None:
    luma = random_luma(50, 8, 8)
    film = FilmFrames(encode_luma(tmp_path / "a.mkv", luma))
    batches = film.batches(5)
    np.testing.assert_array_equal(next(batches), luma[:5])
    batches.close()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read_all(film), luma)


def test_no_frame_is_dropped_or_repeated_where_times_are_uneven_or_equal(tmp_path: Path) -> None:
    luma = random_luma(600, 8, 8)
    fast = FilmFrames(encode_luma(tmp_path / "a.mkv", luma, fps="2200"))
    np.testing.assert_array_equal(read_all(fast), luma)
    uneven = tmp_path / "b.mkv"
    thinned = ("-vf", "select='mod(n,5)-3'", "-fps_mode", "vfr", "-c:v", "ffv1")
    run_ffmpeg("-i", encode_luma(tmp_path / "c.mkv", luma[:100]), *thinned, uneven)
    with pytest.warns(VisualMicWarning, match="variable frame rate"):
        film = FilmFrames(uneven)
    kept = np.arange(100) % 5 != 3
    np.testing.assert_array_equal(read_all(film), luma[:100][kept])
    assert film.variable_frame_rate
    np.testing.assert_allclose(film.time_s(), np.flatnonzero(kept) / 100, atol=1e-3)


def test_b_frames_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    luma = random_luma(40, 16, 16) // 16 + np.arange(40, dtype=np.uint16)[:, None, None] * 5
    codec = ("-c:v", "libx264", "-qp", "0", "-bf", "3", "-g", "12")
    film = FilmFrames(encode_luma(tmp_path / "a.mp4", luma, pixels="yuv420p", codec=codec))
    np.testing.assert_array_equal(read_all(film), luma)


def test_capture_rate_count_and_times_are_those_of_the_film(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=20, fps="25")
    with pytest.warns(VisualMicWarning, match="captured at 500"):
        film = FilmFrames(path, fps=500)
    assert (film.capture_fps, film.frame_count) == (500.0, 20)
    np.testing.assert_allclose(film.time_s(), np.arange(20) / 500)
    assert film.name == str(path)


@pytest.mark.parametrize(("codec", "lossless"), [("ffv1", True), ("mpeg4", False), ("?", False)])
def test_a_film_says_whether_its_codec_changed_nothing(
    codec: str, lossless: bool, tmp_path: Path
) -> None:
    path = make_film(tmp_path / "a.mp4")
    info = replace(probe_film(path), codec=codec)
    assert FilmFrames(path, info=info).lossless is lossless
    assert not FilmFrames(path).lossless


def test_a_film_that_was_probed_is_not_probed_again(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4")
    info = probe_film(path)
    assert FilmFrames(path, info=info).info is info


@pytest.mark.parametrize(
    "crop", [(-1, 0, 8, 8), (0, 0, 49, 8), (41, 0, 8, 8), (0, 25, 8, 8), (0, 0, 0, 8)]
)
def test_a_crop_that_leaves_the_frame_is_refused(
    crop: tuple[int, int, int, int], tmp_path: Path
) -> None:
    with pytest.raises(VisualMicError, match=r"leaves the frame of .*a\.mp4, which is 48x32"):
        FilmFrames(make_film(tmp_path / "a.mp4"), crop=crop)


def test_a_crop_of_three_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match="four numbers"):
        FilmFrames(make_film(tmp_path / "a.mp4"), crop=(1, 2, 3))


def test_a_film_cut_after_it_was_probed_does_not_pass_for_whole(tmp_path: Path) -> None:
    path = encode_luma(tmp_path / "a.mkv", random_luma(60, 16, 16))
    film = FilmFrames(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VisualMicError, match=r"a\.mkv is damaged: only \d+ of its 60 frames"):
        read_all(film)


def test_damage_that_the_decoder_patches_is_told(tmp_path: Path) -> None:
    lossless = ("-c:v", "libx264", "-qp", "0")
    luma = random_luma(20, 64, 64)
    path = encode_luma(tmp_path / "a.mp4", luma, pixels="yuv420p", codec=lossless)
    film = FilmFrames(path)
    # Well inside the data of one frame of some 6000 bytes: its length, which would take other
    # frames with it, stays whole.
    garble(path, 2000, 300)
    with pytest.warns(VisualMicWarning, match="found damage"):
        assert len(read_all(film)) == 20


def test_a_film_that_lost_a_frame_to_damage_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=60, size="128x96", options=("-g", "60"))
    film = FilmFrames(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(VisualMicError, match="only 59 of its 60 frames can be decoded"):
        read_all(film)


def test_samples_with_the_high_byte_first_are_read_as_such(tmp_path: Path) -> None:
    luma = random_luma(3, 8, 10, peak=65535)
    path = encode_luma(tmp_path / "a.mkv", luma, pixels="gray16le", codec=("-c:v", "png"))
    film = FilmFrames(path)
    assert film.info.pixel_format == "gray16be"
    np.testing.assert_array_equal(read_all(film), np.minimum(np.floor(luma / 256 + 0.5), 255))


def test_a_film_that_changes_its_size_is_refused(tmp_path: Path) -> None:
    codec = ("-c:v", "libx264", "-qp", "0", "-bsf:v", "dump_extra", "-f", "h264")
    parts = [
        encode_luma(
            tmp_path / f"{size}.h264", random_luma(4, size, size), pixels="yuv420p", codec=codec
        )
        for size in (32, 64)
    ]
    whole = tmp_path / "whole.h264"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    film = FilmFrames(whole)
    with pytest.raises(VisualMicError, match="frames of 32x32 pixels beside those of 64x64"):
        read_all(film)


def test_a_codec_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = encode_luma(tmp_path / "a.avi", random_luma(4, 16, 16))
    film = FilmFrames(path)
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"ZZZZ"))
    with pytest.raises(VisualMicError, match=r"a\.avi is coded by ffv1, which cannot be decoded"):
        read_all(film)


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    peaks = []
    for frames in (200, 2000):
        film = FilmFrames(make_film(tmp_path / f"{frames}.mp4", frames=frames, size="64x64"))
        tracemalloc.start()
        for _ in film.batches(50):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > 50 * 64 * 64
    assert peaks[1] < 1.15 * peaks[0]


def test_a_real_film_is_read_whole(shared_data: Path) -> None:
    with pytest.warns(VisualMicWarning):
        film = FilmFrames(
            shared_data / "tuning_forks" / "hz64_fps250.mp4", fps=250, crop=(301, 201, 33, 35)
        )
    assert sum(len(batch) for batch in film.batches()) == 888
