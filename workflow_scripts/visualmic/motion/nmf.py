r"""Local signal-to-noise ratio of a spectrogram, by non-negative matrix factorisation.

Sounds repeat themselves: a vowel has one spectrum for as long as it lasts, a note another. The
power of a spectrogram with white noise of power one is modelled as a few spectra `W` that come and
go with activations `H`,

.. math:: \mathrm{E}\,|Y(f, t)|^2 = \sum_k W_{fk} H_{kt} + 1 .

A cell of a Gaussian sound has an exponentially distributed power, whose likelihood is the
Itakura-Saito divergence [1]_; multiplicative updates with square roots never lower it [2]_. The fit
is stopped early: what is left to gain after a few updates is that of the noise.

References
----------
.. [1] C. Fevotte, N. Bertin and J.-L. Durrieu, "Nonnegative matrix factorization with the
   Itakura-Saito divergence", Neural Computation 21(3), 2009.
.. [2] C. Fevotte and J. Idier, "Algorithms for nonnegative matrix factorization with the
   beta-divergence", Neural Computation 23(9), 2011.
"""

import numpy as np

from visualmic.motion.reference import Floats

_COMPONENTS = 24
_UPDATES = 20
# Windows that are factorised together, and from one such piece to the next: in about seven seconds
# of sound not much more is said than the components tell.
_PIECE, _STEP = 128, 96
# Powers below this, in units of noise, count as this.
_LEAST = 1e-6
_SEED = 0


def factorised_snr(power: Floats, snr: Floats) -> Floats:
    """Signal-to-noise ratio of each cell of a spectrogram by what the others of its kind show.

    Parameters
    ----------
    power : ndarray, (windows, F)
        Of sound and noise, in units of the noise.
    snr : ndarray, (F,)
        Ratio of sound to noise averaged over the recording, from which the fit starts.

    Returns
    -------
    ndarray, float32, (windows, F)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = np.outer(np.arange(40) % 10 < 5, np.r_[np.zeros(8), np.full(8, 20.0)])
    >>> found = factorised_snr((1 + sound) * rng.exponential(size=sound.shape), sound.mean(axis=0))
    >>> bool(found[sound > 0].mean() > 10), bool(found[sound == 0].mean() < 1)
    (True, True)
    """
    windows = len(power)
    if windows <= _PIECE:
        return _fit(power, snr)
    # Pieces overlap and are blended, so that none begins or ends at once.
    starts = np.linspace(0, windows - _PIECE, -(-(windows - _PIECE) // _STEP) + 1).astype(int)
    edge = np.arange(_PIECE)
    share = np.minimum(np.minimum(edge + 1, _PIECE - edge), _PIECE - _STEP).astype(np.float32)
    total = np.zeros(power.shape, np.float32)
    weight = np.zeros((windows, 1), np.float32)
    for start in starts:
        inside = slice(start, start + _PIECE)
        total[inside] += share[:, None] * np.log(_fit(power[inside], snr))
        weight[inside] += share[:, None]
    return np.asarray(np.exp(total / weight))


def _fit(power: Floats, snr: Floats) -> Floats:
    """Factorise one piece (windows, F)."""
    cells = np.maximum(power.T, _LEAST).astype(np.float32)
    bins, windows = cells.shape
    rng = np.random.default_rng(_SEED)
    loudness = np.maximum(cells.mean(axis=0) - 1, 0.05)
    loudness /= loudness.mean()
    spectra = (snr[:, None] + 0.01) * rng.uniform(0.5, 1.5, (bins, _COMPONENTS))
    active = loudness * rng.uniform(0.5, 1.5, (_COMPONENTS, windows)) / _COMPONENTS
    spectra, active = spectra.astype(np.float32), active.astype(np.float32)
    one, least = np.float32(1), np.float32(_LEAST)
    for _ in range(_UPDATES):
        inverse = 1 / (spectra @ active + one)
        up = spectra.T @ (cells * inverse**2)
        active = np.maximum(active * np.sqrt(up / (spectra.T @ inverse)), least)
        inverse = 1 / (spectra @ active + one)
        up = (cells * inverse**2) @ active.T
        spectra = np.maximum(spectra * np.sqrt(up / (inverse @ active.T)), least)
        # The window spreads every frequency over its neighbours.
        wide = np.pad(spectra, [(1, 1), (0, 0)], mode="edge")
        spectra = 0.25 * wide[:-2] + 0.5 * spectra + 0.25 * wide[2:]
    return np.asarray(np.maximum((spectra @ active).T, _LEAST))
