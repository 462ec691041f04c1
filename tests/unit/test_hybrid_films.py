"""Beams of rendered films, and what the hybrid makes of films whose modes the motion hides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from visualmic.evaluate.alignment import align
from visualmic.evaluate.waveform import si_sdr
from visualmic.hybrid import films
from visualmic.hybrid.examples import BeamMaker, Example, Sounds, draw_spectra
from visualmic.hybrid.films import draw_film, film_example, read_films, store_films
from visualmic.hybrid.network import Response
from visualmic.hybrid.response import clearness_db, minimum_phase, undo_response
from visualmic.hybrid.training import RESPONSE_PART, export_hybrid
from visualmic.motion.beam import Beam
from visualmic.motion.spectra import ShortTimeFourier
from visualmic.progress import Progress
from visualmic.simulate.objects import Modes

NO_SOUNDS = Sounds([], [])
# A card, at 960 frames a second, coded well.
CLEAR = 19


@pytest.fixture(scope="module")
def clear() -> Example:
    example = film_example(NO_SOUNDS, CLEAR)
    assert example is not None
    return example


def test_a_film_gives_its_beam_and_what_is_in_it_of_the_sound(clear: Example) -> None:
    settings = draw_film(CLEAR)
    assert (settings.object, settings.codec) == ("rigid", "h264")
    assert clear.kind == "rigid"
    assert clear.beam.shape == clear.heard.shape == (len(clear.beam), len(clear.frequency_hz))
    assert clear.frequency_hz[-1] == settings.fps / 2
    caught = clear.heard
    power, left = ((np.abs(one) ** 2).mean(axis=0) for one in (caught, clear.beam - caught))
    known = power > 10 * left
    assert known.sum() > 20
    assert power[known].mean() > 30 * left[known].mean()
    # A card follows the sound as it is.
    assert np.log(clear.power[known]).std() < 0.4


def test_films_are_stored_once_and_those_that_say_nothing_are_left_out(
    clear: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films._store(tmp_path, NO_SOUNDS, CLEAR)
    monkeypatch.setattr(films, "film_example", lambda sounds, seed: None)
    films._store(tmp_path, NO_SOUNDS, 3)
    [again] = read_films([tmp_path / "3.npz", tmp_path / f"{CLEAR}.npz"])
    assert again.kind == clear.kind
    np.testing.assert_array_equal(again.beam, clear.beam)
    np.testing.assert_array_equal(again.power, clear.power)

    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(films, "ProcessPoolExecutor", refuse)
    with Progress("render", 2, "film", quiet=True) as progress:
        store_films(tmp_path, NO_SOUNDS, [3, CLEAR], 2, progress)


def test_films_are_drawn_between_simulated_beams(clear: Example) -> None:
    size = len(clear.frequency_hz)
    drawn = (draw_spectra(NO_SOUNDS, seed) for seed in range(60))
    stored = [one for one in drawn if one is not None and len(one[1]) == size]
    maker = BeamMaker(stored, [clear])
    rng = np.random.default_rng(0)
    examples = [maker.draw(size, rng) for _ in range(60)]
    parts = [one for one in examples if one.frequency_hz is clear.frequency_hz]
    assert 10 < len(parts) < 32
    for part in parts:
        assert len(part.heard) == len(part.beam) >= 20
        assert any(
            np.array_equal(part.beam, clear.beam[first : first + len(part.beam)])
            for first in range(len(clear.beam) - len(part.beam) + 1)
        )


def resonant(seed: int = 0, damping: float = 0.08) -> tuple[Beam, np.ndarray, np.ndarray]:
    """Give a beam of a voice through one resonance, its frequencies, and the voice alone."""
    drawn = [draw_spectra(NO_SOUNDS, number) for number in range(seed, seed + 60)]
    spectra, frequency = next(one for one in drawn if one is not None and one[1][-1] == 1100)
    modes = Modes(
        np.array([300.0]), np.array([damping]), np.ones(1), np.zeros((1, 2, 1, 1), np.float32)
    )
    response = modes.response(frequency.astype(np.float64))[0]
    rng = np.random.default_rng(seed)
    stft = ShortTimeFourier(2 * (len(frequency) - 1), 4, "hann")
    rows = rng.standard_normal((stft.hop * (len(spectra) + 3), 1)).astype(np.float32)
    noise = np.concatenate(list(stft.pieces(lambda a, b: rows[a:b], len(rows))))[: len(spectra)]
    heard = spectra * response
    heard *= 20 / np.sqrt((np.abs(heard) ** 2).mean())
    mean = (np.abs(heard + noise[:, :, 0]) ** 2).mean(axis=0)
    one = np.ones(len(frequency))
    beam = Beam(
        (heard + noise[:, :, 0]).astype(np.complex64), one + 0j, mean, one, one[:1], 0.0, None
    )
    return beam, frequency, spectra


def test_the_least_phase_is_that_of_a_resonance() -> None:
    frequency = np.linspace(0, 1000, 513)
    modes = Modes(
        np.array([220.0]), np.array([0.1]), np.ones(1), np.zeros((1, 2, 1, 1), np.float32)
    )
    response = modes.response(frequency)[0]
    least = minimum_phase(np.log(np.abs(response)))
    np.testing.assert_allclose(np.abs(least), np.abs(response), rtol=1e-6)
    turned = np.unwrap(np.angle(least / response))
    # But for a delay of less than a sample: samples cannot turn about at half their rate.
    inside = frequency < 800
    delay = (frequency * turned)[inside].sum() / (frequency**2)[inside].sum()
    assert 0 <= delay * 2000 / (2 * np.pi) < 1
    assert np.abs(turned - delay * frequency)[inside].max() < 0.15


def test_a_resonance_that_the_motion_hides_is_undone() -> None:
    gained = []
    for seed in (0, 100, 200, 300):
        beam, frequency, spectra = resonant(seed)
        undone = undo_response(beam, frequency)
        stft = ShortTimeFourier(2 * (len(frequency) - 1), 4, "hann")
        total = len(spectra) * stft.hop - stft.length + stft.hop
        voice = stft.inverse(spectra, total)
        scores = []
        for one in (beam, undone):
            sound = stft.inverse((one.spectra * one.gain).astype(np.complex64), total)
            both = align(sound, 2200.0, voice, 2200.0)
            scores.append(si_sdr(both.reference, both.recovered))
        gained.append(scores[1] - scores[0])
        # As loud as before.
        power = [float((one.power * np.abs(one.gain) ** 2).sum()) for one in (beam, undone)]
        assert power[1] == pytest.approx(power[0], rel=0.2)
    assert np.mean(gained) > 3
    assert min(gained) > 2


def test_a_response_that_a_codec_hides_is_not_undone() -> None:
    beam, frequency, _ = resonant()
    clear, hidden = (
        replace(beam, lossy=True, power=1 + share * (beam.power - 1)) for share in (1, 0.005)
    )
    assert undo_response(clear, frequency) is not clear
    assert undo_response(hidden, frequency) is hidden


def test_what_moves_as_a_whole_has_no_resonance_to_undo() -> None:
    beam, frequency, _ = resonant()
    rigid = replace(beam, whole=0.99)
    assert undo_response(rigid, frequency) is rigid


def test_an_untrained_network_is_sure_of_nothing_to_undo(tmp_path: Path) -> None:
    export_hybrid({RESPONSE_PART: Response()}, tmp_path)
    beam, frequency, _ = resonant()
    undone = undo_response(beam, frequency, tmp_path)
    np.testing.assert_allclose(undone.gain, beam.gain, rtol=1e-6)


def test_the_clearness_behind_a_response_is_that_of_the_sound() -> None:
    rng = np.random.default_rng(0)
    total = 1 << 16
    frequency = np.fft.rfftfreq(total)
    sound = np.fft.rfft(rng.standard_normal(total)) * np.exp(-6 * frequency)
    response = 1 + 0.4 * np.exp(-((frequency - 0.1) ** 2) / 0.002) * np.exp(1j * frequency)
    delayed = response * np.exp(-2j * np.pi * frequency)
    predicted = clearness_db(delayed, np.abs(sound) ** 2)
    heard = np.fft.irfft(sound * response)
    assert predicted == pytest.approx(si_sdr(np.fft.irfft(sound), heard), abs=0.1)
    assert clearness_db(np.ones(total // 2 + 1, complex), np.abs(sound) ** 2) > 90


def test_what_promises_too_little_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beam, frequency, _ = resonant()
    assert undo_response(beam, frequency) is not beam
    monkeypatch.setattr("visualmic.hybrid.response._LEAST_GAINED_DB", 40.0)
    assert undo_response(beam, frequency) is beam
