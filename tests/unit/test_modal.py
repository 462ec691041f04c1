"""Modes are found from how the direction of motion turns with frequency, and only from that."""

import numpy as np
import pytest
from visualmic.motion import modal
from visualmic.motion.modal import identify_modes
from visualmic.motion.modal_model import Expected, ModalModel

FREQUENCY = np.arange(257) * 2200 / 512
LOOKS = 25.0


def response(resonances, damping, shapes):
    ratio = FREQUENCY[:, None] / np.asarray(resonances)
    transfer = 1 / (1 - ratio**2 + 2j * np.asarray(damping) * ratio)
    return transfer @ np.asarray(shapes).T


def covariance_of(pattern, power, seed=0, looks=LOOKS):
    """Sample covariance of channels that hear `pattern` times a sound of `power`, in unit noise."""
    rng = np.random.default_rng(seed)
    frequencies, channels = pattern.shape
    count = round(looks)

    def normal(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    sound = normal(count, frequencies, 1) * np.sqrt(power)[:, None]
    heard = sound * pattern + normal(count, frequencies, channels)
    return np.einsum("wfi,wfj->fij", heard, heard.conj()) / count


def falling(level):
    """Power of a sound that falls with frequency as voices do."""
    return level * (200 / np.maximum(FREQUENCY, 60)) ** 2


SHAPES = np.random.default_rng(5).standard_normal((5, 4))
RESONANCES, DAMPING = np.array([150.0, 260, 440, 700]), np.array([0.1, 0.07, 0.15, 0.1])


def test_modes_are_found_from_their_motion_alone():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    model = identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS)
    assert model is not None
    assert model.frequency_hz == pytest.approx(RESONANCES, rel=0.03)
    assert model.damping == pytest.approx(DAMPING, rel=0.15)
    assert model.unexplained < 0.02


def test_the_response_has_the_phase_and_gain_of_the_object():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    model = identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS)
    band = (FREQUENCY > 80) & (FREQUENCY < 900)
    found, true = model.response(FREQUENCY)[band], pattern[band]
    ratio = (true.conj() * found).sum(axis=1) / (np.abs(true) ** 2).sum(axis=1)
    error = ratio / (ratio.mean()) - 1
    assert np.sqrt(np.mean(np.abs(error) ** 2)) < 0.1


def test_an_object_that_moves_as_a_whole_has_no_resonance_to_undo():
    pattern = np.ones(len(FREQUENCY))[:, None] * np.array([[1.0, -0.5, 0.3]])
    assert identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS) is None


def test_one_mode_turns_nothing():
    pattern = response([300.0], [0.05], np.array([[1.0], [0.4], [-0.2]]))
    assert identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS) is None


def test_noise_has_no_modes():
    pattern = np.zeros((len(FREQUENCY), 4))
    assert identify_modes(covariance_of(pattern, falling(1.0)), FREQUENCY, LOOKS) is None


def test_a_direction_that_turns_at_random_is_not_taken_for_resonances():
    rng = np.random.default_rng(2)
    pattern = rng.standard_normal((len(FREQUENCY), 5)) + 0j
    assert identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS) is None


def test_a_single_channel_tells_nothing():
    pattern = response([300.0], [0.05], np.ones((1, 1)))
    assert identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS) is None


def test_a_quasi_static_part_beside_a_resonance_is_kept():
    pattern = response([180.0, 330.0, 1e6], [0.06, 0.1, 0.1], SHAPES[:, :3])
    model = identify_modes(covariance_of(pattern, falling(1000.0)), FREQUENCY, LOOKS)
    assert model is not None
    assert model.frequency_hz[:2] == pytest.approx([180, 330], rel=0.02)
    assert model.frequency_hz[2] > 1100


def test_the_scale_of_the_shapes_is_common():
    model = ModalModel(np.array([100.0, 200.0]), np.array([0.1, 0.1]), np.eye(2), 0.0)
    at_rest = model.response(np.array([0.0]))[0]
    assert at_rest == pytest.approx([1, 1])


def test_modes_that_all_but_cancel_are_no_objects(monkeypatch):
    covariance = covariance_of(response(RESONANCES, DAMPING, SHAPES), falling(1e6))
    model = identify_modes(covariance, FREQUENCY, LOOKS)
    assert model is not None
    heard = FREQUENCY[10:]
    monkeypatch.setattr(
        modal, "_MOST_CANCELLING", 0.9 * model.cancelling(heard, np.ones(len(heard)))
    )
    assert identify_modes(covariance, FREQUENCY, LOOKS) is None


def test_modes_of_different_shapes_do_not_cancel():
    apart = ModalModel(np.array([100.0, 200.0]), np.array([0.1, 0.1]), np.eye(2), 0.0)
    against = ModalModel(
        np.array([100.0, 101.0]), np.array([0.1, 0.1]), np.array([[1.0, -1.0]]), 0.0
    )
    band = np.linspace(50.0, 150.0, 30)
    assert apart.cancelling(band, np.ones(30)) == pytest.approx(1)
    assert against.cancelling(band, np.ones(30)) > 50


def expected_of(pattern, wrong=0.0, seed=0):
    """Expect the power of a response, within smooth errors of some size."""
    rng = np.random.default_rng(seed)
    off = sum(
        rng.standard_normal() * np.sin(n * np.log(np.maximum(FREQUENCY, 30)) + rng.uniform(0, 6))
        for n in range(1, 5)
    )
    log_power = np.log((np.abs(pattern) ** 2).sum(axis=1)) + wrong * off
    return Expected(log_power, np.full(len(FREQUENCY), 1 / 15 / (0.2 + wrong) ** 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_mode_is_found_where_it_is_expected(channels):
    pattern = response([300.0], [0.08], np.array([[1.0], [0.4], [-0.2]])[:channels])
    covariance = covariance_of(pattern, falling(1000.0))
    model = identify_modes(covariance, FREQUENCY, LOOKS, expected=expected_of(pattern, 0.1))
    assert model is not None
    assert model.frequency_hz == pytest.approx([300], rel=0.05)
    assert model.damping == pytest.approx([0.08], rel=0.3)


def test_two_modes_that_the_motion_leaves_open_are_settled_by_what_is_expected():
    resonances, damping = np.array([180.0, 420.0]), np.array([0.15, 0.08])
    pattern = response(resonances, damping, [[1.0, 0.3], [-0.4, 0.8], [0.1, 0.5]])
    covariance = covariance_of(pattern, 1000.0 * np.ones(len(FREQUENCY)))
    model = identify_modes(covariance, FREQUENCY, LOOKS, expected=expected_of(pattern, 0.1))
    assert model is not None
    assert model.frequency_hz == pytest.approx(resonances, rel=0.05)
    assert model.damping == pytest.approx(damping, rel=0.3)


def test_a_rigid_object_stays_rigid_whatever_is_expected_a_little_wrongly():
    pattern = np.ones(len(FREQUENCY))[:, None] * np.array([[1.0, -0.5, 0.3]])
    covariance = covariance_of(pattern, falling(1000.0))
    for seed in range(4):
        expected = expected_of(pattern, 0.1, seed)
        assert identify_modes(covariance, FREQUENCY, LOOKS, expected=expected) is None


def test_modes_seen_in_the_motion_are_not_bent_to_what_is_expected():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    covariance = covariance_of(pattern, falling(1000.0))
    model = identify_modes(covariance, FREQUENCY, LOOKS, expected=expected_of(pattern, 0.5, 3))
    assert model is not None
    assert model.frequency_hz == pytest.approx(RESONANCES, rel=0.03)


def test_the_slope_of_the_cost_is_that_of_its_values():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    covariance = covariance_of(pattern, falling(100.0))[20:]
    frequency = FREQUENCY[20:]
    values, vectors = np.linalg.eigh(covariance)
    rng = np.random.default_rng(0)
    packed = np.concatenate([np.log(RESONANCES), np.log(DAMPING), SHAPES.ravel()])
    packed += 0.05 * rng.standard_normal(len(packed))
    whole = expected_of(pattern, 0.3)
    for expected in (None, Expected(whole.log_power[20:], whole.weight[20:])):
        likelihood = modal._Likelihood(
            covariance, frequency, LOOKS, values[:, -1], vectors[:, :, -1], expected
        )
        _, slope = likelihood.cost(packed, 4)
        for one in range(len(packed)):
            step = np.zeros(len(packed))
            step[one] = 1e-5
            up, down = (likelihood.cost(packed + way * step, 4)[0] for way in (1, -1))
            assert slope[one] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-2)


def test_what_was_found_without_it_is_kept_unless_others_are_much_likelier():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    covariance = covariance_of(pattern, falling(1000.0))
    alone = identify_modes(covariance, FREQUENCY, LOOKS)
    assert alone is not None
    expected = expected_of(pattern, 0.1)
    kept = identify_modes(covariance, FREQUENCY, LOOKS, expected=expected, alone=alone)
    assert kept is alone
    wrong = ModalModel(0.8 * alone.frequency_hz, alone.damping, alone.shapes, 0.0)
    mended = identify_modes(covariance, FREQUENCY, LOOKS, expected=expected, alone=wrong)
    assert mended is not None
    assert mended.frequency_hz == pytest.approx(RESONANCES, rel=0.03)


def test_what_is_expected_far_off_costs_little():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    covariance = covariance_of(pattern, falling(1000.0))
    whole = expected_of(pattern, 3.0)
    sure = Expected(whole.log_power, np.full(len(FREQUENCY), 5.0))
    alone = identify_modes(covariance, FREQUENCY, LOOKS)
    model = identify_modes(covariance, FREQUENCY, LOOKS, expected=sure, alone=alone)
    assert model is not None
    assert model.frequency_hz == pytest.approx(RESONANCES, rel=0.05)


def test_modes_that_only_what_is_expected_shows_are_near_it_or_none():
    pattern = response([180.0, 420.0], [0.15, 0.08], [[1.0, 0.3], [-0.4, 0.8], [0.1, 0.5]])
    covariance = covariance_of(pattern, 1000.0 * np.ones(len(FREQUENCY)))
    near, far = expected_of(pattern, 0.1), expected_of(pattern, 3.0)
    sure = Expected(far.log_power, np.full(len(FREQUENCY), 5.0))
    assert identify_modes(covariance, FREQUENCY, LOOKS, expected=near) is not None
    assert identify_modes(covariance, FREQUENCY, LOOKS, expected=sure) is None


def test_a_search_that_gets_nowhere_is_given_up(monkeypatch):
    rng = np.random.default_rng(3)
    pattern = rng.standard_normal((len(FREQUENCY), 4)) + 1j * rng.standard_normal(
        (len(FREQUENCY), 4)
    )
    covariance = covariance_of(pattern, 100.0 * np.ones(len(FREQUENCY)))
    tried = []
    search = modal._Fit.with_modes

    def counted(self, modes, pool):
        tried.append(modes)
        return search(self, modes, pool)

    monkeypatch.setattr(modal._Fit, "with_modes", counted)
    assert identify_modes(covariance, FREQUENCY, LOOKS) is None
    assert max(tried) == 3
