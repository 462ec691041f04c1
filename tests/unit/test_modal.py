"""Modes are found from how the direction of motion turns with frequency, and only from that."""

import numpy as np
import pytest
from modes import (
    DAMPING,
    FREQUENCY,
    RESONANCES,
    SHAPES,
    expected_of,
    falling,
    response,
    seen_of,
)
from scipy.optimize import minimize
from visualmic.motion import modal
from visualmic.motion.modal import identify_modes
from visualmic.motion.modal_likelihood import Candidate, Likelihood
from visualmic.motion.modal_model import Expected, ModalModel
from visualmic.motion.modal_search import ModalSearch


def test_modes_are_found_from_their_motion_alone():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    model = identify_modes(seen_of(pattern, falling(1000.0)))
    assert model is not None
    assert model.frequency_hz == pytest.approx(RESONANCES, rel=0.03)
    assert model.damping == pytest.approx(DAMPING, rel=0.15)
    assert model.unexplained < 0.02


def test_the_response_has_the_phase_and_gain_of_the_object():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    model = identify_modes(seen_of(pattern, falling(1000.0)))
    band = (FREQUENCY > 80) & (FREQUENCY < 900)
    found, true = model.response(FREQUENCY)[band], pattern[band]
    ratio = (true.conj() * found).sum(axis=1) / (np.abs(true) ** 2).sum(axis=1)
    error = ratio / (ratio.mean()) - 1
    assert np.sqrt(np.mean(np.abs(error) ** 2)) < 0.1


def test_an_object_that_moves_as_a_whole_has_no_resonance_to_undo():
    pattern = np.ones(len(FREQUENCY))[:, None] * np.array([[1.0, -0.5, 0.3]])
    assert identify_modes(seen_of(pattern, falling(1000.0))) is None


def test_one_mode_turns_nothing():
    pattern = response([300.0], [0.05], np.array([[1.0], [0.4], [-0.2]]))
    assert identify_modes(seen_of(pattern, falling(1000.0))) is None


def test_noise_has_no_modes():
    pattern = np.zeros((len(FREQUENCY), 4))
    assert identify_modes(seen_of(pattern, falling(1.0))) is None


def test_a_direction_that_turns_at_random_is_not_taken_for_resonances():
    rng = np.random.default_rng(2)
    pattern = rng.standard_normal((len(FREQUENCY), 5)) + 0j
    assert identify_modes(seen_of(pattern, falling(1000.0))) is None


def test_a_single_channel_tells_nothing():
    pattern = response([300.0], [0.05], np.ones((1, 1)))
    assert identify_modes(seen_of(pattern, falling(1000.0))) is None


def test_a_quasi_static_part_beside_a_resonance_is_kept():
    pattern = response([180.0, 330.0, 1e6], [0.06, 0.1, 0.1], SHAPES[:, :3])
    model = identify_modes(seen_of(pattern, falling(1000.0)))
    assert model is not None
    assert model.frequency_hz[:2] == pytest.approx([180, 330], rel=0.02)
    assert model.frequency_hz[2] > 1100


def test_the_scale_of_the_shapes_is_common():
    model = ModalModel(np.array([100.0, 200.0]), np.array([0.1, 0.1]), np.eye(2), 0.0)
    at_rest = model.response(np.array([0.0]))[0]
    assert at_rest == pytest.approx([1, 1])


def test_modes_that_all_but_cancel_are_no_objects(monkeypatch):
    seen = seen_of(response(RESONANCES, DAMPING, SHAPES), falling(1e6))
    model = identify_modes(seen)
    assert model is not None
    heard = FREQUENCY[10:]
    less = 0.9 * model.cancelling(heard, np.ones(len(heard)))
    monkeypatch.setattr(modal, "_MOST_CANCELLING", less)
    # They may, where noise alone is left beside them.
    assert identify_modes(seen) is not None
    monkeypatch.setattr(modal, "_MOST_CANCELLING_IF_COMPLETE", less)
    assert identify_modes(seen) is None


def test_the_search_ends_where_next_to_nothing_is_left(monkeypatch):
    # As where what is left is no noise, and each further mode explains a little of it.
    monkeypatch.setattr(modal, "_WORTH", 0.0)
    monkeypatch.setattr(modal, "_LEAST_OF_REST", 0.0)
    seen = seen_of(response(RESONANCES, DAMPING, SHAPES), falling(1000.0))

    def found(explained, chance):
        monkeypatch.setattr(modal, "_EXPLAINED", explained)
        monkeypatch.setattr(modal, "_CHANCE", chance)
        return identify_modes(seen)

    # Where what is left is no more than noise leaves, and where it is next to nothing.
    assert len(found(-1.0, 4.0).frequency_hz) == 4
    assert len(found(0.01, -1e9).frequency_hz) <= 5
    # With neither it goes on: to more modes, or to more than there may be, by the last digits.
    beyond = found(-1.0, -1e9)
    assert beyond is None or len(beyond.frequency_hz) > 4


def test_modes_that_are_believed_stay_so_when_the_search_goes_on_to_its_end(monkeypatch):
    # As where the errors of a codec turn the direction too, and every mode explains some of it.
    for name in ("_WORTH", "_LEAST_SHARE", "_CHANCE"):
        monkeypatch.setattr(modal, name, -1e9)
    monkeypatch.setattr(modal, "_EXPLAINED", -1.0)
    seen = seen_of(response(RESONANCES, DAMPING, SHAPES), falling(1000.0))
    # As many as are looked for are none.
    assert identify_modes(seen) is None
    believed = lambda model, *_: 1.0 if len(model.damping) <= 4 else 1e9  # noqa: E731
    monkeypatch.setattr(ModalModel, "cancelling", believed)
    model = identify_modes(seen)
    assert model is not None
    assert model.frequency_hz == pytest.approx(RESONANCES, rel=0.03)


def test_modes_of_different_shapes_do_not_cancel():
    apart = ModalModel(np.array([100.0, 200.0]), np.array([0.1, 0.1]), np.eye(2), 0.0)
    against = ModalModel(
        np.array([100.0, 101.0]), np.array([0.1, 0.1]), np.array([[1.0, -1.0]]), 0.0
    )
    band = np.linspace(50.0, 150.0, 30)
    assert apart.cancelling(band, np.ones(30)) == pytest.approx(1)
    assert against.cancelling(band, np.ones(30)) > 50


def test_the_slope_of_the_cost_is_that_of_its_values():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    seen = seen_of(pattern, falling(100.0)).at(FREQUENCY[20] <= FREQUENCY)
    rng = np.random.default_rng(0)
    packed = np.concatenate([np.log(RESONANCES), np.log(DAMPING), SHAPES.ravel()])
    packed += 0.05 * rng.standard_normal(len(packed))
    whole = expected_of(pattern, 0.3)
    for expected in (None, Expected(whole.log_power[20:], whole.weight[20:])):
        likelihood = Likelihood(seen, expected)
        _, slope = likelihood.cost(packed, 4)
        for one in range(len(packed)):
            step = np.zeros(len(packed))
            step[one] = 1e-5
            up, down = (likelihood.cost(packed + way * step, 4)[0] for way in (1, -1))
            assert slope[one] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("seed", range(4))
def test_a_climb_arrives_as_high_as_that_of_scipy(seed):
    seen = seen_of(response(RESONANCES, DAMPING, SHAPES), falling(300.0), seed).at(FREQUENCY > 80)
    likelihood = Likelihood(seen, None)
    rng = np.random.default_rng(seed)
    start = Candidate(
        np.log(RESONANCES) + 0.1 * rng.standard_normal(4),
        np.log(DAMPING) + 0.1 * rng.standard_normal(4),
        SHAPES + 0.1 * rng.standard_normal(SHAPES.shape),
    )
    bounds = [*np.transpose(likelihood.bounds(4)), *[(None, None)] * SHAPES.size]
    known = minimize(
        likelihood.cost,
        start.packed(),
        (4,),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 4000, "maxcor": 20},
    )
    reached = likelihood.climbed(start, 2000)
    assert -likelihood.likelihood(reached) < known.fun + 0.05
    few = likelihood.climbed(start, 3)
    assert likelihood.likelihood(start) < likelihood.likelihood(few)
    assert likelihood.likelihood(few) < likelihood.likelihood(reached)


def test_a_climb_keeps_within_bounds_and_goes_on_along_them():
    pattern = np.ones(len(FREQUENCY))[:, None] * np.array([[1.0, -0.5, 0.3]])
    likelihood = Likelihood(seen_of(pattern, falling(1000.0)).at(FREQUENCY > 80), None)
    low, high = likelihood.bounds(2)
    # What follows the sound as it is wants its resonances beyond all bounds.
    wide = np.array([[1.0, 0.2], [-0.2, -0.3], [0.3, 0.1]])
    start = Candidate(high[:2] + np.array([-0.01, 5.0]), high[2:] + 5, wide)
    reached = likelihood.climbed(start, 300)
    parameters = np.concatenate([reached.log_frequency, reached.log_damping])
    assert (parameters >= low).all()
    assert (parameters <= high).all()
    assert reached.log_frequency.max() > high[0] - 0.2
    rigid = Candidate(np.array([np.log(1e6)]), np.log([0.1]), np.array([[1.0], [-0.5], [0.3]]))
    assert likelihood.explained(reached) > likelihood.explained(rigid) - 12


def test_a_search_that_gets_nowhere_is_given_up(monkeypatch):
    rng = np.random.default_rng(3)
    pattern = rng.standard_normal((len(FREQUENCY), 4)) + 1j * rng.standard_normal(
        (len(FREQUENCY), 4)
    )
    seen = seen_of(pattern, 100.0 * np.ones(len(FREQUENCY)))
    tried = []
    search = ModalSearch.with_modes

    def counted(self, modes, pool):
        tried.append(modes)
        return search(self, modes, pool)

    monkeypatch.setattr(ModalSearch, "with_modes", counted)
    assert identify_modes(seen) is None
    assert max(tried) == 3
