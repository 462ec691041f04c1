"""Long windows show noise as it is, the direction of motion without mixing, and how sure of it."""

import numpy as np
import pytest
from modes import DAMPING, RESONANCES, SHAPES
from visualmic.motion import long_windows
from visualmic.motion.long_windows import see_in_long_windows
from visualmic.motion.modal_likelihood import BINS_A_LOOK

FPS = 2200.0
FREQUENCY = np.linspace(0, FPS / 2, 257)


@pytest.mark.parametrize("seconds", [2.0, 15.9, 17.0, 40.0])
def test_noise_is_of_unit_power_in_all_directions(seconds):
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((round(seconds * FPS), 3))
    seen = see_in_long_windows(signals, FPS, FREQUENCY, np.ones(257))
    assert np.all(np.diff(seen.frequency_hz) > 0)
    assert seen.frequency_hz[-1] > 0.98 * FREQUENCY[-1]
    mean = np.average(seen.covariance, axis=0, weights=seen.looks)
    np.testing.assert_allclose(mean, np.eye(3), atol=0.08)
    # What the noise is said to be, it is divided by.
    level = 1 + FREQUENCY / FREQUENCY[-1]
    louder = see_in_long_windows(signals, FPS, FREQUENCY, level)
    halved = louder.covariance[-1] / seen.covariance[-1]
    np.testing.assert_allclose(halved, 0.5, rtol=0.02)


@pytest.mark.parametrize("seconds", [3.0, 16.5, 40.0])
def test_as_many_looks_are_told_as_there_are(seconds):
    rng = np.random.default_rng(1)
    signals = rng.standard_normal((round(seconds * FPS), 6))
    seen = see_in_long_windows(signals, FPS, FREQUENCY, np.ones(257))
    independent = seen.looks / BINS_A_LOOK
    powers = np.diagonal(seen.covariance, axis1=1, axis2=2).real
    scatter = independent * ((powers - 1) ** 2).mean(axis=1)
    # Neighbours share a little of what they see, where they are one bin each.
    assert scatter[independent > 3].mean() == pytest.approx(1, rel=0.1)
    assert scatter.mean() == pytest.approx(1, rel=0.15)
    # Next to all of the recording counts.
    assert independent.sum() > 0.88 * len(signals) / 2


def test_the_direction_hardly_mixes(monkeypatch):
    rng = np.random.default_rng(2)
    total = 6600

    def pattern_at(frequency):
        ratio = frequency[:, None] / RESONANCES
        return (1 / (1 - ratio**2 + 2j * DAMPING * ratio)) @ SHAPES.T

    # What sounded before and after is not seen.
    long = np.fft.rfftfreq(3 * total, 1 / FPS)
    sound = np.fft.rfft(rng.standard_normal(3 * total))
    heard = np.fft.irfft(sound[:, None] * pattern_at(long), 3 * total, axis=0)[total:-total]

    def left():
        seen = see_in_long_windows(heard, FPS, FREQUENCY, np.ones(257))
        pattern = pattern_at(seen.frequency_hz)
        pattern /= np.linalg.norm(pattern, axis=1)[:, None]
        along = np.einsum("fi,fij,fj->f", pattern.conj(), seen.covariance, pattern).real
        power = np.trace(seen.covariance, axis1=1, axis2=2).real
        band = (seen.frequency_hz > 80) & (seen.frequency_hz < 1000)
        return np.median(1 - along[band] / power[band])

    mixed = left()
    assert mixed < 1e-3
    for name, value in (("_JOINED", 0.03), ("_LONGEST_S", 0.25), ("_MOST_FRAMES", 512)):
        with monkeypatch.context() as patch:
            patch.setattr(long_windows, name, value)
            assert left() > 3 * mixed
