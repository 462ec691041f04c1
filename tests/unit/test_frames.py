"""The frame store keeps every bit, is whole or not there, and refuses what is not whole."""

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from arrays import ArrayFrames
from films import encode_luma, random_luma
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.film.frames import StoredFrames, write_frames
from visualmic.progress import Progress


def read_all(source: StoredFrames, batch_frames: int | None = None) -> NDArray[np.uint8]:
    return np.concatenate([batch.copy() for batch in source.batches(batch_frames)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of 40 small frames."""
    path = tmp_path / "frames.h5"
    luma = random_luma(40, 9, 11).astype(np.uint8)
    write_frames(ArrayFrames(luma, fps=2200.0), path, {"source_sha256": "ab12"})
    return path


def test_a_film_comes_back_to_the_bit_with_its_times(tmp_path: Path) -> None:
    luma = random_luma(30, 18, 22)
    film = FilmFrames(encode_luma(tmp_path / "a.mkv", luma), crop=(3, 1, 15, 16))
    settings = {"source_sha256": "ab12", "crop": [3, 1, 15, 16], "role": "test"}
    assert write_frames(film, tmp_path / "frames" / "a.h5", settings) == 30
    stored = StoredFrames(tmp_path / "frames" / "a.h5")
    np.testing.assert_array_equal(read_all(stored), luma[:, 1:17, 3:18])
    np.testing.assert_array_equal(stored.time_s(), film.time_s())
    np.testing.assert_array_equal(stored.keyframes, film.keyframes)
    assert (stored.capture_fps, stored.frame_count, stored.height, stored.width) == (
        100,
        30,
        16,
        15,
    )
    assert stored.attributes["source_sha256"] == "ab12"
    assert stored.attributes["crop"] == "[3, 1, 15, 16]"
    assert not stored.variable_frame_rate
    assert stored.lossless


def test_frames_of_which_nothing_is_said_are_not_taken_for_lossless(store: Path) -> None:
    assert not StoredFrames(store).lossless


@pytest.mark.parametrize("shape", [(50, 8, 8), (3, 600, 700), (1, 4, 4)])
def test_frames_of_any_size_are_kept(shape: tuple[int, int, int], tmp_path: Path) -> None:
    luma = random_luma(*shape).astype(np.uint8)
    write_frames(ArrayFrames(luma, fps=100.0), tmp_path / "a.h5")
    np.testing.assert_array_equal(read_all(StoredFrames(tmp_path / "a.h5")), luma)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["frames"].chunks[1:] == shape[1:], "a chunk holds whole frames"


@pytest.mark.parametrize("batch_frames", [1, 7, 40, 1000, None])
def test_batches_are_of_one_length_but_the_last(batch_frames: int | None, store: Path) -> None:
    stored = StoredFrames(store)
    lengths = [len(batch) for batch in stored.batches(batch_frames)]
    assert sum(lengths) == 40
    assert len(set(lengths[:-1])) <= 1
    np.testing.assert_array_equal(read_all(stored, batch_frames), random_luma(40, 9, 11))


def test_a_source_that_does_not_know_its_length_is_stored_whole(tmp_path: Path) -> None:
    luma = random_luma(40, 9, 11).astype(np.uint8)
    source = ArrayFrames(luma, fps=50.0)
    source.frame_count = None
    assert write_frames(source, tmp_path / "a.h5") == 40
    np.testing.assert_array_equal(read_all(StoredFrames(tmp_path / "a.h5")), luma)


def test_progress_counts_the_frames(tmp_path: Path) -> None:
    progress = Progress("store", 40, stream=io.StringIO())
    luma = random_luma(40, 9, 11).astype(np.uint8)
    write_frames(ArrayFrames(luma, fps=50.0), tmp_path / "a.h5", progress=progress)
    assert progress.done == 40


class FailingFrames(ArrayFrames):
    """Frames that end with an error, as those of a damaged film do."""

    def batches(self, batch_frames: int | None = None) -> Iterator[NDArray[np.uint8]]:
        yield self.frames[:5]
        raise VisualMicError("the film is damaged")


def test_a_source_that_fails_leaves_what_was_there(store: Path) -> None:
    before = store.read_bytes()
    luma = random_luma(40, 9, 11).astype(np.uint8)
    with pytest.raises(VisualMicError, match="the film is damaged"):
        write_frames(FailingFrames(luma, fps=50.0), store)
    assert store.read_bytes() == before
    assert list(store.parent.iterdir()) == [store], "a temporary file was left"


def test_a_source_that_gives_fewer_frames_than_it_says_is_refused(tmp_path: Path) -> None:
    source = ArrayFrames(random_luma(40, 9, 11).astype(np.uint8), fps=50.0)
    source.frame_count = 50
    with pytest.raises(VisualMicError, match="gave 40 frames where 50 were promised"):
        write_frames(source, tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
@pytest.mark.parametrize("limit", [4 << 10, 1 << 20, 6 << 20])
def test_a_full_disk_is_one_error_and_leaves_what_was_there(limit: int, store: Path) -> None:
    """A limit on the size of a file stands in for the full disk: writing fails half-way."""
    before = store.read_bytes()
    program = (
        "import resource, signal, sys\n"
        "import numpy as np\n"
        "from arrays import ArrayFrames\n"
        "from visualmic.errors import VisualMicError\n"
        "from visualmic.film.frames import write_frames\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n"
        "    write_frames(ArrayFrames(np.ones((80, 400, 300), np.uint8), 50.0), sys.argv[1])\n"
        "except VisualMicError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, store],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert f"cannot write {store}" in done.stdout
    assert "free some space" in done.stdout
    assert done.stderr == ""
    assert store.read_bytes() == before
    assert list(store.parent.iterdir()) == [store]


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    for frames in (500, 3000):
        luma = np.broadcast_to(np.uint8(7), (frames, 100, 100))
        write_frames(ArrayFrames(luma, fps=50.0), tmp_path / f"{frames}.h5")
    peaks = []
    for frames in (500, 3000):
        stored = StoredFrames(tmp_path / f"{frames}.h5")
        tracemalloc.start()
        for _ in stored.batches(100):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.15 * peaks[0]


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match=r"no frame store .*none\.h5"):
        StoredFrames(tmp_path / "none.h5")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all"])
def test_what_is_no_store_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(VisualMicError, match=r"a\.h5.*delete the file and run again"):
        StoredFrames(path)


def test_a_truncated_store_is_refused(store: Path) -> None:
    content = store.read_bytes()
    store.write_bytes(content[: len(content) // 2])
    with pytest.raises(VisualMicError, match=r"frames\.h5.*delete the file and run again"):
        StoredFrames(store)


def test_an_incomplete_store_is_refused(store: Path) -> None:
    with h5py.File(store, "a") as file:
        del file.attrs["complete"]
    with pytest.raises(VisualMicError, match="is not complete; delete it and run again"):
        StoredFrames(store)


def test_a_store_whose_frames_and_count_disagree_is_refused(store: Path) -> None:
    with h5py.File(store, "a") as file:
        file["frames"].resize(39, axis=0)
    with pytest.raises(VisualMicError, match="holds 39 frames and 40 times but says 40"):
        StoredFrames(store)


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["signals"] = np.zeros(3)
    with pytest.raises(VisualMicError, match=r"cannot read frames from .*a\.h5"):
        StoredFrames(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"], file["time_s"] = np.zeros((2, 3)), np.zeros(2)
        file.attrs.update({"complete": True, "frames": 2, "capture_fps": 5.0})
    with pytest.raises(VisualMicError, match=r"\(T, H, W\) of uint8 is needed"):
        StoredFrames(tmp_path / "a.h5")
