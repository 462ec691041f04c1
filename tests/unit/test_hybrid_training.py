"""What the hybrid learns from: sounds, beams, and a training that can be stopped."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from visualmic.errors import VisualMicError
from visualmic.hybrid.examples import BeamMaker, Sounds, _shaken, draw_spectra
from visualmic.hybrid.losses import (
    distortion_db,
    mask_loss,
    masked,
    response_loss,
    spectral_distance_db,
)
from visualmic.hybrid.network import Mask, Response
from visualmic.hybrid.training import (
    MASK_PART,
    RESPONSE_PART,
    SOUNDS,
    Beams,
    HybridTraining,
    export_hybrid,
    note_training,
    read_sounds,
    store_sounds,
    train_hybrid,
)
from visualmic.hybrid.weight_files import FACTS, MASK, RESPONSE, training_cost
from visualmic.motion.spectra import ShortTimeFourier
from visualmic.simulate.objects import Modes

NO_SOUNDS = Sounds([], [])


def untrained() -> dict[str, torch.nn.Module]:
    return {RESPONSE_PART: Response(), MASK_PART: Mask()}


def test_a_sound_is_the_same_again_and_differs_by_seed() -> None:
    one, again, other = (draw_spectra(NO_SOUNDS, seed) for seed in (4, 4, 9))
    assert one is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(one[0], again[0])
    assert one[0].shape != other[0].shape or not np.array_equal(one[0], other[0])
    # Unit power, in windows of which four overlap.
    assert (np.abs(one[0]) ** 2).mean() == pytest.approx(1, rel=0.3)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    store_sounds(folder / SOUNDS, NO_SOUNDS, range(0, 40))
    return folder


def test_a_beam_is_the_sound_through_the_response_in_unit_noise(sounds: Path) -> None:
    maker = BeamMaker(read_sounds(sorted((sounds / SOUNDS).glob("*.npz"))))
    rng = np.random.default_rng(0)
    kinds, coded = set(), []
    for _ in range(30):
        size = maker.draw_size(rng)
        example = maker.draw(size, rng)
        kinds.add(example.kind)
        assert example.frequency_hz.shape == (size,)
        noise = example.beam - example.heard
        # The lowest and highest bins are real, and windows overlap.
        power = (np.abs(noise[:, 2:-2]) ** 2).mean()
        if example.level[0] == example.level[-1]:
            assert power == pytest.approx(1, rel=0.25)
        else:
            # A codec's errors come to it.
            assert power > 0.75
            coded.append(power)
        if example.kind == "rigid":
            np.testing.assert_allclose(example.power, example.power.mean(), rtol=1e-3)
    assert kinds == {"rigid", "one", "two", "many"}
    assert max(coded) > 2


def test_an_object_rings_on_after_a_click() -> None:
    fps, length, windows = 1000.0, 256, 24
    resonance, damping = 60.0, 0.04
    stft = ShortTimeFourier(length, 4, "hann")
    total = stft.hop * (windows + 1) - length
    click = np.zeros((total, 1), np.float32)
    click[total // 2] = 1
    spectra = np.concatenate([one[:, :, 0] for one in stft.pieces(lambda a, b: click[a:b], total)])
    modes = Modes(
        np.array([resonance]), np.array([damping]), np.ones(1), np.zeros((1, 2, 1, 1), np.float32)
    )
    frequency = np.fft.rfftfreq(length, 1 / fps)
    heard, response = _shaken(spectra, frequency, modes, np.array([[2.0]]), 0.0)
    np.testing.assert_allclose(response[:, 0], 2 * modes.response(frequency)[0])
    after = stft.inverse(heard, total)[total // 2 :]
    time = np.arange(len(after)) / fps
    decay = 2 * np.pi * resonance * damping
    turn = 2 * np.pi * resonance * np.sqrt(1 - damping**2)
    rings = np.exp(-decay * time) * np.sin(turn * time)
    alike = float(after @ rings) / np.linalg.norm(after) / np.linalg.norm(rings)
    assert abs(alike) > 0.98
    # It is heard as long as it rings, over several windows.
    late = slice(length // 2, length)
    assert np.linalg.norm(after[late]) > 0.5 * np.exp(-decay * late.start / fps) * after.max()


def test_noise_is_new_every_time(sounds: Path) -> None:
    # Drawn from one store of noise, however it was shifted and turned, a network learned it.
    maker = BeamMaker(read_sounds(sorted((sounds / SOUNDS).glob("*.npz"))))
    size = maker.sizes[-1]
    noises = []
    for seed in range(16):
        example = maker.draw(size, np.random.default_rng(seed))
        noises.append(example.beam - example.heard)
    for one, other in itertools.combinations(noises, 2):
        for shift in range(8 - len(other), len(one) - 7):
            first, second = one[max(shift, 0) :], other[max(-shift, 0) :]
            count = min(len(first), len(second))
            first, second = first[:count], second[:count]
            alike = abs(np.vdot(first, second)) / np.linalg.norm(first) / np.linalg.norm(second)
            assert alike < 0.5


def test_a_beam_of_nothing_audible_does_not_end_the_training() -> None:
    shift = torch.zeros(20, 30, requires_grad=True)
    nothing = torch.zeros(20, 30, dtype=torch.complex64)
    heard = torch.sigmoid(shift) * nothing
    loss = spectral_distance_db(nothing, heard) - distortion_db(nothing, heard)
    loss.backward()
    assert shift.grad is not None
    assert torch.isfinite(shift.grad).all()


def test_training_learns_on_what_it_has_seen(sounds: Path, tmp_path: Path) -> None:
    settings = HybridTraining(epochs=12, batch_size=8, learning_rate=1e-2, threads=1)
    networks = train_hybrid(sounds, tmp_path, settings, [RESPONSE_PART], quiet=True)
    maker = BeamMaker(read_sounds(sorted((sounds / SOUNDS).glob("*.npz"))))
    beams = Beams(maker, RESPONSE_PART, (7,), 16, 8)

    def loss(network: torch.nn.Module, item: dict[str, torch.Tensor]) -> float:
        return float(response_loss(item, *network(item["statistics"])))

    with torch.no_grad():
        likelier = [
            loss(untrained()[RESPONSE_PART], item) - loss(networks[RESPONSE_PART], item)
            for number in range(len(beams))
            for item in beams[number]
        ]
    assert np.mean(likelier) > 0.1


@pytest.mark.parametrize("given", [None, 3e-4])
def test_each_network_has_a_rate_of_its_own(
    sounds: Path, tmp_path: Path, given: float | None
) -> None:
    settings = HybridTraining(epochs=1, batch_size=8, threads=1, learning_rate=given)
    train_hybrid(sounds, tmp_path, settings, quiet=True)
    for part, rate in ((RESPONSE_PART, 2e-3), (MASK_PART, 7e-4)):
        state = torch.load(tmp_path / part / "last.ckpt", weights_only=False)
        assert state["lr_schedulers"][0]["base_lrs"] == [given or rate]


def test_one_network_can_be_trained_alone(sounds: Path, tmp_path: Path) -> None:
    settings = HybridTraining(epochs=1, batch_size=8, threads=1)
    alone = train_hybrid(sounds, tmp_path / "run", settings, [MASK_PART], quiet=True)
    export_hybrid(alone, tmp_path)
    assert list(alone) == [MASK_PART]
    assert alone[MASK_PART].leave.weight.abs().max() > 0
    assert (tmp_path / MASK).exists()
    assert not (tmp_path / RESPONSE).exists()
    note_training(tmp_path / "run", tmp_path, [MASK_PART])
    assert training_cost(tmp_path)["parameters"] == sum(one.numel() for one in Mask().parameters())
    # Of the other network nothing was noted, and what is noted of it stays.
    noted = json.loads((tmp_path / FACTS).read_text())
    (tmp_path / FACTS).write_text(json.dumps({**noted, RESPONSE_PART: {"parameters": 7}}))
    note_training(tmp_path / "run", tmp_path, [MASK_PART])
    both = json.loads((tmp_path / FACTS).read_text())
    assert both == {MASK_PART: noted[MASK_PART], RESPONSE_PART: {"parameters": 7}}
    assert noted[MASK_PART]["steps"] > 0


def test_the_mask_learns_what_is_noise(sounds: Path) -> None:
    torch.manual_seed(0)
    beams = Beams(
        BeamMaker(read_sounds(sorted((sounds / SOUNDS).glob("*.npz")))), MASK_PART, (7,), 2, 4
    )
    items = [item for number in range(len(beams)) for item in beams[number]]

    def left(item: dict[str, torch.Tensor]) -> float:
        return float(spectral_distance_db(item["target"], item["plain"]))

    item = max(items, key=left)
    network = Mask()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = mask_loss(item, network(item["cells"]))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    heard = masked(item, network(item["cells"]).detach())
    assert losses[-1] < losses[0] - 0.3
    assert float(spectral_distance_db(item["target"], heard)) < left(item) - 0.3


def test_a_training_that_was_stopped_goes_on_to_the_same_end(sounds: Path, tmp_path: Path) -> None:
    def settings(epochs: int) -> HybridTraining:
        return HybridTraining(epochs=epochs, batch_size=8, threads=1)

    unbroken = train_hybrid(sounds, tmp_path / "unbroken", settings(2), quiet=True)
    train_hybrid(sounds, tmp_path / "stopped", settings(2), quiet=True, stop_after_epochs=1)
    before = json.loads((tmp_path / "stopped" / MASK_PART / FACTS).read_text())
    resumed = train_hybrid(sounds, tmp_path / "stopped", settings(2), quiet=True)
    after = json.loads((tmp_path / "stopped" / MASK_PART / FACTS).read_text())
    assert after["training_s"] > before["training_s"] > 0
    assert after["steps"] == 2 * before["steps"]
    for part, network in resumed.items():
        pairs = zip(unbroken[part].parameters(), network.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_a_training_goes_on_after_its_last_epoch_not_its_best(sounds: Path, tmp_path: Path) -> None:
    # At this rate losses leap, so that the first epoch is the best.
    settings = HybridTraining(epochs=3, batch_size=8, threads=1, learning_rate=3.0)
    train_hybrid(sounds, tmp_path, settings, [RESPONSE_PART], quiet=True)
    epochs = [
        torch.load(tmp_path / RESPONSE_PART / name, weights_only=False)["epoch"]
        for name in ("best.ckpt", "last.ckpt")
    ]
    assert epochs[0] < epochs[1] == 2


def test_a_training_starts_from_a_checkpoint(sounds: Path, tmp_path: Path) -> None:
    first = HybridTraining(epochs=1, batch_size=8, threads=1)
    parts = [RESPONSE_PART]
    one = train_hybrid(sounds, tmp_path / "one", first, parts, quiet=True)[RESPONSE_PART]
    start = tmp_path / "one" / RESPONSE_PART / "best.ckpt"
    onward = replace(first, start=start, learning_rate=1e-9)
    two = train_hybrid(sounds, tmp_path / "two", onward, parts, quiet=True)[RESPONSE_PART]
    for before, after in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(before, after, atol=1e-6, rtol=0)
    facts = [
        json.loads((tmp_path / name / RESPONSE_PART / FACTS).read_text()) for name in ("one", "two")
    ]
    assert facts[1]["steps"] == 2 * facts[0]["steps"]
    assert facts[1]["training_s"] > facts[0]["training_s"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no checkpoint"),
        (b"nothing", "is no checkpoint of a run"),
        (RESPONSE_PART, "is of another network: name one of --part mask"),
    ],
)
def test_a_wrong_checkpoint_to_start_from_is_one_clear_line(
    sounds: Path, tmp_path: Path, content: bytes | str | None, message: str
) -> None:
    start = tmp_path / "start.ckpt"
    if isinstance(content, bytes):
        start.write_bytes(content)
    elif content:
        state = {f"network.{name}": one for name, one in Response().state_dict().items()}
        torch.save({"state_dict": state}, start)
    settings = HybridTraining(epochs=1, batch_size=8, threads=1, start=start)
    with pytest.raises(VisualMicError, match=message):
        train_hybrid(sounds, tmp_path / "run", settings, [MASK_PART], quiet=True)


def test_too_few_sounds_to_train_with_are_one_clear_line() -> None:
    with pytest.raises(VisualMicError, match="no sound of two seconds to train with"):
        BeamMaker([])
