"""Several threads decode stretches of a film each; what comes is what one would have read."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from films import encode_luma, garble, random_luma
from numpy.typing import NDArray
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film import decode
from visualmic.film.decode import FilmFrames
from visualmic.film.pictures import GroupLost, Pictures

H264 = ("-c:v", "libx264", "-crf", "18", "-g", "40", "-sc_threshold", "0")


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "BATCH_BYTES", 24 * 32 * 32)


def moving(frames: int) -> NDArray[np.uint16]:
    """Smooth noise that wanders, so that codecs predict and no two frames are alike."""
    rng = np.random.default_rng(8)
    step = rng.integers(-3, 4, (frames, 32, 32)).cumsum(axis=0)
    return (100 + step % 100).astype(np.uint16)


def film_of(path: Path, frames: int = 300, codec: tuple[str, ...] = H264, fps: str = "100") -> Path:
    return encode_luma(path, moving(frames), fps=fps, pixels="yuv420p", codec=codec)


def read_all(film: FilmFrames) -> NDArray[np.uint8]:
    return np.concatenate([batch.copy() for batch in film.batches()])


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames from which on the film was read in order after all."""
    begun: list[int] = []
    real = FilmFrames._in_order

    def noted(self: FilmFrames, shape: tuple[int, ...], done: int) -> Iterator[NDArray[np.uint8]]:
        begun.append(done)
        return real(self, shape, done)

    monkeypatch.setattr(FilmFrames, "_in_order", noted)
    return begun


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", H264),
        ("mp4", (*H264, "-bf", "3", "-x264-params", "open-gop=1")),
        ("mkv", (*H264, "-bf", "0")),
        ("mkv", ("-c:v", "ffv1")),
        ("mp4", ("-c:v", "libx265", "-g", "40", "-x265-params", "log-level=error")),
        ("webm", ("-c:v", "libvpx", "-g", "40")),
    ],
)
def test_stretches_give_what_reading_in_order_gives(
    suffix: str, codec: tuple[str, ...], tmp_path: Path, orders: list[int]
) -> None:
    path = film_of(tmp_path / f"a.{suffix}", codec=codec)
    in_order = read_all(FilmFrames(path, threads=1))
    assert orders == [0]
    apart = read_all(FilmFrames(path, threads=3))
    assert orders == [0]
    np.testing.assert_array_equal(apart, in_order)
    assert len(apart) == 300


def test_times_too_coarse_to_find_a_stretch_by_are_not_used(
    tmp_path: Path, orders: list[int]
) -> None:
    """Matroska's milliseconds name no frame at 2200 frames per second."""
    film = FilmFrames(film_of(tmp_path / "a.mkv", fps="2200"), threads=2)
    assert len(film.info.entries) == 0
    assert len(read_all(film)) == 300
    assert orders == [0]


def test_a_film_with_one_key_frame_is_read_in_order(tmp_path: Path, orders: list[int]) -> None:
    film = FilmFrames(film_of(tmp_path / "a.mp4", codec=("-c:v", "libx264", "-g", "999")))
    assert film.info.entries.tolist() == [0]
    assert len(read_all(film)) == 300
    assert orders == [0]


def test_where_a_stretch_is_lost_the_rest_is_read_in_order(
    tmp_path: Path, orders: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film_of(tmp_path / "a.mp4")
    wanted = read_all(FilmFrames(path, threads=1))
    real = Pictures.group

    def failing(self: Pictures, first: int, stop: int) -> Iterator[NDArray[np.uint8]]:
        if first >= 120:
            raise GroupLost
        return real(self, first, stop)

    monkeypatch.setattr(Pictures, "group", failing)
    np.testing.assert_array_equal(read_all(FilmFrames(path, threads=2)), wanted)
    assert len(orders) == 2
    assert orders[1] <= 120


def test_a_group_that_is_not_where_it_should_be_is_noticed(tmp_path: Path) -> None:
    film = FilmFrames(film_of(tmp_path / "a.mp4"))
    assert film.info.entries[1] == 40
    with Pictures(film.info, film.crop) as pictures:
        assert sum(1 for _ in pictures.group(40, 80)) == 40
        for first, stop in ((41, 80), (280, 321)):
            with pytest.raises(GroupLost):
                list(pictures.group(first, stop))


@pytest.mark.parametrize("fault", ["twice", "damaged"])
def test_nothing_out_of_place_is_handed_on(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = FilmFrames(film_of(tmp_path / "a.mp4"))
    real = Pictures._decoded

    def faulty(self: Pictures, packet: object) -> Iterator[NDArray[np.uint8]]:
        for luma in real(self, packet):  # type: ignore[arg-type]
            yield luma
            if fault == "twice":
                yield luma
            else:
                self._complain("a damaged frame")

    monkeypatch.setattr(Pictures, "_decoded", faulty)
    given: list[NDArray[np.uint8]] = []
    with Pictures(film.info, film.crop) as pictures, pytest.raises(GroupLost):
        given.extend(luma.copy() for luma in pictures.group(40, 80))
    assert len(given) <= 40


def test_damage_is_told_as_when_reading_in_order(tmp_path: Path) -> None:
    lossless = ("-c:v", "libx264", "-qp", "0", "-g", "40")
    luma = random_luma(200, 64, 64)
    path = encode_luma(tmp_path / "a.mp4", luma, pixels="yuv420p", codec=lossless)
    film = FilmFrames(path, threads=2)
    assert len(film.info.entries) > 5
    garble(path, 2000, 300)
    with pytest.warns(VisualMicWarning, match="found damage"):
        assert len(read_all(film)) == 200


def test_a_film_that_is_cut_off_does_not_pass_for_whole(tmp_path: Path) -> None:
    path = film_of(tmp_path / "a.mkv")
    film = FilmFrames(path, threads=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VisualMicError, match=r"a\.mkv is damaged: only \d+ of its 300 frames"):
        read_all(film)


def test_no_thread_outlives_a_film_that_is_left_half_way(tmp_path: Path) -> None:
    film = FilmFrames(film_of(tmp_path / "a.mp4"), threads=2)
    before = threading.active_count()
    batches = film.batches()
    next(batches)
    assert threading.active_count() == before + 2
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_memory_is_that_of_a_few_stretches(tmp_path: Path) -> None:
    peaks = []
    for frames in (400, 1600):
        film = FilmFrames(film_of(tmp_path / f"{frames}.mp4", frames), threads=2)
        tracemalloc.start()
        for _ in film.batches():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] > 40 * 32 * 32
    assert peaks[1] < 1.5 * peaks[0]
