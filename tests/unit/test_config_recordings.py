"""The recordings table is checked row by row, and a fault names file, row and column."""

from pathlib import Path

import pytest
from visualmic.config.recordings import Recording, read_recordings
from visualmic.errors import VisualMicError

HEADER = "id,film,fps,reference,offset_s,crop,role\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write a table beside a film and a sound, and work in the folder above."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "chips.mp4").touch()
    (folder / "room.wav").touch()
    monkeypatch.chdir(tmp_path)

    def write(rows: str, header: str = HEADER) -> Path:
        path = Path("films") / "table.csv"
        path.write_text(header + rows, encoding="utf-8")
        return path

    return write


def fault_of(path: Path, simulated=()) -> str:
    with pytest.raises(VisualMicError) as caught:
        read_recordings(path, simulated)
    return str(caught.value)


def test_a_row_is_read_with_its_types_and_paths_relative_to_the_table(table):
    path = table('chips,chips.mp4,2200,room.wav,0.25,"8,16,96,64",train\n')
    assert read_recordings(path) == {
        "chips": Recording(
            "chips", "films/chips.mp4", 2200.0, "films/room.wav", 0.25, (8, 16, 96, 64), "train"
        )
    }


def test_empty_cells_mean_that_nothing_is_said(table):
    recording = read_recordings(table("chips,chips.mp4,,,,,test\n"))["chips"]
    assert (recording.fps, recording.reference, recording.crop) == (None, None, None)
    assert recording.offset_s == 0.0


def test_what_spreadsheets_write_is_read(table):
    path = table(
        "chips,chips.mp4,,,,,test\r\n,,,,,,\r\n", header="\ufeff" + HEADER.strip() + "\r\n"
    )
    assert list(read_recordings(path)) == ["chips"]


def test_simulated_recordings_have_no_film_yet(table):
    path = table("a,simulated,,simulated,0,,test\n")
    recording = read_recordings(path, ["a"])["a"]
    assert (recording.film, recording.reference) == (None, "simulated")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("chips,chips.mp4,-5,,,,test\n", "row 2, column fps: is -5; it must be a number above 0"),
        ("chips,chips.mp4,fast,,,,test\n", 'row 2, column fps: is "fast"; it must be a number'),
        ("chips,chips.mp4,nan,,,,test\n", "row 2, column fps: is not a finite number"),
        ("chips,chips.mp4,,,,,tset\n", 'column role: is "tset"; it must be one of train, valid'),
        ("chips,chip.mp4,,,,,test\n", "row 2, column film: there is no film films/chip.mp4"),
        ("chips,chips.mp4,,rom.wav,,,test\n", "column reference: there is no sound films/rom.wav"),
        ("chips,chips.mp4,,simulated,,,test\n", "column reference: only a simulated film"),
        ("chips,simulated,,,,,test\n", "column film: nothing says how to simulate chips"),
        ('chips,chips.mp4,,,,"1,2,3",test\n', "column crop: is [1, 2, 3]; it must be a list of 4"),
        ('chips,chips.mp4,,,,"0,0,0,9",test\n', "column crop: [0, 0, 0, 9] is empty"),
        ("chips,chips.mp4,,,,1,2,3,4,test\n", "row 2: 10 cells for 7 columns; put a crop in quot"),
        ("a/b,chips.mp4,,,,,test\n", 'column id: is "a/b"; it must be 1 to 64 letters'),
        ("chips_truth,chips.mp4,,,,,test\n", "column id: "),
        (
            "Chips,chips.mp4,,,,,test\nchips,chips.mp4,,,,,test\n",
            "row 3, column id: chips is already in row 2",
        ),
        ("", "has no recordings"),
    ],
)
def test_a_fault_names_file_row_and_column(table, rows, said):
    message = fault_of(table(rows))
    assert message.startswith("films/table.csv")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace("fps", "fsp"), "row 1: fsp is not a known column; did you mean fps?"),
        (HEADER.replace(",", ";"), "separate columns by commas"),
        (HEADER.replace(",role", ""), "missing: role"),
    ],
)
def test_a_wrong_header_is_said(table, header, said):
    assert said in fault_of(table("", header=header))


def test_a_missing_table_is_one_line(tmp_path):
    assert "cannot read the recordings table" in fault_of(tmp_path / "none.csv")
