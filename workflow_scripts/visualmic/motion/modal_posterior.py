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

from visualmic.motion.modal import CLEARLY, LEAST_BINS, modal_band
from visualmic.motion.modal_likelihood import Candidate
from visualmic.motion.modal_model import Expected, ModalModel
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
# How many times as far from all modes as noise would have it the direction may be.
_MOST_TEMPER = 2.5
# How much likelier than evidence has it an object is that follows the sound as it is, as a
# logarithm: what was clear is left alone.
_RIGID_ODDS = 1.5


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


def sample_modes(
    covariance: Spectra,
    frequency_hz: Floats,
    looks: float,
    expected: Expected,
    *,
    lowest_hz: float = 40.0,
    alone: ModalModel | None = None,
) -> Posterior | None:
    """Visit the modes that an object may have, each as often as it is likely.

    Parameters
    ----------
    covariance : ndarray, complex, (F, K, K)
        Of the factor signals at each frequency, in units of their white noise.
    frequency_hz : ndarray, float64, (F,)
    looks : float
        Independent observations that each covariance is the mean of.
    expected : Expected
        What is expected of the response.
    lowest_hz : float
        Where the motion is that of modes, and not yet that of the camera.
    alone : ModalModel, optional
        Found from the motion alone: one more place to start from.

    Returns
    -------
    Posterior or None
        None where the band is too narrow, no modes explain how the direction turns, or an object
        that follows the sound as it is does as well.
    """
    used = modal_band(frequency_hz, lowest_hz)
    if np.count_nonzero(used) < LEAST_BINS:
        return None
    within = Expected(expected.log_power[used], expected.weight[used])
    search = ModalSearch(covariance[used], frequency_hz[used], looks, within)
    maxima = _maxima(search)
    if alone is not None:
        maxima.append(search.maximum(search.whole, Candidate.of(alone), 40))
    least = min(search.most - search.explained(one) for one in maxima)
    noise = search.noise * float(search.whole.trust.mean())
    temper = least / noise if noise > 0 else 1.0
    if temper > _MOST_TEMPER:
        return None
    if temper > 1:
        search.whole.tempered(temper)
        maxima = [search.maximum(search.whole, one, 40) for one in maxima]
    evidence = np.array([search.whole.log_evidence(one) for one in maxima])
    if search.whole.log_evidence(search.rigid()) + _RIGID_ODDS > evidence.max():
        return None
    order = np.argsort(-evidence)[:_STARTS]
    order = order[evidence[order] > evidence.max() - _MUCH_LESS]
    rng = np.random.default_rng(0)
    models = [
        one.model() for i in order for one in search.whole.walk(maxima[i], _STEPS, _PLACES, rng)
    ]
    weight = np.repeat(np.exp(evidence[order] - evidence.max()), _PLACES)
    return Posterior(maxima[order[0]].model(), models, weight / weight.sum())


def _maxima(search: ModalSearch) -> list[Candidate]:
    """Find modes that are likely, with every number of modes that may be worth it."""
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
    return found
