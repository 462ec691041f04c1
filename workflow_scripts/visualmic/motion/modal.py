r"""Blind modal identification: what the object itself did to the sound, from how it bends.

One sound `s` drives every mode of an object, each a second-order resonator with a shape of its own,
so the factor signals of the motion channels are

.. math:: y(f) = v(f)\, s(f) + n(f), \qquad
          v(f) = \sum_m \frac{\phi_m}{1 - r_m^2 + 2 i \zeta_m r_m}, \qquad r_m = f / f_m,

with real :math:`\phi_m`. The sound is unknown, but not the *direction* of `v(f)`, along which the
covariance :math:`R(f)` stands out of the unit noise: as frequency rises through the resonances
the pattern of motion turns from one shape to the next, and how it turns tells all
:math:`f_m, \zeta_m, \phi_m`. With the power of the sound free at each frequency, the likelihood is

.. math:: \ell = \sum_f N \left[p - 1 - \log p\right]_{p > 1}, \qquad
          p(f) = \frac{v^H R v}{v^H v} ,

to which come a log-normal prior of the damping and one of the sound: its power
:math:`(p - 1) / v^H v` changes smoothly with frequency, without the object's resonances. A factor
common to all modes leaves the direction as it is and cannot be found: an object with a single
mode keeps its resonance. Where something is known of the response beforehand, as the logarithm of
its power at each frequency and how much that counts, this takes the place of the prior of the
sound, and one mode may be found too.

References
----------
.. [1] L. Tong and S. Perreau, "Multichannel blind identification: from subspace to maximum
   likelihood methods", Proceedings of the IEEE 86(10), 1998.
.. [2] P. Verboven, P. Guillaume, B. Cauberghe, S. Vanlanduit and E. Parloo, "Modal parameter
   estimation from input-output Fourier data using frequency-domain maximum likelihood
   identification", Journal of Sound and Vibration 276, 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize

from visualmic.motion.modal_kernels import modal_cost
from visualmic.motion.modal_model import Expected, ModalModel, resonators
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra

_TYPICAL_DAMPING = 0.1
_LEAST_HZ = 25.0
_LEAST_DAMPING, _MOST_DAMPING = 0.005, 1.5
# Spread of the damping, as a logarithm, and of the sound's power about its smooth trend; neighbours
# within a few bins rise and fall together.
_DAMPING_SPREAD = 0.7
_POWER_SPREAD = 1.2
_ALIKE_BINS = 5.0
_TREND_ORDER = 3
# Power over the noise beyond which what is left is the model's error, not noise.
_MODEL_LIMIT = 1000.0
# Neighbouring bins share a window: so many of them see what one alone would.
_BINS_A_LOOK = 1.5
# Logarithm of the likelihood that one more mode must bring; and its share of all the turning, or of
# what was left of it. Less is noise, or motion that is not quite linear.
_WORTH = 20.0
_LEAST_SHARE, _LEAST_OF_REST = 0.006, 0.3
# The same for a single mode, which only what is expected of the response can show; and what of the
# worth of a second and of further ones must then come from how the direction turns.
_WORTH_OF_ONE = 8.0
_LEAST_TURNING = (5.0, 10.0)
# What is expected may be far out: what that can cost grows ever slower beyond this.
_MOST_DOUBT = 6.0
# How much likelier other modes must be, by what is expected, than those found without it.
_OVERRULES = 4.0
# How far the likeliest modes may be from what is expected where none are found without it.
_MOST_OFF = 5.0
# How far the direction must turn beyond what noise lets it, and the share of that turning that
# modes may leave unexplained.
_CLEARLY = 4.0
_MOST_UNEXPLAINED = 0.04
# Where so many modes leave more than half of the turning, and each further one more than half of
# that, as many as there are will not explain it: what turns is no object's.
_MODES_FOR_HALF = 3
# How much more the modes may move than their sum: modes that all but cancel are no object's.
_MOST_CANCELLING = 20.0
_FLAT = np.log(1e6)
_FIRST_STEPS = 8


def identify_modes(
    covariance: Spectra,
    frequency_hz: Floats,
    looks: float,
    *,
    lowest_hz: float = 40.0,
    most: int = 7,
    expected: Expected | None = None,
    alone: "ModalModel | None" = None,
) -> ModalModel | None:
    """Find the modes that turn the direction of motion with frequency.

    Parameters
    ----------
    covariance : ndarray, complex, (F, K, K)
        Of the factor signals at each frequency, in units of their white noise.
    frequency_hz : ndarray, float64, (F,)
    looks : float
        Independent observations that each covariance is the mean of.
    lowest_hz : float
        Where the motion is that of modes, and not yet that of the camera.
    most : int
        Most modes to look for.
    expected : Expected, optional
        Takes the place of the prior that the sound's power is smooth over frequency.
    alone : ModalModel, optional
        What was found without it, and is kept unless what is expected clearly says otherwise.

    Returns
    -------
    ModalModel or None
        None where the direction does not turn, or turns in another way than resonances do it.
    """
    used = (frequency_hz >= lowest_hz) & (frequency_hz < 0.97 * frequency_hz[-1])
    if np.count_nonzero(used) < 24 or (covariance.shape[1] < 2 and expected is None):
        return None
    if expected is not None:
        expected = Expected(expected.log_power[used], expected.weight[used])
    fit = _Fit(covariance[used], frequency_hz[used], looks, expected)
    best = fit.rigid()
    turning = fit.most - fit.explained(best)
    turns = covariance.shape[1] > 1 and turning >= _CLEARLY * fit.noise
    pool = [best]
    found: tuple[_Modes, ModalModel] | None = None
    left, cancelling = turning - fit.noise, 0.0
    for modes in range(1 if expected else 2, (most if turns else 1) + 1):
        pool = fit.with_modes(modes, pool)
        worth, turned = max(_WORTH, min(_LEAST_SHARE * turning, _LEAST_OF_REST * left)), -np.inf
        if cancelling >= _MOST_CANCELLING:
            # What is not believed is easily given up.
            worth = _WORTH
        if modes == 1:
            worth = _WORTH_OF_ONE
        elif expected is not None:
            turned = _LEAST_TURNING[modes > 2]
        gained = fit.likelihood(pool[0]) - fit.likelihood(best)
        if gained < worth or fit.explained(pool[0]) - fit.explained(best) < turned:
            if modes == 1:
                continue
            break
        best = pool[0]
        left = fit.most - fit.explained(best) - fit.noise
        share = max(left, 0.0) / (turning - fit.noise) if turns else 0.0
        model = best.model(share)
        cancelling = model.cancelling(frequency_hz[used], fit.heard)
        if share <= _MOST_UNEXPLAINED and cancelling < _MOST_CANCELLING:
            found = best, model
        if share > 0.5 ** (modes + 1 - _MODES_FOR_HALF):
            break
    # Enough modes turn in any way: a search that does not come to its end has found nothing.
    if found is None or len(best.log_frequency) >= most:
        return alone
    if alone is not None:
        before = _Modes(np.log(alone.frequency_hz), np.log(alone.damping), alone.shapes)
        if fit.likelihood(found[0]) - fit.likelihood(before) < _OVERRULES:
            return alone
    elif expected is not None and fit.explained(found[0]) - fit.likelihood(found[0]) > _MOST_OFF:
        return None
    return found[1]


@dataclass(frozen=True)
class _Modes:
    log_frequency: Floats
    log_damping: Floats
    shapes: Floats

    def packed(self) -> Floats:
        shapes = self.shapes / max(float(np.abs(self.shapes).max()), 1e-30)
        return np.concatenate([self.log_frequency, self.log_damping, shapes.ravel()])

    def model(self, unexplained: float) -> ModalModel:
        order = np.argsort(self.log_frequency)
        return ModalModel(
            np.exp(self.log_frequency[order]),
            np.exp(self.log_damping[order]),
            self.shapes[:, order],
            unexplained,
        )


class _Fit:
    """The penalised likelihood of modes, and the search for its maximum.

    The search takes every few of the frequencies, which the window makes alike anyway, and only the
    last climb all of them.
    """

    def __init__(
        self, covariance: Spectra, frequency: Floats, looks: float, expected: Expected | None
    ) -> None:
        values, vectors = np.linalg.eigh(covariance)
        loudest, direction = values[:, -1], vectors[:, :, -1]
        self._whole = _Likelihood(covariance, frequency, looks, loudest, direction, expected)
        step = max(1, len(frequency) // 80)
        some = slice(None, None, step)
        if expected is not None:
            expected = Expected(expected.log_power[some], step * expected.weight[some])
        self._coarse = _Likelihood(
            covariance[some],
            frequency[some],
            looks * step,
            loudest[some],
            direction[some],
            expected,
        )
        self._channels = covariance.shape[1]
        self._covariance = covariance
        self._loudest = direction[some]
        loud = np.maximum(loudest - 1, 0)
        self.heard = loud / (1 + loud)
        self._trust = self._coarse.weight * self.heard[some]
        self._candidates = np.linspace(np.log(60.0), np.log(frequency[-1]), 8)
        self.most = self._whole.most
        # What noise takes from the likelihood at each frequency: half for each real dimension.
        self.noise = len(frequency) * (self._channels - 1) / _BINS_A_LOOK

    def likelihood(self, modes: _Modes) -> float:
        """Logarithm of the likelihood on all frequencies, less the penalties."""
        return self._whole.likelihood(modes)

    def explained(self, modes: _Modes) -> float:
        """Logarithm of the likelihood; without what is expected, where something is."""
        return self._whole.explained(modes)

    def rigid(self) -> _Modes:
        """Give the best model whose direction is the same at every frequency."""
        weighed = (self._whole.weight[:, None, None] * self._covariance).real.sum(axis=0)
        shape = np.linalg.eigh(weighed)[1][:, -1:]
        return _Modes(np.array([_FLAT]), np.array([np.log(_TYPICAL_DAMPING)]), shape)

    def with_modes(self, modes: int, pool: Sequence[_Modes]) -> list[_Modes]:
        """Find good models with a number of modes, the best first, from those with one fewer."""
        places = self._candidates
        starts: list[tuple[Floats, Floats]] = []
        usual = np.log(_TYPICAL_DAMPING)
        if modes == 1:
            return self._climb([(np.array([place]), np.array([usual])) for place in places])
        if modes == 2:
            pairs = [(a, b) for i, a in enumerate(places) for b in places[i + 1 :: 2]]
            starts = [(np.array(pair), np.full(2, usual)) for pair in pairs]
        else:
            for one in pool:
                starts += [
                    (np.append(one.log_frequency, place), np.append(one.log_damping, usual))
                    for place in places
                ]
            even = np.linspace(np.log(80.0), places[-1], modes + 2)[1:-1]
            starts.append((even, np.full(modes, usual)))
        found = self._climb(starts)
        for some in (places[::2], places[1::2]):
            # A mode that holds a poor place is lifted out and put elsewhere.
            starts = []
            for moved in range(modes):
                for place in some:
                    frequency = found[0].log_frequency.copy()
                    damping = found[0].log_damping.copy()
                    frequency[moved], damping[moved] = place, usual
                    starts.append((frequency, damping))
            found = self._climb(starts, found)
        last = max(
            (self._maximum(self._whole, found[0], 40), self._whole.polished(found[0])),
            key=self.likelihood,
        )
        return [last, *found[1:]]

    def _climb(
        self, starts: Sequence[tuple[Floats, Floats]], known: Sequence[_Modes] = ()
    ) -> list[_Modes]:
        """Climb a little from all starts, then further from ever fewer; those known compete."""
        tried = [_Modes(f, z, self._shapes(f, z)) for f, z in starts]
        rough = [self._maximum(self._coarse, one, _FIRST_STEPS) for one in tried]
        rough.sort(key=self._coarse.likelihood, reverse=True)
        rough = [self._maximum(self._coarse, one, 20) for one in rough[: max(6, len(rough) // 3)]]
        rough += known
        rough.sort(key=self._coarse.likelihood, reverse=True)
        fine = [self._maximum(self._coarse, one, 80) for one in rough[:2]]
        return sorted(fine, key=self._coarse.likelihood, reverse=True)

    def _maximum(self, on: "_Likelihood", start: _Modes, steps: int) -> _Modes:
        count = len(start.log_frequency)
        low, high = on.bounds(count)
        bounds = list(zip(low, high, strict=True))
        bounds += [(-np.inf, np.inf)] * (self._channels * count)
        packed = minimize(
            on.cost,
            start.packed(),
            (count,),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": steps, "maxcor": 20},
        ).x
        shapes = packed[2 * count :].reshape(self._channels, count)
        return _Modes(packed[:count], packed[count : 2 * count], shapes)

    def _shapes(self, log_frequency: Floats, log_damping: Floats) -> Floats:
        """Shapes (K, M) whose motion lies nearest to the loudest directions: an eigenproblem."""
        transfer = resonators(self._coarse.frequency, log_frequency, log_damping)[0]
        transfer /= np.linalg.norm(transfer, axis=1, keepdims=True)
        pairs = transfer[:, :, None].conj() * transfer[:, None, :]
        channels, modes = self._channels, len(log_frequency)
        along = self._loudest[:, :, None] * self._loudest[:, None, :].conj()
        weighed = self._trust[:, None, None] * pairs
        total = np.kron(np.eye(channels), weighed.sum(axis=0).real)
        inside = (along.reshape(-1, channels**2).T @ weighed.reshape(-1, modes**2)).real
        inside = inside.reshape(channels, channels, modes, modes).transpose(0, 2, 1, 3)
        size = channels * modes
        total += 1e-6 * np.trace(total) / size * np.eye(size)
        outside = total - inside.reshape(size, size)
        nearest = eigh(outside, total, subset_by_index=[0, 0])[1][:, 0]
        return np.asarray(nearest.reshape(channels, modes))


class _Likelihood:
    """Cost of modes on some frequencies: minus the penalised log-likelihood, and its gradient."""

    def __init__(
        self,
        covariance: Spectra,
        frequency: Floats,
        looks: float,
        loudest: Floats,
        direction: Spectra,
        expected: Expected | None,
    ) -> None:
        self.frequency = frequency
        self._covariance = np.ascontiguousarray(covariance, np.complex128)
        loud = np.maximum(loudest - 1, 0)
        self.weight = looks / _BINS_A_LOOK / (1 + loud / _MODEL_LIMIT)
        self.most = float((self.weight * _evidence(loudest)).sum())
        self._loudest, self._direction = loudest, direction
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

    def likelihood(self, modes: _Modes) -> float:
        return -self.cost(modes.packed(), len(modes.log_frequency))[0]

    def explained(self, modes: _Modes) -> float:
        if not len(self._expected):
            return self.likelihood(modes)
        return -self.cost(modes.packed(), len(modes.log_frequency), 0 * self._heard)[0]

    def cost(self, packed: Floats, count: int, heard: Floats | None = None) -> tuple[float, Floats]:
        gradient = np.empty(len(packed))
        value = modal_cost(
            packed,
            count,
            self.frequency,
            self._covariance,
            self.weight,
            self._heard if heard is None else heard,
            self._trend,
            self._expected,
            _MOST_DOUBT if len(self._expected) else 1e9,
            gradient,
        )
        off = (packed[count : 2 * count] - np.log(_TYPICAL_DAMPING)) / _DAMPING_SPREAD
        gradient[count : 2 * count] += off / _DAMPING_SPREAD
        return value + 0.5 * float(off @ off), gradient

    def polished(self, modes: _Modes, steps: int = 30) -> _Modes:
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
        shapes = packed[2 * count :].reshape(-1, count)
        return _Modes(packed[:count], packed[count : 2 * count], shapes)

    def bounds(self, count: int) -> tuple[Floats, Floats]:
        top = np.log(3 * self.frequency[-1])
        low = np.repeat([np.log(_LEAST_HZ), np.log(_LEAST_DAMPING)], count)
        return low, np.repeat([top, np.log(_MOST_DAMPING)], count)

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
        off = (log_damping - np.log(_TYPICAL_DAMPING)) / _DAMPING_SPREAD / np.sqrt(2)
        off_slopes = np.zeros((count, len(packed)))
        off_slopes[:, count : 2 * count] = np.eye(count) / _DAMPING_SPREAD / np.sqrt(2)
        return (
            np.concatenate([turned.real, turned.imag, rough, off]),
            np.concatenate([slopes.real, slopes.imag, rough_slopes, off_slopes]),
        )

    def _power(self, pattern: Spectra) -> Floats:
        heard = (self._covariance @ pattern[:, :, None])[:, :, 0]
        power = (pattern.conj() * heard).real.sum(axis=1)
        return np.asarray(power / (np.abs(pattern) ** 2).sum(axis=1))

    def _off_trend(self, level: Floats) -> Floats:
        """Give what a smooth trend over frequency, (F,) or (F, P), does not explain."""
        return np.asarray(level - self._trend @ (self._trend.T @ (self._heard * level.T).T))


def _evidence(power: Floats) -> NDArray[np.float64]:
    power = np.maximum(power, 1)
    return np.asarray(power - 1 - np.log(power))
