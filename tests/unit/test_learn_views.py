"""A network is shown motions far below a grey level, and nothing of the test part."""

import numpy as np
import pytest
from learning import FPS, footage, moved_card, store
from visualmic.learn.preparation import prepare
from visualmic.learn.settings import InputSettings, SplitSettings, model_settings
from visualmic.learn.splits import Film, indices, make_split
from visualmic.learn.views import View, area_weights, find_object, make_view, read_runs, survey

WHOLE = InputSettings(crop="frame")
SPLITS = SplitSettings(guard_s=0.1, max_lag_s=0.02)


def planes_of(view, film, ranges=None):
    ranges = ranges or [(0, film.frame_count)]
    return np.concatenate([view.current_planes(run) for run in read_runs(film, ranges)])


def test_shrinking_averages_areas_and_keeps_hundredths_of_a_grey_level():
    frames = np.full((2, 96, 96), 100, np.uint8)
    frames[1, ::10, ::10] += 1
    view = View("frames", 32, (0, 0, 96, 96), frames[0].astype(np.float32), np.zeros(3), np.ones(3))
    still, changed = view.current_planes(frames)
    assert still == pytest.approx(100.0)
    assert changed.mean() - still.mean() == pytest.approx(100 / 96**2, rel=1e-3)
    assert area_weights(96, 32).sum(axis=0) == pytest.approx(1 / 3, rel=1e-5)


def test_the_difference_holds_a_motion_that_frames_drown(tmp_path):
    frames, sound = moved_card(400, amplitude_px=0.02, noise=1.0, size=64)
    film = store(tmp_path / "card.h5", frames)
    training = [(0, 300)]
    explained = {}
    for kind in ("frames", "difference"):
        view = make_view(film, kind, 16, training, sound, WHOLE)
        planes = planes_of(view, film).reshape(400, 3, -1)
        # What the mean of the plane along x says of the sound, and how large it is.
        signal = planes[:, 1].mean(axis=1)
        slope = np.polyfit(sound[300:], signal[300:], 1)[0]
        explained[kind] = abs(np.corrcoef(signal[300:], sound[300:])[0, 1])
        if kind == "difference":
            assert abs(slope) > 0.3
    assert explained["difference"] > 0.95
    assert explained["frames"] < 0.6


def test_planes_of_the_training_part_have_mean_nought_and_spread_one(tmp_path):
    frames, sound = moved_card(300)
    film = store(tmp_path / "card.h5", frames)
    for kind in ("frames", "difference"):
        view = make_view(film, kind, 16, [(0, 200)], sound, WHOLE)
        planes = planes_of(view, film, [(0, 200)])
        assert planes.mean(axis=(0, 2, 3)) == pytest.approx(np.zeros(3), abs=1e-3)
        assert planes.std(axis=(0, 2, 3)) == pytest.approx(np.ones(3), rel=1e-3)
        assert planes.dtype == np.float32
        assert view.reference_planes().shape == (3, 16, 16)


def test_a_flickering_lamp_does_not_show(tmp_path):
    frames, sound = moved_card(300, noise=0.0, amplitude_px=0.0)
    light = 1 + 0.1 * np.sin(np.arange(300))
    film = store(tmp_path / "card.h5", np.round(frames * light[:, None, None]).astype(np.uint8))
    view = make_view(film, "difference", 8, [(0, 300)], sound, WHOLE)
    unscaled = planes_of(view, film) / view.gain[:, None, None]
    # Without the cure the planes would follow the lamp by ten grey levels.
    assert np.abs(unscaled[:, 0]).max() < 1.0


@pytest.mark.parametrize("reference", ["mean", "first"])
@pytest.mark.parametrize("model", ["siamese", "siamese-frames"])
@pytest.mark.parametrize("fold", ["later", "fold-1", "fold-2"])
def test_nothing_of_the_test_part_is_known_in_training(tmp_path, model, fold, reference):
    films = {"card": Film(1400, FPS)}
    split = make_split(films, fold, SPLITS)
    settings = model_settings(model, {"size_px": 16}, {"reference": reference})
    known = footage(tmp_path, 1400, name="card")
    frames = np.concatenate(list(read_runs(known.film, [(0, 1400)])))
    hidden = np.ones(1400, bool)
    parts = split.recordings["card"]
    gap = 84 + 10
    for begin, end in (*parts.train, *parts.validation):
        hidden[max(begin - gap, 0) : end + gap] = False
    assert hidden[indices(parts.test)].all()
    random = np.random.default_rng(9)
    frames[hidden] = random.integers(0, 255, frames[hidden].shape)
    lies = type(known)(
        "card",
        store(tmp_path / "other.h5", frames),
        np.where(hidden, random.uniform(-1, 1, 1400), known.heard),
        np.where(hidden, random.uniform(-1, 1, 1400), known.amplitudes),
    )
    mine, its = (prepare(settings, split, [one], SPLITS.max_lag_s) for one in (known, lies))
    for part in ("train", "validation"):
        pairs, labels = everything(getattr(mine, part))
        their_pairs, their_labels = everything(getattr(its, part))
        assert np.array_equal(pairs, their_pairs)
        assert np.array_equal(labels, their_labels)
    assert mine.normalisation == its.normalisation
    assert np.array_equal(mine.views["card"].reference, its.views["card"].reference)


def everything(pairs):
    found, labels = pairs.__getitems__(list(range(len(pairs))))
    return found.numpy(), labels.numpy()


def test_the_crop_is_where_the_motion_is(tmp_path):
    small, sound = moved_card(600, noise=1.0, size=40, amplitude_px=0.2)
    random = np.random.default_rng(5)
    still = random.integers(60, 200, (120, 160))
    frames = np.clip(still + random.standard_normal((600, 120, 160)), 0, 255).astype(np.uint8)
    frames[:, 56:96, 104:144] = small
    film = store(tmp_path / "card.h5", frames)
    view = make_view(film, "difference", 16, [(0, 600)], sound, InputSettings(crop_share=0.8))
    x, y, width, height = view.crop
    assert 90 <= x <= 112
    assert 44 <= y <= 64
    assert 130 <= x + width <= 160
    assert 84 <= y + height <= 110


def test_where_nothing_is_heard_all_of_the_frame_is_shown(tmp_path):
    frames, _ = moved_card(300)
    film = store(tmp_path / "card.h5", frames)
    frame = frames.mean(axis=0, dtype=np.float32)
    assert find_object(film, [(0, 300)], frame, np.zeros(300), 0.9) == (0, 0, 32, 32)


def test_a_survey_is_bounded_and_stays_within_its_ranges():
    ranges = [(0, 50_000), (60_000, 61_000), (70_000, 70_050)]
    runs = survey(ranges)
    assert sum(end - begin for begin, end in runs) <= 2048 + 4 * 128
    for begin, end in runs:
        assert any(first <= begin < end <= last for first, last in ranges)
