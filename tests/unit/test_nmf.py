"""The local signal-to-noise ratio that repeating spectra show."""

import numpy as np
import pytest
from visualmic.motion.nmf import factorised_snr
from visualmic.motion.noise_suppression import spectra_of
from visualmic.motion.spectra import ShortTimeFourier

FPS = 2200.0
STFT = ShortTimeFourier(512, 4, "hann")


def test_all_pieces_of_a_long_recording_are_heard_alike() -> None:
    rng = np.random.default_rng(0)
    power = np.abs(spectra_of(STFT, 3 * rng.standard_normal(round(30 * FPS)))) ** 2
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
