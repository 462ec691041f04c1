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
mode keeps its resonance. :mod:`visualmic.motion.modal_posterior` settles what is left open where
more is known of sounds.

References
----------
.. [1] L. Tong and S. Perreau, "Multichannel blind identification: from subspace to maximum
   likelihood methods", Proceedings of the IEEE 86(10), 1998.
.. [2] P. Verboven, P. Guillaume, B. Cauberghe, S. Vanlanduit and E. Parloo, "Modal parameter
   estimation from input-output Fourier data using frequency-domain maximum likelihood
   identification", Journal of Sound and Vibration 276, 2004.
"""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.modal_likelihood import (
    Candidate,
    Likelihood,
    trust_in,
    with_smooth_sound,
)
from visualmic.motion.modal_model import Expected, ModalModel, Seen
from visualmic.motion.modal_search import ModalSearch
from visualmic.motion.reference import Floats

LEAST_BINS = 24
# Logarithm of the likelihood that one more mode must bring; and its share of all the turning, or of
# what was left of it. Less is noise, or motion that is not quite linear.
_WORTH = 20.0
_LEAST_SHARE, _LEAST_OF_REST = 0.006, 0.3
# How far the direction must turn beyond what noise lets it, and the share of that turning that
# modes may leave unexplained.
CLEARLY = 4.0
_MOST_UNEXPLAINED = 0.04
# Share below which what is left is no reason to look on: further modes would be taken for what is
# none of the object's.
_EXPLAINED = 0.005
# Standard deviations of what noise leaves, within which nothing is left at all.
_CHANCE = 4.0
# Where so many modes leave more than half of the turning, and each further one more than half of
# that, as many as there are will not explain it: what turns is no object's.
_MODES_FOR_HALF = 3
# How much more the modes may move than their sum: modes that all but cancel are no object's. Where
# they explain all there is, they may more.
_MOST_CANCELLING, _MOST_CANCELLING_IF_COMPLETE = 20.0, 100.0
# In spectra of long windows the model is right until the sound is so much louder than the noise.
_FINE_LIMIT = 1e5


def identify_modes(
    seen: Seen,
    *,
    lowest_hz: float = 40.0,
    most: int = 7,
) -> ModalModel | None:
    """Find the modes that turn the direction of motion with frequency.

    Parameters
    ----------
    seen : Seen
    lowest_hz : float
        Where the motion is that of modes, and not yet that of the camera.
    most : int
        Most modes to look for.

    Returns
    -------
    ModalModel or None
        None where the direction does not turn, or turns in another way than resonances do it.
    """
    used = modal_band(seen.frequency_hz, lowest_hz)
    if np.count_nonzero(used) < LEAST_BINS or seen.covariance.shape[1] < 2:
        return None
    search = ModalSearch(seen.at(used), None)
    best = search.rigid()
    turning = search.most - search.likelihood(best)
    if turning < CLEARLY * search.noise:
        return None
    pool = [best]
    found: ModalModel | None = None
    left, cancelling = turning - search.noise, 0.0
    for modes in range(2, most + 1):
        pool = search.with_modes(modes, pool)
        worth = max(_WORTH, min(_LEAST_SHARE * turning, _LEAST_OF_REST * left))
        if cancelling >= _MOST_CANCELLING:
            # What is not believed is easily given up.
            worth = _WORTH
        if search.likelihood(pool[0]) - search.likelihood(best) < worth:
            break
        best = pool[0]
        left = search.most - search.likelihood(best) - search.noise
        share = max(left, 0.0) / (turning - search.noise)
        model = best.model(share)
        cancelling = model.cancelling(seen.frequency_hz[used], search.heard)
        complete = left <= _CHANCE * np.sqrt(search.noise)
        allowed = _MOST_CANCELLING_IF_COMPLETE if complete else _MOST_CANCELLING
        if share <= _MOST_UNEXPLAINED and cancelling < allowed:
            found = model
        if gets_nowhere(modes, share) or (found is model and (complete or share <= _EXPLAINED)):
            break
    # Enough modes turn in any way: as many as are looked for at most are none.
    return found if found is not None and len(found.damping) < most else None


def refine_modes(
    model: ModalModel, seen: Seen, fine: Seen, *, lowest_hz: float = 40.0
) -> ModalModel:
    """Climb from modes that were found in short windows to the likeliest ones near, in long ones.

    Short windows mix the directions of neighbouring frequencies, by which modes are mistaken.

    Parameters
    ----------
    model : ModalModel
        Of :func:`identify_modes`.
    seen, fine : Seen
        In short windows, and in long ones, of
        :func:`visualmic.motion.long_windows.see_in_long_windows`.
    lowest_hz : float
        Where the motion is that of modes, and not yet that of the camera.
    """
    seen = seen.at(modal_band(seen.frequency_hz, lowest_hz))
    fine = fine.at(modal_band(fine.frequency_hz, lowest_hz))
    nothing = np.zeros(len(seen.frequency_hz))
    whole = fine_likelihood(seen, fine, with_smooth_sound(Expected(nothing, nothing), seen))
    return climb_finely(whole, Candidate.of(model)).model(model.unexplained)


def fine_likelihood(seen: Seen, fine: Seen, expected: Expected) -> Likelihood:
    """Likelihood of modes in long windows, with what is expected at the frequencies of `seen`."""

    def finer(values: Floats) -> Floats:
        return np.interp(fine.frequency_hz, seen.frequency_hz, values)

    share = np.gradient(fine.frequency_hz) / np.gradient(seen.frequency_hz).mean()
    within = Expected(finer(expected.log_power), share * finer(expected.weight))
    return Likelihood(fine, within, finer(trust_in(seen)), _FINE_LIMIT)


def climb_finely(whole: Likelihood, modes: Candidate) -> Candidate:
    """Climb to the likeliest modes near others, along the long valleys of long windows."""
    return whole.polished(whole.climbed(modes, 80))


def gets_nowhere(modes: int, unexplained: float) -> bool:
    """Tell whether so many modes leave so large a share of the turning that more are no use."""
    return unexplained > 0.5 ** (modes + 1 - _MODES_FOR_HALF)


def modal_band(frequency_hz: Floats, lowest_hz: float) -> NDArray[np.bool_]:
    """Tell at which frequencies (F,) the direction of motion is that of modes."""
    return np.asarray((frequency_hz >= lowest_hz) & (frequency_hz < 0.97 * frequency_hz[-1]))
