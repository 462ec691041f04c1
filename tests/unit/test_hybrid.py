"""The hybrid starts from the Wiener filter, is the same on ONNX as in PyTorch, has no seams."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import align, resample
from visualmic.evaluate.intelligibility import estoi
from visualmic.evaluate.waveform import si_sdr
from visualmic.hybrid.enhance import clear_beam
from visualmic.hybrid.features import (
    cells_of,
    lateness,
    predicted_sdr_db,
    standing_out,
    statistics,
)
from visualmic.hybrid.losses import (
    intelligibility,
)
from visualmic.hybrid.network import REACH, SQUARE, Mask, Response
from visualmic.hybrid.response import expect_response
from visualmic.hybrid.training import (
    MASK_PART,
    RESPONSE_PART,
    export_hybrid,
)
from visualmic.hybrid.weight_files import FACTS, MASK, RESPONSE, WEIGHTS
from visualmic.motion.beam import Beam
from visualmic.motion.methods import recover
from visualmic.motion.noise_suppression import as_beam, spectra_of, turns
from visualmic.motion.spectra import ShortTimeFourier
from visualmic.motion.wiener import WienerSettings, wiener_gain
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import make_sound

SETTINGS = WienerSettings()


def untrained() -> dict[str, torch.nn.Module]:
    return {RESPONSE_PART: Response(), MASK_PART: Mask()}


def rigid(beam: Beam) -> Beam:
    """Make a beam that of a rigid object, whose response is left as it is."""
    return replace(beam, whole=1.0)


def beam_of(windows: int, bins: int, loudness: float = 40) -> Beam:
    """Build a beam that hears a line that comes and goes."""
    rng = np.random.default_rng(0)
    power = 1 + loudness / (1 + ((np.arange(bins) - bins / 4) / 6) ** 2)
    on = (np.arange(windows) // 20 % 2)[:, None]
    size = np.sqrt((1 + (power - 1) * on) / 2)
    spectra = size * (
        rng.standard_normal((windows, bins)) + 1j * rng.standard_normal((windows, bins))
    )
    gain = 1 / (1 + np.arange(bins) / bins + 0.5j)
    level = np.full(bins, 1.3)
    mean = (np.abs(spectra) ** 2).mean(axis=0)
    return rigid(Beam(spectra.astype(np.complex64), gain, mean, level, np.ones(2), 0.05, None))


@pytest.fixture(scope="module")
def random_network(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, torch.nn.Module], Path]:
    torch.manual_seed(3)
    networks = untrained()
    for network in networks.values():
        torch.nn.init.normal_(network.leave.weight, std=0.3)
    folder = tmp_path_factory.mktemp("random")
    export_hybrid(networks, folder)
    return networks, folder


def test_an_untrained_network_is_the_wiener_filter(tmp_path: Path) -> None:
    export_hybrid(untrained(), tmp_path)
    beam, frequency = beam_of(90, 129), np.arange(129) * 4.3
    heard, snr = clear_beam(beam, SETTINGS, frequency, tmp_path)
    plain, plain_snr = wiener_gain(beam, SETTINGS, frequency)
    np.testing.assert_array_equal(snr, plain_snr)
    np.testing.assert_allclose(heard, plain, atol=1e-5 * np.abs(beam.spectra).max())


def test_one_gain_for_each_frequency_is_left_as_it_is(random_network) -> None:
    _, folder = random_network
    beam, frequency = beam_of(50, 65), np.arange(65) * 4.3
    steady = WienerSettings(suppress_noise=False)
    heard, _ = clear_beam(beam, steady, frequency, folder)
    np.testing.assert_allclose(heard, wiener_gain(beam, steady, frequency)[0])


def test_what_is_clear_is_left_to_the_wiener_filter(random_network) -> None:
    _, folder = random_network
    frequency = np.arange(129) * 4.3
    clear, noisy = (beam_of(90, 129, loudness) for loudness in (20000, 10))
    for beam, same in ((clear, True), (noisy, False)):
        heard, snr = clear_beam(beam, SETTINGS, frequency, folder)
        plain, _ = wiener_gain(beam, SETTINGS, frequency)
        assert (predicted_sdr_db(snr, np.abs(beam.gain) ** 2 * beam.level) > 20) == same
        assert np.array_equal(heard, plain) == same
    # Where a codec lost something, what is predicted says little.
    heard, _ = clear_beam(replace(clear, lossy=True), SETTINGS, frequency, folder)
    assert not np.array_equal(heard, wiener_gain(clear, SETTINGS, frequency)[0])


def test_the_predicted_distortion_is_that_of_a_wiener_filter() -> None:
    rng = np.random.default_rng(4)
    snr, noise = np.array([0.5, 4, 30]), np.array([3.0, 1, 0.1])
    sound, noisy = (rng.standard_normal((20_000, 3)) * np.sqrt(one * noise) for one in (snr, 1))
    left = sound - (sound + noisy) * snr / (1 + snr)
    measured = 10 * np.log10((sound**2).sum() / (left**2).sum())
    assert predicted_sdr_db(snr, noise) == pytest.approx(measured, abs=0.1)


def test_an_untrained_network_expects_a_flat_response(tmp_path: Path) -> None:
    export_hybrid(untrained(), tmp_path)
    beam, frequency = beam_of(90, 129), np.arange(129) * 4.3
    expected = expect_response(beam, frequency, tmp_path)
    np.testing.assert_allclose(expected.log_power, -np.log(beam.level), atol=1e-6)
    # What is heard well counts most.
    assert expected.weight.argmax() == pytest.approx(129 / 4, abs=4)


@pytest.mark.parametrize(("windows", "bins"), [(30, 33), (70, 257), (40, 513)])
def test_onnx_gives_the_numbers_of_pytorch(windows: int, bins: int, random_network) -> None:
    networks, folder = random_network
    beam, frequency = beam_of(windows, bins), np.arange(bins) * 4.3
    told, _ = statistics(beam.spectra * turns(beam), frequency, beam.bias, beam.level)
    cells = cells_of(beam, frequency)
    with torch.no_grad():
        log_power = networks[RESPONSE_PART](torch.from_numpy(told[None]))[0][0].numpy()
        shift = networks[MASK_PART](torch.from_numpy(cells.planes)).numpy()
    expected = expect_response(beam, frequency, folder)
    np.testing.assert_allclose(expected.log_power + np.log(beam.level), log_power, atol=2e-4)
    gain = [1 / (1 + np.exp(-cells.logit - one)) for one in (0, shift)]
    changed = cells.plain + (gain[1] - gain[0]) * cells.spectra
    sound = as_beam(beam, cells.stft.inverse(changed.astype(np.complex64), cells.total))
    heard, _ = clear_beam(beam, SETTINGS, frequency, folder)
    wanted = sound * beam.gain * np.sqrt(beam.level) * (frequency >= 10)
    np.testing.assert_allclose(heard, wanted, rtol=1e-3, atol=1e-4 * np.abs(heard).max())


def test_a_long_recording_is_heard_in_pieces_without_seams(
    random_network, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = random_network
    beam, frequency = beam_of(700, 65), np.arange(65) * 4.3
    pieces, _ = clear_beam(beam, SETTINGS, frequency, folder)
    monkeypatch.setattr("visualmic.hybrid.enhance._PIECE", 10_000)
    whole, _ = clear_beam(beam, SETTINGS, frequency, folder)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    assert not np.array_equal(whole, wiener_gain(beam, SETTINGS, frequency)[0])


def test_pieces_overlap_by_all_that_a_cell_sees() -> None:
    from visualmic.hybrid import enhance

    assert enhance._BESIDE >= REACH
    # A piece that began elsewhere would be seen in other squares.
    assert enhance._BESIDE % SQUARE == enhance._PIECE % SQUARE == 0


def beam_cut_off(windows: int, bins: int, cut: int, loudness: float, seed: int = 0) -> Beam:
    """Build a beam that hears something in half of the windows, below a frequency alone."""
    rng = np.random.default_rng(seed)
    on = (np.arange(windows) // 20 % 2)[:, None] * (np.arange(bins) < cut)
    spectra = np.sqrt((1 + loudness * on) / 2) * (
        rng.standard_normal((windows, bins)) + 1j * rng.standard_normal((windows, bins))
    )
    mean = (np.abs(spectra) ** 2).mean(axis=0)
    one = np.ones(bins)
    return rigid(Beam(spectra.astype(np.complex64), one + 0j, mean, one, np.ones(1), 0.0, None))


def test_what_rings_comes_later_than_the_rest() -> None:
    fps, length = 1000.0, 256
    rng = np.random.default_rng(4)
    total = 60 * length
    loud = np.interp(np.arange(total), np.arange(0, total, 40), rng.exponential(size=total // 40))
    sound = (loud**2 * rng.standard_normal(total))[:, None].astype(np.float32)
    stft = ShortTimeFourier(length, 4, "hann")
    spectra = np.concatenate(
        [
            piece[:, :, 0]
            for piece in stft.pieces(lambda start, stop: sound[start:stop], total, whole=True)
        ]
    )
    frequency = np.fft.rfftfreq(length, 1 / fps)
    resonance, damping = 200.0, 0.05
    ratio = frequency / resonance
    response = 1 / (1 - ratio**2 + 2j * damping * ratio)
    everywhere = np.ones(len(frequency))
    delays = []
    for behind in (np.ones(len(frequency)), response):
        real, imaginary = lateness(spectra * behind, everywhere)[:2]
        near = np.abs(frequency - resonance) < 8
        phase = np.angle((real + 1j * imaginary)[near].mean())
        delays.append(-phase / (2 * np.pi * frequency[1]))
    # At its resonance what passes is later by the inverse of the decay.
    wanted = 1 / (2 * np.pi * resonance * damping)
    assert abs(delays[0]) < 0.1 * wanted
    assert delays[1] == pytest.approx(wanted, rel=0.35)


def test_what_is_as_loud_all_the_time_has_no_lateness() -> None:
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((400, 65)) + 1j * rng.standard_normal((400, 65))
    for one in lateness(noise, np.ones(65)):
        assert np.abs(one).max() < 0.25


def test_faint_sound_stands_out_and_noise_does_not() -> None:
    beams = [beam_cut_off(80, 257, 150, 1.0, seed) for seed in range(10)]
    stands = np.array([standing_out(beam) for beam in beams])
    # Half of the windows at the power of the noise: half of that in the mean of 36 looks, of which
    # thirteen neighbours count as nine.
    assert stands[:, 20:130].mean() == pytest.approx(0.5 * np.sqrt(36 * 13 / 1.5), rel=0.1)
    assert stands[:, 170:].mean() < 1
    assert np.all(stands[:, 157:] < stands[:, :143].min())


def test_the_shipped_mask_opens_nothing_where_a_sound_is_cut_off() -> None:
    for loudness in (10.0, 30.0):
        beam, frequency = beam_cut_off(120, 257, 200, loudness), np.arange(257) * 4.3
        plain, _ = wiener_gain(beam, SETTINGS, frequency)
        heard, _ = clear_beam(beam, SETTINGS, frequency)
        power = (np.abs(heard) ** 2).mean(axis=0)
        beyond = power[215:].mean() / power[:190].mean()
        # Of noise that is a tenth of the sound or more.
        assert beyond < 5e-4
        assert (np.abs(heard - plain) ** 2).mean() > 1e-4 * power.mean()


def test_the_scale_of_the_beam_does_not_matter(random_network) -> None:
    _, folder = random_network
    beam, frequency = beam_of(50, 65), np.arange(65) * 4.3
    heard, _ = clear_beam(beam, SETTINGS, frequency, folder)
    louder = replace(beam, gain=beam.gain * 1000)
    np.testing.assert_allclose(
        clear_beam(louder, SETTINGS, frequency, folder)[0], heard * 1000, rtol=1e-3
    )


def test_clear_tones_lower_than_any_that_it_was_taught_with_are_left_alone(random_network) -> None:
    _, folder = random_network
    frequency = np.arange(129) * 4.3
    for loudness, same in ((20000, True), (40, False)):
        beam = replace(beam_of(90, 129, loudness), lossy=True)
        heard, _ = clear_beam(beam, SETTINGS, frequency, folder)
        plain, _ = wiener_gain(beam, SETTINGS, frequency)
        changed = np.abs(heard - plain).mean(axis=0) / np.abs(plain).mean()
        # A window's main lobe reaches a few bins farther.
        assert (changed[frequency < 20].max() < 5e-3) == same
        assert changed[frequency > 70].max() > 0.01
        # Where the Wiener filter leaves nothing of what is clear, the mask brings nothing back.
        silent = np.abs(plain).max(axis=1) == 0
        assert silent.any()
        assert (np.abs(heard[silent]).max() < 1e-6 * np.abs(plain).max()) == same


def test_a_clear_tone_keeps_what_of_it_leaks_to_higher_frequencies() -> None:
    rng, fps, bins = np.random.default_rng(2), 1000.0, 129
    frequency = np.linspace(0, fps / 2, bins)
    stft = ShortTimeFourier(2 * (bins - 1), 4, "hann")
    time = np.arange(4000) / fps
    # Above it are lines that come and go, which the mask takes for errors of a codec.
    signal = 60 * np.sin(2 * np.pi * 32 * time) + rng.standard_normal(len(time))
    signal += 3 * np.sin(2 * np.pi * 96 * time) * (time % 0.5 < 0.25)
    rows = stft.pieces(lambda start, stop: signal[start:stop, None].astype(np.float32), len(signal))
    spectra = np.concatenate([one[:, :, 0] for one in rows])
    mean = (np.abs(spectra) ** 2).mean(axis=0)
    flat = np.ones(bins)
    beam = Beam(spectra, flat.astype(complex), mean, flat, np.ones(1), 0.0, None, lossy=True)
    heard, plain = (
        (np.abs(hear(beam, SETTINGS, frequency)[0]) ** 2).mean(axis=0)
        for hear in (clear_beam, wiener_gain)
    )
    tone = (frequency > 20) & (frequency < 45)
    assert heard[tone].sum() == pytest.approx(plain[tone].sum(), rel=0.01)
    assert heard[frequency > 70].sum() < 0.9 * plain[frequency > 70].sum()


def test_missing_weights_are_one_clear_line(tmp_path: Path) -> None:
    beam = beam_of(30, 33)
    with pytest.raises(VisualMicError, match=r"weights of the hybrid.*are missing: install"):
        clear_beam(beam, SETTINGS, np.arange(33) * 4.3, tmp_path)


def test_the_shipped_weights_are_small_and_complete() -> None:
    sizes = [(WEIGHTS / name).stat().st_size for name in (RESPONSE, MASK)]
    assert sum(sizes) < 10e6
    assert (WEIGHTS / "card.md").stat().st_size > 500


def test_hearing_with_the_hybrid_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from visualmic.motion.methods import method_named\n"
        "from visualmic.hybrid.weight_files import RESPONSE, WEIGHTS, network\n"
        "method_named('hybrid'); network(RESPONSE, WEIGHTS)\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_shipped_weights_say_what_they_took() -> None:
    noted = json.loads((WEIGHTS / FACTS).read_text())
    networks = untrained()
    assert set(noted) == set(networks)
    for part, network in networks.items():
        assert noted[part]["parameters"] == sum(one.numel() for one in network.parameters())
    card = (WEIGHTS / "card.md").read_text()
    for part in noted.values():
        assert f"{part['parameters']:,} parameters" in card
        assert f"{part['steps']:,} steps" in card
        assert f"{part['training_s'] / 60:.0f} minutes" in card


@pytest.mark.parametrize("fps", [480, 2200])
def test_intelligibility_is_estoi(fps: int) -> None:
    clean = make_sound(SimulationSettings(sound="speech", seconds=3.0, seed=4))
    stft = ShortTimeFourier(round(fps * 0.03) * 4, 4, "hann")
    truth = resample(clean.samples.astype(np.float64), clean.rate, fps)
    noise = np.random.default_rng(5).standard_normal(len(truth)) * truth.std()

    def spectra(signal: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(spectra_of(stft, signal))

    for share in (0.0, 0.3, 1.0):
        sound = truth + share * noise
        measured = float(intelligibility(spectra(truth), 3 * spectra(sound), fps))
        assert measured == pytest.approx(estoi(truth, sound, fps), abs=0.02)


def test_intelligibility_of_too_little_is_nothing() -> None:
    short = torch.randn(10, 129, dtype=torch.complex64)
    long = torch.randn(80, 129, dtype=torch.complex64)
    assert float(intelligibility(short, short, 2200)) == 0
    assert float(intelligibility(long, long, 240)) == 0
    assert float(intelligibility(long, long, 2200)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("kind", "px"), [("rigid", 0.1), ("rigid", 1), ("crisp-packet", 0.1)])
def test_a_clear_film_is_left_clear(kind: str, px: float) -> None:
    settings = SimulationSettings(
        object=kind, amplitude_px=px, width=96, height=96, fps=1000.0, seconds=2.0,
        sound="speech", seed=3,
    )  # fmt: skip
    scene = Scene(settings)
    truth = scene.truth.sound
    scores = []
    for method in ("lucas-kanade", "hybrid"):
        both = align(recover(scene, method, threads=1).sound, 1000.0, truth, 1000.0)
        scores.append(si_sdr(both.reference, both.recovered, both.rate))
    assert scores[1] > scores[0] - 1
