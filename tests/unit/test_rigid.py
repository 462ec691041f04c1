"""How much of the motion is that of the picture as a whole."""

import numpy as np
import pytest
from channels import made_motion, noise
from numpy.typing import NDArray
from visualmic.motion.beam import Beam
from visualmic.motion.hearing import combine_lucas_kanade
from visualmic.motion.reference import Floats
from visualmic.motion.rigid import rigid_part
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Spectra
from visualmic.motion.wiener import Learned, WienerSettings, wiener_gain

FPS, FRAMES = 1000.0, 3000


def moved(
    shape: NDArray[np.float64], amplitude: float = 0.1, keyframes: tuple[int, ...] = ()
) -> MotionSignals:
    """Give channels of blocks that a voice moves to the right, each as far as `shape` says."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.standard_normal(FRAMES))
    frequency = np.fft.rfftfreq(FRAMES, 1 / FPS)
    spectrum[(frequency < 80) | (frequency > 400)] = 0
    sound = np.fft.irfft(spectrum, FRAMES)
    still = made_motion(noise(FRAMES), FPS)
    pattern = (np.asarray(still.arrays["whitener"])[:, :, 0] * shape[:, None]).ravel()
    signals = still.signals + amplitude * np.outer(sound / sound.std(), pattern)
    return made_motion(signals, FPS, keyframes)


def beam_of(motion: MotionSignals) -> Beam:
    heard: list[Beam] = []

    def listen(beam: Beam, settings: WienerSettings, frequency: Floats) -> tuple[Spectra, Floats]:
        heard.append(beam)
        return wiener_gain(beam, settings, frequency)

    combine_lucas_kanade(motion, None, Learned(None, listen))
    return heard[-1]


def bending() -> NDArray[np.float64]:
    """Give the shape of a first mode, which has no node: the hardest to tell from rigid motion."""
    place = np.sin(np.pi * (np.arange(8) + 0.5) / 8)
    return np.outer(place, place).ravel()


@pytest.mark.parametrize("keyframes", [(), tuple(range(0, FRAMES, 60))])
def test_what_moves_as_a_whole_is_rigid_and_what_bends_is_not(keyframes: tuple[int, ...]) -> None:
    rigid, bent = (beam_of(moved(shape, 0.02, keyframes)) for shape in (np.ones(64), bending()))
    assert rigid.whole > 0.99
    assert rigid.rigid
    assert 0.3 < bent.whole < 0.9
    assert not bent.rigid
    assert rigid.lossy == bent.lossy == bool(keyframes)


def test_the_share_of_rigid_motion_is_that_of_the_pattern() -> None:
    motion = made_motion(noise(100), FPS)
    whitener = np.asarray(motion.arrays["whitener"], np.float64).reshape(128, 2)
    variance = np.linspace(0.5, 2, 128)
    root = np.sqrt(variance)
    rng = np.random.default_rng(2)
    # Two directions of rigid motion, and one that is none, orthonormal in channels of unit noise.
    space = np.linalg.qr(np.c_[whitener / root[:, None], rng.standard_normal(128)])[0]
    part = rigid_part(motion, variance, space / root[:, None])
    assert part.shape == (2, 3)
    shares = [float(((part @ one) ** 2).sum()) for one in np.eye(3)]
    np.testing.assert_allclose(shares, [1, 1, 0], atol=1e-6)
