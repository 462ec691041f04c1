"""The likelihood of modes, given how the direction of motion turns with frequency, and priors.

:mod:`visualmic.motion.modal` derives it.
"""

from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import Held
from visualmic.motion.modal_climb import CLIMB_ROWS, REMEMBERED, modal_climb
from visualmic.motion.modal_kernels import (
    DAMPING_SPREAD,
    SIZE_FALL,
    SIZE_SPREAD,
    TYPICAL_DAMPING,
    modal_cost,
    penalised_cost,
    random_walk,
    room_for,
)
from visualmic.motion.modal_model import Expected, ModalModel, Seen, resonators
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra

# Where the resonance is of what follows the sound as it is, as a logarithm.
FLAT = np.log(1e6)
_LEAST_HZ = 25.0
# Modes above so many times the highest frequency heard cannot be told apart.
_ABOVE_TOP = 3.0
_LEAST_DAMPING, _MOST_DAMPING = 0.005, 1.5
# Spread of the sound's power about its smooth trend; neighbours within a few bins rise and fall
# together.
_POWER_SPREAD = 1.2
_ALIKE_BINS = 5.0
_TREND_ORDER = 3
# Power over the noise beyond which what is left is the model's error, not noise.
_MODEL_LIMIT = 1000.0
# Neighbouring bins share a window: so many of them see what one alone would.
BINS_A_LOOK = 1.5
# What is expected may be far out: what that can cost grows ever slower beyond this.
_MOST_DOUBT = 20.0


@dataclass(frozen=True)
class Candidate:
    """Modes that may be the object's: logarithms of resonance and damping (M,), shapes (K, M)."""

    log_frequency: Floats
    log_damping: Floats
    shapes: Floats

    @classmethod
    def unpacked(cls, packed: Floats, count: int) -> "Candidate":
        """Take `count` modes from a row of numbers, (2 * M + K * M,)."""
        shapes = packed[2 * count :].reshape(-1, count)
        return cls(packed[:count], packed[count : 2 * count], shapes)

    @classmethod
    def of(cls, model: ModalModel) -> "Candidate":
        """Take the modes of a model."""
        return cls(np.log(model.frequency_hz), np.log(model.damping), model.shapes)

    @property
    def rigid(self) -> bool:
        """Whether all that moves follows the sound as it is."""
        return len(self.log_frequency) == 1 and bool(self.log_frequency[0] >= FLAT)

    def packed(self) -> Floats:
        """Give one row of numbers, (2 * M + K * M,), the largest of the shapes at one."""
        shapes = self.shapes / max(float(np.abs(self.shapes).max()), 1e-30)
        return np.concatenate([self.log_frequency, self.log_damping, shapes.ravel()])

    def model(self, unexplained: float = 0.0) -> ModalModel:
        """Give the modes by rising frequency."""
        order = np.argsort(self.log_frequency)
        return ModalModel(
            np.exp(self.log_frequency[order]),
            np.exp(self.log_damping[order]),
            self.shapes[:, order],
            unexplained,
        )


class Likelihood:
    """Cost of modes on some frequencies: minus the penalised log-likelihood, and its gradient.

    Parameters
    ----------
    seen : Seen
    expected : Expected or None
        What is expected of the response; modes are then held to be alike in size, and apart.
    trust : ndarray, float64, (F,), optional
        How surely something is heard at each frequency, from 0 to 1.
    limit : float, optional
        Power over the noise beyond which what is left is the model's error.
    """

    def __init__(
        self,
        seen: Seen,
        expected: Expected | None,
        trust: Floats | None = None,
        limit: float = _MODEL_LIMIT,
    ) -> None:
        frequency = np.ascontiguousarray(seen.frequency_hz, np.float64)
        values, vectors = np.linalg.eigh(seen.covariance)
        self.frequency = frequency
        self._covariance = np.ascontiguousarray(seen.covariance, np.complex128)
        self._loudest, self._direction = values[:, -1], vectors[:, :, -1]
        loud = np.maximum(self._loudest - 1, 0)
        self.trust: Floats = np.ones(len(frequency)) if trust is None else trust
        self.weight: Floats = self.trust * seen.looks / BINS_A_LOOK / (1 + loud / limit)
        self.most = float((self.weight * evidence(self._loudest)).sum())
        self._heard = loud / (3 + loud) / (2 * _POWER_SPREAD**2 * _ALIKE_BINS)
        scale = np.log(frequency) - np.log(frequency).mean()
        powers = np.vander(scale, _TREND_ORDER + 1)
        self._expected = np.empty(0)
        if expected is not None:
            self._expected = np.ascontiguousarray(expected.log_power, np.float64)
            self._heard = expected.weight / 2
            powers = powers[:, -1:]
        root = np.sqrt(self._heard + 1e-12)[:, None]
        self._trend = powers @ np.linalg.inv(np.linalg.qr(root * powers)[1])
        self._heard = np.ascontiguousarray(self._heard, np.float64)
        seen_as = (self.frequency, self._covariance, self.weight)
        self._seen = tuple(Held(one) for one in seen_as)
        self._weighed = Held(self._heard)
        self._priors = (Held(self._trend), Held(self._expected))
        self._doubt = _MOST_DOUBT if expected is not None else 1e9
        self._rooms: dict[int, tuple[Held, ...]] = {}

    def tempered(self, by: float) -> None:
        """Let the direction count for less, by a factor of more than one."""
        self.weight /= by
        self.most /= by

    def likelihood(self, modes: Candidate) -> float:
        """Logarithm of the likelihood, less the penalties."""
        return -self.cost(modes.packed(), len(modes.log_frequency))[0]

    def explained(self, modes: Candidate) -> float:
        """Logarithm of the likelihood; of the direction alone, where something is expected."""
        if not len(self._expected):
            return self.likelihood(modes)
        packed, count = modes.packed(), len(modes.log_frequency)
        return -modal_cost(packed, count, *self._told(count, Held(0 * self._heard), np.empty(0)))

    def cost(self, packed: Floats, count: int) -> tuple[float, Floats]:
        """Minus the penalised log-likelihood of packed modes, and its derivatives."""
        gradient = np.empty(len(packed))
        told = self._told(count, self._weighed, gradient)
        return penalised_cost(packed, count, len(self._expected) > 0, *told), gradient

    def _told(self, count: int, heard: Held, receiver: Floats) -> Any:
        """Give what the kernels are told of direction and priors, and what receives answers."""
        if count not in self._rooms:
            bins, channels, _ = self._covariance.shape
            self._rooms[count] = room_for(bins, channels, count)
        rooms = self._rooms[count]
        return (*self._seen, heard, *self._priors, self._doubt, *rooms, receiver)

    def climbed(self, modes: Candidate, steps: int) -> Candidate:
        """Climb by so many quasi-Newton steps; in several threads at once, if so called."""
        packed, count = modes.packed(), len(modes.log_frequency)
        bins, channels, _ = self._covariance.shape
        memory = np.empty((CLIMB_ROWS, max(REMEMBERED, len(packed))))
        seen = (*self._seen, self._weighed, *self._priors, self._doubt)
        # Room of its own: other threads climb at the same time.
        told: Any = (*self.bounds(count), *seen, *room_for(bins, channels, count), memory)
        modal_climb(packed, count, steps, len(self._expected) > 0, *told)
        return Candidate.unpacked(packed, count)

    def polished(self, modes: Candidate, steps: int = 30) -> Candidate:
        """Climb by Levenberg and Marquardt's steps, which follow the long valleys of the cost."""
        count = len(modes.log_frequency)
        packed = modes.packed()
        value = self.cost(packed, count)[0]
        stiff = 1e-3
        for _ in range(steps):
            left, slopes = self._residuals(packed, count)
            normal, pull = slopes.T @ slopes, slopes.T @ left
            for _ in range(6):
                ridge = stiff * normal.diagonal() + 1e-9 * normal.trace() / len(normal)
                tried = packed - np.linalg.solve(normal + np.diag(ridge), pull)
                tried[: 2 * count] = np.clip(tried[: 2 * count], *self.bounds(count))
                new = self.cost(tried, count)[0]
                if new < value:
                    break
                stiff *= 5
            else:
                break
            gained, packed, value, stiff = value - new, tried, new, stiff / 5
            if gained < 1e-2:
                break
        return Candidate.unpacked(packed, count)

    def bounds(self, count: int) -> tuple[Floats, Floats]:
        """Lowest and highest logarithms of resonances and dampings, each (2 * M,)."""
        top = np.log(_ABOVE_TOP * self.frequency[-1])
        low = np.repeat([np.log(_LEAST_HZ), np.log(_LEAST_DAMPING)], count)
        return low, np.repeat([top, np.log(_MOST_DAMPING)], count)

    def curvature(self, modes: Candidate) -> Floats:
        """Second derivatives (P, P) of the cost, as far as first ones tell, with weak bounds."""
        packed, count = modes.packed(), len(modes.log_frequency)
        slopes = self._residuals(packed, count)[1]
        low, high = self.bounds(1)
        weak = np.zeros(len(packed))
        weak[:count] = 12 / (high[0] - low[0]) ** 2
        shapes = packed[2 * count :]
        weak[2 * count :] = len(shapes) / float(shapes @ shapes)
        return np.asarray(2 * slopes.T @ slopes + np.diag(weak))

    def log_evidence(self, modes: Candidate) -> float:
        """Logarithm of the probability of all that was heard, around a maximum (Laplace)."""
        packed, count = modes.packed(), len(modes.log_frequency)
        shapes = packed[2 * count :]
        size, dimensions = float(np.linalg.norm(shapes)), len(shapes)
        # The common size of all shapes is free, and no dimension.
        outward = np.zeros((1, len(packed)))
        outward[0, 2 * count :] = shapes / size
        along = np.linalg.svd(outward)[2][1:]
        sphere = np.log(2) + dimensions / 2 * np.log(np.pi) - lgamma(dimensions / 2)
        prior = np.log(2) - sphere - (dimensions - 1) * np.log(size)
        if modes.rigid:
            along = along[np.abs(along[:, :2]).max(axis=1) < 0.5]
        else:
            low, high = self.bounds(1)
            prior += lgamma(count + 1) - count * np.log(high[0] - low[0])
            prior -= count * np.log(DAMPING_SPREAD * np.sqrt(2 * np.pi))
            prior -= (count - 1) * np.log(SIZE_SPREAD * np.sqrt(2 * np.pi) / 2)
        bend = np.linalg.slogdet(along @ self.curvature(modes) @ along.T)[1]
        around = len(along) / 2 * np.log(2 * np.pi) - bend / 2
        return float(self.likelihood(modes) + prior + around)

    def unexplained(self, modes: Candidate) -> float:
        """Power that the modes leave, over that of noise in as many dimensions; 1 is all right."""
        channels = self._covariance.shape[1]
        if channels == 1:
            return 0.0
        pattern = modes.model().response(self.frequency)
        left = np.trace(self._covariance, axis1=1, axis2=2).real - self._power(pattern)
        wanted = (channels - 1) * self.weight
        return float((self.weight * left).sum() / max(float(wanted.sum()), 1e-30))

    def walk(
        self, modes: Candidate, steps: int, keep: int, rng: np.random.Generator
    ) -> list[Candidate]:
        """Visit modes around a maximum, each as often as it is likely.

        Parameters
        ----------
        modes : Candidate
            The maximum.
        steps, keep : int
            How far to go, and how many places to keep.
        rng : Generator
        """
        packed, count = modes.packed(), len(modes.log_frequency)
        values, vectors = np.linalg.eigh(self.curvature(modes))
        stride = vectors / np.sqrt(np.maximum(values, 1e-9 * values[-1]))
        visited = np.tile(packed, (keep, 1))
        random_walk(
            packed,
            self.cost(packed, count)[0],
            count,
            np.ascontiguousarray(stride),
            rng.standard_normal((steps, len(packed))),
            rng.uniform(size=steps),
            *self.bounds(count),
            *self._told(count, self._weighed, visited),
        )
        return [Candidate.unpacked(row, count) for row in visited]

    def _residuals(self, packed: Floats, count: int) -> tuple[Floats, Floats]:
        """Give what is left of direction and priors, (N,), and its derivatives (N, P)."""
        log_frequency, log_damping = packed[:count], packed[count : 2 * count]
        shapes = packed[2 * count :].reshape(-1, count)
        transfer, by_frequency, by_damping = resonators(self.frequency, log_frequency, log_damping)
        pattern = transfer @ shapes.T
        bins, channels = pattern.shape
        change = np.zeros((bins, channels, len(packed)), np.complex128)
        change[:, :, :count] = by_frequency[:, None] * shapes
        change[:, :, count : 2 * count] = by_damping[:, None] * shapes
        for channel in range(channels):
            first = (2 + channel) * count
            change[:, channel, first : first + count] = transfer
        size = np.linalg.norm(pattern, axis=1)
        unit = pattern / size[:, None]
        change /= size[:, None, None]
        growth = np.einsum("fk,fkp->fp", unit.conj(), change).real
        change -= unit[:, :, None] * growth[:, None]
        along = self._direction[:, :, None]
        loud = np.maximum(self._loudest - 1, 0)
        trust = np.sqrt(self.weight * loud**2 / (1 + loud))[:, None]
        unit -= along[:, :, 0] * (along.conj() * unit[:, :, None]).sum(axis=1)
        change -= along * np.einsum("fk,fkp->fp", along[:, :, 0].conj(), change)[:, None]
        turned = (trust * unit).ravel()
        slopes = (trust[:, :, None] * change).reshape(-1, len(packed))
        root = np.sqrt(self._heard)
        level = self._expected
        if not len(level):
            level = np.log(np.maximum(self._power(pattern) - 1, 1e-3))
        level = level - 2 * np.log(size)
        rough = root * self._off_trend(level)
        if len(self._expected):
            root = root / np.sqrt(1 + float(rough @ rough) / _MOST_DOUBT)
            rough = root * self._off_trend(level)
        rough_slopes = root[:, None] * self._off_trend(-2 * growth)
        off = (log_damping - np.log(TYPICAL_DAMPING)) / DAMPING_SPREAD / np.sqrt(2)
        off_slopes = np.zeros((count, len(packed)))
        off_slopes[:, count : 2 * count] = np.eye(count) / DAMPING_SPREAD / np.sqrt(2)
        left = [turned.real, turned.imag, rough, off]
        left_slopes = [slopes.real, slopes.imag, rough_slopes, off_slopes]
        if len(self._expected) and count > 1:
            uneven, uneven_slopes = _uneven_sizes(packed, count)
            left.append(uneven)
            left_slopes.append(uneven_slopes)
        return np.concatenate(left), np.concatenate(left_slopes)

    def _power(self, pattern: Spectra) -> Floats:
        heard = (self._covariance @ pattern[:, :, None])[:, :, 0]
        power = (pattern.conj() * heard).real.sum(axis=1)
        return np.asarray(power / (np.abs(pattern) ** 2).sum(axis=1))

    def _off_trend(self, level: Floats) -> Floats:
        """Give what a smooth trend over frequency, (F,) or (F, P), does not explain."""
        return np.asarray(level - self._trend @ (self._trend.T @ (self._heard * level.T).T))


def _uneven_sizes(packed: Floats, count: int) -> tuple[Floats, Floats]:
    """How far each mode's size is from what is usual, as the prior has it, and its derivatives."""
    shapes = packed[2 * count :].reshape(-1, count)
    square = (shapes**2).sum(axis=0) + 1e-30
    size = 0.5 * np.log(square) + SIZE_FALL * packed[:count]
    slopes = np.zeros((count, len(packed)))
    slopes[:, :count] = SIZE_FALL * np.eye(count)
    for channel, row in enumerate(shapes):
        first = (2 + channel) * count
        slopes[:, first : first + count] = np.diag(row / square)
    scale = 1 / (SIZE_SPREAD * np.sqrt(2))
    return scale * (size - size.mean()), scale * (slopes - slopes.mean(axis=0))


def trust_in(seen: Seen) -> Floats:
    """How surely something is heard at each frequency, (F,), from 0 to 1.

    The largest eigenvalue of noise alone is above one as well, and its direction means nothing.
    """
    taper = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    loudest = np.pad(np.linalg.eigvalsh(seen.covariance)[:, -1], 2, mode="edge")
    edge = (1 + np.sqrt(seen.covariance.shape[1] / seen.looks)) ** 2
    power = np.maximum(np.convolve(loudest, taper, "valid") - edge, 0)
    return np.asarray(power / (1 + power))


def with_smooth_sound(expected: Expected, seen: Seen) -> Expected:
    """Join to what is expected that the power of the sound changes smoothly with frequency.

    What stands out of a smooth trend in the power of the motion is then the response's.
    """
    loud = np.maximum(np.linalg.eigvalsh(seen.covariance)[:, -1] - 1, 1e-3)
    weight = loud / (3 + loud) / (_POWER_SPREAD**2 * _ALIKE_BINS)
    level = np.log(loud)
    powers = np.vander(np.log(seen.frequency_hz / seen.frequency_hz.mean()), _TREND_ORDER + 1)
    root = np.sqrt(weight)
    trend = np.linalg.lstsq(
        root[:, None] * powers, root * (level - expected.log_power), rcond=None
    )[0]
    both = expected.weight + weight
    rough = level - powers @ trend
    return Expected((expected.weight * expected.log_power + weight * rough) / both, both)


def evidence(power: Floats) -> NDArray[np.float64]:
    """Give what power over the noise, (F,), adds to the logarithm of the likelihood, (F,)."""
    power = np.maximum(power, 1)
    return np.asarray(power - 1 - np.log(power))
