"""No frame serves two purposes, and time keeps its order."""

import numpy as np
import pytest
from visualmic.errors import VisualMicError
from visualmic.learn.settings import SplitSettings
from visualmic.learn.splits import (
    LABEL_REACH,
    PARTS,
    Film,
    Parts,
    fold_names,
    gap_frames,
    indices,
    make_split,
    read_split,
    write_split,
)

FILMS = {
    "card": Film(6600, 2200.0),
    "leaf": Film(2500, 480.0),
    "foil": Film(4000, 1000.0),
    "packet": Film(900, 500.0, role="validation"),
}
SETTINGS = SplitSettings(kinds=("later", "folds", "without"), folds=3)
FOLDS = fold_names(SETTINGS, ["card", "leaf", "foil"])


@pytest.mark.parametrize("fold", FOLDS)
def test_no_frame_is_in_two_parts_nor_within_a_gap_of_another(fold):
    for name, parts in make_split(FILMS, fold, SETTINGS).recordings.items():
        gap = gap_frames(FILMS[name].fps, SETTINGS)
        by_part = {part: indices(getattr(parts, part)) for part in PARTS}
        for one, frames in by_part.items():
            assert np.all(np.diff(frames) > 0)
            assert frames.size == 0 or 0 <= frames[0] <= frames[-1] < FILMS[name].frames
            for other, others in by_part.items():
                if one < other and frames.size and others.size:
                    nearest = np.abs(frames[:, None] - others[None, ::7]).min()
                    assert nearest > gap - 7, (name, one, other)
                    exact = min(
                        abs(int(a) - int(b))
                        for a in edges(getattr(parts, one))
                        for b in edges(getattr(parts, other))
                    )
                    assert exact > gap, (name, one, other)


def edges(ranges):
    return [edge for begin, end in ranges for edge in (begin, end - 1)]


def test_a_gap_is_wider_than_what_a_label_is_made_from():
    for fps in (120.0, 500.0, 2200.0, 20000.0):
        lag = SETTINGS.max_lag_s * fps
        assert gap_frames(fps, SETTINGS) >= lag + LABEL_REACH
        assert gap_frames(fps, SETTINGS) >= SETTINGS.guard_s * fps


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_the_segments_of_all_folds_test_every_frame_once(folds):
    settings = SplitSettings(folds=folds)
    tested = np.concatenate(
        [
            indices(make_split(FILMS, f"fold-{k + 1}", settings).recordings["card"].test)
            for k in range(folds)
        ]
    )
    assert np.array_equal(np.sort(tested), np.arange(FILMS["card"].frames))


def test_later_tests_what_comes_last():
    for name, parts in make_split(FILMS, "later", SETTINGS).recordings.items():
        if name != "packet":
            assert parts.train[-1][1] < parts.validation[0][0] < parts.test[0][0]
            assert parts.test[0][1] == FILMS[name].frames


def test_a_recording_left_out_neither_trains_nor_chooses():
    split = make_split(FILMS, "without-leaf", SETTINGS)
    assert split.recordings["leaf"] == Parts(2500, test=((0, 2500),))
    assert split.with_part("test") == ["leaf"]
    assert split.with_part("train") == ["card", "foil"]


def test_a_recording_for_validation_only_chooses():
    for fold in FOLDS:
        assert make_split(FILMS, fold, SETTINGS).recordings["packet"] == Parts(
            900, validation=((0, 900),)
        )


def test_a_split_comes_back_from_its_file(tmp_path):
    split = make_split(FILMS, "fold-2", SETTINGS)
    write_split(tmp_path / "split.json", split)
    assert read_split(tmp_path / "split.json") == split


def test_a_file_in_which_a_frame_is_in_two_parts_is_refused(tmp_path):
    path = tmp_path / "split.json"
    write_split(path, make_split({"card": Film(3000, 500.0)}, "later", SETTINGS))
    content = path.read_text()
    assert '"test": [\n    [\n     2509' in content
    path.write_text(content.replace('"test": [\n    [\n     2509', '"test": [\n    [\n     2399'))
    with pytest.raises(VisualMicError, match="a frame of card is in two parts"):
        read_split(path)


@pytest.mark.parametrize(
    ("fold", "films", "said"),
    [
        ("later", {"card": Film(300, 500.0)}, "card has 300 frames: too few"),
        ("fold-9", FILMS, "no fold fold-9: there are 3"),
        ("without-tree", FILMS, "no recording tree to leave out"),
        ("without-card", {"card": Film(9000, 500.0)}, "no recording to train with"),
        ("later", {"card": Film(9000, 500.0, "validation")}, "no recording to train with"),
    ],
)
def test_what_cannot_be_split_is_said(fold, films, said):
    with pytest.raises(VisualMicError, match=said):
        make_split(films, fold, SETTINGS)


def test_a_lag_beyond_the_guard_is_refused():
    with pytest.raises(VisualMicError, match="must be less than the guard"):
        SplitSettings(guard_s=0.1, max_lag_s=0.1)


def test_one_recording_cannot_be_left_out():
    assert fold_names(SETTINGS, ["card"]) == ["later", "fold-1", "fold-2", "fold-3"]
