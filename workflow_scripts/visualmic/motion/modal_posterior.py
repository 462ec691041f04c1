r"""What modes an object may have, where something is known of its sound: not one answer, but all.

How the direction of motion turns with frequency leaves much open
(:mod:`visualmic.motion.modal`): modes that are far from the true ones may explain it as well,
within the noise, and give sounds that are far from the true one. Where the power of the response is
expected, :math:`\log |v(f)|^2 \approx \mu(f) + \text{const}` within :math:`\sigma(f)`, the
probability of any modes :math:`\theta` is

.. math:: p(\theta \mid R, \mu) \propto e^{\ell(\theta) / T}\, p(\mu \mid \theta)\, p(\theta),

where :math:`T` makes up for what no modes explain, and the prior holds dampings near a tenth, modes
of one object alike in size and apart in frequency. The linear estimate of the sound of least mean
square error is the mean over all of them,

.. math:: \hat s(f) = E\left[\frac{v^H}{v^H v}\right] y(f),

which trusts each frequency as far as they agree there. For every number of modes the search finds
maxima, their evidence (Laplace's approximation) says what each counts, and a random walk
(Metropolis) from each visits the modes around it.

What loud sounds tell of the direction is only as good as the spectra: a short window mixes
directions of neighbouring frequencies. The search takes short windows, but what is likely is
judged on long ones.

References
----------
.. [1] W. K. Hastings, "Monte Carlo sampling methods using Markov chains and their applications",
   Biometrika 57(1), 1970.
.. [2] R. E. Kass and A. E. Raftery, "Bayes factors", Journal of the American Statistical
   Association 90(430), 1995.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualmic.motion.modal import (
    CLEARLY,
    LEAST_BINS,
    climb_finely,
    fine_likelihood,
    gets_nowhere,
    modal_band,
)
from visualmic.motion.modal_likelihood import Candidate, with_smooth_sound
from visualmic.motion.modal_model import Expected, ModalModel, Seen
from visualmic.motion.modal_search import ModalSearch
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import Spectra

_MOST_MODES = 6
# So many more modes that bring no evidence end the search.
_PATIENCE = 2
# Maxima from which is walked: at most so many, and none whose evidence is that much less, as a
# logarithm.
_STARTS, _MUCH_LESS = 3, 12.0
_STEPS, _PLACES = 4000, 60
# How much likelier than evidence has it an object is that follows the sound as it is, as a
# logarithm: what was clear is left alone.
_RIGID_ODDS = 1.5
# How many times the error that the models themselves predict of their mean it is taken to have.
_UNDERSTATED = 4.0
# Delays, in samples, that a sound may have and be none the worse for.
_DELAYS = np.linspace(-1, 1, 9)


@dataclass(frozen=True)
class Posterior:
    """Modes that an object may have.

    Attributes
    ----------
    likeliest : ModalModel
    models : sequence of ModalModel
        All that were visited.
    weight : ndarray, float64, (N,)
        How likely each is; they sum to one.
    """

    likeliest: ModalModel
    models: Sequence[ModalModel]
    weight: Floats

    def unmixing(self, frequency_hz: Floats, heard: Floats) -> Spectra:
        """Give the filter from factor signals to sound of least mean square error.

        Parameters
        ----------
        frequency_hz : ndarray, float64, (F,)
        heard : ndarray, float64, (F,)
            How well the sound is heard, 0 to 1: there all models are held to be equally loud, and
            of one sign.

        Returns
        -------
        ndarray, complex, (F, K)
        """
        total: Spectra = np.zeros((len(frequency_hz), 1), np.complex128)
        first: Spectra | None = None
        for weight, model in zip(self.weight, self.models, strict=True):
            response = model.response(frequency_hz)
            power = (np.abs(response) ** 2).sum(axis=1)
            loudness = np.exp((heard * np.log(power)).sum() / heard.sum())
            response = response / np.sqrt(loudness)
            inverse = response.conj() / (power / loudness)[:, None]
            first = response if first is None else first
            alike = float((heard[:, None] * first * response.conj()).real.sum())
            total = total + weight * np.copysign(1.0, alike) * inverse
        return total

    def joined(
        self, unmixing: Spectra, other: Spectra, frequency_hz: Floats, power: Floats
    ) -> Spectra:
        """Give the mean of two filters that err for different reasons, the surer counting more.

        Parameters
        ----------
        unmixing : ndarray, complex, (F, K)
            Of :meth:`unmixing`.
        other : ndarray, complex, (F, K)
            At any gain, which may be negative.
        frequency_hz : ndarray, float64, (F,)
        power : ndarray, float64, (F,)
            Of the motion, without its noise.

        Returns
        -------
        ndarray, complex, (F, K)
        """
        own, others = (
            10 ** (-self.clearness_db(one, frequency_hz, power) / 10) for one in (unmixing, other)
        )
        share = min(_UNDERSTATED * own / (_UNDERSTATED * own + others), 0.5)
        response = self.likeliest.response(frequency_hz)
        sound = power / (np.abs(response) ** 2).sum(axis=1)
        one, two = ((each * response).sum(axis=1) for each in (unmixing, other))
        alike = float((sound * (one * two.conj()).real).sum())
        size = float((sound * np.abs(two) ** 2).sum())
        return np.asarray((1 - share) * unmixing + share * alike / max(size, 1e-30) * other)

    def clearness_db(
        self, unmixing: Spectra, frequency_hz: Floats, power: Floats, noise: Floats | None = None
    ) -> float:
        """Predict the SI-SDR that a filter leaves, in dB.

        Parameters
        ----------
        unmixing : ndarray, complex, (F, K)
        frequency_hz : ndarray, float64, (F,)
        power : ndarray, float64, (F,)
            Of the motion, without its noise.
        noise : ndarray, float64, (F,), optional
            Power of the noise in each direction, of which a Wiener filter takes what it can;
            without it resonances alone are what spoils the sound.
        """
        through = np.zeros(len(frequency_hz))
        if noise is not None:
            through = noise * (np.abs(unmixing) ** 2).sum(axis=1)
        delays = np.exp(np.pi * 1j * _DELAYS[:, None] * frequency_hz / frequency_hz[-1])
        distortion = 0.0
        for weight, model in zip(self.weight, self.models, strict=True):
            response = model.response(frequency_hz)
            sound = power / (np.abs(response) ** 2).sum(axis=1)
            left = (unmixing * response).sum(axis=1)
            loud = sound * np.abs(left) ** 2
            gain = loud / np.maximum(loud + through, 1e-30)
            left = gain * left * delays
            alike = (sound * left).sum(axis=1).real
            square = (sound * np.abs(left) ** 2 + gain**2 * through).sum(axis=1)
            best = float(np.max(alike**2 / square)) / max(float(sound.sum()), 1e-30)
            distortion += float(weight) * (1 - best)
        return float(-10 * np.log10(max(distortion, 1e-10)))


def sample_modes(
    seen: Seen,
    fine: Seen,
    expected: Expected,
    *,
    lowest_hz: float = 40.0,
    alone: ModalModel | None = None,
    most_unexplained: float = np.inf,
) -> Posterior | None:
    """Visit the modes that an object may have, each as often as it is likely.

    Parameters
    ----------
    seen, fine : Seen
        In short windows, and in long ones, of
        :func:`visualmic.motion.long_windows.see_in_long_windows`.
    expected : Expected
        What is expected of the response at the frequencies of `seen`.
    lowest_hz : float
        Where the motion is that of modes, and not yet that of the camera.
    alone : ModalModel, optional
        Found from the motion alone: one more place to start from.
    most_unexplained : float
        How many times the power of noise modes may leave.

    Returns
    -------
    Posterior or None
        None where the band is too narrow, modes leave too much, or an object that follows the sound
        as it is explains as much.
    """
    used = modal_band(seen.frequency_hz, lowest_hz)
    if np.count_nonzero(used) < LEAST_BINS:
        return None
    seen, fine = seen.at(used), fine.at(modal_band(fine.frequency_hz, lowest_hz))
    expected = with_smooth_sound(Expected(expected.log_power[used], expected.weight[used]), seen)
    search = ModalSearch(seen, expected)
    maxima = _maxima(search)
    if not maxima:
        return None
    if alone is not None:
        maxima.append(search.whole.climbed(Candidate.of(alone), 40))

    whole = fine_likelihood(seen, fine, expected)
    maxima = [climb_finely(whole, one) for one in maxima]
    unexplained = min(whole.unexplained(one) for one in maxima)
    if unexplained > most_unexplained:
        return None
    if unexplained > 1:
        whole.tempered(unexplained)
        maxima = [whole.climbed(one, 40) for one in maxima]
    evidence = np.array([whole.log_evidence(one) for one in maxima])
    if whole.log_evidence(search.rigid()) + _RIGID_ODDS > evidence.max():
        return None
    order = np.argsort(-evidence)[:_STARTS]
    order = order[evidence[order] > evidence.max() - _MUCH_LESS]
    rng = np.random.default_rng(0)
    models = [one.model() for i in order for one in whole.walk(maxima[i], _STEPS, _PLACES, rng)]
    weight = np.repeat(np.exp(evidence[order] - evidence.max()), _PLACES)
    return Posterior(maxima[order[0]].model(), models, weight / weight.sum())


def _maxima(search: ModalSearch) -> list[Candidate]:
    """Find modes that are likely, with every number of modes that may be worth it.

    None where all may be for nothing, and as it goes will be.
    """
    pool = [search.rigid()]
    turning = search.most - search.explained(pool[0])
    turns = search.noise > 0 and turning >= CLEARLY * search.noise
    found: list[Candidate] = []
    best, without = -np.inf, 0
    for modes in range(1, (_MOST_MODES if turns else 1) + 1):
        pool = search.with_modes(modes, pool)
        found += pool[:2]
        most = max(search.whole.log_evidence(one) for one in pool[:2])
        without = 0 if most > best + 1 else without + 1
        best = max(best, most)
        if without >= _PATIENCE:
            break
        left = search.most - search.explained(pool[0]) - search.noise
        if turns and gets_nowhere(modes, left / (turning - search.noise)):
            return []
    return found
