"""The hybrid starts from the Wiener filter, is the same on ONNX as in PyTorch, has no seams."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import align
from visualmic.evaluate.waveform import si_sdr
from visualmic.hybrid.enhance import EQUALISER, MASK, WEIGHTS, network_gain
from visualmic.hybrid.examples import Sounds, draw_example
from visualmic.hybrid.features import cell_features, logit, noise_colour, statistics
from visualmic.hybrid.network import REACH, Hybrid
from visualmic.hybrid.training import (
    HybridTraining,
    StoredBeams,
    distortion_db,
    export_hybrid,
    store_examples,
    train_hybrid,
)
from visualmic.motion.methods import recover
from visualmic.motion.modal import ModalModel
from visualmic.motion.wiener import Beam, WienerSettings, local_gain, wiener_gain
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings

NO_SOUNDS = Sounds([], [])
SETTINGS = WienerSettings()


def beam_of(windows: int, bins: int, seed: int = 0) -> Beam:
    """Build a beam that hears a line that comes and goes."""
    rng = np.random.default_rng(seed)
    power = 1 + 200 / (1 + ((np.arange(bins) - bins / 4) / 6) ** 2)
    on = (np.arange(windows) // 20 % 2)[:, None]
    size = np.sqrt((1 + (power - 1) * on) / 2)
    spectra = size * (
        rng.standard_normal((windows, bins)) + 1j * rng.standard_normal((windows, bins))
    )
    gain = 1 / (1 + np.arange(bins) / bins + 0.5j)
    level = np.full(bins, 1.3)
    mean = (np.abs(spectra) ** 2).mean(axis=0)
    return Beam(spectra.astype(np.complex64), gain, mean, level, np.ones(2), 0.05, None)


@pytest.fixture(scope="module")
def random_network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hybrid, Path]:
    torch.manual_seed(3)
    network = Hybrid()
    for part in (network.equaliser.leave, network.mask.leave):
        torch.nn.init.normal_(part.weight, std=0.3)
    folder = tmp_path_factory.mktemp("random")
    export_hybrid(network, folder)
    return network, folder


def test_an_untrained_network_is_the_wiener_filter(tmp_path: Path) -> None:
    export_hybrid(Hybrid(), tmp_path)
    beam, frequency = beam_of(90, 129), np.arange(129) * 4.3
    heard, snr = network_gain(beam, SETTINGS, frequency, tmp_path)
    plain, plain_snr = wiener_gain(beam, SETTINGS, frequency)
    np.testing.assert_array_equal(snr, plain_snr)
    # Its gain stays a little away from nought and one, so that there is a way out.
    np.testing.assert_allclose(heard, plain, rtol=0.03, atol=0.004 * np.abs(beam.spectra).max())


@pytest.mark.parametrize(("windows", "bins"), [(30, 33), (70, 257), (40, 513)])
def test_onnx_gives_the_numbers_of_pytorch(windows: int, bins: int, random_network) -> None:
    network, folder = random_network
    beam, frequency = beam_of(windows, bins), np.arange(bins) * 4.3
    gain, snr = local_gain(beam)
    sound = beam.spectra * beam.gain * np.sqrt(beam.level) * (snr > 0) * (frequency >= 10)
    inputs = (
        statistics(beam, frequency),
        cell_features(beam, frequency, gain, noise_colour(beam)),
        logit(gain).astype(np.float32),
        sound.astype(np.complex64),
    )
    with torch.no_grad():
        expected = network(*(torch.from_numpy(one) for one in inputs)).numpy()
    heard, _ = network_gain(beam, SETTINGS, frequency, folder)
    np.testing.assert_allclose(heard, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_long_recording_is_heard_in_pieces_without_seams(
    random_network, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = random_network
    beam, frequency = beam_of(700, 65), np.arange(65) * 4.3
    pieces, _ = network_gain(beam, SETTINGS, frequency, folder)
    monkeypatch.setattr("visualmic.hybrid.enhance._PIECE", 10_000)
    whole, _ = network_gain(beam, SETTINGS, frequency, folder)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())


def test_pieces_overlap_by_all_that_a_cell_sees() -> None:
    from visualmic.hybrid import enhance

    assert enhance._BESIDE >= REACH


def test_the_scale_of_the_beam_does_not_matter(random_network) -> None:
    _, folder = random_network
    beam, frequency = beam_of(50, 65), np.arange(65) * 4.3
    heard, _ = network_gain(beam, SETTINGS, frequency, folder)
    louder = Beam(
        beam.spectra, beam.gain * 1000, beam.power, beam.level, beam.pattern, beam.bias, None
    )
    np.testing.assert_allclose(
        network_gain(louder, SETTINGS, frequency, folder)[0], heard * 1000, rtol=1e-3
    )


def test_nothing_is_guessed_where_the_modes_were_found(random_network) -> None:
    _, folder = random_network
    beam, frequency = beam_of(50, 65), np.arange(65) * 4.3
    guessed, _ = network_gain(beam, SETTINGS, frequency, folder)
    beam.modes = ModalModel(np.array([90.0, 200.0]), np.full(2, 0.1), np.eye(2), 0.0)
    heard, _ = network_gain(beam, SETTINGS, frequency, folder)
    turned = heard[:, 8:] / (beam.spectra * beam.gain)[:, 8:]
    np.testing.assert_allclose(turned.imag, 0, atol=1e-4)
    assert np.abs((guessed[:, 8:] / (beam.spectra * beam.gain)[:, 8:]).imag).max() > 0.05


def test_missing_weights_are_one_clear_line(tmp_path: Path) -> None:
    beam = beam_of(30, 33)
    with pytest.raises(VisualMicError, match=r"weights of the hybrid.*are missing: install"):
        network_gain(beam, SETTINGS, np.arange(33) * 4.3, tmp_path)


def test_the_shipped_weights_are_small_and_complete() -> None:
    sizes = [(WEIGHTS / name).stat().st_size for name in (EQUALISER, MASK)]
    assert sum(sizes) < 10e6
    assert (WEIGHTS / "card.md").stat().st_size > 500


def test_hearing_with_the_hybrid_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from visualmic.motion.methods import method_named\n"
        "from visualmic.hybrid.enhance import _network, EQUALISER, WEIGHTS\n"
        "method_named('hybrid'); _network(EQUALISER, WEIGHTS)\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_example_is_the_same_again_and_differs_by_seed() -> None:
    one, again = draw_example(NO_SOUNDS, 4), draw_example(NO_SOUNDS, 4)
    other = draw_example(NO_SOUNDS, 9)
    assert one is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(one.beam.spectra, again.beam.spectra)
    assert one.beam.spectra.shape != other.beam.spectra.shape or not np.array_equal(
        one.beam.spectra, other.beam.spectra
    )
    # Unit power, in windows of which four overlap.
    assert (np.abs(one.target) ** 2).mean() == pytest.approx(1, rel=0.3)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    store_examples(folder, NO_SOUNDS, range(0, 14))
    return folder


def test_training_gains_on_what_it_has_seen(examples: Path, tmp_path: Path) -> None:
    files = sorted(examples.glob("*.npz"))
    network = train_hybrid(
        examples, tmp_path, HybridTraining(epochs=6, batch_size=2, threads=1), quiet=True
    )
    gained = []
    for item in (StoredBeams(files)[number] for number in range(len(files))):
        with torch.no_grad():
            plain = torch.sigmoid(item[2]) * item[3]
            gained.append(
                distortion_db(item[4], network(*item[:4])) - distortion_db(item[4], plain)
            )
    assert float(np.mean(gained)) > 0.2


def test_a_training_that_was_stopped_goes_on_to_the_same_end(
    examples: Path, tmp_path: Path
) -> None:
    def settings(epochs: int) -> HybridTraining:
        return HybridTraining(epochs=epochs, batch_size=4, threads=1)

    unbroken = train_hybrid(examples, tmp_path / "unbroken", settings(2), quiet=True)
    stopped = train_hybrid(
        examples, tmp_path / "stopped", settings(2), quiet=True, stop_after_epochs=1
    )
    resumed = train_hybrid(examples, tmp_path / "stopped", settings(2), quiet=True)
    parameters = [list(one.parameters()) for one in (unbroken, stopped, resumed)]
    assert all(torch.equal(a, b) for a, b in zip(parameters[0], parameters[2], strict=True))


@pytest.mark.parametrize("kind", ["rigid", "crisp-packet"])
def test_a_clear_film_is_left_clear(kind: str) -> None:
    settings = SimulationSettings(
        object=kind, amplitude_px=0.1, width=96, height=96, fps=1000.0, seconds=2.0,
        sound="speech", seed=3,
    )  # fmt: skip
    scene = Scene(settings)
    truth = scene.truth.sound
    scores = []
    for method in ("lucas-kanade", "hybrid"):
        both = align(recover(scene, method, threads=1).sound, 1000.0, truth, 1000.0)
        scores.append(si_sdr(both.reference, both.recovered, both.rate))
    assert scores[1] > scores[0] - 1
