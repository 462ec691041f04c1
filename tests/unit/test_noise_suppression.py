"""Noise is taken from a beam in windows that suit its sound."""

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray
from visualmic.evaluate.waveform import si_sdr
from visualmic.motion.beam import Beam, smooth_snr
from visualmic.motion.noise_suppression import (
    PARTS,
    in_time,
    least_ratio,
    local_snr,
    mix,
    parametric_gain,
    resolve,
    spectra_of,
    suppress_noise,
)
from visualmic.motion.spectra import ShortTimeFourier, neighbours_mean
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import make_sound

FPS = 2200.0
LENGTH = 512
STFT = ShortTimeFourier(LENGTH, 4, "hann")


def gain_of(spectra: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Gain of a beam (windows, F) in windows of one length."""
    power = np.abs(spectra) ** 2
    return parametric_gain(local_snr(power, smooth_snr(power.mean(axis=0), 0.0)))


def clicks(total: int) -> NDArray[np.float64]:
    """A click, of all frequencies, ten times a second."""
    sound = np.zeros(total)
    sound[:: round(FPS / 10)] = 40
    return sound


def tones(total: int) -> NDArray[np.float64]:
    """Tones side by side that last."""
    time_s = np.arange(total) / FPS
    return sum(0.3 * np.sin(2 * np.pi * (100 + 25 * i) * time_s + i * i) for i in range(40))


def each_and_mixed(sound: NDArray[np.float64]) -> tuple[list[float], float]:
    """SI-SDR of a sound in noise, by windows of each length, and mixed."""
    heard = sound + np.random.default_rng(0).standard_normal(len(sound))
    resolved = [resolve(heard, LENGTH, 0.0, parts) for parts in PARTS]
    each = [si_sdr(sound, one.sound(len(sound))) for one in resolved]
    return each, si_sdr(sound, mix(resolved, LENGTH, len(sound)))


def test_what_begins_at_once_is_heard_in_short_windows_and_tones_in_long_ones() -> None:
    total = round(6 * FPS)
    (long, short), mixed = each_and_mixed(clicks(total))
    assert short > long + 1
    assert mixed == pytest.approx(short, abs=0.05)
    (long, short), mixed = each_and_mixed(tones(total))
    assert long > short + 1
    assert mixed == pytest.approx(long, abs=0.05)


def test_windows_change_with_the_sound() -> None:
    half = round(15 * FPS)
    each, mixed = each_and_mixed(np.r_[clicks(half), tones(half), clicks(half)])
    assert mixed > max(each) + 0.2


def test_a_beam_in_time_has_white_noise_of_variance_one_and_comes_back() -> None:
    noise = np.random.default_rng(1).standard_normal(20 * LENGTH)
    spectra, ones = spectra_of(STFT, noise), np.ones(LENGTH // 2 + 1)
    beam = Beam(spectra, ones.astype(complex), ones, ones, ones[:1], 0.0, None)
    signal = in_time(beam)
    np.testing.assert_allclose(signal[: len(noise)], noise, atol=1e-4)
    for parts in PARTS:
        inside = resolve(signal, LENGTH, 0.0, parts).spectra[4:-4]
        assert (np.abs(inside) ** 2).mean() == pytest.approx(1, abs=0.05)


def test_the_phases_of_the_beam_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    total = 20 * LENGTH
    spectra = spectra_of(STFT, clicks(total) + rng.standard_normal(total))
    ones = np.ones(LENGTH // 2 + 1)
    power = (np.abs(spectra) ** 2).mean(axis=0)
    # Each frequency has a phase of its own, which the gain takes back.
    turns = np.exp(2j * np.pi * rng.uniform(size=len(ones)))
    turns[[0, -1]] = 1
    straight = Beam(spectra, ones.astype(complex), power, ones, ones[:1], 0.0, None)
    turned = Beam(
        (spectra * turns).astype(np.complex64), turns.conj(), power, ones, ones[:1], 0, None
    )
    expected = suppress_noise(straight)
    left = suppress_noise(turned) * turned.gain
    np.testing.assert_allclose(left, expected, atol=1e-3 * np.abs(expected).max())


def test_noise_alone_stays_all_but_silent() -> None:
    noise = np.random.default_rng(2).standard_normal(20 * LENGTH)
    spectra, ones = spectra_of(STFT, noise), np.ones(LENGTH // 2 + 1)
    beam = Beam(spectra, ones.astype(complex), ones, ones, ones[:1], 0.0, None)
    left = suppress_noise(beam)
    assert left.shape == spectra.shape
    assert (np.abs(left) ** 2).mean() < 0.02


@pytest.mark.parametrize("length", [8, 16])
def test_the_shortest_recordings_are_heard_too(length: int) -> None:
    stft = ShortTimeFourier(length, 4, "hann")
    spectra = spectra_of(stft, 30 * np.random.default_rng(3).standard_normal(2 * length))
    ones = np.ones(length // 2 + 1)
    power = (np.abs(spectra) ** 2).mean(axis=0)
    left = suppress_noise(Beam(spectra, ones.astype(complex), power, ones, ones[:1], 0.0, None))
    assert np.isfinite(left).all()
    assert left.shape == spectra.shape


@pytest.mark.parametrize("what", ["speech", "tune"])
@pytest.mark.parametrize(("seconds", "seed"), [(3, 0), (3, 1), (20, 2)])
def test_a_sound_is_told_from_noise_better_than_by_neighbours_alone(
    what: str, seconds: int, seed: int
) -> None:
    made = make_sound(SimulationSettings(sound=what, seconds=seconds, seed=seed))
    sound = scipy.signal.resample(made.samples, round(seconds * FPS)).astype(np.float64)
    sound *= 3 / sound.std()
    heard = spectra_of(STFT, sound + np.random.default_rng(seed).standard_normal(len(sound)))
    power, gain = np.abs(heard) ** 2, gain_of(heard)
    near, around = (np.maximum(neighbours_mean(power, one) - 1, 0) for one in ((1, 3), (5, 3)))
    by_neighbours = np.sqrt(near * around)
    by_neighbours = (by_neighbours / (1 + by_neighbours)) ** 2 * (gain > 0)
    with_it, without = (STFT.inverse(one * heard, len(sound)) for one in (gain, by_neighbours))
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
    gain = gain_of(heard)
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


def test_what_noise_alone_may_show_is_silent_but_for_what_begins_at_once() -> None:
    rng = np.random.default_rng(0)
    windows, bins = 200, 129
    spectra = rng.standard_normal((windows, bins)) + 1j * rng.standard_normal((windows, bins))
    spectra /= np.sqrt(2)
    spectra[:, 40:60] *= 10
    spectra[90, 100:103] = 10

    gain = gain_of(spectra)
    silent = np.r_[3:35, 65:95, 106:126]
    assert (gain[:, silent] > 0).mean() < 0.05
    assert gain[:, 42:58].mean() > 0.9
    assert gain[90, 101] > 0.7
    assert gain[80:88, 101].mean() < 0.05
