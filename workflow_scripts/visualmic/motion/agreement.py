r"""Whether distant parts of the frame move together: what tells a sound from the noise of a codec.

A codec's errors are no white noise. They stay until a block is coded anew, and blocks are coded
anew in the same frames, so that few independent samples are left of a long film, channels are
correlated by chance, and no threshold for white noise holds. But the errors of blocks that do not
touch have independent signs. A sound moves them together.

For channels `a` and `b` of blocks that do not touch, with spectra :math:`Z_s(f)` of short segments
`s`, the agreement in a band is the mean of the squared correlations

.. math:: S = \operatorname{mean}_{a,b}\; \frac{\bigl[\sum_{s,f} \operatorname{Re}
          Z_{s,a} Z_{s,b}^*\bigr]^2}{(P_a + \epsilon)(P_b + \epsilon)} .

The few pairs most alike are left out: motion vectors taken over from a neighbour couple single
blocks, where a sound moves all that it reaches. Where blocks are independent the distribution does
not change when every block's segments are given random signs; these surrogates keep each block's
spectrum, its bursts and their timing. A floor :math:`\epsilon` far below the sensor's noise keeps
blocks that the codec has frozen, and which hold nothing but the rounding of the others, out of it.

References
----------
.. [1] B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Statistical
   Applications in Genetics and Molecular Biology 9(1), 2010.
.. [2] J. Theiler et al., "Testing for nonlinearity in time series: the method of surrogate data",
   Physica D 58, 1992.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, Spectra

FROZEN = 0.05
"""Variance of a channel below which it is frozen, in units of the sensor's noise."""

_SEGMENT_FRAMES = 128
_SHORTEST_SEGMENT = 16
_FEWEST_SEGMENTS = 16
_MOST_SEGMENTS = 128
_GRIDS = (4, 6)
_BUSIEST = 36
_BANDS = 8
_SURROGATES = 24
# Share of the pairs, the most alike, that do not count: a codec moves a few blocks at once.
_COUPLED = 0.015
# How far above the surrogates, in their standard deviations and their mean, agreement is believed:
# what a codec does to still pictures reaches 1.4 of the mean.
_DEVIATIONS = 7.0
_RATIO = 1.5
# How far, in units of what white noise shows: frozen blocks may agree on next to nothing.
_LEAST_EXCESS = 0.1


def is_coded_between_frames(motion: MotionSignals) -> bool:
    """Whether the codec predicts frames from others, and so may leave noise that lasts."""
    keyframes = len(motion.arrays.get("keyframes", ()))
    return 0 < 2 * keyframes <= motion.signals.shape[0]


@dataclass(frozen=True)
class Agreement:
    """How much distant parts of the frame move together.

    Attributes
    ----------
    low_hz, high_hz : ndarray, float64, (B,)
        Edges of the bands.
    ratio : ndarray, float64, (B,)
        Agreement over that of blocks which move independently.
    found : ndarray, bool, (B,)
        Where it is more than chance.
    """

    low_hz: Floats
    high_hz: Floats
    ratio: Floats
    found: NDArray[np.bool_]


def measure_agreement(motion: MotionSignals, rows: Rows, lowest_hz: float) -> Agreement | None:
    """Compare what distant blocks do together with what they would do by chance.

    Parameters
    ----------
    motion : MotionSignals
        Whitened motion of blocks.
    rows : callable
        Gives the channels from one frame to another, cleaned.
    lowest_hz : float
        Slower motion is left out.

    Returns
    -------
    Agreement or None
        Of the coarsest grid of blocks that shows any; finer ones, and the blocks that move most,
        are for sounds in small parts of the frame. None where the film is too short, or has too
        few blocks, to tell.
    """
    total = motion.signals.shape[0]
    fps = motion.capture_fps
    length = min(_SEGMENT_FRAMES, total // _FEWEST_SEGMENTS)
    if length < _SHORTEST_SEGMENT:
        return None
    groups = list(_groupings(motion))
    if not groups:
        return None
    count = min(total // length, _MOST_SEGMENTS)
    starts = np.linspace(0, total - length, count).astype(int)
    window = np.hanning(length + 2)[1:-1, None].astype(np.float32)
    window /= np.sqrt((window**2).sum())
    frequency = np.fft.rfftfreq(length, 1 / fps)
    # The window spreads what is slower over two bins.
    lowest = max(lowest_hz, 2 * fps / length)
    edges = np.geomspace(lowest, max(fps / 2, 1.01 * lowest), _BANDS + 1)
    edges[-1] = np.inf
    bins = [
        np.flatnonzero((frequency >= low) & (frequency < high))
        for low, high in itertools.pairwise(edges)
    ]
    bins = [one for one in bins if len(one)]
    if not bins:
        return None
    spectra: list[Spectra] = []
    for start in starts:
        part = rows(start, start + length)
        spectra.append(np.fft.rfft((part - part.mean(axis=0)) * window, axis=0))
    whole = np.stack(spectra)[:, bins[0][0] :].astype(np.complex64)
    bins = [one - bins[0][0] for one in bins]
    frequency = frequency[-whole.shape[1] :]
    ratio: Floats = np.ones(len(bins))
    found: NDArray[np.bool_] = np.zeros(len(bins), np.bool_)
    for merge, apart in itertools.chain(groups, [_busiest(motion, whole)]):
        if found.any() or not apart.any():
            continue
        ratio, found = _against_surrogates(whole @ merge, apart, bins)
    return Agreement(
        low_hz=np.array([frequency[one[0]] for one in bins]),
        high_hz=np.array([frequency[one[-1]] for one in bins]),
        ratio=ratio,
        found=found,
    )


def _against_surrogates(
    spectra: Spectra, apart: NDArray[np.bool_], bins: list[NDArray[np.intp]]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Agreement in each band over that of the surrogates, and whether chance explains it."""
    rng = np.random.default_rng(0)
    signs = np.array([-1, 1], np.float32)
    segments, _, channels = spectra.shape
    own = _agreement(spectra, apart, bins)
    chance = np.array(
        [
            _agreement(
                spectra * rng.choice(signs, (segments, 1, channels // 2)).repeat(2, axis=2),
                apart,
                bins,
            )
            for _ in range(_SURROGATES)
        ]
    )
    mean, spread = chance.mean(axis=0), chance.std(axis=0, ddof=1)
    ratio = own / np.maximum(mean, 1e-30)
    # Squared correlation that white noise shows by chance.
    white = np.array([1 / (2 * segments * len(one)) for one in bins])
    enough = own > np.maximum(_RATIO * mean, mean + _LEAST_EXCESS * white)
    return ratio, enough & (own > mean + _DEVIATIONS * spread)


def _agreement(
    spectra: Spectra, apart: NDArray[np.bool_], bins: list[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Mean squared correlation of channels that are apart, the strongest left out, by band."""
    found = np.empty(len(bins))
    for band, chosen in enumerate(bins):
        part = spectra[:, chosen].reshape(-1, spectra.shape[2])
        covariance = part.real.T @ part.real + part.imag.T @ part.imag
        scale = 1 / np.sqrt(np.diag(covariance) + FROZEN * len(part))
        square = (covariance * np.outer(scale, scale))[apart] ** 2
        kept = max(1, round((1 - _COUPLED) * len(square)))
        found[band] = np.partition(square, kept - 1)[:kept].mean()
    return found


def _groupings(motion: MotionSignals) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Coarse grids of blocks: matrices (C, 2 * cells) that merge channels, and which are apart."""
    whitener = np.asarray(motion.arrays["whitener"], np.float64)
    row, column = _grid_positions(motion)
    for side in _GRIDS:
        cell_y = row * min(side, row.max() + 1) // (row.max() + 1)
        cell_x = column * min(side, column.max() + 1) // (column.max() + 1)
        cells, member = np.unique(cell_y * side + cell_x, return_inverse=True)
        merge = np.zeros((2 * len(whitener), 2 * len(cells)), np.float32)
        for cell in range(len(cells)):
            blocks = np.flatnonzero(member == cell)
            information = np.einsum("bij,bik->jk", whitener[blocks], whitener[blocks])
            values, vectors = np.linalg.eigh(information)
            inverse = np.where(values > 1e-6, 1 / np.sqrt(np.maximum(values, 1e-6)), 0.0)
            # The least-squares motion of the cell, whitened again.
            onto = (vectors * inverse).T
            for block in blocks:
                merge[2 * block : 2 * block + 2, 2 * cell : 2 * cell + 2] = (
                    onto @ whitener[block].T
                ).T
        apart = _are_apart(cells // side, cells % side)
        if apart.any():
            yield merge, apart


def _busiest(motion: MotionSignals, spectra: Spectra) -> tuple[Floats, NDArray[np.bool_]]:
    """Choose the blocks that move most, for a sound in a small part of the frame."""
    power = (np.abs(spectra) ** 2).mean(axis=(0, 1)).reshape(-1, 2).sum(axis=1)
    blocks = np.argsort(-power)[:_BUSIEST]
    channels = np.stack([2 * blocks, 2 * blocks + 1], axis=1).ravel()
    row, column = _grid_positions(motion)
    merge = np.eye(spectra.shape[2], dtype=np.float32)[:, channels]
    return merge, _are_apart(row[blocks], column[blocks])


def _grid_positions(motion: MotionSignals) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    row = np.unique(motion.arrays["block_y"], return_inverse=True)[1]
    column = np.unique(motion.arrays["block_x"], return_inverse=True)[1]
    return row, column


def _are_apart(row: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which pairs of channels, two a place, belong to places that do not touch."""
    distance = np.maximum(np.abs(row[:, None] - row), np.abs(column[:, None] - column))
    return np.repeat(np.repeat(distance >= 2, 2, axis=0), 2, axis=1)
