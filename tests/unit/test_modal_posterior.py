"""Where the motion leaves modes open, all that are likely are heard, by what is expected."""

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
from visualmic.motion.modal import identify_modes, modal_band
from visualmic.motion.modal_likelihood import Candidate
from visualmic.motion.modal_model import Expected, ModalModel, Seen
from visualmic.motion.modal_posterior import Posterior, sample_modes
from visualmic.motion.modal_search import ModalSearch

TWO = response([180.0, 420.0], [0.15, 0.08], [[1.0, 0.3], [-0.4, 0.8], [0.1, 0.5]])


def misheard_db(unmixing, pattern, power):
    """What is wrong with a sound of `power` behind `pattern` once it is unmixed, at any gain."""
    heard = (unmixing * pattern).sum(axis=1)
    gain = (power * heard).sum() / power.sum()
    wrong = (power * np.abs(heard / gain.real - 1) ** 2).sum() / power.sum()
    return 10 * np.log10(wrong)


def band_of(power):
    """How well a sound of `power` is heard."""
    return power / (1 + power) * modal_band(FREQUENCY, 40.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_mode_is_found_where_it_is_expected(channels):
    pattern = response([300.0], [0.08], np.array([[1.0], [0.4], [-0.2]])[:channels])
    seen = seen_of(pattern, falling(1000.0))
    found = sample_modes(seen, seen, expected_of(pattern, 0.1))
    assert found is not None
    assert found.likeliest.frequency_hz == pytest.approx([300], rel=0.05)
    assert found.likeliest.damping == pytest.approx([0.08], rel=0.4)


def test_two_modes_that_the_motion_leaves_open_are_settled_by_what_is_expected():
    seen = seen_of(TWO, 1000.0 * np.ones(len(FREQUENCY)))
    found = sample_modes(seen, seen, expected_of(TWO, 0.1))
    assert found is not None
    assert found.likeliest.frequency_hz == pytest.approx([180, 420], rel=0.05)
    assert found.likeliest.damping == pytest.approx([0.15, 0.08], rel=0.3)


def test_a_rigid_object_stays_rigid_whatever_is_expected_a_little_wrongly():
    pattern = np.ones(len(FREQUENCY))[:, None] * np.array([[1.0, -0.5, 0.3]])
    seen = seen_of(pattern, falling(1000.0))
    for seed in range(4):
        assert sample_modes(seen, seen, expected_of(pattern, 0.1, seed)) is None


def test_what_turns_in_a_way_that_no_modes_explain_is_left_alone():
    rng = np.random.default_rng(3)
    pattern = rng.standard_normal((len(FREQUENCY), 4)) + 1j * rng.standard_normal(
        (len(FREQUENCY), 4)
    )
    seen = seen_of(pattern, 100.0 * np.ones(len(FREQUENCY)))
    expected = expected_of(pattern)
    assert sample_modes(seen, seen, expected, most_unexplained=1.45) is None
    # Of modes and something else the more the modes leave the less is believed.
    for other, most, taken in ((0.5, 1.45, False), (0.05, 1.45, True), (0.05, 1.0, False)):
        both = response(RESONANCES, DAMPING, SHAPES) + other * pattern[:, :1]
        seen = seen_of(both, 100.0 * np.ones(len(FREQUENCY)))
        found = sample_modes(seen, seen, expected_of(both), most_unexplained=most)
        assert (found is not None) == taken


def test_long_windows_overrule_short_ones_that_mix_frequencies():
    pattern = response([180.0, 420.0], [0.04, 0.03], [[1.0, 0.3], [-0.4, 0.8], [0.1, 0.5]])
    power = 1e5 * np.ones(len(FREQUENCY))
    fine = seen_of(pattern, power)
    mixed = sum(np.roll(fine.covariance, shift, axis=0) for shift in (-1, 0, 1)) / 3
    short = Seen(FREQUENCY, mixed, fine.looks)
    expected = expected_of(pattern, 0.3, 1)
    truly = [180.0, 420.0]
    errors = []
    for long in (fine, short):
        found = sample_modes(short, long, expected)
        assert found is not None
        nearest = [np.abs(found.likeliest.frequency_hz / one - 1).min() for one in truly]
        errors.append(max(nearest))
    assert errors[0] < 0.02
    assert errors[0] < errors[1]


def settled():
    """What is found of two modes, the power of their motion, their inverse, and one of no modes."""
    seen = seen_of(TWO, falling(1000.0))
    found = sample_modes(seen, seen, expected_of(TWO, 0.1))
    assert found is not None
    motion = falling(1.0) * (np.abs(TWO) ** 2).sum(axis=1) * modal_band(FREQUENCY, 60.0)
    right = TWO.conj() / (np.abs(TWO) ** 2).sum(axis=1, keepdims=True)
    return found, motion, right, np.tile(right[5], (len(FREQUENCY), 1))


def test_what_a_filter_leaves_of_resonances_is_predicted():
    found, motion, right, rigid = settled()
    mean = found.unmixing(FREQUENCY, band_of(falling(1000.0)))
    good, bad, best = (found.clearness_db(one, FREQUENCY, motion) for one in (right, rigid, mean))
    assert good > 12
    assert bad < 8
    assert best > good - 1
    # Neither a sign nor a fraction of a sample counts.
    late = right * -np.exp(0.5j * np.pi * FREQUENCY / FREQUENCY[-1])[:, None]
    assert found.clearness_db(late, FREQUENCY, motion) == pytest.approx(good, abs=1)


def test_what_a_filter_leaves_of_resonances_and_noise_is_predicted():
    model = ModalModel(np.array([200.0]), np.array([0.1]), np.array([[1.0], [-0.5]]), 0.0)
    found = Posterior(model, [model], np.ones(1))
    pattern = model.response(FREQUENCY)
    rng = np.random.default_rng(1)

    def normal(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    spectrum, level = falling(2.0), np.full(len(FREQUENCY), 0.3)
    sound = normal(400, len(FREQUENCY)) * np.sqrt(spectrum)
    heard = sound[:, :, None] * pattern + normal(400, len(FREQUENCY), 2) * np.sqrt(0.3)
    right = pattern.conj() / (np.abs(pattern) ** 2).sum(axis=1, keepdims=True)
    along = np.tile(np.array([[1.0, -0.5]]) / 1.25, (len(FREQUENCY), 1)) + 0j
    motion = spectrum * (np.abs(pattern) ** 2).sum(axis=1)
    predicted = [found.clearness_db(one, FREQUENCY, motion, level) for one in (right, along)]
    for unmixing, told in zip((right, along), predicted, strict=True):
        filtered = (heard * unmixing).sum(axis=2)
        loud = spectrum * np.abs((unmixing * pattern).sum(axis=1)) ** 2
        filtered *= loud / (loud + 0.3 * (np.abs(unmixing) ** 2).sum(axis=1))
        delays = np.exp(np.pi * 1j * np.linspace(-1, 1, 9)[:, None] * FREQUENCY / FREQUENCY[-1])
        alike = max(abs((sound.conj() * filtered * one).sum().real) for one in delays)
        share = alike**2 / ((np.abs(sound) ** 2).sum() * (np.abs(filtered) ** 2).sum())
        # Of the least mean square error, as a share of the sound.
        assert told == pytest.approx(-10 * np.log10(1 - share), abs=0.2)
    # Where the noise is strong, to undo a resonance is no gain.
    assert predicted[0] < found.clearness_db(right, FREQUENCY, motion) - 20


def test_modes_seen_in_the_motion_are_not_bent_to_what_is_expected():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    seen = seen_of(pattern, falling(1000.0))
    found = sample_modes(seen, seen, expected_of(pattern, 0.5, 3))
    assert found is not None
    assert len(found.likeliest.frequency_hz) == 4
    assert found.likeliest.frequency_hz == pytest.approx(RESONANCES, rel=0.04)


def test_what_is_expected_far_off_costs_little():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    seen = seen_of(pattern, falling(1000.0))
    sure = Expected(expected_of(pattern, 3.0).log_power, np.full(len(FREQUENCY), 5.0))
    alone = identify_modes(seen)
    found = sample_modes(seen, seen, sure, alone=alone)
    assert found is not None
    assert found.likeliest.frequency_hz == pytest.approx(RESONANCES, rel=0.08)


def test_two_modes_are_heard_better_than_the_motion_alone_lets_them():
    gained = []
    for seed in range(5):
        shapes = np.random.default_rng(seed).normal(size=(3, 2))
        pattern = response([180.0, 420.0], [0.15, 0.08], shapes)
        # A sound with bands of its own, which motion alone takes for the object's.
        bands = np.sin(5 * np.log(np.maximum(FREQUENCY, 30)) + seed)
        power = falling(300.0) * np.exp(1.5 * bands)
        seen = seen_of(pattern, power, seed)
        alone = identify_modes(seen)
        expected = expected_of(pattern, 0.2, seed)
        found = sample_modes(seen, seen, expected, alone=alone)
        assert alone is not None
        assert found is not None
        seen = alone.response(FREQUENCY)
        plain = seen.conj() / (np.abs(seen) ** 2).sum(axis=1, keepdims=True)
        heard = band_of(power * (np.abs(pattern) ** 2).sum(axis=1))
        mean = found.unmixing(FREQUENCY, heard)
        within = power * modal_band(FREQUENCY, 60.0)
        gained.append(misheard_db(plain, pattern, within) - misheard_db(mean, pattern, within))
    assert np.median(gained) > 8


def test_two_filters_that_err_for_different_reasons_err_less_together():
    found, motion, right, rigid = settled()
    wave = np.sin(6 * np.log(np.maximum(FREQUENCY, 30.0)))[:, None]
    one, two = right * np.exp(0.5 * wave), right * np.exp(0.5j * wave)
    power = falling(1.0) * modal_band(FREQUENCY, 60.0)
    apart = min(misheard_db(each, TWO, power) for each in (one, two))
    both = found.joined(one, two, FREQUENCY, motion)
    assert misheard_db(both, TWO, power) < apart - 2
    # Of what sign and size the other is does not matter.
    np.testing.assert_allclose(found.joined(one, -30 * two, FREQUENCY, motion), both, atol=1e-9)
    # What all models say is far off counts for little.
    with_it = found.joined(right, rigid, FREQUENCY, motion)
    assert misheard_db(with_it, TWO, power) < misheard_db(rigid, TWO, power) - 10


def test_sign_and_size_of_models_do_not_cancel_in_the_mean():
    one = ModalModel(np.array([300.0]), np.array([0.1]), np.array([[1.0], [0.5]]), 0.0)
    other = ModalModel(one.frequency_hz, one.damping, -20 * one.shapes, 0.0)
    seen = seen_of(one.response(FREQUENCY), falling(1000.0))
    found = sample_modes(seen, seen, expected_of(one.response(FREQUENCY)))
    assert found is not None
    heard = band_of(falling(1000.0))
    weight = np.array([0.5, 0.5])
    both = type(found)(one, [one, other], weight).unmixing(FREQUENCY, heard)
    alone = type(found)(one, [one], np.ones(1)).unmixing(FREQUENCY, heard)
    np.testing.assert_allclose(both, alone, rtol=1e-9)


def test_the_walk_reaches_as_far_as_the_likelihood_does():
    pattern = response(RESONANCES, DAMPING, SHAPES)
    used = modal_band(FREQUENCY, 40.0)
    whole = expected_of(pattern)
    search = ModalSearch(
        seen_of(pattern, falling(1000.0)).at(used),
        Expected(whole.log_power[used], whole.weight[used]),
    )
    best = search.whole.climbed(Candidate(np.log(RESONANCES), np.log(DAMPING), SHAPES), 200)
    visited = search.whole.walk(best, 12000, 300, np.random.default_rng(0))
    spread = np.std([one.log_frequency for one in visited], axis=0)
    curvature = search.whole.curvature(best)
    expected = np.sqrt(np.diag(np.linalg.inv(curvature))[:4])
    assert spread == pytest.approx(expected, rel=0.5)
    costs = [search.whole.cost(one.packed(), 4)[0] for one in visited]
    # Of a Gaussian each dimension costs a half: 4 resonances, 4 dampings, 20 shapes of one size.
    assert np.mean(costs) + search.likelihood(best) == pytest.approx(27 / 2, rel=0.4)


def test_evidence_is_for_as_many_modes_as_there_are():
    pattern = response(RESONANCES[:3], DAMPING[:3], SHAPES[:, :3])
    used = modal_band(FREQUENCY, 40.0)
    whole = expected_of(pattern, 0.1)
    search = ModalSearch(
        seen_of(pattern, falling(1000.0)).at(used),
        Expected(whole.log_power[used], whole.weight[used]),
    )
    pool, evidence = [search.rigid()], []
    for modes in range(1, 6):
        pool = search.with_modes(modes, pool)
        evidence.append(search.whole.log_evidence(pool[0]))
    assert np.argmax(evidence) == 2


def test_the_same_motion_gives_the_same_modes():
    seen = seen_of(TWO, falling(1000.0))
    one, other = (sample_modes(seen, seen, expected_of(TWO, 0.1)) for _ in range(2))
    assert one is not None
    assert other is not None
    heard = band_of(falling(1000.0))
    np.testing.assert_array_equal(one.unmixing(FREQUENCY, heard), other.unmixing(FREQUENCY, heard))
