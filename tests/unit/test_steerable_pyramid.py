"""The pyramid against the reference implementation and against physics."""

import warnings

import numpy as np
import pytest
from visualmic.errors import VisualMicError
from visualmic.motion.steerable_pyramid import SteerablePyramid, largest_scale_count


def reference_coefficients(frame, scales, orientations):
    import pyrtools

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Reconstruction will not be perfect")
        return pyrtools.pyramids.SteerablePyramidFreq(
            frame.astype(float), height=scales, order=orientations - 1, is_complex=True
        ).pyr_coeffs


@pytest.mark.parametrize("shape", [(64, 48), (65, 48), (64, 49), (65, 49), (37, 101), (33, 33)])
@pytest.mark.parametrize(("scales", "orientations"), [(1, 2), (2, 3), (3, 2), (3, 4), (3, 8)])
def test_coefficients_are_those_of_pyrtools(shape, scales, orientations):
    frames = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    coefficients = SteerablePyramid(shape, scales, orientations).coefficients(frames)
    assert set(coefficients) == {(s, b) for s in range(scales) for b in range(orientations)}
    for index, frame in enumerate(frames):
        expected = reference_coefficients(frame, scales, orientations)
        for subband, found in coefficients.items():
            assert found.dtype == np.complex64
            assert found[index].shape == expected[subband].shape
            error = np.abs(found[index] - expected[subband]).max()
            assert error < 1e-5 * np.abs(expected[subband]).max()


@pytest.mark.parametrize("shape", [(16, 16), (9, 8), (8, 9), (97, 61), (128, 96)])
def test_the_tallest_pyramid_is_that_of_pyrtools(shape):
    scales = largest_scale_count(shape)
    frame = np.random.default_rng(1).integers(0, 256, (1, *shape)).astype(np.float32)
    expected = reference_coefficients(frame[0], scales, 2)
    for subband, found in SteerablePyramid(shape, scales, 2).coefficients(frame).items():
        error = np.abs(found[0] - expected[subband]).max()
        assert error < 1e-5 * np.abs(expected[subband]).max()
    with pytest.raises(ValueError, match="higher than"):
        reference_coefficients(frame[0], scales + 1, 2)


def test_critical_sampling_takes_coefficients_from_the_full_grid():
    frames = np.random.default_rng(4).integers(0, 256, (2, 64, 80)).astype(np.float32)
    full = SteerablePyramid((64, 80), 2, 2).coefficients(frames)
    pyramid = SteerablePyramid((64, 80), 2, 2, critical=True)
    sparse = pyramid.coefficients(frames)
    for subband, coefficients in sparse.items():
        assert pyramid.density(subband) == 0.5
        every_other = (
            (slice(None), slice(None, None, 2)) if subband[1] else (Ellipsis, slice(None, None, 2))
        )
        expected = full[subband][every_other]
        assert expected.shape == (2, *pyramid.subband_shape(subband))
        np.testing.assert_allclose(coefficients, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(64, 80), (65, 77), (30, 211)])
@pytest.mark.parametrize("orientations", [2, 3, 4, 8])
def test_critical_sampling_keeps_the_energy(shape, orientations):
    frames = np.random.default_rng(5).integers(0, 256, (1, *shape)).astype(np.float32)
    full = SteerablePyramid(shape, 2, orientations).coefficients(frames)
    pyramid = SteerablePyramid(shape, 2, orientations, critical=True)
    for subband, coefficients in pyramid.coefficients(frames).items():
        energy = np.sum(np.abs(coefficients) ** 2) / pyramid.density(subband)
        assert energy == pytest.approx(np.sum(np.abs(full[subband]) ** 2), rel=1e-5)


def test_the_phase_of_a_grating_follows_its_shift():
    x = np.arange(64)
    pyramid = SteerablePyramid((64, 64), 2, 2)
    cycles, shift = 14 / 64, 0.03
    still, moved = (
        np.broadcast_to(100 + 50 * np.cos(2 * np.pi * cycles * (x - d)), (1, 64, 64)).astype(
            np.float32
        )
        for d in (0.0, shift)
    )
    before = pyramid.coefficients(still)[0, 0]
    after = pyramid.coefficients(moved)[0, 0]
    np.testing.assert_allclose(
        np.angle(after * before.conj()), -2 * np.pi * cycles * shift, atol=1e-5
    )


def test_an_orientation_sees_gratings_along_its_own_axis():
    x = np.arange(64)
    along_x = np.broadcast_to(np.cos(2 * np.pi * 16 / 64 * x), (1, 64, 64)).astype(np.float32)
    coefficients = SteerablePyramid((64, 64), 1, 2).coefficients(along_x)
    assert np.abs(coefficients[0, 0]).mean() > 1e4 * np.abs(coefficients[0, 1]).mean()
    turned = SteerablePyramid((64, 64), 1, 2).coefficients(along_x.transpose(0, 2, 1).copy())
    assert np.abs(turned[0, 1]).mean() > 1e4 * np.abs(turned[0, 0]).mean()


@pytest.mark.parametrize("critical", [False, True])
def test_white_noise_has_the_variance_that_the_gain_says(critical):
    pyramid = SteerablePyramid((64, 96), 3, 2, critical=critical)
    noise = np.random.default_rng(2).normal(0, 2.0, (40, 64, 96)).astype(np.float32)
    for subband, coefficients in pyramid.coefficients(noise).items():
        expected = 4.0 * pyramid.white_noise_gain(subband)
        assert np.mean(np.abs(coefficients) ** 2) == pytest.approx(expected, rel=0.05)


def test_frequencies_halve_from_scale_to_scale():
    pyramid = SteerablePyramid((128, 128), 3, 4)
    frequencies = [pyramid.centre_frequency((scale, 1)) for scale in range(3)]
    assert 0.25 < frequencies[0] < 0.5
    assert frequencies[1] / frequencies[2] == pytest.approx(2.0, rel=0.02)


def test_frames_are_independent_of_their_batch():
    frames = np.random.default_rng(3).integers(0, 256, (5, 40, 56)).astype(np.float32)
    pyramid = SteerablePyramid((40, 56), 2, 3)
    together = pyramid.coefficients(frames)
    for index in range(5):
        for subband, alone in pyramid.coefficients(frames[index : index + 1]).items():
            scale = np.abs(alone).max()
            np.testing.assert_allclose(together[subband][index], alone[0], atol=1e-6 * scale)


@pytest.mark.parametrize(
    ("shape", "scales", "orientations", "said"),
    [
        ((64, 20), 3, 2, "from 1 to 2"),
        ((64, 64), 0, 2, "from 1 to 4"),
        ((7, 64), 1, 2, "too small"),
        ((0, 0), 1, 2, "too small"),
        ((64, 64), 2, 1, "orientations is 1"),
        ((64, 64), 2, 17, "orientations is 17"),
    ],
)
def test_a_pyramid_that_cannot_be_is_refused_with_what_can(shape, scales, orientations, said):
    with pytest.raises(VisualMicError, match=said):
        SteerablePyramid(shape, scales, orientations)


def test_frames_of_another_size_are_refused():
    with pytest.raises(VisualMicError, match="do not fit"):
        SteerablePyramid((32, 32), 1, 2).coefficients(np.zeros((1, 32, 33), np.float32))
