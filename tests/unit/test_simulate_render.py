"""Displaced frames against Fourier shifts and against the trigonometric polynomial itself."""

import numpy as np
import pytest
from visualmic.simulate.render import Renderer
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.textures import MARGIN, make_texture

SIZE = (40, 56)
WORST_PX = 1e-5


def texture_of(kind: str) -> np.ndarray:
    return make_texture(SimulationSettings(object=kind, height=SIZE[0], width=SIZE[1], seed=5))


def fourier_shift(texture: np.ndarray, x: float, y: float) -> np.ndarray:
    omega_y = 2 * np.pi * np.fft.fftfreq(texture.shape[0])[:, None]
    omega_x = 2 * np.pi * np.fft.rfftfreq(texture.shape[1])[None, :]
    turned = np.fft.rfft2(texture) * np.exp(-1j * (omega_x * x + omega_y * y))
    return in_frame(np.fft.irfft2(turned, s=texture.shape))


def in_frame(image: np.ndarray) -> np.ndarray:
    return image[MARGIN : MARGIN + SIZE[0], MARGIN : MARGIN + SIZE[1]]


def displacement_error(texture: np.ndarray, error: np.ndarray) -> float:
    """Shift in pixels along x that would change the frame as much as `error` does."""
    slope = (fourier_shift(texture, -1e-3, 0) - fourier_shift(texture, 1e-3, 0)) / 2e-3
    return float(np.sqrt((error**2).sum() / (slope**2).sum()))


@pytest.mark.parametrize("kind", ["rigid", "crisp-packet", "plant-leaf", "foil"])
@pytest.mark.parametrize(
    "shift", [(0.002, 0.0), (0.05, -0.03), (0.125, 0.125), (-0.4, 0.31), (1.2, -0.9), (-3, 2.87)]
)
def test_a_rigid_shift_equals_the_fourier_shift(kind, shift):
    texture = texture_of(kind)
    shapes = np.ones((1, 2, *SIZE), dtype=np.float32)
    shapes[0, 1] = 0.0
    reach = np.array([[min(shift[0], 0), max(shift[0], 0)], [min(shift[1], 0), max(shift[1], 0)]])
    out = np.empty((1, *SIZE), dtype=np.float32)
    Renderer(texture, shapes, reach).render(
        np.array([[shift[0]]]), np.array([[0.0, shift[1]]]), np.array([0]), np.array([1.0]), out
    )
    error = out[0] - fourier_shift(texture, *shift)
    assert displacement_error(texture, error) < WORST_PX


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 0.6, 2.5])
def test_flexing_modes_equal_the_trigonometric_polynomial(amplitude):
    texture = texture_of("foil")
    rng = np.random.default_rng(2)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 40
    shapes = np.stack(
        [
            np.stack([np.sin(a * x + b * y + c), np.cos(b * x - c * y)])
            for a, b, c in rng.random((3, 3)) * 3
        ]
    ).astype(np.float32)
    modes = amplitude * np.array([[0.5, -0.2, 0.1]])
    moved = np.tensordot(modes[0], shapes.astype(float), axes=1)
    reach = np.stack([moved.min(axis=(1, 2)), moved.max(axis=(1, 2))], axis=1)
    out = np.empty((1, *SIZE), dtype=np.float32)
    Renderer(texture, shapes, reach).render(
        modes, np.zeros((1, 2)), np.array([0]), np.array([1.0]), out
    )
    spectrum = np.fft.fft2(texture) / texture.size
    omega_y = 2 * np.pi * np.fft.fftfreq(texture.shape[0])
    omega_x = 2 * np.pi * np.fft.fftfreq(texture.shape[1])
    error = np.zeros(SIZE)
    for row in range(0, SIZE[0], 3):
        for column in range(0, SIZE[1], 5):
            at_y = np.exp(1j * omega_y * (MARGIN + row - moved[1, row, column]))
            at_x = np.exp(1j * omega_x * (MARGIN + column - moved[0, row, column]))
            error[row, column] = out[0, row, column] - (at_y @ spectrum @ at_x).real
    assert np.abs(error).max() < 1e-3
    assert displacement_error(texture, error) * np.sqrt(15) < WORST_PX


def test_moments_of_an_exposure_are_averaged():
    texture = texture_of("rigid")
    shapes = np.zeros((1, 2, *SIZE), dtype=np.float32)
    renderer = Renderer(texture, shapes, np.array([[-1.0, 1.0], [0.0, 0.0]]))
    out = np.empty((2, *SIZE), dtype=np.float32)
    renderer.render(
        np.zeros((3, 1)),
        np.array([[-0.5, 0.0], [0.9, 0.0], [0.3, 0.0]]),
        np.array([1, 1, 0]),
        np.array([0.25, 0.75, 1.0]),
        out,
    )
    blurred = 0.25 * fourier_shift(texture, -0.5, 0) + 0.75 * fourier_shift(texture, 0.9, 0)
    np.testing.assert_allclose(out[1], blurred, atol=2e-3)
    np.testing.assert_allclose(out[0], fourier_shift(texture, 0.3, 0), atol=2e-3)


@pytest.mark.parametrize("kind", ["rigid", "crisp-packet", "plant-leaf", "foil"])
def test_a_texture_has_nothing_beyond_its_band_and_the_contrast_asked_for(kind):
    texture = texture_of(kind)
    frame = in_frame(texture)
    assert frame.mean() == pytest.approx(128)
    assert frame.std() == pytest.approx(40)
    power = np.abs(np.fft.fft2(texture - texture.mean())) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in texture.shape), indexing="ij"))
    assert power[radius > 0.43].sum() < 1e-20 * power.sum()
    # Energy at several scales: coarse, middle and fine structure each hold some.
    for low, high in ((0.0, 0.05), (0.05, 0.15), (0.15, 0.43)):
        assert power[(radius > low) & (radius <= high)].sum() > 2e-3 * power.sum()
