"""The local signal-to-noise ratio that repeating spectra show."""

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray
from visualmic.evaluate.waveform import si_sdr
from visualmic.motion.beam import Beam, least_ratio, local_gain
from visualmic.motion.nmf import factorised_snr
from visualmic.motion.spectra import ShortTimeFourier, neighbours_mean
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import make_sound

FPS = 2200.0


def spectra_of(signal: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Spectra (windows, F) of a signal (T,)."""
    stft = ShortTimeFourier(512, 4, "hann")
    rows = signal.astype(np.float32)[:, None]
    pieces = stft.pieces(lambda start, stop: rows[start:stop], len(rows))
    return np.concatenate([piece[:, :, 0] for piece in pieces])


@pytest.mark.parametrize("what", ["speech", "tune"])
@pytest.mark.parametrize(("seconds", "seed"), [(3, 0), (3, 1), (20, 2)])
def test_a_sound_is_told_from_noise_better_than_by_neighbours_alone(
    what: str, seconds: int, seed: int
) -> None:
    made = make_sound(SimulationSettings(sound=what, seconds=seconds, seed=seed))
    sound = scipy.signal.resample(made.samples, round(seconds * FPS)).astype(np.float64)
    sound *= 3 / sound.std()
    heard = spectra_of(sound + np.random.default_rng(seed).standard_normal(len(sound)))
    power, ones = np.abs(heard) ** 2, np.ones(heard.shape[1])
    beam = Beam(heard, ones.astype(complex), power.mean(axis=0), ones, np.ones(1), 0.0, None)
    gain, _ = local_gain(beam)
    near, around = (np.maximum(neighbours_mean(power, one) - 1, 0) for one in ((1, 3), (5, 3)))
    by_neighbours = np.sqrt(near * around)
    by_neighbours = (by_neighbours / (1 + by_neighbours)) ** 2 * (gain > 0)
    with_it, without = (
        ShortTimeFourier(512, 4, "hann").inverse(one * heard, len(sound))
        for one in (gain, by_neighbours)
    )
    assert si_sdr(sound, with_it) > si_sdr(sound, without) + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_only_what_is_loud_is_heard_where_little_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise, sound = (
        (rng.standard_normal((200, 65)) + 1j * rng.standard_normal((200, 65))) / np.sqrt(2)
        for _ in range(2)
    )
    often, once = (np.zeros(noise.shape, bool) for _ in range(2))
    often[50:100, 20:30] = True
    once[50:54, 45:55] = True
    heard = np.where(often | once, noise + np.sqrt(10) * sound, noise).astype(np.complex64)
    ones = np.ones(65)
    power = (np.abs(heard) ** 2).mean(axis=0)
    gain, _ = local_gain(Beam(heard, ones.astype(complex), power, ones, ones[:1], 0.0, None))
    assert gain[often].mean() > 0.7
    assert gain[once].mean() > 0.5
    silent = np.ones(65, bool)
    silent[18:32] = silent[43:57] = False
    assert (gain[:, silent] > 0).mean() < 0.001


def test_a_frequency_that_stands_out_keeps_what_is_faint() -> None:
    by_chance = 1 / np.sqrt(0.45 * 100)
    told = [
        least_ratio(np.full(9, snr), 100)[4] for snr in by_chance * np.array([0, 0.5, 1, 4, 99])
    ]
    assert told == pytest.approx([5, 4, 2, 0.5, 2 / 99])
    # Longer recordings leave less to chance.
    assert least_ratio(np.full(9, by_chance), 400)[4] == pytest.approx(1)


def test_all_pieces_of_a_long_recording_are_heard_alike() -> None:
    rng = np.random.default_rng(0)
    power = np.abs(spectra_of(3 * rng.standard_normal(round(30 * FPS)))) ** 2
    found = factorised_snr(power, power.mean(axis=0) - 1)
    loud = np.log(found[4:-4].mean(axis=1))
    # From window to window it changes no more where pieces meet than elsewhere.
    steps = np.abs(np.diff(loud))
    assert steps.max() < 6 * np.median(steps)
    assert loud.std() < 0.25


def test_a_line_is_as_wide_as_the_window_makes_it() -> None:
    power = np.ones((60, 129))
    power[:, 50] = 100
    found = factorised_snr(power, power.mean(axis=0) - 1)
    assert found[:, 50].mean() > 15
    assert found[:, [49, 51]].mean() > 3
    assert found[:, :40].mean() < 0.1


@pytest.mark.parametrize("shape", [(1, 5), (2, 3), (129, 9), (300, 2)])
def test_silence_and_short_recordings_give_finite_ratios(shape: tuple[int, int]) -> None:
    for power in (np.zeros(shape), np.full(shape, 1e12)):
        found = factorised_snr(power, np.zeros(shape[1]))
        assert found.shape == shape
        assert np.isfinite(found).all()
        assert (found >= 0).all()
    assert factorised_snr(np.zeros(shape), np.zeros(shape[1])).max() < 0.2
