"""Covariances of factor signals of objects with known modes, and what may be expected of them."""

import numpy as np
from visualmic.motion.modal_model import Expected, Seen

FREQUENCY = np.arange(257) * 2200 / 512
LOOKS = 25.0


def response(resonances, damping, shapes):
    ratio = FREQUENCY[:, None] / np.asarray(resonances)
    transfer = 1 / (1 - ratio**2 + 2j * np.asarray(damping) * ratio)
    return transfer @ np.asarray(shapes).T


def seen_of(pattern, power, seed=0, looks=LOOKS):
    """What is seen of channels that hear `pattern` times a sound of `power`, in unit noise."""
    rng = np.random.default_rng(seed)
    frequencies, channels = pattern.shape
    count = round(looks)

    def normal(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    sound = normal(count, frequencies, 1) * np.sqrt(power)[:, None]
    heard = sound * pattern + normal(count, frequencies, channels)
    covariance = np.einsum("wfi,wfj->fij", heard, heard.conj()) / count
    return Seen(FREQUENCY, covariance, np.full(frequencies, looks))


SHAPES = np.random.default_rng(5).standard_normal((5, 4))
RESONANCES, DAMPING = np.array([150.0, 260, 440, 700]), np.array([0.1, 0.07, 0.15, 0.1])


def falling(level):
    """Power of a sound that falls with frequency as voices do."""
    return level * (200 / np.maximum(FREQUENCY, 60)) ** 2


def expected_of(pattern, wrong=0.0, seed=0):
    """Expect the power of a response, within smooth errors of some size."""
    rng = np.random.default_rng(seed)
    off = sum(
        rng.standard_normal() * np.sin(n * np.log(np.maximum(FREQUENCY, 30)) + rng.uniform(0, 6))
        for n in range(1, 5)
    )
    log_power = np.log((np.abs(pattern) ** 2).sum(axis=1)) + wrong * off
    return Expected(log_power, np.full(len(FREQUENCY), 1 / 15 / (0.2 + wrong) ** 2))
