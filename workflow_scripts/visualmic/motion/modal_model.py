"""Modes of an object, as its motion shows them, and what is expected of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra


@dataclass(frozen=True)
class ModalModel:
    """Modes of an object as the motion channels see them.

    Attributes
    ----------
    frequency_hz, damping : ndarray, float64, (M,)
        Resonance and damping ratio of each mode, by rising frequency.
    shapes : ndarray, float64, (K, M)
        What each channel sees of each mode, at any common scale.
    unexplained : float
        Share of the turning of the direction, beyond the noise's, that is not the modes'.
    """

    frequency_hz: Floats
    damping: Floats
    shapes: Floats
    unexplained: float

    def response(self, frequency_hz: Floats) -> Spectra:
        """From sound to channels at `frequency_hz` (F,): complex (F, K)."""
        transfer = resonators(frequency_hz, np.log(self.frequency_hz), np.log(self.damping))[0]
        response: Spectra = transfer @ self.shapes.T
        return response

    def cancelling(self, frequency_hz: Floats, weight: Floats) -> float:
        """Set the power of all modes, one by one, against that of their sum, at a mean frequency.

        Parameters
        ----------
        frequency_hz, weight : ndarray, float64, (F,)
        """
        transfer = resonators(frequency_hz, np.log(self.frequency_hz), np.log(self.damping))[0]
        each = np.abs(transfer) ** 2 @ (self.shapes**2).sum(axis=0)
        together = (np.abs(transfer @ self.shapes.T) ** 2).sum(axis=1)
        return float((weight * each / np.maximum(together, 1e-30)).sum() / weight.sum())


@dataclass(frozen=True)
class Seen:
    """What is seen of the direction of motion at each frequency.

    Attributes
    ----------
    frequency_hz : ndarray, float64, (F,)
    covariance : ndarray, complex, (F, K, K)
        Of the factor signals, in units of their white noise.
    looks : ndarray, float64, (F,)
        Independent observations that each covariance is the mean of.
    """

    frequency_hz: Floats
    covariance: Spectra
    looks: Floats

    def at(self, chosen: NDArray[np.bool_]) -> "Seen":
        """Give some of the frequencies (F,)."""
        return Seen(self.frequency_hz[chosen], self.covariance[chosen], self.looks[chosen])


@dataclass(frozen=True)
class Expected:
    """What is expected of the object's response, from what its motion sounds like.

    Attributes
    ----------
    log_power : ndarray, float64, (F,)
        Logarithm of the power of the response in all channels, up to a constant.
    weight : ndarray, float64, (F,)
        Inverse variance of that, divided by the number of neighbours that err alike.
    """

    log_power: Floats
    weight: Floats


def resonators(
    frequency: Floats, log_frequency: Floats, log_damping: Floats
) -> tuple[Spectra, Spectra, Spectra]:
    """Resonators' responses (F, M), and their derivatives by the logarithms of both parameters."""
    ratio = frequency[:, None] * np.exp(-log_frequency)
    damped = 2j * np.exp(log_damping) * ratio
    response = 1 / (1 - ratio**2 + damped)
    square = response**2
    return response, square * (damped - 2 * ratio**2), -square * damped
