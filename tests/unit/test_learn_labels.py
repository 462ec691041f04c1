"""Labels are the sound that was played, at the lag and with the sign of the film."""

import numpy as np
import pytest
from visualmic.audio.reference import sampled_rows, write_table
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.learn.labels import align_labels, even_at, read_samples

FPS, FRAMES = 1000.0, 4000
TRAINING = ((0, 2000),)


def smooth_sound(length, seed=0):
    """Band-limited noise as a function of time in samples, exact between them too."""
    random = np.random.default_rng(seed)
    frequency = random.uniform(0.03, 0.3, 60)
    phase = random.uniform(0, 2 * np.pi, 60)
    return lambda at: np.sin(2 * np.pi * frequency * np.asarray(at)[:, None] + phase).sum(1) / 20


@pytest.mark.parametrize("lag_frames", [0.0, 7.0, -12.0, 3.4])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_lag_and_sign_are_found_and_undone(lag_frames, sign):
    sound = smooth_sound(FRAMES)
    time = np.arange(FRAMES)
    played = sound(time)
    noise = np.random.default_rng(1).standard_normal(FRAMES)
    heard = 0.01 * sign * (sound(time - lag_frames) + 0.3 * noise)
    labels = align_labels(played, time / FPS, FPS, heard, TRAINING, 0.05)
    assert labels.polarity == sign
    assert labels.lag_s * FPS == pytest.approx(lag_frames, abs=0.05)
    inside = slice(60, -60)
    truth = sign * sound(time - lag_frames)
    assert np.sqrt(np.mean((labels.samples - truth)[inside] ** 2)) < 0.05 * truth.std()
    assert np.array_equal(np.flatnonzero(labels.known), np.arange(50, FRAMES - 50))


def test_what_was_played_in_the_test_part_changes_no_label_of_training():
    sound = smooth_sound(FRAMES)(np.arange(FRAMES))
    heard = np.roll(sound, 5) + 0.1 * np.random.default_rng(2).standard_normal(FRAMES)
    other = sound.copy()
    other[2400:] = np.random.default_rng(3).uniform(-1, 1, FRAMES - 2400)
    time = np.arange(FRAMES) / FPS
    mine, its = (align_labels(x, time, FPS, heard, TRAINING, 0.05) for x in (sound, other))
    assert (mine.lag_s, mine.polarity) == (its.lag_s, its.polarity)
    assert np.array_equal(mine.samples[:2000], its.samples[:2000])


def test_uneven_frames_get_the_label_of_their_own_time():
    sound = smooth_sound(FRAMES)
    random = np.random.default_rng(4)
    time = np.arange(FRAMES) + random.uniform(-0.3, 0.3, FRAMES)
    time -= time[0]
    heard = sound(np.arange(FRAMES) - 4.0)
    labels = align_labels(sound(time), time / FPS, FPS, heard, TRAINING, 0.05)
    truth = sound(time - 4.0)
    inside = slice(60, -60)
    assert np.corrcoef(labels.samples[inside], truth[inside])[0, 1] > 0.995


def test_a_recovery_that_heard_nothing_is_warned_of():
    time = np.arange(FRAMES)
    sound = smooth_sound(FRAMES)(time)
    with pytest.warns(VisualMicWarning, match="the lag and the sign of the labels are doubtful"):
        labels = align_labels(sound, time / FPS, FPS, np.zeros(FRAMES), TRAINING, 0.05)
    assert (labels.lag_s, labels.polarity) == (0.0, 1)
    assert np.array_equal(labels.samples, sound)


def test_samples_are_read_from_the_table_of_all_recordings(tmp_path):
    rows = [
        *sampled_rows("card", np.arange(3) / 10, np.array([0.5, -1.0, 0.25])),
        *sampled_rows("leaf", np.arange(2) / 10, np.array([1.0, 0.0])),
    ]
    path = tmp_path / "SampledData.csv"
    write_table(path, ("recording", "frame", "time_s", "amplitude"), rows)
    assert read_samples(path, "card").tolist() == [0.5, -1.0, 0.25]
    assert read_samples(path, "leaf").tolist() == [1.0, 0.0]
    with pytest.raises(VisualMicError, match="no rows of foil"):
        read_samples(path, "foil")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(VisualMicError, match="does not begin with recording,frame"):
        read_samples(path, "card")


def test_a_sound_in_even_time_is_read_where_a_frame_was_taken():
    sound = smooth_sound(200)
    even = sound(np.arange(200))
    assert np.array_equal(even_at(even, np.arange(100.0)), even[:100])
    between = np.arange(40, 160) + 0.37
    assert even_at(even, between) == pytest.approx(sound(between), abs=0.02)
